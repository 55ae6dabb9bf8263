//! What a server does beside plain sends and pulls: pops, delayed messages, transactions.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::{Held, counted};
use crate::Args;
use crate::figures::Run;
use crate::generator::{Sends, bench, number, pace, run_of, with_cpu, with_times};
use crate::servers::Group;
use crate::usage::cpu_seconds;

/// Messages to pop, by each run from the first on.
const POP_BYTES: u64 = 400 * 1024 * 1024;
const DELAYED: u32 = 50_000;
/// Delay level 1.
const LEVEL_MS: f64 = 1000.0;
/// All timer messages are due this long after the first is sent: more than their sending takes.
const DUE_AFTER: Duration = Duration::from_secs(8);
/// Longest wait for the last of them after that.
const LATEST: Duration = Duration::from_secs(60);

impl Group {
    pub fn pop(&self, in_flight: u32, args: &Args) -> Run {
        let plain = Sends::plain(64);
        let topic = "pop";
        let count = (POP_BYTES / u64::from(plain.size + super::AROUND_A_BODY)).to_string();
        // A fast server may come to the end before: the time up to then counts.
        let pace = ["--pop", "--duration", &args.seconds.to_string(), "--warm-up", "0"];
        if self.fill(topic, plain, &count, &[]) {
            // Once for the compiler's sake.
            self.consume(topic, in_flight, &pace);
        }
        let report = self.consume(topic, in_flight, &pace);
        counted(&report, number(&report["messages"]))
    }

    pub fn transactions(&self, in_flight: u32, args: &Args) -> Run {
        let [duration, seconds, warm, warm_up] = &pace(args);
        let pace = ["--transaction", duration, seconds, warm, warm_up];
        let report = self.produce("transaction", Sends::plain(in_flight), &pace);
        with_cpu(run_of(&report), &report, args)
    }

    /// The rate of the sends; the times are how late messages come.
    pub fn delayed(&self) -> Run {
        let (run, received) = self.send_delayed("delay", "DELAY=1");
        let Some(received) = received else { return run };
        let mut run = with_times(run, &received["endToEndMs"]);
        for time in [&mut run.p50_ms, &mut run.p99_ms, &mut run.p999_ms, &mut run.p9999_ms] {
            *time = (*time - LEVEL_MS).max(0.0);
        }
        run
    }

    /// The rate of the sends, and how long after the moment at which all are due all have come.
    pub fn timers(&self) -> Run {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let due = (now + DUE_AFTER).as_millis();
        let (run, received) = self.send_delayed("timer", &format!("TIMER_DELIVER_MS={due}"));
        let after = |received: Value| number(&received["endedAt"]) - due as f64;
        Run { value: received.map(after), ..run }
    }

    /// The sends, and the report of a consumer that waits for all of them; none if they do not come.
    fn send_delayed(&self, topic: &str, property: &str) -> (Run, Option<Value>) {
        let count = DELAYED.to_string();
        // The topic has to be there before its consumer.
        self.produce(topic, Sends::plain(1), &["--count", "8", "--warm-up", "0"]);
        let mut consumer = bench("consume", &["-n", &self.namesrv.addr], topic);
        consumer.args(["-i", "8", "--warm-up", "0", "--count", &count]);
        let before = cpu_seconds(&self.pids());
        let mut consumer = Held::following(consumer);
        let pace = ["--property", property, "--count", &count, "--warm-up", "0"];
        let sent = self.produce(topic, Sends::plain(64), &pace);
        let received = consumer.read_within(DUE_AFTER + LATEST);
        if received.is_none() {
            eprintln!("  not all messages came within {} s", LATEST.as_secs());
        }
        let mut run = run_of(&sent);
        run.cpu_per_million = Some((cpu_seconds(&self.pids()) - before) / f64::from(DELAYED) * 1e6);
        (run, received)
    }
}
