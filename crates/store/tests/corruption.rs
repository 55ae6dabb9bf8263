//! Files of every kind truncated, zeroed, overwritten, with bits flipped, deleted, or swapped with
//! another: the start succeeds and serves what is right, or stops and names the file. It never
//! panics, and wrong bytes are never served. `SEED=n` runs one seed, `SEEDS=n` that many.

mod common;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use common::{NOW, dispatch_all, message, small_options};
use skua_protocol::record::{FLAG_INNER_BATCH, FLAG_NEED_UNWRAP, Record, encode_batch_item};
use skua_protocol::{Millis, QueueId};
use skua_seeds::Random;
use skua_store::disk::{Crash, SimDisk};
use skua_store::{
    Disk, FileSize, IndexOptions, KeyKind, KeyQuery, ReadLimits, ReadStatus, SCHEDULE_TOPIC, Store,
    StoreOptions, TIMER_TOPIC, TimerOptions,
};

const SEEDS: u64 = 3000;
const TOPICS: [&str; 5] = ["TopicA", "TopicB", SCHEDULE_TOPIC, BATCH_TOPIC, TIMER_TOPIC];
/// Its queues are of the batch kind.
const BATCH_TOPIC: &str = "Batch";
const QUEUES: u32 = 2;
const MESSAGES: usize = 120;

struct Sent {
    topic: &'static str,
    queue: u32,
    queue_offset: u64,
    physical: Range<u64>,
    record: Vec<u8>,
}

/// A directory as it was before anything happened to it.
struct Image {
    files: BTreeMap<PathBuf, Vec<u8>>,
    sent: Vec<Sent>,
    closed: bool,
}

fn options() -> StoreOptions {
    StoreOptions {
        index: Some(IndexOptions { hash_slots: 7, entries: 100 }),
        timer: Some(TimerOptions {
            slots: 120,
            log_file_size: FileSize::Exactly(52 * 8),
            ..TimerOptions::default()
        }),
        batch_topics: vec![BATCH_TOPIC.to_owned()],
        consume_queue_ext: true,
        ..small_options()
    }
}

fn open(disk: &SimDisk) -> Result<Store, skua_store::OpenError> {
    Store::open(options(), Arc::new(disk.clone()), NOW)
}

/// `closed`: ended cleanly; `flushed`: after a checkpoint in the midst, not at the end.
fn image(closed: bool, flushed: bool) -> Image {
    let disk = SimDisk::new(1);
    let store = open(&disk).expect("an empty store opens");
    let mut random = Random(7);
    let mut sent = Vec::new();
    for nth in 0..MESSAGES {
        let topic = *random.pick(&TOPICS);
        let queue = if topic == TIMER_TOPIC { 0 } else { random.below(u64::from(QUEUES)) as u32 };
        let body: Vec<_> = (0..1 + random.below(300)).map(|_| random.below(256) as u8).collect();
        let mut properties =
            format!("KEYS\x01key{nth}\x02DELAY\x01{}\x02TAGS\x01t\x02", 1 + nth % 18);
        let is_inner = topic == BATCH_TOPIC && nth % 3 > 0;
        let body = if is_inner {
            properties += "INNER_NUM\x012\x02";
            let mut batch = Vec::new();
            encode_batch_item(&mut batch, 0, &body, b"").expect("short enough");
            encode_batch_item(&mut batch, 0, b"second", b"").expect("short enough");
            batch
        } else {
            body
        };
        if topic == TIMER_TOPIC {
            let due = NOW.0 + 20_000 + 1000 * (nth as i64 % 50);
            properties +=
                &format!("TIMER_OUT_MS\x01{due}\x02REAL_TOPIC\x01TopicA\x02REAL_QID\x010\x02");
        }
        let record = skua_protocol::record::NewRecord {
            sys_flag: if is_inner { FLAG_INNER_BATCH | FLAG_NEED_UNWRAP } else { 0 },
            properties: properties.as_bytes(),
            ..message(topic, queue, &body)
        };
        let receipt = store.append(&record, Millis(NOW.0 + nth as i64)).expect("nothing fails");
        let start = receipt.physical_offset;
        let record = store.record_at(start, None).expect("readable").expect("it is there");
        sent.push(Sent {
            topic,
            queue,
            queue_offset: receipt.queue_offset.0,
            physical: start.0..receipt.end.0,
            record: record.to_vec(),
        });
        if nth % 20 == 19 {
            dispatch_all(&store);
            store.timer_due(Millis(NOW.0 + nth as i64));
        }
        if nth == MESSAGES / 2 && flushed {
            dispatch_all(&store);
            store.flush_due(Millis(NOW.0 + 600_000));
        }
    }
    dispatch_all(&store);
    let config = store.config_files();
    for name in ["topics.json", "consumerOffset.json", "delayOffset.json"] {
        for text in [&b"{\"old\":1}"[..], b"{\"table\":{\"a\":1}}"] {
            config.write(name, text).expect("nothing fails");
        }
    }
    if closed {
        store.close().expect("nothing fails");
    }
    drop(store);
    disk.reboot(Crash::Process);
    let mut files = BTreeMap::new();
    let mut dirs = vec![PathBuf::from("/store")];
    while let Some(dir) = dirs.pop() {
        for entry in disk.list(&dir).expect("nothing fails") {
            let path = dir.join(&entry.name);
            if entry.is_dir {
                dirs.push(path);
            } else {
                let content = disk.read_whole(&path).expect("nothing fails");
                files.insert(path, content.expect("it was listed"));
            }
        }
    }
    Image { files, sent, closed }
}

fn images() -> &'static [Image] {
    static IMAGES: OnceLock<Vec<Image>> = OnceLock::new();
    IMAGES.get_or_init(|| vec![image(true, true), image(false, true), image(false, false)])
}

/// The image with a few files changed: what is on the disk, and which bytes of the log changed.
fn corrupt(image: &Image, random: &mut Random) -> (BTreeMap<PathBuf, Vec<u8>>, String) {
    let mut files = image.files.clone();
    let mut story = String::new();
    // Kinds first, or the many files of one would get it all.
    let kinds = [
        "commitlog",
        "consumequeue",
        "batchconsumequeue",
        "consumequeue_ext",
        "index",
        "timerwheel",
        "timerlog",
        "checkpoint",
        "abort",
        "lock",
        "config",
    ];
    for _ in 0..1 + random.below(2) {
        let kind = *random.pick(&kinds);
        let of_kind: Vec<_> = files
            .keys()
            .filter(|path| path.starts_with(Path::new("/store").join(kind)))
            .cloned()
            .collect();
        if of_kind.is_empty() {
            continue;
        }
        let path = random.pick(&of_kind).clone();
        let len = files[&path].len() as u64;
        let at = random.below(len);
        let most = *random.pick(&[8, 64, 600, len]);
        let upto = (at + 1 + random.below(most)).min(len);
        let what = random.below(7);
        let name =
            ["truncated", "zeroed", "overwritten", "flipped", "deleted", "swapped", "longer"]
                [what as usize];
        story += &format!(" {name} {} {at}..{upto};", path.display());
        let content = files.get_mut(&path).expect("listed");
        let part = at.min(len) as usize..upto.max(at.min(len)) as usize;
        match what {
            0 => content.truncate(at as usize),
            1 => content[part].fill(0),
            2 => content[part].iter_mut().for_each(|byte| *byte = random.below(256) as u8),
            3 => {
                for _ in 0..1 + random.below(4) {
                    let at = random.below(len) as usize;
                    if let Some(byte) = content.get_mut(at) {
                        *byte ^= 1 << random.below(8);
                    }
                }
            }
            4 => drop(files.remove(&path)),
            5 => {
                let other = random.pick(&of_kind).clone();
                let (one, two) = (files[&path].clone(), files[&other].clone());
                story += &format!(" with {};", other.display());
                files.insert(path, two);
                files.insert(other, one);
            }
            _ => content.extend((0..1 + random.below(50)).map(|n| n as u8)),
        }
    }
    (files, story)
}

/// Whether a byte of the log in `range`, which lies in one file, is not as it was.
fn is_touched(image: &Image, files: &BTreeMap<PathBuf, Vec<u8>>, range: Range<u64>) -> bool {
    let base = range.start / 4096 * 4096;
    let path = PathBuf::from(format!("/store/commitlog/{base:020}"));
    let place = (range.start - base) as usize..(range.end - base) as usize;
    let part = |files: &BTreeMap<PathBuf, Vec<u8>>| {
        files.get(&path)?.get(place.clone()).map(<[u8]>::to_vec)
    };
    part(&image.files) != part(files)
}

/// Whether the queue has its first file and its last entry still. No start can know, without
/// reading the whole log, that a queue began earlier or went on; `skua store verify` does.
fn has_both_ends(image: &Image, files: &BTreeMap<PathBuf, Vec<u8>>, sent: &Sent) -> bool {
    let own = |other: &&Sent| other.topic == sent.topic && other.queue == sent.queue;
    let last = image.sent.iter().filter(own).map(|sent| sent.queue_offset).max();
    let (folder, len, last) = match sent.topic {
        BATCH_TOPIC => ("batchconsumequeue", 46, image.sent.iter().filter(own).count() as u64 - 1),
        _ => ("consumequeue", 20, last.expect("it is one of them")),
    };
    let (last, file_size) = (last * len, 5 * len);
    let path = |base: u64| {
        PathBuf::from(format!("/store/{folder}/{}/{}/{base:020}", sent.topic, sent.queue))
    };
    let entry = |files: &BTreeMap<PathBuf, Vec<u8>>| {
        let place = (last % file_size) as usize;
        let base = last / file_size * file_size;
        files.get(&path(base))?.get(place..place + len as usize).map(<[u8]>::to_vec)
    };
    files.contains_key(&path(0))
        && entry(files) == entry(&image.files)
        && !image.sent.iter().filter(own).any(|sent| begins_anew(image, files, sent))
}

/// Whether the record's queue offset, which no checksum covers, has become 0: as that of a topic
/// that was deleted and made again.
fn begins_anew(image: &Image, files: &BTreeMap<PathBuf, Vec<u8>>, sent: &Sent) -> bool {
    let path = PathBuf::from(format!("/store/commitlog/{:020}", sent.physical.start / 4096 * 4096));
    let place = (sent.physical.start % 4096) as usize + 20;
    let offset = |files: &BTreeMap<PathBuf, Vec<u8>>| {
        files.get(&path)?.get(place..place + 8).map(<[u8]>::to_vec)
    };
    offset(files) != offset(&image.files) && offset(files) == Some(vec![0; 8])
}

/// True if the store opened.
fn run(seed: u64) -> bool {
    let mut random = Random(seed);
    let image = random.pick(images());
    let (files, story) = corrupt(image, &mut random);
    let disk = SimDisk::new(seed);
    for (path, content) in &files {
        disk.write_whole(path, content).expect("nothing fails");
    }
    disk.reboot(Crash::Process);
    let store = match open(&disk) {
        Ok(store) => store,
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("/store/"), "{story} {text} names no file");
            return false;
        }
    };
    dispatch_all(&store);
    let mut served: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for (topic, id) in store.queue_list().expect("nothing fails") {
        read_all(&store, &topic, id, &mut |bytes| {
            let record = Record::parse_with(bytes, true).expect("served records are whole");
            assert_eq!((record.topic(), record.queue_id() as u32), (&*topic, id.0), "{story}");
            served.insert(record.physical_offset() as u64, bytes.to_vec());
        });
    }
    for (offset, bytes) in &served {
        let sent = image.sent.iter().find(|sent| sent.physical.start == *offset);
        let sent = sent.unwrap_or_else(|| panic!("{story} nothing was stored at {offset}"));
        if *bytes != sent.record {
            assert!(is_touched(image, &files, sent.physical.clone()), "{story} {offset}");
            let body = |bytes: &[u8]| Record::parse(bytes).map(|r| r.body().to_vec());
            assert_eq!(body(bytes), body(&sent.record), "{story} wrong body at {offset}");
        }
    }
    let end = store.appended().0;
    // Two faults at once, a log cut short and a damaged queue, may cost entries of what is left.
    let was_cut = end < image.sent.last().map_or(0, |sent| sent.physical.end);
    let has_queue_damage = image.files.iter().any(|(path, content)| {
        let folders = ["/store/consumequeue", "/store/batchconsumequeue"];
        folders.iter().any(|dir| path.starts_with(dir)) && files.get(path) != Some(content)
    });
    for sent in &image.sent {
        if sent.physical.end <= end
            && !is_touched(image, &files, sent.physical.clone())
            && has_both_ends(image, &files, sent)
            && !(was_cut && has_queue_damage)
        {
            assert!(
                served.contains_key(&sent.physical.start),
                "{story} closed {}: {}/{} {} at {:?} is whole and not served; the log has {}..{end}",
                image.closed,
                sent.topic,
                sent.queue,
                sent.queue_offset,
                sent.physical,
                store.min_physical_offset(),
            );
        }
    }
    if end < image.sent.last().expect("some").physical.end {
        let lost = image.sent.iter().find(|sent| sent.physical.end > end).expect("the last");
        assert!(is_touched(image, &files, lost.physical.clone()), "{story} cut at {end}");
    }
    for nth in [3, 50, MESSAGES - 1] {
        let key = format!("key{nth}");
        let query = KeyQuery {
            topic: image.sent[nth].topic,
            key: &key,
            kind: KeyKind::Key,
            count: 10,
            begin: Millis(0),
            end: Millis(i64::MAX),
        };
        let found = store.find_by_key(&query, NOW).expect("nothing fails");
        for bytes in found.messages {
            let record = Record::parse_with(&bytes, true).expect("found records are whole");
            assert!(record.properties().keys().any(|own| own == key), "{story}");
        }
    }
    // What comes now is stored and read like any other.
    let receipt = store.append(&message("TopicC", 0, b"new"), NOW).expect("nothing fails");
    dispatch_all(&store);
    let limits = ReadLimits { max_messages: 1 };
    let offset = receipt.queue_offset.0 as i64;
    let read = store.read("TopicC", QueueId(0), offset, limits, &mut |_| true);
    assert_eq!(read.status, ReadStatus::Found, "{story}");
    store.files_due(Millis(NOW.0 + 1000));
    store.close().expect("nothing fails");
    true
}

fn read_all(store: &Store, topic: &str, id: QueueId, with: &mut dyn FnMut(&[u8])) {
    let mut from = store.min_offset(topic, id).map_or(0, |min| min.0 as i64);
    for _ in 0..10_000 {
        let read = store.read(topic, id, from, ReadLimits { max_messages: 32 }, &mut |_| true);
        let mut rest = &read.body[..];
        while !rest.is_empty() {
            let size = Record::parse(rest).expect("whole records").size();
            with(&rest[..size]);
            rest = &rest[size..];
        }
        if read.next_offset == from {
            return;
        }
        from = read.next_offset;
    }
    panic!("reading {topic}/{id} does not come to an end");
}

#[test]
fn whatever_happens_to_the_files_what_is_served_is_right() {
    let runs = skua_seeds::each(SEEDS, run);
    let opened = runs.iter().filter(|opened| **opened).count();
    let stopped = runs.len() - opened;
    println!("{opened} starts succeeded, {stopped} stopped");
    assert!(runs.len() < 100 || (opened > 100 && stopped > 10));
}
