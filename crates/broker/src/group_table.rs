//! Subscription groups (Java: `SubscriptionGroupManager`), kept in `subscriptionGroup.json`.
//!
//! As with topics, readers take no lock and a change is on disk before it is answered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use skua_protocol::body::{DataVersion, SubscriptionGroupConfig, SubscriptionGroupTable};
use skua_protocol::{Millis, json};
use skua_store::is_lmq;

use crate::files::{ConfigFile, LoadError, SaveError};
use crate::names;
use crate::swap_map::{SwapMap, lock};
use crate::tables::{Journal, TableChanges};
use crate::topic_table::attributes::{self, AttributeError, OF_GROUPS};

/// Bit of the forbidden table: the group may not read the topic (Java: `INDEX_PERM_READ`).
pub const FORBID_READ: i32 = 1 << 2;

pub struct GroupTable {
    groups: SwapMap<SubscriptionGroupConfig>,
    forbidden: ArcSwap<Forbidden>,
    /// Held by whoever changes groups or forbidden topics.
    version: Mutex<DataVersion>,
    /// Groups that the group of brokers is to have in its log; locked after the version.
    journal: Mutex<Journal>,
    file: ConfigFile,
    /// Groups named as light queues are need not be made.
    light: AtomicBool,
}

/// By group and topic: what is forbidden, as bits.
pub type Forbidden = BTreeMap<String, BTreeMap<String, i32>>;

/// Which groups may come into being by being used.
#[derive(Clone, Copy, Debug)]
pub struct AutoCreateGroups {
    pub users: bool,
    pub systems: bool,
}

/// Why a group was not changed.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    #[error(transparent)]
    Name(#[from] names::NameError),
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    #[error(transparent)]
    Save(#[from] SaveError),
}

impl GroupTable {
    /// The system's groups, and over them those of the file.
    pub fn open(file: ConfigFile, now: Millis) -> Result<Self, LoadError> {
        let table = Self {
            groups: SwapMap::default(),
            forbidden: ArcSwap::default(),
            version: Mutex::new(DataVersion::new(now)),
            journal: Mutex::default(),
            file,
            light: AtomicBool::new(false),
        };
        for group in names::SYSTEM_GROUPS {
            table.groups.insert(group, Arc::new(SubscriptionGroupConfig::new(group)));
        }
        if let Some(file) = table.file.load(json::from_slice::<SubscriptionGroupTable>)? {
            for (name, config) in file.subscription_group_table {
                let config = SubscriptionGroupConfig { group_name: name.clone(), ..config };
                table.groups.insert(&name, Arc::new(config));
            }
            *lock(&table.version) = file.data_version;
            table.forbidden.store(Arc::new(file.forbidden_table));
        }
        Ok(table)
    }

    /// There are light queues (Java: `LmqSubscriptionGroupManager`).
    pub fn has_light_queues(&self) {
        self.light.store(true, Ordering::Relaxed);
    }

    fn is_light(&self, group: &str) -> bool {
        self.light.load(Ordering::Relaxed) && is_lmq(group)
    }

    pub fn get(&self, group: &str) -> Option<Arc<SubscriptionGroupConfig>> {
        if self.is_light(group) {
            return Some(Arc::new(SubscriptionGroupConfig::new(group)));
        }
        self.groups.get(group)
    }

    /// Names of all groups, sorted.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.groups.entries().into_iter().map(|(name, _)| name).collect()
    }

    pub fn contains(&self, group: &str) -> bool {
        self.is_light(group) || self.groups.contains(group)
    }

    /// Whether [`find`](Self::find) would have to make the group.
    pub fn would_create(&self, group: &str, auto: AutoCreateGroups) -> bool {
        !self.contains(group) && may_create(group, auto)
    }

    /// The group, made now if it is not there and may come into being by being used.
    pub fn find(
        &self,
        group: &str,
        auto: AutoCreateGroups,
        now: Millis,
    ) -> Result<Option<Arc<SubscriptionGroupConfig>>, SaveError> {
        if let Some(there) = self.get(group) {
            return Ok(Some(there));
        }
        if !may_create(group, auto) {
            return Ok(None);
        }
        let make = || SubscriptionGroupConfig::new(group);
        let (config, made) = self.groups.get_or_insert_with(group, make);
        if made {
            tracing::info!(group, "subscription group created by its first use");
            let mut version = lock(&self.version);
            version.bump(now);
            self.note(group);
            drop(version);
            self.save()?;
        }
        Ok(Some(config))
    }

    /// Sets configurations. All or none.
    pub fn update(
        &self,
        mut configs: Vec<SubscriptionGroupConfig>,
        now: Millis,
    ) -> Result<(), GroupError> {
        for config in &mut configs {
            names::check_group(&config.group_name)?;
            let there = self.groups.get(&config.group_name);
            let current = there.as_deref().map(|there| &there.attributes);
            config.attributes = attributes::alter(&OF_GROUPS, current, &config.attributes)?;
        }
        {
            let mut version = lock(&self.version);
            for config in configs.into_iter().filter(|config| !self.is_light(&config.group_name)) {
                tracing::info!(group = %config.group_name, ?config, "subscription group changed");
                let name = config.group_name.clone();
                self.groups.insert(&name, Arc::new(config));
                version.bump(now);
                self.note(&name);
            }
        }
        Ok(self.save()?)
    }

    pub fn remove(&self, group: &str, now: Millis) -> Result<(), SaveError> {
        {
            let mut version = lock(&self.version);
            self.change_forbidden(|forbidden| {
                forbidden.remove(group);
            });
            // That it is not here does not mean that the broker's group has agreed on that.
            self.note(group);
            if self.groups.remove(group).is_none() {
                return Ok(());
            }
            version.bump(now);
        }
        self.save()
    }

    pub fn may_read(&self, group: &str, topic: &str) -> bool {
        let forbidden = self.forbidden.load();
        let bits = forbidden.get(group).and_then(|topics| topics.get(topic));
        bits.is_none_or(|bits| bits & FORBID_READ == 0)
    }

    /// The caller holds the version's lock.
    fn change_forbidden(&self, change: impl FnOnce(&mut Forbidden)) {
        let mut forbidden = Forbidden::clone(&self.forbidden.load());
        change(&mut forbidden);
        self.forbidden.store(Arc::new(forbidden));
    }

    /// Allows or forbids a group to read a topic.
    pub fn set_readable(
        &self,
        group: &str,
        topic: &str,
        readable: bool,
        now: Millis,
    ) -> Result<(), SaveError> {
        {
            let mut version = lock(&self.version);
            self.change_forbidden(|forbidden| {
                let topics = forbidden.entry(group.to_owned()).or_default();
                if readable {
                    topics.remove(topic);
                } else {
                    topics.insert(topic.to_owned(), FORBID_READ);
                }
                forbidden.retain(|_, topics| !topics.is_empty());
            });
            version.bump(now);
            self.note(group);
        }
        self.save()
    }

    fn note(&self, group: &str) {
        lock(&self.journal).note(group);
    }

    /// From now on changes are noted for the log, or not any more.
    pub fn keep_journal(&self, is_kept: bool) {
        let _version = lock(&self.version);
        *lock(&self.journal) = Journal::new(is_kept);
    }

    /// All groups are to be in the log: of none is it sure that the broker's group has agreed on it.
    pub fn note_all(&self) {
        let _version = lock(&self.version);
        lock(&self.journal).mark_whole();
        self.groups.for_each(|group| self.note(&group.group_name));
    }

    pub fn has_changes(&self) -> bool {
        !lock(&self.journal).is_empty()
    }

    /// What changed, at most so many groups; and all that is forbidden.
    pub fn take_changes(&self, most: usize) -> (TableChanges<SubscriptionGroupConfig>, Forbidden) {
        let version = lock(&self.version);
        let config = |name: &str| self.groups.get(name).map(|config| (*config).clone());
        let taken = TableChanges::take(*version, &mut lock(&self.journal), most, config);
        let forbidden = match taken.entries.is_empty() && taken.all_of.is_none() {
            true => Forbidden::default(),
            false => Forbidden::clone(&self.forbidden.load()),
        };
        (taken, forbidden)
    }

    /// Changes that were taken did not come into the log.
    pub fn put_back(&self, taken: &TableChanges<SubscriptionGroupConfig>) {
        lock(&self.journal).put_back(taken);
    }

    /// Takes over what the group of brokers has agreed on.
    pub fn take_logged(
        &self,
        logged: TableChanges<SubscriptionGroupConfig>,
        forbidden: Forbidden,
    ) -> Result<(), SaveError> {
        {
            let mut version = lock(&self.version);
            let mut dropped = Vec::new();
            self.groups.for_each(|group| {
                if logged.drops(&group.group_name) {
                    dropped.push(group.group_name.clone());
                }
            });
            dropped.iter().for_each(|name| drop(self.groups.remove(name)));
            for (name, config) in logged.entries {
                match config {
                    Some(config) => {
                        let config = SubscriptionGroupConfig { group_name: name.clone(), ..config };
                        self.groups.insert(&name, Arc::new(config));
                    }
                    None => drop(self.groups.remove(&name)),
                }
            }
            self.forbidden.store(Arc::new(forbidden));
            *version = logged.version;
        }
        self.save()
    }

    fn is(&self, table: &SubscriptionGroupTable) -> bool {
        let groups = &table.subscription_group_table;
        let has = |(name, config): (&String, &SubscriptionGroupConfig)| {
            self.groups.get(name).is_some_and(|there| {
                SubscriptionGroupConfig { group_name: name.clone(), ..config.clone() } == *there
            })
        };
        groups.len() == self.groups.len()
            && groups.iter().all(has)
            && **self.forbidden.load() == table.forbidden_table
    }

    /// Becomes the same as another broker's table.
    pub fn take_masters(&self, table: SubscriptionGroupTable) -> Result<(), SaveError> {
        {
            let mut version = lock(&self.version);
            if *version == table.data_version && self.is(&table) {
                return Ok(());
            }
            for (name, _) in self.groups.entries() {
                if !table.subscription_group_table.contains_key(&*name) {
                    self.groups.remove(&name);
                }
            }
            for (name, config) in table.subscription_group_table {
                let config = SubscriptionGroupConfig { group_name: name.clone(), ..config };
                self.groups.insert(&name, Arc::new(config));
            }
            *version = table.data_version;
            self.forbidden.store(Arc::new(table.forbidden_table));
        }
        self.save()
    }

    /// The version of the table.
    pub fn version(&self) -> DataVersion {
        *lock(&self.version)
    }

    /// The content of the file, and of request 201.
    pub fn snapshot(&self) -> SubscriptionGroupTable {
        let data_version = *lock(&self.version);
        let forbidden_table = Forbidden::clone(&self.forbidden.load());
        let groups = self.groups.entries().into_iter();
        SubscriptionGroupTable {
            data_version,
            forbidden_table,
            subscription_group_table: groups
                .map(|(name, config)| (name.to_string(), SubscriptionGroupConfig::clone(&config)))
                .collect(),
        }
    }

    pub fn save(&self) -> Result<(), SaveError> {
        self.file.save(|| json::to_vec(&self.snapshot()))
    }
}

fn may_create(group: &str, auto: AutoCreateGroups) -> bool {
    let wanted = auto.users || auto.systems && names::is_system_group(group);
    wanted && names::check_group(group).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::MemoryFiles;

    const ALL: AutoCreateGroups = AutoCreateGroups { users: true, systems: true };
    const SYSTEMS: AutoCreateGroups = AutoCreateGroups { users: false, systems: true };

    fn open(files: &Arc<MemoryFiles>) -> GroupTable {
        let file = ConfigFile::new(files.clone(), "subscriptionGroup.json");
        GroupTable::open(file, Millis(0)).expect("readable")
    }

    #[test]
    fn groups_come_into_being_by_use_only_where_allowed() {
        let files = Arc::new(MemoryFiles::default());
        let table = open(&files);
        assert!(table.find("g", SYSTEMS, Millis(1)).expect("memory").is_none());
        assert!(table.find("CID_RMQ_SYS_X", SYSTEMS, Millis(1)).expect("memory").is_some());
        assert!(table.find("bad name", ALL, Millis(1)).expect("memory").is_none());
        assert!(table.find("g", ALL, Millis(1)).expect("memory").is_some());
        assert!(open(&files).contains("g"), "a new group is on disk at once");
    }

    #[test]
    fn forbidden_topics_are_kept_per_group() {
        let files = Arc::new(MemoryFiles::default());
        let table = open(&files);
        table.set_readable("g", "t", false, Millis(1)).expect("memory");
        assert!(!table.may_read("g", "t"));
        assert!(table.may_read("g", "u"));
        assert!(!open(&files).may_read("g", "t"));
        table.set_readable("g", "t", true, Millis(1)).expect("memory");
        assert!(table.may_read("g", "t"));
    }

    #[test]
    fn a_list_with_one_bad_group_changes_nothing() {
        let table = open(&Arc::default());
        let configs = vec![SubscriptionGroupConfig::new("g"), SubscriptionGroupConfig::new("")];
        assert!(table.update(configs, Millis(0)).is_err());
        assert!(!table.contains("g"));
    }
}
