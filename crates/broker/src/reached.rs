//! Clients that come by another address than they are given: others may not come at all.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Mutex;

use skua_protocol::service::Peer;

use crate::swap_map::lock;

/// Addresses that are warned of, each once; a machine has few.
const ADDRESSES_MAX: usize = 16;

#[derive(Debug, Default)]
pub struct Reached(Mutex<BTreeSet<IpAddr>>);

impl Reached {
    /// Looks by which address `peer` came; `given` is that of `address`, which clients are given.
    pub fn look(&self, peer: &dyn Peer, given: IpAddr, address: &str) {
        let at = peer.local_addr().ip().to_canonical();
        let from = peer.remote_addr().ip().to_canonical();
        if !is_doubtful(given, at, from) {
            return;
        }
        let mut warned = lock(&self.0);
        if warned.len() < ADDRESSES_MAX && warned.insert(at) {
            tracing::warn!(
                client = %from,
                reached_at = %at,
                given = address,
                "a client came by another address than clients are given; if they cannot reach \
                 that, set brokerIP1 (and advertisedPort)"
            );
        }
    }
}

/// Clients on the same machine reach any of its addresses and show nothing.
fn is_doubtful(given: IpAddr, at: IpAddr, from: IpAddr) -> bool {
    at != given && !from.is_loopback() && from != at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_from_elsewhere_by_another_address_is_doubtful() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let doubtful = |given, at, from| is_doubtful(ip(given), ip(at), ip(from));
        assert!(doubtful("172.17.0.2", "10.0.0.1", "10.0.0.9"));
        assert!(doubtful("127.0.0.1", "10.0.0.1", "10.0.0.9"));
        assert!(!doubtful("10.0.0.1", "10.0.0.1", "10.0.0.9"));
        assert!(!doubtful("10.0.0.1", "127.0.0.1", "127.0.0.1"));
        assert!(!doubtful("172.17.0.2", "10.0.0.1", "10.0.0.1"));
    }
}
