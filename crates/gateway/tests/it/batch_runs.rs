//! What becomes of the lines of a batch.

use crate::batches::{answer_of, beside_echo, echo, line, lines, said, site, site_with};
use crate::client::metric;
use hermetic_gateway::{BatchOptions, Limiting};
use hermetic_ledger::record::{Event, Outcome};
use hermetic_limits::{OnExhausted, Rule, RuleSet, Unit, When};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

fn rule(unit: Unit, cap: u64, window: &str) -> Arc<Limiting> {
    let rule = Rule {
        name: "the-limit".into(),
        when: When::default(),
        per: vec!["project".parse().unwrap()],
        cap,
        unit,
        window: window.parse().unwrap(),
        soft: Vec::new(),
        on_exhausted: OnExhausted::Refuse,
        shadow: false,
        shared: false,
        currency: None,
    };
    Arc::new(Limiting::new(RuleSet::new(vec![rule]).unwrap(), HashMap::new(), 1_000))
}

fn code(result: &Value) -> &str {
    result["response"]["body"]["error"]["code"].as_str().unwrap_or_else(|| panic!("{result}"))
}

#[tokio::test]
async fn every_line_is_a_request_with_records_of_its_own_that_name_the_batch() {
    let mut site = site().await;
    let mut client = site.client().await;
    let batch = client.batch_of(&lines((0..20).map(|n| format!("line-{n}")))).await;
    let ended = beside_echo(&mut site.engine, client.ended(&batch)).await;
    assert_eq!(ended["status"], "completed");
    assert_eq!(ended["request_counts"], json!({ "total": 20, "completed": 20, "failed": 0 }));
    assert_eq!((&ended["usage"]["input_tokens"], &ended["usage"]["total_tokens"]), (&json!(60), &json!(160)));
    assert_eq!(ended["error_file_id"], Value::Null);
    let times = ["created_at", "in_progress_at", "finalizing_at", "completed_at", "expires_at"];
    assert!(times.iter().all(|time| ended[time].is_u64()), "{ended}");
    let results = client.results(&ended["output_file_id"]).await;
    assert_eq!(results.len(), 20);
    assert!(
        results.iter().enumerate().all(|(n, (id, result))| *id == format!("line-{n}") && said(result) == id)
    );
    assert_eq!(metric(&mut client, "hermetic_batch_lines_total{outcome=\"answered\"}").await, 20);
    let records = site.records_after_drain().await;
    let admitted = records.iter().filter_map(|event| match event {
        Event::RequestAdmitted(admitted) => Some((admitted.batch.unwrap(), admitted.request.to_string())),
        _ => None,
    });
    let admitted: HashMap<u64, String> = admitted.map(|(line, request)| (line.line, request)).collect();
    for (number, (_, result)) in (1..).zip(&results) {
        assert_eq!(result["response"]["request_id"], json!(admitted[&number]));
    }
    let ends = records.iter().filter(|event| matches!(event, Event::BatchEnded(end) if end.completed == 20));
    assert_eq!(ends.count(), 1);
    let made = |event: &&Event| matches!(event, Event::BatchCreated(_) | Event::FileCreated(_));
    assert_eq!(records.iter().filter(made).count(), 2);
}

#[tokio::test]
async fn an_input_with_mistakes_fails_and_names_their_lines() {
    let site = site_with(BatchOptions { lines_max: 5, ..BatchOptions::default() }, |_| {}).await;
    let mut client = site.client().await;
    let file = [
        line("a", "chat-model"),
        "{".to_owned(),
        line("a", "chat-model"),
        line("b", "chat-model").replace("completions", "completion"),
    ]
    .join("\n");
    let batch = client.batch_of(&file).await;
    let failed = client.ended(&batch).await;
    assert_eq!(failed["status"], "failed");
    let told: Vec<(&str, u64)> = failed["errors"]["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mistake| (mistake["code"].as_str().unwrap(), mistake["line"].as_u64().unwrap()))
        .collect();
    assert_eq!(told, [("invalid_json_line", 2), ("duplicate_custom_id", 3), ("mismatched_endpoint", 4)]);
    for (file, code) in
        [(lines((0..6).map(|n| n.to_string())), "too_many_lines"), ("\n".to_owned(), "empty_file")]
    {
        let batch = client.batch_of(&file).await;
        assert_eq!(client.ended(&batch).await["errors"]["data"][0]["code"], code);
    }
}

#[tokio::test]
async fn lines_that_policy_a_model_or_an_engine_refuses_end_in_the_error_file() {
    let mut site = site().await;
    let mut client = site.client().await;
    let models = ["chat-model", "secret-model", "renamed", "no-such-model", "failing"];
    let file: String = models
        .map(|model| line(model, if model == "failing" { "chat-model" } else { model }) + "\n")
        .concat();
    let batch = client.batch_of(&file).await;
    let engine = &mut site.engine;
    let answering = async {
        loop {
            let received = engine.next().await;
            let asked: Value = serde_json::from_slice(&received.body).unwrap();
            if asked["messages"][0]["content"] == "failing" {
                received.answer(
                    400,
                    "application/json",
                    r#"{"error":{"message":"no","code":"E0","type":"x"}}"#,
                );
            } else {
                echo(received);
            }
        }
    };
    let ended = tokio::select! { ended = client.ended(&batch) => ended, () = answering => unreachable!() };
    assert_eq!(ended["status"], "completed");
    assert_eq!(ended["request_counts"], json!({ "total": 5, "completed": 1, "failed": 4 }));
    assert_eq!(client.results(&ended["output_file_id"]).await[0].0, "chat-model");
    let errors: HashMap<String, Value> = client.results(&ended["error_file_id"]).await.into_iter().collect();
    assert_eq!(code(&errors["secret-model"]), "E0921");
    assert_eq!(code(&errors["renamed"]), "E0921", "permitted by itself, and not in batches");
    assert_eq!(code(&errors["no-such-model"]), "E0810");
    assert_eq!(errors["failing"]["response"]["status_code"], 400);
}

#[tokio::test]
async fn a_line_that_a_rate_refuses_waits_until_there_is_room() {
    let mut site =
        site_with(BatchOptions::default(), |parts| parts.limiting = rule(Unit::Requests, 2, "minute")).await;
    let mut client = site.client().await;
    let batch = client.batch_of(&lines((0..6).map(|n| n.to_string()))).await;
    let clock = site.clock.clone();
    let passing = async {
        loop {
            let status = client.batch(&batch).await["status"].as_str().unwrap().to_owned();
            if ["completed", "expired"].contains(&status.as_str()) {
                return client.batch(&batch).await;
            }
            clock.advance(Duration::from_secs(1));
        }
    };
    let ended = beside_echo(&mut site.engine, passing).await;
    assert_eq!(ended["request_counts"], json!({ "total": 6, "completed": 6, "failed": 0 }));
}

#[tokio::test]
async fn a_line_that_a_spent_budget_refuses_does_not_wait() {
    let mut site =
        site_with(BatchOptions::default(), |parts| parts.limiting = rule(Unit::Requests, 2, "month")).await;
    let mut client = site.client().await;
    let batch = client.batch_of(&lines((0..5).map(|n| n.to_string()))).await;
    let ended = beside_echo(&mut site.engine, client.ended(&batch)).await;
    assert_eq!(ended["request_counts"], json!({ "total": 5, "completed": 2, "failed": 3 }));
    let errors = client.results(&ended["error_file_id"]).await;
    assert!(errors.iter().all(|(_, result)| code(result) == "E0930"), "{errors:?}");
}

#[tokio::test]
async fn what_is_not_answered_when_the_window_ends_is_told_as_expired() {
    let mut site =
        site_with(BatchOptions::default(), |parts| parts.limiting = rule(Unit::Requests, 2, "hour")).await;
    let mut client = site.client().await;
    let file = client.upload(&lines((0..5).map(|n| n.to_string()))).await;
    let batch = client.create_batch(&file, "2h").await.json()["id"].as_str().unwrap().to_owned();
    let clock = site.clock.clone();
    let passing = async {
        while client.batch(&batch).await["request_counts"]["completed"] != 2 {}
        clock.advance(Duration::from_secs(2 * 3_600));
        client.ended(&batch).await
    };
    let ended = beside_echo(&mut site.engine, passing).await;
    assert_eq!(ended["status"], "expired");
    assert_eq!(ended["request_counts"], json!({ "total": 5, "completed": 2, "failed": 3 }));
    assert_eq!(client.results(&ended["output_file_id"]).await.len(), 2);
    let errors = client.results(&ended["error_file_id"]).await;
    assert!(errors.iter().all(|(_, result)| result["error"]["code"] == "batch_expired"), "{errors:?}");
}

#[tokio::test]
async fn lines_in_flight_end_when_a_batch_is_cancelled_and_no_more_are_begun() {
    let options = BatchOptions { in_flight_per_batch: 2, ..BatchOptions::default() };
    let mut site = site_with(options, |_| {}).await;
    let mut client = site.client().await;
    let batch = client.batch_of(&lines((0..10).map(|n| n.to_string()))).await;
    let in_flight = [site.engine.next().await, site.engine.next().await];
    let cancelling = client.post(&format!("/v1/batches/{batch}/cancel"), "").await.json();
    assert_eq!(cancelling["status"], "cancelling");
    // Until the runner has seen it, an answer would make room for another line.
    let files = || std::fs::read_dir(site.folder.path().join("batches/journals")).unwrap().count();
    assert_eq!(files(), 1);
    in_flight.into_iter().for_each(echo);
    let ended = beside_echo(&mut site.engine, client.ended(&batch)).await;
    assert_eq!(ended["status"], "cancelled");
    let answered = client.results(&ended["output_file_id"]).await;
    let errors = client.results(&ended["error_file_id"]).await;
    assert!(answered.len() >= 2 && answered.len() + errors.len() == 10, "{ended}");
    assert!(errors.iter().all(|(_, result)| result["error"]["code"] == "batch_cancelled"));
    let again = client.post(&format!("/v1/batches/{batch}/cancel"), "").await;
    assert_eq!((again.status, again.code().as_str()), (409, "E0863"));
}

#[tokio::test]
async fn the_lines_left_when_a_key_is_revoked_fail_and_say_so() {
    let options = BatchOptions { in_flight_per_batch: 1, ..BatchOptions::default() };
    let mut site = site_with(options, |_| {}).await;
    let mut client = site.client().await;
    let batch = client.batch_of(&lines((0..5).map(|n| n.to_string()))).await;
    let first = site.engine.next().await;
    let row =
        site.metadata.api_keys().unwrap().into_iter().find(|row| row.project.as_str() == "demo").unwrap();
    site.metadata.revoke_api_key(&row.id, site.clock.unix_millis(), "root").unwrap();
    while client.get("/v1/models").await.status != 401 {}
    echo(first);
    let mut successor = site.client_with(&site.issue_key("alice", "demo", None)).await;
    while successor.get("/v1/models").await.status == 401 {}
    let ended = beside_echo(&mut site.engine, successor.ended(&batch)).await;
    assert_eq!(ended["request_counts"], json!({ "total": 5, "completed": 1, "failed": 4 }));
    let errors = successor.results(&ended["error_file_id"]).await;
    assert!(errors.iter().all(|(_, result)| code(result) == "E0905"), "{errors:?}");
    assert!(errors.iter().all(|(_, result)| result["response"]["status_code"] == 401));
}

#[tokio::test]
async fn an_engine_that_fails_now_and_then_is_asked_again_and_each_attempt_is_settled() {
    let mut site = site().await;
    let mut client = site.client().await;
    let batch = client.batch_of(&lines(["a".to_owned()])).await;
    let clock = site.clock.clone();
    let engine = &mut site.engine;
    let answering = async {
        engine.next().await.answer(500, "application/json", "{}");
        let again = loop {
            clock.advance(Duration::from_secs(2));
            if let Some(received) = engine.soon().await {
                break received;
            }
        };
        again.answer(200, "application/json", answer_of("a"));
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! { ended = client.ended(&batch) => ended, () = answering => unreachable!() };
    assert_eq!(ended["request_counts"], json!({ "total": 1, "completed": 1, "failed": 0 }));
    let outcomes: Vec<Outcome> = site
        .records_after_drain()
        .await
        .into_iter()
        .filter_map(
            |event| if let Event::RequestSettled(settled) = event { Some(settled.outcome) } else { None },
        )
        .collect();
    assert_eq!(outcomes, [Outcome::EngineFailed, Outcome::Completed]);
}
