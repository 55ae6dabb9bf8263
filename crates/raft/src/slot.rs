//! What the index holds of an entry.
//!
//! ```text
//! | 8 term | 8 physical offset | 4 length | 1 kind | 1 flags | 2 messages | 4 CRC of the entry |
//! | 4 CRC of index and all before |
//! ```
//! The entry's place is its index, so that a slot left from before never passes for another.

pub(crate) const SLOT_LEN: usize = 32;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A stretch of the commit log.
    Data,
    /// The first of a leader: nothing.
    Empty,
    /// A change of the members; its bytes are in `raft/conf`.
    Change,
}

impl Kind {
    pub fn code(self) -> u8 {
        match self {
            Self::Data => 1,
            Self::Empty => 2,
            Self::Change => 3,
        }
    }

    pub fn of(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Data),
            2 => Some(Self::Empty),
            3 => Some(Self::Change),
            _ => None,
        }
    }
}

/// The entry is the end of a commit-log file: only the filler's head travels.
pub(crate) const ROLL: u8 = 1;
/// Bytes of a filler's head.
pub(crate) const ROLL_LEN: usize = 8;

/// See the module's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub term: u64,
    pub at: u64,
    /// Of the commit log; 0 but for data.
    pub len: u32,
    pub kind: Kind,
    pub flags: u8,
    pub messages: u16,
    /// Of what travels.
    pub crc: u32,
}

impl Slot {
    pub fn end(&self) -> u64 {
        self.at + u64::from(self.len)
    }

    /// Bytes that travel.
    pub fn data_len(&self) -> usize {
        if self.flags & ROLL != 0 { ROLL_LEN } else { self.len as usize }
    }

    pub fn encode(&self, index: u64) -> [u8; SLOT_LEN] {
        let mut out = [0; SLOT_LEN];
        out[..8].copy_from_slice(&self.term.to_be_bytes());
        out[8..16].copy_from_slice(&self.at.to_be_bytes());
        out[16..20].copy_from_slice(&self.len.to_be_bytes());
        out[20] = self.kind.code();
        out[21] = self.flags;
        out[22..24].copy_from_slice(&self.messages.to_be_bytes());
        out[24..28].copy_from_slice(&self.crc.to_be_bytes());
        let crc = slot_crc(index, &out[..28]);
        out[28..].copy_from_slice(&crc.to_be_bytes());
        out
    }

    /// `None` if it is not the slot of `index`.
    pub fn decode(index: u64, bytes: &[u8; SLOT_LEN]) -> Option<Self> {
        let (content, crc) = bytes.split_at(28);
        if slot_crc(index, content).to_be_bytes() != crc {
            return None;
        }
        let u64_at = |at: usize| content[at..at + 8].try_into().map(u64::from_be_bytes).ok();
        let u32_at = |at: usize| content[at..at + 4].try_into().map(u32::from_be_bytes).ok();
        Some(Self {
            term: u64_at(0)?,
            at: u64_at(8)?,
            len: u32_at(16)?,
            kind: Kind::of(content[20])?,
            flags: content[21],
            messages: u16::from_be_bytes([content[22], content[23]]),
            crc: u32_at(24)?,
        })
    }
}

fn slot_crc(index: u64, content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&index.to_be_bytes());
    hasher.update(content);
    hasher.finalize()
}
