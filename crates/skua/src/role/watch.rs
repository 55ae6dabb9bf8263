//! What the HTTP port tells of a broker and of a name server. Names and labels are those of
//! RocketMQ 5's exporter (Java: `BrokerMetricsConstant`, `DefaultStoreMetricsConstant`) where it
//! has the figure; Skua's own begin with `skua_`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use skua_broker::{Broker, Figures};
use skua_remoting::Metrics;
use skua_store::Store;

use super::registration::Reached;
use crate::clock;
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
        families.extend(self.of_replication());
        families.extend(of_ports(&self.ports));
        let (registered, known) = self.reached.counts();
        families.push(
            Family::gauge("skua_name_servers", "Name servers by whether the broker is registered")
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
        let mut consumers = Family::gauge("rocketmq_consumer_connections", "Consumer connections");
        for (group, connections) in &figures.consumer_connections {
            consumers.add([cluster, node_type, node_id, ("consumer_group", group)], *connections);
        }
        let mut lag = Family::gauge("rocketmq_consumer_lag_messages", "Messages not consumed yet");
        let mut age = Family::gauge(
            "rocketmq_consumer_lag_latency",
            "Milliseconds since the oldest message not consumed yet was stored",
        );
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
        vec![
            Family::gauge("rocketmq_broker_permission", "brokerPermission: 2 write, 4 read")
                .with(node, i64::from(figures.permission)),
            Family::gauge("rocketmq_topic_number", "Topics").with(node, figures.topics),
            Family::gauge("rocketmq_consumer_group_number", "Subscription groups")
                .with(node, figures.groups),
            Family::gauge("rocketmq_producer_connections", "Producer connections")
                .with(node, figures.producer_connections),
            consumers,
            lag,
            age,
            Family::gauge("skua_parked_pulls", "Pulls that wait for a message")
                .with(node, figures.parked_pulls),
            Family::gauge("skua_parked_pulls_max", "Pulls that may wait for a message")
                .with(node, figures.parked_pulls_max),
        ]
    }

    fn of_replication(&self) -> Vec<Family> {
        let node = self.node();
        let [cluster, node_type, node_id] = node;
        if let Some(link) = self.broker.link_to_master() {
            return vec![
                Family::gauge("skua_replication_connected", "1 while the slave follows its master")
                    .with(node, u32::from(link.connected)),
                Family::gauge("skua_replication_diverged", "1 when the log is not the master's")
                    .with(node, u32::from(link.diverged)),
            ];
        }
        let (slaves, diverged) = self.broker.slaves();
        let end = self.store.appended().0;
        let mut behind =
            Family::gauge("skua_replication_lag_bytes", "Bytes of log that the slave lacks");
        let mut lag = Family::gauge(
            "skua_replication_lag_milliseconds",
            "Milliseconds from sending to the slave's word that it has it",
        );
        let in_sync = slaves.iter().filter(|slave| slave.in_sync).count();
        for slave in &slaves {
            let addr = slave.addr.to_string();
            let labels = [cluster, node_type, node_id, ("slave", addr.as_str())];
            let held = slave.progress.reported.unwrap_or(0);
            behind.add(labels, end.saturating_sub(held));
            lag.add(labels, slave.progress.lag_ms);
        }
        vec![
            Family::gauge("skua_replication_slaves", "Slaves that follow").with(node, slaves.len()),
            Family::gauge("skua_replication_slaves_in_sync", "Slaves that are in sync")
                .with(node, in_sync),
            Family::gauge("skua_replication_diverged", "Slaves whose log is another")
                .with(node, diverged.len()),
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
            Family::gauge("rocketmq_storage_size", "Bytes of the commit log")
                .with(labels, appended.saturating_sub(min)),
            Family::gauge("rocketmq_storage_flush_behind_bytes", "Bytes that are not durable yet")
                .with(labels, appended.saturating_sub(flushed)),
            Family::gauge(
                "rocketmq_storage_dispatch_behind_bytes",
                "Bytes that are in no consume queue yet",
            )
            .with(labels, appended.saturating_sub(dispatched)),
            Family::counter("skua_storage_appended_bytes", "End of the commit log")
                .with(node, appended),
            Family::gauge("skua_storage_open_files", "Open files of log and queues")
                .with(node, store.open_files()),
            Family::gauge("skua_storage_failed", "1 when the store takes no writes until restart")
                .with(node, u32::from(store.failure().is_some())),
            Family::gauge("skua_disk_full", "1 while sends are refused because the disk is full")
                .with(node, u32::from(usage.full.is_some())),
            Family::gauge("skua_storage_growth_bytes_per_second", "Growth of the commit log")
                .with(node, usage.bytes_per_second),
        ];
        if let Some(used_percent) = usage.used_percent {
            families.push(
                Family::gauge("skua_disk_used_ratio", "Part of the disk that is in use")
                    .with(node, f64::from(used_percent) / 100.0),
            );
        }
        if let Some(seconds) = usage.seconds_left {
            families.push(
                Family::gauge(
                    "skua_disk_full_in_seconds",
                    "Until sends are refused, if the log goes on growing and nothing is deleted",
                )
                .with(node, seconds),
            );
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
    let gauges: [(&'static str, &'static str, Get); 4] = [
        ("skua_connections", "Connections", |m| &m.connections_now),
        (
            "skua_connections_paused",
            "Connections that are not read because a bound is reached",
            |m| &m.connections_paused_now,
        ),
        ("skua_requests_in_flight", "Requests not answered yet", |m| &m.requests_in_flight_now),
        ("skua_buffered_bytes", "Bytes of answers and half-read frames", |m| &m.buffered_bytes_now),
    ];
    let counters: [(&'static str, &'static str, Get); 9] = [
        ("skua_connections_accepted", "Connections accepted", |m| &m.connections_accepted),
        ("skua_connections_refused", "Connections closed because there were too many", |m| {
            &m.connections_refused
        }),
        ("skua_requests", "Requests received", |m| &m.requests),
        ("skua_answers", "Answers sent", |m| &m.answers),
        ("skua_received_bytes", "Bytes received", |m| &m.bytes_in),
        ("skua_sent_bytes", "Bytes sent", |m| &m.bytes_out),
        ("skua_handler_panics", "Requests whose handler failed inside", |m| &m.panics),
        ("skua_overloads", "Requests refused because too many wait for the disk", |m| &m.overloads),
        ("skua_bad_input", "Connections closed for what they sent", |m| &m.bad_input),
    ];
    let family = |mut family: Family, get: Get| {
        for (port, metrics) in ports {
            family.add([("port", port)], get(metrics).load(Relaxed));
        }
        family
    };
    let gauges = gauges.map(|(name, help, get)| family(Family::gauge(name, help), get));
    let counters = counters.map(|(name, help, get)| family(Family::counter(name, help), get));
    gauges.into_iter().chain(counters).collect()
}
