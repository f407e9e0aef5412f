//! Settle: the record of how a request ended. Durable before the last byte of the answer leaves.

use crate::capture::{Kept, Left, Outgoing};
use crate::context::Thread;
use crate::metrics;
use crate::refusal::RefusalKind;
use crate::stage::admit::InLine;
use crate::stage::limit::Reserved;
use crate::stage::record::put_on_record;
use crate::stored;
use crate::tab::Consumed;
use bytes::Bytes;
use hermetic_inference_api::AnswerFacts;
use hermetic_ledger::record::{Event, Outcome, Record, RequestSettled, Usage};
use hermetic_ledger_store::Appended;
use std::time::Duration;

/// Proof that an answer may rest on the settling record, and so on the admitting record before it: without it the last
/// byte of an answer does not leave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settled {
    admitted: u64,
    leaf: u64,
}

impl Settled {
    /// Index of the admitting record's leaf.
    pub(crate) fn admitted(self) -> u64 {
        self.admitted
    }

    /// Index of the settling record's leaf.
    pub(crate) fn leaf(self) -> u64 {
        self.leaf
    }
}

/// How a request ended.
pub(crate) struct Ending {
    pub(crate) outcome: Outcome,
    pub(crate) status: u16,
    /// The head of the answer, and with it the status, has left.
    pub(crate) begun: bool,
    pub(crate) facts: AnswerFacts,
    /// What has left of the answer.
    pub(crate) answer: Outgoing,
    /// What leaves once the request is settled: of a plain answer all of it.
    pub(crate) last: Option<Bytes>,
    /// On the monotonic clock.
    pub(crate) first_byte: Option<Duration>,
    /// What limits are charged for.
    pub(crate) consumed: Consumed,
    /// The answer was cut where its reservation ended.
    pub(crate) cut: bool,
}

/// Keeps the content, where that is configured, and the response that is to be stored, then writes the record. `Err`: nothing more of the answer may leave.
pub(crate) async fn settle(
    thread: &Thread,
    reserved: &Reserved,
    admitting: InLine,
    ending: Ending,
) -> Result<Settled, RefusalKind> {
    let shared = &thread.shared;
    let accepted = &reserved.asked.accepted;
    let Ending { outcome, status, begun, facts, answer, last, first_byte, consumed, cut } = ending;
    if cut {
        shared.metrics.limits.cut.inc();
    }
    if reserved.tab.is_overrun(&facts) {
        // What an engine says beyond what it was allowed is not charged: it did not leave here.
        shared.metrics.limits.overruns.inc();
        tracing::warn!(request = %accepted.request, model = %reserved.route.model, "an engine says that it generated more than it was allowed to");
    }
    let charges = reserved.tab.close(&facts, consumed, shared.clock.monotonic());
    let Left { answer, answer_bytes, kept } =
        answer.leave(thread, &reserved.asked, admitting, last.as_ref().map(|last| (status, last))).await;
    let (kept, unkept) = match kept {
        Ok(kept) => (kept, None),
        Err(unkept) => (Kept::default(), Some(unkept)),
    };
    // The caller is not given the rest of an answer that had to be kept and is not.
    let outcome = if unkept.is_some() && last.is_some() { Outcome::Withheld } else { outcome };
    let status = match &unkept {
        Some(unkept) if !begun && outcome != Outcome::ClientLeft => unkept.status().as_u16(),
        _ => status,
    };
    let since = |moment: Duration| moment.saturating_sub(accepted.started);
    let total = since(shared.clock.monotonic());
    let first_byte = first_byte.map(since);
    metrics::count_settled(
        &shared.metrics,
        accepted.surface,
        &facts,
        metrics::Times { total, first_byte },
        outcome,
    );
    let record = Record {
        v: 1,
        at_unix_ms: shared.clock.unix_millis(),
        event: Event::RequestSettled(RequestSettled {
            request: accepted.request,
            admitted: admitting.leaf(),
            outcome,
            status,
            usage: Usage { input_tokens: facts.input_tokens, output_tokens: facts.output_tokens },
            verdicts: reserved
                .asked
                .guarded
                .as_ref()
                .map(|guarded| guarded.verdicts.take())
                .unwrap_or_default(),
            answer,
            answer_bytes,
            finish_reason: facts.finish_reason,
            first_byte_ms: first_byte.map(millis),
            total_ms: millis(total),
            content_kept: kept.content,
            charges,
            cut,
            attempts: reserved.course.borrow().attempts(),
            stored: kept.stored,
        }),
    };
    let appended = append(thread, reserved, &record, kept).await?;
    unkept.map_or(Ok(Settled { admitted: admitting.leaf(), leaf: appended.index }), Err)
}

/// A response that was kept and does not come on record is taken away again.
async fn append(
    thread: &Thread,
    reserved: &Reserved,
    record: &Record,
    kept: Kept,
) -> Result<Appended, RefusalKind> {
    let shared = &thread.shared;
    let waiting_since = shared.clock.monotonic();
    let appended = put_on_record(shared, record).await;
    shared.metrics.gateway.ledger_waited(shared.clock.monotonic().saturating_sub(waiting_since));
    match (appended, kept.stored) {
        (Ok(appended), _) => Ok(appended),
        (Err(error), None) => Err(RefusalKind::Ledger(error)),
        (Err(error), Some(stored)) => {
            Box::pin(stored::forget(thread, &reserved.asked, stored)).await;
            Err(RefusalKind::Ledger(error))
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
