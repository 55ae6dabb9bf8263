//! From the wheel to the real topics: one slot after the other.
//!
//! A slot's chain leads from its newest unit to its oldest, and is delivered the other way round
//! and without the messages that others of the slot ask to delete. So it is walked twice: first
//! to its beginning, remembering every thousandth unit and counting; then piece by piece from the
//! oldest on. However many messages wait in one slot, that needs little memory: one position a
//! piece, one piece, and the keys of at most [`KEYS_MAX`] messages to delete. If there are more,
//! the keys are split into as many parts as it takes, each with a walk of its own.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use skua_protocol::properties::{
    CRC32, PROPERTIES_LEN_MAX, PropertiesEditor, REAL_QID, REAL_TOPIC, TIMER_DEL_UNIQKEY,
    TIMER_DEQUEUE_MS, TIMER_ENQUEUE_MS, TIMER_OUT_MS, TIMER_ROLL_TIMES, UNIQ_KEY, append,
};
use skua_protocol::record::{NewRecord, Record};
use skua_protocol::{Millis, QueueId};

use super::layout::{NONE, Unit};
use super::log::TimerLog;
use super::{Messages, TIMER_TOPIC, Timer, TimerOptions, Work};
use crate::disk::{DiskResult, lock};

/// Units of a piece.
const PIECE: u64 = if cfg!(test) { 3 } else { 1024 };
/// Units walked in one step, where nothing is stored.
const WALK: usize = if cfg!(test) { 2 } else { 4096 };
/// Milliseconds between two looks whether what was stored anew is in its queue.
const ON_ITS_WAY_MS: i64 = 2;
/// Messages delivered in one step.
const DELIVERIES: usize = if cfg!(test) { 2 } else { 256 };
/// Keys of messages to delete that are in memory at a time.
const KEYS_MAX: u64 = if cfg!(test) { 3 } else { 1 << 20 };
/// A key's last bytes decide which part it is in: a delete request may name the topic before it.
const PART_BYTES: usize = 8;

/// A slot under delivery.
#[derive(Debug)]
pub(super) struct SlotWork {
    tick: i64,
    phase: Phase,
    /// The newest unit of each piece, from the newest piece on.
    pieces: Vec<i64>,
    units: u64,
    deletes: u64,
    /// Which part of the keys is in `keys`, of how many.
    part: u64,
    parts: u64,
    keys: Keys,
    /// Units of the present piece that are left, from the newest on.
    piece: Vec<Unit>,
    /// Pieces not begun.
    left: usize,
    /// Delivered, by topic.
    counts: HashMap<String, i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Walking to the beginning; the unit to go on with.
    Count(i64),
    CollectKeys,
    Deliver,
    Done,
}

/// Keys as their hashes: two of 64 bits with keys of this process's own, so that nobody can make
/// two that are alike.
#[derive(Debug, Default)]
struct Keys {
    hashers: (RandomState, RandomState),
    set: HashSet<(u64, u64)>,
}

impl Keys {
    fn hash(&self, key: &[u8]) -> (u64, u64) {
        (self.hashers.0.hash_one(key), self.hashers.1.hash_one(key))
    }

    fn insert(&mut self, key: &str) {
        let hash = self.hash(key.as_bytes());
        self.set.insert(hash);
    }

    fn contains(&self, topic: &str, key: &str) -> bool {
        // Java with `appendTopicForTimerDeleteKey` names the topic before.
        !self.set.is_empty()
            && (self.set.contains(&self.hash(key.as_bytes()))
                || self.set.contains(&self.hash(format!("{topic}+{key}").as_bytes())))
    }

    fn part(&self, key: &str, parts: u64) -> u64 {
        let key = key.as_bytes();
        let end = &key[key.len().saturating_sub(PART_BYTES)..];
        self.hashers.0.hash_one(end) % parts
    }
}

impl SlotWork {
    pub(super) fn tick(&self) -> i64 {
        self.tick
    }

    fn new(tick: i64, last: i64) -> Self {
        Self {
            tick,
            phase: Phase::Count(last),
            pieces: Vec::new(),
            units: 0,
            deletes: 0,
            part: 0,
            parts: 1,
            keys: Keys::default(),
            piece: Vec::new(),
            left: 0,
            counts: HashMap::new(),
        }
    }

    /// The unit at `position` if it is one of this slot.
    fn unit(
        &self,
        log: &mut TimerLog,
        position: i64,
        options: &TimerOptions,
    ) -> DiskResult<Option<Unit>> {
        let unit = log.unit(position)?;
        Ok(unit.filter(|unit| options.tick(unit.time()) == self.tick))
    }

    fn count(&mut self, log: &mut TimerLog, from: i64, options: &TimerOptions) -> DiskResult<()> {
        let mut at = from;
        for _ in 0..WALK {
            let unit = if at == NONE { None } else { self.unit(log, at, options)? };
            let Some(unit) = unit else {
                if at != NONE && at >= log.start() as i64 {
                    tracing::error!(
                        time = self.tick * options.precision_ms,
                        position = at,
                        "the timer log has no unit where a slot's chain leads to; older messages \
                         of the slot are not found"
                    );
                }
                self.parts = self.deletes.div_ceil(KEYS_MAX).max(1);
                self.begin_part();
                return Ok(());
            };
            if self.units.is_multiple_of(PIECE) {
                self.pieces.push(at);
            }
            self.units += 1;
            self.deletes += u64::from(unit.deletes());
            at = unit.before;
        }
        self.phase = Phase::Count(at);
        Ok(())
    }

    fn begin_part(&mut self) {
        self.keys.set.clear();
        self.left = self.pieces.len();
        self.phase = if self.part == self.parts {
            Phase::Done
        } else if self.deletes > 0 {
            Phase::CollectKeys
        } else {
            Phase::Deliver
        };
    }

    /// Reads the oldest piece not begun; `false` if there is none.
    fn load(&mut self, log: &mut TimerLog, options: &TimerOptions) -> DiskResult<bool> {
        let Some(at) = self.left.checked_sub(1) else { return Ok(false) };
        self.left = at;
        self.piece.clear();
        let mut position = self.pieces[at];
        while position != NONE
            && (self.piece.len() as u64) < PIECE
            && let Some(unit) = self.unit(log, position, options)?
        {
            position = unit.before;
            self.piece.push(unit);
        }
        Ok(true)
    }

    /// Whether the message with this key is decided now.
    fn is_mine(&self, key: Option<&str>) -> bool {
        self.parts == 1 || key.map_or(0, |key| self.keys.part(key, self.parts)) == self.part
    }
}

impl Timer {
    /// Goes on with the slot whose time is over; `false` if there is none.
    pub(super) fn deliver(
        &self,
        work: &mut Work,
        messages: &dyn Messages,
        now: Millis,
    ) -> DiskResult<bool> {
        let mut slot = match work.slot.take() {
            Some(slot) => slot,
            None => match self.next_slot(work, messages, now)? {
                Some(slot) => slot,
                None => return Ok(false),
            },
        };
        if !lock(&self.shared).delivers {
            return Ok(false);
        }
        if slot.tick >= self.options.tick(now.0) {
            // The clock was set back: what is left waits.
            work.slot = Some(slot);
            return Ok(false);
        }
        let done = self.go_on(&mut slot, work, messages, now);
        if slot.phase != Phase::Done {
            work.slot = Some(slot);
            return done.map(|()| true);
        }
        let mut shared = lock(&self.shared);
        shared.wheel.pass(slot.tick)?;
        shared.read = shared.read.max(slot.tick + 1);
        for (topic, count) in slot.counts {
            shared.metrics.add(&topic, -count, now);
        }
        done.map(|()| true)
    }

    /// The next slot whose time is over, once everything that was on its way to it is in it.
    fn next_slot(
        &self,
        work: &mut Work,
        messages: &dyn Messages,
        now: Millis,
    ) -> DiskResult<Option<SlotWork>> {
        let mut shared = lock(&self.shared);
        if !shared.delivers {
            return Ok(None);
        }
        let next = shared.wheel.next_unread(shared.read);
        let Some(tick) = next.filter(|tick| *tick < self.options.tick(now.0)) else {
            self.pass_empty(work, &mut shared, messages, now)?;
            return Ok(None);
        };
        if messages.dispatched() < work.rolled_until {
            work.retry_at = Some(now.plus(ON_ITS_WAY_MS));
            return Ok(None);
        }
        let until = match work.barrier {
            Some((of, until)) if of == tick => until,
            _ => messages.queue()?.1,
        };
        work.barrier = Some((tick, until));
        let is_blocked = std::mem::take(&mut work.is_blocked);
        if shared.queue_offset < until && !is_blocked {
            return Ok(None);
        }
        shared.read = shared.read.max(tick);
        Ok(Some(SlotWork::new(tick, shared.wheel.get(tick)?.last)))
    }

    fn go_on(
        &self,
        slot: &mut SlotWork,
        work: &mut Work,
        messages: &dyn Messages,
        now: Millis,
    ) -> DiskResult<()> {
        match slot.phase {
            Phase::Count(from) => slot.count(&mut work.log, from, &self.options),
            Phase::CollectKeys => {
                if !slot.load(&mut work.log, &self.options)? {
                    slot.left = slot.pieces.len();
                    slot.phase = Phase::Deliver;
                    return Ok(());
                }
                collect_keys(slot, work, messages)
            }
            Phase::Deliver => self.deliver_some(slot, work, messages, now),
            Phase::Done => Ok(()),
        }
    }

    fn deliver_some(
        &self,
        slot: &mut SlotWork,
        work: &mut Work,
        messages: &dyn Messages,
        now: Millis,
    ) -> DiskResult<()> {
        if slot.piece.is_empty() && !slot.load(&mut work.log, &self.options)? {
            slot.part += 1;
            slot.begin_part();
            return Ok(());
        }
        for _ in 0..DELIVERIES {
            let Some(unit) = slot.piece.last().copied() else { return Ok(()) };
            if !self.deliver_unit(&unit, slot, work, messages, now)? {
                work.retry_at = Some(now.plus(self.retry_after()));
                return Ok(());
            }
            slot.piece.pop();
        }
        Ok(())
    }

    /// `false`: not now.
    fn deliver_unit(
        &self,
        unit: &Unit,
        slot: &mut SlotWork,
        work: &mut Work,
        messages: &dyn Messages,
        now: Millis,
    ) -> DiskResult<bool> {
        if unit.deletes() {
            return Ok(true);
        }
        let mut bytes = std::mem::take(&mut work.record);
        let sent = match messages.record(unit.physical_offset, unit.size, &mut bytes) {
            Ok(true) => Ok(self.deliver_record(unit, &bytes, slot, work, messages, now)),
            Ok(false) => {
                let offset = unit.physical_offset;
                tracing::error!(offset, "a due message is not in the log and is passed over");
                Ok(true)
            }
            Err(cause) => Err(cause),
        };
        work.record = bytes;
        sent
    }

    fn deliver_record(
        &self,
        unit: &Unit,
        bytes: &[u8],
        slot: &mut SlotWork,
        work: &mut Work,
        messages: &dyn Messages,
        now: Millis,
    ) -> bool {
        let offset = unit.physical_offset;
        let record = match Record::parse(bytes) {
            Ok(record) if record.topic() == TIMER_TOPIC => record,
            _ => {
                tracing::error!(offset, "what should be a due message is none; passed over");
                return true;
            }
        };
        let given = record.properties();
        let key = given.get(UNIQ_KEY);
        if !slot.is_mine(key) {
            return true;
        }
        let topic = given.get(REAL_TOPIC);
        let out = given.get(TIMER_OUT_MS).and_then(|out| out.parse::<i64>().ok());
        // Never early, whatever the unit says.
        let is_early = out.is_some_and(|out| self.options.tick(out) >= self.options.tick(now.0));
        let rolls = unit.rolls() || is_early;
        if !unit.rolls() {
            if given.get(TIMER_DEL_UNIQKEY).is_some() && !is_early {
                return true;
            }
            if key.is_some_and(|key| slot.keys.contains(topic.unwrap_or_default(), key)) {
                tracing::debug!(offset, "a timer message was deleted");
                return true;
            }
        }
        match renew(messages, &record, Some(unit.write_time), rolls, work, now) {
            Sent::Yes => {
                lock(&self.shared).metrics.dequeued.add(1, now);
                if let Some(topic) = topic {
                    match slot.counts.get_mut(topic) {
                        Some(count) => *count += 1,
                        None => drop(slot.counts.insert(topic.to_owned(), 1)),
                    }
                }
                true
            }
            Sent::Never => true,
            Sent::NotNow => false,
        }
    }
}

/// Takes the present piece's requests to delete.
fn collect_keys(slot: &mut SlotWork, work: &mut Work, messages: &dyn Messages) -> DiskResult<()> {
    let units = std::mem::take(&mut slot.piece);
    for unit in units.iter().filter(|unit| unit.deletes()) {
        if !messages.record(unit.physical_offset, unit.size, &mut work.record)? {
            continue;
        }
        let Ok(record) = Record::parse(&work.record) else { continue };
        if record.topic() == TIMER_TOPIC
            && let Some(key) = record.properties().get(TIMER_DEL_UNIQKEY)
            && slot.is_mine(Some(key))
        {
            slot.keys.insert(key);
        }
    }
    Ok(())
}

/// What became of a message that was to be stored anew.
pub(super) enum Sent {
    Yes,
    /// It cannot be stored; somebody was told.
    Never,
    /// The store takes nothing now.
    NotNow,
}

/// Stores a message anew: under its real topic, or, if it `rolls`, under the timer topic. It keeps
/// all its properties, those that made it wait too, as in Java.
pub(super) fn renew(
    messages: &dyn Messages,
    record: &Record<'_>,
    enqueued: Option<i64>,
    rolls: bool,
    work: &mut Work,
    now: Millis,
) -> Sent {
    let offset = record.physical_offset();
    let passed_over = |cause: &dyn std::fmt::Display| {
        tracing::error!(offset, %cause, "a timer message cannot be delivered and is passed over");
        Sent::Never
    };
    let given = record.properties();
    let (topic, queue) = if rolls {
        (TIMER_TOPIC, 0)
    } else {
        let Some(topic) = given.get(REAL_TOPIC) else {
            return passed_over(&"it has no REAL_TOPIC");
        };
        let queue = given.get(REAL_QID).and_then(|queue| queue.parse().ok());
        let Some(queue) = queue else { return passed_over(&"it has no REAL_QID") };
        (topic, queue)
    };
    set_properties(&mut work.properties, record, enqueued, rolls, now);
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
        properties: &work.properties,
    };
    match messages.put(&message, now) {
        Ok(()) => {
            if rolls {
                work.rolled_until = messages.appended();
            }
            Sent::Yes
        }
        Err(cause) if cause.is_of_the_message() => passed_over(&cause),
        Err(cause) => {
            tracing::warn!(%cause, "a timer message cannot be delivered now");
            Sent::NotNow
        }
    }
}

fn set_properties(
    out: &mut Vec<u8>,
    record: &Record<'_>,
    enqueued: Option<i64>,
    rolls: bool,
    now: Millis,
) {
    let given = record.properties();
    out.clear();
    let times = given.get(TIMER_ROLL_TIMES).and_then(|times| times.parse::<i64>().ok());
    let times = rolls.then(|| times.unwrap_or(0).saturating_add(1).to_string());
    let enqueued = enqueued.map(|enqueued| enqueued.to_string());
    let dequeued = now.0.to_string();
    let added = [
        (TIMER_ENQUEUE_MS, enqueued.as_deref()),
        (TIMER_ROLL_TIMES, times.as_deref()),
        (TIMER_DEQUEUE_MS, Some(&*dequeued)),
    ];
    let has_them = [CRC32, TIMER_ENQUEUE_MS, TIMER_ROLL_TIMES, TIMER_DEQUEUE_MS]
        .iter()
        .any(|name| given.get(name).is_some());
    if has_them {
        let mut editor = PropertiesEditor::from(given);
        // The checksum is of the record they came in.
        editor.remove(CRC32);
        for (name, value) in added {
            if let Some(value) = value {
                editor.set(name, value);
            }
        }
        out.extend_from_slice(editor.encode().as_bytes());
    } else {
        out.extend_from_slice(given.encoded());
        for (name, value) in added {
            if let Some(value) = value {
                append(out, name, value);
            }
        }
    }
    if out.len() > PROPERTIES_LEN_MAX {
        // No room for what only tells how it went; the message is worth more.
        let mut editor = PropertiesEditor::from(given);
        editor.remove(CRC32);
        out.clear();
        out.extend_from_slice(editor.encode().as_bytes());
    }
}
