//! What must hold, whatever happens.

use std::collections::BTreeMap;

use skua_protocol::record::{MAGIC_END_OF_FILE, Message, Record};
use skua_protocol::{PhysicalOffset, QueueId};
use skua_raft::PeerId;
use skua_store::{ReadLimits, ReadStatus, Store};

use super::node::{Sent, TOPICS};

#[derive(Clone, Debug)]
struct Acknowledged {
    topic: usize,
    queue: u32,
    body: Vec<u8>,
    at: u64,
    queue_offset: u64,
    /// Of the leader that took it.
    term: u64,
}

/// See each field.
#[derive(Default)]
pub struct Truth {
    /// The log as far as any member has called it agreed on.
    log: Vec<u8>,
    /// Up to where its records were looked at, and the next offset of each queue.
    read: usize,
    next: BTreeMap<(String, u32), u64>,
    /// Up to where a member's log was compared, in its present life or before.
    compared: BTreeMap<u64, u64>,
    leaders: BTreeMap<u64, u64>,
    votes: BTreeMap<(u64, u64), PeerId>,
    /// By physical offset.
    acknowledged: BTreeMap<u64, Acknowledged>,
}

impl Truth {
    /// The log that a group begins with.
    pub fn begins_with(&mut self, store: &Store) {
        self.committed(0, store, store.appended().0);
        self.compared.clear();
    }

    /// A member's directory is empty again.
    pub fn forget(&mut self, id: u64) {
        self.compared.remove(&id);
        self.votes.retain(|(node, _), _| *node != id);
    }

    pub fn vote(&mut self, id: u64, term: u64, vote: Option<PeerId>) {
        if let Some(vote) = vote {
            let first = self.votes.entry((id, term)).or_insert(vote);
            assert_eq!(*first, vote, "n{id} votes twice in term {term}");
        }
    }

    pub fn leads(&mut self, id: u64, term: u64) {
        let first = self.leaders.entry(term).or_insert(id);
        assert_eq!(*first, id, "two leaders in term {term}");
    }

    /// The member says that everything before `end` is agreed on.
    pub fn committed(&mut self, id: u64, store: &Store, end: u64) {
        assert!(store.appended().0 >= end, "n{id} has agreed on more than it has");
        let from = self.compared.get(&id).copied().unwrap_or(0);
        let mut at = from.max(store.min_physical_offset().0);
        let file = store.commit_log_file_size();
        while at < end {
            let to = end.min((at / file + 1) * file);
            let bytes = store.log_bytes(PhysicalOffset(at), (to - at) as usize).expect("reads");
            let known = (self.log.len() as u64).clamp(at, to);
            let (old, new) = bytes.split_at((known - at) as usize);
            if !old.is_empty() {
                let there = &self.log[at as usize..known as usize];
                let place = there.iter().zip(old).position(|(a, b)| a != b);
                assert_eq!(place, None, "n{id} differs from {at} on, in what was agreed on");
            }
            assert!(new.is_empty() || self.log.len() as u64 == known, "n{id} has a hole");
            self.log.extend(new);
            self.read(file);
            at = to;
        }
        self.compared.insert(id, end.max(from));
    }

    /// Queue offsets are dense along the log, whoever gave them.
    fn read(&mut self, file: u64) {
        while let Some(head) = self.log.get(self.read..self.read + 8) {
            let size = u32::from_be_bytes(head[..4].try_into().expect("four bytes")) as usize;
            if head[4..] != MAGIC_END_OF_FILE.to_be_bytes() {
                let record = Record::parse(&self.log[self.read..self.read + size]).expect("whole");
                let queue = (record.topic().to_owned(), record.queue_id() as u32);
                let next = self.next.entry(queue).or_default();
                assert_eq!(record.queue_offset() as u64, *next, "queue offset at {}", self.read);
                *next += 1;
            } else {
                assert_eq!((self.read + size) as u64 % file, 0, "a filler ends its file");
            }
            self.read += size;
        }
    }

    pub fn acknowledge(&mut self, sent: &Sent) {
        let acknowledged = Acknowledged {
            topic: sent.topic,
            queue: sent.queue,
            body: sent.body.clone(),
            at: sent.receipt.physical_offset.0,
            queue_offset: sent.receipt.queue_offset.0,
            term: sent.term,
        };
        let at = acknowledged.at;
        let before = self.acknowledged.insert(at, acknowledged);
        assert!(before.is_none(), "two messages acknowledged at {at}");
    }

    /// Up to where any member has called the log agreed on.
    pub fn agreed(&self) -> u64 {
        self.log.len() as u64
    }

    pub fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// A leader has every message that was acknowledged before its term, where it was.
    pub fn check_acknowledged(&self, id: u64, term: u64, store: &Store) {
        let min = store.min_physical_offset().0;
        for (at, wanted) in self.acknowledged.range(min..).filter(|(_, sent)| sent.term < term) {
            let found = store.record_at(PhysicalOffset(*at), None).expect("reads");
            let found = found.unwrap_or_else(|| panic!("n{id} lacks what is acknowledged at {at}"));
            let found = &Message::decode_all(&found).expect("a record")[0];
            assert_eq!(found.body, wanted.body, "n{id} has another message at {at}");
            assert_eq!(found.queue_offset as u64, wanted.queue_offset);
            assert_eq!(
                (&*found.topic, found.queue_id as u32),
                (TOPICS[wanted.topic], wanted.queue)
            );
        }
    }

    /// The whole log is the one agreed on, and the queues show all of it once and in order.
    pub fn check_all(&mut self, id: u64, store: &Store) {
        self.compared.remove(&id);
        self.committed(id, store, store.confirmed().0);
        assert_eq!(store.confirmed(), store.appended());
        assert_eq!(store.dispatched(), store.appended());
        for topic in TOPICS {
            for queue in 0..2 {
                let all = messages(store, topic, queue);
                for pair in all.windows(2) {
                    assert_eq!(pair[0].queue_offset + 1, pair[1].queue_offset, "{topic}/{queue}");
                    assert!(pair[0].physical_offset < pair[1].physical_offset);
                }
                let shown: Vec<_> = all.iter().map(|m| m.physical_offset as u64).collect();
                for wanted in self.acknowledged.range(store.min_physical_offset().0..) {
                    let is_here = TOPICS[wanted.1.topic] == topic && wanted.1.queue == queue;
                    assert!(
                        !is_here || shown.contains(wanted.0),
                        "n{id} does not show {} at {} of {topic}/{queue}; the log begins at {}, {:?}..{:?} {shown:?}",
                        wanted.1.queue_offset,
                        wanted.0,
                        store.min_physical_offset().0,
                        store.min_offset(topic, QueueId(queue)),
                        store.max_offset(topic, QueueId(queue))
                    );
                }
            }
        }
    }
}

fn messages(store: &Store, topic: &str, queue: u32) -> Vec<Message> {
    let mut all = Vec::new();
    let mut from = store.min_offset(topic, QueueId(queue)).map_or(0, |min| min.0 as i64);
    loop {
        let limits = ReadLimits { max_messages: 32 };
        let read = store.read(topic, QueueId(queue), from, limits, &mut |_| true);
        match read.status {
            ReadStatus::Found => {}
            ReadStatus::OffsetOverflowOne
            | ReadStatus::NoMessageInQueue
            | ReadStatus::NoMatchedLogicQueue => return all,
            // What expired in the meantime.
            ReadStatus::MessageWasRemoving | ReadStatus::OffsetTooSmall => {}
            other => panic!("{topic}/{queue} at {from}: {other:?}"),
        }
        all.extend(Message::decode_all(&read.body).expect("a read gives whole records"));
        from = read.next_offset;
    }
}
