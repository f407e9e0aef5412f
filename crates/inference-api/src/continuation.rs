//! Going on with a stream that broke off: what was said so far, the request that asks another engine for the rest, and
//! the rest made to look like what came before.
//!
//! The form is vLLM's: for chat the text so far stands as an unfinished message of the assistant, with
//! `continue_final_message` and without a generation prompt; for completions it is put behind the prompt.
//!
//! Invariant: what cannot be continued exactly is not continued. A stream of several choices, with tool calls, reasoning,
//! log probabilities, a constrained form, or a request with stop sequences (one may lie across the break) is left to
//! fail.

use crate::json;
use crate::surface::Call;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Fields whose presence rules a continuation out, unless they have a value that means nothing.
const RULED_OUT_BY: [&str; 22] = [
    "tools",
    "functions",
    "tool_choice",
    "function_call",
    "response_format",
    "logprobs",
    "top_logprobs",
    "prompt_logprobs",
    "echo",
    "suffix",
    "stop",
    "stop_token_ids",
    "include_stop_str_in_output",
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "structured_outputs",
    "continue_final_message",
    "add_generation_prompt",
    "use_beam_search",
    "return_token_ids",
];

/// Fields that cap what is generated.
const CAPS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

/// A stream so far.
#[derive(Debug, Clone, Default)]
pub struct StreamSoFar {
    text: String,
    /// Events with text that were handed on; engines send one for each token.
    tokens: u64,
    /// `id`, `created`, `model` and the like of the first event.
    identity: Map<String, Value>,
    ruled_out: bool,
    finished: bool,
}

/// An event of the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewritten {
    /// It says nothing the client has not heard: an engine opens with the role.
    Nothing,
    Event(Bytes),
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(default, borrow)]
    choices: Vec<Choice<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u64,
    #[serde(default)]
    delta: Option<Map<String, Value>>,
    #[serde(default, borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(default)]
    finish_reason: Option<Value>,
    #[serde(default)]
    logprobs: Option<Value>,
}

/// Whether the rest of an answer to this request could be asked for.
pub fn may_continue(call: Call, body: &[u8]) -> bool {
    let Ok(Value::Object(request)) = serde_json::from_slice(body) else { return false };
    let means_nothing = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(object) => object.get("type").and_then(Value::as_str) == Some("text"),
        _ => false,
    };
    let one = |field| request.get(field).is_none_or(|value| value.is_null() || *value == 1);
    let form = match call {
        Call::Chat => request.get("messages").is_some_and(|m| m.as_array().is_some_and(|m| !m.is_empty())),
        Call::Completion => request.get("prompt").is_some_and(Value::is_string),
        Call::Embedding
        | Call::Rerank
        | Call::Transcription
        | Call::Translation
        | Call::ImageGeneration
        | Call::ImageEdit => false,
    };
    form && one("n")
        && one("best_of")
        && RULED_OUT_BY.iter().all(|field| request.get(*field).is_none_or(means_nothing))
}

impl StreamSoFar {
    /// Takes an event that is handed on.
    pub fn add(&mut self, data: &[u8]) {
        let Ok(chunk) = serde_json::from_slice::<Chunk<'_>>(data) else {
            self.ruled_out = true;
            return;
        };
        if self.identity.is_empty()
            && let Ok(Value::Object(event)) = serde_json::from_slice(data)
        {
            self.identity = event.into_iter().filter(|(key, _)| is_identity(key)).collect();
        }
        for choice in chunk.choices {
            self.ruled_out |= choice.index != 0 || choice.logprobs.is_some_and(|value| !value.is_null());
            self.finished |= choice.finish_reason.is_some_and(|reason| !reason.is_null());
            if let Some(text) = choice.text {
                self.say(&text);
            }
            for (field, value) in choice.delta.into_iter().flatten() {
                match (field.as_str(), value) {
                    ("role", _) | (_, Value::Null) => {}
                    ("content", Value::String(text)) => self.say(&text),
                    (_, Value::Array(items)) if items.is_empty() => {}
                    _ => self.ruled_out = true,
                }
            }
        }
    }

    fn say(&mut self, text: &str) {
        if !text.is_empty() {
            self.text.push_str(text);
            self.tokens += 1;
        }
    }

    /// Whether another engine could go on from here.
    pub fn is_continuable(&self) -> bool {
        !self.ruled_out && !self.finished
    }

    /// Tokens that were handed on, as far as events tell.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    pub fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// The request for the rest; `None` when nothing may be generated any more. Only the fields that have to change do.
    pub fn request(&self, call: Call, body: &[u8]) -> Option<Vec<u8>> {
        let members = json::members(body).ok()?;
        let mut edits: Vec<(std::ops::Range<usize>, Vec<u8>)> = Vec::new();
        for member in &members {
            let key = json::decode_string(body.get(member.key.clone())?)?;
            let value = body.get(member.value.clone())?;
            if CAPS.contains(&key.as_ref()) {
                let Ok(cap) = serde_json::from_slice::<u64>(value) else { continue };
                let left = cap.checked_sub(self.tokens).filter(|left| *left > 0)?;
                edits.push((member.value.clone(), left.to_string().into_bytes()));
            } else if key == "messages" && call == Call::Chat {
                let end = member.value.end.checked_sub(1)?;
                edits.push((end..end, self.unfinished_message()));
            } else if key == "prompt" && call == Call::Completion {
                let end = member.value.end.checked_sub(1)?;
                let quoted = Value::from(self.text.as_str()).to_string();
                let inside = quoted.get(1..quoted.len().saturating_sub(1))?;
                edits.push((end..end, inside.as_bytes().to_vec()));
            }
        }
        if call == Call::Chat {
            let open = body.iter().position(|&b| b == b'{')? + 1;
            let asked = br#""continue_final_message":true,"add_generation_prompt":false,"#.to_vec();
            edits.insert(0, (open..open, asked));
        }
        edits.sort_by_key(|(span, _)| span.start);
        let (mut out, mut at) = (Vec::with_capacity(body.len() + self.text.len() + 128), 0);
        for (span, with) in edits {
            out.extend_from_slice(body.get(at..span.start)?);
            out.extend_from_slice(&with);
            at = span.end;
        }
        out.extend_from_slice(body.get(at..)?);
        Some(out)
    }

    fn unfinished_message(&self) -> Vec<u8> {
        format!(",{{\"role\":\"assistant\",\"content\":{}}}", Value::from(self.text.as_str())).into_bytes()
    }

    /// An event of the rest, as if it came from the engine that began: same id and model, no second beginning, and a
    /// usage report over the whole. The engine that goes on counts what was said as prompt.
    pub fn rewrite(&self, data: &[u8]) -> Rewritten {
        let Ok(Value::Object(mut event)) = serde_json::from_slice(data) else {
            return Rewritten::Event(as_event(data));
        };
        for (key, value) in &self.identity {
            event.insert(key.clone(), value.clone());
        }
        let choice = event.get_mut("choices").and_then(|choices| choices.get_mut(0));
        if let Some(choice) = choice.and_then(Value::as_object_mut) {
            let goes_on = choice.get("finish_reason").is_some_and(|reason| !reason.is_null());
            if let Some(delta) = choice.get_mut("delta").and_then(Value::as_object_mut) {
                delta.remove("role");
                let silent = delta.values().all(|value| value.is_null() || *value == "");
                if silent && !goes_on && event.get("usage").is_none_or(Value::is_null) {
                    return Rewritten::Nothing;
                }
            }
        }
        if let Some(usage) = event.get_mut("usage").and_then(Value::as_object_mut) {
            let count = |usage: &Map<String, Value>, field| usage.get(field).and_then(Value::as_u64);
            if let Some(prompt) = count(usage, "prompt_tokens") {
                usage.insert("prompt_tokens".to_owned(), prompt.saturating_sub(self.tokens).into());
            }
            if let Some(completion) = count(usage, "completion_tokens") {
                usage.insert("completion_tokens".to_owned(), completion.saturating_add(self.tokens).into());
            }
        }
        Rewritten::Event(as_event(Value::Object(event).to_string().as_bytes()))
    }
}

fn is_identity(key: &str) -> bool {
    matches!(key, "id" | "object" | "created" | "model" | "system_fingerprint")
}

fn as_event(data: &[u8]) -> Bytes {
    Bytes::from([b"data: ", data, b"\n\n"].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn said(pieces: &[&str]) -> StreamSoFar {
        let mut so_far = StreamSoFar::default();
        so_far.add(br#"{"id":"chatcmpl-1","created":7,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#);
        for piece in pieces {
            let event = json!({"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": null}]});
            so_far.add(event.to_string().as_bytes());
        }
        so_far
    }

    #[test]
    fn the_rest_of_a_chat_is_asked_for_as_an_unfinished_message() {
        let body =
            r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":10,"stream":true}"#;
        let asked = said(&["he", "l\"lo"]).request(Call::Chat, body.as_bytes()).unwrap();
        let asked: Value = serde_json::from_slice(&asked).unwrap();
        assert_eq!(
            asked,
            json!({"continue_final_message": true, "add_generation_prompt": false, "model": "m", "max_tokens": 8, "stream": true,
                "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hel\"lo"}]})
        );
    }

    #[test]
    fn when_all_tokens_are_used_up_there_is_no_rest() {
        let body = br#"{"model":"m","prompt":"x","max_tokens":2,"stream":true}"#;
        assert_eq!(said(&["a", "b"]).request(Call::Completion, body), None);
    }

    #[test]
    fn the_rest_carries_the_first_ones_name_and_a_report_over_the_whole() {
        let so_far = said(&["he", "llo"]);
        let opening = br#"{"id":"other","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#;
        assert_eq!(so_far.rewrite(opening), Rewritten::Nothing);
        let event = |value: Value| match so_far.rewrite(value.to_string().as_bytes()) {
            Rewritten::Event(raw) => {
                serde_json::from_slice::<Value>(raw.strip_prefix(b"data: ").unwrap()).unwrap()
            }
            Rewritten::Nothing => Value::Null,
        };
        let more = event(
            json!({"id": "other", "created": 9, "model": "n", "choices": [{"index": 0, "delta": {"content": "!"}, "finish_reason": "stop"}]}),
        );
        assert_eq!(
            (&more["id"], &more["created"], &more["model"]),
            (&json!("chatcmpl-1"), &json!(7), &json!("m"))
        );
        let usage = event(
            json!({"id": "other", "choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}}),
        );
        assert_eq!(usage["usage"], json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}));
    }

    #[test]
    fn what_cannot_be_continued_exactly_is_not() {
        let may = |extra: &str| {
            may_continue(Call::Chat, format!("{{\"messages\":[{{}}],\"stream\":true{extra}}}").as_bytes())
        };
        for extra in [
            "",
            ",\"n\":1",
            ",\"tools\":[]",
            ",\"logprobs\":false",
            ",\"stop\":null",
            ",\"response_format\":{\"type\":\"text\"}",
        ] {
            assert!(may(extra), "{extra}");
        }
        for extra in [
            ",\"n\":2",
            ",\"tools\":[{}]",
            ",\"logprobs\":true",
            ",\"stop\":\"x\"",
            ",\"response_format\":{\"type\":\"json_object\"}",
            ",\"guided_json\":{}",
        ] {
            assert!(!may(extra), "{extra}");
        }
        assert!(!may_continue(Call::Completion, br#"{"prompt":["a","b"]}"#));
        for data in [
            r#"{"choices":[{"index":1,"delta":{"content":"x"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            "x",
        ] {
            let mut so_far = said(&["a"]);
            so_far.add(data.as_bytes());
            assert!(!so_far.is_continuable(), "{data}");
        }
        assert!(said(&["a"]).is_continuable());
    }

    proptest! {
        /// Whatever was said, a continued prompt is the prompt and what was said, and all else is as before.
        #[test]
        fn a_text_is_continued_where_it_broke_off(prompt in ".{0,20}", pieces in proptest::collection::vec(".{1,6}", 0..6), pretty: bool) {
            let request = json!({"z": 1.5, "prompt": prompt, "model": "m"});
            let body = if pretty { serde_json::to_string_pretty(&request) } else { serde_json::to_string(&request) }.unwrap();
            let mut so_far = StreamSoFar::default();
            pieces.iter().for_each(|piece| so_far.add(json!({"choices": [{"index": 0, "text": piece}]}).to_string().as_bytes()));
            let asked: Value = serde_json::from_slice(&so_far.request(Call::Completion, body.as_bytes()).unwrap()).unwrap();
            prop_assert_eq!(asked, json!({"z": 1.5, "prompt": format!("{prompt}{}", pieces.concat()), "model": "m"}));
        }
    }
}
