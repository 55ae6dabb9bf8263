//! The store as a whole: opening, the work of its threads, closing.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};
use std::time::Duration;

use bytes::Bytes;
use skua_protocol::{Millis, PhysicalOffset, QueueId, QueueOffset};

use crate::checkpoint::{Checkpoint, CheckpointFile, Marks};
use crate::commit_log::CommitLog;
use crate::compaction::Compaction;
use crate::config_files::ConfigFiles;
use crate::consume_queue::Queues;
use crate::disk::{Disk, DiskError, DiskLock, DiskResult, Space, lock};
use crate::dispatch::{Arrival, BitMap, DispatchError, Dispatcher, Trust};
use crate::error::{Failure, FlushError, OpenError, ReadError};
use crate::flush::{FlushClock, FlushMark, FlushState, Flushed};
use crate::gate::Gate;
use crate::handles::Handles;
use crate::index::Index;
use crate::options::StoreOptions;
use crate::recovery::{LastRun, Recovered, Recovery};
use crate::replica::{OnCheckpoint, OnRound};
use crate::retention::Retention;
use crate::signal::Signal;
use crate::timer::{TIMER_TOPIC, Timer};

/// How long dispatch waits when the disk is full.
const FULL_DISK_PAUSE: Duration = Duration::from_secs(1);
/// Rounds of dispatch on a caller's thread until the dispatch thread has to go on.
const ROUNDS_HERE: usize = 4;
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

    // ---- dispatch thread

    /// Takes some of what was appended into the queues; returns how many records, 0 if there are
    /// none or the disk fails. That stops the store's writes, unless it is merely full.
    pub fn dispatch(&self) -> usize {
        self.dispatch_round(lock(&self.dispatcher)).unwrap_or(0)
    }

    /// Takes what was appended into the queues on the caller's thread, which saves waking the
    /// dispatch thread for a few records. Leaves it to that thread when it is at it already, or
    /// when there is much.
    pub fn dispatch_here(&self) {
        self.tell_round();
        self.wake_flush_for_append();
        for _ in 0..ROUNDS_HERE {
            if self.dispatched().0 >= self.dispatchable() {
                return;
            }
            let dispatcher = match self.dispatcher.try_lock() {
                Ok(dispatcher) => dispatcher,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                // Whoever holds it looks once more afterwards.
                Err(TryLockError::WouldBlock) => return,
            };
            if self.dispatch_round(dispatcher).is_err() {
                break;
            }
        }
        if self.dispatched().0 < self.dispatchable() {
            self.dispatch_wanted.wake();
        }
    }

    fn dispatch_round(&self, mut dispatcher: MutexGuard<'_, Dispatcher>) -> DiskResult<usize> {
        let end = self.dispatchable();
        if dispatcher.position >= end {
            return Ok(0);
        }
        let tell = |arrival: &Arrival<'_>| {
            if arrival.topic == TIMER_TOPIC
                && let Some(timer) = &self.timer
            {
                timer.wanted.wake();
            }
            if let Some(tell) = self.on_arrival.get() {
                tell(arrival);
            }
        };
        let round = dispatcher.round(&self.log, &self.queues, end, Trust::Own, &tell);
        let cause = match round {
            Ok((count, crate::dispatch::Stop::Done)) => {
                *lock(&self.dispatched) = (dispatcher.position, dispatcher.timestamp);
                self.queues.forget_deleted(dispatcher.position);
                self.index_wanted.wake();
                return Ok(count);
            }
            Ok((_, crate::dispatch::Stop::NoRecord(reason))) => {
                let reason = reason.map_or_else(|| "nothing".to_owned(), |why| why.to_string());
                let cause = format!("{reason} at {}, before the log's end", dispatcher.position);
                DiskError::new("follow", self.log.dir(), std::io::Error::other(cause))
            }
            Err(DispatchError::Queue(cause) | DispatchError::Log(ReadError::Disk(cause))) => cause,
            Err(DispatchError::Log(cause)) => {
                DiskError::new("follow", self.log.dir(), std::io::Error::other(cause))
            }
        };
        if !cause.is_full() {
            self.fail(cause.clone());
        }
        Err(cause)
    }

    /// Store time of the last dispatched record.
    pub(crate) fn dispatched_time(&self) -> Millis {
        lock(&self.dispatched).1
    }

    /// Where dispatch ends for now.
    pub(crate) fn dispatchable(&self) -> u64 {
        self.log.appended().min(self.gate.confirmed())
    }

    fn dispatch_all(&self) -> DiskResult<()> {
        let end = self.dispatchable();
        while self.dispatched().0 < end {
            self.dispatch_round(lock(&self.dispatcher))?;
        }
        Ok(())
    }

    /// Dispatches until [`close`](Self::close); for a thread of its own.
    pub fn run_dispatch(&self) {
        while !self.is_closing() {
            let ready = || self.is_closing() || self.dispatched().0 < self.dispatchable();
            match self.dispatch_round(lock(&self.dispatcher)) {
                Ok(0) => self.dispatch_wanted.sleep(LONG_SLEEP, ready),
                Ok(_) => {}
                Err(cause) if cause.is_full() => {
                    tracing::warn!(%cause, "consume queues wait for space");
                    self.dispatch_wanted.sleep(FULL_DISK_PAUSE, || self.is_closing());
                }
                Err(_) => self.dispatch_wanted.sleep(LONG_SLEEP, || self.is_closing()),
            }
        }
    }

    // ---- flush thread

    /// Flushes what is due; returns when to come again, if nobody waits for
    /// [`flushed`](Self::flushed) before.
    pub fn flush_due(&self, now: Millis) -> Millis {
        let state = FlushState {
            appended: self.log.appended(),
            flushed: self.mark.get(),
            dispatched: self.dispatched().0,
            is_waited_for: self.mark.is_waited_for(),
        };
        let (work, next) = {
            let mut clock = lock(&self.flush_clock);
            (clock.due(now, state), clock.next())
        };
        if self.failure().is_some() {
            return next;
        }
        let mut result = Ok(());
        if work.log {
            result = self.flush_log();
        }
        if result.is_ok() && work.checkpoint {
            result = self.flush_all();
            self.queues.cool();
        } else if let Some(least_pages) = work.queues.filter(|_| result.is_ok()) {
            let _checkpoint = lock(&self.checkpoint);
            result = self.queues.flush(least_pages, &|| self.flush_for_waiters());
        }
        match result {
            // The checkpoint's file is made with the first one; it waits for space.
            Err(cause) if cause.is_full() => tracing::warn!(%cause, "no checkpoint"),
            Err(cause) => self.fail(cause),
            Ok(()) => {}
        }
        next
    }

    /// Flushes until [`close`](Self::close); for a thread of its own. `clock` tells the time.
    pub fn run_flush(&self, clock: impl Fn() -> Millis) {
        while !self.is_closing() {
            let next = self.flush_due(clock());
            let is_due = || self.mark.is_waited_for() || self.is_flush_due_by_append();
            let waits = || self.failure().is_none() && is_due();
            self.mark.wanted.sleep(until(next, clock()), || self.is_closing() || waits());
        }
    }

    fn is_flush_due_by_append(&self) -> bool {
        let rules = &self.options.flush;
        rules.log_on_append && rules.log_is_due(self.log.appended(), self.mark.get())
    }

    /// Something was appended.
    pub(crate) fn wake_for_append(&self) {
        self.tell_round();
        if !self.gate.is_on() {
            self.dispatch_wanted.wake();
        }
        self.wake_flush_for_append();
    }

    fn wake_flush_for_append(&self) {
        if self.options.flush.log_on_append {
            self.mark.wanted.wake();
        }
    }

    /// Makes the whole log durable, then answers who waited.
    pub(crate) fn flush_log(&self) -> DiskResult<()> {
        let _flushing = lock(&self.flushing);
        if let Some(Failure(cause)) = self.failure() {
            return Err(DiskError::clone(&cause));
        }
        let end = self.log.appended();
        let flushed = self.mark.get();
        if flushed < end {
            // Noted before the next in line tries: a second sync succeeds and saves nothing.
            self.log.sync(flushed, end).inspect_err(|cause| self.fail(cause.clone()))?;
            self.mark.advance(end);
        }
        Ok(())
    }

    fn flush_for_waiters(&self) {
        if self.mark.is_waited_for()
            && let Err(cause) = self.flush_log()
        {
            self.fail(cause);
        }
    }

    /// Makes log and queues durable, and notes it in the checkpoint; stops the writes if it fails.
    pub(crate) fn flush_all(&self) -> DiskResult<()> {
        self.save().inspect_err(|cause| {
            if !cause.is_full() {
                self.fail(cause.clone());
            }
        })
    }

    /// Entries of many queues by one call, behind the log's records that they point to.
    fn flush_many_queues(&self) -> DiskResult<()> {
        let flushed = self.flush_log().and_then(|()| self.queues.flush_at_once());
        flushed.inspect_err(|cause| {
            if !cause.is_full() {
                self.fail(cause.clone());
            }
        })
    }

    fn save(&self) -> DiskResult<()> {
        let mut checkpoint = lock(&self.checkpoint);
        let (dispatched, logics_timestamp) = *lock(&self.dispatched);
        let index = self.prepare_index()?;
        if let Some(before) = self.on_checkpoint.get() {
            before()?;
        }
        let (end, physic_timestamp, ()) = self.log.at_rest(|_| ());
        self.flush_log()?;
        self.queues.flush(0, &|| self.flush_for_waiters())?;
        let before = checkpoint.own.map(|own| own.index).unwrap_or_default();
        let (index, full_until) = self.save_index(index, before)?;
        let marks = Marks { dispatched, flushed: end, index };
        let next = Checkpoint {
            physic_timestamp: physic_timestamp.0.max(0) as u64,
            logics_timestamp: logics_timestamp.0.max(0) as u64,
            index_timestamp: full_until.unwrap_or(checkpoint.index_timestamp),
            own: Some(marks),
            ..*checkpoint
        };
        self.checkpoint_file.write(&*self.disk, &next)?;
        *checkpoint = next;
        if self.disk_failed.swap(false, Ordering::SeqCst) {
            self.disk.remove(&disk_failed_path(&self.options))?;
            self.disk.sync_dir(&self.options.root)?;
        }
        Ok(())
    }

    /// No more writes, and nobody waits for what will not come.
    pub(crate) fn fail(&self, cause: DiskError) {
        if self.failure().is_none() {
            // If this cannot be written either, the next start has worse to deal with.
            let _ = self.disk.write_whole(&disk_failed_path(&self.options), b"");
            let _ = self.disk.sync_dir(&self.options.root);
        }
        let failure = self.log.fail(cause);
        self.mark.end(FlushError::Failed(failure));
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
