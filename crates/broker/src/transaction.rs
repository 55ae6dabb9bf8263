//! Transactions (Java: `TransactionalMessageService`): half messages wait in
//! `RMQ_SYS_TRANS_HALF_TOPIC` until their producer commits them, rolls them back, or is asked.
//!
//! Rules and state are in [`half_queue`], what is done with them in [`work`], the records in
//! [`stored`]. This file holds the one half queue of a broker, its timing and its offsets.

mod half_queue;
mod ranges;
mod stored;
mod work;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use arc_swap::ArcSwapOption;
use skua_config::Settings;
use skua_protocol::record::{FLAG_TRANSACTION_COMMIT, FLAG_TRANSACTION_MASK, NewRecord, Record};
use skua_protocol::{Millis, properties};
use skua_store::{AppendError, Receipt, Store};

use crate::broker::{Broker, Moved};
use crate::earlier;
use crate::later;
use crate::names::{HALF_TOPIC, OP_HALF_TOPIC, TRANSACTION_GROUP};
use crate::role::Role;
use crate::swap_map::lock;
use half_queue::{HalfQueue, Progress, Rules, Standing};
use stored::{HALF_QUEUE, StoredQueues};
pub use stored::{HalfMessage, WorkError};
use work::{Round, Turn};

/// How long until work that the store refused is tried again, and until the log is looked at for
/// how far it is durable.
const LOOK_AGAIN_MS: i64 = 1000;
/// No round is due.
const NEVER: i64 = i64::MAX;
const HOUR_MS: i64 = 60 * 60 * 1000;

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Commit,
    RollBack,
}

/// What came of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Now,
    /// It had been settled, or given up, before.
    Before,
}

#[derive(Default)]
pub struct Transactions {
    /// `None` until it is read from the store, and on a slave.
    queue: ArcSwapOption<Mutex<HalfQueue>>,
    /// Held while it is read.
    loading: Mutex<()>,
    /// Somebody holds the queue and reads it from the disk.
    is_read_anew: AtomicBool,
    /// The offsets as they were last given to the consumer offsets, or read from them.
    kept: Mutex<Option<Progress>>,
    round: Mutex<Option<Round>>,
    /// When the next round begins.
    round_due: AtomicI64,
    /// Behind the last half message that a client has sent.
    end: AtomicU64,
}

impl Transactions {
    pub fn new() -> Self {
        Self {
            // The first look tells whether there is anything to ask about.
            round_due: AtomicI64::new(i64::MIN),
            ..Self::default()
        }
    }

    /// The broker became master: as at a start, everything is read from the store.
    pub fn look_anew(&self) {
        let _loading = lock(&self.loading);
        self.queue.store(None);
        *lock(&self.kept) = None;
        *lock(&self.round) = None;
        self.round_due.store(i64::MIN, Ordering::Release);
    }

    /// A half message was stored at this offset: it may have to be asked about.
    pub fn half_stored(&self, broker: &Broker, offset: u64, settings: &Settings, now: Millis) {
        // First: whoever ends a round looks at it after the next one's time was taken away.
        self.end.fetch_max(offset + 1, Ordering::AcqRel);
        self.arm(broker, settings, now);
    }

    fn arm(&self, broker: &Broker, settings: &Settings, now: Millis) {
        let at = now.plus(settings.broker.transaction_check_interval);
        if self.round_due.fetch_min(at.0, Ordering::AcqRel) > at.0 {
            broker.wake_at(at);
        }
    }

    /// The half queue, read from the store if that has not been done.
    fn queue(&self, broker: &Broker, now: Millis) -> Result<Arc<Mutex<HalfQueue>>, WorkError> {
        if let Some(queue) = self.queue.load_full() {
            return Ok(queue);
        }
        let _loading = lock(&self.loading);
        if let Some(queue) = self.queue.load_full() {
            return Ok(queue);
        }
        let queues = StoredQueues { broker };
        let progress = stored_progress(broker);
        let queue = Arc::new(Mutex::new(work::load(&queues, progress, now)?));
        *lock(&self.kept) = Some(progress);
        self.queue.store(Some(queue.clone()));
        Ok(queue)
    }

    /// Commits a half message, which stores it for its consumers, or rolls it back.
    pub fn end(
        &self,
        broker: &Broker,
        half: &HalfMessage,
        decision: Decision,
        now: Millis,
    ) -> Result<Ended, WorkError> {
        let shared = self.queue(broker, now)?;
        settle(broker, lock(&shared), half, decision, Store::append, now)
    }

    /// As [`end`](Self::end) unless that would wait for the disk; who calls takes what was appended
    /// into the queues afterwards (`Store::dispatch_here`). All that hold the half queue do so
    /// for an append at most, but for who reads it anew.
    pub fn try_end(
        &self,
        broker: &Broker,
        half: &HalfMessage,
        decision: Decision,
        now: Millis,
    ) -> Option<Result<Ended, WorkError>> {
        if self.is_read_anew.load(Ordering::Acquire) {
            return None;
        }
        let shared = self.queue.load();
        let shared = shared.as_ref()?;
        Some(settle(broker, lock(shared), half, decision, Store::append_only, now))
    }

    /// Takes a message out of those given up and asks about it again.
    pub fn resume(
        &self,
        broker: &Broker,
        record: &Record<'_>,
        now: Millis,
    ) -> Result<(), WorkError> {
        let shared = self.queue(broker, now)?;
        let mut queue = lock(&shared);
        let queues = StoredQueues { broker };
        let (offset, identity) = queues.resume(record, now)?;
        queue.resumed(identity, offset);
        drop(queue);
        self.arm(broker, &broker.settings(), now);
        Ok(())
    }

    /// Does what is due and returns when to come again. Not to be called twice at a time.
    pub fn run_due(&self, broker: &Broker, now: Millis) -> Option<Millis> {
        let settings = broker.settings();
        match broker.role() {
            Role::Master => {}
            // What it knows and has not written is still to be.
            Role::Neither(_) => return None,
            Role::Slave(_) => {
                self.queue.store(None);
                return None;
            }
        }
        match self.work(broker, &settings, now) {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(%error, "the work on transactions is put off");
                Some(now.plus(LOOK_AGAIN_MS))
            }
        }
    }

    fn work(
        &self,
        broker: &Broker,
        settings: &Settings,
        now: Millis,
    ) -> Result<Option<Millis>, WorkError> {
        let shared = self.queue(broker, now)?;
        let queues = StoredQueues { broker };
        let op_size_max = op_size_max(settings);
        loop {
            let mut queue = lock(&shared);
            match op_due(&queue, settings) {
                Some(at) if at <= now => {
                    work::write_op(&mut queue, &queues, op_size_max, now)?;
                }
                _ => break,
            }
        }
        let mut next = self.round(broker, settings, &shared, now)?;
        next = earlier(next, op_due(&lock(&shared), settings));
        Ok(earlier(next, self.keep_progress(broker, &mut lock(&shared), now)))
    }

    /// As the first reading, but nothing that is known already is forgotten.
    fn read_anew(
        &self,
        broker: &Broker,
        shared: &Mutex<HalfQueue>,
        now: Millis,
    ) -> Result<(), WorkError> {
        self.is_read_anew.store(true, Ordering::Release);
        let mut queue = lock(shared);
        let progress = stored_progress(broker);
        let read = work::load(&StoredQueues { broker }, progress, now);
        self.is_read_anew.store(false, Ordering::Release);
        let read = read?;
        let old = std::mem::replace(&mut *queue, read);
        queue.adopt(old);
        *lock(&self.kept) = Some(progress);
        Ok(())
    }

    /// Goes on with the round under way, or begins one if it is time.
    fn round(
        &self,
        broker: &Broker,
        settings: &Settings,
        shared: &Arc<Mutex<HalfQueue>>,
        now: Millis,
    ) -> Result<Option<Millis>, WorkError> {
        let mut under_way = lock(&self.round);
        let round = match *under_way {
            Some(round) => round,
            None => {
                let due = self.round_due.load(Ordering::Acquire);
                if due > now.0 {
                    return Ok((due != NEVER).then_some(Millis(due)));
                }
                self.round_due.store(NEVER, Ordering::Release);
                if self.offsets_were_set(broker) {
                    tracing::warn!("consumer offsets of {TRANSACTION_GROUP} were set: read anew");
                    self.read_anew(broker, shared, now)?;
                }
                Round { started: now }
            }
        };
        *under_way = Some(round);
        let rules = Rules {
            timeout_ms: settings.broker.transaction_time_out,
            check_max: settings.broker.transaction_check_max,
            reserved_ms: i64::from(settings.store.file_reserved_time) * HOUR_MS,
        };
        let queues = StoredQueues { broker };
        if work::check(shared, &queues, round, now, &rules)? == Turn::GoOn {
            return Ok(Some(now));
        }
        *under_way = None;
        // Not all that is stored is in the queue already.
        let end = broker.store.max_offset(HALF_TOPIC, HALF_QUEUE).map_or(0, |end| end.0);
        let queue = lock(shared);
        if queue.next() < end.max(self.end.load(Ordering::Acquire)) || queue.has_copies() {
            self.arm(broker, settings, now);
        }
        let due = self.round_due.load(Ordering::Acquire);
        Ok((due != NEVER).then_some(Millis(due)))
    }

    /// Gives the offsets to the table of consumer offsets. Returns when to look again.
    fn keep_progress(&self, broker: &Broker, queue: &mut HalfQueue, now: Millis) -> Option<Millis> {
        let progress = queue.progress(broker.store.appended(), broker.store.flushed_offset());
        let mut kept = lock(&self.kept);
        if *kept != Some(progress) {
            let offsets = &broker.offsets;
            let commit = |topic, offset: u64| {
                offsets.commit(TRANSACTION_GROUP, topic, HALF_QUEUE.0 as i32, offset as i64, now);
            };
            commit(HALF_TOPIC, progress.half);
            commit(OP_HALF_TOPIC, progress.op);
            *kept = Some(progress);
            broker.wake_to_save_offsets(now);
        }
        queue.has_progress().then(|| now.plus(LOOK_AGAIN_MS))
    }

    /// Whether somebody else has set the offsets.
    fn offsets_were_set(&self, broker: &Broker) -> bool {
        let committed = |topic| broker.offsets.committed(TRANSACTION_GROUP, topic, 0);
        let (half, op) = (committed(HALF_TOPIC), committed(OP_HALF_TOPIC));
        let same = |there: Option<i64>, kept: u64| there.is_none_or(|there| there == kept as i64);
        let kept = *lock(&self.kept);
        !kept.is_none_or(|kept| same(half, kept.half) && same(op, kept.op))
    }

    /// Writes down everything that is known, for the next start and for Java.
    pub fn shutdown(&self, broker: &Broker, now: Millis) {
        let Some(shared) = self.queue.load_full() else { return };
        let queues = StoredQueues { broker };
        let size_max = op_size_max(&broker.settings());
        let mut queue = lock(&shared);
        let mut write = || -> Result<(), WorkError> {
            while work::write_op(&mut queue, &queues, size_max, now)? {}
            Ok(())
        };
        if let Err(error) = write() {
            tracing::error!(%error, "settlements of transactions are not written down");
        }
        if queue.has_progress() && broker.store.flush().is_ok() {
            // The half queue's offset is noted, then true, then the op queue's follows.
            for _ in 0..3 {
                self.keep_progress(broker, &mut queue, now);
            }
        }
    }
}

fn op_size_max(settings: &Settings) -> usize {
    usize::try_from(settings.broker.transaction_op_msg_max_size).unwrap_or(0)
}

fn op_due(queue: &HalfQueue, settings: &Settings) -> Option<Millis> {
    let interval_ms = i64::from(settings.broker.transaction_op_batch_interval);
    queue.op_due(interval_ms, op_size_max(settings))
}

/// The offsets of `CID_RMQ_SYS_TRANS`, within what the queues hold.
fn stored_progress(broker: &Broker) -> Progress {
    let of = |topic| {
        let store = &broker.store;
        let end = store.max_offset(topic, HALF_QUEUE).map_or(0, |end| end.0);
        let first = store.min_offset(topic, HALF_QUEUE).map_or(0, |first| first.0);
        broker.offsets.take_reset(TRANSACTION_GROUP, topic, HALF_QUEUE.0 as i32);
        let committed =
            broker.offsets.committed(TRANSACTION_GROUP, topic, HALF_QUEUE.0 as i32).unwrap_or(0);
        u64::try_from(committed).unwrap_or(0).clamp(first.min(end), end)
    };
    Progress { half: of(HALF_TOPIC), op: of(OP_HALF_TOPIC) }
}

type Append = fn(&Store, &NewRecord<'_>, Millis) -> Result<Receipt, AppendError>;

/// The queue is held while the message is stored: nobody else may settle it meanwhile.
fn settle(
    broker: &Broker,
    mut queue: MutexGuard<'_, HalfQueue>,
    half: &HalfMessage,
    decision: Decision,
    append: Append,
    now: Millis,
) -> Result<Ended, WorkError> {
    let offset = half.record().queue_offset().max(0) as u64;
    let Standing::Open(live) = queue.standing(offset, half.identity()) else {
        return Ok(Ended::Before);
    };
    if decision == Decision::Commit {
        deliver(broker, &half.record(), append, now)?;
    }
    queue.settle(live);
    if let Some(at) = op_due(&queue, &broker.settings()) {
        drop(queue);
        broker.wake_at(at);
    }
    Ok(Ended::Now)
}

/// Stores a half message under its real topic, or among those that wait if it asks for a delay.
fn deliver(
    broker: &Broker,
    half: &Record<'_>,
    append: Append,
    now: Millis,
) -> Result<(), WorkError> {
    let mut message = stored::editor(half);
    let topic = message.remove(properties::REAL_TOPIC).unwrap_or_default();
    let queue = message.remove(properties::REAL_QID).unwrap_or_default();
    let level = message.get(properties::DELAY).and_then(|level| level.parse().ok()).unwrap_or(0);
    let mut queue_id = queue.parse().unwrap_or(0);
    let mut stored_topic = topic.as_str();
    let waits = if level > 0 {
        Some(later::by_level(broker, broker.delay.level(level), &topic, queue_id))
    } else {
        let (given, settings) = (half.properties(), broker.settings());
        later::by_timer(broker, &settings, given, &topic, queue_id, now)
            .map_err(|error| WorkError::Later(error.to_string()))?
    };
    if let Some(waits) = &waits {
        (stored_topic, queue_id) = (waits.topic, waits.queue);
        for (name, value) in &waits.added {
            message.set(name, value);
        }
    }
    let encoded = message.encode();
    let record = NewRecord {
        topic: stored_topic,
        queue_id: crate::request::queue_id(queue_id),
        sys_flag: half.sys_flag() & !FLAG_TRANSACTION_MASK | FLAG_TRANSACTION_COMMIT,
        prepared_transaction_offset: half.physical_offset(),
        properties: encoded.as_bytes(),
        ..stored::copy_of(half)
    };
    let receipt = append(&broker.store, &record, now)?;
    if let Some(topic) = broker.topics.get(stored_topic) {
        let put = Moved { queue: queue_id, messages: 1, bytes: u64::from(receipt.size) };
        broker.count_put(&topic, put, now);
    }
    Ok(())
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
