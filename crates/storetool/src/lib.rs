//! `skua store`: what is in a store's directory, whether it is whole, and what to do if it is not.
//!
//! `inspect`, `verify`, `dump` and `export` read only, by [`skua_store::inspect`], and may be used
//! on a directory that a broker is working on. `repair` and `import` open the store, which
//! takes its lock, as do `import-dledger` and `set-aside`. No format is known here.
//!
//! [`bench`] is `skua bench store`.

pub mod bench;
mod dump;
mod export;
mod import;
mod import_dledger;
mod inspect;
mod line;
mod repair;
mod select;
mod set_aside;
mod topics;
mod verify;
mod words;

pub use set_aside::{REFILL_MARK, aside_name, move_aside};

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use skua_store::inspect::Directory;
use skua_store::{DiskError, OpenError, RealDisk, StoreOptions};

/// Look at, check, repair and copy what a store's directory holds.
#[derive(Debug, Parser)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Files, topics, queues, offsets, time span.
    Inspect(inspect::Args),
    /// Check every record, queue entry and index entry; ends with 0 if all is well, 1 if not.
    Verify(verify::Args),
    /// Print messages.
    Dump(dump::Args),
    /// Show what of the commit log is damaged, and do what you choose. No broker may be running.
    Repair(repair::Args),
    /// Move the log and all that is made from it into a folder: the next start finds an empty
    /// store, as a slave that is to be filled anew needs it. No broker may be running.
    SetAside(set_aside::Args),
    /// Write a topic's messages to a file, one JSON object a line.
    Export(export::Args),
    /// Store the messages of an exported file. No broker may be running.
    Import(import::Args),
    /// Make a store of what a broker of RocketMQ's own DLedger holds, which is only read. No broker
    /// may be running on either.
    ImportDledger(import_dledger::Args),
}

/// Which store.
#[derive(Clone, Debug, clap::Args)]
pub struct Place {
    /// Root of the store (`storePathRootDir`), or the folder given to `standalone --data`.
    #[arg(value_name = "DIR", required_unless_present = "config")]
    pub dir: Option<PathBuf>,
    /// The broker's configuration: names the folders, and the lengths of files.
    #[arg(short = 'c', long = "configFile", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Makes the store's options for a place; the program knows configuration files.
pub type Locate<'a> = &'a dyn Fn(&Place) -> Result<StoreOptions, String>;

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("cannot print: {0}")]
    Print(#[from] io::Error),
}

/// What a command that has done its work has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Good,
    Damage,
}

/// Runs the command on the standard outputs: 0 for good, 1 for damage found, 2 for everything else.
pub fn run(args: &Args, locate: Locate<'_>) -> ExitCode {
    ExitCode::from(run_on(args, locate, &mut BufWriter::new(io::stdout().lock())))
}

/// As [`run`], with the output to `out`; returns the status.
pub fn run_on(args: &Args, locate: Locate<'_>, out: &mut dyn Write) -> u8 {
    let outcome = match &args.what {
        What::Inspect(args) => inspect::run(args, locate, out),
        What::Verify(args) => verify::run(args, locate, out),
        What::Dump(args) => dump::run(args, locate, out),
        What::Repair(args) => repair::run(args, locate, out),
        What::SetAside(args) => set_aside::run(args, locate, out),
        What::Export(args) => export::run(args, locate, out),
        What::Import(args) => import::run(args, locate, out),
        What::ImportDledger(args) => import_dledger::run(args, locate, out),
    };
    match outcome.and_then(|outcome| Ok(out.flush().map(|()| outcome)?)) {
        Ok(Outcome::Good) => 0,
        Ok(Outcome::Damage) => 1,
        // Whoever reads has seen enough.
        Err(Failure::Print(cause)) if cause.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(failure) => {
            eprintln!("skua store: {failure}");
            2
        }
    }
}

/// The directory, which must be there.
fn open(place: &Place, locate: Locate<'_>) -> Result<Directory, Failure> {
    let options = locate(place).map_err(Failure::Usage)?;
    let directory = Directory::open(options, Arc::new(RealDisk))?;
    if !directory.exists()? {
        let root = directory.root().display();
        return Err(Failure::Usage(format!("there is no store in {root}")));
    }
    Ok(directory)
}
