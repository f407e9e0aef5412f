//! Plain answers, and bytes that stay as they are.

use crate::client::{CHAT, chat};
use crate::site::Site;
use hermetic_inference_api::Surface;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const ANSWER: &str = r#"{ "id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],
"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4} }"#;

#[tokio::test]
async fn a_plain_request_is_answered_with_the_engines_bytes_over_a_unix_socket_and_over_tcp() {
    for (mut site, prefix) in [(Site::start().await, ""), (Site::start_tcp().await, "/base")] {
        let mut client = site.client().await;
        let sent = chat("chat-model", false);
        let (answer, ()) = tokio::join!(client.post(CHAT, sent.clone()), async {
            let received = site.engine.next().await;
            assert_eq!(received.path, format!("{prefix}{CHAT}"));
            assert_eq!(received.body, sent);
            received.answer(200, "application/json", ANSWER);
        });
        assert_eq!((answer.status, answer.body.as_ref()), (200, ANSWER.as_bytes()));
        assert_eq!((answer.leaf("x-hermetic-admitted"), answer.leaf("x-hermetic-settled")), (0, 1));
    }
}

#[tokio::test]
async fn the_engine_is_told_the_request_and_the_trace_and_never_the_key() {
    let mut site = Site::start().await;
    let mut client = site.client().await;
    let mut request = client.request(CHAT, chat("chat-model", false));
    let theirs = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    request.headers_mut().insert("traceparent", theirs.parse().unwrap());
    let key = site.key.clone();
    let (response, ()) = tokio::join!(client.send(request), async {
        let received = site.engine.next().await;
        let trace = received.headers["traceparent"].to_str().unwrap().to_owned();
        assert!(
            trace.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && trace.ends_with("-01"),
            "{trace}"
        );
        assert_ne!(trace, theirs);
        assert!(received.headers["x-request-id"].to_str().unwrap().starts_with("req_"));
        assert!(received.headers.values().all(|value| !value.to_str().unwrap().contains(&key)));
        received.answer(200, "application/json", ANSWER);
    });
    assert!(response.headers()["x-request-id"].to_str().unwrap().starts_with("req_"));
}

#[tokio::test]
async fn an_engine_that_knows_the_model_by_another_name_is_asked_for_that() {
    let mut site = Site::start().await;
    let mut client = site.client().await;
    let (_, ()) = tokio::join!(client.post(CHAT, chat("renamed", false)), async {
        let received = site.engine.next().await;
        assert_eq!(received.body, chat("org/renamed:8b", false));
        received.answer(200, "application/json", ANSWER);
    });
}

#[tokio::test]
async fn an_engines_own_refusal_is_handed_on_and_settled_as_rejected() {
    let mut site = Site::start().await;
    let mut client = site.client().await;
    let refusal = r#"{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"E0799"}}"#;
    let (answer, ()) = tokio::join!(client.post(CHAT, chat("chat-model", false)), async {
        site.engine.next().await.answer(400, "application/json", refusal);
    });
    assert_eq!((answer.status, answer.body.as_ref()), (400, refusal.as_bytes()));
    let records = site.records_after_drain().await;
    assert!(format!("{:?}", records[1]).contains("outcome: Rejected"), "{:?}", records[1]);
}

#[tokio::test]
async fn the_models_a_caller_may_use_are_listed_and_the_others_do_not_exist() {
    let site = Site::start().await;
    let mut client = site.client().await;
    let list = client.get("/v1/models").await.json();
    let ids: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, ["chat-model", "embed-model", "failed-model", "gone-model", "renamed", "starting-model"]);
    assert_eq!(client.get("/v1/models/chat-model").await.json()["kind"], "chat");
    assert_eq!(client.get("/v1/models/secret-model").await.code(), "E0810");
    assert_eq!(Surface::ChatCompletions.path(), CHAT);
}

#[tokio::test]
async fn probes_metrics_and_handed_in_pages_need_no_key() {
    let site = Site::start().await;
    let mut stranger = site.client_with("").await;
    assert_eq!(stranger.get("/healthz").await.status, 200);
    let ready = stranger.get("/readyz").await;
    assert_eq!((ready.status, ready.json()["ledger"].as_str()), (200, Some("writing")));
    let metrics = stranger.get("/metrics").await;
    assert!(String::from_utf8_lossy(&metrics.body).contains("hermetic_requests_total"));
    assert_eq!(stranger.get("/manual").await.body, "<h1>");
    assert_eq!(stranger.post("/manual", "").await.code(), "E0802");
}

/// JSON as nobody prints it: spaces, number spellings and escapes that a parser would not give back.
fn odd_json() -> impl Strategy<Value = String> {
    let space = || prop_oneof![Just(""), Just(" "), Just("\n\t"), Just("\r\n ")];
    let value = prop_oneof![
        "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
        "\"([a-z ]|\\\\u00[0-9a-f]{2}|\\\\/|\\\\n|é|日){0,8}\"",
        "\\[(1\\.0, *2e0|)\\]",
        "(true|false|null|\\{ *\\})",
    ];
    (proptest::collection::vec((value, space(), space()), 0..6), space(), space()).prop_map(
        |(values, a, b)| {
            let extra: Vec<String> =
                values.iter().enumerate().map(|(i, (v, x, y))| format!("{x}\"k{i}\"{y}:{x}{v}{y}")).collect();
            let comma = if extra.is_empty() { "" } else { "," };
            format!(
                "{a}{{{b}\"model\"{a}:{b}\"chat-model\"{a},\"messages\":{b}[]{comma}{}{a}}}{b}",
                extra.join(",")
            )
        },
    )
}

#[test]
fn bytes_that_nothing_changed_arrive_unchanged_both_ways() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut site, mut client) = runtime.block_on(async {
        let site = Site::start().await;
        let client = site.client().await;
        (site, client)
    });
    let mut runner = TestRunner::new(Config { cases: 64, ..Config::default() });
    let cell = std::cell::RefCell::new((&mut site, &mut client));
    runner
        .run(&(odd_json(), proptest::collection::vec(any::<u8>(), 0..4000)), |(sent, answered)| {
            let (site, client) = &mut *cell.borrow_mut();
            let answer = runtime.block_on(async {
                let ((answer, ()), ()) = (
                    tokio::join!(client.post(CHAT, sent.clone()), async {
                        let received = site.engine.next().await;
                        assert_eq!(received.body, sent);
                        let answering = received.begin(200, "application/json");
                        answered.chunks(700).for_each(|piece| answering.send(piece.to_vec()));
                    }),
                    (),
                );
                answer
            });
            prop_assert_eq!(answer.body, answered);
            Ok(())
        })
        .unwrap();
}
