//! A rule: what it is called, what it looks like, what must hold besides.

use std::borrow::Cow;
use std::fmt;

/// What a rule is called: dotted, the group first. `pii.us.ssn`, `secret.github_pat`, `custom.project_code`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleName(Cow<'static, str>);

impl RuleName {
    pub const fn built_in(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    pub fn custom(name: String) -> Self {
        Self(Cow::Owned(name))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `group` is this name or one it stands under: `pii` and `pii.us` of `pii.us.ssn`.
    pub fn is_in(&self, group: &str) -> bool {
        self.0.strip_prefix(group).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// What is written in place of what was found, without brackets: `SSN`.
    pub fn label(&self) -> String {
        self.0.rsplit('.').next().unwrap_or_default().to_ascii_uppercase()
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that looks as the rule says, before it is looked at closely.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    pub text: &'a [u8],
    pub start: usize,
    pub end: usize,
}

/// How far back words are looked for that make something likely. What a stream must remember of its past.
pub const CONTEXT_BYTES: usize = 96;

impl<'a> Candidate<'a> {
    pub fn matched(&self) -> &'a [u8] {
        self.text.get(self.start..self.end).unwrap_or_default()
    }

    /// The text just before, at most [`CONTEXT_BYTES`] of it.
    pub fn before(&self) -> &'a [u8] {
        self.text.get(self.start.saturating_sub(CONTEXT_BYTES)..self.start).unwrap_or_default()
    }

    /// The byte before.
    pub fn previous(&self) -> Option<u8> {
        self.before().last().copied()
    }

    /// Its digits as numbers.
    pub fn digits(&self) -> Vec<u32> {
        self.matched().iter().filter(|b| b.is_ascii_digit()).map(|b| u32::from(b - b'0')).collect()
    }

    /// Its letters and digits, letters as capitals.
    pub fn compact(&self) -> Vec<u8> {
        self.matched().iter().filter(|b| b.is_ascii_alphanumeric()).map(u8::to_ascii_uppercase).collect()
    }

    /// Whether one of `words` (in lower case) stands before it, on its own.
    pub fn follows(&self, words: &[&str]) -> bool {
        stand_in(self.before(), words)
    }

    /// The same, within fewer bytes.
    pub fn follows_closely(&self, bytes: usize, words: &[&str]) -> bool {
        let before = self.before();
        stand_in(before.get(before.len().saturating_sub(bytes)..).unwrap_or_default(), words)
    }
}

/// Whether one of `words` stands in `text` with an edge on both sides.
fn stand_in(text: &[u8], words: &[&str]) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
    let mut previous = None;
    for (at, &byte) in text.iter().enumerate() {
        let begins =
            previous.replace(byte).is_none_or(|before| is_word(before) != is_word(byte) || !byte.is_ascii());
        if !begins || byte == b' ' {
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        let lower = byte.to_ascii_lowercase();
        let stands = |word: &&str| {
            let word = word.as_bytes();
            word.first() == Some(&lower)
                && rest.get(..word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word))
                && rest.get(word.len()).is_none_or(|next| !next.is_ascii_alphanumeric())
        };
        if words.iter().any(stands) {
            return true;
        }
    }
    false
}

/// What of a candidate is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    All,
    /// From there to its end: the value behind the name it is assigned to.
    From(usize),
    /// From there back and up to its end; an e-mail address is found by its `@`.
    Between(usize, usize),
    /// It has only begun: all that follows belongs to it, up to its own end.
    Begun(Ending),
}

/// How something ends that has no greatest length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Before the first byte that is no letter, no digit and none of `-_.=+/`.
    Token,
    /// Behind the next `-----END …-----`, or where the text ends.
    Armor,
}

/// Looks closely at a candidate; `None` when it is not what it looks like.
pub type Check = fn(&Candidate<'_>) -> Option<Extent>;

/// One rule as it is compiled.
#[derive(Debug, Clone)]
pub struct Rule {
    pub name: RuleName,
    /// A regular expression over bytes, without Unicode classes and without a way to be longer than
    /// [`crate::MATCH_BYTES_MAX`]. It is tried where a word begins, or a sign that begins one of the rules.
    pub pattern: Cow<'static, str>,
    pub check: Check,
}

impl Rule {
    pub const fn new(name: &'static str, pattern: &'static str, check: Check) -> Self {
        Self { name: RuleName::built_in(name), pattern: Cow::Borrowed(pattern), check }
    }

    /// Whether it finds what has no greatest length: such a rule says so of whatever looks like it.
    pub(crate) fn is_open_ended(&self) -> bool {
        let nothing = Candidate { text: b"", start: 0, end: 0 };
        matches!((self.check)(&nothing), Some(Extent::Begun(_)))
    }
}

/// What looks like it is it.
pub fn as_it_looks(_: &Candidate<'_>) -> Option<Extent> {
    Some(Extent::All)
}
