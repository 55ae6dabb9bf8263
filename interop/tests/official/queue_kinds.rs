//! Directories with batch consume queues and with extension files of consume queues, served in turn
//! by the Java broker and by Skua.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::json;
use skua_interop::{Broker, Client, Driver, Kind, Namesrv, Scene, Tuning, check, wire};

fn broker(scene: &Scene, namesrv: &Namesrv, settings: &[&'static str]) -> Broker {
    let tuning = Tuning { settings: settings.to_vec(), ..Tuning::default() };
    let mut broker = Broker::start_tuned(scene, Kind::Java, "broker-a", &namesrv.addr, tuning);
    broker.wait_registered();
    broker
}

fn hand_over(broker: &mut Broker, kind: Kind) {
    broker.stop();
    broker.start_again(kind);
}

fn make_topic(broker: &Broker, topic: &str, attributes: &str) {
    let fields = json!({
        "topic": topic, "defaultTopic": "TBW102", "readQueueNums": "2", "writeQueueNums": "2",
        "perm": "6", "topicFilterType": "SINGLE_TAG", "topicSysFlag": "0", "order": "false",
        "attributes": attributes,
    });
    let (header, _) = wire::call(&broker.addr, 17, fields, b"").expect("an answer");
    assert_eq!(header["code"], 0, "{header}");
}

fn scan(driver: &mut Driver, topic: &str, turn: usize) -> Vec<skua_interop::Event> {
    driver.run(&format!("scan {topic}-{turn} topic={topic} group=scanners"));
    driver.got(&format!("{topic}-{turn}"))
}

#[test]
fn topics_with_batch_queues_move_to_skua_and_back() {
    const TOPIC: &str = "batched";
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let settings = ["mappedFileSizeCommitLog=262144", "mapperFileSizeBatchConsumeQueue=460"];
    let mut broker = broker(&scene, &namesrv, &settings);
    make_topic(&broker, TOPIC, "+queue.type=BatchCQ");
    let mut driver = Driver::start(&scene, Client::Java5, &namesrv.addr);
    let kinds = [Kind::Java, Kind::Skua, Kind::Java];
    for (turn, kind) in kinds.into_iter().enumerate() {
        if turn > 0 {
            hand_over(&mut broker, kind);
            let before = driver.sent(TOPIC);
            check::each_once(&before, &scan(&mut driver, TOPIC, 10 + turn));
        }
        driver.run("producer p group=producers");
        for part in 0..3 {
            driver.run(&format!(
                "send p topic={TOPIC} mode=batch count=64 prefix={turn}-{part} size=700"
            ));
        }
        // A client sends a batch of one as such, too.
        driver.run(&format!("send p topic={TOPIC} mode=batch count=1 prefix={turn}-one size=70"));
        if kind == Kind::Skua {
            // Java stores it and never delivers it, though it delivers what Skua has stored.
            driver.run(&format!("send p topic={TOPIC} mode=sync count=3 prefix={turn}-single"));
        }
        driver.run("stop p");
        let sent = driver.sent(TOPIC);
        let got = scan(&mut driver, TOPIC, turn);
        check::each_once(&sent, &got);
        check::dense(&got);
        check::at_their_offsets(&sent, &got);
        let by = format!("reader-{turn}");
        driver.run(&format!("consumer {by} group=readers topic={TOPIC} kind=concurrent"));
        let count = |events: &[skua_interop::Event]| {
            let got = events.iter().filter(|e| e.word == "got");
            let got = got.filter(|e| e.get("by").starts_with("reader-")).cloned();
            check::first_deliveries(&got.collect::<Vec<_>>()).len()
        };
        driver.wait("everything at the group", |events| count(events) >= sent.len());
        driver.run(&format!("stop {by}"));
    }
    let readers = (0..kinds.len()).flat_map(|turn| driver.got(&format!("reader-{turn}")));
    check::each_once(&driver.sent(TOPIC), &readers.collect::<Vec<_>>());
}

/// The units of all files beside a topic's queues: tags code, store time and bit map.
fn units(store: &Path, topic: &str) -> Vec<(i64, i64, Vec<u8>)> {
    let mut units = Vec::new();
    for queue in std::fs::read_dir(store.join("consumequeue_ext").join(topic)).expect("there") {
        let mut files: Vec<_> = std::fs::read_dir(queue.expect("readable").path())
            .expect("a folder")
            .map(|file| file.expect("readable").path())
            .collect();
        files.sort();
        for file in files {
            let bytes = std::fs::read(file).expect("readable");
            let mut rest = &bytes[..];
            while let Some((len, _)) = rest.split_first_chunk::<2>() {
                let len = i16::from_be_bytes(*len);
                let Some(unit) = usize::try_from(len).ok().filter(|len| *len > 0) else { break };
                let (unit, more) = rest.split_at(unit);
                let number = |at: usize| {
                    i64::from_be_bytes(unit[at..at + 8].try_into().expect("eight bytes"))
                };
                units.push((number(2), number(10), unit[20..].to_vec()));
                rest = more;
            }
        }
    }
    units
}

#[test]
fn extension_files_and_their_bit_maps_are_those_of_java_in_both_directions() {
    const TOPIC: &str = "filtered";
    const SETTINGS: [&str; 5] = [
        "mappedFileSizeConsumeQueueExt=4096",
        "enableConsumeQueueExt=true",
        "enableCalcFilterBitMap=true",
        "enablePropertyFilter=true",
        "mappedFileSizeConsumeQueue=2000",
    ];
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let mut broker = broker(&scene, &namesrv, &SETTINGS);
    make_topic(&broker, TOPIC, "");
    let mut driver = Driver::start(&scene, Client::Java5, &namesrv.addr);
    let mut maps: BTreeMap<i64, BTreeSet<Vec<u8>>> = BTreeMap::new();
    let mut seen = 0;
    for (turn, kind) in [Kind::Java, Kind::Skua, Kind::Java].into_iter().enumerate() {
        if turn > 0 {
            hand_over(&mut broker, kind);
        }
        for (group, sql) in [("ones", "a=1"), ("twos", "a~>~1"), ("none", "a=7")] {
            let command = format!("consumer {group}-{turn} group={group} topic={TOPIC}");
            driver.run(&format!("{command} kind=concurrent sql={sql}"));
        }
        driver.run("producer p group=producers");
        // The first may come before the filters.
        driver.run(&format!("send p topic={TOPIC} mode=sync count=4 prefix={turn}-f tags=F"));
        for (tag, props) in [("A", "a:1"), ("B", "a:2"), ("C", "b:1")] {
            driver.run(&format!(
                "send p topic={TOPIC} mode=sync count=60 prefix={turn}-{tag} tags={tag} props={props}"
            ));
        }
        driver.run("stop p");
        let wanted = 60 * (turn + 1);
        for group in ["ones", "twos"] {
            let begins = format!("{group}-");
            driver.wait("what the filter takes", |events| {
                let got = events.iter().filter(|e| e.word == "got");
                got.filter(|e| e.get("by").starts_with(&begins)).count() >= wanted
            });
        }
        for group in ["ones", "twos", "none"] {
            driver.run(&format!("stop {group}-{turn}"));
        }
        let sent = driver.sent(TOPIC);
        check::each_once(&sent, &scan(&mut driver, TOPIC, turn));
        for tag in ["A", "C"] {
            let name = format!("tag-{tag}-{turn}");
            driver.run(&format!("scan {name} topic={TOPIC} group=scanners tags={tag}"));
            let of_tag: Vec<_> = sent.iter().filter(|e| e.get("tag") == tag).cloned().collect();
            check::each_once(&of_tag, &driver.got(&name));
        }
        // Each kind of message has one bit map, whoever wrote it.
        let units = units(&broker.store(), TOPIC);
        assert_eq!(units.len(), sent.len(), "turn {turn}");
        assert!(units.len() > seen);
        seen = units.len();
        for (tags, time, map) in units {
            assert!(time > 1_700_000_000_000, "{time}");
            if tags != i64::from(b'F') {
                maps.entry(tags).or_default().insert(map);
            }
        }
        let of = |tag: u8| maps.get(&i64::from(tag)).expect("sent");
        for tag in *b"ABC" {
            assert_eq!(of(tag).len(), 1, "turn {turn}: {maps:?}");
        }
        assert!(of(b'A') != of(b'B') && of(b'A') != of(b'C'), "{maps:?}");
    }
    for (group, tag) in [("ones", "A"), ("twos", "B")] {
        let sent = driver.sent(TOPIC);
        let sent: Vec<_> = sent.iter().filter(|e| e.get("tag") == tag).cloned().collect();
        let got: Vec<_> = (0..3).flat_map(|turn| driver.got(&format!("{group}-{turn}"))).collect();
        check::each_once(&sent, &got);
    }
    for turn in 0..3 {
        assert!(driver.got(&format!("none-{turn}")).is_empty());
    }
}

/// By key: how long the body is of the message that came last.
fn latest(events: &[skua_interop::Event]) -> BTreeMap<String, i64> {
    let mut latest = BTreeMap::new();
    for event in events {
        latest.insert(event.get("body").to_owned(), event.number("size"));
    }
    latest
}

#[test]
fn of_a_compacted_topic_the_latest_of_each_key_is_served() {
    const TOPIC: &str = "compacted";
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let settings = ["compactionScheduleInternal=1000", "flushConsumeQueueThoroughInterval=1000"];
    let tuning = Tuning { settings: settings.to_vec(), ..Tuning::default() };
    let mut broker = Broker::start_tuned(&scene, Kind::Skua, "broker-a", &namesrv.addr, tuning);
    broker.wait_registered();
    make_topic(&broker, TOPIC, "+cleanup.policy=COMPACTION");
    let mut driver = Driver::start(&scene, Client::Java5, &namesrv.addr);
    driver.run("producer p group=producers");
    // The body's first word is also the key.
    for size in [100, 300, 200] {
        driver.run(&format!(
            "send p topic={TOPIC} mode=sync count=20 prefix=k size={size} queue=0 tags=A"
        ));
    }
    let mut turn = 0;
    let mut scan_until = |driver: &mut Driver, count: usize| {
        skua_interop::wait_until("a compaction", std::time::Duration::from_secs(60), || {
            turn += 1;
            let got = scan(driver, TOPIC, turn);
            assert!(got.len() >= count, "{got:?}");
            (got.len() == count).then_some(got)
        })
    };
    let kept = scan_until(&mut driver, 20);
    assert!(latest(&kept).values().all(|size| *size == 200), "{kept:?}");
    check::in_order(&kept);
    driver.run("consumer all group=readers topic=compacted kind=concurrent");
    driver.wait_got("all", 20);
    driver.run(&format!("send p topic={TOPIC} mode=sync count=5 prefix=k size=150 queue=0 tags=A"));
    driver.wait_got("all", 25);
    broker.stop();
    broker.start_again(Kind::Skua);
    let kept = scan_until(&mut driver, 20);
    let of_size = |size: i64| latest(&kept).values().filter(|other| **other == size).count();
    assert_eq!((of_size(150), of_size(200)), (5, 15), "{kept:?}");
}
