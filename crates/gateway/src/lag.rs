//! How far a thread's event loop is behind: what decides whether new requests are turned away before they cost anything.
//!
//! A task asks to be woken every [`TICK`]; how much later it comes round is the lag that every request of this thread
//! waits for each of its steps.

use hermetic_clock::Clock;
use std::cell::Cell;
use std::time::Duration;

/// How often the loop is looked at. Two hundred wake-ups in ten seconds cost nothing, and a burst is seen soon enough.
const TICK: Duration = Duration::from_millis(50);

/// The lag of one thread.
#[derive(Debug, Default)]
pub(crate) struct Lag {
    worst: Cell<Duration>,
}

impl Lag {
    /// A look at the loop that came round `late`. The worst is forgotten by half with each look that found less, so that
    /// a thread that recovers serves again within a second and one that stumbles on does not flicker.
    fn seen(&self, late: Duration) {
        self.worst.set(late.max(self.worst.get() / 2));
    }

    pub(crate) fn is_over(&self, max: Duration) -> bool {
        self.worst.get() > max
    }

    /// Looks again and again, until dropped.
    pub(crate) async fn watch(&self, clock: &Clock) -> std::convert::Infallible {
        loop {
            let before = clock.monotonic();
            tokio::time::sleep(TICK).await;
            self.seen(clock.monotonic().saturating_sub(before).saturating_sub(TICK));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_is_late_is_over_and_recovers_by_halves() {
        let lag = Lag::default();
        let max = Duration::from_secs(1);
        assert!(!lag.is_over(max));
        lag.seen(Duration::from_secs(3));
        assert!(lag.is_over(max));
        lag.seen(Duration::ZERO);
        assert!(lag.is_over(max));
        lag.seen(Duration::ZERO);
        assert!(!lag.is_over(max));
        for _ in 0..80 {
            lag.seen(Duration::ZERO);
        }
        assert!(!lag.is_over(Duration::ZERO));
    }
}
