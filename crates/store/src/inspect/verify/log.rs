//! The log's files, and each record beside its entry in a queue.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use skua_protocol::properties::INNER_BASE;
use skua_protocol::record::Record;

use super::Verify;
use crate::consume_queue::{BATCH_ENTRY_LEN, ENTRY_LEN, has_place};
use crate::disk::DiskResult;
use crate::dispatch::tags_code;
use crate::inspect::{Piece, QueueEntry};

/// Blocks of queue files kept while the log is walked: 16 MiB.
const BLOCKS_MAX: usize = 4096;
/// Bytes of a block, about: whole entries.
const BLOCK_LEN: u64 = 4096;

impl Verify<'_> {
    /// Names and lengths; a file of another length is walked as far as it goes.
    pub(super) fn log_files(&mut self) {
        let files = self.directory.log.clone();
        let size = files.iter().map(|file| file.len).max().unwrap_or(0);
        let mut end = None;
        for file in files {
            let Some(base) = file.base else {
                self.damage(file.path, 0, "not named by its first offset");
                continue;
            };
            if let Some(end) = end.filter(|end| *end != base) {
                self.damage(file.path.clone(), 0, format!("the file for offset {end} is missing"));
            }
            if file.len < size {
                let what = format!("{} bytes long, the others {size}", file.len);
                self.damage(file.path, file.len, what);
            }
            end = Some(base + size);
        }
    }

    pub(super) fn log(&mut self) -> DiskResult<()> {
        let directory = self.directory;
        let mut failed = Ok(());
        let mut last_time = 0;
        let start = directory.log_start();
        directory.walk_log(start, &mut |offset, piece| {
            let base = directory.log_file_of(offset).and_then(|file| file.base).unwrap_or(0);
            let file = directory.log_file_of(offset);
            let path = || file.map_or_else(PathBuf::new, |file| file.path.clone());
            match piece {
                Piece::Message(record) => {
                    self.done.records += 1;
                    self.log_end = offset + record.size() as u64;
                    let time = record.store_timestamp().0;
                    if time < last_time {
                        let what = format!("store time {time} is before that of the record before");
                        self.note(path(), offset - base, what);
                    }
                    last_time = time;
                    if let Err(cause) = self.record(offset, &record) {
                        failed = Err(cause);
                        return ControlFlow::Break(());
                    }
                }
                Piece::EndOfFile => {}
                Piece::Damage { reason, next } => {
                    let what = format!(
                        "{reason}; {} bytes from physical offset {offset} hold no whole record",
                        next - offset
                    );
                    self.damage(path(), offset - base, what);
                }
                Piece::End { bytes, reason } => {
                    let durable = self.checkpoint.own.map_or(0, |own| own.flushed);
                    if offset < durable {
                        let what = format!("{reason}, but the log was durable up to {durable}");
                        self.damage(path(), offset - base, what);
                    } else if bytes > 0 {
                        let what = format!("the log ends here ({reason}), {bytes} bytes follow");
                        self.note(path(), offset - base, what);
                    }
                }
            }
            ControlFlow::Continue(())
        })?;
        failed
    }

    /// The record's entry stands in its queue.
    fn record(&mut self, offset: u64, record: &Record<'_>) -> DiskResult<()> {
        if !has_place(record.sys_flag()) {
            return Ok(());
        }
        let (Ok(id), Ok(index)) =
            (u32::try_from(record.queue_id()), u64::try_from(record.queue_offset()))
        else {
            return Ok(());
        };
        let key = (record.topic().to_owned(), id);
        if self.queues.get(&key).is_some_and(|seen| seen.files.is_batch) {
            return self.batch_record(offset, record, key, index);
        }
        let known = self.checkpoint.own.map_or(0, |own| own.dispatched);
        let is_missing = self.queues.get(&key).is_none_or(|seen| {
            let first = seen.files.files.first().map(|(base, _)| *base);
            first.is_none_or(|first| index * (ENTRY_LEN as u64) < first)
        });
        if is_missing {
            // Deleted topics leave records behind, too; what the broker knows is not among them.
            if offset < known && self.topics.contains(record.topic()) {
                self.lacking.entry(key).or_insert((index, offset));
            }
            return Ok(());
        }
        let Some(seen) = self.queues.get(&key) else { return Ok(()) };
        let byte = index * ENTRY_LEN as u64;
        let is_covered = seen.files.files.first().is_some_and(|(base, _)| *base <= byte);
        let (path, position) = seen.files.place(index);
        let slot = self.entry(index, false, &path, position)?;
        let levels = &self.directory.options.delay_levels;
        let Some(slot) = slot else {
            // A deleted topic's records outlive its queue; others may not be dispatched yet.
            let known = self.checkpoint.own.map_or(0, |own| own.dispatched);
            if offset < known && is_covered {
                let what = format!("no entry for the record at physical offset {offset}");
                self.damage(path, position, what);
            }
            return Ok(());
        };
        if slot.physical_offset != offset || slot.size as usize != record.size() {
            // An entry of the topic's next life, or of none: looked at with the queue.
            return Ok(());
        }
        let expected = tags_code(record, levels);
        let has_extension = slot.tags_code < i64::from(i32::MIN);
        if slot.tags_code != expected && !has_extension && record.topic() != crate::SCHEDULE_TOPIC {
            let what = format!("tags code {} where the record has {expected}", slot.tags_code);
            self.damage(path, position + 12, what);
        }
        if let Some(seen) = self.queues.get_mut(&key) {
            seen.matched += 1;
        }
        Ok(())
    }

    /// The record's entry is the next of its batch queue. Entries are in the order of the log.
    fn batch_record(
        &mut self,
        offset: u64,
        record: &Record<'_>,
        key: (String, u32),
        index: u64,
    ) -> DiskResult<()> {
        let known = self.checkpoint.own.map_or(0, |own| own.dispatched);
        loop {
            let Some(seen) = self.queues.get(&key) else { return Ok(()) };
            let (next, is_first) = (seen.next, seen.next == seen.files.first());
            let (path, position) = seen.files.place(next);
            let entry = self.entry(next, true, &path, position)?;
            // Java has no entries for records that do not say where they begin.
            let is_due = offset < known && record.properties().get(INNER_BASE).is_some();
            match entry {
                // Of a record that is gone, or of none: looked at with the queue.
                Some(entry) if entry.physical_offset < offset => {}
                Some(entry) if entry.physical_offset == offset => {
                    let seen = self.queues.get_mut(&key);
                    if let Some(seen) = seen {
                        seen.next += 1;
                    }
                    return Ok(());
                }
                _ if is_due && is_first => {
                    // Deleted topics leave records behind, too.
                    if self.topics.contains(record.topic()) {
                        self.lacking.entry(key).or_insert((index, offset));
                    }
                    return Ok(());
                }
                _ => {
                    if is_due {
                        let what = format!("no entry for the record at physical offset {offset}");
                        self.damage(path, position, what);
                    }
                    return Ok(());
                }
            }
            if let Some(seen) = self.queues.get_mut(&key) {
                seen.next += 1;
            }
        }
    }

    /// The entry at `position` of a queue file, from a block that is kept.
    fn entry(
        &mut self,
        index: u64,
        is_batch: bool,
        path: &Path,
        position: u64,
    ) -> DiskResult<Option<QueueEntry>> {
        let entry_len = (if is_batch { BATCH_ENTRY_LEN } else { ENTRY_LEN }) as u64;
        let block_len = BLOCK_LEN / entry_len * entry_len;
        let start = position / block_len * block_len;
        let key = (path.to_path_buf(), start);
        if !self.blocks.contains_key(&key) {
            let file = match self.directory.disk.open_read(path) {
                Ok(file) => file,
                Err(cause) if cause.is_not_found() => return Ok(None),
                Err(cause) => return Err(cause),
            };
            let end = (start + block_len).min(file.len());
            let mut bytes = vec![0; end.saturating_sub(start) as usize];
            if !bytes.is_empty() {
                file.read_at(&mut bytes, start)?;
            }
            if self.blocks.len() >= BLOCKS_MAX {
                self.blocks.clear();
            }
            self.blocks.insert(key.clone(), bytes);
        }
        let bytes = self.blocks[&key].get((position - start) as usize..).unwrap_or_default();
        Ok(QueueEntry::decode(bytes, index, is_batch))
    }
}
