//! What the library wants, in the order in which it must be done: promises to the disk before
//! anything that gives them away, bytes before slots, both before an acknowledgement.

use std::collections::VecDeque;

use raft::Ready;
use raft::eraftpb::{Entry, Message, MessageType, Snapshot};
use skua_protocol::PhysicalOffset;
use skua_store::ReplicateError;

use super::{Effect, Group, Write};
use crate::cut;
use crate::error::GroupError;
use crate::index::Base;
use crate::log::kind_of;
use crate::slot::Kind;

/// A wish whose entries are not all written yet.
#[derive(Debug)]
pub(super) struct Pending {
    ready: Ready,
    entries: VecDeque<Entry>,
    /// The entry that a copied log ends with, or 0.
    installed: u64,
    wrote: bool,
}

impl Group {
    /// Takes the library's next wish; false if it has to wait for space.
    pub(super) fn handle_ready(&mut self) -> Result<bool, GroupError> {
        let mut ready = self.node.ready();
        if let Some(hard) = ready.hs() {
            let mut log = self.log.lock();
            if (hard.term, hard.vote) != (log.state.term, log.state.vote) {
                (log.state.term, log.state.vote) = (hard.term, hard.vote);
                log.save(true)?;
            }
        }
        let messages = ready.take_messages();
        self.send_all(messages);
        let snapshot = ready.snapshot().clone();
        if !snapshot.is_empty() {
            self.install(&snapshot)?;
            // Everything is durable; syncs under way are of entries that are gone.
            self.writes.clear();
        }
        let installed = snapshot.get_metadata().index;
        let entries = VecDeque::from(ready.take_entries());
        self.pending = Some(Pending { ready, entries, installed, wrote: false });
        self.finish_pending()
    }

    /// Goes on with the wish; false if it has to wait for space.
    pub(super) fn finish_pending(&mut self) -> Result<bool, GroupError> {
        let Some(mut pending) = self.pending.take() else { return Ok(true) };
        while let Some(entry) = pending.entries.front() {
            match self.write_entry(entry) {
                Ok(()) => {}
                Err(cause) if is_full(&cause) => {
                    tracing::warn!(%cause, "entries of the group wait for space");
                    self.pending = Some(pending);
                    return Ok(false);
                }
                Err(cause) => return Err(cause),
            }
            pending.wrote = true;
            pending.entries.pop_front();
        }
        let Pending { mut ready, wrote, installed, .. } = pending;
        let committed = ready.take_committed_entries();
        let answers = ready.take_read_states();
        // Signs of life do not wait for a slow disk: they acknowledge nothing.
        let is_sign =
            |message: &Message| message.get_msg_type() == MessageType::MsgHeartbeatResponse;
        let (signs, persisted) =
            ready.take_persisted_messages().into_iter().partition::<Vec<_>, _>(is_sign);
        self.send_all(signs);
        let number = ready.number();
        self.node.advance_append_async(ready);
        self.apply(&committed)?;
        self.take_answers(&answers);
        // No acknowledgement or vote overtakes a sync that is under way.
        if self.options.sync && (wrote || !self.writes.is_empty()) {
            let write = Write { number: self.next_sync, ready: number, messages: persisted };
            self.effects.push_back(Effect::Sync { number: self.next_sync });
            self.next_sync += 1;
            self.writes.push_back(write);
        } else {
            self.node.on_persist_ready(number);
            if installed > 0 {
                self.node.advance_apply_to(installed);
            }
            self.send_all(persisted);
        }
        Ok(true)
    }

    fn write_entry(&mut self, entry: &Entry) -> Result<(), GroupError> {
        let leads = self.leading.is_some();
        let mut log = self.log.lock();
        if entry.index <= log.index.last() {
            if entry.index <= log.applied {
                return Err(GroupError::Broken(format!(
                    "entry {} of the leader is another than the one agreed on; applied {}",
                    entry.index, log.applied
                )));
            }
            log.index.truncate(entry.index)?;
        }
        log.index.make_room()?;
        let slot = log.slot_for(entry)?;
        if !leads {
            self.end_log_at(slot.at)?;
        }
        if log.state.copying {
            // The leader has the entries; the copy is of no use any more.
            log.state.copying = false;
            log.save(true)?;
        }
        match kind_of(entry) {
            Kind::Empty => {}
            Kind::Change => {
                let change = log.change(entry)?;
                let first = log.index.first();
                log.changes.put(entry.index, entry.term, &change, first)?;
            }
            Kind::Data if leads => {
                let end = self.store.appended().0;
                if slot.end() > end {
                    return Err(GroupError::Broken(format!(
                        "entry {} ends at {}, the commit log at {end}",
                        entry.index,
                        slot.end()
                    )));
                }
            }
            Kind::Data => {
                let file = self.store.commit_log_file_size();
                let fits = u64::from(slot.len) <= file - slot.at % file;
                if !fits || entry.data.len() != slot.data_len() {
                    let cause = format!("entry {} reaches into the next file", entry.index);
                    return Err(GroupError::Broken(cause));
                }
                let bytes = cut::whole(slot.len, slot.flags, &entry.data);
                self.store.append_copy(PhysicalOffset(slot.at), &bytes)?;
            }
        }
        log.index.push(slot)?;
        Ok(())
    }

    /// The next entry belongs at `at`: what is there is in conflict with it, or a copy.
    fn end_log_at(&self, at: u64) -> Result<(), GroupError> {
        let at = PhysicalOffset(at);
        if self.store.appended() == at {
            return Ok(());
        }
        if at < self.store.appended() && at >= self.store.confirmed() {
            self.store.truncate_to(at)?;
        } else {
            self.store.begin_anew(at, &[])?;
        }
        Ok(())
    }

    /// What is agreed on takes effect.
    fn apply(&mut self, entries: &[Entry]) -> Result<(), GroupError> {
        for entry in entries.iter().filter(|entry| kind_of(entry) == Kind::Change) {
            let (change, is_known) = {
                let log = self.log.lock();
                (log.change(entry)?, entry.index <= log.state.members_at)
            };
            if is_known {
                continue;
            }
            let conf_state = self.node.apply_conf_change(&change.to_raft())?;
            let mut log = self.log.lock();
            log.state.members.set(&conf_state, &change);
            log.state.members_at = entry.index;
            // Before anything that is behind it counts as agreed on.
            log.save(true)?;
            tracing::info!(?change, "the group's members have changed");
        }
        let Some(last) = entries.last() else { return Ok(()) };
        let end = {
            let mut log = self.log.lock();
            log.applied = last.index;
            log.index.end_of(last.index)?.unwrap_or(0)
        };
        self.node.advance_apply_to(last.index);
        self.confirm(end);
        Ok(())
    }

    fn confirm(&mut self, end: u64) {
        if end > self.store.confirmed().0 {
            self.store.confirm(PhysicalOffset(end));
            self.effects.push_back(Effect::Committed(PhysicalOffset(end)));
        }
    }

    /// The log's bytes are copied; from now on the entries behind them are this member's.
    fn install(&mut self, snapshot: &Snapshot) -> Result<(), GroupError> {
        let metadata = snapshot.get_metadata();
        let copying = self.copying.take();
        let offer = copying.map(|copying| copying.offer);
        let fits = |offer: &crate::frame::Offer| {
            offer.message.get_snapshot().get_metadata() == metadata
                && offer.end == self.store.appended().0
        };
        let Some(offer) = offer.filter(fits) else {
            let cause = format!("a log as of entry {}, without its bytes", metadata.index);
            return Err(GroupError::Broken(cause));
        };
        self.store.flush_now()?;
        let base = Base { index: metadata.index, term: metadata.term, end: offer.end };
        {
            let mut log = self.log.lock();
            log.index.clear(base)?;
            let state = &mut log.state;
            state.base = base;
            state.members = offer.members;
            state.members_at = base.index;
            state.first_members = offer.first_members;
            state.copying = false;
            (state.committed, state.committed_end) = (base.index, base.end);
            log.applied = base.index;
            log.save(true)?;
        }
        tracing::info!(index = base.index, end = base.end, "the copy of the log is complete");
        self.confirm(base.end);
        Ok(())
    }
}

fn is_full(cause: &GroupError) -> bool {
    match cause {
        GroupError::Disk(cause) | GroupError::Log(ReplicateError::NoSpace(cause)) => {
            cause.is_full()
        }
        _ => false,
    }
}
