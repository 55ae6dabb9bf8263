//! Reading what is in the page cache: all of it, and what a filter lets pass.

use serde_json::json;
use skua_interop::wire;

use super::{AROUND_A_BODY, counted};
use crate::figures::Run;
use crate::generator::{Sends, number};
use crate::servers::Group;
use crate::work::FilterBy;

/// Messages that catching up reads: as many of each server's, all in the page cache.
const CATCH_UP_BYTES: u64 = 400 * 1024 * 1024;
/// Of so many messages a filter lets one pass.
const ONE_IN: &str = "100";
/// More than there are: a run with it ends when all queues have ended.
const ALL: &str = "1000000000";

impl Group {
    pub fn catch_up(&self, size: u32, pulls: u32, queues: u32) -> Run {
        let topic = format!("catch-up-{size}-{queues}");
        let count = (CATCH_UP_BYTES / u64::from(size + AROUND_A_BODY)).to_string();
        let all = ["--count", &count, "--warm-up", "0"];
        if self.fill(&topic, Sends { size, queues, ..Sends::plain(64) }, &count, &[]) {
            // Once for the compiler's sake.
            self.consume(&topic, pulls, &all);
        }
        let report = self.consume(&topic, pulls, &all);
        counted(&report, number(&report["messages"]))
    }

    /// The rate is of the messages that are gone over, not of the few that come.
    pub fn filter(&self, by: FilterBy) -> Run {
        let topic = "filter";
        let plain = Sends::plain(64);
        let count = (CATCH_UP_BYTES / u64::from(plain.size + AROUND_A_BODY)).to_string();
        let marks = ["--tag", "wanted", "--property", "kind=7", "--one-in", ONE_IN];
        let wanted = match by {
            FilterBy::Tag => ["--tag", "wanted"],
            FilterBy::Sql => ["--sql", "kind = 7"],
        };
        let pace = [&wanted[..], &["--count", ALL, "--warm-up", "0"]].concat();
        if self.fill(topic, plain, &count, &marks) {
            self.consume(topic, 8, &pace);
        }
        let report = self.consume(topic, 8, &pace);
        let run = counted(&report, number(&report["goneOver"]));
        Run { per_second: number(&report["goneOverPerSecond"]), ..run }
    }

    /// So many messages into `topic`, if it does not have what was sent there before; whether that
    /// was so.
    pub fn fill(&self, topic: &str, sends: Sends, count: &str, more: &[&str]) -> bool {
        self.fill_as(topic, topic, sends, count, more)
    }

    /// The same where `first`, of several topics, is looked at.
    pub fn fill_as(
        &self,
        topic: &str,
        first: &str,
        sends: Sends,
        count: &str,
        more: &[&str],
    ) -> bool {
        let missing = !is_whole(&self.brokers[0].addr, first);
        if missing {
            let pace = [&["--count", count, "--warm-up", "0"], more].concat();
            self.produce(topic, sends, &pace);
        }
        missing
    }
}

/// Whether the first queue of `topic` has messages, and all that were sent to it: on a disk that
/// fills servers delete the oldest (requests GET_MAX_OFFSET, GET_MIN_OFFSET).
fn is_whole(broker: &str, topic: &str) -> bool {
    const GET_MAX_OFFSET: i32 = 30;
    const GET_MIN_OFFSET: i32 = 31;
    let ask = |code| {
        let fields = json!({ "topic": topic, "queueId": "0" });
        let (header, _) = wire::call(broker, code, fields, &[])?;
        header["extFields"]["offset"].as_str()?.parse::<i64>().ok()
    };
    ask(GET_MAX_OFFSET).is_some_and(|max| max > 0) && ask(GET_MIN_OFFSET) == Some(0)
}
