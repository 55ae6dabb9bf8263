//! A member: its disk, and its process while that lives.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use skua_protocol::record::NewRecord;
use skua_protocol::{Millis, QueueId};
use skua_raft::{Group, GroupError, GroupOptions, LogHint, PeerId, Role, log_hint};
use skua_store::disk::{Crash, Faults, SimDisk};
use skua_store::{Confirmed, FileSize, LeadsStill, Receipt, RetentionRules, Store, StoreOptions};

pub const TOPICS: [&str; 2] = ["TopicA", "TopicB"];

pub struct Life {
    pub store: Arc<Store>,
    pub group: Group,
    pub role: Role,
    /// Number of each sync that was asked for, and when it is done.
    pub syncs: VecDeque<(u64, i64)>,
    /// Reads that were asked for, likewise.
    pub reads: VecDeque<(u64, u64, u64, i64)>,
}

pub struct Node {
    pub id: u64,
    pub disk: SimDisk,
    pub life: Option<Life>,
    /// Starts of the machine.
    pub boots: u8,
    pub up_at: i64,
    pub is_wanted: bool,
    pub paused_until: i64,
    /// Frames that came while it was frozen.
    pub waiting: Vec<(u64, Vec<u8>)>,
    pub faults: Faults,
    /// Why the last start failed.
    pub refusal: Option<String>,
    /// A call failed or panicked.
    failed: Option<String>,
}

/// A message that a member took.
pub struct Sent {
    pub node: u64,
    pub number: u64,
    pub topic: usize,
    pub queue: u32,
    pub body: Vec<u8>,
    pub receipt: Receipt,
    pub term: u64,
    safe: Pin<Box<Confirmed>>,
}

impl Sent {
    /// Whether it is safe, once that is known.
    pub fn poll(&mut self) -> Option<bool> {
        let mut context = Context::from_waker(Waker::noop());
        match self.safe.as_mut().poll(&mut context) {
            Poll::Ready(Ok(())) => Some(true),
            Poll::Ready(Err(_)) => Some(false),
            Poll::Pending => None,
        }
    }
}

/// A question whether a member leads still.
pub struct Asked {
    pub node: u64,
    /// What any member had called agreed on before.
    pub floor: u64,
    answer: Pin<Box<LeadsStill>>,
}

impl Asked {
    /// Whether it led, once that is known.
    pub fn poll(&mut self) -> Option<bool> {
        let mut context = Context::from_waker(Waker::noop());
        match self.answer.as_mut().poll(&mut context) {
            Poll::Ready(answer) => Some(answer.is_ok()),
            Poll::Pending => None,
        }
    }
}

pub fn store_options(expires: bool) -> StoreOptions {
    let mut options = StoreOptions::new("/store");
    options.commit_log_file_size = FileSize::Exactly(4096);
    options.consume_queue_file_size = FileSize::Exactly(200);
    options.window_bytes = 64 * 1024;
    options.queue_tail_entries = 7;
    options.open_files = 3;
    if expires {
        options.retention = RetentionRules {
            delete_hours: (0..24).collect(),
            reserved_ms: 2500,
            round_files: 3,
            round_ms: 400,
            ..RetentionRules::default()
        };
    }
    options
}

impl Node {
    pub fn new(id: u64, seed: u64) -> Self {
        let disk = SimDisk::new(seed.wrapping_mul(31).wrapping_add(id));
        disk.set_cold(seed % 4 >= 2);
        Self {
            id,
            disk,
            life: None,
            boots: 0,
            up_at: 0,
            is_wanted: true,
            paused_until: 0,
            waiting: Vec::new(),
            faults: Faults::default(),
            refusal: None,
            failed: None,
        }
    }

    pub fn start(&mut self, options: GroupOptions, now: i64, expires: bool) {
        self.disk.set_faults(self.faults.clone());
        self.disk.set_time(Millis(now));
        let disk = Arc::new(self.disk.clone());
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let hint = log_hint(disk.clone(), &options).map_err(|e| e.to_string())?;
            let LogHint { confirmed, void_from } = hint;
            let confirmed = Some(confirmed);
            let store = StoreOptions { confirmed, void_from, ..store_options(expires) };
            let store = Store::open(store, disk.clone(), Millis(now)).map_err(|e| e.to_string())?;
            let store = Arc::new(store);
            let group = Group::open(options, disk.clone(), Arc::clone(&store), Millis(now));
            Ok::<_, String>((store, group.map_err(|e| e.to_string())?))
        }));
        self.refusal = None;
        match opened {
            Ok(Ok((store, group))) => {
                let role = Role::Follower { leader: None };
                self.life = Some(Life {
                    store,
                    group,
                    role,
                    syncs: VecDeque::new(),
                    reads: VecDeque::new(),
                });
            }
            Ok(Err(cause)) => {
                let excused = self.disk.is_down() || self.faults.no_space;
                assert!(excused, "n{} does not start: {cause}", self.id);
                self.refusal = Some(cause.clone());
                self.failed = Some(cause);
            }
            Err(panic) => {
                assert!(self.disk.is_down(), "n{} panics at its start: {panic:?}", self.id);
                self.failed = Some("panic".to_owned());
            }
        }
    }

    /// Whether it went down in the last call, and how.
    pub fn died(&mut self) -> Option<Crash> {
        let failed = self.failed.take();
        if self.disk.is_down() {
            return Some(Crash::Power);
        }
        failed.map(|_| Crash::Process)
    }

    pub fn crash(&mut self, how: Crash) {
        self.life = None;
        self.waiting.clear();
        self.paused_until = 0;
        self.disk.reboot(how);
        self.faults.crash_in = None;
        self.faults.sync_fails_in = None;
        self.faults.write_fails_in = None;
        if how == Crash::Power {
            self.boots += 1;
        }
        self.disk.set_faults(self.faults.clone());
    }

    /// Nothing of it is left.
    pub fn wipe(&mut self) {
        self.crash(Crash::Process);
        self.disk.set_faults(Faults::default());
        self.disk.remove_dir_all();
    }

    pub fn heal(&mut self, is_wanted: bool, now: i64) {
        self.faults = Faults::default();
        self.disk.set_faults(Faults::default());
        self.is_wanted = is_wanted;
        self.up_at = self.up_at.min(now);
        self.paused_until = 0;
        if !is_wanted {
            self.crash(Crash::Process);
        }
    }

    pub fn run(&mut self, call: impl FnOnce(&mut Life) -> Result<(), GroupError>) {
        let Some(life) = &mut self.life else { return };
        if self.failed.is_some() || self.disk.is_down() {
            return;
        }
        match catch_unwind(AssertUnwindSafe(|| call(life))) {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => {
                let is_full = ["no storage space", "medium error"]
                    .iter()
                    .any(|what| cause.to_string().contains(what));
                let excused = self.disk.is_down() || self.has_faults() || is_full;
                assert!(excused, "n{}: {cause}", self.id);
                self.failed = Some(cause.to_string());
            }
            Err(panic) => {
                if !self.disk.is_down() && !self.has_faults() {
                    std::panic::resume_unwind(panic);
                }
                self.failed = Some("panic".to_owned());
            }
        }
    }

    /// A frame came, or, if it is empty, the end of the connection of frames.
    pub fn hear(&mut self, from: u64, frame: &[u8], now: i64) {
        self.run(|life| match frame.is_empty() {
            true => {
                life.group.lost(PeerId(from));
                Ok(())
            }
            false => life.group.receive(PeerId(from), frame, Millis(now)),
        });
    }

    fn has_faults(&self) -> bool {
        let Faults { write_fails_in, sync_fails_in, .. } = self.faults;
        write_fails_in.is_some() || sync_fails_in.is_some()
    }

    /// What the store's threads do.
    pub fn work(&mut self, now: i64, dice: u64) {
        self.disk.set_time(Millis(now));
        self.run(|life| {
            let store = &life.store;
            match dice {
                0..16 => {
                    store.dispatch();
                }
                16 => {
                    store.flush_due(Millis(now));
                }
                17 => {
                    store.flush_due(Millis(now + 60_000));
                }
                18..21 => {
                    store.files_due(Millis(now));
                }
                _ => {}
            }
            Ok(())
        });
    }

    /// A life without a group.
    pub fn was_alone(&mut self, count: u64, closes: bool, now: i64) -> (Arc<Store>, Vec<Sent>) {
        let disk = Arc::new(self.disk.clone());
        let store = Store::open(store_options(false), disk, Millis(now)).expect("opens");
        let store = Arc::new(store);
        let sent = (0..count).map(|number| {
            let len = (number * 37 % 300) as usize;
            let (topic, queue) = ((number % 2) as usize, (number / 2 % 2) as u32);
            put(&store, self.id, (1 << 40) + number, topic, queue, len, 0, now).expect("stored")
        });
        let sent = sent.collect();
        while store.dispatch() > 0 {}
        if closes {
            store.close().expect("closes");
        }
        (store, sent)
    }

    /// `None`: it does not take appends.
    pub fn ask(&mut self, floor: u64) -> Option<Asked> {
        let store = &self.life.as_ref()?.store;
        let answer = Box::pin(store.leads_still(store.epoch()?));
        Some(Asked { node: self.id, floor, answer })
    }

    pub fn send(
        &mut self,
        number: u64,
        topic: usize,
        queue: u32,
        len: usize,
        now: i64,
    ) -> Option<Sent> {
        let life = self.life.as_mut()?;
        let term = life.group.status().term;
        let sent = put(&life.store, self.id, number, topic, queue, len, term, now);
        sent.filter(|_| !self.disk.is_down())
    }
}

#[allow(clippy::too_many_arguments, reason = "one message")]
fn put(
    store: &Store,
    node: u64,
    number: u64,
    topic: usize,
    queue: u32,
    len: usize,
    term: u64,
    now: i64,
) -> Option<Sent> {
    let mut body = format!("{number}:").into_bytes();
    body.resize(body.len() + len, b'x');
    let host = ([127, 0, 0, 1], 10911).into();
    let record = NewRecord {
        topic: TOPICS[topic],
        queue_id: QueueId(queue),
        flag: 0,
        sys_flag: 0,
        born_timestamp: Millis(now),
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: &body,
        properties: b"TAGS\x01TagA\x02",
    };
    let receipt = store.append_only(&record, Millis(now)).ok()?;
    let safe = Box::pin(store.confirmed_when(receipt.end, receipt.epoch));
    Some(Sent { node, number, topic, queue, body, receipt, term, safe })
}

/// What the simulated disk lacks.
trait RemoveAll {
    fn remove_dir_all(&self);
}

impl RemoveAll for SimDisk {
    fn remove_dir_all(&self) {
        use skua_store::Disk;
        self.remove_dir(Path::new("/store")).expect("nothing fails");
        self.sync_dir(Path::new("/")).expect("nothing fails");
        // Or a later power cut brings back what somebody emptied.
        self.reboot(Crash::Process);
    }
}
