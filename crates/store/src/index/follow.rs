//! From the log to the index: which keys a message has.

use skua_protocol::Millis;
use skua_protocol::properties::{TAGS, UNIQ_KEY};
use skua_protocol::record::{
    self, FLAG_TRANSACTION_MASK, FLAG_TRANSACTION_ROLLBACK, Peek, Record, RecordError,
};

use super::layout::{entry_hash, hash_on};
use super::{Index, State};
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
        let mut buffer = lock(&self.following);
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
        let mut least = 8;
        loop {
            let Some(base) = log.file_of(start) else { return Ok(0) };
            let file_end = base + log.file_size();
            let most = ROUND_BYTES.max(least);
            let walked = log.with_bytes(start, least, most, &mut buffer, |bytes| {
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
        let is_rollback = record.sys_flag() & FLAG_TRANSACTION_MASK == FLAG_TRANSACTION_ROLLBACK;
        if is_rollback || state.skips_first {
            return Ok(());
        }
        let time = u64::try_from(record.store_timestamp().0).unwrap_or(0);
        for hash in key_hashes(record).skip(state.keys_done) {
            self.put(state, hash, state.position, time, now)?;
            state.keys_done += 1;
        }
        Ok(())
    }
}

/// The hashes of all keys of a record: unique id, keys, tag, in this order (Java:
/// `IndexService.buildIndex`).
pub(crate) fn key_hashes<'a>(record: &Record<'a>) -> impl Iterator<Item = u32> + use<'a> {
    let properties = record.properties();
    let topic = hash_on(hash_on(0, record.topic()), "#");
    let unique = properties.get(UNIQ_KEY).into_iter();
    let keys = unique.chain(properties.keys()).map(move |key| hash_on(topic, key));
    let tag = properties.get(TAGS).map(|tag| hash_on(hash_on(topic, "T#"), tag));
    keys.chain(tag).map(entry_hash)
}
