//! Plans for static topics: which broker leads which logical queue, made or moved (Java:
//! `TopicQueueMappingUtils`). Nothing here asks a server; see `commands/static_topic.rs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};
use skua_protocol::body::{
    LogicQueueMappingItem, MappingItemsError, TopicConfig, TopicQueueMappingDetail, check_items,
};

/// A moved queue's logical offsets begin at the next but one multiple of this, so that the old
/// leader's last messages, still under way, have room.
const BLOCK: i64 = 10_000;
/// Java: `MixAll.METADATA_SCOPE_GLOBAL`.
const GLOBAL_SCOPE: &str = "__global__";

/// Java: `TopicConfigAndQueueMapping`: a topic's configuration at one broker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Part {
    #[serde(flatten)]
    pub config: TopicConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mapping_detail: Option<TopicQueueMappingDetail>,
}

/// By broker name.
pub type Parts = BTreeMap<String, Part>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    #[default]
    CreateOrUpdate,
    Remapping,
}

/// Java: `TopicRemappingDetailWrapper`, as it stands in the files that the tools write.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Plan {
    pub broker_config_map: Parts,
    /// Brokers that get queues.
    pub broker_to_map_in: BTreeSet<String>,
    /// Brokers that lose queues.
    pub broker_to_map_out: BTreeSet<String>,
    pub epoch: i64,
    pub topic: String,
    #[serde(rename = "type")]
    pub kind: Kind,
}

/// Why there can be no such plan; where Java's tool has a text it is that.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    #[error(
        "Mapping info should not be null in broker {0}: it has the topic, and not as a static one"
    )]
    NotStatic(String),
    #[error("The broker name is not equal {0} != {1}")]
    BrokerName(String, String),
    #[error("The mapping info is dirty in broker {0}")]
    Dirty(String),
    #[error("The topic name is not match for broker {0}")]
    TopicName(String),
    #[error("scope does not match {new} != {old} in {broker}")]
    Scope { new: String, old: String, broker: String },
    #[error("epoch does not match {old} != {new} in {broker}")]
    Epoch { old: i64, new: i64, broker: String },
    #[error("total queue number does not match {old} != {new} in {broker}")]
    Total { old: i32, new: i32, broker: String },
    #[error("queue {queue} in broker {broker}: {cause}")]
    Items { queue: i32, broker: String, cause: MappingItemsError },
    #[error("The queue id {0} is duplicated in broker {1} {2}")]
    TwoLeaders(i32, String, String),
    #[error("The total queue number in config does not match the real hosted queues {0} != {1}")]
    Missing(i32, usize),
    #[error("The queue number {0} is not in globalIdMap")]
    MissingQueue(i32),
    #[error("global queue id {0} and {1} shared the same physical queue {2}")]
    Shared(i32, i32, String),
    #[error("Read queues is smaller than write queues in broker {0}")]
    ReadQueues(String),
    #[error("The start offset does not begin from 0: queue {0}")]
    Start(i32),
    #[error("The broker of item does not exist: {0}")]
    NoBroker(String),
    #[error("The physical queue id is overflow the write queues: {0}")]
    NoPhysicalQueue(String),
    #[error("The existed broker {0} does not in target brokers")]
    NotTargeted(String),
    #[error("Cannot decrease the queue num for static topic {0} < {1}")]
    Fewer(i32, usize),
    #[error("The topic queue num is equal the existed queue num, do nothing")]
    Equal,
    #[error("The leader broker does not in target broker: {0}")]
    Elsewhere(String),
    #[error("Cannot get the max offset for old leader {0}")]
    NoOffset(String),
    #[error("The max offset is smaller then the start offset {0} {1}")]
    BehindStart(String, i64),
}

fn place(item: &LogicQueueMappingItem) -> String {
    format!("{}-{}", item.bname, item.queue_id)
}

/// Every part has a mapping of this topic, all of one scope, epoch and number of queues: the
/// latter two. `None`: there are no parts.
fn agreed(topic: &str, parts: &Parts) -> Result<Option<(i64, i32)>, PlanError> {
    let mut first: Option<&TopicQueueMappingDetail> = None;
    for (broker, part) in parts {
        let mapping =
            part.mapping_detail.as_ref().ok_or_else(|| PlanError::NotStatic(broker.clone()))?;
        if *broker != mapping.bname {
            return Err(PlanError::BrokerName(broker.clone(), mapping.bname.clone()));
        }
        if mapping.dirty {
            return Err(PlanError::Dirty(broker.clone()));
        }
        if mapping.topic != topic || part.config.topic_name != topic {
            return Err(PlanError::TopicName(broker.clone()));
        }
        let first = *first.get_or_insert(mapping);
        if mapping.scope != first.scope {
            let text = |scope: &Option<String>| scope.clone().unwrap_or_default();
            let (new, old) = (text(&mapping.scope), text(&first.scope));
            return Err(PlanError::Scope { new, old, broker: broker.clone() });
        }
        let broker = broker.clone();
        if mapping.epoch != first.epoch {
            return Err(PlanError::Epoch { old: first.epoch, new: mapping.epoch, broker });
        }
        if mapping.total_queues != first.total_queues {
            let (old, new) = (first.total_queues, mapping.total_queues);
            return Err(PlanError::Total { old, new, broker });
        }
    }
    Ok(first.map(|mapping| (mapping.epoch, mapping.total_queues)))
}

/// The items of each logical queue, as its leader has them.
type Queues = BTreeMap<i32, Vec<LogicQueueMappingItem>>;

fn leader(items: &[LogicQueueMappingItem]) -> &str {
    items.last().map_or("", |item| &item.bname)
}

/// The logical queues of a whole topic; each has one leader and physical queues of its own.
fn queues(parts: &Parts) -> Result<Queues, PlanError> {
    let mut total = 0;
    let mut queues = Queues::new();
    for mapping in parts.values().filter_map(|part| part.mapping_detail.as_ref()) {
        total = total.max(mapping.total_queues);
        for (&queue, items) in &mapping.hosted_queues {
            let broker = || mapping.bname.clone();
            check_items(items).map_err(|cause| PlanError::Items {
                queue,
                broker: broker(),
                cause,
            })?;
            if leader(items) != mapping.bname {
                continue;
            }
            if let Some(other) = queues.insert(queue, items.clone()) {
                return Err(PlanError::TwoLeaders(queue, leader(&other).to_owned(), broker()));
            }
        }
    }
    if usize::try_from(total) != Ok(queues.len()) {
        return Err(PlanError::Missing(total, queues.len()));
    }
    if let Some(missing) = (0..total).find(|queue| !queues.contains_key(queue)) {
        return Err(PlanError::MissingQueue(missing));
    }
    let mut owners = BTreeMap::new();
    for (&queue, item) in queues.iter().flat_map(|(q, items)| items.iter().map(move |i| (q, i))) {
        if let Some(other) = owners.insert(place(item), queue) {
            return Err(PlanError::Shared(queue, other, place(item)));
        }
    }
    Ok(queues)
}

/// Every item lies in a physical queue that its broker has.
fn check_physical(parts: &Parts) -> Result<(), PlanError> {
    for (broker, part) in parts {
        if part.config.read_queue_nums < part.config.write_queue_nums {
            return Err(PlanError::ReadQueues(broker.clone()));
        }
        let hosted = part.mapping_detail.iter().flat_map(|mapping| &mapping.hosted_queues);
        for (queue, item) in hosted.flat_map(|(q, items)| items.iter().map(move |i| (q, i))) {
            if item.start_offset != 0 {
                return Err(PlanError::Start(*queue));
            }
            let there =
                parts.get(&item.bname).ok_or_else(|| PlanError::NoBroker(item.bname.clone()))?;
            if item.queue_id >= there.config.write_queue_nums {
                return Err(PlanError::NoPhysicalQueue(place(item)));
            }
        }
    }
    Ok(())
}

fn whole(topic: &str, parts: &Parts) -> Result<(i64, i32, Queues), PlanError> {
    let (epoch, total) = agreed(topic, parts)?.unwrap_or_default();
    let queues = queues(parts)?;
    check_physical(parts)?;
    Ok((epoch, total, queues))
}

/// A broker's part without queues.
pub fn empty_part(topic: &str, broker: &str, total: i32, epoch: i64) -> Part {
    Part {
        config: TopicConfig {
            read_queue_nums: 0,
            write_queue_nums: 0,
            ..TopicConfig::new(topic, 0, 6)
        },
        mapping_detail: Some(TopicQueueMappingDetail {
            bname: broker.to_owned(),
            epoch,
            scope: Some(GLOBAL_SCOPE.to_owned()),
            topic: topic.to_owned(),
            total_queues: total,
            ..Default::default()
        }),
    }
}

impl Part {
    /// One more physical queue: its number.
    fn grow(&mut self) -> i32 {
        self.config.write_queue_nums += 1;
        self.config.read_queue_nums = self.config.read_queue_nums.max(self.config.write_queue_nums);
        self.config.write_queue_nums - 1
    }

    fn host(&mut self, queue: i32, items: Vec<LogicQueueMappingItem>) {
        if let Some(mapping) = &mut self.mapping_detail {
            mapping.hosted_queues.insert(queue, items);
        }
    }
}

/// Not before anything that the brokers have seen.
fn next_epoch(before: i64, now: i64) -> i64 {
    now.max(before + 1000)
}

fn stamp(parts: &mut Parts, epoch: i64, total: i32) {
    for mapping in parts.values_mut().filter_map(|part| part.mapping_detail.as_mut()) {
        mapping.epoch = epoch;
        mapping.total_queues = total;
    }
}

impl Plan {
    /// What there is, before it is changed.
    pub fn before(topic: &str, parts: &Parts, now: i64) -> Result<Self, PlanError> {
        let epoch = agreed(topic, parts)?.map_or(now, |(epoch, _)| epoch);
        Ok(Self {
            broker_config_map: parts.clone(),
            epoch,
            topic: topic.to_owned(),
            ..Self::default()
        })
    }

    /// `total` logical queues in place of those that there are, the new ones on the brokers of
    /// `targets` that have fewest.
    pub fn grow(
        topic: &str,
        mut parts: Parts,
        total: i32,
        targets: &BTreeSet<String>,
        now: i64,
    ) -> Result<Self, PlanError> {
        let hosts = |part: &Part| {
            part.mapping_detail.as_ref().is_some_and(|mapping| !mapping.hosted_queues.is_empty())
        };
        if let Some((broker, _)) =
            parts.iter().find(|(broker, part)| hosts(part) && !targets.contains(*broker))
        {
            return Err(PlanError::NotTargeted(broker.clone()));
        }
        let (before, _, queues) = whole(topic, &parts)?;
        match usize::try_from(total).unwrap_or(0) {
            fewer if fewer < queues.len() => return Err(PlanError::Fewer(total, queues.len())),
            equal if equal == queues.len() => return Err(PlanError::Equal),
            _ => {}
        }
        let mut led: BTreeMap<&str, usize> = targets.iter().map(|name| (&**name, 0)).collect();
        for items in queues.values() {
            *led.entry(leader(items)).or_default() += 1;
        }
        // Among equals the choice differs by topic, so that no broker gets the odd queue of each.
        let dice = |broker: &str| {
            let mut hasher = DefaultHasher::new();
            (topic, broker).hash(&mut hasher);
            hasher.finish()
        };
        for queue in (0..total).filter(|queue| !queues.contains_key(queue)) {
            let least = led.iter_mut().min_by_key(|(broker, led)| (**led, dice(broker)));
            let Some((broker, led)) = least else { break };
            *led += 1;
            let part = parts
                .entry((*broker).to_owned())
                .or_insert_with(|| empty_part(topic, broker, 0, 0));
            let queue_id = part.grow();
            let item = LogicQueueMappingItem {
                bname: (*broker).to_owned(),
                queue_id,
                ..LogicQueueMappingItem::default()
            };
            part.host(queue, vec![item]);
        }
        let epoch = next_epoch(before, now);
        stamp(&mut parts, epoch, total);
        whole(topic, &parts)?;
        Ok(Self { broker_config_map: parts, epoch, topic: topic.to_owned(), ..Self::default() })
    }

    /// All queues spread over `targets`, with as few moves as can be. A broker either gets queues
    /// or loses some.
    pub fn remap(
        topic: &str,
        mut parts: Parts,
        targets: &BTreeSet<String>,
        now: i64,
    ) -> Result<Self, PlanError> {
        let (before, total, queues) = whole(topic, &parts)?;
        let mut shares = shares(&queues, targets);
        let mut waiting = VecDeque::new();
        for (&queue, items) in &queues {
            match shares.get_mut(leader(items)) {
                Some(share) if *share > 0 => *share -= 1,
                _ => waiting.push_back(queue),
            }
        }
        let epoch = next_epoch(before, now);
        let mut plan =
            Self { epoch, topic: topic.to_owned(), kind: Kind::Remapping, ..Self::default() };
        for (broker, share) in shares {
            for queue in waiting.drain(..share.min(waiting.len())) {
                let Some(items) = queues.get(&queue) else { continue };
                let mut items = items.clone();
                let old = leader(&items).to_owned();
                let part = parts
                    .entry(broker.clone())
                    .or_insert_with(|| empty_part(topic, &broker, total, epoch));
                items.push(LogicQueueMappingItem {
                    bname: broker.clone(),
                    generation: items.last().map_or(0, |last| last.generation + 1),
                    logic_offset: -1,
                    queue_id: part.grow(),
                    ..LogicQueueMappingItem::default()
                });
                part.host(queue, items.clone());
                if let Some(part) = parts.get_mut(&old) {
                    part.host(queue, items);
                }
                plan.broker_to_map_in.insert(broker.clone());
                plan.broker_to_map_out.insert(old);
            }
        }
        stamp(&mut parts, epoch, total);
        let (_, _, queues) = whole(topic, &parts)?;
        if let Some(items) = queues.values().find(|items| !targets.contains(leader(items))) {
            return Err(PlanError::Elsewhere(leader(items).to_owned()));
        }
        plan.broker_config_map = parts;
        Ok(plan)
    }

    /// Whether it can be sent to brokers, for one that comes from a file.
    pub fn check(&self, topic: &str) -> Result<(), PlanError> {
        let named = self.broker_to_map_in.iter().chain(&self.broker_to_map_out);
        if let Some(missing) = named.into_iter().find(|b| !self.broker_config_map.contains_key(*b))
        {
            return Err(PlanError::NoBroker(missing.clone()));
        }
        whole(topic, &self.broker_config_map).map(drop)
    }

    /// Takes over where moved queues begin from brokers that know it already: those that an
    /// earlier, interrupted run has told.
    pub fn resume(&mut self, present: &Parts) {
        let known = |queue: i32, item: &LogicQueueMappingItem| {
            let mapping = present.get(&item.bname)?.mapping_detail.as_ref()?;
            let same = mapping.hosted_queues.get(&queue)?.iter().find(|now| {
                (now.generation, &now.bname, now.queue_id)
                    == (item.generation, &item.bname, item.queue_id)
            })?;
            same.is_decided().then_some(same.logic_offset)
        };
        let mappings =
            self.broker_config_map.values_mut().filter_map(|part| part.mapping_detail.as_mut());
        for (queue, items) in mappings.flat_map(|mapping| &mut mapping.hosted_queues) {
            for item in items.iter_mut().filter(|item| !item.is_decided()) {
                item.logic_offset = known(*queue, item).unwrap_or(item.logic_offset);
            }
        }
    }

    /// Decides where the queues that leave `broker` go on, by the ends of its physical queues.
    pub fn decide(
        &mut self,
        broker: &str,
        end: impl Fn(&LogicQueueMappingItem) -> Option<i64>,
    ) -> Result<(), PlanError> {
        let hosted =
            self.broker_config_map.get(broker).and_then(|part| part.mapping_detail.as_ref());
        let mut decided = Vec::new();
        for (&queue, items) in hosted.into_iter().flat_map(|mapping| &mapping.hosted_queues) {
            let [.., old, new] = &items[..] else { continue };
            if new.logic_offset > 0 {
                continue;
            }
            let end = end(old).ok_or_else(|| PlanError::NoOffset(place(old)))?;
            if end < old.start_offset {
                return Err(PlanError::BehindStart(place(old), end));
            }
            let mut items = items.clone();
            let to = new.bname.clone();
            if let Some(last) = items.last_mut() {
                last.logic_offset = round_up(old.logical(end));
            }
            decided.push((queue, to, items));
        }
        for (queue, to, items) in decided {
            for name in [broker, &to] {
                if let Some(part) = self.broker_config_map.get_mut(name) {
                    part.host(queue, items.clone());
                }
            }
        }
        Ok(())
    }
}

/// How many queues each target shall lead; the odd ones go to those that lead most now.
fn shares(queues: &Queues, targets: &BTreeSet<String>) -> BTreeMap<String, usize> {
    let led = |broker: &str| queues.values().filter(|items| leader(items) == broker).count();
    let mut order: Vec<&String> = targets.iter().collect();
    order.sort_by_key(|broker| std::cmp::Reverse(led(broker)));
    let (each, odd) = (queues.len() / targets.len().max(1), queues.len() % targets.len().max(1));
    let share = |(at, broker): (usize, &String)| (broker.clone(), each + usize::from(at < odd));
    order.into_iter().enumerate().map(share).collect()
}

fn round_up(offset: i64) -> i64 {
    let blocks = offset / BLOCK + if offset % BLOCK < BLOCK / 2 { 1 } else { 2 };
    blocks * BLOCK
}

#[cfg(test)]
mod tests;
