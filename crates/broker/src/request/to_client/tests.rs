use std::collections::BTreeMap;

use skua_protocol::ResponseCode;
use skua_protocol::body::{SubscriptionData, TopicConfig};
use skua_protocol::message_id::offset_id;
use skua_protocol::request::UpdateConsumerOffset;
use skua_protocol::{Millis, PhysicalOffset};

use super::*;
use crate::test_broker::TestBroker;
use crate::test_peer::TestPeer;

/// A topic with five messages and the group `g` consuming it as `client-1`, three of them done.
fn consuming(conf: &str) -> TestBroker {
    let test = TestBroker::with(conf);
    test.create_topic(TopicConfig { write_queue_nums: 1, ..TopicConfig::new("T", 1, 6) });
    for body in ["a", "b", "c", "d", "e"] {
        test.send("T", 0, "", body);
    }
    test.beat(&test.peer, "g", vec![SubscriptionData::by_tags("T", "*", Millis(1))]);
    test.request(&UpdateConsumerOffset {
        consumer_group: "g".into(),
        topic: "T".into(),
        queue_id: 0,
        commit_offset: 3,
    });
    test.peer.take_notified();
    test
}

fn running_info(client: &str) -> GetConsumerRunningInfo {
    GetConsumerRunningInfo {
        consumer_group: "g".into(),
        client_id: client.into(),
        jstack_enable: true,
    }
}

fn remark(answer: &Command) -> &str {
    answer.remark.as_deref().unwrap_or_default()
}

/// Heartbeats of the test say version 513.
#[test]
fn what_a_client_answers_is_what_the_asker_gets() {
    let test = consuming("");
    test.peer.will_answer(Command::success().with_body(b"told".to_vec()));
    let answer = test.request(&running_info("client-1"));
    assert_eq!((answer.code, &*answer.body), (0, &b"told"[..]));
    let called = test.peer.take_called();
    assert_eq!(called[0].code, 307);
    assert_eq!(called[0].fields.get("jstackEnable"), Some("true"));

    let answer = test.request(&running_info("client-9"));
    assert_eq!(answer.code, ResponseCode::SystemError as i32);
    assert_eq!(remark(&answer), "The Consumer <g> <client-9> not online");
    let answer = test.request(&running_info("client-1"));
    assert_eq!(answer.code, ResponseCode::ConsumeMsgTimeout as i32);
}

#[test]
fn a_message_is_carried_to_the_client_that_is_to_consume_it() {
    let test = consuming("");
    let stored = &test.stored("T", 0)[1];
    let id = offset_id(test.broker.store_host(), PhysicalOffset(stored.physical_offset as u64));
    let header = ConsumeMessageDirectly {
        consumer_group: "g".into(),
        client_id: Some("client-1".into()),
        msg_id: Some(id.into()),
        topic: Some("T".into()),
        ..ConsumeMessageDirectly::default()
    };
    test.peer.will_answer(Command::success());
    assert_eq!(test.request(&header).code, 0);
    let called = test.peer.take_called();
    assert_eq!(called[0].code, 309);
    assert_eq!(called[0].fields.get("brokerName"), Some("broker-a"));
    assert_eq!(called[0].fields.get("topicSysFlag"), Some("0"));
    let record = skua_protocol::record::Record::parse(&called[0].body).expect("a record");
    assert_eq!(record.body(), b"b");

    let bad = ConsumeMessageDirectly { msg_id: Some("xyz".into()), ..header };
    let answer = test.request(&bad);
    assert_eq!(answer.code, ResponseCode::SystemError as i32);
    assert!(remark(&answer).contains("3 characters"), "{answer:?}");
}

#[test]
fn clients_are_sent_to_other_offsets_where_the_broker_keeps_no_resets() {
    let test = consuming("useServerSideResetOffset=false");
    let reset = |timestamp, is_force| InvokeBrokerToResetOffset {
        group: "g".into(),
        topic: "T".into(),
        timestamp,
        is_force,
        ..InvokeBrokerToResetOffset::default()
    };
    for (timestamp, is_force, target) in [(0, false, 0), (-1, false, 3), (-1, true, 5)] {
        let answer = test.request(&reset(timestamp, is_force));
        assert_eq!(answer.code, 0, "{answer:?}");
        let notices = test.peer.take_notified();
        assert_eq!((notices.len(), notices[0].code), (1, 220));
        assert_eq!(notices[0].body, answer.body);
        let table: ResetOffsets = json::from_slice(&notices[0].body).expect("a table");
        assert_eq!(table.offset_table.values().collect::<Vec<_>>(), [&target]);
    }
    let mut from_c = Command::request(&reset(0, true));
    from_c.language = Language::CPP;
    test.call(from_c);
    let body = test.peer.take_notified().remove(0).body;
    let table: ResetOffsetsForC = json::from_slice(&body).expect("a list");
    assert_eq!(table.offset_table.len(), 1);

    let stranger = InvokeBrokerToResetOffset { group: "h".into(), ..reset(0, true) };
    assert_eq!(remark(&test.request(&stranger)), "THe consumer group <h> not exist");
    let nowhere = InvokeBrokerToResetOffset { topic: "U".into(), ..reset(0, true) };
    assert_eq!(test.request(&nowhere).code, ResponseCode::TopicNotExist as i32);
}

#[test]
fn clients_tell_how_far_they_are() {
    let test = consuming("");
    let other = TestPeer::new(2);
    test.beat(&other, "g", vec![SubscriptionData::by_tags("T", "*", Millis(1))]);
    let queue = MessageQueue { broker_name: "b".into(), queue_id: 0, topic: "T".into() };
    let told = ConsumerStatus {
        message_queue_table: BTreeMap::from([(queue, 4)]),
        ..ConsumerStatus::default()
    };
    test.peer.will_answer(Command::success().with_body(told.to_json()));
    let header =
        InvokeBrokerToGetConsumerStatus { topic: "T".into(), group: "g".into(), client_addr: None };
    // The second client does not answer.
    let answer = test.request(&header);
    let status: ConsumerStatus = json::from_slice(&answer.body).expect("a status");
    assert_eq!(status.consumer_table.len(), 1);
    assert_eq!(status.consumer_table["client-1"].0, told.message_queue_table);

    let one = InvokeBrokerToGetConsumerStatus { client_addr: Some("client-2".into()), ..header };
    test.peer.take_called();
    other.take_called();
    test.request(&one);
    assert_eq!((test.peer.take_called().len(), other.take_called().len()), (0, 1));
    let nobody = InvokeBrokerToGetConsumerStatus { group: "h".into(), ..one };
    let answer = test.request(&nobody);
    assert_eq!(remark(&answer), "No Any Consumer online in the consumer group: [h]");
}
