//! Several members on simulated disks, a simulated network and clock. The storage and the driver
//! are the real ones.

#![allow(dead_code, reason = "each test file uses a part")]

mod check;
mod node;

use std::collections::{BTreeMap, BTreeSet};

use skua_protocol::Millis;
use skua_raft::{Effect, GroupOptions, Peer, PeerId, Role};
use skua_seeds::Random;
use skua_store::disk::Crash;

pub use check::Truth;
pub use node::{Asked, Node, Sent};

pub const NOW: i64 = 1_700_000_000_000;
pub const TICK_MS: i64 = 25;
/// A step of the simulation.
pub const STEP_MS: i64 = 5;

/// How the wire is.
#[derive(Clone, Debug)]
pub struct Wire {
    /// Of a thousand frames.
    pub lost: u64,
    pub doubled: u64,
    pub late: u64,
    pub most_ms: u64,
}

pub struct Cluster {
    pub now: i64,
    pub random: Random,
    pub nodes: BTreeMap<u64, Node>,
    pub wire: Wire,
    /// From and to whom nothing comes through.
    pub cut: BTreeSet<(u64, u64)>,
    frames: BTreeMap<(i64, u64), (u64, u64, Vec<u8>)>,
    /// Frames as they were sent, if anybody wants to see them.
    pub seen: Option<Vec<(u64, u64, Vec<u8>)>>,
    next_frame: u64,
    pub truth: Truth,
    /// FNV-1a of everything that happened.
    pub trace: u64,
    pub sync: bool,
    /// `dLegerPeers` of those that were given another list than the others.
    pub lists: BTreeMap<u64, Vec<Peer>>,
    pub elections: u64,
    number: u64,
    /// Every one that is awaited.
    sent: Vec<Sent>,
    asked: Vec<Asked>,
    /// Questions that were answered: who was asked led still.
    pub led: u64,
    pub refused: u64,
    /// Sends that nobody can say of whether they are kept.
    pub unknown: u64,
    /// Lifetimes of messages, if they expire.
    pub expires: bool,
    /// Reads of what was on the disk alone.
    pub cold_reads: u64,
}

impl Cluster {
    pub fn new(seed: u64, members: u64, sync: bool) -> Self {
        Self {
            now: NOW,
            random: Random(seed),
            nodes: (1..=members).map(|id| (id, Node::new(id, seed))).collect(),
            wire: Wire { lost: 0, doubled: 0, late: 0, most_ms: 4 },
            cut: BTreeSet::new(),
            frames: BTreeMap::new(),
            seen: None,
            next_frame: 0,
            truth: Truth::default(),
            trace: 0xcbf2_9ce4_8422_2325,
            sync,
            lists: BTreeMap::new(),
            elections: 0,
            number: 0,
            sent: Vec::new(),
            asked: Vec::new(),
            led: 0,
            refused: 0,
            unknown: 0,
            expires: false,
            cold_reads: 0,
        }
    }

    pub fn options(&self, id: u64) -> GroupOptions {
        let all = || (1..=3.min(self.nodes.len() as u64)).map(peer).collect();
        let mut peers: Vec<_> = self.lists.get(&id).cloned().unwrap_or_else(all);
        if !peers.iter().any(|peer| peer.id.0 == id) {
            peers.push(peer(id));
        }
        let mut options = GroupOptions::new("/store", "group", PeerId(id), peers);
        options.sync = self.sync;
        options.boot = [self.nodes[&id].boots; 16];
        options.tick_ms = TICK_MS as u64;
        options.seed = 7;
        options.hold_ms = 120_000;
        options.entry_bytes = 900;
        options.message_bytes = 2000;
        options.window = 8;
        options.uncommitted_bytes = 6000;
        options.index_file_slots = 16;
        options.abort_on_panic = false;
        options
    }

    pub fn note(&mut self, what: &[u8]) {
        if std::env::var_os("TRACE").is_some() {
            eprintln!("{}", String::from_utf8_lossy(what));
        }
        for byte in what {
            self.trace = (self.trace ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub fn start(&mut self, id: u64) {
        let options = self.options(id);
        let (now, expires) = (self.now, self.expires);
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.start(options, now, expires);
        self.after(id);
    }

    pub fn start_all(&mut self) {
        let ids: Vec<u64> = self.nodes.keys().copied().collect();
        for id in ids {
            self.start(id);
        }
    }

    /// The process, or the machine, is gone.
    pub fn crash(&mut self, id: u64, how: Crash) {
        self.note(format!("{} {id} {how:?}", self.now).as_bytes());
        if let Some(node) = self.nodes.get_mut(&id) {
            node.crash(how);
        }
        self.sent.retain(|sent| sent.node != id);
        self.asked.retain(|asked| asked.node != id);
        if how == Crash::Process {
            // The kernel closes its connections.
            let others: Vec<u64> =
                self.nodes.keys().copied().filter(|other| *other != id).collect();
            others.into_iter().for_each(|other| self.end_connection(id, other));
        }
    }

    /// `to` sees that the connection of frames of `from` has ended.
    pub fn end_connection(&mut self, from: u64, to: u64) {
        if self.cut.contains(&(from, to)) {
            return;
        }
        self.next_frame += 1;
        let at = self.now + 1 + self.random.below(self.wire.most_ms) as i64;
        self.frames.insert((at, self.next_frame), (from, to, Vec::new()));
    }

    /// Looks whether the node lives still, and does what its group wants.
    fn after(&mut self, id: u64) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        if let Some(how) = node.died() {
            self.crash(id, how);
            return;
        }
        let Some(life) = &mut node.life else { return };
        let effects = life.group.effects();
        let status = life.group.status();
        self.truth.vote(id, status.term, status.vote);
        for effect in effects {
            match effect {
                Effect::Send { to, frame } => self.post(id, to.0, frame),
                Effect::Sync { number } => {
                    let slow = self.random.one_in(200);
                    let takes = 1 + self.random.below(if slow { 400 } else { 6 }) as i64;
                    if let Some(life) = self.nodes.get_mut(&id).and_then(|n| n.life.as_mut()) {
                        let after = life.syncs.back().map_or(self.now, |(_, at)| *at);
                        life.syncs.push_back((number, after.max(self.now + takes)));
                    }
                }
                Effect::Read { number, at, len } => {
                    let takes = 1 + self.random.below(40) as i64;
                    if let Some(life) = self.nodes.get_mut(&id).and_then(|n| n.life.as_mut()) {
                        let after = life.reads.back().map_or(self.now, |(.., at)| *at);
                        life.reads.push_back((number, at, len, after.max(self.now + takes)));
                    }
                }
                Effect::Role(role) => self.role(id, role),
                Effect::Committed(end) => {
                    self.note(format!("{} {id} {}", self.now, end.0).as_bytes());
                    if let Some(life) = self.nodes.get(&id).and_then(|n| n.life.as_ref()) {
                        self.truth.committed(id, &life.store, end.0);
                    }
                }
            }
        }
    }

    fn role(&mut self, id: u64, role: Role) {
        self.note(format!("{} {id} {role:?}", self.now).as_bytes());
        let Some(life) = self.nodes.get_mut(&id).and_then(|n| n.life.as_mut()) else { return };
        life.role = role;
        if let Role::Leader { term } = role {
            self.elections += 1;
            self.truth.leads(id, term);
            self.truth.check_acknowledged(id, term, &life.store);
        }
    }

    fn post(&mut self, from: u64, to: u64, frame: Vec<u8>) {
        if let Some(seen) = &mut self.seen {
            seen.push((from, to, frame.clone()));
        }
        let Wire { lost, doubled, late, most_ms } = self.wire.clone();
        if self.cut.contains(&(from, to)) || self.random.below(1000) < lost {
            return;
        }
        let copies = 1 + u64::from(self.random.below(1000) < doubled);
        for _ in 0..copies {
            let most = if self.random.below(1000) < late { 300 } else { most_ms };
            let at = self.now + 1 + self.random.below(most) as i64;
            self.next_frame += 1;
            self.frames.insert((at, self.next_frame), (from, to, frame.clone()));
        }
    }

    /// One step of time for everybody.
    pub fn step(&mut self) {
        self.now += STEP_MS;
        while let Some(entry) = self.frames.first_entry()
            && entry.key().0 <= self.now
        {
            let (from, to, frame) = entry.remove();
            if self.cut.contains(&(from, to)) {
                continue;
            }
            let now = self.now;
            let Some(node) = self.nodes.get_mut(&to) else { continue };
            if node.paused_until > now {
                node.waiting.push((from, frame));
                continue;
            }
            node.hear(from, &frame, now);
            self.after(to);
        }
        let ids: Vec<u64> = self.nodes.keys().copied().collect();
        for id in ids {
            self.step_node(id);
        }
        self.answer();
    }

    fn step_node(&mut self, id: u64) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&id) else { return };
        if node.life.is_none() {
            if node.up_at <= now && node.is_wanted {
                self.start(id);
            }
            return;
        }
        if node.paused_until > now {
            return;
        }
        for (from, frame) in std::mem::take(&mut node.waiting) {
            let Some(node) = self.nodes.get_mut(&id) else { return };
            node.hear(from, &frame, now);
            self.after(id);
        }
        loop {
            let Some(life) = self.nodes.get_mut(&id).and_then(|n| n.life.as_mut()) else { return };
            let Some((number, _)) = life.syncs.front().filter(|(_, at)| *at <= now).copied() else {
                break;
            };
            life.syncs.pop_front();
            let Some(node) = self.nodes.get_mut(&id) else { return };
            node.run(|life| {
                life.group.syncer().sync()?;
                life.group.synced(number)
            });
            self.after(id);
        }
        loop {
            let Some(life) = self.nodes.get_mut(&id).and_then(|n| n.life.as_mut()) else { return };
            let due = life.reads.front().filter(|(.., at)| *at <= now).copied();
            let Some((number, at, len, _)) = due else { break };
            life.reads.pop_front();
            self.cold_reads += 1;
            let Some(node) = self.nodes.get_mut(&id) else { return };
            node.run(|life| {
                life.group.reader().read(at, len);
                life.group.read_done(number)
            });
            self.after(id);
        }
        let ticks = (now / STEP_MS + id as i64) % (TICK_MS / STEP_MS) == 0;
        let dice = self.random.below(64);
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.work(now, dice);
        if ticks {
            node.run(|life| life.group.tick(Millis(now)));
        }
        self.after(id);
    }

    pub fn run(&mut self, ms: i64) {
        let until = self.now + ms;
        while self.now < until {
            self.step();
        }
    }

    /// Runs until `done`, at most that long.
    pub fn run_until(&mut self, ms: i64, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let until = self.now + ms;
        while !done(self) {
            assert!(self.now < until, "{what} within {ms} ms; {}", self.describe());
            self.step();
        }
    }

    /// The member that takes appends in the newest term.
    pub fn leader(&self) -> Option<u64> {
        let leads = |(id, node): (&u64, &Node)| match node.life.as_ref()?.role {
            Role::Leader { term } => Some((term, *id)),
            _ => None,
        };
        self.nodes.iter().filter_map(leads).max().map(|(_, id)| id)
    }

    /// A client sends to the member; true if that took it.
    pub fn send(&mut self, id: u64) -> bool {
        self.number += 1;
        let (number, now) = (self.number, self.now);
        let (topic, queue) = (self.random.below(2) as usize, self.random.below(2) as u32);
        let len = match self.random.below(8) {
            0 => self.random.below(1500),
            _ => self.random.below(200),
        };
        let Some(node) = self.nodes.get_mut(&id) else { return false };
        if node.paused_until > now {
            return false;
        }
        match node.send(number, topic, queue, len as usize, now) {
            Some(sent) => self.sent.push(sent),
            None => {
                self.refused += 1;
                self.after(id);
                return false;
            }
        }
        if let Some(node) = self.nodes.get_mut(&id) {
            node.run(|life| life.group.log_grew());
        }
        self.after(id);
        true
    }

    /// A client asks for what stands beside the log; true if the member takes appends.
    pub fn ask(&mut self, id: u64) -> bool {
        let (now, floor) = (self.now, self.truth.agreed());
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.paused_until <= now) else {
            return false;
        };
        let Some(asked) = node.ask(floor) else { return false };
        self.asked.push(asked);
        node.run(|life| life.group.log_grew());
        self.after(id);
        true
    }

    /// A member that is believed has everything that anybody had called agreed on before.
    fn hear_answers(&mut self) {
        let mut asked = std::mem::take(&mut self.asked);
        asked.retain_mut(|asked| {
            let node = self.nodes.get(&asked.node).filter(|node| node.paused_until <= self.now);
            let Some(life) = node.and_then(|node| node.life.as_ref()) else { return true };
            let Some(led) = asked.poll() else { return true };
            let (has, floor) = (life.store.confirmed().0, asked.floor);
            assert!(!led || has >= floor, "n{} led, and has {has} of {floor}", asked.node);
            self.led += u64::from(led);
            false
        });
        self.asked = asked;
    }

    /// Sees which sends are answered.
    fn answer(&mut self) {
        self.hear_answers();
        let mut sent = std::mem::take(&mut self.sent);
        let now = self.now;
        sent.retain_mut(|sent| {
            // A frozen process answers nobody.
            if self.nodes.get(&sent.node).is_some_and(|node| node.paused_until > now) {
                return true;
            }
            match sent.poll() {
                None => true,
                Some(is_safe) => {
                    if is_safe {
                        self.truth.acknowledge(sent);
                    } else {
                        self.unknown += 1;
                    }
                    false
                }
            }
        });
        self.sent = sent;
    }

    pub fn awaited(&self) -> usize {
        self.sent.len()
    }

    /// Questions that are not answered yet.
    pub fn open_questions(&self) -> usize {
        self.asked.len()
    }

    /// Everybody is there and hears everybody; soon all have the same, and sends go on.
    pub fn heal_and_check(&mut self, wanted: &[u64]) {
        self.cut.clear();
        self.wire = Wire { lost: 0, doubled: 0, late: 0, most_ms: 4 };
        for (id, node) in &mut self.nodes {
            node.heal(wanted.contains(id), self.now);
        }
        // Who is no member any more ends here, and answers nobody.
        self.sent.retain(|sent| wanted.contains(&sent.node));
        self.asked.retain(|asked| wanted.contains(&asked.node));
        self.run(10);
        let before = self.truth.acknowledged();
        let until = self.now + 40_000;
        while self.truth.acknowledged() == before {
            assert!(self.now < until, "no send is answered; {}", self.describe());
            if self.now % 100 == 0
                && let Some(leader) = self.leader()
            {
                self.send(leader);
            }
            self.step();
        }
        let led = self.led;
        self.run_until(20_000, "who leads says so", |cluster| cluster.leader().is_some());
        let leader = self.leader().expect("just seen");
        assert!(self.ask(leader));
        self.run_until(20_000, "a question is answered", |cluster| cluster.asked.is_empty());
        assert!(self.led > led || self.leader() != Some(leader), "all is well, and it led");
        let wanted = wanted.to_vec();
        self.run_until(60_000, "all have all", |cluster| {
            let ends: BTreeSet<_> = wanted
                .iter()
                .map(|id| cluster.nodes[id].life.as_ref().map(|life| {
                    let status = life.group.status();
                    let idle = !status.suspect && status.copying.is_none();
                    (idle, life.store.confirmed(), life.store.appended(), status.last, status.committed)
                }))
                .collect();
            cluster.sent.is_empty()
                && ends.len() == 1
                && matches!(ends.first(), Some(Some((true, a, b, last, done))) if a == b && last == done)
        });
        let stores: Vec<_> = wanted
            .iter()
            .map(|id| self.nodes[id].life.as_ref().expect("it lives").store.clone())
            .collect();
        for (id, store) in wanted.iter().zip(&stores) {
            while store.dispatch() > 0 {}
            self.truth.check_acknowledged(*id, u64::MAX, store);
            self.truth.check_all(*id, store);
        }
    }

    pub fn describe(&self) -> String {
        let each = self.nodes.values().map(|node| match &node.life {
            Some(life) => {
                let status = life.group.status();
                format!("{status:?} log {:?}", life.store.appended())
            }
            None => format!("n{} is down until {}: {:?}", node.id, node.up_at - NOW, node.refusal),
        });
        let all: Vec<_> = each.collect();
        format!("at {} ms: {}", self.now - NOW, all.join("\n"))
    }
}

pub fn peer(id: u64) -> Peer {
    Peer { id: PeerId(id), address: format!("host{id}:40911") }
}

impl Cluster {
    /// The member has a single broker's directory.
    pub fn move_in(&mut self, id: u64) {
        let count = 1 + self.random.below(40);
        let closes = self.random.one_in(2);
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let (store, sent) = node.was_alone(count, closes, now);
        self.truth.begins_with(&store);
        for sent in &sent {
            self.truth.acknowledge(sent);
        }
        drop((store, sent));
        if let Some(node) = self.nodes.get_mut(&id) {
            node.crash(Crash::Process);
        }
    }

    /// A machine that is to join.
    pub fn add(&mut self, id: u64) {
        let seed = self.random.below(u64::MAX);
        self.nodes.insert(id, Node::new(id, seed));
        self.start(id);
    }

    /// Everybody is there, and a leader.
    pub fn quiet(&mut self) {
        self.cut.clear();
        self.wire = Wire { lost: 0, doubled: 0, late: 0, most_ms: 4 };
        for node in self.nodes.values_mut() {
            node.heal(true, self.now);
        }
        self.run_until(40_000, "a leader", |cluster| cluster.leader().is_some());
    }

    /// The members as the leader knows them.
    pub fn members(&self) -> Vec<u64> {
        let leader = self.leader().expect("somebody leads");
        let life = self.nodes[&leader].life.as_ref().expect("it lives");
        life.group.status().peers.iter().map(|peer| peer.id.0).collect()
    }
}
