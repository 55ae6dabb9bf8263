//! Topics of which the latest message of each key is kept (attribute `cleanup.policy=COMPACTION`).
//!
//! Beside its entries such a queue has one file in `compaction/`, which holds the records that are
//! the latest of their keys up to a queue offset, and stay when the log's files expire. What comes
//! behind that offset is read from the log. From time to time, and before a file of the log is
//! deleted, a new file is made of the old one and of what came since; a message without a body
//! takes its key away (Java: `CompactionStore`). The files are Skua's own, Java keeps others: their
//! content can be made again only as far as the log goes back.

mod file;
mod run;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use skua_protocol::record::Record;
use skua_protocol::{Millis, PhysicalOffset, QueueOffset};

pub(crate) use file::Compacted;

use crate::Store;
use crate::consume_queue::{Entry, Queue};
use crate::disk::{DiskError, DiskResult, Wait, lock};
use crate::dispatch::tags_code;
use crate::read::{Keep, Read, ReadLimits, ReadStatus};

/// What the store keeps of it.
#[derive(Debug)]
pub(crate) struct Compaction {
    topics: RwLock<HashSet<Arc<str>>>,
    /// False while there is no such topic, which saves every read the lock.
    any: AtomicBool,
    /// The files in use, by the owner numbers of their queues; nothing of queues that have none.
    files: Mutex<HashMap<u64, Option<Arc<Compacted>>>>,
    next_round: Mutex<Millis>,
}

impl Compaction {
    pub(crate) fn new(now: Millis) -> Self {
        Self {
            topics: RwLock::default(),
            any: AtomicBool::new(false),
            files: Mutex::default(),
            next_round: Mutex::new(now),
        }
    }

    fn has(&self, topic: &str) -> bool {
        self.any.load(Ordering::Relaxed)
            && self.topics.read().unwrap_or_else(|e| e.into_inner()).contains(topic)
    }
}

impl Store {
    /// These topics are compacted, no others.
    pub fn set_compacted_topics(&self, topics: Vec<String>) {
        self.compaction.any.store(!topics.is_empty(), Ordering::Relaxed);
        let topics = topics.into_iter().map(Arc::from).collect();
        *self.compaction.topics.write().unwrap_or_else(|e| e.into_inner()) = topics;
    }

    fn compaction_dir(&self, topic: &str) -> PathBuf {
        self.options.root.join("compaction").join(topic)
    }

    /// Deletes what is kept of a topic; with its queues.
    pub(crate) fn delete_compacted(&self, topic: &str) -> DiskResult<()> {
        let dir = self.compaction_dir(topic);
        lock(&self.compaction.files).clear();
        for queue in self.disk.list(&dir)? {
            self.disk.remove_dir(&dir.join(&queue.name))?;
        }
        self.disk.remove_dir(&dir)
    }

    /// What is kept of the queue; `None` if it is not compacted or has not been yet.
    pub(crate) fn compacted(
        &self,
        queue: &Queue,
        wait: Wait,
    ) -> DiskResult<Option<Arc<Compacted>>> {
        if !self.compaction.has(queue.topic()) || queue.is_batch() {
            return Ok(None);
        }
        // Held while the folder is looked at: that deletes files that are not whole.
        let mut files = lock(&self.compaction.files);
        let found = match files.get(&queue.owner()) {
            Some(known) => known.clone(),
            None if wait == Wait::Never => {
                let dir = self.compaction_dir(queue.topic());
                return Err(DiskError::new("look into", &dir, std::io::ErrorKind::WouldBlock));
            }
            None => {
                let dir = self.compaction_dir(queue.topic()).join(queue.id().to_string());
                let found = Compacted::newest(&*self.disk, &dir)?.map(Arc::new);
                files.insert(queue.owner(), found.clone());
                found
            }
        };
        // Of a life of the topic that is over.
        Ok(found.filter(|file| file.until <= queue.max()))
    }

    /// First queue offset that can be read.
    pub(crate) fn first_offset(&self, queue: &Queue) -> u64 {
        let file = self.compacted(queue, Wait::ForDisk).ok().flatten();
        file.map_or(queue.min(), |file| file.first.unwrap_or(file.until))
    }

    /// Reads from what is kept, on from queue offset `from`.
    pub(crate) fn read_compacted(
        &self,
        queue: &Queue,
        file: &Compacted,
        from: u64,
        limits: ReadLimits,
        wait: Wait,
        keep: &mut Keep<'_, '_>,
    ) -> DiskResult<Read> {
        let rules = &self.options.transfer;
        let most = limits.max_messages.clamp(1, rules.count_in_memory.max(1));
        let mut read = Read {
            status: ReadStatus::NoMatchedMessage,
            min_offset: file.first.unwrap_or(file.until) as i64,
            max_offset: queue.max() as i64,
            next_offset: file.until as i64,
            ..Read::default()
        };
        let mut body = Vec::new();
        let mut bytes = Vec::new();
        let scan_max = (rules.scan_bytes / 20).max(u64::from(most));
        let first = file.find(from, wait)?;
        for nth in first..file.count {
            if nth - first >= scan_max || read.count >= most {
                read.next_offset = file.offset(nth, wait)? as i64;
                break;
            }
            let offset = file.record(nth, wait, &mut bytes)?;
            let Ok(record) = Record::parse_with(&bytes, true) else {
                let (topic, id) = (queue.topic(), queue.id().0);
                tracing::error!(topic, queue = id, offset, "damaged message is not served");
                continue;
            };
            if read.count > 0 && (body.len() + bytes.len()) as u64 > rules.bytes_in_memory {
                read.next_offset = offset as i64;
                break;
            }
            let entry = Entry {
                queue_offset: QueueOffset(offset),
                physical_offset: PhysicalOffset(record.physical_offset() as u64),
                size: record.size() as u32,
                tags_code: tags_code(&record, &self.options.delay_levels),
                messages: 1,
            };
            let takes = (keep.entry)(&entry)
                && keep.more.record.as_mut().is_none_or(|takes| takes(&record));
            if takes {
                body.extend_from_slice(&bytes);
                read.count += 1;
            }
        }
        if read.count > 0 {
            read.status = ReadStatus::Found;
            read.body = body.into();
        }
        Ok(read)
    }
}
