//! Damage inside the log stops the start, torn tails do not.

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{NOW, dispatch_all, message, messages, small_options};
use skua_protocol::{PhysicalOffset, QueueId};
use skua_store::disk::{Crash, SimDisk};
use skua_store::{Damage, OnDamage, OpenError, Receipt, Store, StoreOptions};

const LOG: &str = "/store/commitlog/00000000000000000000";

fn try_open(disk: &SimDisk, on_damage: OnDamage) -> Result<Store, OpenError> {
    // Long enough that everything here is in one file.
    let commit_log_file_size = skua_store::FileSize::Exactly(16 * 4096);
    let options = StoreOptions { on_damage, commit_log_file_size, ..small_options() };
    Store::open(options, Arc::new(disk.clone()), NOW)
}

fn damage(disk: &SimDisk) -> Damage {
    match try_open(disk, OnDamage::Stop) {
        Err(OpenError::Damaged(damage)) => damage,
        Ok(store) => panic!("{:?}", store.recovered()),
        Err(other) => panic!("{other:?}"),
    }
}

/// Messages of some 700 bytes without zeros, the numbers of which their bodies say.
fn append(store: &Store, count: usize) -> Vec<Receipt> {
    (0..count)
        .map(|nth| {
            let body = [b"0123456789"[nth % 10]; 600];
            store.append(&message("TopicA", 0, &body), NOW).expect("nothing fails")
        })
        .collect()
}

fn numbers(store: &Store) -> String {
    let found = messages(store, "TopicA", 0);
    found.iter().map(|message| message.body[0] as char).collect()
}

fn end(disk: &SimDisk, store: Store, crash: Crash) {
    drop(store);
    disk.reboot(crash);
}

#[test]
fn damage_below_the_flushed_mark_stops_the_start_whatever_it_looks_like() {
    let disk = SimDisk::new(1);
    let store = try_open(&disk, OnDamage::Stop).expect("an empty store opens");
    let receipts = append(&store, 3);
    store.close().expect("nothing fails");
    end(&disk, store, Crash::Process);
    // Nothing tells it from a lost sector but that it had been saved.
    disk.damage(Path::new(LOG), receipts[2].physical_offset.0 + 4, &[0; 512]);
    // Without queues the whole log is read.
    disk.reboot(Crash::Process);
    skua_store::Disk::remove_dir(&disk, Path::new("/store/consumequeue")).expect("nothing fails");
    for _ in 0..2 {
        let damage = damage(&disk);
        assert_eq!(damage.path, Path::new(LOG));
        assert_eq!(damage.offset, receipts[2].physical_offset);
        assert_eq!(damage.next, None);
    }
    let store = try_open(&disk, OnDamage::Cut).expect("it may be cut");
    dispatch_all(&store);
    assert_eq!(numbers(&store), "01");
}

#[test]
fn damage_behind_what_a_group_knows_of_ends_the_log() {
    let disk = SimDisk::new(1);
    let store = try_open(&disk, OnDamage::Stop).expect("an empty store opens");
    let receipts = append(&store, 4);
    dispatch_all(&store);
    end(&disk, store, Crash::Process);
    disk.damage(Path::new(LOG), receipts[2].physical_offset.0 + 200, b"damage");
    disk.reboot(Crash::Process);
    let known = |from: u64| {
        let commit_log_file_size = skua_store::FileSize::Exactly(16 * 4096);
        let (confirmed, void_from) = (Some(0), Some(from));
        let options =
            StoreOptions { commit_log_file_size, confirmed, void_from, ..small_options() };
        Store::open(options, Arc::new(disk.clone()), NOW)
    };
    let refused = known(receipts[2].physical_offset.0 + 1);
    assert!(matches!(refused, Err(OpenError::Damaged(_))), "{refused:?}");
    let store = known(receipts[2].physical_offset.0).expect("it counts for nothing");
    assert_eq!(store.appended(), receipts[2].physical_offset);
}

#[test]
fn damage_with_whole_records_behind_stops_the_start() {
    for clean in [true, false] {
        let disk = SimDisk::new(1);
        let store = try_open(&disk, OnDamage::Stop).expect("an empty store opens");
        let receipts = append(&store, 6);
        if clean {
            store.close().expect("nothing fails");
        }
        end(&disk, store, Crash::Process);
        skua_store::Disk::remove_dir(&disk, Path::new("/store/consumequeue"))
            .expect("nothing fails");
        skua_store::Disk::remove(&disk, Path::new("/store/checkpoint")).expect("nothing fails");
        disk.damage(Path::new(LOG), receipts[2].physical_offset.0 + 300, b"x");
        for _ in 0..2 {
            let damage = damage(&disk);
            assert_eq!(damage.offset, receipts[2].physical_offset);
            assert_eq!(damage.next, Some(receipts[3].physical_offset));
            assert!(damage.to_string().contains(LOG), "{damage}");
        }
    }
}

#[test]
fn bridged_damage_costs_its_own_messages_only_and_stays_readable() {
    let disk = SimDisk::new(1);
    let store = try_open(&disk, OnDamage::Stop).expect("an empty store opens");
    let receipts = append(&store, 6);
    end(&disk, store, Crash::Process);
    disk.damage(Path::new(LOG), receipts[2].physical_offset.0, &[255; 8]);
    disk.damage(Path::new(LOG), receipts[4].physical_offset.0 + 300, b"x");
    let store = try_open(&disk, OnDamage::Bridge).expect("whole records follow");
    dispatch_all(&store);
    let offset = |nth: usize| receipts[nth].physical_offset;
    let record = store.record_at(offset(2), Some(receipts[2].size)).expect("it can be read");
    assert!(record.is_some(), "a record stands in the place of the damage");
    assert!(store.record_at(offset(3), None).expect("it can be read").is_some());
    assert_eq!(store.appended(), receipts[5].end);
    assert_eq!(store.max_offset("TopicA", QueueId(0)).map(|max| max.0), Some(6));
    let read = store.read(
        "TopicA",
        QueueId(0),
        5,
        skua_store::ReadLimits { max_messages: 1 },
        &mut |_| true,
    );
    assert_eq!(read.count, 1);
    append(&store, 1);
    end(&disk, store, Crash::Process);
    try_open(&disk, OnDamage::Stop).expect("nothing is damaged any more");
}

#[test]
fn a_torn_tail_is_cut() {
    for garbage in [&b"garbage"[..], &[0, 0, 2, 0, 0xDA, 0xA3, 0x20, 0xA7, 1, 2, 3]] {
        let disk = SimDisk::new(1);
        let store = try_open(&disk, OnDamage::Stop).expect("an empty store opens");
        let receipts = append(&store, 3);
        end(&disk, store, Crash::Process);
        disk.damage(Path::new(LOG), receipts[2].end.0, garbage);
        let store = try_open(&disk, OnDamage::Stop).expect("a torn tail is no damage");
        assert_eq!(store.recovered().cut, garbage.len() as u64);
        dispatch_all(&store);
        assert_eq!(numbers(&store), "012");
    }
}

#[test]
fn sectors_lost_after_the_last_flush_end_the_log_even_if_whole_records_follow() {
    let disk = SimDisk::new(1);
    let store = try_open(&disk, OnDamage::Stop).expect("an empty store opens");
    let receipts = append(&store, 8);
    end(&disk, store, Crash::Process);
    let lost = receipts[4].physical_offset.0.next_multiple_of(512);
    assert!(lost < receipts[4].end.0);
    disk.damage(Path::new(LOG), lost, &[0; 512]);
    let store = try_open(&disk, OnDamage::Stop).expect("that may be a power cut's");
    dispatch_all(&store);
    assert_eq!(numbers(&store), "0123");
    assert_eq!(store.appended(), receipts[4].physical_offset);
    assert_eq!(store.recovered().cut, receipts[7].end.0 - receipts[4].physical_offset.0);
}

#[test]
fn what_java_left_behind_its_end_is_no_reason_to_stop() {
    // Java does not clear what it cuts: a whole record, older than the last one, is behind.
    let disk = SimDisk::new(1);
    let store = try_open(&disk, OnDamage::Stop).expect("an empty store opens");
    let body = [b'a'; 600];
    for nth in [5, 6, 2] {
        let now = skua_protocol::Millis(NOW.0 + nth);
        store.append(&message("TopicA", 0, &body), now).expect("nothing fails");
    }
    let end_of_first = store.appended().0 / 3;
    end(&disk, store, Crash::Process);
    // The store's clock does not go back: make the last one old by hand.
    let timestamp_at = 2 * end_of_first + 56;
    disk.damage(Path::new(LOG), timestamp_at, &NOW.0.to_be_bytes());
    disk.damage(Path::new(LOG), end_of_first + 300, b"x");
    let store = try_open(&disk, OnDamage::Stop).expect("it is a tail");
    assert_eq!(store.appended(), PhysicalOffset(end_of_first));
}

#[test]
fn flipped_bits_anywhere_stop_the_start_or_change_nothing_that_is_served() {
    let mut stopped = 0;
    for seed in 0..400_u64 {
        let disk = SimDisk::new(seed);
        let store = try_open(&disk, OnDamage::Stop).expect("an empty store opens");
        let receipts = append(&store, 10);
        dispatch_all(&store);
        if seed.is_multiple_of(2) {
            store.close().expect("nothing fails");
        }
        end(&disk, store, Crash::Process);
        let place = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
        let place = place % receipts[9].physical_offset.0;
        disk.damage(Path::new(LOG), place, &[0xAA ^ seed as u8]);
        skua_store::Disk::remove_dir(&disk, Path::new("/store/consumequeue"))
            .expect("nothing fails");
        match try_open(&disk, OnDamage::Stop) {
            Err(OpenError::Damaged(damage)) => {
                let hit = receipts.iter().rfind(|receipt| receipt.physical_offset.0 <= place);
                assert_eq!(Some(damage.offset), hit.map(|hit| hit.physical_offset), "seed {seed}");
                stopped += 1;
            }
            // No checksum covers what was hit: a header field or a property.
            Ok(store) => {
                assert_eq!(store.appended(), receipts[9].end, "seed {seed}");
                for (nth, receipt) in receipts.iter().enumerate() {
                    let record = store.record_at(receipt.physical_offset, None).expect("readable");
                    let record = record.expect("the log has it");
                    let body = [b"0123456789"[nth]; 600];
                    assert!(record.windows(600).any(|part| part == body), "seed {seed}");
                }
            }
            Err(other) => panic!("seed {seed}: {other}"),
        }
    }
    assert!(stopped > 300, "{stopped} of 400 were noticed");
}
