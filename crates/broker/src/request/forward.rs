//! Requests that only the group's master can serve, sent on to it by a broker that clients still
//! take for the master, or that is none of them yet.
//!
//! They are served here or there, never at both: a request is sent again only if who got it says
//! that it was not taken, or it did not leave.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::select;
use skua_protocol::service::{Outcome, Peer};
use skua_protocol::{Command, Millis, RequestCode};

use super::error::RequestError;
use super::{Call, offset};
use crate::broker::{Broker, CallFailed};
use crate::role::Role;

/// What the remark of a request that was sent on begins with; the client's address follows. Not a
/// field: those are signed, and a broker without an account of its own leaves the client's
/// signature as it is.
const FORWARDED_FOR: &str = "forwarded for ";
/// A field of an answer: the broker is not the master and has done nothing.
const NOT_TAKEN: &str = "notTaken";

/// How long a master is looked for; clients wait for 3 s unless told otherwise.
const LOOK_MS: i64 = 2_500;
/// Pause before a master that is not there, or is none yet, is asked again.
const AGAIN_MS: i64 = 50;
/// How long its answer is waited for, beside the time that the request itself says.
const ANSWER_MS: i64 = 10_000;

/// Whether only a master can serve it: it appends, or gives away what one alone may have.
pub(super) fn is_masters(code: RequestCode) -> bool {
    use RequestCode as C;
    matches!(
        code,
        C::SendMessage
            | C::SendMessageV2
            | C::SendBatchMessage
            | C::SendReplyMessage
            | C::SendReplyMessageV2
            | C::ConsumerSendMsgBack
            | C::EndTransaction
            | C::ResumeCheckHalfMessage
            | C::RecallMessage
            | C::PopMessage
            | C::AckMessage
            | C::BatchAckMessage
            | C::ChangeMessageInvisibleTime
            | C::LockBatchMq
            | C::UnlockBatchMq
            | C::UpdateAndCreateTopic
            | C::UpdateAndCreateTopicList
            | C::DeleteTopicInBroker
            | C::UpdateAndCreateSubscriptionGroup
            | C::UpdateAndCreateSubscriptionGroupList
            | C::DeleteSubscriptionGroup
    )
}

/// The client's address, if a broker has sent the request on.
fn forwarded_for(request: &Command) -> Option<SocketAddr> {
    request.remark.as_ref()?.strip_prefix(FORWARDED_FOR)?.parse().ok()
}

/// The client's address: that of the connection, or what the broker says that sent it on.
pub(super) fn sender(peer: &dyn Peer, request: &Command) -> SocketAddr {
    forwarded_for(request).unwrap_or_else(|| peer.remote_addr())
}

/// Serves a request of those that are the master's, by a broker that is not.
pub(super) fn serve(call: &Call<'_>, code: RequestCode, request: Command) -> Outcome {
    if forwarded_for(&request).is_some() {
        let mut answer = RequestError::NoMaster.answer();
        answer.fields.push(NOT_TAKEN, "true");
        return Outcome::Reply(answer);
    }
    call.broker.sends_one_on(call.now);
    let request = request.with_remark(format!("{FORWARDED_FOR}{}", call.peer.remote_addr()));
    let (broker, now) = (call.broker.clone(), call.now);
    Outcome::Later(Box::pin(async move {
        let own = (code == RequestCode::QueryConsumerOffset).then(|| request.clone());
        match (send_on(&broker, request, now).await, own) {
            (Some(answer), _) => answer,
            // Consumers read on while most of a group is away; what is known here may be older.
            (None, Some(own)) => offset::known(&broker, &own),
            (None, None) => RequestError::NoMaster.answer(),
        }
    }))
}

/// `None` if there is no master.
async fn send_on(broker: &Arc<Broker>, request: Command, now: Millis) -> Option<Command> {
    let polls: i64 = request.fields.get("pollTime").and_then(|ms| ms.parse().ok()).unwrap_or(0);
    let timeout_ms = ANSWER_MS.saturating_add(polls.clamp(0, 60_000));
    let give_up = now.plus(LOOK_MS);
    loop {
        let changed = broker.role_changed();
        let master = match broker.role() {
            Role::Master => Some(broker.address()),
            Role::Slave(_) => broker.outside().master(),
            Role::Neither(_) => None,
        };
        let again_at = match master {
            Some(master) => {
                let call = broker.outside().call(&master, request.clone(), timeout_ms as u64);
                match call.await {
                    Ok(answer) if answer.fields.get(NOT_TAKEN).is_none() => {
                        return Some(answer);
                    }
                    Ok(_) | Err(CallFailed::NotSent(_)) => broker.time_told().plus(AGAIN_MS),
                    Err(CallFailed::NoAnswer(cause)) => {
                        return Some(RequestError::SentOn { master, cause }.answer());
                    }
                }
            }
            None => give_up,
        };
        if broker.time_told() >= give_up {
            return None;
        }
        let sleep = broker.sleep_until(again_at.min(give_up));
        select(changed, sleep).await;
    }
}
