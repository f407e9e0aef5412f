//! Virtual models: several targets behind one name.

use super::{Engine, Speaks};
use crate::units::{ByteSize, HumanDuration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    /// What records, metrics and headers call this target. Default: the model, `ARTIFACT:LABEL`, or host and port of the
    /// endpoint.
    #[serde(default)]
    #[schemars(extend("format" = "model-name", "examples" = ["vllm-2"]))]
    pub(crate) name: Option<String>,
    /// Another model of this list, one that has a single source. Contradicts `artifact` and `endpoint`.
    #[serde(default)]
    #[schemars(extend("format" = "model-name", "examples" = ["smollm2-135m-instruct"]))]
    pub(crate) model: Option<String>,
    /// An artifact in the registry, run by the embedded engine. Contradicts `model` and `endpoint`.
    #[serde(default)]
    #[schemars(extend("format" = "model-name", "examples" = ["smollm2-135m-instruct"]))]
    pub(crate) artifact: Option<String>,
    /// Which version of the artifact: the one that carries this label. Default `production`. While no release carries
    /// it, the target is left out.
    #[serde(default)]
    #[schemars(extend("format" = "label", "examples" = ["canary"]))]
    pub(crate) label: Option<String>,
    /// How the embedded engine runs the artifact.
    #[serde(default)]
    pub(crate) engine: Option<Engine>,
    /// Base URL of an OpenAI-compatible server inside the enclave. Contradicts `model` and `artifact`.
    #[serde(default)]
    #[schemars(extend("format" = "endpoint", "examples" = ["http://vllm-2.corp.example:8000/v1"]))]
    pub(crate) endpoint: Option<String>,
    /// The name the server behind `endpoint` knows the model by, when it is called differently from the virtual model.
    #[serde(default)]
    #[schemars(extend("format" = "model-name", "examples" = ["meta-llama/Llama-3.1-8B-Instruct"]))]
    pub(crate) upstream_model: Option<String>,
    /// What the server behind `endpoint` speaks where chat is asked for. Default `chat-completions`.
    #[serde(default)]
    pub(crate) speaks: Option<Speaks>,
    /// Targets of a lower tier are used while any of them is available.
    #[serde(default)]
    #[schemars(range(min = 0, max = 15))]
    pub(crate) tier: u32,
    /// Part of the traffic among the targets of the same tier.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) weight: u32,
    /// Makes this a canary: so many percent of the requests go here before any tier is asked, and no others do. Without
    /// it, an ordinary target.
    #[serde(default)]
    #[schemars(range(min = 1, max = 99), extend("examples" = [5]))]
    pub(crate) canary_percent: Option<u32>,
    /// Whether the engine goes on from the beginning of an answer (`continue_final_message`, as vLLM and SGLang do) and
    /// serves the same model as the other targets that say so: then a stream that broke off elsewhere can go on here.
    #[serde(default)]
    pub(crate) continues: bool,
    /// How long this target may take, where that differs from the model's own `timeouts`.
    #[serde(default)]
    pub(crate) timeouts: Option<TargetTimeouts>,
}

fn one() -> u32 {
    1
}

#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TargetTimeouts {
    /// To make a connection. Default, and at most, 3 s.
    pub(crate) connect: Option<HumanDuration>,
    /// From a streaming request to the first event of its answer. Default: as `idle`.
    pub(crate) first_token: Option<HumanDuration>,
    /// Between two events of a stream, or until a plain answer begins. Default: as the model's.
    pub(crate) idle: Option<HumanDuration>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Timeouts {
    /// To make a connection. Default, and at most, 3 s.
    pub(crate) connect: Option<HumanDuration>,
    /// From a streaming request to the first event of its answer. Default: as `idle`.
    pub(crate) first_token: Option<HumanDuration>,
    /// Between two events of a stream, or until a plain answer begins. Default: `gateway.limits.engine_timeout`.
    pub(crate) idle: Option<HumanDuration>,
    /// From the first attempt to the end of the answer, all attempts together. Default: no end.
    pub(crate) total: Option<HumanDuration>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Routing {
    /// Sends a conversation to the target that has seen its beginning before, unless that is much busier than the others:
    /// engines keep what they have read in a cache. This many bytes of the prompt are looked at. Default: not at all.
    #[schemars(extend("examples" = ["4 KiB"]))]
    pub(crate) affinity: Option<ByteSize>,
    /// Who stays on a canary, or off it.
    pub(crate) canary_sticks_to: StickTo,
    /// Requests that may be tried again on another target, in percent of all requests over time. More would turn an
    /// overload into a bigger one.
    #[schemars(range(min = 0, max = 100))]
    pub(crate) retry_percent: u32,
    /// Asks a second target when a stream is slow to begin, and takes whichever begins first.
    pub(crate) hedge: Option<Hedge>,
}

impl Default for Routing {
    fn default() -> Self {
        Self { affinity: None, canary_sticks_to: StickTo::default(), retry_percent: 20, hedge: None }
    }
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hedge {
    /// How slow is slow: a length of time, or `p50` to `p99`, the time within which so many percent of this model's
    /// streams began.
    #[schemars(extend("format" = "hedge-delay", "examples" = ["p95"]))]
    pub(crate) after: String,
    /// Requests that may be asked twice, in percent of all requests over time.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 50))]
    pub(crate) percent: u32,
}

fn five() -> u32 {
    5
}

/// Who stays on a canary, or off it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StickTo {
    /// Nobody: each request is drawn anew.
    #[default]
    Request,
    /// All requests of one credential.
    Key,
    /// All requests of one project.
    Project,
}
