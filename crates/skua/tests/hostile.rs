//! Requests that no well-meaning prober, scraper or browser sends, by seed.

#[path = "../../protocol/tests/hostile/counting.rs"]
mod counting;
#[path = "hostile/targets.rs"]
mod targets;

use std::sync::Arc;
use std::time::{Duration, Instant};

use counting::{Counting, peak_of};
use skua::http::{Health, connection, console, routes};
use skua_remoting::ClientOptions;
use skua_seeds::Random;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const REQUESTS: &[&str] = &[
    "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text\r\n\r\n",
    "GET /ready HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.0\r\n\r\n",
    "HEAD /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "GET /api/topics?search=a&page=1&kind=all HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YTpi\r\n\r\n",
    "GET /api/messages?topic=%25RETRY%25G&from=0&to=1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "POST /api/topic HTTP/1.1\r\nHost: x\r\nX-Skua-Console: 1\r\nContent-Type: application/json\r\nContent-Length: 55\r\n\r\n{\"name\":\"T\",\"cluster\":\"C\",\"queues\":1,\"perm\":6,\"x\":null}",
    "POST /api/offset HTTP/1.1\r\nHost: x\r\nX-Skua-Console: 1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n29\r\n{\"group\":\"g\",\"topic\":\"t\",\"time\":\"now\"}   \r\n0\r\n\r\n",
    "GET /console.js HTTP/1.1\r\nHost: x\r\n\r\n",
];

const TOKENS: &[&str] = &[
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\0",
    " ",
    ":",
    "?",
    "&",
    "%",
    "%00",
    "%ff",
    "/..",
    "//",
    "GET ",
    "POST ",
    "PRI * HTTP/2.0",
    "HTTP/1.0",
    "HTTP/9.9",
    "Content-Length: 18446744073709551615\r\n",
    "Content-Length: -1\r\n",
    "Content-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "ffffffffffffffff\r\n",
    "0\r\n\r\n",
    "Expect: 100-continue\r\n",
    "Upgrade: websocket\r\nConnection: upgrade\r\n",
    "Authorization: Basic \r\n",
    "Authorization: Basic Og==\r\n",
    "page=18446744073709551615",
    "page=-1",
    "from=-9223372036854775808",
    "[",
    "{",
    "\"",
    "é",
];

fn inserted(dice: &mut Random) -> Vec<u8> {
    let of = if dice.one_in(2) { REQUESTS } else { TOKENS };
    dice.pick(of).as_bytes().to_vec()
}

#[test]
fn hostile_requests_panic_nothing_show_nothing_and_cost_little() {
    for (name, target) in targets::TARGETS {
        skua_seeds::each(2000, |seed| {
            let mut dice = Random(seed);
            let mut data = dice.pick(REQUESTS).as_bytes().to_vec();
            if seed >= REQUESTS.len() as u64 {
                dice.mutate(&mut data, 5000, inserted);
            }
            let peak = peak_of(|| target(&data));
            // A runtime, a pipe, a head and a body of the greatest size, the page of the console.
            let max = 2 << 20;
            assert!(peak <= max, "{name}: {} bytes of input held {peak} bytes", data.len());
        });
    }
}

/// Who sends a byte now and then, or reads none, has its time and no more.
#[tokio::test]
async fn slow_clients_do_not_keep_their_place() {
    const KEPT: Duration = Duration::from_millis(300);
    let post = "POST /api/topic HTTP/1.1\r\nHost: x\r\nX-Skua-Console: 1\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n";
    let page = "GET /console.js HTTP/1.1\r\nHost: x\r\n\r\n";
    let with_console = || console::routes(vec!["127.0.0.1:1".to_owned()], ClientOptions::default());
    let watched = || routes(Arc::<Health>::default());
    for (what, routes, begin) in [
        ("a body by the byte", with_console(), post),
        ("a head by the byte", watched(), "GET /hea"),
        ("answers that nobody reads", with_console(), page),
    ] {
        let (client, server) = tokio::io::duplex(1024);
        let begun = Instant::now();
        let served = tokio::spawn(connection(server, routes, KEPT));
        let (mut answers, mut asks) = tokio::io::split(client);
        asks.write_all(begin.as_bytes()).await.expect("an open connection");
        let drips = begin != page;
        while !served.is_finished() {
            assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
            if drips {
                let _ = asks.write_all(b"x").await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        served.await.expect("no panic");
        assert!(begun.elapsed() >= KEPT, "{what} ended at once");
        let mut rest = Vec::new();
        answers.read_to_end(&mut rest).await.expect("a pipe");
    }
}
