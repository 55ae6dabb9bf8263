//! The Java mqadmin against the server.

use std::time::Duration;

use skua_interop::{Client, Cluster, Driver, Scene, mqadmin, wait_until};

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

#[test]
fn the_java_mqadmin_looks_into_consumers_statistics_and_queues() {
    let scene = Scene::new();
    let cluster = Cluster::start(&scene);
    let broker = cluster.broker();
    let run = |arguments: &[&str]| {
        let text = mqadmin(&[arguments, &["-n", cluster.namesrv()]].concat());
        assert!(!text.contains("Exception: "), "{arguments:?}: {text}");
        text
    };
    let has = |text: &str, parts: &[&str]| {
        for part in parts {
            assert!(text.contains(part), "`{part}` in {text}");
        }
    };

    let mut driver = Driver::start(&scene, Client::Java5, cluster.namesrv());
    driver.run("producer p group=producers");
    // Not left to the producer: queue 1 is to have six messages, not sometimes seven.
    run(&["updateTopic", "-b", &broker, "-t", "ops", "-r", "4", "-w", "4"]);
    driver.run("send p topic=ops mode=sync count=1 prefix=first tags=A queue=0");
    driver.run("send p topic=ops mode=sync count=6 prefix=m tags=A queue=1");
    driver.run("consumer c group=workers topic=ops kind=concurrent");
    driver.wait_got("c", 7);

    // Carried on to the client.
    let connections = run(&["consumerConnection", "-g", "workers"]);
    let client = connections.split_whitespace().find(|word| word.contains("@c"));
    let client = client.unwrap_or_else(|| panic!("a client in {connections}"));
    let status = run(&["consumerStatus", "-g", "workers", "-i", client]);
    has(&status, &["#Consumer Subscription#", "Topic: ops", "#Consumer RT&TPS#"]);
    let id = driver.got("c")[0].get("id").to_owned();
    let consumed =
        run(&["queryMsgByUniqueKey", "-t", "ops", "-i", &id, "-g", "workers", "-d", client]);
    has(&consumed, &["consumeResult=CR_SUCCESS"]);
    driver.wait_got("c", 8);

    // Counted.
    wait_until("a sample of the statistics", Duration::from_secs(180), || {
        let all = run(&["statsAll", "-t", "ops"]);
        let line = all.lines().find(|line| line.starts_with("ops") && line.contains("workers"))?;
        let words: Vec<_> = line.split_whitespace().collect();
        // Topic, group, backlog, rates in and out, numbers of a day.
        (words[2] == "0" && words[3] != "0.00" && words[4] != "0.00").then_some(())
    });
    // The client commits its offsets every five seconds.
    let stats = wait_until("committed offsets", Duration::from_secs(180), || {
        let stats = run(&["brokerConsumeStats", "-b", &broker, "-t", "10000"]);
        let lines = stats.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let mut lines = lines.filter(|words| words.get(1) == Some(&"workers"));
        lines.any(|words| words[0] == "ops" && words[3] == "1" && words[5] == "6").then_some(stats)
    });
    has(&stats, &["Diff Total"]);
    let entries = run(&[
        "queryCq", "-t", "ops", "-q", "1", "-i", "2", "-c", "3", "-b", &broker, "-g", "workers",
    ]);
    has(&entries, &["Subscription data:", "\"subString\":\"*\"", "idx: 4", "max: 6"]);
    assert!(!entries.contains("idx: 5"), "{entries}");

    // Operators' settings.
    run(&["updateColdDataFlowCtrGroupConfig", "-b", &broker, "-g", "workers", "-v", "4096"]);
    has(&run(&["getColdDataFlowCtrInfo", "-b", &broker]), &["\"workers\":4096"]);
    run(&["removeColdDataFlowCtrGroupConfig", "-b", &broker, "-g", "workers"]);
    let mode = run(&["setCommitLogReadAheadMode", "-b", &broker, "-m", "1"]);
    has(&mode, &["set commitlog readahead mode success, mode: 1"]);

    // Offsets go back, and the messages come again.
    let reset = run(&["resetOffsetByTime", "-g", "workers", "-t", "ops", "-s", "0", "-f", "true"]);
    has(&reset, &["ops"]);
    driver.wait_got("c", 15);
}
