//! Requests that the name server itself sends to brokers.

use skua_protocol::Command;

/// Sends to a broker's own listening address. A broker's registration connection is no way to
/// it: a Java broker serves no request that comes in there.
pub trait Outbound: Send + Sync + 'static {
    /// Sends and forgets; must not block.
    fn one_way(&self, addr: &str, request: Command);
}
