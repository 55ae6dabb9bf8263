use skua_protocol::body::{ConsumerData, HeartbeatData, TopicConfig};
use skua_protocol::header::Fields;
use skua_protocol::json;
use skua_protocol::record::Message;
use skua_protocol::request::UpdateConsumerOffset;
use skua_protocol::service::Service;

use super::*;
use crate::test_broker::{TestBroker, Waiting, poll, ready};
use crate::test_peer::TestPeer;

const SUSPEND_MS: i64 = 15_000;

fn code(answer: &Command) -> ResponseCode {
    ResponseCode::from_i32(answer.code).expect("a code of the table")
}

fn header(answer: &Command) -> PullMessageResponse {
    answer.header().expect("a pull's answer")
}

fn bodies(answer: &Command) -> Vec<String> {
    let messages = Message::decode_all(&answer.body).expect("records");
    messages.iter().map(|message| String::from_utf8_lossy(&message.body).into_owned()).collect()
}

/// A pull that brings its subscription along.
fn pull_with(expression: &str, from: i64) -> PullMessage {
    PullMessage {
        consumer_group: "g".into(),
        topic: "T".into(),
        queue_offset: from,
        max_msg_nums: 32,
        sys_flag: PULL_SUBSCRIPTION,
        subscription: Some(expression.into()),
        ..PullMessage::default()
    }
}

/// As [`pull_with`], ready to wait.
fn waiting_pull(expression: &str, from: i64) -> PullMessage {
    PullMessage {
        sys_flag: PULL_SUBSCRIPTION | PULL_SUSPEND,
        suspend_timeout_millis: SUSPEND_MS,
        ..pull_with(expression, from)
    }
}

fn with_topic() -> TestBroker {
    let test = TestBroker::new();
    test.create_topic(TopicConfig::new("T", 4, 6));
    test
}

fn parked(test: &TestBroker, pull: &PullMessage) -> Waiting {
    test.start(&test.peer, Command::request(pull)).expect_err("there is nothing to answer with")
}

#[test]
fn messages_are_given_in_order_with_where_to_go_on() {
    let test = with_topic();
    for body in ["one", "two", "three"] {
        test.send("T", 0, "", body);
    }
    let answer = test.request(&pull_with("*", 1));
    assert_eq!(code(&answer), ResponseCode::Success);
    assert_eq!(answer.remark.as_deref(), Some("FOUND"));
    assert_eq!(bodies(&answer), ["two", "three"]);
    let header = header(&answer);
    assert_eq!((header.min_offset, header.next_begin_offset, header.max_offset), (0, 3, 3));
    assert_eq!((header.topic_sys_flag, header.group_sys_flag), (Some(0), Some(0)));
    let answer = test.request(&PullMessage { max_msg_nums: 1, ..pull_with("*", 0) });
    assert_eq!(bodies(&answer), ["one"]);
}

#[test]
fn tags_are_filtered_and_what_does_not_match_is_skipped() {
    let test = with_topic();
    for tag in ["TagA", "TagB", "TagA", "TagC"] {
        test.send("T", 0, &format!("TAGS\u{1}{tag}\u{2}"), tag);
    }
    let answer = test.request(&pull_with("TagB || TagC", 0));
    assert_eq!(bodies(&answer), ["TagB", "TagC"]);
    let answer = test.request(&pull_with("TagX", 1));
    assert_eq!(code(&answer), ResponseCode::PullRetryImmediately);
    assert_eq!(answer.remark.as_deref(), Some("NO_MATCHED_MESSAGE"));
    assert_eq!(header(&answer).next_begin_offset, 4);
}

#[test]
fn offsets_outside_the_queue_are_answered_with_the_right_one() {
    let test = with_topic();
    let answer = test.request(&pull_with("*", 0));
    assert_eq!(code(&answer), ResponseCode::PullNotFound);
    let answer = test.request(&pull_with("*", 7));
    assert_eq!(
        (code(&answer), header(&answer).next_begin_offset),
        (ResponseCode::PullOffsetMoved, 0)
    );
    test.send("T", 0, "", "x");
    for (from, next) in [(-5, 0), (9, 1)] {
        let answer = test.request(&pull_with("*", from));
        assert_eq!(code(&answer), ResponseCode::PullOffsetMoved);
        assert_eq!(header(&answer).next_begin_offset, next);
    }
    let answer = test.request(&pull_with("*", 1));
    assert_eq!(code(&answer), ResponseCode::PullNotFound);
}

#[test]
fn a_slave_waits_for_what_a_consumer_has_seen_elsewhere() {
    let test = with_topic();
    test.broker.send_on_to_master();
    test.broker.follow(2, test.now);
    let holds = |from| {
        let answer = test.request(&pull_with("*", from));
        assert_eq!(code(&answer), ResponseCode::PullNotFound);
        assert_eq!(header(&answer).next_begin_offset, from);
    };
    holds(7);
    drop(test.broker.lead(1, test.now).expect("it has all"));
    test.send("T", 0, "", "x");
    test.broker.follow(2, test.now);
    holds(7);
    let answer = test.request(&pull_with("*", -5));
    assert_eq!(code(&answer), ResponseCode::PullOffsetMoved);
}

#[test]
fn a_waiting_pull_is_answered_by_the_message_that_comes() {
    let test = with_topic();
    let mut waiting = parked(&test, &waiting_pull("*", 0));
    test.send("T", 1, "", "elsewhere");
    assert!(poll(&mut waiting).is_pending());
    test.send("T", 0, "", "here");
    assert_eq!(bodies(&ready(waiting)), ["here"]);
    assert_eq!(test.broker.long_polls.parked(), 0);
}

#[test]
fn a_waiting_pull_is_not_woken_by_other_tags() {
    let mut test = with_topic();
    let mut waiting = parked(&test, &waiting_pull("TagA", 0));
    test.send("T", 0, "TAGS\u{1}TagB\u{2}", "other");
    assert!(poll(&mut waiting).is_pending());
    test.run_after(SUSPEND_MS);
    let answer = ready(waiting);
    assert_eq!(code(&answer), ResponseCode::PullRetryImmediately);
    assert_eq!(header(&answer).next_begin_offset, 1, "it has been looked at");
}

#[test]
fn a_waiting_pull_ends_at_its_time_and_not_before() {
    let mut test = with_topic();
    let mut waiting = parked(&test, &waiting_pull("*", 0));
    let deadline = test.now.plus(SUSPEND_MS);
    assert_eq!(test.asked.wake.load(std::sync::atomic::Ordering::SeqCst), deadline.0);
    assert_eq!(test.run_after(SUSPEND_MS - 1), Some(deadline));
    assert!(poll(&mut waiting).is_pending());
    test.run_after(1);
    assert_eq!(code(&ready(waiting)), ResponseCode::PullNotFound);
}

#[test]
fn a_message_between_looking_and_parking_is_not_missed() {
    let test = with_topic();
    // Stored and readable, but announced before the pull parked.
    let message = test.message("T", 0, "");
    test.with_body(&message, "x");
    test.dispatch();
    let pull = check(
        &test.broker,
        &(test.peer.clone() as Arc<dyn Peer>),
        RequestCode::PullMessage,
        &waiting_pull("*", 0),
        test.now,
    )
    .expect("all is well with it");
    let peer: Arc<dyn Peer> = test.peer.clone();
    let Outcome::Later(waiting) = park(&test.broker, &peer, pull, test.now.plus(SUSPEND_MS)) else {
        panic!("parking always answers later");
    };
    assert_eq!(bodies(&ready(waiting)), ["x"]);
}

#[test]
fn pulls_of_a_connection_that_ended_are_dropped() {
    let test = with_topic();
    let waiting = parked(&test, &waiting_pull("*", 0));
    test.broker.closed(test.peer.id(), test.now);
    assert_eq!(test.broker.long_polls.parked(), 0);
    ready(waiting);
}

#[test]
fn the_end_of_the_broker_answers_all_waiting_pulls() {
    let test = with_topic();
    let waiting = parked(&test, &waiting_pull("*", 0));
    test.broker.shutdown(test.now);
    assert_eq!(code(&ready(waiting)), ResponseCode::PullNotFound);
    let old = Command { version: 409, ..Command::request(&waiting_pull("*", 0)) };
    assert_eq!(code(&test.call(old)), ResponseCode::PullNotFound, "nothing waits any more");
    let new = Command { version: 513, ..Command::request(&waiting_pull("*", 0)) };
    assert_eq!(code(&test.call(new)), ResponseCode::GoAway);
}

#[test]
fn a_push_consumers_pull_uses_the_heartbeats_subscription() {
    let test = with_topic();
    for tag in ["TagA", "TagB"] {
        test.send("T", 0, &format!("TAGS\u{1}{tag}\u{2}"), tag);
    }
    let pull = PullMessage { sys_flag: 0, sub_version: 5, ..pull_with("", 0) };
    let answer = test.request(&pull);
    assert_eq!(code(&answer), ResponseCode::SubscriptionNotExist, "no heartbeat yet");

    let old = SubscriptionData::by_tags("T", "TagA", Millis(4));
    test.beat(&test.peer, "g", vec![old]);
    assert_eq!(code(&test.request(&pull)), ResponseCode::SubscriptionNotLatest);

    test.beat(&test.peer, "g", vec![SubscriptionData::by_tags("T", "TagB", Millis(5))]);
    assert_eq!(bodies(&test.request(&pull)), ["TagB"]);

    test.create_topic(TopicConfig::new("U", 4, 6));
    let answer = test.request(&PullMessage { topic: "U".into(), ..pull });
    assert_eq!(code(&answer), ResponseCode::SubscriptionNotExist);
}

#[test]
fn an_sql_subscription_is_refused_as_a_broker_without_property_filter_does() {
    let test = with_topic();
    let sql = SubscriptionData {
        expression_type: "SQL92".into(),
        sub_string: "a > 1".into(),
        sub_version: 5,
        ..SubscriptionData::by_tags("T", "*", Millis(5))
    };
    test.beat(&test.peer, "g", vec![sql]);
    for pull in [
        PullMessage { sys_flag: 0, ..pull_with("", 0) },
        PullMessage { expression_type: Some("SQL92".into()), ..pull_with("a > 1", 0) },
    ] {
        let answer = test.request(&pull);
        assert_eq!(code(&answer), ResponseCode::SystemError);
        assert_eq!(
            answer.remark.as_deref(),
            Some("The broker does not support consumer to filter message by SQL92")
        );
    }
}

#[test]
fn who_forbids_a_pull_is_named() {
    let test = with_topic();
    let forbidden = |answer: &Command| {
        assert_eq!(code(answer), ResponseCode::NoPermission);
        answer.fields.get("forbiddenType").map(str::to_owned)
    };
    test.create_topic(TopicConfig { perm: 2, ..TopicConfig::new("W", 1, 2) });
    let answer = test.request(&PullMessage { topic: "W".into(), ..pull_with("*", 0) });
    assert_eq!(forbidden(&answer).as_deref(), Some("3"));

    test.beat(&test.peer, "g", vec![SubscriptionData::by_tags("T", "*", Millis(1))]);
    test.broker.groups.set_readable("g", "T", false, test.now).expect("saved");
    let answer = test.request(&PullMessage { sys_flag: 0, ..pull_with("", 0) });
    assert_eq!(forbidden(&answer).as_deref(), Some("5"));

    let config =
        SubscriptionGroupConfig { consume_enable: false, ..SubscriptionGroupConfig::new("g") };
    test.broker.groups.update(vec![config], test.now).expect("saved");
    assert_eq!(forbidden(&test.request(&pull_with("*", 0))).as_deref(), Some("2"));

    let config = SubscriptionGroupConfig {
        consume_broadcast_enable: false,
        ..SubscriptionGroupConfig::new("b")
    };
    test.broker.groups.update(vec![config], test.now).expect("saved");
    let heartbeat = HeartbeatData {
        client_id: "c".into(),
        consumer_data_set: vec![ConsumerData {
            group_name: "b".into(),
            message_model: MessageModel::Broadcasting,
            subscription_data_set: vec![SubscriptionData::by_tags("T", "*", Millis(1))],
            ..ConsumerData::default()
        }],
        ..HeartbeatData::default()
    };
    test.raw(RequestCode::HeartBeat as i32, Fields::new(), json::to_vec(&heartbeat));
    let pull = PullMessage { consumer_group: "b".into(), sys_flag: 0, ..pull_with("", 0) };
    assert_eq!(forbidden(&test.request(&pull)).as_deref(), Some("4"));
}

#[test]
fn a_pull_commits_its_offset_the_first_time_only() {
    let test = with_topic();
    let pull = PullMessage {
        sys_flag: PULL_SUBSCRIPTION | PULL_SUSPEND | PULL_COMMIT_OFFSET,
        commit_offset: 3,
        ..waiting_pull("*", 0)
    };
    let waiting = parked(&test, &pull);
    assert_eq!(test.broker.offsets.committed("g", "T", 0), Some(3));
    test.broker.offsets.commit("g", "T", 0, 5, test.now);
    test.send("T", 0, "", "x");
    ready(waiting);
    assert_eq!(test.broker.offsets.committed("g", "T", 0), Some(5));
}

#[test]
fn an_offset_set_from_outside_is_told_once_and_commits_wait_for_it() {
    let test = with_topic();
    for body in ["one", "two"] {
        test.send("T", 0, "", body);
    }
    test.broker.groups.update(vec![SubscriptionGroupConfig::new("g")], test.now).expect("saved");
    test.broker.offsets.commit("g", "T", 0, 2, test.now);
    test.broker.offsets.reset("g", "T", 0, 1);
    let commit = UpdateConsumerOffset {
        consumer_group: "g".into(),
        topic: "T".into(),
        queue_id: 0,
        commit_offset: 2,
    };
    let answer = test.request(&commit);
    assert_eq!(answer.remark.as_deref(), Some("Offset has been previously reset"));
    let answer = test.request(&pull_with("*", 2));
    assert_eq!(code(&answer), ResponseCode::PullOffsetMoved);
    assert_eq!(answer.remark.as_deref(), Some("OFFSET_RESET"));
    assert_eq!(header(&answer).next_begin_offset, 1);
    assert_eq!(bodies(&test.request(&pull_with("*", 1))), ["two"]);
    test.request(&commit);
    assert_eq!(test.broker.offsets.committed("g", "T", 0), Some(2));
}

#[test]
fn with_long_polling_off_a_pull_waits_for_a_second() {
    let mut test = TestBroker::with("longPollingEnable=false");
    test.create_topic(TopicConfig::new("T", 1, 6));
    let waiting = parked(&test, &waiting_pull("*", 0));
    test.run_after(1_000);
    assert_eq!(code(&ready(waiting)), ResponseCode::PullNotFound);
}

#[test]
fn another_connection_may_wait_at_the_same_queue() {
    let test = with_topic();
    let other = TestPeer::new(2);
    let first = parked(&test, &waiting_pull("*", 0));
    let second =
        test.start(&other, Command::request(&waiting_pull("*", 0))).expect_err("nothing there");
    test.broker.closed(other.id(), test.now);
    test.send("T", 0, "", "x");
    assert_eq!(bodies(&ready(first)), ["x"]);
    ready(second);
}

fn sql(expression: &str, version: i64) -> SubscriptionData {
    SubscriptionData {
        topic: "T".into(),
        sub_string: expression.into(),
        sub_version: version,
        expression_type: "SQL92".into(),
        ..SubscriptionData::default()
    }
}

fn filtering(more: &str) -> TestBroker {
    let test = TestBroker::with(&format!("enablePropertyFilter=true\n{more}"));
    test.create_topic(TopicConfig::new("T", 4, 6));
    test
}

fn by_subscription(version: i64) -> PullMessage {
    PullMessage { sys_flag: 0, subscription: None, sub_version: version, ..pull_with("", 0) }
}

#[test]
fn sql_filters_by_the_properties_of_records() {
    let test = filtering("");
    for (properties, body) in [("a\u{1}1\u{2}", "one"), ("a\u{1}5\u{2}", "five"), ("", "none")] {
        test.send("T", 0, properties, body);
    }
    let by_request = PullMessage { expression_type: Some("SQL92".into()), ..pull_with("a > 2", 0) };
    assert_eq!(bodies(&test.request(&by_request)), ["five"]);

    test.beat(&test.peer, "g", vec![sql("a <= 2 OR a IS NULL", 3)]);
    let answer = test.request(&by_subscription(3));
    assert_eq!(bodies(&answer), ["one", "none"]);
    assert_eq!(code(&test.request(&by_subscription(4))), ResponseCode::SubscriptionNotLatest);
    test.beat(&test.peer, "g", vec![sql("a = 9", 4)]);
    let answer = test.request(&by_subscription(4));
    assert_eq!(code(&answer), ResponseCode::PullRetryImmediately);
    assert_eq!(header(&answer).next_begin_offset, 3);
}

#[test]
fn a_subscription_that_does_not_compile_has_no_filter_and_a_pull_tells_where_it_is_wrong() {
    let test = filtering("");
    test.beat(&test.peer, "g", vec![sql("a = = 2", 3)]);
    assert_eq!(code(&test.request(&by_subscription(3))), ResponseCode::FilterDataNotExist);
    let pull = PullMessage { expression_type: Some("SQL92".into()), ..pull_with("a = = 2", 0) };
    let answer = test.request(&pull);
    assert_eq!(code(&answer), ResponseCode::SubscriptionParseFailed);
    let remark = answer.remark.unwrap_or_default();
    assert!(remark.contains("line 1, column 5"), "{remark}");
}

#[test]
fn a_waiting_pull_is_woken_by_messages_that_its_filter_takes() {
    let test = filtering("");
    test.beat(&test.peer, "g", vec![sql("a BETWEEN 2 AND 4", 3)]);
    let pull = PullMessage {
        sys_flag: PULL_SUSPEND,
        suspend_timeout_millis: SUSPEND_MS,
        ..by_subscription(3)
    };
    let mut waiting = parked(&test, &pull);
    test.send("T", 0, "a\u{1}1\u{2}", "one");
    assert!(poll(&mut waiting).is_pending());
    test.send("T", 0, "a\u{1}3\u{2}", "three");
    assert_eq!(bodies(&ready(waiting)), ["three"]);
}

#[test]
fn filters_survive_a_restart_and_come_alive_with_their_group() {
    let mut test = filtering("filterDataCleanTimeSpan=60000\n");
    test.beat(&test.peer, "g", vec![sql("a = 1", 3)]);
    test.pass(40_000);
    test = test.restart();
    assert!(test.broker.filters.find("T", "g").is_some());
    test.run_after(20_000);
    test.run_after(20_000);
    assert!(test.broker.filters.find("T", "g").is_none(), "dead for 30 s when it was read");

    test.beat(&test.peer, "g", vec![sql("a = 1", 3)]);
    test.run_after(100_000);
    assert!(test.broker.filters.find("T", "g").is_some(), "its group is there");
    test.broker.clone().closed(skua_protocol::service::ConnectionId(1), test.now);
    test.run_after(50_000);
    assert!(test.broker.filters.find("T", "g").is_some());
    test.run_after(20_000);
    assert!(test.broker.filters.find("T", "g").is_none());
}

#[test]
fn retried_messages_are_filtered_by_their_first_topic_where_configured() {
    let test = filtering("filterSupportRetry=true\n");
    let retry = SubscriptionData { topic: "%RETRY%g".into(), ..sql("TRUE", 3) };
    test.beat(&test.peer, "g", vec![sql("a = 1", 3), retry]);
    for a in ["1", "2"] {
        let properties = format!("a\u{1}{a}\u{2}RETRY_TOPIC\u{1}T\u{2}");
        let host = test.peer.remote_addr();
        test.append(&skua_protocol::record::NewRecord {
            topic: "%RETRY%g",
            queue_id: QueueId(0),
            flag: 0,
            sys_flag: 0,
            born_timestamp: test.now,
            born_host: host,
            store_host: host,
            reconsume_times: 1,
            prepared_transaction_offset: 0,
            body: a.as_bytes(),
            properties: properties.as_bytes(),
        });
    }
    let pull = PullMessage { topic: "%RETRY%g".into(), ..by_subscription(3) };
    assert_eq!(bodies(&test.request(&pull)), ["1"]);
}

#[test]
fn busy_answers_name_the_limit_its_value_and_what_it_stood_at() {
    let test = TestBroker::with(
        "maxMessagesPerSecondOfTopic=2\nmaxMessagesPerSecondOfGroup=2\nmaxWaitingPullsOfGroup=1",
    );
    test.create_topic(TopicConfig::new("T", 4, 6));
    test.create_topic(TopicConfig::new("U", 4, 6));
    for body in ["a", "b"] {
        assert_eq!(test.send("T", 0, "", body).code, 0);
    }
    let busy = test.send("T", 0, "", "c");
    assert_eq!(code(&busy), ResponseCode::SystemBusy);
    let remark = busy.remark.unwrap_or_default();
    assert!(remark.contains("start flow control for a while"), "{remark}");
    assert!(remark.contains("maxMessagesPerSecondOfTopic=2 of topic T, stood at 2"), "{remark}");
    assert_eq!(test.send("U", 0, "", "d").code, 0, "other topics have their own");

    assert_eq!(bodies(&test.request(&pull_with("*", 0))), ["a", "b"]);
    let busy = test.request(&pull_with("*", 0));
    assert_eq!(code(&busy), ResponseCode::FlowControl);
    let remark = busy.remark.unwrap_or_default();
    assert!(remark.contains("maxMessagesPerSecondOfGroup=2 of group g, stood at 2"), "{remark}");
    let other = PullMessage { consumer_group: "h".into(), ..waiting_pull("*", 2) };
    let first = parked(&test, &other);
    let busy = test.request(&other);
    assert_eq!(code(&busy), ResponseCode::FlowControl);
    let remark = busy.remark.unwrap_or_default();
    assert!(remark.contains("maxWaitingPullsOfGroup=1 of group h, stood at 1"), "{remark}");
    test.broker.shutdown(test.now);
    assert_eq!(code(&ready(first)), ResponseCode::PullNotFound);
}

#[test]
fn a_connection_that_asks_too_much_holds_up_itself_alone() {
    let mut test = TestBroker::with("maxRequestsPerSecondOfConnection=3");
    test.create_topic(TopicConfig::new("T", 4, 6));
    test.send("T", 0, "", "a");
    let pull = || Command::request(&pull_with("*", 0));
    for _ in 0..2 {
        assert_eq!(test.call(pull()).code, 0);
    }
    let busy = test.call(pull());
    assert_eq!(code(&busy), ResponseCode::SystemBusy);
    let remark = busy.remark.unwrap_or_default();
    assert!(remark.contains("maxRequestsPerSecondOfConnection=3 of this connection, stood at 3"));
    test.beat(&test.peer, "g", vec![]);
    let other = TestPeer::new(2);
    assert!(test.start(&other, pull()).is_ok_and(|answer| answer.code == 0));
    test.pass(1000);
    assert_eq!(test.call(pull()).code, 0);
}

/// Every other stretch of the simulated disk is cold.
#[test]
fn groups_that_read_cold_data_wait_for_the_next_period() {
    let mut test = TestBroker::with("coldDataFlowControlEnable=true\ncgColdReadThreshold=1");
    test.create_topic(TopicConfig::new("T", 1, 6));
    for _ in 0..60 {
        test.send("T", 0, "", &"x".repeat(10_000));
    }
    // What was stored before a start is in no window.
    test = test.restart();
    test.beat(&test.peer, "g", vec![SubscriptionData::by_tags("T", "*", Millis(1))]);
    let pull = || PullMessage { max_msg_nums: 1, sys_flag: 0, ..by_subscription(0) };
    assert_eq!(code(&test.request(&pull())), ResponseCode::Success);
    let busy = test.request(&pull());
    assert_eq!(code(&busy), ResponseCode::SystemBusy);
    assert!(busy.remark.unwrap_or_default().contains("reading cold data"));
    test.send("T", 0, "", "new");
    let hot = PullMessage { queue_offset: 60, ..pull() };
    assert_eq!(code(&test.request(&hot)), ResponseCode::Success);
    test.run_after(6_000);
    assert_eq!(code(&test.request(&pull())), ResponseCode::Success);
}
