//! Skua, the Java broker 5.5.0 and the machine's floor under the same load, side by side.
//!
//! `cargo run --release -p skua-bench` starts them, loads one after the other (the others stand
//! frozen), goes round several times, and writes a table with medians, ranges and ratios as
//! Markdown, JSON and a picture. See `bench/README.md`.

mod figures;
mod floor;
mod picture;
mod servers;
mod table;
mod work;

use std::path::PathBuf;
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
    /// Where `results.md`, `results.json` and `results.svg` go.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

fn main() -> io::Result<()> {
    let args = Args::parse();
    let chosen = |work: &Work| {
        args.only.is_empty() || args.only.iter().any(|text| work.name.contains(text.as_str()))
    };
    let mut figures = Figures::default();
    for setup in Setup::ALL {
        let works: Vec<&Work> =
            WORKS.iter().filter(|work| work.setup == setup && chosen(work)).collect();
        if works.is_empty() {
            continue;
        }
        let servers = Servers::start(setup, &args, &mut figures);
        for round in 0..args.rounds {
            for work in &works {
                for competitor in Competitor::ALL {
                    let Some(run) = servers.run(competitor, work, &args) else { continue };
                    eprintln!(
                        "{} round {}: {}, {competitor:?}: {:.0}/s",
                        setup.name(),
                        round + 1,
                        work.name,
                        run.per_second
                    );
                    figures.add(work.name, competitor, run);
                }
            }
        }
        servers.finish(&mut figures);
    }
    fs::create_dir_all(&args.out)?;
    let text = table::markdown(&figures);
    print!("{text}");
    fs::write(args.out.join("results.md"), &text)?;
    fs::write(args.out.join("results.json"), serde_json::to_string_pretty(&figures)?)?;
    let picture = args.out.join("results.svg");
    picture::draw(&figures, &picture).map_err(io::Error::other)?;
    eprintln!("written to {}", args.out.display());
    Ok(())
}
