use super::accumulate::accumulate;
use hermetic_inference_api::messages::{StreamOfChat, answer_of_chat};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What an engine says.
#[derive(Debug, Clone)]
struct Said {
    reasoning: String,
    content: String,
    refusal: String,
    calls: Vec<(String, Value)>,
    finish_reason: &'static str,
    stop_sequence: Option<String>,
    cached: Option<u64>,
}

fn said() -> impl Strategy<Value = Said> {
    let text = || prop_oneof![2 => Just(String::new()), 3 => "[a-z\"\\\\\n é🦀]{1,12}"];
    let arguments = proptest::collection::btree_map("[a-z{}\"]{0,4}", "[a-z{}\"\\\\é]{0,6}", 0..3);
    let calls = proptest::collection::vec(("[a-z]{1,6}", arguments.prop_map(|map| json!(map))), 0..4);
    let reason = prop_oneof![Just("stop"), Just("length"), Just("tool_calls"), Just("content_filter")];
    let met = proptest::option::of("[a-z]{1,3}");
    (text(), text(), text(), calls, reason, met, proptest::option::of(0u64..9)).prop_map(
        |(reasoning, content, refusal, calls, finish_reason, stop_sequence, cached)| Said {
            reasoning,
            content,
            refusal,
            calls,
            finish_reason,
            stop_sequence,
            cached,
        },
    )
}

impl Said {
    fn usage(&self) -> Value {
        json!({"prompt_tokens": 11, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": self.cached}})
    }

    fn call(&self, index: usize) -> (String, &str, String) {
        let (name, arguments) = &self.calls[index];
        (format!("call_{index}"), name, arguments.to_string())
    }

    /// As one answer.
    fn whole(&self) -> Value {
        let calls: Vec<Value> = (0..self.calls.len())
            .map(|index| {
                let (id, name, arguments) = self.call(index);
                json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
            })
            .collect();
        let message = json!({"role": "assistant", "content": self.content, "reasoning_content": self.reasoning,
            "refusal": self.refusal, "tool_calls": calls});
        let choice = json!({"index": 0, "message": message, "finish_reason": self.finish_reason, "stop_reason": self.stop_sequence});
        json!({"id": "chatcmpl-7", "object": "chat.completion", "choices": [choice], "usage": self.usage()})
    }

    /// As deltas, each text cut into pieces of `pieces` characters in turn; calls take turns as `turns` says.
    fn deltas(&self, pieces: &[usize], turns: &[usize]) -> Vec<Value> {
        let mut sizes = pieces.iter().copied().cycle();
        let mut deltas = vec![json!({"role": "assistant", "content": ""})];
        for (field, text) in
            [("reasoning_content", &self.reasoning), ("content", &self.content), ("refusal", &self.refusal)]
        {
            deltas.extend(cut(text, &mut sizes).into_iter().map(|piece| json!({ field: piece })));
        }
        let mut left: Vec<Vec<Value>> =
            (0..self.calls.len()).map(|index| self.call_deltas(index, &mut sizes)).collect();
        // The first piece of each comes in order, as engines number calls when they begin them.
        let (mut begun, mut turns) = (0, turns.iter().copied().cycle());
        while left.iter().any(|pieces| !pieces.is_empty()) {
            let turn = turns.next().unwrap() % left.len();
            let turn = if turn >= begun { begun.min(left.len() - 1) } else { turn };
            begun = begun.max(turn + 1);
            let turn = if left[turn].is_empty() {
                left.iter().position(|pieces| !pieces.is_empty()).unwrap()
            } else {
                turn
            };
            begun = begun.max(turn + 1);
            deltas.push(json!({"tool_calls": [left[turn].remove(0)]}));
        }
        deltas
    }

    fn call_deltas(&self, index: usize, sizes: &mut impl Iterator<Item = usize>) -> Vec<Value> {
        let (id, name, arguments) = self.call(index);
        let first = json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}});
        let more = cut(&arguments, sizes)
            .into_iter()
            .map(|piece| json!({"index": index, "function": {"arguments": piece}}));
        std::iter::once(first).chain(more).collect()
    }

    fn stream(&self, deltas: Vec<Value>) -> Vec<u8> {
        let chunk = |choices: Value| json!({"id": "chatcmpl-7", "object": "chat.completion.chunk", "choices": choices, "usage": null});
        let mut stream = StreamOfChat::new("m");
        let mut out = Vec::new();
        for delta in deltas {
            let chunk = chunk(json!([{"index": 0, "delta": delta, "finish_reason": null}]));
            out.extend(stream.event(chunk.to_string().as_bytes()));
        }
        let last = json!([{"index": 0, "delta": {}, "finish_reason": self.finish_reason, "stop_reason": self.stop_sequence}]);
        out.extend(stream.event(chunk(last).to_string().as_bytes()));
        let counts = json!({"id": "chatcmpl-7", "choices": [], "usage": self.usage()});
        out.extend(stream.event(counts.to_string().as_bytes()));
        out.extend(stream.end());
        assert!(stream.end().is_empty());
        out
    }
}

fn cut(text: &str, sizes: &mut impl Iterator<Item = usize>) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut left: Vec<char> = text.chars().collect();
    while !left.is_empty() {
        let size = sizes.next().unwrap().min(left.len());
        pieces.push(left.drain(..size).collect());
    }
    pieces
}

/// Content by kind: what was thought, what was said, what was called.
fn by_kind(message: &Value) -> (String, String, Vec<Value>) {
    let (mut thinking, mut text, mut calls) = (String::new(), String::new(), Vec::new());
    for block in message["content"].as_array().unwrap() {
        match block["type"].as_str().unwrap() {
            "thinking" => thinking.push_str(block["thinking"].as_str().unwrap()),
            "text" => text.push_str(block["text"].as_str().unwrap()),
            _ => calls.push(block.clone()),
        }
    }
    (thinking, text, calls)
}

proptest! {
    /// However an answer is cut into deltas and however its calls take turns, the stream adds up to the whole answer.
    #[test]
    fn a_stream_adds_up_to_the_answer(said in said(), pieces in proptest::collection::vec(1usize..5, 1..6), turns in proptest::collection::vec(0usize..4, 1..12)) {
        let whole = answer_of_chat(said.whole().to_string().as_bytes(), "m").unwrap();
        let whole: Value = serde_json::from_slice(&whole).unwrap();
        let streamed = accumulate(&said.stream(said.deltas(&pieces, &turns)));
        prop_assert_eq!(streamed, whole);
    }

    /// Also when an engine speaks in between: every text and call is there, in blocks one after the other.
    #[test]
    fn a_stream_out_of_order_loses_nothing(mut said in said(), pieces in proptest::collection::vec(1usize..5, 1..6), places in proptest::collection::vec(any::<prop::sample::Index>(), 0..9)) {
        said.refusal.clear();
        let mut deltas = said.deltas(&pieces, &[0, 1, 2]);
        let calls: Vec<Value> = deltas.iter().filter(|delta| delta["tool_calls"].is_array()).cloned().collect();
        deltas.retain(|delta| !delta["tool_calls"].is_array());
        let mut at = 0;
        for (number, call) in calls.into_iter().enumerate() {
            let room = deltas.len() - at;
            at += places.get(number).map_or(room, |place| place.index(room + 1));
            deltas.insert(at, call);
            at += 1;
        }
        let whole = answer_of_chat(said.whole().to_string().as_bytes(), "m").unwrap();
        let whole: Value = serde_json::from_slice(&whole).unwrap();
        let streamed = accumulate(&said.stream(deltas));
        prop_assert_eq!(by_kind(&streamed), by_kind(&whole));
        prop_assert_eq!(&streamed["stop_reason"], &whole["stop_reason"]);
    }

    #[test]
    fn any_data_makes_whole_events(data in proptest::collection::vec(prop_oneof![
        any::<Vec<u8>>(),
        "\\{\"choices\":\\[\\{\"delta\":\\{(\"content\":\"a\"|\"reasoning\":\"b\"|\"tool_calls\":\\[\\{(\"index\":[01],)?(\"id\":\"[xy]\",)?\"function\":\\{(\"name\":\"f\",)?\"arguments\":\"[{}1]{0,2}\"\\}\\}\\])\\}\\}\\]\\}".prop_map(String::into_bytes),
    ], 0..12)) {
        let mut stream = StreamOfChat::new("m");
        let mut out: Vec<u8> = data.iter().flat_map(|data| stream.event(data)).collect();
        out.extend(stream.end());
        // Arguments need not be JSON here, so they are not read.
        let out = String::from_utf8(out).unwrap();
        let count = |name: &str| out.matches(&format!("event: {name}\n")).count();
        prop_assert_eq!(count("content_block_start"), count("content_block_stop"));
        prop_assert_eq!((count("message_start"), count("message_delta"), count("message_stop")), (1, 1, 1));
    }
}

fn all(chunks: &[Value]) -> Value {
    let mut stream = StreamOfChat::new("m");
    let mut out: Vec<u8> =
        chunks.iter().flat_map(|chunk| stream.event(chunk.to_string().as_bytes())).collect();
    out.extend(stream.end());
    accumulate(&out)
}

fn call(index: u64, id: &str, name: &str, arguments: &str) -> Value {
    json!({"choices": [{"delta": {"tool_calls": [{"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]}}]})
}

#[test]
fn a_call_that_is_whole_is_over_when_the_next_begins() {
    let mut stream = StreamOfChat::new("m");
    stream.event(call(0, "a", "f", "{\"x\":1}").to_string().as_bytes());
    let next = stream.event(call(1, "b", "g", "{").to_string().as_bytes());
    let next = String::from_utf8(next).unwrap();
    assert!(next.contains("content_block_stop") && next.contains("\"partial_json\":\"{\""), "{next}");
    // The first does not go on; the second does.
    let more = stream.event(call(0, "", "", " ").to_string().as_bytes());
    assert!(more.is_empty());
}

#[test]
fn calls_of_engines_with_numbering_of_their_own_are_told_apart() {
    // All numbered 0.
    let message = all(&[call(0, "a", "f", "{}"), call(0, "b", "g", "{\"y\":2}")]);
    let names: Vec<&Value> =
        message["content"].as_array().unwrap().iter().map(|block| &block["name"]).collect();
    assert_eq!(names, [&json!("f"), &json!("g")]);
    // A new id for every chunk.
    let message = all(&[call(0, "a", "f", ""), call(0, "b", "", "{\"y\":"), call(0, "c", "", "2}")]);
    assert_eq!(message["content"], json!([{"type": "tool_use", "id": "a", "name": "f", "input": {"y": 2}}]));
    // A name that comes late, no id at all.
    let message = all(&[
        json!({"id": "chatcmpl-9", "choices": [{"delta": {"tool_calls": [{"index": 0, "id": null, "function": {"name": "f"}}]}}]}),
        call(0, "", "", "{}"),
    ]);
    assert_eq!(message["content"][0]["id"], "toolu_9_0");
}

#[test]
fn an_error_of_the_engine_ends_the_stream() {
    let mut stream = StreamOfChat::new("m");
    let out = stream.event(br#"{"error":{"message":"out of memory","code":500}}"#);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"out of memory\"}}\n\n"
    );
    assert!(
        stream.event(br#"{"choices":[{"delta":{"content":"x"}}]}"#).is_empty() && stream.end().is_empty()
    );
}

#[test]
fn a_stream_without_a_word_is_an_empty_message() {
    assert_eq!(all(&[])["content"], json!([]));
}

#[test]
fn a_field_that_is_not_of_its_type_takes_no_other_with_it() {
    let message = all(&[json!({"choices": [{"delta": {"content": "a", "reasoning": 7, "tool_calls": [
        "x", {"index": 0, "id": 3, "function": {"name": "f", "arguments": {"k": 1}}}]}, "finish_reason": {}}], "usage": []})]);
    let content = json!([{"type": "text", "text": "a"}, {"type": "tool_use", "id": "toolu_unnamed_0", "name": "f", "input": {"k": 1}}]);
    assert_eq!((&message["content"], &message["stop_reason"]), (&content, &json!("tool_use")));
}
