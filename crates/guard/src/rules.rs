//! The rules that come with the product.
//!
//! A number that others look like (nine digits, say) is found only behind a word that says what it is; one with a check
//! that few others pass is found anywhere.

mod assigned;
mod contact;
mod europe;
mod health;
mod payment;
mod person;
mod secrets;
mod states;
mod world;

use crate::detectors::is_joint;
use crate::rule::{Candidate, Extent, Rule};

/// All of them. Of two that find the same, the earlier gives it its name: what is more particular comes first.
pub fn built_in() -> Vec<Rule> {
    let tables = [payment::RULES, health::RULES, states::RULES, europe::RULES, world::RULES, person::RULES];
    let mut rules: Vec<Rule> = tables.concat();
    rules.extend(secrets::rules());
    rules.extend(assigned::rules());
    rules.extend_from_slice(contact::RULES);
    rules
}

/// What may stand before the `@` of an e-mail address, as it is found in running text.
pub(crate) fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._%+-'".contains(&byte)
}

/// A number that is part of a longer one, or of a decimal fraction, is not one of its own.
fn stands_alone(candidate: &Candidate<'_>) -> bool {
    let before = candidate.before();
    let digit_at = |back: usize| {
        before.len().checked_sub(back).and_then(|at| before.get(at)).is_some_and(u8::is_ascii_digit)
    };
    let joined = |byte: Option<u8>| byte.is_some_and(is_joint);
    let next = candidate.text.get(candidate.end).copied();
    let digit_behind = candidate.text.get(candidate.end + 1).is_some_and(u8::is_ascii_digit);
    let goes_on = joined(candidate.previous()) && digit_at(2) || joined(next) && digit_behind;
    !goes_on
}

/// All of it, if so.
fn all_if(holds: bool) -> Option<Extent> {
    holds.then_some(Extent::All)
}

/// The run at the end of the match of bytes that are as `is` says.
fn last_run(candidate: &Candidate<'_>, is: impl Fn(u8) -> bool) -> Option<Extent> {
    let run = candidate.matched().iter().rev().take_while(|byte| is(**byte)).count();
    (run > 0).then_some(Extent::From(candidate.end - run))
}
