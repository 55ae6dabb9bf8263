//! A store with its threads in a folder of its own, as a broker runs it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::{SystemTime, UNIX_EPOCH};

use skua_protocol::record::NewRecord;
use skua_protocol::{Millis, QueueId};
use skua_store::{FileSize, Flushed, IndexOptions, RealDisk, Store, StoreOptions, WriteBy};

use super::BenchError;

pub const TOPIC: &str = "SkuaBenchStore";
/// Queues of the topic.
pub const QUEUES: u32 = 8;
/// What clients put into properties, about.
pub const PROPERTIES: &[u8] =
    b"UNIQ_KEY\x017F0000010000000000000000000000025000\x02WAIT\x01true\x02TAGS\x01TagA\x02";
const FILE_SIZE: u64 = 1 << 30;

/// A folder that is deleted with all it holds.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(dir: &Path) -> Result<Self, BenchError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("skua-bench-{}-{}", std::process::id(), since.as_nanos());
        let path = dir.join(name);
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be deleted is left to whoever looks.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub struct Rig {
    pub store: Arc<Store>,
    threads: Vec<JoinHandle<()>>,
}

impl Rig {
    /// `sync`: as a broker that flushes each append.
    pub fn open(folder: &Folder, sync: bool) -> Result<Self, BenchError> {
        let options = StoreOptions {
            commit_log_file_size: FileSize::AsFound { otherwise: FILE_SIZE },
            index: Some(IndexOptions::default()),
            write_by: if sync { WriteBy::Call } else { WriteBy::Mapping },
            ..StoreOptions::new(folder.path().join("store"))
        };
        let store = Arc::new(Store::open(options, Arc::new(RealDisk), now())?);
        let run = |work: fn(&Store)| {
            let store = Arc::clone(&store);
            thread::spawn(move || work(&store))
        };
        let threads = vec![
            run(|store| store.run_dispatch()),
            run(|store| store.run_index(now)),
            run(|store| store.run_flush(now)),
            run(|store| store.run_files(now)),
        ];
        Ok(Self { store, threads })
    }

    /// Ends cleanly.
    pub fn close(self) -> Result<(), BenchError> {
        let closed = self.store.close();
        for thread in self.threads {
            // A panic has been printed by itself.
            let _ = thread.join();
        }
        Ok(closed?)
    }
}

pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

pub fn record(queue: u32, body: &[u8]) -> NewRecord<'_> {
    let host = ([127, 0, 0, 1], 10911).into();
    NewRecord {
        topic: TOPIC,
        queue_id: QueueId(queue),
        flag: 0,
        sys_flag: 0,
        born_timestamp: now(),
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body,
        properties: PROPERTIES,
    }
}

/// A body that does not compress to nothing.
pub fn body(len: usize) -> Vec<u8> {
    (0..len).map(|n| b'a' + (n * 7 % 26) as u8).collect()
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits on this thread.
pub fn wait(mut flushed: Flushed) -> Result<(), BenchError> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match std::pin::Pin::new(&mut flushed).poll(&mut context) {
            Poll::Ready(done) => return Ok(done?),
            Poll::Pending => thread::park(),
        }
    }
}

/// Puts the folder's files out of the page cache, as far as the system does.
pub fn forget_cache(dir: &Path) -> Result<(), BenchError> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            forget_cache(&path)?;
            continue;
        }
        let file = std::fs::File::open(&path)?;
        file.sync_data()?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)
            .map_err(std::io::Error::from)?;
    }
    Ok(())
}
