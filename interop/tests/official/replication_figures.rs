//! Figures of replication, printed, for Skua and for Java; they need a quiet machine, so nothing is
//! measured unless asked for:
//!
//! - `RATES_SECONDS=10`: sends a second with 1, 16 and 64 under way, asynchronous and double
//!   writing, the link as it is and with 2 ms each way. Needs network namespaces.
//! - `TAKEOVER_RUNS=5`: from `kill -9` of a master until the consumer looks for its route again, and
//!   until it has, from the slave, what was waiting for it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use skua_interop::{
    Broker, Client, Driver, Kind, Namesrv, Net, Relay, Scene, Tuning, skua, wait_until, wire,
};
use skua_seeds::number;

const LIMIT: Duration = Duration::from_secs(180);
const DELAY: Duration = Duration::from_millis(2);

/// A setting that is not known before the test runs; tests end with their process.
fn setting(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// Settings with which RocketMQ 5 writes twice, too.
fn of_role(kind: Kind, is_double: bool) -> Vec<&'static str> {
    match (kind, is_double) {
        (_, false) => vec!["brokerRole=ASYNC_MASTER"],
        (Kind::Skua, true) => vec!["brokerRole=SYNC_MASTER"],
        (Kind::Java, true) => vec!["brokerRole=SYNC_MASTER", "inSyncReplicas=2"],
    }
}

#[test]
fn rates_with_and_without_delay() {
    let Some(seconds) = number("RATES_SECONDS") else { return };
    let mut rows = BTreeMap::new();
    for kind in [Kind::Java, Kind::Skua] {
        for is_double in [false, true] {
            if !rates(kind, is_double, seconds, &mut rows) {
                println!("NOTICE: no network namespaces here: no rate was measured");
                return;
            }
        }
    }
    println!("\n| mode | delay each way | senders | Java a second | Skua a second | times |");
    println!("|---|---|---|---|---|---|");
    for ((is_double, delay, senders), of) in rows {
        let [java, skua] = of;
        let (mode, times) = (mode(is_double), skua / java);
        println!("| {mode} | {delay:?} | {senders} | {java:.0} | {skua:.0} | {times:.1} |");
    }
}

/// Sends a second, Java's and Skua's, by double writing, delay and senders.
type Rows = BTreeMap<(bool, Duration, u32), [f64; 2]>;

fn mode(is_double: bool) -> &'static str {
    if is_double { "double write" } else { "asynchronous" }
}

/// False if there can be no network of its own.
fn rates(kind: Kind, is_double: bool, seconds: u64, rows: &mut Rows) -> bool {
    let Some(mut net) = Net::start() else { return false };
    let scene = Scene::new();
    let (names, master_node, slave_node) = (net.node(), net.node(), net.node());
    let namesrv = Namesrv::start_at(&scene, Kind::Skua, "namesrv", &names.place());
    // The slave is told to come to this process, which stands between the two.
    let relay = {
        let at: SocketAddr = (net.here(), 10_912).into();
        Relay::start_at(at, (master_node.ip, 10_912).into())
    };
    let member = |node: &skua_interop::Node, folder: &str, own: Vec<&'static str>| {
        let mut settings = vec![
            setting(format!("brokerIP1={}", node.ip)),
            setting(format!("brokerIP2={}", net.here())),
            "haListenPort=10912",
            "mappedFileSizeCommitLog=268435456",
        ];
        settings.extend(own);
        let tuning = Tuning { settings, java_options: Some("-Xms1g -Xmx1g") };
        let place = node.place();
        let mut broker = Broker::start_at(&scene, kind, folder, &namesrv.addr, tuning, place);
        broker.wait_registered();
        broker
    };
    let master = member(&master_node, "broker-a", of_role(kind, is_double));
    let own = vec!["brokerName=broker-a", "brokerId=1", "brokerRole=SLAVE"];
    let _slave = member(&slave_node, "slave", own);
    wait_until("the topic", LIMIT, || wire::send(&master.addr, "Rates").then_some(()));
    wait_until("the slave", LIMIT, || wire::is_followed(&master.addr).then_some(()));
    for delay in [Duration::ZERO, DELAY] {
        relay.delay(delay);
        for senders in [1, 16, 64] {
            let mut command = skua();
            command.args(["bench", "produce", "--json", "-t", "Rates", "-b", &master.addr]);
            command.args(["-i", &senders.to_string(), "-d", &seconds.to_string()]);
            let output = command.output().expect("it runs");
            let mode = mode(is_double);
            let what = format!("{kind:?}, {mode}, {delay:?} each way, {senders} senders");
            let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            println!("{what}: {report}");
            let Some(rate) = report["messagesPerSecond"].as_f64() else {
                panic!("{what}: {}", String::from_utf8_lossy(&output.stderr));
            };
            rows.entry((is_double, delay, senders)).or_default()[usize::from(kind == Kind::Skua)] =
                rate;
        }
    }
    true
}

#[test]
fn kill_of_a_master_until_what_waits_comes_from_its_slave() {
    let Some(runs) = number("TAKEOVER_RUNS") else { return };
    let mut rows = Vec::new();
    // What clients do by themselves, and what they can be told.
    for poll_ms in [30_000, 1000] {
        for kind in [Kind::Java, Kind::Skua] {
            let taken: Vec<_> = (0..runs).map(|_| takeover(kind, poll_ms)).collect();
            let what = format!("{kind:?}, routes looked up every {poll_ms} ms");
            println!("{what}: until the look, and from then to all messages: {taken:.2?}");
            let median = |mut times: Vec<Duration>| {
                times.sort();
                times[times.len() / 2]
            };
            let (looks, rests) = taken.into_iter().unzip();
            let poll = Duration::from_millis(poll_ms);
            let (look, rest) = (median(looks), median(rests));
            rows.push(format!("| {kind:?} | {poll:?} | {look:.2?} | {rest:.2?} |"));
        }
    }
    println!("\n| broker | routes looked up every | kill to the look | look to all messages |");
    println!("|---|---|---|---|");
    rows.iter().for_each(|row| println!("{row}"));
}

/// From one look-up of the route to the kill: the same for both servers.
const KILL_AFTER_LOOK: Duration = Duration::from_secs(20);

/// From the kill until the consumer asks the name server where the topic is, which only its own
/// clock decides; and from then until it has, from the slave, what was waiting.
fn takeover(kind: Kind, poll_ms: u64) -> (Duration, Duration) {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let member = |folder: &str, own: &[&'static str]| {
        let mut settings = vec!["slaveReadEnable=true", "brokerIP2=127.0.0.1"];
        settings.extend(own);
        let tuning = Tuning { settings, java_options: None };
        let mut broker = Broker::start_tuned(&scene, kind, folder, &namesrv.addr, tuning);
        broker.wait_registered();
        broker
    };
    let mut master = member("broker-a", &of_role(kind, true));
    let slave = member("slave", &["brokerName=broker-a", "brokerId=1", "brokerRole=SLAVE"]);
    wait_until("the topic", LIMIT, || wire::send(&master.addr, "taken").then_some(()));
    wait_until("the slave", LIMIT, || wire::is_followed(&master.addr).then_some(()));
    wait_until("the topic at the slave", LIMIT, || {
        let (_, body) = wire::call(&slave.addr, 21, serde_json::json!({}), &[])?;
        String::from_utf8_lossy(&body).contains("\"taken\"").then_some(())
    });
    let mut producer = Driver::start(&scene, Client::Java5, &namesrv.addr);
    producer.run("producer p group=producers timeout=20000");
    let looks = Arc::<Mutex<Vec<Instant>>>::default();
    let heard = looks.clone();
    let relay = Relay::start_heard(namesrv.addr.parse().expect("ip:port"), move |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if text.contains("\"code\":105") && text.contains("\"topic\":\"taken\"") {
            heard.lock().expect("no panic under it").push(Instant::now());
        }
    });
    let last_look = || looks.lock().expect("no panic under it").last().copied();
    let mut consumer = Driver::start(&scene, Client::Java5, &relay.addr.to_string());
    consumer.run(&format!("consumer c group=readers topic=taken kind=concurrent poll={poll_ms}"));
    consumer.wait_got("c", 1);
    // More than the answers to the pulls under way bring: the rest is the slave's to give.
    consumer.signal("-STOP");
    let last = last_look().expect("it knows where to pull");
    producer.run("send p topic=taken mode=sync count=400 prefix=waiting");
    println!("{kind:?}: all was sent {:.2?} after the look before", last.elapsed());
    let pause = KILL_AFTER_LOOK.checked_sub(last.elapsed()).expect("a machine that is not so busy");
    thread::sleep(pause);
    master.process.kill();
    let killed = Instant::now();
    consumer.signal("-CONT");
    consumer.wait_got("c", 401);
    let all = consumer.got("c")[400].at;
    let looks = looks.lock().expect("no panic under it");
    let look = *looks.iter().find(|look| **look > killed).expect("it looked");
    (look - killed, all - look)
}
