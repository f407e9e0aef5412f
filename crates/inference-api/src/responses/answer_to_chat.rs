//! A response, whole, as a chat completion.

use crate::chat::completion::{
    AnswerMistake, CalledFunction, Choice, Completion, LogProbs, Message, ToolCall, Usage, completion_id,
};
use crate::lenient::{Count, Field, Listed, Text};
use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A response, as an answer or inside an event.
#[derive(Debug, Deserialize)]
pub(super) struct Response<'a> {
    #[serde(default, borrow)]
    pub(super) id: Text<'a>,
    #[serde(default, borrow)]
    created_at: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) model: Text<'a>,
    #[serde(default, borrow)]
    pub(super) service_tier: Text<'a>,
    #[serde(default, borrow)]
    status: Text<'a>,
    #[serde(default, borrow)]
    error: Field<Failure<'a>>,
    #[serde(default, borrow)]
    incomplete_details: Field<Incomplete<'a>>,
    #[serde(default, borrow)]
    output: Listed<Item<'a>>,
    #[serde(default)]
    usage: Field<ResponseUsage>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Failure<'a> {
    #[serde(default, borrow)]
    pub(super) message: Text<'a>,
}

#[derive(Debug, Deserialize)]
struct Incomplete<'a> {
    #[serde(default, borrow)]
    reason: Text<'a>,
}

/// An item of any kind.
#[derive(Debug, Deserialize)]
pub(super) struct Item<'a> {
    #[serde(default, borrow, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(default, borrow)]
    content: Listed<Part<'a>>,
    #[serde(default, borrow)]
    summary: Listed<Part<'a>>,
    #[serde(default, borrow)]
    pub(super) call_id: Text<'a>,
    #[serde(default, borrow)]
    pub(super) name: Text<'a>,
    #[serde(default, borrow)]
    pub(super) arguments: Text<'a>,
}

#[derive(Debug, Deserialize)]
struct Part<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(default, borrow)]
    text: Text<'a>,
    #[serde(default, borrow)]
    refusal: Text<'a>,
    #[serde(default, borrow)]
    logprobs: Option<&'a RawValue>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct ResponseUsage {
    #[serde(default)]
    input_tokens: Count,
    #[serde(default)]
    output_tokens: Count,
    #[serde(default)]
    input_tokens_details: Field<InputDetails>,
    #[serde(default)]
    output_tokens_details: Field<OutputDetails>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct InputDetails {
    #[serde(default)]
    cached_tokens: Count,
    #[serde(default)]
    cache_write_tokens: Count,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct OutputDetails {
    #[serde(default)]
    reasoning_tokens: Count,
}

impl Response<'_> {
    /// Seconds since 1970; some write them with a fraction.
    pub(super) fn created(&self) -> Option<Number> {
        let raw = self.created_at?.get();
        let whole = raw.split_once('.').map_or(raw, |(whole, _)| whole);
        whole.parse::<u64>().ok().map(Number::from)
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        let usage = self.usage.get()?;
        let cached = usage.input_tokens_details.get().copied().unwrap_or_default();
        let thought = usage.output_tokens_details.get().and_then(|details| details.reasoning_tokens.0);
        let cached = [cached.cached_tokens.0, cached.cache_write_tokens.0];
        Some(Usage::new(usage.input_tokens.or_zero(), usage.output_tokens.or_zero(), cached, thought))
    }

    /// Why the answer ended; what the engine says of it where it failed.
    pub(super) fn finish_reason(&self, calls: bool) -> Result<&'static str, AnswerMistake> {
        let reason = self.incomplete_details.get().map_or("", |details| details.reason.as_str());
        match (self.status.as_str(), reason) {
            ("failed" | "cancelled", _) => Err(self.failure()),
            ("incomplete", "content_filter") => Ok("content_filter"),
            ("incomplete", _) => Ok("length"),
            _ if calls => Ok("tool_calls"),
            _ => Ok("stop"),
        }
    }

    pub(super) fn failure(&self) -> AnswerMistake {
        AnswerMistake::failed(self.error.get().map_or("", |error| error.message.as_str()))
    }
}

/// A whole response (`Response`) as a chat completion (`CreateChatCompletionResponse`).
///
/// The texts of all items of a kind are one text; a summary stands for reasoning that is not shown. `finish_reason` is
/// `stop`, `length`, `tool_calls` or `content_filter`. Dropped: annotations, ids and states of items, encrypted reasoning.
///
/// # Errors
///
/// [`AnswerMistake`]: `body` is no response, one that failed, or holds items of tools that ran elsewhere.
pub fn answer_to_chat(body: &[u8]) -> Result<Vec<u8>, AnswerMistake> {
    let Ok(Field::Object(response)) = serde_json::from_slice::<Field<Response<'_>>>(body) else {
        return Err(AnswerMistake::Unreadable);
    };
    if response.error.get().is_some() {
        return Err(response.failure());
    }
    if !response.output.is_given() || response.output.is_odd() {
        return Err(AnswerMistake::Unreadable);
    }
    let (mut message, mut logprobs) = (Message::default(), Vec::new());
    for item in response.output.iter() {
        hear(item, &mut message, &mut logprobs)?;
    }
    let finish_reason = response.finish_reason(!message.tool_calls.is_empty())?;
    let id = completion_id("resp_", response.id.as_str());
    let logprobs = (!logprobs.is_empty()).then_some(LogProbs { content: logprobs });
    let completion = Completion {
        id: &id,
        object: "chat.completion",
        created: response.created().unwrap_or_else(|| 0.into()),
        model: response.model.as_str(),
        choices: [Choice { logprobs, ..Choice::new(message.completed(), finish_reason) }],
        service_tier: response.service_tier.said(),
        usage: response.usage(),
    };
    serde_json::to_vec(&completion).map_err(|_| AnswerMistake::Unreadable)
}

fn hear<'a>(
    item: &'a Item<'_>,
    message: &mut Message<'a>,
    logprobs: &mut Vec<&'a RawValue>,
) -> Result<(), AnswerMistake> {
    match Kind::of(item)? {
        Kind::Reasoning => message.reasoning_content.push_str(&reasoning(item)?),
        Kind::Message => {
            for part in parts(&item.content)? {
                match part.kind.as_str() {
                    "output_text" => Message::add(&mut message.content, part.text.as_str()),
                    "refusal" => Message::add(&mut message.refusal, part.refusal.as_str()),
                    other => return Err(AnswerMistake::untranslatable(other)),
                }
                logprobs.extend(listed(part.logprobs));
            }
        }
        Kind::Call => {
            let arguments = Cow::Borrowed(item.arguments.as_str());
            let function = CalledFunction { name: item.name.as_str(), arguments };
            message.tool_calls.push(ToolCall { id: item.call_id.as_str(), kind: "function", function });
        }
    }
    Ok(())
}

/// What the model thought, or where that is not shown, the summary of it.
pub(super) fn reasoning(item: &Item<'_>) -> Result<String, AnswerMistake> {
    let shown: String = parts(&item.content)?.map(|part| part.text.as_str()).collect();
    if !shown.is_empty() {
        return Ok(shown);
    }
    Ok(parts(&item.summary)?.map(|part| part.text.as_str()).collect())
}

fn parts<'s, 'a>(listed: &'s Listed<Part<'a>>) -> Result<impl Iterator<Item = &'s Part<'a>>, AnswerMistake> {
    let odd = |part: &Part<'_>| part.text.is_odd() || part.refusal.is_odd();
    if listed.is_odd() || listed.iter().any(odd) {
        return Err(AnswerMistake::Unreadable);
    }
    Ok(listed.iter())
}

/// Log probabilities, each as it was written.
pub(super) fn listed(logprobs: Option<&RawValue>) -> Vec<&RawValue> {
    logprobs.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// The kinds of items that an answer may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Reasoning,
    Message,
    Call,
}

impl Kind {
    pub(super) fn of(item: &Item<'_>) -> Result<Self, AnswerMistake> {
        match item.kind.as_str() {
            "reasoning" => Ok(Self::Reasoning),
            "message" => Ok(Self::Message),
            "function_call" => Ok(Self::Call),
            other => Err(AnswerMistake::untranslatable(other)),
        }
    }
}
