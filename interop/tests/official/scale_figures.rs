//! Memory and latency under many delayed messages, groups and topics, Java beside Skua, as a table
//! in Markdown. They need a quiet machine and about ten minutes, so nothing is measured unless asked for:
//!
//! ```text
//! SCALE=1 SKUA_BIN=target/release/skua cargo test -p skua-interop scale_figures -- --nocapture
//! ```
//!
//! - `SCALE_TIMERS` (1,000,000), `SCALE_GROUPS` and `SCALE_TOPICS` (10,000 each): how many.
//! - `SCALE_SAMPLES` (2,000): requests of a kind whose latency is taken, one after the other.

use std::fs;
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use skua_interop::{Broker, Kind, Namesrv, Scene, Tuning, wire};
use skua_seeds::number;

/// Requests under way on one connection while a load is laid.
const WINDOW: usize = 256;
/// Topics or groups of one request.
const LIST: usize = 500;
const JAVA_OPTIONS: &str = "-Xms1g -Xmx4g -XX:MaxDirectMemorySize=4g";
const SETTINGS: [&str; 4] = [
    "autoCreateSubscriptionGroup=true",
    "mappedFileSizeCommitLog=1073741824",
    "sendThreadPoolQueueCapacity=100000",
    "waitTimeMillsInSendQueue=60000",
];

/// One connection with several requests under way.
struct Connection {
    out: TcpStream,
    into: BufReader<TcpStream>,
}

impl Connection {
    fn to(addr: &str) -> Self {
        let out = TcpStream::connect(addr).expect("the broker listens");
        out.set_nodelay(true).expect("a socket's option");
        out.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket's option");
        let into = BufReader::new(out.try_clone().expect("a second handle"));
        Self { out, into }
    }

    fn ask(&mut self, code: i32, fields: &Value, body: &[u8]) {
        let frame = wire::frame(wire::VERSION, code, fields.clone(), body);
        self.out.write_all(&frame).expect("it takes requests");
    }

    /// The next answer: success, or that there is no message. What the broker asks is passed over.
    fn answer(&mut self) {
        loop {
            let mut lengths = [0; 8];
            self.into.read_exact(&mut lengths).expect("an answer");
            let [total, header] = [&lengths[..4], &lengths[4..]]
                .map(|bytes| u32::from_be_bytes(bytes.try_into().expect("four bytes")) as usize);
            let mut rest = vec![0; total - 4];
            self.into.read_exact(&mut rest).expect("a whole answer");
            let header: Value = serde_json::from_slice(&rest[..header & 0xff_ffff]).expect("JSON");
            if header["flag"].as_i64().is_some_and(|flag| flag & 1 == 1) {
                assert!([0, 19].contains(&header["code"].as_i64().expect("a code")), "{header}");
                return;
            }
        }
    }

    fn call(&mut self, code: i32, fields: &Value, body: &[u8]) {
        self.ask(code, fields, body);
        self.answer();
    }

    /// Asks `count` times with several under way.
    fn many(&mut self, count: usize, request: impl Fn(usize) -> (i32, Value, Vec<u8>)) {
        for at in 0..count + WINDOW {
            if at < count {
                let (code, fields, body) = request(at);
                self.ask(code, &fields, &body);
            }
            if at >= WINDOW.min(count) && at - WINDOW.min(count) < count {
                self.answer();
            }
        }
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).expect("a time of today")
}

fn send(topic: &str, properties: &str) -> Value {
    json!({
        "a": "scale", "b": topic, "c": "TBW102", "d": "1", "e": "0", "f": "0",
        "g": now_ms().to_string(), "h": "0", "i": properties, "j": "0", "k": "false",
        "l": "0", "m": "false",
    })
}

fn topic_config(name: &str) -> Value {
    json!({
        "topicName": name, "readQueueNums": 1, "writeQueueNums": 1, "perm": 6,
        "topicFilterType": "SINGLE_TAG", "topicSysFlag": 0, "order": false, "attributes": {},
    })
}

fn delayed(connection: &mut Connection, count: usize) {
    let hour = 3_600_000;
    connection.many(count, |at| {
        // Spread over an hour, none of it while this is measured.
        let deliver = now_ms() + hour + (at as u64 * 7919) % hour;
        let properties = format!("TIMER_DELIVER_MS\u{1}{deliver}\u{2}UNIQ_KEY\u{1}timer-{at}");
        (310, send("Delayed", &properties), vec![b'x'; 100])
    });
}

fn groups(connection: &mut Connection, count: usize) {
    for from in (0..count).step_by(LIST) {
        let list =
            (from..count.min(from + LIST)).map(|at| json!({ "groupName": format!("g-{at}") }));
        let body = json!({ "groupConfigList": list.collect::<Vec<_>>() }).to_string();
        connection.call(225, &json!({}), body.as_bytes());
    }
    connection.many(count, |at| {
        let fields = json!({
            "consumerGroup": format!("g-{at}"), "topic": "Usual", "queueId": "0",
            "commitOffset": "0",
        });
        (15, fields, Vec::new())
    });
}

fn topics(connection: &mut Connection, count: usize) {
    for from in (0..count).step_by(LIST) {
        let list = (from..count.min(from + LIST)).map(|at| topic_config(&format!("t-{at}")));
        let body = json!({ "topicConfigList": list.collect::<Vec<_>>() }).to_string();
        connection.call(18, &json!({}), body.as_bytes());
    }
    connection.many(count, |at| (310, send(&format!("t-{at}"), ""), vec![b'x'; 100]));
}

/// MiB resident and anonymous.
fn memory(pid: u32) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("Linux tells it");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
    };
    (of("VmRSS:"), of("RssAnon:"))
}

/// Once it does not grow any more.
fn settled_memory(pid: u32) -> (u64, u64) {
    let mut last = memory(pid);
    for _ in 0..60 {
        thread::sleep(Duration::from_secs(2));
        let next = memory(pid);
        if next.1.abs_diff(last.1) <= 1 {
            return next;
        }
        last = next;
    }
    last
}

/// Half, 99 of 100, and all of the requests take no longer than this.
fn latency(
    connection: &mut Connection,
    samples: usize,
    request: impl Fn(usize) -> (i32, Value, Vec<u8>),
) -> String {
    let mut times: Vec<Duration> = (0..samples)
        .map(|at| {
            let (code, fields, body) = request(at);
            let start = Instant::now();
            connection.call(code, &fields, &body);
            start.elapsed()
        })
        .collect();
    times.sort();
    let at = |share: usize| times[(samples * share / 100).min(samples - 1)].as_secs_f64() * 1000.0;
    format!("{:.2} / {:.2} / {:.2}", at(50), at(99), at(100))
}

fn measure(kind: Kind, load: &str, lay: impl Fn(&mut Connection)) {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let tuning = Tuning { settings: SETTINGS.to_vec(), java_options: Some(JAVA_OPTIONS) };
    let mut broker = Broker::start_tuned(&scene, kind, "broker", &namesrv.addr, tuning);
    broker.wait_registered();
    let mut connection = Connection::to(&broker.addr);
    for topic in ["Usual", "Delayed"] {
        let fields = json!({
            "topic": topic, "defaultTopic": "TBW102", "readQueueNums": "1",
            "writeQueueNums": "1", "perm": "6", "topicFilterType": "SINGLE_TAG",
            "topicSysFlag": "0", "order": "false",
        });
        connection.call(17, &fields, b"");
    }
    connection.call(310, &send("Usual", ""), &[b'x'; 100]);
    let start = Instant::now();
    lay(&mut connection);
    let took = start.elapsed().as_secs_f64();
    let (resident, anonymous) = settled_memory(broker.process.id());

    let samples = usize::try_from(number("SCALE_SAMPLES").unwrap_or(2_000)).expect("a count");
    let sends = latency(&mut connection, samples, |_| (310, send("Usual", ""), vec![b'x'; 100]));
    let pulls = latency(&mut connection, samples, |_| {
        let fields = json!({
            "consumerGroup": "scale", "topic": "Usual", "queueId": "0", "queueOffset": "0",
            "maxMsgNums": "1", "sysFlag": "4", "commitOffset": "0", "suspendTimeoutMillis": "0",
            "subscription": "*", "subVersion": "0", "expressionType": "TAG",
        });
        (11, fields, Vec::new())
    });
    let updates = latency(&mut connection, (samples / 10).max(1), |at| {
        let fields = json!({
            "topic": format!("new-{at}"), "defaultTopic": "TBW102", "readQueueNums": "1",
            "writeQueueNums": "1", "perm": "6", "topicFilterType": "SINGLE_TAG",
            "topicSysFlag": "0", "order": "false",
        });
        (17, fields, Vec::new())
    });
    let beats = latency(&mut connection, samples, |_| {
        let body = json!({
            "clientID": "127.0.0.1@scale", "heartbeatFingerprint": 0, "isWithoutSub": false,
            "producerDataSet": [{ "groupName": "producers" }],
            "consumerDataSet": [{
                "groupName": "scale", "consumeType": "CONSUME_PASSIVELY",
                "messageModel": "CLUSTERING", "consumeFromWhere": "CONSUME_FROM_FIRST_OFFSET",
                "unitMode": false,
                "subscriptionDataSet": [{ "topic": "Usual", "subString": "*", "subVersion": 1,
                    "tagsSet": [], "codeSet": [], "classFilterMode": false,
                    "expressionType": "TAG" }],
            }],
        });
        (34, json!({}), body.to_string().into_bytes())
    });
    println!(
        "| {load} | {kind:?} | {took:.1} | {resident} | {anonymous} | {sends} | {pulls} | \
         {updates} | {beats} |"
    );
}

#[test]
fn memory_and_latency_under_many_timers_groups_and_topics() {
    if number("SCALE").is_none() {
        return;
    }
    let count =
        |name: &str, usual: u64| usize::try_from(number(name).unwrap_or(usual)).expect("a count");
    let many_timers = count("SCALE_TIMERS", 1_000_000);
    let (many_groups, many_topics) = (count("SCALE_GROUPS", 10_000), count("SCALE_TOPICS", 10_000));
    println!(
        "| load | server | laid in s | resident MiB | anonymous MiB | send ms (50 / 99 / 100 %) | \
         pull ms | updateTopic ms | heartbeat ms |\n|---|---|---|---|---|---|---|---|---|"
    );
    for kind in [Kind::Java, Kind::Skua] {
        measure(kind, "none", |_| {});
        measure(kind, &format!("{many_timers} delayed messages"), |c| delayed(c, many_timers));
        measure(kind, &format!("{many_groups} groups"), |c| groups(c, many_groups));
        measure(kind, &format!("{many_topics} topics"), |c| topics(c, many_topics));
    }
}
