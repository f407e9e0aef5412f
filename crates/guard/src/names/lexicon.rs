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

/// A list by the hash of its entries: one look, where halving the list takes fifteen.
struct Table {
    entries: Vec<(&'static [u8], u8)>,
    /// One more than the number of an entry; nothing: none. Twice as many as entries at least, a power of two.
    slots: Vec<u32>,
}

impl Table {
    fn new(entries: Vec<(&'static [u8], u8)>) -> Self {
        let mut slots = vec![0; (entries.len() * 2).next_power_of_two()];
        for ((word, _), number) in entries.iter().zip(1..) {
            let mut at = place(word, slots.len());
            while let Some(slot) = slots.get_mut(at) {
                if *slot == 0 {
                    *slot = number;
                    break;
                }
                at = (at + 1) % slots.len();
            }
        }
        Self { entries, slots }
    }

    fn get(&self, wanted: &[u8]) -> Option<u8> {
        let mut at = place(wanted, self.slots.len());
        loop {
            let number = usize::try_from(*self.slots.get(at)?).ok()?;
            let (word, kind) = self.entries.get(number.checked_sub(1)?)?;
            if *word == wanted {
                return Some(*kind);
            }
            at = (at + 1) % self.slots.len();
        }
    }
}

/// FNV-1a, its upper half folded in.
fn place(word: &[u8], slots: usize) -> usize {
    let hash = word.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3)
    });
    usize::try_from((hash ^ hash >> 32) & 0xFFFF_FFFF).unwrap_or_default() % slots.max(1)
}

/// What a word is known as; nothing, if it is not.
pub(super) fn known(word: &[u8]) -> Known {
    static TABLE: OnceLock<Table> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let split = |line: &'static str| line.as_bytes().split_last().map(|(kind, word)| (word, kind - b'0'));
        Table::new(lines(WORDS).filter_map(split).collect())
    });
    Entry::of(word).and_then(|entry| table.get(entry.as_bytes())).map(Known).unwrap_or_default()
}

pub(super) fn is_place(text: &[u8]) -> bool {
    static TABLE: OnceLock<Table> = OnceLock::new();
    let table = TABLE.get_or_init(|| Table::new(lines(PLACES).map(|line| (line.as_bytes(), 0)).collect()));
    Entry::of(text).is_some_and(|entry| table.get(entry.as_bytes()).is_some())
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
