//! Every metric of the page: name, kind, meaning. What is not here cannot be told, so that a
//! dashboard can be checked against [`ALL`].

use prometheus_client::metrics::MetricType;

/// A row of the table. The name of a counter gets `_total` on the page.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub help: &'static str,
    pub kind: MetricType,
}

macro_rules! kind {
    (gauge) => {
        MetricType::Gauge
    };
    (counter) => {
        MetricType::Counter
    };
}

macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal, $help:literal;)*) => {
        $(pub const $constant: Metric = Metric { name: $name, help: $help, kind: kind!($kind) };)*

        /// All of them.
        #[cfg(test)]
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    DENIED_REQUESTS = counter "skua_denied_requests", "Requests refused by access control, by which check";
    NAME_SERVERS = gauge "skua_name_servers", "Name servers by whether the broker is registered";
    CONSUMER_CONNECTIONS = gauge "rocketmq_consumer_connections", "Consumer connections";
    CONSUMER_LAG_MESSAGES = gauge "rocketmq_consumer_lag_messages", "Messages not consumed yet";
    CONSUMER_LAG_LATENCY = gauge "rocketmq_consumer_lag_latency", "Milliseconds since the oldest message not consumed yet was stored";
    BROKER_PERMISSION = gauge "rocketmq_broker_permission", "brokerPermission: 2 write, 4 read";
    TOPIC_NUMBER = gauge "rocketmq_topic_number", "Topics";
    CONSUMER_GROUP_NUMBER = gauge "rocketmq_consumer_group_number", "Subscription groups";
    PRODUCER_CONNECTIONS = gauge "rocketmq_producer_connections", "Producer connections";
    PARKED_PULLS = gauge "skua_parked_pulls", "Pulls that wait for a message";
    PARKED_PULLS_MAX = gauge "skua_parked_pulls_max", "Pulls that may wait for a message";
    REPLICATION_CONNECTED = gauge "skua_replication_connected", "1 while the slave follows its master";
    REPLICATION_DIVERGED = gauge "skua_replication_diverged", "Slaves whose log is another; of a slave, 1 when its log is not the master's";
    REPLICATION_LAG_BYTES = gauge "skua_replication_lag_bytes", "Bytes of log that the slave lacks";
    REPLICATION_LAG_MILLISECONDS = gauge "skua_replication_lag_milliseconds", "Milliseconds from sending to the slave's word that it has it";
    REPLICATION_SLAVES = gauge "skua_replication_slaves", "Slaves that follow";
    REPLICATION_SLAVES_IN_SYNC = gauge "skua_replication_slaves_in_sync", "Slaves that are in sync";
    RAFT_TERM = gauge "skua_raft_term", "Term of the group that elects its master";
    RAFT_LEADS = gauge "skua_raft_leads", "1 while this broker leads its group";
    RAFT_HAS_LEADER = gauge "skua_raft_has_leader", "1 while this broker knows a leader of its group";
    RAFT_VOTERS = gauge "skua_raft_voters", "Members of the group that vote; fewer than three survive no failure";
    RAFT_LAG_BYTES = gauge "skua_raft_lag_bytes", "Bytes of log that a member lacks, as the leader knows";
    STORAGE_SIZE = gauge "rocketmq_storage_size", "Bytes of the commit log";
    STORAGE_FLUSH_BEHIND_BYTES = gauge "rocketmq_storage_flush_behind_bytes", "Bytes that are not durable yet";
    STORAGE_DISPATCH_BEHIND_BYTES = gauge "rocketmq_storage_dispatch_behind_bytes", "Bytes that are in no consume queue yet";
    STORAGE_APPENDED_BYTES = counter "skua_storage_appended_bytes", "End of the commit log";
    STORAGE_OPEN_FILES = gauge "skua_storage_open_files", "Open files of log and queues";
    STORAGE_FAILED = gauge "skua_storage_failed", "1 when the store takes no writes until restart";
    DISK_FULL = gauge "skua_disk_full", "1 while sends are refused because the disk is full";
    STORAGE_GROWTH_BYTES_PER_SECOND = gauge "skua_storage_growth_bytes_per_second", "Growth of the commit log";
    DISK_USED_RATIO = gauge "skua_disk_used_ratio", "Part of the disk that is in use";
    DISK_FULL_IN_SECONDS = gauge "skua_disk_full_in_seconds", "Until sends are refused, if the log goes on growing and nothing is deleted";
    CONNECTIONS = gauge "skua_connections", "Connections";
    CONNECTIONS_PAUSED = gauge "skua_connections_paused", "Connections that are not read because a bound is reached";
    REQUESTS_IN_FLIGHT = gauge "skua_requests_in_flight", "Requests not answered yet";
    BUFFERED_BYTES = gauge "skua_buffered_bytes", "Bytes of answers and half-read frames";
    CONNECTIONS_ACCEPTED = counter "skua_connections_accepted", "Connections accepted";
    CONNECTIONS_REFUSED = counter "skua_connections_refused", "Connections closed because there were too many";
    REQUESTS = counter "skua_requests", "Requests received";
    ANSWERS = counter "skua_answers", "Answers sent";
    RECEIVED_BYTES = counter "skua_received_bytes", "Bytes received";
    SENT_BYTES = counter "skua_sent_bytes", "Bytes sent";
    HANDLER_PANICS = counter "skua_handler_panics", "Requests whose handler failed inside";
    OVERLOADS = counter "skua_overloads", "Requests refused because too many wait for the disk";
    BAD_INPUT = counter "skua_bad_input", "Connections closed for what they sent";
    TLS_HANDSHAKES = counter "skua_tls_handshakes", "TLS handshakes done with clients";
    TLS_FAILURES = counter "skua_tls_failures", "Connections closed because of TLS, or for want of it";
    BUILD_INFO = gauge "skua_build_info", "Skua's version, as a label";
    PROCESS_CPU_SECONDS = counter "process_cpu_seconds", "CPU time used";
    PROCESS_RESIDENT_MEMORY_BYTES = gauge "process_resident_memory_bytes", "Resident memory, pages of files too";
    PRIVATE_MEMORY_BYTES = gauge "skua_private_memory_bytes", "Resident memory without pages of files";
    PROCESS_OPEN_FDS = gauge "process_open_fds", "Open file descriptors";
    PROCESS_MAX_FDS = gauge "process_max_fds", "Most file descriptors that may be open";
    MESSAGES_IN = counter "rocketmq_messages_in", "Messages sent to a topic";
    THROUGHPUT_IN = counter "rocketmq_throughput_in", "Bytes of messages sent to a topic";
    MESSAGES_OUT = counter "rocketmq_messages_out", "Messages handed to a group";
    THROUGHPUT_OUT = counter "rocketmq_throughput_out", "Bytes of messages handed to a group";
    SENDS_FAILED = counter "skua_sends_failed", "Sends that the store did not take";
    SEND_LATENCY = gauge "skua_send_latency_p99_milliseconds", "Of a hundred sends ninety-nine took at most so long";
    METRICS_LEFT_OUT = gauge "skua_metrics_left_out", "Label sets that this page leaves out because the metric has too many";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const DASHBOARD: &str = include_str!("../../../../packaging/grafana/skua.json");
    const ALERTS: &str = include_str!("../../../../packaging/prometheus/alerts.yml");
    /// What Prometheus tells of a scrape itself.
    const PROMETHEUS: [&str; 1] = ["up"];
    /// Words of expressions that look like names.
    const WORDS: [&str; 14] = [
        "by",
        "on",
        "and",
        "unless",
        "sum",
        "max",
        "min",
        "count",
        "rate",
        "increase",
        "topk",
        "label_values",
        "ignoring",
        "or",
    ];

    /// Names as the page has them.
    fn on_the_page() -> BTreeSet<String> {
        let name = |metric: &Metric| match metric.kind {
            MetricType::Counter => format!("{}_total", metric.name),
            _ => metric.name.to_owned(),
        };
        ALL.iter().map(name).collect()
    }

    /// The metrics of an expression: words outside of braces, brackets and label lists.
    fn metrics(expr: &str) -> BTreeSet<String> {
        let mut bare = String::new();
        let mut depth = 0;
        for letter in expr.chars() {
            match letter {
                '{' | '[' => depth += 1,
                '}' | ']' => depth -= 1,
                letter if depth == 0 => bare.push(letter),
                _ => {}
            }
        }
        // What follows `by` and `on` in parentheses, and the second of `label_values`, are labels.
        for word in ["by (", "on ("] {
            while let Some(at) = bare.find(word) {
                let end = bare[at..].find(')').expect("closed") + at;
                bare.replace_range(at..=end, " ");
            }
        }
        if let Some((metric, _)) = bare.clone().split_once(',')
            && metric.starts_with("label_values(")
        {
            bare = metric.to_owned();
        }
        bare.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
            .filter(|word| word.starts_with(|letter: char| letter.is_ascii_lowercase()))
            .filter(|word| !WORDS.contains(word))
            .map(str::to_owned)
            .collect()
    }

    fn expressions(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                for (name, value) in fields {
                    match value.as_str() {
                        Some(text) if name == "expr" || name == "query" => {
                            found.push(text.to_owned());
                        }
                        _ => expressions(value, found),
                    }
                }
            }
            serde_json::Value::Array(items) => {
                items.iter().for_each(|item| expressions(item, found));
            }
            _ => {}
        }
    }

    #[test]
    fn the_dashboard_and_the_alerts_ask_for_metrics_that_there_are() {
        let dashboard = serde_json::from_str(DASHBOARD).expect("the dashboard is JSON");
        let mut asked = Vec::new();
        expressions(&dashboard, &mut asked);
        asked.retain(|query| query != "prometheus");
        assert!(asked.len() > 30, "{asked:?}");
        let rules = ALERTS.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
        let rules: Vec<String> =
            rules.map(|rule| serde_json::from_str(rule).expect("quoted as JSON is")).collect();
        assert_eq!(rules.len(), ALERTS.matches("- alert: ").count());
        let known = on_the_page();
        for expr in asked.iter().chain(&rules) {
            let names = metrics(expr);
            assert!(!names.is_empty(), "{expr}");
            for name in names {
                let there = known.contains(&name) || PROMETHEUS.contains(&name.as_str());
                assert!(there, "{name} of `{expr}` is not on the page of metrics");
            }
        }
    }

    #[test]
    fn every_metric_has_its_name_alone() {
        assert_eq!(on_the_page().len(), ALL.len());
    }
}
