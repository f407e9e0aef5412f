//! A request as policy is asked about it, and as a record keeps it.

use crate::refusal::RefusalKind;
use crate::routing::Route;
use crate::stage::read::Asked;
use hermetic_identity::{Authenticated, Owner};
use hermetic_inference_api::Surface;
use hermetic_ledger::record::{self, Credential, Facts, PolicyCommit};
use hermetic_policy::{Action, Agreement, Circumstances, Levels, ModelFacts, Principal, Question, Revision};
use http::{HeaderMap, HeaderName};

/// How the caller classifies what it sends.
pub(crate) const X_CLASSIFICATION: HeaderName = HeaderName::from_static("x-hermetic-classification");

/// What a request says of itself. Made where the headers were checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'a> {
    pub(crate) stream: bool,
    pub(crate) classification: Option<&'a str>,
    pub(crate) metadata: &'a [(String, String)],
    /// It is a line of a batch.
    pub(crate) in_batch: bool,
}

impl Said<'_> {
    /// Nothing: for what is asked before there is a request.
    pub(crate) const NOTHING: Self =
        Self { stream: false, classification: None, metadata: &[], in_batch: false };
}

impl<'a> Said<'a> {
    pub(crate) fn by(asked: &'a Asked) -> Self {
        Self {
            stream: asked.facts.stream,
            classification: match asked.state.as_ref().and_then(|state| state.continues.as_ref()) {
                None => stated_classification(&asked.accepted.headers),
                // What was said before is part of what is asked now.
                Some(continued) => continued.classification.as_deref(),
            },
            metadata: &asked.facts.metadata,
            in_batch: asked.accepted.ticket.is_some(),
        }
    }
}

/// Nothing that the site does not know, and nothing said twice, is a classification.
pub(crate) fn check_classification(headers: &HeaderMap, levels: &Levels) -> Result<(), RefusalKind> {
    let mut stated = headers.get_all(X_CLASSIFICATION).iter();
    let known = |value: &http::HeaderValue| value.to_str().is_ok_and(|name| levels.contains(name));
    match (stated.next(), stated.next()) {
        (None, _) => Ok(()),
        (Some(value), None) if known(value) => Ok(()),
        _ => Err(RefusalKind::Classification { known: levels.listed() }),
    }
}

pub(crate) fn stated_classification(headers: &HeaderMap) -> Option<&str> {
    headers.get(X_CLASSIFICATION)?.to_str().ok()
}

pub(crate) fn action_of(surface: Surface) -> Action {
    match surface {
        Surface::ChatCompletions => Action::ChatCompletions,
        Surface::Completions => Action::Completions,
        Surface::Embeddings => Action::Embeddings,
        Surface::Messages => Action::Messages,
        Surface::Responses => Action::Responses,
        Surface::Rerank => Action::Rerank,
        Surface::Transcriptions => Action::Transcriptions,
        Surface::Translations => Action::Translations,
        Surface::ImageGenerations => Action::ImageGenerations,
        Surface::ImageEdits => Action::ImageEdits,
    }
}

/// The question about a caller, a model and what the request says; `action` as its surface has it, or to explain.
pub(crate) fn question<'a>(
    who: &'a Authenticated,
    (action, surface): (Action, Surface),
    route: &'a Route,
    said: Said<'a>,
) -> Question<'a> {
    let Owner { subject, project, team, workflow } = who.owner();
    let profile = &route.profile;
    Question {
        principal: Principal {
            subject,
            project,
            team,
            workflow,
            groups: who.groups(),
            clearance: who.clearance().map(|clearance| clearance.as_str()),
            credential: credential_kind(who.credential()),
            metadata: who.metadata_pairs(),
        },
        action,
        model: ModelFacts {
            name: &route.model,
            kind: route.kind.as_str(),
            digest: route.digest(),
            labels: &profile.labels,
            target: profile.runs.as_str(),
            classification: profile.classification.as_ref().map(|level| level.as_str()),
            tags: &profile.tags,
        },
        circumstances: Circumstances {
            surface: surface.as_str(),
            stream: said.stream,
            classification: said.classification,
            metadata: said.metadata,
        },
    }
}

/// As policies call it.
fn credential_kind(credential: &Credential) -> &'static str {
    match credential {
        Credential::ApiKey { .. } => "api-key",
        Credential::Token { .. } => "token",
        Credential::Certificate { .. } => "certificate",
    }
}

/// What the decision depended on, as far as the record does not say it elsewhere.
pub(crate) fn facts(question: &Question<'_>) -> Facts {
    let pairs = |pairs: &[(String, String)]| pairs.iter().cloned().collect();
    let Question { principal, model, circumstances, .. } = question;
    Facts {
        groups: principal.groups.to_vec(),
        clearance: principal.clearance.map(str::to_owned),
        principal_metadata: pairs(principal.metadata),
        metadata: pairs(circumstances.metadata),
        classification: circumstances.classification.map(str::to_owned),
        model: Some(record::ModelFacts {
            kind: model.kind.to_owned(),
            target: model.target.to_owned(),
            labels: model.labels.to_vec(),
            classification: model.classification.map(str::to_owned),
            tags: pairs(model.tags),
        }),
    }
}

/// The commit of a policy folder, as records hold it.
pub fn policy_commit(revision: &Revision) -> Option<PolicyCommit> {
    revision.commit.as_ref().map(|commit| PolicyCommit {
        id: commit.id.clone(),
        dirty: commit.agreement == Agreement::Dirty,
        unverified: commit.agreement == Agreement::Unverified,
    })
}
