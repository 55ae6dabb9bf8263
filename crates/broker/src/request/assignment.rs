//! Who consumes which queue, decided by the broker: 400, and whether a group pops or pulls:
//! 401, 402.

use std::collections::BTreeSet;
use std::sync::Arc;

use skua_protocol::body::{
    Assignment, Assignments, MessageModel, MessageQueue, MessageRequestMode,
    MessageRequestModeConfig, PERM_READ, QueryAssignmentBody, RouteData,
};
use skua_protocol::service::Outcome;
use skua_protocol::{Command, Millis, json};

use super::error::RequestError;
use super::{Answer, reply};
use crate::broker::Broker;
use crate::names::RETRY_PREFIX;

pub fn query(broker: &Arc<Broker>, request: &Command) -> Outcome {
    let asked: QueryAssignmentBody = match json::from_slice(&request.body) {
        Ok(asked) => asked,
        Err(error) => return reply(Err(RequestError::from(error))),
    };
    let route = broker.outside().route(&asked.topic);
    let broker = broker.clone();
    Outcome::Later(Box::pin(async move {
        // Without a name server that knows the topic, this broker is all there is.
        let queues = match route.await {
            Some(route) => queues_of(&asked.topic, &route),
            None => own_queues(&broker, &asked.topic),
        };
        let mode = mode_of(&broker, &asked);
        let assigned = queues.and_then(|queues| assign(&broker, &asked, &mode, queues));
        let Some(queues) = assigned else {
            // Without a list clients keep what they have.
            return Command::success().with_body(&b"{}"[..]);
        };
        let assignment =
            |message_queue| Assignment { attachments: None, message_queue, mode: mode.mode };
        let body =
            Assignments { message_queue_assignments: queues.into_iter().map(assignment).collect() };
        Command::success().with_body(json::to_vec(&body))
    }))
}

/// A topic's readable queues on all brokers.
fn queues_of(topic: &str, route: &RouteData) -> Option<BTreeSet<MessageQueue>> {
    let readable = route.queue_datas.iter().filter(|data| data.perm & PERM_READ != 0);
    let queues = readable.flat_map(|data| {
        (0..data.read_queue_nums).map(|queue_id| MessageQueue {
            broker_name: data.broker_name.clone(),
            queue_id,
            topic: topic.to_owned(),
        })
    });
    Some(queues.collect())
}

fn own_queues(broker: &Broker, topic: &str) -> Option<BTreeSet<MessageQueue>> {
    let found = broker.topics.get(topic)?;
    let queues = (0..found.config.read_queue_nums).map(|queue_id| MessageQueue {
        broker_name: broker.name().to_owned(),
        queue_id,
        topic: topic.to_owned(),
    });
    Some(queues.collect())
}

fn mode_of(broker: &Broker, asked: &QueryAssignmentBody) -> MessageRequestModeConfig {
    if let Some(mode) = broker.pop.modes.get(&asked.topic, &asked.consumer_group) {
        return mode;
    }
    let settings = broker.settings();
    let pops = settings.broker.default_message_request_mode == "POP";
    let mode = if pops && !asked.topic.starts_with(RETRY_PREFIX) {
        MessageRequestMode::Pop
    } else {
        MessageRequestMode::Pull
    };
    MessageRequestModeConfig {
        consumer_group: asked.consumer_group.clone(),
        mode,
        pop_share_queue_num: settings.broker.default_pop_share_queue_num,
        topic: asked.topic.clone(),
    }
}

fn assign(
    broker: &Broker,
    asked: &QueryAssignmentBody,
    mode: &MessageRequestModeConfig,
    queues: BTreeSet<MessageQueue>,
) -> Option<BTreeSet<MessageQueue>> {
    let balances = broker.settings().broker.server_load_balancer_enable;
    match asked.message_model {
        MessageModel::Broadcasting => return Some(queues),
        MessageModel::LiteSelective => return None,
        MessageModel::Clustering if !balances => return Some(queues),
        MessageModel::Clustering => {}
    }
    let group = broker.consumers.get(&asked.consumer_group)?;
    let clients: BTreeSet<String> =
        group.members.iter().map(|member| member.client_id.to_string()).collect();
    let clients: Vec<String> = clients.into_iter().collect();
    let queues: Vec<MessageQueue> = queues.into_iter().collect();
    let allocate: Allocate = match asked.strategy_name.as_str() {
        "AVG" => averagely,
        "AVG_BY_CIRCLE" => by_circle,
        _ => return None,
    };
    if asked.client_id.is_empty() || queues.is_empty() {
        return None;
    }
    let mine = clients.iter().position(|client| *client == asked.client_id);
    let of = |client: Option<usize>| -> Vec<MessageQueue> {
        let Some(client) = client else { return Vec::new() };
        let chosen = allocate(client, clients.len(), queues.len());
        chosen.into_iter().filter_map(|at| queues.get(at).cloned()).collect()
    };
    let assigned = if mode.mode == MessageRequestMode::Pull {
        of(mine)
    } else {
        shared(&queues, clients.len(), mine, mode.pop_share_queue_num, &of)
    };
    Some(assigned.into_iter().collect())
}

/// Which of the queues the client at this place among so many gets.
type Allocate = fn(usize, usize, usize) -> Vec<usize>;

/// Java: `AllocateMessageQueueAveragely`.
fn averagely(client: usize, clients: usize, queues: usize) -> Vec<usize> {
    let (each, more) = (queues / clients, queues % clients);
    let start = client * each + client.min(more);
    let count = each + usize::from(client < more);
    (start..start + count).collect()
}

/// Java: `AllocateMessageQueueAveragelyByCircle`.
fn by_circle(client: usize, clients: usize, queues: usize) -> Vec<usize> {
    (client..queues).step_by(clients).collect()
}

/// Java: a popping client pops from all queues, or shares those of as many neighbours.
fn shared(
    queues: &[MessageQueue],
    clients: usize,
    mine: Option<usize>,
    share: i32,
    of: &dyn Fn(Option<usize>) -> Vec<MessageQueue>,
) -> Vec<MessageQueue> {
    let share = usize::try_from(share).unwrap_or(0);
    if share == 0 || share + 1 >= clients {
        let all = |queue: &MessageQueue| MessageQueue { queue_id: -1, ..queue.clone() };
        return queues.iter().map(all).collect();
    }
    let Some(mine) = mine else { return Vec::new() };
    if clients <= queues.len() {
        (0..=share).flat_map(|next| of(Some((mine + next) % clients))).collect()
    } else {
        vec![queues[mine % queues.len()].clone()]
    }
}

pub fn set_mode(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let mode: MessageRequestModeConfig = json::from_slice(&request.body)?;
    if mode.topic.starts_with(RETRY_PREFIX) {
        return Err(RequestError::RetryTopicMode);
    }
    if !broker.topics.contains(&mode.topic) {
        return Err(RequestError::NoTopic(mode.topic));
    }
    if broker.groups.find(&mode.consumer_group, broker.auto_create_groups(), now)?.is_none() {
        return Err(RequestError::NoGroupForMode);
    }
    broker.pop.modes.set(mode)?;
    Ok(Command::success())
}

pub fn all_modes(broker: &Broker) -> Answer {
    Ok(Command::success().with_body(broker.pop.modes.encode()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_allocated_as_java_does() {
        assert_eq!(averagely(0, 3, 8), [0, 1, 2]);
        assert_eq!(averagely(2, 3, 8), [6, 7]);
        assert_eq!(averagely(4, 5, 3), Vec::<usize>::new());
        assert_eq!(by_circle(1, 3, 8), [1, 4, 7]);
    }
}
