//! The items of a response's output, as they grow and as they are written (`OutputItem`).

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// One item of the output.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) status: Status,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    InProgress,
    Completed,
    Incomplete,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// Parts of reasoning; there is one.
    Reasoning(Vec<Part>),
    Message(Vec<Part>),
    Call(Call),
}

#[derive(Debug, Clone)]
pub(super) struct Call {
    /// Which of its calls the engine means.
    pub(super) index: u64,
    pub(super) call_id: String,
    pub(super) name: String,
    pub(super) arguments: String,
}

#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part {
    ReasoningText { text: String },
    OutputText { text: String, annotations: [(); 0], logprobs: Vec<LogProb> },
    Refusal { refusal: String },
}

impl Part {
    /// A part of the same kind that says nothing yet.
    pub(super) fn emptied(&self) -> Self {
        match self {
            Self::ReasoningText { .. } => Self::ReasoningText { text: String::new() },
            Self::OutputText { .. } => Self::text(String::new(), Vec::new()),
            Self::Refusal { .. } => Self::Refusal { refusal: String::new() },
        }
    }

    pub(super) fn text(text: String, logprobs: Vec<LogProb>) -> Self {
        Self::OutputText { text, annotations: [], logprobs }
    }

    /// Goes on with what `more` says. False, and nothing changes, where that is of another kind.
    pub(super) fn grow(&mut self, more: &Self) -> bool {
        match (self, more) {
            (Self::ReasoningText { text }, Self::ReasoningText { text: more })
            | (Self::Refusal { refusal: text }, Self::Refusal { refusal: more }) => text.push_str(more),
            (
                Self::OutputText { text, logprobs, .. },
                Self::OutputText { text: more, logprobs: more_too, .. },
            ) => {
                text.push_str(more);
                logprobs.extend_from_slice(more_too);
            }
            (Self::ReasoningText { .. } | Self::OutputText { .. } | Self::Refusal { .. }, _) => return false,
        }
        true
    }
}

/// As chat completions give them.
#[derive(Deserialize)]
pub(super) struct LogProbs {
    #[serde(default)]
    pub(super) content: Option<Vec<LogProb>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct LogProb {
    token: String,
    /// As the engine spelled it.
    logprob: Box<RawValue>,
    #[serde(default, deserialize_with = "list_or_null")]
    bytes: Vec<u8>,
    #[serde(default, deserialize_with = "list_or_null")]
    top_logprobs: Vec<TopLogProb>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct TopLogProb {
    token: String,
    logprob: Box<RawValue>,
    #[serde(default, deserialize_with = "list_or_null")]
    bytes: Vec<u8>,
}

/// Chat completions have null where responses have an empty list.
fn list_or_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Option::<Vec<T>>::deserialize(from).map(Option::unwrap_or_default)
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Written<'a> {
    Reasoning { id: &'a str, status: Status, summary: [(); 0], content: &'a [Part] },
    Message { id: &'a str, status: Status, role: &'static str, content: &'a [Part] },
    FunctionCall { id: &'a str, status: Status, call_id: &'a str, name: &'a str, arguments: &'a str },
}

impl Serialize for Item {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (id, status) = (self.id.as_str(), self.status);
        let written = match &self.kind {
            Kind::Reasoning(content) => Written::Reasoning { id, status, summary: [], content },
            Kind::Message(content) => Written::Message { id, status, role: "assistant", content },
            Kind::Call(Call { call_id, name, arguments, .. }) => {
                Written::FunctionCall { id, status, call_id, name, arguments }
            }
        };
        written.serialize(to)
    }
}
