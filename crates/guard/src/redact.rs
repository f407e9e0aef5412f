//! Redaction of a text that is at hand whole.

use crate::automaton::Scratch;
use crate::detectors::Finding;
use crate::plan::{Action, Cluster, Plan, Verdict};
use crate::view::View;

/// What became of a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redaction {
    /// What to write; `None`: nothing changed.
    pub text: Option<Vec<u8>>,
    pub verdicts: Vec<Verdict>,
}

impl Redaction {
    /// The rule that ends the request, if one does.
    pub fn blocked_by(&self) -> Option<&Verdict> {
        self.verdicts.iter().find(|verdict| verdict.action == Action::Block)
    }
}

/// Looks at a whole text and does what the plan says.
pub fn redact(plan: &Plan, scratch: &mut Scratch, view: &View) -> Redaction {
    let mut found = plan.detectors().find(scratch, view.seen());
    found.retain(|finding| plan.action(finding.rule).is_some());
    let verdicts: Vec<Verdict> = found.iter().filter_map(|finding| verdict(plan, finding, 0)).collect();
    found.retain(|finding| plan.action(finding.rule) != Some(Action::Report));
    if found.is_empty() {
        return Redaction { text: None, verdicts };
    }
    let (mut text, mut done) = (Vec::with_capacity(view.written().len()), 0);
    let mut rest = found.iter().peekable();
    while let Some(first) = rest.next() {
        let mut cluster = Cluster::of(first);
        while rest.next_if(|next| cluster.takes_in(next)).is_some() {}
        let (start, end) = (view.written_start(cluster.start), view.written_end(cluster.end));
        text.extend_from_slice(view.written().get(done..start).unwrap_or_default());
        text.extend_from_slice(plan.replacement(view, &cluster).as_bytes());
        done = end;
    }
    text.extend_from_slice(view.written().get(done..).unwrap_or_default());
    Redaction { text: Some(text), verdicts }
}

/// The verdict on a finding in a text whose first byte is the `offset`th.
pub(crate) fn verdict(plan: &Plan, finding: &Finding, offset: usize) -> Option<Verdict> {
    let action = plan.action(finding.rule)?;
    let length = finding.place.end - finding.place.start;
    Some(Verdict { rule: finding.rule, action, at: offset + finding.place.start, length })
}
