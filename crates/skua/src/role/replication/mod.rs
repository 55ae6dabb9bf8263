//! Replication's sockets and tasks: a master listens for its slaves, a slave follows its master
//! and copies its tables.

mod master;
mod slave;
mod tables;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use skua_broker::Broker;
use skua_config::{BrokerRole, Settings};
use skua_ha::{Replicas, Versions, wire};
use skua_remoting::Client;
use skua_store::Store;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// Where the master of this group is, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its replication address.
    pub ha: Option<String>,
    /// Its address for requests.
    pub address: Option<String>,
}

/// What the link to the master tells of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct MasterNews {
    /// Counts connections: with each new one everything is asked for anew.
    connection: u64,
    /// A Skua master says when its tables change.
    versions: Option<Versions>,
}

/// What all tasks share.
struct Shared {
    broker: Arc<Broker>,
    store: Arc<Store>,
    settings: Arc<Settings>,
    replicas: Arc<Replicas>,
    group: u64,
    grown: Grown,
}

/// The log has grown; costs those who append a load while nobody sleeps.
#[derive(Default)]
struct Grown {
    asleep: AtomicUsize,
    notify: Notify,
}

impl Grown {
    fn tell(&self) {
        if self.asleep.load(Ordering::SeqCst) > 0 {
            self.notify.notify_waiters();
        }
    }
}

/// The tasks of a broker's replication.
pub struct Replication {
    tasks: Vec<JoinHandle<()>>,
}

impl Replication {
    /// A master's listener, or a slave's link. `place` is kept up to date by registrations.
    pub async fn start(
        broker: Arc<Broker>,
        store: Arc<Store>,
        settings: Arc<Settings>,
        replicas: Arc<Replicas>,
        place: watch::Receiver<Place>,
        client: Client,
    ) -> anyhow::Result<Self> {
        let names = &settings.broker;
        let group = wire::group_number(&names.broker_cluster_name, &names.broker_name);
        let grown = Grown::default();
        let shared =
            Arc::new(Shared { broker, store: store.clone(), settings, replicas, group, grown });
        if shared.settings.store.broker_role == BrokerRole::Slave {
            let news = Arc::new(watch::Sender::new(MasterNews::default()));
            let follow = slave::follow(shared.clone(), place.clone(), news.clone());
            let copy = tables::copy(shared, place, news.subscribe(), client);
            return Ok(Self { tasks: vec![tokio::spawn(follow), tokio::spawn(copy)] });
        }
        let (host, port) =
            (&shared.settings.server.bind_address, shared.settings.store.ha_listen_port);
        let listener = TcpListener::bind((host.as_str(), port))
            .await
            .with_context(|| format!("cannot listen on {host}:{port} (haListenPort)"))?;
        let told = Arc::downgrade(&shared);
        store.on_append(Box::new(move || {
            if let Some(shared) = told.upgrade() {
                shared.grown.tell();
            }
        }));
        Ok(Self { tasks: vec![tokio::spawn(master::listen(shared, listener))] })
    }

    pub fn stop(self) {
        for task in self.tasks {
            task.abort();
        }
    }
}
