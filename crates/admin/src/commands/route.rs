//! What is known of one topic: its route, its queues' offsets.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use skua_protocol::Millis;
use skua_protocol::body::{RouteData, TopicStats};
use skua_protocol::request::GetTopicStatsInfo;

use crate::client::route;
use crate::failure::Failure;
use crate::mqadmin::options::{flag, required, value};
use crate::mqadmin::{Context, SubCommand};
use crate::{text, time};

pub const TOPIC_ROUTE: SubCommand = SubCommand {
    name: "topicRoute",
    about: "Examine topic route info.",
    example: "-t TopicTest",
    answer: &[
        "brokerDatas[].brokerAddrs.*",
        "brokerDatas[].brokerName",
        "brokerDatas[].cluster",
        "brokerDatas[].enableActingMaster",
        "queueDatas[].brokerName",
        "queueDatas[].perm",
        "queueDatas[].readQueueNums",
        "queueDatas[].topicSysFlag",
        "queueDatas[].writeQueueNums",
        "filterServerTable.*",
        "orderTopicConf",
        "topicQueueMappingByBroker.*",
        "rows[].*",
    ],
    options: &[
        required("t", "topic", "topic name"),
        flag("l", "list", "Use list format to print data"),
    ],
    run: |context| Box::pin(topic_route(context)),
};

pub const TOPIC_STATUS: SubCommand = SubCommand {
    name: "topicStatus",
    about: "Examine topic Status info.",
    example: "-t TopicTest",
    answer: &[
        "queues[].brokerName",
        "queues[].lastUpdateTimestamp",
        "queues[].maxOffset",
        "queues[].minOffset",
        "queues[].queueId",
        "topicPutTps",
    ],
    options: &[
        required("t", "topic", "topic name"),
        value("c", "cluster", "cluster name or lmq parent topic, lmq is used to find the route."),
    ],
    run: |context| Box::pin(topic_status(context)),
};

#[derive(Serialize)]
#[serde(transparent)]
struct Route {
    data: RouteData,
    #[serde(skip)]
    as_list: bool,
}

async fn topic_route(context: &Context<'_>) -> Result<(), Failure> {
    let data = context.cluster.route(context.required("t")?).await?;
    context.print(&Route { data, as_list: context.has("l") })
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.as_list {
            return self.list(f);
        }
        let value = serde_json::to_value(&self.data).map_err(|_| fmt::Error)?;
        writeln!(f, "{}", text::pretty_json(&value))
    }
}

impl Route {
    fn list(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |cells: [&str; 6]| {
            let [cluster, broker, addrs, read, write, perm] = cells;
            writeln!(f, "{cluster:<45} {broker:<32} {addrs:<50} {read:<10} {write:<11} {perm:<5}")
        };
        row(["#ClusterName", "#BrokerName", "#BrokerAddrs", "#ReadQueue", "#WriteQueue", "#Perm"])?;
        let queues: BTreeMap<&str, _> =
            self.data.queue_datas.iter().map(|data| (&*data.broker_name, data)).collect();
        let mut brokers: Vec<_> = self.data.broker_datas.iter().collect();
        brokers.sort_by(|a, b| a.broker_name.cmp(&b.broker_name));
        let (mut read, mut write) = (0, 0);
        for broker in brokers {
            let Some(data) = queues.get(&*broker.broker_name) else { continue };
            read += data.read_queue_nums;
            write += data.write_queue_nums;
            row([
                &broker.cluster,
                &broker.broker_name,
                &text::java_map(&broker.broker_addrs),
                &data.read_queue_nums.to_string(),
                &data.write_queue_nums.to_string(),
                &data.perm.to_string(),
            ])?;
        }
        let (count, read, write) = (queues.len().to_string(), read.to_string(), write.to_string());
        writeln!(f, "{}", "-".repeat(158))?;
        writeln!(f, "{:<45} {count:<32} {:<50} {read:<10} {write:<11} {:<5}", "Total:", "", "")
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    queues: Vec<QueueStatus>,
    topic_put_tps: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct QueueStatus {
    broker_name: String,
    queue_id: i32,
    min_offset: i64,
    max_offset: i64,
    last_update_timestamp: i64,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<32}  {:<4}  {:<20}  {:<20}    #Last Updated",
            "#Broker Name", "#QID", "#Min Offset", "#Max Offset"
        )?;
        for queue in &self.queues {
            let updated = match queue.last_update_timestamp {
                none if none <= 0 => String::new(),
                at => time::with_millis(Millis(at)),
            };
            writeln!(
                f,
                "{:<32}  {:<4}  {:<20}  {:<20}    {updated}",
                text::front(&queue.broker_name, 32),
                queue.queue_id,
                queue.min_offset,
                queue.max_offset,
            )?;
        }
        writeln!(f, "\nTopic Put TPS: {}", text::double(self.topic_put_tps))
    }
}

async fn topic_status(context: &Context<'_>) -> Result<(), Failure> {
    let topic = context.required("t")?;
    let route_topic = context.get("c").unwrap_or(topic);
    let route = context.cluster.route(route_topic).await?;
    let mut status = Status { queues: Vec::new(), topic_put_tps: 0.0 };
    for addr in route::broker_addrs(&route) {
        let header = GetTopicStatsInfo { topic: topic.into() };
        let stats: TopicStats = context.cluster.broker(&addr, &header).await?.json()?;
        status.topic_put_tps += stats.topic_put_tps;
        status.queues.extend(stats.offset_table.iter().map(|(queue, offsets)| QueueStatus {
            broker_name: queue.broker_name.to_string(),
            queue_id: queue.queue_id,
            min_offset: offsets.min_offset,
            max_offset: offsets.max_offset,
            last_update_timestamp: offsets.last_update_timestamp,
        }));
    }
    if status.queues.is_empty() && !context.has("c") {
        return Err(Failure::other(format!("Not found the topic stats info of {topic}")));
    }
    status.queues.sort_by(|a, b| (&a.broker_name, a.queue_id).cmp(&(&b.broker_name, b.queue_id)));
    context.print(&status)
}
