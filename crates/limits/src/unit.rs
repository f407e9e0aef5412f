//! What is counted, and how much of it. Everything is a whole number: money in millionths of its currency, engine time
//! in milliseconds. Sums of fractions would drift, and a budget that drifts is not one.

use std::fmt;
use std::str::FromStr;

/// What a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unit {
    Requests,
    InputTokens,
    OutputTokens,
    /// Input and output together.
    Tokens,
    /// Requests at the same time: held while they last, never charged.
    Concurrent,
    /// Wall time of the engine, in milliseconds.
    GpuSeconds,
    /// In millionths of the currency.
    Money,
}

/// A text that names no unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a unit (requests, input-tokens, output-tokens, tokens, concurrent, gpu-seconds, money), found `{found}`"
)]
pub struct UnitError {
    found: String,
}

/// A text that is no quantity of its unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found `{found}`")]
pub struct QuantityError {
    expected: &'static str,
    found: String,
}

impl Unit {
    pub const ALL: [Self; 7] = [
        Self::Requests,
        Self::InputTokens,
        Self::OutputTokens,
        Self::Tokens,
        Self::Concurrent,
        Self::GpuSeconds,
        Self::Money,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::InputTokens => "input-tokens",
            Self::OutputTokens => "output-tokens",
            Self::Tokens => "tokens",
            Self::Concurrent => "concurrent",
            Self::GpuSeconds => "gpu-seconds",
            Self::Money => "money",
        }
    }

    /// How many of what is counted make one of what people write, and with how many digits behind the point.
    fn fine(self) -> (u64, usize) {
        match self {
            Self::GpuSeconds => (1_000, 3),
            Self::Money => (1_000_000, 6),
            Self::Requests | Self::InputTokens | Self::OutputTokens | Self::Tokens | Self::Concurrent => {
                (1, 0)
            }
        }
    }

    /// Whether the number of generated tokens decides how much of this unit a request uses.
    pub fn counts_output(self) -> bool {
        matches!(self, Self::OutputTokens | Self::Tokens | Self::Money)
    }

    /// Reads `1000`, and for money and time also `12.50`.
    pub fn parse_quantity(self, text: &str) -> Result<u64, QuantityError> {
        let (fine, digits) = self.fine();
        decimal(text, fine, digits).ok_or_else(|| QuantityError {
            expected: match digits {
                0 => "a whole number",
                3 => "seconds with at most three digits behind the point",
                _ => "an amount with at most six digits behind the point",
            },
            found: text.chars().take(40).collect(),
        })
    }

    /// As people write it: the inverse of [`Unit::parse_quantity`].
    pub fn show(self, amount: u64) -> String {
        let (fine, digits) = self.fine();
        let (whole, rest) = (amount / fine, amount % fine);
        if rest == 0 {
            return whole.to_string();
        }
        let rest = format!("{rest:0digits$}");
        format!("{whole}.{}", rest.trim_end_matches('0'))
    }
}

/// A decimal as a whole number of its smallest part. `None` when it is none or has more digits than that.
pub(crate) fn decimal(text: &str, fine: u64, digits: usize) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let written_right = !whole.is_empty() && all_digits(whole) && all_digits(fraction);
    if !written_right || fraction.len() > digits || text.ends_with('.') {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let fraction: u64 = if fraction.is_empty() { 0 } else { format!("{fraction:0<digits$}").parse().ok()? };
    whole.checked_mul(fine)?.checked_add(fraction)
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Unit {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let found = || UnitError { found: text.chars().take(40).collect() };
        Self::ALL.into_iter().find(|unit| unit.as_str() == text).ok_or_else(found)
    }
}

impl serde::Serialize for Unit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Unit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How much a request uses, or may use at most, of everything there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amounts {
    pub requests: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub gpu_ms: u64,
    /// In millionths of the currency.
    pub money: u64,
    /// One while the request lasts; nothing of it is ever used up.
    pub concurrent: u64,
}

impl Amounts {
    pub fn of(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Requests => self.requests,
            Unit::InputTokens => self.input_tokens,
            Unit::OutputTokens => self.output_tokens,
            Unit::Tokens => self.input_tokens.saturating_add(self.output_tokens),
            Unit::Concurrent => self.concurrent,
            Unit::GpuSeconds => self.gpu_ms,
            Unit::Money => self.money,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantities_are_read_as_people_write_them() {
        assert_eq!(Unit::Money.parse_quantity("12.5"), Ok(12_500_000));
        assert_eq!(Unit::Money.parse_quantity("0.000001"), Ok(1));
        assert_eq!(Unit::GpuSeconds.parse_quantity("3600"), Ok(3_600_000));
        assert_eq!(Unit::Tokens.parse_quantity("1000"), Ok(1000));
        for (unit, bad) in [
            (Unit::Tokens, "1.5"),
            (Unit::Money, "0.0000001"),
            (Unit::Money, "-1"),
            (Unit::Money, ".5"),
            (Unit::Money, "1."),
            (Unit::Money, "1e3"),
            (Unit::Money, "18446744073709551615"),
            (Unit::Requests, ""),
        ] {
            assert!(unit.parse_quantity(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn showing_and_reading_agree(amount: u64, unit in prop::sample::select(&Unit::ALL[..])) {
            prop_assert_eq!(unit.parse_quantity(&unit.show(amount)), Ok(amount));
            prop_assert_eq!(unit.as_str().parse(), Ok(unit));
        }
    }
}
