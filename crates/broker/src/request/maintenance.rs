//! Operators' requests about reading, and what only brokers with RocksDB have work with: 354, 355,
//! 905, 2001 to 2004.

use skua_config::Properties;
use skua_protocol::request::{
    CheckRocksDbCqWriteProgress, ExportRocksDbConfigToJson, NotifyMinBrokerIdChange,
    SetCommitLogReadMode,
};
use skua_protocol::{Command, Millis, ResponseCode};

use super::Answer;
use super::error::RequestError;
use crate::broker::Broker;
use crate::swap_map::lock;

/// Sets how many bytes of cold data groups may read in a period. Java: what is no number is
/// passed over.
pub fn set_cold_data(broker: &Broker, request: &Command) -> Answer {
    let thresholds = Properties::parse(&request.body, "the request");
    let mut cold = lock(&broker.cold_data);
    for entry in thresholds.iter() {
        let (group, text) = (entry.key.as_str(), entry.value.as_str());
        match text.trim().parse() {
            Ok(bytes) => {
                cold.set(group, bytes).map_err(|error| RequestError::Other(error.to_string()))?;
                tracing::info!(group, bytes, "threshold for cold data set");
            }
            Err(_) => tracing::warn!(group, text, "threshold for cold data is no number"),
        }
    }
    Ok(Command::success())
}

pub fn unset_cold_data(broker: &Broker, request: &Command) -> Answer {
    let group = String::from_utf8_lossy(&request.body);
    lock(&broker.cold_data).unset(&group);
    tracing::info!(%group, "threshold for cold data removed");
    Ok(Command::success())
}

pub fn cold_data(broker: &Broker) -> Answer {
    let body = lock(&broker.cold_data).to_json(&broker.cold_rules());
    Ok(Command::success().with_body(body))
}

/// Whether readers of what no cache holds read ahead: 0 as `madvise` calls the usual way, 1
/// random.
pub fn set_read_mode(broker: &Broker, request: &Command, now: Millis) -> Answer {
    if request.fields.is_empty() {
        let remark = "set commitlog readahead mode param error";
        return Err(RequestError::Other(remark.to_owned()));
    }
    let header: SetCommitLogReadMode = request.header()?;
    let mode = header.read_ahead_mode.as_deref().and_then(|mode| mode.parse::<i32>().ok());
    let enabled = match mode {
        Some(0) => "true",
        Some(1) => "false",
        Some(_) => {
            let remark = "set commitlog readahead mode param value error";
            return Ok(Command::error(ResponseCode::InvalidParameter, remark));
        }
        None => {
            return Err(RequestError::Other("set commitlog readahead mode failed".to_owned()));
        }
    };
    let change = format!("dataReadAheadEnable={enabled}");
    let changes = Properties::parse(change.as_bytes(), "the request");
    let saved = broker.update_settings(&changes, now);
    saved.map_err(|error| RequestError::Other(error.to_string()))?;
    let mode = mode.unwrap_or_default();
    Ok(Command::success()
        .with_remark(format!("set commitlog readahead mode success, mode: {mode}")))
}

/// Java answers that the check goes on, and logs later that there is nothing to check.
pub fn check_rocksdb(request: &Command) -> Answer {
    let _: CheckRocksDbCqWriteProgress = request.header()?;
    Ok(Command::success().with_body("{\"checkStatus\":2}"))
}

/// The tables are JSON files already.
pub fn export_rocksdb(request: &Command) -> Answer {
    const KINDS: [&str; 3] = ["topics", "subscriptionGroups", "consumerOffsets"];
    let header: ExportRocksDbConfigToJson = request.header()?;
    let kinds = header.config_type.split(';').filter(|kind| !kind.is_empty());
    for kind in kinds {
        if !KINDS.iter().any(|known| known.eq_ignore_ascii_case(kind.trim())) {
            return Err(RequestError::Other(format!("Unknown config type: {kind}")));
        }
    }
    Ok(Command::success().with_remark("export done."))
}

/// A name server tells which broker of the group has the least id now. A master, and a slave that
/// does not act as one, has nothing to do then.
pub fn min_broker_id(broker: &Broker, request: &Command) -> Answer {
    let header: NotifyMinBrokerIdChange = request.header()?;
    tracing::info!(
        broker = broker.name(),
        min_id = header.min_broker_id,
        min_addr = header.min_broker_addr.as_deref(),
        offline = header.offline_broker_addr.as_deref(),
        "the least broker id of the group has changed"
    );
    Ok(Command::success())
}

#[cfg(test)]
mod tests;
