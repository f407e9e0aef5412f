//! Dialling, after asking the allow-list.

use crate::allow_list::{AllowList, is_label};
use crate::dialled::{DialReport, Dialled, Outcome};
use crate::error::ConnectError;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};

/// How long one TCP connection may take to come about. Inside an enclave a peer answers in milliseconds or is down;
/// three seconds spans one lost SYN and its retransmission (RFC 6298 starts at one second).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Opens outbound sockets. Cheap to clone; clones share the allow-list and the counts.
#[derive(Debug, Clone)]
pub struct Connector(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    allowed: AllowList,
    connect_timeout: Duration,
    dialled: Dialled,
}

impl Connector {
    pub fn new(allowed: AllowList) -> Self {
        Self::with_connect_timeout(allowed, CONNECT_TIMEOUT)
    }

    pub fn with_connect_timeout(allowed: AllowList, connect_timeout: Duration) -> Self {
        Self(Arc::new(Inner { allowed, connect_timeout, dialled: Dialled::default() }))
    }

    /// Connects to an address or a name inside the enclave, with `TCP_NODELAY` set: what is said here is requests and
    /// tokens, and waiting to fill a packet would only delay them.
    pub async fn tcp(&self, host: &str, port: u16) -> Result<TcpStream, ConnectError> {
        let destination = format!("tcp:{host}:{port}");
        self.counted(&destination, async {
            let addresses = self.checked_addresses(host, port).await?;
            self.dial_first(&destination, &addresses).await
        })
        .await
    }

    /// Connects to a Unix socket on this machine. A path leads nowhere else, so there is no list to ask; it is counted
    /// like the rest.
    #[expect(clippy::disallowed_methods, reason = "this is the one door")]
    pub async fn unix(&self, path: &Path) -> Result<UnixStream, ConnectError> {
        let destination = format!("unix:{}", path.display());
        self.counted(&destination, async {
            let dial_unix = |source| ConnectError::DialUnix { path: path.to_owned(), source };
            UnixStream::connect(path).await.map_err(dial_unix)
        })
        .await
    }

    /// [`Connector::unix`] for callers that have no runtime.
    #[expect(clippy::disallowed_methods, reason = "this is the one door")]
    pub fn unix_blocking(&self, path: &Path) -> Result<std::os::unix::net::UnixStream, ConnectError> {
        let destination = format!("unix:{}", path.display());
        let dialled = std::os::unix::net::UnixStream::connect(path)
            .map_err(|source| ConnectError::DialUnix { path: path.to_owned(), source });
        self.count(&destination, dialled.as_ref().err());
        dialled
    }

    /// What was dialled and refused since the process started.
    pub fn report(&self) -> DialReport {
        DialReport { allowed: self.0.allowed.to_string(), destinations: self.0.dialled.snapshot() }
    }

    pub fn allow_list(&self) -> &AllowList {
        &self.0.allowed
    }

    async fn counted<T>(
        &self,
        destination: &str,
        dialling: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        let dialled = dialling.await;
        self.count(destination, dialled.as_ref().err());
        dialled
    }

    fn count(&self, destination: &str, error: Option<&ConnectError>) {
        let outcome = match error {
            None => Outcome::Connected,
            Some(error) if error.is_refusal() => {
                tracing::warn!(destination, %error, "refused to leave the enclave");
                Outcome::Refused
            }
            Some(_) => Outcome::Failed,
        };
        self.0.dialled.count(destination, outcome);
    }

    /// The addresses that may be dialled for `host`: all of them were checked, and no resolver is asked again.
    async fn checked_addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
        let allowed = &self.0.allowed;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse::<IpAddr>() {
            if !allowed.allows_address(address) {
                return Err(ConnectError::AddressOutside { address, allowed: allowed.to_string() });
            }
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        if !is_host_name(host) {
            return Err(ConnectError::NotAHost { found: host.chars().take(100).collect() });
        }
        if !allowed.allows_name(host) {
            return Err(ConnectError::NameOutside { name: host.to_owned(), allowed: allowed.to_string() });
        }
        let addresses = self.resolve(host, port).await?;
        match addresses.iter().find(|address| !allowed.allows_address(address.ip())) {
            Some(outside) => Err(ConnectError::ResolvedOutside {
                name: host.to_owned(),
                address: outside.ip(),
                allowed: allowed.to_string(),
            }),
            None => Ok(addresses),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one door; the name was found inside the allow-list"
    )]
    async fn resolve(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
        let resolving = tokio::net::lookup_host((name, port));
        let found = self.within_timeout(&format!("the resolver, for `{name}`"), resolving).await?;
        let addresses: Vec<SocketAddr> =
            found.map_err(|source| ConnectError::Resolve { name: name.to_owned(), source })?.collect();
        if addresses.is_empty() {
            return Err(ConnectError::NoAddress { name: name.to_owned() });
        }
        Ok(addresses)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one door; every address was found inside the allow-list"
    )]
    async fn dial_first(
        &self,
        destination: &str,
        addresses: &[SocketAddr],
    ) -> Result<TcpStream, ConnectError> {
        let mut last = ConnectError::Dial {
            destination: destination.to_owned(),
            source: io::Error::from(io::ErrorKind::AddrNotAvailable),
        };
        for address in addresses {
            let dial = |source| ConnectError::Dial { destination: destination.to_owned(), source };
            match self.within_timeout(destination, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true).map_err(dial)?;
                    return Ok(stream);
                }
                Ok(Err(source)) => last = dial(source),
                Err(timeout) => last = timeout,
            }
        }
        Err(last)
    }

    async fn within_timeout<T>(
        &self,
        destination: &str,
        doing: impl Future<Output = T>,
    ) -> Result<T, ConnectError> {
        let after = self.0.connect_timeout;
        tokio::time::timeout(after, doing)
            .await
            .map_err(|_| ConnectError::Timeout { destination: destination.to_owned(), after })
    }
}

/// Letters, digits and hyphens between dots, and at least one letter: `1.2.3` and `0x7f.1` look like names but some
/// resolvers read them as addresses, past the allow-list's check of addresses.
fn is_host_name(host: &str) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    let last = name.rsplit('.').next().unwrap_or_default();
    let numeric = last.starts_with(|c: char| c.is_ascii_digit());
    name.len() <= 253 && !numeric && name.split('.').all(is_label)
}
