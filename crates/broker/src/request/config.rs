//! Configuration of the running broker: 25, 26.

use skua_config::Properties;
use skua_protocol::request::GetBrokerConfigResponse;
use skua_protocol::{Command, Millis, json};

use super::Answer;
use super::error::RequestError;
use crate::broker::Broker;

/// Never changed from afar, whatever `configBlackList` says (Java: `initConfigBlackList`).
const ALWAYS_FORBIDDEN: [&str; 3] = ["configBlackList", "brokerConfigPath", "rocketmqHome"];

/// Takes over what may change while running; a value that cannot be refuses all.
pub fn update(broker: &Broker, request: &Command, now: Millis) -> Answer {
    let changes = Properties::parse(&request.body, "the request");
    let settings = broker.settings();
    let listed = settings.broker.config_black_list.split(';').map(str::trim);
    let mut forbidden = listed.filter(|key| !key.is_empty()).chain(ALWAYS_FORBIDDEN);
    if forbidden.any(|key| changes.get(key).is_some()) {
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

#[cfg(test)]
mod tests {
    use skua_protocol::request::UpdateBrokerConfig;
    use skua_protocol::{ResponseCode, request::GetBrokerConfig};

    use crate::swap_map::lock;
    use crate::test_broker::{DISK_FULL, TestBroker};

    fn value(broker: &TestBroker, key: &str) -> String {
        let answer = broker.request(&GetBrokerConfig {});
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let line = text.lines().find(|line| line.starts_with(&format!("{key}=")));
        line.and_then(|line| line.split_once('=')).map_or(String::new(), |(_, value)| value.into())
    }

    #[test]
    fn a_changed_key_is_saved_before_it_counts() {
        let broker = TestBroker::new();
        let change = |text: &str| broker.with_body(&UpdateBrokerConfig {}, text.to_owned());
        assert_eq!(change("traceOn=false").code, ResponseCode::Success as i32);
        assert_eq!(*lock(&broker.asked.saved), [("traceOn".to_owned(), "false".to_owned())]);
        assert_eq!(value(&broker, "traceOn"), "false");

        let refused = change(&format!("regionId={DISK_FULL}"));
        assert_eq!(refused.code, ResponseCode::SystemError as i32);
        assert!(refused.remark.expect("a cause").contains("configuration file"));
        assert_eq!(value(&broker, "regionId"), "DefaultRegion");
    }
}
