//! What stands where in an index file, and how keys are hashed.
//!
//! ```text
//! | 8 first time | 8 last time | 8 first offset | 8 last offset | 4 slots used | 4 count |
//! | 4 per slot: its newest entry, 0 for none |
//! | 20 per entry: 4 hash | 8 physical offset | 4 seconds since the first time | 4 older entry |
//! ```
//! Big-endian (Java: `IndexHeader`, `IndexFile`). Entry 0 is never used, so a count of 1 is an
//! empty file. Times are store times of messages in milliseconds.

use skua_protocol::Millis;

pub(crate) const HEADER_LEN: usize = 8 * 4 + 4 * 2;
pub(crate) const SLOT_LEN: u64 = 4;
pub(crate) const ENTRY_LEN: usize = 4 + 8 + 4 + 4;

/// How large the files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub slots: u32,
    pub entries: u32,
}

impl Layout {
    pub(crate) fn file_size(self) -> u64 {
        self.entry_at(self.entries)
    }

    pub(crate) fn slot_at(self, slot: u32) -> u64 {
        HEADER_LEN as u64 + u64::from(slot) * SLOT_LEN
    }

    pub(crate) fn entry_at(self, number: u32) -> u64 {
        self.slot_at(self.slots) + u64::from(number) * ENTRY_LEN as u64
    }

    pub(crate) fn slot_of(self, hash: u32) -> u32 {
        hash % self.slots
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    pub first_time: u64,
    pub last_time: u64,
    pub first_offset: u64,
    pub last_offset: u64,
    pub used_slots: u32,
    pub count: u32,
}

impl Header {
    /// Of a new file: it takes over the end of the one before (Java: the same).
    pub(crate) fn after(last: Option<&Self>) -> Self {
        let (time, offset) = last.map_or((0, 0), |last| (last.last_time, last.last_offset));
        Self {
            first_time: time,
            last_time: time,
            first_offset: offset,
            last_offset: offset,
            used_slots: 0,
            count: 1,
        }
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let longs = [self.first_time, self.last_time, self.first_offset, self.last_offset];
        for (place, long) in bytes.chunks_exact_mut(8).zip(longs) {
            place.copy_from_slice(&long.to_be_bytes());
        }
        bytes[32..36].copy_from_slice(&self.used_slots.to_be_bytes());
        bytes[36..].copy_from_slice(&self.count.to_be_bytes());
        bytes
    }

    /// Numbers below zero, which Java never writes, count as 0.
    pub(crate) fn decode(bytes: &[u8; HEADER_LEN]) -> Self {
        let (longs, ints) = bytes.split_at(32);
        let (longs, _) = longs.as_chunks::<8>();
        let (ints, _) = ints.as_chunks::<4>();
        let long = |nth: usize| u64::try_from(i64::from_be_bytes(longs[nth])).unwrap_or(0);
        let int = |nth: usize| u32::try_from(i32::from_be_bytes(ints[nth])).unwrap_or(0);
        Self {
            first_time: long(0),
            last_time: long(1),
            first_offset: long(2),
            last_offset: long(3),
            used_slots: int(0),
            count: int(1).max(1),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count <= 1
    }

    /// Tells this header from any other, as the checkpoint notes it; never 0.
    pub(crate) fn fingerprint(&self) -> u64 {
        u64::from(crc32fast::hash(&self.encode())) | 1 << 32
    }

    /// What an entry keeps of a message's store time (Java: `IndexFile.putKey`).
    pub(crate) fn seconds(&self, time: u64) -> u32 {
        match self.first_time {
            0 => 0,
            first => (time.saturating_sub(first) / 1000).min(i32::MAX as u64) as u32,
        }
    }

    /// Counts one more entry in.
    pub(crate) fn note(&mut self, offset: u64, time: u64) {
        if self.is_empty() {
            self.first_offset = offset;
            self.first_time = time;
        }
        self.last_offset = offset;
        self.last_time = time;
        self.count += 1;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub hash: u32,
    pub offset: u64,
    pub seconds: u32,
    /// The next older entry of the slot; 0 for none.
    pub older: u32,
}

impl Entry {
    pub(crate) fn encode(&self) -> [u8; ENTRY_LEN] {
        let mut bytes = [0; ENTRY_LEN];
        bytes[..4].copy_from_slice(&self.hash.to_be_bytes());
        bytes[4..12].copy_from_slice(&self.offset.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.seconds.to_be_bytes());
        bytes[16..].copy_from_slice(&self.older.to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; ENTRY_LEN]) -> Self {
        let (ints, _) = bytes.as_chunks::<4>();
        let int = |nth: usize| u32::from_be_bytes(ints[nth]);
        let offset = u64::from(int(1)) << 32 | u64::from(int(2));
        Self { hash: int(0), offset, seconds: int(3), older: int(4) }
    }
}

/// Java's `String.hashCode` of a text that goes on after what hashes to `before`.
pub(crate) fn hash_on(before: i32, text: &str) -> i32 {
    /// Units taken at once, since each step by itself waits for the one before.
    const UNITS: usize = 8;
    /// 31 to the power of the place's distance from the end.
    const POWERS: [i32; UNITS + 1] = {
        let mut powers = [1_i32; UNITS + 1];
        let mut at = UNITS;
        while at > 0 {
            powers[at - 1] = powers[at].wrapping_mul(31);
            at -= 1;
        }
        powers
    };
    let step = |hash: i32, unit: u16| hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    if !text.is_ascii() {
        return text.encode_utf16().fold(before, step);
    }
    let (chunks, rest) = text.as_bytes().as_chunks::<UNITS>();
    let hash = chunks.iter().fold(before, |hash, units| {
        let terms = units
            .iter()
            .zip(&POWERS[1..])
            .map(|(unit, power)| i32::from(*unit).wrapping_mul(*power));
        terms.fold(hash.wrapping_mul(POWERS[0]), i32::wrapping_add)
    });
    rest.iter().fold(hash, |hash, byte| step(hash, u16::from(*byte)))
}

/// A Java hash as it stands in an entry: never below zero.
pub(crate) fn entry_hash(hash: i32) -> u32 {
    u32::try_from(hash.wrapping_abs()).unwrap_or(0)
}

/// A file's name by the time of its making, as a number: `yyyyMMddHHmmssSSS`.
///
/// In UTC where Java takes local time: names only tell which file is newer, and local time goes
/// back an hour every autumn.
pub(crate) fn name_at(now: Millis) -> u64 {
    let millis = now.0.max(0) as u64;
    let (days, in_day) = (millis / 86_400_000, millis % 86_400_000);
    // Days since 0000-03-01 to a date: years of 365.2425 days begin in March.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
    let (second, milli) = (in_day / 1000 % 60, in_day % 1000);
    let date = (year * 100 + month) * 100 + day;
    (((date * 100 + hour) * 100 + minute) * 100 + second) * 1000 + milli
}

/// The number that a file's name is, if it is one of an index file.
pub(crate) fn name_of(text: &str) -> Option<u64> {
    (text.len() == 17 && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}
