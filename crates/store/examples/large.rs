//! How much memory many queues take and how long a start with much history takes:
//! `cargo run --release -p skua-store --example large -- FOLDER QUEUES GIBIBYTES`.
//!
//! Makes a store with that many queues, one message in each, behind that many GiB of sparse
//! history, and prints what this costs: while sending, after a clean start, after a kill.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use skua_protocol::record::{MAGIC_END_OF_FILE, NewRecord};
use skua_protocol::{Millis, QueueId};
use skua_store::{FileSize, IndexOptions, RealDisk, Store, StoreOptions};

const LOG_FILE_LEN: u64 = 1 << 30;
const QUEUES_OF_TOPIC: u32 = 8;

fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(since.as_millis() as i64)
}

fn open(folder: &Path) -> Store {
    let mut options = StoreOptions::new(folder);
    options.commit_log_file_size = FileSize::Exactly(LOG_FILE_LEN);
    options.index = Some(IndexOptions::default());
    Store::open(options, Arc::new(RealDisk), now()).expect("the store opens")
}

/// Files that end with their first bytes, sparse.
fn make_history(folder: &Path, gibibytes: u64) {
    let log = folder.join("commitlog");
    std::fs::create_dir_all(&log).expect("the folder can be made");
    for nth in 0..gibibytes {
        let path = log.join(format!("{:020}", nth * LOG_FILE_LEN));
        let mut filler = (LOG_FILE_LEN as u32).to_be_bytes().to_vec();
        filler.extend(MAGIC_END_OF_FILE.to_be_bytes());
        std::fs::write(&path, &filler).expect("there is space");
        let file = std::fs::OpenOptions::new().write(true).open(&path).expect("just made");
        file.set_len(LOG_FILE_LEN).expect("sparse files are known");
    }
}

fn append(store: &Store, queues: u32) {
    let host = ([127, 0, 0, 1], 10911).into();
    for number in 0..queues {
        let record = NewRecord {
            topic: &format!("Topic{:06}", number / QUEUES_OF_TOPIC),
            queue_id: QueueId(number % QUEUES_OF_TOPIC),
            flag: 0,
            sys_flag: 0,
            born_timestamp: now(),
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: &[b'x'; 100],
            properties: b"TAGS\x01TagA\x02",
        };
        store.append(&record, now()).expect("it is stored");
        if number % 1000 == 999 {
            store.dispatch();
        }
    }
    while store.dispatch() > 0 {}
}

fn report(what: &str, begun: Instant, store: &Store) {
    let took = begun.elapsed();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or("? 0");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0)
    };
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let maps = std::fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count());
    println!(
        "{what}: {:.3} s; anonymous {:.1} MiB, of files {:.1} MiB; {open} descriptors, {} of them files of log and queues; {maps} mappings",
        took.as_secs_f64(),
        field("RssAnon:") as f64 / 1024.0,
        field("RssFile:") as f64 / 1024.0,
        store.open_files(),
    );
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("a folder"));
    let mut number = || arguments.next().and_then(|text| text.parse().ok()).unwrap_or(0);
    let (queues, gibibytes) = (number() as u32, number());
    make_history(&folder, gibibytes);

    let store = timed("first start", || open(&folder));
    let begun = Instant::now();
    append(&store, queues);
    report("messages to all queues", begun, &store);
    let begun = Instant::now();
    store.close().expect("everything is saved");
    report("clean end", begun, &store);
    drop(store);
    drop(timed("start after a clean end", || open(&folder)));
    let store = timed("start after a kill without news", || open(&folder));
    append(&store, queues.min(1000));
    drop(store);
    let store = timed("start after a kill with 1000 messages", || open(&folder));
    let begun = Instant::now();
    for number in 0..queues {
        let topic = format!("Topic{:06}", number / QUEUES_OF_TOPIC);
        store.max_offset(&topic, QueueId(number % QUEUES_OF_TOPIC));
    }
    report("a look at all queues", begun, &store);
}

fn timed(what: &str, open: impl FnOnce() -> Store) -> Store {
    let begun = Instant::now();
    let store = open();
    report(what, begun, &store);
    store
}
