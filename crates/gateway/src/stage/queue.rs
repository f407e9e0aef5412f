//! Queue: a place at the engine, given in turn.
//!
//! Where a model has a capacity, requests beyond it wait here, in an order that is fair between projects, for a bounded
//! time and in bounded number. A caller that hangs up leaves the queue: nothing of its request has been recorded yet, and
//! nothing has to be. Where a model has no capacity, nothing here costs more than a look.

use crate::context::Thread;
use crate::lane::{Displaced, Entered, Lane, Slot, Waiter};
use crate::refusal::{RefusalKind, Refused};
use crate::stage::limit::Reserved;
use arc_swap::ArcSwap;
use hermetic_clock::Clock;
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_fair_queue::{Claim, Priority};
use hermetic_ids::{ModelName, ProjectName};
use http::HeaderMap;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// The caller's wish; `batch` is always granted.
pub(crate) const PRIORITY: &str = "x-hermetic-priority";

/// Tokens a request without a cap of its own is expected to generate: the length of a usual answer.
const EXPECTED_OUTPUT: u64 = 256;

/// Bounds of what a refused caller is told to wait: less is a retry storm, more is no use to anybody.
const RETRY_AFTER: std::ops::RangeInclusive<u64> = 1..=60;

/// Who waits for an engine, and in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueOptions {
    /// Models with a capacity of their own.
    pub models: BTreeMap<ModelName, ModelQueue>,
    /// The capacity of each of the others. Default `None`: for them there is no queue.
    pub others: Option<ModelQueue>,
    /// Requests that may wait for one model; when they are too many, the project that holds most gives up its newest.
    /// Default 256: at a second each that is more than anybody waits for.
    pub places: usize,
    /// How long a request may wait. Default 60 s: what waits longer has usually been given up by its caller.
    pub wait_max: Duration,
    /// Shares of projects in proportion to each other; 1 for those that are not named.
    pub weights: BTreeMap<ProjectName, u32>,
    /// Projects whose requests are interactive unless they say otherwise. `None`: all. The others' are batch, whatever
    /// they say.
    pub interactive: Option<BTreeSet<ProjectName>>,
}

/// What one model's engine takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelQueue {
    /// Requests at the engine at once.
    pub concurrency: u32,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            models: BTreeMap::new(),
            others: None,
            places: 256,
            wait_max: Duration::from_secs(60),
            weights: BTreeMap::new(),
            interactive: None,
        }
    }
}

/// A request with a slot at its engine, or for a model that has no slots.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) reserved: Reserved,
    /// Given back when the exchange has ended.
    pub(crate) slot: Option<Slot>,
}

/// Why a request did not get a slot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueueRefusal {
    #[error(
        "all {places} places to wait for the model `{model}` are taken, and the project holds its share of them"
    )]
    Full { model: ModelName, places: usize, retry_after: u32 },
    #[error("the model `{model}` has more to do than it gets done in {} s", .wait_max.as_secs())]
    TooLong { model: ModelName, wait_max: Duration, retry_after: u32 },
}

impl Diagnose for QueueRefusal {
    fn code(&self) -> Code {
        match self {
            Self::Full { .. } => Code::new("E0846"),
            Self::TooLong { .. } => Code::new("E0847"),
        }
    }
}

/// The lanes of all models, shared by all threads.
#[derive(Debug)]
pub(crate) struct Queues {
    lanes: ArcSwap<Lanes>,
    clock: Clock,
}

/// Lanes by model. Only models that are served come this far, so their number is bounded.
type Lanes = HashMap<ModelName, Arc<Lane>>;

impl Queues {
    pub(crate) fn new(options: &QueueOptions, clock: &Clock) -> Self {
        let queues = Self { lanes: ArcSwap::default(), clock: clock.clone() };
        queues.set_options(options);
        queues
    }

    /// Lanes that stay keep who waits in them; one that goes lets everybody through.
    pub(crate) fn set_options(&self, options: &QueueOptions) {
        let before = self.lanes.load_full();
        let others = options.others.map(|queue| before.keys().map(move |model| (model, queue)));
        let named = options.models.iter().map(|(model, queue)| (model, *queue));
        // The later ones, which are named, count.
        let wanted: HashMap<&ModelName, ModelQueue> = others.into_iter().flatten().chain(named).collect();
        let lane = |(model, queue): (&&ModelName, &ModelQueue)| {
            let lane = match before.get(*model) {
                Some(lane) => {
                    lane.set(queue.concurrency, options.places);
                    Arc::clone(lane)
                }
                None => self.lane_with(*queue, options),
            };
            ((*model).clone(), lane)
        };
        let after: Lanes = wanted.iter().map(lane).collect();
        for (_, gone) in before.iter().filter(|(model, _)| !after.contains_key(*model)) {
            gone.set(u32::MAX, options.places);
        }
        self.lanes.store(Arc::new(after));
    }

    fn lane_with(&self, queue: ModelQueue, options: &QueueOptions) -> Arc<Lane> {
        Lane::new(queue.concurrency, options.places, self.clock.clone())
    }

    /// Requests that wait, for all models.
    pub(crate) fn waiting(&self) -> usize {
        self.lanes.load().values().map(|lane| lane.waiting()).sum()
    }

    fn lane(&self, model: &ModelName, options: &QueueOptions) -> Option<Arc<Lane>> {
        if let Some(lane) = self.lanes.load().get(model) {
            return Some(Arc::clone(lane));
        }
        let lane = self.lane_with(options.others?, options);
        // Two threads may come first at once: one of their lanes stays.
        self.lanes.rcu(|lanes| {
            let mut lanes = Lanes::clone(lanes);
            lanes.entry(model.clone()).or_insert_with(|| Arc::clone(&lane));
            lanes
        });
        self.lanes.load().get(model).cloned()
    }
}

pub(crate) async fn queue(thread: &Thread, reserved: Reserved) -> Result<Queued, Refused> {
    let lane = thread.shared.queues.lane(&reserved.route.model, &thread.shared.options().queue);
    let Some(lane) = lane else {
        return Ok(Queued { reserved, slot: None });
    };
    let (claim, places, wait_max) = {
        let options = thread.shared.options();
        (claim(&options.queue, &reserved), options.queue.places, options.queue.wait_max)
    };
    let request = reserved.asked.accepted.request;
    let model = || reserved.route.model.clone();
    let full = |wait| {
        let kind = QueueRefusal::Full { model: model(), places, retry_after: retry_after(wait) };
        RefusalKind::Queue(kind).of(request)
    };
    let too_long = |wait| {
        let kind = QueueRefusal::TooLong { model: model(), wait_max, retry_after: retry_after(wait) };
        RefusalKind::Queue(kind).of(request)
    };
    let slot = match lane.enter(claim.clone(), wait_max) {
        Entered::Now(slot) => slot,
        Entered::Full { wait } => return Err(full(wait)),
        Entered::TooLong { wait } => return Err(too_long(Some(wait))),
        Entered::Waits(mut waiter) => match turn(thread, &mut waiter, wait_max).await {
            Turn::Mine(slot) => slot,
            Turn::Displaced => return Err(full(waiter.wait(&claim))),
            Turn::TooLong => return Err(too_long(waiter.wait(&claim))),
            Turn::Cut => return Err(RefusalKind::Draining.of(request)),
        },
    };
    Ok(Queued { reserved, slot: Some(slot) })
}

/// How a wait ended.
enum Turn {
    Mine(Slot),
    Displaced,
    TooLong,
    Cut,
}

async fn turn(thread: &Thread, waiter: &mut Waiter, wait_max: Duration) -> Turn {
    let since = thread.shared.clock.monotonic();
    let turn = tokio::select! {
        biased;
        slot = tokio::time::timeout(wait_max, waiter.slot()) => match slot {
            Ok(Ok(slot)) => Turn::Mine(slot),
            Ok(Err(Displaced)) => Turn::Displaced,
            Err(_) => Turn::TooLong,
        },
        () = thread.shared.cut.cancelled() => Turn::Cut,
    };
    thread.shared.metrics.gateway.queue_waited(thread.shared.clock.monotonic().saturating_sub(since));
    turn
}

fn claim(options: &QueueOptions, reserved: &Reserved) -> Claim<ProjectName> {
    let asked = &reserved.asked;
    let project = &asked.who.owner().project;
    Claim {
        flow: project.clone(),
        priority: priority(options, project, &asked.accepted.headers),
        cost: reserved.prompt.tokens().saturating_add(asked.facts.max_tokens.unwrap_or(EXPECTED_OUTPUT)),
        weight: options.weights.get(project).copied().unwrap_or(1),
    }
}

/// A caller may step back; only the configuration lets one step forward.
fn priority(options: &QueueOptions, project: &ProjectName, headers: &HeaderMap) -> Priority {
    let may_be_first = options.interactive.as_ref().is_none_or(|projects| projects.contains(project));
    let steps_back = headers.get(PRIORITY).is_some_and(|wish| wish.as_bytes().eq_ignore_ascii_case(b"batch"));
    if may_be_first && !steps_back { Priority::Interactive } else { Priority::Batch }
}

/// Whole seconds, from the estimate of the wait where there is one.
fn retry_after(wait: Option<Duration>) -> u32 {
    let seconds = wait.map_or(0, |wait| wait.as_millis().div_ceil(1_000));
    let seconds = u64::try_from(seconds).unwrap_or(u64::MAX).clamp(*RETRY_AFTER.start(), *RETRY_AFTER.end());
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_may_step_back_and_only_the_configuration_lets_one_step_forward() {
        let (chat, crawl): (ProjectName, ProjectName) = ("chat".parse().unwrap(), "crawl".parse().unwrap());
        let options = QueueOptions { interactive: Some([chat.clone()].into()), ..QueueOptions::default() };
        let wish = |wish: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(PRIORITY, wish.parse().unwrap());
            headers
        };
        assert_eq!(priority(&options, &chat, &HeaderMap::new()), Priority::Interactive);
        assert_eq!(priority(&options, &chat, &wish("Batch")), Priority::Batch);
        assert_eq!(priority(&options, &crawl, &wish("interactive")), Priority::Batch);
        assert_eq!(priority(&QueueOptions::default(), &crawl, &HeaderMap::new()), Priority::Interactive);
    }

    #[test]
    fn retry_after_is_whole_seconds_within_bounds() {
        assert_eq!(retry_after(None), 1);
        assert_eq!(retry_after(Some(Duration::from_millis(2_001))), 3);
        assert_eq!(retry_after(Some(Duration::from_secs(10_000))), 60);
    }
}
