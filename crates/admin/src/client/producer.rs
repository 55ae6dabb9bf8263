//! Sending: queues in turn, other queues after a refusal that may not hold there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use bytestring::ByteString;
use skua_protocol::Command;
use skua_protocol::code::ResponseCode;
use skua_protocol::properties::{KEYS, PropertiesEditor, TAGS, UNIQ_KEY, WAIT};
use skua_protocol::record::encode_batch_item;
use skua_protocol::request::{SendBatchMessage, SendMessageResponse, SendMessageV2};

use super::route::{self, Queue};
use super::unique_id::UniqueIds;
use super::{Answer, Cluster};
use crate::failure::{Failure, Role};
use crate::time;

/// Topic whose configuration a topic is made from when it is first sent to.
const DEFAULT_TOPIC: &str = "TBW102";
/// Queues a topic made by sending gets (Java: `defaultTopicQueueNums` of the producer).
const DEFAULT_TOPIC_QUEUES: i32 = 4;
/// Further tries after the first (Java: `retryTimesWhenSendFailed`).
const RETRIES: usize = 2;

/// Codes after which Java's producer tries another broker.
const RETRY_CODES: [i32; 8] = [
    ResponseCode::TopicNotExist as i32,
    ResponseCode::ServiceNotAvailable as i32,
    ResponseCode::SystemError as i32,
    ResponseCode::SystemBusy as i32,
    ResponseCode::NoPermission as i32,
    ResponseCode::NoBuyerId as i32,
    ResponseCode::NotInCurrentUnit as i32,
    ResponseCode::GoAway as i32,
];

/// A message to be sent.
#[derive(Clone, Debug, Default)]
pub struct NewMessage {
    pub body: Bytes,
    pub tag: Option<String>,
    /// Separated by blanks.
    pub keys: Option<String>,
    pub properties: BTreeMap<String, String>,
}

/// What the broker made of it.
#[derive(Clone, Debug)]
pub struct Sent {
    pub queue: Queue,
    pub queue_offset: i64,
    /// Ids made here, one for each message.
    pub unique_ids: Vec<String>,
    /// Offset ids, joined by commas for a batch.
    pub offset_id: String,
    pub status: SendStatus,
}

/// Java: `SendStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendStatus {
    Ok,
    FlushDiskTimeout,
    FlushSlaveTimeout,
    SlaveNotAvailable,
}

impl SendStatus {
    /// The status for a response code, if the message was stored.
    pub fn of(code: i32) -> Option<Self> {
        Some(match ResponseCode::from_i32(code)? {
            ResponseCode::Success => Self::Ok,
            ResponseCode::FlushDiskTimeout => Self::FlushDiskTimeout,
            ResponseCode::FlushSlaveTimeout => Self::FlushSlaveTimeout,
            ResponseCode::SlaveNotAvailable => Self::SlaveNotAvailable,
            _ => return None,
        })
    }

    /// Java's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "SEND_OK",
            Self::FlushDiskTimeout => "FLUSH_DISK_TIMEOUT",
            Self::FlushSlaveTimeout => "FLUSH_SLAVE_TIMEOUT",
            Self::SlaveNotAvailable => "SLAVE_NOT_AVAILABLE",
        }
    }
}

/// Sends to one topic.
pub struct Producer<'a> {
    cluster: &'a Cluster,
    topic: String,
    group: String,
    queues: Vec<Queue>,
    next: AtomicUsize,
    ids: UniqueIds,
}

impl<'a> Producer<'a> {
    /// Looks up the route; for an unknown topic that of the topic it would be made from.
    pub async fn new(cluster: &'a Cluster, topic: &str, group: &str) -> Result<Self, Failure> {
        let mut queues = match cluster.route(topic).await {
            Ok(route) => route::writable(&route),
            Err(refused) if refused.is_code(ResponseCode::TopicNotExist) => {
                let Ok(default) = cluster.route(DEFAULT_TOPIC).await else { return Err(refused) };
                let mut queues = route::writable(&default);
                queues.retain(|queue| queue.id < DEFAULT_TOPIC_QUEUES);
                queues
            }
            Err(failure) => return Err(failure),
        };
        if queues.is_empty() {
            return Err(Failure::other(format!("topic {topic} has no queue that can be written")));
        }
        // Brokers in turn, so that a retry goes to another one where there is one.
        queues.sort_by(|a, b| (a.id, &a.broker_name).cmp(&(b.id, &b.broker_name)));
        let now = time::now();
        Ok(Self {
            cluster,
            topic: topic.to_owned(),
            group: group.to_owned(),
            next: AtomicUsize::new(now.0 as usize % queues.len()),
            queues,
            ids: UniqueIds::new(now),
        })
    }

    pub fn queues(&self) -> &[Queue] {
        &self.queues
    }

    /// Sends one message to `queue`, or to the next in turn.
    pub async fn send(&self, message: &NewMessage, queue: Option<&Queue>) -> Result<Sent, Failure> {
        let unique_id = self.ids.next(time::now());
        let properties = encode_properties(message, &unique_id);
        let header = SendMessageV2 { properties: Some(properties.into()), ..self.header() };
        self.try_queues(queue, vec![unique_id], |queue| {
            let header = self.addressed(header.clone(), queue);
            Command::request(&header).with_body(message.body.clone())
        })
        .await
    }

    /// Sends several messages as one batch to the next queue in turn.
    pub async fn send_batch(&self, messages: &[NewMessage]) -> Result<Sent, Failure> {
        let now = time::now();
        let mut body = Vec::new();
        let mut unique_ids = Vec::with_capacity(messages.len());
        for message in messages {
            let unique_id = self.ids.next(now);
            let properties = encode_properties(message, &unique_id);
            encode_batch_item(&mut body, 0, &message.body, properties.as_bytes())
                .map_err(|cause| Failure::other(cause.to_string()))?;
            unique_ids.push(unique_id);
        }
        let own_id = self.ids.next(now);
        let properties = encode_properties(&NewMessage::default(), &own_id);
        let header = SendMessageV2 {
            properties: Some(properties.into()),
            batch: Some(true),
            ..self.header()
        };
        let body = Bytes::from(body);
        self.try_queues(None, unique_ids, |queue| {
            let header = self.addressed(header.clone(), queue);
            Command::request(&SendBatchMessage(header)).with_body(body.clone())
        })
        .await
    }

    fn header(&self) -> SendMessageV2 {
        SendMessageV2 {
            producer_group: self.group.as_str().into(),
            topic: self.topic.as_str().into(),
            default_topic: ByteString::from_static(DEFAULT_TOPIC),
            default_topic_queue_nums: DEFAULT_TOPIC_QUEUES,
            born_timestamp: time::now().0,
            reconsume_times: Some(0),
            unit_mode: Some(false),
            batch: Some(false),
            ..Default::default()
        }
    }

    fn addressed(&self, header: SendMessageV2, queue: &Queue) -> SendMessageV2 {
        SendMessageV2 {
            queue_id: queue.id,
            broker_name: Some(queue.broker_name.as_str().into()),
            ..header
        }
    }

    async fn try_queues(
        &self,
        wanted: Option<&Queue>,
        unique_ids: Vec<String>,
        request: impl Fn(&Queue) -> Command,
    ) -> Result<Sent, Failure> {
        let mut tries = 0;
        loop {
            let turn = || &self.queues[self.next.fetch_add(1, Relaxed) % self.queues.len()];
            let queue = wanted.unwrap_or_else(turn);
            let answer = self.cluster.call(&queue.addr, request(queue)).await;
            let failure = match answer {
                Ok(answer) => match SendStatus::of(answer.command.code) {
                    Some(status) => return sent(&answer, queue, unique_ids, status),
                    None => answer.refusal(Role::Broker),
                },
                Err(failure) => failure,
            };
            let again = match &failure {
                Failure::Call { .. } => true,
                Failure::Refused { code, .. } => RETRY_CODES.contains(code),
                _ => false,
            };
            if !again || wanted.is_some() || tries == RETRIES {
                return Err(failure);
            }
            tries += 1;
        }
    }
}

fn sent(
    answer: &Answer,
    queue: &Queue,
    unique_ids: Vec<String>,
    status: SendStatus,
) -> Result<Sent, Failure> {
    let header: SendMessageResponse = answer.header()?;
    Ok(Sent {
        queue: Queue { id: header.queue_id, ..queue.clone() },
        queue_offset: header.queue_offset,
        unique_ids,
        offset_id: header.msg_id.to_string(),
        status,
    })
}

fn encode_properties(message: &NewMessage, unique_id: &str) -> String {
    let mut editor = PropertiesEditor::new();
    for (name, value) in &message.properties {
        editor.set(name, value);
    }
    editor.set(UNIQ_KEY, unique_id);
    editor.set(WAIT, "true");
    if let Some(tag) = &message.tag {
        editor.set(TAGS, tag);
    }
    if let Some(keys) = &message.keys {
        editor.set(KEYS, keys);
    }
    editor.encode()
}
