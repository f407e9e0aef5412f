//! The registry behind `/metrics`.

use crate::batches::BatchMetrics;
use crate::gateway::GatewayMetrics;
use crate::guard::GuardMetrics;
use crate::identity::IdentityMetrics;
use crate::limits::LimitMetrics;
use crate::routing::RoutingMetrics;
use crate::shared_counters::SharedCountersMetrics;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::Arc;

/// Media type of the rendered text (OpenMetrics 1.0).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every metric of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub gateway: GatewayMetrics,
    pub reload: ReloadMetrics,
    pub limits: LimitMetrics,
    pub batches: BatchMetrics,
    pub guard: GuardMetrics,
    pub identity: IdentityMetrics,
    pub routing: RoutingMetrics,
    pub shared_counters: Arc<SharedCountersMetrics>,
}

/// How the configuration in force came about.
#[derive(Debug, Default)]
pub struct ReloadMetrics {
    /// 1 while the file holds something that was refused.
    pub failed: Gauge,
    /// Changed keys that wait for a restart.
    pub restart_keys: Gauge,
    /// Reloads that changed something.
    pub changed: Counter,
}

impl ReloadMetrics {
    fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let about = "1 while the configuration file holds something that was refused";
        registry.register("config_reload_failed", about, metrics.failed.clone());
        let about = "Changed keys of the configuration that wait for a restart";
        registry.register("config_restart_keys", about, metrics.restart_keys.clone());
        let about = "Reloads of the configuration that changed something";
        registry.register("config_reloads", about, metrics.changed.clone());
        metrics
    }
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("hermetic");
        let gateway = GatewayMetrics::register(&mut registry);
        let reload = ReloadMetrics::register(&mut registry);
        let limits = LimitMetrics::register(&mut registry);
        let batches = BatchMetrics::register(&mut registry);
        let guard = GuardMetrics::register(&mut registry);
        let identity = IdentityMetrics::register(&mut registry);
        let routing = RoutingMetrics::register(&mut registry);
        let shared_counters = Arc::new(SharedCountersMetrics::register(&mut registry));
        Self { registry, gateway, reload, limits, batches, guard, identity, routing, shared_counters }
    }

    /// The text a scraper reads.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
