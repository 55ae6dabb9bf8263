//! The index: Java's files read, the same made anew, and what a crash leaves of it.
//! `SEED=n` runs one seed of the crash test, `SEEDS=n` that many.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use common::{NOW, dispatch_all, message, small_options};
use serde_json::Value;
use skua_protocol::Millis;
use skua_protocol::record::{FLAG_TRANSACTION_ROLLBACK, NewRecord, Record};
use skua_seeds::Random;
use skua_store::disk::{Crash, Disk, Faults, SimDisk};
use skua_store::{IndexOptions, KeyKind, KeyQuery, RealDisk, RetentionRules, Store, StoreOptions};
use tempfile::TempDir;

/// Of the index files in the golden stores.
const GOLDEN_SIZES: IndexOptions = IndexOptions { hash_slots: 64, entries: 256 };
const SEEDS: u64 = 400;

fn unpack(name: &str) -> (TempDir, PathBuf, Value) {
    let dir = tempfile::tempdir().expect("there is space");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut tar = Command::new("tar");
    tar.arg("xzSf").arg(fixtures.join(format!("{name}.tar.gz"))).current_dir(dir.path());
    assert!(tar.status().expect("tar is installed").success());
    let listing = fs::read(fixtures.join(format!("{name}.json"))).expect("it is there");
    let root = dir.path().join(name);
    (dir, root, serde_json::from_slice(&listing).expect("it is JSON"))
}

fn open(root: &Path) -> Store {
    let options = StoreOptions { index: Some(GOLDEN_SIZES), ..StoreOptions::new(root) };
    Store::open(options, Arc::new(RealDisk), NOW).expect("it opens")
}

fn index_all(store: &Store) {
    dispatch_all(store);
    while store.index(NOW) > 0 {}
    assert_eq!(store.indexed(), store.appended());
}

fn index_files(root: &Path) -> Vec<Vec<u8>> {
    let listed = fs::read_dir(root.join("index")).expect("it is there");
    let mut paths: Vec<_> = listed.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("readable")).collect()
}

fn any_time(topic: &str, kind: KeyKind, key: &str, store: &Store) -> Vec<i64> {
    let (begin, end) = (Millis(0), Millis(i64::MAX));
    let query = KeyQuery { topic, key, kind, count: 64, begin, end };
    let found = store.find_by_key(&query, NOW).expect("readable");
    let offset = |bytes: &bytes::Bytes| Record::parse(bytes).expect("whole").physical_offset();
    found.messages.iter().map(offset).collect()
}

/// What each key of the listing is to find: the newest 64 records at most.
fn keys_of(listing: &Value) -> BTreeMap<(String, bool, String), Vec<i64>> {
    let mut keys: BTreeMap<_, Vec<i64>> = BTreeMap::new();
    for record in listing["records"].as_array().expect("a list") {
        if record["kind"] == "BLANK" || record["sysFlag"].as_i64().unwrap_or(0) & 0xC == 0xC {
            continue;
        }
        let topic = record["topic"].as_str().expect("text").to_owned();
        let offset = record["offset"].as_i64().expect("a number");
        let property = |name: &str| record["properties"][name].as_str().unwrap_or("").to_owned();
        let mut names: Vec<_> =
            property("KEYS").split(' ').map(|key| (false, key.into())).collect();
        names.push((false, property("UNIQ_KEY")));
        names.push((true, property("TAGS")));
        names.sort();
        names.dedup();
        for (is_tag, key) in names.into_iter().filter(|(_, key): &(bool, String)| !key.is_empty()) {
            keys.entry((topic.clone(), is_tag, key)).or_default().push(offset);
        }
    }
    for offsets in keys.values_mut() {
        let surplus = offsets.len().saturating_sub(64);
        offsets.drain(..surplus);
    }
    keys
}

fn check_keys(store: &Store, listing: &Value) {
    let keys = keys_of(listing);
    assert!(keys.len() > 3, "the fixture has keys");
    for ((topic, is_tag, key), offsets) in keys {
        let kind = if is_tag { KeyKind::Tag } else { KeyKind::Key };
        assert_eq!(any_time(&topic, kind, &key, store), offsets, "{topic} {key}");
    }
    assert!(any_time("TopicA", KeyKind::Key, "no such key", store).is_empty());
}

#[test]
fn every_key_in_the_index_of_a_java_store_finds_its_messages() {
    for name in ["store-clean", "store-crcprop", "store-kill9"] {
        let (_dir, root, listing) = unpack(name);
        let before = index_files(&root);
        let store = open(&root);
        if name != "store-kill9" {
            index_all(&store);
            assert_eq!(index_files(&root), before, "nothing is indexed twice");
        }
        check_keys(&store, &listing);
        store.close().expect("nothing fails");
        assert_eq!(index_files(&root), before, "{name}");
    }
}

#[test]
fn an_index_made_anew_from_a_java_log_has_the_bytes_of_javas() {
    for name in ["store-clean", "store-crcprop"] {
        let (_dir, root, listing) = unpack(name);
        let before = index_files(&root);
        fs::remove_dir_all(root.join("index")).expect("it is there");
        let store = open(&root);
        index_all(&store);
        check_keys(&store, &listing);
        store.close().expect("nothing fails");
        assert!(index_files(&root) == before, "{name}");
        check_keys(&open(&root), &listing);
    }
}

#[test]
fn times_bound_a_search_and_the_count_takes_the_newest() {
    let (_dir, root, _) = unpack("store-clean");
    let store = open(&root);
    index_all(&store);
    let all = any_time("TopicA", KeyKind::Tag, "TagA", &store);
    assert!(all.len() >= 5);
    let time = |offset: i64| {
        let offset = skua_protocol::PhysicalOffset(offset as u64);
        let bytes = store.record_at(offset, None).expect("readable").expect("there");
        Record::parse(&bytes).expect("whole").store_timestamp()
    };
    let (begin, end) = (time(all[1]), time(all[3]));
    let query = |count, begin, end| {
        let query =
            KeyQuery { topic: "TopicA", key: "TagA", kind: KeyKind::Tag, count, begin, end };
        let found = store.find_by_key(&query, NOW).expect("readable").messages;
        let offset = |bytes: &bytes::Bytes| Record::parse(bytes).expect("whole").physical_offset();
        found.iter().map(offset).collect::<Vec<_>>()
    };
    assert_eq!(query(64, begin, end), all[1..=3]);
    assert_eq!(query(2, begin, end), all[2..=3]);
    assert!(query(64, end.plus(1_000_000_000), Millis(i64::MAX)).is_empty());
    assert!(query(64, Millis(0), Millis(1000)).is_empty());
    assert!(query(0, begin, end).is_empty());
}

#[test]
fn index_files_of_other_lengths_are_left_alone() {
    let (_dir, root, listing) = unpack("store-clean");
    let before = index_files(&root);
    let sizes = IndexOptions { hash_slots: 7, entries: 100 };
    let options = StoreOptions { index: Some(sizes), ..StoreOptions::new(&root) };
    let store = Store::open(options, Arc::new(RealDisk), NOW).expect("it opens");
    index_all(&store);
    check_keys(&store, &listing);
    store.close().expect("nothing fails");
    let after = index_files(&root);
    assert_eq!(after.len(), 2 + 354_usize.div_ceil(99));
    assert!(before.iter().all(|file| after.contains(file)));
}

fn sim_options() -> StoreOptions {
    let sizes = IndexOptions { hash_slots: 5, entries: 23 };
    StoreOptions { index: Some(sizes), ..small_options() }
}

fn properties(number: u64) -> Vec<u8> {
    format!("UNIQ_KEY\x01u{number}\x02KEYS\x01k{} all\x02TAGS\x01t{}\x02", number % 3, number % 2)
        .into_bytes()
}

/// Each message that is in the log is found by its unique id, and in its places under shared keys.
fn check_log(store: &Store, numbers: u64, time: Millis) {
    while store.dispatch() > 0 {}
    while store.index(time) > 0 {}
    assert_eq!(store.indexed(), store.appended());
    let mut shared: BTreeMap<(KeyKindOrd, String), Vec<i64>> = BTreeMap::new();
    let messages = common::messages(store, "TopicA", 0);
    for message in &messages {
        let offset = message.physical_offset;
        let unique = message.unique_id().expect("it has one");
        assert_eq!(any_time("TopicA", KeyKind::Key, unique, store), [offset], "{unique}");
        for key in message.keys().expect("it has some").split(' ') {
            shared.entry((KeyKindOrd::Key, key.to_owned())).or_default().push(offset);
        }
        let tag = message.tags().expect("it has one").to_owned();
        shared.entry((KeyKindOrd::Tag, tag)).or_default().push(offset);
    }
    for ((kind, key), offsets) in shared {
        let kind = if kind == KeyKindOrd::Tag { KeyKind::Tag } else { KeyKind::Key };
        let newest = &offsets[offsets.len().saturating_sub(64)..];
        assert_eq!(any_time("TopicA", kind, &key, store), newest, "{key}");
    }
    let present: Vec<_> = messages.iter().filter_map(|message| message.unique_id()).collect();
    for number in numbers.saturating_sub(20)..numbers {
        let unique = format!("u{number}");
        let found = any_time("TopicA", KeyKind::Key, &unique, store);
        assert_eq!(found.len(), usize::from(present.contains(&&*unique)), "{unique}");
    }
}

#[test]
fn index_files_go_with_the_last_of_their_messages() {
    let disk = SimDisk::new(1);
    disk.set_time(NOW);
    let retention = RetentionRules { delete_hours: (0..24).collect(), ..RetentionRules::default() };
    let options = StoreOptions { retention, ..sim_options() };
    let store = Store::open(options, Arc::new(disk.clone()), NOW).expect("it opens");
    let listed = || disk.list(Path::new("/store/index")).expect("it can be listed").len();
    for number in 0..60 {
        let text = properties(number);
        let record = NewRecord { properties: &text, ..message("TopicA", 0, &[b'x'; 300]) };
        store.append(&record, NOW).expect("stored");
        store.files_due(NOW);
    }
    check_log(&store, 60, NOW);
    let before = listed();

    let mut now = NOW.plus(80 * 3_600_000);
    for _ in 0..100 {
        now = now.max(store.files_due(now));
    }
    assert!(store.min_physical_offset().0 > 0, "the log's files expire");
    check_log(&store, 60, now);
    assert!(listed() < before, "{} of {before}", listed());
    store.close().expect("nothing fails");
}

#[test]
fn keys_handed_over_and_keys_read_from_the_log_make_the_same_files() {
    let files = |handed: bool| {
        let disk = SimDisk::new(1);
        let open = || Store::open(sim_options(), Arc::new(disk.clone()), NOW).expect("it opens");
        let mut store = open();
        for number in 0..150 {
            let text = properties(number);
            let body = vec![b'x'; 2 * number as usize];
            let sys_flag = if number % 7 == 0 { FLAG_TRANSACTION_ROLLBACK } else { 0 };
            let record = NewRecord { properties: &text, sys_flag, ..message("TopicA", 0, &body) };
            store.append(&record, NOW.plus(number as i64 * 700)).expect("stored");
            // Now and then indexing is there only after several rounds.
            if handed && number % 3 == 0 {
                store.dispatch();
            }
            if handed && number % 8 == 0 {
                store.index(NOW);
            }
        }
        if !handed {
            drop(store);
            disk.reboot(Crash::Process);
            store = open();
        }
        while store.dispatch() > 0 {}
        while store.index(NOW) > 0 {}
        store.close().expect("nothing fails");
        let dir = Path::new("/store/index");
        let mut listed = disk.list(dir).expect("it can be listed");
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        let read = |name: &str| {
            let file = disk.open(&dir.join(name)).expect("it is there");
            let mut bytes = vec![0; file.len() as usize];
            file.read_at(&mut bytes, 0).expect("readable");
            bytes
        };
        listed.iter().map(|entry| (entry.name.clone(), read(&entry.name))).collect::<Vec<_>>()
    };
    let handed = files(true);
    assert!(handed.len() > 10, "{} files", handed.len());
    assert!(handed == files(false));
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum KeyKindOrd {
    Key,
    Tag,
}

fn run(seed: u64) {
    let mut random = Random(seed);
    let disk = SimDisk::new(seed);
    let mut numbers = 0;
    let mut now = NOW;
    for _life in 0..4 {
        let store = Store::open(sim_options(), Arc::new(disk.clone()), now).expect("it opens");
        let mut faults = Faults { crash_in: Some(random.below(150)), ..Faults::default() };
        match random.below(8) {
            0 => {
                faults.sync_fails_in = Some(random.below(12));
                faults.crash_in = None;
            }
            1 => faults.no_space = true,
            _ => {}
        }
        let closes = random.below(5) == 0;
        if closes {
            faults.crash_in = None;
        }
        disk.set_faults(faults);
        for _ in 0..random.below(80) {
            now = now.plus(random.below(900) as i64);
            match random.below(16) {
                0..8 => {
                    let text = properties(numbers);
                    let body = vec![b'x'; random.below(400) as usize];
                    let record = NewRecord { properties: &text, ..message("TopicA", 0, &body) };
                    numbers += 1;
                    let _ = store.append(&record, now);
                }
                8..11 => {
                    store.dispatch();
                }
                11..14 => {
                    store.index(now);
                }
                _ => {
                    now = now.plus(random.below(2) as i64 * 60_000);
                    store.flush_due(now);
                }
            }
            if disk.is_down() {
                break;
            }
        }
        let closed = closes && store.close().is_ok();
        drop(store);
        let power = random.below(2) == 0;
        disk.reboot(if power { Crash::Power } else { Crash::Process });
        // Opening may crash as well.
        if !closed && random.below(3) == 0 {
            disk.set_faults(Faults { crash_in: Some(random.below(20)), ..Faults::default() });
            if let Ok(store) = Store::open(sim_options(), Arc::new(disk.clone()), now) {
                while store.index(now) > 0 {}
                store.flush_due(now.plus(60_000));
            }
            disk.reboot(if power { Crash::Power } else { Crash::Process });
        }
        let store = Store::open(sim_options(), Arc::new(disk.clone()), now).expect("it opens");
        check_log(&store, numbers, now);
        drop(store);
        disk.reboot(Crash::Process);
    }
}

#[test]
fn whatever_crashes_each_message_in_the_log_is_found_by_its_keys() {
    skua_seeds::each(SEEDS, run);
}
