//! Pop: acknowledging many, assignment of queues, request modes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{MessageModel, MessageQueue, text_enum};

/// Java: `BatchAckMessageRequestBody`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BatchAckBody {
    pub acks: Vec<BatchAck>,
    pub broker_name: String,
}

/// Java: `BatchAck`; the long names are read too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatchAck {
    /// Base64 of a little-endian bit set; bit `i` stands for `start_offset + i`.
    #[serde(rename = "b", alias = "bitSet")]
    pub bit_set: String,
    #[serde(rename = "c", alias = "consumerGroup")]
    pub consumer_group: String,
    #[serde(rename = "it", alias = "invisibleTime")]
    pub invisible_time: i64,
    #[serde(rename = "pt", alias = "popTime")]
    pub pop_time: i64,
    #[serde(rename = "q", alias = "queueId")]
    pub queue_id: i32,
    /// `0` normal, `1` retry, `2` retry topic of the second form.
    #[serde(rename = "r", alias = "retry")]
    pub retry: String,
    #[serde(rename = "rq", alias = "reviveQueueId")]
    pub revive_queue_id: i32,
    #[serde(rename = "so", alias = "startOffset")]
    pub start_offset: i64,
    #[serde(rename = "t", alias = "topic")]
    pub topic: String,
}

text_enum! {
    /// Java: `MessageRequestMode`.
    pub enum MessageRequestMode {
        #[default]
        Pull = "PULL",
        Pop = "POP",
    }
}

/// Java: `SetMessageRequestModeRequestBody`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MessageRequestModeConfig {
    pub consumer_group: String,
    pub mode: MessageRequestMode,
    pub pop_share_queue_num: i32,
    pub topic: String,
}

/// Java: `MessageRequestModeSerializeWrapper`: by topic and group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MessageRequestModes {
    pub message_request_mode_map: BTreeMap<String, BTreeMap<String, MessageRequestModeConfig>>,
}

/// Java: `QueryAssignmentRequestBody`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueryAssignmentBody {
    pub client_id: String,
    pub consumer_group: String,
    pub message_model: MessageModel,
    pub strategy_name: String,
    pub topic: String,
}

/// Java: `QueryAssignmentResponseBody`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Assignments {
    pub message_queue_assignments: Vec<Assignment>,
}

/// Java: `MessageQueueAssignment`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Assignment {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachments: Option<BTreeMap<String, String>>,
    pub message_queue: MessageQueue,
    pub mode: MessageRequestMode,
}
