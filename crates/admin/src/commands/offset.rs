//! Consumer offsets moved by hand.

use std::fmt;

use serde::Serialize;
use skua_protocol::Millis;
use skua_protocol::body::{MessageQueue, ResetOffsets};
use skua_protocol::request::{
    InvokeBrokerToResetOffset, SearchOffsetByTimestamp, SearchOffsetByTimestampResponse,
    UpdateConsumerOffset,
};

use super::consumer::consume_stats;
use super::topic::RETRY_PREFIX;
use crate::client::route;
use crate::failure::Failure;
use crate::mqadmin::context::Done;
use crate::mqadmin::options::{required, value};
use crate::mqadmin::{Context, SubCommand};
use crate::{text, time};

pub const RESET_OFFSET_BY_TIME: SubCommand = SubCommand {
    name: "resetOffsetByTime",
    about: "Reset consumer offset by timestamp(without client restart).",
    example: "-g GroupTest -t TopicTest -s 2026-01-31#08:00:00:000",
    answer: &[
        "done",
        "[].brokerName",
        "[].offset",
        "[].queueId",
        "[].topic",
        "timestamp",
        "offset",
    ],
    options: &[
        required("g", "group", "set the consumer group"),
        required("t", "topic", "set the topic"),
        required(
            "s",
            "timestamp",
            "set the timestamp[now|currentTimeMillis|yyyy-MM-dd#HH:mm:ss:SSS]",
        ),
        value("f", "force", "set the force rollback by timestamp switch[true|false]. Deprecated."),
        value("b", "broker", "broker addr"),
        value("q", "queue", "queue id"),
        value("o", "offset", "Expect queue offset, not support old version broker"),
        value("c", "cluster", "Cluster name or lmq parent topic, lmq is used to find the route."),
    ],
    run: |context| Box::pin(reset_by_time(context)),
};

pub const SKIP_ACCUMULATED: SubCommand = SubCommand {
    name: "skipAccumulatedMessage",
    about: "Skip all messages that are accumulated (not consumed) currently.",
    example: "-g GroupTest -t TopicTest",
    answer: &[
        "done",
        "[].brokerName",
        "[].offset",
        "[].queueId",
        "[].topic",
        "timestamp",
        "offset",
    ],
    options: &[
        required("g", "group", "set the consumer group"),
        required("t", "topic", "set the topic"),
        value("f", "force", "set the force rollback by timestamp switch[true|false]"),
        value("c", "cluster", "Cluster name or lmq parent topic, lmq is used to find the route."),
    ],
    run: |context| Box::pin(skip(context)),
};

pub const CLONE_GROUP_OFFSET: SubCommand = SubCommand {
    name: "cloneGroupOffset",
    about: "Clone offset from other group.",
    example: "-s GroupTest -d GroupCopy -t TopicTest",
    answer: &["done", "srcGroup", "destGroup"],
    options: &[
        required("s", "srcGroup", "set source consumer group"),
        required("d", "destGroup", "set destination consumer group"),
        required("t", "topic", "set the topic"),
        value("o", "offline", "the group or the topic is offline"),
    ],
    run: |context| Box::pin(clone(context)),
};

#[derive(Serialize)]
#[serde(transparent)]
struct Offsets(Vec<Offset>);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Offset {
    #[serde(flatten)]
    queue: MessageQueue,
    offset: i64,
}

impl fmt::Display for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<40}  {:<40}  {:<40}", "#brokerName", "#queueId", "#offset")?;
        self.0.iter().try_for_each(|Offset { queue, offset }| {
            let broker = text::front(&queue.broker_name, 32);
            writeln!(f, "{broker:<40}  {:<40}  {offset:<40}", queue.queue_id)
        })
    }
}

/// Asks every broker of the topic to move a group; a timestamp of −1 means the end.
async fn reset(context: &Context<'_>, timestamp: i64) -> Result<Offsets, Failure> {
    let topic = context.required("t")?;
    let route = context.cluster.route(context.get("c").unwrap_or(topic)).await?;
    let mut offsets = Vec::new();
    for addr in route::broker_addrs(&route) {
        let header = InvokeBrokerToResetOffset {
            group: context.required("g")?.into(),
            topic: topic.into(),
            timestamp,
            is_force: context.truth("f")?.unwrap_or(true),
            queue_id: Some(-1),
            offset: Some(-1),
        };
        let answer: ResetOffsets = context.cluster.broker(&addr, &header).await?.json()?;
        let table = answer.offset_table.into_iter();
        offsets.extend(table.map(|(queue, offset)| Offset { queue, offset }));
    }
    Ok(Offsets(offsets))
}

async fn skip(context: &Context<'_>) -> Result<(), Failure> {
    let offsets = reset(context, -1).await?;
    context.print(&offsets)
}

async fn reset_by_time(context: &Context<'_>) -> Result<(), Failure> {
    let (group, topic) = (context.required("g")?, context.required("t")?);
    let given = context.required("s")?;
    let timestamp = time::parse(given, time::now()).ok_or_else(|| Failure::BadValue {
        option: "s",
        given: given.to_owned(),
        accepted: "now, milliseconds since 1970 or yyyy-MM-dd#HH:mm:ss:SSS",
    })?;
    if let (Some(addr), Some(queue_id)) = (context.get("b"), context.number::<i32>("q")?) {
        return reset_queue(context, addr, queue_id, timestamp).await;
    }
    let force = context.truth("f")?.unwrap_or(true);
    let offsets = reset(context, timestamp.0).await?;
    let sentence = format!(
        "start reset consumer offset by specified, group[{group}], topic[{topic}], force[{force}], timestamp(string)[{given}], timestamp(long)[{timestamp}]"
    );
    context.print(&Done::new(sentence).with("timestamp", timestamp.0))?;
    context.print(&offsets)
}

async fn reset_queue(
    context: &Context<'_>,
    addr: &str,
    queue_id: i32,
    timestamp: Millis,
) -> Result<(), Failure> {
    let (group, topic) = (context.required("g")?, context.required("t")?);
    let given = context.required("s")?;
    let sentence = format!(
        "start reset consumer offset by specified, group[{group}], topic[{topic}], queueId[{queue_id}], broker[{addr}], timestamp(string)[{given}], timestamp(long)[{timestamp}]"
    );
    context.print(&Done::new(sentence).with("timestamp", timestamp.0))?;
    let offset = match context.number::<i64>("o")? {
        Some(offset) => offset,
        None => {
            let header = SearchOffsetByTimestamp {
                topic: topic.into(),
                queue_id,
                timestamp: timestamp.0,
                ..Default::default()
            };
            let answer = context.cluster.broker(addr, &header).await?;
            answer.header::<SearchOffsetByTimestampResponse>()?.offset
        }
    };
    let commit = UpdateConsumerOffset {
        consumer_group: group.into(),
        topic: topic.into(),
        queue_id,
        commit_offset: offset,
    };
    context.cluster.broker(addr, &commit).await?;
    let header = InvokeBrokerToResetOffset {
        group: group.into(),
        topic: topic.into(),
        timestamp: 0,
        is_force: true,
        queue_id: Some(queue_id),
        offset: Some(offset),
    };
    context.cluster.broker(addr, &header).await?;
    let sentence = format!("reset consumer offset to {offset}");
    context.print(&Done::new(sentence).with("offset", offset))
}

async fn clone(context: &Context<'_>) -> Result<(), Failure> {
    let (from, to) = (context.required("s")?, context.required("d")?);
    let topic = context.required("t")?;
    let stats = consume_stats(context, &format!("{RETRY_PREFIX}{from}"), from, None).await?;
    let route = context.cluster.route(topic).await?;
    for (queue, offsets) in &stats.offset_table {
        let broker =
            route.broker_datas.iter().find(|broker| broker.broker_name == queue.broker_name);
        let Some(addr) = broker.and_then(route::any_addr) else { continue };
        if queue.topic != topic || offsets.consumer_offset < 0 {
            continue;
        }
        let commit = UpdateConsumerOffset {
            consumer_group: to.into(),
            topic: queue.topic.as_str().into(),
            queue_id: queue.queue_id,
            commit_offset: offsets.consumer_offset,
        };
        context.cluster.broker(addr, &commit).await?;
    }
    let sentence =
        format!("clone group offset success. srcGroup[{from}], destGroup=[{to}], topic[{topic}]");
    context.print(&Done::new(sentence).with("srcGroup", from).with("destGroup", to))
}
