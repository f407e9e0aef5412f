//! Points and spans of time as the command line takes them.

use hermetic_clock::{UnixMillis, parse_rfc3339};
use std::str::FromStr;

/// When a key stops working.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    At(UnixMillis),
    In(Span),
}

/// A length of time: `90d`, `12h`, `30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) millis: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("expected a time such as 2027-01-31T00:00:00Z, or a span such as 90d, 12h or 30m")]
pub(super) struct ExpiryError;

#[derive(Debug, thiserror::Error)]
#[error("expected a span such as 90d, 12h or 30m")]
pub(super) struct SpanError;

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let units = [('d', 86_400_000), ('h', 3_600_000), ('m', 60_000)];
        let (count, unit) = units
            .into_iter()
            .find_map(|(suffix, ms)| Some((text.strip_suffix(suffix)?, ms)))
            .ok_or(SpanError)?;
        let count: u64 = count.parse().map_err(|_| SpanError)?;
        count.checked_mul(unit).map(|millis| Self { millis }).ok_or(SpanError)
    }
}

impl FromStr for Expiry {
    type Err = ExpiryError;

    fn from_str(text: &str) -> Result<Self, ExpiryError> {
        match parse_rfc3339(text) {
            Some(at) => Ok(Self::At(at)),
            None => text.parse().map(Self::In).map_err(|_| ExpiryError),
        }
    }
}

impl Expiry {
    pub(super) fn after(self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::At(at) => at,
            Self::In(Span { millis }) => now.saturating_add(millis),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_time_or_a_span_and_nothing_else() {
        assert_eq!("90d".parse::<Expiry>().unwrap().after(5), 90 * 86_400_000 + 5);
        assert_eq!("2026-11-23T02:00:00.123Z".parse::<Expiry>().unwrap(), Expiry::At(1_795_399_200_123));
        for bad in ["", "d", "-1d", "1.5h", "90", "tomorrow", "99999999999999999999d", "9999999999999999d"] {
            assert!(bad.parse::<Expiry>().is_err(), "{bad}");
        }
        assert!("2026-11-23T02:00:00Z".parse::<Span>().is_err());
    }
}
