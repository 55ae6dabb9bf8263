//! Taking in what brokers say of themselves and their topics.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use skua_protocol::Millis;
use skua_protocol::body::{DataVersion, PERM_WRITE, QueueData, TopicConfig, TopicQueueMappingInfo};
use skua_protocol::service::Peer;

use super::{
    BROKER_TIMEOUT_MS, Broker, MASTER_ID, Member, MinBrokerIdChange, RouteTable, Row, Rules, Topic,
};

/// One broker's registration (request code 103), header and body together.
pub struct Registration {
    pub cluster: String,
    pub broker_name: String,
    pub broker_addr: String,
    pub broker_id: i64,
    pub ha_server_addr: String,
    pub zone_name: Option<String>,
    /// How long the broker may be silent; [`BROKER_TIMEOUT_MS`] if it does not say.
    pub timeout_ms: Option<i64>,
    /// `None` from brokers older than 5.0, whose slaves never speak for their topics.
    pub enable_acting_master: Option<bool>,
    pub data_version: DataVersion,
    pub topics: BTreeMap<String, TopicConfig>,
    pub mappings: BTreeMap<String, TopicQueueMappingInfo>,
    pub filter_servers: Vec<String>,
    pub peer: Arc<dyn Peer>,
}

/// Where a slave finds its master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master {
    pub addr: String,
    pub ha_server_addr: String,
}

/// What came of a registration that was not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    Accepted {
        /// Was the address unknown before?
        new: bool,
        master: Option<Master>,
        notice: Option<MinBrokerIdChange>,
    },
    /// Another address holds the broker id with a newer state version: this one is out of date.
    /// Java answers it as a success that names no master.
    Outdated,
}

/// A registration that must be repeated with all topics.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "broker {broker_name} id {broker_id} is not registered, so it cannot register the one topic {topic}"
)]
pub struct Unregistrable {
    pub broker_name: String,
    pub broker_id: i64,
    pub topic: String,
}

/// A topic registration (request code 217) that names a broker nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("topic {topic} names the unknown broker {broker_name}")]
pub struct UnknownBroker {
    pub topic: String,
    pub broker_name: String,
}

impl RouteTable {
    pub fn register(
        &mut self,
        registration: Registration,
        rules: &Rules,
        now: Millis,
    ) -> Result<Registered, Unregistrable> {
        let broker = self.brokers.get(registration.broker_name.as_str());
        match broker.and_then(|broker| broker.members.get(&registration.broker_id)) {
            // One topic is what a broker sends when a single topic changed: an update of a list
            // that is not there would leave the broker with that one topic only.
            None if registration.topics.len() == 1 => {
                return Err(Unregistrable {
                    broker_name: registration.broker_name,
                    broker_id: registration.broker_id,
                    topic: registration.topics.into_keys().next().unwrap_or_default(),
                });
            }
            Some(holder)
                if holder.addr != registration.broker_addr
                    && holder.data_version.state_version
                        > registration.data_version.state_version =>
            {
                self.forget_outdated(&registration.broker_name, &registration.broker_addr);
                return Ok(Registered::Outdated);
            }
            _ => {}
        }
        Ok(self.accept(registration, rules, now))
    }

    /// The address is not what it was and may not become what it says: no row is left of it.
    fn forget_outdated(&mut self, broker_name: &str, broker_addr: &str) {
        if let Some(broker) = self.brokers.get_mut(broker_name) {
            broker.members.retain(|_, member| member.addr != broker_addr);
            self.revision += 1;
        }
    }

    fn accept(&mut self, registration: Registration, rules: &Rules, now: Millis) -> Registered {
        let Registration { broker_id, enable_acting_master, data_version, .. } = registration;
        let acting = enable_acting_master.unwrap_or(false);
        let (name, first_of_name) =
            match self.brokers.get_key_value(registration.broker_name.as_str()) {
                Some((name, _)) => (name.clone(), false),
                None => (Arc::from(registration.broker_name.as_str()), true),
            };
        let broker = self.brokers.entry(name.clone()).or_insert_with(|| Broker {
            cluster: registration.cluster.clone(),
            zone_name: registration.zone_name.clone(),
            enable_acting_master: acting,
            members: BTreeMap::new(),
            topics: HashSet::new(),
        });
        let mut shows = first_of_name
            || broker.cluster != registration.cluster
            || broker.zone_name != registration.zone_name
            || broker.enable_acting_master != acting;
        broker.cluster = registration.cluster;
        broker.zone_name = registration.zone_name;
        broker.enable_acting_master = acting;

        // Java compares with 0 while the broker has no member, so that a first one is no change.
        let min_changed = broker_id < broker.min_id().unwrap_or(MASTER_ID);

        // A slave that becomes master comes with a new id at its old address.
        let mut known = None;
        broker.members.retain(|id, member| {
            let same = member.addr == registration.broker_addr;
            if same {
                known = Some(member.data_version);
                shows |= member.filter_servers != registration.filter_servers;
            }
            !same || *id == broker_id
        });
        let ha_server_addr = registration.ha_server_addr;
        let replaced = broker.members.insert(
            broker_id,
            Member {
                addr: registration.broker_addr.clone(),
                ha_server_addr: ha_server_addr.clone(),
                filter_servers: registration.filter_servers,
                data_version,
                timeout_ms: registration.timeout_ms.unwrap_or(BROKER_TIMEOUT_MS),
                last_seen: now,
                peer: registration.peer,
            },
        );
        shows |= replaced.as_ref().is_none_or(|old| old.addr != registration.broker_addr);

        // Only the master speaks for the topics or, from 5.0 on, the smallest slave.
        let speaks_as_slave = broker_id != MASTER_ID
            && enable_acting_master.is_some()
            && broker.min_id() == Some(broker_id);
        let master = (broker_id != MASTER_ID)
            .then(|| broker.members.get(&MASTER_ID))
            .flatten()
            .map(|master| Master {
                addr: master.addr.clone(),
                ha_server_addr: master.ha_server_addr.clone(),
            });
        let notice = (min_changed && rules.notify_min_broker_id_changed)
            .then(|| broker.min_id_change(None, Some(ha_server_addr)))
            .flatten();
        if shows {
            self.revision += 1;
        }
        if broker_id == MASTER_ID || speaks_as_slave {
            self.take_topics(
                &name,
                Topics {
                    configs: registration.topics,
                    mappings: registration.mappings,
                    all_changed: replaced.is_none() || known != Some(data_version),
                    wipe_write: speaks_as_slave && acting,
                },
                rules,
            );
        }
        Registered::Accepted { new: known.is_none(), master, notice }
    }

    fn take_topics(&mut self, broker: &Arc<str>, topics: Topics, rules: &Rules) {
        // Java: a static topic's broker may leave topics out of its list.
        if rules.delete_topic_with_broker_registration
            && topics.mappings.is_empty()
            && let Some(entry) = self.brokers.get_mut(broker)
        {
            let left_out = |name: &Arc<str>| !topics.configs.contains_key(name.as_ref());
            let names: Vec<Arc<str>> = entry.topics.extract_if(left_out).collect();
            self.remove_rows(broker, &names);
        }
        for (key, config) in topics.configs {
            let name = if config.topic_name.is_empty() { key } else { config.topic_name };
            let known =
                self.topics.get(name.as_str()).is_some_and(|topic| topic.find(broker).is_ok());
            if known && !topics.all_changed {
                continue;
            }
            let perm = if topics.wipe_write { config.perm & !PERM_WRITE } else { config.perm };
            self.put_row(
                &name,
                Row {
                    broker: broker.clone(),
                    read_queue_nums: config.read_queue_nums,
                    write_queue_nums: config.write_queue_nums,
                    perm,
                    topic_sys_flag: config.topic_sys_flag,
                    mapping: None,
                },
            );
        }
        if !topics.all_changed {
            return;
        }
        for (name, mapping) in topics.mappings {
            // A mapping is the registering broker's own part of the static topic, by contract.
            if mapping.bname != broker.as_ref() {
                continue;
            }
            if let Some(row) =
                self.topics.get_mut(name.as_str()).and_then(|topic| topic.row_mut(broker))
            {
                row.mapping = Some(Box::new(mapping));
            }
        }
    }

    /// Creates or changes the topic's row for one broker; a mapping that is there stays.
    fn put_row(&mut self, topic: &str, mut row: Row) {
        let name = match self.topics.get_key_value(topic) {
            Some((name, _)) => name.clone(),
            None => Arc::from(topic),
        };
        if let Some(broker) = self.brokers.get_mut(&row.broker) {
            broker.topics.insert(name.clone());
        }
        let empty = || Topic { rows: Vec::new(), encoded: None };
        let entry = self.topics.entry(name).or_insert_with(empty);
        match entry.find(&row.broker) {
            Ok(at) => {
                row.mapping = entry.rows[at].mapping.take();
                entry.rows[at] = row;
            }
            Err(at) => entry.rows.insert(at, row),
        }
        entry.encoded = None;
    }

    /// Adds a topic's rows for brokers that are all known (request code 217).
    pub fn register_topic(
        &mut self,
        topic: &str,
        queues: &[QueueData],
    ) -> Result<(), UnknownBroker> {
        let mut rows = Vec::with_capacity(queues.len());
        for queue in queues {
            let Some((broker, _)) = self.brokers.get_key_value(queue.broker_name.as_str()) else {
                return Err(UnknownBroker {
                    topic: topic.to_owned(),
                    broker_name: queue.broker_name.clone(),
                });
            };
            rows.push(Row {
                broker: broker.clone(),
                read_queue_nums: queue.read_queue_nums,
                write_queue_nums: queue.write_queue_nums,
                perm: queue.perm,
                topic_sys_flag: queue.topic_sys_flag,
                mapping: None,
            });
        }
        for row in rows {
            self.put_row(topic, row);
        }
        Ok(())
    }
}

/// The part of a registration that is about topics.
struct Topics {
    configs: BTreeMap<String, TopicConfig>,
    mappings: BTreeMap<String, TopicQueueMappingInfo>,
    /// Every row is taken, not only those that are missing.
    all_changed: bool,
    wipe_write: bool,
}

impl Broker {
    /// The notice of a smallest broker id that has just changed; Java tells the members that were
    /// there before a new one came, and all that are left when one went.
    pub(super) fn min_id_change(
        &self,
        offline_broker_addr: Option<String>,
        ha_broker_addr: Option<String>,
    ) -> Option<MinBrokerIdChange> {
        let (&min_broker_id, min) = self.members.first_key_value()?;
        let all = offline_broker_addr.is_some() || self.members.len() == 1;
        let tell = self.members.iter().filter(|(id, _)| all || **id != min_broker_id);
        Some(MinBrokerIdChange {
            min_broker_id,
            min_broker_addr: min.addr.clone(),
            offline_broker_addr,
            ha_broker_addr,
            tell: tell.map(|(_, member)| member.addr.clone()).collect(),
        })
    }
}
