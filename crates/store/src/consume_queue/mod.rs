//! The consume queues: per queue a row of files of 20-byte entries, in the order of its messages.
//!
//! A queue is looked at on its first use, not at the start: its end is the last entry whose
//! record is in the log, found by bisection. The newest entries stay in memory, and are written in
//! batches: when the queues are flushed, or when a queue has as many as it keeps. Files are opened
//! when needed, a bounded number of them.

mod batch;
mod entry;
mod expire;
mod extension;
mod files;
mod heal;
mod load;
mod put;
mod queue;
mod recent;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use skua_protocol::QueueId;
use skua_protocol::properties::INNER_BASE;
use skua_protocol::record::{
    FLAG_INNER_BATCH, FLAG_TRANSACTION_MASK, FLAG_TRANSACTION_PREPARED, FLAG_TRANSACTION_ROLLBACK,
    Record,
};

pub(crate) use batch::{BATCH_ENTRY_LEN, BatchSlot, inner_messages};
pub use entry::Entry;
pub(crate) use entry::{ENTRY_LEN, Slot};
pub(crate) use extension::Unit;
pub(crate) use load::bisect;
pub(crate) use queue::Queue;
use queue::merge;
pub(crate) use recent::Recent;
use recent::mix;

use crate::commit_log::CommitLog;
use crate::disk::{Disk, DiskError, DiskResult, FileSystem, lock};
use crate::error::OpenError;
use crate::handles::Handles;
use crate::multi_dispatch::is_lmq;
use crate::options::StoreOptions;

const SHARDS: usize = 64;
/// Owner of no files.
const NO_OWNER: u64 = i64::MAX as u64;

/// Queues by topic, those of one by their id.
type Topics = HashMap<Arc<str>, Vec<Arc<Queue>>>;

/// All queues of the store.
#[derive(Debug)]
pub(crate) struct Queues {
    disk: Arc<dyn Disk>,
    log: Arc<CommitLog>,
    handles: Arc<Handles>,
    dir: PathBuf,
    file_size: u64,
    batch_dir: PathBuf,
    batch_file_size: u64,
    /// Topics whose queues are of the batch kind (attribute `queue.type=BatchCQ`).
    batch_topics: RwLock<HashSet<Arc<str>>>,
    any_batch: AtomicBool,
    /// Records say of their topic that it is one: a slave may have them before it has the topic.
    learns_batch: bool,
    extension_dir: PathBuf,
    extension_file_size: u64,
    /// Something is put beside the entries.
    extends: bool,
    tail_entries: usize,
    delay_levels: Vec<i64>,
    shards: [RwLock<Topics>; SHARDS],
    /// Owner number of the next queue; 0 is the log.
    next_owner: AtomicU64,
    /// Entries of records from here on are not to be trusted when a queue is first looked at:
    /// what of them is right was, or will be, dispatched again.
    trusted: AtomicU64,
    /// Entries that are there are compared, not written again; what follows a queue's end is
    /// cut when recovery is over.
    recovering: AtomicBool,
    /// Recovery writes what is there already, too.
    rewriting: AtomicBool,
    /// A gap is noted in `gap` and left, instead of filled.
    noting_gaps: AtomicBool,
    gap: AtomicBool,
    /// Topics deleted of late: records before the offset are in no queue.
    deleted: Mutex<HashMap<Arc<str>, u64>>,
    any_deleted: AtomicBool,
    /// Owner and place of entries whose records are damaged, too.
    hopeless: Mutex<HashSet<(u64, u64)>>,
    /// Queues with entries that are not durable.
    dirty: Mutex<Vec<Arc<Queue>>>,
    /// The root's, held from the start: it tells of writes that failed since.
    file_system: Option<Arc<dyn FileSystem>>,
    sync_at_once_from: usize,
    /// Queues whose newest entries are in memory, as the flush last saw them.
    warm: Mutex<Vec<Arc<Queue>>>,
}

impl Queues {
    pub(crate) fn open(
        options: &StoreOptions,
        disk: Arc<dyn Disk>,
        log: Arc<CommitLog>,
        handles: Arc<Handles>,
    ) -> Result<Self, OpenError> {
        let dir = options.root.join("consumequeue");
        let batch_dir = options.root.join("batchconsumequeue");
        let mut batch_topics: HashSet<Arc<str>> =
            options.batch_topics.iter().map(|topic| Arc::from(topic.as_str())).collect();
        for listed in disk.list(&batch_dir)?.into_iter().filter(|entry| entry.is_dir) {
            batch_topics.insert(listed.name.into());
        }
        let found = files::found_file_size(&*disk, &dir, ENTRY_LEN)?;
        // Java: MessageStoreConfig.getMappedFileSizeConsumeQueue rounds up to whole entries.
        let file_size =
            options.consume_queue_file_size.resolve(found).next_multiple_of(ENTRY_LEN as u64);
        check_file_size(&dir, file_size, found, "mappedFileSizeConsumeQueue")?;
        let found = files::found_file_size(&*disk, &batch_dir, BATCH_ENTRY_LEN)?;
        let batch_file_size = options.batch_queue_file_size.resolve(found);
        let batch_file_size = batch_file_size.next_multiple_of(BATCH_ENTRY_LEN as u64);
        check_file_size(&batch_dir, batch_file_size, found, "mapperFileSizeBatchConsumeQueue")?;
        let extension_dir = options.root.join("consumequeue_ext");
        let found = files::found_file_size(&*disk, &extension_dir, 1)?;
        let extension_file_size = options.extension_file_size.resolve(found);
        check_file_size(
            &extension_dir,
            extension_file_size,
            found,
            "mappedFileSizeConsumeQueueExt",
        )?;
        let file_system = disk.file_system(&options.root)?;
        Ok(Self {
            disk,
            log,
            handles,
            dir,
            file_size,
            batch_dir,
            batch_file_size,
            any_batch: AtomicBool::new(!batch_topics.is_empty()),
            batch_topics: RwLock::new(batch_topics),
            learns_batch: options.is_copy,
            extension_dir,
            extension_file_size,
            extends: options.consume_queue_ext,
            tail_entries: options.queue_tail_entries.max(1),
            delay_levels: options.delay_levels.clone(),
            shards: std::array::from_fn(|_| RwLock::default()),
            next_owner: AtomicU64::new(1),
            trusted: AtomicU64::new(0),
            recovering: AtomicBool::new(true),
            rewriting: AtomicBool::new(false),
            noting_gaps: AtomicBool::new(false),
            gap: AtomicBool::new(false),
            deleted: Mutex::default(),
            any_deleted: AtomicBool::new(false),
            hopeless: Mutex::default(),
            dirty: Mutex::default(),
            file_system,
            sync_at_once_from: options.sync_at_once_from.max(1),
            warm: Mutex::default(),
        })
    }

    /// Entries of records below `physical_offset` count when a queue is looked at.
    pub(crate) fn trust_below(&self, physical_offset: u64) {
        self.trusted.store(physical_offset, Ordering::SeqCst);
    }

    /// From now on recovery writes what is there already, too.
    pub(crate) fn rewrite(&self) {
        self.rewriting.store(true, Ordering::SeqCst);
    }

    /// Whether entries that leave a gap before them are only noted, for a recovery that can begin
    /// further back.
    pub(crate) fn note_gaps(&self, note: bool) {
        self.noting_gaps.store(note, Ordering::SeqCst);
        self.gap.store(false, Ordering::SeqCst);
    }

    pub(crate) fn has_gap(&self) -> bool {
        self.gap.load(Ordering::SeqCst)
    }

    /// Recovery is over: cuts what follows the ends of the queues it met.
    pub(crate) fn recovered(&self) -> DiskResult<()> {
        self.recovering.store(false, Ordering::SeqCst);
        self.rewriting.store(false, Ordering::SeqCst);
        for queue in self.loaded() {
            self.trim(&queue)?;
        }
        Ok(())
    }

    fn shard(&self, topic: &str) -> &RwLock<Topics> {
        &self.shards[mix(topic) as usize % SHARDS]
    }

    /// The queue, not necessarily looked at yet.
    fn known(&self, topic: &str, id: QueueId) -> Arc<Queue> {
        let shard = self.shard(topic);
        if let Some(queues) = shard.read().unwrap_or_else(|e| e.into_inner()).get(topic)
            && let Ok(at) = queues.binary_search_by_key(&id, |queue| queue.id)
        {
            return Arc::clone(&queues[at]);
        }
        let is_batch = self.is_batch(topic);
        let mut topics = shard.write().unwrap_or_else(|e| e.into_inner());
        let name = match topics.get_key_value(topic) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(topic),
        };
        let queues = topics.entry(Arc::clone(&name)).or_default();
        match queues.binary_search_by_key(&id, |queue| queue.id) {
            Ok(at) => Arc::clone(&queues[at]),
            Err(at) => {
                let owner = self.next_owner.fetch_add(1, Ordering::Relaxed);
                let queue = Arc::new(Queue::new(name, id, owner, is_batch));
                queues.insert(at, Arc::clone(&queue));
                queue
            }
        }
    }

    /// Whether the topic's queues are of the batch kind.
    pub(crate) fn is_batch(&self, topic: &str) -> bool {
        self.any_batch.load(Ordering::Relaxed)
            && self.batch_topics.read().unwrap_or_else(|e| e.into_inner()).contains(topic)
    }

    /// From now on the topic's queues are of the batch kind; it has no messages yet.
    pub(crate) fn set_batch(&self, topic: &str) {
        if self.is_batch(topic) {
            return;
        }
        self.batch_topics.write().unwrap_or_else(|e| e.into_inner()).insert(Arc::from(topic));
        self.any_batch.store(true, Ordering::SeqCst);
        // Somebody may have asked after them before.
        self.forget(topic);
    }

    /// Takes the topic's queues out of the table.
    fn forget(&self, topic: &str) {
        let gone = self.shard(topic).write().unwrap_or_else(|e| e.into_inner()).remove(topic);
        for queue in gone.into_iter().flatten() {
            queue.mark_deleted();
            self.forget_files(&queue);
        }
    }

    fn forget_files(&self, queue: &Queue) {
        self.handles.forget_owner(queue.owner);
        self.handles.forget_owner(Self::extension_owner(queue));
    }

    /// Something is put beside the entries of the queue.
    pub(crate) fn extends(&self, queue: &Queue) -> bool {
        self.extends && !queue.is_batch()
    }

    /// Whether a record's topic is of the batch kind.
    pub(crate) fn is_batch_record(&self, record: &Record<'_>) -> bool {
        if self.learns_batch
            && record.sys_flag() & FLAG_INNER_BATCH != 0
            && record.properties().get(INNER_BASE).is_some()
        {
            self.set_batch(record.topic());
        }
        self.is_batch(record.topic())
    }

    /// The queue, its bounds known.
    pub(crate) fn get(&self, topic: &str, id: QueueId) -> DiskResult<Arc<Queue>> {
        let queue = self.known(topic, id);
        if !queue.is_loaded() {
            self.load(&queue)?;
        }
        Ok(queue)
    }

    /// The queue for a reader. Anybody may ask after any light queue: of those that are not there
    /// nothing is kept.
    pub(crate) fn find(&self, topic: &str, id: QueueId) -> DiskResult<Arc<Queue>> {
        if is_lmq(topic) && self.get_loaded(topic, id).is_none() {
            let storable = is_storable_topic(topic);
            if !storable || self.disk.list(&self.topic_dir(topic, false))?.is_empty() {
                let queue = Queue::new(topic.into(), id, NO_OWNER, false);
                queue.set_loaded(true);
                return Ok(Arc::new(queue));
            }
        }
        self.get(topic, id)
    }

    /// The queue, if its bounds are known without asking the disk.
    pub(crate) fn get_loaded(&self, topic: &str, id: QueueId) -> Option<Arc<Queue>> {
        let topics = self.shard(topic).read().unwrap_or_else(|e| e.into_inner());
        let queues = topics.get(topic)?;
        let at = queues.binary_search_by_key(&id, |queue| queue.id).ok()?;
        queues[at].is_loaded().then(|| Arc::clone(&queues[at]))
    }

    /// Every queue that is loaded.
    pub(crate) fn loaded(&self) -> Vec<Arc<Queue>> {
        let mut loaded = Vec::new();
        for shard in &self.shards {
            for queues in shard.read().unwrap_or_else(|e| e.into_inner()).values() {
                loaded.extend(queues.iter().filter(|queue| queue.is_loaded()).cloned());
            }
        }
        loaded
    }

    /// Forgets what is known of every queue; for a recovery that starts over.
    pub(crate) fn unload(&self) {
        for shard in &self.shards {
            let mut topics = shard.write().unwrap_or_else(|e| e.into_inner());
            for queue in topics.values().flatten() {
                // Nor does anybody go on with it who has it.
                queue.mark_deleted();
                self.forget_files(queue);
            }
            topics.clear();
        }
        lock(&self.dirty).clear();
        lock(&self.warm).clear();
    }

    /// Topics and queue ids that have files or are in use, sorted.
    pub(crate) fn list(&self) -> DiskResult<Vec<(String, QueueId)>> {
        let mut all = std::collections::BTreeSet::new();
        for dir in [&self.dir, &self.batch_dir] {
            for topic in self.disk.list(dir)?.into_iter().filter(|entry| entry.is_dir) {
                for queue in self.disk.list(&dir.join(&topic.name))? {
                    if let Ok(id) = queue.name.parse() {
                        all.insert((topic.name.clone(), QueueId(id)));
                    }
                }
            }
        }
        for queue in self.loaded() {
            if queue.max() > 0 {
                all.insert((queue.topic.to_string(), queue.id));
            }
        }
        Ok(all.into_iter().collect())
    }

    /// Takes the topic out of the table; its records from `end` on go to a new life. Under the
    /// append lock.
    pub(crate) fn detach(&self, topic: &str, end: u64) {
        lock(&self.deleted).insert(Arc::from(topic), end);
        self.any_deleted.store(true, Ordering::SeqCst);
        self.forget(topic);
    }

    /// Whether the record at `position` belongs to a life of the topic that is over.
    pub(crate) fn was_deleted(&self, topic: &str, position: u64) -> bool {
        self.any_deleted.load(Ordering::Relaxed)
            && lock(&self.deleted).get(topic).is_some_and(|end| position < *end)
    }

    /// Dispatch is past `position`: forgets deletions before.
    pub(crate) fn forget_deleted(&self, position: u64) {
        if self.any_deleted.load(Ordering::Relaxed) {
            let mut deleted = lock(&self.deleted);
            deleted.retain(|_, end| *end > position);
            self.any_deleted.store(!deleted.is_empty(), Ordering::SeqCst);
        }
    }

    /// Deletes the topic's files, after [`detach`](Self::detach).
    pub(crate) fn delete_files(&self, topic: &str) -> DiskResult<()> {
        let is_batch = self.is_batch(topic);
        let dir = self.topic_dir(topic, is_batch);
        if is_batch {
            self.batch_topics.write().unwrap_or_else(|e| e.into_inner()).remove(topic);
            // Or they would be those of a topic that is made anew.
            self.forget(topic);
        }
        for queue in self.disk.list(&dir)?.into_iter().filter(|entry| entry.is_dir) {
            let dir = dir.join(&queue.name);
            self.disk.remove_dir(&dir)?;
        }
        self.disk.remove_dir(&dir)?;
        let beside = self.extension_dir(topic);
        if !self.disk.list(&beside)?.is_empty() {
            for queue in self.disk.list(&beside)? {
                self.disk.remove_dir(&beside.join(&queue.name))?;
            }
            self.disk.remove_dir(&beside)?;
            self.disk.sync_dir(&self.extension_dir)?;
        }
        self.disk.sync_dir(if is_batch { &self.batch_dir } else { &self.dir })
    }

    /// Deletes everything: there is no log that the queues could belong to.
    pub(crate) fn delete_all(&self) -> DiskResult<()> {
        self.disk.remove_dir(&self.batch_dir)?;
        self.disk.remove_dir(&self.extension_dir)?;
        self.disk.remove_dir(&self.dir)?;
        // Last, or somebody loads once more what is about to go.
        self.unload();
        Ok(())
    }

    /// There is no queue of some kind on disk at all.
    pub(crate) fn is_empty(&self) -> DiskResult<bool> {
        let is_empty =
            |dir| Ok::<_, DiskError>(!self.disk.list(dir)?.iter().any(|entry| entry.is_dir));
        let has_batch = self.any_batch.load(Ordering::Relaxed);
        Ok(is_empty(&self.dir)? || (has_batch && is_empty(&self.batch_dir)?))
    }
}

fn check_file_size(
    dir: &Path,
    file_size: u64,
    found: Option<u64>,
    key: &'static str,
) -> Result<(), OpenError> {
    if file_size == 0 {
        return Err(OpenError::Option { key, value: 0, must: "more than 0" });
    }
    match found {
        Some(found) if found != file_size => {
            Err(OpenError::FileSize { path: dir.to_path_buf(), found, expected: file_size, key })
        }
        _ => Ok(()),
    }
}

/// Whether a record takes a place in its queue: half messages and those rolled back do not.
pub(crate) fn has_place(sys_flag: i32) -> bool {
    let transaction = sys_flag & FLAG_TRANSACTION_MASK;
    transaction != FLAG_TRANSACTION_PREPARED && transaction != FLAG_TRANSACTION_ROLLBACK
}

/// A topic that can name a directory.
pub(crate) fn is_storable_topic(topic: &str) -> bool {
    !topic.is_empty() && topic != "." && topic != ".." && !topic.contains(['/', '\0'])
}

#[cfg(test)]
mod tests;
