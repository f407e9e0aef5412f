//! What routing counts. Targets come from the configuration, so their number is bounded; to be safe against one that
//! makes them up, names beyond the cap are counted together.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

/// Targets with series of their own: a plan may have 32, and an enclave some dozens of models.
const TARGETS_MAX: usize = 1_024;

const OTHERS: &str = "(others)";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    target: String,
    /// A word of the source.
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TargetLabels {
    target: String,
}

/// Routing's metrics.
#[derive(Debug)]
pub struct RoutingMetrics {
    attempts: Family<AttemptLabels, Counter>,
    opened: Family<TargetLabels, Counter>,
    available: Family<TargetLabels, Gauge>,
    known: RwLock<HashSet<String>>,
    pub retries: Counter,
    pub hedges: Counter,
    pub resumptions: Counter,
}

impl RoutingMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let attempts = Family::default();
        registry.register("attempts", "Tries at targets, by how they ended", attempts.clone());
        let opened = Family::default();
        registry.register("target_left_out", "Times a target was left out for its faults", opened.clone());
        let available = Family::default();
        let about = "1 while a target of a virtual model takes requests, 0 while it is left out";
        registry.register("target_available", about, available.clone());
        let (retries, hedges, resumptions) = (Counter::default(), Counter::default(), Counter::default());
        registry.register("retries", "Attempts after one that failed", retries.clone());
        registry.register("hedges", "Attempts beside one that was slow to begin", hedges.clone());
        registry.register("resumptions", "Streams that went on from another target", resumptions.clone());
        Self { attempts, opened, available, known: RwLock::default(), retries, hedges, resumptions }
    }

    pub fn attempt_ended(&self, target: &str, outcome: &'static str) {
        self.attempts.get_or_create(&AttemptLabels { target: self.bounded(target), outcome }).inc();
    }

    pub fn left_out(&self, target: &str) {
        self.opened.get_or_create(&TargetLabels { target: self.bounded(target) }).inc();
    }

    pub fn set_available(&self, target: &str, available: bool) {
        self.available.get_or_create(&TargetLabels { target: self.bounded(target) }).set(available.into());
    }

    fn bounded(&self, target: &str) -> String {
        if self.known.read().unwrap_or_else(PoisonError::into_inner).contains(target) {
            return target.to_owned();
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= TARGETS_MAX {
            return OTHERS.to_owned();
        }
        known.insert(target.to_owned());
        target.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use crate::Metrics;

    #[test]
    fn targets_beyond_the_cap_are_counted_together() {
        let metrics = Metrics::new();
        (0..super::TARGETS_MAX + 2).for_each(|i| metrics.routing.attempt_ended(&format!("t{i}"), "answered"));
        let text = metrics.render();
        assert!(text.contains("hermetic_attempts_total{target=\"t0\",outcome=\"answered\"} 1"), "{text}");
        assert!(text.contains("hermetic_attempts_total{target=\"(others)\",outcome=\"answered\"} 2"));
    }
}
