//! Answers of a broker whose group has to agree: what a request has put into the log or changed in
//! a table is agreed on before it is answered, or the answer is that nobody knows.

use std::sync::Arc;

use futures_util::future::{Either, select};
use skua_protocol::body::LockBatch;
use skua_protocol::service::Outcome;
use skua_protocol::{Command, RequestCode, ResponseCode};
use skua_store::Epoch;

use super::error::RequestError;
use super::{Call, lock, static_topic};
use crate::broker::Broker;
use crate::pop::receipt::is_of_ordered;
use crate::tables::{AT, NotLogged, Tells};

/// Java: `maxWaitAckTimeMs` of DLedger.
const WAIT_MS: i64 = 2_500;

/// How far the leader has come, for followers: they must not know of what may be taken back.
pub(super) fn is_progress(code: RequestCode) -> bool {
    use RequestCode as C;
    matches!(
        code,
        C::GetAllTopicConfig
            | C::GetAllSubscriptionGroupConfig
            | C::GetAllConsumerOffset
            | C::GetAllHeld
            | C::GetAllDelayOffset
            | C::GetTimerCheckPoint
            | C::GetTimerMetrics
    )
}

/// Whether followers make it their own.
fn is_copied(code: RequestCode) -> bool {
    use RequestCode as C;
    matches!(
        code,
        C::GetAllTopicConfig
            | C::GetAllSubscriptionGroupConfig
            | C::GetAllConsumerOffset
            | C::GetAllHeld
    )
}

/// What an answer tells of.
#[derive(Debug, PartialEq)]
enum Told {
    /// What the request has put into the log.
    Log,
    /// What it has changed in tables, too.
    Tables,
    /// What stands in tables, and that no other leader may have changed.
    Standing,
    /// That a client holds queues, which no other leader may have given away; what it asked for, if
    /// that can be read.
    Holder(Option<LockBatch>),
}

impl Told {
    fn of(code: RequestCode) -> Self {
        use RequestCode as C;
        match code {
            C::QueryConsumerOffset => Self::Standing,
            C::LockBatchMq => Self::Holder(None),
            C::UnlockBatchMq
            | C::UpdateConsumerOffset
            | C::InvokeBrokerToResetOffset
            | C::CloneGroupOffset
            | C::UpdateAndGetGroupForbidden
            | C::UpdateAndCreateTopic
            | C::UpdateAndCreateTopicList
            | C::DeleteTopicInBroker
            | C::UpdateAndCreateSubscriptionGroup
            | C::UpdateAndCreateSubscriptionGroupList
            | C::DeleteSubscriptionGroup => Self::Tables,
            _ => Self::Log,
        }
    }

    /// Ordered pops have no check point in the log, but their queue's state in a table.
    fn of_request(broker: &Broker, code: RequestCode, request: &Command) -> Self {
        use RequestCode as C;
        let has = |name: &str, says: fn(&str) -> bool| request.fields.get(name).is_some_and(says);
        let is_ordered = match code {
            C::PopMessage => has("order", |order| order == "true"),
            C::AckMessage | C::ChangeMessageInvisibleTime => has("extraInfo", is_of_ordered),
            C::BatchAckMessage => broker.pop.orders.count() > 0,
            _ => false,
        };
        match code {
            C::LockBatchMq => Self::Holder(lock::asks(request)),
            _ if is_ordered => Self::Tables,
            _ => Self::of(code),
        }
    }
}

/// Whether the leader alone can serve it, since it tells of tables.
pub(super) fn is_of_tables(code: RequestCode) -> bool {
    Told::of(code) != Told::Log
}

pub(super) fn serve(call: &Call<'_>, code: RequestCode, request: Command) -> Outcome {
    let broker = call.broker;
    // Before anything is stored: what is stored later is of this epoch, or is not answered.
    if !broker.store.has_gate() || request.is_one_way() {
        return static_topic::serve(call, code, request);
    }
    let epoch = broker.store.epoch();
    if epoch.is_none() && !is_progress(code) {
        // Appends may be taken again by the time that it is worked on: it would wait for nobody.
        return Outcome::Reply(RequestError::NoMaster.answer());
    }
    // Before they are read: they have as many records at least.
    let copied_at = if is_copied(code) { broker.tables_written() } else { None };
    let told =
        if is_copied(code) { Told::Tables } else { Told::of_request(broker, code, &request) };
    let mut outcome = static_topic::serve(call, code, request);
    if let (Some(at), Outcome::Reply(answer)) = (copied_at, &mut outcome) {
        answer.fields.push(AT, at.to_string());
    }
    match epoch {
        Some(epoch) => when_agreed(broker, epoch, told, outcome),
        None => outcome,
    }
}

fn when_agreed(broker: &Arc<Broker>, epoch: Epoch, told: Told, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Reply(answer) if !is_promise(&told, &answer) => Outcome::Reply(answer),
        Outcome::Reply(answer) => {
            // Read before the epoch is looked at again: it is of this epoch, then.
            let end = broker.store.appended();
            let is_log = told == Told::Log && !broker.has_config_changes();
            if is_log && broker.store.epoch() == Some(epoch) && broker.store.confirmed() >= end {
                return Outcome::Reply(answer);
            }
            let broker = broker.clone();
            Outcome::Later(Box::pin(async move { agreed(&broker, epoch, told, answer).await }))
        }
        Outcome::Later(later) => {
            let broker = broker.clone();
            Outcome::Later(Box::pin(async move {
                let answer = later.await;
                match is_promise(&told, &answer) {
                    true => agreed(&broker, epoch, told, answer).await,
                    false => answer,
                }
            }))
        }
        Outcome::Blocking(work) => {
            let broker = broker.clone();
            Outcome::Blocking(Box::new(move || when_agreed(&broker, epoch, told, work())))
        }
    }
}

/// Errors promise nothing, but that there is no offset sends a consumer to where it began.
fn is_promise(told: &Told, answer: &Command) -> bool {
    *told == Told::Standing || answer.code == ResponseCode::Success as i32
}

async fn agreed(broker: &Broker, epoch: Epoch, told: Told, answer: Command) -> Command {
    let limit = broker.sleep_until(broker.time_told().plus(WAIT_MS));
    let agreed = Box::pin(async {
        if told != Told::Log || broker.has_config_changes() {
            let tells = match &told {
                Told::Log | Told::Tables => Tells::Changes,
                Told::Holder(Some(LockBatch { consumer_group, client_id, .. })) => {
                    Tells::Holder { group: consumer_group, client: client_id }
                }
                Told::Standing | Told::Holder(None) => Tells::Standing,
            };
            broker.tables_agreed(epoch, tells).await?;
        }
        if matches!(told, Told::Standing | Told::Holder(_)) {
            return Ok(());
        }
        let end = broker.store.appended();
        if broker.store.epoch() != Some(epoch) {
            return Err(NotLogged::Lost);
        }
        Ok(broker.store.confirmed_when(end, epoch).await?)
    });
    match select(agreed, limit).await {
        Either::Left((Ok(()), _)) => answer,
        Either::Left((Err(cause), _)) => {
            tracing::debug!(%cause, "an answer that the group has not agreed on");
            RequestError::NotAgreed.answer()
        }
        Either::Right(_) => RequestError::NotAgreed.answer(),
    }
}
