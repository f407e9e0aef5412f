//! What can go wrong with a key file.

use hermetic_bounded_io::FileError;
use hermetic_diagnostics::{Code, Diagnose};
use std::path::PathBuf;

/// Why a key could not be made, kept or read. Never carries key bytes.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot use the key file `{path}`", path = path.display())]
    File { path: PathBuf, source: FileError },
    #[error("expected `{path}` to hold {expected}, found {found}", path = path.display())]
    Form { path: PathBuf, expected: &'static str, found: &'static str },
    #[error("expected `{path}` to be readable by its owner alone (mode 0600), found mode {mode:04o}", path = path.display())]
    Exposed { path: PathBuf, mode: u32 },
    #[error("expected no key at `{path}` yet, found one", path = path.display())]
    Exists { path: PathBuf },
    #[error("expected the crypto library to {action}, found that it refused")]
    Crypto { action: &'static str },
}

impl Diagnose for KeyError {
    fn code(&self) -> Code {
        match self {
            Self::File { .. } | Self::Exists { .. } => Code::new("E0981"),
            Self::Form { .. } => Code::new("E0982"),
            Self::Exposed { .. } => Code::new("E0983"),
            Self::Crypto { .. } => Code::new("E0984"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File { path, .. } => {
                Some(format!("check that this user may read and write `{}`", path.display()))
            }
            Self::Form { .. } => Some("restore the key from its backup, or name the right file".to_owned()),
            Self::Exposed { path, .. } => Some(format!(
                "decide whether somebody else may have read it; if not, run `chmod 600 {}`",
                path.display()
            )),
            Self::Exists { .. } => Some("choose another file: a key is never overwritten".to_owned()),
            Self::Crypto { .. } => None,
        }
    }
}
