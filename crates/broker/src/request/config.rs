//! Configuration of the running broker: 25, 26.

use skua_config::Properties;
use skua_protocol::request::GetBrokerConfigResponse;
use skua_protocol::{Command, Millis, json};

use super::Answer;
use super::error::RequestError;
use crate::broker::Broker;

/// Takes over what may change while running; a value that cannot be refuses all.
pub fn update(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let changes = Properties::parse(&request.body, "the request");
    let settings = broker.settings();
    let forbidden = settings.broker.config_black_list.split(';').map(str::trim);
    if forbidden.filter(|key| !key.is_empty()).any(|key| changes.get(key).is_some()) {
        return Err(RequestError::ForbiddenKey);
    }
    broker
        .update_settings(&changes, now)
        .map_err(|error| RequestError::Other(error.to_string()))?;
    if changes.get("brokerPermission").is_some() {
        broker.topics.bump_version(now);
        drop(broker.everything_changed());
    }
    Ok(Command::success())
}

/// All keys with their values, sorted.
pub fn get(broker: &Broker) -> Answer {
    let text = broker.settings().to_text();
    let version = json::to_string(&broker.settings_version()).into();
    let header = GetBrokerConfigResponse { version: Some(version) };
    Ok(Command::success().with_header(&header).with_body(text))
}
