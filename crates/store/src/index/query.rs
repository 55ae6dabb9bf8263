//! Finding messages by a key.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use skua_protocol::Millis;
use skua_protocol::PhysicalOffset;
use skua_protocol::properties::{TAGS, UNIQ_KEY};
use skua_protocol::record::Record;

use super::layout::{ENTRY_LEN, Entry, Header, Layout, SLOT_LEN};
use super::{Index, key_hash};
use crate::disk::{DiskFile, DiskResult, lock};
use crate::error::ReadError;
use crate::store::Store;

/// Bytes of messages after which an answer ends: clients refuse frames of 16 MiB.
const BYTES_MAX: usize = 12 << 20;
/// Entries looked at for one answer. Java walks on, for minutes if it must, where a tag of
/// millions of messages meets a short span of time.
const ENTRIES_MAX: u32 = 2_000_000;
/// Entries read at a time: older entries of a slot are often near.
const BLOCK_ENTRIES: u32 = 64;

/// Rounds of indexing that a search waits for.
const CATCH_UP_ROUNDS: usize = 64;

/// Which of a message's names is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Its unique id, or one of its keys.
    Key,
    /// Its tag.
    Tag,
}

/// A search for messages.
#[derive(Clone, Copy, Debug)]
pub struct KeyQuery<'a> {
    pub topic: &'a str,
    pub key: &'a str,
    pub kind: KeyKind,
    /// Messages wanted at most.
    pub count: usize,
    /// Store times, both included.
    pub begin: Millis,
    pub end: Millis,
}

/// The messages found, from the oldest to the newest.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub messages: Vec<Bytes>,
    /// Store time and offset of the newest message in the index.
    pub last_time: Millis,
    pub last_offset: PhysicalOffset,
}

/// One file as it was when the search began.
struct View {
    header: Header,
    file: Arc<dyn DiskFile>,
    /// Entries from here on are not in the file, or came later.
    written: u32,
}

impl Index {
    /// Calls `hit` with the offsets of messages that may have a key of this hash, newest first,
    /// until it returns false.
    fn search(
        &self,
        hash: u32,
        begin: u64,
        end: u64,
        hit: &mut dyn FnMut(u64) -> DiskResult<bool>,
    ) -> DiskResult<()> {
        let (views, waiting) = self.views(hash)?;
        let mut looked_at = 0;
        for (nth, view) in views.iter().rev().enumerate() {
            let header = &view.header;
            let (first, last) = (header.first_time, header.last_time);
            if begin <= last && end >= first {
                let waiting = if nth == 0 { &waiting[..] } else { &[] };
                for entry in waiting.iter().rev() {
                    if is_within(header, entry, begin, end) && !hit(entry.offset)? {
                        return Ok(());
                    }
                }
                let mut chain = Chain::new(view, self.layout, hash)?;
                while let Some(entry) = chain.next()? {
                    looked_at += 1;
                    let is_hit = entry.hash == hash && is_within(header, &entry, begin, end);
                    if looked_at > ENTRIES_MAX || (is_hit && !hit(entry.offset)?) {
                        return Ok(());
                    }
                }
            }
            if first < begin {
                break;
            }
        }
        Ok(())
    }

    /// The files from the oldest to the newest, and the entries of this hash in none of them yet.
    fn views(&self, hash: u32) -> DiskResult<(Vec<View>, Vec<Entry>)> {
        let mut state = lock(&self.state);
        self.make_ready(&mut state)?;
        let in_batch = state.batch.entries.len() as u32;
        let waiting = state.batch.entries.iter().filter(|entry| entry.hash == hash);
        let waiting = waiting.copied().collect();
        let newest = state.files.len().saturating_sub(1);
        let mut views = Vec::with_capacity(state.files.len());
        for (nth, file) in state.files.iter().enumerate() {
            let header = file.header;
            let written = if nth == newest { header.count - in_batch } else { header.count };
            views.push(View { header, file: self.file(file.name)?, written });
        }
        Ok((views, waiting))
    }

    fn last(&self) -> (Millis, PhysicalOffset) {
        let state = lock(&self.state);
        state.files.last().map_or_else(Default::default, |file| {
            (Millis(file.header.last_time as i64), PhysicalOffset(file.header.last_offset))
        })
    }
}

fn is_within(header: &Header, entry: &Entry, begin: u64, end: u64) -> bool {
    // Entries know the second only.
    let time = header.first_time + u64::from(entry.seconds) * 1000;
    time + 999 >= begin && time <= end
}

/// The entries of one slot in one file, from the newest to the oldest.
struct Chain<'a> {
    view: &'a View,
    layout: Layout,
    next: u32,
    block: Vec<u8>,
    block_start: u32,
}

impl<'a> Chain<'a> {
    fn new(view: &'a View, layout: Layout, hash: u32) -> DiskResult<Self> {
        let mut slot = [0; SLOT_LEN as usize];
        view.file.read_at(&mut slot, layout.slot_at(layout.slot_of(hash)))?;
        let next = u32::from_be_bytes(slot);
        Ok(Self { view, layout, next, block: Vec::new(), block_start: 0 })
    }

    fn next(&mut self) -> DiskResult<Option<Entry>> {
        loop {
            let number = self.next;
            if number == 0 || number >= self.layout.entries {
                return Ok(None);
            }
            let in_block = number.wrapping_sub(self.block_start) as usize * ENTRY_LEN;
            if number < self.block_start || in_block + ENTRY_LEN > self.block.len() {
                self.block_start = number.saturating_sub(BLOCK_ENTRIES - 1);
                let count = number - self.block_start + 1;
                self.block.resize(count as usize * ENTRY_LEN, 0);
                let at = self.layout.entry_at(self.block_start);
                self.view.file.read_at(&mut self.block, at)?;
            }
            let at = (number - self.block_start) as usize;
            let (entries, _) = self.block.as_chunks::<ENTRY_LEN>();
            let entry = Entry::decode(&entries[at]);
            // Anything else would go round in circles.
            self.next = if entry.older < number { entry.older } else { 0 };
            if number < self.view.written {
                return Ok(Some(entry));
            }
        }
    }
}

impl Store {
    /// Searches the index, newest files first; every hit is checked against the message itself.
    /// Reads the disk. Nothing is found in a store without an index.
    pub fn find_by_key(&self, query: &KeyQuery<'_>, now: Millis) -> Result<Found, ReadError> {
        let Some(index) = &self.index else { return Ok(Found::default()) };
        // What was sent before this is to be found, if indexing does not lag far behind.
        for _ in 0..CATCH_UP_ROUNDS {
            // If it cannot go on now, what is indexed is found all the same.
            if self.index_round(now).unwrap_or(0) == 0 {
                break;
            }
        }
        let mut found = BTreeMap::new();
        let mut bytes = 0;
        let (begin, end) = (query.begin.0.max(0) as u64, query.end.0.max(0) as u64);
        let hash = key_hash(query.topic, query.kind, query.key);
        let mut failed = None;
        index.search(hash, begin, end, &mut |offset| {
            if found.len() >= query.count {
                return Ok(false);
            }
            match self.matching(query, offset) {
                Ok(Some(message)) => {
                    if !found.is_empty() && bytes + message.len() > BYTES_MAX {
                        return Ok(false);
                    }
                    bytes += message.len();
                    found.insert(offset, message);
                }
                Ok(None) => {}
                Err(cause) => {
                    failed = Some(cause);
                    return Ok(false);
                }
            }
            Ok(found.len() < query.count)
        })?;
        if let Some(cause) = failed {
            return Err(cause);
        }
        if found.is_empty() {
            return Ok(Found::default());
        }
        let (last_time, last_offset) = index.last();
        Ok(Found { messages: found.into_values().collect(), last_time, last_offset })
    }

    /// The message at `offset`, if it is one that is looked for.
    fn matching(&self, query: &KeyQuery<'_>, offset: u64) -> Result<Option<Bytes>, ReadError> {
        let Some(bytes) = self.record_at(PhysicalOffset(offset), None)? else { return Ok(None) };
        let Ok(record) = Record::parse_with(&bytes, true) else { return Ok(None) };
        let properties = record.properties();
        let has_key = match query.kind {
            KeyKind::Key => {
                properties.get(UNIQ_KEY) == Some(query.key)
                    || properties.keys().any(|key| key == query.key)
            }
            KeyKind::Tag => properties.get(TAGS) == Some(query.key),
        };
        let time = record.store_timestamp();
        let is_one = record.topic() == query.topic
            && has_key
            // Java compares the second the entry knows; clients send whole hours or no bounds.
            && (query.begin..=query.end).contains(&time);
        Ok(is_one.then_some(bytes))
    }
}
