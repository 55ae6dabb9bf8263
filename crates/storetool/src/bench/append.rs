//! Appends with a number of them in flight at a time, as connections have them: two threads at most,
//! each of which tops up its share whenever some are done.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use super::floor::record_len;
use super::report::Rate;
use super::rig::{Folder, QUEUES, Rig, body, now, record, wait};
use super::{BenchError, Pace};

/// Most threads that append.
const THREADS: usize = 2;

/// `writers`: appends in flight, that is not yet durable with `sync`, at a time.
pub fn rate(
    dir: &Path,
    size: usize,
    writers: usize,
    sync: bool,
    pace: Pace,
) -> Result<Rate, BenchError> {
    let folder = Folder::new(dir)?;
    let rig = Rig::open(&folder, sync)?;
    let body = body(size);
    let most = pace.bytes / record_len(size);
    let count = AtomicU64::new(0);
    // The first file is made before the clock runs.
    rig.store.append(&record(0, &body), now())?;
    let started = Instant::now();
    let threads = writers.clamp(1, THREADS);
    thread::scope(|scope| -> Result<(), BenchError> {
        let work = |nth: usize| {
            let (store, body, count) = (&rig.store, &body, &count);
            let share = (writers + nth) / threads;
            move || -> Result<(), BenchError> {
                let (mut queue, mut in_flight) = (nth as u32, VecDeque::with_capacity(share));
                while started.elapsed() < pace.duration && count.load(Ordering::Relaxed) < most {
                    let free = share - in_flight.len();
                    for _ in 0..free {
                        queue = (queue + 1) % QUEUES;
                        let receipt = store.append_only(&record(queue, body), now())?;
                        if sync {
                            in_flight.push_back((receipt.end, store.flushed(receipt.end)));
                        }
                    }
                    store.dispatch_here();
                    count.fetch_add(free as u64, Ordering::Relaxed);
                    if let Some((_, oldest)) = in_flight.pop_front() {
                        wait(oldest)?;
                    }
                    let flushed = store.flushed_offset();
                    while in_flight.front().is_some_and(|(end, _)| *end <= flushed) {
                        in_flight.pop_front();
                    }
                }
                for (_, flushed) in in_flight {
                    wait(flushed)?;
                }
                Ok(())
            }
        };
        let running: Vec<_> = (0..threads).map(|nth| scope.spawn(work(nth))).collect();
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
