//! Which target a request goes to, hedges, and streams that go on elsewhere.

use crate::chaos::{ANSWER, DONE, FIRST, LAST, pair, settled, tried};
use crate::client::{CHAT, chat, piece, whole};
use crate::engine::Engine;
use crate::site::{Site, planned, virtual_model};
use hermetic_digest::Digest;
use hermetic_gateway::{Hedge, HedgeAfter, PlanRules, PlannedTarget, StickTo, Target};
use hermetic_ledger::record::{AttemptOutcome, Event, Outcome, Usage};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Whichever of two engines the request reached, answers.
async fn either(first: &mut Engine, second: &mut Engine) -> usize {
    let (index, received) = tokio::select! {
        received = first.next() => (0, received),
        received = second.next() => (1, received),
    };
    received.answer(200, "application/json", ANSWER);
    index
}

#[tokio::test]
async fn the_record_names_the_virtual_model_and_the_target_and_digest_that_answered() {
    let mut site = Site::start_with(|options| options.names_target = true).await;
    let (mut engine, target) = site.another_engine("a");
    let (_, other) = site.another_engine("b");
    let canary = Digest::of(b"canary weights");
    let targets = vec![
        PlannedTarget { digest: Some(canary), ..planned("pool:canary", &target) },
        PlannedTarget { tier: 1, ..planned("pool:production", &other) },
    ];
    site.serve(virtual_model("pool", targets, PlanRules::default()));
    let mut client = site.client().await;
    let (answer, ()) = tokio::join!(client.post(CHAT, chat("pool", false)), async {
        engine.next().await.answer(200, "application/json", ANSWER);
    });
    assert_eq!(answer.headers["x-hermetic-target"], "pool:canary");
    assert!(client.get("/v1/models/pool").await.json()["digest"].is_null(), "two versions, no one digest");
    let records = site.records_after_drain().await;
    let [Event::RequestAdmitted(admitted), Event::RequestSettled(settled)] = records.as_slice() else {
        panic!("{records:?}")
    };
    assert_eq!((admitted.model.as_str(), admitted.model_digest), ("pool", Some(canary)));
    assert_eq!(tried(settled), [("pool:canary", AttemptOutcome::Answered)]);
    assert_eq!(settled.attempts[0].model_digest, Some(canary));
    assert_eq!(settled.attempts[0].usage, None, "an only attempt's usage is the request's");
}

#[tokio::test]
async fn no_header_names_the_target_unless_the_operator_wants_it() {
    let mut pair = pair(PlanRules::default(), |target| target).await;
    let mut client = pair.site.client().await;
    let (answer, ()) = tokio::join!(client.post(CHAT, chat("pool", false)), async {
        pair.first.next().await.answer(200, "application/json", ANSWER);
    });
    assert!(!answer.headers.contains_key("x-hermetic-target"));
}

#[tokio::test]
async fn a_project_stays_on_its_side_of_a_canary_and_the_canary_is_no_fallback() {
    let mut site = Site::start().await;
    let (mut production, production_target) = site.another_engine("production");
    let (mut canary, canary_target) = site.another_engine("canary");
    let targets = vec![
        planned("production", &production_target),
        PlannedTarget { canary_percent: 50, ..planned("canary", &canary_target) },
    ];
    let rules = PlanRules { stick_to: StickTo::Project, ..PlanRules::default() };
    // The model's name decides with the project's; of some names, some fall on each side.
    let mut sides = [0; 2];
    for number in 0..12 {
        let model = format!("pool-{number}");
        site.serve(virtual_model(&model, targets.clone(), rules));
        let mut client = site.client().await;
        let mut side = None;
        for _ in 0..4 {
            let (answer, index) =
                tokio::join!(client.post(CHAT, chat(&model, false)), either(&mut production, &mut canary));
            assert_eq!(answer.status, 200);
            assert_eq!(*side.get_or_insert(index), index, "{model} changed sides");
        }
        sides[side.unwrap()] += 1;
        if side == Some(0) {
            let (answer, ()) = tokio::join!(client.post(CHAT, chat(&model, false)), async {
                production.next().await.answer(500, "application/json", "{}");
            });
            assert_eq!(answer.status, 500);
            assert!(canary.nothing_arrived());
        }
    }
    assert!(sides[0] > 0 && sides[1] > 0, "{sides:?}");
    site.records_after_drain().await;
}

#[tokio::test]
async fn a_conversation_returns_to_the_engine_that_read_its_beginning() {
    let site = Site::start().await;
    let (mut a, target_a) = site.another_engine("a");
    let (mut b, target_b) = site.another_engine("b");
    let targets = vec![planned("a", &target_a), planned("b", &target_b)];
    let rules = PlanRules { affinity_bytes: Some(4096), ..PlanRules::default() };
    site.serve(virtual_model("pool", targets, rules));
    let mut client = site.client().await;
    let mut used = [0; 2];
    for conversation in 0..12 {
        let mut messages = vec![json!({"role": "user", "content": format!("question {conversation}")})];
        let mut home = None;
        for turn in 0..4 {
            let body = json!({"model": "pool", "messages": messages}).to_string();
            let (answer, index) = tokio::join!(client.post(CHAT, body), either(&mut a, &mut b));
            assert_eq!(answer.status, 200);
            assert_eq!(*home.get_or_insert(index), index, "conversation {conversation} moved in turn {turn}");
            messages.push(json!({"role": "assistant", "content": "answer"}));
            messages.push(json!({"role": "user", "content": format!("and {turn}?")}));
        }
        used[home.unwrap()] += 1;
    }
    assert!(used[0] > 0 && used[1] > 0, "{used:?}");
}

fn hedging() -> PlanRules {
    let hedge = Some(Hedge { after: HedgeAfter::Fixed(Duration::from_millis(30)), percent: 50 });
    PlanRules { hedge, ..PlanRules::default() }
}

#[tokio::test]
async fn a_stream_that_is_slow_to_begin_is_hedged_and_the_loser_is_ended() {
    let mut pair = pair(hedging(), |target| target).await;
    let mut client = pair.site.client().await;
    let request = client.request(CHAT, chat("pool", true));
    let (response, ()) = tokio::join!(client.send(request), async {
        let slow = pair.first.next().await.stream();
        pair.second.next().await.stream().send([FIRST, LAST, DONE].concat());
        slow.given_up().await;
    });
    assert_eq!(whole(response).await.body, [FIRST, LAST, DONE].concat());
    let records = pair.site.records_after_drain().await;
    let settled = settled(&records);
    assert_eq!(tried(settled), [("first", AttemptOutcome::Overtaken), ("second", AttemptOutcome::Answered)]);
    assert_eq!((settled.attempts[0].hedged, settled.attempts[1].hedged), (false, true));
}

#[tokio::test]
async fn of_two_attempts_the_first_may_still_win_and_a_failed_one_does_not() {
    for second_fails in [false, true] {
        let mut pair = pair(hedging(), |target| target).await;
        let mut client = pair.site.client().await;
        let request = client.request(CHAT, chat("pool", true));
        let (response, ()) = tokio::join!(client.send(request), async {
            let slow = pair.first.next().await;
            let second = pair.second.next().await;
            if second_fails {
                second.answer(500, "text/plain", "no");
                // Until that has been seen.
                let failed = "hermetic_attempts_total{target=\"second\",outcome=\"failed\"} 1";
                let mut watching = pair.site.client().await;
                while !String::from_utf8_lossy(&watching.get("/metrics").await.body).contains(failed) {}
                slow.stream().send([FIRST, LAST, DONE].concat());
            } else {
                slow.stream().send([FIRST, LAST, DONE].concat());
                second.given_up().await;
            }
        });
        assert_eq!(whole(response).await.body, [FIRST, LAST, DONE].concat());
        let records = pair.site.records_after_drain().await;
        let loser = if second_fails { AttemptOutcome::Failed } else { AttemptOutcome::Overtaken };
        assert_eq!(tried(settled(&records)), [("first", AttemptOutcome::Answered), ("second", loser)]);
    }
}

#[tokio::test]
async fn a_hedge_needs_a_budget() {
    let hedge = Some(Hedge { after: HedgeAfter::Fixed(Duration::ZERO), percent: 0 });
    let mut pair = pair(PlanRules { hedge, ..PlanRules::default() }, |target| target).await;
    let mut client = pair.site.client().await;
    let request = client.request(CHAT, chat("pool", true));
    let (response, ()) = tokio::join!(client.send(request), async {
        pair.first.next().await.stream().send([FIRST, LAST, DONE].concat());
    });
    assert_eq!(whole(response).await.status, 200);
    let records = pair.site.records_after_drain().await;
    assert_eq!(tried(settled(&records)), [("first", AttemptOutcome::Answered)]);
}

fn delta(id: &str, text: &str) -> String {
    let event = json!({"id": id, "created": 1, "model": id, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]});
    format!("data: {event}\n\n")
}

fn continuing(target: PlannedTarget) -> PlannedTarget {
    PlannedTarget { continues: true, ..target }
}

fn data(body: &[u8]) -> Vec<Value> {
    let text = String::from_utf8(body.to_vec()).unwrap();
    let events = text.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
    events.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[tokio::test]
async fn a_stream_that_broke_off_goes_on_from_another_target_as_one_answer() {
    let mut pair = pair(PlanRules::default(), continuing).await;
    let mut client = pair.site.client().await;
    let sent = r#"{"model":"pool","stream":true,"stream_options":{"include_usage":true},"max_tokens":20,"messages":[{"role":"user","content":"hi"}]}"#;
    let request = client.request(CHAT, sent);
    let (mut response, engine) = tokio::join!(client.send(request), async {
        let engine = pair.first.next().await.stream();
        engine.send([delta("one", "Hel"), delta("one", "lo ")].concat());
        engine
    });
    let mut begun = Vec::new();
    while !begun.ends_with(delta("one", "lo ").as_bytes()) {
        begun.extend_from_slice(&piece(&mut response).await.unwrap());
    }
    engine.break_off();
    let (rest, resumed) = tokio::join!(whole(response), async {
        let resumed = pair.second.next().await;
        let body: Value = serde_json::from_slice(&resumed.body).unwrap();
        let end = json!({"id": "two", "model": "two", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
        let usage = json!({"id": "two", "model": "two", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}});
        let role = json!({"id": "two", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}]});
        resumed
            .stream()
            .send(format!("data: {role}\n\n{}data: {end}\n\ndata: {usage}\n\n{DONE}", delta("two", "world")));
        body
    });
    assert_eq!(
        resumed["messages"],
        json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello "}])
    );
    assert_eq!(
        (&resumed["continue_final_message"], &resumed["add_generation_prompt"], &resumed["max_tokens"]),
        (&json!(true), &json!(false), &json!(18))
    );
    let body = [begun, rest.body.to_vec()].concat();
    let events = data(&body);
    let text: String =
        events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "Hello world");
    assert!(events.iter().all(|event| event["id"] == "one" && event["model"] == "one"), "{events:?}");
    assert!(body.ends_with(DONE.as_bytes()));
    let usage = &events.last().unwrap()["usage"];
    assert_eq!(usage, &json!({"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}));
    let records = pair.site.records_after_drain().await;
    let settled = settled(&records);
    assert_eq!(tried(settled), [("first", AttemptOutcome::BrokenOff), ("second", AttemptOutcome::Answered)]);
    assert_eq!((settled.attempts[0].resumed, settled.attempts[1].resumed), (false, true));
    assert_eq!(settled.usage, Usage { input_tokens: Some(7), output_tokens: Some(5) });
    let used = |attempt: usize| settled.attempts[attempt].usage.unwrap();
    assert_eq!(used(0), Usage { input_tokens: Some(7), output_tokens: Some(2) });
    assert_eq!(used(1), Usage { input_tokens: Some(9), output_tokens: Some(3) });
    assert_eq!(settled.answer_bytes, body.len() as u64);
}

#[tokio::test]
async fn a_stream_that_could_not_be_continued_exactly_is_not() {
    for extra in [
        r#","tools":[{"type":"function","function":{"name":"f"}}]"#,
        r#","logprobs":true"#,
        r#","stop":["x"]"#,
        r#","response_format":{"type":"json_object"}"#,
    ] {
        let mut pair = pair(PlanRules::default(), continuing).await;
        let mut client = pair.site.client().await;
        let sent = format!(
            r#"{{"model":"pool","stream":true,"messages":[{{"role":"user","content":"hi"}}]{extra}}}"#
        );
        let request = client.request(CHAT, sent);
        let (mut response, engine) = tokio::join!(client.send(request), async {
            let engine = pair.first.next().await.stream();
            engine.send(delta("one", "Hel"));
            engine
        });
        piece(&mut response).await.unwrap();
        engine.break_off();
        let body = String::from_utf8(whole(response).await.body.to_vec()).unwrap();
        assert!(body.contains("E0815") && pair.second.nothing_arrived(), "{extra}: {body}");
        let records = pair.site.records_after_drain().await;
        assert_eq!(settled(&records).outcome, Outcome::EngineFailed);
    }
}

#[tokio::test]
async fn a_stream_nobody_can_continue_ends_in_the_error_of_the_one_that_broke() {
    let mut pair = pair(PlanRules::default(), continuing).await;
    let mut client = pair.site.client().await;
    let request = client.request(CHAT, chat("pool", true));
    let (mut response, engine) = tokio::join!(client.send(request), async {
        let engine = pair.first.next().await.stream();
        engine.send(delta("one", "Hel"));
        engine
    });
    piece(&mut response).await.unwrap();
    let (rest, ()) = tokio::join!(whole(response), async {
        engine.break_off();
        pair.second.next().await.answer(
            400,
            "application/json",
            "{\"error\":{\"message\":\"unknown field\"}}",
        );
    });
    assert!(String::from_utf8_lossy(&rest.body).contains("E0815"), "{:?}", rest.body);
    let records = pair.site.records_after_drain().await;
    assert_eq!(
        tried(settled(&records)),
        [("first", AttemptOutcome::BrokenOff), ("second", AttemptOutcome::Rejected)]
    );
}

#[tokio::test]
async fn engines_elsewhere_are_probed_and_their_queues_read() {
    let site = Site::start_with(|options| options.attend_interval = Duration::from_millis(20)).await;
    let (mut busy, busy_port) = Engine::on_tcp().await;
    let (mut idle, idle_port) = Engine::on_tcp().await;
    let target = |port| Arc::new(Target::tcp("127.0.0.1", port, "").unwrap());
    let targets = vec![planned("busy", &target(busy_port)), planned("idle", &target(idle_port))];
    site.serve(virtual_model("pool", targets, PlanRules::default()));
    // The second reading is asked for once the first has arrived.
    let mut asked = [0; 2];
    while asked.iter().any(|&times| times < 2) {
        let index = attended(&mut busy, &mut idle).await.unwrap_err();
        asked[index] += 1;
    }
    let mut client = site.client().await;
    for _ in 0..8 {
        let chosen = async {
            loop {
                if let Ok(index) = attended(&mut busy, &mut idle).await {
                    return index;
                }
            }
        };
        let (answer, index) = tokio::join!(client.post(CHAT, chat("pool", false)), chosen);
        assert_eq!((answer.status, index), (200, 1), "the one without a queue");
    }
}

/// One request at one of two engines: a chat request (`Ok`) is answered, and so is the gateway when it asks how they fare
/// (`Err`, when it was for the metrics). The first has a long queue.
async fn attended(busy: &mut Engine, idle: &mut Engine) -> Result<usize, usize> {
    loop {
        let (index, received) = tokio::select! {
            received = busy.next() => (0, received),
            received = idle.next() => (1, received),
        };
        match received.path.as_str() {
            CHAT => {
                received.answer(200, "application/json", ANSWER);
                return Ok(index);
            }
            "/metrics" => {
                let waiting = [50, 0][index];
                received.answer(
                    200,
                    "text/plain",
                    format!("vllm:num_requests_waiting{{engine=\"0\"}} {waiting}\n"),
                );
                return Err(index);
            }
            _ => received.answer(200, "text/plain", ""),
        }
    }
}
