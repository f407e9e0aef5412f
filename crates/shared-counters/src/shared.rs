//! The two ends: what the limits ask, and who speaks with the server.

use crate::desk::Desk;
use crate::options::SharedOptions;
use hermetic_clock::Clock;
use hermetic_connector::Connector;
use hermetic_limits::{Ask, Granted, Headroom, HeadroomAway, HeadroomState, Limits, Shortfall};
use hermetic_telemetry::SharedCountersMetrics;
use std::fmt;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Questions that may wait for the server; one more waits for its place.
const QUESTIONS_WAITING: usize = 4_096;

/// A request's question, and where its answer goes.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) shortfalls: Vec<Shortfall>,
    pub(crate) answer: oneshot::Sender<Result<Granted, HeadroomAway>>,
}

/// Where the limits of this process get their headroom. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SharedCounters {
    questions: mpsc::Sender<Question>,
    /// How things stand with the server.
    standing: watch::Receiver<HeadroomState>,
}

/// The side that speaks with the server; somebody has to [`Replica::run`] it.
pub struct Replica {
    desk: Desk,
    questions: mpsc::Receiver<Question>,
}

impl fmt::Debug for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replica").finish_non_exhaustive()
    }
}

impl SharedCounters {
    /// Nothing is asked before [`Replica::run`] runs. `instance` names this process among those that ever live under the
    /// same replica id.
    pub fn new(
        options: SharedOptions,
        connector: Connector,
        limits: Arc<Limits>,
        (clock, metrics): (Clock, Arc<SharedCountersMetrics>),
        instance: [u8; 16],
    ) -> (Self, Replica) {
        let (sender, questions) = mpsc::channel(QUESTIONS_WAITING);
        let (says, standing) = watch::channel(HeadroomState::Away);
        let desk = Desk::new(options, connector, limits, (clock, metrics), (says, instance));
        (Self { questions: sender, standing }, Replica { desk, questions })
    }

    /// Resolves when things stand as `wanted`; never when nobody speaks with the server any more.
    pub async fn stands(&self, wanted: HeadroomState) {
        if self.standing.clone().wait_for(|state| *state == wanted).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Headroom for SharedCounters {
    fn ask<'a>(&'a self, shortfalls: &'a [Shortfall]) -> Ask<'a> {
        Box::pin(async move {
            if self.state() == HeadroomState::Away {
                return Err(HeadroomAway);
            }
            let (answer, answered) = oneshot::channel();
            let question = Question { shortfalls: shortfalls.to_vec(), answer };
            self.questions.send(question).await.map_err(|_| HeadroomAway)?;
            // A question that is dropped was put to a server that went away.
            answered.await.unwrap_or(Err(HeadroomAway))
        })
    }

    fn state(&self) -> HeadroomState {
        *self.standing.borrow()
    }
}

impl Replica {
    /// Speaks with the server until `ending`: finds it, loses it, finds it again. Gives back what nobody holds at the end.
    pub async fn run(self, ending: CancellationToken) {
        let Self { desk, questions } = self;
        desk.run(questions, ending).await;
    }
}
