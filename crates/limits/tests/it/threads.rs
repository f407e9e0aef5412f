//! Many at once.

use crate::support::{ALICE, NOW, rule, tokens};
use hermetic_limits::{COUNTERS_MAX, Dimension, Facts, Limits, Reservation, Rule, RuleSet, Unit};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn of_a_thousand_at_once_against_a_budget_for_ten_ten_are_held() {
    for rules in [
        vec![rule("requests", Unit::Requests, "hour", 10)],
        vec![rule("tokens", Unit::Tokens, "hour/sliding", 109), rule("gauge", Unit::Concurrent, "now", 500)],
        vec![rule("gauge", Unit::Concurrent, "now", 10), rule("month", Unit::OutputTokens, "month", 10_000)],
    ] {
        let limits = Limits::new(RuleSet::new(rules).unwrap(), COUNTERS_MAX);
        let barrier = Barrier::new(8);
        let held: Vec<Reservation> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        (0..125)
                            .filter_map(|_| limits.reserve(&ALICE, &tokens(4, 6), NOW).ok())
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(held.len(), 10);
    }
}

/// Locks on several counters, made and dropped by several threads in both orders: nobody waits for ever, nothing is
/// counted twice, and at no moment is more held than there may be.
#[test]
fn rules_that_overlap_neither_deadlock_nor_overshoot() {
    let per =
        |name, dimension, cap| Rule { per: vec![dimension], ..rule(name, Unit::OutputTokens, "day", cap) };
    let forth = || {
        vec![
            per("subjects", Dimension::Subject, 40),
            per("models", Dimension::Model, 50),
            rule("site", Unit::OutputTokens, "day", 60),
        ]
    };
    let back = || forth().into_iter().rev().collect::<Vec<_>>();
    let limits = Limits::new(RuleSet::new(forth()).unwrap(), COUNTERS_MAX);
    let (flying, charged) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (limits, flying, charged) = (&limits, &flying, &charged);
            scope.spawn(move || {
                for round in 0u64..4_000 {
                    if thread == 0 && round % 50 == 0 {
                        let rules = if round % 100 == 0 { back() } else { forth() };
                        limits.replace(RuleSet::new(rules).unwrap());
                    }
                    let facts = Facts {
                        subject: ["alice", "bob"][usize::from(round % 2 == 0)],
                        model: ["chat", "code"][usize::from(round % 3 == 0)],
                        ..ALICE
                    };
                    let Ok(reservation) = limits.reserve(&facts, &tokens(0, 7), NOW) else { continue };
                    assert!(flying.fetch_add(7, Ordering::SeqCst) + 7 <= 60);
                    flying.fetch_sub(7, Ordering::SeqCst);
                    // One in a hundred uses something.
                    let used = u64::from(round % 100 == 7);
                    let _ = reservation.settle(&tokens(0, used));
                    charged.fetch_add(used, Ordering::SeqCst);
                }
            });
        }
    });
    let site: u64 =
        limits.views().iter().filter(|view| &*view.counter.rule == "site").map(|view| view.charged).sum();
    assert_eq!(site, charged.load(Ordering::SeqCst));
    assert!(limits.views().iter().all(|view| view.held == 0));
}
