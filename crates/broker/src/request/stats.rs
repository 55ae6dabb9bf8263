//! How far topics and groups are, and what is counted of them: 202, 208, 303, 315, 317.

use std::collections::{BTreeMap, BTreeSet};

use skua_protocol::body::{
    BrokerConsumeStats, ConsumeOffset, ConsumeStats, ConsumeTimeSpans, MessageQueue, QueueTimeSpan,
    TopicOffset, TopicStats,
};
use skua_protocol::request::{
    GetBrokerConsumeStats, GetConsumeStats, GetTopicStatsInfo, QueryConsumeTimeSpan,
    ViewBrokerStatsData,
};
use skua_protocol::{Command, Millis, QueueOffset, json};

use super::Answer;
use super::error::RequestError;
use super::offset::{max_of, min_of};
use crate::broker::Broker;
use crate::topic_table::Topic;

/// The offsets of a topic's queues.
pub fn topic(broker: &Broker, request: &Command) -> Answer {
    let header: GetTopicStatsInfo = request.header()?;
    let Some(topic) = broker.topics.get(&header.topic) else {
        return Err(RequestError::NoTopic(header.topic.to_string()));
    };
    let config = &topic.config;
    let broker_name = broker.name().to_owned();
    let mut stats =
        TopicStats { topic_put_tps: topic.stats.put_nums.per_second(), ..TopicStats::default() };
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
    stored_at(broker, topic, queue, offset).unwrap_or(0)
}

fn stored_at(broker: &Broker, topic: &str, queue: i32, offset: i64) -> Option<i64> {
    let queue = broker.queue(topic, queue)?;
    let offset = QueueOffset(u64::try_from(offset).ok()?);
    broker.store.store_time(topic, queue, offset).map(|time| time.0)
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
            topics.retain(|topic| {
                connected.subscriptions.contains_key(topic.as_str())
                    || broker.subscription_data(group, topic, now).is_some()
            });
        }
        topics
    } else {
        listed
    };
    let mut stats = ConsumeStats::default();
    for topic in topics.iter().filter_map(|topic| broker.topics.get(topic)) {
        add_consumed(broker, group, &topic, topic.config.read_queue_nums, &mut stats);
    }
    Ok(Command::success().with_body(stats.to_json()))
}

/// Adds how far a group has come in a topic's first `queues` queues.
fn add_consumed(
    broker: &Broker,
    group: &str,
    topic: &Topic,
    queues: i32,
    stats: &mut ConsumeStats,
) {
    let name = &topic.config.topic_name;
    let counted = topic.stats.find_group(group);
    stats.consume_tps += counted.map_or(0.0, |group| group.get_nums.per_second());
    for queue_id in 0..queues {
        let consumer_offset = broker.offsets.committed(group, name, queue_id).unwrap_or(-1).max(0);
        let pulled = broker.offsets.pulled(group, name, queue_id).unwrap_or(-1);
        let offset = ConsumeOffset {
            broker_offset: max_of(broker, name, queue_id),
            consumer_offset,
            last_timestamp: store_time(broker, name, queue_id, consumer_offset - 1),
            pull_offset: pulled.max(consumer_offset),
        };
        let broker_name = broker.name().to_owned();
        let queue = MessageQueue { broker_name, queue_id, topic: name.clone() };
        stats.offset_table.insert(queue, offset);
    }
}

/// How far all groups have come, ordered topics only if asked so. Java: without what was handed
/// out and is not committed.
pub fn consume_all(broker: &Broker, request: &Command) -> Answer {
    let header: GetBrokerConsumeStats = request.header()?;
    let mut all = BrokerConsumeStats { broker_addr: broker.address(), ..Default::default() };
    for group in broker.groups.names() {
        let connected = broker.consumers.get(&group);
        let mut of_group = Vec::new();
        for topic in broker.offsets.topics_of(&group) {
            let Some(topic) = broker.topics.get(&topic) else { continue };
            let passed_over = connected.as_ref().is_some_and(|group| {
                !group.subscriptions.is_empty()
                    && !group.subscriptions.contains_key(topic.config.topic_name.as_str())
            });
            if passed_over || header.is_order && !topic.config.order {
                continue;
            }
            let mut stats = ConsumeStats::default();
            add_consumed(broker, &group, &topic, topic.config.write_queue_nums, &mut stats);
            for offset in stats.offset_table.values_mut() {
                offset.pull_offset = 0;
                all.total_diff += offset.broker_offset - offset.consumer_offset;
                all.total_inflight_diff -= offset.consumer_offset;
            }
            of_group.push(stats);
        }
        all.consume_stats_list.push(BTreeMap::from([(group.to_string(), of_group)]));
    }
    Ok(Command::success().with_body(all.to_json()))
}

/// When a topic's messages were stored, and those that a group consumes next.
pub fn time_span(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let header: QueryConsumeTimeSpan = request.header()?;
    let name = &*header.topic;
    let Some(topic) = broker.topics.get(name) else {
        return Err(RequestError::NoTopic(name.to_owned()));
    };
    let mut spans = ConsumeTimeSpans::default();
    for queue_id in 0..topic.config.write_queue_nums {
        let max = max_of(broker, name, queue_id);
        let consumed = broker.offsets.committed(&header.group, name, queue_id).unwrap_or(-1);
        let time = |offset| stored_at(broker, name, queue_id, offset).unwrap_or(-1);
        let queue = broker.queue(name, queue_id);
        let earliest = queue.and_then(|queue| broker.store.earliest_time(name, queue));
        let min_time_stamp = earliest.map_or(-1, |time| time.0);
        let max_time_stamp = time(max - 1);
        let consume_time_stamp = if consumed > 0 { time(consumed - 1) } else { min_time_stamp };
        let text = |time| Some(broker.local_text(Millis(time)));
        spans.consume_time_span_set.push(QueueTimeSpan {
            message_queue: MessageQueue {
                broker_name: broker.name().to_owned(),
                queue_id,
                topic: name.to_owned(),
            },
            min_time_stamp,
            min_time_stamp_str: text(min_time_stamp),
            max_time_stamp,
            max_time_stamp_str: text(max_time_stamp),
            consume_time_stamp,
            consume_time_stamp_str: text(consume_time_stamp),
            delay_time: if consumed < max { now.0 - time(consumed) } else { 0 },
        });
    }
    Ok(Command::success().with_body(json::to_vec(&spans)))
}

/// What was counted under a name for a key in the last minute, hour and day.
pub fn view(broker: &Broker, request: &Command) -> Answer {
    let header: ViewBrokerStatsData = request.header()?;
    let (name, key) = (&*header.stats_name, &*header.stats_key);
    match broker.counted(name, key) {
        Some(windows) => Ok(Command::success().with_body(json::to_vec(&windows))),
        None => Err(RequestError::Other(format!("The stats <{name}> <{key}> not exist"))),
    }
}

#[cfg(test)]
mod tests;
