//! Kills, freezes, and a link that stalls, is cut and is long, under the load of Java and Go clients;
//! then a look at the history: nothing acknowledged is missing, each queue is in the order of its
//! answers, no offset went back. `SEED=n` repeats a run, `KILLS=n` makes it longer: 50 and more are
//! for a soak, a few run always.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::json;
use skua_interop::{
    Broker, Client, Driver, Event, Kind, Namesrv, Relay, Scene, Tuning, check, wait_until, wire,
};
use skua_seeds::{Random, number};

/// A Java client that is told to go away and meets a closed port may forget pulls (its own callback
/// fails: the channel has no address). It begins them anew after two minutes.
const MENDED: Duration = Duration::from_secs(240);
const LIMIT: Duration = Duration::from_secs(120);
const KILLS: u64 = 2;
const TOPIC: &str = "faults";
/// Name, client and group of each consumer.
const CONSUMERS: [(&str, &str); 2] = [("java", "java-group"), ("go", "go-group")];

fn is_followed(master: &Broker) -> bool {
    wire::is_followed(&master.addr)
}

fn settings(of: &[&'static str]) -> Tuning {
    let mut settings = vec![
        "mappedFileSizeCommitLog=4194304",
        "slaveReadEnable=true",
        "flushConsumerOffsetInterval=1000",
    ];
    settings.extend(of);
    Tuning { settings, java_options: None }
}

struct Group {
    scene: Scene,
    namesrv: Namesrv,
    /// A master and its slave, or several masters.
    brokers: Vec<Broker>,
    /// The link of the slave.
    relay: Option<Relay>,
    offsets: Offsets,
    kills: u64,
    faults: u64,
}

impl Group {
    fn pair(role: &'static str, flush: &'static str) -> Self {
        let scene = Scene::new();
        let namesrv = Namesrv::start(&scene, Kind::Skua);
        let tuning = settings(&[role, flush, "slaveTimeout=1000", "haHousekeepingInterval=2000"]);
        let mut master = Broker::start_tuned(&scene, Kind::Skua, "broker-a", &namesrv.addr, tuning);
        master.wait_registered();
        let mut ha: SocketAddr = master.addr.parse().expect("ip:port");
        ha.set_port(ha.port() + 1);
        let relay = Relay::start(ha);
        // Tests end with their process.
        let through: &'static str = Box::leak(format!("haMasterAddress={}", relay.addr).into());
        let tuning = settings(&[
            flush,
            "brokerName=broker-a",
            "brokerId=1",
            "brokerRole=SLAVE",
            "haSendHeartbeatInterval=500",
            "haHousekeepingInterval=7000",
            through,
        ]);
        let mut slave = Broker::start_tuned(&scene, Kind::Skua, "slave", &namesrv.addr, tuning);
        slave.wait_registered();
        wait_until("the slave", LIMIT, || is_followed(&master).then_some(()));
        Self::of(scene, namesrv, vec![master, slave], Some(relay))
    }

    fn masters() -> Self {
        let scene = Scene::new();
        let namesrv = Namesrv::start(&scene, Kind::Skua);
        let start =
            |name| Broker::start_tuned(&scene, Kind::Skua, name, &namesrv.addr, settings(&[]));
        let mut brokers = vec![start("broker-a"), start("broker-b")];
        brokers.iter_mut().for_each(Broker::wait_registered);
        Self::of(scene, namesrv, brokers, None)
    }

    fn of(scene: Scene, namesrv: Namesrv, brokers: Vec<Broker>, relay: Option<Relay>) -> Self {
        let group = Self {
            scene,
            namesrv,
            brokers,
            relay,
            offsets: Offsets::default(),
            kills: 0,
            faults: 0,
        };
        for master in group.masters_only() {
            wait_until("the topic", LIMIT, || wire::send(&master.addr, TOPIC).then_some(()));
        }
        group
    }

    fn masters_only(&self) -> &[Broker] {
        if self.relay.is_some() { &self.brokers[..1] } else { &self.brokers }
    }

    fn fault(&mut self, random: &mut Random) {
        let pause = |random: &mut Random| thread::sleep(Duration::from_millis(random.below(1200)));
        let nth = random.below(2) as usize;
        self.faults += 1;
        match (random.below(10), &self.relay) {
            (0..6, _) => {
                self.kills += 1;
                self.offsets.killed(&self.brokers[nth]);
                self.brokers[nth].crash();
            }
            (6, Some(relay)) => {
                relay.cut();
                pause(random);
                relay.pass();
            }
            (7, Some(relay)) => {
                relay.stall();
                pause(random);
                relay.pass();
            }
            (8, Some(relay)) => relay.delay(Duration::from_millis(random.below(20))),
            _ => {
                self.brokers[nth].process.freeze();
                pause(random);
                self.brokers[nth].process.thaw();
            }
        }
    }

    /// The master dies in the midst of sends, with its disk.
    fn lose_master(&mut self) {
        self.kills += 1;
        self.brokers[0].process.kill();
        fs::remove_dir_all(self.brokers[0].store()).expect("the master's store");
    }

    /// The slave becomes the master, as operators do it.
    fn promote_slave(&mut self) {
        let slave = &mut self.brokers[1];
        slave.stop();
        let file = slave.store().with_file_name("broker.conf");
        let text = fs::read_to_string(&file).expect("its configuration");
        let text = text.replace("brokerRole=SLAVE", "brokerRole=ASYNC_MASTER");
        fs::write(&file, text.replace("brokerId=1", "brokerId=0")).expect("written");
        slave.start_again(Kind::Skua);
    }
}

/// By address of a master, group and queue: when which offset was seen.
type History = BTreeMap<(String, &'static str, i64), Vec<(Instant, i64)>>;

/// The offsets that groups have committed at masters, asked for again and again.
#[derive(Default)]
struct Offsets {
    history: Arc<Mutex<History>>,
    killed: Vec<(String, Instant)>,
    over: Arc<AtomicBool>,
    asking: Option<JoinHandle<()>>,
}

impl Offsets {
    /// `flushConsumerOffsetInterval` of these brokers is a second; and time to write on a busy
    /// machine. What a kill may take back.
    const UNSAVED: Duration = Duration::from_secs(6);

    fn watch(&mut self, masters: &[Broker]) {
        let addrs: Vec<_> = masters.iter().map(|master| master.addr.clone()).collect();
        let (over, history) = (self.over.clone(), self.history.clone());
        self.asking = Some(thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                for addr in &addrs {
                    for (group, queue) in CONSUMERS.iter().flat_map(|c| (0..4).map(|q| (c.1, q))) {
                        let Some(offset) = committed(addr, group, queue) else { break };
                        let mut history = history.lock().expect("no panic under it");
                        let seen = history.entry((addr.clone(), group, queue)).or_default();
                        seen.push((Instant::now(), offset));
                    }
                }
                thread::sleep(Duration::from_millis(200));
            }
        }));
    }

    fn killed(&mut self, broker: &Broker) {
        self.killed.push((broker.addr.clone(), Instant::now()));
    }

    /// Offsets grow; only a kill takes back what was not saved yet.
    fn check(&mut self) -> usize {
        self.over.store(true, Ordering::Relaxed);
        self.asking.take().expect("begun").join().expect("it only asks");
        let history = self.history.lock().expect("no panic under it");
        for ((addr, group, queue), seen) in &*history {
            let mut last = (seen[0].0, 0);
            for (nth, (at, offset)) in seen.iter().enumerate() {
                if *offset < last.1 {
                    let mut kills =
                        self.killed.iter().filter(|kill| kill.0 == *addr && kill.1 < *at);
                    let kill = kills.next_back().map(|kill| kill.1).unwrap_or_else(|| {
                        panic!("{group} queue {queue}: {offset} after {} without a kill", last.1)
                    });
                    // What an earlier kill took does not count.
                    let life = kills.next_back().map(|kill| kill.1).max(Some(seen[0].0));
                    let of_life = seen[..nth].iter().filter(|before| Some(before.0) >= life);
                    let saved = of_life.filter(|before| before.0 + Self::UNSAVED < kill);
                    let saved = saved.map(|before| before.1).max().unwrap_or(0);
                    assert!(
                        *offset >= saved && last.0 < kill + Self::UNSAVED,
                        "{group} queue {queue}: {offset} after {}, {saved} long before the kill",
                        last.1
                    );
                }
                last = (*at, *offset);
            }
        }
        history.values().map(Vec::len).sum()
    }
}

fn committed(addr: &str, group: &str, queue: i64) -> Option<i64> {
    let fields = json!({ "consumerGroup": group, "topic": TOPIC, "queueId": queue.to_string() });
    let (header, _) = wire::call(addr, 14, fields, &[])?;
    header["extFields"]["offset"].as_str()?.parse().ok()
}

fn run(name: &str, mut group: Group, loses_master: bool) {
    let seed = number("SEED").unwrap_or(1);
    let kills = number("KILLS").unwrap_or(KILLS);
    eprintln!("SEED={seed}");
    let mut random = Random(seed);
    let start = |client| Driver::start(&group.scene, client, &group.namesrv.addr);
    let mut senders = [start(Client::Java5), start(Client::Go)];
    let mut receivers = [start(Client::Java5), start(Client::Go)];
    for (driver, (name, group)) in receivers.iter_mut().zip(CONSUMERS) {
        let consumer = format!("group={group} topic={TOPIC} kind=concurrent poll=1000");
        driver.run(&format!("consumer {name} {consumer}"));
    }
    // In a pair there is nobody else to send to, and a repetition would hide a loss.
    let retries = if group.relay.is_some() { 0 } else { 2 };
    for (driver, prefix) in senders.iter_mut().zip(["java", "go"]) {
        driver.run(&format!("producer p group=producers timeout=3000 retries={retries} poll=1000"));
        let flood = format!("topic={TOPIC} prefix={prefix} threads=4 size=300 pause=5");
        driver.run(&format!("flood p {flood}"));
    }
    group.offsets = {
        let mut offsets = Offsets::default();
        offsets.watch(group.masters_only());
        offsets
    };
    let more = |senders: &[Driver; 2], what: &str, more: usize| {
        let before = senders.each_ref().map(|driver| driver.count("sent", "p"));
        wait_until(what, LIMIT, || {
            let now = senders.each_ref().map(|driver| driver.count("sent", "p"));
            (now[0] > before[0] + more && now[1] > before[1] + more).then_some(())
        });
    };
    while group.kills < kills {
        more(&senders, "more acknowledged to both clients", 50);
        group.fault(&mut random);
    }
    if let Some(relay) = &group.relay {
        relay.delay(Duration::ZERO);
    }
    more(&senders, "sends after the last fault", 100);
    let looks = group.offsets.check();
    if loses_master {
        group.lose_master();
    }
    senders.iter_mut().for_each(|driver| driver.run("halt p"));
    if loses_master {
        group.promote_slave();
    } else if group.relay.is_some() {
        wait_until("the slave to have all", LIMIT, || is_followed(&group.brokers[0]).then_some(()));
    }

    let sent: Vec<Event> = senders.iter().flat_map(|driver| driver.sent(TOPIC)).collect();
    check::in_order_of_answers(&sent);
    let mut scanner = Driver::start(&group.scene, Client::Java5, &group.namesrv.addr);
    scanner.run(&format!("scan s topic={TOPIC}"));
    let got = scanner.got("s");
    for broker in ["broker-a", "broker-b"] {
        let of = |events: &[Event]| -> Vec<Event> {
            events.iter().filter(|event| event.get("broker") == broker).cloned().collect()
        };
        let got = of(&got);
        check::dense(&got);
        check::at_their_offsets(&of(&sent), &got);
    }
    let different = check::first_deliveries(&got).len();
    for (driver, (name, _)) in receivers.iter().zip(CONSUMERS) {
        wait_until("a consumer to have got everything", MENDED, || {
            let all = check::first_deliveries(&driver.got(name)).len() >= different;
            all.then_some(())
        });
        check::contains_all(&sent, &driver.got(name));
    }
    let lost: usize = senders.iter().map(|driver| driver.count("lost", "p")).sum();
    let [java, go] = senders.each_ref().map(|driver| driver.count("sent", "p"));
    let (faults, kills) = (group.faults, group.kills);
    eprintln!(
        "SEED={seed} {name}: {kills} kills and {} other faults; acknowledged {java} (Java) and {go} \
         (Go), {lost} not; {} stored, read by both; {looks} looks at committed offsets",
        faults + u64::from(loses_master) - kills,
        got.len()
    );
}

#[test]
fn what_was_written_twice_survives_the_loss_of_the_master_after_faults() {
    let group = Group::pair("brokerRole=SYNC_MASTER", "flushDiskType=ASYNC_FLUSH");
    run("double write", group, true);
}

#[test]
fn what_two_brokers_have_on_disk_survives_the_loss_of_the_master_after_faults() {
    let group = Group::pair("brokerRole=SYNC_MASTER", "flushDiskType=SYNC_FLUSH");
    run("double write, SYNC_FLUSH", group, true);
}

#[test]
fn an_asynchronous_slave_catches_up_after_faults() {
    let group = Group::pair("brokerRole=ASYNC_MASTER", "flushDiskType=ASYNC_FLUSH");
    run("asynchronous", group, false);
}

#[test]
fn several_masters_lose_nothing_in_faults() {
    run("several masters", Group::masters(), false);
}
