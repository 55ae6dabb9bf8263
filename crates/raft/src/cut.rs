//! Cutting the commit log into pieces of whole records.

use bytes::Bytes;
use skua_protocol::PhysicalOffset;
use skua_protocol::record::MAGIC_END_OF_FILE;
use skua_store::Store;

use crate::error::GroupError;
use crate::log::Place;
use crate::slot::{ROLL, ROLL_LEN};

/// Records one behind the other, or the end of a file.
#[derive(Debug)]
pub(crate) struct Piece {
    pub place: Place,
    /// What travels of it.
    pub data: Bytes,
}

/// The piece at `from`: as many records before `until` as `most` bytes hold, at least one. `None`
/// if there is nothing.
pub(crate) fn piece(
    store: &Store,
    from: u64,
    until: u64,
    most: usize,
) -> Result<Option<Piece>, GroupError> {
    let file = store.commit_log_file_size();
    let file_end = (from / file + 1) * file;
    let until = until.min(file_end);
    if from + ROLL_LEN as u64 > until {
        return Ok(None);
    }
    let broken = |at: usize, size: i32| {
        let offset = from + at as u64;
        GroupError::Broken(format!("a record of {size} bytes at {offset} of the commit log"))
    };
    let mut wanted = ((until - from) as usize).min(most.max(ROLL_LEN));
    loop {
        let bytes = store.log_bytes(PhysicalOffset(from), wanted)?;
        let (mut at, mut messages) = (0, 0_u16);
        while let Some(head) = bytes.get(at..at + ROLL_LEN) {
            let size = i32::from_be_bytes([head[0], head[1], head[2], head[3]]);
            if head[4..] == MAGIC_END_OF_FILE.to_be_bytes() {
                if at > 0 {
                    break;
                }
                let data = bytes.slice(..ROLL_LEN);
                let (len, crc) = ((file_end - from) as u32, crc32fast::hash(&data));
                let place = Place { at: from, len, flags: ROLL, messages: 0, crc };
                return Ok(Some(Piece { place, data }));
            }
            let len = usize::try_from(size).ok().filter(|len| *len > ROLL_LEN);
            let len = len.ok_or_else(|| broken(at, size))?;
            if at + len > bytes.len() || messages == u16::MAX {
                if at == 0 {
                    if from + len as u64 > until {
                        return Err(broken(at, size));
                    }
                    wanted = len;
                }
                break;
            }
            at += len;
            messages += 1;
        }
        if at == 0 {
            continue;
        }
        let data = bytes.slice(..at);
        let crc = crc32fast::hash(&data);
        let place = Place { at: from, len: at as u32, flags: 0, messages, crc };
        return Ok(Some(Piece { place, data }));
    }
}

/// The bytes of a piece as they stand in the log.
pub(crate) fn whole(len: u32, flags: u8, data: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if flags & ROLL == 0 {
        return data.into();
    }
    let mut bytes = data.to_vec();
    bytes.resize(len as usize, 0);
    bytes.into()
}
