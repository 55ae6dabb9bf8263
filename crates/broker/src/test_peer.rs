//! A connection in memory, for tests.

use std::collections::VecDeque;
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
    /// What the client answers next; without any it does not answer.
    answers: Mutex<VecDeque<Command>>,
    called: Mutex<Vec<Command>>,
}

impl TestPeer {
    pub fn new(id: u64) -> Arc<Self> {
        Arc::new(Self {
            id,
            notified: Mutex::default(),
            closed: AtomicBool::new(false),
            answers: Mutex::default(),
            called: Mutex::default(),
        })
    }

    /// The client answers a later call with this.
    pub fn will_answer(&self, answer: Command) {
        lock(&self.answers).push_back(answer);
    }

    /// The requests that the client was to answer since this was last asked.
    pub fn take_called(&self) -> Vec<Command> {
        std::mem::take(&mut *lock(&self.called))
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

    fn call(&self, request: Command, timeout_ms: u64) -> BoxFuture<Result<Command, PeerError>> {
        lock(&self.called).push(request);
        let answer = lock(&self.answers).pop_front().ok_or(PeerError::Timeout(timeout_ms));
        Box::pin(std::future::ready(answer))
    }

    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }
}
