//! A member that may have acknowledged entries and lost them in a power cut. It votes again once
//! it has everything the leader had when it asked: what it had acknowledged, if that was agreed
//! on, is among it.

use raft::{ProgressState, StateRole};
use skua_protocol::Millis;

use super::Group;
use crate::error::GroupError;
use crate::frame::Body;

/// Milliseconds between two questions.
const ASK_MS: i64 = 200;

/// What must be there again.
#[derive(Debug)]
pub(super) struct Target {
    leader: u64,
    term: u64,
    asked: Millis,
    last: Option<u64>,
}

impl Group {
    /// Asks the leader how far its log reaches, unless it was asked.
    pub(super) fn ask_how_far(&mut self, leader: u64, term: u64) {
        if !self.log.lock().state.suspect {
            return;
        }
        let now = self.now;
        match &mut self.target {
            Some(target) if (target.leader, target.term) == (leader, term) => {
                if target.last.is_some() || now.since(target.asked) < ASK_MS {
                    return;
                }
                target.asked = now;
            }
            other => *other = Some(Target { leader, term, asked: now, last: None }),
        }
        self.send(leader, &Body::HowFar);
    }

    pub(super) fn tell_how_far(&mut self, to: u64) {
        if self.node.raft.state == StateRole::Leader {
            let (term, last) = (self.node.raft.term, self.node.raft.raft_log.last_index());
            self.send(to, &Body::ThisFar { term, last });
        }
    }

    pub(super) fn take_target(
        &mut self,
        from: u64,
        term: u64,
        last: u64,
    ) -> Result<(), GroupError> {
        if let Some(target) = &mut self.target
            && (target.leader, target.term) == (from, term)
            && target.last.is_none()
        {
            target.last = Some(last);
        }
        self.tick_suspicion()
    }

    /// Ends the suspicion if it is over.
    pub(super) fn tick_suspicion(&mut self) -> Result<(), GroupError> {
        let (has_begun, suspect, copying, applied) = {
            let log = self.log.lock();
            let state = &log.state;
            (!state.members.is_empty(), state.suspect, state.copying, log.applied)
        };
        if !suspect || copying || !has_begun {
            return Ok(());
        }
        let term = self.node.raft.term;
        let has_all = self.target.as_ref().is_some_and(|target| {
            target.term == term && target.last.is_some_and(|last| applied >= last)
        });
        let silent = self.now.since(self.leader_heard.max(self.opened));
        let is_late = silent >= self.options.hold_ms as i64;
        if !has_all && !is_late {
            return Ok(());
        }
        if !has_all {
            tracing::error!(
                "no leader has shown for {silent} ms since the machine went down; this member \
                 votes again, and messages that were acknowledged before may be missing"
            );
        }
        self.target = None;
        let mut log = self.log.lock();
        log.state.suspect = false;
        log.save(true)?;
        Ok(())
    }

    /// A follower has lost entries that it had acknowledged: it gets them again.
    pub(super) fn take_reverted(
        &mut self,
        from: u64,
        term: u64,
        last: u64,
    ) -> Result<(), GroupError> {
        let raft = &mut self.node.raft;
        if raft.state != StateRole::Leader || raft.term != term {
            return Ok(());
        }
        if let Some(progress) = raft.mut_prs().get_mut(from)
            && last < progress.matched
        {
            tracing::warn!(
                peer = from.wrapping_sub(1),
                last,
                matched = progress.matched,
                "the peer has lost entries that it had acknowledged"
            );
            progress.matched = last;
            if progress.state != ProgressState::Snapshot {
                progress.become_probe();
            }
        }
        Ok(())
    }
}
