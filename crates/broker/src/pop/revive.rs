//! One queue of the revive topic as a state machine: check points and acknowledgements in, in the
//! order they stand there; out comes what was popped, is not acknowledged, and is due again.
//!
//! It has no state of its own beside what it read: a start reads the queue again from behind the
//! last entry before which nothing is pending ([`Revival::settled`]).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use skua_protocol::Millis;

use super::record::{Ack, CheckPoint, Entry, MESSAGES_MAX, Stored};
use super::resume::deleted_topic;

/// Acknowledgements that Java's timer delivers may come this long after their check point is due.
const TIMER_GRACE_MS: i64 = 3000;
/// Check points that Java's timer delivers may come this long after they are due.
const TIMER_LATE_MS: i64 = 60_000;
/// Most acknowledgements that wait for their check point.
const EARLY_ACKS_MAX: usize = 10_000;

/// Names a check point, in acknowledgements too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    topic: Arc<str>,
    group: Arc<str>,
    broker: Arc<str>,
    queue: i32,
    start_offset: i64,
    pop_time: i64,
}

#[derive(Clone, Debug)]
struct Pending {
    key: Key,
    invisible_time: i64,
    offsets: Box<[i64]>,
    /// Bit `i`: the message at `offsets[i]` is acknowledged.
    acked: u32,
    due: Millis,
    suspend: bool,
}

impl Pending {
    fn all(&self) -> u32 {
        u32::MAX.checked_shr(MESSAGES_MAX as u32 - self.offsets.len() as u32).unwrap_or(0)
    }

    fn is_done(&self) -> bool {
        self.acked & self.all() == self.all()
    }

    fn open(&self) -> impl Iterator<Item = i64> {
        let acked = self.acked;
        let open = move |at: usize| acked & (1 << at) == 0;
        self.offsets.iter().enumerate().filter(move |(at, _)| open(*at)).map(|(_, &o)| o)
    }
}

/// An acknowledgement in front of its check point, which waits in Java's timer.
struct EarlyAck {
    key: Key,
    offsets: Vec<i64>,
    /// The check point does not come any more.
    until: Millis,
}

/// Messages that become visible again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Names the check point.
    pub revive_offset: i64,
    pub topic: Arc<str>,
    pub group: Arc<str>,
    pub broker: Arc<str>,
    pub queue: i32,
    pub start_offset: i64,
    pub pop_time: i64,
    pub suspend: bool,
    /// Not acknowledged.
    pub offsets: Vec<i64>,
}

impl Due {
    /// The acknowledgement of all that is open.
    pub fn end(&self) -> Entry {
        Entry::Ack(Ack {
            offset: -1,
            offsets: Some(self.offsets.clone()),
            invisible_time: None,
            broker_name: self.broker.to_string(),
            group: self.group.to_string(),
            pop_time: self.pop_time,
            queue_id: self.queue,
            start_offset: self.start_offset,
            topic: self.topic.to_string(),
        })
    }
}

/// A queue that messages were popped from.
pub type Place = (Arc<str>, Arc<str>, i32);

#[derive(Default)]
pub struct Revival {
    /// Revive offset to read next.
    next: i64,
    /// By revive offset.
    pending: BTreeMap<i64, Pending>,
    by_key: HashMap<Key, i64>,
    by_due: BTreeSet<(Millis, i64)>,
    /// Messages popped and neither acknowledged nor revived, by topic, group and queue.
    in_flight: HashMap<Place, usize>,
    /// Acknowledgements whose check point has not come yet, by revive offset.
    early: BTreeMap<i64, EarlyAck>,
    names: HashSet<Arc<str>>,
    /// Names to keep before unused ones are looked for.
    names_max: usize,
}

impl Revival {
    pub fn new(next: i64) -> Self {
        Self { next, ..Self::default() }
    }

    /// Revive offset to read next.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// Goes on at `next`: what lies between is not there any more.
    pub fn skip_to(&mut self, next: i64) {
        self.next = next;
    }

    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// First revive offset that a start has to read again.
    pub fn settled(&self) -> i64 {
        let pending = self.pending.first_key_value().map_or(self.next, |(&first, _)| first);
        self.early.first_key_value().map_or(pending, |(&first, _)| first.min(pending))
    }

    pub fn in_flight(&self, topic: &str, group: &str, queue: i32) -> usize {
        let (Some(topic), Some(group)) = (self.names.get(topic), self.names.get(group)) else {
            return 0;
        };
        self.in_flight.get(&(topic.clone(), group.clone(), queue)).copied().unwrap_or(0)
    }

    /// When the next check point is due.
    pub fn next_deadline(&self) -> Option<Millis> {
        self.by_due.first().map(|(due, _)| *due)
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        if self.names.len() >= self.names_max {
            self.names.retain(|name| Arc::strong_count(name) > 1);
            self.names_max = (self.names.len() * 2).max(1024);
        }
        let name: Arc<str> = name.into();
        self.names.insert(name.clone());
        name
    }

    /// Takes up the entry at `revive_offset`; `None` is something that says nothing.
    pub fn note(&mut self, revive_offset: i64, stored: Option<Stored>) {
        self.next = revive_offset + 1;
        match stored {
            Some(Stored { entry: Entry::CheckPoint(check_point), from_timer }) => {
                self.note_check_point(revive_offset, &check_point, from_timer);
            }
            Some(Stored { entry: Entry::Ack(ack), .. }) => match deleted_topic(&ack) {
                Some(topic) => {
                    for gone in self.of_topic(topic) {
                        self.remove(gone.revive_offset);
                    }
                }
                None => self.note_ack(revive_offset, &ack),
            },
            None => {}
        }
    }

    fn note_check_point(&mut self, revive_offset: i64, ck: &CheckPoint, from_timer: bool) {
        let key = Key {
            topic: self.name(&ck.topic),
            group: self.name(&ck.group),
            broker: self.name(&ck.broker_name),
            queue: ck.queue_id,
            start_offset: ck.start_offset,
            pop_time: ck.pop_time,
        };
        let grace = if from_timer { TIMER_GRACE_MS } else { 0 };
        let due = Millis(ck.pop_time).plus(ck.invisible_time).plus(grace);
        let mut pending = Pending {
            invisible_time: ck.invisible_time,
            offsets: ck.offsets().into(),
            acked: ck.bit_map as u32,
            due,
            suspend: ck.suspend,
            key,
        };
        // The same one written again, so that the topic's old part can go. Another of the same name
        // stays pending beside it.
        let before = self.by_key.get(&pending.key).copied();
        let is_same = |before: &i64| {
            self.pending.get(before).is_some_and(|old| old.offsets == pending.offsets)
        };
        if let Some(old) = before.filter(is_same).and_then(|before| self.remove(before)) {
            pending.acked |= old.acked;
        }
        self.early.retain(|_, early| {
            if early.key != pending.key {
                return true;
            }
            let at = |offset: &i64| pending.offsets.iter().position(|o| o == offset);
            let bits = early.offsets.iter().filter_map(at).fold(0, |bits, at| bits | 1 << at);
            pending.acked |= bits;
            false
        });
        if pending.is_done() {
            return;
        }
        *self.in_flight.entry(pending.place()).or_default() += pending.open().count();
        self.by_key.insert(pending.key.clone(), revive_offset);
        self.by_due.insert((pending.due, revive_offset));
        self.pending.insert(revive_offset, pending);
    }

    fn note_ack(&mut self, revive_offset: i64, ack: &Ack) {
        let known = |name: &str| self.names.contains(name);
        let all_known = known(&ack.topic) && known(&ack.group) && known(&ack.broker_name);
        if !all_known && ack.invisible_time.is_none() {
            return;
        }
        let key = Key {
            topic: self.name(&ack.topic),
            group: self.name(&ack.group),
            broker: self.name(&ack.broker_name),
            queue: ack.queue_id,
            start_offset: ack.start_offset,
            pop_time: ack.pop_time,
        };
        if let Some(&check_point) = self.by_key.get(&key) {
            for &offset in ack.offsets() {
                self.finish(check_point, offset);
            }
        } else if let Some(invisible_time) = ack.invisible_time
            && self.early.len() < EARLY_ACKS_MAX
        {
            let until = Millis(ack.pop_time).plus(invisible_time).plus(TIMER_LATE_MS);
            let offsets = ack.offsets().to_vec();
            self.early.insert(revive_offset, EarlyAck { key, offsets, until });
        }
    }

    /// Forgets acknowledgements whose check points will not come any more.
    pub fn forget_early_acks(&mut self, now: Millis) {
        self.early.retain(|_, early| early.until > now);
    }

    /// A message of a check point needs nothing any more.
    pub fn finish(&mut self, revive_offset: i64, offset: i64) {
        let Some(pending) = self.pending.get_mut(&revive_offset) else { return };
        let Some(at) = pending.offsets.iter().position(|&o| o == offset) else { return };
        if pending.acked & (1 << at) != 0 {
            return;
        }
        pending.acked |= 1 << at;
        let (done, place) = (pending.is_done(), pending.place());
        self.leave_flight(&place, 1);
        if done {
            self.remove(revive_offset);
        }
    }

    /// A check point needs nothing any more.
    pub fn drop_check_point(&mut self, revive_offset: i64) {
        self.remove(revive_offset);
    }

    fn leave_flight(&mut self, place: &Place, messages: usize) {
        if let Some(count) = self.in_flight.get_mut(place) {
            *count = count.saturating_sub(messages);
            if *count == 0 {
                self.in_flight.remove(place);
            }
        }
    }

    fn remove(&mut self, revive_offset: i64) -> Option<Pending> {
        let pending = self.pending.remove(&revive_offset)?;
        self.by_due.remove(&(pending.due, revive_offset));
        if self.by_key.get(&pending.key) == Some(&revive_offset) {
            self.by_key.remove(&pending.key);
        }
        self.leave_flight(&pending.place(), pending.open().count());
        Some(pending)
    }

    /// The first check points that are due, at most `most`. They stay until
    /// [`finish`](Self::finish) says of each message that it can be popped again.
    pub fn due(&self, now: Millis, most: usize) -> Vec<Due> {
        let due = self.by_due.iter().take_while(|(due, _)| *due <= now).take(most);
        due.filter_map(|(_, revive_offset)| {
            Some(self.pending.get(revive_offset)?.shown(*revive_offset))
        })
        .collect()
    }

    /// All check points of a topic, due or not.
    pub fn of_topic(&self, topic: &str) -> Vec<Due> {
        let pending = self.pending.iter().filter(|(_, pending)| *pending.key.topic == *topic);
        pending.map(|(&revive_offset, pending)| pending.shown(revive_offset)).collect()
    }

    /// A check point could not be dealt with: it is due once more at `at`.
    pub fn postpone(&mut self, revive_offset: i64, at: Millis) {
        if let Some(pending) = self.pending.get_mut(&revive_offset) {
            self.by_due.remove(&(pending.due, revive_offset));
            pending.due = at;
            self.by_due.insert((at, revive_offset));
        }
    }

    /// The oldest check point if more than `entries` lie behind it: written again, it lets a start
    /// begin further on.
    pub fn oldest_behind(&self, entries: i64) -> Option<CheckPoint> {
        let (&revive_offset, pending) = self.pending.first_key_value()?;
        if self.next - revive_offset <= entries {
            return None;
        }
        let key = &pending.key;
        let difference = |&offset: &i64| i32::try_from(offset - key.start_offset).ok();
        Some(CheckPoint {
            bit_map: pending.acked as i32,
            broker_name: key.broker.to_string(),
            group: key.group.to_string(),
            differences: Some(pending.offsets.iter().filter_map(difference).collect()),
            invisible_time: pending.invisible_time,
            count: pending.offsets.len() as u8,
            pop_time: key.pop_time,
            queue_id: key.queue,
            revive_offset: 0,
            written_again: None,
            start_offset: key.start_offset,
            suspend: pending.suspend,
            topic: key.topic.to_string(),
            again: true,
        })
    }
}

impl Pending {
    fn shown(&self, revive_offset: i64) -> Due {
        let Key { topic, group, broker, queue, start_offset, pop_time } = self.key.clone();
        Due {
            revive_offset,
            topic,
            group,
            broker,
            queue,
            start_offset,
            pop_time,
            suspend: self.suspend,
            offsets: self.open().collect(),
        }
    }

    fn place(&self) -> Place {
        (self.key.topic.clone(), self.key.group.clone(), self.key.queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_in_front_of_its_check_point_counts() {
        let place = ("b", "T", "g", 0);
        let check_point = CheckPoint::of(place, 5, &[5, 6], 1000, 500);
        let ack = Ack {
            offset: 6,
            broker_name: "b".to_owned(),
            group: "g".to_owned(),
            pop_time: 1000,
            start_offset: 5,
            topic: "T".to_owned(),
            ..Ack::default()
        };
        let stored = |entry, from_timer| Some(Stored { entry, from_timer });
        let mut revival = Revival::new(0);
        // Of a pop of this broker itself it would stand behind.
        revival.note(0, stored(Entry::Ack(ack.clone()), false));
        assert_eq!(revival.settled(), 1);
        let ack = Ack { invisible_time: Some(500), ..ack };
        revival.note(1, stored(Entry::Ack(ack), false));
        assert_eq!(revival.settled(), 1, "a start has to read it again");
        revival.note(2, stored(Entry::CheckPoint(check_point), true));
        let due = revival.due(Millis(1500 + TIMER_GRACE_MS), 10);
        assert_eq!(due.iter().map(|due| &*due.offsets).collect::<Vec<_>>(), [[5]]);
        revival.finish(2, 5);
        assert_eq!((revival.pending(), revival.settled()), (0, 3));
        let late = Ack { invisible_time: Some(500), pop_time: 1, ..Ack::default() };
        revival.note(3, stored(Entry::Ack(late), false));
        assert_eq!(revival.settled(), 3);
        revival.forget_early_acks(Millis(501 + TIMER_LATE_MS));
        assert_eq!(revival.settled(), 4);
    }
}
