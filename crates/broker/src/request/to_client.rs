//! Requests that are carried on to a group's clients: 222 without the broker's own resets, 223,
//! 307, 309.

use std::sync::Arc;

use skua_protocol::body::{
    ClientOffsets, ConsumerStatus, MessageQueue, QueueOffsetForC, ResetOffsets, ResetOffsetsForC,
};
use skua_protocol::command::Language;
use skua_protocol::message_id::parse_offset_id;
use skua_protocol::request::{
    ConsumeMessageDirectly, GetConsumerRunningInfo, GetConsumerStatusFromClient,
    InvokeBrokerToGetConsumerStatus, InvokeBrokerToResetOffset, ResetConsumerClientOffset,
};
use skua_protocol::service::{Outcome, PeerError};
use skua_protocol::{Command, Millis, json};
use skua_store::Boundary;

use super::error::RequestError;
use super::offset::{max_of, offset_at};
use super::{Answer, reply};
use crate::broker::Broker;
use crate::client::Member;

/// Clients know 220 and 221 from `V3_0_7_SNAPSHOT` on.
const VERSION_WITH_OFFSETS: i32 = 28;
/// Clients know 307 and 309 from `V3_1_8_SNAPSHOT` on.
const VERSION_WITH_RUNNING_INFO: i32 = 62;
/// How long a client may take to answer 307 and 309.
const CALL_TIMEOUT_MS: u64 = 10_000;
/// How long a client may take to answer 221.
const STATUS_TIMEOUT_MS: u64 = 5_000;

/// What a consumer tells of itself.
pub fn running_info(broker: &Broker, request: Command) -> Outcome {
    match request.header::<GetConsumerRunningInfo>() {
        Ok(header) => {
            let (group, client) = (&*header.consumer_group, &*header.client_id);
            call(broker, group, client, request.clone())
        }
        Err(error) => reply(Err(error.into())),
    }
}

/// Lets a consumer consume one stored message now, and tells how it went. Reads the disk.
pub fn consume_directly(broker: &Broker, mut request: Command) -> Outcome {
    let prepared = (|| -> Result<(String, String), RequestError> {
        let header: ConsumeMessageDirectly = request.header()?;
        let group = header.consumer_group.to_string();
        let client = header.client_id.as_deref().unwrap_or("null").to_owned();
        let topic = header.topic.and_then(|topic| broker.topics.get(&topic));
        let config = broker.groups.get(&group);
        request.fields.set("brokerName", broker.name());
        if let Some(topic) = topic {
            request.fields.set("topicSysFlag", topic.config.topic_sys_flag.to_string());
        }
        if let Some(config) = config {
            request.fields.set("groupSysFlag", config.group_sys_flag.to_string());
        }
        let id = header.msg_id.as_deref().unwrap_or_default();
        let (_, offset) =
            parse_offset_id(id).map_err(|cause| RequestError::Other(cause.to_string()))?;
        let missing = || RequestError::NoMessageToView(offset.0 as i64);
        let found = broker.store.record_at(offset, None).ok().flatten();
        request.body = found.ok_or_else(missing)?;
        Ok((group, client))
    })();
    match prepared {
        Ok((group, client)) => call(broker, &group, &client, request),
        Err(error) => reply(Err(error)),
    }
}

/// Carries a request on to one client of a group, and its answer back.
fn call(broker: &Broker, group: &str, client: &str, request: Command) -> Outcome {
    let found = broker.consumers.get(group).and_then(|group| group.member(client).cloned());
    let (group, client) = (group.to_owned(), client.to_owned());
    let Some(member) = found else {
        return reply(Err(RequestError::ClientOffline { group, client }));
    };
    if member.version < VERSION_WITH_RUNNING_INFO {
        let version = member.version;
        return reply(Err(RequestError::ClientTooOld { client, version }));
    }
    let onward = Command { flag: 0, remark: None, ..request };
    let answer = member.peer.call(onward, CALL_TIMEOUT_MS);
    Outcome::Later(Box::pin(async move {
        answer.await.unwrap_or_else(|cause| {
            let (group, client) = (group.clone(), client.clone());
            let error = match cause {
                PeerError::Timeout(_) => RequestError::ClientTimeout { group, client, cause },
                PeerError::Closed | PeerError::Full => {
                    RequestError::ClientCall { group, client, cause }
                }
            };
            error.answer()
        })
    }))
}

/// Sends the connected clients of a group to other offsets, where the broker keeps no resets of
/// its own (`useServerSideResetOffset=false`). Reads the disk.
pub fn reset_offsets(broker: &Broker, language: Language, request: &Command) -> Answer {
    let header: InvokeBrokerToResetOffset = request.header()?;
    let (group, topic) = (&*header.group, &*header.topic);
    let Some(config) = broker.topics.get(topic) else {
        return Err(RequestError::NoTopicToReset(topic.to_owned()));
    };
    let mut table = ResetOffsets::default();
    for queue_id in 0..config.config.write_queue_nums {
        let Some(consumed) = broker.offsets.committed(group, topic, queue_id) else {
            return Err(RequestError::Other(format!("THe consumer group <{group}> not exist")));
        };
        let target = match header.timestamp {
            -1 => max_of(broker, topic, queue_id),
            time => offset_at(broker, topic, queue_id, Millis(time), Boundary::Lower),
        };
        let broker_name = broker.name().to_owned();
        let queue = MessageQueue { broker_name, queue_id, topic: topic.to_owned() };
        // Without force nobody is sent forward.
        table
            .offset_table
            .insert(queue, if header.is_force { target } else { target.min(consumed) });
    }
    let members = broker.consumers.get(group).map(|group| group.members.clone());
    let members = members.unwrap_or_default();
    if members.is_empty() {
        return Err(RequestError::NobodyToReset {
            group: group.to_owned(),
            topic: topic.to_owned(),
            timestamp: header.timestamp,
        });
    }
    let notice = Command::request(&ResetConsumerClientOffset {
        topic: header.topic.clone(),
        group: header.group.clone(),
        timestamp: header.timestamp,
        is_force: false,
    });
    let notice = notice.one_way().with_body(match language {
        Language::CPP => json::to_vec(&for_c(&table)),
        _ => table.to_json(),
    });
    for member in members {
        check_version(&member)?;
        tracing::info!(group, topic, client_id = %member.client_id, "client sent to other offsets");
        member.peer.notify(notice.clone());
    }
    Ok(Command::success().with_body(table.to_json()))
}

fn for_c(table: &ResetOffsets) -> ResetOffsetsForC {
    let queue = |(queue, &offset): (&MessageQueue, &i64)| QueueOffsetForC {
        broker_name: queue.broker_name.clone(),
        offset,
        queue_id: queue.queue_id,
        topic: queue.topic.clone(),
    };
    ResetOffsetsForC { offset_table: table.offset_table.iter().map(queue).collect() }
}

fn check_version(member: &Member) -> Result<(), RequestError> {
    if member.version < VERSION_WITH_OFFSETS {
        return Err(RequestError::Other(format!(
            "the client does not support this feature. version={}",
            member.version
        )));
    }
    Ok(())
}

/// The offsets that a group's clients have come to, of all clients or of one.
pub fn status(broker: &Arc<Broker>, request: &Command) -> Outcome {
    let header: InvokeBrokerToGetConsumerStatus = match request.header() {
        Ok(header) => header,
        Err(error) => return reply(Err(error.into())),
    };
    let (group, topic) = (header.group.clone(), header.topic.clone());
    let members = broker.consumers.get(&group).map(|group| group.members.clone());
    let members = members.unwrap_or_default();
    if members.is_empty() {
        let text = format!("No Any Consumer online in the consumer group: [{group}]");
        return reply(Err(RequestError::Other(text)));
    }
    if let Err(error) = members.iter().try_for_each(|member| check_version(member)) {
        return reply(Err(error));
    }
    let only = header.client_addr.filter(|client| !client.trim().is_empty());
    let asked = GetConsumerStatusFromClient { topic, group, client_addr: None };
    let calls: Vec<_> = members
        .iter()
        .filter(|member| only.as_deref().is_none_or(|only| *only == *member.client_id))
        .map(|member| {
            let answer = member.peer.call(Command::request(&asked), STATUS_TIMEOUT_MS);
            (member.client_id.to_string(), answer)
        })
        .collect();
    Outcome::Later(Box::pin(async move {
        let mut status = ConsumerStatus::default();
        for (client, answer) in calls {
            // Java: a client that does not answer is left out.
            let body = match answer.await {
                Ok(answer) => answer.body,
                Err(cause) => {
                    tracing::warn!(client, %cause, "client does not tell its offsets");
                    continue;
                }
            };
            if let Ok(told) = json::from_slice::<ConsumerStatus>(&body) {
                status.consumer_table.insert(client, ClientOffsets(told.message_queue_table));
            }
        }
        Command::success().with_body(status.to_json())
    }))
}

#[cfg(test)]
mod tests;
