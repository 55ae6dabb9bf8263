//! What the queues do when files of the log go.

use std::sync::Arc;

use skua_protocol::QueueId;

use super::entry::ENTRY_LEN;
use super::queue::QueueState;
use super::{Queue, Queues, bisect};
use crate::disk::DiskResult;

impl Queues {
    /// Every queue in the table, looked at or not.
    pub(crate) fn known_queues(&self) -> Vec<Arc<Queue>> {
        let mut known = Vec::new();
        for shard in &self.shards {
            let topics = shard.read().unwrap_or_else(|e| e.into_inner());
            known.extend(topics.values().flatten().cloned());
        }
        known
    }

    /// Topics that have a directory.
    pub(crate) fn topic_dirs(&self) -> DiskResult<Vec<String>> {
        let mut listed = self.disk.list(&self.dir)?;
        listed.extend(self.disk.list(&self.batch_dir)?);
        Ok(listed.into_iter().filter(|entry| entry.is_dir).map(|entry| entry.name).collect())
    }

    /// Moves the queue's first offset to its first record that is in the log. A queue that nobody
    /// has looked at yet finds it when somebody does.
    pub(crate) fn correct_min(&self, queue: &Queue) -> DiskResult<()> {
        // Waits for a first look that is under way, which may have seen the log as it was before.
        let mut state = queue.state();
        self.raise_min(queue, &mut state).map(drop)
    }

    /// As [`correct_min`](Self::correct_min), with the queue's lock held; the first byte of the
    /// entry that is first.
    fn raise_min(&self, queue: &Queue, state: &mut QueueState) -> DiskResult<u64> {
        if !queue.is_loaded() || queue.is_deleted() {
            return Ok(state.files.start);
        }
        if queue.is_batch() {
            return self.raise_batch_min(queue, state);
        }
        Ok(self.raise_entry_min(queue, state)? * ENTRY_LEN as u64)
    }

    fn raise_entry_min(&self, queue: &Queue, state: &QueueState) -> DiskResult<u64> {
        let (min, max) = (queue.min(), queue.max());
        let log_min = self.log.min();
        let is_gone = |index| {
            let slot = match state.in_memory_alone(index, max) {
                Some(slot) => slot,
                None => self.slot(queue, index)?,
            };
            Ok(slot.is_blank() || slot.physical_offset < log_min)
        };
        if min >= max || !is_gone(min)? {
            return Ok(min);
        }
        let raised = bisect(min + 1..max, is_gone)?;
        queue.raise_min(raised);
        Ok(raised)
    }

    /// Deletes one file of the topic's queues, if there is one whose records are all gone and that
    /// is not its queue's last. True if it did. Records before `durable` are, and their entries.
    pub(crate) fn delete_expired_file(&self, topic: &str, durable: u64) -> DiskResult<bool> {
        let dir = self.topic_dir(topic, self.is_batch(topic));
        for listed in self.disk.list(&dir)?.into_iter().filter(|entry| entry.is_dir) {
            let Ok(id) = listed.name.parse().map(QueueId) else { continue };
            let queue = match self.get_loaded(topic, id) {
                Some(queue) => queue,
                // Not worth a look, and the memory for it.
                None if self.disk.list(&dir.join(&listed.name))?.len() < 2 => continue,
                None => match self.get(topic, id) {
                    Ok(queue) => queue,
                    Err(cause) => {
                        tracing::warn!(topic, queue = id.0, %cause, "expired files are kept");
                        continue;
                    }
                },
            };
            let mut state = queue.state();
            if queue.is_deleted() {
                continue;
            }
            let min_byte = self.raise_min(&queue, &mut state)?;
            if !queue.is_batch() {
                self.delete_expired_extension(&queue, &mut state)?;
            }
            let first = state.files.start;
            let end = first + self.file_size(&queue);
            if end < state.files.end
                && end <= min_byte
                && self.may_begin_at(&queue, end, durable)?
            {
                self.remove_file(&queue, &mut state, first)?;
                state.forget_dirty_before(end);
                tracing::debug!(topic, queue = id.0, first, "consume queue file deleted");
                return Ok(true);
            }
        }
        Ok(false)
    }
}
