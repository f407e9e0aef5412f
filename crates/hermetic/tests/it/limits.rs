//! Limits as operators see them: what is used, and what a request would count on.

use crate::front::Front;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const LIMITS: &str = "limits:
  - { name: requests, per: [project], limit: 3, unit: requests, window: month }
  - { name: engine-time, per: [project], limit: 3600, unit: gpu-seconds, window: month }
  - { name: small, limit: 100, unit: tokens, window: day, shadow: true }
  - { name: others, when: { projects: [others] }, limit: 1, unit: requests, window: month }
";

fn json(front: &Front, words: &[&str]) -> Vec<Value> {
    let words: Vec<&str> = std::iter::once("--json").chain(words.iter().copied()).collect();
    serde_json::from_slice(&front.run(&words).stdout).unwrap()
}

fn of<'a>(lines: &'a [Value], rule: &str) -> &'a Value {
    lines.iter().find(|line| line["rule"] == rule).unwrap_or_else(|| panic!("no {rule} in {lines:?}"))
}

#[test]
fn what_was_used_is_shown_from_the_ledger_and_engine_time_is_charged_as_the_records_say() {
    let front = Front::new();
    front.configure("", LIMITS);
    let mut serving = front.serve();
    assert_eq!(front.ask("big", "hi").unwrap().status, 200);
    assert_eq!(front.ask("big", "hi").unwrap().status, 200);
    assert_eq!(front.ask("big", "hi").unwrap().status, 200);
    let refused = front.ask("big", "hi").unwrap();
    assert!(refused.status == 429 && refused.body.contains("E0930"), "{}", refused.body);
    kill_process(Pid::from_child(&serving), Signal::TERM).unwrap();
    assert!(serving.wait().unwrap().success());

    let shown = json(&front, &["limits", "show"]);
    let requests = of(&shown, "requests");
    assert_eq!(
        (&requests["used"], &requests["held"], &requests["limit"]),
        (&"3".into(), &"0".into(), &"3".into())
    );
    assert_eq!(requests["scope"], "project=demo");
    let settled = front.events_of("request.settled");
    let charges = |event: &Value| {
        let charges = event["charges"].as_array().unwrap().clone();
        charges.into_iter().find(|charge| charge["rule"] == "engine-time").unwrap()["amount"]
            .as_u64()
            .unwrap()
    };
    assert!(settled.iter().all(|event| charges(event) <= event["total_ms"].as_u64().unwrap()), "{settled:?}");
    let charged_ms: u64 = settled.iter().map(charges).sum();
    // An engine that answers within the millisecond has used nothing, and what was not used is not shown.
    let line = shown.iter().find(|line| line["rule"] == "engine-time");
    let used = line.map_or(0.0, |line| line["used"].as_str().unwrap().parse::<f64>().unwrap());
    assert_eq!((used * 1_000.0).round() as u64, charged_ms);
    assert!(shown.iter().all(|line| line["rule"] != "others"));
    assert_eq!(json(&front, &["limits", "show", "requests"]).len(), 1);
}

#[test]
fn a_request_is_explained_by_every_rule_that_speaks_of_it() {
    let front = Front::new();
    front.configure("", LIMITS);
    let asked = [
        "limits",
        "explain",
        "--model",
        "big",
        "--project",
        "demo",
        "--input-tokens",
        "300",
        "--max-tokens",
        "50",
    ];
    let lines = json(&front, &asked);
    let rules: Vec<&str> = lines.iter().map(|line| line["rule"].as_str().unwrap()).collect();
    assert_eq!(rules, ["requests", "engine-time", "small"]);
    assert_eq!((&lines[0]["holds"], &lines[0]["never_fits"]), (&"1".into(), &false.into()));
    let small = of(&lines, "small");
    assert_eq!((&small["holds"], &small["shadow"]), (&"350".into(), &true.into()));
    let said = String::from_utf8(front.run(&asked).stdout).unwrap();
    assert!(said.contains("requests: holds 1 of 3 requests (month) for project=demo"), "{said}");
}
