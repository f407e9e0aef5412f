//! The key folder: `root.json`, the roots before it, and as many private keys as signing needs.

use super::ExportError;
use super::sign::Terms;
use hermetic_bounded_io::{EntryKind, list_folder, read_capped};
use hermetic_bundle::limits::{METADATA_BYTES_MAX, ROOTS_MAX};
use hermetic_keys::SigningKey;
use hermetic_trust::Root;
use hermetic_trust::signing::{Signer, SignerError, check_keys};
use std::path::Path;

/// The newest root; older ones stand beside it as `N.root.json`.
pub(super) const ROOT_FILE: &str = "root.json";

/// Most files in a key folder: a ceremony makes a handful.
const ENTRIES_MAX: usize = 1_000;

/// A private key from a file, as the trust crate wants to be signed for.
#[derive(Debug)]
pub(super) struct FileSigner(pub(super) SigningKey);

impl Signer for FileSigner {
    fn public_key(&self) -> [u8; 32] {
        *self.0.public().as_bytes()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignerError> {
        self.0.sign(message).map_err(Into::into)
    }
}

/// Keys at hand and the root they are measured by.
#[derive(Debug)]
pub(super) struct KeyFolder {
    root: Root,
    /// Roots 1 to N-1, oldest first: an enclave that pinned any of them can follow to this one.
    older: Vec<(u64, Vec<u8>)>,
    signers: Vec<FileSigner>,
}

impl KeyFolder {
    pub(super) fn open(folder: &Path) -> Result<Self, ExportError> {
        let unusable = |source| ExportError::KeyFolder { path: folder.to_owned(), source };
        let root = read_capped(&folder.join(ROOT_FILE), METADATA_BYTES_MAX).map_err(unusable)?;
        let root = Root::parse(&root).map_err(ExportError::Root)?;
        let mut older = Vec::new();
        for version in (1..root.version()).take(ROOTS_MAX) {
            let bytes = read_capped(&folder.join(format!("{version}.root.json")), METADATA_BYTES_MAX);
            older.push((version, bytes.map_err(unusable)?));
        }
        let mut signers = Vec::new();
        for entry in list_folder(folder, ENTRIES_MAX).map_err(unusable)? {
            // Root keys are for ceremonies; they have no business at a build and are not read even when they are here.
            let private = entry.kind == EntryKind::File && entry.name.ends_with(".pem");
            if private && !entry.name.starts_with("root-") {
                signers
                    .push(FileSigner(SigningKey::load(&folder.join(&entry.name)).map_err(ExportError::Key)?));
            }
        }
        Ok(Self { root, older, signers })
    }

    pub(super) fn root(&self) -> &Root {
        &self.root
    }

    pub(super) fn older_roots(&self) -> &[(u64, Vec<u8>)] {
        &self.older
    }

    pub(super) fn signers(&self) -> Vec<&dyn Signer> {
        self.signers.iter().map(|signer| signer as &dyn Signer).collect()
    }

    /// Whether every role can be met, before any work is done.
    pub(super) fn check_can_sign(&self, terms: &Terms) -> Result<(), ExportError> {
        check_keys(&self.root, &self.signers(), terms.expires).map_err(ExportError::Signing)
    }
}
