//! The one place where a [`VerifiedRelease`] is made.

use crate::expiry::{self, Floor};
use crate::release::VerifiedRelease;
use crate::root::Root;
use crate::trust_store::{PendingTrust, TrustStore};
use crate::tuf::{self, unreadable};
use crate::{Role, TrustError, dsse};
use hermetic_bounded_io::{EntryKind, list_folder, read_capped};
use hermetic_bundle::Statement;
use hermetic_bundle::layout::{METADATA_FOLDER, RELEASE_FOLDER, STATEMENT_FILE, target_name};
use hermetic_bundle::limits::DOCUMENT_BYTES_MAX;
use hermetic_digest::Digest;
use std::path::Path;

/// What a bundle is measured against.
#[derive(Debug)]
pub struct Anchor {
    root: Root,
    store: Option<TrustStore>,
    trusted: Vec<(&'static str, Vec<u8>)>,
}

impl Anchor {
    /// The root pinned in this enclave, and the metadata it accepted last.
    pub fn pinned(store: &TrustStore) -> Result<Self, TrustError> {
        let root = store.pinned()?.ok_or(TrustError::NotPinned)?;
        Ok(Self { root, store: Some(store.clone()), trusted: store.trusted()? })
    }

    /// A root given for one look at one bundle: nothing is remembered, so nothing older is recognised.
    pub fn explicit(root: Root) -> Self {
        Self { root, store: None, trusted: Vec::new() }
    }

    pub fn root(&self) -> &Root {
        &self.root
    }
}

/// A verified release, and the metadata to trust once it is accepted.
#[derive(Debug)]
pub struct Verification {
    pub release: VerifiedRelease,
    pub pending: PendingTrust,
}

/// Verifies a bundle's metadata and release statement. No blob is read.
pub fn verify(bundle: &Path, anchor: &Anchor, floor: Floor) -> Result<Verification, TrustError> {
    check_folders(bundle)?;
    let verified = tuf::load(&bundle.join(METADATA_FOLDER), &anchor.root, &anchor.trusted)?;
    let envelope = read_capped(&bundle.join(STATEMENT_FILE), DOCUMENT_BYTES_MAX)
        .map_err(|source| unreadable(STATEMENT_FILE.to_owned(), source))?;
    let (found, found_bytes) = (Digest::of(&envelope), envelope.len() as u64);
    if (found, found_bytes) != (verified.statement.digest, verified.statement.bytes) {
        return Err(TrustError::StatementMismatch {
            file: STATEMENT_FILE.to_owned(),
            expected_bytes: verified.statement.bytes,
            expected: verified.statement.digest,
            found_bytes,
            found,
        });
    }
    // The targets metadata already pins these bytes; the second signature lets the statement travel alone, as evidence.
    let signed = dsse::verify(&envelope, &anchor.root, Role::Targets, STATEMENT_FILE)?;
    let statement = Statement::parse(&signed.bytes)
        .map_err(|error| TrustError::StatementMalformed { detail: error.to_string() })?;
    let wanted = target_name(&statement.release().version);
    if verified.statement.name != wanted {
        let found = format!("`{}` for the release {}", verified.statement.name, statement.release().version);
        return Err(TrustError::StatementTargets { found });
    }
    let floor = floor.raised_to(statement.release().created.unix_millis());
    let warnings = expiry::judge(&verified.expiries, floor)?;
    let release = VerifiedRelease::new(crate::release::Parts {
        statement,
        digest: found,
        signers: signed.signers,
        root_version: anchor.root.version(),
        floor,
        warnings,
        expiries: verified.expiries,
    });
    Ok(Verification {
        release,
        pending: PendingTrust { store: anchor.store.clone(), files: verified.datastore },
    })
}

/// The two folders verification reads from are folders of the bundle, not links out of it.
fn check_folders(bundle: &Path) -> Result<(), TrustError> {
    let entries =
        list_folder(bundle, 1_000).map_err(|source| unreadable(bundle.display().to_string(), source))?;
    for wanted in [METADATA_FOLDER, RELEASE_FOLDER] {
        let kind = entries.iter().find(|entry| entry.name == wanted).map(|entry| entry.kind);
        let found = match kind {
            Some(EntryKind::Folder) => continue,
            None => return Err(TrustError::Missing { file: format!("{wanted}/") }),
            Some(EntryKind::Link) => "a symbolic link",
            Some(EntryKind::File) => "a file",
            Some(EntryKind::Special) => "a special file",
        };
        return Err(TrustError::Kind { file: wanted.to_owned(), expected: "a folder", found });
    }
    Ok(())
}
