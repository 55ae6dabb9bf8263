//! Answers of a broker whose group has to agree: what a request has put into the log is agreed on
//! before it is answered, or the answer is that nobody knows.

use std::sync::Arc;

use futures_util::future::{Either, select};
use skua_protocol::service::Outcome;
use skua_protocol::{Command, RequestCode, ResponseCode};
use skua_store::Epoch;

use super::error::RequestError;
use super::{Call, static_topic};
use crate::broker::Broker;

/// Java: `maxWaitAckTimeMs` of DLedger.
const WAIT_MS: i64 = 2_500;

/// How far the leader has come, for followers: they must not know of what may be taken back.
pub(super) fn is_progress(code: RequestCode) -> bool {
    use RequestCode as C;
    matches!(
        code,
        C::GetAllConsumerOffset | C::GetAllDelayOffset | C::GetTimerCheckPoint | C::GetTimerMetrics
    )
}

pub(super) fn serve(call: &Call<'_>, code: RequestCode, request: Command) -> Outcome {
    let broker = call.broker;
    // Before anything is stored: what is stored later is of this epoch, or is not answered.
    let epoch = match broker.store.has_gate() && !request.is_one_way() {
        true => broker.store.epoch(),
        false => return static_topic::serve(call, code, request),
    };
    let outcome = static_topic::serve(call, code, request);
    match epoch {
        Some(epoch) => when_agreed(broker, epoch, outcome),
        None => outcome,
    }
}

fn when_agreed(broker: &Arc<Broker>, epoch: Epoch, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Reply(answer) if !is_promise(&answer) => Outcome::Reply(answer),
        Outcome::Reply(answer) => {
            // Read before the epoch is looked at again: it is of this epoch, then.
            let end = broker.store.appended();
            if broker.store.epoch() == Some(epoch) && broker.store.confirmed() >= end {
                return Outcome::Reply(answer);
            }
            let broker = broker.clone();
            Outcome::Later(Box::pin(async move { agreed(&broker, epoch, answer).await }))
        }
        Outcome::Later(later) => {
            let broker = broker.clone();
            Outcome::Later(Box::pin(async move {
                let answer = later.await;
                if is_promise(&answer) { agreed(&broker, epoch, answer).await } else { answer }
            }))
        }
        Outcome::Blocking(work) => {
            let broker = broker.clone();
            Outcome::Blocking(Box::new(move || when_agreed(&broker, epoch, work())))
        }
    }
}

/// Errors promise nothing.
fn is_promise(answer: &Command) -> bool {
    answer.code == ResponseCode::Success as i32
}

async fn agreed(broker: &Broker, epoch: Epoch, answer: Command) -> Command {
    let end = broker.store.appended();
    if broker.store.epoch() != Some(epoch) {
        return RequestError::NotAgreed.answer();
    }
    let limit = broker.sleep_until(broker.time_told().plus(WAIT_MS));
    match select(broker.store.confirmed_when(end, epoch), limit).await {
        Either::Left((Ok(()), _)) => answer,
        _ => RequestError::NotAgreed.answer(),
    }
}
