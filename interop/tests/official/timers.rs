//! Timer messages: on time, kept over a kill, recalled, and handed over with their directory.

use std::time::Duration;

use serde_json::json;
use skua_interop::{Broker, Client, Driver, Event, Kind, Namesrv, Scene, Tuning, check, wire};

/// Later than this is too late even on a busy machine. A slot takes a second, Java looks ten times
/// a second.
const LATE_MS: i64 = 30_000;
const SETTINGS: [&str; 2] = ["recallMessageEnable=true", "mappedFileSizeCommitLog=1048576"];

struct Place {
    broker: Broker,
    namesrv: Namesrv,
    scene: Scene,
}

impl Place {
    fn new(kind: Kind) -> Self {
        let scene = Scene::new();
        let namesrv = Namesrv::start(&scene, Kind::Skua);
        let tuning = Tuning { settings: SETTINGS.to_vec(), ..Tuning::default() };
        let mut broker = Broker::start_tuned(&scene, kind, "broker-a", &namesrv.addr, tuning);
        broker.wait_registered();
        Self { broker, namesrv, scene }
    }

    fn driver(&self, client: Client) -> Driver {
        Driver::start(&self.scene, client, &self.namesrv.addr)
    }
}

/// Stored under their topic when they were due, not before and not long after.
fn in_time(got: &[Event]) {
    for event in got {
        let late = event.number("stored") - event.number("due");
        assert!((0..LATE_MS).contains(&late), "{late} ms late: {event:?}");
    }
}

fn each_kind_comes_in_time(client: Client) {
    let place = Place::new(Kind::under_test());
    if client == Client::Node {
        wire::make_topic(&place.broker.addr, "timers", 4);
    }
    let mut driver = place.driver(client);
    driver.run("producer p group=producers");
    for timer in ["delay:2500", "sec:4", "deliver:3200", "delay:1"] {
        let prefix = timer.replace(':', "-");
        driver.run(&format!(
            "send p topic=timers mode=sync count=5 prefix={prefix} tags=A timer={timer}"
        ));
    }
    // The Go client wants the topic to be there.
    driver.run("consumer c group=timers topic=timers kind=concurrent");
    driver.wait_got("c", 20);
    let (sent, got) = (driver.sent("timers"), driver.got("c"));
    check::each_once(&sent, &got);
    in_time(&got);
}

#[test]
fn java_timer_messages_come_in_time() {
    each_kind_comes_in_time(Client::Java5);
}

#[test]
fn go_timer_messages_come_in_time() {
    each_kind_comes_in_time(Client::Go);
}

#[test]
fn cpp_timer_messages_come_in_time() {
    each_kind_comes_in_time(Client::Python);
}

#[test]
fn node_timer_messages_come_in_time() {
    each_kind_comes_in_time(Client::Node);
}

/// Level 2 is five seconds.
#[test]
fn delay_levels_of_other_clients_come_in_time() {
    let place = Place::new(Kind::under_test());
    for client in [Client::Java4, Client::Go, Client::Python, Client::Node] {
        let topic = format!("levels-{client:?}");
        wire::make_topic(&place.broker.addr, &topic, 4);
        let mut driver = place.driver(client);
        driver.run("producer p group=producers");
        driver.run(&format!("send p topic={topic} mode=sync count=5 prefix=m delay=2 due=5000"));
        driver.run(&format!("consumer c group={topic} topic={topic} kind=concurrent"));
        driver.wait_got("c", 5);
        let got = driver.got("c");
        check::each_once(&driver.sent(&topic), &got);
        in_time(&got);
    }
}

/// Sends that many messages that are due after `delay`, and recalls the first of them.
fn send_and_recall(driver: &mut Driver, prefix: &str, count: usize, delay: Duration) -> Vec<Event> {
    let before = driver.sent("timers").len();
    driver.run(&format!(
        "send p topic=timers mode=sync count={count} prefix={prefix} tags=A timer=delay:{}",
        delay.as_millis()
    ));
    let sent = driver.sent("timers").split_off(before);
    driver.run(&format!("recall p topic=timers handle={}", sent[0].get("handle")));
    let recalled = driver.told("recalled");
    assert_eq!(recalled.last().map(|e| e.get("id")), Some(sent[0].get("id")));
    sent
}

#[test]
fn a_recalled_message_never_comes() {
    let place = Place::new(Kind::under_test());
    let mut driver = place.driver(Client::Java5);
    driver.run("producer p group=producers");
    driver.run("consumer c group=timers topic=timers kind=concurrent");
    let sent = send_and_recall(&mut driver, "m", 5, Duration::from_secs(6));
    driver.wait_got("c", 4);
    // All of one slot come together; what is due later shows that it is over.
    driver.run("send p topic=timers mode=sync count=1 prefix=end tags=A timer=delay:3000");
    driver.wait_got("c", 5);
    let mut left = sent[1..].to_vec();
    left.extend(driver.sent("timers").pop());
    check::each_once(&left, &driver.got("c"));
    in_time(&driver.got("c"));
    let late = driver.try_run(&format!("recall p topic=timers handle={}", sent[0].get("handle")));
    let why = late.expect_err("its time is over");
    assert!(why.contains("timestamp_invalid") || why.contains("timestamp invalid"), "{why}");
}

#[test]
fn waiting_messages_survive_a_kill() {
    let mut place = Place::new(Kind::under_test());
    let mut driver = place.driver(Client::Java5);
    driver.run("producer p group=producers timeout=3000");
    driver.run("send p topic=timers mode=sync count=20 prefix=m tags=A timer=delay:12000");
    place.broker.crash();
    driver.run("consumer c group=timers topic=timers kind=concurrent");
    driver.wait("every message", |events| {
        let got: Vec<_> = events.iter().filter(|e| e.word == "got").cloned().collect();
        check::first_deliveries(&got).len() >= 20
    });
    check::same_set(&driver.sent("timers"), &driver.got("c"));
    for event in driver.got("c") {
        assert!(event.number("stored") >= event.number("due"), "early: {event:?}");
    }
}

#[test]
fn what_cannot_wait_is_refused_as_by_java() {
    let place = Place::new(Kind::under_test());
    let broker = &place.broker.addr;
    let send = |properties: &str| {
        let fields = json!({
            "a": "interop", "b": "refused", "c": "TBW102", "d": "4", "e": "0", "f": "0",
            "g": "1700000000000", "h": "0", "i": properties, "j": "0", "k": "false", "l": "0",
            "m": "false",
        });
        let (header, _) = wire::call(broker, 310, fields, b"body").expect("an answer");
        (header["code"].as_i64(), header["remark"].as_str().unwrap_or_default().to_owned())
    };
    let illegal = "timer message illegal, the delay time should not be bigger than the max delay \
                   259200000ms; or if set del msg, the delay time should be bigger than the \
                   current time";
    let illegal = (Some(13), illegal.to_owned());
    assert_eq!(send("TIMER_DELAY_SEC\u{1}259300\u{2}"), illegal);
    assert_eq!(send("TIMER_DELAY_MS\u{1}soon\u{2}"), illegal);
    assert_eq!(send("TIMER_DEL_UNIQKEY\u{1}k\u{2}TIMER_DELIVER_MS\u{1}1\u{2}"), illegal);
    assert_eq!(send("TIMER_DELIVER_MS\u{1}1\u{2}").0, Some(0));

    let recall = |topic: &str, handle: &str| {
        let fields = json!({"producerGroup": "p", "topic": topic, "recallHandle": handle});
        let (header, _) = wire::call(broker, 370, fields, b"").expect("an answer");
        (header["code"].as_i64(), header["remark"].as_str().unwrap_or_default().to_owned())
    };
    let says = |code, remark: &str| (Some(code), remark.to_owned());
    // `v1 refused broker-a 1 id`, then of another topic, of another broker.
    let old = "djEgcmVmdXNlZCBicm9rZXItYSAxIGlk";
    assert_eq!(recall("refused", old), says(604, "recall failed, timestamp invalid"));
    let other = "djEgb3RoZXIgYnJva2VyLWEgMSBpZA==";
    assert_eq!(recall("refused", other), says(604, "recall failed, topic not match"));
    let away = "djEgcmVmdXNlZCBicm9rZXItYiAxIGlk";
    let unavailable = "recall failed, broker service not available";
    assert_eq!(recall("refused", away), says(604, unavailable));
    assert_eq!(recall("refused", "rubbish"), says(604, "recall handle is invalid"));
    let absent = "recall failed, the topic[nobody] not exist";
    assert_eq!(recall("nobody", old), says(17, absent));

    let (header, body) = wire::call(broker, 60, json!({}), b"").expect("an answer");
    assert_eq!((header["code"].as_i64(), body.len()), (Some(0), 56));
    let (header, body) = wire::call(broker, 61, json!({}), b"").expect("an answer");
    assert_eq!(header["code"].as_i64(), Some(0));
    let metrics: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert!(metrics["timingCount"].is_object() && metrics["dataVersion"].is_object());
    for (engine, code) in [("R", 29), ("F", 0), ("x", 29)] {
        let answer = wire::call(broker, 5001, json!({"E_T": engine}), b"").expect("an answer");
        assert_eq!(answer.0["code"].as_i64(), Some(code), "{engine}: {}", answer.0);
    }
}

/// Long enough for a stop and the start of a Java broker.
const HAND_OVER: Duration = Duration::from_secs(35);

/// Java writes, Skua delivers and writes, Java delivers.
fn directory_moves(kill: bool) {
    let mut place = Place::new(Kind::Java);
    let mut driver = place.driver(Client::Java5);
    let mut expected: Vec<Event> = Vec::new();
    for (turn, next) in [Kind::Skua, Kind::Java].into_iter().enumerate() {
        driver.run("producer p group=producers");
        let sent = send_and_recall(&mut driver, &format!("turn-{turn}"), 8, HAND_OVER);
        driver.run("stop p");
        expected.extend_from_slice(&sent[1..]);
        if kill {
            place.broker.process.kill();
        } else {
            place.broker.stop();
        }
        place.broker.start_again(next);
        place.broker.wait_registered();
        let name = format!("c-{turn}");
        driver.run(&format!("consumer {name} group=timers topic=timers kind=concurrent"));
        let all = expected.len();
        driver.wait("every message", |events| {
            let got: Vec<_> = events.iter().filter(|e| e.word == "got").cloned().collect();
            check::first_deliveries(&got).len() >= all
        });
        driver.run(&format!("stop {name}"));
    }
    let got = driver.told("got");
    check::same_set(&expected, &got);
    for event in &got {
        assert!(event.number("stored") >= event.number("due"), "early: {event:?}");
    }
}

#[test]
fn waiting_messages_move_with_their_directory_after_a_stop() {
    directory_moves(false);
}

#[test]
fn waiting_messages_move_with_their_directory_after_a_kill() {
    directory_moves(true);
}
