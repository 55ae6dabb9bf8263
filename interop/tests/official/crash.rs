//! What was acknowledged is there after `kill -9`. `SKUA_KILLS=100` kills that often, instead of
//! twenty times, in each flush mode.

use skua_interop::{Broker, Client, Driver, Kind, Namesrv, Scene, Tuning, check};

const KILLS: usize = 20;
/// Acknowledged between two kills, at least.
const SENDS: usize = 300;

fn rounds() -> usize {
    if let Some(kills) = std::env::var("SKUA_KILLS").ok().and_then(|text| text.parse().ok()) {
        return kills;
    }
    // A Java broker takes half a minute to come back: a few rounds prove the test itself.
    if Kind::under_test() == Kind::Java { 3 } else { KILLS }
}

fn acknowledged_survives(flush: &'static str) {
    let scene = Scene::new();
    let kind = Kind::under_test();
    let namesrv = Namesrv::start(&scene, kind);
    let tuning = Tuning { settings: vec![flush], ..Tuning::default() };
    let mut broker = Broker::start_tuned(&scene, kind, "broker-a", &namesrv.addr, tuning);
    broker.wait_registered();
    let mut driver = Driver::start(&scene, Client::Java5, &namesrv.addr);
    driver.run("producer p group=producers timeout=3000");
    driver.run("flood p topic=crash prefix=m threads=8 size=200");
    for _ in 0..rounds() {
        let before = driver.told("sent").len();
        driver.wait("more acknowledged", |events| {
            events.iter().filter(|e| e.word == "sent").count() >= before + SENDS
        });
        broker.crash();
    }
    let before = driver.told("sent").len();
    driver.wait("sends after the last kill", |events| {
        events.iter().filter(|e| e.word == "sent").count() > before
    });
    driver.run("halt p");

    let sent = driver.sent("crash");
    println!("{} kills with {flush}: {} messages acknowledged", rounds(), sent.len());
    driver.run("scan scanner topic=crash");
    let got = driver.got("scanner");
    check::dense(&got);
    check::at_their_offsets(&sent, &got);

    // A group sees all of them as well, those of unknown outcome among them.
    driver.run("consumer c group=crash topic=crash kind=concurrent");
    driver.wait_got("c", got.len());
    check::same_set(&got, &driver.got("c"));
}

#[test]
fn acknowledged_messages_survive_kills_in_the_midst_of_sends_with_asynchronous_flush() {
    acknowledged_survives("flushDiskType=ASYNC_FLUSH");
}

#[test]
fn acknowledged_messages_survive_kills_in_the_midst_of_sends_with_synchronous_flush() {
    acknowledged_survives("flushDiskType=SYNC_FLUSH");
}
