//! Rates and lags: of a broker's groups, of all topics.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use skua_protocol::body::{BrokerConsumeStats, BrokerStats, BrokerStatsItem, MessageQueue};
use skua_protocol::request::{GetBrokerConsumeStats, ViewBrokerStatsData};
use skua_protocol::{Command, Millis};

use super::consumer::consume_stats;
use super::topic::{DLQ_PREFIX, RETRY_PREFIX, all_topics, groups_of};
use crate::client::{self, route};
use crate::failure::{Failure, Role};
use crate::mqadmin::options::{flag, required, value};
use crate::mqadmin::{Context, SubCommand};
use crate::{text, time};

/// Longest wait for a broker's whole table; Java's default for `-t`.
const TABLE_TIMEOUT: Duration = Duration::from_secs(50);
/// Topics asked about at the same time.
const TOPICS_AT_ONCE: usize = 16;

pub const BROKER_CONSUME_STATS: SubCommand = SubCommand {
    name: "brokerConsumeStats",
    about: "Fetch broker consume stats data.",
    example: "-b 192.168.0.1:10911",
    answer: &[
        "queues[].group",
        "queues[].topic",
        "queues[].brokerName",
        "queues[].queueId",
        "queues[].brokerOffset",
        "queues[].consumerOffset",
        "queues[].diff",
        "queues[].lastTimestamp",
        "totalDiff",
    ],
    options: &[
        required("b", "brokerAddr", "Broker address"),
        value("t", "timeoutMillis", "request timeout Millis"),
        value("l", "level", "threshold of print diff"),
        value("o", "order", "order topic"),
    ],
    run: |context| Box::pin(broker_consume_stats(context)),
};

pub const STATS_ALL: SubCommand = SubCommand {
    name: "statsAll",
    about: "Topic and Consumer tps stats.",
    example: "-t TopicTest",
    answer: &[
        "[].accumulation",
        "[].group",
        "[].in24Hours",
        "[].inTps",
        "[].out24Hours",
        "[].outTps",
        "[].topic",
    ],
    options: &[
        flag("a", "activeTopic", "print active topic only"),
        value("t", "topic", "print select topic only"),
    ],
    run: |context| Box::pin(stats_all(context)),
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Lags {
    queues: Vec<Lag>,
    total_diff: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Lag {
    group: String,
    #[serde(flatten)]
    queue: MessageQueue,
    broker_offset: i64,
    consumer_offset: i64,
    diff: i64,
    last_timestamp: i64,
}

impl fmt::Display for Lags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |f: &mut fmt::Formatter<'_>, cells: [&str; 8]| {
            let [topic, group, broker, queue, max, offset, diff, time] = cells;
            writeln!(
                f,
                "{topic:<64}  {group:<64}  {broker:<32}  {queue:<4}  {max:<20}  {offset:<20}  {diff:<20}  {time}"
            )
        };
        row(
            f,
            [
                "#Topic",
                "#Group",
                "#Broker Name",
                "#QID",
                "#Broker Offset",
                "#Consumer Offset",
                "#Diff",
                "#LastTime",
            ],
        )?;
        for lag in &self.queues {
            row(
                f,
                [
                    text::front(&lag.queue.topic, 64),
                    &lag.group,
                    text::front(&lag.queue.broker_name, 32),
                    &lag.queue.queue_id.to_string(),
                    &lag.broker_offset.to_string(),
                    &lag.consumer_offset.to_string(),
                    &lag.diff.to_string(),
                    &time::to_second(Millis(lag.last_timestamp)),
                ],
            )?;
        }
        writeln!(f, "\nDiff Total: {}", self.total_diff)
    }
}

async fn broker_consume_stats(context: &Context<'_>) -> Result<(), Failure> {
    let header = GetBrokerConsumeStats { is_order: context.truth("o")?.unwrap_or(false) };
    let level = context.number::<i64>("l")?.unwrap_or(0);
    let timeout = context.number("t")?.map_or(TABLE_TIMEOUT, Duration::from_millis);
    let addr = context.required("b")?;
    let answer = context.cluster.call_within(addr, Command::request(&header), timeout).await?;
    let stats: BrokerConsumeStats = answer.accepted(Role::Broker)?.json()?;
    let mut queues = Vec::new();
    for (group, tables) in stats.consume_stats_list.into_iter().flatten() {
        for (queue, offsets) in tables.into_iter().flat_map(|table| table.offset_table) {
            let diff = offsets.broker_offset - offsets.consumer_offset;
            // Java: queues never consumed are not shown.
            if diff >= level && offsets.last_timestamp > 0 {
                queues.push(Lag {
                    group: group.clone(),
                    queue,
                    broker_offset: offsets.broker_offset,
                    consumer_offset: offsets.consumer_offset,
                    diff,
                    last_timestamp: offsets.last_timestamp,
                });
            }
        }
    }
    context.print(&Lags { queues, total_diff: stats.total_diff })
}

#[derive(Serialize)]
#[serde(transparent)]
struct Rates(Vec<Rate>);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rate {
    topic: String,
    /// None if nobody consumes the topic.
    group: Option<String>,
    accumulation: i64,
    in_tps: f64,
    out_tps: f64,
    in_24_hours: i64,
    out_24_hours: i64,
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |f: &mut fmt::Formatter<'_>, cells: [&str; 7]| {
            let [topic, group, lag, input, output, in_24, out_24] = cells;
            writeln!(
                f,
                "{topic:<64}  {group:<64} {lag:>12} {input:>11} {output:>11} {in_24:>14} {out_24:>14}"
            )
        };
        row(
            f,
            [
                "#Topic",
                "#Consumer Group",
                "#Accumulation",
                "#InTPS",
                "#OutTPS",
                "#InMsg24Hour",
                "#OutMsg24Hour",
            ],
        )?;
        self.0.iter().try_for_each(|rate| {
            let (output, out_24) = match rate.group {
                Some(_) => (format!("{:.2}", rate.out_tps), rate.out_24_hours.to_string()),
                None => (String::new(), "NO_CONSUMER".to_owned()),
            };
            row(
                f,
                [
                    text::front(&rate.topic, 64),
                    text::front(rate.group.as_deref().unwrap_or_default(), 64),
                    &rate.accumulation.to_string(),
                    &format!("{:.2}", rate.in_tps),
                    &output,
                    &rate.in_24_hours.to_string(),
                    &out_24,
                ],
            )
        })
    }
}

async fn stats_all(context: &Context<'_>) -> Result<(), Failure> {
    let mut topics = all_topics(&context.cluster).await?;
    topics.retain(|topic| !topic.starts_with(RETRY_PREFIX) && !topic.starts_with(DLQ_PREFIX));
    if let Some(only) = context.get("t") {
        topics.retain(|topic| topic == only);
    }
    let mut rates = Vec::new();
    for some in topics.chunks(TOPICS_AT_ONCE) {
        for found in client::all(some.iter().map(|topic| rates_of(context, topic))).await {
            match found {
                Ok(found) => rates.extend(found),
                Err(failure) => context.complain(&failure),
            }
        }
    }
    if context.has("a") {
        rates.retain(|rate| rate.in_24_hours > 0 || rate.out_24_hours > 0);
    }
    context.print(&Rates(rates))
}

async fn rates_of(context: &Context<'_>, topic: &str) -> Result<Vec<Rate>, Failure> {
    let route = context.cluster.route(topic).await?;
    let masters: Vec<&str> = route.broker_datas.iter().filter_map(route::master_addr).collect();
    let (in_tps, in_24_hours) = counted(context, &masters, "TOPIC_PUT_NUMS", topic).await;
    let mut rates = Vec::new();
    for group in groups_of(context, &route, topic).await? {
        let key = format!("{topic}@{group}");
        let (out_tps, out_24_hours) = counted(context, &masters, "GROUP_GET_NUMS", &key).await;
        let retry = format!("{RETRY_PREFIX}{group}");
        let stats = consume_stats(context, &retry, &group, Some(topic)).await.unwrap_or_default();
        let lag: i64 = stats
            .offset_table
            .values()
            .map(|offsets| offsets.broker_offset - offsets.consumer_offset)
            .sum();
        rates.push(Rate {
            topic: topic.to_owned(),
            group: Some(group),
            accumulation: lag.max(0),
            in_tps,
            out_tps,
            in_24_hours,
            out_24_hours,
        });
    }
    if rates.is_empty() {
        rates.push(Rate {
            topic: topic.to_owned(),
            group: None,
            accumulation: 0,
            in_tps,
            out_tps: 0.0,
            in_24_hours,
            out_24_hours: 0,
        });
    }
    Ok(rates)
}

/// The rate of the last minute and the sum of the last day, at all brokers together. A broker
/// that has not counted anything yet refuses, which is as good as zero.
async fn counted(context: &Context<'_>, masters: &[&str], name: &str, key: &str) -> (f64, i64) {
    let (mut tps, mut sum) = (0.0, 0);
    for addr in masters {
        let stats = broker_stats(context, addr, name, key).await.unwrap_or_default();
        tps += stats.stats_minute.tps;
        sum += day_sum(&stats);
    }
    (tps, sum)
}

/// One counter of a broker.
pub async fn broker_stats(
    context: &Context<'_>,
    addr: &str,
    name: &str,
    key: &str,
) -> Result<BrokerStats, Failure> {
    let header = ViewBrokerStatsData { stats_name: name.into(), stats_key: key.into() };
    context.cluster.broker(addr, &header).await?.json()
}

/// The longest span that has a count already.
pub fn day_sum(stats: &BrokerStats) -> i64 {
    let spans: [BrokerStatsItem; 3] = [stats.stats_day, stats.stats_hour, stats.stats_minute];
    spans.iter().map(|span| span.sum).find(|sum| *sum != 0).unwrap_or(0)
}
