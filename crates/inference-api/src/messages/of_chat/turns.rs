//! The messages of a chat as a conversation of Messages: what tools gave back belongs to the user's turn.

use super::written::{Block, Content, Input, Role, Source, Turn};
use crate::chat::asked::{Called, Part, Said, Speaker, each_part};
use crate::facts::RequestMistake;
use crate::json::{self, decode_string};
use crate::messages::TOOL_ERROR;
use crate::reading::{Fields, Json, Placed};
use crate::writing::Text;
use serde_json::value::RawValue;

/// A conversation so far.
#[derive(Default)]
pub(super) struct Conversation<'a> {
    /// Texts of the system before anybody else spoke.
    system: Vec<Block<'a>>,
    pub(super) turns: Vec<Turn<'a>>,
    /// What tools gave back, waiting for the rest of the user's turn.
    results: Vec<Block<'a>>,
}

/// `goes_on`: the answer is to go on from the last message. Messages always goes on from one of the assistant.
pub(super) fn conversation<'a>(
    messages: &Placed<'a, '_>,
    goes_on: bool,
) -> Result<Conversation<'a>, RequestMistake> {
    let mut conversation = Conversation::default();
    let mut begun = None;
    for message in messages.items()? {
        begun = conversation.message(&message)?.then(|| message.at.field("role").to_string());
    }
    conversation.end_results();
    match (begun, goes_on) {
        (Some(path), false) => {
            Err(messages.at.beside(path, "a last message of the assistant that is not to be continued"))
        }
        (None, true) => {
            let path = "continue_final_message".to_owned();
            Err(messages.at.beside(path, "`true` without a text of the assistant to go on from"))
        }
        _ => Ok(conversation),
    }
}

impl<'a> Conversation<'a> {
    pub(super) fn system(&self) -> Option<Content<'a>> {
        let texts = self.system.iter().filter_map(|block| match block {
            Block::Text { text } => Some(Block::Text { text: *text }),
            _ => None,
        });
        let blocks: Vec<Block<'a>> = texts.collect();
        (!blocks.is_empty()).then(|| Content::of_blocks(blocks))
    }

    /// Adds a message. Whether it is text of the assistant that an answer could go on from.
    fn message(&mut self, message: &Placed<'a, '_>) -> Result<bool, RequestMistake> {
        let mut fields = message.fields()?;
        let role = fields.need("role", "a string")?;
        let said_by = role.word()?;
        let mut begun = false;
        match said_by.as_ref() {
            "system" | "developer" => self.system_says(content(&mut fields, Speaker::System)?),
            "user" => self.user_says(content(&mut fields, Speaker::User)?),
            "assistant" => begun = self.assistant_says(&mut fields)?,
            "tool" => {
                self.results.push(result(&mut fields)?);
                // The call it answers has the name.
                fields.drop_all(&["name"]);
            }
            _ => return Err(role.refuse()),
        }
        fields.end()?;
        Ok(begun)
    }

    fn system_says(&mut self, mut blocks: Vec<Block<'a>>) {
        if self.turns.is_empty() && self.results.is_empty() {
            self.system.append(&mut blocks);
        } else {
            self.say(Role::System, Content::of_blocks(blocks));
        }
    }

    fn user_says(&mut self, mut blocks: Vec<Block<'a>>) {
        if self.results.is_empty() {
            return self.say(Role::User, Content::of_blocks(blocks));
        }
        self.results.append(&mut blocks);
        self.end_results();
    }

    fn assistant_says(&mut self, message: &mut Fields<'a, '_>) -> Result<bool, RequestMistake> {
        let Said { reasoning, refusal, calls } = Said::take(message)?;
        let mut said: Vec<Block<'a>> = Vec::new();
        said.extend(reasoning.map(|thinking| Block::Thinking { thinking, signature: "" }));
        let before = said.len();
        if let Some(content) = message.take("content") {
            said.append(&mut blocks(&content, Speaker::Assistant)?);
        }
        said.extend(refusal.map(|text| Block::Text { text }));
        let begun = said.len() > before && calls.is_empty();
        for Called { id, name, arguments } in calls {
            let too_deep = || message.place("tool_calls").refuse("arguments that nest too deep");
            let input = input(arguments).ok_or_else(too_deep)?;
            said.push(Block::ToolUse { id, name, input });
        }
        self.say(Role::Assistant, Content::of_blocks(said));
        Ok(begun)
    }

    fn say(&mut self, role: Role, content: Content<'a>) {
        self.end_results();
        self.turns.push(Turn { role, content });
    }

    fn end_results(&mut self) {
        if !self.results.is_empty() {
            let content = Content::Blocks(std::mem::take(&mut self.results));
            self.turns.push(Turn { role: Role::User, content });
        }
    }
}

/// Takes the content of a message that has to have one.
fn content<'a>(message: &mut Fields<'a, '_>, speaker: Speaker) -> Result<Vec<Block<'a>>, RequestMistake> {
    blocks(&message.need("content", "a string or an array of parts")?, speaker)
}

/// The blocks of a content. A text that is empty says nothing, and Messages has no blocks that say nothing.
fn blocks<'a>(content: &Placed<'a, '_>, speaker: Speaker) -> Result<Vec<Block<'a>>, RequestMistake> {
    let mut blocks = Vec::new();
    each_part(content, speaker, |part, place| {
        match part {
            Part::Text(text) | Part::Refusal(text) if text.get() == "\"\"" => {}
            // What was refused was said in so many words.
            Part::Text(text) | Part::Refusal(text) => blocks.push(Block::Text { text }),
            Part::Image { detail: Some(_), .. } => {
                return Err(place.at.field("image_url").refuse("a `detail` other than `auto`"));
            }
            Part::Image { url, detail: None } => {
                let from_elsewhere =
                    || place.at.field("image_url").refuse("a URL that is neither of http nor data in base64");
                blocks.push(Block::Image { source: source(url).ok_or_else(from_elsewhere)? });
            }
        }
        Ok(())
    })?;
    Ok(blocks)
}

/// Where a picture is: at an address, or in it.
fn source(url: Json<'_>) -> Option<Source<'_>> {
    let written = url.unquoted();
    if let Some((media_type, data)) =
        written.strip_prefix("data:").and_then(|data| data.split_once(";base64,"))
    {
        let (media_type, data) = (Text::Joined(vec![media_type]), Text::Joined(vec![data]));
        return Some(Source::Base64 { media_type, data });
    }
    let address = decode_string(url.get().as_bytes())?;
    ["http://", "https://"].iter().any(|scheme| address.starts_with(scheme)).then_some(Source::Url { url })
}

fn result<'a>(message: &mut Fields<'a, '_>) -> Result<Block<'a>, RequestMistake> {
    let tool_use_id = message.need_text("tool_call_id")?;
    let mut texts = content(message, Speaker::Tool)?;
    let told = |block: &Block<'_>| match block {
        Block::Text { text } => decode_string(text.get().as_bytes()).is_some_and(|text| text == TOOL_ERROR),
        _ => false,
    };
    // As a request of Messages says it in chat completions.
    let is_error = texts.first().is_some_and(told);
    if is_error {
        texts.remove(0);
    }
    Ok(Block::ToolResult {
        tool_use_id,
        content: Content::of_blocks(texts),
        is_error: is_error.then_some(true),
    })
}

/// Arguments as an object; what is no JSON object is wrapped as it is in an answer. `None`: nobody would read it, nested
/// as deep as it stands in the request.
fn input(arguments: Json<'_>) -> Option<Input> {
    // Half a surrogate pair cannot be decoded, and goes on inside the text as it was written.
    let wrapped = || RawValue::from_string(format!("{{\"INVALID_JSON\":{}}}", arguments.get()));
    let written = decode_string(arguments.get().as_bytes());
    let object = match written.as_deref().map(str::trim_ascii) {
        Some("") => return Some(Input::None {}),
        Some(text) if text.starts_with('{') => RawValue::from_string(text.to_owned()).or_else(|_| wrapped()),
        _ => wrapped(),
    };
    let object = object.ok()?;
    let as_it_stands = format!("{{\"messages\":[[[[{object}]]]]}}");
    json::members(as_it_stands.as_bytes()).ok().map(|_| Input::Object(object))
}
