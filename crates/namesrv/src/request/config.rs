//! The name server's own configuration while it runs (318, 319).

use skua_config::Properties;
use skua_protocol::Command;

use super::Answer;
use super::error::RequestError;
use crate::Namesrv;

/// Every key of the name server and its network, sorted, as properties text.
pub fn get(namesrv: &Namesrv) -> Answer {
    Ok(Command::success().with_body(namesrv.settings().to_text()))
}

/// Changes keys that are known; all or, if one may not be changed, none.
pub fn update(namesrv: &Namesrv, request: &Command) -> Answer {
    let changes = Properties::parse(&request.body, "the request");
    if changes.iter().any(|entry| namesrv.is_black_listed(entry.key())) {
        return Err(RequestError::BlackListed);
    }
    namesrv.change_settings(&changes)?;
    Ok(Command::success())
}
