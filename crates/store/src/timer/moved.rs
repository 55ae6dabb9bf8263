//! The timer's files for a log whose records are at other physical offsets: units keep their
//! places, so the wheel and the checkpoint stay as they are.

use std::path::Path;

use super::layout::{Place, UNIT_LEN};
use crate::commit_log::base_of;
use crate::disk::{Allocation, Disk, DiskResult};

const CHUNK: usize = 4096 * UNIT_LEN;
/// Leads to no record.
const NOWHERE: u64 = i64::MAX as u64;

/// Copies timer log and wheel from the store at `from` to that at `to`. `new_of` tells where the
/// record of an offset is now; a unit whose record is not there leads nowhere. Returns how many units
/// were copied.
pub fn copy_timer(
    disk: &dyn Disk,
    from: &Path,
    to: &Path,
    new_of: &mut dyn FnMut(u64) -> DiskResult<Option<u64>>,
) -> DiskResult<u64> {
    let mut units = 0;
    let (source, target) = (from.join("timerlog"), to.join("timerlog"));
    let mut log: Vec<_> = disk.list(&source)?.into_iter().filter(|entry| !entry.is_dir).collect();
    log.retain(|entry| base_of(&entry.name).is_some());
    for entry in &log {
        let base = base_of(&entry.name).unwrap_or_default();
        let mut ended = false;
        copy(disk, &source.join(&entry.name), &target.join(&entry.name), &mut |at, bytes| {
            let (chunks, _) = bytes.as_chunks_mut::<UNIT_LEN>();
            for (nth, chunk) in chunks.iter_mut().enumerate() {
                let position = base.saturating_add(at + (nth * UNIT_LEN) as u64);
                if ended {
                    break;
                }
                let Place::Unit(mut unit) = Place::decode(chunk, position) else {
                    ended = true;
                    break;
                };
                unit.physical_offset = new_of(unit.physical_offset)?.unwrap_or(NOWHERE);
                *chunk = unit.encode();
                units += 1;
            }
            Ok(())
        })?;
    }
    let wheels = disk.list(from)?.into_iter().filter(|entry| !entry.is_dir);
    for entry in wheels.filter(|entry| entry.name.starts_with("timerwheel")) {
        copy(disk, &from.join(&entry.name), &to.join(&entry.name), &mut |_, _| Ok(()))?;
    }
    if !log.is_empty() {
        disk.sync_dir(&target)?;
    }
    disk.sync_dir(to)?;
    Ok(units)
}

/// Copies a file, leaving out what is zero; `change` sees each piece before.
fn copy(
    disk: &dyn Disk,
    from: &Path,
    to: &Path,
    change: &mut dyn FnMut(u64, &mut [u8]) -> DiskResult<()>,
) -> DiskResult<()> {
    let source = disk.open_read(from)?;
    disk.remove(to)?;
    let target = disk.create(to, source.len(), Allocation::Sparse)?;
    let mut at = 0;
    let mut bytes = Vec::new();
    while at < source.len() {
        bytes.resize((source.len() - at).min(CHUNK as u64) as usize, 0);
        source.read_at(&mut bytes, at)?;
        change(at, &mut bytes)?;
        if bytes.iter().any(|byte| *byte != 0) {
            target.write_at(&bytes, at)?;
        }
        at += bytes.len() as u64;
    }
    target.sync()
}
