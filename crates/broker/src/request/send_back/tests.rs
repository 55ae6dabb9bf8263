use skua_protocol::ResponseCode;
use skua_protocol::body::{SubscriptionGroupConfig, TopicConfig};
use skua_protocol::record::Message;

use super::*;
use crate::test_broker::TestBroker;

fn with_message() -> TestBroker {
    let test = TestBroker::new();
    test.create_topic(TopicConfig::new("T", 1, 6));
    test.send("T", 0, "TAGS\u{1}TagA\u{2}KEYS\u{1}k\u{2}", "hello");
    test
}

fn give_back(test: &TestBroker, message: &Message, delay_level: i32) -> Command {
    let answer = test.request(&ConsumerSendMsgBack {
        offset: message.physical_offset,
        group: "g".into(),
        delay_level,
        origin_topic: Some("T".into()),
        ..ConsumerSendMsgBack::default()
    });
    test.dispatch();
    answer
}

#[test]
fn a_message_comes_again_after_its_delay_with_its_origin_noted() {
    let mut test = with_message();
    let original = test.stored("T", 0).remove(0);
    assert_eq!(give_back(&test, &original, 0).code, ResponseCode::Success as i32);
    let waiting = test.stored("SCHEDULE_TOPIC_XXXX", 2).remove(0);
    assert_eq!(waiting.property("DELAY"), Some("3"));

    test.run_after(10_000);
    test.dispatch();
    let again = test.stored("%RETRY%g", 0).remove(0);
    assert_eq!(again.reconsume_times, 1);
    assert_eq!(again.property("RETRY_TOPIC"), Some("T"));
    assert_eq!(again.property("ORIGIN_MESSAGE_ID"), Some(original.offset_id().as_str()));
    assert_eq!(again.property("WAIT"), Some("false"));
    assert_eq!((again.tags(), again.keys()), (Some("TagA"), Some("k")));
    assert_eq!(again.unique_id(), original.unique_id());
    assert_eq!((&again.body, again.born_timestamp), (&original.body, original.born_timestamp));

    // The second time waits longer, and the origin stays.
    give_back(&test, &again, 0);
    test.run_after(30_000);
    test.dispatch();
    let third = test.stored("%RETRY%g", 0).remove(1);
    assert_eq!((third.reconsume_times, third.property("DELAY")), (2, Some("4")));
    assert_eq!(third.property("RETRY_TOPIC"), Some("T"));
    assert_eq!(third.property("ORIGIN_MESSAGE_ID"), Some(original.offset_id().as_str()));
}

#[test]
fn a_message_given_up_or_tried_too_often_goes_to_the_dead_letters() {
    let test = with_message();
    let original = test.stored("T", 0).remove(0);
    give_back(&test, &original, -1);
    let limited =
        SubscriptionGroupConfig { retry_max_times: 0, ..SubscriptionGroupConfig::new("g") };
    test.broker.groups.update(vec![limited], test.now).expect("saved");
    give_back(&test, &original, 0);
    let dead = test.stored("%DLQ%g", 0);
    assert_eq!(dead.len(), 2);
    assert_eq!(dead[0].property("DELAY"), Some("0"));
    assert_eq!(dead[0].reconsume_times, 1);
}

#[test]
fn what_cannot_be_given_back_is_said() {
    let test = with_message();
    let original = test.stored("T", 0).remove(0);
    let elsewhere = Message { physical_offset: 12_345, ..original.clone() };
    let answer = give_back(&test, &elsewhere, 0);
    assert_eq!(answer.code, ResponseCode::SystemError as i32);
    assert_eq!(answer.remark.as_deref(), Some("look message by offset failed, 12345"));
    let none = SubscriptionGroupConfig { retry_queue_nums: 0, ..SubscriptionGroupConfig::new("g") };
    test.broker.groups.update(vec![none], test.now).expect("saved");
    assert_eq!(give_back(&test, &original, 0).code, ResponseCode::Success as i32);
    assert!(test.stored("SCHEDULE_TOPIC_XXXX", 2).is_empty());

    let strict = TestBroker::with("autoCreateSubscriptionGroup=false");
    let answer = give_back(&strict, &original, 0);
    assert_eq!(answer.code, ResponseCode::SubscriptionGroupNotExist as i32);
}
