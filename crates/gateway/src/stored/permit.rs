//! Whether a response is kept: what the caller wishes, policy permits and there is room for.

use crate::context::Thread;
use crate::question::{self, Said};
use crate::refusal::RefusalKind;
use crate::routing::Route;
use crate::stage::read::Asked;
use crate::stored::kept_here;
use crate::stored::recall::Wish;
use crate::stored::refusal::StateRefusal;
use crate::stored::store::StoredResponses;
use hermetic_identity::Authenticated;
use hermetic_inference_api::Surface;
use hermetic_policy::Action;

/// Whether the response of a request to this model is to be kept. What was not asked for and cannot be is not; what was asked
/// for is refused.
pub(crate) fn decide(thread: &Thread, asked: &Asked, route: &Route) -> Result<bool, RefusalKind> {
    let (Some(state), Some(responses)) = (&asked.state, kept_here(&thread.shared)) else { return Ok(false) };
    let kept = match state.wish {
        Wish::Nothing => return Ok(false),
        Wish::IfPermitted => return Ok(may_keep(thread, responses, asked, route).is_ok()),
        Wish::Kept => may_keep(thread, responses, asked, route),
    };
    kept.map(|()| true).map_err(RefusalKind::State)
}

fn may_keep(
    thread: &Thread,
    responses: &StoredResponses,
    asked: &Asked,
    route: &Route,
) -> Result<(), StateRefusal> {
    let surface = asked.accepted.surface;
    let asks = question::question(&asked.who, (Action::Store, surface), route, Said::by(asked));
    thread.shared.authorizer.decide(&asks).map_err(StateRefusal::StoreNotPermitted)?;
    let (max, found) = (responses.options().response_bytes_max, asked.sent.len());
    if found > max {
        return Err(StateRefusal::ResponseTooLarge { max, found });
    }
    // What is in flight may together go beyond it, by so many responses as a gateway answers at once.
    let (max, held) = (responses.options().project_bytes_max, responses.held_for(&asked.who.owner().project));
    if held >= max { Err(StateRefusal::ProjectFull { max, held }) } else { Ok(()) }
}

/// Stored responses are for those whom policy permits to have responses of some model kept.
pub(crate) fn may_store(thread: &Thread, who: &Authenticated) -> Result<(), StateRefusal> {
    let table = thread.shared.routes.load();
    let surface = Surface::Responses;
    let permits = |route: &Route| {
        let asks = question::question(who, (Action::Store, surface), route, Said::NOTHING);
        who.scopes().permits(surface, &route.model) && thread.shared.authorizer.decide(&asks).is_ok()
    };
    let any = table.routes().any(|route| permits(route));
    if any { Ok(()) } else { Err(StateRefusal::NotPermitted) }
}
