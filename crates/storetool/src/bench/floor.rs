//! Bare loops: what the disk and the system calls alone allow.

use std::path::Path;
use std::time::Instant;

use skua_store::disk::Allocation;
use skua_store::{Disk, RealDisk};

use super::report::Rate;
use super::rig::{Folder, body, record};
use super::{BenchError, Pace};

/// Bytes of a stored message with a body of `size`.
pub fn record_len(size: usize) -> u64 {
    record(0, &body(size)).encoded_len() as u64
}

/// Writes records one behind the other into a reserved file.
pub fn write(dir: &Path, size: usize, pace: Pace) -> Result<Rate, BenchError> {
    run(dir, size, 1, false, pace)
}

/// Writes as many records as there are writers, then `fdatasync`, over and over: nothing that
/// answers each writer after its record is durable can be faster with so few waiting.
pub fn group_commit(
    dir: &Path,
    size: usize,
    writers: usize,
    pace: Pace,
) -> Result<Rate, BenchError> {
    run(dir, size, writers, true, pace)
}

fn run(
    dir: &Path,
    size: usize,
    writers: usize,
    sync: bool,
    pace: Pace,
) -> Result<Rate, BenchError> {
    let folder = Folder::new(dir)?;
    let len = record_len(size);
    let file_len = pace.bytes.max(len * writers as u64);
    let file = RealDisk.create(&folder.path().join("bare"), file_len, Allocation::Reserved)?;
    file.sync()?;
    let bytes = body(len as usize);
    let (mut at, mut count) = (0, 0);
    let started = Instant::now();
    while started.elapsed() < pace.duration && at + len * writers as u64 <= file_len {
        for _ in 0..writers {
            file.write_at(&bytes, at)?;
            at += len;
            count += 1;
        }
        if sync {
            file.sync()?;
        }
    }
    Ok(Rate { size, writers, sync, count, bytes: at, seconds: started.elapsed().as_secs_f64() })
}
