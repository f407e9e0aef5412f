//! Why the registry did not do what it was asked.

use hermetic_clock::{UnixMillis, rfc3339};
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_digest::Digest;
use hermetic_ids::{ModelName, ReleaseVersion};
use hermetic_ledger_store::AppendError;
use hermetic_metadata::MetadataError;

#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("no release `{version}` was imported here")]
    UnknownRelease { version: ReleaseVersion },
    #[error("expected `{version}` to be staged before it is promoted, found {}", staged.as_ref().map_or_else(|| "nothing staged".to_owned(), |s| format!("`{s}` staged")))]
    NotStaged { version: ReleaseVersion, staged: Option<ReleaseVersion> },
    #[error("`{version}` is older than `{production}`, which serves now")]
    OlderThanProduction { version: ReleaseVersion, production: ReleaseVersion },
    #[error("nothing holds production, so there is nothing to roll back")]
    NothingServes,
    #[error("no release held production before `{current}`")]
    NothingBefore { current: ReleaseVersion },
    #[error("the release before, `{version}`, left production on {left}, more than {days} days ago", left = rfc3339(*left_unix_ms))]
    WindowOver { version: ReleaseVersion, left_unix_ms: UnixMillis, days: u64 },
    #[error("release `{version}` is not complete in the store: {blob} is missing")]
    Incomplete { version: ReleaseVersion, blob: Digest },
    #[error("another command moved the label at the same time; nothing was changed")]
    MovedMeanwhile,
    #[error("expected the name of who moves the release, found an empty or overlong one")]
    By,
    #[error("the ledger did not take the record of the move; nothing was changed")]
    Ledger { source: AppendError },
    #[error("cannot read or write the registry's rows")]
    Metadata(#[source] MetadataError),
    #[error("model `{model}` of release `{version}` cannot be served: {detail}")]
    Unservable { version: ReleaseVersion, model: ModelName, detail: String },
    #[error("expected a label, found `{found}`")]
    Label { found: String },
}

impl From<MetadataError> for RegistryError {
    fn from(source: MetadataError) -> Self {
        Self::Metadata(source)
    }
}

impl Diagnose for RegistryError {
    fn code(&self) -> Code {
        match self {
            Self::UnknownRelease { .. } => Code::new("E0504"),
            Self::NotStaged { .. } => Code::new("E0505"),
            Self::NothingServes | Self::NothingBefore { .. } | Self::WindowOver { .. } => Code::new("E0506"),
            Self::Incomplete { .. } => Code::new("E0507"),
            Self::MovedMeanwhile => Code::new("E0508"),
            Self::Ledger { .. } => Code::new("E0509"),
            Self::By | Self::Label { .. } => Code::new("E0510"),
            Self::OlderThanProduction { .. } => Code::new("E0511"),
            Self::Unservable { .. } => Code::new("E0512"),
            Self::Metadata(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownRelease { .. } => Some("`hermetic release list` shows what was imported".to_owned()),
            Self::NotStaged { version, .. } => Some(format!("run `hermetic release stage {version}` first")),
            Self::OlderThanProduction { .. } => {
                Some("to go back, use `hermetic release rollback`".to_owned())
            }
            Self::Incomplete { .. } => Some(
                "import its bundle again: blobs that are here are kept, missing ones are copied".to_owned(),
            ),
            Self::MovedMeanwhile => Some("look at `hermetic release list` and decide again".to_owned()),
            Self::By => Some("give it with `--by NAME`".to_owned()),
            Self::Metadata(error) => error.hint(),
            _ => None,
        }
    }
}
