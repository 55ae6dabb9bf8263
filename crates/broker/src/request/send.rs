//! Sending: 10, 310, 320; the checks of 324 and 325.

mod batch;
mod message;

use std::net::SocketAddr;
use std::sync::Arc;

use skua_config::Settings;
use skua_protocol::body::{PERM_WRITE, TopicFilterType};
use skua_protocol::message_id::offset_id;
use skua_protocol::properties::{self, PROPERTIES_LEN_MAX, Properties};
use skua_protocol::record::{
    FLAG_INNER_BATCH, FLAG_MULTI_TAGS, FLAG_TRANSACTION_COMMIT, FLAG_TRANSACTION_MASK, NewRecord,
};
use skua_protocol::request::{SendAnswer, SendHeader};
use skua_protocol::service::{Outcome, Peer};
use skua_protocol::{Command, Millis, PhysicalOffset, QueueId, RequestCode, ResponseCode};

use super::error::{RequestError, topic_text};
use super::{forward, recall};
use crate::broker::{Broker, Moved};
use crate::later;
use crate::lite;
use crate::names::{self, HALF_TOPIC, RETRY_PREFIX};
use crate::role::Role;
use crate::topic_table::{
    AutoCreate, DLQ_QUEUES, SYS_FLAG_UNIT, SYS_FLAG_UNIT_SUB, Topic, dlq_topic_config,
    retry_topic_config,
};
use message::Message;

/// From this version on a client's own limit of deliveries counts (`V3_4_9`).
pub const VERSION_WITH_OWN_RETRY_LIMIT: i32 = 121;

/// Why a send does not get to the store at once.
pub(super) enum Stop {
    Error(RequestError),
    /// A topic or group has to be made first, which writes files.
    NeedsDisk,
}

impl<E: Into<RequestError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

pub fn send(
    broker: &Arc<Broker>,
    peer: &Arc<dyn Peer>,
    code: RequestCode,
    request: Command,
    now: Millis,
) -> Outcome {
    let from = forward::sender(&**peer, &request);
    match (Send { broker, from, code, request: &request, now, on_connection: true }).run() {
        Ok(outcome) => outcome,
        Err(Stop::Error(error)) => Outcome::Reply(refuse(broker, &error)),
        Err(Stop::NeedsDisk) => {
            let broker = broker.clone();
            Outcome::Blocking(Box::new(move || {
                let send = Send {
                    broker: &broker,
                    from,
                    code,
                    request: &request,
                    now,
                    on_connection: false,
                };
                match send.run() {
                    Ok(outcome) => outcome,
                    Err(Stop::Error(error)) => Outcome::Reply(refuse(&broker, &error)),
                    // Not given when topics may be made.
                    Err(Stop::NeedsDisk) => {
                        Outcome::Reply(Command::response(ResponseCode::SystemError))
                    }
                }
            }))
        }
    }
}

/// Every answer to a send carries region and trace switch, refusals too.
fn refuse(broker: &Broker, error: &RequestError) -> Command {
    let mut answer = error.answer();
    answer.fields.push(properties::MSG_REGION, broker.region());
    answer.fields.push(properties::TRACE_ON, trace_text(&broker.settings()));
    answer
}

pub fn trace_text(settings: &Settings) -> &'static str {
    if settings.broker.trace_on { "true" } else { "false" }
}

/// One send on its way.
pub(super) struct Send<'a> {
    pub(super) broker: &'a Arc<Broker>,
    pub(super) from: SocketAddr,
    code: RequestCode,
    pub(super) request: &'a Command,
    pub(super) now: Millis,
    /// On the connection's task, which must not wait for the disk, and where
    /// [`round_ended`](skua_protocol::service::Service::round_ended) follows.
    on_connection: bool,
}

/// What is stored, and where to.
struct Target<'a> {
    topic: &'a str,
    queue: i32,
    filter_type: TopicFilterType,
}

impl Send<'_> {
    fn run(&self) -> Result<Outcome, Stop> {
        let broker = self.broker;
        let settings = broker.settings();
        let header = SendHeader::read(self.code, self.request)?;
        self.check_broker(&settings, &header)?;
        names::check_topic(header.topic)?;
        if names::is_closed_to_senders(header.topic) {
            return Err(RequestError::ClosedTopic(header.topic.to_string()).into());
        }
        let topic = self.topic(&settings, &header)?;
        let config = &topic.config;
        if header.queue_id >= config.write_queue_nums.max(config.read_queue_nums) {
            return Err(RequestError::SendQueue {
                queue: header.queue_id,
                topic: topic_text(&topic),
                peer: self.from,
            }
            .into());
        }
        if self.request.body.is_empty() {
            return Err(RequestError::EmptyBody.into());
        }
        if config.has_batch_queues() {
            self.broker.store.set_batch_topic(&config.topic_name);
        }
        let queue = match header.queue_id {
            0.. => header.queue_id,
            _ => broker.any_queue(config.write_queue_nums),
        };
        if matches!(self.code, RequestCode::SendReplyMessage | RequestCode::SendReplyMessageV2) {
            self.reply(&settings, &header, &topic, queue)
        } else if header.batch == Some(true) {
            self.send_batch(&settings, &header, &topic, queue)
        } else {
            self.send_one(&settings, &header, &topic, queue)
        }
    }

    fn check_broker(
        &self,
        settings: &Settings,
        header: &SendHeader<'_>,
    ) -> Result<(), RequestError> {
        let starts = Millis(settings.broker.start_accept_send_request_time_stamp);
        if self.now < starts {
            return Err(RequestError::NotYet(starts));
        }
        match self.broker.role() {
            Role::Master => {}
            Role::Slave(_) => return Err(RequestError::Slave),
            Role::Neither(_) => return Err(RequestError::NoMaster),
        }
        self.broker.check_copies(settings)?;
        // Java: without write permission the name servers show no queue for writing, so who
        // still sends has an old route; only ordered topics are refused.
        if settings.broker.broker_permission & PERM_WRITE == 0
            && self.broker.topics.is_ordered(header.topic)
        {
            return Err(RequestError::BrokerNotWritable { ip: self.broker.ip() });
        }
        Ok(())
    }

    /// The topic, made now if it is its first send and that is allowed.
    fn topic(&self, settings: &Settings, header: &SendHeader<'_>) -> Result<Arc<Topic>, Stop> {
        if let Some(topic) = self.broker.topics.get(header.topic) {
            return Ok(topic);
        }
        if self.on_connection {
            return Err(Stop::NeedsDisk);
        }
        let retry = header.topic.starts_with(RETRY_PREFIX);
        let sys_flag = match (header.unit_mode, retry) {
            (Some(true), true) => SYS_FLAG_UNIT_SUB,
            (Some(true), false) => SYS_FLAG_UNIT,
            _ => 0,
        };
        let asked = AutoCreate {
            topic: header.topic,
            template: header.default_topic,
            queues: header.default_topic_queue_nums,
            sys_flag,
        };
        let topics = &self.broker.topics;
        let auto_create = settings.broker.auto_create_topic_enable;
        let mut made = topics.auto_create(asked, auto_create, self.now)?;
        if made.is_none() && retry {
            let group = &header.topic[RETRY_PREFIX.len()..];
            let unit = header.unit_mode == Some(true);
            made = Some(topics.ensure(retry_topic_config(group, 1, unit), self.now)?);
        }
        let Some((topic, created)) = made else {
            return Err(RequestError::NoTopicToSend(header.topic.to_string()).into());
        };
        if created {
            // The name servers are told meanwhile; the send does not wait for them.
            drop(self.broker.topics_changed());
        }
        Ok(topic)
    }

    fn send_one(
        &self,
        settings: &Settings,
        header: &SendHeader<'_>,
        topic: &Topic,
        queue: i32,
    ) -> Result<Outcome, Stop> {
        let given = header.properties.unwrap_or_default();
        let mut target =
            Target { topic: header.topic, queue, filter_type: topic.config.topic_filter_type };
        let dead = self.dead_letter_topic(header)?;
        let mut message = Message::read(given, dead.is_some())?;
        if let Some(dead) = &dead {
            let queue = self.broker.any_queue(DLQ_QUEUES);
            let filter_type = dead.config.topic_filter_type;
            target = Target { topic: &dead.config.topic_name, queue, filter_type };
        }
        self.check_message(settings, header, topic, &message)?;
        let lite = message.lite_topic.and_then(|name| lite::queue_name(header.topic, name));
        if let Some(queue) = lite {
            message.set(properties::INNER_MULTI_DISPATCH, &queue);
        }

        let appended = [
            (properties::MSG_REGION, self.broker.region()),
            (properties::TRACE_ON, trace_text(settings)),
            (properties::CLUSTER, &settings.broker.broker_cluster_name),
        ];
        let made_id;
        let unique_id = match message.unique_id {
            Some(id) => id,
            None => {
                made_id = self.broker.unique_id(self.now);
                message.append(properties::UNIQ_KEY, &made_id);
                &made_id
            }
        };
        for (name, value) in appended {
            message.append(name, value);
        }
        let answered_queue = target.queue;
        let transaction = header.sys_flag & FLAG_TRANSACTION_MASK;
        let mut recall_handle = None;
        let half = message.half && !is_old_retry(header, &message);
        let mut sys_flag = header.sys_flag;
        if half {
            // A delay counts from the commit on; whether it can be obeyed is known now.
            if message.timer && message.delay_level <= 0 {
                let given = Properties::new(given);
                let Target { topic, queue, .. } = target;
                later::by_timer(self.broker, settings, given, topic, queue, self.now)?;
            }
            message.append(properties::TRANSACTION_ID, unique_id);
            message.append(properties::REAL_TOPIC, target.topic);
            message.append(properties::REAL_QID, &target.queue.to_string());
            target.topic = HALF_TOPIC;
            target.queue = 0;
            sys_flag &= !FLAG_TRANSACTION_MASK;
        } else if transaction == 0 || transaction == FLAG_TRANSACTION_COMMIT {
            let waits = if message.delay_level > 0 {
                let level = self.broker.delay.level(message.delay_level);
                if level < message.delay_level {
                    message.set(properties::DELAY, &level.to_string());
                }
                Some(later::by_level(self.broker, level, target.topic, target.queue))
            } else if message.timer {
                let given = Properties::new(given);
                let Target { topic, queue, .. } = target;
                later::by_timer(self.broker, settings, given, topic, queue, self.now)?
            } else {
                None
            };
            if let Some(waits) = waits {
                for (name, value) in &waits.added {
                    message.append(name, value);
                }
                recall_handle = waits
                    .out
                    .and_then(|out| recall::handle(self.broker, target.topic, out, unique_id));
                (target.topic, target.queue) = (waits.topic, waits.queue);
            }
        }
        let properties = message.properties;
        self.check_size(settings, self.request.body.len(), properties.len())?;
        if target.filter_type == TopicFilterType::MultiTag {
            sys_flag |= FLAG_MULTI_TAGS;
        }
        let record = NewRecord {
            topic: target.topic,
            queue_id: queue_id(target.queue),
            flag: header.flag,
            sys_flag,
            born_timestamp: Millis(header.born_timestamp),
            born_host: self.from,
            store_host: self.broker.store_host(),
            reconsume_times: header.reconsume_times.unwrap_or(0),
            prepared_transaction_offset: 0,
            body: &self.request.body,
            properties: &properties,
        };
        self.limit(settings, &topic.config.topic_name, 1)?;
        let store = &self.broker.store;
        let receipt = match self.on_connection {
            true => store.append_only(&record, self.now)?,
            false => store.append(&record, self.now)?,
        };
        if half {
            let offset = receipt.queue_offset.0;
            self.broker.transactions.half_stored(self.broker, offset, settings, self.now);
        }
        let put = Moved { queue: target.queue, messages: 1, bytes: u64::from(receipt.size) };
        self.count(topic, target.topic, put);
        let answer = SendAnswer {
            msg_id: &offset_id(self.broker.store_host(), receipt.physical_offset),
            queue_id: answered_queue,
            queue_offset: receipt.queue_offset.0 as i64,
            transaction_id: Some(unique_id),
            recall_handle: recall_handle.as_deref(),
            ..self.answer(settings)
        };
        Ok(self.finish(settings, &answer, receipt.end, message.waits))
    }

    /// The dead letter topic, if the message is a retry that has had its chances. While a group
    /// consumes in order its failed messages are not retried at all.
    fn dead_letter_topic(&self, header: &SendHeader<'_>) -> Result<Option<Arc<Topic>>, Stop> {
        let Some(group) = header.topic.strip_prefix(RETRY_PREFIX) else { return Ok(None) };
        // A group's name ends where pop's retry topics name the topic.
        let group = group.split('+').next().unwrap_or(group);
        let broker = self.broker;
        let auto = broker.auto_create_groups();
        if broker.groups.would_create(group, auto) && self.on_connection {
            return Err(Stop::NeedsDisk);
        }
        let Some(config) = broker.groups.find(group, auto, self.now)? else {
            return Err(RequestError::NoGroupToSend(group.to_owned()).into());
        };
        let limit =
            retry_limit(self.request.version, header.max_reconsume_times, config.retry_max_times);
        let spent = header.reconsume_times.unwrap_or(0) > limit;
        if !spent && !broker.locks.any_live(group, self.now) {
            return Ok(None);
        }
        let wanted = dlq_topic_config(group);
        if let Some(topic) = broker.topics.get(&wanted.topic_name) {
            return Ok(Some(topic));
        }
        if self.on_connection {
            return Err(Stop::NeedsDisk);
        }
        let (topic, _) = broker.topics.ensure(wanted, self.now)?;
        drop(broker.topics_changed());
        Ok(Some(topic))
    }

    fn check_message(
        &self,
        settings: &Settings,
        header: &SendHeader<'_>,
        topic: &Topic,
        message: &Message<'_>,
    ) -> Result<(), RequestError> {
        if topic.config.is_compacted() && !message.has_keys {
            return Err(RequestError::KeyMissing);
        }
        let half = message.half && !is_old_retry(header, message);
        if half && settings.broker.reject_transaction_message {
            return Err(RequestError::TransactionsRejected { ip: self.broker.ip() });
        }
        let is_inner_batch = header.sys_flag & FLAG_INNER_BATCH != 0;
        if (message.inner_num && !is_inner_batch)
            || (is_inner_batch && !topic.config.has_batch_queues())
        {
            return Err(RequestError::InnerBatch(header.topic.to_string()));
        }
        Ok(())
    }

    pub(super) fn check_size(
        &self,
        settings: &Settings,
        body: usize,
        properties: usize,
    ) -> Result<(), RequestError> {
        let limit = usize::try_from(settings.store.max_message_size).unwrap_or(usize::MAX);
        if body > limit || properties > PROPERTIES_LEN_MAX {
            return Err(RequestError::MessageSize { limit, body, properties });
        }
        Ok(())
    }

    fn limit(&self, settings: &Settings, topic: &str, messages: usize) -> Result<(), RequestError> {
        let most = settings.broker.max_messages_per_second_of_topic;
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        Ok(self.broker.limits.send(topic, messages, most, self.now)?)
    }

    /// Counts under the topic that was stored to, which need not be the one that was sent to.
    fn count(&self, sent_to: &Topic, stored_to: &str, put: Moved) {
        if sent_to.config.topic_name == stored_to {
            self.broker.count_put(sent_to, put, self.now);
        } else if let Some(topic) = self.broker.topics.get(stored_to) {
            self.broker.count_put(&topic, put, self.now);
        }
    }

    pub(super) fn answer(&self, settings: &Settings) -> SendAnswer<'_> {
        SendAnswer {
            msg_region: Some(self.broker.region()),
            trace_on: Some(settings.broker.trace_on),
            ..SendAnswer::default()
        }
    }

    /// Answers when the message is as safe as the configuration promises.
    fn finish(
        &self,
        settings: &Settings,
        answer: &SendAnswer<'_>,
        end: PhysicalOffset,
        waits: bool,
    ) -> Outcome {
        let answer = Command::success().with_header(answer);
        if !waits || self.request.is_one_way() {
            return Outcome::Reply(answer);
        }
        self.broker.when_safe(settings, answer, end, self.now)
    }
}

/// Java: clients before 4.6.1 leave the mark of half messages on those that are delivered again.
fn is_old_retry(header: &SendHeader<'_>, message: &Message<'_>) -> bool {
    header.reconsume_times.unwrap_or(0) > 0 && message.delay_level > 0
}

/// How often a message may be delivered before it goes to the dead letters.
pub fn retry_limit(version: i32, asked: Option<i32>, of_group: i32) -> i32 {
    match asked {
        Some(asked) if version >= VERSION_WITH_OWN_RETRY_LIMIT => asked,
        _ => of_group,
    }
}

/// Queue ids are checked against the topic before, or chosen by it.
pub fn queue_id(queue: i32) -> QueueId {
    QueueId(u32::try_from(queue).unwrap_or(0))
}

/// Java: absent or empty means yes.
fn waits(value: Option<&str>) -> bool {
    value.is_none_or(|value| value.is_empty() || value.eq_ignore_ascii_case("true"))
}

#[cfg(test)]
mod tests;
