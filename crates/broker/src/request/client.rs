//! Clients and their groups: 34, 35, 38, 46, 203, 204, 328.

use std::sync::Arc;

use skua_protocol::body::{
    CheckClient, ConsumeType, ConsumerConnection, ConsumerData, ConsumerListResponse,
    HeartbeatData, ProducerConnection, ProducerInfo, ProducerTable, SubscriptionGroupConfig,
    TopicConfig,
};
use skua_protocol::request::{
    GetConsumerConnectionList, GetConsumerListByGroup, GetProducerConnectionList,
    HeartBeatResponse, UnregisterClient,
};
use skua_protocol::service::{Outcome, Peer};
use skua_protocol::{Command, Millis, json};

use super::error::RequestError;
use super::{Answer, blocking, reply};
use crate::broker::Broker;
use crate::client::{ConsumerBeat, Consumers, Member, Producers};
use crate::names;
use crate::sql92::consumer_filters;
use crate::topic_table::retry_topic_config;

/// A client announces itself. What does not exist yet, groups and retry topics, is made: that
/// writes files, so then the heartbeat is taken up where waiting for the disk is allowed.
pub fn heartbeat(
    broker: &Arc<Broker>,
    peer: &Arc<dyn Peer>,
    request: &Command,
    now: Millis,
) -> Outcome {
    let heartbeat: HeartbeatData = match json::from_slice(&request.body) {
        Ok(heartbeat) => heartbeat,
        Err(error) => return reply(Err(error.into())),
    };
    if heartbeat.client_id.is_empty() {
        return reply(Err(RequestError::MissingMember("clientID")));
    }
    broker.reached.look(&**peer, broker.store_host().ip(), &broker.address());
    let member =
        Member::new(peer.clone(), &heartbeat.client_id, request.language, request.version, now);
    let short = is_short(&heartbeat);
    if heartbeat.consumer_data_set.iter().any(|consumer| creates(broker, consumer, short)) {
        let broker = broker.clone();
        blocking(move || take_up(&broker, &member, &heartbeat, now))
    } else {
        reply(take_up(broker, &member, &heartbeat, now))
    }
}

/// Whether subscriptions are left out because they are as before.
fn is_short(heartbeat: &HeartbeatData) -> bool {
    heartbeat.heartbeat_fingerprint != 0 && heartbeat.without_sub
}

fn creates(broker: &Broker, consumer: &ConsumerData, short: bool) -> bool {
    let group = consumer.group_name.as_str();
    match broker.groups.get(group) {
        None => broker.groups.would_create(group, broker.auto_create_groups()),
        Some(config) => retry_topic_wanted(broker, consumer, &config, short).is_some(),
    }
}

/// The group's retry topic if it is not there as it should be: it is ordered when a topic is
/// that the group subscribes to. A heartbeat without subscriptions says nothing about that.
fn retry_topic_wanted(
    broker: &Broker,
    consumer: &ConsumerData,
    config: &SubscriptionGroupConfig,
    short: bool,
) -> Option<TopicConfig> {
    let mut subscriptions = consumer.subscription_data_set.iter();
    let order = subscriptions.any(|subscription| broker.topics.is_ordered(&subscription.topic));
    let queues = config.retry_queue_nums;
    let wanted = TopicConfig {
        order,
        ..retry_topic_config(&consumer.group_name, queues, consumer.unit_mode)
    };
    match broker.topics.get(&wanted.topic_name) {
        Some(there) if short || there.config.order == order => None,
        _ => Some(wanted),
    }
}

fn take_up(
    broker: &Arc<Broker>,
    member: &Member,
    heartbeat: &HeartbeatData,
    now: Millis,
) -> Answer {
    let short = is_short(heartbeat);
    // Java: to a client that sends no fingerprint everything counts as changed.
    let mut subscription_changed = heartbeat.heartbeat_fingerprint == 0;
    let mut topics_made = false;
    for consumer in &heartbeat.consumer_data_set {
        let reject = broker.settings().broker.reject_pull_consumer_enable;
        if reject && consumer.consume_type == ConsumeType::Actively {
            continue;
        }
        let group = consumer.group_name.as_str();
        let Some(config) = broker.groups.find(group, broker.auto_create_groups(), now)? else {
            continue;
        };
        if let Some(retry) = retry_topic_wanted(broker, consumer, &config, short) {
            topics_made |= broker.topics.ensure(retry, now)?.1;
        }
        let beat = ConsumerBeat {
            group,
            consume_type: consumer.consume_type,
            message_model: consumer.message_model,
            consume_from_where: consumer.consume_from_where,
            subscriptions: (!short).then_some(&*consumer.subscription_data_set),
            fingerprint: heartbeat.heartbeat_fingerprint,
            notify: config.notify_consumer_ids_changed_enable && broker.notifies_clients(),
        };
        broker.count_beat(|counters| &counters.consumer_beats, now);
        subscription_changed |= broker.consumers.beat(member.again(), &beat, now);
        if !short {
            broker.filters.register(group, &consumer.subscription_data_set, now);
        }
    }
    for producer in &heartbeat.producer_data_set {
        broker.count_beat(|counters| &counters.producer_beats, now);
        broker.producers.beat(member.again(), &producer.group_name, now);
    }
    broker.wake_for_clients(now);
    if topics_made {
        drop(broker.topics_changed());
    }
    let header = HeartBeatResponse {
        supports_v2: Some(true),
        subscription_changed: Some(subscription_changed),
    };
    Ok(Command::success().with_header(&header))
}

pub fn unregister(broker: &Broker, peer: &Arc<dyn Peer>, request: &Command, now: Millis) -> Answer {
    let header: UnregisterClient = request.header()?;
    if let Some(group) = header.producer_group {
        broker.producers.unregister(&group, peer.id());
    }
    if let Some(group) = header.consumer_group {
        broker.consumers.unregister(&group, peer.id(), broker.notifies_group(&group));
        broker.bury_filters(now);
    }
    Ok(Command::success())
}

/// Asked by a consumer before it starts, whether its subscription can be served.
pub fn check_config(broker: &Broker, request: &Command) -> Answer {
    if request.body.is_empty() {
        return Ok(Command::success());
    }
    let CheckClient { subscription_data, client_id, group, .. } = json::from_slice(&request.body)?;
    if subscription_data.is_by_tags() {
        return Ok(Command::success());
    }
    let kind = subscription_data.expression_type.as_str();
    if !broker.settings().broker.enable_property_filter {
        return Err(RequestError::FilterType(names::shown(kind)));
    }
    let expression = subscription_data.sub_string.as_str();
    consumer_filters::compile(kind, expression).map_err(|cause| {
        tracing::info!(client_id, group, expression, cause, "filter does not compile");
        RequestError::FilterSyntax(cause)
    })?;
    Ok(Command::success())
}

/// Client ids of a group; all its clients must see the same, in any order.
pub fn list(consumers: &Consumers, request: &Command) -> Answer {
    let header: GetConsumerListByGroup = request.header()?;
    let Some(group) = consumers.get(&header.consumer_group) else {
        return Err(RequestError::NoConsumer(header.consumer_group.to_string()));
    };
    let ids = group.members.iter().map(|member| member.client_id.to_string());
    let body = ConsumerListResponse { consumer_id_list: ids.collect() };
    Ok(Command::success().with_body(json::to_vec(&body)))
}

pub fn consumers(consumers: &Consumers, request: &Command) -> Answer {
    let header: GetConsumerConnectionList = request.header()?;
    let Some(group) = consumers.get(&header.consumer_group) else {
        return Err(RequestError::ConsumerOffline(header.consumer_group.to_string()));
    };
    let subscriptions = group.subscriptions.iter();
    let body = ConsumerConnection {
        connection_set: group.members.iter().map(|member| member.connection()).collect(),
        consume_from_where: group.consume_from_where,
        consume_type: group.consume_type,
        message_model: group.message_model,
        subscription_table: subscriptions
            .map(|(topic, subscription)| (topic.to_string(), subscription.data.clone()))
            .collect(),
    };
    Ok(Command::success().with_body(json::to_vec(&body)))
}

pub fn producers(producers: &Producers, request: &Command) -> Answer {
    let header: GetProducerConnectionList = request.header()?;
    let Some(group) = producers.get(&header.producer_group) else {
        return Err(RequestError::NoProducer(header.producer_group.to_string()));
    };
    let connections = group.members.iter().map(|member| member.connection());
    let body = ProducerConnection { connection_set: connections.collect() };
    Ok(Command::success().with_body(json::to_vec(&body)))
}

pub fn all_producers(producers: &Producers) -> Answer {
    let info = |member: &Arc<Member>| ProducerInfo {
        client_id: member.client_id.to_string(),
        language: member.language.name().to_owned(),
        last_update_timestamp: member.last_seen().0,
        // Java prints addresses with a slash before them.
        remote_ip: format!("/{}", member.peer.remote_addr()),
        version: member.version,
    };
    let groups = producers.all().into_iter();
    let data = groups
        .map(|(name, group)| (name.to_string(), group.members.iter().map(info).collect()))
        .collect();
    Ok(Command::success().with_body(json::to_vec(&ProducerTable { data })))
}
