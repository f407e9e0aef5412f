//! What shall be served: the configuration's models, resolved against the registry, followed as releases move.

use super::error::ServeError;
use super::tokenizers::Tokenizers;
use crate::cli::enclave::Enclave;
use hermetic_clock::Clock;
use hermetic_config::{EngineSettings, Kind, Model, ModelSource};
use hermetic_diagnostics::Report;
use hermetic_digest::Digest;
use hermetic_gateway::{Route, RouteState, RoutingTable, Target};
use hermetic_ids::{Label, ModelKind, ModelName};
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
    /// `models` of the configuration; empty: every model of the release in production, under its own name.
    configured: Vec<Model>,
    wanted: watch::Sender<Wanted>,
    /// Manifest digest by weights digest, also of versions served before: their workers may still answer.
    manifests: Mutex<HashMap<Digest, Digest>>,
    tokenizers: Tokenizers,
}

/// The models, embedded and elsewhere, that shall be served.
#[derive(Clone, Default)]
pub(crate) struct Wanted {
    embedded: Vec<Embedded>,
    endpoints: Vec<Arc<Route>>,
}

#[derive(Clone)]
struct Embedded {
    name: ModelName,
    served: ServedModel,
    engine: EngineSettings,
    created: u64,
}

impl Models {
    pub(crate) fn open(enclave: &Enclave, clock: Clock) -> Result<Self, Report> {
        let models = Self(Arc::new(Inner {
            registry: enclave.registry()?,
            clock,
            configured: enclave.config.models.clone(),
            wanted: watch::channel(Wanted::default()).0,
            manifests: Mutex::new(HashMap::new()),
            tokenizers: Tokenizers::default(),
        }));
        models.0.wanted.send_replace(models.wanted()?);
        Ok(models)
    }

    /// Wakes whenever what shall be served changes.
    pub(crate) fn changes(&self) -> watch::Receiver<Wanted> {
        self.0.wanted.subscribe()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let wanted = self.0.wanted.borrow();
        let embedded = wanted.embedded.iter().map(|model| model.name.to_string());
        embedded.chain(wanted.endpoints.iter().map(|route| route.model.to_string())).collect()
    }

    /// One worker per embedded model.
    pub(crate) fn specs(&self) -> Vec<WorkerSpec> {
        let spec = |model: &Embedded| WorkerSpec {
            model: model.name.to_string(),
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
            match self.wanted() {
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

    /// The manifest behind some weights; the weights themselves when nothing is known of them.
    pub(crate) fn manifest_of(&self, weights: Digest) -> Digest {
        let manifests = self.0.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        manifests.get(&weights).copied().unwrap_or(weights)
    }

    /// The routing table for the workers there are.
    pub(crate) fn routes(&self, workers: &[WorkerStatus]) -> RoutingTable {
        let wanted = self.0.wanted.borrow();
        let embedded = wanted.embedded.iter().map(|model| self.route(model, workers));
        RoutingTable::new(embedded.chain(wanted.endpoints.iter().map(|route| Route::clone(route))))
    }

    /// The wanted version when its worker is ready, else whichever version still answers, else a route that waits.
    fn route(&self, model: &Embedded, workers: &[WorkerStatus]) -> Route {
        let mine = || workers.iter().filter(|worker| worker.model == model.name.as_str());
        let ready = |worker: &&WorkerStatus| worker.state == WorkerState::Ready;
        let wanted = |worker: &&WorkerStatus| worker.digest == model.served.weights;
        let chosen =
            mine().filter(ready).find(wanted).or_else(|| mine().find(ready)).or_else(|| mine().find(wanted));
        let state = match chosen.map(|worker| worker.state) {
            Some(WorkerState::Ready) => RouteState::Ready,
            _ => RouteState::Starting,
        };
        let weights = chosen.map_or(model.served.weights, |worker| worker.digest);
        Route {
            model: model.name.clone(),
            kind: model.served.kind,
            digest: Some(self.manifest_of(weights)),
            created: model.created,
            target: Arc::new(Target::unix(chosen.map(|worker| worker.socket.clone()).unwrap_or_default())),
            upstream_name: None,
            state,
            counting: self.0.tokenizers.embedded(weights, model.served.kind, model.engine),
        }
    }

    /// What shall be served, as configuration and registry have it now, with the tokenizers it is counted by.
    fn wanted(&self) -> Result<Wanted, Report> {
        let embedded = self.resolve()?;
        let counted = self.tokenizer_models()?;
        // Versions that are being replaced answer until the new ones are ready.
        let still: Vec<Digest> =
            self.0.wanted.borrow().embedded.iter().map(|model| model.served.weights).collect();
        let served: Vec<&ServedModel> =
            embedded.iter().map(|model| &model.served).chain(counted.values()).collect();
        self.0.tokenizers.follow(&served, &still);
        let endpoints = self.endpoints(&counted)?;
        Ok(Wanted { embedded, endpoints })
    }

    /// The artifacts in production whose tokenizers count for models that are served elsewhere, by their names.
    fn tokenizer_models(&self) -> Result<HashMap<ModelName, ServedModel>, RegistryError> {
        let named = self.0.configured.iter().filter_map(|model| match &model.source {
            ModelSource::Endpoint { counting, .. } => counting.tokenizer.clone(),
            ModelSource::Artifact { .. } => None,
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
    fn resolve(&self) -> Result<Vec<Embedded>, RegistryError> {
        let created = self.0.clock.unix_millis() / 1_000;
        let embed = |name: ModelName, served: ServedModel, engine| Embedded { name, served, engine, created };
        let mut embedded = Vec::new();
        if self.0.configured.is_empty() {
            let production = self.0.registry.production_models()?;
            embedded.extend(
                production
                    .into_iter()
                    .map(|served| embed(served.name.clone(), served, EngineSettings::default())),
            );
        }
        for model in &self.0.configured {
            let ModelSource::Artifact { artifact, label, engine } = &model.source else { continue };
            match self.find(artifact, label)? {
                Some(served) => embedded.push(embed(model.name.clone(), served, *engine)),
                None => {
                    tracing::warn!(model = %model.name, %artifact, %label, "no release under that label holds the model")
                }
            }
        }
        let mut manifests = self.0.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        manifests.extend(embedded.iter().map(|model| (model.served.weights, model.served.manifest)));
        Ok(embedded)
    }

    fn find(&self, artifact: &ModelName, label: &Label) -> Result<Option<ServedModel>, RegistryError> {
        let models = self.0.registry.models_under(label)?;
        Ok(models.into_iter().find(|served| served.name == *artifact))
    }

    /// Routes to engines that run elsewhere inside the enclave.
    fn endpoints(&self, tokenizers: &HashMap<ModelName, ServedModel>) -> Result<Vec<Arc<Route>>, ServeError> {
        let created = self.0.clock.unix_millis() / 1_000;
        let mut routes = Vec::new();
        for model in &self.0.configured {
            let ModelSource::Endpoint { base_url, upstream_model, kind, counting } = &model.source else {
                continue;
            };
            let malformed =
                || ServeError::Endpoint { model: model.name.to_string(), found: base_url.to_string() };
            let host = base_url.host_str().ok_or_else(malformed)?;
            let port = base_url.port_or_known_default().ok_or_else(malformed)?;
            // The gateway puts the surface's own `/v1/…` behind the base path.
            let base_path = base_url.path().trim_end_matches('/').trim_end_matches("/v1");
            let target = Target::tcp(host, port, base_path).ok_or_else(malformed)?;
            let artifact = counting.tokenizer.as_ref().and_then(|name| tokenizers.get(name));
            let artifact = artifact.map(|served| served.weights);
            let upstream_name = (upstream_model != &model.name).then(|| upstream_model.to_string());
            routes.push(Arc::new(Route {
                model: model.name.clone(),
                kind: match kind {
                    Kind::Chat => ModelKind::Chat,
                    Kind::Embedding => ModelKind::Embedding,
                },
                digest: None,
                created,
                target: Arc::new(target),
                upstream_name,
                state: RouteState::Ready,
                counting: self.0.tokenizers.endpoint(counting, artifact),
            }));
        }
        Ok(routes)
    }
}
