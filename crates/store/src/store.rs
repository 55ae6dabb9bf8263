//! The store as a whole: opening, what it says of itself, the files thread, closing.

mod dispatch_thread;
mod flush_thread;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use skua_protocol::{Millis, PhysicalOffset, QueueId, QueueOffset};

use crate::checkpoint::{Checkpoint, CheckpointFile};
use crate::commit_log::CommitLog;
use crate::compaction::Compaction;
use crate::config_files::ConfigFiles;
use crate::consume_queue::Queues;
use crate::disk::{Disk, DiskError, DiskLock, DiskResult, Space, lock};
use crate::dispatch::{Arrival, BitMap, Dispatcher};
use crate::error::{Failure, FlushError, OpenError, ReadError};
use crate::flush::{FlushClock, FlushMark, Flushed};
use crate::gate::Gate;
use crate::handles::Handles;
use crate::index::{Index, Keys};
use crate::options::StoreOptions;
use crate::recovery::{LastRun, Recovered, Recovery};
use crate::replica::{OnCheckpoint, OnRound};
use crate::retention::Retention;
use crate::signal::Signal;
use crate::timer::Timer;

/// How long a sleeping thread sleeps when nothing wakes it.
const LONG_SLEEP: Duration = Duration::from_secs(3600);
/// How often the work on files looks around unasked, in milliseconds.
const FILES_INTERVAL_MS: u64 = 1000;

/// Name of the file that is in the store's root while another store's log is taken into it.
pub const IMPORT_MARK: &str = "import-unfinished";

/// Told of every message that can be read from its queue.
pub type OnArrival = Box<dyn Fn(&Arrival<'_>) + Send + Sync>;
/// Told of every timer message that was delivered: its topic, queue and bytes.
pub type OnTimerDelivery = Box<dyn Fn(&str, QueueId, u32) + Send + Sync>;

/// A broker's messages on disk. All methods may be called from any thread.
///
/// Dropping it without [`close`](Self::close) is like a crash of the process: nothing is lost, and
/// the next start reads the log again from the last checkpoint.
pub struct Store {
    pub(crate) options: StoreOptions,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) log: Arc<CommitLog>,
    pub(crate) queues: Queues,
    handles: Arc<Handles>,
    config_files: ConfigFiles,
    recovered: Recovered,
    pub(crate) gate: Arc<Gate>,
    on_arrival: OnceLock<OnArrival>,
    bit_map: Arc<OnceLock<BitMap>>,
    pub(crate) on_timer_delivery: OnceLock<OnTimerDelivery>,
    pub(crate) on_round: OnceLock<OnRound>,
    /// The log's end when that was told last.
    pub(crate) round_told: AtomicU64,
    pub(crate) on_checkpoint: OnceLock<OnCheckpoint>,
    /// One append at a time of those that need places in further queues.
    pub(crate) dispatching_to_many: Mutex<()>,
    /// One round of dispatch at a time.
    pub(crate) dispatcher: Mutex<Dispatcher>,
    /// Where dispatch stands and the store time of the last record before.
    pub(crate) dispatched: Mutex<(u64, Millis)>,
    /// Wakes dispatch: something was appended.
    pub(crate) dispatch_wanted: Signal,
    pub(crate) index: Option<Index>,
    /// Wakes indexing: something was dispatched.
    pub(crate) index_wanted: Signal,
    pub(crate) mark: Arc<FlushMark>,
    /// One flush of the log at a time.
    pub(crate) flushing: Mutex<()>,
    flush_clock: Mutex<FlushClock>,
    /// As it is in the file. Held while queues are flushed.
    pub(crate) checkpoint: Mutex<Checkpoint>,
    pub(crate) checkpoint_file: CheckpointFile,
    /// The disk failed in the last run, and not everything is durable again yet.
    disk_failed: AtomicBool,
    pub(crate) retention: Retention,
    pub(crate) compaction: Compaction,
    /// Set right after the store's making, which it reads at its opening.
    pub(crate) timer: Option<Timer>,
    closing: AtomicBool,
    lock_file: Mutex<Option<Box<dyn DiskLock>>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("root", &self.options.root).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the directory and recovers what it holds, or begins an empty one.
    ///
    /// Takes the lock file, and leaves the file `abort` there until [`close`](Self::close).
    pub fn open(
        options: StoreOptions,
        disk: Arc<dyn Disk>,
        now: Millis,
    ) -> Result<Self, OpenError> {
        options.check()?;
        let lock_path = options.root.join("lock");
        let lock_file = disk.lock(&lock_path)?.ok_or(OpenError::Locked(lock_path))?;
        refuse_rocksdb(&options, &*disk)?;
        let unfinished = options.root.join(IMPORT_MARK);
        if !options.continues_import && disk.read_whole(&unfinished)?.is_some() {
            return Err(OpenError::Unfinished(unfinished));
        }

        let abort = abort_path(&options);
        let last_run = if disk.read_whole(&disk_failed_path(&options))?.is_some() {
            LastRun::DiskFailed
        } else if disk.read_whole(&abort)?.is_some() {
            LastRun::Killed
        } else {
            LastRun::Closed
        };
        disk.write_whole(&abort, std::process::id().to_string().as_bytes())?;
        disk.sync_dir(&options.root)?;

        let checkpoint_file = CheckpointFile::new(&options.root);
        let mut checkpoint = checkpoint_file.read(&*disk)?;
        if last_run != LastRun::Closed {
            // What was read may be in the page cache only; a power cut must not bring back marks
            // that were taken down before the log was cut.
            checkpoint_file.save_again(&*disk, &checkpoint)?;
        }
        let handles = Arc::new(Handles::new(Arc::clone(&disk), options.open_files));
        let log = Arc::new(CommitLog::open(&options, Arc::clone(&disk), Arc::clone(&handles))?);
        let queues =
            Queues::open(&options, Arc::clone(&disk), Arc::clone(&log), Arc::clone(&handles))?;
        let bit_map = Arc::new(OnceLock::new());
        let bits = options.consume_queue_ext.then(|| bit_map.clone());
        let mut dispatcher =
            Dispatcher::new(options.delay_levels.clone(), options.multi_dispatch, bits);
        let recovery = Recovery {
            log: &log,
            queues: &queues,
            dispatcher: &mut dispatcher,
            checkpoint: &mut checkpoint,
            checkpoint_file: &checkpoint_file,
            disk: &*disk,
            last_run: match last_run {
                // Nothing is taken for what a crash has torn.
                LastRun::Killed if options.read_whole_log => LastRun::Closed,
                other => other,
            },
            whole: options.read_whole_log,
            checks: options.checks(),
            on_damage: options.on_damage,
            confirmed: options.confirmed,
            void_from: options.void_from,
        };
        let recovered = recovery.run().inspect_err(|error| {
            if last_run == LastRun::Closed && matches!(error, OpenError::Damaged(_)) {
                // The next start shall know as much as this one.
                let _ = disk.remove(&abort);
            }
        })?;
        let gate = match options.confirmed {
            Some(_) => Gate::at(recovered.dispatched),
            None => Gate::open(),
        };
        let open_index = |index| {
            let (disk, handles) = (Arc::clone(&disk), Arc::clone(&handles));
            let held = log.min()..recovered.end;
            Index::open(&options, index, disk, handles, &checkpoint, last_run, held)
        };
        let index = options.index.map(open_index).transpose()?;
        dispatcher.keys = index.is_some().then(Keys::default);

        let mark = FlushMark::default();
        // What was read may be in the page cache only: it counts as flushed after the next flush.
        mark.advance(recovered.from);
        let flush_clock = FlushClock::new(options.flush, now, recovered.from);
        let mut store = Self {
            gate: Arc::new(gate),
            config_files: ConfigFiles::new(Arc::clone(&disk), options.root.join("config")),
            recovered,
            on_arrival: OnceLock::new(),
            bit_map,
            on_timer_delivery: OnceLock::new(),
            on_round: OnceLock::new(),
            round_told: AtomicU64::new(0),
            on_checkpoint: OnceLock::new(),
            dispatched: Mutex::new((dispatcher.position, dispatcher.timestamp)),
            dispatching_to_many: Mutex::default(),
            dispatcher: Mutex::new(dispatcher),
            dispatch_wanted: Signal::default(),
            index,
            index_wanted: Signal::default(),
            mark: Arc::new(mark),
            flushing: Mutex::default(),
            flush_clock: Mutex::new(flush_clock),
            checkpoint: Mutex::new(checkpoint),
            checkpoint_file,
            disk_failed: AtomicBool::new(last_run == LastRun::DiskFailed),
            compaction: Compaction::new(now.plus(options.compaction_interval_ms)),
            retention: Retention::new(options.retention.clone(), now),
            timer: None,
            closing: AtomicBool::new(false),
            lock_file: Mutex::new(Some(lock_file)),
            options,
            disk,
            log,
            queues,
            handles,
        };
        if let Some(timer) = store.options.timer {
            let (root, files) = (&store.options.root, store.config_files());
            let timer = Timer::open(timer, root, &store.disk, files, last_run, &store, now)?;
            store.timer = Some(timer);
        }
        Ok(store)
    }

    /// What the start found.
    pub fn recovered(&self) -> Recovered {
        self.recovered
    }

    /// Why the store takes no writes, if it does not.
    pub fn failure(&self) -> Option<Failure> {
        self.log.failure()
    }

    /// The JSON tables under `config/`.
    pub fn config_files(&self) -> ConfigFiles {
        self.config_files.clone()
    }

    /// Calls `tell` for every message that can be read from its queue from now on. It runs on the
    /// dispatch thread and must neither wait nor delete topics. A second call changes nothing.
    pub fn on_arrival(&self, tell: OnArrival) {
        let _ = self.on_arrival.set(tell);
    }

    /// Asks `bits` for the bit map that goes beside each entry from now on, if anything goes there
    /// (the option `consume_queue_ext`). It must not wait. A second call changes nothing.
    pub fn calculate_bit_maps(&self, bits: BitMap) {
        let _ = self.bit_map.set(bits);
    }

    /// Calls `tell` for every timer message that is delivered from now on, on the timer's thread.
    /// A second call changes nothing.
    pub fn on_timer_delivery(&self, tell: OnTimerDelivery) {
        let _ = self.on_timer_delivery.set(tell);
    }

    /// First offset of the log that is there.
    pub fn min_physical_offset(&self) -> PhysicalOffset {
        PhysicalOffset(self.log.min())
    }

    /// The log's end.
    pub fn appended(&self) -> PhysicalOffset {
        PhysicalOffset(self.log.appended())
    }

    /// Everything in the log before is durable.
    pub fn flushed_offset(&self) -> PhysicalOffset {
        PhysicalOffset(self.mark.get())
    }

    /// Everything in the log before is in its queue.
    pub fn dispatched(&self) -> PhysicalOffset {
        PhysicalOffset(lock(&self.dispatched).0)
    }

    /// Waits until everything before `end` is durable. Wakes the flush thread; needs no runtime.
    pub fn flushed(&self, end: PhysicalOffset) -> Flushed {
        FlushMark::wait(&self.mark, end)
    }

    /// First queue offset that can be read; `None` if the queue has never had a message, or cannot
    /// be read.
    pub fn min_offset(&self, topic: &str, queue_id: QueueId) -> Option<QueueOffset> {
        let queue = self.queues.find(topic, queue_id).ok()?;
        (queue.max() > 0).then(|| QueueOffset(self.first_offset(&queue)))
    }

    /// Queue offset of the next message that comes; `None` as [`min_offset`](Self::min_offset).
    pub fn max_offset(&self, topic: &str, queue_id: QueueId) -> Option<QueueOffset> {
        let queue = self.queues.find(topic, queue_id).ok()?;
        (queue.max() > 0).then(|| QueueOffset(queue.max()))
    }

    /// Topics and queue ids that have or had messages. Lists directories: not for the hot path.
    pub fn queue_list(&self) -> DiskResult<Vec<(String, QueueId)>> {
        self.queues.list()
    }

    /// The topic's queues are of the batch kind. To be said before its first message is stored.
    pub fn set_batch_topic(&self, topic: &str) {
        self.queues.set_batch(topic);
    }

    /// The record at `offset`, if one of `size` bytes, or any if that is not given, begins there.
    pub fn record_at(
        &self,
        offset: PhysicalOffset,
        size: Option<u32>,
    ) -> Result<Option<Bytes>, ReadError> {
        if offset.0 >= self.gate.confirmed() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        match self.log.record_at(offset.0, size.map(|size| size as usize), &mut bytes) {
            Ok(()) => Ok(Some(bytes.into())),
            Err(ReadError::Disk(cause)) => Err(ReadError::Disk(cause)),
            Err(_) => Ok(None),
        }
    }

    /// The record at `offset` if it was written lately, without a copy and without the disk.
    pub fn hot_record(&self, offset: PhysicalOffset) -> Option<Bytes> {
        (offset.0 < self.gate.confirmed()).then(|| self.log.hot_record(offset.0)).flatten()
    }

    /// Whether readers of what no cache holds read ahead.
    pub fn set_read_ahead(&self, enabled: bool) {
        self.log.read_ahead.store(enabled, Ordering::Relaxed);
    }

    /// Files of log and queues open now; bounded by the option `open_files`.
    pub fn open_files(&self) -> usize {
        self.handles.count()
    }

    /// Where the commit log's files are.
    pub fn commit_log_dir(&self) -> &std::path::Path {
        self.log.dir()
    }

    /// Space of the file system that the log is on.
    pub fn space(&self) -> DiskResult<Space> {
        self.disk.space(self.log.dir()).or_else(|_| self.disk.space(&self.options.root))
    }

    /// Deletes the topic's queues; its records stay in the log until they expire. The topic's
    /// queue offsets begin again at 0.
    pub fn delete_topic(&self, topic: &str) -> DiskResult<()> {
        {
            // No round of dispatch is under way that would make the files anew.
            let _dispatcher = lock(&self.dispatcher);
            self.log.at_rest(|end| self.queues.detach(topic, end));
            self.queues.delete_files(topic)?;
            self.delete_compacted(topic)?;
        }
        // The next start must not read records of the life that is over.
        self.dispatch_all()?;
        self.flush_all()
    }

    // ---- files thread

    /// Makes the next file and window ahead of need, unmaps what is behind, and deletes what has
    /// expired; returns when to
    /// come again, if appends do not ask before.
    pub fn files_due(&self, now: Millis) -> Millis {
        if self.failure().is_none()
            && let Err(cause) = self.log.prepare()
        {
            // Who appends tries again, and decides.
            tracing::warn!(%cause, "the next file of the commit log cannot be made ahead");
        }
        self.log.forget_cold_windows();
        let next = self.retention_due(now).min(self.compaction_due(now));
        next.min(now.plus(FILES_INTERVAL_MS as i64))
    }

    /// Looks after the files until [`close`](Self::close); for a thread of its own.
    pub fn run_files(&self, clock: impl Fn() -> Millis) {
        while !self.is_closing() {
            let next = self.files_due(clock());
            let asked = || self.is_closing() || self.log.is_window_wanted();
            self.log.files_wanted.sleep(until(next, clock()), asked);
        }
    }

    // ---- the end

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Ends cleanly: no more appends, everything into the queues and onto the disk, `abort` and
    /// the lock gone. The three threads return.
    pub fn close(&self) -> DiskResult<()> {
        self.closing.store(true, Ordering::SeqCst);
        self.finish_timer();
        self.log.close();
        self.dispatch_wanted.wake();
        self.index_wanted.wake();
        if let Some(timer) = &self.timer {
            timer.wanted.wake();
        }
        self.mark.wanted.wake();
        self.log.files_wanted.wake();
        if lock(&self.lock_file).is_none() {
            return Ok(());
        }
        let result = match self.failure() {
            // What the disk refused before is not tried again; the next start reads the log.
            Some(Failure(cause)) => Err(DiskError::clone(&cause)),
            None => self
                .dispatch_all()
                .and_then(|()| self.finish_index())
                .and_then(|()| self.close_timer())
                .and_then(|()| self.flush_many_queues())
                .and_then(|()| self.flush_all()),
        };
        self.mark.end(FlushError::Closed);
        if result.is_ok() {
            self.disk.remove(&abort_path(&self.options))?;
            self.disk.sync_dir(&self.options.root)?;
        }
        lock(&self.lock_file).take();
        result
    }
}

fn until(next: Millis, now: Millis) -> Duration {
    Duration::from_millis(next.since(now).max(0) as u64)
}

/// There from the start to a clean end, with the process id in it; Java looks only whether it
/// exists.
fn abort_path(options: &StoreOptions) -> PathBuf {
    options.root.join("abort")
}

/// There from a failure of the disk until everything is durable again; ours alone.
fn disk_failed_path(options: &StoreOptions) -> PathBuf {
    options.root.join("disk-failed")
}

/// Stores whose consume queues are in RocksDB hold nothing we could serve.
fn refuse_rocksdb(options: &StoreOptions, disk: &dyn Disk) -> Result<(), OpenError> {
    let path = options.root.join("consumequeue_r");
    if disk.list(&path)?.is_empty() { Ok(()) } else { Err(OpenError::RocksDb(path)) }
}
