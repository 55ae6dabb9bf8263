//! Reading from the disk: the server is started anew, and what it wrote is dropped from the page
//! cache while it does not hold it.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::thread;

use rustix::fs::{Advice, fadvise};

use super::counted;
use crate::Args;
use crate::figures::Run;
use crate::generator::{Sends, bench, number, report};
use crate::servers::Group;

const TOPIC: &str = "cold";
const COLD_QUEUES: u32 = 256;
/// Of each message, so that few seconds write much.
const COLD_BYTES: u64 = 400 * 1024 * 1024;
const STORED: u64 = 1024 + 150;
/// Comes after what is read: a server that starts goes over its last few files of 64 MiB.
const AFTER_BYTES: u64 = 320 * 1024 * 1024;
/// Pulls a second of a reader beside sends, each of 32 messages: as much reading for each server.
const READER_PULLS: u64 = 1000;
const READER_BATCH: u64 = 32;
/// Longest load after each start for a Java server's compiler.
const WARM_AGAIN: u32 = 10;

impl Group {
    pub fn cold(&mut self, pulls: u32, args: &Args) -> Run {
        let count = (COLD_BYTES / STORED).to_string();
        self.make_cold(&count, args);
        let pace = ["--count", &count, "--warm-up", "0"];
        let report = self.consume(TOPIC, pulls, &pace);
        counted(&report, number(&report["messages"]))
    }

    /// Sends with 64 in flight, with or without a reader of cold messages beside them.
    pub fn beside_reader(&mut self, reader: bool, args: &Args) -> Run {
        let needed = u64::from(args.seconds + args.warm_up + 1) * READER_PULLS * READER_BATCH;
        let count = needed.max(COLD_BYTES / STORED).to_string();
        self.make_cold(&count, args);
        let consumer = reader.then(|| {
            let mut consumer = bench("consume", &["-n", &self.namesrv.addr], TOPIC);
            consumer.args(["-i", "8", "--rate", &READER_PULLS.to_string(), "--warm-up", "0"]);
            consumer.args(["--duration", &(args.seconds + args.warm_up).to_string()]);
            thread::spawn(move || report(consumer))
        });
        let run = self.send("send", Sends::plain(64), args);
        let read = consumer.map(|consumer| {
            let report = consumer.join().expect("the reader's thread");
            number(&report["messagesPerSecond"])
        });
        Run { value: read, ..run }
    }

    /// Topic [`TOPIC`] has so many messages, and none of them is in memory.
    fn make_cold(&mut self, count: &str, args: &Args) {
        let sends = Sends { queues: COLD_QUEUES, ..Sends::plain(256) };
        if self.fill(TOPIC, sends, count, &[]) {
            let after = (AFTER_BYTES / (65_536 + 150)).to_string();
            self.produce(
                "after",
                Sends { size: 65_536, ..Sends::plain(16) },
                &["--count", &after, "--warm-up", "0"],
            );
        }
        let broker = &mut self.brokers[0];
        broker.stop();
        drop_pages(&broker.store()).expect("the files of the store");
        broker.launch_again();
        broker.wait_registered();
        self.warm_up(args.java_warm_up.min(WARM_AGAIN));
    }
}

/// Writes the files of a folder down, and lets the kernel forget their pages.
fn drop_pages(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            drop_pages(&path)?;
        } else {
            let file = File::open(&path)?;
            file.sync_all()?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}
