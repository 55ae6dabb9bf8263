//! What a broker is given when it is made.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use skua_config::{ConfigError, Settings};
use skua_ha::Replicas;
use skua_protocol::body::RouteData;
use skua_protocol::request::{HandOver, HandOverResponse, RaftControl, TakeOver, TakeOverResponse};
use skua_protocol::service::BoxFuture;
use skua_protocol::{Command, Millis};
use skua_store::{ConfigFiles, Store};

use crate::delay::DelayLevelError;
use crate::files::{Files, LoadError};
use crate::sql92::bloom::BloomError;
use crate::users::UsersError;

pub struct BrokerOptions {
    pub settings: Arc<Settings>,
    pub store: Arc<Store>,
    pub outside: Arc<dyn Outside>,
    /// Where clients reach the broker, as message ids hold it.
    pub address: SocketAddr,
    /// The same as the name servers hand it out: `host:port`.
    pub broker_addr: String,
    /// The slaves of this broker.
    pub replicas: Arc<Replicas>,
    /// Where slaves reach it: `brokerIP2:haListenPort`.
    pub ha_address: String,
    /// For the ids of messages that come without one.
    pub process_id: u16,
    pub salt: u32,
}

/// What the broker asks of the process around it.
pub trait Outside: Send + Sync + 'static {
    /// Registers at the name servers what [`changes`](crate::Broker::changes) gives, soon and
    /// whether or not the future is polled. The future ends when a registration that began after
    /// this call is done, or the time limit for it has passed.
    fn register(&self) -> BoxFuture<()>;
    /// The topic's route as the name servers have it; `None` if none of them knows the topic or can
    /// be reached. May be some seconds old.
    fn route(&self, topic: &str) -> BoxFuture<Option<RouteData>>;
    /// [`run_due`](crate::Broker::run_due) is to be called at `at`, earlier than it said itself.
    fn wake(&self, at: Millis);
    /// A broker of the group tells where the master is: for replication, and for requests.
    fn master_is_at(&self, ha: &str, address: Option<&str>);
    /// Sends a request to the master of another broker of the cluster, by its name.
    fn call_broker(
        &self,
        name: &str,
        request: Command,
        timeout_ms: u64,
    ) -> BoxFuture<Result<Command, String>>;
    /// Where the master of this broker's group takes requests, as far as is known.
    fn master(&self) -> Option<String>;
    /// Sends a request to an address.
    fn call(
        &self,
        addr: &str,
        request: Command,
        timeout_ms: u64,
    ) -> BoxFuture<Result<Command, CallFailed>>;
    /// How the broker's group stands, as JSON, after what was asked for is done.
    fn raft_control(&self, asked: RaftControl) -> BoxFuture<Result<Vec<u8>, String>>;
    /// Gives this master's role to a slave, or says why not.
    fn hand_over(&self, asked: HandOver) -> BoxFuture<Result<HandOverResponse, String>>;
    /// Takes the master's role over, or says why not.
    fn take_over(&self, asked: TakeOver) -> BoxFuture<Result<TakeOverResponse, String>>;
    /// A moment as `yyyy-MM-dd#HH:mm:ss:SSS` in the machine's time zone.
    fn local_text(&self, at: Millis) -> String;
    /// Puts the changed keys of `settings` into the configuration file for the next start; does
    /// nothing if the broker was started without one.
    fn save_settings(&self, settings: &Settings) -> io::Result<()>;
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallFailed {
    /// Nobody has got it.
    #[error("{0}")]
    NotSent(String),
    /// What became of it is not known.
    #[error("{0}")]
    NoAnswer(String),
}

/// Why a broker cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    File(#[from] LoadError),
    #[error(transparent)]
    DelayLevels(#[from] DelayLevelError),
    #[error(transparent)]
    Bloom(#[from] BloomError),
    #[error(transparent)]
    Users(#[from] UsersError),
}

/// The store's folder of configuration files.
pub struct StoreFiles(pub ConfigFiles);

impl Files for StoreFiles {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.0.read(name).map_err(io::Error::other)
    }

    fn read_backup(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.0.read_backup(name).map_err(io::Error::other)
    }

    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.0.write(name, content).map_err(io::Error::other)
    }

    fn write_private(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.0.write_private(name, content).map_err(io::Error::other)
    }
}

/// Why the configuration stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("the configuration file cannot be written: {0}")]
    Save(#[from] io::Error),
}
