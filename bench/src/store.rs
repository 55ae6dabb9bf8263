//! The store without a broker: `skua bench store`, the same loads on the Java broker's store
//! (`interop/java/store`), and starts of both brokers on one directory.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use std::{fs, io};

use serde_json::{Value, json};
use skua_interop::{Broker, Kind, Namesrv, Scene, Tuning, java_store_bench, skua};

use crate::Args;
use crate::setup::{JAVA_OPTIONS, first_acknowledgement};

const SIZES: &str = "100,1024,4096";
const WRITERS: &str = "1,16,64";

pub fn run(args: &Args, dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let dir = dir.canonicalize()?;
    let (seconds, mib) = (args.seconds.to_string(), args.store_mib.to_string());
    let touch = args.touch.to_string();
    let mut command = skua();
    command.args(["bench", "store", "--json", "--duration", &seconds, "--mib", &mib]);
    command.args(["--touch", &touch]);
    let ours = report(command.args(["--sizes", SIZES, "--writers", WRITERS]).arg(&dir))?;
    let (mut java, mut starts) = (Value::Null, Value::Null);
    if !args.without_java {
        let mut command = java_store_bench(JAVA_OPTIONS);
        command.arg("bench").arg(&dir);
        command.args([&seconds, &mib, &args.java_warm_up.to_string(), SIZES, WRITERS, &touch]);
        java = report(&mut command)?;
        starts = self::starts(&dir, args.store_mib / 4)?;
    }
    let all = json!({ "skua": ours, "java": java, "starts": starts });
    let text = markdown(&all);
    print!("{text}");
    fs::create_dir_all(&args.out)?;
    fs::write(args.out.join("store.md"), text)?;
    fs::write(args.out.join("store.json"), serde_json::to_string_pretty(&all)?)
}

/// What the command prints, as JSON.
fn report(command: &mut Command) -> io::Result<Value> {
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("{command:?}: {}", output.status)));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Seconds from the start of the process to the first acknowledgement on a log of so many MiB that
/// the Java store wrote: after `kill -9`, and after a clean end.
fn starts(dir: &Path, mib: u64) -> io::Result<Value> {
    let source = dir.join(format!("skua-bench-starts-{}", std::process::id()));
    let mut fill = java_store_bench(JAVA_OPTIONS);
    fill.arg("fill").arg(&source).arg(mib.to_string());
    let filled = fill.stdout(Stdio::null()).status()?;
    let starts = if filled.success() {
        [Kind::Java, Kind::Skua].map(|kind| starts_of(kind, &source))
    } else {
        [Err(io::Error::other(format!("{fill:?}: {filled}"))), Ok(Value::Null)]
    };
    fs::remove_dir_all(&source)?;
    let [java, ours] = starts;
    Ok(json!({ "mib": mib, "java": java?, "skua": ours? }))
}

fn starts_of(kind: Kind, source: &Path) -> io::Result<Value> {
    eprintln!("starts of {kind:?}");
    let scene = Scene::new();
    let store = scene.folder("broker-a").join("store");
    let mut copy = Command::new("cp");
    if !copy.args(["-a", "--sparse=always"]).arg(source).arg(&store).status()?.success() {
        return Err(io::Error::other("the directory cannot be copied"));
    }
    let namesrv = Namesrv::start(&scene, kind);
    let tuning = Tuning { java_options: Some(JAVA_OPTIONS), ..Tuning::default() };
    let started = Instant::now();
    let mut broker = Broker::start_tuned(&scene, kind, "broker-a", &namesrv.addr, tuning);
    let killed = first_acknowledgement(&broker.addr, started).as_secs_f64();
    broker.stop();
    let started = Instant::now();
    broker.launch_again();
    let closed = first_acknowledgement(&broker.addr, started).as_secs_f64();
    Ok(json!({ "killed": killed, "closed": closed }))
}

fn rows(of: &Value) -> &[Value] {
    of.as_array().map_or(&[], Vec::as_slice)
}

/// The row of the other side for the same load.
fn like<'a>(others: &'a Value, row: &Value, by: &[&str]) -> Option<&'a Value> {
    rows(others).iter().find(|other| by.iter().all(|key| other[key] == row[key]))
}

fn number(of: Option<&Value>, key: &str) -> Option<f64> {
    of?[key].as_f64()
}

fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

fn ratio(a: Option<f64>, b: Option<f64>) -> String {
    cell(a.zip(b).map(|(a, b)| a / b), 2)
}

fn markdown(all: &Value) -> String {
    let (ours, java) = (&all["skua"], &all["java"]);
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = (|| {
        writeln!(
            text,
            "| appends a second: body, writers, flush | bare loop | Java | Skua | Skua : Java | Skua : bare |\n\
             |---|---|---|---|---|---|"
        )?;
        for row in rows(&ours["appends"]) {
            let other = like(&java["appends"], row, &["bodyBytes", "writers", "sync"]);
            let (own, other) = (number(Some(row), "perSecond"), number(other, "perSecond"));
            let bare = number(Some(row), "barePerSecond");
            let flush = if row["sync"] == true { "SYNC_FLUSH" } else { "ASYNC_FLUSH" };
            writeln!(
                text,
                "| {} B, {}, {flush} | {} | {} | {} | {} | {} |",
                row["bodyBytes"],
                row["writers"],
                cell(bare, 0),
                cell(other, 0),
                cell(own, 0),
                ratio(own, other),
                ratio(own, bare)
            )?;
        }
        writeln!(
            text,
            "\n| reads of 1 KiB messages a second | Java | Skua | Skua : Java |\n|---|---|---|---|"
        )?;
        for row in rows(&ours["reads"]) {
            let other = like(&java["reads"], row, &["random", "cold"]);
            let (own, other) = (number(Some(row), "perSecond"), number(other, "perSecond"));
            let order = if row["random"] == true { "random" } else { "sequential" };
            let place = if row["cold"] == true { "from the disk" } else { "from the page cache" };
            writeln!(
                text,
                "| {order}, {place} | {} | {} | {} |",
                cell(other, 0),
                cell(own, 0),
                ratio(own, other)
            )?;
        }
        let (alone, beside) = (&ours["sendsAlone"], &ours["sendsBesideReads"]);
        writeln!(
            text,
            "\nSkua's sends, p99: {} µs alone, {} µs while old data is read.",
            cell(number(Some(alone), "p99Us"), 0),
            cell(number(Some(beside), "p99Us"), 0)
        )?;
        let starts = &all["starts"];
        if starts.is_null() {
            return Ok(());
        }
        writeln!(
            text,
            "\n| seconds from start to first acknowledgement, log of {} MiB | Java | Skua |\n|---|---|---|",
            starts["mib"]
        )?;
        for (what, key) in [("kill -9", "killed"), ("a clean end", "closed")] {
            let of = |kind: &str| cell(number(Some(&starts[kind]), key), 3);
            writeln!(text, "| after {what} | {} | {} |", of("java"), of("skua"))?;
        }
        Ok::<(), std::fmt::Error>(())
    })();
    text
}
