//! How commands fail: exit status, and one line on the error output with the cause and the address.
//! The table makes `docs/mqadmin-failures.md` (`UPDATE=1`).

mod fake;

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use fake::Fake;

/// Longer than any row's time limit.
const PATIENCE: Duration = Duration::from_secs(3);

/// A server that does something with each connection, as long as the process lives.
fn server(serve: fn(TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            std::thread::spawn(move || serve(socket));
        }
    });
    addr
}

/// Waits for a request, which a client sends before it looks at an answer.
fn asked(socket: &mut TcpStream) {
    // An end of the connection is as good.
    let _ = socket.read(&mut [0; 1024]);
}

/// Peers by their names in the table.
fn peers(broker: &str) -> Vec<(&'static str, String)> {
    vec![
        ("ADDR", broker.to_owned()),
        ("DEAD", "127.0.0.1:1".to_owned()),
        // Accepts, and closes at the first request.
        ("CLOSED", server(|mut socket| asked(&mut socket))),
        // Accepts, and says nothing.
        ("SILENT", server(|mut socket| while socket.read(&mut [0; 64]).is_ok_and(|n| n > 0) {})),
        // A web server.
        (
            "WEB",
            server(|mut socket| {
                asked(&mut socket);
                let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            }),
        ),
        // A frame of the right length with a header that is none.
        (
            "GARBAGE",
            server(|mut socket| {
                asked(&mut socket);
                let _ = socket.write_all(&[0, 0, 0, 8, 0, 0, 0, 4, b'{', b'x', b'x', b'}']);
            }),
        ),
    ]
}

/// Command line, exit status, and what the line on the error output has in it.
const FAILURES: &[(&str, u8, &str)] = &[
    ("noSuchCommand", 2, "The sub command noSuchCommand not exist."),
    ("help noSuchCommand", 2, "The sub command noSuchCommand not exist."),
    (
        "topicRoute -t NoSuchTopic",
        1,
        "CODE: 17  DESC: No topic route info in name server for the topic: NoSuchTopic NAMESRV: ADDR",
    ),
    (
        "topicStatus -t NoSuchTopic",
        1,
        "No topic route info in name server for the topic: NoSuchTopic",
    ),
    (
        "topicClusterList -t NoSuchTopic",
        1,
        "No topic route info in name server for the topic: NoSuchTopic",
    ),
    (
        "consumerProgress -g NoSuchGroup",
        1,
        "No topic route info in name server for the topic: %RETRY%NoSuchGroup",
    ),
    (
        "consumerConnection -g CG_LAG",
        1,
        "CODE: 206  DESC: the consumer group[CG_LAG] not online BROKER: ADDR",
    ),
    ("updateTopic -c NoSuch -t X", 1, "cluster NoSuch not found"),
    ("deleteTopic -c NoSuch -t X", 1, "cluster NoSuch not found"),
    ("clusterList -c NoSuch", 1, "cluster NoSuch not found"),
    ("brokerStatus -b 127.0.0.1:1", 1, "127.0.0.1:1: Connection refused"),
    ("updateTopic -b 127.0.0.1:1 -t X", 1, "127.0.0.1:1: Connection refused"),
    ("topicList -n 127.0.0.1:1", 1, "127.0.0.1:1: Connection refused"),
    ("clusterList -n 127.0.0.1:1", 1, "127.0.0.1:1: Connection refused"),
    ("topicList -n ;", 2, "no name server address"),
    (
        "updateTopic -b ADDR -t AttrT -a +no.such=1",
        1,
        "CODE: 1  DESC: unsupported key: no.such BROKER: ADDR",
    ),
    ("updateTopic -b ADDR -t X -r abc", 2, "-r: `abc`"),
    ("updateTopic -b ADDR -t X -p 9", 2, "-p: `9`"),
    ("updateTopic -b ADDR -t X -o maybe", 2, "-o: `maybe`"),
    ("updateTopic -b ADDR -t X -a old", 2, "-a: `old`"),
    ("updateTopic -b ADDR -c X -t X", 2, "already been selected: 'b'"),
    ("queryMsgById -t TopicA -i 12345", 1, "CODE: 208"),
    ("queryMsgByKey -t TopicA -k NoKey", 1, "CODE: 208"),
    ("resetOffsetByTime -g G -t TopicA -s yesterday", 2, "-s: `yesterday`"),
    ("updateOrderConf -t T -m change", 2, "-m: `change`"),
    (
        "updateBrokerConfig -b ADDR -k brokerConfigPath -v /x",
        1,
        "CODE: 16  DESC: Can not update config in black list. BROKER: ADDR",
    ),
    ("sendMessage -t TopicA -p x -b nobody -i 0", 1, "The broker[nobody] not exist"),
    ("sendMessage -t TopicA -p x -i 0", 2, "Missing required option: b"),
    ("updateSubGroupList -b ADDR -f /nonexistent.json", 1, "/nonexistent.json: No such"),
    ("clusterRT -c NoSuch", 1, "cluster NoSuch not found"),
    ("haStatus -c NoSuch", 1, "cluster NoSuch not found"),
    ("getBrokerEpoch -b nobody", 1, "broker nobody is not known"),
    ("getControllerMetaData -a 127.0.0.1:1", 1, "127.0.0.1:1: Connection refused"),
    ("setConsumeMode -b ADDR -t T -g G -m PUSH", 2, "-m: `PUSH`"),
    ("switchTimerEngine -b ADDR -e X", 2, "-e: `X`"),
    ("setCommitLogReadAheadMode -b ADDR -m 2", 2, "-m: `2`"),
    ("removeBroker -c ADDR -b one:two", 2, "-b: `one:two`"),
    ("cleanBrokerMetadata -a ADDR -bn b -b x -c C", 2, "-b: `x`"),
    ("cleanBrokerMetadata -a ADDR -bn b", 2, "Missing required option: c"),
    (
        "cleanBrokerMetadata -a ADDR -b 2 -bn ctl-a -c CtlCluster",
        1,
        "Broker [ctl-a,  2] is still alive, clean up failure CONTROLLER",
    ),
    ("queryMsgTraceById -i ID", 1, "CODE: 17"),
    ("dumpCompactionLog", 2, "Missing required option: f"),
    ("dumpCompactionLog -f /nonexistent", 1, "/nonexistent: No such"),
    ("updateColdDataFlowCtrGroupConfig -b ADDR -g G -v x", 2, "-v: `x`"),
    ("printMsg -t TopicA -c GBK", 2, "-c: `GBK`"),
    ("queryMsgByOffset -t TopicA -b nobody -i 0 -o 0", 1, "broker[nobody]"),
    // Options.
    ("topicRoute -n ADDR", 2, "Missing required option: t"),
    ("topicRoute -t", 2, "Missing argument for option: t"),
    ("topicRoute -t T -Z", 2, "Unrecognized option: -Z"),
    ("topicRoute --nothing -t T", 2, "Unrecognized option: --nothing"),
    ("topicRoute -t T --timeout 0", 2, "`0` is not a number of seconds"),
    ("topicRoute -t T --timeout soon", 2, "`soon` is not a number of seconds"),
    ("topicRoute -t T --json=yes", 2, "Unrecognized option: --json=yes"),
    ("updateTopic -b ADDR -t X -w -1x", 2, "-w: `-1x`"),
    ("updateSubGroup -b ADDR -g G -p {}x", 2, "-p: `{}x` is not a retry policy as JSON"),
    ("updateSubGroup -b ADDR -g G -s maybe", 2, "-s: `maybe` is not true or false"),
    ("deleteTopic -t T", 2, "Missing required option: c"),
    ("createUser -b ADDR -u alice", 2, "Missing required option: p"),
    // Servers that are not there, or are something else.
    ("topicList -n CLOSED", 1, "CLOSED"),
    ("topicList -n SILENT --timeout 0.2", 1, "SILENT"),
    ("topicList -n SILENT;DEAD --timeout 0.2", 1, "DEAD"),
    ("topicList -n WEB", 1, "WEB"),
    ("topicList -n GARBAGE", 1, "GARBAGE"),
    ("topicList -n DEAD", 1, "DEAD: Connection refused"),
    ("topicList -n no-such-host.invalid:9876", 1, "no-such-host.invalid"),
    ("topicList -n localhost", 1, "localhost"),
    ("topicList -n 127.0.0.1:99999", 1, "127.0.0.1:99999"),
    ("brokerStatus -b SILENT --timeout 0.2", 1, "SILENT"),
    ("brokerStatus -b CLOSED", 1, "CLOSED"),
    ("brokerStatus -b WEB", 1, "WEB"),
    ("getBrokerConfig -b GARBAGE", 1, "GARBAGE"),
    ("updateTopic -b SILENT -t X --timeout 0.2", 1, "SILENT"),
    ("haStatus -b CLOSED", 1, "CLOSED"),
    ("getControllerMetaData -a SILENT --timeout 0.2", 1, "SILENT"),
    ("deleteUser -b DEAD -u alice", 1, "DEAD: Connection refused"),
    ("sendMessage -t TopicA -p x -n DEAD", 1, "DEAD: Connection refused"),
];

#[test]
fn a_failure_is_one_line_with_cause_and_address() {
    let fake = Fake::start();
    let peers = peers(&fake.addr);
    let real = |text: &str| {
        peers.iter().fold(text.to_owned(), |text, (name, addr)| text.replace(name, addr))
    };
    let table = |text: &str| {
        // Each resolver has its own words.
        let text = text.split(": failed to lookup").next().unwrap_or(text);
        peers.iter().fold(text.to_owned(), |text, (name, addr)| text.replace(addr, name))
    };
    let mut page = String::from(HEAD);
    for (line, status, told) in FAILURES {
        let (filled, told) = (real(line), real(told));
        let args: Vec<&str> = filled.split(' ').collect();
        let begun = Instant::now();
        let ran = fake.run(&args);
        assert!(begun.elapsed() < PATIENCE, "{line} took {:?}", begun.elapsed());
        assert_eq!(ran.status, *status, "{line}: {}", ran.err);
        assert!(ran.err.contains(&told), "{line}: {}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "{line}: {}", ran.err);
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{line}` | {status} | `{}` |",
            table(ran.err.trim_end()).replace('`', "'").replace('|', "\\|")
        );
    }
    assert!(FAILURES.len() >= 60);
    let spaced = ["updateTopic", "-b", &fake.addr, "-t", "bad topic"];
    assert!(fake.run(&spaced).err.contains("CODE: 29  DESC: The specified topic: bad topic"));

    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/mqadmin-failures.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &page).expect("the page can be written");
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == page, "docs/mqadmin-failures.md is stale: run this test with UPDATE=1");
}

const HEAD: &str = "\
# How mqadmin fails

Made by the test `a_failure_is_one_line_with_cause_and_address` (`crates/admin/tests/failures.rs`, `UPDATE=1` writes it). Every failure is one line on the error output with the cause and the address; the exit status is 1, or 2 when the command line is wrong. With wrong options the usage of the command goes to the standard output, as with Java's tool.

`ADDR` answers as a Java name server and broker do, `DEAD` refuses connections, `CLOSED` ends them, `SILENT` never answers, `WEB` is a web server, `GARBAGE` answers what is no header.

| command line | status | error output |
|---|---|---|
";
