//! Engines that fail in every way an engine can: what the client sees, and what the record says.

use crate::client::{Answer, CHAT, chat, piece, whole};
use crate::engine::{Answering, Engine, Received};
use crate::site::{Site, planned, virtual_model};
use hermetic_gateway::{PlanRules, PlannedTarget, Timeouts};
use hermetic_ledger::record::{Attempt, AttemptOutcome, Event, Outcome, RequestSettled};
use std::time::Duration;

pub(crate) const ANSWER: &str =
    r#"{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
pub(crate) const FIRST: &str = "data: {\"id\":\"a\",\"model\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"he\"},\"finish_reason\":null}]}\n\n";
pub(crate) const LAST: &str = "data: {\"id\":\"a\",\"model\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
pub(crate) const DONE: &str = "data: [DONE]\n\n";

/// A virtual model `pool` of two targets, the first of them preferred.
pub(crate) struct Pair {
    pub(crate) site: Site,
    pub(crate) first: Engine,
    pub(crate) second: Engine,
}

pub(crate) async fn pair(rules: PlanRules, adjust: impl Fn(PlannedTarget) -> PlannedTarget) -> Pair {
    let site = Site::start().await;
    let (first, first_target) = site.another_engine("first");
    let (second, second_target) = site.another_engine("second");
    let targets = vec![
        adjust(planned("first", &first_target)),
        adjust(PlannedTarget { tier: 1, ..planned("second", &second_target) }),
    ];
    site.serve(virtual_model("pool", targets, rules));
    Pair { site, first, second }
}

pub(crate) fn settled(records: &[Event]) -> &RequestSettled {
    match records.last() {
        Some(Event::RequestSettled(settled)) => settled,
        other => panic!("expected a settled request, found {other:?}"),
    }
}

pub(crate) fn tried(settled: &RequestSettled) -> Vec<(&str, AttemptOutcome)> {
    settled.attempts.iter().map(|attempt| (attempt.target.as_str(), attempt.outcome)).collect()
}

/// A plain request: the first engine does as it is told, the second answers.
async fn plain(pair: &mut Pair, fail: impl FnOnce(Received) -> Option<Answering>) -> Answer {
    let mut client = pair.site.client().await;
    let (answer, _kept) = tokio::join!(client.post(CHAT, chat("pool", false)), async {
        let kept = fail(pair.first.next().await);
        pair.second.next().await.answer(200, "application/json", ANSWER);
        kept
    });
    answer
}

/// The first target is given up after this much silence. Real time, and only where silence is the point: the engine is a
/// task that holds its tongue, and only the clock tells silence from work.
fn impatient(target: PlannedTarget) -> PlannedTarget {
    if &*target.name != "first" {
        return target;
    }
    let short = Some(Duration::from_millis(50));
    PlannedTarget { timeouts: Timeouts { connect: None, first_token: short, idle: short }, ..target }
}

fn as_it_is(target: PlannedTarget) -> PlannedTarget {
    target
}

fn patience_for(outcome: AttemptOutcome) -> fn(PlannedTarget) -> PlannedTarget {
    if outcome == AttemptOutcome::Silent { impatient } else { as_it_is }
}

#[tokio::test]
async fn an_engine_that_fails_before_its_answer_is_whole_costs_the_client_nothing() {
    type Failure = fn(Received) -> Option<Answering>;
    let failures: [(Failure, AttemptOutcome, Option<u16>); 7] = [
        (
            |r| {
                r.answer(500, "application/json", "{\"error\":{}}");
                None
            },
            AttemptOutcome::Failed,
            Some(500),
        ),
        (
            |r| {
                r.answer(503, "text/plain", "overloaded");
                None
            },
            AttemptOutcome::Failed,
            Some(503),
        ),
        (
            |r| {
                r.answer(429, "application/json", "{}");
                None
            },
            AttemptOutcome::Busy,
            Some(429),
        ),
        (
            |r| {
                r.answer(200, "text/html", "<html>garbage");
                None
            },
            AttemptOutcome::Malformed,
            Some(200),
        ),
        (
            |r| {
                drop(r);
                None
            },
            AttemptOutcome::BrokenOff,
            None,
        ),
        (
            |r| {
                let a = r.begin(200, "application/json");
                a.send("{\"cho");
                a.break_off();
                None
            },
            AttemptOutcome::BrokenOff,
            Some(200),
        ),
        // It drips: a byte, then nothing.
        (
            |r| {
                let a = r.begin(200, "application/json");
                a.send("{");
                Some(a)
            },
            AttemptOutcome::Silent,
            Some(200),
        ),
    ];
    for (fail, outcome, status) in failures {
        let mut pair = pair(PlanRules::default(), patience_for(outcome)).await;
        let answer = plain(&mut pair, fail).await;
        assert_eq!((answer.status, answer.body.as_ref()), (200, ANSWER.as_bytes()), "{outcome:?}");
        let records = pair.site.records_after_drain().await;
        let settled = settled(&records);
        assert_eq!(tried(settled), [("first", outcome), ("second", AttemptOutcome::Answered)]);
        // Of an engine that dies, the head may or may not have come through.
        if outcome != AttemptOutcome::BrokenOff {
            assert_eq!(settled.attempts[0].status, status);
        }
        assert_eq!((settled.outcome, settled.status), (Outcome::Completed, 200));
        assert_eq!((settled.usage.input_tokens, settled.usage.output_tokens), (Some(1), Some(2)));
    }
}

#[tokio::test]
async fn an_engine_that_hangs_before_its_head_is_given_up_for_the_next() {
    let mut pair = pair(PlanRules::default(), impatient).await;
    let mut client = pair.site.client().await;
    let (answer, ()) = tokio::join!(client.post(CHAT, chat("pool", false)), async {
        pair.first.next().await.given_up().await;
        pair.second.next().await.answer(200, "application/json", ANSWER);
    });
    assert_eq!(answer.status, 200);
    let records = pair.site.records_after_drain().await;
    assert_eq!(
        tried(settled(&records)),
        [("first", AttemptOutcome::Silent), ("second", AttemptOutcome::Answered)]
    );
}

#[tokio::test]
async fn an_engine_that_is_not_there_costs_the_client_nothing() {
    let mut pair = pair(PlanRules::default(), as_it_is).await;
    let gone = std::sync::Arc::new(hermetic_gateway::Target::unix("/nonexistent/e.sock".into()));
    let (mut here, target) = pair.site.another_engine("here");
    let targets = vec![planned("gone", &gone), PlannedTarget { tier: 1, ..planned("here", &target) }];
    pair.site.serve(virtual_model("pool", targets, PlanRules::default()));
    let mut client = pair.site.client().await;
    let (answer, ()) = tokio::join!(client.post(CHAT, chat("pool", false)), async {
        here.next().await.answer(200, "application/json", ANSWER);
    });
    assert_eq!(answer.status, 200);
    let records = pair.site.records_after_drain().await;
    assert_eq!(
        tried(settled(&records)),
        [("gone", AttemptOutcome::Unreachable), ("here", AttemptOutcome::Answered)]
    );
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_event_is_begun_elsewhere() {
    type Failure = fn(Received) -> Option<Answering>;
    let failures: [(Failure, AttemptOutcome); 6] = [
        (
            |r| {
                r.stream().break_off();
                None
            },
            AttemptOutcome::BrokenOff,
        ),
        (
            |r| {
                drop(r.stream());
                None
            },
            AttemptOutcome::BrokenOff,
        ),
        (|r| Some(r.stream()), AttemptOutcome::Silent),
        (
            |r| {
                let a = r.stream();
                a.send(": ping\n\n");
                Some(a)
            },
            AttemptOutcome::Silent,
        ),
        (
            |r| {
                r.stream().send("data: {\"error\":{\"message\":\"out of memory\"}}\n\n");
                None
            },
            AttemptOutcome::Failed,
        ),
        (
            |r| {
                r.stream().send("data: <html>\n\n");
                None
            },
            AttemptOutcome::Malformed,
        ),
    ];
    for (fail, outcome) in failures {
        let mut pair = pair(PlanRules::default(), patience_for(outcome)).await;
        let mut client = pair.site.client().await;
        let request = client.request(CHAT, chat("pool", true));
        let (response, _kept) = tokio::join!(client.send(request), async {
            let kept = fail(pair.first.next().await);
            pair.second.next().await.stream().send([FIRST, LAST, DONE].concat());
            kept
        });
        assert_eq!(whole(response).await.body, [FIRST, LAST, DONE].concat(), "{outcome:?}");
        let records = pair.site.records_after_drain().await;
        assert_eq!(tried(settled(&records)), [("first", outcome), ("second", AttemptOutcome::Answered)]);
        assert_eq!(settled(&records).outcome, Outcome::Completed);
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_after_its_first_event_ends_in_an_error_where_nobody_can_go_on() {
    for silent in [false, true] {
        let silence = |target: PlannedTarget| {
            let (long, short) = (Some(Duration::from_secs(60)), silent.then_some(Duration::from_millis(50)));
            PlannedTarget { timeouts: Timeouts { connect: None, first_token: long, idle: short }, ..target }
        };
        let mut pair = pair(PlanRules::default(), silence).await;
        let mut client = pair.site.client().await;
        let request = client.request(CHAT, chat("pool", true));
        let (mut response, engine) = tokio::join!(client.send(request), async {
            let engine = pair.first.next().await.stream();
            engine.send(FIRST);
            engine
        });
        assert_eq!(piece(&mut response).await.unwrap(), FIRST);
        let _kept = if silent {
            Some(engine)
        } else {
            engine.break_off();
            None
        };
        let body = String::from_utf8(whole(response).await.body.to_vec()).unwrap();
        let (code, outcome) =
            if silent { ("E0816", AttemptOutcome::Silent) } else { ("E0815", AttemptOutcome::BrokenOff) };
        assert!(body.contains(code) && !body.contains("[DONE]"), "{body}");
        assert!(pair.second.nothing_arrived());
        let records = pair.site.records_after_drain().await;
        assert_eq!(tried(settled(&records)), [("first", outcome)]);
        assert_eq!(settled(&records).outcome, Outcome::EngineFailed);
    }
}

#[tokio::test]
async fn when_every_target_fails_the_last_failure_is_told_and_all_are_on_record() {
    let mut pair = pair(PlanRules::default(), as_it_is).await;
    let mut client = pair.site.client().await;
    let (answer, ()) = tokio::join!(client.post(CHAT, chat("pool", false)), async {
        drop(pair.first.next().await);
        pair.second.next().await.answer(500, "application/json", "{\"error\":{\"message\":\"cuda\"}}");
    });
    assert_eq!((answer.status, answer.json()["error"]["message"].as_str()), (500, Some("cuda")));
    let records = pair.site.records_after_drain().await;
    let settled = settled(&records);
    assert_eq!(tried(settled), [("first", AttemptOutcome::BrokenOff), ("second", AttemptOutcome::Failed)]);
    assert_eq!((settled.outcome, settled.status), (Outcome::EngineFailed, 500));
}

#[tokio::test]
async fn a_request_that_is_wrong_is_not_tried_again_and_not_held_against_the_engine() {
    let mut pair = pair(PlanRules::default(), as_it_is).await;
    let mut client = pair.site.client().await;
    for _ in 0..10 {
        let (answer, ()) = tokio::join!(client.post(CHAT, chat("pool", false)), async {
            pair.first.next().await.answer(400, "application/json", "{\"error\":{\"message\":\"too long\"}}");
        });
        assert_eq!(answer.status, 400);
    }
    assert!(pair.second.nothing_arrived());
    let records = pair.site.records_after_drain().await;
    assert_eq!(tried(settled(&records)), [("first", AttemptOutcome::Rejected)]);
}

#[tokio::test]
async fn the_request_that_trips_the_breaker_is_answered_too_and_the_ones_after_go_elsewhere_at_once() {
    let mut pair = pair(PlanRules::default(), as_it_is).await;
    let mut client = pair.site.client().await;
    for _ in 0..3 {
        let (answer, ()) = tokio::join!(client.post(CHAT, chat("pool", false)), async {
            drop(pair.first.next().await);
            pair.second.next().await.answer(200, "application/json", ANSWER);
        });
        assert_eq!(answer.status, 200);
    }
    let (answer, ()) = tokio::join!(client.post(CHAT, chat("pool", false)), async {
        pair.second.next().await.answer(200, "application/json", ANSWER);
    });
    assert_eq!(answer.status, 200);
    assert!(pair.first.nothing_arrived(), "the first is left out");
    // The pause is over: one request tries, and closes the breaker.
    pair.site.clock.advance(Duration::from_secs(3));
    let (answer, ()) = tokio::join!(client.post(CHAT, chat("pool", false)), async {
        pair.first.next().await.answer(200, "application/json", ANSWER);
    });
    assert_eq!(answer.status, 200);
    let metrics = client.get("/metrics").await;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    for line in [
        "hermetic_target_left_out_total{target=\"first\"} 1",
        "hermetic_attempts_total{target=\"first\",outcome=\"broken-off\"} 3",
        "hermetic_retries_total 3",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn a_busy_engine_is_left_alone_for_as_long_as_it_asks() {
    let mut pair = pair(PlanRules::default(), as_it_is).await;
    let mut client = pair.site.client().await;
    let (answer, ()) = tokio::join!(client.post(CHAT, chat("pool", false)), async {
        pair.first.next().await.answer(429, "application/json", "{}");
        pair.second.next().await.answer(200, "application/json", ANSWER);
    });
    assert_eq!(answer.status, 200);
    let (_, ()) = tokio::join!(client.post(CHAT, chat("pool", false)), async {
        pair.second.next().await.answer(200, "application/json", ANSWER);
    });
    pair.site.clock.advance(Duration::from_secs(2));
    let (_, ()) = tokio::join!(client.post(CHAT, chat("pool", false)), async {
        pair.first.next().await.answer(200, "application/json", ANSWER);
    });
    assert!(pair.second.nothing_arrived());
}

#[tokio::test]
async fn all_left_out_is_no_reason_to_answer_nobody() {
    let mut pair = pair(PlanRules { retry_percent: 0, ..PlanRules::default() }, as_it_is).await;
    let mut client = pair.site.client().await;
    // Without retries, three failures of each leave both out.
    for _ in 0..3 {
        let (answer, ()) = tokio::join!(client.post(CHAT, chat("pool", false)), async {
            drop(pair.first.next().await);
        });
        assert_eq!((answer.status, answer.code().as_str()), (502, "E0815"));
    }
    for _ in 0..3 {
        let (_, ()) = tokio::join!(client.post(CHAT, chat("pool", false)), async {
            drop(pair.second.next().await);
        });
    }
    let (answer, ()) = tokio::join!(client.post(CHAT, chat("pool", false)), async {
        pair.first.next().await.answer(200, "application/json", ANSWER);
    });
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn an_idle_connection_the_engine_closed_is_no_failure() {
    let mut pair = pair(PlanRules::default(), as_it_is).await;
    let mut client = pair.site.client().await;
    for _ in 0..3 {
        let (answer, ()) = tokio::join!(client.post(CHAT, chat("pool", false)), async {
            // It says nothing of closing, and closes.
            pair.first.next().await.answer(200, "close", ANSWER);
        });
        assert_eq!(answer.status, 200);
    }
    let records = pair.site.records_after_drain().await;
    assert!(records.iter().all(|record| match record {
        Event::RequestSettled(settled) => tried(settled) == [("first", AttemptOutcome::Answered)],
        _ => true,
    }));
}

#[tokio::test]
async fn a_client_that_leaves_is_not_held_against_the_engine() {
    let mut pair = pair(PlanRules::default(), as_it_is).await;
    for _ in 0..4 {
        let mut client = pair.site.client().await;
        let request = client.request(CHAT, chat("pool", false));
        let mut sending = tokio::task::JoinSet::new();
        sending.spawn(async move {
            let _ = client.send(request).await;
        });
        let received = pair.first.next().await;
        sending.shutdown().await;
        received.given_up().await;
    }
    assert!(pair.second.nothing_arrived());
    let records = pair.site.records_after_drain().await;
    let left: Vec<&Attempt> = records
        .iter()
        .filter_map(|record| match record {
            Event::RequestSettled(settled) => settled.attempts.first(),
            _ => None,
        })
        .collect();
    assert!(
        left.len() == 4 && left.iter().all(|a| a.target == "first" && a.outcome == AttemptOutcome::Abandoned),
        "{left:?}"
    );
}

#[tokio::test]
async fn a_request_has_one_deadline_for_all_its_attempts() {
    let rules = PlanRules { total: Some(Duration::from_secs(1)), ..PlanRules::default() };
    let mut pair = pair(rules, as_it_is).await;
    let mut client = pair.site.client().await;
    let (answer, ()) = tokio::join!(client.post(CHAT, chat("pool", false)), async {
        drop(pair.first.next().await);
        pair.second.next().await.given_up().await;
    });
    assert_eq!((answer.status, answer.code().as_str()), (504, "E0822"));
    let request = client.request(CHAT, chat("pool", true));
    let (mut response, engine) = tokio::join!(client.send(request), async {
        let engine = pair.first.next().await.stream();
        engine.send(FIRST);
        engine
    });
    assert_eq!(piece(&mut response).await.unwrap(), FIRST);
    let rest = whole(response).await.body;
    assert!(String::from_utf8_lossy(&rest).contains("E0822"), "{rest:?}");
    drop(engine);
    let records = pair.site.records_after_drain().await;
    assert_eq!(tried(settled(&records)), [("first", AttemptOutcome::Silent)]);
}
