//! Keys and tokens as operators and applications meet them: the command line, a service that runs, its log.

use crate::client::{self, Answer};
use crate::enclave::Enclave;
use crate::issuer::{Issuer, is_installed};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Child;

/// An engine that gives everybody the same answer. Ends with the test process.
fn engine() -> u16 {
    const ANSWER: &str = r#"{"id":"x","object":"chat.completion","created":7,"model":"big","choices":[{"index":0,"finish_reason":"stop","logprobs":null,"message":{"role":"assistant","content":"hi","refusal":null}}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut request = Vec::new();
                let mut piece = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut piece) {
                    request.extend_from_slice(&piece[..read]);
                    if request.ends_with(b"]}") {
                        let length = ANSWER.len();
                        let head = format!(
                            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
                        );
                        let _ = stream.write_all(format!("{head}{ANSWER}").as_bytes());
                        request.clear();
                    }
                }
            });
        }
    });
    port
}

fn models(engine: u16) -> String {
    format!(
        "models:\n  - {{ name: chat, endpoint: \"http://127.0.0.1:{engine}/v1\" }}\n  - {{ name: other, endpoint: \"http://127.0.0.1:{engine}/v1\" }}\n"
    )
}

fn ask(enclave: &Enclave, credential: &str, model: &str) -> Answer {
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer {credential}\r\ncontent-type: application/json\r\n"
    );
    let body = format!("{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hi\"}}]}}");
    client::send(enclave.port, &head, &body).expect("a whole answer")
}

fn code(answer: &Answer) -> String {
    if answer.status == 200 {
        return "in".to_owned();
    }
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    body["error"]["code"].as_str().unwrap().to_owned()
}

fn create(enclave: &Enclave, more: &[&str]) -> Value {
    let words =
        ["api-key", "create", "--subject", "tester", "--project", "demo", "--team", "t", "--workflow", "w"];
    enclave.json(&words.iter().chain(more).copied().collect::<Vec<_>>())
}

fn stop(mut serving: Child) {
    kill_process(Pid::from_child(&serving), Signal::TERM).unwrap();
    assert!(serving.wait().unwrap().success());
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}")).to_owned()
}

#[test]
fn a_key_is_limited_rotated_with_overlap_and_revoked_while_the_service_runs() {
    // The test asks again and again until the service has looked at the database; nobody is to be slowed down for it.
    let exempt = "identity: { throttle: { exempt: [127.0.0.0/8] } }\n";
    let enclave = Enclave::bare(&format!("{exempt}{}", models(engine())));
    let old = create(
        &enclave,
        &["--model", "ch*", "--group", "analysts", "--clearance", "internal", "--metadata", "cost-centre=42"],
    );
    let serving = enclave.serve();
    let first = ask(&enclave, &text(&old, "key"), "chat");
    assert_eq!(code(&first), "in", "{}", first.body);
    assert_eq!(code(&ask(&enclave, &text(&old, "key"), "other")), "E0908");
    let new = enclave.json(&["api-key", "rotate", &text(&old, "id"), "--overlap", "1h"]);
    // Until the service has looked at the database, the new key is unknown to it.
    while code(&ask(&enclave, &text(&new, "key"), "chat")) == "E0903" {}
    assert_eq!(code(&ask(&enclave, &text(&new, "key"), "other")), "E0908", "the limits go along");
    assert_eq!(code(&ask(&enclave, &text(&old, "key"), "chat")), "in", "both work");
    enclave.run(&["api-key", "revoke", &text(&old, "id")]);
    while code(&ask(&enclave, &text(&old, "key"), "chat")) != "E0905" {}
    assert_eq!(code(&ask(&enclave, &text(&new, "key"), "chat")), "in");
    let shown = enclave.json(&["audit", "show", &first.request.clone().unwrap()]);
    let credential = &shown[0]["record"]["event"]["credential"];
    assert_eq!((text(credential, "kind"), text(credential, "key")), ("api-key".to_owned(), text(&old, "id")));
    stop(serving);
    let keys = enclave.json(&["api-key", "list"]);
    let (first, second) = (&keys[0], &keys[1]);
    assert_eq!((text(first, "state"), text(second, "state")), ("revoked".to_owned(), "in force".to_owned()));
    assert_eq!(
        (text(first, "rotated_to"), text(second, "rotated_from")),
        (text(second, "id"), text(first, "id"))
    );
    assert_eq!(
        (&second["groups"][0], &second["clearance"]),
        (&Value::from("analysts"), &Value::from("internal"))
    );
    assert!(
        text(first, "last_used").ends_with(":00.000Z") && text(second, "last_used").ends_with(":00.000Z")
    );
    let rotated = enclave.records().into_iter().map(|record| record["record"]["event"].clone());
    let rotated = rotated.into_iter().find(|event| event["kind"] == "api-key.rotated").expect("on record");
    assert_eq!((text(&rotated, "key"), text(&rotated, "successor")), (text(first, "id"), text(second, "id")));
}

#[test]
fn a_token_of_a_configured_issuer_lets_in_until_it_is_revoked_and_no_secret_reaches_the_log() {
    if !is_installed() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let issuer = Issuer::start(0);
    let more = format!(
        "log: {{ level: trace }}\nidentity:\n  throttle: {{ exempt: [127.0.0.0/8] }}\n  issuers:\n    - issuer: \"{}\"\n      audience: [\"urn:hermetic\"]\n      claims: {{ project: demo, team: t, workflow: \"{{client_id}}\", groups: groups, clearance: \"{{clearance}}\" }}\n{}",
        issuer.name,
        models(engine())
    );
    let enclave = Enclave::bare(&more);
    let key = text(&create(&enclave, &[]), "key");
    let token = runtime.block_on(issuer.token("triage", "urn:hermetic"));
    let elsewhere = runtime.block_on(issuer.token("triage", "urn:elsewhere"));
    let serving = enclave.serve();
    assert_eq!(code(&ask(&enclave, &key, "chat")), "in");
    let answer = ask(&enclave, &token, "chat");
    assert_eq!(code(&answer), "in", "{}", answer.body);
    assert_eq!(code(&ask(&enclave, &elsewhere, "chat")), "E0968");
    let mut wrong = key.clone();
    wrong.replace_range(30..31, if &wrong[30..31] == "A" { "B" } else { "A" });
    assert_eq!(code(&ask(&enclave, &wrong, "chat")), "E0903");
    enclave.run(&["token", "revoke", "--issuer", &issuer.name, "--subject", "triage"]);
    while code(&ask(&enclave, &token, "chat")) != "E0971" {}
    assert_eq!(text(&enclave.json(&["token", "list"])[0], "subject"), "triage");
    stop(serving);
    let log = std::fs::read_to_string(enclave.path("serve.log")).unwrap();
    assert!(
        log.contains("an issuer's keys changed") && log.contains("stopping"),
        "it is the log of all this: {log}"
    );
    for secret in [&key[20..], &wrong[20..], &token, &elsewhere] {
        assert!(!log.contains(secret), "no key and no token in the log");
        assert!(!log.contains(secret.rsplit('.').next().unwrap()), "nor a signature");
    }
    let records = serde_json::to_string(&enclave.records()).unwrap();
    assert!(records.contains("E0968") && records.contains("E0971") && records.contains("token.revoked"));
    for secret in [&key[20..], &wrong[20..], &token, &elsewhere] {
        assert!(!records.contains(secret), "nor in a record");
    }
}
