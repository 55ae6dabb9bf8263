//! Host names in place of addresses: of the master, of name servers, and what clients and slaves
//! are given; a name that nobody knows, one that moves to another machine, and one that stands for
//! several. And addresses that differ from what is listened on.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use skua_interop::{
    Broker, Client, Driver, Kind, Namesrv, Net, Place, Relay, Scene, Tuning, check, free_port,
    wait_until, wire,
};

const LIMIT: Duration = Duration::from_secs(60);
const OK: i64 = 0;
const NO_SLAVE: i64 = 11;
const GET_TOPIC_CONFIG: i32 = 351;

/// A setting that is not known before the test runs; tests end with their process.
fn setting(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn member(scene: &Scene, kind: Kind, folder: &str, namesrv: &str, own: &[&'static str]) -> Broker {
    let tuning = Tuning { settings: own.to_vec(), java_options: None };
    Broker::start_tuned(scene, kind, folder, namesrv, tuning)
}

/// A file of host names.
struct Names(PathBuf);

impl Names {
    fn set(&self, lines: &[&str]) {
        fs::write(&self.0, format!("127.0.0.1 localhost\n{}\n", lines.join("\n"))).expect("a file");
    }
}

fn wait_code(master: &Broker, code: i64) {
    let what = format!("a send answered {code}");
    wait_until(&what, LIMIT, || (wire::send_code(&master.addr) == code).then_some(()));
}

fn wait_said(broker: &Broker, text: &str) {
    wait_until(text, LIMIT, || broker.process.output().contains(text).then_some(()));
}

#[test]
fn a_slave_looks_its_master_and_its_name_server_up_by_name_whenever_it_connects() {
    let scene = Scene::new();
    let names = Names(scene.path().join("hosts"));
    names.set(&[]);
    let Some(place) = Place::with_names(&names.0) else { return };
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let own = ["brokerRole=SYNC_MASTER", "brokerIP2=127.0.0.1"];
    let mut master = member(&scene, Kind::Skua, "broker-a", &namesrv.addr, &own);
    master.wait_registered();
    // Two machines that a name may stand for.
    let relays = |to: &str, more: u16| {
        let mut to: std::net::SocketAddr = to.parse().expect("ip:port");
        to.set_port(to.port() + more);
        let one = Relay::start_at(([127, 0, 0, 2], 0).into(), to);
        let other = Relay::start_at(([127, 0, 0, 3], one.addr.port()).into(), to);
        let port = one.addr.port();
        (one, other, port)
    };
    let (one, _other, ha_port) = relays(&master.addr, 1);
    let (one_names, _other_names, names_port) = relays(&namesrv.addr, 0);

    let ha = format!("master.test:{ha_port}");
    let own = [
        "brokerName=broker-a",
        "brokerId=1",
        "brokerRole=SLAVE",
        "registerNameServerPeriod=10000",
        setting(format!("haMasterAddress={ha}")),
    ];
    let tuning = Tuning { settings: own.to_vec(), java_options: None };
    let namesrv_name = format!("names.test:{names_port}");
    let slave = Broker::start_at(&scene, Kind::Skua, "slave", &namesrv_name, tuning, place);
    wait_said(&slave, &format!("cannot find the address of {ha}"));
    wait_said(&slave, &format!("cannot find the address of {namesrv_name}"));
    assert_eq!(wire::send_code(&master.addr), NO_SLAVE);

    let is_listed = || {
        let list = wire::cluster_list(&namesrv.addr)?;
        list.contains(&slave.addr).then_some(())
    };
    names.set(&["127.0.0.2 master.test", "127.0.0.2 names.test"]);
    wait_code(&master, OK);
    wait_until("the slave at its name server", LIMIT, is_listed);

    // Both are elsewhere now, and nobody is where they were.
    names.set(&["127.0.0.3 master.test", "127.0.0.3 names.test"]);
    drop((one, one_names));
    wait_code(&master, OK);
    wait_until("the end of the old connection", LIMIT, || {
        let said = namesrv.process.output();
        said.contains("connection closed broker=broker-a id=1").then_some(())
    });
    wait_until("the slave at its name server again", LIMIT, is_listed);
    // A pause that grew while the name was unknown does not stay.
    for _ in 0..20 {
        assert_eq!(wire::send_code(&master.addr), OK);
    }
}

/// The first address is of a machine that does not answer, the nearest one: resolvers put it first.
#[test]
fn of_a_name_with_several_addresses_the_one_that_answers_is_taken() {
    let Some(mut net) = Net::start() else { return };
    let scene = Scene::new();
    let [master_node, dead, slave_node, namesrv_node] = std::array::from_fn(|_| net.node());
    slave_node.lose(dead.ip);
    let namesrv = Namesrv::start_at(&scene, Kind::Skua, "namesrv", &namesrv_node.place());
    // The master knows itself by the one name and address; to the slave the name stands for two.
    let at = |file: &str, lines: &[&str]| {
        let names = Names(scene.path().join(file));
        names.set(lines);
        names.0
    };
    let own_name = at("hosts-of-the-master", &[&format!("{} master.test", master_node.ip)]);
    let names = at(
        "hosts-of-the-slave",
        &[
            &format!("{} master.test names.test", dead.ip),
            &format!("{} master.test", master_node.ip),
            &format!("{} names.test", namesrv_node.ip),
        ],
    );
    let start = |folder, namesrv, place, own: &[&'static str]| {
        let tuning = Tuning { settings: own.to_vec(), java_options: None };
        Broker::start_at(&scene, Kind::Skua, folder, namesrv, tuning, place)
    };
    let own = ["brokerRole=SYNC_MASTER", "brokerIP1=master.test", "brokerIP2=master.test"];
    let place = master_node.place().and_names(&own_name);
    let master = start("broker-a", &namesrv.addr, place, &own);
    let is_listed = |text: &str| {
        wait_until(text, LIMIT, || wire::cluster_list(&namesrv.addr)?.contains(text).then_some(()));
    };
    is_listed("master.test:10911");
    assert!(!wire::send(&master.addr, "several"), "stored, but not twice");
    let own = [
        "brokerName=broker-a",
        "brokerId=1",
        "brokerRole=SLAVE",
        "haMasterAddress=master.test:10912",
    ];
    let place = slave_node.place().and_names(&names);
    let slave = start("slave", "names.test:9876", place, &own);
    is_listed(&slave.addr);
    wait_code(&master, OK);
    // The tables come by the port for clients, where the name server says that it is.
    wait_until("the topic at the slave", LIMIT, || {
        let (_, body) = wire::call(&slave.addr, 21, json!({}), &[])?;
        String::from_utf8_lossy(&body).contains("\"several\"").then_some(())
    });
    // And again after the connections are gone.
    slave_node.reset(master_node.ip);
    wait_code(&master, OK);
}

#[test]
fn java_clients_and_a_java_slave_are_given_names() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let named = |addr: &str| addr.replace("127.0.0.1", "localhost");
    let is_listed = |broker: &Broker| {
        let list = wire::cluster_list(&namesrv.addr)?;
        list.contains(&format!("\"{}\"", named(&broker.addr))).then_some(())
    };
    let place = ["brokerIP1=localhost", "brokerIP2=localhost", "slaveReadEnable=true"];
    let names = named(&namesrv.addr);
    let own = [&place[..], &["brokerRole=SYNC_MASTER"]].concat();
    let mut master = member(&scene, Kind::Skua, "broker-a", &namesrv.addr, &own);
    wait_until("the master by its name", LIMIT, || is_listed(&master));
    assert!(!wire::send(&master.addr, "named"), "stored, but not twice");
    let own = [&place[..], &["brokerName=broker-a", "brokerId=1", "brokerRole=SLAVE"]].concat();
    let slave = member(&scene, Kind::Java, "slave", &namesrv.addr, &own);
    wait_until("the slave by its name", LIMIT * 2, || is_listed(&slave));
    wait_code(&master, OK);

    let said = master.process.output();
    let given = format!("address={} reason=\"as brokerIP1 says\"", named(&master.addr));
    assert!(said.contains(&given), "{given} in {said}");
    let mut driver = Driver::start(&scene, Client::Java5, &names);
    driver.run("producer p group=producers timeout=20000");
    driver.run("send p topic=named mode=sync count=20 prefix=a");
    driver.run("consumer c group=readers topic=named kind=concurrent poll=1000");
    driver.wait_got("c", 21);
    driver.run("send p topic=named mode=sync count=200 prefix=b");
    wait_until("all of it at the slave", LIMIT * 2, || {
        wire::is_followed(&master.addr).then_some(())
    });
    // A Java slave copies topics once a minute, not before its first; those it does not know it
    // serves to nobody.
    wait_until("the topic at the slave", LIMIT * 2, || {
        let answer = wire::call(&slave.addr, GET_TOPIC_CONFIG, json!({ "topic": "named" }), b"");
        answer.is_some_and(|(header, _)| header["code"] == OK).then_some(())
    });
    master.process.kill();
    driver.wait_got("c", 221);
    // The slave by its name, too.
    driver.run("consumer d group=later topic=named kind=concurrent poll=1000");
    driver.wait_got("d", 221);
}

#[test]
fn clients_and_the_slave_come_by_the_advertised_port() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let port = free_port();
    let given = format!("127.0.0.1:{port}");
    let own = [
        "brokerRole=SYNC_MASTER",
        "brokerIP2=127.0.0.1",
        setting(format!("advertisedPort={port}")),
    ];
    let master = member(&scene, Kind::Skua, "broker-a", &namesrv.addr, &own);
    wait_until("the advertised port in the cluster list", LIMIT, || {
        let list = wire::cluster_list(&namesrv.addr)?;
        assert!(!list.contains(&master.addr), "{list}");
        list.contains(&given).then_some(())
    });
    // As a container's port mapping does.
    let relay =
        Relay::start_at(given.parse().expect("ip:port"), master.addr.parse().expect("ip:port"));
    let own = ["brokerName=broker-a", "brokerId=1", "brokerRole=SLAVE"];
    let slave = member(&scene, Kind::Skua, "slave", &namesrv.addr, &own);
    wait_code(&master, OK);
    wait_until("the topic at the slave", LIMIT, || {
        let (_, body) = wire::call(&slave.addr, 21, json!({}), &[])?;
        String::from_utf8_lossy(&body).contains("\"codes\"").then_some(())
    });
    let (_, status) = wire::call(&slave.addr, 907, json!({}), &[]).expect("an answer");
    let status = String::from_utf8_lossy(&status).into_owned();
    assert!(
        status.contains(&format!("\"masterAddr\":\"127.0.0.1:{}\"", ha_port(&master))),
        "{status}"
    );
    let mut driver = Driver::start(&scene, Client::Java5, &namesrv.addr);
    driver.run("producer p group=producers");
    driver.run("send p topic=mapped mode=sync count=20 prefix=a");
    driver.run("consumer c group=readers topic=mapped kind=concurrent poll=1000");
    driver.wait_got("c", 20);
    check::each_once(&driver.sent("mapped"), &driver.got("c"));
    // They have no other way.
    relay.cut();
    assert!(driver.try_run("send p topic=mapped mode=sync count=1 prefix=b").is_err());
    relay.pass();
}

fn ha_port(master: &Broker) -> u16 {
    let at: std::net::SocketAddr = master.addr.parse().expect("ip:port");
    at.port() + 1
}

/// A client that comes by another address than clients are given, from another machine.
#[test]
fn a_client_that_shows_that_the_given_address_is_of_no_use_is_warned_of() {
    let Some(mut net) = Net::start() else { return };
    let scene = Scene::new();
    let namesrv_node = net.node();
    let namesrv = Namesrv::start_at(&scene, Kind::Skua, "namesrv", &namesrv_node.place());
    let heartbeat = json!({ "clientID": "c", "producerDataSet": [{ "groupName": "p" }],
        "consumerDataSet": [] });
    for (folder, given) in [("reached", None), ("out-of-reach", Some("10.99.0.1"))] {
        let node = net.node();
        let ip = given.map_or_else(|| node.ip.to_string(), str::to_owned);
        let tuning =
            Tuning { settings: vec![setting(format!("brokerIP1={ip}"))], java_options: None };
        let place = node.place();
        let broker = Broker::start_at(&scene, Kind::Skua, folder, &namesrv.addr, tuning, place);
        wait_until("the broker by the address it gives", LIMIT, || {
            let list = wire::cluster_list(&namesrv.addr)?;
            list.contains(&format!("\"{ip}:10911\"")).then_some(())
        });
        let body = heartbeat.to_string();
        let answer = wire::call(&broker.addr, 34, json!({}), body.as_bytes()).expect("an answer");
        assert_eq!(answer.0["code"], OK);
        let warning = "a client came by another address than clients are given";
        if given.is_some() {
            wait_said(&broker, warning);
            wait_said(&broker, "given=\"10.99.0.1:10911\"");
        }
        assert_eq!(broker.process.output().contains(warning), given.is_some(), "{folder}");
    }
}
