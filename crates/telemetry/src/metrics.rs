//! The registry behind `/metrics`.

use crate::gateway::GatewayMetrics;
use crate::identity::IdentityMetrics;
use crate::limits::LimitMetrics;
use crate::routing::RoutingMetrics;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// Media type of the rendered text (OpenMetrics 1.0).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every metric of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub gateway: GatewayMetrics,
    pub limits: LimitMetrics,
    pub identity: IdentityMetrics,
    pub routing: RoutingMetrics,
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("hermetic");
        let gateway = GatewayMetrics::register(&mut registry);
        let limits = LimitMetrics::register(&mut registry);
        let identity = IdentityMetrics::register(&mut registry);
        let routing = RoutingMetrics::register(&mut registry);
        Self { registry, gateway, limits, identity, routing }
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
