//! What is counted about who asks.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Whether something was done.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DoneLabels {
    outcome: &'static str,
}

/// Identity's metrics. Refusals are counted by their code, with all others (`requests_refused`).
#[derive(Debug)]
pub struct IdentityMetrics {
    sources_failing: Gauge,
    handshakes_failed: Counter,
    tls_material_read: Family<DoneLabels, Counter>,
}

impl IdentityMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            sources_failing: Gauge::default(),
            handshakes_failed: Counter::default(),
            tls_material_read: Family::default(),
        };
        let about = "Addresses that presented wrong credentials lately";
        registry.register("identity_sources_failing", about, metrics.sources_failing.clone());
        let about = "TLS handshakes with clients that came to nothing";
        registry.register("tls_handshakes_failed", about, metrics.handshakes_failed.clone());
        let about = "Times changed TLS files were read, by whether they could be put in force";
        registry.register("tls_material_read", about, metrics.tls_material_read.clone());
        metrics
    }

    pub fn sources_failing(&self, sources: usize) {
        self.sources_failing.set(i64::try_from(sources).unwrap_or(i64::MAX));
    }

    pub fn handshake_failed(&self) {
        self.handshakes_failed.inc();
    }

    /// Counts changed TLS files that were read.
    pub fn material_read(&self, in_force: bool) {
        let outcome = if in_force { "in-force" } else { "refused" };
        self.tls_material_read.get_or_create(&DoneLabels { outcome }).inc();
    }
}
