//! Pops of lite topics: 200070, and what 200051 and 200053 do for them.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use skua_protocol::body::{PERM_READ, SubscriptionGroupConfig};
use skua_protocol::request::{
    AckMessage, ChangeMessageInvisibleTime, ChangeMessageInvisibleTimeResponse, PopLiteMessage,
    PopLiteMessageResponse,
};
use skua_protocol::service::{Outcome, Peer};
use skua_protocol::{Command, Millis, QueueId, ResponseCode};
use skua_store::{Read, ReadLimits, ReadStatus};

use crate::broker::{Broker, Moved};
use crate::filter::Filter;
use crate::lite::board::Outlook;
use crate::lite::{self, QUEUE, REVIVE_QUEUE};
use crate::long_poll::Woken;
use crate::names;
use crate::pop::order::{Acked, Counts, OrderedPop};
use crate::pop::polls::{ANY_QUEUE, Ticket};
use crate::pop::receipt::Receipt;
use crate::pop::record::MESSAGES_MAX;
use crate::request::error::RequestError;
use crate::request::pop::{first_offset, park_in};
use crate::topic_table::Topic;
use crate::waiting::Taker;

/// A request this much older than it was to wait is not served any more.
const LATE_MS: i64 = 500;
/// A waiting pop is answered this much before its client gives up.
const ANSWER_BEFORE_MS: i64 = 50;
/// How soon to try again when another pops the same lite topic.
const BUSY_MS: i64 = 2;
/// A group that has committed nothing begins at the last message, unless the lite topic's first
/// is still in memory (Java: `ConsumeInitMode.MAX`).
const INIT_MAX: i32 = 1;

/// A checked pop.
struct Pop {
    client: ByteString,
    group: Arc<SubscriptionGroupConfig>,
    topic: Arc<Topic>,
    max_messages: usize,
    invisible_time: i64,
    attempt_id: Option<ByteString>,
    deadline: Option<Millis>,
}

impl Pop {
    fn place(&self) -> (&str, &str, i32) {
        (&self.client, &self.group.group_name, ANY_QUEUE)
    }
}

/// What an attempt found.
#[derive(Default)]
struct Attempt {
    bodies: Vec<Bytes>,
    counts: String,
    messages: usize,
    busy: bool,
}

impl Attempt {
    fn answer(self, pop: &Pop, empty: ResponseCode, now: Millis) -> Command {
        let header = PopLiteMessageResponse {
            pop_time: now.0,
            invisible_time: pop.invisible_time,
            revive_qid: REVIVE_QUEUE,
            order_count_info: Some(self.counts.into()),
            ..PopLiteMessageResponse::default()
        };
        let (code, status) = match self.messages {
            0 => (empty, ReadStatus::NoMessageInQueue),
            _ => (ResponseCode::Success, ReadStatus::Found),
        };
        let mut body = BytesMut::with_capacity(self.bodies.iter().map(Bytes::len).sum());
        self.bodies.iter().for_each(|part| body.extend_from_slice(part));
        let answer = Command::response(code).with_header(&header).with_remark(status.name());
        answer.with_body(body.freeze())
    }
}

pub fn pop(broker: &Arc<Broker>, peer: &Arc<dyn Peer>, request: &Command, now: Millis) -> Outcome {
    let header: PopLiteMessage = match request.header() {
        Ok(header) => header,
        Err(error) => return Outcome::Reply(RequestError::from(error).answer()),
    };
    let (broker, peer) = (broker.clone(), peer.clone());
    Outcome::Blocking(Box::new(move || match check(&broker, &header, now) {
        Ok(pop) => start(broker, peer, pop, now),
        Err(error) => {
            Outcome::Reply(error.answer().with_header(&PopLiteMessageResponse::default()))
        }
    }))
}

fn check(broker: &Broker, header: &PopLiteMessage, now: Millis) -> Result<Pop, RequestError> {
    let born = if header.born_time == 0 { now } else { Millis(header.born_time) };
    if now.since(born).saturating_sub(header.poll_time) > LATE_MS {
        return Err(RequestError::PopTooLate { ip: broker.ip() });
    }
    if broker.settings().broker.broker_permission & PERM_READ == 0 {
        return Err(RequestError::PopForbidden { ip: broker.ip(), what: "pop" });
    }
    if header.max_msg_num > MESSAGES_MAX as i32 {
        return Err(RequestError::LitePopTooMany { ip: broker.ip() });
    }
    let topic = &*header.topic;
    let shown = || names::shown(topic);
    let found = broker.topics.get(topic).ok_or_else(|| RequestError::NoTopicToPop(shown()))?;
    if !found.config.is_readable() {
        return Err(RequestError::TopicNotPeekable(shown()));
    }
    if !lite::is_parent(&found) {
        return Err(RequestError::NotParentToPop(shown()));
    }
    let group = &*header.consumer_group;
    let config = broker
        .groups
        .find(group, broker.auto_create_groups(), now)?
        .ok_or_else(|| RequestError::NoGroupToPop(names::shown(group)))?;
    if !config.consume_enable {
        return Err(RequestError::GroupNotReadable(group.to_owned()));
    }
    if lite::bound_topic(&config) != Some(topic) {
        return Err(RequestError::LiteBoundElsewhere(names::shown(group)));
    }
    let most = broker.settings().broker.max_messages_per_second_of_group;
    broker.limits.may_get(group, most, now).map_err(RequestError::LimitedPull)?;
    let deadline = born.plus(header.poll_time).min(now.plus(header.poll_time));
    let waits = header.poll_time > 0 && !broker.is_stopping();
    Ok(Pop {
        client: header.client_id.clone(),
        group: config,
        topic: found,
        max_messages: usize::try_from(header.max_msg_num).unwrap_or(0),
        invisible_time: header.invisible_time,
        attempt_id: header.attempt_id.clone(),
        deadline: waits.then(|| deadline.plus(-ANSWER_BEFORE_MS)),
    })
}

fn start(broker: Arc<Broker>, peer: Arc<dyn Peer>, pop: Pop, now: Millis) -> Outcome {
    let first = attempt(&broker, &pop, now);
    let answer = |attempt: Attempt, empty| Outcome::Reply(attempt.answer(&pop, empty, now));
    let Some(deadline) = pop.deadline.filter(|_| first.messages == 0) else {
        return answer(first, ResponseCode::PollingTimeout);
    };
    if deadline < now {
        return answer(first, ResponseCode::PollingTimeout);
    }
    match park(&broker, &peer, &pop, deadline) {
        Some(parked) => Outcome::Later(Box::pin(wait(broker, peer, pop, (deadline, parked)))),
        None => answer(first, ResponseCode::PollingFull),
    }
}

fn park(
    broker: &Broker,
    peer: &Arc<dyn Peer>,
    pop: &Pop,
    deadline: Millis,
) -> Option<(Ticket, Taker<Woken>)> {
    let has_more = || broker.lite.look(|board| board.has_event(&pop.client));
    let polls = &broker.lite.polls;
    park_in(broker, polls, peer, pop.place(), (deadline, Filter::All), has_more)
}

async fn wait(
    broker: Arc<Broker>,
    peer: Arc<dyn Peer>,
    pop: Pop,
    (deadline, parked): (Millis, (Ticket, Taker<Woken>)),
) -> Command {
    let mut parked = Some(parked);
    loop {
        let why = match parked.take() {
            Some((_, woken)) => woken.await,
            None => {
                broker.sleep_until(broker.time_told().plus(BUSY_MS)).await;
                Woken::Arrival
            }
        };
        let now = broker.time_told();
        if why == Woken::Closed {
            return Attempt::default().answer(&pop, ResponseCode::PollingTimeout, now);
        }
        // What woke it was stored just now, so it is read from memory.
        let last = attempt(&broker, &pop, now);
        let over = matches!(why, Woken::Timeout | Woken::Shutdown) || deadline <= now;
        if last.messages > 0 || over {
            return last.answer(&pop, ResponseCode::PollingTimeout, now);
        }
        if last.busy {
            continue;
        }
        parked = park(&broker, &peer, &pop, deadline);
        if parked.is_none() {
            return last.answer(&pop, ResponseCode::PollingFull, now);
        }
    }
}

/// Goes through the client's events, or through all that it subscribes to.
fn attempt(broker: &Broker, pop: &Pop, now: Millis) -> Attempt {
    let mut attempt = Attempt::default();
    let by_events = broker.settings().broker.enable_lite_event_mode;
    if !by_events {
        let queues = broker.lite.look(|board| board.queues(&pop.client)).unwrap_or_default();
        for queue in queues {
            if attempt.messages < pop.max_messages && broker.max_offset(&queue) > 0 {
                from_queue(broker, pop, &queue, &mut attempt, now);
            }
        }
        return attempt;
    }
    let mut seen = HashSet::new();
    while attempt.messages < pop.max_messages {
        let next = broker.with_lite(now, |board, at| board.next_event(&pop.client, at.now));
        let Some(queue) = next else { break };
        if seen.insert(queue.clone()) && !from_queue(broker, pop, &queue, &mut attempt, now) {
            broker.with_lite(now, |board, _| board.put_back(&pop.client, &queue));
            attempt.busy = true;
            break;
        }
    }
    attempt
}

/// False: somebody else is at it just now.
fn from_queue(broker: &Broker, pop: &Pop, queue: &str, attempt: &mut Attempt, now: Millis) -> bool {
    let group = &*pop.group.group_name;
    let Some(_guard) = broker.pop.try_lock_queue(queue, group, QUEUE) else { return false };
    let orders = &broker.lite.orders;
    let id = pop.attempt_id.as_deref();
    if orders.blocks(queue, group, QUEUE, id, pop.invisible_time, now) {
        return true;
    }
    let offset = match broker.offsets.take_reset(group, queue, QUEUE) {
        Some(offset) => {
            orders.clear(queue, group, QUEUE);
            broker.offsets.commit(group, queue, QUEUE, offset, now);
            offset
        }
        None => first_offset(broker, queue, group, QUEUE, INIT_MAX, now),
    };
    broker.wake_to_save_offsets(now);
    let most = pop.max_messages - attempt.messages;
    let read = read(broker, group, queue, (offset, most), now);
    if read.status != ReadStatus::Found {
        return true;
    }
    // The records tell their places in the parent topic; nothing is passed over here.
    let offsets: Vec<i64> = (read.next_offset - i64::from(read.count)..read.next_offset).collect();
    let popped = OrderedPop {
        attempt_id: id,
        pop_time: now,
        invisible_time: pop.invisible_time,
        offsets: &offsets,
    };
    let counts = orders.popped(queue, group, QUEUE, &popped, now);
    add_counts(&mut attempt.counts, &counts, offsets.len());
    if let Some(at) = now.0.checked_add(pop.invisible_time) {
        broker.wake_at(Millis(at));
    }
    attempt.messages += offsets.len();
    broker.counters.get(offsets.len() as u32, now);
    let got = Moved { queue: QUEUE, messages: offsets.len() as u64, bytes: read.body.len() as u64 };
    broker.count_got(&pop.topic, group, got, now);
    let most = broker.settings().broker.max_messages_per_second_of_group;
    broker.limits.got(group, offsets.len() as u32, most, now);
    attempt.bodies.push(read.body);
    true
}

/// Reads on where the queue goes on if the group's offset is not in it.
fn read(
    broker: &Broker,
    group: &str,
    queue: &str,
    (offset, most): (i64, usize),
    now: Millis,
) -> Read {
    let limits = ReadLimits { max_messages: most as u32 };
    let at = |offset| broker.store.read(queue, QueueId(0), offset, limits, &mut |_| true);
    let read = at(offset);
    match read.status {
        ReadStatus::OffsetTooSmall
        | ReadStatus::OffsetOverflowBadly
        | ReadStatus::OffsetFoundNull
        | ReadStatus::NoMatchedMessage
        | ReadStatus::MessageWasRemoving
        | ReadStatus::NoMatchedLogicQueue => {
            tracing::warn!(
                group,
                queue,
                offset,
                to = read.next_offset,
                "a lite topic's offset moves"
            );
            broker.offsets.commit(group, queue, QUEUE, read.next_offset, now);
            at(read.next_offset)
        }
        _ => read,
    }
}

/// As Java's broker tells it: one number for each message, or those that were counted one by one.
fn add_counts(text: &mut String, counts: &Counts, messages: usize) {
    use std::fmt::Write as _;
    let separate = |text: &mut String| {
        if !text.is_empty() {
            text.push(';');
        }
    };
    if counts.each.is_empty() {
        for _ in 0..messages {
            separate(text);
            let _ = write!(text, "{}", counts.least);
        }
    }
    for (offset, count) in &counts.each {
        separate(text);
        let _ = write!(text, "0 qo{QUEUE}%{offset} {count}");
    }
}

/// Acknowledges a message of a lite topic.
pub fn ack(broker: &Broker, header: &AckMessage, lite: &str, now: Millis) -> super::Answer {
    let (topic, group) = (&*header.topic, &*header.consumer_group);
    let config = broker.groups.get(group);
    if config.as_deref().and_then(lite::bound_topic) != Some(topic) {
        return Err(RequestError::LiteAckBinding);
    }
    let queue = lite::queue_name(topic, lite).ok_or(RequestError::LiteAckQueue)?;
    let max = broker.max_offset(&queue);
    if header.offset > max {
        return Err(RequestError::LiteAckOffset { offset: header.offset, max });
    }
    let receipt = Receipt::parse(&header.extra_info)?;
    if header.queue_id != QUEUE || receipt.revive_queue != REVIVE_QUEUE {
        return Err(RequestError::LiteAckQueue);
    }
    let is_past = || header.offset < broker.committed(group, &queue);
    if is_past() {
        return Ok(Command::success());
    }
    let _guard = broker.pop.lock_queue(&queue, group, QUEUE);
    if is_past() {
        return Ok(Command::success());
    }
    let orders = &broker.lite.orders;
    match orders.ack(&queue, group, QUEUE, header.offset, receipt.pop_time) {
        Acked::Commit(next) => {
            if !broker.offsets.is_reset(group, &queue, QUEUE) {
                broker.offsets.commit(group, &queue, QUEUE, next, now);
            }
            broker.wake_to_save_offsets(now);
            if !orders.blocks(&queue, group, QUEUE, None, receipt.invisible_time, now) {
                broker.lite_is_free(&queue, group, now);
            }
            Ok(Command::success())
        }
        Acked::Stale => Ok(Command::success()),
        Acked::Unknown => Err(RequestError::LiteAckUnknown { offset: header.offset }),
    }
}

/// Changes when a message of a lite topic is visible again.
pub fn change_invisible_time(
    broker: &Broker,
    header: &ChangeMessageInvisibleTime,
    lite: &str,
    now: Millis,
) -> super::Answer {
    let nothing = || Command::success().with_header(&ChangeMessageInvisibleTimeResponse::default());
    let group = &*header.consumer_group;
    let queue = lite::queue_name(&header.topic, lite).ok_or(RequestError::LiteAckQueue)?;
    if header.offset > broker.max_offset(&queue) {
        return Ok(Command { code: ResponseCode::NoMessage as i32, ..nothing() });
    }
    let receipt = Receipt::parse(&header.extra_info)?;
    let is_past = || header.offset < broker.committed(group, &queue);
    if is_past() {
        return Ok(nothing());
    }
    let _guard = broker.pop.lock_queue(&queue, group, QUEUE);
    if is_past() {
        return Ok(nothing());
    }
    let visible_at = now.plus(header.invisible_time);
    let orders = &broker.lite.orders;
    if header.suspend == Some(true) {
        orders.suspend(&queue, group, QUEUE, receipt.pop_time, visible_at);
    } else {
        orders.change(&queue, group, QUEUE, header.offset, receipt.pop_time, visible_at);
    }
    broker.wake_at(visible_at);
    Ok(Command::success().with_header(&ChangeMessageInvisibleTimeResponse {
        pop_time: receipt.pop_time,
        invisible_time: visible_at.since(Millis(receipt.pop_time)),
        revive_qid: receipt.revive_queue,
    }))
}
