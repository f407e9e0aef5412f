//! The targets of a virtual model as the rest of the program sees them.

use super::{EngineSettings, engine};
use crate::formats::{self, HedgeDelay};
use crate::wire::targets as wire;
use crate::wire::{Kind, Speaks, StickTo};
use hermetic_ids::{Label, ModelName};
use std::time::Duration;
use url::Url;

/// A virtual model: several targets behind one name.
#[derive(Debug, Clone)]
pub struct VirtualModel {
    pub kind: Kind,
    /// At least one.
    pub targets: Vec<TargetSettings>,
    pub routing: RoutingSettings,
}

#[derive(Debug, Clone)]
pub struct TargetSettings {
    pub name: String,
    pub source: TargetSource,
    pub tier: u32,
    pub weight: u32,
    /// 0: not a canary.
    pub canary_percent: u32,
    pub continues: bool,
    pub timeouts: Timeouts,
}

/// Where a target's answers come from.
#[derive(Debug, Clone)]
pub enum TargetSource {
    /// Another model of the list, with a single source.
    Model(ModelName),
    Artifact {
        artifact: ModelName,
        label: Label,
        engine: EngineSettings,
    },
    Endpoint {
        base_url: Url,
        upstream_model: ModelName,
        speaks: Speaks,
    },
}

/// `None`: the next wider default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Option<Duration>,
    pub first_token: Option<Duration>,
    pub idle: Option<Duration>,
    pub total: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoutingSettings {
    pub affinity_bytes: Option<u64>,
    pub canary_sticks_to: StickTo,
    pub retry_percent: u32,
    pub hedge: Option<HedgeSettings>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HedgeSettings {
    pub after: HedgeDelay,
    pub percent: u32,
}

pub(super) fn timeouts(wire: Option<wire::Timeouts>) -> Timeouts {
    let wire = wire.unwrap_or_default();
    let get = |duration: Option<crate::HumanDuration>| duration.map(crate::HumanDuration::get);
    Timeouts {
        connect: get(wire.connect),
        first_token: get(wire.first_token),
        idle: get(wire.idle),
        total: get(wire.total),
    }
}

pub(super) fn routing(wire: Option<wire::Routing>) -> Result<RoutingSettings, String> {
    let wire = wire.unwrap_or_default();
    let hedge = |hedge: wire::Hedge| {
        Ok::<_, String>(HedgeSettings { after: hedge.after.parse()?, percent: hedge.percent })
    };
    Ok(RoutingSettings {
        affinity_bytes: wire.affinity.map(crate::ByteSize::get),
        canary_sticks_to: wire.canary_sticks_to,
        retry_percent: wire.retry_percent,
        hedge: wire.hedge.map(hedge).transpose()?,
    })
}

pub(super) fn target(wire: wire::Target, of: &ModelName) -> Result<TargetSettings, String> {
    let name_of = |text: String| text.parse::<ModelName>().map_err(|error| error.to_string());
    let default_name = default_name(
        wire.model.as_deref(),
        wire.artifact.as_deref(),
        (wire.label.as_deref(), wire.endpoint.as_deref()),
    );
    let source = match (wire.model, wire.endpoint, wire.artifact) {
        (Some(model), _, _) => TargetSource::Model(name_of(model)?),
        (None, Some(endpoint), _) => TargetSource::Endpoint {
            base_url: formats::endpoint(&endpoint)?,
            upstream_model: wire.upstream_model.map_or(Ok(of.clone()), name_of)?,
            speaks: wire.speaks.unwrap_or_default(),
        },
        (None, None, artifact) => TargetSource::Artifact {
            artifact: artifact.map_or(Ok(of.clone()), name_of)?,
            label: wire.label.as_deref().unwrap_or("production").parse().map_err(|e| format!("{e}"))?,
            engine: engine(wire.engine),
        },
    };
    Ok(TargetSettings {
        name: wire.name.unwrap_or(default_name),
        source,
        tier: wire.tier,
        weight: wire.weight,
        canary_percent: wire.canary_percent.unwrap_or(0),
        continues: wire.continues,
        timeouts: timeouts(wire.timeouts.map(|own| wire::Timeouts {
            connect: own.connect,
            first_token: own.first_token,
            idle: own.idle,
            total: None,
        })),
    })
}

/// What a target is called when it does not say.
pub(crate) fn default_name(
    model: Option<&str>,
    artifact: Option<&str>,
    (label, endpoint): (Option<&str>, Option<&str>),
) -> String {
    if let Some(model) = model {
        return model.to_owned();
    }
    if let Some(url) = endpoint.and_then(|endpoint| formats::endpoint(endpoint).ok()) {
        let port = url.port_or_known_default().unwrap_or_default();
        let path = url.path().trim_end_matches('/').trim_end_matches("/v1");
        return format!("{}:{port}{path}", url.host_str().unwrap_or_default());
    }
    format!("{}:{}", artifact.unwrap_or_default(), label.unwrap_or("production"))
}
