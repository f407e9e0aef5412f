//! What is held for one request and what it has used so far: opened when it is reserved for, closed once, when it is
//! settled.
//!
//! What is charged is the greater of what was seen here and what the engine says, and never more than was held: what
//! goes beyond was not handed on, or was never there. A caller who hangs up pays for what had come by then; one who
//! does not wait for a plain answer, of which nobody knows how far it was, pays for all that was held. An engine that
//! fails costs the prompt and what had come, and one that could not be asked or refused costs nothing.

use crate::limiting::ModelTerms;
use crate::meter::Meter;
use hermetic_ids::ModelName;
use hermetic_inference_api::{AnswerFacts, Output};
use hermetic_ledger::record::{LimitCharge, LimitHold};
use hermetic_limits::{Amounts, Crossing, Hold, Quota, Reservation};
use std::cell::{Cell, RefCell};
use std::time::Duration;

/// What a request had consumed when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consumed {
    /// Nothing was computed.
    Nothing,
    /// The prompt, and what had come of the answer: of a stream that ended, all of it.
    SoFar,
    /// The prompt and a whole plain answer.
    Answer,
    /// Nobody knows: as much as it may.
    Unknown,
}

#[derive(Debug)]
pub(crate) struct Tab {
    reservation: RefCell<Option<Reservation>>,
    meter: Cell<Meter>,
    terms: ModelTerms,
    /// The prompt was counted by the model's own tokenizer: what the engine says of it changes nothing.
    exact: bool,
    most: Amounts,
    /// Answers the request asks for.
    answers: u64,
    output: Output,
    /// Somebody counts what is generated.
    metered: bool,
    bounds_output: bool,
    bounds_time: bool,
    /// On the monotonic clock, when the engine was first asked.
    asked_at: Cell<Option<Duration>>,
    pub(crate) requests_left: Option<Quota>,
    pub(crate) tokens_left: Option<Quota>,
    /// The model the caller asked for, where another answers.
    pub(crate) downgraded_from: Option<ModelName>,
}

impl Tab {
    pub(crate) fn open(
        reservation: Reservation,
        (terms, answers, exact): (ModelTerms, u64, bool),
        output: Output,
        downgraded_from: Option<ModelName>,
    ) -> Self {
        let metered = reservation.rules().any(|rule| rule.unit.counts_output());
        Self {
            meter: Cell::default(),
            terms,
            exact,
            most: *reservation.most(),
            answers: answers.max(1),
            output,
            metered,
            bounds_output: reservation.bounds_output(),
            bounds_time: reservation.bounds_time(),
            asked_at: Cell::new(None),
            requests_left: reservation.requests_left(),
            tokens_left: reservation.tokens_left(),
            downgraded_from,
            reservation: RefCell::new(Some(reservation)),
        }
    }

    /// For the admitting record.
    pub(crate) fn holds(&self) -> Vec<LimitHold> {
        let reservation = self.reservation.borrow();
        reservation.iter().flat_map(|reservation| reservation.holds()).map(|hold| to_record(&hold)).collect()
    }

    /// From here on the engine may compute.
    pub(crate) fn consuming(&self, now: Duration) {
        if let Some(reservation) = self.reservation.borrow_mut().as_mut() {
            reservation.consuming();
        }
        self.asked_at.set(Some(now));
    }

    /// The tokens the engine is told to stop at, for each answer, where a limit counts them.
    pub(crate) fn output_cap(&self) -> Option<u64> {
        self.bounds_output.then(|| self.most.output_tokens / self.answers)
    }

    /// Resolves when the engine has taken as long as was held for, where a limit counts its time; else never.
    pub(crate) async fn time_up(&self, now: Duration) {
        if !self.bounds_time {
            return std::future::pending().await;
        }
        let took = now.saturating_sub(self.asked_at.get().unwrap_or(now));
        tokio::time::sleep(Duration::from_millis(self.most.gpu_ms).saturating_sub(took)).await;
    }

    /// Looks at an event of a stream before it is handed on. False: with it, more would leave than was held for.
    pub(crate) fn admits_event(&self, data: &[u8]) -> bool {
        if !self.metered {
            return true;
        }
        let mut meter = self.meter.get();
        meter.read(data);
        if self.bounds_output && meter.tokens_at_least() > self.most.output_tokens {
            return false;
        }
        self.meter.set(meter);
        true
    }

    /// Looks at a whole answer before it is handed on. `Err`: it is longer than was held for, by the engine's own
    /// account or by ours.
    pub(crate) fn admits_answer(&self, data: &[u8], facts: &AnswerFacts) -> Result<(), Overrun> {
        if !self.metered {
            return Ok(());
        }
        let mut meter = self.meter.get();
        match self.output {
            Output::Transcript => meter.read_transcript(data),
            Output::Text | Output::Nothing | Output::Pictures => meter.read(data),
        }
        self.meter.set(meter);
        let found = facts.output_tokens.unwrap_or(0).max(meter.tokens_at_least());
        if self.bounds_output && found > self.most.output_tokens {
            return Err(Overrun { allowed: self.most.output_tokens, found });
        }
        Ok(())
    }

    /// Whether the engine says that it generated more than it was allowed to.
    pub(crate) fn is_overrun(&self, facts: &AnswerFacts) -> bool {
        self.bounds_output && facts.output_tokens.is_some_and(|tokens| tokens > self.most.output_tokens)
    }

    /// What a caller is told who asked for usage on a stream that was cut.
    pub(crate) fn usage_so_far(&self, facts: &AnswerFacts) -> (u64, u64) {
        let used = self.used(facts, Consumed::SoFar, Duration::ZERO);
        (used.input_tokens, used.output_tokens)
    }

    /// How many answers the request asks for.
    pub(crate) fn answers(&self) -> u64 {
        self.answers
    }

    pub(crate) fn would_refuse(&self) -> Vec<std::sync::Arc<str>> {
        let reservation = self.reservation.borrow();
        reservation
            .iter()
            .flat_map(|r| r.would_refuse())
            .map(|rule| std::sync::Arc::clone(&rule.name))
            .collect()
    }

    pub(crate) fn take_crossings(&self) -> Vec<Crossing> {
        self.reservation.borrow_mut().as_mut().map(Reservation::take_crossings).unwrap_or_default()
    }

    /// Charges what was consumed and lets go of the rest. The charges are for the settling record.
    pub(crate) fn close(&self, facts: &AnswerFacts, consumed: Consumed, now: Duration) -> Vec<LimitCharge> {
        let Some(reservation) = self.reservation.borrow_mut().take() else { return Vec::new() };
        let settled = match consumed {
            Consumed::Nothing => reservation.refund(),
            Consumed::Unknown => reservation.forfeit(),
            Consumed::SoFar | Consumed::Answer => reservation.settle(&self.used(facts, consumed, now)),
        };
        let charge = |charge: hermetic_limits::Charge| LimitCharge {
            rule: charge.rule.to_string(),
            amount: charge.amount,
        };
        settled.charges.into_iter().map(charge).collect()
    }

    fn used(&self, facts: &AnswerFacts, consumed: Consumed, now: Duration) -> Amounts {
        let most = &self.most;
        let said = facts.input_tokens.filter(|_| !self.exact);
        let input_tokens = said.unwrap_or(most.input_tokens).min(most.input_tokens);
        let meter = self.meter.get();
        // A plain answer nobody counted may be as many tokens as it has bytes; of a stream the pieces are known.
        let unsaid = match (consumed, self.output) {
            (Consumed::Answer, Output::Pictures) => most.output_tokens,
            (Consumed::Answer, _) => meter.tokens_at_most(self.answers),
            _ => 0,
        };
        let output_tokens =
            facts.output_tokens.unwrap_or(unsaid).max(meter.tokens_at_least()).min(most.output_tokens);
        let took = now.saturating_sub(self.asked_at.get().unwrap_or(now));
        Amounts {
            requests: 1,
            input_tokens,
            output_tokens,
            gpu_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX).min(most.gpu_ms),
            money: self.terms.price.of(input_tokens, output_tokens),
            concurrent: 0,
        }
    }
}

/// An answer that is longer than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overrun {
    pub(crate) allowed: u64,
    pub(crate) found: u64,
}

pub(crate) fn to_record(hold: &Hold) -> LimitHold {
    LimitHold {
        rule: hold.counter.rule.to_string(),
        unit: hold.counter.unit.as_str().to_owned(),
        window: hold.counter.window.to_string(),
        scope: hold.counter.scope.to_string(),
        slot: hold.slot,
        amount: hold.amount,
    }
}
