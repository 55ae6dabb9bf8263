//! What a group is told.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::error::OpenError;

/// A member of the group, the number of `dLegerSelfId` plus one: 0 is nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u64);

/// `n0-host:port` of `dLegerPeers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub id: PeerId,
    pub address: String,
}

/// Members of a group at most.
pub const PEERS_MAX: usize = 9;
/// Bytes of a member's address at most.
pub const ADDRESS_MAX: usize = 255;

/// See each field. Times are milliseconds.
#[derive(Clone, Debug)]
pub struct GroupOptions {
    /// The store's root; the group's files are under `raft/` there.
    pub root: PathBuf,
    /// `dLegerGroup`.
    pub group: String,
    /// `dLegerSelfId`.
    pub id: PeerId,
    /// `dLegerPeers`: the members when the group begins. Later changes are in the files.
    pub peers: Vec<Peer>,
    /// SYNC_FLUSH: nothing is acknowledged that is not on the disk here.
    pub sync: bool,
    /// Another one after each start of the machine: the page cache is gone.
    pub boot: [u8; 16],
    /// Seed of the election timeouts.
    pub seed: u64,
    /// How often [`Group::tick`](crate::Group::tick) is called.
    pub tick_ms: u64,
    pub heartbeat_ticks: usize,
    /// Least ticks without a leader until an election; the most is twice that.
    pub election_ticks: usize,
    /// How long a member that may have forgotten something, or that begins the group without
    /// having heard everybody, waits for a leader.
    pub hold_ms: u64,
    /// Bytes of log in one entry, unless one record is longer.
    pub entry_bytes: usize,
    /// Bytes of entries in one message.
    pub message_bytes: usize,
    /// Messages with entries under way to a peer.
    pub window: usize,
    /// Entries that are not agreed on, until no more are proposed unless they are full: what is
    /// appended meanwhile makes one entry. More of them would be smaller, and cost more.
    pub rounds: u64,
    /// Bytes of entries that are not agreed on, until no more are proposed.
    pub uncommitted_bytes: u64,
    /// Entries in one file of the index.
    pub index_file_slots: u64,
    /// A panic of the library ends the process at once; tests would rather see it.
    pub abort_on_panic: bool,
}

impl GroupOptions {
    pub fn new(root: impl Into<PathBuf>, group: &str, id: PeerId, peers: Vec<Peer>) -> Self {
        Self {
            root: root.into(),
            group: group.to_owned(),
            id,
            peers,
            sync: false,
            boot: [0; 16],
            seed: id.0,
            tick_ms: 25,
            heartbeat_ticks: 2,
            election_ticks: 12,
            hold_ms: 10_000,
            entry_bytes: 1 << 20,
            message_bytes: 4 << 20,
            window: 64,
            rounds: 4,
            uncommitted_bytes: 128 << 20,
            index_file_slots: 1 << 20,
            abort_on_panic: true,
        }
    }

    pub(crate) fn check(&self) -> Result<(), OpenError> {
        let wrong = |cause: String| Err(OpenError::Options(cause));
        if self.peers.len() > PEERS_MAX {
            return wrong(format!("{} peers, {PEERS_MAX} is the most", self.peers.len()));
        }
        let mut ids = BTreeSet::new();
        for Peer { id, address } in &self.peers {
            if id.0 == 0 || address.is_empty() || address.len() > ADDRESS_MAX {
                return wrong(format!("peer {} has the address {address:?}", id.0));
            }
            if !ids.insert(*id) {
                return wrong(format!("two peers have the id n{}", id.0 - 1));
            }
        }
        if !ids.contains(&self.id) {
            return wrong(format!("n{} is not among the peers", self.id.0.wrapping_sub(1)));
        }
        if self.index_file_slots == 0 || self.tick_ms == 0 || self.entry_bytes == 0 {
            return wrong("a length or time is 0".to_owned());
        }
        if self.heartbeat_ticks == 0 || self.election_ticks <= self.heartbeat_ticks {
            return wrong("an election must take longer than a heartbeat".to_owned());
        }
        Ok(())
    }

    /// Tells groups apart.
    pub(crate) fn group_hash(&self) -> u64 {
        hash(&[self.group.as_bytes()])
    }

    /// Tells lists of members apart.
    pub(crate) fn peers_hash(&self) -> u64 {
        let mut peers: Vec<_> = self.peers.iter().collect();
        peers.sort_by_key(|peer| peer.id);
        let ids: Vec<_> = peers.iter().map(|peer| peer.id.0.to_be_bytes()).collect();
        let both = ids.iter().zip(&peers);
        let parts: Vec<&[u8]> =
            both.flat_map(|(id, peer)| [&id[..], peer.address.as_bytes()]).collect();
        hash(&parts)
    }
}

/// FNV-1a of the parts and their lengths.
pub(crate) fn hash(parts: &[&[u8]]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    for part in parts {
        (part.len() as u64).to_be_bytes().into_iter().for_each(&mut add);
        part.iter().copied().for_each(&mut add);
    }
    hash
}
