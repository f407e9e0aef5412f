//! The request pipeline: from a request on a socket to an answer that is on record.
//!
//! What it is for: [`Gateway::start`] serves the OpenAI-compatible surfaces to callers who present a key, a token or a certificate, forwards
//! what policy permits to an engine, and records both ends of every request in the ledger. `pipeline.rs` shows the
//! way of a request on one screen. What it must not know: bundles, TUF, blobs, where keys and policies are kept.
//!
//! Invariants:
//! - no record, no answer: the admitting record is durable before the first byte of an answer leaves, the settling
//!   record before the last; if either cannot be written the caller gets an error and no answer. Where the operator chose
//!   [`Durability::Relaxed`], "in line for the disk, within the window" takes the place of "durable";
//! - every admitted request is settled exactly once, also when the caller hangs up, the engine dies or the service
//!   stops; settling is a step of a tracked task, never a destructor;
//! - bytes that nothing changed are forwarded unchanged, both ways;
//! - where guardrails are configured, no text reaches an engine and none leaves that they have not seen, behind all
//!   translation; what they cannot look at is refused (`stage/guard.rs`, `stage/masks.rs`);
//! - every resource a caller can make us hold is bounded by a named field of [`GatewayOptions`];
//! - prompts, answers and keys reach no log line, no error and no record: a record holds salted commitments;
//! - everything a request may use is held before it is admitted, and what it used is charged when it is settled; what is
//!   handed on of an answer never exceeds what was held;
//! - where capture is configured, content is durably kept before the settling record, or the answer is withheld;
//! - an answer that says at its end that it is stored is durably kept before that end leaves, and what is kept is on record as
//!   answered (`stored.rs`);
//! - a line of a batch is a request like any other, has one result, and is asked twice only if it was in flight when the
//!   process died (`batches.rs`).

mod batches;
mod body;
mod capture;
mod client_io;
mod collect;
mod commitment;
mod connections;
mod context;
mod counting;
mod course;
mod error;
mod explanation;
mod following;
mod gateway;
mod guarding;
mod lag;
mod lane;
mod limit_refusal;
mod limiting;
mod listing;
mod memory;
mod meter;
mod metrics;
mod multipart;
mod options;
mod pages;
mod peer;
mod pipeline;
mod probes;
mod profile;
mod question;
mod rate_headers;
mod recovery;
mod refusal;
mod respond;
mod routing;
mod server;
mod stage;
mod stored;
mod strangers;
mod tab;
mod tls;
mod trace;
mod upstream;

pub use batches::{BatchOptions, Batches, BatchesError};
pub use commitment::{CommitmentSecret, Salt, commit};
pub use counting::{CountSource, Counting, EngineCount};
pub use error::StartError;
pub use gateway::{Adjust, Drained, Gateway, GatewayParts, Running};
pub use guarding::{Actions, Direction, GuardException, GuardRule, GuardRules, Guarding, compile};
pub use hermetic_ids::ModelKind;
pub use hermetic_inference_api::Dialect;
pub use limiting::{Limiting, ModelTerms, OUTPUT_TOKENS_DEFAULT};
pub use options::{Durability, GatewayOptions, Pace};
pub use pages::{Page, PageLookup};
pub use profile::{ModelProfile, Runs};
pub use question::policy_commit;
pub use recovery::{LimitsOnRecord, RecoverError, RulesRefused, recover};
pub use routing::{
    Fleet, Hedge, HedgeAfter, Plan, PlanRules, PlanState, PlannedTarget, Route, RouteState, RoutingTable,
    StickTo, Target, Timeouts,
};
pub use stage::queue::{ModelQueue, QueueOptions};
pub use stored::{StoreOptions, StoredResponses, StoredResponsesError};
pub use tls::{ClientAuthentication, OverdueLists, Tls, TlsError, TlsFiles, TlsLimits};
