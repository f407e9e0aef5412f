//! The ledger as the rest of Hermetic holds it: the same whether this process writes or hands over to the one that does.

use crate::error::{AppendError, OpenError, ReadError};
use crate::forward::client::Remote;
use crate::layout::Layout;
use crate::local::Local;
use crate::options::LedgerOptions;
use crate::pending::{Appended, Outcome, PendingAppend, block_on};
use crate::queue::{Job, Queue, Taken, Work};
use crate::shared::Health;
use crate::snapshot::Snapshot;
use crate::window::Window;
use hermetic_bounded_io::{FileLock, Mode, create_folders};
use hermetic_ledger::{Record, TreeHash};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How often, and how long apart, a lock that is held without anybody answering is tried again: another process is just
/// starting or stopping. 200 × 25 ms.
const ATTEMPTS: u32 = 200;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(25);

/// A handle on the ledger. Cheap to clone; when the last handle goes, what waits is written and signed.
#[derive(Debug, Clone)]
pub struct Ledger {
    dir: PathBuf,
    end: End,
}

#[derive(Debug, Clone)]
enum End {
    Here(Arc<Local>),
    Elsewhere(Arc<Remote>),
}

impl Ledger {
    /// Takes the ledger's lock and recovers it or, when another process holds the lock, connects to that process.
    /// Blocks on the disk.
    pub fn open(options: LedgerOptions) -> Result<Self, OpenError> {
        let layout = Layout::new(&options.dir);
        let dir = options.dir.clone();
        let file = |source| OpenError::File { dir: dir.clone(), source };
        create_folders(&layout.wal(), Mode::Private).map_err(file)?;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            if let Some(lock) = FileLock::try_exclusive(&layout.lock()).map_err(file)? {
                let local = Local::start(layout, options, lock)?;
                return Ok(Self { dir, end: End::Here(Arc::new(local)) });
            }
            match Remote::connect(&layout, &options) {
                Ok(remote) => return Ok(Self { dir, end: End::Elsewhere(Arc::new(remote)) }),
                Err(error) => last = Some(error),
            }
            // Not a wait for a duration but for another process, which has no way to call us.
            std::thread::park_timeout(BETWEEN_ATTEMPTS);
        }
        Err(last.unwrap_or(OpenError::Thread(std::io::ErrorKind::TimedOut.into())))
    }

    fn queue(&self) -> &Queue {
        match &self.end {
            End::Here(local) => local.queue(),
            End::Elsewhere(remote) => remote.queue(),
        }
    }

    /// Puts a record in line; never blocks. The record's place among all is decided here. When too many wait, it is
    /// refused: see [`Ledger::append`].
    pub fn submit(&self, record: &Record) -> PendingAppend {
        match job(record) {
            Ok((job, pending)) => match self.queue().push(Work::Append(job)) {
                Ok(place) => pending.at(place),
                Err((_, error)) => PendingAppend::refused(error),
            },
            Err(error) => PendingAppend::refused(error),
        }
    }

    /// Puts a record in line without waiting for the disk: what is returned resolves at once. A crash, and a disk that
    /// fails or fills, may lose the record, and with it no more than `window` allows: when so much is on its way
    /// already, it is waited for as with [`Ledger::submit`]. So it is while the disk is full, and in a process that does
    /// not write.
    pub fn submit_within(&self, record: &Record, window: &Window) -> PendingAppend {
        let End::Here(local) = &self.end else { return self.submit(record) };
        match local.shared().health() {
            Health::Writing => {}
            // Somebody has to try, or it would never be noticed that there is room again.
            Health::Full => return self.submit(record),
            Health::Failed(error) => return PendingAppend::refused(AppendError::Failed(error)),
        }
        let taken = encoded(record)
            .and_then(|(record, leaf)| local.queue().push_within(Job::new(record, leaf, None), window));
        match taken {
            Ok(Taken::Within(place)) => PendingAppend::taken(place),
            Ok(Taken::Outside(place, answer)) => PendingAppend::waiting(answer).at(Some(place)),
            Err(error) => PendingAppend::refused(error),
        }
    }

    /// Appends a record and waits until it is durable; when too many wait, first waits in front of the line.
    pub async fn append(&self, record: &Record) -> Result<Appended, AppendError> {
        let (job, pending) = job(record)?;
        self.queue().push_when_room(Work::Append(job)).await.map_err(|(_, error)| error)?;
        pending.await
    }

    /// [`Ledger::append`] for callers outside a runtime.
    pub fn append_blocking(&self, record: &Record) -> Result<Appended, AppendError> {
        block_on(self.append(record))
    }

    /// Signs for every record that is durable by now and returns the signed size. Blocks.
    pub fn checkpoint(&self) -> Result<u64, AppendError> {
        let (done, answer) = oneshot::channel::<Outcome<u64>>();
        block_on(async {
            self.queue().push_when_room(Work::Checkpoint(done)).await.map_err(|(_, error)| error)?;
            answer.await.unwrap_or(Err(AppendError::Closed))
        })
    }

    /// The ledger as signed, with everything that is durable by now. Blocks.
    pub fn snapshot(&self) -> Result<Snapshot, ReadError> {
        self.checkpoint().map_err(ReadError::Append)?;
        Snapshot::latest(&self.dir)
    }

    /// The ledger up to its newest checkpoint, which may be an interval old; works also when nothing can be written.
    pub fn latest(&self) -> Result<Snapshot, ReadError> {
        Snapshot::latest(&self.dir)
    }

    /// The bytes of a record; signs first when the record is newer than the newest checkpoint. Blocks.
    pub fn read(&self, index: u64) -> Result<Vec<u8>, ReadError> {
        self.covering(index)?.read(index)
    }

    /// The proof of a record; signs first when the record is newer than the newest checkpoint. Blocks.
    pub fn prove(&self, index: u64) -> Result<hermetic_ledger::ProofFile, ReadError> {
        self.covering(index)?.prove(index)
    }

    fn covering(&self, index: u64) -> Result<Snapshot, ReadError> {
        let latest = self.latest()?;
        if index < latest.size() { Ok(latest) } else { self.snapshot() }
    }

    /// Records that are durable. Where another process writes: that are signed for.
    pub fn size(&self) -> u64 {
        match &self.end {
            End::Here(local) => local.shared().size(),
            End::Elsewhere(_) => self.latest().map_or(0, |latest| latest.size()),
        }
    }

    /// Records that are signed for and readable.
    pub fn published(&self) -> u64 {
        match &self.end {
            End::Here(local) => local.shared().published(),
            End::Elsewhere(_) => self.size(),
        }
    }

    /// Whether records are being taken. Where another process writes: as far as the last answer told.
    pub fn health(&self) -> Health {
        match &self.end {
            End::Here(local) => local.shared().health(),
            End::Elsewhere(_) => Health::Writing,
        }
    }

    /// Batches synced since the start; zero where another process writes.
    pub fn batches(&self) -> u64 {
        match &self.end {
            End::Here(local) => local.shared().batches(),
            End::Elsewhere(_) => 0,
        }
    }

    /// Whether this process writes.
    pub fn is_writer(&self) -> bool {
        matches!(self.end, End::Here(_))
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Takes no more records, writes what waits, signs for it, lets go of the lock. Blocks; other handles are refused
    /// from here on.
    pub fn close(&self) {
        match &self.end {
            End::Here(local) => local.close(),
            End::Elsewhere(remote) => remote.close(),
        }
    }
}

/// Serialises and hashes on the caller's thread.
fn job(record: &Record) -> Result<(Job, PendingAppend), AppendError> {
    let (record, leaf) = encoded(record)?;
    let (done, answer) = oneshot::channel();
    Ok((Job::new(record, leaf, Some(done)), PendingAppend::waiting(answer)))
}

fn encoded(record: &Record) -> Result<(Vec<u8>, TreeHash), AppendError> {
    let record = record.encode().map_err(|error| AppendError::Record(Arc::new(error)))?;
    let leaf = TreeHash::leaf(&record);
    Ok((record, leaf))
}
