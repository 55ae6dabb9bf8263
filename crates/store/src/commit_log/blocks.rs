//! Stretches of the log that were read lately, for consumers that catch up: the messages of a queue
//! lie scattered among those of others, and a call to the system for each of them would be most of
//! what a pull costs. Several queues of the same stretch share it.
//!
//! Where a queue's messages lie far apart, a block is worth its reading once several readers have
//! been to it: those of many queues that go along the log side by side.
//!
//! Only what lies before the mapped windows at the end is kept: it never changes, but when the log
//! is cut.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::CommitLog;
use crate::disk::{DiskResult, Wait, lock};
use crate::error::ReadError;

/// Bytes of a block; blocks begin at multiples of this in their file.
const BLOCK_LEN: u64 = 64 * 1024;
/// Blocks kept at most, 16 MiB: 256 queues that are read side by side, 32 messages of 1 KiB at a
/// time, are at 10 MiB of log.
const BLOCKS: usize = 256;
/// A block is read whole at so many reads of single records in it.
const VISITS: u64 = 3;
/// Blocks whose visits are counted, by their number modulo this.
const VISITED: usize = 1024;
/// Longer records are read by themselves.
const SCATTERED_LEN_MAX: usize = BLOCK_LEN as usize / 4;
/// Records of an answer that lie farther apart than this are read one by one: most of a block would
/// be for nothing.
pub(crate) const GAP_MAX: u64 = BLOCK_LEN / 4;
/// The same of records that are only looked at. Those are many, so that blocks are not there any more
/// when the next queue's reader comes, and each is read for one queue.
pub(crate) const LOOK_GAP_MAX: u64 = 4 * 1024;
/// So few are read one by one.
const RUNS_MIN: usize = 4;

/// Whether so many records between these places are worth whole blocks, at most `gap` apart.
pub(crate) fn worth_blocks(first: u64, last: u64, runs: usize, gap: u64) -> bool {
    runs >= RUNS_MIN && last.saturating_sub(first) / runs as u64 <= gap
}

/// A block, and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    start: u64,
    bytes: Arc<Vec<u8>>,
}

#[derive(Debug)]
pub(super) struct Blocks {
    kept: Mutex<Kept>,
    /// Counts cuts of the log: what was read before one is not kept after it.
    cuts: AtomicU64,
    /// A block's number and, in the low byte, its visits; of two blocks with one place the later.
    visited: Box<[AtomicU64]>,
}

impl Default for Blocks {
    fn default() -> Self {
        let visited = std::iter::repeat_with(AtomicU64::default).take(VISITED).collect();
        Self { kept: Mutex::default(), cuts: AtomicU64::default(), visited }
    }
}

/// Replaced by the clock rule: a block goes when the hand meets it unused since its last round.
#[derive(Debug, Default)]
struct Kept {
    slots: Vec<Slot>,
    /// Where in `slots` the block is that begins there.
    places: HashMap<u64, usize>,
    hand: usize,
    /// Memory of a block that has gone, for the next: it need not be zeroed again.
    spare: Vec<u8>,
}

#[derive(Debug)]
struct Slot {
    block: Block,
    used: bool,
}

impl Blocks {
    /// The log was cut, or begins elsewhere.
    pub(super) fn clear(&self) {
        let mut kept = lock(&self.kept);
        self.cuts.fetch_add(1, Ordering::Relaxed);
        kept.slots.clear();
        kept.places.clear();
    }

    fn get(&self, start: u64) -> Option<Block> {
        let mut kept = lock(&self.kept);
        let at = *kept.places.get(&start)?;
        let slot = kept.slots.get_mut(at)?;
        slot.used = true;
        Some(slot.block.clone())
    }

    /// Memory to read a block into; what is in it does not matter.
    fn memory(&self, len: usize) -> Vec<u8> {
        let mut spare = std::mem::take(&mut lock(&self.kept).spare);
        spare.resize(len, 0);
        spare
    }

    /// Keeps a block whose reading began when there had been `cuts`.
    fn keep(&self, block: Block, cuts: u64) {
        let mut kept = lock(&self.kept);
        if self.cuts.load(Ordering::Relaxed) != cuts {
            return;
        }
        // Two readers may have read it at the same time.
        if kept.places.contains_key(&block.start) {
            return;
        }
        let slot = Slot { block, used: true };
        if kept.slots.len() < BLOCKS {
            let at = kept.slots.len();
            kept.places.insert(slot.block.start, at);
            kept.slots.push(slot);
            return;
        }
        loop {
            let at = kept.hand % BLOCKS;
            kept.hand = at + 1;
            if !std::mem::replace(&mut kept.slots[at].used, false) {
                kept.places.insert(slot.block.start, at);
                let gone = std::mem::replace(&mut kept.slots[at], slot).block;
                kept.places.remove(&gone.start);
                if let Ok(bytes) = Arc::try_unwrap(gone.bytes) {
                    kept.spare = bytes;
                }
                return;
            }
        }
    }

    /// Counts a read of one record in a block; true once there were enough.
    fn visit(&self, start: u64) -> bool {
        let number = start / BLOCK_LEN;
        let place = &self.visited[number as usize % VISITED];
        let before = place.load(Ordering::Relaxed);
        let visits = match before >> 8 == number {
            true => (before & 0xff) + 1,
            false => 1,
        };
        // A count that two readers make one of is a later block, no more.
        place.store(number << 8 | visits.min(VISITS), Ordering::Relaxed);
        visits >= VISITS
    }
}

impl CommitLog {
    /// As [`read_into`](Self::read_into), by whole blocks that are kept for the next reader; `last`
    /// is the block that this reader met last.
    pub(crate) fn read_by_blocks(
        &self,
        from: u64,
        len: usize,
        wait: Wait,
        last: &mut Option<Block>,
        out: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        let to = from + len as u64;
        self.check_range(from, to)?;
        let cold_end = self.cold_end();
        let filled = out.len();
        let mut at = from;
        while at < to {
            let (base, Range { start, end }) =
                self.block_range(at).ok_or_else(|| self.not_there(from, to))?;
            if end > cold_end {
                let rest = (to - at) as usize;
                return self.read_into(at, rest, wait, out).inspect_err(|_| out.truncate(filled));
            }
            if last.as_ref().is_none_or(|block| block.start != start) {
                let block = self.block(base, start, end, wait).map_err(|cause| {
                    out.truncate(filled);
                    // It may have expired since the range was checked.
                    match cause.is_not_found() && base < self.min() {
                        true => self.not_there(from, to),
                        false => cause.into(),
                    }
                })?;
                *last = Some(block);
            }
            let stop = to.min(end);
            if let Some(block) = last {
                let range = (at - start) as usize..(stop - start) as usize;
                out.extend_from_slice(&block.bytes[range]);
            }
            at = stop;
        }
        Ok(())
    }

    /// As [`read_into`](Self::read_into), for one of several records that lie far apart: from its
    /// block if that is kept, or if other readers have come to it, too.
    pub(crate) fn read_scattered(
        &self,
        from: u64,
        len: usize,
        wait: Wait,
        out: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        match self.block_worth_reading(from, len, wait) {
            Some((block, range)) => {
                self.check_range(from, from + len as u64)?;
                out.extend_from_slice(&block.bytes[range]);
                Ok(())
            }
            None => self.read_into(from, len, wait, out),
        }
    }

    fn block_worth_reading(
        &self,
        from: u64,
        len: usize,
        wait: Wait,
    ) -> Option<(Block, Range<usize>)> {
        let (base, Range { start, end }) = self.block_range(from)?;
        let in_block = (from - start) as usize..(from - start) as usize + len;
        if len > SCATTERED_LEN_MAX || from + len as u64 > end || end > self.cold_end() {
            return None;
        }
        if let Some(block) = self.blocks.get(start) {
            return Some((block, in_block));
        }
        if !self.blocks.visit(start) {
            return None;
        }
        // Whatever keeps the block from being read, the record may not be concerned.
        let block = self.read_block(base, start, end, wait).ok()?;
        Some((block, in_block))
    }

    /// The block over `offset`, and where its file begins.
    fn block_range(&self, offset: u64) -> Option<(u64, Range<u64>)> {
        let base = self.file_of(offset)?;
        let start = offset - (offset - base) % BLOCK_LEN;
        Some((base, start..(start + BLOCK_LEN).min(base + self.file_size)))
    }

    /// Where the mapped windows at the end begin.
    fn cold_end(&self) -> u64 {
        match self.hot.load().first() {
            Some(window) => window.range.start,
            None => self.appended(),
        }
    }

    fn block(&self, base: u64, start: u64, end: u64, wait: Wait) -> DiskResult<Block> {
        match self.blocks.get(start) {
            Some(block) => Ok(block),
            None => self.read_block(base, start, end, wait),
        }
    }

    fn read_block(&self, base: u64, start: u64, end: u64, wait: Wait) -> DiskResult<Block> {
        let cuts = self.blocks.cuts.load(Ordering::Relaxed);
        let mut bytes = self.blocks.memory((end - start) as usize);
        self.file(base)?.read(&mut bytes, start - base, wait)?;
        let block = Block { start, bytes: Arc::new(bytes) };
        self.blocks.keep(block.clone(), cuts);
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(start: u64) -> Block {
        Block { start, bytes: Arc::new(vec![start as u8]) }
    }

    #[test]
    fn what_was_read_before_a_cut_is_not_kept_after_it() {
        let blocks = Blocks::default();
        let cuts = blocks.cuts.load(Ordering::Relaxed);
        blocks.keep(block(0), cuts);
        assert!(blocks.get(0).is_some());
        blocks.clear();
        assert!(blocks.get(0).is_none());
        blocks.keep(block(0), cuts);
        assert!(blocks.get(0).is_none());
    }

    #[test]
    fn the_least_used_go_first_and_no_more_than_the_bound_are_kept() {
        let blocks = Blocks::default();
        for start in 0..BLOCKS as u64 {
            blocks.keep(block(start), 0);
        }
        // The first round of the hand takes all marks away.
        blocks.keep(block(1000), 0);
        assert!(blocks.get(0).is_none());
        assert!(blocks.get(1).is_some());
        blocks.keep(block(1001), 0);
        assert!(blocks.get(1).is_some(), "used since");
        assert!(blocks.get(2).is_none());
        assert_eq!(lock(&blocks.kept).slots.len(), BLOCKS);
    }

    #[test]
    fn a_block_is_worth_reading_once_others_have_been_there() {
        let blocks = Blocks::default();
        let visits = |start| (0..VISITS).map(|_| blocks.visit(start)).collect::<Vec<_>>();
        assert_eq!(visits(BLOCK_LEN), [false, false, true]);
        assert!(blocks.visit(BLOCK_LEN));
        // The same place.
        assert!(!blocks.visit(BLOCK_LEN * (1 + VISITED as u64)));
        assert!(!blocks.visit(BLOCK_LEN), "counted anew");
    }

    #[test]
    fn a_block_that_two_have_read_is_kept_once() {
        let blocks = Blocks::default();
        blocks.keep(block(7), 0);
        blocks.keep(block(7), 0);
        assert_eq!(lock(&blocks.kept).slots.len(), 1);
    }

    #[test]
    fn sparse_records_are_not_worth_blocks() {
        assert!(worth_blocks(0, 32 * 9_600, 32, GAP_MAX));
        assert!(!worth_blocks(0, 32 * 100_000, 32, GAP_MAX));
        assert!(!worth_blocks(0, 2000, 2, GAP_MAX));
    }
}
