//! Doing a work once.

mod clock;
mod cold;
mod hold;
mod read;
mod service;

use std::time::Duration;

use serde_json::Value;

pub use hold::Held;

use crate::Args;
use crate::figures::Run;
use crate::floor;
use crate::generator::{self, QUEUES, Sends, cpu_of, pace, run_of, with_cpu};
use crate::servers::{Echo, Group};
use crate::work::{Load, Rate, Setup, Work};

/// With each message of a pull's answer, beside its body.
const AROUND_A_BODY: u32 = 150;

impl Echo {
    /// None where the echo server says nothing about the work.
    pub fn run(&self, work: &Work, args: &Args) -> Option<Run> {
        match work.load {
            // Nothing that answers all in flight after they are on disk can be faster.
            Load::Send { size, in_flight, .. } if work.setup == Setup::SyncFlush => {
                let bytes = (size + AROUND_A_BODY) as usize * in_flight as usize;
                let measured = Duration::from_secs(args.seconds.into());
                let syncs = floor::write_and_sync(self.scene.path(), bytes, measured);
                let per_second = syncs.expect("a file") * f64::from(in_flight);
                Some(Run { per_second, ..Run::default() })
            }
            Load::Send { size, in_flight, batch, topics } => {
                let sends = Sends { size, in_flight, batch, topics, queues: queues_of(topics) };
                let watched = cpu_of(&[self.id()]);
                let target = ["--broker", &self.addr, &watched[0], &watched[1]];
                let report = generator::produce(&target, "floor", sends, &pace(args));
                Some(with_cpu(run_of(&report), &report, args))
            }
            // As far as the answer: how long the machine itself keeps a request waiting.
            Load::EndToEnd { rate: Rate::Fixed(rate) } => {
                let watched = cpu_of(&[self.id()]);
                let target = ["--broker", &self.addr, &watched[0], &watched[1]];
                let by_clock = ["--rate", &rate.to_string(), "-c", "1"].map(str::to_owned);
                let pace = [&pace(args)[..], &by_clock[..]].concat();
                let report =
                    generator::produce(&target, "floor", Sends::plain(clock::IN_FLIGHT), &pace);
                Some(with_cpu(run_of(&report), &report, args))
            }
            // What a pull's answer carries: bodies and about a hundred bytes with each.
            Load::CatchUp { size, .. } => {
                let rate = floor::loopback_copy(Duration::from_secs(1)).expect("the loopback");
                let per_second = rate / f64::from(size + AROUND_A_BODY);
                Some(Run { per_second, ..Run::default() })
            }
            _ => None,
        }
    }
}

impl Group {
    pub fn run(&mut self, work: &Work, args: &Args) -> Run {
        match work.load {
            Load::Send { size, in_flight, batch, topics } => {
                let sends = Sends { size, in_flight, batch, topics, queues: queues_of(topics) };
                let topic = if topics == 1 { "send" } else { "many" };
                if topics > 1 {
                    // Every queue has had a message before: its files are there.
                    let first = (topics * queues_of(topics) * 4).to_string();
                    self.fill_as(topic, "many0", sends, &first, &[]);
                }
                self.send(topic, sends, args)
            }
            Load::CatchUp { size, pulls, queues } => self.catch_up(size, pulls, queues),
            Load::Filter { by } => self.filter(by),
            Load::EndToEnd { rate } => self.end_to_end(rate, args),
            Load::Tail { consumers, rate } => self.tail(consumers, rate, args),
            Load::Cold { pulls } => self.cold(pulls, args),
            Load::BesideReader { reader } => self.beside_reader(reader, args),
            Load::Pop { in_flight } => self.pop(in_flight, args),
            Load::Transactions { in_flight } => self.transactions(in_flight, args),
            Load::Delayed => self.delayed(),
            Load::Timers => self.timers(),
            Load::Connections { count } => self.connections(count),
            Load::Recover { mib } => self.recover(mib),
            Load::Register { brokers, topics } => self.register(brokers, topics, args),
            Load::Routes { brokers, topics } => self.routes(brokers, topics, args),
        }
    }

    /// Sends for as long as the program's arguments say.
    pub fn send(&self, topic: &str, sends: Sends, args: &Args) -> Run {
        let pace = pace(args);
        let pace: Vec<&str> = pace.iter().map(String::as_str).collect();
        let report = self.produce(topic, sends, &pace);
        with_cpu(run_of(&report), &report, args)
    }
}

/// The run of a load that ended after so many messages.
fn counted(report: &Value, messages: f64) -> Run {
    assert!(messages > 0.0, "there was nothing to read: is the disk too full? {report}");
    let spent = report["serverCpuSeconds"].as_f64();
    let cpu_per_million = spent.map(|spent| spent / messages * 1e6);
    Run { cpu_per_million, ..run_of(report) }
}

/// Thousands of topics have one queue each: every queue of Java's is a file in its address space,
/// of which Linux gives it 65,530.
fn queues_of(topics: u32) -> u32 {
    if topics > 1000 { 1 } else { QUEUES }
}
