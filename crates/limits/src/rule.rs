//! One rule: so much of a unit, in a window, for each value of a scope, of the requests it speaks of.

use crate::facts::Facts;
use crate::key::push_part;
use crate::unit::Unit;
use crate::window::Window;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Most soft thresholds of a rule: a person reads every one of them.
pub const SOFT_THRESHOLDS_MAX: usize = 8;

/// How much of a metadata value tells one scope from another: as long as the OpenAI API lets a value be.
const METADATA_VALUE_BYTES_MAX: usize = 512;

/// A limit or a budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Names the rule in answers, records and metrics, and its counters across reloads and restarts.
    pub name: Arc<str>,
    pub when: When,
    /// One counter for each combination of these; empty: one for the whole site.
    pub per: Vec<Dimension>,
    /// In the smallest part of the unit.
    pub cap: u64,
    pub unit: Unit,
    pub window: Window,
    /// Shares of the cap, in thousandths and ascending, at which somebody is told.
    pub soft: Vec<u16>,
    pub on_exhausted: OnExhausted,
    /// Counts and tells, never refuses.
    pub shadow: bool,
    /// The cap is shared with other replicas.
    pub shared: bool,
    /// What money is counted in.
    pub currency: Option<Arc<str>>,
}

/// What happens to a request that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnExhausted {
    Refuse,
    /// The model is asked instead, if it may be and its own limits have room.
    DowngradeTo(Arc<str>),
}

/// Which requests a rule speaks of: those that every list that is not empty contains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct When {
    pub subjects: Vec<String>,
    pub teams: Vec<String>,
    pub projects: Vec<String>,
    pub workflows: Vec<String>,
    pub models: Vec<String>,
    pub surfaces: Vec<String>,
    /// For each key, the values it may have; none: any value.
    pub metadata: Vec<(String, Vec<String>)>,
}

impl When {
    /// Whether it speaks of a request of which this is known.
    pub fn matches(&self, facts: &Facts<'_>) -> bool {
        let one_of = |list: &[String], value: &str| list.is_empty() || list.iter().any(|item| item == value);
        one_of(&self.subjects, facts.subject)
            && one_of(&self.projects, facts.project)
            && one_of(&self.models, facts.model)
            && one_of(&self.teams, facts.team)
            && one_of(&self.workflows, facts.workflow)
            && one_of(&self.surfaces, facts.surface)
            && self
                .metadata
                .iter()
                .all(|(key, values)| facts.metadata(key).is_some_and(|value| one_of(values, value)))
    }
}

/// What counters are kept apart by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    Subject,
    Team,
    Project,
    Workflow,
    /// The credential.
    Key,
    Model,
    Surface,
    Metadata(String),
}

/// A text that names nothing counters can be kept apart by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected one of subject, team, project, workflow, key, model, surface or metadata.NAME, found `{found}`"
)]
pub struct DimensionError {
    found: String,
}

impl Dimension {
    fn name(&self) -> &str {
        match self {
            Self::Subject => "subject",
            Self::Team => "team",
            Self::Project => "project",
            Self::Workflow => "workflow",
            Self::Key => "key",
            Self::Model => "model",
            Self::Surface => "surface",
            Self::Metadata(key) => key,
        }
    }

    fn value<'a>(&self, facts: &Facts<'a>) -> Option<&'a str> {
        Some(match self {
            Self::Subject => facts.subject,
            Self::Team => facts.team,
            Self::Project => facts.project,
            Self::Workflow => facts.workflow,
            Self::Key => facts.key,
            Self::Model => facts.model,
            Self::Surface => facts.surface,
            Self::Metadata(key) => {
                let value = facts.metadata(key)?;
                value.get(..value.floor_char_boundary(METADATA_VALUE_BYTES_MAX)).unwrap_or(value)
            }
        })
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metadata(key) => write!(f, "metadata.{key}"),
            other => f.write_str(other.name()),
        }
    }
}

impl FromStr for Dimension {
    type Err = DimensionError;

    fn from_str(text: &str) -> Result<Self, DimensionError> {
        if let Some(key) = text.strip_prefix("metadata.").filter(|key| !key.is_empty()) {
            return Ok(Self::Metadata(key.to_owned()));
        }
        let known =
            [Self::Subject, Self::Team, Self::Project, Self::Workflow, Self::Key, Self::Model, Self::Surface];
        let found = || DimensionError { found: text.chars().take(40).collect() };
        known.into_iter().find(|dimension| dimension.name() == text).ok_or_else(found)
    }
}

impl Rule {
    /// Writes the scope of a request into `key`.
    pub(crate) fn write_scope(&self, facts: &Facts<'_>, key: &mut String) {
        key.clear();
        for dimension in &self.per {
            if let Dimension::Metadata(_) = dimension {
                push_part(key, &dimension.to_string(), dimension.value(facts));
            } else {
                push_part(key, dimension.name(), dimension.value(facts));
            }
        }
    }

    /// How many soft thresholds lie at or below `taken`.
    pub(crate) fn thresholds_at(&self, taken: u64) -> u8 {
        let reached = |share: &&u16| u128::from(taken) * 1000 >= u128::from(self.cap) * u128::from(**share);
        let count = self.soft.iter().take(SOFT_THRESHOLDS_MAX).take_while(reached).count();
        u8::try_from(count).unwrap_or(u8::MAX)
    }

    /// The share of the cap, in thousandths, that the `count`th threshold stands for.
    pub(crate) fn threshold(&self, count: u8) -> Option<u16> {
        self.soft.get(usize::from(count.checked_sub(1)?)).copied()
    }
}
