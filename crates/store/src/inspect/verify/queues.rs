//! Queues, after the log was walked: their files, and each entry beside its record.

use std::ops::ControlFlow;

use skua_protocol::properties::INNER_NUM;

use super::{Seen, Verify};
use crate::commit_log::base_of;
use crate::consume_queue::inner_messages;
use crate::disk::DiskResult;
use crate::dispatch::tags_code;
use crate::inspect::{QueueEntry, QueueFiles};
use crate::multi_dispatch::is_lmq;

impl Verify<'_> {
    /// Queues that begin behind a record of theirs: files, or all of a folder, are gone.
    pub(super) fn lacking(&mut self) {
        for ((topic, id), (index, offset)) in std::mem::take(&mut self.lacking) {
            let root = self.directory.options.root.join("consumequeue");
            let dir = root.join(&topic).join(id.to_string());
            let first = self.queues.get(&(topic, id)).filter(|seen| !seen.files.files.is_empty());
            let first =
                first.map(|seen| (seen.files.dir.clone(), seen.files.first(), seen.files.is_batch));
            let Some((dir, first, is_batch)) = first else {
                let what = format!(
                    "there are no files, but the log has the queue's message {index} at {offset}; \
                     so it is after the topic was deleted and made again"
                );
                self.note(dir, 0, what);
                continue;
            };
            let unit = if is_batch { "entry" } else { "queue offset" };
            let what = format!(
                "begins at {unit} {first}, but the log has its message {index} at {offset}"
            );
            self.damage(dir, 0, what);
        }
    }

    pub(super) fn queues(&mut self) -> DiskResult<()> {
        self.blocks.clear();
        let queues = std::mem::take(&mut self.queues);
        let size_of = |is_batch: bool| {
            let of_kind = queues.values().filter(|seen| seen.files.is_batch == is_batch);
            of_kind.flat_map(|seen| &seen.files.files).map(|file| file.1).max()
        };
        let sizes = [size_of(false), size_of(true)];
        for seen in queues.into_values() {
            let size = sizes[usize::from(seen.files.is_batch)];
            let mut end = None;
            for (base, len) in &seen.files.files {
                let path = seen.files.path(*base);
                if let Some(end) = end.filter(|end| end != base) {
                    self.damage(path.clone(), 0, format!("the file for byte {end} is missing"));
                }
                if Some(*len) != size {
                    let what = format!("{len} bytes long, others {}", size.unwrap_or(0));
                    self.damage(path, *len, what);
                }
                end = Some(base + size.unwrap_or(*len));
            }
            for entry in self.directory.disk.list(&seen.files.dir)? {
                if !entry.is_dir && base_of(&entry.name).is_none() {
                    let path = seen.files.dir.join(&entry.name);
                    self.note(path, 0, "no file of a queue by its name");
                }
            }
            self.queue(&seen)?;
        }
        Ok(())
    }

    /// Each entry is that of a record. Where as many entries as records matched, all did.
    fn queue(&mut self, seen: &Seen) -> DiskResult<()> {
        let (start, end) = (self.directory.log_start(), self.log_end);
        let mut counted = 0;
        let mut last = None;
        let mut disorder = Vec::new();
        self.directory.walk_queue(&seen.files, 0, &mut |entry| {
            self.done.queue_entries += 1;
            if !entry.is_blank && entry.physical_offset >= start {
                counted += 1;
                let follows = |before: QueueEntry| {
                    before.physical_offset < entry.physical_offset
                        && (!seen.files.is_batch || before.next() == entry.queue_offset)
                };
                if last.is_some_and(|last| !follows(last)) {
                    disorder.push(entry);
                }
                last = Some(entry);
            }
            ControlFlow::Continue(())
        })?;
        for entry in disorder {
            let (path, position) = seen.files.place(entry.index);
            self.damage(path, position, "does not follow the entry before");
        }
        if counted == seen.matched && !seen.files.is_batch {
            return Ok(());
        }
        let mut all = Vec::new();
        self.directory.walk_queue(&seen.files, 0, &mut |entry| {
            if !entry.is_blank && entry.physical_offset >= start {
                all.push(entry);
            }
            ControlFlow::Continue(())
        })?;
        for entry in all {
            if let Some(what) = self.wrong_entry(&seen.files, entry)? {
                let (path, position) = seen.files.place(entry.index);
                if entry.physical_offset >= end && !self.was_closed {
                    self.note(path, position, what);
                } else {
                    self.damage(path, position, what);
                }
            }
        }
        Ok(())
    }

    /// What is wrong with an entry, if anything is.
    fn wrong_entry(&self, queue: &QueueFiles, entry: QueueEntry) -> DiskResult<Option<String>> {
        let at = entry.physical_offset;
        let levels = &self.directory.options.delay_levels;
        let found = self.directory.record_at(at, |record| {
            let told = record.properties().get(INNER_NUM);
            let messages = inner_messages(record.sys_flag(), told);
            let has_other_fields = entry.messages != messages
                || entry.store_time != record.store_timestamp().0
                || entry.tags_code != tags_code(record, levels);
            if queue.is_batch && has_other_fields {
                return Some(format!(
                    "says {} messages, stored at {}, tags code {}; the record at {at} has {messages}, \
                     {} and {}",
                    entry.messages,
                    entry.store_time,
                    entry.tags_code,
                    record.store_timestamp().0,
                    tags_code(record, levels)
                ));
            }
            let is_own = record.topic() == queue.topic
                && record.queue_id() as u32 == queue.queue_id.0
                && record.queue_offset() as u64 == entry.queue_offset;
            if record.size() != entry.size as usize {
                return Some(format!(
                    "says {} bytes, the record at {at} has {}",
                    entry.size,
                    record.size()
                ));
            }
            (!is_own && !is_lmq(&queue.topic)).then(|| {
                format!(
                    "points to the record at {at} of {}, queue {}, offset {}",
                    record.topic(),
                    record.queue_id(),
                    record.queue_offset()
                )
            })
        })?;
        Ok(found.unwrap_or_else(|| Some(format!("no whole record is at physical offset {at}"))))
    }
}
