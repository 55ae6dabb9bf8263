use skua_protocol::body::{SubscriptionData, TopicConfigSerializeWrapper};
use skua_protocol::record::Message;
use skua_protocol::request::{
    GetAllTopicConfig, GetMaxOffset, GetMaxOffsetResponse, GetMinOffset, GetMinOffsetResponse,
    GetTopicConfig, PULL_SUBSCRIPTION, PullMessage, QueryConsumerOffset, SearchOffsetByTimestamp,
    SendMessageResponse, UpdateConsumerOffset,
};
use skua_protocol::service::Peer;

use super::*;
use crate::swap_map::lock;
use crate::test_broker::TestBroker;

fn item(generation: i32, bname: &str, queue_id: i32, logic_offset: i64) -> Item {
    Item { generation, bname: bname.into(), queue_id, logic_offset, ..Item::default() }
}

/// `queues` as this broker's part of the static topic `S`.
fn set(test: &TestBroker, epoch: i64, queues: &[(i32, Vec<Item>)]) -> Command {
    let mapping = Mapping {
        bname: test.broker.name().to_owned(),
        epoch,
        hosted_queues: queues.iter().cloned().collect(),
        topic: "S".into(),
        total_queues: 4,
        scope: Some("__global__".into()),
        ..Mapping::default()
    };
    let header = UpdateAndCreateStaticTopic {
        topic: "S".into(),
        default_topic: "TBW102".into(),
        read_queue_nums: 4,
        write_queue_nums: 4,
        perm: 6,
        topic_filter_type: "SINGLE_TAG".into(),
        ..UpdateAndCreateStaticTopic::default()
    };
    test.with_body(&header, json::to_vec(&mapping))
}

fn send(test: &TestBroker, queue: i32, body: &str) -> Command {
    test.send("S", queue, "", body)
}

fn pull(
    test: &TestBroker,
    queue: i32,
    from: i64,
) -> (ResponseCode, PullMessageResponse, Vec<String>) {
    let answer = test.request(&PullMessage {
        consumer_group: "g".into(),
        topic: "S".into(),
        queue_id: queue,
        queue_offset: from,
        max_msg_nums: 32,
        sys_flag: PULL_SUBSCRIPTION,
        subscription: Some("*".into()),
        ..PullMessage::default()
    });
    let messages = Message::decode_all(&answer.body).expect("records");
    let bodies = messages.iter().map(|m| String::from_utf8_lossy(&m.body).into_owned());
    let code = ResponseCode::from_i32(answer.code).expect("known");
    (code, answer.header().expect("a pull's answer"), bodies.collect())
}

#[test]
fn a_logical_queue_is_a_physical_one_of_another_number() {
    let test = TestBroker::new();
    assert_eq!(set(&test, 1, &[(7, vec![item(0, "broker-a", 2, 0)])]).code, 0);
    let sent: SendMessageResponse = send(&test, 7, "a").header().expect("sent");
    assert_eq!((sent.queue_id, sent.queue_offset), (7, 0));
    assert_eq!(send(&test, -1, "b").code, 0);
    assert_eq!(test.stored("S", 2).len(), 2);

    let (code, header, bodies) = pull(&test, 7, 0);
    assert_eq!((code, bodies), (ResponseCode::Success, vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!((header.next_begin_offset, header.offset_delta), (2, Some(0)));
    let max = GetMaxOffset { topic: "S".into(), queue_id: 7, committed: None };
    let max: GetMaxOffsetResponse = test.request(&max).header().expect("an offset");
    assert_eq!(max.offset, 2);

    let elsewhere = send(&test, 3, "c");
    assert_eq!(elsewhere.code, ResponseCode::NotLeaderForQueue as i32);
    assert_eq!(
        elsewhere.remark.as_deref(),
        Some("S-3 does not exit in request process of current broker broker-a")
    );
}

/// Logical queue 0 was on broker-a to offset 3, and goes on on broker-b.
fn remapped() -> (TestBroker, TestBroker) {
    let old = TestBroker::new();
    let new = TestBroker::with("brokerName=broker-b");
    assert_eq!(set(&old, 1, &[(0, vec![item(0, "broker-a", 1, 0)])]).code, 0);
    for body in ["a", "b", "c"] {
        send(&old, 0, body);
    }
    old.beat(&old.peer, "g", vec![SubscriptionData::by_tags("S", "*", Millis(1))]);
    let commit = |commit_offset| UpdateConsumerOffset {
        consumer_group: "g".into(),
        topic: "S".into(),
        queue_id: 0,
        commit_offset,
    };
    assert_eq!(old.request(&commit(2)).code, 0);
    let ended = Item { end_offset: 3, ..item(0, "broker-a", 1, 0) };
    let items = vec![ended, item(1, "broker-b", 0, 10)];
    assert_eq!(set(&old, 2, &[(0, items.clone())]).code, 0);
    assert_eq!(set(&new, 2, &[(0, items)]).code, 0);
    let others = [("broker-a".to_owned(), (old.broker.clone(), old.peer.clone()))];
    lock(&new.asked.others).extend(others);
    (old, new)
}

#[test]
fn a_queue_that_moved_is_read_where_it_was_and_then_where_it_is() {
    let (old, new) = remapped();
    assert_eq!(send(&old, 0, "x").code, ResponseCode::NotLeaderForQueue as i32);
    let sent: SendMessageResponse = send(&new, 0, "d").header().expect("sent");
    assert_eq!(sent.queue_offset, 10);

    let (code, header, bodies) = pull(&new, 0, 1);
    assert_eq!((code, bodies), (ResponseCode::Success, vec!["b".to_owned(), "c".to_owned()]));
    assert_eq!(header.next_begin_offset, 3);
    let (code, header, _) = pull(&new, 0, 3);
    assert_eq!((code, header.next_begin_offset), (ResponseCode::PullRetryImmediately, 10));
    let (code, header, bodies) = pull(&new, 0, 10);
    assert_eq!((code, bodies), (ResponseCode::Success, vec!["d".to_owned()]));
    assert_eq!((header.next_begin_offset, header.offset_delta), (11, Some(10)));

    let min = GetMinOffset { topic: "S".into(), queue_id: 0 };
    let min: GetMinOffsetResponse = new.request(&min).header().expect("an offset");
    let max = GetMaxOffset { topic: "S".into(), queue_id: 0, committed: None };
    let max: GetMaxOffsetResponse = new.request(&max).header().expect("an offset");
    assert_eq!((min.offset, max.offset), (0, 11));
    let at = |timestamp| {
        let asked = SearchOffsetByTimestamp {
            topic: "S".into(),
            queue_id: 0,
            timestamp,
            ..SearchOffsetByTimestamp::default()
        };
        new.request(&asked).header::<SearchOffsetByTimestampResponse>().expect("an offset").offset
    };
    assert_eq!(at(0), 0);
    assert_eq!(at(i64::MAX), 11);
}

#[test]
fn committed_offsets_are_kept_where_the_messages_are() {
    let (old, new) = remapped();
    let asked = QueryConsumerOffset {
        consumer_group: "g".into(),
        topic: "S".into(),
        queue_id: 0,
        set_zero_if_not_found: None,
    };
    let committed = || {
        let answer = new.request(&asked);
        answer.header::<QueryConsumerOffsetResponse>().expect("an offset").offset
    };
    assert_eq!(committed(), 2);
    new.beat(&new.peer, "g", vec![SubscriptionData::by_tags("S", "*", Millis(1))]);
    let commit = |commit_offset| UpdateConsumerOffset {
        consumer_group: "g".into(),
        topic: "S".into(),
        queue_id: 0,
        commit_offset,
    };
    assert_eq!(new.request(&commit(3)).code, 0);
    assert_eq!(old.broker.offsets.committed("g", "S", 1), Some(3));
    assert_eq!(new.request(&commit(12)).code, 0);
    assert_eq!(new.broker.offsets.committed("g", "S", 0), Some(2));
    assert_eq!(committed(), 12);
    lock(&new.asked.others).clear();
    let lost = new.request(&commit(1));
    assert_eq!(lost.code, ResponseCode::SystemError as i32);
    assert!(lost.remark.unwrap_or_default().contains("broker-a"));
}

#[test]
fn a_static_topic_is_registered_shown_and_kept_over_a_restart() {
    let test = TestBroker::new();
    let refused = set(&test, 1, &[(0, vec![item(-1, "broker-a", 0, 0)])]);
    assert_eq!(refused.code, ResponseCode::SystemError as i32);
    assert!(!test.broker.topics.contains("S"), "a bad mapping makes no topic");
    assert_eq!(set(&test, 1, &[(5, vec![item(0, "broker-a", 3, 0)])]).code, 0);
    let test = test.restart();
    let body = test.broker.registration().body;
    let text = String::from_utf8_lossy(&body).into_owned();
    assert!(text.contains("\"currIdMap\":{\"5\":3}"), "{text}");
    let shown = test.request(&GetTopicConfig { topic: "S".into() }).body;
    let shown = String::from_utf8_lossy(&shown).into_owned();
    assert!(shown.contains("\"mappingDetail\":{\"bname\":\"broker-a\""), "{shown}");
    let all = test.request(&GetAllTopicConfig::default()).body;
    let all: TopicConfigSerializeWrapper = json::from_slice(&all).expect("a table");
    assert!(all.topic_queue_mapping_detail_map.contains_key("S"));
    assert_eq!(test.peer.id().0, 1);
}
