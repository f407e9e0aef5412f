//! Whose signatures stand on a DSSE envelope.
//!
//! The form of an envelope is `hermetic_bundle::dsse`; here is which keys it must carry, and how many of them.

use crate::root::Root;
use crate::{Role, TrustError};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use hermetic_bundle::dsse::{Envelope, EnvelopeSignature, IN_TOTO};
use std::collections::{BTreeMap, BTreeSet};

/// A payload that a threshold of a role's keys signed, and which of them did.
#[derive(Debug)]
pub(crate) struct VerifiedPayload {
    pub(crate) bytes: Vec<u8>,
    pub(crate) signers: Vec<String>,
}

/// Verifies an envelope against the keys and the threshold that `root` gives `role`. Distinct keys count once, however
/// many signatures or ids they appear under.
pub(crate) fn verify(
    envelope: &[u8],
    root: &Root,
    role: Role,
    file: &str,
) -> Result<VerifiedPayload, TrustError> {
    let malformed = |detail: String| TrustError::StatementMalformed { detail };
    let envelope = Envelope::parse(envelope).map_err(|error| malformed(error.to_string()))?;
    if envelope.payload_type() != IN_TOTO {
        return Err(malformed(format!("expected the payload type `{IN_TOTO}`, found another")));
    }
    let keys = root.public_keys(role).map_err(|source| TrustError::PinnedRoot { source })?;
    let signers = distinct_signers(envelope.signatures(), &keys, &envelope.signed_bytes());
    let (threshold, valid) = (root.threshold(role), signers.len() as u64);
    if threshold == 0 || valid < threshold {
        let listed = envelope.signatures().iter().map(|s| s.keyid.chars().take(64).collect()).collect();
        let known = keys.into_keys().collect();
        return Err(Shortfall { file: file.to_owned(), role, threshold, valid }.among(listed, &known));
    }
    Ok(VerifiedPayload { bytes: envelope.payload().to_vec(), signers })
}

fn distinct_signers(
    signatures: &[EnvelopeSignature],
    keys: &BTreeMap<String, [u8; 32]>,
    message: &[u8],
) -> Vec<String> {
    let mut seen: BTreeSet<[u8; 32]> = BTreeSet::new();
    let mut signers = Vec::new();
    for signature in signatures {
        let Some(key) = keys.get(&signature.keyid) else { continue };
        let good = UnparsedPublicKey::new(&ED25519, key).verify(message, &signature.sig).is_ok();
        if good && seen.insert(*key) {
            signers.push(signature.keyid.clone());
        }
    }
    signers.sort();
    signers
}

/// A role whose threshold was not met.
#[derive(Debug)]
pub(crate) struct Shortfall {
    pub(crate) file: String,
    pub(crate) role: Role,
    pub(crate) threshold: u64,
    pub(crate) valid: u64,
}

impl Shortfall {
    /// Too few of the right keys, or none of them at all: the second says that somebody else made this file.
    pub(crate) fn among(self, listed: Vec<String>, known: &BTreeSet<String>) -> TrustError {
        let Self { file, role, threshold, valid } = self;
        let foreign = !listed.is_empty() && listed.iter().all(|id| !known.contains(id));
        if valid == 0 && foreign {
            return TrustError::WrongKeys { file, role, threshold, found: listed };
        }
        TrustError::TooFewSignatures { file, role, threshold, valid }
    }
}
