//! What name servers are told of the broker, and when.

use std::sync::Arc;

use skua_protocol::body::DataVersion;
use skua_protocol::request::UnregisterBroker;
use skua_protocol::service::BoxFuture;
use skua_protocol::{Millis, json};

use super::Broker;
use crate::registration::{Registration, ordered_topics};
use crate::topic_table::Topic;

impl Broker {
    /// Topics changed: the name servers are told soon. The future ends when they have been, and
    /// need not be waited for.
    pub(crate) fn topics_changed(&self) -> BoxFuture<()> {
        self.wake_to_log_tables(self.time_told());
        self.outside.register()
    }

    /// Everything is to be told anew.
    pub(crate) fn everything_changed(&self) -> BoxFuture<()> {
        self.topics.mark_all_unregistered();
        self.outside.register()
    }

    /// Everything, for a name server that knows nothing yet.
    pub fn registration(&self) -> Registration {
        // Taken first: what changes in between is told once more.
        let (version, _) = self.topics.take_unregistered();
        self.registration_of(version, &self.topics.all())
    }

    /// The topics changed since the last registration; `None` if none did.
    pub fn changes(&self) -> Option<Registration> {
        let (version, topics) = self.topics.take_unregistered();
        (!topics.is_empty()).then(|| self.registration_of(version, &topics))
    }

    fn registration_of(&self, version: DataVersion, topics: &[Arc<Topic>]) -> Registration {
        let settings = self.settings();
        let broker = &settings.broker;
        let (perm, compressed) = (broker.broker_permission, broker.compressed_register);
        let id = self.role().id();
        self.identity.registration(id, version, topics, &self.static_topics, perm, compressed)
    }

    /// What the name servers are told when the broker leaves.
    pub fn unregistration(&self) -> UnregisterBroker {
        self.identity.unregistration(self.role().id())
    }

    /// The version of the topics, for request 322 to a name server.
    pub fn data_version(&self) -> Vec<u8> {
        json::to_vec(&self.topics.version())
    }

    /// A name server's answer to a registration: its body lists ordered topics.
    pub fn registered(&self, body: &[u8], now: Millis) {
        let topics = ordered_topics(body);
        if let Err(error) = self.topics.mark_ordered(topics.iter().map(String::as_str), now) {
            tracing::error!(%error, "ordered topics not saved");
        }
    }
}
