//! Clients and how far they are: connections, consumer progress.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use skua_protocol::Millis;
use skua_protocol::body::{
    Connection, ConsumeStats, ConsumeType, ConsumerConnection, MessageModel, MessageQueue,
    ProducerConnection, ProducerTable,
};
use skua_protocol::code::ResponseCode;
use skua_protocol::json::mq_map;
use skua_protocol::request::{
    GetAllProducerInfo, GetConsumeStats, GetConsumerConnectionList, GetConsumerRunningInfo,
    GetProducerConnectionList,
};

use super::topic::{RETRY_PREFIX, all_topics};
use crate::client::route;
use crate::failure::Failure;
use crate::mqadmin::options::{required, value};
use crate::mqadmin::{Context, SubCommand};
use crate::{text, time};

pub const CONSUMER_PROGRESS: SubCommand = SubCommand {
    name: "consumerProgress",
    about: "Query consumer's progress, speed.",
    example: "-g GroupTest",
    answer: &[
        "queues[].topic",
        "queues[].brokerName",
        "queues[].queueId",
        "queues[].brokerOffset",
        "queues[].consumerOffset",
        "queues[].diff",
        "queues[].inflight",
        "queues[].lastTimestamp",
        "queues[].clientIp",
        "consumeTps",
        "diffTotal",
        "inflightTotal",
        "[].group",
        "[].clients",
        "[].version",
        "[].consumeType",
        "[].messageModel",
        "[].consumeTps",
        "[].diffTotal",
    ],
    options: &[
        value("g", "groupName", "consumer group name"),
        value("t", "topicName", "topic name"),
        value("s", "showClientIP", "Show Client IP per Queue"),
        value("c", "cluster", "Cluster name or lmq parent topic, lmq is used to find the route."),
    ],
    run: |context| Box::pin(progress(context)),
};

pub const CONSUMER_CONNECTION: SubCommand = SubCommand {
    name: "consumerConnection",
    about: "Query consumer's socket connection, client version and subscription.",
    example: "-g GroupTest",
    answer: &[
        "connectionSet[].clientAddr",
        "connectionSet[].clientId",
        "connectionSet[].language",
        "connectionSet[].version",
        "consumeFromWhere",
        "consumeType",
        "messageModel",
        "subscriptionTable.*",
    ],
    options: &[
        required("g", "consumerGroup", "consumer group name"),
        value("b", "brokerAddr", "broker address"),
    ],
    run: |context| Box::pin(consumer_connection(context)),
};

pub const PRODUCER_CONNECTION: SubCommand = SubCommand {
    name: "producerConnection",
    about: "Query producer's socket connection and client version.",
    example: "-g ProducerTest -t TopicTest",
    answer: &[
        "connectionSet[].clientAddr",
        "connectionSet[].clientId",
        "connectionSet[].language",
        "connectionSet[].version",
    ],
    options: &[
        required("g", "producerGroup", "producer group name"),
        required("t", "topic", "topic name"),
    ],
    run: |context| Box::pin(producer_connection(context)),
};

pub const PRODUCER: SubCommand = SubCommand {
    name: "producer",
    about: "Query producer's instances, connection, status, etc.",
    example: "-b 192.168.0.1:10911",
    answer: &["data.*"],
    options: &[required("b", "broker", "broker address")],
    run: |context| Box::pin(producer(context)),
};

/// Offsets of a group in all queues, from the brokers of `route_topic`.
pub async fn consume_stats(
    context: &Context<'_>,
    route_topic: &str,
    group: &str,
    topic: Option<&str>,
) -> Result<ConsumeStats, Failure> {
    let route = context.cluster.route(route_topic).await?;
    let mut all = ConsumeStats::default();
    for addr in route::broker_addrs(&route) {
        let header = GetConsumeStats {
            consumer_group: group.into(),
            topic: topic.map(Into::into),
            ..Default::default()
        };
        let stats: ConsumeStats = context.cluster.broker(&addr, &header).await?.json()?;
        all.consume_tps += stats.consume_tps;
        all.offset_table.extend(stats.offset_table);
    }
    Ok(all)
}

/// The clients of a group, from the first broker that knows it.
pub async fn connections(
    context: &Context<'_>,
    group: &str,
    addr: Option<&str>,
) -> Result<ConsumerConnection, Failure> {
    let addrs = match addr {
        Some(addr) => vec![addr.to_owned()],
        None => {
            let route = context.cluster.route(&format!("{RETRY_PREFIX}{group}")).await?;
            route::broker_addrs(&route)
        }
    };
    let header = GetConsumerConnectionList { consumer_group: group.into() };
    let mut failed = None;
    for addr in addrs {
        match context.cluster.broker(&addr, &header).await {
            Ok(answer) => return answer.json(),
            Err(failure) => failed = Some(failure),
        }
    }
    Err(failed.unwrap_or_else(|| Failure::other(format!("no broker knows group {group}"))))
}

async fn progress(context: &Context<'_>) -> Result<(), Failure> {
    match context.get("g") {
        Some(group) => progress_of(context, group).await,
        None => progress_of_all(context).await,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    queues: Vec<QueueProgress>,
    consume_tps: f64,
    diff_total: i64,
    inflight_total: i64,
    #[serde(skip)]
    with_clients: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QueueProgress {
    #[serde(flatten)]
    queue: MessageQueue,
    broker_offset: i64,
    consumer_offset: i64,
    diff: i64,
    inflight: i64,
    last_timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ip: Option<String>,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let client = |text: &str| {
            if self.with_clients { format!("{text:<20} ") } else { String::new() }
        };
        writeln!(
            f,
            "{:<64}  {:<32}  {:<4}  {:<20}  {:<20}  {}{:<20} {:<20}#LastTime",
            "#Topic",
            "#Broker Name",
            "#QID",
            "#Broker Offset",
            "#Consumer Offset",
            client("#Client IP"),
            "#Diff",
            "#Inflight"
        )?;
        for row in &self.queues {
            let last = match row.last_timestamp {
                0 => "N/A".to_owned(),
                at => time::to_second(Millis(at)),
            };
            writeln!(
                f,
                "{:<64}  {:<32}  {:<4}  {:<20}  {:<20}  {}{:<20} {:<20} {last}",
                text::front(&row.queue.topic, 64),
                text::front(&row.queue.broker_name, 32),
                row.queue.queue_id,
                row.broker_offset,
                row.consumer_offset,
                client(row.client_ip.as_deref().unwrap_or("N/A")),
                row.diff,
                row.inflight,
            )?;
        }
        writeln!(f, "\nConsume TPS: {:.2}", self.consume_tps)?;
        writeln!(f, "Consume Diff Total: {}", self.diff_total)?;
        writeln!(f, "Consume Inflight Total: {}", self.inflight_total)
    }
}

async fn progress_of(context: &Context<'_>, group: &str) -> Result<(), Failure> {
    let retry = format!("{RETRY_PREFIX}{group}");
    let route_topic = context.get("c").or(context.get("t")).unwrap_or(&retry);
    let stats = consume_stats(context, route_topic, group, context.get("t")).await?;
    let with_clients = context.truth("s")?.unwrap_or(false);
    let owners = if with_clients { owners(context, group).await? } else { BTreeMap::new() };
    let mut progress = Progress {
        queues: Vec::new(),
        consume_tps: stats.consume_tps,
        diff_total: 0,
        inflight_total: 0,
        with_clients,
    };
    for (queue, offsets) in stats.offset_table {
        let diff = offsets.broker_offset - offsets.consumer_offset;
        let inflight = offsets.pull_offset - offsets.consumer_offset;
        progress.diff_total += diff;
        progress.inflight_total += inflight;
        progress.queues.push(QueueProgress {
            client_ip: owners.get(&queue).cloned(),
            queue,
            broker_offset: offsets.broker_offset,
            consumer_offset: offsets.consumer_offset,
            diff,
            inflight,
            last_timestamp: offsets.last_timestamp,
        });
    }
    context.print(&progress)
}

/// Part of what a client tells of itself (Java: `ConsumerRunningInfo`).
#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RunningInfo {
    #[serde(deserialize_with = "mq_map")]
    mq_table: BTreeMap<MessageQueue, serde_json::Value>,
}

/// The address of the client that reads each queue; none for a group without clients.
async fn owners(
    context: &Context<'_>,
    group: &str,
) -> Result<BTreeMap<MessageQueue, String>, Failure> {
    let clients = match connections(context, group, None).await {
        Ok(connections) => connections.connection_set,
        Err(failure) if failure.is_code(ResponseCode::ConsumerNotOnline) => Vec::new(),
        Err(failure) => return Err(failure),
    };
    let route = context.cluster.route(&format!("{RETRY_PREFIX}{group}")).await?;
    let mut owners = BTreeMap::new();
    for client in &clients {
        for addr in route::broker_addrs(&route) {
            let header = GetConsumerRunningInfo {
                consumer_group: group.into(),
                client_id: client.client_id.as_str().into(),
                jstack_enable: false,
            };
            let info: RunningInfo = context.cluster.broker(&addr, &header).await?.json()?;
            let ip = client.client_id.split('@').next().unwrap_or_default();
            owners.extend(info.mq_table.into_keys().map(|queue| (queue, ip.to_owned())));
        }
    }
    Ok(owners)
}

#[derive(Serialize)]
#[serde(transparent)]
struct Groups(Vec<GroupProgress>);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupProgress {
    group: String,
    clients: usize,
    version: String,
    consume_type: Option<ConsumeType>,
    message_model: Option<MessageModel>,
    consume_tps: f64,
    diff_total: i64,
}

impl fmt::Display for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<64}  {:<6}  {:<24} {:<5}  {:<14}  {:<7}  #Diff Total",
            "#Group", "#Count", "#Version", "#Type", "#Model", "#TPS"
        )?;
        self.0.iter().try_for_each(|group| {
            let kind = match group.consume_type {
                None => "",
                Some(ConsumeType::Actively) => "PULL",
                Some(_) => "PUSH",
            };
            let model = match (group.consume_type, group.message_model) {
                (Some(ConsumeType::Passively), Some(model)) => model.name(),
                _ => "",
            };
            writeln!(
                f,
                "{:<64}  {:<6}  {:<24} {kind:<5}  {model:<14}  {:<7}  {}",
                text::front(&group.group, 64),
                group.clients,
                group.version,
                group.consume_tps as i64,
                group.diff_total
            )
        })
    }
}

pub async fn progress_of_all(context: &Context<'_>) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for retry in all_topics(&context.cluster).await? {
        let Some(group) = retry.strip_prefix(RETRY_PREFIX) else { continue };
        let stats = consume_stats(context, &retry, group, None).await.unwrap_or_else(|failure| {
            context.complain(&failure);
            ConsumeStats::default()
        });
        let clients = connections(context, group, None).await.ok();
        let diff_total = stats
            .offset_table
            .values()
            .map(|offsets| offsets.broker_offset - offsets.consumer_offset)
            .sum();
        let connected = clients.as_ref().filter(|clients| !clients.connection_set.is_empty());
        let oldest = connected
            .and_then(|clients| clients.connection_set.iter().map(|client| client.version).min());
        rows.push(GroupProgress {
            group: group.to_owned(),
            clients: connected.map_or(0, |clients| clients.connection_set.len()),
            version: oldest.map_or_else(|| "OFFLINE".to_owned(), text::version_name),
            consume_type: connected.map(|clients| clients.consume_type),
            message_model: connected.map(|clients| clients.message_model),
            consume_tps: stats.consume_tps,
            diff_total,
        });
    }
    context.print(&Groups(rows))
}

#[derive(Serialize)]
#[serde(transparent)]
struct Consumers(ConsumerConnection);

impl fmt::Display for Consumers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<36} {:<22} {:<10} #Version", "#ClientId", "#ClientAddr", "#Language")?;
        for Connection { client_id, client_addr, language, version } in &self.0.connection_set {
            let version = text::version_name(*version);
            writeln!(f, "{client_id:<36} {client_addr:<22} {language:<10} {version}")?;
        }
        writeln!(f, "\nBelow is subscription:\n{:<20} #SubExpression", "#Topic")?;
        for data in self.0.subscription_table.values() {
            writeln!(f, "{:<20} {}", data.topic, data.sub_string)?;
        }
        writeln!(f, "\nConsumeType: {}", self.0.consume_type)?;
        writeln!(f, "MessageModel: {}", self.0.message_model)?;
        writeln!(f, "ConsumeFromWhere: {}", self.0.consume_from_where)
    }
}

async fn consumer_connection(context: &Context<'_>) -> Result<(), Failure> {
    let found = connections(context, context.required("g")?, context.get("b")).await?;
    context.print(&Consumers(found))
}

#[derive(Serialize)]
#[serde(transparent)]
struct Producers(ProducerConnection);

impl fmt::Display for Producers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, client) in self.0.connection_set.iter().enumerate() {
            let version = text::version_name(client.version);
            writeln!(
                f,
                "{:04}  {:<32} {:<22} {:<8} {version}",
                number + 1,
                client.client_id,
                client.client_addr,
                client.language
            )?;
        }
        Ok(())
    }
}

async fn producer_connection(context: &Context<'_>) -> Result<(), Failure> {
    let group = context.required("g")?;
    let route = context.cluster.route(context.required("t")?).await?;
    let header = GetProducerConnectionList { producer_group: group.into() };
    let mut failed = None;
    for addr in route::broker_addrs(&route) {
        match context.cluster.broker(&addr, &header).await {
            Ok(answer) => return context.print(&Producers(answer.json()?)),
            Err(failure) => failed = Some(failure),
        }
    }
    Err(failed.unwrap_or_else(|| Failure::other(format!("no broker knows group {group}"))))
}

#[derive(Serialize)]
#[serde(transparent)]
struct Instances(ProducerTable);

impl fmt::Display for Instances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (group, instances) in &self.0.data {
            for instance in instances {
                writeln!(
                    f,
                    "producer group ({group}) instance : clientId={},remoteIP={}, language={}, version={}, lastUpdateTimestamp={}",
                    instance.client_id,
                    instance.remote_ip,
                    instance.language,
                    instance.version,
                    instance.last_update_timestamp
                )?;
            }
        }
        Ok(())
    }
}

async fn producer(context: &Context<'_>) -> Result<(), Failure> {
    let answer = context.cluster.broker(context.required("b")?, &GetAllProducerInfo {}).await?;
    context.print(&Instances(answer.json()?))
}
