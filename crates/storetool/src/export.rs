//! `skua store export`: a topic's messages as lines of JSON behind a line that says what they are.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::line::Line;
use crate::select::{Selection, Shown};
use crate::{Failure, Locate, Outcome, Place, open, topics};

/// The format's version.
pub const VERSION: u32 = 1;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// The topic.
    #[arg(short, long)]
    topic: String,
    /// The file to write; `-` for standard output.
    #[arg(short = 'f', long = "file", value_name = "FILE", default_value = "-")]
    file: PathBuf,
    #[command(flatten)]
    selection: Selection,
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// `topic`.
    pub skua_export: String,
    pub version: u32,
    pub topic: String,
    /// Its entry in `topics.json`.
    #[serde(default)]
    pub topic_config: Option<Value>,
}

pub fn run(args: &Args, locate: Locate<'_>, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let directory = open(&args.place, locate)?;
    let table = directory.table(topics::FILE)?.unwrap_or_default();
    let head = Head {
        skua_export: "topic".to_owned(),
        version: VERSION,
        topic: args.topic.clone(),
        topic_config: topics::entry(&table, &args.topic),
    };
    // Before the file is made: a wrong topic leaves none.
    directory.queues_of(&args.topic)?;
    let to_stdout = args.file.as_os_str() == "-";
    let mut file;
    let into: &mut dyn Write = if to_stdout {
        out
    } else {
        let made = File::create_new(&args.file);
        let named = |why| Failure::Usage(format!("cannot make {}: {why}", args.file.display()));
        file = BufWriter::new(made.map_err(named)?);
        &mut file
    };
    let (mut count, mut damage) = (0_u64, 0_u64);
    line(into, &head)?;
    args.selection.walk(&directory, Some(&args.topic), &mut |shown| {
        match shown {
            Shown::Message(record) => {
                line(into, &Line::of(record))?;
                count += 1;
            }
            Shown::Damage { offset, reason } => {
                damage += 1;
                eprintln!("skua store: no message at physical offset {offset}: {reason}");
            }
        }
        Ok(())
    })?;
    into.flush()?;
    eprintln!("{count} messages of {} exported", args.topic);
    Ok(if damage == 0 { Outcome::Good } else { Outcome::Damage })
}

fn line<T: Serialize>(out: &mut dyn Write, value: &T) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, value).map_err(std::io::Error::from)?;
    writeln!(out)
}
