//! One entry of a consume queue.
//!
//! ```text
//! | 8 physical offset | 4 size | 8 tags code |
//! ```
//! Big-endian (Java: `ConsumeQueue`). The tags code is the Java hash of the tags, 0 for none; in
//! `SCHEDULE_TOPIC_XXXX` it is the deliver time. Below all 32-bit hashes it is an address in the
//! queue's extension file.

use skua_protocol::{PhysicalOffset, QueueOffset};

/// Bytes of an entry on disk.
pub(crate) const ENTRY_LEN: usize = 20;
/// Size in entries that stand for queue offsets before the queue's first message.
const BLANK_SIZE: i32 = i32::MAX;

/// One message of a queue, as a read meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub queue_offset: QueueOffset,
    pub physical_offset: PhysicalOffset,
    /// Bytes of the record.
    pub size: u32,
    /// Hash of the tags, 0 for none; the deliver time in `SCHEDULE_TOPIC_XXXX`.
    pub tags_code: i64,
    /// Messages in the record: their queue offsets follow one another from `queue_offset` on.
    pub messages: u16,
}

/// An entry without its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub physical_offset: u64,
    pub size: i32,
    pub tags_code: i64,
}

impl Slot {
    pub(crate) const BLANK: Self = Self { physical_offset: 0, size: BLANK_SIZE, tags_code: 0 };

    pub(crate) fn encode(&self) -> [u8; ENTRY_LEN] {
        let mut bytes = [0; ENTRY_LEN];
        bytes[..8].copy_from_slice(&self.physical_offset.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.size.to_be_bytes());
        bytes[12..].copy_from_slice(&self.tags_code.to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; ENTRY_LEN]) -> Self {
        let [p0, p1, p2, p3, p4, p5, p6, p7, s0, s1, s2, s3, tags @ ..] = *bytes;
        Self {
            physical_offset: u64::from_be_bytes([p0, p1, p2, p3, p4, p5, p6, p7]),
            size: i32::from_be_bytes([s0, s1, s2, s3]),
            tags_code: i64::from_be_bytes(tags),
        }
    }

    /// Something was written here, be it a blank.
    pub(crate) fn is_written(&self) -> bool {
        self.size > 0 && self.physical_offset <= i64::MAX as u64
    }

    pub(crate) fn is_blank(&self) -> bool {
        self.size == BLANK_SIZE
    }

    /// First offset behind the record.
    pub(crate) fn end(&self) -> u64 {
        self.physical_offset + self.size.max(0) as u64
    }

    pub(crate) fn at(&self, queue_offset: u64) -> Entry {
        Entry {
            queue_offset: QueueOffset(queue_offset),
            physical_offset: PhysicalOffset(self.physical_offset),
            size: self.size.max(0) as u32,
            tags_code: self.tags_code,
            messages: 1,
        }
    }
}

impl Entry {
    /// The tags code is an address in an extension file, and the tags are known from the record
    /// only (Java: `ConsumeQueueExt.isExtAddr`).
    pub(crate) fn has_extension(&self) -> bool {
        self.tags_code < i64::from(i32::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_the_bytes_of_a_java_broker() {
        let slot = Slot { physical_offset: 92080, size: 258, tags_code: -1 };
        let bytes =
            [0, 0, 0, 0, 0, 1, 0x67, 0xb0, 0, 0, 1, 2, 255, 255, 255, 255, 255, 255, 255, 255];
        assert_eq!(slot.encode(), bytes);
        assert_eq!(Slot::decode(&bytes), slot);
    }

    #[test]
    fn zeros_and_negative_offsets_are_not_written_entries() {
        assert!(!Slot::decode(&[0; ENTRY_LEN]).is_written());
        assert!(!Slot::decode(&[255; ENTRY_LEN]).is_written());
        assert!(Slot::BLANK.is_written() && Slot::BLANK.is_blank());
    }
}
