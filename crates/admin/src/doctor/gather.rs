//! Asks every server what the rules want to know. What cannot be had is left out of the facts or
//! stands in them as the cause; nothing here ends the examination.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use skua_protocol::Command;
use skua_protocol::body::{
    BrokerConsumeStats, ClusterInfo, ConsumerConnection, KvTable, TopicConfigSerializeWrapper,
    TopicList,
};
use skua_protocol::code::ResponseCode;
use skua_protocol::request::{
    GetAllTopicConfig, GetAllTopicListFromNameServer, GetBrokerClusterInfo, GetBrokerConfig,
    GetBrokerConsumeStats, GetBrokerHaStatus, GetBrokerRuntimeInfo, GetConsumerConnectionList,
    GetSystemTopicListFromBroker,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::facts::{Answer, Broker, BrokerKey, ConfigFile, Facts, Group, NameServer, Seen};
use crate::client::{self, Cluster};
use crate::commands::properties;
use crate::failure::{Failure, Role};
use crate::time;

/// Between the two looks at the end of a log.
const GROWTH_TIME: Duration = Duration::from_secs(1);
/// A whole table of consumer offsets takes its time.
const TABLE_TIME: Duration = Duration::from_secs(30);
/// Groups whose consumers are counted at a broker, those with the most lag.
const GROUPS_MAX: usize = 200;
/// A page of metrics of ten thousand topics has less.
const PAGE_MAX: u64 = 8 * 1024 * 1024;
/// From listenPort to the HTTP port, unless that is given.
const HTTP_PORT_STEP: u16 = 3;
/// Topics that clients and brokers make for themselves, one for each group or broker.
const OWN_TOPICS: [&str; 4] = ["%RETRY%", "%DLQ%", "rmq_sys_", "RMQ_SYS_"];

pub async fn facts(name_servers: Vec<String>, files: &[PathBuf], timeout: Duration) -> Facts {
    let cluster = Cluster::new(Vec::new(), timeout);
    let seen = client::all(name_servers.iter().map(|addr| name_server(&cluster, addr))).await;
    let name_servers: Vec<NameServer> = name_servers
        .into_iter()
        .zip(seen)
        .map(|(addr, seen)| NameServer { addr, seen: seen.map_err(|cause| cause.to_string()) })
        .collect();
    let addresses: BTreeSet<(BrokerKey, String)> = name_servers
        .iter()
        .filter_map(|server| server.seen.as_ref().ok())
        .flat_map(|seen| seen.brokers.clone())
        .collect();
    let answers =
        client::all(addresses.iter().map(|(key, addr)| broker(&cluster, key, addr))).await;
    let brokers = addresses
        .into_iter()
        .zip(answers)
        .map(|((key, addr), answer)| Broker {
            key,
            addr,
            answer: answer.map_err(|cause| cause.to_string()),
        })
        .collect();
    let files = files
        .iter()
        .map(|path| ConfigFile {
            path: path.display().to_string(),
            content: std::fs::read(path).map_err(|cause| cause.to_string()),
        })
        .collect();
    Facts { name_servers, brokers, files }
}

async fn name_server(cluster: &Cluster, addr: &str) -> Result<Seen, Failure> {
    let info: ClusterInfo =
        cluster.namesrv_at(addr, &GetBrokerClusterInfo {}, Vec::new()).await?.json()?;
    let topics: TopicList =
        cluster.namesrv_at(addr, &GetAllTopicListFromNameServer {}, Vec::new()).await?.json()?;
    let mut brokers = BTreeMap::new();
    for (cluster, names) in &info.cluster_addr_table {
        for broker in names.iter().filter_map(|name| info.broker_addr_table.get(name)) {
            for (id, addr) in &broker.broker_addrs {
                let name = broker.broker_name.to_string();
                let key = BrokerKey { cluster: cluster.clone(), name, id: *id };
                brokers.insert(key, addr.to_string());
            }
        }
    }
    let topics = topics.topic_list.iter().map(ToString::to_string).collect();
    Ok(Seen { brokers, topics })
}

async fn broker(cluster: &Cluster, key: &BrokerKey, addr: &str) -> Result<Answer, Failure> {
    let before = time::now();
    // The one answer without which the broker counts as unreachable.
    let runtime = runtime(cluster, addr).await?;
    let took = time::now().since(before);
    let mut answer = Answer { asked_at: before.plus(took / 2), runtime, ..Answer::default() };
    let looked = tokio::time::Instant::now();
    if let Ok(config) = cluster.broker(addr, &GetBrokerConfig {}).await
        && let Ok(text) = config.text()
    {
        answer.config = properties::parse(text);
    }
    if let Ok(ha) = cluster.broker(addr, &GetBrokerHaStatus {}).await {
        answer.ha = ha.json().ok();
    }
    answer.topics = topics(cluster, key, addr).await.unwrap_or_default();
    if key.id == 0 {
        answer.groups = groups(cluster, addr).await.unwrap_or_default();
    }
    if let Some(http) = http_addr(addr, &answer) {
        let wait = cluster.timeout();
        if let Some(page) = get(&http, "/metrics", wait).await {
            answer.metrics = metrics(&page);
        }
        if let Some(page) = get(&http, "/ready", wait).await {
            answer.not_ready = reasons(&page);
        }
    }
    if answer.metrics.is_empty() {
        tokio::time::sleep_until(looked + GROWTH_TIME).await;
        let between = looked.elapsed();
        if let Ok(again) = self::runtime(cluster, addr).await
            && let Some(end) = again.get("commitLogMaxOffset").and_then(|text| text.parse().ok())
        {
            answer.later = Some((between, end));
        }
    }
    Ok(answer)
}

async fn runtime(cluster: &Cluster, addr: &str) -> Result<BTreeMap<String, String>, Failure> {
    let table: KvTable = cluster.broker(addr, &GetBrokerRuntimeInfo {}).await?.json()?;
    Ok(table.table.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
}

async fn topics(
    cluster: &Cluster,
    key: &BrokerKey,
    addr: &str,
) -> Result<BTreeSet<String>, Failure> {
    let all: TopicConfigSerializeWrapper =
        cluster.broker(addr, &GetAllTopicConfig::default()).await?.json()?;
    let own: TopicList = cluster.broker(addr, &GetSystemTopicListFromBroker {}).await?.json()?;
    let own: BTreeSet<&str> = own.topic_list.iter().map(|topic| &**topic).collect();
    let is_own = |topic: &str| {
        own.contains(topic)
            || topic == key.name
            || topic == key.cluster
            || OWN_TOPICS.iter().any(|prefix| topic.starts_with(prefix))
    };
    Ok(all.topic_config_table.into_keys().filter(|topic| !is_own(topic)).collect())
}

/// Groups that have read something here; consumers are counted where messages wait.
async fn groups(cluster: &Cluster, addr: &str) -> Result<Vec<Group>, Failure> {
    let request = Command::request(&GetBrokerConsumeStats { is_order: false });
    let answer = cluster.call_within(addr, request, TABLE_TIME).await?;
    let stats: BrokerConsumeStats = answer.accepted(Role::Broker)?.json()?;
    let mut lags: BTreeMap<String, i64> = BTreeMap::new();
    for (group, tables) in stats.consume_stats_list.into_iter().flatten() {
        let offsets = tables.iter().flat_map(|table| table.offset_table.values());
        let lag: i64 = offsets.map(|of| (of.broker_offset - of.consumer_offset).max(0)).sum();
        *lags.entry(group).or_default() += lag;
    }
    let mut groups: Vec<Group> =
        lags.into_iter().map(|(name, lag)| Group { name, lag, consumers: None }).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.lag));
    for group in groups.iter_mut().take(GROUPS_MAX).take_while(|group| group.lag > 0) {
        group.consumers = consumers(cluster, addr, &group.name).await;
    }
    Ok(groups)
}

async fn consumers(cluster: &Cluster, addr: &str, group: &str) -> Option<usize> {
    let header = GetConsumerConnectionList { consumer_group: group.into() };
    match cluster.broker(addr, &header).await {
        Ok(answer) => Some(answer.json::<ConsumerConnection>().ok()?.connection_set.len()),
        Err(failure) if failure.is_code(ResponseCode::ConsumerNotOnline) => Some(0),
        Err(_) => None,
    }
}

/// Where a Skua broker tells its metrics.
fn http_addr(addr: &str, answer: &Answer) -> Option<String> {
    let (host, listens) = addr.rsplit_once(':')?;
    let port = match answer.setting("httpPort")?.parse::<i32>().ok()? {
        -1 => return None,
        0 => listens.parse::<u16>().ok()?.checked_add(HTTP_PORT_STEP)?,
        port => u16::try_from(port).ok()?,
    };
    Some(format!("{host}:{port}"))
}

/// The body of what an HTTP server answers to GET, whatever its status.
async fn get(addr: &str, path: &str, wait: Duration) -> Option<String> {
    let ask = async {
        let mut socket = TcpStream::connect(addr).await.ok()?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        socket.take(PAGE_MAX).read_to_string(&mut answer).await.ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        Some(body.to_owned())
    };
    tokio::time::timeout(wait, ask).await.ok().flatten()
}

/// Names and values of a page in the OpenMetrics text form.
fn metrics(page: &str) -> BTreeMap<String, Vec<f64>> {
    let mut metrics: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let name = series.split('{').next().unwrap_or(series);
        if let Ok(value) = value.parse() {
            metrics.entry(name.to_owned()).or_default().push(value);
        }
    }
    metrics
}

fn reasons(page: &str) -> Vec<String> {
    let value: serde_json::Value = serde_json::from_str(page).unwrap_or_default();
    let reasons = value["reasons"].as_array().into_iter().flatten();
    reasons.filter_map(|reason| reason.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_read_by_name() {
        let page =
            "# HELP a A\n# TYPE a gauge\na{x=\"1 2\"} 3.0\na{x=\"2\"} 4\nb_total 1e3\n# EOF\n";
        let read = metrics(page);
        assert_eq!((&read["a"], &read["b_total"]), (&vec![3.0, 4.0], &vec![1000.0]));
    }

    #[test]
    fn the_http_port_is_three_above_unless_it_is_given() {
        let with = |port: &str| Answer {
            config: BTreeMap::from([("httpPort".to_owned(), port.to_owned())]),
            ..Answer::default()
        };
        assert_eq!(http_addr("h:10911", &with("0")).as_deref(), Some("h:10914"));
        assert_eq!(http_addr("h:10911", &with("8080")).as_deref(), Some("h:8080"));
        assert_eq!(http_addr("h:10911", &with("-1")), None);
        assert_eq!(http_addr("h:10911", &Answer::default()), None);
    }

    #[test]
    fn reasons_are_read() {
        assert_eq!(reasons(r#"{"ready":false,"reasons":["starting"]}"#), ["starting"]);
        assert!(reasons("404 page not found").is_empty());
    }
}
