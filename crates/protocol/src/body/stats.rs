//! Statistics and state.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{MessageQueue, SubscriptionData};
use crate::json::{self, ObjectWriter};

/// Java: `KVTable`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KvTable {
    pub table: BTreeMap<String, String>,
}

/// Java: `TopicStatsTable`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicStats {
    #[serde(deserialize_with = "json::mq_map")]
    pub offset_table: BTreeMap<MessageQueue, TopicOffset>,
    pub topic_put_tps: f64,
}

impl TopicStats {
    pub fn to_json(&self) -> Vec<u8> {
        ObjectWriter::new()
            .mq_map("offsetTable", &self.offset_table)
            .member("topicPutTps", &self.topic_put_tps)
            .finish()
    }
}

/// Java: `TopicOffset`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicOffset {
    pub last_update_timestamp: i64,
    pub max_offset: i64,
    pub min_offset: i64,
}

/// Java: `ConsumeStats`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeStats {
    pub consume_tps: f64,
    #[serde(deserialize_with = "json::mq_map")]
    pub offset_table: BTreeMap<MessageQueue, ConsumeOffset>,
}

impl ConsumeStats {
    pub fn to_json(&self) -> Vec<u8> {
        ObjectWriter::new()
            .member("consumeTps", &self.consume_tps)
            .mq_map("offsetTable", &self.offset_table)
            .finish()
    }
}

/// Java: `OffsetWrapper`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeOffset {
    pub broker_offset: i64,
    pub consumer_offset: i64,
    pub last_timestamp: i64,
    pub pull_offset: i64,
}

/// Java: `ConsumeStatsList`; every entry of the list has one group.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerConsumeStats {
    pub broker_addr: String,
    pub consume_stats_list: Vec<BTreeMap<String, Vec<ConsumeStats>>>,
    pub total_diff: i64,
    pub total_inflight_diff: i64,
}

impl BrokerConsumeStats {
    pub fn to_json(&self) -> Vec<u8> {
        let groups = self.consume_stats_list.iter().map(|groups| {
            let writer = groups.iter().fold(ObjectWriter::new(), |writer, (group, stats)| {
                writer.raw_member(group, &json::array_text(stats.iter().map(ConsumeStats::to_json)))
            });
            writer.finish()
        });
        ObjectWriter::new()
            .member("brokerAddr", &self.broker_addr)
            .raw_member("consumeStatsList", &json::array_text(groups))
            .member("totalDiff", &self.total_diff)
            .member("totalInflightDiff", &self.total_inflight_diff)
            .finish()
    }
}

/// Java: `QueryConsumeTimeSpanBody`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeTimeSpans {
    pub consume_time_span_set: Vec<QueueTimeSpan>,
}

/// Java: `QueueTimeSpan`; times in milliseconds and as `yyyy-MM-dd#HH:mm:ss:SSS`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueTimeSpan {
    pub consume_time_stamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consume_time_stamp_str: Option<String>,
    pub delay_time: i64,
    pub max_time_stamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_time_stamp_str: Option<String>,
    pub message_queue: MessageQueue,
    pub min_time_stamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_time_stamp_str: Option<String>,
}

/// Java: `BrokerStatsData`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerStats {
    pub stats_day: BrokerStatsItem,
    pub stats_hour: BrokerStatsItem,
    pub stats_minute: BrokerStatsItem,
}

/// Java: `BrokerStatsItem`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BrokerStatsItem {
    /// Average of the counted value per call.
    pub avgpt: f64,
    pub sum: i64,
    pub tps: f64,
}

/// Java: `QueryConsumeQueueResponseBody`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeQueueEntries {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_data: Option<String>,
    pub max_queue_index: i64,
    pub min_queue_index: i64,
    pub queue_data: Vec<ConsumeQueueEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription_data: Option<SubscriptionData>,
}

/// Java: `ConsumeQueueData`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeQueueEntry {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bit_map: Option<String>,
    /// Whether the group's filter takes it.
    pub eval: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extend_data_json: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg: Option<String>,
    pub physic_offset: i64,
    pub physic_size: i32,
    pub tags_code: i64,
}
