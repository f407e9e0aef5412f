//! Requests that are turned away, each with its own code, none of them on the engine's time.

use crate::client::{CHAT, chat};
use crate::site::Site;
use hermetic_identity::Credential;
use std::time::Duration;

#[tokio::test]
async fn callers_without_a_key_in_force_are_told_which_and_nothing_more() {
    let mut site = Site::start().await;
    let expired = site.issue_key("carol", "demo", Some(1_795_000_000_100));
    let revoked = site.issue_key("dave", "demo", None);
    site.clock.advance(Duration::from_millis(100));
    let id: String = format!("key_{}", &revoked[3..19]);
    site.metadata.revoke_api_key(&id.parse().unwrap(), 7, "mara").unwrap();
    let unknown = format!("{}_{}", "hk_0000000000000000", "A".repeat(43));
    let mut wrong_secret = site.key.clone();
    wrong_secret.replace_range(25..26, if &wrong_secret[25..26] == "A" { "B" } else { "A" });
    let cases = [
        ("sk-123", "E0902"),
        (&*unknown, "E0903"),
        (&*wrong_secret, "E0903"),
        (&*expired, "E0904"),
        (&*revoked, "E0905"),
    ];
    for (key, code) in cases {
        // Until the gateway has looked at the database, keys just made are unknown to it.
        let answer = loop {
            let mut client = site.client_with(key).await;
            let answer = tokio::select! {
                answer = client.post(CHAT, chat("chat-model", false)) => answer,
                // The gateway looked between the making of the key and its revocation; a later look sees both.
                received = site.engine.next() => {
                    drop(client);
                    received.given_up().await;
                    continue;
                }
            };
            if code == "E0903" || answer.code() != "E0903" {
                break answer;
            }
        };
        assert_eq!((answer.status, answer.code().as_str()), (401, code), "{key}");
        assert_eq!(answer.json()["error"]["type"], "authentication_error");
        assert!(
            !String::from_utf8_lossy(&answer.body).contains(key.get(25..).unwrap_or("sk-123")),
            "no key in an error"
        );
    }
    let mut client = site.client().await;
    let mut request = client.request(CHAT, chat("chat-model", false));
    request.headers_mut().remove("authorization");
    let answer = crate::client::whole(client.send(request).await).await;
    assert_eq!(answer.code(), "E0901");
    assert!(site.engine.nothing_arrived());
    let refused = site.refused_identities().await;
    let firsts = |code: &str| refused.iter().filter(|one| one.code == code && one.request.is_some()).count();
    for code in ["E0901", "E0902", "E0903", "E0904", "E0905"] {
        assert_eq!(firsts(code), 1, "each is on record once, at once: {code}");
    }
    let unknown = refused.iter().find(|one| one.code == "E0903").unwrap();
    assert_eq!((unknown.source.as_str(), unknown.credential.is_none()), ("127.0.0.1", true));
    assert!(unknown.claimed_key.is_some());
    let revoked = refused.iter().find(|one| one.code == "E0905").unwrap();
    assert_eq!(revoked.credential, Some(Credential::ApiKey { key: id.parse().unwrap() }));
    let counted: u64 = refused.iter().filter(|one| one.request.is_none()).map(|one| one.attempts).sum();
    assert!(counted >= 1, "the second unknown key is counted");
}

#[tokio::test]
async fn bodies_that_are_no_requests_are_refused_with_the_place_and_the_field() {
    let mut site = Site::start().await;
    let mut client = site.client().await;
    let deep = format!("{{\"model\":\"chat-model\",\"messages\":{}{}}}", "[".repeat(500), "]".repeat(500));
    let cases: [(&[u8], &str, Option<&str>); 10] = [
        (b"", "E0806", None),
        (b"{\"model\":\"chat-model\",\"messages\":[]", "E0806", None),
        (b"{\"model\":\"chat-model\",\"messages\":[],}", "E0806", None),
        (b"{\"model\":\"chat-\xff\",\"messages\":[]}", "E0806", None),
        (b"[1]", "E0806", None),
        (deep.as_bytes(), "E0807", None),
        (b"{\"model\":\"a\",\"messages\":[],\"mod\\u0065l\":\"b\"}", "E0808", Some("model")),
        (b"{\"messages\":[]}", "E0809", Some("model")),
        (b"{\"model\":\"chat-model\"}", "E0809", Some("messages")),
        (b"{\"model\":\"chat-model\",\"messages\":[],\"stream\":1}", "E0809", Some("stream")),
    ];
    for (body, code, field) in cases {
        let answer = client.post(CHAT, body.to_vec()).await;
        let shown = String::from_utf8_lossy(body);
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{shown}");
        assert_eq!(answer.json()["error"]["param"].as_str(), field, "{shown}");
        assert_eq!(answer.headers["x-should-retry"], "false");
    }
    assert!(site.engine.nothing_arrived());
}

#[tokio::test]
async fn models_that_cannot_answer_are_told_apart() {
    let mut site = Site::start().await;
    let mut client = site.client().await;
    for (model, status, code, retry_after) in [
        ("chat-modle", 404, "E0810", None),
        ("embed-model", 400, "E0811", None),
        ("starting-model", 503, "E0812", Some("5")),
        ("failed-model", 503, "E0813", Some("30")),
    ] {
        let answer = client.post(CHAT, chat(model, false)).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{model}");
        assert_eq!(answer.headers.get("retry-after").map(|v| v.to_str().unwrap()), retry_after, "{model}");
    }
    let unknown = client.post(CHAT, chat("chat-modle", false)).await.json();
    let message = unknown["error"]["message"].as_str().unwrap();
    assert!(message.contains("chat-model") && !message.contains("secret-model"), "{message}");
    assert!(site.engine.nothing_arrived());
}

#[tokio::test]
async fn paths_methods_and_media_types_that_are_not_ours_are_refused() {
    let site = Site::start().await;
    let mut client = site.client().await;
    assert_eq!(client.get("/v1/nothing").await.code(), "E0801");
    assert_eq!(client.post("/elsewhere", "{}").await.code(), "E0801");
    let get = client.get(CHAT).await;
    assert_eq!(
        (get.status, get.code().as_str(), &get.headers["allow"]),
        (405, "E0802", &"POST".parse().unwrap())
    );
    for (name, value) in [("content-type", "text/plain"), ("content-encoding", "gzip")] {
        let mut request = client.request(CHAT, chat("chat-model", false));
        request.headers_mut().insert(name, value.parse().unwrap());
        let answer = crate::client::whole(client.send(request).await).await;
        assert_eq!((answer.status, answer.code().as_str()), (415, "E0803"), "{name}");
    }
}
