//! Timer messages of a whole store on a disk that crashes, fails and is full: wheel, timer log and
//! checkpoint beside commit log and queues. `SEED=n` runs one seed, `SEEDS=n` that many from `FROM=n`
//! on. The timer alone, with requests to delete and clocks that are set, is tried in
//! `src/timer/tests.rs`.

mod common;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use common::{NOW, dispatch_all, message, messages, small_options};
use skua_protocol::properties::{REAL_QID, REAL_TOPIC, TIMER_OUT_MS, UNIQ_KEY, append};
use skua_protocol::record::NewRecord;
use skua_protocol::{Millis, QueueId};
use skua_seeds::Random;
use skua_store::disk::{Crash, Faults, SimDisk};
use skua_store::{FileSize, RetentionRules, Store, StoreOptions, TIMER_TOPIC, TimerOptions};

const SEEDS: u64 = 10_000;
const PRECISION: i64 = 1000;
const TOPIC: &str = "Due";

struct Sent {
    due: i64,
    end: u64,
}

struct World {
    disk: SimDisk,
    random: Random,
    now: i64,
    sent: BTreeMap<String, Sent>,
    number: u64,
    sync_flush: bool,
    /// Everything before was durable, and answered, while the disk still worked.
    flushed: u64,
    answered: u64,
    /// What the lives met, for who looks into a failure.
    story: Vec<String>,
    /// Something failed, or the end was not clean: a message may come twice.
    disturbed: bool,
}

fn options() -> StoreOptions {
    let timer = TimerOptions {
        precision_ms: PRECISION,
        slots: 160,
        roll_window: 9,
        log_file_size: FileSize::Exactly(5 * 52 + 30),
        flush_interval_ms: 1000,
        delivers: true,
    };
    // A full disk must not delete what is waiting.
    let retention =
        RetentionRules { forcible: false, reserved_ms: i64::MAX / 2, ..RetentionRules::default() };
    StoreOptions { timer: Some(timer), retention, ..small_options() }
}

impl World {
    fn open(&self) -> Store {
        let disk = Arc::new(self.disk.clone());
        Store::open(options(), disk, Millis(self.now)).expect("the store opens")
    }

    /// As the broker stores it.
    fn send(&mut self, store: &Store) {
        let spread = [3, 12, 27][self.random.below(3) as usize];
        let due = self.now + 1 + self.random.below(spread * PRECISION as u64) as i64;
        self.number += 1;
        let key = format!("{:08}", self.number);
        let out = (due - 1).div_euclid(PRECISION) * PRECISION;
        let mut properties = Vec::new();
        append(&mut properties, UNIQ_KEY, &key);
        append(&mut properties, TIMER_OUT_MS, &out.to_string());
        append(&mut properties, REAL_TOPIC, TOPIC);
        append(&mut properties, REAL_QID, "0");
        let record =
            NewRecord { properties: &properties, ..message(TIMER_TOPIC, 0, key.as_bytes()) };
        let now = Millis(self.now);
        let Ok(receipt) = store.append(&record, now) else { return };
        if self.sync_flush {
            let mut flushed = pin!(store.flushed(receipt.end));
            let mut context = Context::from_waker(Waker::noop());
            if flushed.as_mut().poll(&mut context).is_pending() {
                store.flush_due(now);
                let answer = flushed.as_mut().poll(&mut context);
                if matches!(answer, Poll::Ready(Ok(()))) && !self.disk.is_down() {
                    self.flushed = self.flushed.max(receipt.end.0);
                }
            }
        }
        self.sent.insert(key, Sent { due, end: receipt.end.0 });
        if !self.disk.is_down() {
            self.answered = receipt.end.0;
        }
    }

    fn work(&mut self, store: &Store) {
        self.disk.set_time(Millis(self.now));
        let now = Millis(self.now);
        match self.random.below(16) {
            0..5 => self.send(store),
            5 => {
                let body = vec![b'x'; self.random.below(700) as usize];
                // Whether it fails is nobody's business here.
                let _ = store.append(&message("Other", 1, &body), now);
            }
            6 | 7 => {
                store.dispatch();
            }
            8 => {
                store.flush_due(now);
            }
            9 => {
                self.now += self.random.below(3 * PRECISION as u64) as i64;
            }
            10 => {
                self.now += 60_000;
                store.flush_due(Millis(self.now));
            }
            11 => {
                store.files_due(now);
            }
            _ => {
                let next = store.timer_due(now);
                // To the very tick, as a sleeper wakes.
                if let Some(at) = next.filter(|_| self.random.one_in(2)) {
                    self.now = self.now.max(at.0);
                }
            }
        }
        let flushed = store.flushed_offset().0;
        if !self.disk.is_down() {
            self.flushed = self.flushed.max(flushed);
        }
    }

    fn life(&mut self) {
        let store = self.open();
        let mut faults = Faults { crash_in: Some(self.random.below(160)), ..Faults::default() };
        let closes = match self.random.below(8) {
            0 => {
                // A crash before the store could note the failure would be one fault too many.
                faults = Faults { sync_fails_in: Some(self.random.below(20)), ..Faults::default() };
                false
            }
            1 => {
                faults.write_fails_in = Some(self.random.below(50));
                false
            }
            2 => {
                faults.no_space = true;
                false
            }
            3..5 => {
                faults.crash_in = None;
                true
            }
            _ => false,
        };
        self.disk.set_faults(faults.clone());
        for _ in 0..self.random.below(100) {
            self.work(&store);
            if faults.no_space && self.random.one_in(20) {
                // Somebody made space.
                faults.no_space = false;
                self.disk.set_faults(faults.clone());
            }
            if self.disk.is_down() {
                break;
            }
        }
        let is_clean = closes && store.close().is_ok();
        self.disturbed |= !is_clean;
        drop(store);
        let crash = if self.random.one_in(2) { Crash::Process } else { Crash::Power };
        self.disk.reboot(crash);
        let must = match crash {
            _ if is_clean => self.answered,
            Crash::Power => self.flushed,
            Crash::Process => self.answered,
        };
        // The start may crash as well.
        while self.random.one_in(4) {
            let crash_in = Some(self.random.below(25));
            self.disk.set_faults(Faults { crash_in, ..Faults::default() });
            drop(Store::open(options(), Arc::new(self.disk.clone()), Millis(self.now)));
            self.disturbed = true;
            self.disk.reboot(crash);
        }
        let store = self.open();
        dispatch_all(&store);
        let end = store.appended().0;
        self.story.push(format!("{faults:?}, clean end: {is_clean}, {crash:?}, log to {end}"));
        assert!(end >= must, "{must} was promised; {:#?}", self.story);
        // What power took is gone for good.
        self.sent.retain(|_, sent| sent.end <= end);
        self.flushed = self.flushed.min(end);
        self.answered = end;
        self.disturbed = self.disturbed || store.close().is_err();
        drop(store);
        self.disk.reboot(Crash::Process);
    }

    /// Lets everything become due, and looks.
    fn check(&mut self) {
        let store = self.open();
        dispatch_all(&store);
        let mut rounds = 0;
        while let Some(at) = store.timer_due(Millis(self.now)) {
            self.now = self.now.max(at.0);
            dispatch_all(&store);
            rounds += 1;
            assert!(rounds < 10_000, "it never comes to rest");
        }
        assert!(store.failure().is_none());
        dispatch_all(&store);
        let mut delivered = BTreeMap::<String, u32>::new();
        for message in messages(&store, TOPIC, 0) {
            let key = String::from_utf8(message.body.to_vec()).expect("a key");
            if let Some(sent) = self.sent.get(&key) {
                let at = message.store_timestamp.0;
                assert!(at >= sent.due, "{key} came at {at}, due {}", sent.due);
            }
            *delivered.entry(key).or_default() += 1;
        }
        for key in self.sent.keys() {
            let times = delivered.remove(key).unwrap_or(0);
            let right = if self.disturbed { times >= 1 } else { times == 1 };
            assert!(right, "{key} was delivered {times} times; {:#?}", self.story);
        }
        let state = store.timer_state(Millis(self.now)).expect("nothing fails");
        let state = state.expect("there is a timer");
        assert_eq!((state.behind_messages, state.waiting), (0, 0));
        assert_eq!(store.max_offset(TIMER_TOPIC, QueueId(1)), None);
    }
}

/// Returns how many messages were sent and are not lost.
fn run(seed: u64) -> usize {
    let mut world = World {
        disk: SimDisk::new(seed),
        random: Random(seed),
        now: NOW.0,
        sent: BTreeMap::new(),
        number: 0,
        sync_flush: seed.is_multiple_of(3),
        flushed: 0,
        answered: 0,
        story: Vec::new(),
        disturbed: false,
    };
    // Or the first file were old, and expired.
    world.disk.set_time(NOW);
    for _ in 0..1 + world.random.below(3) {
        world.life();
    }
    world.check();
    world.sent.len()
}

#[test]
fn timer_messages_come_in_time_whatever_crashes_fails_or_is_full() {
    let sent: usize = skua_seeds::each(SEEDS, run).into_iter().sum();
    println!("{sent} messages");
}
