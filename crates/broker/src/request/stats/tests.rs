use skua_protocol::ResponseCode;
use skua_protocol::body::{BrokerStats, ConsumeQueueEntries, SubscriptionData, TopicConfig};
use skua_protocol::request::{
    DeleteTopicInBroker, PULL_SUBSCRIPTION, PullMessage, QueryConsumeQueue, Request,
    UpdateConsumerOffset,
};
use skua_protocol::service::Service;

use super::*;
use crate::test_broker::{START, TestBroker};

/// Five messages in queue 0 of `T`, three of them pulled by `g` and two committed.
fn consumed() -> TestBroker {
    let test = TestBroker::new();
    test.create_topic(TopicConfig::new("T", 2, 6));
    for body in ["a", "b", "c", "d", "e"] {
        test.send("T", 0, "TAGS\u{1}x\u{2}", body);
    }
    test.beat(&test.peer, "g", vec![SubscriptionData::by_tags("T", "*", Millis(1))]);
    let pulled = test.request(&PullMessage {
        consumer_group: "g".into(),
        topic: "T".into(),
        max_msg_nums: 3,
        sys_flag: PULL_SUBSCRIPTION,
        subscription: Some("*".into()),
        ..PullMessage::default()
    });
    assert_eq!(pulled.code, 0, "{pulled:?}");
    test.request(&UpdateConsumerOffset {
        consumer_group: "g".into(),
        topic: "T".into(),
        queue_id: 0,
        commit_offset: 2,
    });
    test
}

fn body<T: serde::de::DeserializeOwned>(test: &TestBroker, header: &impl Request) -> T {
    let answer = test.request(header);
    assert_eq!(answer.code, 0, "{answer:?}");
    json::from_slice(&answer.body).expect("the body")
}

fn view(name: &str, key: &str) -> ViewBrokerStatsData {
    ViewBrokerStatsData { stats_name: name.into(), stats_key: key.into() }
}

#[test]
fn what_is_counted_shows_after_the_next_sample() {
    let mut test = consumed();
    let shown: BrokerStats = body(&test, &view("TOPIC_PUT_NUMS", "T"));
    assert_eq!(shown, BrokerStats::default());
    test.run_after(10_000);
    for (name, key, sum, average) in [
        ("TOPIC_PUT_NUMS", "T", 5, 1.0),
        ("QUEUE_PUT_NUMS", "T@0", 5, 1.0),
        ("TOPIC_PUT_LATENCY", "0@T", 0, 0.0),
        ("GROUP_GET_NUMS", "T@g", 3, 3.0),
        ("QUEUE_GET_NUMS", "T@0@g", 3, 3.0),
        ("GROUP_GET_LATENCY", "0@T@g", 0, 0.0),
        ("BROKER_PUT_NUMS", "DefaultCluster", 5, 0.0),
        ("BROKER_GET_NUMS_WITHOUT_SYSTEM_TOPIC", "DefaultCluster", 3, 0.0),
        ("CONSUMER_REGISTER_TIME", "DefaultCluster", 0, 0.0),
    ] {
        let shown: BrokerStats = body(&test, &view(name, key));
        let minute = shown.stats_minute;
        assert_eq!((minute.sum, minute.avgpt), (sum, average), "{name} {key}");
        assert_eq!(minute.tps, sum as f64 / 10.0, "{name} {key}");
        assert_eq!(shown.stats_hour.sum, 0);
    }
    test.run_after(600_000);
    let shown: BrokerStats = body(&test, &view("TOPIC_PUT_NUMS", "T"));
    assert_eq!((shown.stats_minute.sum, shown.stats_hour.sum), (0, 5));

    for (name, key) in [("TOPIC_PUT_NUMS", "U"), ("NO_SUCH", "T"), ("QUEUE_PUT_NUMS", "T")] {
        let answer = test.request(&view(name, key));
        assert_eq!(answer.code, ResponseCode::SystemError as i32);
        let expected = format!("The stats <{name}> <{key}> not exist");
        assert_eq!(answer.remark.as_deref(), Some(&*expected));
    }
    test.request(&DeleteTopicInBroker { topic: "T".into() });
    assert_ne!(test.request(&view("TOPIC_PUT_NUMS", "T")).code, 0);
}

#[test]
fn all_groups_are_listed_with_what_is_left_to_consume() {
    let test = consumed();
    let text = test.request(&GetBrokerConsumeStats { is_order: false }).body;
    let all: BrokerConsumeStats = json::from_slice(&text).expect("the body");
    assert_eq!((all.total_diff, all.total_inflight_diff), (3, -2));
    let of_g = all.consume_stats_list.iter().find_map(|groups| groups.get("g")).expect("listed");
    assert_eq!(of_g.len(), 1);
    assert_eq!(of_g[0].offset_table.len(), 2);
    assert!(all.consume_stats_list.len() > 1, "groups of the system are listed too");
    let ordered: BrokerConsumeStats = body(&test, &GetBrokerConsumeStats { is_order: true });
    assert_eq!(ordered.total_diff, 0);
}

#[test]
fn time_spans_tell_what_a_group_consumes_next() {
    let mut test = consumed();
    test.pass(5_000);
    let asked = QueryConsumeTimeSpan { topic: "T".into(), group: "g".into() };
    let spans: ConsumeTimeSpans = body(&test, &asked);
    let span = &spans.consume_time_span_set[0];
    assert_eq!((span.min_time_stamp, span.max_time_stamp), (START.0, START.0));
    assert_eq!((span.consume_time_stamp, span.delay_time), (START.0, 5_000));
    let empty = &spans.consume_time_span_set[1];
    assert_eq!((empty.min_time_stamp, empty.max_time_stamp), (-1, -1));
    let nowhere = QueryConsumeTimeSpan { topic: "U".into(), ..asked };
    assert_eq!(test.request(&nowhere).code, ResponseCode::TopicNotExist as i32);
}

#[test]
fn entries_of_a_consume_queue_are_shown_as_they_are() {
    let test = consumed();
    let asked = QueryConsumeQueue {
        topic: Some("T".into()),
        queue_id: 0,
        index: 1,
        count: 3,
        consumer_group: Some("g".into()),
    };
    let shown: ConsumeQueueEntries = body(&test, &asked);
    assert_eq!((shown.min_queue_index, shown.max_queue_index), (0, 5));
    assert_eq!(shown.filter_data.as_deref(), Some("null"));
    let offsets: Vec<_> = shown.queue_data.iter().map(|entry| entry.physic_offset).collect();
    let stored: Vec<_> = test.stored("T", 0).iter().map(|m| m.physical_offset).collect();
    assert_eq!(offsets, stored[1..4]);
    assert_eq!(shown.queue_data[0].tags_code, i64::from(b'x'));

    let stranger = QueryConsumeQueue { consumer_group: Some("h".into()), ..asked.clone() };
    let shown: ConsumeQueueEntries = body(&test, &stranger);
    assert_eq!(shown.filter_data.as_deref(), Some("h@T is not online!"));
    let answer = test.request(&QueryConsumeQueue { index: 5, ..asked.clone() });
    assert_eq!((answer.code, answer.body.len()), (0, 0));
    let answer = test.request(&QueryConsumeQueue { queue_id: 7, ..asked });
    assert_eq!(answer.remark.as_deref(), Some("7@T is not exist!"));
    test.broker.clone().closed(skua_protocol::service::ConnectionId(1), test.now);
}
