//! The web console in headless Chromium, at 10,000 topics: `interop/browser/visit.py` goes through
//! every page. Screenshots stay in `target/console`. Without a browser on the machine nothing is
//! tested, which is said.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use skua_interop::{Process, Scene, free_port, skua, wait_until};

const TOPICS: usize = 10_000;
const MESSAGES: usize = 7;
const LIMIT: Duration = Duration::from_secs(120);
const USER: (&str, &str) = ("admin", "admin-secret");

/// `$SKUA_BROWSER`, or Chromium under one of its usual names.
fn browser() -> Option<PathBuf> {
    let named = std::env::var_os("SKUA_BROWSER").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["chromium", "chromium-browser", "google-chrome"];
    let found = || {
        let mut places = std::env::split_paths(&path).flat_map(|dir| usual.map(|n| dir.join(n)));
        places.find(|place| place.is_file())
    };
    named.or_else(found)
}

fn run(namesrv: &str, arguments: &[&str]) -> String {
    let mut command = skua();
    command.args(arguments).args(["-n", namesrv]);
    command.env("SKUA_ACCESS_KEY", USER.0).env("SKUA_SECRET_KEY", USER.1);
    let ran = command.output().expect("the binary runs");
    let err = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{arguments:?}: {err}");
    String::from_utf8(ran.stdout).expect("text")
}

#[test]
fn every_page_is_visited_in_a_browser_at_ten_thousand_topics() {
    let Some(browser) = browser() else {
        eprintln!("no browser: skipped");
        return;
    };
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fetched = Command::new(here.join("browser/fetch")).status().expect("a script");
    assert!(fetched.success(), "Playwright is not to be had");

    let scene = Scene::new();
    let [namesrv, broker, ha, console] = std::array::from_fn(|_| free_port());
    let conf = scene.path().join("broker.conf");
    let text = format!(
        "brokerName=broker-a\nbrokerIP1=127.0.0.1\nhaListenPort={ha}\nhttpPort=-1\nmappedFileSizeCommitLog=16777216\nauthenticationEnabled=true\nauthorizationEnabled=true\ninitAuthenticationUser={{\"username\":\"{}\",\"password\":\"{}\"}}\n",
        USER.0, USER.1
    );
    fs::write(&conf, text).expect("written");
    let mut command = skua();
    command.args(["standalone", "--namesrv-port", &namesrv.to_string()]);
    command.args(["--listen-port", &broker.to_string()]);
    command.args(["--console", &format!("127.0.0.1:{console}"), "--advertise", "127.0.0.1"]);
    command.arg("--data").arg(scene.path().join("data")).arg("-c").arg(&conf);
    let mut server = Process::start(&mut command, scene.path().join("server.log"));
    let namesrv = format!("127.0.0.1:{namesrv}");
    wait_until("the broker is registered", LIMIT, || {
        server.assert_alive();
        let ran = skua().args(["mqadmin", "clusterList", "-n", &namesrv]).output();
        let listed = ran.expect("the binary runs").stdout;
        String::from_utf8_lossy(&listed).contains("broker-a").then_some(())
    });
    let addr = format!("127.0.0.1:{broker}");
    let mqadmin = |arguments: &[&str]| run(&namesrv, &[&["mqadmin"], arguments].concat());

    let topics = (0..TOPICS).map(
        |n| json!({"topicName": format!("many-{n:05}"), "readQueueNums": 1, "writeQueueNums": 1}),
    );
    let list = scene.path().join("topics.json");
    fs::write(&list, Value::from(topics.collect::<Vec<_>>()).to_string()).expect("written");
    let list = list.to_str().expect("a plain path");
    mqadmin(&["updateTopicList", "-b", &addr, "-f", list]);
    mqadmin(&["updateTopic", "-b", &addr, "-t", "Orders", "-r", "2", "-w", "2"]);
    let mut id = String::new();
    for n in 1..=MESSAGES {
        let (key, body) = (format!("k-{n}"), if n == 1 { "<b>ten</b>" } else { "other" });
        let send = ["sendMessage", "-t", "Orders", "-p", body, "-k", &key, "--json"];
        let sent: Value = serde_json::from_str(&mqadmin(&send)).expect("JSON");
        id = sent["msgId"].as_str().expect("an id").to_owned();
    }
    // A group that has consumed all, with a dead letter.
    mqadmin(&["updateSubGroup", "-b", &addr, "-g", "Billing"]);
    for topic in ["%DLQ%Billing", "%RETRY%Billing"] {
        mqadmin(&["updateTopic", "-b", &addr, "-t", topic, "-r", "1", "-w", "1"]);
    }
    mqadmin(&["resetOffsetByTime", "-g", "Billing", "-t", "Orders", "-s", "now"]);
    let letter = scene.path().join("letter");
    fs::write(&letter, "late\n").expect("written");
    let letter = letter.to_str().expect("a plain path");
    let dead = ["produce", "-t", "%DLQ%Billing", "-p", "RETRY_TOPIC=Orders", letter];
    run(&namesrv, &dead);

    let shots = here.join("../target/console");
    fs::create_dir_all(&shots).expect("a folder");
    let facts = json!({
        "user": USER.0, "password": USER.1, "topics": TOPICS, "messages": MESSAGES, "id": id,
    });
    let visited = Command::new(here.join(".cache/browser/bin/python"))
        .arg(here.join("browser/visit.py"))
        .arg(browser)
        .arg(format!("http://127.0.0.1:{console}/"))
        .args([&*shots.to_string_lossy(), &*facts.to_string()])
        .output()
        .expect("python runs");
    let out = String::from_utf8_lossy(&visited.stdout);
    let err = String::from_utf8_lossy(&visited.stderr);
    assert!(visited.status.success(), "{out}\n{err}");
    println!("{out}");
    let pages = [
        "refused",
        "clusters",
        "broker",
        "topics",
        "topic",
        "messages-by-key",
        "messages-by-id",
        "messages-by-time",
        "messages-refused",
        "groups",
        "group",
        "dead-letters",
    ];
    for page in pages {
        let shot = fs::read(shots.join(format!("{page}.png"))).expect("a screenshot");
        assert!(shot.starts_with(b"\x89PNG") && shot.len() > 4096, "{page}");
    }
}
