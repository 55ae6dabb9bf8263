//! Pops and notifications that wait for a message (Java: `PopLongPollingService`).
//!
//! Unlike parked pulls they wait for any message of a topic that their group may take: from one
//! queue or from all, or from the group's retry topics. Each arrival wakes one of those that wait
//! for all queues and one of those that wait for its queue; who finds nothing parks again.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use bytes::Bytes;
use skua_protocol::Millis;
use skua_protocol::service::ConnectionId;

use super::receipt::{retry_topic_v1, retry_topic_v2};
use crate::long_poll::{Wanted, Woken};
use crate::names::RETRY_PREFIX;
use crate::swap_map::lock;

/// Queue id of those that wait for all queues.
pub const ANY_QUEUE: i32 = -1;

/// Names one parked pop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    deadline: Millis,
    id: u64,
}

struct Parked<W> {
    ticket: Ticket,
    connection: ConnectionId,
    wanted: W,
}

/// Those of one group that wait for one topic, by queue id.
type Queues<W> = BTreeMap<i32, VecDeque<Parked<W>>>;

struct Place {
    topic: Box<str>,
    group: Box<str>,
    queue: i32,
}

struct Table<W> {
    topics: HashMap<Box<str>, HashMap<Box<str>, Queues<W>>>,
    /// Topic and group of the retry topics of all that wait.
    retries: HashMap<String, (Box<str>, Box<str>)>,
    tickets: BTreeMap<Ticket, Place>,
    next_id: u64,
}

/// At most so many may wait.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// In all (`maxPopPollingSize`).
    pub all: usize,
    /// For one queue of one group (`popPollingSize`).
    pub queue: usize,
}

pub struct Polls<W> {
    table: Mutex<Table<W>>,
    parked: AtomicUsize,
}

impl<W> Default for Polls<W> {
    fn default() -> Self {
        Self {
            table: Mutex::new(Table {
                topics: HashMap::new(),
                retries: HashMap::new(),
                tickets: BTreeMap::new(),
                next_id: 0,
            }),
            parked: AtomicUsize::new(0),
        }
    }
}

impl<W> Table<W> {
    fn queue_mut(&mut self, place: &Place) -> &mut VecDeque<Parked<W>> {
        if !self.topics.contains_key(&place.topic) {
            self.topics.insert(place.topic.clone(), HashMap::new());
        }
        let groups = self.topics.get_mut(&place.topic).expect("inserted just above");
        if !groups.contains_key(&place.group) {
            groups.insert(place.group.clone(), BTreeMap::new());
            for retry in [
                retry_topic_v1(&place.topic, &place.group),
                retry_topic_v2(&place.topic, &place.group),
            ] {
                self.retries.insert(retry, (place.topic.clone(), place.group.clone()));
            }
        }
        groups.get_mut(&place.group).expect("inserted just above").entry(place.queue).or_default()
    }

    /// Takes out the first of a queue that `leaves` chooses.
    fn take_first(
        &mut self,
        topic: &str,
        group: &str,
        queue: i32,
        leaves: impl Fn(&Parked<W>) -> bool,
    ) -> Option<W> {
        let groups = self.topics.get_mut(topic)?;
        let queues = groups.get_mut(group)?;
        let parked = queues.get_mut(&queue)?;
        let at = parked.iter().position(leaves)?;
        let gone = parked.remove(at)?;
        self.tickets.remove(&gone.ticket);
        if parked.is_empty() {
            queues.remove(&queue);
            if queues.is_empty() {
                groups.remove(group);
                self.retries.remove(&retry_topic_v1(topic, group));
                self.retries.remove(&retry_topic_v2(topic, group));
                if groups.is_empty() {
                    self.topics.remove(topic);
                }
            }
        }
        Some(gone.wanted)
    }

    fn take(&mut self, ticket: Ticket) -> Option<W> {
        let Place { topic, group, queue } = self.tickets.remove(&ticket)?;
        self.take_first(&topic, &group, queue, |parked| parked.ticket == ticket)
    }

    /// One that waits for all queues of a topic, else one that waits for any of them.
    fn take_any(&mut self, topic: &str, group: &str) -> Option<W> {
        let queue = *self.topics.get(topic)?.get(group)?.keys().next()?;
        self.take_first(topic, group, queue, |_| true)
    }
}

impl<W: Wanted> Polls<W> {
    /// How many of a group wait for a queue.
    pub fn parked_at(&self, topic: &str, group: &str, queue: i32) -> usize {
        let table = lock(&self.table);
        let queues = table.topics.get(topic).and_then(|groups| groups.get(group));
        queues.and_then(|queues| queues.get(&queue)).map_or(0, VecDeque::len)
    }

    /// Lets one wait until `deadline`. Gives `wanted` back when as many wait already as may.
    pub fn park(
        &self,
        (topic, group, queue): (&str, &str, i32),
        connection: ConnectionId,
        deadline: Millis,
        wanted: W,
        limits: Limits,
    ) -> Result<Ticket, W> {
        let mut table = lock(&self.table);
        if table.tickets.len() >= limits.all {
            return Err(wanted);
        }
        let place = Place { topic: topic.into(), group: group.into(), queue };
        let ticket = Ticket { deadline, id: table.next_id };
        let parked = table.queue_mut(&place);
        if parked.len() > limits.queue {
            return Err(wanted);
        }
        parked.push_back(Parked { ticket, connection, wanted });
        table.next_id += 1;
        table.tickets.insert(ticket, place);
        self.parked.store(table.tickets.len(), Ordering::SeqCst);
        drop(table);
        // Either the caller's look at the queues after this sees a new message, or `arrived` of
        // that message sees the count above.
        fence(Ordering::SeqCst);
        Ok(ticket)
    }

    /// Takes one back out; `None` if it has been woken meanwhile.
    pub fn take(&self, ticket: Ticket) -> Option<W> {
        self.with(|table| table.take(ticket))
    }

    fn with<T>(&self, f: impl FnOnce(&mut Table<W>) -> T) -> T {
        let mut table = lock(&self.table);
        let out = f(&mut table);
        self.parked.store(table.tickets.len(), Ordering::SeqCst);
        out
    }

    /// A message can be read from a queue now. Called after it can.
    pub fn arrived(
        &self,
        topic: &str,
        queue: i32,
        tags_code: i64,
        record: &dyn Fn() -> Option<Bytes>,
    ) {
        fence(Ordering::SeqCst);
        if self.parked.load(Ordering::SeqCst) == 0 {
            return;
        }
        let woken = self.with(|table| {
            if topic.starts_with(RETRY_PREFIX)
                && let Some((topic, group)) = table.retries.get(topic).cloned()
            {
                return table.take_any(&topic, &group).into_iter().collect();
            }
            let Some(groups) = table.topics.get(topic) else { return Vec::new() };
            let groups: Vec<Box<str>> = groups.keys().cloned().collect();
            let mut woken = Vec::new();
            for group in groups {
                let wants = |parked: &Parked<W>| parked.wanted.wants(tags_code, record);
                woken.extend(table.take_first(topic, &group, ANY_QUEUE, wants));
                woken.extend(table.take_first(topic, &group, queue, wants));
            }
            woken
        });
        woken.into_iter().for_each(|wanted| wanted.wake(Woken::Arrival));
    }

    /// There is something left that one of a group may take from a queue, or from all.
    pub fn more(&self, topic: &str, group: &str, queue: i32) {
        if self.parked.load(Ordering::SeqCst) == 0 {
            return;
        }
        let woken = self.with(|table| table.take_first(topic, group, queue, |_| true));
        woken.into_iter().for_each(|wanted| wanted.wake(Woken::Arrival));
    }

    /// Wakes those whose time is over and returns the next deadline.
    pub fn run_due(&self, now: Millis) -> Option<Millis> {
        let mut woken = Vec::new();
        let next = self.with(|table| {
            while let Some((&ticket, _)) = table.tickets.first_key_value() {
                if ticket.deadline > now {
                    return Some(ticket.deadline);
                }
                woken.extend(table.take(ticket));
            }
            None
        });
        woken.into_iter().for_each(|wanted| wanted.wake(Woken::Timeout));
        next
    }

    /// A connection has ended: its pops leave.
    pub fn closed(&self, connection: ConnectionId) {
        if self.parked.load(Ordering::SeqCst) != 0 {
            self.leave(|parked| parked.connection == connection, Woken::Closed);
        }
    }

    /// Lets all go.
    pub fn shutdown(&self) {
        self.leave(|_| true, Woken::Shutdown);
    }

    fn leave(&self, leaves: impl Fn(&Parked<W>) -> bool, why: Woken) {
        let woken: Vec<W> = self.with(|table| {
            let queues = table.topics.values().flat_map(HashMap::values).flat_map(BTreeMap::values);
            let gone = queues.flatten().filter(|parked| leaves(parked));
            let tickets: Vec<Ticket> = gone.map(|parked| parked.ticket).collect();
            tickets.into_iter().filter_map(|ticket| table.take(ticket)).collect()
        });
        woken.into_iter().for_each(|wanted| wanted.wake(why));
    }
}

#[cfg(test)]
mod tests;
