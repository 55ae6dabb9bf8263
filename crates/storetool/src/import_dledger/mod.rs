//! `skua store import-dledger`: a plain store of what a broker of RocketMQ's own DLedger holds.
//!
//! The source is read twice: once to see that it is whole and how much it is, once to copy it. A
//! mark in the new directory keeps a broker from starting on half an import; the same command
//! goes on where it ended.

mod layout;
mod source;
mod target;

use std::io::Write;
use std::path::PathBuf;

use serde::Serialize;
use skua_store::inspect::DLedgerError;

use crate::{Failure, Locate, Outcome, Place};
use source::{Source, Stop, Survey};
use target::Target;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Of the new store, which must be empty or not be there.
    #[command(flatten)]
    place: Place,
    /// Root of the DLedger broker's store (its `storePathRootDir`); it is only read, and its broker
    /// must be stopped.
    #[arg(short = 'f', long = "from", value_name = "DIR")]
    from: PathBuf,
    /// The member (`dLegerSelfId`), if the root has the folders of several.
    #[arg(long, value_name = "ID")]
    member: Option<String>,
    /// Where its data files are, if not under the root (`storePathDLedgerCommitLog`); once for
    /// each folder.
    #[arg(long, value_name = "DIR")]
    data: Vec<PathBuf>,
    /// Where its commit log from before DLedger is, if not under the root (`storePathCommitLog`).
    #[arg(long, value_name = "DIR")]
    from_log: Vec<PathBuf>,
    /// Leave out entries behind the last that the member had noted as agreed on. It notes that
    /// every few seconds: after a kill, acknowledged messages are among them.
    #[arg(long)]
    committed_only: bool,
    /// Read and check everything, write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    member: String,
    /// Messages of DLedger's log, and of the plain log before it.
    messages: u64,
    plain_messages: u64,
    first_index: Option<u64>,
    last_index: Option<u64>,
    last_term: Option<i64>,
    committed_index: Option<u64>,
    /// Entries behind the committed index, and those of them that are not taken.
    uncommitted: u64,
    left_out: u64,
    torn_bytes: u64,
    log_start: u64,
    log_end: u64,
    written: bool,
    /// It went on where an import before had ended.
    resumed: bool,
    queues_continued: u64,
    topics_deleted: Vec<String>,
    /// They have messages and are not in the table of topics.
    topics_unknown: Vec<String>,
    timer_units: u64,
    tables: u64,
}

impl Report {
    fn of(source: &Source, survey: &Survey) -> Self {
        Self {
            member: source.dledger.id().to_owned(),
            messages: survey.messages,
            plain_messages: survey.plain_messages,
            first_index: survey.first,
            last_index: survey.last.map(|(index, _)| index),
            last_term: survey.last.map(|(_, term)| term),
            committed_index: source.dledger.committed(),
            uncommitted: survey.uncommitted,
            left_out: survey.left_out,
            torn_bytes: survey.torn,
            log_start: survey.start,
            log_end: survey.end,
            ..Self::default()
        }
    }

    fn print(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let Self { member, messages, plain_messages, uncommitted, left_out, .. } = self;
        let told = |number: Option<u64>| number.map_or("none".to_owned(), |n| n.to_string());
        writeln!(
            out,
            "member {member}: entries {} to {} (term {}), committed index {}: {messages} messages",
            told(self.first_index),
            told(self.last_index),
            self.last_term.unwrap_or_default(),
            told(self.committed_index),
        )?;
        if *plain_messages > 0 {
            writeln!(out, "{plain_messages} messages of the commit log before DLedger")?;
        }
        if *uncommitted > 0 {
            let what = if *left_out > 0 { "left out" } else { "taken" };
            writeln!(out, "{uncommitted} entries behind the committed index are {what}")?;
        }
        if self.torn_bytes > 0 {
            writeln!(out, "{} bytes at the end are no whole entry", self.torn_bytes)?;
        }
        if !self.written {
            return writeln!(out, "everything can be read; nothing was written");
        }
        let Self { log_start, log_end, queues_continued, timer_units, tables, .. } = self;
        writeln!(
            out,
            "commit log {log_start} to {log_end}, {tables} tables, {timer_units} timer units, \
             {queues_continued} queues without messages go on at their offsets"
        )?;
        for topic in &self.topics_deleted {
            writeln!(out, "topic {topic} had been deleted")?;
        }
        for topic in &self.topics_unknown {
            writeln!(
                out,
                "topic {topic} has messages, but config/topics.json has no entry for it: make it \
                 anew, or take config/ from the member that led last"
            )?;
        }
        Ok(())
    }
}

pub fn run(args: &Args, locate: Locate<'_>, out: &mut dyn Write) -> Result<Outcome, Failure> {
    match import(args, locate) {
        Ok(report) if args.json => {
            let text = serde_json::to_string(&report).map_err(std::io::Error::from)?;
            writeln!(out, "{text}")?;
            Ok(Outcome::Good)
        }
        Ok(report) => {
            report.print(out)?;
            Ok(Outcome::Good)
        }
        Err(Stop::Source(DLedgerError::Damaged { path, position, reason })) => {
            if args.json {
                let path = path.to_string_lossy();
                let what = serde_json::json!({
                    "kind": "damage", "file": path, "position": position, "what": reason,
                });
                writeln!(out, "{what}")?;
            } else {
                writeln!(out, "damage: {} at byte {position}: {reason}", path.display())?;
                writeln!(out, "take the store of another member, or a copy of this one cut there")?;
            }
            Ok(Outcome::Damage)
        }
        Err(Stop::Source(DLedgerError::Disk(cause))) => Err(cause.into()),
        Err(Stop::Source(cause)) => Err(Failure::Usage(cause.to_string())),
        Err(Stop::Other(failure)) => Err(failure),
    }
}

fn import(args: &Args, locate: Locate<'_>) -> Result<Report, Stop> {
    let options = locate(&args.place).map_err(Failure::Usage)?;
    let source = Source::open(args)?;
    let target = Target::look(args, options, &source)?;
    let survey = source.survey(target.wanted_file_size())?;
    let mut report = Report::of(&source, &survey);
    if args.dry_run {
        return Ok(report);
    }
    target.check_space(&source, &survey)?;
    target.fill(args, &source, &survey, &mut report)?;
    report.written = true;
    Ok(report)
}
