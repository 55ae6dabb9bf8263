//! The outbound client, against our own server and against sockets that misbehave.

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use common::*;
use skua_protocol::command::Command;
use skua_protocol::request::GetMaxOffset;
use skua_protocol::service::{ConnectionId, Outcome, Peer, Service};
use skua_protocol::{Millis, ResponseCode};
use skua_remoting::{CallError, Client, ClientOptions, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn client() -> Client {
    Client::new(ClientOptions::default())
}

#[tokio::test]
async fn concurrent_calls_share_one_connection() {
    let running = start(Limits::default());
    let addr = running.addr().to_string();
    let client = client();
    let calls = (0..1000).map(|i| {
        let (client, addr) = (client.clone(), addr.clone());
        tokio::spawn(async move {
            let answer = client.call(&addr, raw(ECHO, i.to_string()), 30_000).await;
            assert_eq!(answer.expect("an answer").body, i.to_string());
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.expect("no panic");
    }
    assert_eq!(running.metrics().connections_accepted.load(SeqCst), 1);
}

#[tokio::test]
async fn answers_find_their_calls_in_any_order() {
    let running = start(Limits::default());
    let addr = running.addr().to_string();
    let client = client();
    let slow = tokio::spawn({
        let (client, addr) = (client.clone(), addr.clone());
        async move { client.call(&addr, raw(PARK, "slow"), 30_000).await }
    });
    until("the slow one", || running.service.parked() == 1).await;
    let quick = client.call(&addr, raw(ECHO, "quick"), 30_000).await.expect("an answer");
    assert_eq!(quick.body, "quick");
    running.service.release(0);
    assert_eq!(slow.await.expect("no panic").expect("an answer").body, "slow");
}

#[tokio::test]
async fn a_call_without_an_answer_names_address_and_time() {
    let running = start(Limits::default());
    let addr = running.addr().to_string();
    let client = client();
    let error = client.call(&addr, raw(PARK, ""), 30).await.expect_err("nothing answers");
    assert_eq!(error.to_string(), format!("no answer from {addr} within 30 ms"));
    running.service.release(0);
    let metrics = client.metrics().clone();
    until("the late answer", || metrics.late_answers.load(SeqCst) == 1).await;
    client.call(&addr, raw(ECHO, ""), 30_000).await.expect("the connection is still good");
    assert_eq!(running.metrics().connections_accepted.load(SeqCst), 1);
}

#[tokio::test]
async fn connecting_fails_with_the_cause() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("a bound socket").to_string();
    drop(listener);
    let client = client();
    let error = client.call(&addr, raw(ECHO, ""), 30_000).await.expect_err("nobody listens");
    assert!(matches!(error, CallError::Connect { .. }), "{error}");
    assert!(error.to_string().starts_with(&format!("cannot connect to {addr}: ")), "{error}");
    let error = client.call("no port", raw(ECHO, ""), 30_000).await.expect_err("no address");
    assert!(matches!(error, CallError::Lookup { .. }), "{error}");
}

#[tokio::test]
async fn host_names_are_resolved() {
    let running = start(Limits::default());
    let addr = format!("localhost:{}", running.addr().port());
    assert_eq!(client().call(&addr, raw(ECHO, "x"), 30_000).await.expect("an answer").body, "x");
}

#[tokio::test]
async fn a_lost_connection_fails_its_calls_and_the_next_call_reconnects() {
    let running = start(Limits::default());
    let addr = running.addr().to_string();
    let client = client();
    let parked = tokio::spawn({
        let (client, addr) = (client.clone(), addr.clone());
        async move { client.call(&addr, raw(PARK, ""), 30_000).await }
    });
    until("the parked call", || running.service.parked() == 1).await;
    client.one_way(&addr, raw(CLOSE_ME, "")).await.expect("queued");
    let error = parked.await.expect("no panic").expect_err("the connection is gone");
    assert!(matches!(error, CallError::Closed { .. }), "{error}");
    assert!(error.to_string().starts_with(&format!("connection to {addr} ended: ")), "{error}");
    client.call(&addr, raw(ECHO, ""), 30_000).await.expect("a new connection");
    assert_eq!(running.metrics().connections_accepted.load(SeqCst), 2);
}

#[tokio::test]
async fn a_bad_frame_from_the_server_is_named_in_the_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("a bound socket").to_string();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a connection");
        let mut request = [0; 10];
        socket.read_exact(&mut request).await.expect("a request");
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("an open connection");
        let _ = socket.read_to_end(&mut Vec::new()).await;
    });
    let error = client().call(&addr, raw(ECHO, ""), 30_000).await.expect_err("not our protocol");
    let text = error.to_string();
    assert!(text.contains(&addr) && text.contains("bad frame"), "{text}");
}

#[tokio::test]
async fn a_silent_server_does_not_hold_a_client_longer_than_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("a bound socket").to_string();
    let error = client().call(&addr, raw(ECHO, ""), 40).await.expect_err("nobody accepts");
    assert!(matches!(error, CallError::Timeout { timeout_ms: 40, .. }), "{error}");
}

#[tokio::test]
async fn go_away_is_an_error_and_the_next_call_takes_a_new_connection() {
    let Running { service, server } = start(Limits::default());
    let addr = server.local_addr().to_string();
    let client = client();
    let parked = tokio::spawn({
        let (client, addr) = (client.clone(), addr.clone());
        async move { client.call(&addr, raw(PARK, "kept"), 30_000).await }
    });
    until("the parked call", || service.parked() == 1).await;
    let go_aways = server.metrics().clone();
    let stopping = tokio::spawn(server.stop(Duration::from_secs(30)));
    let mut refused = None;
    while go_aways.go_aways.load(SeqCst) == 0 {
        refused = Some(client.call(&addr, raw(ECHO, ""), 30_000).await);
    }
    assert!(matches!(refused, Some(Err(CallError::GoAway { .. }))));
    let next = client.call(&addr, raw(ECHO, ""), 30_000).await;
    assert!(matches!(next, Err(CallError::Connect { .. })), "it listens no more");
    service.release(0);
    assert_eq!(parked.await.expect("no panic").expect("an answer").body, "kept");
    within("the stop", stopping).await.expect("no panic");
}

#[tokio::test]
async fn one_way_requests_arrive_before_the_client_closes() {
    let running = start(Limits::default());
    let client = client();
    for _ in 0..100 {
        client.one_way(&running.addr().to_string(), raw(ECHO, "")).await.expect("queued");
    }
    within("the close", client.close(Duration::from_secs(30))).await;
    until("all of them", || running.service.one_way.load(SeqCst) == 100).await;
    assert!(client.call(&running.addr().to_string(), raw(ECHO, ""), 1000).await.is_err());
}

#[tokio::test]
async fn dropping_the_client_ends_its_connections() {
    let running = start(Limits::default());
    let client = client();
    client.call(&running.addr().to_string(), raw(ECHO, ""), 30_000).await.expect("an answer");
    let metrics = running.metrics();
    assert_eq!(metrics.connections_now.load(SeqCst), 1);
    drop(client);
    until("the end", || metrics.connections_now.load(SeqCst) == 0).await;
}

struct Handler;

impl Service for Handler {
    fn serve(self: Arc<Self>, _: &Arc<dyn Peer>, request: Command, _: Millis) -> Outcome {
        assert_eq!(request.code, CALL_BACK);
        Outcome::Reply(Command::success().with_body([&request.body[..], b", handled"].concat()))
    }

    fn closed(&self, _: ConnectionId, _: Millis) {}
}

#[tokio::test]
async fn requests_of_the_server_go_to_the_handler() {
    let running = start(Limits::default());
    let addr = running.addr().to_string();
    let client = Client::with_handler(ClientOptions::default(), Arc::new(Handler));
    let answer = client.call(&addr, raw(CALL_ME, "30000"), 30_000).await.expect("an answer");
    assert_eq!(answer.body, "from the server, handled");
}

#[tokio::test]
async fn several_connections_take_turns() {
    let running = start(Limits::default());
    let addr = running.addr().to_string();
    let client = Client::new(ClientOptions { connections_per_address: 3, ..Default::default() });
    for _ in 0..9 {
        client.call(&addr, raw(ECHO, ""), 30_000).await.expect("an answer");
    }
    assert_eq!(running.metrics().connections_accepted.load(SeqCst), 3);
}

/// Answers GET_MAX_OFFSET for one topic.
struct Offsets;

impl Service for Offsets {
    fn serve(self: Arc<Self>, _: &Arc<dyn Peer>, request: Command, _: Millis) -> Outcome {
        Outcome::Reply(match request.header::<GetMaxOffset>() {
            Ok(asked) if asked.topic == "known" => {
                let mut answer = Command::success().with_body(request.body);
                answer.fields.push("offset", "77");
                answer
            }
            Ok(asked) if asked.topic == "odd" => Command::success(),
            Ok(_) => Command::error(ResponseCode::TopicNotExist, "no such topic"),
            Err(error) => Command::error(ResponseCode::SystemError, error.to_string()),
        })
    }

    fn closed(&self, _: ConnectionId, _: Millis) {}
}

#[tokio::test]
async fn typed_requests_give_typed_answers_or_say_what_was_wrong() {
    let listener =
        skua_remoting::Listener::bind("127.0.0.1", 0, &Default::default()).expect("a free port");
    let server = skua_remoting::Server::start(listener, Arc::new(Offsets), Default::default())
        .expect("a bound socket");
    let addr = server.local_addr().to_string();
    let client = client();
    let asked =
        |topic: &str| GetMaxOffset { topic: topic.into(), queue_id: 1, ..GetMaxOffset::default() };
    let known = client.request_with_body(&addr, &asked("known"), "body", 30_000).await;
    let (header, body) = known.expect("an offset");
    assert_eq!((header.offset, &body[..]), (77, &b"body"[..]));
    let refused = client.request(&addr, &asked("unknown"), 30_000).await.expect_err("refused");
    assert_eq!(refused.to_string(), format!("{addr} answered TOPIC_NOT_EXIST (17): no such topic"));
    let odd = client.request(&addr, &asked("odd"), 30_000).await.expect_err("no offset in it");
    assert!(matches!(odd, CallError::Header { .. }), "{odd}");
}
