//! The word lists.

use crate::view::latin::as_latin;
use std::sync::OnceLock;

static WORDS: &str = include_str!("words.txt");
static PLACES: &str = include_str!("places.txt");

/// Longest entry, in bytes.
const LONGEST: usize = 32;

/// What a word is known as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Known(u8);

impl Known {
    pub(super) fn is_first_name(self) -> bool {
        self.0 & 1 != 0
    }

    pub(super) fn is_name(self) -> bool {
        self.0 & 3 != 0
    }

    /// English texts use it in lower case.
    pub(super) fn is_english(self) -> bool {
        self.0 & 4 != 0
    }
}

/// A word, or several, as the lists write them: small letters without accents.
struct Entry {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Entry {
    fn of(text: &[u8]) -> Option<Self> {
        let mut entry = Self { bytes: [0; LONGEST], length: 0 };
        for character in std::str::from_utf8(text).ok()?.chars() {
            let small = if character.is_ascii() {
                character.to_ascii_lowercase()
            } else {
                as_latin(character.to_lowercase().next()?)
            };
            *entry.bytes.get_mut(entry.length)? = u8::try_from(small).ok().filter(u8::is_ascii)?;
            entry.length += 1;
        }
        Some(entry)
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

fn lines(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().filter(|line| !line.starts_with('#'))
}

/// What a word is known as; nothing, if it is not.
pub(super) fn known(word: &[u8]) -> Known {
    static SORTED: OnceLock<Vec<(&[u8], u8)>> = OnceLock::new();
    let sorted = SORTED.get_or_init(|| {
        let split = |line: &'static str| line.as_bytes().split_last().map(|(kind, word)| (word, kind - b'0'));
        lines(WORDS).filter_map(split).collect()
    });
    let Some(entry) = Entry::of(word) else { return Known::default() };
    let found = sorted.binary_search_by(|(word, _)| (*word).cmp(entry.as_bytes()));
    Known(found.ok().and_then(|at| sorted.get(at)).map_or(0, |(_, kind)| *kind))
}

pub(super) fn is_place(text: &[u8]) -> bool {
    static SORTED: OnceLock<Vec<&[u8]>> = OnceLock::new();
    let sorted = SORTED.get_or_init(|| lines(PLACES).map(str::as_bytes).collect());
    Entry::of(text).is_some_and(|entry| sorted.binary_search(&entry.as_bytes()).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_and_their_kinds_are_digits() {
        let words: Vec<&str> = lines(WORDS).collect();
        assert!(words.windows(2).all(|pair| pair[0][..pair[0].len() - 1] < pair[1][..pair[1].len() - 1]));
        assert!(words.iter().all(|line| matches!(line.as_bytes().last(), Some(b'1'..=b'7'))));
        let places: Vec<&str> = lines(PLACES).collect();
        assert!(places.is_sorted() && places.len() > 1_000);
    }

    #[test]
    fn a_word_is_known_with_its_accents_and_without() {
        assert!(known("José".as_bytes()).is_first_name() && known(b"JOSE").is_first_name());
        assert!(known(b"Smith").is_name() && known(b"Reading").is_english());
        assert!(is_place("São Paulo".as_bytes()) || is_place(b"Portugal"));
    }
}
