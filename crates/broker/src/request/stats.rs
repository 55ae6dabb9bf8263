//! How far topics and groups are: 202, 208.

use std::collections::BTreeSet;

use skua_protocol::body::{ConsumeOffset, ConsumeStats, MessageQueue, TopicOffset, TopicStats};
use skua_protocol::request::{GetConsumeStats, GetTopicStatsInfo};
use skua_protocol::{Command, Millis, QueueOffset};

use super::Answer;
use super::error::RequestError;
use super::offset::{max_of, min_of};
use crate::broker::Broker;

/// The offsets of a topic's queues.
pub fn topic(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let header: GetTopicStatsInfo = request.header()?;
    let Some(topic) = broker.topics.get(&header.topic) else {
        return Err(RequestError::NoTopic(header.topic.to_string()));
    };
    let config = &topic.config;
    let broker_name = broker.name().to_owned();
    let mut stats =
        TopicStats { topic_put_tps: topic.puts.per_second(now), ..TopicStats::default() };
    for queue_id in 0..config.write_queue_nums.max(config.read_queue_nums) {
        let max_offset = max_of(broker, &config.topic_name, queue_id);
        let offset = TopicOffset {
            last_update_timestamp: store_time(broker, &config.topic_name, queue_id, max_offset - 1),
            max_offset,
            min_offset: min_of(broker, &config.topic_name, queue_id),
        };
        let queue = MessageQueue {
            broker_name: broker_name.clone(),
            queue_id,
            topic: config.topic_name.clone(),
        };
        stats.offset_table.insert(queue, offset);
    }
    Ok(Command::success().with_body(stats.to_json()))
}

/// When a message of a queue was stored, 0 if it is not there.
fn store_time(broker: &Broker, topic: &str, queue: i32, offset: i64) -> i64 {
    let (Some(queue), Ok(offset)) = (broker.queue(topic, queue), u64::try_from(offset)) else {
        return 0;
    };
    broker.store.store_time(topic, queue, QueueOffset(offset)).map_or(0, |time| time.0)
}

/// How far a group has come: in the topics named, or in all of which it has committed anything.
/// Java: topics that a connected group does not subscribe to are left out, unless listed.
pub fn consume(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let header: GetConsumeStats = request.header()?;
    let group = &*header.consumer_group;
    let listed: BTreeSet<String> = header
        .topic_list
        .as_deref()
        .unwrap_or_default()
        .split(';')
        .filter(|topic| !topic.is_empty())
        .map(str::to_owned)
        .collect();
    let topics = if listed.is_empty() {
        let mut topics = match header.topic.as_deref() {
            Some(topic) if !topic.trim().is_empty() => [topic.to_owned()].into(),
            _ => broker.offsets.topics_of(group),
        };
        if let Some(connected) = broker.consumers.get(group)
            && !connected.subscriptions.is_empty()
        {
            topics.retain(|topic| connected.subscriptions.contains_key(topic.as_str()));
        }
        topics
    } else {
        listed
    };
    let broker_name = broker.name().to_owned();
    let mut stats = ConsumeStats::default();
    for topic in topics.iter().filter_map(|topic| broker.topics.get(topic)) {
        let name = &topic.config.topic_name;
        stats.consume_tps += broker.offsets.delivery_rate(group, name, now);
        for queue_id in 0..topic.config.read_queue_nums {
            let consumer_offset =
                broker.offsets.committed(group, name, queue_id).unwrap_or(-1).max(0);
            let pulled = broker.offsets.pulled(group, name, queue_id).unwrap_or(-1);
            let offset = ConsumeOffset {
                broker_offset: max_of(broker, name, queue_id),
                consumer_offset,
                last_timestamp: store_time(broker, name, queue_id, consumer_offset - 1),
                pull_offset: pulled.max(consumer_offset),
            };
            let queue =
                MessageQueue { broker_name: broker_name.clone(), queue_id, topic: name.clone() };
            stats.offset_table.insert(queue, offset);
        }
    }
    Ok(Command::success().with_body(stats.to_json()))
}
