//! The configuration as the rest of the program sees it: parsed types, defaults filled in, paths made whole.

mod batches;
pub(crate) mod guardrails;
pub(crate) mod limits;
mod limits_store;
mod queue;
mod responses;

pub use batches::BatchSettings;
pub use guardrails::{GuardActions, GuardException, GuardRule, Guardrails};
pub use limits::ModelTerms;
mod identity;
mod tls;

pub use identity::{CertificateMatch, CertificateRule, Grants, Identity, Issuer, IssuerKeys, Throttle};
pub use limits_store::LimitsStore;
pub use queue::QueueSettings;
pub use responses::ResponseSettings;
pub use tls::GatewayTls;
pub(crate) mod targets;

use crate::boundary::EnclaveBoundary;
use crate::diff;
use crate::formats;
use crate::mistake::{Mistake, WRONG_VALUE};
use crate::rules;
use crate::schema::{self, Shape, View};
use crate::tree::{Node, Value};
use crate::units::ByteSize;
use crate::wire::{self, Capture, Durability, Kind, LogFormat, LogLevel, Speaks, Tier, Tokenize};
use hermetic_ids::{Label, ModelName};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use targets::{Timeouts, VirtualModel};
use url::Url;

mod classification;

pub use classification::{Classification, ModelMarks};

/// A checked configuration. Only [`crate::parse`] makes one.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    pub tier: Tier,
    pub state_dir: PathBuf,
    pub network: Network,
    pub gateway: Gateway,
    pub identity: Identity,
    pub policy: Policy,
    pub classification: Classification,
    /// Empty: serve every model of the release in production under its own name.
    pub models: Vec<Model>,
    /// Checked against each other; `RuleSet::new` takes them.
    pub limits: Vec<hermetic_limits::Rule>,
    pub guardrails: Guardrails,
    /// Where shared limits are counted.
    pub limits_store: Option<LimitsStore>,
    pub batches: BatchSettings,
    pub responses: ResponseSettings,
    pub ledger: LedgerSettings,
    pub import: Import,
    pub log: Log,
    /// Every value in force, as the file would say it: what [`crate::changes`] compares.
    pub(crate) values: serde_json::Value,
}

#[derive(Debug, Clone)]
pub struct Network {
    pub enclave: EnclaveBoundary,
}

#[derive(Debug, Clone)]
pub struct Gateway {
    pub listen: SocketAddr,
    pub threads: u32,
    /// `None`: plain HTTP.
    pub tls: Option<GatewayTls>,
    pub drain_grace: Duration,
    pub keep_alive: Duration,
    pub target_header: bool,
    /// `None`: derived from what the process may use.
    pub memory: Option<u64>,
    pub queue: QueueSettings,
    pub limits: GatewayLimits,
}

#[derive(Debug, Clone, Copy)]
pub struct GatewayLimits {
    pub request_body_bytes: u64,
    pub header_bytes: u64,
    pub connections: u32,
    /// 0: no cap.
    pub connections_per_address: u32,
    pub requests: u32,
    pub lag: Duration,
    pub header_timeout: Duration,
    pub body_timeout: Duration,
    /// Bytes a second; 0: no such limit.
    pub body_rate: u64,
    pub engine_time: Duration,
    pub limit_counters: u32,
    pub engine_timeout: Duration,
    pub client_stall_timeout: Duration,
}

#[derive(Debug, Clone)]
pub struct Policy {
    /// Without a folder, nothing is permitted.
    pub dir: Option<PathBuf>,
}

#[derive(Debug, Clone)]
pub struct Model {
    /// The name applications ask for.
    pub name: ModelName,
    pub source: ModelSource,
    /// Requests at the engine at once, where the file says it.
    pub concurrency: Option<u32>,
    pub terms: ModelTerms,
    pub timeouts: Timeouts,
    pub marks: ModelMarks,
}

/// Where a model's answers come from.
#[derive(Debug, Clone)]
pub enum ModelSource {
    /// A version in the registry, run by the embedded engine.
    Artifact { artifact: ModelName, label: Label, engine: EngineSettings },
    /// An OpenAI-compatible server. In sealed tiers its host lies inside the enclave.
    Endpoint {
        base_url: Url,
        upstream_model: ModelName,
        speaks: Speaks,
        kind: Kind,
        counting: EndpointCounting,
    },
    /// Several of either kind.
    Targets(VirtualModel),
}

/// How the prompts for a server elsewhere are counted.
#[derive(Debug, Clone, Default)]
pub struct EndpointCounting {
    /// The artifact whose tokenizer counts; `None`: what `tokenize` says.
    pub tokenizer: Option<ModelName>,
    pub tokenize: Tokenize,
    pub context_tokens: Option<u32>,
}

/// How the embedded engine runs a model. `None`: the engine's own default.
#[derive(Debug, Clone, Copy, Default)]
pub struct EngineSettings {
    pub threads: Option<u32>,
    pub context_tokens: Option<u32>,
    pub parallel: Option<u32>,
    pub queue: Option<u32>,
}

#[derive(Debug, Clone)]
pub struct LedgerSettings {
    pub durability: Durability,
    /// What may be on its way to the disk under [`Durability::Relaxed`]: records, and for how long.
    pub relaxed_window: (u64, Duration),
    pub origin: String,
    pub checkpoint_interval: Duration,
    pub queue_records: u32,
    pub capture: Capture,
}

#[derive(Debug, Clone)]
pub struct Import {
    pub engineer: Option<String>,
}

#[derive(Debug, Clone, Copy)]
pub struct Log {
    pub level: LogLevel,
    pub format: LogFormat,
}

/// Converts a tree in which `walk` and `rules` found nothing wrong. What fails here all the same is reported, not
/// assumed away.
pub(crate) fn convert(root: &Node, base: &Path) -> Result<Config, Mistake> {
    let fail = |message: String| Mistake { at: root.at, key: String::new(), code: WRONG_VALUE, message };
    let value = to_json(root, Some(schema::root()));
    let file: wire::File = serde_json::from_value(value).map_err(|error| fail(error.to_string()))?;
    let values = serde_json::to_value(&file).map_err(|error| fail(error.to_string()))?;
    let models = file.models.into_iter().map(model).collect::<Result<Vec<_>, _>>().map_err(fail)?;
    Ok(Config {
        tier: file.tier,
        state_dir: base.join(file.state_dir),
        network: Network { enclave: rules::boundary(root) },
        gateway: gateway(file.gateway, base).map_err(fail)?,
        identity: identity::convert(file.identity, base).map_err(fail)?,
        policy: Policy { dir: file.policy.dir.map(|dir| base.join(dir)) },
        classification: classification::classification(&file.classification).map_err(fail)?,
        models,
        limits: limits::rules(file.limits).map_err(fail)?,
        guardrails: guardrails::guardrails(file.guardrails).map_err(fail)?,
        limits_store: file
            .limits_store
            .map(|store| limits_store::convert(store, base))
            .transpose()
            .map_err(fail)?,
        batches: batches::batches(&file.batches),
        responses: responses::responses(&file.responses),
        ledger: LedgerSettings {
            durability: file.ledger.durability,
            relaxed_window: (file.ledger.relaxed_window.records.into(), file.ledger.relaxed_window.age.get()),
            origin: file.ledger.origin,
            checkpoint_interval: file.ledger.checkpoint_interval.get(),
            queue_records: file.ledger.queue_records,
            capture: file.ledger.capture,
        },
        import: Import { engineer: file.import.engineer },
        log: Log { level: file.log.level, format: file.log.format },
        values: diff::with_whole_paths(values, base),
    })
}

fn gateway(wire: wire::Gateway, base: &Path) -> Result<Gateway, String> {
    Ok(Gateway {
        listen: formats::listen_address(&wire.listen)?,
        threads: wire.threads,
        tls: wire.tls.as_ref().map(|wire| tls::convert(wire, base)),
        drain_grace: wire.drain_grace.get(),
        keep_alive: wire.keep_alive.get(),
        target_header: wire.target_header,
        memory: wire.memory.map(ByteSize::get),
        queue: queue::queue(wire.queue)?,
        limits: GatewayLimits {
            request_body_bytes: wire.limits.request_body_bytes.get(),
            header_bytes: wire.limits.header_bytes.get(),
            connections: wire.limits.connections,
            connections_per_address: wire.limits.connections_per_address,
            requests: wire.limits.requests,
            lag: wire.limits.lag.get(),
            header_timeout: wire.limits.header_timeout.get(),
            body_timeout: wire.limits.body_timeout.get(),
            body_rate: wire.limits.body_rate.get(),
            engine_time: wire.limits.engine_time.get(),
            limit_counters: wire.limits.limit_counters,
            engine_timeout: wire.limits.engine_timeout.get(),
            client_stall_timeout: wire.limits.client_stall_timeout.get(),
        },
    })
}

fn model(wire: wire::Model) -> Result<Model, String> {
    let marks = classification::marks(&wire)?;
    let name_of = |text: String| text.parse::<ModelName>().map_err(|error| error.to_string());
    let name = name_of(wire.name)?;
    let terms = ModelTerms {
        price: limits::price(wire.price.as_ref())?,
        output_tokens_default: wire.output_tokens_default.map(u64::from),
        output_tokens_max: wire.output_tokens_max.map(u64::from),
    };
    let timeouts = targets::timeouts(wire.timeouts);
    if !wire.targets.is_empty() {
        let targets = wire.targets.into_iter().map(|target| targets::target(target, &name));
        let source = ModelSource::Targets(VirtualModel {
            kind: wire.kind.unwrap_or_default(),
            targets: targets.collect::<Result<_, _>>()?,
            routing: targets::routing(wire.routing)?,
        });
        return Ok(Model { name, source, concurrency: wire.concurrency, terms, timeouts, marks });
    }
    let source = match wire.endpoint {
        Some(endpoint) => ModelSource::Endpoint {
            base_url: formats::endpoint(&endpoint)?,
            upstream_model: wire.upstream_model.map_or(Ok(name.clone()), name_of)?,
            speaks: wire.speaks.unwrap_or_default(),
            kind: wire.kind.unwrap_or_default(),
            counting: EndpointCounting {
                tokenizer: wire.tokenizer.map(name_of).transpose()?,
                tokenize: wire.tokenize.unwrap_or_default(),
                context_tokens: wire.context_tokens,
            },
        },
        None => ModelSource::Artifact {
            artifact: wire.artifact.map_or(Ok(name.clone()), name_of)?,
            label: wire.label.as_deref().unwrap_or("production").parse().map_err(|e| format!("{e}"))?,
            engine: engine(wire.engine),
        },
    };
    Ok(Model { name, source, concurrency: wire.concurrency, terms, timeouts, marks })
}

fn engine(wire: Option<wire::Engine>) -> EngineSettings {
    let wire = wire.unwrap_or_default();
    EngineSettings {
        threads: wire.threads,
        context_tokens: wire.context_tokens,
        parallel: wire.parallel,
        queue: wire.queue,
    }
}

/// The tree as JSON, each scalar read as its schema asks; groups and lists that hold nothing are left out.
fn to_json(node: &Node, schema: Option<View<'_>>) -> serde_json::Value {
    use serde_json::Value as Json;
    match &node.value {
        Value::Map(entries) => entries
            .iter()
            .map(|entry| {
                (&entry.key, to_json(&entry.node, schema.and_then(|schema| schema.property(&entry.key))))
            })
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), value))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::List(items) => items.iter().map(|item| to_json(item, schema.and_then(View::items))).collect(),
        Value::Scalar(scalar) if scalar.is_null() => Json::Null,
        Value::Scalar(scalar) => match schema.map(View::shape) {
            Some(Shape::Integer { .. }) => scalar.as_integer().map_or(Json::Null, Json::from),
            Some(Shape::Boolean) => scalar.as_bool().map_or(Json::Null, Json::from),
            _ => Json::from(scalar.text.as_str()),
        },
    }
}
