//! The timer on a simulated disk, over a small log in memory, with crashes and restarts.
//! `SEED=n` runs one seed, `SEEDS=n` that many.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use skua_protocol::properties::{
    REAL_QID, REAL_TOPIC, TIMER_DEL_UNIQKEY, TIMER_OUT_MS, UNIQ_KEY, append,
};
use skua_protocol::record::{NewRecord, Record, stamp};
use skua_protocol::{Millis, PhysicalOffset, QueueId, QueueOffset};
use skua_seeds::Random;

use super::*;
use crate::disk::{Crash, DiskError, Faults, SimDisk};
use crate::error::AppendError;
use crate::options::FileSize;
use crate::recovery::LastRun;

const SEEDS: u64 = 10_000;
const NOW: i64 = 1_700_000_000_000;
const PRECISION: i64 = 1000;
const WINDOW: i64 = 9;

/// A commit log and the timer topic's queue.
#[derive(Default)]
struct Log {
    bytes: Vec<u8>,
    records: Vec<(u64, u32)>,
    queue: Vec<(u64, u32)>,
    durable: usize,
    /// Puts until one fails, and until the process dies in one.
    refuses_in: Option<u64>,
    dies_in: Option<u64>,
    down: bool,
}

struct Fake {
    disk: SimDisk,
    log: RefCell<Log>,
}

fn no(path: &str) -> DiskError {
    DiskError::new("use", Path::new(path), std::io::Error::other("the machine is down"))
}

impl Fake {
    fn is_down(&self) -> bool {
        self.disk.is_down() || self.log.borrow().down
    }

    fn store(&self, record: &NewRecord<'_>, now: Millis) {
        let mut log = self.log.borrow_mut();
        let log = &mut *log;
        let offset = log.bytes.len() as u64;
        let mut bytes = Vec::new();
        record.encode(&mut bytes).expect("small");
        let queue_offset = QueueOffset(log.queue.len() as u64);
        stamp(&mut bytes, queue_offset, PhysicalOffset(offset), now);
        log.bytes.extend_from_slice(&bytes);
        log.records.push((offset, bytes.len() as u32));
        if record.topic == TIMER_TOPIC {
            log.queue.push((offset, bytes.len() as u32));
        }
    }

    fn crash(&self, power: bool, random: &mut Random) {
        let mut log = self.log.borrow_mut();
        let log = &mut *log;
        if power {
            let unsure = (log.records.len() - log.durable) as u64;
            let kept = log.durable + random.below(unsure + 1) as usize;
            let end = log.records.get(kept).map_or(log.bytes.len() as u64, |record| record.0);
            log.records.truncate(kept);
            log.bytes.truncate(end as usize);
            log.queue.retain(|(offset, _)| *offset < end);
            log.durable = kept;
        }
        log.down = false;
        (log.refuses_in, log.dies_in) = (None, None);
    }
}

impl Messages for Fake {
    fn queue(&self) -> DiskResult<(u64, u64)> {
        Ok((0, self.log.borrow().queue.len() as u64))
    }

    fn entries(&self, from: u64, count: usize, out: &mut Vec<Entry>) -> DiskResult<()> {
        let log = self.log.borrow();
        let entries = log.queue.iter().zip(0..).skip(from as usize).take(count);
        out.extend(entries.map(|((offset, size), at)| Entry {
            queue_offset: QueueOffset(at),
            physical_offset: PhysicalOffset(*offset),
            size: *size,
            messages: 1,
            tags_code: 0,
        }));
        Ok(())
    }

    fn record(&self, offset: u64, size: u32, buffer: &mut Vec<u8>) -> DiskResult<bool> {
        let log = self.log.borrow();
        if log.records.binary_search(&(offset, size)).is_err() {
            return Ok(false);
        }
        buffer.clear();
        buffer.extend_from_slice(&log.bytes[offset as usize..offset as usize + size as usize]);
        Ok(true)
    }

    fn put(&self, record: &NewRecord<'_>, now: Millis) -> Result<(), AppendError> {
        if self.is_down() {
            return Err(AppendError::Closed);
        }
        {
            let mut log = self.log.borrow_mut();
            if let Some(left) = &mut log.refuses_in {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    log.refuses_in = None;
                    return Err(AppendError::NoSpace(no("log")));
                }
            }
            if let Some(left) = &mut log.dies_in {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    log.down = true;
                    return Err(AppendError::Closed);
                }
            }
        }
        self.store(record, now);
        Ok(())
    }

    fn appended(&self) -> u64 {
        self.log.borrow().bytes.len() as u64
    }

    fn dispatched(&self) -> u64 {
        self.appended()
    }

    fn make_durable(&self) -> DiskResult<()> {
        if self.is_down() {
            return Err(no("log"));
        }
        let mut log = self.log.borrow_mut();
        log.durable = log.records.len();
        Ok(())
    }

    fn min_physical_offset(&self) -> u64 {
        0
    }
}

#[derive(Clone, Copy, Default)]
struct Sent {
    at: u64,
    due: i64,
    /// The request to delete it is at that place.
    deleted: Option<u64>,
}

struct World {
    fake: Fake,
    random: Random,
    now: i64,
    /// The latest `now` so far.
    latest: i64,
    sent: BTreeMap<String, Sent>,
    crashed: bool,
    /// It was away for about a turn of the wheel: requests to delete may come too late then.
    long_outage: bool,
}

fn options() -> TimerOptions {
    TimerOptions {
        precision_ms: PRECISION,
        slots: 160,
        roll_window: WINDOW as u32,
        log_file_size: FileSize::Exactly(5 * 52 + 30),
        flush_interval_ms: 1000,
        delivers: true,
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let fake = Fake { disk: SimDisk::new(seed), log: RefCell::default() };
        let random = Random(seed);
        Self {
            fake,
            random,
            now: NOW,
            latest: NOW,
            sent: BTreeMap::new(),
            crashed: false,
            long_outage: false,
        }
    }

    fn open(&self) -> Result<Timer, crate::error::OpenError> {
        let disk: Arc<dyn Disk> = Arc::new(self.fake.disk.clone());
        let root = Path::new("/store");
        let files = ConfigFiles::new(Arc::clone(&disk), root.join("config"));
        let options = options();
        let now = Millis(self.now);
        Timer::open(options, root, &disk, files, LastRun::Killed, &self.fake, now)
    }

    /// As the broker stores it (`transformTimerMessage`).
    fn put(&mut self, key: &str, due: i64, deletes: Option<&str>) -> u64 {
        let out = (due - 1).div_euclid(PRECISION) * PRECISION;
        let mut properties = Vec::new();
        append(&mut properties, UNIQ_KEY, key);
        append(&mut properties, TIMER_OUT_MS, &out.to_string());
        append(&mut properties, REAL_TOPIC, "T");
        append(&mut properties, REAL_QID, "0");
        if let Some(other) = deletes {
            append(&mut properties, TIMER_DEL_UNIQKEY, other);
        }
        let at = self.fake.appended();
        let record = NewRecord {
            topic: TIMER_TOPIC,
            queue_id: QueueId(0),
            flag: 0,
            sys_flag: 0,
            born_timestamp: Millis(self.now),
            born_host: ([127, 0, 0, 1], 1).into(),
            store_host: ([127, 0, 0, 1], 1).into(),
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: key.as_bytes(),
            properties: &properties,
        };
        self.fake.store(&record, Millis(self.now));
        at
    }

    fn send(&mut self) {
        let spread = [3, 12, 3 * WINDOW as u64][self.random.below(3) as usize];
        let due = self.now + 1 + self.random.below(spread * PRECISION as u64) as i64;
        for _ in 0..=self.random.below(3) {
            let key = format!("{:08}", self.sent.len());
            let at = self.put(&key, due, None);
            self.sent.insert(key, Sent { at, due, deleted: None });
        }
    }

    fn delete(&mut self) {
        // What was due before the clock was set back may have been delivered.
        let now = self.latest.max(self.now);
        let waiting: Vec<_> = (self.sent.iter())
            .filter(|(_, sent)| sent.due > now && sent.deleted.is_none())
            .map(|(key, sent)| (key.clone(), sent.due))
            .collect();
        if waiting.is_empty() {
            return;
        }
        let (key, due) = &waiting[self.random.below(waiting.len() as u64) as usize];
        let named = if self.random.below(2) == 0 { key.clone() } else { format!("T+{key}") };
        let at = self.put(&format!("x{key}"), *due, Some(&named));
        self.sent.get_mut(key).expect("chosen from it").deleted = Some(at);
    }

    fn work(&mut self, timer: &Timer) -> Option<Millis> {
        self.latest = self.latest.max(self.now);
        for _ in 0..self.random.below(12) {
            match timer.step(&self.fake, Millis(self.now)) {
                Ok(Step::Again) => {}
                Ok(Step::Idle(at)) => return at,
                Ok(Step::Refused(at)) => return Some(at),
                Err(_) => {
                    assert!(self.fake.is_down(), "nothing fails but in a crash");
                    return None;
                }
            }
        }
        None
    }

    fn life(&mut self, timer: &Timer) {
        for _ in 0..self.random.below(25) {
            match self.random.below(10) {
                0..3 => self.send(),
                3 => self.delete(),
                4..8 => {
                    let next = self.work(timer);
                    // To the very tick, as a sleeper wakes.
                    if let Some(at) = next.filter(|_| self.random.below(2) == 0) {
                        self.now = self.now.max(at.0);
                    }
                }
                8 => self.now += self.random.below(4 * PRECISION as u64) as i64,
                // The clock is set.
                _ if self.random.below(8) == 0 => {
                    self.now -= self.random.below(3 * PRECISION as u64) as i64;
                }
                _ => {}
            }
            if self.fake.is_down() {
                return;
            }
        }
    }

    /// What power took is gone for good.
    fn forget_lost(&mut self) {
        let end = self.fake.appended();
        self.sent.retain(|_, sent| sent.at < end);
        for sent in self.sent.values_mut() {
            sent.deleted = sent.deleted.filter(|at| *at < end);
        }
    }

    fn check(&self) {
        let log = self.fake.log.borrow();
        let mut delivered: BTreeMap<String, u32> = BTreeMap::new();
        for (offset, size) in &log.records {
            let bytes = &log.bytes[*offset as usize..(*offset + u64::from(*size)) as usize];
            let record = Record::parse(bytes).expect("a record");
            if record.topic() != "T" {
                continue;
            }
            let key = String::from_utf8(record.body().to_vec()).expect("a key");
            assert!(!key.starts_with('x'), "a request to delete was delivered");
            if let Some(sent) = self.sent.get(&key) {
                let at = record.store_timestamp().0;
                assert!(at >= sent.due, "{key} came at {at}, due {}", sent.due);
            }
            *delivered.entry(key).or_default() += 1;
        }
        for (key, sent) in &self.sent {
            let times = delivered.get(key).copied().unwrap_or(0);
            if sent.deleted.is_some() && self.long_outage {
                continue;
            }
            if sent.deleted.is_some() {
                assert_eq!(times, 0, "{key} was deleted");
            } else if self.crashed {
                assert!(times >= 1, "{key} is lost");
            } else {
                assert_eq!(times, 1, "{key}");
            }
        }
    }
}

fn run(seed: u64) -> (usize, bool) {
    let mut world = World::new(seed);
    for _ in 0..1 + world.random.below(3) {
        let timer = world.open().expect("nothing fails");
        let closes = world.random.below(3) == 0;
        if !closes {
            let crash_in = Some(world.random.below(60));
            world.fake.disk.set_faults(Faults { crash_in, ..Faults::default() });
            let dies_in = world.random.below(2) == 0;
            let dies_in = dies_in.then(|| 1 + world.random.below(12));
            world.fake.log.borrow_mut().dies_in = dies_in;
        }
        if world.random.below(3) == 0 {
            let refuses_in = Some(1 + world.random.below(8));
            world.fake.log.borrow_mut().refuses_in = refuses_in;
        }
        world.life(&timer);
        let now = Millis(world.now);
        let is_clean = closes
            && timer.finish_slot(&world.fake, now).is_ok_and(|is_whole| is_whole)
            && timer.close(&world.fake, now).is_ok();
        drop(timer);
        world.crashed |= !is_clean;
        let power = world.random.below(2) == 0;
        world.fake.crash(power, &mut world.random);
        world.fake.disk.reboot(if power { Crash::Power } else { Crash::Process });
        world.forget_lost();
        // Longer than the wheel turns, at times.
        if world.random.below(3) == 0 {
            let outage = world.random.below(330 * PRECISION as u64) as i64;
            world.now += outage;
            world.long_outage |= world.now - NOW > (320 - 4 * WINDOW) * PRECISION;
        }
        // The start may crash as well.
        while world.random.below(4) == 0 {
            let crash_in = Some(world.random.below(10));
            world.fake.disk.set_faults(Faults { crash_in, ..Faults::default() });
            drop(world.open());
            world.crashed = true;
            world.fake.disk.reboot(if power { Crash::Power } else { Crash::Process });
        }
    }
    let timer = world.open().expect("nothing fails");
    let mut rounds = 0;
    loop {
        match timer.step(&world.fake, Millis(world.now)).expect("nothing fails") {
            Step::Again => {}
            Step::Idle(None) => break,
            Step::Idle(Some(at)) | Step::Refused(at) => world.now = world.now.max(at.0),
        }
        rounds += 1;
        assert!(rounds < 100_000, "it never comes to rest");
    }
    world.check();
    let state = timer.state(&world.fake, Millis(world.now)).expect("nothing fails");
    assert_eq!(state.behind_messages, 0);
    (world.sent.len(), world.crashed)
}

#[test]
fn nothing_is_early_nothing_is_lost_and_twice_only_after_a_crash() {
    let runs = skua_seeds::each(SEEDS, run);
    let messages: u64 = runs.iter().map(|(sent, _)| *sent as u64).sum();
    let crashed = runs.iter().filter(|(_, crash)| *crash).count();
    println!("{messages} messages, {crashed} seeds with a crash");
}
