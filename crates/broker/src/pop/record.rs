//! What stands in the revive topic (Java: `PopCheckPoint`, `AckMsg`, `BatchAckMsg`): a check
//! point for the messages of one queue that a pop took, and acknowledgements of them.
//!
//! Java lets its records wait in the timer until a second before the invisible time is over.
//! Ours are in the topic at once, with the moment they were written as their delivery time, which
//! is how far Java's revive takes the topic's clock to have come. Both brokers read both.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use skua_protocol::properties::{self, Properties, PropertiesEditor};
use skua_protocol::record::{NewRecord, Record};
use skua_protocol::{Millis, QueueId, json};

use super::receipt::Receipt;

const CHECK_POINT_TAG: &str = "ck";
const ACK_TAG: &str = "ack";
const BATCH_ACK_TAG: &str = "bAck";

/// Most messages that one check point can stand for: bits of its map.
pub const MESSAGES_MAX: usize = 32;

/// Java: `PopCheckPoint`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckPoint {
    /// Bit `i`: the message of the `i`th difference is acknowledged.
    #[serde(rename = "bm")]
    pub bit_map: i32,
    #[serde(rename = "bn")]
    pub broker_name: String,
    #[serde(rename = "c")]
    pub group: String,
    /// Distances of the messages' offsets from `start_offset`; none: one after the other.
    #[serde(rename = "d", skip_serializing_if = "Option::is_none")]
    pub differences: Option<Vec<i32>>,
    #[serde(rename = "it")]
    pub invisible_time: i64,
    #[serde(rename = "n")]
    pub count: u8,
    #[serde(rename = "pt")]
    pub pop_time: i64,
    #[serde(rename = "q")]
    pub queue_id: i32,
    /// Its own place in the revive topic; set by who reads it.
    #[serde(rename = "ro")]
    pub revive_offset: i64,
    /// How often it was written again because its messages could not be revived.
    #[serde(rename = "rp", skip_serializing_if = "Option::is_none")]
    pub written_again: Option<String>,
    #[serde(rename = "so")]
    pub start_offset: i64,
    /// Reviving does not count as a delivery.
    #[serde(rename = "sp")]
    pub suspend: bool,
    #[serde(rename = "t")]
    pub topic: String,
    /// Ours alone: its messages had a check point before, which alone says where their group goes
    /// on.
    #[serde(rename = "again", skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}

impl CheckPoint {
    /// What a pop at `pop_time` took from a queue, reading from `start_offset`.
    pub fn of(
        (broker_name, topic, group, queue_id): (&str, &str, &str, i32),
        start_offset: i64,
        offsets: &[i64],
        pop_time: i64,
        invisible_time: i64,
    ) -> Self {
        let difference = |offset: &i64| i32::try_from(offset - start_offset).unwrap_or(i32::MAX);
        Self {
            broker_name: broker_name.to_owned(),
            group: group.to_owned(),
            differences: Some(offsets.iter().map(difference).collect()),
            invisible_time,
            count: offsets.len().min(MESSAGES_MAX) as u8,
            pop_time,
            queue_id,
            start_offset,
            topic: topic.to_owned(),
            ..Self::default()
        }
    }

    /// Where the group goes on behind it.
    pub fn next_offset(&self) -> Option<i64> {
        self.offsets().last().map(|last| last.saturating_add(1))
    }

    /// Queue offsets of its messages.
    pub fn offsets(&self) -> Vec<i64> {
        let count = usize::from(self.count).min(MESSAGES_MAX);
        match self.differences.as_deref() {
            Some(differences) if !differences.is_empty() => differences
                .iter()
                .take(count)
                .map(|&difference| self.start_offset.saturating_add(i64::from(difference)))
                .collect(),
            _ => (0..count as i64).map(|at| self.start_offset.saturating_add(at)).collect(),
        }
    }
}

/// Java: `AckMsg`, and `BatchAckMsg` with its list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ack {
    /// -1 where the list has the offsets.
    #[serde(rename = "ao", alias = "ackOffset")]
    pub offset: i64,
    #[serde(rename = "aol", alias = "ackOffsetList", skip_serializing_if = "Option::is_none")]
    pub offsets: Option<Vec<i64>>,
    #[serde(rename = "bn", alias = "brokerName")]
    pub broker_name: String,
    #[serde(rename = "c", alias = "consumerGroup")]
    pub group: String,
    /// Ours alone, of a message that this broker did not pop itself: its check point may still
    /// wait in Java's timer, and stand behind the acknowledgement then.
    #[serde(rename = "it", skip_serializing_if = "Option::is_none")]
    pub invisible_time: Option<i64>,
    #[serde(rename = "pt", alias = "popTime")]
    pub pop_time: i64,
    #[serde(rename = "q", alias = "queueId")]
    pub queue_id: i32,
    #[serde(rename = "so", alias = "startOffset")]
    pub start_offset: i64,
    #[serde(rename = "t", alias = "topic")]
    pub topic: String,
}

impl Ack {
    /// Queue offsets of the messages acknowledged.
    pub fn offsets(&self) -> &[i64] {
        self.offsets.as_deref().unwrap_or(std::slice::from_ref(&self.offset))
    }
}

/// What changes the time of a message: a new check point, and then the acknowledgement of its old
/// one; with the message's new receipt.
pub fn changed(
    (topic, group, queue_id, offset): (&str, &str, i32, i64),
    receipt: &Receipt,
    invisible_time: i64,
    suspend: bool,
    now: Millis,
) -> ([Entry; 2], Receipt) {
    // No two check points of a message have the same name, or one's end were the other's: a clock
    // that stands or goes back must not give a pop time again.
    let pop_time = now.0.max(receipt.pop_time.saturating_add(1));
    let invisible_time = now.plus(invisible_time).since(Millis(pop_time));
    let place = (&*receipt.broker_name, topic, group, queue_id);
    let check_point = CheckPoint {
        suspend,
        again: true,
        ..CheckPoint::of(place, offset, &[offset], pop_time, invisible_time)
    };
    let ack = Ack {
        offset,
        offsets: None,
        invisible_time: None,
        broker_name: receipt.broker_name.clone(),
        group: group.to_owned(),
        pop_time: receipt.pop_time,
        queue_id,
        start_offset: receipt.start_offset,
        topic: topic.to_owned(),
    };
    let receipt = Receipt { start_offset: offset, pop_time, invisible_time, ..receipt.clone() };
    ([Entry::CheckPoint(check_point), Entry::Ack(ack)], receipt)
}

/// A record of the revive topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    CheckPoint(CheckPoint),
    Ack(Ack),
}

/// An entry as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub entry: Entry,
    /// It waited in Java's timer: acknowledgements of it may come as late as its time is over.
    pub from_timer: bool,
}

impl Entry {
    /// `None` for what is neither, or is broken.
    pub fn read(record: &Record<'_>) -> Option<Stored> {
        let entry = match record.tags()? {
            CHECK_POINT_TAG => {
                let check_point: CheckPoint = json::from_slice(record.body()).ok()?;
                (!check_point.topic.is_empty() && !check_point.group.is_empty())
                    .then_some(Self::CheckPoint(check_point))
            }
            ACK_TAG | BATCH_ACK_TAG => json::from_slice(record.body()).ok().map(Self::Ack),
            _ => None,
        };
        let from_timer = record.properties().get(properties::TIMER_ENQUEUE_MS).is_some()
            || record.properties().get(properties::TIMER_OUT_MS).is_some();
        Some(Stored { entry: entry?, from_timer })
    }

    /// Body and properties of its record.
    fn encode(&self, now: Millis) -> (Vec<u8>, Vec<u8>) {
        let (body, tag, unique_id) = match self {
            Self::CheckPoint(ck) => {
                let CheckPoint { topic, queue_id, start_offset, group, pop_time, .. } = ck;
                let broker = &ck.broker_name;
                let id = format!(
                    "{topic}@{queue_id}@{start_offset}@{group}@{pop_time}@{broker}@{CHECK_POINT_TAG}"
                );
                (json::to_vec(ck), CHECK_POINT_TAG, id)
            }
            Self::Ack(ack) => {
                let Ack { topic, queue_id, offset, group, pop_time, broker_name, .. } = ack;
                let tag = if ack.offsets.is_some() { BATCH_ACK_TAG } else { ACK_TAG };
                let id = format!(
                    "{topic}@{queue_id}@{offset}@{group}@{pop_time}@{broker_name}@{ACK_TAG}"
                );
                (json::to_vec(ack), tag, id)
            }
        };
        let mut encoded = Vec::with_capacity(unique_id.len() + 64);
        properties::append(&mut encoded, properties::TIMER_DELIVER_MS, &now.0.to_string());
        properties::append(&mut encoded, properties::TAGS, tag);
        properties::append(&mut encoded, properties::UNIQ_KEY, &unique_id);
        (body, encoded)
    }
}

/// Entries on their way into a queue of the revive topic.
pub struct Outgoing(Vec<(Vec<u8>, Vec<u8>)>);

impl Outgoing {
    pub fn new(entries: &[Entry], now: Millis) -> Self {
        Self(entries.iter().map(|entry| entry.encode(now)).collect())
    }

    pub fn records<'a>(
        &'a self,
        revive_topic: &'a str,
        revive_queue: QueueId,
        host: SocketAddr,
        now: Millis,
    ) -> impl Iterator<Item = NewRecord<'a>> {
        self.0.iter().map(move |(body, properties)| NewRecord {
            topic: revive_topic,
            queue_id: revive_queue,
            flag: 0,
            sys_flag: 0,
            born_timestamp: now,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body,
            properties,
        })
    }
}

/// Properties of a message that is to be delivered once more.
pub fn revived_properties(record: &Record<'_>, check_point_time: i64, group: &str) -> String {
    let given: Properties<'_> = record.properties();
    let mut editor = PropertiesEditor::from(given);
    // The checksum is of the record it came in.
    editor.remove(properties::CRC32);
    if record.reconsume_times() == 0 || editor.get(properties::FIRST_POP_TIME).is_none() {
        editor.set(properties::FIRST_POP_TIME, check_point_time.to_string());
    }
    editor.set(ORIGIN_GROUP, group);
    editor.encode()
}

/// The group that a retry message is for.
const ORIGIN_GROUP: &str = "ORIGIN_GROUP";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javas_check_points_are_read() {
        let json = br#"{"bm":0,"bn":"broker-a","c":"G","d":[0,1,3],"it":60000,"n":3,"pt":1700,"q":2,"reviveTime":61700,"ro":0,"so":7,"sp":false,"t":"T"}"#;
        let ck: CheckPoint = json::from_slice(json).expect("well-formed");
        assert_eq!(ck.offsets(), [7, 8, 10]);
        assert_eq!((ck.pop_time, ck.invisible_time), (1700, 60_000));
    }

    #[test]
    fn check_points_without_differences_count_up() {
        let ck = CheckPoint { start_offset: 5, count: 3, ..CheckPoint::default() };
        assert_eq!(ck.offsets(), [5, 6, 7]);
    }

    #[test]
    fn old_acknowledgements_have_long_names() {
        let json = br#"{"ackOffset":7,"brokerName":"b","consumerGroup":"G","popTime":5,"queueId":1,"startOffset":6,"topic":"T"}"#;
        let ack: Ack = json::from_slice(json).expect("well-formed");
        assert_eq!((ack.offsets(), ack.start_offset, &*ack.group), (&[7][..], 6, "G"));
    }
}
