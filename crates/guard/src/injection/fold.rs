//! A text as the words somebody reads in it.
//!
//! Small letters and digits, a blank between words, nothing else: punctuation, case, accents, letters of other scripts that
//! look like Latin ones and characters that nobody sees are what instructions are disguised with, and carry none.

use crate::view::fold::{Folded, fold};
use crate::view::latin::as_latin;

/// The words of a text, with one blank before, between and behind them.
pub(super) fn words(text: &str) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(text.len() + 2);
    out.push(b' ');
    for character in text.chars() {
        if character.is_ascii() {
            // Most text: no table is asked.
            push(&mut out, character.to_ascii_lowercase());
            continue;
        }
        match fold(character) {
            Folded::Nothing => {}
            Folded::Ascii(byte) => push(&mut out, char::from(byte.to_ascii_lowercase())),
            Folded::Itself => character.to_lowercase().for_each(|small| push(&mut out, as_latin(small))),
        }
    }
    if out.last() != Some(&b' ') {
        out.push(b' ');
    }
    out
}

fn push(out: &mut Vec<u8>, character: char) {
    match character {
        'a'..='z' | '0'..='9' => out.push(u8::try_from(character).unwrap_or(b' ')),
        // Part of the word it stands in: `don't`, and an accent that is a character of its own.
        '\'' | '’' | '\u{300}'..='\u{36F}' => {}
        _ if !character.is_ascii() && character.is_alphanumeric() => {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        _ if out.last() == Some(&b' ') => {}
        _ => out.push(b' '),
    }
}
