//! Subscription groups: 200, 201, 207, 225, 345, 352, 353.

use skua_config::Settings;
use skua_protocol::body::{
    GroupForbidden, GroupSubscription, SubscriptionGroupConfig, SubscriptionGroupConfigList,
};
use skua_protocol::header::DecodeFieldsError;
use skua_protocol::request::{
    DeleteSubscriptionGroup, GetAllSubscriptionGroupConfig, GetAllSubscriptionGroupConfigResponse,
    GetSubscriptionGroupConfig, QuerySubscriptionByConsumer, UpdateAndGetGroupForbidden,
};
use skua_protocol::{Command, Millis, json};

use super::Answer;
use super::error::RequestError;
use super::topic::{Page, page};
use crate::broker::Broker;
use crate::group_table::GroupTable;
use crate::lite::bound_topic;

pub fn update(groups: &GroupTable, request: &Command, now: Millis) -> Answer {
    let config: SubscriptionGroupConfig = json::from_slice(&request.body)?;
    groups.update(vec![config], now)?;
    Ok(Command::success())
}

pub fn update_list(groups: &GroupTable, request: &Command, now: Millis) -> Answer {
    let list: SubscriptionGroupConfigList = json::from_slice(&request.body)?;
    groups.update(list.group_config_list, now)?;
    Ok(Command::success())
}

/// Java: an unknown group is made, and returned, if groups come into being by use.
pub fn get(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let header: GetSubscriptionGroupConfig = request.header()?;
    match broker.groups.find(&header.group, broker.auto_create_groups(), now)? {
        Some(config) => Ok(Command::success().with_body(json::to_vec(&*config))),
        None => Err(RequestError::NoGroupConfig(header.group.to_string())),
    }
}

/// All groups to clients that name no page, else the page.
pub fn get_all(groups: &GroupTable, request: &Command, settings: &Settings) -> Answer {
    let header: GetAllSubscriptionGroupConfig = request.header()?;
    let mut table = groups.snapshot();
    let total = table.subscription_group_table.len();
    let asked = Page {
        first: header.group_seq,
        version: header.data_version.as_deref(),
        max: header.max_group_num,
    };
    if let Some(range) = page(&asked, total, table.data_version, settings) {
        let all = std::mem::take(&mut table.subscription_group_table);
        table.subscription_group_table =
            all.into_iter().skip(range.start).take(range.len()).collect();
        let groups = &table.subscription_group_table;
        table.forbidden_table.retain(|group, _| groups.contains_key(group));
    }
    let header =
        GetAllSubscriptionGroupConfigResponse { total_group_num: i32::try_from(total).ok() };
    Ok(Command::success().with_header(&header).with_body(json::to_vec(&table)))
}

pub fn delete(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let header: DeleteSubscriptionGroup = request.header()?;
    let is_lite = broker.groups.get(&header.group_name).is_some_and(|g| bound_topic(&g).is_some());
    broker.groups.remove(&header.group_name, now)?;
    if is_lite || header.clean_offset == Some(true) {
        broker.offsets.remove_group(&header.group_name);
    }
    broker.forget_group_counts(&header.group_name);
    broker.limits.forget_group(&header.group_name);
    Ok(Command::success())
}

/// Java answers with an empty remark.
pub fn forbidden(groups: &GroupTable, request: &Command, now: Millis) -> Answer {
    let UpdateAndGetGroupForbidden { group, topic, readable } = request.header()?;
    if let Some(readable) = readable {
        groups.set_readable(&group, &topic, readable, now)?;
    }
    let body = GroupForbidden {
        group: group.to_string(),
        readable: Some(groups.may_read(&group, &topic)),
        topic: topic.to_string(),
    };
    Ok(Command::success().with_remark("").with_body(json::to_vec(&body)))
}

/// Of a group that is connected or pulls; without subscription if it has none.
pub fn subscription(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let header: QuerySubscriptionByConsumer = request.header()?;
    let topic = header.topic.ok_or(DecodeFieldsError::Missing("topic"))?;
    let body = GroupSubscription {
        group: header.group.to_string(),
        subscription_data: broker.subscription_data(&header.group, &topic, now),
        topic: topic.to_string(),
    };
    Ok(Command::success().with_body(json::to_vec(&body)))
}
