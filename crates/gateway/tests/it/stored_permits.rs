//! Whether a response is kept: the configuration, what the caller wishes, what policy permits, and the bounds.

use crate::client::Answer;
use crate::site::Site;
use crate::stored::{
    KEPT, RESPONSES, after, another, ask, at, chat_answer, id, request, says, settled, site, site_with,
};
use hermetic_gateway::StoreOptions;
use hermetic_ledger::record::Event;
use serde_json::{Value, json};

fn stores(answer: &Answer) -> bool {
    answer.json()["store"].as_bool().unwrap()
}

fn wishing(store: impl Into<Value>) -> Value {
    json!({"model": "chat-model", "input": "one", "store": store.into()})
}

#[tokio::test]
async fn where_nothing_is_kept_all_is_as_it_was() {
    let mut site = Site::start().await;
    let mut client = site.client().await;
    for sent in [request("one"), wishing(true), wishing(Value::Null)] {
        let (answer, _) = ask(&mut site, &mut client, sent, &says("first")).await;
        assert!(!stores(&answer) && id(&answer) == "resp_guessable");
        assert_eq!(client.get(&at(&answer)).await.code(), "E0801");
        assert_eq!(client.delete(&at(&answer)).await.code(), "E0801");
        assert_eq!(client.post(RESPONSES, after(&answer, "two").to_string()).await.code(), "E0824");
    }
    assert!(!site.folder.path().join("responses").exists());
}

#[tokio::test]
async fn what_was_kept_is_shown_to_nobody_when_nothing_is_kept_any_more() {
    let mut site = site_with(StoreOptions::default()).await;
    let mut client = site.client().await;
    let (answer, _) = ask(&mut site, &mut client, wishing(true), &says("first")).await;
    assert!(!stores(&answer));
    assert_eq!(client.get(&at(&answer)).await.code(), "E0801");
    assert_eq!(client.post(RESPONSES, after(&answer, "two").to_string()).await.code(), "E0824");
    assert!(site.metadata.response_ids().unwrap().is_empty());
}

#[tokio::test]
async fn a_response_that_is_declined_is_not_kept_and_can_go_on_from_one_that_is() {
    let mut site = site().await;
    let mut client = site.client().await;
    let (first, _) = ask(&mut site, &mut client, wishing(true), &says("first")).await;
    assert!(stores(&first));
    let mut second = after(&first, "two");
    second["store"] = json!(false);
    let (second, asked) = ask(&mut site, &mut client, second, &says("second")).await;
    assert_eq!(asked["messages"].as_array().unwrap().len(), 3);
    assert!(!stores(&second) && second.json()["previous_response_id"] == first.json()["id"]);
    assert_eq!(client.get(&at(&second)).await.status, 404);
    assert_eq!(site.metadata.response_ids().unwrap().len(), 1);
    let records = site.records_after_drain().await;
    let stored: Vec<bool> = settled(&records).iter().map(|settled| settled.stored.is_some()).collect();
    assert_eq!(stored, [true, false]);
}

#[tokio::test]
async fn what_policy_does_not_permit_is_not_kept_and_refused_where_it_was_asked_for() {
    let mut site = site().await;
    let mut client = site.client().await;
    let unsaid = json!({"model": "renamed", "input": "one"});
    let (answer, _) = ask(&mut site, &mut client, unsaid.clone(), &says("first")).await;
    assert!(!stores(&answer));
    let mut said = unsaid;
    said["store"] = json!(true);
    let refused = client.post(RESPONSES, said.to_string()).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "E0872"));
    assert_eq!(refused.json()["error"]["param"], "store");
    let records = site.records_after_drain().await;
    let Some(Event::RequestRefused(refusal)) = records.last() else { panic!("{records:?}") };
    assert_eq!(
        (refusal.code.as_str(), refusal.policies.as_slice()),
        ("E0872", &["renamed-is-not-kept".to_owned()][..])
    );
}

#[tokio::test]
async fn whom_no_model_may_keep_responses_for_sees_none() {
    let mut site = site().await;
    let mut client = site.client().await;
    let (first, _) = ask(&mut site, &mut client, request("one"), &says("first")).await;
    let mut small = another(&site, "alice", "small").await;
    let (answer, _) = ask(&mut site, &mut small, request("one"), &says("first")).await;
    assert!(!stores(&answer));
    for path in [at(&first), format!("{}/input_items", at(&first))] {
        let refused = small.get(&path).await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "E0872"));
    }
    assert_eq!(small.delete(&at(&first)).await.code(), "E0872");
    assert_eq!(small.post(RESPONSES, after(&first, "two").to_string()).await.code(), "E0872");
}

#[tokio::test]
async fn a_conversation_is_classified_as_high_as_what_was_said_in_it() {
    let mut site = site().await;
    let mut client = site.client().await;
    let level = "x-hermetic-classification";
    let mut first = client.request(RESPONSES, request("the plans").to_string());
    first.headers_mut().insert(level, "secret".parse().unwrap());
    let (first, ()) = tokio::join!(async { crate::client::whole(client.send(first).await).await }, async {
        site.engine.next().await.answer(200, "application/json", chat_answer(&says("noted"), "stop"));
    });
    // Neither silence nor a lower level takes it down again.
    for stated in [None, Some("public")] {
        let mut sent = after(&first, "and now?");
        sent["model"] = json!("renamed");
        let mut sent = client.request(RESPONSES, sent.to_string());
        if let Some(stated) = stated {
            sent.headers_mut().insert(level, stated.parse().unwrap());
        }
        let refused = crate::client::whole(client.send(sent).await).await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "E0921"), "{stated:?}");
    }
    // Nor does a turn in between.
    let (second, _) = ask(&mut site, &mut client, after(&first, "and?"), &says("so")).await;
    let mut third = after(&second, "and now?");
    third["model"] = json!("renamed");
    assert_eq!(client.post(RESPONSES, third.to_string()).await.code(), "E0921");
    let records = site.records_after_drain().await;
    let Some(Event::RequestRefused(refusal)) = records.last() else { panic!("{records:?}") };
    assert_eq!(refusal.facts.classification.as_deref(), Some("secret"));
    assert_eq!(refusal.continues.unwrap().to_string(), id(&second));
}

#[tokio::test]
async fn a_conversation_goes_on_for_so_many_turns_and_bytes() {
    let mut site = site_with(StoreOptions { turns_max: 2, ..KEPT() }).await;
    let mut client = site.client().await;
    let (first, _) = ask(&mut site, &mut client, request("one"), &says("first")).await;
    let (second, _) = ask(&mut site, &mut client, after(&first, "two"), &says("second")).await;
    let (third, _) = ask(&mut site, &mut client, after(&second, "three"), &says("third")).await;
    let refused = client.post(RESPONSES, after(&third, "four").to_string()).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "E0873"));
    let mut site = site_with(StoreOptions { conversation_bytes_max: 3_000, ..KEPT() }).await;
    let mut client = site.client().await;
    let (long, _) = ask(&mut site, &mut client, request(&"x".repeat(3_000)), &says("long")).await;
    let refused = client.post(RESPONSES, after(&long, "two").to_string()).await;
    assert_eq!((refused.status, refused.code().as_str()), (413, "E0873"));
}

#[tokio::test]
async fn what_is_too_large_is_answered_and_not_kept_and_refused_where_it_was_asked_for() {
    let mut site = site_with(StoreOptions { response_bytes_max: 2_000, ..KEPT() }).await;
    let mut client = site.client().await;
    let long = "x".repeat(2_000);
    let (answer, _) = ask(&mut site, &mut client, request(&long), &says("first")).await;
    assert!(!stores(&answer));
    let mut sent = wishing(true);
    sent["input"] = json!(long);
    let refused = client.post(RESPONSES, sent.to_string()).await;
    assert_eq!((refused.status, refused.code().as_str()), (413, "E0874"));
    // What an engine answers is known when it was computed: it is given, and says that it is not kept.
    let (answer, _) = ask(&mut site, &mut client, wishing(true), &says(&long)).await;
    assert!(!stores(&answer) && answer.json()["output"][0]["content"][0]["text"] == long.as_str());
    assert_eq!(client.get(&at(&answer)).await.status, 404);
    assert!(site.metadata.response_ids().unwrap().is_empty());
}

#[tokio::test]
async fn a_project_keeps_no_more_than_its_share_until_it_deletes() {
    let mut site = site_with(StoreOptions { project_bytes_max: 1, ..KEPT() }).await;
    let mut client = site.client().await;
    let (first, _) = ask(&mut site, &mut client, wishing(true), &says("first")).await;
    assert!(stores(&first));
    let refused = client.post(RESPONSES, wishing(true).to_string()).await;
    assert_eq!((refused.status, refused.code().as_str()), (413, "E0874"));
    let (unsaid, _) = ask(&mut site, &mut client, request("two"), &says("second")).await;
    assert!(!stores(&unsaid));
    let mut other = another(&site, "alice", "other").await;
    let (others, _) = ask(&mut site, &mut other, wishing(true), &says("first")).await;
    assert!(stores(&others));
    assert_eq!(client.delete(&at(&first)).await.status, 200);
    let (again, _) = ask(&mut site, &mut client, wishing(true), &says("again")).await;
    assert!(stores(&again));
}

#[tokio::test]
async fn a_line_of_a_batch_is_kept_for_whoever_handed_it_in() {
    let mut site = Site::start_adjusted(|parts, metadata, folder| {
        let policy = [
            crate::stored::POLICY,
            "@id(\"batch\") permit (principal, action == Action::\"batch\", resource);",
        ];
        let policy = hermetic_policy::PolicyFile { name: "t.cedar".to_owned(), text: policy.concat() };
        let levels = hermetic_policy::Levels::default();
        let policies = hermetic_policy::Policies::load(&[policy], &levels).unwrap();
        parts.authorizer = std::sync::Arc::new(hermetic_policy::Authorizer::new(policies));
        parts.responses = Some(crate::stored::open(folder, metadata.clone(), KEPT()));
        let options = hermetic_gateway::BatchOptions::default();
        parts.batches = Some(crate::batches::open(folder, metadata.clone(), options));
    })
    .await;
    let mut client = site.client().await;
    let line = json!({"custom_id": "a", "method": "POST", "url": RESPONSES, "body": request("one")});
    let file = client.upload(&line.to_string()).await;
    let asked = json!({"input_file_id": file, "endpoint": RESPONSES, "completion_window": "24h"});
    let batch = client.post("/v1/batches", asked.to_string()).await.json();
    site.engine.next().await.answer(200, "application/json", chat_answer(&says("first"), "stop"));
    let ended = client.ended(batch["id"].as_str().unwrap()).await;
    let results = client.results(&ended["output_file_id"]).await;
    let response = &results[0].1["response"]["body"];
    assert_eq!(response["store"], true);
    let on = json!({"model": "chat-model", "input": "two", "previous_response_id": response["id"]});
    let (_, asked) = ask(&mut site, &mut client, on, &says("second")).await;
    assert_eq!(asked["messages"].as_array().unwrap().len(), 3);
}
