//! Where records went that were taken out of DLedger's entries.

use super::HEAD_LEN;

/// From an entry's index and its record's old offset to the new one, in a few numbers a file: from
/// one entry to the next the distance shrinks by the head's length.
#[derive(Clone, Debug, Default)]
pub struct Positions {
    runs: Vec<Run>,
    end: u64,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    index: u64,
    old: u64,
    new: u64,
}

impl Run {
    fn new_of(&self, index: u64, old: u64) -> Option<u64> {
        let heads = index.checked_sub(self.index)?.checked_mul(HEAD_LEN as u64)?;
        self.new.checked_add(old.checked_sub(self.old)?)?.checked_sub(heads)
    }
}

impl Positions {
    /// The record of entry `index` went from `old` to `new`; indexes rise.
    pub fn add(&mut self, index: u64, old: u64, new: u64) {
        if self.runs.last().is_none_or(|run| run.new_of(index, old) != Some(new)) {
            self.runs.push(Run { index, old, new });
        }
        self.end = index + 1;
    }

    /// Where the record of entry `index`, which was at `old`, is now.
    pub fn new_of(&self, index: u64, old: u64) -> Option<u64> {
        if index >= self.end {
            return None;
        }
        let after = self.runs.partition_point(|run| run.index <= index);
        self.runs.get(after.checked_sub(1)?)?.new_of(index, old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_found_again_over_ends_of_files() {
        let mut positions = Positions::default();
        let (mut old, mut new) = (48, 0);
        let mut all = Vec::new();
        for index in 5..500_u64 {
            let size = 90 + index * 7 % 40;
            // Either file ends somewhere.
            if index % 50 == 0 {
                old += 33;
            }
            if index % 70 == 0 {
                new += 21;
            }
            positions.add(index, old, new);
            all.push((index, old, new));
            (old, new) = (old + size + 48, new + size);
        }
        for (index, old, new) in all {
            assert_eq!(positions.new_of(index, old), Some(new));
        }
        assert!(positions.runs.len() < 20);
        assert_eq!(positions.new_of(4, 0), None);
        assert_eq!(positions.new_of(500, old), None);
    }
}
