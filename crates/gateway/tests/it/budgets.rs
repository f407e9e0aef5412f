//! Limits and budgets between real sockets: nothing overshoots, and what is charged is what was used.

use crate::answering::{Manner, PROMPT_TOKENS, Usage, answer_all};
use crate::client::{Answer, CHAT, Client, piece, whole};
use crate::site::{Site, raise_open_files};
use hermetic_gateway::{Limiting, ModelTerms};
use hermetic_ledger::record::{Event, Outcome, RequestSettled};
use hermetic_limits::{OnExhausted, Price, Rule, RuleSet, Unit, When};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::task::JoinSet;

const MANY: usize = 1_000;
const MAX_TOKENS: u64 = 20;
/// What a template may add to a prompt.
const TEMPLATE: u64 = 1_024;

pub(crate) fn rule(name: &str, unit: Unit, window: &str, cap: u64) -> Rule {
    Rule {
        name: name.into(),
        when: When::default(),
        per: Vec::new(),
        cap,
        unit,
        window: window.parse().unwrap(),
        soft: Vec::new(),
        on_exhausted: OnExhausted::Refuse,
        shadow: false,
        shared: false,
        currency: None,
    }
}

fn priced() -> ModelTerms {
    let price = Price { input_per_million: 2_000_000, output_per_million: 8_000_000, per_request: 5 };
    ModelTerms { price, ..ModelTerms::default() }
}

async fn site(rules: Vec<Rule>, terms: ModelTerms) -> Site {
    let terms = HashMap::from([("chat-model".parse().unwrap(), terms)]);
    let limiting = Limiting::new(RuleSet::new(rules).unwrap(), terms, 1_000);
    Site::start_parts(|parts| parts.limiting = Arc::new(limiting)).await
}

fn body(stream: bool) -> String {
    format!(
        r#"{{"model":"chat-model","messages":[{{"role":"user","content":"hi"}}],"stream":{stream},"max_tokens":{MAX_TOKENS}}}"#
    )
}

/// What one request holds.
fn held(unit: Unit, stream: bool) -> u64 {
    let input = body(stream).len() as u64 + TEMPLATE;
    match unit {
        Unit::Tokens => input + MAX_TOKENS,
        Unit::OutputTokens => MAX_TOKENS,
        Unit::Money => priced().price.of(input, MAX_TOKENS),
        _ => 1,
    }
}

fn settled(records: &[Event]) -> Vec<&RequestSettled> {
    records
        .iter()
        .filter_map(|event| if let Event::RequestSettled(settled) = event { Some(settled) } else { None })
        .collect()
}

fn charged(records: &[Event], rule: &str) -> Vec<u64> {
    let charges = settled(records).into_iter().flat_map(|settled| &settled.charges);
    charges.filter(|charge| charge.rule == rule).map(|charge| charge.amount).collect()
}

/// Every request admitted is settled once, and each charge is for what it held.
fn assert_complete(records: &[Event]) {
    let admitted: Vec<_> = records
        .iter()
        .filter_map(|event| if let Event::RequestAdmitted(admitted) = event { Some(admitted) } else { None })
        .collect();
    assert_eq!(admitted.len(), settled(records).len());
    for admitted in admitted {
        let mine: Vec<_> =
            settled(records).into_iter().filter(|settled| settled.request == admitted.request).collect();
        let [settled] = mine.as_slice() else { panic!("{mine:?}") };
        assert_eq!(settled.charges.len(), admitted.limits.len());
        for (charge, hold) in settled.charges.iter().zip(&admitted.limits) {
            assert_eq!(charge.rule, hold.rule);
            assert!(charge.amount <= hold.amount, "{charge:?} {hold:?}");
        }
    }
}

/// A thousand at once; the engine answers nobody before everybody has been refused or admitted.
async fn burst(site: &mut Site, stream: bool, manner: &Manner, admitted: usize) -> Vec<u16> {
    let (port, key) = (site.port(), site.key.clone());
    let mut clients = JoinSet::new();
    for _ in 0..MANY {
        let key = key.clone();
        clients.spawn(async move { Client::connect(port, &key).await.post(CHAT, body(stream)).await.status });
    }
    let mut statuses = Vec::new();
    let gate = Arc::clone(&manner.gate);
    let collecting = async {
        while let Some(status) = clients.join_next().await {
            statuses.push(status.unwrap());
            if statuses.len() == MANY - admitted {
                gate.add_permits(MANY);
            }
        }
    };
    tokio::select! {
        () = collecting => {}
        () = answer_all(&mut site.engine, manner) => {}
    }
    statuses
}

async fn a_thousand_against_a_budget_for_ten(unit: Unit, window: &str, (stream, usage): (bool, Usage)) {
    raise_open_files();
    let cap = 10 * held(unit, stream);
    let mut site = site(vec![rule("budget", unit, window, cap)], priced()).await;
    let manner = Manner::new(usage, Some(MAX_TOKENS / 2));
    let statuses = burst(&mut site, stream, &manner, 10).await;
    let served = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(served, 10, "{unit} {window} {stream} {usage:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), MANY - 10);
    assert_eq!(manner.asked.load(Ordering::SeqCst), 10, "nobody asked the engine for what was refused");
    let records = site.records_after_drain().await;
    assert_complete(&records);
    let charges = charged(&records, "budget");
    assert!(charges.iter().sum::<u64>() <= cap);
    let output = MAX_TOKENS / 2;
    let real = |input: u64| match unit {
        Unit::Requests => 1,
        Unit::OutputTokens => output,
        Unit::Tokens => input + output,
        Unit::Money => priced().price.of(input, output),
        _ => unreachable!(),
    };
    match usage {
        Usage::Honest => assert!(charges.iter().all(|charge| *charge == real(PROMPT_TOKENS)), "{charges:?}"),
        // What was not said is not less than what was used, and what is too much is not more than was held.
        Usage::Omitted | Usage::TooMuch => {
            let most = held(unit, stream);
            assert!(
                charges.iter().all(|charge| (real(PROMPT_TOKENS)..=most).contains(charge)),
                "{charges:?}"
            );
        }
        Usage::Zero => {
            // The text itself is counted where it comes in pieces.
            let least = if stream { real(0) } else { 1 };
            assert!(charges.iter().all(|charge| *charge >= least), "{charges:?}");
        }
    }
}

#[tokio::test]
async fn a_thousand_requests_against_a_budget_for_ten_requests() {
    a_thousand_against_a_budget_for_ten(Unit::Requests, "day", (false, Usage::Honest)).await;
    a_thousand_against_a_budget_for_ten(Unit::Requests, "hour/sliding", (true, Usage::Honest)).await;
}

#[tokio::test]
async fn a_thousand_plain_requests_of_an_unpriced_model_against_tokens_for_ten() {
    for usage in [Usage::Honest, Usage::Omitted, Usage::Zero] {
        a_thousand_against_a_budget_for_ten(Unit::Tokens, "month", (false, usage)).await;
    }
}

#[tokio::test]
async fn a_thousand_streams_of_an_unpriced_model_against_tokens_for_ten() {
    for usage in [Usage::Honest, Usage::Omitted, Usage::TooMuch, Usage::Zero] {
        a_thousand_against_a_budget_for_ten(Unit::Tokens, "day/sliding", (true, usage)).await;
    }
}

#[tokio::test]
async fn a_thousand_requests_against_money_for_ten() {
    a_thousand_against_a_budget_for_ten(Unit::Money, "month", (false, Usage::Honest)).await;
    for usage in [Usage::Honest, Usage::Omitted, Usage::TooMuch, Usage::Zero] {
        a_thousand_against_a_budget_for_ten(Unit::Money, "month", (true, usage)).await;
    }
}

#[tokio::test]
async fn what_is_not_used_is_there_for_the_next_until_what_is_used_is_all() {
    let cap = 10 * MAX_TOKENS;
    let mut site = site(vec![rule("budget", Unit::OutputTokens, "day", cap)], ModelTerms::default()).await;
    let manner = Manner::new(Usage::Honest, Some(6));
    manner.gate.add_permits(MANY);
    let mut client = site.client().await;
    let mut served = 0;
    let refused = loop {
        let answer = tokio::select! {
            answer = client.post(CHAT, body(served % 2 == 0)) => answer,
            () = answer_all(&mut site.engine, &manner) => unreachable!(),
        };
        if answer.status != 200 {
            break answer;
        }
        served += 1;
        let left = cap - (served - 1) * 6 - MAX_TOKENS;
        assert_eq!(answer.headers["x-ratelimit-limit-tokens"], cap.to_string());
        assert_eq!(answer.headers["x-ratelimit-remaining-tokens"], left.to_string());
    };
    // 31 × 6 = 186; what a request may use is 20, and 14 are left.
    assert_eq!((served, refused.status, refused.code().as_str()), (31, 429, "E0930"));
    let records = site.records_after_drain().await;
    assert_eq!(charged(&records, "budget").iter().sum::<u64>(), 186);
}

#[tokio::test]
async fn a_refusal_names_the_rule_its_scope_the_numbers_and_when_there_is_room_and_is_on_record() {
    let per = vec!["project".parse().unwrap(), "model".parse().unwrap()];
    let mut site =
        site(vec![Rule { per, ..rule("demo-daily", Unit::Requests, "day", 1) }], ModelTerms::default()).await;
    let manner = Manner::new(Usage::Honest, Some(1));
    manner.gate.add_permits(9);
    let mut client = site.client().await;
    let answers: Vec<Answer> = tokio::select! {
        answers = async { vec![client.post(CHAT, body(false)).await, client.post(CHAT, body(false)).await] } => answers,
        () = answer_all(&mut site.engine, &manner) => unreachable!(),
    };
    assert_eq!(answers[0].headers["x-ratelimit-remaining-requests"], "0");
    let refused = &answers[1];
    assert_eq!((refused.status, refused.code().as_str()), (429, "E0930"));
    let error = &refused.json()["error"];
    assert_eq!(error["type"], "rate_limit_error");
    let message = error["message"].as_str().unwrap();
    // 1,795,000,000 s is 2026-11-18T11:06:40Z.
    for part in [
        "`demo-daily`",
        "at most 1 requests a day",
        "project=demo,model=chat-model",
        "found 1",
        "2026-11-19T00:00:00.000Z",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let seconds = 12 * 3_600 + 53 * 60 + 20;
    assert_eq!(refused.headers["retry-after"], seconds.to_string());
    assert_eq!(refused.headers["x-ratelimit-reset-requests"], "12h53m20s");
    assert_eq!(refused.headers["x-should-retry"], "true");
    let records = site.records_after_drain().await;
    let Some(Event::RequestRefused(record)) = records.last() else { panic!("{records:?}") };
    let limit = record.limit.as_ref().unwrap();
    assert_eq!((limit.rule.as_str(), limit.limit, limit.taken, limit.asked), ("demo-daily", 1, 1, 1));
    assert_eq!((record.code.as_str(), record.status), ("E0930", 429));
}

#[tokio::test]
async fn a_stream_is_cut_where_its_reservation_ends_and_ends_like_one_that_reached_its_length() {
    let mut site = site(vec![rule("budget", Unit::OutputTokens, "day", 1_000)], ModelTerms::default()).await;
    // It was told to stop at 20 and goes on.
    let manner = Manner::new(Usage::TooMuch, Some(500));
    manner.gate.add_permits(1);
    let mut client = site.client().await;
    let answer = tokio::select! {
        answer = client.post(CHAT, body(true)) => answer,
        () = answer_all(&mut site.engine, &manner) => unreachable!(),
    };
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert_eq!(text.matches("\"content\":\"x\"").count() as u64, MAX_TOKENS);
    assert!(text.ends_with("\"finish_reason\":\"length\"}]}\n\ndata: [DONE]\n\n"), "{text}");
    let records = site.records_after_drain().await;
    let [settled] = settled(&records).try_into().unwrap();
    assert_eq!(
        (settled.outcome, settled.finish_reason.as_deref(), settled.cut),
        (Outcome::Completed, Some("length"), true)
    );
    assert_eq!(charged(&records, "budget"), [MAX_TOKENS]);
}

#[tokio::test]
async fn a_plain_answer_that_is_longer_than_was_held_is_withheld() {
    let mut site = site(vec![rule("budget", Unit::OutputTokens, "day", 1_000)], ModelTerms::default()).await;
    let manner = Manner::new(Usage::Honest, Some(500));
    manner.gate.add_permits(1);
    let mut client = site.client().await;
    let answer = tokio::select! {
        answer = client.post(CHAT, body(false)) => answer,
        () = answer_all(&mut site.engine, &manner) => unreachable!(),
    };
    assert_eq!((answer.status, answer.code().as_str()), (502, "E0934"));
    let records = site.records_after_drain().await;
    let [settled] = settled(&records).try_into().unwrap();
    assert_eq!((settled.outcome, settled.status, settled.answer_bytes), (Outcome::Withheld, 502, 0));
    assert_eq!(charged(&records, "budget"), [MAX_TOKENS]);
}

#[tokio::test]
async fn the_engine_is_told_where_to_stop() {
    let terms =
        ModelTerms { output_tokens_default: 33, output_tokens_max: Some(40), ..ModelTerms::default() };
    let mut site = site(vec![rule("budget", Unit::OutputTokens, "day", 1_000)], terms).await;
    let mut client = site.client().await;
    let messages = r#""messages":[{"role":"user","content":"hi"}]"#;
    for (sent, told) in [
        (
            format!(r#"{{"model":"chat-model",{messages}}}"#),
            format!(r#"{{"max_tokens":33,"model":"chat-model",{messages}}}"#),
        ),
        (
            format!(r#"{{"model":"chat-model",{messages},"max_tokens":99}}"#),
            format!(r#"{{"model":"chat-model",{messages},"max_tokens":40}}"#),
        ),
        (
            format!(r#"{{"model":"chat-model",{messages},"max_completion_tokens":7}}"#),
            format!(r#"{{"model":"chat-model",{messages},"max_completion_tokens":7}}"#),
        ),
    ] {
        let (answer, ()) = tokio::join!(client.post(CHAT, sent), async {
            let received = site.engine.next().await;
            assert_eq!(String::from_utf8(received.body.to_vec()).unwrap(), told);
            received.answer(
                200,
                "application/json",
                r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
            );
        });
        assert_eq!(answer.status, 200);
    }
    let records = site.records_after_drain().await;
    let held: Vec<u64> = records
        .iter()
        .filter_map(
            |event| if let Event::RequestAdmitted(a) = event { Some(a.limits[0].amount) } else { None },
        )
        .collect();
    assert_eq!(held, [33, 40, 7]);
    assert_eq!(charged(&records, "budget"), [2, 2, 2]);
}

#[tokio::test]
async fn clients_that_hang_up_are_charged_for_what_had_come_and_nothing_stays_held() {
    let rules =
        vec![rule("budget", Unit::OutputTokens, "day", 10_000), rule("gauge", Unit::Concurrent, "now", 8)];
    let mut site = site(rules, ModelTerms::default()).await;
    let limiting = Arc::clone(&site.limiting);
    for _ in 0..8 {
        let mut client = site.client().await;
        let request = client.request(CHAT, body(true));
        let (mut response, engine) = tokio::join!(client.send(request), async {
            let engine = site.engine.next().await.stream();
            engine.send("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n");
            engine
        });
        piece(&mut response).await.unwrap();
        engine.send("data: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}\n\n");
        piece(&mut response).await.unwrap();
        client.hang_up();
        drop(response);
        engine.given_up().await;
    }
    let records = site.records_after_drain().await;
    assert_complete(&records);
    assert_eq!(charged(&records, "budget"), [2; 8]);
    assert!(settled(&records).iter().all(|settled| settled.outcome == Outcome::ClientLeft));
    assert!(limiting.limits().views().iter().all(|view| view.held == 0));
}

#[tokio::test]
async fn a_caller_does_not_save_by_not_waiting_for_a_plain_answer() {
    let mut site = site(vec![rule("budget", Unit::OutputTokens, "day", 1_000)], ModelTerms::default()).await;
    let mut client = site.client().await;
    let request = client.request(CHAT, body(false));
    let received = {
        let sending = client.send(request);
        tokio::pin!(sending);
        tokio::select! {
            _ = &mut sending => panic!("nobody has answered"),
            received = site.engine.next() => received,
        }
    };
    client.hang_up();
    received.given_up().await;
    let records = site.records_after_drain().await;
    assert_eq!(charged(&records, "budget"), [MAX_TOKENS]);
}

#[tokio::test]
async fn an_engine_that_fails_before_it_computes_costs_nothing_and_one_that_breaks_off_what_had_come() {
    let rules =
        vec![rule("requests", Unit::Requests, "day", 100), rule("tokens", Unit::OutputTokens, "day", 1_000)];
    let mut site = site(rules, ModelTerms::default()).await;
    let mut client = site.client().await;
    for status in [500u16, 400] {
        let (answer, ()) = tokio::join!(client.post(CHAT, body(false)), async {
            site.engine.next().await.answer(status, "application/json", "{\"error\":{}}");
        });
        assert_eq!(answer.status, status);
    }
    let gone = body(false).replace("chat-model", "gone-model");
    assert_eq!(client.post(CHAT, gone).await.status, 502);
    let request = client.request(CHAT, body(true));
    let (mut response, engine) = tokio::join!(client.send(request), async {
        let engine = site.engine.next().await.stream();
        engine.send("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n");
        engine
    });
    piece(&mut response).await.unwrap();
    for text in ["b", "c"] {
        engine.send(format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"));
        piece(&mut response).await.unwrap();
    }
    engine.break_off();
    let _ = whole(response).await;
    let records = site.records_after_drain().await;
    assert_complete(&records);
    assert_eq!(charged(&records, "requests"), [0, 0, 0, 1]);
    assert_eq!(charged(&records, "tokens"), [0, 0, 0, 3]);
}

#[tokio::test]
async fn what_cannot_be_put_on_record_is_not_charged() {
    let mut site = site(vec![rule("budget", Unit::OutputTokens, "day", 1_000)], ModelTerms::default()).await;
    let limiting = Arc::clone(&site.limiting);
    let mut client = site.client().await;
    site.ledger.close();
    assert_eq!(client.post(CHAT, body(false)).await.status, 503);
    assert!(limiting.limits().views().iter().all(|view| (view.charged, view.held) == (0, 0)));
    let _ = site.engine.nothing_arrived();
}

#[tokio::test]
async fn an_exhausted_budget_hands_down_to_the_model_it_names_and_says_so() {
    let dear = When { models: vec!["chat-model".into()], ..When::default() };
    let cheap = When { models: vec!["renamed".into()], ..When::default() };
    let rules = vec![
        Rule {
            when: dear,
            on_exhausted: OnExhausted::DowngradeTo("renamed".into()),
            ..rule("dear", Unit::Requests, "day", 1)
        },
        Rule { when: cheap, ..rule("cheap", Unit::Requests, "day", 1) },
    ];
    let mut site = site(rules, ModelTerms::default()).await;
    let mut client = site.client().await;
    let mut answers = Vec::new();
    for asked in ["chat-model", "org/renamed:8b"] {
        let (answer, ()) = tokio::join!(client.post(CHAT, body(false)), async {
            let received = site.engine.next().await;
            let body: serde_json::Value = serde_json::from_slice(&received.body).unwrap();
            assert_eq!(body["model"], asked);
            received.answer(
                200,
                "application/json",
                r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
            );
        });
        answers.push(answer);
    }
    assert!(!answers[0].headers.contains_key("x-hermetic-model"));
    assert_eq!(answers[1].headers["x-hermetic-model"], "renamed");
    let third = client.post(CHAT, body(false)).await;
    assert_eq!(third.status, 429);
    assert!(third.json()["error"]["message"].as_str().unwrap().contains("`cheap`"));
    let records = site.records_after_drain().await;
    let Event::RequestAdmitted(second) = &records[2] else { panic!("{records:?}") };
    assert_eq!(second.model.as_str(), "renamed");
    assert_eq!(second.downgraded_from.as_ref().unwrap().as_str(), "chat-model");
}

#[tokio::test]
async fn a_model_the_caller_may_not_use_is_not_handed_down_to() {
    let downgrade = OnExhausted::DowngradeTo("secret-model".into());
    let rules = vec![Rule { on_exhausted: downgrade, ..rule("dear", Unit::Concurrent, "now", 1) }];
    let mut site = site(rules, ModelTerms::default()).await;
    let (mut first, mut second) = (site.client().await, site.client().await);
    let (_, refused) = tokio::join!(first.post(CHAT, body(false)), async {
        let received = site.engine.next().await;
        let refused = second.post(CHAT, body(false)).await;
        received.answer(200, "application/json", r#"{"choices":[]}"#);
        refused
    });
    assert_eq!((refused.status, refused.code().as_str()), (429, "E0930"));
    assert_eq!(refused.headers["retry-after"], "1");
}

#[tokio::test]
async fn metadata_in_the_body_or_in_a_header_chooses_the_counter() {
    let per = vec!["metadata.cost-centre".parse().unwrap()];
    let mut site =
        site(vec![Rule { per, ..rule("per-centre", Unit::Requests, "day", 1) }], ModelTerms::default()).await;
    let manner = Manner::new(Usage::Honest, Some(1));
    manner.gate.add_permits(9);
    let mut client = site.client().await;
    let with = |centre: &str| {
        body(false).replace(
            "{\"model\"",
            &format!("{{\"metadata\":{{\"cost-centre\":\"{centre}\",\"other\":\"1\"}},\"model\""),
        )
    };
    let mut in_header = client.request(CHAT, body(false));
    in_header.headers_mut().insert("x-hermetic-metadata-cost-centre", "43".parse().unwrap());
    let statuses = async {
        let mut statuses = Vec::new();
        for body in [with("42"), with("42"), with("43")] {
            statuses.push(client.post(CHAT, body).await.status);
        }
        statuses.push(whole(client.send(in_header).await).await.status);
        statuses
    };
    let statuses = tokio::select! {
        statuses = statuses => statuses,
        () = answer_all(&mut site.engine, &manner) => unreachable!(),
    };
    assert_eq!(statuses, [200, 429, 200, 429]);
}

#[tokio::test]
async fn a_soft_threshold_is_on_record_once_and_a_rule_in_the_shadow_refuses_nothing() {
    let rules = vec![
        Rule { soft: vec![500], ..rule("soft", Unit::Requests, "day", 4) },
        Rule { shadow: true, ..rule("shadow", Unit::Requests, "day", 1) },
    ];
    let mut site = site(rules, ModelTerms::default()).await;
    let manner = Manner::new(Usage::Honest, Some(1));
    manner.gate.add_permits(9);
    let mut client = site.client().await;
    for _ in 0..3 {
        let answer = tokio::select! {
            answer = client.post(CHAT, body(false)) => answer,
            () = answer_all(&mut site.engine, &manner) => unreachable!(),
        };
        assert_eq!(answer.status, 200);
    }
    let metrics = String::from_utf8(client.get("/metrics").await.body.to_vec()).unwrap();
    assert!(metrics.contains("hermetic_limit_shadow_refusals_total{rule=\"shadow\"} 2"), "{metrics}");
    assert!(metrics.contains("hermetic_limit_thresholds_total{rule=\"soft\"} 1"), "{metrics}");
    let records = site.records_after_drain().await;
    let told: Vec<_> = records
        .iter()
        .filter_map(|event| if let Event::LimitThreshold(told) = event { Some(told) } else { None })
        .collect();
    let [told] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((told.hold.rule.as_str(), told.threshold, told.taken, told.limit), ("soft", 500, 2, 4));
    assert_eq!(charged(&records, "shadow").len(), 3);
}
