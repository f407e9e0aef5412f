//! The conversation: `system` and `messages`, as the messages of a chat request.

use crate::facts::RequestMistake;
pub use crate::messages::blocks::TOOL_ERROR;
use crate::messages::blocks::{document, image, text, texts, thinking, tool_result, tool_use};
use crate::messages::chat::{Content, Message, Text};
use crate::messages::skim::Json;
use crate::messages::wire::{Fields, Place, items, says_nothing};

/// The messages, in the order the model reads them.
pub(super) fn conversation<'a>(
    system: Option<Json<'a>>,
    messages: Json<'a>,
) -> Result<Vec<Message<'a>>, RequestMistake> {
    let mut read = Vec::new();
    // An empty one is none: a template may have words of its own for a system that says nothing.
    let system = system.filter(|raw| raw.get() != "\"\"" && !says_nothing(*raw));
    if let Some(raw) = system {
        read.push(Message::System { content: texts(raw, &Place::Body.field("system"))? });
    }
    let at = Place::Body.field("messages");
    for (index, raw) in items(messages, &at)? {
        turn(raw, &at.item(index), &mut read)?;
    }
    Ok(read)
}

fn turn<'a>(raw: Json<'a>, at: &Place<'_>, read: &mut Vec<Message<'a>>) -> Result<(), RequestMistake> {
    let mut message = Fields::read(raw, at)?;
    let role = message.need_word("role")?;
    let content = message.need("content", "a string or an array of blocks")?;
    message.refuse_rest()?;
    let inside = at.field("content");
    match role.as_ref() {
        "user" => user(content, &inside, read),
        "assistant" => assistant(content, &inside).map(|message| read.push(message)),
        // In newer SDKs: instructions in the middle of a conversation.
        "system" => texts(content, &inside).map(|content| read.push(Message::System { content })),
        other => Err(at.field("role").unknown_word(other)),
    }
}

/// A turn of the user: what tools gave back first, as chat completions want it right behind the calls, then the rest.
fn user<'a>(content: Json<'a>, at: &Place<'_>, read: &mut Vec<Message<'a>>) -> Result<(), RequestMistake> {
    if content.is_text() {
        read.push(Message::User { content: Content::Text(Text::Written(content)) });
        return Ok(());
    }
    let (mut parts, mut results) = (Vec::new(), Vec::new());
    for (index, raw) in items(content, at)? {
        let at = at.item(index);
        let mut block = Fields::read(raw, &at)?;
        match block.need_word("type")?.as_ref() {
            "text" => parts.push(text(block)?),
            "image" => parts.push(image(block, &at)?),
            "document" => parts.extend(document(block, &at)?),
            "tool_result" => results.push(tool_result(block, &at)?),
            other => return Err(at.field("type").unknown_word(other)),
        }
    }
    let says_more = !parts.is_empty() || results.is_empty();
    read.append(&mut results);
    if says_more {
        read.push(Message::User { content: Content::of_parts(parts) });
    }
    Ok(())
}

fn assistant<'a>(content: Json<'a>, at: &Place<'_>) -> Result<Message<'a>, RequestMistake> {
    let (mut thoughts, mut parts, mut tool_calls) = (Vec::new(), Vec::new(), Vec::new());
    if content.is_text() {
        let content = Some(Content::Text(Text::Written(content)));
        return Ok(Message::Assistant { reasoning_content: None, content, tool_calls });
    }
    for (index, raw) in items(content, at)? {
        let at = at.item(index);
        let mut block = Fields::read(raw, &at)?;
        match block.need_word("type")?.as_ref() {
            "text" => parts.push(text(block)?),
            "thinking" => thoughts.push(thinking(block)?),
            "tool_use" => tool_calls.push(tool_use(block, &at)?),
            other => return Err(at.field("type").unknown_word(other)),
        }
    }
    let reasoning_content = (!thoughts.is_empty()).then_some(Text::Joined(thoughts));
    let calls_alone = parts.is_empty() && !tool_calls.is_empty();
    let content = (!calls_alone).then(|| Content::of_parts(parts));
    Ok(Message::Assistant { reasoning_content, content, tool_calls })
}
