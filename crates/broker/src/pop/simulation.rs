//! Pops, acknowledgements, changes, revives, resets of the group's offset, deletions of the topic,
//! restarts, crashes, slaves that become the master and clock jumps in random order,
//! against a model that knows of each message who may have it.
//!
//! `SEED=n` runs one seed, `SEEDS=n` that many.

use std::collections::HashSet;

use skua_protocol::properties::Properties;
use skua_protocol::record::{Record, stamp};
use skua_protocol::{Millis, PhysicalOffset, QueueId, QueueOffset};
use skua_seeds::Random;

use super::order::{Acked, OrderedPop, Orders};
use super::receipt::Receipt;
use super::record::{Ack, CheckPoint, Entry, Outgoing, changed};
use super::resume::{Mark, Resume};
use super::revive::{Due, Revival};
use crate::files::ConfigFile;
use crate::files::tests::MemoryFiles;

const SEEDS: u64 = 10_000;
const STEPS: usize = 45;
const TOPIC: &str = "T";
const RETRY: &str = "%RETRY%g_T";
const BROKER: &str = "broker-a";

/// What a message's consumers may expect.
#[derive(Clone, Copy, Debug, Default)]
struct Message {
    deliveries: u32,
    /// Nobody else gets it before.
    visible_at: i64,
    acked: bool,
    /// Acknowledged after its time and before it was revived, which is in time enough.
    late: bool,
    /// A crash tore records apart that belong together: it may come once too often, or too early.
    torn: bool,
}

/// A delivery that a consumer holds.
#[derive(Clone, Debug)]
struct Held {
    message: usize,
    retry: bool,
    offset: i64,
    receipt: Receipt,
    /// Of which of the topic's lives.
    life: u32,
}

/// What `consumerOffset.json` holds: the group's two offsets, and how far the revive topic is
/// settled.
#[derive(Clone, Copy, Debug, Default)]
struct Offsets {
    normal: i64,
    retry: i64,
    settled: i64,
}

struct World {
    dice: Random,
    now: i64,
    /// Queues of the topic and of its retry topic: which message stands where.
    normal: Vec<usize>,
    retry: Vec<usize>,
    revive: Vec<Vec<u8>>,
    offsets: Offsets,
    saved: Offsets,
    /// What a slave has copied last.
    copied: Offsets,
    /// How often the topic was deleted and made anew.
    life: u32,
    /// Check points' names: none comes twice. After a reset, or in another life of the topic, that
    /// would take a clock set back to the very millisecond.
    names: HashSet<(bool, i64, i64)>,
    revival: Revival,
    messages: Vec<Message>,
    held: Vec<Held>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            dice: Random(seed),
            now: 1_700_000_000_000,
            normal: Vec::new(),
            retry: Vec::new(),
            revive: Vec::new(),
            offsets: Offsets::default(),
            saved: Offsets::default(),
            copied: Offsets::default(),
            life: 0,
            names: HashSet::new(),
            revival: Revival::new(0),
            messages: Vec::new(),
            held: Vec::new(),
        }
    }

    /// Stores entries, all of them unless a crash comes between; true if so.
    fn append(&mut self, entries: &[Entry], tears: bool) -> bool {
        let kept =
            if tears { self.dice.below(entries.len() as u64 + 1) as usize } else { entries.len() };
        let now = Millis(self.now);
        let host = ([127, 0, 0, 1], 10_911).into();
        let outgoing = Outgoing::new(entries, now);
        for record in outgoing.records("rmq_sys_REVIVE_LOG_C", QueueId(0), host, now).take(kept) {
            let mut bytes = Vec::new();
            record.encode(&mut bytes).expect("entries are small");
            stamp(&mut bytes, QueueOffset(self.revive.len() as u64), PhysicalOffset(0), now);
            self.revive.push(bytes);
        }
        kept < entries.len()
    }

    fn read(&mut self, recovers: bool) {
        let mut resume = Resume::default();
        while let Some(bytes) = self.revive.get(self.revival.next() as usize) {
            let record = Record::parse(bytes).expect("as it was stored");
            assert!(!Properties::encoded(record.properties()).is_empty());
            let stored = Entry::read(&record);
            resume.note(stored.as_ref());
            self.revival.note(record.queue_offset(), stored);
        }
        for ((topic, ..), next) in resume.behind().filter(|_| recovers) {
            let normal = topic == TOPIC;
            let offset = if normal { &mut self.offsets.normal } else { &mut self.offsets.retry };
            *offset = next.max(*offset);
        }
        self.offsets.settled = self.revival.settled();
    }

    fn pop(&mut self, retry: bool) {
        let (queue, from) = if retry {
            (&self.retry, self.offsets.retry)
        } else {
            (&self.normal, self.offsets.normal)
        };
        let most = 1 + self.dice.below(4) as usize;
        // As a filter does, some are passed over.
        let rest = &queue[(from as usize).min(queue.len())..];
        let taken: Vec<(i64, usize)> = (from..).zip(rest.iter().copied()).take(most).collect();
        let Some(&(last, _)) = taken.last() else { return };
        while !self.names.insert((retry, from, self.now)) {
            self.now += 1;
        }
        let invisible = 1 + self.dice.below(60_000) as i64;
        let topic = if retry { RETRY } else { TOPIC };
        let offsets: Vec<i64> = taken.iter().map(|(offset, _)| *offset).collect();
        let ck = CheckPoint::of((BROKER, topic, "g", 0), from, &offsets, self.now, invisible);
        let crash = self.dice.one_in(50);
        if self.append(&[Entry::CheckPoint(ck)], crash) {
            return self.crash();
        }
        let offset = if retry { &mut self.offsets.retry } else { &mut self.offsets.normal };
        *offset = last + 1;
        for (offset, message) in taken {
            let state = &mut self.messages[message];
            assert!(!state.acked || state.torn, "message {message} comes after its end");
            assert!(
                state.visible_at <= self.now || state.torn,
                "message {message} comes {} ms too early",
                state.visible_at - self.now
            );
            state.deliveries += 1;
            state.visible_at = self.now + invisible;
            let receipt = Receipt {
                start_offset: from,
                pop_time: self.now,
                invisible_time: invisible,
                revive_queue: 0,
                broker_name: BROKER.to_owned(),
            };
            self.held.push(Held { message, retry, offset, receipt, life: self.life });
        }
        if crash {
            self.crash();
        }
    }

    /// Whether the delivery is the one that counts.
    fn is_live(&self, held: &Held) -> bool {
        let until = held.receipt.pop_time + held.receipt.invisible_time;
        self.messages[held.message].visible_at == until && self.now < until
    }

    fn any_held(&mut self) -> Option<usize> {
        match self.held.len() as u64 {
            0 => None,
            held => Some(self.dice.below(held) as usize),
        }
    }

    fn ack(&mut self) {
        let Some(at) = self.any_held() else { return };
        let held = self.held.swap_remove(at);
        let crash = self.dice.one_in(50);
        let batch = self.dice.one_in(3);
        let ack = Ack {
            offset: if batch { -1 } else { held.offset },
            offsets: batch.then(|| vec![held.offset]),
            invisible_time: None,
            broker_name: BROKER.to_owned(),
            group: "g".to_owned(),
            pop_time: held.receipt.pop_time,
            queue_id: 0,
            start_offset: held.receipt.start_offset,
            topic: if held.retry { RETRY } else { TOPIC }.to_owned(),
        };
        let lost = self.append(&[Entry::Ack(ack)], crash);
        if !held.retry && held.life != self.life {
            if crash {
                self.crash();
            }
            return;
        }
        let until = held.receipt.pop_time + held.receipt.invisible_time;
        let (live, state) = (self.is_live(&held), &mut self.messages[held.message]);
        if !lost && state.visible_at == until {
            state.acked |= live;
            state.late |= !live;
        }
        if crash {
            self.crash();
        }
    }

    fn change(&mut self) {
        let Some(at) = self.any_held() else { return };
        let held = self.held[at].clone();
        let topic = if held.retry { RETRY } else { TOPIC };
        let time = 1 + self.dice.below(60_000) as i64;
        let name = |now: i64| (held.retry, held.offset, now.max(held.receipt.pop_time + 1));
        while !self.names.insert(name(self.now)) {
            self.now += 1;
        }
        let (entries, receipt) =
            changed((topic, "g", 0, held.offset), &held.receipt, time, false, Millis(self.now));
        let (live, crash) = (self.is_live(&held), self.dice.one_in(50));
        if !held.retry && held.life != self.life {
            // Nothing tells the receipt from one of this life: what stands there now comes again.
            if let Some(&message) = self.normal.get(held.offset as usize) {
                self.messages[message].torn = true;
                self.append(&entries, false);
            }
            return;
        }
        if self.append(&entries, crash) {
            // The answer is lost, and perhaps one of the two.
            self.messages[held.message].torn = true;
            return self.crash();
        }
        let old = held.receipt.pop_time + held.receipt.invisible_time;
        let state = &mut self.messages[held.message];
        if state.visible_at == old {
            state.visible_at = receipt.pop_time + receipt.invisible_time;
        }
        // Java too: what was given back already comes once more after the new time.
        state.torn |= !live;
        self.held[at].receipt = receipt;
        if crash {
            self.crash();
        }
    }

    fn revive(&mut self) {
        self.read(false);
        for due in self.revival.due(Millis(self.now), 100) {
            for &offset in &due.offsets {
                let retry = &*due.topic == RETRY;
                let message =
                    if retry { self.retry[offset as usize] } else { self.normal[offset as usize] };
                let done = Entry::Ack(Ack {
                    offset,
                    offsets: None,
                    invisible_time: None,
                    broker_name: due.broker.to_string(),
                    group: due.group.to_string(),
                    pop_time: due.pop_time,
                    queue_id: due.queue,
                    start_offset: due.start_offset,
                    topic: due.topic.to_string(),
                });
                let crash = self.dice.one_in(100);
                // One append: of it a crash may keep the message without what says that it is done.
                if crash && self.dice.one_in(2) {
                    return self.crash();
                }
                self.retry.push(message);
                // Visible from here on, whatever the clock will say.
                self.messages[message].visible_at = 0;
                if self.append(&[done], crash) {
                    self.messages[message].torn = true;
                    return self.crash();
                }
                if crash {
                    return self.crash();
                }
                self.revival.finish(due.revive_offset, offset);
            }
        }
        if let Some(oldest) = self.revival.oldest_behind(8.max(4 * self.revival.pending() as i64)) {
            self.append(&[Entry::CheckPoint(oldest)], false);
        }
    }

    fn crash(&mut self) {
        self.offsets = self.saved;
        self.start(true);
    }

    /// A slave that has the whole log becomes the master.
    fn promote(&mut self) {
        self.offsets = self.copied;
        self.start(true);
        self.saved = self.offsets;
    }

    /// The group is sent elsewhere: from there on everything comes once more.
    fn reset(&mut self) {
        let to = self.dice.below(self.normal.len() as u64 + 1) as usize;
        let from = std::mem::replace(&mut self.offsets.normal, to as i64) as usize;
        // It writes a file: no pop behind it has the time of one before it.
        self.now += 1;
        // A slave's copy that is older than the reset may lose it.
        (self.saved, self.copied) = (self.offsets, self.offsets);
        for at in from..to {
            // Passed over; it may come if somebody has it yet.
            let message = &mut self.messages[self.normal[at]];
            (message.late, message.torn) = (true, true);
        }
        let mark = Mark { topic: TOPIC, group: Some("g"), queue: Some(0) };
        let crash = self.dice.one_in(8);
        if self.append(&[mark.entry(BROKER, Millis(self.now))], crash) {
            // Unanswered: what was handed out before comes again or does not.
            for at in to..from.max(to) {
                self.messages[self.normal[at]].torn = true;
            }
            return self.crash();
        }
        for &message in &self.normal[to..] {
            // Who has it yet has one delivery more than the model counts.
            self.messages[message] = Message { torn: true, ..Message::default() };
        }
        if crash {
            self.crash();
        }
    }

    /// The topic is deleted, and another of its name made.
    fn make_anew(&mut self) {
        self.read(false);
        let pending = self.revival.of_topic(TOPIC);
        let ends: Vec<Entry> = pending.iter().map(Due::end).collect();
        self.append(&ends, false);
        let mark = Mark { topic: TOPIC, group: None, queue: None };
        self.append(&[mark.entry(BROKER, Millis(self.now))], false);
        // What is in the retry topic stays; all else is gone for good.
        for &message in &self.normal {
            let state = &mut self.messages[message];
            if !self.retry.contains(&message) {
                *state = Message { acked: true, ..Message::default() };
            }
            state.late |= state.torn;
        }
        self.normal.clear();
        self.offsets.normal = 0;
        (self.saved, self.copied) = (self.offsets, self.offsets);
        self.life += 1;
        self.now += 1;
        if self.dice.one_in(4) {
            self.crash();
        }
    }

    fn start(&mut self, crashed: bool) {
        self.revival = Revival::new(self.offsets.settled);
        self.read(crashed);
    }

    fn step(&mut self) {
        match self.dice.below(26) {
            0..=3 => {
                self.messages.push(Message::default());
                self.normal.push(self.messages.len() - 1);
            }
            4..=7 => self.pop(false),
            8..=9 => self.pop(true),
            10..=13 => self.ack(),
            14..=15 => self.change(),
            16..=18 => self.now += self.dice.below(40_000) as i64,
            19..=20 => self.revive(),
            21 => {
                self.saved = self.offsets;
                if self.dice.one_in(2) {
                    self.copied = self.offsets;
                }
            }
            24 => match self.dice.below(4) {
                0 => self.make_anew(),
                _ => self.reset(),
            },
            25 => self.promote(),
            22 => match self.dice.below(3) {
                0 => self.crash(),
                1 => {
                    self.saved = self.offsets;
                    self.start(false);
                }
                _ => self.read(false),
            },
            _ => match self.dice.below(3) {
                0 => self.now -= self.dice.below(100_000) as i64,
                1 => self.now += self.dice.below(1_000_000) as i64,
                // Within one millisecond much happens.
                _ => {}
            },
        }
    }

    /// Consumers that take all there is and acknowledge it get every message that is not at its
    /// end.
    fn drain(&mut self) {
        for _ in 0..200 {
            while self.offsets.normal < self.normal.len() as i64 {
                self.pop(false);
            }
            while self.offsets.retry < self.retry.len() as i64 {
                self.pop(true);
            }
            while !self.held.is_empty() {
                self.ack();
            }
            if self.messages.iter().all(|message| message.acked || message.late) {
                return;
            }
            self.now += 2_000_000;
            self.revive();
        }
        let lost: Vec<_> =
            self.messages.iter().filter(|message| !message.acked && !message.late).collect();
        panic!("never acknowledged: {lost:?}");
    }
}

#[test]
fn every_message_is_acknowledged_or_comes_again_and_none_too_early() {
    skua_seeds::each(SEEDS, |seed| {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.drain();
    });
}

/// One ordered queue with several consumers.
#[test]
fn ordered_pops_keep_their_order_over_restarts() {
    skua_seeds::each(SEEDS, |seed| {
        let mut dice = Random(seed);
        let files = std::sync::Arc::new(MemoryFiles::default());
        let open =
            || Orders::open(ConfigFile::new(files.clone(), super::order::FILE)).expect("whole");
        let (mut orders, mut now) = (open(), 1_700_000_000_000i64);
        let (mut sent, mut committed) = (0i64, 0i64);
        let mut visible_at = Vec::<i64>::new();
        let mut held: Vec<(i64, i64)> = Vec::new();
        for _ in 0..STEPS {
            match dice.below(12) {
                0..=2 => {
                    sent += 1;
                    visible_at.push(0);
                }
                3..=5 if !orders.blocks(TOPIC, "g", 0, None, 0, Millis(now)) => {
                    let end = sent.min(committed + 1 + dice.below(4) as i64);
                    let offsets: Vec<i64> = (committed..end).collect();
                    if offsets.is_empty() {
                        continue;
                    }
                    let invisible_time = 1 + dice.below(60_000) as i64;
                    for &offset in &offsets {
                        let visible = visible_at[offset as usize];
                        assert!(visible <= now, "{offset} comes {} ms too early", visible - now);
                        visible_at[offset as usize] = now + invisible_time;
                        held.push((offset, now));
                    }
                    let pop = OrderedPop {
                        attempt_id: None,
                        pop_time: Millis(now),
                        invisible_time,
                        offsets: &offsets,
                    };
                    orders.popped(TOPIC, "g", 0, &pop, Millis(now));
                }
                6..=8 if !held.is_empty() => {
                    let (offset, pop_time) =
                        held.swap_remove(dice.below(held.len() as u64) as usize);
                    if offset < committed {
                        continue;
                    }
                    match orders.ack(TOPIC, "g", 0, offset, pop_time) {
                        Acked::Commit(next) => {
                            assert!(next >= committed, "from {committed} back to {next}");
                            committed = next;
                            // It is at its end: only with what is in front of it will it come again.
                            visible_at[offset as usize] = 0;
                        }
                        Acked::Stale => {}
                        Acked::Unknown => panic!("{offset} was popped"),
                    }
                }
                9 if !held.is_empty() => {
                    let (offset, pop_time) = held[dice.below(held.len() as u64) as usize];
                    let time = dice.below(60_000) as i64;
                    orders.change(TOPIC, "g", 0, offset, pop_time, Millis(now + time));
                    // Only if it is of the last pop, and not at its end.
                    if orders.blocks(TOPIC, "g", 0, None, 0, Millis(now + time - 1)) {
                        visible_at[offset as usize] = visible_at[offset as usize].min(now + time);
                    }
                }
                10 => now += dice.below(50_000) as i64,
                _ => {
                    orders.save().expect("in memory");
                    orders = open();
                }
            }
        }
        // Whatever is held: in the end all come, in order.
        while committed < sent {
            now += 1_000_000;
            assert!(!orders.blocks(TOPIC, "g", 0, None, 0, Millis(now)));
            let pop = OrderedPop {
                attempt_id: None,
                pop_time: Millis(now),
                invisible_time: 1000,
                offsets: &[committed],
            };
            orders.popped(TOPIC, "g", 0, &pop, Millis(now));
            assert_eq!(orders.ack(TOPIC, "g", 0, committed, now), Acked::Commit(committed + 1));
            committed += 1;
        }
    });
}
