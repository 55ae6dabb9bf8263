//! Offsets of queues and groups: 14, 15, 29 to 32, 43, 45, 222, 308, 314.

use std::sync::Arc;

use skua_protocol::body::{CorrectionOffsets, MessageQueue, ResetOffsets};
use skua_protocol::request::{
    CloneGroupOffset, GetEarliestMsgStoreTime, GetEarliestMsgStoreTimeResponse, GetMaxOffset,
    GetMaxOffsetResponse, GetMinOffset, GetMinOffsetResponse, InvokeBrokerToResetOffset,
    QueryConsumerOffset, QueryConsumerOffsetResponse, QueryCorrectionOffset,
    SearchOffsetByTimestamp, SearchOffsetByTimestampResponse, UpdateConsumerOffset,
};
use skua_protocol::service::Outcome;
use skua_protocol::{Command, Millis, ResponseCode, json};
use skua_store::{Boundary, ReadLimits, ReadStatus};

use super::error::RequestError;
use super::{Answer, blocking, reply};
use crate::broker::Broker;
use crate::consumer_offsets::ConsumerOffsets;
use crate::delay::DelayLevels;
use crate::lite;
use crate::pop::resume::Mark;

/// First offset of a queue; Java answers about queues that do not exist as if they were empty.
pub fn min_of(broker: &Broker, topic: &str, queue: i32) -> i64 {
    let min = broker.queue(topic, queue).and_then(|queue| broker.store.min_offset(topic, queue));
    min.map_or(0, |min| min.0 as i64)
}

/// The offset after a queue's last message.
pub fn max_of(broker: &Broker, topic: &str, queue: i32) -> i64 {
    let max = broker.queue(topic, queue).and_then(|queue| broker.store.max_offset(topic, queue));
    max.map_or(0, |max| max.0 as i64)
}

/// Where a group goes on. A group that has committed nothing begins at 0 if the queue's first
/// message is still in memory, else the client decides.
pub fn query(broker: &Arc<Broker>, request: &Command) -> Outcome {
    let header: QueryConsumerOffset = match request.header() {
        Ok(header) => header,
        Err(error) => return reply(Err(error.into())),
    };
    let found =
        |offset| Ok(Command::success().with_header(&QueryConsumerOffsetResponse { offset }));
    let QueryConsumerOffset { consumer_group, topic, queue_id, set_zero_if_not_found } = header;
    broker.offsets.log_committed(&consumer_group, &topic, queue_id);
    match broker.offsets.committed(&consumer_group, &topic, queue_id) {
        Some(offset) if offset >= 0 => reply(found(offset)),
        _ if set_zero_if_not_found == Some(false) => reply(Err(RequestError::OffsetUnknown)),
        _ => {
            let broker = broker.clone();
            blocking(move || {
                if starts_in_memory(&broker, &topic, queue_id) {
                    found(0)
                } else {
                    Err(RequestError::OffsetUnknownNotZero)
                }
            })
        }
    }
}

/// What is known here, by a broker that finds no leader of its group.
pub fn known(broker: &Broker, request: &Command) -> Command {
    let answer = request.header().map_err(RequestError::from).and_then(|header| {
        let QueryConsumerOffset { consumer_group, topic, queue_id, .. } = header;
        match broker.offsets.committed(&consumer_group, &topic, queue_id) {
            Some(offset) if offset >= 0 => {
                Ok(Command::success().with_header(&QueryConsumerOffsetResponse { offset }))
            }
            _ => Err(RequestError::NoMaster),
        }
    });
    answer.unwrap_or_else(|error| error.answer())
}

/// Whether the queue has its very first message still, and that near the log's end.
fn starts_in_memory(broker: &Broker, topic: &str, queue: i32) -> bool {
    let Some(queue) = broker.queue(topic, queue) else { return false };
    let read = broker.store.read(topic, queue, 0, ReadLimits { max_messages: 1 }, &mut |_| true);
    read.status == ReadStatus::Found && read.min_offset == 0 && !read.suggest_slave
}

pub fn update(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let header: UpdateConsumerOffset = request.header()?;
    let UpdateConsumerOffset { consumer_group, topic, queue_id, commit_offset } = header;
    if !broker.groups.contains(&consumer_group) {
        return Err(RequestError::NoGroupToCommit(consumer_group.to_string()));
    }
    if !broker.topics.contains(&topic) {
        return Err(RequestError::NoTopicToCommit(topic.to_string()));
    }
    if broker.queue(&topic, queue_id).is_none() {
        return Err(RequestError::CommitQueue { queue: queue_id, topic: topic.to_string() });
    }
    if broker.offsets.is_reset(&consumer_group, &topic, queue_id) {
        return Ok(Command::success().with_remark("Offset has been previously reset"));
    }
    // From a slave: what was committed there while the master was away.
    if request.fields.get(crate::replication::ONLY_FORWARD).is_some() {
        let read = crate::replication::copied_at(request);
        if read.is_some_and(|read| broker.offsets_set_back_since(read)) {
            return Err(RequestError::Other("an offset was set back since".to_owned()));
        }
        let offsets = &broker.offsets;
        offsets.commit_forward(&consumer_group, &topic, queue_id, commit_offset, now);
    } else {
        broker.offsets.commit(&consumer_group, &topic, queue_id, commit_offset, now);
    }
    broker.wake_to_save_offsets(now);
    Ok(Command::success())
}

pub fn max(broker: &Broker, request: &Command) -> Answer {
    let header: GetMaxOffset = request.header()?;
    let offset = max_of(broker, &header.topic, header.queue_id);
    Ok(Command::success().with_header(&GetMaxOffsetResponse { offset }))
}

pub fn min(broker: &Broker, request: &Command) -> Answer {
    let header: GetMinOffset = request.header()?;
    let offset = min_of(broker, &header.topic, header.queue_id);
    Ok(Command::success().with_header(&GetMinOffsetResponse { offset }))
}

pub fn by_time(broker: &Broker, request: &Command) -> Answer {
    let header: SearchOffsetByTimestamp = request.header()?;
    let upper = header.boundary_type.is_some_and(|name| name.eq_ignore_ascii_case("UPPER"));
    let boundary = if upper { Boundary::Upper } else { Boundary::Lower };
    let time = Millis(header.timestamp);
    let lite = header.lite_topic.as_deref().filter(|name| !name.trim().is_empty());
    let lite = lite.and_then(|name| lite::queue_name(&header.topic, name));
    let topic = lite.as_deref().unwrap_or(&header.topic);
    let offset = offset_at(broker, topic, header.queue_id, time, boundary);
    Ok(Command::success().with_header(&SearchOffsetByTimestampResponse { offset }))
}

/// Where a queue's messages of a time begin or end.
pub fn offset_at(
    broker: &Broker,
    topic: &str,
    queue: i32,
    time: Millis,
    boundary: Boundary,
) -> i64 {
    let queue = broker.queue(topic, queue);
    let offset = queue.and_then(|queue| broker.store.offset_by_time(topic, queue, time, boundary));
    offset.map_or(0, |offset| offset.0 as i64)
}

pub fn earliest_time(broker: &Broker, request: &Command) -> Answer {
    let header: GetEarliestMsgStoreTime = request.header()?;
    let queue = broker.queue(&header.topic, header.queue_id);
    let time = queue.and_then(|queue| broker.store.earliest_time(&header.topic, queue));
    let timestamp = time.map_or(-1, |time| time.0);
    Ok(Command::success().with_header(&GetEarliestMsgStoreTimeResponse { timestamp }))
}

/// The content of consumerOffset.json, for a slave.
pub fn all(offsets: &ConsumerOffsets) -> Answer {
    Ok(Command::success().with_body(offsets.encode()))
}

/// The content of delayOffset.json, for a slave.
pub fn all_delay(delay: &DelayLevels) -> Answer {
    Ok(Command::success().with_body(delay.encode()))
}

/// Sends a group's next pulls to other offsets: to a time, to the end, or one queue to an offset.
pub fn reset(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let header: InvokeBrokerToResetOffset = request.header()?;
    let (group, topic) = (&*header.group, &*header.topic);
    let Some(config) = broker.topics.get(topic) else {
        return Ok(Command::error(
            ResponseCode::TopicNotExist,
            format!("Topic {topic} does not exist"),
        ));
    };
    if !broker.groups.contains(group) {
        return Ok(Command::error(
            ResponseCode::SubscriptionGroupNotExist,
            format!("Group {group} does not exist"),
        ));
    }
    let by_time = |queue: i32| match header.timestamp {
        time @ 0.. => offset_at(broker, topic, queue, Millis(time), Boundary::Lower),
        _ => max_of(broker, topic, queue),
    };
    let targets: Vec<(i32, i64)> = match (header.queue_id, header.offset) {
        (Some(queue @ 0..), Some(offset)) if offset != -1 => {
            let (min, max) = (min_of(broker, topic, queue), max_of(broker, topic, queue));
            if offset < min || offset > max + 1 {
                let text =
                    format!("Target offset {offset} not in consume queue range [{min}-{max}]");
                return Err(RequestError::Other(text));
            }
            vec![(queue, offset)]
        }
        (Some(queue @ 0..), _) => vec![(queue, by_time(queue))],
        _ => (0..config.config.read_queue_nums).map(|queue| (queue, by_time(queue))).collect(),
    };
    if targets.is_empty() {
        return Err(RequestError::Other("No queues to reset.".to_owned()));
    }
    let mut body = ResetOffsets::default();
    let marked = if let [(queue, _)] = targets[..] { Some(queue) } else { None };
    // Who popped in between would be thought to have popped before.
    let queues = targets.iter().map(|(queue, _)| *queue);
    let guards = broker.pop.lock_queues(topic, group, queues);
    for (queue_id, offset) in targets {
        broker.offsets.reset(group, topic, queue_id, offset);
        let broker_name = broker.name().to_owned();
        let queue = MessageQueue { broker_name, queue_id, topic: topic.to_owned() };
        body.offset_table.insert(queue, offset);
    }
    // Or a crash would send the group back, behind all that it was handed before.
    broker.save_offsets()?;
    broker.mark_pops(Mark { topic, group: Some(group), queue: marked }, now)?;
    drop(guards);
    tracing::info!(group, topic, ?body, "consumer offsets reset");
    Ok(Command::success().with_body(body.to_json()))
}

/// Copies a group's offsets to another group, of one topic or of all.
pub fn clone_group(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let header: CloneGroupOffset = request.header()?;
    let (from, to) = (&*header.src_group, &*header.dest_group);
    let topics = match header.topic {
        Some(topic) if !topic.is_empty() => [topic.to_string()].into(),
        _ => broker.offsets.topics_of(from),
    };
    for topic in topics {
        // Java: of a connected group only the topics that it subscribes to.
        let connected = broker.consumers.get(from);
        let passed_over = header.offline != Some(true)
            && connected.is_some_and(|group| {
                !group.subscriptions.is_empty()
                    && broker.subscription_data(from, &topic, now).is_none()
            });
        if passed_over || !broker.topics.contains(&topic) {
            continue;
        }
        broker.offsets.clone_group(from, to, &topic);
    }
    Ok(Command::success())
}

/// By queue: the smallest offset any group has committed. Java: the queues where the compared
/// group is ahead of it keep their own.
pub fn correction(broker: &Broker, request: &Command) -> Answer {
    let header: QueryCorrectionOffset = request.header()?;
    let offsets = &broker.offsets;
    let filtered: Vec<&str> = header.filter_groups.as_deref().unwrap_or("").split(',').collect();
    let mut smallest = std::collections::BTreeMap::new();
    for group in offsets.groups_of(&header.topic) {
        if filtered.contains(&group.as_str()) {
            continue;
        }
        for (queue, offset) in offsets.committed_queues(&group, &header.topic) {
            if offset >= min_of(broker, &header.topic, queue) {
                let known = smallest.entry(queue).or_insert(offset);
                *known = offset.min(*known);
            }
        }
    }
    for (queue, offset) in offsets.committed_queues(&header.compare_group, &header.topic) {
        if let Some(known) = smallest.get_mut(&queue) {
            *known = if *known > offset { i64::MAX } else { *known };
        }
    }
    let body = CorrectionOffsets { correction_offsets: smallest };
    Ok(Command::success().with_body(json::to_vec(&body)))
}
