//! Limits, budgets and prices, as they are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitRule {
    /// Names the rule in answers, records and metrics. What was counted stays with the name across reloads and
    /// restarts.
    #[schemars(extend("format" = "limit-name", "examples" = ["demo-daily-tokens"]))]
    pub(crate) name: String,
    /// Which requests the rule speaks of: those that every list that is not empty contains. Without it: all.
    #[serde(default)]
    pub(crate) when: LimitWhen,
    /// What is counted apart: `subject`, `team`, `project`, `workflow`, `key`, `model`, `surface`, `metadata.NAME`. Each
    /// combination has a counter of its own. Without it one counter is for the whole site.
    #[serde(default)]
    pub(crate) per: Vec<LimitDimension>,
    /// How much, as a number of the unit: whole for tokens and requests; for money and seconds also `12.50`.
    #[schemars(extend("format" = "quantity", "examples" = ["100000"]))]
    pub(crate) limit: String,
    /// What is counted.
    pub(crate) unit: LimitUnit,
    /// Over which time: `second`, `minute`, `hour`, `day`, `week` or `month` of the calendar in UTC, or `hour/sliding` for
    /// any stretch of that length. Without one: `concurrent`, which counts what is there at the moment.
    #[serde(default)]
    #[schemars(extend("format" = "limit-window", "examples" = ["day", "hour/sliding"]))]
    pub(crate) window: Option<String>,
    /// Shares of the limit at which somebody is told, once in each window: in the log, as a metric and as a record.
    #[serde(default)]
    #[schemars(extend("examples" = [["0.8", "0.95"]]))]
    pub(crate) soft: Vec<LimitShare>,
    /// What happens to a request that does not fit. Without it, it is refused.
    #[serde(default)]
    pub(crate) on_exhausted: Exhausted,
    /// The rule counts, and tells when it would have refused, and refuses nothing.
    #[serde(default)]
    pub(crate) shadow: bool,
    /// The limit is shared with the other gateways of this site.
    #[serde(default)]
    pub(crate) shared: bool,
    /// What money is counted in; all prices must be in the same. Without it, the unit cannot be `money`.
    #[serde(default)]
    #[schemars(extend("format" = "currency", "examples" = ["EUR"]))]
    pub(crate) currency: Option<String>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LimitWhen {
    /// Who is asking.
    #[schemars(extend("examples" = [["alice", "svc-claims@corp"]]))]
    pub(crate) subjects: Vec<String>,
    /// The people of a project.
    pub(crate) teams: Vec<String>,
    /// On whose behalf.
    pub(crate) projects: Vec<String>,
    /// What for.
    pub(crate) workflows: Vec<String>,
    /// The model that is asked.
    pub(crate) models: Vec<String>,
    /// The names of surfaces as records have them: `chat.completions`, `messages`, `rerank`, …
    pub(crate) surfaces: Vec<String>,
    /// What the caller says about the request, in `metadata` of the body or in the header `x-hermetic-metadata-NAME`: for
    /// each key the values it may have, or an empty list for any. Without it, whatever they say.
    #[schemars(extend("examples" = [{"cost-centre": ["4711"]}]))]
    pub(crate) metadata: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("format" = "limit-dimension"))]
pub(crate) struct LimitDimension(pub(crate) String);

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("format" = "limit-share"))]
pub(crate) struct LimitShare(pub(crate) String);

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Exhausted {
    /// The model that is asked instead, if policy lets the caller use it and its own limits have room. Without one, the
    /// request is refused.
    #[schemars(extend("format" = "model-name", "examples" = ["smollm2-135m-instruct"]))]
    pub(crate) downgrade_to: Option<String>,
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LimitUnit {
    /// Requests, whatever they are.
    Requests,
    /// Tokens of prompts.
    InputTokens,
    /// Tokens of answers.
    OutputTokens,
    /// Both together.
    Tokens,
    /// Requests at the same time.
    Concurrent,
    /// Seconds an engine was busy with requests.
    GpuSeconds,
    /// What requests cost by the models' prices.
    Money,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Price {
    /// A million tokens of prompts. Without a price they cost nothing.
    #[schemars(extend("format" = "price", "examples" = ["0.15"]))]
    pub(crate) input: Option<String>,
    /// A million tokens of answers. Without a price they cost nothing.
    #[schemars(extend("format" = "price", "examples" = ["0.60"]))]
    pub(crate) output: Option<String>,
    /// One request, whatever its length. Without a price it costs nothing.
    #[schemars(extend("format" = "price", "examples" = ["0.001"]))]
    pub(crate) request: Option<String>,
    /// What the prices are in. Without it, the currency of the limits.
    #[schemars(extend("format" = "currency", "examples" = ["EUR"]))]
    pub(crate) currency: Option<String>,
}
