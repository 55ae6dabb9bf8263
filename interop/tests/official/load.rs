//! `skua bench` against a broker: every kind of load does what it says, so that the benchmark
//! measures what it names.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;
use skua_interop::{Broker, Kind, Namesrv, Scene, Tuning, skua};

/// The report of `skua bench ARGUMENTS`; commands that hold what they made are let go.
fn reports(arguments: &[&str]) -> Vec<Value> {
    let mut command = skua();
    command.arg("bench").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("skua runs");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let lines: Vec<String> = output.lines().map(|line| line.expect("text")).collect();
    let status = child.wait().expect("its end");
    assert!(status.success(), "{arguments:?}: {status}");
    let parse =
        |line: &String| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
    lines.iter().map(parse).collect()
}

/// More than there are: a run with it ends when all queues have ended.
const ALL: u32 = 1_000_000;

struct Bench {
    namesrv: String,
    broker: String,
}

impl Bench {
    /// Of a number of messages, all of them measured.
    fn run(&self, what: &str, topic: &str, count: u32, more: &[&str]) -> Value {
        let count = count.to_string();
        let common = [what, "--json", "-n", &self.namesrv, "-t", topic, "--warm-up", "0"];
        let mut reports = reports(&[&common[..], &["--count", &count], more].concat());
        let report = reports.pop().expect("a report");
        assert_eq!(report["errors"].as_array().map(Vec::len), Some(0), "{report}");
        assert_eq!(report["unanswered"], 0, "{report}");
        report
    }
}

#[test]
fn each_load_counts_what_it_does() {
    let scene = Scene::new();
    let kind = Kind::under_test();
    let namesrv = Namesrv::start(&scene, kind);
    let settings = vec!["enablePropertyFilter=true"];
    let tuning = Tuning { settings, ..Tuning::default() };
    let mut broker = Broker::start_tuned(&scene, kind, "broker-a", &namesrv.addr, tuning);
    broker.wait_registered();
    let bench = Bench { namesrv: namesrv.addr.clone(), broker: broker.addr.clone() };

    // A hundred rounds of eight queues: one round has the tag and the property.
    let marks = ["--tag", "wanted", "--property", "kind=7", "--one-in", "100", "-i", "1"];
    let sent = bench.run("produce", "filter", 800, &marks);
    assert_eq!(sent["messages"], 800, "{sent}");
    let tagged = bench.run("consume", "filter", ALL, &["--tag", "wanted"]);
    assert_eq!((&tagged["messages"], &tagged["goneOver"]), (&8.into(), &800.into()), "{tagged}");
    let by_sql = bench.run("consume", "filter", ALL, &["--sql", "kind = 7"]);
    assert_eq!((&by_sql["messages"], &by_sql["goneOver"]), (&8.into(), &800.into()), "{by_sql}");

    // Everything is popped and acknowledged, by as many as come in each other's way.
    let popped = bench.run("consume", "filter", ALL, &["--pop", "-i", "4"]);
    assert_eq!(popped["messages"], 800, "{popped}");

    // What is committed comes, and nothing else.
    let committed = bench.run("produce", "transaction", 100, &["--transaction", "-i", "4"]);
    let done = committed["messages"].as_u64().expect("a number");
    assert!((100..=104).contains(&done), "{committed}");
    let come = bench.run("consume", "transaction", ALL, &[]);
    assert_eq!(come["messages"], done, "{come}");

    // Topics that are missing are made in one request.
    let many = bench.run("produce", "many", 100, &["--topics", "50", "--queues", "1"]);
    assert_eq!(many["messages"], 100, "{many}");

    // By the clock: eight queues, each asked at least once.
    let paced = bench.run("consume", "filter", ALL, &["--rate", "100", "--batch", "100"]);
    assert_eq!(paced["messages"], 800, "{paced}");
    assert!(paced["seconds"].as_f64().expect("a time") > 0.06, "{paced}");

    let connected = reports(&[
        "connect",
        "--broker",
        &bench.broker,
        "--count",
        "20",
        "--groups",
        "30",
        "--topic",
        "filter",
    ]);
    assert_eq!(connected[0]["refused"], 0, "{connected:?}");

    let numbers = ["--brokers", "10", "--topics", "200", "-d", "0.2", "--warm-up", "0.1"];
    let named = reports(&[&["namesrv", "-n", &bench.namesrv], &numbers[..]].concat());
    for report in &named {
        assert!(report["messages"].as_u64().is_some_and(|count| count > 20), "{report}");
        assert_eq!(report["errors"].as_array().map(Vec::len), Some(0), "{report}");
    }
    assert_eq!(named.len(), 2);
}
