//! The seam between connections and roles: what a role's handler is given and what it returns.
//!
//! `remoting` implements [`Peer`] over a socket; tests implement it in memory. A role implements
//! [`Service`]; it never sees a socket and never spawns.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use crate::command::Command;
use crate::units::Millis;

pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Names a connection for as long as the process lives; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// The other end of one connection.
pub trait Peer: Send + Sync + 'static {
    fn id(&self) -> ConnectionId;
    /// The client's address; behind a proxy the one that the PROXY preamble named.
    fn remote_addr(&self) -> SocketAddr;
    /// The address the client reached us at.
    fn local_addr(&self) -> SocketAddr;
    /// Queues a one-way request to the client; false if the connection is gone or its queue full.
    fn notify(&self, request: Command) -> bool;
    /// Sends a request to the client and waits for its answer, at most `timeout_ms`.
    fn call(&self, request: Command, timeout_ms: u64) -> BoxFuture<Result<Command, PeerError>>;
    /// Ends the connection; `Service::closed` follows.
    fn close(&self);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    #[error("the connection is closed")]
    Closed,
    #[error("no answer within {0} ms")]
    Timeout(u64),
    #[error("the connection's queue of outgoing bytes is full")]
    Full,
}

/// What a handler made of a request. For one-way requests any answer is dropped by the caller.
pub enum Outcome {
    /// The answer is ready.
    Reply(Command),
    /// The answer comes later (long poll, flush, replica); the future must not block its thread.
    Later(BoxFuture<Command>),
    /// Work that may block on the disk (cold reads, recovery, index queries): run on the bounded
    /// blocking pool. It returns an outcome again, since a read may end in a long poll.
    Blocking(Box<dyn FnOnce() -> Outcome + Send>),
}

/// A role: name server, broker.
pub trait Service: Send + Sync + 'static {
    /// Handles one request. Called on the connection's own task, so it must not block; `now` is
    /// the wall clock. The answer's `opaque` and codec are set by the caller.
    fn serve(self: Arc<Self>, peer: &Arc<dyn Peer>, request: Command, now: Millis) -> Outcome;

    /// Work that could wait until now: answers of the requests served since the last call are with
    /// the socket, those that come later aside. Called on a connection's task after every round of
    /// requests, so it must not block.
    fn round_ended(&self) {}

    /// The connection has ended, for whatever reason. Called exactly once for each connection.
    fn closed(&self, peer: ConnectionId, now: Millis);
}
