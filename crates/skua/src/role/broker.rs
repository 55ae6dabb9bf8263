//! A broker in this process: its store with three threads, its sockets, its timed work and its
//! registrations.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use skua_acl::Door;
use skua_broker::{Broker, BrokerOptions, inner_credentials};
use skua_config::{BrokerRole as BrokerRoleKey, Settings};
use skua_ha::Replicas;
use skua_remoting::{Client, ClientOptions, Listener, Server};
use skua_store::{RealDisk, Store};
use tokio::task::JoinHandle;

use super::access::open_door;
use super::address::{Given, host_and_port};
use super::fast_port::FastPort;
use super::guarded::guarded;
use super::neighbours::Neighbours;
use super::raft::{self, Raft};
use super::refill;
use super::registration::{Asks, Registrar};
use super::replication::Replication;
use super::routes::Routes;
use super::store_options::store_options;
use super::switch::Switch;
use super::watch::WatchedBroker;
use super::{server_options, stop_servers};
use crate::clock;
use crate::http::Watched;
use crate::security::{Tls, signing};

pub struct BrokerRole {
    cluster: String,
    name: String,
    broker: Arc<Broker>,
    store: Arc<Store>,
    address: String,
    servers: Vec<Server>,
    registrar: Registrar,
    replication: Option<Replication>,
    raft: Option<Raft>,
    asks: Arc<Asks>,
    door: Arc<Door>,
    /// Keep the door, and TLS, up to date with their files.
    following: Vec<JoinHandle<()>>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl BrokerRole {
    /// Opens the store, recovering it if need be, listens, and starts to register.
    pub async fn start(
        settings: Settings,
        config_file: Option<PathBuf>,
        tls: &Tls,
    ) -> anyhow::Result<Self> {
        let group = raft::peers::group_options(&settings)?;
        let mut settings = settings;
        if let Some(group) = &group {
            // Java: a follower's id is its number and one.
            settings.broker.broker_id = i64::try_from(group.id.0).unwrap_or(1);
        }
        let settings = Arc::new(settings);
        let port = settings.server.listen_port;
        let (bind, options) = server_options(&settings.server, tls);
        let host = &settings.server.bind_address;
        // First of all, so that a second broker stops here and touches nothing.
        let listener = Listener::bind(host, port, &bind)?;
        let given = Given::of(&settings.broker, listener.local_addr()?.port())?;
        let fast = match port.checked_sub(2) {
            Some(fast @ 1..) => Some(Listener::bind(host, fast, &bind)?),
            _ => None,
        };

        let mut store_options = store_options(&settings)?;
        if let Some(group) = &group {
            let hint =
                skua_raft::log_hint(Arc::new(RealDisk), group).context("the group's files")?;
            store_options.confirmed = Some(hint.confirmed);
            store_options.void_from = hint.void_from;
        }
        let is_slave = settings.store.broker_role == BrokerRoleKey::Slave && group.is_none();
        refill::at_start(&store_options, is_slave)?;
        let store = Store::open(store_options, Arc::new(RealDisk), clock::now())?;
        let store = Arc::new(store);
        let gap_max = u64::try_from(settings.store.ha_max_gap_not_in_sync).unwrap_or(0);
        let replicas = Replicas::new(gap_max);
        let addrs = settings.broker.namesrv_addr.split(';').map(str::trim);
        let addrs: Vec<String> = addrs.filter(|addr| !addr.is_empty()).map(str::to_owned).collect();
        let hook = signing(inner_credentials(&settings.auth)?);
        let to_others = ClientOptions { hook, tls: tls.client.clone(), ..ClientOptions::default() };
        let client = Client::new(to_others);
        let routes = Routes::new(client.clone(), addrs.clone());
        let cluster = settings.broker.broker_cluster_name.clone();
        let neighbours = Neighbours::new(client.clone(), addrs.clone(), cluster.clone());
        let ha = settings.store.ha_master_address.clone();
        let asks = Asks::new(config_file, ha, routes, neighbours, client.clone());
        let broker = Broker::new(
            BrokerOptions {
                settings: settings.clone(),
                store: store.clone(),
                outside: asks.clone(),
                replicas: replicas.clone(),
                address: given.host,
                broker_addr: given.text.clone(),
                ha_address: host_and_port(
                    &settings.broker.broker_ip2,
                    settings.store.ha_listen_port,
                ),
                process_id: std::process::id() as u16,
                salt: clock::now().0 as u32,
            },
            clock::now(),
        )?;
        let told = Arc::downgrade(&broker);
        store.on_arrival(Box::new(move |arrival| {
            if let Some(broker) = told.upgrade() {
                broker.on_arrival(arrival);
            }
        }));
        let told = Arc::downgrade(&broker);
        store.on_timer_delivery(Box::new(move |topic, queue, bytes| {
            if let Some(broker) = told.upgrade() {
                broker.count_timer_delivery(topic, queue, bytes);
            }
        }));
        let asked = Arc::downgrade(&broker);
        store.keep_needed(Box::new(move || asked.upgrade()?.needed_from()));

        let raft = match group {
            Some(options) => {
                let client = client.clone();
                let tls = tls.clone();
                let raft =
                    Raft::start(options, &broker, &store, &asks, &settings, client, tls).await?;
                let _ = asks.group.set(raft.control());
                Some(raft)
            }
            None => None,
        };
        let (door, following) = open_door(&settings, &broker)?;
        let following: Vec<_> = following.into_iter().chain([tls.follow()]).collect();
        let mut threads = store_threads(&store)?;
        let (timed, wake) = (broker.clone(), asks.clone());
        threads.push(spawn("due", move || wake.due.run(|now| timed.run_due(now)))?);
        let service = guarded(broker.clone(), &door);
        let mut servers = vec![Server::start(listener, service, options.clone())?];
        if let Some(fast) = fast {
            let service = guarded(Arc::new(FastPort(broker.clone())), &door);
            servers.push(Server::start(fast, service, options)?);
        }
        let replication = match raft {
            Some(_) => None,
            None => {
                let replication = Replication::start(
                    broker.clone(),
                    store.clone(),
                    settings.clone(),
                    replicas.clone(),
                    asks.master.subscribe(),
                    client.clone(),
                    tls.clone(),
                );
                let replication = replication.await?;
                let (store, follows) = (store.clone(), replication.follows());
                let switch = Switch::new(&broker, &asks, store, replicas, follows, client.clone());
                let _ = asks.switch.set(Arc::new(switch));
                Some(replication)
            }
        };
        let period = settings.broker.register_name_server_period.clamp(10_000, 60_000);
        let registrar = Registrar::start(
            broker.clone(),
            asks.clone(),
            addrs,
            client,
            Duration::from_millis(u64::try_from(period).unwrap_or(30_000)),
            settings.broker.force_register,
        );
        let name = settings.broker.broker_name.clone();
        Ok(Self {
            cluster,
            name,
            broker,
            store,
            address: given.text,
            servers,
            registrar,
            replication,
            raft,
            asks,
            door,
            following,
            threads,
        })
    }

    /// What the HTTP port tells of it.
    pub fn watched(&self) -> Arc<dyn Watched> {
        let names = ["broker", "fast"];
        let metrics = self.servers.iter().map(|server| server.metrics().clone());
        Arc::new(WatchedBroker {
            broker: self.broker.clone(),
            store: self.store.clone(),
            cluster: self.cluster.clone(),
            name: self.name.clone(),
            ports: names.into_iter().zip(metrics).collect(),
            reached: self.registrar.reached(),
            door: self.door.clone(),
            group: self.asks.group.get().cloned(),
        })
    }

    /// Where clients are sent.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The listening addresses, for people.
    pub fn listens_on(&self) -> String {
        let addrs: Vec<_> =
            self.servers.iter().map(|server| server.local_addr().to_string()).collect();
        addrs.join(" and ")
    }

    /// Returns when the process is to stop and start again: its store is set aside then.
    pub async fn wants_restart(&self) {
        match &self.replication {
            Some(replication) => replication.wants_restart().await,
            None => std::future::pending().await,
        }
    }

    /// Leaves the name servers, answers what is under way, saves every table, flushes the store
    /// and takes its abort mark away.
    pub async fn stop(self) -> anyhow::Result<()> {
        if let Some(raft) = &self.raft {
            raft.leave().await;
        }
        self.registrar.stop().await;
        self.following.iter().for_each(JoinHandle::abort);
        // Lets parked pulls go, which would hold up the stop.
        self.broker.shutdown(clock::now());
        stop_servers(self.servers).await;
        self.asks.due.stop();
        if let Some(replication) = self.replication {
            replication.stop();
        }
        // Once more for what came meanwhile.
        self.broker.shutdown(clock::now());
        if let Some(raft) = self.raft {
            raft.stop();
        }
        let closed = self.store.close();
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the store had panicked");
            }
        }
        closed.context("the store was not closed cleanly")?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// The store's loops, each on a thread of its own until the store is closed.
fn store_threads(store: &Arc<Store>) -> std::io::Result<Vec<thread::JoinHandle<()>>> {
    type Loop = fn(&Store);
    let loops: [(&str, Loop); 5] = [
        ("dispatch", |store| store.run_dispatch()),
        ("index", |store| store.run_index(clock::now)),
        ("flush", |store| store.run_flush(clock::now)),
        ("files", |store| store.run_files(clock::now)),
        ("timer", |store| store.run_timer(clock::now)),
    ];
    loops
        .into_iter()
        .map(|(name, run)| {
            let store = store.clone();
            spawn(name, move || run(&store))
        })
        .collect()
}

fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> std::io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(name.into()).spawn(work)
}
