//! What a server does beside plain sends and pulls: pops, delayed messages, transactions.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Args;
use crate::figures::Run;
use crate::generator::{
    Sends, bench, number, pace, produce_of, report, run_of, with_cpu, with_times,
};
use crate::servers::Group;
use crate::usage::cpu_seconds;

/// Messages to pop: more than are popped in the time.
const POP_BYTES: u64 = 400 * 1024 * 1024;
const DELAYED: u32 = 50_000;
/// Delay level 1.
const LEVEL_MS: f64 = 1000.0;
/// All timer messages are due this long after the first is sent: more than their sending takes.
const DUE_AFTER: Duration = Duration::from_secs(8);

impl Group {
    pub fn pop(&self, in_flight: u32, args: &Args) -> Run {
        let plain = Sends::plain(64);
        let topic = "pop";
        let count = (POP_BYTES / u64::from(plain.size + super::AROUND_A_BODY)).to_string();
        let [_, seconds, _, warm_up] = pace(args);
        let pace = ["--pop", "--duration", &seconds, "--warm-up", &warm_up];
        if self.fill(topic, plain, &count, &[]) {
            // Once for the compiler's sake.
            self.consume(topic, in_flight, &pace);
        }
        let before = cpu_seconds(&self.pids());
        let report = self.consume(topic, in_flight, &pace);
        let spent = cpu_seconds(&self.pids()) - before;
        with_cpu(run_of(&report), spent, &report, args)
    }

    pub fn transactions(&self, in_flight: u32, args: &Args) -> Run {
        let mut command =
            produce_of(&["-n", &self.namesrv.addr], "transaction", Sends::plain(in_flight));
        command.arg("--transaction").args(pace(args));
        let before = cpu_seconds(&self.pids());
        let report = report(command);
        let spent = cpu_seconds(&self.pids()) - before;
        with_cpu(run_of(&report), spent, &report, args)
    }

    /// The rate of the sends; the times are how late messages come.
    pub fn delayed(&self) -> Run {
        let (sent, received, spent) = self.send_delayed("delay", "DELAY=1");
        let mut run = with_times(run_of(&sent), &received["endToEndMs"]);
        for time in [&mut run.p50_ms, &mut run.p99_ms, &mut run.p999_ms, &mut run.p9999_ms] {
            *time = (*time - LEVEL_MS).max(0.0);
        }
        run.cpu_per_million = Some(spent / f64::from(DELAYED) * 1e6);
        run
    }

    /// The rate of the sends, and how long after the moment at which all are due all have come.
    pub fn timers(&self) -> Run {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let due = (now + DUE_AFTER).as_millis();
        let (sent, received, spent) =
            self.send_delayed("timer", &format!("TIMER_DELIVER_MS={due}"));
        let mut run = run_of(&sent);
        run.value = Some(number(&received["endedAt"]) - due as f64);
        run.cpu_per_million = Some(spent / f64::from(DELAYED) * 1e6);
        run
    }

    /// Reports of sends and of a consumer that waits for all of them, and CPU seconds.
    fn send_delayed(
        &self,
        topic: &str,
        property: &str,
    ) -> (serde_json::Value, serde_json::Value, f64) {
        let count = DELAYED.to_string();
        // The topic has to be there before its consumer.
        self.produce(topic, Sends::plain(1), &["--count", "8", "--warm-up", "0"]);
        let mut consumer = bench("consume", &["-n", &self.namesrv.addr], topic);
        consumer.args(["--follow", "-i", "8", "--warm-up", "0", "--count", &count]);
        let before = cpu_seconds(&self.pids());
        let consumer = thread::spawn(move || report(consumer));
        let pace = ["--property", property, "--count", &count, "--warm-up", "0"];
        let sent = self.produce(topic, Sends::plain(64), &pace);
        let received = consumer.join().expect("the consumer's thread");
        (sent, received, cpu_seconds(&self.pids()) - before)
    }
}
