//! The timer, for slaves and operators: 60, 61, 5001.

use skua_protocol::request::SwitchTimerEngine;
use skua_protocol::{Command, Millis, json};
use skua_store::Store;

use super::Answer;
use super::error::RequestError;

pub fn check_point(store: &Store, now: Millis) -> Answer {
    let Some(checkpoint) = store.timer_checkpoint(now)? else {
        return Err(RequestError::Other("The checkpoint is null".to_owned()));
    };
    Ok(Command::success().with_body(checkpoint.encode().to_vec()))
}

pub fn metrics(store: &Store) -> Answer {
    let Some(metrics) = store.timer_metrics() else {
        return Err(RequestError::Other("The timer message store is null".to_owned()));
    };
    Ok(Command::success().with_body(json::to_vec(&metrics)))
}

/// The engine in RocksDB is not served, as on a Java broker that was started without it.
pub fn switch_engine(store: &Store, request: &Command) -> Answer {
    if !store.has_timer() {
        return Err(RequestError::TimerEngine("broker timerWheelEnable is false"));
    }
    let header: SwitchTimerEngine = request.header()?;
    match header.engine_type.as_deref() {
        Some("F") => Ok(Command::success().with_remark("switch timer engine success")),
        Some("R") => Err(RequestError::TimerEngine(
            "timerRocksDBEnable must be configured true when broker start",
        )),
        None if request.fields.is_empty() => {
            Err(RequestError::TimerEngine("param error, extFields is null"))
        }
        _ => Err(RequestError::TimerEngine("param error")),
    }
}
