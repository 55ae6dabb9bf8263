//! Ordered pops (Java: `ConsumerOrderInfoManager`), kept in `consumerOrderInfo.json`: what was
//! last popped from a queue, and what of it is acknowledged. Until all of it is, or the first not
//! acknowledged is visible again, the queue gives nothing to anyone else. In a group that elects its
//! master its log has it, too (see [`crate::tables`]).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use skua_protocol::body::DataVersion;
use skua_protocol::{Millis, json};

use crate::files::{ConfigFile, LoadError, SaveError};
use crate::swap_map::lock;
use crate::tables::{Journal, TableChanges};

/// Name of the file under `config/`.
pub const FILE: &str = "consumerOrderInfo.json";
const SEPARATOR: char = '@';
/// What has not been popped for this long is forgotten.
const FORGOTTEN_AFTER_MS: i64 = 24 * 60 * 60 * 1000;
/// Most messages of one pop: bits of the map of acknowledgements.
const MESSAGES_MAX: usize = 64;
/// A client's name of its attempt that is longer is not told to others: they take it for another.
const ATTEMPT_ID_MAX: usize = 128;

/// Java: `ConsumerOrderInfoManager.OrderInfo`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OrderInfo {
    /// The client's name of its attempt; it may ask again for the same.
    #[serde(rename = "a", skip_serializing_if = "Option::is_none")]
    attempt_id: Option<String>,
    /// Bit `i`: the `i`th message is acknowledged.
    #[serde(rename = "cm")]
    acked: i64,
    #[serde(rename = "i", skip_serializing_if = "Option::is_none")]
    invisible_time: Option<i64>,
    #[serde(rename = "l")]
    last_popped: i64,
    /// The first queue offset, then distances from it.
    #[serde(rename = "o")]
    offsets: Vec<i64>,
    /// How often each was delivered before, by queue offset.
    #[serde(rename = "oc", skip_serializing_if = "Option::is_none")]
    counts: Option<BTreeMap<i64, i32>>,
    /// Where it was changed: when each is visible again, by queue offset.
    #[serde(rename = "ot", skip_serializing_if = "Option::is_none")]
    visible_at: Option<BTreeMap<i64, i64>>,
    #[serde(rename = "popTime")]
    pop_time: i64,
}

impl OrderInfo {
    fn offset(&self, at: usize) -> Option<i64> {
        let first = *self.offsets.first()?;
        if at == 0 { Some(first) } else { Some(first.saturating_add(*self.offsets.get(at)?)) }
    }

    fn queue_offsets(&self) -> impl Iterator<Item = i64> {
        (0..self.offsets.len().min(MESSAGES_MAX)).filter_map(|at| self.offset(at))
    }

    fn open(&self) -> impl Iterator<Item = i64> {
        self.queue_offsets()
            .enumerate()
            .filter(|(at, _)| self.acked & (1 << at) == 0)
            .map(|(_, o)| o)
    }

    /// When the last of what is not acknowledged is visible again; `None`: all is acknowledged,
    /// or nothing says so.
    fn blocked_until(&self, invisible_time: i64) -> Option<Millis> {
        let given = self.invisible_time.filter(|&time| time > 0).unwrap_or(invisible_time);
        let changed = self.visible_at.as_ref();
        let visible = |offset: i64| {
            let changed = changed.and_then(|visible| visible.get(&offset)).copied();
            changed.unwrap_or_else(|| self.pop_time.saturating_add(given))
        };
        self.open().map(visible).max().map(Millis)
    }

    /// As the group's log has it.
    fn logged(&self) -> Self {
        let mut logged = self.clone();
        logged.attempt_id.take_if(|id| id.len() > ATTEMPT_ID_MAX);
        logged
    }
}

/// A pop from an ordered queue.
pub struct OrderedPop<'a> {
    pub attempt_id: Option<&'a str>,
    pub pop_time: Millis,
    pub invisible_time: i64,
    pub offsets: &'a [i64],
}

/// How often messages of a pop were delivered before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those delivered at all.
    pub each: Vec<(i64, i32)>,
    pub least: i32,
}

/// What an acknowledgement of an ordered message does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acked {
    /// The group's offset is this now.
    Commit(i64),
    /// It is of an earlier pop: nothing.
    Stale,
    /// No such message was popped.
    Unknown,
}

type Key = (String, String, i32);

#[derive(Default)]
struct Table {
    /// By `topic@group`, then queue id.
    infos: HashMap<String, BTreeMap<i32, OrderInfo>>,
    /// When blocked queues may be free.
    releases: BTreeSet<(Millis, Key)>,
    /// Counts changes; how many of them the file has.
    changes: u64,
    saved: u64,
    /// Queues that the group of brokers is to have in its log, by [`name`].
    journal: Journal,
}

impl Table {
    fn note(&mut self, topic: &str, group: &str, queue: i32) {
        self.changes += 1;
        if self.journal.is_kept() {
            self.journal.note(&name(&key(topic, group), queue));
        }
    }

    fn at(&self, name: &str) -> Option<&OrderInfo> {
        let (key, queue) = parse(name)?;
        self.infos.get(key)?.get(&queue)
    }

    /// As another broker has it; `None`: not at all.
    fn set(&mut self, name: &str, info: Option<OrderInfo>) {
        let Some((key, queue)) = parse(name) else { return };
        match info {
            Some(info) => {
                self.infos.entry(key.to_owned()).or_default().insert(queue, info);
                if let Some((topic, group)) = key.split_once(SEPARATOR) {
                    self.plan(topic, group, queue);
                }
            }
            None => {
                if let Some(queues) = self.infos.get_mut(key) {
                    queues.remove(&queue);
                    if queues.is_empty() {
                        self.infos.remove(key);
                    }
                }
            }
        }
    }

    /// Forgets queues; the log is to say so.
    fn retain(&mut self, stays: impl Fn(&str, i32, &OrderInfo) -> bool) {
        let Self { infos, journal, changes, .. } = self;
        infos.retain(|key, queues| {
            queues.retain(|&queue, info| {
                let stays = stays(key, queue, info);
                if !stays {
                    *changes += 1;
                    journal.note(&name(key, queue));
                }
                stays
            });
            !queues.is_empty()
        });
    }

    fn copy(&self) -> File {
        let infos = self.infos.iter().map(|(key, queues)| (key.clone(), queues.clone()));
        File { table: infos.collect() }
    }

    fn plan(&mut self, topic: &str, group: &str, queue: i32) {
        let info = self.infos.get(&key(topic, group)).and_then(|queues| queues.get(&queue));
        if let Some(at) = info.and_then(|info| info.blocked_until(0)) {
            self.releases.insert((at, (topic.to_owned(), group.to_owned(), queue)));
        }
    }
}

fn key(topic: &str, group: &str) -> String {
    format!("{topic}{SEPARATOR}{group}")
}

fn name(key: &str, queue: i32) -> String {
    format!("{key}{SEPARATOR}{queue}")
}

/// Topic and group, and queue id.
fn parse(name: &str) -> Option<(&str, i32)> {
    let (key, queue) = name.rsplit_once(SEPARATOR)?;
    Some((key, queue.parse().ok()?))
}

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct File {
    table: BTreeMap<String, BTreeMap<i32, OrderInfo>>,
}

#[cfg(test)]
impl File {
    /// By name in the group's log.
    pub fn queues(self) -> BTreeMap<String, OrderInfo> {
        let queues = self.table.into_iter().flat_map(|(key, queues)| {
            queues.into_iter().map(move |(queue, info)| (name(&key, queue), info))
        });
        queues.collect()
    }
}

pub struct Orders {
    table: Mutex<Table>,
    /// `None`: it is kept in memory alone.
    file: Option<ConfigFile>,
}

impl Orders {
    /// Kept in memory alone (Java: `MemoryConsumerOrderInfoManager`).
    pub fn in_memory() -> Self {
        Self { table: Mutex::default(), file: None }
    }

    pub fn open(file: ConfigFile) -> Result<Self, LoadError> {
        let stored = file.load(json::from_slice::<File>)?.unwrap_or_default();
        let mut table = Table { infos: stored.table.into_iter().collect(), ..Table::default() };
        let keys: Vec<Key> = table
            .infos
            .iter()
            .filter_map(|(key, queues)| Some((key.split_once(SEPARATOR)?, queues)))
            .flat_map(|((topic, group), queues)| {
                queues.keys().map(|&queue| (topic.to_owned(), group.to_owned(), queue))
            })
            .collect();
        for (topic, group, queue) in keys {
            table.plan(&topic, &group, queue);
        }
        Ok(Self { table: Mutex::new(table), file: Some(file) })
    }

    /// Notes what was popped.
    pub fn popped(
        &self,
        topic: &str,
        group: &str,
        queue: i32,
        pop: &OrderedPop<'_>,
        now: Millis,
    ) -> Counts {
        let mut table = lock(&self.table);
        table.note(topic, group, queue);
        let queues = table.infos.entry(key(topic, group)).or_default();
        let counts = queues.get(&queue).map_or_else(BTreeMap::new, |before| {
            let counted = before.counts.clone().unwrap_or_default();
            if before.attempt_id.is_some() && before.attempt_id.as_deref() == pop.attempt_id {
                return counted;
            }
            let again = before.queue_offsets().filter(|offset| pop.offsets.contains(offset));
            again
                .map(|offset| {
                    (offset, counted.get(&offset).map_or(1, |count| count.saturating_add(1)))
                })
                .collect()
        });
        let first = pop.offsets.first().copied().unwrap_or(0);
        let distances = pop.offsets.iter().skip(1).map(|offset| offset - first);
        let all_again = counts.len() == pop.offsets.len();
        let answer = Counts {
            least: if all_again { counts.values().copied().min().unwrap_or(0) } else { 0 },
            each: counts.iter().map(|(&offset, &count)| (offset, count)).collect(),
        };
        queues.insert(
            queue,
            OrderInfo {
                attempt_id: pop.attempt_id.map(str::to_owned),
                acked: 0,
                invisible_time: Some(pop.invisible_time),
                last_popped: now.0,
                offsets: std::iter::once(first).chain(distances).collect(),
                counts: Some(counts),
                visible_at: None,
                pop_time: pop.pop_time.0,
            },
        );
        table.plan(topic, group, queue);
        answer
    }

    /// Whether the queue gives nothing now, to this attempt.
    pub fn blocks(
        &self,
        topic: &str,
        group: &str,
        queue: i32,
        attempt_id: Option<&str>,
        invisible_time: i64,
        now: Millis,
    ) -> bool {
        let table = lock(&self.table);
        let queues = table.infos.get(&key(topic, group));
        let Some(info) = queues.and_then(|queues| queues.get(&queue)) else { return false };
        if info.attempt_id.is_some() && info.attempt_id.as_deref() == attempt_id {
            return false;
        }
        info.blocked_until(invisible_time).is_some_and(|until| now < until)
    }

    /// Takes an acknowledgement.
    pub fn ack(&self, topic: &str, group: &str, queue: i32, offset: i64, pop_time: i64) -> Acked {
        let mut table = lock(&self.table);
        let queues = table.infos.get_mut(&key(topic, group));
        let Some(info) = queues.and_then(|queues| queues.get_mut(&queue)) else {
            return Acked::Commit(offset.saturating_add(1));
        };
        if info.offsets.is_empty() {
            return Acked::Unknown;
        }
        if info.pop_time != pop_time {
            return Acked::Stale;
        }
        let Some(at) = info.queue_offsets().position(|popped| popped == offset) else {
            return Acked::Unknown;
        };
        info.acked |= 1 << at;
        let last = info.queue_offsets().last().unwrap_or(offset);
        let next = info.open().next().unwrap_or(last.saturating_add(1));
        table.note(topic, group, queue);
        table.plan(topic, group, queue);
        Acked::Commit(next)
    }

    /// Changes when a message is visible again; nothing if it is of an earlier pop.
    pub fn change(
        &self,
        topic: &str,
        group: &str,
        queue: i32,
        offset: i64,
        pop_time: i64,
        visible_at: Millis,
    ) {
        let mut table = lock(&self.table);
        let queues = table.infos.get_mut(&key(topic, group));
        let Some(info) = queues.and_then(|queues| queues.get_mut(&queue)) else { return };
        if info.pop_time == pop_time {
            info.visible_at.get_or_insert_default().insert(offset, visible_at.0);
            table.note(topic, group, queue);
            table.plan(topic, group, queue);
        }
    }

    /// Hides all of a pop until `visible_at`, without counting it as a delivery.
    pub fn suspend(&self, topic: &str, group: &str, queue: i32, pop_time: i64, visible_at: Millis) {
        let mut table = lock(&self.table);
        let queues = table.infos.get_mut(&key(topic, group));
        let Some(info) = queues.and_then(|queues| queues.get_mut(&queue)) else { return };
        if info.pop_time == pop_time {
            let counts = info.counts.iter_mut().flat_map(BTreeMap::values_mut);
            counts.filter(|count| **count > 0).for_each(|count| *count -= 1);
            info.visible_at = None;
            info.invisible_time = Some(visible_at.since(Millis(pop_time)));
            table.note(topic, group, queue);
            table.plan(topic, group, queue);
        }
    }

    /// How many pairs of topic and group there are.
    pub fn count(&self) -> usize {
        lock(&self.table).infos.len()
    }

    /// Forgets what has long been silent.
    pub fn forget(&self, now: Millis) {
        self.tidy(|_, _| true, now);
    }

    /// Forgets what topics and groups that are gone, or have long been silent, have left.
    pub fn tidy(&self, lives: impl Fn(&str, &str) -> bool, now: Millis) {
        lock(&self.table).retain(|key, _, info| {
            now.since(Millis(info.last_popped)) <= FORGOTTEN_AFTER_MS
                && key.split_once(SEPARATOR).is_some_and(|(topic, group)| lives(topic, group))
        });
    }

    /// The topic is gone.
    pub fn remove_topic(&self, topic: &str) {
        lock(&self.table)
            .retain(|key, _, _| key.split_once(SEPARATOR).is_none_or(|(of, _)| of != topic));
    }

    /// The group's offset was set from outside: nothing blocks the queue.
    pub fn clear(&self, topic: &str, group: &str, queue: i32) {
        let mut table = lock(&self.table);
        if let Some(queues) = table.infos.get_mut(&key(topic, group))
            && queues.remove(&queue).is_some()
        {
            table.note(topic, group, queue);
        }
    }

    /// Queues that may be free now, and when to come again.
    pub fn run_due(&self, now: Millis) -> (Vec<Key>, Option<Millis>) {
        let mut table = lock(&self.table);
        let mut free = Vec::new();
        while table.releases.first().is_some_and(|(at, _)| *at <= now) {
            free.extend(table.releases.pop_first().map(|(_, key)| key));
        }
        (free, table.releases.first().map(|(at, _)| *at))
    }

    /// Whether there is something to write.
    pub fn is_changed(&self) -> bool {
        let table = lock(&self.table);
        table.changes != table.saved
    }

    /// A number that changes whenever something does.
    pub fn changes(&self) -> u64 {
        lock(&self.table).changes
    }

    /// Writes the file if anything changed.
    pub fn save(&self) -> Result<(), SaveError> {
        let (content, changes) = {
            let table = lock(&self.table);
            if table.changes == table.saved {
                return Ok(());
            }
            (json::to_vec(&table.copy()), table.changes)
        };
        if let Some(file) = &self.file {
            file.save(|| content)?;
        }
        lock(&self.table).saved = changes;
        Ok(())
    }

    /// All that there is, for a slave.
    pub fn snapshot(&self) -> File {
        lock(&self.table).copy()
    }

    /// Becomes the same as another broker's table.
    pub fn take_masters(&self, masters: File) {
        let mut table = lock(&self.table);
        if table.copy() == masters {
            return;
        }
        table.infos.clear();
        table.releases.clear();
        for (key, queues) in masters.table {
            for (queue, info) in queues {
                table.set(&name(&key, queue), Some(info));
            }
        }
        table.changes += 1;
    }

    /// From now on changes are noted for the log, or not any more.
    pub(crate) fn keep_journal(&self, is_kept: bool) {
        lock(&self.table).journal = Journal::new(is_kept);
    }

    /// All is to be in the log: of none is it sure that the group of brokers has agreed on it.
    pub(crate) fn note_all(&self) {
        let mut table = lock(&self.table);
        let Table { infos, journal, .. } = &mut *table;
        journal.mark_whole();
        for (key, queues) in infos {
            for queue in queues.keys() {
                journal.note(&name(key, *queue));
            }
        }
    }

    pub(crate) fn has_changes(&self) -> bool {
        !lock(&self.table).journal.is_empty()
    }

    /// What changed, at most so many queues.
    pub(crate) fn take_changes(&self, most: usize) -> TableChanges<OrderInfo> {
        let mut table = lock(&self.table);
        let mut journal = std::mem::take(&mut table.journal);
        let info = |name: &str| table.at(name).map(OrderInfo::logged);
        let taken = TableChanges::take(DataVersion::default(), &mut journal, most, info);
        table.journal = journal;
        taken
    }

    /// Changes that were taken did not come into the log.
    pub(crate) fn put_back(&self, taken: &TableChanges<OrderInfo>) {
        lock(&self.table).journal.put_back(taken);
    }

    /// Takes over what the group of brokers has agreed on.
    pub(crate) fn take_logged(&self, logged: TableChanges<OrderInfo>) {
        let mut table = lock(&self.table);
        if logged.all_of.is_some() {
            table.retain(|key, queue, _| !logged.drops(&name(key, queue)));
        }
        for (name, info) in logged.entries {
            table.set(&name, info);
        }
        table.changes += 1;
    }
}

#[cfg(test)]
mod tests;
