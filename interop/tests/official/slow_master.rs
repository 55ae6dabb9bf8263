//! A master whose messages lie further back than its memory reaches sends its consumers to the
//! slave, and has them back once they have caught up.

use std::time::Duration;

use serde_json::{Value, json};
use skua_interop::{Broker, Client, Driver, Kind, Namesrv, Scene, Tuning, check, wait_until, wire};

const LIMIT: Duration = Duration::from_secs(120);
const TOPIC: &str = "slow";
/// Of which one read on the disk gives eight (`maxTransferCountOnMessageInDisk`).
const COUNT: i64 = 400;

/// None of what it has stored counts as cached.
fn member(scene: &Scene, kind: Kind, folder: &str, namesrv: &str, own: &[&'static str]) -> Broker {
    let slow = ["accessMessageInMemoryMaxRatio=0", "slaveReadEnable=true", "brokerIP2=127.0.0.1"];
    let settings = [&slow[..], own].concat();
    let tuning = Tuning { settings, java_options: None };
    let mut broker = Broker::start_tuned(scene, kind, folder, namesrv, tuning);
    broker.wait_registered();
    broker
}

/// Messages that the broker has given to consumers since its start.
fn given(broker: &Broker) -> Option<i64> {
    let (_, body) = wire::call(&broker.addr, 28, json!({}), &[])?;
    let info: Value = serde_json::from_slice(&body).ok()?;
    info["table"]["msgGetTotalTodayNow"].as_str()?.parse().ok()
}

fn pair([of_master, of_slave]: [Kind; 2]) {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let master = member(&scene, of_master, "broker-a", &namesrv.addr, &[]);
    // A Java slave copies topics once a minute: consumers it sends to meanwhile ask again.
    wire::make_topic(&master.addr, TOPIC, 1);
    let own = ["brokerName=broker-a", "brokerId=1", "brokerRole=SLAVE"];
    let slave = member(&scene, of_slave, "slave", &namesrv.addr, &own);
    let mut driver = Driver::start(&scene, Client::Java5, &namesrv.addr);
    driver.run("producer p group=producers timeout=20000");
    driver.run(&format!("send p topic={TOPIC} mode=sync count={COUNT} prefix=a"));
    wait_until("all of it at the slave", LIMIT, || wire::is_followed(&master.addr).then_some(()));
    wait_until("the topic at the slave", LIMIT, || {
        let fields = json!({ "topic": TOPIC, "queueId": "0" });
        let (header, _) = wire::call(&slave.addr, 30, fields, &[])?;
        (header["extFields"]["offset"].as_str()?.parse() == Ok(COUNT)).then_some(())
    });

    let given = |broker| wait_until("an answer", LIMIT, || given(broker));
    let before = [given(&master), given(&slave)];
    driver.run(&format!("consumer c group=readers topic={TOPIC} kind=orderly poll=1000"));
    driver.wait_got("c", COUNT as usize);
    let by_master = given(&master) - before[0];
    let by_slave = given(&slave) - before[1];
    // It asks the master first, and is told. On a busy machine it may have to ask twice.
    let told = format!("{by_master} by the master, {by_slave} by the slave");
    assert!((1..=COUNT / 10).contains(&by_master) && by_master + by_slave >= COUNT, "{told}");

    // A pull that ends empty sends the consumer back. A slave of Skua's ends it at once, one of Java's
    // after the fifteen seconds that clients ask for, at its next look each five; with messages more
    // often none ever ends empty there. So it is with two of Java's brokers, too.
    let apart = Duration::from_secs(if of_slave == Kind::Java { 22 } else { 0 });
    let mut sent = COUNT;
    wait_until("a message from the master again", LIMIT, || {
        std::thread::sleep(apart);
        driver.run(&format!("send p topic={TOPIC} mode=sync count=1 prefix=b{sent}"));
        sent += 1;
        driver.wait_got("c", sent as usize);
        (given(&master) - before[0] > by_master).then_some(())
    });
    check::each_once(&driver.sent(TOPIC), &driver.got("c"));
    check::in_order(&driver.got("c"));
}

#[test]
fn a_slow_master_sends_to_its_slave() {
    pair([Kind::Skua, Kind::Skua]);
}

#[test]
fn a_slow_java_master_sends_to_a_skua_slave() {
    pair([Kind::Java, Kind::Skua]);
}

/// A slave that is fast enough gives the consumer back to its master at once; both give messages.
#[test]
fn a_slave_that_has_all_in_memory_sends_back_to_the_master() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let master = member(&scene, Kind::Skua, "broker-a", &namesrv.addr, &[]);
    wire::make_topic(&master.addr, TOPIC, 1);
    let own = [
        "brokerName=broker-a",
        "brokerId=1",
        "brokerRole=SLAVE",
        "accessMessageInMemoryMaxRatio=100",
    ];
    let slave = member(&scene, Kind::Skua, "slave", &namesrv.addr, &own);
    for _ in 0..COUNT {
        assert!(wire::send(&master.addr, TOPIC));
    }
    wait_until("all of it at the slave", LIMIT, || wire::is_followed(&master.addr).then_some(()));
    // What a pull of a group is answered: where to go next.
    let pull = |broker: &Broker| {
        let fields = json!({
            "consumerGroup": "readers", "topic": TOPIC, "queueId": "0", "queueOffset": "0",
            "maxMsgNums": "32", "sysFlag": "4", "commitOffset": "0", "suspendTimeoutMillis": "0",
            "subscription": "*", "subVersion": "0", "expressionType": "TAG",
        });
        let (header, _) = wire::call(&broker.addr, 11, fields, &[])?;
        (header["code"] == 0).then(|| header["extFields"]["suggestWhichBrokerId"].clone())
    };
    wait_until("a pull at the slave", LIMIT, || pull(&slave));
    assert_eq!([pull(&master), pull(&slave)], [Some(json!("1")), Some(json!("0"))]);
}

#[test]
fn a_slow_master_sends_to_a_java_slave() {
    pair([Kind::Skua, Kind::Java]);
}
