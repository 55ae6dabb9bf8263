//! The Raft log as the library sees it: entries are stretches of the commit log.

use std::sync::{Arc, Mutex, MutexGuard};

use raft::eraftpb::{Entry, EntryType, Snapshot};
use raft::{GetEntriesContext, RaftState, Storage, StorageError};
use skua_protocol::PhysicalOffset;
use skua_store::Store;
use skua_store::disk::DiskResult;

use crate::changes::Changes;
use crate::cold::{ColdReads, For};
use crate::dirty::lock;
use crate::error::{FrameError, GroupError};
use crate::index::Index;
use crate::members::Change;
use crate::slot::{Kind, Slot};
use crate::state::{State, StateFile};
use crate::wire::Reader;

/// What stands beside a data entry's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub at: u64,
    pub len: u32,
    pub flags: u8,
    pub messages: u16,
    pub crc: u32,
}

pub(crate) const PLACE_LEN: usize = 19;

impl Place {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(PLACE_LEN);
        out.extend(self.at.to_be_bytes());
        out.extend(self.len.to_be_bytes());
        out.push(self.flags);
        out.extend(self.messages.to_be_bytes());
        out.extend(self.crc.to_be_bytes());
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let mut reader = Reader(bytes);
        let place = Self {
            at: reader.u64()?,
            len: reader.u32()?,
            flags: reader.u8()?,
            messages: reader.u16()?,
            crc: reader.u32()?,
        };
        reader.end()?;
        Ok(place)
    }
}

/// An entry's kind, as the library tells them apart.
pub(crate) fn kind_of(entry: &Entry) -> Kind {
    match entry.get_entry_type() {
        EntryType::EntryNormal if entry.context.is_empty() => Kind::Empty,
        EntryType::EntryNormal => Kind::Data,
        EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => Kind::Change,
    }
}

/// Everything of the group that is on disk.
#[derive(Debug)]
pub(crate) struct GroupLog {
    pub store: Arc<Store>,
    pub index: Index,
    pub changes: Changes,
    pub state: State,
    pub state_file: StateFile,
    /// The newest entry whose effect is there, and which the state's members include.
    pub applied: u64,
    pub cold: ColdReads,
}

impl GroupLog {
    /// Writes the state; `durably` if something is promised with it.
    pub fn save(&mut self, durably: bool) -> DiskResult<()> {
        self.state_file.write(&self.state, durably)
    }

    /// Whether this member has everything that it ever acknowledged and that counts.
    pub fn is_whole(&self) -> bool {
        !self.state.copying && !self.state.suspect && self.applied >= self.state.floor.0
    }

    /// The slot of an entry that follows the last one.
    pub fn slot_for(&self, entry: &Entry) -> Result<Slot, GroupError> {
        let (term, end) = (entry.term, self.index.end());
        let kind = kind_of(entry);
        let (mut len, mut flags, mut messages, mut crc) = (0, 0, 0, crc32fast::hash(&[]));
        match kind {
            Kind::Data => {
                let place = Place::decode(&entry.context).map_err(broken)?;
                if place.at != end {
                    return Err(GroupError::Broken(format!(
                        "entry {} lies at {} of the commit log, the one before ends at {end}",
                        entry.index, place.at
                    )));
                }
                (len, flags, messages, crc) = (place.len, place.flags, place.messages, place.crc);
            }
            Kind::Change => crc = crc32fast::hash(&entry.context),
            Kind::Empty => {}
        }
        Ok(Slot { term, at: end, len, kind, flags, messages, crc })
    }

    /// The entry at `index`, with its bytes of the commit log if they are wanted; `None` if the
    /// disk must be waited for.
    fn entry(&self, index: u64, slot: &Slot, with_data: bool) -> Result<Option<Entry>, GroupError> {
        let mut entry = Entry { index, term: slot.term, ..Entry::default() };
        match slot.kind {
            Kind::Empty => {}
            Kind::Data => {
                let Slot { at, len, flags, messages, crc, .. } = *slot;
                entry.context = Place { at, len, flags, messages, crc }.encode().into();
                if with_data {
                    let Some(bytes) = self.bytes_now(at, slot.data_len())? else {
                        return Ok(None);
                    };
                    // Copied: what lies in the log can be taken back while it is under way.
                    entry.data = bytes.to_vec().into();
                }
            }
            Kind::Change => {
                entry.set_entry_type(EntryType::EntryConfChange);
                let change = self.changes.get(index, slot.term);
                let change = change.ok_or_else(|| {
                    GroupError::Broken(format!("the change of entry {index} is not in raft/conf"))
                })?;
                entry.context = change.to_vec().into();
            }
        }
        Ok(Some(entry))
    }

    /// Bytes of the log; `None` if they are on the disk alone, and nobody has read them lately.
    pub fn bytes_now(&self, at: u64, len: usize) -> Result<Option<bytes::Bytes>, GroupError> {
        let from = PhysicalOffset(at);
        if let Some(bytes) = self.store.log_bytes_now(from, len)? {
            return Ok(Some(bytes));
        }
        match self.cold.is_warm(&(at..at + len as u64)) {
            true => Ok(Some(self.store.log_bytes(from, len)?)),
            false => Ok(None),
        }
    }

    fn entries(
        &mut self,
        low: u64,
        high: u64,
        max: u64,
        context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        // Whoever does not send them looks at kinds and terms alone.
        let with_data = context.can_async();
        if low < self.index.first() {
            return Err(StorageError::Compacted.into());
        }
        if high > self.index.last() + 1 {
            return Err(StorageError::Unavailable.into());
        }
        let mut entries = Vec::new();
        let mut bytes = 0_u64;
        for index in low..high {
            let slot = self.index.slot(index).map_err(other)?;
            let slot = slot.ok_or(StorageError::Unavailable)?;
            bytes += crate::log::PLACE_LEN as u64 + slot.data_len() as u64;
            if bytes > max && !entries.is_empty() {
                break;
            }
            match self.entry(index, &slot, with_data) {
                Ok(Some(entry)) => entries.push(entry),
                Ok(None) if !entries.is_empty() => break,
                Ok(None) => {
                    let least = slot.at + slot.data_len() as u64;
                    let most = slot.at.saturating_add(max).min(self.index.end());
                    self.cold.want(slot.at..most.max(least), For::Entries(context));
                    return Err(StorageError::LogTemporarilyUnavailable.into());
                }
                // It expired in this moment.
                Err(GroupError::Read(skua_store::ReadError::NotThere { from, min, .. }))
                    if from < min =>
                {
                    return Err(StorageError::Compacted.into());
                }
                Err(cause) => return Err(other(cause)),
            }
        }
        Ok(entries)
    }

    /// The change of the members at `index`.
    pub fn change(&self, entry: &Entry) -> Result<Change, GroupError> {
        Change::decode(&entry.context).map_err(broken)
    }
}

pub(crate) fn broken(cause: FrameError) -> GroupError {
    GroupError::Broken(cause.to_string())
}

fn other(cause: impl std::error::Error + Send + Sync + 'static) -> raft::Error {
    StorageError::Other(Box::new(cause)).into()
}

/// The library's handle on the log.
#[derive(Clone, Debug)]
pub(crate) struct SharedLog(pub Arc<Mutex<GroupLog>>);

impl SharedLog {
    pub fn lock(&self) -> MutexGuard<'_, GroupLog> {
        lock(&self.0)
    }
}

impl Storage for SharedLog {
    fn initial_state(&self) -> raft::Result<RaftState> {
        let log = self.lock();
        let hard_state = raft::eraftpb::HardState {
            term: log.state.term,
            vote: log.state.vote,
            commit: log.applied,
            ..Default::default()
        };
        Ok(RaftState { hard_state, conf_state: log.state.members.conf_state() })
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        let max = max_size.into().unwrap_or(u64::MAX);
        self.lock().entries(low, high, max, context)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        let log = self.lock();
        if index < log.index.base().index {
            return Err(StorageError::Compacted.into());
        }
        log.index.term(index).map_err(other)?.ok_or_else(|| StorageError::Unavailable.into())
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.lock().index.first())
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.lock().index.last())
    }

    /// Only where the log stands; its bytes are copied besides.
    fn snapshot(&self, _request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        let log = self.lock();
        let mut snapshot = Snapshot::default();
        let index = log.applied;
        let term = log.index.term(index).map_err(other)?.ok_or(StorageError::Unavailable)?;
        let metadata = snapshot.mut_metadata();
        metadata.index = index;
        metadata.term = term;
        metadata.set_conf_state(log.state.members.conf_state());
        Ok(snapshot)
    }
}
