//! In open loop: messages leave by the clock whether or not earlier ones are answered.

use std::thread;

use super::counted;
use crate::Args;
use crate::figures::Run;
use crate::generator::{Sends, bench, number, report, run_of, with_times};
use crate::servers::Group;
use crate::work::Rate;

/// Never so many: the clock says when the next leaves.
const IN_FLIGHT: u32 = 4096;
/// Sends in flight where capacity is measured.
const FULL: u32 = 256;

impl Group {
    pub fn end_to_end(&mut self, rate: Rate, args: &Args) -> Run {
        let (topic, rate) = match rate {
            Rate::Fixed(rate) => (format!("end-to-end-{rate}"), rate),
            Rate::OfCapacity { percent } => {
                let capacity = match self.capacity {
                    Some(known) => known,
                    None => self.measure_capacity(args),
                };
                (format!("end-to-end-{percent}-percent"), (capacity * percent / 100.0) as u32)
            }
        };
        let rate = rate.max(1).to_string();
        self.followed(&topic, IN_FLIGHT, &["--rate", &rate, "-c", "1"], args)
    }

    /// Messages a second that are sent while a consumer takes them all.
    fn measure_capacity(&mut self, args: &Args) -> f64 {
        let run = self.followed("capacity", FULL, &[], args);
        self.capacity = Some(run.per_second);
        run.per_second
    }

    /// Sends while a consumer follows: the rate at which messages come, and the times from when
    /// each was due.
    fn followed(&self, topic: &str, in_flight: u32, more: &[&str], args: &Args) -> Run {
        let total = (args.seconds + args.warm_up).to_string();
        // The topic has to be there before its consumer.
        self.produce(topic, Sends::plain(1), &["--count", "8", "--warm-up", "0"]);
        let mut consumer = bench("consume", &["-n", &self.namesrv.addr], topic);
        consumer.args(["--follow", "-i", "8", "--warm-up", &args.warm_up.to_string()]);
        consumer.args(["--duration", &args.seconds.to_string()]);
        let consumer = thread::spawn(move || report(consumer));
        let pace = [more, &["--warm-up", "0", "--duration", &total]].concat();
        let sent = self.produce(topic, Sends::plain(in_flight), &pace);
        let received = consumer.join().expect("the consumer's thread");
        let mut run = with_times(run_of(&received), &received["endToEndMs"]);
        run.cpu_per_million = counted(&sent, number(&sent["messages"])).cpu_per_million;
        run
    }
}
