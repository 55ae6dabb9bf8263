//! Random work, a crash in the midst of any call to the disk, recovery, and a look at what is left
//! against a model. `SEED=n` runs one seed, `SEEDS=n` that many.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{NOW, dispatch_all, host, messages, small_options};
use skua_protocol::record::NewRecord;
use skua_protocol::{Millis, QueueId};
use skua_store::disk::{Crash, Faults, SimDisk};
use skua_store::{AppendError, Receipt, RetentionRules, Store, StoreOptions};

const SEEDS: u64 = 1500;
const TOPICS: [&str; 3] = ["TopicA", "TopicB", "%RETRY%group"];

/// Splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}

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
        let (topic, queue) = (random.below(3) as usize, random.below(3) as u32);
        let count = if random.below(4) == 0 { 1 + random.below(4) } else { 1 };
        let bodies = self.bodies(random, count);
        let properties = b"TAGS\x01TagA\x02KEYS\x01some key\x02WAIT\x01true\x02";
        let records: Vec<_> = bodies
            .iter()
            .map(|body| NewRecord {
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
                properties,
            })
            .collect();
        let now = Millis(self.now);
        let receipts: Result<Vec<Receipt>, AppendError> = match &records[..] {
            [one] => store.append(one, now).map(|receipt| vec![receipt]),
            all => store.append_batch(all, now),
        };
        let Ok(receipts) = receipts else { return };
        for (receipt, body) in receipts.iter().zip(bodies) {
            let queue = self.queues.entry((topic, queue)).or_default();
            assert_eq!(receipt.queue_offset.0, queue.len() as u64, "offsets are dense");
            queue.push(Stored { body, end: receipt.end.0 });
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
                let topic = TOPICS[random.below(3) as usize];
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
                let next = store.max_offset(name, QueueId(queue)).map_or(0, |max| max.0);
                assert_eq!(next, count as u64);
            }
        }
        // What a crash of the process keeps is in the page cache still, and may go with the next.
        self.flushed = self.flushed.min(end);
        self.answered = end;
    }
}

/// Files expire soon, at any hour.
fn options() -> StoreOptions {
    let retention = RetentionRules {
        delete_hours: (0..24).collect(),
        reserved_ms: 90_000,
        round_files: 3,
        ..RetentionRules::default()
    };
    StoreOptions { retention, ..small_options() }
}

fn open(disk: &SimDisk, now: i64) -> Store {
    Store::open(options(), Arc::new(disk.clone()), Millis(now)).expect("the store opens")
}

/// Returns how far the log's start has moved.
fn run(seed: u64) -> u64 {
    let mut random = Random(seed);
    let disk = SimDisk::new(seed);
    let mut model = Model { now: NOW.0, ..Model::default() };
    let mut deleted = 0;
    for _life in 0..4 {
        let mut store = Some(open(&disk, model.now));
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
        disk.set_faults(faults);
        for _ in 0..random.below(90) {
            model.work(live, &disk, &mut random);
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

        // Recovery may crash as well, a few times.
        while random.below(3) == 0 {
            disk.set_faults(Faults { crash_in: Some(random.below(15)), ..Faults::default() });
            let opened = Store::open(options(), Arc::new(disk.clone()), Millis(model.now));
            drop(opened);
            disk.reboot(crash.unwrap_or(Crash::Process));
        }
        let store = open(&disk, model.now);
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
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(SEEDS),
    };
    let many = seeds.end - seeds.start >= 100;
    let mut with_deletions = 0;
    for seed in seeds {
        match std::panic::catch_unwind(|| run(seed)) {
            Ok(deleted) => with_deletions += u64::from(deleted > 0),
            Err(panic) => {
                eprintln!("replay with SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{with_deletions} seeds had files of the log deleted");
    assert!(!many || with_deletions > 0, "nothing expired in any seed");
}
