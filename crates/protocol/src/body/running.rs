//! What clients tell about themselves, relayed by brokers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{MessageQueue, SubscriptionData, text_enum};
use crate::json::{self, ObjectWriter};

/// Java: `ConsumerRunningInfo`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerRunningInfo {
    pub jstack: Option<String>,
    #[serde(deserialize_with = "json::mq_map")]
    pub mq_pop_table: BTreeMap<MessageQueue, PopProcessQueueInfo>,
    #[serde(deserialize_with = "json::mq_map")]
    pub mq_table: BTreeMap<MessageQueue, ProcessQueueInfo>,
    pub properties: BTreeMap<String, String>,
    /// By topic.
    pub status_table: BTreeMap<String, ConsumeStatus>,
    pub subscription_set: Vec<SubscriptionData>,
    pub user_consumer_info: BTreeMap<String, String>,
}

impl ConsumerRunningInfo {
    pub fn to_json(&self) -> Vec<u8> {
        let mut writer = ObjectWriter::new();
        if let Some(jstack) = &self.jstack {
            writer = writer.member("jstack", jstack);
        }
        writer
            .mq_map("mqPopTable", &self.mq_pop_table)
            .mq_map("mqTable", &self.mq_table)
            .member("properties", &self.properties)
            .member("statusTable", &self.status_table)
            .member("subscriptionSet", &self.subscription_set)
            .member("userConsumerInfo", &self.user_consumer_info)
            .finish()
    }
}

/// Java: `ProcessQueueInfo`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProcessQueueInfo {
    pub cached_msg_count: i32,
    pub cached_msg_max_offset: i64,
    pub cached_msg_min_offset: i64,
    #[serde(rename = "cachedMsgSizeInMiB")]
    pub cached_msg_size_in_mib: i32,
    pub commit_offset: i64,
    /// Java's spelling.
    #[serde(rename = "droped")]
    pub dropped: bool,
    pub last_consume_timestamp: i64,
    pub last_lock_timestamp: i64,
    pub last_pull_timestamp: i64,
    pub locked: bool,
    pub transaction_msg_count: i32,
    pub transaction_msg_max_offset: i64,
    pub transaction_msg_min_offset: i64,
    pub try_unlock_times: i64,
}

/// Java: `PopProcessQueueInfo`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PopProcessQueueInfo {
    /// Java's spelling.
    #[serde(rename = "droped")]
    pub dropped: bool,
    pub last_pop_timestamp: i64,
    pub wait_ack_count: i32,
}

/// Java: `ConsumeStatus`; times in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeStatus {
    pub consume_failed_msgs: i64,
    #[serde(rename = "consumeFailedTPS")]
    pub consume_failed_tps: f64,
    #[serde(rename = "consumeOKTPS")]
    pub consume_ok_tps: f64,
    #[serde(rename = "consumeRT")]
    pub consume_rt: f64,
    #[serde(rename = "pullRT")]
    pub pull_rt: f64,
    #[serde(rename = "pullTPS")]
    pub pull_tps: f64,
}

text_enum! {
    /// Java: `CMResult`.
    pub enum ConsumeResult {
        #[default]
        Success = "CR_SUCCESS",
        Later = "CR_LATER",
        Rollback = "CR_ROLLBACK",
        Commit = "CR_COMMIT",
        ThrowException = "CR_THROW_EXCEPTION",
        ReturnNull = "CR_RETURN_NULL",
    }
}

/// Java: `ConsumeMessageDirectlyResult`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeDirectlyResult {
    pub auto_commit: bool,
    pub consume_result: ConsumeResult,
    pub order: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    /// Java's spelling; milliseconds.
    pub spent_time_mills: i64,
}

impl Default for ConsumeDirectlyResult {
    fn default() -> Self {
        Self {
            auto_commit: true,
            consume_result: ConsumeResult::Success,
            order: false,
            remark: None,
            spent_time_mills: 0,
        }
    }
}
