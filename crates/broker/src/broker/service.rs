//! The broker as connections see it.

use std::sync::Arc;

use skua_protocol::service::{ConnectionId, Outcome, Peer, Service};
use skua_protocol::{Command, Millis};

use super::Broker;
use crate::request::error::RequestError;
use crate::request::{Call, serve};

/// Clients up to this version (`V5_3_1`) do not know that they may be sent away.
const VERSION_WITHOUT_GO_AWAY: i32 = 475;

impl Service for Broker {
    fn serve(self: Arc<Self>, peer: &Arc<dyn Peer>, request: Command, now: Millis) -> Outcome {
        self.tell_time(now);
        if self.is_stopping() && request.version > VERSION_WITHOUT_GO_AWAY {
            return Outcome::Reply(RequestError::GoAway.answer());
        }
        serve(&Call { broker: &self, peer, now }, request)
    }

    fn round_ended(&self) {
        self.store.dispatch_here();
    }

    fn closed(&self, peer: ConnectionId, now: Millis) {
        self.long_polls.closed(peer);
        self.pop.polls.closed(peer);
        self.pop.notifications.closed(peer);
        self.lite.polls.closed(peer);
        self.limits.closed(peer);
        // Java: of a connection that ends all its groups are told, whatever they are set to.
        self.consumers.closed(peer, |_| self.notifies_clients());
        self.bury_filters(now);
        self.producers.closed(peer);
    }
}
