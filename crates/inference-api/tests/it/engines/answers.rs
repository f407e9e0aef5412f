use super::chunks::{accumulate, data};
use hermetic_inference_api::responses::Echo;
use hermetic_inference_api::{AnswerMistake, messages, responses};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// An answer in the one form that comes back from the other surfaces.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    reasoning: String,
    content: String,
    refusal: String,
    calls: Vec<(String, Value)>,
    finish_reason: &'static str,
    met: Option<String>,
    logprobs: bool,
}

pub(crate) fn said() -> impl Strategy<Value = Said> {
    let text = || prop_oneof![2 => Just(String::new()), 3 => "[a-z\"\\\\\n é🦀]{1,12}"];
    let arguments = proptest::collection::btree_map("[a-z{}\"]{0,4}", "[a-z{}\"\\\\é]{0,6}", 0..3);
    let calls = proptest::collection::vec(("[a-z]{1,6}", arguments.prop_map(|map| json!(map))), 0..4);
    let reason = prop_oneof![2 => Just("stop"), 1 => Just("length"), 1 => Just("content_filter")];
    (text(), text(), text(), calls, reason, proptest::option::of("[a-z]{1,3}"), any::<bool>()).prop_map(
        |(reasoning, content, refusal, calls, finish_reason, met, logprobs)| {
            let finish_reason =
                if finish_reason == "stop" && !calls.is_empty() { "tool_calls" } else { finish_reason };
            let met = met.filter(|_| finish_reason == "stop");
            Said { reasoning, content, refusal, calls, finish_reason, met, logprobs }
        },
    )
}

impl Said {
    /// Without what Messages has no place for.
    fn for_messages(mut self) -> Self {
        self.refusal.clear();
        self.logprobs = false;
        self
    }

    /// Without what Responses have no place for.
    fn for_responses(mut self) -> Self {
        self.met = None;
        self
    }

    fn message(&self) -> Value {
        let mut message = json!({"role": "assistant", "content": null, "refusal": null});
        for (field, text) in
            [("reasoning_content", &self.reasoning), ("content", &self.content), ("refusal", &self.refusal)]
        {
            if !text.is_empty() {
                message[field] = json!(text);
            }
        }
        if !self.calls.is_empty() {
            message["tool_calls"] = (0..self.calls.len()).map(|index| self.call(index)).collect();
        } else if self.content.is_empty() && self.refusal.is_empty() {
            message["content"] = json!("");
        }
        message
    }

    fn call(&self, index: usize) -> Value {
        let (name, arguments) = &self.calls[index];
        json!({"id": format!("call_{index}"), "type": "function", "function": {"name": name, "arguments": arguments.to_string()}})
    }

    fn logprob(text: &str) -> Value {
        json!({"token": text, "logprob": -0.25, "bytes": [1], "top_logprobs": []})
    }

    fn usage(of_responses: bool) -> Value {
        let mut usage = json!({"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16,
            "prompt_tokens_details": {"cached_tokens": 3}, "completion_tokens_details": {"reasoning_tokens": 2}});
        if of_responses {
            usage["prompt_tokens_details"]["cache_write_tokens"] = json!(1);
        }
        usage
    }

    /// As one answer.
    fn whole(&self, of_responses: bool) -> Value {
        let mut choice = json!({"index": 0, "message": self.message(), "logprobs": null, "finish_reason": self.finish_reason});
        if let Some(met) = &self.met {
            choice["stop_reason"] = json!(met);
        }
        if self.logprobs && !self.content.is_empty() {
            choice["logprobs"] = json!({"content": [Self::logprob(&self.content)]});
        }
        json!({"id": "chatcmpl-7", "object": "chat.completion", "created": 1_730_000_000, "model": "m", "choices": [choice], "usage": Self::usage(of_responses)})
    }

    /// As chunks, each text cut into pieces of `sizes` characters in turn.
    fn chunks(&self, of_responses: bool, sizes: &[usize]) -> Vec<Vec<u8>> {
        let mut sizes = sizes.iter().copied().cycle();
        let mut choices = vec![json!({"index": 0, "delta": {"role": "assistant", "content": ""}})];
        for (field, text) in
            [("reasoning_content", &self.reasoning), ("content", &self.content), ("refusal", &self.refusal)]
        {
            for (number, piece) in cut(text, &mut sizes).into_iter().enumerate() {
                let mut choice = json!({"index": 0, "delta": {field: piece}});
                if self.logprobs && field == "content" && number == 0 {
                    choice["logprobs"] = json!({"content": [Self::logprob(&self.content)]});
                }
                choices.push(choice);
            }
        }
        for index in 0..self.calls.len() {
            let mut call = self.call(index);
            call["index"] = json!(index);
            let arguments = call["function"]["arguments"].take();
            call["function"]["arguments"] = json!("");
            choices.push(json!({"index": 0, "delta": {"tool_calls": [call]}}));
            for piece in cut(arguments.as_str().unwrap(), &mut sizes) {
                choices.push(json!({"index": 0, "delta": {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}}));
            }
        }
        choices.push(
            json!({"index": 0, "delta": {}, "finish_reason": self.finish_reason, "stop_reason": self.met}),
        );
        let head = json!({"id": "chatcmpl-7", "created": 1_730_000_000, "model": "m"});
        let with = |field: &str, value: Value| {
            let mut chunk = head.clone();
            chunk[field] = value;
            chunk.to_string().into_bytes()
        };
        let mut chunks: Vec<Vec<u8>> =
            choices.into_iter().map(|choice| with("choices", json!([choice]))).collect();
        let mut last = head.clone();
        last["choices"] = json!([]);
        last["usage"] = Self::usage(of_responses);
        chunks.push(last.to_string().into_bytes());
        chunks
    }
}

fn cut(text: &str, sizes: &mut impl Iterator<Item = usize>) -> Vec<String> {
    let (mut pieces, mut left) = (Vec::new(), text.chars().collect::<Vec<char>>());
    while !left.is_empty() {
        let size = sizes.next().unwrap().min(left.len());
        pieces.push(left.drain(..size).collect());
    }
    pieces
}

fn value(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap()
}

fn echo() -> Echo {
    Echo::of(br#"{"model":"m","input":"x"}"#)
}

/// A stream of Messages, heard in chat completions.
pub(crate) fn messages_to_chat(stream: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut chat = messages::StreamToChat::new(1_730_000_000);
    let mut out: Vec<u8> = data(stream, cuts).iter().flat_map(|data| chat.event(data)).collect();
    out.extend(chat.end());
    assert!(chat.end().is_empty() && chat.event(b"{\"type\":\"ping\"}").is_empty());
    out
}

/// A streamed response, heard in chat completions.
pub(crate) fn responses_to_chat(stream: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut chat = responses::StreamToChat::new(7);
    let mut out: Vec<u8> = data(stream, cuts).iter().flat_map(|data| chat.event(data)).collect();
    out.extend(chat.end());
    assert!(chat.end().is_empty());
    out
}

pub(crate) fn as_messages(chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = messages::StreamOfChat::new("m");
    let mut out: Vec<u8> = chunks.iter().flat_map(|chunk| stream.event(chunk)).collect();
    out.extend(stream.end());
    out
}

pub(crate) fn as_response(chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = responses::StreamOfChat::new(echo());
    let mut out: Vec<u8> = chunks.iter().flat_map(|chunk| stream.event(chunk)).collect();
    out.extend(stream.end());
    out
}

/// The chunks of a stream, but for its `[DONE]`.
fn chunks(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut chunks = data(stream, &[]);
    chunks.retain(|chunk| chunk != b"[DONE]");
    chunks
}

proptest! {
    /// An answer comes back from Messages, plain and streamed, however it is cut.
    #[test]
    fn an_answer_comes_back_from_messages(said in said(), sizes in proptest::collection::vec(1usize..5, 1..6), cuts in proptest::collection::vec(any::<usize>(), 0..9)) {
        let said = said.for_messages();
        let whole = said.whole(false);
        let answer = messages::answer_of_chat(whole.to_string().as_bytes(), "m").unwrap();
        prop_assert_eq!(value(&messages::answer_to_chat(&answer, 1_730_000_000).unwrap()), whole.clone());
        let stream = as_messages(&said.chunks(false, &sizes));
        prop_assert_eq!(accumulate(&messages_to_chat(&stream, &cuts)), Ok(whole));
    }

    #[test]
    fn an_answer_comes_back_from_responses(said in said(), sizes in proptest::collection::vec(1usize..5, 1..6), cuts in proptest::collection::vec(any::<usize>(), 0..9)) {
        let said = said.for_responses();
        let whole = said.whole(true);
        let answer = responses::answer_of_chat(whole.to_string().as_bytes(), &echo()).unwrap();
        prop_assert_eq!(value(&responses::answer_to_chat(&answer).unwrap()), whole.clone());
        let stream = as_response(&said.chunks(true, &sizes));
        prop_assert_eq!(accumulate(&responses_to_chat(&stream, &cuts)), Ok(whole));
    }

    /// What an engine says in Messages is told to a caller of Responses, and the other way round.
    #[test]
    fn an_answer_comes_back_from_one_through_the_other(said in said(), sizes in proptest::collection::vec(1usize..5, 1..6)) {
        let said = said.for_messages().for_responses();
        let whole = said.whole(false);
        let of_messages = messages::answer_of_chat(whole.to_string().as_bytes(), "m").unwrap();
        let chat = messages::answer_to_chat(&of_messages, 1_730_000_000).unwrap();
        let response = responses::answer_of_chat(&chat, &echo()).unwrap();
        let again = messages::answer_of_chat(&responses::answer_to_chat(&response).unwrap(), "m").unwrap();
        let mut again = value(&again);
        // A response has a number for what nobody told.
        prop_assert_eq!(again["usage"]["cache_creation_input_tokens"].take(), json!(0));
        prop_assert_eq!(&again, &value(&of_messages));
        let streamed = messages_to_chat(&as_messages(&said.chunks(false, &sizes)), &[]);
        let streamed = responses_to_chat(&as_response(&chunks(&streamed)), &[]);
        let mut streamed = accumulate(&streamed).unwrap();
        streamed["usage"]["prompt_tokens_details"].as_object_mut().unwrap().remove("cache_write_tokens");
        prop_assert_eq!(streamed, whole);
    }
}

/// JSON made of the words of answers, in places where they may or may not belong.
fn words() -> impl Strategy<Value = Value> {
    let keys = "(type|index|output_index|content_index|item|part|delta|text|thinking|partial_json|refusal|arguments|content|content_block|message|response|output|usage|input_tokens|output_tokens|id|call_id|name|input|stop_reason|status|error|logprobs|summary)";
    let leaf = prop_oneof![
        Just(json!(null)),
        (-1i64..3).prop_map(Value::from),
        "(message|text|thinking|tool_use|redacted_thinking|function_call|reasoning|output_text|reasoning_text|x|\\{|\\})".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::hash_map(keys, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn event() -> impl Strategy<Value = Vec<u8>> {
    let kind = "(message_start|message_delta|message_stop|content_block_start|content_block_delta|content_block_stop|ping|error|response\\.(created|completed|incomplete|failed|output_item\\.(added|done)|output_text\\.(delta|done)|reasoning_text\\.(delta|done)|refusal\\.(delta|done)|function_call_arguments\\.(delta|done)))";
    let named = (kind, words()).prop_map(|(kind, mut event)| {
        if event.is_object() {
            event["type"] = json!(kind);
        }
        event.to_string().into_bytes()
    });
    prop_oneof![1 => any::<Vec<u8>>(), 9 => named]
}

proptest! {
    /// Whatever an engine says, a client hears a stream that opens once and ends once.
    #[test]
    fn any_events_make_a_whole_stream(events in proptest::collection::vec(event(), 0..10)) {
        let mut streams = (messages::StreamToChat::new(1), responses::StreamToChat::new(1));
        let mut told = (Vec::new(), Vec::new());
        for event in &events {
            told.0.extend(streams.0.event(event));
            told.1.extend(streams.1.event(event));
        }
        told.0.extend(streams.0.end());
        told.1.extend(streams.1.end());
        for told in [told.0, told.1] {
            let ends = data(&told, &[]).iter().filter(|data| data.as_slice() == b"[DONE]" || data.starts_with(b"{\"error\"")).count();
            prop_assert_eq!(ends, 1);
            let _ = accumulate(&told);
        }
    }

    #[test]
    fn any_answer_is_judged_without_panicking(answer in words(), bytes: Vec<u8>) {
        for body in [answer.to_string().into_bytes(), bytes] {
            let _ = (messages::answer_to_chat(&body, 1), responses::answer_to_chat(&body));
        }
    }
}

#[test]
fn an_answer_that_is_none_says_why() {
    let of_messages = |body: &str| messages::answer_to_chat(body.as_bytes(), 1).unwrap_err();
    let of_responses = |body: &str| responses::answer_to_chat(body.as_bytes()).unwrap_err();
    let kind = |kind: &str| AnswerMistake::Untranslatable { kind: kind.to_owned() };
    let failed = |message: &str| AnswerMistake::Failed { message: message.to_owned() };
    for nothing in [
        "",
        "[]",
        "{}",
        r#"{"content":"a"}"#,
        r#"{"content":[7]}"#,
        r#"{"content":[{"type":"text","text":7}]}"#,
    ] {
        assert_eq!(of_messages(nothing), AnswerMistake::Unreadable, "{nothing}");
    }
    for nothing in [
        "",
        "{}",
        r#"{"output":7}"#,
        r#"{"output":[{"type":"message","content":[{"type":"output_text","text":[]}]}]}"#,
    ] {
        assert_eq!(of_responses(nothing), AnswerMistake::Unreadable, "{nothing}");
    }
    assert_eq!(of_messages(r#"{"content":[{"type":"server_tool_use"}]}"#), kind("server_tool_use"));
    assert_eq!(of_responses(r#"{"output":[{"type":"web_search_call"}]}"#), kind("web_search_call"));
    assert_eq!(of_messages(r#"{"type":"error","error":{"message":"busy"}}"#), failed("busy"));
    assert_eq!(of_responses(r#"{"status":"failed","error":{"message":"busy"},"output":[]}"#), failed("busy"));
    assert_eq!(of_responses(r#"{"status":"cancelled","output":[]}"#), failed("it does not say how"));
}
