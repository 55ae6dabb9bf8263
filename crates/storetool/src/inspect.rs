//! `skua store inspect`: an overview that takes a moment, whatever the store's size.

use std::io::Write;
use std::ops::ControlFlow;

use serde::Serialize;
use skua_store::inspect::{Directory, LogReader, Piece};

use crate::words::{moment, size};
use crate::{Failure, Locate, Outcome, Place, open};

/// A longer topic pushes its line out.
const TOPIC_WIDTH_MAX: usize = 40;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// Only topics whose names contain this.
    #[arg(short, long)]
    topic: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Overview {
    root: String,
    /// No broker is running, and the last one ended by itself.
    closed: bool,
    commit_log: Log,
    checkpoint: Times,
    index: Vec<Index>,
    tables: Vec<Table>,
    queues: Vec<Queue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    files: usize,
    file_size: u64,
    min_offset: u64,
    max_offset: u64,
    first_store_time: i64,
    last_store_time: i64,
}

#[derive(Serialize)]
struct Times {
    log: u64,
    queues: u64,
    index: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    file: String,
    entries: u32,
    first_store_time: u64,
    last_store_time: u64,
}

#[derive(Serialize)]
struct Table {
    name: String,
    bytes: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Queue {
    topic: String,
    queue_id: u32,
    /// Of the batch kind.
    batch: bool,
    min_offset: u64,
    max_offset: u64,
    first_store_time: i64,
    last_store_time: i64,
}

pub fn run(args: &Args, locate: Locate<'_>, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let directory = open(&args.place, locate)?;
    let overview = overview(&directory, args.topic.as_deref())?;
    if args.json {
        let text = serde_json::to_string_pretty(&overview).map_err(std::io::Error::from)?;
        writeln!(out, "{text}")?;
    } else {
        print(&overview, out)?;
    }
    Ok(Outcome::Good)
}

fn overview(directory: &Directory, topic: Option<&str>) -> Result<Overview, Failure> {
    let checkpoint = directory.checkpoint()?;
    let index = directory.index_files()?.into_iter().filter_map(|file| {
        let header = file.header?;
        Some(Index {
            file: file.path.file_name()?.to_string_lossy().into_owned(),
            entries: header.count.saturating_sub(1),
            first_store_time: header.first_time,
            last_store_time: header.last_time,
        })
    });
    let tables = directory.tables()?.into_iter();
    Ok(Overview {
        root: directory.root().display().to_string(),
        closed: !directory.is_in_use_or_killed()?,
        commit_log: log(directory)?,
        checkpoint: Times {
            log: checkpoint.log,
            queues: checkpoint.queues,
            index: checkpoint.index,
        },
        index: index.collect(),
        tables: tables.map(|table| Table { name: table.name, bytes: table.len }).collect(),
        queues: queues(directory, topic)?,
    })
}

fn log(directory: &Directory) -> Result<Log, Failure> {
    let files = directory.log_files();
    let start = directory.log_start();
    let mut log = Log {
        files: files.len(),
        file_size: files.iter().map(|file| file.len).max().unwrap_or(0),
        min_offset: start,
        max_offset: start,
        first_store_time: 0,
        last_store_time: 0,
    };
    let first = LogReader::new(directory).record_at(start, |record| record.store_timestamp())?;
    log.first_store_time = first.map_or(0, |time| time.0);
    // Files made ahead have nothing yet.
    for base in files.iter().rev().filter_map(|file| file.base) {
        directory.walk_log(base, &mut |offset, piece| {
            match piece {
                Piece::Message(record) => {
                    log.max_offset = offset + record.size() as u64;
                    log.last_store_time = record.store_timestamp().0;
                }
                Piece::EndOfFile | Piece::Damage { .. } | Piece::End { .. } => {}
            }
            ControlFlow::Continue(())
        })?;
        if log.last_store_time > 0 {
            break;
        }
    }
    Ok(log)
}

fn queues(directory: &Directory, topic: Option<&str>) -> Result<Vec<Queue>, Failure> {
    let mut reader = LogReader::new(directory);
    let mut queues = Vec::new();
    for files in directory.queues()? {
        if topic.is_some_and(|topic| !files.topic.contains(topic)) {
            continue;
        }
        let (min, max) = directory.bounds(&files)?;
        let mut time = |queue_offset: u64| -> Result<i64, Failure> {
            let mut entry = None;
            directory.walk_queue(&files, queue_offset, &mut |found| {
                entry = Some(found);
                ControlFlow::Break(())
            })?;
            let Some(entry) = entry.filter(|entry| !entry.is_blank) else { return Ok(0) };
            let time = reader.record_at(entry.physical_offset, |r| r.store_timestamp().0)?;
            Ok(time.unwrap_or(0))
        };
        let (first, last) = if min < max { (time(min)?, time(max - 1)?) } else { (0, 0) };
        queues.push(Queue {
            topic: files.topic.clone(),
            queue_id: files.queue_id.0,
            batch: files.is_batch,
            min_offset: min,
            max_offset: max,
            first_store_time: first,
            last_store_time: last,
        });
    }
    Ok(queues)
}

fn print(overview: &Overview, out: &mut dyn Write) -> std::io::Result<()> {
    let Overview { commit_log: log, checkpoint, .. } = overview;
    let state = if overview.closed {
        "ended cleanly"
    } else {
        "did not end cleanly, or a broker is running"
    };
    writeln!(out, "store         {}", overview.root)?;
    writeln!(out, "last run      {state}")?;
    writeln!(
        out,
        "commit log    {} files of {}, physical offsets {} to {} ({})",
        log.files,
        size(log.file_size),
        log.min_offset,
        log.max_offset,
        size(log.max_offset - log.min_offset)
    )?;
    let (first, last) = (moment(log.first_store_time), moment(log.last_store_time));
    writeln!(out, "stored        {first} to {last}")?;
    let [log, queues, index] =
        [checkpoint.log, checkpoint.queues, checkpoint.index].map(|time| moment(time as i64));
    writeln!(out, "checkpoint    log {log}, queues {queues}, index {index}")?;
    for file in &overview.index {
        let Index { file, entries, first_store_time, last_store_time } = file;
        let (first, last) = (moment(*first_store_time as i64), moment(*last_store_time as i64));
        writeln!(out, "index         {file}: {entries} entries, {first} to {last}")?;
    }
    for Table { name, bytes } in &overview.tables {
        writeln!(out, "config        {name} ({})", size(*bytes))?;
    }
    if overview.queues.is_empty() {
        return Ok(());
    }
    let width = overview.queues.iter().map(|queue| queue.topic.chars().count()).max();
    let width = width.unwrap_or(0).clamp(5, TOPIC_WIDTH_MAX);
    writeln!(
        out,
        "\n{:width$} {:>5} {:>12} {:>12}  {:23}  last stored",
        "topic", "queue", "min offset", "max offset", "first stored"
    )?;
    for queue in &overview.queues {
        writeln!(
            out,
            "{:width$} {:>5} {:>12} {:>12}  {:23}  {}",
            queue.topic,
            queue.queue_id,
            queue.min_offset,
            queue.max_offset,
            moment(queue.first_store_time),
            moment(queue.last_store_time)
        )?;
    }
    Ok(())
}
