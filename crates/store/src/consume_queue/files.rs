//! The files of the queues: reading, writing and flushing stretches of entries.

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::entry::{ENTRY_LEN, Slot};
use super::queue::{Queue, QueueState};
use super::{Entry, Queues};
use crate::commit_log::base_of;
use crate::disk::{Allocation, Disk, DiskFile, DiskResult, Wait, lock};
use crate::handles::FileKey;

/// Pages as the flush rules count them.
const PAGE: u64 = 4096;

impl Queues {
    pub(super) fn queue_dir(&self, queue: &Queue) -> PathBuf {
        self.topic_dir(&queue.topic, queue.is_batch()).join(queue.id.to_string())
    }

    fn path(&self, queue: &Queue, base: u64) -> PathBuf {
        self.queue_dir(queue).join(format!("{base:020}"))
    }

    pub(super) fn topic_dir(&self, topic: &str, is_batch: bool) -> PathBuf {
        (if is_batch { &self.batch_dir } else { &self.dir }).join(topic)
    }

    /// Bytes of each of the queue's files.
    pub(super) fn file_size(&self, queue: &Queue) -> u64 {
        if queue.is_batch() { self.batch_file_size } else { self.file_size }
    }

    /// First byte of the file that holds the queue's byte `at`.
    pub(super) fn base(&self, queue: &Queue, at: u64) -> u64 {
        let file_size = self.file_size(queue);
        at / file_size * file_size
    }

    pub(super) fn file(&self, queue: &Queue, base: u64) -> DiskResult<Arc<dyn DiskFile>> {
        self.handles.get(FileKey { owner: queue.owner, base }, || self.path(queue, base))
    }

    /// Makes the file at `base`, and counts it in.
    pub(super) fn add_file(
        &self,
        queue: &Queue,
        state: &mut QueueState,
        base: u64,
    ) -> DiskResult<Arc<dyn DiskFile>> {
        let path = self.path(queue, base);
        let file_size = self.file_size(queue);
        let file = self.disk.create(&path, file_size, Allocation::Sparse)?;
        self.handles.insert(FileKey { owner: queue.owner, base }, Arc::clone(&file));
        if state.files.is_empty() {
            state.files = base..base + file_size;
        } else {
            state.files.end = base + file_size;
        }
        Ok(file)
    }

    pub(super) fn remove_file(
        &self,
        queue: &Queue,
        state: &mut QueueState,
        base: u64,
    ) -> DiskResult<()> {
        let file_size = self.file_size(queue);
        self.handles.forget(FileKey { owner: queue.owner, base });
        self.disk.remove(&self.path(queue, base))?;
        if base == state.files.start {
            state.files.start = base + file_size;
        }
        if base + file_size == state.files.end {
            state.files.end = base;
        }
        if state.files.start >= state.files.end {
            state.files = 0..0;
        }
        Ok(())
    }

    /// The entry at `index`, from its file: none of those that are in memory alone.
    pub(super) fn slot(&self, queue: &Queue, index: u64) -> DiskResult<Slot> {
        let at = index * ENTRY_LEN as u64;
        let base = self.base(queue, at);
        let mut bytes = [0; ENTRY_LEN];
        self.file(queue, base)?.read_at(&mut bytes, at - base)?;
        Ok(Slot::decode(&bytes))
    }

    /// Appends up to `count` entries from `from` on to `out`; fewer where the queue ends. Of a batch
    /// queue, those with the next `count` messages.
    pub(crate) fn entries(
        &self,
        queue: &Queue,
        from: u64,
        count: usize,
        wait: Wait,
        out: &mut Vec<Entry>,
    ) -> DiskResult<()> {
        let max = queue.max();
        if from >= max {
            return Ok(());
        }
        if queue.is_batch() {
            return self.batches(queue, from, count, wait, out);
        }
        let to = max.min(from + count as u64);
        // Those that are in memory alone, if the others are not.
        let newest: Vec<Entry>;
        let to = {
            let state = queue.state();
            // More may have come meanwhile; the tail ends at what is the maximum now.
            let end = queue.max();
            let tail_start = end - state.tail.len() as u64;
            let in_memory = |range: Range<u64>| {
                let slots = (range.start - tail_start) as usize..(range.end - tail_start) as usize;
                state.tail.range(slots).zip(range).map(|(slot, index)| slot.at(index))
            };
            if from >= tail_start {
                out.extend(in_memory(from..to));
                return Ok(());
            }
            let written = end - state.unwritten as u64;
            newest = in_memory(written..to.max(written)).collect();
            to.min(written)
        };
        let mut index = from;
        let mut bytes = Vec::new();
        while index < to {
            let at = index * ENTRY_LEN as u64;
            let base = self.base(queue, at);
            let end = (to * ENTRY_LEN as u64).min(base + self.file_size(queue));
            bytes.resize((end - at) as usize, 0);
            self.file(queue, base)?.read(&mut bytes, at - base, wait)?;
            let (slots, _) = bytes.as_chunks::<ENTRY_LEN>();
            out.extend(slots.iter().zip(index..).map(|(slot, index)| Slot::decode(slot).at(index)));
            index = end / ENTRY_LEN as u64;
        }
        out.extend(newest);
        Ok(())
    }

    /// First queue offset of the file after the one that holds `index`.
    pub(crate) fn next_file(&self, queue: &Queue, index: u64) -> u64 {
        if queue.is_batch() {
            return index + 1;
        }
        (self.base(queue, index * ENTRY_LEN as u64) + self.file_size) / ENTRY_LEN as u64
    }

    pub(super) fn note_dirty(
        &self,
        queue: &Arc<Queue>,
        state: &mut QueueState,
        written: Range<u64>,
    ) {
        if state.dirty.is_none() {
            lock(&self.dirty).push(Arc::clone(queue));
        }
        state.mark_dirty(written);
    }

    /// Queues with entries that are not durable.
    pub(crate) fn dirty_count(&self) -> usize {
        lock(&self.dirty).len()
    }

    /// Writes entries that are in memory alone, and makes them durable: of queues with at least
    /// `least_pages` dirty pages, or of all. Between two queues it runs `between`, for those who
    /// cannot wait for all.
    pub(crate) fn flush(&self, least_pages: u64, between: &dyn Fn()) -> DiskResult<()> {
        let mut dirty = std::mem::take(&mut *lock(&self.dirty));
        let mut result = Ok(());
        let mut later = Vec::new();
        let mut new_in = HashSet::new();
        while let Some(queue) = dirty.pop() {
            if queue.is_deleted() {
                continue;
            }
            let mut state = queue.state();
            let Some(range) = state.dirty.clone() else { continue };
            let is_small = range.end / PAGE - range.start / PAGE < least_pages;
            let written = self.write_out(&queue, &mut state);
            if written.is_ok() && !is_small {
                state.dirty = None;
            }
            drop(state);
            let synced = written.and_then(|written| {
                if written || !is_small {
                    between();
                }
                match is_small {
                    true => Ok(false),
                    false => self.sync_range(&queue, range.clone(), &mut new_in).map(|()| true),
                }
            });
            match synced {
                Ok(true) => lock(&self.warm).push(queue),
                Ok(false) => later.push(queue),
                Err(_) if queue.is_deleted() => {}
                Err(cause) => {
                    queue.state().mark_dirty(range);
                    later.push(queue);
                    result = Err(cause);
                    break;
                }
            }
        }
        later.append(&mut dirty);
        lock(&self.dirty).append(&mut later);
        result.and_then(|()| self.sync_topics(&new_in, between))
    }

    /// Makes the entries of all queues durable by one sync of their file system, if they are many:
    /// a sync for each file waits for the disk each time. Nobody is served meanwhile.
    pub(crate) fn flush_at_once(&self) -> DiskResult<()> {
        let Some(file_system) = &self.file_system else { return Ok(()) };
        if lock(&self.dirty).len() < self.sync_at_once_from {
            return Ok(());
        }
        let any_batch = self.any_batch.load(Ordering::Relaxed);
        if !file_system.holds(&self.dir) || (any_batch && !file_system.holds(&self.batch_dir)) {
            return Ok(());
        }
        let mut flushed = Vec::new();
        let mut synced = Ok(());
        for queue in std::mem::take(&mut *lock(&self.dirty)) {
            let mut state = queue.state();
            if synced.is_ok() && !queue.is_deleted() {
                synced = self.write_out(&queue, &mut state).map(drop);
            }
            let range = state.dirty.take();
            drop(state);
            flushed.extend(range.map(|range| (queue, range)));
        }
        if synced.is_ok() {
            synced = file_system.sync();
        }
        for (queue, _) in &flushed {
            if synced.is_ok() && !queue.is_deleted() {
                synced = self.sync_extension(queue);
            }
        }
        if synced.is_err() {
            for (queue, range) in flushed {
                self.note_dirty(&queue, &mut queue.state(), range);
            }
            return synced;
        }
        lock(&self.warm).extend(flushed.into_iter().map(|(queue, _)| queue));
        Ok(())
    }

    /// Makes what is new in the topics' folders durable, and the folders themselves.
    fn sync_topics(&self, topics: &HashSet<Arc<str>>, between: &dyn Fn()) -> DiskResult<()> {
        if topics.is_empty() {
            return Ok(());
        }
        for topic in topics {
            between();
            match self.disk.sync_dir(&self.topic_dir(topic, self.is_batch(topic))) {
                // It was deleted meanwhile.
                Err(cause) if cause.is_not_found() => {}
                synced => synced?,
            }
        }
        for (dir, is_batch) in [(&self.dir, false), (&self.batch_dir, true)] {
            if topics.iter().any(|topic| self.is_batch(topic) == is_batch) {
                self.disk.sync_dir(dir)?;
            }
        }
        Ok(())
    }

    /// Makes a stretch of the queue durable. A topic in whose folder something may be new goes into
    /// `new_in`: many queues share it.
    fn sync_range(
        &self,
        queue: &Queue,
        range: Range<u64>,
        new_in: &mut HashSet<Arc<str>>,
    ) -> DiskResult<()> {
        self.sync_extension(queue)?;
        let mut base = self.base(queue, range.start);
        while base < range.end {
            match self.file(queue, base).and_then(|file| file.sync()) {
                // It expired meanwhile.
                Err(cause) if cause.is_not_found() && base < queue.state().files.start => {}
                synced => synced?,
            }
            base += self.file_size(queue);
        }
        let dir = self.queue_dir(queue);
        if range.start == self.base(queue, range.start) {
            // The first file came with the range, and maybe its directories.
            self.disk.sync_dir(&dir)?;
            new_in.insert(Arc::clone(&queue.topic));
        } else if self.base(queue, range.end - 1) != self.base(queue, range.start) {
            self.disk.sync_dir(&dir)?;
        }
        Ok(())
    }

    /// Frees the entries in memory of queues to which nothing came since the last call.
    pub(crate) fn cool(&self) {
        let mut warm = lock(&self.warm);
        warm.sort_by_key(|queue| queue.owner);
        warm.dedup_by_key(|queue| queue.owner);
        warm.retain(|queue| {
            let mut state = queue.state();
            if state.dirty.is_none() && state.idle {
                state.tail = std::collections::VecDeque::new();
                return false;
            }
            state.idle = true;
            true
        });
    }
}

/// Looks at that many files for their usual length.
const LOOKS: usize = 16;

/// Length that most of the first queue files found have; `None` if there is none.
pub(super) fn found_file_size(
    disk: &dyn Disk,
    dir: &Path,
    entry_len: usize,
) -> DiskResult<Option<u64>> {
    let mut found = Vec::new();
    'files: for topic in disk.list(dir)?.into_iter().filter(|entry| entry.is_dir) {
        let topic = dir.join(topic.name);
        for queue in disk.list(&topic)?.into_iter().filter(|entry| entry.is_dir) {
            for file in disk.list(&topic.join(queue.name))? {
                if !file.is_dir && file.len > 0 && base_of(&file.name).is_some() {
                    found.push(file.len);
                }
                if found.len() >= LOOKS {
                    break 'files;
                }
            }
        }
    }
    let votes = |len: u64| found.iter().filter(|other| **other == len).count();
    let whole = |len: u64| len.is_multiple_of(entry_len as u64);
    Ok(found.iter().copied().max_by_key(|len| (votes(*len), whole(*len), *len)))
}
