//! How long an engine has said nothing in the middle of a stream.

use std::time::Duration;
use tokio::time::Instant;

/// A silence. Its alarm is not set anew with every event, of which there are thousands: when it goes off, the silence is
/// measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Silence {
    since: Instant,
    /// When the client heard something last.
    client_heard: Instant,
}

/// What to make of a silence.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Silent {
    Bearable,
    /// Long enough to tell the client that somebody is still there.
    Noticeable,
    TooLong {
        after: Duration,
    },
}

impl Silence {
    pub(crate) fn begins(now: Instant) -> Self {
        Self { since: now, client_heard: now }
    }

    /// When to look next. `patience`: for the engine; `keep_alive`: between two signs to the client.
    pub(crate) fn next(&self, (patience, keep_alive): (Duration, Duration)) -> Instant {
        (self.since + patience).min(self.client_heard + keep_alive)
    }

    /// Call it at `now`, and act on what it says: a client that is to be told is taken to have been told.
    pub(crate) fn judge(&mut self, now: Instant, (patience, keep_alive): (Duration, Duration)) -> Silent {
        if now.saturating_duration_since(self.since) >= patience {
            return Silent::TooLong { after: patience };
        }
        if now.saturating_duration_since(self.client_heard) >= keep_alive {
            self.client_heard = now;
            return Silent::Noticeable;
        }
        Silent::Bearable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);
    const KEEP_ALIVE: Duration = Duration::from_secs(15);
    const BOTH: (Duration, Duration) = (PATIENCE, KEEP_ALIVE);

    #[test]
    fn tells_the_client_at_each_interval_and_ends_when_patience_does() {
        let start = Instant::now();
        let mut silence = Silence::begins(start);
        let mut told = 0;
        let ended = loop {
            let now = silence.next(BOTH);
            match silence.judge(now, BOTH) {
                Silent::Noticeable => told += 1,
                Silent::TooLong { after } => break (now, after),
                Silent::Bearable => panic!("the alarm went off for nothing at {:?}", now - start),
            }
        };
        assert_eq!(told, 3);
        assert_eq!(ended, (start + PATIENCE, PATIENCE));
    }

    #[test]
    fn an_alarm_set_before_the_last_event_says_nothing() {
        let start = Instant::now();
        let alarm = Silence::begins(start).next(BOTH);
        let mut silence = Silence::begins(start + Duration::from_secs(1));
        assert_eq!(silence.judge(alarm, BOTH), Silent::Bearable);
        assert_eq!(silence.next(BOTH), alarm + Duration::from_secs(1));
    }
}
