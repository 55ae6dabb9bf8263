//! A topic's entry in `config/topics.json`, taken from and put into the JSON as it stands.

use serde_json::{Map, Value, json};
use skua_protocol::body::TopicConfig;
use skua_protocol::json::from_slice;
use skua_store::ConfigFiles;

use crate::Failure;

pub const FILE: &str = "topics.json";
const TABLE: &str = "topicConfigTable";

/// The topic's entry, if the table has one.
pub fn entry(table: &[u8], topic: &str) -> Option<Value> {
    let table: Value = from_slice(table).ok()?;
    table.get(TABLE)?.get(topic).cloned()
}

/// Whether it is a table of topics.
pub fn is_table(table: &[u8]) -> bool {
    from_slice::<Value>(table).is_ok_and(|table| table.get(TABLE).is_some_and(Value::is_object))
}

/// Whether an entry says that the topic's queues are of the batch kind.
pub fn has_batch_queues(entry: &Value) -> bool {
    let config = serde_json::from_value::<TopicConfig>(entry.clone());
    config.is_ok_and(|config| config.has_batch_queues())
}

/// Adds the topic unless it is there. True if it was added.
pub fn add(
    files: &ConfigFiles,
    topic: &str,
    like: Option<&Value>,
    queues: u32,
) -> Result<bool, Failure> {
    let content = files.read(FILE)?.unwrap_or_default();
    let mut table: Value = if content.is_empty() {
        json!({})
    } else {
        from_slice(&content).map_err(|why| Failure::Usage(format!("config/{FILE}: {why}")))?
    };
    let broken = || Failure::Usage(format!("config/{FILE} is no table of topics"));
    let root = table.as_object_mut().ok_or_else(broken)?;
    let topics = root.entry(TABLE).or_insert_with(|| Value::Object(Map::new()));
    let topics = topics.as_object_mut().ok_or_else(broken)?;
    if topics.contains_key(topic) {
        return Ok(false);
    }
    let mut entry = like.cloned().unwrap_or_else(
        || json!({"order": false, "perm": 6, "topicFilterType": "SINGLE_TAG", "topicSysFlag": 0}),
    );
    let fields = entry.as_object_mut().ok_or_else(broken)?;
    fields.insert("topicName".to_owned(), json!(topic));
    for key in ["readQueueNums", "writeQueueNums"] {
        let before = fields.get(key).and_then(Value::as_u64).unwrap_or(0);
        fields.insert(key.to_owned(), json!(before.max(u64::from(queues))));
    }
    topics.insert(topic.to_owned(), entry);
    let text = serde_json::to_vec_pretty(&table).map_err(std::io::Error::from)?;
    files.write(FILE, &text)?;
    Ok(true)
}
