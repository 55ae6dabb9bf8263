//! mqadmin's output against what Java's tool printed, and how it fails.

mod fake;

use std::path::Path;
use std::time::Duration;

use fake::{Fake, fixture, part, run, stdout};
use skua_admin::client::Cluster;
use skua_protocol::code::RequestCode;

/// The command line of a fixture without the program's name.
fn args(name: &str, addr: &str) -> Vec<String> {
    let line = part(&fixture(name), "command").trim().to_owned();
    line.split_whitespace().skip(1).map(|word| fill(word, addr)).collect()
}

fn fill(text: &str, addr: &str) -> String {
    text.replace("@NS@", addr)
        .replace("@BROKER@", addr)
        .replace("@NS3@", addr)
        .replace("@CTL@", addr)
        .replace("@CB1@", addr)
        .replace("@CB2@", addr)
        .replace("@CLIENTADDR@", "127.0.0.1:40000")
        .replace("@IP@", "192.0.2.2")
        .replace("@MS@", "1795492272349")
}

/// Puts `@TIME@` in place of moments, `@MS@` in place of milliseconds since 1970.
fn mask_times(text: &str) -> String {
    const FORM: &[u8] = b"0000-00-00 00:00:00";
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let is_time = rest.len() >= FORM.len()
            && FORM.iter().zip(rest.bytes()).all(|(form, byte)| match form {
                b'0' => byte.is_ascii_digit(),
                other => *other == byte,
            });
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 13 {
            out.push_str("@MS@");
            rest = &rest[digits..];
        } else if is_time {
            out.push_str("@TIME@");
            rest = &rest[FORM.len()..];
            let millis = rest
                .strip_prefix(',')
                .filter(|rest| rest.bytes().take(3).filter(u8::is_ascii_digit).count() == 3);
            rest = millis.map_or(rest, |millis| &millis[3..]);
        } else {
            let letter = rest.chars().next().expect("not empty");
            out.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    out
}

/// A help text without the lines that only Skua has.
fn javas_part(help: &str) -> &str {
    let (java, own) = help.split_once("beyond RocketMQ's:\n").expect("options of our own");
    assert!(own.contains("--dry-run") && own.contains("\nexample: mqadmin "), "{own}");
    java
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn output_is_what_javas_tool_printed() {
    let fake = Fake::start();
    for name in [
        "topicList-h",
        "topicRoute-h",
        "clusterList-h",
        "updateTopic-b",
        "updateTopic-c",
        "updateTopic-order",
        "updateTopic-perm-unit",
        "updateTopic-attributes",
        "topicRoute",
        "topicRoute-l",
        "topicStatus",
        "clusterList",
        "clusterList-c",
        "clusterList-m",
        "deleteTopic",
        "updateKvConfig",
        "deleteKvConfig",
        "wipeWritePerm",
        "addWritePerm",
        "topicClusterList",
        "brokerStatus-b",
        "updateBrokerConfig-b",
        "updateBrokerConfig-c",
        "updateNamesrvConfig",
        "updateOrderConf-get",
        "updateOrderConf-put",
        "updateOrderConf-delete",
        "updateSubGroup-b",
        "updateSubGroup-c",
        "deleteSubGroup-b",
        "deleteSubGroup-c-r",
        "consumerProgress-g-lag",
        "consumerConnection",
        "producerConnection",
        "updateTopicPerm-same",
        "getConsumerConfig",
        "cleanExpiredCQ-b",
        "cleanUnusedTopic-c",
        "resetMasterFlushOffset",
        "brokerConsumeStats",
        "queryCq",
        "queryCq-g",
        "setConsumeMode",
        "haStatus-b",
        "getSyncStateSet-after",
        "getControllerMetaData",
        "updateControllerConfig",
        "setCommitLogReadAheadMode",
        "createUser",
        "createUser-c",
        "updateUser",
        "deleteUser",
        "getUser",
        "listUser",
        "createAcl",
        "updateAcl",
        "deleteAcl",
        "getAcl",
        "listAcl",
        "copyUser-self",
        "copyAcl-self",
        "switchTimerEngine",
        "getBrokerLiteInfo",
        "F30-upper-case-command",
    ] {
        let args = args(name, &fake.addr);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ran = fake.run(&args);
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{name}");
        let expected = fill(&stdout(name), &fake.addr);
        let out = if name.ends_with("-h") { javas_part(&ran.out) } else { &ran.out };
        assert_eq!(mask_times(out), mask_times(&expected), "{name}");
    }
}

#[test]
fn where_java_has_no_order_the_lines_are_the_same() {
    let fake = Fake::start();
    for name in
        ["topicList", "topicList-c", "producer", "skipAccumulatedMessage-online", "brokerStatus-c"]
    {
        let args = args(name, &fake.addr);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ran = fake.run(&args);
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{name}");
        let expected = fill(&stdout(name), &fake.addr);
        if name == "brokerStatus-c" {
            // Another moment, other rates: the keys are what is common.
            let keys = |text: &str| -> Vec<String> {
                text.lines().filter_map(|line| Some(line.split_once(": ")?.0.to_owned())).collect()
            };
            assert_eq!(keys(&ran.out), keys(&expected));
        } else {
            assert_eq!(sorted(&ran.out), sorted(&expected), "{name}");
        }
    }
}

#[test]
fn help_is_javas() {
    let help = run(&["help", "updateTopic"], None);
    assert_eq!((help.status, javas_part(&help.out)), (0, &*stdout("00-help-updateTopic")));
    let asked = run(&["updateTopic", "-h"], None);
    assert_eq!((asked.status, asked.out), (0, help.out));
}

#[test]
fn the_list_of_commands_is_javas() {
    let ours = run(&[], None);
    assert_eq!((ours.status, ours.out), (0, stdout("00-no-arguments")));
}

#[test]
fn the_help_of_every_command_is_javas() {
    let all = fixture("help-all");
    // Here the help tells more than Java's: which options exclude each other, JSON instead of class
    // names, long names without the blank at their end.
    let clearer = [
        "updateTopicList",
        "updateSubGroup",
        "updateSubGroupList",
        "deleteSubGroup",
        "updateBrokerConfig",
        "updateTopicPerm",
        "resetMasterFlushOffset",
        "printMsg",
        "printMsgByQueue",
        "consumeMessage",
        "deleteExpiredCommitLog",
    ];
    let mut count = 0;
    let mut different = Vec::new();
    for part in all.split("### ").skip(1) {
        let (name, usage) = part.split_once('\n').expect("a name line");
        let ours = run(&["help", name], None);
        assert_eq!(ours.status, 0, "{name}");
        let mut java = usage.lines();
        let other = javas_part(&ours.out).lines().filter(|line| java.next() != Some(line));
        if !clearer.contains(&name) {
            different.extend(other.map(|line| format!("{name}: {line}")));
        }
        count += 1;
    }
    assert_eq!(different, Vec::<String>::new());
    assert_eq!(count, 96);
}

#[test]
fn what_skua_does_not_have_is_answered_with_the_reason_and_2() {
    for line in [
        "exportMetadataInRocksDB -p /x -t topics",
        "rocksDBConfigToJson -p /x -t topics",
        "checkRocksdbCqWriteProgress -c C -n 127.0.0.1:1",
    ] {
        let args: Vec<&str> = line.split(' ').collect();
        let ran = run(&args, None);
        assert_eq!(ran.status, 2, "{line}");
        assert!(ran.err.contains("not available: Skua"), "{line}: {}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "{line}");
    }
}

#[test]
fn an_election_is_told_although_javas_tool_cannot_read_its_answer() {
    let fake = Fake::start();
    let addr = fake.addr.as_str();
    let ran = fake.run(&["electMaster", "-a", addr, "-b", "2", "-bn", "ctl-a", "-c", "CtlCluster"]);
    assert_eq!(
        (ran.status, ran.out),
        (
            0,
            format!(
                "\n#ClusterName\tCtlCluster\n#BrokerName\tctl-a\n#BrokerMasterAddr\t{addr}\n#MasterEpoch\t6\n#SyncStateSetEpoch\t6\n\t#Broker\t1\t{addr}\n\t#Broker\t2\t{addr}\n"
            )
        )
    );
}

#[test]
fn limits_of_cold_reads_are_shown_as_javas_tool_shows_them() {
    let fake = Fake::start();
    let ran = fake.run(&["getColdDataFlowCtrInfo", "-b", &fake.addr]);
    let expected = fill(&stdout("getColdDataFlowCtrInfo"), &fake.addr);
    // Java's order is that of a hash table, so only the last line's comma differs.
    let plain = |text: &str| text.replace(",\n", "\n");
    assert_eq!(sorted(&plain(&ran.out)), sorted(&plain(&expected)));
}

#[test]
fn a_user_that_is_not_there_prints_nothing() {
    let fake = Fake::start();
    let ran = fake.run(&["getUser", "-b", &fake.addr, "-u", "nobody"]);
    assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
}

#[test]
fn queues_are_shared_out_in_runs_and_the_first_clients_get_one_more() {
    let fake = Fake::start();
    let ran = fake.run(&["allocateMQ", "-t", "TopicA", "-i", "10.0.0.1,10.0.0.2,10.0.0.3"]);
    let value: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    let ids = |client: &str| -> Vec<i64> {
        let queues = value["result"][client].as_array().expect("a list");
        queues.iter().map(|queue| queue["queueId"].as_i64().expect("a number")).collect()
    };
    assert_eq!((ids("10.0.0.1"), ids("10.0.0.2"), ids("10.0.0.3")), (vec![0, 1], vec![2], vec![3]));
}

#[test]
fn wrong_usage_is_explained_as_java_does_and_ends_with_2() {
    for name in [
        "updateTopic-no-arguments",
        "F02-unknown-option",
        "F03-missing-required",
        "F04-missing-option-argument",
        "F25-getBrokerConfig-neither",
    ] {
        let args = args(name, "127.0.0.1:1");
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ran = run(&args, None);
        let fixture = fixture(name);
        assert_eq!(ran.status, 2, "{name}");
        assert_eq!(ran.out, part(&fixture, "stdout"), "{name}");
        assert_eq!(ran.err.trim(), part(&fixture, "stderr").trim(), "{name}");
    }
}

#[test]
fn the_next_name_server_is_asked_when_one_is_dead() {
    let fake = Fake::start();
    let list = format!("127.0.0.1:1;{}", fake.addr);
    let ran = run(&["topicClusterList", "-t", "TopicA", "-n", &list], None);
    assert_eq!((ran.status, ran.out.as_str()), (0, "DefaultCluster\n"), "{}", ran.err);
}

#[test]
fn a_dry_run_tells_what_it_would_send_and_sends_only_looks() {
    let fake = Fake::start();
    let ran = fake.run(&["deleteTopic", "-c", "DefaultCluster", "-t", "T", "--dry-run"]);
    let addr = &fake.addr;
    let expected = format!(
        "would send DELETE_TOPIC_IN_BROKER to {addr}: topic=T\n\
         would send DELETE_TOPIC_IN_NAMESRV to {addr}: clusterName=DefaultCluster, topic=T\n"
    );
    assert_eq!((ran.status, ran.out, ran.err.as_str()), (0, expected, ""));
    assert_eq!(fake.asked(RequestCode::DeleteTopicInBroker).len(), 0);
    assert_eq!(fake.asked(RequestCode::DeleteTopicInNamesrv).len(), 0);

    // One that reads the answer of what it changes.
    let ran = fake.run(&["sendMessage", "-t", "TopicA", "-p", "secret", "--dry-run"]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{}", ran.out);
    assert!(ran.out.starts_with("would send SEND_MESSAGE_V2 to "), "{}", ran.out);
    assert!(!ran.out.contains("secret") && ran.out.contains("6 bytes"), "{}", ran.out);
    assert_eq!(fake.asked(RequestCode::SendMessageV2).len(), 0);

    let ran = fake.run(&["deleteUser", "-b", addr, "-u", "alice", "--dry-run", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&ran.out).expect("one value");
    assert_eq!(told["wouldSend"], "AUTH_DELETE_USER");
    assert_eq!(told["fields"]["username"], "alice");

    // Nothing to change: the answer is the command's own.
    let ran = fake.run(&["topicClusterList", "-t", "TopicA", "--dry-run"]);
    assert_eq!((ran.status, ran.out.as_str()), (0, "DefaultCluster\n"));
}

#[test]
fn a_file_of_defaults_names_servers_and_the_command_line_wins() {
    let fake = Fake::start();
    let path = std::env::temp_dir().join(format!("skua-mqadmin-{}.conf", std::process::id()));
    let with = |text: &str, args: &[&str], name_servers: Option<&str>| {
        std::fs::write(&path, text).expect("a temporary file");
        fake::run_with(args, name_servers, Some(path.clone()))
    };
    let ours = format!("namesrvAddr={}\njson=true\n", fake.addr);
    let list = ["topicClusterList", "-t", "TopicA"];
    let ran = with(&ours, &list, None);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    assert!(ran.out.starts_with('[') || ran.out.starts_with('{'), "{}", ran.out);
    let dead = with(&ours, &list, Some("127.0.0.1:1"));
    assert!(dead.err.contains("127.0.0.1:1: Connection refused"), "{}", dead.err);
    let dead = with(&ours, &["topicClusterList", "-t", "TopicA", "-n", "127.0.0.1:2"], None);
    assert!(dead.err.contains("127.0.0.1:2: Connection refused"), "{}", dead.err);
    let wrong = with("namesrv=x\n", &list, None);
    assert_eq!(wrong.status, 2);
    assert!(wrong.err.contains(".conf:1: `namesrv` is not namesrvAddr"), "{}", wrong.err);
    std::fs::remove_file(&path).expect("still there");
    let gone = fake::run_with(&list, None, Some(path));
    assert!(gone.status == 1 && gone.err.contains("No such file"), "{}", gone.err);
}

#[test]
fn json_is_one_line_that_parses() {
    let fake = Fake::start();
    for args in [
        &["topicRoute", "-t", "TopicA", "--json"][..],
        &["topicList", "--json"],
        &["topicList", "-c", "--json"],
        &["topicStatus", "-t", "TopicA", "--json"],
        &["clusterList", "--json"],
        &["clusterList", "-m", "--json"],
        &["consumerProgress", "-g", "CG_LAG", "--json"],
        &["brokerStatus", "-c", "DefaultCluster", "--json"],
    ] {
        let ran = fake.run(args);
        assert_eq!(ran.status, 0, "{args:?}: {}", ran.err);
        assert_eq!(ran.out.lines().count(), 1, "{args:?}");
        serde_json::from_str::<serde_json::Value>(&ran.out)
            .unwrap_or_else(|cause| panic!("{args:?}: {cause}: {}", ran.out));
    }
    let route = fake.run(&["topicRoute", "-t", "TopicA", "--json"]).out;
    let route: serde_json::Value = serde_json::from_str(&route).expect("seen above");
    assert_eq!(route["brokerDatas"][0]["brokerAddrs"]["0"], fake.addr.as_str());
}

#[test]
fn the_fields_of_every_answer_are_listed() {
    let fake = Fake::start();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mqadmin");
    let mut answered = std::collections::BTreeSet::new();
    let mut unlisted = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("fixtures") {
        let path = entry.expect("a fixture").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if !fixture(&name).contains("### command\n") {
            continue;
        }
        let mut args = args(&name, &fake.addr);
        if args.is_empty() || args[0] == "help" || args.iter().any(|arg| arg == "-h") {
            continue;
        }
        args.push("--json".to_owned());
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ran = fake.run(&args);
        if ran.status == 0 {
            answered.insert(args[0].to_owned());
        }
        for line in ran.out.lines().filter(|_| ran.status == 0) {
            let answer = serde_json::from_str(line)
                .unwrap_or_else(|cause| panic!("{args:?}: {cause}: {line}"));
            let fields = skua_admin::mqadmin::docs::unlisted(args[0], &answer);
            unlisted.extend(fields.into_iter().map(|field| format!("{}: {field}", args[0])));
        }
    }
    assert_eq!(unlisted, Default::default());
    assert!(answered.len() > 45, "{answered:?}");
}

#[test]
fn update_topic_sends_every_option() {
    let fake = Fake::start();
    let line = "updateTopic -c DefaultCluster -t T -r 3 -w 2 -p 4 -u true -s true -o true -a +message.type=FIFO,-old";
    let args: Vec<&str> = line.split(' ').collect();
    assert_eq!(fake.run(&args).status, 0);
    let sent = fake.asked(RequestCode::UpdateAndCreateTopic);
    assert_eq!(sent.len(), 1);
    for (name, value) in [
        ("topic", "T"),
        ("defaultTopic", "TBW102"),
        ("readQueueNums", "3"),
        ("writeQueueNums", "2"),
        ("perm", "4"),
        ("topicFilterType", "SINGLE_TAG"),
        ("topicSysFlag", "3"),
        ("order", "true"),
        ("attributes", "+message.type=FIFO,-old"),
    ] {
        assert_eq!(sent[0].fields.get(name), Some(value), "{name}");
    }
    let order = fake.asked(RequestCode::PutKvConfig);
    assert_eq!(order.len(), 1);
    for (name, value) in
        [("namespace", "ORDER_TOPIC_CONFIG"), ("key", "T"), ("value", "broker-a:2")]
    {
        assert_eq!(order[0].fields.get(name), Some(value), "{name}");
    }
}

#[test]
fn a_busy_broker_is_asked_again_at_the_next_queue() {
    let fake = Fake::start();
    let ran = fake.run(&["sendMessage", "-t", "TopicA", "-p", "hello", "-k", "K1 K2", "-c", "T1"]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    let sent = fake.asked(RequestCode::SendMessageV2);
    assert_eq!(sent.len(), 2);
    assert_ne!(sent[0].fields.get("e"), sent[1].fields.get("e"));
    assert_eq!(&sent[1].body[..], b"hello");
    let properties = sent[1].fields.get("i").expect("properties");
    for pair in ["KEYS\u{1}K1 K2", "TAGS\u{1}T1", "WAIT\u{1}true"] {
        assert!(properties.split('\u{2}').any(|part| part == pair), "{pair} in {properties:?}");
    }
    let queue = sent[1].fields.get("e").expect("a queue");
    let row = ran.out.lines().nth(1).expect("a row");
    let id = row.split_whitespace().last().expect("an id");
    assert_eq!(
        ran.out,
        format!(
            "#Broker Name                      #QID  #Send Result            #MsgId\n\
             broker-a                          {queue}     SEND_OK                 {id}\n"
        )
    );
    assert!(properties.contains(id));
}

#[test]
fn deleting_a_topic_asks_brokers_first_and_then_name_servers() {
    let fake = Fake::start();
    assert_eq!(fake.run(&["deleteTopic", "-c", "DefaultCluster", "-t", "T"]).status, 0);
    let requests = fake.requests.lock().expect("not poisoned");
    let codes: Vec<i32> = requests.iter().map(|request| request.code).collect();
    assert_eq!(
        codes,
        [
            RequestCode::GetBrokerClusterInfo as i32,
            RequestCode::DeleteTopicInBroker as i32,
            RequestCode::DeleteTopicInNamesrv as i32
        ]
    );
    assert_eq!(requests[2].fields.get("clusterName"), Some("DefaultCluster"));
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = silent.local_addr().expect("bound").to_string();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let failure = runtime.block_on(async {
        let cluster = Cluster::new(vec![addr.clone()], Duration::from_millis(100));
        cluster.info().await.expect_err("nobody answers")
    });
    assert!(failure.to_string().contains(&addr), "{failure}");
    assert_eq!(failure.exit_status(), 1);
}

#[test]
fn produce_sends_every_line_of_a_file() {
    use clap::Parser;

    let fake = Fake::start();
    let path = std::env::temp_dir().join(format!("skua-produce-{}.txt", std::process::id()));
    std::fs::write(&path, "one\ntwo\n\nthree\n").expect("a temporary file");
    let file = path.to_str().expect("a plain path");
    let args = ["produce", "-n", &fake.addr, "-t", "TopicA", "--tag", "T1", file];
    let ended = skua_admin::produce::run(&skua_admin::produce::Args::parse_from(args));
    std::fs::remove_file(&path).expect("still there");
    assert_eq!(format!("{ended:?}"), format!("{:?}", std::process::ExitCode::SUCCESS));
    let mut sent: Vec<_> = fake.asked(RequestCode::SendMessageV2);
    // The first was refused and sent again.
    sent.remove(0);
    let bodies: Vec<&[u8]> = sent.iter().map(|request| &request.body[..]).collect();
    assert_eq!(bodies, [&b"one"[..], b"two", b"three"]);
}
