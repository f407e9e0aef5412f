//! The chat completions request as it is written. Texts and schemas are the caller's bytes, never decoded.

use crate::facts::RequestMistake;
use crate::messages::skim::Json;
use crate::messages::wire::Place;
use serde::Serialize;
use serde::ser::{Error as _, SerializeMap, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A string.
#[derive(Debug)]
pub(super) enum Text<'a> {
    /// As the caller wrote it.
    Written(Json<'a>),
    /// Pieces of what the caller wrote, without quotes and still escaped, and ASCII of ours that needs no escaping.
    Joined(Vec<&'a str>),
    Ours(&'static str),
}

impl Text<'_> {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Written(raw) => raw.get() == "\"\"",
            Self::Joined(pieces) => pieces.iter().all(|piece| piece.is_empty()),
            Self::Ours(text) => text.is_empty(),
        }
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Written(raw) => raw.serialize(serializer),
            Self::Joined(pieces) => {
                let quoted = format!("\"{}\"", pieces.concat());
                RawValue::from_string(quoted).map_err(S::Error::custom)?.serialize(serializer)
            }
            Self::Ours(text) => serializer.serialize_str(text),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Content<'a> {
    Text(Text<'a>),
    Parts(Vec<Part<'a>>),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part<'a> {
    Text { text: Text<'a> },
    ImageUrl { image_url: ImageUrl<'a> },
}

#[derive(Debug, Serialize)]
pub(super) struct ImageUrl<'a> {
    pub(super) url: Text<'a>,
}

impl<'a> Content<'a> {
    /// One text is a string, which every template understands; anything else a list of parts.
    pub(super) fn of_parts(mut parts: Vec<Part<'a>>) -> Self {
        match parts.pop() {
            None => Self::Text(Text::Ours("")),
            Some(Part::Text { text }) if parts.is_empty() => Self::Text(text),
            Some(last) => {
                parts.push(last);
                Self::Parts(parts)
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Parts(parts) => parts.is_empty(),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "role", rename_all = "lowercase")]
pub(super) enum Message<'a> {
    System {
        content: Content<'a>,
    },
    User {
        content: Content<'a>,
    },
    Assistant {
        #[serde(skip_serializing_if = "Option::is_none")]
        reasoning_content: Option<Text<'a>>,
        /// `null` beside calls alone.
        content: Option<Content<'a>>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<ToolCall<'a>>,
    },
    Tool {
        tool_call_id: Json<'a>,
        content: Content<'a>,
    },
}

impl Message<'_> {
    /// Text of the assistant that the answer is to go on from, when this is the last message.
    pub(super) fn is_begun_answer(&self) -> bool {
        match self {
            Self::Assistant { content: Some(content), tool_calls, .. } => {
                tool_calls.is_empty() && !content.is_empty()
            }
            Self::Assistant { content: None, .. }
            | Self::System { .. }
            | Self::User { .. }
            | Self::Tool { .. } => false,
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct ToolCall<'a> {
    pub(super) id: Json<'a>,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) function: CalledFunction<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct CalledFunction<'a> {
    pub(super) name: Json<'a>,
    /// JSON text, as a string.
    pub(super) arguments: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct Tool<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) function: Function<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct Function<'a> {
    pub(super) name: Json<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<Json<'a>>,
    pub(super) parameters: Json<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) strict: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum ToolChoice<'a> {
    Word(&'static str),
    Named {
        #[serde(rename = "type")]
        kind: &'static str,
        function: ChosenFunction<'a>,
    },
}

#[derive(Debug, Serialize)]
pub(super) struct ChosenFunction<'a> {
    pub(super) name: Json<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct ResponseFormat<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) json_schema: NamedSchema<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct NamedSchema<'a> {
    pub(super) name: &'static str,
    pub(super) schema: Json<'a>,
    pub(super) strict: bool,
}

/// The value of one field of the request.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Value<'a> {
    Raw(Json<'a>),
    Messages(Vec<Message<'a>>),
    Tools(Vec<Tool<'a>>),
    ToolChoice(ToolChoice<'a>),
    ResponseFormat(ResponseFormat<'a>),
    #[serde(serialize_with = "as_object")]
    Pairs(Vec<(Cow<'a, str>, Json<'a>)>),
    Flag(bool),
    Word(&'static str),
}

/// A request under way.
#[derive(Debug, Default)]
pub(super) struct Request<'a> {
    fields: Vec<(Cow<'a, str>, Value<'a>)>,
}

impl<'a> Request<'a> {
    /// Sets a field. One thing said twice, in the words of Messages and of chat completions, could be read either way.
    pub(super) fn put(
        &mut self,
        name: impl Into<Cow<'a, str>>,
        value: Value<'a>,
    ) -> Result<(), RequestMistake> {
        let name = name.into();
        if self.fields.iter().any(|(known, _)| *known == name) {
            return Err(Place::Body.field(&name).untranslatable("what another field says already"));
        }
        self.fields.push((name, value));
        Ok(())
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        // The only errors are values that are not JSON, and all of these were read from JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Serialize for Request<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (name, value) in &self.fields {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn as_object<S: Serializer>(pairs: &[(Cow<'_, str>, Json<'_>)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}
