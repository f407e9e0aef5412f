//! Content blocks, each as the part, the call or the message it becomes. A field of a block that is not known is refused.

use crate::facts::RequestMistake;
use crate::messages::chat::{CalledFunction, Content, ImageUrl, Message, Part, Text, ToolCall};
use crate::messages::skim::Json;
use crate::messages::wire::{Fields, Place, items};

/// Said before what a tool gave back when the caller marked that as an error (`is_error`), as a text part of its own.
///
/// Chat completions have no field for it, and a field that engines skip would hide it from the model. So the model is
/// told in words, once, and the caller's own texts stand behind it unchanged.
pub const TOOL_ERROR: &str = "The tool reported an error:\n";

/// `{"type":"text","text":…}`, and nothing else: citations in it would be lost.
pub(super) fn text<'a>(mut block: Fields<'a, '_>) -> Result<Part<'a>, RequestMistake> {
    let text = block.need_text("text")?;
    block.drop_hint("cache_control");
    block.must_be_empty("citations")?;
    block.refuse_rest()?;
    Ok(Part::Text { text: Text::Written(text) })
}

/// A text, or a list of blocks that are text: system prompts.
pub(super) fn texts<'a>(raw: Json<'a>, at: &Place<'_>) -> Result<Content<'a>, RequestMistake> {
    if raw.is_text() {
        return Ok(Content::Text(Text::Written(raw)));
    }
    text_parts(raw, at, "a string or an array of text blocks").map(Content::of_parts)
}

fn text_parts<'a>(
    raw: Json<'a>,
    at: &Place<'_>,
    expected: &'static str,
) -> Result<Vec<Part<'a>>, RequestMistake> {
    if !raw.get().starts_with('[') {
        return Err(at.wrong(expected, Some(raw)));
    }
    let mut parts = Vec::new();
    for (index, raw) in items(raw, at)? {
        let at = at.item(index);
        let mut block = Fields::read(raw, &at)?;
        match block.need_word("type")?.as_ref() {
            "text" => parts.push(text(block)?),
            other => return Err(at.field("type").unknown_word(other)),
        }
    }
    Ok(parts)
}

/// A picture, by address or in base64: then the address is a `data:` URL of the same characters.
pub(super) fn image<'a>(mut block: Fields<'a, '_>, at: &Place<'_>) -> Result<Part<'a>, RequestMistake> {
    let at = at.field("source");
    let mut source = Fields::read(block.need("source", "an object")?, &at)?;
    block.drop_hint("cache_control");
    block.refuse_rest()?;
    let url = match source.need_word("type")?.as_ref() {
        "url" => Text::Written(source.need_text("url")?),
        "base64" => {
            let (media_type, data) = (source.need_text("media_type")?, source.need_text("data")?);
            Text::Joined(vec!["data:", media_type.unquoted(), ";base64,", data.unquoted()])
        }
        other => return Err(at.field("type").unknown_word(other)),
    };
    source.refuse_rest()?;
    Ok(Part::ImageUrl { image_url: ImageUrl { url } })
}

/// A document of plain text: its title, its context and its text, each a text of its own. Others need to be read by
/// someone first.
pub(super) fn document<'a>(
    mut block: Fields<'a, '_>,
    at: &Place<'_>,
) -> Result<Vec<Part<'a>>, RequestMistake> {
    let (from, cited) = (at.field("source"), at.field("citations"));
    let mut source = Fields::read(block.need("source", "an object")?, &from)?;
    match source.need_word("type")?.as_ref() {
        "text" => source.drop_hint("media_type"),
        other => return Err(from.field("type").unknown_word(other)),
    }
    let data = source.need_text("data")?;
    source.refuse_rest()?;
    if let Some(citations) = block.take("citations") {
        let mut citations = Fields::read(citations, &cited)?;
        if citations.flag("enabled")? {
            return Err(cited.field("enabled").untranslatable("true"));
        }
        citations.refuse_rest()?;
    }
    let texts = [block.text("title")?, block.text("context")?, Some(data)];
    block.drop_hint("cache_control");
    block.refuse_rest()?;
    Ok(texts.into_iter().flatten().map(|text| Part::Text { text: Text::Written(text) }).collect())
}

/// What a tool gave back: text alone, as chat completions allow.
pub(super) fn tool_result<'a>(
    mut block: Fields<'a, '_>,
    at: &Place<'_>,
) -> Result<Message<'a>, RequestMistake> {
    let tool_call_id = block.need_text("tool_use_id")?;
    let mut parts = match block.take("content") {
        None => Vec::new(),
        Some(raw) if raw.is_text() => vec![Part::Text { text: Text::Written(raw) }],
        Some(raw) => text_parts(raw, &at.field("content"), "a string or an array of blocks")?,
    };
    if block.flag("is_error")? {
        parts.insert(0, Part::Text { text: Text::Ours(TOOL_ERROR) });
    }
    block.drop_hint("cache_control");
    block.refuse_rest()?;
    Ok(Message::Tool { tool_call_id, content: Content::of_parts(parts) })
}

/// A call of the model. Its input goes on as the text it is: an engine hands it to its template, key by key.
pub(super) fn tool_use<'a>(
    mut block: Fields<'a, '_>,
    at: &Place<'_>,
) -> Result<ToolCall<'a>, RequestMistake> {
    let (id, name) = (block.need_text("id")?, block.need_text("name")?);
    let input = block.need("input", "an object")?;
    if !input.is_object() {
        return Err(at.field("input").wrong("an object", Some(input)));
    }
    if let Some(caller) = block.take("caller") {
        // The model itself, as ever. Any other is a tool that runs at Anthropic.
        let at = at.field("caller");
        let mut caller = Fields::read(caller, &at)?;
        match caller.need_word("type")?.as_ref() {
            "direct" => caller.refuse_rest()?,
            other => return Err(at.field("type").unknown_word(other)),
        }
    }
    block.drop_hint("cache_control");
    block.refuse_rest()?;
    Ok(ToolCall { id, kind: "function", function: CalledFunction { name, arguments: input.get() } })
}

/// What the model thought, still escaped. Its signature is for who signed it.
pub(super) fn thinking<'a>(mut block: Fields<'a, '_>) -> Result<&'a str, RequestMistake> {
    let thinking = block.need_text("thinking")?;
    block.drop_hint("signature");
    block.drop_hint("cache_control");
    block.refuse_rest()?;
    Ok(thinking.unquoted())
}
