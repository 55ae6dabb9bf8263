use std::collections::BTreeMap;

use proptest::prelude::*;
use skua_protocol::body::TopicConfig;

use super::*;
use crate::test_broker::TestBroker;

/// Short levels, so that several are due in one test.
const LEVELS: &str = "messageDelayLevel=1s 5s 10s";

fn with_topic() -> TestBroker {
    let test = TestBroker::with(LEVELS);
    test.create_topic(TopicConfig::new("T", 1, 6));
    test
}

fn delay(test: &TestBroker, level: i32, body: &str) {
    let answer = test.send("T", 0, &format!("DELAY\u{1}{level}\u{2}"), body);
    assert_eq!(answer.code, 0, "{:?}", answer.remark);
}

fn delivered(test: &TestBroker) -> Vec<String> {
    test.dispatch();
    let messages = test.stored("T", 0);
    messages.iter().map(|message| String::from_utf8_lossy(&message.body).into_owned()).collect()
}

#[test]
fn levels_are_read_as_java_reads_them() {
    assert_eq!(parse_levels("1s 5m  2h 1d"), Ok(vec![1_000, 300_000, 7_200_000, 86_400_000]));
    for bad in ["1", "s", "1x", "-1s", "é"] {
        assert!(parse_levels(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_message_is_delivered_at_its_time_and_not_before() {
    let mut test = with_topic();
    test.run_after(0);
    delay(&test, 2, "five seconds");
    assert_eq!(test.asked.wake.load(Ordering::SeqCst), test.now.plus(5_000).0);
    assert_eq!(test.run_after(4_999), Some(test.now.plus(1)));
    assert_eq!(delivered(&test), [""; 0]);
    test.run_after(1);
    assert_eq!(delivered(&test), ["five seconds"]);
    let message = test.stored("T", 0).remove(0);
    assert_eq!(message.property("REAL_TOPIC"), Some("T"), "Java keeps it");
    assert_eq!(message.property("DELAY"), Some("2"));
}

#[test]
fn a_record_that_cannot_be_delivered_stands_in_nobodys_way() {
    let mut test = with_topic();
    let bad = |properties: &str| {
        let message = test.message("T", 0, "");
        test.append(&NewRecord {
            topic: SCHEDULE_TOPIC,
            queue_id: QueueId(0),
            flag: 0,
            sys_flag: 0,
            born_timestamp: Millis(message.born_timestamp),
            born_host: ([127, 0, 0, 1], 1).into(),
            store_host: ([127, 0, 0, 1], 2).into(),
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: b"bad",
            properties: properties.as_bytes(),
        });
    };
    bad("DELAY\u{1}1\u{2}");
    bad("DELAY\u{1}1\u{2}REAL_TOPIC\u{1}T\u{2}REAL_QID\u{1}x\u{2}");
    bad("DELAY\u{1}1\u{2}REAL_TOPIC\u{1}RMQ_SYS_TRANS_HALF_TOPIC\u{2}REAL_QID\u{1}0\u{2}");
    delay(&test, 1, "good");
    test.run_after(1_000);
    assert_eq!(delivered(&test), ["good"]);
}

#[test]
fn progress_is_kept_over_a_restart() {
    let mut test = with_topic();
    delay(&test, 1, "before");
    test.run_after(1_000);
    delay(&test, 2, "after");
    let mut test = test.restart();
    assert_eq!(delivered(&test), ["before"]);
    test.run_after(5_000);
    assert_eq!(delivered(&test), ["before", "after"]);
    test.run_after(60_000);
    assert_eq!(delivered(&test), ["before", "after"]);
}

#[test]
fn javas_progress_file_is_understood() {
    let file = r#"{"dataVersion":{"counter":17,"stateVersion":0,"timestamp":5},"offsetTable":{
        1:2,18:0}}"#;
    let files = std::sync::Arc::new(crate::files::tests::MemoryFiles::default());
    let file_of = |name| ConfigFile::new(files.clone(), name);
    file_of(FILE).save(|| file.into()).expect("memory");
    let rules = SaveRules { interval_ms: 10_000, version_step: 200 };
    let levels = DelayLevels::open(&[1_000; 18], file_of(FILE), rules, Millis(0)).expect("Java's");
    assert_eq!(levels.levels[0].next.load(Ordering::Relaxed), 2);
    let text = String::from_utf8(levels.encode()).expect("JSON");
    assert!(text.contains("\"counter\":17") && text.contains("\"1\":2"), "{text}");
}

#[derive(Clone, Debug)]
enum Step {
    Send { level: i32 },
    Pass { ms: i64 },
    Run,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(
        prop_oneof![
            6 => (1..=4i32).prop_map(|level| Step::Send { level }),
            6 => (1..4_000i64).prop_map(|ms| Step::Pass { ms }),
            6 => Just(Step::Run),
            1 => Just(Step::Restart),
        ],
        1..60,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens in between: nothing early, nothing lost, nothing twice after a clean
    /// end, and a run leaves nothing that was due.
    #[test]
    fn every_message_is_delivered_once_and_never_early(steps in steps()) {
        let mut test = with_topic();
        let delays = [1_000, 5_000, 10_000];
        let mut due: BTreeMap<String, Millis> = BTreeMap::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Send { level } => {
                    let body = number.to_string();
                    delay(&test, level, &body);
                    due.insert(body, test.now.plus(delays[level.min(3) as usize - 1]));
                }
                Step::Pass { ms } => test.pass(ms),
                Step::Run => {
                    test.run_after(0);
                    let delivered = delivered(&test);
                    for (body, at) in &due {
                        let times = delivered.iter().filter(|other| *other == body).count();
                        prop_assert_eq!(times, usize::from(*at <= test.now), "{} at {:?}", body, at);
                    }
                }
                Step::Restart => test = test.restart(),
            }
        }
        test.run_after(20_000);
        prop_assert_eq!(delivered(&test).len(), due.len());
    }
}
