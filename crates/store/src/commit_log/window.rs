//! The mapped windows at the end of the log: one is written, the next is made ahead, a few before
//! serve readers that keep up.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{CommitLog, Tail};
use crate::disk::{DiskResult, WindowReader, WindowWriter, lock};

/// A window that is, or will be, written.
#[derive(Debug)]
pub(super) struct ActiveWindow {
    pub range: Range<u64>,
    pub writer: WindowWriter,
}

/// A window to read from.
#[derive(Clone, Debug)]
pub(super) struct HotWindow {
    pub range: Range<u64>,
    pub reader: WindowReader,
}

impl CommitLog {
    /// The stretch of file that is mapped for `offset`.
    fn window_range(&self, offset: u64) -> Option<(u64, Range<u64>)> {
        let base = self.file_of(offset)?;
        let start = (offset - base) / self.window_size * self.window_size;
        let end = (start + self.window_size).min(self.file_size);
        Some((base, base + start..base + end))
    }

    /// Maps the window over `offset`, whose bytes before `offset` are written.
    fn map_window(&self, offset: u64) -> DiskResult<ActiveWindow> {
        let (base, range) = match self.window_range(offset) {
            Some(found) => found,
            None => {
                self.add_file(offset)?;
                (offset, offset..offset + self.window_size.min(self.file_size))
            }
        };
        let file = self.file(base)?;
        let in_file = range.start - base..range.end - base;
        let writer = file.window(in_file, (offset - range.start) as usize)?;
        Ok(ActiveWindow { range, writer })
    }

    /// Sees to it that the tail has windows over `from..to`, which lies in one file; makes that
    /// file if it begins at `from`.
    pub(super) fn cover(&self, tail: &mut Tail, from: u64, to: u64) -> DiskResult<()> {
        let mut at = from;
        while at < to {
            if let Some(window) = tail.windows.iter().find(|window| window.range.contains(&at)) {
                at = window.range.end;
                continue;
            }
            // Held while mapping: nobody prepares the same window meanwhile.
            let mut prepared = lock(&self.prepared);
            let window = match prepared.take_if(|window| window.range.start == at) {
                Some(window) => window,
                None => self.map_window(at)?,
            };
            drop(prepared);
            at = window.range.end;
            self.show(&window);
            tail.wake_at = window.range.start + (window.range.end - window.range.start) / 2;
            tail.windows.push_back(window);
        }
        Ok(())
    }

    /// Adds a window to those that readers look at.
    fn show(&self, window: &ActiveWindow) {
        let mut hot = Vec::clone(&self.hot.load());
        // Unmapping takes time that the append lock should not: the work on files does it,
        // unless it lags far behind.
        let keep = 2 * self.hot_windows + 2;
        if hot.len() > keep {
            hot.drain(..hot.len() - keep);
        }
        hot.push(HotWindow {
            range: window.range.clone(),
            reader: Arc::clone(window.writer.reader()),
        });
        self.hot.store(Arc::new(hot));
    }

    /// Drops windows that are behind the hot ones.
    pub(crate) fn forget_cold_windows(&self) {
        // Under the append lock against a window shown at the same time; what is dropped is
        // dropped, and unmapped, after it.
        let cold = {
            let _tail = lock(&self.tail);
            let hot = self.hot.load();
            let before = hot.partition_point(|window| window.range.end <= self.appended());
            let cold = before.saturating_sub(self.hot_windows);
            if cold == 0 {
                return;
            }
            self.hot.swap(Arc::new(hot[cold..].to_vec()))
        };
        drop(cold);
    }

    /// Makes the next window, and the next file when the active one is half full, ahead of need.
    pub(crate) fn prepare(&self) -> DiskResult<()> {
        self.window_wanted.store(false, Ordering::SeqCst);
        let end = self.appended();
        let Some((base, active)) = self.window_range(end) else {
            self.add_file(end)?;
            return Ok(());
        };
        if end - base >= self.file_size / 2 {
            self.add_file(base + self.file_size)?;
        }
        if end - active.start < (active.end - active.start) / 2 {
            return Ok(());
        }
        let next = active.end;
        if self.window_range(next).is_none() {
            return Ok(());
        }
        let mut prepared = lock(&self.prepared);
        if prepared.as_ref().is_some_and(|window| window.range.start == next)
            || self.hot.load().iter().any(|window| window.range.start == next)
        {
            return Ok(());
        }
        let window = self.map_window(next)?;
        let reader = Arc::clone(window.writer.reader());
        let unused = prepared.replace(window);
        drop(prepared);
        // Neither takes the append lock: reading pages in, and unmapping what was not used.
        reader.populate();
        drop(unused);
        Ok(())
    }
}
