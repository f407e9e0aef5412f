//! What stands in the ledger, and that there is no answer without it.

use crate::client::{CHAT, chat, piece, whole};
use crate::site::{SECRET, Site, weights};
use hermetic_gateway::{CommitmentSecret, Durability, Salt, commit};
use hermetic_ledger::record::{Event, Outcome};
use hermetic_ledger_store::Window;
use std::time::Duration;

#[tokio::test]
async fn both_records_say_who_asked_what_under_which_policy_and_commit_to_both_texts() {
    let mut site = Site::start().await;
    let mut client = site.client().await;
    let sent = chat("chat-model", false);
    let answered =
        r#"{"choices":[{"finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    let (answer, ()) = tokio::join!(client.post(CHAT, sent.clone()), async {
        site.engine.next().await.answer(200, "application/json", answered);
    });
    let records = site.records_after_drain().await;
    let [Event::RequestAdmitted(admitted), Event::RequestSettled(settled)] = records.as_slice() else {
        panic!("{records:?}")
    };
    assert_eq!(answer.headers["x-request-id"], admitted.request.to_string());
    assert_eq!((admitted.request, settled.admitted), (settled.request, 0));
    assert_eq!((admitted.owner.subject.as_str(), admitted.owner.project.as_str()), ("alice", "demo"));
    assert_eq!((admitted.surface.as_str(), admitted.model.as_str()), ("chat.completions", "chat-model"));
    assert_eq!(
        (admitted.model_digest, admitted.policies.as_slice()),
        (Some(weights()), &["demo-may-infer".to_owned()][..])
    );
    assert_eq!((settled.outcome, settled.status), (Outcome::Completed, 200));
    assert_eq!(settled.finish_reason.as_deref(), Some("length"));
    let secret = CommitmentSecret::from_bytes(&SECRET);
    assert_eq!(admitted.prompt, commit(&secret.salt(admitted.request, Salt::Prompt), sent.as_bytes()));
    assert_eq!(settled.answer, commit(&secret.salt(settled.request, Salt::Answer), answered.as_bytes()));
    assert_eq!((admitted.prompt_bytes, settled.answer_bytes), (sent.len() as u64, answered.len() as u64));
}

#[tokio::test]
async fn no_record_no_answer() {
    let mut site = Site::start().await;
    let mut client = site.client().await;
    site.ledger.close();
    for stream in [false, true] {
        let answer = client.post(CHAT, chat("chat-model", stream)).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "E0617"));
        assert_eq!(answer.headers["x-should-retry"], "true");
    }
    // Whether the engine was already called is its own affair; its answer goes nowhere.
    let _ = site.engine.nothing_arrived();
}

#[tokio::test]
async fn an_answer_that_cannot_be_settled_is_not_given() {
    let mut site = Site::start().await;
    let mut client = site.client().await;
    let ledger = site.ledger.clone();
    let request = client.request(CHAT, chat("chat-model", true));
    // A stream shows that the request was admitted; then the ledger goes.
    let (mut response, engine) = tokio::join!(client.send(request), async {
        let engine = site.engine.next().await.stream();
        engine.send("data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n");
        engine
    });
    piece(&mut response).await.unwrap();
    ledger.close();
    engine.send("data: [DONE]\n\n");
    let rest = String::from_utf8(whole(response).await.body.to_vec()).unwrap();
    assert!(rest.contains("E0617") && !rest.contains("[DONE]"), "{rest}");
}

#[tokio::test]
async fn a_refusal_by_policy_is_on_record_before_it_is_answered_and_costs_the_engine_nothing() {
    let mut site = Site::start().await;
    let mut client = site.client().await;
    let answer = client.post(CHAT, chat("secret-model", false)).await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "E0921"));
    assert_eq!(site.durable(), 1);
    let stranger = site.issue_key("bob", "other", None);
    let mut stranger = {
        // The key takes effect when the gateway has looked; a refusal before that is "unknown".
        loop {
            let mut client = site.client_with(&stranger).await;
            let answer = client.post(CHAT, chat("chat-model", false)).await;
            if answer.status == 403 {
                assert_eq!(answer.code(), "E0920");
                break client;
            }
            assert_eq!(answer.code(), "E0903");
        }
    };
    let _ = stranger.get("/healthz").await;
    assert!(site.engine.nothing_arrived());
    let mut records = site.records_after_drain().await;
    // Of the time in which the stranger's key was not known yet.
    records.retain(|event| !matches!(event, Event::IdentityRefused(_)));
    let [Event::RequestRefused(first), Event::RequestRefused(second)] = records.as_slice() else {
        panic!("{records:?}")
    };
    assert_eq!((first.code.as_str(), first.status, first.model.as_str()), ("E0921", 403, "secret-model"));
    assert_eq!(first.policies, ["nobody-may-use-the-secret-model"]);
    assert_eq!((second.owner.subject.as_str(), second.code.as_str()), ("bob", "E0920"));
}

#[tokio::test]
async fn an_engine_that_cannot_be_reached_is_settled_as_failed() {
    let mut site = Site::start().await;
    let mut client = site.client().await;
    let answer = client.post(CHAT, chat("gone-model", false)).await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "E0814"));
    let records = site.records_after_drain().await;
    assert!(
        matches!(&records[1], Event::RequestSettled(s) if s.outcome == Outcome::EngineFailed && s.status == 502)
    );
}

#[tokio::test]
async fn relaxed_records_stand_in_the_same_order_and_say_the_same() {
    let window = Window { records: 100, age: Duration::from_secs(3600) };
    let mut site = Site::start_with(|options| options.durability = Durability::Relaxed(window)).await;
    let mut client = site.client().await;
    for stream in [false, true] {
        let (answer, ()) = tokio::join!(client.post(CHAT, chat("chat-model", stream)), async {
            site.engine.next().await.answer(200, "application/json", "{}");
        });
        assert_eq!(answer.status, 200);
    }
    let records = site.records_after_drain().await;
    let settles: Vec<u64> = records
        .iter()
        .filter_map(
            |event| if let Event::RequestSettled(settled) = event { Some(settled.admitted) } else { None },
        )
        .collect();
    assert_eq!((records.len(), settles), (4, vec![0, 2]));
}

#[tokio::test]
async fn a_window_that_is_full_refuses_nobody() {
    let window = Window { records: 0, age: Duration::from_secs(3600) };
    let mut site = Site::start_with(|options| options.durability = Durability::Relaxed(window)).await;
    let mut client = site.client().await;
    let (answer, ()) = tokio::join!(client.post(CHAT, chat("chat-model", false)), async {
        site.engine.next().await.answer(200, "application/json", "{}");
    });
    assert_eq!((answer.status, site.records_after_drain().await.len()), (200, 2));
}

#[tokio::test]
async fn a_ledger_that_is_gone_means_no_answer_in_relaxed_mode_too() {
    let window = Window { records: 100, age: Duration::from_secs(3600) };
    let site = Site::start_with(|options| options.durability = Durability::Relaxed(window)).await;
    let mut client = site.client().await;
    site.ledger.close();
    let answer = client.post(CHAT, chat("chat-model", false)).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "E0617"));
}
