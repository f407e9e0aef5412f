//! The state machine under random histories: requests that overlap, end in every way there is or never, a process that
//! dies and comes back from its records, a clock that goes forth, back and far ahead.

use crate::history::History;
use crate::support::{ALICE, NOW, rule};
use hermetic_ids::RequestId;
use hermetic_limits::{
    Amounts, COUNTERS_MAX, Denied, Dimension, Facts, Fold, Hold, Limits, Reservation, Rule, RuleSet, Unit,
};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Reserve {
        subject: usize,
        model: usize,
        most: Amounts,
    },
    /// The admitting record is durable.
    Admit {
        which: usize,
    },
    Settle {
        which: usize,
        share: u64,
    },
    Refund {
        which: usize,
    },
    Forfeit {
        which: usize,
    },
    /// The client left while its request waited, or its task was lost.
    Drop {
        which: usize,
    },
    Crash,
    Forward {
        ms: u64,
    },
    Back {
        ms: u64,
    },
}

fn amounts() -> impl Strategy<Value = Amounts> {
    (0u64..12, 0u64..12, 0u64..20).prop_map(|(input_tokens, output_tokens, money)| Amounts {
        requests: 1,
        input_tokens,
        output_tokens,
        money,
        gpu_ms: input_tokens,
        concurrent: 1,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let which = || 0usize..64;
    // Shorter than a slot, about a window, and as if somebody had mistyped the year.
    let millis =
        || prop_oneof![0u64..40, 0u64..2_500, 0u64..200_000, Just(90_000_000), Just(3_000_000_000_000)];
    prop_oneof![
        8 => (0usize..2, 0usize..2, amounts()).prop_map(|(subject, model, most)| Step::Reserve { subject, model, most }),
        6 => which().prop_map(|which| Step::Admit { which }),
        6 => (which(), 0u64..=100).prop_map(|(which, share)| Step::Settle { which, share }),
        1 => which().prop_map(|which| Step::Refund { which }),
        1 => which().prop_map(|which| Step::Forfeit { which }),
        1 => which().prop_map(|which| Step::Drop { which }),
        1 => Just(Step::Crash),
        4 => millis().prop_map(|ms| Step::Forward { ms }),
        2 => millis().prop_map(|ms| Step::Back { ms }),
    ]
}

fn any_rule(number: usize) -> impl Strategy<Value = Rule> {
    let windows: Vec<&'static str> = vec![
        "second",
        "minute",
        "hour",
        "day",
        "week",
        "month",
        "second/sliding",
        "minute/sliding",
        "hour/sliding",
    ];
    let per = prop::sample::subsequence(vec![Dimension::Subject, Dimension::Model], 0..=2);
    (prop::sample::select(&Unit::ALL[..]), prop::sample::select(windows), 1u64..40, per).prop_map(
        move |(unit, window, cap, per)| {
            let window = if unit == Unit::Concurrent { "now" } else { window };
            Rule { per, soft: vec![500, 900], ..rule(&format!("rule-{number}"), unit, window, cap) }
        },
    )
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    (any_rule(0), any_rule(1), any_rule(2), 1usize..=3).prop_map(|(a, b, c, count)| {
        let mut rules = vec![a, b, c];
        rules.truncate(count);
        rules
    })
}

struct InFlight {
    request: RequestId,
    reservation: Reservation,
    holds: Vec<Hold>,
    recorded: bool,
}

struct World {
    rules: Vec<Rule>,
    limits: Limits,
    fold: Fold,
    history: History,
    flying: Vec<InFlight>,
    now: u64,
    requests: u8,
    /// The clock went back at some time.
    went_back: bool,
}

impl World {
    fn new(rules: Vec<Rule>) -> Self {
        Self {
            limits: Limits::new(RuleSet::new(rules.clone()).unwrap(), COUNTERS_MAX),
            rules,
            fold: Fold::default(),
            history: History::default(),
            flying: Vec::new(),
            now: NOW,
            requests: 0,
            went_back: false,
        }
    }

    fn take(&mut self, which: usize) -> Option<InFlight> {
        let count = self.flying.len();
        (count > 0).then(|| self.flying.swap_remove(which % count))
    }

    fn play(&mut self, step: &Step) {
        match step {
            Step::Reserve { subject, model, most } => self.reserve(*subject, *model, most),
            Step::Admit { which } => self.admit(*which),
            Step::Settle { which, share } => {
                if let Some(flight) = self.take(*which) {
                    let share = if flight.recorded { *share } else { 0 };
                    let mut used = share_of(flight.reservation.most(), share);
                    used.requests *= u64::from(flight.recorded);
                    self.end(flight, |reservation| {
                        reservation.settle(&used).charges.iter().map(|c| c.amount).collect()
                    });
                }
            }
            Step::Refund { which } => {
                if let Some(flight) = self.take(*which) {
                    self.end(flight, |reservation| {
                        reservation.refund().charges.iter().map(|c| c.amount).collect()
                    });
                }
            }
            Step::Forfeit { which } => {
                if let Some(flight) = self.take(*which) {
                    let known = flight.recorded;
                    let whole = |reservation: Reservation| {
                        if known { reservation.forfeit() } else { reservation.refund() }
                    };
                    self.end(flight, |reservation| {
                        whole(reservation).charges.iter().map(|c| c.amount).collect()
                    });
                }
            }
            Step::Drop { which } => {
                if let Some(flight) = self.take(*which) {
                    let whole = flight.recorded;
                    let charges = |hold: &Hold| {
                        if whole && hold.counter.unit != Unit::Concurrent { hold.amount } else { 0 }
                    };
                    let charges: Vec<u64> = flight.holds.iter().map(charges).collect();
                    self.end(flight, |reservation| {
                        drop(reservation);
                        charges
                    });
                }
            }
            Step::Crash => self.crash(),
            Step::Forward { ms } => self.now += ms,
            Step::Back { ms } => {
                self.went_back |= *ms > 0;
                self.now = self.now.saturating_sub(*ms);
            }
        }
    }

    fn reserve(&mut self, subject: usize, model: usize, most: &Amounts) {
        let facts = Facts { subject: ["alice", "bob"][subject], model: ["chat", "code"][model], ..ALICE };
        match self.limits.reserve(&facts, most, self.now) {
            Ok(mut reservation) => {
                for crossing in reservation.take_crossings() {
                    self.fold.crossed(&crossing.hold.counter, crossing.hold.slot, crossing.crossed);
                }
                let holds = reservation.holds();
                if !self.went_back {
                    for hold in &holds {
                        assert_eq!(
                            hold.slot,
                            hold.counter.window.slot(self.now),
                            "charged where it happened"
                        );
                    }
                }
                self.history.hold(&holds);
                self.requests += 1;
                let request = RequestId::from_bytes([self.requests; 16]);
                self.flying.push(InFlight { request, reservation, holds, recorded: false });
            }
            Err(Denied::Exceeded(exceeded)) => {
                assert!(exceeded.taken + exceeded.asked > exceeded.rule.cap, "{exceeded:?}");
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    fn admit(&mut self, which: usize) {
        let count = self.flying.len();
        if let Some(flight) = self.flying.get_mut(which % count.max(1))
            && !flight.recorded
        {
            flight.recorded = true;
            flight.reservation.consuming();
            self.fold.admitted(flight.request, flight.holds.clone());
            self.fold.advance();
        }
    }

    fn end(&mut self, flight: InFlight, how: impl FnOnce(Reservation) -> Vec<u64>) {
        let charges = how(flight.reservation);
        self.history.settle(&flight.holds, &charges);
        // What was never admitted was never answered, and leaves no record.
        if flight.recorded {
            self.fold.settled(flight.request, &charges);
            self.fold.advance();
        } else {
            assert!(charges.iter().all(|charge| *charge == 0));
        }
    }

    /// The process is killed: what it held in memory is gone, what it wrote is not.
    fn crash(&mut self) {
        for flight in std::mem::take(&mut self.flying) {
            let charge = |hold: &Hold| {
                if flight.recorded && hold.counter.unit != Unit::Concurrent { hold.amount } else { 0 }
            };
            let charges: Vec<u64> = flight.holds.iter().map(charge).collect();
            self.history.settle(&flight.holds, &charges);
            std::mem::forget(flight.reservation);
        }
        let text = serde_json::to_string(&self.fold).unwrap();
        self.fold = serde_json::from_str(&text).unwrap();
        let open: Vec<_> = self.fold.open().map(|(request, open)| (request, open.holds.clone())).collect();
        for (request, holds) in open {
            let charge = |hold: &Hold| if hold.counter.unit == Unit::Concurrent { 0 } else { hold.amount };
            let charges: Vec<u64> = holds.iter().map(charge).collect();
            self.fold.settled(request, &charges);
            self.fold.advance();
        }
        self.limits = Limits::new(RuleSet::new(self.rules.clone()).unwrap(), COUNTERS_MAX);
        self.limits.restore(&self.fold);
    }

    fn check(&self) {
        self.history
            .assert_no_overshoot(|name| self.rules.iter().find(|rule| &*rule.name == name).unwrap().cap);
        for view in self.limits.views() {
            assert_eq!(view.charged, self.history.charged(&view.counter, view.slot), "{view:?}");
            assert_eq!(view.held, self.history.held(&view.counter, view.slot), "{view:?}");
        }
    }
}

fn share_of(most: &Amounts, percent: u64) -> Amounts {
    let of = |amount: u64| amount * percent / 100;
    Amounts {
        requests: most.requests,
        input_tokens: of(most.input_tokens),
        output_tokens: of(most.output_tokens),
        money: of(most.money),
        gpu_ms: of(most.gpu_ms),
        concurrent: 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_history_overshoots_leaks_or_loses_a_charge(rules in rules(), steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new(rules);
        for step in &steps {
            world.play(step);
            world.check();
        }
        // When all has ended nothing is held, and what the records say is what was charged.
        while let Some(flight) = world.take(0) {
            world.end(flight, |reservation| reservation.refund().charges.iter().map(|c| c.amount).collect());
        }
        prop_assert!(world.limits.views().iter().all(|view| view.held == 0));
        prop_assert_eq!(world.fold.open().count(), 0);
        world.check();
        for (counter, slot, charged, held) in world.fold.amounts() {
            prop_assert_eq!(held, 0);
            prop_assert!(charged <= world.history.charged(counter, slot));
        }
    }
}
