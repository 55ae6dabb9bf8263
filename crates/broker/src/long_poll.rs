//! Pulls that wait for a message (Java: `PullRequestHoldService`).
//!
//! A pull that found nothing is parked under its queue with the offset it waits for. It leaves
//! again for exactly one of four reasons ([`Woken`]). Deadlines are kept to the millisecond; the
//! table is bounded. Whoever parks must look at the queue once more afterwards
//! ([`LongPolls::take`]): a message stored before the parking was announced before it too.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use bytes::Bytes;
use skua_protocol::service::ConnectionId;
use skua_protocol::{Millis, QueueId};

use crate::swap_map::lock;

const SHARDS: usize = 32;

/// Most pulls that wait at a time; one more is refused as busy.
pub const PARKED_MAX: usize = 200_000;

/// Why a parked pull goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// A message that it wants may be there.
    Arrival,
    /// Its time is over.
    Timeout,
    /// Its connection has ended: nobody waits for an answer.
    Closed,
    /// The broker stops.
    Shutdown,
}

/// What a parked pull waits for.
pub trait Wanted {
    /// Whether a message with this tag hash may be for it; false positives are harmless. `record`
    /// gives the message itself if it can still be read.
    fn wants(&self, tags_code: i64, record: &dyn Fn() -> Option<Bytes>) -> bool;
    /// Lets it go on.
    fn wake(self, why: Woken);
}

/// Names one parked pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    deadline: Millis,
    id: u64,
    shard: usize,
}

struct Parked<W> {
    ticket: Ticket,
    connection: ConnectionId,
    from: i64,
    wanted: W,
}

struct Shard<W> {
    topics: HashMap<Box<str>, HashMap<QueueId, Vec<Parked<W>>>>,
    /// Where each ticket is, by deadline.
    tickets: BTreeMap<Ticket, (Box<str>, QueueId)>,
    next_id: u64,
}

impl<W> Shard<W> {
    /// Takes out the pulls of a queue that `leaves` chooses.
    fn drain(
        &mut self,
        topic: &str,
        queue: QueueId,
        leaves: impl FnMut(&mut Parked<W>) -> bool,
        out: &mut Vec<W>,
    ) {
        let Some(queues) = self.topics.get_mut(topic) else { return };
        let Some(parked) = queues.get_mut(&queue) else { return };
        for gone in parked.extract_if(.., leaves) {
            self.tickets.remove(&gone.ticket);
            out.push(gone.wanted);
        }
        if parked.is_empty() {
            queues.remove(&queue);
            if queues.is_empty() {
                self.topics.remove(topic);
            }
        }
    }
}

/// All parked pulls.
pub struct LongPolls<W> {
    shards: Box<[Mutex<Shard<W>>]>,
    hasher: RandomState,
    parked: AtomicUsize,
    parked_max: usize,
}

impl<W: Wanted> LongPolls<W> {
    pub fn new(parked_max: usize) -> Self {
        let shard =
            || Mutex::new(Shard { topics: HashMap::new(), tickets: BTreeMap::new(), next_id: 0 });
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher: RandomState::new(),
            parked: AtomicUsize::new(0),
            parked_max,
        }
    }

    pub fn parked(&self) -> usize {
        self.parked.load(Ordering::Relaxed)
    }

    pub fn parked_max(&self) -> usize {
        self.parked_max
    }

    fn shard_of(&self, topic: &str, queue: QueueId) -> usize {
        self.hasher.hash_one((topic, queue)) as usize % SHARDS
    }

    /// Lets a pull wait for a message at `from` or later until `deadline`. Gives `wanted` back
    /// when as many wait already as may.
    pub fn park(
        &self,
        place: Place<'_>,
        connection: ConnectionId,
        deadline: Millis,
        wanted: W,
    ) -> Result<Ticket, W> {
        if self.parked.fetch_add(1, Ordering::SeqCst) >= self.parked_max {
            self.parked.fetch_sub(1, Ordering::SeqCst);
            return Err(wanted);
        }
        let Place { topic, queue, from } = place;
        let index = self.shard_of(topic, queue);
        let mut shard = lock(&self.shards[index]);
        let ticket = Ticket { deadline, id: shard.next_id, shard: index };
        shard.next_id += 1;
        shard.tickets.insert(ticket, (topic.into(), queue));
        let parked = Parked { ticket, connection, from, wanted };
        if !shard.topics.contains_key(topic) {
            shard.topics.insert(topic.into(), HashMap::new());
        }
        let queues = shard.topics.get_mut(topic).expect("inserted just above");
        queues.entry(queue).or_default().push(parked);
        drop(shard);
        // Either the caller's look at the queue after this sees a new message, or `arrived` of
        // that message sees the count above.
        fence(Ordering::SeqCst);
        Ok(ticket)
    }

    /// Takes a pull back out; false if it has been woken meanwhile.
    pub fn take(&self, ticket: Ticket) -> Option<W> {
        let mut out = Vec::new();
        {
            let mut shard = lock(&self.shards[ticket.shard]);
            let (topic, queue) = shard.tickets.get(&ticket)?.clone();
            shard.drain(&topic, queue, |parked| parked.ticket == ticket, &mut out);
        }
        self.parked.fetch_sub(out.len(), Ordering::SeqCst);
        out.pop()
    }

    /// A message with this offset and tag hash can be read now. Called after it can.
    pub fn arrived(
        &self,
        topic: &str,
        queue: QueueId,
        offset: i64,
        tags_code: i64,
        record: &dyn Fn() -> Option<Bytes>,
    ) {
        fence(Ordering::SeqCst);
        if self.parked.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut out = Vec::new();
        lock(&self.shards[self.shard_of(topic, queue)]).drain(
            topic,
            queue,
            |parked| offset >= parked.from && parked.wanted.wants(tags_code, record),
            &mut out,
        );
        self.wake_all(out, Woken::Arrival);
    }

    /// Wakes the pulls whose time is over and returns the next deadline.
    pub fn run_due(&self, now: Millis) -> Option<Millis> {
        let mut next = None;
        for shard in &self.shards {
            let mut out = Vec::new();
            {
                let mut shard = lock(shard);
                while let Some((&ticket, _)) = shard.tickets.first_key_value() {
                    if ticket.deadline > now {
                        next = crate::earlier(next, Some(ticket.deadline));
                        break;
                    }
                    let Some((topic, queue)) = shard.tickets.remove(&ticket) else { break };
                    shard.drain(&topic, queue, |parked| parked.ticket == ticket, &mut out);
                }
            }
            self.wake_all(out, Woken::Timeout);
        }
        next
    }

    /// A connection has ended: its pulls leave.
    pub fn closed(&self, connection: ConnectionId) {
        if self.parked.load(Ordering::SeqCst) != 0 {
            self.drain_all(|parked| parked.connection == connection, Woken::Closed);
        }
    }

    /// Lets all go.
    pub fn shutdown(&self) {
        self.drain_all(|_| true, Woken::Shutdown);
    }

    fn drain_all(&self, leaves: impl Fn(&Parked<W>) -> bool, why: Woken) {
        for shard in &self.shards {
            let mut out = Vec::new();
            {
                let mut shard = lock(shard);
                let places: Vec<_> = shard
                    .topics
                    .iter()
                    .flat_map(|(topic, queues)| {
                        queues
                            .iter()
                            .filter(|(_, parked)| parked.iter().any(&leaves))
                            .map(|(queue, _)| (topic.clone(), *queue))
                    })
                    .collect();
                for (topic, queue) in places {
                    shard.drain(&topic, queue, |parked| leaves(parked), &mut out);
                }
            }
            self.wake_all(out, why);
        }
    }

    /// Outside the shard's lock: waking may run the pull at once.
    fn wake_all(&self, out: Vec<W>, why: Woken) {
        self.parked.fetch_sub(out.len(), Ordering::SeqCst);
        for wanted in out {
            wanted.wake(why);
        }
    }
}

/// The queue a pull waits at, and the first offset it wants.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub topic: &'a str,
    pub queue: QueueId,
    pub from: i64,
}

#[cfg(test)]
mod tests;
