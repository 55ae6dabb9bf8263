//! What waits at a master that loses its role: delay levels, timers, half messages, messages that
//! consumers gave back or popped. The slave, or the member of a group, that takes its place delivers
//! them. And the tables that a slave needs for that, which follow the master's.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skua_interop::{
    Broker, Client, Driver, Event, Kind, Namesrv, Scene, Tuning, check, skua, wait_until, wire,
};

use super::raft::Group;

const LIMIT: Duration = Duration::from_secs(120);
/// Milliseconds that messages wait: far more than the role takes to change hands.
const WAITS_MS: i64 = 15_000;
const SETTINGS: [&str; 4] = [
    "messageDelayLevel=1s 5s 15s 30s",
    "transactionTimeOut=1000",
    "transactionCheckInterval=1000",
    "transactionCheckMax=1000",
];
/// Later than this is too late even on a busy machine.
const LATE_MS: i64 = 30_000;
const GAP: Duration = Duration::from_secs(5);

/// One queue's brokers, of which one is the master.
trait Brokers {
    fn scene(&self) -> &Scene;
    fn namesrv(&self) -> &str;
    fn master(&self) -> &str;
    /// What is acknowledged is where the next master will be.
    fn is_copied(&self) -> bool;
}

struct Pair {
    scene: Scene,
    namesrv: Namesrv,
    master: Broker,
    slave: Broker,
}

impl Pair {
    fn start() -> Self {
        let scene = Scene::new();
        let namesrv = Namesrv::start(&scene, Kind::Skua);
        let member = |folder: &str, own: &[&'static str]| {
            let mut settings = vec!["brokerIP2=127.0.0.1", "mappedFileSizeCommitLog=1048576"];
            settings.extend(SETTINGS);
            settings.extend(own);
            let tuning = Tuning { settings, java_options: None };
            let mut broker = Broker::start_tuned(&scene, Kind::Skua, folder, &namesrv.addr, tuning);
            broker.wait_registered();
            broker
        };
        let master = member("broker-a", &["brokerRole=SYNC_MASTER"]);
        let slave = member("slave", &["brokerName=broker-a", "brokerId=1", "brokerRole=SLAVE"]);
        wait_until("the slave", LIMIT, || wire::is_followed(&master.addr).then_some(()));
        Self { scene, namesrv, master, slave }
    }

    /// The master is gone with its disk; an operator makes the slave the master.
    fn lose_master(&mut self) {
        self.master.process.kill();
        fs::remove_dir_all(self.master.store()).expect("the master's store");
        self.slave.stop();
        self.slave.set(&["brokerRole=ASYNC_MASTER", "brokerId=0"]);
        self.slave.start_again(Kind::Skua);
    }

    /// One command moves the role, and moves it back.
    fn switch_there_and_back(&mut self) {
        for to in [&self.slave, &self.master] {
            let mut command = skua();
            command.args(["cluster", "switch", "-b", "broker-a", "-n", &self.namesrv.addr]);
            let output = command.output().expect("skua runs");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
            wait_until("its slave", LIMIT, || wire::is_followed(&to.addr).then_some(()));
        }
    }
}

impl Brokers for Pair {
    fn scene(&self) -> &Scene {
        &self.scene
    }

    fn namesrv(&self) -> &str {
        &self.namesrv.addr
    }

    fn master(&self) -> &str {
        &self.master.addr
    }

    fn is_copied(&self) -> bool {
        wire::is_followed(&self.master.addr)
    }
}

impl Brokers for Group {
    fn scene(&self) -> &Scene {
        &self.scene
    }

    fn namesrv(&self) -> &str {
        &self.namesrv.addr
    }

    fn master(&self) -> &str {
        &self.nodes[self.wait_leader()].addr
    }

    fn is_copied(&self) -> bool {
        true
    }
}

/// The leader is gone with its disk.
fn lose_leader(group: &mut Group) {
    let leader = group.wait_leader();
    group.nodes[leader].process.kill();
    fs::remove_dir_all(group.nodes[leader].dir.join("store")).expect("the leader's store");
    let next =
        wait_until("another leader", LIMIT, || group.leader().filter(|next| *next != leader));
    group.wait_master(next);
}

/// The lead is moved on at a word, and back.
fn lead_there_and_back(group: &mut Group) {
    let leader = group.wait_leader();
    for to in [(leader + 1) % 3, leader] {
        group.change(&["transfer", &format!("n{to}")]);
        group.wait_master(to);
    }
}

fn mqadmin(arguments: &[&str]) {
    let output = skua().arg("mqadmin").args(arguments).output().expect("skua runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
}

/// Of these, what begins with this.
fn with(events: Vec<Event>, prefix: &str) -> Vec<Event> {
    events.into_iter().filter(|event| event.get("body").starts_with(prefix)).collect()
}

fn what_waits_is_delivered<B: Brokers>(mut brokers: B, change: fn(&mut B)) {
    let namesrv = brokers.namesrv().to_owned();
    for topic in ["waiting", "again", "popped"] {
        mqadmin(&["updateTopic", "-n", &namesrv, "-c", "DefaultCluster", "-t", topic]);
    }
    let mode = ["setConsumeMode", "-n", &namesrv, "-b", brokers.master(), "-m", "POP", "-q", "0"];
    mqadmin(&[&mode[..], &["-t", "popped", "-g", "popping"]].concat());
    let mut driver = Driver::start(brokers.scene(), Client::Java5, &namesrv);
    driver.run("producer p group=producers timeout=20000 poll=1000");
    driver.run("consumer c group=readers topic=waiting kind=concurrent poll=1000");
    // Each message is refused once, and comes again when its time is over.
    driver.run("consumer a group=backs topic=again kind=concurrent fail=1 delay=3 poll=1000");
    driver.run("consumer q group=popping topic=popped kind=pop fail=1 delay=1 poll=1000");
    driver.run("transactor t group=halves answer=unknown");
    for topic in ["again", "popped"] {
        driver.run(&format!("send p topic={topic} mode=sync count=8 prefix={topic} tags=A"));
    }
    driver.run("transact t topic=waiting count=8 prefix=half local=unknown");
    // To the end: what is acknowledged is at the slave, with whatever was written before.
    driver.wait("all of them refused", |events| {
        events.iter().filter(|event| event.word == "refused").count() >= 16
    });
    driver.run(&format!(
        "send p topic=waiting mode=sync count=8 prefix=level tags=A delay=3 due={WAITS_MS}"
    ));
    let timer = format!("timer=delay:{WAITS_MS}");
    driver.run(&format!("send p topic=waiting mode=sync count=8 prefix=timer tags=A {timer}"));
    let began = Instant::now();
    // What consumers sent back, or said of what they popped, is not waited for: a second.
    wait_until("the others to have all", LIMIT, || {
        (brokers.is_copied() && began.elapsed() > Duration::from_secs(1)).then_some(())
    });
    change(&mut brokers);
    assert!(driver.got("c").is_empty(), "all of it still waits: the machine is too busy");

    // Committed only now: the new master asks whom it knows, and a client makes itself known to
    // those that it sends to.
    driver.run("transactor u group=halves answer=commit");
    driver.run("answer t answer=commit");
    driver.run("transact u topic=waiting count=1 prefix=half-own local=commit");
    driver.wait_got("c", 25);
    driver.wait_got("a", 8);
    driver.wait_got("q", 8);
    let (sent, got) = (driver.sent("waiting"), driver.got("c"));
    let halves = driver.told("half");
    check::each_once(&halves, &with(got.clone(), "half"));
    for (prefix, delay) in [("level", "levels"), ("timer", "timers")] {
        let got = with(got.clone(), prefix);
        check::each_once(&with(sent.clone(), prefix), &got);
        for event in got {
            let late = event.number("stored") - event.number("due");
            assert!((0..LATE_MS).contains(&late), "{delay}: {late} ms late: {event:?}");
        }
    }
    check::contains_all(&driver.sent("again"), &driver.got("a"));
    check::contains_all(&driver.sent("popped"), &driver.got("q"));
    // Nor are they stored twice.
    let mut scanner = Driver::start(brokers.scene(), Client::Java5, &namesrv);
    scanner.run("scan s topic=waiting");
    check::each_once(&[sent, halves].concat(), &scanner.got("s"));
}

#[test]
fn what_waits_is_delivered_by_the_slave_of_a_master_that_is_lost() {
    what_waits_is_delivered(Pair::start(), Pair::lose_master);
}

#[test]
fn what_waits_is_delivered_when_the_role_is_moved_there_and_back() {
    what_waits_is_delivered(Pair::start(), Pair::switch_there_and_back);
}

#[test]
fn what_waits_is_delivered_by_the_next_leader_of_a_group() {
    what_waits_is_delivered(Group::start(3, &SETTINGS.join("\n")), lose_leader);
}

#[test]
fn what_waits_is_delivered_when_the_lead_of_a_group_is_moved_there_and_back() {
    what_waits_is_delivered(Group::start(3, &SETTINGS.join("\n")), lead_there_and_back);
}

/// What this request for a whole table gives, without what is a broker's own.
fn table(broker: &Broker, code: i32) -> Option<Value> {
    let (header, body) = wire::call(&broker.addr, code, json!({}), &[])?;
    (header["code"] == 0 && !body.is_empty()).then_some(())?;
    let text = String::from_utf8_lossy(&body);
    serde_json::from_str(&text).ok().or_else(|| Some(text.into_owned().into()))
}

/// How long until both give the same, which holds this.
fn follows(pair: &Pair, code: i32, part: &str, holds: &str) -> Duration {
    let began = Instant::now();
    wait_until(&format!("{holds} in table {code} of both"), GAP, || {
        let tables = [&pair.master, &pair.slave].map(|broker| table(broker, code));
        let [Some(master), Some(slave)] = tables else { return None };
        let (master, slave) = match part {
            "" => (&master, &slave),
            part => (&master[part], &slave[part]),
        };
        (master.to_string().contains(holds) && master == slave).then_some(())
    });
    began.elapsed()
}

#[test]
fn the_tables_of_a_slave_are_its_master_s_within_a_moment() {
    const TOPICS: i32 = 21;
    const GROUPS: i32 = 201;
    const OFFSETS: i32 = 43;
    const DELAYS: i32 = 45;
    const MODES: i32 = 402;
    const TIMER: i32 = 61;
    let pair = Pair::start();
    let (namesrv, master) = (&pair.namesrv.addr, &pair.master.addr);
    let mut took = Vec::new();
    for n in 0..3 {
        let (topic, group) = (format!("Topic{n}"), format!("Group{n}"));
        mqadmin(&["updateTopic", "-n", namesrv, "-b", master, "-t", &topic, "-r", "3", "-w", "3"]);
        took.push(("topics", follows(&pair, TOPICS, "topicConfigTable", &topic)));
        mqadmin(&["updateSubGroup", "-n", namesrv, "-b", master, "-g", &group, "-r", "3"]);
        took.push(("groups", follows(&pair, GROUPS, "subscriptionGroupTable", &group)));
        assert_eq!(wire::send_code(master), 0);
        let fields = json!({
            "consumerGroup": group, "topic": topic, "queueId": "1", "commitOffset": "0",
        });
        assert_eq!(wire::call(master, 15, fields, &[]).expect("an answer").0["code"], 0);
        let key = format!("{topic}@{group}");
        took.push(("offsets", follows(&pair, OFFSETS, "offsetTable", &key)));
        let mode = ["setConsumeMode", "-n", namesrv, "-b", master, "-m", "POP", "-q", "0"];
        mqadmin(&[&mode[..], &["-t", &topic, "-g", &group]].concat());
        took.push(("modes", follows(&pair, MODES, "", &group)));

        let send = |properties: &str| {
            let fields = json!({
                "a": "interop", "b": topic, "c": "TBW102", "d": "4", "e": "0", "f": "0",
                "g": "1700000000000", "h": "0", "i": properties, "j": "0", "k": "false",
                "l": "0", "m": "false",
            });
            let (header, _) = wire::call(master, 310, fields, b"later").expect("an answer");
            assert_eq!(header["code"], 0, "{header}");
        };
        send("DELAY\u{1}1\u{2}");
        wait_until("the delivery of the delayed message", LIMIT, || {
            (table(&pair.master, DELAYS)?["offsetTable"]["1"] == n + 1).then_some(())
        });
        took.push(("delays", follows(&pair, DELAYS, "offsetTable", "1")));
        send("TIMER_DELAY_SEC\u{1}3600\u{2}");
        took.push(("timer", follows(&pair, TIMER, "timingCount", &topic)));
    }
    println!("{took:.2?}");
    let mut times: Vec<_> = took.iter().map(|took| took.1).collect();
    times.sort();
    assert!(times[times.len() / 2] < Duration::from_secs(1), "{took:.2?}");
}
