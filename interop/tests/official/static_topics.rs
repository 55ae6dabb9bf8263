//! Static topics: made by Java's mqadmin over two brokers, used by the Java client.

use std::collections::BTreeSet;

use serde_json::Value;
use skua_interop::{
    Broker, Client, Driver, Kind, Namesrv, Scene, check, mqadmin, mqadmin_writing, skua,
};

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

/// What a tool said, without the folder and the epoch in the names of its files.
fn said(text: &str) -> Vec<String> {
    let text = text.replace(|c: char| c.is_ascii_digit(), "");
    let lines = text.lines().filter(|line| line.contains("mapping data"));
    lines.map(str::to_owned).collect()
}

/// The file that a tool named in line `at`, as JSON.
fn file(text: &str, at: usize) -> Value {
    let line = text.lines().filter(|line| line.contains("mapping data")).nth(at).expect("a line");
    let path = line.rsplit(' ').next().expect("a path");
    let text = std::fs::read_to_string(path).unwrap_or_else(|cause| panic!("{path}: {cause}"));
    // Java writes map keys that are numbers bare.
    skua_protocol::json::from_slice(text.as_bytes()).expect("JSON")
}

/// How many queues lead at each broker of a plan, and how many it hosts.
fn spread(plan: &Value) -> Vec<(String, usize, usize, Value, Value)> {
    let parts = plan["brokerConfigMap"].as_object().expect("brokers");
    let part = |(name, part): (&String, &Value)| {
        let hosted = part["mappingDetail"]["hostedQueues"].as_object().expect("queues");
        let last = |items: &Value| items.as_array().and_then(|items| items.last()).cloned();
        let leads = hosted.values().filter_map(last).filter(|item| item["bname"] == **name);
        let (reads, total) = (&part["readQueueNums"], &part["mappingDetail"]["totalQueues"]);
        (name.clone(), leads.count(), hosted.len(), reads.clone(), total.clone())
    };
    let mut spread: Vec<_> = parts.iter().map(part).collect();
    spread.sort_by(|a, b| a.0.cmp(&b.0));
    spread
}

#[test]
fn skuas_mqadmin_makes_and_moves_static_topics_as_javas_does() {
    for kind in [Kind::under_test(), Kind::Java] {
        let scene = Scene::new();
        let namesrv = Namesrv::start(&scene, kind);
        let _a = Broker::start(&scene, kind, "broker-a", &namesrv.addr);
        let _b = Broker::start(&scene, kind, "broker-b", &namesrv.addr);
        let files = scene.folder("plans");
        let java = |arguments: &[&str]| {
            let arguments = [arguments, &["-n", &namesrv.addr]].concat();
            let text = mqadmin_writing(&files, &arguments);
            assert!(!text.contains("Exception"), "{arguments:?}: {text}");
            text
        };
        let run = |arguments: &[&str]| {
            let mut command = skua();
            command.arg("mqadmin").args(arguments).args(["-n", &namesrv.addr]);
            command.env("TMPDIR", &files).output().expect("the binary runs")
        };
        let skua = |arguments: &[&str]| {
            let ran = run(arguments);
            let err = String::from_utf8_lossy(&ran.stderr);
            assert!(ran.status.success(), "{arguments:?}: {err}");
            String::from_utf8(ran.stdout).expect("text")
        };
        type Tool<'a> = &'a dyn Fn(&[&str]) -> String;
        let tools: [(&str, Tool<'_>, Tool<'_>); 2] =
            [("by-java", &java, &skua), ("by-skua", &skua, &java)];

        let mut made = Vec::new();
        for (topic, own, other) in tools {
            let both = "broker-a,broker-b";
            let text = own(&["updateStaticTopic", "-b", both, "-t", topic, "-qn", "5"]);
            let mut told = vec![said(&text.replace(topic, "T"))];
            let mut plans = vec![spread(&file(&text, 0)), spread(&file(&text, 1))];
            // What one tool made the other one makes larger.
            let text = other(&["updateStaticTopic", "-b", both, "-t", topic, "-qn", "6"]);
            told.push(said(&text.replace(topic, "T")));
            let grown = file(&text, 1);
            plans.push(spread(&grown));
            // Which broker gets the odd queue is left to chance.
            plans[1].iter_mut().for_each(|(_, leads, hosts, reads, _)| {
                assert!((2..=3).contains(leads) && leads == hosts && *reads == *leads);
                (*leads, *hosts, *reads) = (0, 0, Value::Null);
            });
            made.push((told, plans));
        }
        assert_eq!(made[0], made[1], "{kind:?}");
        assert!(made[0].1[2].iter().all(|(_, leads, ..)| *leads == 3), "{made:?}");

        let producer = || {
            let mut driver = Driver::start(&scene, Client::Java5, &namesrv.addr);
            driver.run("producer p group=producers");
            driver
        };
        let mut driver = producer();
        for (topic, ..) in tools {
            driver.run(&format!("send p topic={topic} mode=sync count=30 prefix={topic}"));
        }
        let sent: Vec<_> = tools.iter().map(|(topic, ..)| driver.sent(topic)).collect();
        driver.finish();
        let mut moved = Vec::new();
        for (topic, own, _) in tools {
            let text = own(&["remappingStaticTopic", "-b", "broker-b", "-t", topic]);
            let (before, after) = (file(&text, 0), file(&text, 1));
            assert_eq!(after["type"], "REMAPPING");
            let route = own(&["topicRoute", "-t", topic]);
            let route: Value = skua_protocol::json::from_slice(route.as_bytes()).expect("JSON");
            let mut mapping = route["topicQueueMappingByBroker"].clone();
            for broker in ["broker-a", "broker-b"] {
                let leads = mapping[broker]["currIdMap"].as_object().map(serde_json::Map::len);
                mapping[broker]["currIdMap"] = leads.unwrap_or(0).into();
                mapping[broker]["epoch"] = Value::Null;
                mapping[broker]["topic"] = Value::Null;
            }
            assert_eq!(mapping["broker-b"]["currIdMap"], 6, "{route}");
            let lists = (after["brokerToMapIn"].clone(), after["brokerToMapOut"].clone());
            let told = said(&text.replace(topic, "T"));
            moved.push((told, spread(&before), spread(&after), lists, mapping));
        }
        assert_eq!(moved[0], moved[1], "{kind:?}");
        // A producer learns of a new leader with its next look at the route, so this is a new one.
        let mut driver = producer();
        for ((topic, ..), sent) in tools.iter().zip(sent) {
            driver.run(&format!("send p topic={topic} mode=sync count=12 prefix=late"));
            driver.run(&format!("consumer {topic} group=of-{topic} topic={topic} kind=concurrent"));
            driver.wait_got(topic, 42);
            let sent = [sent, driver.sent(topic)].concat();
            check::each_once(&sent, &driver.got(topic));
        }
        driver.finish();

        // Java prints a stack trace for each of these.
        let fails = |arguments: &[&str], cause: &str| {
            let ran = run(arguments);
            let err = String::from_utf8_lossy(&ran.stderr).into_owned();
            assert_eq!((ran.status.code(), err.lines().count()), (Some(1), 1), "{err}");
            assert!(err.contains(cause), "{arguments:?}: {err}");
        };
        let update = |more: [&'static str; 4]| {
            [&["updateStaticTopic", "-t", "by-skua"][..], &more[..]].concat()
        };
        fails(&update(["-b", "broker-a", "-qn", "6"]), "is equal the existed queue num");
        fails(&update(["-b", "broker-a", "-qn", "2"]), "Cannot decrease the queue num");
        fails(&update(["-b", "broker-z", "-qn", "9"]), "Can't find addr for broker broker-z");
        fails(&update(["-c", "NoCluster", "-qn", "9"]), "cluster NoCluster not found");
        fails(&["remappingStaticTopic", "-b", "broker-a", "-t", "nothing"], "No topic route");
        java(&["updateTopic", "-c", "DefaultCluster", "-t", "plain"]);
        fails(&["remappingStaticTopic", "-b", "broker-a", "-t", "plain"], "should not be null in");
    }
}
