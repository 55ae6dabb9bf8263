//! What is done with bytes that anyone may send to the HTTP ports. Each function takes any bytes at
//! all and panics only if the code under test breaks its word. Run with mutations by `cargo test`,
//! and by cargo-fuzz from `/fuzz`.

use std::sync::Arc;
use std::time::Duration;

use skua::http::{Family, Health, Watched, connection, console, metric, routes};
use skua_remoting::ClientOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A name and what to do with bytes.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: &[Target] = &[("http_watch", watch), ("http_console", visit)];

/// Of the answers to one connection, what is looked at.
const ANSWER_MAX: usize = 256 * 1024;
const KEPT: Duration = Duration::from_secs(20);

struct Role;

impl Watched for Role {
    fn why_not_ready(&self) -> Vec<String> {
        vec!["it is a test".to_owned()]
    }

    fn figures(&self) -> Vec<Family> {
        vec![Family::of(metric::BUILD_INFO).with([("version", "\"\n\\")], 1_u32)]
    }
}

/// What is answered to these bytes on a connection whose other end then says no more.
fn answered(routes: axum::Router, data: &[u8]) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let (client, server) = tokio::io::duplex(64 * 1024);
        let (mut answers, mut asks) = tokio::io::split(client);
        let ask = async {
            // An error means that it was closed before it had read all.
            let _ = asks.write_all(data).await;
            let _ = asks.shutdown().await;
        };
        let mut answer = Vec::new();
        let read = async {
            let mut part = [0; 4096];
            loop {
                match answers.read(&mut part).await.expect("a pipe") {
                    0 => break,
                    len if answer.len() < ANSWER_MAX => answer.extend_from_slice(&part[..len]),
                    _ => {}
                }
            }
        };
        tokio::join!(connection(server, routes, KEPT), ask, read);
        answer
    })
}

/// Statuses and content types.
fn statuses(answer: &[u8]) -> Vec<(u16, String)> {
    let text = String::from_utf8_lossy(answer).into_owned();
    let mut found = Vec::new();
    for part in text.split("HTTP/1.").skip(1) {
        let head = part.split("\r\n\r\n").next().unwrap_or_default().to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|word| word.get(..3)?.parse().ok());
        let kind = head.lines().find_map(|line| line.strip_prefix("content-type: "));
        if let Some(status) = status {
            found.push((status, kind.unwrap_or_default().to_owned()));
        }
    }
    found
}

/// The port of health and metrics.
pub fn watch(data: &[u8]) {
    let health = Arc::<Health>::default();
    health.watch(Arc::new(Role));
    for (status, _) in statuses(&answered(routes(health), data)) {
        assert!([200, 400, 404, 405, 408, 413, 414, 431, 503].contains(&status), "{status}");
    }
}

/// The console of a cluster that nobody reaches: without its word nothing is shown but the page,
/// whatever a visitor says to be.
pub fn visit(data: &[u8]) {
    let routes = console::routes(vec!["127.0.0.1:1".to_owned()], ClientOptions::default());
    for (status, kind) in statuses(&answered(routes, data)) {
        assert_ne!(status, 500);
        assert!(status != 200 || !kind.contains("json"), "{status} {kind}");
    }
}
