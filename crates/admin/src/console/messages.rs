//! Messages found by id, by key, by time, and given to a group again.

use serde_json::{Value, json};
use skua_protocol::Millis;
use skua_protocol::message_id::parse_offset_id;
use skua_protocol::record::Message;
use skua_protocol::request::QueryMessage;

use crate::client::Cluster;
use crate::client::consumer::{Consumer, PullStatus};
use crate::client::producer::{NewMessage, Producer};
use crate::client::route::{self, Queue};
use crate::commands::message::{by_offset_id, query};
use crate::commands::topic::{DLQ_PREFIX, RETRY_PREFIX};
use crate::consume::shown;
use crate::failure::Failure;
use crate::time;

/// Messages shown at once.
const MESSAGES_MAX: usize = 64;
/// Of one queue, so that a busy one does not hide the others.
const PER_QUEUE_MAX: i64 = 32;
/// Properties of a dead letter that its next life must not have.
const OWN_PROPERTIES: [&str; 6] =
    ["UNIQ_KEY", "WAIT", "MIN_OFFSET", "MAX_OFFSET", "RECONSUME_TIME", "MAX_RECONSUME_TIMES"];
/// The topic that a retried message is of (Java: `PROPERTY_RETRY_TOPIC`).
const RETRY_TOPIC: &str = "RETRY_TOPIC";
const PRODUCER_GROUP: &str = "CLIENT_INNER_PRODUCER";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Unique id or offset id.
    Id(String),
    Key(String),
    /// From this moment on, up to the other.
    Time(i64, i64),
    /// The last of each queue.
    Latest,
}

pub async fn find(cluster: &Cluster, topic: &str, wanted: &Wanted) -> Result<Vec<Value>, Failure> {
    let mut found = match wanted {
        Wanted::Id(id) => match at_a_broker(cluster, topic, id).await? {
            Some(message) => vec![(String::new(), message)],
            None => indexed(cluster, topic, id, true).await?,
        },
        Wanted::Key(key) => indexed(cluster, topic, key, false).await?,
        Wanted::Time(from, to) => by_time(cluster, topic, *from, *to).await?,
        Wanted::Latest => by_time(cluster, topic, i64::MAX, i64::MAX).await?,
    };
    found.sort_by_key(|(_, message)| std::cmp::Reverse(message.store_timestamp));
    found.truncate(MESSAGES_MAX);
    Ok(found.iter().map(|(broker, message)| shown(message, broker)).collect())
}

/// By an offset id. It names an address, and a visitor must not send this process to any but a
/// broker's.
async fn at_a_broker(cluster: &Cluster, topic: &str, id: &str) -> Result<Option<Message>, Failure> {
    let Ok((addr, _)) = parse_offset_id(id) else { return Ok(None) };
    let addr = addr.to_string();
    let info = cluster.info().await?;
    let mut brokers = info.broker_addr_table.values();
    if !brokers.any(|broker| broker.broker_addrs.values().any(|known| **known == *addr)) {
        return Ok(None);
    }
    by_offset_id(cluster, topic, id).await
}

/// From the index; which broker has it is not told there.
async fn indexed(
    cluster: &Cluster,
    topic: &str,
    key: &str,
    is_id: bool,
) -> Result<Vec<(String, Message)>, Failure> {
    let header = QueryMessage {
        topic: topic.into(),
        key: key.into(),
        max_num: 64,
        begin_timestamp: 0,
        end_timestamp: i64::MAX,
        unique_key_query: Some(is_id),
        ..Default::default()
    };
    let found = query(cluster, topic, topic, &header).await?;
    Ok(found.into_iter().map(|message| (String::new(), message)).collect())
}

/// The first of each queue stored since `from`; with `from` past everything, the last ones.
async fn by_time(
    cluster: &Cluster,
    topic: &str,
    from: i64,
    to: i64,
) -> Result<Vec<(String, Message)>, Failure> {
    let route = cluster.route(topic).await?;
    let consumer = Consumer::new(cluster, topic, "*");
    let mut found = Vec::new();
    for queue in route::readable(&route) {
        let (min, max) = (consumer.min_offset(&queue).await?, consumer.max_offset(&queue).await?);
        let first = match from {
            i64::MAX => max - PER_QUEUE_MAX,
            from => consumer.offset_at(&queue, Millis(from)).await?,
        };
        let mut offset = first.max(min);
        let end = max.min(offset + PER_QUEUE_MAX);
        while offset < end {
            let wanted = i32::try_from(end - offset).unwrap_or(i32::MAX);
            let pulled = consumer.pull(&queue, offset, wanted, None).await?;
            let got = pulled.messages.into_iter();
            let got = got.filter(|message| message.store_timestamp.0 <= to);
            found.extend(got.map(|message| (queue.broker_name.clone(), message)));
            let goes_on = matches!(pulled.status, PullStatus::Found | PullStatus::NoMatchedMessage);
            if !goes_on || pulled.next_offset <= offset {
                break;
            }
            offset = pulled.next_offset;
        }
    }
    Ok(found)
}

/// Sends a dead letter to the retry topic of its group, which only that group reads; the client
/// then sees it under the topic that it was sent to first.
pub async fn resend(
    cluster: &Cluster,
    group: &str,
    broker: &str,
    queue: i32,
    offset: i64,
) -> Result<Value, Failure> {
    let topic = format!("{DLQ_PREFIX}{group}");
    let queues: Vec<Queue> = route::readable(&cluster.route(&topic).await?);
    let queue = queues
        .iter()
        .find(|known| known.broker_name == broker && known.id == queue)
        .ok_or_else(|| Failure::other(format!("{topic} has no queue {queue} at {broker}")))?;
    let pulled = Consumer::new(cluster, &topic, "*").pull(queue, offset, 1, None).await?;
    let letter = pulled
        .messages
        .into_iter()
        .find(|message| message.queue_offset == offset)
        .ok_or_else(|| Failure::other(format!("{topic} has no message at offset {offset}")))?;
    let mut message = NewMessage {
        body: crate::body::plain(&letter).map_err(|cause| Failure::other(cause.to_string()))?,
        ..NewMessage::default()
    };
    for (name, value) in letter.properties().iter() {
        if !OWN_PROPERTIES.contains(&name) {
            message.properties.insert(name.to_owned(), value.to_owned());
        }
    }
    let first_topic = letter.property(RETRY_TOPIC).or(letter.property("DLQ_ORIGIN_TOPIC"));
    let first_topic = first_topic.ok_or_else(|| {
        Failure::other("the message does not say which topic it was sent to first")
    })?;
    message.properties.insert(RETRY_TOPIC.to_owned(), first_topic.to_owned());
    let retry = format!("{RETRY_PREFIX}{group}");
    let producer = Producer::new(cluster, &retry, PRODUCER_GROUP).await?;
    let sent = producer.send(&message, None).await?;
    Ok(json!({
        "sent": sent.status.name(),
        "topic": first_topic,
        "uniqueId": sent.unique_ids.first(),
        "at": time::now().0,
    }))
}
