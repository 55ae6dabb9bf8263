//! A name server in memory, and brokers and clients that talk to it.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use skua_config::{Environment, Properties, Role, Settings};
use skua_namesrv::{Files, Namesrv, NamesrvOptions, Outbound};
use skua_protocol::body::{
    ClusterInfo, DataVersion, RegisterBrokerBody, RouteData, TopicConfig,
    TopicConfigSerializeWrapper, TopicList,
};
use skua_protocol::header::{Fields, FromFields};
use skua_protocol::request::{RegisterBroker, Request, UnregisterBroker};
use skua_protocol::service::{BoxFuture, ConnectionId, Outcome, Peer, PeerError, Service};
use skua_protocol::{Command, Millis, RequestCode, ResponseCode, json};

pub const CLUSTER: &str = "DefaultCluster";
pub const START: Millis = Millis(1_700_000_000_000);
pub const KV_PATH: &str = "/kv/kvConfig.json";
pub const CONFIG_PATH: &str = "/kv/namesrv.properties";

/// One connection's other end.
pub struct TestPeer {
    id: ConnectionId,
    pub closed: AtomicBool,
}

impl TestPeer {
    pub fn new() -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = ConnectionId(NEXT.fetch_add(1, Ordering::Relaxed));
        Arc::new(Self { id, closed: AtomicBool::new(false) })
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}

impl Peer for TestPeer {
    fn id(&self) -> ConnectionId {
        self.id
    }

    fn remote_addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 40_000))
    }

    fn local_addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 9876))
    }

    fn notify(&self, _request: Command) -> bool {
        false
    }

    fn call(&self, _request: Command, _timeout_ms: u64) -> BoxFuture<Result<Command, PeerError>> {
        Box::pin(std::future::ready(Err(PeerError::Closed)))
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

/// Files by path; writes fail while `broken`.
#[derive(Default)]
pub struct MemoryFiles {
    pub files: Mutex<BTreeMap<String, Vec<u8>>>,
    pub broken: AtomicBool,
}

impl MemoryFiles {
    pub fn text(&self, path: &str) -> Option<String> {
        let content = self.files.lock().unwrap().get(path).cloned()?;
        Some(String::from_utf8(content).unwrap())
    }
}

impl Files for MemoryFiles {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.files.lock().unwrap().get(path).cloned())
    }

    fn write(&self, path: &str, content: &[u8]) -> io::Result<()> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "disk full"));
        }
        self.files.lock().unwrap().insert(path.to_owned(), content.to_vec());
        Ok(())
    }
}

/// What the name server sent, and where to.
#[derive(Default)]
pub struct Sent(pub Mutex<Vec<(String, Command)>>);

impl Sent {
    pub fn take(&self) -> Vec<(String, Command)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Outbound for Sent {
    fn one_way(&self, addr: &str, request: Command) {
        self.0.lock().unwrap().push((addr.to_owned(), request));
    }
}

pub struct World {
    pub namesrv: Arc<Namesrv>,
    pub files: Arc<MemoryFiles>,
    pub sent: Arc<Sent>,
    pub now: Millis,
}

impl World {
    /// `keys`: namesrv.conf lines.
    pub fn new(keys: &[(&str, &str)]) -> Self {
        Self::with_files(keys, Arc::default())
    }

    pub fn with_files(keys: &[(&str, &str)], files: Arc<MemoryFiles>) -> Self {
        let sent = Arc::new(Sent::default());
        let options = NamesrvOptions {
            settings: settings(keys),
            files: files.clone(),
            outbound: sent.clone(),
            now: START,
        };
        let namesrv = Arc::new(Namesrv::new(options).unwrap());
        Self { namesrv, files, sent, now: START }
    }

    pub fn pass(&mut self, ms: i64) {
        self.now = self.now.plus(ms);
    }

    /// Lets time pass and due work run.
    pub fn run(&mut self, ms: i64) {
        self.pass(ms);
        self.namesrv.run_due(self.now);
    }

    pub fn send_over(&self, peer: &Arc<TestPeer>, request: Command) -> Command {
        finish(self.start_over(peer, request))
    }

    /// As the connection does it; what would run on the blocking pool is left to the caller.
    pub fn start_over(&self, peer: &Arc<TestPeer>, request: Command) -> Outcome {
        let peer: Arc<dyn Peer> = peer.clone();
        self.namesrv.clone().serve(&peer, request, self.now)
    }

    pub fn send(&self, request: Command) -> Command {
        self.send_over(&TestPeer::new(), request)
    }

    pub fn ask<H: Request>(&self, header: &H) -> Command {
        self.send(Command::request(header))
    }

    pub fn close(&self, peer: &Arc<TestPeer>) {
        self.namesrv.closed(peer.id(), self.now);
    }

    pub fn ask_code(&self, code: RequestCode) -> Command {
        self.send(Command::raw_request(code, Fields::new()))
    }

    /// The topic's route as a client reads it.
    pub fn route(&self, topic: &str) -> Option<RouteData> {
        let mut request = Command::raw_request(RequestCode::GetRouteInfoByTopic, Fields::new());
        request.fields.push("topic", topic);
        let answer = self.send(request);
        if answer.code == ResponseCode::TopicNotExist as i32 {
            return None;
        }
        Some(body(&answer))
    }

    pub fn topics(&self) -> Vec<String> {
        let answer: TopicList = body(&self.ask_code(RequestCode::GetAllTopicListFromNameServer));
        answer.topic_list.into_iter().collect()
    }

    pub fn cluster_info(&self) -> ClusterInfo {
        body(&self.ask_code(RequestCode::GetBrokerClusterInfo))
    }

    /// The broker's addresses by id, as everybody sees them.
    pub fn members(&self, broker: &str) -> BTreeMap<i64, String> {
        let mut table = self.cluster_info().broker_addr_table;
        table.remove(broker).map(|data| data.broker_addrs).unwrap_or_default()
    }

    pub fn perm(&self, topic: &str, broker: &str) -> i32 {
        let route = self.route(topic).unwrap();
        route.queue_datas.iter().find(|queue| queue.broker_name == broker).unwrap().perm
    }
}

pub fn settings(keys: &[(&str, &str)]) -> Settings {
    let file = Properties::default();
    let loaded = Settings::load(Role::NameServer, &file, keys, &Environment::default());
    loaded.unwrap().0
}

/// Runs what the shell would run, and gives the answer.
pub fn finish(outcome: Outcome) -> Command {
    match outcome {
        Outcome::Reply(answer) => answer,
        Outcome::Blocking(work) => finish(work()),
        Outcome::Later(_) => panic!("the name server answers at once"),
    }
}

/// The body of a successful answer.
pub fn body<T: DeserializeOwned>(answer: &Command) -> T {
    assert_success(answer);
    // What Skua writes is standard JSON: no tolerant reading here.
    serde_json::from_slice(&answer.body).unwrap()
}

pub fn header<T: FromFields>(answer: &Command) -> T {
    assert_success(answer);
    answer.header().unwrap()
}

pub fn assert_success(answer: &Command) {
    assert_eq!(answer.code, ResponseCode::Success as i32, "{:?}", answer.remark);
}

pub fn assert_refused(answer: &Command, code: ResponseCode, remark: &str) {
    assert_eq!(answer.code, code as i32);
    assert_eq!(answer.remark.as_deref(), Some(remark));
}

pub fn version(counter: i64) -> DataVersion {
    DataVersion { counter, state_version: 0, timestamp: 1_700_000_000_000 }
}

pub fn topic(name: &str, queues: i32) -> TopicConfig {
    TopicConfig::new(name, queues, 6)
}

/// A broker process as the name server sees it.
#[derive(Clone)]
pub struct TestBroker {
    pub header: RegisterBroker,
    pub body: RegisterBrokerBody,
    pub peer: Arc<TestPeer>,
}

impl TestBroker {
    /// Registers two topics of four queues.
    pub fn new(name: &str, id: i64, addr: &str) -> Self {
        let header = RegisterBroker {
            broker_name: name.to_owned().into(),
            broker_addr: addr.to_owned().into(),
            cluster_name: CLUSTER.into(),
            ha_server_addr: format!("ha-{addr}").into(),
            broker_id: id,
            enable_acting_master: Some(false),
            ..RegisterBroker::default()
        };
        let mut broker =
            Self { header, body: RegisterBrokerBody::default(), peer: TestPeer::new() };
        broker.set_topics(version(1), &[topic("TopicA", 4), topic("TopicB", 4)]);
        broker
    }

    pub fn table(&mut self) -> &mut TopicConfigSerializeWrapper {
        &mut self.body.topic_config_serialize_wrapper
    }

    pub fn set_topics(&mut self, version: DataVersion, topics: &[TopicConfig]) {
        let table = self.table();
        table.data_version = version;
        table.topic_config_table =
            topics.iter().map(|config| (config.topic_name.clone(), config.clone())).collect();
    }

    pub fn acting(mut self) -> Self {
        self.header.enable_acting_master = Some(true);
        self
    }

    pub fn request(&self) -> Command {
        Command::request(&self.header).with_body(json::to_vec(&self.body))
    }

    pub fn register(&self, world: &World) -> Command {
        world.send_over(&self.peer, self.request())
    }

    pub fn unregister(&self, world: &World) -> Command {
        world.send_over(
            &self.peer,
            Command::request(&UnregisterBroker {
                broker_name: self.header.broker_name.clone(),
                broker_addr: self.header.broker_addr.clone(),
                cluster_name: self.header.cluster_name.clone(),
                broker_id: self.header.broker_id,
            }),
        )
    }
}

pub fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}
