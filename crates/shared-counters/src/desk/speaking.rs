//! While the server is there.

use crate::connection::{Command, Connection};
use crate::desk::Desk;
use crate::error::StoreError;
use crate::key::Place;
use crate::lease::Lease;
use crate::resp::Reply;
use crate::script::{Answer, NUMBER_MAX, Scripts, Want, Who, answer};
use crate::shared::Question;
use hermetic_limits::{CounterId, Granted, HeadroomAway, HeadroomState, Shortfall, Window};
use std::collections::{BTreeMap, HashSet};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Questions answered together.
const TOGETHER: usize = 1_024;

/// A lease is asked for ahead when less than this part of the last slice is left.
const LEFT_BEFORE_ASKING: u64 = 4;

pub(super) struct Speaking<'d> {
    pub(super) desk: &'d mut Desk,
    pub(super) connection: Connection,
    pub(super) scripts: Scripts,
    pub(super) who: Who,
}

/// Why the server is not spoken with any more.
pub(super) enum Ended {
    Stopped,
    Lost(StoreError),
}

/// What several requests want of one place.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    cap: u64,
    /// The least any of them needs.
    least: u64,
    /// What all need together.
    together: u64,
}

/// What came of asking for one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// So much more than before.
    More(u64),
    Unknown,
}

impl Speaking<'_> {
    pub(super) async fn serve(
        mut self,
        questions: &mut mpsc::Receiver<Question>,
        ending: &CancellationToken,
    ) -> Ended {
        let every = |period| {
            let mut ticks = tokio::time::interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let (mut beats, mut looks) =
            (every(self.desk.options.heartbeat), every(self.desk.options.look_ahead));
        let mut together = Vec::new();
        loop {
            let went = tokio::select! {
                biased;
                () = ending.cancelled() => {
                    self.leave().await;
                    return Ended::Stopped;
                }
                _ = beats.tick() => self.beat().await,
                found = questions.recv_many(&mut together, TOGETHER) => match found {
                    0 => {
                        self.leave().await;
                        return Ended::Stopped;
                    }
                    _ => self.answer_all(&mut together).await,
                },
                _ = looks.tick() => self.look_ahead().await,
            };
            if let Err(error) = went {
                return Ended::Lost(error);
            }
        }
    }

    /// Says what this replica holds: all of it, so that what is not named goes back.
    pub(super) async fn register(&mut self) -> Result<(), StoreError> {
        let now = self.desk.clock.unix_millis();
        let leases = self.held(now);
        let mut fresh = [0_u8; 16];
        let drawn = aws_lc_rs::rand::fill(&mut fresh);
        drawn.map_err(|_| StoreError::Protocol { found: "a system without random bytes".to_owned() })?;
        let fresh = hex::encode(fresh);
        let dead_after = self.desk.options.presumed_dead_after.as_millis();
        let run = self.connection.server_run.clone();
        let command = self.scripts.register(&self.who, (&run, &fresh), dead_after, (&leases, now));
        let reply = self.connection.ask_one(command).await?;
        match answer(reply)? {
            Answer::Done(rest) => {
                let epoch = rest.first().and_then(Reply::text).unwrap_or_default();
                self.who.epoch = epoch.to_owned();
            }
            Answer::Taken => return Err(self.taken()),
            Answer::NewEpoch | Answer::Incomplete { .. } => {
                return Err(StoreError::Protocol { found: "an answer to another question".to_owned() });
            }
        }
        // What was charged before this process started is leased now, so it is granted as well.
        for (place, amount) in &leases {
            let granted = self.desk.limits.grant(&place.counter, place.slot, 0);
            self.desk.limits.grant(&place.counter, place.slot, amount.saturating_sub(granted));
            let lease = Lease { cap: 0, slice: 0, needed: self.desk.clock.monotonic() };
            self.desk.leases.note(place.clone(), lease);
        }
        self.beat().await
    }

    fn taken(&self) -> StoreError {
        StoreError::Taken { replica: self.who.replica.clone() }
    }

    /// Every shared counter on which something is charged, held or granted that still counts.
    fn held(&self, now: u64) -> Vec<(Place, u64)> {
        let rules = self.desk.limits.rules();
        let shared: HashSet<_> = rules
            .rules()
            .iter()
            .filter(|rule| rule.shared)
            .map(|rule| (rule.name.clone(), rule.unit, rule.window))
            .collect();
        let is_shared = |id: &CounterId| shared.contains(&(id.rule.clone(), id.unit, id.window));
        let views = self.desk.limits.views().into_iter().filter(|view| is_shared(&view.counter));
        let leases = views.map(|view| {
            let amount = view.charged.saturating_add(view.held).max(view.granted);
            (Place { counter: view.counter, slot: view.slot }, amount)
        });
        leases.filter(|(place, amount)| *amount > 0 && !place.is_over(now)).collect()
    }

    /// Asks for what requests are short of, all of them at once, and answers each.
    async fn answer_all(&mut self, questions: &mut Vec<Question>) -> Result<(), StoreError> {
        let mut wanted: BTreeMap<Place, Wanted> = BTreeMap::new();
        for Shortfall { counter, slot, cap, by } in questions.iter().flat_map(|question| &question.shortfalls)
        {
            let place = Place { counter: counter.clone(), slot: *slot };
            let all = wanted.entry(place).or_insert(Wanted { cap: *cap, least: *by, together: 0 });
            all.least = all.least.min(*by);
            all.together = all.together.saturating_add(*by);
        }
        let started = self.desk.clock.monotonic();
        let outcomes = self.take(&wanted).await?;
        self.desk.metrics.waited(self.desk.clock.monotonic().saturating_sub(started));
        for question in questions.drain(..) {
            let outcome = |shortfall: &Shortfall| {
                let place = Place { counter: shortfall.counter.clone(), slot: shortfall.slot };
                (outcomes.get(&place).copied().unwrap_or(Outcome::Unknown), shortfall.by)
            };
            let mut result = Ok(Granted::More);
            for (outcome, by) in question.shortfalls.iter().map(outcome) {
                match outcome {
                    Outcome::Unknown => result = Err(HeadroomAway),
                    Outcome::More(more) if more < by && result.is_ok() => result = Ok(Granted::Exhausted),
                    Outcome::More(_) => {}
                }
            }
            self.desk.metrics.asked(match result {
                Ok(Granted::More) => hermetic_telemetry::LeaseLabel::Granted,
                Ok(Granted::Exhausted) => hermetic_telemetry::LeaseLabel::Exhausted,
                Err(HeadroomAway) => hermetic_telemetry::LeaseLabel::Away,
            });
            // Whoever asked may have left.
            let _ = question.answer.send(result);
        }
        Ok(())
    }

    /// Takes more of each place, and grants it.
    async fn take(
        &mut self,
        wanted: &BTreeMap<Place, Wanted>,
    ) -> Result<BTreeMap<Place, Outcome>, StoreError> {
        let mut outcomes = self.take_once(wanted).await?;
        if outcomes.is_none() {
            // The server lost what it knew while we spoke with it.
            self.register().await?;
            outcomes = self.take_once(wanted).await?;
        }
        Ok(outcomes.unwrap_or_default())
    }

    /// `None`: the epoch has ended.
    async fn take_once(
        &mut self,
        wanted: &BTreeMap<Place, Wanted>,
    ) -> Result<Option<BTreeMap<Place, Outcome>>, StoreError> {
        let now = self.desk.clock.unix_millis();
        let have = |place: &Place| self.desk.limits.grant(&place.counter, place.slot, 0);
        let before: Vec<u64> = wanted.keys().map(have).collect();
        let commands: Vec<Command> = wanted
            .iter()
            .zip(&before)
            .map(|((place, wanted), have)| {
                let Wanted { cap, least, together } = *wanted;
                let want = Want { cap: cap.min(NUMBER_MAX), have: *have, least, like: together };
                self.scripts.take(&self.who, place, want, now)
            })
            .collect();
        let replies = self.connection.ask(&commands).await?;
        let mut outcomes = BTreeMap::new();
        let mut state = HeadroomState::Connected;
        for (((place, wanted), have), reply) in wanted.iter().zip(before).zip(replies) {
            let outcome = match answer(reply)? {
                Answer::Done(rest) => {
                    let total = rest.first().and_then(Reply::number).unwrap_or(have);
                    Outcome::More(self.granted(place, wanted.cap, total.saturating_sub(have)))
                }
                Answer::Incomplete { reported } => {
                    let expected = u64::from(self.who.replicas);
                    self.desk.tell(&StoreError::Incomplete { reported, expected });
                    state = HeadroomState::Incomplete;
                    Outcome::Unknown
                }
                Answer::NewEpoch => return Ok(None),
                Answer::Taken => return Err(self.taken()),
            };
            outcomes.insert(place.clone(), outcome);
        }
        self.desk.heard(state);
        Ok(Some(outcomes))
    }

    fn granted(&mut self, place: &Place, cap: u64, more: u64) -> u64 {
        self.desk.limits.grant(&place.counter, place.slot, more);
        let lease = Lease { cap, slice: more, needed: self.desk.clock.monotonic() };
        self.desk.leases.note(place.clone(), lease);
        self.desk.metrics.granted.inc_by(more);
        more
    }

    /// Asks for more where little is left, before a request has to wait for it.
    async fn look_ahead(&mut self) -> Result<(), StoreError> {
        let desk = &self.desk;
        let now = desk.clock.unix_millis();
        let since = desk.clock.monotonic().saturating_sub(desk.options.idle_after);
        let scarce = |(place, lease): (&Place, &Lease)| {
            let view = desk.limits.view(&place.counter, place.slot)?;
            let left = view.granted.saturating_sub(view.charged.saturating_add(view.held));
            let scarce = lease.slice > 1 && left < lease.slice / LEFT_BEFORE_ASKING;
            scarce.then(|| (place.clone(), Wanted { cap: lease.cap, least: 1, together: 0 }))
        };
        let wanted: BTreeMap<Place, Wanted> = desk.leases.in_use(since, now).filter_map(scarce).collect();
        if !wanted.is_empty() {
            self.take(&wanted).await?;
        }
        Ok(())
    }

    /// A sign of life; and back goes what nobody needs, or what somebody else is in want of.
    async fn beat(&mut self) -> Result<(), StoreError> {
        let reply = self.connection.ask_one(self.scripts.beat(&self.who)).await?;
        match answer(reply)? {
            Answer::Done(rest) => {
                let reported = rest.first().and_then(Reply::number).unwrap_or(0);
                let expected = u64::from(self.who.replicas);
                if reported < expected {
                    self.desk.tell(&StoreError::Incomplete { reported, expected });
                    self.desk.heard(HeadroomState::Incomplete);
                } else {
                    self.desk.heard(HeadroomState::Connected);
                }
                let hungry: HashSet<&str> = rest.iter().skip(1).filter_map(Reply::text).collect();
                self.tidy(&hungry).await
            }
            // Boxed: registering beats once more.
            Answer::NewEpoch => Box::pin(self.register()).await,
            Answer::Taken => Err(self.taken()),
            Answer::Incomplete { .. } => Ok(()),
        }
    }

    async fn tidy(&mut self, hungry: &HashSet<&str>) -> Result<(), StoreError> {
        let now = self.desk.clock.unix_millis();
        let since = self.desk.clock.monotonic().saturating_sub(self.desk.options.idle_after);
        let namespace = self.who.namespace.clone();
        let wanted = |place: &Place| !hungry.is_empty() && hungry.contains(place.key(&namespace).as_str());
        let idle = self.desk.leases.idle(since, now, wanted);
        self.give_back(idle).await?;
        self.desk.leases.forget_over(now);
        self.renew_lasting(now).await
    }

    /// First here, then there: a lease that is larger there than here hurts nobody.
    async fn give_back(&mut self, places: Vec<Place>) -> Result<(), StoreError> {
        let mut commands = Vec::new();
        for place in places {
            let gone = self.desk.limits.reclaim(&place.counter, place.slot, 0);
            let left = self.desk.limits.grant(&place.counter, place.slot, 0);
            if gone > 0 {
                commands.push(self.scripts.give(&self.who, &place, left));
                self.desk.metrics.returned.inc_by(gone);
            }
            if left == 0 {
                self.desk.leases.forget(&place);
            }
        }
        if commands.is_empty() {
            return Ok(());
        }
        for reply in self.connection.ask(&commands).await? {
            // A new epoch is noticed by the next beat, and everything said again.
            answer(reply)?;
        }
        Ok(())
    }

    async fn renew_lasting(&mut self, now: u64) -> Result<(), StoreError> {
        let lasting = self.desk.leases.places().filter(|place| place.counter.window == Window::Now);
        let renew = |place: &Place| {
            let until = place.expires(now).to_string().into_bytes();
            vec![b"PEXPIREAT".to_vec(), place.key(&self.who.namespace).into_bytes(), until]
        };
        let commands: Vec<Command> = lasting.map(renew).collect();
        if !commands.is_empty() {
            self.connection.ask(&commands).await?;
        }
        Ok(())
    }

    /// Gives back what nobody holds, and the name, so that the next process under it need not wait.
    async fn leave(&mut self) {
        let places = self.desk.leases.places().cloned().collect();
        let name = format!("{}:instances", self.who.namespace);
        let left = self.give_back(places).await;
        let forget = vec![b"HDEL".to_vec(), name.into_bytes(), self.who.replica.clone().into_bytes()];
        if left.is_err() || self.connection.ask_one(forget).await.is_err() {
            tracing::warn!(
                "the shared counters could not be told that this replica stops; its leases end with their windows"
            );
        }
    }
}
