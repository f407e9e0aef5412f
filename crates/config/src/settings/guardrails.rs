//! Guardrails as the rest of the program takes them.

use crate::formats;
use crate::settings::limits::when;
use crate::wire::guardrails as wire;
use hermetic_guard::{Action, Rule, RuleName, as_it_looks};
use hermetic_limits::When;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What rules do, by their names or groups; `None`: they are not looked for.
pub type GuardActions = Vec<(String, Option<Action>)>;

#[derive(Debug, Clone, Default)]
pub struct Guardrails {
    pub rules: Vec<GuardRule>,
    /// Rules of the site's own, named `custom.NAME`.
    pub patterns: Vec<Rule>,
    pub exceptions: Vec<GuardException>,
}

#[derive(Debug, Clone)]
pub struct GuardRule {
    pub name: String,
    pub when: When,
    pub input: GuardActions,
    pub output: GuardActions,
    /// 0 to 1.
    pub injection_threshold: f32,
    pub shadow: bool,
}

#[derive(Debug, Clone)]
pub struct GuardException {
    pub rule: String,
    pub when: When,
    pub until_unix_ms: u64,
}

pub(crate) fn guardrails(wire: wire::Guardrails) -> Result<Guardrails, String> {
    let rule = |rule: wire::GuardRule| {
        // In thousandths, as all shares are.
        let threshold = formats::share(&rule.injection_threshold)?;
        Ok(GuardRule {
            name: rule.name,
            when: when(rule.when),
            input: actions(&rule.input),
            output: actions(&rule.output),
            injection_threshold: f32::from(threshold) / 1_000.0,
            shadow: rule.shadow,
        })
    };
    let exception = |exception: wire::GuardException| {
        let until_unix_ms = formats::day(&exception.until)?;
        Ok(GuardException { rule: exception.rule, when: when(exception.when), until_unix_ms })
    };
    Ok(Guardrails {
        rules: wire.rules.into_iter().map(rule).collect::<Result<_, String>>()?,
        patterns: wire.patterns.iter().map(|own| pattern(&own.name, &own.pattern)).collect(),
        exceptions: wire.exceptions.into_iter().map(exception).collect::<Result<_, String>>()?,
    })
}

/// The rule that a pattern of the site's own is.
pub(crate) fn pattern(name: &str, pattern: &str) -> Rule {
    Rule {
        name: RuleName::custom(format!("custom.{name}")),
        pattern: Cow::Owned(pattern.to_owned()),
        check: as_it_looks,
    }
}

fn actions(wire: &BTreeMap<String, wire::GuardAction>) -> GuardActions {
    let action = |action: &wire::GuardAction| match action {
        wire::GuardAction::Off => None,
        wire::GuardAction::Report => Some(Action::Report),
        wire::GuardAction::Mask => Some(Action::Mask),
        wire::GuardAction::Hash => Some(Action::Hash),
        wire::GuardAction::Block => Some(Action::Block),
    };
    wire.iter().map(|(group, said)| (group.clone(), action(said))).collect()
}
