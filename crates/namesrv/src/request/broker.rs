//! Brokers coming, staying and going (103, 104, 322, 904, 901).

use std::sync::Arc;

use skua_protocol::body::{
    BrokerMemberGroupResponse, DataVersion, RegisterBrokerBody, TopicConfigSerializeWrapper,
};
use skua_protocol::request::{
    BrokerHeartbeat, GetBrokerMemberGroup, QueryDataVersion, QueryDataVersionResponse,
    RegisterBroker, RegisterBrokerResponse, UnregisterBroker,
};
use skua_protocol::service::{Outcome, Peer};
use skua_protocol::{Command, Millis, json};

use super::error::RequestError;
use super::{Answer, reply};
use crate::Namesrv;
use crate::kv::ORDER_TOPIC_CONFIG;
use crate::route::{Registered, Registration};

/// A longer registration body is read off the connection's task, which others wait for: some
/// 400 topics, a millisecond.
const INLINE_BODY_LEN_MAX: usize = 64 * 1024;
/// Java's ordinal of `V3_0_11`.
const VERSION_WITH_REGISTER_BODY: i32 = 39;

pub fn register(
    namesrv: Arc<Namesrv>,
    peer: Arc<dyn Peer>,
    request: Command,
    now: Millis,
) -> Outcome {
    if request.body.len() <= INLINE_BODY_LEN_MAX {
        return reply(register_now(&namesrv, peer, &request, now));
    }
    // The connection may end before the body is read; its broker must not come in after that.
    namesrv.state().registering.begin(peer.id());
    Outcome::Blocking(Box::new(move || {
        let read = read_registration(&request, peer.clone());
        let mut state = namesrv.state();
        if !state.registering.end(peer.id()) {
            return Outcome::Reply(Command::success());
        }
        drop(state);
        reply(read.and_then(|registration| take(&namesrv, registration, now)))
    }))
}

fn register_now(namesrv: &Namesrv, peer: Arc<dyn Peer>, request: &Command, now: Millis) -> Answer {
    take(namesrv, read_registration(request, peer)?, now)
}

fn read_registration(request: &Command, peer: Arc<dyn Peer>) -> Result<Registration, RequestError> {
    let header: RegisterBroker = request.header()?;
    let sum = header.body_crc32.unwrap_or(0);
    if sum != 0 && sum as u32 != crc32(&request.body) {
        return Err(RequestError::BodyChecksum);
    }
    let body = read_body(&request.body, request.version)?;
    let topics = body.topic_config_serialize_wrapper;
    Ok(Registration {
        cluster: header.cluster_name.to_string(),
        broker_name: header.broker_name.to_string(),
        broker_addr: header.broker_addr.to_string(),
        broker_id: header.broker_id,
        ha_server_addr: header.ha_server_addr.to_string(),
        zone_name: header.zone_name.map(|zone| zone.to_string()),
        timeout_ms: header.heartbeat_timeout_millis,
        enable_acting_master: header.enable_acting_master,
        data_version: topics.data_version,
        topics: topics.topic_config_table,
        mappings: topics.topic_queue_mapping_info_map,
        filter_servers: body.filter_server_list,
        peer,
    })
}

/// A broker that sends nothing has no topics; before 3.0.11 there is only the table of topics.
fn read_body(body: &[u8], version: i32) -> Result<RegisterBrokerBody, RequestError> {
    if body.is_empty() {
        return Ok(RegisterBrokerBody::default());
    }
    if version >= VERSION_WITH_REGISTER_BODY {
        return Ok(RegisterBrokerBody::decode(body, version)?);
    }
    let topics: TopicConfigSerializeWrapper = json::from_slice(body)
        .map_err(|error| RequestError::Body { what: "TopicConfigSerializeWrapper", error })?;
    Ok(RegisterBrokerBody { topic_config_serialize_wrapper: topics, ..Default::default() })
}

/// Java: `UtilAll.crc32`, which drops the sign bit and gives 0 for no body.
fn crc32(body: &[u8]) -> u32 {
    crc32fast::hash(body) & 0x7FFF_FFFF
}

fn take(namesrv: &Namesrv, registration: Registration, now: Millis) -> Answer {
    let rules = namesrv.rules();
    let returns_order_conf = namesrv.settings().namesrv.return_order_topic_config_to_broker;
    let (name, id) = (registration.broker_name.clone(), registration.broker_id);
    let addr = registration.broker_addr.clone();

    let mut state = namesrv.state();
    let registered = state.routes.register(registration, &rules, now);
    let order_conf = returns_order_conf.then(|| state.kv.namespace(ORDER_TOPIC_CONFIG)).flatten();
    drop(state);

    let mut header = RegisterBrokerResponse::default();
    match registered {
        Ok(Registered::Accepted { new, master, notice }) => {
            if new {
                tracing::info!(broker = %name, id, %addr, "broker registered");
            }
            if let Some(master) = master {
                header.master_addr = Some(master.addr.into());
                header.ha_server_addr = Some(master.ha_server_addr.into());
            }
            namesrv.notify(notice);
        }
        Ok(Registered::Outdated) => {
            tracing::warn!(broker = %name, id, %addr, "registration ignored: another address holds this id with a newer state version");
        }
        Err(error) => {
            tracing::warn!(%error, %addr, "registration refused");
            return Err(RequestError::Unregistrable);
        }
    }
    let answer = Command::success().with_header(&header);
    Ok(match order_conf {
        Some(table) => answer.with_body(json::to_vec(&table)),
        None => answer,
    })
}

pub fn unregister(namesrv: &Namesrv, request: &Command) -> Answer {
    let UnregisterBroker { broker_name, broker_addr, .. } = request.header()?;
    let rules = namesrv.rules();
    let removed = namesrv.state().routes.unregister(&broker_name, &broker_addr, &rules);
    for member in &removed.members {
        tracing::info!(broker = %member.broker_name, id = member.broker_id, addr = %member.addr, "broker unregistered");
    }
    namesrv.notify(removed.notices);
    Ok(Command::success())
}

pub fn query_data_version(namesrv: &Namesrv, request: &Command, now: Millis) -> Answer {
    let QueryDataVersion { cluster_name, broker_name, broker_addr, .. } = request.header()?;
    let asked: Option<DataVersion> = if request.body.is_empty() {
        None
    } else {
        let read = json::from_slice(&request.body);
        Some(read.map_err(|error| RequestError::Body { what: "DataVersion", error })?)
    };
    let mut state = namesrv.state();
    state.routes.refresh(&cluster_name, &broker_name, &broker_addr, now);
    let known = state.routes.data_version(&cluster_name, &broker_name, &broker_addr).copied();
    drop(state);
    let changed = known.is_none() || known != asked;
    let answer = Command::success().with_header(&QueryDataVersionResponse { changed });
    Ok(match known {
        Some(known) => answer.with_body(json::to_vec(&known)),
        None => answer,
    })
}

pub fn heartbeat(namesrv: &Namesrv, request: &Command, now: Millis) -> Answer {
    let BrokerHeartbeat { cluster_name, broker_name, broker_addr, .. } = request.header()?;
    if !namesrv.state().routes.refresh(&cluster_name, &broker_name, &broker_addr, now) {
        tracing::debug!(%broker_name, %broker_addr, "heartbeat of a broker that is not registered");
    }
    Ok(Command::success())
}

pub fn member_group(namesrv: &Namesrv, request: &Command) -> Answer {
    let GetBrokerMemberGroup { cluster_name, broker_name } = request.header()?;
    let broker_member_group = namesrv.state().routes.member_group(&cluster_name, &broker_name);
    Ok(Command::success()
        .with_body(json::to_vec(&BrokerMemberGroupResponse { broker_member_group })))
}
