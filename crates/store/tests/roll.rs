//! Where records lie and how files end, for any mix of sizes.

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{NOW, dispatch_all, message, messages};
use proptest::prelude::*;
use skua_protocol::record::MAGIC_END_OF_FILE;
use skua_store::disk::{Disk, SimDisk};
use skua_store::{AppendError, FileSize, Store, StoreOptions};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_file_ends_with_a_filler_and_every_record_leaves_room_for_one(
        file_size in 600u64..140_000,
        sizes in prop::collection::vec(0usize..1500, 1..120),
        restart_every in 5usize..60,
    ) {
        let disk = SimDisk::new(file_size);
        let open = || {
            let mut options = StoreOptions::new("/store");
            options.commit_log_file_size = FileSize::Exactly(file_size);
            options.window_bytes = 64 * 1024;
            Store::open(options, Arc::new(disk.clone()), NOW).expect("the store opens")
        };
        let mut store = open();
        let mut stored = Vec::new();
        for (number, size) in sizes.iter().enumerate() {
            let body = vec![b'a' + (number % 26) as u8; *size];
            let record = message("TopicA", 0, &body);
            match store.append(&record, NOW) {
                Ok(receipt) => stored.push((receipt, body)),
                Err(AppendError::TooLarge { size, max }) => {
                    prop_assert_eq!(max, file_size - 8);
                    prop_assert!(size > max);
                }
                Err(other) => panic!("{other}"),
            }
            if number % 3 == 0 {
                store.files_due(NOW);
            }
            if number % restart_every == restart_every - 1 {
                drop(store);
                store = open();
            }
        }
        dispatch_all(&store);
        let mut expected = 0;
        for (receipt, _) in &stored {
            let (start, end) = (receipt.physical_offset.0, receipt.end.0);
            let file = start / file_size;
            if start != expected {
                // The record went to the next file, and did not fit the one before.
                prop_assert_eq!(start, file * file_size);
                let remaining = start - expected;
                prop_assert!(u64::from(receipt.size) + 8 > remaining);
                prop_assert!(remaining >= 8);
                let path = format!("/store/commitlog/{:020}", start - file_size);
                let content = disk.read_whole(Path::new(&path)).expect("readable").expect("there");
                let at = (expected - (start - file_size)) as usize;
                prop_assert_eq!(&content[at..at + 4], &(remaining as u32).to_be_bytes()[..]);
                prop_assert_eq!(&content[at + 4..at + 8], &MAGIC_END_OF_FILE.to_be_bytes()[..]);
                prop_assert!(content[at + 8..].iter().all(|byte| *byte == 0));
            }
            prop_assert!((file + 1) * file_size - end >= 8);
            expected = end;
        }
        let found = messages(&store, "TopicA", 0);
        prop_assert_eq!(found.len(), stored.len());
        for (message, (receipt, body)) in found.iter().zip(&stored) {
            prop_assert_eq!(message.body.as_ref(), &body[..]);
            prop_assert_eq!(message.physical_offset as u64, receipt.physical_offset.0);
        }
    }
}
