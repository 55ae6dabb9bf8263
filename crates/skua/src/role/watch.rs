//! What the HTTP port tells of a broker and of a name server. Names and labels are those of
//! RocketMQ 5's exporter (Java: `BrokerMetricsConstant`, `DefaultStoreMetricsConstant`) where it
//! has the figure; Skua's own begin with `skua_`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use skua_acl::Door;
use skua_broker::{Broker, Figures};
use skua_raft::{Role, Status};
use skua_remoting::Metrics;
use skua_store::Store;

use super::raft::Control;
use super::registration::Reached;
use crate::clock;
use crate::http::metric::{self, Metric};
use crate::http::{Family, Watched};

/// Connections of a server, by the name of its port.
pub type Ports = Vec<(&'static str, Arc<Metrics>)>;

pub struct WatchedBroker {
    pub broker: Arc<Broker>,
    pub store: Arc<Store>,
    pub cluster: String,
    pub name: String,
    pub ports: Ports,
    pub reached: Arc<Reached>,
    pub door: Arc<Door>,
    /// The group that elects its master, if there is one.
    pub group: Option<Arc<Control>>,
}

impl Watched for WatchedBroker {
    fn why_not_ready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if let Some(failure) = self.store.failure() {
            reasons.push(failure.to_string());
        }
        if let Some(full) = self.store.disk_use().full {
            reasons.push(format!("messages are refused: {full}"));
        }
        if let Some(link) = self.broker.link_to_master()
            && let (true, Some(trouble)) = (link.diverged, link.trouble)
        {
            reasons.push(format!("replication stands still: {trouble}"));
        }
        reasons.extend(self.reached.why_unknown_to_clients());
        reasons
    }

    fn figures(&self) -> Vec<Family> {
        let mut families = self.of_tables(&self.broker.figures(clock::now()));
        families.extend(self.of_store());
        match &self.group {
            Some(group) => families.extend(self.of_group(&group.status())),
            None => families.extend(self.of_replication()),
        }
        families.extend(of_ports(&self.ports));
        let (registered, known) = self.reached.counts();
        let denials = &self.door.denials;
        families.push(
            Family::of(metric::DENIED_REQUESTS)
                .with([("check", "authentication")], denials.authentication.load(Relaxed))
                .with([("check", "authorization")], denials.authorization.load(Relaxed)),
        );
        families.push(
            Family::of(metric::NAME_SERVERS)
                .with([("registered", "true")], registered)
                .with([("registered", "false")], known - registered),
        );
        families
    }
}

impl WatchedBroker {
    /// The labels that all metrics of RocketMQ's exporter carry.
    fn node(&self) -> [(&'static str, &str); 3] {
        [("cluster", &self.cluster), ("node_type", "broker"), ("node_id", &self.name)]
    }

    fn of_tables(&self, figures: &Figures) -> Vec<Family> {
        let node = self.node();
        let [cluster, node_type, node_id] = node;
        let mut consumers = Family::of(metric::CONSUMER_CONNECTIONS);
        for (group, connections) in &figures.consumer_connections {
            consumers.add([cluster, node_type, node_id, ("consumer_group", group)], *connections);
        }
        let mut lag = Family::of(metric::CONSUMER_LAG_MESSAGES);
        let mut age = Family::of(metric::CONSUMER_LAG_LATENCY);
        for of in &figures.lags {
            let is_retry = if of.is_retry { "true" } else { "false" };
            let labels = [
                cluster,
                node_type,
                node_id,
                ("consumer_group", of.group.as_str()),
                ("topic", of.topic.as_str()),
                ("is_retry", is_retry),
            ];
            lag.add(labels, of.messages);
            if let Some(age_ms) = of.age_ms {
                age.add(labels, age_ms);
            } else if of.messages == 0 {
                age.add(labels, 0_u64);
            }
        }
        let mut traffic = [
            Family::of(metric::MESSAGES_IN),
            Family::of(metric::THROUGHPUT_IN),
            Family::of(metric::MESSAGES_OUT),
            Family::of(metric::THROUGHPUT_OUT),
        ];
        let [messages_in, bytes_in, messages_out, bytes_out] = &mut traffic;
        let flag = |is: bool| if is { "true" } else { "false" };
        for of in &figures.sent {
            let labels = [
                cluster,
                node_type,
                node_id,
                ("topic", of.topic.as_str()),
                ("message_type", of.message_type.as_str()),
                ("is_system", flag(of.is_system)),
            ];
            messages_in.add(labels, of.messages);
            bytes_in.add(labels, of.bytes);
        }
        for of in &figures.handed_out {
            let labels = [
                cluster,
                node_type,
                node_id,
                ("topic", of.topic.as_str()),
                ("consumer_group", of.group.as_str()),
                ("is_retry", flag(of.is_retry)),
                ("is_system", flag(of.is_system)),
            ];
            messages_out.add(labels, of.messages);
            bytes_out.add(labels, of.bytes);
        }
        let families = vec![
            Family::of(metric::SENDS_FAILED).with(node, figures.sends_failed),
            Family::of(metric::SEND_LATENCY).with(node, figures.send_latency_ms),
            Family::of(metric::BROKER_PERMISSION).with(node, i64::from(figures.permission)),
            Family::of(metric::TOPIC_NUMBER).with(node, figures.topics),
            Family::of(metric::CONSUMER_GROUP_NUMBER).with(node, figures.groups),
            Family::of(metric::PRODUCER_CONNECTIONS).with(node, figures.producer_connections),
            consumers,
            lag,
            age,
            Family::of(metric::PARKED_PULLS).with(node, figures.parked_pulls),
            Family::of(metric::PARKED_PULLS_MAX).with(node, figures.parked_pulls_max),
        ];
        families.into_iter().chain(traffic).collect()
    }

    fn of_group(&self, status: &Status) -> Vec<Family> {
        let node = self.node();
        let [cluster, node_type, node_id] = node;
        let leads = matches!(status.role, Role::Leader { .. });
        let voters = status.peers.iter().filter(|peer| peer.votes).count();
        let mut lag = Family::of(metric::RAFT_LAG_BYTES);
        for peer in status.peers.iter().filter(|peer| peer.id != status.id) {
            if let Some(bytes) = peer.lag {
                let member = format!("n{}", peer.id.0.saturating_sub(1));
                lag.add([cluster, node_type, node_id, ("member", &member)], bytes);
            }
        }
        vec![
            Family::of(metric::RAFT_TERM).with(node, status.term),
            Family::of(metric::RAFT_LEADS).with(node, u32::from(leads)),
            Family::of(metric::RAFT_HAS_LEADER).with(node, u32::from(status.leader.is_some())),
            Family::of(metric::RAFT_VOTERS).with(node, voters),
            lag,
        ]
    }

    fn of_replication(&self) -> Vec<Family> {
        let node = self.node();
        let [cluster, node_type, node_id] = node;
        if let Some(link) = self.broker.link_to_master() {
            return vec![
                Family::of(metric::REPLICATION_CONNECTED).with(node, u32::from(link.connected)),
                Family::of(metric::REPLICATION_DIVERGED).with(node, u32::from(link.diverged)),
            ];
        }
        let (slaves, diverged) = self.broker.slaves();
        let end = self.store.appended().0;
        let mut behind = Family::of(metric::REPLICATION_LAG_BYTES);
        let mut lag = Family::of(metric::REPLICATION_LAG_MILLISECONDS);
        let in_sync = slaves.iter().filter(|slave| slave.in_sync).count();
        for slave in &slaves {
            let addr = slave.addr.to_string();
            let labels = [cluster, node_type, node_id, ("slave", addr.as_str())];
            let held = slave.progress.reported.unwrap_or(0);
            behind.add(labels, end.saturating_sub(held));
            lag.add(labels, slave.progress.lag_ms);
        }
        vec![
            Family::of(metric::REPLICATION_SLAVES).with(node, slaves.len()),
            Family::of(metric::REPLICATION_SLAVES_IN_SYNC).with(node, in_sync),
            Family::of(metric::REPLICATION_DIVERGED).with(node, diverged.len()),
            behind,
            lag,
        ]
    }

    fn of_store(&self) -> Vec<Family> {
        let (node, store) = (self.node(), &self.store);
        let [cluster, node_type, node_id] = node;
        let labels =
            [cluster, node_type, node_id, ("storage_type", "local"), ("storage_medium", "disk")];
        // The smaller marks first: what is appended meanwhile must not make them the larger ones.
        let (min, dispatched) = (store.min_physical_offset().0, store.dispatched().0);
        let (flushed, appended) = (store.flushed_offset().0, store.appended().0);
        let usage = store.disk_use();
        let mut families = vec![
            Family::of(metric::STORAGE_SIZE).with(labels, appended.saturating_sub(min)),
            Family::of(metric::STORAGE_FLUSH_BEHIND_BYTES)
                .with(labels, appended.saturating_sub(flushed)),
            Family::of(metric::STORAGE_DISPATCH_BEHIND_BYTES)
                .with(labels, appended.saturating_sub(dispatched)),
            Family::of(metric::STORAGE_APPENDED_BYTES).with(node, appended),
            Family::of(metric::STORAGE_OPEN_FILES).with(node, store.open_files()),
            Family::of(metric::STORAGE_FAILED).with(node, u32::from(store.failure().is_some())),
            Family::of(metric::DISK_FULL).with(node, u32::from(usage.full.is_some())),
            Family::of(metric::STORAGE_GROWTH_BYTES_PER_SECOND).with(node, usage.bytes_per_second),
        ];
        if let Some(used_percent) = usage.used_percent {
            families.push(
                Family::of(metric::DISK_USED_RATIO).with(node, f64::from(used_percent) / 100.0),
            );
        }
        if let Some(seconds) = usage.seconds_left {
            families.push(Family::of(metric::DISK_FULL_IN_SECONDS).with(node, seconds));
        }
        families
    }
}

pub struct WatchedNameServer {
    pub ports: Ports,
}

impl Watched for WatchedNameServer {
    fn why_not_ready(&self) -> Vec<String> {
        Vec::new()
    }

    fn figures(&self) -> Vec<Family> {
        of_ports(&self.ports)
    }
}

fn of_ports(ports: &Ports) -> Vec<Family> {
    type Get = fn(&Metrics) -> &AtomicU64;
    let rows: [(Metric, Get); 15] = [
        (metric::CONNECTIONS, |m| &m.connections_now),
        (metric::CONNECTIONS_PAUSED, |m| &m.connections_paused_now),
        (metric::REQUESTS_IN_FLIGHT, |m| &m.requests_in_flight_now),
        (metric::BUFFERED_BYTES, |m| &m.buffered_bytes_now),
        (metric::CONNECTIONS_ACCEPTED, |m| &m.connections_accepted),
        (metric::CONNECTIONS_REFUSED, |m| &m.connections_refused),
        (metric::REQUESTS, |m| &m.requests),
        (metric::ANSWERS, |m| &m.answers),
        (metric::RECEIVED_BYTES, |m| &m.bytes_in),
        (metric::SENT_BYTES, |m| &m.bytes_out),
        (metric::HANDLER_PANICS, |m| &m.panics),
        (metric::OVERLOADS, |m| &m.overloads),
        (metric::BAD_INPUT, |m| &m.bad_input),
        (metric::TLS_HANDSHAKES, |m| &m.tls_handshakes),
        (metric::TLS_FAILURES, |m| &m.tls_failures),
    ];
    let family = |mut family: Family, get: Get| {
        for (port, metrics) in ports {
            family.add([("port", port)], get(metrics).load(Relaxed));
        }
        family
    };
    rows.into_iter().map(|(metric, get)| family(Family::of(metric), get)).collect()
}
