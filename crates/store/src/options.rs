//! What the store is told, checked.

use std::path::PathBuf;

use skua_protocol::Millis;

use crate::disk::{WINDOW_ALIGNMENT, WriteBy};
use crate::dispatch::Checks;
use crate::error::OpenError;
use crate::multi_dispatch::MultiDispatch;
use crate::retention::RetentionRules;
use crate::timer::TimerOptions;

/// Length of the files of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSize {
    /// Files of another length stop the start.
    Exactly(u64),
    /// As the files that are there, or this if there are none.
    AsFound { otherwise: u64 },
}

impl FileSize {
    pub(crate) fn resolve(self, found: Option<u64>) -> u64 {
        match self {
            Self::Exactly(size) => size,
            Self::AsFound { otherwise } => found.filter(|size| *size > 0).unwrap_or(otherwise),
        }
    }
}

/// When written bytes are made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushRules {
    /// Milliseconds between two looks at the commit log (`flushIntervalCommitLog`).
    pub log_interval_ms: u64,
    /// Dirty pages of 4 KiB worth a flush (`flushCommitLogLeastPages`).
    pub log_least_pages: u64,
    /// Milliseconds after which any dirty byte is (`flushCommitLogThoroughInterval`).
    pub log_thorough_ms: u64,
    /// Each append is a look (`flushCommitLogTimed`, `wakeFlushWhenPutMessage`).
    pub log_on_append: bool,
    /// Milliseconds between two looks at the consume queues (`flushIntervalConsumeQueue`).
    pub queue_interval_ms: u64,
    /// Dirty pages of a queue worth a flush (`flushConsumeQueueLeastPages`).
    pub queue_least_pages: u64,
    /// Milliseconds after which all queues are flushed and the checkpoint written
    /// (`flushConsumeQueueThoroughInterval`).
    pub queue_thorough_ms: u64,
    /// Bytes of log after which that happens, too: what a start after a crash reads again.
    pub checkpoint_bytes: u64,
    /// Bytes of log after which that happens while few queues have anything to flush.
    pub checkpoint_few_bytes: u64,
    /// So many queues are few: each costs a sync.
    pub few_queues: usize,
}

impl Default for FlushRules {
    fn default() -> Self {
        Self {
            log_interval_ms: 500,
            log_least_pages: 4,
            log_thorough_ms: 10_000,
            log_on_append: false,
            queue_interval_ms: 1000,
            queue_least_pages: 2,
            queue_thorough_ms: 60_000,
            checkpoint_bytes: 512 << 20,
            checkpoint_few_bytes: 64 << 20,
            few_queues: 256,
        }
    }
}

/// Bounds of one read; the numbers of RocketMQ's `MessageStoreConfig`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferRules {
    pub count_in_memory: u32,
    pub bytes_in_memory: u64,
    pub count_on_disk: u32,
    pub bytes_on_disk: u64,
    /// Percent of physical memory that counts as cached behind the log's end.
    pub memory_percent: u32,
    /// Bytes of physical memory.
    pub physical_memory: u64,
    /// Bytes of consume queue looked at in one read, at least (`maxFilterMessageSize`).
    pub scan_bytes: u64,
}

impl Default for TransferRules {
    fn default() -> Self {
        Self {
            count_in_memory: 32,
            bytes_in_memory: 256 * 1024,
            count_on_disk: 8,
            bytes_on_disk: 64 * 1024,
            memory_percent: 40,
            physical_memory: 8 << 30,
            scan_bytes: 16_000,
        }
    }
}

/// Lengths of the index files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexOptions {
    /// Slots of the hash table (`maxHashSlotNum`).
    pub hash_slots: u32,
    /// Entries, of which the first is never used (`maxIndexNum`).
    pub entries: u32,
}

impl Default for IndexOptions {
    fn default() -> Self {
        Self { hash_slots: 5_000_000, entries: 20_000_000 }
    }
}

impl IndexOptions {
    pub(crate) fn check(self) -> Result<(), OpenError> {
        let (slots, entries) = (u64::from(self.hash_slots), u64::from(self.entries));
        if slots == 0 {
            return Err(OpenError::Option { key: "maxHashSlotNum", value: 0, must: "more than 0" });
        }
        if !(2..=i32::MAX as u64).contains(&entries) {
            let must = "between 2 and 2147483647";
            return Err(OpenError::Option { key: "maxIndexNum", value: entries, must });
        }
        Ok(())
    }
}

/// What a start does about damage inside the commit log. A torn tail is always cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDamage {
    /// The store does not open and nothing is changed.
    #[default]
    Stop,
    /// The log ends before the damage; everything behind is deleted.
    Cut,
    /// The damaged stretch is overwritten by a record that is in no queue,
    /// and what follows is kept. Messages in the stretch are lost, others are not; where no whole
    /// record follows, the log is cut.
    Bridge,
}

/// Everything the store is told at its opening.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Root of the store (`storePathRootDir`).
    pub root: PathBuf,
    /// Commit log files (`storePathCommitLog`).
    pub commit_log: PathBuf,
    /// Further folders, if that key lists several: files are spread over all.
    pub commit_log_more: Vec<PathBuf>,
    /// Folders among or beside those whose files are used, but in which none is made
    /// (`readOnlyCommitLogStorePaths`).
    pub commit_log_read_only: Vec<PathBuf>,
    /// Bytes of a commit log file (`mappedFileSizeCommitLog`).
    pub commit_log_file_size: FileSize,
    /// Bytes of a consume queue file (`mappedFileSizeConsumeQueue`), rounded to whole entries.
    pub consume_queue_file_size: FileSize,
    /// Tags code, store time and filter bit map are put beside the entries of queues
    /// (`enableConsumeQueueExt`).
    pub consume_queue_ext: bool,
    /// Bytes of a file of these (`mappedFileSizeConsumeQueueExt`).
    pub extension_file_size: FileSize,
    /// Milliseconds between two looks for topics to compact (`compactionScheduleInternal`).
    pub compaction_interval_ms: i64,
    /// Topics whose queues are of the batch kind, beside those that have such files.
    pub batch_topics: Vec<String>,
    /// Bytes of a file of theirs (`mapperFileSizeBatchConsumeQueue`), rounded to whole entries.
    pub batch_queue_file_size: FileSize,
    /// Index files, if there shall be any (`messageIndexEnable`).
    pub index: Option<IndexOptions>,
    /// The log is another broker's: only copies are appended, until
    /// [`Store::become_own`](crate::Store::become_own).
    pub is_copy: bool,
    /// Timer messages, if there shall be any (`timerWheelEnable`).
    pub timer: Option<TimerOptions>,
    pub flush: FlushRules,
    pub retention: RetentionRules,
    /// Hour of the day, 0 to 23, where the operator lives.
    pub local_hour: fn(Millis) -> u8,
    pub transfer: TransferRules,
    /// Delay of each level from 1 on, in milliseconds (`messageDelayLevel`).
    pub delay_levels: Vec<i64>,
    /// Check the body's CRC of every record read at recovery (`checkCRCOnRecover`).
    pub check_crc_on_recover: bool,
    /// Each record gets a checksum of all of it as its last property (`enabledAppendPropCRC`).
    pub append_prop_crc: bool,
    /// At recovery each record must have one (`forceVerifyPropCRC`).
    pub force_verify_prop_crc: bool,
    pub multi_dispatch: MultiDispatch,
    pub on_damage: OnDamage,
    /// Open a directory whose import did not end, which is refused otherwise.
    pub continues_import: bool,
    /// Show the log only up to where a group of brokers has agreed on it, which is at least here;
    /// beyond the log's end means its end. `None`: there is no group.
    pub confirmed: Option<u64>,
    /// What lies in the log from here on counts for nothing: where it is damaged, it ends.
    pub void_from: Option<u64>,
    /// Read the log from its start, whatever the checkpoint says, and make every queue entry as it
    /// says; whatever is no record before a whole one is damage.
    pub read_whole_log: bool,
    /// Bytes mapped at a time at the end of the log.
    pub window_bytes: u64,
    /// How records come into the log's files.
    pub write_by: WriteBy,
    /// Windows kept mapped behind the one being written, for readers that keep up.
    pub hot_windows: usize,
    /// Files open at a time, beside those of the log's end.
    pub open_files: usize,
    /// Entries of an active queue kept in memory.
    pub queue_tail_entries: usize,
    /// With that many queues to be made durable at the end, the file system is synced instead of
    /// the files of each.
    pub sync_at_once_from: usize,
}

impl StoreOptions {
    /// RocketMQ's defaults under `root`, but without index and timer.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self {
            commit_log: root.join("commitlog"),
            commit_log_more: Vec::new(),
            commit_log_read_only: Vec::new(),
            root,
            commit_log_file_size: FileSize::AsFound { otherwise: 1 << 30 },
            consume_queue_file_size: FileSize::AsFound { otherwise: 300_000 * 20 },
            consume_queue_ext: false,
            extension_file_size: FileSize::AsFound { otherwise: 48 << 20 },
            compaction_interval_ms: 900_000,
            batch_topics: Vec::new(),
            batch_queue_file_size: FileSize::AsFound { otherwise: 300_000 * 46 },
            index: None,
            is_copy: false,
            timer: None,
            flush: FlushRules::default(),
            retention: RetentionRules::default(),
            local_hour: utc_hour,
            transfer: TransferRules::default(),
            delay_levels: default_delay_levels(),
            check_crc_on_recover: true,
            append_prop_crc: false,
            force_verify_prop_crc: false,
            multi_dispatch: MultiDispatch::default(),
            on_damage: OnDamage::Stop,
            continues_import: false,
            confirmed: None,
            void_from: None,
            read_whole_log: false,
            window_bytes: 8 << 20,
            write_by: WriteBy::Mapping,
            hot_windows: 2,
            open_files: 1024,
            queue_tail_entries: 256,
            sync_at_once_from: 256,
        }
    }

    pub(crate) fn checks(&self) -> Checks {
        Checks {
            crc: self.check_crc_on_recover,
            seal: self.append_prop_crc || self.force_verify_prop_crc,
            seal_is_there: self.force_verify_prop_crc,
        }
    }

    pub(crate) fn check(&self) -> Result<(), OpenError> {
        if self.window_bytes == 0 || !self.window_bytes.is_multiple_of(WINDOW_ALIGNMENT) {
            return Err(OpenError::Option {
                key: "window_bytes",
                value: self.window_bytes,
                must: "a multiple of 65536",
            });
        }
        Ok(())
    }
}

/// Deliver time of a message of `level` stored at `stored`. A level beyond the last is the last;
/// 0 and less is none (Java: `CommitLog.checkMessageAndReturnSize`).
pub(crate) fn deliver_time(levels: &[i64], level: i64, stored: Millis) -> Option<Millis> {
    let level = usize::try_from(level).ok()?.min(levels.len());
    let delay = levels.get(level.checked_sub(1)?)?;
    Some(stored.plus(*delay))
}

fn utc_hour(now: Millis) -> u8 {
    // 0 to 23, which fits.
    now.0.div_euclid(3_600_000).rem_euclid(24) as u8
}

fn default_delay_levels() -> Vec<i64> {
    const SECOND: i64 = 1000;
    const MINUTE: i64 = 60 * SECOND;
    let mut levels = vec![SECOND, 5 * SECOND, 10 * SECOND, 30 * SECOND];
    levels.extend((1..=10).map(|minutes| minutes * MINUTE));
    levels.extend([20 * MINUTE, 30 * MINUTE, 60 * MINUTE, 120 * MINUTE]);
    levels
}
