//! What can go wrong.

use std::path::PathBuf;

use skua_store::disk::DiskError;
use skua_store::{ReadError, ReplicateError};

/// The group's files do not let this member take part.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{0}")]
    Options(String),
    /// Votes or entries may be forgotten. Nothing is mended: empty the directory and let the
    /// member be filled by the others.
    #[error("{}: {cause}; this member could forget what it promised, so it does not start", path.display())]
    Broken { path: PathBuf, cause: String },
    #[error("the directory is that of {found}, not of {expected}")]
    OtherOwner { found: String, expected: String },
    #[error(transparent)]
    Log(#[from] ReplicateError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("raft: {0}")]
    Raft(#[from] raft::Error),
}

/// The member cannot go on; the process must end with this cause.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Log(#[from] ReplicateError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("raft: {0}")]
    Raft(#[from] raft::Error),
    #[error("{0}")]
    Broken(String),
}

/// Bytes of a peer that are no frame of this group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("frame of {0} bytes, {max} is the most", max = crate::FRAME_MAX)]
    TooLong(usize),
    #[error("frame is cut off or malformed: {0}")]
    Malformed(&'static str),
    #[error("frame has a wrong checksum")]
    Checksum,
    #[error("frame of version {0}, not of ours")]
    Version(u8),
    #[error("peer belongs to another group")]
    OtherGroup,
    #[error("peer says to be n{}, and is not", .0.wrapping_sub(1))]
    OtherSender(u64),
    #[error("frame is for n{}", .0.wrapping_sub(1))]
    OtherReceiver(u64),
    #[error("peer's log began elsewhere than ours: one of the two directories must be emptied")]
    OtherOrigin,
}

/// A change of the members, or of the leader, was not begun, unless it says so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    #[error("this broker is not the leader")]
    NotLeader,
    #[error("another change is under way")]
    Busy,
    #[error("n{} is not a member", .0.wrapping_sub(1))]
    Unknown(u64),
    #[error("n{} is a member already", .0.wrapping_sub(1))]
    Known(u64),
    #[error("n{peer} lags by {lag} bytes; wait until it has caught up", peer = .id.wrapping_sub(1))]
    Behind { id: u64, lag: u64 },
    #[error("the leader cannot remove itself; transfer the leadership before")]
    Leads,
    #[error("{0}")]
    Invalid(String),
    /// It was begun, and the leader ends of its disk: its followers may bring it about.
    #[error("the leader ends, and the change may come about all the same: {0}")]
    LeaderFails(String),
}
