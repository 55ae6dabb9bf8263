//! Topics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DataVersion, TopicQueueMappingInfo, text_enum};

/// `perm`: consumers may read.
pub const PERM_READ: i32 = 4;
/// `perm`: producers may write.
pub const PERM_WRITE: i32 = 2;
/// `perm`: topics that do not exist yet may be made from this one.
pub const PERM_INHERIT: i32 = 1;
/// `perm`: messages have priorities.
pub const PERM_PRIORITY: i32 = 8;

text_enum! {
    pub enum TopicFilterType {
        #[default]
        SingleTag = "SINGLE_TAG",
        MultiTag = "MULTI_TAG",
    }
}

/// Java: `TopicConfig`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicConfig {
    pub attributes: BTreeMap<String, String>,
    pub order: bool,
    pub perm: i32,
    pub read_queue_nums: i32,
    pub topic_filter_type: TopicFilterType,
    pub topic_name: String,
    pub topic_sys_flag: i32,
    pub write_queue_nums: i32,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            attributes: BTreeMap::new(),
            order: false,
            perm: PERM_READ | PERM_WRITE,
            read_queue_nums: 16,
            topic_filter_type: TopicFilterType::SingleTag,
            topic_name: String::new(),
            topic_sys_flag: 0,
            write_queue_nums: 16,
        }
    }
}

impl TopicConfig {
    pub fn new(topic_name: impl Into<String>, queues: i32, perm: i32) -> Self {
        Self {
            topic_name: topic_name.into(),
            read_queue_nums: queues,
            write_queue_nums: queues,
            perm,
            ..Self::default()
        }
    }

    pub fn is_readable(&self) -> bool {
        self.perm & PERM_READ != 0
    }

    pub fn is_writable(&self) -> bool {
        self.perm & PERM_WRITE != 0
    }

    /// The latest message of each key is kept.
    pub fn is_compacted(&self) -> bool {
        let policy = self.attributes.get(CLEANUP_POLICY);
        policy.is_some_and(|policy| policy == CLEANUP_POLICY_COMPACTION)
    }

    /// Entries of the topic's queues stand for records that may hold several messages.
    pub fn has_batch_queues(&self) -> bool {
        self.attributes.get(QUEUE_TYPE).is_some_and(|kind| kind == QUEUE_TYPE_BATCH)
    }
}

/// Attribute: what becomes of old messages.
pub const CLEANUP_POLICY: &str = "cleanup.policy";
pub const CLEANUP_POLICY_COMPACTION: &str = "COMPACTION";
/// Attribute: the kind of the topic's queues.
pub const QUEUE_TYPE: &str = "queue.type";
pub const QUEUE_TYPE_BATCH: &str = "BatchCQ";

/// Java: `TopicConfigSerializeWrapper` and its subclass with mappings: body of 21, part of 103.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicConfigSerializeWrapper {
    pub data_version: DataVersion,
    pub mapping_data_version: DataVersion,
    pub topic_config_table: BTreeMap<String, TopicConfig>,
    /// Static topics, passed on as they are.
    pub topic_queue_mapping_detail_map: BTreeMap<String, serde_json::Value>,
    pub topic_queue_mapping_info_map: BTreeMap<String, TopicQueueMappingInfo>,
}

/// Java: `CreateTopicListRequestBody`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicConfigList {
    pub topic_config_list: Vec<TopicConfig>,
}

/// Java: `TopicList`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicList {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker_addr: Option<String>,
    pub topic_list: Vec<String>,
}

/// Java: `GroupList`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GroupList {
    pub group_list: Vec<String>,
}
