//! The Java mqadmin against the server.

use skua_interop::{Client, Cluster, Driver, Scene, mqadmin};

#[test]
fn the_java_mqadmin_manages_topics() {
    let scene = Scene::new();
    let cluster = Cluster::start(&scene);
    let run = |arguments: &[&str]| {
        let text = mqadmin(&[arguments, &["-n", cluster.namesrv()]].concat());
        assert!(!text.contains("Exception"), "{arguments:?}: {text}");
        text
    };

    let clusters = run(&["clusterList"]);
    let broker = clusters.lines().find(|l| l.starts_with("DefaultCluster")).expect("a broker");
    let broker: Vec<_> = broker.split_whitespace().collect();
    assert_eq!(broker[2], "0", "broker id in {clusters}");
    let addr = broker[3];
    assert!(addr.parse::<std::net::SocketAddr>().is_ok(), "{clusters}");

    let made = run(&["updateTopic", "-c", "DefaultCluster", "-t", "admin", "-r", "6", "-w", "5"]);
    assert!(made.contains(&format!("create topic to {addr} success.")), "{made}");
    let route = run(&["topicRoute", "-t", "admin"]);
    for part in ["\"readQueueNums\":6", "\"writeQueueNums\":5", addr] {
        assert!(route.replace(' ', "").contains(part), "{part} in {route}");
    }
    assert!(run(&["topicList"]).lines().any(|l| l.trim() == "admin"));

    let mut driver = Driver::start(&scene, Client::Java5, cluster.namesrv());
    driver.run("producer p group=producers");
    driver.run("send p topic=admin mode=sync count=7 prefix=m queue=3");
    let status = run(&["topicStatus", "-t", "admin"]);
    let queue = |id: &str| -> Vec<String> {
        let mut lines = status.lines().map(|l| l.split_whitespace().collect::<Vec<_>>());
        let line = lines.find(|l| l.first() == Some(&broker[1]) && l.get(1) == Some(&id));
        line.unwrap_or_else(|| panic!("queue {id} in {status}"))
            .iter()
            .map(|w| w.to_string())
            .collect()
    };
    assert_eq!(queue("3")[2..4], ["0", "7"], "least and greatest offset in {status}");
    assert_eq!(queue("0")[2..4], ["0", "0"], "least and greatest offset in {status}");

    let deleted = run(&["deleteTopic", "-c", "DefaultCluster", "-t", "admin"]);
    assert!(
        deleted.contains("delete topic [admin] from cluster [DefaultCluster] success."),
        "{deleted}"
    );
    assert!(!run(&["topicList"]).lines().any(|l| l.trim() == "admin"));
}
