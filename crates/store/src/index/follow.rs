//! From the log to the index: which keys a message has.

use skua_protocol::Millis;
use skua_protocol::properties::{KEYS, TAGS, UNIQ_KEY, index_keys};
use skua_protocol::record::{
    self, FLAG_TRANSACTION_MASK, FLAG_TRANSACTION_ROLLBACK, Peek, Record, RecordError,
};

use super::layout::{entry_hash, hash_on};
use super::{Following, Index, Keys, State};
use crate::commit_log::CommitLog;
use crate::disk::{DiskResult, lock};
use crate::error::ReadError;

/// Bytes of log read at a time.
const ROUND_BYTES: usize = 1 << 20;

/// Where a walk over a piece of log stopped.
enum Next {
    /// Go on; that many bytes are needed at once.
    More { least: usize },
    /// The next file of the log.
    File,
}

impl Index {
    /// Indexes the next records before `end`; returns how far it came, 0 if there are none.
    pub(crate) fn round(&self, log: &CommitLog, end: u64, now: Millis) -> Result<u64, ReadError> {
        let mut following = lock(&self.following);
        let Following { buffer, keys } = &mut *following;
        let start = {
            let mut state = lock(&self.state);
            self.make_ready(&mut state)?;
            let min = log.min();
            self.delete_expired(&mut state, min)?;
            if state.position < min {
                (state.position, state.keys_done, state.skips_first) = (min, 0, false);
            }
            state.position
        };
        if start >= end {
            return Ok(0);
        }
        keys.begin(start);
        let mut end = end;
        {
            let mut handed = lock(&self.handed);
            match handed.start() {
                Some(from) if from == start => std::mem::swap(keys, &mut *handed),
                // Indexing was there before.
                Some(from) if from < start => handed.begin(start),
                Some(from) => end = end.min(from),
                None => {}
            }
        }
        if keys.start().is_some() {
            let mut state = lock(&self.state);
            self.take_handed(&mut state, keys, now)?;
            return Ok(state.position - start);
        }
        let mut least = 8;
        loop {
            let Some(base) = log.file_of(start) else { return Ok(0) };
            let file_end = base + log.file_size();
            let most = ROUND_BYTES.max(least);
            let walked = log.with_bytes(start, least, most, buffer, |bytes| {
                let mut state = lock(&self.state);
                self.walk(&mut state, bytes, start, file_end.min(end), now)
            });
            if buffer.capacity() > 2 * ROUND_BYTES {
                *buffer = Vec::new();
            }
            let mut state = lock(&self.state);
            match walked?? {
                Next::More { least: wanted } if state.position == start && wanted > least => {
                    least = wanted;
                    continue;
                }
                Next::More { .. } => {}
                Next::File => {
                    (state.position, state.keys_done, state.skips_first) = (file_end, 0, false);
                }
            }
            return Ok(state.position - start);
        }
    }

    /// Walks the records in `bytes`, which begin at the log's `start` and are followed by others
    /// up to `end`.
    fn walk(
        &self,
        state: &mut State,
        bytes: &[u8],
        start: u64,
        end: u64,
        now: Millis,
    ) -> DiskResult<Next> {
        while state.position + 8 <= end {
            let rest = &bytes[(state.position - start) as usize..];
            if rest.len() < 8 {
                return Ok(Next::More { least: 8 });
            }
            match record::next(rest) {
                Ok(Peek::Message { size }) => {
                    if let Ok(record) = Record::parse(&rest[..size]) {
                        self.take(state, &record, now)?;
                    }
                    state.position += size as u64;
                    (state.keys_done, state.skips_first) = (0, false);
                }
                Err(RecordError::Truncated { size, .. })
                    if rest[4..8] != record::MAGIC_END_OF_FILE.to_be_bytes()
                        && state.position + size as u64 <= end =>
                {
                    return Ok(Next::More { least: size });
                }
                // The filler, or damage in an old file: reads tell of that, the index passes over.
                Ok(Peek::EndOfFile { .. } | Peek::Empty) | Err(_) => return Ok(Next::File),
            }
        }
        // No room for a record; at the end of what is dispatched there are none yet.
        Ok(if state.position < end { Next::File } else { Next::More { least: 8 } })
    }

    /// Notes all keys of the record at the position.
    fn take(&self, state: &mut State, record: &Record<'_>, now: Millis) -> DiskResult<()> {
        if state.skips_first {
            return Ok(());
        }
        let time = u64::try_from(record.store_timestamp().0).unwrap_or(0);
        for hash in hashes_to_index(record).skip(state.keys_done) {
            self.put(state, hash, state.position, time, now)?;
            state.keys_done += 1;
        }
        Ok(())
    }

    /// Notes the keys of the stretch of log that begins at the position. After an error the log
    /// has those that are left.
    fn take_handed(&self, state: &mut State, keys: &Keys, now: Millis) -> DiskResult<()> {
        for record in keys.records() {
            let offset = record[0].offset;
            if offset > state.position {
                (state.position, state.keys_done, state.skips_first) = (offset, 0, false);
            }
            if state.skips_first {
                continue;
            }
            for key in record.iter().skip(state.keys_done) {
                self.put(state, key.hash, offset, key.time, now)?;
                state.keys_done += 1;
            }
        }
        (state.position, state.keys_done, state.skips_first) = (keys.stretch_end(), 0, false);
        Ok(())
    }

    /// Takes over the keys of records that were dispatched.
    pub(crate) fn hand_over(&self, keys: &Keys) {
        lock(&self.handed).add(keys);
    }
}

/// The hashes of the keys that a record is indexed by.
pub(super) fn hashes_to_index<'a>(record: &Record<'a>) -> impl Iterator<Item = u32> + use<'a> {
    let is_rollback = record.sys_flag() & FLAG_TRANSACTION_MASK == FLAG_TRANSACTION_ROLLBACK;
    (!is_rollback).then(|| key_hashes(record)).into_iter().flatten()
}

/// The hashes of all keys of a record: unique id, keys, tag, in this order (Java:
/// `IndexService.buildIndex`).
pub(crate) fn key_hashes<'a>(record: &Record<'a>) -> impl Iterator<Item = u32> + use<'a> {
    let [unique, keys, tag] = record.properties().get_each([UNIQ_KEY, KEYS, TAGS]);
    let topic = hash_on(hash_on(0, record.topic()), "#");
    let keys = unique.into_iter().chain(index_keys(keys.unwrap_or_default()));
    let keys = keys.map(move |key| hash_on(topic, key));
    let tag = tag.map(|tag| hash_on(hash_on(topic, "T#"), tag));
    keys.chain(tag).map(entry_hash)
}
