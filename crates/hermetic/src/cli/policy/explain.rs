//! `hermetic policy explain`: why a recorded request was answered or denied, or why one would be.

mod history;

use super::question::{Asked, Stated};
use super::{PolicyError, PolicyView, RevisionView, Site};
use crate::cli::Context;
use hermetic_config::{Config, ModelSource};
use hermetic_diagnostics::{Diagnose, Report};
use hermetic_ids::RequestId;
use hermetic_policy::{Policies, RefusalReason};
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A recorded request (`req_…`, as in the answer's `x-request-id`).
    #[arg(long)]
    request: Option<RequestId>,
    /// The policy folder; without one, `policy.dir` of the configuration.
    #[arg(long)]
    policy: Option<std::path::PathBuf>,
    #[command(flatten)]
    stated: Stated,
}

/// Why a request would be decided as it would.
#[derive(Debug, Serialize)]
struct Explained {
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    reason: String,
    policies: Vec<PolicyView>,
    asked: Asked,
    revision: RevisionView,
    /// Where it would go, as far as the configuration says.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Report> {
    match arguments.request {
        Some(request) => history::explain(request, arguments.policy.as_deref(), context),
        None => hypothetical(arguments, context),
    }
}

fn hypothetical(arguments: &Arguments, context: &Context) -> Result<(), Report> {
    let site = Site::of(context, arguments.policy.as_deref())?;
    let stated = arguments.stated.clone();
    let of_config = site.config.as_ref().map(|config| stated.of_config(config)).unwrap_or_default();
    let asked = stated.or(&of_config).complete()?;
    let policies = site.policies()?;
    let target = site.config.as_ref().and_then(|config| target(config, &asked));
    let explained = judge(&policies, asked, target);
    context.out.result(&explained, |explained| {
        let mut lines = vec![match explained.code {
            Some(code) => format!("would be denied ({code}): {}", explained.reason),
            None => format!("would be permitted: {}", explained.reason),
        }];
        lines.extend(explained.asked.lines(&site.levels));
        lines.push(format!("policies   {}", explained.revision.line()));
        lines.extend(explained.policies.iter().flat_map(PolicyView::lines));
        lines.extend(explained.target.iter().map(|target| format!("then       {target}")));
        lines
    });
    Ok(())
}

fn judge(policies: &Policies, asked: Asked, target: Option<String>) -> Explained {
    let revision = RevisionView::of(policies.revision());
    match policies.decide(&asked.question()) {
        Ok(permit) => Explained {
            verdict: "permitted",
            code: None,
            reason: "at least one policy permits it and none forbids it".to_owned(),
            policies: PolicyView::all(policies, permit.policies()),
            asked,
            revision,
            target,
        },
        Err(refusal) => {
            let more = match refusal.reason {
                RefusalReason::NotPermitted => "; what no policy permits is denied",
                RefusalReason::Forbidden => "; a forbid wins over every permit",
                RefusalReason::Unevaluable => "",
            };
            Explained {
                verdict: "denied",
                code: Some(refusal.code().as_str()),
                reason: format!("{refusal}{more}"),
                policies: PolicyView::all(policies, refusal.policies()),
                asked,
                revision,
                target: None,
            }
        }
    }
}

fn target(config: &Config, asked: &Asked) -> Option<String> {
    let model = config.models.iter().find(|model| model.name == asked.model)?;
    Some(match &model.source {
        ModelSource::Artifact { artifact, label, .. } => {
            format!("goes to a worker that runs {artifact} of the release in {label}")
        }
        ModelSource::Endpoint { base_url, .. } => format!("goes to {base_url}"),
        ModelSource::Targets(several) => {
            let names: Vec<&str> = several.targets.iter().map(|target| target.name.as_str()).collect();
            format!("goes to one of the targets {}", names.join(", "))
        }
    })
}

/// The title of a code's page.
fn title_of(code: &str) -> Option<String> {
    let found = hermetic_diagnostics::index().into_iter().find(|(known, _)| *known == code);
    found.map(|(_, title)| title.to_owned())
}

/// No request is meant by an id of which nothing was recorded.
fn no_decision(request: RequestId) -> PolicyError {
    PolicyError::NoDecision { request: request.to_string() }
}
