//! Consumer groups: who is in them, and what they subscribe to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use skua_protocol::body::{ConsumeFromWhere, ConsumeType, MessageModel, SubscriptionData};
use skua_protocol::request::NotifyConsumerIdsChanged;
use skua_protocol::service::{ConnectionId, Peer};
use skua_protocol::{Command, Millis};

use super::{Member, SCAN_EVERY_MS};
use crate::filter::Filter;
use crate::swap_map::{SwapMap, lock};

/// One group's subscription to one topic.
#[derive(Debug)]
pub struct Subscription {
    pub data: SubscriptionData,
    pub filter: Filter,
}

impl Subscription {
    pub fn new(data: SubscriptionData) -> Self {
        let filter = Filter::of(&data);
        Self { data, filter }
    }
}

/// A consumer group as it is now; a change makes a new one.
#[derive(Clone)]
pub struct ConsumerGroup {
    pub name: Arc<str>,
    pub consume_type: ConsumeType,
    pub message_model: MessageModel,
    pub consume_from_where: ConsumeFromWhere,
    /// By topic.
    pub subscriptions: BTreeMap<Arc<str>, Arc<Subscription>>,
    pub members: Vec<Arc<Member>>,
}

impl ConsumerGroup {
    pub fn member(&self, client_id: &str) -> Option<&Arc<Member>> {
        self.members.iter().find(|member| *member.client_id == *client_id)
    }

    fn position(&self, connection: ConnectionId) -> Option<usize> {
        self.members.iter().position(|member| member.peer.id() == connection)
    }
}

/// What a heartbeat says of one group.
pub struct ConsumerBeat<'a> {
    pub group: &'a str,
    pub consume_type: ConsumeType,
    pub message_model: MessageModel,
    pub consume_from_where: ConsumeFromWhere,
    /// `None`: as in the last heartbeat.
    pub subscriptions: Option<&'a [SubscriptionData]>,
    /// Identifies the client's subscriptions in the short form of heartbeats; 0 in the long one.
    pub fingerprint: i32,
    /// Whether the others of the group are told of changes.
    pub notify: bool,
}

#[derive(Default)]
struct Writer {
    groups_of: HashMap<ConnectionId, BTreeSet<Arc<str>>>,
    /// Last fingerprint of each group's heartbeats.
    fingerprints: HashMap<Arc<str>, i32>,
    next_scan: Option<Millis>,
}

pub struct Consumers {
    groups: SwapMap<ConsumerGroup>,
    writer: Mutex<Writer>,
    /// Without a sign for this long a client is gone (`channelExpiredTimeout`).
    expire_after_ms: i64,
}

impl Consumers {
    pub fn new(expire_after_ms: i64) -> Self {
        Self { groups: SwapMap::default(), writer: Mutex::default(), expire_after_ms }
    }

    pub fn get(&self, group: &str) -> Option<Arc<ConsumerGroup>> {
        self.groups.get(group)
    }

    /// All groups, sorted by name.
    pub fn all(&self) -> Vec<Arc<ConsumerGroup>> {
        self.groups.entries().into_iter().map(|(_, group)| group).collect()
    }

    /// The group's subscription to a topic.
    pub fn subscription(&self, group: &str, topic: &str) -> Option<Arc<Subscription>> {
        self.get(group)?.subscriptions.get(topic).cloned()
    }

    /// Names of the groups that subscribe to a topic.
    pub fn groups_of_topic(&self, topic: &str) -> BTreeSet<String> {
        let subscribed = |group: &Arc<ConsumerGroup>| group.subscriptions.contains_key(topic);
        self.all()
            .iter()
            .filter(|group| subscribed(group))
            .map(|group| group.name.to_string())
            .collect()
    }

    /// Takes up what a heartbeat says. Returns whether the fingerprint differs from the group's
    /// last one.
    pub fn beat(&self, member: Member, beat: &ConsumerBeat<'_>, now: Millis) -> bool {
        let mut notices = Vec::new();
        let fingerprint_changed;
        {
            let mut writer = lock(&self.writer);
            let before = self.get(beat.group);
            let mut group = before.as_deref().cloned().unwrap_or_else(|| ConsumerGroup {
                name: beat.group.into(),
                consume_type: beat.consume_type,
                message_model: beat.message_model,
                consume_from_where: beat.consume_from_where,
                subscriptions: BTreeMap::new(),
                members: Vec::new(),
            });
            let connection = member.peer.id();
            let name = group.name.clone();
            fingerprint_changed = writer
                .fingerprints
                .insert(name.clone(), beat.fingerprint)
                .is_some_and(|before| before != beat.fingerprint);
            writer.groups_of.entry(connection).or_default().insert(name.clone());
            writer.next_scan.get_or_insert(now.plus(SCAN_EVERY_MS));

            let mut replace = before.is_none();
            let mut tell = false;
            match group.position(connection) {
                Some(at) if group.members[at].client_id == member.client_id => {
                    group.members[at].see(now);
                }
                Some(at) => {
                    tracing::warn!(
                        group = %name,
                        before = %group.members[at].client_id,
                        client_id = %member.client_id,
                        "a connection changes its client id"
                    );
                    group.members[at] = Arc::new(member);
                    replace = true;
                }
                None => {
                    tracing::info!(
                        group = %name,
                        client_id = %member.client_id,
                        addr = %member.peer.remote_addr(),
                        "consumer joined"
                    );
                    group.members.push(Arc::new(member));
                    replace = true;
                    tell = true;
                }
            }
            let kind = (beat.consume_type, beat.message_model, beat.consume_from_where);
            if kind != (group.consume_type, group.message_model, group.consume_from_where) {
                (group.consume_type, group.message_model, group.consume_from_where) = kind;
                replace = true;
            }
            if let Some(subscriptions) = beat.subscriptions {
                let update = update_subscriptions(&mut group.subscriptions, subscriptions);
                replace |= update.replaced || update.topics_changed;
                tell |= update.topics_changed;
            }
            if tell && beat.notify && group.message_model != MessageModel::Broadcasting {
                notices.push(Notice::to(&group));
            }
            if replace {
                self.groups.insert(&name, Arc::new(group));
            }
        }
        notices.into_iter().for_each(Notice::send);
        fingerprint_changed
    }

    /// A client says goodbye to a group.
    pub fn unregister(&self, group: &str, connection: ConnectionId, notify: bool) {
        let notice = {
            let mut writer = lock(&self.writer);
            self.leave(&mut writer, group, connection, notify)
        };
        notice.into_iter().for_each(Notice::send);
    }

    /// A connection has ended. `notify` tells of each group whether its others are told.
    pub fn closed(&self, connection: ConnectionId, notify: impl Fn(&str) -> bool) {
        let notices: Vec<_> = {
            let mut writer = lock(&self.writer);
            let groups = writer.groups_of.remove(&connection).unwrap_or_default();
            groups
                .iter()
                .filter_map(|group| self.leave(&mut writer, group, connection, notify(group)))
                .collect()
        };
        notices.into_iter().for_each(Notice::send);
    }

    /// Removes clients that have been silent for too long and closes their connections. Returns
    /// when to come again.
    pub fn run_due(&self, now: Millis, notify: impl Fn(&str) -> bool) -> Option<Millis> {
        let mut silent = Vec::new();
        let mut notices = Vec::new();
        let next = {
            let mut writer = lock(&self.writer);
            if writer.next_scan.is_none_or(|at| at > now) {
                return writer.next_scan;
            }
            for group in self.all() {
                for member in &group.members {
                    if now.since(member.last_seen()) > self.expire_after_ms {
                        let connection = member.peer.id();
                        let notify = notify(&group.name);
                        notices.extend(self.leave(&mut writer, &group.name, connection, notify));
                        silent.push(member.clone());
                    }
                }
            }
            writer.next_scan = (self.groups.len() > 0).then(|| now.plus(SCAN_EVERY_MS));
            writer.next_scan
        };
        for member in silent {
            tracing::info!(client_id = %member.client_id, "consumer without heartbeat removed");
            member.peer.close();
        }
        notices.into_iter().for_each(Notice::send);
        next
    }

    fn leave(
        &self,
        writer: &mut Writer,
        name: &str,
        connection: ConnectionId,
        notify: bool,
    ) -> Option<Notice> {
        if let Some(groups) = writer.groups_of.get_mut(&connection) {
            groups.remove(name);
            if groups.is_empty() {
                writer.groups_of.remove(&connection);
            }
        }
        let before = self.get(name)?;
        let at = before.position(connection)?;
        let mut group = ConsumerGroup::clone(&before);
        let member = group.members.remove(at);
        tracing::info!(group = name, client_id = %member.client_id, "consumer left");
        if group.members.is_empty() {
            self.groups.remove(name);
            writer.fingerprints.remove(name);
            return None;
        }
        let notice = (notify && group.message_model != MessageModel::Broadcasting)
            .then(|| Notice::to(&group));
        self.groups.insert(name, Arc::new(group));
        notice
    }
}

/// Tells all clients of a group that it changed; sent when no lock is held.
struct Notice {
    group: Arc<str>,
    peers: Vec<Arc<dyn Peer>>,
}

impl Notice {
    fn to(group: &ConsumerGroup) -> Self {
        let peers = group.members.iter().map(|member| member.peer.clone()).collect();
        Self { group: group.name.clone(), peers }
    }

    fn send(self) {
        for peer in self.peers {
            let header = NotifyConsumerIdsChanged { consumer_group: (*self.group).into() };
            // A client that cannot be told finds out at its next rebalance.
            peer.notify(Command::request(&header).one_way());
        }
    }
}

struct Update {
    topics_changed: bool,
    replaced: bool,
}

/// Java: a new or vanished topic is a change of the group, a newer expression is only taken over.
fn update_subscriptions(
    current: &mut BTreeMap<Arc<str>, Arc<Subscription>>,
    new: &[SubscriptionData],
) -> Update {
    let mut update = Update { topics_changed: false, replaced: false };
    for data in new {
        match current.get_mut(data.topic.as_str()) {
            None => {
                let subscription = Arc::new(Subscription::new(data.clone()));
                current.insert(data.topic.as_str().into(), subscription);
                update.topics_changed = true;
            }
            Some(old) if data.sub_version > old.data.sub_version => {
                *old = Arc::new(Subscription::new(data.clone()));
                update.replaced = true;
            }
            Some(_) => {}
        }
    }
    let topics: BTreeSet<&str> = new.iter().map(|data| data.topic.as_str()).collect();
    let before = current.len();
    current.retain(|topic, _| topics.contains(&**topic));
    update.topics_changed |= current.len() != before;
    update
}

#[cfg(test)]
mod tests;
