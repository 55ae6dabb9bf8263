use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::files;
use crate::net::Place;
use crate::ports;
use crate::process::{self, Process};
use crate::scene::Scene;
use crate::wait::wait_until;
use crate::wire;

/// A Java broker on a busy machine: seconds to start, and it registers up to ten later.
const START: Duration = Duration::from_secs(120);

/// Whose server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Skua,
    Java,
}

impl Kind {
    /// The server under test: Skua, unless `SKUA_INTEROP_SERVER=java`.
    pub fn under_test() -> Self {
        match std::env::var("SKUA_INTEROP_SERVER").as_deref() {
            Ok("java") => Self::Java,
            Ok("skua") | Err(_) => Self::Skua,
            Ok(other) => panic!("SKUA_INTEROP_SERVER={other}: `skua` or `java`"),
        }
    }
}

/// The `skua` binary, to be given arguments.
pub fn skua() -> Command {
    process::command(files::skua_binary())
}

/// A name server on its own port.
#[derive(Debug)]
pub struct Namesrv {
    pub addr: String,
    pub process: Process,
}

impl Namesrv {
    pub fn start(scene: &Scene, kind: Kind) -> Self {
        Self::start_as(scene, kind, "namesrv", &Place::default(), &Tuning::default())
    }

    /// Starts it in this place, with a folder of this name.
    pub fn start_at(scene: &Scene, kind: Kind, name: &str, place: &Place) -> Self {
        Self::start_as(scene, kind, name, place, &Tuning::default())
    }

    pub fn start_tuned(scene: &Scene, kind: Kind, tuning: &Tuning) -> Self {
        Self::start_as(scene, kind, "namesrv", &Place::default(), tuning)
    }

    fn start_as(scene: &Scene, kind: Kind, name: &str, place: &Place, tuning: &Tuning) -> Self {
        let port = if place.is_here() { ports::free() } else { 9876 };
        let dir = scene.folder(name);
        let command = match kind {
            Kind::Java => {
                files::cache();
                let mut command = process::command(files::java_server());
                command.arg("namesrv").arg(&dir).arg(port.to_string()).args(&tuning.settings);
                if let Some(options) = tuning.java_options {
                    command.env("SKUA_JAVA_OPTS", options);
                }
                command
            }
            Kind::Skua => {
                let file = dir.join("namesrv.conf");
                let kv = dir.join("kvConfig.json");
                let own = tuning.settings.join("\n");
                let text = format!("listenPort={port}\nkvConfigPath={}\n{own}\n", kv.display());
                fs::write(&file, text).expect("a configuration file");
                let mut command = skua();
                command.arg("namesrv").arg("-c").arg(file).current_dir(&dir);
                command
            }
        };
        let mut process = Process::start(&mut place.command(&command), dir.join("namesrv.log"));
        wait_until("the name server's port", START, || {
            process.assert_alive();
            TcpStream::connect((place.ip, port)).ok()
        });
        Self { addr: format!("{}:{port}", place.ip), process }
    }
}

/// What a server is given beyond the tests' own settings.
#[derive(Clone, Debug, Default)]
pub struct Tuning {
    /// Lines for its configuration, `key=value`; they win over the tests' own.
    pub settings: Vec<&'static str>,
    /// In place of the small heap and the quick compiler of a Java server in tests.
    pub java_options: Option<&'static str>,
}

/// A broker registered at a name server.
#[derive(Debug)]
pub struct Broker {
    pub addr: String,
    pub process: Process,
    kind: Kind,
    dir: PathBuf,
    namesrv: String,
    port: u16,
    tuning: Tuning,
    place: Place,
}

impl Broker {
    /// Starts broker `name` (its id is 0, its cluster `DefaultCluster`).
    pub fn start(scene: &Scene, kind: Kind, name: &str, namesrv: &str) -> Self {
        let mut broker = Self::start_tuned(scene, kind, name, namesrv, Tuning::default());
        broker.wait_registered();
        broker
    }

    /// As [`Broker::start`], but does not wait until the broker is registered.
    pub fn start_tuned(
        scene: &Scene,
        kind: Kind,
        name: &str,
        namesrv: &str,
        tuning: Tuning,
    ) -> Self {
        Self::start_at(scene, kind, name, namesrv, tuning, Place::default())
    }

    /// As [`Broker::start_tuned`], in this place.
    pub fn start_at(
        scene: &Scene,
        kind: Kind,
        name: &str,
        namesrv: &str,
        tuning: Tuning,
        place: Place,
    ) -> Self {
        let port = if place.is_here() { ports::free() } else { 10911 };
        let dir = scene.folder(name);
        let process = Self::launch(kind, &dir, port, namesrv, &tuning, &place);
        let addr = format!("{}:{port}", place.ip);
        let namesrv = namesrv.to_owned();
        Self { addr, process, kind, dir, namesrv, port, tuning, place }
    }

    fn launch(
        kind: Kind,
        dir: &Path,
        port: u16,
        namesrv: &str,
        tuning: &Tuning,
        place: &Place,
    ) -> Process {
        let name = dir.file_name().and_then(|n| n.to_str()).expect("named by `start`");
        let command = match kind {
            Kind::Java => {
                files::cache();
                let mut command = process::command(files::java_server());
                command.arg("broker").arg(dir).args([&port.to_string(), namesrv]);
                command.arg(format!("brokerName={name}")).args(&tuning.settings);
                if let Some(options) = tuning.java_options {
                    command.env("SKUA_JAVA_OPTS", options);
                }
                command
            }
            Kind::Skua => {
                let told = place.told_address().map(|ip| format!("brokerIP1={ip}\n"));
                let text = format!(
                    "brokerClusterName=DefaultCluster\nbrokerName={name}\nbrokerId=0\n\
                     {2}listenPort={port}\nstorePathRootDir={0}/store\n\
                     storePathCommitLog={0}/store/commitlog\nmappedFileSizeCommitLog=67108864\n\
                     diskSpaceWarningLevelRatio=99\n{1}\n",
                    dir.display(),
                    tuning.settings.join("\n"),
                    told.unwrap_or_default()
                );
                let file = dir.join("broker.conf");
                // What was changed at run time stays over a restart.
                if !file.exists() {
                    fs::write(file, text).expect("a configuration file");
                }
                let mut command = skua();
                command.args(["broker", "-n", namesrv, "-c"]).arg(dir.join("broker.conf"));
                command.current_dir(dir);
                command
            }
        };
        Process::start(&mut place.command(&command), dir.join("broker.log"))
    }

    /// Where its files are (`storePathRootDir`).
    pub fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    pub fn wait_registered(&mut self) {
        wait_until("the broker in the name server's cluster list", START, || {
            self.process.assert_alive();
            TcpStream::connect(&self.addr).ok()?;
            let one = self.namesrv.split(';').next()?;
            wire::cluster_list(one)?.contains(&self.addr).then_some(())
        });
    }

    /// The folder of its commit log.
    pub fn commit_log(&self) -> PathBuf {
        self.store().join("commitlog")
    }

    /// The files of its commit log without trailing zeros.
    pub fn log(&self) -> BTreeMap<String, Vec<u8>> {
        log_files(&self.commit_log())
    }

    /// As `kill -9`, and starts it again on the same folder and port.
    pub fn crash(&mut self) {
        self.process.kill();
        self.start_again(self.kind);
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(&mut self) {
        self.process.terminate();
        self.process.wait(START);
    }

    /// After its end: starts a broker of this kind on the same folder and port.
    pub fn start_again(&mut self, kind: Kind) {
        if kind != self.kind {
            fs::remove_file(self.dir.join("broker.conf")).expect("of the other kind");
            self.kind = kind;
        }
        self.launch_again();
        self.wait_registered();
    }

    /// Lines for its next start, which win; what was changed at run time is forgotten.
    pub fn set(&mut self, settings: &[&'static str]) {
        self.tuning.settings.extend(settings);
        if self.kind == Kind::Skua {
            fs::remove_file(self.dir.join("broker.conf")).expect("made at its start");
        }
    }

    /// After its end: starts it on the same folder and port, and waits for nothing.
    pub fn launch_again(&mut self) {
        let Self { kind, dir, port, namesrv, tuning, place, .. } = self;
        self.process = Self::launch(*kind, dir, *port, namesrv, tuning, place);
    }
}

/// What most tests want: one name server and one broker.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a test has one")]
pub enum Cluster {
    /// `skua standalone`: both in one process.
    Standalone {
        dir: PathBuf,
        namesrv: String,
        ports: (u16, u16),
        process: Process,
    },
    Pair {
        namesrv: Namesrv,
        broker: Broker,
    },
}

impl Cluster {
    /// The group pops the topic's messages from now on.
    ///
    /// # Panics
    /// When Java's mqadmin cannot set that.
    pub fn consume_by_pop(&self, topic: &str, group: &str) {
        let broker = self.broker();
        let words = ["setConsumeMode", "-n", self.namesrv(), "-b", &broker, "-m", "POP", "-q", "0"];
        mqadmin(&[&words[..], &["-t", topic, "-g", group]].concat());
    }

    /// Starts the servers under test.
    pub fn start(scene: &Scene) -> Self {
        Self::start_of(scene, Kind::under_test())
    }

    pub fn start_of(scene: &Scene, kind: Kind) -> Self {
        match kind {
            Kind::Java => {
                let namesrv = Namesrv::start(scene, Kind::Java);
                let broker = Broker::start(scene, Kind::Java, "broker-a", &namesrv.addr);
                Self::Pair { namesrv, broker }
            }
            Kind::Skua => {
                let mut cluster = Self::launch_standalone(scene);
                cluster.wait_ready();
                cluster
            }
        }
    }

    /// Starts `skua standalone` and does not wait for anything.
    pub fn launch_standalone(scene: &Scene) -> Self {
        let dir = scene.folder("skua");
        let ports = (ports::free(), ports::free());
        let process = standalone(&dir, ports);
        let namesrv = format!("127.0.0.1:{}", ports.0);
        Self::Standalone { dir, namesrv, ports, process }
    }

    pub fn namesrv(&self) -> &str {
        match self {
            Self::Standalone { namesrv, .. } => namesrv,
            Self::Pair { namesrv, .. } => &namesrv.addr,
        }
    }

    /// Where sends and pulls go.
    pub fn broker(&self) -> String {
        match self {
            Self::Standalone { ports, .. } => format!("127.0.0.1:{}", ports.1),
            Self::Pair { broker, .. } => broker.addr.clone(),
        }
    }

    fn wait_ready(&mut self) {
        if let Self::Standalone { namesrv, process, .. } = self {
            wait_until("the broker in the name server's cluster list", START, || {
                process.assert_alive();
                wire::cluster_list(namesrv)?.contains("brokerAddrs").then_some(())
            });
        }
    }

    /// As `kill -9` of the broker (of the whole process when standalone), and starts it again.
    pub fn crash(&mut self) {
        match self {
            Self::Standalone { dir, ports, process, .. } => {
                process.kill();
                *process = standalone(dir, *ports);
                self.wait_ready();
            }
            Self::Pair { broker, .. } => broker.crash(),
        }
    }

    /// The ids of all its processes.
    pub fn processes(&self) -> Vec<u32> {
        match self {
            Self::Standalone { process, .. } => vec![process.id()],
            Self::Pair { namesrv, broker } => vec![namesrv.process.id(), broker.process.id()],
        }
    }

    /// The process that serves sends and pulls.
    pub fn process(&mut self) -> &mut Process {
        match self {
            Self::Standalone { process, .. } => process,
            Self::Pair { broker, .. } => &mut broker.process,
        }
    }
}

fn standalone(dir: &Path, (namesrv, listen): (u16, u16)) -> Process {
    let mut command = skua();
    command.arg("standalone").arg("--data").arg(dir.join("store")).current_dir(dir);
    command.args(["--namesrv-port", &namesrv.to_string(), "--listen-port", &listen.to_string()]);
    // Not the card that another test has for a moment.
    command.args(["--advertise", "127.0.0.1"]);
    Process::start(&mut command, dir.join("standalone.log"))
}

/// Runs one command of the Java mqadmin and gives what it prints on both outputs.
///
/// # Panics
/// When it exits with an error.
/// The benchmark of the Java broker's store (`java/store/StoreBench.java`), to be given arguments.
pub fn java_store_bench(java_options: &str) -> Command {
    files::cache();
    let mut command = process::command(files::java_server());
    command.arg("store-bench").env("SKUA_JAVA_OPTS", java_options);
    command
}

pub fn mqadmin(arguments: &[&str]) -> String {
    run_mqadmin(&mut process::command(files::java_server()), arguments)
}

/// As [`mqadmin`], with what it writes into the folder for temporary files kept in `temporary`.
///
/// # Panics
/// When it exits with an error.
pub fn mqadmin_writing(temporary: &Path, arguments: &[&str]) -> String {
    let mut command = process::command(files::java_server());
    run_mqadmin(command.env("SKUA_JAVA_TMP", temporary), arguments)
}

fn run_mqadmin(command: &mut Command, arguments: &[&str]) -> String {
    files::cache();
    let output = command.arg("mqadmin").args(arguments).output();
    let output = output.expect("java-server is a script of this folder");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "mqadmin {arguments:?}: {}\n{text}", output.status);
    text
}

/// The files of a commit log without trailing zeros, by name; those with nothing else are left out.
pub fn log_files(commit_log: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(commit_log).into_iter().flatten().flatten() {
        let mut bytes = fs::read(entry.path()).unwrap_or_default();
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        bytes.truncate(end);
        if end > 0 {
            files.insert(entry.file_name().to_string_lossy().into_owned(), bytes);
        }
    }
    files
}
