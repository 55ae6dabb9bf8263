//! Every record, queue entry and index entry, each checked against the others.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde_json::Value;
use skua_protocol::body::TopicConfigSerializeWrapper;
use skua_protocol::properties::{INNER_BASE, INNER_NUM};
use skua_protocol::record::{
    FLAG_TRANSACTION_MASK, FLAG_TRANSACTION_PREPARED, FLAG_TRANSACTION_ROLLBACK, Record,
};

use super::{Directory, IndexFile, LogReader, Piece, QueueEntry, QueueFiles};
use crate::checkpoint::Checkpoint;
use crate::commit_log::base_of;
use crate::consume_queue::{BATCH_ENTRY_LEN, ENTRY_LEN, inner_messages};
use crate::disk::DiskResult;
use crate::dispatch::tags_code;
use crate::index::key_hashes;
use crate::multi_dispatch::is_lmq;

/// Blocks of queue files kept while the log is walked: 16 MiB.
const BLOCKS_MAX: usize = 4096;
/// Bytes of a block, about: whole entries.
const BLOCK_LEN: u64 = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Something is not as it must be.
    Damage,
    /// Worth knowing; a start deals with it.
    Note,
}

/// Something found at a place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    pub path: PathBuf,
    pub position: u64,
    pub what: String,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    pub records: u64,
    pub queue_entries: u64,
    pub index_entries: u64,
    pub tables: u64,
    pub damage: u64,
    pub notes: u64,
}

struct Verify<'a> {
    directory: &'a Directory,
    /// Topics of `topics.json`.
    topics: HashSet<String>,
    /// Queues that have no entry for records that are there, by the first of these: its queue
    /// offset and place.
    lacking: BTreeMap<(String, u32), (u64, u64)>,
    tell: &'a mut dyn FnMut(Finding),
    done: Verified,
    queues: BTreeMap<(String, u32), Seen>,
    blocks: HashMap<(PathBuf, u64), Vec<u8>>,
    checkpoint: Checkpoint,
    was_closed: bool,
    /// One past the last whole record.
    log_end: u64,
}

/// A queue while the log is walked.
struct Seen {
    files: QueueFiles,
    /// Records with their entry in place.
    matched: u64,
    /// Of a batch queue: the entries before are those of records that have been met.
    next: u64,
}

impl Directory {
    fn known_topics(&self) -> DiskResult<HashSet<String>> {
        let table = self.table("topics.json")?.unwrap_or_default();
        let table = skua_protocol::json::from_slice::<TopicConfigSerializeWrapper>(&table);
        Ok(table.unwrap_or_default().topic_config_table.into_keys().collect())
    }

    /// Checks everything and tells each finding as it is met.
    pub fn verify(&self, tell: &mut dyn FnMut(Finding)) -> DiskResult<Verified> {
        let mut queues = BTreeMap::new();
        for files in self.queues()? {
            let key = (files.topic.clone(), files.queue_id.0);
            queues.insert(key, Seen { next: files.first(), files, matched: 0 });
        }
        let mut verify = Verify {
            directory: self,
            topics: self.known_topics()?,
            lacking: BTreeMap::new(),
            tell,
            done: Verified::default(),
            queues,
            blocks: HashMap::new(),
            checkpoint: self.read_checkpoint()?,
            was_closed: !self.is_in_use_or_killed()?,
            log_end: self.log_start(),
        };
        verify.checkpoint()?;
        verify.log_files();
        verify.log()?;
        verify.lacking();
        verify.queues()?;
        for file in self.index_files()? {
            verify.index(&file)?;
        }
        verify.tables()?;
        Ok(verify.done)
    }
}

impl Verify<'_> {
    fn find(&mut self, severity: Severity, path: PathBuf, position: u64, what: String) {
        match severity {
            Severity::Damage => self.done.damage += 1,
            Severity::Note => self.done.notes += 1,
        }
        (self.tell)(Finding { severity, path, position, what });
    }

    fn damage(&mut self, path: PathBuf, position: u64, what: impl Into<String>) {
        self.find(Severity::Damage, path, position, what.into());
    }

    fn note(&mut self, path: PathBuf, position: u64, what: impl Into<String>) {
        self.find(Severity::Note, path, position, what.into());
    }

    /// Queues that begin behind a record of theirs: files, or all of a folder, are gone.
    fn lacking(&mut self) {
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

    fn checkpoint(&mut self) -> DiskResult<()> {
        let path = self.directory.options.root.join("checkpoint");
        let content = self.directory.disk.read_whole(&path)?;
        match content {
            None if self.directory.log.is_empty() => {}
            None => self.note(path, 0, "there is no checkpoint; a start reads the whole log"),
            Some(content) if content.len() < 40 => {
                let what = format!("{} bytes are too few for a checkpoint", content.len());
                self.damage(path, content.len() as u64, what);
            }
            Some(content) => {
                if let Some(at) = Checkpoint::broken_marks(&content) {
                    self.damage(path, at, "Skua's marks do not have their checksum");
                }
            }
        }
        Ok(())
    }

    /// Names and lengths; a file of another length is walked as far as it goes.
    fn log_files(&mut self) {
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

    fn log(&mut self) -> DiskResult<()> {
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
        let transaction = record.sys_flag() & FLAG_TRANSACTION_MASK;
        if transaction == FLAG_TRANSACTION_PREPARED || transaction == FLAG_TRANSACTION_ROLLBACK {
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

    fn queues(&mut self) -> DiskResult<()> {
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

    fn index(&mut self, file: &IndexFile) -> DiskResult<()> {
        let Some(header) = file.header else {
            self.damage(file.path.clone(), file.len, "too short for a header");
            return Ok(());
        };
        if !file.fits {
            let what = format!(
                "{} bytes do not fit maxHashSlotNum and maxIndexNum; its entries are not looked at",
                file.len
            );
            self.note(file.path.clone(), file.len, what);
            return Ok(());
        }
        let directory = self.directory;
        let (start, end) = (directory.log_start(), self.log_end);
        let mut findings = Vec::new();
        let mut failed = Ok(());
        let mut reader = LogReader::new(directory);
        let mut entries = 0;
        directory.walk_index(file, &mut |at, entry, leads_back| {
            entries += 1;
            if !leads_back {
                findings.push((at + 16, "its chain does not lead to an older entry".to_owned()));
            }
            if entry.offset < start {
                return ControlFlow::Continue(());
            }
            let checked = reader.record_at(entry.offset, |record| {
                key_hashes(record).any(|hash| hash == entry.hash)
            });
            match checked {
                Ok(Some(true)) => {}
                Ok(Some(false)) => findings
                    .push((at, format!("the record at {} has no key of this hash", entry.offset))),
                Ok(None) => findings
                    .push((at, format!("no whole record is at physical offset {}", entry.offset))),
                Err(cause) => {
                    failed = Err(cause);
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
        failed?;
        self.done.index_entries += entries;
        if header.last_offset >= end.max(1) && header.count > 1 && self.was_closed {
            let what = format!("its last record, {}, is behind the log's end", header.last_offset);
            findings.push((24, what));
        }
        for (position, what) in findings {
            // What a killed broker had not saved is made anew by the next start.
            let severity = if self.was_closed { Severity::Damage } else { Severity::Note };
            self.find(severity, file.path.clone(), position, what);
        }
        Ok(())
    }

    fn tables(&mut self) -> DiskResult<()> {
        for table in self.directory.tables()? {
            let name = table.name.strip_suffix(".bak").unwrap_or(&table.name);
            if !name.ends_with(".json") {
                continue;
            }
            self.done.tables += 1;
            let Some(content) = self.directory.disk.read_whole(&table.path)? else { continue };
            let backup = self.directory.table(&format!("{name}.bak"))?;
            let has_backup =
                name == table.name && backup.is_some_and(|backup| wrong_table(&backup).is_none());
            if let Some((position, what)) = wrong_table(&content) {
                if has_backup || name != table.name {
                    let what = if has_backup { format!("{what}; its .bak is good") } else { what };
                    self.note(table.path, position, what);
                } else {
                    self.damage(table.path, position, what);
                }
            }
        }
        Ok(())
    }
}

/// Why the content is no table, and where.
fn wrong_table(content: &[u8]) -> Option<(u64, String)> {
    if content.is_empty() {
        return Some((0, "the file is empty".to_owned()));
    }
    let cause = skua_protocol::json::from_slice::<Value>(content).err()?;
    let position = match &cause {
        skua_protocol::json::JsonError::Broken { at, .. } => *at,
        _ => 0,
    };
    Some((position as u64, cause.to_string()))
}
