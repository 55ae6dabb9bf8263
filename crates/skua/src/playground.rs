//! `skua playground`: a whole cluster on this machine, each server a process of its own with a
//! configuration file to look at; servers can be killed, frozen and started again meanwhile.

use std::fs::{self, File};
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;

use crate::signals::Signals;

/// Between the ports of two brokers, each of which takes its own, two below and one above.
const PORT_STEP: u16 = 10;
/// Time for a server to end when asked to.
const STOP: Duration = Duration::from_secs(10);

/// The kind of cluster; the names are RocketMQ's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// One broker
    #[value(name = "single")]
    Single,
    /// Two masters
    #[value(name = "2m")]
    TwoMasters,
    /// Two masters, each with a slave that follows
    #[value(name = "2m-2s-async")]
    TwoSlavesAsync,
    /// Two masters, each with a slave that has every message before its send is answered
    #[value(name = "2m-2s-sync")]
    TwoSlavesSync,
    /// Three brokers that elect their master
    #[value(name = "raft")]
    Raft,
}

#[derive(Args)]
pub struct Playground {
    pub mode: Mode,
    /// Folder for configuration files, data and logs; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "skua-playground")]
    pub dir: PathBuf,
    /// Number of name servers
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=8))]
    pub namesrvs: u16,
    /// Port of the first name server; the others follow
    #[arg(long, value_name = "PORT", default_value_t = 9876)]
    pub namesrv_port: u16,
    /// Port of the first broker; the others follow in steps of ten
    #[arg(long, value_name = "PORT", default_value_t = 10911)]
    pub listen_port: u16,
}

/// One server.
struct Node {
    name: String,
    /// What it is, for people.
    role: String,
    addr: String,
    dir: PathBuf,
    /// Program of `skua` and its configuration file.
    program: &'static str,
    file: PathBuf,
    child: Option<Child>,
    frozen: bool,
}

impl Node {
    fn start(&mut self) -> anyhow::Result<()> {
        ensure!(!self.is_running(), "{} is running", self.name);
        let log = File::options().create(true).append(true).open(self.dir.join("server.log"))?;
        let errors = log.try_clone()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(self.program).arg("-c").arg(&self.file).current_dir(&self.dir);
        // Not this terminal's Ctrl-C: the playground ends them in order.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        self.child = Some(child.with_context(|| format!("cannot start {}", self.name))?);
        self.frozen = false;
        Ok(())
    }

    fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    fn signal(&mut self, signal: Signal) -> anyhow::Result<()> {
        ensure!(self.is_running(), "{} is not running", self.name);
        let pid = self.child.as_ref().map(Child::id).and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.and_then(Pid::from_raw).context("a process has an id")?;
        kill_process(pid, signal)?;
        match signal {
            Signal::STOP => self.frozen = true,
            Signal::CONT => self.frozen = false,
            _ => {}
        }
        Ok(())
    }

    /// Ends it and waits for that.
    fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        if self.frozen && signal != Signal::KILL {
            self.signal(Signal::CONT)?;
        }
        self.signal(signal)?;
        let deadline = Instant::now() + STOP;
        while self.is_running() {
            if Instant::now() > deadline {
                self.signal(Signal::KILL)?;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn state(&mut self) -> &'static str {
        match (self.is_running(), self.frozen) {
            (true, false) => "running",
            (true, true) => "frozen",
            (false, _) => "stopped",
        }
    }
}

/// All servers, the name servers first.
struct Cluster {
    nodes: Vec<Node>,
    namesrv: String,
}

impl Cluster {
    /// Writes the configuration files.
    fn new(args: &Playground) -> anyhow::Result<Self> {
        let dir = &args.dir;
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let dir = dir.canonicalize()?;
        let mut nodes = Vec::new();
        let mut addrs = Vec::new();
        for nth in 0..args.namesrvs {
            let port = args.namesrv_port.checked_add(nth).context("a port below 65536")?;
            let name = format!("namesrv-{}", nth + 1);
            let addr = format!("127.0.0.1:{port}");
            let folder = folder(&dir, &name)?;
            let text =
                format!("listenPort={port}\nkvConfigPath={}/kvConfig.json\n", folder.display());
            nodes.push(node(&name, "name server", &addr, folder, "namesrv", &text)?);
            addrs.push(addr);
        }
        let namesrv = addrs.join(";");
        let ports = (0..brokers(args.mode).len()).map(|nth| {
            let steps = u16::try_from(nth).ok().and_then(|nth| nth.checked_mul(PORT_STEP));
            let port = steps.and_then(|steps| args.listen_port.checked_add(steps));
            port.filter(|port| *port < u16::MAX - PORT_STEP).context("ports below 65536")
        });
        let ports = ports.collect::<anyhow::Result<Vec<u16>>>()?;
        for ((name, broker_name, role), port) in brokers(args.mode).iter().zip(&ports) {
            let port = *port;
            let folder = folder(&dir, name)?;
            let text = if args.mode == Mode::Raft {
                let own = broker_conf(broker_name, "ASYNC_MASTER", port, &namesrv, &folder);
                own + &member_conf(role, &ports)
            } else {
                broker_conf(broker_name, role, port, &namesrv, &folder)
            };
            let addr = format!("127.0.0.1:{port}");
            nodes.push(node(name, role, &addr, folder, "broker", &text)?);
        }
        Ok(Self { nodes, namesrv })
    }

    fn node(&mut self, name: Option<&str>) -> anyhow::Result<&mut Node> {
        let name = name.context("which server? `status` shows their names")?;
        let found = self.nodes.iter_mut().find(|node| node.name == name);
        found.with_context(|| format!("there is no server {name}; `status` shows their names"))
    }

    fn show(&mut self) {
        tell!("{:<12} {:<13} {:<18} {:>8}  state", "name", "role", "address", "pid");
        for node in &mut self.nodes {
            let state = node.state();
            let pid = node.child.as_ref().filter(|_| state != "stopped").map(Child::id);
            let pid = pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
            tell!("{:<12} {:<13} {:<18} {pid:>8}  {state}", node.name, node.role, node.addr);
        }
    }

    /// One line of what was typed; false if it is the end.
    fn obey(&mut self, line: &str) -> anyhow::Result<bool> {
        let mut words = line.split_whitespace();
        let (verb, name) = (words.next(), words.next());
        match verb {
            None => {}
            Some("status") => self.show(),
            Some("kill") => self.node(name)?.end(Signal::KILL)?,
            Some("stop") => self.node(name)?.end(Signal::TERM)?,
            Some("freeze") => self.node(name)?.signal(Signal::STOP)?,
            Some("thaw") => self.node(name)?.signal(Signal::CONT)?,
            Some("start") => self.node(name)?.start()?,
            Some("restart") => {
                let node = self.node(name)?;
                if node.is_running() {
                    node.end(Signal::TERM)?;
                }
                node.start()?;
            }
            Some("quit" | "exit") => return Ok(false),
            Some("help") => tell!("{HELP}"),
            Some(other) => bail!("`{other}` is none of: {HELP}"),
        }
        Ok(true)
    }

    fn end(&mut self) {
        for node in self.nodes.iter_mut().rev().filter(|node| node.child.is_some()) {
            if node.is_running() && node.end(Signal::TERM).is_err() {
                eprintln!("{} did not end", node.name);
            }
        }
    }
}

const HELP: &str =
    "status | kill NAME | stop NAME | freeze NAME | thaw NAME | start NAME | restart NAME | quit";

/// Server, broker name, role of each broker.
fn brokers(mode: Mode) -> &'static [(&'static str, &'static str, &'static str)] {
    match mode {
        Mode::Single => &[("broker-a", "broker-a", "ASYNC_MASTER")],
        Mode::TwoMasters => {
            &[("broker-a", "broker-a", "ASYNC_MASTER"), ("broker-b", "broker-b", "ASYNC_MASTER")]
        }
        Mode::TwoSlavesAsync => &[
            ("broker-a", "broker-a", "ASYNC_MASTER"),
            ("broker-a-s", "broker-a", "SLAVE"),
            ("broker-b", "broker-b", "ASYNC_MASTER"),
            ("broker-b-s", "broker-b", "SLAVE"),
        ],
        Mode::TwoSlavesSync => &[
            ("broker-a", "broker-a", "SYNC_MASTER"),
            ("broker-a-s", "broker-a", "SLAVE"),
            ("broker-b", "broker-b", "SYNC_MASTER"),
            ("broker-b-s", "broker-b", "SLAVE"),
        ],
        Mode::Raft => &[
            ("broker-n0", "broker-a", "n0"),
            ("broker-n1", "broker-a", "n1"),
            ("broker-n2", "broker-a", "n2"),
        ],
    }
}

/// The keys of a group's member, which is called `self_id`.
fn member_conf(self_id: &str, ports: &[u16]) -> String {
    let peers =
        ports.iter().enumerate().map(|(nth, port)| format!("n{nth}-127.0.0.1:{}", port + 2));
    format!(
        "enableDLegerCommitLog=true\ndLegerGroup=broker-a\ndLegerPeers={}\ndLegerSelfId={self_id}\n",
        peers.collect::<Vec<_>>().join(";")
    )
}

fn broker_conf(broker_name: &str, role: &str, port: u16, namesrv: &str, folder: &Path) -> String {
    let id = u8::from(role == "SLAVE");
    format!(
        "brokerClusterName=playground\nbrokerName={broker_name}\nbrokerId={id}\nbrokerRole={role}\n\
         flushDiskType=ASYNC_FLUSH\nnamesrvAddr={namesrv}\nlistenPort={port}\nhaListenPort={ha}\n\
         brokerIP1=127.0.0.1\nbrokerIP2=127.0.0.1\nstorePathRootDir={dir}/store\n\
         storePathCommitLog={dir}/store/commitlog\nmappedFileSizeCommitLog=67108864\n\
         # Consumers go on reading from the slave when the master is gone.\nslaveReadEnable=true\n",
        ha = port.saturating_add(1),
        dir = folder.display(),
    )
}

fn folder(dir: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let folder = dir.join(name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

fn node(
    name: &str,
    role: &str,
    addr: &str,
    dir: PathBuf,
    program: &'static str,
    text: &str,
) -> anyhow::Result<Node> {
    let file = dir.join(format!("{program}.conf"));
    // What was changed by hand stays.
    if !file.exists() {
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let (name, role, addr) = (name.to_owned(), role.to_owned(), addr.to_owned());
    Ok(Node { name, role, addr, dir, program, file, child: None, frozen: false })
}

/// Runs until told to quit, or a signal.
pub async fn run(args: Playground, mut signals: Signals) -> anyhow::Result<()> {
    let mut cluster = Cluster::new(&args)?;
    for node in &mut cluster.nodes {
        node.start()?;
    }
    cluster.show();
    tell!("\nconfiguration, data and logs: {}", args.dir.display());
    tell!("try: skua mqadmin clusterList -n '{}'", cluster.namesrv);
    tell!("{HELP}");
    let mut lines = typed();
    loop {
        let line = tokio::select! {
            line = lines.recv() => line,
            _ = signals.next() => break,
        };
        match line {
            Some(line) => match cluster.obey(&line) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => eprintln!("{error:#}"),
            },
            // Nobody types: it runs until a signal comes.
            None => {
                signals.next().await;
                break;
            }
        }
    }
    cluster.end();
    Ok(())
}

/// The lines of standard input; a thread of its own reads them, which ends with the process.
fn typed() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}
