//! Java's broker with Skua's name server, and Skua's broker with Java's name server.

use skua_interop::{Broker, Client, Driver, Kind, Namesrv, Scene, check, mqadmin};

fn mix(namesrv: Kind, broker: Kind) {
    let scene = Scene::new();
    let namesrv = Namesrv::start(&scene, namesrv);
    let broker = Broker::start(&scene, broker, "broker-m", &namesrv.addr);

    for client in [Client::Java5, Client::Go] {
        let topic = format!("mixed-{client:?}");
        let mut driver = Driver::start(&scene, client, &namesrv.addr);
        driver.run("producer p group=producers");
        driver.run(&format!("send p topic={topic} mode=sync count=100 prefix={topic} tags=A"));
        driver.run(&format!("consumer c group={topic} topic={topic} kind=concurrent"));
        driver.wait_got("c", 100);
        check::each_once(&driver.sent(&topic), &driver.got("c"));
    }

    let clusters = mqadmin(&["clusterList", "-n", &namesrv.addr]);
    let line = clusters.lines().find(|l| l.contains("broker-m")).expect("the broker is listed");
    assert!(line.contains("DefaultCluster") && line.contains(&broker.addr), "{clusters}");
    let route = mqadmin(&["topicRoute", "-n", &namesrv.addr, "-t", "mixed-Java5"]);
    assert!(route.contains(&broker.addr) && route.contains("broker-m"), "{route}");
}

#[test]
fn a_java_broker_works_with_the_name_server_under_test() {
    mix(Kind::under_test(), Kind::Java);
}

#[test]
fn the_broker_under_test_works_with_a_java_name_server() {
    mix(Kind::Java, Kind::under_test());
}
