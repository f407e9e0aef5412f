//! The conversation: `system` and `messages`, as the messages of a chat request.

use crate::chat::request::{Content, Message};
use crate::facts::RequestMistake;
pub use crate::messages::blocks::TOOL_ERROR;
use crate::messages::blocks::{document, image, text, texts, thinking, tool_result, tool_use};
use crate::reading::Placed;
use crate::writing::Text;

/// The messages, in the order the model reads them.
pub(super) fn conversation<'a>(
    system: Option<Placed<'a, '_>>,
    messages: &Placed<'a, '_>,
) -> Result<Vec<Message<'a>>, RequestMistake> {
    let mut read = Vec::new();
    // An empty one is none: a template may have words of its own for a system that says nothing.
    let system = system.filter(|system| system.json.get() != "\"\"" && !system.json.is_empty());
    if let Some(system) = system {
        read.push(Message::System { content: texts(&system)? });
    }
    for message in messages.items()? {
        turn(&message, &mut read)?;
    }
    Ok(read)
}

fn turn<'a>(message: &Placed<'a, '_>, read: &mut Vec<Message<'a>>) -> Result<(), RequestMistake> {
    let mut message = message.fields()?;
    let role = message.need("role", "a string")?;
    let said_by = role.word()?;
    let content = message.need("content", "a string or an array of blocks")?;
    message.end()?;
    match said_by.as_ref() {
        "user" => user(&content, read),
        "assistant" => assistant(&content).map(|message| read.push(message)),
        // In newer SDKs: instructions in the middle of a conversation.
        "system" => texts(&content).map(|content| read.push(Message::System { content })),
        _ => Err(role.refuse()),
    }
}

/// A turn of the user: what tools gave back first, as chat completions want it right behind the calls, then the rest.
fn user<'a>(content: &Placed<'a, '_>, read: &mut Vec<Message<'a>>) -> Result<(), RequestMistake> {
    if content.json.is_text() {
        read.push(Message::User { content: Content::Text(Text::Written(content.json)) });
        return Ok(());
    }
    let (mut parts, mut results) = (Vec::new(), Vec::new());
    for block in content.items()? {
        let mut block = block.fields()?;
        let kind = block.need("type", "a string")?;
        match kind.word()?.as_ref() {
            "text" => parts.push(text(block)?),
            "image" => parts.push(image(block)?),
            "document" => parts.extend(document(block)?),
            "tool_result" => results.push(tool_result(block)?),
            _ => return Err(kind.refuse()),
        }
    }
    let says_more = !parts.is_empty() || results.is_empty();
    read.append(&mut results);
    if says_more {
        read.push(Message::User { content: Content::of_parts(parts) });
    }
    Ok(())
}

fn assistant<'a>(content: &Placed<'a, '_>) -> Result<Message<'a>, RequestMistake> {
    let (mut thoughts, mut parts, mut tool_calls) = (Vec::new(), Vec::new(), Vec::new());
    if content.json.is_text() {
        let content = Some(Content::Text(Text::Written(content.json)));
        return Ok(Message::Assistant { reasoning_content: None, content, tool_calls });
    }
    for block in content.items()? {
        let mut block = block.fields()?;
        let kind = block.need("type", "a string")?;
        match kind.word()?.as_ref() {
            "text" => parts.push(text(block)?),
            "thinking" => thoughts.push(thinking(block)?),
            "tool_use" => tool_calls.push(tool_use(block)?),
            _ => return Err(kind.refuse()),
        }
    }
    let reasoning_content = (!thoughts.is_empty()).then_some(Text::Joined(thoughts));
    let calls_alone = parts.is_empty() && !tool_calls.is_empty();
    let content = (!calls_alone).then(|| Content::of_parts(parts));
    Ok(Message::Assistant { reasoning_content, content, tool_calls })
}
