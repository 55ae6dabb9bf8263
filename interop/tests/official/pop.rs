//! Popping: by plain requests, by the official push consumer in POP mode, and from a directory that
//! the Java broker and Skua serve in turn.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skua_interop::{
    Broker, Client, Cluster, Driver, Kind, Namesrv, Scene, Tuning, check, wait_until, wire,
};

const LIMIT: Duration = Duration::from_secs(180);
const SUCCESS: i64 = 0;
const POLLING_TIMEOUT: i64 = 210;

/// A group that pops from a topic of one queue by plain requests.
pub(super) struct Popper {
    pub broker: String,
    pub topic: String,
    pub group: String,
}

/// A popped message, and what it is acknowledged with.
#[derive(Clone, Debug)]
pub(super) struct Popped {
    pub body: String,
    topic: String,
    queue: i64,
    pub offset: i64,
    times: i32,
    receipt: String,
}

impl Popped {
    fn part(&self, at: usize) -> i64 {
        self.receipt.split(' ').nth(at).and_then(|part| part.parse().ok()).expect("a number")
    }
}

fn number(fields: &Value, name: &str) -> i64 {
    fields[name].as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

impl Popper {
    pub fn new(broker: &str, topic: &str) -> Self {
        let popper = Self {
            broker: broker.to_owned(),
            topic: topic.to_owned(),
            group: format!("{topic}-g"),
        };
        let fields = json!({
            "topic": topic, "defaultTopic": "TBW102", "readQueueNums": "1", "writeQueueNums": "1",
            "perm": "6", "topicFilterType": "SINGLE_TAG", "topicSysFlag": "0", "order": "false",
        });
        popper.code(17, fields, b"", SUCCESS);
        popper
    }

    pub fn call(&self, code: i32, fields: Value, body: &[u8]) -> (Value, Vec<u8>) {
        wire::call(&self.broker, code, fields, body).expect("an answer")
    }

    fn code(&self, code: i32, fields: Value, body: &[u8], expected: i64) -> Value {
        let (header, _) = self.call(code, fields.clone(), body);
        assert_eq!(header["code"], expected, "{code} {fields}: {header}");
        header
    }

    pub fn send(&self, body: &str) {
        let fields = json!({
            "a": "interop", "b": self.topic, "c": "TBW102", "d": "4", "e": "0", "f": "0",
            "g": "1700000000000", "h": "0", "i": "TAGS\u{1}A\u{2}", "j": "0", "k": "false",
            "l": "0", "m": "false",
        });
        self.code(310, fields, body.as_bytes(), SUCCESS);
    }

    pub fn fields(&self, most: u32, invisible_ms: u32, poll_ms: u32) -> Value {
        json!({
            "consumerGroup": self.group, "topic": self.topic, "queueId": "-1",
            "maxMsgNums": most.to_string(), "invisibleTime": invisible_ms.to_string(),
            "pollTime": poll_ms.to_string(), "bornTime": "0", "initMode": "0",
        })
    }

    pub fn pop_with(&self, fields: Value) -> (Value, Vec<Popped>) {
        let (header, body) = self.call(200_050, fields, b"");
        let messages = messages(&header["extFields"], &body, &self.group);
        (header, messages)
    }

    fn pop(&self, most: u32, invisible_ms: u32) -> Vec<Popped> {
        self.pop_with(self.fields(most, invisible_ms, 0)).1
    }

    fn ack_fields(&self, popped: &Popped) -> Value {
        json!({
            "consumerGroup": self.group, "topic": popped.topic, "queueId": popped.queue.to_string(),
            "offset": popped.offset.to_string(), "extraInfo": popped.receipt,
        })
    }

    pub fn ack(&self, popped: &Popped) {
        self.code(200_051, self.ack_fields(popped), b"", SUCCESS);
    }

    fn batch_ack(&self, popped: &Popped) {
        // Offset `start + bit`; a bit set of one byte.
        let bit = popped.offset - popped.part(0);
        let byte = 1u8 << bit;
        let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let base64 = [byte >> 2, (byte & 3) << 4].map(|d| digits[usize::from(d)] as char);
        let body = json!({
            "brokerName": popped.receipt.split(' ').nth(5),
            "acks": [{
                "b": format!("{}{}==", base64[0], base64[1]), "c": self.group, "it": popped.part(2),
                "pt": popped.part(1), "q": popped.queue, "r": "0", "rq": popped.part(3),
                "so": popped.part(0), "t": self.topic,
            }],
        });
        self.code(200_151, json!({}), body.to_string().as_bytes(), SUCCESS);
    }

    fn change(&self, popped: &Popped, invisible_ms: u32) {
        let mut fields = self.ack_fields(popped);
        fields["invisibleTime"] = invisible_ms.to_string().into();
        self.code(200_053, fields, b"", SUCCESS);
    }

    /// Pops until a message comes.
    fn next(&self, what: &str) -> Popped {
        wait_until(what, LIMIT, || self.pop(1, 60_000).pop())
    }
}

/// The messages of a pop's answer with the receipts that a client makes of its header.
fn messages(fields: &Value, body: &[u8], group: &str) -> Vec<Popped> {
    let starts = fields["startOffsetInfo"].as_str().unwrap_or_default();
    let mut rest = body;
    let mut messages = Vec::new();
    while rest.len() >= 4 {
        let int = |at: usize| i32::from_be_bytes(rest[at..at + 4].try_into().expect("four bytes"));
        let size = int(0) as usize;
        let body_end = 88 + int(84) as usize;
        let topic_end = body_end + 1 + usize::from(rest[body_end]);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let topic = text(&rest[body_end + 1..topic_end]);
        let properties = text(&rest[topic_end + 2..size]);
        let offset = i64::from(int(20)) << 32 | i64::from(int(24) as u32);
        let queue = i64::from(int(12));
        let given = properties.split('\u{2}').find_map(|p| p.strip_prefix("POP_CK\u{1}"));
        let receipt = given.map(str::to_owned).unwrap_or_else(|| {
            let start =
                starts.split(';').find_map(|item| item.strip_prefix(&format!("0 {queue} ")));
            format!(
                "{} {} {} {} 0 broker-a {queue} {offset}",
                start.expect("the queue's start"),
                number(fields, "popTime"),
                number(fields, "invisibleTime"),
                number(fields, "reviveQid"),
            )
        });
        let topic = match receipt.split(' ').nth(4) {
            Some("1") => format!("%RETRY%{group}_{topic}"),
            Some("2") => format!("%RETRY%{group}+{topic}"),
            _ => topic,
        };
        let (body, times) = (text(&rest[88..body_end]), int(72));
        messages.push(Popped { body, topic, queue, offset, times, receipt });
        rest = &rest[size..];
    }
    messages
}

pub(super) fn bodies(popped: &[Popped]) -> Vec<&str> {
    popped.iter().map(|popped| popped.body.as_str()).collect()
}

/// A name server and a broker under test of name `broker-a`.
fn broker(scene: &Scene, settings: &[&'static str]) -> (Namesrv, Broker) {
    let namesrv = Namesrv::start(scene, Kind::under_test());
    let tuning = Tuning { settings: settings.to_vec(), ..Tuning::default() };
    let mut broker =
        Broker::start_tuned(scene, Kind::under_test(), "broker-a", &namesrv.addr, tuning);
    broker.wait_registered();
    (namesrv, broker)
}

fn acknowledged_or_again(settings: &[&'static str], topic: &str) {
    let scene = Scene::new();
    let (_namesrv, broker) = broker(&scene, settings);
    let popper = Popper::new(&broker.addr, topic);
    for body in ["m0", "m1", "m2", "m3", "m4"] {
        popper.send(body);
    }
    let asked = json!({
        "consumerGroup": popper.group, "topic": topic, "queueId": "-1", "pollTime": "0",
        "bornTime": "0", "maxMsgNums": "32",
    });
    wait_until("a message to be told of", LIMIT, || {
        let header = popper.code(200_054, asked.clone(), b"", SUCCESS);
        (header["extFields"]["hasMsg"] == "true").then_some(())
    });
    let (header, body) = popper.call(200_052, asked.clone(), b"");
    assert_eq!((&header["code"], body.is_empty()), (&json!(SUCCESS), false), "{header}");
    let header = popper.code(200_055, asked, b"", SUCCESS);
    assert_eq!(header["extFields"]["pollingNum"], "0", "{header}");

    let began = Instant::now();
    let first = popper.pop(4, 3000);
    assert_eq!(bodies(&first), ["m0", "m1", "m2", "m3"]);
    popper.ack(&first[0]);
    popper.batch_ack(&first[1]);
    popper.change(&first[2], 7000);
    let rest = popper.pop(32, 60_000);
    assert_eq!(bodies(&rest), ["m4"]);
    popper.ack(&rest[0]);
    let (header, _) = popper.pop_with(popper.fields(1, 1000, 0));
    assert_eq!(header["code"], POLLING_TIMEOUT, "{header}");

    for (body, not_before) in [("m3", 3000), ("m2", 7000)] {
        let again = popper.next(body);
        assert_eq!((again.body.as_str(), again.times), (body, 1));
        assert!(again.topic.starts_with("%RETRY%"), "{again:?}");
        assert!(began.elapsed() >= Duration::from_millis(not_before), "{body} is early");
        popper.ack(&again);
    }
    thread::sleep(Duration::from_secs(4));
    assert_eq!(bodies(&popper.pop(32, 1000)), [""; 0]);
}

#[test]
fn popped_messages_are_acknowledged_or_come_again() {
    acknowledged_or_again(&[], "pop-wire");
}

#[test]
fn retry_topics_of_the_second_form_serve_as_well() {
    acknowledged_or_again(&["enableRetryTopicV2=true"], "pop-wire-2");
}

#[test]
fn ordered_pops_wait_for_what_is_in_front() {
    let scene = Scene::new();
    let (_namesrv, broker) = broker(&scene, &[]);
    let popper = Popper::new(&broker.addr, "pop-order");
    for body in ["m0", "m1", "m2"] {
        popper.send(body);
    }
    let ordered = |most, invisible, poll| {
        let mut fields = popper.fields(most, invisible, poll);
        fields["order"] = "true".into();
        popper.pop_with(fields)
    };
    let (header, first) = wait_until("the first two", LIMIT, || {
        let (header, popped) = ordered(2, 4000, 0);
        (!popped.is_empty()).then_some((header, popped))
    });
    assert_eq!(bodies(&first), ["m0", "m1"]);
    assert_eq!(number(&header["extFields"], "reviveQid"), 999, "{header}");
    assert_eq!(header["extFields"]["orderCountInfo"], "0 0 0", "{header}");
    assert_eq!(bodies(&ordered(2, 4000, 0).1), [""; 0]);
    popper.ack(&first[0]);
    assert_eq!(bodies(&ordered(2, 4000, 0).1), [""; 0]);
    // Not acknowledged: it comes again, first, and counted.
    let (header, again) = wait_until("the second again", LIMIT, || {
        let (header, popped) = ordered(2, 4000, 0);
        (!popped.is_empty()).then_some((header, popped))
    });
    assert_eq!(bodies(&again), ["m1", "m2"]);
    let counts = header["extFields"]["orderCountInfo"].as_str().expect("a text");
    assert_eq!(counts, "0 qo0%1 1;0 0 0");
    for popped in &again {
        popper.ack(popped);
    }
    assert_eq!(bodies(&ordered(2, 4000, 0).1), [""; 0]);
}

#[test]
fn waiting_pops_get_what_arrives_and_bad_requests_their_answers() {
    let scene = Scene::new();
    let (_namesrv, broker) = broker(&scene, &[]);
    let popper = Popper::new(&broker.addr, "pop-wait");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let began = Instant::now();
            let (_, popped) = popper.pop_with(popper.fields(8, 60_000, 4000));
            (began.elapsed(), popped)
        });
        thread::sleep(Duration::from_millis(700));
        popper.send("m0");
        let (took, popped) = waiting.join().expect("it ends");
        assert_eq!(bodies(&popped), ["m0"]);
        assert!(took < Duration::from_millis(3500), "{took:?}");
        popper.ack(&popped[0]);

        let with = |name: &str, value: &str| {
            let mut fields = popper.fields(1, 1000, 0);
            fields[name] = value.into();
            fields
        };
        popper.code(200_050, with("maxMsgNums", "33"), b"", 29);
        popper.code(200_050, with("queueId", "1"), b"", 29);
        popper.code(200_050, with("topic", "nothing-there"), b"", 17);
        popper.code(200_050, with("bornTime", "1000"), b"", POLLING_TIMEOUT);
        let with = |name: &str, value: &str| {
            let mut fields = popper.ack_fields(&popped[0]);
            fields[name] = value.into();
            fields
        };
        popper.code(200_051, with("topic", "nothing-there"), b"", 17);
        popper.code(200_051, with("queueId", "7"), b"", 13);
        popper.code(200_051, with("offset", "77"), b"", 208);
        popper.code(200_051, with("extraInfo", "1 2"), b"", 1);
        popper.code(200_151, json!({}), b"", 208);
        let mode =
            |topic: &str| json!({"topic": topic, "consumerGroup": popper.group, "mode": "POP"});
        popper.code(401, json!({}), mode("%RETRY%x").to_string().as_bytes(), 16);
        popper.code(401, json!({}), mode("nothing-there").to_string().as_bytes(), 17);
        popper.code(401, json!({}), mode("pop-wait").to_string().as_bytes(), SUCCESS);
        let (_, modes) = popper.call(402, json!({}), b"");
        assert!(String::from_utf8_lossy(&modes).contains("pop-wait-g"));
    });
}

#[test]
fn java_consumers_in_pop_mode_share_a_topic() {
    let scene = Scene::new();
    let cluster = Cluster::start(&scene);
    let namesrv = cluster.namesrv();
    let mut driver = Driver::start(&scene, Client::Java5, namesrv);
    driver.run("producer p group=producers");
    driver.run("send p topic=pop-mode mode=sync count=40 prefix=m tags=A,B");
    cluster.consume_by_pop("pop-mode", "pop-mode");
    for name in ["one", "two"] {
        driver.run(&format!("consumer {name} group=pop-mode topic=pop-mode kind=pop fail=1"));
    }
    // Each is refused once, and comes again when its changed time is over.
    driver.run("send p topic=pop-mode mode=sync count=40 prefix=n tags=A,B");
    let sent = driver.sent("pop-mode");
    driver.wait("every message", |events| {
        let got: Vec<_> = events.iter().filter(|e| e.word == "got").cloned().collect();
        check::first_deliveries(&got).len() >= sent.len()
    });
    check::each_once(&sent, &driver.told("got"));
    check::same_set(&sent, &driver.told("refused"));
}

/// What was popped from one kind of broker is acknowledged at the other, which revives the rest.
fn moves(from: Kind, to: Kind) {
    // Long enough for a broker of Java's to start on a busy machine.
    const INVISIBLE_MS: u32 = 40_000;

    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let mut broker =
        Broker::start_tuned(&scene, from, "broker-a", &namesrv.addr, Tuning::default());
    broker.wait_registered();
    let popper = Popper::new(&broker.addr, "pop-moves");
    for body in ["m0", "m1", "m2", "m3"] {
        popper.send(body);
    }
    let popped = wait_until("three messages", LIMIT, || {
        let popped = popper.pop(3, INVISIBLE_MS);
        (!popped.is_empty()).then_some(popped)
    });
    let popped_at = Instant::now();
    assert_eq!(bodies(&popped), ["m0", "m1", "m2"]);
    popper.ack(&popped[0]);
    broker.stop();
    broker.start_again(to);
    broker.wait_registered();
    popper.ack(&popped[1]);
    // Neither what is acknowledged nor, too early, what is not.
    let new = popper.pop(32, 60_000);
    let took = popped_at.elapsed();
    assert!(
        took < Duration::from_millis(INVISIBLE_MS.into()),
        "the move took {took:?}: shows nothing"
    );
    assert_eq!(bodies(&new), ["m3"]);
    let again = popper.next("the one not acknowledged");
    assert_eq!((again.body.as_str(), again.times), ("m2", 1));
    popper.ack(&again);
    thread::sleep(Duration::from_secs(5));
    assert_eq!(bodies(&popper.pop(32, 1000)), [""; 0]);
}

#[test]
fn what_skua_gave_out_a_java_broker_takes_back() {
    moves(Kind::Skua, Kind::Java);
}

#[test]
fn what_a_java_broker_gave_out_skua_takes_back() {
    moves(Kind::Java, Kind::Skua);
}
