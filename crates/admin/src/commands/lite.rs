//! Lite topics: many small queues below one parent topic.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use skua_protocol::Millis;
use skua_protocol::body::{ConsumeOffset, TopicOffset};
use skua_protocol::request::{
    GetBrokerLiteInfo, GetLiteClientInfo, GetLiteGroupInfo, GetLiteTopicInfo, GetParentTopicInfo,
    Request, TriggerLiteDispatch,
};

use crate::client::route;
use crate::failure::Failure;
use crate::mqadmin::context::Report;
use crate::mqadmin::options::{Entry, alternative, flag, required, value};
use crate::mqadmin::{Context, SubCommand};
use crate::time;

/// How many lite topics getLiteGroupInfo shows if it is not told.
const TOP: i32 = 20;

pub const GET_BROKER_LITE_INFO: SubCommand = SubCommand {
    name: "getBrokerLiteInfo",
    about: "Get broker lite info.",
    example: "-b 192.168.0.1:10911",
    answer: &[
        "brokers.*.storeType",
        "brokers.*.maxLmqNum",
        "brokers.*.currentLmqNum",
        "brokers.*.liteSubscriptionCount",
        "brokers.*.orderInfoCount",
        "brokers.*.cqTableSize",
        "brokers.*.offsetTableSize",
        "brokers.*.eventMapSize",
        "brokers.*.topicMeta.*",
        "brokers.*.groupMeta.*",
    ],
    options: &[
        Entry::OneOf(&[
            alternative("b", "brokerAddr", "Broker address"),
            alternative("c", "cluster", "Cluster name"),
        ]),
        flag("d", "showDetail", "Show topic and group detail info"),
    ],
    run: |context| Box::pin(broker_info(context)),
};

pub const GET_PARENT_TOPIC_INFO: SubCommand = SubCommand {
    name: "getParentTopicInfo",
    about: "Get parent topic info.",
    example: "-p LiteTest",
    answer: &[
        "brokers.*.topic",
        "brokers.*.ttl",
        "brokers.*.liteTopicCount",
        "brokers.*.lmqNum",
        "brokers.*.groups[]",
    ],
    options: &[required("p", "parentTopic", "Parent topic name")],
    run: |context| Box::pin(parent_info(context)),
};

pub const GET_LITE_TOPIC_INFO: SubCommand = SubCommand {
    name: "getLiteTopicInfo",
    about: "Get lite topic info.",
    example: "-p LiteTest -l lite-1",
    answer: &[
        "brokers.*.subscriber[].clientId",
        "brokers.*.subscriber[].group",
        "brokers.*.topicOffset.*",
        "brokers.*.shardingToBroker",
        "brokers.*.parentTopic",
        "brokers.*.liteTopic",
    ],
    options: &[
        required("p", "parentTopic", "Parent topic name"),
        required("l", "liteTopic", "Lite topic name"),
        flag("s", "showClientId", "Show all clientId"),
    ],
    run: |context| Box::pin(topic_info(context)),
};

pub const GET_LITE_CLIENT_INFO: SubCommand = SubCommand {
    name: "getLiteClientInfo",
    about: "Get lite client info.",
    example: "-p LiteTest -g GroupTest -c 192.168.0.11@1",
    answer: &[
        "brokers.*.parentTopic",
        "brokers.*.group",
        "brokers.*.clientId",
        "brokers.*.liteTopicCount",
        "brokers.*.lastAccessTime",
        "brokers.*.lastConsumeTime",
        "brokers.*.liteTopicSet[]",
    ],
    options: &[
        required("p", "parentTopic", "Parent topic name"),
        required("g", "group", "Consumer group"),
        required("c", "clientId", "Client id"),
        flag("s", "showDetail", "Show details"),
    ],
    run: |context| Box::pin(client_info(context)),
};

pub const GET_LITE_GROUP_INFO: SubCommand = SubCommand {
    name: "getLiteGroupInfo",
    about: "Get lite group info.",
    example: "-p LiteTest -g GroupTest",
    answer: &[
        "parentTopic",
        "group",
        "liteTopic",
        "now",
        "brokers.*.totalLagCount",
        "brokers.*.earliestUnconsumedTimestamp",
        "brokers.*.liteTopicOffsetWrapper.*",
        "brokers.*.lagCountTopK[].liteTopic",
        "brokers.*.lagCountTopK[].lagCount",
        "brokers.*.lagCountTopK[].earliestUnconsumedTimestamp",
        "brokers.*.lagTimestampTopK[].liteTopic",
        "brokers.*.lagTimestampTopK[].lagCount",
        "brokers.*.lagTimestampTopK[].earliestUnconsumedTimestamp",
    ],
    options: &[
        required("p", "parentTopic", "Parent topic name"),
        required("g", "group", "Consumer group"),
        value("l", "liteTopic", "query lite topic detail"),
        value("k", "topK", "topK value of each broker"),
    ],
    run: |context| Box::pin(group_info(context)),
};

pub const TRIGGER_LITE_DISPATCH: SubCommand = SubCommand {
    name: "triggerLiteDispatch",
    about: "Trigger Lite Dispatch.",
    example: "-p LiteTest -g GroupTest",
    answer: &["brokers.*"],
    options: &[
        required("p", "parentTopic", "Parent topic name"),
        required("g", "group", "Consumer group"),
        value("c", "clientId", "clientId (optional)"),
        value("b", "brokerName", "brokerName (optional)"),
    ],
    run: |context| Box::pin(trigger(context)),
};

/// Answers of the parent topic's brokers by broker name; a broker that fails is complained about
/// and missing.
async fn ask<H: Request, T: serde::de::DeserializeOwned>(
    context: &Context<'_>,
    header: &H,
) -> Result<Vec<(String, T)>, Failure> {
    let route = context.cluster.route(context.required("p")?).await?;
    let mut list = Vec::new();
    for broker in &route.broker_datas {
        let Some(addr) = route::any_addr(broker) else { continue };
        let answer = context.cluster.broker(addr, header).await;
        match answer.and_then(|answer| answer.json()) {
            Ok(body) => list.push((broker.broker_name.to_string(), body)),
            Err(failure) => context.complain(&failure),
        }
    }
    Ok(list)
}

/// A moment, or `none` where there is none.
fn moment(at: i64, none: &str) -> String {
    if at > 0 { time::with_millis(Millis(at)) } else { none.to_owned() }
}

/// A Java set's text.
fn set(items: &BTreeSet<String>) -> String {
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    format!("[{}]", items.join(", "))
}

/// Java: `GetBrokerLiteInfoResponseBody`.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct BrokerInfo {
    store_type: Option<String>,
    max_lmq_num: i32,
    current_lmq_num: i32,
    lite_subscription_count: i32,
    order_info_count: i32,
    cq_table_size: i32,
    offset_table_size: i32,
    event_map_size: i32,
    topic_meta: BTreeMap<String, i32>,
    group_meta: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Serialize)]
struct Brokers {
    brokers: BTreeMap<String, BrokerInfo>,
    #[serde(skip)]
    detailed: bool,
}

impl fmt::Display for Brokers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |f: &mut fmt::Formatter<'_>, cells: [&str; 9]| {
            let [broker, store, max, current, subscriptions, order, queues, offsets, events] =
                cells;
            writeln!(
                f,
                "{broker:<30} {store:<17} {max:<10} {current:<14} {subscriptions:<20} {order:<17} {queues:<15} {offsets:<18} {events:<15}"
            )
        };
        row(
            f,
            [
                "#Broker",
                "#Store Type",
                "#Max LMQ",
                "#Current LMQ",
                "#SubscriptionCount",
                "#OrderInfoCount",
                "#CQTableSize",
                "#OffsetTableSize",
                "#eventMapSize",
            ],
        )?;
        for (addr, info) in &self.brokers {
            row(
                f,
                [
                    addr,
                    info.store_type.as_deref().unwrap_or("null"),
                    &info.max_lmq_num.to_string(),
                    &info.current_lmq_num.to_string(),
                    &info.lite_subscription_count.to_string(),
                    &info.order_info_count.to_string(),
                    &info.cq_table_size.to_string(),
                    &info.offset_table_size.to_string(),
                    &info.event_map_size.to_string(),
                ],
            )?;
            if self.detailed {
                writeln!(f, "Topic Meta: {}", crate::text::java_map(&info.topic_meta))?;
                let groups = info.group_meta.iter().map(|(topic, groups)| (topic, set(groups)));
                writeln!(f, "Group Meta: {}\n", crate::text::java_map(groups))?;
            }
        }
        Ok(())
    }
}

async fn broker_info(context: &Context<'_>) -> Result<(), Failure> {
    let mut brokers = BTreeMap::new();
    for addr in context.masters().await? {
        let answer = context.cluster.broker(&addr, &GetBrokerLiteInfo {}).await;
        match answer.and_then(|answer| answer.json()) {
            Ok(info) => {
                brokers.insert(addr, info);
            }
            Err(failure) if context.has("c") => context.complain(&failure),
            Err(failure) => return Err(failure),
        }
    }
    context.print(&Brokers { brokers, detailed: context.has("d") })
}

/// What brokers say, with a heading.
#[derive(Serialize)]
struct ByBroker<T> {
    #[serde(skip)]
    heading: String,
    brokers: BTreeMap<String, T>,
    #[serde(skip)]
    detailed: bool,
}

fn print_by_broker<T>(
    context: &Context<'_>,
    heading: String,
    detailed: bool,
    list: Vec<(String, T)>,
) -> Result<(), Failure>
where
    ByBroker<T>: Report,
{
    context.print(&ByBroker { heading, brokers: list.into_iter().collect(), detailed })
}

/// Java: `GetParentTopicInfoResponseBody`.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ParentInfo {
    /// Minutes.
    ttl: i32,
    lite_topic_count: i32,
    lmq_num: i32,
    groups: BTreeSet<String>,
}

impl fmt::Display for ByBroker<ParentInfo> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.heading)?;
        writeln!(
            f,
            "{:<50} {:<8} {:<14} {:<14} {:<100} ",
            "#Broker Name", "#TTL", "#Lite Count", "#LMQ NUM", "#GROUPS"
        )?;
        self.brokers.iter().try_for_each(|(name, info)| {
            writeln!(
                f,
                "{name:<50} {:<8} {:<14} {:<14} {:<100} ",
                info.ttl,
                info.lite_topic_count,
                info.lmq_num,
                set(&info.groups)
            )
        })
    }
}

async fn parent_info(context: &Context<'_>) -> Result<(), Failure> {
    let topic = context.required("p")?;
    let list = ask(context, &GetParentTopicInfo { topic: topic.into() }).await?;
    print_by_broker::<ParentInfo>(context, format!("Parent Topic Info: [{topic}]"), false, list)
}

/// Java: `GetLiteTopicInfoResponseBody`.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TopicInfo {
    subscriber: Vec<Subscriber>,
    topic_offset: TopicOffset,
    sharding_to_broker: bool,
}

/// Java: `ClientGroup`.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Subscriber {
    client_id: String,
    group: String,
}

impl fmt::Display for ByBroker<TopicInfo> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.heading)?;
        writeln!(
            f,
            "{:<50} {:<14} {:<14} {:<30} {:<12} {:<18} ",
            "#Broker Name",
            "#MinOffset",
            "#MaxOffset",
            "#LastUpdate",
            "#Sharding",
            "#SubClientCount"
        )?;
        for (name, info) in &self.brokers {
            writeln!(
                f,
                "{name:<50} {:<14} {:<14} {:<30} {:<12} {:<18} ",
                info.topic_offset.min_offset,
                info.topic_offset.max_offset,
                moment(info.topic_offset.last_update_timestamp, "-"),
                info.sharding_to_broker,
                info.subscriber.len()
            )?;
            if self.detailed {
                let clients = info.subscriber.iter();
                let clients = clients.map(|one| format!("{}@{}", one.client_id, one.group));
                writeln!(f, "{}", set(&clients.collect()))?;
            }
        }
        Ok(())
    }
}

async fn topic_info(context: &Context<'_>) -> Result<(), Failure> {
    let (parent, topic) = (context.required("p")?, context.required("l")?);
    let header =
        GetLiteTopicInfo { parent_topic: Some(parent.into()), lite_topic: Some(topic.into()) };
    let list = ask(context, &header).await?;
    // The name of its queue at the brokers (Java: `LiteUtil.toLmqName`).
    let heading = format!("Lite Topic Info: [{parent}] [{topic}] [%LMQ%${parent}${topic}]");
    print_by_broker::<TopicInfo>(context, heading, context.has("s"), list)
}

/// Java: `GetLiteClientInfoResponseBody`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ClientInfo {
    lite_topic_count: i32,
    last_access_time: i64,
    last_consume_time: i64,
    lite_topic_set: BTreeSet<String>,
}

impl Default for ClientInfo {
    fn default() -> Self {
        Self {
            lite_topic_count: -1,
            last_access_time: 0,
            last_consume_time: 0,
            lite_topic_set: BTreeSet::new(),
        }
    }
}

impl fmt::Display for ByBroker<ClientInfo> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.heading)?;
        writeln!(
            f,
            "{:<30} {:<20} {:<30} {:<30} ",
            "#Broker", "#LiteTopicCount", "#LastAccessTime", "#LastConsumeTime"
        )?;
        for (name, info) in &self.brokers {
            let count = match info.lite_topic_count {
                count if count > 0 => count.to_string(),
                _ => "N/A".to_owned(),
            };
            writeln!(
                f,
                "{name:<30} {count:<20} {:<30} {:<30} ",
                moment(info.last_access_time, "N/A"),
                moment(info.last_consume_time, "N/A")
            )?;
            if self.detailed {
                writeln!(f, "Lite Topics: {}\n", set(&info.lite_topic_set))?;
            }
        }
        Ok(())
    }
}

async fn client_info(context: &Context<'_>) -> Result<(), Failure> {
    let (parent, group) = (context.required("p")?, context.required("g")?);
    let client = context.required("c")?;
    let header = GetLiteClientInfo {
        parent_topic: Some(parent.into()),
        group: Some(group.into()),
        client_id: Some(client.into()),
        max_count: None,
    };
    let list = ask(context, &header).await?;
    let heading = format!("Lite Client Info: [{parent}] [{group}] [{client}]");
    print_by_broker::<ClientInfo>(context, heading, context.has("s"), list)
}

/// Java: `GetLiteGroupInfoResponseBody`.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct GroupInfo {
    total_lag_count: i64,
    earliest_unconsumed_timestamp: i64,
    lite_topic_offset_wrapper: Option<ConsumeOffset>,
    lag_count_top_k: Vec<Lag>,
    lag_timestamp_top_k: Vec<Lag>,
}

/// Java: `LiteLagInfo`.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Lag {
    lite_topic: String,
    lag_count: i64,
    earliest_unconsumed_timestamp: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupReport {
    parent_topic: String,
    group: String,
    lite_topic: Option<String>,
    now: i64,
    brokers: BTreeMap<String, GroupInfo>,
}

impl GroupReport {
    fn offsets(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |cells: [&str; 5]| {
            let [name, broker, consumer, lag, updated] = cells;
            writeln!(f, "{name:<50} {broker:<16} {consumer:<16} {lag:<16} {updated:<30}")
        };
        row(["#Broker Name", "#BrokerOffset", "#ConsumeOffset", "#LagCount", "#LastUpdate"])?;
        self.brokers.iter().try_for_each(|(name, info)| match &info.lite_topic_offset_wrapper {
            None => row([name, "-", "-", "-", "-"]),
            Some(offset) => row([
                name,
                &offset.broker_offset.to_string(),
                &offset.consumer_offset.to_string(),
                &(offset.broker_offset - offset.consumer_offset).to_string(),
                &moment(offset.last_timestamp, "-"),
            ]),
        })
    }

    fn lags(f: &mut fmt::Formatter<'_>, lags: &[Lag]) -> fmt::Result {
        writeln!(
            f,
            "{:<6} {:<40} {:<12} {:<30}",
            "NO", "Lite Topic", "Lag Count", "UnconsumedTimestamp"
        )?;
        lags.iter().enumerate().try_for_each(|(index, lag)| {
            writeln!(
                f,
                "{:<6} {:<40} {:<12} {:<30}",
                index + 1,
                lag.lite_topic,
                lag.lag_count,
                moment(lag.earliest_unconsumed_timestamp, "-")
            )
        })
    }
}

impl fmt::Display for GroupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Lite Group Info: [{}] [{}]", self.group, self.parent_topic)?;
        if self.lite_topic.is_some() {
            return self.offsets(f);
        }
        let total: i64 = self.brokers.values().map(|info| info.total_lag_count).sum();
        writeln!(f, "Total Lag Count: {total}")?;
        let times = self.brokers.values().map(|info| info.earliest_unconsumed_timestamp);
        if let Some(earliest) = times.filter(|at| *at > 0).min() {
            let ago = (self.now - earliest) / 1000;
            writeln!(f, "Min Unconsumed Timestamp: {earliest} ({ago} s ago)\n")?;
        }
        let every = |pick: fn(&GroupInfo) -> &Vec<Lag>| -> Vec<Lag> {
            self.brokers.values().flat_map(pick).cloned().collect()
        };
        let mut by_count = every(|info| &info.lag_count_top_k);
        by_count.sort_by_key(|lag| std::cmp::Reverse(lag.lag_count));
        writeln!(f, "------TopK by lag count-----")?;
        Self::lags(f, &by_count)?;
        let mut by_time = every(|info| &info.lag_timestamp_top_k);
        by_time.sort_by_key(|lag| lag.earliest_unconsumed_timestamp);
        writeln!(f, "\n------TopK by lag time------")?;
        Self::lags(f, &by_time)
    }
}

async fn group_info(context: &Context<'_>) -> Result<(), Failure> {
    let (parent, group) = (context.required("p")?, context.required("g")?);
    let lite_topic = context.get("l");
    let header = GetLiteGroupInfo {
        group: group.into(),
        lite_topic: lite_topic.map(Into::into),
        top_k: Some(context.number("k")?.unwrap_or(TOP)),
    };
    let list = ask(context, &header).await?;
    context.print(&GroupReport {
        parent_topic: parent.to_owned(),
        group: group.to_owned(),
        lite_topic: lite_topic.map(str::to_owned),
        now: time::now().0,
        brokers: list.into_iter().collect(),
    })
}

#[derive(Serialize)]
struct Dispatched {
    #[serde(skip)]
    heading: String,
    /// Whether the broker did it.
    brokers: BTreeMap<String, bool>,
}

impl fmt::Display for Dispatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.heading)?;
        self.brokers.iter().try_for_each(|(name, done)| {
            writeln!(f, "{name:<30} {:<12}", if *done { "dispatched" } else { "error" })
        })
    }
}

async fn trigger(context: &Context<'_>) -> Result<(), Failure> {
    let (parent, group) = (context.required("p")?, context.required("g")?);
    let header =
        TriggerLiteDispatch { group: group.into(), client_id: context.get("c").map(Into::into) };
    let route = context.cluster.route(parent).await?;
    let mut brokers = BTreeMap::new();
    for broker in &route.broker_datas {
        if context.get("b").is_some_and(|name| name != &*broker.broker_name) {
            continue;
        }
        let Some(addr) = route::any_addr(broker) else { continue };
        let done = context.cluster.broker(addr, &header).await;
        if let Err(failure) = &done {
            context.complain(failure);
        }
        brokers.insert(broker.broker_name.to_string(), done.is_ok());
    }
    let heading = format!("Group And Topic Info: [{group}] [{parent}]");
    context.print(&Dispatched { heading, brokers })
}
