//! From the timer topic's queue into the wheel.

use skua_protocol::Millis;
use skua_protocol::properties::{REAL_TOPIC, TIMER_DEL_UNIQKEY, TIMER_OUT_MS};
use skua_protocol::record::{Record, java_hash};

use super::dequeue::{Sent, renew};
use super::layout::{MAGIC_DEFAULT, MAGIC_DELETE, MAGIC_ROLL, Slot, Unit};
use super::{Messages, RETRY_AFTER_MS, TIMER_TOPIC, Timer, Work};
use crate::consume_queue::Entry;
use crate::disk::{DiskResult, lock};

/// Entries taken in one step.
const ENTRIES: usize = if cfg!(test) { 3 } else { 256 };
/// What a message that never waited has as the time it came into the wheel, as in Java.
const NEVER_WAITED: i64 = i64::MAX;

/// What became of an entry.
enum Taken {
    Done,
    /// It is to be tried again.
    Not,
}

impl Timer {
    /// Takes some messages into the wheel; `false` if there is nothing to take.
    pub(super) fn enqueue(
        &self,
        work: &mut Work,
        messages: &dyn Messages,
        now: Millis,
    ) -> DiskResult<bool> {
        let (min, max) = messages.queue()?;
        let (next, until) = {
            let mut shared = lock(&self.shared);
            let next = shared.queue_offset;
            if next < min || next > max {
                tracing::warn!(next, min, max, "the timer's place lies outside its queue");
                shared.queue_offset = min;
            }
            let until = if shared.delivers { max } else { max.min(shared.master_queue_offset) };
            (shared.queue_offset, until)
        };
        if next >= until {
            return Ok(false);
        }
        let mut entries = std::mem::take(&mut work.entries);
        entries.clear();
        messages.entries(next, ENTRIES.min((until - next) as usize), &mut entries)?;
        let mut taken = 0;
        let mut result = Ok(());
        for entry in &entries {
            match self.take(work, messages, entry, now) {
                Ok(Taken::Done) => taken += 1,
                Ok(Taken::Not) => break,
                Err(cause) => {
                    result = Err(cause);
                    break;
                }
            }
            lock(&self.shared).queue_offset = entry.queue_offset.0 + 1;
        }
        work.entries = entries;
        result?;
        Ok(taken > 0)
    }

    fn take(
        &self,
        work: &mut Work,
        messages: &dyn Messages,
        entry: &Entry,
        now: Millis,
    ) -> DiskResult<Taken> {
        let offset = entry.physical_offset.0;
        while work.recovered.front().is_some_and(|known| *known < offset) {
            work.recovered.pop_front();
        }
        if work.recovered.front() == Some(&offset) {
            work.recovered.pop_front();
            return Ok(Taken::Done);
        }
        let mut bytes = std::mem::take(&mut work.record);
        let taken = match messages.record(offset, entry.size, &mut bytes) {
            Ok(true) => self.take_record(work, messages, &bytes, offset, now),
            Ok(false) => {
                tracing::warn!(offset, "a timer message is not in the log and is passed over");
                Ok(Taken::Done)
            }
            Err(cause) => Err(cause),
        };
        work.record = bytes;
        taken
    }

    fn take_record(
        &self,
        work: &mut Work,
        messages: &dyn Messages,
        bytes: &[u8],
        offset: u64,
        now: Millis,
    ) -> DiskResult<Taken> {
        let passed_over = |cause: &dyn std::fmt::Display| {
            tracing::error!(offset, %cause, "a timer message is passed over");
            Ok(Taken::Done)
        };
        let record = match Record::parse(bytes) {
            Ok(record) if record.topic() == TIMER_TOPIC => record,
            Ok(record) => return passed_over(&format_args!("its topic is {}", record.topic())),
            Err(cause) => return passed_over(&cause),
        };
        let given = record.properties();
        let Some(out) = given.get(TIMER_OUT_MS).and_then(|out| out.parse::<i64>().ok()) else {
            return passed_over(&"it has no TIMER_OUT_MS");
        };
        let real_topic = given.get(REAL_TOPIC);
        let deletes = given.get(TIMER_DEL_UNIQKEY).is_some();
        let options = &self.options;
        let (now_tick, read, delivers) = {
            let shared = lock(&self.shared);
            (options.tick(now.0), shared.read, shared.delivers)
        };
        // A clock that was set back must not bring anything into a slot that is over.
        let write_tick = now_tick.max(read);
        let out_tick = options.tick(out);
        // The first slot that takes messages still.
        let open = work.slot.as_ref().map_or(read, |slot| slot.tick() + 1);
        if delivers && out_tick < now_tick.min(open) {
            if deletes {
                return Ok(Taken::Done);
            }
            return Ok(match renew(messages, &record, Some(NEVER_WAITED), false, work, now) {
                Sent::Yes => {
                    let mut shared = lock(&self.shared);
                    shared.metrics.enqueued.add(1, now);
                    shared.metrics.dequeued.add(1, now);
                    Taken::Done
                }
                Sent::Never => Taken::Done,
                Sent::NotNow => {
                    work.retry_at = Some(now.plus(self.retry_after()));
                    Taken::Not
                }
            });
        }
        let window = options.window();
        let mut tick = if delivers { out_tick.max(open) } else { out_tick };
        let mut magic = MAGIC_DEFAULT;
        // In milliseconds as Java reckons: the chosen slot is the same.
        if out.saturating_sub(write_tick * options.precision_ms) >= window * options.precision_ms {
            magic |= MAGIC_ROLL;
            // Leaves time for the next roll.
            let near = out_tick - write_tick - window < (window / 3).max(1);
            tick = write_tick + if near { window / 2 } else { window };
        }
        if deletes {
            magic |= MAGIC_DELETE;
        }
        if tick < read {
            // A slave's message that the master has delivered.
            return Ok(Taken::Done);
        }
        let write_time = write_tick * options.precision_ms;
        let Some(slot) = self.slot_for(work, tick, out_tick.min(now_tick), now)? else {
            return Ok(Taken::Not);
        };
        // The time of the unit is that of the message where it is in its own slot.
        let time = if tick == out_tick { out } else { tick * options.precision_ms };
        let unit = Unit {
            before: slot.last,
            magic,
            write_time,
            delay: time.saturating_sub(write_time).clamp(i32::MIN.into(), i32::MAX.into()) as i32,
            physical_offset: offset,
            size: record.size() as u32,
            topic_hash: real_topic.map_or(0, java_hash),
        };
        let position = work.log.push(&unit)?;
        work.unflushed_units += 1;
        let counts = if deletes { -1 } else { 1 };
        let mut shared = lock(&self.shared);
        shared.wheel.add(slot, position, counts);
        shared.metrics.enqueued.add(1, now);
        if let Some(topic) = real_topic {
            shared.metrics.add(topic, i64::from(counts), now);
        }
        Ok(Taken::Done)
    }

    /// The slot of `tick`, if its place on the wheel is free for it. That it is not takes an
    /// outage of nearly two weeks.
    fn slot_for(
        &self,
        work: &mut Work,
        tick: i64,
        read_until: i64,
        now: Millis,
    ) -> DiskResult<Option<Slot>> {
        let mut shared = lock(&self.shared);
        let turn = shared.wheel.turn();
        if tick - shared.read >= turn
            && work.slot.is_none()
            && shared.wheel.next_unread(shared.read).is_none()
        {
            shared.read = shared.read.max(read_until);
        }
        if tick - shared.read >= turn {
            // What should have been delivered long ago comes first.
            work.is_blocked = true;
            if !shared.delivers {
                work.retry_at = Some(now.plus(self.retry_after()));
            }
            return Ok(None);
        }
        if tick - self.options.tick(shared.saved.last_read_time) >= turn {
            // A start must find all slots within one turn: the checkpoint comes first.
            work.flush_at = Some(now);
            work.retry_at = Some(now.plus(1));
            return Ok(None);
        }
        shared.wheel.get(tick).map(Some)
    }

    pub(super) fn retry_after(&self) -> i64 {
        (RETRY_AFTER_MS * self.options.precision_ms / 1000).clamp(1, RETRY_AFTER_MS)
    }
}
