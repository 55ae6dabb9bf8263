//! Who belongs to the group, and how that changes.

use std::collections::BTreeMap;

use raft::eraftpb::{ConfChange, ConfChangeType, ConfState};

use crate::error::FrameError;
use crate::options::{ADDRESS_MAX, PEERS_MAX, Peer, PeerId};
use crate::wire::{Reader, put_short};

/// Members as of an entry of the log. Nobody before the group has begun.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Members {
    pub voters: Vec<u64>,
    pub learners: Vec<u64>,
    pub addresses: BTreeMap<u64, String>,
}

impl Members {
    pub fn of(peers: &[Peer]) -> Self {
        let mut voters: Vec<_> = peers.iter().map(|peer| peer.id.0).collect();
        voters.sort_unstable();
        let addresses = peers.iter().map(|peer| (peer.id.0, peer.address.clone())).collect();
        Self { voters, learners: Vec::new(), addresses }
    }

    pub fn is_empty(&self) -> bool {
        self.voters.is_empty() && self.learners.is_empty()
    }

    pub fn ids(&self) -> impl Iterator<Item = u64> + '_ {
        self.voters.iter().chain(&self.learners).copied()
    }

    pub fn conf_state(&self) -> ConfState {
        ConfState::from((self.voters.clone(), self.learners.clone()))
    }

    /// After an applied change.
    pub fn set(&mut self, state: &ConfState, change: &Change) {
        self.voters = state.voters.clone();
        self.learners = state.learners.clone();
        self.voters.sort_unstable();
        self.learners.sort_unstable();
        if let Change::AddLearner(peer) = change {
            self.addresses.insert(peer.id.0, peer.address.clone());
        }
        let known: Vec<u64> = self.ids().collect();
        self.addresses.retain(|id, _| known.contains(id));
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.voters.len() as u8);
        out.push(self.learners.len() as u8);
        for id in self.ids() {
            out.extend(id.to_be_bytes());
            let address = self.addresses.get(&id).map_or("", String::as_str);
            put_short(out, address.as_bytes());
        }
    }

    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, FrameError> {
        let (voters, learners) = (usize::from(reader.u8()?), usize::from(reader.u8()?));
        if voters + learners > 2 * PEERS_MAX {
            return Err(FrameError::Malformed("too many members"));
        }
        let mut members = Self::default();
        for nth in 0..voters + learners {
            let id = reader.u64()?;
            let address = reader.string(ADDRESS_MAX)?;
            if id == 0 || members.addresses.insert(id, address).is_some() {
                return Err(FrameError::Malformed("a member is nobody, or there twice"));
            }
            let list = if nth < voters { &mut members.voters } else { &mut members.learners };
            list.push(id);
        }
        Ok(members)
    }
}

/// One change of the members. One at a time is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new member that gets the log and does not vote.
    AddLearner(Peer),
    /// A learner that has caught up votes from now on.
    Promote(PeerId),
    Remove(PeerId),
}

impl Change {
    pub(crate) fn id(&self) -> PeerId {
        match self {
            Self::AddLearner(peer) => peer.id,
            Self::Promote(id) | Self::Remove(id) => *id,
        }
    }

    pub(crate) fn to_raft(&self) -> ConfChange {
        let mut change = ConfChange::default();
        change.set_change_type(match self {
            Self::AddLearner(_) => ConfChangeType::AddLearnerNode,
            Self::Promote(_) => ConfChangeType::AddNode,
            Self::Remove(_) => ConfChangeType::RemoveNode,
        });
        change.node_id = self.id().0;
        change
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let (kind, address) = match self {
            Self::AddLearner(peer) => (1, peer.address.as_str()),
            Self::Promote(_) => (2, ""),
            Self::Remove(_) => (3, ""),
        };
        out.push(kind);
        out.extend(self.id().0.to_be_bytes());
        put_short(&mut out, address.as_bytes());
        out
    }

    /// Bytes of one at most.
    pub(crate) fn decode_max() -> usize {
        11 + ADDRESS_MAX
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let mut reader = Reader(bytes);
        let (kind, id) = (reader.u8()?, PeerId(reader.u64()?));
        let address = reader.string(ADDRESS_MAX)?;
        reader.end()?;
        match kind {
            _ if id.0 == 0 => Err(FrameError::Malformed("a change of nobody")),
            1 => Ok(Self::AddLearner(Peer { id, address })),
            2 => Ok(Self::Promote(id)),
            3 => Ok(Self::Remove(id)),
            _ => Err(FrameError::Malformed("unknown change")),
        }
    }
}
