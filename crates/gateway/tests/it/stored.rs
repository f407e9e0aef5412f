//! Responses that are kept, through a real gateway: conversations that go on, and who may see what. What is shared by the
//! tests of stored responses is here.

use crate::client::{Answer, Client};
use crate::site::Site;
use hermetic_content_store::ContentKey;
use hermetic_gateway::{StoreOptions, StoredResponses};
use hermetic_identity::{CertificateRules, Identity, Keys, ThrottleOptions};
use hermetic_ledger::record::{Credential, Event, RequestAdmitted, RequestSettled};
use hermetic_metadata::Metadata;
use hermetic_policy::{Authorizer, Levels, Policies, PolicyFile};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const RESPONSES: &str = "/v1/responses";

pub(crate) const POLICY: &str = r#"
@id("all-may-infer") permit (principal, action in Action::"infer", resource);
@id("all-may-store") permit (principal, action == Action::"store", resource)
  unless { principal in Project::"small" };
@id("renamed-is-not-kept") forbid (principal, action == Action::"store", resource) when { resource.name == "renamed" };
@id("renamed-sees-no-secrets") forbid (principal, action in Action::"infer", resource)
  when { resource.name == "renamed" && context.classification.level == Level::"secret" };
"#;

pub(crate) fn policies() -> Arc<Authorizer> {
    let policy = PolicyFile { name: "test.cedar".to_owned(), text: POLICY.to_owned() };
    Arc::new(Authorizer::new(Policies::load(&[policy], &Levels::default()).unwrap()))
}

pub(crate) fn open(folder: &Path, metadata: Metadata, options: StoreOptions) -> StoredResponses {
    let key = ContentKey::from_bytes(&[9; 32]);
    StoredResponses::open(&folder.join("responses"), key, metadata, options).unwrap()
}

pub(crate) const KEPT: fn() -> StoreOptions = || StoreOptions { keeps: true, ..StoreOptions::default() };

pub(crate) async fn site() -> Site {
    site_with(KEPT()).await
}

pub(crate) async fn site_with(options: StoreOptions) -> Site {
    Site::start_adjusted(|parts, metadata, folder| {
        parts.authorizer = policies();
        parts.responses = Some(open(folder, metadata.clone(), options));
        // Tests let days pass in no time: a thread is not behind for that, and keys are looked for in real time.
        parts.options.lag_max = Duration::from_secs(1 << 30);
        let keys = Keys::open(metadata.clone(), parts.clock.clone(), Duration::from_secs(1 << 30)).unwrap();
        let exempt = vec!["127.0.0.0/8".parse().unwrap()];
        let throttle = ThrottleOptions { exempt, ..ThrottleOptions::default() };
        parts.identity = Identity::new(keys, None, CertificateRules::default(), throttle);
    })
    .await
}

/// Somebody else, once the gateway knows their key.
pub(crate) async fn another(site: &Site, subject: &str, project: &str) -> Client {
    let mut client = site.client_with(&site.issue_key(subject, project, None)).await;
    while client.get("/v1/models").await.status == 401 {}
    client
}

/// An answer of an engine that says this.
pub(crate) fn chat_answer(message: &Value, finish_reason: &str) -> String {
    json!({
        "id": "chatcmpl-guessable", "object": "chat.completion", "created": 7, "model": "chat-model",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    })
    .to_string()
}

pub(crate) fn says(text: &str) -> Value {
    json!({"role": "assistant", "content": text})
}

/// Asks, and lets the engine answer that. Returns what the engine was asked as well.
pub(crate) async fn ask(
    site: &mut Site,
    client: &mut Client,
    sent: Value,
    answer: &Value,
) -> (Answer, Value) {
    let mut told = std::pin::pin!(client.post(RESPONSES, sent.to_string()));
    let received = tokio::select! {
        told = told.as_mut() => panic!("expected an engine to be asked, found {} {:?}", told.status, told.body),
        received = site.engine.next() => received,
    };
    let asked: Value = serde_json::from_slice(&received.body).unwrap();
    received.answer(200, "application/json", chat_answer(answer, "stop"));
    let told = told.await;
    assert_eq!(told.status, 200, "{:?}", told.body);
    (told, asked)
}

pub(crate) fn request(input: &str) -> Value {
    json!({"model": "chat-model", "input": input})
}

pub(crate) fn after(previous: &Answer, input: &str) -> Value {
    json!({"model": "chat-model", "input": input, "previous_response_id": id(previous)})
}

pub(crate) fn id(answer: &Answer) -> String {
    answer.json()["id"].as_str().unwrap().to_owned()
}

pub(crate) fn at(answer: &Answer) -> String {
    format!("{RESPONSES}/{}", id(answer))
}

pub(crate) fn admitted(records: &[Event]) -> Vec<&RequestAdmitted> {
    let mut found = Vec::new();
    for event in records {
        if let Event::RequestAdmitted(admitted) = event {
            found.push(admitted);
        }
    }
    found
}

pub(crate) fn settled(records: &[Event]) -> Vec<&RequestSettled> {
    let mut found = Vec::new();
    for event in records {
        if let Event::RequestSettled(settled) = event {
            found.push(settled);
        }
    }
    found
}

#[tokio::test]
async fn a_conversation_goes_on_with_all_that_was_said_in_it_and_other_instructions() {
    let mut site = site().await;
    let mut client = site.client().await;
    let first =
        json!({"model": "chat-model", "instructions": "be brief", "input": "one", "metadata": {"case": "7"}});
    let thought = json!({"role": "assistant", "reasoning_content": "hm", "content": "first"});
    let (first, asked) = ask(&mut site, &mut client, first, &thought).await;
    assert_eq!(asked["messages"].as_array().unwrap().len(), 2);
    assert_eq!((&first.json()["store"], &first.json()["previous_response_id"]), (&json!(true), &json!(null)));
    let mut second = after(&first, "two");
    second["instructions"] = json!("be kind");
    let (second, asked) = ask(&mut site, &mut client, second, &says("second")).await;
    assert_eq!(second.json()["previous_response_id"], first.json()["id"]);
    assert_eq!(
        asked["messages"],
        json!([
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": "one"},
            {"role": "assistant", "reasoning_content": "hm", "content": "first"},
            {"role": "user", "content": "two"},
        ])
    );
    let (third, asked) = ask(&mut site, &mut client, after(&second, "three"), &says("third")).await;
    let said: Vec<&Value> =
        asked["messages"].as_array().unwrap().iter().map(|said| &said["content"]).collect();
    assert_eq!(said, ["one", "first", "two", "second", "three"]);
    // From one response a conversation can go on in several ways.
    let (_, asked) = ask(&mut site, &mut client, after(&first, "other"), &says("another")).await;
    assert_eq!(asked["messages"].as_array().unwrap().len(), 3);
    for answer in [&first, &second, &third] {
        let shown = client.get(&at(answer)).await;
        assert_eq!((shown.status, &shown.body), (200, &answer.body));
    }
    let records = site.records_after_drain().await;
    let requests = admitted(&records);
    let continues: Vec<Option<String>> =
        requests.iter().map(|admitted| admitted.continues.map(|id| id.to_string())).collect();
    assert_eq!(continues, [None, Some(id(&first)), Some(id(&second)), Some(id(&first))]);
    let stored: Vec<String> =
        settled(&records).iter().map(|s| s.stored.unwrap().response.to_string()).collect();
    assert_eq!(stored[..3], [id(&first), id(&second), id(&third)]);
    // What was said before counts: the bytes of the conversation, where nothing better is known.
    let counts: Vec<u64> = requests.iter().map(|admitted| admitted.prompt_tokens.unwrap().count).collect();
    assert!(counts[1] > counts[0] && counts[2] > counts[1], "{counts:?}");
}

#[tokio::test]
async fn the_id_of_a_stored_response_is_the_requests_draw_and_not_what_the_engine_says() {
    let mut site = site().await;
    let mut client = site.client().await;
    let (answer, _) = ask(&mut site, &mut client, request("one"), &says("first")).await;
    let request = answer.headers["x-request-id"].to_str().unwrap().strip_prefix("req_").unwrap().to_owned();
    assert_eq!(id(&answer), format!("resp_{request}"));
    assert_eq!(answer.json()["output"][0]["id"], format!("msg_{request}_0"));
}

#[tokio::test]
async fn a_call_is_answered_in_the_next_turn() {
    let mut site = site().await;
    let mut client = site.client().await;
    let tools = json!([{"type": "function", "name": "rate", "parameters": {}, "strict": false}]);
    let sent = json!({"model": "chat-model", "input": "rate it", "tools": tools});
    let call = json!({"id": "call_9", "type": "function", "function": {"name": "rate", "arguments": "{\"n\": 1.50}"}});
    let calls = json!({"role": "assistant", "content": null, "tool_calls": [call]});
    let (first, _) = ask(&mut site, &mut client, sent, &calls).await;
    assert_eq!(first.json()["output"][0]["type"], "function_call");
    let mut second = after(&first, "");
    second["input"] = json!([{"type": "function_call_output", "call_id": "call_9", "output": "5"}]);
    let (_, asked) = ask(&mut site, &mut client, second, &says("five")).await;
    assert_eq!(
        asked["messages"],
        json!([
            {"role": "user", "content": "rate it"},
            {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_9", "content": "5"},
        ])
    );
    // Tools are settings of a request, not part of what was said.
    assert_eq!(asked.get("tools"), None);
}

#[tokio::test]
async fn another_owner_cannot_continue_show_list_or_delete_a_response() {
    let mut site = site().await;
    let mut client = site.client().await;
    let (answer, _) = ask(&mut site, &mut client, request("one"), &says("first")).await;
    let unknown = format!("{RESPONSES}/resp_{}", "0".repeat(32));
    for (subject, project) in [("bob", "demo"), ("alice", "other")] {
        let mut other = another(&site, subject, project).await;
        let of_nobody = json!({"model": "chat-model", "input": "x", "previous_response_id": "resp_nobody"});
        let nobodys = other.post(RESPONSES, of_nobody.to_string()).await;
        let refused = other.post(RESPONSES, after(&answer, "two").to_string()).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "previous_response_not_found"));
        assert_eq!(refused.json()["error"]["param"], "previous_response_id");
        assert!(refused.json()["error"]["hint"].as_str().unwrap().contains("E0871"));
        assert_eq!(refused.body, nobodys.body);
        for (path, of_nobody) in [
            (at(&answer), unknown.clone()),
            (format!("{}/input_items", at(&answer)), format!("{unknown}/input_items")),
        ] {
            let (refused, nobodys) = (other.get(&path).await, other.get(&of_nobody).await);
            assert_eq!((refused.status, refused.code().as_str()), (404, "E0870"));
            assert_eq!(refused.body, nobodys.body);
        }
        assert_eq!(other.delete(&at(&answer)).await.status, 404);
    }
    assert_eq!(client.get(&at(&answer)).await.status, 200);
}

#[tokio::test]
async fn another_key_of_the_same_subject_goes_on() {
    let mut site = site().await;
    let mut client = site.client().await;
    let (answer, _) = ask(&mut site, &mut client, request("one"), &says("first")).await;
    let mut again = another(&site, "alice", "demo").await;
    let (_, asked) = ask(&mut site, &mut again, after(&answer, "two"), &says("second")).await;
    assert_eq!(asked["messages"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn what_was_deleted_is_gone_with_every_conversation_that_goes_through_it() {
    let mut site = site().await;
    let mut client = site.client().await;
    let (first, _) = ask(&mut site, &mut client, request("one"), &says("first")).await;
    let (second, _) = ask(&mut site, &mut client, after(&first, "two"), &says("second")).await;
    let file = site.folder.path().join("responses/kept").join(id(&first));
    assert!(file.exists());
    let deleted = client.delete(&at(&first)).await;
    assert_eq!(deleted.json(), json!({"id": id(&first), "object": "response", "deleted": true}));
    assert!(!file.exists());
    for path in [at(&first), format!("{}/input_items", at(&first))] {
        assert_eq!(client.get(&path).await.code(), "E0870");
    }
    assert_eq!(client.delete(&at(&first)).await.status, 404);
    for previous in [&first, &second] {
        let refused = client.post(RESPONSES, after(previous, "on").to_string()).await;
        assert_eq!(refused.code(), "previous_response_not_found");
    }
    // What is left of it can still be seen.
    assert_eq!(client.get(&at(&second)).await.status, 200);
    let items = client.get(&format!("{}/input_items", at(&second))).await.json();
    assert_eq!(items["data"].as_array().unwrap().len(), 1);
    let records = site.records_after_drain().await;
    let gone: Vec<&Event> =
        records.iter().filter(|event| matches!(event, Event::ResponseDeleted { .. })).collect();
    let [Event::ResponseDeleted { response, by: Some(Credential::ApiKey { .. }) }] = gone[..] else {
        panic!("{gone:?}");
    };
    assert_eq!(response.to_string(), id(&first));
}

#[tokio::test]
async fn a_response_is_there_until_its_time_is_over_and_is_removed_then() {
    let mut site = site().await;
    let mut client = site.client().await;
    let (first, _) = ask(&mut site, &mut client, request("one"), &says("first")).await;
    site.clock.advance(Duration::from_secs(29 * 24 * 3_600));
    let (second, _) = ask(&mut site, &mut client, after(&first, "two"), &says("second")).await;
    site.clock.advance(Duration::from_secs(24 * 3_600));
    assert_eq!(client.get(&at(&first)).await.code(), "E0870");
    assert_eq!(client.get(&at(&second)).await.status, 200);
    // A conversation ends with its first response: nothing is kept for longer because somebody went on.
    let refused = client.post(RESPONSES, after(&second, "three").to_string()).await;
    assert_eq!(refused.code(), "previous_response_not_found");
    let records = site.records_after_drain().await;
    assert!(settled(&records)[0].stored.unwrap().expires_unix_ms <= site.clock.unix_millis());
    // The next start removes it, also where nothing new is kept.
    let (metadata, folder) = (site.metadata.clone(), site.folder.path().to_owned());
    let (ledger, clock) = (site.ledger.clone(), site.clock.clone());
    let mut next = Site::start_parts(|parts| {
        parts.responses = Some(open(&folder, metadata, StoreOptions::default()));
        (parts.ledger, parts.clock) = (ledger, clock);
    })
    .await;
    while site.metadata.response_ids().unwrap().len() > 1 {
        tokio::task::yield_now().await;
    }
    let gone = |event: &Event| matches!(event, Event::ResponseDeleted { response, by: None } if response.to_string() == id(&first));
    assert_eq!(next.start_drain().await.unwrap().lost, 0);
    assert!(site.records().iter().any(gone));
    assert!(!folder.join("responses/kept").join(id(&first)).exists());
}

#[tokio::test]
async fn input_items_are_the_whole_conversation_page_by_page() {
    let mut site = site().await;
    let mut client = site.client().await;
    let (first, _) = ask(&mut site, &mut client, request("one"), &says("first")).await;
    let mut second = after(&first, "");
    second["input"] = json!([{"role": "developer", "content": "note"}, {"role": "user", "content": "two"}]);
    let (second, _) = ask(&mut site, &mut client, second, &says("second")).await;
    let path = format!("{}/input_items", at(&second));
    let texts = |page: &Value| -> Vec<String> {
        let text = |item: &Value| item["content"][0]["text"].as_str().unwrap().to_owned();
        page["data"].as_array().unwrap().iter().map(text).collect()
    };
    let all = client.get(&path).await.json();
    assert_eq!(texts(&all), ["two", "note", "first", "one"]);
    assert_eq!((&all["object"], &all["has_more"]), (&json!("list"), &json!(false)));
    let page = client.get(&format!("{path}?order=asc&limit=3")).await.json();
    assert_eq!(
        (texts(&page), &page["has_more"]),
        (vec!["one".to_owned(), "first".to_owned(), "note".to_owned()], &json!(true))
    );
    let last = page["last_id"].as_str().unwrap();
    let page = client.get(&format!("{path}?order=asc&after={last}")).await.json();
    assert_eq!((texts(&page), &page["has_more"]), (vec!["two".to_owned()], &json!(false)));
    for wrong in ["?limit=0", "?limit=101", "?order=up", "?after=msg_none", "?include[]=everything"] {
        let refused = client.get(&format!("{path}{wrong}")).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "E0875"), "{wrong}");
    }
}

#[tokio::test]
async fn what_is_not_offered_is_refused_clearly() {
    let mut site = site().await;
    let mut client = site.client().await;
    let (answer, _) = ask(&mut site, &mut client, request("one"), &says("first")).await;
    for query in ["?stream=true", "?starting_after=1", "?include[]=everything"] {
        let refused = client.get(&format!("{}{query}", at(&answer))).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "E0875"), "{query}");
    }
    for path in [
        format!("{}/cancel", at(&answer)),
        format!("{RESPONSES}/compact"),
        format!("{RESPONSES}/input_tokens"),
    ] {
        assert_eq!(client.post(&path, "{}").await.code(), "E0801", "{path}");
    }
    assert_eq!(client.post(&at(&answer), "{}").await.code(), "E0802");
    for more in
        [json!({"background": true}), json!({"conversation": "conv_1"}), json!({"prompt": {"id": "p"}})]
    {
        let mut sent = request("x");
        sent.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(client.post(RESPONSES, sent.to_string()).await.code(), "E0824");
    }
    let item = json!({"model": "chat-model", "input": [{"type": "item_reference", "id": "msg_1"}]});
    assert_eq!(client.post(RESPONSES, item.to_string()).await.code(), "E0824");
}
