//! The servers that compete: started once for a group of works, frozen while another is loaded.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};
use skua_interop::{Broker, Kind, Namesrv, Process, Scene, Tuning, skua, wait_until, wire};

use crate::Args;
use crate::figures::{Figures, Run};
use crate::floor;
use crate::work::{Load, Setup, Work};

/// Messages that catching up reads: as many of each server's, all in the page cache.
const CATCH_UP_BYTES: u64 = 400 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(120);
const JAVA_OPTIONS: &str = "-server -Xms4g -Xmx4g -XX:+UseG1GC -XX:G1HeapRegionSize=16m";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Competitor {
    /// Answers at once and keeps nothing.
    Floor,
    Java,
    Skua,
}

impl Competitor {
    pub const ALL: [Self; 3] = [Self::Floor, Self::Java, Self::Skua];
}

/// The servers of one setup.
pub struct Servers {
    floor: Echo,
    groups: Vec<Group>,
}

/// Name server and brokers of one kind.
struct Group {
    kind: Kind,
    namesrv: Namesrv,
    brokers: Vec<Broker>,
    _scene: Scene,
}

/// `skua bench echo`.
struct Echo {
    child: Child,
    addr: String,
}

impl Drop for Echo {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Servers {
    pub fn start(setup: Setup, args: &Args, figures: &mut Figures) -> Self {
        let kinds: &[Kind] =
            if args.without_java { &[Kind::Skua] } else { &[Kind::Java, Kind::Skua] };
        let mut groups: Vec<Group> = Vec::new();
        for kind in kinds {
            eprintln!("{}: {kind:?} starts", setup.name());
            let group = Group::start(*kind, setup, figures);
            if *kind == Kind::Java {
                let seconds = args.java_warm_up.to_string();
                group.produce("warm-up", 64, &["--duration", "1", "--warm-up", &seconds]);
                if setup == Setup::Plain {
                    group.consume("warm-up", 8, &["--count", "1000000", "--warm-up", "0"]);
                }
            }
            group.freeze();
            groups.push(group);
        }
        Self { floor: Echo::start(), groups }
    }

    /// Does one work once; none if this server does not take part in it.
    pub fn run(&self, competitor: Competitor, work: &Work, args: &Args) -> Option<Run> {
        let kind = match competitor {
            Competitor::Floor => return self.run_floor(work, args),
            Competitor::Java => Kind::Java,
            Competitor::Skua => Kind::Skua,
        };
        let group = self.groups.iter().find(|group| group.kind == kind)?;
        group.thaw();
        let run = group.run(work, args);
        group.freeze();
        Some(run)
    }

    fn run_floor(&self, work: &Work, args: &Args) -> Option<Run> {
        match work.load {
            Load::Send { size, in_flight, batch, .. } => {
                let before = cpu_seconds(&[self.floor.child.id()]);
                let target = ["--broker", &self.floor.addr];
                let report = produce(&target, "floor", size, in_flight, batch, 1, &pace(args));
                let spent = cpu_seconds(&[self.floor.child.id()]) - before;
                Some(with_cpu(run_of(&report), spent, &report, args))
            }
            // What a pull's answer carries: bodies and about a hundred bytes with each.
            Load::CatchUp { size, .. } => {
                let rate = floor::loopback_copy(Duration::from_secs(1)).expect("the loopback");
                let per_second = rate / f64::from(size + 150);
                Some(Run {
                    per_second,
                    p50_ms: 0.0,
                    p99_ms: 0.0,
                    p999_ms: 0.0,
                    refused: 0,
                    cpu_per_million: None,
                })
            }
            Load::EndToEnd { .. } => None,
        }
    }

    /// Takes what is measured at the end, and ends the servers.
    pub fn finish(self, figures: &mut Figures) {
        for group in self.groups {
            group.thaw();
            let name = format!("resident memory after all, {} broker(s)", group.brokers.len());
            group.note_memory(&name, figures);
        }
    }
}

impl Group {
    fn start(kind: Kind, setup: Setup, figures: &mut Figures) -> Self {
        let scene = Scene::new();
        let namesrv = Namesrv::start(&scene, kind);
        let mut settings = vec![
            "mappedFileSizeCommitLog=1073741824",
            "sendThreadPoolQueueCapacity=100000",
            "brokerIP2=127.0.0.1",
        ];
        match (setup, kind) {
            (Setup::SyncFlush, _) => settings.push("flushDiskType=SYNC_FLUSH"),
            (Setup::DoubleWrite, Kind::Java) => {
                // RocketMQ 5 writes twice only when told so.
                settings.extend(["brokerRole=SYNC_MASTER", "inSyncReplicas=2"]);
            }
            (Setup::DoubleWrite, Kind::Skua) => settings.push("brokerRole=SYNC_MASTER"),
            _ => {}
        }
        let start = |folder: &str, settings: Vec<&'static str>| {
            let tuning = Tuning { settings, java_options: Some(JAVA_OPTIONS) };
            Broker::start_tuned(&scene, kind, folder, &namesrv.addr, tuning)
        };
        let competitor = if kind == Kind::Java { Competitor::Java } else { Competitor::Skua };
        let started = Instant::now();
        let mut brokers = vec![start("broker-a", settings.clone())];
        // A tight loop: the pause of `wait_until` would be most of what is measured.
        if setup == Setup::Plain {
            while !wire::send(&brokers[0].addr, "first") {
                assert!(started.elapsed() < PATIENCE, "no first send");
            }
            let ms = started.elapsed().as_secs_f64() * 1e3;
            figures.add_once("start to first acknowledgement", competitor, ms, "ms");
        }
        brokers[0].wait_registered();
        if matches!(setup, Setup::AsyncReplication | Setup::DoubleWrite) {
            settings.retain(|setting| !setting.contains("Replicas"));
            settings.extend(["brokerRole=SLAVE", "brokerId=1", "brokerName=broker-a"]);
            let mut slave = start("slave", settings);
            slave.wait_registered();
            brokers.push(slave);
            // SEND_OK of a double write, or a slave that has the log: the first sends wait for it.
            wait_until("the slave with its master's log", PATIENCE, || {
                wire::send(&brokers[0].addr, "first").then_some(())?;
                let holds = fs::read_dir(brokers[1].commit_log()).ok()?.next().is_some();
                holds.then_some(())
            });
        }
        let group = Self { kind, namesrv, brokers, _scene: scene };
        if setup == Setup::Plain {
            group.note_memory("resident memory, idle", figures);
        }
        group
    }

    fn processes(&self) -> impl Iterator<Item = &Process> {
        self.brokers.iter().map(|broker| &broker.process).chain([&self.namesrv.process])
    }

    fn pids(&self) -> Vec<u32> {
        self.processes().map(Process::id).collect()
    }

    fn freeze(&self) {
        self.processes().for_each(Process::freeze);
    }

    fn thaw(&self) {
        self.processes().for_each(Process::thaw);
    }

    fn produce(&self, topic: &str, in_flight: u32, pace: &[&str]) -> Value {
        produce(&["-n", &self.namesrv.addr], topic, 1024, in_flight, 1, 1, pace)
    }

    fn consume(&self, topic: &str, pulls: u32, pace: &[&str]) -> Value {
        let mut command = bench("consume", &["-n", &self.namesrv.addr], topic);
        command.args(["-i", &pulls.to_string()]).args(pace);
        report(command)
    }

    fn run(&self, work: &Work, args: &Args) -> Run {
        let namesrv = ["-n", &self.namesrv.addr];
        match work.load {
            Load::Send { size, in_flight, batch, topics } => {
                let before = cpu_seconds(&self.pids());
                let topic = if topics == 1 { "send" } else { "many" };
                let report = produce(&namesrv, topic, size, in_flight, batch, topics, &pace(args));
                let spent = cpu_seconds(&self.pids()) - before;
                with_cpu(run_of(&report), spent, &report, args)
            }
            Load::CatchUp { size, pulls } => {
                let topic = format!("catch-up-{size}");
                let count = (CATCH_UP_BYTES / u64::from(size + 150)).to_string();
                let counted = ["--count", &count, "--warm-up", "0"];
                if is_empty(&self.brokers[0].addr, &topic) {
                    produce(&namesrv, &topic, size, 64, 1, 1, &counted);
                    // Once for the compiler's sake.
                    self.consume(&topic, pulls, &counted);
                }
                let before = cpu_seconds(&self.pids());
                let report = self.consume(&topic, pulls, &counted);
                let spent = cpu_seconds(&self.pids()) - before;
                let mut run = run_of(&report);
                run.cpu_per_million = Some(spent / number(&report["messages"]) * 1e6);
                run
            }
            Load::EndToEnd { rate } => {
                let topic = format!("end-to-end-{rate}");
                let total = (args.seconds + args.warm_up).to_string();
                // The topic has to be there before its consumer.
                self.produce(&topic, 1, &["--count", "8", "--warm-up", "0"]);
                let mut consumer = bench("consume", &namesrv, &topic);
                consumer.args(["--follow", "-i", "8", "--warm-up", &args.warm_up.to_string()]);
                consumer.args(["--duration", &args.seconds.to_string()]);
                let consumer = thread::spawn(move || report(consumer));
                let before = cpu_seconds(&self.pids());
                let rate = rate.to_string();
                let sent = self.produce(
                    &topic,
                    4096,
                    &["--rate", &rate, "-c", "1", "--warm-up", "0", "--duration", &total],
                );
                let spent = cpu_seconds(&self.pids()) - before;
                let received = consumer.join().expect("the consumer's thread");
                let mut run = run_of(&received);
                let times = &received["endToEndMs"];
                run.p50_ms = number(&times["p50"]);
                run.p99_ms = number(&times["p99"]);
                run.p999_ms = number(&times["p999"]);
                run.cpu_per_million = Some(spent / number(&sent["messages"]) * 1e6);
                run
            }
        }
    }

    fn note_memory(&self, name: &str, figures: &mut Figures) {
        let competitor = if self.kind == Kind::Java { Competitor::Java } else { Competitor::Skua };
        let mib = |key| self.pids().iter().map(|pid| status_kib(*pid, key)).sum::<f64>() / 1024.0;
        figures.add_once(name, competitor, mib("VmRSS:"), "MiB");
        figures.add_once(&format!("{name}, without files"), competitor, mib("RssAnon:"), "MiB");
    }
}

impl Echo {
    fn start() -> Self {
        let mut command = skua();
        command.args(["bench", "echo"]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the skua binary runs");
        let mut addr = String::new();
        let output = child.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut addr).expect("its address");
        Self { child, addr: addr.trim().to_owned() }
    }
}

/// Whether nothing was sent to the first queue of `topic` (request GET_MAX_OFFSET).
fn is_empty(broker: &str, topic: &str) -> bool {
    const GET_MAX_OFFSET: i32 = 30;
    let fields = json!({ "topic": topic, "queueId": "0" });
    let answer = wire::call(broker, GET_MAX_OFFSET, fields, &[]);
    let offset = answer.and_then(|(header, _)| {
        header["extFields"]["offset"].as_str().and_then(|text| text.parse::<i64>().ok())
    });
    offset.unwrap_or(0) == 0
}

fn pace(args: &Args) -> [String; 4] {
    let (seconds, warm_up) = (args.seconds.to_string(), args.warm_up.to_string());
    ["--duration".into(), seconds, "--warm-up".into(), warm_up]
}

fn bench(what: &str, target: &[&str], topic: &str) -> Command {
    let mut command = skua();
    command.args(["bench", what, "--json", "-t", topic]).args(target);
    command
}

fn produce<P: AsRef<std::ffi::OsStr>>(
    target: &[&str],
    topic: &str,
    size: u32,
    in_flight: u32,
    batch: u32,
    topics: u32,
    pace: &[P],
) -> Value {
    let mut command = bench("produce", target, topic);
    command.args(["-i", &in_flight.to_string(), "-s", &size.to_string()]);
    command.args(["--batch", &batch.to_string(), "--topics", &topics.to_string()]).args(pace);
    report(command)
}

/// Runs `skua bench` and reads its report.
fn report(mut command: Command) -> Value {
    let output = command.output().expect("the skua binary runs");
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("{e}: {text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

fn run_of(report: &Value) -> Run {
    let times = &report["latencyMs"];
    let refused = report["errors"].as_array().into_iter().flatten();
    Run {
        refused: refused.map(|error| number(&error["count"])).sum::<f64>() as u64,
        per_second: number(&report["messagesPerSecond"]),
        p50_ms: number(&times["p50"]),
        p99_ms: number(&times["p99"]),
        p999_ms: number(&times["p999"]),
        cpu_per_million: None,
    }
}

/// CPU time is of warm-up and measuring together, so it is spread over the messages of both.
fn with_cpu(mut run: Run, spent: f64, report: &Value, args: &Args) -> Run {
    let share = f64::from(args.seconds) / f64::from(args.seconds + args.warm_up);
    run.cpu_per_million = Some(spent * share / number(&report["messages"]) * 1e6);
    run
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

/// User and system time of these processes together.
fn cpu_seconds(pids: &[u32]) -> f64 {
    /// Linux's USER_HZ, the same on every platform of ours.
    const TICKS_A_SECOND: f64 = 100.0;
    let ticks = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a running process");
        // The name in parentheses may have spaces; utime and stime are fields 14 and 15.
        let after = stat.rsplit(')').next().expect("a name");
        let fields: Vec<&str> = after.split_whitespace().collect();
        let field = |at: usize| fields[at - 3].parse::<f64>().expect("a number of ticks");
        field(14) + field(15)
    };
    pids.iter().map(ticks).sum::<f64>() / TICKS_A_SECOND
}

fn status_kib(pid: u32, key: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("a Linux status");
    line.trim().trim_end_matches(" kB").parse().expect("a number of kB")
}
