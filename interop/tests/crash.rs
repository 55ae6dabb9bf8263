//! What was acknowledged is there after `kill -9`.

use skua_interop::{Client, Cluster, Driver, Kind, Scene, check};

#[test]
fn acknowledged_messages_survive_twenty_kills_in_the_midst_of_sends() {
    // A Java broker takes half a minute to come back: a few rounds prove the test itself.
    let rounds = if Kind::under_test() == Kind::Java { 3 } else { 20 };
    let scene = Scene::new();
    let mut cluster = Cluster::start(&scene);
    let mut driver = Driver::start(&scene, Client::Java5, cluster.namesrv());
    driver.run("producer p group=producers timeout=3000");
    driver.run("flood p topic=crash prefix=m threads=8 size=200");
    for _ in 0..rounds {
        let before = driver.told("sent").len();
        driver.wait("500 more acknowledged", |events| {
            events.iter().filter(|e| e.word == "sent").count() >= before + 500
        });
        cluster.crash();
    }
    let before = driver.told("sent").len();
    driver.wait("sends after the last kill", |events| {
        events.iter().filter(|e| e.word == "sent").count() > before
    });
    driver.run("halt p");

    let sent = driver.sent("crash");
    driver.run("scan scanner topic=crash");
    let got = driver.got("scanner");
    check::dense(&got);
    check::at_their_offsets(&sent, &got);

    // A group sees all of them as well, those of unknown outcome among them.
    driver.run("consumer c group=crash topic=crash kind=concurrent");
    driver.wait_got("c", got.len());
    check::same_set(&got, &driver.got("c"));
}
