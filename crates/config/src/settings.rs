//! What was said, checked: the configuration a role runs with.

use std::collections::BTreeMap;

use crate::nearest::nearest;
use crate::properties::{self, Properties};
use crate::table::{
    AuthConfig, BrokerConfig, ClientConfig, ControllerConfig, Effect, Key, NamesrvConfig,
    ServerConfig, StoreConfig,
};
use crate::value::BrokerRole;
use crate::{Environment, Value};

/// Keys that RocketMQ's documentation misspells, or that are gone, and the right ones.
pub const ALIASES: &[(&str, &str)] = &[
    ("mapedFileSizeCommitLog", "mappedFileSizeCommitLog"),
    ("mapedFileSizeConsumeQueue", "mappedFileSizeConsumeQueue"),
    ("fileReserverdTime", "fileReservedTime"),
    ("haSlaveFallbehindMax", "haMaxGapNotInSync"),
    ("storePathConsumeQueue", "storePathConsumerQueue"),
];

/// Keys that Java's starter reads itself; they are in no configuration class.
const STARTER_KEYS: &[&str] = &["rmqAddressServerDomain", "rmqAddressServerSubGroup"];

/// Whose configuration it is: which classes a file feeds, and the default port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Broker,
    NameServer,
}

/// Why a role does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("{place}: {key}={given} is not accepted; {key} takes {accepted}")]
    BadValue { place: String, key: String, given: String, accepted: String },
    #[error("{key} is not a configuration key{}", suggestion(.nearest.as_deref()))]
    UnknownKey { key: String, nearest: Option<String> },
    #[error("{0}")]
    Inconsistent(String),
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"))
}

/// Something in a file that the operator ought to look at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    #[error("{place}: {key} is not a configuration key{}", suggestion(.nearest.as_deref()))]
    Unknown { place: String, key: String, nearest: Option<String> },
    #[error("{place}: {key} is read as {right}, its right spelling")]
    Misspelt { place: String, key: String, right: String },
    #[error("{place}: {key} is ignored, since {right} is given too")]
    Shadowed { place: String, key: String, right: String },
    #[error("{place}: {key} has no effect in Skua yet")]
    NoEffect { place: String, key: String },
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub role: Role,
    pub broker: BrokerConfig,
    pub server: ServerConfig,
    pub client: ClientConfig,
    pub store: StoreConfig,
    pub auth: AuthConfig,
    pub namesrv: NamesrvConfig,
    pub controller: ControllerConfig,
    /// What a file or the command line said, right spellings, unknown keys included.
    given: BTreeMap<String, String>,
}

impl Settings {
    /// The configuration of `role` from a file and `overrides` that win over it.
    pub fn load(
        role: Role,
        file: &Properties,
        overrides: &[(&str, &str)],
        env: &Environment,
    ) -> Result<(Self, Vec<Warning>), ConfigError> {
        let mut settings = Self::defaults(role, env);
        let mut warnings = Vec::new();
        for entry in file.iter() {
            let place = format!("{}:{}", file.source, entry.line);
            let mut key = entry.key.as_str();
            if let Some((_, right)) = ALIASES.iter().find(|(wrong, _)| *wrong == key) {
                let (key_said, right) = (key.to_owned(), (*right).to_owned());
                if file.get(&right).is_some() {
                    warnings.push(Warning::Shadowed { place, key: key_said, right });
                    continue;
                }
                let place = place.clone();
                warnings.push(Warning::Misspelt { place, key: key_said, right });
                key =
                    ALIASES.iter().find(|(wrong, _)| *wrong == key).map_or(key, |(_, right)| right);
            }
            let value = env.expand(&entry.value);
            if !settings.set(key, &value, &place)? {
                let place = place.clone();
                let known = settings.keys().map(|row| row.name);
                let nearest = nearest(key, known).map(str::to_owned);
                warnings.push(Warning::Unknown { place, key: key.to_owned(), nearest });
            } else if settings.is_inert(key) {
                warnings.push(Warning::NoEffect { place, key: key.to_owned() });
            }
        }
        for (key, value) in overrides {
            settings.set(key, value, "command line")?;
        }
        settings.derive()?;
        Ok((settings, warnings))
    }

    fn defaults(role: Role, env: &Environment) -> Self {
        let mut broker = BrokerConfig::new(env);
        let mut server = ServerConfig::new(env);
        let mut store = StoreConfig::new(env);
        match role {
            Role::Broker => {
                (broker.listen_port, server.listen_port) = (10911, 10911);
                store.ha_listen_port = 0;
            }
            Role::NameServer => server.listen_port = 9876,
        }
        Self {
            role,
            broker,
            server,
            client: ClientConfig::new(env),
            store,
            auth: AuthConfig::new(env),
            namesrv: NamesrvConfig::new(env),
            controller: ControllerConfig::new(env),
            given: BTreeMap::new(),
        }
    }

    /// Whether `key`, in its right spelling, was given rather than left at its default.
    pub fn is_given(&self, key: &str) -> bool {
        self.given.contains_key(key)
    }

    /// The rows of the role's classes; a key of several classes comes several times, as in Java
    /// each class takes it.
    pub fn keys(&self) -> impl Iterator<Item = &'static Key> {
        let classes: &[&'static [Key]] = match self.role {
            Role::Broker => &[
                BrokerConfig::KEYS,
                ServerConfig::KEYS,
                ClientConfig::KEYS,
                StoreConfig::KEYS,
                AuthConfig::KEYS,
            ],
            Role::NameServer => &[
                NamesrvConfig::KEYS,
                ServerConfig::KEYS,
                ClientConfig::KEYS,
                ControllerConfig::KEYS,
            ],
        };
        classes.iter().flat_map(|keys| keys.iter())
    }

    /// Every key with its value, and unknown keys that were given, sorted by key: what
    /// `getBrokerConfig` and `getNamesrvConfig` answer.
    pub fn pairs(&self) -> BTreeMap<String, String> {
        let mut pairs = self.given.clone();
        let classes = match self.role {
            Role::Broker => vec![
                self.auth.pairs(),
                self.store.pairs(),
                self.client.pairs(),
                self.server.pairs(),
                self.broker.pairs(),
            ],
            Role::NameServer => vec![
                self.controller.pairs(),
                self.client.pairs(),
                self.server.pairs(),
                self.namesrv.pairs(),
            ],
        };
        pairs.extend(classes.into_iter().flatten().map(|(key, value)| (key.to_owned(), value)));
        pairs
    }

    /// [`pairs`](Self::pairs) as the text of a properties file.
    pub fn to_text(&self) -> String {
        let pairs = self.pairs();
        properties::write(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())))
    }

    /// The configuration with some keys changed, as `updateBrokerConfig` and
    /// `updateNamesrvConfig` ask for; nothing is changed if one of them is unknown or wrong.
    pub fn updated(&self, changes: &Properties) -> Result<Self, ConfigError> {
        let mut settings = self.clone();
        for entry in changes.iter() {
            settings.update(&entry.key, &entry.value)?;
        }
        Ok(settings)
    }

    /// Changes one key.
    pub fn update(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        let kept = self.given.contains_key(key);
        if !self.set(key, value, "the request")? && !kept {
            self.given.remove(key);
            let nearest = nearest(key, self.keys().map(|row| row.name)).map(str::to_owned);
            return Err(ConfigError::UnknownKey { key: key.to_owned(), nearest });
        }
        self.derive()
    }

    /// False if no class of the role has the key, which is kept all the same.
    fn set(&mut self, key: &str, value: &str, place: &str) -> Result<bool, ConfigError> {
        let outcomes = match self.role {
            Role::Broker => vec![
                self.broker.set(key, value),
                self.server.set(key, value),
                self.client.set(key, value),
                self.store.set(key, value),
                self.auth.set(key, value),
            ],
            Role::NameServer => vec![
                self.namesrv.set(key, value),
                self.server.set(key, value),
                self.client.set(key, value),
                self.controller.set(key, value),
            ],
        };
        if outcomes.contains(&Some(false)) {
            let accepted = self.keys().find(|row| row.name == key).map_or("", |row| row.accepts);
            return Err(ConfigError::BadValue {
                place: place.to_owned(),
                key: key.to_owned(),
                given: value.to_owned(),
                accepted: accepted.to_owned(),
            });
        }
        self.given.insert(key.to_owned(), value.to_owned());
        Ok(outcomes.contains(&Some(true)) || STARTER_KEYS.contains(&key))
    }

    fn is_inert(&self, key: &str) -> bool {
        self.keys().filter(|row| row.name == key).all(|row| row.effect == Effect::Inert)
    }

    /// Java's rules for what follows from other keys, and what cannot be.
    fn derive(&mut self) -> Result<(), ConfigError> {
        if self.role == Role::NameServer {
            return Ok(());
        }
        check_addresses(&self.broker.namesrv_addr)?;
        let store = &mut self.store;
        if store.store_type != "default" {
            return Err(ConfigError::Inconsistent(format!(
                "storeType={}: Skua keeps RocketMQ's file-based stores (storeType=default) only; \
                 a RocksDB store must be moved with RocketMQ's own tools first",
                store.store_type
            )));
        }
        match store.broker_role {
            BrokerRole::AsyncMaster | BrokerRole::SyncMaster => self.broker.broker_id = 0,
            BrokerRole::Slave if self.broker.broker_id <= 0 => {
                return Err(ConfigError::Inconsistent(format!(
                    "Slave's brokerId must be > 0, it is {}",
                    self.broker.broker_id
                )));
            }
            BrokerRole::Slave => {}
        }
        if store.enable_dleger_commit_log && self.broker.enable_controller_mode {
            return Err(ConfigError::Inconsistent(
                "The config enableControllerMode and enableDLegerCommitLog cannot both be true."
                    .into(),
            ));
        }
        if store.ha_listen_port == 0 {
            store.ha_listen_port = self.server.listen_port.wrapping_add(1);
        }
        let root = store.store_path_root_dir.trim_end_matches('/').to_owned();
        if store.store_path_commit_log.is_empty() {
            store.store_path_commit_log = format!("{root}/commitlog");
        }
        if store.store_path_consumer_queue.is_empty() {
            store.store_path_consumer_queue = format!("{root}/consumequeue");
        }
        for (key, value, least) in [
            ("mappedFileSizeCommitLog", i64::from(store.mapped_file_size_commit_log), 4096),
            ("mappedFileSizeConsumeQueue", i64::from(store.mapped_file_size_consume_queue), 20),
            ("maxMessageSize", i64::from(store.max_message_size), 1),
        ] {
            if value < least {
                return Err(ConfigError::BadValue {
                    place: "configuration".into(),
                    key: key.into(),
                    given: value.to_string(),
                    accepted: format!("{} of at least {least}", i32::ACCEPTS),
                });
            }
        }
        Ok(())
    }
}

fn check_addresses(list: &str) -> Result<(), ConfigError> {
    for addr in list.split(';').map(str::trim).filter(|addr| !addr.is_empty()) {
        let port = addr.rsplit_once(':').and_then(|(host, port)| {
            port.parse::<u16>().ok().filter(|port| *port != 0 && !host.is_empty())
        });
        if port.is_none() {
            return Err(ConfigError::Inconsistent(format!(
                "The Name Server Address[{list}] illegal at {addr}, please set it as follows, \
                 \"127.0.0.1:9876;192.168.0.1:9876\""
            )));
        }
    }
    Ok(())
}
