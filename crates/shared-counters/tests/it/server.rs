//! Replicas that use a server, and what they are asked for.

use crate::redis::Server;
use hermetic_clock::Clock;
use hermetic_connector::{AllowList, Connector};
use hermetic_limits::{
    Amounts, Denied, Facts, Fold, Granted, Headroom, HeadroomAway, HeadroomState, Length, Limits,
    OnExhausted, Reservation, Rule, RuleSet, Unit, When, Window,
};
use hermetic_shared_counters::{OnLoss, SharedCounters, SharedOptions};
use hermetic_telemetry::Metrics;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// One rule for the whole site.
pub(crate) fn rule(cap: u64, unit: Unit, window: Window) -> Rule {
    Rule {
        name: "budget".into(),
        when: When::default(),
        per: Vec::new(),
        cap,
        unit,
        window,
        soft: Vec::new(),
        on_exhausted: OnExhausted::Refuse,
        shadow: false,
        shared: true,
        currency: None,
    }
}

pub(crate) const MONTH: Window = Window::Calendar(Length::Month);

pub(crate) struct Node {
    pub(crate) limits: Arc<Limits>,
    pub(crate) shared: SharedCounters,
    pub(crate) metrics: Metrics,
    clock: Clock,
    ending: CancellationToken,
    running: JoinHandle<()>,
}

pub(crate) fn options(server: &Server, replica: &str, replicas: u32) -> SharedOptions {
    SharedOptions {
        heartbeat: Duration::from_millis(20),
        retry_every: Duration::from_millis(20),
        presumed_dead_after: Duration::from_millis(200),
        ..SharedOptions::new("127.0.0.1", server.port, replica, replicas)
    }
}

impl Node {
    pub(crate) fn start(options: SharedOptions, rules: Vec<Rule>) -> Self {
        Self::start_from(options, rules, &Fold::default())
    }

    /// A process that finds in its ledger what `fold` says.
    pub(crate) fn start_from(options: SharedOptions, rules: Vec<Rule>, fold: &Fold) -> Self {
        let limits = Arc::new(Limits::new(RuleSet::new(rules).unwrap(), 1_000));
        limits.restore(fold);
        let (clock, metrics) = (Clock::system(), Metrics::new());
        let connector = Connector::new(AllowList::loopback());
        let mut instance = [0; 16];
        aws_lc_rs::rand::fill(&mut instance).unwrap();
        let watched = (clock.clone(), Arc::clone(&metrics.shared_counters));
        let (shared, replica) =
            SharedCounters::new(options, connector, Arc::clone(&limits), watched, instance);
        let ending = CancellationToken::new();
        #[expect(clippy::disallowed_methods, reason = "held by the node and awaited when it stops")]
        let running = tokio::spawn(replica.run(ending.clone()));
        Self { limits, shared, metrics, clock, ending, running }
    }

    pub(crate) async fn stands(&self, state: HeadroomState) {
        self.shared.stands(state).await;
    }

    /// As the gateway reserves.
    pub(crate) async fn reserve(&self, amount: u64) -> Result<Reservation, Refused> {
        let facts = Facts {
            subject: "alice",
            team: "eng",
            project: "demo",
            workflow: "docs",
            key: "k1",
            model: "m",
            surface: "chat.completions",
            metadata: &[],
        };
        let most = Amounts { requests: 1, input_tokens: amount, concurrent: 1, ..Amounts::default() };
        loop {
            match self.limits.reserve(&facts, &most, self.clock.unix_millis()) {
                Ok(reservation) => return Ok(reservation),
                Err(Denied::Short(short)) => match self.shared.ask(&short).await {
                    Ok(Granted::More) => {}
                    Ok(Granted::Exhausted) => return Err(Refused::Exhausted),
                    Err(HeadroomAway) => return Err(Refused::Away),
                },
                Err(_) => return Err(Refused::Exhausted),
            }
        }
    }

    /// As the process ends in good order.
    pub(crate) async fn stop(self) {
        self.ending.cancel();
        self.running.await.unwrap();
    }

    /// As the process dies.
    pub(crate) async fn die(self) {
        self.running.abort();
        let _ = self.running.await;
    }

    /// Charged and held, over all slots.
    pub(crate) fn spent(&self) -> u64 {
        self.limits.views().iter().map(|view| view.charged + view.held).sum()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Exhausted,
    Away,
}

pub(crate) fn last_lease(options: SharedOptions) -> SharedOptions {
    SharedOptions { on_loss: OnLoss::LastLease, ..options }
}
