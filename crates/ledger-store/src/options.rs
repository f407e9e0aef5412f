//! How a ledger is opened.

use hermetic_clock::Clock;
use hermetic_connector::Connector;
use hermetic_keys::SigningKey;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What [`crate::Ledger::open`] needs to know. [`LedgerOptions::new`] fills in the rest.
#[derive(Debug, Clone)]
pub struct LedgerOptions {
    /// The folder `ledger/` of the state directory.
    pub dir: PathBuf,
    /// The log's name in its checkpoints: a schema-less URL such as `enclave.example/ledger`.
    pub origin: String,
    pub key: Arc<SigningKey>,
    /// Where the last signed size and root are kept. Keep it outside `dir`: then an old copy of `dir`, put back by
    /// mistake or on purpose, is noticed.
    pub last_signed: PathBuf,
    pub clock: Clock,
    /// Opens the socket to the process that writes, when that is another.
    pub connector: Connector,
    /// How often what is new is signed.
    pub checkpoint_interval: Duration,
    /// Size of a write-ahead segment. 32 MiB: re-hashed in well under a second at start, replaced about once a second
    /// at 30,000 records/s.
    pub segment_bytes: u64,
    /// Records that may wait to be written. 16,384 is several times what a gateway has in flight.
    pub queue_records: usize,
    /// Bytes that may wait to be written: what the queue may hold when records are large.
    pub queue_bytes: usize,
}

impl LedgerOptions {
    pub fn new(dir: PathBuf, origin: &str, key: Arc<SigningKey>, clock: Clock, connector: Connector) -> Self {
        Self {
            last_signed: dir.join("last-signed"),
            dir,
            origin: origin.to_owned(),
            key,
            clock,
            connector,
            checkpoint_interval: Duration::from_secs(1),
            segment_bytes: 32 << 20,
            queue_records: 16_384,
            queue_bytes: 64 << 20,
        }
    }
}
