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

#[cfg(test)]
mod tests {
    use hermetic_guard::Action;
    use std::path::Path;

    fn parse(text: &str) -> Result<crate::Config, Vec<String>> {
        let text = format!("ledger: {{origin: llm.example/ledger}}\nguardrails:\n{text}");
        let parsed = crate::parse(&text, Path::new("h.yaml"));
        parsed.map_err(|error| error.mistakes().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn guardrails_are_read_as_they_are_written() {
        let config = parse(
            "  rules:\n    - name: clinic\n      when: {projects: [clinic]}\n      input: {pii: mask, pii.date: off, injection: block}\n      \
             injection_threshold: 0.95\n  patterns:\n    - {name: code, pattern: \"PRJ-[0-9]{6}\", finds: [a PRJ-123456 b], ignores: [PRJ-12]}\n  \
             exceptions:\n    - {rule: custom.code, until: 2027-01-01, owner: o, reason: r}\n",
        )
        .unwrap();
        let guardrails = config.guardrails;
        let [rule] = guardrails.rules.as_slice() else { panic!("{guardrails:?}") };
        assert_eq!(rule.when.projects, ["clinic"]);
        let input: Vec<(&str, Option<Action>)> =
            rule.input.iter().map(|(group, action)| (group.as_str(), *action)).collect();
        assert_eq!(
            input,
            [("injection", Some(Action::Block)), ("pii", Some(Action::Mask)), ("pii.date", None)]
        );
        assert_eq!(rule.injection_threshold, 0.95);
        assert_eq!(guardrails.patterns[0].name.as_str(), "custom.code");
        assert_eq!(guardrails.exceptions[0].until_unix_ms, 1_798_761_600_000);
    }

    #[test]
    fn guardrails_that_cannot_hold_are_refused_with_their_place() {
        for (text, expected) in [
            ("  rules: [{name: a, input: {pii.emial: mask}}]", "did you mean `pii.email`?"),
            (
                "  rules: [{name: a, input: {custom.code: mask}}]",
                "rules[0].input.custom.code: expected a detector",
            ),
            (
                "  rules: [{name: a, input: {injection: mask}}]",
                "expected `off`, `report` or `block` for `injection`",
            ),
            ("  rules: [{name: a, output: {injection.tool: block}}]", "under `input` alone"),
            ("  rules: [{name: a}, {name: a}]", "rules[1].name: expected each name once"),
            ("  patterns: [{name: a, pattern: \"x+\", finds: [xx]}]", "at most 512 bytes, found no bound"),
            ("  patterns: [{name: a, pattern: \"(\", finds: [x]}]", "patterns[0].pattern: rule `custom.a`"),
            (
                "  patterns: [{name: a, pattern: \"ab\", finds: [cd]}]",
                "patterns[0].finds[0]: expected something to be found",
            ),
            (
                "  patterns: [{name: a, pattern: \"ab\", finds: [ab], ignores: [ab]}]",
                "ignores[0]: expected nothing to be found",
            ),
            ("  patterns: [{name: A, pattern: \"ab\", finds: [ab]}]", "small letters"),
            ("  exceptions: [{rule: pii, until: tomorrow, owner: o, reason: r}]", "expected a day such as"),
            ("  exceptions: [{rule: pii, until: 2027-01-01, reason: r}]", "exceptions[0].owner"),
        ] {
            let found = parse(&format!("{text}\n")).unwrap_err();
            assert!(found.iter().any(|mistake| mistake.contains(expected)), "{text}: {found:?}");
        }
    }
}
