//! What the rules judge: a cluster as it was seen from here, without a word of judgement.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use skua_protocol::Millis;
use skua_protocol::body::HaRuntimeInfo;

#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub name_servers: Vec<NameServer>,
    pub brokers: Vec<Broker>,
    pub files: Vec<ConfigFile>,
}

/// One name server of the list that was given.
#[derive(Clone, Debug)]
pub struct NameServer {
    pub addr: String,
    /// What it knows, or why it did not answer.
    pub seen: Result<Seen, String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Cluster, broker name and broker id, with the address clients are sent to.
    pub brokers: BTreeMap<BrokerKey, String>,
    pub topics: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BrokerKey {
    pub cluster: String,
    pub name: String,
    pub id: i64,
}

impl std::fmt::Display for BrokerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.name, self.id)
    }
}

/// One address of a broker that a name server tells to clients.
#[derive(Clone, Debug)]
pub struct Broker {
    pub key: BrokerKey,
    pub addr: String,
    /// What it answered, or why it did not.
    pub answer: Result<Answer, String>,
}

impl Broker {
    pub fn is_master(&self) -> bool {
        self.key.id == 0
    }
}

/// What a broker tells of itself. A part that it did not answer is empty.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Our clock, in the middle between the question and the answer of `runtime`.
    pub asked_at: Millis,
    pub runtime: BTreeMap<String, String>,
    pub config: BTreeMap<String, String>,
    pub ha: Option<HaRuntimeInfo>,
    /// Topics, without those that brokers make for themselves.
    pub topics: BTreeSet<String>,
    pub groups: Vec<Group>,
    /// The end of the log once more, and how long after the first look.
    pub later: Option<(Duration, u64)>,
    /// Metrics of its HTTP port, by name without labels; several label sets are several values.
    pub metrics: BTreeMap<String, Vec<f64>>,
    /// Why it says that it is not ready (`/ready`).
    pub not_ready: Vec<String>,
}

impl Answer {
    pub fn number(&self, key: &str) -> Option<f64> {
        self.runtime.get(key)?.trim().parse().ok()
    }

    pub fn setting(&self, key: &str) -> Option<&str> {
        self.config.get(key).map(String::as_str)
    }

    pub fn metric(&self, name: &str) -> Option<f64> {
        self.metrics.get(name)?.first().copied()
    }

    /// Skua lists a key that Java's broker does not have.
    pub fn is_skua(&self) -> bool {
        self.config.contains_key("httpPort")
    }
}

/// A subscription group at one broker that has read something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    /// Messages of all its queues here that it has not consumed.
    pub lag: i64,
    /// Consumers that are connected; `None` if that was not asked, the group being up to date.
    pub consumers: Option<usize>,
}

/// A configuration file that was given.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    pub path: String,
    pub content: Result<Vec<u8>, String>,
}
