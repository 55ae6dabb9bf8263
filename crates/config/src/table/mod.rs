//! The one table of configuration keys.
//!
//! ```text
//! /// What the key means, with its unit.
//! restart @important store_root "storeRoot" | "misspeltRoot": String = "x".into(), in 1..=255;
//! /// What it would mean.
//! inert "otherKey": bool = true;
//! ```
//!
//! A row's first word is its [`Effect`]. A row with a field is obeyed: code reads that field. A row
//! without one is known, checked and listed, and no code can read it; to obey the key, give its row
//! a field and another first word. From the rows come the structs, the reading of files, listings,
//! what may change while running, the warnings, and `docs/configuration.md`.

mod auth;
mod broker;
mod client;
mod client_library;
mod controller;
mod macros;
mod namesrv;
mod server;
mod store;
mod tls;

pub use auth::AuthConfig;
pub use broker::BrokerConfig;
pub use client::ClientConfig;
pub use client_library::ClientLibraryConfig;
pub use controller::ControllerConfig;
pub use namesrv::NamesrvConfig;
pub use server::ServerConfig;
pub use store::StoreConfig;
pub use tls::TlsConfig;

use crate::Environment;
use macros::config_table;

/// Why a key that would choose RocksDB has one value only.
const FILES_ONLY: &str = "Skua keeps stores, queues and tables in RocketMQ's files, not in RocksDB";

/// Why a key that Skua does not serve yet has one value only.
const NOT_SERVED: &str = "Skua does not serve this yet, and to go on without it would do harm";

/// What setting a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Obeyed; a change while running counts at once.
    Live,
    /// Obeyed; a change while running counts from the next start.
    Restart,
    /// Known and kept, but without effect.
    Inert,
    /// The default is all there is: another value would ask for RocksDB and stops the start.
    Refused,
    /// The default is all there is yet: to pass over another value would open what its author
    /// wanted closed, or make masters of brokers that were to be one group. It stops the start.
    NotServed,
    /// RocketMQ has the field, but no file sets it.
    Unset,
}

/// A row of the table.
#[derive(Debug)]
pub struct Key {
    /// RocketMQ's configuration class.
    pub class: &'static str,
    pub name: &'static str,
    /// Misspelt and former names, read as this key with a warning.
    pub aliases: &'static [&'static str],
    pub effect: Effect,
    /// Whether `-m` lists it.
    pub important: bool,
    /// RocketMQ's type.
    pub type_name: &'static str,
    /// One sentence or phrase.
    pub doc: &'static str,
    shown: Option<&'static str>,
    default: fn(&Environment) -> Option<String>,
    check: fn(&str) -> Result<(), String>,
}

impl Key {
    /// The default on a machine; `None` is Java's `null`.
    pub fn default(&self, env: &Environment) -> Option<String> {
        (self.default)(env)
    }

    /// The default in words that hold for every machine.
    pub fn default_text(&self) -> String {
        match self.shown {
            Some(shown) => shown.to_owned(),
            None => self.default(&Environment::default()).unwrap_or_else(|| "null".into()),
        }
    }

    /// Whether a trimmed value is accepted; else, in words, what is.
    pub fn check(&self, value: &str) -> Result<(), String> {
        (self.check)(value)?;
        let default = self.default_text();
        let reason = match self.effect {
            Effect::Refused => FILES_ONLY,
            Effect::NotServed => NOT_SERVED,
            Effect::Live | Effect::Restart | Effect::Inert | Effect::Unset => return Ok(()),
        };
        if value.eq_ignore_ascii_case(&default) {
            return Ok(());
        }
        Err(format!("{default} only: {reason}"))
    }
}

/// One class of the table with the values of its fields.
pub(crate) trait Part {
    fn keys(&self) -> &'static [Key];

    /// Takes a value that its row has accepted; nothing happens if the key has no field here.
    fn set(&mut self, key: &str, value: &str) -> Result<(), String>;

    /// The value of the field of `key`; the outer `None` says that the key has no field here.
    fn get(&self, key: &str) -> Option<Option<String>>;
}

/// Every class, in the order of the documentation.
pub fn classes() -> [(&'static str, &'static [Key]); 9] {
    [
        ("Broker", BrokerConfig::KEYS),
        ("Store", StoreConfig::KEYS),
        ("Name server", NamesrvConfig::KEYS),
        ("Listening sockets", ServerConfig::KEYS),
        ("Outgoing connections", ClientConfig::KEYS),
        ("Authentication and authorization", AuthConfig::KEYS),
        ("TLS", TlsConfig::KEYS),
        ("Controller", ControllerConfig::KEYS),
        ("Client library", ClientLibraryConfig::KEYS),
    ]
}
