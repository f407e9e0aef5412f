//! Why the service cannot be started.

use hermetic_bounded_io::FileError;
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_telemetry::LogError;
use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("expected to be the only service on `{state}`, found another process writing its ledger", state = state.display())]
    AnotherServes { state: PathBuf },
    #[error("expected the endpoint of model `{model}` to name a host, found `{found}`")]
    Endpoint { model: String, found: String },
    #[error("expected what stands under `identity` to be of use, found `{found}` ({reason})")]
    Identity { found: String, reason: String },
    #[error("cannot read the authorities in `{path}`", path = path.display())]
    Anchors { path: PathBuf, source: FileError },
    #[error("cannot read the password of the shared counters in `{path}`", path = path.display())]
    SharedPassword { path: PathBuf, source: FileError },
    #[error("cannot keep the id of this gateway in `{path}`", path = path.display())]
    ReplicaId { path: PathBuf, source: FileError },
    #[error("cannot say in `{state}` which process serves", state = state.display())]
    Announce { state: PathBuf, source: FileError },
    #[error("cannot start logging, or change what is logged")]
    Logging { source: LogError },
    #[error("cannot {action}")]
    System { action: &'static str, source: io::Error },
}

impl Diagnose for ServeError {
    fn code(&self) -> Code {
        match self {
            Self::AnotherServes { .. } => Code::new("E1010"),
            Self::Endpoint { .. } => Code::new("E1012"),
            Self::Identity { .. } | Self::Anchors { .. } => Code::new("E0979"),
            Self::SharedPassword { .. } | Self::ReplicaId { .. } => Code::new("E0956"),
            Self::Announce { .. } | Self::Logging { .. } | Self::System { .. } => Code::new("E1013"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::AnotherServes { .. } => {
                Some("stop the other `hermetic serve`, or give this one a `state_dir` of its own".to_owned())
            }
            Self::Endpoint { .. } => {
                Some("write the endpoint as `http://host:port/v1`, with a host inside the enclave".to_owned())
            }
            Self::Anchors { .. } => Some(
                "check `identity.trust_anchors` in the configuration and who may read that file".to_owned(),
            ),
            Self::SharedPassword { .. } => Some(
                "check `limits_store.password_file` in the configuration and who may read that file"
                    .to_owned(),
            ),
            Self::Identity { .. }
            | Self::ReplicaId { .. }
            | Self::Announce { .. }
            | Self::Logging { .. }
            | Self::System { .. } => None,
        }
    }
}
