//! Skua, the Java broker 5.5.0 and the machine's floor under the same load, side by side.
//!
//! `cargo run -p skua-bench` starts them, loads one after the other (the others stand
//! frozen), goes round several times, and writes a table with medians, ranges and ratios as
//! Markdown, JSON and a picture. See `bench/README.md`.

mod figures;
mod floor;
mod generator;
mod growth;
mod picture;
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
use servers::{Competitor, Servers};
use work::{Setup, WORKS, Work};

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
    /// Where `results.md`, `results.json` and `results.svg` go.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

impl Args {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|text| name.contains(text.as_str()))
    }
}

fn main() -> io::Result<ExitCode> {
    let mut args = Args::parse();
    if args.growth {
        growth::run(&args)?;
        eprintln!("written to {}", args.out.display());
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(dir) = &args.store {
        store::run(&args, dir)?;
        eprintln!("written to {}", args.out.display());
        return Ok(ExitCode::SUCCESS);
    }
    args.without_java |= args.gate;
    let chosen = |work: &Work| (!args.gate || work.gate.is_some()) && args.wants(work.name);
    let mut figures = Figures::default();
    for setup in Setup::ALL {
        let works: Vec<&Work> =
            WORKS.iter().filter(|work| work.setup == setup && chosen(work)).collect();
        if works.is_empty() {
            continue;
        }
        let mut servers = Servers::start(setup, &args, &mut figures);
        for round in 0..args.rounds {
            for work in &works {
                for competitor in Competitor::ALL {
                    if work.once && round > 0 {
                        continue;
                    }
                    let Some(run) = servers.run(competitor, work, &args) else { continue };
                    eprintln!(
                        "{} round {}: {}, {competitor:?}: {}",
                        setup.name(),
                        round + 1,
                        work.name,
                        table::brief(&run, work.unit)
                    );
                    figures.add((work.name, work.unit), competitor, run);
                }
            }
        }
        servers.finish(&mut figures);
    }
    fs::create_dir_all(&args.out)?;
    let text = table::markdown(&figures) + &table::generator(&figures);
    print!("{text}");
    fs::write(args.out.join("results.md"), &text)?;
    fs::write(args.out.join("results.json"), serde_json::to_string_pretty(&figures)?)?;
    let picture = args.out.join("results.svg");
    picture::draw(&figures, &picture).map_err(io::Error::other)?;
    eprintln!("written to {}", args.out.display());
    let missed = WORKS.iter().filter(|work| args.gate && !passes(work, &figures)).count();
    Ok(ExitCode::from(u8::from(missed > 0)))
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
