//! What shall be served: the configuration's models, resolved against the registry, followed as releases move.

use super::error::ServeError;
use super::plans::{self, Endpoint, Served, Virtual};
use super::profiles::Profiles;
use super::tokenizers::Tokenizers;
use crate::cli::enclave::Enclave;
use hermetic_clock::Clock;
use hermetic_config::{EngineSettings, Model, ModelSource, TargetSettings, TargetSource, Timeouts};
use hermetic_diagnostics::Report;
use hermetic_digest::Digest;
use hermetic_gateway::{Counting, Fleet, PlannedTarget, Route, RouteState, RoutingTable, Target};
use hermetic_ids::{Label, ModelName};
use hermetic_registry::{Registry, RegistryError, ServedModel};
use hermetic_worker::{Supervisor, WorkerSpec, WorkerState, WorkerStatus};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How often the registry's generation is read: a promotion made by another process is served within about this long.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// What shall be served, now. Cheap to clone; all clones see the same.
#[derive(Clone)]
pub(crate) struct Models(Arc<Inner>);

struct Inner {
    registry: Registry,
    clock: Clock,
    /// What the configuration in force says.
    configured: Mutex<Arc<Configured>>,
    /// What is known of each target, from one table to the next.
    fleet: Fleet,
    wanted: watch::Sender<Wanted>,
    /// Manifest digest by worker and weights digest, also of versions served before: their workers may still answer. Two
    /// versions may have the same weights.
    manifests: Mutex<HashMap<(String, Digest), Digest>>,
    tokenizers: Tokenizers,
}

/// What changes with the configuration alone.
struct Configured {
    /// `models` of the configuration; empty: every model of the release in production, under its own name.
    models: Vec<Model>,
    /// Engines elsewhere, and virtual models.
    endpoints: Vec<Endpoint>,
    virtuals: Vec<Virtual>,
    /// What policies may know of each.
    profiles: Profiles,
    /// When they entered service.
    created: u64,
}

/// What a configuration serves, resolved against the registry and not yet in force.
pub(crate) struct Prepared {
    configured: Arc<Configured>,
    wanted: Wanted,
}

/// The embedded models that shall be served: those of the configuration, and those only a virtual model names.
#[derive(Clone, Default)]
pub(crate) struct Wanted {
    embedded: Vec<Embedded>,
    /// How the prompts for engines elsewhere are counted, by model.
    counting: HashMap<ModelName, Counting>,
}

#[derive(Clone)]
struct Embedded {
    /// The model's name or, when only a virtual model's target asks for it, one made of both.
    worker: String,
    /// `None`: it is no model of its own.
    name: Option<ModelName>,
    served: ServedModel,
    engine: EngineSettings,
    timeouts: Timeouts,
    created: u64,
}

impl Models {
    pub(crate) fn open(enclave: &Enclave, clock: Clock) -> Result<Self, Report> {
        let fleet = Fleet::default();
        let configured = Configured::of(&enclave.config.models, &fleet, &clock)?;
        let models = Self(Arc::new(Inner {
            registry: enclave.registry()?,
            clock,
            configured: Mutex::new(Arc::new(configured)),
            fleet,
            wanted: watch::channel(Wanted::default()).0,
            manifests: Mutex::new(HashMap::new()),
            tokenizers: Tokenizers::default(),
        }));
        models.0.wanted.send_replace(models.wanted(&models.configured())?);
        Ok(models)
    }

    /// Resolves what another configuration would serve; nothing of it is in force.
    pub(crate) fn prepare(&self, models: &[Model]) -> Result<Prepared, Report> {
        let configured = Arc::new(Configured::of(models, &self.0.fleet, &self.0.clock)?);
        Ok(Prepared { wanted: self.wanted(&configured)?, configured })
    }

    /// Serves what was prepared, from now on.
    pub(crate) fn put_in_force(&self, prepared: Prepared, supervisor: &Supervisor) {
        *self.0.configured.lock().unwrap_or_else(PoisonError::into_inner) = prepared.configured;
        self.0.wanted.send_replace(prepared.wanted);
        supervisor.set(self.specs());
    }

    fn configured(&self) -> Arc<Configured> {
        Arc::clone(&self.0.configured.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Wakes whenever what shall be served changes.
    pub(crate) fn changes(&self) -> watch::Receiver<Wanted> {
        self.0.wanted.subscribe()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let (wanted, configured) = (self.0.wanted.borrow(), self.configured());
        let embedded = wanted.embedded.iter().filter_map(|model| model.name.as_ref());
        let elsewhere = configured.endpoints.iter().map(|endpoint| &endpoint.model);
        let virtuals = configured.virtuals.iter().map(|model| &model.model);
        embedded.chain(elsewhere).chain(virtuals).map(ToString::to_string).collect()
    }

    /// One worker per embedded model.
    pub(crate) fn specs(&self) -> Vec<WorkerSpec> {
        let spec = |model: &Embedded| WorkerSpec {
            model: model.worker.clone(),
            digest: model.served.weights,
            kind: model.served.kind,
            weights: model.served.weights_path.clone(),
            threads: model.engine.threads,
            context: model.engine.context_tokens,
            slots: model.engine.parallel,
            queue: model.engine.queue,
        };
        self.0.wanted.borrow().embedded.iter().map(spec).collect()
    }

    /// Follows the registry until dropped; new versions go to the supervisor. While it cannot be read, what is served stays.
    pub(crate) async fn follow_registry(&self, supervisor: &Supervisor) -> Infallible {
        let mut seen = self.0.registry.generation().ok();
        let mut ticks = tokio::time::interval(FOLLOW_EVERY);
        loop {
            ticks.tick().await;
            let generation = match self.0.registry.generation() {
                Ok(generation) => Some(generation),
                Err(error) => {
                    tracing::error!(error = %error, "the registry cannot be read; what is served stays as it is");
                    continue;
                }
            };
            if generation == seen {
                continue;
            }
            match self.wanted(&self.configured()) {
                Ok(wanted) => {
                    seen = generation;
                    self.0.wanted.send_replace(wanted);
                    supervisor.set(self.specs());
                }
                Err(error) => {
                    tracing::error!(error = %error, "what is in production cannot be served; the former stays");
                }
            }
        }
    }

    /// The manifest behind the weights a worker runs; the weights themselves when nothing is known of them.
    pub(crate) fn manifest_of(&self, worker: &str, weights: Digest) -> Digest {
        let manifests = self.0.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        manifests.get(&(worker.to_owned(), weights)).copied().unwrap_or(weights)
    }

    /// The routing table for the workers there are.
    pub(crate) fn routes(&self, workers: &[WorkerStatus]) -> RoutingTable {
        let (wanted, configured) = (self.0.wanted.borrow(), self.configured());
        let created = configured.created;
        let embedded = wanted.embedded.iter().filter_map(|model| {
            let limits = (model.created, model.timeouts);
            Some(plans::single(model.name.as_ref()?, self.served(model, workers), limits))
        });
        let elsewhere = configured.endpoints.iter().map(|endpoint| {
            let counting = wanted.counting.get(&endpoint.model).cloned().unwrap_or_default();
            endpoint.route(created, counting)
        });
        let find = |name: &str| {
            let embedded = wanted.embedded.iter().find(|model| model.worker == name);
            let elsewhere = || configured.endpoints.iter().find(|endpoint| endpoint.model.as_str() == name);
            embedded.map(|model| self.served(model, workers)).or_else(|| elsewhere().map(Endpoint::served))
        };
        let virtuals =
            configured.virtuals.iter().filter_map(|model| model.route((created, &self.0.fleet), find));
        let routes = embedded.chain(elsewhere).chain(virtuals);
        RoutingTable::new(
            routes.map(|route| Route { profile: configured.profiles.get(&route.model), ..route }),
        )
    }

    /// The wanted version when its worker is ready, else whichever version still answers, else a target that waits.
    fn served(&self, model: &Embedded, workers: &[WorkerStatus]) -> Served {
        let mine = || workers.iter().filter(|worker| worker.model == model.worker);
        let ready = |worker: &&WorkerStatus| worker.state == WorkerState::Ready;
        let wanted = |worker: &&WorkerStatus| worker.digest == model.served.weights;
        let chosen =
            mine().filter(ready).find(wanted).or_else(|| mine().find(ready)).or_else(|| mine().find(wanted));
        let state = match chosen.map(|worker| worker.state) {
            Some(WorkerState::Ready) => RouteState::Ready,
            _ => RouteState::Starting,
        };
        let weights = chosen.map_or(model.served.weights, |worker| worker.digest);
        let socket = chosen.map(|worker| worker.socket.clone()).unwrap_or_default();
        let planned = PlannedTarget {
            digest: Some(self.manifest_of(&model.worker, weights)),
            state,
            ..PlannedTarget::new(&model.worker, self.0.fleet.target(Target::unix(socket)))
        };
        let counting = self.0.tokenizers.embedded(weights, model.served.kind, model.engine);
        Served { kind: model.served.kind, planned, counting }
    }

    /// What shall be served, as configuration and registry have it now, with the tokenizers it is counted by.
    fn wanted(&self, configured: &Configured) -> Result<Wanted, Report> {
        let embedded = self.resolve(&configured.models)?;
        let counted = self.tokenizer_models(&configured.models)?;
        // Versions that are being replaced answer until the new ones are ready.
        let still: Vec<Digest> =
            self.0.wanted.borrow().embedded.iter().map(|model| model.served.weights).collect();
        let served: Vec<&ServedModel> =
            embedded.iter().map(|model| &model.served).chain(counted.values()).collect();
        self.0.tokenizers.follow(&served, &still);
        let counting = configured.models.iter().filter_map(|model| {
            let ModelSource::Endpoint { counting, .. } = &model.source else { return None };
            let artifact = counting.tokenizer.as_ref().and_then(|name| counted.get(name));
            let artifact = artifact.map(|served| served.weights);
            Some((model.name.clone(), self.0.tokenizers.endpoint(counting, artifact)))
        });
        Ok(Wanted { counting: counting.collect(), embedded })
    }

    /// The artifacts in production whose tokenizers count for models that are served elsewhere, by their names.
    fn tokenizer_models(
        &self,
        configured: &[Model],
    ) -> Result<HashMap<ModelName, ServedModel>, RegistryError> {
        let named = configured.iter().filter_map(|model| match &model.source {
            ModelSource::Endpoint { counting, .. } => counting.tokenizer.clone(),
            ModelSource::Artifact { .. } | ModelSource::Targets(_) => None,
        });
        let mut found = HashMap::new();
        for artifact in named {
            match self.0.registry.production_models()?.into_iter().find(|served| served.name == artifact) {
                Some(served) => drop(found.insert(artifact, served)),
                None => {
                    tracing::warn!(%artifact, "no release in production holds the model whose tokenizer is to count");
                }
            }
        }
        Ok(found)
    }

    /// The embedded models as the registry has them now. A configured model that is not there is left out, and said.
    fn resolve(&self, configured: &[Model]) -> Result<Vec<Embedded>, RegistryError> {
        let created = self.0.clock.unix_millis() / 1_000;
        let mut embedded = Vec::new();
        if configured.is_empty() {
            let production = self.0.registry.production_models()?;
            embedded.extend(production.into_iter().map(|served| Embedded {
                worker: served.name.to_string(),
                name: Some(served.name.clone()),
                served,
                engine: EngineSettings::default(),
                timeouts: Timeouts::default(),
                created,
            }));
        }
        for wish in configured.iter().flat_map(wishes) {
            let Wish { worker, name, artifact, label, engine, timeouts } = wish;
            match self.find(artifact, label)? {
                Some(served) => {
                    let name = name.cloned();
                    embedded.push(Embedded { worker, name, served, engine, timeouts, created });
                }
                None => {
                    tracing::warn!(model = %worker, %artifact, %label, "no release under that label holds the model")
                }
            }
        }
        let mut manifests = self.0.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        let manifest =
            |model: &Embedded| ((model.worker.clone(), model.served.weights), model.served.manifest);
        manifests.extend(embedded.iter().map(manifest));
        Ok(embedded)
    }

    fn find(&self, artifact: &ModelName, label: &Label) -> Result<Option<ServedModel>, RegistryError> {
        let models = self.0.registry.models_under(label)?;
        Ok(models.into_iter().find(|served| served.name == *artifact))
    }
}

/// An artifact the configuration wants served by the embedded engine.
struct Wish<'a> {
    worker: String,
    name: Option<&'a ModelName>,
    artifact: &'a ModelName,
    label: &'a Label,
    engine: EngineSettings,
    timeouts: Timeouts,
}

fn wishes<'m>(model: &'m Model) -> Vec<Wish<'m>> {
    match &model.source {
        ModelSource::Artifact { artifact, label, engine } => vec![Wish {
            worker: model.name.to_string(),
            name: Some(&model.name),
            artifact,
            label,
            engine: *engine,
            timeouts: model.timeouts,
        }],
        ModelSource::Endpoint { .. } => Vec::new(),
        ModelSource::Targets(virtual_model) => {
            let wish = |target: &'m TargetSettings| {
                let TargetSource::Artifact { artifact, label, engine } = &target.source else { return None };
                let worker = plans::worker_name(&model.name, target);
                let (engine, timeouts) = (*engine, target.timeouts);
                Some(Wish { worker, name: None, artifact, label, engine, timeouts })
            };
            virtual_model.targets.iter().filter_map(wish).collect()
        }
    }
}

impl Configured {
    fn of(models: &[Model], fleet: &Fleet, clock: &Clock) -> Result<Self, ServeError> {
        let (mut endpoints, mut virtuals) = (Vec::new(), Vec::new());
        for model in models {
            endpoints.extend(Endpoint::of(model, fleet)?);
            virtuals.extend(Virtual::of(model, fleet)?);
        }
        let (models, profiles) = (models.to_vec(), Profiles::of(models));
        Ok(Self { models, endpoints, virtuals, profiles, created: clock.unix_millis() / 1_000 })
    }
}
