//! Surfaces that engines do not share: the caller speaks Messages or Responses, the engine chat completions, and everything
//! between the two is the same as ever.

use crate::budgets::rule;
use crate::client::{Answer, piece, whole};
use crate::site::Site;
use crate::streams::settled;
use hermetic_gateway::{Limiting, ModelTerms};
use hermetic_ledger::record::{Event, Outcome};
use hermetic_limits::{RuleSet, Unit};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

const MESSAGES: &str = "/v1/messages";
const RESPONSES: &str = "/v1/responses";

const ANSWER: &str = r#"{"id":"x","object":"chat.completion","created":7,"model":"chat-model","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}"#;

fn chunk(choice: &str) -> String {
    format!(
        "data: {{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"chat-model\",\"choices\":[{choice}]}}\n\n"
    )
}

fn says(text: &str) -> String {
    chunk(&format!(r#"{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}"#))
}

fn ends() -> String {
    let usage = r#"data: {"id":"x","object":"chat.completion.chunk","created":7,"model":"chat-model","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#;
    let last = chunk(r#"{"index":0,"delta":{},"finish_reason":"stop"}"#);
    format!("{last}{usage}\n\ndata: [DONE]\n\n")
}

fn message(stream: bool) -> String {
    json!({"model": "chat-model", "max_tokens": 20, "stream": stream, "system": "be brief",
        "messages": [{"role": "user", "content": "hi"}]})
    .to_string()
}

fn response(stream: bool) -> String {
    json!({"model": "chat-model", "max_output_tokens": 20, "stream": stream, "instructions": "be brief", "input": "hi"})
        .to_string()
}

/// The same for both: what the engine is to be asked.
fn asked(body: &[u8]) -> Value {
    let body: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(
        body["messages"],
        json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}])
    );
    assert_eq!((&body["model"], &body["max_tokens"]), (&json!("chat-model"), &json!(20)));
    body
}

fn admitted(records: &[Event]) -> (&str, u64) {
    match records.first() {
        Some(Event::RequestAdmitted(admitted)) => (&admitted.surface, admitted.prompt_bytes),
        other => panic!("expected an admitted request, found {other:?}"),
    }
}

/// Names and data of the events of a stream.
fn events(answer: &Answer) -> Vec<(String, Value)> {
    let text = std::str::from_utf8(&answer.body).unwrap();
    let event = |event: &str| {
        let (name, data) = event.split_once('\n').unwrap();
        let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        (name.strip_prefix("event: ").unwrap().to_owned(), data)
    };
    text.split("\n\n").filter(|event| !event.is_empty()).map(event).collect()
}

async fn plain(site: &mut Site, path: &str, sent: String) -> Answer {
    let mut client = site.client().await;
    let (answer, ()) = tokio::join!(client.post(path, sent), async {
        let received = site.engine.next().await;
        assert_eq!(received.path, "/v1/chat/completions");
        asked(&received.body);
        received.answer(200, "application/json", ANSWER);
    });
    answer
}

async fn streamed(site: &mut Site, path: &str, sent: String) -> Answer {
    let mut client = site.client().await;
    let request = client.request(path, sent);
    let (response, ()) = tokio::join!(client.send(request), async {
        let received = site.engine.next().await;
        assert_eq!(asked(&received.body)["stream_options"]["include_usage"], true);
        let engine = received.stream();
        let all = [says("he"), says("llo"), ends()].concat();
        all.as_bytes().chunks(11).for_each(|piece| engine.send(piece.to_vec()));
    });
    whole(response).await
}

#[tokio::test]
async fn a_message_is_answered_and_put_on_record_as_the_caller_spoke() {
    let mut site = Site::start().await;
    let sent = message(false);
    let answer = plain(&mut site, MESSAGES, sent.clone()).await;
    let body = answer.json();
    assert_eq!((answer.status, &body["type"], &body["role"]), (200, &json!("message"), &json!("assistant")));
    assert_eq!(body["content"], json!([{"type": "text", "text": "hello"}]));
    assert_eq!((&body["stop_reason"], &body["model"]), (&json!("end_turn"), &json!("chat-model")));
    assert_eq!((&body["usage"]["input_tokens"], &body["usage"]["output_tokens"]), (&json!(3), &json!(1)));
    assert_eq!((answer.leaf("x-hermetic-admitted"), answer.leaf("x-hermetic-settled")), (0, 1));
    let records = site.records_after_drain().await;
    assert_eq!(admitted(&records), ("messages", sent.len() as u64));
    let settled = settled(&records);
    assert_eq!((settled.outcome, settled.answer_bytes), (Outcome::Completed, answer.body.len() as u64));
    assert_eq!((settled.usage.input_tokens, settled.usage.output_tokens), (Some(3), Some(1)));
}

#[tokio::test]
async fn a_stream_of_messages_is_told_event_by_event_and_ends_when_it_is_settled() {
    let mut site = Site::start().await;
    let answer = streamed(&mut site, MESSAGES, message(true)).await;
    let events = events(&answer);
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.first(), Some(&"message_start"), "{names:?}");
    assert_eq!(names[names.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
    let said: String = events.iter().filter_map(|(_, data)| data["delta"]["text"].as_str()).collect();
    assert_eq!(said, "hello");
    let (_, delta) = &events[events.len() - 2];
    assert_eq!(
        (&delta["delta"]["stop_reason"], &delta["usage"]["output_tokens"]),
        (&json!("end_turn"), &json!(2))
    );
    let records = site.records_after_drain().await;
    let settled = settled(&records);
    assert_eq!((settled.usage.input_tokens, settled.usage.output_tokens), (Some(5), Some(2)));
    assert_eq!(settled.answer_bytes, answer.body.len() as u64, "committed to is what the caller got");
}

#[tokio::test]
async fn a_response_is_answered_plain_and_streamed() {
    let mut site = Site::start().await;
    let answer = plain(&mut site, RESPONSES, response(false)).await;
    let body = answer.json();
    assert_eq!((&body["object"], &body["status"]), (&json!("response"), &json!("completed")));
    assert_eq!(body["output"][0]["content"][0]["text"], "hello");
    assert_eq!((&body["usage"]["input_tokens"], &body["store"]), (&json!(3), &json!(false)));
    let answer = streamed(&mut site, RESPONSES, response(true)).await;
    let events = events(&answer);
    assert_eq!(events.first().unwrap().0, "response.created");
    let (name, last) = events.last().unwrap();
    assert_eq!(
        (name.as_str(), &last["response"]["usage"]["output_tokens"]),
        ("response.completed", &json!(2))
    );
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "hello");
    let numbers: Vec<u64> =
        events.iter().map(|(_, data)| data["sequence_number"].as_u64().unwrap()).collect();
    assert!(numbers.iter().enumerate().all(|(place, number)| *number == place as u64), "{numbers:?}");
    let records = site.records_after_drain().await;
    assert_eq!(admitted(&records).0, "responses");
}

#[tokio::test]
async fn errors_have_the_shape_of_the_surface_and_name_what_cannot_be_said() {
    let site = Site::start().await;
    let mut client = site.client().await;
    let server_tool = r#"{"model":"chat-model","max_tokens":5,"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"web_search_20250305","name":"web_search"}]}"#;
    let refused = client.post(MESSAGES, server_tool).await;
    let body = refused.json();
    assert_eq!((refused.status, &body["type"]), (400, &json!("error")));
    assert_eq!(body["error"]["type"], "invalid_request_error");
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("tools[0]"), "{message}");
    assert_eq!(body["error"]["code"], "E0824");
    assert_eq!(body["request_id"], refused.headers["request-id"].to_str().unwrap());
    let unknown = client.post(MESSAGES, message_to("nobody-knows")).await;
    assert_eq!((unknown.status, &unknown.json()["error"]["type"]), (404, &json!("not_found_error")));
    let hosted = r#"{"model":"chat-model","input":"hi","tools":[{"type":"web_search"}]}"#;
    let refused = client.post(RESPONSES, hosted).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "E0824"));
    let earlier = r#"{"model":"chat-model","input":"hi","previous_response_id":"resp_1"}"#;
    let refused = client.post(RESPONSES, earlier).await;
    assert_eq!(refused.json()["error"]["param"], "previous_response_id");
    let mut stranger = site.client_with("hmk_nobody").await;
    let refused = stranger.post(MESSAGES, message_to("chat-model")).await;
    assert_eq!((refused.status, &refused.json()["error"]["type"]), (401, &json!("authentication_error")));
}

fn message_to(model: &str) -> String {
    json!({"model": model, "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}).to_string()
}

#[tokio::test]
async fn what_an_engine_refuses_or_breaks_off_is_told_as_the_surface_does() {
    let mut site = Site::start().await;
    let mut client = site.client().await;
    let (answer, ()) = tokio::join!(client.post(MESSAGES, message(false)), async {
        let refusal = r#"{"error":{"message":"too long","type":"invalid_request_error","code":400}}"#;
        site.engine.next().await.answer(400, "application/json", refusal);
    });
    let body = answer.json();
    assert_eq!((answer.status, &body["error"]["type"]), (400, &json!("invalid_request_error")));
    assert!(body["error"]["message"].as_str().unwrap().contains("too long"), "{body}");
    let (answer, ()) = tokio::join!(client.post(MESSAGES, message(false)), async {
        site.engine.next().await.answer(200, "application/json", "[]");
    });
    assert_eq!((answer.status, &answer.json()["error"]["type"]), (502, &json!("api_error")));
    let request = client.request(MESSAGES, message(true));
    let (mut response, engine) = tokio::join!(client.send(request), async {
        let engine = site.engine.next().await.stream();
        engine.send(says("he"));
        engine
    });
    let mut told = piece(&mut response).await.unwrap().to_vec();
    engine.break_off();
    while let Some(more) = piece(&mut response).await {
        told.extend(more);
    }
    let told = String::from_utf8(told).unwrap();
    let error = told.rsplit("event: error\ndata: ").next().unwrap();
    let error: Value = serde_json::from_str(error.trim_end()).unwrap();
    assert_eq!((&error["type"], &error["error"]["type"]), (&json!("error"), &json!("api_error")));
    assert!(!told.contains("message_stop"), "{told}");
}

#[tokio::test]
async fn a_message_is_cut_where_its_reservation_ends_and_says_so_in_its_own_words() {
    let rules = RuleSet::new(vec![rule("budget", Unit::OutputTokens, "day", 1_000)]).unwrap();
    let limiting = Limiting::new(rules, HashMap::<_, ModelTerms>::new(), 1_000);
    let mut site = Site::start_parts(|parts| parts.limiting = Arc::new(limiting)).await;
    let mut client = site.client().await;
    let request = client.request(MESSAGES, message(true));
    let (response, ()) = tokio::join!(client.send(request), async {
        let engine = site.engine.next().await.stream();
        // It was told to stop at 20 and goes on.
        (0..60).for_each(|_| engine.send(says("x")));
    });
    let answer = whole(response).await;
    let events = events(&answer);
    let said = events.iter().filter(|(_, data)| data["delta"]["text"] == "x").count();
    assert_eq!(said, 20);
    let (_, delta) = &events[events.len() - 2];
    assert_eq!(
        (&delta["delta"]["stop_reason"], &events.last().unwrap().1["type"]),
        (&json!("max_tokens"), &json!("message_stop"))
    );
    let records = site.records_after_drain().await;
    assert!(settled(&records).cut);
}

#[tokio::test]
async fn a_key_may_come_as_anthropics_sdks_send_it_and_two_that_differ_are_refused() {
    let mut site = Site::start().await;
    let mut client = site.client().await;
    let key = site.key.clone();
    let mut request = client.request(MESSAGES, message(false));
    request.headers_mut().remove("authorization");
    request.headers_mut().insert("x-api-key", key.parse().unwrap());
    let (response, ()) = tokio::join!(client.send(request), async {
        site.engine.next().await.answer(200, "application/json", ANSWER);
    });
    assert_eq!(response.status(), 200);
    whole(response).await;
    let other = site.issue_key("somebody", "demo", None);
    let mut request = client.request(MESSAGES, message(false));
    request.headers_mut().insert("x-api-key", other.parse().unwrap());
    assert_eq!(client.send(request).await.status(), 401);
}

#[tokio::test]
async fn the_tokens_of_a_message_are_counted_without_an_engine_or_a_record() {
    let mut site = Site::start().await;
    let mut client = site.client().await;
    let sent = json!({"model": "chat-model", "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let answer = client.post("/v1/messages/count_tokens", sent).await;
    assert_eq!((answer.status, &answer.headers["x-hermetic-counted-by"]), (200, &"bytes".parse().unwrap()));
    assert!(answer.json()["input_tokens"].as_u64().unwrap() > 2);
    drop(client);
    assert_eq!(site.records_after_drain().await.len(), 0);
}

#[tokio::test]
async fn a_stream_ends_in_its_own_words_also_when_the_engine_forgets_to_say_done() {
    for (path, sent, last) in
        [(MESSAGES, message(true), "message_stop"), (RESPONSES, response(true), "response.completed")]
    {
        let mut site = Site::start().await;
        let mut client = site.client().await;
        let request = client.request(path, sent);
        let (response, ()) = tokio::join!(client.send(request), async {
            let engine = site.engine.next().await.stream();
            engine.send(says("hello"));
            engine.send(chunk(r#"{"index":0,"delta":{},"finish_reason":"stop"}"#));
        });
        let answer = whole(response).await;
        assert_eq!(events(&answer).last().unwrap().0, last);
        let records = site.records_after_drain().await;
        assert_eq!(settled(&records).outcome, Outcome::Completed);
    }
}

#[tokio::test]
async fn what_a_translated_stream_holds_is_bounded() {
    let mut site = Site::start_with(|options| options.answer_bytes_max = 1_000).await;
    let mut client = site.client().await;
    let request = client.request(RESPONSES, response(true));
    let (response, ()) = tokio::join!(client.send(request), async {
        let engine = site.engine.next().await.stream();
        (0..12).for_each(|_| engine.send(says(&"x".repeat(100))));
    });
    let answer = whole(response).await;
    assert_eq!(events(&answer).last().unwrap().0, "response.failed");
    let records = site.records_after_drain().await;
    assert_eq!(settled(&records).outcome, Outcome::EngineFailed);
}
