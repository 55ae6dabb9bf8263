//! TLS beside plain connections: who gets in, who does not, and what becomes of the rest.

#[path = "common/authority.rs"]
mod authority;
mod common;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use authority::{Authority, EXPIRED, Issued, VALID, self_signed};
use common::*;
use skua_protocol::Command;
use skua_remoting::tls::{
    ClientAuth, ClientTls, ClientTlsOptions, KeyFiles, Mode, ServerTls, ServerTlsOptions, TlsError,
};
use skua_remoting::{CallError, Client, ClientOptions, Limits, ServerOptions};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn files(issued: Issued) -> KeyFiles {
    KeyFiles { key: Some(issued.key), password: None, cert: Some(issued.cert) }
}

fn server(options: ServerTlsOptions) -> (Running, Arc<ServerTls>) {
    server_with(options, Limits::default())
}

fn server_with(options: ServerTlsOptions, limits: Limits) -> (Running, Arc<ServerTls>) {
    let tls = ServerTls::new(options).expect("good files");
    let options = ServerOptions { tls: Some(tls.clone()), limits, ..Default::default() };
    (start_with(options), tls)
}

fn client(options: ClientTlsOptions) -> Client {
    let tls = Some(ClientTls::new(options).expect("good files"));
    Client::new(ClientOptions { tls, ..Default::default() })
}

fn trusting_anyone() -> ClientTlsOptions {
    ClientTlsOptions { test: true, ..Default::default() }
}

async fn echo(client: &Client, running: &Running, text: &str) -> Result<Command, CallError> {
    let addr = running.addr().to_string();
    within("an answer", client.call(&addr, raw(ECHO, text.to_owned()), 20_000)).await
}

async fn works(client: &Client, running: &Running) {
    let answer = echo(client, running, "hello").await.expect("an answer");
    assert_eq!(answer.body, "hello");
}

async fn fails(client: &Client, running: &Running) {
    let error = echo(client, running, "hello").await.expect_err("no answer");
    assert!(
        matches!(error, CallError::Connect { .. } | CallError::Closed { .. }),
        "ends at once, not by time: {error}"
    );
}

#[tokio::test]
async fn a_permissive_port_serves_both_by_the_first_byte() {
    let (running, _) = server(ServerTlsOptions { test: true, ..Default::default() });
    let mut plain = running.client().await;
    let by_tls = client(trusting_anyone());
    works(&by_tls, &running).await;
    assert_eq!(plain.ask(1, raw(ECHO, "plain")).await.body, "plain");
    works(&Client::new(ClientOptions::default()), &running).await;
    assert_eq!(running.metrics().tls_handshakes.load(SeqCst), 1);
}

#[tokio::test]
async fn an_enforcing_port_serves_no_plain_connection_and_a_disabled_one_no_tls() {
    let test = true;
    let (running, _) =
        server(ServerTlsOptions { mode: Mode::Enforcing, test, ..Default::default() });
    fails(&Client::new(ClientOptions::default()), &running).await;
    works(&client(trusting_anyone()), &running).await;
    let mut raw_client = running.client().await;
    raw_client.send(1, raw(ECHO, "plain")).await;
    assert!(raw_client.receive().await.is_none());
    assert_eq!(running.metrics().requests.load(SeqCst), 1, "no plain request was served");

    let (running, _) =
        server(ServerTlsOptions { mode: Mode::Disabled, test, ..Default::default() });
    fails(&client(trusting_anyone()), &running).await;
    works(&Client::new(ClientOptions::default()), &running).await;
}

#[tokio::test]
async fn clients_show_a_certificate_of_the_right_authority_that_has_not_expired() {
    let dir = TempDir::new().expect("a folder");
    let (ours, theirs) = (Authority::new(dir.path(), "ours"), Authority::new(dir.path(), "theirs"));
    let options = ServerTlsOptions {
        mode: Mode::Enforcing,
        own: files(ours.issue("server", VALID)),
        client_auth: ClientAuth::Require,
        check_clients: true,
        trust: Some(ours.trust()),
        ..Default::default()
    };
    let (running, _) = server(options.clone());
    let with = |own| client(ClientTlsOptions { own, ..Default::default() });
    works(&with(files(ours.issue("good", VALID))), &running).await;
    fails(&with(files(ours.issue("expired", EXPIRED))), &running).await;
    fails(&with(files(theirs.issue("foreign", VALID))), &running).await;
    fails(&with(KeyFiles::default()), &running).await;
    assert_eq!(running.metrics().requests.load(SeqCst), 1);

    let optional = ServerTlsOptions { client_auth: ClientAuth::Optional, ..options.clone() };
    let (running, _) = server(optional);
    works(&with(KeyFiles::default()), &running).await;
    works(&with(files(ours.issue("good", VALID))), &running).await;
    fails(&with(files(theirs.issue("foreign", VALID))), &running).await;

    let any = ServerTlsOptions { check_clients: false, ..options };
    let (running, _) = server(any);
    works(&with(files(theirs.issue("foreign", VALID))), &running).await;
    fails(&with(KeyFiles::default()), &running).await;
}

#[tokio::test]
async fn clients_believe_servers_of_their_authority_or_the_very_certificate() {
    let dir = TempDir::new().expect("a folder");
    let (ours, theirs) = (Authority::new(dir.path(), "ours"), Authority::new(dir.path(), "theirs"));
    let serve = |own| server(ServerTlsOptions { own, ..Default::default() }).0;
    let believing =
        |trust| client(ClientTlsOptions { check_servers: true, trust, ..Default::default() });
    let running = serve(files(ours.issue("server", VALID)));
    works(&believing(Some(ours.trust())), &running).await;
    fails(&believing(Some(theirs.trust())), &running).await;
    works(&client(ClientTlsOptions::default()), &running).await;
    fails(&believing(Some(ours.trust())), &serve(files(ours.issue("expired", EXPIRED)))).await;

    let own = |name: &str, until| files(self_signed(dir.path(), name, until));
    let made = own("selfmade", VALID);
    works(&believing(made.cert.clone()), &serve(made)).await;
    let made = own("selfold", EXPIRED);
    fails(&believing(made.cert.clone()), &serve(made)).await;
    let (one, other) = (own("one", VALID), own("other", VALID));
    fails(&believing(other.cert), &serve(one)).await;
}

#[tokio::test]
async fn renewed_certificates_count_for_new_connections_and_broken_ones_do_not() {
    let dir = TempDir::new().expect("a folder");
    let (old, new) = (Authority::new(dir.path(), "old"), Authority::new(dir.path(), "new"));
    let own = files(old.issue("server", VALID));
    let (running, tls) = server(ServerTlsOptions { own: own.clone(), ..Default::default() });
    let believing =
        |trust| client(ClientTlsOptions { check_servers: true, trust, ..Default::default() });
    let (before, after) = (believing(Some(old.trust())), believing(Some(new.trust())));
    works(&before, &running).await;
    fails(&after, &running).await;
    assert!(tls.refresh().is_none(), "nothing has changed");

    // The certificate alone first, as a renewal under way: it does not fit the key.
    let renewed = files(new.issue("renewed", VALID));
    let copy = |from: &Option<PathBuf>, to: &Option<PathBuf>| {
        let (from, to) = (from.as_ref().expect("a path"), to.as_ref().expect("a path"));
        std::fs::copy(from, to).expect("copied");
    };
    std::fs::remove_file(own.cert.as_ref().expect("a path")).expect("removed");
    assert!(tls.refresh().expect("changed").is_err());
    copy(&renewed.cert, &own.cert);
    let mismatch = tls.refresh().expect("changed").expect_err("half a renewal");
    assert!(matches!(mismatch, TlsError::Mismatch { .. }), "{mismatch}");
    works(&believing(Some(old.trust())), &running).await;
    // A certificate of the same length in the same tick of the clock is not looked for.
    tokio::time::sleep(Duration::from_millis(20)).await;
    copy(&renewed.key, &own.key);
    tls.refresh().expect("changed").expect("whole");
    works(&after, &running).await;
    fails(&believing(Some(old.trust())), &running).await;
    works(&before, &running).await;
}

/// Made with `openssl pkcs8 -topk8 -v2 aes256` (password `secret`); the key of nothing.
const ENCRYPTED: &str = include_str!("fixtures/encrypted.key");
const ENCRYPTED_CERT: &str = include_str!("fixtures/encrypted.pem");

#[tokio::test]
async fn encrypted_keys_need_their_password() {
    let dir = TempDir::new().expect("a folder");
    let (key, cert) = (dir.path().join("key"), dir.path().join("cert"));
    std::fs::write(&key, ENCRYPTED).expect("a file");
    std::fs::write(&cert, ENCRYPTED_CERT).expect("a file");
    let serve = |password: Option<&str>| {
        let password = password.map(str::to_owned);
        let own = KeyFiles { key: Some(key.clone()), password, cert: Some(cert.clone()) };
        ServerTls::new(ServerTlsOptions { own, ..Default::default() })
    };
    let error =
        |result: Result<Arc<ServerTls>, TlsError>| result.expect_err("no server").to_string();
    assert!(error(serve(None)).contains("no password is given"));
    assert!(error(serve(Some("wrong"))).contains("cannot be decrypted"));
    let tls = serve(Some("secret")).expect("the right password");
    let running = start_with(ServerOptions { tls: Some(tls), ..Default::default() });
    works(&client(trusting_anyone()), &running).await;
}

#[tokio::test]
async fn files_that_are_missing_or_wrong_are_named() {
    let dir = TempDir::new().expect("a folder");
    let authority = Authority::new(dir.path(), "ours");
    let good = files(authority.issue("server", VALID));
    let error = |own: KeyFiles| {
        let result = ServerTls::new(ServerTlsOptions { own, ..Default::default() });
        result.expect_err("no server").to_string()
    };
    assert_eq!(error(KeyFiles::default()), "tls.server.keyPath is needed");
    let nowhere = Some(dir.path().join("nowhere"));
    assert!(error(KeyFiles { key: nowhere.clone(), ..good.clone() }).contains("nowhere"));
    assert!(error(KeyFiles { cert: nowhere, ..good.clone() }).contains("nowhere"));
    let swapped = KeyFiles { key: good.cert.clone(), cert: good.key.clone(), password: None };
    assert!(error(swapped).contains("no certificate in it"));
    let empty = Some(dir.path().join("empty"));
    std::fs::write(dir.path().join("empty"), "").expect("a file");
    assert!(error(KeyFiles { key: empty, ..good.clone() }).contains("no private key in it"));
    let other = files(authority.issue("other", VALID));
    assert!(error(KeyFiles { key: other.key, ..good }).contains("do not belong together"));
}

#[tokio::test]
async fn large_answers_come_whole_and_in_any_order() {
    let (running, _) = server(ServerTlsOptions { test: true, ..Default::default() });
    let client = client(trusting_anyone());
    let addr = running.addr().to_string();
    let calls = (0..60).map(|i| {
        let (client, addr) = (client.clone(), addr.clone());
        let len = [0, 10, 70_000, 1 << 20, 3 << 20][i % 5];
        async move {
            let answer = client.call(&addr, raw(BIG, len.to_string()), 30_000).await;
            assert_eq!(answer.expect("an answer").body.len(), len);
        }
    });
    within("all answers", futures_util::future::join_all(calls)).await;
    for len in [0, 16_384, 70_000, 3 << 20] {
        let body: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        let answer = client.call(&addr, raw(ECHO, body.clone()), 30_000).await;
        assert!(answer.expect("an answer").body == body, "{len} bytes");
    }
}

#[tokio::test]
async fn a_stop_waits_for_the_last_bytes_and_the_server_calls_its_clients() {
    let (running, _) = server(ServerTlsOptions { test: true, ..Default::default() });
    let client = client(trusting_anyone());
    let addr = running.addr().to_string();
    let called = client.call(&addr, raw(CALL_ME, "5000"), 10_000).await.expect("an answer");
    assert_eq!(called.code, 0, "the client was reached, whatever it said");
    let big = {
        let client = client.clone();
        tokio::spawn(async move { client.call(&addr, raw(BIG, "3000000"), 20_000).await })
    };
    until("the request is there", || running.metrics().requests.load(SeqCst) == 2).await;
    let report = running.server.stop(Duration::from_secs(20)).await;
    assert_eq!(report.cut_off, 0);
    let answer = big.await.expect("no panic").expect("the whole answer");
    assert_eq!(answer.body.len(), 3_000_000);
}

#[tokio::test]
async fn a_proxy_preamble_comes_before_the_handshake() {
    let (running, _) =
        server(ServerTlsOptions { mode: Mode::Enforcing, test: true, ..Default::default() });
    let mut socket = tokio::net::TcpStream::connect(running.addr()).await.expect("connected");
    socket.write_all(b"PROXY TCP4 192.0.2.1 192.0.2.2 5678 9876\r\n").await.expect("sent");
    let tls = ClientTls::new(trusting_anyone()).expect("nothing to read");
    let mut stream = tls.connect(socket, "localhost:1").await.expect("a handshake");
    let mut bytes = bytes::BytesMut::new();
    skua_protocol::frame::encode(&raw(WHO, ""), &mut bytes);
    stream.write_all(&bytes).await.expect("sent");
    stream.flush().await.expect("flushed");
    let mut answer = bytes::BytesMut::new();
    let answer = within("an answer", async {
        loop {
            if let Some(answer) = skua_protocol::frame::decode(&mut answer).expect("a frame") {
                return answer;
            }
            stream.read_buf(&mut answer).await.expect("more");
        }
    })
    .await;
    assert_eq!(answer.body, "192.0.2.1:5678");
    let mut plain = running.client().await;
    plain.send_bytes(b"PROXY TCP4 192.0.2.1 192.0.2.2 5678 9876\r\n").await;
    plain.send(1, raw(WHO, "")).await;
    assert!(plain.receive().await.is_none(), "the preamble opens no plain door");
}

#[tokio::test]
async fn half_a_handshake_has_its_time_and_its_number() {
    let limits = Limits { tls_handshake_ms_max: 300, tls_handshakes_max: 3, ..Limits::default() };
    let (running, _) = server_with(ServerTlsOptions { test: true, ..Default::default() }, limits);
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut client = running.client().await;
        client.send_bytes(b"\x16\x03\x01\x02\x00\x01").await;
        slow.push(client);
    }
    until("all are under way", || running.metrics().connections_now.load(SeqCst) == 3).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut fourth = running.client().await;
    fourth.send_bytes(b"\x16\x03\x01\x02\x00\x01").await;
    assert!(fourth.receive().await.is_none(), "one too many");
    // Dripping helps nobody.
    let dripping = async {
        loop {
            for client in &mut slow {
                let _ = client.socket.write_all(b"\0").await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let closed = until("they are closed", || running.metrics().connections_now.load(SeqCst) == 0);
    tokio::select! {
        () = closed => {}
        () = dripping => {}
    }
    works(&client(trusting_anyone()), &running).await;
}
