//! The commands on directories that a Java broker left, whole and damaged.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use clap::Parser;
use serde_json::Value;
use skua_protocol::record::{FLAG_INNER_BATCH, FLAG_NEED_UNWRAP, NewRecord, encode_batch_item};
use skua_protocol::{Millis, QueueId};
use skua_store::{FileSize, IndexOptions, RealDisk, Store, StoreOptions};
use skua_storetool::{Args, Place, REFILL_MARK, move_aside, run_on};
use tempfile::TempDir;

struct Fixture {
    _dir: TempDir,
    root: PathBuf,
}

impl Fixture {
    fn unpack(name: &str) -> Self {
        let dir = tempfile::tempdir().expect("there is space");
        let archive = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("../store/tests/fixtures/{name}.tar.gz"));
        let tar = Command::new("tar").arg("xzSf").arg(archive).current_dir(dir.path()).status();
        assert!(tar.expect("tar is installed").success());
        Self { root: dir.path().join(name), _dir: dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn flip(&self, name: &str, at: u64) {
        let file = fs::OpenOptions::new().read(true).write(true).open(self.path(name));
        let file = file.expect("it is there");
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).expect("within the file");
        file.write_all_at(&[byte[0] ^ 0x10], at).expect("writable");
    }

    /// Status and output of a command on this directory.
    fn run(&self, words: &str) -> (u8, String) {
        let (command, rest) = words.split_once(' ').unwrap_or((words, ""));
        let root = self.root.to_string_lossy().into_owned();
        let words = ["store", command, &root].into_iter();
        let words = words.chain(rest.split(' ').filter(|word| !word.is_empty()));
        let args = Args::try_parse_from(words).expect("these arguments are right");
        let mut out = Vec::new();
        let status = run_on(&args, &options, &mut out);
        (status, String::from_utf8(out).expect("text"))
    }

    fn lines(&self, words: &str) -> Vec<Value> {
        let (status, text) = self.run(words);
        assert_eq!(status, 0, "{words}: {text}");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// All files with their content.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut dirs = vec![self.root.clone()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).expect("a directory") {
                let path = entry.expect("readable").path();
                // Large and sparse, and nobody's here.
                if path.is_dir() {
                    dirs.push(path);
                } else if !path.ends_with("timerwheel") {
                    files.insert(path.clone(), fs::read(&path).expect("readable"));
                }
            }
        }
        files
    }
}

/// The fixtures' own sizes.
fn options(place: &Place) -> Result<StoreOptions, String> {
    let root = place.dir.clone().expect("given");
    let index = Some(IndexOptions { hash_slots: 64, entries: 256 });
    let batch_topics = vec!["Batch".to_owned()];
    Ok(StoreOptions { index, batch_topics, ..StoreOptions::new(root) })
}

#[test]
fn whole_directories_verify_as_whole_and_are_not_changed() {
    for (name, records) in [("store-clean", 121), ("store-kill9", 41), ("store-crcprop", 4)] {
        let fixture = Fixture::unpack(name);
        let before = fixture.files();
        let (status, text) = fixture.run("verify --json");
        assert_eq!(status, 0, "{name}: {text}");
        let counts: Value =
            serde_json::from_str(text.lines().last().expect("counts")).expect("JSON");
        assert_eq!(counts["records"], records, "{name}");
        assert!(counts["indexEntries"].as_u64() > Some(0), "{name}: {text}");
        assert_eq!(fixture.run("inspect").0, 0);
        assert_eq!(fixture.run("dump").0, 0);
        assert!(before == fixture.files(), "{name} was changed");
    }
}

#[test]
fn every_kind_of_damage_is_told_with_file_and_place() {
    // File, byte, and what the finding says of the place.
    let log = "commitlog/00000000000000000000";
    let queue = "consumequeue/TopicB/0/00000000000000000000";
    let index = "index/20261123202140029";
    let entry = 40 + 4 * 64 + 20;
    let cases = [
        // In the second record's body.
        (log, 278 + 92, log, 278),
        (queue, 7, queue, 0),
        (queue, 11, queue, 0),
        (index, entry + 3, index, entry),
        (index, entry + 11, index, entry),
    ];
    for (file, at, said, place) in cases {
        let fixture = Fixture::unpack("store-clean");
        fixture.flip(file, at);
        let (status, text) = fixture.run("verify");
        assert_eq!(status, 1, "{file} at {at}: {text}");
        let expected = format!("damage: {} at byte {place}:", fixture.path(said).display());
        assert!(text.contains(&expected), "{file} at {at}: {text}");
    }
    let fixture = Fixture::unpack("store-clean");
    fs::write(fixture.path("config/topics.json"), "{\"topicConfigTable\":{").expect("writable");
    let half = fs::OpenOptions::new().write(true).open(fixture.path(log)).expect("there");
    half.set_len(10_000).expect("writable");
    let (status, text) = fixture.run("verify");
    assert_eq!(status, 1);
    assert!(text.contains("topics.json at byte"), "{text}");
    let short = format!("damage: {} at byte 10000: 10000 bytes", fixture.path(log).display());
    assert!(text.contains(&short), "{text}");
}

#[test]
fn a_torn_tail_is_a_note_and_damage_before_it_is_not() {
    let fixture = Fixture::unpack("store-kill9");
    let last = fixture.path("commitlog/00000000000000065536");
    let file = fs::OpenOptions::new().write(true).open(&last).expect("there");
    file.write_all_at(b"\0\0\x01\x02rubbish", 92_338 - 65_536).expect("writable");
    let (status, text) = fixture.run("verify");
    assert_eq!(status, 0, "{text}");
    assert!(text.contains("at byte 26802: the log ends here"), "{text}");
}

#[test]
fn damage_is_shown_and_cut_or_bridged_only_when_that_is_chosen() {
    for (choice, kept) in [("--bridge", 11), ("--cut", 1)] {
        let fixture = Fixture::unpack("store-kill9");
        // In the third record's body: of TopicA, as are the twelve around it.
        fixture.flip("commitlog/00000000000000000000", 278 + 279 + 92);
        let before = fixture.files();
        let (status, text) = fixture.run("repair");
        assert_eq!(status, 1, "{text}");
        assert!(text.contains("at byte 557 (physical offset 557)"), "{text}");
        assert!(text.contains("38 whole messages are behind"), "{text}");
        assert!(before == fixture.files(), "showing changes nothing");
        let (status, text) = fixture.run(&format!("repair {choice}"));
        assert_eq!(status, 0, "{choice}: {text}");
        let (status, text) = fixture.run("verify");
        assert_eq!(status, 0, "{choice}: {text}");
        let left = fixture.lines("dump --json");
        let topic_a = left.iter().filter(|line| line["topic"] == "TopicA").count();
        assert!(topic_a >= kept && topic_a < 13, "{choice}: {topic_a} messages of TopicA are left");
        assert_eq!(left.iter().any(|line| line["topic"] == "TopicB"), choice == "--bridge");
    }
}

#[test]
fn queues_and_index_are_made_anew_from_the_log() {
    let fixture = Fixture::unpack("store-kill9");
    let before = fixture.lines("dump --topic TopicB --json");
    // No start can know that a queue went on.
    let last = fs::read_dir(fixture.path("consumequeue/TopicB/0")).expect("there");
    let last = last.map(|entry| entry.expect("readable").path()).max().expect("files");
    fs::remove_file(last).expect("removed");
    let (status, text) = fixture.run("repair --rebuild-queues --rebuild-index");
    assert_eq!(status, 0, "{text}");
    assert_eq!(fixture.lines("dump --topic TopicB --json"), before);
    let (status, text) = fixture.run("verify --json");
    assert_eq!(status, 0, "{text}");
    assert!(!text.contains("\"indexEntries\":0"), "{text}");
}

#[test]
fn messages_are_found_by_topic_queue_offset_key_time_and_tag() {
    let fixture = Fixture::unpack("store-clean");
    let all = fixture.lines("dump --topic TopicA --json");
    assert_eq!(all.len(), 13);
    assert_eq!(all[0]["body"], "hello-A-0");
    let offsets: Vec<_> = all.iter().map(|m| m["physicalOffset"].as_i64()).collect();
    assert!(offsets.is_sorted(), "in the order they were stored");
    assert_eq!(fixture.lines("dump --topic TopicA -q 1 -o 2 -n 3 --json").len(), 3);
    let by_key = fixture.lines("dump --topic TopicA --key k3 --json");
    assert_eq!(by_key.len(), 1);
    assert_eq!(by_key[0]["body"], "hello-A-3");
    assert_eq!(fixture.lines("dump --key k3 --topic TopicA --tag TagA --json").len(), 0);
    let time = all[5]["storeTime"].to_string();
    let at = fixture.lines(&format!("dump --topic TopicA --begin {time} --end {time} --json"));
    assert!(at.contains(&all[5]));
    // Half messages are in no queue of their topic, but in the log.
    assert_eq!(fixture.lines("dump --json").len(), 121);
    assert_eq!(fixture.run("dump --topic NoSuchTopic").0, 2);
    let (_, text) = fixture.run("dump --topic TopicA -q 1");
    assert!(text.contains("xxxxxxxx…"), "a compressed body is shown as it was sent: {text}");
}

#[test]
fn an_exported_topic_is_imported_with_its_bytes_and_its_configuration() {
    let fixture = Fixture::unpack("store-clean");
    let target = tempfile::tempdir().expect("there is space");
    let file = target.path().join("TopicA.jsonl");
    let (status, _) = fixture.run(&format!("export --topic TopicA -f {}", file.display()));
    assert_eq!(status, 0);

    let other = Fixture { root: target.path().join("store"), _dir: target };
    for nth in 1..=2 {
        let (status, text) = other.run(&format!("import -f {}", file.display()));
        assert_eq!(status, 0, "{text}");
        assert_eq!(text.contains("added to config/topics.json"), nth == 1, "{text}");
        assert_eq!(other.run("verify").0, 0);
    }
    let before = fixture.lines("dump --topic TopicA --json");
    let after = other.lines("dump --topic TopicA --json");
    assert_eq!(after.len(), 2 * before.len());
    for (nth, message) in after.iter().enumerate() {
        let source = &before[nth % before.len()];
        for field in ["body", "bodyBase64", "properties", "queueId", "flag", "sysFlag", "bornTime"]
        {
            assert_eq!(message[field], source[field], "{field} of message {nth}");
        }
    }
    let topics = fs::read(other.path("config/topics.json")).expect("there");
    let topics: Value = serde_json::from_slice(&topics).expect("JSON");
    assert_eq!(topics["topicConfigTable"]["TopicA"]["topicName"], "TopicA");
    let (status, _) = other.run("import -f /nonexistent");
    assert_eq!(status, 2);
}

#[test]
fn a_directory_in_use_can_be_looked_at_and_not_imported_into() {
    let fixture = Fixture::unpack("store-clean");
    let place = Place { dir: Some(fixture.root.clone()), config: None };
    let options = options(&place).expect("they are right");
    let now = Millis(1_800_000_000_000);
    let store = Store::open(options, Arc::new(RealDisk), now).expect("it opens");
    assert_eq!(fixture.run("verify").0, 0);
    let (_, text) = fixture.run("inspect");
    assert!(text.contains("or a broker is running"), "{text}");
    let file = fixture.path("exported");
    assert_eq!(fixture.run(&format!("export --topic TopicB -f {}", file.display())).0, 0);
    assert_eq!(fixture.run(&format!("import -f {}", file.display())).0, 2);
    store.close().expect("nothing fails");
    assert_eq!(fixture.run("verify").0, 0);
}

#[test]
fn a_log_is_set_aside_and_can_still_be_read() {
    let fixture = Fixture::unpack("store-clean");
    let before = fixture.lines("dump --json").len();
    assert!(before > 0);
    let (status, text) = fixture.run("set-aside");
    assert_eq!(status, 0, "{text}");
    let aside = fs::read_dir(&fixture.root).expect("a folder").flatten();
    let aside = aside.map(|entry| entry.path()).find(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("aside-"))
    });
    assert!(fixture.path("config/topics.json").exists());
    assert!(!fixture.path("commitlog").exists() && !fixture.path("consumequeue").exists());
    let store = Store::open(StoreOptions::new(fixture.root.clone()), Arc::new(RealDisk), Millis(0));
    let store = store.expect("an empty store");
    assert_eq!(store.appended().0, 0);
    store.close().expect("closes");
    let aside = Fixture { root: aside.expect("named so"), _dir: fixture._dir };
    assert_eq!(aside.lines("dump --json").len(), before);
}

#[test]
fn what_a_kill_left_half_set_aside_is_finished_under_the_same_name() {
    let fixture = Fixture::unpack("store-clean");
    let before = fixture.lines("dump --json").len();
    fs::write(fixture.path(REFILL_MARK), "aside-1\nbehind\n").expect("writable");
    fs::create_dir_all(fixture.path("aside-1/config")).expect("writable");
    fs::rename(fixture.path("commitlog"), fixture.path("aside-1/commitlog")).expect("moved");
    let options = StoreOptions::new(fixture.root.clone());
    for name in ["elsewhere", "aside-1/..", "../aside-1"] {
        assert!(move_aside(&options, name, &mut |_, _| Ok(())).is_err(), "{name}");
    }
    assert!(fixture.path(REFILL_MARK).exists(), "until all is done");
    let aside = move_aside(&options, "aside-1", &mut |_, _| Ok(())).expect("it goes on");
    assert!(!fixture.path(REFILL_MARK).exists() && !fixture.path("consumequeue").exists());
    let aside = Fixture { root: aside, _dir: fixture._dir };
    assert_eq!(aside.lines("dump --json").len(), before);
}

/// A store with a topic of the batch kind: 12 records with three messages each and 4 with one, in
/// two queues of small files.
fn batches() -> Fixture {
    let dir = tempfile::tempdir().expect("there is space");
    let fixture = Fixture { root: dir.path().join("store"), _dir: dir };
    let topics = serde_json::json!({"topicConfigTable": {"Batch": {
        "topicName": "Batch", "readQueueNums": 2, "writeQueueNums": 2, "perm": 6, "order": false,
        "topicFilterType": "SINGLE_TAG", "topicSysFlag": 0, "attributes": {"queue.type": "BatchCQ"},
    }}});
    fs::create_dir_all(fixture.path("config")).expect("writable");
    fs::write(fixture.path("config/topics.json"), topics.to_string()).expect("writable");
    let options = StoreOptions {
        batch_topics: vec!["Batch".to_owned()],
        batch_queue_file_size: FileSize::Exactly(46 * 5),
        commit_log_file_size: FileSize::Exactly(4096),
        index: Some(IndexOptions { hash_slots: 64, entries: 256 }),
        ..StoreOptions::new(fixture.root.clone())
    };
    let now = Millis(1_800_000_000_000);
    let store = Store::open(options, Arc::new(RealDisk), now).expect("it opens");
    let host = ([127, 0, 0, 1], 10911).into();
    for nth in 0..16_u32 {
        let count = if nth % 4 == 3 { 1 } else { 3 };
        let mut body = Vec::new();
        for inner in 0..count {
            let text = format!("body {nth}.{inner}");
            let properties = format!("KEYS\u{1}k{nth}.{inner}\u{2}");
            encode_batch_item(&mut body, 0, text.as_bytes(), properties.as_bytes()).expect("short");
        }
        let properties = format!("INNER_NUM\u{1}{count}\u{2}TAGS\u{1}TagA\u{2}");
        let record = NewRecord {
            topic: "Batch",
            queue_id: QueueId(nth / 4 % 2),
            flag: 0,
            sys_flag: FLAG_INNER_BATCH | FLAG_NEED_UNWRAP,
            born_timestamp: now,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: &body,
            properties: properties.as_bytes(),
        };
        store.append(&record, now).expect("it is stored");
    }
    store.close().expect("nothing fails");
    fixture
}

#[test]
fn batch_queues_are_shown_checked_and_copied() {
    let fixture = batches();
    let (status, text) = fixture.run("verify --json");
    assert_eq!(status, 0, "{text}");
    let counts: Value = serde_json::from_str(text.lines().last().expect("counts")).expect("JSON");
    assert_eq!((&counts["records"], &counts["queueEntries"]), (&16.into(), &16.into()), "{text}");
    let (_, text) = fixture.run("inspect --json");
    let shown: Value = serde_json::from_str(&text).expect("JSON");
    let queue = &shown["queues"][1];
    assert_eq!((&queue["topic"], &queue["queueId"]), (&"Batch".into(), &1.into()), "{shown}");
    assert_eq!((&queue["minOffset"], &queue["maxOffset"]), (&0.into(), &20.into()), "{shown}");
    assert_eq!(queue["lastStoreTime"], 1_800_000_000_000_i64);

    assert_eq!(fixture.lines("dump --topic Batch --json").len(), 16);
    // From the record on that holds the message.
    let from = fixture.lines("dump --topic Batch -q 0 -o 5 -n 2 --json");
    assert_eq!([&from[0]["queueOffset"], &from[1]["queueOffset"]], [&3, &6], "{from:?}");
    let (_, text) = fixture.run("dump --topic Batch -q 0 -o 4 -n 1");
    assert!(text.contains("offsets 3 to 5") && text.contains("4: KEYS=k1.1"), "{text}");
    assert!(text.contains("body 1.1"), "{text}");

    let target = tempfile::tempdir().expect("there is space");
    let file = target.path().join("Batch.jsonl");
    assert_eq!(fixture.run(&format!("export --topic Batch -f {}", file.display())).0, 0);
    let other = Fixture { root: target.path().join("store"), _dir: target };
    for _ in 0..2 {
        let (status, text) = other.run(&format!("import -f {}", file.display()));
        assert_eq!(status, 0, "{text}");
        let (status, text) = other.run("verify");
        assert_eq!(status, 0, "{text}");
    }
    let again = other.lines("dump --topic Batch -q 1 --json");
    assert_eq!(again.len(), 16);
    assert_eq!(again[8]["queueOffset"], 20);
    assert_eq!(again[8]["properties"]["INNER_BASE"], "20");
    assert!(other.path("batchconsumequeue/Batch/1").exists());
    assert!(!other.path("consumequeue/Batch").exists());
}

#[test]
fn damage_in_a_batch_queue_is_told_and_mended() {
    let second = "batchconsumequeue/Batch/0/00000000000000000230";
    // Physical offset, size, tags code, store time, first queue offset, messages.
    for at in [7, 11, 15, 25, 35, 37] {
        let fixture = batches();
        fixture.flip(second, 46 + at);
        let (status, text) = fixture.run("verify");
        let place = format!("damage: {} at byte", fixture.path(second).display());
        assert!(status == 1 && text.contains(&place), "{at}: {text}");
        assert_eq!(fixture.run("repair --rebuild-queues").0, 0);
        let (status, text) = fixture.run("verify");
        assert_eq!(status, 0, "{at}: {text}");
    }
    let fixture = batches();
    fs::remove_file(fixture.path("batchconsumequeue/Batch/0/00000000000000000000")).expect("there");
    let (status, text) = fixture.run("verify");
    assert!(status == 1 && text.contains("but the log has its message 0"), "{text}");
    fs::remove_dir_all(fixture.path("batchconsumequeue")).expect("there");
    assert_eq!(fixture.run("repair --rebuild-queues").0, 0);
    let (status, text) = fixture.run("verify");
    assert_eq!(status, 0, "{text}");
    assert_eq!(fixture.lines("dump --topic Batch --json").len(), 16);
}
