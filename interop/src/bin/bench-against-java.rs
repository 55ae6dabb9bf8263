//! Skua and the Java broker one after the other on this machine: send and fetch rates at 1, 16 and
//! 256 in flight with 1 KiB messages, resident memory, and the time from start to the first send.
//!
//! `cargo run --release -p skua-interop --bin bench-against-java [SECONDS [WARM_UP]]` prints a
//! Markdown table. Both servers run with asynchronous flush and 1 GiB commit log files; the Java
//! broker has 4 GiB of heap, G1 and a long warm-up for its compiler.

use std::fmt::Write;
use std::time::{Duration, Instant};
use std::{env, fs};

use serde_json::Value;
use skua_interop::{Broker, Cluster, Kind, Namesrv, Scene, Tuning, skua, wait_until, wire};

const IN_FLIGHT: [u32; 3] = [1, 16, 256];
const TOPIC: &str = "bench";
const FETCH_TOPIC: &str = "fetch";
/// Messages that every fetching run reads: as many of both servers, and all in the page cache.
const FETCHED: &str = "400000";
/// The Java broker's compiler needs this long under load before its rate settles.
const FIRST_WARM_UP: &str = "20";
const JAVA_OPTIONS: &str = "-server -Xms4g -Xmx4g -XX:+UseG1GC -XX:G1HeapRegionSize=16m";
const JAVA_SETTINGS: [&str; 2] =
    ["mappedFileSizeCommitLog=1073741824", "sendThreadPoolQueueCapacity=100000"];

/// What is told of one server.
struct Measured {
    first_send: Duration,
    idle: Memory,
    produce: Vec<Run>,
    consume: Vec<Run>,
    loaded: Memory,
}

/// Resident memory in MiB: all of it, and without pages of files.
struct Memory {
    all: f64,
    own: f64,
}

struct Run {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

fn main() {
    let mut arguments = env::args().skip(1);
    let seconds = arguments.next().unwrap_or_else(|| "10".into());
    let warm_up = arguments.next().unwrap_or_else(|| "3".into());
    let java = measure(Kind::Java, &seconds, &warm_up);
    let skua = measure(Kind::Skua, &seconds, &warm_up);
    print!("{}", table(&skua, &java));
}

fn measure(kind: Kind, seconds: &str, warm_up: &str) -> Measured {
    eprintln!("{kind:?}: starting");
    let scene = Scene::new();
    let namesrv = (kind == Kind::Java).then(|| Namesrv::start(&scene, kind));
    let started = Instant::now();
    let mut cluster = match namesrv {
        None => Cluster::launch_standalone(&scene),
        Some(namesrv) => {
            let tuning =
                Tuning { settings: JAVA_SETTINGS.to_vec(), java_options: Some(JAVA_OPTIONS) };
            let broker =
                Broker::start_tuned(&scene, kind, "broker-a", &namesrv.addr.clone(), tuning);
            Cluster::Pair { namesrv, broker }
        }
    };
    // A tight loop: the pause of `wait_until` would be most of what is measured.
    while !wire::send(&cluster.broker(), "first") {
        assert!(started.elapsed() < Duration::from_secs(60), "no first send");
    }
    let first_send = started.elapsed();
    wait_until("the broker at its name server", Duration::from_secs(60), || {
        wire::cluster_list(cluster.namesrv())?.contains("brokerAddrs").then_some(())
    });
    let idle = memory(&cluster.processes());

    let namesrv = cluster.namesrv().to_owned();
    let timed = |topic, in_flight, duration: &str, warm_up: &str| {
        bench(
            "produce",
            &namesrv,
            topic,
            in_flight,
            &["--duration", duration, "--warm-up", warm_up],
        )
    };
    timed("warm-up", 64, "1", FIRST_WARM_UP);
    let produce = IN_FLIGHT.iter().map(|n| timed(TOPIC, *n, seconds, warm_up)).collect();
    let counted = ["--count", FETCHED, "--warm-up", "0"];
    bench("produce", &namesrv, FETCH_TOPIC, 64, &counted);
    // The Java broker's compiler has to meet the reads, too.
    bench("consume", &namesrv, FETCH_TOPIC, 16, &counted);
    let fetch = |n: &u32| bench("consume", &namesrv, FETCH_TOPIC, *n, &counted);
    let consume = IN_FLIGHT.iter().map(fetch).collect();
    cluster.process().assert_alive();
    let loaded = memory(&cluster.processes());
    Measured { first_send, idle, produce, consume, loaded }
}

/// Runs `skua bench` and reads its report.
fn bench(what: &str, namesrv: &str, topic: &str, in_flight: u32, pace: &[&str]) -> Run {
    eprintln!("  {what} {topic}, {in_flight} in flight");
    let mut command = skua();
    command.args(["bench", what, "--json", "-n", namesrv, "-t", topic]);
    command.args(["-i", &in_flight.to_string()]).args(pace);
    let output = command.output().expect("the skua binary runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("{e}: {text}\n{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(report["errors"], Value::Array(Vec::new()), "{text}");
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("no number: {text}"));
    Run {
        per_second: number(&report["messagesPerSecond"]),
        p50_ms: number(&report["latencyMs"]["p50"]),
        p99_ms: number(&report["latencyMs"]["p99"]),
    }
}

/// The resident memory of these processes together.
fn memory(pids: &[u32]) -> Memory {
    let mut memory = Memory { all: 0.0, own: 0.0 };
    for pid in pids {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
        let kib = |key: &str| -> f64 {
            let line = status.lines().find_map(|l| l.strip_prefix(key)).expect("a Linux status");
            line.trim().trim_end_matches(" kB").parse().expect("a number of kB")
        };
        memory.all += kib("VmRSS:") / 1024.0;
        memory.own += kib("RssAnon:") / 1024.0;
    }
    memory
}

fn table(skua: &Measured, java: &Measured) -> String {
    let mut text =
        String::from("| 1 KiB messages | Skua | Java 5.5.0 | ratio |\n|---|---|---|---|\n");
    let mut row = |name: &str, skua: String, java: String, ratio: f64| {
        writeln!(text, "| {name} | {skua} | {java} | {ratio:.1} |").expect("into a string");
    };
    let rates = [("send", &skua.produce, &java.produce), ("fetch", &skua.consume, &java.consume)];
    for (what, skua, java) in rates {
        for ((n, s), j) in IN_FLIGHT.iter().zip(skua).zip(java) {
            let cell = |r: &Run| {
                format!("{:.0}/s, p50 {:.2} ms, p99 {:.2} ms", r.per_second, r.p50_ms, r.p99_ms)
            };
            row(&format!("{what}, {n} in flight"), cell(s), cell(j), s.per_second / j.per_second);
        }
    }
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    row(
        "start to first send",
        format!("{:.0} ms", ms(skua.first_send)),
        format!("{:.0} ms", ms(java.first_send)),
        ms(java.first_send) / ms(skua.first_send),
    );
    let memories =
        [("idle", &skua.idle, &java.idle), ("after the load", &skua.loaded, &java.loaded)];
    for (when, s, j) in memories {
        let cell = |m: &Memory| format!("{:.0} MiB ({:.0} without files)", m.all, m.own);
        row(&format!("resident, {when}"), cell(s), cell(j), j.all / s.all);
    }
    text
}
