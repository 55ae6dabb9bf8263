//! Whoever connects to a master's replication port and is not the one good slave: a second slave
//! with the same id, slaves with another log, strangers; and a slave whose disk is full.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use skua_interop::{Broker, Kind, Namesrv, Scene, Tuning, Volume, wait_until, wire};

const LIMIT: Duration = Duration::from_secs(120);
const FILE_SIZE: u64 = 1 << 20;
const OK: i64 = 0;
const NO_SLAVE: i64 = 11;
const SLAVE_LATE: i64 = 12;

fn member(scene: &Scene, folder: &str, namesrv: &str, own: &[&'static str]) -> Broker {
    let mut settings = vec![
        "mappedFileSizeCommitLog=1048576",
        "brokerIP2=127.0.0.1",
        "haHousekeepingInterval=3000",
        "haSendHeartbeatInterval=500",
    ];
    settings.extend(own);
    let tuning = Tuning { settings, java_options: None };
    let mut broker = Broker::start_tuned(scene, Kind::Skua, folder, namesrv, tuning);
    broker.wait_registered();
    broker
}

const SLAVE: [&str; 3] = ["brokerName=broker-a", "brokerId=1", "brokerRole=SLAVE"];
const OTHER_SLAVE: [&str; 3] = ["brokerName=broker-a", "brokerId=2", "brokerRole=SLAVE"];

fn wait_followed(master: &Broker) {
    wait_until("the slave at its master", LIMIT, || wire::is_followed(&master.addr).then_some(()));
}

fn wait_code(master: &Broker, code: i64) {
    let what = format!("a send answered {code}");
    wait_until(&what, LIMIT, || (wire::send_code(&master.addr) == code).then_some(()));
}

#[test]
fn two_slaves_with_one_id_are_one_copy_and_are_named() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let settings = ["brokerRole=SYNC_MASTER", "inSyncReplicas=3", "slaveTimeout=700"];
    let master = member(&scene, "broker-a", &namesrv.addr, &settings);
    let _first = member(&scene, "slave-1", &namesrv.addr, &SLAVE);
    wait_followed(&master);
    let _twin = member(&scene, "slave-2", &namesrv.addr, &SLAVE);
    wait_until("the word of it", LIMIT, || {
        assert_ne!(wire::send_code(&master.addr), OK, "three copies, with two brokers by name");
        master.process.output().contains("two slaves have one broker id").then_some(())
    });
    assert_eq!(wire::send_code(&master.addr), SLAVE_LATE);
    let _other = member(&scene, "slave-3", &namesrv.addr, &OTHER_SLAVE);
    wait_code(&master, OK);
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_tree(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a copy");
        }
    }
}

/// The slave says what is wrong, at `/ready` and in its log, and its log stays as it is.
fn is_turned_away(slave: &Broker, master: &Broker, why: &str) {
    let before = slave.log();
    let page = wait_until(&format!("{why} at /ready"), LIMIT, || {
        let (status, page) = wire::http(&slave.addr, "/ready")?;
        (status != 200 && page.contains(why)).then_some(page)
    });
    assert!(page.contains("replication stands still"), "{page}");
    for broker in [slave, master] {
        wait_until("the word of it", LIMIT, || broker.process.output().contains(why).then_some(()));
    }
    for _ in 0..3 {
        assert_eq!(wire::send_code(&master.addr), NO_SLAVE);
    }
    assert!(!wire::is_followed(&master.addr));
    assert!(slave.log() == before, "nothing was appended");
    let (_, metrics) = wire::http(&slave.addr, "/metrics").expect("a page");
    let line = metrics.lines().find(|line| line.starts_with("skua_replication_diverged"));
    assert!(line.is_some_and(|line| line.ends_with(" 1.0")), "{line:?}");
}

/// A master that writes twice and its slave, with some messages in both.
fn written_twice(scene: &Scene) -> (Namesrv, Broker, Broker) {
    let namesrv = Namesrv::start(scene, Kind::Skua);
    let master = member(scene, "broker-a", &namesrv.addr, &["brokerRole=SYNC_MASTER"]);
    let slave = member(scene, "slave", &namesrv.addr, &SLAVE);
    wait_followed(&master);
    (0..20).for_each(|_| assert_eq!(wire::send_code(&master.addr), OK));
    (namesrv, master, slave)
}

#[test]
fn a_slave_with_a_longer_and_then_with_another_log_is_turned_away() {
    let scene = Scene::new();
    let (_namesrv, mut master, mut slave) = written_twice(&scene);
    master.stop();
    let copy = scene.path().join("copy");
    copy_tree(&master.store(), &copy);
    master.start_again(Kind::Skua);
    wait_code(&master, OK);
    (0..5).for_each(|_| assert_eq!(wire::send_code(&master.addr), OK));

    // The master's disk is put back to what it was: its newest messages are the slave's alone.
    slave.stop();
    master.stop();
    fs::remove_dir_all(master.store()).expect("its store");
    copy_tree(&copy, &master.store());
    master.start_again(Kind::Skua);
    slave.start_again(Kind::Skua);
    is_turned_away(&slave, &master, "it has diverged");
    // Others take the place of what it lost, and more.
    (0..200).for_each(|_| assert_eq!(wire::send_code(&master.addr), NO_SLAVE));
    is_turned_away(&slave, &master, "the logs differ before offset");
    // The operator decides for the master's log.
    let before = slave.log();
    slave.stop();
    slave.set(&["slaveRefill=DIVERGED"]);
    slave.start_again(Kind::Skua);
    is_filled_anew(&slave, &master, &before);
    wait_code(&master, OK);
}

/// The slave has the master's log, and keeps the one it had in a folder of its own.
fn is_filled_anew(slave: &Broker, master: &Broker, before: &BTreeMap<String, Vec<u8>>) {
    wait_until("the slave to begin anew", LIMIT, || {
        slave.process.output().contains("the store was set aside").then_some(())
    });
    wait_until("the slave's log to be the master's", LIMIT, || {
        (wire::is_followed(&master.addr) && slave.log() == master.log()).then_some(())
    });
    let entries = fs::read_dir(slave.store()).expect("its store").flatten();
    let aside: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("aside-")))
        .collect();
    let [aside] = &aside[..] else { panic!("one folder set aside: {aside:?}") };
    assert!(!slave.store().join("refill").exists(), "asked for once");
    for (name, bytes) in before {
        let kept = fs::read(aside.join("commitlog").join(name)).expect("the file is kept");
        assert!(kept.starts_with(bytes), "{name} as it was");
    }
}

#[test]
fn a_slave_that_fell_behind_the_first_file_keeps_its_log_aside_and_is_filled_anew() {
    let scene = Scene::new();
    let (_namesrv, mut master, mut slave) = written_twice(&scene);
    slave.stop();
    let before = slave.log();
    let body = vec![b'b'; 256 << 10];
    (0..12).for_each(|_| assert_eq!(wire::send_body(&master.addr, &body), NO_SLAVE));
    // As its expiry would.
    master.stop();
    let first = before.keys().next().expect("a file");
    fs::remove_file(master.store().join("commitlog").join(first)).expect("the oldest file");
    master.start_again(Kind::Skua);
    slave.start_again(Kind::Skua);
    is_filled_anew(&slave, &master, &before);
    wait_code(&master, OK);
}

/// Bytes of a stranger, and whether it goes on reading.
fn strangers(end: u64) -> Vec<(&'static str, Vec<u8>)> {
    let words =
        |words: &[i64]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
    let end = end as i64;
    let talk = i64::MIN + 0x53_4b55_4102;
    let knocked = |rest: &[i64]| words(&[&[-1, -1, -1], rest].concat());
    let size = FILE_SIZE as i64;
    let mut noise = 88_172_645_463_325_252_u64;
    let random = (0..1 << 17).flat_map(|_| {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        noise.to_be_bytes()
    });
    vec![
        ("random bytes", random.collect()),
        ("a remoting frame", [&[0, 0, 0, 60, 0, 0, 0, 52][..], &[b'{'; 4000]].concat()),
        ("a request beyond the end", words(&[end + 1])),
        ("the greatest offset", words(&[i64::MAX])),
        ("the least offset", words(&[i64::MIN])),
        ("reports of what was not sent", words(&[end, end + 1_000_000, i64::MAX])),
        ("many reports", words(&vec![end; 1 << 16])),
        ("nothing, again and again", words(&vec![-1; 1 << 16])),
        ("an introduction of another group", knocked(&[talk, 1, 7, size, 0, end, end, 0, end])),
        ("an introduction cut short", knocked(&[talk, 1, 7])),
        ("introductions without end", knocked(&vec![talk; 1 << 16])),
        ("all of the log, never read", words(&[0])),
        ("half a word", vec![0; 5]),
    ]
}

/// Kilobytes of memory in use.
fn resident(broker: &Broker) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", broker.process.id()));
    let status = status.expect("a living broker");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn strangers_at_the_replication_port_count_for_nothing_and_take_no_memory() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let settings = ["brokerRole=SYNC_MASTER", "slaveTimeout=300"];
    let master = member(&scene, "broker-a", &namesrv.addr, &settings);
    for _ in 0..20 {
        assert_eq!(wire::send_code(&master.addr), NO_SLAVE);
    }
    let end = master.log().values().map(|file| file.len() as u64).sum();
    let mut ha: SocketAddr = master.addr.parse().expect("ip:port");
    ha.set_port(ha.port() + 1);
    let before = resident(&master);
    let mut open = Vec::new();
    for (what, bytes) in strangers(end) {
        let Ok(mut stream) = TcpStream::connect(ha) else { panic!("{what}: not accepted") };
        let other = stream.try_clone().expect("a second handle");
        // Sees the end of the connection, whenever that is.
        let reader = thread::spawn(move || {
            let mut other = other;
            if what != "all of the log, never read" {
                let _ = other.read_to_end(&mut Vec::new());
            }
        });
        let _ = stream.write_all(&bytes);
        for _ in 0..2 {
            let code = wire::send_code(&master.addr);
            assert!(code == NO_SLAVE || code == SLAVE_LATE, "{what}: answered {code}");
        }
        open.push((stream, reader));
    }
    // Far more connections than are allowed, which say nothing.
    let silent: Vec<_> = (0..200).filter_map(|_| TcpStream::connect(ha).ok()).collect();
    let code = wire::send_code(&master.addr);
    assert!(code == NO_SLAVE || code == SLAVE_LATE, "answered {code}");
    let grown = resident(&master).saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} kB more");
    // While they all are still there, one that is a slave gets in.
    let _slave = member(&scene, "slave", &namesrv.addr, &SLAVE);
    wait_code(&master, OK);
    drop(silent);
    for (stream, reader) in open {
        let _ = stream.shutdown(std::net::Shutdown::Both);
        reader.join().expect("it ends");
    }
}

#[test]
fn a_slave_whose_disk_is_full_says_so_and_catches_up_when_there_is_space() {
    const SIZE: usize = 24 << 20;
    let scene = Scene::new();
    let Some(volume) = Volume::mount(&scene.folder("slave/store"), SIZE) else {
        println!("NOTICE: no file system may be mounted here: a slave's full disk was NOT tested");
        return;
    };
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let settings = ["brokerRole=SYNC_MASTER", "slaveTimeout=300", "haMaxGapNotInSync=1048576"];
    let master = member(&scene, "broker-a", &namesrv.addr, &settings);
    let mut slave = member(&scene, "slave", &namesrv.addr, &SLAVE);
    wait_followed(&master);
    let body = vec![b'b'; 256 << 10];
    // First well, then late, then too far behind to count.
    assert_eq!(wire::send_body(&master.addr, &body), OK);
    wait_until("a send without a slave", LIMIT, || {
        (wire::send_body(&master.addr, &body) == NO_SLAVE).then_some(())
    });
    slave.process.assert_alive();
    let page = wait_until("the cause at /ready", LIMIT, || {
        let (status, page) = wire::http(&slave.addr, "/ready")?;
        (status != 200).then_some(page)
    });
    println!("/ready of the slave: {page}");
    assert!(page.contains("space") || page.contains("disk"), "{page}");
    volume.resize(SIZE * 8);
    wait_followed(&master);
    wait_until("the slave's log to be the master's", LIMIT, || {
        (slave.log() == master.log()).then_some(())
    });
    wait_code(&master, OK);
    wait_until("the slave to be ready", LIMIT, || {
        (wire::http(&slave.addr, "/ready")?.0 == 200).then_some(())
    });
    drop(slave);
}

#[test]
fn a_slave_without_room_to_be_filled_anew_says_how_much_it_needs_and_begins_when_there_is() {
    const SIZE: usize = 24 << 20;
    let scene = Scene::new();
    let Some(volume) = Volume::mount(&scene.folder("slave/store"), SIZE) else {
        println!(
            "NOTICE: no file system may be mounted here: a refill without room was NOT tested"
        );
        return;
    };
    let (_namesrv, mut master, mut slave) = written_twice(&scene);
    slave.stop();
    let before = slave.log();
    let body = vec![b'b'; 256 << 10];
    (0..100).for_each(|_| assert_eq!(wire::send_body(&master.addr, &body), NO_SLAVE));
    master.stop();
    let first = before.keys().next().expect("a file");
    fs::remove_file(master.commit_log().join(first)).expect("the oldest file");
    master.start_again(Kind::Skua);
    slave.start_again(Kind::Skua);

    let is_refused = || {
        let page = wait_until("the cause at /ready", LIMIT, || {
            let (status, page) = wire::http(&slave.addr, "/ready")?;
            (status != 200 && page.contains("bytes are needed to fill it anew")).then_some(page)
        });
        println!("/ready of the slave: {page}");
        let number = |before: &str| {
            let words = page.split_once(before).expect("its words").0.trim_end();
            words.rsplit(' ').next().and_then(|n| n.parse::<u64>().ok()).expect("a number")
        };
        let log = master.log().len() as u64 * FILE_SIZE;
        let (needed, free) = (number("bytes are needed to fill it anew"), number("are free"));
        assert!(needed > log && needed < log + log / 4, "{needed} for a log of {log}");
        assert!(free < needed && free > 1 << 20, "{free} free");
        let entries = fs::read_dir(slave.store()).expect("its store").flatten();
        let names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        let is_left = |name: &std::ffi::OsString| {
            let name = name.to_string_lossy();
            !name.starts_with("aside-") && !name.starts_with("refill")
        };
        assert!(names.iter().all(is_left), "{names:?}");
        assert!(slave.log() == before, "nothing was taken away or appended");
        for _ in 0..3 {
            assert_eq!(wire::send_code(&master.addr), NO_SLAVE);
        }
        free
    };
    let free = is_refused();
    // More, but not enough: the numbers are those of the day.
    volume.resize(SIZE + (4 << 20));
    wait_until("another number", LIMIT, || (is_refused() > free + (3 << 20)).then_some(()));
    volume.resize(SIZE * 6);
    is_filled_anew(&slave, &master, &before);
    wait_code(&master, OK);
    wait_until("the slave to be ready", LIMIT, || {
        (wire::http(&slave.addr, "/ready")?.0 == 200).then_some(())
    });
    drop(slave);
}
