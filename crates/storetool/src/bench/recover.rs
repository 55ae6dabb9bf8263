//! How long a start takes.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use skua_store::{RealDisk, Store, StoreOptions};

use super::floor::record_len;
use super::report::Start;
use super::rig::{Folder, QUEUES, body, now, record};
use super::{BenchError, Pace};

/// Bytes of log a checkpoint may lag behind (`checkpoint_bytes`): the most that a start reads.
const BEHIND: u64 = 512 << 20;

pub fn starts(dir: &Path, pace: Pace) -> Result<Vec<Start>, BenchError> {
    let folder = Folder::new(dir)?;
    let options = || StoreOptions::new(folder.path().join("store"));
    let open = || Store::open(options(), Arc::new(RealDisk), now());
    let body = body(1024);
    let count = BEHIND.min(pace.bytes / 2) / record_len(1024);
    let store = open()?;
    for nth in 0..count {
        store.append_only(&record(nth as u32 % QUEUES, &body), now())?;
        store.dispatch_here();
    }
    // As a crash of the process: no checkpoint was ever written.
    drop(store);
    let mut starts = Vec::new();
    for killed in [true, false] {
        let started = Instant::now();
        let store = open()?;
        let seconds = started.elapsed().as_secs_f64();
        let found = store.recovered();
        starts.push(Start {
            killed,
            records: found.records,
            bytes: found.end - found.from,
            seconds,
        });
        store.close()?;
    }
    Ok(starts)
}
