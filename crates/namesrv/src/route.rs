//! Which broker serves which topic, and which brokers are alive (Java: `RouteInfoManager`).
//!
//! A broker name holds its members by broker id, and each member carries its own liveness, so an
//! address without a live row cannot exist. A topic holds one row for each broker name serving it;
//! a row never outlives its broker. Everything here is a plain value: `now` comes in, and what is
//! to be sent or closed comes out.

mod register;
mod remove;
mod view;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use skua_config::Settings;
use skua_protocol::Millis;
use skua_protocol::body::{DataVersion, PERM_READ, PERM_WRITE, TopicQueueMappingInfo};
use skua_protocol::service::Peer;

pub use register::{Registered, Registration};
pub use view::{UnitTopics, ZoneFilter};

/// The broker id of a master.
pub const MASTER_ID: i64 = 0;
/// How long a broker that names no timeout of its own may be silent.
pub const BROKER_TIMEOUT_MS: i64 = 120_000;

/// The settings that change what the table does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Routes show the smallest slave as master while a broker has none.
    pub support_acting_master: bool,
    /// Members are told when the smallest broker id of their broker changes.
    pub notify_min_broker_id_changed: bool,
    /// A registration deletes the broker's topics that it does not list.
    pub delete_topic_with_broker_registration: bool,
}

impl Rules {
    pub fn of(settings: &Settings) -> Self {
        let config = &settings.namesrv;
        Self {
            support_acting_master: config.support_acting_master,
            notify_min_broker_id_changed: config.notify_min_broker_id_changed,
            delete_topic_with_broker_registration: config.delete_topic_with_broker_registration,
        }
    }
}

/// What the members of a broker are told when its smallest broker id changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinBrokerIdChange {
    pub min_broker_id: i64,
    pub min_broker_addr: String,
    pub offline_broker_addr: Option<String>,
    pub ha_broker_addr: Option<String>,
    /// Addresses of the members to tell.
    pub tell: Vec<String>,
}

/// Routes and broker liveness; owned by the name server's lock.
#[derive(Default)]
pub struct RouteTable {
    /// Looked up by every route query; listings sort.
    topics: HashMap<Arc<str>, Topic>,
    brokers: BTreeMap<Arc<str>, Broker>,
    /// Raised by each change that may show in the routes of many topics.
    revision: u64,
}

struct Broker {
    cluster: String,
    zone_name: Option<String>,
    enable_acting_master: bool,
    /// By broker id; never empty.
    members: BTreeMap<i64, Member>,
    /// Those that have a row of it: when it leaves, only they are looked at.
    topics: HashSet<Arc<str>>,
}

struct Member {
    addr: String,
    ha_server_addr: String,
    filter_servers: Vec<String>,
    data_version: DataVersion,
    timeout_ms: i64,
    last_seen: Millis,
    /// The connection that the last registration came by.
    peer: Arc<dyn Peer>,
}

struct Topic {
    /// Sorted by broker name; never empty.
    rows: Vec<Row>,
    /// The route as answered, with the table's revision it was made at.
    encoded: Option<(u64, Bytes)>,
}

struct Row {
    broker: Arc<str>,
    read_queue_nums: i32,
    write_queue_nums: i32,
    perm: i32,
    topic_sys_flag: i32,
    /// The broker's part of a static topic.
    mapping: Option<Box<TopicQueueMappingInfo>>,
}

impl Broker {
    fn min_id(&self) -> Option<i64> {
        self.members.keys().next().copied()
    }

    /// Java: `isNoMasterExists`.
    fn has_no_master(&self) -> bool {
        self.min_id().is_none_or(|id| id > MASTER_ID)
    }
}

impl Member {
    fn expires_at(&self) -> Millis {
        self.last_seen.plus(self.timeout_ms)
    }
}

impl Topic {
    fn find(&self, broker: &str) -> Result<usize, usize> {
        self.rows.binary_search_by(|row| row.broker.as_ref().cmp(broker))
    }

    fn row_mut(&mut self, broker: &str) -> Option<&mut Row> {
        let at = self.find(broker).ok()?;
        self.encoded = None;
        Some(&mut self.rows[at])
    }

    fn remove(&mut self, broker: &str) -> bool {
        let Ok(at) = self.find(broker) else { return false };
        self.rows.remove(at);
        self.encoded = None;
        true
    }
}

/// How [`RouteTable::set_write_perm`] changes a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WritePerm {
    Wipe,
    /// Java: gives read and write, and drops every other bit.
    Add,
}

impl RouteTable {
    /// Makes every encoded route stale: something outside the table that shows in routes changed.
    pub fn invalidate(&mut self) {
        self.revision += 1;
    }

    /// Notes that a broker is alive; false if its row is gone and it must register again.
    pub fn refresh(&mut self, cluster: &str, name: &str, addr: &str, now: Millis) -> bool {
        let Some(broker) = self.brokers.get_mut(name).filter(|b| b.cluster == cluster) else {
            return false;
        };
        let Some(member) = broker.members.values_mut().find(|m| m.addr == addr) else {
            return false;
        };
        member.last_seen = now;
        true
    }

    /// The data version of the broker's last registration.
    pub fn data_version(&self, cluster: &str, name: &str, addr: &str) -> Option<&DataVersion> {
        let broker = self.brokers.get(name).filter(|b| b.cluster == cluster)?;
        broker.members.values().find(|m| m.addr == addr).map(|m| &m.data_version)
    }

    /// Changes the write permission of all the broker's topics, until it registers a newer data
    /// version. Returns how many topics the broker has.
    pub fn set_write_perm(&mut self, broker: &str, change: WritePerm) -> usize {
        let mut count = 0;
        for topic in self.topics.values_mut() {
            let Some(row) = topic.row_mut(broker) else { continue };
            row.perm = match change {
                WritePerm::Wipe => row.perm & !PERM_WRITE,
                WritePerm::Add => PERM_READ | PERM_WRITE,
            };
            count += 1;
        }
        count
    }
}
