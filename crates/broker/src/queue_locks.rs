//! Order locks on queues (Java: `RebalanceLockManager`): one client of a group at a time may
//! consume an ordered queue. A lock that is not renewed expires.
//!
//! They are kept in memory. A group that elects its master has in its log who holds what (see
//! [`crate::tables`]), but not when a lock was renewed: whoever becomes master honours each for a
//! whole lifetime from then on. So no second client is granted a queue while the first believes to
//! have it, and the holder goes on.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use skua_protocol::Millis;
use skua_protocol::body::{DataVersion, MessageQueue};

use crate::swap_map::lock;
use crate::tables::{Journal, TableChanges};

/// A lock that is not renewed for longer than this is free (Java:
/// `rocketmq.broker.rebalance.lockMaxLiveTime`); clients renew every 20 s.
const LOCK_LIVE_MS: i64 = 60_000;
/// Groups whose locks have all expired are forgotten this often.
const SWEEP_EVERY_MS: i64 = 60_000;
/// Between the parts of a lock's name in the log; no topic or group has it.
const SEPARATOR: char = '\n';
/// Longest names that the log takes: of the lock, and of its client.
const NAME_MAX: usize = 1024;

struct Held {
    client: Box<str>,
    /// `None`: another broker knows.
    renewed: Option<Millis>,
}

impl Held {
    fn expired(&self, now: Millis) -> bool {
        self.renewed.is_some_and(|renewed| now.since(renewed) > LOCK_LIVE_MS)
    }
}

/// Clients by the lock's [`name`].
pub type Holders = BTreeMap<String, String>;

#[derive(Default)]
struct Table {
    groups: HashMap<Box<str>, HashMap<MessageQueue, Held>>,
    next_sweep: Option<Millis>,
    /// Locks that are another's now, and that the group of brokers is to have in its log.
    journal: Journal,
    /// Counts changes of hands.
    changes: u64,
}

fn name(group: &str, queue: &MessageQueue) -> String {
    let MessageQueue { topic, broker_name, queue_id } = queue;
    format!("{group}{SEPARATOR}{topic}{SEPARATOR}{broker_name}{SEPARATOR}{queue_id}")
}

/// Group and queue.
fn parse(name: &str) -> Option<(&str, MessageQueue)> {
    let parts: Vec<&str> = name.split(SEPARATOR).collect();
    let [group, topic, broker_name, queue_id] = parts[..] else { return None };
    let queue = MessageQueue {
        topic: topic.into(),
        broker_name: broker_name.into(),
        queue_id: queue_id.parse().ok()?,
    };
    Some((group, queue))
}

impl Table {
    fn note(&mut self, group: &str, queue: &MessageQueue) {
        self.changes += 1;
        if self.journal.is_kept() {
            self.journal.note(&name(group, queue));
        }
    }

    fn holder(&self, name: &str) -> Option<&Held> {
        let (group, queue) = parse(name)?;
        self.groups.get(group)?.get(&queue)
    }

    /// As another broker has it; `None`: free.
    fn set(&mut self, name: &str, client: Option<&str>) {
        let Some((group, queue)) = parse(name) else { return };
        match client {
            Some(client) => {
                let held = Held { client: client.into(), renewed: None };
                self.groups.entry(group.into()).or_default().insert(queue, held);
            }
            None => {
                if let Some(held) = self.groups.get_mut(group) {
                    held.remove(&queue);
                    if held.is_empty() {
                        self.groups.remove(group);
                    }
                }
            }
        }
    }

    fn retain(&mut self, stays: impl Fn(&str, &MessageQueue, &Held) -> bool) {
        let Self { groups, journal, changes, .. } = self;
        groups.retain(|group, held| {
            held.retain(|queue, held| {
                let stays = stays(group, queue, held);
                if !stays {
                    *changes += 1;
                    journal.note(&name(group, queue));
                }
                stays
            });
            !held.is_empty()
        });
    }

    fn for_each(&self, mut f: impl FnMut(String, &Held)) {
        for (group, held) in &self.groups {
            held.iter().for_each(|(queue, held)| f(name(group, queue), held));
        }
    }

    fn copy(&self) -> Holders {
        let mut holders = Holders::new();
        self.for_each(|name, held| drop(holders.insert(name, held.client.to_string())));
        holders
    }
}

#[derive(Default)]
pub struct QueueLocks(Mutex<Table>);

impl QueueLocks {
    /// Takes or renews the locks that are free or `client`'s own, and returns those.
    pub fn take(
        &self,
        group: &str,
        queues: Vec<MessageQueue>,
        client: &str,
        now: Millis,
    ) -> Vec<MessageQueue> {
        let mut table = lock(&self.0);
        let mut taken = Vec::with_capacity(queues.len());
        for queue in queues {
            // What cannot be in the log cannot be granted.
            if table.journal.is_kept() && !fits(&name(group, &queue), client) {
                continue;
            }
            let held = table.groups.get_mut(group).and_then(|held| held.get_mut(&queue));
            let is_new = match held {
                Some(other) if *other.client != *client && !other.expired(now) => {
                    tracing::debug!(group, ?queue, holder = %other.client, client, "queue is locked");
                    continue;
                }
                Some(own) if *own.client == *client => {
                    own.renewed = Some(now);
                    false
                }
                _ => true,
            };
            if is_new {
                let held = Held { client: client.into(), renewed: Some(now) };
                table.groups.entry(group.into()).or_default().insert(queue.clone(), held);
                table.note(group, &queue);
            }
            taken.push(queue);
        }
        if !taken.is_empty() {
            table.next_sweep.get_or_insert(now.plus(SWEEP_EVERY_MS));
        }
        taken
    }

    /// Gives back those of `queues` that are `client`'s.
    pub fn give_back(&self, group: &str, queues: &[MessageQueue], client: &str) {
        let mut table = lock(&self.0);
        for queue in queues {
            let Some(held) = table.groups.get_mut(group) else { return };
            if held.get(queue).is_some_and(|held| *held.client == *client) {
                held.remove(queue);
                if held.is_empty() {
                    table.groups.remove(group);
                }
                table.note(group, queue);
            }
        }
    }

    /// Whether any queue of the group is locked now: the group consumes in order.
    pub fn any_live(&self, group: &str, now: Millis) -> bool {
        lock(&self.0)
            .groups
            .get(group)
            .is_some_and(|held| held.values().any(|held| !held.expired(now)))
    }

    /// Forgets expired locks; they count as free anyway. Returns when to come again.
    pub fn run_due(&self, now: Millis) -> Option<Millis> {
        let mut table = lock(&self.0);
        if table.next_sweep.is_some_and(|at| at <= now) {
            table.retain(|_, _, held| !held.expired(now));
            table.next_sweep = (!table.groups.is_empty()).then(|| now.plus(SWEEP_EVERY_MS));
        }
        table.next_sweep
    }

    /// This broker becomes master: when locks were renewed at another it does not know.
    pub fn lead(&self, now: Millis) {
        let mut table = lock(&self.0);
        for held in table.groups.values_mut().flat_map(HashMap::values_mut) {
            held.renewed = Some(now);
        }
        table.next_sweep = (!table.groups.is_empty()).then(|| now.plus(SWEEP_EVERY_MS));
    }

    /// Another is the master now: locks expire there.
    pub fn follow(&self) {
        let mut table = lock(&self.0);
        for held in table.groups.values_mut().flat_map(HashMap::values_mut) {
            held.renewed = None;
        }
        table.next_sweep = None;
    }

    /// A number that changes whenever a lock is another's.
    pub fn changes(&self) -> u64 {
        lock(&self.0).changes
    }

    /// Who holds what.
    pub fn snapshot(&self) -> Holders {
        lock(&self.0).copy()
    }

    /// Becomes the same as another broker's table.
    pub fn take_masters(&self, holders: &Holders) {
        let mut table = lock(&self.0);
        table.groups.clear();
        holders.iter().for_each(|(name, client)| table.set(name, Some(client)));
        table.changes += 1;
    }

    /// From now on changes are noted for the log, or not any more.
    pub(crate) fn keep_journal(&self, is_kept: bool) {
        lock(&self.0).journal = Journal::new(is_kept);
    }

    /// All is to be in the log: of none is it sure that the group of brokers has agreed on it.
    pub(crate) fn note_all(&self) {
        let mut table = lock(&self.0);
        let mut journal = std::mem::take(&mut table.journal);
        journal.mark_whole();
        table.for_each(|name, _| {
            journal.note(&name);
        });
        table.journal = journal;
    }

    pub(crate) fn has_changes(&self) -> bool {
        !lock(&self.0).journal.is_empty()
    }

    /// Whether any queue that the client holds is to be in the log still.
    pub(crate) fn has_changes_of(&self, group: &str, client: &str) -> bool {
        let table = lock(&self.0);
        let is_its = |name: &str| table.holder(name).is_some_and(|held| *held.client == *client);
        table.journal.has_any(&format!("{group}{SEPARATOR}"), is_its)
    }

    /// What changed, at most so many locks.
    pub(crate) fn take_changes(&self, most: usize) -> TableChanges<String> {
        let mut table = lock(&self.0);
        let mut journal = std::mem::take(&mut table.journal);
        let holder = |name: &str| table.holder(name).map(|held| held.client.to_string());
        let taken = TableChanges::take(DataVersion::default(), &mut journal, most, holder);
        table.journal = journal;
        taken
    }

    /// Changes that were taken did not come into the log.
    pub(crate) fn put_back(&self, taken: &TableChanges<String>) {
        lock(&self.0).journal.put_back(taken);
    }

    /// Takes over what the group of brokers has agreed on.
    pub(crate) fn take_logged(&self, logged: &TableChanges<String>) {
        let mut table = lock(&self.0);
        if logged.all_of.is_some() {
            table.retain(|group, queue, _| !logged.drops(&name(group, queue)));
        }
        for (name, client) in &logged.entries {
            table.set(name, client.as_deref());
        }
        table.changes += 1;
    }
}

fn fits(name: &str, client: &str) -> bool {
    name.len() <= NAME_MAX && client.len() <= NAME_MAX && parse(name).is_some()
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
