//! Lite topics: subscriptions, and what is told of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{ConsumeOffset, TopicOffset, text_enum};

text_enum! {
    /// Java: `LiteSubscriptionAction`.
    pub enum LiteSubscriptionAction {
        #[default]
        PartialAdd = "PARTIAL_ADD",
        PartialRemove = "PARTIAL_REMOVE",
        CompleteAdd = "COMPLETE_ADD",
        CompleteRemove = "COMPLETE_REMOVE",
    }
}

text_enum! {
    /// Java: `OffsetOption.Type`.
    pub enum OffsetOptionType {
        #[default]
        Policy = "POLICY",
        Offset = "OFFSET",
        TailN = "TAIL_N",
        Timestamp = "TIMESTAMP",
    }
}

/// Java: `OffsetOption`: where a new subscriber's group goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OffsetOption {
    #[serde(rename = "type")]
    pub kind: OffsetOptionType,
    pub value: i64,
}

impl OffsetOption {
    pub const POLICY_MIN: i64 = 1;
    pub const POLICY_MAX: i64 = 2;
}

/// Java: `LiteSubscriptionDTO`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LiteSubscription {
    pub action: LiteSubscriptionAction,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lite_topic_set: Option<BTreeSet<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset_option: Option<OffsetOption>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    pub version: i64,
}

/// Java: `LiteSubscriptionCtlRequestBody`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LiteSubscriptions {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription_set: Option<Vec<LiteSubscription>>,
}

/// Java: `GetBrokerLiteInfoResponseBody`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerLiteInfo {
    pub cq_table_size: i32,
    pub current_lmq_num: i32,
    pub event_map_size: i32,
    pub group_meta: BTreeMap<String, BTreeSet<String>>,
    pub lite_subscription_count: i32,
    pub max_lmq_num: i32,
    pub offset_table_size: i32,
    pub order_info_count: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_type: Option<String>,
    /// Minutes that their lite topics live.
    pub topic_meta: BTreeMap<String, i32>,
}

/// Java: `GetParentTopicInfoResponseBody`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ParentTopicInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<BTreeSet<String>>,
    pub lite_topic_count: i32,
    pub lmq_num: i32,
    pub topic: String,
    pub ttl: i32,
}

/// Java: `ClientGroup`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientGroup {
    pub client_id: String,
    pub group: String,
}

/// Java: `GetLiteTopicInfoResponseBody`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LiteTopicInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lite_topic: Option<String>,
    pub parent_topic: String,
    pub sharding_to_broker: bool,
    pub subscriber: BTreeSet<ClientGroup>,
    pub topic_offset: TopicOffset,
}

/// Java: `GetLiteClientInfoResponseBody`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LiteClientInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    pub group: String,
    pub last_access_time: i64,
    pub last_consume_time: i64,
    pub lite_topic_count: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lite_topic_set: Option<BTreeSet<String>>,
    pub parent_topic: String,
}

/// Java: `LiteLagInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LiteLag {
    pub earliest_unconsumed_timestamp: i64,
    pub lag_count: i64,
    pub lite_topic: String,
}

/// Java: `GetLiteGroupInfoResponseBody`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LiteGroupInfo {
    pub earliest_unconsumed_timestamp: i64,
    pub group: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_count_top_k: Option<Vec<LiteLag>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_timestamp_top_k: Option<Vec<LiteLag>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lite_topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lite_topic_offset_wrapper: Option<ConsumeOffset>,
    pub parent_topic: String,
    pub total_lag_count: i64,
}

impl Default for LiteGroupInfo {
    fn default() -> Self {
        Self {
            earliest_unconsumed_timestamp: -1,
            group: String::new(),
            lag_count_top_k: None,
            lag_timestamp_top_k: None,
            lite_topic: None,
            lite_topic_offset_wrapper: None,
            parent_topic: String::new(),
            total_lag_count: 0,
        }
    }
}
