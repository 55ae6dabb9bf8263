//! Plays a family to a name server and a broker of its own.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{str, thread};

use bytes::{BufMut, BytesMut};
use serde_json::{Value, json};
use skua_protocol::command::{FLAG_ONE_WAY, FLAG_RESPONSE, HeaderCodec, Language};
use skua_protocol::header::Fields;
use skua_protocol::{Command, RequestCode, frame};

use super::Answers;
use super::connection::{Connection, Heard};
use super::corpus::{Action, Body, Family, Pairs, Request};
use super::normal::Normal;
use super::text;
use crate::{Broker, Kind, Namesrv, Scene, Tuning};

/// How long `until` asks again.
const UNTIL: Duration = Duration::from_secs(8);

/// What this kind of server answers to the family's requests, sent in this encoding.
pub fn play(family: &Family, kind: Kind, codec: HeaderCodec) -> Answers {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, kind);
    let tuning = Tuning { settings: family.settings.clone(), java_options: None };
    let mut broker = Broker::start_tuned(&scene, kind, "broker-a", &namesrv.addr, tuning);
    broker.wait_registered();
    let mut player = Player {
        codec,
        normal: Normal::new(&broker.addr, &namesrv.addr, scene.path()),
        addresses: HashMap::from([
            ("broker", broker.addr.clone()),
            ("namesrv", namesrv.addr.clone()),
        ]),
        saved: HashMap::new(),
        connections: HashMap::new(),
        opaque: 0,
        pending: HashMap::new(),
        heard: HashMap::new(),
        answers: Answers::new(),
    };
    for step in &family.steps {
        player.step(&step.name, &step.action);
    }
    broker.process.assert_alive();
    player.answers
}

struct Player {
    codec: HeaderCodec,
    normal: Normal,
    addresses: HashMap<&'static str, String>,
    saved: HashMap<String, String>,
    connections: HashMap<String, Connection>,
    opaque: i32,
    /// Requests whose answers are fetched later, by step.
    pending: HashMap<String, (i32, Request)>,
    /// The opaque of the last request heard on a connection.
    heard: HashMap<String, i32>,
    answers: Answers,
}

impl Player {
    fn step(&mut self, name: &str, action: &Action) {
        match action {
            Action::Pause(millis) => thread::sleep(Duration::from_millis(*millis)),
            Action::Close { server } => drop(self.connections.remove(server)),
            Action::Ask(request) => {
                let opaque = self.send(request, 0);
                if request.later {
                    self.pending.insert(name.to_owned(), (opaque, request.clone()));
                } else if !request.one_way {
                    let answer = self.ask_until(request, opaque);
                    self.answers.insert(name.to_owned(), answer);
                }
            }
            Action::Answer { server } => {
                let (opaque, request) = self.pending.remove(name).expect("a step asked later");
                let heard = self.connection(server).answer(opaque);
                let answer = self.told(heard, &request);
                self.answers.insert(name.to_owned(), answer);
            }
            Action::Hear { server, code } => {
                let heard = self.connection(server).request(*code);
                if let Heard::Frame(command) = &heard {
                    self.heard.insert(server.clone(), command.opaque);
                }
                let request = Request { code: *code, ..Request::default() };
                let told = self.told(heard, &request);
                self.answers.insert(name.to_owned(), told);
            }
            Action::Reply(request) => {
                let opaque = self.heard.remove(&request.server);
                // Nothing was heard: that is told already.
                if let Some(opaque) = opaque {
                    let bytes = self.encode(request, opaque, FLAG_RESPONSE);
                    self.connection(&request.server).send(&bytes);
                }
            }
        }
    }

    /// The answer, or with `until` the first one that has this code; of pulls the first whose
    /// queue ends where it did before, since messages come into their queue one by one.
    fn ask_until(&mut self, request: &Request, mut opaque: i32) -> Value {
        let deadline = Instant::now() + UNTIL;
        let is_pull = request.code == RequestCode::PullMessage as i32;
        let mut last_end = None;
        loop {
            let heard = self.connection(&request.server).answer(opaque);
            let enough = match (&heard, request.until) {
                (Heard::Frame(command), Some(code)) => {
                    let end = command.fields.get("maxOffset").map(str::to_owned);
                    let before = last_end.replace(end.clone());
                    command.code == code && (!is_pull || before == Some(end))
                }
                _ => true,
            };
            if enough || Instant::now() > deadline {
                return self.told(heard, request);
            }
            thread::sleep(Duration::from_millis(20));
            opaque = self.send(request, 0);
        }
    }

    fn send(&mut self, request: &Request, flag: i32) -> i32 {
        self.opaque += 1;
        let flag = if request.one_way { flag | FLAG_ONE_WAY } else { flag };
        let bytes = self.encode(request, self.opaque, flag);
        self.connection(&request.server).send(&bytes);
        self.opaque
    }

    fn connection(&mut self, server: &str) -> &mut Connection {
        let kind = server.split(':').next().expect("a split gives at least one part");
        let addr = &self.addresses[kind];
        self.connections.entry(server.to_owned()).or_insert_with(|| Connection::open(addr))
    }

    fn encode(&self, request: &Request, opaque: i32, flag: i32) -> BytesMut {
        let fill = |text: &str| text::substitute(text, |name| self.variable(name));
        let fields: Fields = request.fields.iter().map(|(k, v)| (k.clone(), fill(v))).collect();
        let mut command = Command {
            code: request.code,
            language: Language::JAVA,
            version: 513,
            opaque,
            flag,
            remark: None,
            fields,
            body: self.body(&request.body).into(),
            codec: self.codec,
        };
        for (name, value) in &request.frame {
            match name.as_str() {
                "version" => command.version = value.parse().expect("a version"),
                "language" => command.language = Language::from_name(value),
                other => panic!("unknown part of a frame: {other}"),
            }
        }
        let mut bytes = BytesMut::new();
        match &request.header {
            None => frame::encode(&command, &mut bytes),
            Some(header) => {
                let header = fill(&header.replace("${opaque}", &opaque.to_string()));
                bytes.put_u32((4 + header.len() + command.body.len()) as u32);
                bytes.put_u32(header.len() as u32);
                bytes.put(header.as_bytes());
                bytes.put(command.body);
            }
        }
        bytes
    }

    fn body(&self, body: &Body) -> Vec<u8> {
        let fill = |text: &str| text::substitute(text, |name| self.variable(name));
        match body {
            Body::None => Vec::new(),
            Body::Text(text) => fill(text).into_bytes(),
            Body::Hex(digits) => text::hex(digits),
            Body::Size(size) => vec![b'x'; *size],
            Body::Batch(items) => items.iter().flat_map(|(b, p)| batch_item(&fill(b), p)).collect(),
        }
    }

    fn variable(&self, name: &str) -> String {
        if let Some(shift) = name.strip_prefix("now") {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
            let shift: i64 = if shift.is_empty() { 0 } else { shift.parse().expect("${now+MS}") };
            return (now as i64 + shift).to_string();
        }
        if let Some(size) = name.strip_prefix("x*") {
            return "x".repeat(size.parse().expect("${x*COUNT}"));
        }
        let address = self.addresses.get(name).cloned();
        // What was to be saved may be missing in a server's answer: that is told already.
        address.or_else(|| self.saved.get(name).cloned()).unwrap_or_else(|| "0".into())
    }

    /// What is compared, with `save` done.
    fn told(&mut self, heard: Heard, request: &Request) -> Value {
        let command = match heard {
            Heard::Frame(command) => command,
            Heard::Nothing => return json!("no answer"),
            Heard::Closed => {
                self.connections.remove(&request.server);
                return json!("connection closed");
            }
        };
        save(&mut self.saved, &request.saves, &command);
        self.normal.told(&command, request.code, request.read.as_deref())
    }
}

fn save(saved: &mut HashMap<String, String>, saves: &Pairs, command: &Command) {
    for (name, field) in saves {
        let value = match field.strip_prefix('@') {
            None => command.fields.get(field).map(str::to_owned),
            // The last sixteen digits of a message id are the physical offset.
            Some(field) => command.fields.get(field).and_then(|id| {
                let digits = id.get(id.len().checked_sub(16)?..)?;
                Some(i64::from_str_radix(digits, 16).ok()?.to_string())
            }),
        };
        if let Some(value) = value {
            saved.insert(name.clone(), value);
        }
    }
}

fn batch_item(body: &str, properties: &Pairs) -> Vec<u8> {
    let properties: String = properties.iter().map(|(k, v)| format!("{k}\x01{v}\x02")).collect();
    let mut item = Vec::new();
    item.put_i32((4 * 5 + body.len() + 2 + properties.len()) as i32);
    item.put_bytes(0, 12);
    item.put_i32(body.len() as i32);
    item.put(body.as_bytes());
    item.put_i16(properties.len() as i16);
    item.put(properties.as_bytes());
    item
}
