//! A leader whose connection ended has most likely died: the group need not wait for the election
//! timeout to see that.
//!
//! Nothing hangs on the guess being right. Whoever asks for votes early has to win a pre-vote, which
//! nobody gives who still hears the leader, and the leader least of all; terms do not grow by it.

use raft::StateRole;

use super::Group;
use crate::error::GroupError;
use crate::options::PeerId;

/// How often each member tries before it leaves it to the timeout.
const TRIES: u32 = 4;

/// A leader whose connection has ended.
#[derive(Debug)]
pub(super) struct Lost {
    leader: u64,
    term: u64,
    /// The tick of the next try.
    at: u64,
    tries: u32,
}

impl Group {
    /// The connection that brought the peer's frames has ended, and there is no newer one. To be
    /// called at once; a wrong call costs a few frames.
    pub fn lost(&mut self, peer: PeerId) {
        let raft = &mut self.node.raft;
        let follows = raft.state == StateRole::Follower && raft.leader_id == peer.0;
        if !follows || peer.0 == 0 || self.ticks < self.lost_counts_at {
            return;
        }
        // Who asks for votes now may have them. A sign of the leader takes that back.
        raft.election_elapsed = raft.election_elapsed.max(self.options.election_ticks);
        self.lost_counts_at = self.ticks + self.options.election_ticks as u64;
        let at = self.ticks + 1 + self.rank(peer.0);
        self.lost = Some(Lost { leader: peer.0, term: self.node.raft.term, at, tries: 0 });
    }

    /// Its place among those that may follow the leader: they try one after the other.
    fn rank(&self, leader: u64) -> u64 {
        let log = self.log.lock();
        let others = log.state.members.voters.iter().filter(|id| **id != leader);
        others.take_while(|id| **id != self.options.id.0).count() as u64
    }

    pub(super) fn tick_lost(&mut self) -> Result<(), GroupError> {
        let Some(Lost { leader, term, at, tries }) = self.lost else { return Ok(()) };
        let raft = &self.node.raft;
        let is_heard = raft.election_elapsed < self.options.election_ticks;
        let waits = match raft.state {
            StateRole::Follower => raft.leader_id == leader && !is_heard,
            // Its last try had no answer.
            StateRole::PreCandidate => tries > 0,
            StateRole::Candidate | StateRole::Leader => false,
        };
        if !waits || raft.term != term || tries >= TRIES {
            self.lost = None;
            return Ok(());
        }
        if self.ticks < at || !raft.promotable() || !self.may_campaign() {
            return Ok(());
        }
        let others = self.log.lock().state.members.voters.len().saturating_sub(1) as u64;
        self.lost = Some(Lost { leader, term, at: self.ticks + others.max(1), tries: tries + 1 });
        // As the library does when its timeout is over.
        self.node.raft.election_elapsed = 0;
        Ok(self.node.campaign()?)
    }
}
