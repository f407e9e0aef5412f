//! Unicode's normal forms as Hugging Face's `tokenizers` has them: by the tables of Unicode 9.
//!
//! Normal forms of assigned characters never change (Unicode's stability policy), and to those tables a younger character
//! is one that nothing composes with and no mark moves past. So what lies between younger characters is brought into its
//! form by today's tables, and they are left as they are.

use regex_syntax::hir::{Class, ClassUnicodeRange, HirKind};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::OnceLock;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// The composed form (NFC).
pub(crate) fn composed(text: &str) -> Cow<'_, str> {
    if is_nfc(text) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(formed(text, |older, form| form.extend(older.nfc())))
    }
}

/// The decomposed form (NFD).
pub(crate) fn decomposed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(formed(text, |older, form| form.extend(older.nfd())))
    }
}

fn formed(text: &str, add: impl Fn(&str, &mut String)) -> String {
    let mut form = String::with_capacity(text.len());
    for part in text.split_inclusive(is_younger) {
        let (older, younger) = parted(part);
        add(older, &mut form);
        form.push_str(younger);
    }
    form
}

/// A younger character at the end apart from what stands before it.
fn parted(part: &str) -> (&str, &str) {
    let older = part.strip_suffix(is_younger).unwrap_or(part);
    (older, part.get(older.len()..).unwrap_or_default())
}

fn is_younger(c: char) -> bool {
    let place = |range: &ClassUnicodeRange| {
        if range.end() < c {
            Ordering::Less
        } else if range.start() > c {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    };
    !c.is_ascii() && known().binary_search_by(place).is_err()
}

fn known() -> &'static [ClassUnicodeRange] {
    static KNOWN: OnceLock<Vec<ClassUnicodeRange>> = OnceLock::new();
    KNOWN.get_or_init(|| match regex_syntax::parse(r"\p{Age=9.0}").map(|hir| hir.into_kind()) {
        Ok(HirKind::Class(Class::Unicode(class))) => class.ranges().to_vec(),
        _ => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_that_of_unicode_9() {
        assert_eq!(composed("e\u{301}"), "é");
        assert_eq!(decomposed("éa"), "e\u{301}a");
        // Composed since Unicode 16; a mark since Unicode 10, past which others move.
        assert_eq!(composed("\u{113c2}\u{113c2}e\u{301}"), "\u{113c2}\u{113c2}é");
        assert_eq!(decomposed("a\u{301}\u{1df6}\u{323}"), "a\u{301}\u{1df6}\u{323}");
        assert_eq!(decomposed("a\u{301}\u{323}"), "a\u{323}\u{301}");
    }
}
