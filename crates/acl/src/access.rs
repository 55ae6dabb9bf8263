//! What a request wants to do to what: the one table of it.
//!
//! Java: the annotations of request headers and `DefaultAuthorizationContextBuilder`. Where Java
//! asks for no right although other people's messages, groups or the whole broker are at stake, a
//! right is asked for here; those rows say so, and `docs/security.md` lists them.

use serde::de::DeserializeOwned;
use skua_protocol::body::{
    BatchAckBody, HeartbeatData, LiteSubscription, LiteSubscriptions, LockBatch,
    MessageRequestModeConfig, SubscriptionGroupConfig, SubscriptionGroupConfigList,
    TopicConfigList,
};
use skua_protocol::{Command, RequestCode, json};

use crate::resource::{Action, ResourceType};

pub(crate) const RETRY_PREFIX: &str = "%RETRY%";
const DLQ_PREFIX: &str = "%DLQ%";

/// One thing a request wants; any of the actions will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    pub kind: ResourceType,
    pub name: String,
    pub actions: &'static [Action],
}

impl Access {
    fn topic(name: &str, actions: &'static [Action]) -> Self {
        Self { kind: ResourceType::Topic, name: name.to_owned(), actions }
    }

    /// The group itself, or the one whose retry topic is named.
    fn group(name: &str, actions: &'static [Action]) -> Self {
        let name = match name.strip_prefix(RETRY_PREFIX) {
            Some(rest) => rest.strip_prefix(DLQ_PREFIX).unwrap_or(rest),
            None => name,
        };
        Self { kind: ResourceType::Group, name: name.to_owned(), actions }
    }

    /// A topic, or the group whose retry topic it is.
    fn topic_or_group(name: &str, actions: &'static [Action]) -> Self {
        match is_retry(name) {
            true => Self::group(name, actions),
            false => Self::topic(name, actions),
        }
    }

    /// As rules write it.
    pub fn resource(&self) -> String {
        format!("{}:{}", self.kind.name(), self.name)
    }
}

/// The body does not say what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parse authorization context error.")]
pub struct Unreadable;

fn is_retry(topic: &str) -> bool {
    topic.starts_with(RETRY_PREFIX)
}

/// Where a row finds the names.
enum Place {
    Topic(&'static str),
    Group(&'static str),
    /// Names with this between them.
    Topics(&'static str, char),
    Groups(&'static str, char),
}

use Action::{Create, Delete, Get, List, Pub, Sub, Update};
use Place::{Group, Groups, Topic, Topics};

/// Topic and group as most requests of consumers name them.
const CONSUMER: &[Place] = &[Group("consumerGroup"), Topic("topic")];

/// What `request` wants on a broker of `cluster`; nothing if to be known is enough.
///
/// # Errors
/// If its body has to say so and cannot be read.
pub fn accesses(request: &Command, cluster: &str) -> Result<Vec<Access>, Unreadable> {
    use RequestCode as C;
    let Some(code) = RequestCode::from_i32(request.code) else { return Ok(Vec::new()) };
    let field = |name: &str| request.fields.get(name);
    // Java prints an absent name so; its handler refuses the request.
    let named = |name: &str| field(name).unwrap_or("null");
    let whole = |actions| {
        let access = Access { kind: ResourceType::Cluster, name: cluster.to_owned(), actions };
        Ok(vec![access])
    };
    let (actions, places): (&'static [Action], &[Place]) = match code {
        // Java asks about the producer group when it is a retry topic, which the sender chooses.
        C::SendMessage => return Ok(vec![send(named("topic"))]),
        C::SendMessageV2 | C::SendBatchMessage => return Ok(vec![send(named("b"))]),
        C::EndTransaction => {
            let topic = field("topic").filter(|topic| !topic.trim().is_empty());
            return Ok(topic.map(|topic| Access::topic(topic, &[Pub])).into_iter().collect());
        }
        C::ConsumerSendMsgBack => return Ok(vec![Access::group(named("group"), &[Sub])]),
        // Java: LitePullMessage needs no right, though it reads messages as PullMessage does.
        C::PullMessage | C::LitePullMessage => {
            return Ok(consume(named("topic"), named("consumerGroup"), &[Sub]));
        }
        C::QueryConsumerOffset => {
            return Ok(consume(named("topic"), named("consumerGroup"), &[Sub, Get]));
        }
        C::UpdateConsumerOffset => {
            return Ok(consume(named("topic"), named("consumerGroup"), &[Sub, Update]));
        }
        C::UnregisterClient => {
            let group = field("consumerGroup").filter(|group| !group.trim().is_empty());
            return Ok(group.map(|group| Access::group(group, &[Sub])).into_iter().collect());
        }
        C::GetConsumerListByGroup => {
            return Ok(vec![Access::group(named("consumerGroup"), &[Sub, Get])]);
        }
        C::HeartBeat => return heartbeat(&request.body),
        C::LockBatchMq | C::UnlockBatchMq => return lock(&request.body),
        C::GetRouteInfoByTopic => {
            let topic = named("topic");
            return Ok(vec![match is_retry(topic) {
                true => Access::group(topic, &[Sub, Get]),
                false => Access::topic(topic, &[Pub, Sub, Get]),
            }]);
        }
        // Java asks for no right.
        C::UpdateAndCreateTopicList => return in_body(&request.body, topics),
        C::UpdateAndCreateSubscriptionGroup => return in_body(&request.body, group),
        C::UpdateAndCreateSubscriptionGroupList => return in_body(&request.body, groups),
        C::BatchAckMessage => return batch_ack(&request.body),
        C::SetMessageRequestMode => return in_body(&request.body, mode),
        C::LiteSubscriptionCtl => return in_body(&request.body, lite),
        C::UpdateBrokerConfig
        | C::CleanExpiredConsumeQueue
        | C::CleanUnusedTopic
        | C::DeleteExpiredCommitLog
        | C::UpdateColdDataFlowCtrConfig
        | C::RemoveColdDataFlowCtrConfig
        | C::SetCommitLogReadMode
        | C::SwitchTimerEngine => return whole(&[Update]),

        C::QueryMessage => (&[Sub, Get], &[Topic("topic")]),
        C::RecallMessage => (&[Pub], &[Topic("topic")]),
        C::UpdateAndCreateTopic | C::UpdateAndCreateStaticTopic => (&[Create], &[Topic("topic")]),
        C::SearchOffsetByTimestamp
        | C::GetMaxOffset
        | C::GetMinOffset
        | C::GetEarliestMsgStoreTime
        | C::ViewMessageById
        | C::GetTopicStatsInfo
        | C::QueryTopicConsumeByWho
        | C::GetTopicConfig
        | C::CheckRocksDbCqWriteProgress => (&[Get], &[Topic("topic")]),
        C::GetConsumerConnectionList | C::GetConsumerRunningInfo => {
            (&[Get], &[Group("consumerGroup")])
        }
        C::DeleteSubscriptionGroup => (&[Delete], &[Group("groupName")]),
        C::GetConsumeStats => {
            (&[Get], &[Group("consumerGroup"), Topic("topic"), Topics("topicList", ';')])
        }
        C::DeleteTopicInBroker => (&[Delete], &[Topic("topic")]),
        C::InvokeBrokerToResetOffset | C::UpdateAndGetGroupForbidden => {
            (&[Update], &[Group("group"), Topic("topic")])
        }
        C::InvokeBrokerToGetConsumerStatus | C::QueryConsumeTimeSpan => {
            (&[Get], &[Topic("topic"), Group("group")])
        }
        C::QueryCorrectionOffset => {
            (&[Get], &[Groups("filterGroups", ','), Group("compareGroup"), Topic("topic")])
        }
        C::CloneGroupOffset => (&[Update], &[Group("destGroup"), Topic("topic")]),
        C::QueryConsumeQueue => (&[Get], &[Topic("topic"), Group("consumerGroup")]),
        C::ResumeCheckHalfMessage => (&[Update], &[Topic("topic")]),
        C::QueryTopicsByConsumer | C::GetSubscriptionGroupConfig => (&[Get], &[Group("group")]),
        C::QuerySubscriptionByConsumer => (&[Get], &[Group("group"), Topic("topic")]),
        C::ConsumeMessageDirectly | C::PopMessage | C::PopLiteMessage | C::Notification => {
            (&[Sub], CONSUMER)
        }
        C::GetParentTopicInfo => (&[Get], &[Topic("topic")]),
        C::GetLiteTopicInfo => (&[Get], &[Topic("parentTopic")]),
        C::GetLiteClientInfo => (&[Get], &[Topic("parentTopic"), Group("group")]),
        C::GetLiteGroupInfo => (&[Get], &[Group("group")]),
        C::TriggerLiteDispatch => (&[Update], &[Group("group")]),
        C::PeekMessage => (&[Sub], &[Topic("topic"), Group("consumerGroup")]),
        C::AckMessage | C::ChangeMessageInvisibleTime => {
            let (topic, group) = (named("topic"), named("consumerGroup"));
            let own = Access { kind: ResourceType::Group, name: group.to_owned(), actions: &[Sub] };
            // The retry topic of pops has the topic's name after the group's, which Java takes for
            // a group. What is acknowledged is the group's own either way.
            let rest = topic.strip_prefix(RETRY_PREFIX).and_then(|t| t.strip_prefix(group));
            return Ok(match rest {
                Some(rest) if rest.is_empty() || rest.starts_with(['_', '+']) => vec![own],
                _ => vec![own, Access::topic_or_group(topic, &[Sub])],
            });
        }
        C::PollingInfo => (&[Get], CONSUMER),

        C::GetProducerConnectionList
        | C::GetBrokerLiteInfo
        | C::GetAllProducerInfo
        | C::ViewBrokerStatsData
        | C::GetBrokerConsumeStats
        | C::ExportRocksDbConfigToJson
        | C::AuthGetUser
        | C::AuthListUser
        | C::AuthGetAcl
        | C::AuthListAcl => return whole(&[Get]),
        C::ExchangeBrokerHaInfo
        | C::ResetMasterFlushOffset
        | C::NotifyMinBrokerIdChange
        | C::NotifyBrokerRoleChanged
        | C::HandOver
        | C::RaftControl
        | C::TakeOver
        | C::AuthCreateUser
        | C::AuthUpdateUser
        | C::AuthDeleteUser
        | C::AuthCreateAcl
        | C::AuthUpdateAcl
        | C::AuthDeleteAcl => return whole(&[Update]),
        // Java names no resource here, so that nothing is checked either.
        C::GetAllTopicConfig | C::GetAllSubscriptionGroupConfig => (&[List], &[]),
        // To be known is enough; or no broker serves it.
        _ => return Ok(Vec::new()),
    };
    let mut wanted = Vec::new();
    for place in places {
        let (name, splitter, is_group) = match *place {
            Topic(name) => (name, None, false),
            Topics(name, splitter) => (name, Some(splitter), false),
            Group(name) => (name, None, true),
            Groups(name, splitter) => (name, Some(splitter), true),
        };
        let Some(value) = field(name) else { continue };
        let values: Vec<&str> = match splitter {
            Some(splitter) => value.split(splitter).filter(|part| !part.is_empty()).collect(),
            None => vec![value],
        };
        for value in values {
            wanted.push(match is_group {
                true => Access { kind: ResourceType::Group, name: value.to_owned(), actions },
                false => Access::topic_or_group(value, actions),
            });
        }
    }
    Ok(wanted)
}

fn send(topic: &str) -> Access {
    match is_retry(topic) {
        true => Access::group(topic, &[Sub]),
        false => Access::topic(topic, &[Pub]),
    }
}

fn consume(topic: &str, group: &str, actions: &'static [Action]) -> Vec<Access> {
    let topic = match is_retry(topic) {
        // Java looks at the group that is named alone; the topic may be another group's.
        true => Access::group(topic, actions),
        false => Access::topic(topic, actions),
    };
    let group = Access::group(group, actions);
    if topic == group { vec![group] } else { vec![topic, group] }
}

fn heartbeat(body: &[u8]) -> Result<Vec<Access>, Unreadable> {
    let heartbeat: HeartbeatData = json::from_slice(body).map_err(|_| Unreadable)?;
    let mut wanted = Vec::new();
    for consumer in &heartbeat.consumer_data_set {
        wanted.push(Access::group(&consumer.group_name, &[Sub]));
        let topics = consumer.subscription_data_set.iter().map(|of| of.topic.as_str());
        wanted.extend(topics.filter(|topic| !is_retry(topic)).map(|t| Access::topic(t, &[Sub])));
    }
    Ok(wanted)
}

fn lock(body: &[u8]) -> Result<Vec<Access>, Unreadable> {
    let lock: LockBatch = json::from_slice(body).map_err(|_| Unreadable)?;
    let mut wanted = vec![Access::group(&lock.consumer_group, &[Sub])];
    for queue in &lock.mq_set {
        if !is_retry(&queue.topic) && wanted.iter().all(|access| access.name != queue.topic) {
            wanted.push(Access::topic(&queue.topic, &[Sub]));
        }
    }
    Ok(wanted)
}

fn batch_ack(body: &[u8]) -> Result<Vec<Access>, Unreadable> {
    let batch: BatchAckBody = json::from_slice(body).map_err(|_| Unreadable)?;
    let mut wanted = Vec::new();
    for ack in &batch.acks {
        let of_one =
            [Access::group(&ack.consumer_group, &[Sub]), Access::topic(&ack.topic, &[Sub])];
        for access in of_one {
            if !wanted.contains(&access) {
                wanted.push(access);
            }
        }
    }
    Ok(wanted)
}

/// What the body names, read into the handler's own type, so that both see the same.
fn in_body<T: DeserializeOwned>(
    body: &[u8],
    accesses: impl FnOnce(T) -> Vec<Access>,
) -> Result<Vec<Access>, Unreadable> {
    json::from_slice(body).map(accesses).map_err(|_| Unreadable)
}

fn topics(list: TopicConfigList) -> Vec<Access> {
    let topics = list.topic_config_list.iter();
    topics.map(|topic| Access::topic_or_group(&topic.topic_name, &[Create])).collect()
}

fn group(config: SubscriptionGroupConfig) -> Vec<Access> {
    vec![Access::group(&config.group_name, &[Create, Update])]
}

fn groups(list: SubscriptionGroupConfigList) -> Vec<Access> {
    list.group_config_list.into_iter().flat_map(group).collect()
}

fn lite(body: LiteSubscriptions) -> Vec<Access> {
    let entries = body.subscription_set.into_iter().flatten();
    let of_one = |entry: LiteSubscription| {
        let group = entry.group.map(|group| Access::group(&group, &[Sub]));
        let topic = entry.topic.map(|topic| Access::topic(&topic, &[Sub]));
        [group, topic].into_iter().flatten()
    };
    entries.flat_map(of_one).collect()
}

fn mode(body: MessageRequestModeConfig) -> Vec<Access> {
    vec![Access::group(&body.consumer_group, &[Update])]
}

#[cfg(test)]
mod tests;
