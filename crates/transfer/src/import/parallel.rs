//! Parts on every core: one list, one cursor, the first error stops everybody.

use hermetic_bundle::{BlobParts, Part};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Read from the media at a time: long enough for sequential disks, short enough to fit a cache and to stop promptly.
pub(super) const PIECE_BYTES: usize = 1 << 20;

/// One part of one blob.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) blob: &'a BlobParts,
    pub(super) part: Part,
}

/// Runs `work` on every job from `threads` threads. Jobs are begun in order; each thread has one buffer.
pub(super) fn run<E: Send>(
    jobs: &[Job<'_>],
    threads: usize,
    work: impl Fn(&Job<'_>, &mut [u8]) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let failure = Mutex::new(None);
    let worker = || {
        let mut buffer = vec![0; PIECE_BYTES];
        while !stop.load(Ordering::Relaxed) {
            let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            if let Err(error) = work(job, &mut buffer) {
                stop.store(true, Ordering::Relaxed);
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    };
    let threads = threads.clamp(1, jobs.len().max(1));
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(worker);
        }
        worker();
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}
