//! What clients and tools ask of the table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use skua_protocol::body::{
    BrokerData, BrokerMemberGroup, ClusterInfo, PERM_WRITE, QueueData, RouteData, TopicList,
};
use skua_protocol::json;

use super::{Broker, MASTER_ID, RouteTable, Row, Rules, Topic};

/// Topics in which brokers of one name keep their member list; every member is shown as it is
/// (Java: `TopicValidator.SYNC_BROKER_MEMBER_GROUP_PREFIX`).
const SYNC_BROKER_MEMBER_PREFIX: &str = "rmq_sys_SYNC_BROKER_MEMBER_";

/// Topic system flag bits (Java: `TopicSysFlag`).
const FLAG_UNIT: i32 = 1;
const FLAG_UNIT_SUB: i32 = 2;

/// Which topics [`RouteTable::unit_topics`] lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitTopics {
    Unit,
    HasUnitSub,
    HasUnitSubButIsNoUnit,
}

/// A client's wish to see the brokers of its own zone only (Java: `ZoneRouteRPCHook`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneFilter(pub String);

impl RouteTable {
    /// The answer to a route query, encoded; `order_conf` is asked for if it has to be made anew.
    pub fn encoded_route(
        &mut self,
        name: &str,
        rules: &Rules,
        order_conf: impl FnOnce() -> Option<String>,
    ) -> Option<Bytes> {
        let topic = self.topics.get_mut(name)?;
        if let Some((revision, encoded)) = &topic.encoded
            && *revision == self.revision
        {
            return Some(encoded.clone());
        }
        let mut route = build(name, topic, &self.brokers, rules);
        route.order_topic_conf = order_conf();
        let encoded = Bytes::from(json::to_vec(&route));
        topic.encoded = Some((self.revision, encoded.clone()));
        Some(encoded)
    }

    pub fn route(&self, name: &str, rules: &Rules) -> Option<RouteData> {
        Some(build(name, self.topics.get(name)?, &self.brokers, rules))
    }

    pub fn cluster_info(&self) -> ClusterInfo {
        let mut clusters: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, broker) in &self.brokers {
            clusters.entry(broker.cluster.clone()).or_default().insert(name.to_string());
        }
        let brokers =
            self.brokers.iter().map(|(name, broker)| (name.to_string(), broker_data(name, broker)));
        ClusterInfo { broker_addr_table: brokers.collect(), cluster_addr_table: clusters }
    }

    /// The members of one broker name; none if nobody knows it.
    pub fn member_group(&self, cluster: &str, broker_name: &str) -> BrokerMemberGroup {
        BrokerMemberGroup {
            broker_addrs: self.brokers.get(broker_name).map(addrs).unwrap_or_default(),
            broker_name: broker_name.to_owned(),
            cluster: cluster.to_owned(),
        }
    }

    pub fn all_topics(&self) -> TopicNames {
        self.topics_where(|_| true)
    }

    pub fn topics_by_cluster(&self, cluster: &str) -> TopicNames {
        let in_cluster = |row: &Row| {
            self.brokers.get(&row.broker).is_some_and(|broker| broker.cluster == cluster)
        };
        self.topics_where(|topic| topic.rows.iter().any(in_cluster))
    }

    pub fn unit_topics(&self, which: UnitTopics) -> TopicNames {
        self.topics_where(|topic| {
            let flag = topic.rows.first().map_or(0, |row| row.topic_sys_flag);
            let (unit, unit_sub) = (flag & FLAG_UNIT != 0, flag & FLAG_UNIT_SUB != 0);
            match which {
                UnitTopics::Unit => unit,
                UnitTopics::HasUnitSub => unit_sub,
                UnitTopics::HasUnitSubButIsNoUnit => unit_sub && !unit,
            }
        })
    }

    /// Cluster and broker names, which are topics of their own, and an address to ask for more.
    pub fn system_topics(&self) -> TopicList {
        let mut names: BTreeSet<&str> = self.brokers.keys().map(AsRef::as_ref).collect();
        names.extend(self.brokers.values().map(|broker| broker.cluster.as_str()));
        let first = self.brokers.values().find_map(|broker| broker.members.values().next());
        TopicList {
            broker_addr: first.map(|member| member.addr.clone()),
            topic_list: names.into_iter().map(str::to_owned).collect(),
        }
    }

    fn topics_where(&self, keep: impl Fn(&Topic) -> bool) -> TopicNames {
        let kept = self.topics.iter().filter(|(_, topic)| keep(topic));
        TopicNames(kept.map(|(name, _)| name.clone()).collect())
    }
}

/// Names taken out of the table as they lie, to be put in order after its lock is given back.
pub struct TopicNames(Vec<Arc<str>>);

impl TopicNames {
    pub fn sorted(mut self) -> TopicList {
        self.0.sort_unstable();
        TopicList {
            broker_addr: None,
            topic_list: self.0.iter().map(|name| name.to_string()).collect(),
        }
    }
}

fn build(
    name: &str,
    topic: &Topic,
    brokers: &BTreeMap<Arc<str>, Broker>,
    rules: &Rules,
) -> RouteData {
    let mut route = RouteData::default();
    for row in &topic.rows {
        let Some(broker) = brokers.get(&row.broker) else { continue };
        let mut data = broker_data(&row.broker, broker);
        for member in broker.members.values().filter(|member| !member.filter_servers.is_empty()) {
            route.filter_server_table.insert(member.addr.clone(), member.filter_servers.clone());
        }
        if rules.support_acting_master
            && broker.enable_acting_master
            && !name.starts_with(SYNC_BROKER_MEMBER_PREFIX)
        {
            show_acting_master(&mut data, row.perm);
        }
        route.broker_datas.push(data);
        route.queue_datas.push(QueueData {
            broker_name: row.broker.to_string(),
            read_queue_nums: row.read_queue_nums,
            write_queue_nums: row.write_queue_nums,
            perm: row.perm,
            topic_sys_flag: row.topic_sys_flag,
        });
        if let Some(mapping) = &row.mapping {
            route
                .topic_queue_mapping_by_broker
                .get_or_insert_default()
                .insert(row.broker.to_string(), mapping.as_ref().clone());
        }
    }
    route
}

/// A broker without master shows its smallest slave under the master's id, if clients cannot
/// send to it.
fn show_acting_master(data: &mut BrokerData, perm: i32) {
    if data.broker_addrs.contains_key(&MASTER_ID) || perm & PERM_WRITE != 0 {
        return;
    }
    if let Some((_, addr)) = data.broker_addrs.pop_first() {
        data.broker_addrs.insert(MASTER_ID, addr);
    }
}

fn broker_data(name: &str, broker: &Broker) -> BrokerData {
    BrokerData {
        broker_addrs: addrs(broker),
        broker_name: name.to_owned(),
        cluster: broker.cluster.clone(),
        enable_acting_master: broker.enable_acting_master,
        zone_name: broker.zone_name.clone(),
    }
}

fn addrs(broker: &Broker) -> BTreeMap<i64, String> {
    broker.members.iter().map(|(id, member)| (*id, member.addr.clone())).collect()
}

impl ZoneFilter {
    /// Leaves the brokers of the zone, and those without master, which are read from anywhere.
    pub fn apply(&self, route: &mut RouteData) {
        let (kept, removed): (Vec<_>, Vec<_>) =
            std::mem::take(&mut route.broker_datas).into_iter().partition(|data| {
                let zone = data.zone_name.as_deref().unwrap_or_default();
                !data.broker_addrs.contains_key(&MASTER_ID) || zone.eq_ignore_ascii_case(&self.0)
            });
        route.broker_datas = kept;
        for data in removed {
            route.queue_datas.retain(|queue| queue.broker_name != data.broker_name);
            for addr in data.broker_addrs.values() {
                route.filter_server_table.remove(addr);
            }
        }
    }
}
