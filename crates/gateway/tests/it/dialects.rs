//! Engines that speak Messages or Responses: whatever a caller speaks reaches them, and everything between the two is the
//! same as ever.

use crate::client::{Answer, CHAT, chat, whole};
use crate::site::{Site, planned, route, virtual_model};
use crate::streams::settled;
use hermetic_gateway::{Dialect, ModelKind, PlanRules, PlannedTarget, Target};
use hermetic_ledger::record::Outcome;
use serde_json::{Value, json};
use std::sync::Arc;

const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}"#;
const RESPONSE: &str = r#"{"id":"resp_1","object":"response","created_at":7,"status":"completed","model":"m","output":[{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"hello","annotations":[]}]}],"usage":{"input_tokens":3,"output_tokens":1,"total_tokens":4}}"#;

fn events(of: &[Value]) -> String {
    let event = |data: &Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap());
    of.iter().map(event).collect()
}

fn stream_of_messages() -> String {
    events(&[
        json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {"input_tokens": 3, "output_tokens": 0}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hel"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}}),
        json!({"type": "message_stop"}),
    ])
}

async fn site(dialect: Dialect) -> Site {
    let mut site = Site::start().await;
    let path = site.folder.path().join("other.sock");
    site.engine = crate::engine::Engine::on_unix(&path);
    let there = planned("engine", &Arc::new(Target::unix(path)));
    let renamed = Some("org/model".to_owned());
    site.serve(route("model", ModelKind::Chat, PlannedTarget { dialect, upstream_name: renamed, ..there }));
    site
}

async fn ask(
    site: &mut Site,
    path: &str,
    sent: String,
    expected: (&str, Value),
    answer: (&str, &str),
) -> Answer {
    let mut client = site.client().await;
    let request = client.request(path, sent);
    let (response, ()) = tokio::join!(client.send(request), async {
        let received = site.engine.next().await;
        assert_eq!(received.path, expected.0);
        let body: Value = serde_json::from_slice(&received.body).unwrap();
        for (key, value) in expected.1.as_object().unwrap() {
            assert_eq!(&body[key], value, "{body}");
        }
        received.answer(200, answer.0, answer.1.to_owned());
    });
    whole(response).await
}

fn said_in_chat(answer: &Answer) -> String {
    let text = std::str::from_utf8(&answer.body).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let chunks = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    chunks.filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned())).collect()
}

#[tokio::test]
async fn a_chat_request_reaches_engines_that_speak_messages_and_responses() {
    let asked_messages =
        json!({"model": "org/model", "max_tokens": 4096, "messages": [{"role": "user", "content": "hi"}]});
    for (dialect, path, asked, answer) in [
        (Dialect::Messages, "/v1/messages", asked_messages, MESSAGE),
        (Dialect::Responses, "/v1/responses", json!({"model": "org/model", "store": false}), RESPONSE),
    ] {
        let mut site = site(dialect).await;
        let answer =
            ask(&mut site, CHAT, chat("model", false), (path, asked), ("application/json", answer)).await;
        let body = answer.json();
        assert_eq!((answer.status, &body["object"]), (200, &json!("chat.completion")), "{body}");
        assert_eq!(body["choices"][0]["message"]["content"], "hello");
        let records = site.records_after_drain().await;
        let settled = settled(&records);
        assert_eq!((settled.usage.input_tokens, settled.usage.output_tokens), (Some(3), Some(1)));
        assert_eq!((settled.outcome, settled.answer_bytes), (Outcome::Completed, answer.body.len() as u64));
    }
}

#[tokio::test]
async fn a_stream_of_messages_is_heard_as_chat_with_usage_only_where_it_was_asked_for() {
    let mut site = site(Dialect::Messages).await;
    let told = ("text/event-stream", stream_of_messages());
    let asked = || ("/v1/messages", json!({"stream": true}));
    let answer = ask(&mut site, CHAT, chat("model", true), asked(), (told.0, &told.1)).await;
    let text = std::str::from_utf8(&answer.body).unwrap();
    assert_eq!(said_in_chat(&answer), "hello");
    assert!(text.ends_with("data: [DONE]\n\n") && !text.contains("prompt_tokens\":3"), "{text}");
    let wants_usage =
        chat("model", true).replace("\"stream\"", "\"stream_options\":{\"include_usage\":true},\"stream\"");
    let answer = ask(&mut site, CHAT, wants_usage, asked(), (told.0, &told.1)).await;
    assert!(std::str::from_utf8(&answer.body).unwrap().contains("\"prompt_tokens\":3"));
    let records = site.records_after_drain().await;
    assert_eq!(settled(&records).usage.output_tokens, Some(1));
}

#[tokio::test]
async fn messages_and_responses_reach_one_another() {
    let mut site = site(Dialect::Messages).await;
    let sent = json!({"model": "model", "input": "hi", "instructions": "be brief"}).to_string();
    let asked = ("/v1/messages", json!({"messages": [{"role": "user", "content": "hi"}]}));
    let answer = ask(&mut site, "/v1/responses", sent, asked, ("application/json", MESSAGE)).await;
    let body = answer.json();
    assert_eq!(
        (&body["object"], &body["output"][0]["content"][0]["text"]),
        (&json!("response"), &json!("hello"))
    );
    let sent = json!({"model": "model", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let asked = ("/v1/messages", json!({"max_tokens": 9}));
    let told = stream_of_messages();
    let answer = ask(&mut site, "/v1/messages", sent.to_string(), asked, ("text/event-stream", &told)).await;
    let text = std::str::from_utf8(&answer.body).unwrap();
    assert!(
        text.contains("event: message_start") && text.trim_end().ends_with("{\"type\":\"message_stop\"}"),
        "{text}"
    );
}

#[tokio::test]
async fn what_the_engine_has_no_words_for_is_refused_or_goes_where_there_are() {
    let mut site = site(Dialect::Messages).await;
    let seeded = chat("model", false).replace("\"stream\"", "\"seed\":7,\"stream\"");
    let mut client = site.client().await;
    let refused = client.post(CHAT, seeded.clone()).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "E0824"));
    assert_eq!(refused.json()["error"]["param"], "seed");
    let text = client.post("/v1/completions", r#"{"model":"model","prompt":"hi"}"#).await;
    assert_eq!((text.status, text.code().as_str()), (400, "E0824"));
    let (mut other, there) = site.another_engine("speaks-chat");
    let messages = Arc::new(Target::unix(site.folder.path().join("other.sock")));
    let first = PlannedTarget { dialect: Dialect::Messages, ..planned("messages", &messages) };
    let second = PlannedTarget { tier: 1, ..planned("chat", &there) };
    site.serve(virtual_model(
        "both",
        vec![first, second],
        PlanRules { retry_percent: 100, ..PlanRules::default() },
    ));
    let (answer, ()) =
        tokio::join!(client.post(CHAT, seeded.replace("\"model\":\"model\"", "\"model\":\"both\"")), async {
            let received = other.next().await;
            assert_eq!(received.path, CHAT);
            received.answer(
                200,
                "application/json",
                r#"{"choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}]}"#,
            );
        });
    assert_eq!(answer.status, 200);
    drop(client);
    let records = site.records_after_drain().await;
    assert_eq!(settled(&records).attempts.len(), 2);
}

#[tokio::test]
async fn what_such_an_engine_refuses_or_breaks_off_is_told_in_the_callers_words() {
    let mut site = site(Dialect::Messages).await;
    let mut client = site.client().await;
    let refusal = r#"{"type":"error","error":{"type":"invalid_request_error","message":"too long"}}"#;
    let (answer, ()) = tokio::join!(client.post(CHAT, chat("model", false)), async {
        site.engine.next().await.answer(400, "application/json", refusal);
    });
    assert_eq!((answer.status, &answer.json()["error"]["message"]), (400, &json!("too long")));
    let request = client.request(CHAT, chat("model", true));
    let told = stream_of_messages();
    let (begun, _) = told.split_once("event: message_delta").unwrap();
    let (response, ()) = tokio::join!(client.send(request), async {
        site.engine.next().await.answer(200, "text/event-stream", begun.to_owned());
    });
    let answer = whole(response).await;
    let text = std::str::from_utf8(&answer.body).unwrap();
    assert!(text.contains("\"error\"") && !text.contains("[DONE]"), "{text}");
    drop(client);
    let records = site.records_after_drain().await;
    assert_eq!(settled(&records).outcome, Outcome::EngineFailed);
}
