//! Arrivals at a steady rate, whatever the answers do.
//!
//! A client that waits for an answer before it asks again measures a stall once; real users keep coming, and each of
//! them waits. So requests are due at moments fixed beforehand, and a latency counts from when the request was due.
//! Spaced evenly: the figures are then about the proxy and not about how lumpy a random process happened to be.

use crate::moment::{NANOS_PER_S, now_ns};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Shortest sleep: what is due within it comes in one go.
const SLEEP_MIN_NS: u64 = 40_000;

/// Requests that are due and not yet taken.
#[derive(Debug)]
pub(crate) struct Due {
    count: Semaphore,
    taken: AtomicU64,
    start_ns: u64,
    rate: f64,
}

impl Due {
    /// Requests become due at `rate` per second until `end_ns`.
    pub(crate) fn start(rate: f64, end_ns: u64) -> std::io::Result<Arc<Self>> {
        let start_ns = now_ns();
        let due = Arc::new(Self { count: Semaphore::new(0), taken: AtomicU64::new(0), start_ns, rate });
        let made = Arc::clone(&due);
        // A thread of its own: the runtime's timer counts whole milliseconds, in which a fast proxy answers dozens.
        std::thread::Builder::new().name("pace".to_owned()).spawn(move || made.make(end_ns))?;
        Ok(due)
    }

    /// The moment of the next request, once it is due; `None` when no more will come.
    pub(crate) async fn next(&self) -> Option<u64> {
        self.count.acquire().await.ok()?.forget();
        Some(self.moment(self.taken.fetch_add(1, Ordering::Relaxed)))
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "nanoseconds of a run")]
    fn moment(&self, number: u64) -> u64 {
        self.start_ns + (number as f64 / self.rate * NANOS_PER_S as f64) as u64
    }

    fn make(&self, end_ns: u64) {
        let mut made = 0u64;
        loop {
            let now = now_ns();
            let before = made;
            while self.moment(made) <= now.min(end_ns) {
                made += 1;
            }
            self.count.add_permits(usize::try_from(made - before).unwrap_or(0));
            if now >= end_ns {
                self.count.close();
                return;
            }
            let sleep = self.moment(made).saturating_sub(now).max(SLEEP_MIN_NS);
            std::thread::park_timeout(Duration::from_nanos(sleep));
        }
    }
}
