//! The broker's registrations at its name servers: all of them told of each change at once, each
//! on its own, so that a dead one holds up nobody.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::{fs, io};

use futures_util::future::join_all;
use skua_broker::{Broker, CallFailed, Outside, Registration};
use skua_config::{Settings, properties};
use skua_protocol::body::RouteData;
use skua_protocol::json;
use skua_protocol::request::{
    HandOver, HandOverResponse, QueryDataVersion, QueryDataVersionResponse, RaftControl,
    RegisterBrokerResponse, TakeOver, TakeOverResponse,
};
use skua_protocol::service::BoxFuture;
use skua_protocol::{Command, Millis, ResponseCode};
use skua_remoting::{CallError, Client};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::due::Due;
use super::neighbours::Neighbours;
use super::raft::Control;
use super::replication::Place;
use super::routes::Routes;
use super::switch::Switch;
use crate::{clock, files};

/// Time for one name server's answer.
const CALL_MS: u64 = 3_000;
/// How long a request that changed topics waits for the name servers to know.
const WAIT: Duration = Duration::from_millis(CALL_MS + 500);
/// Pause before a name server that failed is tried again; doubles up to the period.
const RETRY: Duration = Duration::from_millis(200);
/// How often a slave without a master asks where it is.
const LOST: Duration = Duration::from_secs(2);
/// Registrations that may wait for one slow name server; then it gets everything anew instead.
const QUEUED_MAX: usize = 64;
/// Why a role cannot be moved yet.
const STARTING: &str = "the broker is starting, or its group decides who is master";
const NO_GROUP: &str = "this broker is in no group that elects its master";
/// Time for the farewell of a stopping broker.
const FAREWELL_MS: u64 = 1_000;

/// What the broker asks of its process.
pub struct Asks {
    asked: AtomicU64,
    changed: Notify,
    done: watch::Sender<u64>,
    /// The timed work.
    pub due: Due,
    routes: Arc<Routes>,
    config_file: Option<PathBuf>,
    neighbours: Arc<Neighbours>,
    client: Client,
    /// Where the master of this slave is.
    pub master: watch::Sender<Place>,
    /// Its replication address is given by the configuration.
    fixed_ha: bool,
    /// Set when the broker has started.
    pub switch: OnceLock<Arc<Switch>>,
    /// Set if a group elects its master.
    pub group: OnceLock<Arc<Control>>,
}

impl Asks {
    /// `ha` is the master's replication address if the configuration gives it.
    pub fn new(
        config_file: Option<PathBuf>,
        ha: Option<String>,
        routes: Arc<Routes>,
        neighbours: Arc<Neighbours>,
        client: Client,
    ) -> Arc<Self> {
        Arc::new(Self {
            config_file,
            client,
            neighbours,
            switch: OnceLock::new(),
            group: OnceLock::new(),
            fixed_ha: ha.is_some(),
            master: watch::Sender::new(Place { ha, address: None }),
            routes,
            asked: AtomicU64::new(0),
            changed: Notify::new(),
            done: watch::Sender::new(0),
            due: Due::default(),
        })
    }
}

impl Asks {
    /// What a name server's answer says of the master; nothing while there is none.
    fn found_master(&self, ha: Option<&str>, address: Option<&str>) {
        if self.group.get().is_some() {
            // A group knows better who its master is.
            return;
        }
        let given = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        let (ha, address) = (given(ha), given(address));
        self.master.send_if_modified(|place| {
            let mut next = place.clone();
            if !self.fixed_ha && ha.is_some() {
                next.ha = ha;
            }
            if address.is_some() {
                next.address = address;
            }
            let changed = next != *place;
            *place = next;
            changed
        });
    }
}

impl Outside for Asks {
    fn local_text(&self, at: Millis) -> String {
        clock::local_text(at)
    }

    fn master_is_at(&self, ha: &str, address: Option<&str>) {
        self.found_master(Some(ha), address);
    }

    fn register(&self) -> BoxFuture<()> {
        let mine = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut done = self.done.subscribe();
        self.changed.notify_one();
        Box::pin(async move {
            // Out of time or stopped: the answer need not wait any longer.
            let _ = timeout(WAIT, done.wait_for(|done| *done >= mine)).await;
        })
    }

    fn route(&self, topic: &str) -> BoxFuture<Option<RouteData>> {
        let (routes, topic) = (self.routes.clone(), topic.to_owned());
        Box::pin(async move { routes.of(&topic).await.map(|route| RouteData::clone(&route)) })
    }

    fn wake(&self, _at: Millis) {
        self.due.wake();
    }

    fn master(&self) -> Option<String> {
        self.master.borrow().address.clone()
    }

    fn call(
        &self,
        addr: &str,
        request: Command,
        timeout_ms: u64,
    ) -> BoxFuture<Result<Command, CallFailed>> {
        let (client, addr) = (self.client.clone(), addr.to_owned());
        Box::pin(async move {
            client.call(&addr, request, timeout_ms).await.map_err(|error| match error {
                CallError::Lookup { .. }
                | CallError::Connect { .. }
                | CallError::ConnectTimeout { .. }
                | CallError::Full { .. }
                | CallError::GoAway { .. } => CallFailed::NotSent(error.to_string()),
                _ => CallFailed::NoAnswer(error.to_string()),
            })
        })
    }

    fn call_broker(
        &self,
        name: &str,
        request: Command,
        timeout_ms: u64,
    ) -> BoxFuture<Result<Command, String>> {
        let (neighbours, name) = (self.neighbours.clone(), name.to_owned());
        Box::pin(async move { neighbours.call(&name, request, timeout_ms).await })
    }

    fn raft_control(&self, asked: RaftControl) -> BoxFuture<Result<Vec<u8>, String>> {
        let group = self.group.get().cloned();
        Box::pin(async move { group.ok_or(NO_GROUP)?.obey(asked).await })
    }

    fn hand_over(&self, asked: HandOver) -> BoxFuture<Result<HandOverResponse, String>> {
        let switch = self.switch.get().cloned();
        Box::pin(async move { switch.ok_or(STARTING)?.hand_over(asked).await })
    }

    fn take_over(&self, asked: TakeOver) -> BoxFuture<Result<TakeOverResponse, String>> {
        let switch = self.switch.get().cloned();
        Box::pin(async move { switch.ok_or(STARTING)?.take_over(asked).await })
    }

    fn save_settings(&self, settings: &Settings) -> io::Result<()> {
        let changes_levels = settings.changes().any(|(key, _)| key == "logLevel");
        if changes_levels {
            crate::logging::set_levels(&settings.server.log_level);
        }
        let Some(path) = &self.config_file else {
            tracing::warn!(
                "started without a configuration file: changes last until the next start"
            );
            return Ok(());
        };
        let file = fs::read(path)?;
        files::replace(path, properties::edit(&file, settings.changes()).as_bytes())
    }
}

/// One name server.
struct NameServer {
    addr: String,
    /// It may have missed something.
    wants_all: AtomicBool,
    /// Its last answer was a good one.
    registered: AtomicBool,
}

enum Said {
    Changes,
    Everything,
    /// Everything, but only if the name server holds another version.
    EverythingIfChanged,
}

struct Job {
    registration: Arc<Registration>,
    said: Said,
    /// Dropped when the job is done.
    _done: oneshot::Sender<()>,
}

/// Which name servers know the broker, as far as their last answers say.
pub struct Reached(Vec<Arc<NameServer>>);

impl Reached {
    /// How many know it, and how many there are.
    pub fn counts(&self) -> (usize, usize) {
        let registered = self.0.iter().filter(|server| server.registered.load(Ordering::Relaxed));
        (registered.count(), self.0.len())
    }

    /// A reason if there are name servers and none knows the broker.
    pub fn why_unknown_to_clients(&self) -> Option<String> {
        let (registered, known) = self.counts();
        (registered == 0 && known > 0).then(|| {
            let addrs: Vec<_> = self.0.iter().map(|server| server.addr.as_str()).collect();
            format!("not registered at any name server of {}", addrs.join(";"))
        })
    }
}

/// The tasks that register a broker.
pub struct Registrar {
    reached: Arc<Reached>,
    client: Client,
    broker: Arc<Broker>,
    addrs: Vec<String>,
    tasks: Vec<JoinHandle<()>>,
}

impl Registrar {
    /// Starts to register `broker` with `addrs`: now, at each change, and every `period`.
    pub fn start(
        broker: Arc<Broker>,
        asks: Arc<Asks>,
        addrs: Vec<String>,
        client: Client,
        period: Duration,
        force: bool,
    ) -> Self {
        let mut tasks = Vec::new();
        let mut servers = Vec::new();
        for addr in &addrs {
            let server = Arc::new(NameServer {
                addr: addr.clone(),
                wants_all: AtomicBool::new(true),
                registered: AtomicBool::new(false),
            });
            let (sender, jobs) = mpsc::channel(QUEUED_MAX);
            let telling = tell(server.clone(), jobs, client.clone(), broker.clone(), asks.clone());
            tasks.push(tokio::spawn(telling));
            servers.push((server, sender));
        }
        let reached = Reached(servers.iter().map(|(server, _)| server.clone()).collect());
        tasks.push(tokio::spawn(rounds(broker.clone(), asks, servers, period, force)));
        Self { reached: Arc::new(reached), client, broker, addrs, tasks }
    }

    pub fn reached(&self) -> Arc<Reached> {
        self.reached.clone()
    }

    /// Ends the tasks and takes the broker off every name server.
    pub async fn stop(self) {
        for task in &self.tasks {
            task.abort();
        }
        let farewell = self.broker.unregistration();
        join_all(self.addrs.iter().map(|addr| async {
            if let Err(error) = self.client.request(addr, &farewell, FAREWELL_MS).await {
                tracing::warn!(%error, "not unregistered");
            }
        }))
        .await;
    }
}

/// Makes what is to be told, whenever something is.
async fn rounds(
    broker: Arc<Broker>,
    asks: Arc<Asks>,
    servers: Vec<(Arc<NameServer>, mpsc::Sender<Job>)>,
    period: Duration,
    force: bool,
) {
    let mut retry = RETRY;
    let mut whole_due = Instant::now();
    loop {
        let due = if servers.iter().any(|(server, _)| server.wants_all.load(Ordering::Acquire)) {
            whole_due.min(Instant::now() + retry)
        } else {
            retry = RETRY;
            whole_due
        };
        let timed = tokio::select! {
            () = asks.changed.notified() => false,
            () = sleep_until(due) => true,
        };
        let number = asks.asked.load(Ordering::SeqCst);
        let missed = servers.iter().any(|(server, _)| server.wants_all.load(Ordering::Acquire));
        // Whatever goes out goes to all: a whole registration takes the pending changes with it.
        let registration = if timed || missed {
            if timed {
                // The answer tells a slave where its master is.
                let pause = if broker.lacks_master() { LOST.min(period) } else { period };
                whole_due = Instant::now() + pause;
                retry = (retry * 2).min(period);
            }
            Some(broker.registration())
        } else {
            broker.changes()
        };
        let Some(registration) = registration.map(Arc::new) else {
            asks.done.send_replace(number);
            continue;
        };
        let mut waiting = Vec::new();
        for (server, sender) in &servers {
            let (done, waits) = oneshot::channel();
            let said = match (timed || missed, timed && !force && !missed) {
                (true, true) => Said::EverythingIfChanged,
                (true, false) => Said::Everything,
                (false, _) => Said::Changes,
            };
            let job = Job { registration: registration.clone(), said, _done: done };
            if sender.try_send(job).is_err() {
                server.wants_all.store(true, Ordering::Release);
            }
            waiting.push(waits);
        }
        let asks = asks.clone();
        tokio::spawn(async move {
            join_all(waiting).await;
            asks.done.send_if_modified(|done| {
                let later = number > *done;
                *done = number.max(*done);
                later
            });
        });
    }
}

/// Tells one name server, one thing after the other.
async fn tell(
    server: Arc<NameServer>,
    mut jobs: mpsc::Receiver<Job>,
    client: Client,
    broker: Arc<Broker>,
    asks: Arc<Asks>,
) {
    let mut was_well = None;
    while let Some(job) = jobs.recv().await {
        let told = tell_one(&server.addr, &job, &client, &broker, &asks).await;
        server.wants_all.store(told.is_err(), Ordering::Release);
        let well = told.is_ok();
        server.registered.store(well, Ordering::Relaxed);
        if was_well.replace(well) != Some(well) {
            match told {
                Ok(()) => tracing::info!(namesrv = %server.addr, "registered"),
                Err(error) => tracing::warn!(namesrv = %server.addr, %error, "not registered"),
            }
        }
    }
}

async fn tell_one(
    addr: &str,
    job: &Job,
    client: &Client,
    broker: &Broker,
    asks: &Asks,
) -> anyhow::Result<()> {
    let Registration { header, body, version } = &*job.registration;
    if matches!(job.said, Said::EverythingIfChanged) {
        let query = QueryDataVersion {
            broker_name: header.broker_name.clone(),
            broker_addr: header.broker_addr.clone(),
            cluster_name: header.cluster_name.clone(),
            broker_id: header.broker_id,
        };
        let asked = client.request_with_body(addr, &query, json::to_vec(version), CALL_MS).await;
        // A name server that cannot say is told.
        if let Ok((QueryDataVersionResponse { changed: false }, _)) = asked {
            return Ok(());
        }
    }
    let request = Command::request(header).with_body(body.clone());
    let answer = client.call(addr, request, CALL_MS).await?;
    anyhow::ensure!(
        answer.code == ResponseCode::Success as i32,
        "it answered {}: {}",
        answer.code,
        answer.remark.as_deref().unwrap_or("")
    );
    if header.broker_id != 0
        && let Ok(found) = answer.header::<RegisterBrokerResponse>()
    {
        // A name server that is behind may take this broker for the master still.
        if found.master_addr.as_ref() != Some(&header.broker_addr) {
            asks.found_master(found.ha_server_addr.as_deref(), found.master_addr.as_deref());
        }
    }
    broker.registered(&answer.body, clock::now());
    Ok(())
}
