//! Why limits turned a request away, in words for the caller.

use hermetic_clock::rfc3339;
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_ids::ModelName;
use hermetic_ledger::record::LimitRefusal;
use hermetic_limits::{CounterId, Exceeded, OnExhausted, Quota, Rule, Shortfall, Unit, Window};
use std::sync::Arc;

#[derive(Debug, thiserror::Error)]
pub(crate) enum LimitRefused {
    #[error("{}", exceeded_message(.exceeded))]
    Exceeded { exceeded: Box<Exceeded>, retry_after_ms: Option<u64> },
    #[error("the limit `{rule}` is shared by several gateways, and all of it is taken (expected at most {} {unit})", .unit.show(*.cap))]
    Exhausted { rule: Arc<str>, unit: Unit, cap: u64 },
    #[error(
        "the limit `{rule}` has no counter for this request: expected at most {max} counters in use, found that many"
    )]
    CountersFull { rule: Arc<str>, max: usize },
    #[error(
        "what is left of a limit that several gateways share cannot be found out, so the request is not answered"
    )]
    Away,
    #[error("the limits hand this request down from model to model without end")]
    DowngradesWithoutEnd,
}

fn exceeded_message(exceeded: &Exceeded) -> String {
    let Exceeded { rule, counter, taken, asked, fits_at_unix_ms, .. } = exceeded;
    let unit = rule.unit;
    let of_what = match (&rule.currency, unit) {
        (Some(currency), Unit::Money) => currency.to_string(),
        _ => unit.to_string(),
    };
    let window = match counter.window {
        Window::Now => "at a time".to_owned(),
        Window::Calendar(length) => format!("a {}", length.as_str()),
        Window::Sliding(length) => format!("in any {}", length.as_str()),
    };
    let scope = if counter.scope.is_empty() { "everybody together" } else { &counter.scope };
    let (cap, taken, asked) = (unit.show(rule.cap), unit.show(*taken), unit.show(*asked));
    let when = match fits_at_unix_ms {
        None => "; this request alone may use more than that".to_owned(),
        Some(u64::MAX) => String::new(),
        Some(at) => format!("; there is room again at {}", rfc3339(*at)),
    };
    format!(
        "the limit `{}` leaves no room: expected at most {cap} {of_what} {window} for {scope}, found {taken} used or held, and this request may use {asked}{when}",
        rule.name
    )
}

impl LimitRefused {
    pub(crate) fn exhausted(shortfalls: Vec<Shortfall>) -> Self {
        let Some(Shortfall { counter: CounterId { rule, unit, .. }, cap, .. }) =
            shortfalls.into_iter().next()
        else {
            return Self::Away;
        };
        Self::Exhausted { rule, unit, cap }
    }

    /// The model that is to be asked instead, where the rule names one.
    pub(crate) fn other_model(&self) -> Option<ModelName> {
        let Self::Exceeded { exceeded, .. } = self else { return None };
        match &exceeded.rule.on_exhausted {
            OnExhausted::DowngradeTo(model) => model.parse().ok(),
            OnExhausted::Refuse => None,
        }
    }

    /// Milliseconds after which the request may succeed; `None` when repeating it is useless.
    pub(crate) fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::Exceeded { retry_after_ms, .. } => *retry_after_ms,
            // The other gateways let go of what they hold when they like.
            Self::Exhausted { .. } | Self::CountersFull { .. } | Self::Away => Some(5_000),
            Self::DowngradesWithoutEnd => None,
        }
    }

    /// What is left, for the rule that refused.
    pub(crate) fn quota(&self) -> Option<Quota> {
        match self {
            Self::Exceeded { exceeded, .. } => Some(exceeded.quota),
            _ => None,
        }
    }

    pub(crate) fn for_record(&self) -> Option<LimitRefusal> {
        let Self::Exceeded { exceeded, .. } = self else { return None };
        let Exceeded { rule, counter, taken, asked, .. } = &**exceeded;
        let Rule { name, cap, .. } = &**rule;
        Some(LimitRefusal {
            rule: name.to_string(),
            unit: counter.unit.as_str().to_owned(),
            window: counter.window.to_string(),
            scope: counter.scope.to_string(),
            limit: *cap,
            taken: *taken,
            asked: *asked,
        })
    }
}

impl Diagnose for LimitRefused {
    fn code(&self) -> Code {
        match self {
            Self::Exceeded { retry_after_ms: Some(_), .. } | Self::Exhausted { .. } => Code::new("E0930"),
            Self::Exceeded { retry_after_ms: None, .. } => Code::new("E0931"),
            Self::CountersFull { .. } => Code::new("E0932"),
            Self::Away => Code::new("E0933"),
            Self::DowngradesWithoutEnd => Code::new("E0935"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Exceeded { exceeded, retry_after_ms: None } if exceeded.rule.unit.counts_output() => {
                Some("ask for a shorter answer with `max_tokens`, or shorten the prompt".to_owned())
            }
            Self::Exceeded { .. } | Self::Exhausted { .. } => {
                Some("wait, or ask whoever keeps the limits".to_owned())
            }
            Self::CountersFull { .. } | Self::Away => Some("try again shortly".to_owned()),
            Self::DowngradesWithoutEnd => None,
        }
    }
}
