//! Topics: 17, 18, 21, 215, 300, 305, 343, 351.

use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;
use skua_config::Settings;
use skua_protocol::body::{
    DataVersion, GroupList, TopicConfig, TopicConfigList, TopicFilterType, TopicList,
};
use skua_protocol::request::{
    DeleteTopicInBroker, GetAllTopicConfig, GetAllTopicConfigResponse, GetTopicConfig,
    QueryTopicConsumeByWho, QueryTopicsByConsumer, UpdateAndCreateTopic,
};
use skua_protocol::service::Outcome;
use skua_protocol::{Command, Millis, json};

use super::error::RequestError;
use super::{Answer, reply};
use crate::broker::Broker;
use crate::client::Consumers;
use crate::consumer_offsets::ConsumerOffsets;
use crate::lite;
use crate::names::{self, SystemTopics};
use crate::static_topics::Mapping;
use crate::topic_table::attributes::{self, MESSAGE_TYPE, MESSAGE_TYPE_MIXED};

/// Creates or changes a topic. Answered when the name servers know, so that whoever asked may
/// send at once.
pub fn update(broker: &Arc<Broker>, request: Command, now: Millis) -> Outcome {
    let read = || -> Result<TopicConfig, RequestError> {
        let header: UpdateAndCreateTopic = request.header()?;
        let filter_type = TopicFilterType::from_name(&header.topic_filter_type);
        let text = header.attributes.as_deref().unwrap_or_default();
        Ok(TopicConfig {
            attributes: attributes::parse(text)
                .map_err(|error| RequestError::UpdateTopic(error.into()))?,
            order: header.order,
            perm: header.perm,
            read_queue_nums: header.read_queue_nums,
            topic_filter_type: filter_type.ok_or_else(|| RequestError::Parameter {
                name: "topicFilterType",
                value: header.topic_filter_type.to_string(),
                accepted: "SINGLE_TAG, MULTI_TAG",
            })?,
            topic_name: header.topic.to_string(),
            topic_sys_flag: header.topic_sys_flag.unwrap_or(0),
            write_queue_nums: header.write_queue_nums,
        })
    };
    match read() {
        Ok(config) => change(broker, vec![config], now),
        Err(error) => reply(Err(error)),
    }
}

pub fn update_list(broker: &Arc<Broker>, request: Command, now: Millis) -> Outcome {
    match json::from_slice::<TopicConfigList>(&request.body) {
        Ok(list) => change(broker, list.topic_config_list, now),
        Err(error) => reply(Err(error.into())),
    }
}

fn change(broker: &Arc<Broker>, configs: Vec<TopicConfig>, now: Millis) -> Outcome {
    let broker = broker.clone();
    Outcome::Blocking(Box::new(move || match change_now(&broker, configs, now) {
        Ok(true) => {
            let registered = broker.topics_changed();
            Outcome::Later(Box::pin(async move {
                registered.await;
                Command::success()
            }))
        }
        Ok(false) => Outcome::Reply(Command::success()),
        Err(error) => reply(Err(error)),
    }))
}

/// False if everything is as asked already.
fn change_now(
    broker: &Broker,
    configs: Vec<TopicConfig>,
    now: Millis,
) -> Result<bool, RequestError> {
    let settings = broker.settings();
    for config in &configs {
        check_name(broker, &config.topic_name)?;
        let message_type = config.attributes.get(&format!("+{MESSAGE_TYPE}"));
        if !settings.broker.enable_mixed_message_type
            && message_type.is_some_and(|value| value == MESSAGE_TYPE_MIXED)
        {
            return Err(RequestError::MixedType);
        }
        for (name, queues) in
            [("readQueueNums", config.read_queue_nums), ("writeQueueNums", config.write_queue_nums)]
        {
            if queues < 0 {
                let value = queues.to_string();
                return Err(RequestError::Parameter { name, value, accepted: "a number from 0" });
            }
        }
    }
    let same = |config: &TopicConfig| {
        broker.topics.get(&config.topic_name).is_some_and(|there| there.config == *config)
    };
    if configs.iter().all(same) {
        return Ok(false);
    }
    broker.topics.update(configs, now)?;
    broker.tell_topics();
    Ok(true)
}

fn check_name(broker: &Broker, topic: &str) -> Result<(), RequestError> {
    names::check_topic(topic)?;
    check_not_system(broker, topic)
}

fn check_not_system(broker: &Broker, topic: &str) -> Result<(), RequestError> {
    let checked = broker.settings().broker.validate_system_topic_when_update_topic;
    if checked && broker.system_topics.contains(topic) {
        return Err(RequestError::SystemTopic(topic.to_owned()));
    }
    Ok(())
}

/// Deletes a topic with its messages, offsets and, if so configured, pop's retry topics.
pub fn delete(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let header: DeleteTopicInBroker = request.header()?;
    let topic = header.topic.trim();
    if topic.is_empty() {
        return Err(RequestError::BlankTopic);
    }
    check_not_system(broker, topic)?;
    let mut topics = vec![topic.to_owned()];
    if broker.settings().broker.clear_retry_topic_when_delete_topic {
        for group in broker.offsets.groups_of(topic) {
            let prefix = names::RETRY_PREFIX;
            topics.push(format!("{prefix}{group}+{topic}"));
            topics.push(format!("{prefix}{group}_{topic}"));
        }
        topics.retain(|name| name == topic || broker.topics.contains(name));
    }
    for topic in topics {
        if broker.topics.get(&topic).is_some_and(|topic| lite::is_parent(&topic)) {
            broker.delete_lites_of(&topic, now);
        }
        broker.topics.remove(&topic, now)?;
        broker.forget_pops_of(&topic, now)?;
        broker.tell_topics();
        broker.static_topics.remove(&topic, now)?;
        broker.limits.forget_topic(&topic);
        broker.offsets.remove_topic(&topic);
        // Else a crash would send groups to where they were in the topic's former life.
        broker.save_offsets()?;
        broker.store.delete_topic(&topic)?;
        broker.store.forget_timer_metrics(&topic);
        tracing::info!(topic, "topic deleted");
    }
    broker.wake_to_save_offsets(now);
    Ok(Command::success())
}

/// Java: `TopicConfigAndQueueMapping`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConfigAndMapping<'a> {
    #[serde(flatten)]
    config: &'a TopicConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    mapping_detail: Option<&'a Mapping>,
}

/// A topic's configuration; of a static topic with its mapping, unless another broker asks.
pub fn get(broker: &Broker, request: &Command) -> Answer {
    let header: GetTopicConfig = request.header()?;
    let Some(topic) = broker.topics.get(&header.topic) else {
        return Err(RequestError::NoTopicConfig(names::shown(&header.topic)));
    };
    let logical = request.fields.get("lo") != Some("false");
    let mapping = broker.static_topics.get(&header.topic).filter(|_| logical);
    let body = ConfigAndMapping { config: &topic.config, mapping_detail: mapping.as_deref() };
    Ok(Command::success().with_body(json::to_vec(&body)))
}

/// All topics to clients that name no page, else the page.
pub fn get_all(broker: &Broker, request: &Command) -> Answer {
    let header: GetAllTopicConfig = request.header()?;
    let settings = &broker.settings();
    let mut table = broker.topics.snapshot();
    table.mapping_data_version = broker.static_topics.version();
    if !broker.static_topics.is_empty() {
        let mappings = broker.static_topics.all().into_iter();
        let shown = |mapping: &Mapping| json::from_slice(&json::to_vec(mapping)).ok();
        table.topic_queue_mapping_detail_map =
            mappings.filter_map(|(topic, mapping)| Some((topic, shown(&mapping)?))).collect();
    }
    let total = table.topic_config_table.len();
    let asked = Page {
        first: header.topic_seq,
        version: header.data_version.as_deref(),
        max: header.max_topic_num,
    };
    if let Some(range) = page(&asked, total, table.data_version, settings) {
        let all = std::mem::take(&mut table.topic_config_table);
        table.topic_config_table = all.into_iter().skip(range.start).take(range.len()).collect();
    }
    let header = GetAllTopicConfigResponse { total_topic_num: i32::try_from(total).ok() };
    Ok(Command::success().with_header(&header).with_body(json::to_vec(&table)))
}

/// A part of a table, as its reader asks for it.
pub struct Page<'a> {
    pub first: Option<i32>,
    /// The version that the reader's earlier pages have, as JSON.
    pub version: Option<&'a str>,
    pub max: Option<i32>,
}

/// Which entries to give; `None`: all. A reader whose pages are of another version begins anew.
pub fn page(
    asked: &Page<'_>,
    total: usize,
    version: DataVersion,
    settings: &Settings,
) -> Option<Range<usize>> {
    let unpaged = asked.first.is_none() && asked.version.is_none() && asked.max.is_none();
    if unpaged || !settings.broker.enable_split_metadata {
        return None;
    }
    let same = asked
        .version
        .and_then(|text| json::from_slice::<DataVersion>(text.as_bytes()).ok())
        .is_some_and(|theirs| theirs == version);
    let first = if same { asked.first.unwrap_or(0) } else { 0 };
    let first = usize::try_from(first).unwrap_or(0).min(total);
    let limit = usize::try_from(settings.broker.split_metadata_size).unwrap_or(usize::MAX);
    let max = asked.max.map_or(limit, |max| usize::try_from(max).unwrap_or(0).min(limit));
    Some(first..first.saturating_add(max).min(total))
}

pub fn system_list(system: &SystemTopics) -> Answer {
    let topic_list = system.iter().map(str::to_owned).collect();
    let body = TopicList { broker_addr: None, topic_list };
    Ok(Command::success().with_body(json::to_vec(&body)))
}

/// Groups that subscribe to a topic or have consumed it.
pub fn consumed_by(consumers: &Consumers, offsets: &ConsumerOffsets, request: &Command) -> Answer {
    let header: QueryTopicConsumeByWho = request.header()?;
    let mut groups = consumers.groups_of_topic(&header.topic);
    groups.extend(offsets.groups_of(&header.topic));
    let body = GroupList { group_list: groups.into_iter().collect() };
    Ok(Command::success().with_body(json::to_vec(&body)))
}

/// Topics of which a group has committed offsets.
pub fn of_consumer(offsets: &ConsumerOffsets, broker_addr: String, request: &Command) -> Answer {
    let header: QueryTopicsByConsumer = request.header()?;
    let topic_list = offsets.topics_of(&header.group).into_iter().collect();
    let body = TopicList { broker_addr: Some(broker_addr), topic_list };
    Ok(Command::success().with_body(json::to_vec(&body)))
}
