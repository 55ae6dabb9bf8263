//! Input that no honest client sends: answered with an error or taken for what it is, never a
//! panic, and no trace is left in the tables.

mod common;

use common::*;
use proptest::prelude::*;
use skua_protocol::header::Fields;
use skua_protocol::request::{RegisterBroker, Request};
use skua_protocol::{Command, RequestCode, ResponseCode};

#[test]
fn a_registration_that_cannot_be_read_is_refused_with_its_cause_and_leaves_nothing() {
    let world = World::new(&[]);
    let broker = TestBroker::new("broker-a", 0, "10.0.0.1:10911");
    let deep = "[".repeat(1_000_000);
    let bodies: [&[u8]; 9] = [
        b"{",
        b"null",
        b"\x78\x9c",
        b"\x78\x9cgarbage",
        &[0xff; 100],
        br#"{"topicConfigSerializeWrapper":7}"#,
        br#"{"topicConfigSerializeWrapper":{"topicConfigTable":{"T":{"readQueueNums":"many"}}}}"#,
        br#"{"topicConfigSerializeWrapper":{"dataVersion":{"counter":99999999999999999999}}}"#,
        deep.as_bytes(),
    ];
    for bad in bodies {
        let request = Command::request(&broker.header).with_body(bad.to_vec());
        let answer = world.send_over(&broker.peer, request);
        let shown = String::from_utf8_lossy(&bad[..bad.len().min(40)]).into_owned();
        assert_eq!(answer.code, ResponseCode::SystemError as i32, "{shown}");
        assert!(answer.remark.unwrap().len() < 500, "{shown}");
        assert!(world.cluster_info().broker_addr_table.is_empty(), "{shown}");
    }
}

#[test]
fn a_registration_without_a_field_is_refused_by_the_fields_name() {
    let world = World::new(&[]);
    let whole = TestBroker::new("broker-a", 0, "10.0.0.1:10911").request();
    for name in ["brokerName", "brokerAddr", "clusterName", "haServerAddr", "brokerId"] {
        let mut request = whole.clone();
        request.fields.remove(name).unwrap();
        let answer = world.send(request);
        assert_eq!(answer.code, ResponseCode::SystemError as i32);
        assert!(answer.remark.unwrap().contains(name));
    }
    let mut request = whole;
    request.fields.set("brokerId", "zero");
    let remark = world.send(request).remark.unwrap();
    assert!(remark.contains("brokerId") && remark.contains("zero"), "{remark}");
    assert!(world.cluster_info().broker_addr_table.is_empty());
}

#[test]
fn names_with_any_character_survive_as_standard_json() {
    let world = World::new(&[]);
    let name = "b\"\\\n\u{0}\u{7f}é😀{}:,";
    let mut broker = TestBroker::new(name, i64::MIN, "not an address");
    broker.header.enable_acting_master = Some(true);
    broker.set_topics(version(1), &[topic(name, i32::MIN), topic("", 1), topic("x", i32::MAX)]);
    assert_success(&broker.register(&world));
    assert_eq!(world.members(name)[&i64::MIN], "not an address");
    assert_eq!(world.route(name).unwrap().queue_datas[0].broker_name, name);
    broker.header.heartbeat_timeout_millis = Some(i64::MAX);
    broker.register(&world);
    world.namesrv.run_due(skua_protocol::Millis(i64::MAX));
    assert_eq!(world.members(name).len(), 1, "a timeout without end does not overflow");
    broker.header.heartbeat_timeout_millis = Some(i64::MIN);
    broker.register(&world);
    world.namesrv.run_due(START.plus(60_000));
    assert!(world.members(name).is_empty());
}

/// Codes that a name server serves, and any other number.
fn code() -> impl Strategy<Value = i32> {
    let served = [
        RequestCode::GetRouteInfoByTopic,
        RequestCode::RegisterBroker,
        RequestCode::UnregisterBroker,
        RequestCode::QueryDataVersion,
        RequestCode::BrokerHeartbeat,
        RequestCode::GetBrokerMemberGroup,
        RequestCode::GetTopicsByCluster,
        RequestCode::RegisterTopicInNamesrv,
        RequestCode::DeleteTopicInNamesrv,
        RequestCode::WipeWritePermOfBroker,
        RequestCode::AddWritePermOfBroker,
        RequestCode::PutKvConfig,
        RequestCode::GetKvConfig,
        RequestCode::DeleteKvConfig,
        RequestCode::GetKvListByNamespace,
        RequestCode::UpdateNamesrvConfig,
    ];
    prop_oneof![9 => proptest::sample::select(served.to_vec()).prop_map(|code| code as i32), 1 => any::<i32>()]
}

fn fields() -> impl Strategy<Value = Fields> {
    let names = [
        "topic",
        "cluster",
        "brokerName",
        "brokerAddr",
        "clusterName",
        "haServerAddr",
        "brokerId",
        "namespace",
        "key",
        "value",
        "compressed",
        "bodyCrc32",
        "heartbeatTimeoutMillis",
        "enableActingMaster",
        "__ZONE_NAME",
        "__ZONE_MODE",
    ];
    let value = prop_oneof!["[a-c]", "-?[0-9]{1,20}", "true|false", ".{0,12}"];
    proptest::collection::vec((proptest::sample::select(names.to_vec()), value), 0..14).prop_map(
        |pairs| {
            let mut fields = Fields::new();
            for (name, value) in pairs {
                fields.set(name, value);
            }
            fields
        },
    )
}

fn hostile_body() -> impl Strategy<Value = Vec<u8>> {
    let good = TestBroker::new("broker-a", 0, "a").request().body.to_vec();
    let compressed = TestBroker::new("broker-a", 0, "a").body.encode_compressed(513);
    let cut_and_flip = |bytes: Vec<u8>| {
        (0..bytes.len(), 0..bytes.len(), any::<u8>(), any::<bool>()).prop_map(
            move |(at, len, byte, cut)| {
                let mut bytes = bytes.clone();
                bytes[at] = byte;
                if cut {
                    bytes.truncate(len);
                }
                bytes
            },
        )
    };
    prop_oneof![
        Just(Vec::new()),
        proptest::collection::vec(any::<u8>(), 0..64),
        "[{}\\[\\]:,\"a0=\\\\\n]{0,40}".prop_map(String::into_bytes),
        cut_and_flip(good),
        cut_and_flip(compressed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_request_is_answered_and_the_tables_stay_whole(
        requests in proptest::collection::vec((code(), fields(), hostile_body(), 0..600i32), 1..8)
    ) {
        let mut world = World::new(&[]);
        let peer = TestPeer::new();
        for (code, fields, body, version) in requests {
            let mut request = Command::raw_request(RegisterBroker::CODE, fields).with_body(body);
            request.code = code;
            request.version = version;
            prop_assert!(world.send_over(&peer, request).is_response());
        }
        let info = world.cluster_info();
        for topic in world.topics() {
            let route = world.route(&topic).expect("a listed topic has a route");
            prop_assert!(!route.queue_datas.is_empty());
            for queue in &route.queue_datas {
                prop_assert!(!info.broker_addr_table[&queue.broker_name].broker_addrs.is_empty());
            }
        }
        world.close(&peer);
        world.run(10_000);
        prop_assert!(world.topics().is_empty());
        prop_assert!(world.cluster_info().broker_addr_table.is_empty());
    }
}
