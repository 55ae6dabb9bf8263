//! Appends by many threads, each waiting for its own.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use super::floor::record_len;
use super::report::Rate;
use super::rig::{Folder, QUEUES, Rig, body, now, record, wait};
use super::{BenchError, Pace};

pub fn rate(
    dir: &Path,
    size: usize,
    writers: usize,
    sync: bool,
    pace: Pace,
) -> Result<Rate, BenchError> {
    let folder = Folder::new(dir)?;
    let rig = Rig::open(&folder)?;
    let body = body(size);
    let most = pace.bytes / record_len(size);
    let count = AtomicU64::new(0);
    // The first file is made before the clock runs, as that of the bare loop.
    rig.store.append(&record(0, &body), now())?;
    let started = Instant::now();
    thread::scope(|scope| -> Result<(), BenchError> {
        let work = |nth: usize| {
            let (store, body, count) = (&rig.store, &body, &count);
            move || -> Result<(), BenchError> {
                let queue = nth as u32 % QUEUES;
                while started.elapsed() < pace.duration && count.load(Ordering::Relaxed) < most {
                    let receipt = store.append_only(&record(queue, body), now())?;
                    if sync {
                        wait(store.flushed(receipt.end))?;
                    }
                    store.dispatch_here();
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            }
        };
        let running: Vec<_> = (0..writers).map(|nth| scope.spawn(work(nth))).collect();
        for thread in running {
            thread.join().expect("a panic has been printed")?;
        }
        Ok(())
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let count = count.into_inner();
    rig.close()?;
    Ok(Rate { size, writers, sync, count, bytes: count * record_len(size), seconds })
}
