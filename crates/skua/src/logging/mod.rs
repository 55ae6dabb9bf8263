//! The log: text or JSON, to standard error or a file that is rotated, at levels that can be
//! changed while the process runs.
//!
//! `RUST_LOG` sets the levels of the start, else the key `logLevel`; a change of `logLevel` by
//! request counts at once, and SIGHUP reads it from the configuration file again.

mod file;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::Context;
use clap::{Args, ValueEnum};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use file::RotatedFile;

const MIB: u64 = 1024 * 1024;
const DEFAULT_LEVELS: &str = "info";

/// Where the log goes and how it looks.
#[derive(Args, Clone, Debug, Default)]
pub struct LogArgs {
    /// One line of text or one JSON object an event
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        env = "SKUA_LOG_FORMAT",
        default_value = "text"
    )]
    pub log_format: Format,
    /// File for the log instead of standard error
    #[arg(long, value_name = "FILE", env = "SKUA_LOG_FILE")]
    pub log_file: Option<PathBuf>,
    /// Size in MiB at which the log file is put aside and a new one begun
    #[arg(long, value_name = "MIB", env = "SKUA_LOG_MAX_SIZE", default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    pub log_max_size: u64,
    /// Log files that are kept, the one being written included
    #[arg(long, value_name = "COUNT", env = "SKUA_LOG_FILES", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub log_files: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// What can be changed while the process runs.
struct Running {
    filter: reload::Handle<EnvFilter, Registry>,
    levels: Mutex<String>,
    file: Option<Arc<RotatedFile>>,
}

static RUNNING: OnceLock<Running> = OnceLock::new();

/// Whether `RUST_LOG` rules; then the configuration of the start does not.
fn levels_of_environment() -> Option<String> {
    std::env::var("RUST_LOG").ok().filter(|levels| !levels.is_empty())
}

/// Begins the log, before anything is told.
pub fn start(args: &LogArgs) -> anyhow::Result<()> {
    let levels = levels_of_environment().unwrap_or_else(|| DEFAULT_LEVELS.to_owned());
    let filter = EnvFilter::try_new(&levels)
        .with_context(|| format!("RUST_LOG={levels} is no list of levels"))?;
    let (filter, handle) = reload::Layer::new(filter);
    let file = match &args.log_file {
        Some(path) => {
            let file = RotatedFile::open(path, args.log_max_size * MIB, args.log_files)
                .with_context(|| format!("cannot write the log file {}", path.display()))?;
            Some(Arc::new(file))
        }
        None => None,
    };
    let ansi = file.is_none() && args.log_format == Format::Text && io::stderr().is_terminal();
    let lines = fmt::layer().with_writer(Out(file.clone())).with_ansi(ansi).with_target(false);
    let lines: Box<dyn Layer<_> + Send + Sync> = match args.log_format {
        Format::Text => lines.boxed(),
        Format::Json => lines.json().flatten_event(true).with_target(true).boxed(),
    };
    // A tool may come here for each of its stores: the first log stays.
    if tracing_subscriber::registry().with(filter).with(lines).try_init().is_ok() {
        let _ = RUNNING.set(Running { filter: handle, levels: Mutex::new(levels), file });
    }
    Ok(())
}

/// What the configuration says at the start; `RUST_LOG` wins.
pub fn configured(levels: &str) {
    if levels_of_environment().is_none() {
        set_levels(levels);
    }
}

/// From now on only lines of these levels are written. Says so once if that is a change.
pub fn set_levels(levels: &str) {
    let Some(running) = RUNNING.get() else { return };
    let mut held = running.levels.lock().unwrap_or_else(PoisonError::into_inner);
    if *held == levels {
        return;
    }
    let changed = EnvFilter::try_new(levels)
        .map_err(|cause| cause.to_string())
        .and_then(|filter| running.filter.reload(filter).map_err(|cause| cause.to_string()));
    match changed {
        Ok(()) => {
            tracing::info!(from = %held, to = levels, "log levels changed");
            levels.clone_into(&mut held);
        }
        Err(cause) => tracing::error!(levels, cause, "these are no log levels; nothing changed"),
    }
}

/// Opens the log file anew: another program may have moved it away.
pub fn reopen() {
    let Some(file) = RUNNING.get().and_then(|running| running.file.as_ref()) else { return };
    if let Err(cause) = file.reopen() {
        tracing::error!(%cause, "cannot open the log file again; going on with the old one");
    }
}

/// Makes the writer of each line.
struct Out(Option<Arc<RotatedFile>>);

impl<'a> MakeWriter<'a> for Out {
    type Writer = Box<dyn Write + 'a>;

    fn make_writer(&'a self) -> Self::Writer {
        match &self.0 {
            Some(file) => Box::new(&**file),
            None => Box::new(io::stderr()),
        }
    }
}
