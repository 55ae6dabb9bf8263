//! From a file, the command line and the machine to [`Settings`].

use std::collections::{BTreeMap, BTreeSet};

use super::{ConfigError, Role, Settings, Warning, bad_value};
use crate::Environment;
use crate::nearest::nearest;
use crate::properties::{Entry, Properties};
use crate::table::{
    AuthConfig, BrokerConfig, ClientConfig, ControllerConfig, Effect, NamesrvConfig, ServerConfig,
    StoreConfig, TlsConfig,
};
use crate::value::BrokerRole;

const COMMAND_LINE: &str = "command line";

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
        for (index, entry) in file.iter().enumerate() {
            if file.iter().skip(index + 1).any(|later| later.key == entry.key) {
                let (place, key) = (file.place(entry), entry.key.clone());
                warnings.push(Warning::Repeated { place, key });
            } else {
                settings.take(file, entry, &mut warnings)?;
            }
        }
        for (key, value) in overrides {
            settings.check(key, value, COMMAND_LINE)?;
            settings.give(key, value, COMMAND_LINE)?;
        }
        match role {
            Role::Broker => settings.derive_broker(&file.source, &mut warnings)?,
            // Java: the file that was read is the one that changes are written to.
            Role::NameServer if !file.source.is_empty() => {
                settings.namesrv.config_store_path = file.source.clone();
            }
            Role::NameServer => {}
        }
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
            tls: TlsConfig::new(env),
            namesrv: NamesrvConfig::new(env),
            controller: ControllerConfig::new(env),
            env: env.clone(),
            given: BTreeMap::new(),
            misspelt: BTreeSet::new(),
            changed: BTreeMap::new(),
        }
    }

    /// Takes one line of the file.
    fn take(
        &mut self,
        file: &Properties,
        entry: &Entry,
        warnings: &mut Vec<Warning>,
    ) -> Result<(), ConfigError> {
        let (place, key) = (file.place(entry), entry.key.clone());
        let mut name = entry.key.as_str();
        let alias = self.right_spelling(name);
        if let Some(right) = alias {
            let (place, key, right_key) = (place.clone(), key.clone(), right.to_owned());
            if file.get(right).is_some() {
                warnings.push(Warning::Shadowed { place, key, right: right_key });
                return Ok(());
            }
            warnings.push(Warning::Misspelt { place, key, right: right_key });
            name = right;
        }
        let value = self.env.expand_noting(&entry.value, |variable| {
            let (place, key, variable) = (place.clone(), key.clone(), variable.to_owned());
            warnings.push(Warning::UnknownVariable { place, key, variable });
        });
        let effects = || self.keys().filter(|row| row.name == name).map(|row| row.effect);
        if effects().next().is_none() {
            let nearest = || nearest(name, self.keys().map(|row| row.name)).map(str::to_owned);
            warnings.push(match self.class_elsewhere(name) {
                Some(class) => Warning::Elsewhere { place, key, class },
                None => Warning::Unknown { nearest: nearest(), place, key },
            });
            self.given.insert(name.to_owned(), value);
            return Ok(());
        }
        if effects().all(|effect| effect == Effect::Unset) {
            warnings.push(Warning::NotSettable { place, key });
            return Ok(());
        }
        self.check(name, &value, &place)?;
        if effects().all(|effect| matches!(effect, Effect::Inert | Effect::Unset)) {
            warnings.push(Warning::NoEffect { place: place.clone(), key: key.clone() });
        }
        self.give(name, &value, &place)?;
        if alias.is_some() {
            self.misspelt.insert(name.to_owned());
        }
        Ok(())
    }

    fn give(&mut self, key: &str, value: &str, place: &str) -> Result<(), ConfigError> {
        self.assign(key, value, place)?;
        self.given.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    /// Java's rules for what follows from other keys, and what cannot be (`BrokerStartup`).
    fn derive_broker(
        &mut self,
        file: &str,
        warnings: &mut Vec<Warning>,
    ) -> Result<(), ConfigError> {
        let file = if file.is_empty() { "configuration" } else { file };
        let wrong = |text: String| Err(ConfigError::Inconsistent(format!("{file}: {text}")));

        if !self.is_given("namesrvAddr") {
            self.check("namesrvAddr", &self.env.namesrv_addr, "environment variable NAMESRV_ADDR")?;
        }
        match (self.store.broker_role, self.broker.broker_id) {
            // A group decides who is master; as in RocketMQ both keys mean nothing then.
            _ if self.store.enable_dleger_commit_log => {}
            (BrokerRole::Slave, 0) => {
                return wrong("brokerRole=SLAVE needs a brokerId above 0".into());
            }
            (BrokerRole::Slave, _) | (_, 0) => {}
            (BrokerRole::AsyncMaster | BrokerRole::SyncMaster, given) => {
                self.broker.broker_id = 0;
                warnings.push(Warning::Overruled {
                    key: "brokerId",
                    given: given.to_string(),
                    taken: "0".into(),
                    reason: "a master's id is 0; a slave has brokerRole=SLAVE",
                });
            }
        }
        let store = &mut self.store;
        if store.ha_listen_port == 0 && self.server.listen_port != 0 {
            let Some(port) = self.server.listen_port.checked_add(1) else {
                let given = self.server.listen_port.to_string();
                let accepted = "a port below 65535, or haListenPort beside it".into();
                return Err(bad_value(file, "listenPort", &given, accepted));
            };
            store.ha_listen_port = port;
        }
        let root = store.store_path_root_dir.trim_end_matches('/');
        if store.store_path_commit_log.is_empty() {
            store.store_path_commit_log = format!("{root}/commitlog");
        }
        Ok(())
    }
}
