//! Who asks, and on whose behalf: API keys, tokens of issuers inside the enclave, client certificates.
//!
//! What it is for: [`Identity`] tells whose a presented credential is and mints [`Authenticated`]; [`IssuedKey`] makes
//! keys; [`Throttle`] slows down whoever guesses. What it must not know: policy, how requests are answered, where the
//! configuration comes from.
//!
//! Invariants:
//! - the secret of a key exists in the answer to its creation and nowhere else: rows, records and logs hold a hash and
//!   an id; a token is remembered as the digest of its text and never logged;
//! - whether a key expired or was revoked is only told to somebody who presented its secret;
//! - secrets are compared in constant time;
//! - a revocation is in force as soon as [`Identity::refresh`] has seen the database's generation move, and when the
//!   database cannot be seen nobody is let in;
//! - a limit of a credential that is not understood refuses, it never falls away;
//! - issuers are reached through the connector alone.

mod anchors;
mod api_key;
mod authenticated;
mod certificate;
mod error;
mod grants;
mod identity;
mod issue;
mod keys;
mod scopes;
mod standing;
mod template;
mod throttle;
mod token;

pub use anchors::{AnchorsError, issuer_tls};
pub use api_key::{ApiKey, ApiKeyForm};
pub use authenticated::{Authenticated, Grants, MetadataName, MetadataTextError, MetadataValue};
pub use certificate::{
    CertificateError, CertificateFacts, CertificateForm, CertificateRefusal, CertificateRule,
    CertificateRules, Condition, Field, Pattern, PatternError, RevocationList,
};
pub use error::IdentifyError;
pub use grants::{GROUPS_MAX, GrantError, GrantRules};
pub use hermetic_ledger::record::{Credential, Owner};
pub use identity::Identity;
pub use issue::{IssuedKey, KeyRequest, RANDOM_BYTES, draw};
pub use keys::{Keys, USE_GRAIN};
pub use scopes::{ModelPattern, Scopes};
pub use standing::Standing;
pub use template::{Template, TemplateError, Unfilled};
pub use throttle::{Source, Throttle, ThrottleOptions};
pub use token::{
    ASK_AGAIN_AFTER, Algorithm, AlgorithmError, IssuerSettings, Issuers, IssuersParts, KeySetError,
    KeySource, TOKEN_BYTES_MAX, TokenError, TokenRefusal, USED_MAX, VERIFIED_MAX,
};
