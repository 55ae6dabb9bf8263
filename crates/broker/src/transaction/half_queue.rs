//! What is known of one half queue: which half messages are settled, which are asked about anew.
//!
//! RocketMQ keeps this in two queues and two consumer offsets of `CID_RMQ_SYS_TRANS`. Everything
//! in the half queue before its offset is done with; what is done with behind it stands in op
//! messages behind the op queue's offset. A half message that a producer is asked about is stored
//! again at the end, so that one slow producer does not hold up the offset; the place it had is
//! then done with too.
//!
//! Java reads the op queue in each round. Here it is read at the start only: what is settled
//! later is known from the moment it is, also before its op message is written, and a half message
//! that has been stored again is known by what its copies have in common. So no message is
//! committed twice, whatever the producers and the network repeat.

use std::collections::{BTreeMap, HashMap, VecDeque};

use skua_protocol::{Millis, PhysicalOffset};

use super::ranges::Ranges;

/// What all copies of one half message have in common, and no other half message has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity(pub u128);

/// A half message, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub struct Half {
    pub identity: Identity,
    pub born: Millis,
    pub stored: Millis,
    /// How often a producer was asked; `None`: the message is as it was sent.
    pub checks: Option<i32>,
    /// Milliseconds that the sender wants to be left alone, if it said so.
    pub immunity_ms: Option<i64>,
    /// It has been stored again.
    pub is_copy: bool,
}

/// When producers are asked.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// `transactionTimeOut`
    pub timeout_ms: i64,
    /// `transactionCheckMax`
    pub check_max: i32,
    /// `fileReservedTime`
    pub reserved_ms: i64,
}

/// Why a half message is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenUp {
    AskedTooOften,
    TooOld,
}

/// What is to be done about a half message that nobody has settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// A later copy of it stands for it.
    Superseded,
    /// Nothing yet, and nothing about those behind it.
    Wait,
    /// To be stored again; its producer is left alone.
    PutBack,
    /// To be stored again, and its producer to be asked.
    Ask {
        checks: i32,
    },
    GiveUp(GivenUp),
}

/// Whether a half message can be settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can; this is the queue offset it has now.
    Open(u64),
    Settled,
}

/// The offsets of `CID_RMQ_SYS_TRANS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub half: u64,
    pub op: u64,
}

/// An op message that matters still.
#[derive(Debug)]
struct Op {
    offset: u64,
    /// The last half message that it settles.
    last_half: u64,
}

#[derive(Debug)]
pub struct HalfQueue {
    /// Everything before is done with.
    next: u64,
    /// Done with from `next` on.
    settled: Ranges,
    /// Settled, but no op message says so yet.
    unwritten: VecDeque<u64>,
    unwritten_len: usize,
    last_write: Millis,
    ops: VecDeque<Op>,
    op_next: u64,
    /// Where each half message that has been stored again is now.
    copies: HashMap<Identity, u64>,
    copies_by_offset: BTreeMap<u64, Identity>,
    /// `next` as it was last given out.
    noted: u64,
    /// A later `next`, which must not be given out before the log is durable up to there.
    noting: Option<(u64, PhysicalOffset)>,
}

impl HalfQueue {
    pub fn new(progress: Progress, now: Millis) -> Self {
        Self {
            next: progress.half,
            settled: Ranges::default(),
            unwritten: VecDeque::new(),
            unwritten_len: 0,
            last_write: now,
            ops: VecDeque::new(),
            op_next: progress.op,
            copies: HashMap::new(),
            copies_by_offset: BTreeMap::new(),
            noted: progress.half,
            noting: None,
        }
    }

    /// The first half message that is not done with, or the end of the queue.
    pub fn next(&self) -> u64 {
        self.next
    }

    // ---- what the start finds

    /// An op message from the queue.
    pub fn found_op(&mut self, offset: u64, halves: &[u64]) {
        let here = halves.iter().copied().filter(|&half| half >= self.next);
        let mut last_half = None;
        for half in here {
            self.settled.insert(half);
            last_half = last_half.max(Some(half));
        }
        if let Some(last_half) = last_half {
            self.ops.push_back(Op { offset, last_half });
        } else if self.ops.is_empty() {
            self.op_next = offset + 1;
        }
    }

    /// A half message from the queue.
    pub fn found_half(&mut self, offset: u64, half: &Half) {
        if half.is_copy {
            self.set_copy(half.identity, offset);
        }
    }

    /// Takes over what `old` knows of the same queues, which may be newer than what was read.
    pub fn adopt(&mut self, old: Self) {
        for offset in old.unwritten {
            self.settle(offset);
        }
        for (first, end) in old.settled.runs() {
            (first.max(self.next)..end).for_each(|offset| self.settled.insert(offset));
        }
        for (identity, offset) in old.copies {
            if self.copies.get(&identity).is_none_or(|&there| there < offset) {
                self.set_copy(identity, offset);
            }
        }
    }

    // ---- settling

    pub fn standing(&self, offset: u64, identity: Identity) -> Standing {
        let live = match self.copies.get(&identity) {
            Some(&copy) if copy > offset => copy,
            _ => offset,
        };
        if live < self.next || self.settled.contains(live) {
            Standing::Settled
        } else {
            Standing::Open(live)
        }
    }

    /// The half message is committed or rolled back.
    pub fn settle(&mut self, offset: u64) {
        self.settled.insert(offset);
        self.unwritten.push_back(offset);
        self.unwritten_len += text_len(offset);
    }

    /// When the next op message is to be written.
    pub fn op_due(&self, interval_ms: i64, size_max: usize) -> Option<Millis> {
        if self.unwritten.is_empty() {
            return None;
        }
        let full = self.unwritten_len > size_max;
        Some(if full { Millis(i64::MIN) } else { self.last_write.plus(interval_ms) })
    }

    /// The next op message's body, and how many settlements it holds.
    pub fn op_body(&self, size_max: usize) -> Option<(String, usize)> {
        let mut body = String::new();
        let mut count = 0;
        for offset in &self.unwritten {
            if body.len() >= size_max {
                break;
            }
            body.push_str(&offset.to_string());
            body.push(',');
            count += 1;
        }
        (count > 0).then_some((body, count))
    }

    /// An op message with the first `count` settlements was written.
    pub fn op_written(&mut self, offset: u64, count: usize, now: Millis) {
        let mut last_half = 0;
        for half in self.unwritten.drain(..count) {
            self.unwritten_len -= text_len(half);
            last_half = last_half.max(half);
        }
        self.last_write = now;
        self.ops.push_back(Op { offset, last_half });
    }

    // ---- the round

    /// What to do about the half message at [`next`](Self::next); the round began at `started`.
    pub fn look(&self, half: &Half, started: Millis, now: Millis, rules: &Rules) -> Look {
        if self.copies.get(&half.identity).is_some_and(|&copy| copy > self.next) {
            return Look::Superseded;
        }
        let age = now.since(half.born);
        if half.checks.is_some_and(|checks| checks >= rules.check_max) {
            return Look::GiveUp(GivenUp::AskedTooOften);
        }
        if age > rules.reserved_ms {
            return Look::GiveUp(GivenUp::TooOld);
        }
        if half.stored >= started {
            return Look::Wait;
        }
        match half.immunity_ms {
            Some(immunity_ms) if age <= immunity_ms => Look::PutBack,
            // Java: a message from the future, by its sender's clock, is asked about at once.
            None if (0..=rules.timeout_ms).contains(&age) => Look::Wait,
            _ => Look::Ask { checks: half.checks.unwrap_or(0).saturating_add(1) },
        }
    }

    /// Passes over what is settled.
    pub fn pass_settled(&mut self) {
        if let Some(end) = self.settled.end_of(self.next) {
            self.pass_to(end);
        }
    }

    /// Everything before `next` is done with.
    pub fn pass_to(&mut self, next: u64) {
        self.next = self.next.max(next);
        self.settled.remove_below(self.next);
        while let Some(first) = self.copies_by_offset.first_entry() {
            if *first.key() >= self.next {
                break;
            }
            let identity = first.remove();
            self.copies.remove(&identity);
        }
    }

    /// The half message at [`next`](Self::next) stands at `copy` now.
    pub fn moved(&mut self, identity: Identity, copy: u64) {
        self.set_copy(identity, copy);
        self.pass_to(self.next + 1);
    }

    /// Whether messages that were put back are not done with.
    pub fn has_copies(&self) -> bool {
        !self.copies.is_empty()
    }

    /// A half message was put back from outside.
    pub fn resumed(&mut self, identity: Identity, copy: u64) {
        self.set_copy(identity, copy);
    }

    fn set_copy(&mut self, identity: Identity, offset: u64) {
        if let Some(old) = self.copies.insert(identity, offset) {
            self.copies_by_offset.remove(&old);
        }
        self.copies_by_offset.insert(offset, identity);
    }

    // ---- what is kept

    /// The offsets to keep. The half queue's waits for the log: after a crash of the machine, what
    /// makes an offset true must be there. The op queue's is one call behind the half queue's, so
    /// that whoever reads both while they change never sees op messages missing.
    pub fn progress(&mut self, appended: PhysicalOffset, flushed: PhysicalOffset) -> Progress {
        while self.ops.front().is_some_and(|op| op.last_half < self.noted) {
            let op = self.ops.pop_front().expect("there is a first one");
            self.op_next = op.offset + 1;
        }
        if let Some((next, _)) = self.noting.take_if(|(_, end)| *end <= flushed) {
            self.noted = next;
        }
        if self.noting.is_none() && self.next > self.noted {
            self.noting = Some((self.next, appended));
        }
        Progress { half: self.noted, op: self.op_next }
    }

    /// Whether [`progress`](Self::progress) has more to tell later.
    pub fn has_progress(&self) -> bool {
        self.next > self.noted || self.ops.front().is_some_and(|op| op.last_half < self.noted)
    }
}

/// Bytes that an offset takes in an op message.
fn text_len(offset: u64) -> usize {
    offset.checked_ilog10().unwrap_or(0) as usize + 2
}
