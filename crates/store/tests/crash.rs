//! Random work, a crash in the midst of any call to the disk, recovery, and a look at what is left
//! against a model. `SEED=n` runs one seed, `SEEDS=n` that many from `FROM=n` on, on `THREADS=n`.
//! The soak: `SEEDS=1000000 cargo test --release -p skua-store --test crash -- --nocapture`.

mod common;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use common::{NOW, dispatch_all, entries, host, messages, small_options};
use skua_protocol::record::{FLAG_INNER_BATCH, FLAG_NEED_UNWRAP, NewRecord, encode_batch_item};
use skua_protocol::{Millis, QueueId};
use skua_seeds::Random;
use skua_store::disk::{Crash, Faults, SimDisk};
use skua_store::{AppendError, Disk, Receipt, RetentionRules, Store, StoreOptions, WriteBy};

const SEEDS: u64 = 10_000;
const TOPICS: [&str; 4] = ["TopicA", "TopicB", "%RETRY%group", BATCH_TOPIC];
/// Its queues are of the batch kind.
const BATCH_TOPIC: &str = "Batch";
const TAG: i64 = 2_598_919; // "TagA" by Java's hash

/// One message that may or must be there.
struct Stored {
    body: Vec<u8>,
    end: u64,
}

#[derive(Default)]
struct Model {
    queues: BTreeMap<(usize, u32), Vec<Stored>>,
    /// Everything before was durable while the disk still answered.
    flushed: u64,
    /// Everything before was answered.
    answered: u64,
    number: u64,
    now: i64,
    /// Whoever sends waits for the disk.
    sync_flush: bool,
}

fn inner_batch(bodies: &[Vec<u8>]) -> Vec<u8> {
    let mut batch = Vec::new();
    for body in bodies {
        encode_batch_item(&mut batch, 0, body, b"").expect("short enough");
    }
    batch
}

impl Model {
    fn bodies(&mut self, random: &mut Random, count: u64) -> Vec<Vec<u8>> {
        (0..count)
            .map(|_| {
                self.number += 1;
                let mut body = format!("{}:", self.number).into_bytes();
                body.resize(body.len() + random.below(700) as usize, b'x');
                body
            })
            .collect()
    }

    fn append(&mut self, store: &Store, disk: &SimDisk, random: &mut Random) {
        let (topic, queue) = (random.below(4) as usize, random.below(3) as u32);
        let count = if random.below(4) == 0 { 1 + random.below(4) } else { 1 };
        let bodies = self.bodies(random, count);
        let properties = "TAGS\x01TagA\x02KEYS\x01some key\x02WAIT\x01true\x02";
        // All in one record, or each in its own.
        let is_inner = TOPICS[topic] == BATCH_TOPIC && random.below(3) > 0;
        let (inner_body, inner_properties) =
            (inner_batch(&bodies), format!("{properties}INNER_NUM\x01{count}\x02"));
        let record = |body, properties: &'static str| NewRecord {
            topic: TOPICS[topic],
            queue_id: QueueId(queue),
            flag: 0,
            sys_flag: 0,
            born_timestamp: NOW,
            born_host: host(),
            store_host: host(),
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body,
            properties: properties.as_bytes(),
        };
        let records: Vec<_> = if is_inner {
            vec![NewRecord {
                sys_flag: FLAG_INNER_BATCH | FLAG_NEED_UNWRAP,
                properties: inner_properties.as_bytes(),
                ..record(&inner_body, properties)
            }]
        } else {
            bodies.iter().map(|body| record(body, properties)).collect()
        };
        let now = Millis(self.now);
        let was_down = disk.is_down();
        let receipts: Result<Vec<Receipt>, AppendError> = match &records[..] {
            [one] => store.append(one, now).map(|receipt| vec![receipt]),
            all => store.append_batch(all, now),
        };
        let Ok(receipts) = receipts else {
            if disk.is_down() && !was_down {
                // In the midst of its write: nobody was told anything, and it may be there.
                let stored = self.queues.entry((topic, queue)).or_default();
                stored.extend(bodies.into_iter().map(|body| Stored { body, end: u64::MAX }));
            }
            return;
        };
        if self.sync_flush {
            let end = receipts.last().expect("something was stored").end;
            let mut flushed = pin!(store.flushed(end));
            let mut context = Context::from_waker(Waker::noop());
            let is_flushed = |flushed: Poll<_>| matches!(flushed, Poll::Ready(Ok(())));
            if !is_flushed(flushed.as_mut().poll(&mut context)) {
                store.flush_due(now);
                let answer = flushed.as_mut().poll(&mut context);
                assert!(answer.is_ready(), "one look at who waits answers them");
                if is_flushed(answer) && !disk.is_down() {
                    self.flushed = self.flushed.max(end.0);
                }
            }
        }
        let stored = self.queues.entry((topic, queue)).or_default();
        for (body, nth) in bodies.into_iter().zip(0..) {
            let receipt = if is_inner { receipts[0] } else { receipts[nth] };
            let first = if is_inner { nth as u64 } else { 0 };
            let offset = receipt.queue_offset.0 + first;
            assert_eq!(offset, stored.len() as u64, "offsets are dense");
            stored.push(Stored { body, end: receipt.end.0 });
            if !disk.is_down() {
                self.answered = receipt.end.0;
            }
        }
    }

    fn work(&mut self, store: &Store, disk: &SimDisk, random: &mut Random) {
        self.now += random.below(300) as i64;
        disk.set_time(Millis(self.now));
        match random.below(21) {
            0..12 => self.append(store, disk, random),
            12..15 => {
                store.dispatch();
            }
            15..17 => {
                store.flush_due(Millis(self.now));
            }
            17 => {
                // Long enough for everything to be due.
                self.now += 60_000;
                store.flush_due(Millis(self.now));
            }
            18 => {
                store.files_due(Millis(self.now));
            }
            19 => {
                // Long enough for a round of deletions; sometimes for files to expire.
                self.now += 1000 * random.below(120) as i64;
                for _ in 0..random.below(6) {
                    self.now += 10;
                    store.files_due(Millis(self.now));
                }
            }
            _ => {
                let topic = TOPICS[random.below(4) as usize];
                let limits = skua_store::ReadLimits { max_messages: 8 };
                store.read(topic, QueueId(random.below(3) as u32), 0, limits, &mut |_| true);
            }
        }
        let flushed = store.flushed_offset().0;
        if !disk.is_down() {
            self.flushed = self.flushed.max(flushed);
        }
    }

    /// What is there after a crash is a prefix of what was stored, and holds what must be there.
    fn check(&mut self, store: &Store, crash: Option<Crash>) {
        let must = match crash {
            Some(Crash::Power) => self.flushed,
            Some(Crash::Process) | None => self.answered,
        };
        let end = store.appended().0;
        assert!(end >= must, "the log ends at {end}, {must} was promised");
        for (topic, name) in TOPICS.iter().enumerate() {
            for queue in 0..3 {
                let stored = self.queues.entry((topic, queue)).or_default();
                let found = messages(store, name, queue);
                let tags = entries(store, name, queue);
                assert!(tags.iter().all(|entry| entry.tags_code == TAG), "{name}/{queue} {tags:?}");
                let min = store.min_offset(name, QueueId(queue)).map_or(0, |min| min.0 as usize);
                // What is not there any more was in a file that is not there any more.
                let log_min = store.min_physical_offset().0;
                let gone = stored.iter().filter(|stored| stored.end <= log_min).count();
                assert_eq!(min, gone, "{name}/{queue}");
                let count = min + found.len();
                let promised = stored.iter().filter(|stored| stored.end <= must).count();
                assert!(
                    count >= promised && count <= stored.len(),
                    "{name}/{queue}: up to {count} found, {promised} promised, {} stored",
                    stored.len()
                );
                for ((message, stored), offset) in
                    found.iter().zip(&stored[min..]).zip(min as i64..)
                {
                    assert_eq!(message.body, stored.body, "{name}/{queue} {offset}");
                    assert_eq!(message.queue_offset, offset);
                }
                stored.truncate(count);
                // What the crash came into the midst of is the last of the log.
                stored.iter_mut().for_each(|stored| stored.end = stored.end.min(end));
                let next = store.max_offset(name, QueueId(queue)).map_or(0, |max| max.0);
                assert_eq!(next, count as u64, "{name}/{queue} {tags:?}");
            }
        }
        // What a crash of the process keeps is in the page cache still, and may go with the next.
        self.flushed = self.flushed.min(end);
        self.answered = end;
    }
}

/// Files expire soon, at any hour. Every other seed has extension files.
fn options(seed: u64) -> StoreOptions {
    let retention = RetentionRules {
        delete_hours: (0..24).collect(),
        reserved_ms: 90_000,
        round_files: 3,
        ..RetentionRules::default()
    };
    let batch_topics = vec![BATCH_TOPIC.to_owned()];
    let consume_queue_ext = seed % 2 == 1;
    // At the end the queues' file system is synced, or their files are.
    let sync_at_once_from =
        if seed.is_multiple_of(3) { usize::MAX } else { 1 + (seed % 5) as usize };
    StoreOptions {
        retention,
        batch_topics,
        consume_queue_ext,
        sync_at_once_from,
        write_by: if seed.is_multiple_of(4) { WriteBy::Call } else { WriteBy::Mapping },
        ..small_options()
    }
}

fn open(disk: &SimDisk, seed: u64, now: i64) -> Store {
    let options = options(seed);
    let store = Store::open(options, Arc::new(disk.clone()), Millis(now)).expect("the store opens");
    // Of changing length.
    store.calculate_bit_maps(Box::new(|_, properties| {
        Some(vec![7; properties.encoded().len() % 5])
    }));
    store
}

/// Returns how far the log's start has moved.
fn run(seed: u64) -> u64 {
    let mut random = Random(seed);
    let disk = SimDisk::new(seed);
    let sync_flush = seed.is_multiple_of(4);
    let mut model = Model { now: NOW.0, sync_flush, ..Model::default() };
    let mut deleted = 0;
    for _life in 0..4 {
        let mut store = Some(open(&disk, seed, model.now));
        let live = store.as_ref().expect("just opened");
        let mut faults = Faults { crash_in: Some(random.below(120)), ..Faults::default() };
        match random.below(8) {
            0 => faults.sync_fails_in = Some(random.below(12)),
            1 => faults.write_fails_in = Some(random.below(30)),
            2 => faults.no_space = true,
            _ => {}
        }
        if faults.sync_fails_in.is_some() {
            // A crash before the store could note the failure would be one fault too many.
            faults.crash_in = None;
        }
        let closes = random.below(5) == 0;
        if closes {
            faults.crash_in = None;
        }
        disk.set_faults(faults.clone());
        for _ in 0..random.below(90) {
            model.work(live, &disk, &mut random);
            if faults.no_space && random.below(20) == 0 {
                // Somebody made space.
                faults.no_space = false;
                disk.set_faults(faults.clone());
            }
            if disk.is_down() {
                break;
            }
        }
        let crash = if closes && live.close().is_ok() {
            None
        } else if random.below(2) == 0 {
            Some(Crash::Process)
        } else {
            Some(Crash::Power)
        };
        store.take();
        // After a clean end the power may go: everything is durable.
        let durable = crash.is_none() && random.below(2) == 0;
        disk.reboot(if durable { Crash::Power } else { crash.unwrap_or(Crash::Process) });

        // Somebody may delete what can be made again: queues from a log that has all of theirs.
        let first_log_file = Path::new("/store/commitlog/00000000000000000000");
        let has_all = disk.read_whole(first_log_file).expect("nothing fails").is_some();
        match random.below(24) {
            folder @ 0..3 if has_all || folder == 2 => {
                let folder =
                    ["consumequeue", "batchconsumequeue", "consumequeue_ext"][folder as usize];
                disk.remove_dir(&Path::new("/store").join(folder)).expect("nothing fails");
                disk.sync_dir(Path::new("/store")).expect("nothing fails");
            }
            3 => disk.remove(Path::new("/store/checkpoint")).expect("nothing fails"),
            _ => {}
        }

        // Recovery may crash as well, a few times.
        while random.below(3) == 0 {
            disk.set_faults(Faults { crash_in: Some(random.below(15)), ..Faults::default() });
            let opened = Store::open(options(seed), Arc::new(disk.clone()), Millis(model.now));
            drop(opened);
            disk.reboot(crash.unwrap_or(Crash::Process));
        }
        let store = open(&disk, seed, model.now);
        dispatch_all(&store);
        model.check(&store, crash);
        deleted = store.min_physical_offset().0;
        drop(store);
        disk.reboot(Crash::Process);
    }
    deleted
}

#[test]
fn whatever_crashes_what_was_promised_is_there_and_nothing_else() {
    let deleted = skua_seeds::each(SEEDS, run);
    let with_deletions = deleted.iter().filter(|end| **end > 0).count();
    println!("{with_deletions} seeds had files of the log deleted");
    assert!(deleted.len() < 100 || with_deletions > 0, "nothing expired in any seed");
}
