//! Filling a member whose next entry the leader has not any more: it copies the commit log from
//! the leader's first offset on, piece by piece, and goes on where it was after any interruption.
//! What is copied is agreed on, so that it is the same whoever leads.

use raft::eraftpb::{Message, MessageType};
use raft::{ProgressState, SnapshotStatus, StateRole};
use skua_protocol::{Millis, PhysicalOffset, QueueId};
use skua_store::{EndedQueue, ReplicateError};

use super::Group;
use crate::cold::For;
use crate::cut;
use crate::error::GroupError;
use crate::frame::{Body, Chunk, Head, Offer};
use crate::index::Base;

/// Milliseconds without an answer after which a piece is asked for again.
const ASK_MS: i64 = 500;
/// Queues looked at in a tick, for a member that is to be filled.
const QUEUES_AT_ONCE: usize = 256;
/// Milliseconds without a question after which the leader begins anew with the member.
const SILENCE_MS: i64 = 3000;

/// The copy as its receiver sees it.
#[derive(Debug)]
pub(super) struct Copying {
    pub offer: Offer,
    asked: Millis,
    /// Where to begin, and which queues have ended before, is known in this life.
    told: bool,
}

impl Copying {
    pub fn end(&self) -> u64 {
        self.offer.end
    }
}

/// The copy as the leader sees it.
#[derive(Debug)]
pub(super) struct Served {
    heard: Millis,
    survey: Option<Survey>,
}

/// The queues are looked at for a member that is to begin at `min`, some at a time.
#[derive(Debug)]
struct Survey {
    min: u64,
    left: Vec<(String, QueueId)>,
    ended: Vec<EndedQueue>,
}

impl Group {
    /// Of a snapshot that the library sends, only where the log stands is sent.
    pub(super) fn offer(&mut self, message: Message) -> Option<Body> {
        if message.get_msg_type() != MessageType::MsgSnapshot {
            return Some(Body::Raft(message));
        }
        let index = message.get_snapshot().get_metadata().index;
        let (end, members, first_members) = {
            let log = self.log.lock();
            let end = log.index.end_of(index).ok().flatten();
            (end, log.state.members.clone(), log.state.first_members.clone())
        };
        // It has expired meanwhile; the silence of the member brings another.
        let end = end?;
        self.served.insert(message.to, Served { heard: self.now, survey: None });
        Some(Body::Offer(Offer { message, members, first_members, end }))
    }

    pub(super) fn take_offer(&mut self, head: &Head, offer: Offer) -> Result<(), GroupError> {
        let raft = &self.node.raft;
        let metadata = offer.message.get_snapshot().get_metadata();
        let is_member = offer.members.ids().any(|id| id == self.options.id.0);
        if offer.message.term < raft.term || !is_member {
            return Ok(());
        }
        self.leader_heard = self.now;
        self.put_out = None;
        let has_it = {
            let log = self.log.lock();
            metadata.index <= log.applied
                || (!log.state.copying && log.index.term(metadata.index)? == Some(metadata.term))
        };
        if has_it {
            let _ = self.node.step(offer.message);
            return Ok(());
        }
        let leader = offer.message.from;
        self.adopt_origin(head)?;
        self.ask_how_far(leader, offer.message.term);
        let begins = {
            let mut log = self.log.lock();
            let begins = !log.state.copying;
            if begins {
                log.state.copying = true;
                log.state.floor = (metadata.index, metadata.term);
                log.save(true)?;
                // What is behind what is agreed on is in the copy, or nowhere.
                let applied = log.applied;
                log.index.truncate(applied + 1)?;
                self.store.truncate_to(PhysicalOffset(log.index.end()))?;
            }
            begins
        };
        if begins {
            tracing::info!(end = offer.end, "the commit log is copied from the leader");
            self.rebuild()?;
        }
        let told = self.copying.as_ref().is_some_and(|copying| copying.told);
        self.copying = Some(Copying { offer, asked: self.now, told });
        self.want()
    }

    /// Asks for the next piece, or takes the log over if it is complete.
    fn want(&mut self) -> Result<(), GroupError> {
        let Some(copying) = &mut self.copying else { return Ok(()) };
        copying.asked = self.now;
        let end = PhysicalOffset(copying.offer.end);
        if self.store.appended() > end {
            // Another leader offered more before.
            if end < self.store.min_physical_offset() {
                self.store.begin_anew(PhysicalOffset(0), &[])?;
            } else {
                self.store.truncate_to(end)?;
            }
        }
        let mut at = self.store.appended().0;
        if at == self.store.min_physical_offset().0 && !copying.told {
            // An empty log may lack what an earlier life was told with its beginning.
            at = 0;
        }
        if at == copying.offer.end {
            let message = copying.offer.message.clone();
            let _ = self.node.step(message);
            return self.advance();
        }
        let (leader, until) = (copying.offer.message.from, copying.offer.end);
        self.send(leader, &Body::Want { at, until });
        Ok(())
    }

    /// The leader's log begins behind what is here.
    pub(super) fn take_begin(
        &mut self,
        from: u64,
        min: u64,
        ended: &[EndedQueue],
    ) -> Result<(), GroupError> {
        let Some(copying) = self.copying_from(from) else { return Ok(()) };
        let at = self.store.appended().0;
        let is_empty = at == self.store.min_physical_offset().0;
        let asked = is_empty && !copying.told;
        if (min <= at && !asked) || min > copying.offer.end {
            return Ok(());
        }
        if !min.is_multiple_of(self.store.commit_log_file_size()) {
            let what = "its commit log begins within a file of ours; are their sizes equal?";
            self.trouble(from, what.to_owned());
            return Ok(());
        }
        self.leader_heard = self.now;
        // What is between is nowhere any more, and what is here of no use without it.
        self.forget_log()?;
        match self.store.begin_anew(PhysicalOffset(min), ended) {
            Ok(()) => {
                if let Some(copying) = &mut self.copying {
                    copying.told = true;
                }
                self.want()
            }
            // Asked for again in a while.
            Err(ReplicateError::NoSpace(_)) => Ok(()),
            Err(cause) => Err(cause.into()),
        }
    }

    fn copying_from(&self, leader: u64) -> Option<&Copying> {
        let copying = self.copying.as_ref()?;
        let is_copying = self.log.lock().state.copying;
        (is_copying && copying.offer.message.from == leader).then_some(copying)
    }

    pub(super) fn take_chunk(&mut self, from: u64, chunk: &Chunk) -> Result<(), GroupError> {
        let mut at = self.store.appended().0;
        let Some(copying) = self.copying_from(from) else { return Ok(()) };
        let (end, told) = (copying.offer.end, copying.told);
        self.leader_heard = self.now;
        if chunk.at == 0 && at > 0 && at == self.store.min_physical_offset().0 && !told {
            // This leader has everything from the start.
            self.forget_log()?;
            self.store.begin_anew(PhysicalOffset(0), &[])?;
            at = 0;
        }
        let file = self.store.commit_log_file_size();
        let fits = u64::from(chunk.len) <= file - at % file;
        if chunk.at != at || at + u64::from(chunk.len) > end || !fits {
            return Ok(());
        }
        let bytes = cut::whole(chunk.len, chunk.flags, &chunk.data);
        match self.store.append_copy(PhysicalOffset(at), &bytes) {
            Ok(()) => self.want(),
            // Asked for again in a while.
            Err(ReplicateError::NoSpace(_)) => Ok(()),
            Err(cause @ (ReplicateError::Failed(_) | ReplicateError::Closed)) => Err(cause.into()),
            Err(cause) => {
                self.trouble(from, format!("its piece of the log is refused: {cause}"));
                Ok(())
            }
        }
    }

    /// The log's bytes are about to go: from here on there are no entries. The floor keeps the
    /// member from voting on what was in them.
    fn forget_log(&mut self) -> Result<(), GroupError> {
        {
            let mut log = self.log.lock();
            log.state.base = Base::default();
            (log.state.committed, log.state.committed_end) = (0, 0);
            log.applied = 0;
            log.save(true)?;
            log.index.clear(Base::default())?;
        }
        self.rebuild()
    }

    pub(super) fn give_chunk(&mut self, to: u64, at: u64, until: u64) -> Result<(), GroupError> {
        if self.node.raft.state != StateRole::Leader {
            return Ok(());
        }
        let Some(served) = self.served.get_mut(&to) else { return Ok(()) };
        served.heard = self.now;
        let (min, confirmed) = (self.store.min_physical_offset().0, self.store.confirmed().0);
        if until < min {
            // All of it has expired in the meantime: another offer.
            self.served.remove(&to);
            self.node.report_snapshot(to, SnapshotStatus::Failure);
            return Ok(());
        }
        if at < min {
            if served.survey.as_ref().is_none_or(|survey| survey.min != min) {
                let left = self.store.queue_list()?;
                served.survey = Some(Survey { min, left, ended: Vec::new() });
            }
            return Ok(());
        }
        let until = until.min(confirmed);
        let file = self.store.commit_log_file_size();
        let end = until.min((at / file + 1) * file).min(at + self.options.entry_bytes as u64);
        if at < end {
            let mut log = self.log.lock();
            match log.bytes_now(at, (end - at) as usize) {
                Ok(Some(_)) => {}
                Ok(None) => {
                    log.cold.want(at..end, For::Copy { to, at, until });
                    return Ok(());
                }
                Err(GroupError::Read(cause)) => {
                    tracing::info!(%cause, "a piece to copy has just expired");
                    return Ok(());
                }
                Err(cause) => return Err(cause),
            }
        }
        let piece = match cut::piece(&self.store, at, until, self.options.entry_bytes) {
            Ok(Some(piece)) => piece,
            Ok(None) => return Ok(()),
            // It does not stand at a record's start: its log is another.
            Err(GroupError::Broken(cause)) => {
                self.trouble(to, format!("it wants what is none: {cause}"));
                return Ok(());
            }
            Err(GroupError::Read(cause)) => {
                tracing::info!(%cause, "a piece to copy has just expired");
                return Ok(());
            }
            Err(cause) => return Err(cause),
        };
        let (len, flags) = (piece.place.len, piece.place.flags);
        let chunk = Chunk { at, len, flags, data: piece.data.to_vec() };
        self.send(to, &Body::Chunk(chunk));
        Ok(())
    }

    fn tick_surveys(&mut self) -> Result<(), GroupError> {
        let mut done = Vec::new();
        for (id, served) in &mut self.served {
            let Some(survey) = &mut served.survey else { continue };
            for _ in 0..QUEUES_AT_ONCE {
                let Some((topic, queue_id)) = survey.left.pop() else { break };
                let min = PhysicalOffset(survey.min);
                survey.ended.extend(self.store.ended_queue(&topic, queue_id, min)?);
            }
            if survey.left.is_empty()
                && let Some(Survey { min, ended, .. }) = served.survey.take()
            {
                done.push((*id, min, ended));
            }
        }
        for (to, min, ended) in done {
            self.send(to, &Body::Begin { min, ended });
        }
        Ok(())
    }

    /// Asks again, and gives up those that do not ask.
    pub(super) fn tick_copies(&mut self) -> Result<(), GroupError> {
        let is_copying = self.log.lock().state.copying;
        if !is_copying {
            self.copying = None;
        } else if let Some(copying) = &self.copying
            && self.now.since(copying.asked) >= ASK_MS
        {
            self.want()?;
        }
        if self.served.is_empty() {
            return Ok(());
        }
        self.tick_surveys()?;
        let now = self.now;
        let prs = self.node.raft.prs();
        self.served
            .retain(|id, _| prs.get(*id).is_some_and(|peer| peer.state == ProgressState::Snapshot));
        let silent: Vec<u64> = self
            .served
            .iter()
            .filter(|(_, served)| now.since(served.heard) >= SILENCE_MS)
            .map(|(id, _)| *id)
            .collect();
        for id in silent {
            self.served.remove(&id);
            self.node.report_snapshot(id, SnapshotStatus::Failure);
        }
        Ok(())
    }
}
