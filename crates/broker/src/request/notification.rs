//! Looking at what a pop would find: notification 200054, peek 200052, who waits 200055.

use std::sync::Arc;

use bytes::BytesMut;
use bytestring::ByteString;
use skua_protocol::body::PERM_READ;
use skua_protocol::request::{
    Notification, NotificationResponse, PeekMessage, PollingInfo, PollingInfoResponse,
    PopMessageResponse,
};
use skua_protocol::service::{Outcome, Peer};
use skua_protocol::{Command, Millis, ResponseCode};
use skua_store::{ReadLimits, ReadStatus};

use super::Answer;
use super::error::RequestError;
use super::offset::{max_of, min_of};
use super::pop::{check_topic_and_group, has_messages, park_in, retry_topics};
use crate::broker::Broker;
use crate::filter::Filter;
use crate::long_poll::Woken;
use crate::topic_table::Topic;

/// A waiting notification is answered this much before its client gives up.
const ANSWER_BEFORE_MS: i64 = 50;

fn check_broker(broker: &Broker) -> Result<(), RequestError> {
    if broker.settings().broker.broker_permission & PERM_READ == 0 {
        return Err(RequestError::PopForbidden { ip: broker.ip(), what: "peeking" });
    }
    Ok(())
}

pub fn notification(
    broker: &Arc<Broker>,
    peer: &Arc<dyn Peer>,
    request: &Command,
    now: Millis,
) -> Outcome {
    let header: Notification = match request.header() {
        Ok(header) => header,
        Err(error) => return Outcome::Reply(RequestError::from(error).answer()),
    };
    let (broker, peer) = (broker.clone(), peer.clone());
    // A group may come into being, which is written to the disk.
    Outcome::Blocking(Box::new(move || start(&broker, &peer, header, now)))
}

fn start(broker: &Arc<Broker>, peer: &Arc<dyn Peer>, header: Notification, now: Millis) -> Outcome {
    let place = (&*header.topic, &*header.consumer_group, header.queue_id);
    let checked =
        check_broker(broker).and_then(|()| check_topic_and_group(broker, peer, place, now));
    if let Err(error) = checked {
        let nothing = NotificationResponse { has_msg: false, polling_full: Some(false) };
        return Outcome::Reply(error.answer().with_header(&nothing));
    }
    let born = if header.born_time == 0 { now } else { Millis(header.born_time) };
    let deadline = born.plus(header.poll_time).min(now.plus(header.poll_time));
    let deadline = deadline.plus(-ANSWER_BEFORE_MS);
    let waiting = Waiting { broker: broker.clone(), peer: peer.clone(), header, deadline };
    if waiting.has_messages() {
        return Outcome::Reply(answer(true, false));
    }
    if waiting.header.poll_time <= 0 || deadline < now || broker.is_stopping() {
        return Outcome::Reply(answer(false, false));
    }
    waiting.park()
}

/// A notification that waits for a message.
struct Waiting {
    broker: Arc<Broker>,
    peer: Arc<dyn Peer>,
    header: Notification,
    deadline: Millis,
}

impl Waiting {
    fn place(&self) -> (&str, &str, i32) {
        let Notification { topic, consumer_group, queue_id, .. } = &self.header;
        (topic, consumer_group, (*queue_id).max(-1))
    }

    fn has_messages(&self) -> bool {
        let attempt_id: &Option<ByteString> = &self.header.attempt_id;
        let ordered = (self.header.order == Some(true)).then_some(attempt_id);
        has_messages(&self.broker, self.place(), ordered)
    }

    fn park(self) -> Outcome {
        let polls = &self.broker.pop.notifications;
        let wanted = (self.deadline, Filter::All);
        let has_more = || self.has_messages();
        let parked = park_in(&self.broker, polls, &self.peer, self.place(), wanted, has_more);
        let Some((_, woken)) = parked else { return Outcome::Reply(answer(false, true)) };
        Outcome::Later(Box::pin(async move {
            let why = woken.await;
            let found = self.has_messages();
            if found || why != Woken::Arrival || self.deadline <= self.broker.time_told() {
                return answer(found, false);
            }
            match self.park() {
                Outcome::Later(later) => later.await,
                Outcome::Reply(answer) => answer,
                Outcome::Blocking(_) => answer(false, false),
            }
        }))
    }
}

fn answer(has_msg: bool, full: bool) -> Command {
    let header = NotificationResponse { has_msg, polling_full: Some(full) };
    Command::success().with_header(&header)
}

/// How many pops of a group wait for a queue.
pub fn polling_info(
    broker: &Broker,
    peer: &Arc<dyn Peer>,
    request: &Command,
    now: Millis,
) -> Answer {
    let header: PollingInfo = request.header()?;
    let place = (&*header.topic, &*header.consumer_group, header.queue_id);
    let checked =
        check_broker(broker).and_then(|()| check_topic_and_group(broker, peer, place, now));
    if let Err(error) = checked {
        return Ok(error.answer().with_header(&PollingInfoResponse::default()));
    }
    let waiting = broker.pop.polls.parked_at(place.0, place.1, place.2);
    let polling_num = i32::try_from(waiting).unwrap_or(i32::MAX);
    Ok(Command::success().with_header(&PollingInfoResponse { polling_num }))
}

/// What a pop would give, without taking it.
pub fn peek(broker: &Broker, peer: &Arc<dyn Peer>, request: &Command, now: Millis) -> Answer {
    let header: PeekMessage = request.header()?;
    let place = (&*header.topic, &*header.consumer_group, header.queue_id);
    let checked =
        check_broker(broker).and_then(|()| check_topic_and_group(broker, peer, place, now));
    let topic = match checked {
        Ok((topic, _)) => topic,
        Err(error) => return Ok(error.answer().with_header(&PopMessageResponse::default())),
    };
    let mut peeked = Peeked {
        broker,
        group: &header.consumer_group,
        most: usize::try_from(header.max_msg_nums).unwrap_or(0),
        messages: 0,
        rest: 0,
        body: BytesMut::new(),
    };
    match header.queue_id {
        0.. => peeked.queue(&topic, header.queue_id),
        _ => peeked.topic(&topic),
    }
    if let Some(retry) = retry_topics(broker, &header.topic, &header.consumer_group).first() {
        peeked.topic(retry);
    }
    let (code, status) = match peeked.messages {
        0 => (ResponseCode::PullNotFound, ReadStatus::NoMessageInQueue),
        _ => (ResponseCode::Success, ReadStatus::Found),
    };
    let answer = PopMessageResponse { rest_num: peeked.rest, ..PopMessageResponse::default() };
    let answer = Command::response(code).with_header(&answer).with_remark(status.name());
    Ok(answer.with_body(peeked.body.freeze()))
}

struct Peeked<'a> {
    broker: &'a Broker,
    group: &'a str,
    most: usize,
    messages: usize,
    rest: i64,
    body: BytesMut,
}

impl Peeked<'_> {
    fn topic(&mut self, topic: &Topic) {
        let queues = topic.config.read_queue_nums;
        let turn = self.broker.any_queue(queues);
        (0..queues).for_each(|queue| self.queue(topic, (turn + queue) % queues));
    }

    fn queue(&mut self, topic: &Topic, queue: i32) {
        let (broker, name) = (self.broker, &*topic.config.topic_name);
        let Some(queue_id) = broker.queue(name, queue) else { return };
        let committed = broker.offsets.committed(self.group, name, queue);
        let offset = committed.unwrap_or_else(|| min_of(broker, name, queue));
        self.rest += max_of(broker, name, queue).saturating_sub(offset);
        if self.messages >= self.most {
            return;
        }
        let limits = ReadLimits { max_messages: (self.most - self.messages) as u32 };
        let read_at = |offset| broker.store.read(name, queue_id, offset, limits, &mut |_| true);
        let mut read = read_at(offset);
        if matches!(read.status, ReadStatus::OffsetTooSmall | ReadStatus::OffsetOverflowBadly) {
            read = read_at(read.next_offset);
        }
        self.messages += read.count as usize;
        self.body.extend_from_slice(&read.body);
    }
}
