//! TLS on the listener: handshakes, and the certificates they are made with, which are swapped while serving.
//!
//! What it must not know: whom a certificate stands for (`hermetic-identity`).
//!
//! Invariants: what is put in force fits together (pair, chain, dates, signed revocation lists) or the old material
//! stays and the log says so; a connection is judged again under new material, not only when it is made; sessions are
//! not resumed, because a resumed one would skip the check of the certificate.

mod handshake;
mod material;
mod witness;

pub(crate) use handshake::accept;
pub use material::{ClientAuthentication, OverdueLists, TlsError, TlsFiles};
pub(crate) use witness::{Seen, refusal_of};

use arc_swap::ArcSwap;
use hermetic_bounded_io::FileStamp;
use hermetic_clock::Clock;
use material::Material;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often the files are looked at, and so how long a certificate that a new list revokes still works.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The listener's TLS. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: TlsFiles,
    limits: TlsLimits,
    clock: Clock,
    material: ArcSwap<Material>,
    /// The files as they were when they were last read, whether or not that was put in force.
    tried: Mutex<Vec<Option<FileStamp>>>,
    handshakes: AtomicUsize,
}

/// What a handshake may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsLimits {
    /// Time for a handshake. Default 10 s: a slow line needs two; ends connections that trickle.
    pub handshake_timeout: Duration,
    /// Handshakes in flight; one more connection is closed. Default 256: a handshake is a few signatures, and what
    /// waits longer than the timeout is lost anyway.
    pub handshakes_max: usize,
}

impl Default for TlsLimits {
    fn default() -> Self {
        Self { handshake_timeout: Duration::from_secs(10), handshakes_max: 256 }
    }
}

impl Tls {
    /// Reads the material. Blocking.
    pub fn open(files: TlsFiles, limits: TlsLimits, clock: Clock) -> Result<Self, TlsError> {
        let stamps = files.stamps()?;
        let material = ArcSwap::from_pointee(Material::read(&files, &clock, 1)?);
        let handshakes = AtomicUsize::new(0);
        Ok(Self(Arc::new(Inner { files, limits, clock, material, tried: Mutex::new(stamps), handshakes })))
    }

    /// Reads the material again if a file changed. What does not fit together changes nothing. `true`: it was swapped.
    /// Blocking.
    pub fn look(&self) -> Result<bool, TlsError> {
        let inner = &*self.0;
        let stamps = inner.files.stamps()?;
        let mut tried = inner.tried.lock().unwrap_or_else(PoisonError::into_inner);
        if *tried == stamps {
            return Ok(false);
        }
        // Also when it fails: the same files are complained about once.
        *tried = stamps;
        let number = inner.material.load().number + 1;
        inner.material.store(Arc::new(Material::read(&inner.files, &inner.clock, number)?));
        Ok(true)
    }

    fn material(&self) -> arc_swap::Guard<Arc<Material>> {
        self.0.material.load()
    }

    /// Counts the material that was put in force.
    pub(crate) fn number(&self) -> u64 {
        self.material().number
    }

    /// Judges a certificate that was shown before under the material in force now.
    pub(crate) fn judge(&self, seen: &Seen) -> Result<(), hermetic_identity::CertificateRefusal> {
        seen.judge(self.material().clients.as_ref(), self.0.clock.unix_millis())
    }
}
