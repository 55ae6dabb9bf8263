//! What the connections themselves cost: a service that only echoes, and clients as cheap as can
//! be (prepared bytes, answers counted by their length).
//!
//! `cargo run --release -p skua-remoting --example echo [seconds]`

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use skua_protocol::command::{Command, HeaderCodec};
use skua_protocol::frame;
use skua_protocol::header::Fields;
use skua_protocol::service::{ConnectionId, Outcome, Peer, Service};
use skua_protocol::{Millis, RequestCode};
use skua_remoting::{BindOptions, Client, ClientOptions, Listener, Server, ServerOptions};

struct Echo;

impl Service for Echo {
    fn serve(self: Arc<Self>, _: &Arc<dyn Peer>, request: Command, _: Millis) -> Outcome {
        Outcome::Reply(Command::success().with_body(request.body))
    }

    fn closed(&self, _: ConnectionId, _: Millis) {}
}

fn request(codec: HeaderCodec, body_len: usize) -> Command {
    let fields: Fields =
        [("a", "producer-group"), ("b", "bench-topic"), ("c", "TBW102"), ("d", "4"), ("e", "3")]
            .into_iter()
            .collect();
    Command {
        codec,
        ..Command::raw_request(RequestCode::SendMessageV2, fields)
            .with_body(Bytes::from(vec![b'x'; body_len]))
    }
}

/// One connection that keeps `depth` requests under way, in blocks of that many.
fn drive(
    addr: SocketAddr,
    block: &[u8],
    answers_len: usize,
    stop: &AtomicBool,
) -> std::io::Result<u64> {
    let mut socket = TcpStream::connect(addr)?;
    socket.set_nodelay(true)?;
    let mut sink = vec![0; 256 * 1024];
    let mut blocks = 0;
    while !stop.load(Relaxed) {
        socket.write_all(block)?;
        let mut missing = answers_len;
        while missing > 0 {
            missing -= match socket.read(&mut sink)? {
                0 => return Ok(blocks),
                n => n,
            };
        }
        blocks += 1;
    }
    Ok(blocks)
}

fn run(addr: SocketAddr, connections: usize, depth: usize, request: &Command, seconds: u64) -> f64 {
    let (mut block, mut answers) = (BytesMut::new(), BytesMut::new());
    for opaque in 0..depth as i32 {
        frame::encode(&Command { opaque, ..request.clone() }, &mut block);
        let answer = Command::success().with_body(request.body.clone());
        frame::encode(&Command { opaque, ..answer }, &mut answers);
    }
    let stop = AtomicBool::new(false);
    let done = AtomicU64::new(0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| match drive(addr, &block, answers.len(), &stop) {
                Ok(blocks) => drop(done.fetch_add(blocks, Relaxed)),
                Err(error) => eprintln!("{error}"),
            });
        }
        std::thread::sleep(Duration::from_secs(seconds));
        stop.store(true, Relaxed);
    });
    (done.load(Relaxed) * depth as u64) as f64 / start.elapsed().as_secs_f64()
}

async fn run_client(addr: SocketAddr, tasks: usize, request: &Command, seconds: u64) -> f64 {
    let client = Client::new(ClientOptions::default());
    let addr = addr.to_string();
    let stop = Arc::new(AtomicBool::new(false));
    let start = Instant::now();
    let calls: Vec<_> = (0..tasks)
        .map(|_| {
            let (client, addr, request) = (client.clone(), addr.clone(), request.clone());
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                let mut calls = 0;
                while !stop.load(Relaxed) {
                    match client.call(&addr, request.clone(), 3_000).await {
                        Ok(_) => calls += 1,
                        Err(error) => {
                            eprintln!("{error}");
                            break;
                        }
                    }
                }
                calls
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    stop.store(true, Relaxed);
    let mut done = 0u64;
    for call in calls {
        done += call.await.unwrap_or(0);
    }
    done as f64 / start.elapsed().as_secs_f64()
}

/// Resident bytes of this process, from `/proc/self/statm`.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .map_or(0, |pages: u64| pages * 4096)
}

/// Opens connections that send `first_bytes` and then nothing; what each costs, and they.
fn idle_cost(server: &Server, connections: usize, first_bytes: &[u8]) -> (f64, Vec<TcpStream>) {
    let before = resident();
    let read_before = server.metrics().bytes_in.load(Relaxed);
    let mut held = Vec::with_capacity(connections);
    for _ in 0..connections {
        let Ok(mut socket) = TcpStream::connect(server.local_addr()) else { break };
        if socket.write_all(first_bytes).is_err() {
            break;
        }
        held.push(socket);
    }
    let expected = read_before + (held.len() * first_bytes.len()) as u64;
    while server.metrics().bytes_in.load(Relaxed) < expected {
        std::thread::yield_now();
    }
    ((resident().saturating_sub(before)) as f64 / held.len() as f64, held)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(3), |arg| arg.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let _entered = runtime.enter();
    let listener = Listener::bind("127.0.0.1", 0, &BindOptions::default())?;
    let server = Server::start(listener, Arc::new(Echo), ServerOptions::default())?;
    let addr = server.local_addr();

    println!("resident at start {} KiB", resident() / 1024);
    let mut one = BytesMut::new();
    frame::encode(&request(HeaderCodec::Json, 100), &mut one);
    let mut held = Vec::new();
    // The first ones pay for what all share.
    for (what, count, bytes) in [
        ("warm-up", 100, &one[..]),
        ("answered once", 5000, &one[..]),
        ("three bytes of a frame", 4000, &[0, 0, 1]),
    ] {
        let (cost, sockets) = idle_cost(&server, count, bytes);
        println!("{count} idle connections, {what}: {cost:.0} B each");
        held.push(sockets);
    }
    drop(held);
    let wait = Instant::now();
    while server.metrics().connections_now.load(Relaxed) > 0 && wait.elapsed().as_secs() < 10 {
        std::thread::yield_now();
    }
    for (name, codec) in [("json", HeaderCodec::Json), ("binary", HeaderCodec::Binary)] {
        for body_len in [100, 1024] {
            let request = request(codec, body_len);
            for (connections, depth) in
                [(1, 1), (1, 32), (1, 256), (16, 1), (16, 16), (256, 1), (256, 8)]
            {
                let rate = run(addr, connections, depth, &request, seconds);
                println!(
                    "{name:6} {body_len:5} B, {connections:3} connections x {depth:3}: {rate:9.0} requests/s"
                );
            }
        }
    }
    let request = request(HeaderCodec::Json, 100);
    for tasks in [1, 16, 256] {
        let rate = runtime.block_on(run_client(addr, tasks, &request, seconds));
        println!("our client, 1 connection, {tasks:3} calls under way: {rate:9.0} requests/s");
    }
    println!("resident at the end {} KiB", resident() / 1024);
    Ok(())
}
