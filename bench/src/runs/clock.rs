//! In open loop: messages leave by the clock whether or not earlier ones are answered.

use super::{Held, counted};
use crate::Args;
use crate::figures::Run;
use crate::generator::{QUEUES, Sends, bench, number, run_of, with_times};
use crate::servers::{Group, PATIENCE};
use crate::work::Rate;

/// Never so many: the clock says when the next leaves.
pub(super) const IN_FLIGHT: u32 = 4096;
/// Sends in flight where capacity is measured, and over how many connections those of it go.
const FULL: u32 = 256;
const FULL_CONNECTIONS: &str = "4";

/// Queues of the topic that many consumers share.
const TAIL_QUEUES: u32 = 256;

/// Who follows, each with a pull under way for each of its queues.
#[derive(Clone, Copy)]
struct Consumers {
    connections: u32,
    queues: u32,
}

impl Consumers {
    const ONE: Self = Self { connections: 1, queues: QUEUES };
}

impl Group {
    pub fn end_to_end(&mut self, wanted: Rate, args: &Args) -> Run {
        let (topic, rate) = match wanted {
            Rate::Fixed(rate) => (format!("end-to-end-{rate}"), rate),
            Rate::OfCapacity { percent } => {
                let capacity = match self.capacity {
                    Some(known) => known,
                    None => self.measure_capacity(args),
                };
                (format!("end-to-end-{percent}-percent"), (capacity * percent / 100.0) as u32)
            }
        };
        let connections = if matches!(wanted, Rate::Fixed(_)) { "1" } else { FULL_CONNECTIONS };
        let rate = rate.max(1).to_string();
        let by_clock = ["--rate", &rate, "-c", connections];
        self.followed(&topic, Consumers::ONE, IN_FLIGHT, &by_clock, args)
    }

    /// Many queues, shared out among so many consumers, each a connection of its own.
    pub fn tail(&self, consumers: u32, rate: Option<u32>, args: &Args) -> Run {
        let consumers = Consumers { connections: consumers, queues: TAIL_QUEUES };
        match rate {
            Some(rate) => {
                let by_clock = ["--rate", &rate.to_string(), "-c", "1"];
                self.followed("tail", consumers, IN_FLIGHT, &by_clock, args)
            }
            None => self.followed("tail", consumers, FULL, &[], args),
        }
    }

    /// Messages a second that are sent while a consumer takes them all.
    fn measure_capacity(&mut self, args: &Args) -> f64 {
        let run = self.followed("capacity", Consumers::ONE, FULL, &["-c", FULL_CONNECTIONS], args);
        self.capacity = Some(run.per_second);
        run.per_second
    }

    /// Sends while consumers follow: the rate at which messages come, and the times from when each
    /// was due.
    fn followed(
        &self,
        topic: &str,
        consumers: Consumers,
        in_flight: u32,
        more: &[&str],
        args: &Args,
    ) -> Run {
        let total = (args.seconds + args.warm_up).to_string();
        let Consumers { connections, queues } = consumers;
        // The topic has to be there before its consumers.
        let first = Sends { queues, ..Sends::plain(1) };
        self.produce(topic, first, &["--count", "8", "--warm-up", "0"]);
        let mut consumer = bench("consume", &["-n", &self.namesrv.addr], topic);
        consumer.args(["-i", &queues.to_string(), "-c", &connections.to_string()]);
        consumer.args(["--warm-up", &args.warm_up.to_string()]);
        consumer.args(["--duration", &args.seconds.to_string()]);
        let mut consumer = Held::following(consumer);
        let pace = [more, &["--warm-up", "0", "--duration", &total]].concat();
        let sent = self.produce(topic, Sends::plain(in_flight), &pace);
        let received = consumer.read_within(PATIENCE).expect("the consumer's report");
        let sends = run_of(&sent);
        let run = with_times(run_of(&received), &received["endToEndMs"]);
        Run {
            cpu_per_million: counted(&sent, number(&sent["messages"])).cpu_per_million,
            refused: sends.refused + run.refused,
            kept_up: Some(run.per_second / sends.per_second),
            // Two processes: the busier one.
            generator_busy: [sends.generator_busy, run.generator_busy]
                .into_iter()
                .flatten()
                .reduce(f64::max),
            ..run
        }
    }
}
