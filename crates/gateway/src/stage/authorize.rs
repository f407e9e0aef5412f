//! Authorize: policy's permit for this caller, this model and what the request says of itself.

use crate::context::Thread;
use crate::question::{self, Said, action_of, facts, policy_commit};
use crate::refusal::{RefusalKind, Refused};
use crate::routing::{Route, RoutingTable};
use crate::stage::read::Asked;
use crate::stage::record::put_on_record;
use crate::stored::{self, StateRefusal};
use hermetic_diagnostics::Diagnose;
use hermetic_identity::Authenticated;
use hermetic_inference_api::Surface;
use hermetic_ledger::record::{Event, Record, RequestRefused};
use hermetic_policy::{Action, Permit};
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

pub(crate) async fn authorize(thread: &Thread, mut asked: Asked) -> Result<Permitted, Refused> {
    let request = asked.accepted.request;
    let authorizer = &thread.shared.authorizer;
    authorizer
        .with_levels(|levels| question::check_classification(&asked.accepted.headers, levels))
        .map_err(|kind| kind.of(request))?;
    let table = thread.shared.routes.load_full();
    let Some(route) = table.get(&asked.facts.model) else {
        let near = nearest_usable(thread, &table, &asked);
        let model = asked.facts.model.clone();
        return Err(RefusalKind::UnknownModel { model, near }.of(request));
    };
    let said = Said::by(&asked);
    let decided = permit(thread, &asked.who, asked.accepted.surface, route, said);
    if let Some(explanation) = &asked.accepted.explanation {
        let may_know = (Action::Explain, asked.accepted.surface);
        let allowed = authorizer.decide(&question::question(&asked.who, may_know, route, said)).is_ok();
        explanation.decided(allowed, &decided);
    }
    // Whether the response is kept is asked behind that, about the same model.
    let decided = decided.and_then(|permit| Ok((permit, stored::decide(thread, &asked, route)?)));
    match decided {
        Ok((permit, keeps)) => {
            asked.keep(keeps);
            Ok(Permitted { permit, route: Arc::clone(route), asked })
        }
        Err(kind) => {
            Box::pin(record_refusal(thread, &asked, route, &kind)).await?;
            Err(kind.of(request))
        }
    }
}

/// The credential's own limits first, then the policies in force.
pub(crate) fn permit(
    thread: &Thread,
    who: &Authenticated,
    surface: Surface,
    route: &Route,
    said: Said<'_>,
) -> Result<Permit, RefusalKind> {
    if !who.scopes().permits(surface, &route.model) {
        return Err(RefusalKind::OutOfScope { model: route.model.clone(), surface });
    }
    let decide = |action| {
        let question = question::question(who, (action, surface), route, said);
        thread.shared.authorizer.decide(&question).map_err(RefusalKind::Policy)
    };
    let permit = decide(action_of(surface))?;
    if said.in_batch {
        decide(Action::Batch)?;
    }
    Ok(permit)
}

/// Whether a request for this model on this surface would be let through here.
pub(crate) fn may_use(
    thread: &Thread,
    who: &Authenticated,
    surface: Surface,
    route: &Route,
    said: Said<'_>,
) -> bool {
    permit(thread, who, surface, route, said).is_ok()
}

/// That an authenticated caller was turned away is on record before the caller learns of it.
async fn record_refusal(
    thread: &Thread,
    asked: &Asked,
    route: &Route,
    kind: &RefusalKind,
) -> Result<(), Refused> {
    let surface = asked.accepted.surface;
    let question = question::question(&asked.who, (action_of(surface), surface), route, Said::by(asked));
    let (revision, policies) = match kind {
        RefusalKind::Policy(refusal) | RefusalKind::State(StateRefusal::StoreNotPermitted(refusal)) => {
            (refusal.revision().clone(), refusal.policies().to_vec())
        }
        _ => (thread.shared.authorizer.revision(), Vec::new()),
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
            policy_digest: revision.digest,
            policies,
            policy_commit: policy_commit(&revision),
            model_digest: route.digest(),
            stream: asked.facts.stream,
            facts: facts(&question),
            batch: asked.accepted.batch_line(),
            verdicts: Vec::new(),
            continues: asked.continues(),
        }),
    };
    let recorded = put_on_record(&thread.shared, &record).await;
    recorded.map(|_| ()).map_err(|error| RefusalKind::Ledger(error).of(asked.accepted.request))
}

/// The known models with the nearest names that the caller may use: a suggestion must not be a directory of secrets.
fn nearest_usable(thread: &Thread, table: &RoutingTable, asked: &Asked) -> Vec<String> {
    let wanted = asked.facts.model.as_str();
    let mut usable: Vec<(usize, &str)> = table
        .routes()
        .filter(|route| may_use(thread, &asked.who, asked.accepted.surface, route, Said::by(asked)))
        .map(|route| (strsim::damerau_levenshtein(wanted, route.model.as_str()), route.model.as_str()))
        .collect();
    usable.sort_unstable();
    usable.into_iter().take(SUGGESTIONS).map(|(_, name)| name.to_owned()).collect()
}
