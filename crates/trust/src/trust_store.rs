//! What this enclave trusts: the pinned root, and the metadata it accepted last.

use crate::TrustError;
use crate::root::{Root, RootError};
use crate::tuf::DATASTORE_FILES;
use hermetic_bounded_io::{FileError, Mode, create_folders, read_capped, remove_durable, write_atomic};
use hermetic_bundle::limits::METADATA_BYTES_MAX;
use hermetic_diagnostics::{Code, Diagnose};
use std::path::{Path, PathBuf};

/// The `trust/` folder of the state directory: `root.json` and `tuf/`.
#[derive(Debug, Clone)]
pub struct TrustStore {
    folder: PathBuf,
}

/// How a root came to be pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pinning {
    /// The first one here: whoever pinned it answers for having compared the key ids.
    First,
    /// Already pinned; nothing changed.
    Unchanged,
    /// Signed by the keys of the one before.
    Successor,
    /// Put in place of another although nothing links the two.
    Replaced,
}

/// Why a root was not pinned.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    #[error("the root cannot be pinned")]
    Root(#[source] RootError),
    #[error("cannot use the trust folder of this enclave")]
    Store(#[source] FileError),
}

impl Diagnose for PinError {
    fn code(&self) -> Code {
        match self {
            Self::Root(error) => error.code(),
            Self::Store(_) => Code::new("E0444"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Root(error) => error.hint(),
            Self::Store(_) => None,
        }
    }
}

impl TrustStore {
    /// The trust folder at `folder`; it is made when something is first pinned.
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn root_path(&self) -> PathBuf {
        self.folder.join("root.json")
    }

    fn datastore(&self) -> PathBuf {
        self.folder.join("tuf")
    }

    /// The pinned root, if one is.
    pub fn pinned(&self) -> Result<Option<Root>, TrustError> {
        match read_capped(&self.root_path(), METADATA_BYTES_MAX) {
            Ok(bytes) => Root::parse(&bytes).map(Some).map_err(|source| TrustError::PinnedRoot { source }),
            Err(error) if error.is_not_found() => Ok(None),
            Err(source) => Err(TrustError::Store { source }),
        }
    }

    /// How `root` would be pinned. `between` are the roots from the pinned one to `root`, in order, without either end;
    /// `replace` gives up the link to the pinned one.
    pub fn plan_pin(&self, root: &Root, between: &[Root], replace: bool) -> Result<Pinning, PinError> {
        let pinned = match self.pinned() {
            Ok(pinned) => pinned,
            // An unreadable pin can only be replaced on purpose.
            Err(_) if replace => return Ok(Pinning::Replaced),
            Err(TrustError::PinnedRoot { source }) => return Err(PinError::Root(source)),
            Err(TrustError::Store { source }) => return Err(PinError::Store(source)),
            Err(other) => return Err(PinError::Root(RootError::Malformed { detail: other.to_string() })),
        };
        let Some(pinned) = pinned else {
            return Ok(Pinning::First);
        };
        if pinned.digest() == root.digest() {
            return Ok(Pinning::Unchanged);
        }
        let mut last = &pinned;
        let linked = between.iter().chain([root]).try_for_each(|next| {
            last.check_successor(next)?;
            last = next;
            Ok(())
        });
        match linked {
            Ok(()) => Ok(Pinning::Successor),
            Err(_) if replace => Ok(Pinning::Replaced),
            Err(error) => Err(PinError::Root(error)),
        }
    }

    /// Pins `root` as [`TrustStore::plan_pin`] said. A replaced root starts from an empty datastore: version numbers
    /// signed by the old keys mean nothing under the new ones.
    pub fn pin(&self, root: &Root, pinning: Pinning) -> Result<(), PinError> {
        if pinning == Pinning::Unchanged {
            return Ok(());
        }
        create_folders(&self.datastore(), Mode::Private).map_err(PinError::Store)?;
        if pinning == Pinning::Replaced {
            for name in DATASTORE_FILES {
                remove_durable(&self.datastore().join(name)).map_err(PinError::Store)?;
            }
        }
        write_atomic(&self.root_path(), root.bytes(), Mode::Shared).map_err(PinError::Store)
    }

    /// The metadata accepted last, as far as there is any.
    pub(crate) fn trusted(&self) -> Result<Vec<(&'static str, Vec<u8>)>, TrustError> {
        let mut found = Vec::new();
        for name in DATASTORE_FILES {
            match read_capped(&self.datastore().join(name), METADATA_BYTES_MAX) {
                Ok(bytes) => found.push((name, bytes)),
                Err(error) if error.is_not_found() => {}
                Err(source) => return Err(TrustError::Store { source }),
            }
        }
        Ok(found)
    }
}

/// Verified metadata that is not trusted yet: it becomes what the next bundle is measured against when its release is
/// accepted, and is forgotten when it is not.
#[must_use = "a release that is accepted commits its metadata"]
#[derive(Debug)]
pub struct PendingTrust {
    pub(crate) store: Option<TrustStore>,
    pub(crate) files: Vec<(&'static str, Vec<u8>)>,
}

impl PendingTrust {
    /// Trusts the metadata from now on. Each file is replaced whole; `tough` compares each with its own predecessor, so
    /// a crash between two of them leaves a datastore that is still right.
    pub fn commit(self) -> Result<(), TrustError> {
        let Some(store) = self.store else {
            return Ok(());
        };
        let folder = store.datastore();
        let wrap = |source| TrustError::Store { source };
        create_folders(&folder, Mode::Private).map_err(wrap)?;
        self.files.iter().try_for_each(|(name, bytes)| {
            write_atomic(&folder.join(name), bytes, Mode::Private).map_err(wrap)
        })
    }
}
