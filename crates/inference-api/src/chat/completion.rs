//! A chat completion as it is written, and what it cannot say.

use serde::Serialize;
use serde_json::Number;
use serde_json::value::RawValue;

/// Most that is repeated of what an engine says of its failure.
const MESSAGE_CHARS_MAX: usize = 1000;

/// Why an engine's answer is none in chat completions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerMistake {
    #[error("expected an answer of the surface that the engine speaks, found something else")]
    Unreadable,
    /// What the engine said of it, cut.
    #[error("expected an answer, found that the engine failed: {message}")]
    Failed { message: String },
    /// Something nobody asked for: requests that could bring it about are refused.
    #[error("expected text, reasoning and calls of functions in the answer, found `{kind}`")]
    Untranslatable { kind: String },
}

impl AnswerMistake {
    pub(crate) fn failed(message: &str) -> Self {
        let message = if message.is_empty() { "it does not say how" } else { message };
        Self::Failed { message: message.chars().take(MESSAGE_CHARS_MAX).collect() }
    }

    pub(crate) fn untranslatable(kind: &str) -> Self {
        Self::Untranslatable { kind: kind.chars().take(64).collect() }
    }
}

/// A whole answer.
#[derive(Debug, Serialize)]
pub(crate) struct Completion<'a> {
    pub(crate) id: &'a str,
    pub(crate) object: &'static str,
    pub(crate) created: Number,
    pub(crate) model: &'a str,
    pub(crate) choices: [Choice<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service_tier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<Usage>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Choice<'a> {
    pub(crate) index: u64,
    pub(crate) message: Message<'a>,
    pub(crate) logprobs: Option<LogProbs<'a>>,
    pub(crate) finish_reason: &'static str,
    /// The stop sequence that was met, where vLLM says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stop_reason: Option<&'a str>,
}

impl<'a> Choice<'a> {
    pub(crate) fn new(message: Message<'a>, finish_reason: &'static str) -> Self {
        Self { index: 0, message, logprobs: None, finish_reason, stop_reason: None }
    }
}

/// Log probabilities of the text, as they were written.
#[derive(Debug, Serialize)]
pub(crate) struct LogProbs<'a> {
    pub(crate) content: Vec<&'a RawValue>,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Message<'a> {
    pub(crate) role: Assistant,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) reasoning_content: String,
    /// `null` beside calls or a refusal alone.
    pub(crate) content: Option<String>,
    pub(crate) refusal: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tool_calls: Vec<ToolCall<'a>>,
}

/// The only one who answers.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Assistant {
    #[default]
    Assistant,
}

impl Message<'_> {
    /// Adds to a text that need not be there.
    pub(crate) fn add(text: &mut Option<String>, more: &str) {
        if !more.is_empty() {
            text.get_or_insert_default().push_str(more);
        }
    }

    /// An answer that says nothing says so.
    pub(crate) fn completed(mut self) -> Self {
        if self.content.is_none() && self.refusal.is_none() && self.tool_calls.is_empty() {
            self.content = Some(String::new());
        }
        self
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct ToolCall<'a> {
    pub(crate) id: &'a str,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) function: CalledFunction<'a>,
}

#[derive(Debug, Serialize)]
pub(crate) struct CalledFunction<'a> {
    pub(crate) name: &'a str,
    pub(crate) arguments: std::borrow::Cow<'a, str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Usage {
    pub(crate) prompt_tokens: u64,
    pub(crate) completion_tokens: u64,
    pub(crate) total_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prompt_tokens_details: Option<PromptDetails>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct PromptDetails {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cached_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cache_write_tokens: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct CompletionDetails {
    pub(crate) reasoning_tokens: u64,
}

impl Usage {
    /// `read` and `written`: tokens of the prompt that came from a cache or went into one.
    pub(crate) fn new(prompt: u64, completion: u64, cached: [Option<u64>; 2], thought: Option<u64>) -> Self {
        let [cached_tokens, cache_write_tokens] = cached;
        let tells = cached_tokens.is_some() || cache_write_tokens.is_some();
        Self {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: prompt.saturating_add(completion),
            prompt_tokens_details: tells.then_some(PromptDetails { cached_tokens, cache_write_tokens }),
            completion_tokens_details: thought.map(|reasoning_tokens| CompletionDetails { reasoning_tokens }),
        }
    }
}

/// `msg_abc` or `resp_abc` as `chatcmpl-abc`.
pub(crate) fn completion_id(prefix: &str, id: &str) -> String {
    let own: String = id.strip_prefix(prefix).unwrap_or(id).chars().take(128).collect();
    format!("chatcmpl-{}", if own.is_empty() { "unnamed" } else { &own })
}
