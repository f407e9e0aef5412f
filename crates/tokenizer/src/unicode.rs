//! What kind of character a character is, by one look into a table.
//!
//! Pre-tokenizers are regular expressions over a handful of Unicode classes. A table is made once from the ranges the
//! regular expression library carries, one byte a code point. Each reader of models has an edition of Unicode of its own;
//! younger characters count as unassigned, which they are to it.

use crate::reader::Reader;
use regex_syntax::hir::{Class as HirClass, HirKind};
use std::sync::OnceLock;

/// The classes a character is in. Empty: none of those that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Class(u8);

const LETTER: u8 = 1;
const NUMBER: u8 = 2;
const SPACE: u8 = 4;
const MARK: u8 = 8;
const PUNCTUATION: u8 = 16;
const SYMBOL: u8 = 32;
const CONTROL: u8 = 64;
const NONSPACING: u8 = 128;

/// The classes of all characters, in one edition of Unicode.
#[derive(Clone, Copy)]
pub(crate) struct Classes(&'static [u8]);

impl Classes {
    /// What the expressions of pre-tokenizers see: Unicode 15.1 in llama.cpp, 16 in Hugging Face's (Oniguruma 6.9.10).
    pub(crate) fn of_expressions(reader: Reader) -> Self {
        static LLAMA_CPP: OnceLock<Vec<u8>> = OnceLock::new();
        static HUGGING_FACE: OnceLock<Vec<u8>> = OnceLock::new();
        Self(match reader {
            Reader::LlamaCpp => LLAMA_CPP.get_or_init(|| table(r"\p{Age=15.1}")),
            Reader::HuggingFace => HUGGING_FACE.get_or_init(|| table(r"\p{Age=16.0}")),
        })
    }

    /// What the folding of WordPiece vocabularies sees: Unicode 8 in Hugging Face's (the crate `unicode_categories`).
    pub(crate) fn of_folding(reader: Reader) -> Self {
        static HUGGING_FACE: OnceLock<Vec<u8>> = OnceLock::new();
        match reader {
            Reader::LlamaCpp => Self::of_expressions(reader),
            Reader::HuggingFace => Self(HUGGING_FACE.get_or_init(unicode_8)),
        }
    }

    pub(crate) fn of(self, c: char) -> Class {
        Class(self.0.get(c as usize).copied().unwrap_or(0))
    }
}

impl Class {
    pub(crate) fn is_letter(self) -> bool {
        self.0 & LETTER != 0
    }

    pub(crate) fn is_number(self) -> bool {
        self.0 & NUMBER != 0
    }

    pub(crate) fn is_space(self) -> bool {
        self.0 & SPACE != 0
    }

    pub(crate) fn is_mark(self) -> bool {
        self.0 & MARK != 0
    }

    pub(crate) fn is_punctuation(self) -> bool {
        self.0 & PUNCTUATION != 0
    }

    pub(crate) fn is_symbol(self) -> bool {
        self.0 & SYMBOL != 0
    }

    /// Control, format, private use and surrogate; not what is unassigned.
    pub(crate) fn is_control(self) -> bool {
        self.0 & CONTROL != 0
    }

    pub(crate) fn is_nonspacing(self) -> bool {
        self.0 & NONSPACING != 0
    }

    /// Neither space nor letter nor number.
    pub(crate) fn is_other(self) -> bool {
        self.0 & (SPACE | LETTER | NUMBER) == 0
    }
}

/// The table of an edition, whose characters match `known`.
fn table(known: &str) -> Vec<u8> {
    let mut table = vec![0; char::MAX as usize + 1];
    for (pattern, bit) in [
        (r"\p{L}", LETTER),
        (r"\p{N}", NUMBER),
        (r"\p{White_Space}", SPACE),
        (r"\p{M}", MARK),
        (r"\p{P}", PUNCTUATION),
        (r"\p{S}", SYMBOL),
        (r"[\p{Cc}\p{Cf}\p{Co}]", CONTROL),
        (r"\p{Mn}", NONSPACING),
    ] {
        mark(&mut table, pattern, bit);
    }
    let mut in_edition = vec![0; table.len()];
    mark(&mut in_edition, known, 1);
    table.iter_mut().zip(in_edition).filter(|(_, known)| *known == 0).for_each(|(class, _)| *class = 0);
    table
}

/// What was in another class in Unicode 8 than since. Only classes that folding asks for.
fn unicode_8() -> Vec<u8> {
    let mut table = table(r"\p{Age=8.0}");
    let mut set = |characters: &[char], class: u8| {
        for c in characters {
            table.get_mut(*c as usize).into_iter().for_each(|slot| *slot = class);
        }
    };
    set(&['\u{166d}', '\u{111c9}'], PUNCTUATION);
    set(&['\u{1734}', '\u{1171e}'], MARK | NONSPACING);
    set(&['\u{1885}', '\u{1886}'], LETTER);
    set(&['\u{a9bd}'], MARK);
    table
}

fn mark(table: &mut [u8], pattern: &str, bit: u8) {
    let Ok(hir) = regex_syntax::parse(pattern) else { return };
    let HirKind::Class(HirClass::Unicode(class)) = hir.kind() else { return };
    for range in class.ranges() {
        let range = range.start() as usize..=range.end() as usize;
        table.get_mut(range).unwrap_or_default().iter_mut().for_each(|byte| *byte |= bit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_members() {
        let class = |c| Classes::of_expressions(Reader::LlamaCpp).of(c);
        assert!(class('ß').is_letter() && class('日').is_letter() && !class('1').is_letter());
        assert!(class('7').is_number() && class('٣').is_number() && class('½').is_number());
        assert!(class('\u{a0}').is_space() && class('\u{85}').is_space() && !class('\u{200b}').is_space());
        assert!(class('\u{301}').is_mark() && class('。').is_punctuation() && class('€').is_symbol());
        assert!(
            class('\u{7}').is_control() && class('\u{200b}').is_control() && class('\u{e000}').is_control()
        );
        assert!(class('\u{301}').is_other() && class('\u{378}').is_other() && !class(' ').is_other());
    }

    #[test]
    fn each_reader_has_its_edition() {
        let llama_cpp = Classes::of_expressions(Reader::LlamaCpp);
        let hugging_face = Classes::of_expressions(Reader::HuggingFace);
        let folding = Classes::of_folding(Reader::HuggingFace);
        // Assigned in Unicode 16: a mark, and a letter.
        assert!(!llama_cpp.of('\u{897}').is_mark() && hugging_face.of('\u{897}').is_mark());
        assert!(!llama_cpp.of('\u{10d4a}').is_letter() && hugging_face.of('\u{10d4a}').is_letter());
        // Assigned in Unicode 9; punctuation until Unicode 12.
        assert!(hugging_face.of('\u{2e43}').is_punctuation() && !folding.of('\u{2e43}').is_punctuation());
        assert!(!hugging_face.of('\u{166d}').is_punctuation() && folding.of('\u{166d}').is_punctuation());
    }
}
