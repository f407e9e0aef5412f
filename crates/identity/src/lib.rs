//! API keys: shown once, hashed at rest, scoped, expiring.
//!
//! What it is for: issuing a key ([`IssuedKey`]), and telling on whose behalf a request that presents one is made
//! ([`Keys::authenticate`] mints [`Authenticated`]). What it must not know: policy, HTTP.
//!
//! Invariants:
//! - the secret exists in the answer to its creation and nowhere else: rows, records and logs hold a hash and an id;
//! - whether a key expired or was revoked is only told to somebody who presented its secret;
//! - secrets are compared in constant time;
//! - a revocation is in force as soon as [`Keys::refresh`] has seen the database's generation move.

mod api_key;
mod error;
mod issue;
mod keys;

pub use api_key::{ApiKey, ApiKeyForm};
pub use error::IdentifyError;
pub use issue::{IssuedKey, KeyRequest, RANDOM_BYTES, draw};
pub use keys::{Authenticated, Keys, Owner};
