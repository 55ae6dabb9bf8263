//! Replication's sockets and tasks: a master serves its slaves, a slave follows its master and
//! copies its tables; whichever the broker is at the time.

mod master;
mod slave;
pub(super) mod tables;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use bytes::BytesMut;
use skua_broker::{Broker, Role, SlaveView};
use skua_config::Settings;
use skua_ha::{Replicas, Versions, wire};
use skua_remoting::{BindOptions, Client, Listener};
use skua_store::Store;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::security::Tls;

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
pub(super) struct MasterNews {
    /// Counts connections: with each new one everything is asked for anew.
    pub connection: u64,
    /// A Skua master says when its tables change.
    pub versions: Option<Versions>,
}

/// What all tasks share.
struct Shared {
    broker: Arc<Broker>,
    store: Arc<Store>,
    settings: Arc<Settings>,
    replicas: Arc<Replicas>,
    group: u64,
    grown: Grown,
    tls: Tls,
    /// The store is to be set aside, which is done at a start.
    restart: Notify,
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
    follows: Arc<watch::Sender<bool>>,
    shared: Arc<Shared>,
}

impl Replication {
    /// A listener for slaves, served while the broker is master, and a link to the master, kept
    /// while it is a slave. `place` is kept up to date by registrations.
    pub async fn start(
        broker: Arc<Broker>,
        store: Arc<Store>,
        settings: Arc<Settings>,
        replicas: Arc<Replicas>,
        place: watch::Receiver<Place>,
        client: Client,
        tls: Tls,
    ) -> anyhow::Result<Self> {
        let names = &settings.broker;
        let group = wire::group_number(&names.broker_cluster_name, &names.broker_name);
        let grown = Grown::default();
        let shared = Arc::new(Shared {
            broker,
            store: store.clone(),
            settings,
            replicas,
            group,
            grown,
            tls,
            restart: Notify::new(),
        });
        let (host, port) =
            (&shared.settings.server.bind_address, shared.settings.store.ha_listen_port);
        let listener = Listener::bind(host, port, &BindOptions::default())
            .context("haListenPort")?
            .into_socket();
        let told = Arc::downgrade(&shared);
        store.on_round(Box::new(move || {
            if let Some(shared) = told.upgrade() {
                shared.grown.tell();
            }
        }));
        let follows = Arc::new(watch::Sender::new(false));
        let tasks = vec![
            tokio::spawn(master::listen(shared.clone(), listener)),
            tokio::spawn(follow_while_slave(shared.clone(), place, client, follows.clone())),
        ];
        Ok(Self { tasks, follows, shared })
    }

    /// True while the link to a master may append to the log.
    pub fn follows(&self) -> watch::Receiver<bool> {
        self.follows.subscribe()
    }

    pub async fn wants_restart(&self) {
        self.shared.restart.notified().await;
    }

    pub fn stop(self) {
        for task in self.tasks {
            task.abort();
        }
    }
}

async fn follow_while_slave(
    shared: Arc<Shared>,
    place: watch::Receiver<Place>,
    client: Client,
    follows: Arc<watch::Sender<bool>>,
) {
    let broker = shared.broker.clone();
    loop {
        until_role(&broker, |role| matches!(role, Role::Slave(_))).await;
        follows.send_replace(true);
        let news = Arc::new(watch::Sender::new(MasterNews::default()));
        let follow = slave::follow(shared.clone(), place.clone(), news.clone());
        let copy = tables::copy(broker.clone(), place.clone(), news.subscribe(), client.clone());
        tokio::select! {
            _ = async { tokio::join!(follow, copy) } => return,
            () = until_role(&broker, |role| !matches!(role, Role::Slave(_))) => {}
        }
        broker.set_slave_view(SlaveView::default());
        follows.send_replace(false);
    }
}

/// Returns when the broker's role is one of those wanted.
async fn until_role(broker: &Broker, is_wanted: impl Fn(Role) -> bool) {
    loop {
        let changed = broker.role_changed();
        if is_wanted(broker.role()) {
            return;
        }
        changed.await;
    }
}

/// Writes what is pending, and if nothing is, makes the stream let go of what it has taken, which
/// TLS keeps until then.
async fn write_or_flush(
    writer: &mut (impl AsyncWrite + Unpin),
    pending: &mut BytesMut,
) -> std::io::Result<()> {
    match pending.is_empty() {
        false => writer.write_buf(pending).await.map(drop),
        true => writer.flush().await,
    }
}
