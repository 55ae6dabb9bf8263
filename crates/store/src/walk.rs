//! Going through the log record by record.

use skua_protocol::PhysicalOffset;
use skua_protocol::record::{self, Peek, Record, RecordError};

use crate::Store;
use crate::disk::DiskResult;
use crate::error::ReadError;

/// Bytes of log read at a time.
const ROUND_BYTES: usize = 1 << 20;

impl Store {
    /// Shows every record from the one at `from` to the log's end. Reads all of it: for the start,
    /// not for requests. Damage ends the file it is in.
    pub fn walk(
        &self,
        from: PhysicalOffset,
        each: &mut dyn FnMut(&Record<'_>),
    ) -> Result<(), ReadError> {
        let mut buffer = Vec::new();
        let end = self.dispatchable();
        let (mut at, mut least) = (from.0, 8);
        while at < end {
            let Some(base) = self.log.file_of(at) else { return Ok(()) };
            let file_end = base + self.log.file_size();
            let most = ROUND_BYTES.max(least);
            let (walked, wanted) = self.log.with_bytes(at, least, most, &mut buffer, |bytes| {
                let mut walked = 0;
                loop {
                    let rest = &bytes[walked..];
                    match record::next(rest) {
                        Ok(Peek::Message { size }) => {
                            if let Ok(record) = Record::parse(&rest[..size]) {
                                each(&record);
                            }
                            walked += size;
                        }
                        Ok(Peek::Empty) if rest.len() < 8 => return (walked, Some(8)),
                        Err(RecordError::Truncated { size, .. })
                            if rest[4..8] != record::MAGIC_END_OF_FILE.to_be_bytes() =>
                        {
                            return (walked, Some(size));
                        }
                        Ok(Peek::EndOfFile { .. } | Peek::Empty) | Err(_) => return (walked, None),
                    }
                }
            })?;
            at += walked as u64;
            match wanted {
                Some(wanted) if at + wanted as u64 <= file_end.min(end) => least = wanted,
                // The filler, damage, or the last few bytes of a file.
                _ => (at, least) = (file_end, 8),
            }
        }
        Ok(())
    }

    /// Makes everything stored so far durable.
    pub fn flush(&self) -> DiskResult<()> {
        self.flush_all()
    }
}
