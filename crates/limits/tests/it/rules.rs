//! Which rules speak of a request, and what they say.

use crate::support::{ALICE, NOW, exceeded, rule, tokens};
use hermetic_limits::{
    COUNTERS_MAX, Denied, Dimension, Facts, Limits, OnExhausted, Rule, RuleSet, RuleSetError, Unit, When,
};

fn limits(rules: Vec<Rule>) -> Limits {
    Limits::new(RuleSet::new(rules).unwrap(), COUNTERS_MAX)
}

#[test]
fn a_request_that_one_rule_refuses_holds_on_none() {
    let limits =
        limits(vec![rule("wide", Unit::Tokens, "hour", 1_000), rule("narrow", Unit::Requests, "hour", 1)]);
    let held = limits.reserve(&ALICE, &tokens(10, 10), NOW).unwrap();
    let refused = exceeded(limits.reserve(&ALICE, &tokens(10, 10), NOW));
    assert_eq!((&*refused.rule.name, refused.taken, refused.asked), ("narrow", 1, 1));
    let wide: u64 =
        limits.views().iter().filter(|view| &*view.counter.rule == "wide").map(|view| view.held).sum();
    assert_eq!(wide, 20);
    drop(held);
    assert!(limits.reserve(&ALICE, &tokens(10, 10), NOW).is_ok());
}

#[test]
fn a_rule_speaks_of_what_all_its_lists_contain() {
    let when = |when: When| Rule { when, ..rule("r", Unit::Requests, "hour", 1) };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let metadata = [("cost-centre".to_owned(), "42".to_owned())];
    let facts = Facts { metadata: &metadata, ..ALICE };
    for (speaks, rule) in [
        (true, when(When::default())),
        (true, when(When { subjects: names(&["bob", "alice"]), ..When::default() })),
        (false, when(When { subjects: names(&["bob"]), ..When::default() })),
        (true, when(When { projects: names(&["demo"]), models: names(&["chat"]), ..When::default() })),
        (false, when(When { projects: names(&["demo"]), models: names(&["code"]), ..When::default() })),
        (false, when(When { teams: names(&["ops"]), ..When::default() })),
        (
            true,
            when(When {
                workflows: names(&["docs"]),
                surfaces: names(&["chat.completions"]),
                ..When::default()
            }),
        ),
        (
            true,
            when(When { metadata: vec![("cost-centre".into(), names(&["41", "42"]))], ..When::default() }),
        ),
        (true, when(When { metadata: vec![("cost-centre".into(), vec![])], ..When::default() })),
        (false, when(When { metadata: vec![("cost-centre".into(), names(&["41"]))], ..When::default() })),
        (false, when(When { metadata: vec![("other".into(), vec![])], ..When::default() })),
    ] {
        let shown = format!("{rule:?}");
        let limits = limits(vec![rule]);
        assert_eq!(
            limits.reserve(&facts, &tokens(1, 1), NOW).unwrap().holds().len(),
            usize::from(speaks),
            "{shown}"
        );
    }
}

#[test]
fn counters_are_kept_apart_by_what_the_rule_names() {
    let metadata = |value: &str| [("cost-centre".to_owned(), value.to_owned())];
    let limits = limits(vec![Rule {
        per: vec![Dimension::Project, Dimension::Metadata("cost-centre".into())],
        ..rule("r", Unit::Requests, "hour", 1)
    }]);
    let (one, two) = (metadata("1"), metadata("a,project=b"));
    let _held = [
        limits.reserve(&Facts { metadata: &one, ..ALICE }, &tokens(1, 1), NOW).unwrap(),
        limits.reserve(&Facts { metadata: &two, ..ALICE }, &tokens(1, 1), NOW).unwrap(),
        limits.reserve(&ALICE, &tokens(1, 1), NOW).unwrap(),
        limits.reserve(&Facts { project: "other", ..ALICE }, &tokens(1, 1), NOW).unwrap(),
    ];
    let refused =
        exceeded(limits.reserve(&Facts { subject: "bob", metadata: &two, ..ALICE }, &tokens(1, 1), NOW));
    assert_eq!(&*refused.counter.scope, "project=demo,metadata.cost-centre=a%2Cproject%3Db");
}

#[test]
fn what_never_fits_says_so_and_what_fits_later_says_when() {
    let limits = limits(vec![rule("r", Unit::Tokens, "minute", 10)]);
    let refused = exceeded(limits.reserve(&ALICE, &tokens(11, 0), NOW));
    assert_eq!((refused.fits_at_unix_ms, refused.retry_after_ms(NOW)), (None, None));
    let _held = limits.reserve(&ALICE, &tokens(10, 0), NOW).unwrap();
    let refused = exceeded(limits.reserve(&ALICE, &tokens(1, 0), NOW));
    // 16:35:50: the minute ends in ten seconds.
    assert_eq!(refused.retry_after_ms(NOW), Some(10_000));
    assert!(limits.reserve(&ALICE, &tokens(10, 0), NOW + 10_000).is_ok());
}

#[test]
fn a_sliding_window_lets_go_piece_by_piece() {
    let limits = limits(vec![rule("r", Unit::Tokens, "minute/sliding", 10)]);
    let settle =
        |at| limits.reserve(&ALICE, &tokens(5, 0), at).map(|reservation| reservation.settle(&tokens(5, 0)));
    let _ = (settle(NOW).unwrap(), settle(NOW + 30_000).unwrap());
    let refused = exceeded(settle(NOW + 59_000));
    assert_eq!(refused.retry_after_ms(NOW + 59_000), Some(2_000), "a slot counts until it has wholly left");
    let _ = settle(NOW + 61_000).unwrap();
    assert_eq!(exceeded(settle(NOW + 61_000)).retry_after_ms(NOW + 61_000), Some(30_000));
}

#[test]
fn the_tightest_rule_is_what_a_caller_steers_by() {
    let limits = limits(vec![
        rule("wide", Unit::Tokens, "day", 1_000),
        rule("narrow", Unit::OutputTokens, "minute", 50),
        Rule { shadow: true, ..rule("shadow", Unit::Tokens, "day", 1) },
        rule("requests", Unit::Requests, "minute", 7),
    ]);
    let reservation = limits.reserve(&ALICE, &tokens(10, 20), NOW).unwrap();
    let tokens = reservation.tokens_left().unwrap();
    assert_eq!((tokens.limit, tokens.remaining, tokens.resets_in_ms), (50, 30, 10_000));
    let requests = reservation.requests_left().unwrap();
    assert_eq!((requests.limit, requests.remaining), (7, 6));
    assert_eq!(reservation.would_refuse().map(|rule| &*rule.name).collect::<Vec<_>>(), ["shadow"]);
}

#[test]
fn a_rule_that_refuses_is_named_before_one_that_knows_another_model() {
    let downgrade = Rule {
        on_exhausted: OnExhausted::DowngradeTo("small".into()),
        ..rule("soft", Unit::Requests, "month", 1)
    };
    let limits = limits(vec![downgrade, rule("hard", Unit::Concurrent, "now", 1)]);
    let held = limits.reserve(&ALICE, &tokens(1, 1), NOW).unwrap();
    assert_eq!(&*exceeded(limits.reserve(&ALICE, &tokens(1, 1), NOW)).rule.name, "hard");
    let _ = held.settle(&tokens(1, 1));
    assert_eq!(&*exceeded(limits.reserve(&ALICE, &tokens(1, 1), NOW)).rule.name, "soft");
}

#[test]
fn each_threshold_is_told_once_a_window() {
    let limits = limits(vec![Rule { soft: vec![500, 800], ..rule("r", Unit::Requests, "minute", 10) }]);
    let mut told = Vec::new();
    for i in 0..10 {
        let mut reservation = limits.reserve(&ALICE, &tokens(1, 1), NOW).unwrap();
        told.extend(reservation.take_crossings().iter().map(|crossing| (i + 1, crossing.threshold)));
        let _ = reservation.settle(&tokens(1, 1));
    }
    assert_eq!(told, [(5, 500), (8, 800)]);
    let mut next = limits.reserve(&ALICE, &tokens(1, 1), NOW + 60_000).unwrap();
    assert!(next.take_crossings().is_empty());
}

#[test]
fn a_reload_changes_caps_and_forgets_nothing() {
    let limits = limits(vec![rule("r", Unit::Requests, "day", 2)]);
    let _ = limits.reserve(&ALICE, &tokens(1, 1), NOW).unwrap().settle(&tokens(1, 1));
    let held = limits.reserve(&ALICE, &tokens(1, 1), NOW).unwrap();
    limits.replace(RuleSet::new(vec![]).unwrap());
    assert!(limits.reserve(&ALICE, &tokens(1, 1), NOW).unwrap().is_empty());
    limits.replace(RuleSet::new(vec![rule("r", Unit::Requests, "day", 3)]).unwrap());
    let _third = limits.reserve(&ALICE, &tokens(1, 1), NOW).unwrap();
    assert_eq!(exceeded(limits.reserve(&ALICE, &tokens(1, 1), NOW)).taken, 3);
    drop(held);
    assert!(limits.reserve(&ALICE, &tokens(1, 1), NOW).is_ok());
}

#[test]
fn when_counters_are_full_new_scopes_are_refused_until_others_have_emptied() {
    let rules = vec![Rule { per: vec![Dimension::Subject], ..rule("r", Unit::Requests, "minute", 5) }];
    let limits = Limits::new(RuleSet::new(rules).unwrap(), 2);
    let of = |subject: &'static str, now| limits.reserve(&Facts { subject, ..ALICE }, &tokens(1, 1), now);
    let _ = of("a", NOW).unwrap().settle(&tokens(1, 1));
    let held = of("b", NOW).unwrap();
    assert!(matches!(of("c", NOW), Err(Denied::CountersFull { max: 2, .. })));
    assert!(of("a", NOW).is_ok(), "known scopes go on");
    // A minute later nothing counts on a's counter; b's still holds. The new time is believed when it stays.
    assert!(matches!(of("c", NOW + 120_000), Err(Denied::CountersFull { .. })));
    assert!(of("c", NOW + 122_000).is_ok());
    drop(held);
}

#[test]
fn more_than_was_held_is_charged_and_blocks_what_comes_after() {
    let limits = limits(vec![rule("r", Unit::Tokens, "day", 10)]);
    let settled = limits.reserve(&ALICE, &tokens(5, 1), NOW).unwrap().settle(&tokens(5, 20));
    assert!(settled.overrun);
    assert_eq!(exceeded(limits.reserve(&ALICE, &tokens(1, 0), NOW)).taken, 25);
}

#[test]
fn what_is_dropped_is_refunded_before_it_consumes_and_charged_whole_after() {
    let limits = limits(vec![rule("r", Unit::Tokens, "day", 10), rule("g", Unit::Concurrent, "now", 1)]);
    drop(limits.reserve(&ALICE, &tokens(5, 5), NOW).unwrap());
    let mut reservation = limits.reserve(&ALICE, &tokens(5, 5), NOW).unwrap();
    reservation.consuming();
    drop(reservation);
    let refused = exceeded(limits.reserve(&ALICE, &tokens(1, 0), NOW));
    assert_eq!((&*refused.rule.name, refused.taken), ("r", 10));
}

#[test]
fn rules_that_contradict_themselves_are_refused() {
    let twice = vec![rule("r", Unit::Tokens, "day", 1), rule("r", Unit::Requests, "day", 1)];
    assert!(matches!(RuleSet::new(twice), Err(RuleSetError::Name { .. })));
    for (bad, expected) in [
        (rule("r", Unit::Tokens, "now", 1), "no window"),
        (rule("r", Unit::Concurrent, "day", 1), "window"),
        (Rule { soft: vec![900, 500], ..rule("r", Unit::Tokens, "day", 1) }, "soft"),
    ] {
        assert!(RuleSet::new(vec![bad]).is_err(), "{expected}");
    }
}
