//! Order locks on queues (Java: `RebalanceLockManager`): one client of a group at a time may
//! consume an ordered queue. Kept in memory only; a lock that is not renewed expires.

use std::collections::HashMap;
use std::sync::Mutex;

use skua_protocol::Millis;
use skua_protocol::body::MessageQueue;

use crate::swap_map::lock;

/// A lock that is not renewed for longer than this is free (Java:
/// `rocketmq.broker.rebalance.lockMaxLiveTime`); clients renew every 20 s.
const LOCK_LIVE_MS: i64 = 60_000;
/// Groups whose locks have all expired are forgotten this often.
const SWEEP_EVERY_MS: i64 = 60_000;

struct Held {
    client: Box<str>,
    renewed: Millis,
}

impl Held {
    fn expired(&self, now: Millis) -> bool {
        now.since(self.renewed) > LOCK_LIVE_MS
    }
}

#[derive(Default)]
struct Table {
    groups: HashMap<Box<str>, HashMap<MessageQueue, Held>>,
    next_sweep: Option<Millis>,
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
        if !table.groups.contains_key(group) {
            table.groups.insert(group.into(), HashMap::new());
        }
        let held = table.groups.get_mut(group).expect("inserted just above");
        let mut taken = Vec::with_capacity(queues.len());
        for queue in queues {
            match held.get_mut(&queue) {
                Some(other) if *other.client != *client && !other.expired(now) => {
                    tracing::debug!(group, ?queue, holder = %other.client, client, "queue is locked");
                    continue;
                }
                Some(own) => *own = Held { client: client.into(), renewed: now },
                None => {
                    held.insert(queue.clone(), Held { client: client.into(), renewed: now });
                }
            }
            taken.push(queue);
        }
        table.next_sweep.get_or_insert(now.plus(SWEEP_EVERY_MS));
        taken
    }

    /// Gives back those of `queues` that are `client`'s.
    pub fn give_back(&self, group: &str, queues: &[MessageQueue], client: &str) {
        let mut table = lock(&self.0);
        let Some(held) = table.groups.get_mut(group) else { return };
        for queue in queues {
            if held.get(queue).is_some_and(|held| *held.client == *client) {
                held.remove(queue);
            }
        }
        if held.is_empty() {
            table.groups.remove(group);
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
            table.groups.retain(|_, held| {
                held.retain(|_, held| !held.expired(now));
                !held.is_empty()
            });
            table.next_sweep = (!table.groups.is_empty()).then(|| now.plus(SWEEP_EVERY_MS));
        }
        table.next_sweep
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
