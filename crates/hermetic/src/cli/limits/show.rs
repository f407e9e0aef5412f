//! `hermetic limits show`: every counter that counts now. Read from the ledger, so it works beside a service that runs
//! and without one.

use crate::cli::Context;
use crate::cli::enclave::Enclave;
use hermetic_clock::{Clock, rfc3339};
use hermetic_diagnostics::Report;
use hermetic_gateway::LimitsOnRecord;
use hermetic_ledger_store::{ReadError, Snapshot};
use hermetic_limits::{CounterId, Rule, Window};
use std::collections::BTreeMap;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only the counters of this rule.
    rule: Option<String>,
}

/// One counter, in the unit people write.
#[derive(Debug, serde::Serialize)]
struct Line {
    rule: String,
    /// Empty for the whole site.
    scope: String,
    unit: String,
    window: String,
    used: String,
    held: String,
    /// Absent when the configuration has no such rule any more.
    limit: Option<String>,
    /// When what counts now has all stopped counting; absent for what is counted while it lasts.
    until: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    let enclave = Enclave::open(context)?;
    let snapshot = match Snapshot::latest(&enclave.paths.ledger()) {
        Ok(snapshot) => Some(snapshot),
        Err(ReadError::Empty { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let size = snapshot.as_ref().map_or(0, Snapshot::size);
    let mut on_record = LimitsOnRecord::open(enclave.paths.counters(), size);
    if let Some(snapshot) = &snapshot {
        on_record.advance(snapshot)?;
    }
    let now = Clock::system().unix_millis();
    let lines = lines_of(&on_record, &enclave.config.limits, (arguments.rule.as_deref(), now));
    context.out.result(&lines, |lines| text(lines));
    Ok(ExitCode::SUCCESS)
}

fn lines_of(on_record: &LimitsOnRecord, rules: &[Rule], (wanted, now): (Option<&str>, u64)) -> Vec<Line> {
    let mut sums: BTreeMap<&CounterId, (u64, u64, u64)> = BTreeMap::new();
    for (id, slot, charged, held) in on_record.fold().amounts() {
        let counts = id.window.leaves_at(slot) > now;
        if counts && wanted.is_none_or(|wanted| wanted == &*id.rule) {
            let (used, holding, last) = sums.entry(id).or_default();
            *used = used.saturating_add(charged);
            *holding = holding.saturating_add(held);
            *last = slot.max(*last);
        }
    }
    let rule_of = |id: &CounterId| {
        rules.iter().find(|rule| rule.name == id.rule && rule.unit == id.unit && rule.window == id.window)
    };
    let line = |(id, (used, held, last)): (&CounterId, (u64, u64, u64))| Line {
        rule: id.rule.to_string(),
        scope: id.scope.to_string(),
        unit: rule_of(id).and_then(|rule| rule.currency.as_deref()).unwrap_or(id.unit.as_str()).to_owned(),
        window: id.window.to_string(),
        used: id.unit.show(used),
        held: id.unit.show(held),
        limit: rule_of(id).map(|rule| id.unit.show(rule.cap)),
        until: (id.window != Window::Now).then(|| rfc3339(id.window.leaves_at(last))),
    };
    sums.into_iter().map(line).collect()
}

fn text(lines: &[Line]) -> Vec<String> {
    if lines.is_empty() {
        return vec!["nothing counts on a limit now".to_owned()];
    }
    let mut out = vec![format!(
        "{:<24} {:<36} {:<14} {:>14} {:>12} {:>14}  {}",
        "rule", "scope", "window", "used", "held", "limit", "until"
    )];
    out.extend(lines.iter().map(|line| {
        let scope = if line.scope.is_empty() { "everybody" } else { &line.scope };
        format!(
            "{:<24} {:<36} {:<14} {:>14} {:>12} {:>14}  {}",
            line.rule,
            scope,
            line.window,
            format!("{} {}", line.used, line.unit),
            line.held,
            line.limit.as_deref().unwrap_or("no such rule"),
            line.until.as_deref().unwrap_or("-"),
        )
    }));
    out
}
