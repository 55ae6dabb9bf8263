//! One healthy cluster, and for each finding the one fact that brings it about.

use std::time::Duration;

use skua_protocol::Millis;
use skua_protocol::body::{HaConnectionInfo, HaRuntimeInfo};

use super::*;
use crate::doctor::facts::{Answer, Broker, BrokerKey, ConfigFile, Group, NameServer, Seen};

const NOW: i64 = 1_800_000_000_000;

fn key(name: &str, id: i64) -> BrokerKey {
    BrokerKey { cluster: "C".into(), name: name.into(), id }
}

fn pairs(list: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn answer(id: i64) -> Answer {
    let boot = (NOW - 174_500).to_string();
    Answer {
        asked_at: Millis(NOW),
        runtime: pairs(&[
            ("bootTimestamp", &boot),
            ("runtime", "[ 0 days, 0 hours, 2 minutes, 54 seconds ]"),
            ("commitLogDiskRatio", "0.40"),
            ("commitLogMaxOffset", "1000000"),
            ("commitLogDirCapacity", "Total : 100.0 GiB, Free : 60.0 GiB."),
            ("dispatchBehindBytes", "0"),
        ]),
        config: pairs(&[
            ("httpPort", "0"),
            ("brokerRole", if id == 0 { "SYNC_MASTER" } else { "SLAVE" }),
            ("brokerPermission", "6"),
        ]),
        ha: Some(match id {
            0 => HaRuntimeInfo {
                master: true,
                in_sync_slave_nums: 1,
                ha_connection_info: vec![HaConnectionInfo {
                    addr: "10.0.0.2:4000".into(),
                    in_sync: true,
                    ..HaConnectionInfo::default()
                }],
                ..HaRuntimeInfo::default()
            },
            _ => {
                let mut ha = HaRuntimeInfo::default();
                ha.ha_client_runtime_info.master_addr = Some("10.0.0.1:10912".into());
                ha
            }
        }),
        topics: ["Orders".to_owned()].into(),
        groups: vec![Group { name: "G".into(), lag: 0, consumers: None }],
        later: Some((Duration::from_secs(1), 1_000_000)),
        metrics: [("process_open_fds", 100.0), ("process_max_fds", 655_350.0)]
            .map(|(name, value)| (name.to_owned(), vec![value]))
            .into(),
        not_ready: Vec::new(),
    }
}

/// Two name servers, a master and its slave, nothing wrong.
fn healthy() -> Facts {
    let members = [(key("a", 0), "10.0.0.1:10911"), (key("a", 1), "10.0.0.2:10911")];
    let seen = Seen {
        brokers: members.iter().map(|(key, addr)| (key.clone(), (*addr).to_owned())).collect(),
        topics: ["Orders".to_owned()].into(),
    };
    let server = |addr: &str| NameServer { addr: addr.into(), seen: Ok(seen.clone()) };
    let brokers = members
        .iter()
        .map(|(key, addr)| Broker {
            key: key.clone(),
            addr: (*addr).to_owned(),
            answer: Ok(answer(key.id)),
        })
        .collect();
    Facts {
        name_servers: vec![server("10.0.0.8:9876"), server("10.0.0.9:9876")],
        brokers,
        files: Vec::new(),
    }
}

fn told(facts: &Facts) -> Vec<(Level, &'static str)> {
    let findings = examine(facts, &Bounds::default());
    for finding in &findings {
        assert!(!finding.what.is_empty() && !finding.advice.is_empty(), "{finding:?}");
        assert!(!finding.what.contains('\n'), "{finding:?}");
    }
    findings.iter().map(|finding| (finding.level, finding.code)).collect()
}

/// What is told after the master's answer was changed.
fn told_of(change: impl FnOnce(&mut Answer)) -> Vec<(Level, &'static str)> {
    let mut facts = healthy();
    change(facts.brokers[0].answer.as_mut().expect("healthy"));
    told(&facts)
}

fn set(answer: &mut Answer, key: &str, value: &str) {
    answer.config.insert(key.into(), value.into());
}

fn run(answer: &mut Answer, key: &str, value: &str) {
    answer.runtime.insert(key.into(), value.into());
}

#[test]
fn of_a_healthy_cluster_nothing_is_told() {
    assert_eq!(told(&healthy()), []);
}

#[test]
fn a_dead_name_server_is_a_warning_and_all_of_them_critical() {
    let mut facts = healthy();
    facts.name_servers[0].seen = Err("refused".into());
    assert_eq!(told(&facts), [(Level::Warning, "name-server-dead")]);
    facts.name_servers[1].seen = Err("refused".into());
    let all = told(&facts);
    assert_eq!(all, [(Level::Critical, "name-server-dead"); 2]);
}

#[test]
fn name_servers_without_any_broker_are_told() {
    let mut facts = healthy();
    facts.brokers.clear();
    for server in &mut facts.name_servers {
        server.seen = Ok(Seen::default());
    }
    assert_eq!(told(&facts), [(Level::Critical, "no-broker")]);
}

#[test]
fn name_servers_that_disagree_are_told_what_about() {
    let mut facts = healthy();
    let seen = facts.name_servers[1].seen.as_mut().expect("healthy");
    seen.brokers.remove(&key("a", 1));
    assert_eq!(told(&facts), [(Level::Warning, "name-servers-disagree")]);
    let what = &examine(&facts, &Bounds::default())[0].what;
    assert_eq!(what, "10.0.0.9:9876 do not know it; 10.0.0.8:9876 say 10.0.0.2:10911");

    let mut facts = healthy();
    facts.name_servers[1].seen.as_mut().expect("healthy").topics.clear();
    assert_eq!(told(&facts), [(Level::Warning, "name-servers-disagree")]);

    let mut facts = healthy();
    let seen = facts.name_servers[1].seen.as_mut().expect("healthy");
    seen.brokers.insert(key("a", 0), "172.17.0.1:10911".into());
    assert_eq!(told(&facts), [(Level::Warning, "name-servers-disagree")]);
}

#[test]
fn an_address_that_clients_cannot_reach_is_told() {
    let mut facts = healthy();
    facts.brokers[1].answer = Err("10.0.0.2:10911: Connection refused".into());
    assert_eq!(told(&facts), [(Level::Critical, "broker-unreachable")]);

    let mut facts = healthy();
    facts.brokers[1].addr = "127.0.0.1:10911".into();
    assert_eq!(told(&facts), [(Level::Critical, "address-loopback")]);
    // Who asks on the machine itself is not misled.
    for server in &mut facts.name_servers {
        server.addr = "localhost:9876".into();
    }
    assert_eq!(told(&facts), []);
}

#[test]
fn slaves_without_a_master_are_told_once() {
    let mut facts = healthy();
    facts.brokers.remove(0);
    assert_eq!(told(&facts), [(Level::Critical, "no-master")]);
}

#[test]
fn a_broker_that_is_not_ready_tells_why() {
    let found = told_of(|answer| answer.not_ready.push("messages are refused: full".into()));
    assert_eq!(found, [(Level::Critical, "not-ready")]);
}

#[test]
fn a_permission_that_was_taken_is_a_note() {
    assert_eq!(told_of(|a| set(a, "brokerPermission", "4")), [(Level::Note, "permission")]);
}

#[test]
fn clocks_apart_are_told() {
    let ahead = |ms: i64| (NOW - 174_500 + ms).to_string();
    let with = |ms: i64| told_of(|a| run(a, "bootTimestamp", &ahead(ms)));
    assert_eq!(with(2_000), []);
    assert_eq!(with(5_000), [(Level::Warning, "clock-apart")]);
    assert_eq!(with(-5_000), [(Level::Warning, "clock-apart")]);
    assert_eq!(with(-120_000), [(Level::Critical, "clock-apart")]);
}

#[test]
fn a_master_that_promises_two_copies_and_has_one_is_told() {
    let alone = |answer: &mut Answer| {
        answer.ha = Some(HaRuntimeInfo { master: true, ..HaRuntimeInfo::default() });
    };
    assert_eq!(
        told_of(alone),
        [(Level::Critical, "master-without-slave"), (Level::Warning, "slave-not-following")]
    );
    let knowingly = told_of(|answer| {
        alone(answer);
        set(answer, "brokerRole", "ASYNC_MASTER");
    });
    assert_eq!(knowingly, [(Level::Warning, "slave-not-following")]);
}

#[test]
fn replication_lag_is_told_by_its_size() {
    let with = |bytes: i64| {
        told_of(|answer| {
            answer.ha.as_mut().expect("a master").ha_connection_info[0].diff = bytes;
        })
    };
    assert_eq!(with(1 << 20), []);
    assert_eq!(with(32 << 20), [(Level::Warning, "replication-lag")]);
    assert_eq!(with(300 << 20), [(Level::Critical, "replication-lag")]);
}

#[test]
fn a_slave_that_follows_nobody_is_told() {
    let mut facts = healthy();
    let slave = facts.brokers[1].answer.as_mut().expect("healthy");
    slave.ha.as_mut().expect("a slave").ha_client_runtime_info.master_addr = None;
    assert_eq!(told(&facts), [(Level::Warning, "slave-not-following")]);
}

#[test]
fn raft_groups_of_two_are_told() {
    let with = |peers: &str| {
        told_of(|answer| {
            set(answer, "enableDLegerCommitLog", "true");
            set(answer, "dLegerPeers", peers);
        })
    };
    assert!(with("n0-h:1;n1-h:2").contains(&(Level::Critical, "raft-peers")));
    assert!(with("n0-h:1;n1-h:2;n2-h:3;n3-h:4").contains(&(Level::Note, "raft-peers")));
    assert!(!with("n0-h:1;n1-h:2;n2-h:3").iter().any(|(_, code)| *code == "raft-peers"));
}

#[test]
fn a_full_disk_and_one_that_fills_are_told_with_the_time() {
    let ratio = |text: &str| told_of(|a| run(a, "commitLogDiskRatio", text));
    assert_eq!(ratio("0.80"), [(Level::Warning, "disk-full")]);
    assert_eq!(ratio("0.93"), [(Level::Critical, "disk-full")]);
    // 50 GiB are left until sends are refused.
    let growth = |bytes: u64| {
        told_of(|answer| answer.later = Some((Duration::from_secs(1), 1_000_000 + bytes)))
    };
    assert_eq!(growth(100 << 10), []);
    assert_eq!(growth(1 << 20), [(Level::Warning, "disk-fills")]);
    assert_eq!(growth(100 << 20), [(Level::Critical, "disk-fills")]);
    // The broker's own forecast wins.
    let told = told_of(|answer| {
        answer.metrics.insert("skua_disk_full_in_seconds".into(), vec![7_200.0]);
    });
    assert_eq!(told, [(Level::Warning, "disk-fills")]);
}

#[test]
fn a_log_that_is_not_dispatched_is_told() {
    let behind = told_of(|a| run(a, "dispatchBehindBytes", "100000000"));
    assert_eq!(behind, [(Level::Warning, "dispatch-behind")]);
}

#[test]
fn file_descriptors_are_told_when_few_or_used_up() {
    let with = |open: f64, max: f64| {
        told_of(|answer| {
            answer.metrics.insert("process_open_fds".into(), vec![open]);
            answer.metrics.insert("process_max_fds".into(), vec![max]);
        })
    };
    assert_eq!(with(100.0, 20_000.0), [(Level::Note, "descriptors")]);
    assert_eq!(with(100.0, 1024.0), [(Level::Warning, "descriptors")]);
    assert_eq!(with(900.0, 1024.0), [(Level::Critical, "descriptors")]);
}

#[test]
fn a_topic_that_a_broker_lacks_is_told() {
    let mut facts = healthy();
    let mut other = facts.brokers[0].clone();
    other.key = key("b", 0);
    other.addr = "10.0.0.3:10911".into();
    other.answer.as_mut().expect("healthy").topics.clear();
    set(other.answer.as_mut().expect("healthy"), "brokerRole", "ASYNC_MASTER");
    facts.brokers.push(other);
    assert_eq!(told(&facts), [(Level::Warning, "topic-missing")]);
    assert!(examine(&facts, &Bounds::default())[0].what.contains("Orders"));
}

#[test]
fn groups_that_lag_or_have_no_consumer_are_told() {
    let with = |lag: i64, consumers: Option<usize>| {
        told_of(|answer| {
            answer.groups = vec![Group { name: "G".into(), lag, consumers }];
        })
    };
    assert_eq!(with(5, Some(1)), []);
    assert_eq!(with(5, Some(0)), [(Level::Warning, "group-without-consumer")]);
    assert_eq!(with(50_000, Some(1)), [(Level::Warning, "group-lags")]);
    assert_eq!(with(0, Some(0)), []);
}

#[test]
fn keys_that_do_nothing_or_are_misspelt_are_told() {
    let misspelt = told_of(|answer| set(answer, "flushDiskTyp", "SYNC_FLUSH"));
    assert_eq!(misspelt, [(Level::Warning, "config-key")]);
    let inert = told_of(|answer| set(answer, "serverWorkerThreads", "96"));
    assert_eq!(inert, [(Level::Note, "config-inert")]);
    // Java's broker obeys what Skua does not need.
    let java = told_of(|answer| {
        answer.config.remove("httpPort");
        set(answer, "serverWorkerThreads", "96");
    });
    assert_eq!(java, []);
}

#[test]
fn a_file_is_judged_as_at_a_start() {
    let with = |text: &str| {
        let mut facts = healthy();
        facts.files =
            vec![ConfigFile { path: "broker.conf".into(), content: Ok(text.as_bytes().to_vec()) }];
        told(&facts)
    };
    assert_eq!(with("brokerName=a\n"), []);
    assert_eq!(with("brokerNam=a\n"), [(Level::Warning, "config-key")]);
    assert_eq!(with("brokerRole=KING\n"), [(Level::Critical, "config-refused")]);
    let mut facts = healthy();
    facts.files = vec![ConfigFile { path: "x".into(), content: Err("not there".into()) }];
    assert_eq!(told(&facts), [(Level::Warning, "config-unreadable")]);
}
