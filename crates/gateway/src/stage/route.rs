//! Route: the engine that serves the model, if it does so on this surface and is ready.

use crate::refusal::{RefusalKind, Refused};
use crate::routing::{Route, RouteState};
use crate::stage::authorize::Permitted;
use crate::stage::read::Asked;
use hermetic_ids::ModelKind;
use hermetic_inference_api::Surface;
use hermetic_policy::Permit;
use std::sync::Arc;

/// A permitted request with a place to go.
#[derive(Debug)]
pub(crate) struct Routed {
    pub(crate) asked: Asked,
    pub(crate) permit: Permit,
    pub(crate) route: Arc<Route>,
}

pub(crate) fn route(permitted: Permitted) -> Result<Routed, Refused> {
    let Permitted { asked, permit, route } = permitted;
    let request = asked.accepted.request;
    let model = || route.model.clone();
    if !serves(route.kind, asked.accepted.surface) {
        let kind =
            RefusalKind::WrongSurface { model: model(), kind: route.kind, surface: asked.accepted.surface };
        return Err(kind.of(request));
    }
    match route.state {
        RouteState::Ready => Ok(Routed { asked, permit, route }),
        RouteState::Starting => Err(RefusalKind::ModelStarting { model: model() }.of(request)),
        RouteState::Failed => Err(RefusalKind::ModelFailed { model: model() }.of(request)),
    }
}

/// Whether the model serves this surface and can be asked now.
pub(crate) fn can_serve(route: &Route, surface: Surface) -> bool {
    serves(route.kind, surface) && route.state == RouteState::Ready
}

fn serves(kind: ModelKind, surface: Surface) -> bool {
    match surface {
        Surface::ChatCompletions | Surface::Completions => kind == ModelKind::Chat,
        Surface::Embeddings => kind == ModelKind::Embedding,
    }
}
