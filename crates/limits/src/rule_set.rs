//! All rules in force, found by what they ask for.
//!
//! With a thousand rules, one per project or team, a request must not pay for a thousand comparisons. Each rule is kept
//! under the one of its conditions that most likely tells it from the others; a request looks under its own subject,
//! project, workflow, team and model, and at the rules without any condition.

use crate::facts::Facts;
use crate::rule::{Dimension, OnExhausted, Rule, SOFT_THRESHOLDS_MAX, When};
use crate::unit::Unit;
use crate::window::Window;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Most rules: a file that long is generated, and a mistake in the generator should not fill the memory.
pub const RULES_MAX: usize = 10_000;

/// The rules, in the order they were written.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Arc<Rule>>,
    index: HashMap<Place, Vec<usize>>,
    always: Vec<usize>,
    metadata_keys: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    kind: Kind,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Subject,
    Project,
    Workflow,
    Team,
    Model,
}

/// Why rules cannot be put in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleSetError {
    #[error("expected at most {RULES_MAX} rules, found {found}")]
    TooMany { found: usize },
    #[error("expected each rule name once, found `{name}` again")]
    Name { name: String },
    #[error("expected a window for `{unit}` in the rule `{name}`, found none")]
    NoWindow { name: String, unit: Unit },
    #[error("expected no window for `concurrent` in the rule `{name}`, found `{window}`")]
    GaugeWithWindow { name: String, window: Window },
    #[error("expected at most {SOFT_THRESHOLDS_MAX} soft thresholds, ascending, in the rule `{name}`")]
    Soft { name: String },
    #[error("expected a rule that refuses, found `{name}` in the shadow and with a model to fall back to")]
    ShadowDowngrades { name: String },
}

impl RuleSet {
    pub fn new(rules: Vec<Rule>) -> Result<Self, RuleSetError> {
        if rules.len() > RULES_MAX {
            return Err(RuleSetError::TooMany { found: rules.len() });
        }
        let mut names = BTreeSet::new();
        let mut metadata_keys = BTreeSet::new();
        let mut set = Self::default();
        for rule in rules {
            check(&rule)?;
            if !names.insert(Arc::clone(&rule.name)) {
                return Err(RuleSetError::Name { name: rule.name.to_string() });
            }
            metadata_keys.extend(rule.when.metadata.iter().map(|(key, _)| key.clone()));
            metadata_keys.extend(rule.per.iter().filter_map(|dimension| match dimension {
                Dimension::Metadata(key) => Some(key.clone()),
                _ => None,
            }));
            let number = set.rules.len();
            set.file(&rule.when, number);
            set.rules.push(Arc::new(rule));
        }
        set.metadata_keys = metadata_keys.into_iter().collect();
        Ok(set)
    }

    fn file(&mut self, when: &When, number: usize) {
        let choices = [
            (Kind::Subject, &when.subjects),
            (Kind::Project, &when.projects),
            (Kind::Workflow, &when.workflows),
            (Kind::Team, &when.teams),
            (Kind::Model, &when.models),
        ];
        let Some((kind, values)) = choices.into_iter().find(|(_, values)| !values.is_empty()) else {
            self.always.push(number);
            return;
        };
        for value in values.iter().collect::<BTreeSet<_>>() {
            self.index.entry(Place { kind, value: value.clone() }).or_default().push(number);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// The keys of metadata any rule looks at.
    pub fn metadata_keys(&self) -> &[String] {
        &self.metadata_keys
    }

    /// Calls `with` for the number of every rule that speaks of the request. Each at most once.
    pub(crate) fn matching(&self, facts: &Facts<'_>, mut with: impl FnMut(usize, &Arc<Rule>)) {
        let mut look = |numbers: &[usize]| {
            for &number in numbers {
                if let Some(rule) = self.rules.get(number)
                    && rule.when.matches(facts)
                {
                    with(number, rule);
                }
            }
        };
        look(&self.always);
        if self.index.is_empty() {
            return;
        }
        let mut place = Place { kind: Kind::Subject, value: String::new() };
        for (kind, value) in [
            (Kind::Subject, facts.subject),
            (Kind::Project, facts.project),
            (Kind::Workflow, facts.workflow),
            (Kind::Team, facts.team),
            (Kind::Model, facts.model),
        ] {
            place.kind = kind;
            place.value.clear();
            place.value.push_str(value);
            if let Some(numbers) = self.index.get(&place) {
                look(numbers);
            }
        }
    }
}

fn check(rule: &Rule) -> Result<(), RuleSetError> {
    let name = || rule.name.to_string();
    match (rule.unit, rule.window) {
        (Unit::Concurrent, Window::Now) => {}
        (Unit::Concurrent, window) => return Err(RuleSetError::GaugeWithWindow { name: name(), window }),
        (unit, Window::Now) => return Err(RuleSetError::NoWindow { name: name(), unit }),
        _ => {}
    }
    if rule.soft.len() > SOFT_THRESHOLDS_MAX || !rule.soft.is_sorted_by(|a, b| a < b) {
        return Err(RuleSetError::Soft { name: name() });
    }
    if rule.shadow && rule.on_exhausted != OnExhausted::Refuse {
        return Err(RuleSetError::ShadowDowngrades { name: name() });
    }
    Ok(())
}
