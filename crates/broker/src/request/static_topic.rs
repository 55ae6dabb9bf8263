//! Static topics: 513, and the way of other requests through the mapping from logical queues to
//! physical ones, which may lie on other brokers.

use std::sync::Arc;

use skua_protocol::body::{TopicConfig, TopicFilterType};
use skua_protocol::request::{
    GetEarliestMsgStoreTimeResponse, PULL_COMMIT_OFFSET, PULL_SUSPEND, PullMessageResponse,
    QueryConsumerOffsetResponse, SearchOffsetByTimestampResponse, UpdateAndCreateStaticTopic,
};
use skua_protocol::service::Outcome;
use skua_protocol::{Command, Millis, RequestCode, ResponseCode, json};
use skua_store::Boundary;

use super::error::RequestError;
use super::offset::offset_at;
use super::{Answer, Call, dispatch, reply};
use crate::broker::Broker;
use crate::names;
use crate::static_topics::{Item, Mapping, item_of, next_item};

/// Makes or changes a static topic's part on this broker.
pub fn update(broker: &Arc<Broker>, request: &Command, now: Millis) -> Outcome {
    match take_up(broker, request, now) {
        Ok(answer) => {
            let registered = broker.topics_changed();
            Outcome::Later(Box::pin(async move {
                registered.await;
                answer
            }))
        }
        Err(error) => reply(Err(error)),
    }
}

fn take_up(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let header: UpdateAndCreateStaticTopic = request.header()?;
    let mapping: Mapping = json::from_slice(&request.body)?;
    let topic = &*header.topic;
    names::check_topic(topic)?;
    if broker.system_topics.contains(topic) {
        return Err(RequestError::SystemTopic(topic.to_owned()));
    }
    broker.static_topics.check(topic, &mapping, header.force == Some(true))?;
    let config = TopicConfig {
        topic_filter_type: TopicFilterType::from_name(&header.topic_filter_type)
            .unwrap_or(TopicFilterType::SingleTag),
        read_queue_nums: header.read_queue_nums,
        write_queue_nums: header.write_queue_nums,
        topic_sys_flag: header.topic_sys_flag.unwrap_or(0),
        ..TopicConfig::new(topic, header.read_queue_nums, header.perm)
    };
    broker.topics.update(vec![config], now)?;
    broker.tell_topics();
    broker.static_topics.set(mapping, now)?;
    Ok(Command::success())
}

/// Serves a request, through the mapping if it is about a logical queue.
pub fn serve(call: &Call<'_>, code: RequestCode, request: Command) -> Outcome {
    let Some((topic, queue)) = fields_of(code) else { return dispatch(call, code, request) };
    let name = request.fields.get(topic);
    let Some(mapping) = name.and_then(|name| call.broker.static_topics.get(name)) else {
        return dispatch(call, code, request);
    };
    // Another broker has been through its mapping already.
    if request.fields.get("lo") == Some("false") {
        return dispatch(call, code, request);
    }
    let number = |field: &str| request.fields.get(field).and_then(|text| text.parse::<i64>().ok());
    let asked = number(queue).and_then(|queue| i32::try_from(queue).ok());
    let Some(mut logical) = asked else { return dispatch(call, code, request) };
    if logical < 0 && queue_is_any(code) {
        logical = mapping.hosted_queues.keys().next().copied().unwrap_or(logical);
    }
    let Some(items) = mapping.led_here(logical) else {
        let (topic, broker) = (mapping.topic.clone(), mapping.bname.clone());
        return reply(Err(RequestError::NotLeader { topic, queue: logical, broker }));
    };
    let way = Way { call, code, queue_field: queue, logical, items, mapping: &mapping };
    let undecided = || reply(Err(RequestError::UndecidedQueue(logical)));
    use RequestCode as C;
    match code {
        C::SendMessage | C::SendMessageV2 | C::SendBatchMessage => way.send(request),
        C::PullMessage | C::LitePullMessage => {
            let from = number("queueOffset").unwrap_or(0);
            item_of(items, from).map_or_else(undecided, |item| way.pull(item, from, request))
        }
        C::UpdateConsumerOffset => {
            let offset = number("commitOffset").unwrap_or(0);
            let Some(item) = item_of(items, offset) else { return undecided() };
            let mut onward = request;
            onward.fields.set("commitOffset", item.physical(offset).to_string());
            way.onward(item, onward, |answer| answer)
        }
        C::QueryConsumerOffset => way.query_offset(request),
        C::GetMaxOffset => {
            let Some(item) = item_of(items, i64::MAX) else { return undecided() };
            let of = item.clone();
            way.onward(item, request, move |answer| with_offset(answer, |o| of.logical(o)))
        }
        C::GetMinOffset => {
            let Some(item) = item_of(items, 0) else { return undecided() };
            let of = item.clone();
            way.onward(item, request, move |answer| with_offset(answer, |o| of.logical_within(o)))
        }
        C::GetEarliestMsgStoreTime => {
            let Some(item) = item_of(items, 0) else { return undecided() };
            way.onward(item, request, |answer| {
                let time = answer.header::<GetEarliestMsgStoreTimeResponse>();
                if time.is_ok() { answer } else { reply_of(RequestError::NoMappedTime) }
            })
        }
        _ => way.search(number("timestamp").unwrap_or(0), request),
    }
}

/// The fields that name topic and queue in requests about logical queues.
fn fields_of(code: RequestCode) -> Option<(&'static str, &'static str)> {
    use RequestCode as C;
    match code {
        C::SendMessageV2 | C::SendBatchMessage => Some(("b", "e")),
        C::SendMessage
        | C::PullMessage
        | C::LitePullMessage
        | C::UpdateConsumerOffset
        | C::QueryConsumerOffset
        | C::GetMaxOffset
        | C::GetMinOffset
        | C::GetEarliestMsgStoreTime
        | C::SearchOffsetByTimestamp => Some(("topic", "queueId")),
        _ => None,
    }
}

fn queue_is_any(code: RequestCode) -> bool {
    use RequestCode as C;
    matches!(code, C::SendMessage | C::SendMessageV2 | C::SendBatchMessage)
}

fn reply_of(error: RequestError) -> Command {
    error.answer()
}

/// A request about a logical queue that leads here.
struct Way<'a> {
    call: &'a Call<'a>,
    code: RequestCode,
    queue_field: &'static str,
    logical: i32,
    items: &'a [Item],
    mapping: &'a Mapping,
}

impl Way<'_> {
    /// To the item's physical queue, wherever it is; `back` makes the answer logical again.
    fn onward(
        &self,
        item: &Item,
        mut request: Command,
        back: impl FnOnce(Command) -> Command + Send + 'static,
    ) -> Outcome {
        request.fields.set(self.queue_field, item.queue_id.to_string());
        if item.bname == self.mapping.bname {
            return map(dispatch(self.call, self.code, request), back);
        }
        let (broker, item) = (self.call.broker.clone(), item.clone());
        Outcome::Later(Box::pin(async move { back(forward(&broker, &item, request).await) }))
    }

    fn send(&self, request: Command) -> Outcome {
        let Some(leader) = self.items.last().cloned() else {
            return reply(Err(RequestError::UndecidedQueue(self.logical)));
        };
        let logical = self.logical;
        let item = leader.clone();
        self.onward(&item, request, move |mut answer| {
            let physical = answer.fields.get("queueOffset").and_then(|text| text.parse().ok());
            if let Some(physical) = physical {
                answer.fields.set("queueId", logical.to_string());
                answer.fields.set("queueOffset", leader.logical_within(physical).to_string());
            }
            answer
        })
    }

    fn pull(&self, item: &Item, from: i64, mut request: Command) -> Outcome {
        let physical = item.physical(from);
        let number = |request: &Command, field: &str| {
            request.fields.get(field).and_then(|text| text.parse::<i64>().ok())
        };
        request.fields.set("queueOffset", physical.to_string());
        if item.has_end()
            && let Some(most) = number(&request, "maxMsgNums")
        {
            let most = most.min(item.end_offset - item.start_offset);
            request.fields.set("maxMsgNums", most.to_string());
        }
        let is_local = item.bname == self.mapping.bname;
        let mut flags = number(&request, "sysFlag").unwrap_or(0) as i32;
        let commit = number(&request, "commitOffset").unwrap_or(0);
        // What is committed beside a pull belongs to the item that it lies in.
        match item_of(self.items, commit) {
            Some(of) if of.generation == item.generation && is_local => {
                request.fields.set("commitOffset", of.physical(commit).to_string());
            }
            _ => flags &= !PULL_COMMIT_OFFSET,
        }
        if !is_local {
            flags &= !PULL_SUSPEND;
        }
        request.fields.set("sysFlag", flags.to_string());
        let items = self.items.to_vec();
        let item = item.clone();
        let asked = item.clone();
        self.onward(&asked, request, move |answer| pulled(&items, &item, physical, answer))
    }

    /// Java: of the newest item that the group has committed to.
    fn query_offset(&self, mut request: Command) -> Outcome {
        if let [item] = self.items {
            let of = item.clone();
            return self.onward(item, request, move |answer| {
                with_offset(answer, |offset| of.logical(offset))
            });
        }
        let group = request.fields.get("consumerGroup").unwrap_or_default().to_owned();
        request.fields.set("setZeroIfNotFound", "false");
        let broker = self.call.broker.clone();
        let items = self.items.to_vec();
        let own = self.mapping.bname.clone();
        let topic = self.mapping.topic.clone();
        Outcome::Later(Box::pin(async move {
            for item in items.iter().rev() {
                let committed = if item.bname == own {
                    broker.offsets.committed(&group, &topic, item.queue_id)
                } else {
                    let mut asked = request.clone();
                    asked.fields.set("queueId", item.queue_id.to_string());
                    let answer = forward(&broker, item, asked).await;
                    match ResponseCode::from_i32(answer.code) {
                        Some(ResponseCode::Success) => {
                            let header = answer.header::<QueryConsumerOffsetResponse>();
                            header.ok().map(|header| header.offset)
                        }
                        Some(ResponseCode::QueryNotFound) => None,
                        _ => return answer,
                    }
                };
                if let Some(offset) = committed.filter(|offset| *offset >= 0) {
                    let offset = item.logical(offset);
                    return Command::success().with_header(&QueryConsumerOffsetResponse { offset });
                }
            }
            RequestError::OffsetUnknown.answer()
        }))
    }

    /// In the oldest item that has a message of the time or later.
    fn search(&self, timestamp: i64, request: Command) -> Outcome {
        let broker = self.call.broker.clone();
        let items: Vec<Item> = self.items.iter().filter(|i| i.is_decided()).cloned().collect();
        let own = self.mapping.bname.clone();
        let topic = self.mapping.topic.clone();
        let upper = request.fields.get("boundaryType");
        let upper = upper.is_some_and(|name| name.eq_ignore_ascii_case("UPPER"));
        let boundary = if upper { Boundary::Upper } else { Boundary::Lower };
        Outcome::Blocking(Box::new(move || {
            let here = |item: &Item| {
                let time = Millis(timestamp);
                offset_at(&broker, &topic, item.queue_id, time, boundary)
            };
            let local: Vec<_> =
                items.iter().map(|item| (item.bname == own).then(|| here(item))).collect();
            Outcome::Later(Box::pin(async move {
                let mut found = -1;
                for (item, local) in items.iter().zip(local) {
                    let physical = match local {
                        Some(offset) => offset,
                        None => {
                            let mut asked = request.clone();
                            asked.fields.set("queueId", item.queue_id.to_string());
                            let answer = forward(&broker, item, asked).await;
                            match answer.header::<SearchOffsetByTimestampResponse>() {
                                Ok(header) => header.offset,
                                Err(_) => return answer,
                            }
                        }
                    };
                    found = item.logical(physical);
                    if !item.has_end() || physical < item.end_offset {
                        break;
                    }
                }
                Command::success().with_header(&SearchOffsetByTimestampResponse { offset: found })
            }))
        }))
    }
}

/// A request to the broker that holds an item's physical queue.
async fn forward(broker: &Broker, item: &Item, mut request: Command) -> Command {
    request.fields.set("lo", "false");
    request.fields.set("bname", item.bname.clone());
    let onward = Command { remark: None, ..request };
    broker.call_broker(&item.bname, onward).await.unwrap_or_else(|cause| {
        let broker = item.bname.clone();
        RequestError::Forward { broker, cause }.answer()
    })
}

/// Changes an answer when it comes.
fn map(outcome: Outcome, change: impl FnOnce(Command) -> Command + Send + 'static) -> Outcome {
    match outcome {
        Outcome::Reply(answer) => Outcome::Reply(change(answer)),
        Outcome::Later(answer) => Outcome::Later(Box::pin(async move { change(answer.await) })),
        Outcome::Blocking(work) => Outcome::Blocking(Box::new(move || map(work(), change))),
    }
}

fn with_offset(mut answer: Command, change: impl FnOnce(i64) -> i64) -> Command {
    let offset = answer.fields.get("offset").and_then(|text| text.parse().ok());
    if let Some(offset) = offset {
        answer.fields.set("offset", change(offset).to_string());
    }
    answer
}

/// A pull's answer with logical offsets, sent on to the next item where this one ends.
fn pulled(items: &[Item], asked: &Item, requested: i64, mut answer: Command) -> Command {
    let Ok(mut header) = answer.header::<PullMessageResponse>() else { return answer };
    let Some(code) = ResponseCode::from_i32(answer.code) else { return answer };
    let mut now = code;
    let mut item = asked;
    let PullMessageResponse { mut next_begin_offset, mut min_offset, mut max_offset, .. } = header;
    if code != ResponseCode::Success {
        let leads = items.last().is_some_and(|last| last.generation == asked.generation);
        let is_first = item_of(items, 0).is_some_and(|first| first.generation == asked.generation);
        // Where this item is known to end, whatever the physical queue has behind.
        let end = if asked.has_end() { asked.end_offset.min(max_offset) } else { max_offset };
        if requested < min_offset {
            next_begin_offset = min_offset;
            now = match is_first {
                true => ResponseCode::PullOffsetMoved,
                false => ResponseCode::PullRetryImmediately,
            };
        } else if leads {
            if requested > max_offset && code == ResponseCode::PullOffsetMoved {
                next_begin_offset = max_offset;
            }
        } else if requested >= end {
            match next_item(items, asked.generation) {
                Some(next) => {
                    item = next;
                    next_begin_offset = next.start_offset;
                    (min_offset, max_offset) = (next.start_offset, next.start_offset);
                    now = ResponseCode::PullRetryImmediately;
                }
                None => now = ResponseCode::PullNotFound,
            }
        }
    }
    if item.has_end() {
        next_begin_offset = next_begin_offset.min(item.end_offset);
    }
    let known_end = items.last().map_or(-1, Item::logical_end);
    header.next_begin_offset = item.logical(next_begin_offset);
    header.min_offset = item.logical(min_offset.max(item.start_offset));
    header.max_offset = item.logical(max_offset).max(known_end);
    // Clients add it to the offsets in the records.
    header.offset_delta = Some(item.logic_offset - item.start_offset);
    answer.code = now as i32;
    answer.with_header(&header)
}

#[cfg(test)]
mod tests;
