//! The most tokens a text can be, whatever the vocabulary.

use unicode_normalization::UnicodeNormalization;

/// Bytes of a text, counted in the longer of its own form and the one SentencePiece's models read it in (NFKC): every
/// token stands for a byte at least, and a vocabulary that folds a text may make it longer first (U+FDFA is three bytes
/// and folds into thirty-three).
pub fn bytes_bound(text: &str) -> u64 {
    let folded = |c: char| std::iter::once(c).nfkc().map(char::len_utf8).sum::<usize>();
    let bytes = if text.is_ascii() {
        text.len()
    } else {
        text.chars().map(|c| if c.is_ascii() { 1 } else { c.len_utf8().max(folded(c)) }).sum()
    };
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_that_folds_into_many_counts_as_many() {
        assert_eq!((bytes_bound("abc"), bytes_bound("ß"), bytes_bound("\u{fdfa}")), (3, 2, 33));
    }
}
