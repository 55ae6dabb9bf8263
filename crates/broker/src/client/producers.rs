//! Producer groups: who is in them.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use skua_protocol::service::ConnectionId;
use skua_protocol::{Command, Millis};

use super::{Member, SCAN_EVERY_MS};
use crate::swap_map::{SwapMap, lock};

/// A producer group as it is now; a change makes a new one.
#[derive(Clone, Default)]
pub struct ProducerGroup {
    pub members: Vec<Arc<Member>>,
}

#[derive(Default)]
struct Writer {
    groups_of: HashMap<ConnectionId, BTreeSet<Arc<str>>>,
    next_scan: Option<Millis>,
}

pub struct Producers {
    groups: SwapMap<ProducerGroup>,
    /// By client id, for replies to a client.
    clients: SwapMap<Member>,
    writer: Mutex<Writer>,
    expire_after_ms: i64,
    /// Whose turn it is to be asked.
    turn: AtomicUsize,
}

impl Producers {
    pub fn new(expire_after_ms: i64) -> Self {
        Self {
            groups: SwapMap::default(),
            clients: SwapMap::default(),
            writer: Mutex::default(),
            expire_after_ms,
            turn: AtomicUsize::new(0),
        }
    }

    pub fn get(&self, group: &str) -> Option<Arc<ProducerGroup>> {
        self.groups.get(group)
    }

    /// All groups, sorted by name.
    pub fn all(&self) -> Vec<(Arc<str>, Arc<ProducerGroup>)> {
        self.groups.entries()
    }

    /// The client of this id that was heard of last.
    pub fn client(&self, client_id: &str) -> Option<Arc<Member>> {
        self.clients.get(client_id)
    }

    /// Hands a one-way request to one member of the group, each in turn; false if none takes it.
    pub fn notify_one(&self, group: &str, request: &Command) -> bool {
        let Some(group) = self.get(group) else { return false };
        let count = group.members.len();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        (0..count).any(|step| {
            let member = &group.members[first.wrapping_add(step) % count];
            member.peer.notify(request.clone())
        })
    }

    pub fn beat(&self, member: Member, group: &str, now: Millis) {
        let mut writer = lock(&self.writer);
        let connection = member.peer.id();
        writer.groups_of.entry(connection).or_default().insert(group.into());
        writer.next_scan.get_or_insert(now.plus(SCAN_EVERY_MS));
        let before = self.get(group);
        let known = before
            .iter()
            .flat_map(|group| &group.members)
            .find(|known| known.peer.id() == connection);
        match known {
            Some(known) => known.see(now),
            None => {
                let mut members = before.map(|group| group.members.clone()).unwrap_or_default();
                let member = Arc::new(member);
                self.clients.insert(&member.client_id, member.clone());
                members.push(member);
                self.groups.insert(group, Arc::new(ProducerGroup { members }));
            }
        }
    }

    pub fn unregister(&self, group: &str, connection: ConnectionId) {
        let mut writer = lock(&self.writer);
        self.leave(&mut writer, group, connection);
    }

    pub fn closed(&self, connection: ConnectionId) {
        let mut writer = lock(&self.writer);
        for group in writer.groups_of.remove(&connection).unwrap_or_default() {
            self.leave(&mut writer, &group, connection);
        }
    }

    /// Removes clients that have been silent for too long and closes their connections. Returns
    /// when to come again.
    pub fn run_due(&self, now: Millis) -> Option<Millis> {
        let mut silent = Vec::new();
        let next = {
            let mut writer = lock(&self.writer);
            if writer.next_scan.is_none_or(|at| at > now) {
                return writer.next_scan;
            }
            for (name, group) in self.all() {
                for member in &group.members {
                    if now.since(member.last_seen()) > self.expire_after_ms {
                        self.leave(&mut writer, &name, member.peer.id());
                        silent.push(member.clone());
                    }
                }
            }
            writer.next_scan = (self.groups.len() > 0).then(|| now.plus(SCAN_EVERY_MS));
            writer.next_scan
        };
        for member in silent {
            tracing::info!(client_id = %member.client_id, "producer without heartbeat removed");
            member.peer.close();
        }
        next
    }

    fn leave(&self, writer: &mut Writer, name: &str, connection: ConnectionId) {
        if let Some(groups) = writer.groups_of.get_mut(&connection) {
            groups.remove(name);
            if groups.is_empty() {
                writer.groups_of.remove(&connection);
            }
        }
        let Some(group) = self.get(name) else { return };
        if !writer.groups_of.contains_key(&connection) {
            let leaving = group.members.iter().find(|member| member.peer.id() == connection);
            // It may have come back by another connection.
            if let Some(leaving) = leaving
                && self.client(&leaving.client_id).is_some_and(|it| it.peer.id() == connection)
            {
                self.clients.remove(&leaving.client_id);
            }
        }
        let stays = |member: &&Arc<Member>| member.peer.id() != connection;
        let members: Vec<_> = group.members.iter().filter(stays).cloned().collect();
        if members.is_empty() {
            self.groups.remove(name);
        } else {
            self.groups.insert(name, Arc::new(ProducerGroup { members }));
        }
    }
}
