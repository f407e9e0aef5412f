//! Callers that are not let in: counted against their source, and put on record without letting them fill the ledger.
//!
//! The first refusal of a source for a reason is a record of its own, durable before the caller learns of it; those
//! that follow within [`INTERVAL`] are counted and become one record at its end. Sources beyond [`TALLIES_MAX`] share
//! one count, so that a crowd of addresses cannot fill the ledger either.

use crate::context::{Shared, Thread};
use crate::peer::Peer;
use crate::refusal::{RefusalKind, Refused};
use hermetic_clock::UnixMillis;
use hermetic_diagnostics::Diagnose;
use hermetic_identity::{IdentifyError, Source};
use hermetic_ids::RequestId;
use hermetic_ledger::record::{Event, IdentityRefused, Record};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// For how long what follows a first refusal is counted before it is written.
pub(crate) const INTERVAL_MILLIS: u64 = 60_000;

/// Counts kept apart. With five reasons each this is eight hundred sources at once; together they write at most this
/// many records a minute.
pub(crate) const TALLIES_MAX: usize = 4_096;

/// What is being counted, by source and code; `None`: all the sources that have no count of their own.
#[derive(Debug, Default)]
pub(crate) struct Strangers(Mutex<HashMap<(Option<Source>, &'static str), Tally>>);

#[derive(Debug)]
struct Tally {
    /// When the interval began.
    began: UnixMillis,
    /// Refusals since, beside the one that was written at once.
    attempts: u64,
    first: UnixMillis,
    last: UnixMillis,
}

/// Counts and records that somebody was not let in, and says so.
pub(crate) async fn turn_away(
    thread: &Thread,
    peer: &Peer,
    request: Option<RequestId>,
    error: IdentifyError,
) -> Refused {
    let shared = &thread.shared;
    if error.is_failure() {
        let throttle = shared.identity.throttle();
        throttle.failed(peer.source(), error.claimed_key(), shared.clock.monotonic());
        shared.metrics.identity.sources_failing(throttle.failing());
    }
    // What is the operator's to mend is in the log and in the metrics; it is no attempt of the caller.
    if !error.is_ours() {
        let now = shared.clock.unix_millis();
        let code = error.code().as_str();
        if let Some(source) = shared.strangers.note(peer.source(), code, now) {
            let refused = IdentityRefused {
                request,
                source,
                code: code.to_owned(),
                credential: error.credential(),
                claimed_key: error.claimed_key(),
                attempts: 1,
                first_unix_ms: now,
                last_unix_ms: now,
            };
            let record = Record::new(now, Event::IdentityRefused(refused));
            if let Err(error) = shared.ledger.submit(&record).await {
                // Nobody is let in because of it; the ledger's own alarms are louder.
                tracing::warn!(%error, "a refusal could not be recorded");
            }
        }
    }
    Refused { kind: RefusalKind::Identity(error), request }
}

impl Strangers {
    /// Counts one refusal. `Some`: it is the first of its kind and to be recorded under this source.
    fn note(&self, source: Source, code: &'static str, now: UnixMillis) -> Option<String> {
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = (Some(source), code);
        let room = tallies.len() < TALLIES_MAX || tallies.contains_key(&own);
        let key = if room { own } else { (None, code) };
        match tallies.get_mut(&key) {
            Some(tally) => {
                if tally.attempts == 0 {
                    tally.first = now;
                }
                tally.attempts += 1;
                tally.last = now;
                None
            }
            None => {
                tallies.insert(key, Tally { began: now, attempts: 0, first: now, last: now });
                Some(shown(key.0))
            }
        }
    }

    /// The records that are due, all of them at the end. A source that was quiet for an interval is forgotten.
    fn due(&self, now: UnixMillis, ending: bool) -> Vec<IdentityRefused> {
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        tallies.retain(|(source, code), tally| {
            if !ending && now < tally.began.saturating_add(INTERVAL_MILLIS) {
                return true;
            }
            if tally.attempts == 0 {
                return false;
            }
            due.push(IdentityRefused {
                request: None,
                source: shown(*source),
                code: (*code).to_owned(),
                credential: None,
                claimed_key: None,
                attempts: tally.attempts,
                first_unix_ms: tally.first,
                last_unix_ms: tally.last,
            });
            *tally = Tally { began: now, attempts: 0, first: now, last: now };
            true
        });
        due
    }
}

fn shown(source: Option<Source>) -> String {
    source.map_or_else(|| "others".to_owned(), |source| source.to_string())
}

/// Writes the counts that are due. Blocking.
pub(crate) fn write_due(shared: &Shared, ending: bool) {
    let now = shared.clock.unix_millis();
    for refused in shared.strangers.due(now, ending) {
        if let Err(error) = shared.ledger.append_blocking(&Record::new(now, Event::IdentityRefused(refused)))
        {
            tracing::warn!(%error, "counted refusals could not be recorded");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn source(number: u32) -> Source {
        Source::of(IpAddr::V4(Ipv4Addr::from(number)))
    }

    #[test]
    fn the_first_is_recorded_at_once_and_the_rest_once_an_interval() {
        let strangers = Strangers::default();
        assert_eq!(strangers.note(source(1), "E0903", 1_000), Some("0.0.0.1".to_owned()));
        assert_eq!(strangers.note(source(1), "E0965", 1_000), Some("0.0.0.1".to_owned()), "another reason");
        for at in 0..1_000 {
            assert_eq!(strangers.note(source(1), "E0903", 1_001 + at), None);
        }
        assert!(strangers.due(INTERVAL_MILLIS, false).is_empty());
        let due = strangers.due(1_000 + INTERVAL_MILLIS, false);
        let [refused] = due.as_slice() else { panic!("{due:?}") };
        assert_eq!((refused.attempts, refused.first_unix_ms, refused.last_unix_ms), (1_000, 1_001, 2_000));
        assert!(strangers.due(2_000 + 2 * INTERVAL_MILLIS, false).is_empty());
        assert!(strangers.note(source(1), "E0903", 200_000).is_some(), "quiet for an interval: new again");
    }

    #[test]
    fn a_crowd_shares_one_count_and_nothing_is_lost_at_the_end() {
        let strangers = Strangers::default();
        let crowd = u32::try_from(TALLIES_MAX).unwrap() + 100;
        let written = (0..crowd).filter(|n| strangers.note(source(*n), "E0903", 5).is_some()).count();
        assert_eq!(written, TALLIES_MAX + 1);
        let due = strangers.due(6, true);
        let [refused] = due.as_slice() else { panic!("{} records", due.len()) };
        assert_eq!((refused.source.as_str(), refused.attempts), ("others", 99));
    }
}
