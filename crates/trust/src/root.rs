//! A TUF root: who may sign what, and how many of them it takes.

use crate::Role;
use hermetic_clock::UnixMillis;
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_digest::Digest;
use std::collections::{BTreeMap, BTreeSet};
use tough::schema::key::Key;
use tough::schema::{RoleType, Signed};

/// Why a file is not a root to trust, or not the successor of one.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    #[error("expected TUF root metadata: {detail}")]
    Malformed { detail: String },
    #[error("expected a root signed by {threshold} of its own root keys, found {valid} valid signatures")]
    NotSelfSigned { threshold: u64, valid: u64 },
    #[error("expected root version {expected} after version {pinned}, found version {found}")]
    NotNext { pinned: u64, expected: u64, found: u64 },
    #[error(
        "expected root version {found} to be signed by the keys of version {predecessor} as well: {detail}"
    )]
    NotSuccessor { predecessor: u64, found: u64, detail: String },
    #[error("expected {threshold} different {role} keys or more, found {distinct}")]
    FewKeys { role: Role, threshold: u64, distinct: u64 },
    #[error("the root names no {role} role")]
    RoleMissing { role: Role },
    #[error("expected Ed25519 {role} keys, found another kind under the id {key_id}")]
    KeyKind { role: Role, key_id: String },
    #[error("expected a root with consistent snapshots, found one without")]
    NotConsistent,
}

impl Diagnose for RootError {
    fn code(&self) -> Code {
        Code::new("E0440")
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotNext { .. } => Some(
                "put every `N.root.json` between the two beside it, as in a bundle's metadata folder"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

/// What a role asks for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RoleSummary {
    pub role: Role,
    pub threshold: u64,
    pub key_ids: Vec<String>,
}

/// A root that is well-formed, signed by a threshold of its own keys, and whose thresholds its keys can meet.
///
/// Whether it is the *vendor's* root is what pinning says; this type does not.
#[derive(Debug, Clone)]
pub struct Root {
    bytes: Vec<u8>,
    signed: Signed<tough::schema::Root>,
}

const ROLES: [(Role, RoleType); 4] = [
    (Role::Root, RoleType::Root),
    (Role::Targets, RoleType::Targets),
    (Role::Snapshot, RoleType::Snapshot),
    (Role::Timestamp, RoleType::Timestamp),
];

impl Root {
    /// Reads a root and checks what can be checked of it alone.
    pub fn parse(bytes: &[u8]) -> Result<Self, RootError> {
        let signed: Signed<tough::schema::Root> = serde_json::from_slice(bytes)
            .map_err(|error| RootError::Malformed { detail: error.to_string() })?;
        Self { bytes: bytes.to_vec(), signed }.checked()
    }

    fn checked(self) -> Result<Self, RootError> {
        if !self.signed.signed.consistent_snapshot {
            // Without it `snapshot.json` and `targets.json` carry no version in their names, and which file was swapped
            // could not be told.
            return Err(RootError::NotConsistent);
        }
        for (role, role_type) in ROLES {
            let keys = self.signed.signed.roles.get(&role_type).ok_or(RootError::RoleMissing { role })?;
            let distinct = self.public_keys(role)?.values().copied().collect::<BTreeSet<_>>().len() as u64;
            // The same key under two ids would let one person make a threshold of two.
            if distinct < keys.threshold.get() {
                return Err(RootError::FewKeys { role, threshold: keys.threshold.get(), distinct });
            }
            if distinct < keys.keyids.len() as u64 {
                return Err(RootError::FewKeys { role, threshold: keys.keyids.len() as u64, distinct });
            }
        }
        self.signed.signed.verify_role(&self.signed).map_err(|error| {
            threshold_of(&error).map_or_else(
                || RootError::Malformed { detail: error.to_string() },
                |(threshold, valid)| RootError::NotSelfSigned { threshold, valid },
            )
        })?;
        Ok(self)
    }

    /// Checks that `next` follows this root: one version later and signed by a threshold of this root's keys as well.
    pub fn check_successor(&self, next: &Self) -> Result<(), RootError> {
        let (pinned, found) = (self.version(), next.version());
        if found != pinned.saturating_add(1) {
            return Err(RootError::NotNext { pinned, expected: pinned.saturating_add(1), found });
        }
        self.signed.signed.verify_role(&next.signed).map_err(|error| RootError::NotSuccessor {
            predecessor: pinned,
            found,
            detail: error.to_string(),
        })
    }

    pub fn version(&self) -> u64 {
        self.signed.signed.version.get()
    }

    /// The bytes as they were read: what is pinned and handed to the verifier.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    pub fn expires_unix_ms(&self) -> UnixMillis {
        u64::try_from(self.signed.signed.expires.as_millisecond()).unwrap_or(0)
    }

    /// Roles, thresholds and key ids, in a fixed order.
    pub fn roles(&self) -> Vec<RoleSummary> {
        ROLES
            .iter()
            .filter_map(|(role, role_type)| {
                let keys = self.signed.signed.roles.get(role_type)?;
                let mut key_ids: Vec<String> = keys.keyids.iter().map(hex::encode).collect();
                key_ids.sort();
                Some(RoleSummary { role: *role, threshold: keys.threshold.get(), key_ids })
            })
            .collect()
    }

    /// How many keys of `role` must sign; zero when the root does not name the role.
    pub fn threshold(&self, role: Role) -> u64 {
        self.roles().iter().find(|r| r.role == role).map_or(0, |r| r.threshold)
    }

    /// The Ed25519 public keys of a role by key id.
    pub(crate) fn public_keys(&self, role: Role) -> Result<BTreeMap<String, [u8; 32]>, RootError> {
        let role_type = ROLES.iter().find(|(r, _)| *r == role).map_or(RoleType::Root, |(_, t)| *t);
        let root = &self.signed.signed;
        let named = root.roles.get(&role_type).ok_or(RootError::RoleMissing { role })?;
        named
            .keyids
            .iter()
            .map(|id| {
                let key_id = hex::encode(id);
                let wrong_kind = || RootError::KeyKind { role, key_id: key_id.clone() };
                let Some(Key::Ed25519 { keyval, .. }) = root.keys.get(id) else {
                    return Err(wrong_kind());
                };
                let bytes: [u8; 32] = keyval.public.as_ref().try_into().map_err(|_| wrong_kind())?;
                Ok((key_id, bytes))
            })
            .collect()
    }
}

/// The numbers in a threshold failure, when it is one.
pub(crate) fn threshold_of(error: &tough::schema::Error) -> Option<(u64, u64)> {
    match error {
        tough::schema::Error::SignatureThreshold { threshold, valid, .. } => Some((*threshold, *valid)),
        _ => None,
    }
}
