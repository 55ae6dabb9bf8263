//! `skua store import`: stores exported messages anew, with queue ids, properties, body and birth
//! as they were; queue offsets and store times are those of a message that comes now.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use skua_protocol::record::{FLAG_TRANSACTION_MASK, NewRecord};
use skua_protocol::{Millis, QueueId};
use skua_store::{RealDisk, Store};

use crate::export::{Head, VERSION};
use crate::line::Line;
use crate::{Failure, Locate, Outcome, Place, topics};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// The exported file; `-` for standard input.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: PathBuf,
    /// Store under this topic instead of that in the file.
    #[arg(short, long)]
    topic: Option<String>,
}

pub fn run(args: &Args, locate: Locate<'_>, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let named = |why: String| Failure::Usage(format!("{}: {why}", args.file.display()));
    let mut input: Box<dyn BufRead> = if args.file.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        let file = File::open(&args.file).map_err(|why| named(why.to_string()))?;
        Box::new(BufReader::new(file))
    };
    let mut text = String::new();
    input.read_line(&mut text)?;
    let head: Head =
        serde_json::from_str(&text).map_err(|why| named(format!("line 1 is no head: {why}")))?;
    if head.skua_export != "topic" || head.version != VERSION {
        let found = format!("{} of version {}", head.skua_export, head.version);
        return Err(named(format!(
            "line 1 announces a {found}; a topic of version {VERSION} is read"
        )));
    }
    let topic = args.topic.clone().unwrap_or(head.topic);

    let options = locate(&args.place).map_err(Failure::Usage)?;
    let store = Store::open(options, Arc::new(RealDisk), now())?;
    if head.topic_config.as_ref().is_some_and(topics::has_batch_queues) {
        store.set_batch_topic(&topic);
    }
    let imported = import(&store, &topic, &mut *input, &named);
    // What is stored stays, whatever came after.
    let closed = store.config_files();
    let result = imported.and_then(|(count, queues)| {
        let added = topics::add(&closed, &topic, head.topic_config.as_ref(), queues)?;
        Ok((count, added))
    });
    store.close()?;
    let (count, added) = result?;
    writeln!(out, "{count} messages imported into {topic}")?;
    if added {
        writeln!(out, "{topic} added to config/{}", topics::FILE)?;
    }
    Ok(Outcome::Good)
}

/// Returns how many messages, and how many queues the topic needs.
fn import(
    store: &Store,
    topic: &str,
    input: &mut dyn BufRead,
    named: &dyn Fn(String) -> Failure,
) -> Result<(u64, u32), Failure> {
    let (mut count, mut queues) = (0, 0);
    let mut text = String::new();
    for number in 2_u64.. {
        text.clear();
        if input.read_line(&mut text)? == 0 {
            break;
        }
        if text.trim().is_empty() {
            continue;
        }
        let wrong = |why: String| named(format!("line {number}: {why}"));
        let line: Line = serde_json::from_str(&text).map_err(|why| wrong(why.to_string()))?;
        let properties = line.encoded_properties().map_err(&wrong)?;
        let body = line.body_bytes().map_err(&wrong)?;
        let record = NewRecord {
            topic,
            queue_id: QueueId(line.queue_id),
            flag: line.flag,
            // A committed message is an ordinary one here: its half message is elsewhere.
            sys_flag: line.sys_flag & !FLAG_TRANSACTION_MASK,
            born_timestamp: Millis(line.born_time),
            born_host: line.born_host,
            store_host: line.store_host,
            reconsume_times: line.reconsume_times,
            prepared_transaction_offset: 0,
            body: &body,
            properties: &properties,
        };
        store.append(&record, now()).map_err(|why| wrong(why.to_string()))?;
        queues = queues.max(line.queue_id.saturating_add(1));
        count += 1;
        if count % 1024 == 0 {
            while store.dispatch() > 0 {}
        }
    }
    Ok((count, queues))
}

pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
