//! The text of a request, as an engine is asked it.

use super::{Span, SpanKind, Walk, Written};
use crate::RequestFacts;
use crate::form;
use crate::json::{self, JsonMistake};
use crate::surface::{Call, Form};
use std::ops::Range;

/// Everything a request gives a model to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestText {
    pub spans: Vec<Span>,
    /// A field whose text cannot be read here, though a model or an engine would: tokens, vectors, a program that
    /// writes the prompt.
    pub unreadable: Option<&'static str>,
    /// A field that asks for the answer a second time, token by token.
    pub asks_for_tokens: Option<&'static str>,
}

/// Fields that carry a prompt in another form than text, or write one. Extensions of vLLM, SGLang and others.
const UNREADABLE: [&str; 6] = [
    "prompt_embeds",
    "prompt_token_ids",
    "input_ids",
    "input_embeds",
    "chat_template",
    "mm_processor_kwargs",
];

/// Fields that have the answer told in tokens besides.
const TOKEN_FIELDS: [&str; 7] = [
    "logprobs",
    "top_logprobs",
    "prompt_logprobs",
    "return_token_ids",
    "return_tokens_as_token_ids",
    "return_text_in_logprobs",
    "output_ids",
];

/// Finds the text of a request whose facts were read from the same bytes.
pub fn request_text(call: Call, body: &[u8], facts: &RequestFacts) -> Result<RequestText, JsonMistake> {
    match call.form() {
        Form::Json => of_json(call, body),
        Form::Multipart => Ok(of_form(body, facts)),
    }
}

fn of_form(body: &[u8], facts: &RequestFacts) -> RequestText {
    let boundary = facts.form.as_ref().map(|form| form.boundary.as_str()).unwrap_or_default();
    // Facts were read from it, so it is a form.
    let parts = form::parts(body, boundary).unwrap_or_default();
    let texts = parts.into_iter().filter(|part| !part.is_file && part.name != "model");
    let spans = (0..).zip(texts).map(|(passage, part)| {
        let kind = if part.name == "prompt" { SpanKind::Prompt } else { SpanKind::Other };
        Span { place: part.value, kind, written: Written::Plain, passage }
    });
    RequestText { spans: spans.collect(), ..RequestText::default() }
}

fn of_json(call: Call, body: &[u8]) -> Result<RequestText, JsonMistake> {
    let mut walk = Walk::new(body, true);
    let mut text = RequestText::default();
    for child in json::members(body)? {
        let place = &child.value;
        let key = walk.raw(&child.key);
        let key = key.strip_prefix(b"\"").and_then(|key| key.strip_suffix(b"\"")).unwrap_or_default();
        let key = std::str::from_utf8(key).unwrap_or_default();
        walk.next_passage();
        match key {
            // Looked up, and either known or refused.
            "model" => continue,
            "messages" if call == Call::Chat => messages(&mut walk, place)?,
            "tools" | "functions" | "tool_choice" | "function_call" | "response_format" => {
                walk.everything(place, SpanKind::Definition)?;
            }
            "prompt" | "input" => {
                let kind = if key == "prompt" { SpanKind::Prompt } else { SpanKind::Input };
                if is_tokens(&walk, place)? {
                    text.unreadable = Some(if key == "prompt" { "prompt" } else { "input" });
                }
                apart(&mut walk, place, kind)?;
            }
            "suffix" => walk.everything(place, SpanKind::Prompt)?,
            "query" => walk.everything(place, SpanKind::Query)?,
            "documents" => apart(&mut walk, place, SpanKind::Document)?,
            _ => {
                let said = !matches!(walk.raw(place), b"null" | b"false" | b"0");
                let named = |names: &[&'static str]| names.iter().find(|name| **name == key).copied();
                text.unreadable = text.unreadable.or(named(&UNREADABLE).filter(|_| said));
                text.asks_for_tokens = text.asks_for_tokens.or(named(&TOKEN_FIELDS).filter(|_| said));
                // Settings are numbers of any length.
                let scalar = !matches!(walk.raw(place).first(), Some(b'"' | b'{' | b'['));
                if !scalar {
                    walk.everything(place, SpanKind::Other)?;
                }
            }
        }
        walk.name_of(&child.key);
    }
    text.spans = walk.spans;
    Ok(text)
}

/// Each element is a text of its own.
fn apart(walk: &mut Walk<'_>, place: &Range<usize>, kind: SpanKind) -> Result<(), JsonMistake> {
    if !walk.raw(place).starts_with(b"[") {
        return walk.everything(place, kind);
    }
    for child in walk.children(place)? {
        walk.next_passage();
        walk.everything(&child.value, kind)?;
    }
    Ok(())
}

/// A list of numbers, or of lists of them.
fn is_tokens(walk: &Walk<'_>, place: &Range<usize>) -> Result<bool, JsonMistake> {
    if !walk.raw(place).starts_with(b"[") {
        return Ok(false);
    }
    let children = walk.children(place)?;
    Ok(children.iter().any(|child| matches!(walk.raw(&child.value).first(), Some(b'0'..=b'9' | b'-' | b'['))))
}

fn messages(walk: &mut Walk<'_>, place: &Range<usize>) -> Result<(), JsonMistake> {
    for message in walk.children(place)? {
        walk.next_passage();
        if !walk.raw(&message.value).starts_with(b"{") {
            walk.everything(&message.value, SpanKind::Other)?;
            continue;
        }
        let fields = walk.children(&message.value)?;
        // The last of two that are the same is not the one every reader takes: either may be read.
        let mut roles = fields.iter().filter(|field| walk.key(field) == b"role");
        let kind = match (roles.next().map(|role| walk.raw(&role.value)), roles.next()) {
            (Some(b"\"system\"" | b"\"developer\""), None) => SpanKind::System,
            (Some(b"\"assistant\""), None) => SpanKind::Assistant,
            (Some(b"\"tool\"" | b"\"function\""), None) => SpanKind::Tool,
            (Some(b"\"user\""), None) => SpanKind::User,
            _ => SpanKind::Other,
        };
        for field in &fields {
            walk.name(field);
            match walk.key(field) {
                b"content" => content(walk, &field.value, kind)?,
                b"reasoning_content" | b"reasoning" | b"thinking" => {
                    walk.next_passage();
                    walk.everything(&field.value, SpanKind::Reasoning)?;
                }
                b"refusal" => walk.everything(&field.value, SpanKind::Refusal)?,
                b"tool_calls" | b"function_call" => {
                    walk.next_passage();
                    walk.everything(&field.value, SpanKind::Arguments)?;
                }
                _ => {
                    walk.next_passage();
                    walk.everything(&field.value, kind)?;
                }
            }
        }
    }
    Ok(())
}

/// A text, or parts that are read in a row.
fn content(walk: &mut Walk<'_>, place: &Range<usize>, kind: SpanKind) -> Result<(), JsonMistake> {
    walk.next_passage();
    if !walk.raw(place).starts_with(b"[") {
        return walk.everything(place, kind);
    }
    let mut others = Vec::new();
    for part in walk.children(place)? {
        if !walk.raw(&part.value).starts_with(b"{") {
            walk.everything(&part.value, kind)?;
            continue;
        }
        for field in walk.children(&part.value)? {
            match walk.key(&field) {
                // What is read in a row is the text of the parts, whatever else they say.
                b"text" => walk.everything(&field.value, kind)?,
                _ => others.push(field),
            }
        }
    }
    for field in others {
        walk.next_passage();
        walk.name(&field);
        match walk.key(&field) {
            // Pictures, sound and files are no text; their addresses and names are.
            b"image_url" | b"input_audio" | b"video_url" | b"audio_url" | b"file" => {
                media(walk, &field.value, kind)?;
            }
            _ => walk.everything(&field.value, kind)?,
        }
    }
    Ok(())
}

fn media(walk: &mut Walk<'_>, place: &Range<usize>, kind: SpanKind) -> Result<(), JsonMistake> {
    if !walk.raw(place).starts_with(b"{") {
        if !is_data(walk.raw(place)) {
            walk.everything(place, kind)?;
        }
        return Ok(());
    }
    for field in walk.children(place)? {
        walk.name(&field);
        let data = match walk.key(&field) {
            b"url" => is_data(walk.raw(&field.value)),
            b"data" | b"file_data" => true,
            _ => false,
        };
        if !data {
            walk.everything(&field.value, kind)?;
        }
    }
    Ok(())
}

fn is_data(raw: &[u8]) -> bool {
    raw.starts_with(b"\"data:")
}
