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
    redact_found(plan, view, plan.detectors().find(scratch, view.seen()))
}

/// Looks at texts that are read in a row: each by itself, and at what begins in one and ends in another. That is how
/// something is hidden in the parts of a message.
pub fn redact_row(plan: &Plan, scratch: &mut Scratch, views: &[View]) -> Vec<Redaction> {
    let mut found: Vec<Vec<Finding>> =
        views.iter().map(|view| plan.detectors().find(scratch, view.seen())).collect();
    if views.len() > 1 {
        across(plan, scratch, views, &mut found);
    }
    views.iter().zip(found).map(|(view, found)| redact_found(plan, view, found)).collect()
}

/// Adds to each text its part of what reaches over its end.
fn across(plan: &Plan, scratch: &mut Scratch, views: &[View], found: &mut [Vec<Finding>]) {
    let row: Vec<u8> = views.iter().flat_map(|view| view.seen()).copied().collect();
    for finding in plan.detectors().find(scratch, &row) {
        let mut begins = 0;
        for (view, found) in views.iter().zip(&mut *found) {
            let ends = begins + view.seen().len();
            let (start, end) = (finding.place.start.max(begins), finding.place.end.min(ends));
            let inside = finding.place.start >= begins && finding.place.end <= ends;
            if start < end && !inside {
                found.push(Finding { place: start - begins..end - begins, ..finding.clone() });
            }
            begins = ends;
        }
    }
    for found in found {
        found.sort_by_key(|finding| (finding.place.start, finding.place.end, finding.rule));
    }
}

fn redact_found(plan: &Plan, view: &View, mut found: Vec<Finding>) -> Redaction {
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
