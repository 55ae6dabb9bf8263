//! The work on a half queue, over whatever keeps its messages: reading it at the start, the rounds
//! of questions, the op messages.

use std::sync::Mutex;

use skua_protocol::{Millis, PhysicalOffset};

use super::half_queue::{GivenUp, Half, HalfQueue, Identity, Look, Progress, Rules, Standing};
use crate::swap_map::lock;

/// Half messages looked at before other timed work has its turn.
const LOOKED_AT_MAX: usize = 512;

/// Some of a queue's messages.
pub struct Chunk<T> {
    pub messages: Vec<(u64, T)>,
    /// Where to go on; as asked for if nothing is there yet.
    pub next: u64,
}

/// A committed message in the log.
#[derive(Clone, Copy, Debug)]
pub struct Committed {
    /// The half message it was made of.
    pub half_offset: u64,
    pub identity: Identity,
}

/// Where a half message stands after it was stored again.
#[derive(Clone, Copy, Debug)]
pub struct Copied {
    pub queue_offset: u64,
    pub physical_offset: PhysicalOffset,
}

/// The half queue and its op queue, as something keeps them.
pub trait Queues {
    type Message;
    type Error: std::fmt::Display;

    fn half_messages(&self, from: u64) -> Result<Chunk<Self::Message>, Self::Error>;
    /// The half messages that each op message settles.
    fn op_messages(&self, from: u64) -> Result<Chunk<Vec<u64>>, Self::Error>;
    /// Messages committed since the half message was stored.
    fn committed_since(&self, half: &Self::Message) -> Result<Vec<Committed>, Self::Error>;
    fn half(&self, message: &Self::Message) -> Half;

    /// Stores a half message again. `checks` are set if given, else the offset that it was first
    /// sent with.
    fn put_back(
        &self,
        message: &Self::Message,
        checks: Option<i32>,
        now: Millis,
    ) -> Result<Copied, Self::Error>;
    /// Asks a producer about the half message that stands at `copy` now.
    fn ask(&self, message: &Self::Message, checks: i32, copy: Copied);
    fn give_up(
        &self,
        message: &Self::Message,
        why: GivenUp,
        now: Millis,
    ) -> Result<(), Self::Error>;
    /// Stores an op message; returns its queue offset.
    fn write_op(&self, body: &str, now: Millis) -> Result<u64, Self::Error>;
}

/// What both queues hold from the kept offsets on.
pub fn load<Q: Queues>(queues: &Q, progress: Progress, now: Millis) -> Result<HalfQueue, Q::Error> {
    let mut queue = HalfQueue::new(progress, now);
    let mut from = progress.op;
    loop {
        let chunk = queues.op_messages(from)?;
        for (offset, halves) in &chunk.messages {
            queue.found_op(*offset, halves);
        }
        if chunk.next == from {
            break;
        }
        from = chunk.next;
    }
    let mut from = progress.half;
    let mut first = None;
    loop {
        let chunk = queues.half_messages(from)?;
        let next = chunk.next;
        for (offset, message) in chunk.messages {
            let half = queues.half(&message);
            queue.found_half(offset, &half);
            if queue.standing(offset, half.identity) != Standing::Settled {
                first.get_or_insert(message);
            }
        }
        if next == from {
            break;
        }
        from = next;
    }
    // Java writes no op messages at its stop, and nobody does in a crash.
    if let Some(first) = first {
        for committed in queues.committed_since(&first)? {
            let standing = queue.standing(committed.half_offset, committed.identity);
            if let Standing::Open(offset) = standing {
                queue.settle(offset);
            }
        }
    }
    Ok(queue)
}

/// A round of questions under way.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    pub started: Millis,
}

/// What came of a turn of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// There is more to look at.
    GoOn,
    Done,
}

/// Looks at half messages until one that is to wait, the end, or enough for now.
pub fn check<Q: Queues>(
    queue: &Mutex<HalfQueue>,
    queues: &Q,
    round: Round,
    now: Millis,
    rules: &Rules,
) -> Result<Turn, Q::Error> {
    let mut looked_at = 0;
    while looked_at < LOOKED_AT_MAX {
        let from = {
            let mut queue = lock(queue);
            queue.pass_settled();
            queue.next()
        };
        let chunk = queues.half_messages(from)?;
        if chunk.messages.is_empty() {
            if chunk.next == from {
                return Ok(Turn::Done);
            }
            lock(queue).pass_to(chunk.next);
            continue;
        }
        for (offset, message) in chunk.messages {
            looked_at += 1;
            let half = queues.half(&message);
            let mut queue = lock(queue);
            queue.pass_settled();
            if offset < queue.next() {
                continue;
            }
            // What lies between is not there any more.
            queue.pass_to(offset);
            match queue.look(&half, round.started, now, rules) {
                Look::Wait => return Ok(Turn::Done),
                Look::Superseded => queue.pass_to(offset + 1),
                Look::GiveUp(why) => {
                    queues.give_up(&message, why, now)?;
                    queue.pass_to(offset + 1);
                }
                Look::PutBack => {
                    let copy = queues.put_back(&message, None, now)?;
                    queue.moved(half.identity, copy.queue_offset);
                }
                Look::Ask { checks } => {
                    let copy = queues.put_back(&message, Some(checks), now)?;
                    queue.moved(half.identity, copy.queue_offset);
                    drop(queue);
                    queues.ask(&message, checks, copy);
                }
            }
        }
    }
    Ok(Turn::GoOn)
}

/// Writes one op message. False if there is nothing to write.
pub fn write_op<Q: Queues>(
    queue: &mut HalfQueue,
    queues: &Q,
    size_max: usize,
    now: Millis,
) -> Result<bool, Q::Error> {
    let Some((body, count)) = queue.op_body(size_max) else { return Ok(false) };
    let offset = queues.write_op(&body, now)?;
    queue.op_written(offset, count, now);
    Ok(true)
}
