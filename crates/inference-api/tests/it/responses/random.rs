//! Requests, answers and streams nobody thought of.

use super::said::{Told, events};
use hermetic_inference_api::responses::{
    Echo, State, Stored, StreamOfChat, answer_of_chat, kept_input, output_items, to_chat, to_chat_after,
};
use hermetic_inference_api::{Call, RequestFacts, RequestMistake};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Hands out texts that can be found again wherever they end up.
#[derive(Default)]
struct Texts(Vec<String>);

impl Texts {
    fn mark(&mut self, text: &str) -> String {
        let marked = format!("⟨{}:{text}⟩", self.0.len());
        self.0.push(marked.clone());
        marked
    }

    fn parts(&mut self, kind: &str, texts: &[String]) -> Value {
        texts.iter().map(|text| json!({"type": kind, "text": self.mark(text)})).collect()
    }
}

/// An item of one of the supported kinds, made of `texts`.
fn item(kind: u8, texts: &[String], whole: &mut Texts) -> Value {
    let first = texts.first().map_or("", String::as_str);
    match kind {
        0 => json!({"role": "user", "content": whole.mark(first)}),
        1 => json!({"role": "developer", "content": whole.parts("input_text", texts)}),
        2 => json!({"type": "message", "role": "user", "content": whole.parts("input_text", texts)}),
        3 => json!({"role": "system", "type": "message", "content": whole.mark(first), "phase": null}),
        4 => {
            let mut content = whole.parts("output_text", texts);
            if let Some(part) = content.get_mut(0) {
                part["annotations"] = json!([]);
            }
            json!({"type": "message", "id": "msg", "status": "completed", "role": "assistant", "content": content})
        }
        5 => {
            json!({"role": "assistant", "content": [{"type": "refusal", "refusal": whole.mark(first)}]})
        }
        6 => {
            json!({"type": "function_call", "call_id": whole.mark(first), "name": whole.mark("f"), "arguments": whole.mark(first)})
        }
        7 => {
            json!({"type": "function_call_output", "call_id": whole.mark(first), "output": whole.parts("input_text", texts)})
        }
        8 => {
            json!({"type": "reasoning", "id": "rs", "summary": [], "content": whole.parts("reasoning_text", texts)})
        }
        9 => {
            let url = whole.mark(first);
            json!({"role": "user", "content": [{"type": "input_image", "detail": "auto", "image_url": url}]})
        }
        _ => json!({"role": "assistant", "content": whole.mark(first)}),
    }
}

fn settings() -> impl Strategy<Value = Map<String, Value>> {
    let options = vec![
        ("temperature", json!(0.5)),
        ("top_p", json!(null)),
        ("max_output_tokens", json!(16)),
        ("store", json!(true)),
        ("stream", json!(true)),
        ("stream_options", json!({"include_obfuscation": true})),
        ("background", json!(false)),
        ("include", json!(["message.output_text.logprobs", "reasoning.encrypted_content"])),
        ("top_logprobs", json!(3)),
        ("text", json!({"format": {"type": "json_schema", "name": "n", "schema": {}}, "verbosity": "high"})),
        ("reasoning", json!({"effort": "low", "summary": "auto"})),
        ("tools", json!([{"type": "function", "name": "f", "parameters": {}, "strict": true}])),
        ("tool_choice", json!("required")),
        ("parallel_tool_calls", json!(false)),
        ("truncation", json!("disabled")),
        ("metadata", json!({"k": "v"})),
        ("user", json!("u")),
        ("service_tier", json!("auto")),
        ("top_k", json!(5)),
    ];
    let count = options.len();
    prop::sample::subsequence(options, 0..count)
        .prop_map(|chosen| chosen.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn occurrences(value: &Value, text: &str) -> usize {
    match value {
        Value::String(string) => string.matches(text).count(),
        Value::Array(items) => items.iter().map(|item| occurrences(item, text)).sum(),
        Value::Object(object) => object.values().map(|value| occurrences(value, text)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// JSON made of the words of the API, in places where they may or may not belong.
fn words() -> impl Strategy<Value = Value> {
    let keys = "(type|role|content|text|input|call_id|name|arguments|output|summary|id|format|schema|tools|mode|model|detail|image_url|effort)";
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (-2i64..300).prop_map(Value::from),
        "(message|user|assistant|system|input_text|output_text|input_image|refusal|function|function_call|function_call_output|reasoning|reasoning_text|item_reference|auto|required|allowed_tools|json_schema|web_search|x|)".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(keys, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// A request of supported parts is never refused, and every text in it comes out once.
    #[test]
    fn every_text_of_a_request_is_asked_once(
        items in prop::collection::vec((0u8..11, prop::collection::vec("[^⟨⟩]{0,8}", 0..4)), 0..12),
        instructions in prop::option::of("[^⟨⟩]{0,8}"),
        mut request in settings(), pretty: bool,
    ) {
        let mut texts = Texts::default();
        let input: Vec<Value> = items.iter().map(|(kind, own)| item(*kind, own, &mut texts)).collect();
        request.insert("model".to_owned(), json!("m"));
        request.insert("input".to_owned(), input.into());
        if let Some(instructions) = instructions {
            request.insert("instructions".to_owned(), texts.mark(&instructions).into());
        }
        let body = if pretty { serde_json::to_string_pretty(&request) } else { serde_json::to_string(&request) };
        let chat = to_chat(body.unwrap().as_bytes());
        prop_assert!(chat.is_ok(), "{chat:?}");
        let chat = chat.unwrap();
        prop_assert!(RequestFacts::read(Call::Chat, &chat).is_ok());
        let chat: Value = serde_json::from_slice(&chat).unwrap();
        for text in &texts.0 {
            prop_assert_eq!(occurrences(&chat, text), 1, "{} in {}", text, &chat);
        }
        prop_assert_eq!(chat.get("top_k"), request.get("top_k"));
    }

    /// Turn by turn or all at once: the model is asked the same.
    #[test]
    fn going_on_from_what_was_kept_is_asking_with_all_of_it(
        turns in prop::collection::vec(prop::collection::vec((0u8..11, prop::collection::vec("[^⟨⟩]{0,8}", 0..4)), 0..5), 1..5),
        instructions in prop::option::of("[^⟨⟩]{0,8}"), text in prop::option::of(".{0,8}"),
    ) {
        let mut texts = Texts::default();
        let mut turns: Vec<Vec<Value>> = turns
            .iter()
            .map(|items| items.iter().map(|(kind, own)| item(*kind, own, &mut texts)).collect())
            .collect();
        let body = |input: Value, instructions: Option<&String>| {
            json!({"model": "m", "input": input, "instructions": instructions, "previous_response_id": null}).to_string()
        };
        let all_of_it: Vec<Value> = turns.concat();
        let last = turns.pop().unwrap_or_default();
        let (all_of_it, last) = match text {
            // A text is a message of the user.
            Some(text) => ([&all_of_it[..all_of_it.len() - last.len()], &[json!({"role": "user", "content": text})]].concat(), json!(text)),
            None => (all_of_it, json!(last)),
        };
        let kept: Vec<String> = turns
            .into_iter()
            // What was told to the model of one turn is not carried over to the next.
            .map(|turn| kept_input(body(json!(turn), Some(&"be brief".to_owned())).as_bytes(), "n").unwrap())
            .map(|kept| String::from_utf8(kept).unwrap())
            .collect();
        let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
        let after = to_chat_after(body(last, instructions.as_ref()).as_bytes(), &kept).unwrap();
        let at_once = to_chat(body(json!(all_of_it), instructions.as_ref()).as_bytes()).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Value>(&after).unwrap(), serde_json::from_slice::<Value>(&at_once).unwrap());
    }

    /// Whatever is asked is judged, and what comes of it is one request that no two parsers read differently.
    #[test]
    fn any_json_is_judged_and_gives_a_request_without_surprises(input in words(), field in "[a-z_]{0,16}|text|tools|tool_choice|reasoning|include|messages|n|stream_options", value in words()) {
        let body = json!({"model": "m", "input": input, field: value}).to_string();
        let _ = Echo::of(body.as_bytes());
        if let Ok(chat) = to_chat(body.as_bytes()) {
            let facts = RequestFacts::read(Call::Chat, &chat);
            prop_assert!(!matches!(facts, Err(RequestMistake::Json(_) | RequestMistake::DuplicateKey { .. })), "{facts:?}");
        }
    }

    #[test]
    fn any_bytes_are_judged_without_panicking(bytes: Vec<u8>, text in "\\{(\"(model|input|tools)\":)?[\\[\\]{}\",:a0-2.e\\-\\\\u tn]{0,24}\\}?") {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            let _ = (to_chat(bytes), answer_of_chat(bytes, &Echo::of(bytes)));
            let mut stream = StreamOfChat::new(Echo::of(bytes));
            let mut told = stream.event(bytes);
            told.extend(stream.end());
            let told = events(&told);
            prop_assert!(ends_once(&told), "{}", told.len());
        }
    }

    /// The response that ends a stream is the one the whole answer gives, whatever the pieces it came in. It is stored if it
    /// says so, and then a conversation can go on from it.
    #[test]
    fn a_stream_ends_with_the_response_of_the_whole_answer(said in said(), usage: bool, role_first: bool, most in prop::option::of(0usize..3_000)) {
        let head = json!({"id": "chatcmpl-7", "created": 1_730_000_000, "model": "m"});
        let with_head = |more: Value| merged(&head, &more);
        let counts = json!({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7});
        let mut chunks: Vec<Value> = said.chunks.iter().map(|choice| with_head(json!({"choices": [choice]}))).collect();
        if role_first {
            chunks.insert(0, with_head(json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})));
        }
        chunks.push(with_head(json!({"choices": [{"index": 0, "delta": {}, "finish_reason": said.finish_reason}]})));
        let mut whole = with_head(json!({"choices": [said.choice()]}));
        if usage {
            chunks.push(with_head(json!({"choices": [], "usage": counts})));
            whole["usage"] = counts;
        }
        let stored = most.map(|bytes_max| Stored { name: "kept".to_owned(), bytes_max });
        let state = State { previous: Some("resp_before".to_owned()), stored };
        let echo = Echo::of(br#"{"model":"m","input":"x","instructions":"be brief"}"#).with_state(state);
        let mut stream = StreamOfChat::new(echo.clone());
        let mut told: Vec<u8> = chunks.iter().flat_map(|chunk| stream.event(chunk.to_string().as_bytes())).collect();
        told.extend(stream.end());
        let told = events(&told);
        prop_assert!(ends_once(&told));
        let response: Value = serde_json::from_slice(&answer_of_chat(whole.to_string().as_bytes(), &echo).unwrap()).unwrap();
        prop_assert_eq!(&told.last().unwrap().value["response"], &response, "{}", &whole);
        deltas_join(&told)?;
        items_are_the_output(&told, &response)?;
        prop_assert_eq!(&response["previous_response_id"], "resp_before");
        prop_assert_eq!(response["id"] == "resp_kept", most.is_some());
        let kept = stream.take_stored();
        prop_assert_eq!(kept.is_some(), response["store"] == true);
        if let Some(kept) = kept {
            prop_assert!(kept.len() <= most.unwrap() && response["status"] != "failed");
            prop_assert_eq!(serde_json::from_slice::<Value>(&kept).unwrap(), response);
            let items = output_items(&kept).unwrap();
            prop_assert!(to_chat_after(br#"{"model":"m","input":"on"}"#, &[items]).is_ok(), "{}", items);
        }
    }
}

#[test]
fn a_field_that_is_not_of_its_type_takes_no_other_with_it() {
    let mut stream = StreamOfChat::new(Echo::of(br#"{"model":"m"}"#));
    let chunk = json!({"id": [], "choices": [{"delta": {"content": "a", "refusal": 7, "tool_calls": [
        "x", {"index": "?", "function": {"name": "f", "arguments": {"k": 1}}}]}}], "usage": "much"});
    let mut told = stream.event(chunk.to_string().as_bytes());
    told.extend(stream.end());
    let told = events(&told);
    let response = &told.last().unwrap().value["response"];
    assert_eq!(response["status"], "completed");
    assert_eq!(response["output"][0]["content"][0]["text"], "a");
    assert_eq!(response["output"][1]["arguments"], "{\"k\":1}");
}

fn merged(one: &Value, other: &Value) -> Value {
    let all = [one, other].into_iter().filter_map(Value::as_object).flatten();
    Value::Object(all.map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn ends_once(told: &[Told]) -> bool {
    let ends = |event: &Told| {
        ["response.completed", "response.incomplete", "response.failed"]
            .iter()
            .any(|end| event.value["type"] == *end)
    };
    told.iter().filter(|event| ends(event)).count() == 1 && told.last().is_some_and(ends)
}

/// The deltas of each part, joined, are its text when it is done.
fn deltas_join(told: &[Told]) -> Result<(), TestCaseError> {
    let mut joined: HashMap<String, String> = HashMap::new();
    for Told { value, .. } in told {
        let place = format!("{} {} {}", value["item_id"], value["output_index"], value["content_index"]);
        let kind = value["type"].as_str().unwrap();
        if kind.ends_with(".delta") {
            joined.entry(place).or_default().push_str(value["delta"].as_str().unwrap());
        } else if let Some(field) = match kind {
            "response.output_text.done" | "response.reasoning_text.done" => Some("text"),
            "response.refusal.done" => Some("refusal"),
            "response.function_call_arguments.done" => Some("arguments"),
            _ => None,
        } {
            prop_assert_eq!(joined.remove(&place).unwrap_or_default(), value[field].as_str().unwrap());
        }
    }
    prop_assert!(joined.is_empty());
    Ok(())
}

/// Every item is added in order and done as the response has it in the end.
fn items_are_the_output(told: &[Told], response: &Value) -> Result<(), TestCaseError> {
    let of = |kind: &str| {
        told.iter().filter(|event| event.value["type"] == kind).map(|event| &event.value).collect::<Vec<_>>()
    };
    let output = response["output"].as_array().unwrap();
    let (added, done) = (of("response.output_item.added"), of("response.output_item.done"));
    prop_assert_eq!((added.len(), done.len()), (output.len(), output.len()));
    for (at, event) in added.iter().enumerate() {
        prop_assert_eq!(&event["output_index"], at);
        prop_assert_eq!(&event["item"]["id"], &output[at]["id"]);
    }
    for event in done {
        let at = usize::try_from(event["output_index"].as_u64().unwrap()).unwrap();
        prop_assert_eq!(&event["item"], &output[at]);
    }
    Ok(())
}

/// What an engine says, whole and in pieces.
#[derive(Debug, Clone)]
struct Said {
    chunks: Vec<Value>,
    message: Value,
    logprobs: Vec<Value>,
    finish_reason: Option<&'static str>,
}

impl Said {
    fn choice(&self) -> Value {
        let mut choice = json!({"index": 0, "message": self.message, "finish_reason": self.finish_reason});
        if !self.logprobs.is_empty() {
            choice["logprobs"] = json!({"content": self.logprobs});
        }
        choice
    }
}

fn said() -> impl Strategy<Value = Said> {
    let pieces = || prop::collection::vec(".{0,4}", 0..5);
    let calls = prop::collection::vec((0usize..3, ".{0,4}"), 0..8);
    let reasons = prop::sample::select(vec![
        None,
        Some("stop"),
        Some("length"),
        Some("tool_calls"),
        Some("content_filter"),
        Some("abort"),
        Some("eos"),
    ]);
    (pieces(), pieces(), pieces(), calls, (reasons, any::<bool>(), any::<bool>())).prop_map(
        |(reasoning, content, refusal, calls, (finish_reason, logprobs, together))| {
            let mut said = Said {
                chunks: Vec::new(),
                message: json!({"role": "assistant"}),
                logprobs: Vec::new(),
                finish_reason,
            };
            let field = if together { "reasoning" } else { "reasoning_content" };
            said.texts(field, &reasoning, false);
            said.texts("content", &content, logprobs);
            said.texts("refusal", &refusal, false);
            said.calls(&calls);
            if together {
                said.in_fewer_chunks();
            }
            said
        },
    )
}

impl Said {
    fn texts(&mut self, field: &str, pieces: &[String], logprobs: bool) {
        for piece in pieces {
            let mut choice = json!({"index": 0, "delta": {field: piece}, "finish_reason": null});
            if logprobs && !piece.is_empty() {
                let logprob = json!({"token": piece, "logprob": -0.25, "bytes": null, "top_logprobs": []});
                choice["logprobs"] = json!({"content": [logprob]});
                self.logprobs.push(logprob);
            }
            self.chunks.push(choice);
        }
        self.message[field] = if pieces.is_empty() { json!(null) } else { json!(pieces.concat()) };
    }

    /// Pieces of calls in any order; calls are numbered as they first appear.
    fn calls(&mut self, pieces: &[(usize, String)]) {
        let mut order: Vec<usize> = Vec::new();
        let mut calls: Vec<Value> = Vec::new();
        for (which, piece) in pieces {
            let known = order.iter().position(|known| known == which);
            let index = known.unwrap_or(order.len());
            let mut delta = json!({"index": index, "function": {"arguments": piece}});
            if known.is_none() {
                order.push(*which);
                delta["id"] = json!(format!("call_{index}"));
                delta["function"]["name"] = json!("f");
                calls.push(json!({"id": format!("call_{index}"), "type": "function", "function": {"name": "f", "arguments": ""}}));
            }
            let arguments = &mut calls[index]["function"]["arguments"];
            *arguments = json!(format!("{}{piece}", arguments.as_str().unwrap()));
            self.chunks.push(json!({"index": 0, "delta": {"tool_calls": [delta]}}));
        }
        if !calls.is_empty() {
            self.message["tool_calls"] = calls.into();
        }
    }

    /// Every two chunks that say different things become one.
    fn in_fewer_chunks(&mut self) {
        let mut fewer: Vec<Value> = Vec::new();
        for mut chunk in std::mem::take(&mut self.chunks) {
            match fewer.last_mut() {
                Some(last)
                    if chunk.get("logprobs").is_none()
                        && last.get("logprobs").is_none()
                        && !shares_a_field(&last["delta"], &chunk["delta"]) =>
                {
                    last["delta"] = merged(&last["delta"], &chunk["delta"].take());
                }
                _ => fewer.push(chunk),
            }
        }
        self.chunks = fewer;
    }
}

fn shares_a_field(one: &Value, other: &Value) -> bool {
    one.as_object().unwrap().keys().any(|key| other.get(key).is_some())
}
