//! What is known of lite topics and who consumes them: 200074 to 200079.

use std::collections::BTreeMap;
use std::sync::Arc;

use skua_protocol::body::{
    BrokerLiteInfo, ClientGroup, ConsumeOffset, LiteClientInfo, LiteGroupInfo, LiteLag,
    LiteTopicInfo, ParentTopicInfo, SubscriptionGroupConfig, TopicOffset,
};
use skua_protocol::request::{
    GetLiteClientInfo, GetLiteGroupInfo, GetLiteTopicInfo, GetParentTopicInfo, TriggerLiteDispatch,
};
use skua_protocol::{Command, Millis, QueueId, json};
use skua_store::is_lmq;

use crate::broker::Broker;
use crate::lite::board::Outlook;
use crate::lite::{self, QUEUE};
use crate::names;
use crate::request::Answer;
use crate::request::error::RequestError;
use crate::topic_table::Topic;

/// Most lite topics of a client that are told at a time.
const TOLD_MAX: usize = 10_000;
const TOLD_BY_DEFAULT: i32 = 1_000;

fn parent(broker: &Broker, topic: &str) -> Result<Arc<Topic>, RequestError> {
    let shown = || names::shown(topic);
    let found = broker.topics.get(topic).ok_or_else(|| RequestError::NoParentTopic(shown()))?;
    if lite::is_parent(&found) { Ok(found) } else { Err(RequestError::NotParentTopic(shown())) }
}

fn group(broker: &Broker, name: &str) -> Result<Arc<SubscriptionGroupConfig>, RequestError> {
    let auto = broker.auto_create_groups();
    let found = broker.groups.find(name, auto, broker.time_told())?;
    found.ok_or_else(|| RequestError::NoLiteGroup(names::shown(name)))
}

fn lite_group(
    broker: &Broker,
    name: &str,
) -> Result<(Arc<SubscriptionGroupConfig>, String), RequestError> {
    let config = group(broker, name)?;
    match lite::bound_topic(&config).filter(|topic| !topic.is_empty()).map(str::to_owned) {
        Some(topic) => Ok((config, topic)),
        None => Err(RequestError::NotLiteGroup(names::shown(name))),
    }
}

fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Groups by the topic they are bound to.
fn groups_of_parents(broker: &Broker) -> BTreeMap<String, std::collections::BTreeSet<String>> {
    let mut by_topic: BTreeMap<String, std::collections::BTreeSet<String>> = BTreeMap::new();
    for (name, config) in broker.groups.snapshot().subscription_group_table {
        if let Some(topic) = lite::bound_topic(&config) {
            by_topic.entry(topic.to_owned()).or_default().insert(name);
        }
    }
    by_topic
}

pub fn broker_info(broker: &Broker) -> Answer {
    let queues = broker.store.queue_list()?;
    let mut topics: Vec<&String> = queues.iter().map(|(topic, _)| topic).collect();
    topics.dedup();
    let parents = broker.topics.snapshot().topic_config_table.into_keys();
    let parents = parents.filter_map(|name| broker.topics.get(&name));
    let parents = parents.filter(|topic| lite::is_parent(topic));
    let (subscriptions, events) =
        broker.lite.look(|board| (board.subscriptions(), board.clients_with_events()));
    let body = BrokerLiteInfo {
        cq_table_size: number(topics.len()),
        current_lmq_num: number(queues.iter().filter(|(topic, _)| is_lmq(topic)).count()),
        event_map_size: number(events),
        group_meta: groups_of_parents(broker),
        lite_subscription_count: number(subscriptions),
        max_lmq_num: broker.settings().store.max_lmq_consume_queue_num,
        offset_table_size: number(broker.offsets.committed_pairs().len()),
        order_info_count: number(broker.lite.orders.count()),
        // The store of RocksDB is refused at the start.
        store_type: Some("default".to_owned()),
        topic_meta: parents
            .map(|topic| (topic.config.topic_name.clone(), lite::expiration(&topic)))
            .collect(),
    };
    Ok(Command::success().with_body(json::to_vec(&body)))
}

pub fn parent_info(broker: &Broker, request: &Command) -> Answer {
    let GetParentTopicInfo { topic } = request.header()?;
    let found = parent(broker, &topic)?;
    let queues = broker.store.queue_list()?;
    let lites = queues.iter().filter(|(name, _)| lite::parent_of(name) == Some(&topic));
    let body = ParentTopicInfo {
        groups: groups_of_parents(broker).remove(&*topic),
        lite_topic_count: number(lites.count()),
        lmq_num: number(queues.iter().filter(|(name, _)| is_lmq(name)).count()),
        topic: topic.to_string(),
        ttl: lite::expiration(&found),
    };
    Ok(Command::success().with_body(json::to_vec(&body)))
}

pub fn topic_info(broker: &Broker, request: &Command) -> Answer {
    let header: GetLiteTopicInfo = request.header()?;
    let parent_topic = header.parent_topic.as_deref().unwrap_or_default();
    parent(broker, parent_topic)?;
    let queue = lite::queue_name(parent_topic, header.lite_topic.as_deref().unwrap_or_default());
    let (mut topic_offset, mut subscriber) = <_>::default();
    if let Some(queue) = queue {
        topic_offset = offsets(broker, &queue);
        let members = broker.lite.look(|board| board.members(&queue)).into_iter();
        subscriber = members
            .map(|(client, group)| ClientGroup {
                client_id: client.to_string(),
                group: group.to_string(),
            })
            .collect();
    }
    let body = LiteTopicInfo {
        lite_topic: header.lite_topic.map(|name| name.to_string()),
        parent_topic: parent_topic.to_owned(),
        sharding_to_broker: true,
        subscriber,
        topic_offset,
    };
    Ok(Command::success().with_body(json::to_vec(&body)))
}

fn offsets(broker: &Broker, queue: &str) -> TopicOffset {
    let max_offset = broker.max_offset(queue);
    if max_offset <= 0 {
        return TopicOffset::default();
    }
    let min = broker.store.min_offset(queue, QueueId(QUEUE as u32));
    TopicOffset {
        last_update_timestamp: stored_at(broker, queue, max_offset - 1),
        max_offset,
        min_offset: min.map_or(0, |min| min.0 as i64),
    }
}

/// -1: it is not there.
fn stored_at(broker: &Broker, queue: &str, offset: i64) -> i64 {
    broker.lite_store_time(queue, offset).map_or(-1, |at| at.0)
}

pub fn client_info(broker: &Broker, request: &Command) -> Answer {
    let header: GetLiteClientInfo = request.header()?;
    let most = header.max_count.unwrap_or(TOLD_BY_DEFAULT);
    let Some(most) = usize::try_from(most).ok().filter(|&most| most > 0) else {
        return Err(RequestError::LiteMaxCount);
    };
    let parent_topic = header.parent_topic.as_deref().unwrap_or_default();
    let group_name = header.group.as_deref().unwrap_or_default();
    parent(broker, parent_topic)?;
    let config = group(broker, group_name)?;
    if lite::bound_topic(&config) != Some(parent_topic) {
        let (group, topic) = (names::shown(group_name), names::shown(parent_topic));
        return Err(RequestError::LiteBinding { group, topic });
    }
    let client = header.client_id.as_deref().unwrap_or_default();
    let (queues, accessed) =
        broker.lite.look(|board| (board.queues(client), board.last_access(client)));
    let body = LiteClientInfo {
        client_id: header.client_id.as_deref().map(str::to_owned),
        group: group_name.to_owned(),
        last_access_time: accessed.map_or(-1, |at| at.0),
        last_consume_time: 0,
        lite_topic_count: queues.as_ref().map_or(-1, |queues| number(queues.len())),
        lite_topic_set: queues.map(|queues| {
            queues.iter().take(most.min(TOLD_MAX)).map(|queue| queue.to_string()).collect()
        }),
        parent_topic: parent_topic.to_owned(),
    };
    Ok(Command::success().with_body(json::to_vec(&body)))
}

pub fn group_info(broker: &Broker, request: &Command) -> Answer {
    let header: GetLiteGroupInfo = request.header()?;
    let group = &*header.group;
    let (_, parent_topic) = lite_group(broker, group)?;
    let mut body = LiteGroupInfo {
        group: group.to_owned(),
        lite_topic: header.lite_topic.as_deref().map(str::to_owned),
        parent_topic: parent_topic.clone(),
        ..LiteGroupInfo::default()
    };
    match header.lite_topic.and_then(|name| lite::queue_name(&parent_topic, &name)) {
        Some(queue) => of_queue(broker, group, &queue, &mut body),
        None => {
            let most = usize::try_from(header.top_k.unwrap_or(0)).unwrap_or(0);
            if most == 0 {
                return Err(RequestError::LiteTopK);
            }
            lags(broker, group, most, &mut body);
        }
    }
    Ok(Command::success().with_body(json::to_vec(&body)))
}

fn of_queue(broker: &Broker, group: &str, queue: &str, body: &mut LiteGroupInfo) {
    let max = broker.max_offset(queue);
    if max <= 0 {
        body.total_lag_count = -1;
        return;
    }
    let committed = broker.committed(group, queue);
    if committed < 0 {
        return;
    }
    body.total_lag_count = max - committed;
    body.earliest_unconsumed_timestamp = stored_at(broker, queue, committed);
    body.lite_topic_offset_wrapper = Some(ConsumeOffset {
        broker_offset: max,
        consumer_offset: committed,
        last_timestamp: if committed > 0 { stored_at(broker, queue, committed - 1) } else { 0 },
        pull_offset: 0,
    });
}

/// The lite topics of which the group lacks most, and longest.
fn lags(broker: &Broker, group: &str, most: usize, body: &mut LiteGroupInfo) {
    let behind = broker.offsets.topics_of(group).into_iter().filter(|topic| lite::is_queue(topic));
    let mut lags: Vec<LiteLag> = behind
        .filter_map(|queue| {
            let committed = broker.committed(group, &queue);
            let lag_count = broker.max_offset(&queue) - committed;
            (committed >= 0 && lag_count > 0).then(|| LiteLag {
                earliest_unconsumed_timestamp: stored_at(broker, &queue, committed),
                lag_count,
                lite_topic: lite::lite_of(&queue).unwrap_or_default().to_owned(),
            })
        })
        .collect();
    body.total_lag_count = lags.iter().map(|lag| lag.lag_count).sum();
    lags.sort_by_key(|lag| std::cmp::Reverse(lag.lag_count));
    body.lag_count_top_k = Some(lags.iter().take(most).cloned().collect());
    // Java collects times as it hands out messages, if it is told to.
    let collects = broker.settings().broker.lite_lag_latency_collect_enable;
    lags.retain(|lag| collects && lag.earliest_unconsumed_timestamp > 0);
    lags.sort_by_key(|lag| lag.earliest_unconsumed_timestamp);
    let kept = usize::try_from(broker.settings().broker.lite_lag_latency_top_k).unwrap_or(0);
    lags.truncate(most.min(kept));
    let earliest = lags.first().map(|lag| lag.earliest_unconsumed_timestamp);
    body.earliest_unconsumed_timestamp = earliest.unwrap_or(-1);
    body.lag_timestamp_top_k = Some(lags);
}

pub fn trigger_dispatch(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let TriggerLiteDispatch { group, client_id } = request.header()?;
    lite_group(broker, &group)?;
    broker.with_lite(now, |board, at| match client_id.as_deref().filter(|id| !id.is_empty()) {
        Some(client) => board.round_of_client(client, &group, at),
        None => board.round_of_group(&group, at),
    });
    Ok(Command::success())
}
