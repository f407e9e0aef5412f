//! Why a policy folder cannot be read.

use hermetic_bounded_io::FileError;
use hermetic_diagnostics::{Code, Diagnose};
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("cannot read the policies in `{folder}`", folder = folder.display())]
    Unreadable { folder: PathBuf, source: FileError },
}

impl Diagnose for FolderError {
    fn code(&self) -> Code {
        Code::new("E1011")
    }

    fn hint(&self) -> Option<String> {
        Some("check `policy.dir` in the configuration and who may read that folder".to_owned())
    }
}
