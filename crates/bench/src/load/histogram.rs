//! Latencies, counted in slots that grow with the value, as HdrHistogram does: nothing is thrown away at the far end,
//! which is where percentiles like the 99.9th live.

use serde::{Deserialize, Serialize};

/// Slots per power of two: a value is known to within 1/64, 1.6 %.
const STEPS: u64 = 64;
const STEP_BITS: u32 = STEPS.ilog2();

#[derive(Debug, Clone, Default)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

/// What is read off a histogram of nanoseconds, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) count: u64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

fn slot_of(value: u64) -> usize {
    let small = 2 * STEPS;
    let slot = if value < small {
        value
    } else {
        let shift = value.ilog2() - STEP_BITS;
        small + u64::from(shift - 1) * STEPS + (value >> shift) - STEPS
    };
    usize::try_from(slot).unwrap_or(usize::MAX)
}

/// The largest value of a slot.
fn edge_of(slot: usize) -> u64 {
    let (slot, small) = (slot as u64, 2 * STEPS);
    if slot < small {
        return slot;
    }
    let shift = (slot - small) / STEPS + 1;
    let step = (slot - small) % STEPS + STEPS;
    ((step + 1) << shift) - 1
}

impl Histogram {
    pub(crate) fn record(&mut self, value: u64) {
        let slot = slot_of(value);
        if slot >= self.counts.len() {
            self.counts.resize(slot + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(slot) {
            *count += 1;
        }
        self.total += 1;
        self.max = self.max.max(value);
    }

    /// The value below or at which `share` of all lie.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count below the total"
        )]
        let rank = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (slot, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return edge_of(slot).min(self.max);
            }
        }
        self.max
    }

    /// Of nanoseconds.
    pub(crate) fn spread(&self) -> Spread {
        let ms = |share| self.quantile(share) as f64 / 1e6;
        Spread {
            count: self.total,
            p50: ms(0.5),
            p90: ms(0.9),
            p99: ms(0.99),
            p999: ms(0.999),
            max: self.max as f64 / 1e6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_at_most_a_sixty_fourth_below_the_edge_of_its_slot() {
        let mut value = 1u64;
        while value < u64::MAX / 3 {
            for value in [value - 1, value, value + 1, value + value / 2] {
                let edge = edge_of(slot_of(value));
                assert!(edge >= value && edge - value <= value / STEPS, "{value} {edge}");
            }
            value *= 2;
        }
    }

    #[test]
    fn quantiles_of_a_known_row_are_its_ranks() {
        let mut histogram = Histogram::default();
        (1..=100).for_each(|value| histogram.record(value));
        let found = [0.5, 0.99, 0.999].map(|share| histogram.quantile(share));
        assert_eq!(found, [50, 99, 100]);
    }
}
