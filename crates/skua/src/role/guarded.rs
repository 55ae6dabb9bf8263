//! A role behind its door: what is refused there never reaches the role.

use std::sync::Arc;

use skua_acl::{ACCESS_KEY, Door};
use skua_protocol::service::{ConnectionId, Outcome, Peer, Service};
use skua_protocol::{Command, Millis, RequestCode, ResponseCode};

/// Longest part of a stranger's words that goes into the log.
const LOGGED_LEN_MAX: usize = 64;

pub struct Guarded {
    door: Arc<Door>,
    service: Arc<dyn Service>,
}

/// `service` itself if its door checks nothing: then no request pays for it.
pub fn guarded(service: Arc<dyn Service>, door: &Arc<Door>) -> Arc<dyn Service> {
    match door.is_shut() {
        true => Arc::new(Guarded { door: door.clone(), service }),
        false => service,
    }
}

impl Service for Guarded {
    fn serve(self: Arc<Self>, peer: &Arc<dyn Peer>, request: Command, now: Millis) -> Outcome {
        let from = peer.remote_addr();
        let Err(refusal) = self.door.check(&request, from.ip()) else {
            return self.service.clone().serve(peer, request, now);
        };
        if let Some(unlogged) = self.door.denials.count(refusal.check(), now) {
            let who = request.fields.get(ACCESS_KEY).unwrap_or("nobody");
            let who: String = who.chars().take(LOGGED_LEN_MAX).collect();
            let what = RequestCode::from_i32(request.code).map_or("UNKNOWN", RequestCode::name);
            let why: String = refusal.to_string().chars().take(4 * LOGGED_LEN_MAX).collect();
            tracing::warn!(
                who = %who.escape_debug(), what, code = request.code, %from,
                why = %why.escape_debug(), unlogged_before = unlogged, "request denied"
            );
        }
        // Java: ACL 1.0 ends a request by an exception.
        let code = match refusal.is_plain() {
            true => ResponseCode::SystemError,
            false => ResponseCode::NoPermission,
        };
        Outcome::Reply(Command::error(code, refusal.to_string()))
    }

    fn round_ended(&self) {
        self.service.round_ended();
    }

    fn closed(&self, peer: ConnectionId, now: Millis) {
        self.service.closed(peer, now);
    }
}
