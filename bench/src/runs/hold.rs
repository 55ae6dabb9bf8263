//! What servers hold and how they come back: connections, name server's tables, a start after a
//! crash.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use skua_interop::{skua, wait_until, wire};

use crate::Args;
use crate::figures::Run;
use crate::generator::{Sends, number, pace, run_of, with_cpu};
use crate::servers::{Group, PATIENCE};
use crate::setup::first_acknowledgement;
use crate::usage::{cpu_seconds, status_kib};

/// Bodies of what fills a store before it is killed: 64 in a request.
const FILL_BATCH: u32 = 64;
const FILL_STORED: u64 = 1024 + 150;
/// Few, so that the warm-up leaves no tables behind.
const WARM_UP_BROKERS: u32 = 100;
/// For memory to come to rest.
const REST: Duration = Duration::from_secs(1);

/// A `skua bench` that holds what it made until it is dropped.
pub struct Held {
    child: Child,
    output: BufReader<ChildStdout>,
    /// Open as long as it may say something.
    _errors: Option<BufReader<ChildStderr>>,
    /// What it printed last.
    pub report: Value,
}

impl Held {
    /// Waits for its first report.
    pub fn start(command: Command) -> Self {
        let mut held = Self::started(command);
        held.read();
        held
    }

    /// A consumer, from the moment on from which it misses nothing.
    pub fn following(mut command: Command) -> Self {
        command.arg("--follow").stderr(Stdio::piped());
        let mut held = Self::started(command);
        let mut errors = BufReader::new(held.child.stderr.take().expect("piped"));
        let mut said = String::new();
        // What it says before its end is the cause of that.
        while errors.read_line(&mut said).expect("its error output") > 0 {
            if said.trim_end() == "following" {
                break;
            }
            eprint!("  {said}");
            said.clear();
        }
        held._errors = Some(errors);
        held
    }

    fn started(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the skua binary runs");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, output, _errors: None, report: Value::Null }
    }

    /// The report of a command that ends with it, if it comes in time.
    pub fn read_within(&mut self, limit: Duration) -> Option<Value> {
        let deadline = Instant::now() + limit;
        while self.child.try_wait().expect("a child of this process").is_none() {
            if Instant::now() >= deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.read();
        Some(self.report.take())
    }

    /// Waits for its next report.
    fn read(&mut self) {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("its report");
        self.report =
            serde_json::from_str(&line).unwrap_or_else(|e| panic!("`{line}` of skua bench: {e}"));
    }

    /// Connections to a broker, and consumer groups that they are of.
    pub fn connections(broker: &str, count: u32, groups: u32, topic: &str) -> Self {
        let mut command = skua();
        command.args(["bench", "connect", "--broker", broker, "--topic", topic]);
        command.args(["--count", &count.to_string(), "--groups", &groups.to_string()]);
        // A broker writes each new group down before it answers.
        command.args(["--timeout", "120"]);
        Self::start(command)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Group {
    /// Memory of a server for each idle connection.
    pub fn connections(&self, count: u32) -> Run {
        let broker = &self.brokers[0];
        let resident = || status_kib(broker.process.id(), "RssAnon:");
        let before = resident();
        let pids = self.pids();
        let spent_before = cpu_seconds(&pids);
        let held = Held::connections(&broker.addr, count, 0, "idle");
        thread::sleep(REST);
        let spent = cpu_seconds(&pids) - spent_before;
        let kib = (resident() - before).max(0.0) / f64::from(count);
        let refused = number(&held.report["refused"]) as u64;
        Run { value: Some(kib), cpu_seconds: Some(spent), refused, ..Run::default() }
    }

    /// As `kill -9` with a store of so many bytes, then from its start until it takes a message.
    pub fn recover(&mut self, mib: u64) -> Run {
        let messages = mib * 1024 * 1024 / FILL_STORED;
        let sends = Sends { batch: FILL_BATCH, ..Sends::plain(16) };
        self.fill("recover", sends, &messages.to_string(), &[]);
        let broker = &mut self.brokers[0];
        broker.process.kill();
        let started = Instant::now();
        broker.launch_again();
        let took = first_acknowledgement(&broker.addr, started);
        let cpu_seconds = Some(cpu_seconds(&[broker.process.id()]));
        broker.wait_registered();
        Run { value: Some(took.as_secs_f64() * 1e3), cpu_seconds, ..Run::default() }
    }

    /// Brokers that register their topics again and again; what the name server then takes.
    pub fn register(&self, brokers: u32, topics: u32, args: &Args) -> Run {
        let pid = self.namesrv.process.id();
        let before = cpu_seconds(&[pid]);
        let held = self.simulate(brokers, topics, &pace(args));
        let spent = cpu_seconds(&[pid]) - before;
        self.of_name_server(held, spent, args)
    }

    /// The questions of clients that come after.
    pub fn routes(&self, brokers: u32, topics: u32, args: &Args) -> Run {
        let pid = self.namesrv.process.id();
        let mut held = self.simulate(brokers, topics, &pace(args));
        let before = cpu_seconds(&[pid]);
        held.read();
        let spent = cpu_seconds(&[pid]) - before;
        self.of_name_server(held, spent, args)
    }

    fn simulate(&self, brokers: u32, topics: u32, pace: &[String]) -> Held {
        let mut command = skua();
        command.args(["bench", "namesrv", "-n", &self.namesrv.addr, "--timeout", "60"]);
        command.args(pace);
        command.args(["--brokers", &brokers.to_string(), "--topics", &topics.to_string()]);
        Held::start(command)
    }

    /// Lets the simulated brokers go, so that the next start with none.
    fn of_name_server(&self, held: Held, spent: f64, args: &Args) -> Run {
        let mut report = held.report.clone();
        report["serverCpuSeconds"] = spent.into();
        let mut run = with_cpu(run_of(&report), &report, args);
        run.value = Some(status_kib(self.namesrv.process.id(), "VmRSS:") / 1024.0);
        self.let_go(held);
        run
    }

    fn let_go(&self, held: Held) {
        drop(held);
        wait_until("the simulated brokers to be forgotten", PATIENCE, || {
            let list = wire::cluster_list(&self.namesrv.addr)?;
            (!list.contains("bench-broker")).then_some(())
        });
    }

    /// Registrations and questions for a Java name server's compiler.
    pub fn warm_up_name_server(&self, seconds: u32) {
        let half = (seconds / 2).to_string();
        let pace = ["--duration", "1", "--warm-up", &half].map(str::to_owned);
        let mut held = self.simulate(WARM_UP_BROKERS, WARM_UP_BROKERS * 10, &pace);
        held.read();
        self.let_go(held);
    }
}
