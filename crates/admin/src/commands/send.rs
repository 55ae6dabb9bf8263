//! Sending from the command line: a message, or several to see how long each takes.

use std::fmt;
use std::time::Instant;

use bytes::Bytes;
use serde::Serialize;

use crate::client::producer::{NewMessage, Producer, Sent};
use crate::client::route::Queue;
use crate::failure::Failure;
use crate::mqadmin::options::{UsageError, required, value};
use crate::mqadmin::{Context, SubCommand};
use crate::text;

const GROUP: &str = "TOOLS_PRODUCER";

pub const SEND_MESSAGE: SubCommand = SubCommand {
    name: "sendMessage",
    about: "Send a message.",
    example: "-t TopicTest -p hello -k order-1 -c TagA",
    answer: &["brokerName", "msgId", "offsetMsgId", "queueId", "queueOffset", "sendResult"],
    options: &[
        required("t", "topic", "Topic name"),
        required("p", "body", "UTF-8 string format of the message body"),
        value("k", "key", "Message keys"),
        value("c", "tags", "Message tags"),
        value("b", "broker", "Send message to target broker"),
        value("i", "qid", "Send message to target queue"),
        value("m", "msgTraceEnable", "Message Trace Enable, Default: false"),
    ],
    run: |context| Box::pin(send_message(context)),
};

pub const CHECK_MSG_SEND_RT: SubCommand = SubCommand {
    name: "checkMsgSendRT",
    about: "Check message send response time.",
    example: "-t TopicTest -a 10 -s 128",
    answer: &["averageRt", "sends[].brokerName", "sends[].queueId", "sends[].rt", "sends[].sent"],
    options: &[
        required("t", "topic", "topic name"),
        value("a", "amount", "message amount | default 100"),
        value("s", "size", "message size | default 128 Byte"),
    ],
    run: |context| Box::pin(check_send(context)),
};

pub const SEND_MSG_STATUS: SubCommand = SubCommand {
    name: "sendMsgStatus",
    about: "Send msg to broker.",
    example: "-b broker-a -s 128 -c 3",
    answer: &[
        "brokerName",
        "msgId",
        "offsetMsgId",
        "queueId",
        "queueOffset",
        "rt",
        "sendResult",
        "topic",
    ],
    options: &[
        required(
            "b",
            "brokerName",
            "Broker Name e.g. clusterName_brokerName as DefaultCluster_broker-a",
        ),
        value("s", "messageSize", "Message Size, Default: 128"),
        value("c", "count", "send message count, Default: 50"),
    ],
    run: |context| Box::pin(send_status(context)),
};

pub const CLUSTER_RT: SubCommand = SubCommand {
    name: "clusterRT",
    about: "List All clusters Message Send RT.",
    example: "-c DefaultCluster -a 10 -s 128",
    answer: &["cluster", "brokerName", "rt", "successCount", "failCount"],
    options: &[
        value("a", "amount", "message amount | default 100"),
        value("s", "size", "message size | default 128 Byte"),
        value("c", "cluster", "cluster name | default display all cluster"),
        value("p", "print log", "print as tlog | default false"),
        value("m", "machine room", "machine room name | default noname"),
        value("i", "interval", "print interval | default 10 seconds"),
    ],
    run: |context| Box::pin(cluster_times(context)),
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SendResult {
    broker_name: String,
    queue_id: i32,
    send_result: &'static str,
    msg_id: String,
    offset_msg_id: String,
    queue_offset: i64,
}

impl fmt::Display for SendResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<32}  {:<4}  {:<20}    #MsgId", "#Broker Name", "#QID", "#Send Result")?;
        writeln!(
            f,
            "{:<32}  {:<4}  {:<20}    {}",
            self.broker_name, self.queue_id, self.send_result, self.msg_id
        )
    }
}

async fn send_message(context: &Context<'_>) -> Result<(), Failure> {
    let topic = context.required("t")?;
    let message = NewMessage {
        body: Bytes::copy_from_slice(context.required("p")?.as_bytes()),
        tag: context.get("c").map(str::to_owned),
        keys: context.get("k").map(str::to_owned),
        ..NewMessage::default()
    };
    if context.truth("m")? == Some(true) {
        return Err(Failure::BadValue {
            option: "m",
            given: "true".to_owned(),
            accepted: "false: this tool sends no traces",
        });
    }
    let producer = Producer::new(&context.cluster, topic, GROUP).await?;
    let sent = match (context.get("b"), context.number::<i32>("i")?) {
        (None, Some(_)) => {
            return Err(Failure::Usage(UsageError::MissingRequired(vec!["b".to_owned()])));
        }
        (Some(broker), queue_id) => {
            let queue = pick(&producer, broker, queue_id)?;
            producer.send(&message, Some(&queue)).await?
        }
        (None, None) => producer.send(&message, None).await?,
    };
    let Sent { queue, queue_offset, unique_ids, offset_id, status } = sent;
    context.print(&SendResult {
        broker_name: queue.broker_name,
        queue_id: queue.id,
        send_result: status.name(),
        msg_id: unique_ids.into_iter().next().unwrap_or_default(),
        offset_msg_id: offset_id,
        queue_offset,
    })
}

/// The queue of that id, or the first, at the broker named.
fn pick(producer: &Producer<'_>, broker: &str, id: Option<i32>) -> Result<Queue, Failure> {
    let own: Vec<&Queue> =
        producer.queues().iter().filter(|queue| queue.broker_name == broker).collect();
    let Some(first) = own.first() else {
        return Err(Failure::other(format!("The broker[{broker}] not exist")));
    };
    // A number out of range is the broker's to refuse.
    let id = id.unwrap_or(first.id);
    Ok(Queue { id, ..(*first).clone() })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Times {
    sends: Vec<Time>,
    /// Milliseconds; the first send is left out, as it also connects.
    average_rt: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Time {
    broker_name: String,
    queue_id: i32,
    sent: bool,
    rt: u64,
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<32}  {:<4}  {:<20}    #RT", "#Broker Name", "#QID", "#Send Result")?;
        for Time { broker_name, queue_id, sent, rt } in &self.sends {
            let broker = text::front(broker_name, 32);
            writeln!(f, "{broker:<32}  {queue_id:<4}  {sent:<20}    {rt}")?;
        }
        writeln!(f, "Avg RT: {:.2}", self.average_rt)
    }
}

async fn check_send(context: &Context<'_>) -> Result<(), Failure> {
    let amount = context.number::<u32>("a")?.unwrap_or(100);
    let size = context.number::<u32>("s")?.unwrap_or(128);
    let producer = Producer::new(&context.cluster, context.required("t")?, GROUP).await?;
    let mut queues: Vec<&Queue> = producer.queues().iter().collect();
    queues.sort();
    let message =
        NewMessage { body: Bytes::from(vec![b'a'; size as usize]), ..NewMessage::default() };
    let mut sends = Vec::new();
    for turn in 0..amount as usize {
        let queue = queues[turn % queues.len()];
        let start = Instant::now();
        let result = producer.send(&message, Some(queue)).await;
        let rt = start.elapsed().as_millis() as u64;
        if let Err(failure) = &result {
            context.complain(failure);
        }
        sends.push(Time {
            broker_name: queue.broker_name.clone(),
            queue_id: queue.id,
            sent: result.is_ok(),
            rt,
        });
    }
    let later = sends.iter().skip(1).map(|send| send.rt).sum::<u64>();
    let average_rt = later as f64 / sends.len().saturating_sub(1).max(1) as f64;
    context.print(&Times { sends, average_rt })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Timed {
    rt: u64,
    topic: String,
    #[serde(flatten)]
    result: SendResult,
}

impl fmt::Display for Timed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SendResult { broker_name, queue_id, send_result, msg_id, offset_msg_id, queue_offset } =
            &self.result;
        writeln!(
            f,
            "rt={}ms, SendResult=SendResult [sendStatus={send_result}, msgId={msg_id}, offsetMsgId={offset_msg_id}, messageQueue=MessageQueue [topic={}, brokerName={broker_name}, queueId={queue_id}], queueOffset={queue_offset}, recallHandle=null]",
            self.rt, self.topic
        )
    }
}

/// Sends to the topic that every broker has under its own name.
async fn send_status(context: &Context<'_>) -> Result<(), Failure> {
    let topic = context.required("b")?;
    let size = context.number::<u32>("s")?.unwrap_or(128);
    let count = context.number::<u32>("c")?.unwrap_or(50);
    let producer = Producer::new(&context.cluster, topic, GROUP).await?;
    let message = |size| NewMessage { body: Bytes::from(vec![b'a'; size]), ..Default::default() };
    // The first send also connects, so it is not shown.
    producer.send(&message(16), None).await?;
    let message = message(size as usize);
    for _ in 0..count {
        let start = Instant::now();
        let Sent { queue, queue_offset, unique_ids, offset_id, status } =
            producer.send(&message, None).await?;
        context.print(&Timed {
            rt: start.elapsed().as_millis() as u64,
            topic: topic.to_owned(),
            result: SendResult {
                broker_name: queue.broker_name,
                queue_id: queue.id,
                send_result: status.name(),
                msg_id: unique_ids.into_iter().next().unwrap_or_default(),
                offset_msg_id: offset_id,
                queue_offset,
            },
        })?;
    }
    Ok(())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BrokerTime {
    cluster: String,
    broker_name: String,
    /// Milliseconds; the first send is left out, as it also connects.
    rt: f64,
    success_count: u32,
    fail_count: u32,
    /// The machine room, if lines are to be read by machines.
    #[serde(skip)]
    log: Option<(String, String)>,
}

impl fmt::Display for BrokerTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, broker_name, rt, success_count, fail_count, log } = self;
        if let Some((now, room)) = log {
            return writeln!(f, "{now}|{room}|{cluster}|{broker_name}|{}", rt.round());
        }
        let rt = format!("{rt:.2}");
        writeln!(
            f,
            "{cluster:<24}  {broker_name:<24}  {rt:<8}  {success_count:<16}  {fail_count:<16}"
        )
    }
}

#[derive(Serialize)]
struct BrokerTimeHead {}

impl fmt::Display for BrokerTimeHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<24}  {:<24}  {:<4}  {:<8}  {:<8}",
            "#Cluster Name", "#Broker Name", "#RT", "#successCount", "#failCount"
        )
    }
}

/// Sends to every broker of the clusters, again and again until stopped.
async fn cluster_times(context: &Context<'_>) -> Result<(), Failure> {
    let amount = context.number::<u32>("a")?.unwrap_or(100);
    let size = context.number::<u32>("s")?.unwrap_or(128);
    let pause = std::time::Duration::from_secs(context.number("i")?.unwrap_or(10));
    let as_log = context.truth("p")?.unwrap_or(false);
    let room = context.get("m").unwrap_or("noname");
    let message =
        NewMessage { body: Bytes::from(vec![b'a'; size as usize]), ..NewMessage::default() };
    let info = context.cluster.info().await?;
    let clusters: Vec<String> = match context.get("c") {
        Some(name) => vec![name.to_owned()],
        None => info.cluster_addr_table.keys().map(|name| name.to_string()).collect(),
    };
    if !as_log && !context.json() {
        context.print(&BrokerTimeHead {})?;
    }
    loop {
        for cluster in &clusters {
            for broker in crate::client::route::brokers_of(&info, cluster)? {
                let name = broker.broker_name.to_string();
                let producer = Producer::new(&context.cluster, &name, GROUP).await?;
                let (mut sent, mut failed, mut later) = (0, 0, 0);
                for turn in 0..amount {
                    let start = Instant::now();
                    match producer.send(&message, None).await {
                        Ok(_) => sent += 1,
                        Err(_) => failed += 1,
                    }
                    later += if turn > 0 { start.elapsed().as_millis() } else { 0 };
                }
                let log =
                    as_log.then(|| (crate::time::to_second(crate::time::now()), room.to_owned()));
                context.print(&BrokerTime {
                    cluster: cluster.clone(),
                    broker_name: name,
                    rt: later as f64 / f64::from(amount.saturating_sub(1).max(1)),
                    success_count: sent,
                    fail_count: failed,
                    log,
                })?;
            }
        }
        tokio::time::sleep(pause).await;
    }
}
