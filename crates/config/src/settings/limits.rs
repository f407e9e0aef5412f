//! Limits and prices as the rest of the program takes them.

use crate::formats;
use crate::wire::limits as wire;
use hermetic_limits::{OnExhausted, Price, Rule, Unit, When, Window};

/// What limits need to know of a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModelTerms {
    /// Zero where none is written.
    pub price: Price,
    pub output_tokens_default: Option<u64>,
    pub output_tokens_max: Option<u64>,
}

pub(crate) fn rules(wire: Vec<wire::LimitRule>) -> Result<Vec<Rule>, String> {
    wire.into_iter().map(rule).collect()
}

fn rule(wire: wire::LimitRule) -> Result<Rule, String> {
    let unit = unit(wire.unit);
    let window = match &wire.window {
        Some(text) => text.parse().map_err(|error| format!("{error}"))?,
        None => Window::Now,
    };
    let per = wire.per.iter().map(|dimension| dimension.0.parse().map_err(|error| format!("{error}")));
    Ok(Rule {
        name: wire.name.into(),
        when: when(wire.when),
        per: per.collect::<Result<_, String>>()?,
        cap: unit.parse_quantity(&wire.limit).map_err(|error| error.to_string())?,
        unit,
        window,
        soft: wire.soft.iter().map(|share| formats::share(&share.0)).collect::<Result<_, _>>()?,
        on_exhausted: match wire.on_exhausted.downgrade_to {
            Some(model) => OnExhausted::DowngradeTo(model.into()),
            None => OnExhausted::Refuse,
        },
        shadow: wire.shadow,
        shared: wire.shared,
        currency: wire.currency.map(Into::into),
    })
}

pub(crate) fn when(wire: wire::LimitWhen) -> When {
    When {
        subjects: wire.subjects,
        teams: wire.teams,
        projects: wire.projects,
        workflows: wire.workflows,
        models: wire.models,
        surfaces: wire.surfaces,
        metadata: wire.metadata.into_iter().collect(),
    }
}

fn unit(wire: wire::LimitUnit) -> Unit {
    match wire {
        wire::LimitUnit::Requests => Unit::Requests,
        wire::LimitUnit::InputTokens => Unit::InputTokens,
        wire::LimitUnit::OutputTokens => Unit::OutputTokens,
        wire::LimitUnit::Tokens => Unit::Tokens,
        wire::LimitUnit::Concurrent => Unit::Concurrent,
        wire::LimitUnit::GpuSeconds => Unit::GpuSeconds,
        wire::LimitUnit::Money => Unit::Money,
    }
}

pub(crate) fn price(wire: Option<&wire::Price>) -> Result<Price, String> {
    let one = |text: &Option<String>| {
        text.as_deref().map_or(Ok(0), Price::parse_one).map_err(|error| error.to_string())
    };
    let Some(wire) = wire else { return Ok(Price::default()) };
    Ok(Price {
        input_per_million: one(&wire.input)?,
        output_per_million: one(&wire.output)?,
        per_request: one(&wire.request)?,
    })
}

#[cfg(test)]
mod tests {
    use hermetic_limits::{OnExhausted, RuleSet, Unit};
    use std::path::Path;

    const HEAD: &str = "ledger: {origin: llm.example/ledger}\n";

    fn parse(text: &str) -> Result<crate::Config, Vec<String>> {
        let parsed = crate::parse(&format!("{HEAD}{text}"), Path::new("h.yaml"));
        parsed.map_err(|error| error.mistakes().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn rules_are_read_as_they_are_written() {
        let config = parse(
            "models:\n  - {name: big, endpoint: \"http://127.0.0.1:1/v1\", price: {input: 0.15, output: 0.60, currency: EUR}, output_tokens_default: 100}\n  \
             - {name: small, endpoint: \"http://127.0.0.1:1/v1\"}\n\
             limits:\n  - name: research-month\n    when:\n      projects: [research]\n      metadata: {cost-centre: [\"4711\", 12]}\n    \
             per: [team, metadata.cost-centre]\n    limit: 250.50\n    unit: money\n    currency: EUR\n    window: month\n    \
             soft: [0.5, 0.95]\n    on_exhausted: {downgrade_to: small}\n  \
             - {name: gauge, limit: 4, unit: concurrent}\n  - {name: rate, limit: 60, unit: requests, window: minute/sliding, shadow: true}\n",
        )
        .unwrap();
        let [money, gauge, rate] = config.limits.as_slice() else { panic!("{:?}", config.limits) };
        assert_eq!(
            (money.cap, money.unit, money.window.to_string().as_str()),
            (250_500_000, Unit::Money, "month")
        );
        assert_eq!(
            money.when.metadata,
            [("cost-centre".to_owned(), vec!["4711".to_owned(), "12".to_owned()])]
        );
        assert_eq!(
            money.per.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["team", "metadata.cost-centre"]
        );
        assert_eq!(
            (money.soft.as_slice(), &money.on_exhausted),
            (&[500, 950][..], &OnExhausted::DowngradeTo("small".into()))
        );
        assert_eq!((gauge.cap, gauge.window.to_string().as_str(), rate.shadow), (4, "now", true));
        assert_eq!(config.models[0].terms.price.input_per_million, 150_000);
        assert_eq!(config.models[0].terms.output_tokens_default, Some(100));
        assert!(RuleSet::new(config.limits).is_ok());
    }

    #[test]
    fn rules_that_cannot_hold_are_refused_with_their_line() {
        for (rule, expected) in [
            (
                "{name: a, limit: 1, unit: tokens}",
                "3:5 [E0105] limits[0].window: expected a window for `tokens`",
            ),
            ("{name: a, limit: 1.5, unit: tokens, window: day}", "limits[0].limit: expected a whole number"),
            ("{name: a, limit: 1, unit: concurrent, window: day}", "limits[0].window: expected no window"),
            ("{name: a, limit: 1, unit: money, window: day}", "limits[0].currency: expected the currency"),
            ("{name: a, limit: 1, unit: tokens, window: now}", "limits[0].window: expected `second`"),
            (
                "{name: a, limit: 1, unit: tokens, window: day, soft: [0.9, 0.5]}",
                "limits[0].soft: expected at most 8 shares",
            ),
            (
                "{name: a, limit: 1, unit: tokens, window: day, soft: [1.5]}",
                "limits[0].soft[0]: expected a share",
            ),
            (
                "{name: a, limit: 1, unit: tokens, window: day, per: [colour]}",
                "limits[0].per[0]: expected one of subject",
            ),
            ("{name: a b, limit: 1, unit: tokens, window: day}", "limits[0].name: expected a name"),
            (
                "{name: a, limit: 1, unit: tokens, window: day}\n  - {name: a, limit: 1, unit: requests, window: day}",
                "limits[1].name: expected each name once",
            ),
        ] {
            let found = parse(&format!("limits:\n  - {rule}\n")).unwrap_err();
            assert!(found.iter().any(|mistake| mistake.contains(expected)), "{rule}: {found:?}");
        }
    }
}
