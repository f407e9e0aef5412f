//! What holds on every surface there is, and on the next one before it is finished: the fixtures below do not compile
//! without it, and each claim is made of all.

use crate::budgets::rule;
use crate::client::{Answer, Client, metric, whole};
use crate::site::{Site, planned, route};
use crate::streams::settled;
use bytes::Bytes;
use hermetic_gateway::{Limiting, ModelTerms, Target};
use hermetic_inference_api::{Call, Form, Surface};
use hermetic_ledger::record::Event;
use hermetic_limits::{RuleSet, Unit};
use hermetic_policy::{Authorizer, Levels, Policies, PolicyFile};
use http_body_util::Full;
use std::collections::HashMap;
use std::sync::Arc;

const FORM: &str = "multipart/form-data; boundary=formboundary";

/// The least a caller can say to `model`.
fn least(surface: Surface, model: &str) -> String {
    match surface {
        Surface::ChatCompletions => {
            format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}],"x":1.0e0}}"#)
        }
        Surface::Completions => format!(r#"{{"model":"{model}","prompt":"hi","x":1.0e0}}"#),
        Surface::Embeddings => format!(r#"{{"model":"{model}","input":"hi","x":1.0e0}}"#),
        Surface::Messages => {
            format!(r#"{{"model":"{model}","max_tokens":9,"messages":[{{"role":"user","content":"hi"}}]}}"#)
        }
        Surface::Responses => format!(r#"{{"model":"{model}","input":"hi"}}"#),
        Surface::Rerank => format!(r#"{{"model":"{model}","query":"hi","documents":["a","b"],"x":1.0e0}}"#),
        Surface::ImageGenerations => format!(r#"{{"model":"{model}","prompt":"a cat","x":1.0e0}}"#),
        Surface::Transcriptions | Surface::Translations => form(model, "file"),
        Surface::ImageEdits => form(model, "image[]"),
    }
}

fn form(model: &str, file: &str) -> String {
    let part = |head: &str, value: &str| {
        format!("--formboundary\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n")
    };
    let parts = [
        part(&format!("name=\"{file}\"; filename=\"f.bin\""), "bytes"),
        part("name=\"model\"", model),
        part("name=\"prompt\"", "hi"),
    ];
    format!("{}--formboundary--\r\n", parts.concat())
}

/// What an engine answers, with 3 tokens read and, where something is generated, 1 made.
fn answer_to(call: Call) -> &'static str {
    match call {
        Call::Chat => {
            r#"{"id":"x","object":"chat.completion","created":7,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}"#
        }
        Call::Completion => {
            r#"{"id":"x","object":"text_completion","created":7,"model":"m","choices":[{"index":0,"text":"hello","finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}"#
        }
        Call::Embedding => {
            r#"{"object":"list","data":[],"model":"m","usage":{"prompt_tokens":3,"total_tokens":3}}"#
        }
        Call::Rerank => {
            r#"{"id":"x","model":"m","results":[{"index":1,"relevance_score":0.5}],"usage":{"total_tokens":3}}"#
        }
        Call::Transcription | Call::Translation => {
            r#"{"text":"hello","usage":{"type":"tokens","input_tokens":3,"output_tokens":1,"total_tokens":4}}"#
        }
        Call::ImageGeneration | Call::ImageEdit => {
            r#"{"created":7,"data":[{"b64_json":"aGk="}],"usage":{"input_tokens":3,"output_tokens":1,"total_tokens":4}}"#
        }
    }
}

/// A gateway with a model for every surface, called as its kind is.
async fn site(limiting: Limiting, policy: &str) -> Site {
    let policy = PolicyFile { name: "test.cedar".to_owned(), text: policy.to_owned() };
    let mut site = Site::start_parts(|parts| {
        parts.limiting = Arc::new(limiting);
        parts.authorizer = Arc::new(Authorizer::new(Policies::load(&[policy], &Levels::default()).unwrap()));
    })
    .await;
    let path = site.folder.path().join("other.sock");
    site.engine = crate::engine::Engine::on_unix(&path);
    let target = Arc::new(Target::unix(path));
    for kind in hermetic_gateway::ModelKind::ALL {
        site.serve(route(kind.as_str(), kind, planned("engine", &target)));
    }
    site
}

const ALL: &str = r#"@id("all") permit (principal, action in Action::"infer", resource);"#;

/// The least a caller can say on the surface, in the form it takes.
fn request(client: &Client, (surface, path): (Surface, &str), model: &str) -> http::Request<Full<Bytes>> {
    let mut request = client.request(path, least(surface, model));
    if surface.call().form() == Form::Multipart {
        request.headers_mut().insert("content-type", FORM.parse().unwrap());
    }
    request
}

async fn ask(site: &mut Site, surface: Surface, path: &str) -> Answer {
    let mut client = site.client().await;
    let sent = least(surface, surface.kind().as_str());
    let request = request(&client, (surface, path), surface.kind().as_str());
    let (response, ()) = tokio::join!(client.send(request), async {
        let received = site.engine.next().await;
        assert_eq!(received.path, surface.call().path());
        if !surface.is_translated() {
            assert_eq!(received.body, sent.as_bytes(), "{}: forwarded as it came", surface.as_str());
        }
        let form = surface.call().form() == Form::Multipart;
        let content_type = if form { FORM } else { "application/json" };
        assert_eq!(received.headers["content-type"], content_type);
        received.answer(200, "application/json", answer_to(surface.call()));
    });
    whole(response).await
}

#[tokio::test]
async fn every_surface_is_answered_recorded_and_counted() {
    for surface in Surface::ALL {
        let mut site = site(Limiting::none(), ALL).await;
        let name = surface.as_str();
        let answer = ask(&mut site, surface, surface.path()).await;
        assert_eq!(answer.status, 200, "{name}: {:?}", answer.body);
        if !surface.is_translated() {
            assert_eq!(answer.body, answer_to(surface.call()).as_bytes(), "{name}: handed on as it came");
        }
        let mut client = site.client().await;
        let requests = format!("hermetic_requests_total{{surface=\"{name}\",outcome=\"completed\"}}");
        assert_eq!(metric(&mut client, &requests).await, 1);
        drop(client);
        let records = site.records_after_drain().await;
        let Some(Event::RequestAdmitted(admitted)) = records.first() else { panic!("{name}: {records:?}") };
        let sent = least(surface, surface.kind().as_str());
        assert_eq!((admitted.surface.as_str(), admitted.prompt_bytes), (name, sent.len() as u64));
        let settled = settled(&records);
        assert_eq!((settled.usage.input_tokens, settled.answer_bytes), (Some(3), answer.body.len() as u64));
    }
}

#[tokio::test]
async fn every_other_path_of_a_surface_is_the_same_surface() {
    for surface in Surface::ALL {
        for path in surface.aliases() {
            let mut site = site(Limiting::none(), ALL).await;
            assert_eq!(ask(&mut site, surface, path).await.status, 200, "{path}");
        }
    }
}

#[tokio::test]
async fn every_surface_is_held_to_limits_and_charged_what_it_used() {
    for surface in Surface::ALL {
        let name = surface.as_str();
        let rules =
            vec![rule("twice", Unit::Requests, "day", 2), rule("tokens", Unit::InputTokens, "day", 1 << 40)];
        let limiting = Limiting::new(RuleSet::new(rules).unwrap(), HashMap::<_, ModelTerms>::new(), 1_000);
        let mut site = site(limiting, ALL).await;
        for _ in 0..2 {
            assert_eq!(ask(&mut site, surface, surface.path()).await.status, 200, "{name}");
        }
        let mut client = site.client().await;
        let request = request(&client, (surface, surface.path()), surface.kind().as_str());
        let refused = whole(client.send(request).await).await;
        assert_eq!((refused.status, refused.code().as_str()), (429, "E0930"), "{name}: {:?}", refused.body);
        drop(client);
        let mut records = site.records_after_drain().await;
        assert!(matches!(records.pop(), Some(Event::RequestRefused(refused)) if refused.surface == name));
        let charged: Vec<u64> = settled(&records).charges.iter().map(|charge| charge.amount).collect();
        assert_eq!(charged, [1, 3], "{name}");
    }
}

#[tokio::test]
async fn every_surface_can_be_forbidden_by_its_name_and_the_refusal_is_on_record() {
    for surface in Surface::ALL {
        let name = surface.as_str();
        let policy =
            format!("{ALL}\n@id(\"not-this\") forbid (principal, action == Action::\"{name}\", resource);");
        let mut site = site(Limiting::none(), &policy).await;
        let mut client = site.client().await;
        let request = request(&client, (surface, surface.path()), surface.kind().as_str());
        let refused = whole(client.send(request).await).await;
        assert_eq!(refused.status, 403, "{name}: {:?}", refused.body);
        drop(client);
        let records = site.records_after_drain().await;
        let [Event::RequestRefused(refused)] = records.as_slice() else { panic!("{name}: {records:?}") };
        assert_eq!(
            (refused.surface.as_str(), refused.policies.as_slice()),
            (name, ["not-this".to_owned()].as_slice())
        );
    }
}

#[tokio::test]
async fn a_model_is_refused_on_the_surfaces_of_other_kinds() {
    let site = site(Limiting::none(), ALL).await;
    let mut client = site.client().await;
    for surface in Surface::ALL {
        for kind in hermetic_gateway::ModelKind::ALL.into_iter().filter(|kind| *kind != surface.kind()) {
            let request = request(&client, (surface, surface.path()), kind.as_str());
            let refused = whole(client.send(request).await).await;
            assert_eq!(
                (refused.status, refused.code().as_str()),
                (400, "E0811"),
                "{} {kind}",
                surface.as_str()
            );
        }
    }
}

#[test]
fn every_surface_stands_in_the_manual() {
    let manual = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let read = |page: &str| std::fs::read_to_string(manual.join(page)).unwrap();
    let (surfaces, policy) = (read("surfaces.md"), read("policy.md"));
    for surface in Surface::ALL {
        for word in [&[surface.as_str(), surface.path()], surface.aliases()].concat() {
            assert!(surfaces.contains(&format!("`{word}`")), "docs/surfaces.md does not name {word}");
        }
        assert!(policy.contains(surface.as_str()), "docs/policy.md does not name {}", surface.as_str());
    }
}
