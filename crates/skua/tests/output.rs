//! A command whose reader has had enough, `head` for one, ends quietly; a server goes on.

mod common;

use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Server, ports, skua};

const PATIENCE: Duration = Duration::from_secs(60);

/// `skua`, whose standard output nobody reads.
fn unread(args: &[&str]) -> Command {
    let mut command = skua();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    command.args(args).stdin(Stdio::null()).stdout(writer);
    command
}

fn ends_quietly(args: &[&str]) {
    let ended = unread(args).output().expect("the binary runs");
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{args:?}: {}\n{told}", ended.status);
    assert!(!told.contains("panicked") && !told.contains("roken pipe"), "{args:?}: {told}");
}

#[test]
fn a_command_that_nobody_reads_from_ends_quietly_and_a_server_goes_on() {
    for args in [
        &["--help"][..],
        &["completion", "bash"],
        &["namesrv", "-p"],
        &["broker", "-p"],
        &["broker", "-m"],
        &["mqadmin"],
        &["mqadmin", "help", "updateTopic"],
        &["doctor", "-n", "127.0.0.1:1"],
    ] {
        ends_quietly(args);
    }

    let dir = tempfile::tempdir().expect("there is space");
    let [namesrv, broker, ha] = ports();
    let conf = dir.path().join("broker.conf");
    let text = format!(
        "brokerIP1=127.0.0.1\nhaListenPort={ha}\nhttpPort=-1\nmappedFileSizeCommitLog=16777216\n"
    );
    std::fs::write(&conf, text).expect("the folder is there");
    let path = |name: &str| dir.path().join(name).to_str().expect("a plain path").to_owned();
    let mut command = unread(&["standalone", "--data", &path("data"), "-c", &path("broker.conf")]);
    command.args(["--namesrv-port", &namesrv.to_string(), "--listen-port", &broker.to_string()]);
    let mut server = Server(command.stderr(Stdio::null()).spawn().expect("the binary runs"));
    let name_server = format!("127.0.0.1:{namesrv}");
    let begun = Instant::now();
    // A name server without a broker has no cluster to list.
    let has_broker = || {
        let listed = skua()
            .args(["mqadmin", "clusterList", "-n", &name_server])
            .output()
            .expect("the binary runs");
        String::from_utf8_lossy(&listed.stdout).contains(&broker.to_string())
    };
    while TcpStream::connect((Ipv4Addr::LOCALHOST, broker)).is_err() || !has_broker() {
        assert!(server.0.try_wait().expect("a child").is_none(), "it ended");
        assert!(begun.elapsed() < PATIENCE, "no broker");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::fs::write(path("line"), "one\n").expect("the folder is there");
    let line = path("line");
    for args in [
        &["produce", "-t", "T", &line, "-n"][..],
        &["produce", "-t", "T", "--json", &line, "-n"],
        &["consume", "-t", "T", "-n"],
        &["bench", "produce", "-t", "T", "--duration", "0.2", "-n"],
        &["bench", "consume", "-t", "T", "--duration", "0.2", "--json", "-n"],
        &["mqadmin", "topicList", "-n"],
        &["mqadmin", "clusterList", "--json", "-n"],
        &["doctor", "-n"],
    ] {
        ends_quietly(&[args, &[&name_server]].concat());
    }
}
