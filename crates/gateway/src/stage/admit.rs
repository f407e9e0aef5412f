//! Admit: the record without which there is no answer.
//!
//! The record is handed to the ledger before the engine is called; while the disk makes it durable the engine already
//! works. Nothing of the answer leaves before [`Admission::durable`] has returned [`Admitted`].

use crate::commitment::Salt;
use crate::context::Thread;
use crate::lane::Slot;
use crate::question::{Said, action_of, facts, policy_commit, question};
use crate::stage::limit::Reserved;
use crate::stage::queue::Queued;
use hermetic_ledger::record::{Event, PromptTokens, Record, RequestAdmitted};
use hermetic_ledger_store::{AppendError, PendingAppend};

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
pub(crate) enum Admission {
    Pending { append: PendingAppend, at_unix_ms: u64 },
    Done(Result<Admitted, AppendError>),
}

/// Proof that the admitting record is durable.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admitted {
    leaf: u64,
    at_unix_ms: u64,
}

impl Admitted {
    /// Index of the admitting record's leaf.
    pub(crate) fn leaf(self) -> u64 {
        self.leaf
    }

    /// The time in that record.
    pub(crate) fn at_unix_ms(self) -> u64 {
        self.at_unix_ms
    }
}

pub(crate) fn admit(thread: &Thread, queued: Queued) -> Admitting {
    let Queued { reserved, slot } = queued;
    let asked = &reserved.asked;
    let surface = asked.accepted.surface;
    let question = question(&asked.who, (action_of(surface), surface), &reserved.route, Said::by(asked));
    let mut prompt = thread.shared.commitments.start(asked.accepted.request, Salt::Prompt);
    prompt.update(&asked.body);
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
        }),
    };
    // From here on the record may be durable, so what is held is charged unless it is known what was used.
    reserved.tab.consuming(thread.shared.clock.monotonic());
    let append = thread.shared.ledger.submit(&record);
    Admitting { reserved, slot, admission: Admission::Pending { append, at_unix_ms } }
}

impl Admission {
    /// Waits until the record is durable. May be abandoned and asked again.
    pub(crate) async fn durable(&mut self) -> Result<Admitted, AppendError> {
        if let Self::Pending { append, at_unix_ms } = self {
            let at_unix_ms = *at_unix_ms;
            let appended = append.await;
            *self = Self::Done(appended.map(|appended| Admitted { leaf: appended.index, at_unix_ms }));
        }
        match self {
            Self::Done(done) => done.clone(),
            Self::Pending { .. } => Err(AppendError::Closed),
        }
    }
}
