//! Client certificates: what they say, and whom they stand for.
//!
//! Must not know: how a connection was made, or how its chain was verified; whoever hands [`CertificateFacts`] in
//! answers for that.

mod error;
mod facts;
mod revocation_list;
mod rules;

#[cfg(test)]
mod tests;

pub use error::{CertificateError, CertificateForm, CertificateRefusal};
pub use facts::CertificateFacts;
pub use revocation_list::RevocationList;
pub use rules::{CertificateRule, CertificateRules, Condition, Field, Pattern, PatternError};
