//! Settle: the record of how a request ended. Durable before the last byte of the answer leaves.

use crate::commitment::Running;
use crate::context::Thread;
use crate::metrics;
use crate::stage::admit::Admitted;
use crate::stage::route::Routed;
use hermetic_inference_api::AnswerFacts;
use hermetic_ledger::record::{Event, Outcome, Record, RequestSettled, Usage};
use hermetic_ledger_store::AppendError;
use std::time::Duration;

/// Proof that the settling record is durable: without it the last byte of an answer does not leave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settled {
    leaf: u64,
}

impl Settled {
    /// Index of the settling record's leaf.
    pub(crate) fn leaf(self) -> u64 {
        self.leaf
    }
}

/// How a request ended.
pub(crate) struct Ending {
    pub(crate) outcome: Outcome,
    pub(crate) status: u16,
    pub(crate) facts: AnswerFacts,
    pub(crate) answer: Running,
    /// On the monotonic clock.
    pub(crate) first_byte: Option<Duration>,
}

pub(crate) async fn settle(
    thread: &Thread,
    routed: &Routed,
    admitted: Admitted,
    ending: Ending,
) -> Result<Settled, AppendError> {
    let shared = &thread.shared;
    let accepted = &routed.asked.accepted;
    let since = |moment: Duration| moment.saturating_sub(accepted.started);
    let total = since(shared.clock.monotonic());
    let first_byte = ending.first_byte.map(since);
    let (answer, answer_bytes) = ending.answer.finish();
    metrics::count_settled(
        &shared.metrics,
        accepted.surface,
        &ending.facts,
        metrics::Times { total, first_byte },
        ending.outcome,
    );
    let record = Record {
        v: 1,
        at_unix_ms: shared.clock.unix_millis(),
        event: Event::RequestSettled(RequestSettled {
            request: accepted.request,
            admitted: admitted.leaf(),
            outcome: ending.outcome,
            status: ending.status,
            usage: Usage {
                input_tokens: ending.facts.input_tokens,
                output_tokens: ending.facts.output_tokens,
            },
            verdicts: Vec::new(),
            answer,
            answer_bytes,
            finish_reason: ending.facts.finish_reason,
            first_byte_ms: first_byte.map(millis),
            total_ms: millis(total),
        }),
    };
    let waiting_since = shared.clock.monotonic();
    let appended = shared.ledger.submit(&record).await?;
    shared.metrics.gateway.ledger_waited(shared.clock.monotonic().saturating_sub(waiting_since));
    Ok(Settled { leaf: appended.index })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
