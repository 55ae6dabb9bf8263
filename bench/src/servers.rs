//! The servers that compete: started once for a group of works, frozen while another is loaded.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use skua_interop::{Broker, Kind, Namesrv, Process, Scene, Tuning, skua, wait_until, wire};

use crate::Args;
use crate::aims::IDLE_MEMORY;
use crate::figures::{Figures, Run};
use crate::generator::{self, Sends};
use crate::memory;
use crate::setup::{Ground, JAVA_OPTIONS};
use crate::usage::status_kib;
use crate::work::{Setup, Work};

/// Longest wait for servers to be ready.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// A group that was frozen may elect anew when it goes on: its master must stay for so long.
const SETTLED: Duration = Duration::from_millis(1500);
const RESIDENT: &str = "VmRSS:";
const ANONYMOUS: &str = "RssAnon:";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Competitor {
    /// Answers at once and keeps nothing.
    Floor,
    Java,
    Skua,
}

impl Competitor {
    pub const ALL: [Self; 3] = [Self::Floor, Self::Java, Self::Skua];

    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Java => "Java",
            Self::Skua => "Skua",
        }
    }

    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::Java => Self::Java,
            Kind::Skua => Self::Skua,
        }
    }
}

/// The servers of one setup.
pub struct Servers {
    floor: Echo,
    groups: Vec<Group>,
}

/// Name server and brokers of one kind.
pub struct Group {
    pub kind: Kind,
    pub setup: Setup,
    pub namesrv: Namesrv,
    pub brokers: Vec<Broker>,
    /// Messages a second that it takes and gives at once, when it was measured.
    pub capacity: Option<f64>,
    _scene: Scene,
}

/// `skua bench echo`.
pub struct Echo {
    child: Child,
    pub addr: String,
    /// On the same disk as the servers' stores.
    pub scene: Scene,
}

impl Drop for Echo {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Servers {
    pub fn start(setup: Setup, args: &Args, figures: &mut Figures) -> Self {
        let kinds: &[Kind] =
            if args.without_java { &[Kind::Skua] } else { &[Kind::Java, Kind::Skua] };
        let mut groups: Vec<Group> = Vec::new();
        for kind in kinds {
            eprintln!("{}: {kind:?} starts", setup.name());
            let group = Group::start(*kind, setup, figures);
            group.warm_up(args.java_warm_up);
            group.freeze();
            groups.push(group);
        }
        Self { floor: Echo::start(), groups }
    }

    /// Does one work once; none if this server does not take part in it.
    pub fn run(&mut self, competitor: Competitor, work: &Work, args: &Args) -> Option<Run> {
        let started = Instant::now();
        let (run, pids) = if competitor == Competitor::Floor {
            (self.floor.run(work, args)?, vec![self.floor.id()])
        } else {
            let group =
                self.groups.iter_mut().find(|group| Competitor::of(group.kind) == competitor)?;
            group.thaw();
            if work.load.fills_memory() {
                memory::touch(&args.ground(), args.touch).expect("space on the disk");
            }
            let run = group.run(work, args);
            group.freeze();
            (run, group.pids())
        };
        Some(Run {
            resident_mib: Some(mib(&pids, RESIDENT)),
            anonymous_mib: Some(mib(&pids, ANONYMOUS)),
            took_seconds: started.elapsed().as_secs_f64(),
            ..run
        })
    }
}

impl Group {
    pub fn start(kind: Kind, setup: Setup, figures: &mut Figures) -> Self {
        let scene = Scene::new();
        let tuning = match setup {
            Setup::NameServer => Tuning { java_options: Some(JAVA_OPTIONS), ..Tuning::default() },
            _ => Tuning::default(),
        };
        let namesrv = Namesrv::start_tuned(&scene, kind, &tuning);
        let ground = Ground { scene: &scene, kind, namesrv: &namesrv.addr };
        let brokers = ground.start(setup, figures);
        let group = Self { kind, setup, namesrv, brokers, capacity: None, _scene: scene };
        group.wait_ready();
        if setup == Setup::Plain {
            let competitor = Competitor::of(kind);
            let pids = group.pids();
            figures.set_once("memory, idle", competitor, mib(&pids, RESIDENT), "MiB");
            figures.set_once(IDLE_MEMORY, competitor, mib(&pids, ANONYMOUS), "MiB");
        }
        group
    }

    /// Load for a Java server's compiler.
    pub fn warm_up(&self, seconds: u32) {
        match self.setup {
            _ if self.kind != Kind::Java => return,
            Setup::NameServer => return self.warm_up_name_server(seconds),
            Setup::Fresh => return,
            _ => {}
        }
        let seconds = seconds.to_string();
        self.produce("warm-up", Sends::plain(64), &["--duration", "1", "--warm-up", &seconds]);
        if matches!(self.setup, Setup::Plain | Setup::Cold) {
            self.consume("warm-up", 8, &["--count", "1000000", "--warm-up", "0"]);
        }
    }

    fn processes(&self) -> impl Iterator<Item = &Process> {
        self.brokers.iter().map(|broker| &broker.process).chain([&self.namesrv.process])
    }

    pub fn pids(&self) -> Vec<u32> {
        self.processes().map(Process::id).collect()
    }

    pub fn freeze(&self) {
        self.processes().for_each(Process::freeze);
    }

    /// Goes on; servers that stood for long may have lost sight of each other.
    pub fn thaw(&self) {
        self.processes().for_each(Process::thaw);
        self.wait_ready();
        if self.setup == Setup::Raft {
            thread::sleep(SETTLED);
            self.wait_ready();
        }
    }

    /// Until a master takes messages and the name server knows it.
    fn wait_ready(&self) {
        if !self.brokers.is_empty() {
            wait_until("a master that is known and takes messages", PATIENCE, || self.master());
        }
    }

    /// The broker that takes messages, if the name server knows it as the master.
    fn master(&self) -> Option<&Broker> {
        let list = wire::cluster_list(&self.namesrv.addr)?;
        // Java writes numbers as bare keys.
        let leads = |broker: &&Broker| {
            let [bare, quoted] = ["0", "\"0\""].map(|id| format!("{id}:\"{}\"", broker.addr));
            (list.contains(&bare) || list.contains(&quoted)) && wire::send(&broker.addr, "first")
        };
        self.brokers.iter().find(leads)
    }

    /// Where a load goes, and whose CPU time it reports.
    fn target(&self) -> Vec<String> {
        let name_server = ["-n".to_owned(), self.namesrv.addr.clone()];
        [&name_server[..], &generator::cpu_of(&self.pids())].concat()
    }

    pub fn produce(&self, topic: &str, sends: Sends, pace: &[&str]) -> Value {
        let target = self.target();
        let target: Vec<&str> = target.iter().map(String::as_str).collect();
        generator::produce(&target, topic, sends, pace)
    }

    pub fn consume(&self, topic: &str, pulls: u32, pace: &[&str]) -> Value {
        let mut command = generator::bench("consume", &[], topic);
        command.args(self.target()).args(["-i", &pulls.to_string()]).args(pace);
        generator::report(command)
    }
}

/// Memory of these processes together.
fn mib(pids: &[u32], key: &str) -> f64 {
    pids.iter().map(|pid| status_kib(*pid, key)).sum::<f64>() / 1024.0
}

impl Echo {
    fn start() -> Self {
        let mut command = skua();
        command.args(["bench", "echo"]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the skua binary runs");
        let mut addr = String::new();
        let output = child.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut addr).expect("its address");
        Self { child, addr: addr.trim().to_owned(), scene: Scene::new() }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}
