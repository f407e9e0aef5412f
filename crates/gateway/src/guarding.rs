//! The guardrails in force: which requests they speak of, and what they do about what is found.
//!
//! Detectors and plans are those of `hermetic-guard`; here is only who they are for. A plan is put together once for each
//! set of rules that speak of a request, and kept.

use crate::commitment::CommitmentSecret;
use arc_swap::ArcSwap;
use hermetic_digest::Digest;
use hermetic_guard::{Action, Detectors, Fingerprint, PatternMistake, Plan, RuleName};
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardRule {
    pub name: Arc<str>,
    pub when: When,
    pub input: Actions,
    pub output: Actions,
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
    plans: RwLock<HashMap<PlanKey, Option<Arc<Plan>>>>,
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
        Self { detectors, rules, metadata_keys, fingerprint, plans: RwLock::default() }
    }

    pub(crate) fn are_none(&self) -> bool {
        self.detectors.is_none()
    }

    /// What a caller may say that rules look at.
    pub(crate) fn metadata_keys(&self) -> &[String] {
        &self.metadata_keys
    }

    /// What is done about the text of a request, or of its answer; `None`: nothing is looked for.
    pub(crate) fn plan(
        &self,
        direction: Direction,
        facts: &Facts<'_>,
        now_unix_ms: u64,
    ) -> Option<Arc<Plan>> {
        let detectors = self.detectors.as_ref()?;
        let speaks = |exception: &GuardException| {
            exception.until_unix_ms > now_unix_ms && exception.when.matches(facts)
        };
        let key = PlanKey {
            direction,
            rules: self.rules.rules.iter().map(|rule| rule.when.matches(facts)).collect(),
            exceptions: self.rules.exceptions.iter().map(speaks).collect(),
        };
        if let Some(plan) = self.plans.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return plan.clone();
        }
        let plan =
            Plan::new(Arc::clone(detectors), Arc::clone(&self.fingerprint), |name| self.action(&key, name));
        let plan = (!plan.is_idle()).then(|| Arc::new(plan));
        self.plans.write().unwrap_or_else(PoisonError::into_inner).insert(key, plan.clone());
        plan
    }

    /// The strongest of what the rules that speak of the request say.
    fn action(&self, key: &PlanKey, name: &RuleName) -> Option<Action> {
        let excepted = self.rules.exceptions.iter().zip(&key.exceptions);
        let excepted =
            excepted.filter(|(_, speaks)| **speaks).any(|(exception, _)| name.is_in(&exception.rule));
        let speaking = self.rules.rules.iter().zip(&key.rules).filter(|(_, speaks)| **speaks);
        let actions = speaking.filter_map(|(rule, _)| {
            let actions = match key.direction {
                Direction::Input => &rule.input,
                Direction::Output => &rule.output,
            };
            let said = actions.iter().filter(|(group, _)| name.is_in(group));
            // Of one rule, what it says most closely.
            let (_, action) = said.max_by_key(|(group, _)| group.len())?;
            action.map(|action| if rule.shadow { Action::Report } else { action })
        });
        // What is let through is still told.
        actions.max().map(|action| if excepted { Action::Report } else { action })
    }
}
