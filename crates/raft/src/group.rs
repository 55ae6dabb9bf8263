//! One member of the group.

mod copy;
mod lead;
mod lost;
mod open;
mod questions;
mod ready;
mod receive;
mod suspect;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use raft::RawNode;
use raft::StateRole;
use raft::eraftpb::Message;
use skua_protocol::{Millis, PhysicalOffset};
use skua_store::Store;

use crate::cold::{For, Reader};
use crate::dirty::{Dirty, Syncer};
use crate::error::GroupError;
use crate::frame::{self, Body, Head, Hello, NO_ORIGIN};
use crate::log::SharedLog;
use crate::options::{GroupOptions, PeerId, hash};
use crate::status::{PeerStatus, Status};
use copy::{Copying, Served};
use lead::Leading;
use lost::Lost;
pub(crate) use open::check_owner;
pub use open::{LogHint, log_hint};
use ready::Pending;
use receive::Heard;
use suspect::Target;

/// Milliseconds between two greetings to everybody, and between two looks at what expired.
const HELLO_MS: u64 = 1000;

/// What this member is at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It takes appends: everything before is agreed on and dispatched.
    Leader {
        term: u64,
    },
    Follower {
        leader: Option<PeerId>,
    },
    /// It seeks to be elected, or is and does not take appends yet.
    Candidate,
}

/// What the owner of a [`Group`] is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Send {
        to: PeerId,
        frame: Vec<u8>,
    },
    /// Make everything durable, then tell [`Group::synced`].
    Sync {
        number: u64,
    },
    /// Bring a stretch of the log into memory, then tell [`Group::read_done`].
    Read {
        number: u64,
        at: u64,
        len: u64,
    },
    Role(Role),
    /// The log before is agreed on: `Store::dispatch_here` is to follow.
    Committed(PhysicalOffset),
}

/// Messages that wait for a sync.
#[derive(Debug)]
struct Write {
    number: u64,
    /// The library's number.
    ready: u64,
    messages: Vec<Message>,
}

/// See the crate's words.
pub struct Group {
    options: GroupOptions,
    store: Arc<Store>,
    log: SharedLog,
    dirty: Arc<Dirty>,
    node: RawNode<SharedLog>,
    effects: VecDeque<Effect>,
    /// As was told.
    role: Role,
    leading: Option<Leading>,
    writes: VecDeque<Write>,
    next_sync: u64,
    /// This sync, and all before, are done.
    done_sync: u64,
    /// A library's wish that waits for space.
    pending: Option<Pending>,
    heard: BTreeMap<u64, Heard>,
    troubles: BTreeMap<u64, String>,
    copying: Option<Copying>,
    served: BTreeMap<u64, Served>,
    target: Option<Target>,
    lost: Option<Lost>,
    /// The tick from which on a lost connection counts again.
    lost_counts_at: u64,
    /// The election timeout, and the turn that it is of.
    timeout: (u64, usize),
    opened: Millis,
    now: Millis,
    ticks: u64,
    /// When something of a leader came last.
    leader_heard: Millis,
    /// Who has said that the group goes on without this member; it does not stand for election.
    put_out: Option<PeerId>,
    /// What a call that could not say so met.
    failed: Option<GroupError>,
    last_words: Arc<std::sync::Mutex<LastWords>>,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// Ends the process when the library panics: its state cannot be trusted any more.
struct AbortOnPanic(Option<Arc<std::sync::Mutex<LastWords>>>);

/// The state before a call, for the log should it be the last.
#[derive(Clone, Copy, Debug, Default)]
#[allow(dead_code, reason = "printed")]
struct LastWords {
    term: u64,
    vote: u64,
    leader: u64,
    committed: u64,
    applied: u64,
    last: u64,
    log_end: u64,
    confirmed: u64,
}

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if let Some(words) = self.0.as_ref().filter(|_| std::thread::panicking()) {
            let words = *crate::dirty::lock(words);
            tracing::error!(
                "the group's state cannot be trusted any more, the process ends: {words:?}"
            );
            std::process::abort();
        }
    }
}

impl Group {
    /// What is to be done since the last call.
    pub fn effects(&mut self) -> Vec<Effect> {
        self.effects.drain(..).collect()
    }

    /// Does what [`Effect::Sync`] asks for.
    pub fn syncer(&self) -> Syncer {
        Syncer { store: Arc::clone(&self.store), dirty: Arc::clone(&self.dirty) }
    }

    /// Does what [`Effect::Read`] asks for.
    pub fn reader(&self) -> Reader {
        Reader { store: Arc::clone(&self.store) }
    }

    /// The read of that number is done.
    pub fn read_done(&mut self, number: u64) -> Result<(), GroupError> {
        let _guard = self.guard();
        let what_for = self.log.lock().cold.done(number);
        // While a wish is half fulfilled the peer is looked at again with its next answer.
        match what_for.filter(|_| self.pending.is_none()) {
            Some(For::Entries(context)) => self.node.on_entries_fetched(context),
            Some(For::Copy { to, at, until }) => self.give_chunk(to, at, until)?,
            None => return Ok(()),
        }
        self.advance()
    }

    /// Every `tick_ms`.
    pub fn tick(&mut self, now: Millis) -> Result<(), GroupError> {
        let _guard = self.guard();
        if let Some(cause) = self.failed.take() {
            return Err(cause);
        }
        if let Some(failure) = self.store.failure() {
            // Who cannot write must not lead.
            return Err(skua_store::ReplicateError::Failed(failure).into());
        }
        self.now = now;
        self.ticks += 1;
        if self.pending.is_some() && !self.finish_pending()? {
            return Ok(());
        }
        let every = |ms: u64| self.ticks % (ms / self.options.tick_ms).max(1) == 1;
        let is_second = every(HELLO_MS) || self.options.tick_ms >= HELLO_MS;
        if is_second {
            self.greet();
            self.purge()?;
        }
        self.try_begin()?;
        self.tick_suspicion()?;
        if self.may_campaign() {
            self.node.tick();
        } else if self.node.raft.election_elapsed < self.options.election_ticks {
            // So far that a leader that is gone no longer keeps it from giving its vote.
            self.node.raft.election_elapsed += 1;
        }
        self.tick_lost()?;
        self.tick_commit();
        self.tick_copies()?;
        self.advance()?;
        self.tick_transfer()?;
        self.save_committed()
    }

    /// The store has grown.
    pub fn log_grew(&mut self) -> Result<(), GroupError> {
        let _guard = self.guard();
        self.advance()
    }

    /// The sync of that number, and all before, is done.
    pub fn synced(&mut self, number: u64) -> Result<(), GroupError> {
        let _guard = self.guard();
        self.done_sync = self.done_sync.max(number);
        if self.pending.is_some() { Ok(()) } else { self.advance() }
    }

    /// Tells the library what syncs are done; not while a wish of it is half fulfilled.
    fn take_synced(&mut self) {
        let number = self.done_sync;
        let mut ready = None;
        let mut messages = Vec::new();
        while self.writes.front().is_some_and(|write| write.number <= number)
            && let Some(write) = self.writes.pop_front()
        {
            ready = Some(write.ready);
            messages.extend(write.messages);
        }
        if let Some(ready) = ready {
            self.node.on_persist_ready(ready);
            self.send_all(messages);
        }
    }

    /// Ends in order, with everything durable, so that the next start need suspect nothing. Before
    /// the store is closed; nothing is to be called after it.
    pub fn close(&mut self) -> Result<(), GroupError> {
        let _guard = self.guard();
        self.store.close_appends();
        if self.pending.is_some() {
            // It could not write all that it should: that counts as a crash.
            return Ok(());
        }
        self.store.flush_now()?;
        self.dirty.sync()?;
        let mut log = self.log.lock();
        log.state.clean = true;
        let (applied, end) = (log.applied, log.index.end_of(log.applied)?);
        (log.state.committed, log.state.committed_end) = (applied, end.unwrap_or(0));
        log.save(true)?;
        Ok(())
    }

    pub fn term(&self) -> u64 {
        self.node.raft.term
    }

    /// How it stands.
    pub fn status(&self) -> Status {
        let log = self.log.lock();
        let leads = self.node.raft.state == StateRole::Leader;
        let own = self.options.id;
        let listed = if log.state.members.is_empty() {
            crate::members::Members::of(&self.options.peers)
        } else {
            log.state.members.clone()
        };
        let end = log.index.end();
        let peers = listed.ids().map(|id| {
            let progress = self.node.raft.prs().get(id).filter(|_| leads);
            let matched = progress.map(|progress| progress.matched);
            let at = matched.map(|index| log.index.end_of(index).ok().flatten().unwrap_or(0));
            PeerStatus {
                id: PeerId(id),
                address: listed.addresses.get(&id).cloned().unwrap_or_default(),
                votes: listed.voters.contains(&id),
                heard_ms: self.heard.get(&id).map(|heard| self.now.since(heard.at).max(0) as u64),
                matched,
                lag: at.map(|at| end.saturating_sub(at)),
                copies: self.served.contains_key(&id),
            }
        });
        Status {
            group: self.options.group.clone(),
            id: own,
            role: self.role,
            term: self.node.raft.term,
            leader: Some(PeerId(self.node.raft.leader_id)).filter(|id| id.0 != 0),
            vote: Some(PeerId(self.node.raft.vote)).filter(|id| id.0 != 0),
            first: log.index.first(),
            last: log.index.last(),
            committed: log.applied,
            confirmed: self.store.confirmed(),
            peers: peers.collect(),
            begun: !log.state.members.is_empty(),
            suspect: log.state.suspect,
            copying: log.state.copying.then(|| {
                let wanted = self.copying.as_ref().map_or(0, Copying::end);
                (self.store.appended().0, wanted)
            }),
            stalled: self.pending.is_some(),
            transferring: self.transferring(),
            put_out: self.put_out,
            troubles: self.troubles.iter().map(|(id, what)| (PeerId(*id), what.clone())).collect(),
        }
    }

    fn guard(&self) -> AbortOnPanic {
        if !self.options.abort_on_panic {
            return AbortOnPanic(None);
        }
        let raft = &self.node.raft;
        *crate::dirty::lock(&self.last_words) = LastWords {
            term: raft.term,
            vote: raft.vote,
            leader: raft.leader_id,
            committed: raft.raft_log.committed,
            applied: raft.raft_log.applied,
            last: raft.raft_log.last_index(),
            log_end: self.store.appended().0,
            confirmed: self.store.confirmed().0,
        };
        AbortOnPanic(Some(Arc::clone(&self.last_words)))
    }

    /// Whether this member may seek to be elected.
    fn may_campaign(&self) -> bool {
        let log = self.log.lock();
        !log.state.members.is_empty() && log.is_whole() && self.put_out.is_none()
    }

    /// Does everything that the library wants, and what follows from it.
    fn advance(&mut self) -> Result<(), GroupError> {
        loop {
            self.set_timeout();
            self.check_leading()?;
            if self.pending.is_some() {
                break;
            }
            self.take_synced();
            self.ask_members();
            if self.node.has_ready() {
                if !self.handle_ready()? {
                    break;
                }
                continue;
            }
            self.try_open()?;
            if !self.propose_next()? {
                break;
            }
        }
        while let Some((number, at, len)) = self.log.lock().cold.next() {
            self.effects.push_back(Effect::Read { number, at, len });
        }
        self.tell_role();
        Ok(())
    }

    /// The library rolls dice of its own; a simulation needs one that follows the seed. Another
    /// number now and then, lest two members never get out of step.
    fn set_timeout(&mut self) {
        let least = self.options.election_ticks;
        let turn = self.ticks / (2 * least as u64);
        if self.timeout.0 != turn {
            let life = self.log.lock().state.life;
            let parts = [self.options.seed, self.options.id.0, life, turn].map(u64::to_be_bytes);
            let dice = hash(&[&parts.concat()]) >> 16;
            self.timeout = (turn, least + (dice % least as u64) as usize);
        }
        self.node.raft.set_randomized_election_timeout(self.timeout.1);
    }

    fn tell_role(&mut self) {
        let raft = &self.node.raft;
        let role = match raft.state {
            StateRole::Leader => match &self.leading {
                Some(leading) if leading.takes_appends() => Role::Leader { term: leading.term },
                _ => Role::Candidate,
            },
            StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
            StateRole::Follower => {
                Role::Follower { leader: Some(PeerId(raft.leader_id)).filter(|id| id.0 != 0) }
            }
        };
        if role != self.role {
            tracing::info!(term = raft.term, ?role, "role in the group");
            self.role = role;
            self.effects.push_back(Effect::Role(role));
        }
    }

    /// Notes what is agreed on, as a hint for the next start; nothing hangs on it.
    fn save_committed(&mut self) -> Result<(), GroupError> {
        let mut log = self.log.lock();
        let applied = log.applied;
        if applied > log.state.committed {
            let end = log.index.end_of(applied)?.unwrap_or(0);
            (log.state.committed, log.state.committed_end) = (applied, end);
            log.save(false)?;
        }
        Ok(())
    }

    fn origin(&self) -> u64 {
        let log = self.log.lock();
        if log.index.last() == 0 { NO_ORIGIN } else { log.state.origin }
    }

    fn send(&mut self, to: u64, body: &Body) {
        let life = self.log.lock().state.life;
        let (group, from) = (self.options.group_hash(), self.options.id.0);
        let head = Head { group, origin: self.origin(), life, from, to };
        self.effects.push_back(Effect::Send { to: PeerId(to), frame: frame::encode(&head, body) });
    }

    fn send_all(&mut self, messages: Vec<Message>) {
        for message in messages {
            let to = message.to;
            if let Some(body) = self.offer(message) {
                self.send(to, &body);
            }
        }
    }

    /// Greets everybody, members or not yet.
    fn greet(&mut self) {
        let (hello, others) = {
            let log = self.log.lock();
            let hello = Hello {
                peers: self.options.peers_hash(),
                term: self.node.raft.term,
                first: log.index.first(),
                last: log.index.last(),
                first_members: log.state.first_members.clone(),
            };
            let listed = self.options.peers.iter().map(|peer| peer.id.0);
            let mut others: Vec<u64> = listed.chain(log.state.members.ids()).collect();
            others.sort_unstable();
            others.dedup();
            (hello, others)
        };
        for to in others {
            if to != self.options.id.0 {
                self.send(to, &Body::Hello(hello.clone()));
            }
        }
    }

    /// Forgets entries whose bytes have expired.
    fn purge(&mut self) -> Result<(), GroupError> {
        let mut log = self.log.lock();
        let min = self.store.min_physical_offset().0;
        if log.state.copying || min <= log.index.base().end {
            return Ok(());
        }
        let index = log.index.last_before(min)?.min(log.applied);
        if index <= log.index.base().index {
            return Ok(());
        }
        let (term, end) = (log.index.term(index)?, log.index.end_of(index)?);
        let base = crate::index::Base { index, term: term.unwrap_or(0), end: end.unwrap_or(0) };
        log.state.base = base;
        log.save(true)?;
        log.index.purge(base)?;
        Ok(())
    }
}
