//! One issuer's keys: where they come from, what is kept of them, when they are asked for again.
//!
//! Keys are usable as soon as they have been read once, from the issuer, from a file or from the copy on disk that the
//! last fetch left; an issuer that is away later costs nothing. A set that was fetched replaces the one before whole: a
//! key the issuer withdrew is not accepted any more.

use crate::token::fetch::{self, FetchError};
use crate::token::key_set::{KEY_SET_BYTES_MAX, KeySet, KeySetError};
use crate::token::settings::{IssuerSettings, KeySource};
use arc_swap::ArcSwap;
use hermetic_bounded_io::{FileError, Mode, read_named, write_atomic};
use hermetic_clock::Clock;
use hermetic_connector::Connector;
use hermetic_digest::Digest;
use rustls::ClientConfig;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use url::Url;

/// Least time between two fetches that unknown keys ask for: whoever invents key names must not make us knock at the
/// issuer's door.
pub const ASK_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Time until the next try when a fetch failed.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// How often a key file is looked at.
const FILE_EVERY: Duration = Duration::from_secs(1);

const DISCOVERY_BYTES_MAX: usize = 64 << 10;

/// What fetching needs.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) connector: Connector,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) clock: Clock,
}

#[derive(Debug)]
pub(crate) struct IssuerKeys {
    source: KeySource,
    issuer: String,
    every: Duration,
    /// Where the last set that was fetched is kept.
    copy: Option<PathBuf>,
    keys: ArcSwap<State>,
    asking: Mutex<Asking>,
}

/// The keys in force. `number` counts changes; 0: nothing has been read yet.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) number: u64,
    pub(crate) keys: KeySet,
    digest: Option<Digest>,
}

/// Times on the monotonic clock.
#[derive(Debug, Default)]
struct Asking {
    /// When the next fetch of the usual round is due.
    due: Duration,
    /// When an unknown key last asked.
    asked: Option<Duration>,
}

/// Why keys were not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    #[error("the discovery document cannot be fetched")]
    Discovery(#[source] FetchError),
    #[error("expected a discovery document of the issuer `{expected}`, found another document")]
    OtherIssuer { expected: String },
    #[error("the key set cannot be fetched")]
    Fetch(#[source] FetchError),
    #[error("the key file cannot be read")]
    File(#[source] FileError),
    #[error("the key set cannot be used")]
    Set(#[source] KeySetError),
}

#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    jwks_uri: String,
}

impl IssuerKeys {
    /// Begins with the copy on disk, where there is one. `folder`: where copies are kept.
    pub(crate) fn open(settings: &IssuerSettings, folder: &Path) -> Self {
        let copy = match &settings.keys {
            KeySource::File(_) => None,
            KeySource::Discovery(_) | KeySource::Uri(_) => {
                let name = hex::encode(Digest::of(settings.issuer.as_bytes()).as_bytes());
                Some(folder.join(format!("keys-{name}.json")))
            }
        };
        let keys = Self {
            source: settings.keys.clone(),
            issuer: settings.issuer.clone(),
            every: settings.refresh,
            copy,
            keys: ArcSwap::from_pointee(State::default()),
            asking: Mutex::new(Asking::default()),
        };
        keys.take_copy();
        keys
    }

    pub(crate) fn state(&self) -> arc_swap::Guard<Arc<State>> {
        self.keys.load()
    }

    /// A copy that is missing is usual; one that cannot be read is said, and fetched anew.
    fn take_copy(&self) {
        let ((Some(path), _) | (None, KeySource::File(path))) = (&self.copy, &self.source) else { return };
        match read_named(path, KEY_SET_BYTES_MAX as u64) {
            Ok(bytes) => {
                if let Err(error) = self.take(&bytes) {
                    tracing::warn!(issuer = self.issuer, %error, "the kept keys of an issuer cannot be used");
                }
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => tracing::warn!(issuer = self.issuer, %error, "an issuer's keys cannot be read"),
        }
    }

    /// Puts a set in force. `false` when it is the one in force.
    fn take(&self, bytes: &[u8]) -> Result<bool, SourceError> {
        let digest = Some(Digest::of(bytes));
        let before = self.keys.load();
        if before.digest == digest {
            return Ok(false);
        }
        let keys = KeySet::read(bytes).map_err(SourceError::Set)?;
        // Another spelling of the same keys changes nothing for those who hold tokens.
        let changed = before.number == 0 || before.keys != keys;
        let number = before.number + u64::from(changed);
        self.keys.store(Arc::new(State { number, keys, digest }));
        Ok(changed)
    }

    /// Reads the keys again if it is time to.
    pub(crate) async fn look(&self, door: &Door) {
        let mut asking = self.asking.lock().await;
        let now = door.clock.monotonic();
        if now < asking.due {
            return;
        }
        let read = self.read(door).await;
        let wait = match (&self.source, read) {
            (KeySource::File(_), _) => FILE_EVERY,
            (_, true) => self.every,
            (_, false) => RETRY_AFTER.min(self.every),
        };
        asking.due = now.saturating_add(wait);
    }

    /// Reads the keys again because a token names one that is not known, unless that happened a moment ago.
    pub(crate) async fn ask_again(&self, door: &Door) {
        let before = self.keys.load().number;
        let mut asking = self.asking.lock().await;
        // Whoever held the lock before us may have brought the key.
        if self.keys.load().number != before {
            return;
        }
        let now = door.clock.monotonic();
        if asking.asked.is_some_and(|asked| now < asked.saturating_add(ASK_AGAIN_AFTER)) {
            return;
        }
        asking.asked = Some(now);
        self.read(door).await;
    }

    async fn read(&self, door: &Door) -> bool {
        let read = match &self.source {
            KeySource::File(path) => self.read_file(path).await,
            KeySource::Uri(uri) => self.fetch(door, uri).await,
            KeySource::Discovery(document) => self.discover(door, document).await,
        };
        match read {
            Ok(true) => {
                tracing::info!(issuer = self.issuer, "an issuer's keys changed");
                true
            }
            Ok(false) => true,
            Err(error) => {
                let causes = chain(&error);
                tracing::warn!(
                    issuer = self.issuer,
                    causes,
                    "an issuer's keys cannot be read; the old ones stay"
                );
                false
            }
        }
    }

    async fn read_file(&self, path: &Path) -> Result<bool, SourceError> {
        let path = path.to_owned();
        let read = tokio::task::spawn_blocking(move || read_named(&path, KEY_SET_BYTES_MAX as u64)).await;
        match read {
            Ok(bytes) => self.take(&bytes.map_err(SourceError::File)?),
            // The runtime ends: nothing is read any more.
            Err(_) => Ok(false),
        }
    }

    async fn discover(&self, door: &Door, document: &Url) -> Result<bool, SourceError> {
        let bytes = fetch::get(&door.connector, door.tls.as_ref(), document, DISCOVERY_BYTES_MAX).await;
        let other = || SourceError::OtherIssuer { expected: self.issuer.clone() };
        let discovered: Discovered =
            serde_json::from_slice(&bytes.map_err(SourceError::Discovery)?).map_err(|_| other())?;
        // OpenID Connect Discovery §4.3: byte for byte, or one issuer could speak for another.
        if discovered.issuer != self.issuer {
            return Err(other());
        }
        let uri: Url = discovered.jwks_uri.parse().map_err(|_| SourceError::Discovery(FetchError::Url))?;
        self.fetch(door, &uri).await
    }

    async fn fetch(&self, door: &Door, uri: &Url) -> Result<bool, SourceError> {
        let bytes = fetch::get(&door.connector, door.tls.as_ref(), uri, KEY_SET_BYTES_MAX).await;
        let bytes = bytes.map_err(SourceError::Fetch)?;
        let changed = self.take(&bytes)?;
        if let (true, Some(path)) = (changed, self.copy.clone()) {
            let kept = tokio::task::spawn_blocking(move || write_atomic(&path, &bytes, Mode::Private)).await;
            if let Ok(Err(error)) = kept {
                tracing::warn!(issuer = self.issuer, %error, "an issuer's keys could not be kept for later");
            }
        }
        Ok(changed)
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    hermetic_diagnostics::chain(error).join(": ")
}
