//! Authorize: policy's permit for this owner, surface and model.

use crate::context::Thread;
use crate::refusal::{RefusalKind, Refused};
use crate::routing::{Route, RoutingTable};
use crate::stage::read::Asked;
use hermetic_diagnostics::Diagnose;
use hermetic_identity::{Authenticated, Owner};
use hermetic_inference_api::Surface;
use hermetic_ledger::record::{Event, Record, RequestRefused};
use hermetic_policy::{Action, ModelFacts, Permit, Principal, Question, Refusal};
use std::sync::Arc;

/// A request policy permits, of a model that is known here.
#[derive(Debug)]
pub(crate) struct Permitted {
    pub(crate) asked: Asked,
    pub(crate) permit: Permit,
    pub(crate) route: Arc<Route>,
}

/// Names suggested for a model that is not known.
const SUGGESTIONS: usize = 3;

pub(crate) async fn authorize(thread: &Thread, asked: Asked) -> Result<Permitted, Refused> {
    let table = thread.shared.routes.load_full();
    let Some(route) = table.get(&asked.facts.model) else {
        let near = nearest_usable(thread, &table, &asked);
        let model = asked.facts.model.clone();
        return Err(RefusalKind::UnknownModel { model, near }.of(asked.accepted.request));
    };
    let kind = match permit(thread, &asked.who, asked.accepted.surface, route) {
        Ok(permit) => return Ok(Permitted { permit, route: Arc::clone(route), asked }),
        Err(kind) => kind,
    };
    record_refusal(thread, &asked, &kind).await?;
    Err(kind.of(asked.accepted.request))
}

/// The credential's own limits first, then the policies in force.
pub(crate) fn permit(
    thread: &Thread,
    who: &Authenticated,
    surface: Surface,
    route: &Route,
) -> Result<Permit, RefusalKind> {
    if !who.scopes().permits(surface, &route.model) {
        return Err(RefusalKind::OutOfScope { model: route.model.clone(), surface });
    }
    ask_policy(thread, who, surface, route).map_err(RefusalKind::Policy)
}

/// Whether a request for this model on this surface would be let through here.
pub(crate) fn may_use(thread: &Thread, who: &Authenticated, surface: Surface, route: &Route) -> bool {
    permit(thread, who, surface, route).is_ok()
}

/// One question to the policies in force.
fn ask_policy(
    thread: &Thread,
    who: &Authenticated,
    surface: Surface,
    route: &Route,
) -> Result<Permit, Refusal> {
    let Owner { subject, project, team, workflow } = who.owner();
    thread.shared.authorizer.decide(&Question {
        principal: Principal { subject, project, team, workflow },
        action: match surface {
            Surface::ChatCompletions => Action::ChatCompletions,
            Surface::Completions => Action::Completions,
            Surface::Embeddings => Action::Embeddings,
        },
        model: ModelFacts { name: &route.model, kind: route.kind.as_str(), digest: route.digest().as_ref() },
    })
}

/// That an authenticated caller was turned away is on record before the caller learns of it.
async fn record_refusal(thread: &Thread, asked: &Asked, kind: &RefusalKind) -> Result<(), Refused> {
    let (policy_digest, policies) = match kind {
        RefusalKind::Policy(refusal) => (refusal.digest(), refusal.policies().to_vec()),
        _ => (thread.shared.authorizer.digest(), Vec::new()),
    };
    let record = Record {
        v: 1,
        at_unix_ms: thread.shared.clock.unix_millis(),
        event: Event::RequestRefused(RequestRefused {
            request: asked.accepted.request,
            trace: asked.accepted.trace.id,
            credential: asked.who.credential().clone(),
            owner: asked.who.owner().clone(),
            surface: asked.accepted.surface.as_str().to_owned(),
            model: asked.facts.model.to_string(),
            limit: None,
            code: kind.code().as_str().to_owned(),
            status: kind.status().as_u16(),
            policy_digest,
            policies,
        }),
    };
    let appended = thread.shared.ledger.submit(&record).await;
    appended.map(|_| ()).map_err(|error| RefusalKind::Ledger(error).of(asked.accepted.request))
}

/// The known models with the nearest names that the caller may use: a suggestion must not be a directory of secrets.
fn nearest_usable(thread: &Thread, table: &RoutingTable, asked: &Asked) -> Vec<String> {
    let wanted = asked.facts.model.as_str();
    let mut usable: Vec<(usize, &str)> = table
        .routes()
        .filter(|route| may_use(thread, &asked.who, asked.accepted.surface, route))
        .map(|route| (strsim::damerau_levenshtein(wanted, route.model.as_str()), route.model.as_str()))
        .collect();
    usable.sort_unstable();
    usable.into_iter().take(SUGGESTIONS).map(|(_, name)| name.to_owned()).collect()
}
