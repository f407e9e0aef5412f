//! Every history of up to six steps, of two rules with small caps: not a sample of what can happen but all of it.

use crate::history::History;
use crate::support::{ALICE, NOW, rule, tokens};
use hermetic_limits::{COUNTERS_MAX, Hold, Limits, Reservation, RuleSet, Unit};

#[derive(Debug, Clone, Copy)]
enum Step {
    ReserveOne,
    ReserveTwo,
    SettleOldestWhole,
    SettleOldestHalf,
    RefundNewest,
    /// Less than a window.
    Tick,
    TickBack,
}

const STEPS: [Step; 7] = [
    Step::ReserveOne,
    Step::ReserveTwo,
    Step::SettleOldestWhole,
    Step::SettleOldestHalf,
    Step::RefundNewest,
    Step::Tick,
    Step::TickBack,
];
const LONGEST: u32 = 6;
const TICK_MS: u64 = 400;

fn play(history_number: usize, length: u32, window: &str) {
    let rules = vec![rule("tokens", Unit::Tokens, window, 3), rule("requests", Unit::Requests, window, 2)];
    let limits = Limits::new(RuleSet::new(rules).unwrap(), COUNTERS_MAX);
    let mut history = History::default();
    let mut flying: Vec<(Reservation, Vec<Hold>)> = Vec::new();
    let (mut now, mut rest) = (NOW, history_number);
    for _ in 0..length {
        let step = STEPS[rest % STEPS.len()];
        rest /= STEPS.len();
        let mut end = |(reservation, holds): (Reservation, Vec<Hold>), output: Option<u64>| {
            let settled = match output {
                Some(output) => reservation.settle(&tokens(0, output)),
                None => reservation.refund(),
            };
            let charges: Vec<u64> = settled.charges.iter().map(|charge| charge.amount).collect();
            history.settle(&holds, &charges);
        };
        match step {
            Step::ReserveOne | Step::ReserveTwo => {
                let most = tokens(0, if matches!(step, Step::ReserveOne) { 1 } else { 2 });
                if let Ok(reservation) = limits.reserve(&ALICE, &most, now) {
                    history.hold(&reservation.holds());
                    let holds = reservation.holds();
                    flying.push((reservation, holds));
                }
            }
            Step::SettleOldestWhole | Step::SettleOldestHalf if !flying.is_empty() => {
                let flight = flying.remove(0);
                let most = flight.0.most().output_tokens;
                let used = if matches!(step, Step::SettleOldestWhole) { most } else { most / 2 };
                end(flight, Some(used));
            }
            Step::RefundNewest => {
                if let Some(flight) = flying.pop() {
                    end(flight, None);
                }
            }
            Step::Tick => now += TICK_MS,
            Step::TickBack => now -= TICK_MS,
            Step::SettleOldestWhole | Step::SettleOldestHalf => {}
        }
    }
    history.assert_no_overshoot(|name| if name == "tokens" { 3 } else { 2 });
    for view in limits.views() {
        assert_eq!(view.charged, history.charged(&view.counter, view.slot));
        assert_eq!(view.held, history.held(&view.counter, view.slot));
    }
    drop(flying);
    assert!(limits.views().iter().all(|view| view.held == 0));
}

#[test]
fn no_history_of_six_steps_overshoots_a_calendar_window() {
    (0..STEPS.len().pow(LONGEST)).for_each(|number| play(number, LONGEST, "second"));
}

#[test]
fn no_history_of_six_steps_overshoots_a_sliding_window() {
    (0..STEPS.len().pow(LONGEST)).for_each(|number| play(number, LONGEST, "second/sliding"));
}
