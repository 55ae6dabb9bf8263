//! Random producers, lost answers and restarts against one half queue kept in memory. `SEED=n`
//! runs one seed, `SEEDS=n` that many.
//!
//! The model of the log: messages in the order they were stored, of which a crash of the machine
//! keeps those that were durable and perhaps some more; consumer offsets are a file that is
//! written now and then. What must hold at the end: every half message that was acknowledged is
//! committed, rolled back or given up; none is delivered before a producer said commit, none after
//! one said roll back, and none twice.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use skua_protocol::{Millis, PhysicalOffset};
use skua_seeds::Random;

use super::half_queue::{GivenUp, Half, HalfQueue, Identity, Progress, Rules, Standing};
use super::work::{self, Chunk, Committed, Copied, Queues, Round, Turn};
use crate::swap_map::lock;

const SEEDS: u64 = 10_000;
const STEPS: u64 = 120;
const OP_SIZE_MAX: usize = 12;
const OP_INTERVAL_MS: i64 = 300;
const RULES: Rules = Rules { timeout_ms: 1000, check_max: 6, reserved_ms: 1_000_000 };

#[derive(Clone, Debug)]
struct Message {
    /// Which transaction.
    id: u64,
    half: Half,
    place: usize,
}

/// One record of the log; its place is its physical offset.
#[derive(Clone, Debug)]
enum Record {
    Half(Message),
    Op(Vec<u64>),
    /// Delivered; the place of the half message it was made of.
    Final {
        id: u64,
        half_place: usize,
    },
    GivenUp {
        id: u64,
    },
}

/// The log and what is asked of producers.
#[derive(Default)]
struct Log {
    records: RefCell<Vec<Record>>,
    /// Places of the half queue's and of the op queue's records.
    halves: RefCell<Vec<usize>>,
    ops: RefCell<Vec<usize>>,
    flushed: Cell<usize>,
    /// What lies behind is in no queue yet.
    dispatched: Cell<usize>,
    /// Appends to come that fail.
    failures: Cell<u32>,
    asked: RefCell<Vec<(u64, u64)>>,
}

impl Log {
    fn len(&self) -> usize {
        self.records.borrow().len()
    }

    fn append(&self, record: Record) -> Result<usize, &'static str> {
        if self.failures.get() > 0 {
            self.failures.set(self.failures.get() - 1);
            return Err("no space");
        }
        let place = self.len();
        match record {
            Record::Half(_) => self.halves.borrow_mut().push(place),
            Record::Op(_) => self.ops.borrow_mut().push(place),
            Record::Final { .. } | Record::GivenUp { .. } => {}
        }
        self.records.borrow_mut().push(record);
        Ok(place)
    }

    fn append_half(&self, message: Message) -> Result<u64, &'static str> {
        let place = self.len();
        self.append(Record::Half(Message { place, ..message }))?;
        Ok(self.halves.borrow().len() as u64 - 1)
    }

    /// The half message at an offset of its queue.
    fn half_at(&self, offset: u64) -> Option<Message> {
        let place = *self.halves.borrow().get(offset as usize)?;
        match &self.records.borrow()[place] {
            Record::Half(message) => Some(message.clone()),
            other => panic!("{other:?} in the half queue"),
        }
    }

    /// Forgets what lies from `end` on; returns it.
    fn truncate(&self, end: usize) -> Vec<Record> {
        self.halves.borrow_mut().retain(|&place| place < end);
        self.ops.borrow_mut().retain(|&place| place < end);
        self.records.borrow_mut().split_off(end)
    }

    fn settle_down(&self) {
        self.flushed.set(self.len());
        self.dispatched.set(self.len());
    }

    /// A few records of a queue from an offset on.
    fn chunk<T>(
        &self,
        queue: &RefCell<Vec<usize>>,
        from: u64,
        read: impl Fn(&Record) -> T,
    ) -> Chunk<T> {
        let (queue, records) = (queue.borrow(), self.records.borrow());
        let places = queue.iter().skip(from as usize).take(3);
        let places = places.filter(|&&place| place < self.dispatched.get());
        let messages: Vec<_> = (from..).zip(places.map(|&place| read(&records[place]))).collect();
        Chunk { next: from + messages.len() as u64, messages }
    }
}

impl Queues for Log {
    type Message = Message;
    type Error = &'static str;

    fn half_messages(&self, from: u64) -> Result<Chunk<Message>, Self::Error> {
        Ok(self.chunk(&self.halves, from, |record| match record {
            Record::Half(message) => message.clone(),
            other => panic!("{other:?} in the half queue"),
        }))
    }

    fn op_messages(&self, from: u64) -> Result<Chunk<Vec<u64>>, Self::Error> {
        Ok(self.chunk(&self.ops, from, |record| match record {
            Record::Op(halves) => halves.clone(),
            other => panic!("{other:?} in the op queue"),
        }))
    }

    fn committed_since(&self, half: &Message) -> Result<Vec<Committed>, Self::Error> {
        let records = self.records.borrow();
        let finals = records[half.place..].iter().filter_map(|record| match record {
            Record::Final { half_place, .. } => {
                let half_offset = self.halves.borrow().binary_search(half_place).ok()? as u64;
                let identity = self.half_at(half_offset)?.half.identity;
                Some(Committed { half_offset, identity })
            }
            _ => None,
        });
        Ok(finals.collect())
    }

    fn half(&self, message: &Message) -> Half {
        message.half
    }

    fn put_back(
        &self,
        message: &Message,
        checks: Option<i32>,
        now: Millis,
    ) -> Result<Copied, Self::Error> {
        let half = Half {
            checks: checks.or(message.half.checks),
            is_copy: true,
            stored: now,
            ..message.half
        };
        let queue_offset = self.append_half(Message { half, ..message.clone() })?;
        Ok(Copied { queue_offset, physical_offset: PhysicalOffset(0) })
    }

    fn ask(&self, message: &Message, _: i32, copy: Copied) {
        self.asked.borrow_mut().push((message.id, copy.queue_offset));
    }

    fn give_up(&self, message: &Message, _: GivenUp, _: Millis) -> Result<(), Self::Error> {
        self.append(Record::GivenUp { id: message.id }).map(drop)
    }

    fn write_op(&self, body: &str, _: Millis) -> Result<u64, Self::Error> {
        let halves = body.split_terminator(',').map(|half| half.parse().expect("a number"));
        self.append(Record::Op(halves.collect()))?;
        Ok(self.ops.borrow().len() as u64 - 1)
    }
}

/// What the world knows of a transaction.
#[derive(Debug, Default)]
struct Fate {
    acknowledged: bool,
    said_commit: bool,
    said_roll_back: bool,
}

struct World {
    random: Random,
    log: Log,
    queue: Mutex<HalfQueue>,
    now: Millis,
    /// The consumer offsets in memory, and as their file has them.
    kept: Progress,
    saved: Progress,
    round: Option<Round>,
    fates: BTreeMap<u64, Fate>,
    /// What producers may still say: transaction, offset they know it by, commit.
    on_the_way: Vec<(u64, u64, bool)>,
    producers_live: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let zero = Progress { half: 0, op: 0 };
        let now = Millis(1_000_000);
        Self {
            random: Random(seed),
            log: Log::default(),
            queue: Mutex::new(HalfQueue::new(zero, now)),
            now,
            kept: zero,
            saved: zero,
            round: None,
            fates: BTreeMap::new(),
            on_the_way: Vec::new(),
            producers_live: true,
        }
    }

    /// A producer sends a half message and decides, if it learns of it and lives long enough.
    fn send(&mut self) {
        let id = self.fates.len() as u64;
        let immunity_ms = self.random.one_in(4).then(|| self.random.below(4000) as i64);
        let born = match self.random.below(12) {
            0 => self.now.plus(500),
            1 => self.now.plus(-2000),
            _ => self.now,
        };
        let half = Half {
            identity: Identity(id.into()),
            born,
            stored: self.now,
            checks: None,
            immunity_ms,
            is_copy: false,
        };
        let mut fate = Fate::default();
        if let Ok(offset) = self.log.append_half(Message { id, half, place: 0 }) {
            // An answer may be lost: then nobody decides, unless asked.
            if !self.random.one_in(8) {
                fate.acknowledged = true;
                if !self.random.one_in(3) {
                    self.say(id, offset);
                }
            }
        }
        self.fates.insert(id, fate);
    }

    /// Puts a decision on its way, sometimes twice, sometimes not at all.
    fn say(&mut self, id: u64, offset: u64) {
        // A producer does not change its mind: the transaction's number decides.
        let commit = !id.is_multiple_of(3);
        for _ in 0..self.random.below(3) {
            self.on_the_way.push((id, offset, commit));
        }
    }

    fn deliver_decision(&mut self) {
        if self.on_the_way.is_empty() {
            return;
        }
        let at = self.random.below(self.on_the_way.len() as u64) as usize;
        let (id, offset, commit) = self.on_the_way.swap_remove(at);
        // A crash may have taken the half message, and another may stand there.
        let Some(half) = self.log.half_at(offset).filter(|half| half.id == id) else { return };
        let mut queue = lock(&self.queue);
        let Standing::Open(live) = queue.standing(offset, half.half.identity) else { return };
        if commit {
            let made = Record::Final { id, half_place: half.place };
            if self.log.append(made).is_err() {
                return;
            }
        }
        queue.settle(live);
        let fate = self.fates.get_mut(&id).expect("sent before");
        fate.said_commit |= commit;
        fate.said_roll_back |= !commit;
    }

    /// Producers answer what they were asked.
    fn answer_questions(&mut self) {
        let asked = self.log.asked.take();
        for (id, offset) in asked {
            if self.producers_live && self.random.below(3) > 0 {
                self.say(id, offset);
            }
        }
    }

    fn run_due(&mut self) -> Result<(), &'static str> {
        loop {
            let mut queue = lock(&self.queue);
            match queue.op_due(OP_INTERVAL_MS, OP_SIZE_MAX) {
                Some(at) if at <= self.now => {
                    work::write_op(&mut queue, &self.log, OP_SIZE_MAX, self.now)?;
                }
                _ => break,
            }
        }
        let round = *self.round.get_or_insert(Round { started: self.now });
        if work::check(&self.queue, &self.log, round, self.now, &RULES)? == Turn::Done {
            self.round = None;
        }
        Ok(())
    }

    fn keep_progress(&mut self) {
        let appended = PhysicalOffset(self.log.len() as u64);
        let flushed = PhysicalOffset(self.log.flushed.get() as u64);
        let before = self.kept;
        self.kept = lock(&self.queue).progress(appended, flushed);
        assert!(self.kept.half >= before.half && self.kept.op >= before.op);
    }

    /// The process ends without warning; if the whole machine does, it takes what was not durable.
    fn crash(&mut self, machine: bool) {
        if machine {
            let durable = self.log.flushed.get();
            let at_risk = (self.log.len() - durable) as u64;
            let kept = durable + self.random.below(at_risk + 1) as usize;
            for lost in self.log.truncate(kept) {
                // What was not durable was promised to nobody.
                if let Record::Half(Message { id, half, .. }) = lost
                    && !half.is_copy
                {
                    self.fates.get_mut(&id).expect("sent before").acknowledged = false;
                }
            }
        }
        self.log.settle_down();
        self.log.asked.borrow_mut().clear();
        self.log.failures.set(0);
        self.round = None;
        self.kept = self.saved;
        self.queue =
            Mutex::new(work::load(&self.log, self.saved, self.now).expect("memory is readable"));
    }

    fn stop_in_order(&mut self) {
        self.log.failures.set(0);
        let written = {
            let mut queue = lock(&self.queue);
            std::iter::from_fn(|| {
                let more = work::write_op(&mut queue, &self.log, OP_SIZE_MAX, self.now);
                more.expect("there is space").then_some(())
            })
            .count()
        };
        assert!(written < 10_000);
        self.log.flushed.set(self.log.len());
        for _ in 0..3 {
            self.keep_progress();
        }
        self.saved = self.kept;
        self.crash(false);
    }

    fn step(&mut self) {
        match self.random.below(20) {
            0..5 => self.send(),
            5..9 => self.deliver_decision(),
            9 => self.answer_questions(),
            10 => self.now = self.now.plus(self.random.below(1500) as i64),
            11..14 => self.now = self.now.plus(self.random.below(200) as i64),
            14 => {
                self.log.dispatched.set(self.log.len());
                if self.random.one_in(2) {
                    self.log.flushed.set(self.log.len());
                }
            }
            15 => {
                self.keep_progress();
                if self.random.one_in(2) {
                    self.saved = self.kept;
                }
            }
            16 => match self.random.below(8) {
                0 => self.crash(true),
                1 | 2 => self.crash(false),
                3 => self.stop_in_order(),
                4 => self.producers_live = !self.producers_live,
                5 => self.log.failures.set(self.random.below(4) as u32),
                _ => {}
            },
            // Refused work is taken up again.
            _ => drop(self.run_due()),
        }
        self.check_delivered();
    }

    /// None early, none twice, none that was rolled back.
    fn check_delivered(&self) {
        let mut delivered = BTreeSet::new();
        for record in self.log.records.borrow().iter() {
            if let Record::Final { id, .. } = record {
                assert!(delivered.insert(*id), "transaction {id} delivered twice");
                let fate = &self.fates[id];
                assert!(fate.said_commit, "transaction {id} delivered before its commit");
                assert!(!fate.said_roll_back, "transaction {id} delivered, but rolled back");
            }
        }
    }

    /// Lets everything come to its end.
    fn finish(&mut self) {
        self.log.failures.set(0);
        self.producers_live = true;
        for _ in 0..40 {
            self.now = self.now.plus(2000);
            self.log.settle_down();
            self.run_due().expect("there is space");
            self.answer_questions();
            while !self.on_the_way.is_empty() {
                self.deliver_decision();
            }
            self.log.settle_down();
            self.keep_progress();
        }
        self.check_delivered();
        let len = |queue: &RefCell<Vec<usize>>| queue.borrow().len() as u64;
        let at_rest = Progress { half: len(&self.log.halves), op: len(&self.log.ops) };
        assert_eq!(self.kept, at_rest, "everything is done with, and both offsets say so");
        let mut ended = BTreeSet::new();
        for record in self.log.records.borrow().iter() {
            match record {
                Record::Final { id, .. } | Record::GivenUp { id } => drop(ended.insert(*id)),
                _ => {}
            }
        }
        for (id, fate) in &self.fates {
            let lost = fate.acknowledged && !fate.said_roll_back && !ended.contains(id);
            assert!(!lost, "transaction {id} was acknowledged and is lost: {fate:?}");
        }
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    world.finish();
}

#[test]
fn no_half_message_is_lost_delivered_early_or_delivered_twice() {
    skua_seeds::each(SEEDS, run);
}
