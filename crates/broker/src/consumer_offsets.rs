//! How far each group has consumed each queue (Java: `ConsumerOffsetManager`), kept in
//! `consumerOffset.json`.
//!
//! A committed offset is the next one the group wants. Beside it stand, in memory, the offset up
//! to which messages were handed out, and a reset mark: an offset set from outside that the next
//! pull is sent back to, and until then no commit may overwrite.

mod journal;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use skua_protocol::body::{ConsumerOffsets as File, DataVersion};
use skua_protocol::{Millis, json};
use skua_store::is_lmq;

use crate::files::{ConfigFile, LoadError};
use crate::names::SYSTEM_GROUP_PREFIX;
use crate::swap_map::lock;
use journal::Journal;
pub use journal::OffsetChanges;

/// Name of the file under `config/`.
pub const FILE: &str = "consumerOffset.json";
/// And of that which a broker with light queues reads (Java: `LmqConsumerOffsetManager`).
pub const LIGHT_FILE: &str = "lmqConsumerOffset.json";
const SHARDS: usize = 32;
/// Between topic and group in the file's keys.
const SEPARATOR: char = '@';

/// One queue's marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Marks {
    queue: i32,
    committed: Option<i64>,
    pulled: Option<i64>,
    reset: Option<i64>,
    /// Committed at this slave and not known to the master.
    local: bool,
    /// The group's log has what is committed.
    logged: bool,
    /// It is among the changes that the log is to have.
    pending: bool,
    /// It was further before, and the log does not say so.
    back: bool,
}

impl Marks {
    /// Sets what is committed; what was before.
    fn commit(&mut self, offset: i64, journals: bool) -> Option<i64> {
        let before = self.committed.replace(offset);
        self.back |= journals && before.is_some_and(|before| offset < before);
        before
    }

    /// What is committed is for the log; true if it was not before.
    fn is_for_log(&mut self) -> bool {
        self.logged = false;
        !std::mem::replace(&mut self.pending, true)
    }
}

/// An offset that was committed at a slave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalCommit {
    pub topic: String,
    pub group: String,
    pub queue: i32,
    pub offset: i64,
}

/// What a pull was answered with.
#[derive(Clone, Copy, Debug)]
pub struct Pulled {
    pub queue: i32,
    /// Where the next pull begins.
    pub next: i64,
}

#[derive(Default)]
struct Progress {
    /// Sorted by queue id.
    queues: Vec<Marks>,
}

impl Progress {
    fn marks(&self, queue: i32) -> Marks {
        match self.queues.binary_search_by_key(&queue, |marks| marks.queue) {
            Ok(at) => self.queues[at],
            Err(_) => Marks { queue, ..Marks::default() },
        }
    }

    fn marks_mut(&mut self, queue: i32) -> &mut Marks {
        let at = match self.queues.binary_search_by_key(&queue, |marks| marks.queue) {
            Ok(at) => at,
            Err(at) => {
                self.queues.insert(at, Marks { queue, ..Marks::default() });
                at
            }
        };
        &mut self.queues[at]
    }
}

/// Topic, then group: both are looked up without building a key.
type Shard = HashMap<Box<str>, HashMap<Box<str>, Progress>>;

pub struct ConsumerOffsets {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    version: Mutex<DataVersion>,
    commits: AtomicU64,
    /// Commits between two changes of the data version (`consumerOffsetUpdateVersionStep`).
    version_step: u64,
    changed: AtomicBool,
    changes: AtomicU64,
    keeps_local: AtomicBool,
    /// There are light queues.
    light: AtomicBool,
    journal: Journal,
}

impl ConsumerOffsets {
    pub fn new(version_step: u64, now: Millis) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            version: Mutex::new(DataVersion::new(now)),
            commits: AtomicU64::new(0),
            version_step: version_step.max(1),
            changed: AtomicBool::new(false),
            changes: AtomicU64::new(0),
            keeps_local: AtomicBool::new(false),
            light: AtomicBool::new(false),
            journal: Journal::default(),
        }
    }

    /// Offsets of groups that are named as light queues stand apart in the file.
    pub fn has_light_queues(&self) {
        self.light.store(true, Ordering::Relaxed);
    }

    /// Adds what the file holds; false if there is none. Keys that name no topic and group are
    /// dropped.
    pub fn load(&self, file: &ConfigFile) -> Result<bool, LoadError> {
        let Some(file) = file.load(json::from_slice::<File>)? else { return Ok(false) };
        for (key, offset) in file.lmq_offset_table {
            if let Some((topic, group)) = key.split_once(SEPARATOR) {
                self.with_mut(group, topic, |progress| {
                    progress.marks_mut(0).committed = Some(offset);
                });
            }
        }
        for (key, offsets) in file.offset_table {
            let Some((topic, group)) = key.split_once(SEPARATOR) else {
                tracing::warn!(key, "consumer offsets without topic and group are dropped");
                continue;
            };
            for (queue, offset) in offsets {
                self.with_mut(group, topic, |progress| {
                    progress.marks_mut(queue).committed = Some(offset);
                });
            }
        }
        *lock(&self.version) = file.data_version;
        Ok(true)
    }

    /// The file's content.
    pub fn encode(&self) -> Vec<u8> {
        let mut file = File { data_version: *lock(&self.version), ..File::default() };
        let light = self.light.load(Ordering::Relaxed);
        for shard in &self.shards {
            for (topic, groups) in lock(shard).iter() {
                for (group, progress) in groups {
                    let of = |mark: fn(&Marks) -> Option<i64>| -> BTreeMap<i32, i64> {
                        let marked =
                            |marks: &Marks| mark(marks).map(|offset| (marks.queue, offset));
                        progress.queues.iter().filter_map(marked).collect()
                    };
                    let committed = of(|marks| marks.committed);
                    let pulled = of(|marks| marks.pulled);
                    let key = format!("{topic}{SEPARATOR}{group}");
                    if !pulled.is_empty() {
                        file.pull_offset_table.insert(key.clone(), pulled);
                    }
                    if light && is_lmq(group) {
                        if let Some(offset) = committed.get(&0) {
                            file.lmq_offset_table.insert(key, *offset);
                        }
                    } else if !committed.is_empty() {
                        file.offset_table.insert(key, committed);
                        let topics = file.group_topic_map.entry(group.to_string()).or_default();
                        topics.insert(topic.to_string());
                    }
                }
            }
        }
        json::to_vec(&file)
    }

    /// The file's content if anything was committed since this was last asked.
    pub fn encode_if_changed(&self) -> Option<Vec<u8>> {
        self.changed.swap(false, Ordering::AcqRel).then(|| self.encode())
    }

    /// To be written again: the last writing failed.
    pub fn mark_changed(&self) {
        self.note_change();
    }

    fn note_change(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.changed.store(true, Ordering::Release);
    }

    /// A number that changes whenever something does.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// From now on commits are kept apart until the master has them: this is a slave's table.
    pub fn keep_local_commits(&self) {
        self.keeps_local.store(true, Ordering::Relaxed);
    }

    /// The broker is the master: what it has is what there is.
    pub fn become_masters(&self) {
        self.keeps_local.store(false, Ordering::Relaxed);
        self.mark_local(false);
    }

    /// The broker was the master, whose successor may know less: everything is as if it had been
    /// committed at the slave.
    pub fn become_slaves(&self) {
        if !self.keeps_local.swap(true, Ordering::Relaxed) {
            self.mark_local(true);
        }
    }

    /// What a member of a group has from its last run may be in no log: it is as if it had been
    /// committed now.
    pub fn loaded_is_local(&self) {
        self.mark_local(true);
    }

    /// What was committed here may be older than what the master has.
    pub fn forget_local(&self) {
        self.mark_local(false);
    }

    fn mark_local(&self, local: bool) {
        for shard in &self.shards {
            for (group, progress) in lock(shard).values_mut().flatten() {
                // What the broker itself has come to follows from its log, which the successor has.
                let local = local && !group.starts_with(SYSTEM_GROUP_PREFIX);
                for marks in &mut progress.queues {
                    marks.local = local && marks.committed.is_some();
                }
            }
        }
    }

    /// What was committed here and the master does not know yet.
    pub fn local_commits(&self) -> Vec<LocalCommit> {
        let mut commits = Vec::new();
        for shard in &self.shards {
            for (topic, groups) in lock(shard).iter() {
                for (group, progress) in groups {
                    let local = progress.queues.iter().filter(|marks| marks.local);
                    commits.extend(local.filter_map(|marks| {
                        let (topic, group) = (topic.to_string(), group.to_string());
                        Some(LocalCommit {
                            topic,
                            group,
                            queue: marks.queue,
                            offset: marks.committed?,
                        })
                    }));
                }
            }
        }
        commits
    }

    /// The master has it.
    pub fn commit_is_known(&self, commit: &LocalCommit) {
        self.with_mut(&commit.group, &commit.topic, |progress| {
            let marks = progress.marks_mut(commit.queue);
            if marks.committed == Some(commit.offset) {
                marks.local = false;
            }
        });
    }

    /// Takes over the master's table: offsets committed here that are further stay, and nothing
    /// is deleted (Java: `SlaveSynchronize.syncConsumerOffset`) unless this is `all` that there is.
    pub fn take_masters(&self, file: File, all: bool) {
        if all {
            self.drop_others(&file);
        }
        for (key, offsets) in file.offset_table {
            let Some((topic, group)) = key.split_once(SEPARATOR) else { continue };
            self.with_mut(group, topic, |progress| {
                for (queue, offset) in offsets {
                    let marks = progress.marks_mut(queue);
                    if !marks.local || marks.committed.is_none_or(|committed| committed <= offset) {
                        let logged = marks.logged && marks.committed == Some(offset);
                        (marks.committed, marks.local, marks.logged) =
                            (Some(offset), false, logged);
                    }
                }
            });
        }
        *lock(&self.version) = file.data_version;
        self.note_change();
    }

    /// Forgets what is not in the master's table, and was not committed here.
    fn drop_others(&self, file: &File) {
        for shard in &self.shards {
            for (topic, groups) in lock(shard).iter_mut() {
                for (group, progress) in groups.iter_mut() {
                    if group.starts_with(SYSTEM_GROUP_PREFIX) || is_lmq(group) {
                        continue;
                    }
                    let there = file.offset_table.get(&format!("{topic}{SEPARATOR}{group}"));
                    for marks in progress.queues.iter_mut().filter(|marks| !marks.local) {
                        if there.is_none_or(|there| !there.contains_key(&marks.queue)) {
                            (marks.committed, marks.logged) = (None, false);
                        }
                    }
                }
            }
        }
    }

    /// Commits unless that would go back.
    pub fn commit_forward(&self, group: &str, topic: &str, queue: i32, offset: i64, now: Millis) {
        let marks = self.with(group, topic, |progress| progress.marks(queue)).unwrap_or_default();
        let is_further = marks.committed.is_none_or(|committed| committed < offset);
        // What was just set back is newer.
        if is_further && !marks.back {
            self.commit(group, topic, queue, offset, now);
        }
        // Who is told that it is known here forgets it.
        self.log_committed(group, topic, queue);
    }

    fn shard(&self, group: &str, topic: &str) -> &Mutex<Shard> {
        &self.shards[self.hasher.hash_one((group, topic)) as usize % SHARDS]
    }

    fn with<T>(&self, group: &str, topic: &str, f: impl FnOnce(&Progress) -> T) -> Option<T> {
        lock(self.shard(group, topic)).get(topic)?.get(group).map(f)
    }

    fn with_mut<T>(&self, group: &str, topic: &str, f: impl FnOnce(&mut Progress) -> T) -> T {
        let mut shard = lock(self.shard(group, topic));
        if !shard.contains_key(topic) {
            shard.insert(topic.into(), HashMap::new());
        }
        let groups = shard.get_mut(topic).expect("inserted just above");
        if !groups.contains_key(group) {
            groups.insert(group.into(), Progress::default());
        }
        f(groups.get_mut(group).expect("inserted just above"))
    }

    /// Sets the committed offset; a smaller one than before is allowed.
    pub fn commit(&self, group: &str, topic: &str, queue: i32, offset: i64, now: Millis) {
        let local = self.keeps_local.load(Ordering::Relaxed);
        let journals = self.journal.is_kept();
        let (before, is_new) = self.with_mut(group, topic, |progress| {
            let marks = progress.marks_mut(queue);
            marks.local = local;
            let before = marks.commit(offset, journals);
            let has_it = marks.logged && before == Some(offset);
            marks.logged &= journals;
            (before, journals && !has_it && marks.is_for_log())
        });
        if is_new {
            self.journal.push(topic, group, queue);
        }
        if before.is_some_and(|before| offset < before) {
            tracing::debug!(group, topic, queue, offset, before, "consumer offset goes back");
        }
        self.note_change();
        if (self.commits.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(self.version_step) {
            lock(&self.version).bump(now);
        }
    }

    /// What the group wants next: the reset mark if there is one, else the committed offset.
    pub fn committed(&self, group: &str, topic: &str, queue: i32) -> Option<i64> {
        self.with(group, topic, |progress| {
            let marks = progress.marks(queue);
            marks.reset.or(marks.committed)
        })
        .flatten()
    }

    /// Up to where messages were handed out; else as [`committed`](Self::committed).
    pub fn pulled(&self, group: &str, topic: &str, queue: i32) -> Option<i64> {
        let pulled = self.with(group, topic, |progress| progress.marks(queue).pulled).flatten();
        pulled.or_else(|| self.committed(group, topic, queue))
    }

    /// Notes a pull's answer.
    pub fn note_pull(&self, group: &str, topic: &str, pull: Pulled) {
        self.with_mut(group, topic, |progress| {
            progress.marks_mut(pull.queue).pulled = Some(pull.next);
        });
    }

    /// Sends the group's next pull of the queue back to `offset`.
    pub fn reset(&self, group: &str, topic: &str, queue: i32, offset: i64) {
        let journals = self.journal.is_kept();
        let is_new = self.with_mut(group, topic, |progress| {
            let marks = progress.marks_mut(queue);
            marks.reset = Some(offset);
            marks.commit(offset, journals);
            journals && marks.is_for_log()
        });
        if is_new {
            self.journal.push(topic, group, queue);
        }
        self.note_change();
    }

    pub fn is_reset(&self, group: &str, topic: &str, queue: i32) -> bool {
        self.with(group, topic, |progress| progress.marks(queue).reset.is_some()).unwrap_or(false)
    }

    /// Takes the reset mark off.
    pub fn take_reset(&self, group: &str, topic: &str, queue: i32) -> Option<i64> {
        if !self.is_reset(group, topic, queue) {
            return None;
        }
        self.with_mut(group, topic, |progress| progress.marks_mut(queue).reset.take())
    }

    /// What the group has committed of each queue of the topic.
    pub fn committed_queues(&self, group: &str, topic: &str) -> Vec<(i32, i64)> {
        let committed = |marks: &Marks| Some((marks.queue, marks.committed?));
        self.with(group, topic, |progress| progress.queues.iter().filter_map(committed).collect())
            .unwrap_or_default()
    }

    /// Copies what `from` has committed of `topic` to `to`.
    pub fn clone_group(&self, from: &str, to: &str, topic: &str) {
        let offsets = self.committed_queues(from, topic);
        if offsets.is_empty() {
            return;
        }
        for (queue, offset) in offsets {
            let journals = self.journal.is_kept();
            let is_new = self.with_mut(to, topic, |progress| {
                let marks = progress.marks_mut(queue);
                marks.commit(offset, journals);
                journals && marks.is_for_log()
            });
            if is_new {
                self.journal.push(topic, to, queue);
            }
        }
        self.note_change();
    }

    /// Forgets a topic.
    pub fn remove_topic(&self, topic: &str) {
        self.drop_topic(topic);
        self.journal.removed_topic(topic);
    }

    fn drop_topic(&self, topic: &str) {
        for shard in &self.shards {
            lock(shard).remove(topic);
        }
        self.note_change();
    }

    /// Forgets a group.
    pub fn remove_group(&self, group: &str) {
        self.drop_group(group);
        self.journal.removed_group(group);
    }

    fn drop_group(&self, group: &str) {
        for shard in &self.shards {
            lock(shard).retain(|_, groups| {
                groups.remove(group);
                !groups.is_empty()
            });
        }
        self.note_change();
    }

    /// Topics and groups of which anything is committed.
    pub fn committed_pairs(&self) -> Vec<(Box<str>, Box<str>)> {
        let mut pairs = Vec::new();
        for shard in &self.shards {
            for (topic, groups) in lock(shard).iter() {
                for (group, progress) in groups {
                    if progress.queues.iter().any(|marks| marks.committed.is_some()) {
                        pairs.push((topic.clone(), group.clone()));
                    }
                }
            }
        }
        pairs
    }

    /// Topics of which the group has committed anything.
    pub fn topics_of(&self, group: &str) -> BTreeSet<String> {
        let mine = |(topic, of): (Box<str>, Box<str>)| (*of == *group).then(|| topic.into());
        self.committed_pairs().into_iter().filter_map(mine).collect()
    }

    /// Groups that have committed anything of the topic.
    pub fn groups_of(&self, topic: &str) -> BTreeSet<String> {
        let mine = |(of, group): (Box<str>, Box<str>)| (*of == *topic).then(|| group.into());
        self.committed_pairs().into_iter().filter_map(mine).collect()
    }
}

#[cfg(test)]
mod tests;
