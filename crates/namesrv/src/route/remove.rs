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
        for name in &gone {
            let Some(broker) = self.brokers.remove(name) else { continue };
            self.remove_rows(name, &broker.topics);
        }
        for name in &masterless {
            let Some(broker) = self.brokers.get(name) else { continue };
            for topic in &broker.topics {
                let topic = self.topics.get_mut(topic);
                if let Some(row) = topic.and_then(|topic| topic.row_mut(name)) {
                    row.perm &= !PERM_WRITE;
                }
            }
        }
        removed
    }

    /// The broker's rows of these topics; the broker no longer counts them as its own.
    pub(super) fn remove_rows<'a>(
        &mut self,
        broker: &str,
        topics: impl IntoIterator<Item = &'a Arc<str>>,
    ) {
        for name in topics {
            let Some(topic) = self.topics.get_mut(name) else { continue };
            topic.remove(broker);
            if topic.rows.is_empty() {
                self.topics.remove(name);
            }
        }
    }

    /// Deletes a topic everywhere or, if a cluster is named, on that cluster's brokers.
    pub fn delete_topic(&mut self, name: &str, cluster: Option<&str>) {
        let Some(topic) = self.topics.get_mut(name) else { return };
        topic.rows.retain(|row| {
            let Some(broker) = self.brokers.get_mut(&row.broker) else { return false };
            let stays = cluster.is_some_and(|cluster| broker.cluster != cluster);
            if !stays {
                broker.topics.remove(name);
            }
            stays
        });
        topic.encoded = None;
        if topic.rows.is_empty() {
            self.topics.remove(name);
        }
    }
}
