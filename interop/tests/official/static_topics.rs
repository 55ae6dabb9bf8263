//! Static topics: made by Java's mqadmin over two brokers, used by the Java client.

use std::collections::BTreeSet;

use skua_interop::{Broker, Client, Driver, Kind, Namesrv, Scene, check, mqadmin};

#[test]
fn a_static_topic_has_its_queues_on_two_brokers_and_keeps_its_messages_when_they_move() {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, Kind::under_test());
    let _a = Broker::start(&scene, Kind::under_test(), "broker-a", &namesrv.addr);
    let _b = Broker::start(&scene, Kind::under_test(), "broker-b", &namesrv.addr);
    let run = |arguments: &[&str]| {
        let text = mqadmin(&[arguments, &["-n", &namesrv.addr]].concat());
        assert!(!text.contains("Exception"), "{arguments:?}: {text}");
        text
    };
    run(&["updateStaticTopic", "-b", "broker-a,broker-b", "-t", "fixed", "-qn", "6"]);
    let route = run(&["topicRoute", "-t", "fixed"]).replace([' ', '\n'], "");
    assert!(route.contains("topicQueueMappingByBroker"), "{route}");
    assert_eq!(route.matches("\"totalQueues\":6").count(), 2, "{route}");

    let mut driver = Driver::start(&scene, Client::Java5, &namesrv.addr);
    driver.run("producer p group=producers");
    driver.run("send p topic=fixed mode=sync count=30 prefix=m tags=A");
    let queues: BTreeSet<_> = driver.sent("fixed").iter().map(|e| e.number("queue")).collect();
    assert_eq!(queues, (0..6).collect(), "logical queues");
    driver.run("consumer c group=workers topic=fixed kind=concurrent");
    driver.wait_got("c", 30);
    check::each_once(&driver.sent("fixed"), &driver.got("c"));
    driver.run("stop c");
    driver.finish();

    // All queues move to one broker; what was sent before comes from where it was.
    run(&["remappingStaticTopic", "-b", "broker-b", "-t", "fixed"]);
    let mut driver = Driver::start(&scene, Client::Java5, &namesrv.addr);
    driver.run("producer p group=producers");
    driver.run("send p topic=fixed mode=sync count=12 prefix=n tags=A");
    driver.run("consumer again group=workers topic=fixed kind=concurrent");
    driver.wait_got("again", 12);
    check::each_once(&driver.sent("fixed"), &driver.got("again"));
    driver.run("consumer fresh group=others topic=fixed kind=concurrent");
    driver.wait_got("fresh", 42);
    let bodies: BTreeSet<_> =
        driver.got("fresh").iter().map(|e| e.get("body").to_owned()).collect();
    assert_eq!(bodies.len(), 42, "every message of both times");
}
