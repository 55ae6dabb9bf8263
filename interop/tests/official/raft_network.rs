//! A group that elects its master under every fault of its processes, disks and wires, with clients
//! that send and consume meanwhile: each member in a network namespace and on a disk of its own.
//! `SEED=n` repeats a run, `FAULTS=n` makes it longer; a few faults run always.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::json;
use skua_interop::{Client, Driver, Encoding, Event, Net, check, skua, wait_until, wire};
use skua_seeds::{Random, number};

use super::raft_field::Field;

const LIMIT: Duration = Duration::from_secs(300);
const FAULTS: u64 = 6;
const TOPIC: &str = "wire";
const QUEUES: i32 = 4;

/// Consumers: whose client, of which kind, and whether its queues come in order.
const CONSUMERS: [(Client, &str, &str, bool); 4] = [
    (Client::Java5, "jo", "orderly", true),
    (Client::Java5, "jc", "concurrent", false),
    (Client::Java5, "jl", "lite", true),
    (Client::Go, "gc", "concurrent", false),
];

/// Asks who leads for the groups' offsets again and again.
struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

#[derive(Default)]
struct Seen {
    /// The greatest by group and queue, and the term that it was told in.
    last: BTreeMap<(&'static str, i32), (u64, i64)>,
    asked: usize,
    /// Of one leader, or of the next: never right.
    back: Vec<String>,
}

impl Watch {
    fn start(addrs: Vec<String>) -> Self {
        let over = Arc::<AtomicBool>::default();
        let is_over = over.clone();
        let thread = thread::spawn(move || {
            let mut seen = Seen::default();
            while !is_over.load(Ordering::SeqCst) {
                addrs.iter().for_each(|addr| seen.ask(addr));
                thread::sleep(Duration::from_millis(100));
            }
            seen
        });
        Self { over, thread }
    }

    fn finish(self) -> Seen {
        self.over.store(true, Ordering::SeqCst);
        self.thread.join().expect("it ends")
    }
}

impl Seen {
    fn ask(&mut self, addr: &str) {
        let leads = || {
            let status = wire::raft_status(addr)?;
            (status["role"] == "leader").then(|| status["term"].as_u64())?
        };
        let Some(term) = leads() else { return };
        let mut told = Vec::new();
        for (group, queue) in CONSUMERS.iter().flat_map(|c| (0..QUEUES).map(move |q| (c.1, q))) {
            told.extend(committed(addr, group, queue).map(|offset| ((group, queue), offset)));
        }
        // What a leader says after its time counts for nobody.
        if leads() != Some(term) {
            return;
        }
        for (key, offset) in told {
            self.asked += 1;
            let (of, before) = self.last.get(&key).copied().unwrap_or((term, 0));
            if term < of {
                continue;
            }
            if offset < before {
                let text = format!("{key:?}: {offset} in term {term} after {before} in term {of}");
                self.back.push(text);
            }
            self.last.insert(key, (term, offset));
        }
    }
}

fn committed(broker: &str, group: &str, queue: i32) -> Option<i64> {
    let fields = json!({ "consumerGroup": group, "topic": TOPIC, "queueId": queue.to_string() });
    let (header, _) = wire::call_within(Duration::from_secs(1), broker, 14, fields, &[])?;
    header["extFields"]["offset"].as_str()?.parse().ok()
}

/// The longest time without an acknowledgement.
fn longest_stop(sent: &[Event]) -> Duration {
    let mut times: Vec<Instant> = sent.iter().map(|event| event.at).collect();
    times.sort_unstable();
    times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

#[test]
fn nothing_acknowledged_is_lost_over_faults_of_every_kind() {
    let Some(net) = Net::start() else { return };
    let seed = number("SEED").unwrap_or(1);
    let faults = number("FAULTS").unwrap_or(FAULTS);
    eprintln!("SEED={seed} FAULTS={faults}");
    let mut random = Random(seed);
    let mut field = Field::start(net);
    let queues = QUEUES.to_string();
    wait_until("the topic", LIMIT, || {
        let made = skua()
            .args(["mqadmin", "updateTopic", "-c", "DefaultCluster", "-t", TOPIC])
            .args(["-r", &queues, "-w", &queues, "-n", &field.namesrv.addr])
            .output();
        made.is_ok_and(|made| made.status.success()).then_some(())
    });
    // Queues are shared out and locked every 20 s by default; routes are looked up every 30 s.
    let soon =
        ["waitInterval", "lockInterval"].map(|key| format!("rocketmq.client.rebalance.{key}=1000"));
    let (scene, names) = (&field.scene, &field.namesrv.addr);
    let java = Driver::start_configured(scene, Client::Java5, Encoding::Json, names, &soon);
    let mut drivers = [java, Driver::start(scene, Client::Go, names)];
    for (client, name, kind, _) in CONSUMERS {
        let driver = drivers.iter_mut().find(|driver| driver.client == client).expect("one each");
        let command = format!("consumer {name} group={name} topic={TOPIC} kind={kind} poll=1000");
        wait_until("a consumer", LIMIT, || driver.try_run(&command).ok());
    }
    // Each sends one after the other, and nothing twice.
    for (driver, name) in [(0, "j1"), (0, "j2"), (1, "g1")] {
        let driver = &mut drivers[driver];
        driver.run(&format!("producer {name} group=producers timeout=3000 retries=0 poll=1000"));
        driver
            .run(&format!("flood {name} topic={TOPIC} prefix={name} threads=1 size=300 pause=10"));
    }
    let count = |drivers: &[Driver; 2], word: &str| -> usize {
        drivers.iter().map(|driver| driver.counted(word)).sum()
    };
    let wait_sent = |drivers: &[Driver; 2]| {
        let before = count(drivers, "sent");
        wait_until("more sends", LIMIT, || (count(drivers, "sent") >= before + 50).then_some(()));
    };
    wait_sent(&drivers);
    let watch = Watch::start(field.brokers.iter().map(|broker| broker.addr.clone()).collect());
    for nth in 0..faults {
        let (began, before) = (Instant::now(), count(&drivers, "sent"));
        let what = field.fault(&mut random);
        let during = count(&drivers, "sent") - before;
        wait_sent(&drivers);
        let leader = field.wait_leader();
        eprintln!(
            "fault {nth}: {what}; {during} acknowledged meanwhile; n{} leads after {:.1?}",
            field.id(leader),
            began.elapsed()
        );
    }
    drivers[0].run("halt j1");
    drivers[0].run("halt j2");
    drivers[1].run("halt g1");
    let sent: Vec<_> = drivers.iter().flat_map(|driver| driver.sent(TOPIC)).collect();

    field.wait_leader();
    // The Java client gives the name server a second or so, too little for a busy machine at times.
    let mut scanner = Driver::start(&field.scene, Client::Java5, &field.namesrv.addr);
    let mut tries = 0;
    let stored = wait_until("a scan", LIMIT, || {
        tries += 1;
        scanner.try_run(&format!("scan s{tries} topic={TOPIC}")).ok()?;
        Some(scanner.got(&format!("s{tries}")))
    });
    check::dense(&stored);
    check::at_their_offsets(&sent, &stored);
    check::in_order_of_sends(&sent);
    // Nobody sends anything twice here.
    assert_eq!(check::first_deliveries(&stored).len(), stored.len());
    eprintln!(
        "{} acknowledged, {} not, {} stored; the longest stop {:.1?}",
        sent.len(),
        count(&drivers, "lost"),
        stored.len(),
        longest_stop(&sent)
    );
    for (client, name, _, in_order) in CONSUMERS {
        let driver = drivers.iter().find(|driver| driver.client == client).expect("one each");
        let firsts = || check::first_deliveries(&driver.got(name));
        let got = wait_until(&format!("all at {name}"), LIMIT, || {
            let got = firsts();
            (got.len() >= stored.len()).then_some(got)
        });
        check::each_once(&stored, &got);
        if in_order {
            check::in_order(&got);
        }
        let again = driver.got(name).len() - got.len();
        eprintln!("{name}: {} consumed, {again} of them again", got.len());
    }
    // Consumers tell where they are every five seconds.
    let ends = stored.iter().fold(BTreeMap::new(), |mut ends: BTreeMap<_, _>, event| {
        *ends.entry(event.number("queue")).or_insert(0) += 1;
        ends
    });
    wait_until("offsets at the end", LIMIT, || {
        let leader = &field.brokers[field.leader()?].addr;
        let mut all = CONSUMERS.iter().flat_map(|c| ends.iter().map(move |end| (c.1, end)));
        all.all(|(group, (queue, end))| {
            committed(leader, group, *queue as i32).is_some_and(|offset| offset == *end)
        })
        .then_some(())
    });
    let seen = watch.finish();
    eprintln!("offsets: {} looks", seen.asked);
    assert!(seen.back.is_empty(), "offsets went back: {:?}", seen.back);
    field.wait_same_logs();
}
