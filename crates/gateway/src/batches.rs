//! Files, and batches of requests that are handed in as one file.
//!
//! Every line of a batch is a request through the same pipeline as any other (`pipeline::answer_line`): policy, limits,
//! budgets, the queue (in its lower class), routing and both records hold for it. What is here besides: taking files in
//! and handing them out ([`files`], [`upload`], [`download`]), making and cancelling batches ([`api`]), and the runner
//! ([`runner`]: which batches run; [`run`], [`asking`] and [`ending`]: one of them; [`ask`]: one line).
//!
//! # Exactly once
//!
//! What can be promised: **each line has one result; every attempt that was admitted is settled once; and an attempt that
//! is on record as answered is the one whose answer is the result.** A process can die between any two steps, and an
//! engine cannot take back what it computed, so lines that were *in flight* when it died are asked a second time, as a
//! request with an id and records of its own. No other line is.
//!
//! How it is kept, in the order of the steps of one attempt:
//!
//! ```text
//! admitted (ledger) → answer (journal, synced) → settled (ledger) → confirmed (journal, not waited for) → result
//! ```
//!
//! - Killed before the answer is in the journal: the next start settles the attempt as interrupted (`recovery.rs`) and the
//!   line is asked again.
//! - Killed between journal and settling record: the next start settles the attempt as interrupted, so its answer does not
//!   count, although it is there; the journal's entry is dropped and the line is asked again. Counting it would give a
//!   result that no record speaks of.
//! - Killed after the settling record: the answer is in the journal, because it was put there before. The ledger says that
//!   the attempt was answered, so the entry is the line's result, confirmed or not. The line is not asked again.
//!
//! So the settling record decides, and the journal holds every answer it can decide for. At start, entries that are
//! neither confirmed nor dropped are looked up in the ledger ([`reconcile`]); there are as many as were in flight.
//! A refusal is not admitted, so it needs no such care: it is a result once it is in the journal, and a line that was
//! refused right before the kill is refused, or answered, again.
//!
//! The journal is a sealed log. A start writes a file of its own and never goes on with one that is there: what a crash left
//! half written is read as far as it is whole, and no number of a piece is sealed twice. Where answers need not wait for the disk
//! (`durability: relaxed`), a crash may lose the records of the last moment, and with them results that were confirmed keep their answer.
//!
//! Results are put together from input and journal when all lines have one ([`assemble`]), into files that nobody sees
//! until one transaction names them and ends the batch. Killed before that, they are put together again.

mod api;
mod ask;
mod asking;
mod assemble;
mod download;
mod ending;
mod files;
mod journal;
mod lines;
mod reconcile;
mod refusal;
mod run;
mod runner;
mod store;
mod ticket;
mod upkeep;
mod upload;

pub use store::{BatchOptions, Batches, BatchesError};

pub(crate) use ask::LineRequest;
pub(crate) use refusal::BatchRefusal;
pub(crate) use runner::run;
pub(crate) use ticket::Ticket;

use crate::body::AnswerBody;
use crate::context::Thread;
use crate::peer::Peer;
use crate::refusal::{RefusalKind, Refused};
use http::{Request, Response};
use hyper::body::Incoming;
use std::rc::Rc;

/// Whether files or batches are answered at this path.
pub(crate) fn is_path(path: &str) -> bool {
    files::is_path(path) || api::is_path(path)
}

pub(crate) async fn answer(
    thread: &Rc<Thread>,
    peer: &Peer,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Refused> {
    let Some(batches) = thread.shared.batches.clone() else { return Err(RefusalKind::NotFound.unnamed()) };
    if files::is_path(request.uri().path()) {
        files::answer(thread, (&batches, peer), request).await
    } else {
        api::answer(thread, (&batches, peer), request).await
    }
}
