use super::answers::{messages_to_chat, responses_to_chat};
use super::chunks::accumulate;
use serde_json::{Value, json};

fn sse(events: &[Value]) -> Vec<u8> {
    events.iter().flat_map(|event| format!("data: {event}\n\n").into_bytes()).collect()
}

fn calls(completion: &Value) -> Value {
    completion["choices"][0]["message"]["tool_calls"].clone()
}

#[test]
fn a_stream_that_breaks_off_ends_in_an_error_and_not_as_if_it_were_whole() {
    let start = json!({"type": "message_start", "message": {"id": "msg_1", "model": "m"}});
    let text =
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}});
    let over =
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}});
    for events in [&[][..], &[start.clone()], &[start.clone(), text.clone()]] {
        assert!(accumulate(&messages_to_chat(&sse(events), &[])).is_err());
    }
    // Only the last word is missing.
    let complete = accumulate(&messages_to_chat(&sse(&[start, text, over]), &[])).unwrap();
    assert_eq!(
        (&complete["choices"][0]["finish_reason"], &complete["usage"]["completion_tokens"]),
        (&json!("stop"), &json!(1))
    );
    let created = json!({"type": "response.created", "response": {"id": "resp_1"}});
    assert!(accumulate(&responses_to_chat(&sse(&[created]), &[])).is_err());
}

#[test]
fn errors_of_an_engine_are_told_with_what_it_says() {
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}});
    assert_eq!(accumulate(&messages_to_chat(&sse(&[error]), &[])).unwrap_err()["message"], "busy");
    let error = json!({"type": "error", "code": "server_error", "message": "busy"});
    assert_eq!(accumulate(&responses_to_chat(&sse(&[error]), &[])).unwrap_err()["message"], "busy");
    let failed =
        json!({"type": "response.failed", "response": {"status": "failed", "error": {"message": "busy"}}});
    assert_eq!(accumulate(&responses_to_chat(&sse(&[failed]), &[])).unwrap_err()["message"], "busy");
}

#[test]
fn what_nobody_could_have_asked_for_ends_the_stream() {
    let search =
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "server_tool_use"}});
    let message = accumulate(&messages_to_chat(&sse(&[search]), &[])).unwrap_err();
    assert!(message["message"].as_str().unwrap().contains("`server_tool_use`"), "{message}");
    let search =
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "web_search_call"}});
    let message = accumulate(&responses_to_chat(&sse(&[search]), &[])).unwrap_err();
    assert!(message["message"].as_str().unwrap().contains("`web_search_call`"), "{message}");
}

#[test]
fn arguments_that_come_with_the_beginning_or_the_end_of_a_call_alone_are_told_once() {
    let events = [
        json!({"type": "message_start", "message": {"id": "msg_1"}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "b", "name": "g", "input": {}}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "message_stop"}),
    ];
    let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    let completion = accumulate(&messages_to_chat(&sse(&events), &[])).unwrap();
    assert_eq!(calls(&completion), json!([call("a", "f", "{\"x\":1}"), call("b", "g", "{}")]));
    assert_eq!(completion["choices"][0]["finish_reason"], "tool_calls");

    let item = |arguments: &str| json!({"type": "function_call", "call_id": "a", "name": "f", "arguments": arguments});
    let events = [
        json!({"type": "response.output_item.added", "output_index": 0, "item": item("")}),
        json!({"type": "response.function_call_arguments.done", "output_index": 0, "arguments": "{}"}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item("{}")}),
        json!({"type": "response.output_item.added", "output_index": 1, "item": item("{\"y\":2}")}),
        json!({"type": "response.output_item.done", "output_index": 1, "item": item("{\"y\":2}")}),
        json!({"type": "response.completed", "response": {"status": "completed"}}),
    ];
    let completion = accumulate(&responses_to_chat(&sse(&events), &[])).unwrap();
    assert_eq!(calls(&completion), json!([call("a", "f", "{}"), call("a", "f", "{\"y\":2}")]));
}

#[test]
fn a_text_that_comes_whole_alone_is_told_once() {
    let events = [
        json!({"type": "response.output_item.done", "output_index": 0, "item": {"type": "reasoning", "summary": [{"type": "summary_text", "text": "in short"}]}}),
        json!({"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "a"}),
        json!({"type": "response.output_text.done", "output_index": 1, "content_index": 0, "text": "a"}),
        json!({"type": "response.output_text.done", "output_index": 1, "content_index": 1, "text": "b"}),
        json!({"type": "response.completed", "response": {"status": "completed", "created_at": 1.5}}),
    ];
    let completion = accumulate(&responses_to_chat(&sse(&events), &[])).unwrap();
    let message = &completion["choices"][0]["message"];
    assert_eq!((&message["content"], &message["reasoning_content"]), (&json!("ab"), &json!("in short")));
}

#[test]
fn line_breaks_between_the_tokens_of_an_engine_do_not_cut_an_event() {
    let event = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\",\"logprobs\":[{\ndata: \"token\":\"a\"}]}\n\n";
    let told = responses_to_chat(event.as_bytes(), &[]);
    let told = String::from_utf8(told).unwrap();
    assert!(told.contains(r#""logprobs":{"content":[{"token":"a"}]}"#), "{told}");
}
