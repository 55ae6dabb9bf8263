//! The bytes of slots, units and the checkpoint, as RocketMQ writes them. All big-endian.

use skua_protocol::body::DataVersion;

use crate::disk::{DiskFile, DiskResult};

/// One slot of the wheel (Java: `Slot`).
///
/// ```text
/// | 8 time / precision | 8 position of the first unit | 8 of the last | 4 number | 4 unused |
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    /// In precisions since the epoch.
    pub tick: i64,
    pub first: i64,
    pub last: i64,
    /// Messages that wait here, less those that ask to have one deleted.
    pub count: i32,
    pub unused: i32,
}

pub(super) const SLOT_LEN: usize = 32;

impl Slot {
    pub fn encode(&self) -> [u8; SLOT_LEN] {
        let mut bytes = [0; SLOT_LEN];
        bytes[..8].copy_from_slice(&self.tick.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.first.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.last.to_be_bytes());
        bytes[24..28].copy_from_slice(&self.count.to_be_bytes());
        bytes[28..].copy_from_slice(&self.unused.to_be_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8; SLOT_LEN]) -> Self {
        Self {
            tick: int8(bytes, 0),
            first: int8(bytes, 8),
            last: int8(bytes, 16),
            count: int4(bytes, 24),
            unused: int4(bytes, 28),
        }
    }
}

/// One unit of the timer log (Java: `TimerLog`).
///
/// ```text
/// | 4 size, 52 | 8 position of the unit before in the slot, or -1 | 4 magic | 8 write time |
/// | 4 delay from then, ms | 8 physical offset | 4 message size | 4 hash of the real topic | 8 zero |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub before: i64,
    pub magic: i32,
    pub write_time: i64,
    pub delay: i32,
    pub physical_offset: u64,
    pub size: u32,
    pub topic_hash: i32,
}

pub(super) const UNIT_LEN: usize = 52;
/// No unit before.
pub(super) const NONE: i64 = -1;

/// Every unit has this bit.
pub(super) const MAGIC_DEFAULT: i32 = 1;
/// The message is due later than its slot: then it is stored anew for the rest of the time.
pub(super) const MAGIC_ROLL: i32 = 2;
/// The message asks to have another deleted.
pub(super) const MAGIC_DELETE: i32 = 4;

/// Fills the rest of a file.
pub(super) const BLANK_MAGIC: i32 = 0xBBCC_DDEE_u32 as i32 ^ (1_880_681_586 + 8);
/// Rest of the file, eight zeros, magic.
pub(super) const BLANK_LEN: usize = 16;

impl Unit {
    /// The time of its slot, but for rounding.
    pub fn time(&self) -> i64 {
        self.write_time.saturating_add(i64::from(self.delay))
    }

    pub fn rolls(&self) -> bool {
        self.magic & MAGIC_ROLL != 0
    }

    /// A request to delete that has come to its own slot.
    pub fn deletes(&self) -> bool {
        self.magic & MAGIC_DELETE != 0 && !self.rolls()
    }

    pub fn encode(&self) -> [u8; UNIT_LEN] {
        let mut bytes = [0; UNIT_LEN];
        bytes[..4].copy_from_slice(&(UNIT_LEN as u32).to_be_bytes());
        bytes[4..12].copy_from_slice(&self.before.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.magic.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.write_time.to_be_bytes());
        bytes[24..28].copy_from_slice(&self.delay.to_be_bytes());
        bytes[28..36].copy_from_slice(&self.physical_offset.to_be_bytes());
        bytes[36..40].copy_from_slice(&self.size.to_be_bytes());
        bytes[40..44].copy_from_slice(&self.topic_hash.to_be_bytes());
        bytes
    }
}

/// What stands at a place of the timer log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Unit(Unit),
    /// The file ends here.
    Blank,
    /// Nothing, or nothing right.
    Nothing,
}

impl Place {
    /// `bytes` are at `position`.
    pub fn decode(bytes: &[u8; UNIT_LEN], position: u64) -> Self {
        let unit = Unit {
            before: int8(bytes, 4),
            magic: int4(bytes, 12),
            write_time: int8(bytes, 16),
            delay: int4(bytes, 24),
            physical_offset: int8(bytes, 28) as u64,
            size: int4(bytes, 36) as u32,
            topic_hash: int4(bytes, 40),
        };
        if unit.magic == BLANK_MAGIC {
            return Self::Blank;
        }
        let is_right = int4(bytes, 0) == UNIT_LEN as i32
            && (1..16).contains(&unit.magic)
            && (NONE..position as i64).contains(&unit.before)
            && unit.write_time >= 0
            && i64::try_from(unit.physical_offset).is_ok()
            && (1..=i32::MAX as u32).contains(&unit.size);
        if is_right { Self::Unit(unit) } else { Self::Nothing }
    }
}

/// `config/timercheck` (Java: `TimerCheckpoint`): how far everything is durable. Slaves ask for
/// it by request 60.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimerCheckpoint {
    /// Slots of an earlier time have been delivered.
    pub last_read_time: i64,
    /// The timer log is durable before.
    pub log_flushed: i64,
    /// Messages of the timer topic's queue before are in the timer log, or delivered.
    pub queue_offset: i64,
    /// The same of the master.
    pub master_queue_offset: i64,
    pub version: DataVersion,
}

/// Bytes of the file; the content is shorter.
pub(super) const CHECKPOINT_FILE_LEN: usize = 4096;
const CHECKPOINT_LEN: usize = 56;
/// A copy of ours with its checksum, where Java has zeros.
const OWN_AT: usize = 64;

impl TimerCheckpoint {
    pub fn encode(&self) -> [u8; CHECKPOINT_LEN] {
        let fields = [
            self.last_read_time,
            self.log_flushed,
            self.queue_offset,
            self.master_queue_offset,
            self.version.state_version,
            self.version.timestamp,
            self.version.counter,
        ];
        let mut bytes = [0; CHECKPOINT_LEN];
        for (part, field) in bytes.chunks_exact_mut(8).zip(fields) {
            part.copy_from_slice(&field.to_be_bytes());
        }
        bytes
    }

    /// Writes it, ours first: whatever is cut short, one of the two is whole.
    pub(super) fn write(&self, file: &dyn DiskFile) -> DiskResult<()> {
        let bytes = self.encode();
        let mut own = bytes.to_vec();
        own.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
        file.write_at(&own, OWN_AT as u64)?;
        file.write_at(&bytes, 0)?;
        file.sync()
    }

    /// What the file says. Java leaves our copy behind and counts on; a write of ours that was
    /// cut short has a count less than the copy's.
    pub(super) fn read(file: &dyn DiskFile) -> DiskResult<Self> {
        let mut bytes = [0; OWN_AT + CHECKPOINT_LEN + 4];
        file.read_at(&mut bytes, 0)?;
        let found = Self::decode(&bytes[..CHECKPOINT_LEN]);
        let (own, crc) = bytes[OWN_AT..].split_at(CHECKPOINT_LEN);
        let copy = Self::decode(own);
        let is_whole = crc == crc32fast::hash(own).to_be_bytes();
        Ok(if is_whole && found.version.counter < copy.version.counter { copy } else { found })
    }

    /// Files of old versions end before the data version; what is missing is zero.
    pub fn decode(bytes: &[u8]) -> Self {
        let mut whole = [0; CHECKPOINT_LEN];
        let len = bytes.len().min(CHECKPOINT_LEN);
        whole[..len].copy_from_slice(&bytes[..len]);
        let [
            last_read_time,
            log_flushed,
            queue_offset,
            master_queue_offset,
            state_version,
            timestamp,
            counter,
        ] = [0, 8, 16, 24, 32, 40, 48].map(|at| int8(&whole, at));
        Self {
            last_read_time,
            log_flushed,
            queue_offset,
            master_queue_offset,
            version: DataVersion { state_version, timestamp, counter },
        }
    }
}

// The callers' arrays are longer than what is read.

fn int4(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(bytes[at..at + 4].try_into().expect("the range has four bytes"))
}

fn int8(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(bytes[at..at + 8].try_into().expect("the range has eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_units_and_checkpoints_read_as_they_were_written() {
        let slot = Slot { tick: 1_795_465_304, first: 0, last: 104, count: -1, unused: 7 };
        assert_eq!(Slot::decode(&slot.encode()), slot);
        let unit = Unit {
            before: 52,
            magic: MAGIC_DEFAULT | MAGIC_ROLL,
            write_time: 1_795_465_301_000,
            delay: 86_400_000,
            physical_offset: 223_112,
            size: 366,
            topic_hash: -5,
        };
        assert_eq!(Place::decode(&unit.encode(), 104), Place::Unit(unit));
        assert_eq!(Place::decode(&unit.encode(), 52), Place::Nothing, "a loop");
        assert_eq!(Place::decode(&[0; UNIT_LEN], 0), Place::Nothing);
        let checkpoint = TimerCheckpoint {
            last_read_time: 1,
            log_flushed: 2,
            queue_offset: 3,
            master_queue_offset: 4,
            version: DataVersion { state_version: 5, timestamp: 6, counter: 7 },
        };
        assert_eq!(TimerCheckpoint::decode(&checkpoint.encode()), checkpoint);
        let old = TimerCheckpoint::decode(&checkpoint.encode()[..32]);
        assert_eq!((old.master_queue_offset, old.version.counter), (4, 0));
    }
}
