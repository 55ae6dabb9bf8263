//! `skua consume`: prints a topic's messages, and with `--follow` those that come.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::Serialize;
use skua_protocol::record::Message;

use crate::client::consumer::{Consumer, From, PullStatus, Pulled};
use crate::client::route::{self, Queue};
use crate::client::{CALL_TIMEOUT, Cluster, split_addresses};
use crate::failure::Failure;
use crate::time;

/// How long a broker may hold a pull when following, as Java's push consumers ask.
const HOLD: Duration = Duration::from_secs(15);

/// Print the messages of a topic.
#[derive(Debug, Parser)]
pub struct Args {
    /// Name servers, `host:port` separated by `;`.
    #[arg(short = 'n', long, env = "NAMESRV_ADDR", default_value = "127.0.0.1:9876")]
    namesrv: String,
    /// The topic to read.
    #[arg(short, long)]
    topic: String,
    /// Where to begin in each queue: `beginning`, `end`, an offset, or a time such as
    /// `2026-01-31`, `2026-01-31T12:30:00` or `@` and milliseconds since 1970.
    #[arg(long, default_value = "beginning", value_parser = from)]
    from: From,
    /// Go on with messages that come later.
    #[arg(short, long)]
    follow: bool,
    /// End after this many messages.
    #[arg(short, long)]
    max: Option<u64>,
    /// Only messages with one of these tags, `a || b`.
    #[arg(long, default_value = "*")]
    tag: String,
    /// `text`: the body and a line's end; `json`: an object a line, with everything else too.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

fn from(text: &str) -> Result<From, String> {
    match text {
        "beginning" => return Ok(From::Beginning),
        "end" => return Ok(From::End),
        _ => {}
    }
    if let Ok(offset) = text.parse::<u64>() {
        return i64::try_from(offset).map(From::Offset).map_err(|cause| cause.to_string());
    }
    // A number alone is an offset; only `@` makes it a time.
    let number = text.parse::<i64>().is_ok();
    time::parse(text.strip_prefix('@').unwrap_or(text), time::now())
        .filter(|_| !number)
        .map(From::Time)
        .ok_or_else(|| "not beginning, end, an offset or a time".to_owned())
}

/// A message as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Printed<'a> {
    topic: &'a str,
    broker: &'a str,
    queue_id: i32,
    queue_offset: i64,
    message_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique_id: Option<&'a str>,
    born_timestamp: i64,
    store_timestamp: i64,
    born_host: String,
    store_host: String,
    flag: i32,
    sys_flag: i32,
    reconsume_times: i32,
    properties: serde_json::Map<String, serde_json::Value>,
    /// The body if it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    /// Else its bytes in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_hex: Option<String>,
}

/// Reads and prints until the topic's end, the number asked for, or (following) an interrupt.
pub fn run(args: &Args) -> ExitCode {
    let result = crate::block_on(async {
        let cluster = Cluster::new(split_addresses(&args.namesrv), CALL_TIMEOUT);
        let mut out = io::BufWriter::new(io::stdout().lock());
        let result = tokio::select! {
            result = read_all(args, &cluster, &mut out) => result,
            _ = tokio::signal::ctrl_c() => Ok(()),
        };
        out.flush().map_err(Failure::Output).and(result)
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the output has had enough, `head` for one.
        Err(Failure::Output(cause)) if cause.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(failure) => crate::fail("consume", &failure.to_string(), failure.exit_status()),
    }
}

async fn read_all(args: &Args, cluster: &Cluster, out: &mut impl Write) -> Result<(), Failure> {
    let queues = route::readable(&cluster.route(&args.topic).await?);
    if queues.is_empty() {
        return Err(Failure::other(format!("topic {} has no queue that can be read", args.topic)));
    }
    let consumer = &Consumer::new(cluster, &args.topic, &args.tag);
    let hold = args.follow.then_some(HOLD);
    let mut left = args.max.unwrap_or(u64::MAX);
    // One pull of each queue is under way at any time; a queue that is done is not pulled again.
    let mut pulls = FuturesUnordered::new();
    for queue in &queues {
        let offset = consumer.start(queue, args.from).await?;
        pulls.push(pull(consumer, queue, offset, hold));
    }
    while left > 0
        && let Some((queue, offset, pulled)) = pulls.next().await
    {
        let Pulled { status, next_offset, messages, .. } = pulled?;
        for message in messages.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
            print(message, queue, args.format, out).map_err(Failure::Output)?;
            left -= 1;
        }
        out.flush().map_err(Failure::Output)?;
        let at_end = status == PullStatus::NoNewMessage && next_offset <= offset;
        // Beyond the end the broker names the end; before the beginning, the beginning.
        let stuck = status == PullStatus::OffsetIllegal && next_offset == offset;
        if args.follow || !(at_end || stuck) {
            pulls.push(pull(consumer, queue, next_offset, hold));
        }
    }
    Ok(())
}

async fn pull<'a>(
    consumer: &Consumer<'_>,
    queue: &'a Queue,
    offset: i64,
    hold: Option<Duration>,
) -> (&'a Queue, i64, Result<Pulled, Failure>) {
    (queue, offset, consumer.pull_some(queue, offset, hold).await)
}

fn print(message: &Message, queue: &Queue, format: Format, out: &mut impl Write) -> io::Result<()> {
    let body = crate::body::plain(message).map_err(|cause| {
        io::Error::other(format!(
            "message at {}:{} offset {}: {cause}",
            queue.broker_name, queue.id, message.queue_offset
        ))
    });
    if format == Format::Text {
        out.write_all(&body?)?;
        return out.write_all(b"\n");
    }
    // A body that cannot be decompressed is shown as it is; sysFlag tells.
    let body = body.unwrap_or_else(|_| message.body.clone());
    serde_json::to_writer(&mut *out, &printed(message, &queue.broker_name, &body))?;
    out.write_all(b"\n")
}

/// A message of one broker as JSON, for others that show it.
pub(crate) fn shown(message: &Message, broker: &str) -> serde_json::Value {
    let body = crate::body::plain(message).unwrap_or_else(|_| message.body.clone());
    // Text and numbers become JSON whatever they are.
    serde_json::to_value(printed(message, broker, &body)).unwrap_or_default()
}

fn printed<'a>(message: &'a Message, broker: &'a str, body: &'a [u8]) -> Printed<'a> {
    let text = std::str::from_utf8(body).ok();
    Printed {
        topic: &message.topic,
        broker,
        queue_id: message.queue_id,
        queue_offset: message.queue_offset,
        message_id: message.offset_id(),
        unique_id: message.unique_id(),
        born_timestamp: message.born_timestamp.0,
        store_timestamp: message.store_timestamp.0,
        born_host: message.born_host.to_string(),
        store_host: message.store_host.to_string(),
        flag: message.flag,
        sys_flag: message.sys_flag,
        reconsume_times: message.reconsume_times,
        properties: message
            .properties()
            .iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect(),
        body: text,
        body_hex: text.is_none().then(|| body.iter().map(|byte| format!("{byte:02x}")).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skua_protocol::Millis;

    #[test]
    fn every_place_to_begin_is_understood() {
        assert_eq!(from("beginning"), Ok(From::Beginning));
        assert_eq!(from("end"), Ok(From::End));
        assert_eq!(from("12"), Ok(From::Offset(12)));
        assert_eq!(from("@1577836800000"), Ok(From::Time(Millis(1_577_836_800_000))));
        assert_eq!(from("2020-01-01T00:00:00Z"), Ok(From::Time(Millis(1_577_836_800_000))));
        assert!(from("-1").is_err());
        assert!(from("sometime").is_err());
    }
}
