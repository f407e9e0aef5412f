//! Which model is served where. The composition puts a new table in place whenever a worker changes state; a request
//! sees one table from beginning to end.

use crate::counting::Counting;
use hermetic_digest::Digest;
use hermetic_ids::{ModelKind, ModelName};
use http::HeaderValue;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Routes by model name. Immutable.
#[derive(Debug, Clone, Default)]
pub struct RoutingTable {
    routes: BTreeMap<ModelName, Arc<Route>>,
}

/// One model and the engine that serves it.
#[derive(Debug, Clone)]
pub struct Route {
    pub model: ModelName,
    pub kind: ModelKind,
    /// Digest of the served weights' manifest; `None` for an engine outside the registry.
    pub digest: Option<Digest>,
    /// When this version entered service, seconds since 1970.
    pub created: u64,
    pub target: Arc<Target>,
    /// What the engine calls the model, where that is something else.
    pub upstream_name: Option<String>,
    pub state: RouteState,
    /// How its prompts are counted.
    pub counting: Counting,
}

/// Whether requests can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteState {
    Ready,
    /// Loading, or being restarted after a crash.
    Starting,
    /// Given up for now; somebody has to look.
    Failed,
}

/// Where an engine listens, speaking OpenAI over HTTP/1.1.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    pub(crate) place: Place,
    /// Put before `/v1/…`; empty or beginning with a slash.
    pub(crate) base_path: String,
    pub(crate) host: HeaderValue,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Unix(PathBuf),
    Tcp { host: String, port: u16 },
}

impl Target {
    /// A worker on this machine.
    pub fn unix(path: PathBuf) -> Self {
        Self { place: Place::Unix(path), base_path: String::new(), host: HeaderValue::from_static("worker") }
    }

    /// An engine inside the enclave. `None` when the host cannot stand in a `Host` header or the base
    /// path is not one.
    pub fn tcp(host: &str, port: u16, base_path: &str) -> Option<Self> {
        let header = HeaderValue::from_str(&format!("{host}:{port}")).ok()?;
        let base_path = base_path.trim_end_matches('/').to_owned();
        let well_formed = base_path.parse::<http::uri::PathAndQuery>().is_ok() && base_path.starts_with('/');
        if !base_path.is_empty() && !well_formed {
            return None;
        }
        Some(Self { place: Place::Tcp { host: host.to_owned(), port }, base_path, host: header })
    }
}

impl RoutingTable {
    /// A later route replaces an earlier one of the same model.
    pub fn new(routes: impl IntoIterator<Item = Route>) -> Self {
        Self { routes: routes.into_iter().map(|route| (route.model.clone(), Arc::new(route))).collect() }
    }

    pub fn get(&self, model: &ModelName) -> Option<&Arc<Route>> {
        self.routes.get(model)
    }

    /// Sorted by model name.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.values()
    }
}
