//! How the brokers of a setup are configured and started.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use skua_interop::{Broker, Kind, Scene, Tuning, free_port, wait_until, wire};

use crate::aims::FIRST;
use crate::figures::Figures;
use crate::servers::{Competitor, PATIENCE};
use crate::work::Setup;

pub const JAVA_OPTIONS: &str = "-server -Xms4g -Xmx4g -XX:+UseG1GC -XX:G1HeapRegionSize=16m";
/// Three brokers on one machine.
const JAVA_OPTIONS_OF_THREE: &str = "-server -Xms2g -Xmx2g -XX:+UseG1GC -XX:G1HeapRegionSize=16m";
const RAFT_NODES: usize = 3;
const RAFT_GROUP: &str = "raft";

/// Where the brokers of a group live.
pub struct Ground<'a> {
    pub scene: &'a Scene,
    pub kind: Kind,
    pub namesrv: &'a str,
}

impl Ground<'_> {
    fn broker(&self, folder: &str, settings: Vec<&'static str>, java: &'static str) -> Broker {
        let tuning = Tuning { settings, java_options: Some(java) };
        Broker::start_tuned(self.scene, self.kind, folder, self.namesrv, tuning)
    }

    pub fn start(&self, setup: Setup, figures: &mut Figures) -> Vec<Broker> {
        match setup {
            Setup::Raft => self.raft(),
            Setup::NameServer => Vec::new(),
            Setup::AsyncReplication | Setup::DoubleWrite => self.pair(setup),
            _ => vec![self.single(setup, figures)],
        }
    }

    fn single(&self, setup: Setup, figures: &mut Figures) -> Broker {
        let mut settings = common(setup);
        if setup == Setup::SyncFlush {
            settings.push("flushDiskType=SYNC_FLUSH");
        }
        let started = Instant::now();
        let mut broker = self.broker("broker-a", settings, JAVA_OPTIONS);
        if setup == Setup::Plain {
            let ms = first_acknowledgement(&broker.addr, started).as_secs_f64() * 1e3;
            let competitor = Competitor::of(self.kind);
            figures.set_once(FIRST, competitor, ms, "ms");
        }
        broker.wait_registered();
        broker
    }

    /// Master and slave.
    fn pair(&self, setup: Setup) -> Vec<Broker> {
        let mut settings = common(setup);
        match (setup, self.kind) {
            (Setup::DoubleWrite, Kind::Java) => {
                // RocketMQ 5 writes twice only when told so.
                settings.extend(["brokerRole=SYNC_MASTER", "inSyncReplicas=2"]);
            }
            (Setup::DoubleWrite, Kind::Skua) => settings.push("brokerRole=SYNC_MASTER"),
            _ => {}
        }
        let mut master = self.broker("broker-a", settings.clone(), JAVA_OPTIONS);
        master.wait_registered();
        settings.retain(|setting| !setting.contains("Replicas"));
        settings.extend(["brokerRole=SLAVE", "brokerId=1", "brokerName=broker-a"]);
        let mut slave = self.broker("slave", settings, JAVA_OPTIONS);
        slave.wait_registered();
        // SEND_OK of a double write, or a slave that has the log: the first sends wait for it.
        wait_until("the slave with its master's log", PATIENCE, || {
            wire::send(&master.addr, "first").then_some(())?;
            let holds = fs::read_dir(slave.commit_log()).ok()?.next().is_some();
            holds.then_some(())
        });
        vec![master, slave]
    }

    /// Three nodes that elect their master (`enableDLegerCommitLog`).
    fn raft(&self) -> Vec<Broker> {
        let peers: Vec<String> =
            (0..RAFT_NODES).map(|nth| format!("n{nth}-127.0.0.1:{}", free_port())).collect();
        let peers = kept(format!("dLegerPeers={}", peers.join(";")));
        let mut brokers: Vec<Broker> = (0..RAFT_NODES)
            .map(|nth| {
                let mut settings = common(Setup::Raft);
                settings.extend([
                    kept(format!("brokerName={RAFT_GROUP}")),
                    "enableDLegerCommitLog=true",
                    kept(format!("dLegerGroup={RAFT_GROUP}")),
                    peers,
                    kept(format!("dLegerSelfId=n{nth}")),
                ]);
                self.broker(&format!("node-{nth}"), settings, JAVA_OPTIONS_OF_THREE)
            })
            .collect();
        for broker in &mut brokers {
            broker.wait_registered();
        }
        brokers
    }
}

/// What all brokers are given.
fn common(setup: Setup) -> Vec<&'static str> {
    let log_file = match setup {
        // Files that hold nothing but what a work reads, so that a start need not touch them.
        Setup::Cold => "mappedFileSizeCommitLog=67108864",
        _ => "mappedFileSizeCommitLog=1073741824",
    };
    vec![
        log_file,
        "sendThreadPoolQueueCapacity=100000",
        "brokerIP2=127.0.0.1",
        "enablePropertyFilter=true",
    ]
}

/// For as long as the program runs, as settings live: a few dozen bytes a group.
fn kept(text: String) -> &'static str {
    text.leak()
}

/// From `started` until the broker at `addr` has taken a message. With short pauses: those of
/// `wait_until` would be most of what is measured, and none would take a core from the server.
pub fn first_acknowledgement(addr: &str, started: Instant) -> Duration {
    while !wire::send(addr, "first") {
        assert!(started.elapsed() < PATIENCE, "no first send");
        thread::sleep(Duration::from_micros(200));
    }
    started.elapsed()
}
