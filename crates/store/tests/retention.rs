//! Old files go: what readers, queues and the next start see of it, and a disk that fills.

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use common::{NOW, dispatch_all, message, messages, small_options};
use skua_protocol::{Millis, PhysicalOffset, QueueId, QueueOffset};
use skua_store::disk::{Disk, Faults, SimDisk};
use skua_store::{
    AppendError, FileSize, ReadLimits, ReadStatus, RealDisk, RetentionRules, Store, StoreOptions,
};

const HOUR: i64 = 3_600_000;
const FILE: u64 = 4096;

fn rules() -> RetentionRules {
    RetentionRules { delete_hours: (0..24).collect(), ..RetentionRules::default() }
}

fn open(disk: &SimDisk, rules: RetentionRules, now: Millis) -> Store {
    let options = StoreOptions { retention: rules, ..small_options() };
    Store::open(options, Arc::new(disk.clone()), now).expect("the store opens")
}

/// Appends, dispatches and looks after the files, as the threads do.
fn fill(store: &Store, topic: &str, queue: u32, count: usize, now: Millis) {
    for number in 0..count {
        let body = format!("{number:0300}");
        store.append(&message(topic, queue, body.as_bytes()), now).expect("stored");
        store.files_due(now);
    }
    dispatch_all(store);
}

/// Runs the files thread's work until it has nothing to do for a second; returns the time.
fn tend(store: &Store, now: Millis) -> Millis {
    let mut now = now;
    loop {
        let next = store.files_due(now);
        if next.since(now) >= 1000 {
            return now;
        }
        now = now.max(next);
    }
}

fn files(disk: &SimDisk, dir: &str) -> Vec<u64> {
    let listed = disk.list(Path::new(dir)).expect("it can be listed");
    listed.iter().map(|entry| entry.name.parse().expect("named by an offset")).collect()
}

#[test]
fn expired_files_go_and_every_offset_is_corrected() {
    let disk = SimDisk::new(1);
    disk.set_time(NOW);
    let store = open(&disk, rules(), NOW);
    fill(&store, "Old", 0, 30, NOW);
    fill(&store, "Both", 1, 30, NOW);
    let later = NOW.plus(50 * HOUR);
    disk.set_time(later);
    fill(&store, "Both", 1, 25, later);
    assert_eq!(store.min_physical_offset(), PhysicalOffset(0));

    let now = tend(&store, NOW.plus(73 * HOUR));
    let min = store.min_physical_offset().0;
    assert!(min > FILE && min.is_multiple_of(FILE), "{min}");
    assert_eq!(files(&disk, "/store/commitlog")[0], min);
    // The files that hold anything newer are all there.
    let newest = store.offset_by_time("Both", QueueId(1), later, Default::default());
    assert_eq!(newest, Some(QueueOffset(30)));
    assert_eq!(messages(&store, "Both", 1).iter().filter(|m| m.queue_offset >= 30).count(), 25);

    // A queue that has lost all begins at its end, and keeps its last file.
    assert_eq!(store.min_offset("Old", QueueId(0)), Some(QueueOffset(30)));
    assert_eq!(store.max_offset("Old", QueueId(0)), Some(QueueOffset(30)));
    assert_eq!(files(&disk, "/store/consumequeue/Old/0"), [500]);
    let first = store.min_offset("Both", QueueId(1)).expect("it has messages").0;
    assert!((1..=30).contains(&first), "{first}");
    assert_eq!(files(&disk, "/store/consumequeue/Both/1")[0], first * 20 / 100 * 100);
    let found = messages(&store, "Both", 1);
    assert_eq!(found[0].queue_offset as u64, first);
    assert!(found[0].physical_offset as u64 >= min);

    let limits = ReadLimits { max_messages: 8 };
    for from in [0, first as i64 - 1] {
        let read = store.read("Both", QueueId(1), from, limits, &mut |_| true);
        assert_eq!(read.status, ReadStatus::OffsetTooSmall);
        assert_eq!((read.next_offset, read.min_offset), (first as i64, first as i64));
    }
    let read = store.read("Old", QueueId(0), 3, limits, &mut |_| true);
    assert_eq!((read.status, read.next_offset), (ReadStatus::OffsetTooSmall, 30));
    assert!(matches!(store.record_at(PhysicalOffset(0), None), Ok(None)));

    // The queues go on where they were, now and after each kind of start.
    let receipt = store.append(&message("Old", 0, b"next"), now).expect("stored");
    assert_eq!(receipt.queue_offset, QueueOffset(30));
    drop(store);
    for _ in 0..2 {
        let store = open(&disk, rules(), now);
        dispatch_all(&store);
        assert_eq!(store.min_physical_offset(), PhysicalOffset(min));
        assert_eq!(store.min_offset("Old", QueueId(0)), Some(QueueOffset(30)));
        assert_eq!(messages(&store, "Old", 0)[0].body.as_ref(), b"next");
        assert_eq!(messages(&store, "Both", 1).len(), found.len());
        store.close().expect("closed");
    }
}

#[test]
fn queues_nobody_has_looked_at_lose_their_files_too() {
    let disk = SimDisk::new(2);
    disk.set_time(NOW);
    let store = open(&disk, rules(), NOW);
    fill(&store, "Quiet", 0, 30, NOW);
    fill(&store, "Busy", 0, 40, NOW);
    store.close().expect("closed");
    drop(store);
    let now = NOW.plus(100 * HOUR);
    let store = open(&disk, rules(), now);
    tend(&store, now.plus(20_000));
    assert_eq!(files(&disk, "/store/consumequeue/Quiet/0"), [500]);
    assert_eq!(store.min_offset("Quiet", QueueId(0)), Some(QueueOffset(30)));
}

#[test]
fn a_round_takes_so_many_files_with_a_pause_between_them() {
    let disk = SimDisk::new(3);
    disk.set_time(NOW);
    let few = RetentionRules { round_files: 3, log_pause_ms: 250, ..rules() };
    let store = open(&disk, few, NOW);
    fill(&store, "TopicA", 0, 100, NOW);
    let start = NOW.plus(100 * HOUR);
    let mut seen = vec![(0, store.min_physical_offset().0)];
    for ms in (0..10_000).step_by(10) {
        store.files_due(start.plus(ms));
        let min = store.min_physical_offset().0;
        if seen.last().is_some_and(|(_, last)| *last != min) {
            seen.push((ms, min));
        }
    }
    assert_eq!(seen, [(0, 0), (0, FILE), (250, 2 * FILE), (500, 3 * FILE)]);
    tend(&store, start.plus(10_000));
    assert_eq!(store.min_physical_offset().0, 6 * FILE);
}

#[test]
fn nothing_goes_at_other_hours_unless_asked() {
    let disk = SimDisk::new(4);
    disk.set_time(NOW);
    let never = RetentionRules { delete_hours: Vec::new(), ..rules() };
    let store = open(&disk, never.clone(), NOW);
    fill(&store, "TopicA", 0, 60, NOW);
    let now = NOW.plus(100 * HOUR);
    tend(&store, now);
    assert_eq!(store.min_physical_offset().0, 0);
    store.delete_expired();
    tend(&store, now.plus(1));
    let end = store.appended().0;
    // All but the last, which is written still.
    assert_eq!(store.min_physical_offset().0, end - end % FILE);
    assert_eq!(messages(&store, "TopicA", 0).last().map(|last| last.queue_offset), Some(59));

    // Rules may change while it runs.
    fill(&store, "TopicA", 0, 60, now);
    let min = store.min_physical_offset();
    tend(&store, now.plus(300 * HOUR));
    // Nineteen more rounds were asked for.
    assert!(store.min_physical_offset() > min);
}

#[test]
fn a_nearly_full_disk_refuses_with_the_ratio_and_takes_messages_when_there_is_space() {
    let disk = SimDisk::new(5);
    disk.set_time(NOW);
    let kept = RetentionRules { forcible: false, ..rules() };
    let store = open(&disk, kept, NOW);
    fill(&store, "TopicA", 0, 60, NOW);
    let hundredth = (1u64 << 40) / 100;
    let available = |percent: u64| {
        disk.set_faults(Faults { available: Some(percent * hundredth), ..Faults::default() });
    };
    available(7);
    store.files_due(NOW.plus(1000));
    let refused = store.append(&message("TopicA", 0, b"x"), NOW).expect_err("refused");
    assert!(matches!(refused, AppendError::DiskFull(_)), "{refused}");
    let text = refused.to_string();
    assert!(text.contains("94 % full") && text.contains("Ratio is 90"), "{text}");
    assert_eq!(messages(&store, "TopicA", 0).len(), 60);
    assert!(store.disk_use().full.is_some());
    available(11);
    store.files_due(NOW.plus(2000));
    store.append(&message("TopicA", 0, b"x"), NOW).expect("there is space again");
    assert_eq!(store.min_physical_offset().0, 0, "nothing had expired");

    // Forcibly, young files go until it is enough.
    available(14);
    store.set_retention(rules());
    tend(&store, NOW.plus(30_000));
    assert!(store.min_physical_offset().0 > 0);
}

#[test]
fn what_is_needed_stays_until_the_hard_limit() {
    let disk = SimDisk::new(6);
    disk.set_time(NOW);
    let protecting = RetentionRules { protect_unconsumed: true, ..rules() };
    let store = open(&disk, protecting, NOW);
    fill(&store, "TopicA", 0, 80, NOW);
    store.keep_needed(Box::new(|| Some(PhysicalOffset(3 * FILE + 17))));
    let now = tend(&store, NOW.plus(100 * HOUR));
    assert_eq!(store.min_physical_offset().0, 3 * FILE);
    let available = Some((1u64 << 40) / 100 * 14);
    disk.set_faults(Faults { available, ..Faults::default() });
    tend(&store, now.plus(20_000));
    assert!(store.min_physical_offset().0 > 3 * FILE);
}

#[test]
fn a_file_that_cannot_be_deleted_is_kept_and_tried_again() {
    let disk = SimDisk::new(7);
    disk.set_time(NOW);
    let store = open(&disk, rules(), NOW);
    fill(&store, "TopicA", 0, 60, NOW);
    store.flush_due(NOW.plus(100_000));
    let now = NOW.plus(100 * HOUR);
    disk.set_faults(Faults { remove_fails: true, ..Faults::default() });
    tend(&store, now);
    assert_eq!(store.min_physical_offset().0, 0);
    assert_eq!(messages(&store, "TopicA", 0).len(), 60);
    disk.set_faults(Faults::default());
    tend(&store, now.plus(60_000));
    assert!(store.min_physical_offset().0 > 0);
}

/// A small file system, unmounted when dropped.
struct Mounted(tempfile::TempDir);

impl Mounted {
    /// `None` where mounting is not allowed.
    fn new(megabytes: u32) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a folder");
        let size = format!("size={megabytes}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path());
        let mounted = mount.output().is_ok_and(|out| out.status.success());
        mounted.then_some(Self(dir))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

fn names(dir: &Path) -> BTreeSet<String> {
    let listed = std::fs::read_dir(dir).expect("it can be listed");
    listed.map(|entry| entry.expect("listed").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_real_disk_fills_refuses_serves_reads_and_recovers() {
    let Some(mounted) = Mounted::new(24) else {
        eprintln!("SKIPPED: no file system can be mounted here, so no real disk was filled");
        return;
    };
    let mut options = StoreOptions::new(mounted.0.path().join("store"));
    options.commit_log_file_size = FileSize::Exactly(1 << 20);
    options.consume_queue_file_size = FileSize::Exactly(20 * 1000);
    options.window_bytes = 1 << 18;
    options.retention = RetentionRules { forcible: false, ..rules() };
    // The store counts time by hand from when the files are made.
    let since_epoch = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_millis();
    let mut now = Millis(since_epoch as i64);
    let ballast = mounted.0.path().join("ballast");
    std::fs::write(&ballast, vec![1; 8 << 20]).expect("there is space");

    let store = Store::open(options.clone(), Arc::new(RealDisk), now).expect("the store opens");
    let body = vec![b'x'; 20_000];
    let append_until_refused = |store: &Store, now: &mut Millis| loop {
        let refused = store.append(&message("TopicA", 0, &body), *now).err();
        store.dispatch();
        *now = now.plus(10);
        store.files_due(*now);
        if refused.is_some() {
            return refused;
        }
    };
    let refused = append_until_refused(&store, &mut now).expect("it was refused");
    assert!(matches!(refused, AppendError::DiskFull(_)), "{refused}");
    assert!(refused.to_string().contains("diskSpaceWarningLevelRatio is 90"), "{refused}");
    let stored = messages(&store, "TopicA", 0).len();
    assert!(stored > 300, "{stored}");

    // Space comes from outside: within seconds messages are taken again.
    std::fs::remove_file(&ballast).expect("deleted");
    store.files_due(now.plus(1000));
    store.append(&message("TopicA", 0, &body), now).expect("there is space again");
    assert_eq!(store.min_physical_offset().0, 0);

    // Forcibly: the store makes space by itself, and no sender is refused for long.
    store.set_retention(rules());
    let before = store.appended().0;
    let mut refusals = 0;
    while store.appended().0 < before + (40 << 20) {
        if store.append(&message("TopicA", 0, &body), now).is_err() {
            refusals += 1;
            assert!(refusals < 2000, "it never recovered");
        }
        store.dispatch();
        now = now.plus(50);
        store.files_due(now);
        store.flush_due(now);
    }
    dispatch_all(&store);
    let min = store.min_physical_offset().0;
    assert!(min > before + (10 << 20), "{min}");
    assert_eq!(
        names(&mounted.0.path().join("store/commitlog")).first(),
        Some(&format!("{min:020}"))
    );
    let found = messages(&store, "TopicA", 0);
    let first = store.min_offset("TopicA", QueueId(0)).expect("it has messages").0;
    let last = store.max_offset("TopicA", QueueId(0)).expect("it has messages").0;
    assert_eq!(found.len() as u64, last - first);
    assert!(store.failure().is_none());
    store.close().expect("closed");
    drop(store);
    let store = Store::open(options, Arc::new(RealDisk), now).expect("the store opens");
    assert_eq!(messages(&store, "TopicA", 0).len(), found.len());
}
