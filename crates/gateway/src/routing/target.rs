//! A target: a place where an engine listens, and how it has fared.
//!
//! What is known of it is shared by all threads and outlives the table that names it (`Fleet`). It sits behind a lock
//! that is held for a few additions, twice per attempt.

use hermetic_routing::{Breaker, Candidate, EngineLoad, LoadReading, PeakEwma, Standing};
use http::HeaderValue;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Pause after an engine said it is busy without saying for how long.
const BUSY_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause an engine's `Retry-After` is granted: a target is left out, not written off.
const BUSY_PAUSE_MAX: Duration = Duration::from_secs(30);

/// Where an engine listens, speaking OpenAI over HTTP/1.1.
#[derive(Debug)]
pub struct Target {
    pub(crate) place: Place,
    /// Place and base path as one text: two targets of the same key are the same.
    pub(crate) key: Arc<str>,
    /// Put before `/v1/…`; empty or beginning with a slash.
    pub(crate) base_path: String,
    pub(crate) host: HeaderValue,
    /// Requests of ours that it has not answered to the end.
    in_flight: AtomicU32,
    vitals: Mutex<Vitals>,
}

#[derive(Debug, Clone)]
pub(crate) enum Place {
    Unix(PathBuf),
    Tcp { host: String, port: u16 },
}

#[derive(Debug, Default)]
struct Vitals {
    breaker: Breaker,
    latency: PeakEwma,
    reading: Option<LoadReading>,
    /// It asked to be left alone until then.
    busy_until: Duration,
    /// The last probe found nobody there.
    is_down: bool,
}

/// What an attempt says about its target. Only [`Ended::Fault`] is held against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It answered, also when the answer was that the request is wrong.
    Well,
    /// It could not be reached, stalled, broke off, or said itself that it failed.
    Fault,
    /// It is overloaded and says so.
    Busy { retry_after: Option<Duration> },
    /// Nothing can be said: the client left, the attempt was overtaken, the service stops.
    Unknown,
}

/// Whether a target can take a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Availability {
    Free,
    /// Left out until then, by its breaker or at its own wish; `down` when a probe finds nobody there either.
    LeftOut {
        until: Duration,
        down: bool,
    },
}

impl Target {
    fn new(place: Place, base_path: String, host: HeaderValue) -> Self {
        let key = match &place {
            Place::Unix(path) => format!("unix:{}", path.display()),
            Place::Tcp { host, port } => format!("tcp:{host}:{port}{base_path}"),
        };
        let (in_flight, vitals) = (AtomicU32::new(0), Mutex::default());
        Self { place, key: key.into(), base_path, host, in_flight, vitals }
    }

    /// A worker on this machine.
    pub fn unix(path: PathBuf) -> Self {
        Self::new(Place::Unix(path), String::new(), HeaderValue::from_static("worker"))
    }

    /// An engine inside the enclave. `None` when the host cannot stand in a `Host` header or the base
    /// path is not one.
    pub fn tcp(host: &str, port: u16, base_path: &str) -> Option<Self> {
        let header = HeaderValue::from_str(&format!("{host}:{port}")).ok()?;
        let base_path = base_path.trim_end_matches('/').to_owned();
        let well_formed = base_path.parse::<http::uri::PathAndQuery>().is_ok() && base_path.starts_with('/');
        if !base_path.is_empty() && !well_formed {
            return None;
        }
        Some(Self::new(Place::Tcp { host: host.to_owned(), port }, base_path, header))
    }

    fn vitals(&self) -> MutexGuard<'_, Vitals> {
        self.vitals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An attempt begins.
    pub(crate) fn begin(&self, now: Duration) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.vitals().breaker.begin(now);
    }

    /// An attempt that began has ended. `true` when the target is left out from now on because of it.
    pub(crate) fn end(&self, now: Duration, ended: Ended) -> bool {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let mut vitals = self.vitals();
        match ended {
            Ended::Well => vitals.breaker.succeeded(now),
            Ended::Fault => return vitals.breaker.failed(now),
            Ended::Unknown => vitals.breaker.abandoned(now),
            Ended::Busy { retry_after } => {
                let pause = retry_after.unwrap_or(BUSY_PAUSE).clamp(BUSY_PAUSE, BUSY_PAUSE_MAX);
                vitals.busy_until = now + pause;
                vitals.breaker.abandoned(now);
            }
        }
        false
    }

    /// How long it took to the first token, or to the head of a plain answer.
    pub(crate) fn observe_latency(&self, now: Duration, sample: Duration) {
        self.vitals().latency.observe(now, sample);
    }

    /// What a probe found.
    pub(crate) fn probed(&self, now: Duration, healthy: bool) {
        let mut vitals = self.vitals();
        vitals.is_down = !healthy;
        if healthy {
            vitals.breaker.invite(now);
        } else {
            vitals.breaker.failed(now);
        }
    }

    /// What the engine said of its load.
    pub(crate) fn read_load(&self, now: Duration, load: EngineLoad) {
        self.vitals().reading = Some(LoadReading { load, at: now });
    }

    pub(crate) fn availability(&self, now: Duration) -> Availability {
        let vitals = self.vitals();
        let down = vitals.is_down;
        match vitals.breaker.standing(now) {
            Standing::Open { until } => Availability::LeftOut { until, down },
            // Somebody tries; how that ends is known in a moment.
            Standing::Trying => Availability::LeftOut { until: now, down },
            _ if now < vitals.busy_until => Availability::LeftOut { until: vitals.busy_until, down: false },
            Standing::Closed | Standing::Trial => Availability::Free,
        }
    }

    pub(crate) fn candidate(&self, now: Duration, index: usize, (weight, seed): (u32, u64)) -> Candidate {
        let in_flight = f64::from(self.in_flight.load(Ordering::Relaxed));
        let vitals = self.vitals();
        let ahead = vitals.reading.map_or(in_flight, |reading| reading.requests_ahead(now, in_flight));
        Candidate { index, weight, seed, ahead, seconds: vitals.latency.seconds(now) }
    }
}
