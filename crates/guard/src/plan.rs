//! What is done about what is found.

use crate::automaton::Scratch;
use crate::detectors::{Detectors, Finding, RuleId};
use crate::view::View;
use std::fmt;
use std::sync::Arc;

/// What a rule does about what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Nothing but a verdict.
    Report,
    /// `[EMAIL]` stands in its place.
    Mask,
    /// `[EMAIL:8f14e45f]` does: the same for the same, under a key of the enclave.
    Hash,
    /// The request or the answer ends.
    Block,
}

impl Action {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Mask => "mask",
            Self::Hash => "hash",
            Self::Block => "block",
        }
    }

    pub fn changes_text(self) -> bool {
        matches!(self, Self::Mask | Self::Hash)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Tells the same from the same without telling what it is: a keyed hash of a text, as it is seen.
pub trait Fingerprint: fmt::Debug + Send + Sync {
    /// In hexadecimal digits or other plain ASCII.
    fn of(&self, seen: &[u8]) -> String;
}

/// Detectors, and what each does.
#[derive(Debug, Clone)]
pub struct Plan {
    detectors: Arc<Detectors>,
    /// By the number of the rule.
    actions: Vec<Option<Action>>,
    fingerprint: Arc<dyn Fingerprint>,
}

/// What a rule said: which, what it did, and where. Never what was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub rule: RuleId,
    pub action: Action,
    /// Offset and length in the text as it is seen, in bytes.
    pub at: usize,
    pub length: usize,
}

impl Plan {
    /// `action` says what a rule does; `None`: it is not looked for.
    pub fn new(
        detectors: Arc<Detectors>,
        fingerprint: Arc<dyn Fingerprint>,
        mut action: impl FnMut(&crate::rule::RuleName) -> Option<Action>,
    ) -> Self {
        let actions = detectors.rules().map(|(_, rule)| action(&rule.name)).collect();
        Self { detectors, actions, fingerprint }
    }

    pub fn detectors(&self) -> &Detectors {
        &self.detectors
    }

    pub fn shared_detectors(&self) -> &Arc<Detectors> {
        &self.detectors
    }

    pub fn scratch(&self) -> Scratch {
        self.detectors.scratch()
    }

    pub fn action(&self, rule: RuleId) -> Option<Action> {
        self.actions.get(rule.0).copied().flatten()
    }

    pub fn is_idle(&self) -> bool {
        self.actions.iter().all(Option::is_none)
    }

    /// Whether any rule changes a text.
    pub fn changes_text(&self) -> bool {
        self.actions.iter().flatten().any(|action| action.changes_text())
    }

    pub fn blocks(&self) -> bool {
        self.actions.contains(&Some(Action::Block))
    }

    /// What stands in the place of a cluster of findings, as it has to be written there.
    pub(crate) fn replacement(&self, view: &View, cluster: &Cluster) -> String {
        let label = self.detectors.name(cluster.rule).label();
        let seen = view.seen().get(cluster.start..cluster.end).unwrap_or_default();
        // What has no greatest length is gone before all of it was seen.
        let text = match self.action(cluster.rule) {
            Some(Action::Hash) if !cluster.goes_on => format!("[{label}:{}]", self.fingerprint.of(seen)),
            _ => format!("[{label}]"),
        };
        if view.is_quoted(cluster.start) { text } else { format!("\\\"{text}\\\"") }
    }
}

/// Findings that overlap, to be replaced as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cluster {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The rule it is named after: one that has no greatest length, else of the longest, else of the first.
    pub(crate) rule: RuleId,
    longest: usize,
    pub(crate) goes_on: bool,
}

impl Cluster {
    pub(crate) fn of(finding: &Finding) -> Self {
        let (start, end) = (finding.place.start, finding.place.end);
        Self { start, end, rule: finding.rule, longest: end - start, goes_on: finding.goes_on.is_some() }
    }

    /// Takes in a finding that begins no earlier. Not one that only touches it.
    pub(crate) fn takes_in(&mut self, finding: &Finding) -> bool {
        if finding.place.start >= self.end {
            return false;
        }
        let length = finding.place.end - finding.place.start;
        let named_by = |open: bool, longest: usize, rule: RuleId| (open, longest, std::cmp::Reverse(rule));
        let theirs = named_by(finding.goes_on.is_some(), length, finding.rule);
        if theirs > named_by(self.goes_on, self.longest, self.rule) {
            (self.rule, self.longest) = (finding.rule, length);
        }
        self.goes_on |= finding.goes_on.is_some();
        self.end = self.end.max(finding.place.end);
        true
    }
}
