//! The mapped windows at the end of the log: one is written, the next is made ahead, a few before
//! serve readers that keep up.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{CommitLog, Tail};
use crate::disk::{DiskResult, WindowReader, WindowWriter, WriteBy, lock};

/// A window that is, or will be, written.
#[derive(Debug)]
pub(super) struct ActiveWindow {
    pub range: Range<u64>,
    pub writer: WindowWriter,
}

/// The window after the one that is written.
#[derive(Debug)]
pub(super) enum Prepared {
    /// Its pages are being made; the offset is its first.
    Begun(u64),
    Made(ActiveWindow),
}

/// A window to read from.
#[derive(Clone, Debug)]
pub(super) struct HotWindow {
    pub range: Range<u64>,
    pub reader: WindowReader,
}

/// Bytes of zeros by one call: a folio of as many makes few faults, and is no burden to a flush
/// that meets it half written.
const PAGES_AT_ONCE: usize = 128 << 10;

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
        let writer = file.window(in_file, (offset - range.start) as usize, self.write_by)?;
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
            let here =
                |made: &mut Prepared| matches!(made, Prepared::Made(w) if w.range.start == at);
            let window = match prepared.take_if(here) {
                Some(Prepared::Made(window)) => window,
                _ => self.map_window(at)?,
            };
            at = window.range.end;
            self.show(&window);
            drop(prepared);
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
        if !self.make_pages(next)? {
            return Ok(());
        }
        let mut prepared = lock(&self.prepared);
        if !self.is_being_made(&prepared, next) {
            return Ok(());
        }
        *prepared = None;
        let window = self.map_window(next)?;
        let reader = Arc::clone(window.writer.reader());
        *prepared = Some(Prepared::Made(window));
        drop(prepared);
        if self.write_by == WriteBy::Mapping {
            // Without the append lock, too.
            reader.populate();
        }
        Ok(())
    }

    /// Gives the window from `next` on its pages by writing zeros. False if there is no file for it
    /// yet, or somebody was faster.
    ///
    /// A mapping that is touched gets its pages from the kernel's read-ahead, as much at once as
    /// the device is set to (2 MiB and more), which a virtual machine often has to ask its host for
    /// again. Written in this way they cost a fifth (`docs/performance.md`). And blocks that were
    /// written once need no entry of the file system's to be changed when a record is flushed.
    fn make_pages(&self, next: u64) -> DiskResult<bool> {
        let Some((base, range)) = self.window_range(next) else { return Ok(false) };
        {
            let mut prepared = lock(&self.prepared);
            let made =
                matches!(&*prepared, Some(Prepared::Made(window)) if window.range.start == next);
            if made || !self.is_untouched(next) {
                return Ok(false);
            }
            *prepared = Some(Prepared::Begun(next));
        }
        let zeros = vec![0; PAGES_AT_ONCE];
        let mut at = next;
        while at < range.end {
            // Held for each write: whoever appends either sees the window made, or takes it over
            // and ends this.
            let mut prepared = lock(&self.prepared);
            if !self.is_being_made(&prepared, next) {
                return Ok(false);
            }
            let len = (range.end - at).min(PAGES_AT_ONCE as u64);
            let written =
                self.file(base).and_then(|f| f.write_at(&zeros[..len as usize], at - base));
            if let Err(cause) = written {
                *prepared = None;
                return Err(cause);
            }
            at += len;
        }
        Ok(true)
    }

    fn is_being_made(&self, prepared: &Option<Prepared>, next: u64) -> bool {
        matches!(*prepared, Some(Prepared::Begun(begun)) if begun == next)
            && self.is_untouched(next)
    }

    /// No record, and no window that one may be written through, reaches `next` or lies beyond.
    /// Stays so while `prepared` is locked.
    fn is_untouched(&self, next: u64) -> bool {
        self.appended() <= next && self.hot.load().last().is_none_or(|last| last.range.end <= next)
    }
}
