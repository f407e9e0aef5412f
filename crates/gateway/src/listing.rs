//! `GET /v1/models` and `GET /v1/models/{name}`: the models the caller may use on at least one surface. A model policy
//! keeps from the caller looks like one that does not exist.

use crate::body::AnswerBody;
use crate::context::Thread;
use crate::peer::Peer;
use crate::probes;
use crate::question::Said;
use crate::refusal::{RefusalKind, Refused};
use crate::routing::Route;
use crate::stage::authorize;
use crate::stage::identify::identify_headers;
use bytes::Bytes;
use hermetic_identity::Authenticated;
use hermetic_inference_api::{ModelList, ModelObject, Surface};
use http::{HeaderMap, Response};
use std::sync::Arc;

const PATH: &str = "/v1/models";

pub(crate) fn is_path(path: &str) -> bool {
    path == PATH || name_in(path).is_some()
}

fn name_in(path: &str) -> Option<&str> {
    path.strip_prefix(PATH)?.strip_prefix('/').filter(|name| !name.is_empty())
}

pub(crate) async fn answer(
    thread: &Thread,
    peer: &Peer,
    path: &str,
    headers: &HeaderMap,
) -> Result<Response<AnswerBody>, Refused> {
    let who = identify_headers(thread, peer, headers, None).await?;
    let table = thread.shared.routes.load_full();
    let usable = |route: &&Arc<Route>| on_any_surface(thread, &who, route);
    let body = match name_in(path) {
        None => ModelList::new(table.routes().filter(usable).map(object).collect()).to_json(),
        Some(name) => {
            let route = table.routes().filter(usable).find(|route| route.model.as_str() == name);
            let Some(route) = route else {
                let unknown = |model| RefusalKind::UnknownModel { model, near: Vec::new() };
                return Err(name.parse().map_or(RefusalKind::NotFound, unknown).unnamed());
            };
            object(route).to_json()
        }
    };
    Ok(probes::ok("application/json", Bytes::from(body)))
}

fn on_any_surface(thread: &Thread, who: &Authenticated, route: &Route) -> bool {
    let may = |surface: Surface| {
        route.kind == surface.kind() && authorize::may_use(thread, who, surface, route, Said::NOTHING)
    };
    Surface::ALL.into_iter().any(may)
}

fn object(route: &Arc<Route>) -> ModelObject {
    ModelObject {
        id: route.model.to_string(),
        object: "model",
        created: route.created,
        owned_by: "hermetic",
        kind: route.kind.as_str(),
        digest: route.digest().map(|digest| digest.to_string()),
    }
}
