//! Clients that lock queues and pop in order, over the same members.
//!
//! - No two clients believe to hold a queue at a time, and who may have one gets it.
//! - What was popped in order comes to nobody else before its time is over; what was acknowledged
//!   in time does not come again, and nothing in front of it is passed over.

use std::collections::{BTreeMap, BTreeSet};

use skua_config::Properties;
use skua_protocol::body::{LockBatch, LockBatchResponse, MessageQueue};
use skua_protocol::header::Fields;
use skua_protocol::record::Message;
use skua_protocol::request::{AckMessage, ChangeMessageInvisibleTime, PopMessage};
use skua_protocol::{Command, Millis, RequestCode, json};

use super::world::{Asked, Key, World};
use super::{GROUP, TOPIC, is_success, make_group, make_topic};

const POPPED: &str = "popped";
const POPPERS: &str = "poppers";
const MESSAGES: i64 = 6;
const CLIENTS: usize = 3;
/// Of the first, one client at a time asks.
const LOCKS: usize = 2;
pub const LOCK: i32 = 0;
/// How long a client believes in a lock, and waits for the answer.
const BELIEVED_MS: i64 = 30_000;
const PATIENCE_MS: i64 = 3_000;
const LOCK_LIVE_MS: i64 = 60_000;

#[derive(Clone, Copy, Debug)]
pub enum Request {
    /// Whether it was known to be free.
    Lock {
        queue: i32,
        client: usize,
        is_free: bool,
        given_back: u32,
    },
    /// Whether it was known to be the client's.
    GiveBack {
        queue: i32,
        client: usize,
        is_own: bool,
    },
    /// What lies before this was acknowledged when it was asked.
    Pop {
        floor: i64,
    },
    Ack {
        pop: usize,
        offset: i64,
    },
    Change {
        pop: usize,
        offset: i64,
    },
}

#[derive(Debug)]
struct Pop {
    time: i64,
    receipt: String,
    /// Until when nobody else gets each.
    until: BTreeMap<i64, i64>,
    /// Of these nobody knows whether they are acknowledged, and of those everybody.
    asked: BTreeSet<i64>,
    acknowledged: BTreeSet<i64>,
    /// Changes of that which were asked for, and answered.
    changes: (u32, u32),
}

#[derive(Debug)]
pub struct Held {
    believes: [[Millis; CLIENTS]; LOCKS],
    /// How often each has given a queue back: an answer to what it asked before counts for nothing.
    given_back: [[u32; CLIENTS]; LOCKS],
    /// When the first was granted last.
    granted: Millis,
    pops: Vec<Pop>,
    /// Everything before is acknowledged.
    floor: i64,
    /// Somebody has asked to acknowledge it.
    asked: BTreeSet<i64>,
}

impl Default for Held {
    fn default() -> Self {
        Self {
            believes: [[Millis(0); CLIENTS]; LOCKS],
            given_back: [[0; CLIENTS]; LOCKS],
            granted: Millis(0),
            pops: Vec::new(),
            floor: 0,
            asked: BTreeSet::new(),
        }
    }
}

pub fn client_name(client: usize) -> String {
    format!("client-{client}")
}

fn queue(queue_id: i32) -> MessageQueue {
    MessageQueue { topic: TOPIC.into(), broker_name: "broker-a".into(), queue_id }
}

fn lock(code: RequestCode, client: usize, queue_id: i32) -> Command {
    let body = LockBatch {
        client_id: client_name(client),
        consumer_group: GROUP.into(),
        mq_set: [queue(queue_id)].into(),
        only_this_broker: false,
    };
    Command::raw_request(code, Fields::new()).with_body(json::to_vec(&body))
}

fn pop(invisible_time: i64) -> Command {
    Command::request(&PopMessage {
        consumer_group: POPPERS.into(),
        topic: POPPED.into(),
        max_msg_nums: 2,
        invisible_time,
        order: Some(true),
        ..PopMessage::default()
    })
}

fn field(answer: &Command, name: &str) -> i64 {
    answer.fields.get(name).and_then(|text| text.parse().ok()).unwrap_or_default()
}

impl World {
    /// Starts a member; pops ask for the key of a timer that these stores do without.
    pub fn start(&mut self, nth: usize, in_order: bool) {
        self.group.start(nth, in_order);
        self.allow_pops(nth);
    }

    fn allow_pops(&self, nth: usize) {
        let changes = Properties::parse(b"timerWheelEnable=true", "test");
        let broker = &self.group.at(nth).broker;
        broker.update_settings(&changes, self.group.now).expect("a key that may be changed");
    }

    pub fn begin_to_hold(&mut self) {
        (0..self.group.len()).for_each(|nth| self.allow_pops(nth));
        self.begin(0, make_topic(POPPED, 1), Asked::Nothing);
        self.begin(0, make_group(POPPERS, 1), Asked::Nothing);
        self.settle_all(0);
        for _ in 0..MESSAGES {
            let message = self.group.at(0).message(POPPED, 0, "");
            let request = Command::request(&message).with_body(b"x".to_vec());
            self.begin(0, request, Asked::Nothing);
        }
        self.settle_all(0);
    }

    fn begin_held(&mut self, at: usize, request: Command, asked: Request) {
        self.begin(at, request, Asked::Held(asked));
    }

    /// A client begins something of this.
    pub fn hold(&mut self, at: usize) {
        let client = self.dice.below(CLIENTS as u64) as usize;
        let queue = self.dice.below(LOCKS as u64) as i32;
        let is_of_first = |asked: &Asked| {
            matches!(
                asked,
                Asked::Held(
                    Request::Lock { queue: LOCK, .. } | Request::GiveBack { queue: LOCK, .. }
                )
            )
        };
        match self.dice.below(9) {
            0..=3 => {
                // Who gives a queue back does not ask for it before that is done.
                let is_back = |asked: &Asked| {
                    matches!(asked, Asked::Held(Request::GiveBack { queue: of, client: by, .. })
                        if (*of, *by) == (queue, client))
                };
                if self.calls.iter().any(|call| is_back(&call.asked)) {
                    return;
                }
                let given_back = self.held.given_back[queue as usize][client];
                let mut known = None;
                if queue == LOCK {
                    if self.calls.iter().any(|call| is_of_first(&call.asked)) {
                        return;
                    }
                    known = self.known.remove(&Key::Lock).map(|(holder, _)| holder);
                }
                let gives_back = self.dice.one_in(4);
                if !gives_back {
                    let request = lock(RequestCode::LockBatchMq, client, queue);
                    let is_free = known == Some(None);
                    return self.begin_held(
                        at,
                        request,
                        Request::Lock { queue, client, is_free, given_back },
                    );
                }
                self.held.believes[queue as usize][client] = Millis(0);
                self.held.given_back[queue as usize][client] += 1;
                let request = lock(RequestCode::UnlockBatchMq, client, queue);
                let is_own = known == Some(Some(client as i32));
                self.begin_held(at, request, Request::GiveBack { queue, client, is_own });
            }
            4..=5 => {
                let invisible_time = 1_000 + self.dice.below(15_000) as i64;
                let floor = self.held.floor;
                self.begin_held(at, pop(invisible_time), Request::Pop { floor });
            }
            6..=7 => {
                let Some((pop, offset)) = self.any_popped() else { return };
                self.ack(at, pop, offset);
            }
            _ => {
                let Some((pop, offset)) = self.any_popped() else { return };
                let is_of_pop = |asked: &Asked| matches!(asked, Asked::Held(Request::Change { pop: of, .. }) if *of == pop);
                if self.calls.iter().any(|call| is_of_pop(&call.asked)) {
                    return;
                }
                let invisible_time = 500 + self.dice.below(15_000) as i64;
                let popped = &mut self.held.pops[pop];
                popped.changes.0 += 1;
                let until = popped.until.get_mut(&offset).expect("it was popped");
                *until = (*until).min(self.group.now.0 + invisible_time);
                let request = Command::request(&ChangeMessageInvisibleTime {
                    consumer_group: POPPERS.into(),
                    topic: POPPED.into(),
                    queue_id: 0,
                    extra_info: popped.receipt.as_str().into(),
                    offset,
                    invisible_time,
                    ..ChangeMessageInvisibleTime::default()
                });
                self.begin_held(at, request, Request::Change { pop, offset });
            }
        }
    }

    /// A message that somebody has: usually of the last pop.
    fn any_popped(&mut self) -> Option<(usize, i64)> {
        let last = self.held.pops.len().checked_sub(1)?;
        let pop =
            if self.dice.one_in(6) { self.dice.below(last as u64 + 1) as usize } else { last };
        let offsets: Vec<i64> = self.held.pops[pop].until.keys().copied().collect();
        Some((pop, *self.dice.pick(&offsets)))
    }

    fn ack(&mut self, at: usize, pop: usize, offset: i64) {
        let popped = &mut self.held.pops[pop];
        let extra_info = popped.receipt.as_str().into();
        popped.asked.insert(offset);
        self.held.asked.insert(offset);
        let request = Command::request(&AckMessage {
            consumer_group: POPPERS.into(),
            topic: POPPED.into(),
            queue_id: 0,
            extra_info,
            offset,
            lite_topic: None,
        });
        self.begin_held(at, request, Request::Ack { pop, offset });
    }

    pub fn held_answered(&mut self, began: Millis, asked: Request, answer: &Command) {
        if !is_success(answer) {
            return;
        }
        let now = self.group.now;
        match asked {
            Request::Lock { queue: queue_id, client, is_free, given_back } => {
                let granted = json::from_slice::<LockBatchResponse>(&answer.body);
                let granted = granted.expect("an answer").locked.contains(&queue(queue_id));
                assert!(granted || !is_free, "{client} does not get {queue_id}, which is free");
                let is_over = given_back != self.held.given_back[queue_id as usize][client];
                let is_late = is_over || now.since(began) > PATIENCE_MS;
                let until = if granted && !is_late { now.plus(BELIEVED_MS) } else { Millis(0) };
                let believes = &mut self.held.believes[queue_id as usize];
                believes[client] = until;
                let believers = believes.iter().filter(|until| **until > now).count();
                assert!(
                    believers <= 1,
                    "{believers} clients hold {queue_id}: {believes:?} at {now}"
                );
                if granted && queue_id == LOCK {
                    self.held.granted = now;
                    let records = self.records_known();
                    self.known.insert(Key::Lock, (Some(client as i32), records));
                }
            }
            Request::GiveBack { is_own, .. } => {
                if is_own {
                    let records = self.records_known();
                    self.known.insert(Key::Lock, (None, records));
                }
            }
            Request::Pop { floor } => self.popped(floor, answer),
            Request::Ack { pop, offset } => {
                let Held { pops, floor, .. } = &mut self.held;
                // In time: until then it was this pop's.
                if now.0 < pops[pop].until[&offset] {
                    pops[pop].acknowledged.insert(offset);
                    while pops[pop].acknowledged.contains(floor) {
                        *floor += 1;
                    }
                }
            }
            Request::Change { pop, offset } => {
                let popped = &mut self.held.pops[pop];
                popped.changes.1 += 1;
                let until = popped.until.get_mut(&offset).expect("it was popped");
                if now.0 < *until && popped.changes.0 == popped.changes.1 {
                    let (time, invisible) =
                        (field(answer, "popTime"), field(answer, "invisibleTime"));
                    *until = (*until).max(time + invisible);
                }
            }
        }
    }

    fn popped(&mut self, floor: i64, answer: &Command) {
        let messages = Message::decode_all(&answer.body).expect("whole records");
        let offsets: Vec<i64> = messages.iter().map(|message| message.queue_offset).collect();
        let (time, invisible) = (field(answer, "popTime"), field(answer, "invisibleTime"));
        let Some(&first) = offsets.first() else { return };
        assert!(first >= floor, "{offsets:?} are popped, all before {floor} are acknowledged");
        let passed = (floor..first).find(|offset| !self.held.asked.contains(offset));
        assert_eq!(passed, None, "{offsets:?} are popped, and not what is before");
        for offset in &offsets {
            for other in self.held.pops.iter().filter(|pop| !pop.asked.contains(offset)) {
                let Some(until) = other.until.get(offset) else { continue };
                let is_apart = time >= *until || other.time >= time + invisible;
                let (from, to) = (other.time, until);
                assert!(is_apart, "{offset} is popped at {time}, hidden from {from} to {to}");
            }
        }
        let revive = field(answer, "reviveQid");
        self.held.pops.push(Pop {
            time,
            receipt: format!("{first} {time} {invisible} {revive} 0 broker-a 0 {first}"),
            until: offsets.iter().map(|offset| (*offset, time + invisible)).collect(),
            asked: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            changes: (0, 0),
        });
    }

    /// Whether a lock is what it was known to be, or has expired since.
    pub fn is_lock_as_known(&self, nth: usize, known: Option<i32>) -> bool {
        let name = format!("{GROUP}\n{TOPIC}\nbroker-a\n{LOCK}");
        let there = self.group.at(nth).broker.locks.snapshot().remove(&name);
        there == known.map(|client| client_name(client as usize))
            || there.is_none() && self.group.now.since(self.held.granted) > LOCK_LIVE_MS
    }

    /// All are well: who asks for a lock has it after its time, and every message comes.
    pub fn heal_held(&mut self, leader: usize) {
        self.group.pass(LOCK_LIVE_MS + 1_000);
        self.settle_all(leader);
        for queue_id in 0..LOCKS as i32 {
            let asked = Request::Lock {
                queue: queue_id,
                client: 0,
                is_free: false,
                given_back: self.held.given_back[queue_id as usize][0],
            };
            self.begin_held(leader, lock(RequestCode::LockBatchMq, 0, queue_id), asked);
            self.settle_all(leader);
            let until = self.held.believes[queue_id as usize][0];
            assert!(until > self.group.now, "nobody gets {queue_id}");
        }
        for _ in 0..=MESSAGES {
            let floor = self.held.floor;
            self.begin_held(leader, pop(40_000), Request::Pop { floor });
            self.settle_all(leader);
            let last = self.held.pops.len().checked_sub(1).expect("there is something to pop");
            let offsets: Vec<i64> = self.held.pops[last].until.keys().copied().collect();
            for offset in offsets {
                self.ack(leader, last, offset);
                self.settle_all(leader);
            }
        }
        let committed = self.group.at(leader).broker.offsets.committed(POPPERS, POPPED, 0);
        assert_eq!(committed, Some(MESSAGES), "all is popped and acknowledged");
        let passed = (0..MESSAGES).find(|offset| !self.held.asked.contains(offset));
        assert_eq!(passed, None, "all was popped");
    }
}
