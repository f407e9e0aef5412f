//! Who may ask which model for what: Cedar policies over a typed schema.
//!
//! What it is for: [`Policies`] reads and strictly validates the policy files its caller hands in, and
//! [`Policies::decide`] answers one [`Question`] with a [`Permit`] or a typed [`Refusal`]; [`Authorizer`] holds the
//! policies in force, remembers decisions, and can be given new policies while it serves. What it must not know: HTTP,
//! databases, files, time, Git.
//!
//! Invariants:
//! - what is not permitted is denied, and a `forbid` wins over every `permit` (Cedar's own rule);
//! - a policy that cannot be evaluated denies: Cedar skips such a policy, and skipping a `forbid` would open a door;
//! - a policy set that does not validate is never in force, not even in part;
//! - a remembered decision is the one that would be made: the memory's key holds every fact the policies read;
//! - a [`Permit`] is minted here alone and names the policies that decided and the digest of the set they came from.

mod authorizer;
mod decision;
mod described;
mod entities;
mod error;
mod levels;
mod policies;
mod question;
mod reads;
mod revision;
mod slices;
mod source;
mod warnings;

pub use authorizer::{Authorizer, DECISIONS_MAX};
pub use decision::{Permit, Refusal, RefusalReason};
pub use described::PolicyText;
pub use error::{LoadError, Mistake};
pub use levels::{LEVELS_MAX, Levels, LevelsError};
pub use policies::{POLICIES_MAX, Policies, schema_text};
pub use question::{Action, Circumstances, ModelFacts, Principal, Question};
pub use revision::{Agreement, Commit, Revision};
pub use source::{PolicyFile, folder_digest};
