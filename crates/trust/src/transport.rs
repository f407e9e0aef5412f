//! What `tough` reads the bundle through: one folder, capped, no links, every file remembered.
//!
//! A file that is there but cannot be read must not look like a file that is not there: `tough` takes a missing
//! `N.root.json` for the end of the root chain, and an attacker who damages the newest root would keep old keys alive.

use hermetic_bounded_io::{FileError, read_capped};
use hermetic_bundle::limits::METADATA_BYTES_MAX;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tough::{Bytes, Transport, TransportError, TransportErrorKind, TransportStream};
use url::Url;

/// Reads `<folder>/<name>` for a URL that ends in `<name>`.
#[derive(Debug, Clone)]
pub(crate) struct FolderTransport {
    folder: PathBuf,
    seen: Arc<Mutex<Seen>>,
}

/// What was asked for, and what could not be read.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) files: Vec<(String, Bytes)>,
    pub(crate) missing: Vec<String>,
    pub(crate) failure: Option<(String, FileError)>,
}

impl FolderTransport {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, seen: Arc::default() }
    }

    pub(crate) fn take_seen(&self) -> Seen {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn read(&self, url: &Url) -> Result<Bytes, TransportErrorKind> {
        let name = url.path_segments().and_then(Iterator::last).unwrap_or_default().to_owned();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
            seen.missing.push(name);
            return Err(TransportErrorKind::FileNotFound);
        }
        match read_capped(&self.folder.join(&name), METADATA_BYTES_MAX) {
            Ok(bytes) => {
                let bytes = Bytes::from(bytes);
                seen.files.push((name, bytes.clone()));
                Ok(bytes)
            }
            Err(error) if error.is_not_found() => {
                seen.missing.push(name);
                Err(TransportErrorKind::FileNotFound)
            }
            Err(error) => {
                seen.failure = Some((name, error));
                Err(TransportErrorKind::Other)
            }
        }
    }
}

#[tough::async_trait]
impl Transport for FolderTransport {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        let item = match self.read(&url) {
            Ok(bytes) => Ok(bytes),
            Err(TransportErrorKind::FileNotFound) => {
                return Err(TransportError::new(TransportErrorKind::FileNotFound, url));
            }
            // Inside the stream, where `tough` reports it, not here, where it would end the root chain in silence.
            Err(kind) => Err(TransportError::new(kind, url)),
        };
        Ok(Box::pin(futures_util::stream::iter([item])))
    }
}
