//! Stretches of the log that were read lately, for consumers that catch up: the messages of a queue
//! lie scattered among those of others, and a call to the system for each of them would be most of
//! what a pull costs. Several queues of the same stretch share it.
//!
//! Only what lies before the mapped windows at the end is kept: it never changes, but when the log
//! is cut.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::CommitLog;
use crate::disk::{DiskResult, Wait, lock};
use crate::error::ReadError;

/// Bytes of a block; blocks begin at multiples of this in their file.
const BLOCK_LEN: u64 = 64 * 1024;
/// Blocks kept: 4 MiB.
const BLOCKS: usize = 64;
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

#[derive(Debug, Default)]
pub(super) struct Blocks {
    kept: Mutex<Kept>,
    /// Counts cuts of the log: what was read before one is not kept after it.
    cuts: AtomicU64,
}

/// Replaced by the clock rule: a block goes when the hand meets it unused since its last round.
#[derive(Debug, Default)]
struct Kept {
    slots: Vec<Slot>,
    hand: usize,
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
    }

    fn get(&self, start: u64) -> Option<Block> {
        let mut kept = lock(&self.kept);
        let slot = kept.slots.iter_mut().find(|slot| slot.block.start == start)?;
        slot.used = true;
        Some(slot.block.clone())
    }

    /// Keeps a block whose reading began when there had been `cuts`.
    fn keep(&self, block: Block, cuts: u64) {
        let mut kept = lock(&self.kept);
        if self.cuts.load(Ordering::Relaxed) != cuts {
            return;
        }
        let slot = Slot { block, used: true };
        if kept.slots.len() < BLOCKS {
            kept.slots.push(slot);
            return;
        }
        loop {
            let at = kept.hand % BLOCKS;
            kept.hand = at + 1;
            if !std::mem::replace(&mut kept.slots[at].used, false) {
                kept.slots[at] = slot;
                return;
            }
        }
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
        let cold_end = match self.hot.load().first() {
            Some(window) => window.range.start,
            None => self.appended(),
        };
        let filled = out.len();
        let mut at = from;
        while at < to {
            let base = self.file_of(at).ok_or_else(|| self.not_there(from, to))?;
            let start = at - (at - base) % BLOCK_LEN;
            let end = (start + BLOCK_LEN).min(base + self.file_size);
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

    fn block(&self, base: u64, start: u64, end: u64, wait: Wait) -> DiskResult<Block> {
        if let Some(block) = self.blocks.get(start) {
            return Ok(block);
        }
        let cuts = self.blocks.cuts.load(Ordering::Relaxed);
        let mut bytes = vec![0; (end - start) as usize];
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
    fn sparse_records_are_not_worth_blocks() {
        assert!(worth_blocks(0, 32 * 9_600, 32, GAP_MAX));
        assert!(!worth_blocks(0, 32 * 100_000, 32, GAP_MAX));
        assert!(!worth_blocks(0, 2000, 2, GAP_MAX));
    }
}
