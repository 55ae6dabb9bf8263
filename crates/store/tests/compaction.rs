//! The latest message of each key is kept, also when the log that it was in has expired, and
//! whatever crashes. `SEED=n` runs one seed, `SEEDS=n` that many.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{NOW, dispatch_all, message, messages, small_options};
use skua_protocol::record::NewRecord;
use skua_protocol::{Millis, QueueId};
use skua_seeds::Random;
use skua_store::disk::{Crash, Faults, SimDisk};
use skua_store::{ReadLimits, RetentionRules, Store, StoreOptions};

const TOPIC: &str = "Compacted";
const SEEDS: u64 = 1000;

fn open(disk: &SimDisk, now: i64) -> Store {
    let retention = RetentionRules {
        delete_hours: (0..24).collect(),
        reserved_ms: 90_000,
        round_files: 3,
        ..RetentionRules::default()
    };
    let options = StoreOptions { retention, compaction_interval_ms: 30_000, ..small_options() };
    let store = Store::open(options, Arc::new(disk.clone()), Millis(now));
    let store = store.expect("the store opens");
    store.set_compacted_topics(vec![TOPIC.to_owned()]);
    store
}

struct Sent {
    key: String,
    body: Vec<u8>,
    end: u64,
}

#[derive(Default)]
struct Model {
    sent: Vec<Sent>,
    now: i64,
    flushed: u64,
    answered: u64,
}

impl Model {
    fn send(&mut self, store: &Store, disk: &SimDisk, random: &mut Random) {
        let key = format!("key{}", random.below(12));
        let mut body = format!("{key}:{}", self.sent.len()).into_bytes();
        body.resize(body.len() + random.below(500) as usize, b'x');
        if random.below(6) == 0 {
            body.clear();
        }
        let properties = format!("KEYS\x01{key}\x02TAGS\x01t\x02");
        let record = NewRecord { properties: properties.as_bytes(), ..message(TOPIC, 0, &body) };
        let Ok(receipt) = store.append(&record, Millis(self.now)) else { return };
        assert_eq!(receipt.queue_offset.0, self.sent.len() as u64);
        self.sent.push(Sent { key, body, end: receipt.end.0 });
        if !disk.is_down() {
            self.answered = receipt.end.0;
        }
    }

    fn work(&mut self, store: &Store, disk: &SimDisk, random: &mut Random) {
        self.now += random.below(500) as i64;
        disk.set_time(Millis(self.now));
        match random.below(20) {
            0..12 => self.send(store, disk, random),
            12..15 => drop(store.dispatch()),
            15 | 16 => {
                self.now += 60_000;
                store.flush_due(Millis(self.now));
            }
            17 => {
                let limits = ReadLimits { max_messages: 8 };
                let from = random.below(self.sent.len() as u64 + 1) as i64;
                store.read(TOPIC, QueueId(0), from, limits, &mut |_| true);
            }
            _ => {
                self.now += 1000 * random.below(60) as i64;
                for _ in 0..1 + random.below(5) {
                    self.now += 10;
                    store.files_due(Millis(self.now));
                }
            }
        }
        if !disk.is_down() {
            self.flushed = self.flushed.max(store.flushed_offset().0);
        }
    }

    /// Everything served was sent as it is, in order; the latest of each key is among it.
    fn check(&mut self, store: &Store, must: u64) {
        let end = store.appended().0;
        assert!(end >= must, "the log ends at {end}, {must} was promised");
        self.sent.retain(|sent| sent.end <= end);
        let mut latest = BTreeMap::new();
        for (nth, sent) in self.sent.iter().enumerate() {
            latest.insert(&sent.key, nth);
        }
        let found = messages(store, TOPIC, 0);
        let offsets: Vec<_> = found.iter().map(|message| message.queue_offset as usize).collect();
        assert!(offsets.is_sorted_by(|a, b| a < b), "{offsets:?}");
        for message in &found {
            let sent = &self.sent[message.queue_offset as usize];
            assert_eq!(message.body, sent.body, "{offsets:?}");
        }
        for (key, nth) in latest {
            let is_there = offsets.contains(&nth);
            assert!(is_there || self.sent[nth].body.is_empty(), "{key}: {nth} not in {offsets:?}");
        }
        self.flushed = self.flushed.min(end);
        self.answered = end;
    }
}

#[test]
fn only_the_latest_of_each_key_is_served_and_stays_when_the_log_expires() {
    let disk = SimDisk::new(1);
    let store = open(&disk, NOW.0);
    let mut random = Random(3);
    let mut model = Model { now: NOW.0, ..Model::default() };
    for _ in 0..200 {
        model.send(&store, &disk, &mut random);
    }
    dispatch_all(&store);
    assert_eq!(messages(&store, TOPIC, 0).len(), 200);
    let latest = |model: &Model| {
        let mut latest = BTreeMap::new();
        for (nth, sent) in model.sent.iter().enumerate() {
            latest.insert(sent.key.clone(), nth as i64);
        }
        let mut kept: Vec<_> = latest.into_values().collect();
        kept.retain(|nth| !model.sent[*nth as usize].body.is_empty());
        kept.sort_unstable();
        kept
    };
    let offsets = |store: &Store| -> Vec<_> {
        messages(store, TOPIC, 0).iter().map(|message| message.queue_offset).collect()
    };
    store.flush_due(Millis(NOW.0 + 70_000));
    store.files_due(Millis(NOW.0 + 70_000));
    assert_eq!(offsets(&store), latest(&model));
    // What comes after is there at once, and what it replaces goes with the next round.
    model.send(&store, &disk, &mut random);
    dispatch_all(&store);
    assert_eq!(offsets(&store).last(), Some(&200));
    let files = store.min_physical_offset().0;
    for second in 0..400 {
        let now = Millis(NOW.0 + 100_000 + second * 1000);
        disk.set_time(now);
        store.flush_due(now);
        store.files_due(now);
    }
    assert!(store.min_physical_offset().0 > files, "nothing expired");
    model.check(&store, 0);
    let served = offsets(&store);
    assert!(served.len() <= 13, "{served:?}");
    store.close().expect("nothing fails");
    drop(store);
    disk.reboot(Crash::Power);
    let store = open(&disk, NOW.0);
    assert_eq!(offsets(&store), served);
    // A topic that is made anew has nothing of its old life.
    store.delete_topic(TOPIC).expect("nothing fails");
    assert_eq!(offsets(&store), Vec::<i64>::new());
    store.append(&message(TOPIC, 0, b"new"), NOW).expect("nothing fails");
    dispatch_all(&store);
    assert_eq!(offsets(&store), [0]);
}

#[test]
fn whatever_crashes_the_latest_of_each_key_is_there() {
    let runs = skua_seeds::each(SEEDS, run);
    let with_deletions = runs.iter().filter(|deleted| **deleted).count();
    assert!(runs.len() < 100 || with_deletions > 0, "nothing expired in any seed");
}

/// True if files of the log were deleted.
fn run(seed: u64) -> bool {
    let mut random = Random(seed);
    let disk = SimDisk::new(seed);
    let mut model = Model { now: NOW.0, ..Model::default() };
    let mut deleted = false;
    for _life in 0..4 {
        let store = open(&disk, model.now);
        let crash_in = (random.below(4) > 0).then(|| random.below(200));
        disk.set_faults(Faults { crash_in, ..Faults::default() });
        for _ in 0..random.below(150) {
            model.work(&store, &disk, &mut random);
            if disk.is_down() {
                break;
            }
        }
        let crash = if random.below(2) == 0 { Crash::Process } else { Crash::Power };
        drop(store);
        disk.reboot(crash);
        let store = open(&disk, model.now);
        dispatch_all(&store);
        let must = if crash == Crash::Power { model.flushed } else { model.answered };
        model.check(&store, must);
        deleted |= store.min_physical_offset().0 > 0;
        drop(store);
        disk.reboot(Crash::Process);
    }
    deleted
}
