//! Time as a parameter.
//!
//! What it is for: one [`Clock`] handed to whoever needs the time, so that a test can hold it still and a reviewer can
//! see who asks. What it must not know: timers (they belong to the runtime), formats beyond RFC 3339, trust. Whether a
//! date may be *believed* is decided by the monotonic floor in `hermetic-trust`, never here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
pub type UnixMillis = u64;

/// A source of wall-clock time and of a monotonic reading. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System { started: std::time::Instant },
    Manual { millis: Arc<AtomicU64> },
}

impl Clock {
    /// The machine's clock.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn system() -> Self {
        Self(Source::System { started: std::time::Instant::now() })
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    pub fn manual(start: UnixMillis) -> Self {
        Self(Source::Manual { millis: Arc::new(AtomicU64::new(start)) })
    }

    /// Wall-clock time. Zero when the machine's clock stands before 1970.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn unix_millis(&self) -> UnixMillis {
        match &self.0 {
            Source::System { .. } => std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
            Source::Manual { millis } => millis.load(Ordering::SeqCst),
        }
    }

    /// Time since this clock was made; never goes back, not comparable between processes.
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Source::System { started } => started.elapsed(),
            Source::Manual { millis } => Duration::from_millis(millis.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock forward. The machine's clock moves by itself and ignores this.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual { millis } = &self.0 {
            millis.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
        }
    }
}

/// `2026-11-23T01:30:00.000Z`: RFC 3339 in UTC with milliseconds, the one way a time is written in records.
pub fn rfc3339(millis: UnixMillis) -> String {
    i64::try_from(millis)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(|| format!("{millis}ms"), |t| format!("{t:.3}"))
}

/// Reads an RFC 3339 time. `None` when the text is not one or lies before 1970.
pub fn parse_rfc3339(text: &str) -> Option<UnixMillis> {
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_stands_still_until_moved() {
        let clock = Clock::manual(1_000);
        assert_eq!(clock.unix_millis(), 1_000);
        clock.clone().advance(Duration::from_secs(2));
        assert_eq!(clock.unix_millis(), 3_000);
    }

    #[test]
    fn times_are_written_in_utc_with_milliseconds_and_read_back() {
        let text = rfc3339(1_795_399_200_123);
        assert_eq!(text, "2026-11-23T02:00:00.123Z");
        assert_eq!(parse_rfc3339(&text), Some(1_795_399_200_123));
    }
}
