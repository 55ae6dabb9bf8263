//! The SQL filters of consumer groups, kept in `consumerFilter.json` (Java:
//! `ConsumerFilterManager`).
//!
//! A heartbeat registers a group's filters. One that is no longer subscribed to, or whose group is
//! gone, is dead: it stays, and is written, until it has been dead for `filterDataCleanTimeSpan`.
//! The table has no lock of its own.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use skua_protocol::body::{EXPRESSION_SQL92, SubscriptionData};
use skua_protocol::properties::Properties;
use skua_protocol::{Millis, json};

use super::CompiledFilter;
use super::bloom::{Bloom, BloomBits, GroupBits};

/// Name of the file under `config/`.
pub const FILE: &str = "consumerFilter.json";
/// Filters that were alive when the file was written count as dead for this long when it is read.
const DEAD_AT_LOAD_MS: i64 = 30_000;

/// The file, to be read as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct File {
    filter_data_by_topic: BTreeMap<String, TopicFilters>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TopicFilters {
    group_filter_data: BTreeMap<String, FilterData>,
    topic: String,
}

/// A group's filter of a topic (Java: `ConsumerFilterData`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FilterData {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bloom_filter_data: Option<BloomBits>,
    pub born_time: Millis,
    /// The subscription's `subVersion`.
    pub client_version: i64,
    pub consumer_group: String,
    dead: bool,
    /// When its group went; older than `born_time` while it is there.
    pub dead_time: Millis,
    pub expression: String,
    pub expression_type: String,
    pub topic: String,
    /// `None` if the expression of a file does not compile: all messages match then.
    #[serde(skip)]
    pub compiled: Option<Arc<CompiledFilter>>,
}

impl FilterData {
    pub fn is_dead(&self) -> bool {
        self.dead_time >= self.born_time
    }

    fn set_dead_time(&mut self, time: Millis) {
        self.dead_time = time;
        self.dead = self.is_dead();
    }

    fn died_before(&self, time: Millis) -> bool {
        self.is_dead() && self.dead_time <= time
    }
}

pub struct ConsumerFilters {
    bloom: Bloom,
    topics: BTreeMap<String, TopicFilters>,
    has_changed: bool,
}

impl ConsumerFilters {
    pub fn new(bloom: Bloom) -> Self {
        Self { bloom, topics: BTreeMap::new(), has_changed: false }
    }

    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// A group's filter of a topic, dead or not.
    pub fn get(&self, topic: &str, group: &str) -> Option<&FilterData> {
        self.topics.get(topic)?.group_filter_data.get(group)
    }

    /// Takes over the group's subscriptions: those by SQL are compiled if they are new, filters of
    /// other topics die.
    ///
    /// A subscription whose expression does not compile has no filter afterwards; its pulls are
    /// told that the filter data does not exist.
    pub fn register<'s>(
        &mut self,
        group: &str,
        subscriptions: impl Iterator<Item = &'s SubscriptionData> + Clone,
        now: Millis,
    ) {
        for subscription in subscriptions.clone() {
            if !subscription.is_by_tags() && !subscription.sub_string.is_empty() {
                self.register_one(group, subscription, now);
            }
        }
        let is_subscribed =
            |topic: &str| subscriptions.clone().any(|subscription| subscription.topic == topic);
        self.bury(group, now, |topic| !is_subscribed(topic));
    }

    fn register_one(&mut self, group: &str, subscription: &SubscriptionData, now: Millis) {
        let SubscriptionData { topic, sub_string, expression_type, sub_version, .. } = subscription;
        let bits = self.bloom.bits_of(group, topic);
        let filters = self.topics.get_mut(topic);
        if let Some(old) = filters.and_then(|filters| filters.group_filter_data.get_mut(group)) {
            let is_same = old.expression == *sub_string
                && old.expression_type == *expression_type
                && old.bloom_filter_data.as_ref() == Some(&bits);
            // Java: an equal version revives the filter even if the expression differs.
            let goes_on = match sub_version.cmp(&old.client_version) {
                Ordering::Less => return,
                Ordering::Equal => true,
                Ordering::Greater => is_same,
            };
            if goes_on {
                self.has_changed |= old.client_version != *sub_version || old.is_dead();
                old.client_version = *sub_version;
                if old.is_dead() {
                    old.set_dead_time(Millis(0));
                }
                return;
            }
        }
        let compiled = match compile(expression_type, sub_string) {
            Ok(compiled) => compiled,
            Err(cause) => {
                tracing::info!(topic, group, sub_string, cause, "filter does not compile");
                self.remove(topic, group);
                return;
            }
        };
        let data = FilterData {
            bloom_filter_data: Some(bits),
            born_time: now,
            client_version: *sub_version,
            consumer_group: group.to_owned(),
            expression: sub_string.clone(),
            expression_type: expression_type.clone(),
            topic: topic.clone(),
            compiled: Some(Arc::new(compiled)),
            ..FilterData::default()
        };
        let filters = self.topics.entry(topic.clone()).or_default();
        filters.topic.clone_from(topic);
        filters.group_filter_data.insert(group.to_owned(), data);
        self.has_changed = true;
    }

    /// The filters of groups that `is_there` denies die: their last members are gone.
    pub fn bury_absent(&mut self, is_there: impl Fn(&str) -> bool, now: Millis) {
        for filters in self.topics.values_mut() {
            for (group, data) in &mut filters.group_filter_data {
                if !data.is_dead() && !is_there(group) {
                    data.set_dead_time(now);
                    self.has_changed = true;
                }
            }
        }
    }

    fn bury(&mut self, group: &str, now: Millis, which: impl Fn(&str) -> bool) {
        for (topic, filters) in &mut self.topics {
            let Some(data) = filters.group_filter_data.get_mut(group) else { continue };
            if !data.is_dead() && which(topic) {
                data.set_dead_time(now);
                self.has_changed = true;
            }
        }
    }

    /// Drops filters that have been dead for `span_ms`.
    pub fn clean(&mut self, span_ms: i64, now: Millis) {
        let before = Millis(now.0.saturating_sub(span_ms));
        for filters in self.topics.values_mut() {
            let len = filters.group_filter_data.len();
            filters.group_filter_data.retain(|_, data| !data.died_before(before));
            self.has_changed |= filters.group_filter_data.len() != len;
        }
        self.topics.retain(|_, filters| !filters.group_filter_data.is_empty());
    }

    /// Which groups' filters take a message that is being put into its queue: the bit map beside
    /// its entry. `None` if no group filters the topic.
    pub fn bit_map(&self, topic: &str, properties: Properties<'_>) -> Option<Vec<u8>> {
        let filters = self.topics.get(topic)?;
        let mut map = self.bloom.empty_map();
        for data in filters.group_filter_data.values() {
            if let (Some(compiled), Some(bits)) = (&data.compiled, &data.bloom_filter_data)
                && compiled.matches(properties)
            {
                self.bloom.set(&mut map, bits);
            }
        }
        Some(map)
    }

    /// What the filter finds of itself in bit maps.
    pub fn group_bits(&self, data: &FilterData) -> Option<GroupBits> {
        let bits = data.bloom_filter_data.clone().filter(|bits| self.bloom.fits(bits))?;
        Some(GroupBits { bloom: self.bloom, bits, born_time: data.born_time })
    }

    /// Takes over the file's filters, all of them dead until their groups come back. Bits of other
    /// measures than the configured ones void the whole file, since the bit maps beside queue
    /// entries are void then.
    pub fn load(&mut self, mut file: File, now: Millis) {
        let groups = file.filter_data_by_topic.values_mut();
        for data in groups.flat_map(|filters| filters.group_filter_data.values_mut()) {
            if !data.bloom_filter_data.as_ref().is_some_and(|bits| self.bloom.fits(bits)) {
                tracing::info!("the measures of filter bit maps have changed, {FILE} is dropped");
                return;
            }
            match compile(&data.expression_type, &data.expression) {
                Ok(compiled) => data.compiled = Some(Arc::new(compiled)),
                Err(cause) => {
                    let FilterData { topic, consumer_group: group, .. } = &*data;
                    tracing::warn!(topic, group, cause, "filter does not compile");
                }
            }
            if data.dead_time == Millis(0) {
                data.dead_time = Millis(now.0.saturating_sub(DEAD_AT_LOAD_MS)).max(data.born_time);
            }
            data.dead = data.is_dead();
        }
        self.topics = file.filter_data_by_topic;
    }

    /// The file's content.
    pub fn encode(&self) -> Vec<u8> {
        json::to_vec(&File { filter_data_by_topic: self.topics.clone() })
    }

    /// The file's content if it has changed since this was last asked.
    pub fn encode_if_changed(&mut self) -> Option<Vec<u8>> {
        std::mem::take(&mut self.has_changed).then(|| self.encode())
    }

    /// To be written again: the last writing failed.
    pub fn mark_changed(&mut self) {
        self.has_changed = true;
    }

    fn remove(&mut self, topic: &str, group: &str) {
        if let Some(filters) = self.topics.get_mut(topic) {
            self.has_changed |= filters.group_filter_data.remove(group).is_some();
        }
    }
}

/// The filter of a subscription that is not by tags, or why there is none.
pub fn compile(expression_type: &str, expression: &str) -> Result<CompiledFilter, String> {
    if expression_type != EXPRESSION_SQL92 {
        return Err(format!("there are no filters of type {expression_type:?}"));
    }
    CompiledFilter::compile(expression).map_err(|error| error.to_string())
}
