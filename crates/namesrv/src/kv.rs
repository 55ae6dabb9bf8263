//! Key-value configuration by namespace, kept in `kvConfig.json` (Java: `KVConfigManager`).
//!
//! ```text
//! {"configTable":{"ORDER_TOPIC_CONFIG":{"TopicA":"broker-a:4;broker-b:4"}}}
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skua_protocol::body::KvTable;
use skua_protocol::json::{self, JsonError};

/// Namespace whose keys are ordered topics and whose values name each broker's queue count;
/// brokers get it at registration, clients with the route.
pub const ORDER_TOPIC_CONFIG: &str = "ORDER_TOPIC_CONFIG";

/// All namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KvConfig {
    config_table: BTreeMap<String, BTreeMap<String, String>>,
}

impl KvConfig {
    /// Reads `kvConfig.json`.
    pub fn decode(text: &[u8]) -> Result<Self, JsonError> {
        json::from_slice(text)
    }

    /// The content of `kvConfig.json`.
    pub fn encode(&self) -> Vec<u8> {
        json::to_vec(self)
    }

    pub fn get(&self, namespace: &str, key: &str) -> Option<&str> {
        self.config_table.get(namespace)?.get(key).map(String::as_str)
    }

    /// All keys of a namespace; `None` if nothing was ever put there.
    pub fn namespace(&self, namespace: &str) -> Option<KvTable> {
        Some(KvTable { table: self.config_table.get(namespace)?.clone() })
    }

    pub fn put(&mut self, namespace: String, key: String, value: String) {
        self.config_table.entry(namespace).or_default().insert(key, value);
    }

    /// Java: a namespace whose last key is deleted stays, empty.
    pub fn delete(&mut self, namespace: &str, key: &str) {
        if let Some(table) = self.config_table.get_mut(namespace) {
            table.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_written_by_java_reads_back_and_is_written_in_the_same_form() {
        let text = br#"{"configTable":{"ORDER_TOPIC_CONFIG":{"T":"broker-a:4;broker-b:4"},"n":{"k":"v"}}}"#;
        let kv = KvConfig::decode(text).unwrap();
        assert_eq!(kv.get(ORDER_TOPIC_CONFIG, "T"), Some("broker-a:4;broker-b:4"));
        assert_eq!(kv.encode(), text);
    }

    #[test]
    fn an_empty_object_is_an_empty_table_and_garbage_is_an_error() {
        assert_eq!(KvConfig::decode(b"{}").unwrap(), KvConfig::default());
        assert!(KvConfig::decode(b"not json").is_err());
        assert!(KvConfig::decode(br#"{"configTable":{"n":"not a table"}}"#).is_err());
    }

    #[test]
    fn a_namespace_stays_after_its_last_key_is_deleted() {
        let mut kv = KvConfig::default();
        kv.put("n".into(), "k".into(), "v".into());
        kv.delete("n", "k");
        kv.delete("n", "never there");
        kv.delete("other", "k");
        assert_eq!(kv.get("n", "k"), None);
        assert!(kv.namespace("n").is_some_and(|table| table.table.is_empty()));
        assert!(kv.namespace("other").is_none());
    }
}
