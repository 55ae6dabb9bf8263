//! Where a topic is served (105), and all brokers (106).

use bytes::Bytes;
use skua_protocol::request::GetRouteInfoByTopic;
use skua_protocol::{Command, Millis, json};

use super::Answer;
use super::error::RequestError;
use crate::Namesrv;
use crate::kv::ORDER_TOPIC_CONFIG;
use crate::route::{Rules, ZoneFilter};

/// Fields that a client in zone mode adds (Java: `MixAll.ZONE_MODE`, `MixAll.ZONE_NAME`).
const ZONE_MODE: &str = "__ZONE_MODE";
const ZONE_NAME: &str = "__ZONE_NAME";

/// Java answers with bare numeric keys unless the client is 4.9.4 or later or asks for standard
/// JSON; quoted keys are read by all of them, so there is one form.
pub fn query(namesrv: &Namesrv, request: &Command, now: Millis) -> Answer {
    let GetRouteInfoByTopic { topic, .. } = request.header()?;
    let mut state = namesrv.state();
    let state = &mut *state;
    // Read under the lock: a route kept from before a change of settings must not look newer.
    let settings = namesrv.settings();
    let rules = Rules::of(&settings);
    let config = &settings.namesrv;
    if config.need_wait_for_service
        && now.since(namesrv.started()) < i64::from(config.wait_seconds_for_service) * 1000
    {
        return Err(RequestError::NotReady);
    }
    let order_conf = |topic: &str| {
        let wanted = config.order_message_enable;
        wanted.then(|| state.kv.get(ORDER_TOPIC_CONFIG, topic)).flatten().map(str::to_owned)
    };
    let body = match zone_filter(request) {
        None => state.routes.encoded_route(&topic, &rules, || order_conf(&topic)),
        Some(zone) => state.routes.route(&topic, &rules).map(|mut route| {
            route.order_topic_conf = order_conf(&topic);
            zone.apply(&mut route);
            Bytes::from(json::to_vec(&route))
        }),
    };
    match body {
        Some(body) => Ok(Command::success().with_body(body)),
        None => Err(RequestError::TopicNotExist(topic.to_string())),
    }
}

fn zone_filter(request: &Command) -> Option<ZoneFilter> {
    let wanted = request.fields.get(ZONE_MODE)?.eq_ignore_ascii_case("true");
    let zone = request.fields.get(ZONE_NAME).filter(|zone| wanted && !zone.trim().is_empty())?;
    Some(ZoneFilter(zone.to_owned()))
}

pub fn cluster_info(namesrv: &Namesrv) -> Answer {
    let info = namesrv.state().routes.cluster_info();
    Ok(Command::success().with_body(json::to_vec(&info)))
}
