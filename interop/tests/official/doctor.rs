//! `skua doctor` against clusters with real faults: each is found, and named for what it is; a sound
//! cluster has none.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use skua_interop::{
    Broker, Kind, Namesrv, Process, Scene, Tuning, Volume, free_port, skua, wait_until,
};

use super::raft::Group;

const LIMIT: Duration = Duration::from_secs(120);
const VOLUME: usize = 64 << 20;
const OWN: [&str; 2] = ["mappedFileSizeCommitLog=8388608", "brokerIP2=127.0.0.1"];

fn broker(scene: &Scene, name: &str, namesrv: &str, settings: &[&'static str]) -> Broker {
    let settings = [&OWN, settings].concat();
    let tuning = Tuning { settings, java_options: None };
    let mut broker = Broker::start_tuned(scene, Kind::Skua, name, namesrv, tuning);
    broker.wait_registered();
    broker
}

fn run(arguments: &[&str]) {
    let ran = skua().args(arguments).output().expect("the binary runs");
    let err = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{arguments:?}: {err}");
}

/// Levels and texts of what is found, by code and of what.
type Findings = BTreeMap<(String, String), (String, String)>;

/// The findings, and whether the exit status says that something is wrong.
fn doctor(namesrv: &str, more: &[&str]) -> (Findings, bool) {
    let mut command = skua();
    command.args(["doctor", "--json", "--timeout", "5", "-n", namesrv]).args(more);
    let ran = command.output().expect("the binary runs");
    let text = String::from_utf8_lossy(&ran.stdout);
    let report: Value =
        serde_json::from_str(&text).unwrap_or_else(|cause| panic!("{cause}: {text}"));
    let wrong = report["healthy"] == false;
    assert_eq!(ran.status.code(), Some(i32::from(wrong)), "{text}");
    let mut findings = Findings::new();
    for finding in report["findings"].as_array().expect("a list") {
        let of = |name: &str| finding[name].as_str().expect("a text").to_owned();
        assert!(!of("advice").is_empty(), "{finding}");
        findings.insert((of("code"), of("of")), (of("level"), of("what")));
    }
    (findings, wrong)
}

/// Waits until doctor finds this, since a cluster takes its time to see a fault.
fn finds(namesrv: &str, more: &[&str], code: &str, of: &str, level: &str) -> String {
    let mut last = Findings::new();
    let begun = std::time::Instant::now();
    loop {
        let (found, wrong) = doctor(namesrv, more);
        let hit = found.iter().find(|((c, o), _)| c == code && o.contains(of));
        if let Some((_, (found_level, what))) = hit {
            assert_eq!(found_level, level, "{code}: {what}");
            assert!(wrong || level == "note", "{code}");
            return what.clone();
        }
        assert!(begun.elapsed() < LIMIT, "no {code} of {of}: {last:?}");
        last = found;
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn doctor_names_each_fault_of_a_cluster() {
    let scene = Scene::new();
    let first = Namesrv::start(&scene, Kind::Skua);
    let second_scene = Scene::new();
    let second = Namesrv::start(&second_scene, Kind::Skua);
    let both = format!("{};{}", first.addr, second.addr);

    // A sound one: what is found at most is a note.
    let a = broker(&scene, "broker-a", &both, &[]);
    wait_until("the broker at both name servers", LIMIT, || {
        let (found, wrong) = doctor(&both, &[]);
        (!wrong && !found.iter().any(|(_, (level, _))| level != "note")).then_some(())
    });

    // Name servers that disagree, a topic that one master lacks.
    let b = broker(&scene, "broker-b", &first.addr, &[]);
    finds(&both, &[], "name-servers-disagree", "", "warning");
    run(&["mqadmin", "updateTopic", "-n", &first.addr, "-b", &a.addr, "-t", "Lonely"]);
    let what = finds(&first.addr, &[], "topic-missing", "", "warning");
    assert!(what.contains("Lonely"), "{what}");

    // Messages wait for a group that nobody is of.
    let letters = scene.path().join("letters");
    fs::write(&letters, "x\n".repeat(50)).expect("written");
    let letters = letters.to_str().expect("a plain path");
    run(&["produce", "-n", &first.addr, "-t", "Lonely", letters]);
    run(&["mqadmin", "updateSubGroup", "-n", &first.addr, "-b", &a.addr, "-g", "Idle"]);
    let reset = ["mqadmin", "resetOffsetByTime", "-n", &first.addr, "-g", "Idle", "-t", "Lonely"];
    run(&[&reset[..], &["-s", "0"]].concat());
    finds(&first.addr, &[], "group-without-consumer", "Idle", "warning");

    // A master that must have a slave and has none.
    let alone = ["brokerRole=SYNC_MASTER"];
    let mut c = broker(&scene, "broker-c", &first.addr, &alone);
    finds(&first.addr, &[], "master-without-slave", "broker-c", "critical");
    c.stop();

    // A slave that hangs: it lacks what was sent since, and does not answer.
    let d = broker(&scene, "broker-d", &first.addr, &["haMaxGapNotInSync=4096"]);
    let slave = ["brokerName=broker-d", "brokerId=1", "brokerRole=SLAVE"];
    let e = broker(&scene, "slave", &first.addr, &slave);
    run(&["mqadmin", "updateTopic", "-n", &first.addr, "-b", &d.addr, "-t", "OnlyD"]);
    run(&["produce", "-n", &first.addr, "-t", "OnlyD", letters]);
    wait_until("the slave has the log", LIMIT, || {
        (!d.log().is_empty() && d.log() == e.log()).then_some(())
    });
    e.process.freeze();
    run(&["produce", "-n", &first.addr, "-t", "OnlyD", letters]);
    finds(&first.addr, &[], "replication-lag", "broker-d", "critical");
    let what = finds(&first.addr, &[], "broker-unreachable", "broker-d:1", "critical");
    assert!(what.contains(&e.addr), "{what}");
    e.process.thaw();

    // A name server that is dead.
    drop(second);
    finds(&both, &[], "name-server-dead", "", "warning");

    // Keys that are misspelt, in a file.
    let file = scene.path().join("misspelt.conf");
    fs::write(&file, "brokerName=x\nflushDiskTyp=SYNC_FLUSH\n").expect("written");
    let file = file.to_str().expect("a plain path");
    let what = finds(&first.addr, &["-c", file], "config-key", "misspelt.conf", "warning");
    assert!(what.contains("flushDiskTyp"), "{what}");
    drop((a, b, d));
}

#[test]
fn doctor_sees_a_disk_that_is_nearly_full() {
    let scene = Scene::new();
    let folder = scene.folder("broker-a/store");
    let Some(volume) = Volume::mount(&folder, VOLUME) else {
        eprintln!("no file system may be mounted: skipped");
        return;
    };
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let broker = broker(&scene, "broker-a", &namesrv.addr, &[]);
    fs::write(folder.join("ballast"), vec![b'b'; VOLUME * 78 / 100]).expect("there is space");
    let what = finds(&namesrv.addr, &[], "disk-full", "broker-a", "warning");
    assert!(what.contains("% full"), "{what}");
    drop(broker);
    drop(volume);
}

#[test]
fn doctor_sees_a_clock_that_is_apart() {
    let found = Command::new("faketime").arg("--version").output();
    if found.is_err() {
        eprintln!("no faketime: skipped");
        return;
    }
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let port = free_port();
    let dir = scene.folder("broker-a");
    let text = format!(
        "brokerName=broker-a\nbrokerIP1=127.0.0.1\nlistenPort={port}\nstorePathRootDir={0}/store\nstorePathCommitLog={0}/store/commitlog\nmappedFileSizeCommitLog=8388608\ndiskSpaceWarningLevelRatio=99\n",
        dir.display()
    );
    fs::write(dir.join("broker.conf"), text).expect("written");
    let own = skua();
    let mut command = Command::new("faketime");
    command.args(["-f", "+300s"]).arg(own.get_program()).args(own.get_args());
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    command.args(["broker", "-n", &namesrv.addr, "-c"]).arg(dir.join("broker.conf"));
    let mut process = Process::start(command.current_dir(&dir), dir.join("broker.log"));
    let what = finds(&namesrv.addr, &[], "clock-apart", "broker-a", "critical");
    assert!(what.contains("ahead of"), "{what}");
    process.assert_alive();
}

#[test]
fn doctor_advises_against_a_raft_group_of_two() {
    let group = Group::start(2, "");
    let what = finds(&group.namesrv.addr, &[], "raft-peers", "group", "critical");
    assert!(what.contains("lists 2"), "{what}");
}
