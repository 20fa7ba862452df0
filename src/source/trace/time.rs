//! Times that are written as text.

use super::number::{integer, scaled};
use crate::workload::TimeFormat;

/// Epoch milliseconds of a time that is written as text.
#[inline]
pub(super) fn time(text: &[u8], format: TimeFormat) -> Option<i64> {
    let text = text.trim_ascii();
    if format == TimeFormat::Auto && text.len() >= 19 && text[4] == b'-' {
        return timestamp(text);
    }
    if let Some(number) = integer(text) {
        return format.to_ms(number);
    }
    if format == TimeFormat::EpochS { epoch_fraction(text) } else { scaled(text, 1).and_then(|n| format.to_ms(n)) }
}

/// Milliseconds of `1234567890.123456`, rounded down.
fn epoch_fraction(text: &[u8]) -> Option<i64> {
    let point = text.iter().position(|&c| c == b'.')?;
    let seconds = integer(&text[..point])?;
    let (ms, rest) = millis(&text[point + 1..])?;
    let sign = if text[0] == b'-' { -1 } else { 1 };
    let below = i64::from(sign < 0 && text[point + 1..].iter().skip(3).any(|&c| c != b'0'));
    rest.is_empty().then_some(())?;
    seconds.checked_mul(1000)?.checked_add(sign * ms)?.checked_sub(below)
}

/// The first three digits of a fraction of a second as milliseconds, and what follows all of its digits.
fn millis(text: &[u8]) -> Option<(i64, &[u8])> {
    let digits = text.iter().take_while(|c| c.is_ascii_digit()).count();
    let digit = |i: usize| if i < digits { i64::from(text[i] - b'0') } else { 0 };
    (digits > 0).then(|| (digit(0) * 100 + digit(1) * 10 + digit(2), &text[digits..]))
}

/// Epoch milliseconds of `YYYY-MM-DD HH:MM:SS[.fff]` with a blank or `T` between, and optionally `Z` or `±hh:mm` behind.
pub(super) fn timestamp(text: &[u8]) -> Option<i64> {
    let (fixed, rest) = text.split_first_chunk::<19>()?;
    let shape = fixed[4] == b'-' && fixed[7] == b'-' && fixed[13] == b':' && fixed[16] == b':';
    if !shape || !matches!(fixed[10], b' ' | b'T' | b't') {
        return None;
    }
    let year = digits(&fixed[..4])?;
    let (month, day) = (digits(&fixed[5..7])?, digits(&fixed[8..10])?);
    let (hour, minute, second) = (digits(&fixed[11..13])?, digits(&fixed[14..16])?, digits(&fixed[17..])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days_in_month).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (ms, zone) = match rest {
        [b'.' | b',', fraction @ ..] => millis(fraction)?,
        _ => (0, rest),
    };
    let offset_minutes = match zone {
        [] | [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + (minute - offset_minutes) * 60 + second;
    Some(seconds * 1000 + ms)
}

/// The number that a few digits stand for.
#[inline]
fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number, c| c.is_ascii_digit().then(|| number * 10 + i64::from(c - b'0')))
}

/// Days since 1970-01-01 in the Gregorian calendar (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}
/// `2001-01-31 23:59:59.999` of epoch milliseconds, UTC.
pub(super) fn show_time(ms: i64) -> String {
    // H. Hinnant, "chrono-Compatible Low-Level Date Algorithms": days to civil.
    let (days, ms) = (ms.div_euclid(86_400_000) + 719_468, ms.rem_euclid(86_400_000));
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second, ms) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
    let shown = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
    if ms == 0 { shown } else { format!("{shown}.{ms:03}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        let cases = [
            ("2001-01-01 00:00:00", 978_307_200_000),
            ("2001-01-01T00:00:00.5", 978_307_200_500),
            ("2001-01-01T00:00:00.123999Z", 978_307_200_123),
            ("2001-01-01T01:30:00+01:30", 978_307_200_000),
            ("2000-12-31T19:00:00,25-05:00", 978_307_200_250),
            ("2000-02-29 12:00:00", 951_825_600_000),
            ("1969-12-31 23:59:59.999", -1),
            ("0000-03-01 00:00:00", -62_162_035_200_000),
            (" 1234 ", 1234),
            ("-7", -7),
            ("1e3", 1000),
        ];
        for (text, ms) in cases {
            assert_eq!(time(text.as_bytes(), TimeFormat::Auto), Some(ms), "{text}");
        }
        let bad = [
            "",
            "x",
            "1.5",
            "2001-13-01 00:00:00",
            "2001-00-01 00:00:00",
            "1900-02-29 00:00:00",
            "2001-01-32 00:00:00",
            "2001-01-01 24:00:00",
            "2001-01-01 00:60:00",
            "2001-01-01 00:00:60",
            "2001-01-01 00:00:00.",
            "2001-01-01 00:00:00.1x",
            "2001-01-01x00:00:00",
            "2001-01-01 00:00:00+1:00",
            "2001-01-01 00:00:00+24:00",
            "2001-01-01",
            "9223372036854775808",
        ];
        for text in bad {
            assert_eq!(time(text.as_bytes(), TimeFormat::Auto), None, "{text}");
        }
        let cases = [
            ("1700000000", TimeFormat::EpochS, Some(1_700_000_000_000)),
            ("1700000000.1239", TimeFormat::EpochS, Some(1_700_000_000_123)),
            ("-1.5", TimeFormat::EpochS, Some(-1500)),
            ("-0.0001", TimeFormat::EpochS, Some(-1)),
            ("1.", TimeFormat::EpochS, None),
            ("9223372036854775807", TimeFormat::EpochS, None),
            ("5", TimeFormat::EpochMs, Some(5)),
            ("-1", TimeFormat::EpochUs, Some(-1)),
            ("1999999", TimeFormat::EpochNs, Some(1)),
            ("2001-01-01 00:00:00", TimeFormat::EpochMs, None),
        ];
        for (text, format, ms) in cases {
            assert_eq!(time(text.as_bytes(), format), ms, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-+0-9eE.:TZ ]{0,40}") {
            for format in [TimeFormat::Auto, TimeFormat::EpochS, TimeFormat::EpochNs] {
                let _ = time(text.as_bytes(), format);
            }
        }

        #[test]
        fn a_time_that_is_shown_reads_back(ms in -62_167_219_200_000_i64..253_402_300_800_000) {
            let shown = show_time(ms);
            prop_assert_eq!(timestamp(shown.as_bytes()), Some(ms), "{}", shown);
        }
    }
}
