//! A whole server under clients that send rubbish, too much, too little, or take nothing.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skua_interop::{Cluster, Kind, Scene, wait_until, wire};

/// What a server may grow by under any of these: far below what it would take to believe them.
const GROWTH_KIB: u64 = 64 * 1024;

/// Resident memory that is the process's own, not pages of files.
fn memory(cluster: &Cluster) -> u64 {
    let own = |pid: &u32| -> u64 {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
        let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:")).expect("a Linux status");
        line.trim().trim_end_matches(" kB").parse().expect("a number of kB")
    };
    cluster.processes().iter().map(own).sum()
}

fn connect(cluster: &Cluster) -> TcpStream {
    let stream = TcpStream::connect(cluster.broker()).expect("the broker listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a TCP socket");
    stream
}

/// Whether the server closes this connection, with or without an answer before.
fn is_closed(mut stream: TcpStream) -> bool {
    stream.read_to_end(&mut Vec::new()).is_ok_and(|_| true)
        || stream.peek(&mut [0]).is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset)
}

fn frame(header: &str, body: &[u8]) -> Vec<u8> {
    let length = |n: usize| u32::try_from(n).expect("a small frame").to_be_bytes();
    let total = length(4 + header.len() + body.len());
    [&total[..], &length(header.len()), header.as_bytes(), body].concat()
}

fn send_fields(topic: &str, queue: &str) -> Value {
    json!({
        "a": "hostile", "b": topic, "c": "TBW102", "d": "4", "e": queue, "f": "0",
        "g": "1700000000000", "h": "0", "i": "", "j": "0", "k": "false", "m": "false",
    })
}

/// Another client's sends and what was stored before are as ever.
fn assert_serves(cluster: &mut Cluster) {
    assert!(wire::send(&cluster.broker(), "bystander"), "a good client is served");
    cluster.process().assert_alive();
}

/// Lines of warnings and errors that the server has logged.
fn complaints(cluster: &mut Cluster) -> usize {
    let output = cluster.process().output();
    output.lines().filter(|l| l.contains(" WARN ") || l.contains(" ERROR ")).count()
}

#[test]
fn rubbish_ends_its_connection_with_at_most_one_line() {
    let scene = Scene::new();
    let mut cluster = Cluster::start(&scene);
    assert_serves(&mut cluster);
    let (before, lines) = (memory(&cluster), complaints(&mut cluster));
    let long_header = [&[0, 0, 0, 8, 0, 0xff, 0xff, 0xff][..], b"rest"].concat();
    let rubbish: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n".to_vec(),
        b"\xff\xff\xff\xff\0\0\0\0".to_vec(),
        b"\x80\0\0\0\0\0\0\0".to_vec(),
        b"\x7f\xff\xff\xff\0\0\0\0".to_vec(),
        b"\x01\0\0\x01\0\0\0\0".to_vec(),
        b"\0\0\0\x03\0\0\0".to_vec(),
        long_header,
        b"\0\0\0\x08\x07\0\0\x04nope".to_vec(),
        frame("{\"code\":", b""),
        frame("[1,2,3]", b""),
        frame("nonsense", b""),
        (0..4096u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8 | 0x80).collect(),
    ];
    const ROUNDS: usize = 20;
    for _ in 0..ROUNDS {
        for bytes in &rubbish {
            let mut stream = connect(&cluster);
            // An error means closed already.
            let _ = stream.write_all(bytes);
            assert!(is_closed(stream), "{}", bytes[..bytes.len().min(40)].escape_ascii());
        }
    }
    assert_serves(&mut cluster);
    let grown = memory(&cluster).saturating_sub(before);
    assert!(grown < GROWTH_KIB, "{grown} KiB more");
    let told = complaints(&mut cluster) - lines;
    assert!(
        told <= ROUNDS * rubbish.len(),
        "{told} lines for {} connections",
        ROUNDS * rubbish.len()
    );
}

#[test]
fn bad_requests_are_answered_with_their_codes() {
    let scene = Scene::new();
    let mut cluster = Cluster::start(&scene);
    assert_serves(&mut cluster);
    let broker = cluster.broker();
    let call = |code: i32, fields: Value, body: &[u8]| {
        let (header, _) = wire::call(&broker, code, fields, body).expect("an answer");
        assert_ne!(header["remark"], Value::Null, "{header}");
        header["code"].as_i64().expect("a code")
    };
    assert_eq!(call(99_999, json!({}), b""), 3, "an unknown code");
    assert_eq!(call(34, json!({}), b"{\"clientID\""), 1, "broken JSON");
    let over = vec![b'x'; (4 << 20) + 1];
    assert_eq!(call(310, send_fields("big", "0"), &over), 13, "a body over maxMessageSize");
    assert_eq!(call(310, send_fields("no/topic", "0"), b"x"), 29, "an illegal topic");
    assert_eq!(call(310, send_fields(&"t".repeat(128), "0"), b"x"), 29, "a long topic");
    assert_eq!(call(310, send_fields("bystander", "4"), b"x"), 29, "a queue that is not there");
    assert_eq!(call(310, send_fields("bystander", "2147483647"), b"x"), 29, "a far queue");
    assert_serves(&mut cluster);
}

/// Half a frame each, and then nothing, or a byte now and then.
#[test]
fn thousands_of_idle_and_dripping_connections_cost_little() {
    let scene = Scene::new();
    let mut cluster = Cluster::start(&scene);
    assert_serves(&mut cluster);
    let before = memory(&cluster);
    const CONNECTIONS: usize = 2_000;
    // All announce 15 MiB: memory must not follow the announcement.
    let mut idle: Vec<_> = (0..CONNECTIONS).map(|_| connect(&cluster)).collect();
    for (n, stream) in idle.iter_mut().enumerate() {
        if n % 2 == 0 {
            stream.write_all(b"\0\xf0\0\0").expect("an open connection");
        }
    }
    for _ in 0..3 {
        for stream in idle.iter_mut().step_by(2) {
            stream.write_all(b"\0").expect("an open connection");
        }
        assert_serves(&mut cluster);
    }
    let grown = memory(&cluster).saturating_sub(before);
    assert!(grown < GROWTH_KIB, "{grown} KiB more for {CONNECTIONS} connections");
    drop(idle);
    wait_until("the memory of closed connections to be given up", Duration::from_secs(20), || {
        (memory(&cluster).saturating_sub(before) < GROWTH_KIB / 2).then_some(())
    });
    assert_serves(&mut cluster);
}

/// Asks for large answers as fast as it can and reads none of them.
#[test]
fn clients_that_never_read_their_answers_are_not_read_from() {
    if Kind::under_test() == Kind::Java {
        // Java queues answers without a bound.
        return;
    }
    let scene = Scene::new();
    let mut cluster = Cluster::start(&scene);
    let broker = cluster.broker();
    for _ in 0..8 {
        let (header, _) = wire::call(&broker, 310, send_fields("large", "0"), &vec![b'x'; 1 << 20])
            .expect("an answer");
        assert_eq!(header["code"], 0, "{header}");
    }
    let header = json!({
        "code": 11, "flag": 0, "language": "JAVA", "opaque": 1, "version": 513,
        "extFields": {
            "consumerGroup": "hostile", "topic": "large", "queueId": "0", "queueOffset": "0",
            "maxMsgNums": "32", "sysFlag": "4", "commitOffset": "0", "suspendTimeoutMillis": "0",
            "subVersion": "0", "subscription": "*",
        },
    });
    let pull = frame(&header.to_string(), b"");
    let before = memory(&cluster);
    let mut greedy: Vec<_> = (0..20).map(|_| connect(&cluster)).collect();
    let mut refused = 0;
    for stream in &mut greedy {
        stream.set_write_timeout(Some(Duration::from_millis(200))).expect("a TCP socket");
        let deadline = Instant::now() + Duration::from_secs(10);
        // Until the server reads no more of it: each answer is a megabyte.
        while Instant::now() < deadline {
            if stream.write_all(&pull).is_err() {
                refused += 1;
                break;
            }
        }
    }
    assert_eq!(refused, greedy.len(), "connections that the server stopped reading");
    let grown = memory(&cluster).saturating_sub(before);
    // Bounded per connection; the answers asked for would be gigabytes.
    assert!(grown < 20 * 16 * 1024, "{grown} KiB more for {} connections", greedy.len());
    assert_serves(&mut cluster);
    for stream in greedy {
        let _ = stream.shutdown(Shutdown::Both);
    }
}
