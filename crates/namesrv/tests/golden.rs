//! Recorded requests, and the answers of Java's name server to them.

mod common;

use std::path::PathBuf;

use bytes::BytesMut;
use common::*;
use serde_json::Value;
use skua_protocol::{Command, RequestCode, ResponseCode, frame};

/// The frame `name` of the recordings that the protocol crate keeps.
fn recorded(name: &str) -> Command {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../protocol/tests/fixtures/wire")
        .join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    frame::decode(&mut BytesMut::from(bytes.as_slice())).unwrap().expect("a whole frame")
}

/// A recorded body; Java's has bare numeric keys in places.
fn value(command: &Command) -> Value {
    skua_protocol::json::from_slice(&command.body).unwrap()
}

/// The cluster as it was when the answers were recorded: the proxy showed another port than the
/// broker's own, and tests had made topics.
fn recorded_world(made: &[&str]) -> (World, std::sync::Arc<TestPeer>) {
    let world = World::new(&[]);
    let peer = TestPeer::new();
    let mut request = recorded("register_broker_req.bin");
    let body = std::str::from_utf8(&request.body).unwrap();
    let made = made.iter().map(|name| {
        format!(
            r#""{name}":{{"attributes":{{}},"order":false,"perm":6,"readQueueNums":4,"topicFilterType":"SINGLE_TAG","topicName":"{name}","topicSysFlag":0,"writeQueueNums":4}},"#
        )
    });
    let made: String = made.collect();
    let body =
        body.replacen(r#""topicConfigTable":{"#, &format!(r#""topicConfigTable":{{{}"#, made), 1);
    request.fields.set("brokerAddr", "127.0.0.1:12811");
    request.fields.set("bodyCrc32", "0");
    assert_success(&world.send_over(&peer, request.with_body(body)));
    (world, peer)
}

#[test]
fn the_recorded_registration_is_taken_as_it_is_with_its_checksum() {
    let world = World::new(&[]);
    let request = recorded("register_broker_req.bin");
    let topics = value(&request)["topicConfigSerializeWrapper"]["topicConfigTable"]
        .as_object()
        .unwrap()
        .len();
    let answer = world.send(request);
    let expected = recorded("register_broker_rsp.bin");
    assert_eq!(answer.code, expected.code);
    assert_eq!(answer.fields, expected.fields);
    assert_eq!(answer.body, expected.body);
    assert_eq!(world.topics().len(), topics);
    assert_eq!(world.members("broker-a")[&0], "127.0.0.1:12911");
}

#[test]
fn route_answers_are_javas_whatever_the_header_encoding() {
    let (before, _peer) = recorded_world(&[]);
    let (after, _peer) = recorded_world(&["WireTJ", "WireTR"]);
    for (world, name) in [
        (&after, "route_topic_json"),
        (&after, "route_topic_rmq"),
        (&after, "route_tbw102_json"),
        (&after, "route_tbw102_rmq"),
        (&before, "route_notfound_json"),
        (&before, "route_notfound_rmq"),
        (&before, "v49_route_notfound"),
    ] {
        let answer = world.send(recorded(&format!("{name}_req.bin")));
        let expected = recorded(&format!("{name}_rsp.bin"));
        assert_eq!(answer.code, expected.code, "{name}");
        assert_eq!(answer.remark, expected.remark, "{name}");
        if expected.code == 0 {
            assert_eq!(value(&answer), value(&expected), "{name}");
        } else {
            assert!(answer.body.is_empty());
        }
    }
}

#[test]
fn route_json_is_in_javas_very_form() {
    let (world, _peer) = recorded_world(&["WireTJ", "WireTR"]);
    let answer = world.send(recorded("route_topic_json_req.bin"));
    assert_eq!(answer.body, recorded("route_topic_json_rsp.bin").body);
}

#[test]
fn cluster_and_member_group_are_javas_with_quoted_keys() {
    let (world, _peer) = recorded_world(&["WireTJ", "WireTR"]);
    for name in
        ["cluster_info_json", "cluster_info_rmq", "get_broker_member_group", "v49_cluster_info"]
    {
        let answer = world.send(recorded(&format!("{name}_req.bin")));
        let expected = recorded(&format!("{name}_rsp.bin"));
        assert_eq!(answer.code, expected.code, "{name}");
        // The first recording went past the proxy and has the broker's own port.
        let text = value(&expected).to_string().replace("12911", "12811");
        assert_eq!(value(&answer).to_string(), text, "{name}");
        let strict: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(strict, value(&answer), "{name} is standard JSON");
    }
}

#[test]
fn probes_are_answered_as_java_did() {
    let (world, _peer) = recorded_world(&["WireTJ", "WireTR"]);
    for name in ["p_kv_none", "p_unknown_code_namesrv"] {
        let answer = world.send(recorded(&format!("{name}_req.bin")));
        let expected = recorded(&format!("{name}_rsp.bin"));
        assert_eq!((answer.code, answer.remark), (expected.code, expected.remark), "{name}");
    }
    let answer = world.send(recorded("p_system_topics_namesrv_req.bin"));
    let (mut ours, mut javas) =
        (value(&answer), value(&recorded("p_system_topics_namesrv_rsp.bin")));
    for list in [&mut ours, &mut javas] {
        list["topicList"].as_array_mut().unwrap().sort_by_key(|name| name.to_string());
    }
    assert_eq!(ours, javas);

    let answer = world.send(recorded("p_topics_by_cluster_req.bin"));
    let expected = value(&recorded("p_topics_by_cluster_rsp.bin"));
    let expected = expected["topicList"].as_array().unwrap();
    let ours = value(&answer);
    let ours = ours["topicList"].as_array().unwrap();
    assert!(
        ours.iter().all(|name| expected.contains(name)),
        "the recorded cluster had all of these"
    );
    assert_eq!(ours.len(), world.topics().len());
}

#[test]
fn version_query_and_heartbeat_are_answered_as_java_did() {
    let (world, _peer) = recorded_world(&["WireTJ", "WireTR"]);
    for name in ["query_data_version", "p_query_data_version"] {
        let mut request = recorded(&format!("{name}_req.bin"));
        request.fields.set("brokerAddr", "127.0.0.1:12811");
        let answer = world.send(request);
        let expected = recorded(&format!("{name}_rsp.bin"));
        assert_eq!(answer.code, expected.code);
        assert_eq!(answer.fields, expected.fields);
        let registered = value(&recorded("register_broker_req.bin"));
        assert_eq!(value(&answer), registered["topicConfigSerializeWrapper"]["dataVersion"]);
    }
    let answer = world.send(recorded("broker_heartbeat_req.bin"));
    let expected = recorded("broker_heartbeat_rsp.bin");
    assert_eq!(
        (answer.code, answer.fields, answer.body),
        (expected.code, expected.fields, expected.body)
    );
}

#[test]
fn recorded_kv_requests_put_list_and_delete() {
    for codec in ["json", "rmq"] {
        let world = World::new(&[("kvConfigPath", KV_PATH)]);
        for (name, has_body) in [("kv_put", false), ("kv_list", true), ("kv_del", false)] {
            let answer = world.send(recorded(&format!("{name}_{codec}_req.bin")));
            let expected = recorded(&format!("{name}_{codec}_rsp.bin"));
            assert_eq!(answer.code, expected.code, "{name}");
            if has_body {
                assert_eq!(value(&answer), value(&expected), "{name}");
            }
        }
    }
}

#[test]
fn recorded_topic_lists_and_deletion_work_in_both_encodings() {
    for codec in ["json", "rmq"] {
        let (world, _peer) = recorded_world(&["WireCJ", "WireCR"]);
        let answer = world.send(recorded(&format!("topic_list_{codec}_req.bin")));
        assert_eq!(value(&answer)["topicList"].as_array().unwrap().len(), world.topics().len());
        let delete = recorded(&format!("del_topic_ns_{codec}_req.bin"));
        assert_eq!(delete.code, RequestCode::DeleteTopicInNamesrv as i32);
        let topic = delete.fields.get("topic").unwrap().to_owned();
        assert!(world.route(&topic).is_some());
        let answer = world.send(delete);
        assert_eq!(answer.code, ResponseCode::Success as i32);
        assert!(world.route(&topic).is_none());
    }
}
