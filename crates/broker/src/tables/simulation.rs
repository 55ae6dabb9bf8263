//! Members of a group with real tables over a modelled Raft log: what a leader tells of a consumer
//! offset is never behind what any leader told before, whoever ends when.

use std::sync::Arc;

use skua_protocol::body::ConsumerOffsets as File;
use skua_protocol::{Millis, PhysicalOffset, json};
use skua_seeds::{Random, each};
use skua_store::Epoch;

use super::log::{Step, TableLog, Ticket};
use crate::consumer_offsets::{ConsumerOffsets, OffsetChanges};
use crate::files::ConfigFile;
use crate::files::tests::MemoryFiles;

const SEEDS: u64 = 10_000;
const STEPS: usize = 100;
const KEYS: i32 = 3;
const NOW: Millis = Millis(1);
const SAVED: &str = "consumerOffset.json";

/// An entry of the modelled log; of tables, or the one that a leader begins its term with.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    term: u64,
    change: Option<(u64, OffsetChanges)>,
}

struct Member {
    up: bool,
    term: u64,
    leads: bool,
    /// It takes appends, in this epoch.
    epoch: Option<Epoch>,
    epochs: u64,
    /// The broker knows that it is master: later than it leads the log, and for longer.
    is_master: bool,
    entries: Vec<Entry>,
    confirmed: usize,
    table: ConsumerOffsets,
    log: TableLog,
    /// What its files hold.
    file: Vec<u8>,
    kept: u64,
    /// The leader's table on its way here.
    snapshot: Option<Vec<u8>>,
    /// When each of the others said last that this one leads.
    followed: Vec<u64>,
}

fn table() -> ConsumerOffsets {
    let table = ConsumerOffsets::new(1, NOW);
    table.keep_local_commits();
    table
}

impl Member {
    fn new() -> Self {
        let table = table();
        Self {
            up: true,
            term: 0,
            leads: false,
            epoch: None,
            epochs: 0,
            is_master: false,
            entries: Vec::new(),
            confirmed: 0,
            file: table.encode(),
            table,
            log: TableLog::default(),
            kept: 0,
            snapshot: None,
            followed: vec![0; 5],
        }
    }

    /// Records of tables that can be read.
    fn records(&self) -> Vec<&(u64, OffsetChanges)> {
        self.entries[..self.confirmed].iter().filter_map(|entry| entry.change.as_ref()).collect()
    }

    fn follow(&mut self) {
        let records: Vec<_> = self.records().into_iter().cloned().collect();
        self.log.bound(0, records.len() as u64);
        for (nth, (at, change)) in records.into_iter().enumerate().skip(self.log.next() as usize) {
            if at == nth as u64 {
                self.table.take_logged(change);
            }
            self.log.took(nth as u64 + 1);
        }
    }

    fn append(&mut self) -> bool {
        let change = self.table.take_changes(2);
        // The broker does not know yet, but the log does.
        let Some(epoch) = self.epoch else {
            self.table.put_back(change);
            return false;
        };
        let at = self.entries.iter().filter(|entry| entry.change.is_some()).count() as u64;
        let change = Some((self.log.next(), change));
        self.entries.push(Entry { term: self.term, change });
        let end = PhysicalOffset(self.entries.len() as u64);
        if !self.log.appended(at, end, epoch) {
            return false;
        }
        if self.table.has_changes() {
            return self.append();
        }
        self.log.has_all();
        true
    }

    fn due(&mut self) {
        if self.log.leads(self.epoch) {
            self.log.agreed_up_to(self.records().len() as u64);
            if self.is_master && self.table.has_changes() {
                self.append();
            }
        } else if !self.is_master {
            self.follow();
        }
    }

    fn become_master(&mut self) {
        let epoch = self.epoch;
        self.follow();
        self.log.lead(epoch);
        self.table.begin_journal();
        self.table.become_masters();
        (self.is_master, self.snapshot) = (true, None);
    }

    fn become_slave(&mut self) {
        self.is_master = false;
        self.table.become_slaves();
        self.log.give_up();
        self.table.end_journal();
    }

    fn lose_lead(&mut self) {
        (self.leads, self.epoch) = (false, None);
    }

    fn restart(&mut self) {
        self.lose_lead();
        (self.up, self.is_master, self.snapshot) = (true, false, None);
        self.table = table();
        let file = ConfigFile::new(Arc::new(MemoryFiles::default()), SAVED);
        file.save(|| self.file.clone()).expect("memory");
        self.table.load(&file).expect("its own file");
        self.log = TableLog::from(self.kept);
        // What is agreed on it hears anew.
        self.confirmed = 0;
    }
}

/// A client's request that waits for its answer.
struct Waits {
    member: usize,
    epoch: Epoch,
    ticket: Ticket,
    key: i32,
    offset: i64,
    /// What was told before it came, if it asks.
    floor: Option<i64>,
    /// When the group was asked whether the member leads still.
    asked: Option<u64>,
    /// Handed on by that member.
    of: Option<usize>,
}

struct Sim {
    dice: Random,
    members: Vec<Member>,
    waits: Vec<Waits>,
    agreed: Vec<Entry>,
    term: u64,
    time: u64,
    /// One that the others do not hear, nor it them; clients do.
    cut: Option<usize>,
    /// By key: what consumers have come to, and what they were told.
    done: [i64; KEYS as usize],
    told: [i64; KEYS as usize],
    answers: u64,
}

impl Sim {
    fn new(seed: u64) -> Self {
        let mut dice = Random(seed);
        let size = if dice.one_in(3) { 5 } else { 3 };
        let members = (0..size).map(|_| Member::new()).collect();
        let (done, told) = ([0; KEYS as usize], [-1; KEYS as usize]);
        let (waits, agreed) = (Vec::new(), Vec::new());
        Self { dice, members, waits, agreed, term: 0, time: 0, cut: None, done, told, answers: 0 }
    }

    fn any(&mut self) -> usize {
        self.dice.below(self.members.len() as u64) as usize
    }

    /// One that takes itself for the master, if that could be found.
    fn master(&mut self) -> Option<usize> {
        let is_master = |nth: &usize| self.members[*nth].up && self.members[*nth].is_master;
        let masters: Vec<usize> = (0..self.members.len()).filter(is_master).collect();
        (!masters.is_empty()).then(|| *self.dice.pick(&masters))
    }

    fn hears(&self, a: usize, b: usize) -> bool {
        a == b || (self.cut != Some(a) && self.cut != Some(b))
    }

    /// A leader's cable is out, and most likely another is elected.
    fn cut_off(&mut self) {
        let Some(nth) = self.master() else { return };
        // What it knows is agreed on, or it could tell nothing.
        for _ in 0..self.dice.below(4) {
            self.members[nth].due();
            (0..self.members.len()).for_each(|other| self.talk(nth, other));
        }
        self.cut = Some(nth);
        for other in 0..self.members.len() {
            if other != nth && self.dice.one_in(2) {
                self.elect(other);
                for follower in 0..self.members.len() {
                    self.talk(other, follower);
                }
                self.hear(other);
            }
        }
    }

    fn elect(&mut self, nth: usize) {
        let best = |member: &Member| {
            (member.entries.last().map_or(0, |entry| entry.term), member.entries.len())
        };
        let own = best(&self.members[nth]);
        let majority = self.members.len() / 2 + 1;
        let mut voters: Vec<usize> = (0..self.members.len())
            .filter(|of| self.members[*of].up && best(&self.members[*of]) <= own)
            .filter(|of| self.hears(nth, *of))
            .collect();
        if !self.members[nth].up || voters.len() < majority {
            return;
        }
        // No more than must: the others do not hear of it.
        while voters.len() > majority && self.dice.one_in(2) {
            let out = self.dice.below(voters.len() as u64) as usize;
            if voters[out] != nth {
                voters.remove(out);
            }
        }
        self.term += 1;
        for voter in voters {
            self.members[voter].term = self.term;
            self.members[voter].lose_lead();
        }
        let leader = &mut self.members[nth];
        leader.leads = true;
        leader.entries.push(Entry { term: self.term, change: None });
    }

    /// A leader and a follower talk; what most have is agreed on.
    fn talk(&mut self, from: usize, to: usize) {
        let (leader, follower) = (&self.members[from], &self.members[to]);
        if from == to || !self.hears(from, to) || !leader.leads || !leader.up || !follower.up {
            return;
        }
        if follower.term > leader.term {
            let term = follower.term;
            self.members[from].term = term;
            self.members[from].lose_lead();
            return;
        }
        let same = leader.entries.iter().zip(&follower.entries);
        let same = same.take_while(|(a, b)| a == b).count();
        let more = self.dice.below(3) as usize + 1;
        let len = (same + more).min(leader.entries.len());
        let (term, confirmed) = (leader.term, leader.confirmed.min(len));
        let entries = leader.entries[..len].to_vec();
        let follower = &mut self.members[to];
        if follower.leads {
            follower.lose_lead();
        }
        assert!(follower.confirmed <= same, "the model takes back what is agreed on");
        follower.term = term;
        if len > same || follower.entries.len() > len {
            // Only a conflict takes anything away.
            if follower.entries[..len.min(follower.entries.len())] != entries[..] {
                follower.entries = entries;
            }
        }
        follower.confirmed = follower.confirmed.max(confirmed);
        self.members[from].followed[to] = self.time;
        self.agree(from);
    }

    fn agree(&mut self, nth: usize) {
        let leader = &self.members[nth];
        let has = |len: usize| {
            let have = self.members.iter().filter(|member| {
                member.term <= leader.term
                    && member.entries.len() >= len
                    && member.entries[..len] == leader.entries[..len]
            });
            have.count() > self.members.len() / 2
        };
        let of_term = |len: &usize| leader.entries[len - 1].term == leader.term;
        let most = (1..=leader.entries.len()).filter(of_term).filter(|len| has(*len)).max();
        let Some(len) = most.filter(|len| *len > leader.confirmed) else { return };
        let common = len.min(self.agreed.len());
        assert_eq!(self.agreed[..common], leader.entries[..common], "the model is wrong");
        if len > self.agreed.len() {
            self.agreed = leader.entries[..len].to_vec();
        }
        let leader = &mut self.members[nth];
        leader.confirmed = len;
        if leader.epoch.is_none() && leader.entries.len() == len {
            leader.epochs += 1;
            leader.epoch = Some(Epoch(leader.epochs));
        }
    }

    /// The broker hears what became of its place.
    fn hear(&mut self, nth: usize) {
        let member = &mut self.members[nth];
        let leads = member.log.leads(member.epoch);
        if member.up && member.is_master && !leads {
            member.become_slave();
        }
        if member.up && !member.is_master && member.epoch.is_some() {
            member.become_master();
        }
    }

    fn wait(
        &mut self,
        member: usize,
        key: i32,
        offset: i64,
        floor: Option<i64>,
        of: Option<usize>,
    ) {
        let there = &self.members[member];
        let Some(epoch) = there.epoch.filter(|epoch| there.log.leads(Some(*epoch))) else { return };
        let has_changes = there.table.has_changes();
        let asked = (floor.is_some() && !has_changes).then_some(self.time);
        let ticket = there.log.ticket(has_changes);
        self.waits.push(Waits { member, epoch, ticket, key, offset, floor, asked, of });
    }

    fn commit(&mut self, nth: usize) {
        let key = self.dice.below(KEYS as u64) as i32;
        self.done[key as usize] += self.dice.below(3) as i64;
        let offset = self.done[key as usize];
        self.members[nth].table.commit("g", "t", key, offset, NOW);
        if self.dice.one_in(2) {
            self.wait(nth, key, offset, None, None);
        }
    }

    fn ask(&mut self, nth: usize, key: i32) {
        let floor = self.told[key as usize];
        let table = &self.members[nth].table;
        table.log_committed("g", "t", key);
        let offset = table.committed("g", "t", key).unwrap_or(-1);
        self.wait(nth, key, offset, Some(floor), None);
    }

    fn answer(&mut self, nth: usize) {
        let Waits { member, epoch, ticket, key, offset, floor, asked, of } = self.waits[nth];
        let majority = self.members.len() / 2 + 1;
        let there = &mut self.members[member];
        let followers = there.followed.iter().filter(|at| asked.is_some_and(|asked| **at > asked));
        let leads = asked.is_none() || followers.count() + 1 >= majority;
        if !there.up || !there.log.leads(there.epoch) || !there.log.leads(Some(epoch)) {
            self.waits.swap_remove(nth);
            return;
        }
        match there.log.step(ticket, PhysicalOffset(there.confirmed as u64)) {
            Step::Append => drop(there.append()),
            Step::Wait(_) => {}
            Step::Done if !leads => {}
            Step::Done => {
                self.waits.swap_remove(nth);
                self.answers += 1;
                if let Some(floor) = floor {
                    assert!(offset >= floor, "{key}: {offset} is told after {floor}");
                }
                let told = &mut self.told[key as usize];
                *told = offset.max(*told);
                if let Some(of) = of {
                    let commits = self.members[of].table.local_commits();
                    let known = commits.iter().find(|commit| commit.queue == key);
                    if let Some(commit) = known.filter(|commit| commit.offset == offset) {
                        self.members[of].table.commit_is_known(commit);
                    }
                }
            }
        }
    }

    /// What a follower has from clients or from its own time goes to the leader.
    fn hand_on(&mut self, from: usize, to: usize) {
        let member = &self.members[from];
        if member.up && !member.is_master && from != to && self.hears(from, to) {
            for commit in member.table.local_commits() {
                let table = &self.members[to].table;
                table.commit_forward("g", "t", commit.queue, commit.offset, NOW);
                self.wait(to, commit.queue, commit.offset, None, Some(from));
            }
        }
    }

    fn copy(&mut self, from: usize, to: usize) {
        let of_leader = self.hears(from, to)
            && self.members[from].leads
            && self.members[from].term == self.members[to].term;
        let content = of_leader.then(|| self.members[from].table.encode());
        let member = &mut self.members[to];
        if !member.up || member.is_master {
            return;
        }
        match member.snapshot.take() {
            Some(content) => {
                let file = json::from_slice::<File>(&content).expect("its own");
                member.table.take_masters(file);
            }
            None => member.snapshot = content,
        }
    }

    fn save(&mut self, nth: usize) {
        let crashes_between = self.dice.one_in(4);
        let member = &mut self.members[nth];
        if !member.up {
            return;
        }
        let kept = member.log.kept();
        member.file = member.table.encode();
        if !crashes_between {
            member.kept = kept;
        }
    }

    fn step(&mut self) {
        self.time += 1;
        let (a, b) = (self.any(), self.any());
        if self.cut.is_some() && self.dice.one_in(20) {
            self.cut = None;
        }
        match self.dice.below(25) {
            0..=6 => {
                let leader = (0..self.members.len()).filter(|nth| self.members[*nth].leads);
                let newest = leader.max_by_key(|nth| self.members[*nth].term);
                self.talk(newest.unwrap_or(a), b);
            }
            7 => self.talk(a, b),
            8 if self.dice.one_in(3) => self.elect(a),
            8..=10 => self.hear(a),
            11..=13 => {
                // Seldom: it could tell nothing any more.
                let master = self.master();
                let is_lost = master.is_some() && master == self.cut && !self.dice.one_in(8);
                if let Some(nth) = master.filter(|_| !is_lost) {
                    self.commit(nth);
                }
            }
            14 if self.members[a].up && !self.members[a].is_master => self.commit(a),
            15 | 16 => {
                if let Some(nth) = self.master() {
                    let key = self.dice.below(KEYS as u64) as i32;
                    self.ask(nth, key);
                }
            }
            17 | 18 => (0..self.waits.len()).rev().for_each(|nth| self.answer(nth)),
            19 if self.members[a].up => self.members[a].due(),
            20 => self.save(a),
            21 if self.members[b].is_master => self.hand_on(a, b),
            22 => self.copy(a, b),
            23 if self.dice.one_in(2) => {
                if self.members[a].up {
                    self.members[a].up = false;
                    self.members[a].lose_lead();
                } else {
                    self.members[a].restart();
                }
            }
            24 => match self.cut {
                Some(nth) if self.members[nth].is_master => {
                    (0..KEYS).for_each(|key| self.ask(nth, key));
                }
                Some(_) => {}
                None if self.dice.one_in(2) => self.cut_off(),
                None => {}
            },
            _ => {}
        }
    }

    /// All are well again: one leads, and tells no less than was told.
    fn heal(&mut self) {
        self.cut = None;
        for nth in 0..self.members.len() {
            if !self.members[nth].up {
                self.members[nth].restart();
            }
        }
        self.waits.clear();
        let best = |nth: &usize| {
            let entries = &self.members[*nth].entries;
            (entries.last().map_or(0, |entry| entry.term), entries.len())
        };
        let leader = (0..self.members.len()).max_by_key(best).expect("members");
        self.elect(leader);
        for round in 0..60 {
            self.time += 1;
            for other in 0..self.members.len() {
                self.talk(leader, other);
                self.hear(other);
                self.members[other].due();
                if round > 40 {
                    self.copy(leader, other);
                }
            }
            if round == 20 {
                (0..KEYS).for_each(|key| self.ask(leader, key));
                assert_eq!(self.waits.len(), KEYS as usize, "it does not lead");
            }
            (0..self.waits.len()).rev().for_each(|nth| self.answer(nth));
        }
        assert!(self.waits.is_empty(), "asked in vain");
        // What was told everybody knows then, save who knows more and hands it on.
        let known = |nth: usize, key| self.members[nth].table.committed("g", "t", key);
        for nth in (0..self.members.len()).filter(|nth| *nth != leader) {
            for key in (0..KEYS).filter(|key| known(leader, *key).is_some()) {
                let has_more = !self.members[nth].table.local_commits().is_empty();
                assert!(has_more || known(nth, key) == known(leader, key), "{nth}, queue {key}");
            }
        }
    }
}

#[test]
fn what_is_told_of_an_offset_never_goes_back() {
    let answers: u64 = each(SEEDS, |seed| {
        let mut sim = Sim::new(seed);
        let first = sim.any();
        sim.elect(first);
        (0..STEPS).for_each(|_| sim.step());
        sim.heal();
        sim.answers
    })
    .into_iter()
    .sum();
    eprintln!("{answers} answers");
}
