//! Responses that are kept: so that a request can go on from an earlier one (`previous_response_id`), and that they can be
//! looked at and deleted.
//!
//! Nothing is kept unless the configuration says so, and then only what policy permits (the action `store`) and the caller did
//! not decline. What a request has to do with them is found out before its body is understood ([`recall`]): the conversation
//! it goes on from stands in the body from there on, so that counting, limits, budgets and policy see all of it. Whether its
//! own response is kept is decided with the policy on its model ([`permit`]). It is kept between the answer and the settling
//! record ([`keep`]).
//!
//! # What can be relied on
//!
//! ```text
//! admitted (ledger) → contents (sealed, synced) → row → settled (ledger, says so) → the end of the answer leaves
//! ```
//!
//! - **An answer that says `store: true` at its end is kept**: contents and row are durable before that end leaves. A stream's
//!   first events say what is meant to be; the last one says what is.
//! - **What is kept was answered, and is on record as such.** Killed before the row: contents without one are removed by the next
//!   start. Killed between row and settling record: the next start settles the request as interrupted, and takes the row away
//!   before it does ([`crate::recover`]). A settling record that cannot be written takes it away at once.
//! - A response that failed, or whose caller left before its end, is not kept. One that is incomplete is.
//! - Nobody but the subject that asked, within its project, learns that a response is there.
//! - What is deleted is gone: its key with it. A conversation is a chain of responses and each is kept once, so one that has lost
//!   a link cannot be gone on from.

mod api;
mod keep;
mod path;
mod permit;
mod query;
mod recall;
mod refusal;
mod sealed;
mod store;
mod upkeep;

pub use store::{StoreOptions, StoredResponses, StoredResponsesError};

pub(crate) use api::answer;
pub(crate) use keep::{forget, keep};
pub(crate) use path::is_path;
pub(crate) use permit::decide;
pub(crate) use recall::{Recalled, State, recall};
pub(crate) use refusal::StateRefusal;
pub(crate) use upkeep::run;

use crate::context::Shared;
use hermetic_ids::{RequestId, ResponseId};

/// Where responses are kept, if the configuration says that any are.
pub(crate) fn kept_here(shared: &Shared) -> Option<&StoredResponses> {
    shared.responses.as_ref().filter(|responses| responses.options().keeps)
}

/// The response of a request: one draw, two names, so that either leads to the other.
pub(crate) fn response_of(request: RequestId) -> ResponseId {
    ResponseId::from_bytes(*request.as_bytes())
}
