//! The course of one request: which targets it was sent to, which may still be asked, and how each attempt ended.
//!
//! It is kept outside the futures that make the attempts: those are dropped when a client leaves or a hedge is
//! overtaken, and what they tried is to stand in the settling record all the same. An attempt is therefore written down
//! when it begins, as abandoned, and rewritten when it ends.

use crate::context::{Shared, Thread};
use crate::routing::{Ended, PlannedTarget, Target};
use hermetic_ledger::record::{ATTEMPTS_MAX, Attempt, AttemptOutcome, Usage};
use hermetic_routing::Chance;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What was tried so far.
#[derive(Debug)]
pub(crate) struct Course {
    pub(crate) chance: Chance,
    pub(crate) prefix: Option<u64>,
    pub(crate) canary_point: Option<u64>,
    /// When the whole of it must be over.
    pub(crate) deadline: Option<Instant>,
    /// Indices into the plan.
    pub(crate) tried: Vec<usize>,
    log: Rc<RefCell<Vec<Attempt>>>,
}

/// Why an attempt is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The first, or one after another failed.
    Next,
    Hedge,
    Resume,
}

/// An attempt that has not ended. Dropping it leaves it abandoned.
#[derive(Debug)]
pub(crate) struct Ongoing {
    shared: Arc<Shared>,
    target: Arc<Target>,
    log: Rc<RefCell<Vec<Attempt>>>,
    entry: usize,
    began: Duration,
    ended: bool,
}

impl Course {
    pub(crate) fn new(chance: Chance, deadline: Option<Instant>) -> Self {
        Self { chance, prefix: None, canary_point: None, deadline, tried: Vec::new(), log: Rc::default() }
    }

    /// An attempt at `planned` begins.
    pub(crate) fn begin(&self, thread: &Thread, planned: &PlannedTarget, reason: Reason) -> Ongoing {
        let began = thread.shared.clock.monotonic();
        planned.target.begin(began);
        let mut log = self.log.borrow_mut();
        let entry = log.len();
        if entry < ATTEMPTS_MAX {
            log.push(Attempt {
                target: planned.name.to_string(),
                model_digest: planned.digest,
                outcome: AttemptOutcome::Abandoned,
                status: None,
                first_ms: None,
                hedged: reason == Reason::Hedge,
                resumed: reason == Reason::Resume,
                usage: None,
            });
        }
        let (target, log) = (Arc::clone(&planned.target), Rc::clone(&self.log));
        Ongoing { shared: Arc::clone(&thread.shared), target, log, entry, began, ended: false }
    }

    /// The number the next attempt will have.
    pub(crate) fn next_entry(&self) -> usize {
        self.log.borrow().len()
    }

    /// The attempt was given up because another was faster.
    pub(crate) fn overtaken(&self, entry: usize) {
        if let Some(attempt) = self.log.borrow_mut().get_mut(entry) {
            attempt.outcome = AttemptOutcome::Overtaken;
        }
    }

    /// The request's time was up during these attempts.
    pub(crate) fn out_of_time(&self) {
        let mut log = self.log.borrow_mut();
        let open = log.iter_mut().filter(|attempt| attempt.outcome == AttemptOutcome::Abandoned);
        open.for_each(|attempt| attempt.outcome = AttemptOutcome::Silent);
    }

    /// How many tokens the prompt has: what an attempt that broke off before it could say so was asked as well.
    pub(crate) fn asked_for(&self, input_tokens: Option<u64>) {
        let mut log = self.log.borrow_mut();
        let usages = log.iter_mut().filter_map(|attempt| attempt.usage.as_mut());
        usages
            .filter(|usage| usage.input_tokens.is_none())
            .for_each(|usage| usage.input_tokens = input_tokens);
    }

    /// Whether some engine can have begun to compute.
    pub(crate) fn was_asked(&self) -> bool {
        use AttemptOutcome as O;
        self.log.borrow().iter().any(|attempt| match attempt.outcome {
            O::Unreachable | O::Busy | O::Rejected | O::Failed => false,
            O::Answered | O::Silent | O::BrokenOff | O::Malformed | O::Overtaken | O::Abandoned => true,
        })
    }

    /// The attempts, for the record.
    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        let mut attempts = self.log.borrow().clone();
        if let [only] = attempts.as_mut_slice() {
            only.usage = None;
        }
        attempts
    }
}

impl Ongoing {
    /// Changes what stands in the log about this attempt.
    fn note(&self, change: impl FnOnce(&mut Attempt)) {
        if let Some(attempt) = self.log.borrow_mut().get_mut(self.entry) {
            change(attempt);
        }
    }

    pub(crate) fn status(&self, status: http::StatusCode) {
        self.note(|attempt| attempt.status = Some(status.as_u16()));
    }

    /// Its first event is here, or all of its plain answer. Returns how long that took.
    pub(crate) fn first_arrived(&self) -> Duration {
        let now = self.shared.clock.monotonic();
        let took = now.saturating_sub(self.began);
        self.target.observe_latency(now, took);
        self.note(|attempt| attempt.first_ms = Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX)));
        took
    }

    pub(crate) fn used(&self, usage: Usage) {
        if usage != Usage::default() {
            self.note(|attempt| attempt.usage = Some(usage));
        }
    }

    /// It is over: what the record says, and what that says about the target.
    pub(crate) fn end(&mut self, outcome: AttemptOutcome, ended: Ended) {
        if self.ended {
            return;
        }
        self.note(|attempt| attempt.outcome = outcome);
        self.close(ended);
    }

    fn close(&mut self, ended: Ended) {
        self.ended = true;
        let left_out = self.target.end(self.shared.clock.monotonic(), ended);
        let log = self.log.borrow();
        let Some(attempt) = log.get(self.entry) else { return };
        let metrics = &self.shared.metrics.routing;
        metrics.attempt_ended(&attempt.target, word(attempt.outcome));
        if left_out {
            metrics.left_out(&attempt.target);
            tracing::warn!(target_name = %attempt.target, "a target is left out for its faults");
        }
    }
}

/// Not for the record, which stands in the log since the beginning: so that the target does not count a request that is
/// gone as in flight.
impl Drop for Ongoing {
    fn drop(&mut self) {
        if !self.ended {
            self.close(Ended::Unknown);
        }
    }
}

fn word(outcome: AttemptOutcome) -> &'static str {
    match outcome {
        AttemptOutcome::Answered => "answered",
        AttemptOutcome::Rejected => "rejected",
        AttemptOutcome::Busy => "busy",
        AttemptOutcome::Failed => "failed",
        AttemptOutcome::Unreachable => "unreachable",
        AttemptOutcome::Silent => "silent",
        AttemptOutcome::BrokenOff => "broken-off",
        AttemptOutcome::Malformed => "malformed",
        AttemptOutcome::Overtaken => "overtaken",
        AttemptOutcome::Abandoned => "abandoned",
    }
}
