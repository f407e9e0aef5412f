//! What is said of the output: its form, the effort that goes into it, whether the model thinks first.

use crate::chat::request::{NamedSchema, Request, ResponseFormat, Value};
use crate::facts::RequestMistake;
use crate::reading::Placed;
use crate::writing::Text;

/// `output_config`: the form and the effort.
pub(super) fn configure<'a>(config: &Placed<'a, '_>, chat: &mut Request<'a>) -> Result<(), RequestMistake> {
    let mut config = config.fields()?;
    if let Some(format) = config.take("format") {
        form(&format, chat)?;
    }
    if let Some(effort) = config.take("effort") {
        let word = match effort.word()?.as_ref() {
            "low" => "low",
            "medium" => "medium",
            "high" => "high",
            "xhigh" => "xhigh",
            // `max` too: chat completions end one below.
            _ => return Err(effort.refuse()),
        };
        chat.put("reasoning_effort", Value::Word(word))?;
    }
    config.end()
}

/// `output_config.format`, and `output_format` as it was called before. Strict, because Messages promises an answer that
/// fits the schema; a name, because chat completions ask for one.
pub(super) fn form<'a>(format: &Placed<'a, '_>, chat: &mut Request<'a>) -> Result<(), RequestMistake> {
    let mut format = format.fields()?;
    let kind = format.need("type", "a string")?;
    if kind.word()? != "json_schema" {
        return Err(kind.refuse());
    }
    let schema = format.need("schema", "a JSON schema")?.json;
    format.end()?;
    let name = Text::Ours("output");
    let json_schema = NamedSchema { name, description: None, schema, strict: Some(true) };
    chat.put("response_format", Value::ResponseFormat(ResponseFormat::JsonSchema { json_schema }))
}

/// `thinking`. Off is what a chat request without a word of it asks for, and so is `adaptive`: the model decides. A
/// budget of tokens has no field that engines share, and a text that is left out (`display`) would have to be.
pub(super) fn thinking(thinking: &Placed<'_, '_>) -> Result<(), RequestMistake> {
    let mut thinking = thinking.fields()?;
    let kind = thinking.need("type", "a string")?;
    match kind.word()?.as_ref() {
        "disabled" => {}
        "adaptive" => {
            if let Some(display) = thinking.take("display")
                && display.word()? != "summarized"
            {
                return Err(display.refuse());
            }
        }
        _ => return Err(kind.refuse()),
    }
    thinking.end()
}
