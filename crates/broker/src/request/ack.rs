//! Acknowledging popped messages: 200051, 200151, and changing when they are visible again:
//! 200053.

use std::sync::Arc;

use bytestring::ByteString;
use skua_protocol::body::{BatchAck, BatchAckBody};
use skua_protocol::request::{
    AckMessage, ChangeMessageInvisibleTime, ChangeMessageInvisibleTimeResponse,
};
use skua_protocol::service::{Outcome, Peer};
use skua_protocol::{Command, Millis, PhysicalOffset, ResponseCode, json};

use super::error::RequestError;
use super::lite;
use super::offset::{max_of, min_of};
use super::{blocking, reply};
use crate::broker::Broker;
use crate::names;
use crate::pop::order::Acked;
use crate::pop::receipt::{ORDERED, Receipt, real_topic};
use crate::pop::record::{Ack, Entry, changed};

/// Most messages that one item of a batch may acknowledge.
const BATCH_MAX: usize = 4096;

pub fn ack(broker: &Arc<Broker>, peer: &Arc<dyn Peer>, request: &Command, now: Millis) -> Outcome {
    let header: AckMessage = match request.header() {
        Ok(header) => header,
        Err(error) => return reply(Err(error.into())),
    };
    if let Err(error) = check_queue(broker, peer, &header.topic, header.queue_id) {
        return reply(Err(error));
    }
    if let Some(name) = lite_topic(&header.lite_topic) {
        let broker = broker.clone();
        return blocking(move || lite::ack(&broker, &header, &name, now));
    }
    let receipt = match checked_ack(broker, &header) {
        Ok(receipt) => receipt,
        Err(error) => return reply(Err(error)),
    };
    if receipt.is_ordered() {
        let (broker, peer) = (broker.clone(), peer.clone());
        return blocking(move || {
            let place = (&*header.topic, &*header.consumer_group, header.queue_id);
            ack_ordered(&broker, &peer, place, header.offset, receipt.pop_time, now)?;
            Ok(Command::success())
        });
    }
    let ack = Ack {
        offset: header.offset,
        offsets: None,
        invisible_time: foreign(broker, receipt.pop_time, receipt.invisible_time),
        broker_name: receipt.broker_name,
        group: header.consumer_group.to_string(),
        pop_time: receipt.pop_time,
        queue_id: header.queue_id,
        start_offset: receipt.start_offset,
        topic: header.topic.to_string(),
    };
    match append(broker, receipt.revive_queue, &[Entry::Ack(ack)], true, now) {
        Ok(end) => broker.when_kept(end, Command::success()),
        Err(error) => reply(Err(error)),
    }
}

fn checked_ack(broker: &Broker, header: &AckMessage) -> Result<Receipt, RequestError> {
    let (min, max) = bounds(broker, &header.topic, header.queue_id);
    if header.offset < min || header.offset > max {
        return Err(RequestError::AckOffset {
            topic: names::shown(&header.topic),
            queue: header.queue_id,
            offset: header.offset,
            min,
            max,
        });
    }
    Ok(Receipt::parse(&header.extra_info)?)
}

/// The lite topic that a request names, if it does.
fn lite_topic(given: &Option<ByteString>) -> Option<ByteString> {
    given.clone().filter(|name| !name.trim().is_empty())
}

fn check_queue(
    broker: &Broker,
    peer: &Arc<dyn Peer>,
    topic: &str,
    queue: i32,
) -> Result<(), RequestError> {
    let found =
        broker.topics.get(topic).ok_or_else(|| RequestError::NoTopicToPull(names::shown(topic)))?;
    let queues = found.config.read_queue_nums;
    if queue < 0 || queue >= queues {
        let (topic, peer) = (topic.to_owned(), peer.remote_addr());
        return Err(RequestError::AckQueue { queue, topic, queues, peer });
    }
    Ok(())
}

fn bounds(broker: &Broker, topic: &str, queue: i32) -> (i64, i64) {
    (min_of(broker, topic, queue), max_of(broker, topic, queue))
}

/// The invisible time of what was popped before this broker began, perhaps from Java's.
fn foreign(broker: &Broker, pop_time: i64, invisible_time: i64) -> Option<i64> {
    (pop_time < broker.started().0).then_some(invisible_time)
}

fn append(
    broker: &Broker,
    revive_queue: i32,
    entries: &[Entry],
    on_connection: bool,
    now: Millis,
) -> Result<PhysicalOffset, RequestError> {
    if broker.pop.revive_queue(revive_queue).is_none() {
        return Err(RequestError::ReviveQueue(revive_queue));
    }
    Ok(broker.append_pop_entries(revive_queue, entries, on_connection, now)?)
}

/// What is acknowledged of an ordered queue is the group's offset; others may pop then.
fn ack_ordered(
    broker: &Broker,
    peer: &Arc<dyn Peer>,
    (topic, group, queue): (&str, &str, i32),
    offset: i64,
    pop_time: i64,
    now: Millis,
) -> Result<(), RequestError> {
    let committed = || broker.offsets.committed(group, topic, queue).unwrap_or(-1);
    if offset < committed() {
        return Ok(());
    }
    let _guard = broker.pop.lock_queue(topic, group, queue);
    let before = committed();
    if offset < before {
        return Ok(());
    }
    match broker.pop.orders.ack(topic, group, queue, offset, pop_time) {
        Acked::Commit(next) => {
            if !broker.offsets.is_reset(group, topic, queue) {
                broker.offsets.commit(group, topic, queue, next, now);
            }
            broker.wake_to_save_offsets(now);
            if !broker.pop.orders.blocks(topic, group, queue, None, 0, now) {
                broker.wake_pops(topic, group, queue);
            }
            Ok(())
        }
        Acked::Stale => Ok(()),
        Acked::Unknown => Err(RequestError::AckOrder {
            key: format!("{topic}@{group}@{queue}"),
            old: before,
            offset,
            peer: peer.remote_addr(),
        }),
    }
}

pub fn batch_ack(
    broker: &Arc<Broker>,
    peer: &Arc<dyn Peer>,
    request: &Command,
    now: Millis,
) -> Outcome {
    if request.body.is_empty() {
        return Outcome::Reply(Command::response(ResponseCode::NoMessage));
    }
    let batch: BatchAckBody = match json::from_slice(&request.body) {
        Ok(batch) => batch,
        Err(error) => return reply(Err(RequestError::from(error))),
    };
    if batch.acks.is_empty() {
        return Outcome::Reply(Command::response(ResponseCode::NoMessage));
    }
    let (broker, peer) = (broker.clone(), peer.clone());
    let all = move || {
        let mut end = None;
        for item in &batch.acks {
            match ack_item(&broker, &peer, &batch.broker_name, item, now) {
                Ok(appended) => end = appended.or(end),
                Err(error) => return reply(Err(error)),
            }
        }
        match end {
            Some(end) => broker.when_kept(end, Command::success()),
            None => reply(Ok(Command::success())),
        }
    };
    Outcome::Blocking(Box::new(all))
}

/// Offsets that are not in the queue count for nothing.
fn ack_item(
    broker: &Broker,
    peer: &Arc<dyn Peer>,
    broker_name: &str,
    item: &BatchAck,
    now: Millis,
) -> Result<Option<PhysicalOffset>, RequestError> {
    let topic = real_topic(&item.topic, &item.consumer_group, &item.retry)
        .ok_or_else(|| RequestError::RetryKind(names::shown(&item.retry)))?;
    let (min, max) = bounds(broker, &topic, item.queue_id);
    let bits = bits(&item.bit_set)?;
    let offsets = bits.iter().map(|&bit| item.start_offset.saturating_add(bit));
    let offsets: Vec<i64> = offsets.filter(|offset| (min..=max).contains(offset)).collect();
    if offsets.is_empty() || !broker.topics.contains(&topic) {
        return Ok(None);
    }
    if item.revive_queue_id == ORDERED {
        for offset in offsets {
            let place = (&*topic, &*item.consumer_group, item.queue_id);
            ack_ordered(broker, peer, place, offset, item.pop_time, now)?;
        }
        return Ok(None);
    }
    let ack = Ack {
        offset: -1,
        offsets: Some(offsets),
        invisible_time: foreign(broker, item.pop_time, item.invisible_time),
        broker_name: broker_name.to_owned(),
        group: item.consumer_group.clone(),
        pop_time: item.pop_time,
        queue_id: item.queue_id,
        start_offset: item.start_offset,
        topic,
    };
    append(broker, item.revive_queue_id, &[Entry::Ack(ack)], false, now).map(Some)
}

/// Set bits of a little-endian bit set in base64.
fn bits(text: &str) -> Result<Vec<i64>, RequestError> {
    let bad = || RequestError::BitSet(names::shown(text));
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    };
    let mut bits = Vec::new();
    let (mut pool, mut pooled, mut bytes) = (0u32, 0, 0i64);
    for byte in text.trim_end_matches('=').bytes() {
        pool = pool << 6 | u32::from(value(byte).ok_or_else(bad)?);
        pooled += 6;
        if pooled >= 8 {
            pooled -= 8;
            let byte = (pool >> pooled) as u8;
            bits.extend((0..8).filter(|bit| byte & (1 << bit) != 0).map(|bit| bytes * 8 + bit));
            bytes += 1;
            if bits.len() > BATCH_MAX {
                return Err(bad());
            }
        }
    }
    Ok(bits)
}

pub fn change_invisible_time(
    broker: &Arc<Broker>,
    peer: &Arc<dyn Peer>,
    request: &Command,
    now: Millis,
) -> Outcome {
    let refuse = |error: RequestError| {
        let header = ChangeMessageInvisibleTimeResponse::default();
        Outcome::Reply(error.answer().with_header(&header))
    };
    let header: ChangeMessageInvisibleTime = match request.header() {
        Ok(header) => header,
        Err(error) => return reply(Err(error.into())),
    };
    if let Err(error) = check_queue(broker, peer, &header.topic, header.queue_id) {
        return refuse(error);
    }
    if let Some(name) = lite_topic(&header.lite_topic) {
        let broker = broker.clone();
        return blocking(move || lite::change_invisible_time(&broker, &header, &name, now));
    }
    let (min, max) = bounds(broker, &header.topic, header.queue_id);
    if header.offset < min || header.offset >= max {
        let nothing = ChangeMessageInvisibleTimeResponse::default();
        return Outcome::Reply(Command::response(ResponseCode::NoMessage).with_header(&nothing));
    }
    let receipt = match Receipt::parse(&header.extra_info) {
        Ok(receipt) => receipt,
        Err(error) => return reply(Err(error.into())),
    };
    if receipt.is_ordered() {
        let broker = broker.clone();
        return blocking(move || Ok(change_ordered(&broker, &header, &receipt, now)));
    }
    let place = (&*header.topic, &*header.consumer_group, header.queue_id, header.offset);
    let suspend = header.suspend == Some(true);
    let invisible_time = foreign(broker, receipt.pop_time, receipt.invisible_time);
    let (mut entries, receipt) = changed(place, &receipt, header.invisible_time, suspend, now);
    if let [_, Entry::Ack(ack)] = &mut entries {
        ack.invisible_time = invisible_time;
    }
    let answer = ChangeMessageInvisibleTimeResponse {
        pop_time: receipt.pop_time,
        invisible_time: receipt.invisible_time,
        revive_qid: receipt.revive_queue,
    };
    match append(broker, receipt.revive_queue, &entries, true, now) {
        Ok(end) => broker.when_kept(end, Command::success().with_header(&answer)),
        Err(error) => refuse(error),
    }
}

fn change_ordered(
    broker: &Broker,
    header: &ChangeMessageInvisibleTime,
    receipt: &Receipt,
    now: Millis,
) -> Command {
    let (topic, group, queue) = (&*header.topic, &*header.consumer_group, header.queue_id);
    let nothing = || Command::success().with_header(&ChangeMessageInvisibleTimeResponse::default());
    let is_past = || header.offset < broker.offsets.committed(group, topic, queue).unwrap_or(-1);
    if is_past() {
        return nothing();
    }
    let _guard = broker.pop.lock_queue(topic, group, queue);
    if is_past() {
        return nothing();
    }
    let visible_at = now.plus(header.invisible_time);
    let orders = &broker.pop.orders;
    orders.change(topic, group, queue, header.offset, receipt.pop_time, visible_at);
    broker.wake_to_save_offsets(now);
    broker.wake_at(visible_at);
    Command::success().with_header(&ChangeMessageInvisibleTimeResponse {
        pop_time: receipt.pop_time,
        invisible_time: visible_at.since(Millis(receipt.pop_time)),
        revive_qid: receipt.revive_queue,
    })
}

#[cfg(test)]
mod tests;
