//! What kind of character a character is, by one look into a table.
//!
//! Pre-tokenizers are regular expressions over a handful of Unicode classes. The table is made once from the ranges the
//! regular expression library carries, one byte a code point. Characters younger than the tables of the engines count as
//! unassigned, which they are to them.

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

impl Class {
    pub(crate) fn of(c: char) -> Self {
        Self(table().get(c as usize).copied().unwrap_or(0))
    }

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

fn table() -> &'static [u8] {
    static TABLE: OnceLock<Vec<u8>> = OnceLock::new();
    TABLE.get_or_init(|| {
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
        forget_younger(&mut table);
        table
    })
}

/// Unicode 15.1 is what llama.cpp's tables were made from.
fn forget_younger(table: &mut [u8]) {
    let mut known = vec![0; table.len()];
    mark(&mut known, r"\p{Age=15.1}", 1);
    table.iter_mut().zip(known).filter(|(_, known)| *known == 0).for_each(|(class, _)| *class = 0);
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
        assert!(Class::of('ß').is_letter() && Class::of('日').is_letter() && !Class::of('1').is_letter());
        assert!(Class::of('7').is_number() && Class::of('٣').is_number() && Class::of('½').is_number());
        assert!(
            Class::of('\u{a0}').is_space()
                && Class::of('\u{85}').is_space()
                && !Class::of('\u{200b}').is_space()
        );
        assert!(
            Class::of('\u{301}').is_mark() && Class::of('。').is_punctuation() && Class::of('€').is_symbol()
        );
        assert!(
            Class::of('\u{7}').is_control()
                && Class::of('\u{200b}').is_control()
                && Class::of('\u{e000}').is_control()
        );
        // Assigned in Unicode 16: a mark, and a letter.
        assert!(!Class::of('\u{897}').is_mark() && !Class::of('\u{10d4a}').is_letter());
        assert!(
            Class::of('\u{301}').is_other() && Class::of('\u{378}').is_other() && !Class::of(' ').is_other()
        );
    }
}
