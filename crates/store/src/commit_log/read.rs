//! Reading any stretch: from the windows at the end if it lies there, else from the file.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use skua_protocol::PhysicalOffset;
use skua_protocol::record::{self, Record};

use super::CommitLog;
use super::window::HotWindow;
use crate::disk::{Wait, WindowSlice};
use crate::dispatch::RECORD_LEN_MAX;
use crate::error::ReadError;

/// Read ahead of a consumer whose messages are on the disk only: it asks for what follows next.
const READ_AHEAD_LEN: u64 = 2 << 20;

impl CommitLog {
    /// What lies there and after it will be read soon.
    pub(crate) fn will_need(&self, from: u64) {
        if !self.read_ahead.load(Ordering::Relaxed) {
            return;
        }
        let Some(base) = self.file_of(from) else { return };
        let to = (from + READ_AHEAD_LEN).min(base + self.file_size);
        if let Ok(file) = self.file(base) {
            file.will_need(from - base..to - base);
        }
    }

    /// `from..from + len` without a copy, if it lies in one window.
    pub(crate) fn hot_bytes(&self, from: u64, len: usize) -> Option<Bytes> {
        let hot = self.hot.load();
        let window = holding(&hot, from)?;
        let start = (from - window.range.start) as usize;
        Some(Bytes::from_owner(WindowSlice::new(&window.reader, start..start + len)?))
    }

    /// The record at `offset` without a copy, if it lies in one window.
    pub(crate) fn hot_record(&self, offset: u64) -> Option<Bytes> {
        if offset.saturating_add(8) > self.appended() {
            return None;
        }
        let head = self.hot_bytes(offset, 8)?;
        let size = i32::from_be_bytes(head[..4].try_into().ok()?);
        let size = usize::try_from(size).ok().filter(|size| *size <= RECORD_LEN_MAX)?;
        if offset + size as u64 > self.appended() {
            return None;
        }
        let bytes = self.hot_bytes(offset, size)?;
        let record = Record::parse(&bytes).ok()?;
        let is_it = record.physical_offset() == offset as i64 && record.size() == size;
        is_it.then_some(bytes)
    }

    /// Appends the bytes `from..from + len` to `out`.
    pub(crate) fn read_into(
        &self,
        from: u64,
        len: usize,
        wait: Wait,
        out: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        let to = from + len as u64;
        self.check_range(from, to)?;
        out.reserve(len);
        let hot = self.hot.load();
        let mut at = from;
        while at < to {
            if let Some(window) = holding(&hot, at) {
                let end = to.min(window.range.end);
                let in_window =
                    (at - window.range.start) as usize..(end - window.range.start) as usize;
                if let Some(bytes) = window.reader.bytes(in_window) {
                    out.extend_from_slice(bytes);
                    at = end;
                    continue;
                }
            }
            let base = self.file_of(at).ok_or_else(|| self.not_there(from, to))?;
            let mut end = to.min(base + self.file_size);
            if let Some(window) = hot.iter().find(|window| window.range.start > at) {
                end = end.min(window.range.start);
            }
            let filled = out.len();
            out.resize(filled + (end - at) as usize, 0);
            if let Err(cause) =
                self.file(base).and_then(|f| f.read(&mut out[filled..], at - base, wait))
            {
                out.truncate(filled);
                // It may have expired since the range was checked.
                return Err(if cause.is_not_found() && base < self.min() {
                    self.not_there(from, to)
                } else {
                    cause.into()
                });
            }
            at = end;
        }
        Ok(())
    }

    /// Hands `with` the bytes from `from` on, as far as they lie together: at least `least`, at
    /// most about `most`, none beyond the appended mark or the end of the file.
    pub(crate) fn with_bytes<T>(
        &self,
        from: u64,
        least: usize,
        most: usize,
        buffer: &mut Vec<u8>,
        with: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, ReadError> {
        let base = self.file_of(from).ok_or_else(|| self.not_there(from, from))?;
        let to = self.appended().min(base + self.file_size);
        self.check_range(from, to.max(from))?;
        let together = (to - from).min(most as u64) as usize;
        let hot = self.hot.load();
        if let Some(window) = holding(&hot, from) {
            let start = (from - window.range.start) as usize;
            let end = window.reader.published().min(start + together);
            if end - start >= least.min(together)
                && let Some(bytes) = window.reader.bytes(start..end)
            {
                return Ok(with(bytes));
            }
        }
        buffer.clear();
        self.read_into(from, together, Wait::ForDisk, buffer)?;
        Ok(with(buffer))
    }

    /// The record at `offset`, checked to be one and to be in its place.
    pub(crate) fn record_at(
        &self,
        offset: u64,
        size: Option<usize>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        const HEAD: usize = 8;
        let at = PhysicalOffset(offset);
        buffer.clear();
        let room = self.appended().saturating_sub(offset);
        self.read_into(offset, size.unwrap_or(HEAD), Wait::ForDisk, buffer)?;
        if size.is_none() {
            let announced = i32::from_be_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]);
            let announced = usize::try_from(announced).unwrap_or(0);
            // Nobody announces memory that no record needs, and a filler none at all.
            record::next(buffer).or_else(|cause| match cause {
                record::RecordError::Truncated { .. }
                    if announced <= RECORD_LEN_MAX
                        && buffer[4..8] != record::MAGIC_END_OF_FILE.to_be_bytes() =>
                {
                    Ok(record::Peek::Message { size: announced })
                }
                cause => Err(ReadError::NoRecord { offset: at, cause }),
            })?;
            if announced < HEAD || announced as u64 > room {
                let cause = record::RecordError::Truncated { size: announced, have: room as usize };
                return Err(ReadError::NoRecord { offset: at, cause });
            }
            buffer.clear();
            self.read_into(offset, announced, Wait::ForDisk, buffer)?;
        }
        let record =
            Record::parse(buffer).map_err(|cause| ReadError::NoRecord { offset: at, cause })?;
        if record.physical_offset() != offset as i64 {
            let cause = record::RecordError::BadMagic(0);
            return Err(ReadError::NoRecord { offset: at, cause });
        }
        if record.size() != buffer.len() {
            let (size, found) = (buffer.len(), record.size());
            return Err(ReadError::OtherSize { offset: at, size, found });
        }
        Ok(())
    }

    pub(super) fn check_range(&self, from: u64, to: u64) -> Result<(), ReadError> {
        let max = self.appended();
        if from < self.min() || to > max || from > to {
            Err(self.not_there(from, to))
        } else {
            Ok(())
        }
    }

    pub(super) fn not_there(&self, from: u64, to: u64) -> ReadError {
        ReadError::NotThere { from, to, min: self.min(), max: self.appended() }
    }
}

fn holding(hot: &[HotWindow], offset: u64) -> Option<&HotWindow> {
    let window = hot[..hot.partition_point(|window| window.range.start <= offset)].last()?;
    (offset < window.range.end).then_some(window)
}
