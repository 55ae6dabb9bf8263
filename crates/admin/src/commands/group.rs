//! Subscription groups: made, changed, shown, deleted.

use std::fmt;

use bytestring::ByteString;
use serde::Serialize;
use skua_protocol::body::{
    GroupRetryPolicy, SubscriptionGroupConfig, SubscriptionGroupConfigList, SubscriptionGroupTable,
};
use skua_protocol::json;
use skua_protocol::request::{
    DeleteSubscriptionGroup, GetAllSubscriptionGroupConfig, UpdateAndCreateSubscriptionGroup,
    UpdateAndCreateSubscriptionGroupList,
};

use super::topic;
use crate::client::route;
use crate::failure::Failure;
use crate::mqadmin::context::Done;
use crate::mqadmin::options::{Entry, alternative, required, value};
use crate::mqadmin::{Context, SubCommand};
use crate::text;

pub const UPDATE_SUB_GROUP: SubCommand = SubCommand {
    name: "updateSubGroup",
    about: "Update or create subscription group.",
    example: "-c DefaultCluster -g GroupTest -r 16",
    answer: &[
        "done",
        "brokerAddr",
        "brokerId",
        "consumeBroadcastEnable",
        "consumeEnable",
        "consumeFromMinEnable",
        "consumeMessageOrderly",
        "consumeTimeoutMinute",
        "groupName",
        "groupSysFlag",
        "notifyConsumerIdsChangedEnable",
        "retryMaxTimes",
        "retryQueueNums",
        "whichBrokerWhenConsumeSlowly",
        "attributes.*",
        "groupRetryPolicy.*",
        "subscriptionDataSet[].*",
    ],
    options: &[
        Entry::OneOf(&[
            alternative("b", "brokerAddr", "create subscription group to which broker"),
            alternative("c", "clusterName", "create subscription group to which cluster"),
        ]),
        required("g", "groupName", "consumer group name"),
        value("s", "consumeEnable", "consume enable"),
        value("m", "consumeFromMinEnable", "from min offset"),
        value("d", "consumeBroadcastEnable", "broadcast"),
        value("o", "consumeMessageOrderly", "consume message orderly"),
        value("q", "retryQueueNums", "retry queue nums"),
        value("r", "retryMaxTimes", "retry max times"),
        value(
            "p",
            "groupRetryPolicy",
            "retry policy as JSON, {\"type\":\"EXPONENTIAL\",\"exponentialRetryPolicy\":{\"initial\":5000,\"max\":7200000,\"multiplier\":2}} or {\"type\":\"CUSTOMIZED\",\"customizedRetryPolicy\":{\"next\":[1000,5000,10000]}}",
        ),
        value("i", "brokerId", "consumer from which broker id"),
        value("w", "whichBrokerWhenConsumeSlowly", "which broker id when consume slowly"),
        value("a", "notifyConsumerIdsChanged", "notify consumerId changed"),
        value("", "attributes", "attribute(+a=b,+c=d,-e)"),
    ],
    run: |context| Box::pin(update_group(context)),
};

pub const UPDATE_SUB_GROUP_LIST: SubCommand = SubCommand {
    name: "updateSubGroupList",
    about: "Update or create subscription group in batch",
    example: "-c DefaultCluster -f groups.json",
    answer: &["done", "brokerAddr"],
    options: &[
        Entry::OneOf(&[
            alternative("b", "brokerAddr", "create groups to which broker"),
            alternative("c", "clusterName", "create groups to which cluster"),
        ]),
        required(
            "f",
            "filename",
            "Path to a file with list of SubscriptionGroupConfig in json format",
        ),
    ],
    run: |context| Box::pin(update_group_list(context)),
};

pub const DELETE_SUB_GROUP: SubCommand = SubCommand {
    name: "deleteSubGroup",
    about: "Delete subscription group from broker.",
    example: "-c DefaultCluster -g GroupTest --dry-run",
    answer: &["done", "brokerAddr", "group"],
    options: &[
        Entry::OneOf(&[
            alternative("b", "brokerAddr", "delete subscription group from which broker"),
            alternative("c", "clusterName", "delete subscription group from which cluster"),
        ]),
        required("g", "groupName", "subscription group name"),
        value("r", "removeOffset", "remove offset"),
    ],
    run: |context| Box::pin(delete_group(context)),
};

pub const GET_CONSUMER_CONFIG: SubCommand = SubCommand {
    name: "getConsumerConfig",
    about: "Get consumer config by subscription group name.",
    example: "-g GroupTest",
    answer: &["brokerName", "cluster", "config.*"],
    options: &[required("g", "groupName", "subscription group name")],
    run: |context| Box::pin(get_config(context)),
};

/// A group's configuration as Java prints it.
#[derive(Serialize)]
#[serde(transparent)]
struct Printed(SubscriptionGroupConfig);

impl fmt::Display for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<String> =
            fields(&self.0).map(|(name, value)| format!("{name}={value}")).collect();
        writeln!(f, "SubscriptionGroupConfig{{{}}}", fields.join(", "))
    }
}

/// Names and values in Java's order.
fn fields(config: &SubscriptionGroupConfig) -> impl Iterator<Item = (&'static str, String)> {
    let topics = config.subscription_data_set.as_ref().map_or_else(
        || "null".to_owned(),
        |set| {
            let topics: Vec<&str> = set.iter().map(|data| data.topic.as_str()).collect();
            format!("[{}]", topics.join(", "))
        },
    );
    [
        ("groupName", config.group_name.clone()),
        ("consumeEnable", config.consume_enable.to_string()),
        ("consumeFromMinEnable", config.consume_from_min_enable.to_string()),
        ("consumeBroadcastEnable", config.consume_broadcast_enable.to_string()),
        ("consumeMessageOrderly", config.consume_message_orderly.to_string()),
        ("retryQueueNums", config.retry_queue_nums.to_string()),
        ("retryMaxTimes", config.retry_max_times.to_string()),
        ("groupRetryPolicy", policy_text(&config.group_retry_policy)),
        ("brokerId", config.broker_id.to_string()),
        ("whichBrokerWhenConsumeSlowly", config.which_broker_when_consume_slowly.to_string()),
        ("notifyConsumerIdsChangedEnable", config.notify_consumer_ids_changed_enable.to_string()),
        ("groupSysFlag", config.group_sys_flag.to_string()),
        ("consumeTimeoutMinute", config.consume_timeout_minute.to_string()),
        ("subscriptionDataSet", topics),
        ("attributes", text::java_map(&config.attributes)),
    ]
    .into_iter()
}

fn policy_text(policy: &GroupRetryPolicy) -> String {
    let exponential = policy.exponential_retry_policy.as_ref().map_or_else(
        || "null".to_owned(),
        |policy| {
            format!(
                "ExponentialRetryPolicy{{initial={}, max={}, multiplier={}}}",
                policy.initial, policy.max, policy.multiplier
            )
        },
    );
    let customized = policy.customized_retry_policy.as_ref().map_or_else(
        || "null".to_owned(),
        |policy| format!("CustomizedRetryPolicy{{next={:?}}}", policy.next),
    );
    format!(
        "GroupRetryPolicy{{type={}, exponentialRetryPolicy={exponential}, customizedRetryPolicy={customized}}}",
        policy.kind
    )
}

async fn update_group(context: &Context<'_>) -> Result<(), Failure> {
    let mut config = SubscriptionGroupConfig {
        consume_broadcast_enable: context.truth("d")?.unwrap_or(false),
        consume_from_min_enable: context.truth("m")?.unwrap_or(false),
        consume_message_orderly: context.truth("o")?.unwrap_or(false),
        consume_enable: context.truth("s")?.unwrap_or(true),
        notify_consumer_ids_changed_enable: context.truth("a")?.unwrap_or(true),
        attributes: topic::attributes(context.get("attributes").unwrap_or_default())?,
        ..SubscriptionGroupConfig::new(context.required("g")?)
    };
    let retry_queues = context.number("q")?;
    config.retry_queue_nums = retry_queues.unwrap_or(config.retry_queue_nums);
    config.retry_max_times = context.number("r")?.unwrap_or(config.retry_max_times);
    config.broker_id = context.number("i")?.unwrap_or(config.broker_id);
    config.which_broker_when_consume_slowly =
        context.number("w")?.unwrap_or(config.which_broker_when_consume_slowly);
    if let Some(policy) = context.get("p") {
        config.group_retry_policy =
            json::from_slice(policy.as_bytes()).map_err(|_| Failure::BadValue {
                option: "p",
                given: policy.to_owned(),
                accepted: "a retry policy as JSON",
            })?;
    }
    let body = json::to_vec(&config);
    for addr in context.masters().await? {
        let sent = context
            .cluster
            .broker_with(&addr, &UpdateAndCreateSubscriptionGroup {}, body.clone())
            .await;
        match sent {
            Ok(_) => {
                let sentence = format!("create subscription group to {addr} success.");
                context.print(&Done::new(sentence).with("brokerAddr", addr))?;
            }
            Err(failure) if context.has("c") => context.complain(&failure),
            Err(failure) => return Err(failure),
        }
    }
    context.print(&Printed(config))
}

async fn update_group_list(context: &Context<'_>) -> Result<(), Failure> {
    let groups: Vec<SubscriptionGroupConfig> = context.json_file("f")?;
    let body = json::to_vec(&SubscriptionGroupConfigList { group_config_list: groups });
    let header = UpdateAndCreateSubscriptionGroupList {};
    for addr in context.masters().await? {
        context.cluster.broker_with(&addr, &header, body.clone()).await?;
        // Java: the two ways are told in different words.
        let what = if context.has("b") { "group" } else { "subscription group" };
        let sentence = format!(
            "submit batch of {what} config to {addr} success, please check the result later."
        );
        context.print(&Done::new(sentence).with("brokerAddr", addr))?;
    }
    Ok(())
}

async fn delete_group(context: &Context<'_>) -> Result<(), Failure> {
    let group = context.required("g")?;
    let header = DeleteSubscriptionGroup {
        group_name: ByteString::from(group),
        clean_offset: Some(context.truth("r")?.unwrap_or(false)),
    };
    let cluster = context.get("c");
    for addr in context.masters().await? {
        context.cluster.broker(&addr, &header).await?;
        let place = match cluster {
            Some(cluster) => format!("broker [{addr}] in cluster [{cluster}]"),
            None => format!("broker [{addr}]"),
        };
        let sentence = format!("delete subscription group [{group}] from {place} success.");
        context.print(&Done::new(sentence).with("group", group).with("brokerAddr", addr))?;
    }
    if let Some(cluster) = cluster {
        for prefix in [topic::RETRY_PREFIX, topic::DLQ_PREFIX] {
            topic::delete(context, &format!("{prefix}{group}"), cluster).await?;
        }
    }
    Ok(())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupAt {
    cluster: String,
    broker_name: String,
    config: SubscriptionGroupConfig,
}

impl fmt::Display for GroupAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = "=".repeat(29);
        writeln!(f, "{rule}{}:{}{rule}", self.cluster, self.broker_name)?;
        fields(&self.config).try_for_each(|(name, value)| {
            let value = if value == "null" { "" } else { &value };
            writeln!(f, "{name:<40}=  {value}")
        })
    }
}

async fn get_config(context: &Context<'_>) -> Result<(), Failure> {
    let group = context.required("g")?;
    let info = context.cluster.info().await?;
    for (cluster, names) in &info.cluster_addr_table {
        for broker in names.iter().filter_map(|name| info.broker_addr_table.get(name)) {
            let Some(addr) = route::any_addr(broker) else { continue };
            let header = GetAllSubscriptionGroupConfig::default();
            let table: SubscriptionGroupTable =
                context.cluster.broker(addr, &header).await?.json()?;
            if let Some(config) = table.subscription_group_table.get(group) {
                context.print(&GroupAt {
                    cluster: cluster.clone(),
                    broker_name: broker.broker_name.clone(),
                    config: config.clone(),
                })?;
            }
        }
    }
    Ok(())
}
