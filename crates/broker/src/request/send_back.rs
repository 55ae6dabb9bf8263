//! A consumer gives a message back to be tried again later: 36.

use std::sync::Arc;

use skua_protocol::message_id::offset_id;
use skua_protocol::properties::{self, PropertiesEditor};
use skua_protocol::record::{FLAG_INNER_BATCH, NewRecord, Record};
use skua_protocol::request::ConsumerSendMsgBack;
use skua_protocol::{Command, Millis, PhysicalOffset};

use super::Answer;
use super::error::RequestError;
use super::send::{queue_id, retry_limit};
use crate::broker::{Broker, Moved};
use crate::names::SCHEDULE_TOPIC;
use crate::topic_table::{DLQ_QUEUES, Topic, dlq_topic_config, retry_topic_config};

/// Deliveries from the first failure on wait this many levels longer each time.
const FIRST_RETRY_LEVEL: i32 = 3;

pub fn send_back(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let header: ConsumerSendMsgBack = request.header()?;
    let group = &*header.group;
    let Some(config) = broker.groups.find(group, broker.auto_create_groups(), now)? else {
        return Err(RequestError::NoGroupToSend(group.to_owned()));
    };
    if !broker.may_write() {
        return Err(RequestError::BrokerNotWritable { ip: broker.ip() });
    }
    // Java: a group without retry queues gives nothing back, and is told that all is well.
    if config.retry_queue_nums <= 0 {
        return Ok(Command::success());
    }
    let unit = header.unit_mode == Some(true);
    let retry = ensure(broker, retry_topic_config(group, config.retry_queue_nums, unit), now)?;
    if !retry.config.is_writable() {
        return Err(RequestError::TopicNotWritable(retry.config.topic_name.clone()));
    }

    let missing = || RequestError::NoMessageAt(header.offset);
    let offset = u64::try_from(header.offset).map_err(|_| missing())?;
    let bytes = broker.store.record_at(PhysicalOffset(offset), None)?.ok_or_else(missing)?;
    let record = Record::parse(&bytes).map_err(|_| missing())?;
    if record.sys_flag() & FLAG_INNER_BATCH != 0 {
        // Java: so that the client sends the one message instead, not all of the record.
        return Err(RequestError::InnerBatch(record.topic().to_owned()));
    }

    let limit = retry_limit(request.version, header.max_reconsume_times, config.retry_max_times);
    let mut message = PropertiesEditor::from(record.properties());
    if message.get(properties::RETRY_TOPIC).is_none() {
        message.set(properties::RETRY_TOPIC, record.topic());
    }
    if message.get(properties::ORIGIN_MESSAGE_ID).is_none_or(str::is_empty) {
        message.set(
            properties::ORIGIN_MESSAGE_ID,
            offset_id(record.store_host(), PhysicalOffset(offset)),
        );
    }
    message.set(properties::WAIT, "false");

    let dead = record.reconsume_times() >= limit || header.delay_level < 0;
    let (topic, queue, level) = if dead {
        (ensure(broker, dlq_topic_config(group), now)?, broker.any_queue(DLQ_QUEUES), 0)
    } else {
        let level = match header.delay_level {
            0 => FIRST_RETRY_LEVEL.saturating_add(record.reconsume_times()),
            level => level,
        };
        (retry, broker.any_queue(config.retry_queue_nums), broker.delay.level(level))
    };
    message.set(properties::DELAY, level.to_string());
    let (stored_topic, stored_queue) = if level > 0 {
        message.set(properties::REAL_TOPIC, &topic.config.topic_name);
        message.set(properties::REAL_QID, queue.to_string());
        (SCHEDULE_TOPIC, level - 1)
    } else {
        (topic.config.topic_name.as_str(), queue)
    };
    let properties = message.encode();
    let again = NewRecord {
        topic: stored_topic,
        queue_id: queue_id(stored_queue),
        flag: record.flag(),
        sys_flag: record.sys_flag(),
        born_timestamp: record.born_timestamp(),
        born_host: record.born_host(),
        store_host: broker.store_host(),
        reconsume_times: record.reconsume_times().saturating_add(1),
        prepared_transaction_offset: 0,
        body: record.body(),
        properties: properties.as_bytes(),
    };
    let receipt = broker.store.append(&again, now)?;
    let bytes = u64::from(receipt.size);
    if let Some(topic) = broker.topics.get(stored_topic) {
        broker.count_put(&topic, Moved { queue: stored_queue, messages: 1, bytes }, now);
    }
    broker.count_send_back(
        record.properties().get(properties::RETRY_TOPIC).unwrap_or(record.topic()),
        group,
    );
    if dead {
        tracing::info!(
            group,
            topic = header.origin_topic.as_deref().unwrap_or_default(),
            offset,
            "message given up, moved to the dead letters"
        );
    }
    Ok(Command::success())
}

/// Keeps a topic that is there as it is.
fn ensure(
    broker: &Broker,
    wanted: skua_protocol::body::TopicConfig,
    now: Millis,
) -> Result<Arc<Topic>, RequestError> {
    if let Some(there) = broker.topics.get(&wanted.topic_name) {
        return Ok(there);
    }
    let (topic, created) = broker.topics.ensure(wanted, now)?;
    if created {
        drop(broker.topics_changed());
    }
    Ok(topic)
}

#[cfg(test)]
mod tests;
