//! Transactions: 37, 323.

use std::sync::Arc;

use bytes::Bytes;
use skua_protocol::message_id::parse_offset_id;
use skua_protocol::properties;
use skua_protocol::record::Record;
use skua_protocol::request::{
    EndTransaction, ResumeCheckHalfMessage, TRANSACTION_COMMIT, TRANSACTION_ROLLBACK,
    TRANSACTION_UNKNOWN,
};
use skua_protocol::service::Outcome;
use skua_protocol::{Command, Millis, PhysicalOffset};

use super::error::RequestError;
use super::{Answer, blocking, reply};
use crate::broker::Broker;
use crate::transaction::{Decision, Ended, HalfMessage};

const ENDED_BEFORE: &str = "The transaction has been ended before";

/// A decision that may be one.
struct Ending {
    header: EndTransaction,
    decision: Decision,
    half_at: PhysicalOffset,
}

/// The producer has decided, of itself or when asked. Done at once if the half message was stored
/// lately.
pub fn end(broker: &Arc<Broker>, request: &Command, now: Millis) -> Outcome {
    settle(broker, request, now).unwrap_or_else(|error| reply(Err(error)))
}

fn settle(broker: &Arc<Broker>, request: &Command, now: Millis) -> Result<Outcome, RequestError> {
    let Some(ending) = checked(broker, request)? else {
        // Java: gives no answer at all. The producer is asked later.
        return Ok(reply(Ok(Command::success())));
    };
    if let Some(bytes) = broker.store.hot_record(ending.half_at) {
        let half = ending.half(broker, Some(bytes), now)?;
        if let Some(ended) = broker.transactions.try_end(broker, &half, ending.decision, now) {
            return Ok(reply(Ok(answer_to(ended?))));
        }
    }
    let broker = broker.clone();
    Ok(blocking(move || {
        let bytes = broker.store.record_at(ending.half_at, None)?;
        let half = ending.half(&broker, bytes, now)?;
        Ok(answer_to(broker.transactions.end(&broker, &half, ending.decision, now)?))
    }))
}

/// `None` if the producer does not know yet.
fn checked(broker: &Broker, request: &Command) -> Result<Option<Ending>, RequestError> {
    let header: EndTransaction = request.header()?;
    if broker.is_slave() {
        return Err(RequestError::TransactionOnSlave);
    }
    let decision = match header.commit_or_rollback {
        TRANSACTION_COMMIT => Decision::Commit,
        TRANSACTION_ROLLBACK => Decision::RollBack,
        TRANSACTION_UNKNOWN => return Ok(None),
        other => {
            return Err(RequestError::Parameter {
                name: "commitOrRollback",
                value: other.to_string(),
                accepted: "0, 8, 12",
            });
        }
    };
    let half_at = u64::try_from(header.commit_log_offset).map_err(|_| missing())?;
    Ok(Some(Ending { header, decision, half_at: PhysicalOffset(half_at) }))
}

fn missing() -> RequestError {
    RequestError::Transaction("Find prepared transaction message failed")
}

impl Ending {
    /// The half message in `bytes`, if it is the one that this decides about, in time.
    fn half(
        &self,
        broker: &Broker,
        bytes: Option<Bytes>,
        now: Millis,
    ) -> Result<HalfMessage, RequestError> {
        let half = bytes.and_then(HalfMessage::of).ok_or_else(missing)?;
        let (header, record) = (&self.header, half.record());
        if header.from_transaction_check != Some(true)
            && let Some(immunity) =
                record.properties().get(properties::CHECK_IMMUNITY_TIME_IN_SECONDS)
        {
            let timeout_ms = broker.settings().broker.transaction_time_out;
            let immunity_ms = immunity.parse::<i64>().unwrap_or(0).saturating_mul(1000);
            let limit_ms = immunity_ms.max(timeout_ms);
            if now.since(record.born_timestamp()) > limit_ms {
                return Err(RequestError::TransactionTooLate { limit_ms });
            }
        }
        if record.properties().get(properties::PGROUP) != Some(&*header.producer_group) {
            return Err(RequestError::Transaction("The producer group wrong"));
        }
        if record.queue_offset() != header.tran_state_table_offset {
            return Err(RequestError::Transaction("The transaction state table offset wrong"));
        }
        Ok(half)
    }
}

fn answer_to(ended: Ended) -> Command {
    let mut answer = Command::success();
    if ended == Ended::Before {
        answer.remark = Some(ENDED_BEFORE.into());
    }
    answer
}

/// A half message that was given up is to be asked about again.
pub fn resume_check(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let header: ResumeCheckHalfMessage = request.header()?;
    // Java's text for whatever goes wrong; the cause stands behind it.
    let failed = |cause: &dyn std::fmt::Display| {
        RequestError::Other(format!(
            "Exception was thrown when putting message back to RMQ_SYS_TRANS_HALF_TOPIC. {cause}"
        ))
    };
    let (_, offset) = parse_offset_id(header.msg_id.as_deref().unwrap_or_default())
        .map_err(|error| failed(&error))?;
    let bytes = broker.store.record_at(offset, None)?;
    let bytes = bytes.ok_or_else(|| failed(&"there is no such message"))?;
    let record = Record::parse(&bytes).map_err(|error| failed(&error))?;
    if record.properties().get(properties::TRAN_MSG).is_none() {
        return Err(failed(&"the message is not a transaction's"));
    }
    broker.transactions.resume(broker, &record, now)?;
    Ok(Command::success())
}
