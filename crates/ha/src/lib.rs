//! Replication of the commit log from a master to its slaves, as state machines.
//!
//! [`MasterLink`] and [`SlaveLink`] are the two ends of one connection: they take bytes and the
//! time, and say what to write, to read from the log, to append to it, or to wait for. They own no
//! socket, no clock and no log. [`Replicas`] is what the master knows of all its slaves, and what
//! waiting sends are answered by. The bytes are in [`wire`].
//!
//! The slave appends whole, checked records only, each exactly where it stands in the master's
//! log: its log is a prefix of the master's or the link ends and says why.

mod master;
mod refill;
mod replicas;
mod slave;
mod trouble;
pub mod wire;

pub use master::{MasterAct, MasterLink, MasterRules};
pub use refill::RefillRule;
pub use replicas::{Acked, Copies, Progress, Replica, ReplicaView, Replicas, Twins};
pub use slave::{Piece, SlaveAct, SlaveLink, SlaveRules};
pub use trouble::Trouble;
pub use wire::Versions;

/// What a log holds: its first offset and the one after its last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub min: u64,
    pub end: u64,
}

/// Bytes at the end of a slave's log that the master compares with its own.
pub const TAIL_LEN: u64 = 64 << 10;

/// The number that two brokers compare for a stretch of log.
pub fn checksum(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}
