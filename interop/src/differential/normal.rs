//! Answers without what differs at each run: times, addresses, ids, folders, physical offsets.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde_json::{Map, Value, json};
use skua_protocol::record::Message;
use skua_protocol::{Command, json as tolerant};

/// Times this near count as now.
const NEAR_MS: i64 = 3_600_000;
/// A longer body of a message is told by its length.
const BODY_SHOWN: usize = 300;
/// Requests whose answers carry stored messages.
const MESSAGES: [i32; 9] = [11, 361, 12, 33, 39, 309, 200_050, 200_052, 200_070];
/// Requests whose answers are lines `key=value`.
const LINES: [i32; 3] = [26, 319, 1010];
/// Fields with values of the run: rates, physical positions, counters of versions.
const OF_THE_RUN: &[&str] = &[
    "counter",
    "delayTime",
    "stateVersion",
    "topicPutTps",
    "consumeTps",
    "physicOffset",
    "bornTime",
    "indexLastUpdatePhyoffset",
    "commitLogOffset",
    "preparedTransactionOffset",
    "pid",
    "runtime",
];

/// As [`OF_THE_RUN`], by a part of the name: measurements in the answer of code 28.
const MEASURED: &[&str] = &[
    "Tps",
    "DiskRatio",
    "DirCapacity",
    "Latency",
    "EntireTimeMax",
    "MessageTimesTotal",
    "AverageSize",
    "DistributeTime",
];

/// Without what is of the run: done last, to both sides, so that a name added to the lists above
/// needs no new recording.
pub fn rinse(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let of_the_run = |name: &str| {
                OF_THE_RUN.contains(&name) || MEASURED.iter().any(|part| name.contains(part))
            };
            members
                .iter()
                .map(|(name, value)| {
                    let value = match of_the_run(name) && !value.is_object() {
                        true => "<of the run>".into(),
                        false => rinse(value),
                    };
                    (name.clone(), value)
                })
                .collect()
        }
        Value::Array(items) => items.iter().map(rinse).collect(),
        Value::String(text) => dates_replaced(text).into(),
        other => other.clone(),
    }
}

/// `2026-11-26#14:48:07:477` and its like: digits, dashes, colons from a year to the seconds.
fn dates_replaced(text: &str) -> String {
    let like = |s: &str| {
        let mut rest = s.bytes();
        "dddd-dd-dd?dd:dd:dd".bytes().all(|wanted| {
            rest.next().is_some_and(|b| match wanted {
                b'd' => b.is_ascii_digit(),
                b'?' => matches!(b, b'#' | b' ' | b'T'),
                wanted => b == wanted,
            })
        })
    };
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if like(rest) {
            out += "<date>";
            rest = rest[19..]
                .trim_start_matches([':', '.', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

pub struct Normal {
    replaced: Vec<(String, &'static str)>,
}

impl Normal {
    pub fn new(broker: &str, namesrv: &str, folder: &Path) -> Self {
        let (host, port) = broker.rsplit_once(':').expect("host:port");
        let port: u16 = port.parse().expect("a port");
        let replaced = vec![
            (broker.to_owned(), "<broker>"),
            (namesrv.to_owned(), "<namesrv>"),
            (format!("{host}:{}", port + 1), "<ha>"),
            (format!("{host}:{}", port - 2), "<fast>"),
            (folder.display().to_string(), "<folder>"),
        ];
        Self { replaced }
    }

    /// The answer (or request of the server) to a request of `code`.
    pub fn told(&self, command: &Command, code: i32, read: Option<&str>) -> Value {
        let mut told = Map::new();
        told.insert("code".into(), command.code.into());
        if let Some(remark) = &command.remark {
            told.insert("remark".into(), self.text(remark).into());
        }
        if command.is_one_way() {
            told.insert("oneway".into(), true.into());
        }
        let fields: Map<_, _> =
            command.fields.iter().map(|(k, v)| (k.to_owned(), self.field(k, v))).collect();
        if !fields.is_empty() {
            told.insert("fields".into(), fields.into());
        }
        if !command.body.is_empty() {
            told.insert("body".into(), self.body(&command.body, code, read));
        }
        told.into()
    }

    fn field(&self, name: &str, value: &str) -> Value {
        if name == "properties" {
            return self.properties(skua_protocol::properties::Properties::new(value));
        }
        if value.starts_with('{') {
            return self.body(value.as_bytes(), 0, Some("json"));
        }
        if name == "recallHandle" {
            return self.text(&String::from_utf8_lossy(&base64(value))).into();
        }
        self.text(value).into()
    }

    fn body(&self, body: &[u8], code: i32, read: Option<&str>) -> Value {
        let text = || String::from_utf8_lossy(body).into_owned();
        let hex = || body.iter().map(|b| format!("{b:02x}")).collect::<String>().into();
        match read {
            Some("hex") => return hex(),
            Some("text") => return self.text(&text()).into(),
            _ => {}
        }
        if read == Some("messages") || read.is_none() && MESSAGES.contains(&code) {
            match Message::decode_all(&Bytes::copy_from_slice(body)) {
                Ok(messages) if !messages.is_empty() => {
                    return messages.iter().map(|m| self.message(m)).collect();
                }
                _ => {}
            }
        }
        if read == Some("lines") || LINES.contains(&code) {
            let text = text();
            let pairs = text.lines().map(|line| {
                let (key, value) = line.split_once('=').unwrap_or((line, ""));
                (key.to_owned(), Value::from(self.text(value)))
            });
            return Value::Object(pairs.collect());
        }
        match tolerant::from_slice::<Value>(body) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => self.json(value),
            _ if std::str::from_utf8(body).is_ok() => self.text(&text()).into(),
            _ => hex(),
        }
    }

    fn message(&self, message: &Message) -> Value {
        let body = match std::str::from_utf8(&message.body) {
            Ok(text) if text.len() <= BODY_SHOWN => self.text(text),
            _ => format!("<{} bytes>", message.body.len()),
        };
        json!({
            "topic": &*message.topic,
            "queueId": message.queue_id,
            "queueOffset": message.queue_offset,
            "flag": message.flag,
            "sysFlag": message.sys_flag,
            "born": self.number(message.born_timestamp.0),
            "bornHost": message.born_host.ip().to_string(),
            "stored": self.number(message.store_timestamp.0),
            "storeHost": self.text(&message.store_host.to_string()),
            "reconsumeTimes": message.reconsume_times,
            "prepared": message.prepared_transaction_offset != 0,
            "body": body,
            "properties": self.properties(message.properties()),
        })
    }

    fn properties(&self, properties: skua_protocol::properties::Properties<'_>) -> Value {
        let pairs = properties.iter().map(|(k, v)| (k.to_owned(), self.field(k, v)));
        Value::Object(pairs.collect())
    }

    fn json(&self, value: Value) -> Value {
        match value {
            Value::Object(members) => {
                let members = members.into_iter().filter(|(_, v)| !v.is_null());
                members.map(|(key, value)| (self.key(key), self.json(value))).collect()
            }
            // Most lists are sets of Java, written in the order of their hash codes.
            Value::Array(items) => {
                let mut items: Vec<_> = items.into_iter().map(|v| self.json(v)).collect();
                items.sort_by_cached_key(Value::to_string);
                items.into()
            }
            Value::String(text) => match text.starts_with('{') {
                true => self.body(text.as_bytes(), 0, Some("json")),
                false => self.text(&text).into(),
            },
            Value::Number(n) => match (n.as_i64(), n.as_f64()) {
                (Some(n), _) => self.number(n),
                (None, Some(n)) if n.fract() == 0.0 => self.number(n as i64),
                _ => Value::Number(n),
            },
            other => other,
        }
    }

    /// A key that is an object itself (fastjson's queues) has its members in order afterwards.
    fn key(&self, key: String) -> String {
        match tolerant::from_slice::<Value>(key.as_bytes()) {
            Ok(value @ Value::Object(_)) => self.json(value).to_string(),
            _ => self.text(&key),
        }
    }

    fn number(&self, number: i64) -> Value {
        if near(number) { "<now>".into() } else { number.into() }
    }

    fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to) in &self.replaced {
            text = text.replace(from, to);
        }
        words_replaced(&text)
    }
}

fn near(number: i64) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64;
    (number - now).abs() < NEAR_MS
}

/// Times, ids and clients' addresses within a text.
fn words_replaced(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let len = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        if len == 0 {
            let c = rest.chars().next().expect("not empty");
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let (word, after) = rest.split_at(len);
        rest = after;
        let time = word.len() == 13 && word.parse().is_ok_and(near);
        let id = word.len() >= 32
            && word.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
        if time {
            out += "<now>";
        } else if id {
            out += "<id>";
        } else {
            out += word;
            if out.ends_with("127.0.0.1")
                && let Some(port) = rest.strip_prefix(':')
            {
                let digits = port.bytes().take_while(u8::is_ascii_digit).count();
                out += ":<port>";
                rest = &port[digits..];
            }
        }
    }
    out
}

fn base64(text: &str) -> Vec<u8> {
    let digit = |b| {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        match b {
            b'+' | b'-' => Some(62),
            b'/' | b'_' => Some(63),
            b => alphabet.iter().position(|&a| a == b).map(|at| at as u32),
        }
    };
    let digits: Vec<_> = text.bytes().map_while(digit).collect();
    let mut out = Vec::new();
    for group in digits.chunks(4) {
        let bits = group.iter().fold(0u32, |bits, d| bits << 6 | d) << (6 * (4 - group.len()));
        out.extend(&bits.to_be_bytes()[1..group.len()]);
    }
    out
}
