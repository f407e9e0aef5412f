//! The Messages request as it is written.

use crate::reading::Json;
use crate::writing::{Pairs, Text};
use serde::Serialize;
use serde_json::value::RawValue;

/// The value of one field of the request.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Value<'a> {
    Raw(Json<'a>),
    Content(Content<'a>),
    Turns(Vec<Turn<'a>>),
    Stops([Json<'a>; 1]),
    Tools(Vec<Tool<'a>>),
    ToolChoice(ToolChoice<'a>),
    OutputConfig(OutputConfig<'a>),
    Pairs(Pairs<'a>),
    Count(u64),
}

#[derive(Debug, Serialize)]
pub(super) struct Turn<'a> {
    pub(super) role: Role,
    pub(super) content: Content<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    User,
    Assistant,
    /// In newer SDKs: instructions in the middle of a conversation.
    System,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Content<'a> {
    Text(Json<'a>),
    Nothing(&'static str),
    Blocks(Vec<Block<'a>>),
}

impl<'a> Content<'a> {
    /// One text is a string; anything else a list of blocks.
    pub(super) fn of_blocks(blocks: Vec<Block<'a>>) -> Self {
        match blocks.as_slice() {
            [] => Self::Nothing(""),
            [Block::Text { text }] => Self::Text(*text),
            _ => Self::Blocks(blocks),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Text {
        text: Json<'a>,
    },
    Image {
        source: Source<'a>,
    },
    ToolResult {
        tool_use_id: Json<'a>,
        content: Content<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        is_error: Option<bool>,
    },
    /// Nobody here signed it, so there is no signature to give.
    Thinking {
        thinking: Json<'a>,
        signature: &'static str,
    },
    ToolUse {
        id: Json<'a>,
        name: Json<'a>,
        input: Input,
    },
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Source<'a> {
    Base64 { media_type: Text<'a>, data: Text<'a> },
    Url { url: Json<'a> },
}

/// Arguments of a call, as an object.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Input {
    None {},
    Object(Box<RawValue>),
}

#[derive(Debug, Serialize)]
pub(super) struct Tool<'a> {
    pub(super) name: Json<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<Json<'a>>,
    pub(super) input_schema: Json<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) strict: Option<bool>,
}

#[derive(Debug, Serialize)]
pub(super) struct ToolChoice<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<Json<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) disable_parallel_tool_use: Option<bool>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) effort: Option<Json<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) format: Option<Format<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct Format<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) schema: Json<'a>,
}
