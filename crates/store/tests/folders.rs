//! The log in several folders.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{NOW, dispatch_all, message, messages, small_options};
use skua_protocol::Millis;
use skua_store::disk::{Crash, SimDisk};
use skua_store::{Disk, OpenError, Store, StoreOptions};

fn options() -> StoreOptions {
    let mut options = small_options();
    options.commit_log = "/b/log".into();
    options.commit_log_more = vec!["/a/log".into(), "/c/log".into()];
    options
}

fn open(disk: &SimDisk, options: StoreOptions) -> Store {
    Store::open(options, Arc::new(disk.clone()), NOW).expect("the store opens")
}

fn append(store: &Store, count: usize) {
    for _ in 0..count {
        store.append(&message("TopicA", 0, &[b'x'; 1500]), NOW).expect("nothing fails");
    }
    dispatch_all(store);
}

fn files(disk: &SimDisk, dir: &str) -> Vec<u64> {
    let listed = disk.list(Path::new(dir)).expect("readable");
    listed.into_iter().map(|entry| entry.name.parse::<u64>().expect("an offset") / 4096).collect()
}

#[test]
fn files_go_round_the_folders_by_their_names_as_javas_do() {
    let disk = SimDisk::new(1);
    let store = open(&disk, options());
    append(&store, 13);
    drop(store);
    disk.reboot(Crash::Process);
    assert_eq!(files(&disk, "/a/log"), [0, 3, 6]);
    assert_eq!(files(&disk, "/b/log"), [1, 4]);
    assert_eq!(files(&disk, "/c/log"), [2, 5]);
    let store = open(&disk, options());
    assert_eq!(messages(&store, "TopicA", 0).len(), 13);
}

#[test]
fn read_only_folders_are_read_and_expire_but_get_no_files() {
    let disk = SimDisk::new(1);
    let store = open(&disk, options());
    append(&store, 5);
    store.close().expect("nothing fails");
    drop(store);
    let mut options = options();
    options.commit_log_read_only = vec![PathBuf::from("/a/log"), PathBuf::from("/d/log")];
    options.retention.reserved_ms = 1000;
    options.retention.delete_hours = (0..24).collect();
    let store = open(&disk, options.clone());
    assert_eq!(messages(&store, "TopicA", 0).len(), 5);
    append(&store, 8);
    assert_eq!(files(&disk, "/a/log"), [0], "none since");
    assert_eq!(files(&disk, "/b/log"), [1, 4, 6]);
    assert_eq!(files(&disk, "/c/log"), [2, 3, 5]);
    for second in 1..400 {
        store.files_due(Millis(NOW.0 + 1000 * second));
    }
    assert_eq!(files(&disk, "/a/log"), [0; 0]);
    assert!(store.min_physical_offset().0 > 4096, "{:?}", store.min_physical_offset());
    options.commit_log_read_only.extend(["/b/log".into(), "/c/log".into()]);
    drop(store);
    disk.reboot(Crash::Process);
    let refused = Store::open(options, Arc::new(disk.clone()), NOW);
    assert!(matches!(refused, Err(OpenError::NoWritableFolder)));
}
