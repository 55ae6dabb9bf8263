//! A set of offsets that come mostly in unbroken runs.

use std::collections::BTreeMap;

/// Each run's first offset, and the one behind its last.
#[derive(Debug, Default)]
pub struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    pub fn contains(&self, offset: u64) -> bool {
        self.end_of(offset).is_some()
    }

    /// The first offset behind the run that `offset` is in.
    pub fn end_of(&self, offset: u64) -> Option<u64> {
        let (_, &end) = self.0.range(..=offset).next_back()?;
        (offset < end).then_some(end)
    }

    pub fn insert(&mut self, offset: u64) {
        if self.contains(offset) {
            return;
        }
        let end = self.0.remove(&(offset + 1)).unwrap_or(offset + 1);
        match self.0.range_mut(..offset).next_back() {
            Some((_, before)) if *before == offset => *before = end,
            _ => drop(self.0.insert(offset, end)),
        }
    }

    /// First offset of each run, and the one behind its last.
    pub fn runs(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().map(|(&first, &end)| (first, end))
    }

    /// Forgets everything before `least`.
    pub fn remove_below(&mut self, least: u64) {
        let kept = self.0.split_off(&least);
        let cut = self.0.last_key_value().map(|(_, &end)| end).filter(|&end| end > least);
        self.0 = kept;
        if let Some(end) = cut {
            self.0.insert(least, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_is_the_same_set_as_one_without_runs() {
        let (mut ranges, mut model) = (Ranges::default(), BTreeSet::new());
        let mut random = 1u64;
        for step in 0..4000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let offset = (random >> 33) % 200;
            if step % 50 == 0 {
                ranges.remove_below(offset);
                model = model.split_off(&offset);
            } else {
                ranges.insert(offset);
                model.insert(offset);
            }
            for probe in 0..202 {
                assert_eq!(ranges.contains(probe), model.contains(&probe), "{probe} in {ranges:?}");
            }
            if let Some(end) = ranges.end_of(offset) {
                assert!(!model.contains(&end) && (offset..end).all(|o| model.contains(&o)));
            }
        }
    }
}
