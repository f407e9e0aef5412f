//! A quantile of recent durations in constant space.

use std::time::Duration;

/// Buckets per doubling: a quantile is off by at most a fifth.
const STEPS_PER_DOUBLING: f64 = 4.0;
/// From a millisecond to more than an hour.
const BUCKETS: usize = 90;
/// Below this many samples there is no quantile: with fewer, the 95th in a hundred is a guess.
const SAMPLES_MIN: u32 = 20;
/// When so many were counted, all counts are halved, so that the past fades.
const SAMPLES_MAX: u32 = 1024;

/// Counts durations in buckets that grow by a fifth.
#[derive(Debug, Clone)]
pub struct Quantiles {
    buckets: [u32; BUCKETS],
    total: u32,
}

impl Default for Quantiles {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], total: 0 }
    }
}

impl Quantiles {
    pub fn observe(&mut self, sample: Duration) {
        let millis = sample.as_secs_f64() * 1_000.0;
        let step = (millis.max(1.0).log2() * STEPS_PER_DOUBLING).ceil();
        // In range by construction: at least 0, and cut to the last bucket.
        let bucket = (0..BUCKETS - 1).find(|&bucket| bucket_end(bucket) >= step).unwrap_or(BUCKETS - 1);
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += 1;
            self.total += 1;
        }
        if self.total >= SAMPLES_MAX {
            self.buckets.iter_mut().for_each(|count| *count /= 2);
            self.total = self.buckets.iter().sum();
        }
    }

    /// The duration that `percent` of the samples did not exceed, rounded up to its bucket. `None` while there are too
    /// few samples.
    pub fn percentile(&self, percent: u32) -> Option<Duration> {
        if self.total < SAMPLES_MIN {
            return None;
        }
        let wanted = u64::from(self.total) * u64::from(percent.min(100));
        let mut counted = 0u64;
        for (bucket, count) in self.buckets.iter().enumerate() {
            counted += u64::from(*count);
            if counted * 100 >= wanted {
                let millis = (bucket_end(bucket) / STEPS_PER_DOUBLING).exp2();
                return Some(Duration::from_secs_f64(millis / 1_000.0));
            }
        }
        None
    }
}

fn bucket_end(bucket: usize) -> f64 {
    u32::try_from(bucket).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn few_samples_give_no_quantile() {
        let mut quantiles = Quantiles::default();
        (1..SAMPLES_MIN).for_each(|_| quantiles.observe(Duration::from_millis(5)));
        assert_eq!(quantiles.percentile(95), None);
    }

    #[test]
    fn the_past_fades() {
        let mut quantiles = Quantiles::default();
        (0..1_000).for_each(|_| quantiles.observe(Duration::from_secs(60)));
        (0..20_000).for_each(|_| quantiles.observe(Duration::from_millis(10)));
        assert!(quantiles.percentile(95).unwrap() < Duration::from_millis(20));
    }

    proptest! {
        /// The answer is never below the true quantile, and at most a fifth above it.
        #[test]
        fn a_quantile_is_right_to_a_fifth(mut millis in proptest::collection::vec(1u64..3_000_000, 20..1_000), percent in 1u32..=100) {
            let mut quantiles = Quantiles::default();
            millis.iter().for_each(|&ms| quantiles.observe(Duration::from_millis(ms)));
            millis.sort_unstable();
            let rank = (millis.len() as u64 * u64::from(percent)).div_ceil(100).max(1);
            let exact = millis[usize::try_from(rank).unwrap() - 1];
            let found = quantiles.percentile(percent).unwrap().as_secs_f64() * 1_000.0;
            let exact = exact as f64;
            prop_assert!(found >= exact * 0.9999 && found <= exact * 1.2, "{} {}", found, exact);
        }
    }
}
