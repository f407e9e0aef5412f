//! The text of an answer that came whole.

use super::{Span, SpanKind, Walk};
use crate::json::{self, JsonMistake};
use std::ops::Range;

/// Everything an engine says in a plain answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerText {
    pub spans: Vec<Span>,
}

/// What an engine says of the answer and not in it. `model` is known to the caller.
pub(super) const ABOUT: [&[u8]; 7] =
    [b"id", b"object", b"model", b"created", b"usage", b"system_fingerprint", b"service_tier"];

/// Finds the text of an answer; numbers in it are vectors, scores and counts.
pub fn answer_text(body: &[u8]) -> Result<AnswerText, JsonMistake> {
    let mut walk = Walk::new(body, false);
    for child in json::members(body)? {
        let key = walk.raw(&child.key);
        let key = key.strip_prefix(b"\"").and_then(|key| key.strip_suffix(b"\"")).unwrap_or_default();
        walk.next_passage();
        walk.name_of(&child.key);
        if ABOUT.contains(&key) {
            continue;
        }
        let kind = match key {
            b"results" => SpanKind::Document,
            b"text" | b"segments" => SpanKind::Answer,
            _ => SpanKind::Other,
        };
        if key == b"data" {
            vectors_and_pictures(&mut walk, &child.value)?;
            continue;
        }
        if key != b"choices" {
            walk.everything(&child.value, kind)?;
            continue;
        }
        for choice in walk.children(&child.value)? {
            self::choice(&mut walk, &choice.value)?;
        }
    }
    Ok(AnswerText { spans: walk.spans })
}

/// A vector and a picture can come in base64, which is no text.
fn vectors_and_pictures(walk: &mut Walk<'_>, place: &Range<usize>) -> Result<(), JsonMistake> {
    if !walk.raw(place).starts_with(b"[") {
        return walk.everything(place, SpanKind::Other);
    }
    for element in walk.children(place)? {
        if !walk.raw(&element.value).starts_with(b"{") {
            walk.everything(&element.value, SpanKind::Other)?;
            continue;
        }
        for field in walk.children(&element.value)? {
            walk.name(&field);
            if !matches!(walk.key(&field), b"embedding" | b"b64_json") {
                walk.everything(&field.value, SpanKind::Other)?;
            }
        }
    }
    Ok(())
}

fn choice(walk: &mut Walk<'_>, place: &Range<usize>) -> Result<(), JsonMistake> {
    walk.next_passage();
    if !walk.raw(place).starts_with(b"{") {
        return walk.everything(place, SpanKind::Other);
    }
    for field in walk.children(place)? {
        walk.name(&field);
        match walk.key(&field) {
            b"message" if walk.raw(&field.value).starts_with(b"{") => {
                for said in walk.children(&field.value)? {
                    walk.next_passage();
                    walk.name(&said);
                    let kind = kind_of(walk.key(&said));
                    walk.everything(&said.value, kind)?;
                }
            }
            b"text" => walk.everything(&field.value, SpanKind::Answer)?,
            _ => walk.everything(&field.value, SpanKind::Other)?,
        }
    }
    Ok(())
}

/// What a field of a message, or of a piece of one, holds.
pub(super) fn kind_of(key: &[u8]) -> SpanKind {
    match key {
        b"content" | b"text" => SpanKind::Answer,
        b"reasoning_content" | b"reasoning" | b"thinking" => SpanKind::Reasoning,
        b"refusal" => SpanKind::Refusal,
        b"tool_calls" | b"function_call" => SpanKind::Arguments,
        _ => SpanKind::Other,
    }
}
