//! Which certificates count when an issuer is spoken with over `https`.

use hermetic_diagnostics::{Code, Diagnose};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// Why anchors cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AnchorsError {
    #[error("expected certificates in PEM, found something else")]
    Pem(#[source] rustls::pki_types::pem::Error),
    #[error("expected at least one certificate in PEM, found none")]
    Empty,
    #[error("expected the certificates of authorities, found one that cannot be an anchor of trust")]
    Anchor(#[source] rustls::Error),
    #[error("the TLS library offers no protocol version")]
    Protocol(#[source] rustls::Error),
}

impl Diagnose for AnchorsError {
    fn code(&self) -> Code {
        Code::new("E0979")
    }

    fn hint(&self) -> Option<String> {
        Some("`identity.trust_anchors` names a PEM file with the authorities of your issuers".to_owned())
    }
}

/// How issuers are spoken with, trusting these authorities (PEM) and no others: none are built in.
pub fn issuer_tls(pem: &[u8]) -> Result<Arc<ClientConfig>, AnchorsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.map_err(AnchorsError::Pem)?).map_err(AnchorsError::Anchor)?;
    }
    if roots.is_empty() {
        return Err(AnchorsError::Empty);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(AnchorsError::Protocol)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
