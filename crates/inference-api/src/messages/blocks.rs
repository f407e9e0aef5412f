//! Content blocks, each as the part, the call or the message it becomes. A field of a block that is not known is refused.

use crate::chat::request::{Content, ImageUrl, Message, Part, ToolCall};
use crate::facts::RequestMistake;
use crate::reading::{Fields, Placed};
use crate::writing::Text;

/// Said before what a tool gave back when the caller marked that as an error (`is_error`), as a text part of its own.
///
/// Chat completions have no field for it, and a field that engines skip would hide it from the model. So the model is
/// told in words, once, and the caller's own texts stand behind it unchanged.
pub const TOOL_ERROR: &str = "The tool reported an error:\n";

/// `{"type":"text","text":…}`, and nothing else: citations in it would be lost.
pub(super) fn text<'a>(mut block: Fields<'a, '_>) -> Result<Part<'a>, RequestMistake> {
    let text = block.need_text("text")?;
    block.drop_all(&["cache_control"]);
    block.must_be_empty("citations")?;
    block.end()?;
    Ok(Part::Text { text: Text::Written(text) })
}

/// A text, or a list of blocks that are text: system prompts.
pub(super) fn texts<'a>(content: &Placed<'a, '_>) -> Result<Content<'a>, RequestMistake> {
    text_parts(content, "a string or an array of text blocks").map(Content::of_parts)
}

fn text_parts<'a>(content: &Placed<'a, '_>, expected: &'static str) -> Result<Vec<Part<'a>>, RequestMistake> {
    if content.json.is_text() {
        return Ok(vec![Part::Text { text: Text::Written(content.json) }]);
    }
    let mut parts = Vec::new();
    for block in content.items().map_err(|_| content.wrong(expected))? {
        let mut block = block.fields()?;
        let kind = block.need("type", "a string")?;
        match kind.word()?.as_ref() {
            "text" => parts.push(text(block)?),
            _ => return Err(kind.refuse()),
        }
    }
    Ok(parts)
}

/// A picture, by address or in base64: then the address is a `data:` URL of the same characters.
pub(super) fn image<'a>(mut block: Fields<'a, '_>) -> Result<Part<'a>, RequestMistake> {
    let source = block.need("source", "an object")?;
    let mut source = source.fields()?;
    block.drop_all(&["cache_control"]);
    block.end()?;
    let kind = source.need("type", "a string")?;
    let url = match kind.word()?.as_ref() {
        "url" => Text::Written(source.need_text("url")?),
        "base64" => {
            let (media_type, data) = (source.need_text("media_type")?, source.need_text("data")?);
            Text::Joined(vec!["data:", media_type.unquoted(), ";base64,", data.unquoted()])
        }
        _ => return Err(kind.refuse()),
    };
    source.end()?;
    Ok(Part::ImageUrl { image_url: ImageUrl { url, detail: None } })
}

/// A document of plain text: its title, its context and its text, each a text of its own. Others need to be read by
/// someone first.
pub(super) fn document<'a>(mut block: Fields<'a, '_>) -> Result<Vec<Part<'a>>, RequestMistake> {
    let source = block.need("source", "an object")?;
    let mut source = source.fields()?;
    let kind = source.need("type", "a string")?;
    match kind.word()?.as_ref() {
        "text" => source.drop_all(&["media_type"]),
        _ => return Err(kind.refuse()),
    }
    let data = source.need_text("data")?;
    source.end()?;
    if let Some(citations) = block.take("citations") {
        let mut citations = citations.fields()?;
        if let Some(enabled) = citations.take("enabled")
            && enabled.flag()?
        {
            return Err(enabled.at.refuse("true"));
        }
        citations.end()?;
    }
    let texts = [block.text("title")?, block.text("context")?, Some(data)];
    block.drop_all(&["cache_control"]);
    block.end()?;
    Ok(texts.into_iter().flatten().map(|text| Part::Text { text: Text::Written(text) }).collect())
}

/// What a tool gave back: text alone, as chat completions allow.
pub(super) fn tool_result<'a>(mut block: Fields<'a, '_>) -> Result<Message<'a>, RequestMistake> {
    let tool_call_id = block.need_text("tool_use_id")?;
    let mut parts = match block.take("content") {
        None => Vec::new(),
        Some(content) => text_parts(&content, "a string or an array of blocks")?,
    };
    if block.flag("is_error")? == Some(true) {
        parts.insert(0, Part::Text { text: Text::Ours(TOOL_ERROR) });
    }
    block.drop_all(&["cache_control"]);
    block.end()?;
    Ok(Message::Tool { tool_call_id, content: Content::of_parts(parts) })
}

/// A call of the model. Its input goes on as the text it is: an engine hands it to its template, key by key.
pub(super) fn tool_use<'a>(mut block: Fields<'a, '_>) -> Result<ToolCall<'a>, RequestMistake> {
    let (id, name) = (block.need_text("id")?, block.need_text("name")?);
    let input = block.need("input", "an object")?.object("an object")?;
    if let Some(caller) = block.take("caller") {
        // The model itself, as ever. Any other is a tool that runs at Anthropic.
        let mut caller = caller.fields()?;
        let kind = caller.need("type", "a string")?;
        match kind.word()?.as_ref() {
            "direct" => caller.end()?,
            _ => return Err(kind.refuse()),
        }
    }
    block.drop_all(&["cache_control"]);
    block.end()?;
    Ok(ToolCall::new(id, name, Text::Encoded(input)))
}

/// What the model thought, still escaped. Its signature is for who signed it.
pub(super) fn thinking<'a>(mut block: Fields<'a, '_>) -> Result<&'a str, RequestMistake> {
    let thinking = block.need_text("thinking")?;
    block.drop_all(&["signature", "cache_control"]);
    block.end()?;
    Ok(thinking.unquoted())
}
