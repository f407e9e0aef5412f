//! Why a bundle was not built. Nothing stands under the output's name when one of these is returned.

use hermetic_bounded_io::FileError;
use hermetic_bundle::{ContentsError, DocumentError};
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_digest::Digest;
use hermetic_gguf::{ConvertError, ReadError};
use hermetic_ids::{ModelName, ReleaseVersion};
use hermetic_keys::KeyError;
use hermetic_store::StoreError;
use hermetic_trust::signing::SigningError;
use hermetic_trust::{RootError, TrustError};
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("cannot read the release file `{path}`", path = path.display())]
    ReleaseFile { path: PathBuf, source: FileError },
    #[error("expected `{path}` to be a release file: {detail}", path = path.display())]
    ReleaseSyntax { path: PathBuf, detail: String },
    #[error("in `{path}`, expected {expected}, found {found}", path = path.display())]
    ReleaseValue { path: PathBuf, expected: String, found: String },

    #[error("expected the source of `{model}` at `{path}`, found {found}", path = path.display())]
    SourceMissing { model: ModelName, path: PathBuf, found: String },
    #[error("cannot read the source of `{model}`")]
    Source { model: ModelName, source: FileError },
    #[error("cannot read `{member}` of the source of `{model}`")]
    SourceRead { model: ModelName, member: String, source: std::io::Error },
    #[error("expected `{path}` to have the pinned SHA-256 {expected}, found {found}", path = path.display())]
    SourceHash { path: PathBuf, expected: Digest, found: Digest },
    #[error("`{path}` is not an archive to read from: {detail}", path = path.display())]
    Archive { path: PathBuf, detail: String },
    #[error("expected `{member}` in `{path}`, found no such file", path = path.display())]
    MemberMissing { path: PathBuf, member: String },
    #[error("expected `{member}` to have the pinned SHA-256 {expected}, found {found}")]
    MemberHash { member: String, expected: Digest, found: Digest },
    #[error("expected `{member}` to be {expected} bytes, found {found}")]
    MemberSize { member: String, expected: u64, found: u64 },

    #[error("expected the members of `{model}` to hold `{expected}` for the conversion, found none")]
    ConversionInput { model: ModelName, expected: &'static str },
    #[error("cannot convert `{model}`")]
    Convert { model: ModelName, source: ConvertError },
    #[error("expected the weights of `{model}` to be a GGUF file")]
    NotGguf { model: ModelName, source: ReadError },
    #[error("expected the weights of `{model}` to {expected}, found {found}")]
    Weights { model: ModelName, expected: &'static str, found: String },

    #[error("expected nothing at `{path}` yet", path = path.display())]
    OutputExists { path: PathBuf },
    #[error("another build is writing to `{path}`", path = path.display())]
    Busy { path: PathBuf },
    #[error("expected {needed} bytes of free space beside `{path}`, found {free}", path = path.display())]
    NoRoom { path: PathBuf, needed: u64, free: u64 },
    #[error("cannot write the output")]
    Output(#[source] FileError),
    #[error("cannot keep a blob of the bundle")]
    Store(#[source] StoreError),
    #[error("stopped before the end")]
    Stopped,

    #[error("expected a key folder at `{path}`", path = path.display())]
    KeyFolder { path: PathBuf, source: FileError },
    #[error("cannot use a signing key")]
    Key(#[source] KeyError),
    #[error("cannot use the root in the key folder")]
    Root(#[source] RootError),
    #[error("cannot sign")]
    Signing(#[source] SigningError),
    #[error("expected a previous bundle that verifies under the root in the key folder, at `{path}`", path = path.display())]
    Previous { path: PathBuf, source: Box<TrustError> },
    #[error("expected a release counter above {previous}, the previous release's, found {found}")]
    Counter { previous: u64, found: u64 },
    #[error("expected another version than the previous release's, found `{version}` again")]
    VersionReused { version: ReleaseVersion },

    #[error("cannot make a document of the bundle")]
    Document(#[source] DocumentError),
    #[error("the bundle that was built does not hold together")]
    Contents(#[source] ContentsError),
    #[error("the bundle that was built does not verify")]
    Verify(#[source] TrustError),
}

impl ExportError {
    /// A disk that is full has its own cure, wherever it was noticed.
    fn disk_full(&self) -> bool {
        let file = match self {
            Self::Output(error) => Some(error),
            Self::Store(error) => error.as_file(),
            _ => None,
        };
        matches!(file, Some(FileError::DiskFull { .. })) || matches!(self, Self::NoRoom { .. })
    }
}

impl Diagnose for ExportError {
    fn code(&self) -> Code {
        if self.disk_full() {
            return Code::new("E0323");
        }
        match self {
            Self::ReleaseFile { .. } => Code::new("E0310"),
            Self::ReleaseSyntax { .. } | Self::ReleaseValue { .. } => Code::new("E0311"),
            Self::SourceMissing { .. } => Code::new("E0312"),
            Self::Source { .. } | Self::SourceRead { .. } => Code::new("E0318"),
            Self::SourceHash { .. } => Code::new("E0313"),
            Self::MemberMissing { .. } => Code::new("E0314"),
            Self::Archive { .. } | Self::MemberSize { .. } => Code::new("E0315"),
            Self::MemberHash { .. } => Code::new("E0316"),
            Self::OutputExists { .. } | Self::Busy { .. } => Code::new("E0317"),
            Self::ConversionInput { .. } => Code::new("E0319"),
            Self::Convert { source, .. } => source.code(),
            Self::NotGguf { .. } | Self::Weights { .. } => Code::new("E0320"),
            Self::Stopped => Code::new("E0321"),
            Self::Output(_) | Self::NoRoom { .. } => Code::new("E0322"),
            Self::Store(error) => error.code(),
            Self::KeyFolder { .. } => Code::new("E0411"),
            Self::Key(error) => error.code(),
            Self::Root(_) => Code::new("E0419"),
            Self::Signing(error) => error.code(),
            Self::Previous { .. } => Code::new("E0414"),
            Self::Counter { .. } => Code::new("E0417"),
            Self::VersionReused { .. } => Code::new("E0413"),
            Self::Document(_) => Code::new("E0421"),
            Self::Contents(error) => error.code(),
            Self::Verify(_) => Code::new("E0418"),
        }
    }

    fn hint(&self) -> Option<String> {
        if self.disk_full() {
            return Some("free space beside the output, or name an output on a larger disk".to_owned());
        }
        let text = match self {
            Self::SourceMissing { .. } => {
                "download it first, or point `--sources` at the folder that holds it"
            }
            Self::SourceHash { .. } | Self::MemberHash { .. } => {
                "do not change the pin to make it fit: find out where these bytes come from"
            }
            Self::MemberMissing { .. } => {
                "list the archive with `unzip -l` and correct `members` in the release file"
            }
            Self::Archive { .. } | Self::MemberSize { .. } => {
                "do not use this file; fetch it again from its publisher"
            }
            Self::OutputExists { .. } => {
                "a bundle is never overwritten: name another folder or move this one away"
            }
            Self::KeyFolder { .. } => {
                "make keys with `hermetic key ceremony --out DIR`, or name the folder that holds them"
            }
            Self::Previous { .. } => "name the folder of the last bundle that was published, untouched",
            Self::Counter { .. } => {
                "leave `counter` out of the release file: it then follows the previous release"
            }
            Self::VersionReused { .. } => "give the release a version of its own in the release file",
            Self::Key(error) => return error.hint(),
            Self::Signing(error) => return error.hint(),
            Self::Store(error) => return error.hint(),
            Self::Contents(error) => return error.hint(),
            _ => return None,
        };
        Some(text.to_owned())
    }
}
