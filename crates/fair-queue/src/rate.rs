//! How long a wait will be, from how fast places came free.

use std::time::Duration;

/// Each new interval weighs one in so many: a handful of recent ones decide, a single odd one does not.
const WEIGHT: u32 = 8;

/// The mean time between two that are served while somebody waits.
#[derive(Debug, Default)]
pub struct DrainRate {
    interval: Option<Duration>,
    last: Option<Duration>,
}

impl DrainRate {
    /// Somebody who waited is served. `now` is a monotonic reading.
    pub fn served(&mut self, now: Duration) {
        if let Some(last) = self.last {
            let interval = now.saturating_sub(last);
            self.interval = Some(match self.interval {
                None => interval,
                Some(mean) => (mean * (WEIGHT - 1) + interval) / WEIGHT,
            });
        }
        self.last = Some(now);
    }

    /// Nobody waits: what comes after a pause says nothing about the rate.
    pub fn idle(&mut self) {
        self.last = None;
    }

    /// How long until so many have been served. `None`: not known yet.
    pub fn time_for(&self, count: usize) -> Option<Duration> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.interval.map(|interval| interval.saturating_mul(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_follows_the_rate_and_forgets_pauses() {
        let mut rate = DrainRate::default();
        assert_eq!(rate.time_for(3), None);
        for second in 0..10 {
            rate.served(Duration::from_secs(second));
        }
        assert_eq!(rate.time_for(3), Some(Duration::from_secs(3)));
        rate.idle();
        rate.served(Duration::from_secs(1_000));
        rate.served(Duration::from_secs(1_001));
        assert_eq!(rate.time_for(3), Some(Duration::from_secs(3)));
        for half in 0..200u64 {
            rate.served(Duration::from_secs(1_001) + Duration::from_millis(500 * half));
        }
        assert!(rate.time_for(2).is_some_and(|time| time < Duration::from_millis(1_010)));
    }
}
