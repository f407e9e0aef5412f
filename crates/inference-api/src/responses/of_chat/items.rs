//! The messages of a chat as instructions and input items: a message of the assistant is several.

use super::written::{Content, Item, Part, Role, TypedItem};
use crate::chat::asked::{self, Said, Speaker, each_part};
use crate::facts::RequestMistake;
use crate::reading::{Fields, Json, Placed};

/// Items so far.
#[derive(Default)]
pub(super) struct Input<'a> {
    /// The first message, where it is one text of the system.
    pub(super) instructions: Option<Json<'a>>,
    pub(super) items: Vec<Item<'a>>,
}

pub(super) fn input<'a>(messages: &Placed<'a, '_>) -> Result<Input<'a>, RequestMistake> {
    let mut input = Input::default();
    for message in messages.items()? {
        input.message(&message)?;
    }
    Ok(input)
}

impl<'a> Input<'a> {
    fn message(&mut self, message: &Placed<'a, '_>) -> Result<(), RequestMistake> {
        let mut fields = message.fields()?;
        let role = fields.need("role", "a string")?;
        let said_by = role.word()?;
        match said_by.as_ref() {
            "system" => self.system_says(content(&mut fields, Speaker::System)?),
            "developer" => self.say(Role::Developer, content(&mut fields, Speaker::System)?),
            "user" => self.say(Role::User, content(&mut fields, Speaker::User)?),
            "assistant" => self.assistant_says(&mut fields)?,
            "tool" => {
                let call_id = fields.need_text("tool_call_id")?;
                let output = content(&mut fields, Speaker::Tool)?;
                self.items.push(Item::Typed(TypedItem::FunctionCallOutput { call_id, output }));
                // The call it answers has the name.
                fields.drop_all(&["name"]);
            }
            _ => return Err(role.refuse()),
        }
        fields.end()
    }

    fn say(&mut self, role: Role, content: Content<'a>) {
        self.items.push(Item::Message { role, content });
    }

    fn system_says(&mut self, content: Content<'a>) {
        match content {
            Content::Text(text) if self.items.is_empty() && self.instructions.is_none() => {
                self.instructions = Some(text);
            }
            content => self.say(Role::System, content),
        }
    }

    /// Reasoning, text, calls: the order in which [`super::super::to_chat`] makes one message of them again.
    fn assistant_says(&mut self, message: &mut Fields<'a, '_>) -> Result<(), RequestMistake> {
        let Said { reasoning, refusal, calls } = Said::take(message)?;
        if let Some(text) = reasoning {
            let (id, content) = (format!("rs_{}", self.items.len()), [Part::ReasoningText { text }]);
            self.items.push(Item::Typed(TypedItem::Reasoning { id, summary: [], content }));
        }
        let mut content = match message.take("content") {
            Some(content) => parts(&content, Speaker::Assistant)?,
            None => Vec::new(),
        };
        content.extend(refusal.map(|refusal| Part::Refusal { refusal }));
        match Content::of_parts(content) {
            // What says nothing need not be said beside calls, or is what reasoning alone is followed by.
            Content::Nothing(_) if !calls.is_empty() || reasoning.is_some() => {}
            Content::Parts(content) => {
                let id = format!("msg_{}", self.items.len());
                let item = TypedItem::Message { id, status: "completed", role: Role::Assistant, content };
                self.items.push(Item::Typed(item));
            }
            content => self.say(Role::Assistant, content),
        }
        for asked::Called { id: call_id, name, arguments } in calls {
            self.items.push(Item::Typed(TypedItem::FunctionCall { call_id, name, arguments }));
        }
        Ok(())
    }
}

/// Takes the content of a message that has to have one.
fn content<'a>(message: &mut Fields<'a, '_>, speaker: Speaker) -> Result<Content<'a>, RequestMistake> {
    let content = message.need("content", "a string or an array of parts")?;
    parts(&content, speaker).map(Content::of_parts)
}

/// The parts of a content. A text that is empty says nothing, and no part need say it.
fn parts<'a>(content: &Placed<'a, '_>, speaker: Speaker) -> Result<Vec<Part<'a>>, RequestMistake> {
    let mut parts = Vec::new();
    each_part(content, speaker, |part, _| {
        parts.push(match part {
            asked::Part::Text(text) | asked::Part::Refusal(text) if text.get() == "\"\"" => return Ok(()),
            asked::Part::Text(text) if speaker == Speaker::Assistant => {
                Part::OutputText { text, annotations: [] }
            }
            asked::Part::Text(text) => Part::InputText { text },
            asked::Part::Refusal(refusal) => Part::Refusal { refusal },
            asked::Part::Image { url: image_url, detail } => {
                Part::InputImage { image_url, detail: detail.unwrap_or(Json::checked("\"auto\"")) }
            }
        });
        Ok(())
    })?;
    Ok(parts)
}
