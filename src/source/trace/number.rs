//! Numbers that are written as text.

/// A decimal integer that fits.
#[inline]
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut number = 0_i64; // counted downwards, where there is room for i64::MIN
    for &digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_sub(i64::from(digit))?;
    }
    if negative { Some(number) } else { number.checked_neg() }
}

/// A number times `scale`, exactly; `None` where that is no integer of 64 bits. `true` counts as 1 and `false` as 0.
pub(super) fn scaled(text: &[u8], scale: i64) -> Option<i64> {
    let text = text.trim_ascii();
    match integer(text) {
        Some(number) => number.checked_mul(scale),
        None if text == b"true" => Some(scale),
        None if text == b"false" => Some(0),
        None => scaled_decimal(text, scale),
    }
}

#[cold]
fn scaled_decimal(text: &[u8], scale: i64) -> Option<i64> {
    let exponent_at = text.iter().position(|c| matches!(c, b'e' | b'E'));
    let (mantissa, exponent) = match exponent_at {
        Some(at) => (&text[..at], integer(&text[at + 1..])?),
        None => (text, 0),
    };
    let point = mantissa.iter().position(|&c| c == b'.').unwrap_or(mantissa.len());
    let (whole, fraction) = (&mantissa[..point], mantissa.get(point + 1..).unwrap_or_default());
    let (negative, whole) = match whole {
        [b'-', whole @ ..] => (true, whole),
        [b'+', whole @ ..] | whole => (false, whole),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let zeros = fraction.iter().rev().take_while(|&&c| c == b'0').count();
    let fraction = &fraction[..fraction.len() - zeros];
    let mut number = 0_i128;
    for &digit in whole.iter().chain(fraction) {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    if number == 0 {
        return Some(0);
    }
    number = number.checked_mul(i128::from(scale))?;
    let power = exponent.checked_sub(fraction.len() as i64)?;
    let factor = 10_i128.checked_pow(u32::try_from(power.unsigned_abs()).ok()?);
    let number = if power >= 0 {
        number.checked_mul(factor?)?
    } else {
        let factor = factor?;
        if number % factor != 0 {
            return None;
        }
        number / factor
    };
    i64::try_from(if negative { -number } else { number }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_are_scaled_exactly() {
        let cases = [
            ("12", 100, Some(1200)),
            ("12.34", 100, Some(1234)),
            ("-0.5", 10, Some(-5)),
            (".5", 2, Some(1)),
            ("+5.", 1, Some(5)),
            ("1.000000000000000000000000000000000000000000000", 1, Some(1)),
            ("0e999999", 1, Some(0)),
            ("1.5e1", 1, Some(15)),
            ("150E-1", 1, Some(15)),
            ("true", 7, Some(7)),
            ("false", 7, Some(0)),
            ("-9223372036854775808", 1, Some(i64::MIN)),
            ("12.345", 100, None),
            ("1e-999999999999", 1, None),
            (".", 1, None),
            ("1e", 1, None),
            ("--1", 1, None),
            ("NaN", 1, None),
            ("", 1, None),
            ("9223372036854775808", 1, None),
        ];
        for (text, scale, number) in cases {
            assert_eq!(scaled(text.as_bytes(), scale), number, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-+0-9eE. ]{0,40}", scale in 1_i64..1_000_000) {
            let _ = scaled(text.as_bytes(), scale);
        }
    }
}
