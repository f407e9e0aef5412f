//! JSON Web Tokens of issuers inside the enclave.
//!
//! A token is taken apart (`compact`), its issuer's keys are looked up (`source`, `key_set`), its signature and claims
//! are checked (`verify`), and what it says becomes grants. Tokens that verified are remembered by the digest of their
//! text (`memory`), so that the next request pays a hash; expiry, withdrawn keys and revocations are looked at again
//! for each.
//!
//! Must not know: where the configuration comes from, policy, how a request carries a token.
//!
//! Invariants: nothing of a token but the issuer's name is used before the signature verified; the key, not the
//! token's header, decides which algorithms fit; keys come from where the configuration says and through the connector.

mod algorithm;
mod claims;
mod compact;
mod error;
mod fetch;
mod issuers;
mod json;
mod key_set;
mod memory;
mod revoked;
mod settings;
mod source;
mod verify;

#[cfg(test)]
mod tests;

pub use algorithm::{Algorithm, AlgorithmError};
pub use compact::TOKEN_BYTES_MAX;
pub use error::{TokenError, TokenRefusal};
pub use issuers::{Issuers, IssuersParts};
pub use key_set::KeySetError;
pub use memory::{USED_MAX, VERIFIED_MAX};
pub use settings::{IssuerSettings, KeySource};
pub use source::ASK_AGAIN_AFTER;
