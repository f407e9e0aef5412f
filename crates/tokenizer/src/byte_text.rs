//! GPT-2's way of writing bytes as visible characters, in which byte-level vocabularies and merges are written.

use rustc_hash::FxHashMap;

/// The character that stands for a byte: itself where it is visible, else the next one from U+0100 on.
pub(crate) fn character_of(byte: u8) -> char {
    if is_visible(byte) {
        return char::from(byte);
    }
    let hidden = (0..byte).filter(|byte| !is_visible(*byte)).count();
    u32::try_from(hidden).ok().and_then(|hidden| char::from_u32(0x100 + hidden)).unwrap_or('\u{fffd}')
}

fn is_visible(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff)
}

/// Characters back to bytes.
#[derive(Debug)]
pub(crate) struct ByteText(FxHashMap<char, u8>);

impl ByteText {
    pub(crate) fn new() -> Self {
        Self((0..=255).map(|byte| (character_of(byte), byte)).collect())
    }

    /// `None` when the text holds a character that stands for no byte, as names of special tokens may.
    pub(crate) fn bytes(&self, text: &str) -> Option<Vec<u8>> {
        text.chars().map(|c| self.0.get(&c).copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_character_of_its_own() {
        let text: String = (0..=255).map(character_of).collect();
        assert_eq!(ByteText::new().bytes(&text).unwrap(), (0..=255).collect::<Vec<u8>>());
        assert_eq!((character_of(b' '), character_of(b'\n'), character_of(b'a')), ('Ġ', 'Ċ', 'a'));
        assert_eq!(ByteText::new().bytes("a▁"), None);
    }
}
