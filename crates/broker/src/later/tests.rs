use skua_protocol::body::{TimerMetrics, TopicConfig};
use skua_protocol::header::Fields;
use skua_protocol::record::NewRecord;
use skua_protocol::request::{
    RecallMessage, RecallMessageResponse, SendMessageResponse, SwitchTimerEngine,
};
use skua_protocol::{Command, QueueId, ResponseCode, json};

use super::*;
use crate::test_broker::{START, TestBroker};

fn with_topic(conf: &str) -> TestBroker {
    let test = TestBroker::with(&format!("recallMessageEnable=true\n{conf}"));
    test.create_topic(TopicConfig::new("T", 1, 6));
    test.run_timer();
    test
}

fn send(test: &TestBroker, name: &str, value: i64, body: &str) -> Command {
    let properties = format!("UNIQ_KEY\u{1}id-{body}\u{2}{name}\u{1}{value}\u{2}");
    test.send("T", 0, &properties, body)
}

fn sent(test: &TestBroker, name: &str, value: i64, body: &str) -> SendMessageResponse {
    let answer = send(test, name, value, body);
    assert_eq!(answer.code, 0, "{:?}", answer.remark);
    answer.header().expect("a send's answer")
}

fn delivered(test: &TestBroker) -> Vec<String> {
    test.run_timer();
    test.dispatch();
    let messages = test.stored("T", 0);
    messages.iter().map(|message| String::from_utf8_lossy(&message.body).into_owned()).collect()
}

#[test]
fn each_of_the_three_properties_delays_to_its_tick() {
    // START is a whole second.
    for (name, value) in
        [("TIMER_DELAY_MS", 3500), ("TIMER_DELAY_SEC", 4), ("TIMER_DELIVER_MS", START.0 + 3200)]
    {
        let mut test = with_topic("");
        sent(&test, name, value, "m");
        assert_eq!(delivered(&test), [""; 0], "{name}");
        test.pass(3999);
        assert_eq!(delivered(&test), [""; 0], "{name}");
        test.pass(1);
        assert_eq!(delivered(&test), ["m"], "{name}");
        let message = test.stored("T", 0).remove(0);
        assert_eq!(message.property("TIMER_OUT_MS"), Some(&*(START.0 + 3000).to_string()));
        assert_eq!(message.property("REAL_TOPIC"), Some("T"), "Java keeps it");
        assert_eq!(message.property("TIMER_ENQUEUE_MS"), Some(&*START.0.to_string()));
        assert_eq!(message.property("TIMER_DEQUEUE_MS"), Some(&*test.now.0.to_string()));
        assert_eq!(message.property(name), Some(&*value.to_string()));
    }
}

#[test]
fn what_is_due_already_is_delivered_at_once() {
    let test = with_topic("");
    let answer = sent(&test, "TIMER_DELIVER_MS", START.0 - 5, "late");
    assert_eq!(answer.recall_handle, None);
    sent(&test, "TIMER_DELAY_MS", 0, "now");
    assert_eq!(delivered(&test), ["late", "now"]);
    assert_eq!(test.stored("T", 0)[0].property("REAL_TOPIC"), None);
}

#[test]
fn refusals_are_javas() {
    let test = with_topic("timerMaxDelaySec=60");
    let illegal = ResponseCode::MessageIllegal as i32;
    let answer = send(&test, "TIMER_DELAY_MS", 60_001, "far");
    assert_eq!(answer.code, illegal);
    assert!(answer.remark.unwrap_or_default().contains("max delay 60000ms"));
    sent(&test, "TIMER_DELAY_MS", 60_000, "just");
    assert_eq!(test.send("T", 0, "TIMER_DELAY_MS\u{1}x\u{2}", "bad").code, illegal);
    let past = format!("TIMER_DEL_UNIQKEY\u{1}k\u{2}TIMER_DELIVER_MS\u{1}{}\u{2}", START.0 - 1);
    assert_eq!(test.send("T", 0, &past, "delete").code, illegal);

    let test = with_topic("timerWheelEnable=false");
    let answer = send(&test, "TIMER_DELAY_MS", 10, "m");
    assert_eq!(answer.code, ResponseCode::SystemError as i32);
    let remark = answer.remark.unwrap_or_default();
    assert_eq!(remark, "accurate timer message is not enabled, timerWheelEnable is false");
}

#[test]
fn a_full_slot_refuses() {
    let test = with_topic("timerCongestNumEachSlot=2");
    for body in ["1", "2", "3", "4"] {
        // From three on by chance.
        while send(&test, "TIMER_DELAY_SEC", 10, body).code != 0 {}
        test.run_timer();
    }
    let answer = send(&test, "TIMER_DELAY_SEC", 10, "5");
    assert_eq!(answer.code, ResponseCode::SystemError as i32);
    assert!(answer.remark.unwrap_or_default().contains("under flow control, max num limit is 4"));
    sent(&test, "TIMER_DELAY_SEC", 11, "another slot");
}

#[test]
fn a_recalled_message_is_not_delivered() {
    let mut test = with_topic("");
    let answer = sent(&test, "TIMER_DELAY_SEC", 10, "a");
    sent(&test, "TIMER_DELAY_SEC", 10, "b");
    let handle = answer.recall_handle.expect("it waits");
    test.pass(2000);
    let recall = RecallMessage {
        producer_group: Some("PG".into()),
        topic: "T".into(),
        recall_handle: handle.clone(),
    };
    let answer = test.request(&recall);
    assert_eq!(answer.code, 0, "{:?}", answer.remark);
    let answer: RecallMessageResponse = answer.header().expect("a recall's answer");
    assert_eq!(&*answer.msg_id, "id-a");
    test.pass(8000);
    assert_eq!(delivered(&test), ["b"]);

    let late = test.request(&recall);
    assert_eq!(late.code, ResponseCode::IllegalOperation as i32);
    assert_eq!(late.remark.as_deref(), Some("recall failed, timestamp invalid"));
    let other = RecallMessage { topic: "U".into(), ..recall.clone() };
    assert_eq!(test.request(&other).code, ResponseCode::TopicNotExist as i32);
    let broken = RecallMessage { recall_handle: "rubbish".into(), ..recall };
    assert_eq!(test.request(&broken).code, ResponseCode::IllegalOperation as i32);
}

#[test]
fn recall_is_off_unless_configured() {
    let test = TestBroker::new();
    let recall = RecallMessage { topic: "T".into(), ..RecallMessage::default() };
    let answer = test.request(&recall);
    assert_eq!(answer.code, ResponseCode::NoPermission as i32);
    assert_eq!(answer.remark.as_deref(), Some("recall failed, operation is forbidden"));
}

#[test]
fn what_waits_is_kept_over_a_restart_and_told() {
    let mut test = with_topic("");
    sent(&test, "TIMER_DELAY_SEC", 5, "a");
    sent(&test, "TIMER_DELAY_SEC", 3000, "rolls");
    test.run_timer();
    let mut test = {
        test.pass(1000);
        test.restart()
    };
    let metrics = test.raw(61, Fields::new(), Vec::new());
    let metrics: TimerMetrics = json::from_slice(&metrics.body).expect("JSON");
    assert_eq!(metrics.timing_count["T"].count, 2);
    let checkpoint = test.raw(60, Fields::new(), Vec::new());
    assert_eq!(checkpoint.body.len(), 56);
    test.pass(4000);
    assert_eq!(delivered(&test), ["a"]);
    test.pass(2_996_000);
    assert_eq!(delivered(&test), ["a", "rolls"]);
    let rolled = test.stored("T", 0).remove(1);
    assert_eq!(rolled.property("TIMER_ROLL_TIMES"), Some("1"));
    let metrics: TimerMetrics =
        json::from_slice(&test.raw(61, Fields::new(), Vec::new()).body).expect("JSON");
    assert_eq!(metrics.timing_count["T"].count, 0);
}

#[test]
fn a_record_that_cannot_be_delivered_stands_in_nobodys_way() {
    let mut test = with_topic("");
    let out = START.0 + 1000;
    let long = "x".repeat(20_000);
    for properties in [
        format!("TIMER_OUT_MS\u{1}{out}\u{2}"),
        format!("TIMER_OUT_MS\u{1}{out}\u{2}REAL_TOPIC\u{1}T\u{2}REAL_QID\u{1}x\u{2}"),
        format!("TIMER_OUT_MS\u{1}{out}\u{2}REAL_TOPIC\u{1}../T\u{2}REAL_QID\u{1}0\u{2}"),
        "REAL_TOPIC\u{1}T\u{2}REAL_QID\u{1}0\u{2}".to_owned(),
        format!("TIMER_OUT_MS\u{1}{out}\u{2}REAL_TOPIC\u{1}{long}\u{2}REAL_QID\u{1}0\u{2}"),
    ] {
        test.append(&NewRecord {
            topic: TIMER_TOPIC,
            queue_id: QueueId(0),
            flag: 0,
            sys_flag: 0,
            born_timestamp: START,
            born_host: ([127, 0, 0, 1], 1).into(),
            store_host: ([127, 0, 0, 1], 2).into(),
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: b"bad",
            properties: properties.as_bytes(),
        });
    }
    sent(&test, "TIMER_DELAY_SEC", 2, "good");
    test.pass(2000);
    assert_eq!(delivered(&test), ["good"]);
    assert_eq!(test.run_timer().map(|at| at.0 > test.now.0), Some(true), "only a flush is left");
}

#[test]
fn the_engine_in_rocksdb_is_refused() {
    let test = with_topic("");
    let switch = |engine: &'static str| {
        test.request(&SwitchTimerEngine { engine_type: Some(engine.into()) })
    };
    assert_eq!(switch("F").code, 0);
    assert_eq!(switch("R").code, ResponseCode::InvalidParameter as i32);
    assert_eq!(switch("x").code, ResponseCode::InvalidParameter as i32);
}
