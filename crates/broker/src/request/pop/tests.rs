use skua_protocol::body::TopicConfig;
use skua_protocol::record::Message;
use skua_protocol::request::{AckMessage, ChangeMessageInvisibleTime};

use super::*;
use crate::pop::receipt::{ORDERED, Receipt};
use crate::test_broker::{TestBroker, Waiting, poll, ready};
use crate::test_peer::TestPeer;
use skua_protocol::ResponseCode;

const INVISIBLE_MS: i64 = 10_000;
const POLL_MS: i64 = 15_000;

pub fn with_topic(conf: &str) -> TestBroker {
    let test = TestBroker::with(conf);
    test.create_topic(TopicConfig::new("T", 1, 6));
    test
}

pub fn request(most: i32) -> PopMessage {
    PopMessage {
        consumer_group: "g".into(),
        topic: "T".into(),
        queue_id: -1,
        max_msg_nums: most,
        invisible_time: INVISIBLE_MS,
        init_mode: 0,
        ..PopMessage::default()
    }
}

/// A popped message and what it is acknowledged with.
#[derive(Clone, Debug)]
pub struct Popped {
    pub message: Message,
    pub body: String,
    pub topic: String,
    pub receipt: String,
}

fn code(answer: &Command) -> ResponseCode {
    ResponseCode::from_i32(answer.code).expect("a code of the table")
}

fn header(answer: &Command) -> PopMessageResponse {
    answer.header().expect("a pop's answer")
}

/// Makes receipts as Java's client does: from the answer's texts.
pub fn popped(answer: &Command) -> Vec<Popped> {
    let header = header(answer);
    let starts = header.start_offset_info.clone().unwrap_or_default();
    let messages = Message::decode_all(&answer.body).expect("records");
    let of = |message: Message| {
        let properties = skua_protocol::properties::Properties::new(&message.properties);
        let given = properties.get(skua_protocol::properties::POP_CK);
        let receipt = given.map(str::to_owned).unwrap_or_else(|| {
            let place = format!("0 {} ", message.queue_id);
            let start = starts.split(';').find_map(|item| item.strip_prefix(&place));
            let receipt = Receipt {
                start_offset: start.expect("of its queue").parse().expect("a number"),
                pop_time: header.pop_time,
                invisible_time: header.invisible_time,
                revive_queue: header.revive_qid,
                broker_name: "broker-a".to_owned(),
            };
            receipt.text(&message.topic, message.queue_id, message.queue_offset)
        });
        let kind = receipt.split(' ').nth(4).expect("five parts").to_owned();
        let topic = crate::pop::receipt::real_topic(&message.topic, "g", &kind);
        Popped {
            body: String::from_utf8_lossy(&message.body).into_owned(),
            topic: topic.expect("a known kind"),
            receipt,
            message,
        }
    };
    messages.into_iter().map(of).collect()
}

pub fn bodies(answer: &Command) -> Vec<String> {
    popped(answer).into_iter().map(|popped| popped.body).collect()
}

pub fn ack(popped: &Popped) -> AckMessage {
    AckMessage {
        consumer_group: "g".into(),
        topic: popped.topic.as_str().into(),
        queue_id: popped.message.queue_id,
        extra_info: popped.receipt.as_str().into(),
        offset: popped.message.queue_offset,
        lite_topic: None,
    }
}

pub fn change(popped: &Popped, invisible_time: i64) -> ChangeMessageInvisibleTime {
    ChangeMessageInvisibleTime {
        consumer_group: "g".into(),
        topic: popped.topic.as_str().into(),
        queue_id: popped.message.queue_id,
        extra_info: popped.receipt.as_str().into(),
        offset: popped.message.queue_offset,
        invisible_time,
        lite_topic: None,
        suspend: None,
    }
}

/// Passes time, with all that the broker does in it.
fn after(test: &mut TestBroker, ms: i64) {
    test.pass(ms);
    for _ in 0..3 {
        test.dispatch();
        test.run_after(BARRIER_MS);
    }
    test.dispatch();
}

const BARRIER_MS: i64 = 10;

fn ok(answer: &Command) {
    assert_eq!(code(answer), ResponseCode::Success, "{:?}", answer.remark);
}

#[test]
fn what_is_acknowledged_does_not_come_again_and_the_rest_does() {
    let mut test = with_topic("");
    for body in ["a", "b", "c"] {
        test.send("T", 0, "", body);
    }
    let answer = test.request(&request(2));
    assert_eq!(bodies(&answer), ["a", "b"]);
    assert_eq!(header(&answer).rest_num, 1);
    assert_eq!(bodies(&test.request(&request(32))), ["c"]);
    assert_eq!(code(&test.request(&request(32))), ResponseCode::PollingTimeout);

    let popped = popped(&answer);
    ok(&test.request(&ack(&popped[0])));
    after(&mut test, INVISIBLE_MS - 100);
    assert_eq!(bodies(&test.request(&request(32))), [""; 0]);
    after(&mut test, 100);
    let mut again = self::popped(&test.request(&request(32)));
    again.sort_by(|a, b| a.body.cmp(&b.body));
    assert_eq!(again.iter().map(|p| &*p.body).collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(again[0].topic, "%RETRY%g_T");
    assert_eq!(&*again[0].message.topic, "T");
    assert_eq!(again[0].message.reconsume_times, 1);
    for popped in &again {
        ok(&test.request(&ack(popped)));
    }
    after(&mut test, 2 * INVISIBLE_MS);
    assert_eq!(bodies(&test.request(&request(32))), [""; 0]);
    assert_eq!(test.broker.pop.pending(), 0);
}

#[test]
fn check_points_and_acknowledgements_survive_a_crash() {
    let mut test = with_topic("");
    for body in ["a", "b"] {
        test.send("T", 0, "", body);
    }
    let first = popped(&test.request(&request(32)));
    ok(&test.request(&ack(&first[0])));
    test.dispatch();
    // No table was written: the offset and the order of things come from the log.
    test = test.crash();
    assert_eq!(bodies(&test.request(&request(32))), [""; 0]);
    ok(&test.request(&ack(&first[1])));
    after(&mut test, INVISIBLE_MS);
    assert_eq!(bodies(&test.request(&request(32))), [""; 0]);
}

#[test]
fn what_was_popped_before_a_restart_comes_again_after_it() {
    let mut test = with_topic("enableRetryTopicV2=true\n");
    test.send("T", 0, "", "a");
    assert_eq!(bodies(&test.request(&request(32))), ["a"]);
    test.dispatch();
    test = test.restart();
    after(&mut test, INVISIBLE_MS);
    let again = popped(&test.request(&request(32)));
    assert_eq!(again[0].topic, "%RETRY%g+T");
    ok(&test.request(&ack(&again[0])));
    // The first check point is not revived a second time.
    test.dispatch();
    test = test.crash();
    after(&mut test, 2 * INVISIBLE_MS);
    assert_eq!(bodies(&test.request(&request(32))), [""; 0]);
}

#[test]
fn a_changed_time_counts_from_the_change() {
    let mut test = with_topic("");
    test.send("T", 0, "", "a");
    let first = popped(&test.request(&request(32)));
    after(&mut test, 5000);
    let answer = test.request(&change(&first[0], 8000));
    ok(&answer);
    after(&mut test, 7000);
    assert_eq!(bodies(&test.request(&request(32))), [""; 0]);
    after(&mut test, 1000);
    assert_eq!(bodies(&test.request(&request(32))), ["a"]);
}

#[test]
fn two_changes_in_one_millisecond_lose_nothing() {
    let mut test = with_topic("");
    test.send("T", 0, "", "a");
    let mut first = popped(&test.request(&request(32))).remove(0);
    for _ in 0..2 {
        let answer = test.request(&change(&first, 1000));
        let changed: skua_protocol::request::ChangeMessageInvisibleTimeResponse =
            answer.header().expect("a changed time");
        let receipt = Receipt {
            start_offset: 0,
            pop_time: changed.pop_time,
            invisible_time: changed.invisible_time,
            revive_queue: changed.revive_qid,
            broker_name: "broker-a".to_owned(),
        };
        first.receipt = receipt.text("T", 0, 0);
    }
    after(&mut test, 2000);
    assert_eq!(bodies(&test.request(&request(32))), ["a"]);
}

fn waiting(test: &TestBroker, peer: &Arc<TestPeer>) -> Waiting {
    let request = PopMessage { poll_time: POLL_MS, born_time: test.now.0, ..request(1) };
    test.start(peer, Command::request(&request)).expect_err("there is nothing to answer with")
}

#[test]
fn waiting_pops_are_woken_by_arrivals_one_each() {
    let test = with_topic("");
    let (mut one, mut two) = (waiting(&test, &test.peer), waiting(&test, &test.peer));
    assert!(poll(&mut one).is_pending());
    test.send("T", 0, "", "a");
    let mut answers: Vec<Vec<String>> = Vec::new();
    for waiting in [&mut one, &mut two] {
        if let std::task::Poll::Ready(answer) = poll(waiting) {
            answers.push(bodies(&answer));
        }
    }
    assert_eq!(answers, [["a"]]);
    test.send("T", 0, "", "b");
    assert_eq!(bodies(&ready(two)), ["b"]);
}

#[test]
fn waiting_pops_end_at_their_time_and_are_woken_by_what_is_revived() {
    let mut test = with_topic("");
    let mut none = waiting(&test, &test.peer);
    test.run_after(POLL_MS - 51);
    assert!(poll(&mut none).is_pending());
    test.run_after(1);
    assert_eq!(code(&ready(none)), ResponseCode::PollingTimeout);

    test.send("T", 0, "", "a");
    assert_eq!(bodies(&test.request(&request(1))), ["a"]);
    let mut woken = waiting(&test, &test.peer);
    assert!(poll(&mut woken).is_pending());
    after(&mut test, INVISIBLE_MS);
    assert_eq!(bodies(&ready(woken)), ["a"]);
}

fn ordered(most: i32, attempt: &str) -> PopMessage {
    PopMessage { order: Some(true), attempt_id: Some(attempt.into()), ..request(most) }
}

#[test]
fn an_ordered_queue_waits_for_what_was_popped_from_it() {
    let mut test = with_topic("");
    for body in ["a", "b", "c"] {
        test.send("T", 0, "", body);
    }
    let answer = test.request(&ordered(2, "one"));
    assert_eq!(header(&answer).revive_qid, ORDERED);
    assert_eq!(header(&answer).order_count_info.as_deref(), Some("0 0 0"));
    assert_eq!(bodies(&answer), ["a", "b"]);
    assert_eq!(bodies(&test.request(&ordered(2, "two"))), [""; 0]);
    // The same attempt asks again: its answer was lost.
    assert_eq!(bodies(&test.request(&ordered(2, "one"))), ["a", "b"]);
    let first = popped(&test.request(&ordered(2, "one")));
    ok(&test.request(&ack(&first[0])));
    assert_eq!(bodies(&test.request(&ordered(2, "two"))), [""; 0]);
    after(&mut test, INVISIBLE_MS);
    // `b` comes again before `c`, counted.
    let answer = test.request(&ordered(2, "two"));
    assert_eq!(bodies(&answer), ["b", "c"]);
    assert_eq!(header(&answer).order_count_info.as_deref(), Some("0 qo0%1 1;0 0 0"));
    for popped in popped(&answer) {
        ok(&test.request(&ack(&popped)));
    }
    after(&mut test, 2 * INVISIBLE_MS);
    assert_eq!(bodies(&test.request(&ordered(2, "three"))), [""; 0]);
}

#[test]
fn an_acknowledged_order_wakes_who_waits_for_the_queue() {
    let mut test = with_topic("");
    test.send("T", 0, "", "a");
    let first = popped(&test.request(&ordered(1, "one")));
    test.send("T", 0, "", "b");
    let asked = PopMessage { poll_time: POLL_MS, born_time: test.now.0, ..ordered(1, "two") };
    let mut next = test.start(&test.peer, Command::request(&asked)).expect_err("blocked");
    assert!(poll(&mut next).is_pending());
    ok(&test.request(&ack(&first[0])));
    let next = popped(&ready(next));
    assert_eq!(next[0].body, "b");
    // And so does the end of its time.
    let attempt_id = Some("three".into());
    let asked = PopMessage { born_time: test.now.0, attempt_id, ..asked };
    let mut last = test.start(&test.peer, Command::request(&asked)).expect_err("blocked");
    assert!(poll(&mut last).is_pending());
    test.run_after(INVISIBLE_MS);
    assert_eq!(bodies(&ready(last)), ["b"]);
}
