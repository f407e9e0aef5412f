//! What limits did. Labelled by rule: rules are the operator's, so their number is bounded.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RuleLabels {
    rule: String,
}

/// The limits' metrics. None of them is touched on the way of a request that fits.
#[derive(Debug)]
pub struct LimitMetrics {
    refused: Family<RuleLabels, Counter>,
    would_refuse: Family<RuleLabels, Counter>,
    thresholds: Family<RuleLabels, Counter>,
    downgraded: Counter,
    pub cut: Counter,
    pub overruns: Counter,
}

impl LimitMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let (refused, would_refuse, thresholds) = (Family::default(), Family::default(), Family::default());
        let (downgraded, cut, overruns) = (Counter::default(), Counter::default(), Counter::default());
        let about = "Requests refused by the rule";
        registry.register("limit_refusals", about, Family::clone(&refused));
        let about = "Requests the rule would have refused, were it not in the shadow";
        registry.register("limit_shadow_refusals", about, Family::clone(&would_refuse));
        let about = "Soft thresholds of the rule that were crossed";
        registry.register("limit_thresholds", about, Family::clone(&thresholds));
        let about = "Requests handed down to another model by an exhausted limit";
        registry.register("limit_downgrades", about, downgraded.clone());
        registry.register("limit_cuts", "Streams cut where their reservation ended", cut.clone());
        let about = "Answers longer than the engine was allowed, by its own account";
        registry.register("limit_overruns", about, overruns.clone());
        Self { refused, would_refuse, thresholds, downgraded, cut, overruns }
    }

    pub fn refused(&self, rule: &str) {
        count(&self.refused, rule);
    }

    pub fn would_refuse(&self, rule: &str) {
        count(&self.would_refuse, rule);
    }

    pub fn threshold(&self, rule: &str) {
        count(&self.thresholds, rule);
    }

    pub fn downgraded(&self) {
        self.downgraded.inc();
    }
}

fn count(family: &Family<RuleLabels, Counter>, rule: &str) {
    family.get_or_create(&RuleLabels { rule: rule.to_owned() }).inc();
}
