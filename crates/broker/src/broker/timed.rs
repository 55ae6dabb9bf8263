//! Work that is not a request: arrivals, deadlines, saving, the end.

use std::cell::OnceCell;
use std::sync::atomic::Ordering;

use skua_protocol::Millis;
use skua_store::Arrival;

use super::{Broker, Moved};
use crate::earlier;
use crate::files::SaveError;
use crate::lite;
use crate::names::{SCHEDULE_TOPIC, TABLES_TOPIC};
use crate::swap_map::lock;

impl Broker {
    /// A message can be read now. Called by whoever runs the store's dispatch.
    pub fn on_arrival(&self, arrival: &Arrival<'_>) {
        let offset = arrival.queue_offset.0 as i64;
        let read = OnceCell::new();
        let record = || {
            let size = Some(arrival.size);
            let read =
                read.get_or_init(|| self.store.record_at(arrival.physical_offset, size).ok()?);
            read.clone()
        };
        self.long_polls.arrived(
            arrival.topic,
            arrival.queue_id,
            offset,
            arrival.tags_code,
            &record,
        );
        let queue = i32::try_from(arrival.queue_id.0).unwrap_or(i32::MAX);
        self.pop.polls.arrived(arrival.topic, queue, arrival.tags_code, &record);
        self.pop.notifications.arrived(arrival.topic, queue, arrival.tags_code, &record);
        if lite::is_queue(arrival.topic) {
            self.lite_arrived(arrival.topic, self.time_told());
        }
        if arrival.topic == self.pop.revive_topic {
            self.revive_entry_arrived();
        }
        if arrival.topic == TABLES_TOPIC {
            self.tables_arrived();
        }
        if arrival.topic == SCHEDULE_TOPIC
            && let Some(at) = self.delay.arrived(arrival.queue_id, arrival.tags_code)
        {
            self.wake_at(at);
        }
    }

    /// Does what is due and returns when to come again, unless [`Outside::wake`](super::Outside)
    /// asks for earlier. May wait for the disk. Not to be called twice at a time.
    pub fn run_due(&self, now: Millis) -> Option<Millis> {
        let _running = lock(&self.running);
        self.tell_time(now);
        // From here on earlier deadlines are told through the hook.
        self.next_due.store(i64::MAX, Ordering::SeqCst);
        let mut next = self.deadlines.run_due(now);
        next = earlier(next, self.long_polls.run_due(now));
        // A slave gets what is delivered from its master.
        if !self.is_slave() {
            let delivered = |topic: &str, put: Moved| self.count_delivery(topic, put, now);
            next = earlier(next, self.delay.run_due(&self.store, &delivered, now));
        }
        next = earlier(next, self.run_pops(now));
        next = earlier(next, self.run_lite(now));
        next = earlier(next, self.transactions.run_due(self, now));
        next = earlier(next, self.locks.run_due(now));
        if self.locks.has_changes() {
            self.wake_to_log_tables(now);
        }
        let notify = |group: &str| self.notifies_group(group);
        next = earlier(next, self.consumers.run_due(now, notify));
        self.bury_filters(now);
        let span_ms = self.settings().broker.filter_data_clean_time_span;
        next = earlier(next, self.filters.run_due(span_ms, now));
        next = earlier(next, self.producers.run_due(now));
        next = earlier(next, self.run_tables(now));
        next = earlier(next, self.save_offsets_due(now));
        next = earlier(next, self.sample_due(now));
        next = earlier(next, lock(&self.cold_data).run_due(&self.cold_rules(), now));
        if let Some(at) = next {
            self.next_due.fetch_min(at.0, Ordering::SeqCst);
        }
        next
    }

    fn save_offsets_due(&self, now: Millis) -> Option<Millis> {
        let due = self.offsets_due.load(Ordering::Relaxed);
        if due > now.0 {
            return (due != i64::MAX).then_some(Millis(due));
        }
        self.offsets_due.store(i64::MAX, Ordering::Relaxed);
        if let Err(error) = self.save_consumed(now) {
            tracing::error!(%error, "consumer offsets not saved");
            self.wake_to_save_offsets(now);
        }
        let due = self.offsets_due.load(Ordering::Relaxed);
        (due != i64::MAX).then_some(Millis(due))
    }

    /// Offsets, ordered pops, and in a group up to where in its log they are.
    fn save_consumed(&self, now: Millis) -> Result<(), SaveError> {
        let kept = self.tables.kept();
        self.save_offsets()?;
        self.save_orders(now)?;
        match self.store.has_gate() {
            true => self.tables.save(kept, self.locks.snapshot()),
            false => Ok(()),
        }
    }

    pub(crate) fn save_offsets(&self) -> Result<(), SaveError> {
        let Some(content) = self.offsets.encode_if_changed() else { return Ok(()) };
        let light = self.light_offsets_file.as_ref();
        let saved = light
            .map_or(Ok(()), |file| file.save(|| content.clone()))
            .and_then(|()| self.offsets_file.save(|| content));
        if saved.is_err() {
            self.offsets.mark_changed();
        }
        saved
    }

    /// Groups may have lost their last members.
    pub(crate) fn bury_filters(&self, now: Millis) {
        self.filters.groups_ended(|group| self.consumers.get(group).is_some(), now);
    }

    fn save_orders(&self, now: Millis) -> Result<(), SaveError> {
        let lives =
            |topic: &str, group: &str| self.topics.contains(topic) && self.groups.contains(group);
        let orders = &self.pop.orders;
        // What a group forgets its leader says.
        if orders.is_changed() && (self.is_master() || !self.store.has_gate()) {
            orders.tidy(lives, now);
        }
        orders.save()
    }

    /// Lets all waiting pulls go and writes every table. Clients that know how are sent away from
    /// then on; other requests are served still, but what they change may be lost.
    pub fn shutdown(&self, now: Millis) {
        self.tell_time(now);
        self.stopping.store(true, Ordering::SeqCst);
        self.long_polls.shutdown();
        let span_ms = self.settings().broker.filter_data_clean_time_span;
        self.pop.polls.shutdown();
        self.pop.notifications.shutdown();
        self.lite.polls.shutdown();
        self.transactions.shutdown(self, now);
        let saved = [
            ("filters of consumers", self.filters.save(span_ms, now)),
            ("topics", self.topics.save()),
            ("subscription groups", self.groups.save()),
            ("consumer offsets and ordered pops", self.save_consumed(now)),
            ("progress of delayed messages", self.delay.save()),
        ];
        for (what, saved) in saved {
            if let Err(error) = saved {
                tracing::error!(%error, what, "not saved at the end");
            }
        }
    }
}
