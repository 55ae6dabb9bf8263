//! Where groups go on after a crash, or on a slave that has become the master: the offsets that
//! were saved may be older than the check points in the log, behind which everything was handed
//! out. A group that was sent elsewhere meanwhile, and a topic that was deleted, leave a mark in
//! each revive queue: check points in front of it say nothing of where to go on.

use std::collections::BTreeMap;

use skua_protocol::Millis;

use super::record::{Ack, Entry, Stored};

/// A mark's start offset: no check point has it, so that for Java it acknowledges nothing.
const MARK: i64 = -1;
/// Stands for all queues of a topic.
const ALL_QUEUES: i32 = -1;

/// Whose check points say nothing any more.
#[derive(Clone, Copy, Debug)]
pub struct Mark<'a> {
    pub topic: &'a str,
    /// `None`: all groups.
    pub group: Option<&'a str>,
    /// `None`: all queues.
    pub queue: Option<i32>,
}

impl Mark<'_> {
    pub fn entry(&self, broker_name: &str, now: Millis) -> Entry {
        Entry::Ack(Ack {
            offset: MARK,
            offsets: None,
            broker_name: broker_name.to_owned(),
            group: self.group.unwrap_or_default().to_owned(),
            invisible_time: None,
            pop_time: now.0,
            queue_id: self.queue.unwrap_or(ALL_QUEUES),
            start_offset: MARK,
            topic: self.topic.to_owned(),
        })
    }
}

/// The topic that a mark says was deleted, if it is one that does.
pub fn deleted_topic(ack: &Ack) -> Option<&str> {
    (ack.start_offset == MARK && ack.group.is_empty()).then_some(&ack.topic)
}

/// Topic, group, queue.
type Place = (String, String, i32);

/// What one revive queue says, entry by entry.
#[derive(Debug, Default)]
pub struct Resume(BTreeMap<Place, i64>);

impl Resume {
    pub fn note(&mut self, stored: Option<&Stored>) {
        match stored.map(|stored| &stored.entry) {
            Some(Entry::CheckPoint(ck)) if !ck.again => {
                let Some(next) = ck.next_offset() else { return };
                let place = (ck.topic.clone(), ck.group.clone(), ck.queue_id);
                let behind = self.0.entry(place).or_insert(next);
                *behind = next.max(*behind);
            }
            Some(Entry::Ack(ack)) if ack.start_offset == MARK => {
                self.0.retain(|(topic, group, queue), _| {
                    *topic != ack.topic
                        || !(ack.group.is_empty() || *group == ack.group)
                        || !(ack.queue_id == ALL_QUEUES || *queue == ack.queue_id)
                });
            }
            _ => {}
        }
    }

    /// Each place and the offset behind its last check point.
    pub fn behind(&self) -> impl Iterator<Item = (&Place, i64)> {
        self.0.iter().map(|(place, &next)| (place, next))
    }
}
