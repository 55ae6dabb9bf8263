//! A master and a slave whose clocks are hours apart: nothing is lost by that, also not when the
//! slave takes the master's place.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use skua_interop::{Broker, Kind, Namesrv, Place, Scene, Tuning, wait_until, wire};

const LIMIT: Duration = Duration::from_secs(60);
const OK: i64 = 0;
const HOURS: i64 = 2 * 3_600_000;
const QUEUE: &str = "codes";

fn settings(own: &[&'static str]) -> Tuning {
    let mut settings =
        vec!["mappedFileSizeCommitLog=65536", "brokerIP2=127.0.0.1", "haSendHeartbeatInterval=500"];
    settings.extend(own);
    Tuning { settings, java_options: None }
}

/// How many messages the queue that sends go to has.
fn stored(broker: &Broker, topic: &str) -> Option<i64> {
    let fields = json!({ "topic": topic, "queueId": "0" });
    let (header, _) = wire::call(&broker.addr, 30, fields, &[])?;
    header["extFields"]["offset"].as_str()?.parse().ok()
}

/// When the last message that the broker has there was stored, by the clock of who stored it.
fn stored_at(broker: &Broker, topic: &str, offset: i64) -> Option<i64> {
    let fields = json!({
        "consumerGroup": "TOOLS_CONSUMER", "topic": topic, "queueId": "0",
        "queueOffset": offset.to_string(), "maxMsgNums": "1", "sysFlag": "4",
        "commitOffset": "0", "suspendTimeoutMillis": "0", "subscription": "*",
        "subVersion": "0", "expressionType": "TAG",
    });
    let (header, body) = wire::call(&broker.addr, 11, fields, &[])?;
    // Behind its born host, which is an IPv4 address.
    (header["code"] == 0).then(|| i64::from_be_bytes(body[56..64].try_into().expect("8 bytes")))
}

fn wait_followed(master: &Broker) {
    wait_until("the slave", LIMIT, || wire::is_followed(&master.addr).then_some(()));
}

fn send_all(master: &Broker, count: usize) {
    let body = vec![b'x'; 2000];
    (0..count).for_each(|_| assert_eq!(wire::send_body(&master.addr, &body), OK));
}

fn apart(ahead_ms: i64) {
    let scene = Scene::new();
    let Some(place) = Place::with_clock(scene.path(), ahead_ms) else { return };
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let own = settings(&["brokerRole=SYNC_MASTER"]);
    let mut master = Broker::start_tuned(&scene, Kind::Skua, "broker-a", &namesrv.addr, own);
    master.wait_registered();
    let own = settings(&["brokerName=broker-a", "brokerId=1", "brokerRole=SLAVE"]);
    let mut slave = Broker::start_at(&scene, Kind::Skua, "slave", &namesrv.addr, own, place);
    slave.wait_registered();
    wait_followed(&master);
    // Over the ends of some files.
    send_all(&master, 100);
    // What waits is the master's to deliver, by the master's clock.
    let send = |properties: &str| {
        let fields = json!({
            "a": "interop", "b": "later", "c": "TBW102", "d": "1", "e": "0", "f": "0",
            "g": "1700000000000", "h": "0", "i": properties, "j": "0", "k": "false", "l": "0",
            "m": "false",
        });
        let (header, _) = wire::call(&master.addr, 310, fields, b"later").expect("an answer");
        assert_eq!(header["code"], OK, "{header}");
    };
    send("DELAY\u{1}1\u{2}");
    send("TIMER_DELAY_SEC\u{1}1\u{2}");
    wait_until("what has waited", LIMIT, || (stored(&master, "later") == Some(2)).then_some(()));
    slave.crash();
    wait_followed(&master);
    send_all(&master, 20);
    // The lag is the link's, not the clocks'.
    let lag = wait_until("the lag in milliseconds", LIMIT, || {
        let (_, page) = wire::http(&master.addr, "/metrics")?;
        let line = page.lines().find(|line| {
            line.starts_with("skua_replication_lag_milliseconds") && !line.starts_with('#')
        })?;
        line.rsplit(' ').next()?.parse::<f64>().ok()
    });
    assert!((0.0..60_000.0).contains(&lag), "{lag}");
    let (_, status) = wire::call(&master.addr, 907, json!({}), &[]).expect("an answer");
    let status: Value = serde_json::from_slice(&status).expect("JSON");
    assert_eq!(status["inSyncSlaveNums"], 1, "{status}");

    master.process.kill();
    fs::remove_dir_all(master.store()).expect("the master's store");
    slave.stop();
    slave.set(&["brokerRole=ASYNC_MASTER", "brokerId=0"]);
    slave.start_again(Kind::Skua);
    assert_eq!(stored(&slave, QUEUE), Some(120));
    // What the master delivered right before its end comes again if the slave had not heard of it.
    let later = stored(&slave, "later").expect("they are there");
    assert!((2..=4).contains(&later), "{later}");
    // Its own clock from here on, but never behind what is in its log.
    send_all(&slave, 30);
    let [before, after] = [119, 149]
        .map(|offset| wait_until("a message", LIMIT, || stored_at(&slave, QUEUE, offset)));
    assert!(
        (after - before - ahead_ms.max(0)).abs() < 600_000 && after >= before,
        "{before}, then {after}"
    );
    for round in 1..=2 {
        slave.crash();
        assert_eq!(stored(&slave, QUEUE), Some(120 + 30 * round), "all of it after a kill");
        assert!(stored(&slave, "later") >= Some(later));
        assert!(stored_at(&slave, QUEUE, 0).is_some());
        send_all(&slave, 30);
    }
}

#[test]
fn a_slave_whose_clock_is_ahead_loses_nothing() {
    apart(HOURS);
}

#[test]
fn a_slave_whose_clock_is_behind_loses_nothing() {
    apart(-HOURS);
}
