//! What a model generated, in an answer or in an event of a stream: every text of every choice, reasoning, refusals and
//! the arguments of tool calls included. And the events that end a stream which is cut.

use crate::chat::answer::ChatAnswer;
use crate::lenient::Field;
use crate::surface::Call;
use serde::{Deserialize, Serialize};

/// Calls `with` for every text that is not empty. False when the bytes are not an answer in the known shape, or something
/// else stands where a text is expected: then nobody can say what was generated.
pub fn each_output(data: &[u8], mut with: impl FnMut(&str)) -> bool {
    let Some(answer) = ChatAnswer::read(data) else { return false };
    let mut give = |text: &str| {
        if !text.is_empty() {
            with(text);
        }
    };
    for choice in answer.choices.iter() {
        give(choice.text.as_str());
        for message in [&choice.delta, &choice.message].into_iter().filter_map(Field::get) {
            give(message.content());
            give(message.reasoning());
            give(message.refusal());
            for call in message.tool_calls.iter() {
                give(call.name());
                give(&call.arguments());
            }
        }
    }
    !answer.is_odd()
}

/// What the events of a stream that is cut have in common with those before them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct CutChunk {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
}

#[derive(Serialize)]
struct Chunk<'a> {
    #[serde(flatten)]
    like: &'a CutChunk,
    object: &'static str,
    choices: Vec<Choice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

#[derive(Serialize)]
struct Choice {
    index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<Empty>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'static str>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

impl CutChunk {
    /// Takes id, time and model from an event of the stream; nothing from what is not one.
    pub fn like(data: &[u8]) -> Self {
        serde_json::from_slice(data).unwrap_or_default()
    }

    /// An event that says one thing of one choice; `value` is the object that stands in it beside its `index`.
    pub(crate) fn with_choice(&self, call: Call, index: u64, value: &[u8]) -> Vec<u8> {
        let object = if call == Call::Chat { "chat.completion.chunk" } else { "text_completion" };
        let head = Chunk { like: self, object, choices: Vec::new(), usage: None };
        let head = serde_json::to_vec(&head).unwrap_or_default();
        let said = value.strip_prefix(b"{").unwrap_or(value);
        let index = index.to_string();
        let choice = [b"[{\"index\":", index.as_bytes(), b",\"finish_reason\":null,", said].concat();
        // The list of choices is empty and the last thing in it.
        let before = head.strip_suffix(b"[]}").unwrap_or(&head);
        [b"data: ", before, &choice, b"]}\n\n"].concat()
    }

    /// The events that end the stream as a model ends it that has reached its `max_tokens`: each of `choices` with
    /// `finish_reason: "length"`, the usage (input, output) for a caller who asked for it, and `[DONE]`.
    pub fn end(&self, call: Call, choices: u64, usage: Option<(u64, u64)>) -> Vec<u8> {
        let chat = call == Call::Chat;
        let object = if chat { "chat.completion.chunk" } else { "text_completion" };
        let choice = |index| Choice {
            index,
            delta: chat.then_some(Empty {}),
            text: (!chat).then_some(""),
            finish_reason: "length",
        };
        let mut out = Vec::new();
        let ended = Chunk { like: self, object, choices: (0..choices).map(choice).collect(), usage: None };
        push_event(&mut out, &ended);
        if let Some((prompt_tokens, completion_tokens)) = usage {
            let total_tokens = prompt_tokens.saturating_add(completion_tokens);
            let usage = Some(Usage { prompt_tokens, completion_tokens, total_tokens });
            push_event(&mut out, &Chunk { like: self, object, choices: Vec::new(), usage });
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        out
    }
}

fn push_event(out: &mut Vec<u8>, chunk: &Chunk<'_>) {
    out.extend_from_slice(b"data: ");
    out.extend(serde_json::to_vec(chunk).unwrap_or_default());
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(data: &str) -> (bool, Vec<String>) {
        let mut found = Vec::new();
        let known = each_output(data.as_bytes(), |text| found.push(text.to_owned()));
        (known, found)
    }

    #[test]
    fn every_text_a_model_generated_is_found() {
        for (data, expected) in [
            (r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#, &[][..]),
            (r#"{"choices":[{"delta":{"content":"h\u0069"},"finish_reason":null}]}"#, &["hi"]),
            (r#"{"choices":[{"text":"a"},{"text":"b"}]}"#, &["a", "b"]),
            (
                r#"{"choices":[{"delta":{"reasoning_content":"r","reasoning":"r","refusal":"no"}}]}"#,
                &["r", "no"],
            ),
            (
                r#"{"choices":[{"message":{"content":null,"tool_calls":[{"id":"1","function":{"name":"f","arguments":"{\"a\":1}"}}]}}]}"#,
                &["f", r#"{"a":1}"#],
            ),
            (r#"{"choices":[],"usage":{"completion_tokens":3}}"#, &[]),
        ] {
            assert_eq!(
                outputs(data),
                (true, expected.iter().map(|&text| text.to_owned()).collect()),
                "{data}"
            );
        }
        assert!(!outputs("<html>").0);
    }

    #[test]
    fn what_stands_where_a_text_is_expected_and_is_none_is_not_passed_over_in_silence() {
        for (data, expected) in [
            (r#"{"choices":[{"delta":{"content":[{"text":"a"}],"reasoning":"r"}}]}"#, &["r"][..]),
            (r#"{"choices":[{"delta":{"tool_calls":["x",{"function":{"name":"f"}}]}}]}"#, &["f"]),
            (r#"{"choices":[7,{"text":"a"}]}"#, &["a"]),
            (r#"{"choices":"a"}"#, &[]),
        ] {
            let expected = expected.iter().map(|&text| text.to_owned()).collect();
            assert_eq!(outputs(data), (false, expected), "{data}");
        }
    }

    #[test]
    fn a_stream_that_is_cut_ends_like_one_that_reached_its_length() {
        let like =
            CutChunk::like(br#"{"id":"c1","created":7,"model":"m","choices":[{"delta":{"content":"x"}}]}"#);
        let end = String::from_utf8(like.end(Call::Chat, 2, Some((3, 4)))).unwrap();
        assert_eq!(
            end,
            "data: {\"id\":\"c1\",\"created\":7,\"model\":\"m\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"},{\"index\":1,\"delta\":{},\"finish_reason\":\"length\"}]}\n\n\
             data: {\"id\":\"c1\",\"created\":7,\"model\":\"m\",\"object\":\"chat.completion.chunk\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}\n\n\
             data: [DONE]\n\n"
        );
        let end = String::from_utf8(CutChunk::default().end(Call::Completion, 1, None)).unwrap();
        assert!(end.contains(r#"{"index":0,"text":"","finish_reason":"length"}"#), "{end}");
    }
}
