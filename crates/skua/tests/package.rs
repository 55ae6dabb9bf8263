//! The Debian package: made, installed into a clean root folder, started by its units' command
//! lines, upgraded and removed. Without dpkg on the machine nothing is tested.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::Server;

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging")
}

fn succeeded(output: Output, what: &str) -> String {
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{what}: {}\n{err}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// dpkg on a root folder of its own, without the rights of root.
fn dpkg(root: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("dpkg");
    command.arg(format!("--root={}", root.display()));
    command.args(["--force-not-root", "--force-script-chrootless", "--force-depends"]);
    command.args(["--force-bad-path", "--log=/dev/null"]);
    succeeded(command.args(arguments).output().expect("dpkg runs"), &format!("dpkg {arguments:?}"))
}

/// The command line of a unit with its absolute paths below `root`.
fn command_line(root: &Path, unit: &str) -> Vec<String> {
    let path = root.join("usr/lib/systemd/system").join(unit);
    let text = fs::read_to_string(path).expect("the unit is installed");
    let line = text.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("a command");
    line.split(' ')
        .map(|word| match word.starts_with('/') {
            true => format!("{}{word}", root.display()),
            false => word.to_owned(),
        })
        .collect()
}

/// What an operator would edit: ports that are free here, and paths below `root`.
fn edit(root: &Path, file: &str, ports: &[(&str, u16)]) {
    let path = root.join("etc/skua").join(file);
    let mut text = fs::read_to_string(&path).expect("a configuration file");
    text = text.replace("=/var/lib/", &format!("={}/var/lib/", root.display()));
    for (key, port) in ports {
        text.push_str(&format!("{key}={port}\n"));
    }
    fs::write(&path, text).expect("writable");
}

fn start(root: &Path, unit: &str) -> Server {
    let words = command_line(root, unit);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env_remove("RUST_LOG").stdout(Stdio::null()).stderr(Stdio::null());
    Server(command.spawn().unwrap_or_else(|cause| panic!("{words:?}: {cause}")))
}

#[test]
fn the_package_is_installed_started_by_its_units_and_removed() {
    let has = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
    if !has("dpkg-deb") || !has("dpkg") {
        eprintln!("no dpkg here: not tested");
        return;
    }
    let folder = tempfile::tempdir().expect("there is space");
    let made = Command::new(packaging().join("deb"))
        .arg(env!("CARGO_BIN_EXE_skua"))
        .arg(folder.path())
        .env("DEB_COMPRESSION", "none")
        .output()
        .expect("a script of this repository");
    let package = succeeded(made, "packaging/deb").trim().to_owned();
    let root = folder.path().join("root");
    for dir in ["var/lib/dpkg/info", "var/lib/dpkg/updates"] {
        fs::create_dir_all(root.join(dir)).expect("a clean root folder");
    }
    for file in ["status", "available"] {
        fs::write(root.join("var/lib/dpkg").join(file), "").expect("written");
    }
    dpkg(&root, &["--install", &package]);
    for file in [
        "usr/bin/skua",
        "usr/share/skua/bin/mqadmin",
        "usr/share/skua/config/2m-2s-sync/broker-a-s.conf",
        "usr/share/skua/grafana/skua.json",
        "usr/share/bash-completion/completions/skua",
        "usr/share/doc/skua/docs/quick-start.md",
        "var/log/skua",
    ] {
        assert!(root.join(file).exists(), "{file}");
    }

    let [namesrv, broker, ha] = common::ports();
    edit(&root, "namesrv.conf", &[("listenPort", namesrv)]);
    edit(&root, "broker.conf", &[("listenPort", broker), ("haListenPort", ha)]);
    let conf = root.join("etc/skua/broker.conf");
    let text = fs::read_to_string(&conf).expect("there");
    fs::write(&conf, text.replace("127.0.0.1:9876", &format!("127.0.0.1:{namesrv}")))
        .expect("writable");
    let servers = [start(&root, "skua-namesrv.service"), start(&root, "skua-broker.service")];
    let begun = Instant::now();
    let addr = format!("127.0.0.1:{namesrv}");
    loop {
        let listed = Command::new(root.join("usr/share/skua/bin/mqadmin"))
            .args(["clusterList", "-n", &addr])
            .output()
            .expect("a link to the binary");
        if String::from_utf8_lossy(&listed.stdout).contains("broker-a") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "the broker does not register");
        std::thread::sleep(Duration::from_millis(50));
    }
    let log = fs::read_to_string(root.join("var/log/skua/broker.log")).expect("its log");
    assert!(log.contains("registered"), "{log}");
    drop(servers);

    // Again, as an upgrade does it: what was edited stays.
    dpkg(&root, &["--force-confold", "--install", &package]);
    let kept = fs::read_to_string(&conf).expect("there");
    assert!(kept.contains(&format!("listenPort={broker}")), "{kept}");

    dpkg(&root, &["--remove", "skua"]);
    assert!(!root.join("usr/bin/skua").exists());
    assert!(conf.exists() && root.join("var/lib/skua/broker").exists(), "messages stay");
    dpkg(&root, &["--purge", "skua"]);
    for dir in ["etc/skua", "var/lib/skua", "var/log/skua"] {
        assert!(!root.join(dir).exists(), "{dir} after a purge");
    }
}
