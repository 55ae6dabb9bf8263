//! What is done with bytes that anyone may send to a port with TLS, or change on their way. Each
//! function takes any bytes at all and panics only if the code under test breaks its word. Run with
//! mutations by `cargo test`, and by cargo-fuzz from `/fuzz`.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use skua_protocol::header::Fields;
use skua_protocol::service::{ConnectionId, Outcome, Peer, Service};
use skua_protocol::{Command, Millis, RequestCode};
use skua_remoting::tls::{
    ClientTls, ClientTlsOptions, HANDSHAKE, Mode, ServerTls, ServerTlsOptions,
};
use skua_remoting::{BindOptions, Client, ClientOptions, Limits, Listener, Server, ServerOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A name and what to do with bytes.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: &[Target] =
    &[("tls_enforcing", enforcing), ("tls_permissive", permissive), ("tls_tampered", tampered)];

const PATIENCE: Duration = Duration::from_secs(20);
const WORDS: &[u8] = b"said by the client";

/// Answers with the request's body, and keeps it.
#[derive(Default)]
struct Echo(Mutex<Vec<Bytes>>);

impl Service for Echo {
    fn serve(self: Arc<Self>, _: &Arc<dyn Peer>, request: Command, _: Millis) -> Outcome {
        self.0.lock().expect("nothing panics with it").push(request.body.clone());
        Outcome::Reply(Command::success().with_body(request.body))
    }

    fn closed(&self, _: ConnectionId, _: Millis) {}
}

/// One certificate for all runs: to make one takes longer than a run.
fn tls(mode: Mode) -> Arc<ServerTls> {
    static ENFORCING: OnceLock<Arc<ServerTls>> = OnceLock::new();
    static PERMISSIVE: OnceLock<Arc<ServerTls>> = OnceLock::new();
    let place = if mode == Mode::Enforcing { &ENFORCING } else { &PERMISSIVE };
    let options = ServerTlsOptions { mode, test: true, ..Default::default() };
    place.get_or_init(|| ServerTls::new(options).expect("nothing to read")).clone()
}

fn run(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        tokio::time::timeout(PATIENCE, work).await.expect("it ends in time");
    });
}

fn server(mode: Mode) -> (Server, Arc<Echo>) {
    let service = Arc::<Echo>::default();
    let listener = Listener::bind("127.0.0.1", 0, &BindOptions::default()).expect("a free port");
    let limits = Limits { tls_handshake_ms_max: 2000, ..Limits::default() };
    let options = ServerOptions { tls: Some(tls(mode)), limits, ..Default::default() };
    (Server::start(listener, service.clone(), options).expect("a bound socket"), service)
}

/// The bytes of a connection whose other end then says no more. Gives the bodies of the requests
/// that were served.
fn sent(mode: Mode, data: &[u8]) -> Vec<Bytes> {
    let mut served = Vec::new();
    run(async {
        let (server, echo) = server(mode);
        let mut socket = TcpStream::connect(server.local_addr()).await.expect("it listens");
        // Errors: it was closed before it had read all.
        let _ = socket.write_all(data).await;
        let _ = socket.shutdown().await;
        let _ = socket.read_to_end(&mut Vec::new()).await;
        assert_eq!(server.metrics().panics.load(SeqCst), 0);
        served = echo.0.lock().expect("nothing panics with it").clone();
    });
    served
}

/// Nothing that is not said by TLS is served, and nobody can shake hands without listening.
pub fn enforcing(data: &[u8]) {
    assert!(sent(Mode::Enforcing, data).is_empty());
}

pub fn permissive(data: &[u8]) {
    let served = sent(Mode::Permissive, data);
    assert!(served.is_empty() || data.first() != Some(&HANDSHAKE));
}

/// A good client and somebody between who changes bytes: of each four, which way, where, and what.
/// The server sees what the client said or nothing, and so does the client.
pub fn tampered(data: &[u8]) {
    let changes: Vec<_> = data
        .chunks_exact(4)
        .map(|c| (c[0] & 1 == 1, usize::from(u16::from_be_bytes([c[1], c[2]])), c[3]))
        .collect();
    run(async {
        let (server, echo) = server(Mode::Enforcing);
        let between = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = between.local_addr().expect("bound").to_string();
        let relay = async {
            loop {
                let (client, _) = between.accept().await.expect("a client");
                let to = TcpStream::connect(server.local_addr()).await.expect("it listens");
                let ((a, b), (c, d)) = (client.into_split(), to.into_split());
                let (back, forth) = changes.iter().partition(|change| change.0);
                tokio::join!(copy(a, d, forth), copy(c, b, back));
            }
        };
        let asking = async {
            let options = ClientTlsOptions { test: true, ..Default::default() };
            let tls = Some(ClientTls::new(options).expect("nothing to read"));
            let client = Client::new(ClientOptions { tls, ..Default::default() });
            let request = Command::raw_request(RequestCode::SendMessage, Fields::new());
            let answer = client.call(&addr, request.with_body(WORDS), 1000).await;
            assert!(answer.as_ref().map_or(true, |answer| answer.body == WORDS), "{answer:?}");
            assert!(answer.is_ok() || !changes.is_empty(), "{answer:?}");
        };
        tokio::select! {
            () = asking => {}
            () = relay => {}
        }
        assert_eq!(server.metrics().panics.load(SeqCst), 0);
        assert!(echo.0.lock().expect("nothing panics with it").iter().all(|body| body == WORDS));
    });
}

async fn copy(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    changes: Vec<&(bool, usize, u8)>,
) {
    let (mut part, mut at) = ([0; 2048], 0);
    while let Ok(len @ 1..) = from.read(&mut part).await {
        for (_, place, other) in &changes {
            if (at..at + len).contains(place) {
                part[place - at] ^= other;
            }
        }
        at += len;
        if to.write_all(&part[..len]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}
