use std::path::PathBuf;

use bytes::BytesMut;
use skua_protocol::body::{RegisterBrokerBody, SubscriptionData, TopicConfig};
use skua_protocol::command::VERSION;
use skua_protocol::frame;
use skua_protocol::header::Fields;
use skua_protocol::{Command, RequestCode, ResponseCode, json};

use super::*;
use crate::test_broker::TestBroker;
use crate::test_peer::TestPeer;

/// A frame recorded from a Java client or its Java server.
fn recorded(name: &str) -> Command {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../protocol/tests/fixtures/wire")
        .join(format!("{name}.bin"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut buffer = BytesMut::from(&bytes[..]);
    frame::decode(&mut buffer).expect("Java wrote it").expect("it is whole")
}

/// A broker in the state in which the probes met the Java broker, as far as they can tell.
fn as_probed() -> TestBroker {
    let test = TestBroker::new();
    test.create_topic(TopicConfig::new("WireTJ", 4, 6));
    for queue in [0, 0, 1, 1, 2, 2, 2, 2] {
        test.send("WireTJ", queue, "", "hello skua");
    }
    let subscription = SubscriptionData::by_tags("WireTJ", "*", Millis(1_795_466_194_822));
    test.beat(&test.peer, "CGJ", vec![subscription]);
    for (queue, offset) in [(0, 0), (1, 2), (2, 3), (3, 1)] {
        test.broker.offsets.commit("CGJ", "WireTJ", queue, offset, test.now);
    }
    test
}

fn sorted(fields: &Fields) -> Vec<(String, String)> {
    let mut all: Vec<_> =
        fields.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    all.sort();
    all
}

/// The remark without what depends on the run: ports of clients.
fn comparable(remark: Option<&str>) -> String {
    let remark = remark.unwrap_or_default();
    match remark.split_once("127.0.0.1:5") {
        Some((before, after)) => {
            format!("{before}PEER{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => remark.to_owned(),
    }
}

/// Probes whose answer must have Java's code, remark, fields and body.
const SAME: [&str; 27] = [
    "p_unknown_code_broker",
    "p_consume_stats_unknown_group",
    "p_consumer_conn_offline",
    "p_consumer_list_none",
    "p_correction_offset",
    "p_create_system_topic",
    "p_create_topic_bad_name",
    "p_earliest_unknown_topic",
    "p_get_group_config",
    "p_group_forbidden",
    "p_max_offset_unknown_topic",
    "p_producer_conn_none",
    "p_pull_bad_queue",
    "p_pull_negative_offset",
    "p_pull_unknown_topic",
    "p_query_offset_new_group_zero",
    "p_query_offset_setzero_false",
    "p_query_offset_unknown_topic",
    "p_search_future",
    "p_send_bad_queue",
    "p_send_system_topic",
    "p_send_unknown_topic",
    "p_subscription_by_consumer",
    "p_topic_config_unknown",
    "p_topic_stats_unknown",
    "p_topics_by_consumer",
    "p_update_offset_unknown_topic",
];

#[test]
fn probes_are_answered_as_the_java_broker_answered_them() {
    let test = as_probed();
    for name in SAME {
        let request = recorded(&format!("{name}_req"));
        let java = recorded(&format!("{name}_rsp"));
        let answer = test.call(request);
        assert_eq!(answer.code, java.code, "{name}: {:?}", answer.remark);
        let remarks = (answer.remark.as_deref(), java.remark.as_deref());
        assert_eq!(comparable(remarks.0), comparable(remarks.1), "{name}");
        assert_eq!(sorted(&answer.fields), sorted(&java.fields), "{name}");
        assert_eq!(value_of(&answer.body), value_of(&java.body), "{name}");
    }
}

/// A JSON body as a value, so that the order of members and quotes around keys do not count.
fn value_of(body: &[u8]) -> serde_json::Value {
    if body.is_empty() {
        return serde_json::Value::Null;
    }
    json::from_slice(body).unwrap_or_else(|error| panic!("{error}: {body:?}"))
}

#[test]
fn a_pull_by_a_group_without_heartbeat_is_answered_as_java_does() {
    let test = TestBroker::new();
    test.create_topic(TopicConfig::new("WireTJ", 4, 6));
    let answer = test.call(recorded("p_pull_no_subscription_req"));
    let java = recorded("p_pull_no_subscription_rsp");
    assert_eq!((answer.code, answer.remark), (java.code, java.remark));
}

#[test]
fn requests_of_real_clients_are_served_in_both_encodings() {
    for encoding in ["json", "rmq"] {
        let topic = if encoding == "json" { "WireTJ" } else { "WireTR" };
        let test = TestBroker::new();
        test.create_topic(TopicConfig::new(topic, 4, 6));
        for name in [
            "send_v2",
            "send_v2_oneway",
            "send_v2_delay_level",
            "send_v2_compressed",
            "send_batch",
            "heartbeat_producer",
            "heartbeat_consumer",
            "consumer_list",
            "lock_batch",
            "create_topic",
            "create_group",
            "topic_stats",
            "consume_stats",
            "consumer_conn",
            "all_topic_config",
            "all_sub_group",
            "runtime_info",
            "unregister_client",
        ] {
            let request = recorded(&format!("{name}_{encoding}_req"));
            let answer = test.call(request);
            let success = ResponseCode::Success as i32;
            assert_eq!(answer.code, success, "{name}_{encoding}: {:?}", answer.remark);
        }
        test.dispatch();
        let stored: usize = (0..4).map(|queue| test.stored(topic, queue).len()).sum();
        assert_eq!(stored, 5, "two alone, two in a batch, one compressed; the delayed one waits");
    }
}

#[test]
fn the_answer_to_a_send_has_the_fields_of_javas() {
    let test = TestBroker::new();
    test.create_topic(TopicConfig::new("WireTJ", 4, 6));
    for name in ["send_v2_json", "send_batch_json", "send_v2_delay_level_json"] {
        let answer = test.call(recorded(&format!("{name}_req")));
        let java = recorded(&format!("{name}_rsp"));
        let names = |command: &Command| -> Vec<String> {
            sorted(&command.fields).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(&answer), names(&java), "{name}");
        for field in ["queueId", "transactionId", "MSG_REGION", "TRACE_ON"] {
            assert_eq!(answer.fields.get(field), java.fields.get(field), "{name}: {field}");
        }
    }
    let first = recorded("send_v2_json_rsp");
    assert_eq!(first.fields.get("msgId"), Some("7F0000010000326F0000000000000000"));
}

#[test]
fn runtime_information_has_the_keys_that_mqadmin_reads() {
    let test = as_probed();
    let ours = value_of(&test.call(recorded("runtime_info_json_req")).body);
    let java = value_of(&recorded("runtime_info_json_rsp").body);
    let keys = |value: &serde_json::Value| -> Vec<String> {
        let table = value["table"].as_object().expect("a table");
        table.keys().cloned().collect()
    };
    let of_the_run = |key: &str| key.contains('/') || key.starts_with("scheduleMessageOffset_");
    let missing: Vec<_> = keys(&java)
        .into_iter()
        .filter(|key| !keys(&ours).contains(key) && !of_the_run(key))
        .collect();
    assert_eq!(missing, [""; 0], "keys of Java's that are missing");
}

#[test]
fn a_created_topic_is_registered_before_the_answer() {
    let test = TestBroker::new();
    let answer = test.call(recorded("create_topic_json_req"));
    assert_eq!(answer.code, ResponseCode::Success as i32);
    assert_eq!(test.asked.registrations.load(Ordering::SeqCst), 1);
    let registration = test.broker.changes().expect("a topic was created");
    let body = RegisterBrokerBody::decode(&registration.body, VERSION).expect("our own");
    let topics = body.topic_config_serialize_wrapper.topic_config_table;
    assert_eq!(topics.keys().collect::<Vec<_>>(), ["WireCJ"]);
    assert_eq!(topics["WireCJ"].attributes["message.type"], "DELAY");
    assert_eq!(registration.header.broker_addr, "127.0.0.1:12911");
    assert!(test.broker.changes().is_none(), "told once");
    let again = test.call(recorded("create_topic_json_req"));
    assert_eq!(again.code, ResponseCode::Success as i32);
}

#[test]
fn a_registration_is_whole_and_hides_what_the_broker_does_not_permit() {
    let test = TestBroker::with("brokerPermission=4");
    let registration = test.broker.registration();
    let body = RegisterBrokerBody::decode(&registration.body, VERSION).expect("our own");
    let topics = body.topic_config_serialize_wrapper.topic_config_table;
    assert_eq!(topics.len(), 15);
    assert_eq!(topics["BenchmarkTest"].perm, 4);
    assert_eq!(test.broker.unregistration().broker_name, "broker-a");
}

#[test]
fn ordered_topics_of_the_name_server_are_taken_over() {
    let test = TestBroker::new();
    test.create_topic(TopicConfig::new("T", 4, 6));
    test.broker.registered(br#"{"table":{"T":"broker-a:4","Other":"x:1"}}"#, test.now);
    assert!(test.broker.topics.is_ordered("T"));
    test.broker.registered(b"", test.now);
    test.broker.registered(b"rubbish", test.now);
}

#[test]
fn everything_is_there_again_after_a_restart() {
    let mut test = TestBroker::new();
    test.send("Orders", 0, "", "x");
    test.beat(&test.peer, "g", vec![SubscriptionData::by_tags("Orders", "*", test.now)]);
    test.broker.offsets.commit("g", "Orders", 0, 1, test.now);
    test.broker.wake_to_save_offsets(test.now);
    let next = test.run_after(0).expect("offsets are to be saved");
    assert!(next <= test.now.plus(5_000));
    let test = test.restart();
    assert!(test.broker.topics.contains("Orders") && test.broker.topics.contains("%RETRY%g"));
    assert!(test.broker.groups.contains("g"));
    assert_eq!(test.broker.offsets.committed("g", "Orders", 0), Some(1));
    assert_eq!(test.stored("Orders", 0).len(), 1);
}

#[test]
fn committed_offsets_are_on_disk_within_their_interval() {
    let mut test = as_probed();
    test.broker.wake_to_save_offsets(test.now);
    test.run_after(5_000);
    let files = test.store.config_files();
    let saved = files.read("consumerOffset.json").expect("readable").expect("written");
    assert!(String::from_utf8(saved).expect("JSON").contains("WireTJ@CGJ"));
}

#[test]
fn an_idle_broker_has_no_timed_work() {
    let mut test = TestBroker::new();
    assert_eq!(test.run_after(0), None);
}

#[test]
fn a_deleted_topic_is_gone_with_its_offsets_and_messages() {
    let test = as_probed();
    let fields: Fields = [("topic", "WireTJ")].into_iter().collect();
    let delete = RequestCode::DeleteTopicInBroker as i32;
    assert_eq!(test.raw(delete, fields, "").code, ResponseCode::Success as i32);
    assert!(!test.broker.topics.contains("WireTJ"));
    assert_eq!(test.broker.offsets.committed("CGJ", "WireTJ", 1), None);
    test.create_topic(TopicConfig::new("WireTJ", 4, 6));
    test.send("WireTJ", 0, "", "new");
    assert_eq!(test.stored("WireTJ", 0).len(), 1);
    let fields: Fields = [("topic", "TBW102")].into_iter().collect();
    assert_eq!(test.raw(delete, fields, "").code, ResponseCode::InvalidParameter as i32);
}

#[test]
fn configuration_changes_while_running_and_refuses_what_it_must() {
    let test = TestBroker::new();
    let update = RequestCode::UpdateBrokerConfig as i32;
    let none = Fields::new;
    let answer = test.raw(update, none(), "autoCreateTopicEnable=false\n");
    assert_eq!(answer.code, ResponseCode::Success as i32);
    assert_eq!(test.send("T", 0, "", "x").code, ResponseCode::TopicNotExist as i32);
    let answer = test.raw(update, none(), "brokerPermission=abc\n");
    assert_eq!(answer.code, ResponseCode::SystemError as i32);
    let answer = test.raw(update, none(), "brokerConfigPath=/etc\n");
    assert_eq!(answer.code, ResponseCode::NoPermission as i32);
    assert_eq!(test.raw(update, none(), "brokerPermission=4\n").code, 0);
    assert!(test.broker.changes().is_some(), "every topic shows another permission");
    let answer = test.raw(RequestCode::GetBrokerConfig as i32, none(), "");
    let text = String::from_utf8(answer.body.to_vec()).expect("text");
    assert!(text.lines().any(|line| line == "brokerPermission=4"), "{text}");
    assert!(answer.fields.get("version").expect("given").contains("\"counter\":2"));
}

#[test]
fn hostile_requests_are_answered_and_cost_nothing() {
    let test = TestBroker::new();
    for &code in RequestCode::ALL {
        for (fields, body) in [
            (Fields::new(), &b""[..]),
            (Fields::new(), b"\xff\x00rubbish{[["),
            (
                ["a", "b", "topic", "queueId", "offset", "consumerGroup", "group"]
                    .into_iter()
                    .map(|name| (name, "-9223372036854775808"))
                    .collect(),
                b"{}",
            ),
        ] {
            let answer = test.raw(code as i32, fields, body.to_vec());
            assert!(ResponseCode::from_i32(answer.code).is_some(), "{code}");
        }
    }
    let max = RequestCode::GetMaxOffset as i32;
    for queue in 0..10_000 {
        let fields = [("topic", "NoSuchTopic".to_owned()), ("queueId", queue.to_string())];
        test.raw(max, fields.into_iter().collect(), "");
    }
    assert!(test.broker.queue("NoSuchTopic", 0).is_none());
}

#[test]
fn months_begin_where_the_calendar_says() {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    for (days, day_of_month) in [(0, 1), (31, 1), (58, 28), (59, 1), (11_016, 29), (20_514, 2)] {
        let start = since_month_start(Millis(days * DAY_MS));
        assert_eq!(i64::from(start), (day_of_month - 1) * DAY_MS, "day {days}");
    }
}

#[test]
fn a_client_that_leaves_is_forgotten_everywhere() {
    let test = as_probed();
    let other = TestPeer::new(2);
    test.beat(&other, "CGJ", vec![SubscriptionData::by_tags("WireTJ", "*", test.now)]);
    assert_eq!(test.broker.consumers.get("CGJ").expect("joined").members.len(), 2);
    use skua_protocol::service::{Peer, Service};
    test.broker.closed(other.id(), test.now);
    test.broker.closed(test.peer.id(), test.now);
    assert!(test.broker.consumers.get("CGJ").is_none());
    assert!(test.broker.producers.get("PG").is_none());
}
