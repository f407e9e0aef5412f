//! Policies as their authors wrote them, for whoever asks which one decided.

use crate::source::{PolicyFile, line_and_column};
use cedar_policy::{Effect, Policy};

/// One policy: what it is called and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyText {
    pub id: String,
    pub file: String,
    /// From 1.
    pub line: usize,
    pub column: usize,
    /// Whether it is a `forbid`.
    pub forbids: bool,
    /// As it is written, from its first annotation to its semicolon.
    pub text: String,
}

/// The policies of one file, in the order they are written: where each begins.
pub(crate) fn in_order<'p>(
    file: &PolicyFile,
    policies: impl Iterator<Item = &'p Policy>,
) -> Vec<(&'p Policy, usize)> {
    let mut policies: Vec<(usize, &Policy)> = policies.map(|policy| (number(policy), policy)).collect();
    policies.sort_by_key(|(number, _)| *number);
    let mut from = 0;
    let mut placed = Vec::with_capacity(policies.len());
    for (_, policy) in policies {
        // Cedar hands a parsed policy's text back as it was; searching from the end of the one before tells equal
        // texts apart.
        let text = policy.to_cedar().unwrap_or_default();
        let at = file.text.get(from..).and_then(|rest| rest.find(&text)).map_or(from, |at| from + at);
        from = at + text.len();
        placed.push((policy, at));
    }
    placed
}

/// Cedar numbers the policies of a text `policy0`, `policy1`, ….
fn number(policy: &Policy) -> usize {
    let id: &str = policy.id().as_ref();
    id.trim_start_matches("policy").parse().unwrap_or(usize::MAX)
}

impl PolicyText {
    pub(crate) fn of(policy: &Policy, id: String, file: &PolicyFile, at: usize) -> Self {
        let (line, column) = line_and_column(&file.text, at);
        Self {
            id,
            file: file.name.clone(),
            line,
            column,
            forbids: policy.effect() == Effect::Forbid,
            text: policy.to_cedar().unwrap_or_default(),
        }
    }
}
