//! A broker of Java's DLedger, with a plain commit log from before it, becomes a plain store that
//! Skua serves, and that a Skua group begins with.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use skua_interop::{
    Broker, Client, Driver, Event, Kind, Namesrv, Scene, Tuning, check, free_port, skua,
    wait_until, wire,
};

use super::raft::{Group, Plan};

const LIMIT: Duration = Duration::from_secs(120);
const TOPIC: &str = "moved";
const COMMON: [&str; 6] = [
    "brokerName=group",
    "mappedFileSizeCommitLog=262144",
    // Level 2 is long enough for a stop, an import and a start.
    "messageDelayLevel=1s 25s",
    "transactionTimeOut=3000",
    "transactionCheckInterval=3000",
    "transactionCheckMax=100",
];

fn setting(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn member(port: u16) -> Vec<&'static str> {
    vec![
        "enableDLegerCommitLog=true",
        "dLegerGroup=group",
        setting(format!("dLegerPeers=n0-127.0.0.1:{port}")),
        "dLegerSelfId=n0",
    ]
}

fn import(from: &Path, to: &Path, more: &[&str]) -> (Option<i32>, Value) {
    let mut command = skua();
    command.args(["store", "import-dledger", "--json"]).arg(to).arg("--from").arg(from);
    let output = command.args(more).output().expect("it runs");
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default())
}

fn sends(driver: &mut Driver, turn: &str) {
    for mode in ["sync", "async", "oneway", "batch"] {
        driver.run(&format!(
            "send p topic={TOPIC} mode={mode} count=30 prefix={turn}-{mode} tags=A,B size=3000"
        ));
    }
}

/// Reads as `group` under another name until everything sent has come to the group.
fn catch_up(driver: &mut Driver, name: &str, before: &[&str]) {
    let sent = driver.sent(TOPIC).len();
    driver.run(&format!("consumer {name} group=reader topic={TOPIC} kind=concurrent"));
    driver.wait("everything at the group", |events| {
        let mine =
            |e: &&Event| e.word == "got" && (e.get("by") == name || before.contains(&e.get("by")));
        let got: Vec<_> = events.iter().filter(mine).cloned().collect();
        check::first_deliveries(&got).len() >= sent
    });
    driver.run(&format!("stop {name}"));
}

fn scan(driver: &mut Driver, name: &str) {
    driver.run(&format!("scan {name} topic={TOPIC} group=scanners"));
    let (sent, got) = (driver.sent(TOPIC), driver.got(name));
    check::each_once(&sent, &got);
    check::dense(&got);
    let acknowledged: Vec<_> = sent.iter().filter(|e| e.has("queue")).cloned().collect();
    check::at_their_offsets(&acknowledged, &got);
}

#[test]
fn a_java_dledger_broker_becomes_a_store_of_skua() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let tuning = Tuning { settings: COMMON.to_vec(), ..Tuning::default() };
    let mut java = Broker::start_tuned(&scene, Kind::Java, "java", &namesrv.addr, tuning);
    java.wait_registered();
    let mut driver = Driver::start(&scene, Client::Java5, &namesrv.addr);
    driver.run("producer p group=producers timeout=10000 poll=1000");
    sends(&mut driver, "plain");
    java.stop();
    java.set(&member(free_port()));
    java.start_again(Kind::Java);
    wait_until("a master", LIMIT, || wire::send(&java.addr, "first").then_some(()));

    sends(&mut driver, "before");
    catch_up(&mut driver, "reader-0", &[]);
    sends(&mut driver, "after");
    driver.run("send p topic=later mode=sync count=4 prefix=later delay=2");
    driver.run("send p topic=timed mode=sync count=4 prefix=timed timer=delay:30000");
    driver.run("transactor t group=transactors answer=unknown");
    driver.run("transact t topic=tx count=4 prefix=commit local=commit");
    driver.run("transact t topic=tx count=4 prefix=half local=unknown");
    driver.run("stop t");
    driver.run("stop p");
    java.stop();

    let before = files(&java.store());
    let target = scene.folder("imported").join("store");
    let (status, told) = import(&java.store(), &target, &["--dry-run"]);
    assert_eq!((status, &told["written"]), (Some(0), &Value::Bool(false)), "{told}");
    let (status, told) = import(&java.store(), &target, &[]);
    assert_eq!(status, Some(0), "{told}");
    // Up to where it is agreed on, Java notes every 3 s and at its end, by two threads that take
    // away each other's file; here all of it is.
    assert_eq!(&told["tornBytes"], &0, "{told}");
    assert!(told["plainMessages"].as_u64() > Some(100), "{told}");
    assert_eq!(files(&java.store()), before, "the source was changed");
    let (status, _) = import(&java.store(), &target, &[]);
    assert_eq!(status, Some(2), "the directory is full by now");
    let verify = skua().args(["store", "verify"]).arg(&target).output().expect("it runs");
    assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stdout));

    let tuning = Tuning { settings: COMMON.to_vec(), ..Tuning::default() };
    let mut broker = Broker::start_tuned(&scene, Kind::Skua, "imported", &namesrv.addr, tuning);
    broker.wait_registered();
    scan(&mut driver, "scan-0");
    driver.run("producer p group=producers timeout=10000 poll=1000");
    let known = driver.sent(TOPIC).len();
    sends(&mut driver, "skua");
    catch_up(&mut driver, "reader-1", &["reader-0"]);
    let fresh: Vec<_> = driver.sent(TOPIC);
    let seen = driver.got("reader-0");
    let is_new = |e: &&Event| !seen.iter().any(|got| got.message() == e.message());
    let expected: Vec<_> = fresh.iter().filter(is_new).cloned().collect();
    assert!(expected.len() > fresh.len() - known);
    check::each_once(&expected, &driver.got("reader-1"));

    // What waited comes, and halves are asked about.
    driver.run("transactor t group=transactors answer=commit");
    // Then the broker knows it.
    driver.run("transact t topic=tx count=1 prefix=fresh local=commit");
    for topic in ["later", "timed", "tx"] {
        driver.run(&format!("consumer {topic} group={topic} topic={topic} kind=concurrent"));
    }
    driver.wait_got("later", 4);
    check::each_once(&driver.sent("later"), &driver.got("later"));
    driver.wait_got("timed", 4);
    check::each_once(&driver.sent("timed"), &driver.got("timed"));
    driver.wait_got("tx", 9);
    let halves = driver.told("half");
    check::each_once(&halves, &driver.got("tx"));
    let asked = driver.told("asked");
    assert!(asked.iter().any(|e| e.get("body").starts_with("half")), "{asked:?}");

    // A group begins with it.
    broker.stop();
    broker.set(&member(free_port()));
    broker.start_again(Kind::Skua);
    wait_until("a leader", LIMIT, || wire::send(&broker.addr, "first").then_some(()));
    sends(&mut driver, "group");
    scan(&mut driver, "scan-1");
}

/// The way of `docs/failover.md`: one member begins with a copy of the Java broker's directory, the
/// two others with nothing, and each of the three has everything.
#[test]
fn a_group_of_three_begins_with_what_a_java_dledger_broker_had() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let settings = [&COMMON[..], &member(free_port())].concat();
    let tuning = Tuning { settings, ..Tuning::default() };
    let mut java = Broker::start_tuned(&scene, Kind::Java, "java", &namesrv.addr, tuning);
    java.wait_registered();
    wait_until("a master", LIMIT, || wire::send(&java.addr, "first").then_some(()));
    let mut before = Driver::start(&scene, Client::Java5, &namesrv.addr);
    before.run("producer p group=producers timeout=10000");
    sends(&mut before, "read");
    catch_up(&mut before, "reader-0", &[]);
    sends(&mut before, "unread");
    before.run("stop p");
    java.stop();

    let store = java.store();
    let copy = move |dir: &Path| {
        let mut command = skua();
        command.args(["store", "import-dledger", "-c"]).arg(dir.join("broker.conf"));
        let output = command.arg("--from").arg(&store).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let plan = Plan { moves_in: Some(Box::new(copy)), ..Plan::default() };
    let mut group = Group::start_as(3, COMMON[1], plan);
    group.wait_same_logs();
    let has_all = |driver: &mut Driver, name: &str| {
        driver.run(&format!("scan {name} topic={TOPIC} group=scanners"));
        let (sent, got) = (before.sent(TOPIC), driver.got(name));
        check::each_once(&sent, &got);
        check::dense(&got);
        let acknowledged: Vec<_> = sent.iter().filter(|e| e.has("queue")).cloned().collect();
        check::at_their_offsets(&acknowledged, &got);
    };
    // Clients read from who leads: each in its turn.
    assert_eq!(group.wait_leader(), 0, "nobody else had anything");
    let mut after = Driver::start(&group.scene, Client::Java5, &group.namesrv.addr);
    has_all(&mut after, "scan-0");
    for to in [1, 2] {
        group.change(&["transfer", &format!("n{to}")]);
        group.wait_master(to);
        // A client that has not seen this group's routes before.
        after = Driver::start(&group.scene, Client::Java5, &group.namesrv.addr);
        has_all(&mut after, &format!("scan-{to}"));
    }

    // The group goes on where it stood, without the member that had the copy.
    group.nodes[0].process.kill();
    let seen = before.got("reader-0");
    let is_new = |e: &&Event| !seen.iter().any(|got| got.message() == e.message());
    let expected: Vec<_> = before.sent(TOPIC).iter().filter(is_new).cloned().collect();
    assert_eq!(expected.len(), 120);
    after.run(&format!("consumer reader-1 group=reader topic={TOPIC} kind=concurrent"));
    after.wait_got("reader-1", expected.len());
    check::each_once(&expected, &after.got("reader-1"));
    after.run("producer p group=producers timeout=10000");
    sends(&mut after, "later");
    after.wait_got("reader-1", expected.len() + 120);
    group.restart(0);
    group.wait_same_logs();
}

/// A group of three, all killed under load: the member that would have been elected has everything
/// that was acknowledged. Run with `DLEDGER_GROUP=1`; it takes a minute.
#[test]
fn of_a_killed_group_the_furthest_member_has_everything() {
    if std::env::var_os("DLEDGER_GROUP").is_none() {
        return;
    }
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let peers: Vec<_> = (0..3).map(|n| format!("n{n}-127.0.0.1:{}", free_port())).collect();
    let peers = setting(format!("dLegerPeers={}", peers.join(";")));
    let mut members: Vec<_> = (0..3)
        .map(|nth| {
            let mut settings = COMMON.to_vec();
            settings.extend(["enableDLegerCommitLog=true", "dLegerGroup=group", peers]);
            settings.push(setting(format!("dLegerSelfId=n{nth}")));
            let tuning = Tuning { settings, java_options: None };
            let name = format!("member-{nth}");
            Broker::start_tuned(&scene, Kind::Java, &name, &namesrv.addr, tuning)
        })
        .collect();
    members.iter_mut().for_each(Broker::wait_registered);
    let leader = wait_until("a master", LIMIT, || {
        members.iter().map(|member| member.addr.clone()).find(|addr| wire::send(addr, TOPIC))
    });
    let mut driver = Driver::start(&scene, Client::Java5, &namesrv.addr);
    driver.run("producer p group=producers timeout=3000 poll=1000");
    driver.run(&format!("flood p topic={TOPIC} prefix=m threads=4 pause=1 size=900"));
    driver.wait("sends", |events| events.iter().filter(|e| e.word == "sent").count() >= 1500);
    members.iter_mut().for_each(|member| member.process.kill());
    driver.run("halt p");

    let trial = scene.folder("trial");
    let of = |member: &Broker| {
        let (status, told) = import(&member.store(), &trial, &["--dry-run"]);
        eprintln!("{told}");
        assert_eq!(status, Some(0), "{told}");
        // Of equal ones the leader has the newest tables.
        (told["lastTerm"].as_i64(), told["lastIndex"].as_u64(), member.addr == leader)
    };
    let best = members.iter().max_by_key(|member| of(member)).expect("three");
    let target = scene.folder("imported").join("store");
    let (status, told) = import(&best.store(), &target, &[]);
    assert_eq!(status, Some(0), "{told}");
    let tuning = Tuning { settings: COMMON.to_vec(), ..Tuning::default() };
    let mut broker = Broker::start_tuned(&scene, Kind::Skua, "imported", &namesrv.addr, tuning);
    broker.wait_registered();
    driver.run(&format!("scan s topic={TOPIC} group=scanners"));
    let (sent, got) = (driver.sent(TOPIC), driver.got("s"));
    check::contains_all(&sent, &got);
    check::dense(&got);
    check::at_their_offsets(&sent, &got);
}

/// Names and lengths of all files, and the content of small ones.
fn files(root: &Path) -> Vec<(String, u64, Vec<u8>)> {
    let mut all = Vec::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let len = fs::metadata(&path).expect("a file").len();
            let content =
                if len < 1 << 20 { fs::read(&path).expect("readable") } else { Vec::new() };
            all.push((path.display().to_string(), len, content));
        }
    }
    all.sort();
    all
}
