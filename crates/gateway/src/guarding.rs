//! The guardrails in force: which requests they speak of, and what they do about what is found.
//!
//! Detectors and plans are those of `hermetic-guard`; here is only who they are for. A plan is put together once for each
//! set of rules that speak of a request, and kept.

use crate::commitment::CommitmentSecret;
use arc_swap::ArcSwap;
use hermetic_digest::Digest;
use hermetic_guard::{
    Action, Detectors, Fingerprint, INJECTION_RULES, Injection, PatternMistake, Plan, RuleName,
};
use hermetic_inference_api::SpanKind;
use hermetic_limits::{Facts, When};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Which way a text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    Input,
    Output,
}

impl Direction {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

/// What is done about rules, by their name or a group they stand under; `None`: they are not looked for.
pub type Actions = Vec<(String, Option<Action>)>;

/// One rule of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardRule {
    pub name: Arc<str>,
    pub when: When,
    pub input: Actions,
    pub output: Actions,
    /// From which score on a text counts as one that tells a model to forget whom it works for: 0 to 1.
    pub injection_threshold: f32,
    /// Everything is reported and nothing done.
    pub shadow: bool,
}

/// Something that is let through for a while, on somebody's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardException {
    /// A rule or a group.
    pub rule: String,
    pub when: When,
    pub until_unix_ms: u64,
}

/// The rule for a kind of text. What a model said itself, and names of fields, come through no door.
pub(crate) fn injection_rule(kind: SpanKind) -> Option<&'static str> {
    match kind {
        SpanKind::User | SpanKind::Prompt | SpanKind::Query | SpanKind::Input => Some("injection.user"),
        SpanKind::Tool => Some("injection.tool"),
        SpanKind::Document | SpanKind::Other => Some("injection.document"),
        SpanKind::System | SpanKind::Definition => Some("injection.system"),
        SpanKind::Assistant
        | SpanKind::Arguments
        | SpanKind::Reasoning
        | SpanKind::Refusal
        | SpanKind::Answer
        | SpanKind::Name => None,
    }
}

/// What is done about injected instructions, by door, and from which score on.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct InjectionPlan(Vec<(&'static str, Action, f32)>);

impl InjectionPlan {
    /// The action for a text of this kind, and the score from which on it is taken.
    pub(crate) fn of(&self, kind: SpanKind) -> Option<(&'static str, Action, f32)> {
        let wanted = injection_rule(kind)?;
        self.0.iter().copied().find(|(rule, ..)| *rule == wanted)
    }

    pub(crate) fn blocks(&self) -> bool {
        self.0.iter().any(|(_, action, _)| *action == Action::Block)
    }
}

/// What the composition hands in.
#[derive(Debug, Clone, Default)]
pub struct GuardRules {
    pub rules: Vec<GuardRule>,
    pub exceptions: Vec<GuardException>,
}

/// Guardrails, shared by all threads.
#[derive(Debug)]
pub struct Guarding {
    in_force: ArcSwap<Guardrails>,
    fingerprint: Arc<dyn Fingerprint>,
}

/// One state of the guardrails.
#[derive(Debug)]
pub(crate) struct Guardrails {
    detectors: Option<Arc<Detectors>>,
    rules: GuardRules,
    metadata_keys: Vec<String>,
    fingerprint: Arc<dyn Fingerprint>,
    plans: RwLock<HashMap<PlanKey, Plans>>,
    pub(crate) scorer: Injection,
}

/// What is done about the texts that go one way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plans {
    /// `None`: nothing is looked for.
    pub(crate) plan: Option<Arc<Plan>>,
    pub(crate) injection: Option<Arc<InjectionPlan>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PlanKey {
    direction: Direction,
    rules: Vec<bool>,
    exceptions: Vec<bool>,
}

/// The first hexadecimal digits of a keyed hash that stand for something found: enough that two things in one enclave do not
/// share them by chance.
const FINGERPRINT_DIGITS: usize = 12;

impl Fingerprint for CommitmentSecret {
    fn of(&self, seen: &[u8]) -> String {
        let mut digits = Digest::from_bytes(self.fingerprint(seen)).hex();
        digits.truncate(FINGERPRINT_DIGITS);
        digits
    }
}

impl Guarding {
    /// No guardrails yet. `secret`: under which the same is told from the same.
    pub fn new(secret: CommitmentSecret) -> Self {
        let fingerprint: Arc<dyn Fingerprint> = Arc::new(secret);
        let none = Guardrails::new(None, GuardRules::default(), Arc::clone(&fingerprint));
        Self { in_force: ArcSwap::from_pointee(none), fingerprint }
    }

    /// Puts guardrails in force, for the requests that come from now on.
    pub fn replace(&self, detectors: Arc<Detectors>, rules: GuardRules) {
        let detectors = (!rules.rules.is_empty()).then_some(detectors);
        self.in_force.store(Arc::new(Guardrails::new(detectors, rules, Arc::clone(&self.fingerprint))));
    }

    pub(crate) fn in_force(&self) -> arc_swap::Guard<Arc<Guardrails>> {
        self.in_force.load()
    }
}

/// Compiles rules; takes some tens of milliseconds.
pub fn compile(rules: Vec<hermetic_guard::Rule>) -> Result<Arc<Detectors>, PatternMistake> {
    Detectors::new(rules).map(Arc::new)
}

impl Guardrails {
    fn new(detectors: Option<Arc<Detectors>>, rules: GuardRules, fingerprint: Arc<dyn Fingerprint>) -> Self {
        let whens = rules.rules.iter().map(|rule| &rule.when);
        let whens = whens.chain(rules.exceptions.iter().map(|exception| &exception.when));
        let mut metadata_keys: Vec<String> =
            whens.flat_map(|when| when.metadata.iter().map(|(key, _)| key.clone())).collect();
        metadata_keys.sort_unstable();
        metadata_keys.dedup();
        Self {
            detectors,
            rules,
            metadata_keys,
            fingerprint,
            plans: RwLock::default(),
            scorer: Injection::new(),
        }
    }

    pub(crate) fn are_none(&self) -> bool {
        self.detectors.is_none()
    }

    /// What a caller may say that rules look at.
    pub(crate) fn metadata_keys(&self) -> &[String] {
        &self.metadata_keys
    }

    /// What is done about the texts of a request, or of its answer.
    pub(crate) fn plans(&self, direction: Direction, facts: &Facts<'_>, now_unix_ms: u64) -> Plans {
        let Some(detectors) = self.detectors.as_ref() else { return Plans::default() };
        let speaks = |exception: &GuardException| {
            exception.until_unix_ms > now_unix_ms && exception.when.matches(facts)
        };
        let key = PlanKey {
            direction,
            rules: self.rules.rules.iter().map(|rule| rule.when.matches(facts)).collect(),
            exceptions: self.rules.exceptions.iter().map(speaks).collect(),
        };
        if let Some(plans) = self.plans.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return plans.clone();
        }
        let plan = Plan::new(Arc::clone(detectors), Arc::clone(&self.fingerprint), |name| {
            self.actions(&key, name).map(|(action, _)| action).max()
        });
        let injection = self.injection(&key);
        let plans = Plans {
            plan: (!plan.is_idle()).then(|| Arc::new(plan)),
            injection: (!injection.0.is_empty()).then(|| Arc::new(injection)),
        };
        self.plans.write().unwrap_or_else(PoisonError::into_inner).insert(key, plans.clone());
        plans
    }

    fn injection(&self, key: &PlanKey) -> InjectionPlan {
        let of_rule = |rule: &'static str| {
            let said: Vec<(Action, f32)> = self.actions(key, &RuleName::built_in(rule)).collect();
            let action = said.iter().map(|(action, _)| *action).max()?;
            // Of those that ask for the strongest action, the most watchful.
            let thresholds =
                said.iter().filter(|(other, _)| *other == action).map(|(_, threshold)| *threshold);
            Some((rule, action, thresholds.fold(f32::INFINITY, f32::min)))
        };
        InjectionPlan(match key.direction {
            Direction::Input => INJECTION_RULES.into_iter().filter_map(of_rule).collect(),
            Direction::Output => Vec::new(),
        })
    }

    /// What the rules that speak of the request say about one of the things that can be found: of each, what it says most
    /// closely.
    fn actions(&self, key: &PlanKey, name: &RuleName) -> impl Iterator<Item = (Action, f32)> {
        let excepted = self.rules.exceptions.iter().zip(&key.exceptions);
        let excepted =
            excepted.filter(|(_, speaks)| **speaks).any(|(exception, _)| name.is_in(&exception.rule));
        let speaking = self.rules.rules.iter().zip(&key.rules).filter(|(_, speaks)| **speaks);
        speaking.filter_map(move |(rule, _)| {
            let actions = match key.direction {
                Direction::Input => &rule.input,
                Direction::Output => &rule.output,
            };
            let said = actions.iter().filter(|(group, _)| name.is_in(group));
            let action = said.max_by_key(|(group, _)| group.len())?.1?;
            // What is let through is still told.
            let action = if rule.shadow || excepted { Action::Report } else { action };
            Some((action, rule.injection_threshold))
        })
    }
}
