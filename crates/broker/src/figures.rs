//! What metrics tell of a broker, gathered when asked.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use skua_protocol::{Millis, QueueId, QueueOffset};

use crate::broker::Broker;
use crate::names::{self, RETRY_PREFIX};

/// Lags whose age is looked up in the log, the largest first: each costs a read.
const AGES_MAX: usize = 100;

/// A broker's tables in numbers.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub topics: usize,
    pub groups: usize,
    /// `brokerPermission`: 2 for writing, 4 for reading.
    pub permission: i32,
    pub producer_connections: usize,
    /// By consumer group.
    pub consumer_connections: BTreeMap<String, usize>,
    pub parked_pulls: usize,
    pub parked_pulls_max: usize,
    pub lags: Vec<Lag>,
    /// By topic, where anything was sent since the start.
    pub sent: Vec<Sent>,
    /// By topic and group, where anything was read since the start.
    pub handed_out: Vec<HandedOut>,
    pub sends_failed: u64,
    /// Of a hundred sends ninety-nine took at most so long.
    pub send_latency_ms: f64,
}

/// What a topic got since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub topic: String,
    /// As RocketMQ's metrics write it: `normal`, `fifo`, `delay`, …
    pub message_type: String,
    pub is_system: bool,
    pub messages: u64,
    pub bytes: u64,
}

/// What a group got of a topic since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedOut {
    pub topic: String,
    pub group: String,
    pub is_retry: bool,
    pub is_system: bool,
    pub messages: u64,
    pub bytes: u64,
}

/// How far a group is behind on a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lag {
    pub group: String,
    pub topic: String,
    /// It is a retry topic.
    pub is_retry: bool,
    pub messages: u64,
    /// Milliseconds since the oldest message not consumed was stored; `None` if there is none or
    /// it was not looked up.
    pub age_ms: Option<i64>,
    /// Of the queue that is furthest behind: its id and what the group wants next.
    oldest: Option<(u32, u64)>,
}

impl Broker {
    /// The figures now. Reads the disk.
    pub fn figures(&self, now: Millis) -> Figures {
        let mut lags: Vec<_> = (self.offsets.committed_pairs().iter())
            .filter(|(_, group)| !names::is_system_group(group))
            .filter_map(|(topic, group)| self.lag(topic, group))
            .collect();
        lags.sort_by(|a, b| {
            b.messages
                .cmp(&a.messages)
                .then_with(|| (&a.group, &a.topic).cmp(&(&b.group, &b.topic)))
        });
        for lag in lags.iter_mut().take(AGES_MAX) {
            let stored = lag.oldest.and_then(|(queue, offset)| {
                self.store.store_time(&lag.topic, QueueId(queue), QueueOffset(offset))
            });
            lag.age_ms = stored.map(|stored| now.since(stored).max(0));
        }
        let producers = self.producers.all();
        let (sent, handed_out) = self.traffic();
        Figures {
            topics: self.topics.all().len(),
            groups: self.groups.snapshot().subscription_group_table.len(),
            permission: self.settings().broker.broker_permission,
            producer_connections: producers.iter().map(|(_, group)| group.members.len()).sum(),
            consumer_connections: (self.consumers.all().iter())
                .map(|group| (group.name.to_string(), group.members.len()))
                .collect(),
            parked_pulls: self.long_polls.parked(),
            parked_pulls_max: self.long_polls.parked_max(),
            lags,
            sent,
            handed_out,
            sends_failed: self.counters.put_failed.load(Ordering::Relaxed),
            send_latency_ms: self.counters.put_latency.within(0.99),
        }
    }

    /// What went in and out of each topic.
    fn traffic(&self) -> (Vec<Sent>, Vec<HandedOut>) {
        let (mut sent, mut handed_out) = (Vec::new(), Vec::new());
        for topic in self.topics.all() {
            let name = &topic.config.topic_name;
            let of = &topic.stats;
            if of.put_nums.is_there() {
                let message_type = topic.config.attributes.get("message.type");
                sent.push(Sent {
                    topic: name.clone(),
                    message_type: message_type.map_or("normal".into(), |of| of.to_lowercase()),
                    is_system: self.system_topics.contains(name),
                    messages: of.put_nums.value(),
                    bytes: of.put_size.value(),
                });
            }
            for (group, of) in of.groups() {
                handed_out.push(HandedOut {
                    topic: name.clone(),
                    is_retry: name.starts_with(RETRY_PREFIX),
                    is_system: names::is_system_group(&group) || self.system_topics.contains(name),
                    messages: of.get_nums.value(),
                    bytes: of.get_size.value(),
                    group: group.into(),
                });
            }
        }
        (sent, handed_out)
    }

    /// `None` if the topic is gone.
    fn lag(&self, topic: &str, group: &str) -> Option<Lag> {
        self.topics.get(topic)?;
        let is_retry = topic.starts_with(RETRY_PREFIX);
        let mut lag = Lag {
            group: group.to_owned(),
            topic: topic.to_owned(),
            is_retry,
            messages: 0,
            age_ms: None,
            oldest: None,
        };
        let mut furthest = 0;
        for (queue, committed) in self.offsets.committed_queues(group, topic) {
            let Ok(queue) = u32::try_from(queue) else { continue };
            let max = self.store.max_offset(topic, QueueId(queue)).map_or(0, |max| max.0);
            let min = self.store.min_offset(topic, QueueId(queue)).map_or(0, |min| min.0);
            let wanted = u64::try_from(committed).unwrap_or(0).max(min);
            let behind = max.saturating_sub(wanted);
            lag.messages += behind;
            if behind > furthest {
                furthest = behind;
                lag.oldest = Some((queue, wanted));
            }
        }
        Some(lag)
    }
}

#[cfg(test)]
mod tests {
    use skua_protocol::body::TopicConfig;

    use super::*;
    use crate::test_broker::TestBroker;

    #[test]
    fn lags_count_what_is_stored_and_not_committed_by_group_and_topic() {
        let mut test = TestBroker::new();
        test.create_topic(TopicConfig::new("T", 4, 6));
        for queue in [0, 0, 0, 2] {
            test.send("T", queue, "", "x");
        }
        let commit = |queue_id, commit_offset| {
            test.broker.offsets.commit("g", "T", queue_id, commit_offset, test.now);
        };
        commit(0, 1);
        commit(2, 1);
        commit(3, 0);
        test.broker.offsets.commit("g", "Gone", 0, 1, test.now);
        test.broker.offsets.commit("CID_RMQ_SYS_TRANS", "T", 0, 1, test.now);
        test.pass(5000);
        let figures = test.broker.figures(test.now);
        let lag = Lag {
            group: "g".into(),
            topic: "T".into(),
            is_retry: false,
            messages: 2,
            age_ms: Some(5000),
            oldest: Some((0, 1)),
        };
        assert_eq!(figures.lags, [lag]);
        let sent = Sent {
            topic: "T".into(),
            message_type: "normal".into(),
            is_system: false,
            messages: 4,
            bytes: figures.sent[0].bytes,
        };
        assert_eq!(figures.sent, [sent]);
        assert!(figures.sent[0].bytes > 0);
        assert_eq!(figures.handed_out, []);
        assert_eq!(figures.permission, 6);
    }
}
