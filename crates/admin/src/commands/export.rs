//! Configuration and state written to files, for moving a cluster or judging it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};
use skua_protocol::body::{
    SubscriptionGroupConfig, SubscriptionGroupTable, TopicConfig, TopicConfigSerializeWrapper,
    TopicList,
};
use skua_protocol::request::{
    GetAllSubscriptionGroupConfig, GetAllTopicConfig, GetBrokerConfig,
    GetSystemTopicListFromBroker, PopRollback,
};

use super::cluster::runtime;
use super::consumer::connections;
use super::properties;
use super::statistics::{broker_stats, day_sum};
use super::topic::{DLQ_PREFIX, RETRY_PREFIX};
use crate::client::route;
use crate::failure::Failure;
use crate::mqadmin::context::Done;
use crate::mqadmin::options::{flag, required, value};
use crate::mqadmin::{Context, SubCommand};
use crate::{text, time};

const DEFAULT_FOLDER: &str = "/tmp/rocketmq/export";

/// Groups that every broker has of itself (Java: `MixAll.PREDEFINE_GROUP_SET`).
const OWN_GROUPS: &[&str] = &[
    "DEFAULT_CONSUMER",
    "DEFAULT_PRODUCER",
    "TOOLS_CONSUMER",
    "SCHEDULE_CONSUMER",
    "FILTERSRV_CONSUMER",
    "__MONITOR_CONSUMER",
    "CLIENT_INNER_PRODUCER",
    "SELF_TEST_P_GROUP",
    "SELF_TEST_C_GROUP",
    "CID_ONS-HTTP-PROXY",
    "CID_ONSAPI_PERMISSION",
    "CID_ONSAPI_OWNER",
    "CID_ONSAPI_PULL",
];
const OWN_GROUP_PREFIX: &str = "CID_RMQ_SYS_";
/// Topics that a broker may have without naming them among its own (Java: `TopicValidator`).
const OWN_TOPIC_PREFIX: &str = "rmq_sys_";

/// Keys of the broker's configuration that exportConfigs keeps.
const CONFIG_KEYS: &[&str] = &[
    "brokerClusterName",
    "brokerId",
    "brokerName",
    "brokerRole",
    "fileReservedTime",
    "filterServerNums",
    "flushDiskType",
    "maxMessageSize",
    "messageDelayLevel",
    "msgTraceTopicName",
    "slaveReadEnable",
    "traceOn",
    "traceTopicEnable",
    "useTLS",
    "autoCreateTopicEnable",
    "autoCreateSubscriptionGroup",
];

pub const EXPORT_METADATA: SubCommand = SubCommand {
    name: "exportMetadata",
    about: "Export metadata.",
    example: "-c DefaultCluster -f /tmp/rocketmq/export",
    answer: &["done", "path"],
    options: &[
        value("c", "clusterName", "choose a cluster to export"),
        value("b", "brokerAddr", "choose a broker to export"),
        value("f", "filePath", "export metadata.json path | default /tmp/rocketmq/export"),
        flag("t", "topic", "only export topic metadata"),
        flag("g", "subscriptionGroup", "only export subscriptionGroup metadata"),
        flag("s", "specialTopic", "need retryTopic and dlqTopic"),
    ],
    run: |context| Box::pin(export_metadata(context)),
};

pub const EXPORT_CONFIGS: SubCommand = SubCommand {
    name: "exportConfigs",
    about: "Export configs.",
    example: "-c DefaultCluster -f /tmp/rocketmq/export",
    answer: &["done", "path"],
    options: &[
        required("c", "clusterName", "choose a cluster to export"),
        value("f", "filePath", "export configs.json path | default /tmp/rocketmq/export"),
    ],
    run: |context| Box::pin(export_configs(context)),
};

pub const EXPORT_METRICS: SubCommand = SubCommand {
    name: "exportMetrics",
    about: "Export metrics.",
    example: "-c DefaultCluster -f /tmp/rocketmq/export",
    answer: &["done", "path"],
    options: &[
        required("c", "clusterName", "choose a cluster to export"),
        value("f", "filePath", "export metrics.json path | default /tmp/rocketmq/export"),
    ],
    run: |context| Box::pin(export_metrics(context)),
};

pub const EXPORT_POP_RECORD: SubCommand = SubCommand {
    name: "exportPopRecord",
    about: "Export pop consumer record",
    example: "-c DefaultCluster -d true",
    answer: &["done", "brokerAddr"],
    options: &[
        value("c", "clusterName", "choose one cluster to export"),
        value("b", "brokerAddr", "choose one broker to export"),
        value("d", "dryRun", "no actual changes will be made"),
    ],
    run: |context| Box::pin(export_pop_record(context)),
};

/// Writes `value` as fastjson would and says so.
fn save(context: &Context<'_>, name: &str, value: &impl Serialize) -> Result<(), Failure> {
    let folder = context.get("f").unwrap_or(DEFAULT_FOLDER);
    let path = format!("{folder}/{name}");
    if context.has("dry-run") {
        return context.print(&Done::new(format!("would write {path}")).with("path", path));
    }
    let value = serde_json::to_value(value)
        .map_err(|cause| Failure::other(format!("cannot write JSON: {cause}")))?;
    let written = std::fs::create_dir_all(Path::new(folder))
        .and_then(|()| std::fs::write(&path, text::pretty_json(&value)));
    written.map_err(|cause| Failure::File { path: path.clone(), cause })?;
    context.print(&Done::new(format!("export {path} success")).with("path", path))
}

/// The topics that users made at one broker.
async fn user_topics(
    context: &Context<'_>,
    addr: &str,
) -> Result<TopicConfigSerializeWrapper, Failure> {
    let answer = context.cluster.broker(addr, &GetAllTopicConfig::default()).await?;
    let mut topics: TopicConfigSerializeWrapper = answer.json()?;
    let own: TopicList =
        context.cluster.broker(addr, &GetSystemTopicListFromBroker {}).await?.json()?;
    let special = context.has("s");
    topics.topic_config_table.retain(|name, _| {
        let is_special = name.starts_with(RETRY_PREFIX) || name.starts_with(DLQ_PREFIX);
        !own.topic_list.iter().any(|known| known == name)
            && !name.starts_with(OWN_TOPIC_PREFIX)
            && (special || !is_special)
    });
    Ok(topics)
}

/// The groups that users made at one broker.
async fn user_groups(context: &Context<'_>, addr: &str) -> Result<SubscriptionGroupTable, Failure> {
    let answer = context.cluster.broker(addr, &GetAllSubscriptionGroupConfig::default()).await?;
    let mut groups: SubscriptionGroupTable = answer.json()?;
    groups.subscription_group_table.retain(|name, _| {
        !name.starts_with(OWN_GROUP_PREFIX) && !OWN_GROUPS.contains(&name.as_str())
    });
    Ok(groups)
}

async fn export_metadata(context: &Context<'_>) -> Result<(), Failure> {
    if let Some(addr) = context.get("b") {
        if context.has("t") {
            let topics = user_topics(context, addr).await?;
            let value = json!({
                "dataVersion": topics.data_version,
                "topicConfigTable": topics.topic_config_table,
            });
            return save(context, "topic.json", &value);
        }
        if context.has("g") {
            return save(context, "subscriptionGroup.json", &user_groups(context, addr).await?);
        }
        return Err(Failure::BadValue {
            option: "b",
            given: addr.to_owned(),
            accepted: "enough alone: add -t (topics) or -g (groups), or use -c",
        });
    }
    let mut topics: BTreeMap<String, TopicConfig> = BTreeMap::new();
    let mut groups: BTreeMap<String, SubscriptionGroupConfig> = BTreeMap::new();
    for addr in context.masters().await? {
        for (name, mut topic) in user_topics(context, &addr).await?.topic_config_table {
            // Queues of all brokers together.
            if let Some(before) = topics.get(&name) {
                topic.read_queue_nums += before.read_queue_nums;
                topic.write_queue_nums += before.write_queue_nums;
            }
            topics.insert(name, topic);
        }
        for (name, mut group) in user_groups(context, &addr).await?.subscription_group_table {
            if let Some(before) = groups.get(&name) {
                group.retry_queue_nums += before.retry_queue_nums;
            }
            groups.insert(name, group);
        }
    }
    let mut result = json!({ "exportTime": time::now().0 });
    let (only_topics, only_groups) = (context.has("t"), context.has("g") && !context.has("t"));
    if !only_groups {
        result["topicConfigTable"] = json!(topics);
    }
    if !only_topics {
        result["subscriptionGroupTable"] = json!(groups);
    }
    let name = match (only_topics, only_groups) {
        (true, _) => "topic.json",
        (_, true) => "subscriptionGroup.json",
        _ => "metadata.json",
    };
    save(context, name, &result)
}

async fn broker_config(
    context: &Context<'_>,
    addr: &str,
) -> Result<BTreeMap<String, String>, Failure> {
    let answer = context.cluster.broker(addr, &GetBrokerConfig {}).await?;
    Ok(properties::parse(answer.text()?))
}

async fn export_configs(context: &Context<'_>) -> Result<(), Failure> {
    let info = context.cluster.info().await?;
    let (mut masters, mut slaves) = (0, 0);
    let mut configs = Map::new();
    for broker in route::brokers_of(&info, context.required("c")?)? {
        let Some(addr) = route::master_addr(broker) else { continue };
        masters += 1;
        slaves += broker.broker_addrs.len() - 1;
        let config = broker_config(context, addr).await?;
        let kept = CONFIG_KEYS.iter().filter_map(|key| config.get_key_value(*key));
        let kept: BTreeMap<&String, &String> = kept.collect();
        configs.insert(broker.broker_name.to_string(), json!(kept));
    }
    let result = json!({
        "brokerConfigs": configs,
        "clusterScale": {
            "namesrvSize": context.cluster.name_servers()?.len(),
            "masterBrokerSize": masters,
            "slaveBrokerSize": slaves,
        },
    });
    save(context, "configs.json", &result)
}

/// Rates and counts of one broker, or their sums.
#[derive(Clone, Copy, Default)]
struct Load {
    normal_in_tps: f64,
    normal_out_tps: f64,
    trans_in_tps: f64,
    schedule_in_tps: f64,
    normal_in: i64,
    normal_out: i64,
    trans_in: i64,
    schedule_in: i64,
}

impl Load {
    fn add(&mut self, other: &Self) {
        self.normal_in_tps += other.normal_in_tps;
        self.normal_out_tps += other.normal_out_tps;
        self.trans_in_tps += other.trans_in_tps;
        self.schedule_in_tps += other.schedule_in_tps;
        self.normal_in += other.normal_in;
        self.normal_out += other.normal_out;
        self.trans_in += other.trans_in;
        self.schedule_in += other.schedule_in;
    }

    fn day(&self) -> Value {
        json!({
            "normalOneDayInNum": self.normal_in,
            "normalOneDayOutNum": self.normal_out,
            "transOneDayInNum": self.trans_in,
            "scheduleOneDayInNum": self.schedule_in,
        })
    }
}

async fn export_metrics(context: &Context<'_>) -> Result<(), Failure> {
    let info = context.cluster.info().await?;
    let mut report = Map::new();
    let mut total = Load::default();
    for broker in route::brokers_of(&info, context.required("c")?)? {
        let Some(addr) = route::master_addr(broker) else { continue };
        let (load, value) = metrics_of(context, addr).await?;
        total.add(&load);
        report.insert(broker.broker_name.to_string(), value);
    }
    let result = json!({
        "evaluateReport": report,
        "totalData": {
            "totalTps": {
                "totalNormalInTps": total.normal_in_tps,
                "totalNormalOutTps": total.normal_out_tps,
                "totalTransInTps": total.trans_in_tps,
                "totalScheduleInTps": total.schedule_in_tps,
            },
            "totalOneDayNum": total.day(),
        },
    });
    save(context, "metrics.json", &result)
}

async fn metrics_of(context: &Context<'_>, addr: &str) -> Result<(Load, Value), Failure> {
    let table = runtime(context, addr).await?;
    let config = broker_config(context, addr).await?;
    let topics = user_topics(context, addr).await?;
    let groups = user_groups(context, addr).await?;
    let count = |key: &str| table.get(key).and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    let tps = |key: &str| {
        let first = table.get(key).and_then(|text| text.split(' ').next());
        first.and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0)
    };
    // A broker refuses to tell of a counter that never counted.
    let put = |topic| broker_stats(context, addr, "TOPIC_PUT_NUMS", topic);
    let trans = put("RMQ_SYS_TRANS_HALF_TOPIC").await.unwrap_or_default();
    let schedule = put("SCHEDULE_TOPIC_XXXX").await.unwrap_or_default();
    let between = |to, from| count(to) - count(from);
    let load = Load {
        normal_in_tps: tps("putTps"),
        normal_out_tps: tps("getTransferredTps"),
        trans_in_tps: trans.stats_minute.tps,
        schedule_in_tps: schedule.stats_minute.tps,
        normal_in: between("msgPutTotalTodayMorning", "msgPutTotalYesterdayMorning"),
        normal_out: between("msgGetTotalTodayMorning", "msgGetTotalYesterdayMorning"),
        trans_in: day_sum(&trans),
        schedule_in: day_sum(&schedule),
    };
    let mut clients = BTreeSet::new();
    for group in groups.subscription_group_table.keys() {
        // A group without clients is refused.
        let Ok(found) = connections(context, group, None).await else { continue };
        clients.extend(
            found.connection_set.iter().map(|client| {
                format!("{}%{}", client.language, text::version_name(client.version))
            }),
        );
    }
    let mut env = Map::new();
    for (name, value) in [
        ("cpuNum", config.get("clientCallbackExecutorThreads")),
        ("totalMemKBytes", table.get("totalMemKBytes")),
    ] {
        env.extend(value.map(|value| (name.to_owned(), json!(value))));
    }
    let version = table.get("brokerVersionDesc").map_or("", String::as_str);
    let value = json!({
        "runtimeEnv": env,
        "runtimeVersion": { "rocketmqVersion": version, "clientInfo": clients },
        "runtimeQuota": {
            "diskRatio": {
                "commitLogDiskRatio": table.get("commitLogDiskRatio"),
                "consumeQueueDiskRatio": table.get("consumeQueueDiskRatio"),
            },
            "tps": {
                "normalInTps": load.normal_in_tps,
                "normalOutTps": load.normal_out_tps,
                "transInTps": load.trans_in_tps,
                "scheduleInTps": load.schedule_in_tps,
            },
            "oneDayNum": load.day(),
            "messageAverageSize": table.get("putMessageAverageSize"),
            "topicSize": topics.topic_config_table.len(),
            "groupSize": groups.subscription_group_table.len(),
        },
    });
    Ok((load, value))
}

async fn export_pop_record(context: &Context<'_>) -> Result<(), Failure> {
    // Java takes -d the wrong way round: `-d false` is its dry run. Whoever asks for no changes
    // gets none here.
    let dry_run = context.truth("d")?.unwrap_or(false);
    let brokers: Vec<(String, String)> = match context.get("b") {
        Some(addr) => {
            let config = broker_config(context, addr).await?;
            vec![(config.get("brokerName").cloned().unwrap_or_default(), addr.to_owned())]
        }
        None => {
            let info = context.cluster.info().await?;
            let brokers = route::brokers_of(&info, context.required("c")?)?;
            let named = brokers.into_iter().flat_map(|broker| {
                let addrs = broker.broker_addrs.values();
                addrs.map(|addr| (broker.broker_name.to_string(), addr.to_string()))
            });
            named.collect()
        }
    };
    for (name, addr) in brokers {
        if !dry_run {
            context.cluster.broker(&addr, &PopRollback {}).await?;
        }
        let sentence = format!(
            "Export broker records, brokerName={name}, brokerAddr={addr}, dryRun={dry_run}"
        );
        context.print(&Done::new(sentence).with("brokerAddr", addr))?;
    }
    Ok(())
}
