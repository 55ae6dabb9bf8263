use skua_protocol::body::TopicConfig;
use skua_protocol::header::Fields;
use skua_protocol::{RequestCode, ResponseCode};
use skua_store::disk::Faults;

use super::*;
use crate::test_broker::TestBroker;

const HOUR: i64 = 3_600_000;

/// A broker with a topic of ten messages of 100 KB, which fill several files of the log.
fn filled() -> TestBroker {
    let test = TestBroker::new();
    test.disk.set_time(test.now);
    test.create_topic(TopicConfig::new("TopicA", 1, 6));
    let body = "x".repeat(100_000);
    for _ in 0..10 {
        assert_eq!(test.send("TopicA", 0, "", &body).code, ResponseCode::Success as i32);
    }
    test
}

fn code(test: &TestBroker, code: RequestCode) -> i32 {
    test.raw(code as i32, Fields::new(), "").code
}

/// What the files thread does in the next minute.
fn tend(test: &TestBroker) {
    for step in 0..1200 {
        test.store.files_due(test.now.plus(step * 50));
    }
}

#[test]
fn rules_changed_by_request_are_obeyed_at_once() {
    let mut test = filled();
    test.pass(2 * HOUR);
    tend(&test);
    assert_eq!(test.store.min_physical_offset().0, 0);
    let hours: Vec<String> = (0..24).map(|hour: u8| hour.to_string()).collect();
    let change = format!("deleteWhen={}\nfileReservedTime=1", hours.join(";"));
    let answer = test.raw(RequestCode::UpdateBrokerConfig as i32, Fields::new(), change);
    assert_eq!(answer.code, ResponseCode::Success as i32, "{answer:?}");
    tend(&test);
    assert!(test.store.min_physical_offset().0 > 0);
    let wrong = test.raw(RequestCode::UpdateBrokerConfig as i32, Fields::new(), "deleteWhen=24");
    assert!(wrong.remark.is_some_and(|remark| remark.contains("from 0 to 23")));
}

#[test]
fn percents_keep_to_javas_bounds() {
    let config = StoreConfig {
        disk_max_used_space_ratio: 99,
        disk_space_clean_forcibly_ratio: 99,
        disk_space_warning_level_ratio: 99,
        delete_when: "04; 16;".into(),
        ..StoreConfig::default()
    };
    let rules = retention_rules(&config);
    let percents = (rules.max_used_percent, rules.forcible_percent, rules.refuse_percent);
    assert_eq!(percents, (95, 85, 90));
    assert_eq!(rules.delete_hours, [4, 16]);
    assert_eq!(retention_rules(&StoreConfig::default()), RetentionRules::default());
}

#[test]
fn expired_files_go_when_asked_for() {
    let mut test = filled();
    test.pass(100 * HOUR);
    assert_eq!(code(&test, RequestCode::DeleteExpiredCommitLog), ResponseCode::Success as i32);
    test.store.files_due(test.now);
    assert!(test.store.min_physical_offset().0 > 0);
    assert_eq!(code(&test, RequestCode::CleanExpiredConsumeQueue), ResponseCode::Success as i32);
}

#[test]
fn queues_of_topics_in_no_table_go_when_asked_for() {
    let test = filled();
    for topic in ["Nobodys", "%LMQ%kept"] {
        let record = skua_protocol::record::NewRecord {
            topic,
            queue_id: QueueId(0),
            flag: 0,
            sys_flag: 0,
            born_timestamp: test.now,
            born_host: ([127, 0, 0, 1], 1).into(),
            store_host: ([127, 0, 0, 1], 1).into(),
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: b"x",
            properties: b"",
        };
        test.append(&record);
    }
    assert_eq!(code(&test, RequestCode::CleanUnusedTopic), ResponseCode::Success as i32);
    let left = test.store.queue_list().expect("listed");
    let left: Vec<_> = left.iter().map(|(topic, _)| topic.as_str()).collect();
    assert_eq!(left, ["%LMQ%kept", "TopicA"]);
}

#[test]
fn a_full_disk_is_named_to_senders() {
    let test = filled();
    let faults = Faults { available: Some((1 << 40) / 20), ..Faults::default() };
    test.disk.set_faults(faults);
    test.store.files_due(test.now);
    let answer = test.send("TopicA", 0, "", "x");
    assert_eq!(answer.code, ResponseCode::ServiceNotAvailable as i32);
    let remark = answer.remark.expect("it says why");
    assert!(remark.starts_with("service not available now."), "{remark}");
    assert!(remark.contains("96 % full, diskSpaceWarningLevelRatio is 90"), "{remark}");
    assert_eq!(test.stored("TopicA", 0).len(), 10);
    test.disk.set_faults(Faults::default());
    test.store.files_due(test.now);
    assert_eq!(test.send("TopicA", 0, "", "x").code, ResponseCode::Success as i32);
}

#[test]
fn what_known_groups_have_not_consumed_is_needed() {
    let test = filled();
    let at = |offset| test.store.physical_offset("TopicA", QueueId(0), QueueOffset(offset));
    assert_eq!(test.broker.needed_from(), None);
    test.broker.offsets.commit("Unknown", "TopicA", 0, 1, test.now);
    assert_eq!(test.broker.needed_from(), None);
    test.beat(&test.peer, "GroupA", Vec::new());
    test.beat(&test.peer, "GroupB", Vec::new());
    test.broker.offsets.commit("GroupA", "TopicA", 0, 10, test.now);
    assert_eq!(test.broker.needed_from(), None);
    test.broker.offsets.commit("GroupB", "TopicA", 0, 4, test.now);
    assert!(at(4).is_some());
    assert_eq!(test.broker.needed_from(), at(4));
    // Delayed messages that wait are needed, too.
    test.broker.offsets.commit("GroupB", "TopicA", 0, 10, test.now);
    test.send("TopicA", 0, "DELAY\u{1}18\u{2}", "later");
    let waiting = test.store.physical_offset(SCHEDULE_TOPIC, QueueId(17), QueueOffset(0));
    assert!(waiting.is_some());
    assert_eq!(test.broker.needed_from(), waiting);
}
