//! `skua produce`: lines of a file or of the standard input as messages.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use bytes::Bytes;
use clap::Parser;
use serde::Serialize;

use crate::client::producer::{NewMessage, Producer};
use crate::client::{CALL_TIMEOUT, Cluster, split_addresses};
use crate::failure::Failure;

/// Longest line taken; the broker's own limit is smaller by default.
const LINE_LEN_MAX: usize = 16 * 1024 * 1024;
/// A batch's bodies together; brokers take 4 MiB by default.
const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// Send each line of a file, or of the standard input, as a message.
#[derive(Debug, Parser)]
pub struct Args {
    /// Name servers, `host:port` separated by `;`.
    #[arg(short = 'n', long, env = "NAMESRV_ADDR", default_value = "127.0.0.1:9876")]
    namesrv: String,
    /// The topic to send to.
    #[arg(short, long)]
    topic: String,
    /// Keys of every message, separated by blanks.
    #[arg(short, long)]
    key: Option<String>,
    /// Tag of every message.
    #[arg(long)]
    tag: Option<String>,
    /// A property of every message; may be given several times.
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = property)]
    property: Vec<(String, String)>,
    /// Producer group.
    #[arg(short, long, default_value = "skua_produce")]
    group: String,
    /// Send the whole file as one message.
    #[arg(short, long)]
    whole: bool,
    /// Lines sent as one batch.
    #[arg(short, long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch: u16,
    /// Print the counts as JSON.
    #[arg(long)]
    json: bool,
    /// The file; `-` or nothing is the standard input.
    file: Option<PathBuf>,
}

fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("not NAME=VALUE".to_owned()),
    }
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    topic: String,
    messages: u64,
    bytes: u64,
    /// Lines without a character: a message must have a body.
    skipped_empty: u64,
    seconds: f64,
}

/// Sends and prints how many; what was sent before a failure is printed too.
pub fn run(args: &Args) -> ExitCode {
    let mut counts = Counts { topic: args.topic.clone(), ..Counts::default() };
    let start = Instant::now();
    let result = crate::block_on(send_all(args, &mut counts));
    counts.seconds = start.elapsed().as_secs_f64();
    if args.json {
        match serde_json::to_string(&counts) {
            Ok(text) => crate::say(&format!("{text}\n")),
            Err(cause) => return crate::fail("produce", &cause.to_string(), 1),
        }
    } else {
        let Counts { topic, messages, bytes, skipped_empty, seconds } = &counts;
        let skipped = match skipped_empty {
            0 => String::new(),
            skipped => format!("; {skipped} empty lines skipped"),
        };
        crate::say(&format!(
            "sent {messages} messages ({bytes} bytes) to {topic} in {seconds:.3} s{skipped}\n"
        ));
    }
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => crate::fail("produce", &failure.to_string(), failure.exit_status()),
    }
}

async fn send_all(args: &Args, counts: &mut Counts) -> Result<(), Failure> {
    let cluster = Cluster::new(split_addresses(&args.namesrv), CALL_TIMEOUT);
    let name = args.file.as_ref().map_or("-".to_owned(), |path| path.display().to_string());
    let failed = |cause| Failure::File { path: name.clone(), cause };
    let mut input: Box<dyn BufRead> = match &args.file {
        Some(path) if path.as_os_str() != "-" => {
            Box::new(BufReader::new(File::open(path).map_err(failed)?))
        }
        _ => Box::new(io::stdin().lock()),
    };
    let producer = Producer::new(&cluster, &args.topic, &args.group).await?;
    if args.whole {
        let mut body = Vec::new();
        input.take(LINE_LEN_MAX as u64 + 1).read_to_end(&mut body).map_err(failed)?;
        return flush(&producer, &mut vec![message(args, body)?], counts).await;
    }
    let mut batch = Vec::new();
    let mut batch_bytes = 0;
    while let Some(line) = line(&mut input).map_err(failed)? {
        if line.is_empty() {
            counts.skipped_empty += 1;
            continue;
        }
        batch_bytes += line.len();
        batch.push(message(args, line)?);
        if batch.len() >= usize::from(args.batch) || batch_bytes > BATCH_BYTES_MAX {
            flush(&producer, &mut batch, counts).await?;
            batch_bytes = 0;
        }
    }
    flush(&producer, &mut batch, counts).await
}

/// The next line without its end; `None` at the end of the input.
fn line(input: &mut dyn BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = input.take(LINE_LEN_MAX as u64 + 1).read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    Ok(Some(line))
}

fn message(args: &Args, body: Vec<u8>) -> Result<NewMessage, Failure> {
    if body.is_empty() {
        return Err(Failure::other("the message would be empty"));
    }
    if body.len() > LINE_LEN_MAX {
        return Err(Failure::other(format!("a message is longer than {LINE_LEN_MAX} bytes")));
    }
    Ok(NewMessage {
        body: Bytes::from(body),
        tag: args.tag.clone(),
        keys: args.key.clone(),
        properties: args.property.iter().cloned().collect::<BTreeMap<_, _>>(),
    })
}

async fn flush(
    producer: &Producer<'_>,
    batch: &mut Vec<NewMessage>,
    counts: &mut Counts,
) -> Result<(), Failure> {
    match batch.as_slice() {
        [] => return Ok(()),
        [single] => producer.send(single, None).await?,
        several => producer.send_batch(several).await?,
    };
    counts.messages += batch.len() as u64;
    counts.bytes += batch.iter().map(|message| message.body.len() as u64).sum::<u64>();
    batch.clear();
    Ok(())
}
