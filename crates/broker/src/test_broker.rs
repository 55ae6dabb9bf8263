//! A broker on a simulated disk, for tests: requests in, answers out, time by hand.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use skua_config::{BrokerRole, Environment, Properties, Role, Settings};
use skua_protocol::body::{
    ConsumerData, HeartbeatData, ProducerData, RouteData, SubscriptionData, TopicConfig,
};
use skua_protocol::header::Fields;
use skua_protocol::record::{Message, NewRecord};
use skua_protocol::request::{
    HandOver, HandOverResponse, RaftControl, Request, SendMessage, TakeOver, TakeOverResponse,
};
use skua_protocol::service::{BoxFuture, Outcome, Peer, Service};
use skua_protocol::{Command, Millis, RequestCode, ResponseCode, json};
use skua_store::disk::{Crash, SimDisk};
use skua_store::{Store, StoreOptions};

use crate::broker::{Broker, BrokerOptions, CallFailed, Outside};
use crate::delay;
use crate::swap_map::lock;
use crate::test_peer::TestPeer;

pub const START: Millis = Millis(1_795_465_219_000);

/// Another broker, and how it sees the caller.
pub type Other = (Arc<Broker>, Arc<TestPeer>);

/// Counts what the broker asks of the process around it.
pub struct Asked {
    pub registrations: AtomicU64,
    pub wake: AtomicI64,
    /// Changed keys in the configuration file; [`DISK_FULL`] set as a value cannot be written.
    pub saved: Mutex<Vec<(String, String)>>,
    /// Other brokers of the cluster, by name or address.
    pub others: Arc<Mutex<HashMap<String, Other>>>,
    /// Where the master is.
    pub master: Mutex<Option<String>>,
}

/// Region that the test's configuration file has no room for.
pub const DISK_FULL: &str = "disk-full";

impl Outside for Asked {
    fn local_text(&self, at: Millis) -> String {
        format!("at {at}")
    }

    fn register(&self) -> BoxFuture<()> {
        self.registrations.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(()))
    }

    fn route(&self, _topic: &str) -> BoxFuture<Option<RouteData>> {
        Box::pin(std::future::ready(None))
    }

    fn wake(&self, at: Millis) {
        self.wake.fetch_min(at.0, Ordering::SeqCst);
    }

    fn master_is_at(&self, _ha: &str, address: Option<&str>) {
        *lock(&self.master) = address.map(str::to_owned);
    }

    fn master(&self) -> Option<String> {
        lock(&self.master).clone()
    }

    fn call(
        &self,
        addr: &str,
        request: Command,
        timeout_ms: u64,
    ) -> BoxFuture<Result<Command, CallFailed>> {
        let (others, addr) = (self.others.clone(), addr.to_owned());
        let called = lock(&others).get(&addr).map(|(broker, _)| Arc::downgrade(broker));
        let mut answer = self.call_broker(&addr, request, timeout_ms);
        // Whoever goes away in between does not answer.
        Box::pin(std::future::poll_fn(move |context| {
            let there = lock(&others).get(&addr).map(|(broker, _)| Arc::downgrade(broker));
            let is_there = match (&called, &there) {
                (Some(called), Some(there)) => Weak::ptr_eq(called, there),
                (called, _) => called.is_none(),
            };
            if !is_there {
                return Poll::Ready(Err(CallFailed::NoAnswer("it has ended".to_owned())));
            }
            answer.as_mut().poll(context).map(|answer| answer.map_err(CallFailed::NotSent))
        }))
    }

    fn call_broker(
        &self,
        name: &str,
        request: Command,
        _: u64,
    ) -> BoxFuture<Result<Command, String>> {
        let other = lock(&self.others).get(name).cloned();
        let Some((broker, peer)) = other else {
            return Box::pin(std::future::ready(Err(format!("no broker {name}"))));
        };
        let peer: Arc<dyn Peer> = peer;
        let now = broker.time_told();
        let mut outcome = broker.serve(&peer, request, now);
        Box::pin(async move {
            loop {
                match outcome {
                    Outcome::Reply(answer) => return Ok(answer),
                    Outcome::Blocking(work) => outcome = work(),
                    Outcome::Later(answer) => return Ok(answer.await),
                }
            }
        })
    }

    fn raft_control(&self, _: RaftControl) -> BoxFuture<Result<Vec<u8>, String>> {
        Box::pin(std::future::ready(Err("not here".to_owned())))
    }

    fn hand_over(&self, _: HandOver) -> BoxFuture<Result<HandOverResponse, String>> {
        Box::pin(std::future::ready(Err("not here".to_owned())))
    }

    fn take_over(&self, _: TakeOver) -> BoxFuture<Result<TakeOverResponse, String>> {
        Box::pin(std::future::ready(Err("not here".to_owned())))
    }

    fn save_settings(&self, settings: &Settings) -> io::Result<()> {
        let changes: Vec<_> =
            settings.changes().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        if changes.iter().any(|(_, value)| value == DISK_FULL) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        *lock(&self.saved) = changes;
        Ok(())
    }
}

pub struct TestBroker {
    pub broker: Arc<Broker>,
    pub store: Arc<Store>,
    pub disk: SimDisk,
    pub peer: Arc<TestPeer>,
    pub asked: Arc<Asked>,
    pub now: Millis,
    conf: String,
}

/// An answer that has not come yet.
pub type Waiting = BoxFuture<Command>;

impl TestBroker {
    pub fn new() -> Self {
        Self::with("")
    }

    /// A broker with these lines of configuration beside its name and address.
    pub fn with(conf: &str) -> Self {
        Self::on(SimDisk::new(1), conf, START)
    }

    pub fn on(disk: SimDisk, conf: &str, now: Millis) -> Self {
        let text = format!("brokerName=broker-a\nbrokerIP1=127.0.0.1\n{conf}");
        let properties = Properties::parse(text.as_bytes(), "broker.conf");
        let environment = Environment::default();
        let (settings, _) = Settings::load(Role::Broker, &properties, &[], &environment)
            .expect("tests give what is accepted");
        let mut options = StoreOptions::new("/store");
        options.window_bytes = 1 << 17;
        let is_member = settings.store.enable_dleger_commit_log;
        options.confirmed = is_member.then_some(0);
        options.is_copy = settings.store.broker_role == BrokerRole::Slave;
        options.commit_log_file_size = skua_store::FileSize::Exactly(1 << 18);
        options.consume_queue_file_size = skua_store::FileSize::Exactly(20 * 1000);
        options.index = Some(skua_store::IndexOptions { hash_slots: 100, entries: 1000 });
        options.timer = settings.store.timer_wheel_enable.then(|| skua_store::TimerOptions {
            log_file_size: skua_store::FileSize::Exactly(52 * 20 + 16),
            precision_ms: i64::from(settings.store.timer_precision_ms),
            slots: 3600,
            roll_window: 1800,
            ..skua_store::TimerOptions::default()
        });
        options.delay_levels =
            delay::parse_levels(&settings.store.message_delay_level).expect("well-formed");
        let arrivals: Arc<OnceLock<Arc<Broker>>> = Arc::default();
        let listener = arrivals.clone();
        let store =
            Store::open(options, Arc::new(disk.clone()), now).expect("nothing fails on this disk");
        store.on_arrival(Box::new(move |arrival| {
            if let Some(broker) = listener.get() {
                broker.on_arrival(arrival);
            }
        }));
        let store = Arc::new(store);
        let asked = Arc::new(Asked {
            registrations: AtomicU64::new(0),
            wake: AtomicI64::new(i64::MAX),
            saved: Mutex::default(),
            others: Arc::default(),
            master: Mutex::default(),
        });
        let gap_max = u64::try_from(settings.store.ha_max_gap_not_in_sync).expect("not negative");
        let broker = Broker::new(
            BrokerOptions {
                settings: Arc::new(settings),
                store: store.clone(),
                outside: asked.clone(),
                replicas: skua_ha::Replicas::new(gap_max),
                address: ([127, 0, 0, 1], 12_911).into(),
                broker_addr: "127.0.0.1:12911".to_owned(),
                ha_address: "127.0.0.1:12912".to_owned(),
                process_id: 7,
                salt: 9,
            },
            now,
        )
        .expect("the tables are readable");
        assert!(arrivals.set(broker.clone()).is_ok());
        Self { broker, store, disk, peer: TestPeer::new(1), asked, now, conf: conf.to_owned() }
    }

    /// Ends the broker as SIGTERM does, and starts it again.
    pub fn restart(self) -> Self {
        self.broker.shutdown(self.now);
        let Self { broker, store, disk, now, conf, .. } = self;
        drop(broker);
        store.close().expect("nothing fails on this disk");
        Self::on(disk, &conf, now)
    }

    /// Ends the broker as `kill -9` does, and starts it again: what is in the files stays.
    pub fn crash(self) -> Self {
        let Self { broker, store, disk, now, conf, .. } = self;
        drop((broker, store));
        disk.reboot(Crash::Process);
        Self::on(disk, &conf, now)
    }

    /// Passes time without doing what is due.
    pub fn pass(&mut self, ms: i64) {
        self.now = self.now.plus(ms);
    }

    /// Passes time and does what is due then.
    pub fn run_after(&mut self, ms: i64) -> Option<Millis> {
        self.pass(ms);
        self.asked.wake.store(i64::MAX, Ordering::SeqCst);
        self.broker.run_due(self.now)
    }

    /// Does what the timer has to do; returns when it comes again.
    pub fn run_timer(&self) -> Option<Millis> {
        self.dispatch();
        self.store.timer_due(self.now)
    }

    /// Lets all stored messages reach their queues.
    pub fn dispatch(&self) {
        while self.store.dispatch() > 0 {}
    }

    /// The answer, which must be there at once.
    pub fn call(&self, request: Command) -> Command {
        match self.start(&self.peer, request) {
            Ok(answer) => answer,
            Err(_) => panic!("the answer is still to come"),
        }
    }

    pub fn request<H: Request>(&self, header: &H) -> Command {
        self.call(Command::request(header))
    }

    pub fn with_body<H: Request>(&self, header: &H, body: impl Into<Bytes>) -> Command {
        self.call(Command::request(header).with_body(body))
    }

    /// A request by number and plain fields.
    pub fn raw(&self, code: i32, fields: Fields, body: impl Into<Bytes>) -> Command {
        let request = Command::raw_request(RequestCode::HeartBeat, fields).with_body(body);
        self.call(Command { code, ..request })
    }

    /// An answer, or one that waits.
    pub fn start(&self, peer: &Arc<TestPeer>, request: Command) -> Result<Command, Waiting> {
        let peer: Arc<dyn Peer> = peer.clone();
        let mut outcome = self.broker.clone().serve(&peer, request, self.now);
        loop {
            match outcome {
                Outcome::Reply(answer) => return Ok(answer),
                Outcome::Blocking(work) => outcome = work(),
                Outcome::Later(mut future) => {
                    return match poll(&mut future) {
                        Poll::Ready(answer) => Ok(answer),
                        Poll::Pending => Err(future),
                    };
                }
            }
        }
    }

    pub fn create_topic(&self, config: TopicConfig) {
        self.broker.topics.update(vec![config], self.now).expect("saved");
    }

    /// A message to a queue of a topic, stored and dispatched.
    pub fn send(&self, topic: &str, queue: i32, properties: &str, body: &str) -> Command {
        let answer =
            self.with_body(&self.message(topic, queue, properties), body.as_bytes().to_vec());
        self.dispatch();
        answer
    }

    pub fn message(&self, topic: &str, queue: i32, properties: &str) -> SendMessage {
        SendMessage {
            producer_group: "PG".into(),
            topic: topic.into(),
            default_topic: "TBW102".into(),
            default_topic_queue_nums: 4,
            queue_id: queue,
            born_timestamp: self.now.0,
            properties: Some(properties.into()),
            ..SendMessage::default()
        }
    }

    /// A push consumer's heartbeat.
    pub fn beat(&self, peer: &Arc<TestPeer>, group: &str, subscriptions: Vec<SubscriptionData>) {
        let heartbeat = HeartbeatData {
            client_id: format!("client-{}", peer.id().0),
            consumer_data_set: vec![ConsumerData {
                group_name: group.to_owned(),
                subscription_data_set: subscriptions,
                ..ConsumerData::default()
            }],
            producer_data_set: vec![ProducerData { group_name: "PG".to_owned() }],
            ..HeartbeatData::default()
        };
        let request = Command::raw_request(RequestCode::HeartBeat, Fields::new());
        let answer = self.start(peer, request.with_body(json::to_vec(&heartbeat)));
        let answer = answer.unwrap_or_else(|_| panic!("heartbeats are answered at once"));
        assert_eq!(answer.code, ResponseCode::Success as i32);
    }

    /// All messages of a queue, straight from the store.
    pub fn stored(&self, topic: &str, queue: u32) -> Vec<Message> {
        let limits = skua_store::ReadLimits { max_messages: 32 };
        let queue = skua_protocol::QueueId(queue);
        let mut messages = Vec::new();
        let mut from = 0;
        loop {
            let read = self.store.read(topic, queue, from, limits, &mut |_| true);
            if read.count == 0 {
                return messages;
            }
            from = read.next_offset;
            messages.extend(Message::decode_all(&read.body).expect("own records"));
        }
    }

    /// Stores a record that no client may send.
    pub fn append(&self, record: &NewRecord<'_>) {
        self.store.append(record, self.now).expect("stored");
        self.dispatch();
    }
}

/// One look at a waiting answer.
pub fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// The answer, which must have come.
pub fn ready(mut waiting: Waiting) -> Command {
    match poll(&mut waiting) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("the answer is still to come"),
    }
}
