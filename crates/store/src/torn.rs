//! Telling a torn record from a whole one where no checksum does.
//!
//! The CRC of a record is its body's only. A power cut leaves the properties, too, without some of
//! their sectors, which are zero then. So records with that many zeros in their properties, or with
//! any at their end, are not stored in the first place, and at recovery they count as torn.

use skua_protocol::record::Record;

/// Sectors reach the disk whole or not at all.
const SECTOR: u64 = 512;
/// Fewer zeros than this may be anybody's.
const ZEROS_LEAST: usize = 8;

/// Zero bytes in a row in `properties`, if they are more than a record may have there.
pub(crate) fn zeros(properties: &[u8]) -> Option<usize> {
    if !properties.contains(&0) {
        return None;
    }
    let last = properties.iter().rev().take_while(|byte| **byte == 0).count();
    if last > 0 {
        return Some(last);
    }
    let runs = properties.chunk_by(|a, b| *a == 0 && *b == 0);
    let longest = runs.filter(|run| run[0] == 0).map(<[u8]>::len).max()?;
    (longest >= ZEROS_LEAST).then_some(longest)
}

/// Whether a sector's share of the properties, or their end, is zero.
pub(crate) fn has_lost_sector(record: &Record<'_>, position: u64) -> bool {
    let mut properties = record.properties().encoded();
    if properties.len() >= ZEROS_LEAST && properties.ends_with(&[0; ZEROS_LEAST]) {
        return true;
    }
    let mut at = position + (record.size() - properties.len()) as u64;
    while !properties.is_empty() {
        let here = properties.len().min((SECTOR - at % SECTOR) as usize);
        let (part, rest) = properties.split_at(here);
        // The last sector may hold few bytes of them.
        if (part.len() >= ZEROS_LEAST || rest.is_empty()) && part.iter().all(|byte| *byte == 0) {
            return true;
        }
        at += here as u64;
        properties = rest;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::zeros;

    #[test]
    fn a_few_zeros_are_nothing_and_eight_in_a_row_are_too_many() {
        assert_eq!(zeros(b"TAGS\x01a\x02"), None);
        assert_eq!(zeros(b"\0\0\0\0\0\0\0x\0\0\0\0\0\0\0x"), None);
        assert_eq!(zeros(b"x\0\0"), Some(2), "what follows a cut sector cannot be told from it");
        assert_eq!(zeros(b"a\0\0\0\0\0\0\0\0b"), Some(8));
    }
}
