//! Just enough of the protocol to ask a server whether it is ready, without any code of Skua.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::wait::wait_until;

/// Time for connecting, and for each piece of an answer.
const LIMIT: Duration = Duration::from_secs(5);

/// The version of RocketMQ 5.5.0 in requests.
pub const VERSION: i32 = 513;

/// The bytes of a request of a client of this version.
#[must_use]
pub fn frame(version: i32, code: i32, fields: Value, body: &[u8]) -> Vec<u8> {
    let header = json!({
        "code": code, "flag": 0, "language": "JAVA", "opaque": 1,
        "serializeTypeCurrentRPC": "JSON", "version": version, "extFields": fields,
    });
    let header = header.to_string().into_bytes();
    let length = |n: usize| u32::try_from(n).expect("a small request").to_be_bytes();
    [&length(4 + header.len() + body.len()), &length(header.len()), &header[..], body].concat()
}

/// A connection for several requests, one after the other.
#[derive(Debug)]
pub struct Connection(TcpStream);

impl Connection {
    /// With this time for connecting, and for each piece of an answer.
    pub fn open(addr: &str, limit: Duration) -> Option<Self> {
        let stream = TcpStream::connect_timeout(&addr.parse().ok()?, limit).ok()?;
        stream.set_read_timeout(Some(limit)).ok()?;
        Some(Self(stream))
    }

    /// One request and its answer's header and body.
    pub fn call(&mut self, code: i32, fields: Value, body: &[u8]) -> Option<(Value, Vec<u8>)> {
        self.call_as(VERSION, code, fields, body)
    }

    /// As [`Connection::call`], of a client of this version.
    pub fn call_as(
        &mut self,
        version: i32,
        code: i32,
        fields: Value,
        body: &[u8],
    ) -> Option<(Value, Vec<u8>)> {
        self.0.write_all(&frame(version, code, fields, body)).ok()?;

        let mut lengths = [0; 8];
        self.0.read_exact(&mut lengths).ok()?;
        let [total, header] = [&lengths[..4], &lengths[4..]]
            .map(|bytes| u32::from_be_bytes(bytes.try_into().expect("four bytes")));
        let total = u64::from(total).checked_sub(4)?;
        let mut rest = Vec::new();
        Read::by_ref(&mut self.0).take(total).read_to_end(&mut rest).ok()?;
        // The upper byte of the header's length names its encoding.
        let (header, body) = rest.split_at_checked(usize::try_from(header & 0xff_ffff).ok()?)?;
        Some((serde_json::from_slice(header).ok()?, body.to_vec()))
    }
}

/// One request and its answer's header and body; nothing if nobody answers.
pub fn call(addr: &str, code: i32, fields: Value, body: &[u8]) -> Option<(Value, Vec<u8>)> {
    call_within(LIMIT, addr, code, fields, body)
}

/// As [`call`], with this time for connecting and for each piece of the answer.
pub fn call_within(
    limit: Duration,
    addr: &str,
    code: i32,
    fields: Value,
    body: &[u8],
) -> Option<(Value, Vec<u8>)> {
    Connection::open(addr, limit)?.call(code, fields, body)
}

/// The brokers that a name server knows, as it writes them (code 106).
pub fn cluster_list(namesrv: &str) -> Option<String> {
    let (_, body) = call(namesrv, 106, json!({}), &[])?;
    Some(String::from_utf8_lossy(&body).into_owned())
}

/// Whether the broker takes a message for a topic that it makes (code 310).
pub fn send(broker: &str, topic: &str) -> bool {
    let fields = json!({
        "a": "interop", "b": topic, "c": "TBW102", "d": "4", "e": "0", "f": "0",
        "g": "1700000000000", "h": "0", "i": "", "j": "0", "k": "false", "l": "0", "m": "false",
    });
    call(broker, 310, fields, b"first").is_some_and(|(header, _)| header["code"] == 0)
}

/// Makes a topic with this many queues (code 17). With the retry topic of a group made before its
/// clients start, they need not wait until they ask for routes again.
///
/// # Panics
/// When the broker does not.
pub fn make_topic(broker: &str, topic: &str, queues: u32) {
    let queues = queues.to_string();
    let fields = json!({
        "topic": topic, "defaultTopic": "TBW102", "readQueueNums": queues, "writeQueueNums": queues,
        "perm": "6", "topicFilterType": "SINGLE_TAG", "topicSysFlag": "0", "order": "false",
    });
    let (header, _) = call(broker, 17, fields, b"").expect("an answer");
    assert_eq!(header["code"], 0, "{topic}: {header}");
}

/// Waits until the broker knows a producer of this group (code 204), as it must to push replies to it.
pub fn wait_producer(broker: &str, group: &str, topic: &str) {
    wait_until("the producer at the broker", Duration::from_secs(90), || {
        let asked = json!({ "producerGroup": group, "topic": topic });
        let (header, _) = call(broker, 204, asked, b"")?;
        (header["code"] == 0).then_some(())
    });
}

/// What a member of a group that elects its master says of it, if it answers soon.
pub fn raft_status(broker: &str) -> Option<Value> {
    raft_status_for(broker, json!({ "action": "status" }))
}

/// As [`raft_status`], with fields that may be signed.
pub fn raft_status_for(broker: &str, fields: Value) -> Option<Value> {
    let (header, body) = call_within(Duration::from_secs(1), broker, 770_003, fields, &[])?;
    (header["code"] == 0).then(|| serde_json::from_slice(&body).ok())?
}

/// Whether the master sees a slave that has all of its log (code 907).
pub fn is_followed(master: &str) -> bool {
    let Some((_, body)) = call(master, 907, json!({}), &[]) else { return false };
    let Ok(status) = serde_json::from_slice::<Value>(&body) else { return false };
    let end = status["masterCommitLogMaxOffset"].as_i64();
    let slaves = status["haConnectionInfo"].as_array().cloned().unwrap_or_default();
    slaves.iter().any(|slave| slave["slaveAckOffset"].as_i64().max(Some(0)) == end.max(Some(0)))
}

/// The response code of a send of one message to queue 0 of topic `codes`.
pub fn send_code(broker: &str) -> i64 {
    send_body(broker, b"body")
}

/// As [`send_code`], with this body.
pub fn send_body(broker: &str, body: &[u8]) -> i64 {
    let fields = json!({
        "a": "interop", "b": "codes", "c": "TBW102", "d": "4", "e": "0", "f": "0",
        "g": "1700000000000", "h": "0", "i": "", "j": "0", "k": "false", "l": "0", "m": "false",
    });
    let (header, _) = call(broker, 310, fields, body).expect("an answer");
    header["code"].as_i64().expect("a code")
}

/// Status and body of a page of the HTTP port of the Skua broker at `addr`.
pub fn http(addr: &str, path: &str) -> Option<(u16, String)> {
    let mut at: SocketAddr = addr.parse().ok()?;
    at.set_port(at.port() + 3);
    let mut stream = TcpStream::connect_timeout(&at, LIMIT).ok()?;
    stream.set_read_timeout(Some(LIMIT)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
}
