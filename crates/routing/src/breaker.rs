//! When a target is left out, and when it is tried again.
//!
//! ```text
//!            too many faults                 pause over, one request
//!   closed ──────────────────▶ open(pause) ─────────────────────────▶ trial
//!      ▲                          ▲                                     │ │
//!      │                          └──────────── fault, pause doubles ───┘ │
//!      └───────────────────────────────────────────────── success ───────┘
//! ```
//!
//! Only what is the target's fault is counted here; the caller decides what that is.

use std::time::Duration;

/// When a breaker opens and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerOptions {
    /// Faults in a row that open it. Default 3: one is chance, and a request that met a dead target has been tried
    /// elsewhere, so waiting for a third costs little.
    pub faults_in_a_row: u32,
    /// Share of faults within the window that opens it, in percent. Default 50.
    pub fault_percent: u32,
    /// Requests in the window below which no share is taken. Default 20.
    pub window_requests_min: u32,
    /// Half of the window over which the share is taken: there are two halves, the older is dropped whole. Default 10 s.
    pub half_window: Duration,
    /// The first pause. Default 2 s: a process that is restarted is back in about that.
    pub pause_first: Duration,
    /// The longest pause. Default 60 s.
    pub pause_last: Duration,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self {
            faults_in_a_row: 3,
            fault_percent: 50,
            window_requests_min: 20,
            half_window: Duration::from_secs(10),
            pause_first: Duration::from_secs(2),
            pause_last: Duration::from_secs(60),
        }
    }
}

/// Whether a request may go to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// In use.
    Closed,
    /// Left out until then.
    Open { until: Duration },
    /// The pause is over: one request may try.
    Trial,
    /// One is trying.
    Trying,
}

#[derive(Debug, Clone, Copy, Default)]
struct Half {
    requests: u32,
    faults: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Duration },
    Trying,
}

/// A circuit breaker over one target.
#[derive(Debug, Clone)]
pub struct Breaker {
    options: BreakerOptions,
    state: State,
    in_a_row: u32,
    /// Times it opened since it was last closed for good.
    openings: u32,
    halves: [Half; 2],
    half_began: Duration,
}

impl Breaker {
    pub fn new(options: BreakerOptions) -> Self {
        let halves = [Half::default(); 2];
        Self { options, state: State::Closed, in_a_row: 0, openings: 0, halves, half_began: Duration::ZERO }
    }

    pub fn standing(&self, now: Duration) -> Standing {
        match self.state {
            State::Closed => Standing::Closed,
            State::Open { until } if now < until => Standing::Open { until },
            State::Open { .. } => Standing::Trial,
            State::Trying => Standing::Trying,
        }
    }

    /// A request goes to the target. When the pause is over it is the trial, and no other is until it has ended.
    pub fn begin(&mut self, now: Duration) {
        if self.standing(now) == Standing::Trial {
            self.state = State::Trying;
        }
    }

    /// A request was answered.
    pub fn succeeded(&mut self, now: Duration) {
        self.count(now, 0);
        self.in_a_row = 0;
        if self.state != State::Closed {
            self.state = State::Closed;
            self.halves = [Half::default(); 2];
        } else if self.halves.iter().map(|half| half.requests).sum::<u32>()
            >= self.options.window_requests_min
        {
            self.openings = 0;
        }
    }

    /// A request failed, and it was the target's fault. `true` when that opened the breaker.
    pub fn failed(&mut self, now: Duration) -> bool {
        self.count(now, 1);
        self.in_a_row = self.in_a_row.saturating_add(1);
        let trips = match self.state {
            State::Trying => true,
            State::Open { .. } => false,
            State::Closed => self.in_a_row >= self.options.faults_in_a_row || self.share_is_over(),
        };
        if trips {
            let pause = self.options.pause_first.saturating_mul(1 << self.openings.min(16));
            self.openings = self.openings.saturating_add(1);
            self.state = State::Open { until: now + pause.min(self.options.pause_last) };
        }
        trips
    }

    /// A request ended without saying anything about the target: its client left, it was hedged. A trial that ends so
    /// leaves room for another.
    pub fn abandoned(&mut self, now: Duration) {
        if self.state == State::Trying {
            self.state = State::Open { until: now };
        }
    }

    /// Something else than a request says that the target is there again: it may be tried now.
    pub fn invite(&mut self, now: Duration) {
        if let State::Open { until } = &mut self.state {
            *until = (*until).min(now);
        }
    }

    fn count(&mut self, now: Duration, fault: u32) {
        let age = now.saturating_sub(self.half_began);
        if age >= self.options.half_window {
            let older = if age < self.options.half_window * 2 { self.halves[0] } else { Half::default() };
            self.halves = [Half::default(), older];
            self.half_began = now;
        }
        let [current, _] = &mut self.halves;
        current.requests += 1;
        current.faults += fault;
    }

    fn share_is_over(&self) -> bool {
        let requests: u32 = self.halves.iter().map(|half| half.requests).sum();
        let faults: u32 = self.halves.iter().map(|half| half.faults).sum();
        requests >= self.options.window_requests_min
            && u64::from(faults) * 100 >= u64::from(requests) * u64::from(self.options.fault_percent)
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self::new(BreakerOptions::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        assert_eq!(
            [breaker.failed(SECOND), breaker.failed(SECOND), breaker.failed(SECOND)],
            [false, false, true]
        );
        breaker
    }

    #[test]
    fn faults_in_a_row_open_it_and_the_pause_doubles_with_each_failed_trial() {
        let mut breaker = opened();
        let mut now = SECOND;
        for pause in [2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(breaker.standing(now), Standing::Open { until: now + SECOND * pause });
            now += SECOND * pause;
            assert_eq!(breaker.standing(now), Standing::Trial);
            breaker.begin(now);
            assert!(breaker.failed(now));
        }
    }

    #[test]
    fn one_request_tries_and_its_success_closes() {
        let mut breaker = opened();
        let now = SECOND * 10;
        breaker.begin(now);
        assert_eq!(breaker.standing(now), Standing::Trying);
        breaker.succeeded(now);
        assert_eq!(breaker.standing(now), Standing::Closed);
    }

    #[test]
    fn a_trial_whose_client_left_leaves_room_for_another() {
        let mut breaker = opened();
        let now = SECOND * 10;
        breaker.begin(now);
        breaker.abandoned(now);
        assert_eq!(breaker.standing(now), Standing::Trial);
    }

    #[test]
    fn half_of_many_opens_it_also_when_never_three_in_a_row() {
        let mut breaker = Breaker::default();
        let opened = (0..40).any(|i| {
            if i % 2 == 0 {
                breaker.succeeded(SECOND);
                false
            } else {
                breaker.failed(SECOND)
            }
        });
        assert!(opened);
    }

    #[test]
    fn faults_of_long_ago_do_not_count() {
        let mut breaker = Breaker::default();
        for i in 0..200 {
            // Two faults in a row, then a success, each pair a minute after the other.
            let now = SECOND * 60 * i;
            assert!(!breaker.failed(now) && !breaker.failed(now));
            breaker.succeeded(now);
        }
    }

    proptest! {
        /// However requests end, an open breaker lets one through at a time.
        #[test]
        fn never_two_trials_at_once(ends in proptest::collection::vec((0u8..3, 0u64..5_000), 1..200)) {
            let mut breaker = opened();
            let mut now = SECOND;
            for (end, pause) in ends {
                now += Duration::from_millis(pause);
                if breaker.standing(now) == Standing::Closed {
                    (0..3).for_each(|_| { breaker.failed(now); });
                    continue;
                }
                breaker.begin(now);
                if breaker.standing(now) != Standing::Trying {
                    continue;
                }
                match end {
                    0 => breaker.succeeded(now),
                    1 => { breaker.failed(now); }
                    _ => breaker.abandoned(now),
                }
                prop_assert!(breaker.standing(now) != Standing::Trying);
            }
        }
    }
}
