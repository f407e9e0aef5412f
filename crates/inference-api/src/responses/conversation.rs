//! Instructions and input items as the messages of a chat.
//!
//! One turn of the assistant is several items (reasoning, a message, calls of functions) and one message of a chat, which
//! has a place for each. Items that follow one another fill one message as long as their places are free and their
//! order is the one a chat means: reasoning, then text, then calls.

use crate::chat::request::{Content, ImageUrl, Message, Part, ToolCall};
use crate::facts::RequestMistake;
use crate::reading::{Fields, Json, Placed};
use crate::writing::Text;

/// Takes `instructions` and `input`: the messages of the chat. Between them stands what was said before, each of `before` an
/// array of items.
pub(super) fn messages<'a>(
    asked: &mut Fields<'a, '_>,
    before: &[Json<'a>],
) -> Result<Vec<Message<'a>>, RequestMistake> {
    let mut chat = Conversation::default();
    if let Some(instructions) = asked.text("instructions")? {
        chat.say(Message::System { content: Content::Text(Text::Written(instructions)) });
    }
    let place = asked.place("previous_response_id");
    for items in before {
        let items = Placed { json: *items, at: place };
        for item in items.items()? {
            chat.item(&item)?;
        }
    }
    let input = asked.take("input").ok_or(RequestMistake::Missing { field: "input" })?;
    if input.json.is_text() {
        chat.say(Message::User { content: Content::Text(Text::Written(input.json)) });
    } else {
        for item in input.items().map_err(|_| input.wrong("a string or an array of items"))? {
            chat.item(&item)?;
        }
    }
    chat.end_turn();
    Ok(chat.messages)
}

#[derive(Default)]
struct Conversation<'a> {
    messages: Vec<Message<'a>>,
    turn: Turn<'a>,
}

/// A message of the assistant that may still grow.
#[derive(Default)]
struct Turn<'a> {
    /// Without their quotes.
    reasoning: Vec<&'a str>,
    content: Option<Content<'a>>,
    calls: Vec<ToolCall<'a>>,
}

impl<'a> Conversation<'a> {
    fn say(&mut self, message: Message<'a>) {
        self.end_turn();
        self.messages.push(message);
    }

    fn end_turn(&mut self) {
        let Turn { reasoning, content, calls: tool_calls } = std::mem::take(&mut self.turn);
        if reasoning.is_empty() && content.is_none() && tool_calls.is_empty() {
            return;
        }
        let reasoning_content = (!reasoning.is_empty()).then_some(Text::Joined(reasoning));
        // To say nothing and to call is to call: a request that comes back says neither more nor less.
        let says_nothing = |content: &Content<'_>| matches!(content, Content::Text(Text::Written(text)) if text.unquoted().is_empty());
        let content = content.filter(|content| tool_calls.is_empty() || !says_nothing(content));
        // A message must have a content; null is for those that call.
        let nothing = || tool_calls.is_empty().then_some(Content::Text(Text::Ours("")));
        let content = content.or_else(nothing);
        self.messages.push(Message::Assistant { reasoning_content, content, tool_calls });
    }

    fn item(&mut self, item: &Placed<'a, '_>) -> Result<(), RequestMistake> {
        let mut fields = item.fields()?;
        let kind = fields.take("type");
        // Items with a role are messages also where they do not say so; one with nothing but an id refers to another.
        if kind.is_none()
            && !fields.has("role")
            && let Some(id) = fields.take("id")
        {
            return Err(id.refuse_unshown());
        }
        match kind.map(|kind| kind.word()).transpose()?.as_deref() {
            None | Some("message") => self.message(&mut fields)?,
            Some("function_call") => self.call(&mut fields)?,
            Some("function_call_output") => self.call_output(&mut fields)?,
            Some("reasoning") => self.reasoning(&mut fields)?,
            Some(_) => return Err(kind.map_or_else(|| item.refuse(), |kind| kind.refuse())),
        }
        // Who keeps items knows them by their ids, and how far each had come.
        fields.drop_all(&["id", "status"]);
        fields.end()
    }

    /// `{role, content}`. What `developer` is to OpenAI is `system` to the models that run here; their templates pass
    /// over roles they do not know, without a word.
    fn message(&mut self, item: &mut Fields<'a, '_>) -> Result<(), RequestMistake> {
        let role = item.need("role", "a string")?;
        let content = item.need("content", "a string or an array of parts")?;
        match &*role.word()? {
            "user" => self.say(Message::User { content: content_of(&content, Speaker::User)? }),
            "system" | "developer" => {
                self.say(Message::System { content: content_of(&content, Speaker::System)? });
            }
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
        let (id, name) = (item.need_text("call_id")?, item.need_text("name")?);
        let arguments = Text::Written(item.need_text("arguments")?);
        self.turn.calls.push(ToolCall::new(id, name, arguments));
        Ok(())
    }

    fn call_output(&mut self, item: &mut Fields<'a, '_>) -> Result<(), RequestMistake> {
        let tool_call_id = item.need_text("call_id")?;
        let output = item.need("output", "a string or an array of parts")?;
        let content = content_of(&output, Speaker::Tool)?;
        self.say(Message::Tool { tool_call_id, content });
        Ok(())
    }

    /// Reasoning that can be read goes back to the model. What is encrypted can be read by OpenAI alone, and a summary is
    /// not what the model thought: both are refused.
    fn reasoning(&mut self, item: &mut Fields<'a, '_>) -> Result<(), RequestMistake> {
        if let Some(sealed) = item.take("encrypted_content") {
            return Err(sealed.refuse_unshown());
        }
        if let Some(summary) = item.take("summary")
            && summary.items()?.next().is_some()
        {
            return Err(summary.refuse());
        }
        let Some(content) = item.take("content") else { return Ok(()) };
        for part in content.items()? {
            let mut part = part.fields()?;
            let kind = part.need("type", "a string")?;
            if kind.word()? != "reasoning_text" {
                return Err(kind.refuse());
            }
            let text = part.need_text("text")?;
            part.end()?;
            self.think(text.unquoted());
        }
        Ok(())
    }

    fn think(&mut self, text: &'a str) {
        if text.is_empty() {
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

/// A content as chat completions write it. One text is a string, as every engine understands it, however it was written.
fn content_of<'a>(content: &Placed<'a, '_>, speaker: Speaker) -> Result<Content<'a>, RequestMistake> {
    if content.json.is_text() {
        return Ok(Content::Text(Text::Written(content.json)));
    }
    let parts = content.items().map_err(|_| content.wrong("a string or an array of parts"))?;
    parts.map(|item| part(&item, speaker)).collect::<Result<_, _>>().map(Content::of_parts)
}

fn part<'a>(item: &Placed<'a, '_>, speaker: Speaker) -> Result<Part<'a>, RequestMistake> {
    let mut part = item.fields()?;
    let kind = part.need("type", "a string")?;
    let read = match (&*kind.word()?, speaker) {
        ("input_text" | "output_text", _) => Part::Text { text: Text::Written(part.need_text("text")?) },
        ("refusal", Speaker::Assistant) => {
            Part::Refusal { refusal: Text::Written(part.need_text("refusal")?) }
        }
        ("input_image", Speaker::User) => Part::ImageUrl { image_url: image(&mut part)? },
        _ => return Err(kind.refuse()),
    };
    // Notes about a text and hints to a cache.
    part.drop_all(&["annotations", "logprobs", "prompt_cache_breakpoint"]);
    part.end()?;
    Ok(read)
}

/// `{image_url, detail}` as `{url, detail}`. Nobody here keeps files that a `file_id` could name.
fn image<'a>(part: &mut Fields<'a, '_>) -> Result<ImageUrl<'a>, RequestMistake> {
    if let Some(file) = part.take("file_id") {
        return Err(file.refuse_unshown());
    }
    let url = Text::Written(part.need_text("image_url")?);
    let detail = part.take("detail");
    if let Some(detail) = detail
        && !matches!(&*detail.word()?, "low" | "high" | "auto")
    {
        return Err(detail.refuse());
    }
    Ok(ImageUrl { url, detail: detail.map(|detail| detail.json) })
}
