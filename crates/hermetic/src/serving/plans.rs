//! From the configuration's targets to the gateway's plans: the part of serving that does not change while it runs.

use super::error::ServeError;
use hermetic_config::{
    HedgeDelay, Kind, Model, ModelSource, RoutingSettings, Speaks, StickTo, TargetSettings, TargetSource,
    Timeouts, VirtualModel,
};
use hermetic_gateway::{Counting, Fleet, Hedge, HedgeAfter, Plan, PlanRules, PlannedTarget, Route, Target};
use hermetic_ids::{ModelKind, ModelName};
use hermetic_inference_api::Dialect;
use std::sync::Arc;
use url::Url;

/// An engine elsewhere inside the enclave, under the name of a model with one source.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) model: ModelName,
    pub(super) kind: ModelKind,
    planned: PlannedTarget,
    /// The name the server knows the model by.
    upstream: ModelName,
    timeouts: Timeouts,
}

/// A virtual model.
#[derive(Debug, Clone)]
pub(super) struct Virtual {
    pub(super) model: ModelName,
    pub(super) kind: ModelKind,
    targets: Vec<VirtualTarget>,
    rules: PlanRules,
}

#[derive(Debug, Clone)]
struct VirtualTarget {
    settings: TargetSettings,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    /// Whatever serves the model of that name, or the worker of that name.
    Named(String),
    Endpoint(PlannedTarget),
}

/// What a target that is named serves at the moment.
pub(super) struct Served {
    pub(super) kind: ModelKind,
    pub(super) planned: PlannedTarget,
    pub(super) counting: Counting,
}

/// The worker of an artifact that only a virtual model's target asks for. Not shared between virtual models: a target
/// that names a model is.
pub(super) fn worker_name(model: &ModelName, target: &TargetSettings) -> String {
    format!("{model}:{}", target.name)
}

pub(crate) fn kind_of(kind: Kind) -> ModelKind {
    match kind {
        Kind::Chat => ModelKind::Chat,
        Kind::Embedding => ModelKind::Embedding,
        Kind::Rerank => ModelKind::Rerank,
        Kind::Transcription => ModelKind::Transcription,
        Kind::Image => ModelKind::Image,
    }
}

fn dialect(speaks: Speaks) -> Dialect {
    match speaks {
        Speaks::ChatCompletions => Dialect::ChatCompletions,
        Speaks::Messages => Dialect::Messages,
        Speaks::Responses => Dialect::Responses,
    }
}

impl Endpoint {
    /// `None` when the model is not an endpoint.
    pub(super) fn of(model: &Model, fleet: &Fleet) -> Result<Option<Self>, ServeError> {
        let ModelSource::Endpoint { base_url, upstream_model, speaks, kind, .. } = &model.source else {
            return Ok(None);
        };
        let mut planned = endpoint(&model.name, (model.name.as_str(), base_url, upstream_model), fleet)?;
        planned.timeouts = timeouts([model.timeouts]);
        planned.dialect = dialect(*speaks);
        let (name, kind) = (model.name.clone(), kind_of(*kind));
        Ok(Some(Self {
            model: name,
            kind,
            planned,
            upstream: upstream_model.clone(),
            timeouts: model.timeouts,
        }))
    }

    /// As a target of a virtual model, whose name the server does not know.
    pub(super) fn served(&self) -> Served {
        let upstream_name = Some(self.upstream.to_string());
        let planned = PlannedTarget { upstream_name, ..self.planned.clone() };
        Served { kind: self.kind, planned, counting: Counting::default() }
    }

    pub(super) fn route(&self, created: u64, counting: Counting) -> Route {
        let served = Served { kind: self.kind, planned: self.planned.clone(), counting };
        single(&self.model, served, (created, self.timeouts))
    }
}

/// The route of a model with one source.
pub(super) fn single(model: &ModelName, served: Served, (created, limits): (u64, Timeouts)) -> Route {
    let Served { kind, mut planned, counting } = served;
    planned.timeouts = timeouts([limits]);
    let mut plan = Plan::single(planned);
    plan.rules.total = limits.total;
    Route { model: model.clone(), kind, profile: Arc::default(), created, plan, counting }
}

impl Virtual {
    /// `None` when the model has one source.
    pub(super) fn of(model: &Model, fleet: &Fleet) -> Result<Option<Self>, ServeError> {
        let ModelSource::Targets(VirtualModel { kind, targets, routing }) = &model.source else {
            return Ok(None);
        };
        let targets = targets.iter().map(|settings| {
            let source = match &settings.source {
                TargetSource::Model(name) => Source::Named(name.to_string()),
                TargetSource::Artifact { .. } => Source::Named(worker_name(&model.name, settings)),
                TargetSource::Endpoint { base_url, upstream_model, speaks } => {
                    let mut planned =
                        endpoint(&model.name, (&settings.name, base_url, upstream_model), fleet)?;
                    planned.timeouts = timeouts([settings.timeouts, model.timeouts]);
                    planned.dialect = dialect(*speaks);
                    Source::Endpoint(planned)
                }
            };
            Ok(VirtualTarget {
                settings: TargetSettings { timeouts: merged(settings, model), ..settings.clone() },
                source,
            })
        });
        Ok(Some(Self {
            model: model.name.clone(),
            kind: kind_of(*kind),
            targets: targets.collect::<Result<_, ServeError>>()?,
            rules: rules(routing, model.timeouts),
        }))
    }

    /// The route for what is served now; `None` while there is nothing it could go to. `find`: what serves a name.
    pub(super) fn route(
        &self,
        (created, fleet): (u64, &Fleet),
        find: impl Fn(&str) -> Option<Served>,
    ) -> Option<Route> {
        let planned = self.targets.iter().filter_map(|VirtualTarget { settings, source }| {
            let mut planned = match source {
                Source::Endpoint(planned) => planned.clone(),
                Source::Named(name) => {
                    let served = find(name)?;
                    if served.kind != self.kind {
                        let (found, expected) = (served.kind.as_str(), self.kind.as_str());
                        tracing::warn!(model = %self.model, target_name = %settings.name, found, expected, "a target of another kind is left out");
                        return None;
                    }
                    let mut planned = served.planned;
                    planned.timeouts = timeouts([settings.timeouts]);
                    planned
                }
            };
            planned.name = settings.name.as_str().into();
            planned.tier = u8::try_from(settings.tier).unwrap_or(u8::MAX);
            planned.weight = settings.weight.max(1);
            planned.canary_percent = settings.canary_percent;
            planned.continues = settings.continues;
            Some(planned)
        });
        let state = fleet.plan_state(&self.model, &self.rules);
        let plan = Plan::tiers(planned.collect(), self.rules, state)?;
        // Its targets may have different tokenizers: the bytes are more than any of them counts.
        Some(Route {
            model: self.model.clone(),
            kind: self.kind,
            profile: Arc::default(),
            created,
            plan,
            counting: Counting::default(),
        })
    }
}

/// What the target says goes before what the model says.
fn merged(target: &TargetSettings, model: &Model) -> Timeouts {
    let (own, common) = (target.timeouts, model.timeouts);
    Timeouts {
        connect: own.connect.or(common.connect),
        first_token: own.first_token.or(common.first_token),
        idle: own.idle.or(common.idle),
        total: common.total,
    }
}

fn timeouts<const N: usize>(by_rank: [Timeouts; N]) -> hermetic_gateway::Timeouts {
    hermetic_gateway::Timeouts {
        connect: by_rank.iter().find_map(|timeouts| timeouts.connect),
        first_token: by_rank.iter().find_map(|timeouts| timeouts.first_token),
        idle: by_rank.iter().find_map(|timeouts| timeouts.idle),
    }
}

fn rules(routing: &RoutingSettings, timeouts: Timeouts) -> PlanRules {
    PlanRules {
        affinity_bytes: routing.affinity_bytes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
        stick_to: match routing.canary_sticks_to {
            StickTo::Request => hermetic_gateway::StickTo::Request,
            StickTo::Key => hermetic_gateway::StickTo::Key,
            StickTo::Project => hermetic_gateway::StickTo::Project,
        },
        retry_percent: routing.retry_percent,
        hedge: routing.hedge.map(|hedge| Hedge {
            after: match hedge.after {
                HedgeDelay::Fixed(after) => HedgeAfter::Fixed(after),
                HedgeDelay::Percentile(percent) => HedgeAfter::Percentile(percent),
            },
            percent: hedge.percent,
        }),
        total: timeouts.total,
    }
}

fn endpoint(
    model: &ModelName,
    (name, base_url, upstream_model): (&str, &Url, &ModelName),
    fleet: &Fleet,
) -> Result<PlannedTarget, ServeError> {
    let malformed = || ServeError::Endpoint { model: model.to_string(), found: base_url.to_string() };
    let host = base_url.host_str().ok_or_else(malformed)?;
    let port = base_url.port_or_known_default().ok_or_else(malformed)?;
    // The gateway puts the surface's own `/v1/…` behind the base path.
    let base_path = base_url.path().trim_end_matches('/').trim_end_matches("/v1");
    let target = Target::tcp(host, port, base_path).ok_or_else(malformed)?;
    let mut planned = PlannedTarget::new(name, fleet.target(target));
    planned.upstream_name = (upstream_model != model).then(|| upstream_model.to_string());
    Ok(planned)
}
