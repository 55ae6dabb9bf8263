//! The consume queues: their files, and a walk over their entries.

use std::ops::ControlFlow;
use std::path::PathBuf;

use skua_protocol::QueueId;

use super::{Directory, Pieces};
use crate::commit_log::base_of;
use crate::consume_queue::{ENTRY_LEN, Slot, bisect};
use crate::disk::{DiskError, DiskResult};

/// A queue's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueFiles {
    pub topic: String,
    pub queue_id: QueueId,
    /// First byte and length of each file, ascending.
    pub files: Vec<(u64, u64)>,
    pub dir: PathBuf,
}

/// An entry as it stands in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueEntry {
    pub queue_offset: u64,
    pub physical_offset: u64,
    pub size: u32,
    pub tags_code: i64,
    /// It stands for a place before the queue's first message.
    pub is_blank: bool,
}

impl QueueFiles {
    pub fn path(&self, base: u64) -> PathBuf {
        self.dir.join(format!("{base:020}"))
    }

    /// The file and the position in it of an entry.
    pub fn place(&self, queue_offset: u64) -> (PathBuf, u64) {
        let at = queue_offset * ENTRY_LEN as u64;
        let base = self.files.iter().rfind(|(base, _)| *base <= at).map_or(0, |file| file.0);
        (self.path(base), at - base)
    }
}

impl Directory {
    /// All queues that have files, by topic and id.
    pub fn queues(&self) -> DiskResult<Vec<QueueFiles>> {
        let dir = self.options.root.join("consumequeue");
        let mut queues = Vec::new();
        for topic in self.disk.list(&dir)?.into_iter().filter(|entry| entry.is_dir) {
            let topic_dir = dir.join(&topic.name);
            for queue in self.disk.list(&topic_dir)?.into_iter().filter(|entry| entry.is_dir) {
                let Ok(id) = queue.name.parse() else { continue };
                queues.push(self.queue_files(&topic.name, QueueId(id))?);
            }
        }
        queues.sort_by(|a, b| (&a.topic, a.queue_id).cmp(&(&b.topic, b.queue_id)));
        Ok(queues)
    }

    /// The queues of one topic.
    pub fn queues_of(&self, topic: &str) -> DiskResult<Vec<QueueFiles>> {
        let dir = self.options.root.join("consumequeue").join(topic);
        let listed = self.disk.list(&dir)?.into_iter().filter(|entry| entry.is_dir);
        let mut ids: Vec<_> = listed.filter_map(|entry| entry.name.parse().ok()).collect();
        ids.sort_unstable();
        ids.into_iter().map(|id| self.queue_files(topic, QueueId(id))).collect()
    }

    /// One queue's files; none if it has none.
    pub fn queue_files(&self, topic: &str, queue_id: QueueId) -> DiskResult<QueueFiles> {
        let root = self.options.root.join("consumequeue");
        let dir = root.join(topic).join(queue_id.to_string());
        let listed = self.disk.list(&dir)?.into_iter().filter(|entry| !entry.is_dir);
        let files = listed.filter_map(|file| Some((base_of(&file.name)?, file.len))).collect();
        Ok(QueueFiles { topic: topic.to_owned(), queue_id, files, dir })
    }

    /// First queue offset whose record the log has, and one past the last entry written.
    pub fn bounds(&self, queue: &QueueFiles) -> DiskResult<(u64, u64)> {
        let Some(((first, _), (last, len))) = queue.files.first().zip(queue.files.last()) else {
            return Ok((0, 0));
        };
        let slot = |index: u64| self.slot(queue, index);
        let all = first / ENTRY_LEN as u64..(last + len) / ENTRY_LEN as u64;
        let end = bisect(all.clone(), |index| Ok(slot(index)?.is_some_and(|s| s.is_written())))?;
        let log_start = self.log_start();
        let min = bisect(all.start..end, |index| {
            let gone = |slot: Slot| slot.is_blank() || slot.physical_offset < log_start;
            Ok::<_, DiskError>(slot(index)?.is_some_and(gone))
        })?;
        Ok((min, end))
    }

    fn slot(&self, queue: &QueueFiles, index: u64) -> DiskResult<Option<Slot>> {
        let (path, position) = queue.place(index);
        let file = self.disk.open_read(&path)?;
        if position + ENTRY_LEN as u64 > file.len() {
            return Ok(None);
        }
        let mut bytes = [0; ENTRY_LEN];
        file.read_at(&mut bytes, position)?;
        Ok(Some(Slot::decode(&bytes)))
    }

    /// Shows the entries from `from` on, up to the first that is not written.
    pub fn walk_queue(
        &self,
        queue: &QueueFiles,
        from: u64,
        visit: &mut dyn FnMut(QueueEntry) -> ControlFlow<()>,
    ) -> DiskResult<()> {
        for (base, len) in &queue.files {
            let first = base / ENTRY_LEN as u64;
            let count = len / ENTRY_LEN as u64;
            if first + count <= from {
                continue;
            }
            let mut pieces = Pieces::new(self.disk.open_read(&queue.path(*base))?);
            for index in from.max(first)..first + count {
                let bytes = pieces.bytes((index - first) * ENTRY_LEN as u64, ENTRY_LEN)?;
                let Some(bytes) = bytes.first_chunk() else { return Ok(()) };
                let slot = Slot::decode(bytes);
                if !slot.is_written() {
                    return Ok(());
                }
                let entry = QueueEntry {
                    queue_offset: index,
                    physical_offset: slot.physical_offset,
                    size: slot.size.max(0) as u32,
                    tags_code: slot.tags_code,
                    is_blank: slot.is_blank(),
                };
                if visit(entry).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
