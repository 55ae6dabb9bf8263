//! Reading the revive topic, and storing again what is due: what [`revive`](super::revive) decides
//! is done here, with the store.

use std::sync::atomic::Ordering;

use skua_protocol::body::{PERM_READ, PERM_WRITE, TopicConfig};
use skua_protocol::record::{NewRecord, Record};
use skua_protocol::{Millis, PhysicalOffset, QueueId};
use skua_store::{AppendError, ReadLimits, ReadStatus};

use super::receipt::{normal_topic, retry_topic_v1, retry_topic_v2};
use super::record::{Ack, Entry, Outgoing, Stored, revived_properties};
use super::resume::{Mark, Resume};
use super::revive::{Due, Revival};
use crate::broker::{Broker, Moved};
use crate::earlier;
use crate::names::{RETRY_PREFIX, SYSTEM_GROUP_PREFIX};
use crate::swap_map::lock;

/// Entries read at a time.
const ENTRIES_AT_A_TIME: u32 = 64;
/// How long entries may lie in the topic before they are read, if nothing is due.
const READ_AFTER_MS: i64 = 50;
/// How soon to look again whether what was appended can be read.
const BARRIER_MS: i64 = 5;
/// When a message that cannot be stored or read now is tried again.
const RETRY_AFTER_MS: i64 = 1000;
/// Check points dealt with in one round.
const CHECK_POINTS_AT_A_TIME: usize = 256;
/// A start may have to read so many entries of a queue, or this many times those pending.
const ENTRIES_KEPT: i64 = 100_000;
const ENTRIES_KEPT_PER_PENDING: i64 = 4;
/// Queues of a pop retry topic.
const RETRY_QUEUES: i32 = 1;

/// Why a message was not made visible again.
#[derive(Debug, thiserror::Error)]
enum Refused {
    /// It is tried again later.
    #[error("{0}")]
    ForNow(String),
    #[error("{0}")]
    ForEver(String),
}

/// The group that reads the revive topic.
pub fn revive_group() -> String {
    format!("{SYSTEM_GROUP_PREFIX}REVIVE_GROUP")
}

impl Broker {
    /// Reads the revive topic from where it is not known to be settled, before anybody pops.
    ///
    /// After a crash the committed offsets may be older than the check points: a group goes on
    /// behind what was popped, which is either acknowledged or will be delivered again.
    pub(crate) fn recover_pops(&self, offsets_are_old: bool, now: Millis) {
        let group = revive_group();
        *lock(&self.pop.barrier) = None;
        for (queue, revival) in (0..).zip(&self.pop.revivals) {
            let settled = self.offsets.committed(&group, &self.pop.revive_topic, queue);
            *lock(revival) = Revival::new(settled.map_or(0, |settled| settled + 1).max(0));
            let mut resume = Resume::default();
            self.read_entries(queue, |stored| resume.note(stored.as_ref()));
            for ((topic, group, queue), next) in resume.behind().filter(|_| offsets_are_old) {
                let committed = self.offsets.committed(group, topic, *queue);
                if committed.is_none_or(|committed| committed < next) {
                    self.offsets.commit(group, topic, *queue, next, now);
                }
            }
        }
        self.count_pending();
    }

    /// Check points so far say nothing any more of where groups go on. Returns where what says so
    /// ends in the log.
    pub(crate) fn mark_pops(
        &self,
        mark: Mark<'_>,
        now: Millis,
    ) -> Result<PhysicalOffset, AppendError> {
        let mut end = PhysicalOffset(0);
        for queue in 0..self.pop.revivals.len() as i32 {
            let entry = mark.entry(self.name(), now);
            end = self.append_pop_entries(queue, &[entry], false, now)?;
        }
        Ok(end)
    }

    /// A topic is gone: what was popped from it is not delivered again, not even when another of
    /// its name is made.
    pub(crate) fn forget_pops_of(&self, topic: &str, now: Millis) -> Result<(), AppendError> {
        self.store.dispatch_here();
        let mut popped = false;
        for queue in 0..self.pop.revivals.len() as i32 {
            self.read_entries(queue, |_| {});
            let pending = lock(&self.pop.revivals[queue as usize]).of_topic(topic);
            popped |= !pending.is_empty();
            let ends: Vec<Entry> = pending.iter().map(Due::end).collect();
            if !ends.is_empty() {
                self.append_pop_entries(queue, &ends, false, now)?;
            }
            for due in pending {
                lock(&self.pop.revivals[queue as usize]).drop_check_point(due.revive_offset);
            }
        }
        self.pop.orders.remove_topic(topic);
        if popped || self.offsets.groups_of(topic).iter().any(|group| self.groups.contains(group)) {
            self.mark_pops(Mark { topic, group: None, queue: None }, now)?;
        }
        Ok(())
    }

    /// Something came into the revive topic.
    pub(crate) fn revive_entry_arrived(&self) {
        let at = self.time_told().plus(READ_AFTER_MS);
        let read_at = &self.pop.read_at;
        if read_at.load(Ordering::Relaxed) == i64::MAX
            && read_at.swap(at.0, Ordering::SeqCst) == i64::MAX
        {
            self.wake_at(at);
        }
    }

    /// Reads what has come into the revive topic and makes visible what is due. Returns when to
    /// come again.
    pub(crate) fn run_pops(&self, now: Millis) -> Option<Millis> {
        let (free, next_release) = self.pop.orders.run_due(now);
        for (topic, group, queue) in free {
            self.wake_pops(&topic, &group, queue);
        }
        let mut next = earlier(self.pop.polls.run_due(now), self.pop.notifications.run_due(now));
        next = earlier(next, next_release);
        // A slave's check points are its master's work.
        if !self.is_slave() {
            next = earlier(next, self.follow_revive_topic(now));
        }
        next
    }

    fn follow_revive_topic(&self, now: Millis) -> Option<Millis> {
        let read_at = Millis(self.pop.read_at.load(Ordering::SeqCst));
        let barrier = *lock(&self.pop.barrier);
        let due = barrier.is_some() || self.next_due_pop().is_some_and(|due| due <= now);
        if read_at > now && !due {
            let read_at = (read_at.0 != i64::MAX).then_some(read_at);
            return earlier(read_at, self.next_due_pop());
        }
        // What arrives from here on sets the time anew.
        self.pop.read_at.store(i64::MAX, Ordering::SeqCst);
        // An acknowledgement counts if it was stored before its time was over.
        let (end, time) = barrier.unwrap_or((self.store.appended(), now));
        let readable = self.store.dispatched() >= end;
        for queue in 0..self.pop.revivals.len() as i32 {
            self.read_entries(queue, |_| {});
        }
        let mut next = None;
        if due && !readable {
            *lock(&self.pop.barrier) = Some((end, time));
            next = Some(now.plus(BARRIER_MS));
        } else {
            *lock(&self.pop.barrier) = None;
            for queue in 0..self.pop.revivals.len() as i32 {
                next = earlier(next, self.revive_due(queue, time, now));
                self.shorten(queue, now);
                lock(&self.pop.revivals[queue as usize]).forget_early_acks(now);
            }
            next = earlier(next, self.next_due_pop());
        }
        self.commit_settled(now);
        self.count_pending();
        next
    }

    fn next_due_pop(&self) -> Option<Millis> {
        let deadlines = self.pop.revivals.iter().map(|revival| lock(revival).next_deadline());
        deadlines.fold(None, earlier)
    }

    fn count_pending(&self) {
        let pending = self.pop.revivals.iter().map(|revival| lock(revival).pending()).sum();
        self.pop.pending.store(pending, Ordering::Relaxed);
    }

    /// Takes up what a revive queue holds beyond what is known.
    fn read_entries(&self, queue: i32, mut each: impl FnMut(&Option<Stored>)) {
        let Some(queue_id) = self.pop.revive_queue(queue) else { return };
        let mut revival = lock(&self.pop.revivals[queue as usize]);
        let limits = ReadLimits { max_messages: ENTRIES_AT_A_TIME };
        loop {
            let from = revival.next();
            let topic = &self.pop.revive_topic;
            let read = self.store.read(topic, queue_id, from, limits, &mut |_| true);
            match read.status {
                ReadStatus::Found => {
                    let mut rest = &read.body[..];
                    while let Ok(record) = Record::parse(rest) {
                        rest = &rest[record.size()..];
                        let stored = self.entry_of(&record);
                        each(&stored);
                        revival.note(record.queue_offset(), stored);
                    }
                }
                ReadStatus::OffsetTooSmall
                | ReadStatus::OffsetOverflowBadly
                | ReadStatus::OffsetFoundNull
                | ReadStatus::MessageWasRemoving
                | ReadStatus::NoMatchedMessage => {
                    tracing::warn!(
                        queue,
                        from,
                        to = read.next_offset,
                        status = read.status.name(),
                        "entries of the revive topic are gone"
                    );
                }
                ReadStatus::OffsetOverflowOne
                | ReadStatus::NoMatchedLogicQueue
                | ReadStatus::NoMessageInQueue
                | ReadStatus::OffsetReset => return,
            }
            if read.next_offset == from {
                return;
            }
            revival.skip_to(read.next_offset);
        }
    }

    fn entry_of(&self, record: &Record<'_>) -> Option<Stored> {
        let mut stored = Entry::read(record);
        match &mut stored {
            // Java: acknowledgements of old brokers name none.
            Some(Stored { entry: Entry::Ack(ack), .. }) if ack.broker_name.is_empty() => {
                ack.broker_name = self.name().to_owned();
            }
            None => tracing::warn!(
                offset = record.physical_offset(),
                "a record of the revive topic says nothing"
            ),
            _ => {}
        }
        stored
    }

    /// Makes messages visible again whose time was over at `time`.
    fn revive_due(&self, queue: i32, time: Millis, now: Millis) -> Option<Millis> {
        let revival = &self.pop.revivals[queue as usize];
        let due = lock(revival).due(time, CHECK_POINTS_AT_A_TIME);
        let more = due.len() == CHECK_POINTS_AT_A_TIME;
        for due in due {
            let topic = normal_topic(&due.topic, &due.group);
            if !self.topics.contains(topic) || !self.groups.contains(&due.group) {
                tracing::info!(?due, "topic or group is gone, nothing is revived");
                lock(revival).drop_check_point(due.revive_offset);
                continue;
            }
            for &offset in &due.offsets {
                match self.revive(queue, &due, offset, now) {
                    Ok(()) => lock(revival).finish(due.revive_offset, offset),
                    Err(Refused::ForEver(cause)) => {
                        tracing::warn!(?due, offset, cause, "a popped message cannot be revived");
                        lock(revival).finish(due.revive_offset, offset);
                    }
                    Err(Refused::ForNow(cause)) => {
                        tracing::warn!(?due, offset, cause, "a popped message is not revived yet");
                        lock(revival).postpone(due.revive_offset, now.plus(RETRY_AFTER_MS));
                        break;
                    }
                }
            }
        }
        more.then_some(now)
    }

    /// Stores a message once more, under the group's retry topic, with the acknowledgement that
    /// keeps a later start from doing it again.
    fn revive(&self, queue: i32, due: &Due, offset: i64, now: Millis) -> Result<(), Refused> {
        let source = u32::try_from(due.queue).map(QueueId);
        let source = source.map_err(|_| Refused::ForEver(format!("queue {}", due.queue)))?;
        let limits = ReadLimits { max_messages: 1 };
        let read = self.store.read(&due.topic, source, offset, limits, &mut |_| true);
        let gone = |why: &str| Refused::ForEver(why.to_owned());
        match read.status {
            ReadStatus::Found => {}
            ReadStatus::OffsetFoundNull => {
                return Err(Refused::ForNow("its queue cannot be read".to_owned()));
            }
            other => return Err(gone(other.name())),
        }
        let record = Record::parse(&read.body).map_err(|error| gone(&error.to_string()))?;
        if record.queue_offset() != offset {
            return Err(gone("another message stands at its offset"));
        }
        let retry_topic = self.ensure_retry_topic(&due.topic, &due.group, now)?;
        let properties = revived_properties(&record, due.pop_time, &due.group);
        let again = NewRecord {
            topic: &retry_topic,
            queue_id: QueueId(0),
            flag: record.flag(),
            sys_flag: record.sys_flag(),
            born_timestamp: record.born_timestamp(),
            born_host: self.store_host(),
            store_host: self.store_host(),
            reconsume_times: record.reconsume_times().saturating_add(i32::from(!due.suspend)),
            prepared_transaction_offset: 0,
            body: record.body(),
            properties: properties.as_bytes(),
        };
        let done = Entry::Ack(Ack {
            offset,
            offsets: None,
            invisible_time: None,
            broker_name: due.broker.to_string(),
            group: due.group.to_string(),
            pop_time: due.pop_time,
            queue_id: due.queue,
            start_offset: due.start_offset,
            topic: due.topic.to_string(),
        });
        let outgoing = Outgoing::new(&[done], now);
        let revive_queue = QueueId(queue as u32);
        let mut records = vec![again];
        records.extend(outgoing.records(
            &self.pop.revive_topic,
            revive_queue,
            self.store_host(),
            now,
        ));
        match self.store.append_batch(&records, now) {
            Ok(receipts) => {
                let bytes = receipts.first().map_or(0, |receipt| u64::from(receipt.size));
                if let Some(topic) = self.topics.get(&retry_topic) {
                    self.count_put(&topic, Moved { queue: 0, messages: 1, bytes }, now);
                }
                Ok(())
            }
            Err(error @ (AppendError::TooLarge { .. } | AppendError::Record(_))) => {
                Err(Refused::ForEver(error.to_string()))
            }
            Err(error) => Err(Refused::ForNow(error.to_string())),
        }
    }

    fn ensure_retry_topic(&self, topic: &str, group: &str, now: Millis) -> Result<String, Refused> {
        let name = if topic.starts_with(RETRY_PREFIX) {
            topic.to_owned()
        } else if self.settings().broker.enable_retry_topic_v2 {
            retry_topic_v2(topic, group)
        } else {
            retry_topic_v1(topic, group)
        };
        if !self.topics.contains(&name) {
            let config = TopicConfig::new(&name, RETRY_QUEUES, PERM_READ | PERM_WRITE);
            let made = self.topics.ensure(config, now);
            made.map_err(|error| Refused::ForNow(error.to_string()))?;
            drop(self.topics_changed());
            if self.offsets.committed(group, &name, 0).is_none() {
                self.offsets.commit(group, &name, 0, 0, now);
            }
        }
        Ok(name)
    }

    /// Writes the oldest check point again if too much lies behind it.
    fn shorten(&self, queue: i32, now: Millis) {
        let oldest = {
            let revival = lock(&self.pop.revivals[queue as usize]);
            let kept = ENTRIES_KEPT_PER_PENDING.saturating_mul(revival.pending() as i64);
            revival.oldest_behind(kept.max(ENTRIES_KEPT))
        };
        let Some(check_point) = oldest else { return };
        let outgoing = Outgoing::new(&[Entry::CheckPoint(check_point)], now);
        let topic = &self.pop.revive_topic;
        let records: Vec<_> =
            outgoing.records(topic, QueueId(queue as u32), self.store_host(), now).collect();
        if let Err(error) = self.store.append_batch(&records, now) {
            tracing::warn!(%error, "an old check point cannot be written again");
        }
    }

    fn commit_settled(&self, now: Millis) {
        let group = revive_group();
        for (queue, revival) in (0..).zip(&self.pop.revivals) {
            let settled = lock(revival).settled() - 1;
            let topic = &self.pop.revive_topic;
            if settled >= 0 && self.offsets.committed(&group, topic, queue) != Some(settled) {
                self.offsets.commit(&group, topic, queue, settled, now);
                self.wake_to_save_offsets(now);
            }
        }
    }

    /// Pops and notifications of a group may find something in a queue.
    pub(crate) fn wake_pops(&self, topic: &str, group: &str, queue: i32) {
        for waiting in [&self.pop.polls, &self.pop.notifications] {
            waiting.more(topic, group, super::polls::ANY_QUEUE);
            waiting.more(topic, group, queue);
        }
    }
}
