//! The directory that a store is made in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use skua_protocol::record::{FLAG_TRANSACTION_MASK, move_to};
use skua_protocol::{PhysicalOffset, QueueOffset};
use skua_store::inspect::Directory;
use skua_store::{Disk, FileSize, IMPORT_MARK, RealDisk, Store, StoreOptions, copy_timer, is_lmq};

use super::layout::{Layout, filler};
use super::source::{Found, Mover, Source, Stop, Survey, canonical, refuse};
use super::{Args, Report};
use crate::import::now;
use crate::words::size;
use crate::{Failure, topics};

/// Bytes given to the store at a time.
const PIECE: usize = 1 << 20;
/// Bytes of log between two flushes: what a broken-off import does again.
const FLUSH_EVERY: u64 = 512 << 20;
/// A queue offset that no queue of Java's reaches.
const QUEUE_OFFSET_MAX: u64 = 1 << 56;
/// Bytes of a queue entry.
const QUEUE_ENTRY_LEN: u64 = 20;

pub struct Target {
    options: StoreOptions,
    mark: Vec<u8>,
    is_begun: bool,
}

impl Target {
    /// An empty or new directory, or one that the same import was broken off in.
    pub fn look(args: &Args, mut options: StoreOptions, source: &Source) -> Result<Self, Stop> {
        let (root, from) = (&options.root, canonical(&args.from));
        if canonical(root).starts_with(&from) || from.starts_with(canonical(root)) {
            return Err(refuse(format!(
                "{} and {} lie in one another",
                root.display(),
                from.display()
            )));
        }
        let id = source.dledger.id();
        let mark = json!({"from": from, "member": id, "committedOnly": args.committed_only});
        let mark = format!("{mark}\n").into_bytes();
        let found = RealDisk.read_whole(&root.join(IMPORT_MARK))?;
        let is_begun = match &found {
            // Cut short, it was the first that was written.
            Some(found) if *found == mark || found.is_empty() => true,
            Some(found) => {
                let what = String::from_utf8_lossy(found);
                let root = root.display();
                return Err(refuse(format!(
                    "{root} holds an import of {} that did not end; empty it first",
                    what.trim()
                )));
            }
            None => false,
        };
        let folders = std::iter::once(&options.commit_log).chain(&options.commit_log_more);
        for folder in std::iter::once(root).chain(folders).filter(|_| !is_begun) {
            if !RealDisk.list(folder)?.is_empty() {
                return Err(refuse(format!("{} is not empty", folder.display())));
            }
        }
        options.is_copy = true;
        options.continues_import = true;
        // Its files are copied afterwards.
        options.timer = None;
        options.batch_topics.extend(batch_topics(&source.directory)?);
        Ok(Self { options, mark, is_begun })
    }

    /// The length of a commit log file that is asked for.
    pub fn wanted_file_size(&self) -> Option<u64> {
        match self.options.commit_log_file_size {
            FileSize::Exactly(size) => Some(size),
            FileSize::AsFound { .. } => None,
        }
    }

    /// Refuses if the disk has not enough room.
    pub fn check_space(&self, source: &Source, survey: &Survey) -> Result<(), Stop> {
        if !self.options.commit_log_more.is_empty() {
            // Which of several disks takes what is not known before.
            return Ok(());
        }
        let log = (survey.end - survey.start).next_multiple_of(survey.file_size);
        let entries = (survey.messages + survey.plain_messages) * QUEUE_ENTRY_LEN;
        let mut timer = 0;
        for entry in RealDisk.list(&source.directory.root().join("timerlog"))? {
            timer += entry.len;
        }
        let there = Directory::open(self.options.clone(), Arc::new(RealDisk))?;
        let there: u64 = there.log_files().iter().map(|file| file.len).sum();
        let needed = (log + entries + timer).saturating_sub(there);
        let mut place: &Path = &self.options.commit_log;
        while !place.exists() {
            let Some(parent) = place.parent() else { break };
            place = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        }
        let free = RealDisk.space(place)?.available;
        if free < needed {
            return Err(refuse(format!(
                "about {} are needed in {}, {} are free; nothing was written",
                size(needed),
                self.options.commit_log.display(),
                size(free)
            )));
        }
        Ok(())
    }

    /// Writes everything.
    pub fn fill(
        mut self,
        args: &Args,
        source: &Source,
        survey: &Survey,
        report: &mut Report,
    ) -> Result<(), Stop> {
        let root = self.options.root.clone();
        let mark = root.join(IMPORT_MARK);
        std::fs::create_dir_all(&root)
            .map_err(|why| Failure::Usage(format!("{}: {why}", root.display())))?;
        RealDisk.write_whole(&mark, &self.mark)?;
        RealDisk.sync_dir(&root)?;
        self.options.commit_log_file_size = FileSize::Exactly(survey.file_size);
        let store =
            Store::open(self.options.clone(), Arc::new(RealDisk), now()).map_err(Failure::from)?;
        let mut mover = Mover::new(args, &source.directory, survey.divided)?;
        copy_log(&store, source, survey, &mut mover)?;
        report.queues_continued = go_on(&store, &source.directory)?;
        report.topics_deleted = delete_topics(&store, &source.directory)?;
        report.topics_unknown = unknown_topics(&store, &source.directory)?;
        store.close()?;
        let from = source.directory.root();
        report.timer_units = copy_timer(&RealDisk, from, &root, &mut |old| mover.new_of(old))?;
        report.tables = copy_tables(from, &root)?;
        RealDisk.remove(&mark)?;
        RealDisk.sync_dir(&root)?;
        report.resumed = self.is_begun;
        Ok(())
    }
}

/// What is appended, or found there already.
struct Writer<'a> {
    store: &'a Store,
    layout: Layout,
    /// Where the bytes of `piece` begin.
    at: u64,
    piece: Vec<u8>,
    /// What an import before has left ends here.
    known: u64,
    flush_at: u64,
}

impl Writer<'_> {
    fn put(&mut self, at: u64, bytes: &[u8]) -> Result<(), Stop> {
        let file = |at: u64| at / self.layout.file_size;
        if self.piece.is_empty() || file(at) != file(self.at) || self.piece.len() >= PIECE {
            self.write()?;
            self.at = at;
        }
        self.piece.extend_from_slice(bytes);
        Ok(())
    }

    /// Fills the file that the log ends in.
    fn fill(&mut self) -> Result<(), Stop> {
        let room = self.layout.room();
        if room < self.layout.file_size {
            // Nearly a whole file, it may be: not copied once more.
            self.write()?;
            (self.at, self.piece) = (self.layout.at, filler(room));
            self.write()?;
            self.layout.at += room;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), Stop> {
        let piece = std::mem::take(&mut self.piece);
        let known = (self.known.saturating_sub(self.at) as usize).min(piece.len());
        let (old, new) = piece.split_at(known);
        let mut at = self.at;
        for old in old.chunks(PIECE) {
            let there = self.store.log_bytes(PhysicalOffset(at), old.len());
            at += old.len() as u64;
            if !there.is_ok_and(|there| there == old) {
                return Err(refuse(format!(
                    "what an import before has left at {} is not of this source; empty the \
                     directory first",
                    self.at
                )));
            }
        }
        self.store.append_copy(PhysicalOffset(self.at + known as u64), new)?;
        self.at += piece.len() as u64;
        while self.store.dispatch() > 0 {}
        if let Some(failure) = self.store.failure() {
            return Err(refuse(failure.to_string()));
        }
        if self.at >= self.flush_at {
            self.store.flush()?;
            self.flush_at = self.at + FLUSH_EVERY;
        }
        if piece.capacity() <= 2 * PIECE {
            self.piece = piece;
            self.piece.clear();
        }
        Ok(())
    }
}

fn copy_log(
    store: &Store,
    source: &Source,
    survey: &Survey,
    mover: &mut Mover,
) -> Result<(), Stop> {
    store.begin_at(PhysicalOffset(survey.start))?;
    let begins = store.min_physical_offset().0;
    if begins != survey.start {
        return Err(refuse(format!(
            "the log there begins at {begins}, not at {}; empty the directory first",
            survey.start
        )));
    }
    let layout = Layout { file_size: survey.file_size, at: survey.start };
    let known = store.appended().0;
    let (at, flush_at) = (survey.start, survey.start + FLUSH_EVERY);
    let mut writer = Writer { store, layout, at, piece: Vec::new(), known, flush_at };
    let mut record_bytes = Vec::new();
    source.walk(&mut |found| match found {
        Found::Plain(record) => {
            let at = record.physical_offset() as u64;
            if at != writer.layout.at {
                writer.fill()?;
            }
            if at != writer.layout.at {
                return Err(refuse(format!("a record of {at} follows {}", writer.layout.at)));
            }
            writer.put(at, record.bytes())?;
            writer.layout.at += record.size() as u64;
            Ok(())
        }
        Found::EndOfFile(_) => Ok(()),
        Found::Entry(entry, record) => {
            if writer.layout.at < survey.divided && survey.plain_messages > 0 {
                writer.fill()?;
            }
            let before = writer.layout.at;
            let placed = writer.layout.next(record.size() as u64);
            let (at, filled) = placed.ok_or_else(|| refuse("a record is too long".to_owned()))?;
            if filled > 0 {
                writer.put(before, &filler(filled))?;
            }
            mover.positions.add(entry.index, entry.physical_offset, at);
            let mut half = record.prepared_transaction_offset();
            if record.sys_flag() & FLAG_TRANSACTION_MASK != 0
                && let Some(old) = u64::try_from(half).ok().filter(|old| *old > 0)
            {
                half = mover.new_of(old)?.map_or(half, |new| new as i64);
            }
            record_bytes.clear();
            record_bytes.extend_from_slice(record.bytes());
            move_to(&mut record_bytes, PhysicalOffset(at), half);
            writer.put(at, &record_bytes)
        }
    })?;
    if survey.plain_messages > 0 && writer.layout.at < survey.end {
        writer.fill()?;
    }
    writer.write()?;
    if store.appended().0 != survey.end {
        let (found, end) = (store.appended().0, survey.end);
        return Err(refuse(format!(
            "the new log ends at {found}, not at {end}: the source changed"
        )));
    }
    Ok(())
}

/// Lets queues whose messages have expired go on where they were. Returns how many.
fn go_on(store: &Store, from: &Directory) -> Result<u64, Stop> {
    let mut count = 0;
    for queue in from.queues()? {
        let is_right =
            |(base, len): &(u64, u64)| base / QUEUE_ENTRY_LEN < QUEUE_OFFSET_MAX && *len < 1 << 40;
        if queue.is_batch || !queue.files.iter().all(is_right) {
            continue;
        }
        let (_, next) = from.bounds(&queue)?;
        let here = store.max_offset(&queue.topic, queue.queue_id).map_or(0, |offset| offset.0);
        if next > here {
            store.go_on_at(&queue.topic, queue.queue_id, QueueOffset(next))?;
            count += 1;
        }
    }
    Ok(count)
}

/// Deletes the queues of topics that were deleted, though the log has messages of theirs still.
fn delete_topics(store: &Store, from: &Directory) -> Result<Vec<String>, Stop> {
    let kept = from.queues()?;
    let table = from.table(topics::FILE)?.unwrap_or_default();
    // Of a table that cannot be read nobody knows what it had.
    if kept.is_empty() || !topics::is_table(&table) {
        return Ok(Vec::new());
    }
    let mut gone: Vec<String> = store.queue_list()?.into_iter().map(|(topic, _)| topic).collect();
    gone.dedup();
    gone.retain(|topic| {
        !is_lmq(topic)
            && !kept.iter().any(|queue| queue.topic == *topic)
            && topics::entry(&table, topic).is_none()
    });
    for topic in &gone {
        store.delete_topic(topic)?;
    }
    Ok(gone)
}

/// Topics that have messages and are in no table: a follower copies that every few seconds only.
fn unknown_topics(store: &Store, from: &Directory) -> Result<Vec<String>, Stop> {
    let table = from.table(topics::FILE)?.unwrap_or_default();
    let mut topics: Vec<String> = store.queue_list()?.into_iter().map(|(topic, _)| topic).collect();
    topics.dedup();
    topics.retain(|topic| !is_lmq(topic) && topics::entry(&table, topic).is_none());
    Ok(topics)
}

/// Topics of the source with batch queues.
fn batch_topics(from: &Directory) -> Result<Vec<String>, Stop> {
    let table = from.table(topics::FILE)?.unwrap_or_default();
    let Ok(table) = skua_protocol::json::from_slice::<Value>(&table) else { return Ok(Vec::new()) };
    let all = table.get("topicConfigTable").and_then(Value::as_object);
    let batch = all.into_iter().flatten().filter(|(_, entry)| topics::has_batch_queues(entry));
    Ok(batch.map(|(topic, _)| topic.clone()).collect())
}

/// Copies the JSON tables and the timer's checkpoint. Returns how many files.
fn copy_tables(from: &Path, to: &Path) -> Result<u64, Stop> {
    let (from, to): (PathBuf, PathBuf) = (from.join("config"), to.join("config"));
    let mut count = 0;
    for entry in RealDisk.list(&from)?.into_iter().filter(|entry| !entry.is_dir) {
        if let Some(content) = RealDisk.read_whole(&from.join(&entry.name))? {
            std::fs::create_dir_all(&to)?;
            RealDisk.write_whole(&to.join(&entry.name), &content)?;
            count += 1;
        }
    }
    if count > 0 {
        RealDisk.sync_dir(&to)?;
    }
    Ok(count)
}
