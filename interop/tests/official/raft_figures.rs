//! Figures of groups that elect their master, printed as tables for Markdown, for Skua and for
//! Java; they need a quiet machine, so nothing is measured unless asked for:
//!
//! - `FAILOVERS=20`: from `kill -9` of the master under load to the next good send, that often, for
//!   Skua's group, Java's DLedger and Java's controller mode.
//! - `RAFT_RATES=5`: sends a second with 1, 16 and 64 under way, that many seconds each, for
//!   Skua's group, Skua's replication and Java's DLedger. `ROUNDS=3` gives the median of three.
//!
//! `OF=Java` measures those alone whose name has it.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skua_interop::{
    Broker, Client, Driver, Kind, Namesrv, Scene, Tuning, free_port, skua, wait_until, wire,
};
use skua_seeds::number;

/// So long after the name server has the next master a client that looks each second has it.
const SETTLED: Duration = Duration::from_millis(1500);
const LIMIT: Duration = Duration::from_secs(300);
/// A member that does not lead waits for the next leader as long as that before it refuses.
const ANSWER: Duration = Duration::from_secs(4);
const SENDERS: [u64; 3] = [1, 16, 64];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    SkuaGroup,
    SkuaAsync,
    SkuaDouble,
    JavaDledger,
    JavaController,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::SkuaGroup => "Skua, group of three",
            Self::SkuaAsync => "Skua, asynchronous slave",
            Self::SkuaDouble => "Skua, double write",
            Self::JavaDledger => "Java 5.5.0, DLedger of three",
            Self::JavaController => "Java 5.5.0, controller, three brokers",
        }
    }

    /// `OF=Java` measures those alone whose name has it.
    fn is_wanted(self) -> bool {
        std::env::var("OF").map_or(true, |part| self.name().contains(&part))
    }

    fn kind(self) -> Kind {
        match self {
            Self::JavaDledger | Self::JavaController => Kind::Java,
            _ => Kind::Skua,
        }
    }
}

/// A setting that is not known before the test runs; tests end with their process.
fn setting(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

struct Side {
    mode: Mode,
    brokers: Vec<Broker>,
    namesrv: Namesrv,
    scene: Scene,
    controller: String,
}

impl Side {
    /// Started, and taking messages of topic `figures`.
    fn start(mode: Mode) -> Self {
        let scene = Scene::new();
        let kind = mode.kind();
        let controller = format!("127.0.0.1:{}", free_port());
        let namesrv = match mode {
            Mode::JavaController => {
                let home = scene.folder("controller");
                let settings = vec![
                    "enableControllerInNamesrv=true",
                    "controllerDLegerGroup=controllers",
                    setting(format!("controllerDLegerPeers=n0-{controller}")),
                    "controllerDLegerSelfId=n0",
                    setting(format!("controllerStorePath={}", home.display())),
                    // Its own default is a file of a gigabyte.
                    "mappedFileSize=67108864",
                ];
                Namesrv::start_tuned(&scene, Kind::Java, &Tuning { settings, java_options: None })
            }
            _ => Namesrv::start(&scene, Kind::Skua),
        };
        let peers: Vec<_> = (0..3).map(|n| format!("n{n}-127.0.0.1:{}", free_port())).collect();
        let peers = peers.join(";");
        let count = if matches!(mode, Mode::SkuaAsync | Mode::SkuaDouble) { 2 } else { 3 };
        let mut brokers = Vec::new();
        let mut master_ha = 0;
        for nth in 0..count {
            let mut settings = vec![
                "brokerName=group",
                "brokerIP2=127.0.0.1",
                "slaveReadEnable=true",
                "mappedFileSizeCommitLog=268435456",
            ];
            match mode {
                Mode::SkuaGroup | Mode::JavaDledger => settings.extend([
                    "enableDLegerCommitLog=true",
                    "dLegerGroup=group",
                    setting(format!("dLegerPeers={peers}")),
                    setting(format!("dLegerSelfId=n{nth}")),
                    "sendMessageThreadPoolNums=16",
                ]),
                Mode::JavaController => settings.extend([
                    "enableControllerMode=true",
                    setting(format!("controllerAddr={controller}")),
                    "brokerId=-1",
                    "brokerRole=SLAVE",
                    "allAckInSyncStateSet=true",
                ]),
                Mode::SkuaAsync | Mode::SkuaDouble if nth == 1 => {
                    settings.extend(["brokerId=1", "brokerRole=SLAVE"]);
                    settings.push(setting(format!("haMasterAddress=127.0.0.1:{master_ha}")));
                }
                Mode::SkuaAsync => settings.push("brokerRole=ASYNC_MASTER"),
                Mode::SkuaDouble => settings.push("brokerRole=SYNC_MASTER"),
            }
            let tuning = Tuning { settings, java_options: Some("-Xms1g -Xmx1g") };
            let name = format!("member-{nth}");
            let broker = Broker::start_tuned(&scene, kind, &name, &namesrv.addr, tuning);
            let port = broker.addr.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
            master_ha = port.expect("given by the test") + 1;
            brokers.push(broker);
        }
        let side = Self { mode, brokers, namesrv, scene, controller };
        side.wait_whole(None);
        side
    }

    /// Whom the name server calls the master.
    fn master(&self) -> Option<String> {
        let list = wire::cluster_list(&self.namesrv.addr)?;
        // Java writes numbers as keys without quotes.
        let start = ["{0:\"", ",0:\"", "\"0\":\""]
            .iter()
            .find_map(|mark| list.find(mark).map(|at| at + mark.len()))?;
        list[start..].split('"').next().map(str::to_owned)
    }

    /// Until there is a master other than `old` that takes messages, and all others follow it.
    fn wait_whole(&self, old: Option<&str>) {
        let deadline = Instant::now() + LIMIT;
        wait_until("a whole group", LIMIT, || {
            assert!(Instant::now() < deadline);
            let master = self.master().filter(|master| Some(master.as_str()) != old)?;
            let list = wire::cluster_list(&self.namesrv.addr)?;
            let all = self.brokers.iter().all(|broker| list.contains(&broker.addr));
            (all && self.is_followed(&master) && wire::send(&master, "figures")).then_some(())
        });
        if self.mode.kind() == Kind::Java {
            // What a new follower lacks is seen nowhere; it is little.
            thread::sleep(Duration::from_secs(3));
        }
    }

    fn is_followed(&self, master: &str) -> bool {
        match self.mode {
            Mode::SkuaGroup => {
                let status = wire::raft_status(master).unwrap_or_default();
                let members = status["members"].as_array().cloned().unwrap_or_default();
                members.len() == 3
                    && members.iter().all(|member| {
                        let heard = member["heardMillis"].as_u64().is_some_and(|ms| ms < 1000);
                        let near = member["lagBytes"].as_u64().is_some_and(|lag| lag < 65536);
                        member["isLeader"] == true || (heard && near)
                    })
            }
            Mode::JavaDledger => true,
            Mode::JavaController => {
                // Who is not in the set of those in sync cannot be elected.
                let asked = wire::call(&self.controller, 1006, json!({}), b"[\"group\"]");
                let body = asked.map(|(_, body)| body).unwrap_or_default();
                let set: Value = serde_json::from_slice(&body).unwrap_or_default();
                let group = &set["replicasInfoTable"]["group"];
                group["inSyncReplicas"].as_array().is_some_and(|members| members.len() == 3)
            }
            Mode::SkuaAsync | Mode::SkuaDouble => wire::is_followed(master),
        }
    }
}

/// `figures`, to queue 0, with a body of any size.
fn send(addr: &str) -> bool {
    let fields = json!({
        "a": "interop", "b": "figures", "c": "TBW102", "d": "4", "e": "0", "f": "0",
        "g": "1700000000000", "h": "0", "i": "", "j": "0", "k": "false", "l": "0", "m": "false",
    });
    let answer = wire::call_within(ANSWER, addr, 310, fields, b"figure");
    answer.is_some_and(|(header, _)| header["code"] == 0)
}

/// Milliseconds from a kill to three events.
struct Times {
    /// A send to any member that is left is answered well.
    server: u128,
    /// The name server has the next master.
    route: u128,
    /// The Java client, which looks up routes each second, has sent something.
    client: u128,
}

fn fail_over(side: &mut Side, driver: &Driver) -> Times {
    let master = side.master().expect("a master");
    let dead = side.brokers.iter().position(|broker| broker.addr == master).expect("one of them");
    let others: Vec<_> =
        side.brokers.iter().map(|broker| broker.addr.clone()).filter(|a| *a != master).collect();
    side.brokers[dead].process.kill();
    let killed = Instant::now();
    let first = Mutex::new(None);
    let is_first = |at: Instant| {
        let mut first = first.lock().expect("no panic under it");
        let known = first.unwrap_or(at);
        *first = Some(known.min(at));
    };
    let is_over = || first.lock().expect("no panic under it").is_some();
    let mut route = None;
    // The client's stop is the longest time without an answer to it; what was answered before the
    // kill may be read after it.
    let (mut longest, mut client) = (Duration::ZERO, killed);
    thread::scope(|scope| {
        for addr in &others {
            scope.spawn(|| {
                while !is_over() && killed.elapsed() < LIMIT {
                    match send(addr) {
                        true => is_first(Instant::now()),
                        false => thread::sleep(Duration::from_millis(5)),
                    }
                }
            });
        }
        let (mut seen, mut heard) = (driver.counted("sent"), killed);
        loop {
            thread::sleep(Duration::from_millis(5));
            assert!(killed.elapsed() < LIMIT, "no route and no send");
            if route.is_none() && side.master().is_some_and(|now| others.contains(&now)) {
                route = Some(Instant::now());
            }
            let (now, count) = (Instant::now(), driver.counted("sent"));
            if std::mem::replace(&mut seen, count) != count {
                let stopped = now - std::mem::replace(&mut heard, now);
                if stopped > longest {
                    (longest, client) = (stopped, now);
                }
            }
            if route.is_some_and(|at| heard > at && now > at + SETTLED) {
                break;
            }
        }
    });
    let first = first.into_inner().expect("no panic under it").expect("a good send");
    let [server, route, client] = [first, route.expect("waited for"), client]
        .map(|at| at.saturating_duration_since(killed).as_millis());
    side.brokers[dead].launch_again();
    side.wait_whole(Some(&master));
    Times { server, route, client }
}

#[test]
fn from_the_kill_of_a_leader_to_the_next_good_send() {
    let Some(rounds) = number("FAILOVERS") else { return };
    let mut rows = Vec::new();
    let modes = [Mode::SkuaGroup, Mode::JavaDledger, Mode::JavaController];
    for mode in modes.into_iter().filter(|mode| mode.is_wanted()) {
        let mut side = Side::start(mode);
        let mut driver = Driver::start(&side.scene, Client::Java5, &side.namesrv.addr);
        driver.run("producer p group=producers timeout=3000 retries=0 poll=1000");
        driver.run("flood p topic=figures prefix=f threads=4 size=1024 pause=5");
        wait_until("sends", LIMIT, || (driver.counted("sent") > 100).then_some(()));
        let mut times = Vec::new();
        for round in 0..rounds {
            let took = fail_over(&mut side, &driver);
            eprintln!(
                "{}, round {round}: {} ms to a good send, {} to the route, {} to the client's send",
                mode.name(),
                took.server,
                took.route,
                took.client
            );
            times.push(took);
        }
        let of = |what: fn(&Times) -> u128| {
            let mut sorted: Vec<_> = times.iter().map(what).collect();
            sorted.sort_unstable();
            format!("{} / {}", sorted[sorted.len() / 2], sorted[sorted.len() - 1])
        };
        let (server, route) = (of(|times| times.server), of(|times| times.route));
        let client = of(|times| times.client);
        rows.push(format!("| {} | {server} | {route} | {client} |", mode.name()));
    }
    println!("\nkill -9 of the master under load, {rounds} rounds; ms, median / longest\n");
    println!(
        "| | first good send, any member asked | next master at the name server | first good send of a Java client that looks up routes each second |"
    );
    println!("|---|---|---|---|");
    rows.iter().for_each(|row| println!("{row}"));
}

fn rate(side: &Side, senders: u64, seconds: u64) -> (f64, f64, f64) {
    let master = side.master().expect("a master");
    let mut command = skua();
    command.args(["bench", "produce", "--json", "-t", "figures", "-b", &master]);
    command.args(["-i", &senders.to_string(), "-d", &seconds.to_string()]);
    let output = command.output().expect("it runs");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    });
    assert_eq!(report["errors"].as_array().map_or(0, Vec::len), 0, "{report}");
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{report}"));
    let latency = &report["latencyMs"];
    (number(&report["messagesPerSecond"]), number(&latency["p50"]), number(&latency["p99"]))
}

#[test]
fn rates_of_a_group_beside_those_of_replication() {
    let Some(seconds) = number("RAFT_RATES") else { return };
    let rounds = number("ROUNDS").unwrap_or(1);
    let modes = [Mode::SkuaGroup, Mode::SkuaAsync, Mode::SkuaDouble, Mode::JavaDledger];
    let modes: Vec<_> = modes.into_iter().filter(|mode| mode.is_wanted()).collect();
    let mut seen: Vec<[Vec<(f64, f64, f64)>; 3]> =
        modes.iter().map(|_| Default::default()).collect();
    for round in 0..rounds {
        for (mode, seen) in modes.iter().zip(&mut seen) {
            let side = Side::start(*mode);
            // Java compiles what is hot.
            let warm = if mode.kind() == Kind::Java { 20 } else { 2 };
            rate(&side, 64, warm.min(seconds * 4));
            for (senders, seen) in SENDERS.into_iter().zip(seen) {
                let got = rate(&side, senders, seconds);
                eprintln!("round {round}, {}, {senders} senders: {got:?}", mode.name());
                seen.push(got);
            }
        }
    }
    println!("\nsends of 1 KiB a second (p50, p99 in ms), {seconds} s, median of {rounds}\n");
    println!("| | 1 sender | 16 senders | 64 senders |");
    println!("|---|---|---|---|");
    for (mode, seen) in modes.iter().zip(&mut seen) {
        let cells = seen.each_mut().map(|runs| {
            runs.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (rate, p50, p99) = runs[runs.len() / 2];
            format!("{rate:.0} ({p50:.2}, {p99:.2})")
        });
        println!("| {} | {} |", mode.name(), cells.join(" | "));
    }
}
