//! The leader's part: what connections append becomes entries.

use raft::StateRole;
use skua_protocol::PhysicalOffset;
use skua_store::Epoch;

use super::Group;
use super::questions::Questions;
use crate::cut;
use crate::error::{ChangeError, GroupError};
use crate::log::Place;
use crate::members::Change;
use crate::options::{ADDRESS_MAX, PEERS_MAX, PeerId};

/// Bytes that a learner may lag behind when it is to vote.
const PROMOTE_LAG: u64 = 4 << 20;
/// Milliseconds that a successor has to catch up.
const TRANSFER_MS: i64 = 3000;

/// While this member is elected.
#[derive(Debug)]
pub(super) struct Leading {
    pub term: u64,
    /// Set once appends are taken.
    epoch: Option<Epoch>,
    /// Up to where the log is proposed.
    proposed: u64,
    transfer: Option<Transfer>,
    /// An entry that is agreed on, as followers were told.
    told: u64,
    pub questions: Questions,
}

#[derive(Debug)]
struct Transfer {
    to: u64,
    until: i64,
    is_sent: bool,
}

impl Leading {
    pub fn takes_appends(&self) -> bool {
        self.epoch.is_some()
    }
}

impl Group {
    /// Notices that this member was elected, or is not the leader any more.
    pub(super) fn check_leading(&mut self) -> Result<(), GroupError> {
        let leads = self.node.raft.state == StateRole::Leader;
        let term = self.node.raft.term;
        if let Some(leading) = &self.leading
            && !(leads && leading.term == term)
        {
            // First of all no send may be taken any more, then those that wait are told.
            self.store.close_appends();
            self.leading = None;
            self.served.clear();
            let end = self.log.lock().index.end();
            // What was appended and never proposed is nowhere else.
            self.store.truncate_to(PhysicalOffset(end))?;
        }
        if leads && self.leading.is_none() {
            self.leading = Some(Leading {
                term,
                epoch: None,
                proposed: self.store.appended().0,
                transfer: None,
                told: 0,
                questions: Questions::after(self.store.lead_questions()),
            });
        }
        Ok(())
    }

    /// Takes appends once everything before is agreed on and in its queues.
    pub(super) fn try_open(&mut self) -> Result<(), GroupError> {
        let Some(leading) = &mut self.leading else { return Ok(()) };
        if leading.takes_appends() || !self.node.raft.apply_to_current_term() {
            return Ok(());
        }
        self.store.dispatch_here();
        // Others append as soon as it is open: what they did must not pass for proposed.
        if let Some((epoch, end)) = self.store.open_appends() {
            leading.epoch = Some(epoch);
            leading.proposed = end.0;
        }
        Ok(())
    }

    /// Proposes the next piece of the log; false if there is none, or not now.
    pub(super) fn propose_next(&mut self) -> Result<bool, GroupError> {
        let confirmed = self.store.confirmed().0;
        let Some(leading) = &mut self.leading else { return Ok(false) };
        let from = leading.proposed;
        let under_way = from.saturating_sub(confirmed);
        if !leading.takes_appends()
            || self.node.raft.lead_transferee.is_some()
            || under_way >= self.options.uncommitted_bytes
        {
            return Ok(false);
        }
        let until = self.store.appended().0;
        let log = &self.node.raft.raft_log;
        let rounds = log.last_index() - log.committed;
        let is_full = until.saturating_sub(from) >= self.options.entry_bytes as u64;
        if rounds >= self.options.rounds && !is_full {
            return Ok(false);
        }
        let Some(piece) = cut::piece(&self.store, from, until, self.options.entry_bytes)? else {
            return Ok(false);
        };
        let Place { len, .. } = piece.place;
        let before = self.node.raft.raft_log.last_index();
        match self.node.propose(piece.place.encode(), piece.data.to_vec()) {
            Ok(()) if self.node.raft.raft_log.last_index() == before + 1 => {
                leading.proposed = from + u64::from(len);
                Ok(true)
            }
            Ok(()) | Err(raft::Error::ProposalDropped) => Ok(false),
            Err(cause) => Err(cause.into()),
        }
    }

    /// Tells followers up to where the log is agreed on, if they do not know: usually that goes with
    /// the next entries.
    pub(super) fn tick_commit(&mut self) {
        let committed = self.node.raft.raft_log.committed;
        if let Some(leading) = &mut self.leading
            && leading.told < committed
        {
            leading.told = committed;
            self.node.ping();
        }
    }

    /// Hands the leadership to another voter: sends are refused meanwhile, those under way are
    /// answered first. [`Status::transferring`](crate::Status::transferring) tells how it goes.
    pub fn transfer(&mut self, to: PeerId) -> Result<(), ChangeError> {
        let is_voter = self.log.lock().state.members.voters.contains(&to.0);
        let Some(leading) = &mut self.leading else { return Err(ChangeError::NotLeader) };
        if !is_voter {
            return Err(ChangeError::Unknown(to.0));
        }
        if leading.transfer.is_some() || !leading.takes_appends() {
            return Err(ChangeError::Busy);
        }
        if to == self.options.id {
            return Ok(());
        }
        self.store.pause_appends();
        let until = self.now.0 + TRANSFER_MS;
        leading.transfer = Some(Transfer { to: to.0, until, is_sent: false });
        Ok(())
    }

    pub(super) fn transferring(&self) -> Option<PeerId> {
        let transfer = self.leading.as_ref()?.transfer.as_ref()?;
        Some(PeerId(transfer.to))
    }

    pub(super) fn tick_transfer(&mut self) -> Result<(), GroupError> {
        let all_agreed = self.store.appended() == self.store.confirmed();
        let last = self.node.raft.raft_log.last_index();
        let Some(leading) = &mut self.leading else { return Ok(()) };
        let Some(transfer) = &mut leading.transfer else { return Ok(()) };
        let has_all =
            self.node.raft.prs().get(transfer.to).is_some_and(|peer| peer.matched == last);
        if !transfer.is_sent && all_agreed && has_all {
            transfer.is_sent = true;
            let to = transfer.to;
            self.node.transfer_leader(to);
            return self.advance();
        }
        let is_over = self.now.0 >= transfer.until;
        if is_over || (transfer.is_sent && self.node.raft.lead_transferee.is_none()) {
            tracing::warn!(to = transfer.to, "the leadership was not taken over; this one goes on");
            if self.node.raft.lead_transferee.is_some() {
                self.node.raft.abort_leader_transfer();
            }
            leading.transfer = None;
            self.store.resume_appends();
            return self.advance();
        }
        Ok(())
    }

    /// Begins a change of the members. It has happened when the status says so.
    pub fn propose_change(&mut self, change: &Change) -> Result<(), ChangeError> {
        let _guard = self.guard();
        if self.leading.as_ref().is_none_or(|leading| !leading.takes_appends()) {
            return Err(ChangeError::NotLeader);
        }
        if self.pending.is_some()
            || self.node.raft.has_pending_conf()
            || self.node.raft.lead_transferee.is_some()
        {
            return Err(ChangeError::Busy);
        }
        self.check_change(change)?;
        let before = self.node.raft.raft_log.last_index();
        let raft_change = change.to_raft();
        match self.node.propose_conf_change(change.encode(), raft_change) {
            Ok(()) if self.node.raft.raft_log.last_index() == before + 1 => {}
            Ok(()) | Err(raft::Error::ProposalDropped) => return Err(ChangeError::Busy),
            Err(cause) => return Err(ChangeError::Invalid(cause.to_string())),
        }
        if let Err(cause) = self.advance() {
            // The next tick tells; nothing else goes on.
            let what = cause.to_string();
            self.failed = Some(cause);
            return Err(ChangeError::LeaderFails(what));
        }
        Ok(())
    }

    fn check_change(&self, change: &Change) -> Result<(), ChangeError> {
        let id = change.id().0;
        let log = self.log.lock();
        let members = &log.state.members;
        let (votes, learns) = (members.voters.contains(&id), members.learners.contains(&id));
        match change {
            Change::AddLearner(peer) => {
                let address = &peer.address;
                if id == 0 || address.is_empty() || address.len() > ADDRESS_MAX {
                    return Err(ChangeError::Invalid(format!("a peer at {address:?}")));
                }
                if members.ids().count() >= PEERS_MAX {
                    return Err(ChangeError::Invalid(format!("{PEERS_MAX} members are the most")));
                }
                if votes || learns { Err(ChangeError::Known(id)) } else { Ok(()) }
            }
            Change::Promote(_) if !learns => Err(ChangeError::Unknown(id)),
            Change::Promote(_) => {
                let matched = self.node.raft.prs().get(id).map_or(0, |peer| peer.matched);
                let at = log.index.end_of(matched).ok().flatten().unwrap_or(0);
                let lag = log.index.end().saturating_sub(at);
                if lag > PROMOTE_LAG || matched == 0 {
                    return Err(ChangeError::Behind { id, lag });
                }
                Ok(())
            }
            Change::Remove(_) if !votes && !learns => Err(ChangeError::Unknown(id)),
            Change::Remove(id) if *id == self.options.id => Err(ChangeError::Leads),
            Change::Remove(_) => Ok(()),
        }
    }
}
