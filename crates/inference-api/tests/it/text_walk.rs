//! Nothing that a model reads or says goes around the walk over its text.

use hermetic_inference_api::{
    Call, CutChunk, Event, EventText, RequestFacts, SpanKind, answer_text, lane_event, replace_places,
    request_text,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What is hidden. Long enough as a number, too.
const HIDDEN: &str = "Smuggled 4111111111111111";

/// Requests with everything that any surface is known to carry, and with what none is.
fn requests() -> Vec<(Call, Value)> {
    vec![
        (
            Call::Chat,
            json!({
                "model": "m",
                "messages": [
                    {"role": "system", "content": "a", "name": "b"},
                    {"role": "developer", "content": [{"type": "text", "text": "a"}]},
                    {"role": "user", "content": [
                        {"type": "text", "text": "a", "cache_control": {"type": "b"}},
                        {"type": "image_url", "image_url": {"url": "http://h/a.png", "detail": "low"}},
                        {"type": "file", "file": {"filename": "a", "file_id": "b"}},
                        {"type": "unheard_of", "payload": {"deep": ["a", {"b": "c"}]}},
                        "bare"
                    ]},
                    {"content": "before the role", "role": "assistant", "reasoning_content": "a", "refusal": "b",
                     "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"a\": \"b\"}"}}],
                     "function_call": {"name": "f", "arguments": "{}"}, "audio": {"id": "x"}},
                    {"role": "tool", "tool_call_id": "1", "content": "a"},
                    {"role": "function", "name": "f", "content": "a"},
                    {"role": ["odd"], "content": "a"},
                    "no message at all"
                ],
                "tools": [{"type": "function", "function": {"name": "f", "description": "d", "strict": true,
                    "parameters": {"type": "object", "properties": {"q": {"enum": ["a"], "default": 1234567890, "description": "e"}}}}}],
                "tool_choice": {"type": "function", "function": {"name": "f"}},
                "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"const": "a"}}},
                "stop": ["a"], "user": "u", "metadata": {"k": "v"}, "prediction": {"type": "content", "content": "a"},
                "unheard_of": {"x": ["y", {"z": "w"}]}, "web_search_options": {"user_location": {"city": "a"}}
            }),
        ),
        (
            Call::Completion,
            json!({"model": "m", "prompt": ["a", "b"], "suffix": "c", "user": "u", "odd": {"a": "b"}}),
        ),
        (Call::Embedding, json!({"model": "m", "input": ["a", "b"], "user": "u"})),
        (
            Call::Rerank,
            json!({"model": "m", "query": "q", "documents": ["a", {"text": "b", "title": "c"}], "odd": "d"}),
        ),
        (Call::ImageGeneration, json!({"model": "m", "prompt": "p", "style": "s"})),
    ]
}

/// Every way to put the hidden text in the place of one text, one number of the prompt, or one name.
fn smuggled(value: &Value, at_top: bool, found: &mut Vec<Value>) {
    match value {
        Value::String(_) => found.push(json!(HIDDEN)),
        Value::Number(_) if !at_top => found.push(json!(4111111111111111u64)),
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                let mut inner = Vec::new();
                smuggled(item, false, &mut inner);
                for changed in inner {
                    let mut items = items.clone();
                    items[at] = changed;
                    found.push(Value::Array(items));
                }
            }
        }
        Value::Object(members) => {
            for (key, item) in members {
                if at_top && key == "model" {
                    continue;
                }
                let mut inner = Vec::new();
                smuggled(item, false, &mut inner);
                for changed in inner {
                    let mut members = members.clone();
                    members.insert(key.clone(), changed);
                    found.push(Value::Object(members));
                }
                // Of the keys of APIs, another one in its place is a field nobody knows.
                if !matches!(key.as_str(), "messages" | "prompt" | "input" | "query" | "documents") {
                    let mut members = members.clone();
                    let item = members.remove(key).unwrap();
                    members.insert(HIDDEN.to_owned(), item);
                    found.push(Value::Object(members));
                }
            }
        }
        _ => {}
    }
}

#[test]
fn a_text_put_in_any_place_of_a_request_is_seen() {
    let mut places = 0;
    for (call, request) in requests() {
        let mut ways = Vec::new();
        smuggled(&request, true, &mut ways);
        for way in ways {
            places += 1;
            let body = way.to_string();
            let facts = RequestFacts::read(call, body.as_bytes()).unwrap();
            let text = request_text(call, body.as_bytes(), &facts).unwrap();
            let seen = text.spans.iter().any(|span| body[span.place.clone()].contains("4111111111111111"));
            assert!(seen || text.unreadable.is_some(), "{call:?}: {body}");
        }
    }
    assert!(places > 80, "{places}");
}

#[test]
fn what_cannot_be_read_as_text_is_told() {
    for (call, body, field) in [
        (Call::Completion, json!({"model": "m", "prompt": [1, 2, 3]}), "prompt"),
        (Call::Completion, json!({"model": "m", "prompt": [[1], [2]]}), "prompt"),
        (Call::Completion, json!({"model": "m", "prompt": ["a", 3]}), "prompt"),
        (Call::Embedding, json!({"model": "m", "input": [[1, 2]]}), "input"),
        (Call::Completion, json!({"model": "m", "prompt": "a", "prompt_embeds": "AAAA"}), "prompt_embeds"),
        (Call::Chat, json!({"model": "m", "messages": [], "chat_template": "{{ 1 }}"}), "chat_template"),
    ] {
        let body = body.to_string();
        let facts = RequestFacts::read(call, body.as_bytes()).unwrap();
        assert_eq!(request_text(call, body.as_bytes(), &facts).unwrap().unreadable, Some(field), "{body}");
    }
    let body = json!({"model": "m", "messages": [], "logprobs": true}).to_string();
    let facts = RequestFacts::read(Call::Chat, body.as_bytes()).unwrap();
    assert_eq!(request_text(Call::Chat, body.as_bytes(), &facts).unwrap().asks_for_tokens, Some("logprobs"));
}

#[test]
fn texts_are_told_apart_by_who_says_them() {
    let (call, request) = requests().swap_remove(0);
    let body = request.to_string();
    let facts = RequestFacts::read(call, body.as_bytes()).unwrap();
    let text = request_text(call, body.as_bytes(), &facts).unwrap();
    let kind_of = |wanted: &str| {
        let span = text.spans.iter().find(|span| &body[span.place.clone()] == wanted);
        span.unwrap_or_else(|| panic!("{wanted}")).kind
    };
    assert_eq!(kind_of("before the role"), SpanKind::Assistant);
    assert_eq!(kind_of("http://h/a.png"), SpanKind::User);
    assert_eq!(kind_of(r#"{\"a\": \"b\"}"#), SpanKind::Arguments);
    assert_eq!(kind_of("d"), SpanKind::Definition);
}

#[test]
fn pictures_and_sound_are_no_text_and_texts_that_look_like_them_are() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
        {"type": "input_audio", "input_audio": {"data": "REVG", "format": "wav"}},
        {"type": "text", "text": "data:text/plain,hello"}
    ]}]})
    .to_string();
    let facts = RequestFacts::read(Call::Chat, body.as_bytes()).unwrap();
    let text = request_text(Call::Chat, body.as_bytes(), &facts).unwrap();
    let seen: Vec<&str> = text.spans.iter().map(|span| &body[span.place.clone()]).collect();
    assert!(
        seen.contains(&"data:text/plain,hello") && !seen.iter().any(|text| text.contains("QUJD")),
        "{seen:?}"
    );
    assert!(!seen.contains(&"REVG"), "{seen:?}");
}

#[test]
fn a_text_put_in_any_place_of_an_answer_is_seen() {
    let answer = json!({
        "id": "1", "object": "chat.completion", "model": "m", "usage": {"prompt_tokens": 1},
        "choices": [{"index": 0, "finish_reason": "stop", "text": "a", "message": {
            "role": "assistant", "content": "a", "reasoning_content": "b", "refusal": "c", "annotations": [{"url": "d"}],
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}}],
        "results": [{"index": 0, "document": {"text": "a"}}], "text": "a", "segments": [{"text": "b"}], "odd": {"x": ["y"]}
    });
    let mut ways = Vec::new();
    smuggled(&answer, true, &mut ways);
    for way in ways {
        let body = way.to_string();
        // What an engine says of the answer and not in it.
        let mut told = way.clone();
        for about in ["id", "object", "model", "usage"] {
            told.as_object_mut().unwrap().remove(about);
        }
        if !told.to_string().contains("4111111111111111") {
            continue;
        }
        let text = answer_text(body.as_bytes()).unwrap();
        let seen = text.spans.iter().any(|span| body[span.place.clone()].contains("4111111111111111"));
        // Numbers of an answer are vectors, scores and counts.
        let number = body.contains(":4111111111111111");
        assert!(seen || number, "{body}");
    }
}

fn lanes(data: &str) -> Vec<(u64, SpanKind, String)> {
    let text = EventText::of(data.as_bytes()).unwrap();
    text.pieces
        .iter()
        .map(|piece| (piece.lane.choice, piece.lane.kind, data[piece.place.clone()].to_owned()))
        .collect()
}

#[test]
fn each_piece_of_a_stream_belongs_to_a_text() {
    let one = r#"{"id":"c","choices":[{"index":1,"delta":{"role":"assistant","content":"a","tool_calls":[{"index":2,"id":"x","function":{"name":"f","arguments":"{\"k\""}}]}}]}"#;
    assert_eq!(
        lanes(one),
        [(1, SpanKind::Answer, "a".to_owned()), (1, SpanKind::Arguments, r#"{\"k\""#.to_owned())]
    );
    // The same text whatever the order of the keys, and another where the call is another.
    let text = |data: &str| EventText::of(data.as_bytes()).unwrap().pieces.remove(0).lane;
    let call = |index: u32| {
        format!(
            r#"{{"choices":[{{"delta":{{"tool_calls":[{{"function":{{"arguments":"x"}},"index":{index}}}]}},"index":0}}]}}"#
        )
    };
    assert_eq!(text(&call(1)), text(&call(1)));
    assert_ne!(text(&call(1)), text(&call(2)));
    let finished = EventText::of(br#"{"choices":[{"index":3,"delta":{},"finish_reason":"stop"}]}"#).unwrap();
    assert_eq!(finished.finished, [3]);
}

proptest! {
    /// What is said in an event made for a text is read back as the same text.
    #[test]
    fn an_event_made_for_a_text_is_of_that_text(choice in 0u64..4, call in 0u64..4, said in "[a-z ]{1,10}") {
        let like = CutChunk::like(br#"{"id":"c1","created":7,"model":"m"}"#);
        for data in [
            format!(r#"{{"choices":[{{"index":{choice},"delta":{{"content":"x"}}}}]}}"#),
            format!(r#"{{"choices":[{{"index":{choice},"delta":{{"reasoning_content":"x"}}}}]}}"#),
            format!(r#"{{"choices":[{{"index":{choice},"delta":{{"tool_calls":[{{"index":{call},"function":{{"arguments":"x"}}}}]}}}}]}}"#),
        ] {
            let lane = EventText::of(data.as_bytes()).unwrap().pieces.remove(0).lane;
            let raw = lane_event(&like, Call::Chat, &lane, said.as_bytes());
            let event = Event { raw: raw.into() };
            let told = event.data().unwrap();
            let again = EventText::of(&told).unwrap().pieces.remove(0);
            prop_assert_eq!(&again.lane, &lane);
            prop_assert_eq!(&told[again.place], said.as_bytes());
            let parsed: Value = serde_json::from_slice(&told).unwrap();
            prop_assert_eq!(&parsed["object"], "chat.completion.chunk");
        }
    }

    #[test]
    fn what_is_not_replaced_stays(text in "[a-z]{0,30}", places in prop::collection::vec((0usize..30, 0usize..5), 0..4)) {
        let mut edits = Vec::new();
        let mut from = 0;
        for (start, length) in places {
            let start = (from + start).min(text.len());
            let end = (start + length).min(text.len());
            edits.push((start..end, b"#".to_vec()));
            from = end;
        }
        let out = replace_places(text.as_bytes(), &edits);
        let gone: usize = edits.iter().map(|(place, _)| place.len()).sum();
        prop_assert_eq!(out.len(), text.len() - gone + edits.len());
        prop_assert_eq!(out.iter().filter(|b| **b == b'#').count(), edits.len());
    }
}
