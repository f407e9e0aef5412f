//! Guardrails, as they are written.

use crate::wire::limits::LimitWhen;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Guardrails {
    /// What is looked for in which requests. Of several that speak of a request, the strongest action counts.
    pub(crate) rules: Vec<GuardRule>,
    /// Patterns of your own. Each is a rule named `custom.NAME`.
    pub(crate) patterns: Vec<GuardPattern>,
    /// What is let through for a while, on somebody's word. What is let through is still reported.
    pub(crate) exceptions: Vec<GuardException>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GuardRule {
    /// Names the rule in the configuration and its changes.
    #[schemars(extend("format" = "limit-name", "examples" = ["patients"]))]
    pub(crate) name: String,
    /// Which requests the rule speaks of: those that every list that is not empty contains. Without it: all.
    #[serde(default)]
    pub(crate) when: LimitWhen,
    /// What is done about what is found in the texts of a request. Keys are detectors or the groups they stand under:
    /// `pii`, `pii.us`, `pii.us.ssn`; of several the longest counts. Without a key of its own or of
    /// its group, something is not looked for.
    #[serde(default)]
    #[schemars(extend("examples" = [{"secret": "block", "pii": "mask", "pii.date": "off"}]))]
    pub(crate) input: BTreeMap<String, GuardAction>,
    /// The same for the texts of an answer, streams included. Without it, answers are not looked at.
    #[serde(default)]
    #[schemars(extend("examples" = [{"pii": "mask"}]))]
    pub(crate) output: BTreeMap<String, GuardAction>,
    /// From which score on a text counts as one that tells a model to forget whom it works for (`injection` among the
    /// keys of `input`). The manual says how often each score is wrong.
    #[serde(default = "injection_threshold")]
    #[schemars(extend("format" = "limit-share", "examples" = ["0.95"]))]
    pub(crate) injection_threshold: String,
    /// Everything is reported and nothing done.
    #[serde(default)]
    pub(crate) shadow: bool,
}

/// About two false alarms in a thousand ordinary requests of the sets that were measured, and eight of ten attempts found.
fn injection_threshold() -> String {
    "0.9".to_owned()
}

/// What is done about something that is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum GuardAction {
    /// Nothing; it is not looked for.
    Off,
    /// It is put on record, with rule and place, and let through.
    Report,
    /// Its name stands in its place: `[EMAIL]`.
    Mask,
    /// Its name and a keyed hash do: `[EMAIL:8f14e45fceea]`, the same for the same.
    Hash,
    /// The request is refused, or the answer ends.
    Block,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GuardPattern {
    /// Small letters, digits and underscores.
    #[schemars(extend("format" = "guard-name", "examples" = ["project_code"]))]
    pub(crate) name: String,
    /// A regular expression over bytes that begins where a word or a sign does and matches at most 512 bytes.
    #[schemars(extend("examples" = ["PRJ-[0-9]{6}"]))]
    pub(crate) pattern: String,
    /// Texts it must find something in: they are tried whenever the configuration is read.
    #[schemars(extend("examples" = [["see PRJ-123456"]]))]
    pub(crate) finds: Vec<String>,
    /// Texts it must find nothing in. Without it, none are tried.
    #[serde(default)]
    #[schemars(extend("examples" = [["PRJ-12"]]))]
    pub(crate) ignores: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GuardException {
    /// A detector or a group.
    #[schemars(extend("examples" = ["pii.ip"]))]
    pub(crate) rule: String,
    /// Which requests it speaks of. Without it: all.
    #[serde(default)]
    pub(crate) when: LimitWhen,
    /// The first day, in UTC, on which it holds no more.
    #[schemars(extend("format" = "day", "examples" = ["2027-01-01"]))]
    pub(crate) until: String,
    /// Who answers for it.
    #[schemars(extend("examples" = ["security@corp.example"]))]
    pub(crate) owner: String,
    /// Why.
    #[schemars(extend("examples" = ["addresses of the test range"]))]
    pub(crate) reason: String,
}
