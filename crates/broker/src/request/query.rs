//! Looking up messages: 12, 33.

use skua_protocol::record::Record;
use skua_protocol::request::{QueryMessage, QueryMessageResponse, ViewMessageById};
use skua_protocol::{Command, Millis, PhysicalOffset, ResponseCode};
use skua_store::{KeyKind, KeyQuery, Store};

use super::Answer;
use super::error::RequestError;
use crate::broker::Broker;

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

#[cfg(test)]
mod tests;
