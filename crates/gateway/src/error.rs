//! Why the gateway did not start.

use hermetic_diagnostics::{Code, Diagnose};
use std::io;
use std::net::SocketAddr;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot start a serving thread")]
    Thread { source: io::Error },
}

impl Diagnose for StartError {
    fn code(&self) -> Code {
        match self {
            Self::Listen { .. } => Code::new("E0830"),
            Self::Thread { .. } => Code::new("E0831"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Some("another process listens there; stop it or change `gateway.listen`".to_owned())
            }
            Self::Listen { .. } | Self::Thread { .. } => None,
        }
    }
}
