//! The request of the Responses API as it is written.

use crate::reading::Json;
use serde::Serialize;

/// The value of one field of the request.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Value<'a> {
    Raw(Json<'a>),
    Input(Vec<Item<'a>>),
    Include([&'static str; 1]),
    Text(TextConfig<'a>),
    Reasoning(Reasoning<'a>),
    Tools(Vec<Tool<'a>>),
    ToolChoice(ToolChoice<'a>),
    Flag(bool),
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Item<'a> {
    Message { role: Role, content: Content<'a> },
    Typed(TypedItem<'a>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    User,
    System,
    Developer,
    Assistant,
}

/// Items that are told by their `type`. Ids and states are asked for and name nothing that anybody keeps.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum TypedItem<'a> {
    Message { id: String, status: &'static str, role: Role, content: Vec<Part<'a>> },
    Reasoning { id: String, summary: [(); 0], content: [Part<'a>; 1] },
    FunctionCall { call_id: Json<'a>, name: Json<'a>, arguments: Json<'a> },
    FunctionCallOutput { call_id: Json<'a>, output: Content<'a> },
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Content<'a> {
    Text(Json<'a>),
    Nothing(&'static str),
    Parts(Vec<Part<'a>>),
}

impl<'a> Content<'a> {
    /// One text is a string; anything else a list of parts.
    pub(super) fn of_parts(parts: Vec<Part<'a>>) -> Self {
        match parts.as_slice() {
            [] => Self::Nothing(""),
            [Part::InputText { text } | Part::OutputText { text, .. }] => Self::Text(*text),
            _ => Self::Parts(parts),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part<'a> {
    InputText { text: Json<'a> },
    InputImage { image_url: Json<'a>, detail: Json<'a> },
    OutputText { text: Json<'a>, annotations: [(); 0] },
    Refusal { refusal: Json<'a> },
    ReasoningText { text: Json<'a> },
}

#[derive(Debug, Default, Serialize)]
pub(super) struct TextConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) format: Option<Format<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) verbosity: Option<Json<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Format<'a> {
    JsonObject,
    JsonSchema {
        name: Json<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<Json<'a>>,
        schema: Json<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
}

#[derive(Debug, Serialize)]
pub(super) struct Reasoning<'a> {
    pub(super) effort: Json<'a>,
}

/// `strict` is always said: what is not said is false to chat completions and true to the Responses API.
#[derive(Debug, Serialize)]
pub(super) struct Tool<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) name: Json<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<Json<'a>>,
    pub(super) parameters: Option<Json<'a>>,
    pub(super) strict: bool,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum ToolChoice<'a> {
    Word(&'static str),
    Named(Named<'a>),
    Allowed {
        #[serde(rename = "type")]
        kind: &'static str,
        mode: &'static str,
        tools: Vec<Named<'a>>,
    },
}

#[derive(Debug, Serialize)]
pub(super) struct Named<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: Json<'a>,
}

impl<'a> Named<'a> {
    pub(super) fn new(name: Json<'a>) -> Self {
        Self { kind: "function", name }
    }
}
