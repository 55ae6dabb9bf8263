//! docs/compatibility.md against what the roles really serve.
//!
//! The table of request codes is made by this test: run it with UPDATE=1. What stands in its last
//! column is written by hand and kept.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use skua_broker::{Broker, BrokerOptions, CallFailed, Outside};
use skua_config::{Environment, Properties, Role, Settings};
use skua_namesrv::{Files, Namesrv, NamesrvOptions, Outbound};
use skua_protocol::body::RouteData;
use skua_protocol::header::Fields;
use skua_protocol::request::{HandOver, HandOverResponse, RaftControl, TakeOver, TakeOverResponse};
use skua_protocol::service::{BoxFuture, ConnectionId, Outcome, Peer, PeerError, Service};
use skua_protocol::{Command, Millis, RequestCode, ResponseCode};
use skua_store::{RealDisk, Store, StoreOptions};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/compatibility.md");
const HEAD: &str = "| code | name | served by | notes |\n|---|---|---|---|\n";
const END: &str = "\n<!-- end of the request codes -->";

struct Nobody;

impl Peer for Nobody {
    fn id(&self) -> ConnectionId {
        ConnectionId(1)
    }

    fn remote_addr(&self) -> SocketAddr {
        ([127, 0, 0, 1], 1).into()
    }

    fn local_addr(&self) -> SocketAddr {
        ([127, 0, 0, 1], 2).into()
    }

    fn notify(&self, _request: Command) -> bool {
        false
    }

    fn call(&self, _request: Command, _ms: u64) -> BoxFuture<Result<Command, PeerError>> {
        Box::pin(async { Err(PeerError::Closed) })
    }

    fn close(&self) {}
}

struct Nothing;

impl Files for Nothing {
    fn read(&self, _path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn write(&self, _path: &str, _content: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

impl Outbound for Nothing {
    fn one_way(&self, _addr: &str, _request: Command) {}
}

impl Outside for Nothing {
    fn local_text(&self, _: Millis) -> String {
        String::new()
    }

    fn master_is_at(&self, _: &str, _: Option<&str>) {}
    fn register(&self) -> BoxFuture<()> {
        Box::pin(async {})
    }

    fn route(&self, _topic: &str) -> BoxFuture<Option<RouteData>> {
        Box::pin(async { None })
    }

    fn wake(&self, _at: Millis) {}

    fn master(&self) -> Option<String> {
        None
    }

    fn call(&self, _: &str, _: Command, _: u64) -> BoxFuture<Result<Command, CallFailed>> {
        let failed = CallFailed::NotSent("there is no other broker".to_owned());
        Box::pin(std::future::ready(Err(failed)))
    }

    fn call_broker(&self, _: &str, _: Command, _: u64) -> BoxFuture<Result<Command, String>> {
        Box::pin(std::future::ready(Err("there is no other broker".to_owned())))
    }

    fn raft_control(&self, _: RaftControl) -> BoxFuture<Result<Vec<u8>, String>> {
        Box::pin(std::future::ready(Err("not here".to_owned())))
    }

    fn hand_over(&self, _: HandOver) -> BoxFuture<Result<HandOverResponse, String>> {
        Box::pin(std::future::ready(Err("not here".to_owned())))
    }

    fn take_over(&self, _: TakeOver) -> BoxFuture<Result<TakeOverResponse, String>> {
        Box::pin(std::future::ready(Err("not here".to_owned())))
    }

    fn save_settings(&self, _settings: &Settings) -> io::Result<()> {
        Ok(())
    }
}

fn settings(role: Role) -> Settings {
    let loaded = Settings::load(role, &Properties::default(), &[], &Environment::default());
    loaded.expect("an empty file is a configuration").0
}

/// Whether the role does anything but refuse the code. Handlers get a request without a header.
fn serves<S: Service>(role: &Arc<S>, code: RequestCode) -> bool {
    let peer: Arc<dyn Peer> = Arc::new(Nobody);
    let request = Command::raw_request(code, Fields::new());
    match role.clone().serve(&peer, request, Millis(1)) {
        Outcome::Reply(answer) => answer.code != ResponseCode::RequestCodeNotSupported as i32,
        Outcome::Later(_) | Outcome::Blocking(_) => true,
    }
}

#[test]
fn the_table_of_request_codes_says_what_is_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = StoreOptions::new(folder.path());
    options.commit_log_file_size = skua_store::FileSize::Exactly(1 << 20);
    options.window_bytes = 1 << 16;
    let store = Store::open(options, Arc::new(RealDisk), Millis(1)).expect("an empty folder");
    let broker = Broker::new(
        BrokerOptions {
            replicas: skua_ha::Replicas::new(0),
            settings: Arc::new(settings(Role::Broker)),
            store: Arc::new(store),
            outside: Arc::new(Nothing),
            address: ([127, 0, 0, 1], 10911).into(),
            broker_addr: "127.0.0.1:10911".into(),
            ha_address: "127.0.0.1:10912".into(),
            process_id: 1,
            salt: 1,
        },
        Millis(1),
    )
    .expect("a broker");
    let namesrv = Namesrv::new(NamesrvOptions {
        settings: settings(Role::NameServer),
        files: Arc::new(Nothing),
        outbound: Arc::new(Nothing),
        now: Millis(1),
    });
    let namesrv = Arc::new(namesrv.expect("a name server"));

    let page = std::fs::read_to_string(PAGE).expect("docs/compatibility.md");
    let start = page.find(HEAD).expect("the table's head") + HEAD.len();
    let end = page.find(END).expect("the table's end");
    let notes: BTreeMap<&str, &str> = page[start..end]
        .lines()
        .filter_map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [code, _, _, note] = cells[..] else { return None };
            Some((code, note))
        })
        .collect();
    let mut table = String::new();
    for code in RequestCode::ALL {
        let number = (*code as i32).to_string();
        let by = match (serves(&broker, *code), serves(&namesrv, *code)) {
            (true, true) => "broker, name server",
            (true, false) => "broker",
            (false, true) => "name server",
            (false, false) => "–",
        };
        let note = notes.get(number.as_str()).unwrap_or(&"");
        table.push_str(&format!("| {number} | {} | {by} | {note} |\n", code.name()));
    }
    let expected = format!("{}{table}{}", &page[..start], &page[end..]);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(PAGE, &expected).expect("the page can be written");
    }
    let found = std::fs::read_to_string(PAGE).expect("docs/compatibility.md");
    assert!(found == expected, "docs/compatibility.md is stale: run this test with UPDATE=1");
}
