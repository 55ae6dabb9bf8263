use std::path::Path;
use std::sync::Arc;

use skua_protocol::QueueId;

use super::{Entry, Queues, Slot};
use crate::StoreOptions;
use crate::commit_log::CommitLog;
use crate::disk::{Disk, Faults, SimDisk, Wait};
use crate::handles::Handles;
use crate::options::FileSize;

const QUEUE: QueueId = QueueId(0);
/// Five entries.
const FILE_SIZE: u64 = 100;

fn queues(disk: &SimDisk) -> Queues {
    queues_of_log(disk, 0)
}

/// Of a log whose records before `min` have expired.
fn queues_of_log(disk: &SimDisk, min: u64) -> Queues {
    let mut options = StoreOptions::new("/store");
    options.consume_queue_file_size = FileSize::Exactly(FILE_SIZE);
    options.queue_tail_entries = 3;
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let handles = Arc::new(Handles::new(Arc::clone(&disk), 4));
    let log = CommitLog::open(&options, Arc::clone(&disk), Arc::clone(&handles));
    let log = Arc::new(log.expect("there is nothing to fail"));
    log.start_at(min, 0);
    let queues = Queues::open(&options, disk, log, handles).expect("there is nothing to fail");
    queues.recovered().expect("there is nothing to fail");
    queues
}

fn slot(physical_offset: u64) -> Slot {
    Slot { physical_offset, size: 10, tags_code: 7 }
}

fn entries(queues: &Queues, from: u64, count: usize) -> Vec<Entry> {
    let queue = queues.get("TopicA", QUEUE).expect("readable");
    let mut entries = Vec::new();
    queues.entries(&queue, from, count, Wait::ForDisk, &mut entries).expect("readable");
    entries
}

#[test]
fn entries_are_found_in_memory_in_files_and_across_their_ends() {
    let queues = queues(&SimDisk::new(1));
    let queue = queues.get("TopicA", QUEUE).expect("readable");
    let slots: Vec<_> = (0..12).map(|number| slot(number * 10)).collect();
    queues.put(&queue, 0, &slots[..7]).expect("nothing fails");
    queues.put(&queue, 7, &slots[7..]).expect("nothing fails");
    assert_eq!((queue.min(), queue.max()), (0, 12));
    for from in 0..12 {
        for count in 1..=12 {
            let found = entries(&queues, from, count);
            let expected = (from..12).take(count).map(|index| slots[index as usize].at(index));
            assert_eq!(found, expected.collect::<Vec<_>>());
        }
    }
    assert_eq!(entries(&queues, 12, 5), []);
}

#[test]
fn entries_that_are_there_are_passed_over() {
    let queues = queues(&SimDisk::new(1));
    let queue = queues.get("TopicA", QUEUE).expect("readable");
    queues.put(&queue, 0, &[slot(0), slot(10), slot(20)]).expect("nothing fails");
    queues.put(&queue, 1, &[slot(10), slot(20), slot(30)]).expect("nothing fails");
    let found: Vec<_> = entries(&queues, 0, 9).iter().map(|e| e.physical_offset.0).collect();
    assert_eq!(found, [0, 10, 20, 30]);
}

#[test]
fn a_queue_that_begins_in_the_midst_has_blanks_before_as_java_writes_them() {
    let disk = SimDisk::new(1);
    let queues = queues(&disk);
    let queue = queues.get("TopicA", QUEUE).expect("readable");
    queues.put(&queue, 7, &[slot(500)]).expect("nothing fails");
    assert_eq!((queue.min(), queue.max()), (7, 8));
    queues.flush(0, &|| {}).expect("nothing fails");
    let file = Path::new("/store/consumequeue/TopicA/0/00000000000000000100");
    let content = disk.read_whole(file).expect("readable").expect("it is there");
    let blank = [0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(content[..40], [blank, blank].concat());
    assert_eq!(content[40..60], slot(500).encode());
    assert_eq!(content[60..], [0; 40]);
}

#[test]
fn a_topic_that_was_deleted_and_begun_anew_loses_the_entries_of_its_old_life() {
    let queues = queues(&SimDisk::new(1));
    let queue = queues.get("TopicA", QUEUE).expect("readable");
    let old: Vec<_> = (0..12).map(|number| slot(number * 10)).collect();
    queues.put(&queue, 0, &old).expect("nothing fails");
    queues.put(&queue, 0, &[slot(1000), slot(1010)]).expect("nothing fails");
    assert_eq!((queue.min(), queue.max()), (0, 2));
    let found: Vec<_> = entries(&queues, 0, 9).iter().map(|e| e.physical_offset.0).collect();
    assert_eq!(found, [1000, 1010]);
}

#[test]
fn cooling_frees_the_entries_in_memory_of_idle_queues_only() {
    let queues = queues(&SimDisk::new(1));
    let queue = queues.get("TopicA", QUEUE).expect("readable");
    let in_memory = |index: u64| index >= queue.max() - queue.state().tail.len() as u64;
    queues.put(&queue, 0, &[slot(0), slot(10)]).expect("nothing fails");
    queues.flush(0, &|| {}).expect("nothing fails");
    queues.cool();
    assert!(in_memory(1), "written since the last look");
    queues.cool();
    assert!(!in_memory(1));
    assert_eq!(entries(&queues, 0, 9).len(), 2);
    queues.put(&queue, 2, &[slot(20)]).expect("nothing fails");
    assert!(in_memory(2));
}

#[test]
fn half_an_entry_that_a_cut_has_left_is_not_taken_for_that_of_an_expired_record() {
    let disk = SimDisk::new(1);
    {
        let queues = queues(&disk);
        let queue = queues.get("TopicA", QUEUE).expect("readable");
        let slots = [slot(60), slot(200), slot(210), slot(220), slot(230)];
        queues.put(&queue, 0, &slots).expect("nothing fails");
    }
    // The second is cut, and of the third what comes before its size.
    let file = Path::new("/store/consumequeue/TopicA/0/00000000000000000000");
    disk.open(file).and_then(|file| file.write_at(&[0; 28], 20)).expect("writable");
    let queues = queues_of_log(&disk, 100);
    queues.trust_below(100);
    let queue = queues.get("TopicA", QUEUE).expect("readable");
    assert_eq!((queue.min(), queue.max()), (1, 1));
    queues.put(&queue, 1, &[slot(200), slot(210)]).expect("nothing fails");
    let found: Vec<_> = entries(&queues, 1, 9).iter().map(|e| e.physical_offset.0).collect();
    assert_eq!(found, [200, 210]);
}

/// What a reader of the disk sees.
fn written(disk: &SimDisk, base: u64) -> usize {
    let path = format!("/store/consumequeue/TopicA/0/{base:020}");
    let content = disk.read_whole(Path::new(&path)).expect("readable").unwrap_or_default();
    content.as_chunks::<20>().0.iter().filter(|entry| entry[11] != 0).count()
}

#[test]
fn entries_wait_in_memory_for_the_flush_or_for_as_many_as_are_kept() {
    let disk = SimDisk::new(1);
    let queues = queues(&disk);
    let queue = queues.get("TopicA", QUEUE).expect("readable");
    let put = |range: std::ops::Range<u64>| {
        let slots: Vec<_> = range.clone().map(|number| slot(number * 10)).collect();
        queues.put(&queue, range.start, &slots).expect("nothing fails");
    };
    put(0..1);
    assert_eq!(written(&disk, 0), 1, "the first of a file makes it");
    put(1..3);
    assert_eq!(written(&disk, 0), 1);
    assert_eq!(entries(&queues, 0, 9).len(), 3, "some in the file, some in memory");
    assert_eq!(entries(&queues, 0, 2).len(), 2);
    put(3..5);
    assert_eq!(written(&disk, 0), 3, "no more are kept than three");
    queues.flush(9, &|| {}).expect("nothing fails");
    assert_eq!(written(&disk, 0), 5, "too few pages to be synced are written all the same");
    put(5..6);
    assert_eq!((written(&disk, 0), written(&disk, 100)), (5, 1));
    put(6..7);
    queues.go_on_at(&queue, 8).expect("nothing fails");
    assert_eq!(written(&disk, 100), 3, "what came before the gap, and a blank");
}

#[test]
fn the_first_offset_follows_the_log_into_what_is_in_memory_alone() {
    let disk = SimDisk::new(1);
    let queues = queues_of_log(&disk, 0);
    let queue = queues.get("TopicA", QUEUE).expect("readable");
    queues.put(&queue, 0, &[slot(0)]).expect("nothing fails");
    queues.put(&queue, 1, &[slot(10), slot(20)]).expect("nothing fails");
    queues.log.start_at(20, 0);
    disk.set_faults(Faults { no_space: true, ..Faults::default() });
    queues.correct_min(&queue).expect("nothing is written");
    assert_eq!((queue.min(), queue.max()), (2, 3));
}
