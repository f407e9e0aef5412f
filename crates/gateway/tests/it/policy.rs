//! What a request says of itself, and being told how it was decided.

use crate::client::{Answer, CHAT, Client, chat, whole};
use crate::site::Site;
use bytes::Bytes;
use hermetic_gateway::{ModelProfile, Route, RoutingTable, Runs};
use hermetic_ledger::record::Event;
use hermetic_policy::{Agreement, Commit, Levels, Policies, PolicyFile};
use std::sync::Arc;

const POLICY: &str = r#"
@id("demo-may-infer") permit (principal in Project::"demo", action in Action::"infer", resource);
@id("model-is-cleared") forbid (principal, action in Action::"infer", resource)
  when { context.classification.rank > resource.classification.rank };
@id("eu-only") forbid (principal, action in Action::"infer", resource)
  when { context.metadata.hasTag("region") && !(resource.hasTag("region") && resource.getTag("region") == context.metadata.getTag("region")) };
@id("alice-may-explain") permit (principal == Subject::"alice", action == Action::"explain", resource);
"#;

/// A site where `chat-model` is in canary, may see internal data and stands in the EU.
async fn site() -> Site {
    let site = Site::start().await;
    let file = PolicyFile { name: "test.cedar".to_owned(), text: POLICY.to_owned() };
    let commit = Commit { id: "c0ffee".to_owned(), agreement: Agreement::Dirty };
    let policies = Policies::load(&[file], &Levels::default()).unwrap().of_commit(Some(commit));
    site.authorizer.replace(policies);
    let name = "chat-model".parse().unwrap();
    let mut chat = Route::clone(site.routes.load().get(&name).unwrap());
    chat.profile = Arc::new(ModelProfile {
        labels: vec!["canary".parse().unwrap()],
        runs: Runs::Endpoint,
        classification: Some("internal".parse().unwrap()),
        tags: vec![("region".to_owned(), "eu".to_owned())],
    });
    site.routes.store(Arc::new(RoutingTable::new([chat])));
    site
}

async fn ask(client: &mut Client, headers: &[(&'static str, &str)], body: impl Into<Bytes>) -> Answer {
    let mut request = client.request(CHAT, body);
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    whole(client.send(request).await).await
}

fn chat_about(region: &str) -> String {
    format!(
        "{{\"model\":\"chat-model\",\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}],\"metadata\":{{\"region\":\"{region}\"}}}}"
    )
}

#[tokio::test]
async fn a_request_is_judged_by_its_classification_and_a_level_nobody_knows_is_refused() {
    let mut site = site().await;
    let mut client = site.client().await;
    let level = |level| [("x-hermetic-classification", level)];
    let above = ask(&mut client, &level("secret"), chat("chat-model", false)).await;
    assert_eq!((above.status, above.code().as_str()), (403, "E0921"));
    let unknown = ask(&mut client, &level("top"), chat("chat-model", false)).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (400, "E0915"));
    let twice = [("x-hermetic-classification", "public"), ("x-hermetic-classification", "secret")];
    let twice = ask(&mut client, &twice, chat("chat-model", false)).await;
    assert_eq!(twice.code(), "E0915");
    let internal = level("internal");
    let (answer, ()) = tokio::join!(ask(&mut client, &internal, chat("chat-model", false)), async {
        site.engine.next().await.answer(200, "application/json", "{}");
    });
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_record_holds_every_fact_the_decision_could_depend_on_and_the_commit() {
    let mut site = site().await;
    let mut client = site.client().await;
    let classified = [("x-hermetic-classification", "internal")];
    let (answer, ()) = tokio::join!(ask(&mut client, &classified, chat_about("eu")), async {
        site.engine.next().await.answer(200, "application/json", "{}");
    });
    assert_eq!(answer.status, 200);
    assert_eq!(ask(&mut client, &classified, chat_about("us")).await.code(), "E0921");
    let in_a_header = [("x-hermetic-metadata-region", "us")];
    assert_eq!(ask(&mut client, &in_a_header, chat("chat-model", false)).await.code(), "E0921");
    drop(client);
    let records = site.records_after_drain().await;
    let Event::RequestAdmitted(admitted) = &records[0] else { panic!("{records:?}") };
    let Some(Event::RequestRefused(refused)) = records.iter().find(|e| matches!(e, Event::RequestRefused(_)))
    else {
        panic!("{records:?}")
    };
    for (facts, region, commit) in
        [(&admitted.facts, "eu", &admitted.policy_commit), (&refused.facts, "us", &refused.policy_commit)]
    {
        assert_eq!(facts.classification.as_deref(), Some("internal"));
        assert_eq!(facts.metadata["region"], region);
        let model = facts.model.as_ref().unwrap();
        assert_eq!((model.kind.as_str(), model.target.as_str()), ("chat", "endpoint"));
        assert_eq!((model.labels[0].as_str(), model.tags["region"].as_str()), ("canary", "eu"));
        assert_eq!(model.classification.as_deref(), Some("internal"));
        let commit = commit.as_ref().unwrap();
        assert_eq!((commit.id.as_str(), commit.dirty, commit.unverified), ("c0ffee", true, false));
    }
    assert_eq!(refused.policies, ["eu-only"]);
    assert_eq!(refused.model_digest, admitted.model_digest);
}

#[tokio::test]
async fn whom_policy_permits_is_told_how_it_decided_and_nobody_else() {
    let mut site = site().await;
    let mut client = site.client().await;
    let explain = [("x-hermetic-explain", "true")];
    let told = |answer: &Answer| -> Option<serde_json::Value> {
        let header = answer.headers.get("x-hermetic-explain")?;
        Some(serde_json::from_str(header.to_str().unwrap()).unwrap())
    };
    let (answer, ()) = tokio::join!(ask(&mut client, &explain, chat("chat-model", false)), async {
        site.engine.next().await.answer(200, "application/json", "{}");
    });
    let explanation = told(&answer).unwrap();
    assert_eq!(explanation["decision"], "permitted");
    assert_eq!(explanation["policies"][0], "demo-may-infer");
    assert_eq!(explanation["policy_commit"]["state"], "dirty");
    let refusal = ask(&mut client, &explain, chat_about("us")).await;
    let explanation = told(&refusal).unwrap();
    assert_eq!((refusal.status, &explanation["code"]), (403, &"E0921".into()));
    assert_eq!(explanation["policies"][0], "eu-only");
    assert_eq!(told(&ask(&mut client, &[], chat_about("us")).await), None, "who does not ask is not told");
    let key = site.issue_key("bob", "demo", None);
    let refusal = loop {
        let mut other = site.client_with(&key).await;
        let refusal = ask(&mut other, &explain, chat_about("us")).await;
        if refusal.code() != "E0903" {
            break refusal;
        }
    };
    assert_eq!((refusal.code().as_str(), told(&refusal)), ("E0921", None), "bob may not know");
}
