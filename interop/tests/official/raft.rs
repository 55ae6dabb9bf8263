//! A group of three brokers that elects its master: real processes, unmodified clients, faults.
//! `SEED=n` repeats a run, `FAULTS=n` makes it longer; a few faults run always. `FAILOVER=n`
//! prints the time from a leader's end to the next good send, n times.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skua_interop::{
    Client, Driver, Kind, Namesrv, Process, Scene, check, log_files, skua, wait_until, wire,
};
use skua_seeds::{Random, number};

const LIMIT: Duration = Duration::from_secs(120);
const FAULTS: u64 = 5;

pub(super) struct Node {
    pub addr: String,
    pub dir: std::path::PathBuf,
    pub process: Process,
}

pub(super) struct Group {
    pub scene: Scene,
    pub namesrv: Namesrv,
    pub nodes: Vec<Node>,
    /// Who asks, where not everybody may.
    pub operator: Option<(&'static str, &'static str)>,
}

pub(super) fn start(dir: &std::path::Path, namesrv: &str) -> Process {
    let mut command = skua();
    command.args(["broker", "-n", namesrv, "-c"]).arg(dir.join("broker.conf")).current_dir(dir);
    Process::start(&mut command, dir.join("broker.log"))
}

pub(super) type Fill = Box<dyn Fn(&std::path::Path)>;

/// What is not as usual.
#[derive(Default)]
pub(super) struct Plan {
    pub operator: Option<(&'static str, &'static str)>,
    /// Hosts of the members, in turn. `[::1]` alone: clients and name server, too, know no other.
    pub hosts: &'static [&'static str],
    /// Fills the first member's store; its folder has the configuration file.
    pub moves_in: Option<Fill>,
}

impl Group {
    pub fn start(size: usize, settings: &str) -> Self {
        Self::start_as(size, settings, Plan::default())
    }

    pub fn start_as(size: usize, settings: &str, plan: Plan) -> Self {
        let Plan { operator, hosts, moves_in } = plan;
        let scene = Scene::new();
        let mut namesrv = Namesrv::start(&scene, Kind::Skua);
        let by_six = hosts == ["[::1]"];
        let own_host = if by_six { "::1" } else { "127.0.0.1" };
        if by_six {
            namesrv.addr = namesrv.addr.replace("127.0.0.1", "[::1]");
        }
        // A broker's ports are three next to each other; the peer port is the fourth.
        let ports: Vec<u16> = (0..size).map(|_| skua_interop::free_port()).collect();
        let peers: Vec<String> = ports
            .iter()
            .enumerate()
            .map(|(nth, port)| {
                let host = hosts.iter().cycle().nth(nth).unwrap_or(&"127.0.0.1");
                format!("n{nth}-{host}:{}", port + 1)
            })
            .collect();
        let peers = peers.join(";");
        let mut nodes = Vec::new();
        for (nth, port) in ports.iter().enumerate() {
            let dir = scene.folder(&format!("node-{nth}"));
            let text = format!(
                "brokerClusterName=DefaultCluster\nbrokerName=group\nbrokerIP1={own_host}\n\
                 listenPort={port}\nstorePathRootDir={0}/store\n\
                 storePathCommitLog={0}/store/commitlog\nmappedFileSizeCommitLog=4194304\n\
                 diskSpaceWarningLevelRatio=99\nenableDLegerCommitLog=true\ndLegerGroup=group\n\
                 dLegerPeers={peers}\ndLegerSelfId=n{nth}\nslaveReadEnable=true\n{settings}\n",
                dir.display()
            );
            fs::write(dir.join("broker.conf"), text).expect("a configuration file");
            if let Some(fill) = moves_in.as_ref().filter(|_| nth == 0) {
                fill(&dir);
            }
            let process = start(&dir, &namesrv.addr);
            let host = if by_six { hosts[0] } else { own_host };
            nodes.push(Node { addr: format!("{host}:{port}"), dir, process });
        }
        let group = Self { scene, namesrv, nodes, operator };
        group.wait_leader();
        group
    }

    pub fn status(&self, node: usize) -> Option<Value> {
        let addr = &self.nodes[node].addr;
        match self.operator {
            Some(user) => {
                let fields = super::access::signed(json!({ "action": "status" }), &[], user);
                wire::raft_status_for(addr, fields)
            }
            None => wire::raft_status(addr),
        }
    }

    /// `skua`, as the operator.
    fn skua(&self) -> std::process::Command {
        let mut command = skua();
        if let Some((user, secret)) = self.operator {
            command.env("SKUA_ACCESS_KEY", user).env("SKUA_SECRET_KEY", secret);
        }
        command
    }

    pub fn leader(&self) -> Option<usize> {
        let leads =
            |node: &usize| self.status(*node).is_some_and(|status| status["role"] == "leader");
        (0..self.nodes.len()).find(leads)
    }

    /// The one that leads, once it takes messages.
    pub fn wait_leader(&self) -> usize {
        let leader = wait_until("a leader", LIMIT, || self.leader());
        wait_until("a master at the name server", LIMIT, || {
            let list = wire::cluster_list(&self.namesrv.addr)?;
            (list.contains("0:\"") || list.contains("\"0\":")).then_some(())
        });
        leader
    }

    /// Waits until clients are sent to that one.
    pub fn wait_master(&self, node: usize) {
        let place = format!(":\"{}\"", self.nodes[node].addr);
        let places = [format!("0{place}"), format!("\"0\"{place}")];
        wait_until("it is the master", LIMIT, || {
            let list = wire::cluster_list(&self.namesrv.addr)?;
            places.iter().any(|place| list.contains(place)).then_some(())
        });
    }

    fn crash(&mut self, node: usize) {
        self.nodes[node].process.kill();
        self.restart(node);
    }

    pub fn restart(&mut self, node: usize) {
        let process = start(&self.nodes[node].dir, &self.namesrv.addr);
        self.nodes[node].process = process;
    }

    fn log(&self, node: usize) -> BTreeMap<String, Vec<u8>> {
        log_files(&self.nodes[node].dir.join("store/commitlog"))
    }

    pub fn wait_same_logs(&self) {
        wait_until("the logs to be the same", LIMIT, || {
            let first = self.log(0);
            let same = |node: usize| self.log(node) == first;
            (!first.is_empty() && (1..self.nodes.len()).all(same)).then_some(())
        });
    }

    pub fn make_topic(&self, topic: &str) {
        wait_until("the topic", LIMIT, || {
            let made = self
                .skua()
                .args(["mqadmin", "updateTopic", "-c", "DefaultCluster", "-t", topic])
                .args(["-n", &self.namesrv.addr])
                .output();
            made.is_ok_and(|made| made.status.success()).then_some(())
        });
    }

    /// Starts one more broker, as member `id`, that names itself and the others; these do not know
    /// it yet. Gives the address of its peer port.
    pub fn newcomer(&mut self, id: usize) -> String {
        let port = skua_interop::free_port();
        let file = self.nodes[0].dir.join("broker.conf");
        let first = fs::read_to_string(file).expect("its file");
        let peers = first.lines().find(|line| line.starts_with("dLegerPeers=")).expect("given");
        let dir = self.scene.folder(&format!("node-{id}"));
        let own = first.lines().filter(|line| {
            !["listenPort=", "storePath", "dLegerPeers=", "dLegerSelfId="]
                .iter()
                .any(|key| line.trim_start().starts_with(key))
        });
        let address = format!("127.0.0.1:{}", port + 1);
        let text = format!(
            "{}\nlistenPort={port}\nstorePathRootDir={1}/store\n\
             storePathCommitLog={1}/store/commitlog\n{peers};n{id}-{address}\ndLegerSelfId=n{id}\n",
            own.collect::<Vec<_>>().join("\n"),
            dir.display()
        );
        fs::write(dir.join("broker.conf"), text).expect("a configuration file");
        let process = start(&dir, &self.namesrv.addr);
        self.nodes.push(Node { addr: format!("127.0.0.1:{port}"), dir, process });
        address
    }

    /// `skua raft`; gives how many members there are then.
    pub fn change(&self, words: &[&str]) -> usize {
        let output = self
            .skua()
            .arg("raft")
            .args(&words[..1])
            .args(["--json", "-n", &self.namesrv.addr, "-b", "group"])
            .args(&words[1..])
            .output()
            .expect("skua runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let status: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        status["members"].as_array().expect("members").len()
    }
}

pub(super) fn wait_sent(driver: &Driver, more: usize) {
    let before = driver.told("sent").len();
    driver.wait("more sends", |events| {
        events.iter().filter(|event| event.word == "sent").count() >= before + more
    });
}

/// Nothing acknowledged is missing or out of its place, queues have no gaps, logs are the same.
pub(super) fn check_history(group: &Group, drivers: &[&Driver], topic: &str) {
    let sent: Vec<_> = drivers.iter().flat_map(|driver| driver.sent(topic)).collect();
    let mut scanner = Driver::start(&group.scene, Client::Java5, &group.namesrv.addr);
    scanner.run(&format!("scan s topic={topic}"));
    let got = scanner.got("s");
    check::dense(&got);
    check::at_their_offsets(&sent, &got);
    group.wait_same_logs();
}

#[test]
fn a_group_takes_messages_and_its_logs_are_the_same() {
    let group = Group::start(3, "");
    group.make_topic("agreed");
    let mut driver = Driver::start(&group.scene, Client::Java5, &group.namesrv.addr);
    driver.run("producer p group=producers timeout=10000");
    driver.run("consumer c group=readers topic=agreed kind=concurrent");
    driver.run("send p topic=agreed mode=sync count=300 prefix=m size=3000");
    driver.wait_got("c", 300);
    check_history(&group, &[&driver], "agreed");
    // As mqadmin and operators see it.
    let list = wire::cluster_list(&group.namesrv.addr).expect("a name server");
    assert_eq!(list.matches("127.0.0.1:").count(), 3, "{list}");
}

#[test]
fn another_member_leads_at_a_word_and_no_send_fails() {
    let group = Group::start(3, "");
    group.make_topic("moved");
    let mut driver = Driver::start(&group.scene, Client::Java5, &group.namesrv.addr);
    driver.run("producer p group=producers timeout=3000 retries=0");
    driver.run("flood p topic=moved prefix=m threads=4 size=300");
    wait_sent(&driver, 200);
    for _ in 0..2 {
        let leader = group.wait_leader();
        let to = (leader + 1) % 3;
        let output = skua()
            .args(["raft", "transfer", "--json", "-n", &group.namesrv.addr, "-b", "group"])
            .arg(format!("n{to}"))
            .output()
            .expect("skua runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        wait_sent(&driver, 200);
        assert_eq!(group.wait_leader(), to);
    }
    driver.run("halt p");
    assert_eq!(driver.told("lost").len(), 0, "{:?}", driver.told("lost"));
    check_history(&group, &[&driver], "moved");
}

#[test]
fn nothing_acknowledged_is_lost_over_faults() {
    let seed = number("SEED").unwrap_or(1);
    let faults = number("FAULTS").unwrap_or(FAULTS);
    eprintln!("SEED={seed}");
    let mut random = Random(seed);
    let mut group = Group::start(3, "");
    group.make_topic("faults");
    let mut java = Driver::start(&group.scene, Client::Java5, &group.namesrv.addr);
    java.run("producer p group=producers timeout=3000 retries=0");
    java.run("flood p topic=faults prefix=j threads=4 size=300");
    wait_sent(&java, 100);
    for nth in 0..faults {
        let leader = group.wait_leader();
        let other = (leader + 1 + random.below(2) as usize) % 3;
        match random.below(5) {
            0 => group.crash(leader),
            1 => group.crash(other),
            2 => {
                // Past the election timeout, and back.
                group.nodes[leader].process.freeze();
                std::thread::sleep(Duration::from_millis(1500 + random.below(1500)));
                group.nodes[leader].process.thaw();
            }
            3 => {
                group.nodes[other].process.freeze();
                std::thread::sleep(Duration::from_millis(random.below(2500)));
                group.nodes[other].process.thaw();
            }
            _ => {
                group.nodes[leader].process.terminate();
                group.nodes[leader].process.wait(LIMIT);
                group.restart(leader);
            }
        }
        // A client of an old route would wait half a minute for the next: another one looks now.
        let leader = group.wait_leader();
        let mut other = Driver::start(&group.scene, Client::Go, &group.namesrv.addr);
        other.run("producer q group=others timeout=3000");
        eprintln!("fault {nth}: n{leader} leads");
        wait_until("a send", LIMIT, || {
            other
                .try_run(&format!("send q topic=faults mode=sync count=20 prefix=g{nth}-{}", nth))
                .ok()
        });
        java.wait("it is heard", |_| true);
    }
    java.run("halt p");
    check_history(&group, &[&java], "faults");
}

#[test]
fn offsets_and_delayed_messages_go_on_at_the_new_leader() {
    let mut group = Group::start(3, "");
    group.make_topic("goeson");
    let mut driver = Driver::start(&group.scene, Client::Java5, &group.namesrv.addr);
    driver.run("producer p group=producers timeout=10000");
    driver.run("send p topic=goeson mode=sync count=20 prefix=now");
    let leader = group.wait_leader();
    let followers: Vec<_> = (0..3).filter(|node| *node != leader).collect();
    let fields = json!({ "consumerGroup": "TOOLS_CONSUMER", "topic": "goeson", "queueId": "0" });
    let committed = |addr: &str| {
        let (header, _) = wire::call(addr, 14, fields.clone(), &[])?;
        header["extFields"]["offset"].as_str()?.parse::<i64>().ok()
    };
    let mut commit = fields.clone();
    commit["commitOffset"] = "2".into();
    wire::call(&group.nodes[leader].addr, 15, commit, &[]).expect("taken");
    for node in followers {
        wait_until("the offset at a follower", LIMIT, || {
            (committed(&group.nodes[node].addr) == Some(2)).then_some(())
        });
    }
    driver.run("send p topic=goeson mode=sync count=20 prefix=later delay=2");
    group.nodes[leader].process.kill();
    let next =
        wait_until("another leader", LIMIT, || group.leader().filter(|next| *next != leader));
    assert_eq!(committed(&group.nodes[next].addr), Some(2));
    wait_until("the delayed messages", LIMIT, || {
        let mut scanner = Driver::start(&group.scene, Client::Java5, &group.namesrv.addr);
        scanner.try_run("scan s topic=goeson").ok()?;
        let got = scanner.got("s");
        (check::first_deliveries(&got).len() == 40).then_some(())
    });
    group.restart(leader);
    group.wait_same_logs();
    // Two are gone for good: the third is the group, when an operator says so.
    group.nodes.iter_mut().for_each(|node| node.process.kill());
    let file = group.nodes[next].dir.join("broker.conf");
    let restore = |more: &[&str]| {
        let mut command = skua();
        command.args(["raft", "restore", "-c"]).arg(&file).args(more);
        command.current_dir(&group.nodes[next].dir).status().expect("skua runs").success()
    };
    assert!(!restore(&[]), "not without a word about the loss");
    assert!(restore(&["--accept-loss"]));
    group.restart(next);
    wait_until("a send to the one that is left", LIMIT, || {
        wire::send(&group.nodes[next].addr, "goeson").then_some(())
    });
}

#[test]
fn members_come_and_go_while_clients_send() {
    let mut group = Group::start(3, "");
    group.make_topic("members");
    let mut driver = Driver::start(&group.scene, Client::Java5, &group.namesrv.addr);
    driver.run("producer p group=producers timeout=10000");
    driver.run("flood p topic=members prefix=m threads=2 size=300 pause=1");
    wait_sent(&driver, 200);
    // One is away meanwhile: the leader that it finds is none that it knows.
    let leader = group.wait_leader();
    let (away, gone) = ((leader + 1) % 3, (leader + 2) % 3);
    group.nodes[away].process.kill();
    let address = group.newcomer(3);
    assert_eq!(group.change(&["add", "n3", &address]), 4);
    wait_sent(&driver, 100);
    assert_eq!(group.change(&["remove", &format!("n{gone}")]), 3);
    group.nodes[gone].process.kill();
    wait_sent(&driver, 100);
    group.change(&["transfer", "n3"]);
    wait_sent(&driver, 100);
    group.restart(away);
    wait_sent(&driver, 100);
    driver.run("halt p");
    group.nodes.remove(gone);
    check_history(&group, &[&driver], "members");
}

#[test]
fn a_single_brokers_directory_becomes_a_groups_in_place() {
    let mut group = Group::start(1, "");
    assert!(group.status(0).expect("a status")["warning"].as_str().is_some());
    group.make_topic("inplace");
    let file = group.nodes[0].dir.join("broker.conf");
    let text = fs::read_to_string(&file).expect("its file");
    group.nodes[0].process.terminate();
    group.nodes[0].process.wait(LIMIT);
    fs::remove_dir_all(group.nodes[0].dir.join("store")).expect("its store");
    // First a life of its own.
    let alone = text.replace("enableDLegerCommitLog=true", "enableDLegerCommitLog=false");
    fs::write(&file, alone).expect("written");
    group.restart(0);
    wait_until("a send", LIMIT, || wire::send(&group.nodes[0].addr, "inplace").then_some(()));
    for _ in 0..20 {
        assert!(wire::send(&group.nodes[0].addr, "inplace"));
    }
    group.nodes[0].process.terminate();
    group.nodes[0].process.wait(LIMIT);
    fs::write(&file, text).expect("written");
    group.restart(0);
    group.wait_leader();
    wait_until("a send", LIMIT, || wire::send(&group.nodes[0].addr, "inplace").then_some(()));
    let mut scanner = Driver::start(&group.scene, Client::Java5, &group.namesrv.addr);
    scanner.run("scan s topic=inplace");
    assert_eq!(scanner.got("s").len(), 22);
}

#[test]
fn a_group_that_cannot_be_one_is_refused() {
    let scene = Scene::new();
    let dir = scene.folder("bad");
    let refused = |keys: &str| {
        let text = format!(
            "brokerName=group\nbrokerIP1=127.0.0.1\nlistenPort={}\nstorePathRootDir={}/store\n\
             enableDLegerCommitLog=true\n{keys}\n",
            skua_interop::free_port(),
            dir.display()
        );
        fs::write(dir.join("broker.conf"), text).expect("a configuration file");
        let output =
            skua().args(["broker", "-c"]).arg(dir.join("broker.conf")).output().expect("skua runs");
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = refused("dLegerPeers=n0-127.0.0.1:1;n1-127.0.0.1:2\ndLegerSelfId=n2");
    assert!(said.contains("dLegerSelfId=n2 is not among the members"), "{said}");
    let said = refused("dLegerPeers=n0-127.0.0.1:1;n0-127.0.0.1:2\ndLegerSelfId=n0");
    assert!(said.contains("two members are n0"), "{said}");
    assert!(refused("dLegerPeers=n0-127.0.0.1:1").contains("needs dLegerSelfId"));
    assert!(refused("dLegerPeers=n0\ndLegerSelfId=n0").contains("is not id-host:port"));
}

/// From the leader's end to the first good send, of a sender that tries every member at once: the
/// client's own route poll is not in it.
#[test]
fn how_long_a_failover_takes() {
    let Some(rounds) = number("FAILOVER") else { return };
    let mut group = Group::start(3, "");
    wait_until("a send", LIMIT, || {
        let leader = group.leader()?;
        wire::send(&group.nodes[leader].addr, "timed").then_some(())
    });
    let mut times = Vec::new();
    for _ in 0..rounds {
        let leader = group.wait_leader();
        let others: Vec<_> = (0..3).filter(|node| *node != leader).collect();
        group.nodes[leader].process.kill();
        let began = Instant::now();
        while !others.iter().any(|node| wire::send(&group.nodes[*node].addr, "timed")) {}
        times.push(began.elapsed().as_millis());
        group.restart(leader);
        wait_until("the member back", LIMIT, || group.status(leader));
        std::thread::sleep(Duration::from_secs(1));
    }
    times.sort_unstable();
    println!("kill -9 to the first good send, ms: {times:?}, median {}", times[times.len() / 2]);
    group.wait_same_logs();
}
