use skua_protocol::body::TopicConfig;
use skua_protocol::record::Message;

use super::*;
use crate::test_broker::TestBroker;

fn with_messages() -> TestBroker {
    let test = TestBroker::new();
    for topic in ["T", "U"] {
        test.create_topic(TopicConfig::new(topic, 1, 6));
        for number in 0..40 {
            let properties =
                format!("UNIQ_KEY\u{1}u{number}\u{2}KEYS\u{1}a k{number}\u{2}TAGS\u{1}tag\u{2}");
            test.send(topic, 0, &properties, &format!("{topic}{number}"));
        }
    }
    test.dispatch();
    test
}

fn query(key: &str, max_num: i32) -> QueryMessage {
    QueryMessage {
        topic: "T".into(),
        key: key.into(),
        max_num,
        begin_timestamp: 0,
        end_timestamp: i64::MAX,
        ..QueryMessage::default()
    }
}

fn bodies(answer: Command) -> Vec<String> {
    assert_eq!(answer.code, ResponseCode::Success as i32);
    let messages = Message::decode_all(&answer.body).expect("whole records");
    messages.iter().map(|message| String::from_utf8_lossy(&message.body).into_owned()).collect()
}

#[test]
fn keys_and_unique_ids_and_tags_find_messages_of_their_topic() {
    let test = with_messages();
    assert_eq!(bodies(test.request(&query("k7", 10))), ["T7"]);
    assert_eq!(bodies(test.request(&query("u7", 10))), ["T7"]);
    assert_eq!(bodies(test.request(&query("a", 3))), ["T37", "T38", "T39"]);
    let tag = QueryMessage { index_type: Some("T".into()), ..query("tag", 2) };
    assert_eq!(bodies(test.request(&tag)), ["T38", "T39"]);
}

#[test]
fn a_search_by_unique_id_takes_the_configured_number() {
    let test = with_messages();
    let unique = QueryMessage { unique_key_query: Some(true), ..query("a", 1) };
    assert_eq!(bodies(test.request(&unique)).len(), 32);
    assert_eq!(bodies(test.request(&query("a", 1000))).len(), 40);
}

#[test]
fn the_answer_says_how_far_the_index_is() {
    let test = with_messages();
    let last = test.stored("U", 0).pop().expect("there are some");
    let header: QueryMessageResponse =
        test.request(&query("k7", 1)).header().expect("the answer has one");
    assert_eq!(header.index_last_update_phyoffset, last.physical_offset);
    assert_eq!(header.index_last_update_timestamp, last.store_timestamp.0);
}

#[test]
fn nothing_found_is_told_in_javas_words() {
    let test = with_messages();
    let late = QueryMessage { begin_timestamp: i64::MAX - 1, ..query("k7", 1) };
    for nothing in [query("k70", 1), query("tag", 1), query("k7", 0), query("k7", -1), late] {
        let answer = test.request(&nothing);
        assert_eq!(answer.code, ResponseCode::QueryNotFound as i32);
        assert_eq!(answer.remark.as_deref(), Some(NOTHING_FOUND));
        let header: QueryMessageResponse = answer.header().expect("the answer has one");
        assert_eq!(header.index_last_update_phyoffset, 0);
    }
}
