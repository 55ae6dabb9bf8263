//! The broker's topics (Java: `TopicConfigManager`), kept in `topics.json`.
//!
//! Readers take no lock. A change is on disk before whoever asked for it is answered: a topic
//! whose messages were acknowledged must be there after a crash. Changes made at the same time
//! are written together.

pub mod attributes;
mod system;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use skua_protocol::body::{
    DataVersion, PERM_INHERIT, PERM_READ, PERM_WRITE, TopicConfig, TopicConfigSerializeWrapper,
};
use skua_protocol::{Millis, json};
use skua_store::is_lmq;

use crate::files::{ConfigFile, LoadError, SaveError};
use crate::names::AUTO_CREATE_TOPIC;
use crate::stats::TopicStats;
use crate::swap_map::{SwapMap, lock};
use crate::tables::{Journal, TableChanges};
use attributes::{AttributeError, Attributes};

pub use system::SystemTopicOptions;

/// `topic_sys_flag`: the topic belongs to a unit.
pub const SYS_FLAG_UNIT: i32 = 1;
/// `topic_sys_flag`: some unit subscribes to the topic.
pub const SYS_FLAG_UNIT_SUB: i32 = 2;

/// One topic: its configuration, and what is counted of it.
pub struct Topic {
    pub config: TopicConfig,
    /// Goes on when the configuration changes.
    pub stats: Arc<TopicStats>,
}

pub struct TopicTable {
    topics: SwapMap<Topic>,
    changes: Mutex<Changes>,
    /// The log is to have some.
    has_changes: AtomicBool,
    file: ConfigFile,
    /// Light queues are topics that nobody makes; all are counted together.
    light: Option<Arc<TopicStats>>,
}

struct Changes {
    version: DataVersion,
    /// Topics changed since the name servers were last told.
    unregistered: BTreeSet<String>,
    /// And those that the group's log is to have.
    journal: Journal,
}

/// A topic as its first send asks for it.
#[derive(Clone, Copy, Debug)]
pub struct AutoCreate<'a> {
    pub topic: &'a str,
    /// The topic whose configuration is inherited.
    pub template: &'a str,
    pub queues: i32,
    pub sys_flag: i32,
}

impl TopicTable {
    /// The system's topics, and over them those of the file.
    pub fn open(
        file: ConfigFile,
        system: &SystemTopicOptions<'_>,
        now: Millis,
    ) -> Result<Self, LoadError> {
        let table = Self {
            topics: SwapMap::default(),
            changes: Mutex::new(Changes {
                version: DataVersion::new(now),
                unregistered: BTreeSet::new(),
                journal: Journal::default(),
            }),
            has_changes: AtomicBool::new(false),
            file,
            light: system.light_queues.then(Arc::default),
        };
        for config in system.topics() {
            table.put(config);
        }
        let stored = table.file.load(json::from_slice::<TopicConfigSerializeWrapper>)?;
        if let Some(file) = stored {
            for (name, config) in file.topic_config_table {
                table.put(TopicConfig { topic_name: name, ..config });
            }
            lock(&table.changes).version = file.data_version;
        }
        Ok(table)
    }

    pub fn get(&self, topic: &str) -> Option<Arc<Topic>> {
        match &self.light {
            // Java: `LmqTopicConfigManager`.
            Some(stats) if is_lmq(topic) => {
                let config = TopicConfig::new(topic, 1, PERM_READ | PERM_WRITE);
                Some(Arc::new(Topic { config, stats: stats.clone() }))
            }
            _ => self.topics.get(topic),
        }
    }

    pub fn contains(&self, topic: &str) -> bool {
        (self.light.is_some() && is_lmq(topic)) || self.topics.contains(topic)
    }

    pub fn is_ordered(&self, topic: &str) -> bool {
        self.get(topic).is_some_and(|topic| topic.config.order)
    }

    pub fn version(&self) -> DataVersion {
        lock(&self.changes).version
    }

    /// All topics, sorted by name.
    pub fn all(&self) -> Vec<Arc<Topic>> {
        self.topics.entries().into_iter().map(|(_, topic)| topic).collect()
    }

    /// Visits all topics, in no order.
    pub fn for_each(&self, visit: impl FnMut(&Arc<Topic>)) {
        self.topics.for_each(visit);
    }

    /// Replaces a topic's configuration as it is; does not say so to anyone.
    fn put(&self, config: TopicConfig) -> Arc<Topic> {
        let stats = self.get(&config.topic_name).map(|topic| topic.stats.clone());
        let name = config.topic_name.clone();
        let topic = Arc::new(Topic { config, stats: stats.unwrap_or_default() });
        self.topics.insert(&name, topic.clone());
        topic
    }

    /// Makes a topic for its first send, if the template lets it be inherited. `None` if not;
    /// true beside the topic if it was made now.
    pub fn auto_create(
        &self,
        asked: AutoCreate<'_>,
        auto_create_enabled: bool,
        now: Millis,
    ) -> Result<Option<(Arc<Topic>, bool)>, SaveError> {
        let created = {
            let mut changes = lock(&self.changes);
            if let Some(there) = self.get(asked.topic) {
                return Ok(Some((there, false)));
            }
            let Some(template) = self.get(asked.template) else { return Ok(None) };
            let closed = asked.template == AUTO_CREATE_TOPIC && !auto_create_enabled;
            let template = &template.config;
            if closed || template.perm & PERM_INHERIT == 0 {
                return Ok(None);
            }
            let queues = asked.queues.min(template.write_queue_nums).max(0);
            let config = TopicConfig {
                perm: template.perm & !PERM_INHERIT,
                topic_sys_flag: asked.sys_flag,
                topic_filter_type: template.topic_filter_type,
                ..TopicConfig::new(asked.topic, queues, 0)
            };
            self.change(&mut changes, config, now)
        };
        self.save()?;
        Ok(Some((created, true)))
    }

    /// A topic of the broker's own making (retry, dead letters): made if it is not there. True
    /// if it was made, or its order flag changed, now.
    pub fn ensure(
        &self,
        config: TopicConfig,
        now: Millis,
    ) -> Result<(Arc<Topic>, bool), SaveError> {
        let (topic, changed) = {
            let mut changes = lock(&self.changes);
            match self.get(&config.topic_name) {
                Some(there) if there.config.order == config.order => (there, false),
                Some(there) => {
                    let config = TopicConfig { order: config.order, ..there.config.clone() };
                    (self.change(&mut changes, config, now), true)
                }
                None => (self.change(&mut changes, config, now), true),
            }
        };
        if changed {
            self.save()?;
        }
        Ok((topic, changed))
    }

    /// Sets configurations; their attributes are changes with signs. All or none.
    pub fn update(&self, configs: Vec<TopicConfig>, now: Millis) -> Result<(), UpdateError> {
        {
            let mut changes = lock(&self.changes);
            let mut altered = Vec::with_capacity(configs.len());
            let is_light = |name: &str| self.light.is_some() && is_lmq(name);
            for config in configs.into_iter().filter(|config| !is_light(&config.topic_name)) {
                let current = self.get(&config.topic_name);
                let current: Option<&Attributes> =
                    current.as_ref().map(|topic| &topic.config.attributes);
                let attributes =
                    attributes::alter(&attributes::OF_TOPICS, current, &config.attributes)?;
                altered.push(TopicConfig { attributes, ..config });
            }
            for config in altered {
                self.change(&mut changes, config, now);
            }
        }
        Ok(self.save()?)
    }

    /// Takes a topic out; false if there is none of the name.
    pub fn remove(&self, topic: &str, now: Millis) -> Result<bool, SaveError> {
        {
            let mut changes = lock(&self.changes);
            // That it is not here does not mean that the group has agreed on that.
            self.note(&mut changes, topic);
            if self.topics.remove(topic).is_none() {
                return Ok(false);
            }
            changes.unregistered.remove(topic);
            changes.version.bump(now);
        }
        self.save()?;
        Ok(true)
    }

    /// Marks topics ordered that the name server's order configuration names; true if any was
    /// not.
    pub fn mark_ordered<'a>(
        &self,
        topics: impl Iterator<Item = &'a str>,
        now: Millis,
    ) -> Result<bool, SaveError> {
        let changed = {
            let mut changes = lock(&self.changes);
            let mut changed = false;
            for topic in topics.filter_map(|topic| self.get(topic)) {
                if !topic.config.order {
                    self.put(TopicConfig { order: true, ..topic.config.clone() });
                    self.note(&mut changes, &topic.config.topic_name);
                    changed = true;
                }
            }
            if changed {
                changes.version.bump(now);
            }
            changed
        };
        if changed {
            self.save()?;
        }
        Ok(changed)
    }

    /// Becomes the same as another broker's table; false if it is.
    pub fn take_masters(&self, table: TopicConfigSerializeWrapper) -> Result<bool, SaveError> {
        {
            let mut changes = lock(&self.changes);
            let mut changed = changes.version != table.data_version;
            for (name, _) in self.topics.entries() {
                if !table.topic_config_table.contains_key(&*name) {
                    changed = true;
                    self.topics.remove(&name);
                }
            }
            for (name, config) in table.topic_config_table {
                let config = TopicConfig { topic_name: name, ..config };
                if self.get(&config.topic_name).is_none_or(|there| there.config != config) {
                    changed = true;
                    changes.unregistered.insert(config.topic_name.clone());
                    self.put(config);
                }
            }
            if !changed {
                return Ok(false);
            }
            changes.version = table.data_version;
        }
        self.save()?;
        Ok(true)
    }

    /// Another broker became the group's master: the table's version begins anew, above that of
    /// every master before.
    pub fn begin_state(&self, epoch: i64, now: Millis) -> Result<(), SaveError> {
        {
            let mut changes = lock(&self.changes);
            let next = changes.version.state_version.saturating_add(1);
            changes.version.state_version = next.max(epoch);
            changes.version.bump(now);
        }
        self.save()
    }

    /// The permission of the whole broker changed: all topics are to be told anew.
    pub fn bump_version(&self, now: Millis) {
        lock(&self.changes).version.bump(now);
    }

    /// All topics are to be told to the name servers again.
    pub fn mark_all_unregistered(&self) {
        let names = self.all().into_iter().map(|topic| topic.config.topic_name.clone());
        let names: BTreeSet<_> = names.collect();
        lock(&self.changes).unregistered.extend(names);
    }

    /// Topics changed since this was last asked, with the version they make.
    pub fn take_unregistered(&self) -> (DataVersion, Vec<Arc<Topic>>) {
        let mut changes = lock(&self.changes);
        let names = std::mem::take(&mut changes.unregistered);
        (changes.version, names.iter().filter_map(|name| self.get(name)).collect())
    }

    fn change(&self, changes: &mut Changes, config: TopicConfig, now: Millis) -> Arc<Topic> {
        tracing::info!(topic = %config.topic_name, ?config, "topic created or changed");
        changes.version.bump(now);
        changes.unregistered.insert(config.topic_name.clone());
        self.note(changes, &config.topic_name);
        self.put(config)
    }

    fn note(&self, changes: &mut Changes, topic: &str) {
        if changes.journal.note(topic) {
            self.has_changes.store(true, Ordering::Release);
        }
    }

    /// From now on changes are noted for the group's log, or not any more.
    pub fn keep_journal(&self, is_kept: bool) {
        lock(&self.changes).journal = Journal::new(is_kept);
        self.has_changes.store(false, Ordering::Release);
    }

    /// All topics are to be in the group's log: of none is it sure that the group has agreed on it.
    pub fn note_all(&self) {
        let mut changes = lock(&self.changes);
        changes.journal.mark_whole();
        self.for_each(|topic| self.note(&mut changes, &topic.config.topic_name));
    }

    pub fn has_changes(&self) -> bool {
        self.has_changes.load(Ordering::Acquire)
    }

    /// What changed, at most so many topics.
    pub fn take_changes(&self, most: usize) -> TableChanges<TopicConfig> {
        let mut changes = lock(&self.changes);
        let config = |name: &str| self.topics.get(name).map(|topic| topic.config.clone());
        let version = changes.version;
        let taken = TableChanges::take(version, &mut changes.journal, most, config);
        self.has_changes.store(!changes.journal.is_empty(), Ordering::Release);
        taken
    }

    /// Changes that were taken did not come into the log.
    pub fn put_back(&self, taken: &TableChanges<TopicConfig>) {
        let mut changes = lock(&self.changes);
        changes.journal.put_back(taken);
        self.has_changes.store(!changes.journal.is_empty(), Ordering::Release);
    }

    /// Takes over what the group has agreed on.
    pub fn take_logged(&self, logged: TableChanges<TopicConfig>) -> Result<(), SaveError> {
        {
            let mut changes = lock(&self.changes);
            let mut dropped = Vec::new();
            self.for_each(|topic| {
                let name = &topic.config.topic_name;
                if logged.drops(name) {
                    dropped.push(name.clone());
                }
            });
            for name in dropped {
                changes.unregistered.remove(&name);
                self.topics.remove(&name);
            }
            for (name, config) in logged.entries {
                match config {
                    Some(config) => {
                        changes.unregistered.insert(name.clone());
                        self.put(TopicConfig { topic_name: name, ..config });
                    }
                    None => {
                        changes.unregistered.remove(&name);
                        self.topics.remove(&name);
                    }
                }
            }
            changes.version = logged.version;
        }
        self.save()
    }

    /// The content of the file, and of request 21.
    pub fn snapshot(&self) -> TopicConfigSerializeWrapper {
        // The version first: a change in between makes it older than the table, never newer.
        let data_version = self.version();
        let topics = self.all().into_iter().map(|topic| {
            let config = topic.config.clone();
            (config.topic_name.clone(), config)
        });
        TopicConfigSerializeWrapper {
            data_version,
            topic_config_table: topics.collect(),
            ..TopicConfigSerializeWrapper::default()
        }
    }

    pub fn save(&self) -> Result<(), SaveError> {
        self.file.save(|| {
            let snapshot = self.snapshot();
            json::to_vec(&TopicsFile {
                data_version: snapshot.data_version,
                topic_config_table: snapshot.topic_config_table,
            })
        })
    }
}

/// The topics in the content of `topics.json` whose queues are of the batch kind, which the store is
/// to know before there is a broker. None of a broken file: the broker says so.
pub fn batch_topics(content: &[u8]) -> Vec<String> {
    let table = json::from_slice::<TopicConfigSerializeWrapper>(content).unwrap_or_default();
    let topics = table.topic_config_table.into_iter();
    topics.filter(|(_, config)| config.has_batch_queues()).map(|(name, _)| name).collect()
}

/// `topics.json`, as Java writes it.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct TopicsFile {
    data_version: DataVersion,
    topic_config_table: BTreeMap<String, TopicConfig>,
}

/// Why topics were not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    #[error(transparent)]
    Save(#[from] SaveError),
}

/// A group's retry topic.
pub fn retry_topic_config(group: &str, queues: i32, unit: bool) -> TopicConfig {
    TopicConfig {
        topic_sys_flag: if unit { SYS_FLAG_UNIT_SUB } else { 0 },
        ..TopicConfig::new(crate::names::retry_topic(group), queues, PERM_READ | PERM_WRITE)
    }
}

/// A group's dead letter topic.
pub fn dlq_topic_config(group: &str) -> TopicConfig {
    TopicConfig::new(crate::names::dlq_topic(group), DLQ_QUEUES, PERM_READ | PERM_WRITE)
}

/// Queues of a dead letter topic.
pub const DLQ_QUEUES: i32 = 1;

#[cfg(test)]
mod tests;
