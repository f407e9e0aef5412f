//! `gateway.tls` as the rest of the program sees it.

use crate::wire::{self, ClientCertificates, CrlOverdue};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct GatewayTls {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// There whenever client certificates are asked for.
    pub client_ca: Option<PathBuf>,
    pub client_certificates: ClientCertificates,
    pub crl: Vec<PathBuf>,
    pub crl_overdue: CrlOverdue,
    pub handshake_timeout: Duration,
    pub handshakes: u32,
}

pub(super) fn convert(wire: &wire::Tls, base: &Path) -> GatewayTls {
    GatewayTls {
        certificate: base.join(&wire.certificate),
        key: base.join(&wire.key),
        client_ca: wire.client_ca.as_ref().map(|path| base.join(path)),
        client_certificates: wire.client_certificates,
        crl: wire.crl.iter().map(|path| base.join(&path.0)).collect(),
        crl_overdue: wire.crl_overdue,
        handshake_timeout: wire.handshake_timeout.get(),
        handshakes: wire.handshakes,
    }
}
