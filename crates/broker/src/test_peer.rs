//! A connection in memory, for tests.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use skua_protocol::Command;
use skua_protocol::service::{BoxFuture, ConnectionId, Peer, PeerError};

use crate::swap_map::lock;

pub struct TestPeer {
    id: u64,
    notified: Mutex<Vec<Command>>,
    closed: AtomicBool,
}

impl TestPeer {
    pub fn new(id: u64) -> Arc<Self> {
        Arc::new(Self { id, notified: Mutex::default(), closed: AtomicBool::new(false) })
    }

    /// The one-way requests sent to the client since this was last asked.
    pub fn take_notified(&self) -> Vec<Command> {
        std::mem::take(&mut *lock(&self.notified))
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }
}

impl Peer for TestPeer {
    fn id(&self) -> ConnectionId {
        ConnectionId(self.id)
    }

    fn remote_addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 50_000 + self.id as u16))
    }

    fn local_addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 10_911))
    }

    fn notify(&self, request: Command) -> bool {
        lock(&self.notified).push(request);
        true
    }

    fn call(&self, _: Command, timeout_ms: u64) -> BoxFuture<Result<Command, PeerError>> {
        Box::pin(async move { Err(PeerError::Timeout(timeout_ms)) })
    }

    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }
}
