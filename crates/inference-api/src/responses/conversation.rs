//! Instructions and input items as the messages of a chat.
//!
//! One turn of the assistant is several items (reasoning, a message, calls of functions) and one message of a chat, which
//! has a place for each. Items that follow one another fill one message as long as their places are free and their
//! order is the one a chat means: reasoning, then text, then calls.

use super::place::{Fields, ObjectText, Path, Place, array_text, joined_strings};
use crate::facts::RequestMistake;

/// Takes `instructions` and `input`: the messages of the chat, as a JSON array.
pub(super) fn messages(asked: &mut Fields<'_, '_>) -> Result<Vec<u8>, RequestMistake> {
    let mut chat = Conversation::default();
    if let Some(instructions) = asked.take("instructions") {
        chat.say("system", instructions.string()?);
    }
    let input = asked.take("input").ok_or(RequestMistake::Missing { field: "input" })?;
    if input.raw.starts_with(b"[") {
        for (at, raw) in input.list()?.into_iter().enumerate() {
            chat.item(&Place { raw, path: Path::Item(&input.path, at) })?;
        }
    } else {
        let text = input.string().map_err(|_| input.wrong("a string or an array of items"))?;
        chat.say("user", text);
    }
    chat.end_turn();
    Ok(array_text(&chat.messages))
}

#[derive(Default)]
struct Conversation<'a> {
    messages: Vec<Vec<u8>>,
    turn: Turn<'a>,
}

/// A message of the assistant that may still grow.
#[derive(Default)]
struct Turn<'a> {
    reasoning: Vec<&'a [u8]>,
    content: Option<Vec<u8>>,
    calls: Vec<Vec<u8>>,
}

impl<'a> Conversation<'a> {
    fn say(&mut self, role: &str, content: &[u8]) {
        self.end_turn();
        let message = ObjectText::new().member("role", format!("\"{role}\"").as_bytes());
        self.messages.push(message.member("content", content).end());
    }

    fn end_turn(&mut self) {
        let Turn { reasoning, content, calls } = std::mem::take(&mut self.turn);
        if reasoning.is_empty() && content.is_none() && calls.is_empty() {
            return;
        }
        let mut message = ObjectText::new().member("role", b"\"assistant\"");
        if !reasoning.is_empty() {
            message = message.member("reasoning_content", &joined_strings(&reasoning));
        }
        // A message must have a content; null is for those that call.
        let nothing: &[u8] = if calls.is_empty() { b"\"\"" } else { b"null" };
        message = message.member("content", content.as_deref().unwrap_or(nothing));
        if !calls.is_empty() {
            message = message.member("tool_calls", &array_text(&calls));
        }
        self.messages.push(message.end());
    }

    fn item(&mut self, place: &Place<'a, '_>) -> Result<(), RequestMistake> {
        let mut item = place.fields()?;
        let kind = item.take("type");
        // Items with a role are messages also where they do not say so; one with nothing but an id refers to another.
        if kind.is_none()
            && !item.has("role")
            && let Some(id) = item.take("id")
        {
            return Err(id.refuse_unshown());
        }
        match kind.as_ref().map(Place::word).transpose()?.as_deref() {
            None | Some("message") => self.message(&mut item)?,
            Some("function_call") => self.call(&mut item)?,
            Some("function_call_output") => self.call_output(&mut item)?,
            Some("reasoning") => self.reasoning(&mut item)?,
            Some(_) => return Err(kind.map_or_else(|| place.refuse(), |kind| kind.refuse())),
        }
        // Who keeps items knows them by their ids, and how far each had come.
        item.drop_all(&["id", "status"]);
        item.end()
    }

    /// `{role, content}`. What `developer` is to OpenAI is `system` to the models that run here; their templates pass
    /// over roles they do not know, without a word.
    fn message(&mut self, item: &mut Fields<'a, '_>) -> Result<(), RequestMistake> {
        let role = item.need("role", "a string")?;
        let content = item.need("content", "a string or an array of parts")?;
        match &*role.word()? {
            "user" => self.say("user", &content_of(&content, Speaker::User)?),
            "system" | "developer" => self.say("system", &content_of(&content, Speaker::System)?),
            "assistant" => {
                if self.turn.content.is_some() || !self.turn.calls.is_empty() {
                    self.end_turn();
                }
                self.turn.content = Some(content_of(&content, Speaker::Assistant)?);
            }
            _ => return Err(role.refuse()),
        }
        Ok(())
    }

    /// `{call_id, name, arguments}` as `{id, type, function: {name, arguments}}`. Arguments are JSON in a string in both.
    fn call(&mut self, item: &mut Fields<'a, '_>) -> Result<(), RequestMistake> {
        let id = item.need("call_id", "a string")?.string()?;
        let name = item.need("name", "a string")?.string()?;
        let arguments = item.need("arguments", "a string")?.string()?;
        let function = ObjectText::new().member("name", name).member("arguments", arguments).end();
        let call = ObjectText::new().member("id", id).member("type", b"\"function\"");
        self.turn.calls.push(call.member("function", &function).end());
        Ok(())
    }

    fn call_output(&mut self, item: &mut Fields<'a, '_>) -> Result<(), RequestMistake> {
        self.end_turn();
        let id = item.need("call_id", "a string")?.string()?;
        let output = item.need("output", "a string or an array of parts")?;
        let content = content_of(&output, Speaker::Tool)?;
        let message = ObjectText::new().member("role", b"\"tool\"").member("tool_call_id", id);
        self.messages.push(message.member("content", &content).end());
        Ok(())
    }

    /// Reasoning that can be read goes back to the model. What is encrypted can be read by OpenAI alone, and a summary is
    /// not what the model thought: both are refused.
    fn reasoning(&mut self, item: &mut Fields<'a, '_>) -> Result<(), RequestMistake> {
        if let Some(sealed) = item.take("encrypted_content") {
            return Err(sealed.refuse_unshown());
        }
        if let Some(summary) = item.take("summary")
            && !summary.list()?.is_empty()
        {
            return Err(summary.refuse());
        }
        let Some(content) = item.take("content") else { return Ok(()) };
        for (at, raw) in content.list()?.into_iter().enumerate() {
            let part = Place { raw, path: Path::Item(&content.path, at) };
            let mut part = part.fields()?;
            let kind = part.need("type", "a string")?;
            if kind.word()? != "reasoning_text" {
                return Err(kind.refuse());
            }
            let text = part.need("text", "a string")?.string()?;
            part.end()?;
            self.think(text);
        }
        Ok(())
    }

    fn think(&mut self, text: &'a [u8]) {
        if text == b"\"\"" {
            return;
        }
        if self.turn.content.is_some() || !self.turn.calls.is_empty() {
            self.end_turn();
        }
        self.turn.reasoning.push(text);
    }
}

/// Who speaks decides what a content may hold: chat completions take pictures of users alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaker {
    User,
    System,
    Assistant,
    Tool,
}

enum Part<'a> {
    Text(&'a [u8]),
    Other(Vec<u8>),
}

/// A content as chat completions write it. One text is a string, as every engine understands it, however it was written.
fn content_of(place: &Place<'_, '_>, speaker: Speaker) -> Result<Vec<u8>, RequestMistake> {
    if !place.raw.starts_with(b"[") {
        let text = place.string().map_err(|_| place.wrong("a string or an array of parts"))?;
        return Ok(text.to_vec());
    }
    let part = |(at, raw)| part(&Place { raw, path: Path::Item(&place.path, at) }, speaker);
    let parts: Vec<Part<'_>> = place.list()?.into_iter().enumerate().map(part).collect::<Result<_, _>>()?;
    match parts.as_slice() {
        [] => Ok(b"\"\"".to_vec()),
        [Part::Text(text)] => Ok(text.to_vec()),
        parts => Ok(array_text(&parts.iter().map(part_text).collect::<Vec<_>>())),
    }
}

fn part_text(part: &Part<'_>) -> Vec<u8> {
    match part {
        Part::Text(text) => ObjectText::new().member("type", b"\"text\"").member("text", text).end(),
        Part::Other(text) => text.clone(),
    }
}

fn part<'a>(place: &Place<'a, '_>, speaker: Speaker) -> Result<Part<'a>, RequestMistake> {
    let mut part = place.fields()?;
    let kind = part.need("type", "a string")?;
    let read = match (&*kind.word()?, speaker) {
        ("input_text" | "output_text", _) => Part::Text(part.need("text", "a string")?.string()?),
        ("refusal", Speaker::Assistant) => {
            let refusal = part.need("refusal", "a string")?.string()?;
            let text = ObjectText::new().member("type", b"\"refusal\"").member("refusal", refusal);
            Part::Other(text.end())
        }
        ("input_image", Speaker::User) => Part::Other(image(&mut part)?),
        _ => return Err(kind.refuse()),
    };
    // Notes about a text and hints to a cache.
    part.drop_all(&["annotations", "logprobs", "prompt_cache_breakpoint"]);
    part.end()?;
    Ok(read)
}

/// `{image_url, detail}` as `{type, image_url: {url, detail}}`. A `file_id` is left over, so refused: nobody here keeps
/// files.
fn image(part: &mut Fields<'_, '_>) -> Result<Vec<u8>, RequestMistake> {
    if let Some(file) = part.take("file_id") {
        return Err(file.refuse_unshown());
    }
    let url = part.need("image_url", "a string")?.string()?;
    let mut image = ObjectText::new().member("url", url);
    if let Some(detail) = part.take("detail") {
        if !matches!(&*detail.word()?, "low" | "high" | "auto") {
            return Err(detail.refuse());
        }
        image = image.member("detail", detail.raw);
    }
    Ok(ObjectText::new().member("type", b"\"image_url\"").member("image_url", &image.end()).end())
}
