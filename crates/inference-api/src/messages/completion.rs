//! A chat completion as it is read, whole or a chunk of a stream, and what Messages makes of its end.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

#[derive(Debug, Deserialize)]
pub(super) struct Completion<'a> {
    #[serde(default, borrow)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub(super) choices: Option<Vec<Choice<'a>>>,
    #[serde(default)]
    pub(super) usage: Option<ChatUsage>,
    #[serde(default, borrow)]
    pub(super) error: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(default)]
    pub(super) index: Option<u64>,
    #[serde(default, borrow)]
    pub(super) message: Option<Said<'a>>,
    #[serde(default, borrow)]
    pub(super) delta: Option<Said<'a>>,
    #[serde(default, borrow)]
    pub(super) finish_reason: Option<Cow<'a, str>>,
    /// vLLM: the stop sequence that ended the text, or the number of the token that did.
    #[serde(default, borrow)]
    stop_reason: Option<&'a RawValue>,
    /// The same, as SGLang calls it.
    #[serde(default, borrow)]
    matched_stop: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Said<'a> {
    #[serde(default, borrow)]
    pub(super) content: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    reasoning: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub(super) refusal: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub(super) tool_calls: Option<Vec<Called<'a>>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Called<'a> {
    #[serde(default)]
    pub(super) index: Option<u64>,
    #[serde(default, borrow)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    function: Option<CalledFunction<'a>>,
}

#[derive(Debug, Deserialize)]
struct CalledFunction<'a> {
    #[serde(default, borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    arguments: Option<&'a RawValue>,
}

impl Choice<'_> {
    /// The stop sequence that was met, where the engine says which.
    pub(super) fn stop_sequence(&self) -> Option<String> {
        let said = self.stop_reason.or(self.matched_stop)?;
        serde_json::from_str(said.get()).ok()
    }
}

impl Said<'_> {
    /// The reasoning, under the one name or the other. Engines that send both mean one.
    pub(super) fn thinking(&self) -> &str {
        let named = [&self.reasoning_content, &self.reasoning];
        named.into_iter().flatten().map(Cow::as_ref).find(|text| !text.is_empty()).unwrap_or_default()
    }

    pub(super) fn text(&self) -> &str {
        self.content.as_deref().unwrap_or_default()
    }

    pub(super) fn refusal(&self) -> &str {
        self.refusal.as_deref().unwrap_or_default()
    }
}

impl Called<'_> {
    pub(super) fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }

    pub(super) fn name(&self) -> &str {
        self.function.as_ref().and_then(|function| function.name.as_deref()).unwrap_or_default()
    }

    /// The JSON text of the arguments, or the part of it that came. A few engines send the object itself.
    pub(super) fn arguments(&self) -> Cow<'_, str> {
        let raw = self.function.as_ref().and_then(|function| function.arguments).map(RawValue::get);
        raw.map_or(Cow::Borrowed(""), |raw| serde_json::from_str(raw).unwrap_or(Cow::Borrowed(raw)))
    }
}

/// `chatcmpl-abc` as `msg_abc`.
pub(super) fn message_id(chat: Option<&str>) -> String {
    let chat = chat.unwrap_or("unnamed");
    let own: String = chat.strip_prefix("chatcmpl-").unwrap_or(chat).chars().take(128).collect();
    format!("msg_{own}")
}

/// The id of a call that the engine gave none: unique in a conversation, because the message's is.
pub(super) fn tool_use_id(given: &str, message: &str, number: usize) -> String {
    if given.is_empty() {
        let own = message.strip_prefix("msg_").unwrap_or(message);
        return format!("toolu_{own}_{number}");
    }
    given.to_owned()
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Ending {
    pub(super) stop_reason: &'static str,
    pub(super) stop_sequence: Option<String>,
}

impl Ending {
    /// From `finish_reason`, the stop sequence if the engine named one, and what was said.
    ///
    /// Calls say `tool_use` also where an engine says `stop`, as vLLM does when a function was chosen for the model:
    /// callers run tools by this word. A reason that is unknown or missing is the end of the turn.
    pub(super) fn new(finish_reason: Option<&str>, met: Option<String>, calls: bool, refused: bool) -> Self {
        let stop_reason = match (finish_reason, &met) {
            (Some("length"), _) => "max_tokens",
            (Some("content_filter"), _) => "refusal",
            _ if calls => "tool_use",
            _ if refused => "refusal",
            (Some("stop"), Some(_)) => "stop_sequence",
            _ => "end_turn",
        };
        Self { stop_reason, stop_sequence: met.filter(|_| stop_reason == "stop_sequence") }
    }
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct ChatUsage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}

/// Tokens as Messages counts them: `input_tokens` without those that came from a cache, so that the three kinds of input
/// add up to the prompt. `null` is what the engine did not tell; `input_tokens` and `output_tokens` have to be numbers,
/// and are 0 then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Usage {
    input_tokens: u64,
    /// Engines do not tell what they put into a cache.
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct OutputDetails {
    thinking_tokens: u64,
}

impl From<ChatUsage> for Usage {
    fn from(chat: ChatUsage) -> Self {
        let prompt = chat.prompt_tokens.unwrap_or_default();
        let cached = chat.prompt_tokens_details.and_then(|details| details.cached_tokens);
        let thought = chat.completion_tokens_details.and_then(|details| details.reasoning_tokens);
        Self {
            input_tokens: prompt.saturating_sub(cached.unwrap_or_default()),
            cache_creation_input_tokens: None,
            cache_read_input_tokens: cached,
            output_tokens: chat.completion_tokens.unwrap_or_default(),
            output_tokens_details: thought.map(|thinking_tokens| OutputDetails { thinking_tokens }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(
        finish_reason: &str,
        met: Option<&str>,
        calls: bool,
        refused: bool,
    ) -> (&'static str, Option<String>) {
        let ending = Ending::new(Some(finish_reason), met.map(str::to_owned), calls, refused);
        (ending.stop_reason, ending.stop_sequence)
    }

    #[test]
    fn every_finish_reason_has_its_word() {
        assert_eq!(ended("stop", None, false, false), ("end_turn", None));
        assert_eq!(ended("stop", Some("END"), false, false), ("stop_sequence", Some("END".to_owned())));
        assert_eq!(ended("length", Some("END"), true, false), ("max_tokens", None));
        assert_eq!(ended("tool_calls", None, true, false), ("tool_use", None));
        assert_eq!(ended("stop", None, true, false), ("tool_use", None));
        assert_eq!(ended("content_filter", None, false, false), ("refusal", None));
        assert_eq!(ended("stop", None, false, true), ("refusal", None));
        assert_eq!(Ending::new(None, None, false, false).stop_reason, "end_turn");
    }

    #[test]
    fn cached_tokens_are_not_counted_twice() {
        let chat: ChatUsage = serde_json::from_str(
            r#"{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14,"prompt_tokens_details":{"cached_tokens":8}}"#,
        )
        .unwrap();
        let usage = serde_json::to_string(&Usage::from(chat)).unwrap();
        assert_eq!(
            usage,
            r#"{"input_tokens":2,"cache_creation_input_tokens":null,"cache_read_input_tokens":8,"output_tokens":4}"#
        );
    }
}
