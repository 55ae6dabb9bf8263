//! Popping: 200050.

mod attempt;

use std::sync::Arc;

use bytestring::ByteString;
use skua_protocol::body::{
    EXPRESSION_TAG, PERM_READ, SUBSCRIBE_ALL, SubscriptionData, SubscriptionGroupConfig,
};
use skua_protocol::request::{PopMessage, PopMessageResponse};
use skua_protocol::service::{Outcome, Peer};
use skua_protocol::{Command, Millis, PhysicalOffset};

use super::error::RequestError;
use crate::broker::Broker;
use crate::filter::Filter;
use crate::long_poll::Woken;
use crate::names;
use crate::pop::polls::{ANY_QUEUE, Limits, Polls, Ticket};
use crate::pop::receipt::{retry_topic_v1, retry_topic_v2};
use crate::pop::record::MESSAGES_MAX;
use crate::pop::{PENDING_MAX, Waiter};
use crate::sql92::consumer_filters;
use crate::topic_table::Topic;
use crate::waiting::{Taker, hand_over};

use attempt::{Attempt, attempt};
pub use attempt::{first_offset, has_messages};

/// A request this much older than it was to wait is not served any more.
const LATE_MS: i64 = 500;
/// A waiting pop is answered this much before its client gives up.
const ANSWER_BEFORE_MS: i64 = 50;
/// How soon to try again when others pop from all queues.
const BUSY_MS: i64 = 2;
/// Tries without a pause.
const TRIES_AT_ONCE: u32 = 8;
/// How often a pop that does not wait tries so.
const BUSY_TRIES: u32 = 5;

/// A checked pop; it holds nothing of the frame it came in.
struct Pop {
    group: Arc<SubscriptionGroupConfig>,
    topic: Arc<Topic>,
    /// `None`: all.
    queue: Option<i32>,
    max_messages: usize,
    invisible_time: i64,
    init_mode: i32,
    ordered: bool,
    attempt_id: Option<ByteString>,
    filter: Filter,
    /// When to answer at the latest; `None`: at once.
    deadline: Option<Millis>,
}

impl Pop {
    fn topic_name(&self) -> &str {
        &self.topic.config.topic_name
    }

    fn group_name(&self) -> &str {
        &self.group.group_name
    }

    fn place(&self) -> (&str, &str, i32) {
        (self.topic_name(), self.group_name(), self.queue.unwrap_or(ANY_QUEUE))
    }
}

pub fn pop(broker: &Arc<Broker>, peer: &Arc<dyn Peer>, request: &Command, now: Millis) -> Outcome {
    let header: PopMessage = match request.header() {
        Ok(header) => header,
        Err(error) => return Outcome::Reply(RequestError::from(error).answer()),
    };
    if broker.groups.would_create(&header.consumer_group, broker.auto_create_groups()) {
        let (broker, peer) = (broker.clone(), peer.clone());
        return Outcome::Blocking(Box::new(move || start(&broker, &peer, &header, now, true)));
    }
    start(broker, peer, &header, now, false)
}

fn start(
    broker: &Arc<Broker>,
    peer: &Arc<dyn Peer>,
    header: &PopMessage,
    now: Millis,
    may_block: bool,
) -> Outcome {
    let pop = match check(broker, peer, header, now) {
        Ok(pop) => pop,
        Err(error) => return refuse(&error),
    };
    let most = broker.settings().broker.max_messages_per_second_of_group;
    if let Err(exceeded) = broker.limits.may_get(pop.group_name(), most, now) {
        return refuse(&RequestError::LimitedPull(exceeded));
    }
    let attempt = attempt(broker, &pop, may_block, now);
    if attempt.is_final() || !attempt.needs_disk {
        return first_attempt(broker, peer, pop, attempt, now);
    }
    let (broker, peer) = (broker.clone(), peer.clone());
    Outcome::Blocking(Box::new(move || {
        let attempt = self::attempt(&broker, &pop, true, now);
        first_attempt(&broker, &peer, pop, attempt, now)
    }))
}

/// Java's answers carry the header whatever they say.
fn refuse(error: &RequestError) -> Outcome {
    Outcome::Reply(error.answer().with_header(&PopMessageResponse::default()))
}

/// What pops, peeks and notifications check alike.
pub fn check_topic_and_group(
    broker: &Broker,
    peer: &Arc<dyn Peer>,
    (topic, group, queue): (&str, &str, i32),
    now: Millis,
) -> Result<(Arc<Topic>, Arc<SubscriptionGroupConfig>), RequestError> {
    let found =
        broker.topics.get(topic).ok_or_else(|| RequestError::NoTopicToPull(names::shown(topic)))?;
    if !found.config.is_readable() {
        return Err(RequestError::TopicNotPeekable(topic.to_owned()));
    }
    let queues = found.config.read_queue_nums;
    if queue >= queues {
        let (topic, peer) = (topic.to_owned(), peer.remote_addr());
        return Err(RequestError::PullQueue { queue, topic, queues, peer });
    }
    let config = broker
        .groups
        .find(group, broker.auto_create_groups(), now)?
        .ok_or_else(|| RequestError::NoGroupToPull(names::shown(group)))?;
    if !config.consume_enable {
        return Err(RequestError::GroupNotReadable(group.to_owned()));
    }
    Ok((found, config))
}

fn check(
    broker: &Broker,
    peer: &Arc<dyn Peer>,
    header: &PopMessage,
    now: Millis,
) -> Result<Pop, RequestError> {
    let settings = broker.settings();
    let born = if header.born_time == 0 { now } else { Millis(header.born_time) };
    if now.since(born).saturating_sub(header.poll_time) > LATE_MS {
        return Err(RequestError::PopTooLate { ip: broker.ip() });
    }
    if settings.broker.broker_permission & PERM_READ == 0 {
        return Err(RequestError::PopForbidden { ip: broker.ip(), what: "pop" });
    }
    if header.max_msg_nums > MESSAGES_MAX as i32 {
        return Err(RequestError::PopTooMany { ip: broker.ip() });
    }
    if !settings.store.timer_wheel_enable {
        return Err(RequestError::PopWithoutTimer { ip: broker.ip() });
    }
    let place = (&*header.topic, &*header.consumer_group, header.queue_id);
    let (topic, group) = check_topic_and_group(broker, peer, place, now)?;
    let filter = filter(header)?;
    let wants = match header.exp.as_deref() {
        Some(expression) if !expression.is_empty() => {
            (header.exp_type.as_deref().unwrap_or(EXPRESSION_TAG), expression)
        }
        _ => (EXPRESSION_TAG, SUBSCRIBE_ALL),
    };
    broker.note_subscription((&header.consumer_group, &header.topic), wants, now);
    if broker.pop.pending() >= PENDING_MAX {
        return Err(RequestError::TooManyCheckPoints {
            pending: broker.pop.pending(),
            limit: PENDING_MAX,
        });
    }
    let deadline = born.plus(header.poll_time).min(now.plus(header.poll_time));
    Ok(Pop {
        queue: (header.queue_id >= 0).then_some(header.queue_id),
        max_messages: usize::try_from(header.max_msg_nums).unwrap_or(0),
        invisible_time: header.invisible_time,
        init_mode: header.init_mode,
        ordered: header.order == Some(true),
        attempt_id: header.attempt_id.clone().filter(|_| header.order == Some(true)),
        filter,
        deadline: (header.poll_time > 0 && header.max_msg_nums > 0 && !broker.is_stopping())
            .then_some(deadline.plus(-ANSWER_BEFORE_MS)),
        group,
        topic,
    })
}

fn filter(header: &PopMessage) -> Result<Filter, RequestError> {
    let Some(expression) = header.exp.as_deref().filter(|text| !text.is_empty()) else {
        return Ok(Filter::All);
    };
    let kind = header.exp_type.as_deref().unwrap_or(EXPRESSION_TAG);
    if kind.is_empty() || kind == EXPRESSION_TAG {
        // Java: nothing but separators does not parse.
        if expression.split("||").all(str::is_empty) {
            return Err(RequestError::BadSubscription);
        }
        let subscription = SubscriptionData::by_tags(&*header.topic, expression, Millis(0));
        return Ok(Filter::of(&subscription));
    }
    // Java asks for `enablePropertyFilter` when it is pulled, but not when it is popped.
    match consumer_filters::compile(kind, expression) {
        Ok(compiled) => Ok(Filter::Sql(Arc::new(compiled), None)),
        Err(error) => {
            tracing::debug!(%error, expression, "a pop's filter does not parse");
            Err(RequestError::BadSubscription)
        }
    }
}

/// The retry topics that a pop of the group looks into, the one in use first.
pub fn retry_topics(broker: &Broker, topic: &str, group: &str) -> Vec<Arc<Topic>> {
    let settings = broker.settings();
    let v1 = || retry_topic_v1(topic, group);
    let names = match settings.broker.enable_retry_topic_v2 {
        false => vec![v1()],
        true if settings.broker.retrieve_message_from_pop_retry_topic_v1 => {
            vec![retry_topic_v2(topic, group), v1()]
        }
        true => vec![retry_topic_v2(topic, group)],
    };
    names.iter().filter_map(|name| broker.topics.get(name)).collect()
}

fn first_attempt(
    broker: &Arc<Broker>,
    peer: &Arc<dyn Peer>,
    pop: Pop,
    attempt: Attempt,
    now: Millis,
) -> Outcome {
    if attempt.is_final() || (pop.deadline.is_none() && !attempt.busy) {
        return finish(broker, attempt.answer());
    }
    match pop.deadline {
        Some(deadline) if deadline < now => Outcome::Reply(attempt.answer().0),
        deadline => {
            let peer = peer.clone();
            let broker = broker.clone();
            // Parked before this returns, so that what arrives from here on is not missed.
            let parked = deadline.map(|_| park(&broker, &peer, &pop)).transpose();
            match parked {
                Ok(parked) => Outcome::Later(Box::pin(wait(broker, peer, pop, attempt, parked))),
                Err(Full) => Outcome::Reply(attempt.full().0),
            }
        }
    }
}

/// Answers as soon as the check points are as safe as the configuration promises.
fn finish(broker: &Arc<Broker>, (answer, end): (Command, Option<PhysicalOffset>)) -> Outcome {
    match end {
        Some(end) => broker.when_kept(end, answer),
        None => Outcome::Reply(answer),
    }
}

/// As many wait as may.
struct Full;

fn limits(broker: &Broker) -> Limits {
    let settings = broker.settings();
    Limits {
        all: usize::try_from(settings.broker.max_pop_polling_size).unwrap_or(usize::MAX),
        queue: usize::try_from(settings.broker.pop_polling_size).unwrap_or(usize::MAX),
    }
}

/// Parks in `polls`; woken at once if `has_more` says so after.
pub fn park_in(
    broker: &Broker,
    polls: &Polls<Waiter>,
    peer: &Arc<dyn Peer>,
    place: (&str, &str, i32),
    (deadline, filter): (Millis, Filter),
    has_more: impl FnOnce() -> bool,
) -> Option<(Ticket, Taker<Woken>)> {
    let (giver, woken) = hand_over();
    let waiter = Waiter { filter, giver };
    let ticket = polls.park(place, peer.id(), deadline, waiter, limits(broker)).ok()?;
    // A message, or the end, may have come between the look before and the parking.
    if (broker.is_stopping() || has_more())
        && let Some(waiter) = polls.take(ticket)
    {
        waiter.giver.give(if broker.is_stopping() { Woken::Shutdown } else { Woken::Arrival });
    }
    broker.wake_at(deadline);
    Some((ticket, woken))
}

fn park(broker: &Broker, peer: &Arc<dyn Peer>, pop: &Pop) -> Result<(Ticket, Taker<Woken>), Full> {
    let deadline = pop.deadline.unwrap_or_default();
    let wanted = (deadline, pop.filter.clone());
    let has_more = || has_messages(broker, pop.place(), pop.ordered.then_some(&pop.attempt_id));
    park_in(broker, &broker.pop.polls, peer, pop.place(), wanted, has_more).ok_or(Full)
}

/// Tries whenever it is woken, until there is something or the time is over.
async fn wait(
    broker: Arc<Broker>,
    peer: Arc<dyn Peer>,
    pop: Pop,
    first: Attempt,
    parked: Option<(Ticket, Taker<Woken>)>,
) -> Command {
    let (mut last, mut parked, mut tries) = (first, parked, 0);
    loop {
        let why = match parked.take() {
            // Something is there that it cannot have: not again at once, forever.
            Some((_, woken)) if !last.busy && tries % TRIES_AT_ONCE != TRIES_AT_ONCE - 1 => {
                woken.await
            }
            parked => {
                broker.sleep_until(broker.time_told().plus(BUSY_MS)).await;
                if let Some((ticket, _)) = parked {
                    // Out, or it would take a wake-up that another waits for.
                    drop(broker.pop.polls.take(ticket));
                }
                Woken::Arrival
            }
        };
        if why == Woken::Closed {
            return last.answer().0;
        }
        let now = broker.time_told();
        // What woke it was stored just now, so it is read from memory.
        last = attempt(&broker, &pop, true, now);
        tries += 1;
        if last.is_final() {
            let (answer, end) = last.answer();
            return match end.map(|end| broker.when_kept(end, answer.clone())) {
                Some(Outcome::Later(later)) => later.await,
                _ => answer,
            };
        }
        let over = match pop.deadline {
            Some(deadline) => matches!(why, Woken::Timeout | Woken::Shutdown) || deadline <= now,
            None => tries >= BUSY_TRIES,
        };
        if over {
            return last.answer().0;
        }
        parked = match pop.deadline.map(|_| park(&broker, &peer, &pop)).transpose() {
            Ok(parked) => parked,
            Err(Full) => return last.full().0,
        };
    }
}

#[cfg(test)]
pub mod tests;
