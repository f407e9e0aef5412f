//! Why a socket was not opened.

use hermetic_diagnostics::{Code, Diagnose};
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("expected a destination inside the enclave ({allowed}), found the address {address}")]
    AddressOutside { address: IpAddr, allowed: String },
    #[error("expected a name inside the enclave ({allowed}), found `{name}`; it was not resolved")]
    NameOutside { name: String, allowed: String },
    #[error("expected every address of `{name}` inside the enclave ({allowed}), found {address}")]
    ResolvedOutside { name: String, address: IpAddr, allowed: String },
    #[error("expected a host name or an address, found `{found}`")]
    NotAHost { found: String },
    #[error("cannot resolve `{name}`")]
    Resolve { name: String, source: io::Error },
    #[error("`{name}` has no address")]
    NoAddress { name: String },
    #[error("cannot connect to {destination}")]
    Dial { destination: String, source: io::Error },
    #[error("no connection to {destination} within {after:?}")]
    Timeout { destination: String, after: Duration },
    #[error("cannot connect to the socket `{path}`", path = path.display())]
    DialUnix { path: PathBuf, source: io::Error },
}

impl ConnectError {
    /// Whether the allow-list said no, as opposed to the network.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::AddressOutside { .. }
            | Self::NameOutside { .. }
            | Self::ResolvedOutside { .. }
            | Self::NotAHost { .. } => true,
            Self::Resolve { .. }
            | Self::NoAddress { .. }
            | Self::Dial { .. }
            | Self::Timeout { .. }
            | Self::DialUnix { .. } => false,
        }
    }
}

impl Diagnose for ConnectError {
    fn code(&self) -> Code {
        match self {
            Self::AddressOutside { .. } => Code::new("E0201"),
            Self::NameOutside { .. } => Code::new("E0202"),
            Self::ResolvedOutside { .. } => Code::new("E0203"),
            Self::NotAHost { .. } => Code::new("E0204"),
            Self::Resolve { .. } | Self::NoAddress { .. } => Code::new("E0205"),
            Self::Dial { .. } | Self::Timeout { .. } => Code::new("E0206"),
            Self::DialUnix { .. } => Code::new("E0207"),
        }
    }

    fn hint(&self) -> Option<String> {
        self.is_refusal().then(|| {
            "if the destination belongs to the enclave, add its network or DNS suffix under `network.enclave`".to_owned()
        })
    }
}
