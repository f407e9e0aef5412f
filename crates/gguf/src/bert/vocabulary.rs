//! A WordPiece vocabulary in the form llama.cpp matches it.
//!
//! `vocab.txt` marks what continues a word (`##ing`); llama.cpp marks what begins one, with U+2581. So `##ing` loses
//! its mark and `walk` gains one; tokens in brackets (`[CLS]`, `[unused3]`) stay as they are, because no text reaches
//! them.

use super::{ConvertError, Metadata};
use crate::value::{Array, Value};
use std::collections::HashSet;

/// `tokenizer.ggml.token_type`: what ordinary text may produce, and what it may not.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const UNKNOWN: i32 = 2;

const TOKEN_BYTES_MAX: usize = 1024;

#[derive(Debug)]
pub(super) struct Vocabulary {
    tokens: Vec<String>,
    kinds: Vec<i32>,
    special: [(&'static str, u32); 6],
}

pub(super) fn parse(bytes: &[u8]) -> Result<Vocabulary, ConvertError> {
    let wrong = |expected, found: String| ConvertError::Vocabulary { expected, found };
    let text = std::str::from_utf8(bytes)
        .map_err(|error| wrong("be UTF-8", format!("byte {}", error.valid_up_to())))?;
    // By '\n' alone: `str::lines` would also eat a '\r' that is part of a token.
    let lines: Vec<&str> = text.strip_suffix('\n').unwrap_or(text).split('\n').collect();
    let mut seen = HashSet::new();
    for (index, line) in lines.iter().enumerate() {
        if line.is_empty() || line.len() > TOKEN_BYTES_MAX {
            return Err(wrong("have a token of 1 to 1024 bytes on each line", format!("line {}", index + 1)));
        }
        if !seen.insert(*line) {
            return Err(wrong("have each token once", format!("line {} again", index + 1)));
        }
    }
    let id = |token: &'static str| {
        let found = lines.iter().position(|line| *line == token).and_then(|index| u32::try_from(index).ok());
        found.ok_or_else(|| wrong("hold [PAD], [UNK], [CLS], [SEP] and [MASK]", format!("no {token}")))
    };
    let special = [
        // llama.cpp puts the token it calls BOS in front: for this family that is [CLS].
        ("tokenizer.ggml.bos_token_id", id("[CLS]")?),
        ("tokenizer.ggml.unknown_token_id", id("[UNK]")?),
        // The misspelling is the format's own.
        ("tokenizer.ggml.seperator_token_id", id("[SEP]")?),
        ("tokenizer.ggml.padding_token_id", id("[PAD]")?),
        ("tokenizer.ggml.cls_token_id", id("[CLS]")?),
        ("tokenizer.ggml.mask_token_id", id("[MASK]")?),
    ];
    let kinds = lines.iter().map(|line| kind(line)).collect();
    Ok(Vocabulary { tokens: lines.into_iter().map(marked).collect(), kinds, special })
}

fn kind(token: &str) -> i32 {
    match token {
        "[UNK]" => UNKNOWN,
        "[PAD]" | "[CLS]" | "[SEP]" | "[MASK]" => CONTROL,
        _ => NORMAL,
    }
}

fn marked(token: &str) -> String {
    if token.starts_with('[') && token.ends_with(']') && token.len() > 2 {
        return token.to_owned();
    }
    match token.strip_prefix("##") {
        Some(rest) if !rest.is_empty() => rest.to_owned(),
        _ => format!("\u{2581}{token}"),
    }
}

impl Vocabulary {
    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn append_metadata(&self, metadata: &mut Metadata) {
        metadata.push(("tokenizer.ggml.model".to_owned(), Value::String("bert".into())));
        metadata.push(("tokenizer.ggml.tokens".to_owned(), Value::Array(Array::String(self.tokens.clone()))));
        metadata.push(("tokenizer.ggml.token_type".to_owned(), Value::Array(Array::I32(self.kinds.clone()))));
        for (key, id) in self.special {
            metadata.push((key.to_owned(), Value::U32(id)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_start_gains_the_mark_and_a_continuation_loses_its_own() {
        let vocabulary =
            parse(b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n[unused0]\n[\nwalk\n##ing\n##\n").unwrap();
        let expected = [
            "[PAD]",
            "[UNK]",
            "[CLS]",
            "[SEP]",
            "[MASK]",
            "[unused0]",
            "\u{2581}[",
            "\u{2581}walk",
            "ing",
            "\u{2581}##",
        ];
        assert_eq!(vocabulary.tokens, expected);
    }

    #[test]
    fn a_vocabulary_without_its_special_tokens_is_refused() {
        let error = parse(b"[PAD]\nwalk\n").unwrap_err();
        assert!(error.to_string().contains("no [CLS]"), "{error}");
    }
}
