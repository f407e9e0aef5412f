//! A question as the ledger recorded it, and how it was decided then.

use super::question::Asked;
use hermetic_digest::Digest;
use hermetic_ids::RequestId;
use hermetic_ledger::record::{Credential, Event, Facts, ModelFacts, Owner, PolicyCommit, Record};
use hermetic_policy::Action;

/// One recorded decision.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    pub(super) request: RequestId,
    pub(super) permitted: bool,
    pub(super) policies: Vec<String>,
    pub(super) digest: Digest,
    pub(super) commit: Option<PolicyCommit>,
    /// The code the caller was given, where the request was turned away, by policy or later.
    pub(super) code: Option<String>,
    pub(super) status: Option<u16>,
    /// `None`: the record does not hold all a policy can read. It was written before records did.
    pub(super) asked: Option<Asked>,
}

/// The codes of policy's own refusals; what else refuses comes after policy permitted.
const POLICY_CODES: [&str; 3] = ["E0920", "E0921", "E0922"];

/// What the two kinds of record have in common.
struct Common<'r> {
    credential: &'r str,
    owner: &'r Owner,
    surface: &'r str,
    stream: bool,
    model: &'r str,
    digest: Option<Digest>,
    facts: &'r Facts,
}

impl Decided {
    /// `None` for records that are no decision about a request.
    pub(super) fn of(record: &Record) -> Option<Self> {
        match &record.event {
            Event::RequestAdmitted(event) => Some(Self {
                request: event.request,
                permitted: true,
                policies: event.policies.clone(),
                digest: event.policy_digest,
                commit: event.policy_commit.clone(),
                code: None,
                status: None,
                asked: asked(&Common {
                    credential: kind_of(&event.credential),
                    owner: &event.owner,
                    surface: &event.surface,
                    stream: event.stream,
                    model: event.model.as_str(),
                    digest: event.model_digest,
                    facts: &event.facts,
                }),
            }),
            Event::RequestRefused(event) => Some(Self {
                request: event.request,
                permitted: !POLICY_CODES.contains(&event.code.as_str()),
                policies: event.policies.clone(),
                digest: event.policy_digest,
                commit: event.policy_commit.clone(),
                code: Some(event.code.clone()),
                status: Some(event.status),
                asked: asked(&Common {
                    credential: kind_of(&event.credential),
                    owner: &event.owner,
                    surface: &event.surface,
                    stream: event.stream,
                    model: &event.model,
                    digest: event.model_digest,
                    facts: &event.facts,
                }),
            }),
            _ => None,
        }
    }
}

fn kind_of(credential: &Credential) -> &'static str {
    match credential {
        Credential::ApiKey { .. } => "api-key",
        Credential::Token { .. } => "token",
        Credential::Certificate { .. } => "certificate",
    }
}

fn asked(common: &Common<'_>) -> Option<Asked> {
    let Owner { subject, project, team, workflow } = common.owner;
    let Facts { groups, clearance, principal_metadata, metadata, classification, model } = common.facts;
    let ModelFacts { kind, target, labels, classification: model_classification, tags } = model.as_ref()?;
    let pairs = |map: &std::collections::BTreeMap<String, String>| map.clone().into_iter().collect();
    Some(Asked {
        subject: subject.clone(),
        project: project.clone(),
        team: team.clone(),
        workflow: workflow.clone(),
        groups: groups.clone(),
        clearance: clearance.clone(),
        credential: common.credential.to_owned(),
        principal_metadata: pairs(principal_metadata),
        action: Action::of_surface(common.surface)?,
        surface: common.surface.to_owned(),
        stream: common.stream,
        classification: classification.clone(),
        metadata: pairs(metadata),
        model: common.model.parse().ok()?,
        kind: kind.clone(),
        digest: common.digest,
        labels: labels.clone(),
        target: target.clone(),
        model_classification: model_classification.clone(),
        tags: pairs(tags),
    })
}
