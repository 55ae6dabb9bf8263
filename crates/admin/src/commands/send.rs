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
    options: &[
        required("t", "topic", "topic name"),
        value("a", "amount", "message amount | default 100"),
        value("s", "size", "message size | default 128 Byte"),
    ],
    run: |context| Box::pin(check_send(context)),
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
