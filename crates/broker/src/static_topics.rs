//! Topics with a fixed number of logical queues over several brokers (Java: `LogicQueue…`,
//! `TopicQueueMapping…`), kept in `topicQueueMapping.json`.
//!
//! Each broker knows the items of the logical queues it hosts. An item is a stretch of a logical
//! queue that lies in one physical queue of one broker; the last one leads: it takes new messages.
//! Offsets of clients are logical; those of the store and of committed offsets are physical.
//!
//! ```text
//! logical   0 ........ 10 ............ 25 ......
//! item      gen 0      gen 1           gen 2, leads
//! lies in   b1 queue 3 b2 queue 0      b1 queue 7
//! ```

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use skua_protocol::body::{DataVersion, MappingItemsError, check_items};
pub use skua_protocol::body::{
    LogicQueueMappingItem as Item, TopicQueueMappingDetail as Mapping, item_of, next_item,
};
use skua_protocol::{Millis, json};

use crate::files::{ConfigFile, LoadError, SaveError};
use crate::swap_map::{SwapMap, lock};

/// Name of the file under `config/`.
pub const FILE: &str = "topicQueueMapping.json";

/// Why a mapping is refused; the texts are Java's.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    #[error("The mapping is of broker {found}, this is {own}")]
    Broker { found: String, own: String },
    #[error("The mapping is of topic {found}, the request of {asked}")]
    Topic { found: String, asked: String },
    #[error(transparent)]
    Items(#[from] MappingItemsError),
    #[error("Can't accept data with small epoch {new} < {old}")]
    OldEpoch { new: i64, old: i64 },
    #[error("Can't accept data with unmatched scope {new} != {old}")]
    Scope { new: String, old: String },
    #[error("Cannot accept equal epoch with null data")]
    MissingQueue,
    #[error("The new item list is null or empty")]
    NoItems,
    #[error("The new leader is different but epoch equal")]
    Leader,
    /// Java asserts it.
    #[error("The item of gen {0} differs from the one that is known")]
    Changed(i32),
    #[error(transparent)]
    Save(#[from] SaveError),
}

/// What is known of a logical queue may grow, not change.
fn check_grown(old: &[Item], new: &[Item], same_epoch: bool) -> Result<(), MappingError> {
    let Some(old_leader) = old.last() else { return Ok(()) };
    let leader = new.last().ok_or(MappingError::NoItems)?;
    for item in old {
        let Some(now) = new.iter().find(|now| now.generation == item.generation) else { continue };
        let moved = item.logic_offset != -1 && item.logic_offset != now.logic_offset;
        let same_place = (&item.bname, item.queue_id, item.start_offset)
            == (&now.bname, now.queue_id, now.start_offset);
        if moved || !same_place {
            return Err(MappingError::Changed(item.generation));
        }
    }
    let place =
        |item: &Item| (item.generation, item.bname.clone(), item.queue_id, item.start_offset);
    if same_epoch && place(leader) != place(old_leader) {
        return Err(MappingError::Leader);
    }
    Ok(())
}

/// The file's content.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    data_version: DataVersion,
    topic_queue_mapping_info_map: BTreeMap<String, Mapping>,
}

pub struct StaticTopics {
    broker: String,
    mappings: SwapMap<Mapping>,
    /// False while there is none, which saves everybody the look.
    any: AtomicBool,
    /// Held by whoever changes mappings.
    version: Mutex<DataVersion>,
    file: ConfigFile,
}

impl StaticTopics {
    pub fn open(broker: &str, file: ConfigFile, now: Millis) -> Result<Self, LoadError> {
        let table = Self {
            broker: broker.to_owned(),
            mappings: SwapMap::default(),
            any: AtomicBool::new(false),
            version: Mutex::new(DataVersion::new(now)),
            file,
        };
        if let Some(file) = table.file.load(json::from_slice::<File>)? {
            for (topic, mapping) in file.topic_queue_mapping_info_map {
                table.mappings.insert(&topic, Arc::new(mapping));
                table.any.store(true, Ordering::Release);
            }
            *lock(&table.version) = file.data_version;
        }
        Ok(table)
    }

    pub fn get(&self, topic: &str) -> Option<Arc<Mapping>> {
        self.any.load(Ordering::Acquire).then(|| self.mappings.get(topic)).flatten()
    }

    pub fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    pub fn version(&self) -> DataVersion {
        *lock(&self.version)
    }

    /// Checks a new mapping; `force` takes it over whatever is known.
    pub fn check(&self, topic: &str, new: &Mapping, force: bool) -> Result<(), MappingError> {
        if new.bname != self.broker {
            let (found, own) = (new.bname.clone(), self.broker.clone());
            return Err(MappingError::Broker { found, own });
        }
        if new.topic != topic {
            let (found, asked) = (new.topic.clone(), topic.to_owned());
            return Err(MappingError::Topic { found, asked });
        }
        new.hosted_queues.values().try_for_each(|items| check_items(items))?;
        let Some(old) = self.get(topic).filter(|_| !force) else { return Ok(()) };
        if new.epoch < old.epoch {
            return Err(MappingError::OldEpoch { new: new.epoch, old: old.epoch });
        }
        if new.scope != old.scope {
            let text = |scope: &Option<String>| scope.clone().unwrap_or_default();
            return Err(MappingError::Scope { new: text(&new.scope), old: text(&old.scope) });
        }
        let same_epoch = new.epoch == old.epoch;
        for (queue, items) in &old.hosted_queues {
            match new.hosted_queues.get(queue) {
                Some(now) => check_grown(items, now, same_epoch)?,
                None if same_epoch => return Err(MappingError::MissingQueue),
                None => {}
            }
        }
        Ok(())
    }

    /// Takes over a checked mapping; queues that it does not name stay as they were.
    pub fn set(&self, mut new: Mapping, now: Millis) -> Result<(), SaveError> {
        {
            let mut version = lock(&self.version);
            if let Some(old) = self.get(&new.topic) {
                for (queue, items) in &old.hosted_queues {
                    new.hosted_queues.entry(*queue).or_insert_with(|| items.clone());
                }
            }
            let topic = new.topic.clone();
            tracing::info!(topic, mapping = ?new, "mapping of a static topic changed");
            self.mappings.insert(&topic, Arc::new(new));
            self.any.store(true, Ordering::Release);
            version.bump(now);
        }
        self.save()
    }

    pub fn remove(&self, topic: &str, now: Millis) -> Result<(), SaveError> {
        {
            let mut version = lock(&self.version);
            if self.mappings.remove(topic).is_none() {
                return Ok(());
            }
            version.bump(now);
        }
        self.save()
    }

    /// All mappings by topic.
    pub fn all(&self) -> BTreeMap<String, Mapping> {
        let entries = self.mappings.entries().into_iter();
        entries.map(|(topic, mapping)| (topic.to_string(), Mapping::clone(&mapping))).collect()
    }

    fn save(&self) -> Result<(), SaveError> {
        self.file.save(|| {
            let data_version = self.version();
            json::to_vec(&File { data_version, topic_queue_mapping_info_map: self.all() })
        })
    }
}

#[cfg(test)]
mod tests;
