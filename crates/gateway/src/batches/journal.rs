//! The journal of one batch: which lines have a result, and what it is.
//!
//! One task writes. What comes in while the disk is busy is written together and synced once.

use crate::batches::store::Batches;
use bytes::Bytes;
use hermetic_batches::{Usage, usage_of};
use hermetic_content_store::{ContentError, Place, SealedReader, SealedWriter};
use hermetic_ids::{BatchId, RequestId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use tokio::sync::{mpsc, oneshot};

/// What may wait to be written: more than there are lines in flight.
const WAITING_MAX: usize = 256;

/// What is written of a line, before the bytes of its result.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Note {
    /// Answered; a result once the request is settled as such.
    Answer { line: u64, request: RequestId, admitted: u64, status: u16 },
    /// Refused, or failed for good: a result.
    Refusal { line: u64, request: RequestId, status: u16 },
    /// The request is settled, and its answer is the result of its line.
    Confirmed { request: RequestId },
    /// The answer to this request is not a result.
    Dropped { request: RequestId },
}

/// Where a result stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) request: RequestId,
    pub(crate) status: u16,
    /// Tokens the answer says it used.
    pub(crate) usage: Usage,
    log: u32,
    place: Place,
}

/// An answer of which the journal alone does not say whether it is a result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doubtful {
    pub(crate) line: u64,
    pub(crate) admitted: u64,
    pub(crate) kept: Kept,
}

/// What the logs say.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) results: BTreeMap<u64, Kept>,
    pub(crate) doubtful: Vec<Doubtful>,
    /// What the ledger said of those that were, to be written down.
    pub(crate) judged: Vec<(RequestId, bool)>,
    /// The number of the log that is written next.
    next_log: u32,
}

/// Reads the logs there are. Blocks.
pub(crate) fn read(batches: &Batches, batch: BatchId) -> Result<Found, ContentError> {
    let mut found = Found::default();
    let mut answers: HashMap<RequestId, Doubtful> = HashMap::new();
    for log in batches.logs(batch)? {
        found.next_log = log + 1;
        let mut reader = match batches.read_log(batch, log) {
            Ok(reader) => reader,
            // Killed before its head was written: nothing rests on it.
            Err(ContentError::DamagedFile { .. }) => continue,
            Err(error) => return Err(error),
        };
        while let Some((place, piece)) = reader.entry()? {
            let Some((note, body)) = open(&piece) else { continue };
            match note {
                Note::Answer { line, request, admitted, status } => {
                    let kept = Kept { request, status, usage: usage_of(body), log, place };
                    answers.insert(request, Doubtful { line, admitted, kept });
                }
                Note::Refusal { line, request, status } => {
                    let usage = Usage::default();
                    found.results.insert(line, Kept { request, status, usage, log, place });
                }
                Note::Confirmed { request } => {
                    if let Some(Doubtful { line, kept, .. }) = answers.remove(&request) {
                        found.results.insert(line, kept);
                    }
                }
                Note::Dropped { request } => drop(answers.remove(&request)),
            }
        }
        if reader.rest() > 0 {
            tracing::warn!(%batch, log, bytes = reader.rest(), "a journal ends in bytes that were not written whole");
        }
    }
    found.doubtful = answers.into_values().collect();
    Ok(found)
}

/// Results by where they stand. Blocks.
#[derive(Debug)]
pub(crate) struct Results {
    batches: Batches,
    batch: BatchId,
    logs: HashMap<u32, SealedReader>,
}

impl Results {
    pub(crate) fn new(batches: Batches, batch: BatchId) -> Self {
        Self { batches, batch, logs: HashMap::new() }
    }

    /// The bytes of a result.
    pub(crate) fn at(&mut self, kept: &Kept) -> Result<Vec<u8>, ContentError> {
        let reader = match self.logs.entry(kept.log) {
            std::collections::hash_map::Entry::Occupied(reader) => reader.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(self.batches.read_log(self.batch, kept.log)?)
            }
        };
        let mut piece = reader.at(kept.place)?;
        let body = open(&piece).map(|(_, body)| piece.len() - body.len());
        let body = body.ok_or_else(|| ContentError::DamagedFile {
            name: format!("{} journal {}", self.batch, kept.log),
            found: "an entry of another kind",
        })?;
        Ok(piece.split_off(body))
    }
}

/// An entry's note and the bytes behind it.
fn open(piece: &[u8]) -> Option<(Note, &[u8])> {
    let end = memchr::memchr(b'\n', piece)?;
    let (note, body) = piece.split_at_checked(end + 1)?;
    Some((serde_json::from_slice(note).ok()?, body))
}

struct Append {
    note: Note,
    body: Bytes,
    /// Who waits until it is durable; `None`: nobody.
    done: Option<oneshot::Sender<Result<Kept, ContentError>>>,
}

/// Appends to the journal of a batch that runs. Cheap to clone; the writer ends when the last one is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Appending(mpsc::Sender<Append>);

impl Appending {
    /// The other end of it is [`write`].
    pub(crate) fn new(
        batches: Batches,
        batch: BatchId,
        found: &Found,
    ) -> (Self, impl Future<Output = ()> + use<>) {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        let log = Log { batches, batch, number: found.next_log, writer: None };
        (Self(sender), write(waiting, log))
    }

    /// Returns when the answer is durable.
    pub(crate) async fn answer(
        &self,
        (line, request, admitted): (u64, RequestId, u64),
        status: u16,
        body: Bytes,
    ) -> Result<Kept, ContentError> {
        self.durable(Note::Answer { line, request, admitted, status }, body).await
    }

    /// Returns when the refusal is durable.
    pub(crate) async fn refusal(
        &self,
        (line, request): (u64, RequestId),
        status: u16,
        body: Bytes,
    ) -> Result<Kept, ContentError> {
        self.durable(Note::Refusal { line, request, status }, body).await
    }

    /// Says what became of a request whose answer was kept. Nobody waits: if it is lost, the ledger is asked again.
    pub(crate) async fn judge(&self, request: RequestId, confirmed: bool) {
        let note = if confirmed { Note::Confirmed { request } } else { Note::Dropped { request } };
        let _ = self.0.send(Append { note, body: Bytes::new(), done: None }).await;
    }

    async fn durable(&self, note: Note, body: Bytes) -> Result<Kept, ContentError> {
        let gone = ContentError::Crypto { action: "write the journal: its writer has ended" };
        let (done, kept) = oneshot::channel();
        if self.0.send(Append { note, body, done: Some(done) }).await.is_err() {
            return Err(gone);
        }
        kept.await.unwrap_or(Err(gone))
    }
}

/// The log that is being written.
struct Log {
    batches: Batches,
    batch: BatchId,
    /// Of the log that is open, or of the next.
    number: u32,
    writer: Option<SealedWriter>,
}

async fn write(mut waiting: mpsc::Receiver<Append>, log: Log) {
    let mut log = Some(log);
    while let Some(first) = waiting.recv().await {
        let mut group = vec![first];
        while let Ok(more) = waiting.try_recv() {
            group.push(more);
        }
        let Some(mut writing) = log.take() else { return };
        let written = tokio::task::spawn_blocking(move || {
            let results = writing.write(&group);
            (writing, group, results)
        });
        // A thread that was lost took the log with it: what waits is told that the writer has ended.
        let Ok((writing, group, results)) = written.await else { return };
        log = Some(writing);
        for (append, result) in group.into_iter().zip(results) {
            if let Some(done) = append.done {
                let _ = done.send(result);
            }
        }
    }
}

impl Log {
    /// What became of each. After an error the log is left as it is and another is begun: nothing may follow what is
    /// half written.
    fn write(&mut self, group: &[Append]) -> Vec<Result<Kept, ContentError>> {
        let before = self.number;
        let mut results: Vec<_> = group.iter().map(|append| self.append(append)).collect();
        let awaited = group.iter().any(|append| append.done.is_some());
        if let Some(writer) = self.writer.as_mut().filter(|_| awaited)
            && let Err(error) = writer.sync()
        {
            tracing::error!(batch = %self.batch, %error, "the journal of a batch cannot be made durable");
            self.leave();
        }
        if self.number != before {
            // A log was left without a sync: of what went into it nobody knows whether it is durable.
            let unsynced = || ContentError::Crypto { action: "make the journal durable" };
            results.iter_mut().filter(|result| result.is_ok()).for_each(|result| *result = Err(unsynced()));
        }
        results
    }

    fn append(&mut self, append: &Append) -> Result<Kept, ContentError> {
        let mut piece = serde_json::to_vec(&append.note)
            .map_err(|_| ContentError::Crypto { action: "write an entry of a journal" })?;
        piece.push(b'\n');
        piece.extend_from_slice(&append.body);
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(self.batches.create_log(self.batch, self.number)?),
        };
        let appended = writer.append(&piece);
        if appended.is_err() {
            self.leave();
        }
        let place = appended?;
        let (request, status) = match append.note {
            Note::Answer { request, status, .. } | Note::Refusal { request, status, .. } => (request, status),
            Note::Confirmed { request } | Note::Dropped { request } => (request, 0),
        };
        let usage = if status == 0 { Usage::default() } else { usage_of(&append.body) };
        Ok(Kept { request, status, usage, log: self.number, place })
    }

    fn leave(&mut self) {
        self.writer = None;
        self.number += 1;
    }
}
