//! Topics: made, changed, listed, deleted.

use std::collections::BTreeMap;
use std::fmt;

use bytestring::ByteString;
use serde::Serialize;
use skua_protocol::body::{
    ClusterInfo, GroupList, PERM_READ, PERM_WRITE, RouteData, TopicConfig, TopicConfigList,
    TopicFilterType, TopicList,
};
use skua_protocol::json;
use skua_protocol::request::{
    DeleteTopicInBroker, DeleteTopicInNamesrv, GetAllTopicListFromNameServer,
    QueryTopicConsumeByWho, UpdateAndCreateTopic, UpdateAndCreateTopicList,
};

use super::kv;
use crate::client::{self, route};
use crate::failure::Failure;
use crate::mqadmin::context::Done;
use crate::mqadmin::options::{Entry, alternative, flag, required, value};
use crate::mqadmin::{Context, SubCommand};
use crate::text;

pub const RETRY_PREFIX: &str = "%RETRY%";
pub const DLQ_PREFIX: &str = "%DLQ%";

pub const UPDATE_TOPIC: SubCommand = SubCommand {
    name: "updateTopic",
    about: "Update or create topic.",
    example: "-c DefaultCluster -t TopicTest -r 8 -w 8",
    answer: &[
        "done",
        "brokerAddr",
        "order",
        "perm",
        "readQueueNums",
        "topicFilterType",
        "topicName",
        "topicSysFlag",
        "writeQueueNums",
        "attributes.*",
        "orderConf",
    ],
    options: &[
        Entry::OneOf(&[
            alternative("b", "brokerAddr", "create topic to which broker"),
            alternative("c", "clusterName", "create topic to which cluster"),
        ]),
        value("a", "attributes", "attribute(+a=b,+c=d,-e)"),
        required("t", "topic", "topic name"),
        value("r", "readQueueNums", "set read queue nums"),
        value("w", "writeQueueNums", "set write queue nums"),
        value("p", "perm", "set topic's permission(2|4|6), intro[2:W 4:R; 6:RW]"),
        value("o", "order", "set topic's order(true|false)"),
        value("u", "unit", "is unit topic (true|false)"),
        value("s", "hasUnitSub", "has unit sub (true|false)"),
    ],
    run: |context| Box::pin(update_topic(context)),
};

pub const UPDATE_TOPIC_LIST: SubCommand = SubCommand {
    name: "updateTopicList",
    about: "create or update topic in batch",
    example: "-c DefaultCluster -f topics.json",
    answer: &["done", "brokerAddr"],
    options: &[
        Entry::OneOf(&[
            alternative("b", "brokerAddr", "create topic to which broker"),
            alternative("c", "clusterName", "create topic to which cluster"),
        ]),
        required("f", "filename", "Path to a file with list of topic configs in json format"),
    ],
    run: |context| Box::pin(update_topic_list(context)),
};

pub const UPDATE_TOPIC_PERM: SubCommand = SubCommand {
    name: "updateTopicPerm",
    about: "Update topic perm.",
    example: "-c DefaultCluster -t TopicTest -p 4",
    answer: &[
        "done",
        "brokerAddr",
        "from",
        "to",
        "order",
        "perm",
        "readQueueNums",
        "topicFilterType",
        "topicName",
        "topicSysFlag",
        "writeQueueNums",
        "attributes.*",
    ],
    options: &[
        Entry::OneOf(&[
            alternative("b", "brokerAddr", "create topic to which broker"),
            alternative("c", "clusterName", "create topic to which cluster"),
        ]),
        required("t", "topic", "topic name"),
        required("p", "perm", "set topic's permission(2|4|6), intro[2:W; 4:R; 6:RW]"),
    ],
    run: |context| Box::pin(update_topic_perm(context)),
};

pub const DELETE_TOPIC: SubCommand = SubCommand {
    name: "deleteTopic",
    about: "Delete topic from broker and NameServer.",
    example: "-c DefaultCluster -t TopicTest --dry-run",
    answer: &["done", "cluster", "topic"],
    options: &[
        required("t", "topic", "topic name"),
        required("c", "clusterName", "delete topic from which cluster"),
    ],
    run: |context| Box::pin(delete_topic(context)),
};

pub const TOPIC_LIST: SubCommand = SubCommand {
    name: "topicList",
    about: "Fetch all topic list from name server.",
    example: "",
    answer: &["topics[]", "[].cluster", "[].topic", "[].group"],
    options: &[flag("c", "clusterModel", "clusterModel")],
    run: |context| Box::pin(topic_list(context)),
};

pub const TOPIC_CLUSTER_LIST: SubCommand = SubCommand {
    name: "topicClusterList",
    about: "Get cluster info for topic.",
    example: "-t TopicTest",
    answer: &["clusters[]"],
    options: &[required("t", "topic", "topic name")],
    run: |context| Box::pin(topic_cluster_list(context)),
};

/// Makes or changes a topic at one broker; `attributes` of `topic` are signed (`+a`, `-b`).
pub async fn update(context: &Context<'_>, addr: &str, topic: &TopicConfig) -> Result<(), Failure> {
    let attributes: Vec<String> = topic
        .attributes
        .iter()
        .map(
            |(name, value)| {
                if value.is_empty() { name.clone() } else { format!("{name}={value}") }
            },
        )
        .collect();
    let header = UpdateAndCreateTopic {
        topic: topic.topic_name.as_str().into(),
        default_topic: ByteString::from_static("TBW102"),
        read_queue_nums: topic.read_queue_nums,
        write_queue_nums: topic.write_queue_nums,
        perm: topic.perm,
        topic_filter_type: ByteString::from_static(topic.topic_filter_type.name()),
        topic_sys_flag: Some(topic.topic_sys_flag),
        order: topic.order,
        attributes: Some(attributes.join(",").into()),
        ..Default::default()
    };
    context.cluster.broker(addr, &header).await.map(drop)
}

/// A topic's configuration as Java prints it.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    config: &'a TopicConfig,
    #[serde(skip)]
    end: &'static str,
}

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, end } = self;
        writeln!(
            f,
            "TopicConfig [topicName={}, readQueueNums={}, writeQueueNums={}, perm={}, topicFilterType={}, topicSysFlag={}, order={}, attributes={}]{end}",
            config.topic_name,
            config.read_queue_nums,
            config.write_queue_nums,
            route::perm_text(config.perm),
            config.topic_filter_type,
            config.topic_sys_flag,
            config.order,
            text::java_map(&config.attributes),
        )
    }
}

/// Reads `+a=b,+c=d,-e`.
pub fn attributes(text: &str) -> Result<BTreeMap<String, String>, Failure> {
    let mut attributes = BTreeMap::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (name, value, sign) = match part.split_once('=') {
            Some((name, value)) => (name, value, '+'),
            None => (part, "", '-'),
        };
        let well_formed =
            name.len() > 1 && name.starts_with(sign) && (sign == '-' || !value.is_empty());
        if !well_formed || attributes.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(Failure::BadValue {
                option: "a",
                given: part.to_owned(),
                accepted: "+name=value or -name, each name once",
            });
        }
    }
    Ok(attributes)
}

/// Which of its bits make a permission (2 W, 4 R, 1 inherit).
fn perm(context: &Context<'_>) -> Result<Option<i32>, Failure> {
    let perm = context.number::<i32>("p")?;
    if let Some(perm) = perm
        && !(0..8).contains(&perm)
    {
        return Err(Failure::BadValue {
            option: "p",
            given: perm.to_string(),
            accepted: "a permission: 2 (W), 4 (R) or 6 (RW)",
        });
    }
    Ok(perm)
}

async fn update_topic(context: &Context<'_>) -> Result<(), Failure> {
    let order = context.truth("o")?.unwrap_or(false);
    let unit = context.truth("u")?.unwrap_or(false);
    let has_unit_sub = context.truth("s")?.unwrap_or(false);
    let topic = TopicConfig {
        topic_name: context.required("t")?.to_owned(),
        read_queue_nums: context.number("r")?.unwrap_or(8),
        write_queue_nums: context.number("w")?.unwrap_or(8),
        perm: perm(context)?.unwrap_or(PERM_READ | PERM_WRITE),
        topic_filter_type: TopicFilterType::SingleTag,
        topic_sys_flag: i32::from(unit) | i32::from(has_unit_sub) << 1,
        order,
        attributes: attributes(context.get("a").unwrap_or_default())?,
    };
    for addr in context.masters().await? {
        update(context, &addr, &topic).await?;
        let sentence = format!("create topic to {addr} success.");
        context.print(&Done::new(sentence).with("brokerAddr", addr))?;
    }
    if order {
        set_order(context, &topic).await?;
    }
    context.print(&Printed { config: &topic, end: "" })
}

async fn update_topic_list(context: &Context<'_>) -> Result<(), Failure> {
    let topics: Vec<TopicConfig> = context.json_file("f")?;
    let body = json::to_vec(&TopicConfigList { topic_config_list: topics });
    for addr in context.masters().await? {
        context.cluster.broker_with(&addr, &UpdateAndCreateTopicList {}, body.clone()).await?;
        let sentence = format!(
            "submit batch of topic config to {addr} success, please check the result later."
        );
        context.print(&Done::new(sentence).with("brokerAddr", addr))?;
    }
    Ok(())
}

/// Tells the name servers how many queues of an ordered topic stand on each broker.
async fn set_order(context: &Context<'_>, topic: &TopicConfig) -> Result<(), Failure> {
    let info = context.cluster.info().await?;
    let queues = topic.write_queue_nums;
    let (what, order_conf) = match (context.get("b"), context.get("c")) {
        (Some(addr), _) => {
            let name = route::broker_name_of(&info, addr)?;
            let conf = format!("{name}:{queues}");
            let before =
                kv::get(&context.cluster, kv::ORDER_TOPIC_CONFIG, &topic.topic_name).await?;
            let merged = merge_order(before.as_deref().unwrap_or_default(), &name, &conf);
            kv::put(&context.cluster, kv::ORDER_TOPIC_CONFIG, &topic.topic_name, &merged).await?;
            ("broker", conf)
        }
        (None, cluster) => {
            let brokers = route::brokers_of(&info, cluster.unwrap_or_default())?;
            let conf: Vec<String> =
                brokers.iter().map(|broker| format!("{}:{queues}", broker.broker_name)).collect();
            let conf = conf.join(";");
            kv::put(&context.cluster, kv::ORDER_TOPIC_CONFIG, &topic.topic_name, &conf).await?;
            ("cluster", conf)
        }
    };
    let sentence = format!("set {what} orderConf. isOrder=true, orderConf=[{order_conf}]");
    context.print(&Done::new(sentence).with("orderConf", order_conf))
}

/// `before` with the entry of `broker` replaced by `entry`.
fn merge_order(before: &str, broker: &str, entry: &str) -> String {
    let mut entries: BTreeMap<&str, &str> = before
        .split(';')
        .filter(|part| !part.is_empty())
        .map(|part| (part.split(':').next().unwrap_or(part), part))
        .collect();
    entries.insert(broker, entry);
    entries.into_values().collect::<Vec<_>>().join(";")
}

async fn update_topic_perm(context: &Context<'_>) -> Result<(), Failure> {
    let name = context.required("t")?;
    let perm = perm(context)?.unwrap_or_default();
    let route = context.cluster.route(name).await?;
    let topic_of = |broker_name: Option<&str>| {
        let data = route
            .queue_datas
            .iter()
            .find(|data| broker_name.is_none_or(|name| data.broker_name == name))
            .ok_or_else(|| Failure::other(format!("the route of {name} names no queues")))?;
        let topic = TopicConfig {
            topic_name: name.to_owned(),
            read_queue_nums: data.read_queue_nums,
            write_queue_nums: data.write_queue_nums,
            perm,
            topic_sys_flag: data.topic_sys_flag,
            ..Default::default()
        };
        Ok::<_, Failure>((topic, data.perm))
    };
    let changed = |old: i32, addr: &str| {
        Done::new(format!("update topic perm from {old} to {perm} in {addr} success."))
            .with("brokerAddr", addr)
            .with("from", old)
            .with("to", perm)
    };
    if let Some(addr) = context.get("b") {
        let broker = route
            .broker_datas
            .iter()
            .find(|broker| route::master_addr(broker) == Some(addr))
            .ok_or_else(|| {
                Failure::other(format!("{addr} is not the master of a broker with topic {name}"))
            })?;
        let (topic, old) = topic_of(Some(&broker.broker_name))?;
        if old == perm {
            return context.print(&Done::new("new perm equals to the old one!"));
        }
        update(context, addr, &topic).await?;
        context.print(&changed(old, addr))?;
        return context.print(&Printed { config: &topic, end: "." });
    }
    let (topic, old) = topic_of(None)?;
    for addr in context.masters().await? {
        update(context, &addr, &topic).await?;
        context.print(&changed(old, &addr))?;
    }
    Ok(())
}

async fn delete_topic(context: &Context<'_>) -> Result<(), Failure> {
    let topic = context.required("t")?;
    let cluster = context.required("c")?;
    delete(context, topic, cluster).await?;
    let sentence = format!("delete topic [{topic}] from cluster [{cluster}] success.");
    context.print(&Done::new(sentence).with("topic", topic).with("cluster", cluster))?;
    let sentence = format!("delete topic [{topic}] from NameServer success.");
    context.print(&Done::new(sentence).with("topic", topic))
}

/// Takes `topic` from every master of `cluster`, then from the name servers.
pub async fn delete(context: &Context<'_>, topic: &str, cluster: &str) -> Result<(), Failure> {
    let info = context.cluster.info().await?;
    for addr in route::masters_of(&info, cluster)? {
        context.cluster.broker(&addr, &DeleteTopicInBroker { topic: topic.into() }).await?;
    }
    let header = DeleteTopicInNamesrv { topic: topic.into(), cluster_name: Some(cluster.into()) };
    context.cluster.every_namesrv(&header).await.map(drop)
}

#[derive(Serialize)]
struct Names {
    topics: Vec<String>,
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.topics.iter().try_for_each(|topic| writeln!(f, "{topic}"))
    }
}

/// One line for each topic and group that reads it.
#[derive(Serialize)]
#[serde(transparent)]
struct Readers(Vec<Reader>);

#[derive(Serialize)]
struct Reader {
    cluster: String,
    topic: String,
    group: Option<String>,
}

impl fmt::Display for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<20}  {:<48}  {:<48}", "#Cluster Name", "#Topic", "#Consumer Group")?;
        self.0.iter().try_for_each(|Reader { cluster, topic, group }| {
            writeln!(
                f,
                "{:<20}  {:<64}  {:<64}",
                text::front(cluster, 20),
                text::front(topic, 64),
                text::front(group.as_deref().unwrap_or_default(), 64)
            )
        })
    }
}

pub async fn all_topics(cluster: &client::Cluster) -> Result<Vec<String>, Failure> {
    let list: TopicList = cluster.namesrv(&GetAllTopicListFromNameServer {}).await?.json()?;
    Ok(list.topic_list.iter().map(ToString::to_string).collect())
}

async fn topic_list(context: &Context<'_>) -> Result<(), Failure> {
    let topics = all_topics(&context.cluster).await?;
    if !context.has("c") {
        return context.print(&Names { topics });
    }
    let info = context.cluster.info().await?;
    let mut rows = Vec::new();
    for topic in topics {
        if topic.starts_with(RETRY_PREFIX) || topic.starts_with(DLQ_PREFIX) {
            continue;
        }
        let (cluster, groups) = match readers(context, &info, &topic).await {
            Ok(found) => found,
            Err(failure) => {
                context.complain(&failure);
                (String::new(), Vec::new())
            }
        };
        if groups.is_empty() {
            rows.push(Reader { cluster, topic, group: None });
        } else {
            rows.extend(groups.into_iter().map(|group| Reader {
                cluster: cluster.clone(),
                topic: topic.clone(),
                group: Some(group),
            }));
        }
    }
    context.print(&Readers(rows))
}

/// The cluster a topic stands in, and the groups known to any of its brokers.
async fn readers(
    context: &Context<'_>,
    info: &ClusterInfo,
    topic: &str,
) -> Result<(String, Vec<String>), Failure> {
    let route = context.cluster.route(topic).await?;
    let cluster = route
        .broker_datas
        .first()
        .and_then(|broker| {
            info.cluster_addr_table
                .iter()
                .find(|(_, brokers)| brokers.contains(&broker.broker_name))
        })
        .map(|(cluster, _)| cluster.to_string())
        .unwrap_or_default();
    Ok((cluster, groups_of(context, &route, topic).await?))
}

/// The consumer groups of `topic`, from the brokers of its route.
pub async fn groups_of(
    context: &Context<'_>,
    route: &RouteData,
    topic: &str,
) -> Result<Vec<String>, Failure> {
    let mut groups = Vec::new();
    for addr in route::broker_addrs(route) {
        let header = QueryTopicConsumeByWho { topic: topic.into() };
        let list: GroupList = context.cluster.broker(&addr, &header).await?.json()?;
        for group in &list.group_list {
            if !groups.iter().any(|known: &String| known == &**group) {
                groups.push(group.to_string());
            }
        }
    }
    Ok(groups)
}

async fn topic_cluster_list(context: &Context<'_>) -> Result<(), Failure> {
    let topic = context.required("t")?;
    let route = context.cluster.route(topic).await?;
    let info = context.cluster.info().await?;
    let topics = info
        .cluster_addr_table
        .iter()
        .filter(|(_, names)| {
            route.broker_datas.iter().any(|broker| names.contains(&broker.broker_name))
        })
        .map(|(cluster, _)| cluster.to_string())
        .collect();
    context.print(&Clusters { clusters: topics })
}

#[derive(Serialize)]
struct Clusters {
    clusters: Vec<String>,
}

impl fmt::Display for Clusters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.clusters.iter().try_for_each(|cluster| writeln!(f, "{cluster}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_signed_and_unique() {
        let read = attributes("+message.type=DELAY,-old").expect("valid");
        assert_eq!(text::java_map(&read), "{+message.type=DELAY, -old=}");
        for wrong in ["a=b", "+a", "+=b", "-", "+a=b,+a=c", "+a="] {
            assert!(attributes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_order_entry_replaces_only_its_brokers() {
        assert_eq!(merge_order("b:4;a:2", "a", "a:8"), "a:8;b:4");
        assert_eq!(merge_order("", "a", "a:8"), "a:8");
    }
}
