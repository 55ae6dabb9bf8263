//! What a registration changes, and what it must not.

mod common;

use common::*;
use skua_protocol::body::{DataVersion, KvTable, QueueData, RouteData, TopicQueueMappingInfo};
use skua_protocol::request::{PutKvConfig, RegisterBrokerResponse};
use skua_protocol::service::Outcome;
use skua_protocol::{Command, RequestCode, ResponseCode, json};

#[test]
fn a_first_registration_makes_routes_and_the_cluster() {
    let world = World::new(&[]);
    assert_success(&TestBroker::new("broker-a", 0, "10.0.0.1:10911").register(&world));

    let route = world.route("TopicA").unwrap();
    assert_eq!(route.broker_datas.len(), 1);
    assert_eq!(route.broker_datas[0].broker_addrs[&0], "10.0.0.1:10911");
    assert_eq!(route.broker_datas[0].cluster, CLUSTER);
    assert_eq!(route.queue_datas.len(), 1);
    assert_eq!(route.queue_datas[0].write_queue_nums, 4);
    assert_eq!(world.topics(), ["TopicA", "TopicB"]);
    let info = world.cluster_info();
    assert_eq!(info.cluster_addr_table[CLUSTER].iter().collect::<Vec<_>>(), ["broker-a"]);
    assert!(world.route("TopicC").is_none());
}

#[test]
fn a_slave_that_becomes_master_at_its_address_has_one_row() {
    let world = World::new(&[]);
    let mut broker = TestBroker::new("broker-a", 1, "10.0.0.2:10911");
    broker.register(&world);
    assert_eq!(world.members("broker-a"), [(1, "10.0.0.2:10911".to_owned())].into());
    broker.header.broker_id = 0;
    broker.register(&world);
    assert_eq!(world.members("broker-a"), [(0, "10.0.0.2:10911".to_owned())].into());
}

#[test]
fn an_older_state_version_at_another_address_is_ignored_as_a_success() {
    let world = World::new(&[]);
    let mut old = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
    old.table().data_version.state_version = 7;
    old.register(&world);
    let mut outdated = TestBroker::new("broker-a", 0, "10.0.0.2:10911");
    outdated.table().data_version.state_version = 6;
    outdated.set_topics(
        outdated.clone().table().data_version,
        &[topic("Foreign", 1), topic("Other", 1)],
    );
    assert_success(&outdated.register(&world));
    assert_eq!(world.members("broker-a")[&0], "10.0.0.1:10911");
    assert!(world.route("Foreign").is_none());

    let mut newer = TestBroker::new("broker-a", 0, "10.0.0.3:10911");
    newer.table().data_version.state_version = 7;
    newer.register(&world);
    assert_eq!(world.members("broker-a")[&0], "10.0.0.3:10911");
}

#[test]
fn an_outdated_slave_that_claims_the_masters_id_loses_its_own_row() {
    let world = World::new(&[]);
    let mut master = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
    master.table().data_version.state_version = 7;
    master.register(&world);
    let mut slave = TestBroker::new("broker-a", 1, "10.0.0.2:10911");
    slave.register(&world);
    assert_eq!(world.members("broker-a").len(), 2);
    slave.header.broker_id = 0;
    slave.register(&world);
    assert_eq!(world.members("broker-a"), [(0, "10.0.0.1:10911".to_owned())].into());
}

#[test]
fn a_single_topic_from_an_unknown_broker_is_refused_and_leaves_nothing() {
    let world = World::new(&[]);
    let mut broker = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
    broker.set_topics(version(1), &[topic("Only", 4)]);
    assert_refused(&broker.register(&world), ResponseCode::SystemError, "register broker failed");
    assert!(world.cluster_info().broker_addr_table.is_empty());
    assert!(world.topics().is_empty());
}

#[test]
fn a_single_topic_from_a_known_broker_is_added_to_its_others() {
    let world = World::new(&[]);
    let mut broker = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
    broker.register(&world);
    broker.set_topics(version(2), &[topic("TopicC", 2)]);
    assert_success(&broker.register(&world));
    assert_eq!(world.topics(), ["TopicA", "TopicB", "TopicC"]);
}

#[test]
fn topics_change_only_with_the_data_version_but_missing_ones_come_back() {
    let world = World::new(&[]);
    let mut broker = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
    broker.register(&world);

    broker.set_topics(version(1), &[topic("TopicA", 8), topic("TopicC", 2)]);
    broker.register(&world);
    assert_eq!(
        world.route("TopicA").unwrap().queue_datas[0].read_queue_nums,
        4,
        "same version: unchanged"
    );
    assert_eq!(
        world.route("TopicC").unwrap().queue_datas[0].read_queue_nums,
        2,
        "missing row: added"
    );

    for changed in [
        version(2),
        DataVersion { state_version: 1, ..version(2) },
        DataVersion { state_version: 1, timestamp: 5, ..version(2) },
    ] {
        let queues = world.route("TopicA").unwrap().queue_datas[0].read_queue_nums + 1;
        broker.set_topics(changed, &[topic("TopicA", queues), topic("TopicC", 2)]);
        broker.register(&world);
        assert_eq!(
            world.route("TopicA").unwrap().queue_datas[0].read_queue_nums,
            queues,
            "{changed:?}"
        );
    }
}

#[test]
fn topics_left_out_stay_unless_registration_is_to_delete_them() {
    let two = [topic("TopicA", 4), topic("TopicC", 4)];
    for (delete, expected) in
        [("false", &["TopicA", "TopicB", "TopicC"][..]), ("true", &["TopicA", "TopicC"][..])]
    {
        let world = World::new(&[("deleteTopicWithBrokerRegistration", delete)]);
        let mut broker = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
        broker.register(&world);
        broker.set_topics(version(2), &two);
        broker.register(&world);
        assert_eq!(world.topics(), expected);
    }
}

#[test]
fn deleting_with_registration_spares_other_brokers_rows() {
    let world = World::new(&[("deleteTopicWithBrokerRegistration", "true")]);
    let mut a = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
    a.register(&world);
    TestBroker::new("broker-b", 0, "10.0.0.2:10911").register(&world);
    a.set_topics(version(2), &[topic("TopicA", 4), topic("TopicC", 4)]);
    a.register(&world);
    let route = world.route("TopicB").unwrap();
    assert_eq!(route.queue_datas.len(), 1);
    assert_eq!(route.queue_datas[0].broker_name, "broker-b");
}

#[test]
fn a_slave_speaks_for_its_topics_only_without_a_smaller_id_and_from_version_5() {
    // The brokers that are there, then: does a slave's new topic show?
    let cases = [
        (&[0][..], Some(false), false),
        (&[1][..], Some(false), false),
        (&[][..], Some(false), true),
        (&[3][..], Some(false), true),
        (&[][..], None, false),
    ];
    for (others, acting, shows) in cases {
        let world = World::new(&[]);
        for id in others {
            TestBroker::new("broker-a", *id, &format!("10.0.0.{id}:10911")).register(&world);
        }
        let mut slave = TestBroker::new("broker-a", 2, "10.0.0.9:10911");
        slave.header.enable_acting_master = acting;
        slave.set_topics(version(9), &[topic("TopicA", 4), topic("SlaveTopic", 4)]);
        assert_success(&slave.register(&world));
        assert_eq!(
            world.route("SlaveTopic").is_some(),
            shows,
            "others {others:?}, acting {acting:?}"
        );
        assert_eq!(world.members("broker-a")[&2], "10.0.0.9:10911");
    }
}

#[test]
fn a_slave_learns_its_master_and_a_master_learns_nothing() {
    let world = World::new(&[]);
    let slave = TestBroker::new("broker-a", 1, "10.0.0.2:10911");
    let answer: RegisterBrokerResponse = header(&slave.register(&world));
    assert_eq!(answer, RegisterBrokerResponse::default());

    let master = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
    let answer: RegisterBrokerResponse = header(&master.register(&world));
    assert_eq!(answer, RegisterBrokerResponse::default());

    let answer: RegisterBrokerResponse = header(&slave.register(&world));
    assert_eq!(answer.master_addr.as_deref(), Some("10.0.0.1:10911"));
    assert_eq!(answer.ha_server_addr.as_deref(), Some("ha-10.0.0.1:10911"));
}

#[test]
fn the_order_topics_come_with_the_answer_if_there_are_any_and_it_is_wanted() {
    let put = PutKvConfig {
        namespace: "ORDER_TOPIC_CONFIG".into(),
        key: "TopicA".into(),
        value: "broker-a:4".into(),
    };
    let broker = TestBroker::new("broker-a", 0, "10.0.0.1:10911");

    let world = World::new(&[]);
    assert!(broker.register(&world).body.is_empty());
    assert_success(&world.ask(&put));
    let table: KvTable = body(&broker.register(&world));
    assert_eq!(table.table["TopicA"], "broker-a:4");

    let world = World::new(&[("returnOrderTopicConfigToBroker", "false")]);
    assert_success(&world.ask(&put));
    assert!(broker.register(&world).body.is_empty());
}

#[test]
fn a_body_that_does_not_match_its_checksum_is_refused() {
    let world = World::new(&[]);
    let mut broker = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
    let right = crc32fast::hash(&broker.request().body) & 0x7FFF_FFFF;
    broker.header.body_crc32 = Some(right as i32 ^ 1);
    assert_refused(&broker.register(&world), ResponseCode::SystemError, "crc32 not match");
    broker.header.body_crc32 = Some(right as i32);
    assert_success(&broker.register(&world));
    broker.header.body_crc32 = Some(0);
    assert_success(&broker.register(&world));
}

#[test]
fn a_compressed_body_is_read_whatever_the_header_says_and_with_what_its_version_has() {
    for (request_version, compressed, has_mappings) in [
        (409, Some(true), false),
        (513, Some(true), true),
        (513, Some(false), true),
        (513, None, true),
    ] {
        let world = World::new(&[]);
        let mut broker = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
        broker.body.filter_server_list = vec!["10.0.0.1:7000".to_owned()];
        let mapping = TopicQueueMappingInfo {
            topic: "TopicA".to_owned(),
            bname: "broker-a".to_owned(),
            ..Default::default()
        };
        broker.table().topic_queue_mapping_info_map.insert("TopicA".to_owned(), mapping);
        let body = broker.body.encode_compressed(request_version);
        broker.header.compressed = compressed;
        broker.header.body_crc32 = Some((crc32fast::hash(&body) & 0x7FFF_FFFF) as i32);
        let mut request = Command::request(&broker.header).with_body(body);
        request.version = request_version;
        assert_success(&world.send_over(&broker.peer, request));
        let route = world.route("TopicA").unwrap();
        assert_eq!(route.queue_datas[0].write_queue_nums, 4);
        assert_eq!(route.filter_server_table["10.0.0.1:10911"], ["10.0.0.1:7000"]);
        assert_eq!(route.topic_queue_mapping_by_broker.is_some(), has_mappings);
    }
}

#[test]
fn an_ancient_brokers_body_is_the_table_of_topics_and_none_is_no_topics() {
    let world = World::new(&[]);
    let mut broker = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
    let table = json::to_vec(broker.table());
    let mut request = Command::request(&broker.header).with_body(table);
    request.version = 38;
    assert_success(&world.send_over(&broker.peer, request));
    assert_eq!(world.topics(), ["TopicA", "TopicB"]);

    let silent = TestBroker::new("broker-b", 0, "10.0.0.2:10911");
    assert_success(&world.send_over(&silent.peer, Command::request(&silent.header)));
    assert_eq!(world.members("broker-b").len(), 1);
    assert_eq!(world.topics(), ["TopicA", "TopicB"]);
}

#[test]
fn filter_servers_and_static_topic_mappings_show_in_routes() {
    let world = World::new(&[]);
    let mut broker = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
    broker.body.filter_server_list = vec!["10.0.0.1:7000".to_owned()];
    let mapping = TopicQueueMappingInfo {
        topic: "TopicA".to_owned(),
        bname: "broker-a".to_owned(),
        total_queues: 8,
        epoch: 3,
        curr_id_map: [(0, 1)].into(),
        ..Default::default()
    };
    broker.table().topic_queue_mapping_info_map.insert("TopicA".to_owned(), mapping.clone());
    broker.register(&world);

    let route = world.route("TopicA").unwrap();
    assert_eq!(route.filter_server_table["10.0.0.1:10911"], ["10.0.0.1:7000"]);
    let mappings = route.topic_queue_mapping_by_broker.unwrap();
    assert_eq!(mappings["broker-a"], mapping);
    assert!(world.route("TopicB").unwrap().topic_queue_mapping_by_broker.is_none());

    broker.body.filter_server_list.clear();
    broker.register(&world);
    let route = world.route("TopicA").unwrap();
    assert!(route.filter_server_table.is_empty(), "a cached route would still show it");
    assert!(route.topic_queue_mapping_by_broker.is_some());

    broker.table().topic_queue_mapping_info_map.clear();
    broker.set_topics(version(2), &[topic("TopicA", 5), topic("TopicB", 5)]);
    broker.register(&world);
    let route = world.route("TopicA").unwrap();
    assert_eq!(route.queue_datas[0].read_queue_nums, 5);
    let mappings = route.topic_queue_mapping_by_broker.expect("a changed topic keeps its mapping");
    assert_eq!(mappings["broker-a"], mapping);
}

#[test]
fn a_mapping_does_not_outlive_its_topic() {
    let world = World::new(&[]);
    let mut broker = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
    let mapping = TopicQueueMappingInfo {
        topic: "TopicA".to_owned(),
        bname: "broker-a".to_owned(),
        ..Default::default()
    };
    broker.table().topic_queue_mapping_info_map.insert("TopicA".to_owned(), mapping);
    broker.register(&world);
    world.close(&broker.peer);
    assert!(world.route("TopicA").is_none());

    broker.table().topic_queue_mapping_info_map.clear();
    broker.register(&world);
    assert!(world.route("TopicA").unwrap().topic_queue_mapping_by_broker.is_none());
}

#[test]
fn a_long_body_is_read_off_the_connection_and_dropped_if_the_connection_ended_meanwhile() {
    let world = World::new(&[]);
    let mut broker = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
    let many: Vec<_> = (0..1000).map(|i| topic(&format!("Topic{i:04}"), 4)).collect();
    broker.set_topics(version(1), &many);

    let Outcome::Blocking(work) = world.start_over(&broker.peer, broker.request()) else {
        panic!("a long body is not read at once");
    };
    assert!(world.topics().is_empty());
    assert_success(&finish(work()));
    assert_eq!(world.topics().len(), 1000);

    world.close(&broker.peer);
    assert!(world.topics().is_empty());
    let Outcome::Blocking(work) = world.start_over(&broker.peer, broker.request()) else {
        panic!("a long body is not read at once");
    };
    world.close(&broker.peer);
    finish(work());
    assert!(world.topics().is_empty(), "the broker has gone");
}

#[test]
fn a_topic_is_added_for_known_brokers_only() {
    let world = World::new(&[]);
    TestBroker::new("broker-a", 0, "10.0.0.1:10911").register(&world);
    let register = |topic: &str, brokers: &[&str]| {
        let mut request =
            Command::raw_request(RequestCode::RegisterTopicInNamesrv, Default::default());
        request.fields.push("topic", topic);
        let queue = |name: &&str| QueueData {
            broker_name: name.to_string(),
            read_queue_nums: 3,
            write_queue_nums: 3,
            perm: 6,
            ..Default::default()
        };
        let route =
            RouteData { queue_datas: brokers.iter().map(queue).collect(), ..Default::default() };
        world.send(request.with_body(json::to_vec(&route)))
    };
    assert_success(&register("TopicC", &["broker-a"]));
    assert_eq!(world.route("TopicC").unwrap().queue_datas[0].read_queue_nums, 3);
    assert_success(&register("TopicD", &["broker-a", "broker-z"]));
    assert!(world.route("TopicD").is_none());
    assert_success(&register("TopicE", &[]));
    assert!(world.route("TopicE").is_none());
    assert!(world.route("TopicA").is_some());
    assert_success(&register("TopicA", &["broker-a"]));
    assert_eq!(
        world.route("TopicA").unwrap().queue_datas[0].read_queue_nums,
        3,
        "replaces what is there"
    );
}
