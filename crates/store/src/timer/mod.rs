//! Timer messages (Java: `TimerMessageStore`): delivered at any time, not only after a level's
//! delay.
//!
//! A timed message is stored under `rmq_sys_wheel_timer`. From that topic's one queue it gets a
//! unit in the timer log (`log.rs`), chained to those of the same slot of the wheel (`wheel.rs`).
//! When the slot's time is over, the chain is walked and each message stored anew under its real
//! topic (`dequeue.rs`). What is due beyond the wheel's reach waits in a nearer slot and is then
//! stored anew under the timer topic for the rest of its time.
//!
//! ```text
//! queue of rmq_sys_wheel_timer ──► timerlog ◄── last position ── timerwheel
//!                                     │                             │ slot's time is over
//!                                     └── physical offset ──► commit log ──► the real topic
//! ```
//!
//! Order of durability, at most every `timerFlushIntervalMs`: commit log, timer log, wheel, then
//! the checkpoint `config/timercheck`. So a start finds in the wheel only what is in the log, and
//! everything after the checkpoint is done again from the timer topic's queue (`recover.rs`).
//!
//! [`Timer::step`] takes the time and does a bounded piece of work; it has no thread, and holds
//! of the waiting messages one bit a slot.

mod dequeue;
mod enqueue;
mod layout;
mod log;
mod messages;
mod metrics;
mod moved;
mod recover;
mod run;
#[cfg(test)]
mod tests;
mod wheel;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use skua_protocol::Millis;

pub use layout::TimerCheckpoint;
pub(crate) use messages::Messages;
pub use messages::TIMER_TOPIC;
pub use moved::copy_timer;

use crate::config_files::ConfigFiles;
use crate::consume_queue::Entry;
use crate::disk::{Disk, DiskFile, DiskResult, lock};
use crate::options::FileSize;
use crate::signal::Signal;
use dequeue::SlotWork;
use log::TimerLog;
use metrics::Metrics;
use wheel::Wheel;

/// Seconds of a week: the slots of half a turn (Java: `TIMER_WHEEL_TTL_DAY`).
const WEEK_SLOTS: u32 = 7 * 24 * 3600;
/// Slots of half a turn that a message never reaches (Java: `TIMER_BLANK_SLOTS`).
const BLANK_SLOTS: u32 = 60;
/// Changed slots in memory that are worth a flush before its time.
const CHANGED_SLOTS_MAX: usize = if cfg!(test) { 6 } else { 64 * 1024 };
/// Units since the last flush that are: what a start after a crash looks at again.
const UNFLUSHED_UNITS_MAX: u64 = if cfg!(test) { 9 } else { 256 * 1024 };
/// Steps at the end to finish a slot: about a million messages.
const FINISH_STEPS_MAX: u32 = 8 * 1024;
/// How long a delivery that the store refuses is put off, in precisions of a thousandth.
const RETRY_AFTER_MS: i64 = 500;

/// What the timer is told at its opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerOptions {
    /// Milliseconds of a slot (`timerPrecisionMs`).
    pub precision_ms: i64,
    /// Slots of half a turn of the wheel.
    pub slots: u32,
    /// Slots ahead that a message is put at most (`timerRollWindowSlot`).
    pub roll_window: u32,
    /// Bytes of a timer log file (`mappedFileSizeTimerLog`).
    pub log_file_size: FileSize,
    /// Milliseconds between two flushes (`timerFlushIntervalMs`).
    pub flush_interval_ms: i64,
    /// Whether due messages are delivered; a slave leaves that to its master.
    pub delivers: bool,
}

impl Default for TimerOptions {
    fn default() -> Self {
        Self {
            precision_ms: 1000,
            slots: WEEK_SLOTS,
            roll_window: 2 * 24 * 3600,
            log_file_size: FileSize::AsFound { otherwise: 100 << 20 },
            flush_interval_ms: 1000,
            delivers: true,
        }
    }
}

impl TimerOptions {
    /// As Java takes it: nonsense means as far as the wheel goes.
    fn window(&self) -> i64 {
        let most = self.slots.saturating_sub(BLANK_SLOTS).max(2);
        let given = self.roll_window;
        i64::from(if (2..=most).contains(&given) { given } else { most })
    }

    fn tick(&self, time: i64) -> i64 {
        time.div_euclid(self.precision_ms)
    }

    /// When everything of the slot is due.
    fn due(&self, tick: i64) -> Millis {
        Millis((tick + 1).saturating_mul(self.precision_ms))
    }
}

/// What a step leaves to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is more to do at once.
    Again,
    /// Nothing until then, or until something comes in.
    Idle(Option<Millis>),
    /// Nothing until then, whatever comes in: the store refused.
    Refused(Millis),
}

/// How the timer stands, for people.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TimerState {
    /// Milliseconds by which delivery is late.
    pub behind_ms: i64,
    /// Messages of the timer topic that are not in the wheel yet.
    pub behind_messages: u64,
    pub waiting: i64,
    pub enqueued_per_second: u64,
    pub dequeued_per_second: u64,
}

#[derive(Debug)]
pub(crate) struct Timer {
    options: TimerOptions,
    config_files: ConfigFiles,
    /// One step at a time; taken before `shared`.
    work: Mutex<Work>,
    /// What requests look at; never held over a sync.
    shared: Mutex<Shared>,
    /// Wakes the timer's thread.
    pub(crate) wanted: Signal,
}

#[derive(Debug)]
struct Work {
    log: TimerLog,
    checkpoint_file: Arc<dyn DiskFile>,
    /// The slot being delivered.
    slot: Option<SlotWork>,
    /// A slot whose time is over, and the queue offset to be reached before it is delivered: who
    /// asks in time to have a message deleted is heard.
    barrier: Option<(i64, u64)>,
    /// Messages on their way wait for an old slot to be delivered.
    is_blocked: bool,
    /// End of the last message that was stored anew to wait on.
    rolled_until: u64,
    /// Physical offsets after the checkpoint that are in the timer log already, rising.
    recovered: VecDeque<u64>,
    flush_at: Option<Millis>,
    retry_at: Option<Millis>,
    unflushed_units: u64,
    entries: Vec<Entry>,
    record: Vec<u8>,
    properties: Vec<u8>,
}

#[derive(Debug)]
struct Shared {
    wheel: Wheel,
    /// The first slot that is not delivered.
    read: i64,
    /// Next message of the timer topic's queue.
    queue_offset: u64,
    /// As it is in the file.
    saved: TimerCheckpoint,
    metrics: Metrics,
    delivers: bool,
    /// How far a slave may follow.
    master_queue_offset: u64,
}

impl Shared {
    fn checkpoint(&self, precision_ms: i64) -> TimerCheckpoint {
        let queue_offset = self.queue_offset as i64;
        let master = self.master_queue_offset as i64;
        let master_queue_offset = if self.delivers { queue_offset } else { master };
        TimerCheckpoint {
            last_read_time: self.read.saturating_mul(precision_ms),
            queue_offset: queue_offset.min(master_queue_offset),
            master_queue_offset,
            ..self.saved
        }
    }
}

impl Timer {
    /// Does a bounded piece of what is to be done at `now`. One at a time.
    pub(crate) fn step(&self, messages: &dyn Messages, now: Millis) -> DiskResult<Step> {
        let mut work = lock(&self.work);
        let work = &mut *work;
        let is_much = work.unflushed_units >= UNFLUSHED_UNITS_MAX
            || lock(&self.shared).wheel.changed() >= CHANGED_SLOTS_MAX;
        if is_much || work.flush_at.is_some_and(|at| at <= now) {
            self.flush(work, messages, now)?;
        }
        if let Some(at) = work.retry_at.filter(|at| *at > now) {
            return Ok(Step::Refused(work.flush_at.map_or(at, |flush| flush.min(at))));
        }
        work.retry_at = None;
        work.log.write()?;
        let delivered = self.deliver(work, messages, now)?;
        let enqueued = self.enqueue(work, messages, now)?;
        work.log.write()?;
        if delivered || enqueued {
            let at = now.plus(self.options.flush_interval_ms);
            work.flush_at.get_or_insert(at);
        }
        if let Some(at) = work.retry_at {
            return Ok(Step::Refused(work.flush_at.map_or(at, |flush| flush.min(at))));
        }
        if delivered || enqueued {
            return Ok(Step::Again);
        }
        let shared = lock(&self.shared);
        let next = shared.wheel.next_unread(shared.read).filter(|_| shared.delivers);
        let due = next.map(|tick| self.options.due(tick));
        Ok(Step::Idle(due.into_iter().chain(work.flush_at).min()))
    }

    /// Whether messages wait to be taken into the wheel.
    pub(crate) fn has_more(&self, messages: &dyn Messages) -> bool {
        let Ok((_, max)) = messages.queue() else { return false };
        let shared = lock(&self.shared);
        let until = if shared.delivers { max } else { max.min(shared.master_queue_offset) };
        shared.queue_offset < until
    }

    /// Makes everything durable, in order, and notes it in the checkpoint.
    fn flush(&self, work: &mut Work, messages: &dyn Messages, now: Millis) -> DiskResult<()> {
        // What fails is tried again then, if it may be.
        work.flush_at = Some(now.plus(self.options.flush_interval_ms.max(1000)));
        let (changed, mut checkpoint) = {
            let mut shared = lock(&self.shared);
            self.pass_empty(work, &mut shared, messages, now)?;
            (shared.wheel.snapshot(), shared.checkpoint(self.options.precision_ms))
        };
        messages.make_durable()?;
        work.log.sync()?;
        // What the start found behind the checkpoint is still to be met in the queue.
        if work.recovered.is_empty() {
            checkpoint.log_flushed = work.log.end() as i64;
        }
        if let Some(changed) = &changed {
            changed.save()?;
        }
        let (is_changed, metrics) = {
            let mut shared = lock(&self.shared);
            if let Some(changed) = &changed {
                shared.wheel.saved(changed);
            }
            let is_changed = checkpoint != shared.saved || changed.is_some();
            (is_changed, shared.metrics.take_changed())
        };
        if is_changed {
            checkpoint.version.bump(now);
            checkpoint.write(&*work.checkpoint_file)?;
            lock(&self.shared).saved = checkpoint;
        }
        if let Some(content) = metrics {
            metrics::save(&self.config_files, &content)?;
        }
        work.log.delete_expired(messages.min_physical_offset())?;
        (work.unflushed_units, work.flush_at) = (0, None);
        Ok(())
    }

    /// Slots without messages are passed when the clock has passed them and nothing is on its way
    /// to them.
    fn pass_empty(
        &self,
        work: &Work,
        shared: &mut Shared,
        messages: &dyn Messages,
        now: Millis,
    ) -> DiskResult<()> {
        let (_, max) = messages.queue()?;
        if shared.delivers
            && work.slot.is_none()
            && shared.queue_offset >= max
            && messages.dispatched() >= work.rolled_until
        {
            let now = self.options.tick(now.0);
            let next = shared.wheel.next_unread(shared.read);
            shared.read = shared.read.max(next.map_or(now, |next| next.min(now)));
        }
        Ok(())
    }

    /// Delivers what is left of the slot under way, so that the next start does not deliver it from
    /// its beginning. No other is begun. `false` if that cannot be.
    pub(crate) fn finish_slot(&self, messages: &dyn Messages, now: Millis) -> DiskResult<bool> {
        let mut work = lock(&self.work);
        let work = &mut *work;
        work.log.write()?;
        for _ in 0..FINISH_STEPS_MAX {
            let Some(tick) = work.slot.as_ref().map(SlotWork::tick) else { return Ok(true) };
            let now = now.max(self.options.due(tick));
            work.retry_at = None;
            if !self.deliver(work, messages, now)? || work.retry_at.is_some() {
                break;
            }
        }
        Ok(false)
    }

    /// As [`flush`](Self::flush), for the end.
    pub(crate) fn close(&self, messages: &dyn Messages, now: Millis) -> DiskResult<()> {
        self.flush(&mut lock(&self.work), messages, now)
    }

    /// How far everything is, as slaves are told.
    pub(crate) fn checkpoint(
        &self,
        messages: &dyn Messages,
        now: Millis,
    ) -> DiskResult<TimerCheckpoint> {
        let work = lock(&self.work);
        let mut shared = lock(&self.shared);
        self.pass_empty(&work, &mut shared, messages, now)?;
        Ok(shared.checkpoint(self.options.precision_ms))
    }

    pub(crate) fn state(&self, messages: &dyn Messages, now: Millis) -> DiskResult<TimerState> {
        let (_, max) = messages.queue()?;
        let work = lock(&self.work);
        let mut shared = lock(&self.shared);
        self.pass_empty(&work, &mut shared, messages, now)?;
        let read = shared.read.saturating_mul(self.options.precision_ms);
        Ok(TimerState {
            behind_ms: now.0.saturating_sub(read).max(0),
            behind_messages: max.saturating_sub(shared.queue_offset),
            waiting: shared.wheel.waiting(),
            enqueued_per_second: shared.metrics.enqueued.per_second(now),
            dequeued_per_second: shared.metrics.dequeued.per_second(now),
        })
    }

    pub(crate) fn precision_ms(&self) -> i64 {
        self.options.precision_ms
    }

    /// Messages that wait in the slot of a time.
    pub(crate) fn waiting_at(&self, time: i64) -> DiskResult<i32> {
        Ok(lock(&self.shared).wheel.get(self.options.tick(time))?.count)
    }

    pub(crate) fn metrics(&self) -> skua_protocol::body::TimerMetrics {
        lock(&self.shared).metrics.table()
    }

    pub(crate) fn forget_metrics(&self, topic: &str) {
        lock(&self.shared).metrics.forget(topic);
    }

    /// Begins or ends to deliver: the broker became master, or slave.
    pub(crate) fn set_delivers(&self, delivers: bool) {
        {
            let mut shared = lock(&self.shared);
            if shared.delivers && !delivers {
                // Until the new master says more.
                shared.master_queue_offset = shared.queue_offset;
            }
            shared.delivers = delivers;
        }
        self.wanted.wake();
    }

    pub(crate) fn delivers(&self) -> bool {
        lock(&self.shared).delivers
    }

    /// Takes over how far a master is.
    pub(crate) fn follow(&self, master: TimerCheckpoint, now: Millis) -> DiskResult<()> {
        let mut work = lock(&self.work);
        {
            let mut shared = lock(&self.shared);
            let read = self.options.tick(master.last_read_time);
            while let Some(tick) = shared.wheel.next_unread(shared.read)
                && tick < read
            {
                shared.wheel.pass(tick)?;
            }
            shared.read = shared.read.max(read);
            shared.master_queue_offset = u64::try_from(master.master_queue_offset).unwrap_or(0);
        }
        work.slot = None;
        work.flush_at.get_or_insert(now.plus(self.options.flush_interval_ms));
        drop(work);
        self.wanted.wake();
        Ok(())
    }

    /// Takes over what a master counts.
    pub(crate) fn follow_metrics(&self, told: skua_protocol::body::TimerMetrics) {
        lock(&self.shared).metrics.replace(told);
    }
}

/// Where things are under the store's root.
struct Paths {
    wheel: PathBuf,
    log: PathBuf,
    checkpoint: PathBuf,
}

impl Paths {
    fn new(root: &std::path::Path) -> Self {
        Self {
            wheel: root.join("timerwheel"),
            log: root.join("timerlog"),
            checkpoint: root.join("config/timercheck"),
        }
    }
}

/// Opens `config/timercheck`, or makes it.
fn checkpoint_file(disk: &dyn Disk, path: &std::path::Path) -> DiskResult<Arc<dyn DiskFile>> {
    match disk.open(path) {
        Ok(file) if file.len() >= layout::CHECKPOINT_FILE_LEN as u64 => return Ok(file),
        Ok(_) => {}
        Err(cause) if cause.is_not_found() => {}
        Err(cause) => return Err(cause),
    }
    let mut content = disk.read_whole(path)?.unwrap_or_default();
    content.resize(layout::CHECKPOINT_FILE_LEN, 0);
    disk.write_whole(path, &content)?;
    if let Some(dir) = path.parent() {
        disk.sync_dir(dir)?;
    }
    disk.open(path)
}
