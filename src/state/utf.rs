//! Java's modified UTF-8, in which `DataOutput.writeUTF` writes a text: its length in bytes as a `u16`, then each UTF-16
//! unit as one to three bytes, the unit 0 as two.

use super::{StateError, StateResult};

/// Bytes that a text can take at most.
pub(super) const MOST_BYTES: usize = u16::MAX as usize;

/// Bytes of a unit.
const fn unit_len(unit: u16) -> usize {
    match unit {
        0x01..0x80 => 1,
        0 | 0x80..0x800 => 2,
        _ => 3,
    }
}

/// Bytes of a text, its length left out.
pub(super) fn utf_len(text: &str) -> usize {
    text.encode_utf16().map(unit_len).sum()
}

/// Appends a text of at most [`MOST_BYTES`].
pub(super) fn write_utf(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(utf_len(text) as u16).to_be_bytes());
    for unit in text.encode_utf16() {
        match unit_len(unit) {
            1 => out.push(unit as u8),
            2 => out.extend([0xc0 | (unit >> 6) as u8, continuation(unit)]),
            _ => out.extend([0xe0 | (unit >> 12) as u8, continuation(unit >> 6), continuation(unit)]),
        }
    }
}

/// A byte with the last six bits.
const fn continuation(bits: u16) -> u8 {
    0x80 | (bits & 0x3f) as u8
}

/// Reads a text from the front of `input`. Each unit must be written as [`write_utf`] does, in its shortest form.
pub(super) fn read_utf(input: &mut &[u8]) -> StateResult<String> {
    let short = || StateError::Snapshot("it ends within a text".to_owned());
    let (len, rest) = input.split_first_chunk().ok_or_else(short)?;
    let (mut bytes, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len))).ok_or_else(short)?;
    *input = rest;
    let mut units = Vec::with_capacity(bytes.len());
    while let Some((unit, len)) = read_unit(bytes) {
        units.push(unit);
        bytes = &bytes[len..];
    }
    let text = if bytes.is_empty() { String::from_utf16(&units).ok() } else { None };
    text.ok_or_else(|| StateError::Snapshot("a text in it is not in Java's UTF-8".to_owned()))
}

/// The unit at the front, and its bytes.
fn read_unit(bytes: &[u8]) -> Option<(u16, usize)> {
    let bits = |byte: u8| (byte & 0xc0 == 0x80).then_some(u16::from(byte & 0x3f));
    let (unit, len) = match *bytes {
        [a, ..] if a < 0x80 => (u16::from(a), 1),
        [a, b, ..] if a & 0xe0 == 0xc0 => (u16::from(a & 0x1f) << 6 | bits(b)?, 2),
        [a, b, c, ..] if a & 0xf0 == 0xe0 => (u16::from(a & 0x0f) << 12 | bits(b)? << 6 | bits(c)?, 3),
        _ => return None,
    };
    (unit_len(unit) == len).then_some((unit, len))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_has_the_bytes_of_java() {
        let written = |text: &str| {
            let mut out = Vec::new();
            write_utf(text, &mut out);
            out
        };
        assert_eq!(written("aé中"), [0, 6, b'a', 0xc3, 0xa9, 0xe4, 0xb8, 0xad]);
        assert_eq!(written("\0"), [0, 2, 0xc0, 0x80]);
        // A character beyond the first plane is two units of three bytes.
        assert_eq!(written("𝄞"), [0, 6, 0xed, 0xa0, 0xb4, 0xed, 0xb4, 0x9e]);
    }

    #[test]
    fn a_text_that_java_would_not_write_is_refused() {
        for bytes in
            [&[0, 1, 0][..], &[0, 2, 0xc1, 0x81], &[0, 1, 0x80], &[0, 3, 0xed, 0xa0, 0xb4], &[0, 2, b'a'], &[0]]
        {
            assert!(read_utf(&mut &*bytes).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn every_text_round_trips(text: String, rest: Vec<u8>) {
            let mut bytes = Vec::new();
            write_utf(&text, &mut bytes);
            prop_assert_eq!(bytes.len(), 2 + utf_len(&text));
            bytes.extend(&rest);
            let mut input = bytes.as_slice();
            prop_assert_eq!(read_utf(&mut input).unwrap(), text);
            prop_assert_eq!(input, rest);
        }

        /// There is one way to write a text, so what is read is what was written.
        #[test]
        fn what_is_read_is_written_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            let mut framed = vec![0, bytes.len() as u8];
            framed.extend(&bytes);
            if let Ok(text) = read_utf(&mut framed.as_slice()) {
                let mut written = Vec::new();
                write_utf(&text, &mut written);
                prop_assert_eq!(written, framed);
            }
        }
    }
}
