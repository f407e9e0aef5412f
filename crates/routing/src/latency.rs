//! What is known of a target's latency.

use std::time::Duration;

/// Time after which a sample has lost two thirds of its weight, in seconds. Ten seconds are a few requests of a busy
/// engine and short enough that one slow prompt is soon forgotten.
const DECAY_SECONDS: f64 = 10.0;

/// A moving average that jumps up with a slow answer and comes down slowly (Finagle's "peak EWMA"): a target that
/// begins to stall is avoided at once, one that recovered is trusted bit by bit.
#[derive(Debug, Clone, Default)]
pub struct PeakEwma {
    seconds: f64,
    /// When the value was last true; `None` before the first sample.
    at: Option<Duration>,
}

impl PeakEwma {
    pub fn observe(&mut self, now: Duration, sample: Duration) {
        let sample = sample.as_secs_f64();
        self.seconds = match self.at {
            None => sample,
            Some(_) if sample > self.seconds => sample,
            Some(at) => {
                let kept = kept(now, at);
                self.seconds * kept + sample * (1.0 - kept)
            }
        };
        self.at = Some(now);
    }

    /// The latency to expect, in seconds; `None` when nothing is known. A value nobody confirms fades, so that a target
    /// that was slow once is tried again.
    pub fn seconds(&self, now: Duration) -> Option<f64> {
        self.at.map(|at| self.seconds * kept(now, at))
    }
}

fn kept(now: Duration, at: Duration) -> f64 {
    (-now.saturating_sub(at).as_secs_f64() / DECAY_SECONDS).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_answer_counts_at_once_and_is_forgotten_slowly() {
        let at = Duration::from_secs;
        let mut latency = PeakEwma::default();
        assert_eq!(latency.seconds(at(1)), None);
        latency.observe(at(1), Duration::from_millis(100));
        latency.observe(at(2), Duration::from_secs(2));
        assert_eq!(latency.seconds(at(2)), Some(2.0));
        latency.observe(at(3), Duration::from_millis(100));
        let after_one_good = latency.seconds(at(3)).unwrap();
        assert!((1.5..2.0).contains(&after_one_good), "{after_one_good}");
        assert!(latency.seconds(at(60)).unwrap() < 0.01);
    }
}
