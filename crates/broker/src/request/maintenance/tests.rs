use skua_protocol::body::{SubscriptionData, TopicConfig};
use skua_protocol::header::Fields;
use skua_protocol::request::{
    GetBrokerConfig, GetColdDataFlowCtrInfo, RemoveColdDataFlowCtrConfig,
    UpdateColdDataFlowCtrConfig,
};

use super::*;
use crate::test_broker::TestBroker;

#[test]
fn thresholds_for_cold_data_are_set_shown_and_removed() {
    let test = TestBroker::new();
    let answer = test.with_body(&UpdateColdDataFlowCtrConfig {}, "g=100\nh=x\n");
    assert_eq!(answer.code, 0);
    let shown = || {
        let body = test.request(&GetColdDataFlowCtrInfo {}).body;
        String::from_utf8(body.to_vec()).expect("JSON")
    };
    assert!(shown().contains("\"configTable\":{\"g\":100}"), "{}", shown());
    test.with_body(&RemoveColdDataFlowCtrConfig {}, "g");
    assert!(shown().contains("\"configTable\":{}"), "{}", shown());
}

#[test]
fn read_mode_is_a_key_of_the_configuration() {
    let test = TestBroker::new();
    let set = |mode: &str| {
        let mut fields = Fields::new();
        fields.push("READ_AHEAD_MODE", mode);
        test.raw(2004, fields, "")
    };
    assert_eq!(set("1").code, 0);
    let config = test.request(&GetBrokerConfig {}).body;
    assert!(String::from_utf8_lossy(&config).contains("dataReadAheadEnable=false"));
    assert_eq!(set("2").code, ResponseCode::InvalidParameter as i32);
    assert_eq!(set("x").code, ResponseCode::SystemError as i32);
    assert_eq!(test.raw(2004, Fields::new(), "").code, ResponseCode::SystemError as i32);
}

#[test]
fn rocksdb_requests_are_answered_as_by_a_broker_without_it() {
    let test = TestBroker::new();
    let check = CheckRocksDbCqWriteProgress { topic: "T".into(), check_store_time: None };
    assert_eq!(test.request(&check).body, "{\"checkStatus\":2}");
    let export = |kinds: &str| {
        test.request(&ExportRocksDbConfigToJson { config_type: kinds.to_owned().into() })
    };
    assert_eq!(export("topics;CONSUMEROFFSETS;").remark.as_deref(), Some("export done."));
    let refused = export("topics;x");
    assert_eq!(refused.code, ResponseCode::SystemError as i32);
    assert_eq!(refused.remark.as_deref(), Some("Unknown config type: x"));
}

/// Nothing is cold on the simulated disk, so the table is told.
#[test]
fn hot_data_is_never_slowed_down() {
    let test = TestBroker::with("coldDataFlowControlEnable=true\ncgColdReadThreshold=1");
    test.create_topic(TopicConfig::new("T", 1, 6));
    test.send("T", 0, "", "a");
    test.beat(&test.peer, "g", vec![SubscriptionData::by_tags("T", "*", Millis(1))]);
    lock(&test.broker.cold_data).add("g", 10, test.now);
    let pull = skua_protocol::request::PullMessage {
        consumer_group: "g".into(),
        topic: "T".into(),
        max_msg_nums: 1,
        ..Default::default()
    };
    assert_eq!(test.request(&pull).code, 0);
}
