//! Registrations whose long body is being read while their connection goes on.

use std::collections::BTreeMap;

use skua_protocol::service::ConnectionId;

/// How many each connection has; bounded by the requests in flight of a connection.
#[derive(Debug, Default)]
pub struct Registering(BTreeMap<ConnectionId, usize>);

impl Registering {
    pub fn begin(&mut self, peer: ConnectionId) {
        *self.0.entry(peer).or_default() += 1;
    }

    /// Ends what [`begin`](Self::begin) began; false if the connection has ended meanwhile.
    pub fn end(&mut self, peer: ConnectionId) -> bool {
        let Some(count) = self.0.get_mut(&peer) else { return false };
        *count -= 1;
        if *count == 0 {
            self.0.remove(&peer);
        }
        true
    }

    pub fn closed(&mut self, peer: ConnectionId) {
        self.0.remove(&peer);
    }
}
