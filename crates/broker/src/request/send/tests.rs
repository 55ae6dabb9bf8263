use skua_protocol::body::TopicConfig;
use skua_protocol::record::{FLAG_INNER_BATCH, encode_batch_item};
use skua_protocol::request::{SendBatchMessage, SendMessage, SendMessageResponse};

use super::*;
use crate::test_broker::TestBroker;

fn code(answer: &Command) -> ResponseCode {
    ResponseCode::from_i32(answer.code).expect("a code of the table")
}

fn remark(answer: &Command) -> &str {
    answer.remark.as_deref().unwrap_or("")
}

#[test]
fn a_first_send_makes_the_topic_and_tells_the_name_servers() {
    let test = TestBroker::new();
    let answer = test.send("Orders", 1, "UNIQ_KEY\u{1}ID1\u{2}TAGS\u{1}TagA\u{2}", "hello");
    assert_eq!(code(&answer), ResponseCode::Success);
    let header: SendMessageResponse = answer.header().expect("a send's answer");
    assert_eq!(header.msg_id, "7F0000010000326F0000000000000000");
    assert_eq!((header.queue_id, header.queue_offset), (1, 0));
    assert_eq!(header.transaction_id.as_deref(), Some("ID1"));
    assert_eq!(header.msg_region.as_deref(), Some("DefaultRegion"));
    assert_eq!(header.trace_on, Some(true));
    assert_eq!(test.broker.topics.get("Orders").expect("made").config.write_queue_nums, 4);
    let registration = test.broker.changes().expect("a new topic");
    let text = String::from_utf8(registration.body.to_vec()).expect("JSON");
    assert!(text.contains("\"Orders\"") && !text.contains("BenchmarkTest"), "{text}");
}

#[test]
fn the_stored_message_has_javas_properties_and_the_clients_own() {
    let test = TestBroker::new();
    // Without the last separator, as 4.9 sends it, and with what clients may not set.
    test.send("T", 0, "TAGS\u{1}TagA\u{2}POP_CK\u{1}x\u{2}CLUSTER\u{1}mine\u{2}WAIT\u{1}true", "b");
    let stored = &test.stored("T", 0)[0];
    assert_eq!(stored.tags(), Some("TagA"));
    assert_eq!(stored.property("CLUSTER"), Some("DefaultCluster"));
    assert_eq!(stored.property("MSG_REGION"), Some("DefaultRegion"));
    assert_eq!(stored.property("TRACE_ON"), Some("true"));
    assert_eq!(stored.property("POP_CK"), None);
    assert_eq!(stored.unique_id().expect("made by the broker").len(), 32);
    assert_eq!(stored.born_host.to_string(), "127.0.0.1:50001");
    assert_eq!(stored.store_host.to_string(), "127.0.0.1:12911");
    assert_eq!(&stored.body[..], b"b");
}

#[test]
fn a_queue_below_zero_lets_the_broker_choose_in_turn() {
    let test = TestBroker::new();
    test.create_topic(TopicConfig::new("T", 2, 6));
    let queue = || {
        let header: SendMessageResponse =
            test.send("T", -1, "", "x").header().expect("a send's answer");
        header.queue_id
    };
    let (first, second) = (queue(), queue());
    assert_ne!(first, second);
    assert_eq!(queue(), first);
}

#[test]
fn what_is_wrong_with_a_send_is_said_as_java_says_it() {
    let test = TestBroker::with("maxMessageSize=10");
    test.create_topic(TopicConfig::new("T", 2, 6));
    let answer = test.send("bad name!", 0, "", "x");
    assert_eq!(code(&answer), ResponseCode::InvalidParameter);
    let answer = test.send("T", 2, "", "x");
    assert_eq!(code(&answer), ResponseCode::InvalidParameter);
    assert_eq!(answer.fields.get("MSG_REGION"), Some("DefaultRegion"));
    let answer = test.send("T", 0, "", "12345678901");
    assert_eq!(code(&answer), ResponseCode::MessageIllegal);
    assert!(remark(&answer).contains("limit 10B"), "{}", remark(&answer));
    let answer = test.send("T", 0, "", "");
    assert_eq!(code(&answer), ResponseCode::MessageIllegal);
    let long = format!("k\u{1}{}\u{2}", "v".repeat(PROPERTIES_LEN_MAX));
    assert_eq!(code(&test.send("T", 0, &long, "x")), ResponseCode::MessageIllegal);
    assert_eq!(code(&test.send("T", 0, "DELAY\u{1}x\u{2}", "x")), ResponseCode::MessageIllegal);
    assert!(test.stored("T", 0).is_empty());
}

fn make_batch_topic(test: &TestBroker, topic: &str) {
    test.create_topic(TopicConfig {
        attributes: [("+queue.type".to_owned(), "BatchCQ".to_owned())].into(),
        ..TopicConfig::new(topic, 1, 6)
    });
}

#[test]
fn in_a_topic_with_batch_queues_a_batch_stays_one_record_with_a_place_for_each_message() {
    let test = TestBroker::new();
    make_batch_topic(&test, "T");
    let message = test.message("T", 0, "UNIQ_KEY\u{1}id\u{2}WAIT\u{1}true\u{2}");
    let header = SendBatchMessage(SendMessage { batch: Some(true), ..message }.into());
    for _ in 0..2 {
        let answer = test.with_body(&header, batch(&["one", "two", "three"]));
        assert_eq!(code(&answer), ResponseCode::Success);
        assert_eq!(answer.fields.get("batchUniqId"), Some("id"));
    }
    // One by one, too.
    assert_eq!(code(&test.send("T", 0, "", "four")), ResponseCode::Success);
    let stored = test.stored("T", 0);
    let bodies: Vec<_> = stored.iter().map(|message| message.body.to_vec()).collect();
    assert_eq!(bodies, [&b"one"[..], b"two", b"three", b"one", b"two", b"three", b"four"]);
    let offsets: Vec<_> = stored.iter().map(|message| message.queue_offset).collect();
    assert_eq!(offsets, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(test.store.max_offset("T", QueueId(0)).map(|offset| offset.0), Some(7));
    let inner = SendMessage { sys_flag: FLAG_INNER_BATCH, ..test.message("U", 0, "") };
    test.create_topic(TopicConfig::new("U", 1, 6));
    assert_eq!(code(&test.with_body(&inner, "x")), ResponseCode::MessageIllegal);
}

#[test]
fn a_compacted_topic_wants_keys() {
    let test = TestBroker::new();
    let compacted = TopicConfig {
        attributes: [("+cleanup.policy".to_owned(), "COMPACTION".to_owned())].into(),
        ..TopicConfig::new("T", 1, 6)
    };
    test.create_topic(compacted);
    assert_eq!(code(&test.send("T", 0, "", "x")), ResponseCode::MessageIllegal);
    assert_eq!(code(&test.send("T", 0, "KEYS\u{1}k\u{2}", "x")), ResponseCode::Success);
}

#[test]
fn without_automatic_creation_an_unknown_topic_is_refused() {
    let test = TestBroker::with("autoCreateTopicEnable=false");
    assert_eq!(code(&test.send("T", 0, "", "x")), ResponseCode::TopicNotExist);
    assert!(test.broker.changes().is_none());
}

#[test]
fn a_delayed_message_waits_in_its_levels_queue() {
    let test = TestBroker::new();
    let answer = test.send("T", 3, "DELAY\u{1}2\u{2}TIMER_DELAY_MS\u{1}9\u{2}", "x");
    assert_eq!(code(&answer), ResponseCode::Success);
    assert!(test.stored("T", 3).is_empty());
    let waiting = &test.stored("SCHEDULE_TOPIC_XXXX", 1)[0];
    assert_eq!(waiting.property("REAL_TOPIC"), Some("T"));
    assert_eq!(waiting.property("REAL_QID"), Some("3"));
    assert_eq!(waiting.property("TIMER_DELAY_MS"), None);
    // More than the last level is the last level.
    test.send("T", 3, "DELAY\u{1}99\u{2}", "y");
    assert_eq!(test.stored("SCHEDULE_TOPIC_XXXX", 17).len(), 1);
}

fn batch(bodies: &[&str]) -> Vec<u8> {
    let mut body = Vec::new();
    for text in bodies {
        encode_batch_item(&mut body, 0, text.as_bytes(), b"TAGS\x01TagA\x02").expect("short");
    }
    body
}

fn batch_header(test: &TestBroker, topic: &str) -> SendBatchMessage {
    let message = test.message(topic, 0, "UNIQ_KEY\u{1}B1\u{2}WAIT\u{1}true\u{2}");
    SendBatchMessage(SendMessage { batch: Some(true), ..message }.into())
}

#[test]
fn a_batch_is_stored_in_a_row_and_answered_with_all_ids() {
    let test = TestBroker::new();
    test.send("T", 0, "", "before");
    let answer = test.with_body(&batch_header(&test, "T"), batch(&["one", "two", "three"]));
    test.dispatch();
    let header: SendMessageResponse = answer.header().expect("a send's answer");
    assert_eq!(header.msg_id.split(',').count(), 3);
    assert_eq!(header.queue_offset, 1);
    assert_eq!(header.transaction_id.as_deref(), Some("B1"));
    let stored = test.stored("T", 0);
    let ids: Vec<_> = stored[1..].iter().map(Message::offset_id).collect();
    assert_eq!(header.msg_id, ids.join(","));
    // Java: the properties of the batch are not its messages'.
    assert_eq!(stored[1].property("CLUSTER"), None);
    assert_eq!(stored[1].tags(), Some("TagA"));
    assert_eq!(&stored[3].body[..], b"three");
}

use skua_protocol::record::Message;

#[test]
fn a_broken_batch_stores_nothing() {
    let test = TestBroker::new();
    let mut body = batch(&["one", "two"]);
    body.truncate(body.len() - 1);
    let answer = test.with_body(&batch_header(&test, "T"), body);
    assert_eq!(code(&answer), ResponseCode::MessageIllegal);
    let answer = test.with_body(&batch_header(&test, "%RETRY%g"), batch(&["x"]));
    assert_eq!(code(&answer), ResponseCode::MessageIllegal);
    test.dispatch();
    assert!(test.stored("T", 0).is_empty());
}

#[test]
fn a_retry_that_has_had_its_chances_goes_to_the_dead_letters() {
    let test = TestBroker::new();
    let retry = |times, max| {
        let mut message = test.message("%RETRY%g", 0, "DELAY\u{1}3\u{2}");
        message.reconsume_times = Some(times);
        message.max_reconsume_times = max;
        let answer = test.with_body(&message, "x");
        test.dispatch();
        assert_eq!(code(&answer), ResponseCode::Success, "{}", remark(&answer));
    };
    retry(16, None);
    assert_eq!(test.stored("SCHEDULE_TOPIC_XXXX", 2).len(), 1);
    retry(17, None);
    retry(3, Some(2));
    let dead = test.stored("%DLQ%g", 0);
    assert_eq!(dead.len(), 2);
    assert_eq!(dead[0].property("DELAY"), Some("-1"));
    assert_eq!(test.broker.topics.get("%DLQ%g").expect("made").config.perm, 6);
}

#[test]
fn under_synchronous_flush_the_answer_waits_for_the_disk() {
    let mut test = TestBroker::with("flushDiskType=SYNC_FLUSH");
    test.create_topic(TopicConfig::new("T", 1, 6));
    let send = || Command::request(&test.message("T", 0, "WAIT\u{1}true\u{2}")).with_body("x");
    let waiting = test.start(&test.peer, send()).expect_err("not flushed yet");
    test.store.flush_due(test.now);
    assert_eq!(code(&crate::test_broker::ready(waiting)), ResponseCode::Success);

    let waiting = test.start(&test.peer, send()).expect_err("not flushed yet");
    test.run_after(5_000);
    let answer = crate::test_broker::ready(waiting);
    assert_eq!(code(&answer), ResponseCode::FlushDiskTimeout);
    let header: SendMessageResponse = answer.header().expect("filled all the same");
    assert_eq!(header.queue_offset, 1);

    let unsafe_send = test.message("T", 0, "WAIT\u{1}false\u{2}");
    assert_eq!(code(&test.with_body(&unsafe_send, "x")), ResponseCode::Success);
}

#[test]
fn who_waits_for_a_disk_that_fails_is_told_why() {
    let test = TestBroker::with("flushDiskType=SYNC_FLUSH");
    test.create_topic(TopicConfig::new("T", 1, 6));
    let send = Command::request(&test.message("T", 0, "")).with_body("x");
    let waiting = test.start(&test.peer, send).expect_err("not flushed yet");
    test.disk.set_faults(skua_store::disk::Faults { sync_fails_in: Some(0), ..Default::default() });
    test.store.flush_due(test.now);
    let answer = crate::test_broker::ready(waiting);
    assert_eq!(code(&answer), ResponseCode::FlushDiskTimeout);
    assert!(remark(&answer).starts_with("the store takes no writes since"), "{}", remark(&answer));
}

#[test]
fn a_full_disk_answers_that_the_service_is_not_available() {
    let test = TestBroker::new();
    test.create_topic(TopicConfig::new("T", 1, 6));
    test.send("T", 0, "", "x");
    test.disk.set_faults(full_disk());
    let big = "x".repeat(100_000);
    let answers: Vec<_> = (0..12).map(|_| test.send("T", 0, "", &big)).collect();
    let last = answers.last().expect("twelve");
    assert_eq!(code(last), ResponseCode::ServiceNotAvailable, "{}", remark(last));
    assert!(remark(last).starts_with("service not available now."));
}

fn full_disk() -> skua_store::disk::Faults {
    skua_store::disk::Faults { no_space: true, ..Default::default() }
}
