//! Tables of offsets.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{DataVersion, MessageQueue};
use crate::json::{self, ObjectWriter};

/// Java: `ConsumerOffsetSerializeWrapper`, and consumerOffset.json.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerOffsets {
    pub data_version: DataVersion,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub group_topic_map: BTreeMap<String, BTreeSet<String>>,
    /// By `topic@group` and queue id.
    pub offset_table: BTreeMap<String, BTreeMap<i32, i64>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pull_offset_table: BTreeMap<String, BTreeMap<i32, i64>>,
    /// Of groups named as light queues are, by `topic@group`: such a topic has one queue.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub lmq_offset_table: BTreeMap<String, i64>,
}

/// Java: `DelayOffsetSerializeWrapper`, and delayOffset.json.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DelayOffsets {
    pub data_version: DataVersion,
    /// By delay level.
    pub offset_table: BTreeMap<i32, i64>,
}

/// Java: `ResetOffsetBody`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResetOffsets {
    #[serde(deserialize_with = "json::mq_map")]
    pub offset_table: BTreeMap<MessageQueue, i64>,
}

impl ResetOffsets {
    pub fn to_json(&self) -> Vec<u8> {
        ObjectWriter::new().mq_map("offsetTable", &self.offset_table).finish()
    }
}

/// Java: `ResetOffsetBodyForC`: the same for C++ clients, whose JSON has no objects as keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResetOffsetsForC {
    pub offset_table: Vec<QueueOffsetForC>,
}

/// Java: `MessageQueueForC`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueOffsetForC {
    pub broker_name: String,
    pub offset: i64,
    pub queue_id: i32,
    pub topic: String,
}

/// Java: `GetConsumerStatusBody`: offsets by client id; a client fills the second table.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerStatus {
    pub consumer_table: BTreeMap<String, ClientOffsets>,
    #[serde(deserialize_with = "json::mq_map")]
    pub message_queue_table: BTreeMap<MessageQueue, i64>,
}

/// One client's offsets by queue.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct ClientOffsets(
    #[serde(deserialize_with = "json::mq_map")] pub BTreeMap<MessageQueue, i64>,
);

impl ConsumerStatus {
    pub fn to_json(&self) -> Vec<u8> {
        let clients = self
            .consumer_table
            .iter()
            .fold(ObjectWriter::new(), |writer, client| writer.mq_map(client.0, &client.1.0));
        ObjectWriter::new()
            .raw_member("consumerTable", &clients.finish())
            .mq_map("messageQueueTable", &self.message_queue_table)
            .finish()
    }
}

/// Java: `QueryCorrectionOffsetBody`: by queue id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CorrectionOffsets {
    pub correction_offsets: BTreeMap<i32, i64>,
}
