//! Order locks on queues: 41, 42.

use skua_protocol::body::{LockBatch, LockBatchResponse};
use skua_protocol::{Command, Millis, json};

use super::Answer;
use super::error::RequestError;
use crate::queue_locks::QueueLocks;

/// Always succeeds; the answer names the queues that were granted.
pub fn take(locks: &QueueLocks, request: &Command, now: Millis) -> Answer {
    let LockBatch { client_id, consumer_group, mq_set, .. } = json::from_slice(&request.body)?;
    for (name, value) in [("clientId", &client_id), ("consumerGroup", &consumer_group)] {
        if value.is_empty() {
            return Err(RequestError::MissingMember(name));
        }
    }
    let queues = mq_set.into_iter().collect();
    let locked = locks.take(&consumer_group, queues, &client_id, now).into_iter().collect();
    Ok(Command::success().with_body(json::to_vec(&LockBatchResponse { locked })))
}

pub fn give_back(locks: &QueueLocks, request: &Command) -> Answer {
    let LockBatch { client_id, consumer_group, mq_set, .. } = json::from_slice(&request.body)?;
    let queues: Vec<_> = mq_set.into_iter().collect();
    locks.give_back(&consumer_group, &queues, &client_id);
    Ok(Command::success())
}
