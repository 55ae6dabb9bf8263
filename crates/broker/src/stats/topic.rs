//! What is counted of a topic, its queues, and the groups that read it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use super::item::Item;

/// Counted of one topic; goes on when its configuration changes.
#[derive(Default)]
pub struct TopicStats {
    pub put_nums: Item,
    pub put_size: Item,
    queues: RwLock<BTreeMap<i32, Arc<QueuePuts>>>,
    groups: RwLock<HashMap<Box<str>, Arc<GroupStats>>>,
}

/// Sends to one queue.
#[derive(Default)]
pub struct QueuePuts {
    pub nums: Item,
    pub size: Item,
    pub latency: Item,
}

/// A group's reads of a topic.
#[derive(Default)]
pub struct GroupStats {
    pub get_nums: Item,
    pub get_size: Item,
    pub get_latency: Item,
    /// Messages sent back to be retried.
    pub send_back: Item,
    queues: RwLock<BTreeMap<i32, Arc<QueueGets>>>,
}

/// A group's reads of one queue.
#[derive(Default)]
pub struct QueueGets {
    pub nums: Item,
    pub size: Item,
    pub latency: Item,
}

impl TopicStats {
    pub fn queue(&self, queue: i32) -> Arc<QueuePuts> {
        of_queue(&self.queues, queue)
    }

    pub fn find_queue(&self, queue: i32) -> Option<Arc<QueuePuts>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner).get(&queue).cloned()
    }

    pub fn group(&self, group: &str) -> Arc<GroupStats> {
        if let Some(there) = self.find_group(group) {
            return there;
        }
        let mut groups = self.groups.write().unwrap_or_else(PoisonError::into_inner);
        groups.entry(group.into()).or_default().clone()
    }

    pub fn find_group(&self, group: &str) -> Option<Arc<GroupStats>> {
        self.groups.read().unwrap_or_else(PoisonError::into_inner).get(group).cloned()
    }

    /// Every group that has read.
    pub fn groups(&self) -> Vec<(Box<str>, Arc<GroupStats>)> {
        let groups = self.groups.read().unwrap_or_else(PoisonError::into_inner);
        groups.iter().map(|(name, stats)| (name.clone(), stats.clone())).collect()
    }

    pub fn forget_group(&self, group: &str) {
        self.groups.write().unwrap_or_else(PoisonError::into_inner).remove(group);
    }

    pub fn sample(&self, before: u64, tick: u64) {
        self.put_nums.sample(before, tick);
        self.put_size.sample(before, tick);
        for queue in self.queues.read().unwrap_or_else(PoisonError::into_inner).values() {
            for item in [&queue.nums, &queue.size, &queue.latency] {
                item.sample(before, tick);
            }
        }
        for group in self.groups.read().unwrap_or_else(PoisonError::into_inner).values() {
            group.sample(before, tick);
        }
    }
}

impl GroupStats {
    pub fn queue(&self, queue: i32) -> Arc<QueueGets> {
        of_queue(&self.queues, queue)
    }

    pub fn find_queue(&self, queue: i32) -> Option<Arc<QueueGets>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner).get(&queue).cloned()
    }

    fn sample(&self, before: u64, tick: u64) {
        for item in [&self.get_nums, &self.get_size, &self.get_latency, &self.send_back] {
            item.sample(before, tick);
        }
        for queue in self.queues.read().unwrap_or_else(PoisonError::into_inner).values() {
            for item in [&queue.nums, &queue.size, &queue.latency] {
                item.sample(before, tick);
            }
        }
    }
}

fn of_queue<T: Default>(queues: &RwLock<BTreeMap<i32, Arc<T>>>, queue: i32) -> Arc<T> {
    let there = queues.read().unwrap_or_else(PoisonError::into_inner).get(&queue).cloned();
    there.unwrap_or_else(|| {
        let mut queues = queues.write().unwrap_or_else(PoisonError::into_inner);
        queues.entry(queue).or_default().clone()
    })
}
