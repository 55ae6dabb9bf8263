//! Messages looked up: by id, key, unique id, offset, with what became of them.

mod shown;

use std::fmt;

use serde::Serialize;
use skua_protocol::Command;
use skua_protocol::code::ResponseCode;
use skua_protocol::message_id::parse_offset_id;
use skua_protocol::record::Message;
use skua_protocol::request::{ConsumeMessageDirectly, QueryMessage, ViewMessageById};

use crate::client::Cluster;
use crate::client::consumer::{Consumer, PullStatus};
use crate::client::producer::{NewMessage, Producer};
use crate::client::route::{self, Queue};
use crate::failure::{Failure, Role};
use crate::mqadmin::context::Done;
use crate::mqadmin::options::{flag, required, value};
use crate::mqadmin::{Context, SubCommand};
use shown::show;

const CLUSTER_HELP: &str = "Cluster name or lmq parent topic, lmq is used to find the route.";

pub const QUERY_MSG_BY_ID: SubCommand = SubCommand {
    name: "queryMsgById",
    about: "Query Message by Id.",
    example: "-t TopicTest -i C0A8000100002A9F0000000000000000",
    answer: &[
        "done",
        "bodyPath",
        "bornHost",
        "bornTimestamp",
        "commitLogOffset",
        "keys",
        "offsetID",
        "properties.*",
        "queueId",
        "queueOffset",
        "reconsumeTimes",
        "storeHost",
        "storeTimestamp",
        "systemFlag",
        "tags",
        "topic",
        "body",
        "tracks[].consumerGroup",
        "tracks[].exceptionDesc",
        "tracks[].trackType",
        "autoCommit",
        "consumeResult",
        "order",
        "remark",
        "spentTimeMills",
        "offsetMsgId",
    ],
    options: &[
        required("t", "topic", "topic name"),
        required("i", "msgId", "Message Id"),
        value("g", "consumerGroup", "consumer group name"),
        value("d", "clientId", "The consumer's client id"),
        value("s", "sendMessage", "resend message"),
        value("u", "unitName", "unit name"),
        value("f", "bodyFormat", "print message body by the specified format"),
        value("c", "cluster", CLUSTER_HELP),
    ],
    run: |context| Box::pin(by_id(context)),
};

pub const QUERY_MSG_BY_KEY: SubCommand = SubCommand {
    name: "queryMsgByKey",
    about: "Query Message by Key.",
    example: "-t TopicTest -k order-1",
    answer: &["[].indexKey", "[].messageId", "[].offset", "[].offsetMessageId", "[].queueId"],
    options: &[
        required("t", "topic", "Topic name"),
        required("k", "msgKey", "Message Key"),
        value("b", "beginTimestamp", "Begin timestamp(ms). default:0, eg:1676730526212"),
        value("e", "endTimestamp", "End timestamp(ms). default:Long.MAX_VALUE, eg:1676730526212"),
        value("m", "maxNum", "The maximum number of messages returned by the query, default:64"),
        value("c", "cluster", CLUSTER_HELP),
        value(
            "p",
            "keyType",
            "Index key type, default index key type is K, you can use K for keys OR T for tags",
        ),
        value("l", "lastKey", "Last Key"),
    ],
    run: |context| Box::pin(by_key(context)),
};

pub const QUERY_MSG_BY_UNIQUE_KEY: SubCommand = SubCommand {
    name: "queryMsgByUniqueKey",
    about: "Query Message by Unique key.",
    example: "-t TopicTest -i 7F000001ABCD1B28BC0400000001",
    answer: &[
        "bodyPath",
        "bornHost",
        "bornTimestamp",
        "commitLogOffset",
        "keys",
        "offsetID",
        "properties.*",
        "queueId",
        "queueOffset",
        "reconsumeTimes",
        "storeHost",
        "storeTimestamp",
        "systemFlag",
        "tags",
        "topic",
        "body",
        "tracks[].consumerGroup",
        "tracks[].exceptionDesc",
        "tracks[].trackType",
        "autoCommit",
        "consumeResult",
        "order",
        "remark",
        "spentTimeMills",
    ],
    options: &[
        required("i", "msgId", "Message Id"),
        value("g", "consumerGroup", "consumer group name"),
        value("d", "clientId", "The consumer's client id"),
        required("t", "topic", "The topic of msg"),
        flag("a", "showAll", "Print all message, the limit is 32"),
        value("c", "cluster", CLUSTER_HELP),
        value("s", "startTime", "startTime"),
        value("e", "endTime", "endTime"),
    ],
    run: |context| Box::pin(by_unique_key(context)),
};

pub const QUERY_MSG_BY_OFFSET: SubCommand = SubCommand {
    name: "queryMsgByOffset",
    about: "Query Message by offset.",
    example: "-t TopicTest -b broker-a -i 0 -o 0",
    answer: &[
        "bodyPath",
        "bornHost",
        "bornTimestamp",
        "commitLogOffset",
        "keys",
        "offsetID",
        "properties.*",
        "queueId",
        "queueOffset",
        "reconsumeTimes",
        "storeHost",
        "storeTimestamp",
        "systemFlag",
        "tags",
        "topic",
        "body",
        "tracks[].consumerGroup",
        "tracks[].exceptionDesc",
        "tracks[].trackType",
    ],
    options: &[
        required("t", "topic", "topic name"),
        required("b", "brokerName", "Broker Name"),
        required("i", "queueId", "Queue Id"),
        required("o", "offset", "Queue Offset"),
        value("f", "bodyFormat", "print message body by the specified format"),
        value("r", "routeTopic", "the topic which is used to find route info"),
    ],
    run: |context| Box::pin(by_offset(context)),
};

/// Bodies are shown as UTF-8; another encoding is refused, as showing it wrongly would mislead.
pub fn check_charset(context: &Context<'_>, option: &'static str) -> Result<(), Failure> {
    match context.get(option) {
        Some(name) if !["utf-8", "utf8", "us-ascii", "ascii"].contains(&&*name.to_lowercase()) => {
            Err(Failure::BadValue { option, given: name.to_owned(), accepted: "UTF-8" })
        }
        _ => Ok(()),
    }
}

/// Messages of `topic` under a key, from the brokers of `route_topic`. That there is none is said
/// in Java's sentence.
pub async fn query(
    cluster: &Cluster,
    route_topic: &str,
    topic: &str,
    header: &QueryMessage,
) -> Result<Vec<Message>, Failure> {
    let route = cluster.route(route_topic).await?;
    let mut messages = Vec::new();
    for addr in route::broker_addrs(&route) {
        let answer = cluster.call(&addr, Command::request(header)).await?;
        if answer.command.code == ResponseCode::QueryNotFound as i32 {
            continue;
        }
        messages.extend(answer.accepted(Role::Broker)?.messages()?);
    }
    // The index knows only hashes.
    let wanted = |message: &Message| match header.unique_key_query {
        Some(true) => message.unique_id() == Some(&header.key),
        _ if header.index_type.as_deref() == Some("T") => message.tags() == Some(&header.key),
        _ => message.properties().keys().any(|key| key == &*header.key),
    };
    messages.retain(|message| *message.topic == *topic && wanted(message));
    if messages.is_empty() {
        let no_message = ResponseCode::NoMessage as i32;
        return Err(Failure::other(format!(
            "CODE: {no_message}  DESC: query message by key finished, but no message."
        )));
    }
    Ok(messages)
}

/// The message that an offset id names; `None` for an id of another kind.
pub async fn by_offset_id(
    cluster: &Cluster,
    topic: &str,
    id: &str,
) -> Result<Option<Message>, Failure> {
    let Ok((addr, offset)) = parse_offset_id(id) else { return Ok(None) };
    let header = ViewMessageById {
        topic: Some(topic.into()),
        offset: i64::try_from(offset.0).unwrap_or(-1),
    };
    // A unique id has the same form, but its address and offset make no sense.
    if addr.port() == 0 || header.offset < 0 {
        return Ok(None);
    }
    match cluster.broker(&addr.to_string(), &header).await {
        Ok(answer) => Ok(answer.messages()?.into_iter().next()),
        Err(_) => Ok(None),
    }
}

async fn find(context: &Context<'_>, topic: &str, id: &str) -> Result<Message, Failure> {
    if let Some(message) = by_offset_id(&context.cluster, topic, id).await? {
        return Ok(message);
    }
    by_unique_id(context, topic, id)
        .await?
        .into_iter()
        .next()
        .ok_or_else(|| Failure::other(format!("no message has the id {id}")))
}

async fn by_unique_id(
    context: &Context<'_>,
    topic: &str,
    id: &str,
) -> Result<Vec<Message>, Failure> {
    let header = QueryMessage {
        topic: topic.into(),
        key: id.into(),
        max_num: 32,
        begin_timestamp: context.number("s").ok().flatten().unwrap_or(0),
        end_timestamp: context.number("e").ok().flatten().unwrap_or(i64::MAX),
        unique_key_query: Some(true),
        ..Default::default()
    };
    query(&context.cluster, context.get("c").unwrap_or(topic), topic, &header).await
}

async fn by_id(context: &Context<'_>) -> Result<(), Failure> {
    let topic = context.required("t")?;
    check_charset(context, "f")?;
    let resend = context.truth("s")?;
    for id in context.required("i")?.split(',').map(str::trim).filter(|id| !id.is_empty()) {
        let message = find(context, topic, id).await?;
        match (context.get("g"), context.get("d"), resend) {
            (Some(group), Some(client), _) => {
                consume_directly(context, &message, group, client).await?;
            }
            (_, _, Some(true)) => send_again(context, &message, id).await?,
            (_, _, Some(false)) => {}
            _ => show(context, &message, true).await?,
        }
    }
    Ok(())
}

/// What the client said of the message it was given (Java: `ConsumeMessageDirectlyResult`).
#[derive(Default, Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Consumed {
    order: bool,
    auto_commit: bool,
    consume_result: Option<String>,
    remark: Option<String>,
    spent_time_mills: i64,
}

impl fmt::Display for Consumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "ConsumeMessageDirectlyResult [order={}, autoCommit={}, consumeResult={}, remark={}, spentTimeMills={}]",
            self.order,
            self.auto_commit,
            self.consume_result.as_deref().unwrap_or("null"),
            self.remark.as_deref().unwrap_or("null"),
            self.spent_time_mills
        )
    }
}

async fn consume_directly(
    context: &Context<'_>,
    message: &Message,
    group: &str,
    client: &str,
) -> Result<(), Failure> {
    let addr = message.store_host.to_string();
    let header = ConsumeMessageDirectly {
        consumer_group: group.into(),
        client_id: Some(client.into()),
        msg_id: Some(message.offset_id().into()),
        topic: Some(message.topic.clone()),
        ..Default::default()
    };
    let consumed: Consumed = context.cluster.broker(&addr, &header).await?.json()?;
    context.print(&consumed)
}

async fn send_again(context: &Context<'_>, message: &Message, id: &str) -> Result<(), Failure> {
    let producer = Producer::new(&context.cluster, &message.topic, "ReSendMsgById").await?;
    let body = crate::body::plain(message)
        .map_err(|cause| Failure::other(format!("message {id}: {cause}")))?;
    let again = NewMessage {
        body,
        tag: message.tags().map(str::to_owned),
        keys: message.keys().map(str::to_owned),
        properties: message
            .properties()
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    };
    let sent = producer.send(&again, None).await?;
    let sentence = format!(
        "prepare resend msg. originalMsgId={id}SendResult [sendStatus={}, msgId={}, offsetMsgId={}, messageQueue=MessageQueue [topic={}, brokerName={}, queueId={}], queueOffset={}, recallHandle=null]",
        sent.status.name(),
        sent.unique_ids.join(","),
        sent.offset_id,
        message.topic,
        sent.queue.broker_name,
        sent.queue.id,
        sent.queue_offset
    );
    context.print(&Done::new(sentence).with("offsetMsgId", sent.offset_id))
}

#[derive(Serialize)]
#[serde(transparent)]
struct Hits(Vec<Hit>);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Hit {
    message_id: String,
    queue_id: i32,
    offset: i64,
    offset_message_id: String,
    /// Time, topic, kind, key, unique id and physical offset: where a next page begins.
    index_key: String,
}

impl fmt::Display for Hits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<50} {:>4} {:>40} {:<200}", "#Message ID", "#QID", "#Offset", "#IndexKey")?;
        self.0.iter().try_for_each(|hit| {
            writeln!(
                f,
                "{:<50} {:>4} {:>40} {:<200}",
                hit.message_id, hit.queue_id, hit.offset, hit.index_key
            )
        })
    }
}

async fn by_key(context: &Context<'_>) -> Result<(), Failure> {
    let (topic, key) = (context.required("t")?, context.required("k")?);
    let kind = context.get("p").unwrap_or("K");
    let header = QueryMessage {
        topic: topic.into(),
        key: key.into(),
        max_num: context.number("m")?.unwrap_or(64),
        begin_timestamp: context.number("b")?.unwrap_or(0),
        end_timestamp: context.number("e")?.unwrap_or(i64::MAX),
        index_type: Some(kind.into()),
        last_key: context.get("l").map(Into::into),
        unique_key_query: None,
    };
    let messages =
        query(&context.cluster, context.get("c").unwrap_or(topic), topic, &header).await?;
    let hits = messages.iter().map(|message| {
        let offset_id = message.offset_id();
        let id = message.unique_id().unwrap_or(&offset_id);
        Hit {
            message_id: id.to_owned(),
            queue_id: message.queue_id,
            offset: message.queue_offset,
            index_key: format!(
                "{}@{topic}@{kind}@{key}@{id}@{}",
                message.store_timestamp, message.physical_offset
            ),
            offset_message_id: offset_id,
        }
    });
    context.print(&Hits(hits.collect()))
}

async fn by_unique_key(context: &Context<'_>) -> Result<(), Failure> {
    let (topic, id) = (context.required("t")?, context.required("i")?);
    let messages = by_unique_id(context, topic, id).await?;
    if let (Some(group), Some(client)) = (context.get("g"), context.get("d")) {
        return consume_directly(context, &messages[0], group, client).await;
    }
    let count = if context.has("a") { messages.len() } else { 1 };
    for message in messages.iter().take(count) {
        show(context, message, false).await?;
    }
    Ok(())
}

async fn by_offset(context: &Context<'_>) -> Result<(), Failure> {
    let topic = context.required("t")?;
    check_charset(context, "f")?;
    let offset = context.number("o")?.unwrap_or(0);
    let broker = context.required("b")?;
    let queue = queue_at(context, topic, broker, context.number("i")?.unwrap_or(0)).await?;
    let consumer = Consumer::new(&context.cluster, topic, "*");
    let pulled = consumer.pull(&queue, offset, 1, None).await?;
    match (pulled.status, pulled.messages.first()) {
        (PullStatus::Found, Some(message)) => show(context, message, true).await,
        _ => Err(Failure::other(format!(
            "no message at offset {offset} of queue {} at {broker} (it has {} to {})",
            queue.id, pulled.min_offset, pulled.max_offset
        ))),
    }
}

/// A queue by broker name and number, at the address that the route of `-r`, or of the topic
/// itself, gives.
pub async fn queue_at(
    context: &Context<'_>,
    topic: &str,
    broker_name: &str,
    id: i32,
) -> Result<Queue, Failure> {
    let route = context.cluster.route(context.get("r").unwrap_or(topic)).await?;
    let broker = route.broker_datas.iter().find(|broker| broker.broker_name == broker_name);
    let addr = broker.and_then(route::any_addr).ok_or_else(|| {
        Failure::other(format!("The broker[{broker_name}] not exist in the route of {topic}"))
    })?;
    Ok(Queue { broker_name: broker_name.to_owned(), id, addr: addr.to_owned() })
}
