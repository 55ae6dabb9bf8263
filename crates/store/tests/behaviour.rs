//! What the broker relies on, through the store's own door.

mod common;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::{NOW, dispatch_all, entries, message, messages, open, small_options};
use skua_protocol::record::{NewRecord, Peek, Record, next};
use skua_protocol::{Millis, PhysicalOffset, QueueId, QueueOffset};
use skua_store::disk::{Crash, Faults, SimDisk};
use skua_store::inspect::Directory;
use skua_store::{
    AppendError, Boundary, Disk, FileSize, KeepMore, ReadLimits, ReadStatus, RealDisk,
    SCHEDULE_TOPIC, Store, StoreOptions,
};

const QUEUE: QueueId = QueueId(0);

fn status(store: &Store, from: i64) -> (ReadStatus, i64) {
    let limits = ReadLimits { max_messages: 32 };
    let read = store.read("TopicA", QUEUE, from, limits, &mut |_| true);
    (read.status, read.next_offset)
}

#[test]
fn every_offset_gets_the_status_that_java_gives() {
    let store = open(&SimDisk::new(1));
    assert_eq!(status(&store, 0), (ReadStatus::NoMessageInQueue, 0));
    assert_eq!(status(&store, 9), (ReadStatus::NoMessageInQueue, 0));
    for _ in 0..3 {
        store.append(&message("TopicA", 0, b"x"), NOW).expect("stored");
    }
    dispatch_all(&store);
    assert_eq!(status(&store, -1), (ReadStatus::OffsetTooSmall, 0));
    assert_eq!(status(&store, 1), (ReadStatus::Found, 3));
    assert_eq!(status(&store, 3), (ReadStatus::OffsetOverflowOne, 3));
    assert_eq!(status(&store, 4), (ReadStatus::OffsetOverflowBadly, 3));
    let none = store.read("TopicA", QUEUE, 0, ReadLimits { max_messages: 32 }, &mut |_| false);
    assert_eq!((none.status, none.next_offset, none.count), (ReadStatus::NoMatchedMessage, 3, 0));
}

#[test]
fn a_read_keeps_to_count_and_bytes_but_gives_at_least_one() {
    let disk = SimDisk::new(1);
    let mut options = small_options();
    options.commit_log_file_size = FileSize::Exactly(1 << 20);
    options.transfer.bytes_in_memory = 1000;
    options.transfer.count_in_memory = 4;
    let store = Store::open(options, Arc::new(disk), NOW).expect("the store opens");
    for body in [vec![b'x'; 2000], vec![b'x'; 10], vec![b'x'; 800], vec![b'x'; 800]] {
        store.append(&message("TopicA", 0, &body), NOW).expect("stored");
    }
    for _ in 0..9 {
        store.append(&message("TopicA", 0, b"small"), NOW).expect("stored");
    }
    dispatch_all(&store);
    let count = |from, max_messages| {
        store.read("TopicA", QUEUE, from, ReadLimits { max_messages }, &mut |_| true).count
    };
    assert_eq!(count(0, 32), 1, "more bytes than the bound");
    assert_eq!(count(1, 32), 1, "the second would exceed the bytes");
    assert_eq!(count(4, 32), 4, "the count of the store");
    assert_eq!(count(4, 2), 2, "the count of the reader");
}

#[test]
fn a_read_that_may_not_wait_gives_what_a_waiting_one_gives_or_nothing() {
    let disk = SimDisk::new(1);
    let mut options = small_options();
    options.commit_log_file_size = FileSize::Exactly(64 * 1024);
    options.consume_queue_file_size = FileSize::Exactly(64 * 1024);
    let store = Store::open(options, Arc::new(disk), NOW).expect("the store opens");
    for number in 0..500 {
        let body = vec![b'x'; 300 + number];
        store.append(&message("TopicA", 0, &body), NOW).expect("stored");
        store.append(&message("TopicB", 0, &body), NOW).expect("stored");
        store.files_due(NOW);
    }
    dispatch_all(&store);
    store.files_due(NOW);
    let (mut cached, mut not_cached) = (0, 0);
    for from in -1..502 {
        for max_messages in [1, 3, 32] {
            let limits = ReadLimits { max_messages };
            let waiting = store.read("TopicA", QUEUE, from, limits, &mut |_| true);
            match store.read_cached(
                "TopicA",
                QUEUE,
                from,
                limits,
                &mut |_| true,
                KeepMore::default(),
            ) {
                Some(read) => {
                    cached += 1;
                    assert_eq!(format!("{read:?}"), format!("{waiting:?}"), "from {from}");
                }
                None => not_cached += 1,
            }
        }
    }
    assert!(cached > 100 && not_cached > 100, "{cached} {not_cached}");
}

#[test]
fn prepared_and_rolled_back_messages_are_in_no_queue() {
    let store = open(&SimDisk::new(1));
    for sys_flag in [0x4, 0xC, 0x8, 0] {
        let record = NewRecord { sys_flag, ..message("TopicA", 0, b"x") };
        let receipt = store.append(&record, NOW).expect("stored");
        assert!(store.record_at(receipt.physical_offset, None).expect("readable").is_some());
    }
    dispatch_all(&store);
    let flags: Vec<_> =
        messages(&store, "TopicA", 0).iter().map(|message| message.sys_flag).collect();
    assert_eq!(flags, [0x8, 0]);
}

#[test]
fn delayed_messages_have_their_deliver_time_in_the_queue() {
    let store = open(&SimDisk::new(1));
    for (level, delay) in [("1", 1000), ("3", 10_000), ("18", 7_200_000), ("99", 7_200_000)] {
        let properties = format!("DELAY\x01{level}\x02TAGS\x01TagA\x02");
        let record =
            NewRecord { properties: properties.as_bytes(), ..message(SCHEDULE_TOPIC, 4, b"x") };
        store.append(&record, NOW).expect("stored");
        dispatch_all(&store);
        let last = *entries(&store, SCHEDULE_TOPIC, 4).last().expect("it has one");
        assert_eq!(last.tags_code, NOW.0 + delay, "level {level}");
    }
}

#[test]
fn offsets_by_time_are_the_first_not_before_and_the_last_not_after() {
    let store = open(&SimDisk::new(1));
    assert_eq!(store.offset_by_time("TopicA", QUEUE, NOW, Boundary::Lower), Some(QueueOffset(0)));
    for time in [10, 20, 20, 20, 30, 30, 50] {
        store.append(&message("TopicA", 0, b"x"), NOW.plus(time)).expect("stored");
        store.append(&message("TopicB", 0, b"x"), NOW.plus(time)).expect("stored");
    }
    dispatch_all(&store);
    let by_time = |time, boundary| {
        store.offset_by_time("TopicA", QUEUE, NOW.plus(time), boundary).expect("readable").0
    };
    for (time, lower, upper) in [(0, 0, 0), (10, 0, 0), (20, 1, 3), (25, 4, 3), (30, 4, 5)] {
        assert_eq!(by_time(time, Boundary::Lower), lower, "lower {time}");
        assert_eq!(by_time(time, Boundary::Upper), upper, "upper {time}");
    }
    assert_eq!((by_time(40, Boundary::Lower), by_time(40, Boundary::Upper)), (6, 5));
    assert_eq!((by_time(60, Boundary::Lower), by_time(60, Boundary::Upper)), (7, 6));
    assert_eq!(store.earliest_time("TopicA", QUEUE), Some(NOW.plus(10)));
    assert_eq!(store.earliest_time("TopicZ", QUEUE), None);
}

#[test]
fn store_times_never_go_back_along_the_log() {
    let store = open(&SimDisk::new(1));
    let first = store.append(&message("TopicA", 0, b"x"), NOW).expect("stored");
    let second = store.append(&message("TopicA", 0, b"x"), NOW.plus(-5000)).expect("stored");
    assert_eq!((first.store_timestamp, second.store_timestamp), (NOW, NOW));
}

#[test]
fn a_deleted_topic_begins_anew_and_stays_so_after_a_crash() {
    for crash in [Crash::Process, Crash::Power] {
        let disk = SimDisk::new(5);
        let store = open(&disk);
        for _ in 0..30 {
            store.append(&message("TopicA", 0, b"old"), NOW).expect("stored");
            store.append(&message("TopicB", 0, b"kept"), NOW).expect("stored");
        }
        store.dispatch();
        store.append(&message("TopicA", 0, b"old, not dispatched"), NOW).expect("stored");
        store.delete_topic("TopicA").expect("nothing fails");
        assert_eq!(store.max_offset("TopicA", QUEUE), None);
        drop(store);
        disk.reboot(crash);

        let store = open(&disk);
        assert_eq!(store.max_offset("TopicA", QUEUE), None);
        let receipt = store.append(&message("TopicA", 0, b"new"), NOW).expect("stored");
        assert_eq!(receipt.queue_offset, QueueOffset(0));
        dispatch_all(&store);
        let bodies: Vec<_> =
            messages(&store, "TopicA", 0).into_iter().map(|message| message.body).collect();
        assert_eq!(bodies, ["new"]);
        assert_eq!(messages(&store, "TopicB", 0).len(), 30);
    }
}

#[test]
fn arrivals_are_told_once_each_in_order() {
    let store = open(&SimDisk::new(1));
    let told: Arc<Mutex<Vec<_>>> = Arc::default();
    let tell = Arc::clone(&told);
    store.on_arrival(Box::new(move |arrival| {
        let at = (arrival.topic.to_owned(), arrival.queue_id.0, arrival.queue_offset.0);
        tell.lock().expect("no panic").push(at);
    }));
    for number in 0..10 {
        store.append(&message("TopicA", number % 2, b"x"), NOW).expect("stored");
    }
    dispatch_all(&store);
    dispatch_all(&store);
    let mut told = told.lock().expect("no panic").clone();
    told.sort_unstable_by_key(|(_, queue, _)| *queue);
    let expected: Vec<_> = (0..2)
        .flat_map(|queue| (0..5).map(move |offset| ("TopicA".to_owned(), queue, offset)))
        .collect();
    assert_eq!(told, expected);
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_space() {
    let disk = SimDisk::new(1);
    let store = open(&disk);
    store.append(&message("TopicA", 0, b"x"), NOW).expect("stored");
    disk.set_faults(Faults { no_space: true, ..Faults::default() });
    let refused = loop {
        match store.append(&message("TopicA", 0, &[b'x'; 900]), NOW) {
            Ok(_) => {}
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, AppendError::NoSpace(_)), "{refused}");
    assert!(store.failure().is_none());
    disk.set_faults(Faults::default());
    store.append(&message("TopicA", 0, &[b'x'; 900]), NOW).expect("there is space again");
    dispatch_all(&store);
    let offsets: Vec<_> =
        messages(&store, "TopicA", 0).iter().map(|message| message.queue_offset).collect();
    assert_eq!(offsets, (0..offsets.len() as i64).collect::<Vec<_>>());
}

#[test]
fn a_failed_sync_ends_writing_with_its_cause_and_reading_goes_on() {
    let disk = SimDisk::new(1);
    let store = open(&disk);
    store.append(&message("TopicA", 0, b"x"), NOW).expect("stored");
    dispatch_all(&store);
    disk.set_faults(Faults { sync_fails_in: Some(0), ..Faults::default() });
    store.flush_due(NOW.plus(100_000));
    let refused = store.append(&message("TopicA", 0, b"y"), NOW).expect_err("the disk failed");
    assert!(refused.to_string().contains("medium error"), "{refused}");
    assert_eq!(messages(&store, "TopicA", 0).len(), 1);
    assert!(store.close().is_err());
}

#[test]
fn appends_that_fit_no_file_or_could_not_be_told_from_torn_ones_are_refused() {
    let store = open(&SimDisk::new(1));
    let large = vec![0; 5000];
    let refused = store.append(&message("TopicA", 0, &large), NOW);
    assert!(matches!(refused, Err(AppendError::TooLarge { max: 4088, .. })), "{refused:?}");
    let zeros = NewRecord { properties: &[0; 9], ..message("TopicA", 0, b"x") };
    assert!(matches!(store.append(&zeros, NOW), Err(AppendError::Zeros(9))));
    for topic in ["", "..", "a/b"] {
        assert!(matches!(store.append(&message(topic, 0, b"x"), NOW), Err(AppendError::Queue(_))));
    }
    assert_eq!(store.appended().0, 0);
}

#[test]
fn a_batch_lies_together_in_one_file() {
    let store = open(&SimDisk::new(1));
    let body = [b'x'; 900];
    let batch =
        [message("TopicA", 0, &body), message("TopicA", 0, &body), message("TopicA", 1, b"")];
    for _ in 0..20 {
        let receipts = store.append_batch(&batch, NOW).expect("stored");
        assert_eq!(receipts[0].end, receipts[1].physical_offset);
        assert_eq!(receipts[1].end, receipts[2].physical_offset);
        assert_eq!(receipts[0].physical_offset.0 / 4096, receipts[2].end.0 / 4096);
    }
    dispatch_all(&store);
    assert_eq!(messages(&store, "TopicA", 0).len(), 40);
    assert_eq!(messages(&store, "TopicA", 1).len(), 20);
}

#[test]
fn open_files_stay_few_however_many_queues_there_are() {
    let store = open(&SimDisk::new(1));
    for round in 0..3u32 {
        for queue in 0..200 {
            store.append(&message("TopicA", queue, &round.to_be_bytes()), NOW).expect("stored");
        }
        dispatch_all(&store);
    }
    assert!(store.open_files() <= small_options().open_files);
    for queue in 0..200 {
        assert_eq!(messages(&store, "TopicA", queue).len(), 3);
    }
    assert_eq!(store.queue_list().expect("readable").len(), 200);
}

#[test]
fn a_queue_that_is_read_where_it_is_in_memory_does_not_block() {
    let disk = SimDisk::new(1);
    let store = open(&disk);
    let waits = |from| {
        let limits = ReadLimits { max_messages: 1 };
        store
            .read_cached("TopicA", QUEUE, from, limits, &mut |_| true, KeepMore::default())
            .is_none()
    };
    assert!(waits(0), "nothing is known of the queue yet");
    for _ in 0..20 {
        store.append(&message("TopicA", 0, b"x"), NOW).expect("stored");
    }
    dispatch_all(&store);
    assert!(!waits(19));
    assert!(!waits(20), "nothing to read");
}

/// Time for threads of these tests.
fn clock() -> Millis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Millis(since.expect("after 1970").as_millis() as i64)
}

fn block_on<F: std::future::Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::task::Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn what_senders_dispatch_themselves_needs_no_dispatch_thread_to_notice() {
    const SENDERS: u64 = 4;
    const EACH: u64 = 2000;
    let dir = tempfile::tempdir().expect("there is space");
    let store =
        Store::open(StoreOptions::new(dir.path()), Arc::new(RealDisk), clock()).expect("it opens");
    let arrived = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&arrived);
    store.on_arrival(Box::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    }));
    std::thread::scope(|threads| {
        let dispatch = threads.spawn(|| store.run_dispatch());
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let store = &store;
                threads.spawn(move || {
                    for number in 0..EACH {
                        let message = message("TopicA", sender as u32, &[b'x'; 40]);
                        store.append_only(&message, clock()).expect("stored");
                        // As a round of a connection: some requests, then the call.
                        if number % 3 == 0 || number == EACH - 1 {
                            store.dispatch_here();
                        }
                    }
                })
            })
            .collect();
        for sender in senders {
            sender.join().expect("no sender panicked");
        }
        // Nobody appends or calls any more: a record that everyone left to another is lost here.
        let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while store.dispatched() < store.appended() {
            assert!(std::time::Instant::now() < patience, "records wait for nobody");
            std::thread::yield_now();
        }
        store.close().expect("nothing fails");
        dispatch.join().expect("no loop panicked");
    });
    assert_eq!(arrived.load(Ordering::SeqCst) as u64, SENDERS * EACH);
}

#[test]
fn many_senders_on_a_real_disk_with_all_threads_running() {
    const SENDERS: u32 = 8;
    const EACH: u32 = 300;
    let dir = tempfile::tempdir().expect("there is space");
    let mut options = StoreOptions::new(dir.path());
    options.commit_log_file_size = FileSize::Exactly(256 * 1024);
    options.consume_queue_file_size = FileSize::Exactly(4000);
    options.window_bytes = 64 * 1024;
    let store = Store::open(options.clone(), Arc::new(RealDisk), clock()).expect("it opens");
    let arrived = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&arrived);
    store.on_arrival(Box::new(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    }));
    std::thread::scope(|threads| {
        let loops = [
            threads.spawn(|| store.run_dispatch()),
            threads.spawn(|| store.run_flush(clock)),
            threads.spawn(|| store.run_files(clock)),
        ];
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let store = &store;
                threads.spawn(move || {
                    for number in 0..EACH {
                        let body = format!("{sender}-{number}-{}", "x".repeat(number as usize * 3));
                        let queue = number % 4;
                        let message = message("TopicA", queue, body.as_bytes());
                        let receipt = if sender % 2 == 0 {
                            store.append(&message, clock()).expect("stored")
                        } else {
                            let receipt = store.append_only(&message, clock()).expect("stored");
                            store.dispatch_here();
                            receipt
                        };
                        if number % 20 == 0 {
                            block_on(store.flushed(receipt.end)).expect("flushed");
                            assert!(store.flushed_offset() >= receipt.end);
                        }
                        if number % 7 == 0 {
                            let bytes =
                                store.record_at(receipt.physical_offset, Some(receipt.size));
                            assert!(bytes.expect("readable").is_some());
                        }
                    }
                })
            })
            .collect();
        for sender in senders {
            sender.join().expect("no sender panicked");
        }
        store.close().expect("nothing fails");
        for thread in loops {
            thread.join().expect("no loop panicked");
        }
    });
    assert_eq!(arrived.load(Ordering::SeqCst), (SENDERS * EACH) as usize);
    drop(store);

    let store = Store::open(options, Arc::new(RealDisk), clock()).expect("it opens");
    assert!(!store.recovered().was_killed);
    assert_eq!(store.recovered().records, 0, "a clean end leaves nothing to read again");
    for queue in 0..4 {
        let found = messages(&store, "TopicA", queue);
        assert_eq!(found.len() as u32, SENDERS * EACH / 4);
        assert!(found.iter().zip(0..).all(|(message, offset)| message.queue_offset == offset));
        for sender in 0..SENDERS {
            let prefix = format!("{sender}-");
            let numbers: Vec<u32> = found
                .iter()
                .filter_map(|message| {
                    std::str::from_utf8(&message.body).ok()?.strip_prefix(&prefix)
                })
                .filter_map(|rest| rest.split('-').next()?.parse().ok())
                .collect();
            assert!(numbers.is_sorted(), "each sender's messages keep their order");
            assert_eq!(numbers.len() as u32, EACH / 4);
        }
    }
}

#[test]
fn the_timer_begins_on_a_real_disk_that_has_nothing_of_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut options = StoreOptions::new(dir.path());
    options.timer = Some(skua_store::TimerOptions::default());
    for _ in 0..2 {
        let disk = Arc::new(RealDisk);
        let store = Store::open(options.clone(), disk, NOW).expect("the store opens");
        store.timer_due(NOW);
        assert!(store.failure().is_none(), "{:?}", store.failure());
        store.close().expect("the store closes");
    }
}

#[test]
fn verify_tells_of_queues_that_lack_their_first_file_or_their_folder() {
    let disk = SimDisk::new(1);
    let store = open(&disk);
    for nth in 0..12u8 {
        store.append(&message("TopicA", 0, &[nth]), NOW).expect("nothing fails");
    }
    dispatch_all(&store);
    let table = br#"{"dataVersion":{},"topicConfigTable":{"TopicA":{"topicName":"TopicA"}}}"#;
    store.config_files().write("topics.json", table).expect("nothing fails");
    store.close().expect("nothing fails");
    let verify = || {
        let disk = Arc::new(disk.clone());
        let directory = Directory::open(common::small_options(), disk).expect("readable");
        let mut found = Vec::new();
        directory.verify(&mut |finding| found.push(finding.what)).expect("readable");
        found
    };
    assert_eq!(verify(), [""; 0]);
    let dir = Path::new("/store/consumequeue/TopicA/0");
    disk.remove(&dir.join("00000000000000000000")).expect("nothing fails");
    let found = verify();
    assert!(found.iter().any(|what| what.starts_with("begins at queue offset 5")), "{found:?}");
    disk.remove_dir(dir).expect("nothing fails");
    let found = verify();
    assert!(found.iter().any(|what| what.starts_with("there are no files")), "{found:?}");
}

#[test]
fn a_record_is_read_where_it_was_written_and_nothing_else_is_taken_for_one() {
    let disk = SimDisk::new(1);
    let store = open(&disk);
    let receipts: Vec<_> = [&b"first"[..], b"second"]
        .iter()
        .map(|body| store.append(&message("TopicA", 0, body), NOW).expect("stored"))
        .collect();
    for receipt in &receipts {
        let hot = store.hot_record(receipt.physical_offset).expect("written lately");
        let read = store.record_at(receipt.physical_offset, None).expect("readable");
        assert_eq!(Some(hot), read);
    }
    for inside in 1..u64::from(receipts[0].size) {
        assert_eq!(store.hot_record(PhysicalOffset(inside)), None, "{inside}");
    }
    for beyond in [0, 4, 1 << 40, i64::MAX as u64] {
        let at = store.appended().0.saturating_add(beyond);
        assert_eq!(store.hot_record(PhysicalOffset(at)), None, "{at}");
    }
}

/// Dense records are looked at by blocks, scattered ones one by one: the same come.
#[test]
fn of_many_records_those_come_that_are_wanted() {
    let disk = SimDisk::new(1);
    let mut options = small_options();
    options.commit_log_file_size = FileSize::Exactly(1 << 20);
    let store = Store::open(options.clone(), Arc::new(disk.clone()), NOW).expect("opens");
    let filler = vec![b'x'; 6000];
    for number in 0..300_u32 {
        let body = format!("{number:03}");
        store.append(&message("Dense", 0, body.as_bytes()), NOW).expect("stored");
    }
    for number in 0..100_u32 {
        let body = format!("{number:03}");
        store.append(&message("Scattered", 0, body.as_bytes()), NOW).expect("stored");
        store.append(&message("Between", 0, &filler), NOW).expect("stored");
    }
    dispatch_all(&store);
    drop(store);
    // What was written before is cold now.
    let store = Store::open(options, Arc::new(disk), NOW).expect("opens");
    dispatch_all(&store);
    for (topic, count) in [("Dense", 300), ("Scattered", 100)] {
        let (mut seen, mut from) = (Vec::new(), 0);
        while from < count {
            let mut wanted = |record: &Record<'_>| {
                let last = record.body()[2];
                last == b'7'
            };
            let more = KeepMore { bits: None, record: Some(&mut wanted) };
            let limits = ReadLimits { max_messages: 32 };
            let read = store.read_where(topic, QUEUE, from, limits, &mut |_| true, more);
            let mut rest = &read.body[..];
            while let Ok(Peek::Message { size }) = next(rest) {
                let record = Record::parse(&rest[..size]).expect("whole");
                seen.push(String::from_utf8_lossy(record.body()).into_owned());
                rest = &rest[size..];
            }
            assert!(read.next_offset > from, "{:?} at {from}", read.status);
            from = read.next_offset;
        }
        let expected: Vec<_> =
            (0..count).filter(|n| n % 10 == 7).map(|n| format!("{n:03}")).collect();
        assert_eq!(seen, expected, "{topic}");
    }
}
