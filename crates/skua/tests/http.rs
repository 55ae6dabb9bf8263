//! The HTTP port of a running server, as a probe and a scraper see it.

mod common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Server, ports, skua};

const PATIENCE: Duration = Duration::from_secs(60);

fn broker(dir: &Path, conf: &str) -> Server {
    let file = dir.join("broker.conf");
    std::fs::write(&file, conf).expect("the folder is there");
    let mut command = skua();
    command.arg("broker").arg("-c").arg(file).stdout(Stdio::null()).stderr(Stdio::null());
    Server(command.spawn().expect("the binary runs"))
}

/// Status and body; `None` if nobody answers.
fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(socket, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_broker_tells_its_health_why_it_is_not_ready_and_its_figures() {
    let dir = tempfile::tempdir().expect("there is space");
    let [listen, ha, http, namesrv] = ports();
    let conf = format!(
        "listenPort={listen}\nhaListenPort={ha}\nhttpPort={http}\nbrokerIP1=127.0.0.1\n\
         brokerName=a\nnamesrvAddr=127.0.0.1:{namesrv}\nstorePathRootDir={}\n\
         mappedFileSizeCommitLog=1048576\n",
        dir.path().join("store").display()
    );
    let _server = broker(dir.path(), &conf);

    let reason = format!("not registered at any name server of 127.0.0.1:{namesrv}");
    let (status, body) =
        until("the reason", || get(http, "/ready").filter(|(_, body)| body.contains(&reason)));
    assert_eq!(status, 503, "{body}");
    let (status, body) = get(http, "/health").expect("it lives");
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"status\":\"degraded\"") && body.contains(&reason), "{body}");

    let (status, page) = get(http, "/metrics").expect("it lives");
    assert_eq!(status, 200);
    let node = "cluster=\"DefaultCluster\",node_type=\"broker\",node_id=\"a\"";
    for line in [
        format!("rocketmq_broker_permission{{{node}}} 6.0"),
        format!(
            "rocketmq_storage_size{{{node},storage_type=\"local\",storage_medium=\"disk\"}} 0.0"
        ),
        format!("skua_storage_failed{{{node}}} 0.0"),
        "skua_name_servers{registered=\"false\"} 1.0".to_owned(),
        "# TYPE process_resident_memory_bytes gauge".to_owned(),
        "# EOF".to_owned(),
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    assert_eq!(get(http, "/nothing").map(|(status, _)| status), Some(404));
}

#[test]
fn a_port_that_was_given_and_is_taken_stops_the_start_and_one_that_was_not_does_not() {
    let dir = tempfile::tempdir().expect("there is space");
    let [listen, ha] = ports();
    let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
    let http = taken.local_addr().expect("bound").port();
    let conf = |more: &str| {
        format!(
            "listenPort={listen}\nhaListenPort={ha}\nbrokerIP1=127.0.0.1\n{more}\n\
             storePathRootDir={}\nmappedFileSizeCommitLog=1048576\n",
            dir.path().join("store").display()
        )
    };
    let mut server = broker(dir.path(), &conf(&format!("httpPort={http}")));
    let status = until("its end", || server.0.try_wait().expect("a child"));
    assert!(!status.success());

    let Some(next) = listen.checked_add(3) else { return };
    let _taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, next));
    let _server = broker(dir.path(), &conf(""));
    until("the broker's port", || TcpStream::connect((Ipv4Addr::LOCALHOST, listen)).ok());
}
