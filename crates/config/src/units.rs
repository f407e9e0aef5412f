//! Lengths of time and sizes as people write them: `30s`, `16 MiB`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Why a text is not a length of time or a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    #[error("expected a whole number and a unit such as `{example}`, found `{found}`")]
    Form { example: &'static str, found: String },
    #[error("expected one of the units {units}, found `{found}`")]
    Unit { units: &'static str, found: String },
    #[error("expected a smaller number, found `{found}`")]
    TooLarge { found: String },
}

const DURATION_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZE_UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// Splits `30 s` into the number and the unit.
fn split(text: &str, example: &'static str) -> Result<(u64, String), UnitError> {
    let found = || text.chars().take(40).collect::<String>();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() || unit.trim().is_empty() {
        return Err(UnitError::Form { example, found: found() });
    }
    let number = number.parse().map_err(|_| UnitError::TooLarge { found: found() })?;
    Ok((number, unit.trim().to_owned()))
}

/// A length of time: a whole number and `ms`, `s`, `m`, `h` or `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HumanDuration(u64);

impl HumanDuration {
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    pub const fn get(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl FromStr for HumanDuration {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split(text, "30s")?;
        let (_, millis) = DURATION_UNITS
            .iter()
            .find(|(known, _)| *known == unit)
            .ok_or(UnitError::Unit { units: "`ms`, `s`, `m`, `h`, `d`", found: unit })?;
        number
            .checked_mul(*millis)
            .map(Self)
            .ok_or(UnitError::TooLarge { found: text.chars().take(40).collect() })
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, millis) = DURATION_UNITS
            .iter()
            .rev()
            .find(|(_, ms)| self.0.is_multiple_of(*ms) && self.0 >= *ms)
            .unwrap_or(&("ms", 1));
        write!(f, "{}{unit}", self.0 / millis)
    }
}

/// A size in bytes: a whole number and `B`, `KiB`, `MiB`, `GiB` (or the decimal `kB`, `MB`, `GB`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

impl ByteSize {
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    pub const fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split(text, "16 MiB")?;
        let (_, bytes) = SIZE_UNITS
            .iter()
            .find(|(known, _)| *known == unit)
            .ok_or(UnitError::Unit { units: "`B`, `KiB`, `MiB`, `GiB`, `kB`, `MB`, `GB`", found: unit })?;
        number
            .checked_mul(*bytes)
            .map(Self)
            .ok_or(UnitError::TooLarge { found: text.chars().take(40).collect() })
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = SIZE_UNITS.iter().take(4).rev();
        let (unit, bytes) = binary
            .clone()
            .find(|(_, bytes)| self.0.is_multiple_of(*bytes) && self.0 >= *bytes)
            .unwrap_or(&("B", 1));
        write!(f, "{} {unit}", self.0 / bytes)
    }
}

macro_rules! as_text {
    ($($type:ident, $format:literal, $example:literal;)+) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "format": $format, "examples": [$example]})
            }
        }
    )+};
}

as_text! {
    HumanDuration, "duration-with-unit", "30s";
    ByteSize, "size-with-unit", "16 MiB";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write_and_refuses_bare_numbers() {
        assert_eq!("30s".parse::<HumanDuration>().map(HumanDuration::get), Ok(Duration::from_secs(30)));
        assert_eq!("5 m".parse::<HumanDuration>().map(HumanDuration::get), Ok(Duration::from_secs(300)));
        assert_eq!("16 MiB".parse::<ByteSize>().map(ByteSize::get), Ok(16 << 20));
        for bad in ["30", "", "s", "-1s", "1.5s", "3 weeks", "99999999999999999999s", "18446744073709551615d"]
        {
            assert!(bad.parse::<HumanDuration>().is_err(), "{bad}");
        }
        for bad in ["16", "16 mib", "MiB", "18446744073709551615 GiB"] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn printing_and_reading_agree(n: u64) {
            prop_assert_eq!(HumanDuration(n).to_string().parse(), Ok(HumanDuration(n)));
            prop_assert_eq!(ByteSize(n).to_string().parse(), Ok(ByteSize(n)));
        }
    }
}
