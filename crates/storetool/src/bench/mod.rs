//! `skua bench store`: what the store makes of this disk, beside what bare loops make of it in the
//! same run, on files made in the same way.

mod append;
mod floor;
mod memory;
mod read;
mod recover;
mod report;
mod rig;

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use skua_store::{AppendError, DiskError, FlushError, OpenError};

use report::Report;

/// Measure the store on a disk, without a server: appends, reads, a start, and bare loops beside.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A folder on the disk to be measured; what is made in it is deleted again.
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Seconds for each figure.
    #[arg(short, long, default_value_t = 2.0, value_parser = seconds)]
    duration: f64,
    /// Bodies of these lengths.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1024, 4096])]
    sizes: Vec<usize>,
    /// Numbers of appends in flight at a time.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64])]
    writers: Vec<usize>,
    /// Most MiB written for one figure: what the disk must have free, twice over.
    #[arg(long, default_value_t = 2048)]
    mib: u64,
    /// MiB of memory that are filled and given free before each figure of appends, so that the host
    /// of a virtual machine is not waited for; 0: none.
    #[arg(long, default_value_t = 2048)]
    touch: u64,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('s').parse::<f64>() {
        Ok(seconds) if (0.05..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("not a number of seconds from 0.05 to 3600".to_owned()),
    }
}

/// How long, and how much, for one figure.
#[derive(Clone, Copy, Debug)]
struct Pace {
    duration: Duration,
    bytes: u64,
}

#[derive(Debug, thiserror::Error)]
enum BenchError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Flush(#[from] FlushError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0} read of {1} messages")]
    Read(u64, u64),
}

pub fn run(args: &Args) -> ExitCode {
    let said = measure(args).and_then(|report| {
        let text = if args.json { format!("{}\n", report.json()) } else { report.text() };
        Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
    });
    match said {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the output has had enough, `head` for one.
        Err(BenchError::Io(cause)) if cause.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(cause) => {
            eprintln!("skua bench store: {cause}");
            ExitCode::from(1)
        }
    }
}

fn measure(args: &Args) -> Result<Report, BenchError> {
    let pace = Pace { duration: Duration::from_secs_f64(args.duration), bytes: args.mib << 20 };
    let mut report = Report::default();
    let ready = || memory::touch(&args.dir, args.touch);
    for size in &args.sizes {
        eprintln!("bodies of {size} bytes: bare loops");
        ready()?;
        let write = floor::write(&args.dir, *size, pace)?;
        report.floors.push(write);
        for writers in &args.writers {
            ready()?;
            report.floors.push(floor::group_commit(&args.dir, *size, *writers, pace)?);
        }
        for writers in &args.writers {
            for sync in [false, true] {
                eprintln!("bodies of {size} bytes: {writers} writers, sync {sync}");
                ready()?;
                report.appends.push(append::rate(&args.dir, *size, *writers, sync, pace)?);
            }
        }
    }
    eprintln!("reads");
    report.reads = read::rates(&args.dir, pace)?;
    eprintln!("sends while old data is read");
    report.beside = read::sends_beside_reads(&args.dir, pace)?;
    eprintln!("starts");
    report.starts = recover::starts(&args.dir, pace)?;
    Ok(report)
}
