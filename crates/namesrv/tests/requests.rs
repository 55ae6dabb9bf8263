//! Topic lists, permissions, key-value configuration, readiness, codes that are not served.

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::*;
use skua_namesrv::{Namesrv, NamesrvOptions, OpenError};
use skua_protocol::body::{BrokerMemberGroupResponse, KvTable, RouteData, TopicConfig, TopicList};
use skua_protocol::request::*;
use skua_protocol::{Command, RequestCode, ResponseCode};

fn with_flag(name: &str, flag: i32) -> TopicConfig {
    TopicConfig { topic_sys_flag: flag, ..topic(name, 1) }
}

fn topic_list(answer: &Command) -> Vec<String> {
    let list: TopicList = body(answer);
    list.topic_list.into_iter().collect()
}

fn put(namespace: &str, key: &str, value: &str) -> PutKvConfig {
    PutKvConfig {
        namespace: namespace.to_owned().into(),
        key: key.to_owned().into(),
        value: value.to_owned().into(),
    }
}

fn get(namespace: &str, key: &str) -> GetKvConfig {
    GetKvConfig { namespace: namespace.to_owned().into(), key: key.to_owned().into() }
}

#[test]
fn topic_lists_sort_by_flag_and_cluster() {
    let world = World::new(&[]);
    let mut a = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
    a.set_topics(
        version(1),
        &[with_flag("None", 0), with_flag("Unit", 1), with_flag("Sub", 2), with_flag("Both", 3)],
    );
    a.register(&world);
    let mut b = TestBroker::new("broker-b", 0, "10.0.0.2:10911");
    b.header.cluster_name = "OtherCluster".into();
    b.set_topics(version(1), &[topic("Unit", 1), topic("Elsewhere", 1)]);
    b.register(&world);

    assert_eq!(world.topics(), ["Both", "Elsewhere", "None", "Sub", "Unit"]);
    assert_eq!(topic_list(&world.ask_code(RequestCode::GetUnitTopicList)), ["Both", "Unit"]);
    assert_eq!(topic_list(&world.ask_code(RequestCode::GetHasUnitSubTopicList)), ["Both", "Sub"]);
    assert_eq!(topic_list(&world.ask_code(RequestCode::GetHasUnitSubUnunitTopicList)), ["Sub"]);
    let by_cluster = |cluster: &str| {
        topic_list(&world.ask(&GetTopicsByCluster { cluster: cluster.to_owned().into() }))
    };
    assert_eq!(by_cluster("OtherCluster"), ["Elsewhere", "Unit"]);
    assert_eq!(by_cluster(CLUSTER), ["Both", "None", "Sub", "Unit"]);
    assert!(by_cluster("nobody's").is_empty());

    let system: TopicList = body(&world.ask_code(RequestCode::GetSystemTopicListFromNs));
    assert_eq!(system.broker_addr.as_deref(), Some("10.0.0.1:10911"));
    let names: Vec<String> = system.topic_list.into_iter().collect();
    assert_eq!(names, [CLUSTER, "OtherCluster", "broker-a", "broker-b"]);
}

#[test]
fn a_disabled_list_answers_disable() {
    let world = World::new(&[("enableAllTopicList", "false"), ("enableTopicList", "false")]);
    for code in [
        RequestCode::GetAllTopicListFromNameServer,
        RequestCode::GetTopicsByCluster,
        RequestCode::GetUnitTopicList,
        RequestCode::GetHasUnitSubTopicList,
        RequestCode::GetHasUnitSubUnunitTopicList,
    ] {
        assert_refused(&world.ask_code(code), ResponseCode::SystemError, "disable");
    }
    assert_success(&world.ask_code(RequestCode::GetSystemTopicListFromNs));
}

#[test]
fn a_topic_is_deleted_everywhere_or_on_one_cluster() {
    let world = World::new(&[]);
    TestBroker::new("broker-a", 0, "10.0.0.1:10911").register(&world);
    let mut b = TestBroker::new("broker-b", 0, "10.0.0.2:10911");
    b.header.cluster_name = "OtherCluster".into();
    b.register(&world);
    let delete = |topic: &str, cluster: Option<&str>| {
        assert_success(&world.ask(&DeleteTopicInNamesrv {
            topic: topic.to_owned().into(),
            cluster_name: cluster.map(|cluster| cluster.to_owned().into()),
        }));
    };
    delete("TopicA", Some(CLUSTER));
    let route = world.route("TopicA").unwrap();
    assert_eq!(route.queue_datas.len(), 1);
    assert_eq!(route.broker_datas[0].broker_name, "broker-b");
    delete("TopicA", Some("nobody's"));
    assert!(world.route("TopicA").is_some());
    delete("TopicA", Some("OtherCluster"));
    assert!(world.route("TopicA").is_none());
    delete("TopicB", Some(""));
    assert!(world.route("TopicB").is_none());
    delete("TopicB", None);
}

#[test]
fn write_permission_is_wiped_and_added_until_a_newer_registration() {
    let world = World::new(&[]);
    let mut a = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
    let inheriting = TopicConfig { perm: 7, ..topic("TopicC", 1) };
    a.set_topics(version(1), &[topic("TopicA", 4), inheriting]);
    a.register(&world);
    TestBroker::new("broker-b", 0, "10.0.0.2:10911").register(&world);

    let wipe = WipeWritePermOfBroker { broker_name: "broker-a".into() };
    let count: WipeWritePermOfBrokerResponse = header(&world.ask(&wipe));
    assert_eq!(count.wipe_topic_count, 2);
    assert_eq!(world.perm("TopicA", "broker-a"), 4);
    assert_eq!(world.perm("TopicC", "broker-a"), 5);
    assert_eq!(world.perm("TopicA", "broker-b"), 6);
    a.register(&world);
    assert_eq!(world.perm("TopicA", "broker-a"), 4, "the same version changes nothing");

    let add = AddWritePermOfBroker { broker_name: "broker-a".into() };
    let count: AddWritePermOfBrokerResponse = header(&world.ask(&add));
    assert_eq!(count.add_topic_count, 2);
    assert_eq!(world.perm("TopicC", "broker-a"), 6, "as in Java: no bit but read and write");

    world.ask(&wipe);
    a.table().data_version = version(2);
    a.register(&world);
    assert_eq!(world.perm("TopicC", "broker-a"), 7);
    let none = WipeWritePermOfBroker { broker_name: "broker-z".into() };
    assert_eq!(header::<WipeWritePermOfBrokerResponse>(&world.ask(&none)).wipe_topic_count, 0);
}

#[test]
fn the_member_group_names_all_ids_or_none() {
    let world = World::new(&[]);
    TestBroker::new("broker-a", 0, "10.0.0.1:10911").register(&world);
    TestBroker::new("broker-a", 2, "10.0.0.3:10911").register(&world);
    let ask = |name: &str| {
        let answer: BrokerMemberGroupResponse = body(&world.ask(&GetBrokerMemberGroup {
            cluster_name: CLUSTER.into(),
            broker_name: name.to_owned().into(),
        }));
        answer.broker_member_group
    };
    let group = ask("broker-a");
    assert_eq!(
        group.broker_addrs,
        [(0, "10.0.0.1:10911".to_owned()), (2, "10.0.0.3:10911".to_owned())].into()
    );
    assert_eq!((group.cluster.as_str(), group.broker_name.as_str()), (CLUSTER, "broker-a"));
    assert!(ask("broker-z").broker_addrs.is_empty());
}

#[test]
fn values_are_put_read_listed_deleted_and_kept() {
    let world = World::new(&[("kvConfigPath", KV_PATH)]);
    assert_refused(
        &world.ask(&get("n", "k")),
        ResponseCode::QueryNotFound,
        "No config item, Namespace: n Key: k",
    );
    let list = GetKvListByNamespace { namespace: "n".into() };
    assert_refused(&world.ask(&list), ResponseCode::QueryNotFound, "No config item, Namespace: n");
    assert_success(&world.ask(&put("n", "k", "v1")));
    assert_success(&world.ask(&put("n", "k", "v2")));
    assert_success(&world.ask(&put("n", "other", "x")));
    assert_eq!(
        header::<GetKvConfigResponse>(&world.ask(&get("n", "k"))).value.as_deref(),
        Some("v2")
    );
    assert_eq!(body::<KvTable>(&world.ask(&list)).table.len(), 2);
    assert_success(&world.ask(&DeleteKvConfig { namespace: "n".into(), key: "other".into() }));
    assert_eq!(world.files.text(KV_PATH).unwrap(), r#"{"configTable":{"n":{"k":"v2"}}}"#);

    let again = World::with_files(&[("kvConfigPath", KV_PATH)], world.files.clone());
    assert_eq!(
        header::<GetKvConfigResponse>(&again.ask(&get("n", "k"))).value.as_deref(),
        Some("v2")
    );
}

#[test]
fn a_value_that_cannot_be_written_is_refused_and_not_seen() {
    let world = World::new(&[("kvConfigPath", KV_PATH)]);
    world.files.broken.store(true, Ordering::Relaxed);
    let answer = world.ask(&put("n", "k", "v"));
    assert_eq!(answer.code, ResponseCode::SystemError as i32);
    let remark = answer.remark.unwrap();
    assert!(remark.contains(KV_PATH) && remark.contains("disk full"), "{remark}");
    assert_eq!(world.ask(&get("n", "k")).code, ResponseCode::QueryNotFound as i32);
    world.files.broken.store(false, Ordering::Relaxed);
    assert_success(&world.ask(&put("n", "k", "v")));
    assert_success(&world.ask(&get("n", "k")));
}

#[test]
fn a_broken_kv_file_stops_the_start_with_its_name_and_an_empty_one_does_not() {
    let files = Arc::new(MemoryFiles::default());
    let open = |content: &[u8]| {
        files.files.lock().unwrap().insert(KV_PATH.to_owned(), content.to_vec());
        Namesrv::new(NamesrvOptions {
            settings: settings(&[("kvConfigPath", KV_PATH)]),
            files: files.clone(),
            outbound: Arc::new(Sent::default()),
            now: START,
        })
    };
    let Err(error @ OpenError::Kv { .. }) = open(b"{\"configTable\":").map(drop) else {
        panic!("half a file must stop the start");
    };
    assert!(error.to_string().contains(KV_PATH), "{error}");
    assert!(open(b"").is_ok());
}

#[test]
fn an_ordered_topics_route_names_its_configuration_if_that_is_enabled() {
    let world = World::new(&[("orderMessageEnable", "true")]);
    TestBroker::new("broker-a", 0, "10.0.0.1:10911").register(&world);
    assert_eq!(world.route("TopicA").unwrap().order_topic_conf, None);
    world.ask(&put("ORDER_TOPIC_CONFIG", "TopicA", "broker-a:4"));
    assert_eq!(world.route("TopicA").unwrap().order_topic_conf.as_deref(), Some("broker-a:4"));
    assert_eq!(world.route("TopicB").unwrap().order_topic_conf, None);
    world.ask(&put("ORDER_TOPIC_CONFIG", "TopicA", "broker-a:8"));
    assert_eq!(world.route("TopicA").unwrap().order_topic_conf.as_deref(), Some("broker-a:8"));

    let world = World::new(&[]);
    TestBroker::new("broker-a", 0, "10.0.0.1:10911").register(&world);
    world.ask(&put("ORDER_TOPIC_CONFIG", "TopicA", "broker-a:4"));
    assert_eq!(world.route("TopicA").unwrap().order_topic_conf, None);
}

#[test]
fn routes_wait_until_brokers_had_time_to_register_if_that_is_wanted() {
    let mut world = World::new(&[("needWaitForService", "true"), ("waitSecondsForService", "45")]);
    TestBroker::new("broker-a", 0, "10.0.0.1:10911").register(&world);
    let query = GetRouteInfoByTopic { topic: "TopicA".into(), ..Default::default() };
    world.pass(44_999);
    assert_refused(&world.ask(&query), ResponseCode::SystemError, "name server not ready");
    world.pass(1);
    assert_success(&world.ask(&query));
}

#[test]
fn an_unknown_topic_is_answered_with_javas_text() {
    let world = World::new(&[]);
    assert_refused(
        &world.ask(&GetRouteInfoByTopic { topic: "Nothing".into(), ..Default::default() }),
        ResponseCode::TopicNotExist,
        "No topic route info in name server for the topic: Nothing\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.",
    );
}

#[test]
fn a_client_in_zone_mode_sees_its_zone_and_brokers_without_master() {
    let world = World::new(&[]);
    let place = |name: &str, id: i64, addr: &str, zone: Option<&str>| {
        let mut broker = TestBroker::new(name, id, addr);
        broker.header.zone_name = zone.map(|zone| zone.to_owned().into());
        broker.body.filter_server_list = vec!["f".to_owned()];
        broker.register(&world);
    };
    place("near", 0, "10.0.0.1:10911", Some("Z1"));
    place("far", 0, "10.0.0.2:10911", Some("z2"));
    place("nowhere", 0, "10.0.0.3:10911", None);
    place("masterless", 1, "10.0.0.4:10911", Some("z2"));
    let ask = |mode: &str, zone: &str| {
        let mut request =
            Command::raw_request(RequestCode::GetRouteInfoByTopic, Default::default());
        for (key, value) in [("topic", "TopicA"), ("__ZONE_MODE", mode), ("__ZONE_NAME", zone)] {
            request.fields.push(key, value);
        }
        let route: RouteData = body(&world.send(request));
        let names: Vec<String> =
            route.broker_datas.iter().map(|data| data.broker_name.clone()).collect();
        let queues: Vec<String> =
            route.queue_datas.iter().map(|queue| queue.broker_name.clone()).collect();
        assert_eq!(names, queues);
        assert_eq!(route.filter_server_table.len(), names.len());
        names
    };
    let all = ["far", "masterless", "near", "nowhere"];
    assert_eq!(ask("true", "z1"), ["masterless", "near"]);
    assert_eq!(ask("TRUE", "z9"), ["masterless"]);
    assert_eq!(ask("false", "z1"), all);
    assert_eq!(ask("what", "z1"), all);
    assert_eq!(ask("true", " "), all);
}

#[test]
fn codes_of_other_servers_and_numbers_of_none_are_not_supported() {
    let world = World::new(&[]);
    let served = [
        100, 101, 102, 103, 104, 105, 106, 205, 206, 216, 217, 219, 224, 304, 311, 312, 313, 318,
        319, 322, 327, 901, 904,
    ];
    let numbers =
        RequestCode::ALL.iter().map(|code| *code as i32).chain([0, -1, 9999, i32::MAX, i32::MIN]);
    for number in numbers {
        let mut request = Command::raw_request(RequestCode::SendMessage, Default::default());
        request.code = number;
        let answer = world.send(request);
        assert!(answer.is_response());
        let refused = answer.code == ResponseCode::RequestCodeNotSupported as i32;
        assert_eq!(refused, !served.contains(&number), "{number}");
        if refused {
            assert_eq!(answer.remark.unwrap(), format!(" request type {number} not supported"));
        }
    }
}

#[test]
fn configuration_is_shown_changed_and_stored() {
    let world = World::new(&[("configStorePath", CONFIG_PATH)]);
    let text = |answer: &Command| {
        assert_success(answer);
        String::from_utf8(answer.body.to_vec()).unwrap()
    };
    let show = || text(&world.ask_code(RequestCode::GetNamesrvConfig));
    let before = show();
    let lines: Vec<&str> = before.lines().collect();
    assert!(lines.is_sorted());
    assert!(lines.contains(&"enableTopicList=true"));
    assert!(lines.contains(&"listenPort=9876"), "the network configuration is shown with it");

    let update = |body: &'static str| {
        let request = Command::raw_request(RequestCode::UpdateNamesrvConfig, Default::default());
        world.send(request.with_body(body))
    };
    assert_success(&update("enableTopicList=false\norderMessageEnable=true\n"));
    assert!(show().contains("enableTopicList=false\n"));
    assert_refused(
        &world.ask_code(RequestCode::GetUnitTopicList),
        ResponseCode::SystemError,
        "disable",
    );
    let stored = world.files.text(CONFIG_PATH).unwrap();
    assert!(
        stored.contains("enableTopicList=false\n") && stored.contains("orderMessageEnable=true\n")
    );

    for key in ["configBlackList", "configStorePath", "kvConfigPath", "rocketmqHome"] {
        let request = Command::raw_request(RequestCode::UpdateNamesrvConfig, Default::default());
        let answer = world.send(request.with_body(format!("enableTopicList=true\n{key}=x\n")));
        assert_refused(&answer, ResponseCode::NoPermission, "Can not update config in black list.");
    }
    assert!(show().contains("enableTopicList=false\n"), "a refused update changes nothing");
    assert_success(&update(""));
}

#[test]
fn a_bad_value_is_refused_by_name_and_its_neighbours_are_not_taken() {
    let world = World::new(&[("configStorePath", CONFIG_PATH)]);
    let request = Command::raw_request(RequestCode::UpdateNamesrvConfig, Default::default());
    let changes = "enableTopicList=false\nscanNotActiveBrokerInterval=soon\n";
    let answer = world.send(request.with_body(changes));
    assert_eq!(answer.code, ResponseCode::SystemError as i32);
    let remark = answer.remark.unwrap();
    assert!(remark.contains("scanNotActiveBrokerInterval") && remark.contains("soon"), "{remark}");
    assert_success(&world.ask_code(RequestCode::GetUnitTopicList));
    assert_eq!(world.files.text(CONFIG_PATH), None);
}

#[test]
fn a_changed_setting_shows_in_routes_that_were_asked_before() {
    let world = World::new(&[]);
    TestBroker::new("broker-a", 1, "10.0.0.2:10911").acting().register(&world);
    assert!(world.route("TopicA").unwrap().broker_datas[0].broker_addrs.contains_key(&1));
    let request = Command::raw_request(RequestCode::UpdateNamesrvConfig, Default::default());
    assert_success(&world.send(request.with_body("supportActingMaster=true\n")));
    assert!(world.route("TopicA").unwrap().broker_datas[0].broker_addrs.contains_key(&0));
}

#[test]
fn a_configured_black_list_adds_to_the_fixed_one() {
    let world = World::new(&[("configBlackList", "enableTopicList;x")]);
    let request = Command::raw_request(RequestCode::UpdateNamesrvConfig, Default::default());
    let answer = world.send(request.with_body("enableTopicList=false\n"));
    assert_refused(&answer, ResponseCode::NoPermission, "Can not update config in black list.");
}
