//! Random histories of a cluster, against a model that keeps plain lists of facts.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::*;
use proptest::prelude::*;
use skua_protocol::Millis;
use skua_protocol::body::{DataVersion, QueueData, RouteData};
use skua_protocol::request::{
    DeleteTopicInNamesrv, QueryDataVersion, RegisterTopicInNamesrv, WipeWritePermOfBroker,
};
use skua_protocol::{Command, ResponseCode, json};

const BROKERS: [&str; 3] = ["broker-a", "broker-b", "broker-c"];
const CLUSTERS: [&str; 2] = ["ClusterX", "ClusterY"];
const TOPICS: [&str; 4] = ["T0", "T1", "T2", "T3"];
const CONNECTIONS: usize = 5;
const SCAN_INTERVAL_MS: i64 = 5_000;

#[derive(Clone, Debug)]
enum Step {
    Register(Register),
    Unregister { broker: usize, addr: u8 },
    Close { connection: usize },
    Pass { ms: i64 },
    DeleteTopic { topic: usize, cluster: Option<usize> },
    AddTopic { topic: usize, brokers: BTreeSet<usize> },
    WipeWrite { broker: usize },
}

#[derive(Clone, Debug)]
struct Register {
    broker: usize,
    id: i64,
    addr: u8,
    cluster: usize,
    connection: usize,
    acting: Option<bool>,
    timeout_ms: Option<i64>,
    version: DataVersion,
    topics: BTreeSet<usize>,
    queues: i32,
}

fn step() -> impl Strategy<Value = Step> {
    let version = (0..3i64, 0..2i64).prop_map(|(counter, state_version)| DataVersion {
        counter,
        state_version,
        timestamp: 1,
    });
    let register = (
        (0..BROKERS.len(), 0..3i64, 0..4u8, 0..CLUSTERS.len(), 0..CONNECTIONS),
        (any::<Option<bool>>(), proptest::option::of(Just(10_000i64)), version),
        (proptest::collection::btree_set(0..TOPICS.len(), 0..4), 1..4i32),
    )
        .prop_map(
            |(
                (broker, id, addr, cluster, connection),
                (acting, timeout_ms, version),
                (topics, queues),
            )| {
                Step::Register(Register {
                    broker,
                    id,
                    addr,
                    cluster,
                    connection,
                    acting,
                    timeout_ms,
                    version,
                    topics,
                    queues,
                })
            },
        );
    prop_oneof![
        8 => register,
        1 => (0..BROKERS.len(), 0..4u8).prop_map(|(broker, addr)| Step::Unregister { broker, addr }),
        2 => (0..CONNECTIONS).prop_map(|connection| Step::Close { connection }),
        2 => prop_oneof![Just(3_000i64), Just(8_000), Just(60_000)].prop_map(|ms| Step::Pass { ms }),
        1 => (0..TOPICS.len(), proptest::option::of(0..CLUSTERS.len()))
            .prop_map(|(topic, cluster)| Step::DeleteTopic { topic, cluster }),
        1 => (0..TOPICS.len(), proptest::collection::btree_set(0..BROKERS.len(), 1..3))
            .prop_map(|(topic, brokers)| Step::AddTopic { topic, brokers }),
        1 => (0..BROKERS.len()).prop_map(|broker| Step::WipeWrite { broker }),
    ]
}

fn addr(number: u8) -> String {
    format!("10.0.0.{number}:10911")
}

#[derive(Clone, Debug)]
struct Member {
    broker: usize,
    id: i64,
    addr: u8,
    connection: usize,
    expires: Millis,
    version: DataVersion,
}

/// What must be true, in lists.
#[derive(Default)]
struct Model {
    members: Vec<Member>,
    acting: BTreeMap<usize, bool>,
    cluster: BTreeMap<usize, usize>,
    /// (topic, broker) to queues and permission.
    rows: BTreeMap<(usize, usize), (i32, i32)>,
}

impl Model {
    fn ids(&self, broker: usize) -> BTreeSet<i64> {
        self.members.iter().filter(|m| m.broker == broker).map(|m| m.id).collect()
    }

    /// False: the registration is to be refused.
    fn register(&mut self, r: &Register, now: Millis) -> bool {
        let holder = self.members.iter().find(|m| m.broker == r.broker && m.id == r.id).cloned();
        if holder.is_none() && r.topics.len() == 1 {
            return false;
        }
        let known = self.members.iter().find(|m| m.broker == r.broker && m.addr == r.addr).cloned();
        self.members.retain(|m| !(m.broker == r.broker && m.addr == r.addr));
        if let Some(holder) = &holder
            && holder.addr != r.addr
            && holder.version.state_version > r.version.state_version
        {
            return true;
        }
        self.members.retain(|m| !(m.broker == r.broker && m.id == r.id));
        self.members.push(Member {
            broker: r.broker,
            id: r.id,
            addr: r.addr,
            connection: r.connection,
            expires: now.plus(r.timeout_ms.unwrap_or(120_000)),
            version: r.version,
        });
        let acting = r.acting == Some(true);
        self.acting.insert(r.broker, acting);
        self.cluster.insert(r.broker, r.cluster);

        let smallest = self.ids(r.broker).first() == Some(&r.id);
        let as_slave = r.id != 0 && smallest && r.acting.is_some();
        if r.id != 0 && !as_slave {
            return true;
        }
        let changed = holder.is_none() || known.is_none_or(|known| known.version != r.version);
        for topic in &r.topics {
            let perm = if as_slave && acting { 4 } else { 6 };
            if changed || !self.rows.contains_key(&(*topic, r.broker)) {
                self.rows.insert((*topic, r.broker), (r.queues, perm));
            }
        }
        true
    }

    fn remove(&mut self, leaves: impl Fn(&Member) -> bool) {
        let left: BTreeSet<usize> =
            self.members.iter().filter(|m| leaves(m)).map(|m| m.broker).collect();
        self.members.retain(|m| !leaves(m));
        for broker in left {
            let ids = self.ids(broker);
            if ids.is_empty() {
                self.rows.retain(|(_, b), _| *b != broker);
                self.acting.remove(&broker);
                self.cluster.remove(&broker);
            } else if self.acting[&broker] && !ids.contains(&0) {
                for (_, row) in self.rows.iter_mut().filter(|((_, b), _)| *b == broker) {
                    row.1 &= !2;
                }
            }
        }
    }
}

struct Cluster {
    world: World,
    model: Model,
    connections: Vec<Arc<TestPeer>>,
    next_scan: Millis,
}

impl Cluster {
    fn new() -> Self {
        let connections = (0..CONNECTIONS).map(|_| TestPeer::new()).collect();
        Self {
            world: World::new(&[]),
            model: Model::default(),
            connections,
            next_scan: START.plus(SCAN_INTERVAL_MS),
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Register(r) => {
                let mut broker = TestBroker::new(BROKERS[r.broker], r.id, &addr(r.addr));
                broker.peer = self.connections[r.connection].clone();
                broker.header.cluster_name = CLUSTERS[r.cluster].into();
                broker.header.enable_acting_master = r.acting;
                broker.header.heartbeat_timeout_millis = r.timeout_ms;
                let topics: Vec<_> =
                    r.topics.iter().map(|number| topic(TOPICS[*number], r.queues)).collect();
                broker.set_topics(r.version, &topics);
                let answer = broker.register(&self.world);
                let accepted = self.model.register(r, self.world.now);
                assert_eq!(answer.code == ResponseCode::Success as i32, accepted);
            }
            Step::Unregister { broker, addr: number } => {
                assert_success(
                    &TestBroker::new(BROKERS[*broker], 0, &addr(*number)).unregister(&self.world),
                );
                self.model.remove(|m| m.broker == *broker && m.addr == *number);
            }
            Step::Close { connection } => {
                self.world.close(&self.connections[*connection]);
                self.model.remove(|m| m.connection == *connection);
                self.connections[*connection] = TestPeer::new();
            }
            Step::Pass { ms } => {
                self.world.run(*ms);
                let now = self.world.now;
                if now >= self.next_scan {
                    self.next_scan = now.plus(SCAN_INTERVAL_MS);
                    self.model.remove(|m| m.expires < now);
                }
            }
            Step::DeleteTopic { topic, cluster } => {
                assert_success(&self.world.ask(&DeleteTopicInNamesrv {
                    topic: TOPICS[*topic].into(),
                    cluster_name: cluster.map(|cluster| CLUSTERS[cluster].into()),
                }));
                let clusters = &self.model.cluster;
                self.model.rows.retain(|(t, b), _| {
                    t != topic || cluster.is_some_and(|cluster| clusters[b] != cluster)
                });
            }
            Step::AddTopic { topic, brokers } => {
                let queue = |broker: &usize| QueueData {
                    broker_name: BROKERS[*broker].to_owned(),
                    read_queue_nums: 9,
                    write_queue_nums: 9,
                    perm: 6,
                    ..QueueData::default()
                };
                let route = RouteData {
                    queue_datas: brokers.iter().map(queue).collect(),
                    ..Default::default()
                };
                let request =
                    Command::request(&RegisterTopicInNamesrv { topic: TOPICS[*topic].into() });
                assert_success(&self.world.send(request.with_body(json::to_vec(&route))));
                if brokers.iter().all(|broker| !self.model.ids(*broker).is_empty()) {
                    self.model
                        .rows
                        .extend(brokers.iter().map(|broker| ((*topic, *broker), (9, 6))));
                }
            }
            Step::WipeWrite { broker } => {
                assert_success(
                    &self
                        .world
                        .ask(&WipeWritePermOfBroker { broker_name: BROKERS[*broker].into() }),
                );
                for (_, row) in self.model.rows.iter_mut().filter(|((_, b), _)| b == broker) {
                    row.1 &= !2;
                }
            }
        }
    }

    /// Each member has a live row with its own version; asking is a sign of life, so this comes
    /// last.
    fn check_versions(&self) {
        for member in &self.model.members {
            let answer = self.world.ask(&QueryDataVersion {
                broker_name: BROKERS[member.broker].into(),
                broker_addr: addr(member.addr).into(),
                cluster_name: CLUSTERS[self.model.cluster[&member.broker]].into(),
                broker_id: member.id,
            });
            assert_eq!(body::<DataVersion>(&answer), member.version);
        }
    }

    /// Everything clients can see is what the model says, and no table names what another lacks.
    fn check(&self) {
        let model = &self.model;
        let info = self.world.cluster_info();
        let mut members: BTreeMap<String, BTreeMap<i64, String>> = BTreeMap::new();
        for member in &model.members {
            members
                .entry(BROKERS[member.broker].to_owned())
                .or_default()
                .insert(member.id, addr(member.addr));
        }
        let shown = info
            .broker_addr_table
            .iter()
            .map(|(name, data)| (name.clone(), data.broker_addrs.clone()));
        assert_eq!(shown.collect::<BTreeMap<_, _>>(), members);
        let in_clusters: BTreeSet<(String, String)> = info
            .cluster_addr_table
            .iter()
            .flat_map(|(cluster, names)| {
                names.iter().map(move |name| (cluster.clone(), name.clone()))
            })
            .collect();
        let expected =
            model.cluster.iter().map(|(b, c)| (CLUSTERS[*c].to_owned(), BROKERS[*b].to_owned()));
        assert_eq!(in_clusters, expected.collect());

        let topics: BTreeSet<&str> = model.rows.keys().map(|(topic, _)| TOPICS[*topic]).collect();
        assert_eq!(self.world.topics(), topics.into_iter().collect::<Vec<_>>());
        for (number, name) in TOPICS.iter().enumerate() {
            let rows = model.rows.iter().filter(|((t, _), _)| *t == number);
            let expected: Vec<_> =
                rows.map(|((_, b), row)| (BROKERS[*b].to_owned(), row.0, row.1)).collect();
            // Twice: the second answer is the kept one.
            for _ in 0..2 {
                let Some(route) = self.world.route(name) else {
                    assert!(expected.is_empty());
                    continue;
                };
                let queues = route.queue_datas.iter();
                let shown: Vec<_> =
                    queues.map(|q| (q.broker_name.clone(), q.write_queue_nums, q.perm)).collect();
                assert_eq!(shown, expected);
                assert_eq!(route.broker_datas.len(), expected.len());
                for data in &route.broker_datas {
                    assert_eq!(data.broker_addrs, members[&data.broker_name]);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_leaves_what_the_model_says_and_nothing_dangling(
        steps in proptest::collection::vec(step(), 1..40)
    ) {
        let mut cluster = Cluster::new();
        for step in &steps {
            cluster.take(step);
            cluster.check();
        }
        cluster.check_versions();
        cluster.world.run(200_000);
        cluster.model.remove(|_| true);
        cluster.check();
    }
}
