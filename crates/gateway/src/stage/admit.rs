//! Admit: the record without which there is no answer.
//!
//! The record is put in line before the engine is called; while the disk makes it durable the engine already works. Its
//! place in line is its index, so the settling record can name it and be put in line behind it without waiting: that one
//! is durable only after this one. Nothing of an answer leaves before one of the two is known to be: a stream's head
//! waits for [`Admission::durable`], a plain answer for [`Settled`](crate::stage::settle::Settled).

use crate::commitment::Salt;
use crate::context::Thread;
use crate::lane::Slot;
use crate::question::{Said, action_of, facts, policy_commit, question};
use crate::stage::limit::Reserved;
use crate::stage::queue::Queued;
use crate::stage::record::put_on_record;
use hermetic_ledger::record::{Event, PromptTokens, Record, RequestAdmitted};
use hermetic_ledger_store::{AppendError, Appended, PendingAppend};

/// An admitting record on its way to the disk.
#[derive(Debug)]
pub(crate) struct Admitting {
    pub(crate) reserved: Reserved,
    /// The place at the engine, until the exchange has ended.
    pub(crate) slot: Option<Slot>,
    pub(crate) admission: Admission,
}

/// What became of the record so far.
#[derive(Debug)]
pub(crate) struct Admission {
    progress: Progress,
    at_unix_ms: u64,
}

#[derive(Debug)]
enum Progress {
    Pending(PendingAppend),
    Done(Result<u64, AppendError>),
}

/// An admitting record that has its place in the ledger. It may not be durable yet, but no record behind it is durable
/// before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InLine {
    leaf: u64,
    at_unix_ms: u64,
}

impl InLine {
    /// Index of the admitting record's leaf.
    pub(crate) fn leaf(self) -> u64 {
        self.leaf
    }

    /// The time in that record.
    pub(crate) fn at_unix_ms(self) -> u64 {
        self.at_unix_ms
    }
}

/// Proof that an answer may rest on the admitting record: it is durable, or in line where answers need not wait for the
/// disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admitted(InLine);

impl Admitted {
    pub(crate) fn in_line(self) -> InLine {
        self.0
    }
}

pub(crate) fn admit(thread: &Thread, queued: Queued) -> Admitting {
    let Queued { reserved, slot } = queued;
    let asked = &reserved.asked;
    let surface = asked.accepted.surface;
    let question = question(&asked.who, (action_of(surface), surface), &reserved.route, Said::by(asked));
    let mut prompt = thread.shared.commitments.start(asked.accepted.request, Salt::Prompt);
    prompt.update(&asked.sent);
    let (prompt, prompt_bytes) = prompt.finish();
    let at_unix_ms = thread.shared.clock.unix_millis();
    let record = Record {
        v: 1,
        at_unix_ms,
        event: Event::RequestAdmitted(RequestAdmitted {
            request: asked.accepted.request,
            trace: asked.accepted.trace.id,
            credential: asked.who.credential().clone(),
            owner: asked.who.owner().clone(),
            surface: asked.accepted.surface.as_str().to_owned(),
            model: reserved.route.model.clone(),
            model_digest: reserved.first().1.and_then(|target| target.digest),
            policy_digest: reserved.permit.digest(),
            policies: reserved.permit.policies().to_vec(),
            stream: asked.facts.stream,
            prompt,
            prompt_bytes,
            limits: reserved.tab.holds(),
            downgraded_from: reserved.tab.downgraded_from.clone(),
            prompt_tokens: Some(PromptTokens { count: reserved.prompt.tokens(), by: reserved.prompt.by() }),
            policy_commit: policy_commit(reserved.permit.revision()),
            facts: facts(&question),
            batch: asked.accepted.batch_line(),
            continues: asked.continues(),
        }),
    };
    // From here on the record may be durable, so what is held is charged unless it is known what was used.
    reserved.tab.consuming(thread.shared.clock.monotonic());
    let progress = Progress::Pending(put_on_record(&thread.shared, &record));
    Admitting { reserved, slot, admission: Admission { progress, at_unix_ms } }
}

impl Admission {
    /// Waits until an answer may rest on the record. May be abandoned and asked again.
    pub(crate) async fn durable(&mut self) -> Result<Admitted, AppendError> {
        if let Progress::Pending(append) = &mut self.progress {
            let appended = append.await;
            self.progress = Progress::Done(appended.map(|Appended { index }| index));
        }
        match &self.progress {
            Progress::Done(done) => done.clone().map(|leaf| Admitted(self.placed(leaf))),
            Progress::Pending(_) => Err(AppendError::Closed),
        }
    }

    /// Waits until the record is refused: for ever, when it is not. May be abandoned and asked again.
    pub(crate) async fn refused(&mut self) -> AppendError {
        match self.durable().await {
            Err(error) => error,
            Ok(_) => std::future::pending().await,
        }
    }

    /// The record's place, for the record that goes in line behind it; waits only where places are given out elsewhere.
    pub(crate) async fn in_line(&mut self) -> Result<InLine, AppendError> {
        if let Progress::Pending(append) = &mut self.progress
            && let Some(leaf) = append.place()
        {
            return Ok(self.placed(leaf));
        }
        self.durable().await.map(Admitted::in_line)
    }

    fn placed(&self, leaf: u64) -> InLine {
        InLine { leaf, at_unix_ms: self.at_unix_ms }
    }
}
