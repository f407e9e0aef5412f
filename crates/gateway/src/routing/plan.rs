//! Where the requests for one model may go: targets in tiers, and the rules by which one is chosen.

use super::RouteState;
use super::target::{Availability, Target};
use hermetic_digest::Digest;
use hermetic_inference_api::Dialect;
use hermetic_routing::{Budget, Chance, Quantiles, choose, drawn_share};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Retries a model without traffic to earn them may make.
const RETRY_RESERVE: u32 = 10;
/// The same for hedges: none is needed to answer at all, so few are spare.
const HEDGE_RESERVE: u32 = 1;

/// Targets and rules. There is always at least one target.
#[derive(Debug, Clone)]
pub struct Plan {
    /// By tier.
    targets: Vec<PlannedTarget>,
    /// A number for each, from its name: the same in every process and release.
    seeds: Vec<u64>,
    pub rules: PlanRules,
    pub(crate) state: Arc<PlanState>,
}

/// A target as one model uses it.
#[derive(Debug, Clone)]
pub struct PlannedTarget {
    /// What records, metrics and people call it.
    pub name: Arc<str>,
    pub target: Arc<Target>,
    /// Digest of the served weights' manifest; `None` for an engine outside the registry.
    pub digest: Option<Digest>,
    /// What the engine calls the model, where that is not what the caller wrote.
    pub upstream_name: Option<String>,
    /// What the engine speaks.
    pub dialect: Dialect,
    /// A lower tier is used up before a higher one is.
    pub tier: u8,
    /// Its part of the traffic within the tier; at least 1.
    pub weight: u32,
    /// Percent of the model's requests that go here before any tier is asked; 0 for an ordinary target.
    pub canary_percent: u32,
    pub timeouts: Timeouts,
    /// The engine can go on from the beginning of an answer (`continue_final_message`).
    pub continues: bool,
    pub state: RouteState,
}

impl PlannedTarget {
    /// A target that is ready and has nothing out of the ordinary.
    pub fn new(name: &str, target: Arc<Target>) -> Self {
        Self {
            name: name.into(),
            target,
            digest: None,
            upstream_name: None,
            dialect: Dialect::default(),
            tier: 0,
            weight: 1,
            canary_percent: 0,
            timeouts: Timeouts::default(),
            continues: false,
            state: RouteState::Ready,
        }
    }
}

/// How long each part of an attempt may take. `None`: as the gateway's own limits say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Option<Duration>,
    /// Of a stream: from the request to its first event.
    pub first_token: Option<Duration>,
    /// Of a stream: between two events. Of a plain answer: until its head, and between two pieces.
    pub idle: Option<Duration>,
}

/// How targets are chosen, and what happens when one fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanRules {
    /// Bytes of a prompt by which a conversation is known again; `None`: every request is new.
    pub affinity_bytes: Option<usize>,
    pub stick_to: StickTo,
    /// Extra attempts, in percent of the requests.
    pub retry_percent: u32,
    pub hedge: Option<Hedge>,
    /// From the call to the end of the answer, all attempts together.
    pub total: Option<Duration>,
}

/// Who stays on a canary, or off it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StickTo {
    /// Each request is drawn anew.
    Request,
    Key,
    Project,
}

/// A second target is asked when the first is slow to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hedge {
    pub after: HedgeAfter,
    /// Hedged requests, in percent of the requests.
    pub percent: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HedgeAfter {
    Fixed(Duration),
    /// After the time within which so many percent of this model's streams began.
    Percentile(u32),
}

impl Default for PlanRules {
    fn default() -> Self {
        Self { affinity_bytes: None, stick_to: StickTo::Request, retry_percent: 20, hedge: None, total: None }
    }
}

/// What a model's requests have in common over time: it outlives the tables that name it.
#[derive(Debug)]
pub struct PlanState(Mutex<Counts>);

#[derive(Debug)]
struct Counts {
    retries: Budget,
    hedges: Budget,
    first_token: Quantiles,
}

impl PlanState {
    pub fn new(rules: &PlanRules) -> Self {
        let hedge_percent = rules.hedge.map_or(0, |hedge| hedge.percent);
        Self(Mutex::new(Counts {
            retries: Budget::new(
                rules.retry_percent,
                if rules.retry_percent > 0 { RETRY_RESERVE } else { 0 },
            ),
            hedges: Budget::new(hedge_percent, if hedge_percent > 0 { HEDGE_RESERVE } else { 0 }),
            first_token: Quantiles::default(),
        }))
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request begins: it earns its share of retries and hedges.
    pub(crate) fn deposit(&self) {
        let mut counts = self.counts();
        counts.retries.deposit();
        counts.hedges.deposit();
    }

    pub(crate) fn may_retry(&self, now: Duration) -> bool {
        self.counts().retries.withdraw(now)
    }

    pub(crate) fn may_hedge(&self, now: Duration) -> bool {
        self.counts().hedges.withdraw(now)
    }

    pub(crate) fn observe_first_token(&self, sample: Duration) {
        self.counts().first_token.observe(sample);
    }

    fn percentile(&self, percent: u32) -> Option<Duration> {
        self.counts().first_token.percentile(percent)
    }
}

/// Which target is to be chosen, and which are not to be.
#[derive(Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) now: Duration,
    /// Targets that were asked already, by index.
    pub(crate) tried: &'a [usize],
    pub(crate) prefix: Option<u64>,
    /// Where in the hundred percent of the canaries this request falls; `None` when it is past that.
    pub(crate) canary_point: Option<u64>,
}

/// What became of a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chosen {
    Target(usize),
    /// Every target that could be asked is down; the first may be back then.
    AllDown {
        until: Duration,
    },
    /// Every target was tried.
    Exhausted,
}

impl Plan {
    /// A model with one source.
    pub fn single(target: PlannedTarget) -> Self {
        let rules = PlanRules::default();
        // Nothing is ever chosen, so no seed is needed.
        Self { targets: vec![target], seeds: Vec::new(), rules, state: Arc::new(PlanState::new(&rules)) }
    }

    /// A virtual model. `None` without a target.
    pub fn tiers(mut targets: Vec<PlannedTarget>, rules: PlanRules, state: Arc<PlanState>) -> Option<Self> {
        targets.sort_by_key(|target| target.tier);
        let seeds = targets.iter().map(|target| hash(target.name.as_bytes())).collect();
        (!targets.is_empty()).then_some(Self { targets, seeds, rules, state })
    }

    pub fn targets(&self) -> &[PlannedTarget] {
        &self.targets
    }

    pub(crate) fn get(&self, index: usize) -> Option<&PlannedTarget> {
        self.targets.get(index)
    }

    /// Whether there is anything to choose.
    pub(crate) fn has_choice(&self) -> bool {
        self.targets.len() > 1
    }

    /// When a stream that has not begun is asked for a second time; `None`: never, or nothing is known yet.
    pub(crate) fn hedge_after(&self) -> Option<Duration> {
        match self.rules.hedge?.after {
            HedgeAfter::Fixed(after) => Some(after),
            HedgeAfter::Percentile(percent) => self.state.percentile(percent),
        }
    }

    /// The one decision: canaries by their share, then tier by tier whoever is free, then, rather than give up, whoever
    /// is left out for the shortest time and not known to be down.
    pub(crate) fn choose(&self, wish: &Wish<'_>, chance: &mut Chance) -> Chosen {
        let open = || {
            let untried = self.targets.iter().enumerate().filter(|(index, _)| !wish.tried.contains(index));
            untried.filter(|(_, target)| target.state == RouteState::Ready)
        };
        if !self.has_choice() {
            // Nothing is gained by leaving out the only target.
            return open().next().map_or(Chosen::Exhausted, |(index, _)| Chosen::Target(index));
        }
        let is_free = |target: &PlannedTarget| target.target.availability(wish.now) == Availability::Free;
        let canaries = || open().filter(|(_, target)| target.canary_percent > 0);
        let shares = canaries().map(|(index, target)| (index, target.canary_percent));
        if let Some(index) = wish.canary_point.and_then(|point| drawn_share(shares, point))
            && self.get(index).is_some_and(is_free)
        {
            return Chosen::Target(index);
        }
        let ordinary = || open().filter(|(_, target)| target.canary_percent == 0);
        let free: Vec<_> = ordinary().filter(|(_, target)| is_free(target)).collect();
        if let Some(tier) = free.first().map(|(_, target)| target.tier) {
            let peers = free.iter().filter(|(_, target)| target.tier == tier);
            let candidates: Vec<_> = peers
                .map(|(index, target)| {
                    let seed = self.seeds.get(*index).copied().unwrap_or_default();
                    target.target.candidate(wish.now, *index, (target.weight, seed))
                })
                .collect();
            if let Some(index) = choose(&candidates, wish.prefix, chance) {
                return Chosen::Target(index);
            }
        }
        let mut left_out: Vec<_> = ordinary()
            .filter_map(|(index, target)| match target.target.availability(wish.now) {
                Availability::LeftOut { until, down } => Some((down, until, index)),
                Availability::Free => None,
            })
            .collect();
        left_out.sort_unstable();
        match left_out.first() {
            Some((false, _, index)) => Chosen::Target(*index),
            Some((true, until, _)) => Chosen::AllDown { until: *until },
            None => Chosen::Exhausted,
        }
    }
}

/// The same number for the same bytes, in every process and release.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    Digest::of(bytes).as_bytes().first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first))
}
