//! Guardrails: from the configuration into the gateway.

use crate::cli::enclave::Enclave;
use hermetic_config::{Config, GuardActions, Guardrails};
use hermetic_diagnostics::{Code, Diagnose, Report};
use hermetic_gateway::{CommitmentSecret, GuardException, GuardRule, GuardRules, Guarding, compile};
use hermetic_guard::{Detectors, PatternMistake, Rule, RuleName, built_in, names};
use std::sync::Arc;

/// The rules that come with the product and the site's own cannot be put together.
#[derive(Debug, thiserror::Error)]
#[error("expected guardrails that can be compiled together")]
pub(crate) struct NotCompiled(#[source] pub(crate) PatternMistake);

impl Diagnose for NotCompiled {
    fn code(&self) -> Code {
        Code::new("E0894")
    }

    fn hint(&self) -> Option<String> {
        None
    }
}

/// Nothing is compiled that nobody asked for; rules for names, which are slower than all others together, least of all.
fn looked_for(guardrails: &Guardrails) -> Vec<Rule> {
    if guardrails.rules.is_empty() {
        return Vec::new();
    }
    let asked_for = |name: &RuleName| {
        let directions = guardrails.rules.iter().flat_map(|rule| [&rule.input, &rule.output]);
        directions.into_iter().any(|actions| {
            let said = actions.iter().filter(|(group, _)| name.is_in(group));
            said.max_by_key(|(group, _)| group.len()).is_some_and(|(_, action)| action.is_some())
        })
    };
    // What a site names itself comes first: of two that find the same, the first gives it its name.
    let mut rules: Vec<Rule> = guardrails.patterns.iter().cloned().chain(built_in()).collect();
    rules.extend(names().into_iter().filter(|rule| asked_for(&rule.name)));
    rules
}

/// What is looked for, and for whom: what `Guarding::replace` takes.
pub(crate) fn of_config(config: &Config) -> Result<(Arc<Detectors>, GuardRules), Report> {
    let guardrails = &config.guardrails;
    let detectors = compile(looked_for(guardrails)).map_err(NotCompiled)?;
    let actions = |actions: &GuardActions| actions.clone();
    let rules = guardrails.rules.iter().map(|rule| GuardRule {
        name: rule.name.as_str().into(),
        when: rule.when.clone(),
        input: actions(&rule.input),
        output: actions(&rule.output),
        injection_threshold: rule.injection_threshold,
        shadow: rule.shadow,
    });
    let exceptions = guardrails.exceptions.iter().map(|exception| GuardException {
        rule: exception.rule.clone(),
        when: exception.when.clone(),
        until_unix_ms: exception.until_unix_ms,
    });
    Ok((detectors, GuardRules { rules: rules.collect(), exceptions: exceptions.collect() }))
}

/// Puts in force what the configuration says.
pub(crate) fn open(enclave: &Enclave) -> Result<Arc<Guarding>, Report> {
    let secret = enclave.commitment_secret()?;
    let guarding = Guarding::new(CommitmentSecret::from_bytes(secret.bytes()));
    let (detectors, rules) = of_config(&enclave.config)?;
    guarding.replace(detectors, rules);
    Ok(Arc::new(guarding))
}
