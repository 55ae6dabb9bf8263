use super::*;
use crate::files::Files;
use crate::files::tests::MemoryFiles;

const NOW: Millis = Millis(1_000);

fn system() -> SystemTopicOptions<'static> {
    SystemTopicOptions {
        cluster: "DefaultCluster",
        broker_name: "broker-a",
        auto_create_topics: true,
        default_queues: 8,
        cluster_topic: true,
        broker_topic: true,
        trace_topic: None,
        revive_queues: 8,
        light_queues: false,
        timer_wheel: true,
    }
}

fn open(files: &Arc<MemoryFiles>) -> TopicTable {
    let file = ConfigFile::new(files.clone(), "topics.json");
    TopicTable::open(file, &system(), NOW).expect("readable")
}

fn asked(topic: &str, queues: i32) -> AutoCreate<'_> {
    AutoCreate { topic, template: AUTO_CREATE_TOPIC, queues, sys_flag: 0 }
}

#[test]
fn the_systems_topics_are_those_a_java_broker_registers() {
    let body = include_str!("../../tests/fixtures/register_broker_topics.json");
    let java: TopicConfigSerializeWrapper =
        json::from_slice(body.as_bytes()).expect("recorded from Java");
    let ours = open(&Arc::default()).snapshot();
    assert_eq!(ours.topic_config_table, java.topic_config_table);
}

#[test]
fn a_topic_made_by_its_first_send_inherits_and_is_on_disk_at_once() {
    let files = Arc::new(MemoryFiles::default());
    let table = open(&files);
    let (topic, made) = table.auto_create(asked("T", 4), true, NOW).expect("saved").expect("made");
    assert!(made);
    assert_eq!(topic.config, TopicConfig::new("T", 4, 6));
    let (topic, made) =
        table.auto_create(asked("U", 100), true, NOW).expect("saved").expect("made");
    assert!(made);
    assert_eq!(topic.config.write_queue_nums, 8, "no more queues than the template has");
    let (_, made) = table.auto_create(asked("T", 1), true, NOW).expect("saved").expect("there");
    assert!(!made);
    assert!(open(&files).contains("T"));
}

#[test]
fn nothing_is_inherited_where_that_is_not_allowed() {
    let table = open(&Arc::default());
    let none = |asked, enabled| table.auto_create(asked, enabled, NOW).expect("no file").is_none();
    assert!(none(asked("T", 4), false));
    assert!(none(AutoCreate { template: "BenchmarkTest", ..asked("T", 4) }, true));
    assert!(none(AutoCreate { template: "NoSuchTopic", ..asked("T", 4) }, true));
    assert!(!table.contains("T"));
}

#[test]
fn changes_are_told_once_and_carry_the_version() {
    let table = open(&Arc::default());
    let before = table.version();
    table.auto_create(asked("T", 4), true, Millis(2_000)).expect("saved");
    let (version, topics) = table.take_unregistered();
    assert_eq!(version.counter, before.counter + 1);
    assert_eq!(version.timestamp, 2_000);
    assert_eq!(topics.len(), 1);
    assert_eq!(topics[0].config.topic_name, "T");
    assert!(table.take_unregistered().1.is_empty());
}

#[test]
fn an_update_with_one_bad_attribute_changes_nothing() {
    let table = open(&Arc::default());
    let bad = TopicConfig {
        attributes: [("+nonsense".to_owned(), "1".to_owned())].into(),
        ..TopicConfig::new("U", 1, 6)
    };
    assert!(table.update(vec![TopicConfig::new("T", 1, 6), bad], NOW).is_err());
    assert!(!table.contains("T") && !table.contains("U"));
}

#[test]
fn attributes_are_kept_over_updates_that_do_not_name_them() {
    let table = open(&Arc::default());
    let with = TopicConfig {
        attributes: [("+message.type".to_owned(), "DELAY".to_owned())].into(),
        ..TopicConfig::new("T", 4, 6)
    };
    table.update(vec![with], NOW).expect("known");
    table.update(vec![TopicConfig::new("T", 8, 6)], NOW).expect("plain");
    let topic = table.get("T").expect("made");
    assert_eq!(topic.config.write_queue_nums, 8);
    assert_eq!(topic.config.attributes["message.type"], "DELAY");
}

#[test]
fn the_file_is_javas_and_survives_a_restart() {
    let files = Arc::new(MemoryFiles::default());
    let table = open(&files);
    table.update(vec![TopicConfig::new("T", 2, 4)], Millis(5)).expect("saved");
    let text = files.read("topics.json").expect("memory").expect("written");
    let text = String::from_utf8(text).expect("JSON");
    assert!(
        text.starts_with("{\"dataVersion\":{\"counter\":1,\"stateVersion\":0,\"timestamp\":5},")
    );
    let again = open(&files);
    assert_eq!(again.get("T").expect("kept").config, TopicConfig::new("T", 2, 4));
    assert_eq!(again.version(), table.version());
    again.remove("T", NOW).expect("saved");
    assert!(!open(&files).contains("T"));
}
