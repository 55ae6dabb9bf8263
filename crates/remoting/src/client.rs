//! Calls to other servers: connections kept by address, requests pipelined on them.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use skua_protocol::code::ResponseCode;
use skua_protocol::command::Command;
use skua_protocol::header::DecodeFieldsError;
use skua_protocol::request::Request;
use skua_protocol::service::{ConnectionId, Outcome, Peer, PeerError, Service};
use skua_protocol::units::Millis;
use tokio::time::{Instant, timeout_at};

use crate::connection;
use crate::dial::{self, DialError};
use crate::link::Link;
use crate::shared::{Shared, Stage};
use crate::tls::{ClientTls, Stream};
use crate::{AnswerCodec, Limits, Metrics};

#[derive(Clone, Debug)]
pub struct ClientOptions {
    pub limits: Limits,
    /// Milliseconds for looking up the name and connecting, within the call's own time
    /// (Java: `connectTimeoutMillis`).
    pub connect_timeout_ms: u64,
    /// More than one only pays when one connection's task is the bottleneck.
    pub connections_per_address: usize,
    /// What is done to every request before it is sent.
    pub hook: Option<Hook>,
    /// With it every connection is TLS.
    pub tls: Option<Arc<ClientTls>>,
}

/// Signs requests, as a rule (Java: `RPCHook.doBeforeRequest`).
#[derive(Clone)]
pub struct Hook(pub Arc<dyn Fn(&mut Command) + Send + Sync>);

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            connect_timeout_ms: 3_000,
            connections_per_address: 1,
            hook: None,
            tls: None,
        }
    }
}

/// Why a call has no answer, or not the wanted one.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("cannot find the address of {addr}: {source}")]
    Lookup { addr: String, source: io::Error },
    #[error("cannot connect to {addr}: {source}")]
    Connect { addr: String, source: io::Error },
    #[error("cannot connect to {addr} within {timeout_ms} ms")]
    ConnectTimeout { addr: String, timeout_ms: u64 },
    #[error("no answer from {addr} within {timeout_ms} ms")]
    Timeout { addr: String, timeout_ms: u64 },
    #[error("connection to {addr} ended: {cause}")]
    Closed { addr: String, cause: Arc<str> },
    #[error("too many requests wait for {addr}")]
    Full { addr: String },
    /// The next call opens a new connection.
    #[error("{addr} is stopping and asked to go away")]
    GoAway { addr: String },
    #[error("{addr} answered {}: {remark}", ResponseCodeText(*code))]
    Refused { addr: String, code: i32, remark: String },
    #[error("answer of {addr}: {source}")]
    Header { addr: String, source: DecodeFieldsError },
}

struct ResponseCodeText(i32);

impl std::fmt::Display for ResponseCodeText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match ResponseCode::from_i32(self.0) {
            Some(code) => code.fmt(f),
            None => self.0.fmt(f),
        }
    }
}

/// A pool of outbound connections, cheap to clone. Addresses are `host:port`; connections are made
/// at the first call and again at the first call after one ended. Dropping the last clone ends them.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    connect_timeout: Duration,
    connections_per_address: usize,
    hook: Option<Hook>,
    tls: Option<Arc<ClientTls>>,
    routes: Mutex<HashMap<String, Arc<Route>>>,
}

/// The connections to one address.
struct Route {
    slots: Box<[Slot]>,
    next: AtomicUsize,
}

#[derive(Default)]
struct Slot {
    link: Mutex<Option<Arc<Link>>>,
    /// Held while connecting, so that callers who come meanwhile share the result.
    connecting: tokio::sync::Mutex<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Client {
    /// A client whose servers' own requests are answered REQUEST_CODE_NOT_SUPPORTED.
    pub fn new(options: ClientOptions) -> Self {
        Self::with_handler(options, Arc::new(NoRequests))
    }

    /// A client whose servers' own requests go to `handler`.
    pub fn with_handler(options: ClientOptions, handler: Arc<dyn Service>) -> Self {
        Self(Arc::new(Inner {
            connect_timeout: Duration::from_millis(options.connect_timeout_ms),
            connections_per_address: options.connections_per_address.max(1),
            hook: options.hook,
            tls: options.tls,
            shared: Shared::new(handler, options.limits, AnswerCodec::default(), false, None),
            routes: Mutex::default(),
        }))
    }

    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.shared.metrics
    }

    /// Sends `request` and waits for its answer, connecting included, at most `timeout_ms`. Any
    /// response code is `Ok` here but GO_AWAY.
    pub async fn call(
        &self,
        addr: &str,
        mut request: Command,
        timeout_ms: u64,
    ) -> Result<Command, CallError> {
        self.0.prepare(&mut request);
        let due = Instant::now() + Duration::from_millis(timeout_ms);
        let link = self.link(addr, due).await?;
        let left_ms = match due.saturating_duration_since(Instant::now()) {
            Duration::ZERO => return Err(CallError::Timeout { addr: addr.to_owned(), timeout_ms }),
            left => left.as_millis().max(1) as u64,
        };
        let answer = match link.start_call(request, left_ms) {
            Ok(waiting) => waiting.answer().await,
            Err(error) => Err(error),
        };
        let answer = answer.map_err(|error| match error {
            PeerError::Timeout(_) => CallError::Timeout { addr: addr.to_owned(), timeout_ms },
            PeerError::Full => CallError::Full { addr: addr.to_owned() },
            PeerError::Closed => closed(addr, &link),
        })?;
        if answer.code == ResponseCode::GoAway as i32 {
            link.retire();
            return Err(CallError::GoAway { addr: addr.to_owned() });
        }
        Ok(answer)
    }

    /// [`call`](Self::call) with typed headers; any response code but SUCCESS is an error.
    pub async fn request<H: Request>(
        &self,
        addr: &str,
        header: &H,
        timeout_ms: u64,
    ) -> Result<H::Response, CallError> {
        let answer = self.request_with_body(addr, header, Bytes::new(), timeout_ms).await?;
        Ok(answer.0)
    }

    /// [`request`](Self::request) with a body each way.
    pub async fn request_with_body<H: Request>(
        &self,
        addr: &str,
        header: &H,
        body: impl Into<Bytes>,
        timeout_ms: u64,
    ) -> Result<(H::Response, Bytes), CallError> {
        let request = Command::request(header).with_body(body);
        let answer = self.call(addr, request, timeout_ms).await?;
        if answer.code != ResponseCode::Success as i32 {
            let remark = answer.remark.map(String::from).unwrap_or_default();
            return Err(CallError::Refused { addr: addr.to_owned(), code: answer.code, remark });
        }
        match answer.header() {
            Ok(header) => Ok((header, answer.body)),
            Err(source) => Err(CallError::Header { addr: addr.to_owned(), source }),
        }
    }

    /// Queues a request that gets no answer. `Ok` says that it is on its way, not that it arrived.
    pub async fn one_way(&self, addr: &str, mut request: Command) -> Result<(), CallError> {
        self.0.prepare(&mut request);
        let due = Instant::now() + self.0.connect_timeout;
        let link = self.link(addr, due).await?;
        link.send(request).map_err(|error| match error {
            PeerError::Full => CallError::Full { addr: addr.to_owned() },
            _ => closed(addr, &link),
        })
    }

    /// Waits for calls under way and for queued one-way requests to be written, at most `drain`,
    /// then ends all connections. Later calls fail.
    pub async fn close(&self, drain: Duration) {
        self.0.shared.stop(drain).await;
    }

    /// An open connection to `addr`.
    async fn link(&self, addr: &str, due: Instant) -> Result<Arc<Link>, CallError> {
        let route = self.route(addr);
        let slot = match &*route.slots {
            [only] => only,
            many => &many[route.next.fetch_add(1, Relaxed) % many.len()],
        };
        if let Some(link) = slot.open_link() {
            return Ok(link);
        }
        if self.0.shared.stage() != Stage::Running {
            return Err(CallError::Closed {
                addr: addr.to_owned(),
                cause: "closed by this side".into(),
            });
        }
        let started = Instant::now();
        let due = due.min(started + self.0.connect_timeout);
        let timed_out = || CallError::ConnectTimeout {
            addr: addr.to_owned(),
            timeout_ms: due.saturating_duration_since(started).as_millis() as u64,
        };
        let _connecting = timeout_at(due, slot.connecting.lock()).await.map_err(|_| timed_out())?;
        if let Some(link) = slot.open_link() {
            return Ok(link);
        }
        let link = self.connect(addr, due).await.map_err(|error| match error {
            DialError::Lookup(source) => CallError::Lookup { addr: addr.to_owned(), source },
            DialError::Connect(source) => CallError::Connect { addr: addr.to_owned(), source },
            DialError::Late => timed_out(),
        })?;
        *slot.lock() = Some(Arc::clone(&link));
        Ok(link)
    }

    async fn connect(&self, addr: &str, due: Instant) -> Result<Arc<Link>, DialError> {
        let link = |candidate| async move {
            let socket = dial::connect(candidate).await?;
            let stream = match &self.0.tls {
                Some(tls) => tls.connect(socket, addr).await?,
                None => Stream::plain(socket),
            };
            connection::spawn(&self.0.shared, stream, candidate)
        };
        dial::dial_by(addr, due, link).await
    }

    fn route(&self, addr: &str) -> Arc<Route> {
        let mut routes = self.0.routes();
        if let Some(route) = routes.get(addr) {
            return Arc::clone(route);
        }
        // Addresses that are dead and in nobody's hands make room for the new one.
        routes.retain(|_, route| Arc::strong_count(route) > 1 || route.is_alive());
        let slots = (0..self.0.connections_per_address).map(|_| Slot::default()).collect();
        let route = Arc::new(Route { slots, next: AtomicUsize::new(0) });
        routes.insert(addr.to_owned(), Arc::clone(&route));
        route
    }
}

impl Inner {
    fn prepare(&self, request: &mut Command) {
        if let Some(hook) = &self.hook {
            (hook.0)(request);
        }
    }

    fn routes(&self) -> MutexGuard<'_, HashMap<String, Arc<Route>>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Route {
    fn is_alive(&self) -> bool {
        self.slots.iter().any(|slot| slot.open_link().is_some())
    }
}

impl Slot {
    fn open_link(&self) -> Option<Arc<Link>> {
        self.lock().as_ref().filter(|link| link.is_open()).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Link>>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed(addr: &str, link: &Link) -> CallError {
    let cause = link.ended().unwrap_or_else(|| "closed by this side".into());
    CallError::Closed { addr: addr.to_owned(), cause }
}

/// Answers what a server asks of a client that has nothing to tell.
struct NoRequests;

impl Service for NoRequests {
    fn serve(self: Arc<Self>, _: &Arc<dyn Peer>, request: Command, _: Millis) -> Outcome {
        let remark = format!(" request type {} not supported", request.code);
        Outcome::Reply(Command::error(ResponseCode::RequestCodeNotSupported, remark))
    }

    fn closed(&self, _: ConnectionId, _: Millis) {}
}
