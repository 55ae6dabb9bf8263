//! The consume queues: their files, and a walk over their entries.

use std::ops::ControlFlow;
use std::path::PathBuf;

use skua_protocol::QueueId;

use super::{Directory, Pieces};
use crate::commit_log::base_of;
use crate::consume_queue::{BATCH_ENTRY_LEN, BatchSlot, ENTRY_LEN, Slot, bisect};
use crate::disk::{DiskError, DiskResult};

/// A queue's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueFiles {
    pub topic: String,
    pub queue_id: QueueId,
    /// An entry stands for a record that may hold several messages.
    pub is_batch: bool,
    /// First byte and length of each file, ascending.
    pub files: Vec<(u64, u64)>,
    pub dir: PathBuf,
}

/// An entry as it stands in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueEntry {
    /// Counted from the first that ever was.
    pub index: u64,
    /// Of its first message.
    pub queue_offset: u64,
    /// Messages of its record, whose queue offsets follow one another.
    pub messages: u16,
    pub physical_offset: u64,
    pub size: u32,
    pub tags_code: i64,
    /// Of a batch queue only; 0 otherwise.
    pub store_time: i64,
    /// It stands for a place before the queue's first message.
    pub is_blank: bool,
}

impl QueueEntry {
    /// Queue offset of the first message behind it.
    pub fn next(&self) -> u64 {
        self.queue_offset + u64::from(self.messages)
    }

    /// The entry that `bytes` begins with; none if nothing was written there.
    pub(super) fn decode(bytes: &[u8], index: u64, is_batch: bool) -> Option<Self> {
        if is_batch {
            let slot = BatchSlot::decode(bytes.first_chunk()?);
            return slot.is_written().then_some(Self {
                index,
                queue_offset: slot.first,
                messages: slot.messages,
                physical_offset: slot.physical_offset,
                size: slot.size.max(0) as u32,
                tags_code: slot.tags_code,
                store_time: slot.store_time,
                is_blank: false,
            });
        }
        let slot = Slot::decode(bytes.first_chunk()?);
        slot.is_written().then_some(Self {
            index,
            queue_offset: index,
            messages: 1,
            physical_offset: slot.physical_offset,
            size: slot.size.max(0) as u32,
            tags_code: slot.tags_code,
            store_time: 0,
            is_blank: slot.is_blank(),
        })
    }
}

impl QueueFiles {
    pub fn path(&self, base: u64) -> PathBuf {
        self.dir.join(format!("{base:020}"))
    }

    /// The file and the position in it of the entry of this index.
    pub fn place(&self, index: u64) -> (PathBuf, u64) {
        let at = index * self.entry_len();
        let base = self.files.iter().rfind(|(base, _)| *base <= at).map_or(0, |file| file.0);
        (self.path(base), at.saturating_sub(base))
    }

    /// Bytes of an entry.
    pub(super) fn entry_len(&self) -> u64 {
        (if self.is_batch { BATCH_ENTRY_LEN } else { ENTRY_LEN }) as u64
    }

    /// Index of the first entry that the files have room for.
    pub(super) fn first(&self) -> u64 {
        self.files.first().map_or(0, |(base, _)| base.div_ceil(self.entry_len()))
    }
}

impl Directory {
    fn queue_roots(&self) -> [(PathBuf, bool); 2] {
        let root = &self.options.root;
        [(root.join("consumequeue"), false), (root.join("batchconsumequeue"), true)]
    }

    /// All queues that have files, by topic and id.
    pub fn queues(&self) -> DiskResult<Vec<QueueFiles>> {
        let mut queues = Vec::new();
        for (root, is_batch) in self.queue_roots() {
            for topic in self.disk.list(&root)?.into_iter().filter(|entry| entry.is_dir) {
                queues.extend(self.queues_in(&root, &topic.name, is_batch)?);
            }
        }
        queues.sort_by(|a, b| (&a.topic, a.queue_id).cmp(&(&b.topic, b.queue_id)));
        Ok(queues)
    }

    /// The queues of one topic.
    pub fn queues_of(&self, topic: &str) -> DiskResult<Vec<QueueFiles>> {
        let mut queues = Vec::new();
        for (root, is_batch) in self.queue_roots() {
            queues.extend(self.queues_in(&root, topic, is_batch)?);
        }
        queues.sort_by_key(|queue| queue.queue_id);
        Ok(queues)
    }

    fn queues_in(
        &self,
        root: &std::path::Path,
        topic: &str,
        is_batch: bool,
    ) -> DiskResult<Vec<QueueFiles>> {
        let mut queues = Vec::new();
        let topic_dir = root.join(topic);
        for queue in self.disk.list(&topic_dir)?.into_iter().filter(|entry| entry.is_dir) {
            let Ok(id) = queue.name.parse() else { continue };
            let dir = topic_dir.join(&queue.name);
            let listed = self.disk.list(&dir)?.into_iter().filter(|entry| !entry.is_dir);
            let files = listed.filter_map(|file| Some((base_of(&file.name)?, file.len))).collect();
            let (topic, queue_id) = (topic.to_owned(), QueueId(id));
            queues.push(QueueFiles { topic, queue_id, is_batch, files, dir });
        }
        Ok(queues)
    }

    /// First queue offset whose record the log has, and one past the last entry written.
    pub fn bounds(&self, queue: &QueueFiles) -> DiskResult<(u64, u64)> {
        let Some((last, len)) = queue.files.last() else { return Ok((0, 0)) };
        let entry = |index: u64| self.queue_entry(queue, index);
        let all = queue.first()..(last + len) / queue.entry_len();
        let end = bisect(all.clone(), |index| Ok(entry(index)?.is_some()))?;
        let log_start = self.log_start();
        let start = bisect(all.start..end, |index| {
            let gone = |entry: QueueEntry| entry.is_blank || entry.physical_offset < log_start;
            Ok::<_, DiskError>(entry(index)?.is_some_and(gone))
        })?;
        if !queue.is_batch {
            return Ok((start, end));
        }
        let Some(last) = end.checked_sub(1).filter(|last| *last >= all.start) else {
            return Ok((0, 0));
        };
        let max = entry(last)?.map_or(0, |entry| entry.next());
        let min = if start < end { entry(start)?.map_or(max, |e| e.queue_offset) } else { max };
        Ok((min, max))
    }

    pub(super) fn queue_entry(
        &self,
        queue: &QueueFiles,
        index: u64,
    ) -> DiskResult<Option<QueueEntry>> {
        let (path, position) = queue.place(index);
        let file = self.disk.open_read(&path)?;
        let mut bytes = [0; BATCH_ENTRY_LEN];
        let bytes = &mut bytes[..queue.entry_len() as usize];
        if position + bytes.len() as u64 > file.len() {
            return Ok(None);
        }
        file.read_at(bytes, position)?;
        Ok(QueueEntry::decode(bytes, index, queue.is_batch))
    }

    /// Shows the entries from that of queue offset `from` on, up to the first that is not written.
    pub fn walk_queue(
        &self,
        queue: &QueueFiles,
        from: u64,
        visit: &mut dyn FnMut(QueueEntry) -> ControlFlow<()>,
    ) -> DiskResult<()> {
        let len = queue.entry_len();
        let from = if queue.is_batch {
            let end = queue.files.last().map_or(0, |(base, bytes)| (base + bytes) / len);
            bisect(queue.first()..end.max(queue.first()), |index| {
                let before = |entry: QueueEntry| entry.next() <= from;
                Ok::<_, DiskError>(self.queue_entry(queue, index)?.is_some_and(before))
            })?
        } else {
            from
        };
        for (base, bytes) in &queue.files {
            let first = base.div_ceil(len);
            let count = bytes / len;
            if first + count <= from {
                continue;
            }
            let mut pieces = Pieces::new(self.disk.open_read(&queue.path(*base))?);
            for index in from.max(first)..first + count {
                let bytes = pieces.bytes((index - first) * len, len as usize)?;
                let Some(entry) = QueueEntry::decode(bytes, index, queue.is_batch) else {
                    return Ok(());
                };
                if visit(entry).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
