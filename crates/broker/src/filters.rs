//! The table of SQL filters, as heartbeats, pulls and the timed work share it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use skua_protocol::body::SubscriptionData;
use skua_protocol::properties::{Properties, RETRY_TOPIC};
use skua_protocol::{Millis, json};

use crate::files::{ConfigFile, LoadError, SaveError};
use crate::sql92::CompiledFilter;
use crate::sql92::bloom::{Bloom, GroupBits};
use crate::sql92::consumer_filters::ConsumerFilters;
use crate::swap_map::lock;

/// How often changed filters are written and long dead ones dropped.
const SAVE_EVERY_MS: i64 = 10_000;

pub struct Filters {
    table: Mutex<ConsumerFilters>,
    /// False while no group filters by SQL, which saves everybody the lock.
    any: AtomicBool,
    /// When the file is looked after next; `i64::MAX` while there is nothing to look after.
    due: AtomicI64,
    file: ConfigFile,
}

/// A group's filter of a topic.
pub struct Found {
    /// The subscription's `subVersion`.
    pub client_version: i64,
    /// `None`: the saved expression does not compile any more, and all match.
    pub compiled: Option<Arc<CompiledFilter>>,
    /// How bit maps beside queue entries tell of it.
    pub bits: Option<Arc<GroupBits>>,
}

impl Filters {
    pub fn open(bloom: Bloom, file: ConfigFile, now: Millis) -> Result<Self, LoadError> {
        let mut table = ConsumerFilters::new(bloom);
        if let Some(loaded) = file.load(json::from_slice)? {
            table.load(loaded, now);
        }
        let any = !table.is_empty();
        let due = if any { now.0 + SAVE_EVERY_MS } else { i64::MAX };
        Ok(Self {
            table: Mutex::new(table),
            any: AtomicBool::new(any),
            due: AtomicI64::new(due),
            file,
        })
    }

    fn table(&self) -> Option<MutexGuard<'_, ConsumerFilters>> {
        self.any.load(Ordering::Acquire).then(|| lock(&self.table))
    }

    /// A heartbeat names all of a group's subscriptions.
    pub fn register(&self, group: &str, subscriptions: &[SubscriptionData], now: Millis) {
        let by_tags = subscriptions.iter().all(SubscriptionData::is_by_tags);
        if by_tags && !self.any.load(Ordering::Acquire) {
            return;
        }
        let mut table = lock(&self.table);
        table.register(group, subscriptions.iter(), now);
        if !table.is_empty() {
            self.any.store(true, Ordering::Release);
            self.due.fetch_min(now.0 + SAVE_EVERY_MS, Ordering::Relaxed);
        }
    }

    /// Groups may have ended: the filters of those that `is_there` denies die.
    pub fn groups_ended(&self, is_there: impl Fn(&str) -> bool, now: Millis) {
        if let Some(mut table) = self.table() {
            table.bury_absent(is_there, now);
        }
    }

    pub fn find(&self, topic: &str, group: &str) -> Option<Found> {
        let table = self.table()?;
        let data = table.get(topic, group)?;
        Some(Found {
            client_version: data.client_version,
            compiled: data.compiled.clone(),
            bits: table.group_bits(data).map(Arc::new),
        })
    }

    /// Which groups' filters take a message that is being put into its queue; `None` if no group
    /// filters the topic.
    pub fn bit_map(&self, topic: &str, properties: Properties<'_>) -> Option<Vec<u8>> {
        self.table()?.bit_map(topic, properties)
    }

    /// The filter as the file has it, or `null`.
    pub fn shown(&self, topic: &str, group: &str) -> String {
        let table = self.table();
        let data = table.as_ref().and_then(|table| table.get(topic, group));
        let text = data.map(json::to_vec);
        text.and_then(|text| String::from_utf8(text).ok()).unwrap_or_else(|| "null".to_owned())
    }

    /// The filter for a message of a group's retry topic: that of the topic it was read from
    /// first. `None`: all are wanted.
    pub fn for_retried(
        &self,
        group: &str,
        properties: Properties<'_>,
    ) -> Option<Arc<CompiledFilter>> {
        let topic = properties.get(RETRY_TOPIC)?;
        self.table()?.get(topic, group)?.compiled.clone()
    }

    /// Drops what has been dead for `span_ms`, writes what has changed, and returns when to come
    /// again.
    pub fn run_due(&self, span_ms: i64, now: Millis) -> Option<Millis> {
        let due = self.due.load(Ordering::Relaxed);
        if due > now.0 {
            return (due != i64::MAX).then_some(Millis(due));
        }
        if let Err(error) = self.save(span_ms, now) {
            tracing::error!(%error, "filters of consumers not saved");
        }
        let next = self.table().map(|_| now.plus(SAVE_EVERY_MS));
        self.due.store(next.map_or(i64::MAX, |next| next.0), Ordering::Relaxed);
        next
    }

    /// Writes what has changed.
    pub fn save(&self, span_ms: i64, now: Millis) -> Result<(), SaveError> {
        let content = {
            let Some(mut table) = self.table() else { return Ok(()) };
            table.clean(span_ms, now);
            self.any.store(!table.is_empty(), Ordering::Release);
            table.encode_if_changed()
        };
        let Some(content) = content else { return Ok(()) };
        let saved = self.file.save(|| content);
        if saved.is_err() {
            let mut table = lock(&self.table);
            table.mark_changed();
            self.any.store(true, Ordering::Release);
        }
        saved
    }
}
