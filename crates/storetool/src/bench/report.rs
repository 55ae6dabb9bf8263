//! What was measured, as a table and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

/// Records put into files.
#[derive(Clone, Debug)]
pub struct Rate {
    pub size: usize,
    pub writers: usize,
    pub sync: bool,
    pub count: u64,
    pub bytes: u64,
    pub seconds: f64,
}

impl Rate {
    fn per_second(&self) -> f64 {
        self.count as f64 / self.seconds
    }

    fn bytes_per_second(&self) -> f64 {
        self.bytes as f64 / self.seconds
    }

    fn json(&self) -> Value {
        json!({
            "bodyBytes": self.size,
            "writers": self.writers,
            "sync": self.sync,
            "perSecond": self.per_second(),
            "bytesPerSecond": self.bytes_per_second(),
        })
    }
}

#[derive(Clone, Debug)]
pub struct ReadRate {
    pub random: bool,
    pub cold: bool,
    pub count: u64,
    pub bytes: u64,
    pub seconds: f64,
}

#[derive(Clone, Debug, Default)]
pub struct Latency {
    pub count: u64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub read_bytes_per_second: f64,
}

#[derive(Clone, Debug)]
pub struct Start {
    pub killed: bool,
    pub records: u64,
    pub bytes: u64,
    pub seconds: f64,
}

#[derive(Debug, Default)]
pub struct Report {
    pub floors: Vec<Rate>,
    pub appends: Vec<Rate>,
    pub reads: Vec<ReadRate>,
    pub beside: [Latency; 2],
    pub starts: Vec<Start>,
}

const MIB: f64 = (1 << 20) as f64;

impl Report {
    /// The bare loop that an append is measured against.
    fn floor_of(&self, append: &Rate) -> Option<&Rate> {
        self.floors.iter().find(|floor| {
            floor.size == append.size
                && floor.sync == append.sync
                && (!append.sync || floor.writers == append.writers)
        })
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "appends: body bytes, writers, flush; a second, MiB/s, bare loop, share of it"
        )?;
        for append in &self.appends {
            let floor = self.floor_of(append).map_or(0.0, Rate::per_second);
            writeln!(
                out,
                "  {:>6} {:>4} {:5} {:>11.0} {:>9.1} {:>11.0} {:>6.0} %",
                append.size,
                append.writers,
                if append.sync { "SYNC" } else { "ASYNC" },
                append.per_second(),
                append.bytes_per_second() / MIB,
                floor,
                100.0 * append.per_second() / floor
            )?;
        }
        writeln!(out, "reads of 1 KiB messages: a second, MiB/s")?;
        for read in &self.reads {
            writeln!(
                out,
                "  {:10} {:6} {:>11.0} {:>9.1}",
                if read.random { "random" } else { "sequential" },
                if read.cold { "disk" } else { "cached" },
                read.count as f64 / read.seconds,
                read.bytes as f64 / read.seconds / MIB
            )?;
        }
        let [alone, beside] = &self.beside;
        writeln!(out, "sends of 1 KiB, a thousand a second: p50, p99, p99.9 in microseconds")?;
        for (name, latency) in [("alone", alone), ("old data is read", beside)] {
            let Latency { p50_us, p99_us, p999_us, .. } = latency;
            writeln!(out, "  {name:17} {p50_us:>9.1} {p99_us:>9.1} {p999_us:>9.1}")?;
        }
        writeln!(
            out,
            "  p99 times {:.2} while {:.1} MiB/s are read",
            beside.p99_us / alone.p99_us,
            beside.read_bytes_per_second / MIB
        )?;
        writeln!(out, "starts: seconds, records read, MiB read")?;
        for Start { killed, records, bytes, seconds } in &self.starts {
            let name = if *killed { "killed" } else { "closed" };
            writeln!(out, "  {name:6} {seconds:>9.3} {records:>10} {:>9.1}", *bytes as f64 / MIB)?;
        }
        Ok(())
    }

    pub fn json(&self) -> Value {
        let appends = self.appends.iter().map(|append| {
            let mut value = append.json();
            let floor = self.floor_of(append).map_or(0.0, Rate::per_second);
            value["barePerSecond"] = json!(floor);
            value["share"] = json!(append.per_second() / floor);
            value
        });
        let reads = self.reads.iter().map(|read| {
            json!({
                "random": read.random,
                "cold": read.cold,
                "perSecond": read.count as f64 / read.seconds,
                "bytesPerSecond": read.bytes as f64 / read.seconds,
            })
        });
        let latency = |latency: &Latency| {
            json!({
                "count": latency.count,
                "p50Us": latency.p50_us,
                "p99Us": latency.p99_us,
                "p999Us": latency.p999_us,
                "readBytesPerSecond": latency.read_bytes_per_second,
            })
        };
        let starts = self.starts.iter().map(|start| {
            json!({
                "killed": start.killed,
                "seconds": start.seconds,
                "records": start.records,
                "bytes": start.bytes,
            })
        });
        json!({
            "bare": self.floors.iter().map(Rate::json).collect::<Vec<_>>(),
            "appends": appends.collect::<Vec<_>>(),
            "reads": reads.collect::<Vec<_>>(),
            "sendsAlone": latency(&self.beside[0]),
            "sendsBesideReads": latency(&self.beside[1]),
            "starts": starts.collect::<Vec<_>>(),
        })
    }
}
