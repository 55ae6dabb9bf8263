//! Which index files count at a start, and where indexing goes on.

use super::layout::{HEADER_LEN, Header, Layout, name_of};
use super::{File, path_of};
use crate::checkpoint::{Checkpoint, IndexMark};
use crate::disk::{Disk, DiskResult};
use crate::recovery::LastRun;
use std::path::Path;

pub(super) struct Loaded {
    /// From the oldest to the newest.
    pub files: Vec<File>,
    /// Everything before is indexed.
    pub position: u64,
    /// The record at `position` is indexed as well.
    pub skips_first: bool,
    /// Names up to this are in use.
    pub last_name: u64,
}

/// Looks at the files, and deletes those that cannot be trusted: their messages are indexed again.
///
/// After a clean end all are right. After any other a file is right if it was full and durable
/// before the checkpoint (Java's rule), or if its header is the one that the checkpoint notes:
/// headers are written only when what they count is durable.
pub(super) fn load(
    disk: &dyn Disk,
    dir: &Path,
    layout: Layout,
    checkpoint: &Checkpoint,
    last_run: LastRun,
    log: std::ops::Range<u64>,
) -> DiskResult<Loaded> {
    let mark = checkpoint.own.map(|own| own.index).unwrap_or_default();
    let mut files = Vec::new();
    let mut last_name = 0;
    for listed in disk.list(dir)?.into_iter().filter(|listed| !listed.is_dir) {
        let Some(name) = name_of(&listed.name) else { continue };
        last_name = last_name.max(name);
        if listed.len == 0 {
            // Its making was cut short.
            disk.remove(&path_of(dir, name))?;
            continue;
        }
        if listed.len != layout.file_size() {
            tracing::warn!(file = %listed.name, bytes = listed.len, expected = layout.file_size(),
                "index file does not fit maxHashSlotNum and maxIndexNum, it is not used");
            continue;
        }
        let mut bytes = [0; HEADER_LEN];
        disk.open(&path_of(dir, name))?.read_at(&mut bytes, 0)?;
        let header = Header::decode(&bytes);
        files.push(File { name, header, saved: header, needs_slots: false });
    }
    files.sort_by_key(|file| file.name);

    // Where the oldest deleted file began.
    let mut again = 0;
    while let Some(last) = files.last_mut() {
        let header = &last.header;
        let is_full = header.count >= layout.entries;
        let is_noted = header.fingerprint() == mark.header;
        let was_durable = is_full && header.last_time <= checkpoint.index_timestamp;
        let trusted = match last_run {
            LastRun::Closed => true,
            LastRun::Killed => was_durable || is_noted,
            LastRun::DiskFailed => was_durable,
        };
        if trusted
            && !header.is_empty()
            && header.count <= layout.entries
            && header.last_offset < log.end
        {
            // Its newest entries may be of after the checkpoint.
            last.needs_slots = last_run != LastRun::Closed && !was_durable;
            break;
        }
        // A header never written says nothing.
        again = if header.is_empty() { 0 } else { header.first_offset };
        disk.remove(&path_of(dir, last.name))?;
        files.pop();
    }
    let (position, skips_first) = match files.last() {
        Some(last) if last.header.fingerprint() == mark.header => (mark.position, false),
        // Of a killed Java, the last message's other keys may have been in a file that is gone.
        Some(last) => (last.header.last_offset, last_run == LastRun::Closed),
        None if mark.header == IndexMark::NO_FILE => (mark.position, false),
        // Where somebody deleted all files, the whole log is indexed anew.
        None => (again, false),
    };
    let is_in_log = log.contains(&position) || position == log.end;
    let skips_first = skips_first && is_in_log;
    let position = if is_in_log { position } else { log.start };
    Ok(Loaded { files, position, skips_first, last_name })
}
