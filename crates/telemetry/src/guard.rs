//! What guardrails found.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Rules come with the product or from the configuration, so their number is bounded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FindingLabels {
    rule: String,
    action: &'static str,
    direction: &'static str,
}

/// The guardrails' metrics.
#[derive(Debug)]
pub struct GuardMetrics {
    findings: Family<FindingLabels, Counter>,
}

impl GuardMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let findings = Family::default();
        let about = "What guardrails found, by rule, by what was done and by direction";
        registry.register("guard_findings", about, Family::clone(&findings));
        Self { findings }
    }

    pub fn found(&self, rule: &str, action: &'static str, direction: &'static str) {
        self.findings.get_or_create(&FindingLabels { rule: rule.to_owned(), action, direction }).inc();
    }
}
