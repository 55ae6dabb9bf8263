//! Brokers that stay, fall silent, leave, and what their peers are told.

mod common;

use common::*;
use skua_protocol::body::DataVersion;
use skua_protocol::request::{
    AddWritePermOfBroker, BrokerHeartbeat, NotifyMinBrokerIdChange, QueryDataVersion,
    QueryDataVersionResponse,
};
use skua_protocol::{Command, Millis, RequestCode, ResponseCode, json};

fn heartbeat(broker: &TestBroker) -> Command {
    Command::request(&BrokerHeartbeat {
        cluster_name: broker.header.cluster_name.clone(),
        broker_addr: broker.header.broker_addr.clone(),
        broker_name: broker.header.broker_name.clone(),
        ..BrokerHeartbeat::default()
    })
}

fn query(
    world: &World,
    broker: &TestBroker,
    version: Option<DataVersion>,
) -> (bool, Option<DataVersion>) {
    let request = Command::request(&QueryDataVersion {
        broker_name: broker.header.broker_name.clone(),
        broker_addr: broker.header.broker_addr.clone(),
        cluster_name: broker.header.cluster_name.clone(),
        broker_id: 0,
    });
    let body_of = version.map(|version| json::to_vec(&version)).unwrap_or_default();
    let answer = world.send(request.with_body(body_of));
    let known = (!answer.body.is_empty()).then(|| body(&answer));
    (header::<QueryDataVersionResponse>(&answer).changed, known)
}

#[test]
fn a_silent_broker_expires_after_120_seconds_and_its_connection_is_closed() {
    let mut world = World::new(&[]);
    let broker = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
    broker.register(&world);
    world.run(120_000);
    assert_eq!(world.members("broker-a").len(), 1, "exactly 120 s are not too long");
    assert!(!broker.peer.is_closed());
    world.run(5_000);
    assert!(world.members("broker-a").is_empty());
    assert!(world.topics().is_empty());
    assert!(world.cluster_info().cluster_addr_table.is_empty());
    assert!(broker.peer.is_closed());
}

#[test]
fn a_brokers_own_timeout_counts_and_only_it_goes() {
    let mut world = World::new(&[]);
    let mut quick = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
    quick.header.heartbeat_timeout_millis = Some(10_000);
    quick.register(&world);
    TestBroker::new("broker-b", 0, "10.0.0.2:10911").register(&world);
    world.run(11_000);
    assert!(world.members("broker-a").is_empty());
    assert_eq!(world.members("broker-b").len(), 1);
    assert_eq!(world.route("TopicA").unwrap().queue_datas.len(), 1);
}

#[test]
fn registration_heartbeat_and_version_query_each_keep_a_broker() {
    let mut world = World::new(&[]);
    let broker = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
    broker.register(&world);
    for round in 0..6 {
        world.run(100_000);
        match round % 3 {
            0 => assert_success(&world.send(heartbeat(&broker))),
            1 => assert!(!query(&world, &broker, Some(version(1))).0),
            _ => assert_success(&broker.register(&world)),
        }
    }
    assert_eq!(world.members("broker-a").len(), 1);
    assert_success(&world.send(heartbeat(&TestBroker::new("broker-z", 0, "10.0.0.9:10911"))));
    assert!(world.members("broker-z").is_empty(), "a heartbeat registers nothing");
}

#[test]
fn due_work_runs_at_the_scan_interval_and_survives_a_clock_set_back() {
    let world = World::new(&[("scanNotActiveBrokerInterval", "2000")]);
    assert_eq!(world.namesrv.run_due(START), Some(START.plus(2000)));
    assert_eq!(world.namesrv.run_due(START.plus(1999)), Some(START.plus(2000)));
    assert_eq!(world.namesrv.run_due(START.plus(2000)), Some(START.plus(4000)));
    let back = START.plus(-1_000_000);
    assert_eq!(world.namesrv.run_due(back), Some(back.plus(2000)));
    assert_eq!(world.namesrv.run_due(Millis(i64::MIN)), Some(Millis(i64::MIN).plus(2000)));
}

#[test]
fn a_closed_connection_takes_its_broker_at_once_and_no_other() {
    let world = World::new(&[]);
    let a = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
    let b = TestBroker::new("broker-b", 0, "10.0.0.2:10911");
    a.register(&world);
    b.register(&world);
    world.close(&TestPeer::new());
    assert_eq!(world.route("TopicA").unwrap().queue_datas.len(), 2);
    world.close(&a.peer);
    let route = world.route("TopicA").unwrap();
    assert_eq!(route.queue_datas.len(), 1);
    assert_eq!(route.broker_datas[0].broker_name, "broker-b");
    world.close(&b.peer);
    assert!(world.route("TopicA").is_none());
}

#[test]
fn the_close_of_an_old_connection_does_not_take_a_broker_that_came_back_by_another() {
    let world = World::new(&[]);
    let mut broker = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
    broker.register(&world);
    let old = std::mem::replace(&mut broker.peer, TestPeer::new());
    broker.register(&world);
    world.close(&old);
    assert_eq!(world.members("broker-a").len(), 1);
    world.close(&broker.peer);
    assert!(world.members("broker-a").is_empty());
}

#[test]
fn unregister_takes_the_address_and_leaves_the_slave() {
    let world = World::new(&[]);
    let master = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
    let slave = TestBroker::new("broker-a", 1, "10.0.0.2:10911");
    master.register(&world);
    slave.register(&world);
    assert_success(&master.unregister(&world));
    assert_eq!(world.members("broker-a"), [(1, "10.0.0.2:10911".to_owned())].into());
    assert!(world.route("TopicA").is_some());
    assert_success(&master.unregister(&world));
    assert_success(&slave.unregister(&world));
    assert!(world.route("TopicA").is_none());
    assert!(world.topics().is_empty());
}

#[test]
fn the_data_version_query_says_what_the_name_server_has() {
    let world = World::new(&[]);
    let mut broker = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
    assert_eq!(query(&world, &broker, Some(version(1))), (true, None));
    broker.register(&world);
    assert_eq!(query(&world, &broker, Some(version(1))), (false, Some(version(1))));
    assert_eq!(query(&world, &broker, Some(version(2))), (true, Some(version(1))));
    assert_eq!(query(&world, &broker, None), (true, Some(version(1))));
    broker.header.broker_addr = "10.0.0.2:10911".into();
    assert_eq!(query(&world, &broker, Some(version(1))), (true, None), "another address");
    broker.header.broker_addr = "10.0.0.1:10911".into();
    broker.header.cluster_name = "Other".into();
    assert_eq!(query(&world, &broker, Some(version(1))), (true, None), "another cluster");
}

#[test]
fn an_unreadable_version_or_a_missing_field_is_an_error_with_its_name() {
    let world = World::new(&[]);
    let mut request = Command::raw_request(RequestCode::QueryDataVersion, Default::default());
    for (key, value) in [("brokerName", "b"), ("brokerAddr", "a"), ("clusterName", "c")] {
        request.fields.push(key, value);
    }
    let answer = world.send(request.clone());
    assert_eq!(answer.code, ResponseCode::SystemError as i32);
    assert!(answer.remark.unwrap().contains("brokerId"));
    request.fields.push("brokerId", "0");
    let answer = world.send(request.with_body("{"));
    assert_eq!(answer.code, ResponseCode::SystemError as i32);
    assert!(answer.remark.unwrap().contains("DataVersion"));
}

#[test]
fn without_master_an_acting_brokers_topics_lose_write_and_show_the_slave_as_master() {
    for (supported, shown_id) in [("true", 0), ("false", 1)] {
        let world = World::new(&[("supportActingMaster", supported)]);
        let master = TestBroker::new("broker-a", 0, "10.0.0.1:10911").acting();
        let slave = TestBroker::new("broker-a", 1, "10.0.0.2:10911").acting();
        master.register(&world);
        slave.register(&world);
        assert_eq!(world.perm("TopicA", "broker-a"), 6);

        world.close(&master.peer);
        assert_eq!(world.perm("TopicA", "broker-a"), 4);
        let route = world.route("TopicA").unwrap();
        assert_eq!(
            route.broker_datas[0].broker_addrs,
            [(shown_id, "10.0.0.2:10911".to_owned())].into()
        );
        assert_eq!(
            world.members("broker-a"),
            [(1, "10.0.0.2:10911".to_owned())].into(),
            "106 shows the truth"
        );

        master.register(&world);
        assert_eq!(world.perm("TopicA", "broker-a"), 6, "the master gives write back");
        assert_eq!(world.route("TopicA").unwrap().broker_datas[0].broker_addrs.len(), 2);
    }
}

#[test]
fn an_acting_slave_that_registers_alone_gives_no_write_permission() {
    let world = World::new(&[("supportActingMaster", "true")]);
    TestBroker::new("broker-a", 1, "10.0.0.2:10911").acting().register(&world);
    assert_eq!(world.perm("TopicA", "broker-a"), 4);
    TestBroker::new("broker-b", 1, "10.0.0.3:10911").register(&world);
    assert_eq!(world.perm("TopicA", "broker-b"), 6, "not an acting one");
    let route = world.route("TopicA").unwrap();
    assert!(route.broker_datas[0].broker_addrs.contains_key(&0));
    assert!(route.broker_datas[1].broker_addrs.contains_key(&1));
}

#[test]
fn a_slave_that_may_be_written_to_is_not_shown_as_master() {
    let world = World::new(&[("supportActingMaster", "true")]);
    TestBroker::new("broker-a", 1, "10.0.0.2:10911").acting().register(&world);
    assert!(world.route("TopicA").unwrap().broker_datas[0].broker_addrs.contains_key(&0));
    world.ask(&AddWritePermOfBroker { broker_name: "broker-a".into() });
    assert!(world.route("TopicA").unwrap().broker_datas[0].broker_addrs.contains_key(&1));
}

#[test]
fn a_member_list_topic_never_shows_an_acting_master() {
    let world = World::new(&[("supportActingMaster", "true")]);
    let mut slave = TestBroker::new("broker-a", 1, "10.0.0.2:10911").acting();
    let name = "rmq_sys_SYNC_BROKER_MEMBER_broker-a";
    slave.set_topics(version(1), &[topic(name, 1), topic("TopicA", 4)]);
    slave.register(&world);
    assert!(world.route("TopicA").unwrap().broker_datas[0].broker_addrs.contains_key(&0));
    assert!(world.route(name).unwrap().broker_datas[0].broker_addrs.contains_key(&1));
}

/// Receivers and header of each notice.
fn notices(world: &World) -> Vec<(String, NotifyMinBrokerIdChange)> {
    let sent = world.sent.take().into_iter();
    sent.map(|(addr, request)| {
        assert_eq!(request.code, RequestCode::NotifyMinBrokerIdChange as i32);
        assert!(request.is_one_way());
        (addr, request.header().unwrap())
    })
    .collect()
}

#[test]
fn peers_are_told_when_a_smaller_broker_id_comes() {
    let world = World::new(&[("notifyMinBrokerIdChanged", "true")]);
    TestBroker::new("broker-a", 3, "10.0.0.3:10911").register(&world);
    TestBroker::new("broker-a", 2, "10.0.0.2:10911").register(&world);
    let told = notices(&world);
    assert_eq!(told.len(), 1, "the one that was there, not the newcomer");
    assert_eq!(told[0].0, "10.0.0.3:10911");
    assert_eq!(
        told[0].1,
        NotifyMinBrokerIdChange {
            min_broker_id: Some(2),
            min_broker_addr: Some("10.0.0.2:10911".into()),
            ha_broker_addr: Some("ha-10.0.0.2:10911".into()),
            ..Default::default()
        }
    );
    TestBroker::new("broker-a", 5, "10.0.0.5:10911").register(&world);
    TestBroker::new("broker-a", 2, "10.0.0.2:10911").register(&world);
    assert!(notices(&world).is_empty(), "the smallest id is the same");
    TestBroker::new("broker-a", 0, "10.0.0.1:10911").register(&world);
    let told: Vec<String> = notices(&world).into_iter().map(|(addr, _)| addr).collect();
    assert_eq!(told, ["10.0.0.2:10911", "10.0.0.3:10911", "10.0.0.5:10911"]);
}

#[test]
fn a_lone_slave_that_becomes_master_is_told_so_itself() {
    let world = World::new(&[("notifyMinBrokerIdChanged", "true")]);
    let mut broker = TestBroker::new("broker-a", 1, "10.0.0.2:10911");
    broker.register(&world);
    assert!(notices(&world).is_empty(), "a first member is no change");
    broker.header.broker_id = 0;
    broker.register(&world);
    let told = notices(&world);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].0, "10.0.0.2:10911");
    assert_eq!(told[0].1.min_broker_id, Some(0));
}

#[test]
fn all_that_are_left_are_told_when_the_smallest_broker_id_goes_by_whatever_way() {
    let leave: [fn(&mut World, &TestBroker); 3] = [
        |world, broker| assert_success(&broker.unregister(world)),
        |world, broker| world.close(&broker.peer),
        |world, _| world.run(6_000),
    ];
    for leave in leave {
        let mut world = World::new(&[("notifyMinBrokerIdChanged", "true")]);
        let mut master = TestBroker::new("broker-a", 0, "10.0.0.1:10911").acting();
        master.header.heartbeat_timeout_millis = Some(5_000);
        master.register(&world);
        TestBroker::new("broker-a", 1, "10.0.0.2:10911").acting().register(&world);
        TestBroker::new("broker-a", 2, "10.0.0.3:10911").acting().register(&world);
        assert!(notices(&world).is_empty());

        leave(&mut world, &master);
        let told = notices(&world);
        let to: Vec<&str> = told.iter().map(|(addr, _)| addr.as_str()).collect();
        assert_eq!(to, ["10.0.0.2:10911", "10.0.0.3:10911"]);
        assert_eq!(
            told[0].1,
            NotifyMinBrokerIdChange {
                min_broker_id: Some(1),
                min_broker_addr: Some("10.0.0.2:10911".into()),
                offline_broker_addr: Some("10.0.0.1:10911".into()),
                ..Default::default()
            }
        );
        leave(&mut world, &master);
        assert!(notices(&world).is_empty(), "told once");
    }
}

#[test]
fn nobody_is_told_when_another_id_goes_or_acting_is_off_or_notices_are_off() {
    let cases = [("true", true, 1), ("true", false, 0), ("false", true, 0)];
    for (notify, acting, leaving) in cases {
        let world = World::new(&[("notifyMinBrokerIdChanged", notify)]);
        let mut brokers =
            [0, 1, 2].map(|id| TestBroker::new("broker-a", id, &format!("10.0.0.{id}:10911")));
        for broker in &mut brokers {
            broker.header.enable_acting_master = Some(acting);
            broker.register(&world);
        }
        world.close(&brokers[leaving].peer);
        assert!(notices(&world).is_empty(), "notify {notify}, acting {acting}, leaving {leaving}");
        assert_eq!(world.members("broker-a").len(), 2);
    }
}
