//! `store import-dledger` on directories made by hand as Java's DLedger makes them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Parser;
use serde_json::Value;
use skua_protocol::record::{
    FLAG_TRANSACTION_COMMIT, NewRecord, Record, check_seal, reserve_seal, seal, stamp,
};
use skua_protocol::{Millis, PhysicalOffset, QueueId, QueueOffset, properties};
use skua_seeds::Random;
use skua_store::inspect::Directory;
use skua_store::{FileSize, IMPORT_MARK, OpenError, RealDisk, Store, StoreOptions};
use skua_storetool::{Args, Place, run_on};
use tempfile::TempDir;

const FILE: u64 = 65_536;
const NOW: Millis = Millis(1_800_000_000_000);
const HEAD: u64 = 48;

/// A DLedger member's directory while it is made.
struct Source {
    dir: TempDir,
    /// Of the data files, from `base` on.
    bytes: Vec<u8>,
    base: u64,
    index: u64,
    queues: BTreeMap<(&'static str, u32), u64>,
}

impl Source {
    fn beginning_at(base: u64) -> Self {
        let dir = tempfile::tempdir().expect("there is space");
        fs::create_dir_all(dir.path().join("from/config")).expect("writable");
        Self { dir, bytes: Vec::new(), base, index: 0, queues: BTreeMap::new() }
    }

    /// Messages of two topics over several files.
    fn filled(base: u64) -> Self {
        let mut source = Self::beginning_at(base);
        for nth in 0..150 {
            source.message(["TopicA", "TopicB"][nth % 2], (nth / 2 % 2) as u32, 500 + nth * 9);
        }
        source.write(source.index - 1);
        source
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("from")
    }

    fn target(&self) -> PathBuf {
        self.dir.path().join("to")
    }

    fn data(&self, base: u64) -> PathBuf {
        self.root().join(format!("dledger-n0/data/{base:020}"))
    }

    fn message(&mut self, topic: &'static str, queue: u32, len: usize) -> u64 {
        self.record(topic, queue, &vec![b'x'; len], 0, 0, false)
    }

    /// Returns the record's physical offset.
    fn record(
        &mut self,
        topic: &'static str,
        queue: u32,
        body: &[u8],
        sys_flag: i32,
        half: i64,
        sealed: bool,
    ) -> u64 {
        let queue_offset = self.queues.entry((topic, queue)).or_default();
        let mut properties = Vec::new();
        properties::append(&mut properties, "KEYS", &format!("{topic}-{queue}-{queue_offset}"));
        properties::append(&mut properties, "TAGS", "A");
        if sealed {
            reserve_seal(&mut properties);
        }
        let host = "127.0.0.1:10911".parse().expect("an address");
        let new = NewRecord {
            topic,
            queue_id: QueueId(queue),
            flag: 7,
            sys_flag,
            born_timestamp: NOW,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: half,
            body,
            properties: &properties,
        };
        let mut record = Vec::new();
        new.encode(&mut record).expect("it is short");
        let (at, stored) = (QueueOffset(*queue_offset), NOW.plus(self.index as i64));
        *queue_offset += 1;
        let position = self.room_for(record.len() as u64);
        stamp(&mut record, at, PhysicalOffset(position + HEAD), stored);
        if sealed {
            seal(&mut record);
        }
        self.entry(position, &record);
        position + HEAD
    }

    fn room_for(&mut self, body: u64) -> u64 {
        let end = self.base + self.bytes.len() as u64;
        let room = FILE - end % FILE;
        if body + HEAD + 8 <= room {
            return end;
        }
        self.bytes.extend_from_slice(&(-1_i32).to_be_bytes());
        self.bytes.extend_from_slice(&(room as u32).to_be_bytes());
        self.bytes.resize(self.bytes.len() + room as usize - 8, 0);
        end + room
    }

    fn entry(&mut self, position: u64, body: &[u8]) {
        let out = &mut self.bytes;
        out.extend_from_slice(&1_u32.to_be_bytes());
        out.extend_from_slice(&(body.len() as u32 + HEAD as u32).to_be_bytes());
        out.extend_from_slice(&self.index.to_be_bytes());
        out.extend_from_slice(&3_u64.to_be_bytes());
        out.extend_from_slice(&position.to_be_bytes());
        out.extend_from_slice(&[0; 12]);
        out.extend_from_slice(&(body.len() as u32).to_be_bytes());
        out.extend_from_slice(body);
        self.index += 1;
    }

    /// Writes the files; entries up to `committed` are noted as agreed on.
    fn write(&self, committed: u64) {
        let home = self.root().join("dledger-n0");
        fs::create_dir_all(home.join("data")).expect("writable");
        for (nth, bytes) in self.bytes.chunks(FILE as usize).enumerate() {
            let path = self.data(self.base + nth as u64 * FILE);
            let file = fs::File::create(path).expect("writable");
            file.set_len(FILE).expect("writable");
            file.write_all_at(bytes, 0).expect("writable");
        }
        let noted = format!("#then\ncommittedIndex={committed}\nendIndex={}\n", self.index);
        fs::write(home.join("checkpoint"), noted).expect("writable");
        fs::write(self.root().join("config/topics.json"), "{\"topicConfigTable\":{}}")
            .expect("writable");
    }

    fn import(&self, more: &str) -> (u8, Value) {
        let mut words = vec!["store".to_owned(), "import-dledger".to_owned()];
        words.push(self.target().display().to_string());
        words.extend(["--json".to_owned(), "--from".to_owned(), self.root().display().to_string()]);
        words.extend(more.split_whitespace().map(str::to_owned));
        let (status, text) = run(&words);
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    /// What the new store has, by topic, queue and offset.
    fn stored(&self) -> Vec<Value> {
        let words = ["store", "dump", "--json"].map(str::to_owned);
        let mut words = words.to_vec();
        words.push(self.target().display().to_string());
        let (status, text) = run(&words);
        assert_eq!(status, 0, "{text}");
        let verify = ["store".to_owned(), "verify".to_owned(), self.target().display().to_string()];
        let (status, found) = run(&verify);
        assert_eq!(status, 0, "{found}");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn flip(&self, path: &Path, at: u64) {
        let file = fs::OpenOptions::new().read(true).write(true).open(path).expect("there");
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).expect("within the file");
        file.write_all_at(&[byte[0] ^ 0x10], at).expect("writable");
    }
}

fn run(words: &[String]) -> (u8, String) {
    let args = Args::try_parse_from(words).expect("these arguments are right");
    let mut out = Vec::new();
    let status = run_on(&args, &options, &mut out);
    (status, String::from_utf8(out).expect("text"))
}

fn options(place: &Place) -> Result<StoreOptions, String> {
    Ok(StoreOptions::new(place.dir.clone().expect("given")))
}

/// Every message of the queues' counts is there, at its queue offset and with its keys.
fn assert_all(stored: &[Value], queues: &BTreeMap<(&'static str, u32), u64>) {
    let mut found: BTreeMap<(String, u64), Vec<u64>> = BTreeMap::new();
    for message in stored {
        let (topic, queue) = (message["topic"].as_str().expect("text"), &message["queueId"]);
        let offset = message["queueOffset"].as_u64().expect("a number");
        let key = format!("{topic}-{queue}-{offset}");
        assert_eq!(message["properties"]["KEYS"], key);
        let queue = (topic.to_owned(), queue.as_u64().expect("a number"));
        found.entry(queue).or_default().push(offset);
    }
    assert_eq!(found.len(), queues.len());
    for ((topic, queue), count) in queues {
        let offsets = &found[&((*topic).to_owned(), u64::from(*queue))];
        assert!(offsets.iter().copied().eq(0..*count), "{topic} {queue}");
    }
}

#[test]
fn messages_keep_their_queue_offsets_and_everything_else() {
    for base in [0, 5 * FILE] {
        let source = Source::filled(base);
        fs::write(source.root().join("config/consumerOffset.json"), "{\"a\":1}").expect("writable");
        let (status, told) = source.import("");
        assert_eq!(status, 0, "{told}");
        assert_eq!((&told["messages"], &told["lastTerm"]), (&150.into(), &3.into()), "{told}");
        assert_eq!((&told["uncommitted"], &told["logStart"]), (&0.into(), &base.into()));
        assert_all(&source.stored(), &source.queues);
        let offsets = fs::read(source.target().join("config/consumerOffset.json"));
        assert_eq!(offsets.expect("copied"), b"{\"a\":1}");
        assert_eq!(source.import("").0, 2, "the directory is not empty");
    }
}

#[test]
fn the_log_from_before_dledger_stays_where_it_was() {
    let mut source = Source::beginning_at(0);
    let old = StoreOptions {
        commit_log_file_size: FileSize::Exactly(FILE),
        ..StoreOptions::new(source.root())
    };
    let store = Store::open(old, Arc::new(RealDisk), NOW).expect("it opens");
    let mut places = Vec::new();
    for _ in 0..60 {
        let queue_offset = source.queues.entry(("TopicA", 0)).or_default();
        let mut properties = Vec::new();
        properties::append(&mut properties, "KEYS", &format!("TopicA-0-{queue_offset}"));
        *queue_offset += 1;
        let host = "127.0.0.1:10911".parse().expect("an address");
        let new = NewRecord {
            topic: "TopicA",
            queue_id: QueueId(0),
            flag: 0,
            sys_flag: 0,
            born_timestamp: NOW,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: &[b'p'; 2000],
            properties: &properties,
        };
        places.push(store.append(&new, NOW).expect("there is room").physical_offset.0);
    }
    let end = store.appended().0;
    store.close().expect("it closes");
    fs::remove_dir_all(source.root().join("consumequeue")).expect("there");
    source.base = end.next_multiple_of(FILE);
    for nth in 0..80 {
        source.message("TopicA", 0, 1000 + nth);
    }
    source.write(source.index - 1);
    let (status, told) = source.import("");
    assert_eq!(status, 0, "{told}");
    assert_eq!((&told["plainMessages"], &told["messages"]), (&60.into(), &80.into()));
    let stored = source.stored();
    assert_all(&stored, &source.queues);
    let kept = stored.iter().map(|message| message["physicalOffset"].as_u64()).take(60);
    assert!(kept.eq(places.into_iter().map(Some)));
}

#[test]
fn transactions_and_checksums_follow_their_records() {
    let mut source = Source::beginning_at(0);
    source.message("TopicA", 0, 100);
    let half = source.message("RMQ_SYS_TRANS_HALF_TOPIC", 0, 10);
    for _ in 0..100 {
        source.message("TopicA", 0, 1000);
    }
    let flag = FLAG_TRANSACTION_COMMIT;
    source.record("TopicB", 0, b"committed", flag, half as i64, true);
    source.write(source.index - 1);
    assert_eq!(source.import("").0, 0);
    let stored = source.stored();
    let of = |topic: &str| stored.iter().find(|m| m["topic"] == topic).expect("it is there");
    let now_at = of("RMQ_SYS_TRANS_HALF_TOPIC")["physicalOffset"].as_u64().expect("a number");
    assert_eq!(now_at, half - 2 * HEAD);
    assert_eq!(of("TopicB")["preparedTransactionOffset"], now_at);
    let at = of("TopicB")["physicalOffset"].as_u64().expect("a number");
    let log = Directory::open(StoreOptions::new(source.target()), Arc::new(RealDisk));
    let checked = log
        .expect("it opens")
        .record_at(at, |record: &Record<'_>| check_seal(record.bytes()).expect("it has one"));
    assert_eq!(checked.expect("readable"), Some(Ok(())));
}

#[test]
fn uncommitted_entries_are_taken_unless_they_are_not_wanted() {
    for (more, count) in [("", 150), ("--committed-only", 101)] {
        let source = Source::filled(0);
        source.write(100);
        let (status, told) = source.import(more);
        assert_eq!(status, 0);
        assert_eq!((&told["uncommitted"], &told["messages"]), (&49.into(), &count.into()));
        assert_eq!(source.stored().len(), count);
    }
}

#[test]
fn of_a_checkpoint_that_is_gone_the_copy_before_it_is_read() {
    let source = Source::filled(0);
    source.write(100);
    let home = source.root().join("dledger-n0");
    fs::rename(home.join("checkpoint"), home.join("checkpoint.bak")).expect("there");
    let (status, told) = source.import("--committed-only");
    assert_eq!((status, &told["uncommitted"], source.stored().len()), (0, &49.into(), 101));
}

#[test]
fn a_torn_end_is_left_out_and_damage_is_told_with_its_place() {
    let mut source = Source::filled(0);
    let whole = source.queues.clone();
    source.message("TopicA", 0, 300);
    let end = source.bytes.len() as u64;
    source.write(149);
    let last = source.data((end - 1) / FILE * FILE);
    // In the last body: its checksum is wrong.
    source.flip(&last, (end - 20) % FILE - 100);
    let (status, told) = source.import("");
    assert_eq!(status, 0, "{told}");
    assert!(told["tornBytes"].as_u64() > Some(300), "{told}");
    assert_all(&source.stored(), &whole);

    // The same where the member had noted the entry, and where others follow.
    let source = Source::filled(0);
    let end = source.bytes.len() as u64;
    let last = source.data((end - 1) / FILE * FILE);
    source.flip(&last, end % FILE - 120);
    let (status, told) = source.import("");
    assert_eq!((status, &told["kind"]), (1, &"damage".into()), "{told}");
    assert_eq!(told["file"], last.display().to_string());
    let source = Source::filled(0);
    source.write(0);
    source.flip(&source.data(FILE), 200);
    let (status, told) = source.import("");
    assert_eq!((status, &told["position"]), (1, &0.into()), "{told}");
    assert!(!source.target().exists(), "nothing was written");
    // A file that is missing, and a member that is.
    let source = Source::filled(0);
    fs::remove_file(source.data(FILE)).expect("there");
    assert_eq!(source.import("").0, 2);
    assert_eq!(source.import("--member n7").0, 2);
}

#[test]
fn an_import_that_was_broken_off_goes_on_and_no_broker_starts_on_it() {
    let source = Source::filled(0);
    assert_eq!(source.import("").0, 0);
    let whole = source.stored();
    let target = source.target();
    let from = source.root().canonicalize().expect("there");
    let mark = serde_json::json!({"from": from, "member": "n0", "committedOnly": false});
    fs::write(target.join(IMPORT_MARK), format!("{mark}\n")).expect("writable");
    fs::remove_dir_all(target.join("config")).expect("there");
    fs::remove_dir_all(target.join("consumequeue")).expect("there");
    fs::remove_file(target.join("checkpoint")).expect("there");
    let log = target.join(format!("commitlog/{FILE:020}"));
    let half = fs::OpenOptions::new().write(true).open(log).expect("there");
    half.write_all_at(&[0; 30_000], FILE - 30_000).expect("writable");
    fs::remove_file(target.join(format!("commitlog/{:020}", 2 * FILE))).expect("there");
    let refused = Store::open(StoreOptions::new(&target), Arc::new(RealDisk), NOW);
    assert!(matches!(refused, Err(OpenError::Unfinished(_))), "{refused:?}");
    let (status, _) = source.import("--committed-only");
    assert_eq!(status, 2, "another import");
    let (status, told) = source.import("");
    assert_eq!((status, &told["resumed"]), (0, &true.into()), "{told}");
    assert_eq!(source.stored(), whole);
    assert!(target.join("config/topics.json").exists());
}

#[test]
fn queues_without_messages_go_on_and_deleted_topics_stay_deleted() {
    let source = Source::filled(0);
    let queue = |topic: &str, base: u64| {
        let dir = source.root().join(format!("consumequeue/{topic}/0"));
        fs::create_dir_all(&dir).expect("writable");
        let file = fs::File::create(dir.join(format!("{base:020}"))).expect("writable");
        file.set_len(6_000_000).expect("writable");
        file
    };
    let expired = queue("Expired", 6_000_000);
    for nth in 0..12_u64 {
        let mut entry = (nth * 100).to_be_bytes().to_vec();
        entry.extend_from_slice(&100_u32.to_be_bytes());
        entry.extend_from_slice(&[0; 8]);
        expired.write_all_at(&entry, nth * 20).expect("writable");
    }
    // TopicB has no queue any more and is in no table.
    queue("TopicA", 0);
    let (status, told) = source.import("");
    assert_eq!((status, &told["queuesContinued"]), (0, &1.into()), "{told}");
    assert_eq!(told["topicsDeleted"], serde_json::json!(["TopicB"]), "{told}");
    assert_eq!(told["topicsUnknown"], serde_json::json!(["Expired", "TopicA"]), "{told}");
    let options = StoreOptions::new(source.target());
    let store = Store::open(options, Arc::new(RealDisk), NOW).expect("it opens");
    let next = Some(QueueOffset(300_012));
    assert_eq!(store.max_offset("Expired", QueueId(0)), next);
    assert_eq!(store.min_offset("Expired", QueueId(0)), next);
    assert_eq!(store.max_offset("TopicB", QueueId(0)), None);
    assert!(store.max_offset("TopicA", QueueId(0)).is_some());
}

#[test]
fn the_timers_units_lead_to_their_records() {
    let mut source = Source::beginning_at(0);
    source.message("TopicA", 0, 100);
    let waiting = source.message("rmq_sys_wheel_timer", 0, 100);
    source.write(source.index - 1);
    let mut unit = 52_u32.to_be_bytes().to_vec();
    unit.extend_from_slice(&(-1_i64).to_be_bytes());
    unit.extend_from_slice(&1_u32.to_be_bytes());
    unit.extend_from_slice(&NOW.0.to_be_bytes());
    unit.extend_from_slice(&5000_u32.to_be_bytes());
    unit.extend_from_slice(&waiting.to_be_bytes());
    unit.extend_from_slice(&200_u32.to_be_bytes());
    unit.resize(5200, 0);
    fs::create_dir_all(source.root().join("timerlog")).expect("writable");
    let name = format!("timerlog/{:020}", 0);
    fs::write(source.root().join(&name), &unit).expect("writable");
    fs::write(source.root().join("timerwheel"), [7; 64]).expect("writable");
    let (status, told) = source.import("");
    assert_eq!((status, &told["timerUnits"]), (0, &1.into()), "{told}");
    let moved = fs::read(source.target().join(name)).expect("copied");
    let at = u64::from_be_bytes(moved[28..36].try_into().expect("eight bytes"));
    assert_eq!(at, waiting - 2 * HEAD);
    unit[28..36].copy_from_slice(&moved[28..36]);
    assert!(moved == unit, "all else is as it was");
    assert_eq!(fs::read(source.target().join("timerwheel")).expect("copied"), [7; 64]);
}

#[test]
fn a_disk_without_room_is_told_before_anything_is_written() {
    let source = Source::filled(0);
    let timer = source.root().join("timerlog");
    fs::create_dir_all(&timer).expect("writable");
    let large = fs::File::create(timer.join(format!("{:020}", 0))).expect("writable");
    large.set_len(8 << 40).expect("it is sparse");
    assert_eq!(source.import("--dry-run").0, 0);
    assert_eq!(source.import("").0, 2);
    assert!(!source.target().exists(), "nothing was written");
}

/// Whatever stands in the files, an import ends with a word and leaves them alone.
#[test]
fn damaged_files_are_refused_or_read_and_never_changed() {
    let done = skua_seeds::each(60, |seed| {
        let mut random = Random(seed);
        let source = Source::filled(random.below(3) * FILE);
        if random.one_in(2) {
            source.write(random.below(150));
        }
        let home = source.root().join("dledger-n0");
        let mut files: Vec<_> = fs::read_dir(home.join("data")).expect("there").flatten().collect();
        files.sort_by_key(fs::DirEntry::path);
        let mut paths: Vec<_> = files.iter().map(fs::DirEntry::path).collect();
        paths.push(home.join("checkpoint"));
        for name in ["consumequeue/TopicA/0", "consumequeue/TopicC/1", "timerlog"] {
            let dir = source.root().join(name);
            fs::create_dir_all(&dir).expect("writable");
            let base = if random.one_in(4) { random.number() >> random.below(64) } else { 0 };
            let path = dir.join(format!("{base:020}"));
            let bytes: Vec<_> = (0..5200).map(|_| random.number() as u8).collect();
            fs::write(&path, bytes).expect("writable");
            paths.push(path);
        }
        if random.one_in(4) {
            let dir = source.root().join("commitlog");
            fs::create_dir_all(&dir).expect("writable");
            let base = random.below(4) * FILE;
            let path = dir.join(format!("{base:020}"));
            let len = if random.one_in(2) { FILE } else { random.below(FILE) };
            let bytes: Vec<_> = (0..len).map(|_| random.below(3) as u8).collect();
            fs::write(&path, bytes).expect("writable");
            paths.push(path);
        }
        paths.push(source.root().join("config/topics.json"));
        for _ in 0..=random.below(4) {
            let path = random.pick(&paths);
            let mut bytes = fs::read(path).expect("there");
            let at = random.below(bytes.len().max(1) as u64) as usize;
            // Heads are where it hurts.
            let at = if random.one_in(2) { at.min(48) } else { at };
            let len = (1 + random.below(80) as usize).min(bytes.len().saturating_sub(at));
            match random.below(4) {
                0 => bytes[at..at + len].fill(0),
                1 => bytes[at..at + len].fill(0xff),
                2 if random.one_in(4) => bytes.truncate(at),
                _ => bytes[at..at + len].fill_with(|| random.number() as u8),
            }
            fs::write(path, bytes).expect("writable");
        }
        let before: Vec<_> = paths.iter().map(|path| fs::read(path).expect("there")).collect();
        let (status, told) = source.import("");
        let after: Vec<_> = paths.iter().map(|path| fs::read(path).expect("there")).collect();
        assert!(before == after, "seed {seed}: the source was changed");
        match status {
            0 => {
                // It was copied as it is.
                let table = source.target().join("config/topics.json");
                fs::write(table, "{\"topicConfigTable\":{}}").expect("writable");
                let messages = told["messages"].as_u64().expect("told") as usize;
                assert_eq!(source.stored().len(), messages, "seed {seed}");
            }
            1 => assert_eq!(told["kind"], "damage", "seed {seed}: {told}"),
            _ => assert_eq!(status, 2, "seed {seed}"),
        }
        status
    });
    let count = |wanted: u8| done.iter().filter(|status| **status == wanted).count();
    assert!(done.len() < 60 || (count(0) > 0 && count(1) > 0), "{done:?}");
}
