//! `hermetic limits explain`: the rules that speak of a request, from the configuration alone. Nothing is held.

use crate::cli::Context;
use crate::cli::enclave::read_config;
use crate::serving::limits::of_config;
use hermetic_clock::Clock;
use hermetic_diagnostics::Report;
use hermetic_limits::{Amounts, COUNTERS_MAX, Denied, Facts, Limits, Rule};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The model that is asked.
    #[arg(long)]
    model: String,
    #[arg(long, default_value = "")]
    subject: String,
    #[arg(long, default_value = "")]
    project: String,
    #[arg(long, default_value = "")]
    team: String,
    #[arg(long, default_value = "")]
    workflow: String,
    /// `chat.completions`, `completions` or `embeddings`.
    #[arg(long, default_value = "chat.completions")]
    surface: String,
    /// What the caller says about the request: `cost-centre=4711`. May be repeated.
    #[arg(long, value_parser = key_and_value)]
    metadata: Vec<(String, String)>,
    /// Tokens of the prompt.
    #[arg(long, default_value_t = 0)]
    input_tokens: u64,
    /// Tokens the answer may have. Default: what the model's configuration says.
    #[arg(long)]
    max_tokens: Option<u64>,
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// One rule the request counts on.
#[derive(Debug, serde::Serialize)]
struct Line {
    rule: String,
    scope: String,
    window: String,
    unit: String,
    holds: String,
    limit: String,
    /// The request alone is more than the limit.
    never_fits: bool,
    shadow: bool,
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    let (config, _) = read_config(&context.config_path)?;
    let (rules, terms) = of_config(&config)?;
    let model = arguments.model.parse().ok();
    let terms = model.and_then(|model| terms.get(&model).copied()).unwrap_or_default();
    let output_tokens = terms.output_tokens(arguments.max_tokens);
    let most = Amounts {
        requests: 1,
        input_tokens: arguments.input_tokens,
        output_tokens,
        gpu_ms: u64::try_from(config.gateway.limits.engine_time.as_millis()).unwrap_or(u64::MAX),
        money: terms.price.of(arguments.input_tokens, output_tokens),
        concurrent: 1,
    };
    let limits = Limits::new(rules, COUNTERS_MAX);
    let lines = explain(&limits, &facts(arguments), &most);
    context.out.result(&lines, |lines| text(lines));
    Ok(ExitCode::SUCCESS)
}

fn facts(arguments: &Arguments) -> Facts<'_> {
    Facts {
        subject: &arguments.subject,
        team: &arguments.team,
        project: &arguments.project,
        workflow: &arguments.workflow,
        key: "",
        model: &arguments.model,
        surface: &arguments.surface,
        metadata: &arguments.metadata,
    }
}

/// Each rule by itself: what one alone says is not hidden by what another refuses.
fn explain(limits: &Limits, facts: &Facts<'_>, most: &Amounts) -> Vec<Line> {
    let now = Clock::system().unix_millis();
    let rules: Vec<Rule> = limits.rules().rules().iter().map(|rule| Rule::clone(rule)).collect();
    let one = |rule: Rule| {
        let set = hermetic_limits::RuleSet::new(vec![rule.clone()]).ok()?;
        let (counter, amount, never_fits) = match Limits::new(set, 1).reserve(facts, most, now) {
            Ok(reservation) => {
                let hold = reservation.holds().into_iter().next()?;
                (hold.counter, hold.amount, false)
            }
            Err(Denied::Exceeded(exceeded)) => (exceeded.counter, exceeded.asked, true),
            Err(Denied::Short(shortfalls)) => {
                let shortfall = shortfalls.into_iter().next()?;
                (shortfall.counter, shortfall.by, false)
            }
            Err(Denied::CountersFull { .. }) => return None,
        };
        Some(Line {
            rule: rule.name.to_string(),
            scope: counter.scope.to_string(),
            window: rule.window.to_string(),
            unit: rule.currency.as_deref().unwrap_or(rule.unit.as_str()).to_owned(),
            holds: rule.unit.show(amount),
            limit: rule.unit.show(rule.cap),
            never_fits,
            shadow: rule.shadow,
        })
    };
    rules.into_iter().filter_map(one).collect()
}

fn text(lines: &[Line]) -> Vec<String> {
    if lines.is_empty() {
        return vec!["no limit speaks of such a request".to_owned()];
    }
    let line = |line: &Line| {
        let scope = if line.scope.is_empty() { "everybody" } else { &line.scope };
        let fits = if line.never_fits { "; it never fits" } else { "" };
        let shadow = if line.shadow { " (in the shadow: refuses nothing)" } else { "" };
        format!(
            "{}: holds {} of {} {} ({}) for {scope}{fits}{shadow}",
            line.rule, line.holds, line.limit, line.unit, line.window
        )
    };
    lines.iter().map(line).collect()
}
