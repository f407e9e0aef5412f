//! What became of batches and their lines.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// States come from the source, so their number is bounded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

/// The batches' metrics. What a line costs and takes is counted where all requests are.
#[derive(Debug)]
pub struct BatchMetrics {
    running: Family<StatusLabels, Gauge>,
    ended: Family<StatusLabels, Counter>,
    lines: Family<OutcomeLabels, Counter>,
}

impl BatchMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let (running, ended, lines) = (Family::default(), Family::default(), Family::default());
        registry.register(
            "batches",
            "Batches that have not ended, by where they stand",
            Family::clone(&running),
        );
        registry.register("batches_ended", "Batches by how they ended", Family::clone(&ended));
        registry.register("batch_lines", "Lines of batches by what they came to", Family::clone(&lines));
        Self { running, ended, lines }
    }

    /// So many batches stand there now.
    pub fn running(&self, status: &'static str, batches: i64) {
        self.running.get_or_create(&StatusLabels { status }).set(batches);
    }

    pub fn ended(&self, status: &'static str) {
        self.ended.get_or_create(&StatusLabels { status }).inc();
    }

    /// A line has a result.
    pub fn line(&self, answered: bool) {
        let outcome = if answered { "answered" } else { "failed" };
        self.lines.get_or_create(&OutcomeLabels { outcome }).inc();
    }
}
