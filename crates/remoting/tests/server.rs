//! What a well-behaved client sees of a server.

mod common;

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use bytes::BytesMut;
use common::*;
use skua_protocol::ResponseCode;
use skua_protocol::command::{Command, FLAG_RESPONSE, HeaderCodec, VERSION};
use skua_protocol::frame;
use skua_remoting::{AnswerCodec, BindOptions, Limits, Listener, Server, ServerOptions};
use tokio::net::TcpStream;

#[tokio::test]
async fn answers_come_in_any_order_with_the_opaque_of_their_request() {
    let running = start(Limits::default());
    let mut client = running.client().await;
    client.send(1, raw(PARK, "one")).await;
    client.send(-2, raw(PARK, "two")).await;
    client.send(3, raw(ECHO, "three")).await;
    for (opaque, body) in [(3, "three"), (-2, "two"), (1, "one")] {
        if opaque != 3 {
            running.service.release(opaque);
        }
        let answer = client.answer().await;
        assert_eq!((answer.opaque, &answer.body[..]), (opaque, body.as_bytes()));
        assert_eq!((answer.code, answer.flag), (ResponseCode::Success as i32, FLAG_RESPONSE));
    }
}

#[tokio::test]
async fn every_round_of_requests_has_an_end_even_the_last_of_a_client_that_leaves() {
    let running = start(Limits::default());
    let ended = || running.service.in_round.load(SeqCst) == 0;
    let mut client = running.client().await;
    client.send(1, raw(ECHO, "one")).await;
    client.answer().await;
    until("the end of the round", ended).await;
    client.send(2, raw(ECHO, "two").one_way()).await;
    client.send(3, raw(CLOSE_ME, "")).await;
    drop(client);
    until("the connection's end", || !running.service.closed.lock().expect("no panic").is_empty())
        .await;
    until("the end of the last round", ended).await;
}

#[tokio::test]
async fn a_pipelined_burst_is_answered_completely() {
    let running = start(Limits::default());
    let client = running.client().await;
    let mut bytes = BytesMut::new();
    for opaque in 0..10_000 {
        let request = raw(ECHO, vec![opaque as u8; opaque as usize % 300]);
        frame::encode(&Command { opaque, ..request }, &mut bytes);
    }
    let (mut from, mut to) = client.socket.into_split();
    let sending = tokio::spawn(async move {
        tokio::io::AsyncWriteExt::write_all(&mut to, &bytes).await.map(|()| to)
    });
    let mut received = BytesMut::new();
    let mut opaques = HashSet::new();
    within("all answers", async {
        while opaques.len() < 10_000 {
            tokio::io::AsyncReadExt::read_buf(&mut from, &mut received).await.expect("bytes");
            while let Some(answer) = frame::decode(&mut received).expect("a good frame") {
                assert_eq!(answer.body.len(), answer.opaque as usize % 300);
                assert!(opaques.insert(answer.opaque));
            }
        }
    })
    .await;
    sending.await.expect("no panic").expect("all sent");
}

#[test]
fn large_answers_do_not_wait_for_the_requests_behind_them() {
    with_server_apart(async |running| {
        let mut client = running.client().await;
        let mut burst = BytesMut::new();
        for (opaque, code) in [(1, BIG), (2, BIG), (3, HOLD)] {
            frame::encode(&Command { opaque, ..raw(code, "20000") }, &mut burst);
        }
        client.send_bytes(&burst).await;
        for opaque in [1, 2] {
            let answer = client.answer().await;
            assert_eq!((answer.opaque, answer.body.len()), (opaque, 20_000));
        }
        running.service.let_go();
        let answer = client.answer().await;
        assert_eq!((answer.opaque, answer.code), (3, ResponseCode::Success as i32));
    });
}

#[test]
fn few_requests_are_answered_by_halves() {
    with_server_apart(async |running| {
        let mut client = running.client().await;
        let mut burst = BytesMut::new();
        let codes = [ECHO; 9].into_iter().chain([HOLD]);
        for (opaque, code) in (1..).zip(codes) {
            frame::encode(&Command { opaque, ..raw(code, "") }, &mut burst);
        }
        client.send_bytes(&burst).await;
        for opaque in 1..=5 {
            assert_eq!(client.answer().await.opaque, opaque);
        }
        running.service.let_go();
        for opaque in 6..=10 {
            let answer = client.answer().await;
            assert_eq!((answer.opaque, answer.code), (opaque, ResponseCode::Success as i32));
        }
    });
}

#[tokio::test]
async fn one_way_requests_are_served_and_never_answered() {
    let running = start(Limits::default());
    let mut client = running.client().await;
    let codes = [ECHO, PANIC, PANIC_LATER, PANIC_BLOCKING, 12345];
    for code in codes {
        client.send(1, raw(code, "").one_way()).await;
    }
    client.send(2, raw(PARK, "").one_way()).await;
    until("the parked request", || running.service.parked() == 1).await;
    running.service.release(2);
    let metrics = running.metrics();
    until("the end of all", || {
        metrics.panics.load(SeqCst) == 3 && metrics.requests_in_flight_now.load(SeqCst) == 0
    })
    .await;
    assert_eq!(client.ask(3, raw(ECHO, "first")).await.body, "first");
    assert_eq!(running.service.one_way.load(SeqCst), codes.len() as u64 + 1);
}

#[tokio::test]
async fn both_header_codecs_are_read_and_answers_use_the_configured_one() {
    use HeaderCodec::{Binary, Json};
    for (answer_codec, for_json, for_binary) in [
        (AnswerCodec::Json, Json, Json),
        (AnswerCodec::Binary, Binary, Binary),
        (AnswerCodec::SameAsRequest, Json, Binary),
    ] {
        let running = start_with(ServerOptions { answer_codec, ..Default::default() });
        let mut client = running.client().await;
        // Codes of a binary header have 16 bits.
        for (codec, expected) in [(Json, for_json), (Binary, for_binary)] {
            let answer = client.ask(7, Command { codec, ..raw(ECHO, "x") }).await;
            assert_eq!((answer.codec, &answer.body[..]), (expected, &b"x"[..]));
        }
    }
}

#[tokio::test]
async fn frames_may_arrive_byte_by_byte() {
    let running = start(Limits::default());
    let mut client = running.client().await;
    let mut bytes = BytesMut::new();
    for (opaque, code) in [(1, ECHO), (2, BIG)] {
        frame::encode(&Command { opaque, ..raw(code, "5") }, &mut bytes);
    }
    let metrics = running.metrics();
    for (sent, byte) in bytes.iter().enumerate() {
        client.send_bytes(&[*byte]).await;
        until("the byte's arrival", || metrics.bytes_in.load(SeqCst) > sent as u64).await;
    }
    assert_eq!(client.answer().await.body, "5");
    assert_eq!(client.answer().await.body, vec![7; 5]);
}

#[tokio::test]
async fn frames_of_many_megabytes_go_both_ways_among_small_ones() {
    let running = start(Limits::default());
    let client = running.client().await;
    let bodies = [3, 15 << 20, 200_000, 0, 4096, 5 << 20, 130_000, 131_072, 9];
    let mut bytes = BytesMut::new();
    for (opaque, len) in bodies.into_iter().enumerate() {
        let request = Command { opaque: opaque as i32, ..raw(ECHO, vec![opaque as u8; len]) };
        frame::encode(&request, &mut bytes);
    }
    let (mut from, mut to) = client.socket.into_split();
    let sending = tokio::spawn(async move {
        tokio::io::AsyncWriteExt::write_all(&mut to, &bytes).await.map(|()| to)
    });
    let mut received = BytesMut::new();
    for (opaque, len) in bodies.into_iter().enumerate() {
        let answer = within("an answer", async {
            loop {
                if let Some(answer) = frame::decode(&mut received).expect("a good frame") {
                    return answer;
                }
                tokio::io::AsyncReadExt::read_buf(&mut from, &mut received).await.expect("bytes");
            }
        })
        .await;
        assert_eq!(answer.opaque, opaque as i32);
        assert!(answer.body == vec![opaque as u8; len], "body {opaque}");
    }
    sending.await.expect("no panic").expect("all sent");
    let metrics = running.metrics();
    until("buffers given back", || metrics.buffered_bytes_now.load(SeqCst) == 0).await;
}

#[tokio::test]
async fn a_panicking_handler_answers_system_error_and_the_connection_lives_on() {
    let running = start(Limits::default());
    let mut client = running.client().await;
    for (code, text) in [(PANIC, "inline"), (PANIC_LATER, "later"), (PANIC_BLOCKING, "blocking")] {
        let answer = client.ask(code, raw(code, "")).await;
        assert_eq!(answer.code, ResponseCode::SystemError as i32);
        let remark = answer.remark.expect("a remark");
        assert!(remark.contains(text) && remark.contains(&code.to_string()), "{remark}");
    }
    assert_eq!(client.ask(9, raw(ECHO, "alive")).await.body, "alive");
    assert_eq!(running.metrics().panics.load(SeqCst), 3);
}

#[tokio::test]
async fn blocking_work_holds_up_nobody_and_may_end_in_a_later_answer() {
    let running = start(Limits::default());
    let mut client = running.client().await;
    client.send(1, raw(BLOCK, "slow")).await;
    until("the job", || running.service.parked() == 1).await;
    assert_eq!(client.ask(2, raw(ECHO, "quick")).await.body, "quick");
    running.service.release(1);
    let answer = client.answer().await;
    assert_eq!((answer.opaque, &answer.body[..]), (1, &b"slow"[..]));
}

#[tokio::test]
async fn a_full_blocking_pool_refuses_by_naming_its_limit() {
    let limits = Limits {
        blocking_threads_max: 1,
        blocking_waiting_max: 1,
        blocking_per_connection_max: 8,
        ..Limits::default()
    };
    let running = start(limits);
    let mut client = running.client().await;
    client.send(1, raw(BLOCK, "")).await;
    client.send(2, raw(BLOCK, "")).await;
    let answer = client.ask(3, raw(BLOCK, "")).await;
    assert_eq!(answer.code, ResponseCode::SystemBusy as i32);
    assert_eq!(
        answer.remark.as_deref(),
        Some(
            "[OVERLOAD]system busy, start flow control for a while, \
             requests waiting for the disk: 1, limit: 1"
        )
    );
    running.service.release(1);
    assert_eq!(client.answer().await.opaque, 1);
    running.service.release(2);
    assert_eq!(client.answer().await.opaque, 2);
    assert_eq!(running.metrics().overloads.load(SeqCst), 1);
}

#[tokio::test]
async fn one_connection_does_not_take_the_whole_blocking_pool() {
    let limits =
        Limits { blocking_threads_max: 2, blocking_per_connection_max: 1, ..Limits::default() };
    let running = start(limits);
    let (mut greedy, mut modest) = (running.client().await, running.client().await);
    for opaque in 1..=5 {
        greedy.send(opaque, raw(BLOCK, "")).await;
    }
    until("the greedy one's jobs", || running.service.parked() == 5).await;
    modest.send(100, raw(BLOCK, "modest")).await;
    until("the modest one's job", || running.service.parked() == 6).await;
    running.service.release(100);
    assert_eq!(modest.answer().await.body, "modest");
    for opaque in 1..=5 {
        running.service.release(opaque);
        assert_eq!(greedy.answer().await.opaque, opaque);
    }
}

#[tokio::test]
async fn the_server_calls_its_client_on_the_same_connection() {
    let running = start(Limits::default());
    let mut client = running.client().await;
    // The client's own opaque may be the same as the server's.
    client.send(0, raw(CALL_ME, "30000")).await;
    let call = client.answer().await;
    assert_eq!((call.code, call.flag, &call.body[..]), (CALL_BACK, 0, &b"from the server"[..]));
    client.send(call.opaque, Command::success().with_body("from the client")).await;
    let answer = client.answer().await;
    assert_eq!((answer.opaque, answer.flag), (0, FLAG_RESPONSE));
    assert_eq!(answer.body, "from the client");
}

#[tokio::test]
async fn a_call_to_a_client_times_out_and_its_late_answer_is_dropped() {
    let running = start(Limits::default());
    let mut client = running.client().await;
    client.send(5, raw(CALL_ME, "20")).await;
    let call = client.answer().await;
    let answer = client.answer().await;
    assert_eq!(answer.remark.as_deref(), Some("no answer within 20 ms"));
    client.send(call.opaque, Command::success()).await;
    assert_eq!(client.ask(6, raw(ECHO, "on")).await.body, "on");
    assert_eq!(running.metrics().late_answers.load(SeqCst), 1);
}

#[tokio::test]
async fn a_notice_goes_out_one_way() {
    let running = start(Limits::default());
    let mut client = running.client().await;
    client.send(5, raw(NOTIFY_ME, "")).await;
    let (mut notices, mut answers) = (0, 0);
    for _ in 0..2 {
        let frame = client.answer().await;
        match frame.is_response() {
            true => answers += i32::from(frame.body == "true"),
            false => notices += i32::from(frame.is_one_way() && frame.code == CALL_BACK),
        }
    }
    assert_eq!((notices, answers), (1, 1));
}

#[tokio::test]
async fn the_service_hears_of_each_end_once_and_its_peers_are_dead_then() {
    let running = start(Limits::default());
    let (mut leaving, mut sent_away) = (running.client().await, running.client().await);
    leaving.ask(1, raw(WHO, "")).await;
    sent_away.ask(1, raw(WHO, "")).await;
    drop(leaving);
    sent_away.ask(2, raw(CLOSE_ME, "")).await;
    assert!(sent_away.receive().await.is_none());
    let closed = || running.service.closed.lock().expect("unpoisoned").clone();
    until("both ends", || closed().len() == 2).await;
    let peers = running.service.peers.lock().expect("unpoisoned").clone();
    assert_eq!(
        closed().into_iter().collect::<HashSet<_>>(),
        peers.iter().map(|peer| peer.id()).collect()
    );
    for peer in peers {
        assert!(!peer.notify(raw(CALL_BACK, "")));
        assert!(peer.call(raw(CALL_BACK, ""), 1000).await.is_err());
    }
    assert_eq!(running.metrics().connections_now.load(SeqCst), 0);
}

#[tokio::test]
async fn a_stop_answers_what_is_under_way_and_sends_new_requests_away() {
    let Running { service, server } = start(Limits::default());
    let (addr, metrics) = (server.local_addr(), server.metrics().clone());
    let mut client = Raw::connect(addr).await;
    let mut idle = Raw::connect(addr).await;
    idle.ask(1, raw(ECHO, "")).await;
    client.send(1, raw(PARK, "under way")).await;
    until("the request", || service.parked() == 1).await;

    let stopping = tokio::spawn(server.stop(Duration::from_secs(30)));
    assert!(idle.receive().await.is_none(), "idle connections are closed at once");
    assert!(TcpStream::connect(addr).await.is_err(), "nothing is accepted any more");
    let refused = client.ask(2, raw(ECHO, "new")).await;
    assert_eq!(refused.code, ResponseCode::GoAway as i32);
    let old = Command { version: 475, ..raw(ECHO, "old") };
    assert_eq!(client.ask(3, old).await.body, "old", "5.3.1 and older know no GO_AWAY");
    let one_way = raw(ECHO, "").one_way();
    assert_eq!(one_way.version, VERSION);
    client.send(4, one_way).await;
    until("the one-way request", || service.one_way.load(SeqCst) == 1).await;

    service.release(1);
    let answer = client.answer().await;
    assert_eq!((answer.opaque, &answer.body[..]), (1, &b"under way"[..]));
    assert!(client.receive().await.is_none());
    drop((client, idle));
    let report = within("the stop", stopping).await.expect("no panic");
    assert_eq!(report.cut_off, 0);
    assert_eq!(metrics.connections_now.load(SeqCst), 0);
    assert_eq!(service.closed.lock().expect("unpoisoned").len(), 2);
}

#[tokio::test]
async fn a_stop_cuts_off_what_takes_too_long() {
    let Running { service, server } = start(Limits::default());
    let mut client = Raw::connect(server.local_addr()).await;
    client.send(1, raw(PARK, "")).await;
    until("the request", || service.parked() == 1).await;
    let report = within("the stop", server.stop(Duration::from_millis(20))).await;
    assert_eq!(report.cut_off, 1);
    assert!(client.receive().await.is_none());
}

#[tokio::test]
async fn one_connection_more_than_the_limit_is_closed_at_once() {
    let running = start(Limits { connections_max: 2, ..Limits::default() });
    let (mut first, mut second) = (running.client().await, running.client().await);
    first.ask(1, raw(ECHO, "")).await;
    second.ask(1, raw(ECHO, "")).await;
    assert!(running.client().await.receive().await.is_none());
    let metrics = running.metrics();
    assert_eq!(metrics.connections_refused.load(SeqCst), 1);
    drop(first);
    until("room", || metrics.connections_now.load(SeqCst) == 1).await;
    running.client().await.ask(1, raw(ECHO, "")).await;
}

#[tokio::test]
async fn the_wildcard_listens_on_both_families_and_shows_ipv4_clients_as_such() {
    let listener = Listener::bind("0.0.0.0", 0, &BindOptions::default()).expect("a free port");
    let port = listener.local_addr().expect("a bound socket").port();
    let _server = Server::start(listener, Arc::new(TestService::default()), Default::default());
    let mut hosts: Vec<IpAddr> = vec![Ipv4Addr::LOCALHOST.into()];
    if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        hosts.push(Ipv6Addr::LOCALHOST.into());
    }
    for host in hosts {
        let mut client = Raw::connect(SocketAddr::new(host, port)).await;
        let own = client.socket.local_addr().expect("a bound socket").to_string();
        assert_eq!(client.ask(1, raw(WHO, "")).await.body, own);
    }
}

#[tokio::test]
async fn a_port_in_use_is_named_in_the_error() {
    let taken = Listener::bind("0.0.0.0", 0, &BindOptions::default()).expect("a free port");
    let port = taken.local_addr().expect("a bound socket").port();
    for host in ["0.0.0.0", "127.0.0.1"] {
        let error = Listener::bind(host, port, &BindOptions::default()).expect_err("taken");
        assert_eq!(error.source.kind(), std::io::ErrorKind::AddrInUse);
        assert_eq!(error.to_string(), format!("cannot listen on {host}:{port}"));
    }
}
