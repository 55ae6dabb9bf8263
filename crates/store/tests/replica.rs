//! A store as a copy of another: record by record, from the start or from a later file.

mod common;

use std::sync::Arc;

use common::{NOW, dispatch_all, entries, message, messages, open, small_options};
use skua_protocol::record::{Peek, next};
use skua_protocol::{PhysicalOffset, QueueId};
use skua_store::disk::{Crash, SimDisk};
use skua_store::{AppendError, ReplicateError, Store};

/// Whole records and file ends of `from`'s log from `at` on, each with its offset.
fn pieces(from: &Store, mut at: u64) -> Vec<(PhysicalOffset, bytes::Bytes)> {
    let mut pieces = Vec::new();
    let end = from.appended().0;
    let file = from.commit_log_file_size();
    while at < end {
        let room = ((at / file + 1) * file).min(end) - at;
        let rest = from.log_bytes(PhysicalOffset(at), room as usize).expect("in the log");
        let size = match next(&rest).expect("a record") {
            Peek::Message { size } | Peek::EndOfFile { size } => size,
            Peek::Empty => panic!("nothing at {at}"),
        };
        pieces.push((PhysicalOffset(at), rest.slice(..size)));
        at += size as u64;
    }
    pieces
}

fn master(messages: usize) -> Store {
    let store = open(&SimDisk::new(1));
    for number in 0..messages {
        let body = vec![b'x'; number * 37 % 700];
        let record = message(["TopicA", "TopicB"][number % 2], (number % 3) as u32, &body);
        store.append(&record, NOW).expect("stored");
    }
    dispatch_all(&store);
    store
}

fn copy(from: &Store, to: &Store, at: u64) {
    to.become_copy();
    for (offset, bytes) in pieces(from, at) {
        to.append_copy(offset, &bytes).expect("copied");
    }
    assert_eq!(to.appended(), from.appended());
}

fn assert_same(a: &Store, b: &Store, from: u64) {
    let file = a.commit_log_file_size();
    let mut at = from;
    while at < a.appended().0 {
        let len = ((at / file + 1) * file).min(a.appended().0) - at;
        let read = |store: &Store| store.log_bytes(PhysicalOffset(at), len as usize).expect("read");
        assert_eq!(read(a), read(b), "bytes from {at} on");
        at += len;
    }
}

#[test]
fn a_copy_has_the_same_log_and_the_same_queues() {
    let master = master(40);
    let disk = SimDisk::new(2);
    let slave = open(&disk);
    copy(&master, &slave, 0);
    dispatch_all(&slave);
    assert_same(&master, &slave, 0);
    for (topic, queue) in [("TopicA", 0), ("TopicB", 1), ("TopicA", 2), ("TopicB", 0)] {
        assert_eq!(entries(&master, topic, queue), entries(&slave, topic, queue));
        assert_eq!(messages(&master, topic, queue).len(), messages(&slave, topic, queue).len());
    }
    // As the next master it goes on where the log ends.
    slave.close().expect("closes");
    drop(slave);
    let slave = open(&disk);
    let before = slave.max_offset("TopicA", skua_protocol::QueueId(0)).expect("has messages");
    let receipt = slave.append(&message("TopicA", 0, b"new"), NOW).expect("stored");
    assert_eq!(receipt.queue_offset, before);
}

#[test]
fn an_empty_store_begins_where_the_masters_log_does_and_stays_so_after_a_crash() {
    let master = master(60);
    let start = master.commit_log_file_size() * 2;
    let disk = SimDisk::new(3);
    let slave = open(&disk);
    // Made ahead for a log that begins at 0.
    slave.files_due(NOW);
    assert!(slave.begin_at(PhysicalOffset(start)).expect("a file's start"));
    copy(&master, &slave, start);
    dispatch_all(&slave);
    assert_eq!(slave.min_physical_offset().0, start);
    assert_same(&master, &slave, start);
    let newest = |store: &Store| messages(store, "TopicB", 1).last().map(|m| m.queue_offset);
    assert_eq!(newest(&master), newest(&slave));
    assert!(!slave.begin_at(PhysicalOffset(0)).expect("a file's start"), "it has begun");
    drop(slave);
    disk.reboot(Crash::Process);
    let slave = open(&disk);
    assert_eq!(slave.appended(), master.appended());
    assert_same(&master, &slave, start);
    assert_eq!(newest(&master), newest(&slave));
}

#[test]
fn what_does_not_go_on_where_the_log_ends_is_refused() {
    let master = master(20);
    let slave = Store::open(small_options(), Arc::new(SimDisk::new(4)), NOW).expect("opens");
    let pieces = pieces(&master, 0);
    let (first, second) = (&pieces[0], &pieces[1]);
    assert!(matches!(slave.append_copy(first.0, &first.1), Err(ReplicateError::Own)));
    slave.become_copy();
    let refused = slave.append_copy(second.0, &second.1);
    assert!(matches!(refused, Err(ReplicateError::NotTheEnd { end: 0, .. })));
    let half = &first.1[..first.1.len() - 1];
    assert!(matches!(slave.append_copy(first.0, half), Err(ReplicateError::NoRecord { .. })));
    assert!(matches!(slave.append_copy(first.0, &second.1), Err(ReplicateError::BadRecord { .. })));
    assert!(matches!(slave.begin_at(PhysicalOffset(7)), Err(ReplicateError::NoFileStart(7))));
    assert_eq!(slave.appended().0, 0);
    slave.append_copy(first.0, &first.1).expect("nothing harmed it");
}

#[test]
fn a_slave_that_becomes_master_goes_on_where_the_old_one_stopped() {
    let (old, new) = (master(20), open(&SimDisk::new(5)));
    copy(&old, &new, 0);
    assert!(matches!(new.append(&message("TopicA", 0, b"early"), NOW), Err(AppendError::Copy)));
    dispatch_all(&new);
    let end = old.become_copy();
    assert_eq!(end, new.appended());
    assert!(matches!(old.append(&message("TopicA", 0, b"late"), NOW), Err(AppendError::Copy)));
    new.become_own();
    let receipts = ["TopicA", "TopicB"].map(|topic| {
        let stored = new.append(&message(topic, 0, b"next"), NOW).expect("its own log");
        assert_eq!(stored.queue_offset, old.max_offset(topic, QueueId(0)).expect("has messages"));
        stored
    });
    assert_eq!(receipts[0].physical_offset, end);
    copy(&new, &old, end.0);
    assert_same(&new, &old, 0);
}
