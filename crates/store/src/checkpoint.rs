//! What is known to be durable, in a file of one page.
//!
//! ```text
//! | 8 time of the last durable record | 8 time of the last with durable entries |
//! | 8 time of the last indexed | 8 master's flushed offset | 8 confirm offset | zeros |
//! at 128: | 4 "SKUA" | 4 version | 8 first two fields again | 8 | 8 dispatched | 8 flushed |
//!         | 8 indexed | 8 header of the newest index file | 4 CRC |
//! ```
//! Big-endian (Java: `StoreCheckpoint`). Java reads and writes the first 40 bytes only; our part
//! counts only while Java has not changed the first two fields since.

use std::path::{Path, PathBuf};

use crate::disk::{Allocation, Disk, DiskResult};

const LEN: usize = 4096;
const OWN_AT: usize = 128;
const OWN_MAGIC: [u8; 4] = *b"SKUA";
const OWN_VERSION: u32 = 2;
const OWN_LEN: usize = 4 + 4 + 6 * 8 + 4;

/// See the module's words. Times are milliseconds since the epoch, 0 for never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub physic_timestamp: u64,
    pub logics_timestamp: u64,
    pub index_timestamp: u64,
    pub master_flushed_offset: u64,
    pub confirm_offset: u64,
    pub own: Option<Marks>,
}

/// Offsets of the log below which things are durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// All queue entries of records before.
    pub dispatched: u64,
    /// The log.
    pub flushed: u64,
    pub index: IndexMark,
}

/// What is known of the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IndexMark {
    /// Entries of all records before are durable.
    pub position: u64,
    /// Tells the newest file's header from others.
    pub header: u64,
}

impl IndexMark {
    /// In place of a header.
    pub(crate) const NO_FILE: u64 = 0;
}

impl Checkpoint {
    /// What Java takes off a time, against clocks.
    pub(crate) const MARGIN_MS: u64 = 3000;

    /// Java starts reading the log at the newest file that begins before this time, which follows
    /// the older of the two (Java: `StoreCheckpoint.getMinTimestamp`).
    pub(crate) fn min_timestamp(&self) -> u64 {
        self.physic_timestamp.min(self.logics_timestamp).saturating_sub(Self::MARGIN_MS)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; LEN];
        let fields = [
            self.physic_timestamp,
            self.logics_timestamp,
            self.index_timestamp,
            self.master_flushed_offset,
            self.confirm_offset,
        ];
        put(&mut bytes, &fields);
        if let Some(own) = self.own {
            let part = &mut bytes[OWN_AT..OWN_AT + OWN_LEN];
            part[..4].copy_from_slice(&OWN_MAGIC);
            part[4..8].copy_from_slice(&OWN_VERSION.to_be_bytes());
            let fields = [
                self.physic_timestamp,
                self.logics_timestamp,
                own.dispatched,
                own.flushed,
                own.index.position,
                own.index.header,
            ];
            put(&mut part[8..], &fields);
            let crc = crc32fast::hash(&part[..OWN_LEN - 4]);
            part[OWN_LEN - 4..].copy_from_slice(&crc.to_be_bytes());
        }
        bytes
    }

    /// Where marks of ours begin that do not have their checksum; for those who look for damage.
    pub(crate) fn broken_marks(bytes: &[u8]) -> Option<u64> {
        let part = bytes.get(OWN_AT..OWN_AT + OWN_LEN)?;
        let (content, crc) = part.split_at(OWN_LEN - 4);
        let is_ours = content[..4] == OWN_MAGIC;
        (is_ours && crc != crc32fast::hash(content).to_be_bytes()).then_some(OWN_AT as u64)
    }

    /// Never fails: what cannot be read counts as never.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let [
            physic_timestamp,
            logics_timestamp,
            index_timestamp,
            master_flushed_offset,
            confirm_offset,
        ] = get(bytes);
        let checkpoint = Self {
            physic_timestamp,
            logics_timestamp,
            index_timestamp,
            master_flushed_offset,
            confirm_offset,
            own: None,
        };
        Self { own: decode_own(bytes, &checkpoint), ..checkpoint }
    }
}

fn decode_own(bytes: &[u8], checkpoint: &Checkpoint) -> Option<Marks> {
    let part = bytes.get(OWN_AT..OWN_AT + OWN_LEN)?;
    let (content, crc) = part.split_at(OWN_LEN - 4);
    if content[..4] != OWN_MAGIC
        || content[4..8] != OWN_VERSION.to_be_bytes()
        || crc != crc32fast::hash(content).to_be_bytes()
    {
        return None;
    }
    let [physic_timestamp, logics_timestamp, dispatched, flushed, position, header] =
        get(&content[8..]);
    let unchanged = physic_timestamp == checkpoint.physic_timestamp
        && logics_timestamp == checkpoint.logics_timestamp;
    let index = IndexMark { position, header };
    unchanged.then_some(Marks { dispatched, flushed, index })
}

fn put(into: &mut [u8], fields: &[u64]) {
    for (place, field) in into.chunks_exact_mut(8).zip(fields) {
        place.copy_from_slice(&field.to_be_bytes());
    }
}

fn get<const N: usize>(from: &[u8]) -> [u64; N] {
    let (chunks, _) = from.as_chunks::<8>();
    std::array::from_fn(|nth| chunks.get(nth).map_or(0, |chunk| u64::from_be_bytes(*chunk)))
}

/// The file of it.
#[derive(Debug)]
pub(crate) struct CheckpointFile {
    path: PathBuf,
}

impl CheckpointFile {
    pub(crate) fn new(root: &Path) -> Self {
        Self { path: root.join("checkpoint") }
    }

    pub(crate) fn read(&self, disk: &dyn Disk) -> DiskResult<Checkpoint> {
        Ok(Checkpoint::decode(&disk.read_whole(&self.path)?.unwrap_or_default()))
    }

    /// Makes durable what was read, if there is a file.
    pub(crate) fn save_again(&self, disk: &dyn Disk, checkpoint: &Checkpoint) -> DiskResult<()> {
        match disk.open(&self.path) {
            Ok(_) => self.write(disk, checkpoint),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// In place: everything lies in the first sector, which is written whole or not at all.
    pub(crate) fn write(&self, disk: &dyn Disk, checkpoint: &Checkpoint) -> DiskResult<()> {
        let file = match disk.open(&self.path) {
            Ok(file) => file,
            Err(error) if error.is_not_found() => {
                let file = disk.create(&self.path, LEN as u64, Allocation::Reserved)?;
                if let Some(dir) = self.path.parent() {
                    disk.sync_dir(dir)?;
                }
                file
            }
            Err(error) => return Err(error),
        };
        file.write_at(&checkpoint.encode(), 0)?;
        file.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECKPOINT: Checkpoint = Checkpoint {
        physic_timestamp: 10_000,
        logics_timestamp: 9000,
        index_timestamp: 3,
        master_flushed_offset: 4,
        confirm_offset: 5,
        own: Some(Marks { dispatched: 6, flushed: 7, index: IndexMark { position: 8, header: 9 } }),
    };

    #[test]
    fn what_is_written_is_read() {
        let bytes = CHECKPOINT.encode();
        assert_eq!(bytes.len(), 4096);
        assert_eq!(Checkpoint::decode(&bytes), CHECKPOINT);
        assert_eq!(CHECKPOINT.min_timestamp(), 6000);
    }

    #[test]
    fn our_marks_do_not_count_when_java_has_written_since() {
        let mut bytes = CHECKPOINT.encode();
        bytes[7] += 1;
        let read = Checkpoint::decode(&bytes);
        assert_eq!((read.physic_timestamp, read.own), (10_001, None));
    }

    #[test]
    fn marks_with_a_flipped_bit_do_not_count() {
        for byte in OWN_AT..OWN_AT + OWN_LEN {
            let mut bytes = CHECKPOINT.encode();
            bytes[byte] ^= 4;
            assert_eq!(Checkpoint::decode(&bytes).own, None);
        }
    }

    #[test]
    fn short_or_empty_files_count_as_never() {
        assert_eq!(Checkpoint::decode(&[]), Checkpoint::default());
        assert_eq!(Checkpoint::decode(&CHECKPOINT.encode()[..17]).logics_timestamp, 9000);
    }
}
