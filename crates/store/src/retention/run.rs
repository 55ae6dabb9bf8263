//! Deleting, by the files thread.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use arc_swap::ArcSwap;
use skua_protocol::{Millis, PhysicalOffset};

use super::decide::{DiskFull, OldestFile, RetentionRules, Situation, Verdict, deletes, judge};
use super::forecast::Forecast;
use crate::Store;
use crate::consume_queue::Queue;
use crate::disk::{DiskResult, Space, lock};

/// Milliseconds between two looks at the disk's space.
const LOOK_MS: i64 = 1000;
/// Rounds that delete once an operator asked for it (Java: `MAX_MANUAL_DELETE_FILE_TIMES`).
const ASKED_ROUNDS: u32 = 20;
/// Milliseconds between two warnings of one kind.
const WARNING_MS: i64 = 600_000;
/// Queues whose first offset is corrected in one go; appends may want the thread in between.
const QUEUES_AT_ONCE: usize = 256;
/// Topics whose files are looked through in one go.
const TOPICS_AT_ONCE: usize = 32;

/// Tells the smallest physical offset that someone still needs; `None` if nobody needs anything.
pub type NeededFrom = Box<dyn Fn() -> Option<PhysicalOffset> + Send + Sync>;

/// How full the disk is, and how long it lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskUse {
    /// Of the fuller one, if log and queues are on two; `None` if it does not say.
    pub used_percent: Option<u8>,
    /// Appends are refused.
    pub full: Option<DiskFull>,
    /// Bytes a second by which the log grew in the last minutes.
    pub bytes_per_second: u64,
    /// Until appends are refused, if the log goes on growing like this and nothing is deleted.
    pub seconds_left: Option<u64>,
}

/// What the store keeps of it.
pub(crate) struct Retention {
    rules: ArcSwap<RetentionRules>,
    /// [`DiskFull`] in two bytes, 0 if it is not.
    full: AtomicU32,
    needed_from: OnceLock<NeededFrom>,
    progress: Mutex<Progress>,
}

impl fmt::Debug for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retention").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// What the files thread has under way.
#[derive(Debug)]
struct Progress {
    next_round: Millis,
    /// Files of the log that this round may still delete.
    left: u32,
    next_log_file: Millis,
    /// Rounds left that delete because an operator asked.
    asked: u32,
    /// The log's first offset moved; the queues are to be told.
    queues_wanted: bool,
    /// Queues whose first offset is to be corrected, then topics whose files are to be deleted.
    queues: Vec<Arc<Queue>>,
    topics: Vec<String>,
    next_queue_file: Millis,
    forecast: Forecast,
    disk_use: DiskUse,
    next_space_warning: Millis,
    next_failure_warning: Millis,
}

impl Retention {
    pub(crate) fn new(rules: RetentionRules, now: Millis) -> Self {
        let progress = Progress {
            next_round: now.plus(rules.round_ms as i64),
            left: 0,
            next_log_file: now,
            asked: 0,
            queues_wanted: false,
            queues: Vec::new(),
            topics: Vec::new(),
            next_queue_file: now,
            forecast: Forecast::default(),
            disk_use: DiskUse::default(),
            next_space_warning: now,
            next_failure_warning: now,
        };
        Self {
            rules: ArcSwap::from_pointee(rules),
            full: AtomicU32::new(0),
            needed_from: OnceLock::new(),
            progress: Mutex::new(progress),
        }
    }

    /// Why appends are refused, if they are.
    pub(crate) fn full(&self) -> Option<DiskFull> {
        let [.., used_percent, limit_percent] = self.full.load(Ordering::Relaxed).to_be_bytes();
        (used_percent > 0).then_some(DiskFull { used_percent, limit_percent })
    }

    fn set_full(&self, full: Option<DiskFull>) {
        let bytes = full.map_or([0, 0], |full| [full.used_percent, full.limit_percent]);
        let before = self.full.swap(u32::from(u16::from_be_bytes(bytes)), Ordering::Relaxed);
        match (before, full) {
            (0, Some(full)) => tracing::error!("messages are refused: {full}"),
            (1.., None) => tracing::info!("there is space again; messages are taken"),
            _ => {}
        }
    }
}

impl Store {
    /// Other rules from now on.
    pub fn set_retention(&self, rules: RetentionRules) {
        self.retention.rules.store(Arc::new(rules));
    }

    /// Asks `needed` before a file goes that the rules protect. Runs on the files thread. A second
    /// call changes nothing.
    pub fn keep_needed(&self, needed: NeededFrom) {
        let _ = self.retention.needed_from.set(needed);
    }

    /// How full the disk was at the last look, about a second ago.
    pub fn disk_use(&self) -> DiskUse {
        lock(&self.retention.progress).disk_use
    }

    /// Deletes expired files of the log at once, whatever the hour (Java:
    /// `executeDeleteFilesManually`). Returns before it is done.
    pub fn delete_expired(&self) {
        let mut progress = lock(&self.retention.progress);
        progress.asked = ASKED_ROUNDS;
        progress.next_round = Millis(0);
        drop(progress);
        self.log.files_wanted.wake();
    }

    /// Deletes files of consume queues that point to nothing any more. That happens by itself
    /// when files of the log go; this looks through all again. Returns before it is done.
    pub fn delete_expired_queue_files(&self) {
        lock(&self.retention.progress).queues_wanted = true;
        self.log.files_wanted.wake();
    }

    /// Looks at the disk, and deletes what is due; returns when to come again.
    pub(crate) fn retention_due(&self, now: Millis) -> Millis {
        let mut progress = lock(&self.retention.progress);
        let progress = &mut *progress;
        let rules = self.retention.rules.load_full();
        let space = self.fuller_space(rules.forcible_percent);
        let used_percent = space.map(|space| space.used_percent());
        let asked = progress.asked > 0;
        let hour = (self.options.local_hour)(now);
        let verdict = judge(&rules, Situation { hour, used_percent, asked });
        self.retention.set_full(verdict.full);
        progress.forecast.note(now, self.log.appended());
        let until_refused = space.map_or(0, |space| space.available_until(rules.refuse_percent));
        progress.disk_use = DiskUse {
            used_percent,
            full: verdict.full,
            bytes_per_second: progress.forecast.bytes_per_second(),
            seconds_left: space.and(progress.forecast.seconds_for(until_refused)),
        };
        let mut next = now.plus(LOOK_MS);
        if self.failure().is_some() {
            return next;
        }
        if let Err(cause) = self.delete_log_file(progress, &rules, verdict, now)
            && now >= progress.next_failure_warning
        {
            tracing::warn!(%cause, "an expired file of the commit log cannot be deleted");
            progress.next_failure_warning = now.plus(WARNING_MS);
        }
        if progress.left > 0 {
            next = next.min(progress.next_log_file);
        }
        match self.tend_queues(progress, &rules, now) {
            Ok(Some(at)) => next = next.min(at),
            Ok(None) => {}
            Err(cause) => {
                if now >= progress.next_failure_warning {
                    tracing::warn!(%cause, "expired files of consume queues cannot be deleted");
                    progress.next_failure_warning = now.plus(WARNING_MS);
                }
            }
        }
        next
    }

    /// Deletes the log's oldest file, if it is due.
    fn delete_log_file(
        &self,
        progress: &mut Progress,
        rules: &RetentionRules,
        verdict: Verdict,
        now: Millis,
    ) -> DiskResult<()> {
        // While appends are refused nobody shall wait for a long interval.
        let most = if verdict.full.is_some() { LOOK_MS } else { i64::MAX };
        let interval = i64::try_from(rules.round_ms).unwrap_or(i64::MAX).min(most);
        progress.next_round = progress.next_round.min(now.plus(interval));
        let begins = progress.left == 0 && now >= progress.next_round;
        if begins {
            progress.next_round = now.plus(interval);
            progress.asked = progress.asked.saturating_sub(1);
            progress.left = if verdict.reason.is_some() { rules.round_files } else { 0 };
        }
        if progress.left == 0 || (now < progress.next_log_file && !begins) {
            return Ok(());
        }
        let left = std::mem::take(&mut progress.left);
        let Some((base, file)) = self.oldest_file(verdict)? else { return Ok(()) };
        if !deletes(rules, verdict, file, now) {
            if begins {
                self.warn_of_space(progress, rules, verdict, now);
            }
            return Ok(());
        }
        // What is deleted can not be dispatched again after a crash.
        let durable = lock(&self.checkpoint).own.map_or(0, |marks| marks.dispatched);
        if file.end > durable.min(self.flushed_offset().0) {
            self.flush_all()?;
        }
        self.compact_before(file.end)?;
        self.log.remove_first(base)?;
        // Its index files go, too.
        self.index_wanted.wake();
        let reason = verdict.reason.map(|reason| reason.to_string()).unwrap_or_default();
        tracing::info!(file = %self.log.path(base).display(), reason,
            unchanged_hours = now.since(file.modified) / 3_600_000, "commit log file deleted");
        progress.left = left - 1;
        progress.next_log_file = now.plus(rules.log_pause_ms as i64);
        progress.queues_wanted = true;
        Ok(())
    }

    /// The log's oldest file and its first offset; `None` if it is the only one.
    fn oldest_file(&self, verdict: Verdict) -> DiskResult<Option<(u64, OldestFile)>> {
        let files = self.log.files();
        let [base, _, ..] = files[..] else { return Ok(None) };
        let name = format!("{base:020}");
        let path = self.log.path(base);
        let listed = self.disk.list(path.parent().unwrap_or(self.log.dir()))?;
        let Some(listed) = listed.into_iter().find(|listed| listed.name == name) else {
            return Ok(None);
        };
        let needed_from = match self.retention.needed_from.get() {
            Some(needed) if verdict.protects => needed().map(|offset| offset.0),
            _ => None,
        };
        let file = OldestFile {
            end: base + self.log.file_size(),
            modified: listed.modified,
            deletable_below: self.dispatched().0,
            needed_from,
        };
        Ok(Some((base, file)))
    }

    /// The disk fills, and no file may go.
    fn warn_of_space(
        &self,
        progress: &mut Progress,
        rules: &RetentionRules,
        verdict: Verdict,
        now: Millis,
    ) {
        let used = progress.disk_use.used_percent.unwrap_or(0);
        if used <= rules.max_used_percent || now < progress.next_space_warning {
            return;
        }
        progress.next_space_warning = now.plus(WARNING_MS);
        let forecast = match progress.disk_use.seconds_left {
            _ if verdict.full.is_some() => "messages are refused".to_owned(),
            Some(seconds) => format!(
                "in about {} minutes messages are refused, at {} KiB a second",
                seconds / 60,
                progress.disk_use.bytes_per_second / 1024
            ),
            None => "nothing is written at present".to_owned(),
        };
        tracing::warn!(
            used_percent = used,
            refused_from = rules.refuse_percent,
            forecast,
            "the disk fills, and no file of the commit log may be deleted yet"
        );
    }

    /// Tells some queues of the log's new first offset, and deletes at most one file of a queue;
    /// returns when to go on, if there is more to do.
    fn tend_queues(
        &self,
        progress: &mut Progress,
        rules: &RetentionRules,
        now: Millis,
    ) -> DiskResult<Option<Millis>> {
        if progress.queues_wanted && progress.queues.is_empty() {
            progress.queues_wanted = false;
            progress.queues = self.queues.known_queues();
            progress.topics = self.queues.topic_dirs()?;
        }
        for _ in 0..QUEUES_AT_ONCE {
            let Some(queue) = progress.queues.pop() else { break };
            self.queues.correct_min(&queue)?;
        }
        if !progress.queues.is_empty() {
            return Ok(Some(now));
        }
        if progress.topics.is_empty() {
            return Ok(None);
        }
        if now < progress.next_queue_file {
            return Ok(Some(progress.next_queue_file));
        }
        for _ in 0..TOPICS_AT_ONCE {
            let Some(topic) = progress.topics.pop() else { return Ok(None) };
            let durable = lock(&self.checkpoint).own.map_or(0, |marks| marks.dispatched);
            if self.queues.delete_expired_file(&topic, durable)? {
                progress.topics.push(topic);
                progress.next_queue_file = now.plus(rules.queue_pause_ms as i64);
                return Ok(Some(progress.next_queue_file));
            }
        }
        Ok(Some(now))
    }

    /// Space of the file system of the log or that of the queues, whichever is fuller. Of several
    /// folders of the log the emptiest counts; files are not made in those that are over
    /// `full_percent` (Java: `isSpaceToDelete`).
    fn fuller_space(&self, full_percent: u8) -> Option<Space> {
        let mut full = Vec::new();
        let mut log: Option<Space> = None;
        let folders = self.log.folders();
        for (nth, dir) in folders.writable().iter().enumerate() {
            let Ok(space) = self.disk.space(dir) else { continue };
            if space.used_percent() > full_percent {
                full.push(nth);
            }
            if log.is_none_or(|log| space.used_percent() < log.used_percent()) {
                log = Some(space);
            }
        }
        if folders.writable().len() > 1 {
            folders.set_full(full);
        }
        let root = self.disk.space(&self.options.root).ok();
        log.into_iter().chain(root).max_by_key(Space::used_percent)
    }
}
