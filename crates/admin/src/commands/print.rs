//! Messages printed queue by queue: printMsg, printMsgByQueue, consumeMessage.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use skua_protocol::Millis;
use skua_protocol::record::{Message, body_crc};

use super::message::{check_charset, queue_at};
use crate::client::consumer::{Consumer, PullStatus};
use crate::client::route::{self, Queue};
use crate::failure::Failure;
use crate::mqadmin::options::{UsageError, required, value};
use crate::mqadmin::{Context, SubCommand};
use crate::{text, time};

/// Longest compaction log that is read.
const DUMP_LEN_MAX: u64 = 4 * 1024 * 1024 * 1024;
const CHARSET: &str = "CharsetName(eg: UTF-8,GBK)";
const SUBSCRIPTION: &str = "Subscribe Expression(eg: TagA || TagB)";
const BEGIN: &str = "Begin timestamp[currentTimeMillis|yyyy-MM-dd#HH:mm:ss:SSS]";
const END: &str = "End timestamp[currentTimeMillis|yyyy-MM-dd#HH:mm:ss:SSS]";

pub const DUMP_COMPACTION_LOG: SubCommand = SubCommand {
    name: "dumpCompactionLog",
    about: "Parse compaction log to message.",
    example: "-f /root/store/compaction/compactionLog/TopicTest/0/00000000000000000000",
    answer: &[
        "body",
        "bodyCRC",
        "bornHost",
        "bornTimestamp",
        "brokerName",
        "commitLogOffset",
        "flag",
        "msgId",
        "note",
        "offsetMsgId",
        "preparedTransactionOffset",
        "properties.*",
        "queueId",
        "queueOffset",
        "reconsumeTimes",
        "storeHost",
        "storeSize",
        "storeTimestamp",
        "sysFlag",
        "topic",
    ],
    options: &[value("f", "file", "to dump file name")],
    run: |context| Box::pin(dump(context)),
};

pub const PRINT_MSG: SubCommand = SubCommand {
    name: "printMsg",
    about: "Print Message Detail.",
    example: "-t TopicTest -b 1700000000000 -d true",
    answer: &[
        "body",
        "bodyCRC",
        "bornHost",
        "bornTimestamp",
        "brokerName",
        "commitLogOffset",
        "flag",
        "msgId",
        "note",
        "offsetMsgId",
        "preparedTransactionOffset",
        "properties.*",
        "queueId",
        "queueOffset",
        "reconsumeTimes",
        "storeHost",
        "storeSize",
        "storeTimestamp",
        "sysFlag",
        "topic",
        "queue",
    ],
    options: &[
        required("t", "topic", "topic name"),
        value("c", "charsetName", CHARSET),
        value("s", "subExpression", SUBSCRIPTION),
        value("b", "beginTimestamp", BEGIN),
        value("e", "endTimestamp", END),
        value("d", "printBody", "print body"),
        value("l", "lmqParentTopic", "Lmq parent topic, lmq is used to find the route."),
    ],
    run: |context| Box::pin(print_topic(context)),
};

pub const PRINT_MSG_BY_QUEUE: SubCommand = SubCommand {
    name: "printMsgByQueue",
    about: "Print Message Detail by queueId.",
    example: "-t TopicTest -a broker-a -i 0 -p true -d true",
    answer: &[
        "body",
        "bodyCRC",
        "bornHost",
        "bornTimestamp",
        "brokerName",
        "commitLogOffset",
        "flag",
        "msgId",
        "offsetMsgId",
        "preparedTransactionOffset",
        "properties.*",
        "queueId",
        "queueOffset",
        "reconsumeTimes",
        "storeHost",
        "storeSize",
        "storeTimestamp",
        "sysFlag",
        "topic",
        "note",
        "queue",
        "tag",
        "count",
    ],
    options: &[
        required("t", "topic", "topic name"),
        required("a", "brokerName", "broker name"),
        required("i", "queueId", "queue id"),
        value("c", "charsetName", CHARSET),
        value("s", "subExpression", SUBSCRIPTION),
        value("b", "beginTimestamp", BEGIN),
        value("e", "endTimestamp", END),
        value("p", "print msg", "print msg. eg: true | false(default)"),
        value("d", "printBody", "print body. eg: true | false(default)"),
        value("f", "calculate", "calculate by tag. eg: true | false(default)"),
    ],
    run: |context| Box::pin(print_queue(context)),
};

pub const CONSUME_MESSAGE: SubCommand = SubCommand {
    name: "consumeMessage",
    about: "Consume message.",
    example: "-t TopicTest -c 10",
    answer: &[
        "body",
        "bodyCRC",
        "bornHost",
        "bornTimestamp",
        "brokerName",
        "commitLogOffset",
        "flag",
        "msgId",
        "note",
        "offsetMsgId",
        "preparedTransactionOffset",
        "properties.*",
        "queue",
        "queueId",
        "queueOffset",
        "reconsumeTimes",
        "storeHost",
        "storeSize",
        "storeTimestamp",
        "sysFlag",
        "topic",
    ],
    options: &[
        required("t", "topic", "Topic name"),
        value("b", "brokerName", "Broker name"),
        value("i", "queueId", "Queue Id"),
        value("o", "offset", "Queue offset"),
        value("g", "consumerGroup", "Consumer group name"),
        value("s", "beginTimestamp", BEGIN),
        value("e", "endTimestamp", END),
        value("c", "MessageNumber", "Number of message to be consumed"),
    ],
    run: |context| Box::pin(consume(context)),
};

/// A line about a queue.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Note {
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    note: String,
}

impl Note {
    fn new(queue: Option<String>, note: String) -> Self {
        Self { queue, note }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.queue {
            Some(queue) => writeln!(f, "{queue} {}", self.note),
            None => writeln!(f, "{}", self.note),
        }
    }
}

fn queue_text(topic: &str, queue: &Queue) -> String {
    let Queue { broker_name, id, .. } = queue;
    format!("MessageQueue [topic={topic}, brokerName={broker_name}, queueId={id}]")
}

/// A message as Java's `MessageExt.toString` has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Printed {
    msg_id: String,
    broker_name: String,
    queue_id: i32,
    queue_offset: i64,
    store_size: usize,
    sys_flag: i32,
    born_timestamp: i64,
    born_host: String,
    store_timestamp: i64,
    store_host: String,
    offset_msg_id: String,
    commit_log_offset: i64,
    #[serde(rename = "bodyCRC")]
    body_crc: u32,
    reconsume_times: i32,
    prepared_transaction_offset: i64,
    topic: String,
    flag: i32,
    properties: BTreeMap<String, String>,
    #[serde(skip)]
    bytes: Vec<u8>,
    /// Absent when it is not to be printed.
    body: Option<String>,
}

impl Printed {
    fn new(message: &Message, broker_name: &str, with_body: bool) -> Self {
        let body = crate::body::plain(message).unwrap_or_else(|_| message.body.clone());
        let offset_id = message.offset_id();
        Self {
            msg_id: message.unique_id().unwrap_or(&offset_id).to_owned(),
            broker_name: broker_name.to_owned(),
            queue_id: message.queue_id,
            queue_offset: message.queue_offset,
            store_size: stored_len(message),
            sys_flag: message.sys_flag,
            born_timestamp: message.born_timestamp.0,
            born_host: message.born_host.to_string(),
            store_timestamp: message.store_timestamp.0,
            store_host: message.store_host.to_string(),
            offset_msg_id: offset_id,
            commit_log_offset: message.physical_offset,
            body_crc: body_crc(&message.body),
            reconsume_times: message.reconsume_times,
            prepared_transaction_offset: message.prepared_transaction_offset,
            topic: message.topic.to_string(),
            flag: message.flag,
            properties: message
                .properties()
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            body: with_body.then(|| String::from_utf8_lossy(&body).into_owned()),
            bytes: body.to_vec(),
        }
    }
}

/// Bytes of the record a message was read from.
fn stored_len(message: &Message) -> usize {
    skua_protocol::record::NewRecord {
        topic: &message.topic,
        queue_id: skua_protocol::QueueId(u32::try_from(message.queue_id).unwrap_or(0)),
        flag: message.flag,
        sys_flag: message.sys_flag,
        born_timestamp: message.born_timestamp,
        born_host: message.born_host,
        store_host: message.store_host,
        reconsume_times: message.reconsume_times,
        prepared_transaction_offset: message.prepared_transaction_offset,
        body: &message.body,
        properties: &message.properties,
    }
    .encoded_len()
}

impl fmt::Display for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Java's bytes are signed.
        let bytes: Vec<i8> = self.bytes.iter().map(|byte| byte.cast_signed()).collect();
        let transaction = self.properties.get("__transactionId__").map_or("null", |id| id);
        write!(
            f,
            "MSGID: {} MessageExt [brokerName={}, queueId={}, storeSize={}, queueOffset={}, sysFlag={}, bornTimestamp={}, bornHost=/{}, storeTimestamp={}, storeHost=/{}, msgId={}, commitLogOffset={}, bodyCRC={}, reconsumeTimes={}, preparedTransactionOffset={}, toString()=Message{{topic='{}', flag={}, properties={}, body={bytes:?}, transactionId='{transaction}'}}] BODY: ",
            self.msg_id,
            self.broker_name,
            self.queue_id,
            self.store_size,
            self.queue_offset,
            self.sys_flag,
            self.born_timestamp,
            self.born_host,
            self.store_timestamp,
            self.store_host,
            self.offset_msg_id,
            self.commit_log_offset,
            self.body_crc,
            self.reconsume_times,
            self.prepared_transaction_offset,
            self.topic,
            self.flag,
            text::java_map(&self.properties),
        )?;
        writeln!(f, "{}", self.body.as_deref().unwrap_or("NOT PRINT BODY"))
    }
}

/// First and last (exclusive) offset of a queue, narrowed by the times given.
async fn bounds(
    context: &Context<'_>,
    consumer: &Consumer<'_>,
    queue: &Queue,
    begin: &'static str,
    end: &'static str,
) -> Result<(i64, i64), Failure> {
    let min = match moment(context, begin)? {
        Some(at) => consumer.offset_at(queue, at).await?,
        None => consumer.min_offset(queue).await?,
    };
    let max = match moment(context, end)? {
        Some(at) => consumer.offset_at(queue, at).await?,
        None => consumer.max_offset(queue).await?,
    };
    Ok((min, max))
}

fn moment(context: &Context<'_>, option: &'static str) -> Result<Option<Millis>, Failure> {
    context
        .get(option)
        .map(|given| {
            time::parse(given, time::now()).ok_or_else(|| Failure::BadValue {
                option,
                given: given.to_owned(),
                accepted: "milliseconds since 1970 or yyyy-MM-dd#HH:mm:ss:SSS",
            })
        })
        .transpose()
}

async fn print_topic(context: &Context<'_>) -> Result<(), Failure> {
    let topic = context.required("t")?;
    check_charset(context, "c")?;
    let with_body = context.truth("d")?.unwrap_or(true);
    let consumer = Consumer::new(&context.cluster, topic, context.get("s").unwrap_or("*"));
    let route = context.cluster.route(context.get("l").unwrap_or(topic)).await?;
    for queue in route::readable(&route) {
        let (min, max) = bounds(context, &consumer, &queue, "b", "e").await?;
        let name = queue_text(topic, &queue);
        context.print(&Note::new(None, format!("minOffset={min}, maxOffset={max}, {name}")))?;
        let mut offset = min;
        while offset < max {
            let pulled = consumer.pull_some(&queue, offset, None).await?;
            offset = pulled.next_offset;
            let status = pulled.status.name();
            match pulled.status {
                PullStatus::Found if pulled.messages.is_empty() => {}
                PullStatus::Found => {
                    for message in &pulled.messages {
                        context.print(&Printed::new(message, &queue.broker_name, with_body))?;
                    }
                }
                PullStatus::NoMatchedMessage => {
                    let note = format!("no matched msg. status={status}, offset={offset}");
                    context.print(&Note::new(Some(name.clone()), note))?;
                }
                PullStatus::NoNewMessage | PullStatus::OffsetIllegal => {
                    let note = format!("print msg finished. status={status}, offset={offset}");
                    context.print(&Note::new(Some(name.clone()), note))?;
                    break;
                }
            }
        }
        context.print(&Note::new(None, "-".repeat(56)))?;
    }
    Ok(())
}

#[derive(Serialize)]
struct TagCounts {
    tags: Vec<(String, u64)>,
}

impl fmt::Display for TagCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tags.iter().try_for_each(|(tag, count)| writeln!(f, "Tag: {tag:<30} Count: {count}"))
    }
}

async fn print_queue(context: &Context<'_>) -> Result<(), Failure> {
    let topic = context.required("t")?;
    check_charset(context, "c")?;
    let id = context.number("i")?.unwrap_or(0);
    let queue = queue_at(context, topic, context.required("a")?, id).await?;
    let consumer = Consumer::new(&context.cluster, topic, context.get("s").unwrap_or("*"));
    let print = context.truth("p")?.unwrap_or(false);
    let with_body = context.truth("d")?.unwrap_or(false);
    let (mut offset, max) = bounds(context, &consumer, &queue, "b", "e").await?;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    while offset < max {
        let pulled = consumer.pull_some(&queue, offset, None).await?;
        offset = pulled.next_offset;
        if pulled.status != PullStatus::Found {
            break;
        }
        for message in &pulled.messages {
            if let Some(tag) = message.tags() {
                *counts.entry(tag.to_owned()).or_default() += 1;
            }
            if print {
                context.print(&Printed::new(message, &queue.broker_name, with_body))?;
            }
        }
    }
    if context.truth("f")?.unwrap_or(false) {
        let mut tags: Vec<_> = counts.into_iter().collect();
        tags.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        context.print(&TagCounts { tags })?;
    }
    Ok(())
}

async fn consume(context: &Context<'_>) -> Result<(), Failure> {
    let topic = context.required("t")?;
    let count = context.number::<i64>("c")?.unwrap_or(128);
    if count <= 0 {
        return Err(Failure::BadValue {
            option: "c",
            given: count.to_string(),
            accepted: "a number of messages above 0",
        });
    }
    let missing = |option: &str| Failure::Usage(UsageError::MissingRequired(vec![option.into()]));
    let consumer = Consumer::new(&context.cluster, topic, "*").in_group(context.get("g"));
    let Some(id) = context.number::<i32>("i")? else {
        if context.has("o") {
            return Err(missing("i"));
        }
        return consume_topic(context, &consumer, topic, count).await;
    };
    let broker = context.get("b").ok_or_else(|| missing("b"))?;
    let queue = queue_at(context, topic, broker, id).await?;
    let (min, mut max) = bounds(context, &consumer, &queue, "s", "e").await?;
    let offset = context.number::<i64>("o")?.unwrap_or(0);
    if offset > max {
        let note = format!("no matched msg, offset={offset}");
        return context.print(&Note::new(Some(queue_text(topic, &queue)), note));
    }
    let min = min.max(offset);
    if max - min > count {
        let note = format!("The oldler {count} message will be provided");
        context.print(&Note::new(None, note))?;
        max = min + count - 1;
    }
    consume_queue(context, &consumer, topic, &queue, min, max).await
}

async fn consume_topic(
    context: &Context<'_>,
    consumer: &Consumer<'_>,
    topic: &str,
    count: i64,
) -> Result<(), Failure> {
    let mut left = count;
    for queue in route::readable(&context.cluster.route(topic).await?) {
        if left <= 0 {
            break;
        }
        let (min, mut max) = bounds(context, consumer, &queue, "s", "e").await?;
        if max - min > left {
            let id = queue.id;
            let note = format!("The older {left} message of the {id} queue will be provided");
            context.print(&Note::new(None, note))?;
            max = min + left - 1;
            left = 0;
        } else {
            left -= max - min;
        }
        consume_queue(context, consumer, topic, &queue, min, max).await?;
    }
    Ok(())
}

/// Prints from `min` to `max`, both inclusive; asking for one past the end shows it is the end.
async fn consume_queue(
    context: &Context<'_>,
    consumer: &Consumer<'_>,
    topic: &str,
    queue: &Queue,
    min: i64,
    max: i64,
) -> Result<(), Failure> {
    let mut offset = min;
    while offset <= max {
        let wanted = i32::try_from(max - offset + 1).unwrap_or(i32::MAX);
        let pulled = consumer.pull(queue, offset, wanted, None).await?;
        offset = pulled.next_offset;
        let status = pulled.status.name();
        let note = |text: String| Note::new(Some(queue_text(topic, queue)), text);
        match pulled.status {
            PullStatus::Found => {
                context.print(&Note::new(None, "Consume ok".to_owned()))?;
                for message in &pulled.messages {
                    context.print(&Printed::new(message, &queue.broker_name, true))?;
                }
            }
            PullStatus::NoMatchedMessage => {
                context
                    .print(&note(format!("no matched msg. status={status}, offset={offset}")))?;
            }
            PullStatus::NoNewMessage | PullStatus::OffsetIllegal => {
                let text = format!("print msg finished. status={status}, offset={offset}");
                context.print(&note(text))?;
                break;
            }
        }
    }
    Ok(())
}

/// The messages of a compaction log, which has the records of a commit log.
async fn dump(context: &Context<'_>) -> Result<(), Failure> {
    let Some(path) = context.get("f") else {
        return Err(UsageError::MissingRequired(vec!["f".to_owned()]).into());
    };
    let file = |cause| Failure::File { path: path.to_owned(), cause };
    let size = std::fs::metadata(path).map_err(file)?.len();
    if size > DUMP_LEN_MAX {
        return Err(Failure::other(format!("{path}: {size} bytes are more than {DUMP_LEN_MAX}")));
    }
    let bytes = bytes::Bytes::from(std::fs::read(path).map_err(file)?);
    let messages =
        Message::decode_all(&bytes).map_err(|cause| Failure::other(format!("{path}: {cause}")))?;
    messages.iter().try_for_each(|message| context.print(&Printed::new(message, "null", true)))
}
