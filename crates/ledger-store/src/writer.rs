//! The thread that makes records durable.
//!
//! ```text
//! take what waits → (new segment) → frames → one write → one fdatasync → acknowledge → hand to the publisher
//! ```
//!
//! For records somebody waits for there is no timer: while one batch is being synced the next one gathers. Whatever the
//! disk takes per sync, that is how many records share it. Records nobody waits for are gathered for a moment.

use crate::edge::Entry;
use crate::error::AppendError;
use crate::frame::{self, FrameHead, HEADER_BYTES};
use crate::handover::Sender;
use crate::layout::Layout;
use crate::publisher::Message;
use crate::queue::{Job, Queue, Serving, Work};
use crate::segment::{Segment, SegmentHead};
use crate::shared::Shared;
use hermetic_bounded_io::FileError;
use hermetic_clock::Clock;
use hermetic_ledger::{Event, Frontier, Record, TreeHash};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) layout: Layout,
    pub(crate) segment_bytes: u64,
    pub(crate) segment: Segment,
    pub(crate) frontier: Frontier,
    pub(crate) next_batch: u64,
    pub(crate) clock: Clock,
    pub(crate) shared: Arc<Shared>,
    pub(crate) publisher: Sender,
    /// The disk is full, and the ledger says so in its own records.
    pub(crate) full: bool,
    pub(crate) buffer: Vec<u8>,
}

impl Writer {
    /// Writes until the queue is closed and empty.
    pub(crate) fn run(mut self, queue: &Queue) {
        let _serving = Serving(queue);
        loop {
            let batch = queue.take();
            if batch.is_empty() {
                return;
            }
            self.serve(queue, batch);
        }
    }

    fn serve(&mut self, queue: &Queue, batch: Vec<Work>) {
        let mut jobs = Vec::with_capacity(batch.len());
        let mut checkpoints = Vec::new();
        for work in batch {
            match work {
                Work::Append(job) => jobs.push(job),
                Work::Checkpoint(done) => checkpoints.push(done),
            }
        }
        if !jobs.is_empty() {
            self.append(queue, jobs);
        }
        for done in checkpoints {
            // The publisher drops out only after this thread: a lost message answers "closed" by itself.
            let _ = self.publisher.send(Message::Checkpoint(done));
        }
    }

    fn append(&mut self, queue: &Queue, jobs: Vec<Job>) {
        if let Err(error) = self.make_room(&jobs) {
            refuse(jobs, &error);
            if matches!(error, AppendError::DiskFull) {
                // Places behind the refused ones are lost with them. One is kept for `ledger.resumed`.
                queue.refuse_waiting(&error, self.frontier.size() + 1);
            }
            return;
        }
        let first = self.frontier.size();
        if let Err(error) = self.check_places(&jobs) {
            refuse(jobs, &error);
            return;
        }
        self.lay_out(jobs.iter().map(|job| (job.record.as_slice(), &job.leaf)), jobs.len());
        if let Err(error) = self.write_durably() {
            refuse(jobs, &error);
            return;
        }
        queue.made_durable(first + jobs.len() as u64);
        let mut entries = Vec::with_capacity(jobs.len());
        for (index, Job { record, leaf, done, .. }) in (first..).zip(jobs) {
            self.frontier.push(leaf);
            entries.push(Entry { record, leaf });
            Job::acknowledge(done, Ok(index));
        }
        self.publish(entries);
    }

    /// That each record stands where its place in line said: other records name it by that place.
    fn check_places(&self, jobs: &[Job]) -> Result<(), AppendError> {
        let places = (self.frontier.size()..).zip(jobs);
        let Some((index, place)) =
            places.map(|(index, job)| (index, job.place)).find(|(index, place)| index != place)
        else {
            return Ok(());
        };
        let wrong = std::io::Error::other(format!("expected the place {place} to be index {index}"));
        self.shared.fail(FileError::new("number records for", &self.layout.dir, wrong));
        Err(self.shared.failure().unwrap_or(AppendError::Closed))
    }

    /// Fills the buffer with one batch of frames.
    fn lay_out<'a>(&mut self, records: impl Iterator<Item = (&'a [u8], &'a TreeHash)>, count: usize) {
        self.buffer.clear();
        for (i, (record, leaf)) in records.enumerate() {
            let index = self.frontier.size() + i as u64;
            let head = FrameHead { index, batch: self.next_batch, ends_batch: i + 1 == count };
            frame::encode(&mut self.buffer, head, record, leaf);
        }
        self.next_batch += 1;
    }

    /// Any error here is final: after a failed sync the kernel may have dropped the very pages it could not write and
    /// would report success the next time.
    fn write_durably(&mut self) -> Result<(), AppendError> {
        match self.segment.append_durably(&self.buffer) {
            Ok(()) => Ok(()),
            Err(error) => {
                self.shared.fail(error);
                Err(self.shared.failure().unwrap_or(AppendError::Closed))
            }
        }
    }

    fn publish(&mut self, entries: Vec<Entry>) {
        self.shared.set_size(self.frontier.size());
        self.shared.count_batch();
        let message = Message::Batch { entries, frontier: self.frontier.clone() };
        if self.publisher.send(message).is_err() {
            // Only a panic ends the publisher before this thread. Records that nobody will ever sign for are not taken.
            let gone = std::io::Error::other("the thread that publishes has ended");
            self.shared.fail(FileError::new("publish", &self.layout.dir, gone));
        }
    }

    /// Sees to it that the batch fits, or says why nothing is taken.
    fn make_room(&mut self, jobs: &[Job]) -> Result<(), AppendError> {
        if let Some(failure) = self.shared.failure() {
            return Err(failure);
        }
        let frames: u64 = jobs.iter().map(|job| (HEADER_BYTES + job.record.len()) as u64).sum();
        let room = if self.shared.publisher_is_full() {
            Err(AppendError::DiskFull)
        } else if self.segment.has_room(frames) && !self.full {
            Ok(())
        } else {
            // Once full, always: a small record that still fits would only make "full" and "resumed" take turns.
            self.rotate()
        };
        match room {
            Err(AppendError::DiskFull) => {
                self.note_full();
                Err(AppendError::DiskFull)
            }
            Ok(()) if self.full => self.note_resumed(),
            other => other,
        }
    }

    fn rotate(&mut self) -> Result<(), AppendError> {
        let head = SegmentHead { frontier: self.frontier.clone(), first_batch: self.next_batch };
        match Segment::start(&self.layout, &head, self.segment_bytes) {
            Ok(segment) => {
                self.segment = segment;
                let _ = self.publisher.send(Message::Rotated);
                Ok(())
            }
            Err(FileError::DiskFull { .. }) => Err(AppendError::DiskFull),
            Err(error) => {
                self.shared.fail(error);
                Err(self.shared.failure().unwrap_or(AppendError::Closed))
            }
        }
    }

    /// The first refusal is itself a record, in the room that was kept for it.
    fn note_full(&mut self) {
        if !self.full {
            self.full = true;
            self.shared.set_writer_full(true);
            tracing::error!(
                code = "E0602",
                "the disk that holds the ledger is full; records are refused until there is room"
            );
            let size = self.frontier.size();
            // Without room even for this the refusals go on unrecorded; the log line above stands.
            let _ = self.append_own(Event::LedgerFull { size });
        }
    }

    fn note_resumed(&mut self) -> Result<(), AppendError> {
        self.full = false;
        self.shared.set_writer_full(false);
        tracing::info!("there is room for the ledger again");
        let size = self.frontier.size();
        self.append_own(Event::LedgerResumed { size })
    }

    /// Appends a record of the ledger about itself.
    fn append_own(&mut self, event: Event) -> Result<(), AppendError> {
        let record = Record::new(self.clock.unix_millis(), event).encode();
        let record = record.map_err(|error| AppendError::Record(Arc::new(error)))?;
        let leaf = TreeHash::leaf(&record);
        self.lay_out(std::iter::once((record.as_slice(), &leaf)), 1);
        if !self.segment.has_room_in_reserve(self.buffer.len() as u64) {
            return Err(AppendError::DiskFull);
        }
        self.write_durably()?;
        self.frontier.push(leaf);
        self.publish(vec![Entry { record, leaf }]);
        Ok(())
    }
}

fn refuse(jobs: Vec<Job>, error: &AppendError) {
    let unwaited = jobs.iter().filter(|job| job.done.is_none()).count();
    if unwaited > 0 {
        tracing::error!(records = unwaited, "records of requests that were already answered are lost");
    }
    jobs.into_iter().for_each(|job| Work::Append(job).refuse(error.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handover::{Nothing, handover};
    use crate::pending::PendingAppend;
    use crate::shared::Health;
    use hermetic_diagnostics::Diagnose;
    use std::path::Path;
    use std::time::Duration;
    use tokio::sync::oneshot;

    fn job(queue: &Queue, mark: &str) -> PendingAppend {
        let (done, answer) = oneshot::channel();
        let record = mark.as_bytes().to_vec();
        let leaf = TreeHash::leaf(&record);
        assert!(queue.push(Work::Append(Job::new(record, leaf, Some(done)))).is_ok());
        PendingAppend::waiting(answer)
    }

    #[test]
    fn after_one_failed_write_every_record_is_refused_and_none_is_published() {
        // A device that refuses every write for real.
        let device = Path::new("/dev/full");
        let file = std::fs::OpenOptions::new().read(true).write(true).open(device).unwrap();
        let (publisher, published) = handover(1 << 20);
        let shared = Arc::new(Shared::default());
        let folder = tempfile::tempdir().unwrap();
        let writer = Writer {
            layout: Layout::new(folder.path()),
            segment_bytes: 0,
            segment: Segment::over(file, device),
            frontier: Frontier::new(),
            next_batch: 1,
            clock: Clock::manual(0),
            shared: Arc::clone(&shared),
            publisher,
            full: false,
            buffer: Vec::new(),
        };
        let queue = Arc::new(Queue::numbered(10, 1000, Clock::manual(0), 0));
        let first = [job(&queue, "a"), job(&queue, "b")];
        let to_write = Arc::clone(&queue);
        let thread = std::thread::spawn(move || writer.run(&to_write));
        for pending in first {
            assert_eq!(pending.wait().unwrap_err().code().as_str(), "E0601");
        }
        assert_eq!(job(&queue, "c").wait().unwrap_err().code().as_str(), "E0601");
        assert!(matches!(shared.health(), Health::Failed(_)));
        queue.close();
        thread.join().unwrap();
        assert_eq!(
            published.receive(Duration::ZERO).unwrap_err(),
            Nothing::Anymore,
            "nothing that is not durable is published"
        );
    }
}
