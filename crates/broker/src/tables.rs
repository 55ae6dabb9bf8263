//! Changes of tables in the log of a group that elects its master: consumer offsets, topics,
//! subscription groups, what is popped in order and who holds queues are agreed on as messages are,
//! and stand before the answers that tell of them.
//!
//! The leader puts what has changed into a topic of its own, many changes a record ([`Change`]);
//! who waits for an answer waits until the group agrees on the record. Followers read the topic
//! and do the same to their tables. Whoever is elected has everything that is agreed on, and reads
//! to the end before it leads. The rules are in [`log`].

mod held;
mod log;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use skua_protocol::body::{DataVersion, SubscriptionGroupConfig, TopicConfig};
use skua_protocol::record::{Message, NewRecord};
use skua_protocol::{Millis, QueueId, json};
use skua_store::{AppendError, Epoch, ReadLimits, ReadStatus, Unconfirmed};

use crate::broker::Broker;
use crate::consumer_offsets::OffsetChanges;
use crate::files::{ConfigFile, LoadError, SaveError};
use crate::group_table::Forbidden;
use crate::names::TABLES_TOPIC;
use crate::pop::order::OrderInfo;
use crate::queue_locks::Holders;
use crate::swap_map::lock;
use log::{Step, TableLog};

/// Name of the file under `config/`: up to which record the other files have everything.
pub const FILE: &str = "groupTables.json";
const QUEUE: QueueId = QueueId(0);
/// A field of a leader's answers to followers that copy its tables: how many records they have. And
/// of what followers hand on: how many they have read.
pub(crate) const AT: &str = "tablesAt";
/// How long changes that nobody waits for are gathered.
const GATHER_MS: i64 = 50;
/// Entries of one record at most, by table.
const OFFSETS_MAX: usize = 2000;
const CONFIGS_MAX: usize = 200;
const ORDERS_MAX: usize = 200;
const LOCKS_MAX: usize = 500;
/// Records read at a time.
const RECORDS_READ: u32 = 32;

/// Names whose entries have changed.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    is_kept: bool,
    names: BTreeSet<String>,
    /// All of the table behind this name are among them, or not there.
    rest: Option<String>,
}

/// A stretch of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Span {
    after: String,
    /// `None`: to the end.
    until: Option<String>,
}

impl Span {
    pub fn has(&self, name: &str) -> bool {
        *name > *self.after && self.until.as_deref().is_none_or(|until| name <= until)
    }
}

impl Journal {
    pub fn new(is_kept: bool) -> Self {
        Self { is_kept, ..Self::default() }
    }

    pub fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// False if nothing is noted here.
    pub fn note(&mut self, name: &str) -> bool {
        if self.is_kept {
            self.names.insert(name.to_owned());
        }
        self.is_kept
    }

    /// Whether any name that begins so may be among them, if it is one for which `holds`.
    pub fn has_any(&self, prefix: &str, holds: impl Fn(&str) -> bool) -> bool {
        let from = self.names.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        let mut here = from.take_while(|name| name.starts_with(prefix));
        self.rest.is_some() || here.any(|name| holds(name))
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.rest.is_none()
    }

    /// Names of the whole table are going to be noted.
    pub fn mark_whole(&mut self) {
        self.rest = self.is_kept.then(String::new);
    }

    /// The first so many names; and the stretch of the table of which they are all that there are.
    fn take(&mut self, most: usize) -> (Vec<String>, Option<Span>) {
        let names: Vec<String> = self.names.iter().take(most).cloned().collect();
        self.names.retain(|name| names.binary_search(name).is_err());
        let Some(after) = self.rest.take() else { return (names, None) };
        let until = if self.names.is_empty() { None } else { names.last().cloned() };
        if until.as_ref().is_some_and(|until| *until <= after) {
            // What has changed in what was taken before.
            self.rest = Some(after);
            return (names, None);
        }
        self.rest.clone_from(&until);
        (names, Some(Span { after, until }))
    }

    /// What was taken did not come into the log.
    pub fn put_back<C>(&mut self, taken: &TableChanges<C>) {
        for name in taken.entries.keys() {
            self.note(name);
        }
        if let Some(span) = taken.all_of.as_ref().filter(|_| self.is_kept) {
            self.rest = Some(span.after.clone());
        }
    }
}

/// Entries of a table as they are at a version of it; `None`: deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TableChanges<C> {
    /// That of a table without versions is nought.
    #[serde(default, skip_serializing_if = "is_nought")]
    pub version: DataVersion,
    pub entries: BTreeMap<String, Option<C>>,
    /// Here they are all that there are, as a new leader has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_of: Option<Span>,
}

fn is_nought(version: &DataVersion) -> bool {
    *version == DataVersion::default()
}

impl<C> TableChanges<C> {
    /// At most so many of the changes that are noted.
    pub fn take(
        version: DataVersion,
        journal: &mut Journal,
        most: usize,
        entry: impl Fn(&str) -> Option<C>,
    ) -> Self {
        let (names, all_of) = journal.take(most);
        let entries = names.into_iter().map(|name| (entry(&name), name));
        Self { version, entries: entries.map(|(entry, name)| (name, entry)).collect(), all_of }
    }

    /// Whether an entry of the table is none any more.
    pub fn drops(&self, name: &str) -> bool {
        self.all_of.as_ref().is_some_and(|span| span.has(name)) && !self.entries.contains_key(name)
    }

    fn if_any(self) -> Option<Self> {
        (!self.entries.is_empty() || self.all_of.is_some()).then_some(self)
    }
}

/// A record's body.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Change {
    /// The queue offset that its writer took for the next. It counts only where it has that: else
    /// its writer did not know of a leader between.
    at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    topics: Option<TableChanges<TopicConfig>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<TableChanges<SubscriptionGroupConfig>>,
    /// All that is forbidden to groups, if groups have changed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    forbidden: Forbidden,
    #[serde(skip_serializing_if = "OffsetChanges::is_empty")]
    offsets: OffsetChanges,
    #[serde(skip_serializing_if = "Option::is_none")]
    orders: Option<TableChanges<OrderInfo>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    locks: Option<TableChanges<String>>,
}

/// Content of [`FILE`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Saved {
    next: u64,
    /// Who holds queues: there is no other file for that.
    #[serde(skip_serializing_if = "Holders::is_empty")]
    locks: Holders,
}

pub(crate) struct Tables {
    log: Mutex<TableLog>,
    /// The epoch of appends in which this broker became master; 0: none.
    mastered: AtomicU64,
    /// When gathered changes go into the log; `i64::MAX`: there are none.
    due: AtomicI64,
    file: ConfigFile,
    saved: Mutex<Saved>,
}

impl Tables {
    /// And who held queues.
    pub fn open(file: ConfigFile) -> Result<(Self, Holders), LoadError> {
        let saved = file.load(json::from_slice::<Saved>)?.unwrap_or_default();
        let locks = saved.locks.clone();
        let tables = Self {
            log: Mutex::new(TableLog::from(saved.next)),
            mastered: AtomicU64::new(0),
            due: AtomicI64::new(i64::MAX),
            file,
            saved: Mutex::new(saved),
        };
        Ok((tables, locks))
    }

    /// Up to which record the tables have everything now; for [`save`](Self::save), after them.
    pub fn kept(&self) -> u64 {
        lock(&self.log).kept()
    }

    pub fn save(&self, kept: u64, locks: Holders) -> Result<(), SaveError> {
        let mut saved = lock(&self.saved);
        let content = Saved { next: kept, locks };
        if *saved != content {
            self.file.save(|| json::to_vec(&content))?;
            *saved = content;
        }
        Ok(())
    }
}

/// What an answer tells, beside what was changed for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tells<'a> {
    Changes,
    /// What stands, and that nobody else has led until now.
    Standing,
    /// That, and which queues a client of a group holds.
    Holder {
        group: &'a str,
        client: &'a str,
    },
}

/// Why nobody knows whether the group has agreed on a change.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotLogged {
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error("this broker does not lead its group any more")]
    Lost,
}

impl NotLogged {
    fn is_full(&self) -> bool {
        matches!(self, Self::Append(AppendError::NoSpace(_) | AppendError::DiskFull(_)))
    }
}

impl From<Unconfirmed> for NotLogged {
    fn from(_: Unconfirmed) -> Self {
        Self::Lost
    }
}

impl Broker {
    /// Whether the tables here are the group's: this broker leads it, and has read what every
    /// leader before has put into the log.
    pub(crate) fn leads_tables(&self) -> bool {
        lock(&self.tables.log).leads(self.store.epoch())
    }

    /// Whether appends are not taken any more, or again, since this broker became master: it does
    /// not know yet what another leader has done between.
    pub(crate) fn is_master_of_before(&self) -> bool {
        let mastered = self.tables.mastered.load(Ordering::SeqCst);
        self.store.epoch().is_none_or(|epoch| epoch.0 != mastered)
    }

    /// Whether topics or subscription groups have changed and the log does not say so.
    pub(crate) fn has_config_changes(&self) -> bool {
        self.topics.has_changes() || self.groups.has_changes()
    }

    fn has_table_changes(&self) -> bool {
        self.has_config_changes()
            || self.offsets.has_changes()
            || self.pop.orders.has_changes()
            || self.locks.has_changes()
    }

    /// Ends when the group has agreed on every change of tables up to now; and, as far as the answer
    /// tells of what stands, has said from now on that this broker leads.
    pub(crate) async fn tables_agreed(
        &self,
        epoch: Epoch,
        tells: Tells<'_>,
    ) -> Result<(), NotLogged> {
        let leads = tells != Tells::Changes;
        let is_new_holder = || match tells {
            Tells::Holder { group, client } => self.locks.has_changes_of(group, client),
            Tells::Changes | Tells::Standing => false,
        };
        let (ticket, writes) = {
            let log = lock(&self.tables.log);
            let has_changes = self.has_table_changes();
            (log.ticket(has_changes), has_changes)
        };
        // A record of this broker's that is agreed on says as much.
        let mut still = (leads && !writes).then(|| self.store.leads_still(epoch));
        loop {
            // Nothing is held while it waits.
            let step = {
                let mut log = lock(&self.tables.log);
                if !log.leads(self.store.epoch()) || !log.leads(Some(epoch)) {
                    return Err(NotLogged::Lost);
                }
                let step = log.step(ticket, self.store.confirmed());
                if step == Step::Append {
                    match self.append_changes(&mut log, self.time_told()) {
                        // Who consumes may make room; nothing can be agreed on before.
                        Err(cause) if leads && cause.is_full() && !is_new_holder() => {
                            still = Some(self.store.leads_still(epoch));
                            Step::Done
                        }
                        appended => {
                            appended?;
                            step
                        }
                    }
                } else {
                    step
                }
            };
            match step {
                Step::Append => {}
                Step::Wait(end) => self.store.confirmed_when(end, epoch).await?,
                Step::Done => break,
            }
        }
        match still {
            Some(still) => Ok(still.await?),
            None => Ok(()),
        }
    }

    /// Puts all that has changed into the log; an empty record if nothing has.
    fn append_changes(&self, log: &mut TableLog, now: Millis) -> Result<(), NotLogged> {
        let mut is_first = true;
        while std::mem::take(&mut is_first) || self.has_table_changes() {
            let (groups, forbidden) = self.groups.take_changes(CONFIGS_MAX);
            let change = Change {
                at: log.next(),
                topics: self.topics.take_changes(CONFIGS_MAX).if_any(),
                groups: groups.if_any(),
                forbidden,
                offsets: self.offsets.take_changes(OFFSETS_MAX),
                orders: self.pop.orders.take_changes(ORDERS_MAX).if_any(),
                locks: self.locks.take_changes(LOCKS_MAX).if_any(),
            };
            let sets_back = change.offsets.sets_back();
            let body = json::to_vec(&change);
            let record = NewRecord {
                topic: TABLES_TOPIC,
                queue_id: QUEUE,
                flag: 0,
                sys_flag: 0,
                born_timestamp: now,
                born_host: self.store_host(),
                store_host: self.store_host(),
                reconsume_times: 0,
                prepared_transaction_offset: 0,
                body: &body,
                properties: &[],
            };
            match self.store.append(&record, now) {
                Ok(receipt) => {
                    if !log.appended(receipt.queue_offset.0, receipt.end, receipt.epoch) {
                        tracing::warn!(at = change.at, ?receipt, "tables of another leader");
                        return Err(NotLogged::Lost);
                    }
                    if sets_back {
                        log.set_back();
                    }
                }
                Err(cause) => {
                    change.topics.iter().for_each(|topics| self.topics.put_back(topics));
                    change.groups.iter().for_each(|groups| self.groups.put_back(groups));
                    self.offsets.put_back(change.offsets);
                    change.orders.iter().for_each(|orders| self.pop.orders.put_back(orders));
                    change.locks.iter().for_each(|locks| self.locks.put_back(locks));
                    return Err(cause.into());
                }
            }
        }
        log.has_all();
        Ok(())
    }

    /// How many records the tables of this leader have at least.
    pub(crate) fn tables_written(&self) -> Option<u64> {
        let log = lock(&self.tables.log);
        log.leads(self.store.epoch()).then(|| log.next())
    }

    /// How many records the tables of this follower have.
    pub(crate) fn tables_read(&self) -> u64 {
        lock(&self.tables.log).next()
    }

    /// Whether offsets may have been set back that a follower does not know of, having read so many
    /// records.
    pub(crate) fn offsets_set_back_since(&self, read: u64) -> bool {
        self.store.has_gate() && lock(&self.tables.log).is_set_back_since(read)
    }

    /// Takes over a copy of the master's table. In a group one of the leader's that has `at` records,
    /// and only if no more have been read here: it would take back what they say.
    pub(crate) fn take_copy<E>(
        &self,
        at: Option<u64>,
        take: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.store.has_gate() {
            return take();
        }
        let log = lock(&self.tables.log);
        match at.is_some_and(|at| log.takes_copy(at)) && !self.is_master() {
            true => take(),
            false => Ok(()),
        }
    }

    /// Tables have changed, or are about to: the log has it soon, should nobody wait for it.
    pub(crate) fn wake_to_log_tables(&self, now: Millis) {
        if self.store.has_gate() && self.tables.due.load(Ordering::Relaxed) == i64::MAX {
            let at = now.plus(GATHER_MS);
            self.tables.due.fetch_min(at.0, Ordering::SeqCst);
            self.wake_at(at);
        }
    }

    /// A record of tables can be read: what it says is done at once.
    pub(crate) fn tables_arrived(&self) {
        if !self.is_master() {
            let now = self.time_told();
            self.tables.due.fetch_min(now.0, Ordering::SeqCst);
            self.wake_at(now);
        }
    }

    /// Puts what was gathered into the log, or does what is said there.
    pub(crate) fn run_tables(&self, now: Millis) -> Option<Millis> {
        if !self.store.has_gate() {
            return None;
        }
        let due = self.tables.due.load(Ordering::SeqCst);
        if due > now.0 {
            return (due != i64::MAX).then_some(Millis(due));
        }
        self.tables.due.store(i64::MAX, Ordering::SeqCst);
        let mut log = lock(&self.tables.log);
        if !log.leads(self.store.epoch()) {
            // A master that is none any more for the group: what is there is its successor's.
            if !self.is_master() {
                self.follow_tables(&mut log);
            }
        } else {
            // First: what can be read now is this broker's if it leads still, then.
            let max = self.store.max_offset(TABLES_TOPIC, QUEUE).map_or(0, |max| max.0);
            if log.leads(self.store.epoch()) {
                log.agreed_up_to(max);
            }
            if self.is_master()
                && self.has_table_changes()
                && let Err(cause) = self.append_changes(&mut log, now)
            {
                tracing::warn!(%cause, "changes of tables are not in the log yet");
                drop(log);
                self.wake_to_log_tables(now);
            }
        }
        let due = self.tables.due.load(Ordering::SeqCst);
        (due != i64::MAX).then_some(Millis(due))
    }

    /// Does what the records say that can be read.
    fn follow_tables(&self, log: &mut TableLog) {
        let bounds = || {
            let min = self.store.min_offset(TABLES_TOPIC, QUEUE).map_or(0, |min| min.0);
            (min, self.store.max_offset(TABLES_TOPIC, QUEUE).map_or(0, |max| max.0))
        };
        let (min, max) = bounds();
        if log.bound(min, max) {
            // That they were set back may be in what is gone.
            self.offsets.forget_local();
        }
        let mut took = false;
        while log.next() < max {
            let limits = ReadLimits { max_messages: RECORDS_READ };
            let from = log.next() as i64;
            let read = self.store.read(TABLES_TOPIC, QUEUE, from, limits, &mut |_| true);
            let messages = match read.status {
                ReadStatus::Found => Message::decode_all(&read.body),
                status => {
                    tracing::warn!(from, ?status, "records of tables cannot be read");
                    break;
                }
            };
            match messages {
                Ok(messages) => messages.iter().for_each(|message| self.follow_record(message)),
                Err(cause) => tracing::error!(from, %cause, "records of tables are passed over"),
            }
            took = true;
            log.took(read.next_offset.max(from + 1) as u64);
        }
        if took {
            self.wake_to_save_offsets(self.time_told());
        }
    }

    fn follow_record(&self, message: &Message) {
        let change = match json::from_slice::<Change>(&message.body) {
            Ok(change) => change,
            Err(cause) => {
                let at = message.queue_offset;
                tracing::error!(at, %cause, "a record of tables is passed over");
                return;
            }
        };
        if change.at as i64 != message.queue_offset {
            return;
        }
        self.offsets.take_logged(change.offsets);
        if let Some(topics) = change.topics {
            if let Err(error) = self.topics.take_logged(topics) {
                tracing::error!(%error, "topics of the group's log not saved");
            }
            self.tell_topics();
            drop(self.topics_changed());
        }
        if let Some(groups) = change.groups
            && let Err(error) = self.groups.take_logged(groups, change.forbidden)
        {
            tracing::error!(%error, "subscription groups of the group's log not saved");
        }
        if let Some(orders) = change.orders {
            self.pop.orders.take_logged(orders);
        }
        if let Some(locks) = change.locks {
            self.locks.take_logged(&locks);
        }
    }

    /// This broker leads: does all that the log says, and keeps its own changes for it.
    pub(crate) fn lead_tables(&self) {
        if !self.store.has_gate() {
            return;
        }
        let mut log = lock(&self.tables.log);
        // First: should this broker lose the lead and win it again meanwhile, it has not read what
        // came in between.
        let epoch = self.store.epoch();
        self.follow_tables(&mut log);
        log.lead(epoch);
        self.tables.mastered.store(epoch.map_or(0, |epoch| epoch.0), Ordering::SeqCst);
        self.topics.keep_journal(true);
        self.groups.keep_journal(true);
        self.offsets.begin_journal();
        self.pop.orders.keep_journal(true);
        self.locks.keep_journal(true);
        // What this broker was asked for when it led before, or has from a leader that is gone, may
        // be in no log, and nobody asks for a topic again that is there. Followers drop what is not
        // among them: another's changes that nobody has agreed on.
        self.topics.note_all();
        self.groups.note_all();
        self.pop.orders.note_all();
        self.locks.note_all();
        drop(log);
        self.wake_to_log_tables(self.time_told());
    }

    /// Puts all that has changed into the log, which is about to be closed.
    pub(crate) fn log_tables(&self, now: Millis) {
        let mut log = lock(&self.tables.log);
        if log.leads(self.store.epoch())
            && self.has_table_changes()
            && let Err(cause) = self.append_changes(&mut log, now)
        {
            tracing::warn!(%cause, "changes of tables did not come into the log");
        }
    }

    /// This broker does not lead any more.
    pub(crate) fn yield_tables(&self) {
        let mut log = lock(&self.tables.log);
        log.give_up();
        self.tables.mastered.store(0, Ordering::SeqCst);
        self.topics.keep_journal(false);
        self.groups.keep_journal(false);
        self.offsets.end_journal();
        self.pop.orders.keep_journal(false);
        self.locks.keep_journal(false);
        self.locks.follow();
        drop(log);
        self.tables_arrived();
    }
}
