//! What is read of answers and chunks of chat completions (`CreateChatCompletionResponse`,
//! `CreateChatCompletionStreamResponse`), in the dialects of the engines.

use super::items::LogProb;
use serde::Deserialize;
use serde_json::Number;

/// A whole answer, or a chunk of one.
#[derive(Deserialize)]
pub(super) struct Chat {
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) created: Option<Number>,
    #[serde(default)]
    pub(super) model: Option<String>,
    #[serde(default)]
    pub(super) service_tier: Option<String>,
    #[serde(default)]
    pub(super) choices: Option<Vec<Choice>>,
    #[serde(default)]
    pub(super) usage: Option<Usage>,
    #[serde(default)]
    pub(super) error: Option<EngineError>,
}

#[derive(Deserialize)]
pub(super) struct Choice {
    #[serde(default)]
    pub(super) index: u64,
    /// What a chunk adds.
    #[serde(default)]
    pub(super) delta: Option<Said>,
    /// What a whole answer says.
    #[serde(default)]
    pub(super) message: Option<Said>,
    #[serde(default)]
    pub(super) logprobs: Option<LogProbs>,
    #[serde(default)]
    pub(super) finish_reason: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Said {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    reasoning_content: Option<String>,
    #[serde(default)]
    reasoning: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    pub(super) tool_calls: Option<Vec<ToolCall>>,
}

#[derive(Deserialize)]
pub(super) struct ToolCall {
    #[serde(default)]
    pub(super) index: Option<u64>,
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) function: Option<Function>,
}

#[derive(Deserialize, Default)]
pub(super) struct Function {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) arguments: Option<String>,
}

/// Of the refusal a response has no place for them.
#[derive(Deserialize)]
pub(super) struct LogProbs {
    #[serde(default)]
    pub(super) content: Option<Vec<LogProb>>,
}

#[derive(Deserialize)]
pub(super) struct Usage {
    #[serde(default)]
    pub(super) prompt_tokens: Option<u64>,
    #[serde(default)]
    pub(super) completion_tokens: Option<u64>,
    #[serde(default)]
    pub(super) total_tokens: Option<u64>,
    #[serde(default)]
    pub(super) prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    pub(super) completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Deserialize, Default)]
pub(super) struct PromptDetails {
    #[serde(default)]
    pub(super) cached_tokens: Option<u64>,
    #[serde(default)]
    pub(super) cache_write_tokens: Option<u64>,
}

#[derive(Deserialize, Default)]
pub(super) struct CompletionDetails {
    #[serde(default)]
    pub(super) reasoning_tokens: Option<u64>,
}

/// An error in the middle of a stream: an object with a message, or just a text.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum EngineError {
    Told { message: String },
    Text(String),
    Other(serde::de::IgnoredAny),
}

impl EngineError {
    pub(super) fn message(&self) -> &str {
        match self {
            Self::Told { message } | Self::Text(message) => message,
            Self::Other(_) => "the engine reported an error without saying which",
        }
    }
}

impl Said {
    /// Engines that say the same under both names say it once.
    pub(super) fn reasoning(&mut self) -> Option<String> {
        self.reasoning_content.take().or(self.reasoning.take()).filter(|text| !text.is_empty())
    }

    pub(super) fn content(&mut self) -> Option<String> {
        self.content.take().filter(|text| !text.is_empty())
    }

    pub(super) fn refusal(&mut self) -> Option<String> {
        self.refusal.take().filter(|text| !text.is_empty())
    }
}
