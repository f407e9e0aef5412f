//! What is said of the output: its form, the effort that goes into it, whether the model thinks first.

use crate::facts::RequestMistake;
use crate::messages::chat::{NamedSchema, Request, ResponseFormat, Value};
use crate::messages::skim::Json;
use crate::messages::wire::{Fields, Place};

/// `output_config`: the form and the effort.
pub(super) fn configure<'a>(raw: Json<'a>, chat: &mut Request<'a>) -> Result<(), RequestMistake> {
    let at = Place::Body.field("output_config");
    let mut config = Fields::read(raw, &at)?;
    if let Some(format) = config.take("format") {
        form(format, &at.field("format"), chat)?;
    }
    if let Some(effort) = config.word("effort")? {
        let word = match effort.as_ref() {
            "low" => "low",
            "medium" => "medium",
            "high" => "high",
            "xhigh" => "xhigh",
            // `max` too: chat completions end one below.
            other => return Err(at.field("effort").unknown_word(other)),
        };
        chat.put("reasoning_effort", Value::Word(word))?;
    }
    config.refuse_rest()
}

/// `output_config.format`, and `output_format` as it was called before. Strict, because Messages promises an answer that
/// fits the schema; a name, because chat completions ask for one.
pub(super) fn form<'a>(raw: Json<'a>, at: &Place<'_>, chat: &mut Request<'a>) -> Result<(), RequestMistake> {
    let mut format = Fields::read(raw, at)?;
    match format.need_word("type")?.as_ref() {
        "json_schema" => {}
        other => return Err(at.field("type").unknown_word(other)),
    }
    let schema = format.need("schema", "a JSON schema")?;
    format.refuse_rest()?;
    let json_schema = NamedSchema { name: "output", schema, strict: true };
    chat.put("response_format", Value::ResponseFormat(ResponseFormat { kind: "json_schema", json_schema }))
}

/// `thinking`. Off is what a chat request without a word of it asks for, and so is `adaptive`: the model decides. A
/// budget of tokens has no field that engines share, and a text that is left out (`display`) would have to be.
pub(super) fn thinking(raw: Json<'_>) -> Result<(), RequestMistake> {
    let at = Place::Body.field("thinking");
    let mut thinking = Fields::read(raw, &at)?;
    match thinking.need_word("type")?.as_ref() {
        "disabled" => {}
        "adaptive" => match thinking.word("display")?.as_deref() {
            None | Some("summarized") => {}
            Some(other) => return Err(at.field("display").unknown_word(other)),
        },
        other => return Err(at.field("type").unknown_word(other)),
    }
    thinking.refuse_rest()
}
