//! A master, its slave and two name servers, each in a network namespace of its own, under load
//! while the network between them fails in every way that it can.
//! `HOLD_MS=n` lets each fault last that long (150000: until name servers give a broker up).

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::json;
use skua_interop::{
    Broker, Client, Driver, Kind, Namesrv, Net, Node, Scene, Tuning, check, wait_until, wire,
};

const LIMIT: Duration = Duration::from_secs(180);
const PRODUCERS: usize = 4;
const QUEUES: i32 = 4;
const TOPIC: &str = "network";
const GROUP: &str = "readers";

fn hold_ms() -> u64 {
    let given = std::env::var("HOLD_MS").ok().and_then(|text| text.parse().ok());
    given.unwrap_or(700)
}

fn hold() {
    thread::sleep(Duration::from_millis(hold_ms()));
}

/// Milliseconds between two sends of a producer: a long run is to be long, not large.
fn pause_ms() -> u64 {
    (hold_ms() / 10_000).clamp(1, 20)
}

/// A setting that is not known before the test runs; tests end with their process.
fn setting(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn is_followed(master: &Broker) -> bool {
    wire::is_followed(&master.addr)
}

/// What fails, and how it is done and mended.
type Fault = (&'static str, fn(&Field));

struct Field {
    master: Broker,
    slave: Broker,
    master_node: Node,
    slave_node: Node,
    name_nodes: Vec<Node>,
    namesrvs: Vec<Namesrv>,
    scene: Scene,
    _net: Net,
}

impl Field {
    fn start(mut net: Net, role: &'static str) -> Self {
        let scene = Scene::new();
        let name_nodes = vec![net.node(), net.node()];
        let named = |(n, node): (usize, &Node)| {
            Namesrv::start_at(&scene, Kind::Skua, &format!("namesrv-{n}"), &node.place())
        };
        let namesrvs: Vec<_> = name_nodes.iter().enumerate().map(named).collect();
        let all = all(&namesrvs);
        let member = |node: &Node, name: &str, own: &[&'static str]| {
            let mut settings = vec![
                "mappedFileSizeCommitLog=4194304",
                "slaveReadEnable=true",
                "haSendHeartbeatInterval=300",
                "haHousekeepingInterval=2000",
                setting(format!("brokerIP2={}", node.ip)),
                setting(format!("defaultTopicQueueNums={QUEUES}")),
            ];
            settings.extend(own);
            let tuning = Tuning { settings, java_options: None };
            let mut broker = Broker::start_at(&scene, Kind::Skua, name, &all, tuning, node.place());
            broker.wait_registered();
            broker
        };
        let (master_node, slave_node) = (net.node(), net.node());
        let master = member(&master_node, "broker-a", &[role, "slaveTimeout=600"]);
        let as_slave = ["brokerName=broker-a", "brokerId=1", "brokerRole=SLAVE"];
        let slave = member(&slave_node, "slave", &as_slave);
        wait_until("the slave", LIMIT, || is_followed(&master).then_some(()));
        Self { master, slave, master_node, slave_node, name_nodes, namesrvs, scene, _net: net }
    }

    fn name_ips(&self) -> Vec<Ipv4Addr> {
        self.name_nodes.iter().map(|node| node.ip).collect()
    }

    /// Each lasts for a while and is mended.
    fn faults() -> [Fault; 10] {
        [
            ("what the master sends to the slave is lost", |field| {
                field.master_node.lose(field.slave_node.ip);
                hold();
                field.master_node.find(field.slave_node.ip);
            }),
            ("what the slave sends to the master is lost", |field| {
                field.slave_node.lose(field.master_node.ip);
                hold();
                field.slave_node.find(field.master_node.ip);
            }),
            ("lost in both directions", |field| {
                field.master_node.lose(field.slave_node.ip);
                field.slave_node.lose(field.master_node.ip);
                hold();
                field.master_node.find(field.slave_node.ip);
                field.slave_node.find(field.master_node.ip);
            }),
            ("the slave has no route to its master", |field| {
                field.slave_node.unroute(field.master_node.ip);
                hold();
                field.slave_node.route(field.master_node.ip);
            }),
            ("the slave's cable is out", |field| {
                field.slave_node.unplug();
                hold();
                field.slave_node.plug();
            }),
            ("a narrow link", |field| {
                field.master_node.narrow("4mbit");
                field.slave_node.narrow("1mbit");
                hold();
                field.master_node.widen();
                field.slave_node.widen();
            }),
            ("connections are reset", |field| {
                for _ in 0..5 {
                    field.master_node.reset(field.slave_node.ip);
                    thread::sleep(Duration::from_millis(150));
                }
            }),
            ("the slave is cut from the name servers", |field| {
                field.cut_from_names(&field.slave_node);
            }),
            ("the master is cut from the name servers", |field| {
                field.cut_from_names(&field.master_node);
            }),
            ("the master stands still", |field| {
                field.master.process.freeze();
                hold();
                field.master.process.thaw();
            }),
        ]
    }

    fn cut_from_names(&self, node: &Node) {
        self.name_ips().into_iter().for_each(|ip| node.lose(ip));
        self.name_nodes.iter().for_each(|name| name.lose(node.ip));
        hold();
        self.name_ips().into_iter().for_each(|ip| node.find(ip));
        self.name_nodes.iter().for_each(|name| name.find(node.ip));
    }
}

fn all(namesrvs: &[Namesrv]) -> String {
    namesrvs.iter().map(|namesrv| namesrv.addr.clone()).collect::<Vec<_>>().join(";")
}

/// Asks both brokers again and again how far the group is: an answer that lies before an earlier
/// one of the same broker is told at the end.
struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<String>>,
}

impl Watch {
    fn start(brokers: [String; 2]) -> Self {
        let over = Arc::<AtomicBool>::default();
        let asked = over.clone();
        let thread = thread::spawn(move || {
            let (mut last, mut wrong) = (BTreeMap::new(), Vec::new());
            while !asked.load(Ordering::SeqCst) {
                for (broker, queue) in brokers.iter().flat_map(|b| (0..QUEUES).map(move |q| (b, q)))
                {
                    let Some(offset) = committed(broker, queue) else { continue };
                    let before = last.insert((broker.clone(), queue), offset).unwrap_or(0);
                    if offset < before {
                        wrong.push(format!("{broker} queue {queue}: {offset} after {before}"));
                    }
                }
                thread::sleep(Duration::from_millis(50));
            }
            assert!(!last.is_empty(), "offsets were committed");
            wrong
        });
        Self { over, thread }
    }

    fn finish(self) {
        self.over.store(true, Ordering::SeqCst);
        let wrong = self.thread.join().expect("it ends");
        assert!(wrong.is_empty(), "offsets went back: {wrong:?}");
    }
}

fn committed(broker: &str, queue: i32) -> Option<i64> {
    let fields = json!({
        "consumerGroup": GROUP, "topic": TOPIC, "queueId": queue.to_string(),
    });
    let (header, _) = wire::call(broker, 14, fields, &[])?;
    header["extFields"]["offset"].as_str()?.parse().ok()
}

fn run(role: &'static str, is_double: bool) {
    let Some(net) = Net::start() else { return };
    let mut field = Field::start(net, role);
    let all = all(&field.namesrvs);
    let mut driver = Driver::start(&field.scene, Client::Java5, &all);
    wait_until("the topic", LIMIT, || wire::send(&field.master.addr, TOPIC).then_some(()));
    driver.run(&format!("consumer c group={GROUP} topic={TOPIC} kind=orderly"));
    for n in 0..PRODUCERS {
        driver.run(&format!("producer p{n} group=producers{n} timeout=3000 retries=0"));
        driver.run(&format!(
            "flood p{n} topic={TOPIC} prefix=p{n} threads=1 size=300 pause={}",
            pause_ms()
        ));
    }
    driver.wait_got("c", 10);
    let watch = Watch::start([field.master.addr.clone(), field.slave.addr.clone()]);
    let wait_sent = |driver: &Driver, after: &str| {
        let before = driver.counted("sent");
        let what = format!("sends {after}");
        wait_until(&what, LIMIT, || (driver.counted("sent") >= before + 100).then_some(()));
    };
    for (what, fault) in Field::faults() {
        let before = driver.counted("sent");
        fault(&field);
        let during = driver.counted("sent") - before;
        eprintln!("{what}: {during} acknowledged meanwhile");
        wait_sent(&driver, &format!("after: {what}"));
    }
    let halt = |driver: &mut Driver| {
        (0..PRODUCERS).for_each(|n| driver.run(&format!("halt p{n}")));
    };
    if is_double {
        // All that is answered until then must be at the slave, and is all there is.
        field.master.process.kill();
        fs::remove_dir_all(field.master.store()).expect("the master's store");
        halt(&mut driver);
    } else {
        halt(&mut driver);
        let sent = driver.sent(TOPIC).len();
        wait_until("everything at the consumer", LIMIT, || {
            // The cheap look first: what comes twice makes more of it, never less.
            let all = driver.counted("got") > sent;
            (all && check::first_deliveries(&driver.got("c")).len() > sent).then_some(())
        });
        wait_until("the slave to have all", LIMIT, || is_followed(&field.master).then_some(()));
        field.master.process.kill();
    }
    watch.finish();
    field.slave.stop();
    field.slave.set(&["brokerRole=ASYNC_MASTER", "brokerId=0"]);
    field.slave.start_again(Kind::Skua);
    let sent = driver.sent(TOPIC);
    check::in_order_of_sends(&sent);
    check::in_order(&check::first_deliveries(&driver.got("c")));
    let mut scanner = Driver::start(&field.scene, Client::Java5, &all);
    scanner.run(&format!("scan s topic={TOPIC}"));
    let got = scanner.got("s");
    check::dense(&got);
    check::at_their_offsets(&sent, &got);
    eprintln!("{} acknowledged, {} stored", sent.len(), got.len());
}

#[test]
fn what_was_written_twice_survives_a_bad_network_and_then_the_loss_of_the_master() {
    run("brokerRole=SYNC_MASTER", true);
}

#[test]
fn an_asynchronous_slave_catches_up_over_a_bad_network() {
    run("brokerRole=ASYNC_MASTER", false);
}
