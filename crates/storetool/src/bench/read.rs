//! Reads, and sends beside them.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use skua_protocol::QueueId;
use skua_store::{KeepMore, Read, ReadLimits, ReadStatus, Store};

use super::floor::record_len;
use super::report::{Latency, ReadRate};
use super::rig::{Folder, QUEUES, Rig, TOPIC, body, forget_cache, now, record};
use super::{BenchError, Pace};

/// A longer latency counts as this.
const MINUTE_NS: u64 = 60_000_000_000;
const BODY: usize = 1024;
const LIMITS: ReadLimits = ReadLimits { max_messages: 32 };

/// A store of 1 KiB messages, closed and opened again; how many each queue has.
fn filled(folder: &Folder, pace: Pace) -> Result<(Rig, u64), BenchError> {
    let rig = Rig::open(folder, false)?;
    let body = body(BODY);
    let each = (pace.bytes / 2 / record_len(BODY) / u64::from(QUEUES)).max(64);
    for _ in 0..each {
        for queue in 0..QUEUES {
            rig.store.append_only(&record(queue, &body), now())?;
        }
        rig.store.dispatch_here();
    }
    rig.close()?;
    Ok((Rig::open(folder, false)?, each))
}

pub fn rates(dir: &Path, pace: Pace) -> Result<Vec<ReadRate>, BenchError> {
    let folder = Folder::new(dir)?;
    let (rig, each) = filled(&folder, pace)?;
    let mut rates = Vec::new();
    for cold in [true, false] {
        if cold {
            forget_cache(folder.path())?;
        }
        rates.push(sequential(&rig.store, each, cold)?);
    }
    for cold in [true, false] {
        if cold {
            forget_cache(folder.path())?;
        }
        rates.push(random(&rig.store, each, cold, pace.duration));
    }
    rig.close()?;
    Ok(rates)
}

/// As a broker reads for a pull: what is in memory at once, the rest with a hint to the disk.
fn pull(store: &Store, queue: QueueId, from: i64, limits: ReadLimits) -> Read {
    store
        .read_cached(TOPIC, queue, from, limits, &mut |_| true, KeepMore::default())
        .unwrap_or_else(|| store.read(TOPIC, queue, from, limits, &mut |_| true))
}

/// All queues from their beginning to their end, in turn, as consumers that are far behind.
fn sequential(store: &Store, each: u64, cold: bool) -> Result<ReadRate, BenchError> {
    let mut next = [0_i64; QUEUES as usize];
    let (mut count, mut bytes) = (0, 0);
    let started = Instant::now();
    let mut is_done = false;
    while !is_done {
        is_done = true;
        for (queue, from) in next.iter_mut().enumerate() {
            let read = pull(store, QueueId(queue as u32), *from, LIMITS);
            if read.status == ReadStatus::Found {
                is_done = false;
                count += u64::from(read.count);
                bytes += read.body.len() as u64;
                *from = read.next_offset;
            }
        }
    }
    let wanted = each * u64::from(QUEUES);
    if count != wanted {
        return Err(BenchError::Read(count, wanted));
    }
    Ok(ReadRate { random: false, cold, count, bytes, seconds: started.elapsed().as_secs_f64() })
}

/// Single messages here and there.
fn random(store: &Store, each: u64, cold: bool, duration: Duration) -> ReadRate {
    let (mut count, mut bytes, mut state) = (0, 0, 1_u64);
    let started = Instant::now();
    while started.elapsed() < duration {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let queue = QueueId((state >> 33) as u32 % QUEUES);
        let from = ((state >> 20) % each) as i64;
        let read = pull(store, queue, from, ReadLimits { max_messages: 1 });
        count += u64::from(read.count);
        bytes += read.body.len() as u64;
    }
    ReadRate { random: true, cold, count, bytes, seconds: started.elapsed().as_secs_f64() }
}

/// Latencies of sends alone, and while a reader takes old data from the disk.
pub fn sends_beside_reads(dir: &Path, pace: Pace) -> Result<[Latency; 2], BenchError> {
    let folder = Folder::new(dir)?;
    let (rig, each) = filled(&folder, pace)?;
    forget_cache(folder.path())?;
    let alone = sends(&rig.store, pace.duration)?;
    let over = AtomicBool::new(false);
    let read_bytes = AtomicU64::new(0);
    let beside = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if forget_cache(&folder.path().join("store/commitlog")).is_err() {
                    return;
                }
                for queue in 0..QUEUES {
                    let mut from = 0;
                    while from < each as i64 && !over.load(Ordering::Relaxed) {
                        let read = pull(&rig.store, QueueId(queue), from, LIMITS);
                        read_bytes.fetch_add(read.body.len() as u64, Ordering::Relaxed);
                        from = read.next_offset;
                    }
                }
            }
        });
        let started = Instant::now();
        let latency = sends(&rig.store, pace.duration);
        over.store(true, Ordering::Relaxed);
        let seconds = started.elapsed().as_secs_f64();
        let read = read_bytes.load(Ordering::Relaxed) as f64 / seconds;
        latency.map(|latency| Latency { read_bytes_per_second: read, ..latency })
    })?;
    rig.close()?;
    Ok([alone, beside])
}

/// A thousand sends a second by one thread: latency is of interest, not how much fits.
fn sends(store: &Store, duration: Duration) -> Result<Latency, BenchError> {
    const EVERY: Duration = Duration::from_millis(1);
    let body = body(BODY);
    let mut histogram = Histogram::<u64>::new_with_bounds(1, MINUTE_NS, 3).expect("they fit");
    let started = Instant::now();
    let mut due = started;
    while started.elapsed() < duration {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let before = Instant::now();
        store.append_only(&record(0, &body), now())?;
        // From when it should have begun, or a long wait would hide those behind it.
        let waited =
            before.saturating_duration_since(due).saturating_sub(Duration::from_micros(500));
        histogram.saturating_record((before.elapsed() + waited).as_nanos() as u64);
        store.dispatch_here();
        due += EVERY;
    }
    let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1000.0;
    Ok(Latency {
        count: histogram.len(),
        p50_us: at(0.5),
        p99_us: at(0.99),
        p999_us: at(0.999),
        read_bytes_per_second: 0.0,
    })
}
