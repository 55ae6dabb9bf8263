//! Frames of the others, and how a group begins.

use raft::eraftpb::{Message, MessageType};
use skua_protocol::Millis;

use super::{Group, NO_ORIGIN};
use crate::error::{FrameError, GroupError};
use crate::frame::{self, Body, Head, Hello};
use crate::members::Members;
use crate::options::PeerId;

const OTHER_LIST: &str = "its dLegerPeers is another list than ours; the group does not begin";

/// What is known of another member.
#[derive(Debug)]
pub(super) struct Heard {
    pub at: Millis,
    life: u64,
    /// Its log is empty.
    is_blank: bool,
    /// It knows who the group's members are.
    has_begun: bool,
    /// The list of peers that it was started with.
    peers: u64,
}

impl Group {
    /// A frame came from `from`. One that is no frame of this group is dropped, and stands in the
    /// status's troubles.
    pub fn receive(&mut self, from: PeerId, frame: &[u8], now: Millis) -> Result<(), GroupError> {
        let _guard = self.guard();
        self.now = self.now.max(now);
        let checked = frame::decode(frame).and_then(|(head, body)| {
            self.check_head(from, &head)?;
            Ok((head, body))
        });
        let (head, body) = match checked {
            Ok(frame) => frame,
            Err(cause) => {
                self.trouble(from.0, cause.to_string());
                return Ok(());
            }
        };
        if !self.hear(&head, &body) || self.pending.is_some() {
            return Ok(());
        }
        match body {
            Body::Hello(hello) => self.greeted(&head, &hello)?,
            Body::Raft(message) => self.take_message(&head, message)?,
            Body::Offer(offer) => self.take_offer(&head, offer)?,
            Body::Reverted { term, last } => self.take_reverted(head.from, term, last)?,
            Body::HowFar => self.tell_how_far(head.from),
            Body::ThisFar { term, last } => self.take_target(head.from, term, last)?,
            Body::Want { at, until } => self.give_chunk(head.from, at, until)?,
            Body::Chunk(chunk) => self.take_chunk(head.from, &chunk)?,
            Body::Begin { min, ended } => self.take_begin(head.from, min, &ended)?,
            Body::PutOut { at } => self.take_put_out(head.from, at),
        }
        self.advance()
    }

    pub(super) fn trouble(&mut self, of: u64, what: String) {
        if self.troubles.get(&of) != Some(&what) {
            tracing::warn!(peer = of.wrapping_sub(1), "peer of the group: {what}");
            // Bounded: only members and those configured can be connected, but who knows.
            if self.troubles.len() < 64 {
                self.troubles.insert(of, what);
            }
        }
    }

    fn check_head(&self, from: PeerId, head: &Head) -> Result<(), FrameError> {
        if head.group != self.options.group_hash() {
            return Err(FrameError::OtherGroup);
        }
        if head.from != from.0 || head.from == self.options.id.0 {
            return Err(FrameError::OtherSender(head.from));
        }
        if head.to != self.options.id.0 {
            return Err(FrameError::OtherReceiver(head.to));
        }
        let own = self.origin();
        if own != NO_ORIGIN && head.origin != NO_ORIGIN && own != head.origin {
            return Err(FrameError::OtherOrigin);
        }
        Ok(())
    }

    /// Notes that the peer lives; false if the frame is of an earlier life of it.
    fn hear(&mut self, head: &Head, body: &Body) -> bool {
        if !self.heard.contains_key(&head.from) && self.heard.len() >= 64 {
            return false;
        }
        let heard = self.heard.entry(head.from).or_insert(Heard {
            at: self.now,
            life: head.life,
            is_blank: false,
            has_begun: true,
            peers: 0,
        });
        if head.life < heard.life {
            return false;
        }
        heard.life = head.life;
        heard.at = self.now;
        heard.is_blank = head.origin == NO_ORIGIN;
        if let Body::Hello(hello) = body {
            heard.has_begun = !hello.first_members.is_empty();
            heard.peers = hello.peers;
            let disagrees = self.disagrees(hello);
            let is_over = |what: &String| what != OTHER_LIST || !disagrees;
            if self.troubles.get(&head.from).is_some_and(is_over) {
                self.troubles.remove(&head.from);
            }
        }
        true
    }

    /// Who asks for votes and is no member as far as is known here is told so; whether that is
    /// news, it knows itself.
    fn tell_put_out(&mut self, to: u64) {
        let at = {
            let log = self.log.lock();
            let members = &log.state.members;
            if members.is_empty() || members.ids().any(|id| id == to) {
                return;
            }
            log.state.members_at
        };
        self.trouble(to, "it asks for votes, and is no member that is known here".to_owned());
        self.send(to, &Body::PutOut { at });
    }

    /// The members have changed since this one was told, and it is none of them. A leader that
    /// sends it entries takes that back.
    fn take_put_out(&mut self, from: u64, at: u64) {
        let (known_at, has_begun) = {
            let log = self.log.lock();
            (log.state.members_at, !log.state.members.is_empty())
        };
        if has_begun && at > known_at && self.put_out.is_none() {
            tracing::error!(
                peer = from.wrapping_sub(1),
                "this member was removed from the group; it takes part no more"
            );
            self.put_out = Some(PeerId(from));
        }
    }

    /// Whether its list keeps the group from beginning.
    fn disagrees(&self, hello: &Hello) -> bool {
        self.log.lock().state.members.is_empty() && hello.peers != self.options.peers_hash()
    }

    /// A member that does not know the group's members learns them.
    fn greeted(&mut self, head: &Head, hello: &Hello) -> Result<(), GroupError> {
        let has_begun = !self.log.lock().state.members.is_empty();
        if !has_begun && !hello.first_members.is_empty() {
            // With a log that did not begin empty they come with that log.
            if hello.first == 1 {
                self.begin(hello.first_members.clone())?;
            }
        } else if self.disagrees(hello) {
            self.trouble(head.from, OTHER_LIST.to_owned());
        }
        Ok(())
    }

    /// A group begins when all its members are known to be new, or enough of them for long. A
    /// member whose log is to be everybody's must have the time to be heard.
    pub(super) fn try_begin(&mut self) -> Result<(), GroupError> {
        if !self.log.lock().state.members.is_empty() {
            return Ok(());
        }
        let own = self.options.peers_hash();
        let others = self.options.peers.iter().filter(|peer| peer.id != self.options.id);
        let heard: Vec<_> = others.filter_map(|peer| self.heard.get(&peer.id.0)).collect();
        let all_new = heard.iter().all(|heard| heard.is_blank && heard.peers == own);
        let count = self.options.peers.len();
        let is_late = self.now.since(self.opened) >= self.options.hold_ms as i64;
        let enough = heard.len() + 1 == count || (is_late && heard.len() + 1 > count / 2);
        if all_new && enough {
            self.begin(Members::of(&self.options.peers))?;
        }
        Ok(())
    }

    fn begin(&mut self, members: Members) -> Result<(), GroupError> {
        {
            let mut log = self.log.lock();
            log.state.first_members = members.clone();
            log.state.members = members;
            log.save(true)?;
        }
        self.rebuild()?;
        self.greet();
        Ok(())
    }

    /// Which log this member's is to be the same as, while it has none.
    pub(super) fn adopt_origin(&mut self, head: &Head) -> Result<(), GroupError> {
        let is_blank = self.origin() == NO_ORIGIN;
        let mut log = self.log.lock();
        if is_blank && head.origin != NO_ORIGIN && log.state.origin != head.origin {
            log.state.origin = head.origin;
            log.save(true)?;
        }
        Ok(())
    }

    /// Whether entries that are agreed on are left as they are.
    fn agrees(&self, message: &Message) -> Result<bool, GroupError> {
        let log = self.log.lock();
        let committed = self.node.raft.raft_log.committed;
        for entry in message.entries.iter().take_while(|entry| entry.index <= committed) {
            if log.index.term(entry.index)?.is_some_and(|term| term != entry.term) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn take_message(&mut self, head: &Head, mut message: Message) -> Result<(), GroupError> {
        use MessageType::*;
        let (has_begun, is_whole, suspect, floor) = {
            let log = self.log.lock();
            let state = &log.state;
            (!state.members.is_empty(), log.is_whole(), state.suspect, state.floor)
        };
        let kind = message.get_msg_type();
        let asks_for_vote = matches!(kind, MsgRequestVote | MsgRequestPreVote);
        if kind == MsgSnapshot || message.term > u64::MAX / 2 {
            return Ok(());
        }
        if asks_for_vote {
            self.tell_put_out(message.from);
        }
        // It could vote against an entry that it has acknowledged and does not have any more.
        let is_behind = suspect || (message.log_term, message.index) < (floor.1, floor.0);
        if !is_whole && ((asks_for_vote && is_behind) || kind == MsgTimeoutNow) {
            return Ok(());
        }
        // Whoever does not know the first members cannot take the first entry: they come with a
        // greeting, or with a copy of the log.
        let is_first =
            matches!(kind, MsgAppend | MsgRequestVote | MsgRequestPreVote) && message.index == 0;
        if !has_begun && is_first {
            return Ok(());
        }
        if matches!(kind, MsgAppend | MsgHeartbeat) && message.term >= self.node.raft.term {
            self.leader_heard = self.now;
            if kind == MsgAppend && self.put_out.take().is_some() {
                tracing::info!("a leader counts this member in again");
            }
            self.adopt_origin(head)?;
            self.ask_how_far(message.from, message.term);
        }
        if kind == MsgHeartbeat {
            let last = self.node.raft.raft_log.last_index();
            if message.commit > last {
                // The leader counts on entries that this member has lost.
                message.commit = last;
                let term = message.term;
                self.send(message.from, &Body::Reverted { term, last });
            }
        }
        if kind == MsgAppend && !self.agrees(&message)? {
            let what = "it would change entries that are agreed on";
            self.trouble(message.from, what.to_owned());
            return Ok(());
        }
        if kind == MsgAppendResponse && message.index > self.node.raft.raft_log.last_index() {
            // Nobody can have that.
            return Ok(());
        }
        match self.node.step(message) {
            Ok(()) | Err(raft::Error::StepPeerNotFound | raft::Error::ProposalDropped) => Ok(()),
            Err(cause) => Err(cause.into()),
        }
    }
}
