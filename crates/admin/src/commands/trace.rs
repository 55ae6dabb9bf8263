//! What clients recorded about a message: who sent it, who consumed it, how long it took.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use skua_protocol::Millis;
use skua_protocol::record::Message;
use skua_protocol::request::QueryMessage;

use super::message;
use crate::failure::Failure;
use crate::mqadmin::options::{required, value};
use crate::mqadmin::{Context, SubCommand};
use crate::{body, time};

const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";
/// Between records and between their fields (Java: `TraceConstants`).
const RECORD_END: char = '\u{2}';
const FIELD_END: char = '\u{1}';

pub const QUERY_MSG_TRACE_BY_ID: SubCommand = SubCommand {
    name: "queryMsgTraceById",
    about: "Query a message trace.",
    example: "-i 7F000001ABCD1B28BC0400000001",
    answer: &["[].sent", "[].group", "[].clientHost", "[].time", "[].cost", "[].success"],
    options: &[
        required("i", "msgId", "Message Id"),
        value("t", "traceTopic", "The name value of message trace topic"),
        value("b", "beginTimestamp", "Begin timestamp(ms). default:0, eg:1676730526212"),
        value("e", "endTimestamp", "End timestamp(ms). default:Long.MAX_VALUE, eg:1676730526212"),
        value("c", "maxNum", "The maximum number of messages returned by the query, default:64"),
    ],
    run: |context| Box::pin(query_trace(context)),
};

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Trace {
    sent: bool,
    group: String,
    client_host: String,
    time: i64,
    /// Milliseconds.
    cost: i64,
    success: bool,
}

/// The records about message `id` in one trace message; broken ones are left out.
fn traces(text: &str, id: &str, host: &str) -> Vec<Trace> {
    text.split(RECORD_END).filter_map(|record| trace(record, id, host)).collect()
}

fn trace(record: &str, id: &str, host: &str) -> Option<Trace> {
    let fields: Vec<&str> = record.split(FIELD_END).collect();
    let number = |index: usize| fields.get(index).and_then(|field| field.parse::<i64>().ok());
    let text = |index: usize| fields.get(index).copied().unwrap_or_default().to_owned();
    let client_host = host.to_owned();
    match *fields.first()? {
        // 4.x clients had one field less before the outcome.
        "Pub" if fields.get(5) == Some(&id) => Some(Trace {
            sent: true,
            group: text(3),
            client_host,
            time: number(1)?,
            cost: number(10)?,
            success: text(if fields.len() == 13 { 12 } else { 13 }) == "true",
        }),
        "SubAfter" if fields.get(2) == Some(&id) => Some(Trace {
            sent: false,
            group: text(8),
            client_host,
            time: number(7).unwrap_or(0),
            cost: number(3)?,
            success: text(4) == "true",
        }),
        _ => None,
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Traces(Vec<Trace>);

impl fmt::Display for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |f: &mut fmt::Formatter<'_>, cells: [&str; 6]| {
            let [kind, group, host, time, cost, status] = cells;
            writeln!(f, "{kind:<10} {group:<20} {host:<20} {time:<20} {cost:<10} {status:<10}")
        };
        let head = |f: &mut fmt::Formatter<'_>, group: &str, time: &str| {
            row(f, ["#Type", group, "#ClientHost", time, "#CostTimes", "#Status"])
        };
        let line = |f: &mut fmt::Formatter<'_>, kind: &str, trace: &Trace| {
            row(
                f,
                [
                    kind,
                    &trace.group,
                    &trace.client_host,
                    &time::to_second(Millis(trace.time)),
                    &format!("{}ms", trace.cost),
                    if trace.success { "success" } else { "failed" },
                ],
            )
        };
        let mut groups: BTreeMap<&str, Vec<&Trace>> = BTreeMap::new();
        for trace in &self.0 {
            if trace.sent {
                head(f, "#ProducerGroup", "#SendTime")?;
                line(f, "Pub", trace)?;
                writeln!(f)?;
            } else {
                groups.entry(&trace.group).or_default().push(trace);
            }
        }
        for traces in groups.values() {
            head(f, "#ConsumerGroup", "#ConsumerTime")?;
            traces.iter().try_for_each(|trace| line(f, "Sub", trace))?;
            writeln!(f)?;
        }
        Ok(())
    }
}

async fn query_trace(context: &Context<'_>) -> Result<(), Failure> {
    let id = context.required("i")?;
    let topic = context.get("t").unwrap_or(TRACE_TOPIC);
    let header = QueryMessage {
        topic: topic.into(),
        key: id.into(),
        max_num: context.number("c")?.unwrap_or(64),
        begin_timestamp: context.number("b")?.unwrap_or(0),
        end_timestamp: context.number("e")?.unwrap_or(i64::MAX),
        ..QueryMessage::default()
    };
    let messages = message::query(&context.cluster, topic, topic, &header).await?;
    let found = messages.iter().flat_map(|message: &Message| {
        let plain = body::plain(message).unwrap_or_else(|_| message.body.clone());
        traces(&String::from_utf8_lossy(&plain), id, &message.born_host.ip().to_string())
    });
    context.print(&Traces(found.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_senders_and_consumers_are_read() {
        let sent =
            "Pub|1700000000000|region|PG|T|ID|tag|key|127.0.0.1:10911|5|12|0|OFFSET|true|10.0.0.1";
        let consumed = "SubAfter|REQ|ID|7|false|key|0|1700000001000|CG";
        let other = "SubAfter|REQ|OTHER|7|true|key|0|1700000001000|CG";
        let text = format!("{sent};{consumed};{other};Pub|broken;");
        let text = text.replace('|', "\u{1}").replace(';', "\u{2}");
        let found = traces(&text, "ID", "10.0.0.9");
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].group.as_str(), found[0].cost, found[0].success), ("PG", 12, true));
        assert_eq!((found[1].group.as_str(), found[1].cost, found[1].success), ("CG", 7, false));
        let printed = Traces(found).to_string();
        let rows: Vec<&str> = printed.lines().collect();
        assert_eq!(rows.len(), 6, "{printed}");
        assert!(
            rows[0].starts_with("#Type      #ProducerGroup       #ClientHost          #SendTime")
        );
        assert!(rows[1].starts_with("Pub        PG                   10.0.0.9             "));
        assert!(rows[4].starts_with("Sub        CG                   10.0.0.9             "));
        assert!(rows[4].ends_with("7ms        failed    "));
    }
}
