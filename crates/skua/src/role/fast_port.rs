//! The broker's second port, `listenPort` − 2: everything but consuming, so that sends get through
//! when consumers fill the first one (Java: `fastRemotingServer`).

use std::sync::Arc;

use skua_broker::Broker;
use skua_protocol::service::{ConnectionId, Outcome, Peer, Service};
use skua_protocol::{Command, Millis, RequestCode, ResponseCode};

pub struct FastPort(pub Arc<Broker>);

impl Service for FastPort {
    fn serve(self: Arc<Self>, peer: &Arc<dyn Peer>, request: Command, now: Millis) -> Outcome {
        match RequestCode::from_i32(request.code) {
            Some(
                RequestCode::PullMessage
                | RequestCode::LitePullMessage
                | RequestCode::PopMessage
                | RequestCode::PeekMessage
                | RequestCode::Notification
                | RequestCode::PollingInfo,
            ) => Outcome::Reply(Command::error(
                ResponseCode::RequestCodeNotSupported,
                format!(" request type {} not supported", request.code),
            )),
            _ => self.0.clone().serve(peer, request, now),
        }
    }

    fn round_ended(&self) {
        self.0.round_ended();
    }

    fn closed(&self, peer: ConnectionId, now: Millis) {
        self.0.closed(peer, now);
    }
}
