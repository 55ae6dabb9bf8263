//! Official clients send and receive in every way they know.

use std::time::Duration;

use skua_interop::{Client, Cluster, Driver, Encoding, Event, Scene, check, wait_until};

/// Sends by every mode to `topic` and gives what was sent.
fn send_every_way(driver: &mut Driver, topic: &str) -> Vec<Event> {
    driver.run("producer p group=producers");
    for mode in ["sync", "async", "oneway", "batch"] {
        // The first send makes the topic.
        driver.run(&format!(
            "send p topic={topic} mode={mode} count=40 prefix={topic}-{mode} tags=A,B"
        ));
    }
    // Past 4 KiB the clients compress.
    driver.run(&format!("send p topic={topic} mode=sync count=4 prefix={topic}-big size=20000"));
    driver.run("stop p");
    driver.sent(topic)
}

/// Receives `sent` from `topic` by every kind of consumer.
fn receive_every_way(driver: &mut Driver, topic: &str, sent: &[Event]) {
    for kind in ["concurrent", "orderly", "broadcast", "lite"] {
        driver.run(&format!("consumer {kind} group={topic}-{kind} topic={topic} kind={kind}"));
    }
    driver.run(&format!("consumer tagged group={topic}-tag topic={topic} kind=concurrent tags=B"));
    driver.run(&format!("scan scanner topic={topic} group={topic}-scan"));
    for by in ["concurrent", "orderly", "broadcast", "lite", "scanner"] {
        driver.wait_got(by, sent.len());
        check::each_once(sent, &driver.got(by));
    }
    let acknowledged: Vec<_> = sent.iter().filter(|e| e.has("queue")).cloned().collect();
    check::at_their_offsets(&acknowledged, &driver.got("scanner"));
    check::dense(&driver.got("scanner"));
    check::in_order(&driver.got("orderly"));
    check::in_order(&driver.got("lite"));
    let tagged: Vec<_> = sent.iter().filter(|e| e.get("tag") == "B").cloned().collect();
    driver.wait_got("tagged", tagged.len());
    check::each_once(&tagged, &driver.got("tagged"));
}

/// Messages in each of four queues. A new group asks an empty queue for its end next, here as with Java's
/// broker, and what came between the two questions is not for it.
fn wait_for_first(sender: &Driver) {
    sender.wait("messages in each queue", |events| {
        events.iter().filter(|e| e.word == "sent").count() >= 8
    });
}

/// One consumer, then three, then two while messages arrive: nothing is missed, in order per queue.
pub(super) fn join_and_leave(scene: &Scene, client: Client, namesrv: &str, kind: &str) {
    let topic = format!("joins-{client:?}-{kind}");
    let mut sender = Driver::start(scene, client, namesrv);
    let mut group = Driver::start(scene, client, namesrv);
    sender.run("producer p group=producers");
    sender.run(&format!("flood p topic={topic} prefix=m threads=1 pause=10"));
    wait_for_first(&sender);
    let join = |group: &mut Driver, name: &str| {
        group.run(&format!("consumer {name} group={topic} topic={topic} kind={kind}"));
        group.wait_got(name, 20);
    };
    join(&mut group, "one");
    join(&mut group, "two");
    join(&mut group, "three");
    group.run("stop two");
    let (one, three) = (group.got("one").len(), group.got("three").len());
    group.wait_got("one", one + 20);
    group.wait_got("three", three + 20);
    sender.run("halt p");
    let sent = sender.sent(&topic);
    group.wait_got_all(&sent);
    // A queue that changes hands before its offset was told is delivered from there again.
    let first = check::first_deliveries(&group.told("got"));
    check::each_once(&sent, &first);
    if kind == "orderly" {
        check::in_order(&first);
    }
}

fn every_way(client: Client, topic: &str) {
    let scene = Scene::new();
    let cluster = Cluster::start(&scene);
    let mut driver = Driver::start(&scene, client, cluster.namesrv());
    let sent = send_every_way(&mut driver, topic);
    receive_every_way(&mut driver, topic, &sent);
    driver.finish();
    join_and_leave(&scene, client, cluster.namesrv(), "concurrent");
    join_and_leave(&scene, client, cluster.namesrv(), "orderly");
}

#[test]
fn java_5_sends_and_receives_in_every_way() {
    every_way(Client::Java5, "java-5");
}

#[test]
fn java_4_sends_and_receives_in_every_way() {
    every_way(Client::Java4, "java-4");
}

#[test]
fn go_sends_and_receives_in_every_way() {
    every_way(Client::Go, "go");
}

#[test]
fn java_clients_with_binary_headers_send_and_receive_in_every_way() {
    let scene = Scene::new();
    let cluster = Cluster::start(&scene);
    for (client, topic) in [(Client::Java5, "binary-5"), (Client::Java4, "binary-4")] {
        let mut driver = Driver::start_with(&scene, client, Encoding::Binary, cluster.namesrv());
        let sent = send_every_way(&mut driver, topic);
        receive_every_way(&mut driver, topic, &sent);
        driver.finish();
    }
}

#[test]
fn clients_of_three_kinds_share_one_group() {
    let scene = Scene::new();
    let cluster = Cluster::start(&scene);
    let clients = [Client::Java5, Client::Java4, Client::Go];
    let mut drivers = clients.map(|client| Driver::start(&scene, client, cluster.namesrv()));
    drivers[0].run("producer p group=producers");
    drivers[0].run("flood p topic=mixed prefix=m threads=1 pause=10");
    wait_for_first(&drivers[0]);
    // The name is part of the client's id, which must differ within a group.
    for (driver, name) in drivers.iter_mut().zip(["one", "two", "three"]) {
        driver.run(&format!("consumer {name} group=mixed topic=mixed kind=concurrent"));
        driver.wait_got(name, 20);
    }
    drivers[0].run("halt p");
    let sent = drivers[0].sent("mixed");
    let got = || -> Vec<_> { drivers.iter().flat_map(|d| d.told("got")).collect() };
    wait_until("every message", Duration::from_secs(120), || {
        check::has_all(&sent, &got()).then_some(())
    });
    check::same_set(&sent, &got());
}

#[test]
fn refused_messages_are_retried_and_then_become_dead_letters() {
    let scene = Scene::new();
    let cluster = Cluster::start(&scene);
    let mut driver = Driver::start(&scene, Client::Java5, cluster.namesrv());
    driver.run("producer p group=producers");
    driver.run("send p topic=retry mode=sync count=5 prefix=m tags=A");
    // Level 1 of the delay levels is one second.
    driver.run("consumer once group=once topic=retry kind=concurrent fail=1 delay=1");
    driver.run("consumer never group=never topic=retry kind=concurrent fail=9 delay=1 retries=1");
    driver.wait_got("once", 5);
    let sent = driver.sent("retry");
    let once = driver.got("once");
    check::each_once(&sent, &once);
    assert!(once.iter().all(|e| e.number("times") == 1), "{once:?}");
    // Refused as sent and once more, then the broker puts it aside.
    driver.wait("ten refusals", |events| {
        events.iter().filter(|e| e.word == "refused" && e.get("by") == "never").count() >= 10
    });
    driver.run("consumer grave group=grave topic=%DLQ%never kind=concurrent");
    driver.wait_got("grave", 5);
    check::each_once(&sent, &driver.got("grave"));
}

#[test]
fn a_delayed_message_comes_when_its_level_is_over_and_not_before() {
    let scene = Scene::new();
    let cluster = Cluster::start(&scene);
    let mut driver = Driver::start(&scene, Client::Java5, cluster.namesrv());
    driver.run("producer p group=producers");
    driver.run("send p topic=delay mode=sync count=1 prefix=now");
    driver.run("consumer c group=delay topic=delay kind=concurrent");
    driver.wait_got("c", 1);
    // Level 2 of the delay levels is five seconds.
    driver.run("send p topic=delay mode=sync count=3 prefix=later delay=2");
    driver.wait_got("c", 4);
    let (sent, got) = (driver.sent("delay"), driver.got("c"));
    check::each_once(&sent, &got);
    let waited = got[1].at - sent[3].at;
    assert!(waited > Duration::from_millis(4500), "came {waited:?} after the last was sent");
}
