//! The connected side of trust: signing TUF metadata and release statements.
//!
//! The documents are `tough`'s own schema types, so what is written here is what `tough` verifies there; they are
//! signed and written by this module rather than by `tough`'s editor because a release must be reproducible, and the
//! editor walks hash maps: it writes signatures and keys in another order every time.
//!
//! What it must not know: where keys live. A [`Signer`] may be a file, a token or an HSM.

use crate::Role;
use crate::root::{Root, RootError};
use hermetic_bundle::UtcTime;
use hermetic_bundle::dsse::{Envelope, EnvelopeSignature, IN_TOTO};
use hermetic_bundle::statement::Statement;
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_digest::Digest;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU64;
use tough::schema::key::{Ed25519Key, Ed25519Scheme, Key};
use tough::schema::{
    Hashes, Metafile, Role as TufRole, Signature, Signed, Snapshot, Target, Targets, Timestamp,
};

/// The version of TUF these documents follow; `tough` accepts no other.
const SPEC_VERSION: &str = "1.0.0";

/// Whatever holds an Ed25519 key and signs with it.
pub trait Signer: std::fmt::Debug + Send + Sync {
    fn public_key(&self) -> [u8; 32];
    /// Signs exactly `message`.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignerError>;
}

/// The reason a signer gives.
pub type SignerError = Box<dyn std::error::Error + Send + Sync>;

/// Why something could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    #[error(
        "expected {threshold} of the {role} keys named by root version {root_version}, found {found} ({})",
        listed(missing)
    )]
    TooFewKeys { role: Role, threshold: u64, root_version: u64, found: u64, missing: Vec<String> },
    #[error("the key {key_id} would not sign the {role} document")]
    Refused { role: Role, key_id: String, source: SignerError },
    #[error("cannot use the root")]
    Root(#[source] RootError),
    #[error("cannot write the {what}: {detail}")]
    Write { what: &'static str, detail: String },
    #[error("expected a {role} threshold from 1 to {keys} (the number of its keys), found {found}")]
    Threshold { role: Role, keys: usize, found: u64 },
    #[error("expected root metadata that lasts beyond {needed}, found that it expires on {expires}")]
    RootExpires { expires: UtcTime, needed: UtcTime },
}

fn listed(missing: &[String]) -> String {
    let short = |id: &String| id.chars().take(12).collect::<String>();
    match missing {
        [] => "no other key is named".to_owned(),
        ids => format!("not at hand: {}", ids.iter().map(short).collect::<Vec<_>>().join(", ")),
    }
}

impl Diagnose for SigningError {
    fn code(&self) -> Code {
        match self {
            Self::TooFewKeys { .. } => Code::new("E0410"),
            Self::Threshold { .. } => Code::new("E0412"),
            Self::Refused { .. } | Self::Write { .. } => Code::new("E0415"),
            Self::Root(_) | Self::RootExpires { .. } => Code::new("E0416"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::TooFewKeys { role, .. } => Some(format!(
                "bring the missing {role} keys to the key folder, as the ceremony's summary lists them"
            )),
            Self::Threshold { .. } => {
                Some("a threshold no set of keys can meet would lock everybody out".to_owned())
            }
            Self::RootExpires { .. } => {
                Some("hold a ceremony for a new root, or sign for a shorter time".to_owned())
            }
            Self::Refused { .. } | Self::Write { .. } | Self::Root(_) => None,
        }
    }
}

/// What a release's metadata says.
#[derive(Debug)]
pub struct MetadataPlan<'a> {
    /// The version of targets, snapshot and timestamp alike: it grows with every release.
    pub version: NonZeroU64,
    pub expires: UtcTime,
    pub target_name: &'a str,
    /// The bytes of the one target: the release statement's envelope.
    pub target: &'a [u8],
}

/// A file of metadata: its name below `metadata/` and its bytes.
pub type MetadataFile = (String, Vec<u8>);

/// Whether `signers` can meet every role a release needs until `expires`, before any work is done.
pub fn check_keys(root: &Root, signers: &[&dyn Signer], expires: UtcTime) -> Result<(), SigningError> {
    check_root_lasts(root, expires)?;
    let keys = RoleSigners { root, signers };
    [Role::Targets, Role::Snapshot, Role::Timestamp]
        .into_iter()
        .try_for_each(|role| keys.at_hand(role).map(drop))
}

fn check_root_lasts(root: &Root, needed: UtcTime) -> Result<(), SigningError> {
    let root_ends = root.expires_unix_ms();
    if root_ends < needed.unix_millis() {
        let expires = UtcTime::from_unix_millis(root_ends).unwrap_or(needed);
        return Err(SigningError::RootExpires { expires, needed });
    }
    Ok(())
}

/// Signs targets, snapshot and timestamp for a release under `root`, whose file comes first.
pub fn sign_metadata(
    root: &Root,
    signers: &[&dyn Signer],
    plan: &MetadataPlan<'_>,
) -> Result<Vec<MetadataFile>, SigningError> {
    check_root_lasts(root, plan.expires)?;
    let keys = RoleSigners { root, signers };
    let expires = tuf_time(plan.expires)?;
    let mut targets = Targets::new(SPEC_VERSION.to_owned(), plan.version, expires);
    let name =
        tough::TargetName::new(plan.target_name).map_err(|error| unwritable("targets metadata", &error))?;
    targets.targets.insert(name, target_of(plan.target));
    let targets = keys.sign(Role::Targets, targets)?;

    let mut snapshot = Snapshot::new(SPEC_VERSION.to_owned(), plan.version, expires);
    snapshot.meta.insert("targets.json".to_owned(), metafile_of(plan.version, &targets));
    let snapshot = keys.sign(Role::Snapshot, snapshot)?;

    let mut timestamp = Timestamp::new(SPEC_VERSION.to_owned(), plan.version, expires);
    timestamp.meta.insert("snapshot.json".to_owned(), metafile_of(plan.version, &snapshot));
    let timestamp = keys.sign(Role::Timestamp, timestamp)?;

    let version = plan.version;
    Ok(vec![
        (format!("{}.root.json", root.version()), root.bytes().to_vec()),
        (format!("{version}.targets.json"), targets),
        (format!("{version}.snapshot.json"), snapshot),
        ("timestamp.json".to_owned(), timestamp),
    ])
}

/// Signs a release statement with the targets keys of `root`, by the same threshold as the targets metadata.
pub fn sign_statement(
    root: &Root,
    signers: &[&dyn Signer],
    statement: &Statement,
) -> Result<Vec<u8>, SigningError> {
    let payload = statement.to_bytes().map_err(|error| unwritable("release statement", &error))?;
    let mut envelope = Envelope::new(IN_TOTO, payload);
    let message = envelope.signed_bytes();
    for (keyid, sig) in (RoleSigners { root, signers }).signatures(Role::Targets, &message)? {
        envelope.add(EnvelopeSignature { keyid, sig: sig.to_vec() });
    }
    envelope.to_bytes().map_err(|error| unwritable("release statement", &error))
}

/// The keys at hand, against what a root asks of a role.
struct RoleSigners<'a> {
    root: &'a Root,
    signers: &'a [&'a dyn Signer],
}

impl RoleSigners<'_> {
    fn sign<T: TufRole>(&self, role: Role, document: T) -> Result<Vec<u8>, SigningError> {
        let message = document.canonical_form().map_err(|error| unwritable("metadata", &error))?;
        let signatures = self.signatures(role, &message)?;
        write_signed(document, signatures)
    }

    /// Signatures by every key of the role that is at hand, sorted by key id; at least the threshold.
    fn signatures(&self, role: Role, message: &[u8]) -> Result<BTreeMap<String, [u8; 64]>, SigningError> {
        let at_hand = self.at_hand(role)?;
        at_hand
            .into_iter()
            .map(|(key_id, signer)| {
                sign_with(signer, role, &key_id, message).map(|signature| (key_id, signature))
            })
            .collect()
    }

    /// The keys of a role that are at hand, by key id; at least the threshold.
    fn at_hand(&self, role: Role) -> Result<BTreeMap<String, &dyn Signer>, SigningError> {
        let named = self.root.public_keys(role).map_err(SigningError::Root)?;
        let mut at_hand: BTreeMap<String, &dyn Signer> = BTreeMap::new();
        let mut missing = Vec::new();
        for (key_id, public) in named {
            match self.signers.iter().find(|signer| signer.public_key() == public) {
                Some(signer) => drop(at_hand.insert(key_id, *signer)),
                None => missing.push(key_id),
            }
        }
        let (threshold, found) = (self.root.threshold(role), at_hand.len() as u64);
        if found < threshold {
            let root_version = self.root.version();
            return Err(SigningError::TooFewKeys { role, threshold, root_version, found, missing });
        }
        Ok(at_hand)
    }
}

pub(crate) fn sign_with(
    signer: &dyn Signer,
    role: Role,
    key_id: &str,
    message: &[u8],
) -> Result<[u8; 64], SigningError> {
    signer.sign(message).map_err(|source| SigningError::Refused { role, key_id: key_id.to_owned(), source })
}

/// Writes a signed document: keys of every object sorted, so that the same document gives the same bytes.
pub(crate) fn write_signed<T: Serialize>(
    signed: T,
    signatures: BTreeMap<String, [u8; 64]>,
) -> Result<Vec<u8>, SigningError> {
    let decode = |id: &str| hex::decode(id).map_err(|error| unwritable("metadata", &error));
    let mut rows = Vec::with_capacity(signatures.len());
    for (key_id, sig) in signatures {
        rows.push(Signature { keyid: decode(&key_id)?.into(), sig: sig.to_vec().into() });
    }
    let value = serde_json::to_value(Signed { signed, signatures: rows });
    let value = value.map_err(|error| unwritable("metadata", &error))?;
    let mut bytes =
        serde_json::to_vec_pretty(&sorted(value)).map_err(|error| unwritable("metadata", &error))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Sorts objects by key, whichever map the JSON library was built with.
fn sorted(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Object(map) => {
            let entries: BTreeMap<String, Value> = map.into_iter().map(|(key, v)| (key, sorted(v))).collect();
            Value::Object(entries.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        plain => plain,
    }
}

/// An Ed25519 public key as TUF writes it, with its id.
pub(crate) fn tuf_key(public: [u8; 32]) -> Result<(String, Key), SigningError> {
    let key = Key::Ed25519 {
        keyval: Ed25519Key { public: public.to_vec().into(), _extra: HashMap::new() },
        scheme: Ed25519Scheme::Ed25519,
        _extra: HashMap::new(),
    };
    let id = key.key_id().map_err(|error| unwritable("key", &error))?;
    Ok((hex::encode(&id), key))
}

/// The id TUF gives an Ed25519 public key.
pub fn key_id(public: [u8; 32]) -> Result<String, SigningError> {
    tuf_key(public).map(|(id, _)| id)
}

/// TUF writes whole seconds.
pub(crate) fn tuf_time(time: UtcTime) -> Result<jiff::Timestamp, SigningError> {
    let seconds = i64::try_from(time.unix_millis() / 1_000).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_err(|error| unwritable("metadata", &error))
}

pub(crate) fn unwritable(what: &'static str, error: &dyn std::error::Error) -> SigningError {
    SigningError::Write { what, detail: error.to_string() }
}

fn hashes_of(bytes: &[u8]) -> Hashes {
    Hashes { sha256: Digest::of(bytes).as_bytes().to_vec().into(), _extra: HashMap::new() }
}

fn target_of(bytes: &[u8]) -> Target {
    let length = bytes.len() as u64;
    Target { length, hashes: hashes_of(bytes), custom: HashMap::new(), _extra: HashMap::new() }
}

fn metafile_of(version: NonZeroU64, bytes: &[u8]) -> Metafile {
    let length = Some(bytes.len() as u64);
    Metafile { length, hashes: Some(hashes_of(bytes)), version, _extra: HashMap::new() }
}
