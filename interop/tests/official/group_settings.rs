//! What operators set for a group, and do to its offsets and queues, as official clients feel it.
//! All of it passes against the Java server, too (`SKUA_INTEROP_SERVER=java`).

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skua_interop::{
    Admin, Broker, Client, Cluster, Driver, Kind, Namesrv, Scene, Tuning, check, wait_until, wire,
};

const LIMIT: Duration = Duration::from_secs(90);

fn run(admin: &mut Admin, arguments: &[&str]) -> String {
    let told = admin.run(arguments);
    assert!(!told.out.contains("Exception"), "{arguments:?}: {told:?}");
    told.out
}

fn one_broker(scene: &Scene, settings: &[&'static str]) -> (Namesrv, Broker) {
    let namesrv = Namesrv::start(scene, Kind::Skua);
    let tuning = Tuning { settings: settings.to_vec(), ..Tuning::default() };
    let kind = Kind::under_test();
    let mut broker = Broker::start_tuned(scene, kind, "broker-a", &namesrv.addr, tuning);
    broker.wait_registered();
    (namesrv, broker)
}

fn queue_end(broker: &str, topic: &str) -> i64 {
    let fields = json!({ "topic": topic, "queueId": "0", "committed": "true" });
    let (header, _) = wire::call(broker, 30, fields, b"").expect("an answer");
    header["extFields"]["offset"].as_str().expect("an offset").parse().expect("a number")
}

#[test]
fn consumers_are_shut_out_and_let_in_again() {
    let scene = Scene::new();
    let cluster = Cluster::start(&scene);
    let (broker, mut admin) = (cluster.broker(), Admin::java());
    let mut driver = Driver::start(&scene, Client::Java5, cluster.namesrv());
    driver.run("producer p group=producers");
    driver.run("send p topic=doors mode=sync count=4 prefix=first");
    let set = |admin: &mut Admin, group: &str, more: &[&str]| {
        run(admin, &[&["updateSubGroup", "-b", &broker, "-g", group], more].concat());
    };
    set(&mut admin, "shut", &["-s", "false"]);
    set(&mut admin, "alone", &["-d", "false"]);
    driver.run("consumer open group=open topic=doors kind=concurrent");
    driver.run("consumer shut group=shut topic=doors kind=concurrent");
    driver.run("consumer alone group=alone topic=doors kind=broadcast");
    driver.wait_got("open", 4);
    // Longer than a shut out client waits before it asks again.
    thread::sleep(Duration::from_secs(4));
    assert_eq!((driver.got("shut").len(), driver.got("alone").len()), (0, 0));
    set(&mut admin, "shut", &["-s", "true"]);
    set(&mut admin, "alone", &["-d", "true"]);
    driver.wait_got("shut", 4);
    driver.wait_got("alone", 4);
    // Each member of a broadcast group gets everything.
    driver.run("consumer too group=alone topic=doors kind=broadcast");
    driver.wait_got("too", 4);
    driver.run("send p topic=doors mode=sync count=4 prefix=second");
    for by in ["open", "shut", "alone", "too"] {
        driver.wait_got(by, 8);
        check::each_once(&driver.sent("doors"), &driver.got(by));
    }
    driver.finish();
}

/// Policies are kept and given out; remoting clients' retries go by delay levels all the same, of
/// which the second is five seconds.
#[test]
fn retry_policies_are_kept_and_retries_go_by_delay_levels() {
    const POLICIES: [(&str, &str); 2] = [
        (
            "customized",
            r#"{"type":"CUSTOMIZED","customizedRetryPolicy":{"next":[1000,2000,60000]}}"#,
        ),
        (
            "exponential",
            r#"{"type":"EXPONENTIAL","exponentialRetryPolicy":{"initial":1000,"max":8000,"multiplier":3}}"#,
        ),
    ];
    let scene = Scene::new();
    let cluster = Cluster::start(&scene);
    let (broker, mut admin) = (cluster.broker(), Admin::java());
    let mut driver = Driver::start(&scene, Client::Java5, cluster.namesrv());
    driver.run("producer p group=producers");
    driver.run("send p topic=policies mode=sync count=3 prefix=m");
    for (group, policy) in POLICIES {
        run(
            &mut admin,
            &["updateSubGroup", "-b", &broker, "-g", group, "-p", policy, "-q", "2", "-r", "7"],
        );
        let (header, body) =
            wire::call(&broker, 352, json!({ "group": group }), b"").expect("an answer");
        assert_eq!(header["code"], 0, "{header}");
        let kept: Value = serde_json::from_slice(&body).expect("JSON");
        let policy: Value = serde_json::from_str(policy).expect("JSON");
        for (name, value) in policy.as_object().expect("members") {
            assert_eq!(kept["groupRetryPolicy"][name], *value, "{kept}");
        }
        assert_eq!((&kept["retryQueueNums"], &kept["retryMaxTimes"]), (&json!(2), &json!(7)));
        driver.run(&format!(
            "consumer {group} group={group} topic=policies kind=concurrent fail=1 delay=2"
        ));
    }
    for (group, _) in POLICIES {
        driver.wait_got(group, 3);
        check::each_once(&driver.sent("policies"), &driver.got(group));
        for got in driver.got(group) {
            let refused = driver.told("refused").into_iter().find(|refused| {
                refused.get("by") == group && refused.get("body") == got.get("body")
            });
            let waited = got.at - refused.expect("it was refused before").at;
            assert!(waited >= Duration::from_millis(4900), "{group}: {waited:?}");
        }
        // As many queues as were asked for.
        let retries = format!("%RETRY%{group}");
        let (_, body) =
            wire::call(&broker, 351, json!({ "topic": retries }), b"").expect("an answer");
        let config: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(config["readQueueNums"], 2, "{config}");
    }
    driver.finish();
}

/// A group that gives messages back, which end up among its retries or its dead letters.
struct GivingBack<'a> {
    broker: &'a str,
    group: &'a str,
}

impl GivingBack<'_> {
    /// As a client of this version, which may name a limit of its own.
    fn give_back(&self, version: i32, place: &str, own_limit: Option<&str>) -> &'static str {
        let ends = ["RETRY", "DLQ"].map(|kind| (kind, self.end(kind)));
        // The physical offset is the end of a message's id.
        let offset = i64::from_str_radix(&place[place.len() - 16..], 16).expect("hexadecimal");
        let mut fields = json!({
            "offset": offset.to_string(), "group": self.group, "delayLevel": "1",
            "originMsgId": place, "originTopic": "limited", "unitMode": "false",
        });
        if let Some(limit) = own_limit {
            fields["maxReconsumeTimes"] = limit.into();
        }
        let mut connection = wire::Connection::open(self.broker, LIMIT).expect("it listens");
        let (header, _) = connection.call_as(version, 36, fields, b"").expect("an answer");
        assert_eq!(header["code"], 0, "{header}");
        // Level 1 of the delay levels is one second.
        wait_until("the message given back", LIMIT, || {
            ends.iter().find(|(kind, end)| self.end(kind) > *end).map(|(kind, _)| *kind)
        })
    }

    fn end(&self, kind: &str) -> i64 {
        let topic = format!("%{kind}%{}", self.group);
        let fields = json!({ "topic": topic, "queueId": "0", "committed": "true" });
        let (header, _) = wire::call(self.broker, 30, fields, b"").expect("an answer");
        header["extFields"]["offset"].as_str().and_then(|end| end.parse().ok()).unwrap_or(0)
    }

    /// The physical offset, in hexadecimal, of what stands at this offset of queue 0.
    fn place(&self, topic: &str, offset: i64) -> String {
        let message = wait_until("a message in its queue", LIMIT, || {
            let fields = json!({
                "consumerGroup": self.group, "topic": topic, "queueId": "0",
                "queueOffset": offset.to_string(), "maxMsgNums": "1", "sysFlag": "4",
                "commitOffset": "0", "suspendTimeoutMillis": "0", "subscription": "*",
                "subVersion": "0", "expressionType": "TAG",
            });
            let (header, body) = wire::call(self.broker, 11, fields, b"")?;
            (header["code"] == 0).then_some(body)
        });
        // Its physical offset stands at byte 28.
        message[28..36].iter().map(|byte| format!("{byte:02X}")).collect()
    }
}

/// The group's limit counts for clients that name none, and for those older than 3.4.9 whatever
/// they name; a client's own wins over it.
#[test]
fn a_group_s_retry_max_times_decides_when_a_message_is_dead() {
    const NEW: i32 = 513;
    const OLD: i32 = 100;
    let scene = Scene::new();
    let cluster = Cluster::start(&scene);
    let (broker, mut admin) = (cluster.broker(), Admin::java());
    assert!(wire::send(&broker, "limited"));
    for (group, limit) in [("never-again", "0"), ("once-more", "1")] {
        run(&mut admin, &["updateSubGroup", "-b", &broker, "-g", group, "-r", limit, "-q", "1"]);
        let back = GivingBack { broker: &broker, group };
        let first = back.place("limited", 0);
        if limit == "0" {
            assert_eq!(back.give_back(NEW, &first, None), "DLQ");
            assert_eq!(back.give_back(OLD, &first, Some("5")), "DLQ");
            assert_eq!(back.give_back(NEW, &first, Some("5")), "RETRY");
            continue;
        }
        assert_eq!(back.give_back(NEW, &first, None), "RETRY");
        let again = back.place(&format!("%RETRY%{group}"), 0);
        assert_eq!(back.give_back(NEW, &again, Some("2")), "RETRY");
        assert_eq!(back.give_back(NEW, &again, None), "DLQ");
        assert_eq!(back.give_back(NEW, &first, Some("0")), "DLQ");
        // Raised, it counts from the next time on.
        run(&mut admin, &["updateSubGroup", "-b", &broker, "-g", group, "-r", "3", "-q", "1"]);
        assert_eq!(back.give_back(NEW, &again, None), "RETRY");

        // Clients that cannot give back send the message themselves, counted.
        let send = |times: &str, own_limit: Option<&str>| {
            let before = back.end("DLQ");
            let mut fields = json!({
                "a": "interop", "b": format!("%RETRY%{group}"), "c": "TBW102", "d": "1", "e": "0",
                "f": "0", "g": "1700000000000", "h": "0", "i": "", "j": times, "k": "false",
                "m": "false",
            });
            if let Some(limit) = own_limit {
                fields["l"] = limit.into();
            }
            let (header, _) = wire::call(&broker, 310, fields, b"again").expect("an answer");
            assert_eq!(header["code"], 0, "{header}");
            back.end("DLQ") > before
        };
        assert!(!send("3", None));
        assert!(send("4", None));
        assert!(!send("4", Some("9")));
        assert!(send("4", Some("2")));
    }
}

/// A connection with a heartbeat as a consumer, told of others or not.
struct Member(TcpStream);

impl Member {
    fn join(broker: &str, group: &str, client: &str) -> Self {
        let mut stream = TcpStream::connect(broker).expect("the broker listens");
        let body = json!({"clientID": client, "producerDataSet": [], "consumerDataSet": [{
            "groupName": group, "consumeType": "CONSUME_PASSIVELY", "messageModel": "CLUSTERING",
            "consumeFromWhere": "CONSUME_FROM_LAST_OFFSET", "unitMode": false,
            "subscriptionDataSet": [{"topic": "notices", "subString": "*", "expressionType": "TAG",
                "tagsSet": [], "codeSet": [], "subVersion": 1, "classFilterMode": false}],
        }]})
        .to_string();
        let header = json!({
            "code": 34, "flag": 0, "language": "JAVA", "opaque": 7, "version": 513,
            "serializeTypeCurrentRPC": "JSON", "extFields": {},
        })
        .to_string();
        let length = |n: usize| u32::try_from(n).expect("small").to_be_bytes();
        let frame = [
            &length(4 + header.len() + body.len())[..],
            &length(header.len()),
            header.as_bytes(),
            body.as_bytes(),
        ];
        stream.write_all(&frame.concat()).expect("a heartbeat");
        let mut member = Self(stream);
        while member.next(LIMIT).expect("an answer")["opaque"] != 7 {}
        member
    }

    /// The header of the next frame, if one comes in time.
    fn next(&mut self, within: Duration) -> Option<Value> {
        self.0.set_read_timeout(Some(within)).expect("a socket's option");
        let mut lengths = [0; 8];
        self.0.read_exact(&mut lengths).ok()?;
        let [total, header] = [&lengths[..4], &lengths[4..]]
            .map(|bytes| u32::from_be_bytes(bytes.try_into().expect("four bytes")) as usize);
        let mut rest = vec![0; total - 4];
        self.0.read_exact(&mut rest).expect("a whole frame");
        Some(serde_json::from_slice(&rest[..header & 0xff_ffff]).expect("JSON"))
    }

    /// Whether it is told of a change of this group (code 40).
    fn is_told(&mut self, group: &str, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            match self.next(left.max(Duration::from_millis(1))) {
                Some(told) if told["code"] == 40 && told["flag"] == 2 => {
                    assert_eq!(told["extFields"]["consumerGroup"], group, "{told}");
                    return true;
                }
                _ => {}
            }
        }
        false
    }
}

#[test]
fn members_are_told_of_others_unless_their_group_says_no() {
    let scene = Scene::new();
    let cluster = Cluster::start(&scene);
    let (broker, mut admin) = (cluster.broker(), Admin::java());
    for (group, notify) in [("loud", true), ("silent", false)] {
        run(&mut admin, &["updateSubGroup", "-b", &broker, "-g", group, "-a", &notify.to_string()]);
        let mut first = Member::join(&broker, group, "first");
        // Java's broker tells a member of its own coming, too.
        while first.is_told(group, Duration::from_millis(500)) {}
        let second = Member::join(&broker, group, "second");
        let within = if notify { LIMIT } else { Duration::from_secs(2) };
        assert_eq!(first.is_told(group, within), notify, "{group}: a member came");
        while first.is_told(group, Duration::from_millis(500)) {}
        drop(second);
        // As Java's: of a connection that ends everyone is told.
        assert!(first.is_told(group, LIMIT), "{group}: a member went");
    }
}

/// Where more lies between a consumer and the log's end than the memory holds, the answer names the
/// broker that the group is to read from.
#[test]
fn slow_consumers_are_sent_to_the_broker_of_their_group() {
    let scene = Scene::new();
    let settings = ["slaveReadEnable=true", "accessMessageInMemoryMaxRatio=0"];
    let (_namesrv, broker) = one_broker(&scene, &settings);
    let mut admin = Admin::java();
    assert!(wire::send(&broker.addr, "slow"));
    assert!(wire::send(&broker.addr, "slow"));
    for (group, which) in [("away", "7"), ("usual", "1")] {
        run(&mut admin, &["updateSubGroup", "-b", &broker.addr, "-g", group, "-w", which]);
        let found = wait_until("a message", LIMIT, || {
            let fields = json!({
                "consumerGroup": group, "topic": "slow", "queueId": "0", "queueOffset": "0",
                "maxMsgNums": "1", "sysFlag": "4", "commitOffset": "0",
                "suspendTimeoutMillis": "0", "subscription": "*", "subVersion": "0",
                "expressionType": "TAG",
            });
            let (header, _) = wire::call(&broker.addr, 11, fields, b"")?;
            (header["code"] == 0).then_some(header)
        });
        assert_eq!(found["extFields"]["suggestWhichBrokerId"], which, "{found}");
    }
}

#[test]
fn a_group_that_is_cloned_goes_on_where_the_other_stands() {
    let scene = Scene::new();
    let cluster = Cluster::start(&scene);
    let (namesrv, mut admin) = (cluster.namesrv(), Admin::java());
    let mut driver = Driver::start(&scene, Client::Java5, namesrv);
    driver.run("producer p group=producers");
    driver.run("send p topic=cloned mode=sync count=8 prefix=old");
    driver.run("consumer one group=one topic=cloned kind=concurrent");
    driver.wait_got("one", 8);
    // Told with its last words.
    driver.run("stop one");
    // Made before, so that it has no offsets of its own from the log's end.
    run(&mut admin, &["updateSubGroup", "-b", &cluster.broker(), "-g", "two"]);
    run(
        &mut admin,
        &[
            "cloneGroupOffset",
            "-n",
            namesrv,
            "-s",
            "one",
            "-d",
            "two",
            "-t",
            "cloned",
            "-o",
            "true",
        ],
    );
    driver.run("consumer two group=two topic=cloned kind=concurrent");
    driver.run("send p topic=cloned mode=sync count=8 prefix=new");
    driver.wait_got("two", 8);
    let new: Vec<_> = driver.sent("cloned").split_off(8);
    check::each_once(&new, &driver.got("two"));
    driver.finish();
}

/// Locks are the broker's memory: after a kill the members take them anew, and the order stays.
#[test]
fn ordered_consumers_keep_the_order_when_the_broker_is_killed() {
    let scene = Scene::new();
    let mut cluster = Cluster::start(&scene);
    let mut sender = Driver::start(&scene, Client::Java5, cluster.namesrv());
    let mut group = Driver::start(&scene, Client::Java5, cluster.namesrv());
    sender.run("producer p group=producers retries=0");
    sender.run("send p topic=ordered mode=sync count=8 prefix=first");
    for name in ["one", "two"] {
        group.run(&format!("consumer {name} group=ordered topic=ordered kind=orderly poll=1000"));
    }
    group.wait("the first messages", |events| {
        events.iter().filter(|e| e.word == "got").count() >= 8
    });
    sender.run("flood p topic=ordered prefix=m threads=1 pause=5");
    for _ in 0..2 {
        let got = group.told("got").len();
        group.wait("more before the kill", |events| {
            events.iter().filter(|e| e.word == "got").count() >= got + 50
        });
        cluster.crash();
    }
    let got = group.told("got").len();
    group.wait("more after the kills", |events| {
        events.iter().filter(|e| e.word == "got").count() >= got + 50
    });
    sender.run("halt p");
    let sent = sender.sent("ordered");
    group.wait("every message", |events| {
        let got: Vec<_> = events.iter().filter(|e| e.word == "got").cloned().collect();
        check::has_all(&sent, &got)
    });
    let first = check::first_deliveries(&group.told("got"));
    check::in_order(&first);
}

/// Queues of topics that are in no table, and of topics of which the log has nothing more.
#[test]
fn operators_clean_what_nobody_needs() {
    let scene = Scene::new();
    // Nothing goes at its hour, whatever hour it is here.
    let hour = Command::new("date").arg("+%H").output().expect("date runs").stdout;
    let hour: u32 = String::from_utf8_lossy(&hour).trim().parse().expect("an hour");
    let never: &'static str = format!("deleteWhen={:02}", (hour + 12) % 24).leak();
    let settings = [
        never,
        "mappedFileSizeCommitLog=1048576",
        "mappedFileSizeConsumeQueue=2000",
        "fileReservedTime=0",
        "deleteCommitLogFilesInterval=10",
        "cleanResourceInterval=500",
    ];
    let (namesrv, mut broker) = one_broker(&scene, &settings);
    let mut admin = Admin::java();
    let mut driver = Driver::start(&scene, Client::Java5, &namesrv.addr);
    driver.run("producer p group=producers");
    for topic in ["unused", "expired", "kept"] {
        run(&mut admin, &["updateTopic", "-b", &broker.addr, "-t", topic, "-r", "1", "-w", "1"]);
    }
    driver.run("send p topic=unused mode=sync count=5 prefix=u");
    driver.run("send p topic=expired mode=sync count=5 prefix=e size=1000");
    driver.run("send p topic=kept mode=sync count=700 prefix=k size=4000");
    let queue = |broker: &Broker, topic: &str| broker.store().join("consumequeue").join(topic);
    for topic in ["unused", "expired", "kept"] {
        wait_until("queues on disk", LIMIT, || queue(&broker, topic).exists().then_some(()));
    }

    // A topic vanishes from the table while its broker is down.
    broker.stop();
    let file = broker.store().join("config/topics.json");
    let mut topics: Value =
        serde_json::from_slice(&fs::read(&file).expect("the table")).expect("JSON");
    let table = topics["topicConfigTable"].as_object_mut().expect("a table");
    assert!(table.remove("unused").is_some());
    fs::write(&file, topics.to_string()).expect("the table");
    broker.start_again(Kind::under_test());
    assert!(queue(&broker, "unused").exists());
    run(&mut admin, &["cleanUnusedTopic", "-b", &broker.addr]);
    wait_until("the end of unused queues", LIMIT, || {
        (!queue(&broker, "unused").exists()).then_some(())
    });
    assert_eq!(queue_end(&broker.addr, "expired"), 5);

    // The log's first files go; what they held is out of reach.
    let first = || fs::read_dir(broker.commit_log()).expect("a folder").count();
    assert!(first() > 2);
    wait_until("the log's files expired", LIMIT, || {
        run(&mut admin, &["deleteExpiredCommitLog", "-b", &broker.addr]);
        run(&mut admin, &["cleanExpiredCQ", "-b", &broker.addr]);
        let (header, _) =
            wire::call(&broker.addr, 31, json!({ "topic": "kept", "queueId": "0" }), b"")?;
        let least: i64 = header["extFields"]["offset"].as_str()?.parse().ok()?;
        (least > 0 && first() <= 2).then_some(())
    });
    assert_eq!(queue_end(&broker.addr, "kept"), 700);
    driver.run("consumer c group=late topic=kept kind=concurrent");
    driver.run("send p topic=kept mode=sync count=1 prefix=last");
    driver.wait("the last message", |events| {
        events.iter().any(|e| e.word == "got" && e.get("body").starts_with("last"))
    });
    // A topic that has lost everything takes messages as before.
    driver.run("send p topic=expired mode=sync count=1 prefix=again");
    driver.run("consumer e group=late-too topic=expired kind=concurrent");
    driver.wait("the new message", |events| {
        events.iter().any(|e| e.word == "got" && e.get("body").starts_with("again"))
    });
    driver.finish();
}
