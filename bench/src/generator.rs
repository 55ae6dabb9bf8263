//! The load: `skua bench` as a process of its own, and what it reports.

use std::ffi::OsStr;
use std::process::Command;

use serde_json::Value;
use skua_interop::skua;

use crate::Args;
use crate::figures::Run;

/// Sends as `skua bench produce` makes them.
#[derive(Clone, Copy, Debug)]
pub struct Sends {
    pub size: u32,
    pub in_flight: u32,
    pub batch: u32,
    pub topics: u32,
    /// Of each topic, if it has to be made.
    pub queues: u32,
}

impl Sends {
    /// 1 KiB each to one topic.
    pub const fn plain(in_flight: u32) -> Self {
        Self { size: 1024, in_flight, batch: 1, topics: 1, queues: QUEUES }
    }
}

/// Seconds for which a server may be silent: the first sends to thousands of topics make files.
const PATIENCE: &str = "60";

/// Queues of a topic, unless a work is about their number.
pub const QUEUES: u32 = 8;

/// How long a run of this program's arguments goes on.
pub fn pace(args: &Args) -> [String; 4] {
    let (seconds, warm_up) = (args.seconds.to_string(), args.warm_up.to_string());
    ["--duration".into(), seconds, "--warm-up".into(), warm_up]
}

pub fn bench(what: &str, target: &[&str], topic: &str) -> Command {
    let mut command = skua();
    command.args(["bench", what, "--json", "-t", topic, "--timeout", PATIENCE]).args(target);
    command
}

pub fn produce<P: AsRef<OsStr>>(target: &[&str], topic: &str, sends: Sends, pace: &[P]) -> Value {
    let mut command = produce_of(target, topic, sends);
    command.args(pace);
    report(command)
}

/// Without saying how long.
pub fn produce_of(target: &[&str], topic: &str, sends: Sends) -> Command {
    let mut command = bench("produce", target, topic);
    let Sends { size, in_flight, batch, topics, queues } = sends;
    command.args(["-i", &in_flight.to_string(), "-s", &size.to_string()]);
    command.args(["--topics", &topics.to_string()]);
    if batch > 1 {
        command.args(["--batch", &batch.to_string()]);
    }
    command.args(["--queues", &queues.to_string()]);
    command
}

/// Runs `skua bench` and reads its report.
pub fn report(mut command: Command) -> Value {
    let output = command.output().expect("the skua binary runs");
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("{e}: {text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

pub fn run_of(report: &Value) -> Run {
    let refused = report["errors"].as_array().into_iter().flatten();
    let run = Run {
        refused: refused.map(|error| number(&error["count"])).sum::<f64>() as u64,
        per_second: number(&report["messagesPerSecond"]),
        generator_busy: report["generatorBusy"].as_f64(),
        ..Run::default()
    };
    with_times(run, &report["latencyMs"])
}

/// With these percentiles.
pub fn with_times(run: Run, times: &Value) -> Run {
    Run {
        p50_ms: number(&times["p50"]),
        p99_ms: number(&times["p99"]),
        p999_ms: number(&times["p999"]),
        p9999_ms: number(&times["p9999"]),
        ..run
    }
}

/// With the CPU time of a load that went on for as long as the program's arguments say. It is of
/// warm-up and measuring together, so it is spread over the messages of both.
pub fn with_cpu(run: Run, report: &Value, args: &Args) -> Run {
    let share = f64::from(args.seconds) / f64::from(args.seconds + args.warm_up);
    let spent = report["serverCpuSeconds"].as_f64().filter(|_| number(&report["messages"]) > 0.0);
    let per_message = |spent| spent * share / number(&report["messages"]);
    Run { cpu_per_million: spent.map(|spent| per_message(spent) * 1e6), ..run }
}

/// What tells the generator whose CPU time to report.
pub fn cpu_of(pids: &[u32]) -> Vec<String> {
    pids.iter().flat_map(|pid| ["--cpu-of".to_owned(), pid.to_string()]).collect()
}

pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}
