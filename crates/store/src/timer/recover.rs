//! What a start makes of the timer's files, its own or Java's.
//!
//! The checkpoint says what is right for sure. Of the units behind it those count that lead to a
//! message of the timer topic, up to the first that does not; the wheel is brought up to them.
//! From the checkpoint's queue offset on all messages are gone through again, and only those that
//! have no unit yet are taken.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};

use skua_protocol::Millis;
use skua_protocol::properties::REAL_TOPIC;
use skua_protocol::record::Record;

use super::layout::{TimerCheckpoint, Unit};
use super::log::TimerLog;
use super::metrics::Metrics;
use super::wheel::Wheel;
use super::{
    BLANK_SLOTS, Messages, Paths, Shared, TIMER_TOPIC, Timer, TimerOptions, Work, checkpoint_file,
};
use crate::config_files::ConfigFiles;
use crate::disk::{Disk, DiskError, DiskResult};
use crate::error::OpenError;
use crate::recovery::LastRun;
use crate::signal::Signal;

impl Timer {
    /// Opens the files under `root`, or makes them.
    pub(crate) fn open(
        options: TimerOptions,
        root: &Path,
        disk: &Arc<dyn Disk>,
        config_files: ConfigFiles,
        last_run: LastRun,
        messages: &dyn Messages,
        now: Millis,
    ) -> Result<Self, OpenError> {
        if options.precision_ms < 1 {
            let value = options.precision_ms as u64;
            return Err(OpenError::Option { key: "timerPrecisionMs", value, must: "at least 1" });
        }
        let paths = Paths::new(root);
        let checkpoint_file = checkpoint_file(&**disk, &paths.checkpoint)?;
        let checkpoint = TimerCheckpoint::read(&*checkpoint_file)?;
        let mut saved = checkpoint;
        let mut log = TimerLog::open(Arc::clone(disk), paths.log.clone(), options.log_file_size)?;
        let (mut wheel, is_new) =
            Wheel::open(&**disk, &paths.wheel, u64::from(options.slots.max(1)) * 2)?;
        let snapshots = snapshots(&**disk, root)?;
        let had_units = !log.is_empty();

        let flushed = u64::try_from(checkpoint.log_flushed).unwrap_or(0);
        let is_known = flushed > 0 && (log.is_place(flushed) || log.is_file_end(flushed));
        let from = if is_known { flushed } else { log.start() };
        let mut recovered = VecDeque::new();
        let mut record = Vec::new();
        log.recover(from, &mut |_, unit| {
            let is_right = is_message(messages, unit, &mut record)?;
            if is_right {
                recovered.push_back(unit.physical_offset);
            }
            Ok(is_right)
        })?;

        let read = if checkpoint.last_read_time > 0 {
            options.tick(checkpoint.last_read_time)
        } else {
            // Nobody knows; as far back as leaves room for what is to come, as in Java.
            options.tick(now.0) - i64::from(options.slots.saturating_sub(BLANK_SLOTS))
        };
        let last = wheel.load(read)?;
        let is_lost = (had_units && (is_new || !is_known))
            || !snapshots.is_empty()
            || last >= log.end() as i64;
        let mut add_from = from;
        if is_lost {
            tracing::warn!(last, end = log.end(), "the timer wheel is built anew from its log");
            // Until the new one is durable every start does this again.
            saved.log_flushed = 0;
            saved.version.bump(now);
            saved.write(&*checkpoint_file)?;
            wheel.clear()?;
            add_from = log.start();
        }
        let mut metrics = Metrics::load(&config_files)?;
        let mut added = 0;
        let mut touched: BTreeMap<i64, Vec<(u64, i32)>> = BTreeMap::new();
        log.walk(add_from, &mut |position, unit| {
            let tick = options.tick(unit.time());
            if tick >= read && is_lost {
                let slot = wheel.get(tick)?;
                wheel.add(slot, position, counts(unit));
            } else if tick >= read {
                touched.entry(tick).or_default().push((position, counts(unit)));
            }
            if position >= from && is_known {
                count(messages, unit, &mut metrics, &mut record, now)?;
            }
            added += 1;
            Ok(true)
        })?;
        for (tick, units) in touched {
            bring_up(&mut wheel, tick, &units)?;
        }
        if last_run == LastRun::DiskFailed {
            log.rewrite(from)?;
            wheel.rewrite()?;
        }
        for name in &snapshots {
            disk.remove(&root.join(name))?;
        }

        let (min, max) = messages.queue()?;
        let queue_offset = u64::try_from(checkpoint.queue_offset).unwrap_or(0);
        if queue_offset > max {
            tracing::warn!(queue_offset, max, "the timer was further than its queue is now");
        }
        let queue_offset = queue_offset.clamp(min, max.max(min));
        // What is on its way to a slot in the past finds it still open.
        let is_behind = wheel.next_unread(read).is_some() || queue_offset < max;
        // A slave's slots are over when the master says so.
        let read =
            if is_behind || !options.delivers { read } else { read.max(options.tick(now.0)) };
        if saved.last_read_time == 0 {
            // However long the next outage is, nothing before now has been delivered.
            saved.last_read_time = read.saturating_mul(options.precision_ms);
            saved.version.bump(now);
            saved.write(&*checkpoint_file)?;
        }
        tracing::info!(units = added, waiting = wheel.waiting(), queue_offset, "timer recovered");
        let work = Work {
            log,
            checkpoint_file,
            slot: None,
            barrier: None,
            is_blocked: false,
            rolled_until: 0,
            recovered,
            // So that a start is noted, and what was written anew is saved.
            flush_at: Some(now),
            retry_at: None,
            unflushed_units: 0,
            entries: Vec::new(),
            record,
            properties: Vec::new(),
        };
        let shared = Shared {
            wheel,
            read,
            queue_offset,
            saved,
            metrics,
            delivers: options.delivers,
            master_queue_offset: u64::try_from(checkpoint.master_queue_offset).unwrap_or(0),
        };
        Ok(Self {
            options,
            config_files,
            work: Mutex::new(work),
            shared: Mutex::new(shared),
            wanted: Signal::default(),
        })
    }
}

/// Makes a slot end with the last of the units that came after the checkpoint, in their order. It
/// may have been in the midst of being written.
fn bring_up(wheel: &mut Wheel, tick: i64, units: &[(u64, i32)]) -> DiskResult<()> {
    let slot = wheel.get(tick)?;
    let Some((last, _)) = units.last().filter(|(last, _)| slot.last != *last as i64) else {
        return Ok(());
    };
    let is_missing = |position: u64| slot.last > *last as i64 || position as i64 > slot.last;
    let missing = units.iter().filter(|(position, _)| is_missing(*position));
    wheel.add(slot, *last, missing.map(|(_, counts)| counts).sum());
    Ok(())
}

fn counts(unit: &Unit) -> i32 {
    if unit.magic & super::layout::MAGIC_DELETE != 0 { -1 } else { 1 }
}

/// Whether the unit leads to a message of the timer topic, or to where one was.
fn is_message(messages: &dyn Messages, unit: &Unit, buffer: &mut Vec<u8>) -> DiskResult<bool> {
    if unit.physical_offset < messages.min_physical_offset() {
        return Ok(true);
    }
    if !messages.record(unit.physical_offset, unit.size, buffer)? {
        return Ok(false);
    }
    Ok(Record::parse(buffer).is_ok_and(|record| record.topic() == TIMER_TOPIC))
}

/// Counts a unit that came after the counts were saved.
fn count(
    messages: &dyn Messages,
    unit: &Unit,
    metrics: &mut Metrics,
    buffer: &mut Vec<u8>,
    now: Millis,
) -> DiskResult<()> {
    if messages.record(unit.physical_offset, unit.size, buffer)?
        && let Ok(record) = Record::parse(buffer)
        && let Some(topic) = record.properties().get(REAL_TOPIC)
    {
        metrics.add(topic, i64::from(counts(unit)), now);
    }
    Ok(())
}

/// Names of the wheel's snapshots that Java left (`timerWheelSnapshotFlush`): with them the wheel
/// itself is old.
fn snapshots(disk: &dyn Disk, root: &Path) -> Result<Vec<String>, DiskError> {
    let listed = disk.list(root)?.into_iter().map(|listed| listed.name);
    let is_snapshot = |name: &String| {
        name.strip_prefix("timerwheel.")
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    Ok(listed.filter(is_snapshot).collect())
}
