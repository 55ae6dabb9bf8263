//! Masters and slaves, Skua's and Java's: logs that are the same byte for byte, tables that follow,
//! double writing, and consumers that carry on from the slave.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use skua_interop::{
    Broker, Client, Driver, Kind, Namesrv, Scene, Tuning, check, skua, wait_until, wire,
};

const LIMIT: Duration = Duration::from_secs(120);
/// Small files, so that logs cross their ends.
const FILE_SIZE: &str = "mappedFileSizeCommitLog=1048576";

fn master(scene: &Scene, kind: Kind, namesrv: &str, settings: &[&'static str]) -> Broker {
    let mut own = vec![FILE_SIZE, "slaveReadEnable=true", "brokerIP2=127.0.0.1"];
    if kind == Kind::Java {
        // A JVM that has just started is slow for a while.
        own.push("waitTimeMillsInSendQueue=20000");
    }
    own.extend(settings);
    member(scene, kind, "broker-a", namesrv, own)
}

fn slave(scene: &Scene, kind: Kind, namesrv: &str, settings: &[&'static str]) -> Broker {
    let mut own = vec![
        FILE_SIZE,
        "slaveReadEnable=true",
        "brokerIP2=127.0.0.1",
        "brokerName=broker-a",
        "brokerId=1",
        "brokerRole=SLAVE",
    ];
    own.extend(settings);
    member(scene, kind, "slave", namesrv, own)
}

fn member(
    scene: &Scene,
    kind: Kind,
    folder: &str,
    namesrv: &str,
    settings: Vec<&'static str>,
) -> Broker {
    let tuning = Tuning { settings, java_options: None };
    let mut broker = Broker::start_tuned(scene, kind, folder, namesrv, tuning);
    broker.wait_registered();
    broker
}

fn wait_same_log(master: &Broker, slave: &Broker) {
    wait_until("the slave's log to be the master's", LIMIT, || {
        let (ours, theirs) = (master.log(), slave.log());
        (!ours.is_empty() && ours == theirs).then_some(())
    });
}

fn send(driver: &mut Driver, topic: &str, prefix: &str, count: u32) {
    let size = 3000;
    driver.run(&format!(
        "send p topic={topic} mode=sync count={count} prefix={prefix} size={size} tags=A"
    ));
}

/// Asynchronous, with catch-up; then restarts of both, and double writing; at the end the same log,
/// and everything that was acknowledged in it.
fn pair(kinds: [Kind; 2]) {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let mut master = master(&scene, kinds[0], &namesrv.addr, &[]);
    let mut slave = slave(&scene, kinds[1], &namesrv.addr, &[]);
    let followed = |master: &Broker| {
        wait_until("the slave at its master", LIMIT, || is_followed(master).then_some(()));
    };
    followed(&master);
    let topic = "replicated";
    wait_until("the topic", LIMIT, || wire::send(&master.addr, topic).then_some(()));
    let mut driver = Driver::start(&scene, Client::Java5, &namesrv.addr);
    driver.run("producer p group=producers timeout=20000");
    send(&mut driver, topic, "steady", 200);
    wait_same_log(&master, &slave);

    slave.stop();
    send(&mut driver, topic, "behind", 500);
    slave.start_again(kinds[1]);
    wait_same_log(&master, &slave);

    master.process.kill();
    // RocketMQ 5 writes twice only when told so.
    let copies: &[&str] = if kinds[0] == Kind::Java { &["inSyncReplicas=2"] } else { &[] };
    master.set(&[&["brokerRole=SYNC_MASTER"], copies].concat());
    master.start_again(kinds[0]);
    followed(&master);
    slave.crash();
    followed(&master);
    let mut sent = driver.sent(topic);
    // A client that saw a route without a master would take half a minute to look again.
    let mut driver = Driver::start(&scene, Client::Go, &namesrv.addr);
    driver.run("producer p group=producers timeout=20000");
    send(&mut driver, topic, "twice", 100);
    sent.extend(driver.sent(topic));
    // Each was answered with both having it.
    assert!(is_followed(&master));
    wait_same_log(&master, &slave);
    assert!(master.log().len() > 1, "the log crossed the end of a file");

    let mut driver = Driver::start(&scene, Client::Java5, &namesrv.addr);
    driver.run(&format!("scan scanner topic={topic}"));
    check::at_their_offsets(&sent, &driver.got("scanner"));
}

fn is_followed(master: &Broker) -> bool {
    wire::is_followed(&master.addr)
}

#[test]
fn a_skua_slave_of_a_skua_master() {
    pair([Kind::Skua, Kind::Skua]);
}

#[test]
fn a_skua_slave_of_a_java_master() {
    pair([Kind::Java, Kind::Skua]);
}

#[test]
fn a_java_slave_of_a_skua_master() {
    pair([Kind::Skua, Kind::Java]);
}

/// The response code of a send.
fn code(broker: &Broker, properties: &str) -> i64 {
    let fields = json!({
        "a": "interop", "b": "codes", "c": "TBW102", "d": "4", "e": "0", "f": "0",
        "g": "1700000000000", "h": "0", "i": properties, "j": "0", "k": "false", "l": "0",
        "m": "false",
    });
    let (header, _) = wire::call(&broker.addr, 310, fields, b"body").expect("an answer");
    header["code"].as_i64().expect("a code")
}

#[test]
fn double_write_says_what_it_could_not_do() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let settings = ["brokerRole=SYNC_MASTER", "slaveTimeout=4000"];
    let master = master(&scene, Kind::Skua, &namesrv.addr, &settings);
    assert_eq!(code(&master, ""), 11, "no slave: SLAVE_NOT_AVAILABLE");
    let mut slave = slave(&scene, Kind::Skua, &namesrv.addr, &[]);
    wait_until("the slave", LIMIT, || is_followed(&master).then_some(()));
    assert_eq!(code(&master, ""), 0);
    slave.process.freeze();
    assert_eq!(code(&master, ""), 12, "the slave is late: FLUSH_SLAVE_TIMEOUT");
    assert_eq!(code(&master, "WAIT\u{1}false\u{2}"), 0);
    slave.process.thaw();
    wait_until("the slave", LIMIT, || is_followed(&master).then_some(()));
    assert_eq!(code(&master, ""), 0);
    slave.stop();
    wait_until("the slave gone", LIMIT, || (!is_followed(&master)).then_some(()));
    assert_eq!(code(&master, ""), 11);
}

#[test]
fn a_consumer_carries_on_from_the_slave_and_its_offsets_come_back() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let mut master = master(&scene, Kind::Skua, &namesrv.addr, &["brokerRole=SYNC_MASTER"]);
    let slave = slave(&scene, Kind::Skua, &namesrv.addr, &[]);
    wait_until("the slave", LIMIT, || is_followed(&master).then_some(()));
    let mut driver = Driver::start(&scene, Client::Java5, &namesrv.addr);
    driver.run("producer p group=producers timeout=10000 retries=0");
    driver.run("send p topic=takeover mode=sync count=50 prefix=before");
    driver.run("consumer c group=takeover topic=takeover kind=concurrent");
    driver.wait_got("c", 50);
    // What a slave copies within a second.
    wait_until("topic and group at the slave", Duration::from_secs(5), || {
        let has = |code, name: &str| {
            let (_, body) = wire::call(&slave.addr, code, json!({}), &[])?;
            String::from_utf8_lossy(&body).contains(name).then_some(())
        };
        has(21, "\"takeover\"").and(has(201, "\"takeover\""))
    });
    driver.run("flood p topic=takeover prefix=flood threads=4 size=300");
    driver.wait("sends", |events| events.iter().filter(|e| e.word == "sent").count() > 500);
    master.process.kill();
    driver.run("halt p");
    // Double writing: also without the master's disk nothing acknowledged is missing.
    fs::remove_dir_all(master.store()).expect("the master's store");
    let sent = driver.sent("takeover");
    // More than was acknowledged may come: the slave has what the master's death left unanswered.
    wait_until("everything acknowledged from the slave", LIMIT, || {
        check::has_all(&sent, &driver.got("c")).then_some(())
    });
}

#[test]
fn offsets_committed_at_the_slave_come_back_and_never_go_back() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let mut master = master(&scene, Kind::Skua, &namesrv.addr, &[]);
    let slave = slave(&scene, Kind::Skua, &namesrv.addr, &[]);
    wait_until("the slave", LIMIT, || is_followed(&master).then_some(()));
    assert_eq!(code(&master, ""), 0);
    let commit = |broker: &Broker, offset: i64| {
        let fields = json!({
            "consumerGroup": "TOOLS_CONSUMER", "topic": "codes", "queueId": "0",
            "commitOffset": offset.to_string(),
        });
        let (header, _) = wire::call(&broker.addr, 15, fields, &[])?;
        (header["code"] == 0).then_some(())
    };
    let committed = |broker: &Broker| {
        let fields = json!({ "consumerGroup": "TOOLS_CONSUMER", "topic": "codes", "queueId": "0" });
        let (header, _) = wire::call(&broker.addr, 14, fields, &[])?;
        header["extFields"]["offset"].as_str()?.parse::<i64>().ok()
    };
    commit(&master, 7).expect("taken");
    wait_until("the offset at the slave", Duration::from_secs(5), || {
        (committed(&slave) == Some(7)).then_some(())
    });
    master.stop();
    commit(&slave, 9).expect("taken");
    master.start_again(Kind::Skua);
    wait_until("the offset at the master", LIMIT, || (committed(&master) == Some(9)).then_some(()));
    // Only who asks the master itself may go back, and the slave follows.
    commit(&master, 3).expect("taken");
    wait_until("the slave to follow", LIMIT, || (committed(&slave) == Some(3)).then_some(()));
    assert_eq!(committed(&master), Some(3));
}

#[test]
fn a_slave_with_another_log_is_named_and_left_as_it_is() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let mut master = master(&scene, Kind::Skua, &namesrv.addr, &[]);
    let mut slave = slave(&scene, Kind::Skua, &namesrv.addr, &[]);
    assert_eq!(code(&master, ""), 0);
    wait_same_log(&master, &slave);
    slave.stop();
    // A life of its own for the master: its log goes, another begins.
    master.stop();
    fs::remove_dir_all(master.store()).expect("the master's store");
    master.start_again(Kind::Skua);
    for _ in 0..5 {
        assert_eq!(code(&master, ""), 0);
    }
    let before = slave.log();
    slave.start_again(Kind::Skua);
    wait_until("the word of it", LIMIT, || {
        slave.process.output().contains("has diverged").then_some(())
    });
    assert!(!is_followed(&master));
    assert_eq!(slave.log(), before);
}

#[test]
fn an_empty_skua_slave_gets_the_first_file_too() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let master = master(&scene, Kind::Skua, &namesrv.addr, &[]);
    let mut driver = Driver::start(&scene, Client::Java5, &namesrv.addr);
    driver.run("producer p group=producers");
    wait_until("the topic", LIMIT, || wire::send(&master.addr, "filled").then_some(()));
    send(&mut driver, "filled", "m", 900);
    assert!(master.log().len() > 2);
    let slave = slave(&scene, Kind::Skua, &namesrv.addr, &[]);
    wait_same_log(&master, &slave);
    assert!(Path::new(&slave.commit_log()).join("0".repeat(20)).exists());
}

/// Least and next queue offset of a queue (31, 30).
fn bounds(broker: &Broker, topic: &str, queue: i32) -> Option<[i64; 2]> {
    let ask = |code| {
        let fields = json!({ "topic": topic, "queueId": queue.to_string() });
        let (header, _) = wire::call(&broker.addr, code, fields, &[])?;
        header["extFields"]["offset"].as_str()?.parse::<i64>().ok()
    };
    Some([ask(31)?, ask(30)?])
}

#[test]
fn a_slave_that_was_away_too_long_is_told_the_command_and_then_filled_from_the_first_file() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let mut master = master(&scene, Kind::Skua, &namesrv.addr, &[]);
    let mut slave = slave(&scene, Kind::Skua, &namesrv.addr, &["slaveRefill=NEVER"]);
    wait_until("the topic", LIMIT, || wire::send(&master.addr, "refilled").then_some(()));
    let mut driver = Driver::start(&scene, Client::Java5, &namesrv.addr);
    driver.run("producer p group=producers timeout=20000");
    send(&mut driver, "refilled", "before", 100);
    wait_same_log(&master, &slave);
    slave.stop();
    send(&mut driver, "refilled", "meanwhile", 900);
    master.stop();
    // The master's first file expires, which is all that the slave has.
    assert!(master.log().len() > 2);
    fs::remove_file(master.commit_log().join("0".repeat(20))).expect("its first file");
    master.start_again(Kind::Skua);
    let old = slave.log();
    slave.start_again(Kind::Skua);
    for broker in [&slave, &master] {
        wait_until("the word of it", LIMIT, || {
            broker.process.output().contains("skua store set-aside").then_some(())
        });
    }
    assert!(slave.log() == old, "nothing was appended");
    slave.stop();
    let file = slave.store().with_file_name("broker.conf");
    let output = skua().args(["store", "set-aside", "-c"]).arg(file).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    slave.start_again(Kind::Skua);
    wait_same_log(&master, &slave);
    for queue in 0..4 {
        wait_until("the same bounds of queues", LIMIT, || {
            let bounds = bounds(&master, "refilled", queue)?;
            (bounds[0] > 0 && self::bounds(&slave, "refilled", queue)? == bounds).then_some(())
        });
    }
}
