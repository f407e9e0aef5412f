//! Windows of time, cut into slots.
//!
//! A calendar window is one slot: it starts on the hour, at midnight UTC, on Monday, on the first of the month. A
//! sliding window is cut into sixty slots or a few more; a slot counts wholly until it has wholly left the window, so
//! that any stretch of time as long as the window, wherever it starts, lies inside the slots that are counted. The
//! price is that what was used counts up to one slot longer than it would have to.

use std::fmt;
use std::str::FromStr;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;
/// A month that slides has no calendar to go by.
const SLIDING_MONTH: u64 = 30 * DAY;
/// 1970-01-01 was a Thursday; weeks start on Monday.
const MONDAY: u64 = 3 * DAY;
/// Slots of a sliding window. More make it sharper and every reservation dearer.
const SLOTS: u64 = 60;

/// How long a window is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Length {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

impl Length {
    pub const ALL: [Self; 6] = [Self::Second, Self::Minute, Self::Hour, Self::Day, Self::Week, Self::Month];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    fn millis(self) -> u64 {
        match self {
            Self::Second => SECOND,
            Self::Minute => MINUTE,
            Self::Hour => HOUR,
            Self::Day => DAY,
            Self::Week => WEEK,
            Self::Month => SLIDING_MONTH,
        }
    }
}

/// Over which time a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Window {
    Calendar(Length),
    Sliding(Length),
    /// No window: what counts is what is held at this moment.
    Now,
}

/// A text that names no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a window such as `hour` or `hour/sliding`, found `{found}`")]
pub struct WindowError {
    found: String,
}

impl Window {
    /// The slot a moment lies in.
    pub fn slot(self, unix_ms: u64) -> u64 {
        match self {
            Self::Now => 0,
            Self::Calendar(Length::Month) => month_of(unix_ms),
            Self::Calendar(Length::Week) => unix_ms.saturating_add(MONDAY) / WEEK,
            Self::Calendar(length) => unix_ms / length.millis(),
            Self::Sliding(length) => unix_ms / slot_millis(length),
        }
    }

    /// When a slot begins.
    pub fn slot_start(self, slot: u64) -> u64 {
        match self {
            Self::Now => 0,
            Self::Calendar(Length::Month) => month_start(slot),
            Self::Calendar(Length::Week) => slot.saturating_mul(WEEK).saturating_sub(MONDAY),
            Self::Calendar(length) => slot.saturating_mul(length.millis()),
            Self::Sliding(length) => slot.saturating_mul(slot_millis(length)),
        }
    }

    /// When what was used in a slot stops counting.
    pub fn leaves_at(self, slot: u64) -> u64 {
        match self {
            Self::Now => u64::MAX,
            Self::Calendar(_) | Self::Sliding(_) => self.slot_start(slot.saturating_add(self.span())),
        }
    }

    /// How many slots, up to and including the present one, are counted together.
    pub fn span(self) -> u64 {
        match self {
            Self::Now | Self::Calendar(_) => 1,
            Self::Sliding(length) => length.millis().div_ceil(slot_millis(length)) + 1,
        }
    }
}

fn slot_millis(length: Length) -> u64 {
    (length.millis() / SLOTS).max(1)
}

/// Months since January 1970.
fn month_of(unix_ms: u64) -> u64 {
    // Beyond that no clock is believed; the bound keeps the steps below few.
    let days = (unix_ms / DAY).min(100_000 * 365);
    // An estimate that is never too late; at most a few steps.
    let mut month = days / 31;
    while month_start(month + 1) <= days * DAY {
        let behind = (days * DAY - month_start(month + 1)) / (31 * DAY);
        month += behind.max(1);
    }
    month
}

/// Howard Hinnant's `days_from_civil`, for the first of a month on or after 1970.
fn month_start(month: u64) -> u64 {
    let month = month.min(12 * 200_000);
    let (year, month) = (1970 + month / 12, month % 12 + 1);
    let (shifted_year, shifted_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (shifted_year / 400, shifted_year % 400);
    let day_of_year = (153 * shifted_month + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era - 719_468) * DAY
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now => f.write_str("now"),
            Self::Calendar(length) => f.write_str(length.as_str()),
            Self::Sliding(length) => write!(f, "{}/sliding", length.as_str()),
        }
    }
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        if text == "now" {
            return Ok(Self::Now);
        }
        let (name, sliding) = match text.strip_suffix("/sliding") {
            Some(name) => (name, true),
            None => (text, false),
        };
        let length = Length::ALL.into_iter().find(|length| length.as_str() == name);
        let length = length.ok_or_else(|| WindowError { found: text.chars().take(40).collect() })?;
        Ok(if sliding { Self::Sliding(length) } else { Self::Calendar(length) })
    }
}

impl serde::Serialize for Window {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Window {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-27T16:35:50Z, a Friday.
    const FRIDAY: u64 = 1_795_797_350_000;

    #[test]
    fn calendar_windows_start_where_people_expect() {
        for (length, start) in [
            (Length::Second, 1_795_797_350_000),
            (Length::Minute, 1_795_797_300_000),
            (Length::Hour, 1_795_795_200_000),
            (Length::Day, 1_795_737_600_000),
            (Length::Week, 1_795_392_000_000),
            (Length::Month, 1_793_491_200_000),
        ] {
            let window = Window::Calendar(length);
            assert_eq!(window.slot_start(window.slot(FRIDAY)), start, "{}", length.as_str());
        }
        let december =
            Window::Calendar(Length::Month).leaves_at(Window::Calendar(Length::Month).slot(FRIDAY));
        assert_eq!(december, 1_796_083_200_000);
    }

    fn windows() -> impl Strategy<Value = Window> {
        let length = || prop::sample::select(&Length::ALL[..]);
        prop_oneof![length().prop_map(Window::Calendar), length().prop_map(Window::Sliding)]
    }

    proptest! {
        #[test]
        fn every_moment_lies_in_its_slot(window in windows(), moment in 0u64..1 << 43) {
            let slot = window.slot(moment);
            prop_assert!(window.slot_start(slot) <= moment);
            prop_assert!(moment < window.slot_start(slot + 1));
            prop_assert_eq!(window.to_string().parse(), Ok(window));
        }

        /// Two moments no further apart than the window are counted together.
        #[test]
        fn a_sliding_window_sees_all_of_any_stretch_of_its_length(
            length in prop::sample::select(&Length::ALL[..]), end in 1u64 << 40..1 << 43, back in 0.0f64..=1.0,
        ) {
            let window = Window::Sliding(length);
            let start = end - (length.millis() as f64 * back) as u64;
            prop_assert!(window.slot(end) - window.slot(start) < window.span());
            prop_assert!(window.leaves_at(window.slot(start)) > end);
        }
    }
}
