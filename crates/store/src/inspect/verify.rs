//! Every record, queue entry and index entry, each checked against the others.

mod log;
mod queues;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::PathBuf;

use serde_json::Value;
use skua_protocol::body::TopicConfigSerializeWrapper;

use super::{Directory, IndexFile, LogReader, QueueFiles};
use crate::checkpoint::Checkpoint;
use crate::disk::DiskResult;
use crate::index::key_hashes;

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
