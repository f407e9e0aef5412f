//! Names of people, places and organisations, and where people live: a floor without a model.
//!
//! What it is for: deployments that run no recogniser of names still find the plain ones. Words in lists (`names/*.txt`, made
//! by `scripts/name_lists.py`), how a word is written and which words stand before it decide; `docs/guardrails-quality.md`
//! says how often that is right. It does not know the grammar of any language.
//!
//! These rules are like all others: what they find at a place depends on bounded text around it. They are a table of their
//! own because every word with a capital is a beginning of one, which costs time where nobody asks for names.

mod address;
mod lexicon;
mod organization;
mod person;
mod place;

use crate::rule::{Candidate, Rule};
use std::borrow::Cow;

/// A word with a capital: Latin letters, with accents or without.
const WORD: &str = r"[A-Z\xC3-\xC5](?:[A-Za-z'\x80-\xC9-]){1,24}";

/// All of them; put behind [`crate::built_in`], whose rules are more particular.
pub fn names() -> Vec<Rule> {
    let patterns = [
        ("pii.street_address", address::patterns(), address::check as crate::rule::Check),
        ("pii.person", person::patterns(), person::check),
        ("pii.place", place::patterns(), place::check),
        ("pii.organization", organization::patterns(), organization::check),
    ];
    patterns
        .into_iter()
        .flat_map(|(name, patterns, check)| {
            patterns.into_iter().map(move |pattern| Rule {
                name: crate::rule::RuleName::built_in(name),
                pattern: Cow::Owned(pattern),
                check,
            })
        })
        .collect()
}

/// Whether no letter, of any script, stands on either side, and the candidate is no piece of an address or a path.
fn is_on_its_own(candidate: &Candidate<'_>) -> bool {
    let joins = |byte: u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
    let before = candidate.previous().is_some_and(|byte| joins(byte) || b"@_/\\.-$#&'".contains(&byte));
    let behind =
        candidate.text.get(candidate.end).is_some_and(|byte| joins(*byte) || b"@_/\\(".contains(byte));
    !before && !behind
}

/// The words of a candidate.
fn words<'a>(candidate: &Candidate<'a>) -> impl Iterator<Item = &'a [u8]> {
    candidate.matched().split(|byte| b" \n,".contains(byte)).filter(|word| !word.is_empty())
}

/// Whether what stands before it ends with one of `phrases` (in lower case), signs and blanks between them left out.
fn stands_behind(candidate: &Candidate<'_>, phrases: &[&str]) -> bool {
    let before = candidate.before();
    let between = before.iter().rev().take_while(|byte| b" :,\"'\n\t".contains(byte)).count();
    let before = before.get(..before.len() - between).unwrap_or_default();
    between > 0
        && phrases.iter().any(|phrase| {
            let Some(from) = before.len().checked_sub(phrase.len()) else { return false };
            let ends = before.get(from..).is_some_and(|end| end.eq_ignore_ascii_case(phrase.as_bytes()));
            let begins = from.checked_sub(1).and_then(|at| before.get(at));
            ends && begins.is_none_or(|byte| !byte.is_ascii_alphanumeric())
        })
}
