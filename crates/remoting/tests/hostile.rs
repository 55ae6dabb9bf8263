//! Clients that send rubbish, too much, too little or take nothing.

mod common;

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use common::*;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use skua_protocol::command::{Command, HeaderCodec};
use skua_protocol::frame;
use skua_remoting::Limits;
use tokio::io::AsyncWriteExt;

fn encoded(opaque: i32, request: Command) -> BytesMut {
    let mut bytes = BytesMut::new();
    frame::encode(&Command { opaque, ..request }, &mut bytes);
    bytes
}

#[tokio::test]
async fn rubbish_ends_its_connection_and_no_other() {
    let running = start(Limits::default());
    let mut bystander = running.client().await;
    bystander.ask(1, raw(ECHO, "")).await;
    let rubbish: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"\xff\xff\xff\xff",
        b"\x80\0\0\0",
        b"\x01\0\0\0",
        b"\0\0\0\0",
        b"\0\0\0\x04\0\0\0\x05",
        b"\0\0\0\x08\0\0\0\x04nope",
        b"\0\0\0\x08\x07\0\0\x04nope",
        b"PROXY TCP4 nobody\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\xff\xff\0\0",
    ];
    for (already, bytes) in rubbish.iter().enumerate() {
        let mut client = running.client().await;
        client.send_bytes(bytes).await;
        assert!(client.receive().await.is_none(), "{}", bytes.escape_ascii());
        assert_eq!(running.metrics().bad_input.load(SeqCst), already as u64 + 1);
    }
    assert_eq!(bystander.ask(2, raw(ECHO, "still here")).await.body, "still here");
}

/// Where the log of a test goes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("unpoisoned").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_bad_client_causes_one_line_that_names_it_and_the_cause() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // The server's tasks run on this test's thread.
    let _log_on_this_thread = tracing::subscriber::set_default(subscriber);
    let running = start(Limits { connections_max: 1, ..Limits::default() });
    let mut client = running.client().await;
    let own = client.socket.local_addr().expect("a bound socket").to_string();
    client.ask(1, raw(ECHO, "")).await;
    for _ in 0..5 {
        assert!(running.client().await.receive().await.is_none(), "one connection is the limit");
    }
    client.send_bytes(b"\xff\xff\xff\xff more and more and more").await;
    assert!(client.receive().await.is_none());
    let log = String::from_utf8(log.0.lock().expect("unpoisoned").clone()).expect("text");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].contains("connection refused: limit reached") && lines[0].contains("limit=1"));
    assert!(lines[1].contains(&own) && lines[1].contains("frame length -1 is negative"), "{log}");
}

/// Good frames with a few bytes changed, cut or added, and plain noise.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let good =
        (any::<bool>(), prop::collection::vec(any::<u8>(), 0..60)).prop_map(|(json, body)| {
            let codec = if json { HeaderCodec::Json } else { HeaderCodec::Binary };
            encoded(1, Command { codec, ..raw(ECHO, body) }).to_vec()
        });
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5);
    let damaged =
        (good, changes, any::<prop::sample::Index>()).prop_map(|(mut bytes, changes, cut)| {
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(cut.index(bytes.len()) + 1);
            bytes
        });
    prop_oneof![damaged, prop::collection::vec(any::<u8>(), 1..200)]
}

#[tokio::test]
async fn noise_and_damaged_frames_leave_the_server_at_work() {
    let running = start(Limits::default());
    let mut runner = TestRunner::deterministic();
    for _ in 0..500 {
        let bytes = damaged().new_tree(&mut runner).expect("a value").current();
        let mut client = running.client().await;
        client.send_bytes(&bytes).await;
        // Half frames wait for more: end them. A client closed on already need not.
        let _ = client.socket.shutdown().await;
        while client.receive().await.is_some() {}
    }
    let metrics = running.metrics();
    until("the end of all", || metrics.connections_now.load(SeqCst) == 0).await;
    assert_eq!(metrics.panics.load(SeqCst), 0);
    assert_eq!(metrics.buffered_bytes_now.load(SeqCst), 0);
    assert_eq!(running.client().await.ask(1, raw(ECHO, "fine")).await.body, "fine");
}

#[tokio::test]
async fn requests_before_the_rubbish_are_answered() {
    let running = start(Limits::default());
    let mut client = running.client().await;
    let mut bytes = encoded(1, raw(ECHO, "good"));
    bytes.extend_from_slice(b"\xff\xff\xff\xff");
    client.send_bytes(&bytes).await;
    assert_eq!(client.answer().await.body, "good");
    assert!(client.receive().await.is_none());
}

#[tokio::test]
async fn a_client_that_does_not_read_is_not_read_and_costs_bounded_memory() {
    const ANSWER_LEN: usize = 100_000;
    const REQUESTS: usize = 20_000;
    let limits = Limits { answer_bytes_queued_max: 1 << 20, ..Limits::default() };
    let running = start(limits);
    let metrics = running.metrics();
    let client = running.client().await;
    let (mut from, mut to) = client.socket.into_split();
    let request = encoded(1, raw(BIG, ANSWER_LEN.to_string()));
    let request_len = request.len();
    let sending = tokio::spawn(async move {
        for _ in 0..REQUESTS {
            to.write_all(&request).await.expect("an open connection");
        }
        to
    });
    until("the server to stop reading", || metrics.connections_paused_now.load(SeqCst) == 1).await;
    let buffered = metrics.buffered_bytes_now.load(SeqCst);
    assert!(buffered <= (1 << 20) + ANSWER_LEN as u64 + 100, "{buffered}");

    // The kernel's buffers may take a little more for a while; then, as another client's requests
    // go through, nothing more of this one is read.
    let mut bystander = running.client().await;
    let mut bystander_read = 0;
    let mut opaques = 0..;
    within("reading to have stopped", async {
        loop {
            let read = metrics.bytes_in.load(SeqCst) - bystander_read;
            for opaque in opaques.by_ref().take(100) {
                bystander_read += encoded(opaque, raw(ECHO, "x")).len() as u64;
                bystander.ask(opaque, raw(ECHO, "x")).await;
            }
            if metrics.bytes_in.load(SeqCst) - bystander_read == read {
                break;
            }
        }
    })
    .await;
    assert_eq!(metrics.connections_paused_now.load(SeqCst), 1);
    let served = metrics.requests.load(SeqCst) - opaques.start as u64;
    assert!(served < REQUESTS as u64 / 10, "{served} requests served for nobody");

    let mut received = BytesMut::with_capacity(1 << 20);
    let mut answers = 0;
    within("all answers", async {
        while answers < REQUESTS {
            tokio::io::AsyncReadExt::read_buf(&mut from, &mut received).await.expect("bytes");
            while let Some(answer) = frame::decode(&mut received).expect("a good frame") {
                assert_eq!(answer.body.len(), ANSWER_LEN);
                answers += 1;
            }
        }
    })
    .await;
    let _to = sending.await.expect("all sent");
    until("the end of the pause", || metrics.connections_paused_now.load(SeqCst) == 0).await;
    let expected = (REQUESTS * request_len) as u64 + bystander_read;
    assert_eq!(metrics.bytes_in.load(SeqCst), expected);
    assert_eq!(metrics.buffered_bytes_now.load(SeqCst), 0);
}

#[tokio::test]
async fn requests_under_way_are_not_driven_on_for_a_client_that_does_not_read() {
    let limits = Limits { answer_bytes_queued_max: 64 << 10, ..Limits::default() };
    let running = start(limits);
    let metrics = running.metrics();
    let mut client = running.client().await;
    // 600 parked answers of 100 KB; far more than the sockets take.
    let body = vec![1; 100_000];
    for opaque in 0..600 {
        client.send(opaque, raw(PARK, body.clone())).await;
    }
    until("the requests", || running.service.parked() == 600).await;
    for opaque in 0..600 {
        running.service.release(opaque);
    }
    until("the pause", || metrics.connections_paused_now.load(SeqCst) == 1).await;
    assert!(metrics.buffered_bytes_now.load(SeqCst) <= (64 << 10) + 100_200);
    assert!(metrics.requests_in_flight_now.load(SeqCst) > 0);
    for _ in 0..600 {
        assert_eq!(client.answer().await.body.len(), 100_000);
    }
    until("the end of the pause", || metrics.connections_paused_now.load(SeqCst) == 0).await;
}

#[tokio::test]
async fn a_connection_with_too_many_requests_under_way_is_not_read() {
    for limits in [
        Limits { requests_in_flight_max: 8, ..Limits::default() },
        Limits { request_bytes_in_flight_max: 8 * 1000, ..Limits::default() },
    ] {
        let running = start(limits);
        let metrics = running.metrics();
        let mut client = running.client().await;
        let request_len = 1000 - encoded(0, raw(PARK, "")).len();
        for opaque in 0..100 {
            client.send(opaque, raw(PARK, vec![0; request_len])).await;
        }
        until("the pause", || metrics.connections_paused_now.load(SeqCst) == 1).await;
        let served = metrics.requests.load(SeqCst);
        assert!((8..=9).contains(&served), "{served}");
        for opaque in 0..100 {
            until("the next request", || metrics.requests.load(SeqCst) > opaque as u64).await;
            running.service.release(opaque);
            assert_eq!(client.answer().await.opaque, opaque);
        }
        until("the end", || metrics.requests_in_flight_now.load(SeqCst) == 0).await;
    }
}

#[tokio::test]
async fn notices_to_a_client_that_does_not_read_are_bounded() {
    let limits = Limits {
        outgoing_bytes_queued_max: 1 << 20,
        answer_bytes_queued_max: 64 << 10,
        ..Limits::default()
    };
    let running = start(limits);
    let mut client = running.client().await;
    client.ask(1, raw(WHO, "")).await;
    let peer = running.service.peers.lock().expect("unpoisoned")[0].clone();
    let mut taken = 0;
    until("a refusal", || {
        let notice = raw(CALL_BACK, vec![0; 10_000]);
        let was_taken = peer.notify(notice);
        taken += usize::from(was_taken);
        !was_taken
    })
    .await;
    let held = running.metrics().buffered_bytes_now.load(SeqCst);
    assert!(held < (64 << 10) + (1 << 20) + 20_000, "{held}");
    for _ in 0..taken {
        assert_eq!(client.answer().await.body.len(), 10_000);
    }
    assert!(peer.notify(raw(CALL_BACK, "")));
}

#[tokio::test]
async fn above_the_total_a_long_frame_ends_its_connection_and_small_ones_pass() {
    let running = start(Limits { buffered_bytes_total_max: 4 << 20, ..Limits::default() });
    let metrics = running.metrics();
    let mut holder = running.client().await;
    holder.send_bytes(&(15u32 << 20).to_be_bytes()).await;
    holder.send_bytes(&[0; 1_500_000]).await;
    until("the half frame", || metrics.bytes_in.load(SeqCst) == 1_500_004).await;
    let held = metrics.buffered_bytes_now.load(SeqCst);
    assert!((1_500_004..=3_100_000).contains(&held), "{held}");

    let mut greedy = running.client().await;
    let _ = greedy.socket.write_all(&(15u32 << 20).to_be_bytes()).await;
    let _ = greedy.socket.write_all(&vec![0; 8 << 20]).await;
    assert!(greedy.receive().await.is_none());
    assert_eq!(metrics.bad_input.load(SeqCst), 1);
    assert_eq!(running.client().await.ask(1, raw(ECHO, "small")).await.body, "small");
}

#[tokio::test]
async fn an_announced_length_reserves_no_memory() {
    let running = start(Limits::default());
    let metrics = running.metrics();
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut client = running.client().await;
        client.send_bytes(&(15u32 << 20).to_be_bytes()).await;
        client.send_bytes(&[0; 1000]).await;
        clients.push(client);
    }
    until("all bytes", || metrics.bytes_in.load(SeqCst) == 50 * 1004).await;
    assert!(metrics.buffered_bytes_now.load(SeqCst) <= 50 * 300_000);
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let running = start(Limits { idle_ms_max: 1_000, ..Limits::default() });
    let mut silent = running.client().await;
    assert!(silent.receive().await.is_none());
    let mut once = running.client().await;
    once.ask(1, raw(ECHO, "")).await;
    assert!(once.receive().await.is_none());
    assert_eq!(running.metrics().idle_closes.load(SeqCst), 2);
}

#[tokio::test]
async fn a_client_that_takes_no_answers_is_idle_too() {
    let running = start(Limits { idle_ms_max: 1_000, ..Limits::default() });
    let mut client = running.client().await;
    for opaque in 0..200 {
        client.send(opaque, raw(BIG, "1000000")).await;
    }
    let metrics = running.metrics();
    until("the idle close", || metrics.idle_closes.load(SeqCst) == 1).await;
    assert_eq!(metrics.connections_paused_now.load(SeqCst), 0);
    assert_eq!(metrics.buffered_bytes_now.load(SeqCst), 0);
}

#[tokio::test]
async fn dripping_bytes_do_not_keep_a_connection_open() {
    let running = start(Limits { idle_ms_max: 60, ..Limits::default() });
    let client = running.client().await;
    let (from, mut to) = client.socket.into_split();
    let dripping = tokio::spawn(async move {
        // The start of a frame of a mebibyte, for as long as the server takes it.
        let mut bytes = [0, 16, 0, 0].into_iter().chain(std::iter::repeat(0));
        while to.write_all(&[bytes.next().expect("endless")]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let metrics = running.metrics();
    until("the idle close", || metrics.idle_closes.load(SeqCst) == 1).await;
    drop(from);
    within("the client's end", dripping).await.expect("no panic");
}

#[tokio::test]
async fn thousands_of_dripping_connections_leave_the_server_at_work() {
    const DRIPPING: u64 = 2000;
    let running = start(Limits { idle_ms_max: 2_000, ..Limits::default() });
    let metrics = running.metrics();
    let mut dripping = Vec::new();
    for _ in 0..DRIPPING {
        let mut client = running.client().await;
        client.send_bytes(&[0, 0, 1]).await;
        dripping.push(client);
    }
    until("all drops", || metrics.bytes_in.load(SeqCst) == DRIPPING * 3).await;
    let mut good = running.client().await;
    for opaque in 0..100 {
        for client in dripping.iter_mut().skip(opaque as usize).step_by(100) {
            // Those that have been idle for too long are closed already.
            let _ = client.socket.write_all(&[0]).await;
        }
        good.ask(opaque, raw(ECHO, "x")).await;
    }
    until("the idle closes", || metrics.idle_closes.load(SeqCst) >= DRIPPING).await;
    assert_eq!(metrics.bad_input.load(SeqCst), 0);
    assert_eq!(metrics.buffered_bytes_now.load(SeqCst), 0);
    running.client().await.ask(1, raw(ECHO, "")).await;
}

#[tokio::test]
async fn a_proxy_preamble_names_the_client() {
    let running = start(Limits::default());
    let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10".to_vec();
    v2.extend([198, 51, 100, 7, 10, 0, 0, 1, 0x30, 0x39, 0x26, 0x94, 4, 0, 1, 0]);
    let v1 = b"PROXY TCP6 2001:db8::7 ::1 12345 9876\r\n".to_vec();
    for (preamble, expected) in [(v1, "[2001:db8::7]:12345"), (v2, "198.51.100.7:12345")] {
        // At once with the first frame, and byte by byte.
        let mut client = running.client().await;
        client.send_bytes(&[&preamble, &encoded(1, raw(WHO, ""))[..]].concat()).await;
        assert_eq!(client.answer().await.body, expected);
        let mut client = running.client().await;
        for byte in &preamble {
            client.send_bytes(&[*byte]).await;
        }
        assert_eq!(client.ask(2, raw(WHO, "")).await.body, expected);
    }
    let mut local = running.client().await;
    local.send_bytes(b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0").await;
    let own = local.socket.local_addr().expect("a bound socket").to_string();
    assert_eq!(local.ask(3, raw(WHO, "")).await.body, own);
}
