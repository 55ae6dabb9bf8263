//! A network of its own for a test: one namespace a server, joined by a bridge, which stands in a
//! namespace, too. Each namespace is held by a process that the kernel kills with this one, so
//! nothing is left however a test ends.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::wait::wait_until;
use crate::{files, process};

/// An address that no interface in the network has: what goes there is lost without a word.
const NOBODY: &str = "02:00:00:00:00:fe";

/// What the clock of a process shows, for `LD_PRELOAD`.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *at) {
    int failed = (int)syscall(SYS_clock_gettime, clock, at);
    const char *ahead = getenv("AHEAD_MS");
    if (!failed && ahead && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        long long ms = atoll(ahead);
        at->tv_sec += ms / 1000;
    }
    return failed;
}
"#;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Where a server runs: here or in a namespace, and what else it sees of the machine.
#[derive(Clone, Debug)]
pub struct Place {
    pub ip: Ipv4Addr,
    /// Of a namespace: its path.
    net: Option<String>,
    /// A file of host names of its own.
    names: Option<PathBuf>,
    /// Another clock: the library that sets it, and by how many milliseconds.
    clock: Option<(PathBuf, i64)>,
    is_told_its_address: bool,
}

impl Default for Place {
    fn default() -> Self {
        let ip = Ipv4Addr::LOCALHOST;
        Self { ip, net: None, names: None, clock: None, is_told_its_address: true }
    }
}

impl Place {
    pub fn is_here(&self) -> bool {
        self.net.is_none()
    }

    /// This machine with a file of host names of its own (`/etc/hosts`), which may change. `None`,
    /// and a notice, where that cannot be: it takes root.
    pub fn with_names(names: &Path) -> Option<Self> {
        let made = Command::new("unshare").args(["--mount", "true"]).stderr(Stdio::null()).status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("NOTICE: not tested, since no mount namespace can be made here");
            return None;
        }
        Some(Self::default().and_names(names))
    }

    /// The same place with a file of host names of its own.
    #[must_use]
    pub fn and_names(self, names: &Path) -> Self {
        Self { names: Some(names.to_owned()), ..self }
    }

    /// This machine with a clock that shows so many milliseconds more than it does; files have the
    /// kernel's time all the same. `folder` is for the library that does it. `None`, and a notice,
    /// where it cannot be made.
    pub fn with_clock(folder: &Path, ahead_ms: i64) -> Option<Self> {
        let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
        fs::write(&source, CLOCK).expect("a file");
        let mut make = Command::new("cc");
        make.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
        if !make.status().is_ok_and(|status| status.success()) {
            eprintln!("NOTICE: not tested, since there is no `cc` to make another clock with");
            return None;
        }
        Some(Self { clock: Some((library, ahead_ms)), ..Self::default() })
    }

    /// The same place, where a broker is not told its address (`brokerIP1`): it finds one itself.
    #[must_use]
    pub fn untold(self) -> Self {
        Self { is_told_its_address: false, ..self }
    }

    /// What a broker here is told as `brokerIP1`.
    pub(crate) fn told_address(&self) -> Option<Ipv4Addr> {
        self.is_told_its_address.then_some(self.ip)
    }

    /// The address that Java's broker finds for itself here.
    ///
    /// # Panics
    /// When the JVM does not tell.
    pub fn java_address(&self) -> String {
        files::cache();
        // Java finds out what is a bridge under `/sys`, which shows another network until mounted.
        let mut inside = process::command("unshare");
        let script = "mount -t sysfs sysfs /sys && exec \"$@\"";
        inside.args(["--mount", "--", "sh", "-c", script, "sh"]).arg(files::java_server());
        let output = self.command(&inside).arg("address").output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "Java's address: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// `command` as one that runs in this place.
    pub(crate) fn command(&self, command: &Command) -> Command {
        let mut inside = Command::new(command.get_program());
        copy(command, &mut inside);
        if let Some((library, ahead_ms)) = &self.clock {
            inside.env("LD_PRELOAD", library).env("AHEAD_MS", ahead_ms.to_string());
        }
        if let Some(names) = &self.names {
            let mut outer = process::command("unshare");
            let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
            outer.args(["--mount", "--", "sh", "-c", script]).arg(names);
            inside = inner(outer, &inside);
        }
        if let Some(namespace) = &self.net {
            let mut outer = process::command("nsenter");
            outer.arg(format!("--net={namespace}")).arg("--");
            inside = inner(outer, &inside);
        }
        inside
    }
}

/// `outer`, which runs what follows its arguments, around `command`.
fn inner(mut outer: Command, command: &Command) -> Command {
    outer.arg(command.get_program());
    copy(command, &mut outer);
    outer
}

/// Arguments, folder and variables.
fn copy(from: &Command, to: &mut Command) {
    to.args(from.get_args());
    if let Some(folder) = from.get_current_dir() {
        to.current_dir(folder);
    }
    for (key, value) in from.get_envs() {
        if let Some(value) = value {
            to.env(key, value);
        }
    }
}

/// A namespace, there as long as its process.
#[derive(Debug)]
struct Namespace(Child);

impl Namespace {
    fn make() -> Option<Self> {
        let mut command = process::command("unshare");
        command.args(["--net", "sleep", "infinity"]).stdin(Stdio::null()).stderr(Stdio::null());
        let mut made = Self(command.spawn().ok()?);
        let own = fs::read_link("/proc/self/ns/net").ok()?;
        let path = made.path();
        let made_it = wait_until("a namespace", Duration::from_secs(30), || {
            if made.0.try_wait().is_ok_and(|ended| ended.is_some()) {
                return Some(false);
            }
            (fs::read_link(&path).ok()? != own).then_some(true)
        });
        made_it.then_some(made)
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }

    fn try_run(&self, line: &str) -> Output {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path())).args(line.split(' '));
        command.output().unwrap_or_else(|e| panic!("nsenter: {e}"))
    }

    fn run(&self, line: &str) {
        let output = self.try_run(line);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{line}: {said}");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The bridge, and this process's way to it.
#[derive(Debug)]
pub struct Net {
    hub: Namespace,
    subnet: [u8; 3],
    nodes: u8,
}

impl Net {
    /// `None`, and a notice, where no namespaces can be made.
    pub fn start() -> Option<Self> {
        let made = Self::try_start();
        if let Err(why) = &made {
            eprintln!("NOTICE: not tested, since no network namespace can be made here: {why}");
        }
        made.ok()
    }

    fn try_start() -> Result<Self, String> {
        for tool in ["ip", "tc", "ss", "nsenter", "unshare"] {
            let found = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"]
                .iter()
                .any(|folder| Path::new(folder).join(tool).exists());
            if !found {
                return Err(format!("there is no `{tool}`"));
            }
        }
        let hub = Namespace::make().ok_or("unshare --net failed: root is needed")?;
        hub.run("ip link add name switch type bridge");
        hub.run("ip link set switch up");
        // This process's end of a cable to the bridge. 198.18.0.0/15 is for tests of networks.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let start = std::process::id().wrapping_mul(4).wrapping_add(number);
        let name = format!("sk{start}");
        let peer = hub.0.id();
        let add = format!("link add {name} type veth peer name here netns {peer}");
        let added = Command::new("ip").args(add.split(' ')).output().map_err(|e| e.to_string())?;
        if !added.status.success() {
            return Err(String::from_utf8_lossy(&added.stderr).trim().to_owned());
        }
        hub.run("ip link set here master switch up");
        let routes = Command::new("ip").args(["route"]).output().map_err(|e| e.to_string())?;
        let routes = String::from_utf8_lossy(&routes.stdout).into_owned();
        let subnet = (0..512)
            .map(|n| (start.wrapping_add(n)) % 512)
            .map(|n| [198, 18 + (n / 256) as u8, (n % 256) as u8])
            .find(|[a, b, c]| !routes.contains(&format!("{a}.{b}.{c}.0/24")))
            .ok_or("all of 198.18.0.0/15 is in use")?;
        let [a, b, c] = subnet;
        for line in [format!("addr add {a}.{b}.{c}.1/24 dev {name}"), format!("link set {name} up")]
        {
            let status = Command::new("ip").args(line.split(' ')).status();
            assert!(status.is_ok_and(|s| s.success()), "ip {line}");
        }
        Ok(Self { hub, subnet, nodes: 0 })
    }

    /// This process's own address in the network.
    pub fn here(&self) -> Ipv4Addr {
        let [a, b, c] = self.subnet;
        Ipv4Addr::new(a, b, c, 1)
    }

    /// One more machine.
    pub fn node(&mut self) -> Node {
        self.nodes += 1;
        let [a, b, c] = self.subnet;
        let ip = Ipv4Addr::new(a, b, c, 10 + self.nodes);
        let own = Namespace::make().expect("made one already");
        let (port, hub) = (format!("port{}", self.nodes), self.hub.0.id());
        own.run(&format!("ip link add eth0 type veth peer name {port} netns {hub}"));
        self.hub.run(&format!("ip link set {port} master switch up"));
        own.run(&format!("ip addr add {ip}/24 dev eth0"));
        own.run("ip link set lo up");
        own.run("ip link set eth0 up");
        let hub = self.hub.path();
        Node { own, hub, port, ip }
    }
}

/// A machine in the network.
#[derive(Debug)]
pub struct Node {
    own: Namespace,
    hub: String,
    port: String,
    pub ip: Ipv4Addr,
}

impl Node {
    pub fn place(&self) -> Place {
        Place { ip: self.ip, net: Some(self.own.path()), ..Place::default() }
    }

    /// One more network card, with this address and network, such as `10.1.0.5/24`. `eth0` is the
    /// first.
    pub fn card(&self, name: &str, address: &str) {
        self.own.run(&format!("ip link add {name} type veth peer name {name}-p"));
        self.own.run(&format!("ip link set {name}-p up"));
        self.set_up(name, address);
    }

    /// One more bridge, as containers have them.
    pub fn bridge(&self, name: &str, address: &str) {
        self.own.run(&format!("ip link add {name} type bridge"));
        self.set_up(name, address);
    }

    fn set_up(&self, name: &str, address: &str) {
        self.own.run(&format!("ip addr add {address} dev {name}"));
        self.own.run(&format!("ip link set {name} up"));
    }

    /// Runs `ip` here with these words.
    pub fn ip(&self, words: &str) {
        self.own.run(&format!("ip {words}"));
    }

    /// From now on nothing from here reaches `to`; what comes from there does arrive.
    pub fn lose(&self, to: Ipv4Addr) {
        self.own.run(&format!("ip neigh replace {to} lladdr {NOBODY} dev eth0 nud permanent"));
    }

    /// The end of [`Node::lose`].
    pub fn find(&self, to: Ipv4Addr) {
        self.own.run(&format!("ip neigh del {to} dev eth0"));
    }

    /// From now on there is no way to `to`, and who asks for one is told.
    pub fn unroute(&self, to: Ipv4Addr) {
        self.own.run(&format!("ip route add unreachable {to}/32"));
    }

    pub fn route(&self, to: Ipv4Addr) {
        self.own.run(&format!("ip route del unreachable {to}/32"));
    }

    fn cable(&self, state: &str) {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.hub));
        let status = command.args(["ip", "link", "set", &self.port, state]).status();
        assert!(status.is_ok_and(|s| s.success()), "{} {state}", self.port);
    }

    /// Its cable is pulled out of the bridge.
    pub fn unplug(&self) {
        self.cable("down");
    }

    pub fn plug(&self) {
        self.cable("up");
    }

    /// What leaves here is held to this many bits a second, such as `2mbit`.
    pub fn narrow(&self, rate: &str) {
        let shape = "burst 16kb latency 300ms";
        self.own.run(&format!("tc qdisc replace dev eth0 root tbf rate {rate} {shape}"));
    }

    pub fn widen(&self) {
        self.own.run("tc qdisc del dev eth0 root");
    }

    /// Resets every TCP connection between here and `other`.
    pub fn reset(&self, other: Ipv4Addr) {
        self.own.run(&format!("ss --kill state established dst {other}"));
    }
}
