//! Messages looked up: by id, key, unique id, offset, with what became of them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;
use skua_protocol::Command;
use skua_protocol::body::{ConsumeType, ConsumerConnection, MessageModel};
use skua_protocol::code::ResponseCode;
use skua_protocol::message_id::parse_offset_id;
use skua_protocol::record::Message;
use skua_protocol::request::{
    ConsumeMessageDirectly, GetConsumerConnectionList, QueryMessage, ViewMessageById,
};

use super::consumer::consume_stats;
use super::topic::{RETRY_PREFIX, groups_of};
use crate::client::Cluster;
use crate::client::consumer::{Consumer, PullStatus};
use crate::client::producer::{NewMessage, Producer};
use crate::client::route::{self, Queue};
use crate::failure::{Failure, Role};
use crate::mqadmin::context::Done;
use crate::mqadmin::options::{flag, required, value};
use crate::mqadmin::{Context, SubCommand};
use crate::{text, time};

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

/// A message and who has consumed it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    #[serde(rename = "offsetID")]
    offset_id: String,
    topic: String,
    tags: Option<String>,
    keys: Option<String>,
    queue_id: i32,
    queue_offset: i64,
    commit_log_offset: i64,
    reconsume_times: i32,
    born_timestamp: i64,
    store_timestamp: i64,
    born_host: String,
    store_host: String,
    system_flag: i32,
    properties: BTreeMap<String, String>,
    body_path: String,
    /// Shown when `-f` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    tracks: Vec<Track>,
    #[serde(skip)]
    with_offset_id: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Track {
    consumer_group: String,
    track_type: &'static str,
    exception_desc: Option<String>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = || "null".to_owned();
        let mut line = |name: &str, value: &dyn fmt::Display| writeln!(f, "{name:<20} {value}");
        if self.with_offset_id {
            line("OffsetID:", &self.offset_id)?;
        }
        line("Topic:", &self.topic)?;
        line("Tags:", &format!("[{}]", self.tags.clone().unwrap_or_else(none)))?;
        line("Keys:", &format!("[{}]", self.keys.clone().unwrap_or_else(none)))?;
        line("Queue ID:", &self.queue_id)?;
        line("Queue Offset:", &self.queue_offset)?;
        line("CommitLog Offset:", &self.commit_log_offset)?;
        line("Reconsume Times:", &self.reconsume_times)?;
        let moment = |at| time::with_millis(skua_protocol::Millis(at));
        line("Born Timestamp:", &moment(self.born_timestamp))?;
        line("Store Timestamp:", &moment(self.store_timestamp))?;
        line("Born Host:", &self.born_host)?;
        line("Store Host:", &self.store_host)?;
        line("System Flag:", &self.system_flag)?;
        line("Properties:", &text::java_map(&self.properties))?;
        line("Message Body Path:", &self.body_path)?;
        if let Some(body) = &self.body {
            line("Message Body:", body)?;
        }
        if self.tracks.is_empty() {
            return writeln!(f, "\n\nWARN: No Consumer");
        }
        write!(f, "\n\n")?;
        self.tracks.iter().try_for_each(|track| {
            writeln!(
                f,
                "MessageTrack [consumerGroup={}, trackType={}, exceptionDesc={}]",
                track.consumer_group,
                track.track_type,
                track.exception_desc.as_deref().unwrap_or("null")
            )
        })
    }
}

async fn show(
    context: &Context<'_>,
    message: &Message,
    with_offset_id: bool,
) -> Result<(), Failure> {
    let body = crate::body::plain(message).unwrap_or_else(|cause| {
        context.complain(&Failure::other(format!("message {}: {cause}", message.offset_id())));
        message.body.clone()
    });
    let properties = message.properties().iter();
    let tracks = match tracks(context, message).await {
        Ok(tracks) => tracks,
        Err(failure) => {
            context.complain(&failure);
            Vec::new()
        }
    };
    context.print(&Found {
        offset_id: message.offset_id(),
        topic: message.topic.to_string(),
        tags: message.tags().map(str::to_owned),
        keys: message.keys().map(str::to_owned),
        queue_id: message.queue_id,
        queue_offset: message.queue_offset,
        commit_log_offset: message.physical_offset,
        reconsume_times: message.reconsume_times,
        born_timestamp: message.born_timestamp.0,
        store_timestamp: message.store_timestamp.0,
        born_host: message.born_host.to_string(),
        store_host: message.store_host.to_string(),
        system_flag: message.sys_flag,
        properties: properties.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body_path: save_body(message, &body)?.display().to_string(),
        body: context.get("f").map(|_| String::from_utf8_lossy(&body).into_owned()),
        tracks,
        with_offset_id,
    })
}

/// Writes the body where Java's tool writes it.
fn save_body(message: &Message, body: &[u8]) -> Result<PathBuf, Failure> {
    let folder = std::env::temp_dir().join("rocketmq").join("msgbodys");
    // The unique id comes from a producer; only a plain one may name a file.
    let id = message
        .unique_id()
        .filter(|id| id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .map_or_else(|| message.offset_id(), str::to_owned);
    let path = folder.join(id);
    let write = || {
        fs::create_dir_all(&folder)?;
        match fs::remove_file(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
        // Made anew, so that nobody's link in this shared folder is followed.
        fs::OpenOptions::new().write(true).create_new(true).open(&path)?.write_all(body)
    };
    match write() {
        Ok(()) => Ok(path),
        Err(cause) => Err(Failure::File { path: path.display().to_string(), cause }),
    }
}

/// What each group has done with the message (Java: `messageTrackDetail`).
async fn tracks(context: &Context<'_>, message: &Message) -> Result<Vec<Track>, Failure> {
    let route = context.cluster.route(&message.topic).await?;
    let mut tracks = Vec::new();
    for group in groups_of(context, &route, &message.topic).await? {
        let (track_type, exception_desc) = match track(context, message, &group).await {
            Ok(kind) => (kind, None),
            Err(failure) if failure.is_code(ResponseCode::ConsumerNotOnline) => {
                let desc = format!("CODE:206 DESC:the consumer group[{group}] not online");
                ("NOT_ONLINE", Some(desc))
            }
            Err(failure) => ("UNKNOWN", Some(failure.to_string())),
        };
        tracks.push(Track { consumer_group: group, track_type, exception_desc });
    }
    Ok(tracks)
}

async fn track(
    context: &Context<'_>,
    message: &Message,
    group: &str,
) -> Result<&'static str, Failure> {
    let retry = format!("{RETRY_PREFIX}{group}");
    let route = context.cluster.route(&retry).await?;
    let addrs = route::broker_addrs(&route);
    let addr = addrs.first().ok_or_else(|| Failure::other(format!("no broker has {retry}")))?;
    let header = GetConsumerConnectionList { consumer_group: group.into() };
    let clients: ConsumerConnection = context.cluster.broker(addr, &header).await?.json()?;
    if clients.consume_type == ConsumeType::Actively {
        return Ok("PULL");
    }
    if clients.message_model == MessageModel::Broadcasting {
        return Ok("CONSUME_BROADCASTING");
    }
    let stats = consume_stats(context, &retry, group, None).await?;
    let consumed = stats.offset_table.iter().any(|(queue, offsets)| {
        *queue.topic == *message.topic
            && queue.queue_id == message.queue_id
            && offsets.consumer_offset > message.queue_offset
    });
    if !consumed {
        return Ok("NOT_CONSUME_YET");
    }
    let subscribed = clients.subscription_table.get(&*message.topic).is_none_or(|data| {
        data.tags_set.is_empty()
            || data.sub_string == "*"
            || message.tags().is_some_and(|tag| data.tags_set.contains(tag))
    });
    Ok(if subscribed { "CONSUMED" } else { "CONSUMED_BUT_FILTERED" })
}

/// Everything an index holds under a key; `KEY_NOT_FOUND` becomes Java's sentence.
/// Messages of `topic` under a key, from the brokers of `route_topic`.
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
