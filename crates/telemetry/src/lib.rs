//! Metric names and labels, log set-up.
//!
//! What it is for: one place where every metric and label is named, so that a dashboard can be read against it, and
//! the one way logs are written. What it must not know: services; who scrapes.
//!
//! Invariants: every label has a closed set of values (no key, subject, path or model a caller made up becomes a time
//! series); nothing here opens a socket: metrics are rendered for whoever asks over the gateway's own listener.

mod batches;
mod gateway;
mod guard;
mod identity;
mod limits;
mod logging;
mod metrics;
mod routing;
mod shared_counters;

pub use batches::BatchMetrics;
pub use gateway::{
    CountedByLabel, GatewayMetrics, OutcomeLabel, SettledRequest, SurfaceLabel, TokenDirection,
};
pub use guard::GuardMetrics;
pub use identity::IdentityMetrics;
pub use limits::LimitMetrics;
pub use logging::{LogError, LogFormat, LogLevelHandle, start_logging};
pub use metrics::{CONTENT_TYPE, Metrics, ReloadMetrics};
pub use routing::RoutingMetrics;
pub use shared_counters::{LeaseLabel, SharedCountersMetrics};
