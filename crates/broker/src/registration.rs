//! What the broker tells the name servers of itself (Java: `BrokerController.registerBrokerAll`).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use skua_protocol::body::{
    DataVersion, KvTable, PERM_READ, PERM_WRITE, RegisterBrokerBody, TopicConfig,
    TopicConfigSerializeWrapper,
};
use skua_protocol::command::VERSION;
use skua_protocol::json;
use skua_protocol::record::body_crc;
use skua_protocol::request::{RegisterBroker, UnregisterBroker};

use crate::static_topics::StaticTopics;
use crate::topic_table::Topic;

/// A request 103 for every name server.
#[derive(Clone, Debug)]
pub struct Registration {
    pub header: RegisterBroker,
    pub body: Bytes,
    /// The version of the topics in it, which 322 asks after.
    pub version: DataVersion,
}

/// Who the broker is to the name servers.
#[derive(Clone, Debug)]
pub struct Identity {
    pub broker_name: String,
    pub broker_addr: String,
    pub cluster_name: String,
    pub ha_server_addr: String,
}

impl Identity {
    /// Makes a registration of these topics.
    pub fn registration(
        &self,
        broker_id: i64,
        version: DataVersion,
        topics: &[Arc<Topic>],
        static_topics: &StaticTopics,
        broker_permission: i32,
        compressed: bool,
    ) -> Registration {
        // A broker that may not be read or written hides that of all its topics.
        let both = PERM_READ | PERM_WRITE;
        let mask = if broker_permission & both == both { !0 } else { broker_permission };
        let mappings = topics.iter().filter_map(|topic| {
            let mapping = static_topics.get(&topic.config.topic_name)?;
            Some((topic.config.topic_name.clone(), mapping.info()))
        });
        let mappings: BTreeMap<_, _> = mappings.collect();
        let mapping_version = match static_topics.is_empty() {
            true => DataVersion { timestamp: version.timestamp, ..DataVersion::default() },
            false => static_topics.version(),
        };
        let topics = topics.iter().map(|topic| {
            let config = &topic.config;
            let config = TopicConfig { perm: config.perm & mask, ..config.clone() };
            (config.topic_name.clone(), config)
        });
        let body = RegisterBrokerBody {
            filter_server_list: Vec::new(),
            topic_config_serialize_wrapper: TopicConfigSerializeWrapper {
                data_version: version,
                mapping_data_version: mapping_version,
                topic_config_table: topics.collect(),
                topic_queue_mapping_info_map: mappings,
                ..TopicConfigSerializeWrapper::default()
            },
        };
        let body = if compressed { body.encode_compressed(VERSION) } else { json::to_vec(&body) };
        let header = RegisterBroker {
            broker_name: self.broker_name.as_str().into(),
            broker_addr: self.broker_addr.as_str().into(),
            cluster_name: self.cluster_name.as_str().into(),
            ha_server_addr: self.ha_server_addr.as_str().into(),
            broker_id,
            heartbeat_timeout_millis: None,
            enable_acting_master: Some(false),
            compressed: Some(compressed),
            body_crc32: Some(body_crc(&body) as i32),
            zone_name: None,
        };
        Registration { header, body: body.into(), version }
    }

    /// A request 104 for every name server.
    pub fn unregistration(&self, broker_id: i64) -> UnregisterBroker {
        UnregisterBroker {
            broker_name: self.broker_name.as_str().into(),
            broker_addr: self.broker_addr.as_str().into(),
            cluster_name: self.cluster_name.as_str().into(),
            broker_id,
        }
    }
}

/// The ordered topics that a name server's answer to a registration names.
pub fn ordered_topics(body: &[u8]) -> Vec<String> {
    if body.is_empty() {
        return Vec::new();
    }
    match json::from_slice::<KvTable>(body) {
        Ok(table) => table.table.into_keys().collect(),
        Err(error) => {
            tracing::warn!(%error, "a name server's list of ordered topics cannot be read");
            Vec::new()
        }
    }
}
