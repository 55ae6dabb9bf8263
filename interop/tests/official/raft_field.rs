//! Three members of a group that elects its master, each in a network namespace and on a disk of
//! its own, and what can be done to them.

use std::fs;
use std::thread;
use std::time::Duration;

use skua_interop::{
    Broker, Kind, Namesrv, Net, Node, Scene, Tuning, Volume, skua, wait_until, wire,
};
use skua_seeds::Random;

const LIMIT: Duration = Duration::from_secs(120);
/// Of each disk: far more than a run writes.
const DISK: usize = 1 << 30;
/// What is left of a full one.
const LEFT: usize = 256 << 10;

/// A setting that is not known before the test runs; tests end with their process.
fn setting(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

pub struct Field {
    pub brokers: Vec<Broker>,
    pub namesrv: Namesrv,
    pub scene: Scene,
    nodes: Vec<Node>,
    /// None where nothing may be mounted.
    disks: Vec<Option<Volume>>,
    /// The member that each broker is: a replaced one is another.
    ids: Vec<usize>,
    deck: Vec<Fault>,
    _names: Node,
    _net: Net,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    LeaderKilled,
    FollowerKilled,
    AllKilled,
    LeaderStopped,
    LeaderFrozen,
    FollowerFrozen,
    LeaderUnplugged,
    LeadersWordsLost,
    LeaderHearsNothing,
    FollowerFlaps,
    LeaderFlapsOneWay,
    LeaderNarrow,
    LeaderStalled,
    Resets,
    LeadersDiskFull,
    FollowersDiskFull,
    Transfer,
    ReplacedInElection,
    CutAndKilled,
    StalledAndFrozen,
}

const ALL: [Fault; 20] = [
    Fault::LeaderKilled,
    Fault::FollowerKilled,
    Fault::AllKilled,
    Fault::LeaderStopped,
    Fault::LeaderFrozen,
    Fault::FollowerFrozen,
    Fault::LeaderUnplugged,
    Fault::LeadersWordsLost,
    Fault::LeaderHearsNothing,
    Fault::FollowerFlaps,
    Fault::LeaderFlapsOneWay,
    Fault::LeaderNarrow,
    Fault::LeaderStalled,
    Fault::Resets,
    Fault::LeadersDiskFull,
    Fault::FollowersDiskFull,
    Fault::Transfer,
    Fault::ReplacedInElection,
    Fault::CutAndKilled,
    Fault::StalledAndFrozen,
];

impl Field {
    pub fn start(mut net: Net) -> Self {
        let scene = Scene::new();
        let names = net.node();
        let namesrv = Namesrv::start_at(&scene, Kind::Skua, "namesrv", &names.place());
        let nodes: Vec<Node> = (0..3).map(|_| net.node()).collect();
        let mount = |nth| Volume::mount(&scene.folder(&format!("node-{nth}/store")), DISK);
        let disks = (0..3).map(mount).collect();
        let ids = vec![0, 1, 2];
        let peers = peers(&nodes, &ids);
        let started = nodes.iter().enumerate().map(|(n, node)| {
            let settings = vec![
                "brokerName=group",
                "mappedFileSizeCommitLog=4194304",
                "slaveReadEnable=true",
                // A full disk must not take messages that nobody has read.
                "cleanFileForciblyEnable=false",
                "enableDLegerCommitLog=true",
                setting(format!("dLegerPeers={peers}")),
                setting(format!("dLegerSelfId=n{n}")),
            ];
            let tuning = Tuning { settings, java_options: None };
            let name = format!("node-{n}");
            Broker::start_at(&scene, Kind::Skua, &name, &namesrv.addr, tuning, node.place())
        });
        let brokers = started.collect();
        let deck = Vec::new();
        let field =
            Self { brokers, namesrv, scene, nodes, disks, ids, deck, _names: names, _net: net };
        field.wait_leader();
        field
    }

    pub fn leader(&self) -> Option<usize> {
        (0..3).find(|nth| {
            let status = wire::raft_status(&self.brokers[*nth].addr);
            status.is_some_and(|status| status["role"] == "leader")
        })
    }

    pub fn wait_leader(&self) -> usize {
        wait_until("a leader", LIMIT, || self.leader())
    }

    pub fn wait_same_logs(&self) {
        wait_until("the logs to be the same", LIMIT, || {
            let status = wire::raft_status(&self.brokers[self.leader()?].addr)?;
            let members = status["members"].as_array()?;
            let is_near =
                |member: &serde_json::Value| member["isLeader"] == true || member["lagBytes"] == 0;
            if members.len() != 3 || !members.iter().all(is_near) {
                return None;
            }
            let first = self.brokers[0].log();
            let same = |nth: usize| self.brokers[nth].log() == first;
            (!first.is_empty() && (1..3).all(same)).then_some(())
        });
    }

    fn raft(&self, words: &[&str]) -> Result<(), String> {
        let mut command = skua();
        command.arg("raft").args(&words[..1]);
        command.args(["--json", "-n", &self.namesrv.addr, "-b", "group"]).args(&words[1..]);
        let output = command.output().expect("skua runs");
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    fn is_member(&self, id: &str) -> Option<bool> {
        let status = wire::raft_status(&self.brokers[self.leader()?].addr)?;
        Some(status["members"].as_array()?.iter().any(|member| member["id"] == id))
    }

    /// While the leader stands still a member is taken out; another one with an empty disk takes
    /// its place.
    fn replace_in_election(&mut self, leader: usize, gone: usize, hold: Duration) {
        self.brokers[leader].process.freeze();
        let id = format!("n{}", self.ids[gone]);
        let began = std::time::Instant::now();
        while began.elapsed() < hold {
            if let Err(why) = self.raft(&["remove", &id]) {
                eprintln!("  {}", why.trim());
            }
            thread::sleep(Duration::from_millis(100));
        }
        self.brokers[leader].process.thaw();
        wait_until("one member less", LIMIT, || {
            match self.is_member(&id)? {
                // A leader does not take itself out.
                true if self.leader() == Some(gone) => {
                    let to = format!("n{}", self.ids[(gone + 1) % 3]);
                    drop(self.raft(&["transfer", &to]));
                }
                true => drop(self.raft(&["remove", &id])),
                false => return Some(()),
            }
            None
        });
        let broker = &mut self.brokers[gone];
        broker.process.kill();
        for entry in fs::read_dir(broker.store()).expect("its store").flatten() {
            let path = entry.path();
            let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        }
        self.ids[gone] = self.ids.iter().max().expect("three") + 1;
        let id = format!("n{}", self.ids[gone]);
        let own = format!("dLegerPeers={}", peers(&self.nodes, &self.ids));
        broker.set(&[setting(own), setting(format!("dLegerSelfId={id}"))]);
        broker.launch_again();
        let address = format!("{}:{PEER_PORT}", self.nodes[gone].ip);
        wait_until("one member more", LIMIT, || self.raft(&["add", &id, &address]).ok());
    }

    /// The disk of this member is full for a while.
    fn fill(&self, nth: usize, hold: Duration) {
        let Some(disk) = &self.disks[nth] else { return };
        wait_until("a full disk", LIMIT, || disk.squeeze(LEFT).then_some(()));
        thread::sleep(hold);
        disk.resize(DISK);
    }

    /// The next fault, of a deck that has each once: what it was.
    pub fn fault(&mut self, random: &mut Random) -> String {
        if self.deck.is_empty() {
            self.deck = ALL.to_vec();
        }
        let card = random.below(self.deck.len() as u64) as usize;
        let fault = self.deck.swap_remove(card);
        let hold = Duration::from_millis(500 + random.below(2500));
        let leader = self.wait_leader();
        let others = [(leader + 1) % 3, (leader + 2) % 3];
        let turn = random.below(2) as usize;
        let (other, third) = (others[turn], others[1 - turn]);
        let [from, to] = [&self.nodes[leader], &self.nodes[other]];
        let ips = others.map(|other| self.nodes[other].ip);
        match fault {
            Fault::LeaderKilled => self.crash(leader),
            Fault::FollowerKilled => self.crash(other),
            Fault::AllKilled => {
                self.brokers.iter_mut().for_each(|broker| broker.process.kill());
                self.brokers.iter_mut().for_each(Broker::launch_again);
            }
            Fault::LeaderStopped => {
                self.brokers[leader].stop();
                self.brokers[leader].launch_again();
            }
            Fault::LeaderFrozen => {
                self.brokers[leader].process.freeze();
                thread::sleep(hold + Duration::from_secs(1));
                self.brokers[leader].process.thaw();
            }
            Fault::FollowerFrozen => {
                self.brokers[other].process.freeze();
                thread::sleep(hold);
                self.brokers[other].process.thaw();
            }
            Fault::LeaderUnplugged => {
                from.unplug();
                thread::sleep(hold);
                from.plug();
            }
            Fault::LeadersWordsLost => {
                ips.iter().for_each(|ip| from.lose(*ip));
                thread::sleep(hold);
                ips.iter().for_each(|ip| from.find(*ip));
            }
            Fault::LeaderHearsNothing => {
                others.iter().for_each(|other| self.nodes[*other].lose(from.ip));
                thread::sleep(hold);
                others.iter().for_each(|other| self.nodes[*other].find(from.ip));
            }
            Fault::FollowerFlaps => {
                for _ in 0..6 {
                    to.unplug();
                    thread::sleep(Duration::from_millis(150));
                    to.plug();
                    thread::sleep(Duration::from_millis(150));
                }
            }
            Fault::LeaderFlapsOneWay => {
                for _ in 0..6 {
                    ips.iter().for_each(|ip| from.lose(*ip));
                    thread::sleep(Duration::from_millis(250));
                    ips.iter().for_each(|ip| from.find(*ip));
                    thread::sleep(Duration::from_millis(150));
                }
            }
            Fault::LeaderNarrow => {
                from.narrow("4mbit");
                thread::sleep(hold);
                from.widen();
            }
            Fault::LeaderStalled => {
                from.narrow("64kbit");
                thread::sleep(hold);
                from.widen();
            }
            Fault::Resets => {
                for _ in 0..4 {
                    from.reset(to.ip);
                    thread::sleep(Duration::from_millis(150));
                }
            }
            Fault::LeadersDiskFull => self.fill(leader, hold),
            Fault::FollowersDiskFull => self.fill(other, hold),
            Fault::Transfer => {
                let id = format!("n{}", self.ids[other]);
                wait_until("a transfer", LIMIT, || self.raft(&["transfer", &id]).ok());
            }
            Fault::ReplacedInElection => {
                let gone = if random.below(2) == 0 { leader } else { other };
                self.replace_in_election(leader, gone, hold);
            }
            Fault::CutAndKilled => {
                from.unplug();
                self.brokers[other].process.kill();
                self.nodes[leader].plug();
                self.brokers[other].launch_again();
            }
            Fault::StalledAndFrozen => {
                from.narrow("256kbit");
                self.brokers[third].process.freeze();
                thread::sleep(hold);
                self.brokers[third].process.thaw();
                self.nodes[leader].widen();
            }
        }
        format!("{fault:?} (n{} led, {hold:?})", self.ids[leader])
    }

    fn crash(&mut self, nth: usize) {
        self.brokers[nth].process.kill();
        self.brokers[nth].launch_again();
    }

    /// Which member each has become, for what is printed.
    pub fn id(&self, nth: usize) -> usize {
        self.ids[nth]
    }
}

const PEER_PORT: u16 = 10940;

fn peers(nodes: &[Node], ids: &[usize]) -> String {
    let members = nodes.iter().zip(ids).map(|(node, id)| format!("n{id}-{}:{PEER_PORT}", node.ip));
    members.collect::<Vec<_>>().join(";")
}
