//! What was said, checked: the configuration that a role runs with.

mod load;
mod report;

use std::collections::{BTreeMap, BTreeSet};

pub use report::{ConfigError, Warning};

use crate::nearest::nearest;
use crate::properties::{self, Properties};
use crate::table::{
    AuthConfig, BrokerConfig, ClientConfig, ControllerConfig, Effect, Key, NamesrvConfig, Part,
    ServerConfig, StoreConfig, TlsConfig,
};
use crate::value::{BrokerRole, Value};
use crate::{Environment, table};

/// Whose configuration it is: which classes a file feeds, and the default port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Broker,
    NameServer,
}

/// The configuration of one role. Fields are as at the start, but for live keys; what a change by
/// request means for the next start is listed, not in the fields.
#[derive(Clone, Debug)]
pub struct Settings {
    pub role: Role,
    pub broker: BrokerConfig,
    pub server: ServerConfig,
    pub client: ClientConfig,
    pub store: StoreConfig,
    pub auth: AuthConfig,
    pub tls: TlsConfig,
    pub namesrv: NamesrvConfig,
    pub controller: ControllerConfig,
    env: Environment,
    /// What a file or the command line said, by the right spellings, unknown keys included.
    given: BTreeMap<String, String>,
    /// Which of them were given by an alias.
    misspelt: BTreeSet<String>,
    /// What requests changed since the start.
    changed: BTreeMap<String, String>,
}

impl Settings {
    /// Whether `key` was given in its right spelling, so that it is meant. A misspelt one may have
    /// been without effect for years, Java ignoring it; what exists must not be held against it.
    pub fn is_given(&self, key: &str) -> bool {
        self.given.contains_key(key) && !self.misspelt.contains(key)
    }

    /// What the file or the command line said of `key`.
    pub fn given(&self, key: &str) -> Option<&str> {
        self.given.get(key).map(String::as_str)
    }

    /// The rows of the role's classes; a key of several classes comes several times, and as in
    /// Java each class takes it.
    pub fn keys(&self) -> impl Iterator<Item = &'static Key> {
        self.parts().into_iter().flat_map(|part| part.keys())
    }

    /// Every key that has a value, and unknown keys that were given, sorted: what
    /// `getBrokerConfig` and `getNamesrvConfig` answer. As in Java without the keys of
    /// authentication and TLS, some of which are secrets, and for a name server without outgoing
    /// connections.
    pub fn pairs(&self) -> BTreeMap<String, String> {
        let mut pairs = self.given.clone();
        let listed: Vec<&dyn Part> = match self.role {
            Role::Broker => vec![&self.broker, &self.server, &self.client, &self.store],
            Role::NameServer => vec![&self.namesrv, &self.server],
        };
        for part in listed {
            for row in part.keys() {
                if let Some(value) = self.value(part, row) {
                    pairs.insert(row.name.to_owned(), value);
                }
            }
        }
        pairs.extend(self.changed.clone());
        let secret = || AuthConfig::KEYS.iter().chain(TlsConfig::KEYS);
        pairs.retain(|key, _| secret().all(|row| row.name != key));
        pairs
    }

    /// [`pairs`](Self::pairs) as the text of a properties file.
    pub fn to_text(&self) -> String {
        let pairs = self.pairs();
        properties::write(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())))
    }

    /// The lines that `-p` prints, or with `important` those of `-m`: `key=value`, class by class,
    /// with nothing after `=` for keys that have no value (Java: `MixAll.printObjectProperties`).
    pub fn listing(&self, important: bool) -> String {
        let mut out = String::new();
        for part in self.parts() {
            for row in part.keys().iter().filter(|row| row.important || !important) {
                let value = self.value(part, row).unwrap_or_default();
                out.push_str(&format!("{}={value}\n", row.name));
            }
        }
        out
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

    /// Changes one key, in its field if it is live. Of a key in several classes the effect is the
    /// first one's.
    pub fn update(&mut self, key: &str, value: &str) -> Result<Effect, ConfigError> {
        let key = self.right_spelling(key).unwrap_or(key);
        let Some(effect) = self.keys().find(|row| row.name == key).map(|row| row.effect) else {
            let nearest = nearest(key, self.keys().map(|row| row.name)).map(str::to_owned);
            return Err(ConfigError::UnknownKey { key: key.to_owned(), nearest });
        };
        self.check(key, value, "the request")?;
        if effect == Effect::Live {
            self.assign(key, value, "the request")?;
        }
        self.changed.insert(key.to_owned(), value.to_owned());
        Ok(effect)
    }

    /// The configuration of a broker whose role has changed, and stays so over a restart.
    pub fn with_role(&self, role: BrokerRole, broker_id: i64) -> Result<Self, ConfigError> {
        let mut settings = self.clone();
        for (key, value) in [("brokerRole", role.show()), ("brokerId", broker_id.show())] {
            let value = value.unwrap_or_default();
            settings.assign(key, &value, "the new role")?;
            settings.changed.insert(key.to_owned(), value);
        }
        Ok(settings)
    }

    /// What [`update`](Self::update) changed since the start: what has to go into the file for the
    /// next one, by [`properties::edit`].
    pub fn changes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.changed.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    fn parts(&self) -> Vec<&dyn Part> {
        match self.role {
            Role::Broker => {
                vec![&self.broker, &self.server, &self.client, &self.store, &self.auth, &self.tls]
            }
            Role::NameServer => {
                vec![&self.namesrv, &self.server, &self.client, &self.tls, &self.controller]
            }
        }
    }

    fn parts_mut(&mut self) -> Vec<&mut dyn Part> {
        match self.role {
            Role::Broker => vec![
                &mut self.broker,
                &mut self.server,
                &mut self.client,
                &mut self.store,
                &mut self.auth,
                &mut self.tls,
            ],
            Role::NameServer => {
                vec![
                    &mut self.namesrv,
                    &mut self.server,
                    &mut self.client,
                    &mut self.tls,
                    &mut self.controller,
                ]
            }
        }
    }

    /// The value of a row: its field's, else what was given, else the default.
    fn value(&self, part: &dyn Part, row: &Key) -> Option<String> {
        match part.get(row.name) {
            Some(value) => value,
            None => self.given.get(row.name).cloned().or_else(|| row.default(&self.env)),
        }
    }

    fn right_spelling(&self, key: &str) -> Option<&'static str> {
        self.keys().find(|row| row.aliases.contains(&key)).map(|row| row.name)
    }

    /// Whether every class that has the key accepts the value.
    fn check(&self, key: &str, value: &str, place: &str) -> Result<(), ConfigError> {
        for row in self.keys().filter(|row| row.name == key) {
            row.check(value).map_err(|accepted| bad_value(place, key, value, accepted))?;
        }
        Ok(())
    }

    /// Sets the fields of the key, in every class that has one.
    fn assign(&mut self, key: &str, value: &str, place: &str) -> Result<(), ConfigError> {
        for part in self.parts_mut() {
            part.set(key, value).map_err(|accepted| bad_value(place, key, value, accepted))?;
        }
        Ok(())
    }

    /// The class that a key belongs to, if it is one that this role does not read.
    fn class_elsewhere(&self, key: &str) -> Option<&'static str> {
        let rows = table::classes().into_iter().flat_map(|(_, keys)| keys);
        rows.filter(|row| row.name == key).map(|row| row.class).next()
    }
}

fn bad_value(place: &str, key: &str, given: &str, accepted: String) -> ConfigError {
    ConfigError::BadValue {
        place: place.to_owned(),
        key: key.to_owned(),
        given: given.to_owned(),
        accepted,
    }
}
