//! Counters as the records tell them: the same however the reading was interrupted.

use crate::support::{ALICE, NOW, exceeded, rule, tokens};
use hermetic_ids::RequestId;
use hermetic_limits::{COUNTERS_MAX, Fold, Hold, Limits, RuleSet, Unit};
use proptest::prelude::*;

/// What stands in a record, as far as limits are concerned.
#[derive(Debug, Clone)]
enum Entry {
    Admitted(u8, Vec<Hold>),
    Settled(u8, Vec<u64>),
    Other,
}

fn apply(fold: &mut Fold, entry: &Entry) {
    match entry {
        Entry::Admitted(request, holds) => {
            fold.admitted(RequestId::from_bytes([*request; 16]), holds.clone())
        }
        Entry::Settled(request, charges) => fold.settled(RequestId::from_bytes([*request; 16]), charges),
        Entry::Other => {}
    }
    fold.advance();
}

fn hold() -> impl Strategy<Value = Hold> {
    let rules = prop::sample::select(vec![
        ("hour", Unit::Tokens),
        ("minute/sliding", Unit::Money),
        ("now", Unit::Concurrent),
        ("month", Unit::Requests),
    ]);
    (rules, 0u64..200, 0u64..50).prop_map(|((window, unit), slot, amount)| {
        let text = format!(
            r#"{{"counter":{{"rule":"r-{window}","unit":"{unit}","window":"{window}","scope":"model=m"}},"slot":{},"amount":{amount}}}"#,
            if window == "now" { 0 } else { slot }
        );
        serde_json::from_str(&text).unwrap()
    })
}

fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![
        (0u8..20, prop::collection::vec(hold(), 0..3))
            .prop_map(|(request, holds)| Entry::Admitted(request, holds)),
        (0u8..20, prop::collection::vec(0u64..50, 0..3))
            .prop_map(|(request, charges)| Entry::Settled(request, charges)),
        Just(Entry::Other),
    ]
}

proptest! {
    #[test]
    fn reading_all_is_reading_some_writing_it_down_and_reading_the_rest(
        entries in prop::collection::vec(entry(), 0..60), cut in 0usize..60,
    ) {
        let mut whole = Fold::default();
        entries.iter().for_each(|entry| apply(&mut whole, entry));
        let (first, rest) = entries.split_at(cut.min(entries.len()));
        let mut part = Fold::default();
        first.iter().for_each(|entry| apply(&mut part, entry));
        let mut part: Fold = serde_json::from_str(&serde_json::to_string(&part).unwrap()).unwrap();
        prop_assert_eq!(part.next(), first.len() as u64);
        rest.iter().for_each(|entry| apply(&mut part, entry));
        prop_assert_eq!(part, whole);
    }
}

#[test]
fn what_was_charged_before_a_restart_counts_after_it() {
    let rules = || RuleSet::new(vec![rule("daily", Unit::Tokens, "day", 100)]).unwrap();
    let limits = Limits::new(rules(), COUNTERS_MAX);
    let request = RequestId::from_bytes([1; 16]);
    let mut fold = Fold::default();
    let reservation = limits.reserve(&ALICE, &tokens(30, 30), NOW).unwrap();
    fold.admitted(request, reservation.holds());
    let charges: Vec<u64> =
        reservation.settle(&tokens(30, 20)).charges.iter().map(|charge| charge.amount).collect();
    fold.settled(request, &charges);
    let limits = Limits::new(rules(), COUNTERS_MAX);
    limits.restore(&fold);
    assert_eq!(exceeded(limits.reserve(&ALICE, &tokens(51, 0), NOW)).taken, 50);
    assert!(limits.reserve(&ALICE, &tokens(50, 0), NOW).is_ok());
}

#[test]
fn counters_nothing_counts_on_are_dropped_but_not_by_one_record_from_the_future() {
    const DAY: u64 = 86_400_000;
    let limits =
        Limits::new(RuleSet::new(vec![rule("daily", Unit::Requests, "day", 9)]).unwrap(), COUNTERS_MAX);
    let reservation = limits.reserve(&ALICE, &tokens(1, 1), NOW).unwrap();
    let request = RequestId::from_bytes([1; 16]);
    let mut fold = Fold::default();
    fold.admitted(request, reservation.holds());
    fold.settled(request, &[1]);
    fold.prune(NOW);
    fold.prune(NOW + 900 * DAY);
    assert_eq!(fold.amounts().count(), 1);
    fold.prune(NOW);
    fold.prune(NOW + 2 * DAY);
    assert_eq!(fold.amounts().count(), 1);
    fold.prune(NOW + 2 * DAY);
    assert_eq!(fold.amounts().count(), 0);
    drop(reservation);
}
