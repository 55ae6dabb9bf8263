//! The name server as a whole: its state, its lock, its clock's work.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use skua_config::{Live, Properties, Settings, properties};
use skua_protocol::json::JsonError;
use skua_protocol::request::NotifyMinBrokerIdChange;
use skua_protocol::service::{ConnectionId, Outcome, Peer, Service};
use skua_protocol::{Command, Millis};

use crate::kv::KvConfig;
use crate::registering::Registering;
use crate::request::{self, RequestError};
use crate::route::{MinBrokerIdChange, RouteTable, Rules};
use crate::{Files, Outbound};

/// Keys that no request may change, whatever `configBlackList` says.
const BLACK_LIST: [&str; 4] =
    ["configBlackList", "configStorePath", "kvConfigPath", "rocketmqHome"];

pub struct NamesrvOptions {
    pub settings: Settings,
    pub files: Arc<dyn Files>,
    pub outbound: Arc<dyn Outbound>,
    /// When the name server starts; `needWaitForService` counts from here.
    pub now: Millis,
}

/// Why a name server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot read {path}: {error}")]
    Read { path: String, error: std::io::Error },
    #[error("{path} is not a key-value configuration: {error}")]
    Kv { path: String, error: JsonError },
}

pub struct Namesrv {
    settings: Live<Settings>,
    files: Arc<dyn Files>,
    outbound: Arc<dyn Outbound>,
    started: Millis,
    black_list: BTreeSet<String>,
    state: Mutex<State>,
    /// Held by who changes a file, over its write; taken before `state`, never by a connection's
    /// own task.
    writing: Mutex<()>,
}

pub(crate) struct State {
    pub routes: RouteTable,
    pub kv: KvConfig,
    pub registering: Registering,
    next_scan: Millis,
}

impl Namesrv {
    /// Reads `kvConfig.json`, which may be missing, and starts with no broker.
    pub fn new(options: NamesrvOptions) -> Result<Self, OpenError> {
        let NamesrvOptions { settings, files, outbound, now } = options;
        let path = settings.namesrv.kv_config_path.clone();
        let kv = match files.read(&path) {
            Err(error) => return Err(OpenError::Read { path, error }),
            Ok(None) => KvConfig::default(),
            Ok(Some(text)) if text.is_empty() => KvConfig::default(),
            Ok(Some(text)) => {
                KvConfig::decode(&text).map_err(|error| OpenError::Kv { path, error })?
            }
        };
        let configured = settings.namesrv.config_black_list.split(';').map(str::to_owned);
        let black_list = BLACK_LIST.iter().map(|key| key.to_string()).chain(configured).collect();
        let state = State {
            routes: RouteTable::default(),
            kv,
            registering: Registering::default(),
            next_scan: now.plus(scan_interval(&settings)),
        };
        Ok(Self {
            settings: Live::new(settings),
            files,
            outbound,
            started: now,
            black_list,
            state: Mutex::new(state),
            writing: Mutex::new(()),
        })
    }

    /// Removes brokers that were silent for too long and closes their connections. Returns when
    /// it wants to be called again; earlier calls do nothing.
    pub fn run_due(&self, now: Millis) -> Option<Millis> {
        let interval = scan_interval(&self.settings());
        let rules = self.rules();
        let mut state = self.state();
        // A clock that was set back must not put the next scan far off.
        let wait = state.next_scan.since(now);
        if wait > 0 && wait <= interval {
            return Some(state.next_scan);
        }
        let next_scan = now.plus(interval);
        state.next_scan = next_scan;
        let expired = state.routes.expire(&rules, now);
        drop(state);
        for member in expired.members {
            tracing::warn!(
                broker = %member.broker_name, id = member.broker_id, addr = %member.addr,
                timeout_ms = member.timeout_ms, "broker expired"
            );
            member.peer.close();
        }
        self.notify(expired.notices);
        Some(next_scan)
    }

    /// The configuration as it is now.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load()
    }

    pub(crate) fn rules(&self) -> Rules {
        Rules::of(&self.settings())
    }

    pub(crate) fn started(&self) -> Millis {
        self.started
    }

    /// A handler that panicked leaves the tables consistent enough to go on: each change is one
    /// call into them, and the next registrations repair what is missing.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells brokers of a new smallest broker id; not to be called with the state locked.
    pub(crate) fn notify(&self, notices: impl IntoIterator<Item = MinBrokerIdChange>) {
        for notice in notices {
            tracing::info!(?notice, "smallest broker id changed");
            let header = NotifyMinBrokerIdChange {
                min_broker_id: Some(notice.min_broker_id),
                broker_name: None,
                min_broker_addr: Some(notice.min_broker_addr.into()),
                offline_broker_addr: notice.offline_broker_addr.map(Into::into),
                ha_broker_addr: notice.ha_broker_addr.map(Into::into),
            };
            for addr in &notice.tell {
                self.outbound.one_way(addr, Command::request(&header).one_way());
            }
        }
    }

    /// Writes the changed table before anybody sees it: what was answered survives a restart.
    pub(crate) fn change_kv(&self, change: impl FnOnce(&mut KvConfig)) -> Result<(), RequestError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kv = self.state().kv.clone();
        change(&mut kv);
        self.write(self.settings().namesrv.kv_config_path.clone(), &kv.encode())?;
        let mut state = self.state();
        state.kv = kv;
        // Routes carry the order configuration.
        state.routes.invalidate();
        Ok(())
    }

    pub(crate) fn is_black_listed(&self, key: &str) -> bool {
        self.black_list.contains(key)
    }

    /// Takes changed keys and stores the whole configuration, as Java does, at `configStorePath`.
    pub(crate) fn change_settings(&self, changes: &Properties) -> Result<(), RequestError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = self.settings().updated(changes)?;
        let path = changed.namesrv.config_store_path.clone();
        let file = match self.files.read(&path) {
            Ok(file) => file.unwrap_or_default(),
            Err(error) => return Err(RequestError::Write { path, error }),
        };
        self.write(path, properties::edit(&file, changed.changes()).as_bytes())?;
        self.settings.store(changed);
        self.state().routes.invalidate();
        Ok(())
    }

    fn write(&self, path: String, content: &[u8]) -> Result<(), RequestError> {
        self.files.write(&path, content).map_err(|error| {
            tracing::error!(%path, %error, "cannot write");
            RequestError::Write { path, error }
        })
    }
}

fn scan_interval(settings: &Settings) -> i64 {
    i64::try_from(settings.namesrv.scan_not_active_broker_interval).unwrap_or(i64::MAX).max(1)
}

impl Service for Namesrv {
    fn serve(self: Arc<Self>, peer: &Arc<dyn Peer>, request: Command, now: Millis) -> Outcome {
        request::serve(self, peer, request, now)
    }

    fn closed(&self, peer: ConnectionId, _now: Millis) {
        let rules = self.rules();
        let mut state = self.state();
        state.registering.closed(peer);
        let removed = state.routes.closed(peer, &rules);
        drop(state);
        for member in &removed.members {
            tracing::info!(
                broker = %member.broker_name, id = member.broker_id, addr = %member.addr,
                "broker's connection closed"
            );
        }
        self.notify(removed.notices);
    }
}
