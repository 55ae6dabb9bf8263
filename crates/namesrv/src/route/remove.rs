//! Brokers that leave: by request, by a closed connection, by silence. Topics that are deleted.

use std::collections::BTreeSet;
use std::sync::Arc;

use skua_protocol::Millis;
use skua_protocol::body::PERM_WRITE;
use skua_protocol::service::{ConnectionId, Peer};

use super::{Member, MinBrokerIdChange, RouteTable, Rules};

/// What a removal leaves to be done outside the table.
#[derive(Default)]
pub struct Removed {
    pub members: Vec<RemovedMember>,
    pub notices: Vec<MinBrokerIdChange>,
}

pub struct RemovedMember {
    pub broker_name: Arc<str>,
    pub broker_id: i64,
    pub addr: String,
    pub timeout_ms: i64,
    pub peer: Arc<dyn Peer>,
}

impl RouteTable {
    /// A broker said goodbye (request code 104).
    pub fn unregister(&mut self, broker_name: &str, broker_addr: &str, rules: &Rules) -> Removed {
        self.remove_members(rules, |name, member| name == broker_name && member.addr == broker_addr)
    }

    /// A connection ended: whoever registered last over it is gone.
    pub fn closed(&mut self, peer: ConnectionId, rules: &Rules) -> Removed {
        self.remove_members(rules, |_, member| member.peer.id() == peer)
    }

    /// Removes the brokers that were silent for longer than they may be.
    pub fn expire(&mut self, rules: &Rules, now: Millis) -> Removed {
        self.remove_members(rules, |_, member| member.expires_at() < now)
    }

    fn remove_members(&mut self, rules: &Rules, leaves: impl Fn(&str, &Member) -> bool) -> Removed {
        let mut removed = Removed::default();
        // Broker names with no member left, and those whose last master is gone.
        let mut gone: BTreeSet<Arc<str>> = BTreeSet::new();
        let mut masterless: BTreeSet<Arc<str>> = BTreeSet::new();
        for (name, broker) in &mut self.brokers {
            let leaving = broker.members.iter().filter(|(_, member)| leaves(name, member));
            let leaving: Vec<i64> = leaving.map(|(id, _)| *id).collect();
            if leaving.is_empty() {
                continue;
            }
            let min_before = broker.min_id();
            let mut min_addr_before = None;
            for id in leaving {
                let Some(member) = broker.members.remove(&id) else { continue };
                if Some(id) == min_before {
                    min_addr_before = Some(member.addr.clone());
                }
                removed.members.push(RemovedMember {
                    broker_name: name.clone(),
                    broker_id: id,
                    addr: member.addr,
                    timeout_ms: member.timeout_ms,
                    peer: member.peer,
                });
            }
            if broker.members.is_empty() {
                gone.insert(name.clone());
            } else if broker.enable_acting_master {
                if rules.notify_min_broker_id_changed && min_addr_before.is_some() {
                    removed.notices.extend(broker.min_id_change(min_addr_before, None));
                }
                if broker.has_no_master() {
                    masterless.insert(name.clone());
                }
            }
        }
        if removed.members.is_empty() {
            return removed;
        }
        self.revision += 1;
        self.brokers.retain(|name, _| !gone.contains(name));
        if gone.is_empty() && masterless.is_empty() {
            return removed;
        }
        self.topics.retain(|_, topic| {
            for broker in &gone {
                topic.remove(broker);
            }
            for broker in &masterless {
                if let Some(row) = topic.row_mut(broker) {
                    row.perm &= !PERM_WRITE;
                }
            }
            !topic.rows.is_empty()
        });
        removed
    }

    /// Deletes a topic everywhere or, if a cluster is named, on that cluster's brokers.
    pub fn delete_topic(&mut self, name: &str, cluster: Option<&str>) {
        let Some(cluster) = cluster else {
            self.topics.remove(name);
            return;
        };
        let Some(topic) = self.topics.get_mut(name) else { return };
        topic.rows.retain(|row| {
            self.brokers.get(&row.broker).is_none_or(|broker| broker.cluster != cluster)
        });
        topic.encoded = None;
        if topic.rows.is_empty() {
            self.topics.remove(name);
        }
    }
}
