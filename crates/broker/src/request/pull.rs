//! Pulling: 11, 361.

use std::sync::Arc;

use bytes::Bytes;
use skua_config::Settings;
use skua_protocol::body::{
    ConsumeType, EXPRESSION_TAG, MessageModel, PERM_READ, SubscriptionData, SubscriptionGroupConfig,
};
use skua_protocol::record::Record;
use skua_protocol::request::{
    PULL_COMMIT_OFFSET, PULL_SUBSCRIPTION, PULL_SUSPEND, PullMessage, PullMessageResponse,
};
use skua_protocol::service::{Outcome, Peer};
use skua_protocol::{Command, Millis, QueueId, RequestCode, ResponseCode};
use skua_store::{Entry, KeepMore, Read, ReadLimits, ReadStatus, is_lmq};

use super::error::RequestError;
use super::offset::{max_of, min_of};
use crate::broker::{Broker, Moved};
use crate::consumer_offsets::Pulled;
use crate::filter::Filter;
use crate::long_poll::{Place, Wanted, Woken};
use crate::names;
use crate::role::MASTER_ID;
use crate::sql92::bloom::GroupBits;
use crate::sql92::{CompiledFilter, consumer_filters};
use crate::swap_map::lock;
use crate::topic_table::Topic;
use crate::waiting::{Giver, hand_over};

/// A checked pull. It may wait for long, so it holds nothing of the frame it came in.
struct Pull {
    group: Arc<SubscriptionGroupConfig>,
    topic: Arc<Topic>,
    queue: QueueId,
    from: i64,
    max_messages: u32,
    /// When it came.
    began: Millis,
    /// Committed with the first attempt.
    commit: Option<i64>,
    /// How long to wait for a message, if at all.
    suspend_ms: Option<i64>,
    filter: Filter,
}

/// A pull parked in the table of long polls.
pub struct ParkedPull {
    filter: Filter,
    giver: Giver<Woken>,
}

impl Wanted for ParkedPull {
    fn wants(&self, tags_code: i64, record: &dyn Fn() -> Option<Bytes>) -> bool {
        self.filter.wants(tags_code, record)
    }

    fn wake(self, why: Woken) {
        self.giver.give(why);
    }
}

pub fn pull(
    broker: &Arc<Broker>,
    peer: &Arc<dyn Peer>,
    code: RequestCode,
    request: &Command,
    now: Millis,
) -> Outcome {
    let header: PullMessage = match request.header() {
        Ok(header) => header,
        Err(error) => return refuse(&RequestError::from(error)),
    };
    if broker.groups.would_create(&header.consumer_group, broker.auto_create_groups()) {
        let (broker, peer) = (broker.clone(), peer.clone());
        return Outcome::Blocking(Box::new(move || {
            start(&broker, &peer, code, &header, now, true)
        }));
    }
    start(broker, peer, code, &header, now, false)
}

fn start(
    broker: &Arc<Broker>,
    peer: &Arc<dyn Peer>,
    code: RequestCode,
    header: &PullMessage,
    now: Millis,
    may_block: bool,
) -> Outcome {
    let pull = match check(broker, peer, code, header, now) {
        Ok(pull) => pull,
        Err(error) => return refuse(&error),
    };
    let most = broker.settings().broker.max_messages_per_second_of_group;
    if let Err(exceeded) = broker.limits.may_get(&pull.group.group_name, most, now) {
        return refuse(&RequestError::LimitedPull(exceeded));
    }
    let is_long = !may_block && is_long(broker, &pull);
    let found = match may_block {
        true => Some(read(broker, &pull)),
        false if is_long => None,
        false => read_cached(broker, &pull),
    };
    if let Some(found) = found {
        return first_attempt(broker, peer, pull, found, now);
    }
    let (broker, peer) = (broker.clone(), peer.clone());
    Outcome::Blocking(Box::new(move || {
        match is_long.then(|| read_cached(&broker, &pull)).flatten() {
            Some(found) => first_attempt(&broker, &peer, pull, found, now),
            None => read_from_disk(&broker, &peer, pull, now),
        }
    }))
}

/// Records of a pull that are looked at in place. More of them would keep what else its connection
/// asks for waiting, and one thread busy where others are idle.
const LOOKS_IN_PLACE: i64 = 64;

/// Whether a pull may have to look at many records before it has its messages.
fn is_long(broker: &Broker, pull: &Pull) -> bool {
    pull.filter.looks_at_records()
        && max_of(broker, &pull.topic.config.topic_name, pull.queue.0 as i32) - pull.from
            > LOOKS_IN_PLACE
}

/// What the consumer wants is cold: groups that read much of that are slowed down, if configured.
fn read_from_disk(
    broker: &Arc<Broker>,
    peer: &Arc<dyn Peer>,
    mut pull: Pull,
    now: Millis,
) -> Outcome {
    let rules = broker.cold_rules();
    let group = pull.group.group_name.clone();
    if !rules.enabled || names::is_system_group(&group) {
        let found = read(broker, &pull);
        return first_attempt(broker, peer, pull, found, now);
    }
    let slowed = lock(&broker.cold_data).is_slowed(&group, &rules);
    let connected = broker.consumers.get(&group).map(|group| group.consume_type);
    if slowed && connected == Some(ConsumeType::Passively) {
        return refuse(&RequestError::ColdData);
    }
    let held = slowed && connected == Some(ConsumeType::Actively);
    if held {
        pull.max_messages = 1;
    }
    let found = read(broker, &pull);
    let ends = lock(&broker.cold_data).add(&group, found.body.len() as u64, now);
    broker.wake_at(ends);
    match first_attempt(broker, peer, pull, found, now) {
        Outcome::Reply(answer) if held => {
            let sleep = broker.sleep_until(now.plus(COLD_HOLD_MS));
            Outcome::Later(Box::pin(async move {
                sleep.await;
                answer
            }))
        }
        outcome => outcome,
    }
}

/// How long the answer to a pull consumer is held that has read too much cold data.
const COLD_HOLD_MS: i64 = 3_000;

fn refuse(error: &RequestError) -> Outcome {
    let mut answer = error.answer();
    if let Some(by) = error.forbidden_by() {
        answer.fields.push("forbiddenType", (by as i32).to_string());
    }
    Outcome::Reply(answer)
}

fn check(
    broker: &Broker,
    peer: &Arc<dyn Peer>,
    code: RequestCode,
    header: &PullMessage,
    now: Millis,
) -> Result<Pull, RequestError> {
    let settings = broker.settings();
    // Java: a slave serves consumers only if it is told to.
    if broker.is_slave() && !settings.broker.slave_read_enable && !broker.sends_on() {
        return Err(RequestError::Slave);
    }
    if settings.broker.broker_permission & PERM_READ == 0 {
        return Err(RequestError::BrokerNotReadable { ip: broker.ip() });
    }
    if code == RequestCode::LitePullMessage && !settings.broker.lite_pull_message_enable {
        return Err(RequestError::LitePullForbidden { ip: broker.ip() });
    }
    let name = &*header.consumer_group;
    let group = broker
        .groups
        .find(name, broker.auto_create_groups(), now)?
        .ok_or_else(|| RequestError::NoGroupToPull(names::shown(name)))?;
    if !group.consume_enable {
        return Err(RequestError::GroupNotReadable(name.to_owned()));
    }
    let topic = broker
        .topics
        .get(&header.topic)
        .ok_or_else(|| RequestError::NoTopicToPull(names::shown(&header.topic)))?;
    if !topic.config.is_readable() {
        return Err(RequestError::TopicNotReadable(header.topic.to_string()));
    }
    let queues = topic.config.read_queue_nums;
    let queue = match u32::try_from(header.queue_id) {
        Ok(queue) if header.queue_id < queues => QueueId(queue),
        _ => {
            return Err(RequestError::PullQueue {
                queue: header.queue_id,
                topic: header.topic.to_string(),
                queues,
                peer: peer.remote_addr(),
            });
        }
    };
    let filter = if header.sys_flag & PULL_SUBSCRIPTION != 0 {
        let filter = filter_of_request(broker, header)?;
        let wants = (
            header.expression_type.as_deref().unwrap_or(EXPRESSION_TAG),
            header.subscription.as_deref().unwrap_or_default(),
        );
        broker.note_subscription((name, &header.topic), wants, now);
        filter
    } else {
        filter_of_group(broker, &group, header)?
    };
    if settings.broker.reject_pull_consumer_enable {
        check_not_pull_consumer(broker, peer, name)?;
    }
    Ok(Pull {
        queue,
        from: header.queue_offset,
        began: now,
        max_messages: u32::try_from(header.max_msg_nums).unwrap_or(0).max(1),
        commit: (header.sys_flag & PULL_COMMIT_OFFSET != 0).then_some(header.commit_offset),
        suspend_ms: (header.sys_flag & PULL_SUSPEND != 0 && !broker.is_stopping())
            .then(|| suspend_ms(&settings, header.suspend_timeout_millis)),
        filter,
        group,
        topic,
    })
}

/// Java: consumers that pull by themselves are let in only if they are known from before.
fn check_not_pull_consumer(
    broker: &Broker,
    peer: &Arc<dyn Peer>,
    group: &str,
) -> Result<(), RequestError> {
    let connected = broker.consumers.get(group);
    let by_itself = connected.as_ref().is_none_or(|g| g.consume_type == ConsumeType::Actively);
    let known = connected.is_some_and(|g| g.members.iter().any(|m| m.peer.id() == peer.id()));
    if by_itself && !known && !names::is_system_group(group) {
        return Err(RequestError::PullConsumerRejected);
    }
    Ok(())
}

fn suspend_ms(settings: &Settings, asked: i64) -> i64 {
    if settings.broker.long_polling_enable {
        asked
    } else {
        settings.broker.short_polling_time_mills
    }
}

/// Compiled anew for each request, so it needs no heartbeat. Java: an expression that does not
/// compile takes everything here; refused is better.
fn filter_of_request(broker: &Broker, header: &PullMessage) -> Result<Filter, RequestError> {
    let kind = header.expression_type.as_deref().unwrap_or(EXPRESSION_TAG);
    let expression = header.subscription.as_deref().unwrap_or_default();
    if kind.is_empty() || kind == EXPRESSION_TAG {
        let subscription = SubscriptionData::by_tags("", expression, Millis(header.sub_version));
        // Java: nothing but separators does not parse.
        if !expression.is_empty() && expression.split("||").all(str::is_empty) {
            return Err(RequestError::BadSubscription);
        }
        return Ok(Filter::of(&subscription));
    }
    if expression.is_empty() {
        return Err(RequestError::BadSubscription);
    }
    let compiled = may_filter_by(broker, kind).and_then(|()| {
        consumer_filters::compile(kind, expression).map_err(RequestError::FilterSyntax)
    })?;
    Ok(sql_filter(broker, header, Some(Arc::new(compiled)), None))
}

fn may_filter_by(broker: &Broker, kind: &str) -> Result<(), RequestError> {
    if broker.settings().broker.enable_property_filter {
        Ok(())
    } else {
        Err(RequestError::FilterType(names::shown(kind)))
    }
}

fn sql_filter(
    broker: &Broker,
    header: &PullMessage,
    compiled: Option<Arc<CompiledFilter>>,
    bits: Option<Arc<GroupBits>>,
) -> Filter {
    if broker.settings().broker.filter_support_retry
        && let Some(group) = header.topic.strip_prefix(names::RETRY_PREFIX)
    {
        return Filter::Retried { filters: broker.filters.clone(), group: group.into() };
    }
    compiled.map_or(Filter::All, |compiled| Filter::Sql(compiled, bits))
}

fn filter_of_group(
    broker: &Broker,
    config: &SubscriptionGroupConfig,
    header: &PullMessage,
) -> Result<Filter, RequestError> {
    let name = &*header.consumer_group;
    let Some(group) = broker.consumers.get(name) else {
        return Err(RequestError::GroupNotConnected);
    };
    if !config.consume_broadcast_enable && group.message_model == MessageModel::Broadcasting {
        return Err(RequestError::BroadcastForbidden(name.to_owned()));
    }
    if !broker.groups.may_read(name, &header.topic) {
        return Err(RequestError::SubscriptionForbidden {
            group: name.to_owned(),
            topic: header.topic.to_string(),
        });
    }
    let Some(subscription) = group.subscriptions.get(&*header.topic) else {
        return Err(RequestError::NoSubscription);
    };
    if subscription.data.sub_version < header.sub_version {
        return Err(RequestError::OldSubscription);
    }
    if subscription.data.is_by_tags() {
        return Ok(subscription.filter.clone());
    }
    let found = broker.filters.find(&header.topic, name).ok_or(RequestError::NoFilter)?;
    if found.client_version < header.sub_version {
        return Err(RequestError::OldFilter);
    }
    may_filter_by(broker, &subscription.data.expression_type)?;
    Ok(sql_filter(broker, header, found.compiled, found.bits))
}

/// Answers, or parks the pull when there is nothing and it may wait.
fn first_attempt(
    broker: &Arc<Broker>,
    peer: &Arc<dyn Peer>,
    mut pull: Pull,
    read: Read,
    now: Millis,
) -> Outcome {
    let topic = &pull.topic.config.topic_name;
    let group = &pull.group.group_name;
    let queue = pull.queue.0 as i32;
    if let Some(offset) = broker.offsets.take_reset(group, topic, queue) {
        return Outcome::Reply(sent_to(broker, &pull, offset, now));
    }
    let answer = answer_of(broker, &pull, read, now);
    if let Some(offset) = pull.commit.take()
        && broker.queue(topic, queue).is_some()
    {
        broker.offsets.commit(group, topic, queue, offset, now);
        broker.wake_to_save_offsets(now);
    }
    match pull.suspend_ms {
        Some(suspend_ms) if answer.code == ResponseCode::PullNotFound as i32 => {
            park(broker, peer, pull, now.plus(suspend_ms.max(0)))
        }
        _ => Outcome::Reply(answer),
    }
}

fn park(broker: &Arc<Broker>, peer: &Arc<dyn Peer>, pull: Pull, deadline: Millis) -> Outcome {
    let most = broker.settings().broker.max_waiting_pulls_of_group;
    let place_of_group = match broker.limits.wait(&pull.group.group_name, most) {
        Ok(place) => place,
        Err(exceeded) => return refuse(&RequestError::LimitedPull(exceeded)),
    };
    let (giver, woken) = hand_over();
    let topic = &pull.topic.config.topic_name;
    let place = Place { topic, queue: pull.queue, from: pull.from };
    let parked = ParkedPull { filter: pull.filter.clone(), giver };
    let polls = &broker.long_polls;
    let Ok(ticket) = polls.park(place, peer.id(), deadline, parked) else {
        let (parked, limit) = (polls.parked(), polls.parked_max());
        return refuse(&RequestError::TooManyParked { parked, limit });
    };
    // A message, or the end, may have come between the attempt and the parking.
    let arrived = broker.is_stopping() || max_of(broker, topic, pull.queue.0 as i32) > pull.from;
    if let Some(parked) = arrived.then(|| polls.take(ticket)).flatten() {
        parked.wake(Woken::Arrival);
    }
    broker.wake_at(deadline);
    let broker = broker.clone();
    Outcome::Later(Box::pin(async move {
        let why = woken.await;
        drop(place_of_group);
        match why {
            // Nobody reads this answer.
            Woken::Closed => Command::response(ResponseCode::PullNotFound),
            // What woke the pull was stored just now, so it is read from memory.
            Woken::Arrival | Woken::Timeout | Woken::Shutdown => {
                answer_of(&broker, &pull, read(&broker, &pull), broker.time_told())
            }
        }
    }))
}

/// The answer to a pull whose offset was set from outside.
fn sent_to(broker: &Broker, pull: &Pull, offset: i64, now: Millis) -> Command {
    let topic = &pull.topic.config.topic_name;
    let queue = pull.queue.0 as i32;
    let moved = Found {
        code: code_of(ReadStatus::OffsetReset, pull.from),
        status: ReadStatus::OffsetReset.name(),
        next_offset: offset,
        min_offset: min_of(broker, topic, queue),
        max_offset: max_of(broker, topic, queue),
        count: 0,
        bytes: 0,
        is_far_behind: false,
    };
    answer(broker, pull, &moved, now)
}

fn read(broker: &Broker, pull: &Pull) -> Read {
    read_by(pull, |topic, limits, keep, more| {
        broker.store.read_where(topic, pull.queue, pull.from, limits, keep, more)
    })
}

/// As [`read`], unless that would wait for the disk.
fn read_cached(broker: &Broker, pull: &Pull) -> Option<Read> {
    read_by(pull, |topic, limits, keep, more| {
        broker.store.read_cached(topic, pull.queue, pull.from, limits, keep, more)
    })
}

/// What `read` makes of the pull's topic, limits and filter.
fn read_by<T>(
    pull: &Pull,
    read: impl FnOnce(&str, ReadLimits, &mut dyn FnMut(&Entry) -> bool, KeepMore<'_>) -> T,
) -> T {
    let limits = ReadLimits { max_messages: pull.max_messages };
    let filter = &pull.filter;
    let keep = &mut |entry: &Entry| filter.takes(entry.tags_code);
    let mut record = |record: &Record<'_>| filter.takes_record(record.properties());
    let mut bits = |time: Millis, map: &[u8]| filter.takes_bits(time, map);
    let more = KeepMore {
        bits: if filter.looks_at_bits() { Some(&mut bits) } else { None },
        record: if filter.looks_at_records() { Some(&mut record) } else { None },
    };
    read(&pull.topic.config.topic_name, limits, keep, more)
}

fn answer_of(broker: &Broker, pull: &Pull, read: Read, now: Millis) -> Command {
    // A slave may be behind what the consumer has seen elsewhere: only a master knows better.
    let is_beyond = matches!(
        read.status,
        ReadStatus::OffsetOverflowBadly
            | ReadStatus::NoMatchedLogicQueue
            | ReadStatus::NoMessageInQueue
    );
    let is_ahead = is_beyond && pull.from > 0 && broker.is_slave();
    let found = Found {
        code: if is_ahead { ResponseCode::PullNotFound } else { code_of(read.status, pull.from) },
        status: read.status.name(),
        next_offset: if is_ahead { pull.from } else { read.next_offset },
        min_offset: read.min_offset,
        max_offset: read.max_offset,
        count: read.count,
        bytes: read.body.len() as u64,
        is_far_behind: read.suggest_slave,
    };
    answer(broker, pull, &found, now).with_body(read.body)
}

/// What there is for a pull.
struct Found {
    code: ResponseCode,
    status: &'static str,
    next_offset: i64,
    min_offset: i64,
    max_offset: i64,
    count: u32,
    bytes: u64,
    is_far_behind: bool,
}

fn answer(broker: &Broker, pull: &Pull, found: &Found, now: Millis) -> Command {
    let group = &*pull.group;
    let topic = &pull.topic.config;
    let queue = pull.queue.0 as i32;
    let noted = Pulled { queue, next: found.next_offset };
    // Anybody may pull from any light queue: of those that are not there nothing is kept.
    if found.max_offset > 0 || !is_lmq(&topic.topic_name) {
        broker.offsets.note_pull(&group.group_name, &topic.topic_name, noted);
    }
    broker.counters.get(found.count, now);
    if found.count > 0 {
        let got = Moved { queue, messages: u64::from(found.count), bytes: found.bytes };
        broker.count_got(&pull.topic, &group.group_name, got, pull.began);
        let most = broker.settings().broker.max_messages_per_second_of_group;
        broker.limits.got(&group.group_name, found.count, most, now);
    }

    // Who takes this broker for the master still would come back to it at once.
    let sent_back =
        broker.is_slave() && !broker.sends_on() && !found.is_far_behind && broker.sees_master();
    let code = match found.code {
        ResponseCode::PullNotFound if sent_back => ResponseCode::PullRetryImmediately,
        code => code,
    };
    let suggested = match (broker.settings().broker.slave_read_enable, found.is_far_behind) {
        (false, _) => MASTER_ID,
        // Java: a slave sends back to the master who is not far behind, while there is a master.
        (true, false) if sent_back => MASTER_ID,
        (true, true) => group.which_broker_when_consume_slowly,
        (true, false) => group.broker_id,
    };
    let header = PullMessageResponse {
        suggest_which_broker_id: suggested,
        next_begin_offset: found.next_offset,
        min_offset: found.min_offset,
        max_offset: found.max_offset,
        offset_delta: None,
        topic_sys_flag: Some(topic.topic_sys_flag),
        group_sys_flag: Some(group.group_sys_flag),
        forbidden_type: None,
    };
    if found.code == ResponseCode::PullOffsetMoved {
        tracing::info!(
            group = %group.group_name,
            topic = %topic.topic_name,
            queue = pull.queue.0,
            asked = pull.from,
            next = found.next_offset,
            status = found.status,
            "pull sent to another offset"
        );
    }
    Command::response(code).with_header(&header).with_remark(found.status)
}

fn code_of(status: ReadStatus, from: i64) -> ResponseCode {
    match status {
        ReadStatus::Found => ResponseCode::Success,
        ReadStatus::NoMatchedMessage | ReadStatus::MessageWasRemoving => {
            ResponseCode::PullRetryImmediately
        }
        ReadStatus::NoMatchedLogicQueue | ReadStatus::NoMessageInQueue if from == 0 => {
            ResponseCode::PullNotFound
        }
        ReadStatus::OffsetOverflowOne | ReadStatus::OffsetFoundNull => ResponseCode::PullNotFound,
        ReadStatus::NoMatchedLogicQueue
        | ReadStatus::NoMessageInQueue
        | ReadStatus::OffsetOverflowBadly
        | ReadStatus::OffsetTooSmall
        | ReadStatus::OffsetReset => ResponseCode::PullOffsetMoved,
    }
}

#[cfg(test)]
mod tests;
