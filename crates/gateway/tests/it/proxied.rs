//! Surfaces that only other servers answer: reranking, speech, pictures; and questions about tokens.

use crate::budgets::rule;
use crate::client::{Client, whole};
use crate::site::{Site, planned, route};
use crate::streams::settled;
use hermetic_gateway::{Limiting, ModelKind, ModelTerms, PlannedTarget, Target};
use hermetic_limits::{RuleSet, Unit};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

const SPEECH: &str = "/v1/audio/transcriptions";

fn part(head: &str, value: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n")
}

fn recording(parts: &[String]) -> String {
    format!("{}{}--b--\r\n", part("name=\"file\"; filename=\"a.wav\"", &"x".repeat(8_000)), parts.concat())
}

fn spoken(client: &Client, body: String) -> http::Request<http_body_util::Full<bytes::Bytes>> {
    let mut request = client.request(SPEECH, body);
    request.headers_mut().insert("content-type", "multipart/form-data; boundary=b".parse().unwrap());
    request
}

/// A model of this kind, which its server knows as `org/model`.
async fn site(kind: ModelKind, unit: Unit) -> Site {
    let rules = RuleSet::new(vec![rule("tokens", unit, "day", 100_000)]).unwrap();
    let limiting = Limiting::new(rules, HashMap::<_, ModelTerms>::new(), 1_000);
    let mut site = Site::start_parts(|parts| parts.limiting = Arc::new(limiting)).await;
    let path = site.folder.path().join("other.sock");
    site.engine = crate::engine::Engine::on_unix(&path);
    let there = planned("engine", &Arc::new(Target::unix(path)));
    site.serve(route("model", kind, PlannedTarget { upstream_name: Some("org/model".to_owned()), ..there }));
    site
}

async fn charged(site: &mut Site) -> u64 {
    let records = site.records_after_drain().await;
    settled(&records).charges.first().unwrap().amount
}

#[tokio::test]
async fn only_the_name_of_the_model_is_changed_in_a_form() {
    let mut site = site(ModelKind::Transcription, Unit::InputTokens).await;
    let mut client = site.client().await;
    let body = |model: &str| recording(&[part("name=\"model\"", model), part("name=\"language\"", "de")]);
    let request = spoken(&client, body("model"));
    let (response, ()) = tokio::join!(client.send(request), async {
        let received = site.engine.next().await;
        assert_eq!(received.body, body("org/model").as_bytes());
        received.answer(
            200,
            "application/json",
            r#"{"text":"hallo","usage":{"type":"duration","seconds":2}}"#,
        );
    });
    assert_eq!(whole(response).await.json()["text"], "hallo");
    drop(client);
    assert_eq!(charged(&mut site).await, 100, "fifty tokens a second");
}

#[tokio::test]
async fn speech_whose_length_nobody_tells_costs_what_was_held() {
    let mut site = site(ModelKind::Transcription, Unit::InputTokens).await;
    let mut client = site.client().await;
    let body = recording(&[part("name=\"model\"", "model"), part("name=\"response_format\"", "text")]);
    let around = body.len() as u64 - 8_000;
    let request = spoken(&client, body);
    let (response, ()) = tokio::join!(client.send(request), async {
        site.engine.next().await.answer(200, "text/plain; charset=utf-8", "hallo");
    });
    let answer = whole(response).await;
    assert_eq!(
        (answer.status, &answer.headers["content-type"]),
        (200, &"text/plain; charset=utf-8".parse().unwrap())
    );
    assert_eq!(answer.body, "hallo");
    drop(client);
    assert_eq!(charged(&mut site).await, 1_000 + around, "a token for eight bytes of sound");
}

#[tokio::test]
async fn a_transcript_counts_as_the_text_it_is() {
    for (media, told) in [("text/plain", "hallo"), ("application/json", r#"{"text":"hallo"}"#)] {
        let mut site = site(ModelKind::Transcription, Unit::OutputTokens).await;
        let mut client = site.client().await;
        let request = spoken(&client, recording(&[part("name=\"model\"", "model")]));
        let (response, ()) = tokio::join!(client.send(request), async {
            site.engine.next().await.answer(200, media, told);
        });
        assert_eq!(whole(response).await.status, 200);
        drop(client);
        assert_eq!(charged(&mut site).await, 6, "five bytes, and an end");
    }
}

#[tokio::test]
async fn forms_that_could_be_read_two_ways_never_reach_an_engine() {
    let site = site(ModelKind::Transcription, Unit::InputTokens).await;
    let mut client = site.client().await;
    let cheap = || part("name=\"model\"", "model");
    for (body, code) in [
        (recording(&[cheap(), part("name=\"model\"", "secret-model")]), "E0808"),
        (recording(&[cheap(), part("name=\"MODEL\"", "secret-model")]), "E0808"),
        (format!("x\r\n{}", recording(&[cheap()])), "E0806"),
        (recording(&[cheap(), part("name=\"prompt\"", "a\n--b\nb")]), "E0806"),
        (recording(&[cheap(), part("name=\"stream\"", "true")]), "E0809"),
        (recording(&[]), "E0809"),
    ] {
        let request = spoken(&client, body.clone());
        let refused = whole(client.send(request).await).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, code), "{body}");
        client = site.client().await;
    }
    let refused = client.post(SPEECH, r#"{"model":"model"}"#).await;
    assert_eq!((refused.status, refused.code().as_str()), (415, "E0803"));
    assert!(refused.json()["error"]["message"].as_str().unwrap().contains("multipart/form-data"));
}

#[tokio::test]
async fn pictures_cost_what_the_engine_says_or_what_was_held() {
    for (usage, expected) in [(r#","usage":{"input_tokens":2,"output_tokens":700}"#, 700), ("", 2 * 16_384)] {
        let mut site = site(ModelKind::Image, Unit::OutputTokens).await;
        let mut client = site.client().await;
        let asked = r#"{"model":"model","prompt":"a cat","n":2,"size":"64x64"}"#;
        let (answer, ()) = tokio::join!(client.post("/v1/images/generations", asked), async {
            let received = site.engine.next().await;
            assert_eq!(received.body, asked.replace("\"model\",", "\"org/model\",").as_bytes());
            received.answer(
                200,
                "application/json",
                format!(r#"{{"created":7,"data":[{{"b64_json":"aGk="}}]{usage}}}"#),
            );
        });
        assert_eq!(answer.status, 200);
        drop(client);
        assert_eq!(charged(&mut site).await, expected);
    }
}

#[tokio::test]
async fn a_query_is_held_for_with_every_document_and_charged_as_read() {
    let mut site = site(ModelKind::Rerank, Unit::InputTokens).await;
    let mut client = site.client().await;
    let asked = json!({"model": "model", "query": "q".repeat(30_000), "documents": ["a", "b", "c", "d"]});
    let refused = client.post("/v1/rerank", asked.to_string()).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "E0931"), "four times the query is too much");
    let asked = json!({"model": "model", "query": "q", "documents": ["a", {"text": "b"}], "top_n": 1});
    let (answer, ()) = tokio::join!(client.post("/v2/rerank", asked.to_string()), async {
        let received = site.engine.next().await;
        assert_eq!(received.path, "/v1/rerank");
        received.answer(
            200,
            "application/json",
            r#"{"results":[{"index":0,"relevance_score":1.5}],"usage":{"total_tokens":9}}"#,
        );
    });
    assert_eq!(answer.json()["results"][0]["relevance_score"], 1.5);
    drop(client);
    assert_eq!(charged(&mut site).await, 9);
}

async fn about_tokens(
    site: &mut Site,
    path: &str,
    asked: Value,
    engine: &[(&str, u16, Value)],
) -> (u16, Value) {
    let mut client = site.client().await;
    let (answer, ()) = tokio::join!(client.post(path, asked.to_string()), async {
        for (path, status, answer) in engine {
            let received = site.engine.next().await;
            assert_eq!(received.path, *path);
            received.answer(*status, "application/json", answer.to_string());
        }
    });
    (answer.status, answer.json())
}

#[tokio::test]
async fn tokens_are_told_in_one_shape_by_whichever_server() {
    let mut site = site(ModelKind::Chat, Unit::Requests).await;
    let text = json!({"model": "model", "prompt": "hi"});
    let vllm = json!({"count": 2, "max_model_len": 8, "tokens": [1, 2], "token_strs": null});
    let told = about_tokens(&mut site, "/tokenize", text.clone(), &[("/tokenize", 200, vllm.clone())]).await;
    assert_eq!(told, (200, vllm));
    let llama = [("/tokenize", 200, json!({"tokens": [1, 2]}))];
    let told = about_tokens(&mut site, "/tokenize", text, &llama).await;
    assert_eq!(told, (200, json!({"count": 2, "max_model_len": null, "tokens": [1, 2], "token_strs": null})));
    let chat = json!({"model": "model", "messages": [{"role": "user", "content": "hi"}]});
    let llama = [
        ("/tokenize", 200, json!({"tokens": []})),
        ("/apply-template", 200, json!({"prompt": "<s>hi"})),
        ("/tokenize", 200, json!({"tokens": [0, 1, 2]})),
    ];
    let told = about_tokens(&mut site, "/tokenize", chat, &llama).await;
    assert_eq!((told.0, &told.1["count"]), (200, &json!(3)));
    let back = json!({"model": "model", "tokens": [1, 2]});
    let told =
        about_tokens(&mut site, "/detokenize", back, &[("/detokenize", 200, json!({"content": "hi"}))]).await;
    assert_eq!(told, (200, json!({"prompt": "hi"})));
    assert_eq!(site.records_after_drain().await.len(), 0, "nothing was computed");
}

#[tokio::test]
async fn tokens_are_told_to_whoever_may_ask_the_model_and_to_nobody_else() {
    let mut site = Site::start().await;
    let mut client = site.client().await;
    let of = |model: &str| json!({"model": model, "prompt": "hi"}).to_string();
    let refused = client.post("/tokenize", of("secret-model")).await;
    assert_eq!(refused.status, 403);
    let unknown = client.post("/tokenize", of("nobody-knows")).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "E0810"));
    let nothing = client.post("/tokenize", r#"{"model":"chat-model"}"#).await;
    assert_eq!((nothing.status, &nothing.json()["error"]["param"]), (400, &json!("prompt")));
    let none = [("/tokenize", 404, json!({"error": {"message": "not found"}}))];
    let (status, body) =
        about_tokens(&mut site, "/tokenize", json!({"model": "embed-model", "prompt": "hi"}), &none).await;
    assert_eq!((status, &body["error"]["code"]), (501, &json!("E0825")));
}
