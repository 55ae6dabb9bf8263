//! Messages in several queues, and records with a checksum of all of them.

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{NOW, dispatch_all, entries, message, messages, small_options};
use skua_protocol::QueueId;
use skua_protocol::record::{NewRecord, check_seal};
use skua_store::disk::{Crash, SimDisk};
use skua_store::{Disk, MultiDispatch, OpenError, Store, StoreOptions};

fn open(disk: &SimDisk, options: StoreOptions) -> Result<Store, OpenError> {
    Store::open(options, Arc::new(disk.clone()), NOW)
}

fn with_lmq() -> StoreOptions {
    let multi_dispatch = MultiDispatch { lmq: true, dispatch: true };
    StoreOptions { multi_dispatch, ..small_options() }
}

#[test]
fn a_message_is_in_every_queue_that_it_names_also_when_they_are_made_anew() {
    let disk = SimDisk::new(1);
    let store = open(&disk, with_lmq()).expect("the store opens");
    let send = |topic, queues: &str, body| {
        let properties = format!("TAGS\x01a\x02INNER_MULTI_DISPATCH\x01{queues}\x02");
        let record = NewRecord { properties: properties.as_bytes(), ..message(topic, 2, body) };
        store.append(&record, NOW).expect("nothing fails");
    };
    send("Parent", "%LMQ%a,%LMQ%b", b"1");
    send("Parent", "%LMQ%b", b"2");
    send("Parent", "%LMQ%a/x,%LMQ%a,Other", b"3");
    send("%RETRY%g", "%LMQ%a", b"4");
    dispatch_all(&store);
    let bodies = |store: &Store, topic, queue| -> Vec<Vec<u8>> {
        messages(store, topic, queue).into_iter().map(|message| message.body.to_vec()).collect()
    };
    let check = |store: &Store| {
        assert_eq!(bodies(store, "%LMQ%a", 0), [b"1", b"3"]);
        assert_eq!(bodies(store, "%LMQ%b", 0), [b"1", b"2"]);
        assert_eq!(bodies(store, "Parent", 2), [b"1", b"2", b"3"]);
        assert_eq!(entries(store, "Other", 2), [], "it has no offset there");
        let offsets = |nth: usize| {
            let message = &messages(store, "Parent", 2)[nth];
            message.property("INNER_MULTI_QUEUE_OFFSET").map(str::to_owned)
        };
        assert_eq!(offsets(0).as_deref(), Some("0,0"));
        assert_eq!(offsets(1).as_deref(), Some("1"));
        assert_eq!(offsets(2).as_deref(), Some("0,1,"));
        assert_eq!(entries(store, "%LMQ%a", 0)[0].tags_code, 97);
    };
    check(&store);
    drop(store);
    disk.reboot(Crash::Process);
    disk.remove_dir(Path::new("/store/consumequeue")).expect("nothing fails");
    let store = open(&disk, with_lmq()).expect("the store opens");
    check(&store);
    drop(store);
    disk.reboot(Crash::Process);
    check(&open(&disk, with_lmq()).expect("the store opens"));
}

#[test]
fn senders_to_the_same_light_queues_get_each_place_once() {
    let store = open(&SimDisk::new(1), with_lmq()).expect("the store opens");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                let topic = format!("Parent{thread}");
                let properties = b"INNER_MULTI_DISPATCH\x01%LMQ%a,%LMQ%b\x02";
                let record = NewRecord { properties, ..message(&topic, 0, b"x") };
                for _ in 0..50 {
                    store.append(&record, NOW).expect("nothing fails");
                }
            });
        }
    });
    dispatch_all(&store);
    for queue in ["%LMQ%a", "%LMQ%b"] {
        assert_eq!(store.max_offset(queue, QueueId(0)).map(|max| max.0), Some(200));
        assert_eq!(entries(&store, queue, 0).len(), 200);
    }
}

#[test]
fn a_sealed_record_shows_damage_anywhere_in_it() {
    let disk = SimDisk::new(1);
    let sealed = StoreOptions { append_prop_crc: true, ..small_options() };
    let store = open(&disk, sealed.clone()).expect("the store opens");
    let one = store.append(&message("TopicA", 0, b"one"), NOW).expect("nothing fails");
    let given = b"__CRC32#\x011234567890\x02TAGS\x01a\x02";
    let two = NewRecord { properties: given, ..message("TopicA", 0, b"two") };
    store.append_batch(&[two, two], NOW).expect("nothing fails");
    dispatch_all(&store);
    let mut at = one.physical_offset;
    while at < store.appended() {
        let record = store.record_at(at, None).expect("readable").expect("a record");
        assert_eq!(check_seal(&record), Some(Ok(())));
        at = at.plus(record.len() as u64);
    }
    assert_eq!(messages(&store, "TopicA", 0)[1].property("TAGS"), Some("a"));
    drop(store);
    disk.reboot(Crash::Process);
    // The user's flag, which no other checksum covers.
    let log = Path::new("/store/commitlog/00000000000000000000");
    disk.damage(log, 16, &[1]);
    let checked = open(&disk, sealed);
    assert!(matches!(checked, Err(OpenError::Damaged(_))), "{checked:?}");
    disk.damage(log, 16, &[0]);
    let must = StoreOptions { force_verify_prop_crc: true, ..small_options() };
    let store = open(&disk, must.clone()).expect("all have it");
    // Not sealed itself.
    store.append(&message("TopicA", 0, b"plain"), NOW).expect("nothing fails");
    let end = store.appended();
    drop(store);
    disk.reboot(Crash::Process);
    assert!(open(&disk, must).expect("it is a tail").appended() < end);
}
