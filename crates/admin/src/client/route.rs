//! Reading routes and cluster tables: which queues there are and at which addresses.

use skua_protocol::body::{
    BrokerData, ClusterInfo, PERM_INHERIT, PERM_READ, PERM_WRITE, QueueData, RouteData,
};

use crate::failure::Failure;

/// How queues are picked from a route.
pub type Choose = fn(&RouteData) -> Vec<Queue>;

/// The broker id of a master.
pub const MASTER_ID: i64 = 0;

/// One queue and the address that serves it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Queue {
    pub broker_name: String,
    pub id: i32,
    pub addr: String,
}

/// `RW-` (Java: `PermName.perm2String`).
pub fn perm_text(perm: i32) -> String {
    let letter = |bit, letter| if perm & bit == bit { letter } else { '-' };
    [letter(PERM_READ, 'R'), letter(PERM_WRITE, 'W'), letter(PERM_INHERIT, 'X')].iter().collect()
}

/// The master's address, else the one with the lowest id.
pub fn any_addr(broker: &BrokerData) -> Option<&str> {
    broker.broker_addrs.values().next().map(|addr| &**addr)
}

pub fn master_addr(broker: &BrokerData) -> Option<&str> {
    broker.broker_addrs.get(&MASTER_ID).map(|addr| &**addr)
}

/// Queues that take messages, in the order of broker names and ids.
pub fn writable(route: &RouteData) -> Vec<Queue> {
    queues(route, PERM_WRITE, |data| data.write_queue_nums, master_addr)
}

/// Queues that give messages.
pub fn readable(route: &RouteData) -> Vec<Queue> {
    queues(route, PERM_READ, |data| data.read_queue_nums, any_addr)
}

fn queues(
    route: &RouteData,
    perm: i32,
    count: impl Fn(&QueueData) -> i32,
    addr: impl Fn(&BrokerData) -> Option<&str>,
) -> Vec<Queue> {
    let mut list = Vec::new();
    for data in route.queue_datas.iter().filter(|data| data.perm & perm == perm) {
        let broker =
            route.broker_datas.iter().find(|broker| broker.broker_name == data.broker_name);
        let Some(addr) = broker.and_then(&addr) else { continue };
        list.extend((0..count(data)).map(|id| Queue {
            broker_name: data.broker_name.to_string(),
            id,
            addr: addr.to_owned(),
        }));
    }
    list.sort();
    list
}

/// Addresses of all brokers in a route, masters before slaves' stand-ins.
pub fn broker_addrs(route: &RouteData) -> Vec<String> {
    route.broker_datas.iter().filter_map(any_addr).map(str::to_owned).collect()
}

/// The brokers of one cluster, by name.
pub fn brokers_of<'a>(
    info: &'a ClusterInfo,
    cluster: &str,
) -> Result<Vec<&'a BrokerData>, Failure> {
    let names = info.cluster_addr_table.get(cluster).ok_or_else(|| {
        let known: Vec<&str> = info.cluster_addr_table.keys().map(|name| &**name).collect();
        Failure::other(format!(
            "cluster {cluster} not found (known: {}). Make sure the specified clusterName exists or the name server connected to is correct.",
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        ))
    })?;
    let mut names: Vec<_> = names.iter().collect();
    names.sort();
    Ok(names.into_iter().filter_map(|name| info.broker_addr_table.get(name)).collect())
}

/// Addresses of the masters of `cluster`.
pub fn masters_of(info: &ClusterInfo, cluster: &str) -> Result<Vec<String>, Failure> {
    let brokers = brokers_of(info, cluster)?;
    Ok(brokers.into_iter().filter_map(master_addr).map(str::to_owned).collect())
}

/// Addresses of all brokers of `cluster`.
pub fn members_of(info: &ClusterInfo, cluster: &str) -> Result<Vec<String>, Failure> {
    let brokers = brokers_of(info, cluster)?;
    Ok(brokers
        .into_iter()
        .flat_map(|broker| broker.broker_addrs.values())
        .map(|addr| addr.to_string())
        .collect())
}

/// Name of the broker that listens at `addr`.
pub fn broker_name_of(info: &ClusterInfo, addr: &str) -> Result<String, Failure> {
    info.broker_addr_table
        .values()
        .find(|broker| broker.broker_addrs.values().any(|known| &**known == addr))
        .map(|broker| broker.broker_name.to_string())
        .ok_or_else(|| {
            Failure::other(format!("no broker at {addr} is registered with the name server"))
        })
}
