//! What a run measured, as text and as JSON.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use std::{fmt, fs};

use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use super::moment;

/// Latencies are kept in microseconds up to a minute, with three digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("these constants are within its bounds")
}

/// Counts and times of one measured stretch (the warm-up is not in it).
#[derive(Clone, Debug)]
pub struct Tally {
    pub messages: u64,
    pub bytes: u64,
    /// How far pulls moved on: with a filter more than the messages that came.
    pub gone_over: u64,
    /// Messages not counted above, by the server's code, each with its first remark.
    pub errors: BTreeMap<i32, (u64, String)>,
    /// From the request's writing to its answer.
    pub latency: Histogram<u64>,
    /// From a message's birth to its arrival; only for consumers that follow.
    pub end_to_end: Histogram<u64>,
}

impl Tally {
    pub fn new() -> Self {
        Self {
            messages: 0,
            bytes: 0,
            gone_over: 0,
            errors: BTreeMap::new(),
            latency: histogram(),
            end_to_end: histogram(),
        }
    }

    pub fn error(&mut self, code: i32, messages: u64, remark: impl FnOnce() -> String) {
        self.errors.entry(code).or_insert_with(|| (0, remark())).0 += messages;
    }

    pub fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.gone_over += other.gone_over;
        for (code, (count, remark)) in &other.errors {
            self.error(*code, *count, || remark.clone());
        }
        // Same bounds on both sides, so nothing can be out of range.
        let _ = self.latency.add(&other.latency);
        let _ = self.end_to_end.add(&other.end_to_end);
    }
}

/// Percentiles in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Latency {
    pub mean: f64,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub p9999: f64,
    pub max: f64,
}

impl Latency {
    fn of(histogram: &Histogram<u64>) -> Option<Self> {
        if histogram.is_empty() {
            return None;
        }
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Some(Self {
            mean: histogram.mean() / 1e3,
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max() as f64 / 1e3,
        })
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mean, p50, p99, p999, p9999, max } = self;
        write!(
            f,
            "mean {mean:.3}  p50 {p50:.3}  p99 {p99:.3}  p99.9 {p999:.3}  p99.99 {p9999:.3}  \
             max {max:.3} ms"
        )
    }
}

/// CPU time of this process, and of the servers that are named, beside the time that passes.
#[derive(Clone, Debug)]
pub struct Watch {
    started: Instant,
    cpu: Duration,
    servers: Vec<u32>,
    servers_cpu: f64,
}

impl Watch {
    pub fn start(servers: &[u32]) -> Self {
        let servers_cpu = cpu_of(servers);
        Self { started: Instant::now(), cpu: cpu_time(), servers: servers.to_vec(), servers_cpu }
    }

    /// Share of one core.
    pub fn busy(&self) -> f64 {
        let passed = self.started.elapsed().as_secs_f64().max(1e-9);
        cpu_time().saturating_sub(self.cpu).as_secs_f64() / passed
    }

    /// Seconds that the servers took since the start.
    pub fn servers(&self) -> Option<f64> {
        (!self.servers.is_empty()).then(|| cpu_of(&self.servers) - self.servers_cpu)
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// User and system time of these processes together, in seconds; none of those that are gone.
fn cpu_of(pids: &[u32]) -> f64 {
    /// Linux's USER_HZ, the same on every platform of ours.
    const TICKS_A_SECOND: f64 = 100.0;
    let ticks = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may have spaces; utime and stime are fields 14 and 15.
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        let field = |at: usize| fields.get(at - 3)?.parse::<f64>().ok();
        Some(field(14)? + field(15)?)
    };
    pids.iter().filter_map(ticks).sum::<f64>() / TICKS_A_SECOND
}

#[derive(Clone, Debug, Serialize)]
pub struct ErrorCount {
    pub code: i32,
    pub count: u64,
    pub remark: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub what: &'static str,
    pub topic: String,
    pub brokers: Vec<String>,
    pub in_flight: usize,
    pub connections: usize,
    /// Bytes of a message's body; for consumers the mean of a stored message.
    pub message_bytes: u64,
    pub seconds: f64,
    pub messages: u64,
    pub messages_per_second: f64,
    pub megabytes_per_second: f64,
    /// Messages that pulls went over, whether a filter let them pass or not.
    pub gone_over: u64,
    pub gone_over_per_second: f64,
    /// Share of one core that this process took: near 1 it is itself what limits the rate.
    pub generator_busy: f64,
    /// CPU seconds of the servers that were named, from the load's start, warm-up included.
    pub server_cpu_seconds: Option<f64>,
    /// When the last of them was answered, in milliseconds since the epoch.
    pub ended_at: f64,
    pub latency_ms: Option<Latency>,
    pub end_to_end_ms: Option<Latency>,
    pub errors: Vec<ErrorCount>,
    /// Requests that were never answered.
    pub unanswered: u64,
}

/// The run's settings, as they go into the report.
#[derive(Clone, Debug)]
pub struct Setting {
    pub what: &'static str,
    pub topic: String,
    pub brokers: Vec<String>,
    pub in_flight: usize,
    pub connections: usize,
    /// Runs since the load began.
    pub watch: Watch,
    /// The last answer that was counted.
    pub last: Instant,
}

impl Report {
    pub fn new(setting: Setting, tally: &Tally, measured: Duration, unanswered: u64) -> Self {
        let seconds = measured.as_secs_f64().max(1e-9);
        Self {
            what: setting.what,
            topic: setting.topic,
            brokers: setting.brokers,
            in_flight: setting.in_flight,
            connections: setting.connections,
            message_bytes: tally.bytes.checked_div(tally.messages).unwrap_or(0),
            seconds,
            messages: tally.messages,
            gone_over: tally.gone_over,
            gone_over_per_second: tally.gone_over as f64 / seconds,
            generator_busy: setting.watch.busy(),
            server_cpu_seconds: setting.watch.servers(),
            ended_at: moment::now() as f64 / 1e6 - setting.last.elapsed().as_secs_f64() * 1e3,
            messages_per_second: tally.messages as f64 / seconds,
            megabytes_per_second: tally.bytes as f64 / seconds / 1e6,
            latency_ms: Latency::of(&tally.latency),
            end_to_end_ms: Latency::of(&tally.end_to_end),
            errors: tally
                .errors
                .iter()
                .map(|(code, (count, remark))| ErrorCount {
                    code: *code,
                    count: *count,
                    remark: remark.clone(),
                })
                .collect(),
            unanswered,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} {} at {}: {} in flight over {} connection{}, {} B a message",
            self.what,
            self.topic,
            self.brokers.join(","),
            self.in_flight,
            self.connections,
            if self.connections == 1 { "" } else { "s" },
            self.message_bytes
        )?;
        writeln!(
            f,
            "{:.0} messages/s  {:.2} MB/s  ({} messages in {:.2} s)",
            self.messages_per_second, self.megabytes_per_second, self.messages, self.seconds
        )?;
        if self.gone_over > self.messages {
            writeln!(f, "gone over: {} ({:.0}/s)", self.gone_over, self.gone_over_per_second)?;
        }
        if let Some(latency) = &self.latency_ms {
            writeln!(f, "latency: {latency}")?;
        }
        if let Some(latency) = &self.end_to_end_ms {
            writeln!(f, "end to end: {latency}")?;
        }
        writeln!(f, "generator: {:.0} % of one core", self.generator_busy * 100.0)?;
        for ErrorCount { code, count, remark } in &self.errors {
            writeln!(f, "code {code}: {count} times, first: {remark}")?;
        }
        if self.unanswered > 0 {
            writeln!(f, "{} requests were not answered", self.unanswered)?;
        }
        Ok(())
    }
}
