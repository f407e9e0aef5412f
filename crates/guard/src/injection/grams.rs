//! What a text is made of: hashes of its words, of neighbouring words, and of the pieces of its words.
//!
//! A gram belongs to the word it ends in, so what a stretch of words weighs is a difference of two sums.

/// Places in the table of words and their neighbours, as a power of two.
pub(super) const WORD_BITS: u32 = 17;
/// Places in the table of pieces of words.
pub(super) const PIECE_BITS: u32 = 16;

/// Of a word longer than this only the beginning is cut into pieces: it is no word of a language.
const PIECED_MAX: usize = 48;

/// What a reader of grams is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// A place in the table of words.
    Word(usize),
    /// A place in the table of pieces.
    Piece(usize),
    /// A word, with all its grams, has ended.
    End,
}

/// The upper bits of a product with 2^64 / φ (Knuth, The Art of Computer Programming, 6.4).
fn place(key: u64, bits: u32) -> usize {
    usize::try_from(key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - bits)).unwrap_or_default()
}

/// FNV-1a.
fn hash(word: &[u8]) -> u64 {
    word.iter()
        .fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3))
}

fn pair(before: u64, hash: u64) -> u64 {
    before.wrapping_mul(0xD6E8_FEB8_6659_FD93).rotate_left(29) ^ hash
}

/// Tells every gram of `words` as [`super::fold::words`] writes them.
pub(super) fn each(words: &[u8], mut tell: impl FnMut(Told)) {
    let mut before: [Option<u64>; 2] = [None; 2];
    let mut from = 1;
    while let Some(length) = words.get(from..).and_then(|rest| rest.iter().position(|byte| *byte == b' ')) {
        let word = words.get(from..from + length).unwrap_or_default();
        let hash = hash(word);
        tell(Told::Word(place(hash, WORD_BITS)));
        if let Some(last) = before[0] {
            let two = pair(last, hash);
            tell(Told::Word(place(two, WORD_BITS)));
            if let Some(first) = before[1] {
                tell(Told::Word(place(pair(first, two), WORD_BITS)));
            }
        }
        before = [Some(hash), before[0]];
        // With the blanks on both sides: how a word begins and ends tells.
        let spaced = words.get(from - 1..=from + length.min(PIECED_MAX)).unwrap_or_default();
        pieces(spaced, &mut tell);
        tell(Told::End);
        from += length + 1;
    }
}

/// Four and five neighbouring bytes.
fn pieces(spaced: &[u8], tell: &mut impl FnMut(Told)) {
    let mut last: u64 = 0;
    for (at, byte) in spaced.iter().enumerate() {
        last = last << 8 | u64::from(*byte);
        if at >= 3 {
            tell(Told::Piece(place(last & 0xFFFF_FFFF, PIECE_BITS)));
        }
        if at >= 4 {
            tell(Told::Piece(place(last & 0xFF_FFFF_FFFF, PIECE_BITS)));
        }
    }
}
