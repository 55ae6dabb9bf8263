//! A service with one request code per behaviour, and a client that is only a socket.

// Each test binary uses its own part of this.
#![allow(dead_code)]

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use skua_protocol::command::Command;
use skua_protocol::frame;
use skua_protocol::header::Fields;
use skua_protocol::service::{ConnectionId, Outcome, Peer, Service};
use skua_protocol::{Millis, RequestCode, ResponseCode};
use skua_remoting::{BindOptions, Limits, Listener, Metrics, Server, ServerOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

/// Answers with the request's body.
pub const ECHO: i32 = 10_001;
/// Answers when the test releases the request's opaque.
pub const PARK: i32 = 10_002;
/// Answers with as many bytes as the body says.
pub const BIG: i32 = 10_003;
pub const PANIC: i32 = 10_004;
pub const PANIC_LATER: i32 = 10_005;
pub const PANIC_BLOCKING: i32 = 10_006;
/// Blocking work that ends when the test releases the opaque, then answers later.
pub const BLOCK: i32 = 10_007;
/// Calls the client with `CALL_BACK` and answers what came of it; body: timeout in ms.
pub const CALL_ME: i32 = 10_008;
/// Notifies the client with `CALL_BACK` and answers whether it was taken.
pub const NOTIFY_ME: i32 = 10_009;
/// Answers the client's address.
pub const WHO: i32 = 10_010;
/// Closes the connection.
pub const CLOSE_ME: i32 = 10_011;
/// Sent by the server.
pub const CALL_BACK: i32 = 10_012;
/// Keeps the connection's thread until the test lets go.
pub const HOLD: i32 = 10_013;

const HOLD_MAX: Duration = Duration::from_secs(60);

#[derive(Default)]
pub struct TestService {
    pub one_way: AtomicU64,
    /// Requests since the last end of a round.
    pub in_round: AtomicU64,
    pub closed: Mutex<Vec<ConnectionId>>,
    pub peers: Mutex<Vec<Arc<dyn Peer>>>,
    parked: Mutex<HashMap<i32, oneshot::Sender<()>>>,
    let_go: (Mutex<bool>, Condvar),
}

impl TestService {
    pub fn parked(&self) -> usize {
        self.parked.lock().expect("no test panics with it").len()
    }

    pub fn release(&self, opaque: i32) {
        let parked = self.parked.lock().expect("no test panics with it").remove(&opaque);
        let _ = parked.expect("a parked request").send(());
    }

    pub fn let_go(&self) {
        *self.let_go.0.lock().expect("no test panics with it") = true;
        self.let_go.1.notify_all();
    }

    fn hold(&self) {
        let held = self.let_go.0.lock().expect("no test panics with it");
        // A test that fails does not keep its runtime for ever.
        let waited = self.let_go.1.wait_timeout_while(held, HOLD_MAX, |let_go| !*let_go);
        let (held, time) = waited.expect("no test panics with it");
        drop(held);
        assert!(!time.timed_out(), "the test never let go");
    }

    fn park(&self, opaque: i32) -> oneshot::Receiver<()> {
        let (release, released) = oneshot::channel();
        self.parked.lock().expect("no test panics with it").insert(opaque, release);
        released
    }
}

impl Service for TestService {
    fn serve(self: Arc<Self>, peer: &Arc<dyn Peer>, request: Command, _: Millis) -> Outcome {
        self.in_round.fetch_add(1, SeqCst);
        if request.is_one_way() {
            self.one_way.fetch_add(1, SeqCst);
        }
        let body = request.body.clone();
        let number = || std::str::from_utf8(&body).expect("text").parse().expect("a number");
        match request.code {
            ECHO => Outcome::Reply(Command::success().with_body(body)),
            PARK => {
                let released = self.park(request.opaque);
                Outcome::Later(Box::pin(async move {
                    let _ = released.await;
                    Command::success().with_body(body)
                }))
            }
            BIG => Outcome::Reply(Command::success().with_body(vec![7; number()])),
            HOLD => {
                self.hold();
                Outcome::Reply(Command::success())
            }
            PANIC => panic!("inline"),
            PANIC_LATER => Outcome::Later(Box::pin(async { panic!("later") })),
            PANIC_BLOCKING => Outcome::Blocking(Box::new(|| panic!("blocking"))),
            BLOCK => {
                let released = self.park(request.opaque);
                Outcome::Blocking(Box::new(move || {
                    let _ = released.blocking_recv();
                    Outcome::Later(Box::pin(async move { Command::success().with_body(body) }))
                }))
            }
            CALL_ME => {
                let answer = peer.call(raw(CALL_BACK, "from the server"), number() as u64);
                Outcome::Later(Box::pin(async move {
                    match answer.await {
                        Ok(answer) => Command::success().with_body(answer.body),
                        Err(error) => Command::error(ResponseCode::SystemError, error.to_string()),
                    }
                }))
            }
            NOTIFY_ME => {
                let taken = peer.notify(raw(CALL_BACK, "notice"));
                Outcome::Reply(Command::success().with_body(taken.to_string()))
            }
            WHO => {
                self.peers.lock().expect("no test panics with it").push(Arc::clone(peer));
                Outcome::Reply(Command::success().with_body(peer.remote_addr().to_string()))
            }
            CLOSE_ME => {
                peer.close();
                Outcome::Reply(Command::success())
            }
            code => Outcome::Reply(Command::error(
                ResponseCode::RequestCodeNotSupported,
                format!(" request type {code} not supported"),
            )),
        }
    }

    fn round_ended(&self) {
        self.in_round.store(0, SeqCst);
    }

    fn closed(&self, peer: ConnectionId, _: Millis) {
        self.closed.lock().expect("no test panics with it").push(peer);
    }
}

/// A request with any code.
pub fn raw(code: i32, body: impl Into<Bytes>) -> Command {
    let mut request = Command::raw_request(RequestCode::SendMessage, Fields::new()).with_body(body);
    request.code = code;
    request
}

pub struct Running {
    pub service: Arc<TestService>,
    pub server: Server,
}

pub fn start(limits: Limits) -> Running {
    start_with(ServerOptions { limits, ..Default::default() })
}

pub fn start_with(options: ServerOptions) -> Running {
    let listener = Listener::bind("127.0.0.1", 0, &BindOptions::default()).expect("a free port");
    let service = Arc::new(TestService::default());
    let server = Server::start(listener, service.clone(), options).expect("a bound socket");
    Running { service, server }
}

/// Runs a test whose server has threads of its own: [`HOLD`] keeps one of them, which may be the
/// one that looks at all sockets of its runtime.
pub fn with_server_apart(test: impl AsyncFnOnce(&Running)) {
    let of_server = Runtime::new().expect("threads");
    let running = of_server.block_on(async { start(Limits::default()) });
    let own = Builder::new_current_thread().enable_all().build().expect("a runtime");
    own.block_on(test(&running));
}

impl Running {
    pub fn addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(self.server.metrics())
    }

    pub async fn client(&self) -> Raw {
        Raw::connect(self.addr()).await
    }
}

pub struct Raw {
    pub socket: TcpStream,
    buffer: BytesMut,
}

impl Raw {
    pub async fn connect(addr: SocketAddr) -> Self {
        let socket = TcpStream::connect(addr).await.expect("a listening server");
        Self { socket, buffer: BytesMut::new() }
    }

    pub async fn send(&mut self, opaque: i32, request: Command) {
        let mut bytes = BytesMut::new();
        frame::encode(&Command { opaque, ..request }, &mut bytes);
        self.send_bytes(&bytes).await;
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.expect("an open connection");
    }

    /// The next frame, or `None` when the server closed or reset the connection.
    pub async fn receive(&mut self) -> Option<Command> {
        within("a frame or the end", async {
            loop {
                if let Some(command) = frame::decode(&mut self.buffer).expect("a good frame") {
                    return Some(command);
                }
                match self.socket.read_buf(&mut self.buffer).await {
                    Ok(0) => return None,
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                    Err(error) => panic!("{error}"),
                }
            }
        })
        .await
    }

    pub async fn answer(&mut self) -> Command {
        self.receive().await.expect("an answer, not the end")
    }

    pub async fn ask(&mut self, opaque: i32, request: Command) -> Command {
        self.send(opaque, request).await;
        let answer = self.answer().await;
        assert_eq!(answer.opaque, opaque);
        answer
    }
}

const PATIENCE: Duration = Duration::from_secs(30);

pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited for {what} for {PATIENCE:?}"),
    }
}

/// Waits until `condition` holds.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited for {what} for {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
