//! Limits, which are Skua's own: who exceeds one is told so, others are served.

use std::time::Duration;

use serde_json::{Value, json};
use skua_interop::{Broker, Client, Driver, Event, Kind, Namesrv, Scene, Tuning, check, wire};

fn broker(scene: &Scene, namesrv: &Namesrv, settings: &[&'static str]) -> Broker {
    let tuning = Tuning { settings: settings.to_vec(), ..Tuning::default() };
    let mut broker = Broker::start_tuned(scene, Kind::Skua, "skua", &namesrv.addr, tuning);
    broker.wait_registered();
    broker
}

fn send(broker: &Broker, topic: &str) -> (i64, String) {
    let fields = json!({
        "a": "interop", "b": topic, "c": "TBW102", "d": "1", "e": "0", "f": "0",
        "g": "1700000000000", "h": "0", "i": "", "j": "0", "k": "false", "l": "0", "m": "false",
    });
    let (header, _) = wire::call(&broker.addr, 310, fields, b"body").expect("an answer");
    let remark = header["remark"].as_str().unwrap_or_default().to_owned();
    (header["code"].as_i64().expect("a code"), remark)
}

fn pull(broker: &Broker, group: &str, topic: &str) -> Value {
    let fields = json!({
        "consumerGroup": group, "topic": topic, "queueId": "0", "queueOffset": "0",
        "maxMsgNums": "32", "sysFlag": "4", "commitOffset": "0", "suspendTimeoutMillis": "0",
        "subscription": "*", "subVersion": "0", "expressionType": "TAG",
    });
    wire::call(&broker.addr, 11, fields, b"").expect("an answer").0
}

/// SYSTEM_BUSY to producers, FLOW_CONTROL to consumers, with the limit's name, its value and what
/// it stood at.
#[test]
fn a_topic_or_group_over_its_limit_is_refused_and_the_next_is_served() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let settings = ["maxMessagesPerSecondOfTopic=5", "maxMessagesPerSecondOfGroup=5"];
    let broker = broker(&scene, &namesrv, &settings);
    let refused = (0..200).find_map(|_| {
        let (code, remark) = send(&broker, "greedy");
        (code != 0).then_some((code, remark))
    });
    let (code, remark) = refused.expect("more than five in one of the seconds");
    assert_eq!(code, 2, "{remark}");
    assert!(
        remark.contains("maxMessagesPerSecondOfTopic=5 of topic greedy, stood at 5"),
        "{remark}"
    );
    assert_eq!(send(&broker, "modest").0, 0);

    let refused = (0..200).find_map(|_| {
        let header = pull(&broker, "greedy", "greedy");
        (![0, 19].contains(&header["code"].as_i64().expect("a code"))).then_some(header)
    });
    let refused = refused.expect("more than five in one of the seconds");
    assert_eq!(refused["code"], 215, "{refused}");
    let remark = refused["remark"].as_str().expect("a reason");
    assert!(
        remark.contains("maxMessagesPerSecondOfGroup=5 of group greedy, stood at "),
        "{remark}"
    );
    let served = pull(&broker, "modest", "modest");
    assert!([0, 19].contains(&served["code"].as_i64().expect("a code")), "{served}");
}

/// A process that stands still holds its queues, its pulls and what it was sent.
#[test]
fn a_group_whose_clients_stand_still_holds_up_no_other() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let _broker = broker(&scene, &namesrv, &["maxWaitingPullsOfGroup=64"]);
    let start = || Driver::start(&scene, Client::Java5, &namesrv.addr);
    let (mut stuck, mut well) = (start(), start());
    well.run("producer p group=producers");
    well.run("send p topic=shared mode=sync count=8 prefix=first");
    for kind in ["concurrent", "orderly"] {
        stuck.run(&format!("consumer {kind} group=stuck-{kind} topic=shared kind={kind}"));
        well.run(&format!("consumer {kind} group=well-{kind} topic=shared kind={kind}"));
        stuck.wait_got(kind, 8);
        well.wait_got(kind, 8);
    }
    stuck.signal("-STOP");
    // More than a socket holds.
    well.run("send p topic=shared mode=sync count=200 prefix=later size=60000");
    let sent = well.sent("shared");
    for kind in ["concurrent", "orderly"] {
        well.wait_got(kind, sent.len());
        check::each_once(&sent, &well.got(kind));
    }
    check::in_order(&well.got("orderly"));
    let slowest = well.got("concurrent").iter().map(|e| e.at).max();
    stuck.signal("-CONT");
    for kind in ["concurrent", "orderly"] {
        stuck.wait_got(kind, sent.len());
        check::same_set(&sent, &stuck.got(kind));
        assert!(stuck.got(kind).iter().map(|e| e.at).max() > slowest, "it did stand still");
    }
    check::in_order(&check::first_deliveries(&stuck.got("orderly")));
}

/// Each connection has a share of its own: the one that has spent it hears so, the next is served,
/// and what keeps a client alive is let through always.
#[test]
fn a_connection_over_its_limit_is_refused_and_the_next_is_served() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let broker = broker(&scene, &namesrv, &["maxRequestsPerSecondOfConnection=5"]);
    let open =
        || wire::Connection::open(&broker.addr, Duration::from_secs(10)).expect("it listens");
    let (mut greedy, mut modest) = (open(), open());
    let ask = |connection: &mut wire::Connection, code: i32, body: &[u8]| {
        let fields = json!({ "topic": "TBW102", "lo": "false" });
        connection.call(code, fields, body).expect("an answer").0
    };
    let refused = (0..200).find_map(|_| {
        let header = ask(&mut greedy, 351, b"");
        (header["code"] != 0).then_some(header)
    });
    let refused = refused.expect("more than five in one of the seconds");
    assert_eq!(refused["code"], 2, "{refused}");
    let remark = refused["remark"].as_str().expect("a reason");
    let reason = "maxRequestsPerSecondOfConnection=5 of this connection, stood at 5";
    assert!(remark.contains(reason), "{remark}");
    assert_eq!(ask(&mut modest, 351, b"")["code"], 0);
    let heartbeat =
        br#"{"clientID":"greedy","producerDataSet":[{"groupName":"p"}],"consumerDataSet":[]}"#;
    for _ in 0..10 {
        assert_eq!(ask(&mut greedy, 34, heartbeat)["code"], 0, "a heartbeat");
    }
}

fn lost_for<'a>(lost: &'a [Event], limit: &str) -> Vec<&'a str> {
    lost.iter().map(|event| event.get("why")).filter(|why| why.contains(limit)).collect()
}

/// Producers hear why, but for the C++ client's, which tells of no route whatever the broker said of
/// its last try; consumers wait and get everything, each once.
#[test]
fn official_clients_live_with_limits() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let settings = ["maxMessagesPerSecondOfTopic=100", "maxMessagesPerSecondOfGroup=64"];
    let broker = broker(&scene, &namesrv, &settings);
    for client in [Client::Java5, Client::Java4, Client::Go, Client::Python, Client::Node] {
        let topic = format!("limited-{client:?}");
        wire::make_topic(&broker.addr, &topic, 4);
        let limit = match client {
            Client::Python => "No_route_info_of_this_topic",
            _ => "maxMessagesPerSecondOfTopic",
        };
        let mut driver = Driver::start(&scene, client, &namesrv.addr);
        driver.run("producer p group=producers retries=0");
        driver.run(&format!("flood p topic={topic} prefix=m threads=4"));
        driver.wait("the limit to be met", |events| {
            let lost: Vec<Event> = events.iter().filter(|e| e.word == "lost").cloned().collect();
            let sent = events.iter().filter(|e| e.word == "sent").count();
            sent >= 200 && !lost_for(&lost, limit).is_empty()
        });
        driver.run("halt p");
        let lost = driver.told("lost");
        let told = lost_for(&lost, limit);
        let reason = match client {
            Client::Python => format!("{limit}:_{topic}"),
            _ => format!("{limit}=100_of_topic_{topic},_stood_at_100"),
        };
        assert!(told.iter().all(|why| why.contains(&reason)), "{told:?}");

        let sent = driver.sent(&topic);
        driver.run(&format!("consumer c group={topic} topic={topic} kind=concurrent"));
        driver.wait_got("c", sent.len());
        let got = driver.got("c");
        check::each_once(&sent, &got);
        let took = got[got.len() - 1].at - got[0].at;
        // 200 messages at 64 a second, with what one pull may bring at the seconds' ends.
        assert!(took >= Duration::from_millis(900), "{took:?}");
    }
}
