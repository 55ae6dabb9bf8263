//! What consumers tell of themselves, and watching over all groups.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use skua_protocol::Millis;
use skua_protocol::body::{
    ConsumerRunningInfo, MessageQueue, PopProcessQueueInfo, ProcessQueueInfo,
};
use skua_protocol::request::GetConsumerRunningInfo;

use super::consumer::{connections, progress_of_all};
use super::topic::RETRY_PREFIX;
use crate::client::route;
use crate::failure::Failure;
use crate::mqadmin::options::{flag, required, value};
use crate::mqadmin::{Context, SubCommand};
use crate::{text, time};

/// Between two looks at all groups (Java: `MonitorConfig.roundInterval`).
const ROUND: Duration = Duration::from_secs(60);
/// A queue with messages in the client that were not consumed for longer is called blocked.
const BLOCKED_AFTER_MS: i64 = 60_000;
/// So long after a client's start differing subscriptions may still be on their way.
const SETTLED_AFTER_MS: i64 = 120_000;

pub const CONSUMER_STATUS: SubCommand = SubCommand {
    name: "consumerStatus",
    about: "Query consumer's internal data structure.",
    example: "-g GroupTest",
    answer: &[
        "clients[].clientId",
        "clients[].version",
        "clients[].file",
        "clients[].info.*",
        "sameSubscription",
        "warnings[]",
    ],
    options: &[
        required("g", "consumerGroup", "consumer group name"),
        value("i", "clientId", "The consumer's client id"),
        value("b", "brokerAddr", "broker address"),
        flag("s", "jstack", "Run jstack command in the consumer progress"),
    ],
    run: |context| Box::pin(consumer_status(context)),
};

pub const START_MONITORING: SubCommand = SubCommand {
    name: "startMonitoring",
    about: "Start Monitoring.",
    example: "",
    answer: &["*"],
    options: &[],
    run: |context| Box::pin(monitor(context)),
};

/// What a client tells of itself, from the first broker that reaches it.
pub async fn running_info(
    context: &Context<'_>,
    group: &str,
    client_id: &str,
    jstack: bool,
) -> Result<ConsumerRunningInfo, Failure> {
    let route = context.cluster.route(&format!("{RETRY_PREFIX}{group}")).await?;
    let header = GetConsumerRunningInfo {
        consumer_group: group.into(),
        client_id: client_id.into(),
        jstack_enable: jstack,
    };
    let mut failed = None;
    for addr in route::broker_addrs(&route) {
        match context.cluster.broker(&addr, &header).await {
            Ok(answer) => return answer.json(),
            Err(failure) => failed = Some(failure),
        }
    }
    Err(failed.unwrap_or_else(|| Failure::other(format!("no broker knows group {group}"))))
}

struct Info(ConsumerRunningInfo);

impl Serialize for Info {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let info = &self.0;
        let queues = |queue: &MessageQueue| {
            format!("{}@{}@{}", queue.topic, queue.broker_name, queue.queue_id)
        };
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Plain<'a> {
            properties: &'a BTreeMap<String, String>,
            subscription_set: &'a Vec<skua_protocol::body::SubscriptionData>,
            /// By `topic@brokerName@queueId`.
            mq_table: BTreeMap<String, &'a ProcessQueueInfo>,
            mq_pop_table: BTreeMap<String, &'a PopProcessQueueInfo>,
            status_table: &'a BTreeMap<String, skua_protocol::body::ConsumeStatus>,
            user_consumer_info: &'a BTreeMap<String, String>,
            jstack: &'a Option<String>,
        }
        Plain {
            properties: &info.properties,
            subscription_set: &info.subscription_set,
            mq_table: info.mq_table.iter().map(|(queue, it)| (queues(queue), it)).collect(),
            mq_pop_table: info.mq_pop_table.iter().map(|(queue, it)| (queues(queue), it)).collect(),
            status_table: &info.status_table,
            user_consumer_info: &info.user_consumer_info,
            jstack: &info.jstack,
        }
        .serialize(serializer)
    }
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = &self.0;
        writeln!(f, "#Consumer Properties#")?;
        for (key, value) in &info.properties {
            writeln!(f, "{key:<40}: {value}")?;
        }
        writeln!(f, "\n\n#Consumer Subscription#")?;
        for (index, data) in info.subscription_set.iter().enumerate() {
            writeln!(
                f,
                "{:03} Topic: {:<40} ClassFilter: {:<8} SubExpression: {}",
                index + 1,
                data.topic,
                data.class_filter_mode,
                data.sub_string
            )?;
        }
        let head = |f: &mut fmt::Formatter<'_>, title: &str, width: usize, last: &str| {
            writeln!(
                f,
                "\n\n#{title}#\n{:<width$}  {:<32}  {:<4}  {last:<20}",
                "#Topic", "#Broker Name", "#QID"
            )
        };
        head(f, "Consumer Offset", 64, "#Consumer Offset")?;
        for (queue, state) in &info.mq_table {
            // Java: narrower than its heading.
            writeln!(
                f,
                "{:<32}  {:<32}  {:<4}  {:<20}",
                queue.topic, queue.broker_name, queue.queue_id, state.commit_offset
            )?;
        }
        head(f, "Consumer MQ Detail", 64, "#ProcessQueueInfo")?;
        for (queue, state) in &info.mq_table {
            writeln!(
                f,
                "{:<64}  {:<32}  {:<4}  {}",
                queue.topic,
                queue.broker_name,
                queue.queue_id,
                queue_text(state)
            )?;
        }
        head(f, "Consumer Pop Detail", 32, "#ProcessQueueInfo")?;
        for (queue, state) in &info.mq_pop_table {
            writeln!(
                f,
                "{:<32}  {:<32}  {:<4}  PopProcessQueueInfo [waitAckCount:{}, droped:{}, lastPopTimestamp:{}]",
                queue.topic,
                queue.broker_name,
                queue.queue_id,
                state.wait_ack_count,
                state.dropped,
                state.last_pop_timestamp
            )?;
        }
        writeln!(
            f,
            "\n\n#Consumer RT&TPS#\n{:<64}  {:>14} {:>14} {:>14} {:>14} {:>18} {:>25}",
            "#Topic",
            "#Pull RT",
            "#Pull TPS",
            "#Consume RT",
            "#ConsumeOK TPS",
            "#ConsumeFailed TPS",
            "#ConsumeFailedMsgsInHour"
        )?;
        for (topic, status) in &info.status_table {
            writeln!(
                f,
                "{topic:<32}  {:>14.2} {:>14.2} {:>14.2} {:>14.2} {:>18.2} {:>25}",
                status.pull_rt,
                status.pull_tps,
                status.consume_rt,
                status.consume_ok_tps,
                status.consume_failed_tps,
                status.consume_failed_msgs
            )?;
        }
        writeln!(f, "\n\n#User Consume Info#")?;
        for (key, value) in &info.user_consumer_info {
            writeln!(f, "{key:<40}: {value}")?;
        }
        match &info.jstack {
            Some(jstack) => writeln!(f, "\n\n#Consumer jstack#\n{}", jstack.trim_end()),
            None => Ok(()),
        }
    }
}

fn queue_text(state: &ProcessQueueInfo) -> String {
    let time = |at: i64| time::digits(Millis(at));
    format!(
        "ProcessQueueInfo [commitOffset={}, cachedMsgMinOffset={}, cachedMsgMaxOffset={}, cachedMsgCount={}, cachedMsgSizeInMiB={}, transactionMsgMinOffset={}, transactionMsgMaxOffset={}, transactionMsgCount={}, locked={}, tryUnlockTimes={}, lastLockTimestamp={}, droped={}, lastPullTimestamp={}, lastConsumeTimestamp={}]",
        state.commit_offset,
        state.cached_msg_min_offset,
        state.cached_msg_max_offset,
        state.cached_msg_count,
        state.cached_msg_size_in_mib,
        state.transaction_msg_min_offset,
        state.transaction_msg_max_offset,
        state.transaction_msg_count,
        state.locked,
        state.try_unlock_times,
        time(state.last_lock_timestamp),
        state.dropped,
        time(state.last_pull_timestamp),
        time(state.last_consume_timestamp)
    )
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Clients {
    clients: Vec<Client>,
    same_subscription: bool,
    /// What looks wrong, a line each.
    warnings: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Client {
    client_id: String,
    version: String,
    /// Where its details were written.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    info: Info,
}

impl fmt::Display for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<10} {:<40} {:<20} #ConsumerRunningInfoFile",
            "#Index", "#ClientId", "#Version"
        )?;
        for (index, client) in self.clients.iter().enumerate() {
            let file = client.file.as_deref().unwrap_or_default();
            writeln!(
                f,
                "{:<10} {:<40} {:<20} {file}",
                index + 1,
                client.client_id,
                client.version
            )?;
        }
        match self {
            Self { clients, .. } if clients.is_empty() => Ok(()),
            Self { same_subscription: false, .. } => {
                writeln!(f, "\n\nWARN: Different subscription in the same group of consumer!!!")
            }
            Self { warnings, .. } => {
                writeln!(f, "\n\nSame subscription in the same group of consumer")?;
                writeln!(f, "\nRebalance OK")?;
                warnings.iter().try_for_each(|line| writeln!(f, "{line}"))
            }
        }
    }
}

async fn consumer_status(context: &Context<'_>) -> Result<(), Failure> {
    let group = context.required("g")?;
    let jstack = context.has("s");
    if let Some(client_id) = context.get("i") {
        return context.print(&Info(running_info(context, group, client_id, jstack).await?));
    }
    let now = time::now();
    let connected = connections(context, group, context.get("b")).await?;
    let mut clients = Vec::new();
    for connection in &connected.connection_set {
        let info = match running_info(context, group, &connection.client_id, jstack).await {
            Ok(info) => Info(info),
            Err(failure) => {
                context.complain(&failure);
                continue;
            }
        };
        // The details are part of the JSON; as text they go to a file, as Java's tool does it.
        let file = match context.json() {
            true => None,
            false => Some(save(now, &connection.client_id, &info)?),
        };
        clients.push(Client {
            client_id: connection.client_id.clone(),
            version: text::version_name(connection.version),
            file,
            info,
        });
    }
    let same_subscription = same_subscription(&clients, now);
    let warnings = clients.iter().flat_map(|client| blocked(client, now)).collect();
    context.print(&Clients { clients, same_subscription, warnings })
}

/// Writes a client's details to `NOW/CLIENT_ID` below the working directory.
fn save(now: Millis, client_id: &str, info: &Info) -> Result<String, Failure> {
    // A client chooses its id, so it must not choose the folder.
    let path = format!("{}/{}", now.0, client_id.replace(['/', '\\'], "_"));
    let written = std::fs::create_dir_all(Path::new(&now.0.to_string()))
        .and_then(|()| std::fs::write(&path, info.to_string()));
    written.map_err(|cause| Failure::File { path: path.clone(), cause })?;
    Ok(path)
}

fn is_push(info: &ConsumerRunningInfo) -> bool {
    info.properties.get("PROP_CONSUME_TYPE").is_some_and(|kind| kind == "CONSUME_PASSIVELY")
}

/// Whether all clients subscribe to the same; not looked at before the first has run a while.
fn same_subscription(clients: &[Client], now: Millis) -> bool {
    let Some(Client { info: Info(first), .. }) = clients.first() else { return true };
    let started = first.properties.get("PROP_CONSUMER_START_TIMESTAMP");
    let started: i64 = started.and_then(|at| at.parse().ok()).unwrap_or(now.0);
    if !is_push(first) || now.0 - started <= SETTLED_AFTER_MS {
        return true;
    }
    let subscribed = |client: &Client| -> Vec<(String, String)> {
        let set = client.info.0.subscription_set.iter();
        set.map(|data| (data.topic.to_string(), data.sub_string.to_string())).collect()
    };
    let mut wanted = subscribed(&clients[0]);
    wanted.sort();
    clients[1..].iter().all(|client| {
        let mut own = subscribed(client);
        own.sort();
        own == wanted
    })
}

/// Queues of a push consumer that stand still.
fn blocked(client: &Client, now: Millis) -> Vec<String> {
    let Client { client_id, info: Info(info), .. } = client;
    if !is_push(info) {
        return Vec::new();
    }
    let orderly = info.properties.get("PROP_CONSUMEORDERLY").is_some_and(|text| text == "true");
    let told = info.mq_table.iter().filter_map(|(queue, state)| {
        let queue = format!(
            "MessageQueue [topic={}, brokerName={}, queueId={}]",
            queue.topic, queue.broker_name, queue.queue_id
        );
        if orderly {
            if !state.locked {
                let since = now.0 - state.last_lock_timestamp;
                return Some(format!("{client_id} {queue} can't lock for a while, {since}ms"));
            }
            let times = state.try_unlock_times;
            return (state.dropped && times > 0)
                .then(|| format!("{client_id} {queue} unlock {times} times, still failed"));
        }
        let since = now.0 - state.last_consume_timestamp;
        (since > BLOCKED_AFTER_MS && state.cached_msg_count > 0).then(|| {
            format!("{client_id} {queue} can't consume for a while, maybe blocked, {since}ms")
        })
    });
    told.collect()
}

/// The progress of all groups, again and again until stopped.
async fn monitor(context: &Context<'_>) -> Result<(), Failure> {
    loop {
        progress_of_all(context).await?;
        tokio::time::sleep(ROUND).await;
    }
}
