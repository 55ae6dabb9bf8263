//! Members of a group under host names and under IPv6 addresses.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use skua_interop::{Client, Driver, Kind, Namesrv, Process, Scene, free_port, wait_until, wire};

use super::raft::{Group, Plan, check_history, start, wait_sent};

const LIMIT: Duration = Duration::from_secs(120);

fn has_six() -> bool {
    let has = TcpListener::bind("[::1]:0").is_ok();
    if !has {
        println!("NOTICE: no IPv6 here: nothing was tried");
    }
    has
}

/// Sends while the leader is killed and comes back; then all have all.
fn survives(mut group: Group, topic: &str) {
    group.make_topic(topic);
    let mut driver = Driver::start(&group.scene, Client::Java5, &group.namesrv.addr);
    driver.run("producer p group=producers timeout=3000 retries=2 poll=1000");
    driver.run(&format!("flood p topic={topic} prefix=m threads=2 size=300 pause=2"));
    wait_sent(&driver, 50);
    let old = group.wait_leader();
    group.nodes[old].process.kill();
    wait_until("another leader", LIMIT, || group.leader().filter(|leader| *leader != old));
    wait_sent(&driver, 50);
    group.restart(old);
    wait_until("the member back", LIMIT, || group.status(old));
    wait_sent(&driver, 50);
    group.change(&["transfer", &format!("n{old}")]);
    wait_sent(&driver, 50);
    driver.run("halt p");
    check_history(&group, &[&driver], topic);
}

#[test]
fn a_name_and_addresses_of_both_families_are_one_group() {
    if has_six() {
        let hosts = &["localhost", "[::1]", "127.0.0.1"];
        survives(Group::start_as(3, "", Plan { hosts, ..Plan::default() }), "named");
    }
}

#[test]
fn a_group_its_clients_and_its_name_server_work_by_ipv6_alone() {
    if !has_six() {
        return;
    }
    let group = Group::start_as(3, "", Plan { hosts: &["[::1]"], ..Plan::default() });
    // The HTTP port listens there, too.
    for node in &group.nodes {
        let mut addr: SocketAddr = node.addr.parse().expect("ip:port");
        assert!(addr.is_ipv6());
        addr.set_port(addr.port() + 3);
        let health = wait_until("an answer", LIMIT, || {
            let mut stream = TcpStream::connect(addr).ok()?;
            stream
                .write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                .ok()?;
            let mut text = String::new();
            stream.read_to_string(&mut text).ok()?;
            Some(text)
        });
        assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    }
    survives(group, "six");
}

/// The same members, one of them under another name in one list: nobody begins, and each says with
/// whom it disagrees. When the lists are the same the group begins.
#[test]
fn members_whose_lists_differ_begin_no_group_and_say_so() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::Skua);
    let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
    let run = |nth: usize, first: &str| -> Process {
        let dir = scene.folder(&format!("node-{nth}"));
        let hosts = [first, "127.0.0.1", "127.0.0.1"];
        let peers = hosts.iter().zip(&ports).enumerate();
        let peers: Vec<_> =
            peers.map(|(nth, (host, port))| format!("n{nth}-{host}:{}", port + 1)).collect();
        let text = format!(
            "brokerName=group\nbrokerIP1=127.0.0.1\nlistenPort={}\nstorePathRootDir={1}/store\n\
             storePathCommitLog={1}/store/commitlog\nmappedFileSizeCommitLog=4194304\n\
             enableDLegerCommitLog=true\ndLegerPeers={2}\ndLegerSelfId=n{nth}\n",
            ports[nth],
            dir.display(),
            peers.join(";")
        );
        fs::write(dir.join("broker.conf"), text).expect("a configuration file");
        start(&dir, &namesrv.addr)
    };
    let members = [run(0, "127.0.0.1"), run(1, "127.0.0.1")];
    let odd = run(2, "localhost");
    let status = |nth: usize| wire::raft_status(&format!("127.0.0.1:{}", ports[nth]));
    let trouble = |nth: usize, of: usize| {
        let status = status(nth)?;
        assert_eq!(status["begun"], false, "{status}");
        let trouble = status["members"][of]["trouble"].as_str()?.to_owned();
        trouble.contains("its dLegerPeers is another list than ours").then_some(())
    };
    for (nth, of) in [(0, 2), (1, 2), (2, 0), (2, 1)] {
        wait_until(&format!("trouble of n{nth} with n{of}"), LIMIT, || trouble(nth, of));
    }
    drop(odd);
    let _same = run(2, "127.0.0.1");
    wait_until("a leader", LIMIT, || {
        let all: Option<Vec<_>> = (0..3).map(status).collect();
        let leads = |status: &serde_json::Value| status["role"] == "leader";
        all?.iter().any(leads).then_some(())
    });
    wait_until("no trouble", LIMIT, || {
        let members = status(0)?["members"].as_array()?.clone();
        members.iter().all(|member| member["trouble"].is_null()).then_some(())
    });
    drop(members);
}
