//! Why the shared counters cannot be used.

use hermetic_connector::ConnectError;
use hermetic_diagnostics::{Code, Diagnose};
use std::io;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the server of the shared counters cannot be reached")]
    Connect(#[from] ConnectError),
    #[error("the server of the shared counters broke off")]
    Broken(#[source] io::Error),
    #[error("the server of the shared counters was silent for {after_ms} ms")]
    Silent { after_ms: u128 },
    #[error("the server of the shared counters does not accept this user and password")]
    Credentials,
    #[error("expected a server that evicts nothing (`maxmemory-policy noeviction`), found `{found}`")]
    Evicts { found: String },
    #[error(
        "the counters were lost or may have been; {reported} of {expected} replicas have said what they hold"
    )]
    Incomplete { reported: u64, expected: u64 },
    #[error("expected an answer of Redis or Valkey, found {found}")]
    Protocol { found: String },
    #[error("another process lives under the id of this replica, `{replica}`")]
    Taken { replica: String },
}

impl Diagnose for StoreError {
    fn code(&self) -> Code {
        match self {
            Self::Connect(_) | Self::Broken(_) | Self::Silent { .. } => Code::new("E0950"),
            Self::Credentials => Code::new("E0951"),
            Self::Evicts { .. } => Code::new("E0952"),
            Self::Incomplete { .. } => Code::new("E0953"),
            Self::Protocol { .. } => Code::new("E0954"),
            Self::Taken { .. } => Code::new("E0955"),
        }
    }
}
