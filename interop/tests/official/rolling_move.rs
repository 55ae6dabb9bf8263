//! A running cluster of two Java masters and two Java slaves becomes one of Skua, a broker at a
//! time, under a producer and a consumer that notice nothing.

use std::time::Duration;

use serde_json::json;
use skua_interop::{Broker, Client, Driver, Kind, Namesrv, Scene, Tuning, check, wait_until, wire};

const LIMIT: Duration = Duration::from_secs(180);
const TOPIC: &str = "moved";

fn member(scene: &Scene, folder: &str, namesrv: &str, own: &[&'static str]) -> Broker {
    let mut settings = vec![
        "mappedFileSizeCommitLog=4194304",
        "slaveReadEnable=true",
        "brokerIP2=127.0.0.1",
        // A JVM that has just started is slow for a while.
        "waitTimeMillsInSendQueue=20000",
    ];
    settings.extend(own);
    let tuning = Tuning { settings, java_options: None };
    Broker::start_tuned(scene, Kind::Java, folder, namesrv, tuning)
}

fn wait_followed(master: &Broker) {
    wait_until("the slave at its master", LIMIT, || wire::is_followed(&master.addr).then_some(()));
}

/// How many messages are in the first queue (30).
fn stored(broker: &Broker) -> Option<i64> {
    let fields = json!({ "topic": TOPIC, "queueId": "0" });
    let (header, _) = wire::call(&broker.addr, 30, fields, &[])?;
    header["extFields"]["offset"].as_str()?.parse().ok()
}

#[test]
fn a_cluster_moves_from_java_to_skua_one_broker_at_a_time() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Java);
    let names = ["broker-a", "broker-b"];
    let mut masters = names.map(|name| member(&scene, name, &namesrv.addr, &[]));
    let mut slaves = [("slave-a", "brokerName=broker-a"), ("slave-b", "brokerName=broker-b")].map(
        |(folder, name)| {
            let own = [name, "brokerId=1", "brokerRole=SLAVE"];
            member(&scene, folder, &namesrv.addr, &own)
        },
    );
    masters.iter_mut().chain(&mut slaves).for_each(Broker::wait_registered);
    for master in &masters {
        wait_until("the topic", LIMIT, || wire::send(&master.addr, TOPIC).then_some(()));
        wait_followed(master);
    }

    let mut driver = Driver::start(&scene, Client::Java5, &namesrv.addr);
    // Routes are looked up each second, not twice a minute: the move need not wait as long.
    driver.run("producer p group=producers timeout=20000 poll=1000");
    driver.run(&format!("consumer c group=readers topic={TOPIC} kind=concurrent poll=1000"));
    driver.run(&format!("flood p topic={TOPIC} prefix=m threads=2 pause=5 size=500"));
    let wait_sent = |driver: &Driver, after: &str| {
        let before = driver.told("sent").len();
        driver.wait(&format!("sends {after}"), |events| {
            events.iter().filter(|e| e.word == "sent").count() >= before + 200
        });
    };
    wait_sent(&driver, "to Java");
    for (master, slave) in masters.iter_mut().zip(&mut slaves) {
        slave.stop();
        slave.start_again(Kind::Skua);
        wait_followed(master);
        wait_sent(&driver, "to a Java master with a Skua slave");
        master.stop();
        wait_sent(&driver, "to the other master");
        master.start_again(Kind::Skua);
        wait_followed(master);
        // Only when clients have found it again the next one may go.
        let before = stored(master);
        wait_until("sends to the new master", LIMIT, || {
            (stored(master)? > before? + 50).then_some(())
        });
    }
    driver.run("halt p");
    let lost = driver.told("lost");
    assert!(lost.is_empty(), "{} sends failed: {:?}", lost.len(), lost.first());
    let sent = driver.sent(TOPIC);
    wait_until("everything at the consumer", LIMIT, || {
        check::has_all(&sent, &driver.got("c")).then_some(())
    });
    for (master, slave) in masters.iter().zip(&slaves) {
        wait_until("the same log at master and slave", LIMIT, || {
            let log = master.log();
            (!log.is_empty() && log == slave.log()).then_some(())
        });
    }
    eprintln!("{} acknowledged, none failed, {} deliveries", sent.len(), driver.got("c").len());
}
