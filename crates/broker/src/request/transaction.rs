//! Transactions: 37, 323.

use skua_protocol::message_id::parse_offset_id;
use skua_protocol::properties;
use skua_protocol::record::Record;
use skua_protocol::request::{
    EndTransaction, ResumeCheckHalfMessage, TRANSACTION_COMMIT, TRANSACTION_ROLLBACK,
    TRANSACTION_UNKNOWN,
};
use skua_protocol::{Command, Millis, PhysicalOffset};

use super::Answer;
use super::error::RequestError;
use crate::broker::Broker;
use crate::transaction::{Decision, Ended, HalfMessage};

const ENDED_BEFORE: &str = "The transaction has been ended before";

/// The producer has decided, of itself or when asked.
pub fn end(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let header: EndTransaction = request.header()?;
    let settings = broker.settings();
    if broker.is_slave() {
        return Err(RequestError::TransactionOnSlave);
    }
    let decision = match header.commit_or_rollback {
        TRANSACTION_COMMIT => Decision::Commit,
        TRANSACTION_ROLLBACK => Decision::RollBack,
        // Java: gives no answer at all. The producer is asked later.
        TRANSACTION_UNKNOWN => return Ok(Command::success()),
        other => {
            return Err(RequestError::Parameter {
                name: "commitOrRollback",
                value: other.to_string(),
                accepted: "0, 8, 12",
            });
        }
    };
    let missing = || RequestError::Transaction("Find prepared transaction message failed");
    let offset = u64::try_from(header.commit_log_offset).map_err(|_| missing())?;
    let bytes = broker.store.record_at(PhysicalOffset(offset), None)?.ok_or_else(missing)?;
    let half = HalfMessage::of(bytes).ok_or_else(missing)?;
    let record = half.record();

    if header.from_transaction_check != Some(true)
        && let Some(immunity) = record.properties().get(properties::CHECK_IMMUNITY_TIME_IN_SECONDS)
    {
        let timeout_ms = settings.broker.transaction_time_out;
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
    let mut answer = Command::success();
    if broker.transactions.end(broker, &half, decision, now)? == Ended::Before {
        answer.remark = Some(ENDED_BEFORE.into());
    }
    Ok(answer)
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
