//! WordPiece: a text is folded and cut at spaces and punctuation; each word is written as the longest pieces that the
//! vocabulary has, from the left.

use crate::normal::decomposed;
use crate::reader::Reader;
use crate::tokenizer::Tally;
use crate::unicode::{Class, Classes};
use rustc_hash::FxHashSet;
use std::borrow::Cow;
use unicode_normalization::char::decompose_canonical;

/// Longest word Hugging Face looks up.
const REFERENCE_WORD_CHARACTERS: usize = 100;

/// What is done to a text before it is looked up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Folding {
    pub(crate) reader: Reader,
    pub(crate) lowercase: bool,
    pub(crate) strip_accents: bool,
}

/// A WordPiece vocabulary.
#[derive(Debug)]
pub(crate) struct WordPiece {
    first: FxHashSet<Box<str>>,
    rest: FxHashSet<Box<str>>,
    /// Bytes of the longest piece.
    longest: usize,
    folding: Folding,
}

impl WordPiece {
    /// Pieces that begin a word and pieces that go on with one.
    pub(crate) fn new<'t>(
        first: impl Iterator<Item = &'t str>,
        rest: impl Iterator<Item = &'t str>,
        folding: Folding,
    ) -> Self {
        let set = |pieces: &mut dyn Iterator<Item = &'t str>| -> FxHashSet<Box<str>> {
            pieces.map(Box::from).collect()
        };
        let (first, rest) = (set(&mut { first }), set(&mut { rest }));
        let longest = first.iter().chain(&rest).map(|piece| piece.len()).max().unwrap_or(0);
        Self { first, rest, longest, folding }
    }

    pub(crate) fn count(&self, text: &str, tally: &mut Tally) {
        match self.folding.reader {
            Reader::LlamaCpp => self.count_by_character(text, tally),
            Reader::HuggingFace => self.count_by_segment(text, tally),
        }
    }

    /// llama.cpp keeps the first character of a decomposition and drops every mark.
    fn count_by_character(&self, text: &str, tally: &mut Tally) {
        let classes = Classes::of_folding(Reader::LlamaCpp);
        let mut word = String::new();
        for c in text.chars() {
            if tally.is_full() {
                return;
            }
            let c = self.first_of(c);
            let class = classes.of(c);
            let dropped = is_cleaned(c, class) || (self.folding.strip_accents && class.is_mark());
            if class.is_space() {
                self.finish(&mut word, tally);
            } else if !dropped {
                let lower = if self.folding.lowercase { lower_one(c) } else { c };
                let alone = class.is_punctuation() || (c.is_ascii() && class.is_symbol()) || is_chinese(c);
                self.put(lower, alone, &mut word, tally);
            }
        }
        self.finish(&mut word, tally);
    }

    fn first_of(&self, c: char) -> char {
        if !self.folding.strip_accents || c.is_ascii() {
            return c;
        }
        let mut first = None;
        decompose_canonical(c, |part| {
            first.get_or_insert(part);
        });
        first.unwrap_or(c)
    }

    /// Hugging Face first drops control characters, then cuts at white space and around Chinese characters; what is
    /// between is folded as a whole, for marks may change places.
    fn count_by_segment(&self, text: &str, tally: &mut Tally) {
        let classes = Classes::of_folding(Reader::HuggingFace);
        let mut segment = String::new();
        for c in text.chars() {
            if tally.is_full() {
                return;
            }
            let spaces = matches!(c, '\t' | '\n' | '\r');
            if !spaces && is_cleaned(c, classes.of(c)) {
                continue;
            }
            if c.is_whitespace() {
                self.fold(&mut segment, classes, tally);
            } else if is_chinese(c) {
                self.fold(&mut segment, classes, tally);
                segment.push(c);
                self.fold(&mut segment, classes, tally);
            } else {
                segment.push(c);
            }
        }
        self.fold(&mut segment, classes, tally);
    }

    fn fold(&self, segment: &mut String, classes: Classes, tally: &mut Tally) {
        let Folding { lowercase, strip_accents, .. } = self.folding;
        let text = if strip_accents { decomposed(segment) } else { Cow::Borrowed(segment.as_str()) };
        let mut word = String::new();
        let mut put = |c: char| {
            let alone = c.is_ascii_punctuation() || classes.of(c).is_punctuation();
            self.put(c, alone, &mut word, tally);
        };
        for c in text.chars().filter(|c| !(strip_accents && classes.of(*c).is_nonspacing())) {
            if lowercase { c.to_lowercase().for_each(&mut put) } else { put(c) }
        }
        self.finish(&mut word, tally);
        segment.clear();
    }

    /// Punctuation and Chinese characters are words of their own.
    fn put(&self, c: char, alone: bool, word: &mut String, tally: &mut Tally) {
        if alone {
            self.finish(word, tally);
        }
        word.push(c);
        if alone {
            self.finish(word, tally);
        }
    }

    fn finish(&self, word: &mut String, tally: &mut Tally) {
        if !word.is_empty() {
            tally.add(self.pieces(word));
            word.clear();
        }
    }

    /// Pieces of one word; one, the unknown token, when a part of it is in no piece.
    fn pieces(&self, word: &str) -> u64 {
        if self.folding.reader == Reader::HuggingFace && word.chars().count() > REFERENCE_WORD_CHARACTERS {
            return 1;
        }
        let (mut at, mut pieces) = (0, 0);
        while at < word.len() {
            let known = if at == 0 { &self.first } else { &self.rest };
            let most = word.len().min(at + self.longest);
            let found = (at + 1..=most)
                .rev()
                .find(|end| word.get(at..*end).is_some_and(|piece| known.contains(piece)));
            let Some(end) = found else { return 1 };
            (at, pieces) = (end, pieces + 1);
        }
        pieces
    }
}

fn is_cleaned(c: char, class: Class) -> bool {
    matches!(c, '\0' | '\u{fffd}') || class.is_control()
}

/// Lower case where that is one character, as the engine's own table has it.
fn lower_one(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// The blocks that the reference calls Chinese, its slip of the pen (U+2B920 for U+2B820) included.
fn is_chinese(c: char) -> bool {
    matches!(u32::from(c),
        0x4e00..=0x9fff
        | 0x3400..=0x4dbf
        | 0x2_0000..=0x2_a6df
        | 0x2_a700..=0x2_b73f
        | 0x2_b740..=0x2_b81f
        | 0x2_b920..=0x2_ceaf
        | 0xf900..=0xfaff
        | 0x2_f800..=0x2_fa1f)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::Cap;

    #[test]
    fn the_longest_piece_is_taken_and_an_unknown_part_makes_the_word_unknown() {
        let folding = Folding { reader: Reader::LlamaCpp, lowercase: true, strip_accents: true };
        let pieces = WordPiece::new(
            ["un", "una", "b", "!", "日"].into_iter(),
            ["able", "ble", "b"].into_iter(),
            folding,
        );
        for (text, tokens) in [
            ("unable", 2),
            ("UNÁBLE", 2),
            ("unb unx!", 4),
            ("  ", 0),
            ("日日b", 3),
            ("b\u{301}b", 2),
            ("b\u{0}b", 2),
        ] {
            let mut tally = Tally::new(Cap::none());
            pieces.count(text, &mut tally);
            assert_eq!(tally.tokens(), tokens, "{text}");
        }
    }
}
