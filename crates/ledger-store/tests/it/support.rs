//! What the tests share: a ledger in a folder, records to recognise, this test binary as another process.

use hermetic_clock::Clock;
use hermetic_connector::{AllowList, Connector};
use hermetic_keys::SigningKey;
use hermetic_ledger::{Event, Record, VerifierKey};
use hermetic_ledger_store::{Ledger, LedgerOptions, OpenError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

pub(crate) const ORIGIN: &str = "enclave.test/ledger";
/// Asked for; the ledger makes it the smallest it allows, so that tests see many segments.
const SEGMENT_BYTES: u64 = 1;

/// Says to a process started from this binary which part it plays, and where.
pub(crate) const ROLE: &str = "HERMETIC_LEDGER_TEST_ROLE";
pub(crate) const PLACE: &str = "HERMETIC_LEDGER_TEST_PLACE";

pub(crate) fn options(place: &Path) -> LedgerOptions {
    let key = Arc::new(SigningKey::load_or_generate(&place.join("keys/ledger.pem")).unwrap());
    let connector = Connector::new(AllowList::loopback());
    let mut options = LedgerOptions::new(place.join("ledger"), ORIGIN, key, Clock::system(), connector);
    options.last_signed = place.join("keys/last-signed");
    options.segment_bytes = SEGMENT_BYTES;
    options.checkpoint_interval = Duration::from_millis(20);
    options
}

pub(crate) fn open(place: &Path) -> Ledger {
    Ledger::open(options(place)).unwrap()
}

pub(crate) fn open_error(place: &Path) -> OpenError {
    Ledger::open(options(place)).unwrap_err()
}

pub(crate) fn verifier(place: &Path) -> VerifierKey {
    let key = SigningKey::load_or_generate(&place.join("keys/ledger.pem")).unwrap();
    VerifierKey::new(ORIGIN, *key.public().as_bytes()).unwrap()
}

/// A record that carries `mark` and about `bytes` of filling.
pub(crate) fn record(mark: &str, bytes: usize) -> Record {
    let reason = format!("{mark} {}", "x".repeat(bytes));
    Record::new(1_795_399_200_000, Event::ServiceStopped { reason })
}

pub(crate) fn holds(leaf: &[u8], mark: &str) -> bool {
    let text = String::from_utf8_lossy(leaf);
    text.contains(&format!("\"{mark} "))
}

/// This binary again, as another process that runs one test function in a role.
pub(crate) fn play(role: &str, test: &str, place: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(ROLE, role).env(PLACE, place).stdout(Stdio::piped()).stderr(Stdio::inherit());
    command
}

/// The place this process plays `role` at; `None` when it plays none.
pub(crate) fn role(name: &str) -> Option<PathBuf> {
    (std::env::var_os(ROLE)? == name).then(|| std::env::var_os(PLACE).map(PathBuf::from))?
}

/// A sequence of numbers that look random and are the same in every run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
