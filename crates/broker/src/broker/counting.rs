//! What the broker counts, under RocketMQ's names (Java: `BrokerStatsManager`).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use skua_protocol::body::BrokerStats;
use skua_protocol::{Millis, QueueId};

use super::Broker;
use crate::names::SCHEDULE_TOPIC;
use crate::stats::{Counters, GroupStats, Item, TICK_MS};
use crate::topic_table::Topic;

/// Java: `MixAll.SCHEDULE_CONSUMER_GROUP`.
const SCHEDULE_GROUP: &str = "SCHEDULE_CONSUMER";

/// No sample is to be taken.
pub(super) const NO_TICK: u64 = u64::MAX;
/// After this long without anything counted every window is empty.
const ALL_WINDOWS_MS: i64 = 26 * 60 * 60 * 1000;

/// Messages that were put into or got from a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moved {
    pub queue: i32,
    pub messages: u64,
    pub bytes: u64,
}

impl Broker {
    /// Messages were stored for a client that began to send at `now`.
    pub(crate) fn count_put(&self, topic: &Topic, put: Moved, now: Millis) {
        let Moved { queue, messages, bytes } = put;
        let stats = &topic.stats;
        stats.put_nums.add(messages, 1);
        stats.put_size.add(bytes, 1);
        let of_queue = stats.queue(queue);
        let took = self.time_told().since(now).max(0) as u64;
        of_queue.latency.add(took, 1);
        self.counters.put_latency.add(took);
        if self.settings().broker.enable_detail_stat {
            of_queue.nums.add(messages, 1);
            of_queue.size.add(bytes, 1);
        }
        self.counters.broker_puts.add(messages, 0);
        if !self.system_topics.contains(&topic.config.topic_name) {
            self.counters.user_puts.add(messages, 0);
        }
        self.counters.put(messages, bytes, now);
        self.counted_at(now);
    }

    /// Messages were handed to a group whose request came at `now`.
    pub(crate) fn count_got(&self, topic: &Topic, group: &str, got: Moved, now: Millis) {
        let Moved { queue, messages, bytes } = got;
        let stats = topic.stats.group(group);
        stats.get_nums.add(messages, 1);
        stats.get_size.add(bytes, 1);
        let took = self.time_told().since(now).max(0) as u64;
        self.counters.get_latency.add(took);
        if self.settings().broker.enable_detail_stat {
            let of_queue = stats.queue(queue);
            of_queue.nums.add(messages, 1);
            of_queue.size.add(bytes, 1);
            of_queue.latency.add(took, 1);
        } else {
            stats.get_latency.add(took, 1);
        }
        self.counters.broker_gets.add(messages, 0);
        if !self.system_topics.contains(&topic.config.topic_name) {
            self.counters.user_gets.add(messages, 0);
        }
        self.counted_at(now);
    }

    /// A consumer's or a producer's heartbeat.
    pub(crate) fn count_beat(&self, item: impl Fn(&Counters) -> &Item, now: Millis) {
        item(&self.counters).add(0, 1);
        self.counted_at(now);
    }

    /// A delayed message came out of its level (Java: got by a group of the system, and put).
    pub(super) fn count_delivery(&self, topic: &str, put: Moved, now: Millis) {
        if let Some(schedule) = self.topics.get(SCHEDULE_TOPIC) {
            self.count_got(&schedule, SCHEDULE_GROUP, put, now);
        }
        if let Some(topic) = self.topics.get(topic) {
            self.count_put(&topic, put, now);
        }
    }

    /// A timer message was delivered. Called by whoever runs the store's timer.
    pub fn count_timer_delivery(&self, topic: &str, queue: QueueId, bytes: u32) {
        if let Some(topic) = self.topics.get(topic) {
            let put = Moved { queue: queue.0 as i32, messages: 1, bytes: u64::from(bytes) };
            self.count_put(&topic, put, self.time_told());
        }
    }

    /// A message was sent back by a group that got it from `topic`.
    pub(crate) fn count_send_back(&self, topic: &str, group: &str) {
        if let Some(topic) = self.topics.get(topic) {
            topic.stats.group(group).send_back.add(1, 1);
        }
    }

    /// A group is no more.
    pub(crate) fn forget_group_counts(&self, group: &str) {
        for topic in self.topics.all() {
            topic.stats.forget_group(group);
        }
    }

    /// The windows of what RocketMQ calls `name`, of `key`; `None` if nothing was counted.
    pub(crate) fn counted(&self, name: &str, key: &str) -> Option<BrokerStats> {
        let shown = |item: &Item| item.is_there().then(|| item.windows());
        let topic_of = |topic: &str| self.topics.get(topic);
        let cluster = self.settings().broker.broker_cluster_name == key;
        let counters = &self.counters;
        let of_broker = |item: &Item| cluster.then(|| shown(item)).flatten();
        let group_of = |key: &str| -> Option<Arc<GroupStats>> {
            let (topic, group) = key.split_once('@')?;
            topic_of(topic)?.stats.find_group(group)
        };
        match name {
            "TOPIC_PUT_NUMS" => shown(&topic_of(key)?.stats.put_nums),
            "TOPIC_PUT_SIZE" => shown(&topic_of(key)?.stats.put_size),
            "TOPIC_PUT_LATENCY" => {
                let (queue, topic) = key.split_once('@')?;
                shown(&topic_of(topic)?.stats.find_queue(queue.parse().ok()?)?.latency)
            }
            "QUEUE_PUT_NUMS" | "QUEUE_PUT_SIZE" => {
                let (topic, queue) = key.split_once('@')?;
                let queue = topic_of(topic)?.stats.find_queue(queue.parse().ok()?)?;
                shown(if name == "QUEUE_PUT_NUMS" { &queue.nums } else { &queue.size })
            }
            "GROUP_GET_NUMS" => shown(&group_of(key)?.get_nums),
            "GROUP_GET_SIZE" => shown(&group_of(key)?.get_size),
            "SNDBCK_PUT_NUMS" => shown(&group_of(key)?.send_back),
            "QUEUE_GET_NUMS" | "QUEUE_GET_SIZE" => {
                let (topic, rest) = key.split_once('@')?;
                let (queue, group) = rest.split_once('@')?;
                let group = topic_of(topic)?.stats.find_group(group)?;
                let queue = group.find_queue(queue.parse().ok()?)?;
                shown(if name == "QUEUE_GET_NUMS" { &queue.nums } else { &queue.size })
            }
            "GROUP_GET_LATENCY" => match self.settings().broker.enable_detail_stat {
                true => {
                    let (queue, rest) = key.split_once('@')?;
                    shown(&group_of(rest)?.find_queue(queue.parse().ok()?)?.latency)
                }
                false => shown(&group_of(key)?.get_latency),
            },
            "BROKER_PUT_NUMS" => of_broker(&counters.broker_puts),
            "BROKER_GET_NUMS" => of_broker(&counters.broker_gets),
            "BROKER_PUT_NUMS_WITHOUT_SYSTEM_TOPIC" => of_broker(&counters.user_puts),
            "BROKER_GET_NUMS_WITHOUT_SYSTEM_TOPIC" => of_broker(&counters.user_gets),
            "CONSUMER_REGISTER_TIME" => of_broker(&counters.consumer_beats),
            "PRODUCER_REGISTER_TIME" => of_broker(&counters.producer_beats),
            _ => None,
        }
    }

    /// Something was counted: samples are taken from now on.
    fn counted_at(&self, now: Millis) {
        self.last_counted.store(now.0, Ordering::Relaxed);
        if self.next_tick.load(Ordering::Relaxed) != NO_TICK {
            return;
        }
        let next = (now.since(self.started) / TICK_MS).max(0) as u64 + 1;
        let order = Ordering::Relaxed;
        if self.next_tick.compare_exchange(NO_TICK, next, order, order).is_ok() {
            self.wake_at(self.tick_time(next));
        }
    }

    fn tick_time(&self, tick: u64) -> Millis {
        self.started.plus(tick as i64 * TICK_MS)
    }

    /// Takes samples when it is time, and notes the totals at midnight. Returns when to come
    /// again, if anything was counted lately.
    pub(super) fn sample_due(&self, now: Millis) -> Option<Millis> {
        let expected = self.next_tick.load(Ordering::Relaxed);
        if expected == NO_TICK {
            return None;
        }
        if now < self.tick_time(expected) {
            return Some(self.tick_time(expected));
        }
        let tick = (now.since(self.started) / TICK_MS).max(0) as u64;
        self.topics.for_each(|topic| topic.stats.sample(expected, tick));
        for item in self.counters.items() {
            item.sample(expected, tick);
        }
        self.counters.note_day(now);
        let idle_ms = now.since(Millis(self.last_counted.load(Ordering::Relaxed)));
        let next = if idle_ms > ALL_WINDOWS_MS { NO_TICK } else { tick + 1 };
        self.next_tick.store(next, Ordering::Relaxed);
        (next != NO_TICK).then(|| self.tick_time(next))
    }
}
