//! Static topics: a fixed number of logical queues over several brokers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::TopicQueueMappingInfo;

/// Java: `LogicQueueMappingItem`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LogicQueueMappingItem {
    pub bname: String,
    /// First physical offset behind it; -1 while it leads.
    pub end_offset: i64,
    #[serde(rename = "gen")]
    pub generation: i32,
    /// Logical offset of its first message; -1 until that is decided.
    pub logic_offset: i64,
    pub queue_id: i32,
    pub start_offset: i64,
    pub time_of_end: i64,
    pub time_of_start: i64,
}

impl Default for LogicQueueMappingItem {
    fn default() -> Self {
        Self {
            bname: String::new(),
            end_offset: -1,
            generation: 0,
            logic_offset: 0,
            queue_id: 0,
            start_offset: 0,
            time_of_end: -1,
            time_of_start: -1,
        }
    }
}

impl LogicQueueMappingItem {
    pub fn is_decided(&self) -> bool {
        self.logic_offset >= 0
    }

    pub fn has_end(&self) -> bool {
        self.end_offset > self.start_offset
    }

    /// Within the item, whatever the physical offset; -1 while the item's place is undecided.
    pub fn logical_within(&self, physical: i64) -> i64 {
        if !self.is_decided() {
            return -1;
        }
        let ended = self.end_offset >= self.start_offset;
        let end = if ended { self.end_offset } else { i64::MAX };
        self.logical(physical.min(end))
    }

    pub fn logical(&self, physical: i64) -> i64 {
        self.logic_offset + (physical - self.start_offset).max(0)
    }

    pub fn physical(&self, logical: i64) -> i64 {
        logical - self.logic_offset + self.start_offset
    }

    /// Logical offset behind its last message, as far as the mapping tells.
    pub fn logical_end(&self) -> i64 {
        self.logic_offset + (self.end_offset - self.start_offset).max(0)
    }
}

/// Java: `TopicQueueMappingDetail`: a broker's part of a static topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicQueueMappingDetail {
    pub bname: String,
    pub curr_id_map: BTreeMap<i32, i32>,
    pub dirty: bool,
    pub epoch: i64,
    /// Items of the logical queues by their numbers, oldest first.
    pub hosted_queues: BTreeMap<i32, Vec<LogicQueueMappingItem>>,
    pub scope: Option<String>,
    pub topic: String,
    pub total_queues: i32,
}

impl TopicQueueMappingDetail {
    /// What name servers are told: which physical queues lead here.
    pub fn info(&self) -> TopicQueueMappingInfo {
        let leads = |(&queue, items): (&i32, &Vec<LogicQueueMappingItem>)| {
            let last = items.last().filter(|item| item.bname == self.bname)?;
            Some((queue, last.queue_id))
        };
        TopicQueueMappingInfo {
            bname: self.bname.clone(),
            curr_id_map: self.hosted_queues.iter().filter_map(leads).collect(),
            dirty: self.dirty,
            epoch: self.epoch,
            scope: self.scope.clone(),
            topic: self.topic.clone(),
            total_queues: self.total_queues,
        }
    }

    /// The items of a logical queue that leads here.
    pub fn led_here(&self, queue: i32) -> Option<&[LogicQueueMappingItem]> {
        let items = self.hosted_queues.get(&queue)?;
        (items.last()?.bname == self.bname).then_some(items)
    }
}

/// The item that a logical offset lies in: the last that begins at or before it, else the first
/// whose place is decided.
pub fn item_of(items: &[LogicQueueMappingItem], logical: i64) -> Option<&LogicQueueMappingItem> {
    let mut decided = items.iter().filter(|item| item.is_decided());
    let holding = items.iter().rev().find(|i| i.is_decided() && logical >= i.logic_offset);
    holding.or_else(|| decided.next())
}

/// The item after one of this generation, if its place is decided.
pub fn next_item(
    items: &[LogicQueueMappingItem],
    generation: i32,
) -> Option<&LogicQueueMappingItem> {
    let at = items.iter().position(|item| item.is_decided() && item.generation == generation)?;
    items.get(at + 1).filter(|item| item.is_decided())
}

/// Why the items of a logical queue cannot be; the texts are Java's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingItemsError {
    #[error("The field is illegal, should not be negative")]
    Negative,
    #[error("The non-latest item has negative logic offset")]
    Undecided,
    #[error("The gen does not increase monotonically")]
    Generations,
    #[error("The endOffset is smaller than the start offset")]
    Ends,
    #[error("The base logic offset does not increase monotonically")]
    Bases,
    #[error("The max logic offset does not increase monotonically")]
    Overlap,
}

/// Whether these can be the items of one logical queue, oldest first.
pub fn check_items(items: &[LogicQueueMappingItem]) -> Result<(), MappingItemsError> {
    let mut later: Option<&LogicQueueMappingItem> = None;
    for item in items.iter().rev() {
        if item.start_offset < 0 || item.generation < 0 || item.queue_id < 0 {
            return Err(MappingItemsError::Negative);
        }
        if later.is_some() && !item.is_decided() {
            return Err(MappingItemsError::Undecided);
        }
        if later.is_some_and(|later| item.generation >= later.generation) {
            return Err(MappingItemsError::Generations);
        }
        if item.end_offset != -1 && item.end_offset < item.start_offset {
            return Err(MappingItemsError::Ends);
        }
        if let Some(later) = later.filter(|later| later.is_decided()) {
            if item.logic_offset >= later.logic_offset {
                return Err(MappingItemsError::Bases);
            }
            if item.logical_end() >= later.logic_offset {
                return Err(MappingItemsError::Overlap);
            }
        }
        later = Some(item);
    }
    Ok(())
}
