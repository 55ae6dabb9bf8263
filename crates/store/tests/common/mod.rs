//! What several tests need: a message, a store on the simulated disk, everything in a queue.

#![allow(dead_code, reason = "each test file uses a part")]

use std::net::SocketAddr;
use std::sync::Arc;

use skua_protocol::record::{Message, NewRecord};
use skua_protocol::{Millis, QueueId};
use skua_store::disk::SimDisk;
use skua_store::{Entry, FileSize, ReadLimits, ReadStatus, Store, StoreOptions};

pub const NOW: Millis = Millis(1_700_000_000_000);

pub fn host() -> SocketAddr {
    ([127, 0, 0, 1], 10911).into()
}

pub fn message<'a>(topic: &'a str, queue: u32, body: &'a [u8]) -> NewRecord<'a> {
    NewRecord {
        topic,
        queue_id: QueueId(queue),
        flag: 0,
        sys_flag: 0,
        born_timestamp: NOW,
        born_host: host(),
        store_host: host(),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body,
        properties: b"TAGS\x01TagA\x02KEYS\x01k\x02",
    }
}

/// Small files, so that tests meet their ends.
pub fn small_options() -> StoreOptions {
    let mut options = StoreOptions::new("/store");
    options.commit_log_file_size = FileSize::Exactly(4096);
    options.consume_queue_file_size = FileSize::Exactly(100);
    options.batch_queue_file_size = FileSize::Exactly(5 * 46);
    options.extension_file_size = FileSize::Exactly(200);
    options.window_bytes = 64 * 1024;
    options.queue_tail_entries = 7;
    options.open_files = 3;
    options
}

pub fn open(disk: &SimDisk) -> Store {
    Store::open(small_options(), Arc::new(disk.clone()), NOW).expect("the store opens")
}

pub fn dispatch_all(store: &Store) {
    while store.dispatch() > 0 {}
    assert_eq!(store.dispatched(), store.appended());
}

/// All entries of a queue, as reads show them.
pub fn entries(store: &Store, topic: &str, queue: u32) -> Vec<Entry> {
    let mut all = Vec::new();
    let mut from = store.min_offset(topic, QueueId(queue)).map_or(0, |min| min.0 as i64);
    loop {
        let limits = ReadLimits { max_messages: 32 };
        let read = store.read(topic, QueueId(queue), from, limits, &mut |entry| {
            all.push(*entry);
            false
        });
        if read.status != ReadStatus::NoMatchedMessage {
            return all;
        }
        from = read.next_offset;
    }
}

/// All messages of a queue. Those that one record holds are taken apart.
pub fn messages(store: &Store, topic: &str, queue: u32) -> Vec<Message> {
    let mut all = Vec::new();
    let mut from = store.min_offset(topic, QueueId(queue)).map_or(0, |min| min.0 as i64);
    loop {
        let limits = ReadLimits { max_messages: 32 };
        let read = store.read(topic, QueueId(queue), from, limits, &mut |_| true);
        match read.status {
            ReadStatus::Found => {}
            ReadStatus::OffsetOverflowOne | ReadStatus::NoMessageInQueue => return all,
            other => panic!("{topic}/{queue} at {from}: {other:?}"),
        }
        let messages = Message::decode_all(&read.body).expect("a read gives whole records");
        assert_eq!(messages.len(), read.count as usize);
        all.extend(messages);
        from = read.next_offset;
    }
}
