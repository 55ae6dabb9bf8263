//! A master's role moved to its slave while clients send: the two brokers' part of one command.
//!
//! The master lets requests wait, closes its log, lets the slave get the rest and tells it to take
//! over; then it becomes the slave, and what has waited is sent on to the new master. It notes for
//! its next start that it is a slave before the other notes that it is master: whatever ends in
//! between, there are never two masters.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use skua_broker::{Broker, Role};
use skua_config::BrokerRole;
use skua_ha::Replicas;
use skua_protocol::Command;
use skua_protocol::request::{HandOver, HandOverResponse, TakeOver, TakeOverResponse};
use skua_protocol::service::BoxFuture;
use skua_remoting::{CallError, Client};
use skua_store::Store;
use tokio::sync::{Mutex, watch};
use tokio::time::{sleep, timeout};

use super::registration::Asks;
use super::replication::{Place, tables};
use crate::clock;

/// Bytes that the slave may lack when requests begin to wait.
const NEAR: u64 = 1 << 20;
/// How long the slave may take to get near, unless the operator says otherwise.
const CATCH_UP: Duration = Duration::from_secs(30);
/// How long a slave that is not connected is waited for.
const COMES_BACK: Duration = Duration::from_secs(1);
/// How long requests may wait until the slave is asked; clients give up after 3 s.
const HOLD: Duration = Duration::from_millis(1_500);
/// How long the slave's answer is waited for, and for how long it is asked again when it gives none.
const ANSWER_MS: u64 = 2_000;
const ASK_AGAIN: Duration = Duration::from_secs(20);
/// How long name servers may take to learn of the new master before the old one is told.
const REGISTERED: Duration = Duration::from_millis(700);
/// How long a double-writing new master waits for the old one to come as its slave.
const SLAVE_COMES_MS: i64 = 10_000;
const LOOK: Duration = Duration::from_millis(2);

pub struct Switch {
    broker: Weak<Broker>,
    asks: Weak<Asks>,
    store: Arc<Store>,
    replicas: Arc<Replicas>,
    follows: watch::Receiver<bool>,
    client: Client,
    /// One move at a time.
    busy: Mutex<()>,
}

/// A broker's part in it failed.
enum Refused {
    /// Nothing has happened there.
    NotThen(String),
    /// Whether it has taken over is not known.
    Unknown(String),
}

impl Switch {
    pub fn new(
        broker: &Arc<Broker>,
        asks: &Arc<Asks>,
        store: Arc<Store>,
        replicas: Arc<Replicas>,
        follows: watch::Receiver<bool>,
        client: Client,
    ) -> Self {
        let (broker, asks) = (Arc::downgrade(broker), Arc::downgrade(asks));
        Self { broker, asks, store, replicas, follows, client, busy: Mutex::default() }
    }

    fn parts(&self) -> Result<(Arc<Broker>, Arc<Asks>), String> {
        self.broker.upgrade().zip(self.asks.upgrade()).ok_or_else(|| "it is stopping".to_owned())
    }

    /// The master's part.
    pub async fn hand_over(&self, asked: HandOver) -> Result<HandOverResponse, String> {
        let _busy = self.busy.try_lock().map_err(|_| "a role is being moved already")?;
        let (broker, asks) = self.parts()?;
        if broker.role() != Role::Master {
            return Err("this broker is not the master".to_owned());
        }
        let role = broker.current_settings().store.broker_role;
        let id = asked.broker_id;
        let limit = asked.timeout_millis.and_then(|ms| u64::try_from(ms).ok());
        let limit = limit.map_or(CATCH_UP, Duration::from_millis);
        self.wait_held(id, limit, || self.store.appended().0.saturating_sub(NEAR)).await?;

        let began = Instant::now();
        broker.send_on_to_master();
        broker.stop_taking();
        tracing::info!(slave = id, "requests wait: the role goes to the slave");
        let ready = self.close(&broker, id, began).await;
        let ready = match ready {
            Ok(end) => note(&broker, BrokerRole::Slave, id).await.map(|()| end),
            failed => failed,
        };
        let end = match ready {
            Ok(end) => end,
            Err(cause) => {
                take_again(&broker, role).await;
                return Err(cause);
            }
        };
        let take_over = TakeOver {
            master_address: broker.registration().header.broker_addr,
            offset: end as i64,
            broker_role: text(role).into(),
        };
        match self.ask(&asked.slave_address, &take_over).await {
            Ok(taken) => {
                let place = Place {
                    ha: Some(taken.ha_address.to_string()),
                    address: Some(asked.slave_address.to_string()),
                };
                asks.master.send_replace(place);
                broker.follow(id, clock::now());
                let waited_millis = began.elapsed().as_millis() as i64;
                tracing::info!(master = %asked.slave_address, waited_millis, "the role was moved");
                let (master_address, offset) = (asked.slave_address, end as i64);
                Ok(HandOverResponse { master_address, offset, waited_millis })
            }
            Err(Refused::NotThen(cause)) => {
                take_again(&broker, role).await;
                Err(cause)
            }
            Err(Refused::Unknown(cause)) => {
                // It may be master: this broker must not be one, too.
                broker.follow(id, clock::now());
                Err(format!(
                    "it is not known whether {} has become master: {cause}. This broker is a \
                     slave now; if the other is one, too, set its brokerRole and brokerId and \
                     start it again",
                    asked.slave_address
                ))
            }
        }
    }

    /// Waits until the slave with this id has the log up to what `wanted` says.
    async fn wait_held(
        &self,
        id: i64,
        limit: Duration,
        wanted: impl Fn() -> u64,
    ) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let end = self.store.appended().0;
            let views = self.replicas.views(end);
            let slave = views.iter().find(|view| view.progress.broker_id == Some(id));
            let held = slave.and_then(|slave| slave.progress.acked);
            let wanted = wanted();
            match held {
                Some(held) if held >= wanted => return Ok(()),
                Some(_) if began.elapsed() < limit => sleep(LOOK).await,
                // Its connection may have ended just now.
                None if began.elapsed() < limit.min(COMES_BACK) => sleep(LOOK).await,
                None => {
                    let known: Vec<_> =
                        views.iter().filter_map(|view| view.progress.broker_id).collect();
                    return Err(format!(
                        "no Skua slave with broker id {id} follows this master (those that do: \
                         {known:?}); a slave of RocketMQ is made master by hand"
                    ));
                }
                Some(held) => {
                    return Err(format!(
                        "the slave has the log up to {held}, not up to {wanted}, within {} ms",
                        limit.as_millis()
                    ));
                }
            }
        }
    }

    /// Closes the log and lets the slave get all of it; returns its end.
    async fn close(&self, broker: &Arc<Broker>, id: i64, began: Instant) -> Result<u64, String> {
        while !broker.is_idle() {
            if began.elapsed() > HOLD {
                return Err("requests that began before do not end".to_owned());
            }
            sleep(LOOK).await;
        }
        let closing = broker.clone();
        let closed = tokio::task::spawn_blocking(move || closing.close_log(clock::now())).await;
        let end = closed.map_err(|error| error.to_string())?.0;
        self.wait_held(id, HOLD.saturating_sub(began.elapsed()), || end).await?;
        Ok(end)
    }

    async fn ask(&self, addr: &str, take_over: &TakeOver) -> Result<TakeOverResponse, Refused> {
        let began = Instant::now();
        let mut was_sent = false;
        loop {
            let request = Command::request(take_over);
            let cause = match self.client.call(addr, request, ANSWER_MS).await {
                Ok(answer) if answer.code == 0 => {
                    return answer.header().map_err(|error| Refused::Unknown(error.to_string()));
                }
                Ok(answer) => {
                    let why = answer.remark.map(String::from).unwrap_or_default();
                    return Err(Refused::NotThen(format!("{addr}: {why}")));
                }
                Err(error) => {
                    let not_sent = matches!(
                        error,
                        CallError::Lookup { .. }
                            | CallError::Connect { .. }
                            | CallError::ConnectTimeout { .. }
                    );
                    was_sent |= !not_sent;
                    error.to_string()
                }
            };
            if !was_sent {
                return Err(Refused::NotThen(cause));
            }
            if began.elapsed() > ASK_AGAIN {
                return Err(Refused::Unknown(cause));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// The slave's part. Asked again for the same, it says the same.
    pub async fn take_over(&self, asked: TakeOver) -> Result<TakeOverResponse, String> {
        let _busy = self.busy.lock().await;
        let (broker, _) = self.parts()?;
        let answer = TakeOverResponse { ha_address: broker.registration().header.ha_server_addr };
        if broker.role() == Role::Master {
            // It took over before, and the answer was lost; perhaps it has been started anew since.
            return Ok(answer);
        }
        let Role::Slave(id) = broker.role() else {
            return Err(format!("it is no slave but {:?}", broker.role()));
        };
        let (held, end) = (self.store.appended().0, asked.offset as u64);
        if held != end {
            return Err(format!("its log ends at {held}, the master's at {end}"));
        }
        let role = match &*asked.broker_role {
            "SYNC_MASTER" => BrokerRole::SyncMaster,
            _ => BrokerRole::AsyncMaster,
        };
        // The link to the master ends with this.
        broker.stop_taking();
        match self.become_master(&broker, &asked, role).await {
            // Without this clients might find no master for a moment.
            Ok(told) => drop(timeout(REGISTERED, told).await),
            Err(cause) => {
                if let Err(error) = note(&broker, BrokerRole::Slave, id).await {
                    tracing::error!(error, "the role for the next start is not noted");
                }
                broker.follow(id, clock::now());
                return Err(cause);
            }
        }
        Ok(answer)
    }

    async fn become_master(
        &self,
        broker: &Arc<Broker>,
        asked: &TakeOver,
        role: BrokerRole,
    ) -> Result<BoxFuture<()>, String> {
        let mut follows = self.follows.clone();
        let ended = timeout(HOLD, follows.wait_for(|follows| !follows)).await;
        ended.map_err(|_| "the link to the master does not end")?.map_err(|_| "it is stopping")?;
        let copied = tables::copy_once(broker.clone(), self.client.clone(), &asked.master_address);
        copied.await.map_err(|error| format!("the master's tables are not copied: {error:#}"))?;
        note(broker, role, skua_broker::MASTER_ID).await?;
        broker.await_slaves(clock::now().plus(SLAVE_COMES_MS));
        let (leading, store) = (broker.clone(), self.store.clone());
        let led = tokio::task::spawn_blocking(move || {
            while store.dispatch() > 0 {}
            leading.lead(0, clock::now())
        });
        led.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }
}

fn text(role: BrokerRole) -> &'static str {
    match role {
        BrokerRole::AsyncMaster => "ASYNC_MASTER",
        BrokerRole::SyncMaster => "SYNC_MASTER",
        BrokerRole::Slave => "SLAVE",
    }
}

/// Notes the role for the next start.
async fn note(broker: &Arc<Broker>, role: BrokerRole, id: i64) -> Result<(), String> {
    let noting = broker.clone();
    let noted = tokio::task::spawn_blocking(move || noting.note_role(role, id)).await;
    noted.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

/// The role stays where it is.
async fn take_again(broker: &Arc<Broker>, role: BrokerRole) {
    if let Err(error) = note(broker, role, skua_broker::MASTER_ID).await {
        tracing::error!(error, "the role for the next start is not noted");
    }
    broker.take_again(clock::now());
    tracing::warn!("the role was not moved: this broker takes requests again");
}
