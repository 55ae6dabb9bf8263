//! Delay levels (Java: `ScheduleMessageService`): messages wait in one queue a level of
//! `SCHEDULE_TOPIC_XXXX` and are stored again under their real topic when their time has come.
//!
//! The consume queue entry of a waiting message holds its delivery time. Within a level these
//! rise, so only the first entry not delivered yet is watched. How far each level has come is
//! kept in `delayOffset.json`; after a crash some messages are delivered once more.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use skua_protocol::body::{DataVersion, DelayOffsets};
use skua_protocol::properties::{self, Properties, PropertiesEditor};
use skua_protocol::record::{NewRecord, Record};
use skua_protocol::{Millis, PhysicalOffset, QueueId, json};
use skua_store::{AppendError, ReadLimits, ReadStatus, Store};

use crate::broker::Moved;
use crate::files::{ConfigFile, LoadError, SaveError};
use crate::names::{HALF_TOPIC, SCHEDULE_TOPIC};
use crate::swap_map::lock;

/// How long until a delivery that the store refused is tried again.
const RETRY_AFTER_MS: i64 = 100;
/// Entries of a level looked up at a time.
const ENTRIES_AT_A_TIME: u32 = 64;
/// `due` of a level with nothing waiting.
const NEVER: i64 = i64::MAX;

/// Why `messageDelayLevel` cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("messageDelayLevel: `{0}` is not a number followed by s, m, h or d")]
pub struct DelayLevelError(String);

/// Delays in milliseconds, of level 1 first: `1s 5s 10s …`.
pub fn parse_levels(text: &str) -> Result<Vec<i64>, DelayLevelError> {
    text.split_whitespace()
        .map(|level| {
            let bad = || DelayLevelError(level.to_owned());
            let (number, unit) = level.split_at_checked(level.len() - 1).ok_or_else(bad)?;
            let unit_ms = match unit {
                "s" => 1000,
                "m" => 60 * 1000,
                "h" => 60 * 60 * 1000,
                "d" => 24 * 60 * 60 * 1000,
                _ => return Err(bad()),
            };
            let number: u32 = number.parse().map_err(|_| bad())?;
            Ok(i64::from(number) * unit_ms)
        })
        .collect()
}

struct Level {
    delay_ms: i64,
    /// Queue offset of the first message not delivered yet.
    next: AtomicI64,
    /// When that message is to be delivered, or [`NEVER`].
    due: AtomicI64,
}

pub struct DelayLevels {
    levels: Vec<Level>,
    file: ConfigFile,
    saving: Mutex<Saving>,
}

struct Saving {
    version: DataVersion,
    /// Deliveries since the version last changed.
    deliveries: u64,
    /// Deliveries between two changes of the version (`delayOffsetUpdateVersionStep`).
    version_step: u64,
    /// Milliseconds between two writings (`flushDelayOffsetInterval`).
    interval_ms: i64,
    /// When the file is to be written; `None`: nothing changed.
    save_at: Option<Millis>,
}

/// Why the master's progress was not taken over.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    #[error(transparent)]
    Json(#[from] json::JsonError),
    #[error(transparent)]
    Save(#[from] SaveError),
}

/// How often the table is written.
#[derive(Clone, Copy, Debug)]
pub struct SaveRules {
    pub interval_ms: i64,
    pub version_step: u64,
}

impl DelayLevels {
    pub fn open(
        delays_ms: &[i64],
        file: ConfigFile,
        rules: SaveRules,
        now: Millis,
    ) -> Result<Self, LoadError> {
        let offsets = file.load(json::from_slice::<DelayOffsets>)?.unwrap_or_else(|| {
            DelayOffsets { data_version: DataVersion::new(now), ..DelayOffsets::default() }
        });
        let levels = (1..).zip(delays_ms).map(|(level, &delay_ms)| Level {
            delay_ms,
            next: AtomicI64::new(offsets.offset_table.get(&level).copied().unwrap_or(0).max(0)),
            // What waits since before the start is looked for in the first run.
            due: AtomicI64::new(i64::MIN),
        });
        Ok(Self {
            levels: levels.collect(),
            file,
            saving: Mutex::new(Saving {
                version: offsets.data_version,
                deliveries: 0,
                version_step: rules.version_step.max(1),
                interval_ms: rules.interval_ms,
                save_at: None,
            }),
        })
    }

    /// The level that a message asking for `level` gets: the highest one if it asks for more.
    pub fn level(&self, level: i32) -> i32 {
        level.min(i32::try_from(self.levels.len()).unwrap_or(i32::MAX))
    }

    /// A delayed message can be read now. Returns when it is to be delivered if nothing of its
    /// level is due before.
    pub fn arrived(&self, queue: QueueId, deliver_at: i64) -> Option<Millis> {
        let level = self.levels.get(queue.0 as usize)?;
        let before = level.due.fetch_min(deliver_at, Ordering::AcqRel);
        (deliver_at < before).then_some(Millis(deliver_at))
    }

    /// Delivers what is due, telling `delivered` of each, and saves the table when it is time.
    /// Returns when to come again. Not
    /// to be called twice at a time.
    pub fn run_due(
        &self,
        store: &Store,
        delivered: &dyn Fn(&str, Moved),
        now: Millis,
    ) -> Option<Millis> {
        let mut next = None;
        for (queue, level) in (0..).map(QueueId).zip(&self.levels) {
            if level.due.load(Ordering::Acquire) <= now.0 {
                self.deliver(store, delivered, queue, level, now);
            }
            let due = level.due.load(Ordering::Acquire);
            next = crate::earlier(next, (due != NEVER).then_some(Millis(due)));
        }
        crate::earlier(next, self.save_due(now))
    }

    fn deliver(
        &self,
        store: &Store,
        delivered: &dyn Fn(&str, Moved),
        queue: QueueId,
        level: &Level,
        now: Millis,
    ) {
        // What arrives from here on sets the time anew.
        level.due.store(NEVER, Ordering::Release);
        let started_at = level.next.load(Ordering::Relaxed);
        let mut next = started_at;
        let due = loop {
            let waiting = waiting(store, queue, &mut next);
            if waiting.is_empty() {
                break NEVER;
            }
            match self.deliver_some(store, delivered, level, &waiting, &mut next, now) {
                Some(due) => break due,
                None => continue,
            }
        };
        level.next.store(next, Ordering::Relaxed);
        level.due.fetch_min(due, Ordering::AcqRel);
        if next != started_at {
            self.note(next.abs_diff(started_at), now);
        }
    }

    /// Delivers entries until one that is not due. Returns when to go on, if not at once.
    fn deliver_some(
        &self,
        store: &Store,
        delivered: &dyn Fn(&str, Moved),
        level: &Level,
        waiting: &[Waiting],
        next: &mut i64,
        now: Millis,
    ) -> Option<i64> {
        for entry in waiting {
            // A time further off than the level's delay comes from a clock that went back.
            if entry.deliver_at > now.0 && entry.deliver_at <= now.plus(level.delay_ms).0 {
                return Some(entry.deliver_at);
            }
            if let Err(error) = store_again(store, delivered, entry, now) {
                if let Refused::ForNow(error) = error {
                    tracing::warn!(%error, "a delayed message cannot be delivered now");
                    return Some(now.plus(RETRY_AFTER_MS).0);
                }
                tracing::error!(
                    offset = %entry.physical_offset,
                    cause = %error,
                    "a delayed message is passed over"
                );
            }
            *next = entry.queue_offset + 1;
        }
        None
    }

    fn note(&self, deliveries: u64, now: Millis) {
        let mut saving = lock(&self.saving);
        saving.deliveries += deliveries;
        if saving.deliveries >= saving.version_step {
            saving.deliveries = 0;
            saving.version.bump(now);
        }
        let at = now.plus(saving.interval_ms);
        saving.save_at.get_or_insert(at);
    }

    fn save_due(&self, now: Millis) -> Option<Millis> {
        let save_at = lock(&self.saving).save_at?;
        if save_at > now {
            return Some(save_at);
        }
        match self.save() {
            Ok(()) => {
                lock(&self.saving).save_at = None;
                None
            }
            Err(error) => {
                tracing::error!(%error, "progress of delayed messages not saved");
                let mut saving = lock(&self.saving);
                saving.save_at = Some(now.plus(saving.interval_ms));
                saving.save_at
            }
        }
    }

    pub fn save(&self) -> Result<(), SaveError> {
        self.file.save(|| self.encode())
    }

    /// The content of the file.
    pub fn encode(&self) -> Vec<u8> {
        let offsets = (1..).zip(&self.levels).filter_map(|(level, state)| {
            let next = state.next.load(Ordering::Relaxed);
            (next > 0).then_some((level, next))
        });
        let offset_table = offsets.collect();
        json::to_vec(&DelayOffsets { data_version: lock(&self.saving).version, offset_table })
    }

    /// A number that changes with each delivery.
    pub fn changes(&self) -> u64 {
        self.levels.iter().map(|level| level.next.load(Ordering::Relaxed) as u64).sum()
    }

    /// Takes over the master's progress, the content of its file, and writes it.
    pub fn take_masters(&self, content: &[u8]) -> Result<(), TakeError> {
        let offsets = json::from_slice::<DelayOffsets>(content)?;
        for (level, next) in &offsets.offset_table {
            let nth = usize::try_from(*level).ok().and_then(|level| level.checked_sub(1));
            if let Some(level) = nth.and_then(|nth| self.levels.get(nth)) {
                level.next.store((*next).max(0), Ordering::Relaxed);
                // As after a start: what waits is looked for in the next run as a master.
                level.due.store(i64::MIN, Ordering::Release);
            }
        }
        lock(&self.saving).version = offsets.data_version;
        Ok(self.save()?)
    }

    /// The broker became master: as after a start, what waits is looked for in the next run.
    pub fn look_anew(&self) {
        for level in &self.levels {
            level.due.store(i64::MIN, Ordering::Release);
        }
    }

    /// Levels that have had messages: level, next to deliver, end of the queue.
    pub fn progress(&self, store: &Store) -> Vec<(usize, i64, u64)> {
        let with_messages = (0u32..).zip(&self.levels).filter_map(|(queue, level)| {
            let max = store.max_offset(SCHEDULE_TOPIC, QueueId(queue))?;
            let next = level.next.load(Ordering::Relaxed);
            Some((queue as usize + 1, next, max.0))
        });
        with_messages.collect()
    }
}

/// An entry of a level's queue.
struct Waiting {
    queue_offset: i64,
    physical_offset: PhysicalOffset,
    size: u32,
    deliver_at: i64,
}

/// Entries from `next` on; moves `next` to where the queue begins or ends if it lies outside.
fn waiting(store: &Store, queue: QueueId, next: &mut i64) -> Vec<Waiting> {
    let mut entries = Vec::new();
    let limits = ReadLimits { max_messages: ENTRIES_AT_A_TIME };
    let read = store.read(SCHEDULE_TOPIC, queue, *next, limits, &mut |entry| {
        entries.push(Waiting {
            queue_offset: entry.queue_offset.0 as i64,
            physical_offset: entry.physical_offset,
            size: entry.size,
            deliver_at: entry.tags_code,
        });
        false
    });
    match read.status {
        ReadStatus::OffsetTooSmall | ReadStatus::OffsetOverflowBadly => {
            tracing::warn!(
                level = queue.0 + 1,
                next,
                corrected = read.next_offset,
                "progress of delayed messages lies outside their queue"
            );
            *next = read.next_offset;
            if read.status == ReadStatus::OffsetTooSmall {
                return waiting(store, queue, next);
            }
        }
        ReadStatus::OffsetFoundNull => *next = read.next_offset,
        _ => {}
    }
    entries
}

/// Why a waiting message was not delivered.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("{0}")]
    ForNow(AppendError),
    #[error("it is not in the log")]
    NotThere,
    #[error("{0}")]
    Unreadable(String),
    #[error("it has no {0}")]
    NoProperty(&'static str),
    #[error("its real topic is {0}")]
    ForbiddenTopic(&'static str),
    #[error("{0}")]
    NotStorable(AppendError),
}

/// Java: the delivered message keeps all its properties, those of the delay too.
fn store_again(
    store: &Store,
    delivered: &dyn Fn(&str, Moved),
    entry: &Waiting,
    now: Millis,
) -> Result<(), Refused> {
    let unreadable = |error: &dyn std::fmt::Display| Refused::Unreadable(error.to_string());
    let bytes = store
        .record_at(entry.physical_offset, Some(entry.size))
        .map_err(|error| unreadable(&error))?
        .ok_or(Refused::NotThere)?;
    let record = Record::parse(&bytes).map_err(|error| unreadable(&error))?;
    let given = record.properties();
    let topic = given.get(properties::REAL_TOPIC).ok_or(Refused::NoProperty("REAL_TOPIC"))?;
    let queue = given.get(properties::REAL_QID).and_then(|queue| queue.parse().ok());
    let queue = queue.ok_or(Refused::NoProperty("REAL_QID"))?;
    if topic == HALF_TOPIC {
        return Err(Refused::ForbiddenTopic(HALF_TOPIC));
    }
    let without_crc = without_crc(given);
    let message = NewRecord {
        topic,
        queue_id: QueueId(queue),
        flag: record.flag(),
        sys_flag: record.sys_flag(),
        born_timestamp: record.born_timestamp(),
        born_host: record.born_host(),
        store_host: record.store_host(),
        reconsume_times: record.reconsume_times(),
        prepared_transaction_offset: 0,
        body: record.body(),
        properties: without_crc.as_deref().unwrap_or(given.encoded()),
    };
    match store.append(&message, now) {
        Ok(receipt) => {
            let queue = message.queue_id.0 as i32;
            delivered(topic, Moved { queue, messages: 1, bytes: u64::from(receipt.size) });
            Ok(())
        }
        Err(error) if error.is_of_the_message() => Err(Refused::NotStorable(error)),
        Err(error) => Err(Refused::ForNow(error)),
    }
}

/// The checksum among the properties is of the record they came in; `None` if there is none.
fn without_crc(given: Properties<'_>) -> Option<Vec<u8>> {
    given.get(properties::CRC32)?;
    let mut editor = PropertiesEditor::from(given);
    editor.remove(properties::CRC32);
    Some(editor.encode().into_bytes())
}

/// The file under `config/`.
pub const FILE: &str = "delayOffset.json";

#[cfg(test)]
mod tests;
