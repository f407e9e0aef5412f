//! Which model is served where. The composition puts a new table in place whenever a worker changes state; a request
//! sees one table from beginning to end.
//!
//! ```text
//! RoutingTable ── Route (the name callers use) ── Plan ── PlannedTarget ── Target (a place, and how it fares)
//! ```
//!
//! A model with one source has a plan of one target; a virtual model one of several, in tiers.

mod fleet;
mod plan;
mod target;

pub(crate) mod attend;

pub use fleet::Fleet;
pub(crate) use plan::{Chosen, Wish, hash};
pub use plan::{Hedge, HedgeAfter, Plan, PlanRules, PlanState, PlannedTarget, StickTo, Timeouts};
pub use target::Target;
pub(crate) use target::{Ended, Place};

use crate::counting::Counting;
use crate::profile::ModelProfile;
use hermetic_digest::Digest;
use hermetic_ids::{ModelKind, ModelName};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Routes by model name. Immutable.
#[derive(Debug, Clone, Default)]
pub struct RoutingTable {
    routes: BTreeMap<ModelName, Arc<Route>>,
}

/// One model, as callers and policies name it, and where its requests may go.
#[derive(Debug, Clone)]
pub struct Route {
    pub model: ModelName,
    pub kind: ModelKind,
    /// What policies may know of it besides.
    pub profile: Arc<ModelProfile>,
    /// When this version entered service, seconds since 1970.
    pub created: u64,
    pub plan: Plan,
    /// How its prompts are counted.
    pub counting: Counting,
}

/// Whether requests can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RouteState {
    Ready,
    /// Loading, or being restarted after a crash.
    Starting,
    /// Given up for now; somebody has to look.
    Failed,
}

impl Route {
    /// The state of its best target.
    pub fn state(&self) -> RouteState {
        self.plan.targets().iter().map(|target| target.state).min().unwrap_or(RouteState::Failed)
    }

    /// Digest of the served weights' manifest, when it is the same whichever target answers; `None` for engines outside
    /// the registry, and while two versions are served side by side.
    pub fn digest(&self) -> Option<Digest> {
        let mut digests = self.plan.targets().iter().map(|target| target.digest);
        let first = digests.next().flatten();
        if digests.all(|digest| digest == first) { first } else { None }
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
