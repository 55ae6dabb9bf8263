//! `skua store dump`: messages, for people or as lines of JSON.

use std::io::Write;

use bytes::Bytes;
use skua_protocol::record::{Message, Record};

use crate::line::Line;
use crate::select::{Selection, Shown};
use crate::words::moment;
use crate::{Failure, Locate, Outcome, Place, open};

/// How much of a body is printed.
const BODY_CHARS: usize = 120;
/// A compressed body is opened up to this length.
const BODY_LEN_MAX: usize = 4 << 20;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// This topic's messages, in the order they were stored; without it, all that is in the log,
    /// half messages too.
    #[arg(short, long)]
    topic: Option<String>,
    #[command(flatten)]
    selection: Selection,
    /// Print one JSON object a message, with all of its body and properties.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, locate: Locate<'_>, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let directory = open(&args.place, locate)?;
    let mut outcome = Outcome::Good;
    args.selection.walk(&directory, args.topic.as_deref(), &mut |shown| {
        match shown {
            Shown::Message(record) if args.json => {
                serde_json::to_writer(&mut *out, &Line::of(record))
                    .map_err(std::io::Error::from)?;
                writeln!(out)?;
            }
            Shown::Message(record) => print(record, out)?,
            Shown::Damage { offset, reason } => {
                outcome = Outcome::Damage;
                eprintln!("skua store: no message at physical offset {offset}: {reason}");
            }
        }
        Ok(())
    })?;
    Ok(outcome)
}

fn print(record: &Record<'_>, out: &mut dyn Write) -> std::io::Result<()> {
    let offset = record.queue_offset();
    let messages = messages(record);
    // A record of a batch queue may hold several.
    let offsets = match messages.len() as i64 {
        0 | 1 => format!("offset {offset}"),
        count => format!("offsets {offset} to {}", offset + count - 1),
    };
    writeln!(
        out,
        "{}  queue {}  {offsets}  physical offset {}  {} bytes  stored {}",
        record.topic(),
        record.queue_id(),
        record.physical_offset(),
        record.size(),
        moment(record.store_timestamp().0)
    )?;
    write!(out, "   ")?;
    for (name, value) in record.properties().iter() {
        write!(out, " {name}={value}")?;
    }
    writeln!(out)?;
    if messages.is_empty() {
        return writeln!(out, "    {}", body(record.body()));
    }
    for message in &messages {
        let plain = message.plain_body(BODY_LEN_MAX);
        let text = body(plain.as_deref().unwrap_or(&message.body));
        if messages.len() == 1 {
            return writeln!(out, "    {text}");
        }
        write!(out, "    {}:", message.queue_offset)?;
        for (name, value) in message.properties().iter() {
            write!(out, " {name}={value}")?;
        }
        writeln!(out, "\n        {text}")?;
    }
    Ok(())
}

/// What a consumer would get of the record; nothing if it cannot be taken apart.
fn messages(record: &Record<'_>) -> Vec<Message> {
    Message::decode_all(&Bytes::copy_from_slice(record.bytes())).unwrap_or_default()
}

/// The body's beginning; its bytes where it is no text.
fn body(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            let mut chars = text.chars();
            let start: String = chars.by_ref().take(BODY_CHARS).collect();
            let start = start.escape_debug();
            if chars.next().is_some() { format!("{start}…") } else { start.to_string() }
        }
        Err(_) => {
            let start: Vec<_> = bytes.iter().take(32).map(|byte| format!("{byte:02x}")).collect();
            format!("{} bytes: {}", bytes.len(), start.join(" "))
        }
    }
}
