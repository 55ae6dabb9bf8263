//! Key-value configuration (100, 101, 102, 219).

use skua_protocol::request::{
    DeleteKvConfig, GetKvConfig, GetKvConfigResponse, GetKvListByNamespace, PutKvConfig,
};
use skua_protocol::{Command, json};

use super::Answer;
use super::error::RequestError;
use crate::Namesrv;

pub fn get(namesrv: &Namesrv, request: &Command) -> Answer {
    let GetKvConfig { namespace, key } = request.header()?;
    let value = namesrv.state().kv.get(&namespace, &key).map(str::to_owned);
    match value {
        Some(value) => {
            Ok(Command::success().with_header(&GetKvConfigResponse { value: Some(value.into()) }))
        }
        None => {
            Err(RequestError::NoKvKey { namespace: namespace.to_string(), key: key.to_string() })
        }
    }
}

pub fn list(namesrv: &Namesrv, request: &Command) -> Answer {
    let GetKvListByNamespace { namespace } = request.header()?;
    let table = namesrv.state().kv.namespace(&namespace);
    match table {
        Some(table) => Ok(Command::success().with_body(json::to_vec(&table))),
        None => Err(RequestError::NoKvNamespace(namespace.to_string())),
    }
}

pub fn put(namesrv: &Namesrv, request: &Command) -> Answer {
    let PutKvConfig { namespace, key, value } = request.header()?;
    tracing::info!(%namespace, %key, %value, "configuration value put");
    namesrv.change_kv(|kv| kv.put(namespace.to_string(), key.to_string(), value.to_string()))?;
    Ok(Command::success())
}

pub fn delete(namesrv: &Namesrv, request: &Command) -> Answer {
    let DeleteKvConfig { namespace, key } = request.header()?;
    tracing::info!(%namespace, %key, "configuration value deleted");
    namesrv.change_kv(|kv| kv.delete(&namespace, &key))?;
    Ok(Command::success())
}
