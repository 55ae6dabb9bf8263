//! Order locks on queues: 41, 42.

use skua_protocol::body::{LockBatch, LockBatchResponse};
use skua_protocol::{Command, Millis, json};

use super::Answer;
use super::error::RequestError;
use crate::broker::Broker;

/// Who asks for what, if the request can be read.
pub(super) fn asks(request: &Command) -> Option<LockBatch> {
    json::from_slice(&request.body).ok()
}

/// Always succeeds; the answer names the queues that were granted.
pub fn take(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let LockBatch { client_id, consumer_group, mq_set, .. } = json::from_slice(&request.body)?;
    for (name, value) in [("clientId", &client_id), ("consumerGroup", &consumer_group)] {
        if value.is_empty() {
            return Err(RequestError::MissingMember(name));
        }
    }
    let queues = mq_set.into_iter().collect();
    let locked = broker.locks.take(&consumer_group, queues, &client_id, now);
    wake_to_log(broker, now);
    let locked = locked.into_iter().collect();
    Ok(Command::success().with_body(json::to_vec(&LockBatchResponse { locked })))
}

pub fn give_back(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let LockBatch { client_id, consumer_group, mq_set, .. } = json::from_slice(&request.body)?;
    let queues: Vec<_> = mq_set.into_iter().collect();
    broker.locks.give_back(&consumer_group, &queues, &client_id);
    wake_to_log(broker, now);
    Ok(Command::success())
}

/// Who asks need not wait for the answer.
fn wake_to_log(broker: &Broker, now: Millis) {
    if broker.store.has_gate() {
        broker.wake_to_save_offsets(now);
    }
}
