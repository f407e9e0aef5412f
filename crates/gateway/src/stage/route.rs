//! Route: the plan of the model, if it serves this surface, and the first target to be asked.

use crate::context::Thread;
use crate::course::Course;
use crate::refusal::{RefusalKind, Refused};
use crate::routing::{Chosen, PlannedTarget, Route, RouteState, StickTo, Wish, hash};
use crate::stage::authorize::Permitted;
use crate::stage::read::Asked;
use hermetic_inference_api::{Surface, prompt_prefix};
use hermetic_policy::Permit;
use hermetic_routing::{Chance, mix};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A permitted request with a place to go.
#[derive(Debug)]
pub(crate) struct Routed {
    pub(crate) asked: Asked,
    pub(crate) permit: Permit,
    pub(crate) route: Arc<Route>,
    /// Index of the target that is asked first.
    first: usize,
    pub(crate) course: RefCell<Course>,
}

pub(crate) fn route(thread: &Thread, permitted: Permitted) -> Result<Routed, Refused> {
    let Permitted { asked, permit, route } = permitted;
    let request = asked.accepted.request;
    let refuse = |kind: RefusalKind| Err(kind.of(request));
    let model = || route.model.clone();
    if let Some(explanation) = &asked.accepted.explanation {
        let names = route.plan.targets().iter().map(|target| target.name.to_string());
        explanation.add("targets", names.collect::<Vec<_>>().into());
    }
    if route.kind != asked.accepted.surface.kind() {
        let surface = asked.accepted.surface;
        return refuse(RefusalKind::WrongSurface { model: model(), kind: route.kind, surface });
    }
    match route.state() {
        RouteState::Ready => {}
        RouteState::Starting => return refuse(RefusalKind::ModelStarting { model: model() }),
        RouteState::Failed => return refuse(RefusalKind::ModelFailed { model: model() }),
    }
    let course = RefCell::new(course(&asked, &route));
    let mut routed = Routed { asked, permit, route, first: 0, course };
    match routed.choose(thread) {
        Chosen::Target(first) => {
            routed.first = first;
            Ok(routed)
        }
        Chosen::AllDown { until } => {
            let after = until.saturating_sub(thread.shared.clock.monotonic());
            refuse(RefusalKind::NoTarget { model: routed.route.model.clone(), after })
        }
        Chosen::Exhausted => refuse(RefusalKind::ModelStarting { model: routed.route.model.clone() }),
    }
}

/// Whether the model serves this surface and can be asked now.
pub(crate) fn can_serve(route: &Route, surface: Surface) -> bool {
    route.kind == surface.kind() && route.state() == RouteState::Ready
}

/// What decides between targets, besides how they fare.
fn course(asked: &Asked, route: &Route) -> Course {
    let rules = &route.plan.rules;
    let deadline = rules.total.map(|total| Instant::now() + total);
    let mut chance = Chance::new(asked.accepted.chance);
    if !route.plan.has_choice() {
        return Course::new(chance, deadline);
    }
    route.plan.state.deposit();
    let prefix =
        rules.affinity_bytes.and_then(|most| prompt_prefix(asked.accepted.surface.call(), &asked.body, most));
    let stays = match rules.stick_to {
        StickTo::Request => chance.draw(),
        StickTo::Key => hash(asked.who.credential().name().as_bytes()),
        StickTo::Project => hash(asked.who.owner().project.as_str().as_bytes()),
    };
    // Mixed with the model's name, so that it is not the same callers who are on every canary.
    let canary_point = Some(mix(stays ^ hash(route.model.as_str().as_bytes())));
    let prefix = prefix.map(|prefix| hash(&prefix));
    let mut course = Course::new(chance, deadline);
    (course.prefix, course.canary_point) = (prefix, canary_point);
    course
}

impl Routed {
    /// The target that is asked first.
    pub(crate) fn first(&self) -> (usize, Option<&PlannedTarget>) {
        (self.first, self.route.plan.get(self.first))
    }

    /// The name that target knows the model by.
    pub(crate) fn model_name(&self) -> &str {
        let upstream = self.first().1.and_then(|planned| planned.upstream_name.as_deref());
        upstream.unwrap_or(self.route.model.as_str())
    }

    fn choose(&self, thread: &Thread) -> Chosen {
        let now = thread.shared.clock.monotonic();
        let course = &mut *self.course.borrow_mut();
        let wish =
            Wish { now, tried: &course.tried, prefix: course.prefix, canary_point: course.canary_point };
        let chosen = self.route.plan.choose(&wish, &mut course.chance);
        if let Chosen::Target(index) = chosen {
            course.tried.push(index);
        }
        chosen
    }

    /// Another target to try again on, if there is one and the budget has it.
    pub(crate) fn retry(&self, thread: &Thread) -> Option<usize> {
        let now = thread.shared.clock.monotonic();
        let next = self.another(thread, || self.route.plan.state.may_retry(now))?;
        thread.shared.metrics.routing.retries.inc();
        Some(next)
    }

    /// A second target to ask beside the first.
    pub(crate) fn hedge(&self, thread: &Thread) -> Option<usize> {
        let now = thread.shared.clock.monotonic();
        let next = self.another(thread, || self.route.plan.state.may_hedge(now))?;
        thread.shared.metrics.routing.hedges.inc();
        Some(next)
    }

    /// A target that was not asked yet; it stays unasked when it is not `granted`.
    pub(crate) fn another(&self, thread: &Thread, granted: impl FnOnce() -> bool) -> Option<usize> {
        if !self.route.plan.has_choice() {
            return None;
        }
        let Chosen::Target(index) = self.choose(thread) else { return None };
        if granted() {
            return Some(index);
        }
        self.course.borrow_mut().tried.pop();
        None
    }

    /// What is left of the request's time; `None` when it has no end.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let deadline = self.course.borrow().deadline;
        deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }
}
