//! Certificates, key, authorities and revocation lists, read from files and judged together before they are put in
//! force.

use hermetic_bounded_io::{FileError, FileStamp, read_named, stamp};
use hermetic_clock::{Clock, UnixMillis, rfc3339};
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_identity::{CertificateFacts, CertificateForm, RevocationList};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A chain, or the authorities of a large enclave, is a few dozen KiB.
const PEM_BYTES_MAX: u64 = 1 << 20;
/// Lists of large authorities have hundreds of thousands of entries of about 40 bytes.
const LIST_BYTES_MAX: u64 = 64 << 20;

/// Where the material is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: this service's certificate, then those between it and its authority.
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub clients: ClientAuthentication,
}

/// Whether, and by whose word, callers are known by certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientAuthentication {
    Off,
    On {
        /// PEM.
        authorities: PathBuf,
        /// Without a certificate there is no connection.
        required: bool,
        /// PEM or DER. With any, every certificate below the authorities must be covered.
        lists: Vec<PathBuf>,
        overdue: OverdueLists,
    },
}

/// What a list that is past its next update is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverdueLists {
    Refuse,
    Accept,
}

/// Why material cannot be put in force.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read the TLS files")]
    File(#[source] FileError),
    #[error("expected PEM in `{path}`", path = path.display())]
    Pem { path: PathBuf, source: pem::Error },
    #[error("expected a certificate in `{path}`, found none", path = path.display())]
    Empty { path: PathBuf },
    #[error("expected certificates in `{path}`, found something else", path = path.display())]
    Form { path: PathBuf, source: CertificateForm },
    #[error("expected the key in `{key}` to belong to the certificate in `{certificate}`", key = key.display(), certificate = certificate.display())]
    Pair { key: PathBuf, certificate: PathBuf, source: rustls::Error },
    #[error("expected each certificate in `{path}` to be followed by its issuer's, found `{found}` after one of `{expected}`", path = path.display())]
    Chain { path: PathBuf, expected: String, found: String },
    #[error("expected certificates in force in `{path}`, found `{subject}`, which counts from {} to {}", rfc3339(*.from), rfc3339(*.to), path = path.display())]
    Dates { path: PathBuf, subject: String, from: UnixMillis, to: UnixMillis },
    #[error("expected an authority in `{path}`, found a certificate that cannot be one", path = path.display())]
    Authority { path: PathBuf, source: rustls::Error },
    #[error("expected the revocation list in `{path}` to be signed by its authority `{issuer}`", path = path.display())]
    ListSignature { path: PathBuf, issuer: String },
    #[error("the revocation lists cannot be used")]
    Verifier(#[source] VerifierBuilderError),
}

impl Diagnose for TlsError {
    fn code(&self) -> Code {
        Code::new("E0978")
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Pair { .. } => Some("replace both files; they are taken over when they fit".to_owned()),
            Self::Dates { .. } => Some("have the certificate renewed".to_owned()),
            _ => Some(
                "compare the files under `gateway.tls` with what `hermetic explain E0978` expects".to_owned(),
            ),
        }
    }
}

/// What handshakes are made with.
#[derive(Debug)]
pub(super) struct Material {
    /// Counts what was put in force.
    pub(super) number: u64,
    pub(super) own: Arc<SingleCertAndKey>,
    pub(super) provider: Arc<CryptoProvider>,
    /// `None`: callers are not asked for a certificate.
    pub(super) clients: Option<Arc<dyn ClientCertVerifier>>,
}

impl TlsFiles {
    pub(super) fn stamps(&self) -> Result<Vec<Option<FileStamp>>, TlsError> {
        let mut paths = vec![&self.certificate, &self.key];
        if let ClientAuthentication::On { authorities, lists, .. } = &self.clients {
            paths.push(authorities);
            paths.extend(lists);
        }
        paths.into_iter().map(|path| stamp(path).map_err(TlsError::File)).collect()
    }
}

impl Material {
    pub(super) fn read(files: &TlsFiles, clock: &Clock, number: u64) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let own = own_certificate(files, &provider, clock.unix_millis())?;
        let own = Arc::new(SingleCertAndKey::from(own));
        let clients = match &files.clients {
            ClientAuthentication::Off => None,
            ClientAuthentication::On { authorities, required, lists, overdue } => {
                let authorities = certificates(authorities)?;
                let lists = revocation_lists(lists, &authorities, clock.unix_millis())?;
                let builder = verifier(&files.clients, authorities, lists, &provider)?;
                let builder = if *required { builder } else { builder.allow_unauthenticated() };
                let builder = match overdue {
                    OverdueLists::Refuse => builder.enforce_revocation_expiration(),
                    OverdueLists::Accept => builder,
                };
                Some(builder.build().map_err(TlsError::Verifier)?)
            }
        };
        Ok(Self { number, own, provider, clients })
    }
}

fn verifier(
    clients: &ClientAuthentication,
    authorities: Vec<CertificateDer<'static>>,
    lists: Vec<CertificateRevocationListDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<rustls::server::ClientCertVerifierBuilder, TlsError> {
    let path = match clients {
        ClientAuthentication::On { authorities, .. } => authorities.clone(),
        ClientAuthentication::Off => PathBuf::new(),
    };
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority).map_err(|source| TlsError::Authority { path: path.clone(), source })?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    Ok(builder.with_crls(lists))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read_named(path, PEM_BYTES_MAX).map_err(TlsError::File)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let read = read.map_err(|source| TlsError::Pem { path: path.to_owned(), source })?;
    if read.is_empty() { Err(TlsError::Empty { path: path.to_owned() }) } else { Ok(read) }
}

/// The pair, with a chain in which each is followed by its issuer's, all of them in force.
fn own_certificate(
    files: &TlsFiles,
    provider: &CryptoProvider,
    now: UnixMillis,
) -> Result<CertifiedKey, TlsError> {
    let path = &files.certificate;
    let chain = certificates(path)?;
    let mut facts: Vec<CertificateFacts> = Vec::new();
    for certificate in &chain {
        let form = |source| TlsError::Form { path: path.clone(), source };
        facts.push(CertificateFacts::read(certificate).map_err(form)?);
    }
    if let Some(facts) = facts.iter().find(|facts| now < facts.not_before || now > facts.not_after) {
        let (subject, from, to) = (facts.subject.clone(), facts.not_before, facts.not_after);
        return Err(TlsError::Dates { path: path.clone(), subject, from, to });
    }
    for pair in facts.windows(2) {
        if let [below, above] = pair
            && below.issuer != above.subject
        {
            let (expected, found) = (below.issuer.clone(), above.subject.clone());
            return Err(TlsError::Chain { path: path.clone(), expected, found });
        }
    }
    let pem = read_named(&files.key, PEM_BYTES_MAX).map_err(TlsError::File)?;
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|source| TlsError::Pem { path: files.key.clone(), source })?;
    CertifiedKey::from_der(chain, key, provider).map_err(|source| TlsError::Pair {
        key: files.key.clone(),
        certificate: path.clone(),
        source,
    })
}

/// The lists, each signed by the authority it names where that one is among ours. Those of authorities in between are
/// checked when a chain brings their certificate.
fn revocation_lists(
    paths: &[PathBuf],
    authorities: &[CertificateDer<'static>],
    now: UnixMillis,
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let mut lists = Vec::new();
    for path in paths {
        let bytes = read_named(path, LIST_BYTES_MAX).map_err(TlsError::File)?;
        for der in ders_of(bytes, path)? {
            let form = |source| TlsError::Form { path: path.clone(), source };
            let list = RevocationList::read(&der).map_err(form)?;
            let mut named = authorities.iter().filter(|authority| list.is_of(authority)).peekable();
            if named.peek().is_some() && !named.any(|authority| list.is_signed_by(authority)) {
                return Err(TlsError::ListSignature { path: path.clone(), issuer: list.issuer() });
            }
            if let Some(due) = list.next_update().filter(|&due| due < now) {
                let (path, due) = (path.display(), rfc3339(due));
                tracing::warn!(%path, due, issuer = list.issuer(), "a revocation list is overdue");
            }
            lists.push(der);
        }
    }
    Ok(lists)
}

fn ders_of(bytes: Vec<u8>, path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    if !bytes.starts_with(b"-----") {
        return Ok(vec![CertificateRevocationListDer::from(bytes)]);
    }
    let read: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&bytes).collect();
    let read = read.map_err(|source| TlsError::Pem { path: path.to_owned(), source })?;
    if read.is_empty() { Err(TlsError::Empty { path: path.to_owned() }) } else { Ok(read) }
}
