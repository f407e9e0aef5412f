//! A point in time as documents write it.

use hermetic_clock::{UnixMillis, parse_rfc3339, rfc3339};
use std::fmt;
use std::str::FromStr;

/// A time in UTC, written one way only (`2026-11-23T01:30:00.000Z`), so that the same time gives the same bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UtcTime(UnixMillis);

/// Latest time a document may carry: the last millisecond of the year 9999, the end of RFC 3339's four digits.
const MILLIS_MAX: UnixMillis = 253_402_300_799_999;

/// Why a text or a number is not a time a document may carry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a time such as `2026-11-23T01:30:00Z` between 1970 and 9999, found `{found}`")]
pub struct UtcTimeError {
    pub found: String,
}

impl UtcTime {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    pub fn from_unix_millis(millis: UnixMillis) -> Result<Self, UtcTimeError> {
        if millis > MILLIS_MAX {
            return Err(UtcTimeError { found: format!("{millis} ms") });
        }
        Ok(Self(millis))
    }

    pub const fn unix_millis(self) -> UnixMillis {
        self.0
    }

    /// The time `days` later, clamped to the last time a document may carry.
    pub fn plus_days(self, days: u32) -> Self {
        Self(self.0.saturating_add(u64::from(days) * 86_400_000).min(MILLIS_MAX))
    }
}

impl FromStr for UtcTime {
    type Err = UtcTimeError;

    fn from_str(text: &str) -> Result<Self, UtcTimeError> {
        let error = || UtcTimeError { found: text.chars().take(60).collect() };
        Self::from_unix_millis(parse_rfc3339(text).ok_or_else(error)?).map_err(|_| error())
    }
}

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&rfc3339(self.0))
    }
}

impl fmt::Debug for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UtcTime({self})")
    }
}

impl serde::Serialize for UtcTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for UtcTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_time_is_written_in_a_form_that_reads_back(millis in 0..=MILLIS_MAX) {
            let time = UtcTime::from_unix_millis(millis).unwrap();
            prop_assert_eq!(time.to_string().parse::<UtcTime>(), Ok(time));
        }
    }

    #[test]
    fn adding_days_never_leaves_the_range() {
        let last = UtcTime::from_unix_millis(MILLIS_MAX).unwrap();
        assert_eq!(last.plus_days(u32::MAX), last);
        assert!(UtcTime::from_unix_millis(MILLIS_MAX + 1).is_err());
        assert!("yesterday".parse::<UtcTime>().is_err());
    }
}
