//! The simulation's state: members, requests under way, copies of tables on their way, and what
//! must be so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use skua_protocol::body::{
    ConsumerOffsets, DataVersion, SubscriptionGroupTable, TopicConfigSerializeWrapper,
};
use skua_protocol::header::Fields;
use skua_protocol::record::Message;
use skua_protocol::service::{BoxFuture, Outcome};
use skua_protocol::{Command, Millis, RequestCode, ResponseCode, json};
use skua_seeds::Random;
use skua_store::ReadLimits;

use super::super::{Change, QUEUE};
use super::held::{self, Held};
use super::{FREE_GROUP, GROUP, TOPIC, is_success, make_group, make_topic};
use crate::consumer_offsets::LocalCommit;
use crate::names::TABLES_TOPIC;
use crate::pop::order::OrderInfo;
use crate::queue_locks::Holders;
use crate::replication::copied_at;
use crate::role::Role;
use crate::swap_map::lock;
use crate::test_broker::poll;
use crate::test_group::TestGroup;

/// What a follower asks its leader for; the last for what it hands on.
pub const COPIED: [RequestCode; 5] = [
    RequestCode::GetAllTopicConfig,
    RequestCode::GetAllSubscriptionGroupConfig,
    RequestCode::GetAllConsumerOffset,
    RequestCode::GetAllHeld,
    RequestCode::UpdateConsumerOffset,
];
const SYSTEM_GROUP: &str = "@CID_RMQ_SYS_";
pub const QUEUES: usize = 3;
/// A member that finds no leader tells what it knows after so long.
const LOOK_MS: i64 = 2_500;
/// The files of the test's stores are of 256 KiB; their ends are none of this test's business.
const LOG_MAX: u64 = 200 << 10;

/// What one client at a time sets to a number of its own; `None`: deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Topic(&'static str),
    Group(&'static str),
    /// A group, and a topic that it may read.
    Readable(&'static str, &'static str),
    /// A group's offset of the first queue of [`TOPIC`], to and fro.
    Offset(&'static str),
    /// A queue's holder; to be found in [`Held`].
    Lock,
}

/// What a request is to have, or to tell.
#[derive(Clone, Debug)]
pub enum Asked {
    Nothing,
    Commit {
        queue: i32,
        offset: i64,
    },
    /// What was told of the queue before it came.
    Offset {
        queue: i32,
        floor: i64,
    },
    Set(Key, Option<i32>),
    /// A message to a topic that is made by it.
    Sent(String),
    Held(held::Request),
    /// Handed on by a member from its own table.
    HandedOn {
        of: usize,
        commit: LocalCommit,
    },
    /// A table that a member asked for, for its own.
    Copy {
        to: usize,
        of: RequestCode,
    },
}

pub struct Call {
    at: usize,
    began: Millis,
    pub asked: Asked,
    state: State,
}

enum State {
    Work(Box<dyn FnOnce() -> Outcome + Send>),
    Waits(BoxFuture<Command>),
    Answered(Command),
}

/// What the records of tables say, as this test understands them.
#[derive(Clone, Debug, Default, PartialEq)]
struct Tables {
    topics: BTreeMap<String, i32>,
    groups: BTreeMap<String, i32>,
    forbidden: BTreeMap<String, BTreeMap<String, i32>>,
    offsets: BTreeMap<(String, i32), i64>,
    orders: BTreeMap<String, OrderInfo>,
    locks: Holders,
    topics_at: DataVersion,
    /// That of the last leader that has said all that it has.
    term: i64,
}

pub struct World {
    pub dice: Random,
    pub group: TestGroup,
    pub calls: Vec<Call>,
    /// After so many records of tables that are agreed on.
    tables: Vec<Tables>,
    /// By member: its tables may have more than its records say, until it has read so many.
    ahead: Vec<u64>,
    /// It was master in this term; until it has read what a later leader began with.
    has_led: Vec<Option<i64>>,
    /// And its offsets such that their leader had from clients or from its own time: what nobody has
    /// asked for is in no record.
    has_others: Vec<bool>,
    /// With so many records it was found to have what they say.
    compared: Vec<Option<u64>>,
    /// By queue: what consumers have come to, and what they were told.
    pub done: [i64; QUEUES],
    pub told: [i64; QUEUES],
    /// What was answered, and how many records there were then at the most; while nothing else is
    /// asked for.
    pub known: BTreeMap<Key, (Option<i32>, u64)>,
    /// Offsets that may have been committed: a member hands on what is further than others have.
    perhaps: BTreeSet<i32>,
    sent: Vec<(String, u64)>,
    pub held: Held,
    newest: u64,
    number: i32,
    pub answers: u64,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut dice = Random(seed);
        let group = TestGroup::new(if dice.one_in(4) { 5 } else { 3 }, "timerWheelEnable=false\n");
        group.connect();
        let ahead = vec![1; group.len()];
        let mut world = Self {
            dice,
            group,
            calls: Vec::new(),
            tables: vec![Tables::default()],
            has_others: vec![false; ahead.len()],
            has_led: vec![None; ahead.len()],
            compared: vec![None; ahead.len()],
            ahead,
            done: [0; QUEUES],
            told: [-1; QUEUES],
            known: BTreeMap::new(),
            perhaps: BTreeSet::new(),
            sent: Vec::new(),
            held: Held::default(),
            newest: 0,
            number: 0,
            answers: 0,
        };
        world.elect(0);
        world.settle(0, 8);
        world.begin(0, make_topic(TOPIC, QUEUES as i32), Asked::Nothing);
        world.begin(0, make_group(GROUP, 1), Asked::Nothing);
        world.begin(0, make_group(FREE_GROUP, 1), Asked::Nothing);
        world.settle_all(0);
        world.begin_to_hold();
        world
    }

    pub fn any(&mut self) -> usize {
        self.dice.below(self.group.len() as u64) as usize
    }

    pub fn next_number(&mut self) -> i32 {
        self.number += 1;
        self.number
    }

    pub fn is_near_the_files_end(&self) -> bool {
        (0..self.group.len()).any(|nth| self.group.at(nth).store.appended().0 > LOG_MAX)
    }

    /// Where a client goes: usually to one that takes itself for the master.
    pub fn client_of(&mut self) -> usize {
        let masters: Vec<usize> =
            (0..self.group.len()).filter(|nth| self.group.is_master(*nth)).collect();
        match masters.is_empty() || self.dice.one_in(4) {
            true => self.any(),
            false => *self.dice.pick(&masters),
        }
    }

    pub fn elect(&mut self, nth: usize) {
        let mut voters = self.group.voters(nth);
        // No more than must: the others do not hear of it.
        while voters.len() > self.group.len() / 2 + 1 && self.dice.one_in(2) {
            let out = self.dice.below(voters.len() as u64) as usize;
            if voters[out] != nth {
                voters.remove(out);
            }
        }
        self.group.elect(nth, &voters);
    }

    pub fn begin(&mut self, at: usize, request: Command, asked: Asked) {
        if !self.group.is_up(at) {
            return;
        }
        let began = self.group.now;
        let state = State::from(self.group.start_request(at, request));
        self.calls.push(Call { at, began, asked, state });
    }

    pub fn begin_one_way(&mut self, at: usize, request: Command) {
        self.begin(at, request.one_way(), Asked::Nothing);
    }

    /// Looks at all that is under way.
    pub fn answers(&mut self) {
        for nth in (0..self.calls.len()).rev() {
            self.look(nth);
        }
    }

    fn look(&mut self, nth: usize) {
        let Call { at, began, asked, state } = self.calls.swap_remove(nth);
        let state = match state {
            // Those who wait for the disk take their time.
            State::Work(work) if self.dice.one_in(3) => State::Work(work),
            State::Work(work) => State::from(work()),
            State::Waits(mut waiting) => match poll(&mut waiting) {
                std::task::Poll::Ready(answer) => State::Answered(answer),
                std::task::Poll::Pending => State::Waits(waiting),
            },
            answered => answered,
        };
        match state {
            State::Answered(answer) => self.answered(at, began, asked, &answer),
            state => self.calls.push(Call { at, began, asked, state }),
        }
    }

    fn answered(&mut self, at: usize, began: Millis, asked: Asked, answer: &Command) {
        self.answers += 1;
        let success = is_success(answer);
        match asked {
            Asked::Nothing => {}
            Asked::Commit { queue, offset } if success => {
                let told = &mut self.told[queue as usize];
                *told = offset.max(*told);
            }
            // Told by one that found no leader: that may be old.
            Asked::Offset { .. } if self.group.now.since(began) >= LOOK_MS => {}
            Asked::Offset { queue, floor } => {
                let told = match success {
                    true => answer.fields.get("offset").and_then(|text| text.parse().ok()),
                    false if answer.code == ResponseCode::QueryNotFound as i32 => Some(-1),
                    false => None,
                };
                if let Some(offset) = told {
                    assert!(offset >= floor, "{queue}: {offset} is told after {floor} at {at}");
                    assert!(offset <= self.done[queue as usize], "{queue}: {offset} is told");
                    let told = &mut self.told[queue as usize];
                    *told = offset.max(*told);
                }
            }
            Asked::Set(key, value) if success => {
                let records = self.records_known();
                self.known.insert(key, (value, records));
            }
            Asked::Set(Key::Offset(_), Some(offset)) => drop(self.perhaps.insert(offset)),
            Asked::Sent(topic) if success => {
                let records = self.records_known();
                self.sent.push((topic, records));
            }
            Asked::HandedOn { of, commit } if self.group.is_up(of) => {
                self.group.at(of).broker.handed_on(&commit, answer);
            }
            Asked::Copy { to, of } if success => self.take(to, of, answer),
            Asked::Held(asked) => self.held_answered(began, asked, answer),
            _ => {}
        }
    }

    /// How many records any member has ever read, or written.
    pub fn records_known(&mut self) -> u64 {
        for nth in 0..self.group.len() {
            self.newest = self.newest.max(self.next_of(nth));
            if self.group.at(nth).broker.is_master() {
                // What it was asked for and nobody agreed on stays with it until another leads.
                self.has_led[nth] = Some(self.group.master_term(nth));
            }
        }
        self.newest
    }

    fn next_of(&self, nth: usize) -> u64 {
        lock(&self.group.at(nth).broker.tables.log).next()
    }

    /// A follower asks its leader for a table, or hands on what it has from clients.
    pub fn copy(&mut self, to: usize, of: RequestCode) {
        let Some(from) = self.group.leader().filter(|from| *from != to) else { return };
        if !self.group.is_up(to) || self.group.is_master(to) {
            return;
        }
        if of != RequestCode::UpdateConsumerOffset {
            let request = Command::raw_request(of, Fields::new());
            return self.begin(from, request, Asked::Copy { to, of });
        }
        for commit in self.group.at(to).broker.local_commits() {
            let request = self.group.at(to).broker.hand_on(&commit);
            self.begin(from, request, Asked::HandedOn { of: to, commit });
        }
    }

    fn take(&mut self, to: usize, of: RequestCode, answer: &Command) {
        if !self.group.is_up(to) {
            return;
        }
        let broker = self.group.at(to).broker.clone();
        let at = copied_at(answer);
        self.ahead[to] = self.ahead[to].max(self.records_known());
        self.compared[to] = None;
        match of {
            RequestCode::GetAllTopicConfig => {
                let table = json::from_slice::<TopicConfigSerializeWrapper>(&answer.body);
                broker
                    .take_topics(table.expect("a table"), at)
                    .expect("nothing fails on this disk");
            }
            RequestCode::GetAllSubscriptionGroupConfig => {
                let table = json::from_slice::<SubscriptionGroupTable>(&answer.body);
                broker
                    .take_groups(table.expect("a table"), at)
                    .expect("nothing fails on this disk");
            }
            RequestCode::GetAllHeld => {
                broker.take_held(&answer.body, at, self.group.now).expect("a table");
            }
            _ => {
                self.has_others[to] = true;
                let table = json::from_slice::<ConsumerOffsets>(&answer.body);
                broker.take_offsets(table.expect("a table"), at, self.group.now);
            }
        }
    }

    pub fn end_or_start(&mut self, nth: usize) {
        let in_order = self.group.is_up(nth) && self.dice.one_in(4);
        self.ahead[nth] = self.ahead[nth].max(self.next_of(nth));
        if self.group.is_up(nth) {
            // Whoever waits for it hears nothing.
            for call in self.calls.extract_if(.., |call| call.at == nth) {
                if let Asked::Set(Key::Offset(_), Some(offset)) = call.asked {
                    self.perhaps.insert(offset);
                }
            }
            self.group.kill(nth);
            // They let go of it.
            self.answers();
        }
        if in_order || !self.dice.one_in(3) {
            self.start(nth, in_order);
            self.compared[nth] = None;
        }
    }

    /// Reads what is agreed on, by whoever has it.
    fn read_records(&mut self, nth: usize) {
        let store = &self.group.at(nth).store;
        let from = self.tables.len() as i64 - 1;
        let read =
            store.read(TABLES_TOPIC, QUEUE, from, ReadLimits { max_messages: 32 }, &mut |_| true);
        for message in Message::decode_all(&read.body).expect("own records") {
            let mut tables = self.tables.last().expect("the first").clone();
            let change = json::from_slice::<Change>(&message.body).expect("own records");
            if change.at == message.queue_offset as u64 {
                tables.take(change);
            }
            self.tables.push(tables);
        }
    }

    /// What must be so at a member.
    pub fn check(&mut self, nth: usize) {
        if !self.group.is_up(nth) {
            return;
        }
        self.read_records(nth);
        self.records_known();
        let broker = &self.group.at(nth).broker;
        let next = self.next_of(nth);
        let behind =
            |records: u64| next < records || (broker.is_master() && !broker.leads_tables());
        for (key, (value, records)) in self.known.iter().filter(|(_, (_, at))| !behind(*at)) {
            let there = match *key {
                Key::Topic(name) => {
                    broker.topics.get(name).map(|topic| topic.config.read_queue_nums)
                }
                Key::Group(name) => broker.groups.get(name).map(|group| group.retry_max_times),
                Key::Readable(group, topic) => {
                    Some(i32::from(broker.groups.may_read(group, topic)))
                }
                // What a member has from clients may be further, until the leader has it.
                Key::Offset(_) if !broker.is_master() => *value,
                Key::Offset(group) => broker.offsets.committed(group, TOPIC, 0).map(|at| at as i32),
                Key::Lock if self.is_lock_as_known(nth, *value) => *value,
                Key::Lock => Some(-1),
            };
            if there > *value && there.is_some_and(|there| self.perhaps.contains(&there)) {
                continue;
            }
            assert_eq!(there, *value, "{key:?} at {nth}, answered with {records} records");
        }
        for (topic, _) in self.sent.iter().filter(|(_, records)| !behind(*records)) {
            assert!(broker.topics.contains(topic), "{topic} is not at {nth}");
        }
        let follows = matches!(broker.role(), Role::Slave(_)) && self.ahead[nth] <= next;
        let has_led = &mut self.has_led[nth];
        if follows && has_led.is_some_and(|term| self.tables[next as usize].term > term) {
            *has_led = None;
            self.has_others[nth] = true;
        }
        let follows = follows && has_led.is_none();
        if follows && self.compared[nth].replace(next) != Some(next) {
            let mut tables = Tables::of(&self.group, nth);
            let mut said = self.tables[next as usize].clone();
            if self.has_others[nth] {
                (tables.offsets, said.offsets) = Default::default();
            }
            for commit in broker.local_commits() {
                let key = (format!("{}@{}", commit.topic, commit.group), commit.queue);
                tables.offsets.remove(&key);
                said.offsets.remove(&key);
            }
            tables.assert_are(&said, &format!("member {nth} after {next} records"));
        }
    }

    /// Lets a leader talk with all until nothing is left to do.
    fn settle(&mut self, leader: usize, rounds: usize) {
        for _ in 0..rounds {
            for nth in 0..self.group.len() {
                self.group.propose(leader, false);
                self.group.talk(leader, nth, usize::MAX >> 1);
                self.group.dispatch(nth);
                self.group.hear(nth);
                self.group.due(nth);
            }
            self.answers();
            self.group.pass(60);
        }
    }

    pub fn settle_all(&mut self, leader: usize) {
        self.settle(leader, 2);
        let begun = self.group.now;
        while !self.calls.is_empty() {
            self.settle(leader, 1);
            assert!(self.group.now.since(begun) < 60_000, "asked in vain");
        }
    }

    /// All are well again: what was told is known, and all have the same.
    pub fn heal(&mut self) {
        for nth in 0..self.group.len() {
            if !self.group.is_up(nth) {
                self.start(nth, false);
            }
        }
        let leader = (0..self.group.len())
            .find(|nth| self.group.voters(*nth).len() == self.group.len())
            .expect("one has the newest log");
        self.group.elect(leader, &(0..self.group.len()).collect::<Vec<_>>());
        self.settle(leader, 4);
        // Whoever waits in vain hears so.
        self.group.pass(3_000);
        self.settle_all(leader);
        self.heal_held(leader);
        for queue in 0..QUEUES as i32 {
            let floor = self.told[queue as usize];
            self.begin(leader, super::query(queue), Asked::Offset { queue, floor });
        }
        self.settle_all(leader);
        for _ in 0..2 {
            for of in COPIED {
                (0..self.group.len()).for_each(|nth| self.copy(nth, of));
            }
            self.settle_all(leader);
        }
        let all = Tables::of(&self.group, leader);
        for nth in 0..self.group.len() {
            self.check(nth);
            let what = format!("at {nth} and at the leader {leader}");
            Tables::of(&self.group, nth).assert_are(&all, &what);
            assert!(
                self.group.at(nth).broker.local_commits().is_empty() || nth == leader,
                "{nth} has handed on all"
            );
        }
    }
}

impl From<Outcome> for State {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Reply(answer) => Self::Answered(answer),
            Outcome::Blocking(work) => Self::Work(work),
            Outcome::Later(waiting) => Self::Waits(waiting),
        }
    }
}

/// What is in one of two only.
fn differ<K: Ord + Clone + Debug, V: PartialEq + Debug>(
    a: &BTreeMap<K, V>,
    b: &BTreeMap<K, V>,
) -> Option<String> {
    let names = a.keys().chain(b.keys());
    let different = names.filter(|name| a.get(name) != b.get(name));
    let mut shown = different.map(|name| format!("{name:?}: {:?}, {:?}", a.get(name), b.get(name)));
    shown.next()
}

fn take<C>(table: &mut BTreeMap<String, C>, entries: BTreeMap<String, Option<C>>) {
    for (name, entry) in entries {
        match entry {
            Some(entry) => drop(table.insert(name, entry)),
            None => drop(table.remove(&name)),
        }
    }
}

impl Tables {
    fn assert_are(&self, others: &Self, what: &str) {
        let first = differ(&self.topics, &others.topics)
            .or_else(|| differ(&self.groups, &others.groups))
            .or_else(|| differ(&self.forbidden, &others.forbidden))
            .or_else(|| differ(&self.offsets, &others.offsets))
            .or_else(|| differ(&self.orders, &others.orders))
            .or_else(|| differ(&self.locks, &others.locks));
        assert_eq!(first, None, "{what}");
        assert_eq!(self.topics_at, others.topics_at, "{what}");
    }

    fn take(&mut self, change: Change) {
        for topic in &change.offsets.removed_topics {
            self.offsets.retain(|(key, _), _| !key.starts_with(&format!("{topic}@")));
        }
        for group in &change.offsets.removed_groups {
            self.offsets.retain(|(key, _), _| !key.ends_with(&format!("@{group}")));
        }
        let offsets = change.offsets.offset_table.into_iter();
        for (key, queues) in offsets.filter(|(key, _)| !key.contains(SYSTEM_GROUP)) {
            let queues = queues.into_iter();
            self.offsets.extend(queues.map(|(queue, offset)| ((key.clone(), queue), offset)));
        }
        if let Some(topics) = change.topics {
            self.topics.retain(|name, _| !topics.drops(name));
            for (name, config) in topics.entries {
                match config {
                    Some(config) => self.topics.insert(name, config.read_queue_nums),
                    None => self.topics.remove(&name),
                };
            }
            self.topics_at = topics.version;
            if topics.all_of.is_some() {
                self.term = topics.version.state_version;
            }
        }
        if let Some(groups) = change.groups {
            self.groups.retain(|name, _| !groups.drops(name));
            for (name, config) in groups.entries {
                match config {
                    Some(config) => self.groups.insert(name, config.retry_max_times),
                    None => self.groups.remove(&name),
                };
            }
            self.forbidden = change.forbidden;
        }
        if let Some(orders) = change.orders {
            self.orders.retain(|name, _| !orders.drops(name));
            take(&mut self.orders, orders.entries);
        }
        if let Some(locks) = change.locks {
            self.locks.retain(|name, _| !locks.drops(name));
            take(&mut self.locks, locks.entries);
        }
    }

    /// A broker's own.
    fn of(group: &TestGroup, nth: usize) -> Self {
        let broker = &group.at(nth).broker;
        let mut tables = Self { topics_at: broker.topics.version(), ..Self::default() };
        broker.topics.for_each(|topic| {
            let config = &topic.config;
            tables.topics.insert(config.topic_name.clone(), config.read_queue_nums);
        });
        let groups = broker.groups.snapshot();
        tables.forbidden = groups.forbidden_table;
        let groups = groups.subscription_group_table.into_iter();
        tables.groups = groups.map(|(name, config)| (name, config.retry_max_times)).collect();
        tables.orders = broker.pop.orders.snapshot().queues();
        tables.locks = broker.locks.snapshot();
        let offsets = json::from_slice::<ConsumerOffsets>(&broker.offsets.encode());
        let offsets = offsets.expect("own table").offset_table.into_iter();
        // What a broker itself has come to follows from the log of messages.
        for (key, queues) in offsets.filter(|(key, _)| !key.contains(SYSTEM_GROUP)) {
            let queues = queues.into_iter();
            tables.offsets.extend(queues.map(|(queue, offset)| ((key.clone(), queue), offset)));
        }
        tables
    }
}
