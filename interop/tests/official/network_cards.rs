//! Machines with several network cards, and which address of theirs others are given when the
//! configuration says none: Java's choice, and a line that says which and why.

use std::time::Duration;

use serde_json::json;
use skua_interop::{
    Broker, Client, Driver, Kind, Namesrv, Net, Node, Scene, Tuning, check, wait_until, wire,
};

const LIMIT: Duration = Duration::from_secs(60);

/// A machine's cards beside its bridges, in their order.
type Cards = &'static [(&'static str, &'static str)];

const ONE_OF_EACH: Cards = &[("eth1", "10.9.1.5/24"), ("eth2", "203.0.113.5/24")];
const PRIVATE: Cards = &[("eth1", "10.9.1.5/24"), ("eth2", "192.168.7.5/24")];
const PUBLIC: Cards =
    &[("eth1", "203.0.113.5/24"), ("eth2", "10.9.1.5/24"), ("ens3", "192.0.2.5/24")];
const TWICE: Cards = &[("eth1", "10.9.1.5/24"), ("eth1", "10.9.1.6/24")];
const PUBLIC_TWICE: Cards = &[("eth1", "203.0.113.5/24"), ("eth1", "203.0.113.6/24")];

fn start(scene: &Scene, folder: &str, namesrv: &str, node: &Node, own: &[&'static str]) -> Broker {
    let tuning = Tuning { settings: own.to_vec(), java_options: None };
    Broker::start_at(scene, Kind::Skua, folder, namesrv, tuning, node.place().untold())
}

fn wait_said(broker: &Broker, text: &str) {
    wait_until(text, LIMIT, || broker.process.output().contains(text).then_some(()));
}

#[test]
fn without_one_in_the_configuration_the_address_is_the_one_that_java_finds() {
    let Some(mut net) = Net::start() else { return };
    let scene = Scene::new();
    let cases = [
        ("each", ONE_OF_EACH, "public address of eth2 rather than 10.9.1.5 (eth1)"),
        ("private", PRIVATE, "private address of eth1 rather than 192.168.7.5 (eth2)"),
        (
            "public",
            PUBLIC,
            "public address of ens3 rather than 203.0.113.5 (eth1), 10.9.1.5 (eth2)",
        ),
        ("twice", TWICE, "private address of eth1 rather than 10.9.1.6 (eth1)"),
        ("public-twice", PUBLIC_TWICE, "public address of eth1 rather than 203.0.113.5 (eth1)"),
    ];
    for (folder, cards, why) in cases {
        let node = net.node();
        node.ip("addr flush dev eth0");
        node.bridge("docker0", "172.17.0.1/16");
        for (nth, (name, address)) in cards.iter().enumerate() {
            if cards[..nth].iter().any(|(other, _)| other == name) {
                node.ip(&format!("addr add {address} dev {name}"));
            } else {
                node.card(name, address);
            }
        }
        // A card that is off.
        node.card("eth9", "198.51.100.5/24");
        node.ip("link set eth9 down");
        let java = node.place().java_address();
        let broker = start(&scene, folder, "127.0.0.1:1", &node, &[]);
        wait_said(&broker, &format!("address={java}:10911 reason=\"{why}, 172.17.0.1 (docker0)\""));
        wait_said(&broker, &format!("for_slaves={java}:10912 reason_for_slaves=\"{why}"));
    }
}

#[test]
fn clients_and_the_slave_come_by_the_addresses_that_the_master_found_or_was_told() {
    let Some(mut net) = Net::start() else { return };
    let scene = Scene::new();
    let namesrv_node = net.node();
    let namesrv = Namesrv::start_at(&scene, Kind::Skua, "namesrv", &namesrv_node.place());
    // The network's own address is a public one; slaves are to come by another network.
    let [master_node, slave_node] = [net.node(), net.node()];
    for (node, last) in [(&master_node, 5), (&slave_node, 6)] {
        node.bridge("docker0", "172.17.0.1/16");
        node.card("eth1", "192.168.7.9/24");
        node.ip(&format!("addr add 10.9.1.{last}/24 dev eth0"));
    }
    let ip2 = "brokerIP2=10.9.1.5";
    let role = ["brokerRole=SYNC_MASTER", ip2];
    let mut master = start(&scene, "broker-a", &namesrv.addr, &master_node, &role);
    master.wait_registered();
    let ip = master_node.ip;
    wait_said(&master, &format!("address={ip}:10911 reason=\"public address of eth0 rather than "));
    wait_said(&master, "for_slaves=10.9.1.5:10912 reason_for_slaves=\"as brokerIP2 says\"");

    let own = ["brokerName=broker-a", "brokerId=1", "brokerRole=SLAVE"];
    let mut slave = start(&scene, "slave", &namesrv.addr, &slave_node, &own);
    slave.wait_registered();
    wait_until("a send with two copies", LIMIT, || {
        (wire::send_code(&master.addr) == 0).then_some(())
    });
    let (_, status) = wire::call(&slave.addr, 907, json!({}), &[]).expect("an answer");
    let status = String::from_utf8_lossy(&status).into_owned();
    assert!(status.contains("\"masterAddr\":\"10.9.1.5:10912\""), "{status}");

    let mut driver = Driver::start(&scene, Client::Java5, &namesrv.addr);
    driver.run("producer p group=producers timeout=20000");
    driver.run("send p topic=cards mode=sync count=20 prefix=a");
    driver.run("consumer c group=readers topic=cards kind=concurrent poll=1000");
    driver.wait_got("c", 20);
    check::each_once(&driver.sent("cards"), &driver.got("c"));
}
