//! Skua, the Java broker 5.5.0 and the machine's floor under the same load, side by side.
//!
//! `cargo run -p skua-bench` starts them, loads one after the other (the others stand
//! frozen), goes round several times, and writes a table with medians, ranges and ratios as
//! Markdown, JSON and a picture. See `bench/README.md`.

mod aims;
mod figures;
mod floor;
mod generator;
mod growth;
mod machine;
mod measure;
mod memory;
mod picture;
mod plan;
mod runs;
mod servers;
mod setup;
mod store;
mod table;
mod usage;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;
use std::{fs, io};

use clap::Parser;

use figures::Figures;
use machine::Machine;
use servers::Competitor;
use work::{WORKS, Work};

/// Within the folder of the results.
const RESULTS: &str = "results.json";

#[derive(Debug, Parser)]
struct Args {
    /// How many times each work is done by each server; medians and ranges are of these.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds measured of each run.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Seconds before each run that are not measured.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=600))]
    warm_up: u32,
    /// Seconds of load for a Java server's compiler before the first round.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u32).range(0..=600))]
    java_warm_up: u32,
    /// MiB of memory that are filled and given free right before each run that writes as fast as
    /// it can, so that no server waits for the host of a virtual machine to give them; 0: none.
    #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u32).range(0..=65_536))]
    touch: u32,
    /// Only works whose name contains one of these.
    #[arg(long)]
    only: Vec<String>,
    /// Without the Java servers.
    #[arg(long)]
    without_java: bool,
    /// Only Skua and the floor, only works that have a least share of the floor's rate: ends with
    /// status 1 if one is missed. For the test command; takes about a minute.
    #[arg(long)]
    gate: bool,
    /// In place of the table: what a send costs Skua with more and more topics, queues, groups,
    /// connections and stored messages. Writes `growth.md`, `growth.json` and `growth.svg`.
    #[arg(long, conflicts_with = "gate")]
    growth: bool,
    /// In place of the table: the store alone on the disk of this folder, Skua's and Java's beside
    /// bare loops, and starts of both brokers on the same directory. Writes `store.md` and
    /// `store.json`.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["gate", "growth"])]
    store: Option<PathBuf>,
    /// Most MiB written for one figure of `--store`, and a quarter of it is the log of the starts.
    #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u64).range(64..))]
    store_mib: u64,
    /// Where `results.md`, `results.json`, `results.svg` (the aims) and `works.svg` go; the second is
    /// written after each run.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// Goes on with the `results.json` of a run that was interrupted, or that had fewer rounds or
    /// works.
    #[arg(long, conflicts_with_all = ["gate", "growth", "store"])]
    resume: bool,
    /// Measures nothing: makes tables and pictures anew from this `results.json`.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["gate", "growth", "store", "resume"])]
    from: Option<PathBuf>,
    /// Where the picture of the aims goes, in place of `results.svg`.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Measures nothing: tells what would be done, and how long it would take.
    #[arg(long)]
    list: bool,
}

impl Args {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|text| name.contains(text.as_str()))
    }

    fn wants_work(&self, work: &Work) -> bool {
        (!self.gate || work.gate.is_some()) && self.wants(work.name)
    }

    fn results(&self) -> PathBuf {
        self.out.join(RESULTS)
    }

    /// Where the servers' folders are.
    fn ground(&self) -> PathBuf {
        self.out.join("servers")
    }
}

fn main() -> io::Result<ExitCode> {
    let mut args = Args::parse();
    if let Some(file) = &args.from {
        return show(&Figures::read(file)?, &args).map(|()| ExitCode::SUCCESS);
    }
    args.without_java |= args.gate;
    if args.list {
        plan::list(&args);
        return Ok(ExitCode::SUCCESS);
    }
    let ground = ground(&args)?;
    let code = run(&args)?;
    fs::remove_dir_all(ground)?;
    Ok(code)
}

/// The servers' folders are on the disk of the results, which is a disk; an interrupted run leaves
/// them there for the next to remove.
fn ground(args: &Args) -> io::Result<PathBuf> {
    fs::create_dir_all(&args.out)?;
    let ground = args.ground();
    if ground.exists() {
        fs::remove_dir_all(&ground)?;
    }
    fs::create_dir(&ground)?;
    tempfile::env::override_temp_dir(&ground.canonicalize()?)
        .map_err(|other| io::Error::other(format!("temporary files go to {}", other.display())))?;
    Ok(ground)
}

fn run(args: &Args) -> io::Result<ExitCode> {
    if args.growth {
        growth::run(args)?;
        eprintln!("written to {}", args.out.display());
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(dir) = &args.store {
        store::run(args, dir)?;
        eprintln!("written to {}", args.out.display());
        return Ok(ExitCode::SUCCESS);
    }
    let mut figures = Figures { machine: Machine::here(args), ..Figures::default() };
    if args.resume {
        figures = resumed(&figures.machine, args)?;
    }
    measure::all(&mut figures, args)?;
    show(&figures, args)?;
    let missed = WORKS.iter().filter(|work| args.gate && !passes(work, &figures)).count();
    Ok(ExitCode::from(u8::from(missed > 0 || !figures.failed.is_empty())))
}

/// What an earlier run measured, if it may be put together with this one's.
fn resumed(now: &Machine, args: &Args) -> io::Result<Figures> {
    let file = args.results();
    let mut figures = Figures::read(&file)?;
    if let Some(what) = now.differs(&figures.machine) {
        let text = format!("{} is of another kind of run: {what}", file.display());
        return Err(io::Error::other(text));
    }
    figures.machine.rounds = figures.machine.rounds.max(args.rounds);
    // They are tried again.
    figures.failed.clear();
    Ok(figures)
}

/// Writes tables and pictures.
fn show(figures: &Figures, args: &Args) -> io::Result<()> {
    fs::create_dir_all(&args.out)?;
    let text = table::markdown(figures);
    print!("{text}");
    fs::write(args.out.join("results.md"), &text)?;
    let picture = args.svg.clone().unwrap_or_else(|| args.out.join("results.svg"));
    picture::draw_aims(figures, &picture).map_err(io::Error::other)?;
    let works = args.out.join("works.svg");
    picture::draw_works(figures, &works).map_err(io::Error::other)?;
    eprintln!("written to {} and {}", args.out.display(), picture.display());
    Ok(())
}

/// Whether Skua reaches its share of the floor's rate; tells if not.
fn passes(work: &Work, figures: &Figures) -> bool {
    let Some(least) = work.gate else { return true };
    let rate = |competitor| {
        figures.of(work.name, competitor).map_or(0.0, |row| row.median(|run| run.per_second))
    };
    let share = rate(Competitor::Skua) / rate(Competitor::Floor);
    let passed = share >= least;
    if !passed {
        eprintln!("{}: {share:.2} of the floor's rate, must be {least} at least", work.name);
    }
    passed
}
