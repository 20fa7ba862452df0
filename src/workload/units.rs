//! Sizes and times in Flink's spelling: `256mb`, `60 s`, `7 d`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number of bytes. Units are those of Flink's `MemorySize`, all powers of 1024; a number without a unit is bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Bytes(pub u64);

const BYTE_UNITS: [(&[&str], u64); 5] = [
    (&["b", "bytes"], 1),
    (&["k", "kb", "kibibytes"], 1 << 10),
    (&["m", "mb", "mebibytes"], 1 << 20),
    (&["g", "gb", "gibibytes"], 1 << 30),
    (&["t", "tb", "tebibytes"], 1 << 40),
];
const BYTE_SPELLING: &str = "a size such as 4096, 64kb, 256 mb or 2g";

/// A span of time. Units are those of Flink's `TimeUtils`; a number without a unit is milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Time(pub Duration);

const TIME_UNITS: [(&[&str], u64); 7] = [
    (&["ns", "nano", "nanosecond", "nanoseconds"], 1),
    (&["µs", "micro", "microsecond", "microseconds"], 1_000),
    (&["ms", "milli", "millisecond", "milliseconds"], 1_000_000),
    (&["s", "sec", "second", "seconds"], 1_000_000_000),
    (&["min", "m", "minute", "minutes"], 60_000_000_000),
    (&["h", "hour", "hours"], 3_600_000_000_000),
    (&["d", "day", "days"], 86_400_000_000_000),
];
const TIME_SPELLING: &str = "a time such as 500 ms, 60s, 10 min or 7 d";
/// What a distance in event time may look like, for error messages.
const TIME_OFFSET_SPELLING: &str = "a time such as 500 ms or 10 min, or one back such as -10 min";

/// Splits `256 mb` into number and unit and multiplies; a missing unit counts `default`.
fn parse(text: &str, units: &[(&[&str], u64)], default: u64, spelling: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = (&text[..digits], text[digits..].trim().to_lowercase());
    let number: u64 = number.parse().map_err(|_| format!("`{text}` is not {spelling}"))?;
    let factor = if unit.is_empty() {
        default
    } else {
        let names = || units.iter().flat_map(|(names, factor)| names.iter().map(move |name| (*name, *factor)));
        names().find(|(name, _)| *name == unit).map(|(_, factor)| factor).ok_or_else(|| {
            let first: Vec<_> = units.iter().map(|(names, _)| names[0]).collect();
            format!("`{text}` has an unknown unit `{unit}`; units are {}", first.join(", "))
        })?
    };
    number.checked_mul(factor).ok_or_else(|| format!("`{text}` is too large"))
}

impl std::str::FromStr for Bytes {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        parse(text, &BYTE_UNITS, 1, BYTE_SPELLING).map(Self)
    }
}

impl std::str::FromStr for Time {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        parse(text, &TIME_UNITS, 1_000_000, TIME_SPELLING).map(|ns| Self(Duration::from_nanos(ns)))
    }
}

/// Writes a value with the largest unit that divides it.
fn write_with_unit(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&[&str], u64)], name: usize) -> fmt::Result {
    let (names, factor) =
        units.iter().rev().find(|(_, factor)| value != 0 && value.is_multiple_of(*factor)).unwrap_or(&units[0]);
    write!(f, "{} {}", value / factor, names[name.min(names.len() - 1)])
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1024 {
            return write!(f, "{} b", self.0);
        }
        write_with_unit(f, self.0, &BYTE_UNITS, 1)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_with_unit(f, u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX), &TIME_UNITS, 0)
    }
}

impl Time {
    /// Whole milliseconds, the resolution of Flink's clocks.
    pub fn as_millis(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }
}

/// A distance in event time, ms: spelled as a time, with a minus before it where it points back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOffset(pub i64);

impl std::str::FromStr for TimeOffset {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim_start().strip_prefix('-') {
            Some(time) => time.parse::<Time>().map(|time| Self(-time.as_millis())),
            None => text.parse::<Time>().map(|time| Self(time.as_millis())),
        }
    }
}

impl fmt::Display for TimeOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}", Time(Duration::from_millis(self.0.unsigned_abs())))
    }
}

impl<'de> Deserialize<'de> for TimeOffset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = |_| de::Error::custom(format!("expected {TIME_OFFSET_SPELLING}"));
        match Spelling::deserialize(deserializer).map_err(expected)? {
            Spelling::Number(ms) => Ok(Self(ms)),
            Spelling::Text(text) => text.parse().map_err(de::Error::custom),
        }
    }
}

impl Serialize for TimeOffset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for TimeOffset {
    fn schema_name() -> Cow<'static, str> {
        "TimeOffset".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "description": TIME_OFFSET_SPELLING })
    }
}

/// A number, or a text with a unit.
#[derive(Deserialize)]
#[serde(untagged)]
enum Spelling<'a> {
    Number(i64),
    #[serde(borrow)]
    Text(Cow<'a, str>),
}

macro_rules! as_text {
    ($type:ident, $spelling:expr, $name:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let spelling = Spelling::deserialize(deserializer)
                    .map_err(|_| de::Error::custom(concat!("expected ", $name)))?;
                match spelling {
                    Spelling::Number(number) if number < 0 => Err(format!("`{number}` is negative")),
                    Spelling::Number(number) => number.to_string().parse(),
                    Spelling::Text(text) => text.parse(),
                }
                .map_err(de::Error::custom)
            }
        }
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": ["string", "integer"], "minimum": 0, "description": $spelling })
            }
        }
    };
}
as_text!(Bytes, BYTE_SPELLING, "a size such as 4096, 64kb, 256 mb or 2g");
as_text!(Time, TIME_SPELLING, "a time such as 500 ms, 60s, 10 min or 7 d");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_parsed_as_flink_does() {
        for (text, bytes) in [("256mb", 256 << 20), ("64 kb", 64 << 10), ("1g", 1 << 30), ("12", 12), ("3 BYTES", 3)] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["", "mb", "-1", "1.5g", "1 parsec", "99999999999t", "1 2"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_parsed_as_flink_does() {
        for (text, ms) in
            [("60 s", 60_000), ("7d", 604_800_000), ("5", 5), ("10 min", 600_000), ("720 h", 2_592_000_000)]
        {
            assert_eq!(text.parse::<Time>().unwrap().as_millis(), ms, "{text}");
        }
        for text in ["", "s", "1 fortnight", "-5 s"] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_offset_may_point_back() {
        for (text, ms) in [("-2 min", -120_000), ("3 min", 180_000), ("- 5 s", -5_000), ("0", 0), ("-7", -7)] {
            assert_eq!(text.parse(), Ok(TimeOffset(ms)), "{text}");
        }
        for text in ["", "-", "--5", "5 -", "-1 fortnight"] {
            assert!(text.parse::<TimeOffset>().is_err(), "{text}");
        }
        assert_eq!(TimeOffset(-120_000).to_string(), "-2 min");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(bytes: u64, ns: u64) {
            let offset = TimeOffset((ns / 1_000_000) as i64 - (bytes >> 40) as i64);
            prop_assert_eq!(offset.to_string().parse(), Ok(offset));
            prop_assert_eq!(Bytes(bytes).to_string().parse(), Ok(Bytes(bytes)));
            let time = Time(Duration::from_nanos(ns));
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<Bytes>();
            let _ = text.parse::<Time>();
            let _ = text.parse::<TimeOffset>();
        }
    }
}
