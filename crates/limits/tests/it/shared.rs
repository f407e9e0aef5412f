//! Caps that are shared with other replicas: headroom is asked for, added and given back.

use crate::history::History;
use crate::support::{ALICE, NOW, exceeded, rule, tokens};
use hermetic_limits::{COUNTERS_MAX, Denied, Limits, Reservation, Rule, RuleSet, Shortfall, Unit};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn replica(cap: u64, window: &str) -> Limits {
    let rules = vec![Rule { shared: true, ..rule("shared", Unit::Tokens, window, cap) }];
    Limits::new(RuleSet::new(rules).unwrap(), COUNTERS_MAX)
}

fn short(result: Result<Reservation, Denied>) -> Shortfall {
    match result {
        Err(Denied::Short(mut shortfalls)) => shortfalls.remove(0),
        other => panic!("expected a lack of headroom, found {other:?}"),
    }
}

#[test]
fn headroom_is_asked_for_added_used_and_given_back() {
    let limits = replica(100, "hour");
    let lack = short(limits.reserve(&ALICE, &tokens(5, 5), NOW));
    assert_eq!((lack.by, lack.cap), (10, 100));
    assert_eq!(limits.grant(&lack.counter, lack.slot, 25), 25);
    let first = limits.reserve(&ALICE, &tokens(5, 5), NOW).unwrap();
    let _second = limits.reserve(&ALICE, &tokens(5, 5), NOW).unwrap();
    assert_eq!(short(limits.reserve(&ALICE, &tokens(5, 5), NOW)).by, 5);
    let _ = first.settle(&tokens(2, 1));
    assert_eq!(limits.reclaim(&lack.counter, lack.slot, 4), 25 - 3 - 10 - 4);
    assert_eq!(limits.reclaim(&lack.counter, lack.slot, 0), 4);
    // The whole cap bounds also what was given too much.
    limits.grant(&lack.counter, lack.slot, 1_000);
    assert_eq!(exceeded(limits.reserve(&ALICE, &tokens(90, 0), NOW)).taken, 13);
}

proptest! {
    /// Two replicas and somebody who gives out slices and sees to it that the slots of one window never get more than
    /// the cap together.
    #[test]
    fn two_replicas_share_one_cap(steps in prop::collection::vec((0usize..2, 0u64..9, 0u64..3, 0u64..900), 1..80)) {
        const CAP: u64 = 20;
        let window = "second/sliding";
        let replicas = [replica(CAP, window), replica(CAP, window)];
        let mut given: BTreeMap<u64, u64> = BTreeMap::new();
        let mut history = History::default();
        let mut now = NOW;
        for (which, amount, slice, ms) in steps {
            now += ms;
            let limits = &replicas[which];
            let mut outcome = limits.reserve(&ALICE, &tokens(amount, 1), now);
            if let Err(Denied::Short(shortfalls)) = outcome {
                let lack = &shortfalls[0];
                let span = lack.counter.window.span();
                let first = lack.slot + 1 - span;
                let seen: u64 = given.range(first..=lack.slot).map(|(_, amount)| amount).sum();
                let wanted = (lack.by + slice).min(CAP.saturating_sub(seen));
                if wanted >= lack.by {
                    *given.entry(lack.slot).or_default() += wanted;
                    limits.grant(&lack.counter, lack.slot, wanted);
                }
                outcome = limits.reserve(&ALICE, &tokens(amount, 1), now);
            }
            if let Ok(reservation) = outcome {
                let holds = reservation.holds();
                history.hold(&holds);
                let settled = reservation.settle(&tokens(amount, 0));
                let charges: Vec<u64> = settled.charges.iter().map(|charge| charge.amount).collect();
                history.settle(&holds, &charges);
            }
            history.assert_no_overshoot(|_| CAP);
        }
    }
}
