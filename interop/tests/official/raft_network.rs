//! Faults of the wire for a group that elects its master: each member in a network namespace of
//! its own, a client that sends meanwhile. `SEED=n` repeats a run, `FAULTS=n` makes it longer.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use skua_interop::{
    Broker, Client, Driver, Kind, Namesrv, Net, Node, Scene, Tuning, check, skua, wait_until, wire,
};
use skua_seeds::{Random, number};

const LIMIT: Duration = Duration::from_secs(120);
const FAULTS: u64 = 6;

struct Field {
    brokers: Vec<Broker>,
    nodes: Vec<Node>,
    namesrv: Namesrv,
    scene: Scene,
    _net: Net,
}

impl Field {
    fn start(mut net: Net) -> Self {
        let scene = Scene::new();
        let name_node = net.node();
        let namesrv = Namesrv::start_at(&scene, Kind::Skua, "namesrv", &name_node.place());
        let nodes: Vec<Node> = (0..3).map(|_| net.node()).collect();
        let peers: Vec<String> =
            nodes.iter().enumerate().map(|(n, node)| format!("n{n}-{}:10940", node.ip)).collect();
        let peers = peers.join(";");
        // Tests end with their process.
        let setting = |text: String| -> &'static str { Box::leak(text.into()) };
        let started = nodes.iter().enumerate().map(|(n, node)| {
            let settings = vec![
                "brokerName=group",
                "mappedFileSizeCommitLog=4194304",
                "slaveReadEnable=true",
                "enableDLegerCommitLog=true",
                setting(format!("dLegerPeers={peers}")),
                setting(format!("dLegerSelfId=n{n}")),
            ];
            let tuning = Tuning { settings, java_options: None };
            let name = format!("node-{n}");
            Broker::start_at(&scene, Kind::Skua, &name, &namesrv.addr, tuning, node.place())
        });
        let brokers = started.collect();
        let mut nodes = nodes;
        nodes.push(name_node);
        let field = Self { brokers, nodes, namesrv, scene, _net: net };
        field.wait_leader();
        field
    }

    fn leader(&self) -> Option<usize> {
        (0..3).find(|nth| {
            let fields = json!({ "action": "status" });
            let answer = wire::call(&self.brokers[*nth].addr, 770_003, fields, &[]);
            let status = answer.and_then(|(_, body)| serde_json::from_slice::<Value>(&body).ok());
            status.is_some_and(|status| status["role"] == "leader")
        })
    }

    fn wait_leader(&self) -> usize {
        wait_until("a leader", LIMIT, || self.leader())
    }

    fn log(&self, nth: usize) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(self.brokers[nth].commit_log()).into_iter().flatten().flatten() {
            let mut bytes = fs::read(entry.path()).unwrap_or_default();
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            bytes.truncate(end);
            if end > 0 {
                files.insert(entry.file_name().to_string_lossy().into_owned(), bytes);
            }
        }
        files
    }

    fn fault(&mut self, random: &mut Random) -> &'static str {
        let hold = Duration::from_millis(500 + random.below(2500));
        let leader = self.wait_leader();
        let others = [(leader + 1) % 3, (leader + 2) % 3];
        let other = others[random.below(2) as usize];
        let [from, to] = [&self.nodes[leader], &self.nodes[other]];
        match random.below(7) {
            0 => {
                from.unplug();
                thread::sleep(hold);
                from.plug();
                "the leader's cable is out"
            }
            1 => {
                others.iter().for_each(|other| from.lose(self.nodes[*other].ip));
                thread::sleep(hold);
                others.iter().for_each(|other| from.find(self.nodes[*other].ip));
                "what the leader sends is lost"
            }
            2 => {
                others.iter().for_each(|other| self.nodes[*other].lose(from.ip));
                thread::sleep(hold);
                others.iter().for_each(|other| self.nodes[*other].find(from.ip));
                "what the leader is sent is lost"
            }
            3 => {
                for _ in 0..6 {
                    to.unplug();
                    thread::sleep(Duration::from_millis(150));
                    to.plug();
                    thread::sleep(Duration::from_millis(150));
                }
                "a follower's cable flaps"
            }
            4 => {
                from.narrow("4mbit");
                thread::sleep(hold);
                from.widen();
                "a narrow link"
            }
            5 => {
                for _ in 0..4 {
                    from.reset(to.ip);
                    thread::sleep(Duration::from_millis(150));
                }
                "connections are reset"
            }
            _ => {
                from.unplug();
                self.brokers[other].crash();
                self.nodes[leader].plug();
                "the leader is cut off while a follower is killed"
            }
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_over_faults_of_the_wire() {
    let Some(net) = Net::start() else { return };
    let seed = number("SEED").unwrap_or(1);
    eprintln!("SEED={seed}");
    let mut random = Random(seed);
    let mut field = Field::start(net);
    wait_until("the topic", LIMIT, || {
        let made = skua()
            .args(["mqadmin", "updateTopic", "-c", "DefaultCluster", "-t", "wire"])
            .args(["-n", &field.namesrv.addr])
            .output();
        made.is_ok_and(|made| made.status.success()).then_some(())
    });
    let mut drivers = Vec::new();
    for nth in 0..number("FAULTS").unwrap_or(FAULTS) {
        // Another client each time: one with an old route would wait half a minute to look again.
        let mut driver = Driver::start(&field.scene, Client::Go, &field.namesrv.addr);
        driver.run("producer p group=producers timeout=2000 retries=0");
        driver.run(&format!("flood p topic=wire prefix=f{nth} threads=4 size=300"));
        driver.wait("sends before the fault", |events| {
            events.iter().filter(|event| event.word == "sent").count() >= 50
        });
        let what = field.fault(&mut random);
        let leader = field.wait_leader();
        eprintln!("fault {nth}: {what}; n{leader} leads");
        driver.run("halt p");
        drivers.push(driver);
    }
    let sent: Vec<_> = drivers.iter().flat_map(|driver| driver.sent("wire")).collect();
    drop(drivers);
    field.wait_leader();
    let mut scanner = Driver::start(&field.scene, Client::Java5, &field.namesrv.addr);
    wait_until("a scan", LIMIT, || scanner.try_run("scan s topic=wire").ok());
    let got = scanner.got("s");
    check::dense(&got);
    check::at_their_offsets(&sent, &got);
    // Nobody sends anything twice here.
    assert_eq!(check::first_deliveries(&got).len(), got.len());
    wait_until("the logs to be the same", LIMIT, || {
        let first = field.log(0);
        (!first.is_empty() && (1..3).all(|nth| field.log(nth) == first)).then_some(())
    });
}
