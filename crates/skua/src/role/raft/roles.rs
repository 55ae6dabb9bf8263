//! The broker's role as the group decides it, and what followers copy from the leader beside the
//! log.

use std::sync::Arc;
use std::time::Duration;

use skua_broker::{Broker, Role as BrokerRole, SlaveView};
use skua_raft::{PeerId, Role};
use skua_remoting::Client;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::net::Net;
use crate::clock;
use crate::role::registration::Asks;
use crate::role::replication::{MasterNews, Place, tables};

/// How often followers are told that tables changed.
const VERSIONS: Duration = Duration::from_millis(100);
/// How soon a leader that could not begin tries again.
const AGAIN: Duration = Duration::from_millis(20);

pub fn follow_group(
    id: PeerId,
    broker: &Arc<Broker>,
    asks: &Arc<Asks>,
    net: &Arc<Net>,
    changes: watch::Receiver<Role>,
    client: Client,
) -> Vec<JoinHandle<()>> {
    let news = Arc::new(watch::Sender::new(MasterNews::default()));
    let applier = Applier {
        id: id.0 as i64,
        broker: broker.clone(),
        asks: asks.clone(),
        net: net.clone(),
        news: news.clone(),
        leads: None,
    };
    let (copying, place) = (broker.clone(), asks.master.subscribe());
    let copy = tables::copy_while_slave(copying, place, news.subscribe(), client);
    vec![
        tokio::spawn(applier.run(changes.clone())),
        tokio::spawn(hear(net.clone(), changes, news)),
        tokio::spawn(tell(broker.clone(), net.clone())),
        tokio::spawn(copy),
    ]
}

struct Applier {
    /// Of this broker while it does not lead.
    id: i64,
    broker: Arc<Broker>,
    asks: Arc<Asks>,
    net: Arc<Net>,
    news: Arc<watch::Sender<MasterNews>>,
    /// The term in which this broker became master last.
    leads: Option<u64>,
}

impl Applier {
    async fn run(mut self, mut changes: watch::Receiver<Role>) {
        let mut heard = self.net.news.subscribe();
        let mut leader = None;
        loop {
            let role = *changes.borrow_and_update();
            heard.mark_unchanged();
            let done = self.apply(role).await;
            if let Role::Follower { leader: Some(of) } = role
                && leader != Some(of)
            {
                // Everything is asked for anew.
                self.news.send_modify(|news| {
                    *news = MasterNews { connection: news.connection + 1, versions: None };
                });
            }
            leader = match role {
                Role::Follower { leader } => leader,
                _ => None,
            };
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                // A member may have said where clients reach it.
                _ = heard.changed(), if !done => {}
                () = sleep(AGAIN), if !done => {}
            }
        }
    }

    /// False if it is to be tried again.
    async fn apply(&mut self, role: Role) -> bool {
        match role {
            Role::Leader { term } => {
                if self.broker.is_master() && self.leads == Some(term) {
                    return true;
                }
                if self.broker.is_master() {
                    // Another may have led in between.
                    self.broker.lose_place(self.id);
                }
                self.leads = Some(term);
                self.point_to(None);
                let broker = self.broker.clone();
                let term = i64::try_from(term).unwrap_or(i64::MAX);
                let led =
                    tokio::task::spawn_blocking(move || broker.lead(term, clock::now()).map(drop));
                match led.await {
                    Ok(Ok(())) => true,
                    Ok(Err(error)) => {
                        tracing::warn!(%error, "not master yet");
                        false
                    }
                    Err(error) => {
                        tracing::error!(%error, "not master");
                        false
                    }
                }
            }
            Role::Follower { leader } => {
                if self.broker.is_master() {
                    self.broker.lose_place(self.id);
                }
                if !matches!(self.broker.role(), BrokerRole::Slave(_)) {
                    let (broker, id) = (self.broker.clone(), self.id);
                    let followed = tokio::task::spawn_blocking(move || {
                        broker.follow(id, clock::now());
                    });
                    if let Err(error) = followed.await {
                        tracing::error!(%error, "the role did not change");
                    }
                }
                let address = leader.and_then(|leader| self.net.client_address(leader));
                let is_known = leader.is_none() || address.is_some();
                self.point_to(address);
                is_known
            }
            Role::Candidate => {
                if self.broker.is_master() {
                    self.broker.lose_place(self.id);
                }
                self.point_to(None);
                true
            }
        }
    }

    /// Where the master is from now on.
    fn point_to(&self, address: Option<String>) {
        let place = Place { ha: None, address };
        let view = SlaveView {
            connected: place.address.is_some(),
            heard: clock::now(),
            ..SlaveView::default()
        };
        let changed = self.asks.master.send_if_modified(|there| {
            let changes = *there != place;
            *there = place;
            changes
        });
        if changed {
            self.broker.set_slave_view(view);
            self.broker.master_has_moved();
        }
    }
}

/// What the leader says of its tables.
async fn hear(net: Arc<Net>, roles: watch::Receiver<Role>, news: Arc<watch::Sender<MasterNews>>) {
    let mut heard = net.news.subscribe();
    while heard.changed().await.is_ok() {
        let told = *heard.borrow_and_update();
        let Some((from, versions)) = told else { continue };
        if *roles.borrow() == (Role::Follower { leader: Some(from) }) {
            news.send_if_modified(|news| {
                let changes = news.versions != Some(versions);
                news.versions = Some(versions);
                changes
            });
        }
    }
}

async fn tell(broker: Arc<Broker>, net: Arc<Net>) {
    let mut told = None;
    let mut anew = Instant::now();
    loop {
        sleep_until(Instant::now() + VERSIONS).await;
        if !broker.is_master() {
            told = None;
            continue;
        }
        let versions = broker.table_versions();
        if told != Some(versions) || Instant::now() >= anew {
            told = Some(versions);
            anew = Instant::now() + Duration::from_secs(1);
            net.tell_versions(&versions);
        }
    }
}
