//! Pre-tokenizers: how a text is cut into words before its bytes are merged. A merge never crosses a cut.
//!
//! Each is the regular expression its models were trained with, written out as a walk over characters: the expressions
//! look ahead (`\s+(?!\S)`), which fast matchers cannot, and the alternatives are decided by the first two characters.

use crate::reader::Reader;
use crate::unicode::{Class, Classes};

/// One of the known pre-tokenizers, as one of the readers runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) pattern: Pattern,
    pub(crate) reader: Reader,
}

/// What is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
    Gpt2,
    /// Every number character stands alone; [`Pattern::Gpt2`] cuts what is between.
    LoneDigits,
    /// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
    /// where N is `digits`.
    Llama3 { digits: usize },
}

impl Split {
    /// Hands each word of `text` to `word`, in order and without gaps, until `word` says stop.
    pub(crate) fn words<'t>(self, text: &'t str, mut word: impl FnMut(&'t str) -> bool) {
        let classes = Classes::of_expressions(self.reader);
        match self.pattern {
            Pattern::Gpt2 => {
                walk(text, |text| gpt2_word(text, classes), &mut word);
            }
            Pattern::LoneDigits => self.lone_digits(text, classes, &mut word),
            Pattern::Llama3 { digits } => {
                let folds = self.reader == Reader::HuggingFace;
                walk(text, |text| llama3_word(text, digits, folds, classes), &mut word);
            }
        }
    }

    fn lone_digits<'t>(self, text: &'t str, classes: Classes, word: &mut impl FnMut(&'t str) -> bool) {
        let is_number = |c: char| match self.reader {
            Reader::LlamaCpp => classes.of(c).is_number(),
            // A step of its own before the expression, by the tables of Rust's standard library.
            Reader::HuggingFace => c.is_numeric(),
        };
        let mut rest = text;
        while !rest.is_empty() {
            let (plain, after) = rest.split_at(rest.find(is_number).unwrap_or(rest.len()));
            let digit = after.chars().next().map_or(0, char::len_utf8);
            let (digit, after) = after.split_at(digit);
            let cut = walk(plain, |text| gpt2_word(text, classes), word);
            if !cut || (!digit.is_empty() && !word(digit)) {
                return;
            }
            rest = after;
        }
    }
}

/// Cuts `text` where `length_of_first` says. `false` when `word` said stop.
fn walk<'t>(
    text: &'t str,
    length_of_first: impl Fn(&str) -> usize,
    word: &mut impl FnMut(&'t str) -> bool,
) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let (first, after) = rest.split_at(length_of_first(rest));
        if !word(first) {
            return false;
        }
        rest = after;
    }
    true
}

/// Bytes of the longest start of `text` whose characters are all `wanted`.
fn run(text: &str, classes: Classes, wanted: impl Fn(Class) -> bool) -> usize {
    text.find(|c| !wanted(classes.of(c))).unwrap_or(text.len())
}

fn behind(text: &str, at: usize) -> &str {
    text.get(at..).unwrap_or_default()
}

/// Bytes of `'s`, `'re` and their like, at the start of `text`.
fn contraction(text: &str, any_case: bool) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'\'') {
        return None;
    }
    let at = |index: usize| {
        let byte = bytes.get(index).copied().unwrap_or(0);
        if any_case { byte.to_ascii_lowercase() } else { byte }
    };
    match (at(1), at(2)) {
        (b's' | b't' | b'm' | b'd', _) => Some(2),
        (b'r' | b'v', b'e') | (b'l', b'l') => Some(3),
        _ => None,
    }
}

/// `\s+(?!\S)|\s+`: white space up to, but not with, the last before a word.
fn spaces(text: &str, classes: Classes) -> usize {
    let end = run(text, classes, Class::is_space);
    let last = text.get(..end).and_then(|run| run.chars().next_back()).map_or(0, char::len_utf8);
    if end == text.len() || end == last { end } else { end - last }
}

fn gpt2_word(text: &str, classes: Classes) -> usize {
    if let Some(length) = contraction(text, false) {
        return length;
    }
    let lead = usize::from(text.starts_with(' '));
    let rest = behind(text, lead);
    let Some(first) = rest.chars().next().map(|c| classes.of(c)) else { return lead };
    let length = if first.is_letter() {
        run(rest, classes, Class::is_letter)
    } else if first.is_number() {
        run(rest, classes, Class::is_number)
    } else if first.is_other() {
        run(rest, classes, Class::is_other)
    } else {
        return spaces(text, classes);
    };
    lead + length
}

/// `folds`: `(?i:…)` also takes the long s (U+017F) for an s, as Unicode's folding does and llama.cpp does not.
fn llama3_word(text: &str, digits: usize, folds: bool, classes: Classes) -> usize {
    const LONG_S: &str = "'\u{17f}";
    if folds && text.starts_with(LONG_S) {
        return LONG_S.len();
    }
    if let Some(length) = contraction(text, true) {
        return length;
    }
    let mut characters = text.chars();
    let Some(first) = characters.next() else { return 0 };
    let (class, length) = (classes.of(first), first.len_utf8());
    let rest = behind(text, length);
    let second = characters.next().map(|c| classes.of(c));
    if class.is_number() {
        let end = text.char_indices().take(digits).take_while(|(_, c)| classes.of(*c).is_number());
        return end.last().map_or(length, |(at, c)| at + c.len_utf8());
    }
    let breaks = matches!(first, '\r' | '\n');
    if !breaks && (class.is_letter() || second.is_some_and(Class::is_letter)) {
        return length + run(rest, classes, Class::is_letter);
    }
    let lead = usize::from(first == ' ');
    if behind(text, lead).chars().next().is_some_and(|c| classes.of(c).is_other()) {
        let end = lead + run(behind(text, lead), classes, Class::is_other);
        let tail = behind(text, end);
        return end + tail.find(|c| !matches!(c, '\r' | '\n')).unwrap_or(tail.len());
    }
    let blank = text.get(..run(text, classes, Class::is_space)).unwrap_or_default();
    match blank.rfind(['\r', '\n']) {
        Some(at) => at + 1,
        None => spaces(text, classes).max(length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    const GPT2: Pattern = Pattern::Gpt2;
    const LONE: Pattern = Pattern::LoneDigits;
    const ONE: Pattern = Pattern::Llama3 { digits: 1 };
    const THREE: Pattern = Pattern::Llama3 { digits: 3 };

    fn cut(pattern: Pattern, text: &str) -> Vec<&str> {
        let mut words = Vec::new();
        Split { pattern, reader: Reader::LlamaCpp }.words(text, |word| {
            words.push(word);
            true
        });
        words
    }

    #[test]
    fn words_are_cut_as_the_expressions_say() {
        let text = "It's  we'LL 1234,\n\n x ";
        assert_eq!(cut(GPT2, text), ["It", "'s", " ", " we", "'", "LL", " 1234", ",", "\n\n", " x", " "]);
        let lone = ["It", "'s", " ", " we", "'", "LL", " ", "1", "2", "3", "4", ",", "\n\n", " x", " "];
        assert_eq!(cut(LONE, text), lone);
        let three = ["It", "'s", " ", " we", "'LL", " ", "123", "4", ",\n\n", " x", " "];
        assert_eq!(cut(THREE, text), three);
        assert_eq!(cut(ONE, "a \n\n  b  "), ["a", " \n\n", " ", " b", "  "]);
        assert_eq!(cut(ONE, "\tx \u{3000}!\r\n"), ["\tx", " ", "\u{3000}", "!\r\n"]);
    }

    /// What Hugging Face's `tokenizers` cuts; see `tests/reference/README.md`.
    #[derive(serde::Deserialize)]
    struct Reference {
        /// For each vocabulary, the characters of each word of each text.
        texts: HashMap<String, Vec<String>>,
        /// For each vocabulary, where a way of cutting [`around`] a character begins.
        characters: HashMap<String, Vec<(u32, String)>>,
    }

    #[derive(serde::Deserialize)]
    struct Texts {
        texts: Vec<String>,
    }

    const REFERENCE: &str = include_str!("../tests/reference/words.json");
    const TEXTS: &str = include_str!("../tests/reference/counts.json");
    const NAMES: [(&str, Pattern); 4] = [("gpt2", GPT2), ("smollm", LONE), ("qwen2", ONE), ("llama3", THREE)];

    fn lengths(pattern: Pattern, text: &str) -> String {
        let mut lengths = Vec::new();
        Split { pattern, reader: Reader::HuggingFace }.words(text, |word| {
            lengths.push(word.chars().count().to_string());
            true
        });
        lengths.join(" ")
    }

    fn around(c: char) -> String {
        format!("b{c}b {c}1{c} '{c}x")
    }

    #[test]
    fn texts_are_cut_like_the_reference() {
        let reference: Reference = serde_json::from_str(REFERENCE).unwrap();
        let Texts { texts } = serde_json::from_str(TEXTS).unwrap();
        for (name, pattern) in NAMES {
            assert_eq!(reference.texts[name].len(), texts.len());
            for (text, expected) in texts.iter().zip(&reference.texts[name]) {
                assert_eq!(&lengths(pattern, text), expected, "{name} {text:?}");
            }
        }
    }

    #[test]
    fn every_character_is_cut_like_the_reference() {
        let reference: Reference = serde_json::from_str(REFERENCE).unwrap();
        for (name, pattern) in NAMES {
            let mut begins = reference.characters[name].iter().peekable();
            let mut expected = "";
            for c in '\0'..=char::MAX {
                if let Some((_, lengths)) = begins.next_if(|(begin, _)| *begin == u32::from(c)) {
                    expected = lengths;
                }
                assert_eq!(lengths(pattern, &around(c)), expected, "{name} {}", c.escape_unicode());
            }
            assert_eq!(begins.next(), None);
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_said_twice(text in "[ \\t\\r\\n'a-zA-Zäß日0-9½.,!<|>\u{301}\u{a0}🙂]{0,40}") {
            for pattern in [GPT2, LONE, ONE, THREE] {
                let words = cut(pattern, &text);
                prop_assert_eq!(words.concat(), text.as_str());
                prop_assert!(words.iter().all(|word| !word.is_empty()));
            }
        }
    }
}
