//! What a replica counts about the counters it shares with others.

use crate::gateway::label;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::fmt::Write;
use std::time::Duration;

label! {
    /// What a request that ran out of its replica's share was told.
    LeaseLabel { Granted = "granted", Exhausted = "exhausted", Away = "away" }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LeaseLabels {
    result: LeaseLabel,
}

/// From a tenth of a millisecond, where a server on the same machine answers, to the second after which it is away.
const SECONDS: [f64; 9] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.025, 0.1, 1.0];

/// Metrics of the shared counters.
#[derive(Debug)]
pub struct SharedCountersMetrics {
    /// 1 when the server is there and knows what all replicas hold.
    pub up: Gauge,
    /// Times the server went away.
    pub losses: Counter,
    /// Units leased, and given back unused, over all counters.
    pub granted: Counter,
    pub returned: Counter,
    asked: Vec<Counter>,
    wait: Histogram,
}

impl SharedCountersMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let (up, losses) = (Gauge::default(), Counter::default());
        let about = "1: the server of the shared counters is there and knows what all replicas hold";
        registry.register("shared_counters_up", about, up.clone());
        registry.register("shared_counters_losses", "Times it went away", losses.clone());
        let (granted, returned) = (Counter::default(), Counter::default());
        registry.register("shared_counters_leased", "Units leased, over all counters", granted.clone());
        registry.register("shared_counters_returned", "Units given back unused", returned.clone());
        let asked = Family::<LeaseLabels, Counter>::default();
        let about = "Requests that ran out of this replica's share, by what they were told";
        registry.register("shared_counters_asked", about, asked.clone());
        let wait = Histogram::new(SECONDS);
        let about = "Waiting for the server, of requests that had to";
        registry.register_with_unit("shared_counters_wait", about, Unit::Seconds, wait.clone());
        let asked =
            LeaseLabel::ALL.iter().map(|&result| asked.get_or_create(&LeaseLabels { result }).clone());
        Self { up, losses, granted, returned, asked: asked.collect(), wait }
    }

    /// Counts a request that asked for more.
    pub fn asked(&self, result: LeaseLabel) {
        if let Some(counter) = self.asked.get(result as usize) {
            counter.inc();
        }
    }

    /// Counts one wait for the server.
    pub fn waited(&self, waited: Duration) {
        self.wait.observe(waited.as_secs_f64());
    }
}
