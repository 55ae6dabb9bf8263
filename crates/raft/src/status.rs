//! How a member stands, for operators.

use skua_protocol::PhysicalOffset;

use crate::group::Role;
use crate::options::PeerId;

/// A member as another sees it, or itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    pub id: PeerId,
    pub address: String,
    pub votes: bool,
    /// Milliseconds since a frame of it came; `None` if never, and for oneself.
    pub heard_ms: Option<u64>,
    /// As the leader knows it: the last entry it surely has, and bytes of log behind that.
    pub matched: Option<u64>,
    pub lag: Option<u64>,
    /// It is being filled with a copy of the log.
    pub copies: bool,
}

/// See each field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub group: String,
    pub id: PeerId,
    pub role: Role,
    pub term: u64,
    pub leader: Option<PeerId>,
    /// For whom it voted in the term.
    pub vote: Option<PeerId>,
    /// Entries: the first that is there, the last, the last that is agreed on.
    pub first: u64,
    pub last: u64,
    pub committed: u64,
    pub confirmed: PhysicalOffset,
    pub peers: Vec<PeerStatus>,
    /// The group has its members, or waits to hear from them.
    pub begun: bool,
    /// It does not vote until it knows that it has forgotten nothing.
    pub suspect: bool,
    /// It is being filled: bytes there, and bytes wanted.
    pub copying: Option<(u64, u64)>,
    /// The disk is full, and entries wait for space.
    pub stalled: bool,
    /// The leadership is being handed to that member.
    pub transferring: Option<PeerId>,
    /// This member was removed from the group, as that one says: it takes part no more.
    pub put_out: Option<PeerId>,
    /// What is wrong with peers, by peer.
    pub troubles: Vec<(PeerId, String)>,
}
