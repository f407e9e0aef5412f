//! What the ledger holds about one request, told in order.

use super::super::recorded::Decided;
use super::super::{PolicyView, RevisionView, Site};
use super::{no_decision, title_of};
use crate::cli::Context;
use crate::cli::audit::{self, printable};
use hermetic_diagnostics::Report;
use hermetic_ids::RequestId;
use hermetic_ledger::{Record, RecordView};
use hermetic_ledger_store::ReadError;
use hermetic_policy::Policies;
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// Fields of a record that are told in words, or say nothing to somebody who asks why.
const TOLD: [&str; 22] = [
    "kind",
    "request",
    "trace",
    "key",
    "credential",
    "owner",
    "surface",
    "model",
    "model_digest",
    "policy_digest",
    "policy_commit",
    "policies",
    "stream",
    "prompt",
    "prompt_bytes",
    "facts",
    "code",
    "status",
    "admitted",
    "answer",
    "answer_bytes",
    "content_kept",
];

/// A recorded request, explained.
#[derive(Debug, Serialize)]
struct History {
    request: RequestId,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    decided_by: Vec<String>,
    /// The policies as they are written now; empty when the folder is not there.
    policies: Vec<PolicyView>,
    policy_digest: String,
    /// Whether the folder still is as it was when the request was decided.
    policies_unchanged: bool,
    records: Vec<RecordView>,
    #[serde(skip)]
    lines: Vec<String>,
}

pub(super) fn explain(request: RequestId, folder: Option<&Path>, context: &Context) -> Result<(), Report> {
    let (snapshot, found) = audit::find_request(context, request)?;
    let views = found
        .into_iter()
        .map(|index| Ok(RecordView::of(index, &snapshot.read(index)?)))
        .collect::<Result<Vec<_>, ReadError>>()?;
    let known: Vec<Record> = views.iter().filter_map(RecordView::known).collect();
    let decided = known.iter().find_map(Decided::of).ok_or_else(|| no_decision(request))?;
    // Explaining the past needs no sound policies of today.
    let site = Site::of(context, folder).ok();
    let today = site.as_ref().and_then(|site| site.policies().ok());
    let history = tell(request, &decided, views, (site.as_ref(), today.as_ref()));
    context.out.result(&history, |history| history.lines.clone());
    Ok(())
}

fn tell(
    request: RequestId,
    decided: &Decided,
    records: Vec<RecordView>,
    (site, today): (Option<&Site>, Option<&Policies>),
) -> History {
    let policies = today.map(|today| PolicyView::all(today, &decided.policies)).unwrap_or_default();
    let unchanged = today.is_some_and(|today| today.digest() == decided.digest);
    let verdict = match (&decided.code, decided.permitted) {
        (None, _) => "permitted",
        (Some(_), true) => "refused",
        (Some(_), false) => "denied",
    };
    let mut lines = vec![headline(request, decided, verdict)];
    lines.extend(records.first().and_then(|first| first.at.as_ref()).map(|at| format!("asked at   {at}")));
    if let (Some(asked), Some(site)) = (&decided.asked, site) {
        lines.extend(asked.lines(&site.levels));
    }
    lines.push(format!("policies   {}", revision_line(decided)));
    lines.extend(policy_lines(decided, &policies, unchanged));
    lines.extend(records.iter().flat_map(told));
    History {
        request,
        verdict,
        code: decided.code.clone(),
        decided_by: decided.policies.clone(),
        policies,
        policy_digest: decided.digest.to_string(),
        policies_unchanged: unchanged,
        records,
        lines: lines.iter().map(|line| printable(line)).collect(),
    }
}

fn headline(request: RequestId, decided: &Decided, verdict: &str) -> String {
    let Some(code) = &decided.code else {
        return format!("{request} was permitted");
    };
    let status = decided.status.map_or_else(String::new, |status| format!(", status {status}"));
    let title = title_of(code).unwrap_or_else(|| "no page of this release has this code".to_owned());
    match verdict {
        "refused" => {
            format!("{request} was permitted by policy and then refused ({code}{status}): {title}")
        }
        _ => format!("{request} was denied ({code}{status}): {title}"),
    }
}

fn revision_line(decided: &Decided) -> String {
    let commit = decided.commit.as_ref();
    let agreement = commit.map(|commit| match (commit.dirty, commit.unverified) {
        (true, _) => "dirty",
        (false, true) => "unverified",
        (false, false) => "clean",
    });
    let digest = decided.digest.to_string();
    RevisionView { digest, commit: commit.map(|commit| commit.id.clone()), agreement }.line()
}

fn policy_lines(decided: &Decided, policies: &[PolicyView], unchanged: bool) -> Vec<String> {
    let mut lines = Vec::new();
    if decided.policies.is_empty() {
        lines.push("  no policy applied; what no policy permits is denied".to_owned());
    } else if !unchanged {
        lines.push(format!("  decided by {}", decided.policies.join(", ")));
        lines.push("  the folder has changed since; as they are written now:".to_owned());
    }
    lines.extend(policies.iter().flat_map(PolicyView::lines));
    lines
}

/// What a record says of limits, targets, attempts and the end of the request: whatever it holds beyond the decision.
fn told(view: &RecordView) -> Vec<String> {
    let mut lines = vec![format!("record     {} {}", view.index, view.kind)];
    let Some(Value::Object(event)) = view.record.get("event") else { return lines };
    for (name, value) in event.iter().filter(|(name, _)| !TOLD.contains(&name.as_str())) {
        match value {
            Value::Null => {}
            Value::Array(items) if items.is_empty() => {}
            Value::Array(items) => {
                lines.extend(
                    items.iter().enumerate().map(|(i, item)| format!("  {name}[{i}]: {}", words(item))),
                );
            }
            value => lines.push(format!("  {name}: {}", words(value))),
        }
    }
    lines
}

/// A value of a record on one line: `rule=team-day unit=tokens reserved=512`.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| format!("{name}={}", words(value));
            fields.iter().filter(|(_, value)| !value.is_null()).map(field).collect::<Vec<_>>().join(" ")
        }
        Value::Array(items) => format!("[{}]", items.iter().map(words).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
