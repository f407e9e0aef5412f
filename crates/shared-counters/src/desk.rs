//! Speaking with the server: one task, one connection, one question after the other.
//!
//! Whatever changes this replica's leases goes through here, in order: that is why a lease can be said in absolute
//! numbers.

mod speaking;

use crate::connection::Connection;
use crate::error::StoreError;
use crate::key::LASTING_MS;
use crate::lease::Leases;
use crate::options::{OnLoss, SharedOptions};
use crate::script::{Script, Scripts, Who};
use crate::shared::Question;
use hermetic_clock::Clock;
use hermetic_connector::Connector;
use hermetic_diagnostics::{Diagnose, chain};
use hermetic_limits::{HeadroomAway, HeadroomState, Limits, Window};
use hermetic_telemetry::SharedCountersMetrics;
use speaking::{Ended, Speaking};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub(crate) struct Desk {
    pub(crate) options: SharedOptions,
    connector: Connector,
    pub(crate) limits: Arc<Limits>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<SharedCountersMetrics>,
    standing: watch::Sender<HeadroomState>,
    instance: String,
    pub(crate) leases: Leases,
    /// When the server was last spoken with, on the monotonic clock.
    heard: Duration,
    /// The code of the trouble that was last told, so that each is told once.
    told: Option<&'static str>,
}

impl Desk {
    pub(crate) fn new(
        options: SharedOptions,
        connector: Connector,
        limits: Arc<Limits>,
        (clock, metrics): (Clock, Arc<SharedCountersMetrics>),
        (standing, instance): (watch::Sender<HeadroomState>, [u8; 16]),
    ) -> Self {
        let heard = clock.monotonic();
        let leases = Leases::default();
        let instance = hex::encode(instance);
        Self { options, connector, limits, clock, metrics, standing, instance, leases, heard, told: None }
    }

    pub(crate) async fn run(mut self, mut questions: mpsc::Receiver<Question>, ending: CancellationToken) {
        loop {
            let trouble = match self.join().await {
                Ok(speaking) => match speaking.serve(&mut questions, &ending).await {
                    Ended::Stopped => return,
                    Ended::Lost(error) => error,
                },
                Err(error) => error,
            };
            self.lost(&trouble);
            let pause = tokio::time::sleep(self.options.retry_every);
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    () = ending.cancelled() => return,
                    () = &mut pause => break,
                    // Whoever asked before the loss was noticed.
                    Some(question) = questions.recv() => drop(question.answer.send(Err(HeadroomAway))),
                }
            }
            self.let_go_of_lasting();
        }
    }

    /// Connects, teaches the server the scripts, and says what this replica holds.
    async fn join(&mut self) -> Result<Speaking<'_>, StoreError> {
        let mut connection = Connection::open(&self.connector, &self.options).await?;
        let load =
            |script: Script| vec![b"SCRIPT".to_vec(), b"LOAD".to_vec(), script.text().as_bytes().to_vec()];
        let mut names = Vec::with_capacity(Script::ALL.len());
        for script in Script::ALL {
            let name = connection.ask_one(load(script)).await?;
            let name = name.text().ok_or_else(|| StoreError::Protocol { found: name.kind().to_owned() })?;
            names.push(name.as_bytes().to_vec());
        }
        let who = Who {
            namespace: self.options.namespace.clone(),
            epoch: String::new(),
            replica: self.options.replica.clone(),
            replicas: self.options.replicas.max(1),
            instance: self.instance.clone(),
        };
        let mut speaking = Speaking { desk: self, connection, scripts: Scripts(names), who };
        speaking.register().await?;
        Ok(speaking)
    }

    /// The server answered, and knows enough to grant (`Connected`) or not yet.
    pub(crate) fn heard(&mut self, state: HeadroomState) {
        self.heard = self.clock.monotonic();
        if state == HeadroomState::Connected && self.told.take().is_some() {
            tracing::info!("the shared counters are there again");
        }
        self.metrics.up.set(i64::from(state == HeadroomState::Connected));
        self.stand(state);
    }

    pub(crate) fn tell(&mut self, trouble: &StoreError) {
        let code = trouble.code().as_str();
        if self.told.replace(code) == Some(code) {
            return;
        }
        let causes = chain(trouble).join(": ");
        let goes_on = match self.options.on_loss {
            OnLoss::FailClosed => "requests under a shared limit are refused",
            OnLoss::LastLease => "requests under a shared limit are served from what is leased already",
        };
        tracing::error!(code, causes, goes_on, "the shared counters cannot be used");
    }

    fn lost(&mut self, trouble: &StoreError) {
        self.tell(trouble);
        if *self.standing.borrow() != HeadroomState::Away {
            self.metrics.losses.inc();
        }
        self.metrics.up.set(0);
        if self.options.on_loss == OnLoss::FailClosed {
            // Not given back, for nobody would hear it; said when the server is there again.
            for place in self.leases.places() {
                self.limits.reclaim(&place.counter, place.slot, 0);
            }
        }
        self.stand(HeadroomState::Away);
    }

    /// Wakes those who wait only when something changed.
    fn stand(&self, state: HeadroomState) {
        self.standing.send_if_modified(|before| std::mem::replace(before, state) != state);
    }

    /// What is counted while it lasts has no window that would end its lease: the server ends it when it was not renewed.
    /// Long before, what nobody holds of it is let go of here.
    fn let_go_of_lasting(&self) {
        let away = self.clock.monotonic().saturating_sub(self.heard);
        if away < Duration::from_millis(LASTING_MS / 2) {
            return;
        }
        for place in self.leases.places().filter(|place| place.counter.window == Window::Now) {
            self.limits.reclaim(&place.counter, place.slot, 0);
        }
    }
}
