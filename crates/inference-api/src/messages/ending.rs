//! What Messages makes of the names, the end and the counts of a chat completion.

use crate::chat::answer as chat;
use serde::Serialize;

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

/// Tokens as Messages counts them: `input_tokens` without those that came from a cache, so that the three kinds of input
/// add up to the prompt. `null` is what the engine did not tell; `input_tokens` and `output_tokens` have to be numbers,
/// and are 0 then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Usage {
    input_tokens: u64,
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

impl Usage {
    pub(super) fn of_chat(chat: &chat::Usage) -> Self {
        let (read, written) = (chat.cached_tokens(), chat.cache_write_tokens());
        let of_cache = read.unwrap_or_default().saturating_add(written.unwrap_or_default());
        Self {
            input_tokens: chat.prompt_tokens.or_zero().saturating_sub(of_cache),
            cache_creation_input_tokens: written,
            cache_read_input_tokens: read,
            output_tokens: chat.completion_tokens.or_zero(),
            output_tokens_details: chat
                .reasoning_tokens()
                .map(|thinking_tokens| OutputDetails { thinking_tokens }),
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
        let chat: chat::Usage = serde_json::from_str(
            r#"{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14,"prompt_tokens_details":{"cached_tokens":8}}"#,
        )
        .unwrap();
        let usage = serde_json::to_string(&Usage::of_chat(&chat)).unwrap();
        assert_eq!(
            usage,
            r#"{"input_tokens":2,"cache_creation_input_tokens":null,"cache_read_input_tokens":8,"output_tokens":4}"#
        );
    }
}
