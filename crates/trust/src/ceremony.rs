//! The key ceremony: making the root that says who may sign, and how many of them it takes.
//!
//! Keys are made elsewhere, by whoever will hold them; here their public halves and the thresholds become a root, signed
//! by the root keys themselves.

use crate::Role;
use crate::root::Root;
use crate::signing::{Signer, SigningError, sign_with, tuf_key, tuf_time, unwritable, write_signed};
use hermetic_bundle::UtcTime;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU64;
use tough::schema::{Role as _, RoleKeys, RoleType};

/// The keys of one role and how many of them must sign.
#[derive(Debug)]
pub struct RoleSet<'a> {
    pub threshold: u64,
    pub keys: Vec<&'a dyn Signer>,
}

/// What the ceremony agreed on.
#[derive(Debug)]
pub struct CeremonyPlan<'a> {
    pub expires: UtcTime,
    pub root: RoleSet<'a>,
    pub targets: RoleSet<'a>,
    pub snapshot: RoleSet<'a>,
    pub timestamp: RoleSet<'a>,
}

impl<'a> CeremonyPlan<'a> {
    fn roles(&self) -> [(Role, RoleType, &RoleSet<'a>); 4] {
        [
            (Role::Root, RoleType::Root, &self.root),
            (Role::Targets, RoleType::Targets, &self.targets),
            (Role::Snapshot, RoleType::Snapshot, &self.snapshot),
            (Role::Timestamp, RoleType::Timestamp, &self.timestamp),
        ]
    }
}

/// Makes version 1 of a root, signed by all root keys of the plan.
pub fn make_root(plan: &CeremonyPlan<'_>) -> Result<Root, SigningError> {
    let mut root = tough::schema::Root {
        spec_version: "1.0.0".to_owned(),
        consistent_snapshot: true,
        version: NonZeroU64::MIN,
        expires: tuf_time(plan.expires)?,
        keys: HashMap::new(),
        roles: HashMap::new(),
        _extra: HashMap::new(),
    };
    for (role, role_type, set) in plan.roles() {
        let keys = set.keys.len();
        let threshold = NonZeroU64::new(set.threshold).filter(|threshold| threshold.get() <= keys as u64);
        let threshold = threshold.ok_or(SigningError::Threshold { role, keys, found: set.threshold })?;
        let mut keyids = Vec::with_capacity(keys);
        for signer in &set.keys {
            let (_, key) = tuf_key(signer.public_key())?;
            let id = key.key_id().map_err(|error| unwritable("key", &error))?;
            keyids.push(id.clone());
            root.keys.insert(id, key);
        }
        root.roles.insert(role_type, RoleKeys { keyids, threshold, _extra: HashMap::new() });
    }
    let message = root.canonical_form().map_err(|error| unwritable("root", &error))?;
    let mut signatures = BTreeMap::new();
    for signer in &plan.root.keys {
        let (key_id, _) = tuf_key(signer.public_key())?;
        signatures.insert(key_id.clone(), sign_with(*signer, Role::Root, &key_id, &message)?);
    }
    // Read back through the door an enclave uses: a root that it would refuse never leaves this room.
    Root::parse(&write_signed(root, signatures)?).map_err(SigningError::Root)
}
