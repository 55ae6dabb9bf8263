//! Looking up messages and queues: 12, 33, 321.

use skua_protocol::body::{ConsumeQueueEntries, ConsumeQueueEntry};
use skua_protocol::record::Record;
use skua_protocol::request::{
    QueryConsumeQueue, QueryMessage, QueryMessageResponse, ViewMessageById,
};
use skua_protocol::{Command, Millis, PhysicalOffset, ResponseCode, json};
use skua_store::{KeyKind, KeyQuery, ReadLimits, Store};

use super::Answer;
use super::error::RequestError;
use crate::broker::Broker;

/// Most entries of a consume queue that one answer shows.
const ENTRIES_MAX: i32 = 65_536;
/// What Java answers where nothing is found, word for word.
const NOTHING_FOUND: &str = "can not find message, maybe time range not correct";

/// Messages by a key, from the oldest to the newest of those found. `lastKey` is of Java's index
/// in RocksDB, and means nothing here.
pub fn by_key(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let header: QueryMessage = request.header()?;
    let settings = broker.settings();
    let count = match header.unique_key_query {
        Some(true) => settings.store.default_query_max_num,
        _ => header.max_num,
    };
    let count = count.min(settings.store.max_msgs_num_batch);
    let kind = match header.index_type.as_deref() {
        Some("T") => KeyKind::Tag,
        _ => KeyKind::Key,
    };
    let query = KeyQuery {
        topic: &header.topic,
        key: &header.key,
        kind,
        count: usize::try_from(count).unwrap_or(0),
        begin: Millis(header.begin_timestamp),
        end: Millis(header.end_timestamp),
    };
    let found = broker.store.find_by_key(&query, now)?;
    let last = QueryMessageResponse {
        index_last_update_timestamp: found.last_time.0,
        index_last_update_phyoffset: found.last_offset.0 as i64,
    };
    if found.messages.is_empty() {
        let answer = Command::error(ResponseCode::QueryNotFound, NOTHING_FOUND);
        return Ok(answer.with_header(&last));
    }
    Ok(Command::success().with_header(&last).with_body(found.messages.concat()))
}

/// One message by its physical offset.
pub fn view(store: &Store, request: &Command) -> Answer {
    let header: ViewMessageById = request.header()?;
    let missing = || RequestError::NoMessageToView(header.offset);
    let offset = u64::try_from(header.offset).map_err(|_| missing())?;
    // An offset that is no record's is a mistake of the client, not of the disk.
    let found = store.record_at(PhysicalOffset(offset), None).ok().flatten();
    let bytes = found.ok_or_else(missing)?;
    Record::parse(&bytes).map_err(|_| missing())?;
    Ok(Command::success().with_body(bytes))
}

/// Entries of a consume queue as they are, with what a group's filter makes of them.
pub fn consume_queue(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let header: QueryConsumeQueue = request.header()?;
    let topic = header.topic.unwrap_or_default();
    let (index, queue_id) = (header.index, header.queue_id);
    let found = broker.queue(&topic, queue_id);
    let max = found.and_then(|queue| broker.store.max_offset(&topic, queue));
    let (Some(queue), Some(max)) = (found, max) else {
        return Err(RequestError::Other(format!("{queue_id}@{topic} is not exist!")));
    };
    let min = broker.store.min_offset(&topic, queue).unwrap_or(max);
    let mut body = ConsumeQueueEntries {
        max_queue_index: max.0 as i64,
        min_queue_index: min.0 as i64,
        ..ConsumeQueueEntries::default()
    };
    if let Some(group) = &header.consumer_group {
        let subscription = broker.subscription_data(group, &topic, now);
        body.filter_data = Some(match &subscription {
            None => format!("{group}@{topic} is not online!"),
            Some(_) => broker.filters.shown(&topic, group),
        });
        body.subscription_data = subscription;
    }
    if index < body.min_queue_index || index >= body.max_queue_index {
        let remark = format!("Index {index} of {queue_id}@{topic} is not exist!");
        return Ok(Command::success().with_remark(remark));
    }
    let end = index.saturating_add(i64::from(header.count.min(ENTRIES_MAX)));
    let mut from = index;
    while from < end.min(body.max_queue_index) {
        let limits = ReadLimits { max_messages: 1 };
        let entries = &mut body.queue_data;
        let read = broker.store.read(&topic, queue, from, limits, &mut |entry| {
            if (entry.queue_offset.0 as i64) < end {
                entries.push(ConsumeQueueEntry {
                    physic_offset: entry.physical_offset.0 as i64,
                    physic_size: entry.size as i32,
                    tags_code: entry.tags_code,
                    ..ConsumeQueueEntry::default()
                });
            }
            // Their records are not wanted.
            false
        });
        if read.next_offset <= from {
            break;
        }
        from = read.next_offset;
    }
    Ok(Command::success().with_body(json::to_vec(&body)))
}

#[cfg(test)]
mod tests;
