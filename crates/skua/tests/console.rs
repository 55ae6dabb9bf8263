//! The web console over HTTP, against a server of its own. The page itself is visited in a browser by
//! the test `console` of `interop`.

mod common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Server, ports, skua};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

/// Status, head and body.
fn http(port: u16, request: &str) -> Option<(u16, String, String)> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    socket.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, head.to_owned(), body.to_owned()))
}

struct Place {
    console: u16,
    namesrv: String,
    dir: tempfile::TempDir,
    _server: Server,
}

impl Place {
    fn start(conf: &str) -> Self {
        let dir = tempfile::tempdir().expect("there is space");
        let [namesrv, broker, console, ha] = ports();
        let file = dir.path().join("broker.conf");
        let conf = format!(
            "brokerName=broker-a\nbrokerIP1=127.0.0.1\nhaListenPort={ha}\nhttpPort=-1\nmappedFileSizeCommitLog=16777216\n{conf}"
        );
        std::fs::write(&file, conf).expect("written");
        let mut command = skua();
        command.args(["standalone", "--namesrv-port", &namesrv.to_string()]);
        command.args(["--listen-port", &broker.to_string()]);
        command.args(["--console", &format!("127.0.0.1:{console}")]);
        command.arg("--data").arg(dir.path().join("data")).arg("-c").arg(&file);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let server = Server(command.spawn().expect("the binary runs"));
        let namesrv = format!("127.0.0.1:{namesrv}");
        Self { console, namesrv, dir, _server: server }
    }

    /// Waits until the broker is registered, so that the console has something to tell.
    fn wait(&self, account: Option<&str>) {
        let begun = Instant::now();
        while !matches!(self.get_as("clusters", account), Some((200, value)) if !value[0].is_null())
        {
            assert!(begun.elapsed() < PATIENCE, "no broker in the console");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn get_as(&self, path: &str, account: Option<&str>) -> Option<(u16, Value)> {
        let account =
            account.map_or(String::new(), |basic| format!("Authorization: Basic {basic}\r\n"));
        let request =
            format!("GET /api/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{account}\r\n");
        let (status, _, body) = http(self.console, &request)?;
        Some((status, serde_json::from_str(&body).unwrap_or(Value::Null)))
    }

    fn get(&self, path: &str) -> Value {
        let (status, value) = self.get_as(path, None).expect("an answer");
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    fn post(&self, path: &str, headers: &str, body: &Value) -> (u16, Value) {
        let body = body.to_string();
        let request = format!(
            "POST /api/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let (status, _, body) = http(self.console, &request).expect("an answer");
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    fn run(&self, args: &[&str]) -> String {
        let ran = skua().args(args).args(["-n", &self.namesrv]).output().expect("ran");
        let err = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success(), "{args:?}: {err}");
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }
}

const OWN: &str = "X-Skua-Console: 1\r\n";

#[test]
fn the_console_shows_a_cluster_finds_messages_and_changes_what_it_is_asked_to() {
    let place = Place::start("");
    place.wait(None);

    // The page, with nothing from elsewhere.
    for (path, has) in
        [("/", "<main id=\"main\">"), ("/console.js", "fetch('api/'"), ("/console.css", "header")]
    {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let (status, head, body) = http(place.console, &request).expect("an answer");
        assert_eq!(status, 200, "{path}");
        assert!(body.contains(has) && !body.contains("http://") && !body.contains("https://"));
        assert!(head.contains("default-src 'self'"), "{head}");
    }

    assert_eq!(place.get("clusters")[0]["brokerName"], "broker-a");
    let addr = place.get("clusters")[0]["addr"].as_str().expect("an address").to_owned();
    assert_eq!(place.get(&format!("broker?addr={addr}"))["status"]["brokerActive"], "true");

    // A topic is made; another site's request to do so is refused.
    let new = json!({"name": "Orders", "cluster": "DefaultCluster", "queues": 2, "perm": 6});
    assert_eq!(place.post("topic", "", &new).0, 403);
    assert_eq!(place.post("topic", OWN, &new).0, 200);
    assert_eq!(place.get("topics?search=ord")["rows"], json!(["Orders"]));
    assert_eq!(place.get("topics?search=nothing")["total"], 0);
    assert_eq!(place.get("topic?name=Orders")["route"]["queueDatas"][0]["readQueueNums"], 2);
    let (status, refused) = place.get_as("topic?name=Missing", None).expect("an answer");
    assert_eq!(status, 422);
    assert!(refused["error"].as_str().is_some_and(|error| error.contains("Missing")), "{refused}");

    // A message by key, by id, by time, with its body.
    let sent = place.run(&[
        "mqadmin",
        "sendMessage",
        "-t",
        "Orders",
        "-p",
        "<b>ten</b>",
        "-k",
        "k-1",
        "--json",
    ]);
    let sent: Value = serde_json::from_str(&sent).expect("JSON");
    let id = sent["msgId"].as_str().expect("an id");
    let begun = Instant::now();
    let by_key = loop {
        // The index follows the log.
        match place.get_as("messages?topic=Orders&key=k-1", None) {
            Some((200, found)) => break found,
            _ => assert!(begun.elapsed() < PATIENCE, "not in the index"),
        }
    };
    assert_eq!(by_key[0]["body"], "<b>ten</b>");
    assert_eq!(place.get(&format!("messages?topic=Orders&id={id}"))[0]["uniqueId"], id);
    let offset_id = sent["offsetMsgId"].as_str().expect("an id");
    assert_eq!(place.get(&format!("messages?topic=Orders&id={offset_id}"))[0]["uniqueId"], id);
    assert_eq!(place.get("messages?topic=Orders&from=0")[0]["uniqueId"], id);
    assert_eq!(place.get("messages?topic=Orders&from=0&to=1"), json!([]));
    assert_eq!(place.get("messages?topic=Orders")[0]["properties"]["KEYS"], "k-1");

    // A group with a dead letter, which is sent again to that group alone.
    place.run(&["mqadmin", "updateSubGroup", "-b", &addr, "-g", "Billing"]);
    for topic in ["%DLQ%Billing", "%RETRY%Billing"] {
        place.run(&["mqadmin", "updateTopic", "-b", &addr, "-t", topic, "-r", "1", "-w", "1"]);
    }
    assert_eq!(place.get("groups?search=bill")["rows"][0]["group"], "Billing");
    assert_eq!(place.get("dead-letters?group=Billing"), json!([]));
    let file = place.dir.path().join("letter");
    std::fs::write(&file, "late\n").expect("written");
    let file = file.to_str().expect("a plain path");
    place.run(&["produce", "-t", "%DLQ%Billing", "-p", "RETRY_TOPIC=Orders", "-k", "k-2", file]);
    let letters = place.get("dead-letters?group=Billing");
    let letter = json!({
        "group": "Billing",
        "broker": letters[0]["broker"],
        "queueId": letters[0]["queueId"],
        "queueOffset": letters[0]["queueOffset"],
    });
    let (status, again) = place.post("dead-letters", OWN, &letter);
    assert_eq!(
        (status, &again["sent"], &again["topic"]),
        (200, &json!("SEND_OK"), &json!("Orders"))
    );
    let retried = place.get("messages?topic=%25RETRY%25Billing");
    assert_eq!(retried[0]["body"], "late");
    assert_eq!(retried[0]["properties"]["RETRY_TOPIC"], "Orders");
    assert_ne!(retried[0]["uniqueId"], letters[0]["uniqueId"]);

    // Offsets are set.
    let reset = json!({"group": "Billing", "topic": "Orders", "time": "0"});
    let (status, done) = place.post("offset", OWN, &reset);
    assert_eq!(status, 200, "{done}");
    let wrong = json!({"group": "Billing", "topic": "Orders", "time": "soon"});
    assert_eq!(place.post("offset", OWN, &wrong).0, 400);

    // Bad input.
    assert_eq!(place.post("topic", OWN, &json!({"name": 1})).0, 422);
    let long = json!({"name": "x".repeat(100_000), "cluster": "", "queues": 1, "perm": 6});
    assert_eq!(place.post("topic", OWN, &long).0, 413);
    assert_eq!(place.get_as("topics?page=-1", None).expect("an answer").0, 400);
}

#[test]
fn a_visitor_is_who_the_cluster_says() {
    let place = Place::start(
        "authenticationEnabled=true\nauthorizationEnabled=true\ninitAuthenticationUser={\"username\":\"admin\",\"password\":\"secret12\"}\n",
    );
    // admin:secret12, admin:wrong
    let (right, wrong) = ("YWRtaW46c2VjcmV0MTI=", "YWRtaW46d3Jvbmc=");
    place.wait(Some(right));
    for account in [None, Some(wrong), Some("!!"), Some("bm8tY29sb24=")] {
        for path in ["clusters", "topics", "groups", "messages?topic=T"] {
            let (status, answer) = place.get_as(path, account).expect("an answer");
            assert_eq!(status, 401, "{path} as {account:?}: {answer}");
        }
    }
    let new = json!({"name": "T", "cluster": "DefaultCluster", "queues": 1, "perm": 6});
    assert_eq!(place.post("topic", OWN, &new).0, 401);
    let signed = format!("{OWN}Authorization: Basic {right}\r\n");
    assert_eq!(place.post("topic", &signed, &new).0, 200);
}

/// ACL 1.0 has no code of its own for it.
#[test]
fn a_visitor_is_who_the_file_of_accounts_says() {
    let home = tempfile::tempdir().expect("there is space");
    std::fs::create_dir(home.path().join("conf")).expect("made");
    let accounts = "accounts:\n- accessKey: administrator\n  secretKey: secret12\n  admin: true\n";
    std::fs::write(home.path().join("conf/plain_acl.yml"), accounts).expect("written");
    let place = Place::start(&format!("aclEnable=true\nrocketmqHome={}\n", home.path().display()));
    // administrator:secret12, administrator:wrong
    let (right, wrong) = ("YWRtaW5pc3RyYXRvcjpzZWNyZXQxMg==", "YWRtaW5pc3RyYXRvcjp3cm9uZw==");
    place.wait(Some(right));
    let new = json!({"name": "T", "cluster": "DefaultCluster", "queues": 1, "perm": 6});
    let post = |account: &str| {
        place.post("topic", &format!("{OWN}Authorization: Basic {account}\r\n"), &new).0
    };
    assert_eq!(place.post("topic", OWN, &new).0, 401);
    assert_eq!(post(wrong), 401);
    assert_eq!(post(right), 200);
}
