//! Limits across a restart: what the ledger says was held and charged.
//!
//! ```text
//! counters.json (a fold, and the record it ends before) → the records after it → requests nobody settled: settled now
//! ```
//!
//! The ledger is the truth; the file only saves reading it from the beginning. A request that was admitted and not
//! settled belonged to a process that died. Nobody knows how far it came, so it is charged all it held, and a settling
//! record with the outcome `interrupted` says so: nothing is forgotten, and nothing is charged a second time, because
//! the next process finds it settled.

use crate::commitment::{CommitmentSecret, Salt};
use crate::stored::response_of;
use hermetic_bounded_io::{FileError, Mode, read_capped, write_atomic};
use hermetic_clock::Clock;
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_ids::RequestId;
use hermetic_ledger::record::{
    Event, LimitCharge, LimitHold, Outcome, Record, RecordError, RequestSettled, Usage,
};
use hermetic_ledger_store::{AppendError, Ledger, ReadError, Snapshot};
use hermetic_limits::{CounterId, Fold, Hold, OpenRequest, RuleSetError, Unit};
use hermetic_metadata::{Metadata, MetadataError};
use std::path::{Path, PathBuf};

/// Largest file of folded counters: a hundred thousand of them are about 50 MiB.
const FOLD_BYTES_MAX: u64 = 512 << 20;

/// Records in one bundle of the ledger (C2SP tlog-tiles).
const BUNDLE: u64 = 256;

/// Settling records written at the same time: they share the disk's syncs.
const WRITERS: usize = 32;

/// The counters as the ledger tells them, and the file they are written down in.
#[derive(Debug)]
pub struct LimitsOnRecord {
    fold: Fold,
    file: PathBuf,
    /// What the file ends before.
    written: u64,
}

/// Why the counters could not be read from the ledger.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    #[error("cannot read the ledger to find out what limits are left")]
    Ledger(#[source] ReadError),
    #[error("cannot settle the requests of the process before")]
    Settle(#[source] AppendError),
    #[error("expected record {index} to be of a kind this release knows, found another")]
    Record { index: u64, source: RecordError },
    #[error("expected a unit and a window this release knows in record {index}, found `{found}`")]
    Unit { index: u64, found: String },
    #[error("cannot write down the counters of the limits")]
    File(#[source] FileError),
    #[error("cannot take away the responses of requests that were interrupted")]
    Responses(#[source] MetadataError),
}

impl Diagnose for RecoverError {
    fn code(&self) -> Code {
        match self {
            Self::Ledger(source) => source.code(),
            Self::Settle(source) => source.code(),
            Self::Record { .. } | Self::Unit { .. } => Code::new("E0936"),
            Self::File(_) => Code::new("E0937"),
            Self::Responses(source) => source.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Ledger(source) => source.hint(),
            Self::Settle(source) => source.hint(),
            Self::Record { .. } | Self::Unit { .. } => {
                Some("a later release has written it: start that one, or a later one".to_owned())
            }
            Self::File(_) => {
                Some("see that the disk of the state directory has room and is writable".to_owned())
            }
            Self::Responses(source) => source.hint(),
        }
    }
}

/// Rules that contradict each other.
#[derive(Debug, thiserror::Error)]
#[error("expected limits that go together")]
pub struct RulesRefused(#[source] pub RuleSetError);

impl Diagnose for RulesRefused {
    fn code(&self) -> Code {
        Code::new("E0938")
    }
}

impl LimitsOnRecord {
    /// Begins with what `file` holds. One that is missing, damaged or ahead of the ledger is passed over: then
    /// [`LimitsOnRecord::advance`] reads the ledger from its beginning.
    /// `size`: the records of the ledger.
    pub fn open(file: PathBuf, size: u64) -> Self {
        let fold = read_fold(&file).filter(|fold| fold.next() <= size).unwrap_or_default();
        Self { written: fold.next(), fold, file }
    }

    pub fn fold(&self) -> &Fold {
        &self.fold
    }

    /// Reads the records that were signed for since the last call. Blocks on the disk.
    pub fn advance(&mut self, snapshot: &Snapshot) -> Result<(), RecoverError> {
        let mut time = 0;
        while self.fold.next() < snapshot.size() {
            let bundle = snapshot.bundle(self.fold.next() / BUNDLE).map_err(RecoverError::Ledger)?;
            let skip = usize::try_from(self.fold.next() % BUNDLE).unwrap_or(usize::MAX);
            for leaf in bundle.iter().skip(skip) {
                if self.fold.next() >= snapshot.size() {
                    break;
                }
                time = self.read(leaf)?.unwrap_or(time);
                self.fold.advance();
            }
        }
        if time > 0 {
            self.fold.prune(time);
        }
        Ok(())
    }

    /// Looks at one record; the time in it, if it was one about limits.
    fn read(&mut self, leaf: &[u8]) -> Result<Option<u64>, RecoverError> {
        if !speaks_of_limits(leaf) {
            return Ok(None);
        }
        let index = self.fold.next();
        let record = Record::decode(leaf).map_err(|source| RecoverError::Record { index, source })?;
        match record.event {
            Event::RequestAdmitted(admitted) => {
                let holds =
                    admitted.limits.iter().map(|hold| hold_of(hold, index)).collect::<Result<_, _>>()?;
                self.fold.admitted(admitted.request, holds);
            }
            Event::RequestSettled(settled) => {
                let charges: Vec<u64> = settled.charges.iter().map(|charge| charge.amount).collect();
                self.fold.settled(settled.request, &charges);
            }
            Event::LimitThreshold(event) => {
                let hold = hold_of(&event.hold, index)?;
                self.fold.crossed(&hold.counter, hold.slot, event.crossed);
            }
            _ => {}
        }
        Ok(Some(record.at_unix_ms))
    }

    /// Reads what was signed for since, and writes it down. Blocks; a record that waits for its signature waits for the
    /// next time.
    pub fn follow(&mut self, ledger: &Ledger) -> Result<(), RecoverError> {
        match ledger.latest() {
            Ok(snapshot) => self.advance(&snapshot)?,
            Err(ReadError::Empty { .. }) => {}
            Err(error) => return Err(RecoverError::Ledger(error)),
        }
        self.write()
    }

    /// Writes the counters down, if anything was read since. A crash leaves the file before or this one.
    pub fn write(&mut self) -> Result<(), RecoverError> {
        if self.written == self.fold.next() {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&self.fold).unwrap_or_default();
        write_atomic(&self.file, &bytes, Mode::Private).map_err(RecoverError::File)?;
        self.written = self.fold.next();
        Ok(())
    }
}

/// Reads what is on record and settles what the process before left open. Responses such requests left behind are taken
/// away before that: nobody was told to the end that they are kept. To be called by the ledger's writer before it serves;
/// blocks.
pub fn recover(
    ledger: &Ledger,
    file: PathBuf,
    commitments: &CommitmentSecret,
    clock: &Clock,
    metadata: &Metadata,
) -> Result<LimitsOnRecord, RecoverError> {
    let mut on_record = LimitsOnRecord::open(file, ledger.size());
    let Some(snapshot) = signed(ledger)? else { return Ok(on_record) };
    on_record.advance(&snapshot)?;
    let open: Vec<(RequestId, OpenRequest)> =
        on_record.fold.open().map(|(request, open)| (request, open.clone())).collect();
    if !open.is_empty() {
        tracing::warn!(requests = open.len(), "requests were interrupted; they are charged all they held");
        for (request, _) in &open {
            metadata.delete_response(response_of(*request)).map_err(RecoverError::Responses)?;
        }
        settle_interrupted(&open, (ledger, commitments, clock))?;
        if let Some(snapshot) = signed(ledger)? {
            on_record.advance(&snapshot)?;
        }
    }
    on_record.write()?;
    Ok(on_record)
}

/// The ledger with everything that is durable; `None` when nothing was ever recorded.
fn signed(ledger: &Ledger) -> Result<Option<Snapshot>, RecoverError> {
    match ledger.snapshot() {
        Ok(snapshot) => Ok(Some(snapshot)),
        Err(ReadError::Empty { .. }) => Ok(None),
        Err(error) => Err(RecoverError::Ledger(error)),
    }
}

fn settle_interrupted(
    open: &[(RequestId, OpenRequest)],
    (ledger, commitments, clock): (&Ledger, &CommitmentSecret, &Clock),
) -> Result<(), RecoverError> {
    let settle = |part: &[(RequestId, OpenRequest)]| {
        part.iter().try_for_each(|(request, open)| {
            let record = interrupted(*request, open, (commitments, clock));
            ledger.append_blocking(&record).map(|_| ()).map_err(RecoverError::Settle)
        })
    };
    std::thread::scope(|scope| {
        let parts = open.chunks(open.len().div_ceil(WRITERS).max(1));
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || settle(part))).collect();
        threads.into_iter().try_for_each(|thread| {
            // A thread that panicked wrote nothing that is not on record; the next start finds the rest.
            thread.join().unwrap_or(Err(RecoverError::Settle(AppendError::Closed)))
        })
    })
}

fn interrupted(
    request: RequestId,
    open: &OpenRequest,
    (commitments, clock): (&CommitmentSecret, &Clock),
) -> Record {
    // What had left of the answer is not known; this commits to nothing having left.
    let (answer, answer_bytes) = commitments.start(request, Salt::Answer).finish();
    let charge = |hold: &Hold| LimitCharge {
        rule: hold.counter.rule.to_string(),
        amount: if hold.counter.unit == Unit::Concurrent { 0 } else { hold.amount },
    };
    Record::new(
        clock.unix_millis(),
        Event::RequestSettled(RequestSettled {
            request,
            admitted: open.admitted,
            outcome: Outcome::Interrupted,
            // Nobody knows which status was given, if any.
            status: 0,
            usage: Usage::default(),
            verdicts: Vec::new(),
            answer,
            answer_bytes,
            finish_reason: None,
            first_byte_ms: None,
            total_ms: 0,
            content_kept: false,
            charges: open.holds.iter().map(charge).collect(),
            cut: false,
            attempts: Vec::new(),
            stored: None,
        }),
    )
}

/// Most records are about other things, or were written before there were limits: they need not be parsed.
fn speaks_of_limits(leaf: &[u8]) -> bool {
    [&b"\"request.admitted\""[..], b"\"request.settled\"", b"\"limit.threshold\""]
        .iter()
        .any(|kind| memchr::memmem::find(leaf, kind).is_some())
}

fn hold_of(hold: &LimitHold, index: u64) -> Result<Hold, RecoverError> {
    let unknown = |found: &str| RecoverError::Unit { index, found: found.chars().take(40).collect() };
    Ok(Hold {
        counter: CounterId {
            rule: hold.rule.as_str().into(),
            unit: hold.unit.parse().map_err(|_| unknown(&hold.unit))?,
            window: hold.window.parse().map_err(|_| unknown(&hold.window))?,
            scope: hold.scope.as_str().into(),
        },
        slot: hold.slot,
        amount: hold.amount,
    })
}

fn read_fold(file: &Path) -> Option<Fold> {
    let bytes = match read_capped(file, FOLD_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return None,
        Err(error) => {
            tracing::warn!(%error, "the counters that were written down cannot be read; the ledger is read instead");
            return None;
        }
    };
    let fold = serde_json::from_slice(&bytes);
    if let Err(error) = &fold {
        tracing::warn!(%error, "the counters that were written down are damaged; the ledger is read instead");
    }
    fold.ok()
}
