//! One try of a pop: from each queue it may look into, as much as there is and fits.

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use skua_protocol::properties::{self, PropertiesEditor};
use skua_protocol::record::{NewRecord, Record, stamp};
use skua_protocol::request::PopMessageResponse;
use skua_protocol::{Command, Millis, PhysicalOffset, QueueId, QueueOffset, ResponseCode};
use skua_store::{AppendError, Entry, KeepMore, KeepRecord, Read, ReadLimits, ReadStatus};

use super::{Pop, retry_topics};
use crate::broker::{Broker, Moved};
use crate::names::RETRY_PREFIX;
use crate::pop::order::OrderedPop;
use crate::pop::receipt::{ORDERED, Receipt, Texts};
use crate::pop::record::{self, CheckPoint, Outgoing};
use crate::request::error::RequestError;
use crate::request::offset::{max_of, min_of};
use crate::topic_table::Topic;

/// `init_mode`: a new group starts at the queue's first message.
const INIT_MIN: i32 = 0;

/// What an attempt found.
pub struct Attempt {
    header: PopMessageResponse,
    texts: Texts,
    bodies: Vec<Bytes>,
    messages: usize,
    rest: i64,
    /// Somebody else pops from a queue just now.
    pub busy: bool,
    /// What is in a queue could not be read without waiting for the disk.
    pub needs_disk: bool,
    /// Whether it may wait; if not, it runs where arrivals are announced right after.
    may_block: bool,
    failed: Option<AppendError>,
    /// End of the last check point in the log.
    end: Option<PhysicalOffset>,
    ordered: bool,
}

impl Attempt {
    pub fn is_final(&self) -> bool {
        self.messages > 0 || self.failed.is_some()
    }

    pub fn answer(self) -> (Command, Option<PhysicalOffset>) {
        let found = self.messages > 0;
        if let (false, Some(error)) = (found, self.failed) {
            let answer = RequestError::Append(error).answer();
            return (answer.with_header(&PopMessageResponse::default()), None);
        }
        let header = PopMessageResponse {
            rest_num: self.rest,
            start_offset_info: Some(self.texts.start_offsets.into()),
            msg_offset_info: Some(self.texts.message_offsets.into()),
            order_count_info: self.ordered.then(|| self.texts.order_counts.into()),
            ..self.header
        };
        let (code, remark) = if found {
            (ResponseCode::Success, ReadStatus::Found)
        } else {
            (ResponseCode::PollingTimeout, ReadStatus::NoMessageInQueue)
        };
        let body = match <[Bytes; 1]>::try_from(self.bodies) {
            Ok([body]) => body,
            Err(bodies) => {
                let mut all = BytesMut::with_capacity(bodies.iter().map(Bytes::len).sum());
                bodies.iter().for_each(|body| all.extend_from_slice(body));
                all.freeze()
            }
        };
        let answer = Command::response(code).with_header(&header).with_remark(remark.name());
        (answer.with_body(body), self.end)
    }

    pub fn full(self) -> (Command, Option<PhysicalOffset>) {
        let (answer, end) = self.answer();
        (Command { code: ResponseCode::PollingFull as i32, ..answer }, end)
    }
}

pub fn attempt(broker: &Broker, pop: &Pop, may_block: bool, now: Millis) -> Attempt {
    let settings = broker.settings();
    let revive_queue = if pop.ordered {
        ORDERED
    } else {
        broker.pop.next_revive_queue(settings.broker.revive_queue_num)
    };
    let mut attempt = Attempt {
        header: PopMessageResponse {
            pop_time: now.0,
            invisible_time: pop.invisible_time,
            revive_qid: revive_queue,
            ..PopMessageResponse::default()
        },
        texts: Texts::default(),
        bodies: Vec::new(),
        messages: 0,
        rest: 0,
        busy: false,
        needs_disk: false,
        may_block,
        failed: None,
        end: None,
        ordered: pop.ordered,
    };
    // Where to begin, and whether with what is retried: by turns.
    let turn = broker.any_queue(100);
    let retry_first = turn < settings.broker.pop_from_retry_probability;
    let mut retries = retry_topics(broker, pop.topic_name(), pop.group_name());
    // Java's clients tell the two forms apart; each pop looks into one of them.
    if let ([_, _], 0) = (&retries[..], turn % 2) {
        retries.swap(0, 1);
    }
    let retry = retries.first().filter(|_| !pop.ordered);
    if let (Some(retry), true) = (retry, retry_first) {
        from_topic(broker, pop, retry, turn, &mut attempt, now);
    }
    match pop.queue {
        Some(queue) => from_queue(broker, pop, &pop.topic, queue, &mut attempt, now),
        None => from_topic(broker, pop, &pop.topic, turn, &mut attempt, now),
    }
    if let (Some(retry), false) = (retry, retry_first || attempt.messages >= pop.max_messages) {
        from_topic(broker, pop, retry, turn, &mut attempt, now);
    }
    if attempt.messages > 0 && attempt.rest > 0 {
        let (topic, group, queue) = pop.place();
        broker.pop.polls.more(topic, group, queue);
    }
    attempt
}

fn from_topic(
    broker: &Broker,
    pop: &Pop,
    topic: &Topic,
    turn: i32,
    attempt: &mut Attempt,
    now: Millis,
) {
    let queues = topic.config.read_queue_nums;
    for queue in 0..queues {
        from_queue(broker, pop, topic, (turn + queue) % queues, attempt, now);
    }
}

fn from_queue(
    broker: &Broker,
    pop: &Pop,
    topic: &Topic,
    queue: i32,
    attempt: &mut Attempt,
    now: Millis,
) {
    let (name, group) = (&*topic.config.topic_name, pop.group_name());
    let Some(queue_id) = broker.queue(name, queue) else { return };
    let rest = |offset: i64| max_of(broker, name, queue).saturating_sub(offset).max(0);
    let Some(_guard) = broker.pop.try_lock_queue(name, group, queue) else {
        attempt.busy = true;
        return;
    };
    if is_full(broker, name, group, queue) {
        attempt.rest += rest(offset_of(broker, name, group, queue, pop.init_mode));
        return;
    }
    let mut offset = match broker.offsets.take_reset(group, name, queue) {
        Some(offset) => {
            broker.pop.orders.clear(name, group, queue);
            broker.offsets.commit(group, name, queue, offset, now);
            offset
        }
        None => first_offset(broker, name, group, queue, pop.init_mode, now),
    };
    broker.wake_to_save_offsets(now);
    if pop.ordered {
        let attempt_id = pop.attempt_id.as_deref();
        let invisible_time = pop.invisible_time;
        if broker.pop.orders.blocks(name, group, queue, attempt_id, invisible_time, now) {
            return;
        }
    }
    if attempt.messages >= pop.max_messages || attempt.failed.is_some() {
        attempt.rest += rest(offset);
        return;
    }
    let may_block = attempt.may_block;
    let limits = ReadLimits { max_messages: (pop.max_messages - attempt.messages) as u32 };
    let read_at = |offset| {
        let filter = &pop.filter;
        let keep = &mut |entry: &Entry| filter.takes(entry.tags_code);
        let mut record = |record: &Record<'_>| filter.takes_record(record.properties());
        let record: Option<KeepRecord<'_>> = filter.looks_at_records().then_some(&mut record);
        let more = KeepMore { record, bits: None };
        let store = &broker.store;
        if may_block {
            Some(store.read_where(name, queue_id, offset, limits, keep, more))
        } else {
            store.read_cached(name, queue_id, offset, limits, keep, more)
        }
    };
    let Some(mut read) = read_at(offset) else {
        attempt.needs_disk = true;
        attempt.rest += rest(offset);
        return;
    };
    if matches!(
        read.status,
        ReadStatus::OffsetTooSmall | ReadStatus::OffsetOverflowBadly | ReadStatus::OffsetFoundNull
    ) {
        tracing::warn!(
            topic = name,
            group,
            queue,
            offset,
            to = read.next_offset,
            "a pop is sent to another offset"
        );
        offset = read.next_offset;
        broker.offsets.commit(group, name, queue, offset, now);
        let Some(again) = read_at(offset) else {
            attempt.needs_disk = true;
            attempt.rest += rest(offset);
            return;
        };
        read = again;
    }
    match read.status {
        ReadStatus::Found => {
            let place = (name, queue);
            if let Err(error) = take(broker, pop, place, (offset, &read), attempt, now) {
                tracing::warn!(%error, topic = name, group, queue, "no check point, no messages");
                attempt.failed = Some(error);
                attempt.rest += rest(offset);
                return;
            }
        }
        ReadStatus::NoMatchedMessage
        | ReadStatus::OffsetFoundNull
        | ReadStatus::MessageWasRemoving
        | ReadStatus::NoMatchedLogicQueue => {
            if read.next_offset != offset {
                broker.offsets.commit(group, name, queue, read.next_offset, now);
            }
        }
        ReadStatus::OffsetOverflowBadly
        | ReadStatus::OffsetOverflowOne
        | ReadStatus::OffsetTooSmall
        | ReadStatus::NoMessageInQueue
        | ReadStatus::OffsetReset => {}
    }
    attempt.rest += read.max_offset.saturating_sub(read.next_offset).max(0);
}

/// Makes what was read the pop's: check point, then offset, then the answer.
fn take(
    broker: &Broker,
    pop: &Pop,
    (topic, queue): (&str, i32),
    (start, read): (i64, &Read),
    attempt: &mut Attempt,
    now: Millis,
) -> Result<(), AppendError> {
    let group = pop.group_name();
    let mut offsets = Vec::with_capacity(read.count as usize);
    let mut rest = &read.body[..];
    while let Ok(record) = Record::parse(rest) {
        rest = &rest[record.size()..];
        offsets.push(record.queue_offset());
    }
    if pop.ordered {
        let popped = OrderedPop {
            attempt_id: pop.attempt_id.as_deref(),
            pop_time: now,
            invisible_time: pop.invisible_time,
            offsets: &offsets,
        };
        let counts = broker.pop.orders.popped(topic, group, queue, &popped, now);
        attempt.texts.add_counts(topic, queue, &counts.each, counts.least);
        broker.offsets.commit(group, topic, queue, start, now);
        if let Some(at) = now.0.checked_add(pop.invisible_time) {
            broker.wake_at(Millis(at));
        }
    } else {
        let place = (broker.name(), topic, group, queue);
        let check_point = CheckPoint::of(place, start, &offsets, now.0, pop.invisible_time);
        let revive_queue = attempt.header.revive_qid;
        let end = broker.append_pop_entries(
            revive_queue,
            &[record::Entry::CheckPoint(check_point)],
            !attempt.may_block,
            now,
        )?;
        attempt.end = Some(end);
        broker.offsets.commit(group, topic, queue, read.next_offset, now);
    }
    attempt.texts.add(topic, queue, start, &offsets);
    attempt.messages += offsets.len();
    broker.counters.get(offsets.len() as u32, now);
    let messages = offsets.len() as u64;
    let got = Moved { queue, messages, bytes: read.body.len() as u64 };
    if let Some(topic) = broker.topics.get(topic) {
        broker.count_got(&topic, group, got, now);
    }
    let most = broker.settings().broker.max_messages_per_second_of_group;
    broker.limits.got(group, offsets.len() as u32, most, now);

    let shows_retry_topic = broker.settings().broker.pop_response_return_actual_retry_topic;
    if shows_retry_topic || !topic.starts_with(RETRY_PREFIX) {
        attempt.bodies.push(read.body.clone());
    } else {
        let receipt = Receipt {
            start_offset: start,
            pop_time: now.0,
            invisible_time: pop.invisible_time,
            revive_queue: attempt.header.revive_qid,
            broker_name: broker.name().to_owned(),
        };
        let original = |record: &Record<'_>| {
            under_its_topic(
                record,
                pop.topic_name(),
                &receipt.text(topic, queue, record.queue_offset()),
            )
        };
        let mut rest = &read.body[..];
        while let Ok(record) = Record::parse(rest) {
            rest = &rest[record.size()..];
            attempt.bodies.push(original(&record).into());
        }
    }
    Ok(())
}

/// A retried message as clients get it: from the topic they asked for, with its receipt, which
/// they could not make themselves then.
fn under_its_topic(record: &Record<'_>, topic: &str, receipt: &str) -> Vec<u8> {
    let mut properties = PropertiesEditor::from(record.properties());
    if properties.get(properties::POP_CK).is_none() {
        properties.set(properties::POP_CK, receipt);
    }
    let properties = properties.encode();
    let message = NewRecord {
        topic,
        queue_id: QueueId(record.queue_id() as u32),
        flag: record.flag(),
        sys_flag: record.sys_flag(),
        born_timestamp: record.born_timestamp(),
        born_host: record.born_host(),
        store_host: record.store_host(),
        reconsume_times: record.reconsume_times(),
        prepared_transaction_offset: record.prepared_transaction_offset(),
        body: record.body(),
        properties: properties.as_bytes(),
    };
    let mut bytes = Vec::with_capacity(message.encoded_len());
    if message.encode(&mut bytes).is_err() {
        // With its receipt it is too long: as it is, then.
        return record.bytes().to_vec();
    }
    let queue_offset = QueueOffset(record.queue_offset() as u64);
    let physical_offset = PhysicalOffset(record.physical_offset() as u64);
    stamp(&mut bytes, queue_offset, physical_offset, record.store_timestamp());
    bytes
}

/// Whether the group has so many messages of the queue in flight that it gets no more.
fn is_full(broker: &Broker, topic: &str, group: &str, queue: i32) -> bool {
    let settings = broker.settings();
    settings.broker.enable_pop_message_threshold
        && broker.pop.in_flight(topic, group, queue) as i64
            > settings.broker.pop_inflight_message_threshold
}

/// Where the group goes on; a new one's start is committed.
pub fn first_offset(
    broker: &Broker,
    topic: &str,
    group: &str,
    queue: i32,
    init_mode: i32,
    now: Millis,
) -> i64 {
    if let Some(committed) = broker.offsets.committed(group, topic, queue).filter(|&o| o >= 0) {
        return committed;
    }
    let start = offset_of(broker, topic, group, queue, init_mode);
    broker.offsets.commit(group, topic, queue, start, now);
    start
}

/// Where the group goes on or, if it is new, would start.
fn offset_of(broker: &Broker, topic: &str, group: &str, queue: i32, init_mode: i32) -> i64 {
    if let Some(committed) = broker.offsets.committed(group, topic, queue).filter(|&o| o >= 0) {
        return committed;
    }
    let min = min_of(broker, topic, queue);
    if init_mode == INIT_MIN || topic.starts_with(RETRY_PREFIX) {
        return min;
    }
    let by_memory = broker.settings().broker.init_pop_offset_by_check_msg_in_mem;
    let in_memory = |id| broker.store.in_memory(topic, id, QueueOffset(0));
    if by_memory && min <= 0 && broker.queue(topic, queue).is_some_and(in_memory) {
        return 0;
    }
    // Java: the last message is popped, so that the group's offset is known from then on.
    (max_of(broker, topic, queue) - 1).max(0)
}

/// Whether a group may find something in a queue, in all of them, or in its retry topics.
pub fn has_messages(
    broker: &Broker,
    (topic, group, queue): (&str, &str, i32),
    ordered: Option<&Option<ByteString>>,
) -> bool {
    let now = broker.time_told();
    let in_queue = |topic: &str, queue: i32| {
        if let Some(attempt_id) = ordered
            && broker.pop.orders.blocks(topic, group, queue, attempt_id.as_deref(), 0, now)
        {
            return false;
        }
        let offset = offset_of(broker, topic, group, queue, INIT_MIN);
        max_of(broker, topic, queue) > offset && !is_full(broker, topic, group, queue)
    };
    let in_topic = |topic: &Topic| {
        let queues = topic.config.read_queue_nums;
        (0..queues).any(|queue| in_queue(&topic.config.topic_name, queue))
    };
    let own = match queue {
        0.. => in_queue(topic, queue),
        _ => broker.topics.get(topic).is_some_and(|topic| in_topic(&topic)),
    };
    own || ordered.is_none()
        && retry_topics(broker, topic, group).iter().any(|topic| in_topic(topic))
}

impl Broker {
    /// Puts entries into a queue of the revive topic; returns where they end in the log. On a
    /// connection's task arrivals are announced right after its answers.
    pub(crate) fn append_pop_entries(
        &self,
        revive_queue: i32,
        entries: &[record::Entry],
        on_connection: bool,
        now: Millis,
    ) -> Result<PhysicalOffset, AppendError> {
        let outgoing = Outgoing::new(entries, now);
        let queue = self.pop.revive_queue(revive_queue).unwrap_or(QueueId(0));
        let topic = &self.pop.revive_topic;
        let records: Vec<_> = outgoing.records(topic, queue, self.store_host(), now).collect();
        let receipts = match on_connection {
            true => self.store.append_batch_only(&records, now)?,
            false => self.store.append_batch(&records, now)?,
        };
        Ok(receipts.last().map_or(PhysicalOffset(0), |receipt| receipt.end))
    }
}
