//! Between the brokers of one name, and what operators see of it: 906, 907, 908, 770001
//! to 770004.

use std::sync::Arc;

use skua_protocol::body::{HaClientInfo, HaConnectionInfo, HaRuntimeInfo, RaftStatus};
use skua_protocol::request::{
    ExchangeBrokerHaInfo, ExchangeBrokerHaInfoResponse, HandOver, RaftControl,
    ResetMasterFlushOffset, TakeOver,
};
use skua_protocol::service::Outcome;
use skua_protocol::{Command, Millis, PhysicalOffset, json};

use super::error::RequestError;
use super::{Answer, reply};
use crate::broker::Broker;

/// A slave asks where its master is; who knows tells a slave.
pub fn exchange(broker: &Broker, request: &Command) -> Answer {
    let header: ExchangeBrokerHaInfo = request.header()?;
    let mut answer = ExchangeBrokerHaInfoResponse::default();
    if let Some(address) = header.master_ha_address.filter(|address| !address.is_empty()) {
        if broker.is_slave() {
            broker.master_is_at(&address, header.master_address.as_deref());
        }
    } else if !broker.is_slave() {
        answer.master_ha_address = Some(broker.ha_address().into());
        answer.master_flush_offset = Some(broker.store.recovered().end as i64);
        answer.master_address = Some(broker.address().into());
    }
    Ok(Command::success().with_header(&answer))
}

/// A member that was heard within so many milliseconds is there.
const HEARD_MS: u64 = 3000;
/// Java: `haMaxGapNotInSync`, beyond which a slave is not in sync.
const NEAR: u64 = 256 << 20;

pub fn status(broker: &Arc<Broker>, now: Millis) -> Outcome {
    if !broker.store.has_gate() {
        return reply(status_of_pair(broker));
    }
    let asked = RaftControl { action: "status".into(), id: None, address: None };
    let (broker, done) = (broker.clone(), broker.outside().raft_control(asked));
    Outcome::Later(Box::pin(async move {
        let seen = done.await.and_then(|body| {
            json::from_slice::<RaftStatus>(&body).map_err(|error| error.to_string())
        });
        match seen {
            Ok(seen) => {
                let body = json::to_vec(&status_of_group(&broker, &seen, now));
                Command::success().with_body(body)
            }
            Err(cause) => RequestError::Raft(cause).answer(),
        }
    }))
}

/// The leader shows the other members as slaves, those as slaves show their leader.
fn status_of_group(broker: &Broker, seen: &RaftStatus, now: Millis) -> HaRuntimeInfo {
    let end = broker.store.appended().0;
    let mut info = HaRuntimeInfo { master: broker.is_master(), ..HaRuntimeInfo::default() };
    if info.master {
        info.master_commit_log_max_offset = end as i64;
        for member in seen.members.iter().filter(|member| member.id != seen.id) {
            let lag = member.lag_bytes.unwrap_or(end).min(end);
            let is_there = member.heard_millis.is_some_and(|ms| ms < HEARD_MS);
            let in_sync = member.votes && is_there && lag <= NEAR;
            info.in_sync_slave_nums += i32::from(in_sync);
            info.ha_connection_info.push(HaConnectionInfo {
                addr: member.address.clone(),
                diff: lag as i64,
                in_sync,
                slave_ack_offset: (end - lag) as i64,
                transfer_from_where: (end - lag) as i64,
                transferred_byte_in_second: 0,
            });
        }
        return info;
    }
    let leader = seen.members.iter().find(|member| member.is_leader);
    let heard = leader.and_then(|leader| leader.heard_millis);
    let heard = heard.map_or(0, |ms| now.0.saturating_sub(ms as i64));
    info.ha_client_runtime_info = HaClientInfo {
        activated: leader.is_some(),
        last_read_timestamp: heard,
        last_write_timestamp: heard,
        master_addr: leader.map(|leader| leader.address.clone()),
        master_flush_offset: broker.store.confirmed().0 as i64,
        max_offset: end as i64,
        transferred_byte_in_second: 0,
    };
    info
}

fn status_of_pair(broker: &Broker) -> Answer {
    let end = broker.store.appended().0;
    let mut info = HaRuntimeInfo { master: !broker.is_slave(), ..HaRuntimeInfo::default() };
    if broker.is_slave() {
        let view = broker.slave_view();
        info.ha_client_runtime_info = HaClientInfo {
            activated: view.connected,
            last_read_timestamp: view.heard.0,
            last_write_timestamp: view.told.0,
            master_addr: view.master_ha,
            master_flush_offset: broker.store.master_flushed_offset().0 as i64,
            max_offset: end as i64,
            transferred_byte_in_second: view.bytes_per_second as i64,
        };
    } else {
        info.master_commit_log_max_offset = end as i64;
        for slave in broker.replicas.views(end) {
            let acked = slave.progress.reported.unwrap_or(0);
            info.in_sync_slave_nums += i32::from(slave.in_sync);
            info.ha_connection_info.push(HaConnectionInfo {
                addr: slave.addr.to_string(),
                diff: end.saturating_sub(acked) as i64,
                in_sync: slave.in_sync,
                slave_ack_offset: acked as i64,
                transfer_from_where: slave.progress.sent as i64,
                transferred_byte_in_second: slave.progress.bytes_per_second as i64,
            });
        }
    }
    Ok(Command::success().with_body(json::to_vec(&info)))
}

/// Java: up to where the master had its log on disk, which a slave notes for its own start.
pub fn reset_flushed(broker: &Broker, request: &Command) -> Answer {
    let header: ResetMasterFlushOffset = request.header()?;
    if broker.is_slave() {
        let offset = u64::try_from(header.master_flush_offset).unwrap_or(0);
        broker.store.set_master_flushed_offset(PhysicalOffset(offset))?;
    }
    Ok(Command::success())
}

/// What was popped in order, and who holds queues.
pub fn all_held(broker: &Broker) -> Answer {
    Ok(Command::success().with_body(broker.held()))
}

/// What operators ask of the group.
pub fn raft_control(broker: &Arc<Broker>, request: &Command) -> Outcome {
    let header: RaftControl = match request.header() {
        Ok(header) => header,
        Err(error) => return reply(Err(error.into())),
    };
    let done = broker.outside().raft_control(header);
    Outcome::Later(Box::pin(async move {
        match done.await {
            Ok(body) => Command::success().with_body(body),
            Err(cause) => RequestError::Raft(cause).answer(),
        }
    }))
}

/// An operator moves this master's role to a slave.
pub fn hand_over(broker: &Arc<Broker>, request: &Command) -> Outcome {
    let header: HandOver = match request.header() {
        Ok(header) => header,
        Err(error) => return reply(Err(error.into())),
    };
    let done = broker.outside().hand_over(header);
    Outcome::Later(Box::pin(async move {
        match done.await {
            Ok(done) => Command::success().with_header(&done),
            Err(cause) => RequestError::NotHandedOver(cause).answer(),
        }
    }))
}

/// The master gives this slave its place.
pub fn take_over(broker: &Arc<Broker>, request: &Command) -> Outcome {
    let header: TakeOver = match request.header() {
        Ok(header) => header,
        Err(error) => return reply(Err(error.into())),
    };
    let done = broker.outside().take_over(header);
    Outcome::Later(Box::pin(async move {
        match done.await {
            Ok(done) => Command::success().with_header(&done),
            Err(cause) => RequestError::NotTakenOver(cause).answer(),
        }
    }))
}
