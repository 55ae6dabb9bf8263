//! What of the table a group's log is to have, and what the log says (see [`crate::tables`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::{ConsumerOffsets, Progress, SEPARATOR};
use crate::swap_map::lock;

/// Changes since the last ones were taken. Values are not kept: the newest counts.
#[derive(Default)]
pub(super) struct Journal {
    is_kept: AtomicBool,
    changes: Mutex<Changes>,
}

#[derive(Default)]
struct Changes {
    /// Topic, group, queue.
    keys: Vec<(Box<str>, Box<str>, i32)>,
    topics: Vec<String>,
    groups: Vec<String>,
}

impl Journal {
    pub fn is_kept(&self) -> bool {
        self.is_kept.load(Ordering::Acquire)
    }

    pub fn push(&self, topic: &str, group: &str, queue: i32) {
        lock(&self.changes).keys.push((topic.into(), group.into(), queue));
    }

    pub fn removed_topic(&self, topic: &str) {
        if self.is_kept() {
            lock(&self.changes).topics.push(topic.to_owned());
        }
    }

    pub fn removed_group(&self, group: &str) {
        if self.is_kept() {
            lock(&self.changes).groups.push(group.to_owned());
        }
    }
}

/// A part of the journal as it stands in the log. What was removed was so before anything was
/// committed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OffsetChanges {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed_topics: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed_groups: Vec<String>,
    /// By `topic@group` and queue id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub offset_table: BTreeMap<String, BTreeMap<i32, i64>>,
    /// Those of them that were further before: what followers have from elsewhere is older.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub set_back: BTreeMap<String, BTreeSet<i32>>,
}

impl OffsetChanges {
    pub fn sets_back(&self) -> bool {
        !self.set_back.is_empty()
    }

    pub fn is_empty(&self) -> bool {
        self.removed_topics.is_empty()
            && self.removed_groups.is_empty()
            && self.offset_table.is_empty()
    }
}

impl ConsumerOffsets {
    /// From now on changes are noted: this broker leads its group.
    pub fn begin_journal(&self) {
        self.journal.is_kept.store(true, Ordering::Release);
    }

    /// Changes are another's from now on, and of what was noted nobody knows what came into the
    /// log.
    pub fn end_journal(&self) {
        if !self.journal.is_kept.swap(false, Ordering::AcqRel) {
            return;
        }
        for shard in &self.shards {
            for progress in lock(shard).values_mut().flat_map(|groups| groups.values_mut()) {
                for marks in &mut progress.queues {
                    (marks.logged, marks.pending, marks.back) = (false, false, false);
                }
            }
        }
        *lock(&self.journal.changes) = Changes::default();
    }

    pub fn has_changes(&self) -> bool {
        let changes = lock(&self.journal.changes);
        !(changes.keys.is_empty() && changes.topics.is_empty() && changes.groups.is_empty())
    }

    /// What is told of the queue must be in the log: notes it if it is not.
    pub fn log_committed(&self, group: &str, topic: &str, queue: i32) {
        if !self.journal.is_kept() || self.committed(group, topic, queue).is_none() {
            return;
        }
        let is_new = self.with_mut(group, topic, |progress| {
            let at = progress.queues.binary_search_by_key(&queue, |marks| marks.queue);
            let marks = at.ok().map(|at| &mut progress.queues[at]);
            marks.is_some_and(|marks| {
                marks.committed.is_some() && !marks.logged && marks.is_for_log()
            })
        });
        if is_new {
            self.journal.push(topic, group, queue);
        }
    }

    /// The oldest changes, at most so many of offsets.
    pub fn take_changes(&self, most: usize) -> OffsetChanges {
        let (keys, removed_topics, removed_groups) = {
            let mut changes = lock(&self.journal.changes);
            let len = changes.keys.len().min(most);
            let keys: Vec<_> = changes.keys.drain(..len).collect();
            let topics = std::mem::take(&mut changes.topics);
            (keys, topics, std::mem::take(&mut changes.groups))
        };
        let mut taken = OffsetChanges { removed_topics, removed_groups, ..Default::default() };
        for (topic, group, queue) in keys {
            let (offset, is_back) = self.with_mut(&group, &topic, |progress| {
                let marks = progress.marks_mut(queue);
                (marks.logged, marks.pending) = (true, false);
                (marks.committed, std::mem::take(&mut marks.back))
            });
            if let Some(offset) = offset {
                let key = format!("{topic}{SEPARATOR}{group}");
                if is_back {
                    taken.set_back.entry(key.clone()).or_default().insert(queue);
                }
                taken.offset_table.entry(key).or_default().insert(queue, offset);
            }
        }
        taken
    }

    /// Changes that were taken did not come into the log.
    pub fn put_back(&self, taken: OffsetChanges) {
        if !self.journal.is_kept() {
            return;
        }
        {
            let mut changes = lock(&self.journal.changes);
            changes.topics.extend(taken.removed_topics);
            changes.groups.extend(taken.removed_groups);
        }
        for (key, queues) in taken.offset_table {
            let Some((topic, group)) = key.split_once(SEPARATOR) else { continue };
            let set_back = taken.set_back.get(&key);
            for queue in queues.into_keys() {
                let is_back = set_back.is_some_and(|queues| queues.contains(&queue));
                let is_for_log = |progress: &mut Progress| {
                    let marks = progress.marks_mut(queue);
                    marks.back |= is_back;
                    marks.is_for_log()
                };
                if self.with_mut(group, topic, is_for_log) {
                    self.journal.push(topic, group, queue);
                }
            }
        }
    }

    /// Takes over what the group has agreed on. What was committed here without its leader, and
    /// is further, stays: the leader is told.
    pub fn take_logged(&self, changes: OffsetChanges) {
        if changes.is_empty() {
            return;
        }
        changes.removed_topics.iter().for_each(|topic| self.drop_topic(topic));
        changes.removed_groups.iter().for_each(|group| self.drop_group(group));
        for (key, queues) in changes.offset_table {
            let Some((topic, group)) = key.split_once(SEPARATOR) else { continue };
            let set_back = changes.set_back.get(&key);
            self.with_mut(group, topic, |progress| {
                for (queue, offset) in queues {
                    let is_back = set_back.is_some_and(|queues| queues.contains(&queue));
                    let marks = progress.marks_mut(queue);
                    let is_further = marks.committed.is_some_and(|committed| committed > offset);
                    if is_back || !(marks.local && is_further) {
                        marks.committed = Some(offset);
                        (marks.local, marks.logged) = (false, true);
                    }
                }
            });
        }
        self.note_change();
    }
}
