//! An answer of Messages, whole, as a chat completion.

use crate::chat::completion::{
    AnswerMistake, CalledFunction, Choice, Completion, Message, ToolCall, Usage, completion_id,
};
use crate::lenient::{Count, Field, Listed, Text};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A message of the assistant, as an answer or as the beginning of a stream.
#[derive(Debug, Deserialize)]
pub(super) struct Answer<'a> {
    #[serde(default, borrow)]
    pub(super) id: Text<'a>,
    #[serde(default, borrow)]
    pub(super) model: Text<'a>,
    #[serde(default, borrow)]
    content: Listed<Block<'a>>,
    #[serde(default, borrow)]
    stop_reason: Text<'a>,
    #[serde(default, borrow)]
    stop_sequence: Text<'a>,
    #[serde(default)]
    pub(super) usage: Field<MessagesUsage>,
    #[serde(default, borrow)]
    error: Field<Failure<'a>>,
}

/// A block of any kind.
#[derive(Debug, Deserialize)]
pub(super) struct Block<'a> {
    #[serde(default, borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(default, borrow)]
    pub(super) text: Text<'a>,
    #[serde(default, borrow)]
    pub(super) thinking: Text<'a>,
    #[serde(default, borrow)]
    pub(super) id: Text<'a>,
    #[serde(default, borrow)]
    pub(super) name: Text<'a>,
    #[serde(default, borrow)]
    pub(super) input: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Failure<'a> {
    #[serde(default, borrow)]
    pub(super) message: Text<'a>,
}

/// Counts, whole or of an event. An event tells again what it knows better.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct MessagesUsage {
    #[serde(default)]
    input_tokens: Count,
    #[serde(default)]
    cache_creation_input_tokens: Count,
    #[serde(default)]
    cache_read_input_tokens: Count,
    #[serde(default)]
    output_tokens: Count,
    #[serde(default)]
    output_tokens_details: Field<OutputDetails>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct OutputDetails {
    #[serde(default)]
    thinking_tokens: Count,
}

impl MessagesUsage {
    pub(super) fn amended(&self, by: &Self) -> Self {
        let newer = |by: Count, this: Count| Count(by.0.or(this.0));
        Self {
            input_tokens: newer(by.input_tokens, self.input_tokens),
            cache_creation_input_tokens: newer(
                by.cache_creation_input_tokens,
                self.cache_creation_input_tokens,
            ),
            cache_read_input_tokens: newer(by.cache_read_input_tokens, self.cache_read_input_tokens),
            output_tokens: newer(by.output_tokens, self.output_tokens),
            output_tokens_details: match by.output_tokens_details {
                Field::Object(details) => Field::Object(details),
                Field::Nothing | Field::Odd => self.output_tokens_details,
            },
        }
    }

    /// The prompt is what was read anew, what came from a cache and what went into one.
    pub(super) fn to_chat(self) -> Usage {
        let cached = [self.cache_read_input_tokens.0, self.cache_creation_input_tokens.0];
        let of_cache = cached.iter().flatten().fold(0_u64, |sum, count| sum.saturating_add(*count));
        let prompt = self.input_tokens.or_zero().saturating_add(of_cache);
        let thought = self.output_tokens_details.get().and_then(|details| details.thinking_tokens.0);
        Usage::new(prompt, self.output_tokens.or_zero(), cached, thought)
    }
}

/// A whole answer of Messages as a chat completion (`CreateChatCompletionResponse`), made at `created` (seconds since
/// 1970), which Messages does not tell.
///
/// The texts of all blocks of a kind are one text. `finish_reason` is `stop`, `length`, `tool_calls` or `content_filter`;
/// the stop sequence that was met is `stop_reason`, as vLLM tells it. Dropped: signatures and thinking that only its
/// writer can read, citations.
///
/// # Errors
///
/// [`AnswerMistake`]: `body` is no answer, or holds blocks of tools that ran elsewhere.
pub fn answer_to_chat(body: &[u8], created: u64) -> Result<Vec<u8>, AnswerMistake> {
    let Ok(Field::Object(answer)) = serde_json::from_slice::<Field<Answer<'_>>>(body) else {
        return Err(AnswerMistake::Unreadable);
    };
    if let Some(error) = answer.error.get() {
        return Err(AnswerMistake::failed(error.message.as_str()));
    }
    if !answer.content.is_given() || answer.content.is_odd() {
        return Err(AnswerMistake::Unreadable);
    }
    let mut message = Message::default();
    for block in answer.content.iter() {
        hear(block, &mut message)?;
    }
    let finish_reason = finish_reason(answer.stop_reason.as_str(), !message.tool_calls.is_empty());
    let id = completion_id("msg_", answer.id.as_str());
    let choice = Choice::new(message.completed(), finish_reason);
    let completion = Completion {
        id: &id,
        object: "chat.completion",
        created: created.into(),
        model: answer.model.as_str(),
        choices: [Choice { stop_reason: answer.stop_sequence.said(), ..choice }],
        service_tier: None,
        usage: answer.usage.get().map(|usage| usage.to_chat()),
    };
    serde_json::to_vec(&completion).map_err(|_| AnswerMistake::Unreadable)
}

fn hear<'a>(block: &'a Block<'_>, message: &mut Message<'a>) -> Result<(), AnswerMistake> {
    if block.text.is_odd() || block.thinking.is_odd() {
        return Err(AnswerMistake::Unreadable);
    }
    match Kind::of(block)? {
        Kind::Text => Message::add(&mut message.content, block.text.as_str()),
        Kind::Thinking => message.reasoning_content.push_str(block.thinking.as_str()),
        Kind::Sealed => {}
        Kind::Call => {
            let arguments = arguments(block.input);
            let function = CalledFunction { name: block.name.as_str(), arguments };
            message.tool_calls.push(ToolCall { id: block.id.as_str(), kind: "function", function });
        }
    }
    Ok(())
}

/// The kinds of blocks that an answer may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Thinking,
    /// Thinking that only who wrote it can read.
    Sealed,
    Call,
}

impl Kind {
    pub(super) fn of(block: &Block<'_>) -> Result<Self, AnswerMistake> {
        match block.kind.as_str() {
            "text" => Ok(Self::Text),
            "thinking" => Ok(Self::Thinking),
            "redacted_thinking" => Ok(Self::Sealed),
            "tool_use" => Ok(Self::Call),
            other => Err(AnswerMistake::untranslatable(other)),
        }
    }
}

/// What stands for arguments that are no JSON object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invalid<'a> {
    #[serde(rename = "INVALID_JSON", borrow)]
    text: Cow<'a, str>,
}

/// The JSON text of an input, or what it was wrapped around.
pub(super) fn arguments(input: Option<&RawValue>) -> Cow<'_, str> {
    let text = input.map_or("{}", RawValue::get);
    match serde_json::from_str::<Invalid<'_>>(text) {
        Ok(Invalid { text }) => text,
        Err(_) => Cow::Borrowed(text),
    }
}

/// Calls say `tool_calls` also where an engine says that the turn is over: callers run tools by this word.
pub(super) fn finish_reason(stop_reason: &str, calls: bool) -> &'static str {
    match stop_reason {
        "max_tokens" | "model_context_window_exceeded" => "length",
        "refusal" => "content_filter",
        "tool_use" => "tool_calls",
        _ if calls => "tool_calls",
        _ => "stop",
    }
}
