//! Queues: entries of a consume queue, how they are shared out, how they are consumed.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use skua_protocol::body::{
    ConsumeQueueEntries, MessageQueue, MessageRequestMode, MessageRequestModeConfig,
};
use skua_protocol::json;
use skua_protocol::request::{QueryConsumeQueue, SetMessageRequestMode};

use crate::client::route;
use crate::failure::Failure;
use crate::mqadmin::context::Done;
use crate::mqadmin::options::{required, value};
use crate::mqadmin::{Context, SubCommand};
use crate::text;

pub const QUERY_CQ: SubCommand = SubCommand {
    name: "queryCq",
    about: "Query cq command.",
    example: "-t TopicTest -q 0 -i 0 -c 5",
    answer: &[
        "maxQueueIndex",
        "minQueueIndex",
        "queueData[].eval",
        "queueData[].physicOffset",
        "queueData[].physicSize",
        "queueData[].tagsCode",
        "subscriptionData.*",
        "filterData",
    ],
    options: &[
        required("t", "topic", "topic name"),
        required("q", "queue", "queue num, ie. 1"),
        required("i", "index", "start queue index."),
        value("c", "count", "how many."),
        value("b", "broker", "broker addr."),
        value("g", "consumer", "consumer group."),
    ],
    run: |context| Box::pin(query_cq(context)),
};

pub const SET_CONSUME_MODE: SubCommand = SubCommand {
    name: "setConsumeMode",
    about: "Set consume message mode. pull/pop etc.",
    example: "-c DefaultCluster -t TopicTest -g GroupTest -m POP -q 8",
    answer: &["done", "brokerAddr", "group", "topic"],
    options: &[
        value("b", "brokerAddr", "create subscription group to which broker"),
        value("c", "clusterName", "create subscription group to which cluster"),
        required("t", "topicName", "topic name"),
        required("g", "groupName", "consumer group name"),
        required("m", "mode", "consume mode. PULL/POP"),
        value("q", "popShareQueueNum", "num of queue which share in pop mode"),
    ],
    run: |context| Box::pin(set_consume_mode(context)),
};

pub const ALLOCATE_MQ: SubCommand = SubCommand {
    name: "allocateMQ",
    about: "Allocate MQ.",
    example: "-t TopicTest -i 192.168.0.11,192.168.0.12",
    answer: &["result.*[].brokerName", "result.*[].queueId", "result.*[].topic"],
    options: &[required("t", "topic", "topic name"), required("i", "ipList", "ipList")],
    run: |context| Box::pin(allocate(context)),
};

#[derive(Serialize)]
struct Entries {
    #[serde(skip)]
    first: i64,
    #[serde(flatten)]
    found: ConsumeQueueEntries,
}

impl fmt::Display for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const RULE: &str = "======================================";
        let found = &self.found;
        if let Some(subscription) = &found.subscription_data {
            let value = serde_json::to_value(subscription).map_err(|_| fmt::Error)?;
            writeln!(f, "Subscription data: \n{}\n{RULE}", text::pretty_json(&value))?;
            let filter = found.filter_data.as_deref().unwrap_or("null");
            writeln!(f, "Filter data: \n{filter}\n{RULE}")?;
        }
        let (max, min) = (found.max_queue_index, found.min_queue_index);
        writeln!(f, "Queue data: \nmax: {max}, min: {min}\n{RULE}")?;
        let text = |field: &Option<String>| field.clone().unwrap_or_else(|| "null".to_owned());
        found.queue_data.iter().zip(self.first..).try_for_each(|(entry, index)| {
            writeln!(
                f,
                "idx: {index}\nConsumeQueueData{{physicOffset={}, physicSize={}, tagsCode={}, extendDataJson='{}', bitMap='{}', eval={}, msg='{}'}}\n{RULE}",
                entry.physic_offset,
                entry.physic_size,
                entry.tags_code,
                text(&entry.extend_data_json),
                text(&entry.bit_map),
                entry.eval,
                text(&entry.msg)
            )
        })
    }
}

async fn query_cq(context: &Context<'_>) -> Result<(), Failure> {
    let topic = context.required("t")?;
    let first = context.number("i")?.unwrap_or_default();
    let header = QueryConsumeQueue {
        topic: Some(topic.into()),
        queue_id: context.number("q")?.unwrap_or_default(),
        index: first,
        count: context.number("c")?.unwrap_or(10),
        consumer_group: context.get("g").map(Into::into),
    };
    let addr = match context.get("b") {
        Some(addr) => addr.to_owned(),
        None => {
            let route = context.cluster.route(topic).await?;
            let addr = route.broker_datas.iter().find_map(route::any_addr);
            addr.ok_or_else(|| Failure::other(format!("topic {topic} has no broker")))?.to_owned()
        }
    };
    let found = context.cluster.broker(&addr, &header).await?.json()?;
    context.print(&Entries { first, found })
}

async fn set_consume_mode(context: &Context<'_>) -> Result<(), Failure> {
    let (topic, group) = (context.required("t")?, context.required("g")?);
    let given = context.required("m")?;
    let mode = MessageRequestMode::from_name(given).ok_or_else(|| Failure::BadValue {
        option: "m",
        given: given.to_owned(),
        accepted: "PULL or POP",
    })?;
    let share = context.number("q")?.unwrap_or(0);
    let body = json::to_vec(&MessageRequestModeConfig {
        consumer_group: group.to_owned(),
        mode,
        pop_share_queue_num: share,
        topic: topic.to_owned(),
    });
    for addr in context.masters().await? {
        match context.cluster.broker_with(&addr, &SetMessageRequestMode {}, body.clone()).await {
            Ok(_) => {
                let sentence = format!("set consume mode to {addr} success.");
                context.print(&Done::new(sentence).with("brokerAddr", addr))?;
            }
            Err(failure) if context.has("c") => context.complain(&failure),
            Err(failure) => return Err(failure),
        }
    }
    let sentence =
        format!("topic[{topic}] group[{group}] consume mode[{mode}] popShareQueueNum[{share}]");
    context.print(&Done::new(sentence).with("topic", topic).with("group", group))
}

/// Java prints this as JSON anyway.
#[derive(Serialize)]
struct Shares {
    result: BTreeMap<String, Vec<MessageQueue>>,
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        writeln!(f, "{text}")
    }
}

async fn allocate(context: &Context<'_>) -> Result<(), Failure> {
    let topic = context.required("t")?;
    let clients: Vec<String> = context
        .required("i")?
        .split(',')
        .map(str::trim)
        .filter(|ip| !ip.is_empty())
        .map(str::to_owned)
        .collect();
    if clients.is_empty() {
        return Err(Failure::BadValue {
            option: "i",
            given: String::new(),
            accepted: "a list of addresses joined by commas",
        });
    }
    let queues = route::readable(&context.cluster.route(topic).await?);
    let mut queues = queues.into_iter().map(|queue| MessageQueue {
        broker_name: queue.broker_name,
        queue_id: queue.id,
        topic: topic.to_owned(),
    });
    // Contiguous shares; the first clients get one more (Java: AllocateMessageQueueAveragely).
    let (count, rest) = (queues.len() / clients.len(), queues.len() % clients.len());
    let result = clients
        .into_iter()
        .enumerate()
        .map(|(index, client)| {
            let share = count + usize::from(index < rest);
            (client, queues.by_ref().take(share).collect())
        })
        .collect();
    context.print(&Shares { result })
}
