//! The handle to one connection that others hold: a [`Peer`] for handlers, the sending side for
//! [`Client`](crate::Client).
//!
//! Owner of what is shared with the connection's task: the queue of outgoing requests and the table
//! of calls that wait for an answer, both behind one short lock.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use skua_protocol::command::Command;
use skua_protocol::service::{BoxFuture, ConnectionId, Peer, PeerError};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// What a frame costs in the outgoing queue besides its texts and body.
const FRAME_OVERHEAD: usize = 128;

pub(crate) struct Link {
    id: ConnectionId,
    remote_addr: SocketAddr,
    local_addr: SocketAddr,
    /// The client's address according to a PROXY preamble.
    proxied_addr: OnceLock<SocketAddr>,
    outgoing_bytes_max: usize,
    calls_max: usize,
    /// Wakes the connection's task.
    waker: AtomicWaker,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    outgoing: Vec<Command>,
    outgoing_bytes: usize,
    calls: HashMap<i32, Call>,
    /// Not after the earliest `due` of `calls`.
    calls_due: Option<Instant>,
    opaque_next: i32,
    close_asked: bool,
    retired: bool,
    ended: Option<Arc<str>>,
}

struct Call {
    answer: oneshot::Sender<Result<Command, PeerError>>,
    due: Instant,
    timeout_ms: u64,
}

/// A call under way.
pub(crate) struct Waiting(oneshot::Receiver<Result<Command, PeerError>>);

impl Waiting {
    pub async fn answer(self) -> Result<Command, PeerError> {
        self.0.await.unwrap_or(Err(PeerError::Closed))
    }
}

/// What the connection's task has to do for others.
pub(crate) struct Outgoing {
    pub requests: Vec<Command>,
    pub close_asked: bool,
    pub calls_due: Option<Instant>,
}

impl Link {
    pub fn new(
        id: ConnectionId,
        remote_addr: SocketAddr,
        local_addr: SocketAddr,
        limits: &crate::Limits,
    ) -> Self {
        Self {
            id,
            remote_addr: canonical(remote_addr),
            local_addr: canonical(local_addr),
            proxied_addr: OnceLock::new(),
            outgoing_bytes_max: limits.outgoing_bytes_queued_max,
            calls_max: limits.calls_max,
            waker: AtomicWaker::new(),
            state: Mutex::default(),
        }
    }

    /// Sends `request` and starts waiting. Its opaque is chosen here.
    pub fn start_call(&self, mut request: Command, timeout_ms: u64) -> Result<Waiting, PeerError> {
        let (answer, waiting) = oneshot::channel();
        let due = Instant::now() + Duration::from_millis(timeout_ms);
        let mut state = self.lock();
        if state.calls.len() >= self.calls_max {
            return Err(PeerError::Full);
        }
        let opaque = state.free_opaque();
        request.opaque = opaque;
        let was_idle = state.push(request, self.outgoing_bytes_max)?;
        state.calls.insert(opaque, Call { answer, due, timeout_ms });
        let sooner = state.calls_due.is_none_or(|earliest| due < earliest);
        if sooner {
            state.calls_due = Some(due);
        }
        drop(state);
        if was_idle || sooner {
            self.waker.wake();
        }
        Ok(Waiting(waiting))
    }

    /// Sends a one-way request.
    pub fn send(&self, request: Command) -> Result<(), PeerError> {
        let mut state = self.lock();
        let opaque = state.free_opaque();
        let request = Command { opaque, ..request.one_way() };
        let was_idle = state.push(request, self.outgoing_bytes_max)?;
        drop(state);
        if was_idle {
            self.waker.wake();
        }
        Ok(())
    }

    /// Whether new requests should take this connection.
    pub fn is_open(&self) -> bool {
        let state = self.lock();
        state.ended.is_none() && !state.close_asked && !state.retired
    }

    /// New requests shall take another connection; calls under way go on.
    pub fn retire(&self) {
        self.lock().retired = true;
    }

    /// Why the connection ended, once it has.
    pub fn ended(&self) -> Option<Arc<str>> {
        self.lock().ended.clone()
    }

    // What follows is for the connection's task.

    pub fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    pub fn wake(&self) {
        self.waker.wake();
    }

    pub fn set_proxied_addr(&self, addr: SocketAddr) {
        // Only the first preamble of a connection is parsed, so this is set once.
        let _ = self.proxied_addr.set(canonical(addr));
    }

    /// Without `room` the requests stay where their queue is bounded.
    pub fn take_outgoing(&self, room: bool) -> Outgoing {
        let mut state = self.lock();
        let mut requests = Vec::new();
        if room {
            state.outgoing_bytes = 0;
            requests = std::mem::take(&mut state.outgoing);
        }
        Outgoing { requests, close_asked: state.close_asked, calls_due: state.calls_due }
    }

    pub fn has_calls(&self) -> bool {
        let state = self.lock();
        !state.calls.is_empty() || !state.outgoing.is_empty()
    }

    /// Hands an answer to its call; false if nobody waits for it (any more).
    pub fn answer(&self, response: Command) -> bool {
        let call = self.lock().calls.remove(&response.opaque);
        call.is_some_and(|call| call.answer.send(Ok(response)).is_ok())
    }

    /// Ends the calls that are due; tells when the next is.
    pub fn expire_calls(&self, now: Instant) -> Option<Instant> {
        let mut expired = Vec::new();
        let mut state = self.lock();
        expired.extend(state.calls.extract_if(|_, call| call.due <= now).map(|(_, call)| call));
        state.calls_due = state.calls.values().map(|call| call.due).min();
        let next = state.calls_due;
        drop(state);
        for call in expired {
            // The caller may have stopped waiting by itself.
            let _ = call.answer.send(Err(PeerError::Timeout(call.timeout_ms)));
        }
        next
    }

    /// Marks the connection as ended; calls under way fail.
    pub fn end(&self, cause: Arc<str>) {
        let mut state = self.lock();
        state.ended.get_or_insert(cause);
        state.outgoing = Vec::new();
        let calls = std::mem::take(&mut state.calls);
        drop(state);
        // A waker keeps the memory of its task, and peers may be kept for long.
        drop(self.waker.take());
        // Dropping the senders tells the callers; outside the lock, since it may wake them inline.
        drop(calls);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn free_opaque(&mut self) -> i32 {
        loop {
            let opaque = self.opaque_next;
            self.opaque_next = opaque.wrapping_add(1);
            if !self.calls.contains_key(&opaque) {
                return opaque;
            }
        }
    }

    /// Queues `request`; tells whether the task may be asleep over it.
    fn push(&mut self, request: Command, bytes_max: usize) -> Result<bool, PeerError> {
        if self.ended.is_some() || self.close_asked {
            return Err(PeerError::Closed);
        }
        let texts: usize =
            request.fields.iter().map(|(name, value)| name.len() + value.len() + 6).sum();
        let bytes = FRAME_OVERHEAD + texts + request.body.len();
        if self.outgoing_bytes > 0 && self.outgoing_bytes + bytes > bytes_max {
            return Err(PeerError::Full);
        }
        self.outgoing_bytes += bytes;
        self.outgoing.push(request);
        Ok(self.outgoing.len() == 1)
    }
}

impl Peer for Link {
    fn id(&self) -> ConnectionId {
        self.id
    }

    fn remote_addr(&self) -> SocketAddr {
        self.proxied_addr.get().copied().unwrap_or(self.remote_addr)
    }

    fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    fn notify(&self, request: Command) -> bool {
        self.send(request).is_ok()
    }

    fn call(&self, request: Command, timeout_ms: u64) -> BoxFuture<Result<Command, PeerError>> {
        let started = self.start_call(request, timeout_ms);
        Box::pin(async move { started?.answer().await })
    }

    fn close(&self) {
        self.lock().close_asked = true;
        self.waker.wake();
    }
}

/// A dual-stack socket shows IPv4 clients as mapped IPv6 addresses; stored hosts and client lists
/// must show them as what they are.
pub fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}
