//! A master's role moved to its slave, by hand and by one command, under load from clients that
//! know nothing of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use skua_interop::{
    Broker, Client, Driver, Kind, Namesrv, Scene, Tuning, check, skua, wait_until, wire,
};

const LIMIT: Duration = Duration::from_secs(120);

struct Pair {
    scene: Scene,
    namesrv: Namesrv,
    a: Broker,
    b: Broker,
}

impl Pair {
    fn start(role: &'static str) -> Self {
        let scene = Scene::new();
        let namesrv = Namesrv::start(&scene, Kind::Skua);
        let start = |folder: &str, settings: &[&'static str]| {
            let mut all = vec!["mappedFileSizeCommitLog=4194304", "brokerIP2=127.0.0.1"];
            all.extend(settings);
            let tuning = Tuning { settings: all, java_options: None };
            let mut broker = Broker::start_tuned(&scene, Kind::Skua, folder, &namesrv.addr, tuning);
            broker.wait_registered();
            broker
        };
        let a = start("broker-a", &[role]);
        let b = start("b", &["brokerName=broker-a", "brokerId=1", "brokerRole=SLAVE"]);
        wait_until("the slave", LIMIT, || is_followed(&a).then_some(()));
        Self { scene, namesrv, a, b }
    }

    /// Runs the command and gives what it prints.
    fn switch(&self) -> Value {
        let output = skua()
            .args(["cluster", "switch", "--json", "-b", "broker-a", "-n", &self.namesrv.addr])
            .output()
            .expect("skua runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Broker id by address, as the name server has it.
    fn ids(&self) -> BTreeMap<String, String> {
        let list = wire::cluster_list(&self.namesrv.addr).expect("a name server");
        let list =
            list.replace("{0:", "{\"0\":").replace("{1:", "{\"1\":").replace(",1:", ",\"1\":");
        let list: Value = serde_json::from_str(&list).expect("JSON");
        let addrs = list["brokerAddrTable"]["broker-a"]["brokerAddrs"].as_object().cloned();
        let by_addr = |(id, addr): (String, Value)| Some((addr.as_str()?.to_owned(), id));
        addrs.unwrap_or_default().into_iter().filter_map(by_addr).collect()
    }
}

fn is_followed(master: &Broker) -> bool {
    let Some((_, body)) = wire::call(&master.addr, 907, json!({}), &[]) else { return false };
    let Ok(status) = serde_json::from_slice::<Value>(&body) else { return false };
    let end = status["masterCommitLogMaxOffset"].as_i64();
    let slaves = status["haConnectionInfo"].as_array().cloned().unwrap_or_default();
    status["master"] == true
        && slaves
            .iter()
            .any(|slave| slave["slaveAckOffset"].as_i64().max(Some(0)) == end.max(Some(0)))
}

fn sent(driver: &Driver) -> usize {
    driver.told("sent").len()
}

fn wait_sent(driver: &Driver, more: usize) {
    let before = sent(driver);
    driver.wait("more sends", |events| {
        events.iter().filter(|event| event.word == "sent").count() >= before + more
    });
}

/// There and back under load: no send fails, nothing is lost, nothing is there twice.
fn there_and_back(client: Client, role: &'static str) {
    let pair = Pair::start(role);
    let topic = "moved";
    let made = skua()
        .args(["mqadmin", "updateTopic", "-c", "DefaultCluster", "-t", topic])
        .args(["-n", &pair.namesrv.addr])
        .status();
    assert!(made.is_ok_and(|status| status.success()));
    let mut driver = Driver::start(&pair.scene, client, &pair.namesrv.addr);
    driver.run("producer p group=producers timeout=3000 retries=0");
    let mut reader = Driver::start(&pair.scene, Client::Java5, &pair.namesrv.addr);
    reader.run(&format!("consumer c group=readers topic={topic} kind=concurrent"));
    driver.run(&format!("flood p topic={topic} prefix=m threads=4 size=300"));
    wait_sent(&driver, 300);
    let (a, b) = (pair.a.addr.clone(), pair.b.addr.clone());
    for (from, to) in [(&a, &b), (&b, &a), (&a, &b)] {
        let moved = pair.switch();
        assert_eq!((moved["from"].as_str(), moved["to"].as_str()), (Some(&**from), Some(&**to)));
        assert_eq!(pair.ids().get(to).map(String::as_str), Some("0"));
        wait_until("the old master as a slave", LIMIT, || {
            (pair.ids().get(from).map(String::as_str) == Some("1")).then_some(())
        });
        wait_sent(&driver, 300);
        let master = if to == &a { &pair.a } else { &pair.b };
        wait_until("the new slave at its master", LIMIT, || {
            let (_, body) = wire::call(&master.addr, 907, json!({}), &[])?;
            let status: Value = serde_json::from_slice(&body).ok()?;
            (status["inSyncSlaveNums"] == 1).then_some(())
        });
    }
    driver.run("halt p");
    assert_eq!(driver.told("lost").len(), 0, "{:?}", driver.told("lost"));
    let sent = driver.sent(topic);
    wait_until("everything at the consumer", LIMIT, || {
        check::has_all(&sent, &reader.got("c")).then_some(())
    });
    let mut scanner = Driver::start(&pair.scene, Client::Java5, &pair.namesrv.addr);
    scanner.run(&format!("scan s topic={topic}"));
    let got = scanner.got("s");
    check::dense(&got);
    check::each_once(&sent, &got);
    check::at_their_offsets(&sent, &got);
    wait_until("the logs to be the same", LIMIT, || (pair.a.log() == pair.b.log()).then_some(()));
}

#[test]
fn one_command_moves_the_role_there_and_back_while_java_sends() {
    there_and_back(Client::Java5, "brokerRole=ASYNC_MASTER");
}

#[test]
fn one_command_moves_the_role_of_a_double_writing_master_while_go_sends() {
    there_and_back(Client::Go, "brokerRole=SYNC_MASTER");
}

#[test]
fn a_moved_role_stays_over_restarts() {
    let mut pair = Pair::start("brokerRole=SYNC_MASTER");
    wait_until("a send", LIMIT, || wire::send(&pair.a.addr, "kept").then_some(()));
    pair.switch();
    pair.a.crash();
    pair.b.crash();
    wait_until("the slave of the new master", LIMIT, || is_followed(&pair.b).then_some(()));
    assert!(wire::send(&pair.b.addr, "kept"));
    assert!(!wire::send(&pair.a.addr, "kept"), "it does not remember having been master");
    let ids = pair.ids();
    assert_eq!(ids.get(&pair.b.addr).map(String::as_str), Some("0"), "{ids:?}");
}

#[test]
fn what_cannot_be_moved_says_why() {
    let mut pair = Pair::start("brokerRole=ASYNC_MASTER");
    let run = |more: &[&str]| {
        let output = skua()
            .args(["cluster", "switch", "-b", "broker-a", "-n", &pair.namesrv.addr])
            .args(more)
            .output()
            .expect("skua runs");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(run(&["--to", "7"]).contains("no slave with id 7"));
    pair.b.process.freeze();
    assert!(wire::send(&pair.a.addr, "late"));
    // Its connection is there, but nothing comes from it.
    let said = run(&["--catch-up", "1"]);
    assert!(said.contains("not up to"), "{said}");
    assert!(wire::send(&pair.a.addr, "late"), "the master goes on");
    pair.b.process.thaw();
    pair.b.stop();
}

#[test]
fn a_slave_started_again_as_master_takes_its_place() {
    let mut pair = Pair::start("brokerRole=SYNC_MASTER");
    wait_until("a send", LIMIT, || wire::send(&pair.a.addr, "byhand").then_some(()));
    pair.a.stop();
    pair.b.stop();
    pair.b.set(&["brokerRole=SYNC_MASTER", "brokerId=0"]);
    pair.b.start_again(Kind::Skua);
    pair.a.set(&["brokerRole=SLAVE", "brokerId=1"]);
    pair.a.start_again(Kind::Skua);
    wait_until("the old master as slave", LIMIT, || is_followed(&pair.b).then_some(()));
    assert!(wire::send(&pair.b.addr, "byhand"));
    wait_until("the logs to be the same", LIMIT, || (pair.a.log() == pair.b.log()).then_some(()));
}
