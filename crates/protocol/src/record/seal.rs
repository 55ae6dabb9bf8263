//! The checksum of a whole record, in the last of its properties.
//!
//! ```text
//! | "__CRC32#" | 0x01 | 10 digits, the lowest first | 0x02 |
//! ```
//! It covers everything before (Java: `MessageDecoder.createCrc32`, `enabledAppendPropCRC`).

use super::{RecordError, body_crc};
use crate::properties::{CRC32, NAME_END, VALUE_END, append};

const DIGITS: usize = 10;
const DIGITS_AT: usize = CRC32.len() + 1;
/// Bytes that the property takes.
pub const SEAL_LEN: usize = DIGITS_AT + DIGITS + 1;

/// Appends the property to encoded ones, of no value yet.
pub fn reserve_seal(properties: &mut Vec<u8>) {
    append(properties, CRC32, "0000000000");
}

/// Gives the property, which [`reserve_seal`] has put last, its value.
///
/// # Panics
/// If `record` is shorter than the property.
pub fn seal(record: &mut [u8]) {
    let (content, property) = record.split_at_mut(record.len() - SEAL_LEN);
    let mut crc = body_crc(content);
    for digit in &mut property[DIGITS_AT..DIGITS_AT + DIGITS] {
        *digit = b'0' + (crc % 10) as u8;
        crc /= 10;
    }
}

/// Whether the record has the checksum that it says; `None` if it says none.
pub fn check_seal(record: &[u8]) -> Option<Result<(), RecordError>> {
    let (content, property) = record.split_at_checked(record.len().checked_sub(SEAL_LEN)?)?;
    let (name, digits) = property.split_at(DIGITS_AT);
    let (digits, end) = digits.split_at(DIGITS);
    let is_seal = name.strip_prefix(CRC32.as_bytes()) == Some(&[NAME_END]) && end == [VALUE_END];
    if !is_seal || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = |sum: u64, digit: &u8| sum * 10 + u64::from(digit - b'0');
    let stored = digits.iter().rev().fold(0, value) as u32;
    let computed = body_crc(content);
    Some(if stored == computed { Ok(()) } else { Err(RecordError::Seal { stored, computed }) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_record_checks_and_every_flipped_bit_shows() {
        let mut record = b"something like a record".to_vec();
        let plain = record.clone();
        reserve_seal(&mut record);
        assert_eq!(record.len() - plain.len(), SEAL_LEN + 1, "and the separator before");
        seal(&mut record);
        assert_eq!(check_seal(&record), Some(Ok(())));
        for at in 0..plain.len() {
            let mut flipped = record.clone();
            flipped[at] ^= 1;
            assert!(matches!(check_seal(&flipped), Some(Err(RecordError::Seal { .. }))));
        }
        assert_eq!(check_seal(&plain), None);
        assert_eq!(check_seal(b""), None);
    }
}
