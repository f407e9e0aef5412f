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
    match ask_policy(thread, &asked.who, asked.accepted.surface, route) {
        Ok(permit) => Ok(Permitted { permit, route: Arc::clone(route), asked }),
        Err(refusal) => {
            record_refusal(thread, &asked, &refusal).await?;
            Err(RefusalKind::Policy(refusal).of(asked.accepted.request))
        }
    }
}

/// One question to the policies in force.
pub(crate) fn ask_policy(
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
        model: ModelFacts { name: &route.model, kind: route.kind.as_str(), digest: route.digest.as_ref() },
    })
}

/// That an authenticated caller was turned away is on record before the caller learns of it.
async fn record_refusal(thread: &Thread, asked: &Asked, refusal: &Refusal) -> Result<(), Refused> {
    let record = Record {
        v: 1,
        at_unix_ms: thread.shared.clock.unix_millis(),
        event: Event::RequestRefused(RequestRefused {
            request: asked.accepted.request,
            trace: asked.accepted.trace.id,
            key: asked.who.key(),
            owner: asked.who.owner().clone(),
            surface: asked.accepted.surface.as_str().to_owned(),
            model: asked.facts.model.to_string(),
            code: refusal.code().as_str().to_owned(),
            status: crate::respond::POLICY_REFUSAL.as_u16(),
            policy_digest: refusal.digest(),
            policies: refusal.policies().to_vec(),
            limit: None,
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
        .filter(|route| ask_policy(thread, &asked.who, asked.accepted.surface, route).is_ok())
        .map(|route| (strsim::damerau_levenshtein(wanted, route.model.as_str()), route.model.as_str()))
        .collect();
    usable.sort_unstable();
    usable.into_iter().take(SUGGESTIONS).map(|(_, name)| name.to_owned()).collect()
}
