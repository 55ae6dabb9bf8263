//! Handshakes and sessions that no well-meaning client makes, by seed.

#[path = "../../protocol/tests/hostile/counting.rs"]
mod counting;
#[path = "hostile/targets.rs"]
mod targets;

use std::io::Read;
use std::net::TcpListener;

use bytes::BytesMut;
use counting::{Counting, peak_of};
use skua_protocol::header::Fields;
use skua_protocol::{Command, RequestCode, frame};
use skua_remoting::tls::{ClientTls, ClientTlsOptions};
use skua_seeds::Random;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The first bytes of a client that wants TLS.
fn client_hello() -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("bound");
    let calling = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let socket = tokio::net::TcpStream::connect(addr).await.expect("connected");
            let options = ClientTlsOptions { test: true, ..Default::default() };
            let tls = ClientTls::new(options).expect("nothing to read");
            let _ = tls.connect(socket, "localhost:1").await;
        });
    });
    let mut bytes = vec![0; 4096];
    let (mut socket, _) = listener.accept().expect("accepted");
    let len = socket.read(&mut bytes).expect("a hello");
    drop(socket);
    calling.join().expect("no panic");
    bytes.truncate(len);
    assert_eq!(bytes[0], 0x16);
    bytes
}

fn plain_frame() -> Vec<u8> {
    let mut bytes = BytesMut::new();
    let request = Command::raw_request(RequestCode::SendMessage, Fields::new());
    frame::encode(&request.with_body(&b"plain"[..]), &mut bytes);
    bytes.to_vec()
}

/// Alerts, empty and longest records, a plain frame.
fn inserted(dice: &mut Random) -> Vec<u8> {
    let records: [&[u8]; 5] = [
        b"\x15\x03\x03\0\x02\x01\0",
        b"\x17\x03\x03\0\0",
        b"\x16\x03\x01\xff\xff",
        b"\x14\x03\x03\0\x01\x01",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
    ];
    match dice.one_in(2) {
        true => plain_frame(),
        false => dice.pick(&records).repeat(1 + dice.below(300) as usize),
    }
}

#[test]
fn hostile_handshakes_and_changed_sessions_serve_nobody_and_cost_little() {
    let hello = client_hello();
    let corpus = |name: &str| match name {
        "tls_tampered" => vec![Vec::new()],
        _ => vec![hello.clone(), plain_frame(), [hello.clone(), plain_frame()].concat()],
    };
    for (name, target) in targets::TARGETS {
        let corpus = corpus(name);
        for data in &corpus {
            target(data);
        }
        skua_seeds::each(600, |seed| {
            let mut dice = Random(seed);
            let mut data = dice.pick(&corpus).clone();
            if *name == "tls_tampered" {
                for _ in 0..=dice.below(3) {
                    let place = dice.below(1500).to_be_bytes();
                    let change = 1 + dice.below(255) as u8;
                    data.extend([dice.number() as u8, place[6], place[7], change]);
                }
            } else {
                dice.mutate(&mut data, 50, inserted);
            }
            let peak = peak_of(|| target(&data));
            // A server and its runtime; buffers of one connection.
            assert!(peak <= 2 << 20, "{name}: {} bytes of input held {peak}", data.len());
        });
    }
}
