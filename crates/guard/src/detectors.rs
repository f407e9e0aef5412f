//! Finding: every rule at every place where something can begin.
//!
//! What is found at a place depends on the text from [`CONTEXT_BYTES`] before it to two bytes behind what is found, and on
//! nothing else: not on what was found elsewhere, not on how the text came. That is why a stream and the whole of it
//! give the same (`stream.rs`). The one exception is what has no greatest length, a private key say: nothing begins inside
//! it, and both ways read from left to right.

use crate::automaton::{Automaton, Beginning, PatternMistake, Scratch};
use crate::rule::{Candidate, Ending, Extent, Rule, RuleName};
use std::ops::Range;

/// Longest part of an e-mail address before the `@` (RFC 5321, 4.5.3.1.1), which rules may reach back.
pub(crate) const REACH_BACK: usize = 64;

/// The number of a rule among those compiled together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub(crate) usize);

/// Something found: a rule, and where it stands in the text as it is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub rule: RuleId,
    pub place: Range<usize>,
    /// It has begun and goes on to its own end, which is behind `place`.
    pub(crate) goes_on: Option<Ending>,
}

/// Rules that are looked for together.
#[derive(Debug)]
pub struct Detectors {
    rules: Vec<Rule>,
    /// Which of them find what has no greatest length.
    open_ended: Vec<bool>,
    automaton: Automaton,
}

/// What there is at a place where something can begin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Probed {
    /// Whatever comes, this is all.
    Settled(Vec<Finding>),
    /// It depends on what comes.
    Open,
}

impl Detectors {
    pub fn new(rules: Vec<Rule>) -> Result<Self, PatternMistake> {
        let automaton = Automaton::new(&rules)?;
        let open_ended = rules.iter().map(Rule::is_open_ended).collect();
        Ok(Self { rules, open_ended, automaton })
    }

    pub fn scratch(&self) -> Scratch {
        self.automaton.scratch()
    }

    pub fn name(&self, rule: RuleId) -> &RuleName {
        &self.rules[rule.0].name
    }

    pub fn rules(&self) -> impl Iterator<Item = (RuleId, &Rule)> {
        self.rules.iter().enumerate().map(|(number, rule)| (RuleId(number), rule))
    }

    /// Everything in a text that is at hand whole, by where it begins.
    pub fn find(&self, scratch: &mut Scratch, text: &[u8]) -> Vec<Finding> {
        let mut found = Vec::new();
        // Behind something that had no greatest length everything begins anew.
        let mut base = 0;
        while let Some(end) =
            self.find_until_begun(scratch, text.get(base..).unwrap_or_default(), base, &mut found)
        {
            base = end;
        }
        found.sort_by_key(|finding| (finding.place.start, finding.place.end, finding.rule));
        found
    }

    /// Up to the end of the first thing that has no greatest length; `None`: there is none.
    fn find_until_begun(
        &self,
        scratch: &mut Scratch,
        text: &[u8],
        base: usize,
        found: &mut Vec<Finding>,
    ) -> Option<usize> {
        let mut at = 0;
        while let Some(start) = self.next_start(text, at) {
            at = start + 1;
            let Probed::Settled(here) = self.probe(scratch, text, start, true) else { continue };
            let mut behind = None;
            for mut finding in here {
                if let Some(ending) = finding.goes_on {
                    end_before(found, base + finding.place.end);
                    finding.place.end = ending.within(text, finding.place.end).unwrap_or(text.len());
                    behind = Some(base + finding.place.end);
                }
                finding.place = base + finding.place.start..base + finding.place.end;
                found.push(finding);
            }
            if behind.is_some() {
                return behind;
            }
        }
        None
    }

    /// The next place, from `at` on, where something can begin: where a word does, or a sign that was not there already,
    /// or any character of a script without spaces.
    pub(crate) fn next_start(&self, text: &[u8], at: usize) -> Option<usize> {
        // No sign stands before the first byte that it could be the same as.
        let mut before = at.checked_sub(1).and_then(|at| text.get(at)).copied().unwrap_or(0x80);
        for (offset, &byte) in text.get(at..)?.iter().enumerate() {
            let previous = std::mem::replace(&mut before, byte);
            let begins = match self.automaton.beginning(byte) {
                Beginning::None => false,
                Beginning::Word => !previous.is_ascii_alphanumeric(),
                Beginning::Sign => previous != byte,
            };
            let next = |further: usize| text.get(at + offset + further).copied();
            if begins && self.automaton.may_begin(byte, next(1), next(2)) {
                return Some(at + offset);
            }
        }
        None
    }

    /// What there is at `at`, given that `ended` says whether the text ends where `text` does.
    pub(crate) fn probe(&self, scratch: &mut Scratch, text: &[u8], at: usize, ended: bool) -> Probed {
        let alive = self.automaton.probe(scratch, text, at);
        let undecided = |end: usize| !ended && !is_decided(text, end);
        let open = !ended && (alive || scratch.ends.iter().any(|(_, end)| undecided(*end)));
        let found = self.judge(scratch, text, at, undecided);
        // What has no greatest length is certain as soon as it has begun.
        if open && !found.iter().any(|finding| finding.goes_on.is_some()) {
            return Probed::Open;
        }
        Probed::Settled(found)
    }

    /// Of each rule that matches, the longest match that passes its check; of one that has no greatest length, the
    /// first, and nothing else.
    fn judge(
        &self,
        scratch: &Scratch,
        text: &[u8],
        start: usize,
        undecided: impl Fn(usize) -> bool,
    ) -> Vec<Finding> {
        let mut found: Vec<Finding> = Vec::new();
        for &(number, end) in &scratch.ends {
            // What has no greatest length has no end yet that it could go on behind.
            let open_ended = || self.open_ended.get(number) == Some(&true);
            if undecided(end) || !ends_at(text, end) && !open_ended() {
                continue;
            }
            let candidate = Candidate { text, start, end };
            let Some(extent) = self.rules.get(number).and_then(|rule| (rule.check)(&candidate)) else {
                continue;
            };
            let rule = RuleId(number);
            let place = match extent {
                Extent::All => start..end,
                Extent::From(from) => from..end,
                Extent::Between(from, to) => from..to,
                Extent::Begun(ending) => {
                    return vec![Finding { rule, place: start..end, goes_on: Some(ending) }];
                }
            };
            found.retain(|finding| finding.rule != rule);
            found.push(Finding { rule, place, goes_on: None });
        }
        found
    }
}

/// Whether enough is known of what stands behind `end`: a byte, and where that may join numbers, the one behind it.
fn is_decided(text: &[u8], end: usize) -> bool {
    match text.get(end) {
        None => false,
        Some(byte) => !is_joint(*byte) || text.len() > end + 1,
    }
}

/// What may stand between two numbers that are one.
pub(crate) fn is_joint(byte: u8) -> bool {
    matches!(byte, b'.' | b',' | b'-' | b'/')
}

/// What was found and reaches into something that has no greatest length ends where that is certain.
pub(crate) fn end_before(found: &mut [Finding], certain: usize) {
    for finding in found {
        finding.place.end = finding.place.end.min(certain);
    }
}

/// A word that goes on is not the word that was looked for.
fn ends_at(text: &[u8], end: usize) -> bool {
    let word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    !(word(end.checked_sub(1).and_then(|at| text.get(at))) && word(text.get(end)))
}

/// What an [`Ending::Armor`] ends with.
const ARMOR_END: &[u8] = b"-----END ";
const ARMOR_DASHES: &[u8] = b"-----";
/// Longest name between the dashes.
const ARMOR_NAME_MAX: usize = 64;

impl Ending {
    /// Where it ends at or after `from`; `None`: not in this text.
    pub(crate) fn within(self, text: &[u8], from: usize) -> Option<usize> {
        let rest = text.get(from..)?;
        match self {
            Self::Token => {
                let is_token = |b: &u8| b.is_ascii_alphanumeric() || b"-_.=+/".contains(b);
                rest.iter().position(|b| !is_token(b)).map(|at| from + at)
            }
            Self::Armor => {
                let mut at = 0;
                loop {
                    at += find(rest.get(at..)?, ARMOR_END)? + ARMOR_END.len();
                    let name = rest.get(at..(at + ARMOR_NAME_MAX + ARMOR_DASHES.len()).min(rest.len()))?;
                    if let Some(dashes) = find(name, ARMOR_DASHES) {
                        return Some(from + at + dashes + ARMOR_DASHES.len());
                    }
                }
            }
        }
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
