//! The log of a running server: its form, its files, its levels.

mod common;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Server, ports, skua};
use rustix::process::{Pid, Signal, kill_process};

/// Waits until `found` gives something.
fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn line(log: &Path, message: &str, skip: usize) -> Option<serde_json::Value> {
    let text = fs::read_to_string(log).ok()?;
    text.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("every line is JSON"))
        .filter(|line| line["message"] == message)
        .nth(skip)
}

#[test]
fn a_log_is_json_on_request_and_its_levels_change_by_request_and_by_signal() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("logs/namesrv.log");
    let config = folder.path().join("namesrv.conf");
    let stored = folder.path().join("namesrv.properties");
    let [port] = ports();
    let text = |level: &str| {
        format!(
            "listenPort={port}\nhttpPort=-1\nkvConfigPath={}\nconfigStorePath={}\nlogLevel={level}\n",
            folder.path().join("kv.json").display(),
            stored.display()
        )
    };
    fs::write(&config, text("info")).expect("written");
    let mut command = skua();
    command
        .args(["namesrv", "--log-format", "json", "--log-file"])
        .arg(&log)
        .arg("-c")
        .arg(&config);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let server = Server(command.spawn().expect("the binary is there"));
    let addr = format!("127.0.0.1:{port}");
    until("the port", || std::net::TcpStream::connect(&addr).ok());

    let set = |value: &str| {
        let mut mqadmin = skua();
        mqadmin.args([
            "mqadmin",
            "updateNamesrvConfig",
            "-n",
            &addr,
            "-k",
            "logLevel",
            "-v",
            value,
        ]);
        mqadmin.output().expect("ran")
    };
    assert!(set("debug").status.success());
    let changed = until("the change", || line(&log, "log levels changed", 0));
    assert_eq!((&changed["from"], &changed["to"]), (&"info".into(), &"debug".into()));
    assert_eq!(changed["level"], "INFO");
    assert!(changed["timestamp"].is_string());
    let refused = set("loud");
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("logLevel=loud is not accepted"), "{told}");

    // What a hand wrote into the file counts after SIGHUP, and the log goes on in a new file.
    let moved = folder.path().join("moved.log");
    fs::rename(&log, &moved).expect("moved");
    fs::write(&config, text("warn,skua=info")).expect("written");
    let pid = Pid::from_raw(server.0.id() as i32).expect("a process");
    kill_process(pid, Signal::HUP).expect("still there");
    let changed = until("the change", || line(&log, "log levels changed", 0));
    assert_eq!(changed["to"], "warn,skua=info");
}
