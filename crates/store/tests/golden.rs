//! Directories that a Java broker left, opened by Skua.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use common::{NOW, dispatch_all, entries, message, messages};
use serde_json::Value;
use skua_protocol::{PhysicalOffset, QueueId};
use skua_store::{OpenError, RealDisk, Store, StoreOptions};
use tempfile::TempDir;

/// A fixture, unpacked, and what it holds.
struct Golden {
    _dir: TempDir,
    root: PathBuf,
    listing: Value,
}

impl Golden {
    fn unpack(name: &str) -> Self {
        let dir = tempfile::tempdir().expect("there is space");
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let tar = Command::new("tar")
            .arg("xzSf")
            .arg(fixtures.join(format!("{name}.tar.gz")))
            .current_dir(dir.path())
            .status();
        assert!(tar.expect("tar is installed").success());
        let listing = fs::read(fixtures.join(format!("{name}.json"))).expect("it is there");
        let listing = serde_json::from_slice(&listing).expect("it is JSON");
        Self { root: dir.path().join(name), _dir: dir, listing }
    }

    fn open(&self) -> Store {
        Store::open(StoreOptions::new(&self.root), Arc::new(RealDisk), NOW).expect("it opens")
    }

    /// Topic and queue id with their entries: offset, physical offset, size.
    fn queues(&self) -> BTreeMap<(String, u32), Vec<[u64; 3]>> {
        let queues = self.listing["queues"].as_object().expect("there are queues");
        let simple = queues.iter().filter(|(name, _)| !name.ends_with(" (batch)"));
        simple
            .map(|(name, entries)| {
                let (topic, queue) = name.rsplit_once('/').expect("topic/queue");
                let number = |entry: &Value, field: &str| entry[field].as_u64().expect("a number");
                let entries = entries.as_array().expect("a list").iter();
                let entries = entries
                    .map(|entry| ["cq", "phy", "size"].map(|field| number(entry, field)))
                    .collect();
                ((topic.to_owned(), queue.parse().expect("a number")), entries)
            })
            .collect()
    }

    /// Every queue and every record is as the listing says.
    fn check(&self, store: &Store) {
        for ((topic, queue), listed) in self.queues() {
            let found: Vec<_> = entries(store, &topic, queue)
                .iter()
                .map(|entry| [entry.queue_offset.0, entry.physical_offset.0, u64::from(entry.size)])
                .collect();
            assert_eq!(found, listed, "{topic}/{queue}");
        }
        let records = self.listing["records"].as_array().expect("a list");
        for record in records.iter().filter(|record| record["kind"] != "BLANK") {
            let offset = PhysicalOffset(record["offset"].as_u64().expect("a number"));
            let bytes = store.record_at(offset, None).expect("readable").expect("a record");
            let found = skua_protocol::record::Record::parse_with(&bytes, true).expect("whole");
            assert_eq!(found.topic(), record["topic"]);
            assert_eq!(found.queue_offset(), record["queueOffset"]);
            assert_eq!(found.body().len() as u64, record["bodyLen"]);
            assert_eq!(found.store_timestamp().0, record["storeTimestamp"]);
        }
    }

    fn commit_log(&self, base: u64) -> PathBuf {
        self.root.join(format!("commitlog/{base:020}"))
    }

    /// All consume queue files with their content.
    fn queue_files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut dirs = vec![self.root.join("consumequeue")];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).expect("a directory") {
                let path = entry.expect("readable").path();
                if path.is_dir() {
                    dirs.push(path);
                } else {
                    let content = fs::read(&path).expect("readable");
                    files.insert(path, content);
                }
            }
        }
        files
    }
}

fn write_at(path: &Path, offset: u64, bytes: &[u8]) {
    let file = fs::OpenOptions::new().write(true).open(path).expect("it is there");
    std::os::unix::fs::FileExt::write_all_at(&file, bytes, offset).expect("writable");
}

#[test]
fn a_cleanly_stopped_java_store_opens_and_keeps_its_queue_files_byte_for_byte() {
    let golden = Golden::unpack("store-clean");
    let before = golden.queue_files();
    let store = golden.open();
    let recovered = store.recovered();
    assert_eq!((recovered.end, recovered.was_killed, recovered.cut), (245_982, false, 0));
    golden.check(&store);
    store.close().expect("nothing fails");
    assert_eq!(golden.queue_files(), before);
    assert!(!golden.root.join("abort").exists());
}

#[test]
fn a_killed_java_store_opens() {
    let golden = Golden::unpack("store-kill9");
    let store = golden.open();
    assert_eq!((store.recovered().end, store.recovered().was_killed), (92_338, true));
    golden.check(&store);
    let tags = entries(&store, "TopicA", 0).iter().map(|entry| entry.tags_code).collect::<Vec<_>>();
    assert_eq!(tags[..6], [2_598_919, 2_598_919, 2_598_919, 2_598_919, 2_598_919, 2_598_921]);
}

#[test]
fn a_java_store_with_record_checksums_opens() {
    let golden = Golden::unpack("store-crcprop");
    let store = golden.open();
    golden.check(&store);
    let bodies: Vec<_> =
        messages(&store, "TopicK9", 0).into_iter().map(|message| message.body).collect();
    assert_eq!(bodies, ["sync-0", "sync-1", "sync-0", "sync-1"]);
}

#[test]
fn a_record_cut_in_half_is_left_out_and_so_are_its_entries() {
    let golden = Golden::unpack("store-kill9");
    let records = golden.listing["records"].as_array().expect("a list");
    let last = records.iter().rfind(|record| record["kind"] != "BLANK").expect("there are records");
    assert_eq!(last["offset"], 92_080);
    write_at(&golden.commit_log(65_536), 92_080 - 65_536 + 130, &[0; 128]);
    let store = golden.open();
    assert_eq!(store.recovered().end, 92_080);
    assert!(store.recovered().cut > 0);
    let topic = last["topic"].as_str().expect("text");
    let queue = last["queueId"].as_u64().expect("a number") as u32;
    let offset = last["queueOffset"].as_u64().expect("a number");
    assert_eq!(store.max_offset(topic, QueueId(queue)).expect("it has others").0, offset);

    let receipt = store.append(&message(topic, queue, b"next"), NOW).expect("stored");
    assert_eq!((receipt.physical_offset.0, receipt.queue_offset.0), (92_080, offset));
    dispatch_all(&store);
    let found = messages(&store, topic, queue);
    assert_eq!(found.len() as u64, offset + 1);
    assert_eq!(found.last().expect("it has some").body, "next");
}

#[test]
fn deleted_consume_queues_are_built_again() {
    for name in ["store-kill9", "store-crcprop"] {
        let golden = Golden::unpack(name);
        let before = golden.queue_files();
        fs::remove_dir_all(golden.root.join("consumequeue")).expect("it is there");
        let store = golden.open();
        golden.check(&store);
        store.close().expect("nothing fails");
        // The size of a queue file can no longer be found.
        let store = Store::open(
            StoreOptions {
                consume_queue_file_size: skua_store::FileSize::Exactly(400),
                ..StoreOptions::new(&golden.root)
            },
            Arc::new(RealDisk),
            NOW,
        );
        assert!(matches!(store, Err(OpenError::FileSize { .. })), "files are of 6,000,000 bytes");

        fs::remove_dir_all(golden.root.join("consumequeue")).expect("it is there");
        let options = StoreOptions {
            consume_queue_file_size: skua_store::FileSize::Exactly(400),
            ..StoreOptions::new(&golden.root)
        };
        let store = Store::open(options, Arc::new(RealDisk), NOW).expect("it opens");
        golden.check(&store);
        store.close().expect("nothing fails");
        assert_eq!(golden.queue_files(), before, "{name}: as Java wrote them");
    }
}

#[test]
fn one_deleted_queue_is_built_again() {
    let golden = Golden::unpack("store-kill9");
    fs::remove_dir_all(golden.root.join("consumequeue/TopicA/0")).expect("it is there");
    write_at(&golden.root.join("checkpoint"), 0, &[0; 16]);
    golden.check(&golden.open());
}

#[test]
fn a_zeroed_or_missing_checkpoint_costs_only_time() {
    let golden = Golden::unpack("store-kill9");
    write_at(&golden.root.join("checkpoint"), 0, &[0; 4096]);
    let store = golden.open();
    assert_eq!((store.recovered().from, store.recovered().end), (0, 92_338));
    golden.check(&store);
    drop(store);
    fs::remove_file(golden.root.join("checkpoint")).expect("it is there");
    golden.check(&golden.open());
}

#[test]
fn rubbish_after_the_end_is_cut() {
    let golden = Golden::unpack("store-kill9");
    write_at(&golden.commit_log(65_536), 92_338 - 65_536, b"rubbish that is no record at all");
    write_at(&golden.commit_log(65_536), 65_000, b"more");
    let store = golden.open();
    assert_eq!(store.recovered().end, 92_338);
    assert_eq!(store.recovered().cut, 65_536 + 65_004 - 92_338);
    golden.check(&store);
    let content = fs::read(golden.commit_log(65_536)).expect("readable");
    assert!(content[92_338 - 65_536..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_killed_store_without_its_abort_file_opens() {
    let golden = Golden::unpack("store-kill9");
    fs::remove_file(golden.root.join("abort")).expect("it is there");
    let store = golden.open();
    assert_eq!((store.recovered().end, store.recovered().was_killed), (92_338, false));
    golden.check(&store);
}

#[test]
fn a_java_store_goes_on_in_skua_over_several_files_and_restarts() {
    let golden = Golden::unpack("store-kill9");
    for round in 0..3 {
        let store = golden.open();
        golden_prefix(&golden, &store);
        for number in 0..60 {
            let body = format!("{round}-{number} {}", "x".repeat(1500));
            store.append(&message("TopicNew", number % 3, body.as_bytes()), NOW).expect("stored");
            store.append(&message("TopicB", 0, body.as_bytes()), NOW).expect("stored");
        }
        dispatch_all(&store);
        if round == 1 {
            drop(store);
        } else {
            store.close().expect("nothing fails");
        }
    }
    let store = golden.open();
    golden_prefix(&golden, &store);
    assert_eq!(messages(&store, "TopicNew", 1).len(), 60);
    let found = messages(&store, "TopicB", 0);
    assert_eq!(found.len(), 20 + 180);
    assert!(found.iter().zip(0..).all(|(message, offset)| message.queue_offset == offset));
    let last = found.last().expect("there are some");
    assert!(last.body.starts_with(b"2-59 "));
}

/// The listed entries are still the first ones.
fn golden_prefix(golden: &Golden, store: &Store) {
    for ((topic, queue), listed) in golden.queues() {
        let found = entries(store, &topic, queue);
        assert!(found.len() >= listed.len());
        for (entry, listed) in found.iter().zip(listed) {
            assert_eq!([entry.queue_offset.0, entry.physical_offset.0], listed[..2]);
        }
    }
}

#[test]
fn a_second_store_on_the_same_directory_is_refused() {
    let golden = Golden::unpack("store-crcprop");
    let store = golden.open();
    let second = Store::open(StoreOptions::new(&golden.root), Arc::new(RealDisk), NOW);
    assert!(matches!(second, Err(OpenError::Locked(path)) if path.ends_with("lock")));
    store.close().expect("nothing fails");
    golden.open();
}

#[test]
fn another_file_size_than_that_of_the_files_is_refused_by_name() {
    let golden = Golden::unpack("store-kill9");
    let mut options = StoreOptions::new(&golden.root);
    options.commit_log_file_size = skua_store::FileSize::Exactly(1 << 20);
    let error = Store::open(options, Arc::new(RealDisk), NOW).expect_err("65536 is not 1048576");
    let text = error.to_string();
    assert!(text.contains("00000000000000000000 has 65536 bytes, but mappedFileSizeCommitLog is"));
}
