//! An answer of chat completions as it is read, whole or a chunk of a stream, in the dialects of the engines.
//!
//! What it is for: whoever tells such an answer in other words, counts it or looks through it reads the same thing. What
//! it must not know: who that is.
//!
//! Invariants:
//! - a field that is not of its type loses itself alone, and says so where it could have been something the model
//!   generated ([`ChatAnswer::is_odd`]): what the other fields say stands;
//! - nothing is copied that the bytes hold as it reads.

use crate::lenient::{Count, Field, Listed, Text};
use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A whole answer (`CreateChatCompletionResponse`), or a chunk of one (`CreateChatCompletionStreamResponse`).
#[derive(Debug, Deserialize)]
pub(crate) struct ChatAnswer<'a> {
    #[serde(default, borrow)]
    pub(crate) id: Text<'a>,
    #[serde(default, borrow)]
    created: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(crate) model: Text<'a>,
    #[serde(default, borrow)]
    pub(crate) service_tier: Text<'a>,
    #[serde(default, borrow)]
    pub(crate) choices: Listed<Choice<'a>>,
    #[serde(default)]
    pub(crate) usage: Field<Usage>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Choice<'a> {
    #[serde(default)]
    pub(crate) index: Count,
    /// What a whole answer says.
    #[serde(default, borrow)]
    pub(crate) message: Field<Message<'a>>,
    /// What a chunk adds.
    #[serde(default, borrow)]
    pub(crate) delta: Field<Message<'a>>,
    /// Of the completion of a text.
    #[serde(default, borrow)]
    pub(crate) text: Text<'a>,
    #[serde(default, borrow)]
    pub(crate) logprobs: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(crate) finish_reason: Text<'a>,
    /// vLLM: the stop sequence that ended the text, or the number of the token that did.
    #[serde(default, borrow)]
    stop_reason: Text<'a>,
    /// The same, as SGLang calls it.
    #[serde(default, borrow)]
    matched_stop: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Message<'a> {
    #[serde(default, borrow)]
    content: Text<'a>,
    #[serde(default, borrow)]
    reasoning_content: Text<'a>,
    #[serde(default, borrow)]
    reasoning: Text<'a>,
    #[serde(default, borrow)]
    refusal: Text<'a>,
    #[serde(default, borrow)]
    pub(crate) tool_calls: Listed<ToolCall<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ToolCall<'a> {
    #[serde(default)]
    pub(crate) index: Count,
    #[serde(default, borrow)]
    id: Text<'a>,
    #[serde(default, borrow)]
    function: Field<CalledFunction<'a>>,
}

#[derive(Debug, Deserialize)]
struct CalledFunction<'a> {
    #[serde(default, borrow)]
    name: Text<'a>,
    #[serde(default, borrow)]
    arguments: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Usage {
    #[serde(default)]
    pub(crate) prompt_tokens: Count,
    #[serde(default)]
    pub(crate) completion_tokens: Count,
    #[serde(default)]
    pub(crate) total_tokens: Count,
    #[serde(default)]
    prompt_tokens_details: Field<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Field<CompletionDetails>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Count,
    #[serde(default)]
    cache_write_tokens: Count,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Count,
}

impl<'a> ChatAnswer<'a> {
    /// `None`: the bytes are no JSON object, or name a field twice.
    pub(crate) fn read(data: &'a [u8]) -> Option<Self> {
        match serde_json::from_slice(data).ok()? {
            Field::Object(answer) => Some(answer),
            Field::Nothing | Field::Odd => None,
        }
    }

    /// The choice of a whole answer. A request that is translated has one.
    pub(crate) fn answer(&self) -> Option<(&Choice<'a>, &Message<'a>)> {
        self.first().find_map(|choice| Some((choice, choice.message.get()?)))
    }

    /// What belongs to the one choice of a translated request.
    pub(crate) fn first(&self) -> impl Iterator<Item = &Choice<'a>> {
        self.choices.iter().filter(|choice| choice.index.or_zero() == 0)
    }

    /// As the engine spelled it.
    pub(crate) fn created(&self) -> Option<Number> {
        serde_json::from_str(self.created?.get()).ok()
    }

    /// Whether something that a model may have generated was not read.
    pub(crate) fn is_odd(&self) -> bool {
        let odd = |said: &Field<Message<'_>>| said.is_odd() || said.get().is_some_and(Message::is_odd);
        let of_choice =
            |choice: &Choice<'_>| choice.text.is_odd() || odd(&choice.message) || odd(&choice.delta);
        self.choices.is_odd() || self.choices.iter().any(of_choice)
    }

    /// What an engine says when it fails; empty where it does not say what.
    pub(crate) fn error(&self) -> Option<Cow<'a, str>> {
        #[derive(Deserialize)]
        struct Told<'a> {
            #[serde(default, borrow)]
            message: Text<'a>,
        }
        let error = self.error?.get();
        let told = || serde_json::from_str::<Told<'a>>(error).ok().and_then(|told| told.message.into_said());
        let text = serde_json::from_str::<Text<'a>>(error).ok().and_then(Text::into_said);
        Some(text.or_else(told).unwrap_or_default())
    }
}

impl Choice<'_> {
    /// The stop sequence that was met, where the engine says which.
    pub(crate) fn stop_sequence(&self) -> Option<String> {
        self.stop_reason.said().or(self.matched_stop.said()).map(str::to_owned)
    }
}

impl Message<'_> {
    /// The reasoning, under the one name or the other. Engines that send both mean one.
    pub(crate) fn reasoning(&self) -> &str {
        let named = [&self.reasoning_content, &self.reasoning];
        named.into_iter().map(Text::as_str).find(|text| !text.is_empty()).unwrap_or_default()
    }

    pub(crate) fn content(&self) -> &str {
        self.content.as_str()
    }

    pub(crate) fn refusal(&self) -> &str {
        self.refusal.as_str()
    }

    fn is_odd(&self) -> bool {
        let texts = [&self.content, &self.reasoning_content, &self.reasoning, &self.refusal];
        texts.into_iter().any(Text::is_odd)
            || self.tool_calls.is_odd()
            || self.tool_calls.iter().any(ToolCall::is_odd)
    }
}

impl ToolCall<'_> {
    pub(crate) fn id(&self) -> &str {
        self.id.as_str()
    }

    pub(crate) fn name(&self) -> &str {
        self.function.get().map_or("", |function| function.name.as_str())
    }

    /// The JSON text of the arguments, or the part of it that came. A few engines send the object itself.
    pub(crate) fn arguments(&self) -> Cow<'_, str> {
        let raw = self.function.get().and_then(|function| function.arguments).map(RawValue::get);
        raw.map_or(Cow::Borrowed(""), |raw| match serde_json::from_str::<Text<'_>>(raw) {
            Ok(Text::Said(text)) => text,
            _ => Cow::Borrowed(raw),
        })
    }

    fn is_odd(&self) -> bool {
        self.function.is_odd() || self.function.get().is_some_and(|function| function.name.is_odd())
    }
}

impl Usage {
    pub(crate) fn cached_tokens(&self) -> Option<u64> {
        self.prompt_tokens_details.get()?.cached_tokens.0
    }

    pub(crate) fn cache_write_tokens(&self) -> Option<u64> {
        self.prompt_tokens_details.get()?.cache_write_tokens.0
    }

    pub(crate) fn reasoning_tokens(&self) -> Option<u64> {
        self.completion_tokens_details.get()?.reasoning_tokens.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_of_its_type_loses_itself_alone() {
        let data = br#"{"id":7,"created":"x","choices":[3,{"index":"a","delta":{"content":"hi","refusal":[1],
            "tool_calls":["?",{"index":1,"id":{},"function":{"name":"f","arguments":{"k":[1]}}},{"function":7}]},
            "finish_reason":{}}],"usage":{"prompt_tokens":-1,"completion_tokens":2,"prompt_tokens_details":[]},"error":null}"#;
        let answer = ChatAnswer::read(data).unwrap();
        assert_eq!((answer.id.as_str(), answer.created(), answer.error()), ("", None, None));
        let usage = answer.usage.get().unwrap();
        assert_eq!(
            (usage.prompt_tokens.0, usage.completion_tokens.0, usage.cached_tokens()),
            (None, Some(2), None)
        );
        let choice = answer.first().next().unwrap();
        let said = choice.delta.get().unwrap();
        assert_eq!((said.content(), said.refusal(), said.is_odd()), ("hi", "", true));
        let calls: Vec<(&str, String)> =
            said.tool_calls.iter().map(|call| (call.name(), call.arguments().into_owned())).collect();
        assert_eq!(calls, [("f", r#"{"k":[1]}"#.to_owned()), ("", String::new())]);
        for nothing in ["[]", "7", "", r#"{"id":"a","id":"b"}"#] {
            assert!(ChatAnswer::read(nothing.as_bytes()).is_none(), "{nothing}");
        }
    }

    #[test]
    fn what_an_engine_says_of_its_failure_is_found() {
        let error = |data: &str| ChatAnswer::read(data.as_bytes()).unwrap().error().map(Cow::into_owned);
        assert_eq!(error(r#"{"error":{"message":"out of \"memory\""}}"#).unwrap(), "out of \"memory\"");
        assert_eq!(error(r#"{"error":"out of memory"}"#).unwrap(), "out of memory");
        assert_eq!(error(r#"{"error":{"code":7}}"#).unwrap(), "");
        assert_eq!(error(r#"{"error":null}"#), None);
    }
}
