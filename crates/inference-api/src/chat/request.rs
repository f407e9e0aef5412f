//! The chat completions request as it is written.

use crate::reading::Json;
use crate::writing::{self, Pairs, Text};
use serde::Serialize;

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Content<'a> {
    Text(Text<'a>),
    Parts(Vec<Part<'a>>),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Part<'a> {
    Text { text: Text<'a> },
    Refusal { refusal: Text<'a> },
    ImageUrl { image_url: ImageUrl<'a> },
}

#[derive(Debug, Serialize)]
pub(crate) struct ImageUrl<'a> {
    pub(crate) url: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<Json<'a>>,
}

impl<'a> Content<'a> {
    /// One text is a string, which every template understands; anything else a list of parts.
    pub(crate) fn of_parts(mut parts: Vec<Part<'a>>) -> Self {
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
pub(crate) enum Message<'a> {
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
    pub(crate) fn is_begun_answer(&self) -> bool {
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
pub(crate) struct ToolCall<'a> {
    pub(crate) id: Json<'a>,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) function: CalledFunction<'a>,
}

#[derive(Debug, Serialize)]
pub(crate) struct CalledFunction<'a> {
    pub(crate) name: Json<'a>,
    /// JSON text, as a string.
    pub(crate) arguments: Text<'a>,
}

impl<'a> ToolCall<'a> {
    pub(crate) fn new(id: Json<'a>, name: Json<'a>, arguments: Text<'a>) -> Self {
        Self { id, kind: "function", function: CalledFunction { name, arguments } }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Tool<'a> {
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) function: Function<'a>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Function<'a> {
    pub(crate) name: Json<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<Json<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parameters: Option<Json<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) strict: Option<bool>,
}

impl<'a> Tool<'a> {
    pub(crate) fn new(function: Function<'a>) -> Self {
        Self { kind: "function", function }
    }
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum ToolChoice<'a> {
    Word(&'static str),
    Named {
        #[serde(rename = "type")]
        kind: &'static str,
        function: ChosenFunction<'a>,
    },
}

#[derive(Debug, Serialize)]
pub(crate) struct ChosenFunction<'a> {
    pub(crate) name: Json<'a>,
}

impl<'a> ToolChoice<'a> {
    pub(crate) fn named(name: Json<'a>) -> Self {
        Self::Named { kind: "function", function: ChosenFunction { name } }
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ResponseFormat<'a> {
    JsonObject,
    JsonSchema { json_schema: NamedSchema<'a> },
}

#[derive(Debug, Serialize)]
pub(crate) struct NamedSchema<'a> {
    pub(crate) name: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<Json<'a>>,
    pub(crate) schema: Json<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) strict: Option<bool>,
}

/// The value of one field of the request.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Value<'a> {
    Raw(Json<'a>),
    Messages(Vec<Message<'a>>),
    Tools(Vec<Tool<'a>>),
    ToolChoice(ToolChoice<'a>),
    ResponseFormat(ResponseFormat<'a>),
    Pairs(Pairs<'a>),
    Flag(bool),
    Word(&'static str),
}

pub(crate) type Request<'a> = writing::Request<'a, Value<'a>>;
