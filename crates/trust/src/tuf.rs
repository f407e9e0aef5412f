//! Running `tough` over a bundle's metadata, and saying in our words what it found.
//!
//! `tough` enforces either every expiry date by the wall clock or none, and remembers the latest wall-clock time it ever
//! saw: a clock that once stood in the future would refuse every import for good. So it runs without expiry
//! ([`crate::expiry`] judges) and in a scratch copy of the datastore that starts without that memory.

use crate::dsse::Shortfall;
use crate::root::{Root, threshold_of};
use crate::transport::{FolderTransport, Seen};
use crate::{Role, TrustError};
use hermetic_bounded_io::{FileError, Mode, list_folder, read_capped, write_atomic};
use hermetic_bundle::limits::METADATA_BYTES_MAX;
use hermetic_clock::UnixMillis;
use hermetic_digest::Digest;
use std::collections::BTreeSet;
use std::error::Error as _;
use std::path::Path;
use tough::error::Error as ToughError;
use tough::schema::RoleType;
use tough::{ExpirationEnforcement, Limits, Repository, RepositoryLoader, TransportErrorKind};

/// What the datastore keeps between imports, so that older metadata is recognised.
pub(crate) const DATASTORE_FILES: [&str; 3] = ["timestamp.json", "snapshot.json", "targets.json"];

/// A root chain longer than this is an attempt to keep the verifier busy.
const ROOT_UPDATES_MAX: u64 = 64;

/// The only shape of URL the transport is given; nothing is fetched from anywhere.
const METADATA_URL: &str = "bundle:///metadata/";

/// Metadata that `tough` verified from the pinned root down.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) expiries: Vec<(Role, UnixMillis)>,
    pub(crate) statement: StatementTarget,
    /// The datastore as it should be once the release is accepted.
    pub(crate) datastore: Vec<(&'static str, Vec<u8>)>,
}

/// The one target: the release statement.
#[derive(Debug)]
pub(crate) struct StatementTarget {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) digest: Digest,
}

/// Verifies `metadata` (the bundle's folder) from `root` down, against what was trusted before.
pub(crate) fn load(
    metadata: &Path,
    root: &Root,
    trusted: &[(&'static str, Vec<u8>)],
) -> Result<Verified, TrustError> {
    let scratch = tempfile::tempdir().map_err(|source| TrustError::Store {
        source: FileError::new("create a scratch folder in", &std::env::temp_dir(), source),
    })?;
    let store = |source| TrustError::Store { source };
    for (name, bytes) in trusted {
        write_atomic(&scratch.path().join(name), bytes, Mode::Private).map_err(store)?;
    }
    let transport = FolderTransport::new(metadata.to_owned());
    let loaded = run(root, transport.clone(), scratch.path())?;
    let seen = transport.take_seen();
    let repository = loaded.map_err(|error| Failure { error: *error, seen, metadata, root }.into_error())?;
    let found = repository.root().signed.version.get();
    if found != root.version() {
        return Err(TrustError::RotationNotPinned {
            pinned: root.version(),
            found,
            file: format!("metadata/{found}.root.json"),
        });
    }
    let datastore = DATASTORE_FILES
        .iter()
        .map(|name| Ok((*name, read_capped(&scratch.path().join(name), METADATA_BYTES_MAX).map_err(store)?)))
        .collect::<Result<_, TrustError>>()?;
    Ok(Verified { expiries: expiries(&repository), statement: statement_target(&repository)?, datastore })
}

/// `tough` is asynchronous although everything here is a local file. It runs on a thread of its own, so that this can
/// be called from inside another runtime as well.
fn run(
    root: &Root,
    transport: FolderTransport,
    datastore: &Path,
) -> Result<Result<Repository, Box<ToughError>>, TrustError> {
    let verifier = |detail: String| TrustError::Verifier { detail };
    let base = url::Url::parse(METADATA_URL).map_err(|error| verifier(error.to_string()))?;
    let limits = Limits {
        max_root_size: METADATA_BYTES_MAX,
        max_targets_size: METADATA_BYTES_MAX,
        max_timestamp_size: METADATA_BYTES_MAX,
        max_snapshot_size: METADATA_BYTES_MAX,
        max_root_updates: ROOT_UPDATES_MAX,
    };
    let bytes = root.bytes();
    let loader = RepositoryLoader::new(&bytes, base.clone(), base)
        .transport(transport)
        .limits(limits)
        .datastore(datastore)
        .expiration_enforcement(ExpirationEnforcement::Unsafe);
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            Ok::<_, std::io::Error>(runtime.block_on(Box::pin(loader.load())).map_err(Box::new))
        });
        match thread.join() {
            Ok(Ok(loaded)) => Ok(loaded),
            Ok(Err(error)) => Err(verifier(error.to_string())),
            Err(_) => Err(verifier("the metadata verifier panicked".to_owned())),
        }
    })
}

fn expiries(repository: &Repository) -> Vec<(Role, UnixMillis)> {
    let millis = |milliseconds: i64| u64::try_from(milliseconds).unwrap_or(0);
    vec![
        (Role::Root, millis(repository.root().signed.expires.as_millisecond())),
        (Role::Targets, millis(repository.targets().signed.expires.as_millisecond())),
        (Role::Snapshot, millis(repository.snapshot().signed.expires.as_millisecond())),
        (Role::Timestamp, millis(repository.timestamp().signed.expires.as_millisecond())),
    ]
}

fn statement_target(repository: &Repository) -> Result<StatementTarget, TrustError> {
    let targets = &repository.targets().signed;
    let count = targets.targets.len();
    let mut names = targets.targets.iter();
    let (Some((name, target)), None) = (names.next(), names.next()) else {
        return Err(TrustError::StatementTargets { found: format!("{count} targets") });
    };
    let hash: [u8; 32] = target
        .hashes
        .sha256
        .as_ref()
        .try_into()
        .map_err(|_| TrustError::StatementTargets { found: "a hash that is no SHA-256".to_owned() })?;
    Ok(StatementTarget {
        name: name.raw().to_owned(),
        bytes: target.length,
        digest: Digest::from_bytes(hash),
    })
}

/// A failure of `tough` with what is needed to name the file and the keys.
struct Failure<'a> {
    error: ToughError,
    seen: Seen,
    metadata: &'a Path,
    root: &'a Root,
}

impl Failure<'_> {
    fn into_error(mut self) -> TrustError {
        if let Some((name, source)) = self.seen.failure.take() {
            return unreadable(format!("metadata/{name}"), source);
        }
        let last = self.seen.files.last().map(|(name, _)| name.clone()).unwrap_or_default();
        let file = format!("metadata/{last}");
        match &self.error {
            ToughError::Transport { source, .. } => self.transport_error(source, file),
            ToughError::VerifyMetadata { role, source, .. } => match threshold_of(source) {
                Some(numbers) => self.signature_error(file, role_of(*role), numbers),
                None => TrustError::Malformed { file, role: role_of(*role), detail: source.to_string() },
            },
            ToughError::ParseMetadata { role, source, .. } => {
                TrustError::Malformed { file, role: role_of(*role), detail: source.to_string() }
            }
            ToughError::VersionMismatch { role, fetched, expected, .. } => TrustError::Swapped {
                file,
                named_by: self.named_by(role_of(*role)),
                expected: format!("version {expected}"),
                found: format!("version {fetched}"),
            },
            ToughError::OlderMetadata { role, current_version, new_version, .. } => TrustError::Rollback {
                file,
                role: role_of(*role),
                trusted: *current_version,
                found: *new_version,
            },
            ToughError::OlderSnapshotInTimestamp { snapshot_new, snapshot_old, .. } => TrustError::Rollback {
                file,
                role: Role::Snapshot,
                trusted: *snapshot_old,
                found: *snapshot_new,
            },
            ToughError::SnapshotRoleRollback { old_role_version, new_role_version, .. } => {
                TrustError::Rollback {
                    file,
                    role: Role::Targets,
                    trusted: *old_role_version,
                    found: *new_role_version,
                }
            }
            ToughError::TimestampMetaLength { .. } | ToughError::MissingSnapshotMeta { .. } => {
                TrustError::Malformed { file, role: Role::Timestamp, detail: self.error.to_string() }
            }
            ToughError::SnapshotTargetsMetaMissing { .. } | ToughError::SnapshotRoleMissing { .. } => {
                TrustError::Malformed { file, role: Role::Snapshot, detail: self.error.to_string() }
            }
            ToughError::MaxUpdatesExceeded { .. } => {
                TrustError::Malformed { file, role: Role::Root, detail: self.error.to_string() }
            }
            other => TrustError::Verifier { detail: other.to_string() },
        }
    }

    fn transport_error(&self, source: &tough::TransportError, file: String) -> TrustError {
        if source.kind() == TransportErrorKind::FileNotFound {
            let missing = self.seen.missing.last().cloned().unwrap_or_default();
            return self.missing(missing);
        }
        let cause = source.source().and_then(|cause| cause.downcast_ref::<ToughError>());
        let role = if file.ends_with("snapshot.json") { Role::Snapshot } else { Role::Targets };
        let named_by = self.named_by(role);
        match cause {
            Some(ToughError::HashMismatch { calculated, expected, .. }) => TrustError::Swapped {
                file,
                named_by,
                expected: format!("sha256 {expected}"),
                found: format!("sha256 {calculated}"),
            },
            Some(ToughError::MaxSizeExceeded { max_size, .. }) => TrustError::Swapped {
                file,
                named_by,
                expected: format!("at most {max_size} bytes"),
                found: "more".to_owned(),
            },
            _ => TrustError::Verifier { detail: source.to_string() },
        }
    }

    /// A file that is named but absent: when another version of it lies there instead, something was swapped.
    fn missing(&self, missing: String) -> TrustError {
        let kind = missing.split_once('.').map_or("", |(_, kind)| kind);
        let other = list_folder(self.metadata, 1_000).ok().and_then(|entries| {
            entries
                .into_iter()
                .find(|e| !kind.is_empty() && e.name.split_once('.').is_some_and(|(_, k)| k == kind))
        });
        let role = if kind == "snapshot.json" { Role::Snapshot } else { Role::Targets };
        match other {
            Some(entry) => TrustError::Swapped {
                file: format!("metadata/{}", entry.name),
                named_by: self.named_by(role),
                expected: missing,
                found: entry.name,
            },
            None => TrustError::Missing { file: format!("metadata/{missing}") },
        }
    }

    /// The file whose signed content says which version of `role` this bundle is made of.
    fn named_by(&self, role: Role) -> String {
        let named = |suffix: &str| {
            self.seen
                .files
                .iter()
                .rev()
                .find(|(name, _)| name.ends_with(suffix))
                .map(|(name, _)| name.clone())
        };
        let by = if role == Role::Targets { named("snapshot.json") } else { named("timestamp.json") };
        format!("metadata/{}", by.unwrap_or_else(|| "timestamp.json".to_owned()))
    }

    fn signature_error(&self, file: String, role: Role, (threshold, valid): (u64, u64)) -> TrustError {
        #[derive(serde::Deserialize)]
        struct Signatures {
            signatures: Vec<Signature>,
        }
        #[derive(serde::Deserialize)]
        struct Signature {
            keyid: String,
        }
        let listed = self
            .seen
            .files
            .last()
            .and_then(|(_, bytes)| serde_json::from_slice::<Signatures>(bytes).ok())
            .map(|s| s.signatures.into_iter().map(|s| s.keyid.chars().take(64).collect()).collect())
            .unwrap_or_default();
        let known: BTreeSet<String> =
            self.root.public_keys(role).map(|keys| keys.into_keys().collect()).unwrap_or_default();
        Shortfall { file, role, threshold, valid }.among(listed, &known)
    }
}

/// A file of the bundle that cannot be read; a link or a device where a file should be is its own finding.
pub(crate) fn unreadable(file: String, source: FileError) -> TrustError {
    match source {
        FileError::NotRegular { found, .. } => TrustError::Kind { file, expected: "a regular file", found },
        other if other.is_not_found() => TrustError::Missing { file },
        other => TrustError::Unreadable { file, source: other },
    }
}

fn role_of(role: RoleType) -> Role {
    match role {
        RoleType::Root => Role::Root,
        RoleType::Snapshot => Role::Snapshot,
        RoleType::Timestamp => Role::Timestamp,
        RoleType::Targets | RoleType::DelegatedTargets => Role::Targets,
    }
}
